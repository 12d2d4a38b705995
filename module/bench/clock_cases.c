// SPDX-License-Identifier: GPL-2.0
/*
 * What the clock itself costs, and that it counts what it should.
 */
#include <linux/kernel.h>

#include "bench.h"

/* What reading the clock twice costs; part of every figure, once a sample. */
static void clock_reads(struct bench_run *run)
{
	bench_start(run);
	bench_stop(run, 1);
}

static void clock_loop(struct bench_run *run)
{
	bench_start(run);
	bench_known_loop(BENCH_LOOP_ROUNDS);
	bench_stop(run, BENCH_LOOP_ROUNDS);
}

/* A string instruction counts once for each word, not once. */
static void clock_string(struct bench_run *run)
{
	bench_start(run);
	bench_zero_string(run->ptrs, BENCH_NR_OBJECTS);
	bench_stop(run, BENCH_NR_OBJECTS);
}

const struct bench_case bench_clock_cases[] = {
	{ "clock_reads", &bench_no_side, clock_reads },
	{ "clock_loop", &bench_no_side, clock_loop },
	{ "clock_string", &bench_no_side, clock_string },
	{ }
};
