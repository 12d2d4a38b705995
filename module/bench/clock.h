/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The clock of the benchmarks: it knows nothing of what is measured.
 */
#ifndef _KHEAP_BENCH_CLOCK_H
#define _KHEAP_BENCH_CLOCK_H

#include <linux/timekeeping.h>
#include <linux/types.h>

#include "arch.h"

/* The kernel is a process of the host, see native/native.h, and time is ticks. */
#define BENCH_NATIVE		IS_ENABLED(CONFIG_UML)

/* One operation is one tick of the time stamp counter: see clock.c. */
extern bool bench_exact;

static __always_inline u64 bench_clock(void)
{
	if (BENCH_NATIVE)
		return bench_tsc_ordered();
	return bench_exact ? bench_tsc() : ktime_get_ns();
}

unsigned long bench_quiet_begin(void);
void bench_tick_begin(void);
void bench_wait_for_tick(void);
void bench_sort(u64 *ticks, unsigned int nr);
void bench_clock_init(void);

#define BENCH_LOOP_ROUNDS	100000

#endif /* _KHEAP_BENCH_CLOCK_H */
