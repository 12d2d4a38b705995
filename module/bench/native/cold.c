// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that no cache holds: 64 MiB are live, and a random one of their
 * objects after the other is freed and replaced.
 */
#include <linux/err.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "floor.h"
#include "native.h"

#define LIVE_BYTES	SZ_64M
#define NR_OPS		50000
#define NR_A_RESCHED	1024
#define SEED		88172645463325252ULL

/**
 * struct cold - the live objects of a side
 * @side: the allocator's
 * @ops: how it allocates and frees
 * @ctx: what @side began with
 * @random: state of the generator
 * @nr: live objects
 * @ptrs: they
 */
struct cold {
	const struct bench_side *side;
	const struct bench_ops *ops;
	void *ctx;
	u64 random;
	u32 nr;
	void *ptrs[];
};

/* xorshift64, by George Marsaglia: a few instructions, and no memory. */
static __always_inline u64 next_random(u64 state)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^ state << 17;
}

static void cold_fill(struct cold *cold, bool mixed)
{
	struct bench_run run;
	u64 bytes = 0;

	bench_run_init(&run, NULL, NULL);
	while (bytes < LIVE_BYTES) {
		size_t size = mixed ? run.sizes[cold->nr % BENCH_NR_SIZES] :
				      BENCH_OBJECT_BYTES;
		void *ptr = cold->ops->alloc(cold->ctx, size);

		if (!ptr)
			return;
		cold->ptrs[cold->nr++] = ptr;
		bytes += size;
		if (cold->nr % NR_A_RESCHED == 0)
			cond_resched();
	}
}

static int cold_end(void *ctx)
{
	struct cold *cold = ctx;
	int error;

	while (cold->nr) {
		cold->ops->free(cold->ctx, cold->ptrs[--cold->nr]);
		if (cold->nr % NR_A_RESCHED == 0)
			cond_resched();
	}
	error = cold->side->end(cold->ctx);
	vfree(cold);
	return error;
}

/* The mean of the mixed sizes is four times the constant one. */
static struct cold *cold_begin(const struct bench_side *side,
			       const struct bench_ops *ops, bool mixed)
{
	u32 room = LIVE_BYTES / BENCH_OBJECT_BYTES;
	struct cold *cold;
	int error;

	cold = vzalloc(struct_size(cold, ptrs, room));
	if (!cold)
		return ERR_PTR(-ENOMEM);
	cold->side = side;
	cold->ops = ops;
	cold->random = SEED;
	cold->ctx = side->begin();
	if (IS_ERR(cold->ctx)) {
		error = PTR_ERR(cold->ctx);
		vfree(cold);
		return ERR_PTR(error);
	}
	cold_fill(cold, mixed);
	return cold;
}

static __always_inline void time_cold(struct bench_run *run,
				      const struct bench_ops *ops, bool mixed)
{
	struct cold *cold = run->ctx;
	const u16 *sizes = run->sizes;
	u64 random = cold->random;
	void *ctx = cold->ctx;
	unsigned int i;

	bench_start(run);
	for (i = 0; i < NR_OPS; i++) {
		void **at;

		random = next_random(random);
		at = &cold->ptrs[(u32)random * (u64)cold->nr >> 32];
		ops->free(ctx, *at);
		*at = ops->alloc(ctx, mixed ?
				 sizes[(random >> 32) % BENCH_NR_SIZES] :
				 BENCH_OBJECT_BYTES);
	}
	bench_stop(run, NR_OPS);
	cold->random = random;
}

#define DEFINE_COLD(fn, side_name, parent, ops, mixed)			\
	static void *fn##_begin(void)					\
	{								\
		return cold_begin(&(parent), &(ops), mixed);		\
	}								\
	static const struct bench_side fn##_side = {			\
		.name	= side_name,					\
		.begin	= fn##_begin,					\
		.end	= cold_end,					\
	};								\
	static noinline void fn(struct bench_run *run)			\
	{								\
		time_cold(run, &(ops), mixed);				\
	}

DEFINE_COLD(same_kheap, "kheap", bench_kheap_cache_side,
	    bench_kheap_cache_ops, false)
DEFINE_COLD(same_slub, "slub", bench_kmem_cache_side,
	    bench_kmem_cache_ops, false)
DEFINE_COLD(mixed_kheap, "kheap", bench_kheap_side, bench_kheap_ops, true)
DEFINE_COLD(mixed_slub, "slub", bench_kmalloc_side, bench_kmalloc_ops, true)

/* --- Without an allocator -------------------------------------------------- */

#define NR_CHUNKS	(LIVE_BYTES / BENCH_OBJECT_BYTES / FLOOR_BLOCKS)

static void *cold_floor_begin(void)
{
	return floor_begin(NR_CHUNKS);
}

static const struct bench_side cold_floor_side = {
	.begin	= cold_floor_begin,
	.end	= floor_end,
};

DEFINE_FLOOR_OPS(look, floor_take_last, true, true);
DEFINE_FLOOR_OPS(blind, floor_take_last, false, true);
DEFINE_COLD(floor_look, "kheap", cold_floor_side, look_ops, false)
DEFINE_COLD(floor_blind, "slub", cold_floor_side, blind_ops, false)

const struct bench_case native_cold_cases[] = {
	{ "cold_64", &same_kheap_side, same_kheap },
	{ "cold_64", &same_slub_side, same_slub },
	{ "cold_mixed", &mixed_kheap_side, mixed_kheap },
	{ "cold_mixed", &mixed_slub_side, mixed_slub },
	{ "cold_line", &floor_look_side, floor_look },
	{ "cold_line", &floor_blind_side, floor_blind },
	{ }
};
