// SPDX-License-Identifier: GPL-2.0
/*
 * Memory: the entry points that clients call for blocks of any size.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kmemleak.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "block/alloc.h"

/* Largest request that is passed on; above INT_MAX kvmalloc() itself warns. */
#define LARGEST_REQUEST	((size_t)INT_MAX & PAGE_MASK)

static unsigned int size_to_words(size_t size)
{
	return (size + (1 << KHEAP_BLOCK_SHIFT) - 1) >> KHEAP_BLOCK_SHIFT;
}

/* In NMI, only a class that there is. */
static struct kheap_class *class_of_size(struct kheap *heap, size_t size,
					 gfp_t gfp)
{
	unsigned int szidx = kheap_size_szidx(size);
	struct kheap_class *class;

	if (likely(!in_nmi()))
		return kheap_size_class(heap, szidx, gfp);
	class = READ_ONCE(heap->block.classes[szidx]);
	return class != &kheap_cold_class ? class : NULL;
}

/**
 * kheap_size_class_or_fail() - the class for a size, whatever has to be tried
 * @heap: the heap
 * @size: bytes, up to %KHEAP_MEDIUM_MAX
 * @gfp: the request's flags
 *
 * Context: As the request's.
 * Return: The class, or NULL; then the request has failed, and is counted.
 */
struct kheap_class *kheap_size_class_or_fail(struct kheap *heap, size_t size,
					     gfp_t gfp)
{
	size_t bytes = kmalloc_size_roundup(kheap_size_class_bytes());
	struct kheap_class *class;
	unsigned int step = 0;

	do
		class = class_of_size(heap, size, gfp);
	while (!class && kheap_reliever->relieve(heap, bytes, gfp, &step));
	if (!class)
		kheap_alloc_failed(heap, NULL, bytes, gfp);
	return class;
}

static noinline void *alloc_missed(struct kheap *heap, size_t size, gfp_t gfp,
				   int nid, unsigned long caller)
{
	struct kheap_class *class = kheap_size_class_or_fail(heap, size, gfp);
	void *block;

	if (!class)
		return NULL;
	block = kheap_class_alloc_missed(class, size, gfp, nid, caller);
	return block ? kheap_finish_alloc(class, block, size, gfp) : NULL;
}

/* The bytes that were asked for, of what the header makes of a constant. */
static size_t words_size(unsigned long words)
{
	return (words << KHEAP_BLOCK_SHIFT) - (words >> KHEAP_SLACK_SHIFT);
}

/* Both take what the fast paths have in registers, which save none for them. */
static noinline void *words_missed(struct kheap *heap, unsigned long words,
				   gfp_t gfp)
{
	return alloc_missed(heap, words_size(words), gfp, NUMA_NO_NODE,
			    _RET_IP_);
}

static noinline void *size_missed(struct kheap *heap, size_t size, gfp_t gfp)
{
	return alloc_missed(heap, size, gfp, NUMA_NO_NODE, _RET_IP_);
}

/* What kheap_alloc() calls for zone flags. */
void *__kheap_refuse_gfp(struct kheap *heap)
{
	kheap_refuse(heap, KHEAP_BAD_GFP, NULL, NULL);
	return NULL;
}
EXPORT_SYMBOL_GPL(__kheap_refuse_gfp);

/*
 * The scaling of the index drops the bits from KHEAP_SLACK_SHIFT on. Through a
 * pointer: kernels with CONFIG_UBSAN_BOUNDS compare each index of an array. A
 * class can take the place of the cold one meanwhile, and none the place of it;
 * a volatile load would be an instruction more.
 */
static __always_inline struct kheap_class *
class_of_words(struct kheap *heap, unsigned long words)
{
	struct kheap_class **classes = heap->block.by_words;

	static_assert(sizeof(*heap->block.by_words) << KHEAP_SLACK_SHIFT == 0);
	return data_race(classes[words]); /* as said above */
}

void *__kheap_alloc_words(struct kheap *heap, unsigned long words, gfp_t gfp)
{
	struct kheap_class *class = class_of_words(heap, words);
	void *block;

	kheap_might_alloc(gfp);
	block = kheap_pop(class, 0);
	if (unlikely(!block))
		return words_missed(heap, words, gfp);
	return kheap_finish_popped(class, block, words_size(words), gfp, 1);
}
EXPORT_SYMBOL_GPL(__kheap_alloc_words);

static noinline void *alloc_large(struct kheap *heap, size_t size, gfp_t gfp,
				  int nid, unsigned long caller)
{
	if (unlikely(size > LARGEST_REQUEST)) {
		if (!(gfp & __GFP_NOWARN))
			kheap_refuse(heap, KHEAP_BAD_SIZE, NULL, NULL);
		return NULL;
	}
	return kheap_large_alloc(heap, size, gfp, nid, caller);
}

/* @words: which of the heap's classes is the one for @size */
static __always_inline void *alloc_size(struct kheap *heap, size_t size,
					unsigned long words, gfp_t gfp)
{
	struct kheap_class *class = class_of_words(heap, words);
	void *block;

	kheap_might_alloc(gfp);
	block = kheap_pop(class, 0);
	if (unlikely(!block))
		return size_missed(heap, size, gfp);
	return kheap_finish_popped(class, block, size, gfp, 1);
}

static noinline void *alloc_medium(struct kheap *heap, size_t size, gfp_t gfp)
{
	if (size > KHEAP_MEDIUM_MAX)
		return alloc_large(heap, size, gfp, NUMA_NO_NODE, _RET_IP_);
	return alloc_size(heap, size, kheap_medium_szidx(size) + 1, gfp);
}

void *__kheap_alloc(struct kheap *heap, size_t size, gfp_t gfp)
{
	if (unlikely(size > KHEAP_BLOCK_MAX))
		return alloc_medium(heap, size, gfp);
	return alloc_size(heap, size, size_to_words(size), gfp);
}
EXPORT_SYMBOL_GPL(__kheap_alloc);

void *kheap_alloc_node(struct kheap *heap, size_t size, gfp_t gfp, int node)
{
	if (unlikely(gfp & GFP_ZONEMASK))
		return __kheap_refuse_gfp(heap);
	if (!kheap_node_exists(node))
		return __kheap_alloc(heap, size, gfp);
	if (size > KHEAP_MEDIUM_MAX)
		return alloc_large(heap, size, gfp, node, _RET_IP_);
	if (node == numa_mem_id())
		return __kheap_alloc(heap, size, gfp);
	return alloc_missed(heap, size, gfp, node, _RET_IP_);
}
EXPORT_SYMBOL_GPL(kheap_alloc_node);

void *kheap_calloc(struct kheap *heap, size_t n, size_t size, gfp_t gfp)
{
	size_t bytes;

	if (check_mul_overflow(n, size, &bytes)) {
		if (!(gfp & __GFP_NOWARN))
			kheap_refuse(heap, KHEAP_BAD_SIZE, NULL, NULL);
		return NULL;
	}
	return kheap_alloc(heap, bytes, gfp | __GFP_ZERO);
}
EXPORT_SYMBOL_GPL(kheap_calloc);

/* Blocks that need questions, large ones, and what is wrong with others. */
static noinline void free_unusual(struct kheap *heap, const void *ptr)
{
	struct kheap_pool *pool;

	if (!ptr)
		return;
	if (kheap_owned_pool(ptr, &heap->block.tag, &pool) &&
	    kheap_block_claim(pool->class, pool, ptr))
		kheap_class_free_careful(pool->class, (void *)ptr);
	else if (!kheap_large_free(heap, ptr, _RET_IP_))
		kheap_refuse_free(heap, ptr);
}

void kheap_free(struct kheap *heap, const void *ptr)
{
	const struct page *page = kheap_owned_page(ptr, &heap->block.tag);
	struct kheap_class *class;

	if (unlikely(!page))
		return free_unusual(heap, ptr);
	class = kheap_page_class(heap, page);
	if (unlikely(!kheap_block_at(class, page, ptr)) ||
	    unlikely(!kheap_give(class, (void *)ptr, 0)))
		free_unusual(heap, ptr);
}
EXPORT_SYMBOL_GPL(kheap_free);

/*
 * Usable bytes of an allocated block of @heap; 0 and a report if it is none.
 * Then KASAN lets all of them be used, as it did after ksize().
 */
static size_t usable_or_refuse(struct kheap *heap, const void *ptr)
{
	struct kheap_pool *pool;
	unsigned long idx;
	size_t size;

	if (kheap_owned_pool(ptr, &heap->block.tag, &pool) &&
	    kheap_block_index(pool->class, pool, ptr, &idx) &&
	    kheap_block_is_allocated(pool->class, pool, idx)) {
		kheap_kasan_mark(pool->class, (void *)ptr, KHEAP_KASAN_LIVE);
		return pool->class->debug ?
		       kheap_watcher->usable(pool->class, ptr) :
		       pool->class->usable;
	}
	/* Large blocks are found under a lock, which an NMI may have come into. */
	if (in_nmi())
		return 0;
	size = kheap_large_size(heap, ptr);
	if (!size)
		kheap_refuse_free(heap, ptr);
	return size;
}

/* A block that is now @size bytes long, and has not moved. */
static void *resized(struct kheap *heap, void *ptr, size_t size)
{
	struct kheap_pool *pool;

	if ((IS_ENABLED(CONFIG_KASAN_GENERIC) || IS_ENABLED(CONFIG_KMSAN)) &&
	    kheap_owned_pool(ptr, &heap->block.tag, &pool)) {
		kheap_kasan_bound(pool->class, ptr, size);
		kheap_kmsan_bound(pool->class, ptr, size);
	}
	if (unlikely(READ_ONCE(heap->base.watch)))
		kheap_watcher->resized(heap, ptr, size);
	return ptr;
}

size_t kheap_usable_size(struct kheap *heap, const void *ptr)
{
	return ptr ? usable_or_refuse(heap, ptr) : 0;
}
EXPORT_SYMBOL_GPL(kheap_usable_size);

void *kheap_realloc(struct kheap *heap, void *ptr, size_t size, gfp_t gfp)
{
	size_t usable;
	void *moved;

	if (!ptr)
		return kheap_alloc(heap, size, gfp);
	usable = usable_or_refuse(heap, ptr);
	if (!usable)
		return NULL;
	/* CPython's rule: stay unless a quarter or more can be given back. */
	if (size <= usable &&
	    (4 * size > 3 * usable || usable == 1 << KHEAP_BLOCK_SHIFT))
		return resized(heap, ptr, size);
	moved = kheap_alloc(heap, size, size <= usable ?
			    gfp | __GFP_NOWARN : gfp);
	if (!moved)
		return size <= usable ? resized(heap, ptr, size) : NULL;
	memcpy(moved, ptr, min(size, usable));
	kheap_free(heap, ptr);
	return moved;
}
EXPORT_SYMBOL_GPL(kheap_realloc);
