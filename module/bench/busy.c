// SPDX-License-Identifier: GPL-2.0
/*
 * The clock of what sleeps, or leaves work to others.
 */
#include <linux/cpumask.h>
#include <linux/kernel_stat.h>
#include <linux/ktime.h>
#include <linux/tick.h>

#include "bench.h"

/* Under -icount, 1 ns is an instruction as exactly as Linux knows the TSC. */
u64 bench_busy_ns(void)
{
	u64 now = ktime_get_ns();
	u64 busy = now * num_online_cpus();
	int cpu;

	for_each_online_cpu(cpu)
		busy -= NSEC_PER_USEC * (get_cpu_idle_time_us(cpu, NULL) +
					 get_cpu_iowait_time_us(cpu, NULL));
	return busy;
}
