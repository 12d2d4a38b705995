// SPDX-License-Identifier: GPL-2.0
/*
 * Many objects a call. SLUB's bulk functions enable interrupts on older
 * kernels, so this is timed within a tick instead of with interrupts off.
 */
#include "ops.h"

#define NR_OBJECTS	2000

/**
 * struct bulk_ops - how a side allocates and frees many objects
 * @alloc: fills in @ptrs; 0 if it cannot
 * @free: the other way
 */
struct bulk_ops {
	int (*alloc)(void *ctx, size_t nr, void **ptrs);
	void (*free)(void *ctx, size_t nr, void **ptrs);
};

static __always_inline int kheap_alloc_many(void *ctx, size_t nr, void **ptrs)
{
	return kheap_cache_alloc_bulk(ctx, BENCH_GFP, nr, ptrs);
}

static __always_inline void kheap_free_many(void *ctx, size_t nr, void **ptrs)
{
	kheap_cache_free_bulk(ctx, nr, ptrs);
}

static __always_inline int slub_alloc_many(void *ctx, size_t nr, void **ptrs)
{
	return kmem_cache_alloc_bulk(ctx, BENCH_GFP, nr, ptrs);
}

static __always_inline void slub_free_many(void *ctx, size_t nr, void **ptrs)
{
	kmem_cache_free_bulk(ctx, nr, ptrs);
}

static const struct bulk_ops kheap_ops = { kheap_alloc_many, kheap_free_many };
static const struct bulk_ops slub_ops = { slub_alloc_many, slub_free_many };

/* An operation is an object's allocation and its free. */
static __always_inline void time_bulk(struct bench_run *run, unsigned int nr,
				      const struct bulk_ops *ops)
{
	unsigned int round, nr_rounds = NR_OBJECTS / nr;
	void **ptrs = run->ptrs;
	void *ctx = run->ctx;

	bench_start_of_tick(run);
	for (round = 0; round < nr_rounds; round++) {
		if (unlikely(!ops->alloc(ctx, nr, ptrs))) {
			run->error = -ENOMEM;
			break;
		}
		ops->free(ctx, nr, ptrs);
	}
	bench_stop_in_tick(run, nr_rounds * nr);
}

#define DEFINE_TIMED_BULK(fn, nr, ops)					\
	static noinline void fn(struct bench_run *run)			\
	{								\
		time_bulk(run, nr, &(ops));				\
	}

DEFINE_TIMED_BULK(bulk_16_kheap, 16, kheap_ops)
DEFINE_TIMED_BULK(bulk_16_slub, 16, slub_ops)
DEFINE_TIMED_BULK(bulk_64_kheap, 64, kheap_ops)
DEFINE_TIMED_BULK(bulk_64_slub, 64, slub_ops)
DEFINE_TIMED_BULK(bulk_250_kheap, 250, kheap_ops)
DEFINE_TIMED_BULK(bulk_250_slub, 250, slub_ops)

const struct bench_case bench_bulk_cases[] = {
	{ "bulk_16", &bench_kheap_cache_side, bulk_16_kheap },
	{ "bulk_16", &bench_kmem_cache_side, bulk_16_slub },
	{ "bulk_64", &bench_kheap_cache_side, bulk_64_kheap },
	{ "bulk_64", &bench_kmem_cache_side, bulk_64_slub },
	{ "bulk_250", &bench_kheap_cache_side, bulk_250_kheap },
	{ "bulk_250", &bench_kmem_cache_side, bulk_250_slub },
	{ }
};
