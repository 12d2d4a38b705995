/* SPDX-License-Identifier: GPL-2.0 */
/*
 * object/: typed objects. Types, references, the release of dead objects, weak
 * references, the trashcan, and the walk over all objects there are. It knows
 * that there may be a collector, of which it has the words that both write, see
 * &struct kheap_gc. It may call block/ and below.
 */
#ifndef _KHEAP_PRIVATE_OBJECT_H
#define _KHEAP_PRIVATE_OBJECT_H

#include <linux/atomic.h>
#include <linux/sched.h>
#include <linux/static_call_types.h>
#include <linux/workqueue.h>
#include <kheap/object.h>

#include "block/alloc.h"

/*
 * The locks of this layer:
 *
 * 7. kheap_gc.weak_lock (raw): which weak references an object has, and which
 *    of their callbacks run. A release takes it before the memory goes, so
 *    that under it the target of a weak reference is there.
 *
 * The crowd of the trashcan has a raw lock of its own, as a leaf.
 */

#define KHEAP_REFS_IMMORTAL	(INT_MIN / 4)		/* 0xe0000000 */
#define KHEAP_REFS_SATURATED	REFCOUNT_SATURATED	/* 0xc0000000 */
#define KHEAP_REFS_UNCOUNTED	0xb0000000U	/* and above: one of these */

/**
 * struct kheap_type - objects of one kind: a class, and what to do with them
 * @ops: as the client gave them; @ops.name is the class's copy
 * @gc: the heap's collector
 * @heap: the heap
 * @nr_created: objects ever created
 * @nr_held: dead objects whose memory is not free yet because somebody may
 *	still look at them: at their heads, a buffer of candidates or a run; a
 *	reader, when the type is one with %KHEAP_TYPE_RCU
 * @nr_resurrected: finalizers that made their object live on
 * @weak_offset: where in an object the list of its weak references is; 0: none
 * @plain: objects end when their count does, with no callback or flag
 * @gc_new: the gc word of a new object
 * @class: the memory; last because it ends in an array
 *
 *   live == allocated blocks - held
 *   released == created - live
 */
struct kheap_type {
	struct kheap_type_ops ops;
	struct kheap_gc *gc;
	struct kheap *heap;
	unsigned long __percpu *nr_created;
	atomic_long_t nr_held;
	atomic_long_t nr_resurrected;
	u32 weak_offset;
	u32 gc_new;
	bool plain;
	struct kheap_class class;
};

/* Can objects of the type be part of a cycle? */
static inline bool kheap_type_is_collectable(const struct kheap_type *type)
{
	return type->ops.traverse;
}

/*
 * The type of an object that may be dead: then its type field is a link in one
 * list or another, or the mark. Its memory is there, and the pool knows.
 */
static inline struct kheap_type *kheap_type_of(const struct kheap_object *obj)
{
	return kheap_block_pool(obj)->class->type;
}

static inline int kheap_refs(const struct kheap_object *obj)
{
	return refcount_read(&obj->refs);
}

static inline atomic_t *kheap_gc_word(struct kheap_object *obj)
{
	return (atomic_t *)&obj->gc;
}

/* Has a dead object something else in the place of its type by now? */
static inline bool kheap_object_is_gone(const struct kheap_object *obj)
{
	return kheap_is_no_address((unsigned long)READ_ONCE(obj->type));
}

/*
 * The type field of a dead object that waits is what follows it in its list.
 * Like a mark, that is no address: who takes the object for a living one, with a
 * count that it got by accident, does not follow it.
 */
static inline void kheap_dead_set_next(struct kheap_object *obj,
				       const struct kheap_object *next)
{
	unsigned long link = kheap_no_address((unsigned long)next);

	WRITE_ONCE(obj->type, (struct kheap_type *)link);
}

static inline struct kheap_object *
kheap_dead_next(const struct kheap_object *obj)
{
	unsigned long link = (unsigned long)obj->type & ~KHEAP_TOP_BITS;

	if (!link)
		return NULL;
	return (void *)(link | (kheap_map.base & KHEAP_TOP_BITS));
}

/* Add to a list that others add to. Return whether it was empty. */
static inline bool kheap_dead_add(struct kheap_object **list,
				  struct kheap_object *obj)
{
	struct kheap_object *first = READ_ONCE(*list);

	do
		kheap_dead_set_next(obj, first);
	while (!try_cmpxchg(list, &first, obj));
	return !first;
}

/* The list of weak references to @obj, of a type that can have some. */
static inline struct hlist_head *
kheap_weak_list(const struct kheap_type *type, struct kheap_object *obj)
{
	return (void *)obj + type->weak_offset;
}

/* --- Walking the objects ------------------------------------------------ */

/**
 * struct kheap_walk - a walk over all live objects of a heap
 * @reserve: called before a pool is looked at, to make room for the answer;
 *	no lock is held; false ends the walk
 * @look: called for every object whose count is not 0, with its word, under
 *	lock 3
 * @look_at_pool: called instead for every pool
 * @type: only this type's; NULL: every type's
 * @lock_max_ns: set to the longest time the lock was held
 */
struct kheap_walk {
	bool (*reserve)(struct kheap_walk *walk, unsigned int nr);
	void (*look)(struct kheap_walk *walk, struct kheap_type *type,
		     struct kheap_object *obj, s64 word);
	void (*look_at_pool)(struct kheap_walk *walk, struct kheap_pool *pool);
	const struct kheap_type *type;
	u64 lock_max_ns;
};

/**
 * kheap_look_at_pool() - look at all objects of a pool whose count is not 0
 * @walk: the walk
 * @pool: the pool, under lock 3
 * @look: known to the compiler, if it is to be inlined
 */
static __always_inline void
kheap_look_at_pool(struct kheap_walk *walk, struct kheap_pool *pool,
		   void (*look)(struct kheap_walk *walk,
				struct kheap_type *type,
				struct kheap_object *obj, s64 word))
{
	struct kheap_class *class = pool->class;
	void *block = pool->base, *end;

	/* Pairs with pool_carve(): what is carved is dead before it is told. */
	end = block + smp_load_acquire(&pool->nextoffset);
	for (; block < end; block += class->size) {
		struct kheap_object *obj = block;
		/* Pairs with the release in kheap_object_new(). */
		s64 word = atomic64_read_acquire(&obj->word);

		/* A free one has its mark in the place of the type. */
		if ((s32)word && likely(READ_ONCE(obj->type) == class->type))
			look(walk, class->type, obj, word);
	}
}

/* --- What objects and the collector share ------------------------------- */

/*
 * One word a heap: the number of the attempt and what came of it. To commit is
 * to change OPEN to COMMITTED; an upgrade that finds its object condemned
 * changes OPEN to ABORTED. Whoever is first is right.
 */
#define KHEAP_VERDICT_OPEN	1L
#define KHEAP_VERDICT_COMMITTED	2L
#define KHEAP_VERDICT_ABORTED	3L
#define KHEAP_VERDICT_STATE	3L
#define KHEAP_VERDICT_ATTEMPT	4L

/**
 * struct kheap_gc - what a heap's objects know of its collector
 * @heap: the heap
 * @running: a run is under way: dead objects are parked
 * @exiting: the heap is being destroyed: see teardown.c
 * @verdict: see above
 * @parked: objects that died during the run
 * @parked_work: frees those that came late, between two runs
 * @process: objects that wait to be released in process context
 * @process_work: releases them
 * @owner: the task that has the collector locked, or that destroys the heap
 * @frame: where objects wait that die by @owner's hand, or NULL; @owner's own;
 *	before any other frame that its context has
 * @has_finalize: there was a type with a finalizer
 * @has_weak: there was a type with weak references
 * @weak_lock: lock 7
 * @weak_calls: callbacks of weak references that are running
 */
struct kheap_gc {
	struct kheap *heap;
	bool running;
	bool exiting;
	bool has_finalize;
	bool has_weak;
	atomic_long_t verdict;
	struct kheap_object *parked;
	struct work_struct parked_work;
	struct kheap_object *process;
	struct work_struct process_work;
	struct task_struct *owner;
	struct kheap_frame *frame;
	raw_spinlock_t weak_lock;
	struct hlist_head weak_calls;
};

/**
 * struct kheap_gc_ops - what the collector does for objects: set by gc/gc.c
 * @create: make a heap's; NULL without memory
 * @lock: keep it from running; false in a callback
 * @unlock: let it run again
 * @settle: have the memory of dead objects free, as far as can be; it is locked
 */
struct kheap_gc_ops {
	struct kheap_gc *(*create)(struct kheap *heap);
	bool (*lock)(struct kheap_gc *gc);
	void (*unlock)(struct kheap_gc *gc);
	void (*settle)(struct kheap_gc *gc);
};

/* Set before there is a heap, and never again. */
extern const struct kheap_gc_ops *kheap_gc_ops;

/*
 * Remember an object that a put has left with references: a candidate. Puts are
 * many, so this is a call of its target and not by a pointer.
 */
void kheap_remember_nothing(struct kheap_gc *gc, struct kheap_object *obj);
DECLARE_STATIC_CALL(kheap_remember, kheap_remember_nothing);

enum kheap_upgrade {
	KHEAP_UPGRADE_DONE,	/* there is a reference */
	KHEAP_UPGRADE_DEAD,	/* there is none */
	KHEAP_UPGRADE_REFUSED,	/* garbage: the reference is to be put */
	KHEAP_UPGRADE_FULL,	/* done, and the count is full: to be reported */
};

/* trace.c */
void kheap_trace_get(const struct kheap_object *obj);
void kheap_trace_put(const struct kheap_object *obj);

/* object.c */
enum kheap_upgrade kheap_object_upgrade(struct kheap_object *obj);
bool kheap_object_upgraded(struct kheap_object *obj, enum kheap_upgrade answer);
void kheap_object_release(struct kheap_type *type, struct kheap_object *obj);
void kheap_object_release_one(struct kheap_type *type,
			      struct kheap_object *obj);
void kheap_object_dispose(struct kheap_type *type, struct kheap_object *obj);
void kheap_object_free(struct kheap_type *type, struct kheap_object *obj);
void kheap_object_refuse(struct kheap_object *obj, enum kheap_refusal why);

/* Where a frame is found. */
enum kheap_frame_place {
	KHEAP_FRAME_NOWHERE,	/* its context has another one */
	KHEAP_FRAME_SLOT,
	KHEAP_FRAME_CROWD,	/* in a list, under a lock: the slot was taken */
};

/**
 * struct kheap_frame - a context that releases objects at the moment
 * @node: in the crowd, if it is there
 * @key: the task and the interrupt level
 * @place: an &enum kheap_frame_place
 * @waiting: dead objects that wait for the release under way to return
 * @process: it may sleep
 * @nr: objects released
 *
 * On the stack of the outermost release, or of the end of a heap, where the
 * heap's own objects wait; all but @node is its context's own.
 */
struct kheap_frame {
	struct hlist_node node;
	unsigned long key;
	enum kheap_frame_place place;
	struct kheap_object *waiting;
	bool process;
	unsigned int nr;
};

/* trashcan.c */
bool kheap_trashcan_active(void);
void kheap_trashcan_enter(struct kheap_frame *frame);
void kheap_trashcan_take(struct kheap_gc *gc, struct kheap_frame *frame);
void kheap_trashcan_drain(struct kheap_frame *frame);
void kheap_trashcan_leave(struct kheap_frame *frame);
void kheap_trashcan_work(struct work_struct *work);

/* type.c */
void kheap_type_exit(struct kheap_type *type);
unsigned long kheap_type_nr_live(struct kheap_type *type);
unsigned long kheap_type_nr_created(const struct kheap_type *type);
bool kheap_walk_objects(struct kheap *heap, struct kheap_walk *walk);

/* weakref.c */
void kheap_weakrefs_dead(struct kheap_type *type, struct kheap_object *obj);
void kheap_weakrefs_detach(struct kheap_object *obj,
			   struct hlist_head *pending,
			   struct kheap_gc_stats *stats);
void kheap_weakrefs_call(struct kheap_gc *gc, struct hlist_head *pending);

#endif /* _KHEAP_PRIVATE_OBJECT_H */
