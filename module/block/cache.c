// SPDX-License-Identifier: GPL-2.0
/*
 * Fixed-size caches: a class with a name, an alignment and a constructor.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cache.h>
#include <linux/log2.h>
#include <linux/module.h>

#include "block/alloc.h"

/* Find a cache or a type by name; under heap->base.mutex. */
struct kheap_class *kheap_class_find(struct kheap *heap, const char *name)
{
	struct kheap_class *class;

	lockdep_assert_held(&heap->base.mutex);
	list_for_each_entry(class, &heap->block.class_list, list)
		if (class->name && !strcmp(class->name, name))
			return class;
	return NULL;
}

/* The alignment that the flags ask for, at least @align. */
static size_t wanted_align(size_t size, size_t align, unsigned int flags)
{
	size_t line = cache_line_size();

	align = max_t(size_t, align, 1 << KHEAP_BLOCK_SHIFT);
	if (!(flags & KHEAP_CACHE_HWALIGN))
		return align;
	while (size <= line / 2)
		line /= 2;
	return max(align, line);
}

struct kheap_cache *kheap_cache_create(struct kheap *heap, const char *name,
				       size_t size, size_t align,
				       unsigned int flags,
				       void (*ctor)(void *object))
{
	struct kheap_cache *cache;
	int err = 0;

	might_sleep();
	static_assert(!offsetof(struct kheap_cache, class));
	if (!kheap_name_valid(name) || !size || size > KHEAP_CACHE_SIZE_MAX ||
	    (align && !is_power_of_2(align)) || align > KHEAP_CACHE_ALIGN_MAX ||
	    (flags & ~KHEAP_CACHE_FLAGS_ALL))
		return ERR_PTR(-EINVAL);
	cache = kheap_meta_alloc(heap, struct_size(cache, class.node,
						   nr_node_ids),
				 GFP_KERNEL, NUMA_NO_NODE);
	if (!cache)
		return ERR_PTR(-ENOMEM);
	err = kheap_class_init(&cache->class, heap, name, size,
			       wanted_align(size, align, flags), ctor);
	cache->class.rcu = flags & KHEAP_CACHE_RCU;
	cache->class.slow_free |= cache->class.rcu;
	if (!err) {
		mutex_lock(&heap->base.mutex);
		if (kheap_class_find(heap, name))
			err = -EEXIST;
		else
			kheap_class_publish(&cache->class);
		mutex_unlock(&heap->base.mutex);
	}
	if (err) {
		kheap_class_free(&cache->class);
		return ERR_PTR(err);
	}
	kheap_cpu_caches_setup(&cache->class, GFP_KERNEL);
	return cache;
}
EXPORT_SYMBOL_GPL(kheap_cache_create);

void kheap_cache_destroy(struct kheap_cache *cache)
{
	struct kheap_class_stats stats;
	struct kheap_class *class;
	struct kheap *heap;

	if (IS_ERR_OR_NULL(cache))
		return;
	might_sleep();
	class = &cache->class;
	heap = class->heap;
	kheap_rcu_flush(heap);
	kheap_finish_deferred(heap);
	kheap_class_get_stats(class, &stats);
	if (stats.nr_allocated)
		pr_warn("heap '%s': cache '%s' destroyed with %lu live objects, %zu bytes\n",
			heap->base.name, class->name, stats.nr_allocated,
			(size_t)stats.nr_allocated * class->size);
	if (stats.nr_allocated)
		kheap_reporter->sites(heap, class);
	kheap_watcher->forget(class);
	mutex_lock(&heap->base.mutex);
	kheap_watcher->class_end(class);
	kheap_class_purge(class);
	kheap_class_exit(class);
	mutex_unlock(&heap->base.mutex);
	kheap_class_free(class);
}
EXPORT_SYMBOL_GPL(kheap_cache_destroy);

static noinline void *alloc_missed(struct kheap_class *class, gfp_t gfp)
{
	void *block = kheap_class_alloc_missed(class, class->usable, gfp,
					       NUMA_NO_NODE, _RET_IP_);

	return block ? kheap_finish_alloc(class, block, class->usable, gfp) :
		       NULL;
}

void *__kheap_cache_alloc(struct kheap_cache *cache, gfp_t gfp)
{
	struct kheap_class *class = &cache->class;
	void *block;

	kheap_might_alloc(gfp);
	block = kheap_pop(class, class->mark_offset);
	if (unlikely(!block))
		return alloc_missed(class, gfp);
	return kheap_finish_alloc(class, block, class->usable, gfp);
}
EXPORT_SYMBOL_GPL(__kheap_cache_alloc);

/* Flags that are refused, or an explicit wish for zeroes. */
void *__kheap_cache_alloc_unusual(struct kheap_cache *cache, gfp_t gfp)
{
	struct kheap_class *class = &cache->class;

	if (!(gfp & class->bad_gfp))
		return __kheap_cache_alloc(cache, gfp);
	kheap_refuse(class->heap, KHEAP_BAD_GFP, NULL, class);
	return NULL;
}
EXPORT_SYMBOL_GPL(__kheap_cache_alloc_unusual);

void *kheap_cache_alloc_node(struct kheap_cache *cache, gfp_t gfp, int node)
{
	struct kheap_class *class = &cache->class;
	void *block;

	if (!kheap_node_exists(node) || node == numa_mem_id() ||
	    (gfp & class->bad_gfp))
		return kheap_cache_alloc(cache, gfp);
	block = kheap_class_alloc_missed(class, class->usable, gfp, node,
					 _RET_IP_);
	return block ? kheap_finish_alloc(class, block, class->usable, gfp) :
		       NULL;
}
EXPORT_SYMBOL_GPL(kheap_cache_alloc_node);

size_t kheap_cache_size(const struct kheap_cache *cache)
{
	return cache->class.usable;
}
EXPORT_SYMBOL_GPL(kheap_cache_size);

/**
 * kheap_cache_shrink() - give back what holds no object of a cache
 * @class: the cache's class
 *
 * Context: Process context. May sleep.
 */
void kheap_cache_shrink(struct kheap_class *class)
{
	struct kheap *heap = class->heap;

	kheap_rcu_flush(heap);
	kheap_finish_deferred(heap);
	mutex_lock(&heap->base.mutex);
	kheap_class_drain(class, false);
	kheap_arenas_trim(heap);
	mutex_unlock(&heap->base.mutex);
}

/**
 * kheap_class_free_unusual() - free what a fast path does not know
 * @class: the class of a cache or type
 * @ptr: an object whose pool needs questions, one of a cache with
 *	%KHEAP_CACHE_RCU; or NULL, or a bad pointer
 *
 * Context: Any context, no kheap lock held.
 */
noinline void kheap_class_free_unusual(struct kheap_class *class,
				       const void *ptr)
{
	struct kheap_pool *pool;

	if (class->rcu && kheap_rcu_park(class, ptr))
		return;
	if (!class->rcu && kheap_owned_pool(ptr, &class->tag, &pool) &&
	    kheap_block_claim(class, pool, ptr))
		return kheap_class_free_careful(class, (void *)ptr);
	kheap_class_refuse_free(class, ptr);
}

void kheap_cache_free(struct kheap_cache *cache, void *ptr)
{
	struct kheap_class *class = &cache->class;
	const struct page *page = kheap_owned_page(ptr, &class->tag);

	if (unlikely(!page) || unlikely(!kheap_block_at(class, page, ptr)) ||
	    unlikely(!kheap_give(class, ptr, class->mark_offset)))
		kheap_class_free_unusual(class, ptr);
}
EXPORT_SYMBOL_GPL(kheap_cache_free);
