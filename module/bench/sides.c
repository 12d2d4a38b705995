// SPDX-License-Identifier: GPL-2.0
/*
 * The allocators under test: how each is set up and taken down.
 */
#include <linux/err.h>

#include "ops.h"

/* --- Nobody ------------------------------------------------------------- */

static void *nobody_begin(void)
{
	return NULL;
}

static int nobody_end(void *ctx)
{
	return 0;
}

const struct bench_side bench_no_side = {
	.name	= "none",
	.begin	= nobody_begin,
	.end	= nobody_end,
};

const struct bench_side bench_bare_kheap_side = {
	.name	= "kheap",
	.begin	= nobody_begin,
	.end	= nobody_end,
};

const struct bench_side bench_bare_slub_side = {
	.name	= "slub",
	.begin	= nobody_begin,
	.end	= nobody_end,
};

/* --- kheap -------------------------------------------------------------- */

static struct kheap *cache_heap;

static void *kheap_begin(void)
{
	return kheap_create("bench", NULL);
}

/* A refused or failed request would have been a fast one. */
int bench_kheap_end(void *ctx)
{
	struct kheap_stats stats;

	kheap_get_stats(ctx, &stats);
	kheap_destroy(ctx);
	if (stats.nr_refused || stats.nr_failed || stats.nr_allocated ||
	    stats.nr_large)
		return -EUCLEAN;
	return 0;
}

const struct bench_side bench_kheap_side = {
	.name	= "kheap",
	.begin	= kheap_begin,
	.end	= bench_kheap_end,
};

static void *kheap_cache_begin(void)
{
	struct kheap_cache *cache;

	cache_heap = kheap_create("bench", NULL);
	if (IS_ERR(cache_heap))
		return cache_heap;
	cache = kheap_cache_create(cache_heap, "object", BENCH_OBJECT_BYTES,
				   0, 0, NULL);
	if (IS_ERR(cache))
		kheap_destroy(cache_heap);
	return cache;
}

static int kheap_cache_end(void *ctx)
{
	return bench_kheap_end(cache_heap);
}

const struct bench_side bench_kheap_cache_side = {
	.name	= "kheap",
	.begin	= kheap_cache_begin,
	.end	= kheap_cache_end,
};

/* --- SLUB --------------------------------------------------------------- */

/*
 * As a client asks for it. The kernel may merge such a cache with others of
 * the size; with one of its own, SLUB is 2 % slower at fifo_1000.
 */
static void *slub_cache(const char *name)
{
	struct kmem_cache *cache;

	cache = kmem_cache_create(name, BENCH_OBJECT_BYTES, 0, 0, NULL);
	return cache ?: ERR_PTR(-ENOMEM);
}

static void *kmem_cache_begin(void)
{
	return slub_cache("bench");
}

static int kmem_cache_end(void *ctx)
{
	kmem_cache_destroy(ctx);
	return 0;
}

const struct bench_side bench_kmem_cache_side = {
	.name	= "slub",
	.begin	= kmem_cache_begin,
	.end	= kmem_cache_end,
};

/*
 * kmalloc's caches are everybody's, and what SLUB does depends on how many slabs
 * with a few free objects the kernel and earlier figures have left in them. So
 * these are filled up first, and what is measured begins with new slabs.
 */
#define NR_FILLED	2048	/* objects of each size */

static void *filled;	/* the last object, which points at the one before */

static int kmalloc_end(void *ctx)
{
	void *object;

	while ((object = filled)) {
		filled = *(void **)object;
		kfree(object);
	}
	return 0;
}

static void *kmalloc_begin(void)
{
	static const u16 sizes[] = {
		8, 16, 32, 64, 96, 128, 192, 256, 512, 1024,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes) * NR_FILLED; i++) {
		void **object = kmalloc(sizes[i / NR_FILLED], GFP_KERNEL);

		if (!object) {
			kmalloc_end(NULL);
			return ERR_PTR(-ENOMEM);
		}
		*object = filled;
		filled = object;
	}
	return NULL;
}

const struct bench_side bench_kmalloc_side = {
	.name	= "slub",
	.begin	= kmalloc_begin,
	.end	= kmalloc_end,
};

/* --- Pools that hold objects in reserve --------------------------------- */

/* More than are ever out at once, so that the reserve does not run dry. */
#define NR_RESERVED	4096

static struct kmem_cache *mempool_cache;

static void *mempool_begin(void)
{
	mempool_t *pool;

	mempool_cache = slub_cache("bench_mempool");
	if (IS_ERR(mempool_cache))
		return mempool_cache;
	pool = mempool_create_slab_pool(NR_RESERVED, mempool_cache);
	if (pool)
		return pool;
	kmem_cache_destroy(mempool_cache);
	return ERR_PTR(-ENOMEM);
}

static int mempool_end(void *ctx)
{
	mempool_destroy(ctx);
	kmem_cache_destroy(mempool_cache);
	return 0;
}

const struct bench_side bench_mempool_side = {
	.name	= "mempool",
	.begin	= mempool_begin,
	.end	= mempool_end,
};

#ifdef BENCH_HAVE_OBJPOOL
static void *objpool_begin(void)
{
	struct objpool_head *pool = kzalloc(sizeof(*pool), GFP_KERNEL);
	int error;

	if (!pool)
		return ERR_PTR(-ENOMEM);
	error = objpool_init(pool, NR_RESERVED, BENCH_OBJECT_BYTES,
			     GFP_KERNEL, NULL, NULL, NULL);
	if (!error)
		return pool;
	kfree(pool);
	return ERR_PTR(error);
}

static int objpool_end(void *ctx)
{
	objpool_fini(ctx);
	kfree(ctx);
	return 0;
}

const struct bench_side bench_objpool_side = {
	.name	= "objpool",
	.begin	= objpool_begin,
	.end	= objpool_end,
};
#endif
