// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints themselves, and what enabling some of them switches.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "object.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* Somebody enables one of the events that are on the fast paths. */
int kheap_trace_watch(void)
{
	kheap_watch_all(true);
	return 0;
}

void kheap_trace_unwatch(void)
{
	kheap_watch_all(false);
}

/* The inline functions of <kheap/object.h> leave everything to the others. */
int kheap_trace_gets(void)
{
	WRITE_ONCE(kheap_ref_masks.get, -1);
	WRITE_ONCE(kheap_ref_masks.tryget, -1);
	return 0;
}

void kheap_trace_no_gets(void)
{
	WRITE_ONCE(kheap_ref_masks.get, KHEAP_GET_MASK);
	WRITE_ONCE(kheap_ref_masks.tryget, KHEAP_TRYGET_MASK);
}

int kheap_trace_puts(void)
{
	WRITE_ONCE(kheap_ref_masks.put, 0);
	return 0;
}

void kheap_trace_no_puts(void)
{
	WRITE_ONCE(kheap_ref_masks.put, KHEAP_PUT_MASK);
}

/*
 * A reference was taken, the caller's to @obj; of a dead one that somebody gave a
 * count, there is nothing to tell.
 */
void kheap_trace_get(const struct kheap_object *obj)
{
	if (likely(!kheap_object_is_gone(obj)))
		trace_kheap_object_get(obj->type, obj, kheap_refs(obj),
				       kheap_client_ip(_RET_IP_));
}

/*
 * A reference is about to be dropped: after that, the object can be gone. One
 * that is dead has no type: it is refused, which is an event too.
 */
void kheap_trace_put(const struct kheap_object *obj)
{
	if (kheap_refs(obj) > 0)
		trace_kheap_object_put(obj->type, obj, kheap_refs(obj) - 1,
				       kheap_client_ip(_RET_IP_));
}

/* --- What is left of a heap or a cache that ends ------------------------- */

static void tell_blocks(struct kheap_class *class,
			const struct kheap_pool *pool, unsigned long call_site)
{
	unsigned int idx;

	for (idx = 0; idx < class->nr_blocks; idx++)
		if (kheap_block_is_allocated(class, pool, idx))
			trace_kheap_free(class,
					 kheap_block_address(class, pool, idx),
					 call_site);
}

/* Of one class, or of all. */
static void tell_classes(struct kheap *heap, const struct kheap_class *only,
			 unsigned long call_site)
{
	struct kheap_arena_set *set;
	struct kheap_arena *arena;
	struct kheap_class *class;
	struct kheap_pool *pool;
	unsigned int i, p;

	kheap_for_each_set(set, heap, i) {
		arena = NULL;
		while ((arena = kheap_arena_next(set, arena))) {
			kheap_for_each_pool(pool, arena, p) {
				class = READ_ONCE(pool->class);
				if (only ? class == only :
					   class != &kheap_cold_class)
					tell_blocks(class, pool, call_site);
			}
			cond_resched();
		}
	}
}

static void tell_large(struct kheap *heap, unsigned long call_site)
{
	struct rb_node *node;

	for (node = rb_first(&heap->large); node; node = rb_next(node)) {
		struct kheap_large *large = rb_entry(node, struct kheap_large,
						     node);

		trace_kheap_large_free(heap, large->ptr, large->bytes,
				       call_site);
		cond_resched();
	}
}

/**
 * kheap_trace_class_end() - tell that what a cache has allocated is free
 * @class: the cache's class, which nobody uses any more
 *
 * Who keeps a record a block drops it, as for any other free.
 *
 * Context: Process context, under kheap.mutex. May sleep.
 */
void kheap_trace_class_end(const struct kheap_class *class)
{
	if (trace_kheap_free_enabled())
		tell_classes(class->heap, class, kheap_client_ip(_RET_IP_));
}

/**
 * kheap_trace_heap_end() - tell that what a heap has allocated is free
 * @heap: the heap, which nobody uses any more
 *
 * Context: Process context. May sleep.
 */
void kheap_trace_heap_end(struct kheap *heap)
{
	unsigned long call_site = kheap_client_ip(_RET_IP_);
	struct kheap_stats stats;

	if (trace_kheap_free_enabled())
		tell_classes(heap, NULL, call_site);
	if (trace_kheap_large_free_enabled())
		tell_large(heap, call_site);
	if (!trace_kheap_heap_destroy_enabled())
		return;
	kheap_get_stats(heap, &stats);
	trace_kheap_heap_destroy(heap, stats.nr_allocated + stats.nr_large,
				 stats.allocated_bytes + stats.large_bytes,
				 call_site);
}
