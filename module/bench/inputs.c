// SPDX-License-Identifier: GPL-2.0
/*
 * What the figures are fed with: sizes, and an order to free in. The same on
 * every machine.
 */
#include <linux/minmax.h>
#include <linux/prandom.h>

#include "bench.h"

#define SEED		20240607

static u16 sizes[BENCH_NR_SIZES];
static u16 order[BENCH_NR_OBJECTS];

static void shuffle(u16 *numbers, unsigned int nr, struct rnd_state *rnd)
{
	unsigned int i, other;

	for (i = nr - 1; i; i--) {
		other = prandom_u32_state(rnd) % (i + 1);
		swap(numbers[i], numbers[other]);
	}
}

/**
 * bench_inputs_init() - prepare what bench_run_init() hands out
 */
void bench_inputs_init(void)
{
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, SEED);
	for (i = 0; i < BENCH_NR_SIZES; i++)
		sizes[i] = BENCH_SIZE_MIN +
			   i % (BENCH_SIZE_MAX - BENCH_SIZE_MIN + 1);
	shuffle(sizes, BENCH_NR_SIZES, &rnd);
	for (i = 0; i < BENCH_NR_OBJECTS; i++)
		order[i] = i;
	shuffle(order, BENCH_NR_OBJECTS, &rnd);
}

/**
 * bench_run_init() - prepare a run
 * @run: the run
 * @ctx: what the side's begin() returned
 * @ptrs: room for %BENCH_NR_OBJECTS pointers
 */
void bench_run_init(struct bench_run *run, void *ctx, void **ptrs)
{
	*run = (struct bench_run) {
		.ctx = ctx,
		.ptrs = ptrs,
		.sizes = sizes,
		.order = order,
	};
}
