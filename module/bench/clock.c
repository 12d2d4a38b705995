// SPDX-License-Identifier: GPL-2.0
/*
 * The clock. Under QEMU's -icount shift=0 the time stamp counter advances by
 * one with each instruction; that this is so is measured, not assumed.
 */
#include <linux/kernel.h>

#include "bench.h"

#define LOOP_ROUNDS		100000

bool bench_exact;

/* Two instructions a round, and nothing else. */
static __always_inline void known_loop(unsigned long nr_rounds)
{
	asm volatile("1:	decq %0\n"
		     "	jnz 1b"
		     : "+r" (nr_rounds) : : "cc");
}

static u64 known_loop_tsc(unsigned long nr_rounds)
{
	unsigned long irqs;
	u64 start, ticks;

	local_irq_save(irqs);
	start = rdtsc();
	known_loop(nr_rounds);
	ticks = rdtsc() - start;
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

/* What reading the clock twice costs; part of every figure, once a sample. */
static void clock_reads(struct bench_run *run)
{
	bench_start(run);
	bench_stop(run, 1);
}

static void clock_loop(struct bench_run *run)
{
	bench_start(run);
	known_loop(LOOP_ROUNDS);
	bench_stop(run, LOOP_ROUNDS);
}

const struct bench_case bench_clock_cases[] = {
	{ "clock_reads", &bench_no_side, clock_reads },
	{ "clock_loop", &bench_no_side, clock_loop },
	{ }
};
