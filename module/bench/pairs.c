// SPDX-License-Identifier: GPL-2.0
/*
 * An allocation and its free, again and again: the fast paths and nothing else.
 */
#include "ops.h"

#define NR_PAIRS	10000

static __always_inline void time_pairs_of(struct bench_run *run,
					  const struct bench_ops *ops,
					  size_t size)
{
	void *ctx = run->ctx;
	unsigned int i;

	bench_start(run);
	for (i = 0; i < NR_PAIRS; i++)
		ops->free(ctx, ops->alloc(ctx, size));
	bench_stop(run, NR_PAIRS);
}

static __always_inline void time_pairs(struct bench_run *run,
				       const struct bench_ops *ops)
{
	time_pairs_of(run, ops, BENCH_OBJECT_BYTES);
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

#define DEFINE_TIMED_PAIRS(size)					\
	static noinline void pair_##size##_kheap(struct bench_run *run)	\
	{								\
		time_pairs_of(run, &bench_kheap_ops, size);		\
	}								\
	static noinline void pair_##size##_slub(struct bench_run *run)	\
	{								\
		time_pairs_of(run, &bench_kmalloc_ops, size);		\
	}

DEFINE_TIMED_PAIRS(16)
DEFINE_TIMED_PAIRS(64)
DEFINE_TIMED_PAIRS(128)
DEFINE_TIMED_PAIRS(256)
DEFINE_TIMED_PAIRS(512)

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
	{ "kmalloc_pair_16", &bench_kheap_side, pair_16_kheap },
	{ "kmalloc_pair_16", &bench_kmalloc_side, pair_16_slub },
	{ "kmalloc_pair_64", &bench_kheap_side, pair_64_kheap },
	{ "kmalloc_pair_64", &bench_kmalloc_side, pair_64_slub },
	{ "kmalloc_pair_128", &bench_kheap_side, pair_128_kheap },
	{ "kmalloc_pair_128", &bench_kmalloc_side, pair_128_slub },
	{ "kmalloc_pair_256", &bench_kheap_side, pair_256_kheap },
	{ "kmalloc_pair_256", &bench_kmalloc_side, pair_256_slub },
	{ "kmalloc_pair_512", &bench_kheap_side, pair_512_kheap },
	{ "kmalloc_pair_512", &bench_kmalloc_side, pair_512_slub },
	{ "kmalloc_pair_var", &bench_kheap_side, pair_var_kheap },
	{ "kmalloc_pair_var", &bench_kmalloc_side, pair_var_slub },
	{ }
};
