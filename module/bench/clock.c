// SPDX-License-Identifier: GPL-2.0
/*
 * The clock. Under QEMU's -icount shift=0 the time stamp counter advances by
 * one with each instruction; that this is so is measured, not assumed.
 */
#include <linux/irqflags.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/preempt.h>
#include <linux/processor.h>
#include <linux/sched.h>
#include <linux/sort.h>

#include "clock.h"

bool bench_exact;

static u64 known_loop_tsc(unsigned long nr_rounds)
{
	unsigned long irqs;
	u64 start, ticks;

	local_irq_save(irqs);
	start = bench_tsc();
	bench_known_loop(nr_rounds);
	ticks = bench_tsc() - start;
	local_irq_restore(irqs);
	return ticks;
}

/* Does the difference between two loops equal the one in instructions? */
void bench_clock_init(void)
{
	u64 one = known_loop_tsc(BENCH_LOOP_ROUNDS);
	u64 two = known_loop_tsc(2 * BENCH_LOOP_ROUNDS);

	bench_exact = two - one == 2 * BENCH_LOOP_ROUNDS;
}

/*
 * Somebody who waits for the processor would make each preempt_enable() three
 * instructions longer, so let him go first.
 */
unsigned long bench_quiet_begin(void)
{
	unsigned long irqs;

	local_irq_save(irqs);
	while (need_resched()) {
		local_irq_restore(irqs);
		schedule();
		local_irq_save(irqs);
	}
	return irqs;
}

/* The tick's own work is done when this returns. */
void bench_wait_for_tick(void)
{
	unsigned long last;

	cond_resched();
	last = jiffies;
	while (last == READ_ONCE(jiffies))
		cpu_relax();
}

/*
 * Disable preemption at the beginning of a tick. Natively at once: of hundreds
 * of samples, few are disturbed.
 */
void bench_tick_begin(void)
{
	for (;;) {
		if (!BENCH_NATIVE)
			bench_wait_for_tick();
		else if (need_resched())
			schedule();
		preempt_disable();
		if (!need_resched())
			break;
		preempt_enable();
	}
}

static int compare_ticks(const void *a, const void *b)
{
	u64 one = *(const u64 *)a, two = *(const u64 *)b;

	return one < two ? -1 : one > two;
}

void bench_sort(u64 *ticks, unsigned int nr)
{
	sort(ticks, nr, sizeof(*ticks), compare_ticks, NULL);
}
