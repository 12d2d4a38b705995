/* SPDX-License-Identifier: GPL-2.0 */
/*
 * watch/: what looks at every allocation and free of a watched heap: tracing,
 * call sites, debugging, injected failures; and the kernel's own checkers. It
 * knows blocks and large blocks, and tells who shows things what it has recorded.
 * It may call all layers below, and is called by them through the table that it
 * registers, &struct kheap_watcher.
 */
#ifndef _KHEAP_WATCH_H
#define _KHEAP_WATCH_H

#include "block/block.h"

/*
 * The locks of this layer:
 *
 * 0. kheap_watch_lock (mutex): which heaps are watched, and why. A static key
 *    is changed under this one and no other: that takes the CPU hotplug lock,
 *    under which the end of a CPU takes 1 and 2.
 *
 * heap->watch.inject and the recorder of call sites have raw locks of their own,
 * as leaves. The recorder has a mutex, for who switches and reads, taken before
 * 0, and so have the debug flags, for who sets them.
 */

/**
 * struct kheap_debug_note - what is recorded of a block, noted for a report
 * @block: the block, or NULL if nothing is recorded
 * @serial: number of its allocation in the heap, from 1
 * @size: bytes that were asked for
 * @alloc_stack: who allocated it, if that is recorded
 * @free_stack: who freed it last
 * @sound: all this can be believed
 */
struct kheap_debug_note {
	const void *block;
	u64 serial;
	u32 size;
	depot_stack_handle_t alloc_stack;
	depot_stack_handle_t free_stack;
	bool sound;
};

/* watch.c */
void kheap_watch_init(void);
void kheap_watch_start(struct kheap *heap, enum kheap_watch why);
void kheap_watch_stop(struct kheap *heap, enum kheap_watch why);
void kheap_watch_all(bool on);
void kheap_watch_new(struct kheap *heap);
void kheap_watch_end(struct kheap *heap);
void *kheap_watched_alloc(struct kheap_class *class, size_t size, gfp_t gfp,
			  int nid, unsigned long caller);
void kheap_watched_free(struct kheap_class *class, void *block,
			unsigned long caller);

/* trace.c */
void kheap_trace_class_end(const struct kheap_class *class);
void kheap_trace_heap_end(struct kheap *heap, const struct kheap_stats *stats);

/* inject.c */
bool kheap_inject_fails(struct kheap *heap, size_t size, gfp_t gfp);
void kheap_inject_start(struct kheap *heap,
			const struct kheap_inject_rule *rule);
void kheap_inject_stop(struct kheap *heap);
void kheap_inject_init(struct kheap *heap);
extern const struct file_operations kheap_inject_fops;

/* debug.c */
#define KHEAP_DEBUG_FIXED	1	/* there is a class */

size_t kheap_debug_geometry(struct kheap_class *class, size_t align);
void kheap_debug_pool_setup(struct kheap_class *class, struct kheap_pool *pool);
void kheap_debug_note(const struct kheap_class *class,
		      const struct kheap_pool *pool, const void *ptr,
		      struct kheap_debug_note *note);
void kheap_debug_print(const struct kheap_debug_note *note);
bool kheap_debug_rejects(struct kheap_class *class, void *block);
void kheap_debug_alloc(struct kheap_class *class, void *block, size_t size,
		       gfp_t gfp, unsigned long caller);
void kheap_debug_park(struct kheap_class *class, void *block);
void kheap_debug_free(struct kheap_class *class, void *block,
		      unsigned long caller);
size_t kheap_debug_usable(const struct kheap_class *class, const void *block);
void kheap_debug_resized(struct kheap *heap, void *ptr, size_t size);
size_t kheap_debug_large_guard(const struct kheap *heap);
void kheap_debug_large_alloc(struct kheap *heap, struct kheap_large *large,
			     size_t size, gfp_t gfp, unsigned long caller);
void kheap_debug_large_free(struct kheap *heap, struct kheap_large *large,
			    unsigned long caller);
void kheap_debug_large_resized(struct kheap *heap, struct kheap_large *large);
unsigned int kheap_debug_fix(struct kheap *heap);
int kheap_debug_set(struct kheap *heap, unsigned int flags);
void kheap_debug_init(struct kheap *heap);
bool kheap_debug_valid(void);
extern const struct file_operations kheap_debug_fops;

/* kasan.c */
#ifdef CONFIG_KASAN_GENERIC
int kheap_kasan_init(void);
void kheap_kasan_exit(void);
#else
static inline int kheap_kasan_init(void)
{
	return 0;
}

static inline void kheap_kasan_exit(void)
{
}
#endif

#endif /* _KHEAP_WATCH_H */
