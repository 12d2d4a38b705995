/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Private heaps for kernel modules: heaps, memory and fixed-size caches.
 * The long story, with the terms used here, is in Documentation/design.rst.
 */
#ifndef _KHEAP_KHEAP_H
#define _KHEAP_KHEAP_H

#include <linux/gfp.h>
#include <linux/mm_types.h>
#include <linux/numa.h>
#include <linux/types.h>

struct kheap;
struct kheap_cache;

/*
 * Blocks come in steps of 8 bytes up to 512, and from there to 8192 in
 * four steps a doubling; what is larger is a large block.
 */
#define KHEAP_BLOCK_SHIFT	3
#define KHEAP_BLOCK_MAX		512
#define KHEAP_NR_SIZE_CLASSES	(KHEAP_BLOCK_MAX >> KHEAP_BLOCK_SHIFT)
#define KHEAP_MEDIUM_MAX	8192
#define KHEAP_NR_MEDIUM_CLASSES	16

/* Longest name of a heap, a cache or a type, without the final NUL. */
#define KHEAP_NAME_MAX		63

/*
 * Largest size and alignment of a fixed-size cache's objects, in bytes: six pages
 * of 4 KiB, on a kernel with pages of 64 KiB half a page. One must fit in a pool
 * with all that is put around it.
 */
#define KHEAP_CACHE_SIZE_MAX	(PAGE_SIZE < 65536 ? 24576 : PAGE_SIZE / 2)
#define KHEAP_CACHE_ALIGN_MAX	PAGE_SIZE

/**
 * enum kheap_flags - properties of a heap, given to kheap_create()
 * @KHEAP_NO_CPU_CACHE: serve every request from the pools, under the class
 *	lock. For heaps that are used rarely and should hold nothing back.
 * @KHEAP_ACCOUNT: charge every page and large block to the memory cgroup of
 *	the allocating task, as if each request had %__GFP_ACCOUNT.
 * @KHEAP_DEBUG_CONSISTENCY: check a block's pool whenever the block is allocated
 *	or freed
 * @KHEAP_DEBUG_GUARD: guard bytes before and behind each block, of a large one
 *	only behind it, looked at when it is freed. kheap_usable_size() is what was
 *	asked for.
 * @KHEAP_DEBUG_POISON: fresh memory is filled with 0xCD, dead memory with 0xDD,
 *	which is looked at when it is allocated again. Not with a constructor.
 * @KHEAP_DEBUG_USER: keep the stacks that allocated and freed each block, for
 *	reports
 * @KHEAP_DEBUG_TRACE: log each allocation and free
 */
enum kheap_flags {
	KHEAP_NO_CPU_CACHE	= 1U << 0,
	KHEAP_ACCOUNT		= 1U << 1,
	KHEAP_DEBUG_CONSISTENCY	= 1U << 8,
	KHEAP_DEBUG_GUARD	= 1U << 9,
	KHEAP_DEBUG_POISON	= 1U << 10,
	KHEAP_DEBUG_USER	= 1U << 11,
	KHEAP_DEBUG_TRACE	= 1U << 12,
};

#define KHEAP_DEBUG_ALL		(KHEAP_DEBUG_CONSISTENCY | KHEAP_DEBUG_GUARD | \
				 KHEAP_DEBUG_POISON | KHEAP_DEBUG_USER | \
				 KHEAP_DEBUG_TRACE)
#define KHEAP_FLAGS_ALL		(KHEAP_NO_CPU_CACHE | KHEAP_ACCOUNT | \
				 KHEAP_DEBUG_ALL)

/**
 * struct kheap_page_ops - where a heap's arenas come from
 * @alloc: returns 2^order physically contiguous pages of the direct map, as
 *	alloc_pages_node() does without %__GFP_COMP, or NULL. Called with the
 *	caller's @gfp, possibly in atomic context, and with no lock held.
 *	@node may be %NUMA_NO_NODE.
 * @free: takes pages back: what @alloc returned in one piece, or, after
 *	split_page(), in pieces of a lower order. No lock of kheap is held, but
 *	memory reclaim may call it: it waits for nothing that is held across an
 *	allocation.
 *
 * Large blocks do not come from here. The idea is CPython's
 * PyObject_SetArenaAllocator(); tests use it to make allocations fail.
 */
struct kheap_page_ops {
	struct page *(*alloc)(void *ctx, gfp_t gfp, unsigned int order, int node);
	void (*free)(void *ctx, struct page *page, unsigned int order);
};

/**
 * struct kheap_params - optional parameters of a heap
 * @flags: bits of &enum kheap_flags
 * @limit_bytes: most bytes the heap may hold from the system, pages, large
 *	blocks and metadata together; 0 for no limit
 * @on_limit: called when a request would exceed the limit, before it is
 *	refused, or NULL. It may free blocks of the heap; when it returns true,
 *	the request is made once more. @bytes is what was asked of the system.
 *	Called in the context of the request, under the client's locks but none
 *	of kheap's; it may sleep only if @gfp allows it, and never calls
 *	kheap_destroy(). Several CPUs may be in it at once. A request over the
 *	limit that it makes itself, or that interrupts it, is refused without
 *	a further call.
 * @limit_ctx: first argument of @on_limit
 * @page_ops: source of arenas, NULL for the page allocator; must stay valid
 *	until the heap is destroyed
 * @page_ctx: first argument of the functions in @page_ops
 */
struct kheap_params {
	unsigned int flags;
	size_t limit_bytes;
	bool (*on_limit)(void *ctx, size_t bytes, gfp_t gfp);
	void *limit_ctx;
	const struct kheap_page_ops *page_ops;
	void *page_ctx;
};

/**
 * struct kheap_stats - what a heap holds, in bytes unless named nr_
 * @held_bytes: held from the system; always the sum of the next nine
 * @allocated_bytes: blocks in the client's hands, at block size
 * @cached_bytes: free blocks in per-CPU caches
 * @free_bytes: free blocks on their pool's list
 * @virgin_bytes: blocks never yet carved from their pool
 * @quarantined_bytes: blocks that will not be used again, because their
 *	pool was found corrupted
 * @empty_bytes: pools that belong to no class
 * @tail_bytes: ends of pools too short for one more block
 * @metadata_bytes: descriptors, per-CPU arrays and the heap itself
 * @large_bytes: blocks over %KHEAP_MEDIUM_MAX, as the system rounded them
 * @peak_held_bytes: the most @held_bytes has been
 * @limit_bytes: the limit in force, 0 for none
 * @nr_allocated: blocks in the client's hands, large ones not counted
 * @nr_large: large blocks in the client's hands
 * @nr_arenas: arenas, the spare ones counted
 * @nr_pools: pools with a page behind them
 * @nr_pools_empty: those of @nr_pools that belong to no class
 * @nr_pools_quarantined: those of @nr_pools that were found corrupted
 * @nr_holes: pools whose pages went back to the system alone
 * @nr_refused: requests refused because an argument was bad
 * @nr_failed: allocations that failed for want of memory, for the limit, or
 *	because they were made to
 */
struct kheap_stats {
	size_t held_bytes;
	size_t allocated_bytes;
	size_t cached_bytes;
	size_t free_bytes;
	size_t virgin_bytes;
	size_t quarantined_bytes;
	size_t empty_bytes;
	size_t tail_bytes;
	size_t metadata_bytes;
	size_t large_bytes;
	size_t peak_held_bytes;
	size_t limit_bytes;
	unsigned long nr_allocated;
	unsigned long nr_large;
	unsigned long nr_arenas;
	unsigned long nr_pools;
	unsigned long nr_pools_empty;
	unsigned long nr_pools_quarantined;
	unsigned long nr_holes;
	unsigned long nr_refused;
	unsigned long nr_failed;
};

/**
 * kheap_create() - create a private heap
 * @name: 1 to %KHEAP_NAME_MAX characters of ``[A-Za-z0-9_.-]``, not ``.`` or
 *	``..``, unique among the heaps; copied
 * @params: optional parameters, NULL for the defaults; copied
 *
 * The caller owns the heap and ends it with kheap_destroy(). As long as it
 * exists, the kheap module cannot be removed.
 *
 * Context: Process context. May sleep.
 * Return: The heap, or an ERR_PTR(): -EINVAL for a bad name or unknown flags,
 * -EEXIST for a name in use, -ENOMEM.
 */
struct kheap *kheap_create(const char *name, const struct kheap_params *params);

/**
 * kheap_destroy() - free a heap and everything in it
 * @heap: the heap; NULL and ERR_PTR() are fine
 *
 * Blocks that are still allocated are freed with the heap and reported, by
 * class with count and bytes. Nobody may use the heap, a cache or a block of
 * it during the call or after it, but for callbacks of its objects. What their
 * finalizers make meanwhile is released with the others, and not finalized.
 *
 * Context: Process context. May sleep.
 */
void kheap_destroy(struct kheap *heap);

void *__kheap_refuse_gfp(struct kheap *heap);
void *__kheap_alloc(struct kheap *heap, size_t size, gfp_t gfp);
void *__kheap_alloc_words(struct kheap *heap, unsigned long words, gfp_t gfp);

/*
 * A constant size as __kheap_alloc_words() takes it: words of 8 bytes, and, in
 * the three bits that are lost when that becomes an index, how many bytes of
 * the last word were not asked for.
 */
#define KHEAP_SLACK_SHIFT	61
#define KHEAP_SIZE_WORDS(size)						\
	((unsigned long)((size) + 7) >> KHEAP_BLOCK_SHIFT |		\
	 (-(unsigned long)(size) & 7) << KHEAP_SLACK_SHIFT)

/**
 * kheap_alloc() - allocate memory from a heap
 * @heap: the heap
 * @size: bytes wanted; 0 counts as 1
 * @gfp: what the allocation may do; %__GFP_ZERO, %GFP_ATOMIC, %GFP_NOWAIT,
 *	%__GFP_NOWARN and %__GFP_ACCOUNT mean what they mean to kmalloc();
 *	zone flags are refused
 *
 * The block is aligned to 8 bytes, and to its size when @size is a power of
 * two of 8 bytes to two pages. A constant @size is turned into its class by the
 * compiler, and a constant @gfp is checked by it. On PREEMPT_RT, and there
 * only, a request from a context that cannot be preempted is served from pages
 * the heap already holds.
 *
 * Context: Any context; sleeps only if @gfp allows it. In NMI only what the
 * CPU's cache holds can be had.
 * Return: The block, which the caller owns, or NULL.
 */
static __always_inline __malloc void *
kheap_alloc(struct kheap *heap, size_t size, gfp_t gfp)
{
	if (unlikely(gfp & GFP_ZONEMASK))
		return __kheap_refuse_gfp(heap);
	if (__builtin_constant_p(size) && size <= KHEAP_BLOCK_MAX)
		return __kheap_alloc_words(heap, KHEAP_SIZE_WORDS(size), gfp);
	return __kheap_alloc(heap, size, gfp);
}

/**
 * kheap_zalloc() - allocate zeroed memory from a heap
 * @heap: the heap
 * @size: bytes wanted; 0 counts as 1
 * @gfp: as for kheap_alloc()
 *
 * Context: As kheap_alloc().
 * Return: The block, zeroed to its usable size, or NULL.
 */
static __always_inline __malloc void *
kheap_zalloc(struct kheap *heap, size_t size, gfp_t gfp)
{
	return kheap_alloc(heap, size, gfp | __GFP_ZERO);
}

/**
 * kheap_alloc_node() - allocate memory of one memory node
 * @heap: the heap
 * @size: bytes wanted; 0 counts as 1
 * @gfp: as for kheap_alloc(); with %__GFP_THISNODE no other node will do
 * @node: the node; %NUMA_NO_NODE for the caller's, and so is a number that is
 *	no online node's
 *
 * Context: As kheap_alloc().
 * Return: The block or NULL.
 */
void *kheap_alloc_node(struct kheap *heap, size_t size, gfp_t gfp, int node);

/**
 * kheap_calloc() - allocate a zeroed array
 * @heap: the heap
 * @n: number of elements
 * @size: bytes of one element
 * @gfp: as for kheap_alloc()
 *
 * Context: As kheap_alloc().
 * Return: The block or NULL, also when @n times @size overflows.
 */
void *kheap_calloc(struct kheap *heap, size_t n, size_t size, gfp_t gfp);

/**
 * kheap_realloc() - change the size of a block
 * @heap: the heap
 * @ptr: the block; NULL makes this kheap_alloc()
 * @size: bytes wanted; 0 counts as 1 and does not free
 * @gfp: as for kheap_alloc(); with %__GFP_ZERO what lies beyond the old
 *	block's usable size is zeroed
 *
 * The block stays where it is when the new size fits and less than a quarter
 * of the block could be given back (the rule is CPython's). Else it moves, and
 * @ptr is freed. A block that is to shrink and cannot move stays.
 *
 * Context: As kheap_alloc().
 * Return: The block, or NULL, and then @ptr is still valid and unchanged.
 */
void *kheap_realloc(struct kheap *heap, void *ptr, size_t size, gfp_t gfp);

/**
 * kheap_free() - free a block
 * @heap: the heap it was allocated from
 * @ptr: the block; NULL is fine
 *
 * A pointer that is no allocated block of @heap is refused with a report.
 *
 * Context: Any context; in NMI the block is freed a moment later. Never sleeps.
 */
void kheap_free(struct kheap *heap, const void *ptr);

/**
 * kheap_usable_size() - the number of bytes a block really has
 * @heap: the heap it was allocated from
 * @ptr: the block; NULL is fine
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: Bytes, all of which the owner may use; 0 for NULL, and, with a
 * report, for a pointer that is no allocated block of @heap.
 */
size_t kheap_usable_size(struct kheap *heap, const void *ptr);

/**
 * kheap_trim() - give back all memory that holds no allocated block
 * @heap: the heap
 *
 * Empties the per-CPU caches of all CPUs and returns every empty pool to the
 * system, page by page, the spare arenas as well.
 *
 * Context: Process context, interrupts on. May sleep.
 * Return: Bytes given back.
 */
size_t kheap_trim(struct kheap *heap);

/**
 * kheap_check() - verify every invariant of a heap
 * @heap: the heap
 *
 * May run while the heap is in use. Spinlocks are held for one class or arena
 * at a time. Blocks that wait for a grace period are freed before or after it,
 * not meanwhile; so it may wait for one.
 *
 * Context: Process context. May sleep.
 * Return: 0, or the number of violations; the first ones are in the log. -ENOMEM
 * if there is no memory to note them in.
 */
int kheap_check(struct kheap *heap);

/**
 * kheap_get_stats() - read what a heap holds
 * @heap: the heap
 * @stats: filled in; the sum stated at &struct kheap_stats holds in it
 *
 * Context: Any context except NMI. Never sleeps.
 */
void kheap_get_stats(struct kheap *heap, struct kheap_stats *stats);

/**
 * enum kheap_cache_flags - properties of a fixed-size cache
 * @KHEAP_CACHE_HWALIGN: align objects to the cache line, or, for objects
 *	smaller than half a line, to the power of two that avoids sharing one
 * @KHEAP_CACHE_RCU: an object's memory outlives a grace period: it is freed
 *	with kheap_cache_free() and not used again, nor its page given back, as
 *	long as a reader that may have found it is under rcu_read_lock(). Not to
 *	be freed in NMI.
 */
enum kheap_cache_flags {
	KHEAP_CACHE_HWALIGN	= 1U << 0,
	KHEAP_CACHE_RCU		= 1U << 1,
};

#define KHEAP_CACHE_FLAGS_ALL	(KHEAP_CACHE_HWALIGN | KHEAP_CACHE_RCU)

/**
 * kheap_cache_create() - create a cache of objects of one size
 * @heap: the heap that the objects' memory belongs to
 * @name: as for kheap_create(), unique among the heap's caches; copied
 * @size: bytes of an object, 1 to %KHEAP_CACHE_SIZE_MAX
 * @align: power of two up to %KHEAP_CACHE_ALIGN_MAX, or 0 for 8
 * @flags: bits of &enum kheap_cache_flags
 * @ctor: run once on every object when its pool is set up, or NULL; a freed
 *	object must be in the constructed state again
 *
 * Objects of a cache share no pool with anything else. Objects of a cache with
 * a constructor are never zeroed.
 *
 * Context: Process context. May sleep.
 * Return: The cache, or an ERR_PTR(): -EINVAL, -EEXIST, -ENOMEM.
 */
struct kheap_cache *kheap_cache_create(struct kheap *heap, const char *name,
				       size_t size, size_t align,
				       unsigned int flags,
				       void (*ctor)(void *object));

/**
 * kheap_cache_destroy() - end a cache and free its memory
 * @cache: the cache; NULL and ERR_PTR() are fine
 *
 * Objects that are still allocated are freed with it and reported. A heap that
 * is destroyed takes its caches along.
 *
 * Context: Process context. May sleep.
 */
void kheap_cache_destroy(struct kheap_cache *cache);

void *__kheap_cache_alloc(struct kheap_cache *cache, gfp_t gfp);
void *__kheap_cache_alloc_unusual(struct kheap_cache *cache, gfp_t gfp);

/**
 * kheap_cache_alloc() - allocate an object
 * @cache: the cache
 * @gfp: as for kheap_alloc(); %__GFP_ZERO is refused with a constructor
 *
 * Context: As kheap_alloc().
 * Return: The object, which the caller owns, or NULL.
 */
static __always_inline __malloc void *
kheap_cache_alloc(struct kheap_cache *cache, gfp_t gfp)
{
	if (unlikely(gfp & (GFP_ZONEMASK | __GFP_ZERO)))
		return __kheap_cache_alloc_unusual(cache, gfp);
	return __kheap_cache_alloc(cache, gfp);
}

/**
 * kheap_cache_alloc_node() - allocate an object of one memory node
 * @cache: the cache
 * @gfp: as for kheap_cache_alloc(); with %__GFP_THISNODE no other node will do
 * @node: the node, as for kheap_alloc_node()
 *
 * Context: As kheap_alloc().
 * Return: The object or NULL.
 */
void *kheap_cache_alloc_node(struct kheap_cache *cache, gfp_t gfp, int node);

/**
 * kheap_cache_size() - the size that a cache was created with
 * @cache: the cache
 *
 * Context: Any context. Never sleeps.
 * Return: Bytes of an object.
 */
size_t kheap_cache_size(const struct kheap_cache *cache);

/**
 * kheap_cache_free() - free an object
 * @cache: the cache it was allocated from
 * @ptr: the object; NULL is fine
 *
 * Context: As kheap_free().
 */
void kheap_cache_free(struct kheap_cache *cache, void *ptr);

/**
 * kheap_alloc_bulk() - allocate many blocks of one size
 * @heap: the heap
 * @size: bytes of each; 0 counts as 1
 * @gfp: as for kheap_alloc()
 * @nr: how many
 * @ptrs: room for @nr pointers, filled in
 *
 * Context: As kheap_alloc().
 * Return: @nr, or 0, and then nothing was allocated.
 */
int kheap_alloc_bulk(struct kheap *heap, size_t size, gfp_t gfp, size_t nr,
		     void **ptrs);

/**
 * kheap_free_bulk() - free many blocks
 * @heap: the heap they were allocated from, with whatever sizes
 * @nr: how many
 * @ptrs: the blocks; NULL among them is fine
 *
 * Context: As kheap_free().
 */
void kheap_free_bulk(struct kheap *heap, size_t nr, void **ptrs);

/**
 * kheap_cache_alloc_bulk() - allocate many objects
 * @cache: the cache
 * @gfp: as for kheap_cache_alloc()
 * @nr: how many
 * @ptrs: room for @nr pointers, filled in
 *
 * Context: As kheap_alloc(), but always fails in NMI.
 * Return: @nr, or 0, and then nothing was allocated.
 */
int kheap_cache_alloc_bulk(struct kheap_cache *cache, gfp_t gfp, size_t nr,
			   void **ptrs);

/**
 * kheap_cache_free_bulk() - free many objects
 * @cache: the cache they were allocated from
 * @nr: how many
 * @ptrs: the objects; NULL among them is fine
 *
 * Context: As kheap_free().
 */
void kheap_cache_free_bulk(struct kheap_cache *cache, size_t nr, void **ptrs);

/**
 * kheap_free_rcu() - free a block after a grace period
 * @heap: the heap it was allocated from
 * @ptr: the block; NULL is fine
 *
 * Readers that found the block under rcu_read_lock() may use it until they are
 * done. Blocks share grace periods. Needs no room in the block and loses none
 * when memory is short. kheap_destroy() and kheap_trim() wait for what is
 * pending. A call may free a few blocks whose grace period is over, so that no
 * more wait than are parked in a grace period or two.
 *
 * Context: Any context except NMI. Never sleeps.
 */
void kheap_free_rcu(struct kheap *heap, const void *ptr);

#endif /* _KHEAP_KHEAP_H */
