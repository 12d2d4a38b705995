// SPDX-License-Identifier: GPL-2.0
/*
 * Many objects at once: a thousand allocated and then freed, in order or not,
 * and a window of them in which the oldest gives way to a new one.
 */
#include "ops.h"

#define NR_ROUNDS	10
#define NR_HELD		256

/* An operation is an object's allocation and its free. */
static __always_inline void time_rounds(struct bench_run *run,
					const struct bench_ops *ops,
					bool mixed, const u16 *order)
{
	const u16 *sizes = run->sizes;
	void **ptrs = run->ptrs;
	void *ctx = run->ctx;
	unsigned int round, i;

	bench_start(run);
	for (round = 0; round < NR_ROUNDS; round++) {
		for (i = 0; i < BENCH_NR_OBJECTS; i++)
			ptrs[i] = ops->alloc(ctx, mixed ? sizes[i] :
					     BENCH_OBJECT_BYTES);
		for (i = 0; i < BENCH_NR_OBJECTS; i++)
			ops->free(ctx, ptrs[order ? order[i] : i]);
	}
	bench_stop(run, NR_ROUNDS * BENCH_NR_OBJECTS);
}

static __always_inline void time_in_order(struct bench_run *run,
					  const struct bench_ops *ops)
{
	time_rounds(run, ops, false, NULL);
}

static __always_inline void time_shuffled(struct bench_run *run,
					  const struct bench_ops *ops)
{
	time_rounds(run, ops, false, run->order);
}

static __always_inline void time_mixed(struct bench_run *run,
				       const struct bench_ops *ops)
{
	time_rounds(run, ops, true, run->order);
}

DEFINE_TIMED(fifo_kheap, time_in_order, bench_kheap_cache_ops)
DEFINE_TIMED(fifo_slub, time_in_order, bench_kmem_cache_ops)
DEFINE_TIMED(fifo_mempool, time_in_order, bench_mempool_ops)
#ifdef BENCH_HAVE_OBJPOOL
DEFINE_TIMED(fifo_objpool, time_in_order, bench_objpool_ops)
#endif

DEFINE_TIMED(shuffled_kheap, time_shuffled, bench_kheap_cache_ops)
DEFINE_TIMED(shuffled_slub, time_shuffled, bench_kmem_cache_ops)
DEFINE_TIMED(shuffled_mempool, time_shuffled, bench_mempool_ops)
#ifdef BENCH_HAVE_OBJPOOL
DEFINE_TIMED(shuffled_objpool, time_shuffled, bench_objpool_ops)
#endif

DEFINE_TIMED(mixed_kheap, time_mixed, bench_kheap_ops)
DEFINE_TIMED(mixed_slub, time_mixed, bench_kmalloc_ops)

/* An operation is the oldest one's free and a new one's allocation. */
static __always_inline void time_held(struct bench_run *run,
				      const struct bench_ops *ops)
{
	void **ptrs = run->ptrs;
	void *ctx = run->ctx;
	unsigned int round, i;

	for (i = 0; i < NR_HELD; i++)
		ptrs[i] = ops->alloc(ctx, BENCH_OBJECT_BYTES);
	bench_start(run);
	for (round = 0; round < NR_ROUNDS; round++) {
		for (i = 0; i < NR_HELD; i++) {
			ops->free(ctx, ptrs[i]);
			ptrs[i] = ops->alloc(ctx, BENCH_OBJECT_BYTES);
		}
	}
	bench_stop(run, NR_ROUNDS * NR_HELD);
	for (i = 0; i < NR_HELD; i++)
		ops->free(ctx, ptrs[i]);
}

DEFINE_TIMED(held_kheap, time_held, bench_kheap_cache_ops)
DEFINE_TIMED(held_slub, time_held, bench_kmem_cache_ops)
DEFINE_TIMED(held_mempool, time_held, bench_mempool_ops)
#ifdef BENCH_HAVE_OBJPOOL
DEFINE_TIMED(held_objpool, time_held, bench_objpool_ops)
#endif

const struct bench_case bench_round_cases[] = {
	{ "fifo_1000", &bench_kheap_cache_side, fifo_kheap },
	{ "fifo_1000", &bench_kmem_cache_side, fifo_slub },
	{ "fifo_1000", &bench_mempool_side, fifo_mempool },
#ifdef BENCH_HAVE_OBJPOOL
	{ "fifo_1000", &bench_objpool_side, fifo_objpool },
#endif
	{ "shuffled_1000", &bench_kheap_cache_side, shuffled_kheap },
	{ "shuffled_1000", &bench_kmem_cache_side, shuffled_slub },
	{ "shuffled_1000", &bench_mempool_side, shuffled_mempool },
#ifdef BENCH_HAVE_OBJPOOL
	{ "shuffled_1000", &bench_objpool_side, shuffled_objpool },
#endif
	{ "mixed_shuffled_1000", &bench_kheap_side, mixed_kheap },
	{ "mixed_shuffled_1000", &bench_kmalloc_side, mixed_slub },
	{ "held_256", &bench_kheap_cache_side, held_kheap },
	{ "held_256", &bench_kmem_cache_side, held_slub },
	{ "held_256", &bench_mempool_side, held_mempool },
#ifdef BENCH_HAVE_OBJPOOL
	{ "held_256", &bench_objpool_side, held_objpool },
#endif
	{ }
};
