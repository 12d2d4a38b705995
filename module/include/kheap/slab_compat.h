/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Slab caches served by kheap, for a module whose source stays as it is:
 *
 *	ccflags-y += -I$(KHEAP)/module/include -include kheap/slab_compat.h
 *
 * Every kmem_cache_create() of the module makes a cache in a private heap with
 * the module's name, or, with SLAB_ACCOUNT, in a charged one beside it. A heap
 * comes with its first cache and goes with its last one. The long story is in
 * Documentation/porting.rst.
 */
#ifndef _KHEAP_SLAB_COMPAT_H
#define _KHEAP_SLAB_COMPAT_H

#ifdef __ASSEMBLY__
#error "kheap: slab_compat.h is for C"
#endif
#ifndef MODULE
#error "kheap: slab_compat.h is for modules"
#endif

/*
 * From here on "struct kmem_cache" shall mean a cache of kheap, in the module.
 * To the kernel it must mean what it always did, so every header of the kernel
 * with these words comes first: passing one for the other is then an error of
 * type. Not those of file systems and drivers (<linux/jbd2.h>), whose own caches
 * they declare. scripts/check.d/45-slab-compat knows which are left out, and
 * looks for new ones.
 */
#include <linux/slab.h>
#include <linux/bio.h>
#include <linux/delayacct.h>
#include <linux/export.h>
#include <linux/fault-inject.h>
#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/iocontext.h>
#include <linux/kasan.h>
#include <linux/kfence.h>
#include <linux/kmsan.h>
#ifdef CONFIG_X86
#include <linux/kvm_types.h>
#endif
#include <linux/lru_cache.h>
#include <linux/memcontrol.h>
#include <linux/mempool.h>
#include <linux/perf_event.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/taskstats_kern.h>
#include <linux/version.h>
#include <trace/events/kmem.h>
#ifdef CONFIG_INET
#include <net/9p/9p.h>
#include <net/9p/client.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
#include <net/hotdata.h>
#endif
#include <net/inet_frag.h>
#include <net/inet_hashtables.h>
#include <net/request_sock.h>
#include <net/sock.h>
#include <net/timewait_sock.h>
#endif

#include <kheap/kheap.h>
#include <kheap/slab_calls.h>

/*
 * A source may define these before its first header; all of ours are behind it
 * now. One that does says so with -DKHEAP_OWN_PR_FMT, because there is no way
 * to find out, and a second definition is warned of.
 */
#ifdef KHEAP_OWN_PR_FMT
#undef pr_fmt
#endif
#ifdef KHEAP_OWN_DEV_FMT
#undef dev_fmt
#endif

/* --- Caches of kheap ---------------------------------------------------- */

/*
 * __GFP_ACCOUNT goes: SLUB charges objects, kheap pages, and those of a cache
 * are all charged, with SLAB_ACCOUNT, or none of them is.
 */
static __always_inline __malloc void *
kheap_slab_alloc(struct kheap_cache *cache, gfp_t gfp)
{
	void *object = kheap_cache_alloc(cache, gfp & ~__GFP_ACCOUNT);

	if (unlikely(!object) && (gfp & __GFP_NOFAIL))
		return kheap_slab_alloc_nofail(cache, gfp & ~__GFP_ACCOUNT);
	return object;
}

static inline __malloc void *
kheap_slab_alloc_lru(struct kheap_cache *cache, struct list_lru *lru, gfp_t gfp)
{
	void *object = kheap_slab_alloc(cache, gfp);

	if (likely(object) && lru &&
	    unlikely(!kheap_slab_join_lru(object, lru, gfp))) {
		kheap_cache_free(cache, object);
		return NULL;
	}
	return object;
}

static inline __malloc void *
kheap_slab_alloc_node(struct kheap_cache *cache, gfp_t gfp, int node)
{
	void *object;

	object = kheap_cache_alloc_node(cache, gfp & ~__GFP_ACCOUNT, node);
	if (unlikely(!object) && (gfp & __GFP_NOFAIL))
		return kheap_slab_alloc_nofail(cache, gfp & ~__GFP_ACCOUNT);
	return object;
}

static inline int kheap_slab_alloc_bulk(struct kheap_cache *cache, gfp_t gfp,
					size_t nr, void **objects)
{
	return kheap_cache_alloc_bulk(cache, gfp & ~__GFP_ACCOUNT, nr, objects);
}

static inline unsigned int kheap_slab_size(struct kheap_cache *cache)
{
	return kheap_cache_size(cache);
}

/* --- Caches of the kernel's, which a module may use as well ------------- */

typedef struct kmem_cache kheap_real_cache;

static __always_inline __malloc void *
kheap_real_alloc(kheap_real_cache *cache, gfp_t gfp)
{
	return kmem_cache_alloc(cache, gfp);
}

static inline __malloc void *
kheap_real_alloc_lru(kheap_real_cache *cache, struct list_lru *lru, gfp_t gfp)
{
	return kmem_cache_alloc_lru(cache, lru, gfp);
}

static inline __malloc void *
kheap_real_alloc_node(kheap_real_cache *cache, gfp_t gfp, int node)
{
	return kmem_cache_alloc_node(cache, gfp, node);
}

static inline int kheap_real_alloc_bulk(kheap_real_cache *cache, gfp_t gfp,
					size_t nr, void **objects)
{
	return kmem_cache_alloc_bulk(cache, gfp, nr, objects);
}

/* --- Memory that may be of either --------------------------------------- */

static inline void kheap_slab_kfree(const void *ptr)
{
	if (!kheap_slab_free(ptr))
		kfree(ptr);
}

static inline void kheap_slab_kvfree(const void *ptr)
{
	if (!kheap_slab_free(ptr))
		kvfree(ptr);
}

static inline void kheap_slab_kfree_sensitive(const void *ptr)
{
	if (!kheap_slab_free_sensitive(ptr))
		kfree_sensitive(ptr);
}

static inline void kheap_slab_kvfree_sensitive(const void *ptr, size_t size)
{
	if (!kheap_slab_free_sensitive(ptr))
		kvfree_sensitive(ptr, size);
}

static inline size_t kheap_either_ksize(const void *ptr)
{
	return kheap_slab_ksize(ptr) ?: ksize(ptr);
}

/* As SLUB, where no cache stands for memory of any. */
static inline void kheap_slab_free_bulk(struct kheap_cache *cache, size_t nr,
					void **objects)
{
	size_t i;

	if (cache)
		kheap_cache_free_bulk(cache, nr, objects);
	else
		for (i = 0; i < nr; i++)
			kheap_slab_kfree(objects[i]);
}

static inline void kheap_slab_kfree_bulk(size_t nr, void **objects)
{
	kheap_slab_free_bulk(NULL, nr, objects);
}

/* --- New blocks, and those that grow, as the file's kmalloc() has them --- */

#ifdef KHEAP_SLAB_KMALLOC
/* What is too large, or asked for too early or from a zone, is kmalloc()'s. */
static inline __malloc void *kheap_slab_kmalloc(size_t size, gfp_t gfp, int node)
{
	static struct kheap *kheap_slab_heap;
	struct kheap *heap = READ_ONCE(kheap_slab_heap);

	if (unlikely(size == SIZE_MAX))	/* size_mul() overflowed */
		return NULL;
	if (unlikely(!heap)) {
		heap = kheap_slab_heap_of(THIS_MODULE, gfp);
		WRITE_ONCE(kheap_slab_heap, heap);
	}
	if (unlikely(!heap || !size || size > KHEAP_MEDIUM_MAX ||
		     (gfp & GFP_ZONEMASK)))
		return kmalloc_node(size, gfp, node);
	return kheap_alloc_node(heap, size, gfp, node) ?:
	       gfp & __GFP_NOFAIL ? kmalloc_node(size, gfp, node) : NULL;
}

static inline void *kheap_slab_new_block(size_t size, gfp_t gfp)
{
	return kheap_slab_kmalloc(size, gfp, NUMA_NO_NODE);
}
#else
static inline void *kheap_slab_new_block(size_t size, gfp_t gfp)
{
	return kmalloc(size, gfp);
}
#endif

static inline __must_check void *
kheap_slab_krealloc(const void *ptr, size_t size, gfp_t gfp)
{
	if (kheap_slab_ksize(ptr))
		return kheap_slab_resize(ptr, size, gfp, kheap_slab_new_block);
#ifdef KHEAP_SLAB_KMALLOC
	if (size && ZERO_OR_NULL_PTR(ptr))
		return kheap_slab_new_block(size, gfp);
#endif
	return krealloc(ptr, size, gfp);
}

static inline __must_check void *
kheap_slab_krealloc_array(void *ptr, size_t nr, size_t size, gfp_t gfp)
{
	size_t bytes;

	if (unlikely(check_mul_overflow(nr, size, &bytes)))
		return NULL;
	return kheap_slab_krealloc(ptr, bytes, gfp);
}

static inline void *kheap_slab_kvmalloc(size_t size, gfp_t gfp)
{
	return kvmalloc(size, gfp);
}

/* Since v6.12 (commit 590b9d576cae) without the size of old. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
static inline __must_check void *
kheap_slab_kvrealloc(const void *ptr, size_t old, size_t size, gfp_t gfp)
{
	void *resized;

	if (old >= size || !kheap_slab_ksize(ptr))
		return kvrealloc(ptr, old, size, gfp);
	resized = kheap_slab_resize(ptr, size, gfp, kheap_slab_kvmalloc);
	if (resized && (gfp & __GFP_ZERO))
		memset(resized + old, 0, size - old);
	return resized;
}
#else
static inline __must_check void *
kheap_slab_kvrealloc(const void *ptr, size_t size, gfp_t gfp)
{
	if (kheap_slab_ksize(ptr))
		return kheap_slab_resize(ptr, size, gfp, kheap_slab_kvmalloc);
	return kvrealloc(ptr, size, gfp);
}
#endif

/* --- Memory pools: the element functions get their cache as an untyped pointer --- */

static inline void *kheap_slab_mempool_alloc(gfp_t gfp, void *cache)
{
	return kheap_slab_alloc(cache, gfp);
}

static inline void kheap_slab_mempool_free(void *object, void *cache)
{
	kheap_cache_free(cache, object);
}

static inline mempool_t *kheap_slab_mempool_create(int nr,
						   struct kheap_cache *cache)
{
	return mempool_create(nr, kheap_slab_mempool_alloc,
			      kheap_slab_mempool_free, cache);
}

static inline int kheap_slab_mempool_init(mempool_t *pool, int nr,
					  struct kheap_cache *cache)
{
	return mempool_init(pool, nr, kheap_slab_mempool_alloc,
			    kheap_slab_mempool_free, cache);
}

static inline mempool_t *kheap_real_mempool_create(int nr,
						   kheap_real_cache *cache)
{
	return mempool_create_slab_pool(nr, cache);
}

static inline int kheap_real_mempool_init(mempool_t *pool, int nr,
					  kheap_real_cache *cache)
{
	return mempool_init_slab_pool(pool, nr, cache);
}

#define mempool_alloc_slab	kheap_slab_mempool_alloc
#define mempool_free_slab	kheap_slab_mempool_free

#undef mempool_create_slab_pool
#define mempool_create_slab_pool(nr, cache)				\
	kheap_either(cache, mempool_create)(nr, cache)

#undef mempool_init_slab_pool
#define mempool_init_slab_pool(pool, nr, cache)				\
	kheap_either(cache, mempool_init)(pool, nr, cache)

/* --- The names that the module knows ------------------------------------ */

#undef kmem_cache
#define kmem_cache	kheap_cache

/* What the type of @cache makes of a function; untyped ones are kheap's. */
#define kheap_either(cache, name)					\
	_Generic((cache), kheap_real_cache *: kheap_real_##name,	\
		 default: kheap_slab_##name)

/* Since v6.12 (commit b2e7456b5c25) a struct may hold the arguments. */
#ifdef kmem_cache_create
static inline struct kheap_cache *
kheap_slab_create_args(struct module *owner, const char *name,
		       unsigned int size, struct kmem_cache_args *args,
		       slab_flags_t flags)
{
	static const struct kmem_cache_args defaults;
	const struct kmem_cache_args *known = args ?: &defaults;

	return kheap_slab_create(owner, name, size, known->align, flags,
				 known->ctor);
}

static inline struct kheap_cache *
kheap_slab_create_default(struct module *owner, const char *name,
			  unsigned int size, void *none, slab_flags_t flags)
{
	return kheap_slab_create(owner, name, size, 0, flags, NULL);
}

#undef kmem_cache_create
#define kmem_cache_create(name, size, args, ...)			\
	_Generic((args),						\
		 struct kmem_cache_args *: kheap_slab_create_args,	\
		 void *: kheap_slab_create_default,			\
		 default: kheap_slab_create)(THIS_MODULE, name, size,	\
					     args, __VA_ARGS__)
#else
#define kmem_cache_create(name, size, align, flags, ctor)		\
	kheap_slab_create(THIS_MODULE, name, size, align, flags, ctor)
#endif

/* Memory of a heap may be copied to and from user space in one piece. */
#define kmem_cache_create_usercopy(name, size, align, flags, offset, bytes, \
				   ctor)				\
	((void)(offset), (void)(bytes),					\
	 kheap_slab_create(THIS_MODULE, name, size, align, flags, ctor))

#undef KMEM_CACHE
#define KMEM_CACHE(type, flags)						\
	kheap_slab_create(THIS_MODULE, #type, sizeof(struct type),	\
			  __alignof__(struct type), flags, NULL)

#undef KMEM_CACHE_USERCOPY
#define KMEM_CACHE_USERCOPY(type, flags, field)				\
	((void)offsetof(struct type, field), KMEM_CACHE(type, flags))

#define kmem_cache_destroy(cache)	kheap_slab_destroy(cache)
#define kmem_cache_shrink(cache)	kheap_slab_shrink(cache)
#define kmem_cache_size(cache)		kheap_slab_size(cache)

#undef kmem_cache_alloc
#define kmem_cache_alloc(cache, gfp)					\
	kheap_either(cache, alloc)(cache, gfp)

#undef kmem_cache_zalloc
#define kmem_cache_zalloc(cache, gfp)					\
	kheap_either(cache, alloc)(cache, (gfp) | __GFP_ZERO)

#undef kmem_cache_alloc_lru
#define kmem_cache_alloc_lru(cache, lru, gfp)				\
	kheap_either(cache, alloc_lru)(cache, lru, gfp)

#undef kmem_cache_alloc_node
#define kmem_cache_alloc_node(cache, gfp, node)				\
	kheap_either(cache, alloc_node)(cache, gfp, node)

#undef kmem_cache_alloc_bulk
#define kmem_cache_alloc_bulk(cache, gfp, nr, objects)			\
	kheap_either(cache, alloc_bulk)(cache, gfp, nr, objects)

#undef alloc_inode_sb
#define alloc_inode_sb(sb, cache, gfp)					\
	kmem_cache_alloc_lru(cache, &(sb)->s_inode_lru, gfp)

#define kmem_cache_free(cache, object)					\
	_Generic((cache), kheap_real_cache *: kmem_cache_free,		\
		 default: kheap_cache_free)(cache, object)

#define kmem_cache_free_bulk(cache, nr, objects)			\
	_Generic((cache), kheap_real_cache *: kmem_cache_free_bulk,	\
		 default: kheap_slab_free_bulk)(cache, nr, objects)

/*
 * SLUB allows kfree() of any cache's object, by a pointer to kfree(), too. What
 * is not ours goes to it.
 */
#define kfree			kheap_slab_kfree
#define kvfree			kheap_slab_kvfree
#define kfree_sensitive		kheap_slab_kfree_sensitive
#define kvfree_sensitive	kheap_slab_kvfree_sensitive
#define kfree_bulk		kheap_slab_kfree_bulk
#define ksize			kheap_either_ksize

/* A file may be given what another one had from its kmalloc(). */
#undef krealloc
#define krealloc		kheap_slab_krealloc
#undef krealloc_array
#define krealloc_array		kheap_slab_krealloc_array
#undef kvrealloc
#define kvrealloc		kheap_slab_kvrealloc

/* What __free(kfree) makes of the name, since v6.5 (<linux/cleanup.h>). */
#ifdef DEFINE_FREE
DEFINE_FREE(kheap_slab_kfree, void *, if (!IS_ERR_OR_NULL(_T))
					     kheap_slab_kfree(_T))
DEFINE_FREE(kheap_slab_kvfree, void *, if (!IS_ERR_OR_NULL(_T))
					      kheap_slab_kvfree(_T))
DEFINE_FREE(kheap_slab_kfree_sensitive, void *,
	    if (!IS_ERR_OR_NULL(_T)) kheap_slab_kfree_sensitive(_T))
#define __free_kfree		__free_kheap_slab_kfree
#define __free_kvfree		__free_kheap_slab_kvfree
#define __free_kfree_sensitive	__free_kheap_slab_kfree_sensitive
#endif

#define kheap_slab_rcu_2(ptr, rhf)					\
do {									\
	typeof(ptr) _ptr = (ptr);					\
									\
	if (!kheap_slab_free_rcu(_ptr))					\
		kvfree_rcu_arg_2(_ptr, rhf);				\
} while (0)

#define kheap_slab_rcu_1(ptr)						\
do {									\
	typeof(ptr) _obj = (ptr);					\
									\
	if (!kheap_slab_free_rcu(_obj))					\
		kvfree_rcu_arg_1(_obj);					\
} while (0)

#define kheap_slab_rcu_pick(_1, _2, name, ...)	name

/* Up to v6.12 the second argument may be missing. */
#undef kfree_rcu
#define kfree_rcu(...)							\
	kheap_slab_rcu_pick(__VA_ARGS__, kheap_slab_rcu_2,		\
			    kheap_slab_rcu_1)(__VA_ARGS__)
#undef kvfree_rcu
#define kvfree_rcu(...)			kfree_rcu(__VA_ARGS__)
#undef kfree_rcu_mightsleep
#define kfree_rcu_mightsleep(ptr)	kheap_slab_rcu_1(ptr)
#undef kvfree_rcu_mightsleep
#define kvfree_rcu_mightsleep(ptr)	kheap_slab_rcu_1(ptr)

/* --- kmalloc(), only where a file asks for it --------------------------- */

/*
 * With -DKHEAP_SLAB_KMALLOC. Memory of a heap must not be given to anybody who
 * frees it with the kernel's own kfree(), which only the author of a file can
 * know of it.
 */
#ifdef KHEAP_SLAB_KMALLOC
#undef kmalloc
#define kmalloc(size, gfp)	kheap_slab_kmalloc(size, gfp, NUMA_NO_NODE)
#undef kmalloc_node
#define kmalloc_node(size, gfp, node)	kheap_slab_kmalloc(size, gfp, node)
#undef kzalloc
#define kzalloc(size, gfp)		kmalloc(size, (gfp) | __GFP_ZERO)
#undef kzalloc_node
#define kzalloc_node(size, gfp, node)					\
	kmalloc_node(size, (gfp) | __GFP_ZERO, node)
#undef kmalloc_array
#define kmalloc_array(nr, size, gfp)	kmalloc(size_mul(nr, size), gfp)
#undef kcalloc
#define kcalloc(nr, size, gfp)		kzalloc(size_mul(nr, size), gfp)
#endif /* KHEAP_SLAB_KMALLOC */

#endif /* _KHEAP_SLAB_COMPAT_H */
