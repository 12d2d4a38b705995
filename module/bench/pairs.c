// SPDX-License-Identifier: GPL-2.0
/*
 * An allocation and its free, again and again: the fast paths and nothing else.
 */
#include "ops.h"

#define NR_PAIRS	10000

static __always_inline void time_pairs(struct bench_run *run,
				       const struct bench_ops *ops)
{
	void *ctx = run->ctx;
	unsigned int i;

	bench_start(run);
	for (i = 0; i < NR_PAIRS; i++)
		ops->free(ctx, ops->alloc(ctx, BENCH_OBJECT_BYTES));
	bench_stop(run, NR_PAIRS);
}

static __always_inline void time_variable_pairs(struct bench_run *run,
						const struct bench_ops *ops)
{
	const u16 *sizes = run->sizes;
	void *ctx = run->ctx;
	unsigned int i;

	bench_start(run);
	for (i = 0; i < NR_PAIRS; i++)
		ops->free(ctx, ops->alloc(ctx, sizes[i % BENCH_NR_SIZES]));
	bench_stop(run, NR_PAIRS);
}

/* The loops around the operations, with operations that do nothing. */
static __always_inline void *empty_alloc(void *ctx, size_t size)
{
	asm volatile("" : "+r" (ctx));
	return ctx;
}

static __always_inline void empty_free(void *ctx, void *ptr)
{
	asm volatile("" : : "r" (ptr));
}

static const struct bench_ops empty_ops = { empty_alloc, empty_free };

DEFINE_TIMED(empty_pair, time_pairs, empty_ops)

DEFINE_TIMED(hot_pair_kheap, time_pairs, bench_kheap_cache_ops)
DEFINE_TIMED(hot_pair_slub, time_pairs, bench_kmem_cache_ops)
DEFINE_TIMED(hot_pair_mempool, time_pairs, bench_mempool_ops)
#ifdef BENCH_HAVE_OBJPOOL
DEFINE_TIMED(hot_pair_objpool, time_pairs, bench_objpool_ops)
#endif

DEFINE_TIMED(pair_64_kheap, time_pairs, bench_kheap_ops)
DEFINE_TIMED(pair_64_slub, time_pairs, bench_kmalloc_ops)

DEFINE_TIMED(pair_var_kheap, time_variable_pairs, bench_kheap_ops)
DEFINE_TIMED(pair_var_slub, time_variable_pairs, bench_kmalloc_ops)

const struct bench_case bench_pair_cases[] = {
	{ "empty_pair", &bench_no_side, empty_pair },
	{ "hot_pair_64", &bench_kheap_cache_side, hot_pair_kheap },
	{ "hot_pair_64", &bench_kmem_cache_side, hot_pair_slub },
	{ "hot_pair_64", &bench_mempool_side, hot_pair_mempool },
#ifdef BENCH_HAVE_OBJPOOL
	{ "hot_pair_64", &bench_objpool_side, hot_pair_objpool },
#endif
	{ "kmalloc_pair_64", &bench_kheap_side, pair_64_kheap },
	{ "kmalloc_pair_64", &bench_kmalloc_side, pair_64_slub },
	{ "kmalloc_pair_var", &bench_kheap_side, pair_var_kheap },
	{ "kmalloc_pair_var", &bench_kmalloc_side, pair_var_slub },
	{ }
};
