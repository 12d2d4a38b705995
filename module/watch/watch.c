// SPDX-License-Identifier: GPL-2.0
/*
 * Watching a heap: every allocation and free of it comes by here, for tracing,
 * call sites, debugging and injected failures. A heap that is not watched pays
 * nothing for it: while one is, its fast paths are led to a cache that is
 * always empty, and miss.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitops.h>
#include <linux/init.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <linux/sched/clock.h>

#include "block/cpu_cache.h"
#include "watch/callsite.h"
#include "watch/trace.h"

static DEFINE_MUTEX(kheap_watch_lock);

/* Every heap has this reason, and those to come; under kheap_list_lock. */
static unsigned int watch_all;

/* --- Switching ---------------------------------------------------------- */

/**
 * kheap_watch_start() - have a reason to watch a heap
 * @heap: the heap
 * @why: the reason; one that it has already is fine
 *
 * The order is: frees look, requests miss, and then whoever was between two
 * instructions of a fast path has left it, because preemption is off there. So
 * on return nothing happens unseen, and no block whose allocation was seen is
 * freed unseen.
 *
 * Context: Process context. Sleeps for a grace period.
 */
void kheap_watch_start(struct kheap *heap, enum kheap_watch why)
{
	mutex_lock(&kheap_watch_lock);
	if (!(heap->base.watch & why)) {
		static_branch_inc(&kheap_careful_key);
		kheap_set_watch(heap, heap->base.watch | why);
		synchronize_rcu();
	}
	mutex_unlock(&kheap_watch_lock);
}

/**
 * kheap_watch_stop() - have a reason no more
 * @heap: the heap
 * @why: the reason; one that it does not have is fine
 *
 * On return nobody is in a section of rcu_read_lock() in which @why was seen.
 *
 * Context: Process context. Sleeps for a grace period.
 */
void kheap_watch_stop(struct kheap *heap, enum kheap_watch why)
{
	mutex_lock(&kheap_watch_lock);
	if (heap->base.watch & why) {
		kheap_set_watch(heap, heap->base.watch & ~why);
		synchronize_rcu();
		static_branch_dec(&kheap_careful_key);
	}
	mutex_unlock(&kheap_watch_lock);
}

static void set_watch_all(bool on)
{
	struct kheap *heap;

	mutex_lock(&kheap_list_lock);
	watch_all = on ? KHEAP_WATCH_TRACE : 0;
	list_for_each_entry(heap, &kheap_list, base.list)
		kheap_set_watch(heap, (heap->base.watch & ~KHEAP_WATCH_TRACE) |
				      watch_all);
	mutex_unlock(&kheap_list_lock);
}

/**
 * kheap_watch_all() - watch all heaps for tracing, those to come as well
 * @on: whether; calls nest
 *
 * Context: Process context. Sleeps for a grace period.
 */
void kheap_watch_all(bool on)
{
	static unsigned int nr_users;

	mutex_lock(&kheap_watch_lock);
	if (on && !nr_users++) {
		static_branch_inc(&kheap_careful_key);
		set_watch_all(true);
		synchronize_rcu();
	} else if (!on && !--nr_users) {
		set_watch_all(false);
		synchronize_rcu();
		static_branch_dec(&kheap_careful_key);
	}
	mutex_unlock(&kheap_watch_lock);
}

/* A heap joins the list; under kheap_list_lock. */
void kheap_watch_new(struct kheap *heap)
{
	lockdep_assert_held(&kheap_list_lock);
	kheap_set_watch(heap, heap->base.watch | watch_all);
}

/* A heap that nobody uses goes. */
void kheap_watch_end(struct kheap *heap)
{
	unsigned long why = heap->base.watch & ~KHEAP_WATCH_TRACE;
	unsigned int bit;

	for_each_set_bit(bit, &why, BITS_PER_LONG)
		kheap_watch_stop(heap, BIT(bit));
}

/* --- Requests ----------------------------------------------------------- */

/* Take a block, out of this CPU's cache if it has one. */
static void *take_block(struct kheap_class *class, gfp_t gfp, int nid,
			bool *fast)
{
	void *block = NULL;

	if (nid == NUMA_NO_NODE || nid == numa_mem_id())
		block = kheap_pop_from(class, READ_ONCE(class->caches),
				       class->mark_offset);
	*fast = block;
	return block ?: kheap_class_alloc_slow(class, gfp, nid);
}

/**
 * kheap_watched_alloc() - allocate a block of a watched heap
 * @class: the class
 * @size: bytes that the client asked for
 * @gfp: what the allocation may do
 * @nid: the memory node, or %NUMA_NO_NODE for this CPU's
 * @caller: where the request came from, in the client or in kheap
 *
 * Context: Any context; sleeps if @gfp allows it.
 * Return: The block, not yet zeroed, its mark cleared; or NULL.
 */
void *kheap_watched_alloc(struct kheap_class *class, size_t size, gfp_t gfp,
			  int nid, unsigned long caller)
{
	u64 start = trace_kheap_alloc_enabled() ? local_clock() : 0;
	void *block;
	bool fast;

	if (kheap_inject_fails(class->heap, size, gfp))
		return NULL;
	do
		block = take_block(class, gfp, nid, &fast);
	while (block && class->debug && kheap_debug_rejects(class, block));
	if (block && trace_kheap_alloc_enabled())
		trace_kheap_alloc(class, block, size, gfp, fast,
				  start ? local_clock() - start : 0,
				  kheap_client_ip(caller));
	if (block && class->debug)
		kheap_debug_alloc(class, block, size, gfp, caller);
	if (block && READ_ONCE(class->heap->base.watch) & KHEAP_WATCH_CALLSITES)
		kheap_callsite_alloc(class->heap, class, block, size,
				     class->size);
	return block;
}

/**
 * kheap_watched_free() - look at a block of a watched heap that is freed
 * @class: the class
 * @block: the block, with its mark, in no cache yet
 * @caller: where the request came from, in the client or in kheap
 *
 * Context: Any context except NMI. Never sleeps.
 */
void kheap_watched_free(struct kheap_class *class, void *block,
			unsigned long caller)
{
	if (trace_kheap_free_enabled())
		trace_kheap_free(class, block, kheap_client_ip(caller));
	if (class->debug)
		kheap_debug_free(class, block, caller);
	if (READ_ONCE(class->heap->base.watch) & KHEAP_WATCH_CALLSITES)
		kheap_callsite_free(class->heap, block);
}

/* A large block was allocated, and is nobody's yet. */
static void watched_large_alloc(struct kheap *heap, struct kheap_large *large,
				size_t size, gfp_t gfp, unsigned long caller)
{
	kheap_debug_large_alloc(heap, large, size, gfp, caller);
	if (READ_ONCE(heap->base.watch) & KHEAP_WATCH_CALLSITES)
		kheap_callsite_alloc(heap, NULL, large->ptr, size,
				     large->bytes);
}

/* A large block is freed, and is nobody's any more. */
static void watched_large_free(struct kheap *heap, struct kheap_large *large,
			       unsigned long caller)
{
	kheap_debug_large_free(heap, large, caller);
	if (READ_ONCE(heap->base.watch) & KHEAP_WATCH_CALLSITES)
		kheap_callsite_free(heap, large->ptr);
}

static const struct kheap_watcher watcher = {
	.all = kheap_watch_all,
	.alloc = kheap_watched_alloc,
	.free = kheap_watched_free,
	.park = kheap_debug_park,
	.usable = kheap_debug_usable,
	.resized = kheap_debug_resized,
	.fix = kheap_debug_fix,
	.geometry = kheap_debug_geometry,
	.pool_setup = kheap_debug_pool_setup,
	.forget = kheap_callsites_forget,
	.class_end = kheap_trace_class_end,
	.fails = kheap_inject_fails,
	.large_guard = kheap_debug_large_guard,
	.large_alloc = watched_large_alloc,
	.large_free = watched_large_free,
	.large_resized = kheap_debug_large_resized,
};

void __init kheap_watch_init(void)
{
	kheap_set_watcher(&watcher);
}
