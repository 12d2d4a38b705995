// SPDX-License-Identifier: GPL-2.0
/*
 * What the runner reads: a line for each side, and for each CPU where there are
 * two; and a loop of known length, to see whether the machine is quiet.
 */
#define pr_fmt(fmt) "kheap_native: " fmt

#include <linux/kernel.h>

#include "native.h"

#define NR_ADDS		10000
#define NR_TRIES	20

static u64 loop_least = U64_MAX;
static u64 loop_worst;

/* Each addition waits for the one before. */
static noinline u64 time_adds(void)
{
	unsigned long sum = 1;
	unsigned int i;
	u64 start;

	start = bench_tsc_ordered();
	for (i = 0; i < NR_ADDS / 10; i++)
		asm volatile(".rept 10\n\t"
			     "addq %0, %0\n\t"
			     ".endr" : "+r" (sum) : : "cc");
	return bench_tsc_ordered() - start;
}

/**
 * native_calibrate() - time a loop of known length, before each figure
 *
 * Its median says how fast the core is, in ticks; it changes with the clock
 * frequency and with what else the host has to do.
 */
void native_calibrate(void)
{
	u64 ticks[NR_TRIES];
	unsigned int i;

	for (i = 0; i < NR_TRIES; i++)
		ticks[i] = time_adds();
	bench_sort(ticks, NR_TRIES);
	loop_least = min(loop_least, ticks[0]);
	loop_worst = max(loop_worst, ticks[NR_TRIES / 2]);
}

/* ADDS LEAST WORST: the best try of all, and the worst of the medians. */
void native_calibration_report(void)
{
	pr_info("loop %u %llu %llu\n", NR_ADDS, loop_least, loop_worst);
}

/**
 * native_report() - print a line of results
 * @name: the figure
 * @base: what each of two CPUs did; NULL: there was one
 * @line: the side
 * @samples: what is to be printed of it; sorted by this
 *
 * NAME BASE SIDE ERROR OPS SAMPLES LEFT_OUT LEAST TENTH MEDIAN NINETIETH, the
 * last four for all OPS.
 */
void native_report(const char *name, const char *base,
		   const struct native_line *line,
		   struct native_samples *samples)
{
	unsigned int nr = samples->nr;
	u64 *ticks = samples->ticks;
	u64 none[1] = {};

	if (!nr)
		ticks = none;
	bench_sort(ticks, nr);
	pr_info("result %s %s %s %d %llu %u %u %llu %llu %llu %llu\n", name,
		base ?: "-", line->bench->side->name, line->error,
		samples->nr_ops, nr, samples->nr_left_out, ticks[0],
		ticks[nr / 10], ticks[nr / 2], ticks[nr * 9 / 10]);
}
