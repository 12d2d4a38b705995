// SPDX-License-Identifier: GPL-2.0
/*
 * Bytes held from the system: by a million blocks of every size, and by what is
 * left of a burst. What kheap holds is what its statistics say, metadata and
 * all; of SLUB only the slabs are counted that have a live object.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <kheap/kheap.h>

#include "bench.h"

#define SEED		19910220
#define NR_DENSE	1000000
#define DENSE_MIN	1
#define BURST_BYTES	SZ_64M
#define BURST_MIN	8
#define SIZE_MAX_BOTH	512
#define ARENA_SHIFT	18	/* 256 KiB */
#define NR_A_RESCHED	1024

/**
 * struct population - objects of random sizes
 * @ptrs: the live ones, from the start of the array
 * @nr: length of the array in use
 * @bytes: requested for them
 */
struct population {
	unsigned long *ptrs;
	unsigned int nr;
	u64 bytes;
};

/**
 * struct space_ops - an allocator, and how to learn what it holds
 * @alloc: allocates
 * @free: the other way
 * @give_back: gives back what it can; NULL if there is no such thing
 * @held: bytes held, with the live objects' addresses to look at
 */
struct space_ops {
	void *(*alloc)(void *ctx, size_t size);
	void (*free)(void *ctx, void *ptr);
	void (*give_back)(void *ctx);
	u64 (*held)(void *ctx, struct population *population);
};

static void now_and_then(unsigned int i)
{
	if (i % NR_A_RESCHED == 0)
		cond_resched();
}

/* --- Counting ----------------------------------------------------------- */

static int compare_words(const void *a, const void *b)
{
	unsigned long one = *(const unsigned long *)a;
	unsigned long two = *(const unsigned long *)b;

	return one < two ? -1 : one > two;
}

/* Sum of @bytes_of over the distinct @key of the objects; ends the array. */
static u64 sum_distinct(struct population *population,
			unsigned long (*key)(unsigned long ptr),
			u64 (*bytes_of)(unsigned long key))
{
	unsigned long *keys = population->ptrs;
	unsigned int i;
	u64 bytes = 0;

	for (i = 0; i < population->nr; i++)
		keys[i] = key(keys[i]);
	sort(keys, population->nr, sizeof(*keys), compare_words, NULL);
	for (i = 0; i < population->nr; i++) {
		if (!i || keys[i] != keys[i - 1])
			bytes += bytes_of(keys[i]);
		now_and_then(i);
	}
	return bytes;
}

static unsigned long slab_of(unsigned long ptr)
{
	return (unsigned long)virt_to_head_page((void *)ptr);
}

static u64 slab_bytes(unsigned long page)
{
	return page_size((struct page *)page);
}

static unsigned long arena_of(unsigned long ptr)
{
	return ptr >> ARENA_SHIFT;
}

static u64 arena_bytes(unsigned long arena)
{
	return 1UL << ARENA_SHIFT;
}

/* --- The allocators ----------------------------------------------------- */

static void *heap_alloc(void *ctx, size_t size)
{
	return kheap_alloc(ctx, size, GFP_KERNEL);
}

static void heap_free(void *ctx, void *ptr)
{
	kheap_free(ctx, ptr);
}

static void heap_give_back(void *ctx)
{
	kheap_trim(ctx);
}

static u64 heap_held(void *ctx, struct population *population)
{
	struct kheap_stats stats;

	kheap_get_stats(ctx, &stats);
	return stats.held_bytes;
}

/* What pymalloc would keep: every arena with a block in it. */
static u64 whole_arenas_held(void *ctx, struct population *population)
{
	return sum_distinct(population, arena_of, arena_bytes);
}

static void *system_alloc(void *ctx, size_t size)
{
	return kmalloc(size, GFP_KERNEL);
}

static void system_free(void *ctx, void *ptr)
{
	kfree(ptr);
}

static u64 slabs_held(void *ctx, struct population *population)
{
	return sum_distinct(population, slab_of, slab_bytes);
}

/* Caches of kmalloc()'s sizes: the real ones cannot be shrunk from a module. */
static const unsigned int cache_sizes[] = {
	8, 16, 32, 64, 96, 128, 192, 256, 512
};

static struct kmem_cache *caches[ARRAY_SIZE(cache_sizes)];

static void *own_alloc(void *ctx, size_t size)
{
	unsigned int i = 0;

	while (cache_sizes[i] < size)
		i++;
	return kmem_cache_alloc(caches[i], GFP_KERNEL);
}

static void shrink_own(void *ctx)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(caches); i++)
		kmem_cache_shrink(caches[i]);
}

static int own_end(void *ctx)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(caches); i++)
		kmem_cache_destroy(caches[i]);
	memset(caches, 0, sizeof(caches));
	return 0;
}

static void *own_begin(void)
{
	char name[32];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(caches); i++) {
		snprintf(name, sizeof(name), "bench-%u", cache_sizes[i]);
		/* A user copy region keeps caches from being merged. */
		caches[i] = kmem_cache_create_usercopy(name, cache_sizes[i], 0,
						       0, 0, cache_sizes[i],
						       NULL);
		if (!caches[i]) {
			own_end(NULL);
			return ERR_PTR(-ENOMEM);
		}
	}
	return NULL;
}

static const struct bench_side own_side = {
	.name	= "slub",
	.begin	= own_begin,
	.end	= own_end,
};

static void *whole_arenas_begin(void)
{
	return kheap_create("bench_arenas", NULL);
}

static const struct bench_side whole_arenas_side = {
	.name	= "whole_arenas",
	.begin	= whole_arenas_begin,
	.end	= bench_kheap_end,
};

static const struct space_ops kheap_ops = {
	.alloc		= heap_alloc,
	.free		= heap_free,
	.give_back	= heap_give_back,
	.held		= heap_held,
};

static const struct space_ops whole_arenas_ops = {
	.alloc		= heap_alloc,
	.free		= heap_free,
	.held		= whole_arenas_held,
};

static const struct space_ops kmalloc_ops = {
	.alloc		= system_alloc,
	.free		= system_free,
	.held		= slabs_held,
};

static const struct space_ops own_ops = {
	.alloc		= own_alloc,
	.free		= system_free,
	.give_back	= shrink_own,
	.held		= slabs_held,
};

/* --- Populations -------------------------------------------------------- */

static unsigned int random_size(struct rnd_state *rnd, unsigned int min)
{
	return min + prandom_u32_state(rnd) % (SIZE_MAX_BOTH - min + 1);
}

/* Add objects up to @nr_max of them, or up to @bytes_max. */
static int populate(struct population *population, void *ctx,
		    const struct space_ops *space, struct rnd_state *rnd,
		    unsigned int min, unsigned int nr_max, u64 bytes_max)
{
	while (population->nr < nr_max && population->bytes < bytes_max) {
		unsigned int size = random_size(rnd, min);
		void *ptr = space->alloc(ctx, size);

		if (!ptr)
			return -ENOMEM;
		population->ptrs[population->nr++] = (unsigned long)ptr;
		population->bytes += size;
		now_and_then(population->nr);
	}
	return 0;
}

/* Free all but @nr objects, chosen at random. */
static void decimate(struct population *population, void *ctx,
		     const struct space_ops *space, struct rnd_state *rnd,
		     unsigned int nr)
{
	unsigned long *ptrs = population->ptrs;
	unsigned int which;

	while (population->nr > nr) {
		which = prandom_u32_state(rnd) % population->nr--;
		space->free(ctx, (void *)ptrs[which]);
		ptrs[which] = ptrs[population->nr];
		now_and_then(population->nr);
	}
}

/* What is held by @population, whose array may be lost to that. */
static u64 held_by(struct population *population, void *ctx,
		   const struct space_ops *space, unsigned long *scratch)
{
	struct population copy = *population;

	copy.ptrs = scratch;
	memcpy(scratch, population->ptrs, population->nr * sizeof(*scratch));
	return space->held(ctx, &copy);
}

static void measure_space(struct bench_run *run, const struct space_ops *space,
			  unsigned int min, u64 bytes_max,
			  unsigned int left_per_mille)
{
	struct population population = { };
	unsigned long *scratch;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, SEED);
	population.ptrs = vmalloc(array_size(NR_DENSE, sizeof(*scratch)));
	scratch = vmalloc(array_size(NR_DENSE, sizeof(*scratch)));
	run->error = -ENOMEM;
	if (population.ptrs && scratch)
		run->error = populate(&population, run->ctx, space, &rnd, min,
				      NR_DENSE, bytes_max);
	if (!run->error) {
		decimate(&population, run->ctx, space, &rnd,
			 (u64)population.nr * left_per_mille / 1000);
		if (space->give_back)
			space->give_back(run->ctx);
		run->ticks = held_by(&population, run->ctx, space, scratch);
		run->nr_ops = left_per_mille < 1000 ? SZ_1K : population.bytes;
	}
	decimate(&population, run->ctx, space, &rnd, 0);
	vfree(population.ptrs);
	vfree(scratch);
}

/* --- The figures -------------------------------------------------------- */

#define DEFINE_RETAINED(fn, ops, left_per_mille)			\
	static void fn(struct bench_run *run)				\
	{								\
		measure_space(run, &(ops), BURST_MIN, BURST_BYTES,	\
			      left_per_mille);				\
	}

DEFINE_RETAINED(retained_90_kheap, kheap_ops, 100)
DEFINE_RETAINED(retained_90_slub, own_ops, 100)
DEFINE_RETAINED(retained_90_arenas, whole_arenas_ops, 100)
DEFINE_RETAINED(retained_99_kheap, kheap_ops, 10)
DEFINE_RETAINED(retained_99_slub, own_ops, 10)
DEFINE_RETAINED(retained_99_arenas, whole_arenas_ops, 10)
DEFINE_RETAINED(retained_999_kheap, kheap_ops, 1)
DEFINE_RETAINED(retained_999_slub, own_ops, 1)
DEFINE_RETAINED(retained_999_arenas, whole_arenas_ops, 1)

static void dense_kheap(struct bench_run *run)
{
	measure_space(run, &kheap_ops, DENSE_MIN, U64_MAX, 1000);
}

static void dense_kmalloc(struct bench_run *run)
{
	measure_space(run, &kmalloc_ops, DENSE_MIN, U64_MAX, 1000);
}

/* With one processor SLUB takes the smallest slabs; few machines have one. */
#define NR_CPUS_AT_LEAST	2

#define SPACE(name, side, fn, unit)					\
	{ name, side, fn, unit, .nr_cpus = NR_CPUS_AT_LEAST }
#define RETAINED(name, fn)						\
	SPACE(name, &bench_kheap_side, fn##_kheap, "KiB"),		\
	SPACE(name, &own_side, fn##_slub, "KiB"),			\
	SPACE(name, &whole_arenas_side, fn##_arenas, "KiB")

const struct bench_case bench_space_cases[] = {
	RETAINED("retained_90", retained_90),
	RETAINED("retained_99", retained_99),
	RETAINED("retained_999", retained_999),
	SPACE("density_uniform", &bench_kheap_side, dense_kheap, "byte/byte"),
	SPACE("density_uniform", &bench_kmalloc_side, dense_kmalloc,
	      "byte/byte"),
	{ }
};
