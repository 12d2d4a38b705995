/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The operations of each side. Each timed function is built from an inline
 * function and one of these constants, so that the compiler sees whom it calls:
 * direct calls, no retpoline, and the same loop around them for every side.
 */
#ifndef _KHEAP_BENCH_OPS_H
#define _KHEAP_BENCH_OPS_H

#include <linux/mempool.h>
#include <linux/slab.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
#include <linux/objpool.h>	/* b4edb8d2d464 ("lib: objpool added") */
#define BENCH_HAVE_OBJPOOL
#endif

#include <kheap/kheap.h>

#include "bench.h"

/**
 * struct bench_ops - how a side allocates and frees
 * @alloc: @size is a constant where the client's would be
 * @free: the other way
 */
struct bench_ops {
	void *(*alloc)(void *ctx, size_t size);
	void (*free)(void *ctx, void *ptr);
};

static __always_inline void *bench_kheap_alloc(void *ctx, size_t size)
{
	return kheap_alloc(ctx, size, BENCH_GFP);
}

static __always_inline void bench_kheap_free(void *ctx, void *ptr)
{
	kheap_free(ctx, ptr);
}

static __always_inline void *bench_kheap_cache_alloc(void *ctx, size_t size)
{
	return kheap_cache_alloc(ctx, BENCH_GFP);
}

static __always_inline void bench_kheap_cache_free(void *ctx, void *ptr)
{
	kheap_cache_free(ctx, ptr);
}

static __always_inline void *bench_kmalloc(void *ctx, size_t size)
{
	return kmalloc(size, BENCH_GFP);
}

static __always_inline void bench_kfree(void *ctx, void *ptr)
{
	kfree(ptr);
}

static __always_inline void *bench_kmem_cache_alloc(void *ctx, size_t size)
{
	return kmem_cache_alloc(ctx, BENCH_GFP);
}

static __always_inline void bench_kmem_cache_free(void *ctx, void *ptr)
{
	kmem_cache_free(ctx, ptr);
}

static __always_inline void *bench_mempool_alloc(void *ctx, size_t size)
{
	return mempool_alloc(ctx, BENCH_GFP);
}

static __always_inline void bench_mempool_free(void *ctx, void *ptr)
{
	mempool_free(ptr, ctx);
}

#ifdef BENCH_HAVE_OBJPOOL
static __always_inline void *bench_objpool_pop(void *ctx, size_t size)
{
	return objpool_pop(ctx);
}

static __always_inline void bench_objpool_push(void *ctx, void *ptr)
{
	objpool_push(ptr, ctx);
}
#endif

static const struct bench_ops bench_kheap_ops __maybe_unused = {
	bench_kheap_alloc, bench_kheap_free,
};

static const struct bench_ops bench_kheap_cache_ops __maybe_unused = {
	bench_kheap_cache_alloc, bench_kheap_cache_free,
};

static const struct bench_ops bench_kmalloc_ops __maybe_unused = {
	bench_kmalloc, bench_kfree,
};

static const struct bench_ops bench_kmem_cache_ops __maybe_unused = {
	bench_kmem_cache_alloc, bench_kmem_cache_free,
};

static const struct bench_ops bench_mempool_ops __maybe_unused = {
	bench_mempool_alloc, bench_mempool_free,
};

#ifdef BENCH_HAVE_OBJPOOL
static const struct bench_ops bench_objpool_ops __maybe_unused = {
	bench_objpool_pop, bench_objpool_push,
};
#endif

/* Define the timed function @fn that runs @body with the side's operations. */
#define DEFINE_TIMED(fn, body, ops)					\
	static noinline void fn(struct bench_run *run)			\
	{								\
		body(run, &(ops));					\
	}

#endif /* _KHEAP_BENCH_OPS_H */
