// SPDX-License-Identifier: GPL-2.0
/*
 * The clock. Under QEMU's -icount shift=0 the time stamp counter advances by
 * one with each instruction; that this is so is measured, not assumed.
 */
#include <linux/kernel.h>
#include <linux/processor.h>
#include <linux/sched.h>
#include <linux/sort.h>

#include "bench.h"

#define LOOP_ROUNDS		100000

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
	u64 one = known_loop_tsc(LOOP_ROUNDS);
	u64 two = known_loop_tsc(2 * LOOP_ROUNDS);

	bench_exact = two - one == 2 * LOOP_ROUNDS;
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

/* What reading the clock twice costs; part of every figure, once a sample. */
static void clock_reads(struct bench_run *run)
{
	bench_start(run);
	bench_stop(run, 1);
}

static void clock_loop(struct bench_run *run)
{
	bench_start(run);
	bench_known_loop(LOOP_ROUNDS);
	bench_stop(run, LOOP_ROUNDS);
}

/* A string instruction counts once for each word, not once. */
static void clock_string(struct bench_run *run)
{
	unsigned long nr_words = BENCH_NR_OBJECTS;
	void **words = run->ptrs;

	bench_start(run);
	asm volatile("rep stosq"
		     : "+D" (words), "+c" (nr_words) : "a" (0) : "memory");
	bench_stop(run, BENCH_NR_OBJECTS);
}

const struct bench_case bench_clock_cases[] = {
	{ "clock_reads", &bench_no_side, clock_reads },
	{ "clock_loop", &bench_no_side, clock_loop },
	{ "clock_string", &bench_no_side, clock_string },
	{ }
};
