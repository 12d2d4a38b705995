/* SPDX-License-Identifier: GPL-2.0 */
/*
 * base/: what every other layer stands on. The account of what a heap holds,
 * the list of heaps and their names, when the maintenance work runs, what may be
 * called where, and the counting of refusals. It knows no arena, block or object:
 * it may call the kernel, and nothing of kheap. What it is asked to have done
 * further up goes through the tables below, on slow paths only.
 */
#ifndef _KHEAP_BASE_H
#define _KHEAP_BASE_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/ratelimit_types.h>
#include <linux/spinlock.h>
#include <kheap/kheap.h>

#include "base/arch.h"
#include "base/checkers.h"
#include "base/compat.h"
#include "heap.h"

struct kheap_class;
struct kheap_large;
struct kheap_pool;

/*
 * Local names are the same everywhere: heap, class, set, arena, pool, block
 * (its address), idx (its number in the pool), szidx (the size class).
 *
 * Locks have numbers, in the order in which they may be taken; each is described
 * in the header of its layer. The raw ones are taken with interrupts disabled,
 * and under none of them are pages freed, callbacks called or messages printed.
 *
 * 0. kheap_early_lock (mutex)		here, in hooks.c
 *    kheap_watch_lock (mutex)		watch/watch.h
 * 1. kheap_list_lock (mutex)		here
 *    heap->block.rcu_mutex		block/block.h
 * 2. heap->base.mutex			here
 * 3. kheap_arena_set.lock (raw)	raw/raw.h
 * 4. kheap_class_node.lock (raw)	block/block.h
 * 5. heap->raw.large_lock (raw)	raw/raw.h
 * 6. heap->block.class_lock (raw)	block/block.h
 * 7. kheap_gc.weak_lock (raw)		object/object.h
 * 8. kheap_gc_buffer.lock (raw)	gc/gc.h
 * 9. kheap_collector.mutex		gc/gc.h; taken before 2 and the rcu_mutex
 *
 * The locks of this layer:
 *
 * 0. kheap_early_lock (mutex): whether there is somebody yet who watches heaps;
 *    the other one of this number is taken under it.
 *
 * 1. kheap_list_lock (mutex): the list of heaps and the names on it. The list
 *    changes under kheap_list_raw as well, under which 5 is taken: whoever
 *    cannot sleep looks through it with that.
 *
 * 2. heap->base.mutex: the list of classes against removal, and the walks that
 *    may sleep: check, trim, debugfs. Not taken by allocation or free.
 *    Memory reclaim tries 1 and 2, and never waits for them: they may be held
 *    where memory is allocated.
 */

/*
 * A variable on the stack that CONFIG_INIT_STACK_ALL_ZERO does not have zeroed:
 * all fields are set, and that would be a string instruction before them.
 */
#if __has_attribute(__uninitialized__)
#define __kheap_uninitialized	__attribute__((__uninitialized__))
#else
#define __kheap_uninitialized
#endif

/* --- The account: account.c --------------------------------------------- */

void kheap_note_peak(struct kheap *heap);
bool kheap_charge(struct kheap *heap, size_t bytes);
void kheap_charge_more(struct kheap *heap, size_t bytes);
void kheap_uncharge(struct kheap *heap, size_t bytes);
bool kheap_meta_charge(struct kheap *heap, size_t bytes);
void kheap_meta_uncharge(struct kheap *heap, size_t bytes);
void *kheap_meta_alloc(struct kheap *heap, size_t size, gfp_t gfp, int node);
void kheap_meta_free(struct kheap *heap, const void *ptr);
void __percpu *kheap_meta_alloc_percpu(struct kheap *heap, size_t size,
				       size_t align);
void kheap_meta_free_percpu(struct kheap *heap, void __percpu *ptr,
			    size_t size);

/* --- Heaps, their names and their work: heaps.c ------------------------- */

extern struct mutex kheap_list_lock;
extern raw_spinlock_t kheap_list_raw;
extern struct list_head kheap_list;

bool kheap_name_valid(const char *name);
void kheap_maint_now(struct kheap *heap);
void kheap_maint_later(struct kheap *heap);

/* --- Who calls, and what may be called: context.c ----------------------- */

extern bool kheap_leak_tracking;

bool kheap_mm_allowed(void);
unsigned long kheap_client_ip(unsigned long ip);

/* --- Refusals: refuse.c ------------------------------------------------- */

extern struct ratelimit_state kheap_refusal_limit;

const char *kheap_refusal_name(enum kheap_refusal why);
const char *kheap_refusal_text(enum kheap_refusal why);
bool kheap_count_refusal(struct kheap *heap, enum kheap_refusal why,
			 unsigned long ip);
bool kheap_refuse(struct kheap *heap, enum kheap_refusal why, const void *ptr,
		  const struct kheap_class *class);
void kheap_refuse_stray(const void *ptr, enum kheap_refusal why);
void kheap_refuse_free(struct kheap *heap, const void *ptr);

/* --- What layers above do for those below: hooks.c ---------------------- */

/**
 * struct kheap_reporter - what is printed: set by show/report.c
 * @refuse: count a bad request, and report it if its place is new
 * @refuse_stray: the same of a pointer that leads to no heap
 * @refuse_free: find out what is wrong with a pointer, and report it; @class is
 *	the cache or type it was given to, or NULL
 * @sites: log the call sites of what is live in a heap, or in one class of it
 * @check_pool: verify a pool that has a block in somebody's hands
 */
struct kheap_reporter {
	bool (*refuse)(struct kheap *heap, enum kheap_refusal why,
		       const void *ptr, const struct kheap_class *class);
	void (*refuse_stray)(const void *ptr, enum kheap_refusal why);
	void (*refuse_free)(struct kheap *heap, const struct kheap_class *class,
			    const void *ptr);
	void (*sites)(struct kheap *heap, const struct kheap_class *class);
	void (*check_pool)(struct kheap_pool *pool);
};

/**
 * struct kheap_watcher - who is told of what watched heaps do: set by
 * watch/watch.c
 * @all: have all heaps watched for tracing; calls nest
 * @alloc: allocate a block of a watched heap
 * @free: a block of one is freed; it has its mark, and is in no cache yet
 * @park: a block of a class with debug flags is to be freed after a grace period
 * @usable: bytes of a block, of such a class, that are the client's
 * @resized: a block of a watched heap was resized where it is
 * @fix: the debug flags of a heap, from now on for good
 * @geometry: make room around the blocks of a class with debug flags; bytes from
 *	one block to the next, or 0 if there is nothing to add
 * @pool_setup: a pool gets a class with debug flags
 * @forget: what is live in a class is nobody's any more
 * @class_end: so it is; tell who traces
 * @fails: is a request of a watched heap to fail?
 * @large_guard: guard bytes that a large block has at least
 * @large_alloc: a large block of a watched heap was allocated
 * @large_free: one is freed
 * @large_resized: the slack of an observed one has changed
 */
struct kheap_watcher {
	void (*all)(bool on);
	void *(*alloc)(struct kheap_class *class, size_t size, gfp_t gfp,
		       int nid, unsigned long caller);
	void (*free)(struct kheap_class *class, void *block,
		     unsigned long caller);
	void (*park)(struct kheap_class *class, void *block);
	size_t (*usable)(const struct kheap_class *class, const void *block);
	void (*resized)(struct kheap *heap, void *ptr, size_t size);
	unsigned int (*fix)(struct kheap *heap);
	size_t (*geometry)(struct kheap_class *class, size_t align);
	void (*pool_setup)(struct kheap_class *class, struct kheap_pool *pool);
	void (*forget)(const struct kheap_class *class);
	void (*class_end)(const struct kheap_class *class);
	bool (*fails)(struct kheap *heap, size_t size, gfp_t gfp);
	size_t (*large_guard)(const struct kheap *heap);
	void (*large_alloc)(struct kheap *heap, struct kheap_large *large,
			    size_t size, gfp_t gfp, unsigned long caller);
	void (*large_free)(struct kheap *heap, struct kheap_large *large,
			   unsigned long caller);
	void (*large_resized)(struct kheap *heap, struct kheap_large *large);
};

/**
 * struct kheap_reliever - who makes room below a limit: set by limit.c
 * @relieve: see there
 */
struct kheap_reliever {
	bool (*relieve)(struct kheap *heap, size_t bytes, gfp_t gfp,
			unsigned int *step);
};

void kheap_watch_everything(bool on);
void kheap_set_watcher(const struct kheap_watcher *watcher);

/* Set before there is a heap, and never again. */
extern const struct kheap_reporter *kheap_reporter;
extern const struct kheap_watcher *kheap_watcher;
extern const struct kheap_reliever *kheap_reliever;

#endif /* _KHEAP_BASE_H */
