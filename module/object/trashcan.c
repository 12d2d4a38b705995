// SPDX-License-Identifier: GPL-2.0
/*
 * The trashcan: objects that die inside the release of another one wait until
 * that is done, so that the stack does not grow with the length of a list.
 * CPython's object.h has the name and the idea; it keeps the state in the
 * thread, which a module cannot, so here it is found by task and context.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/hash.h>
#include <linux/preempt.h>
#include <linux/sched.h>

#include "object/object.h"
#include "object/trace.h"

#define SLOT_BITS	7
#define NR_A_RESCHED	64	/* releases, when they may sleep */

/**
 * struct slot - where a context finds its frame
 * @key: the context's, or 0; set where it is 0, and cleared by whom it names
 * @frame: its frame, for nobody else
 *
 * A cache line each, so that two contexts that release objects of their own do
 * not meet, unless the keys of both lead to one slot.
 */
static struct slot {
	unsigned long key;
	struct kheap_frame *frame;
} ____cacheline_aligned_in_smp slots[1 << SLOT_BITS];

/* The frames of contexts whose slot was another's. */
static DEFINE_RAW_SPINLOCK(crowd_lock);
static HLIST_HEAD(crowd);

/* Task structures are aligned far more than that. */
static unsigned long this_context(void)
{
	return (unsigned long)current |
	       (in_hardirq() ? 2 : in_serving_softirq() ? 1 : 0);
}

static struct slot *slot_of(unsigned long key)
{
	return &slots[hash_long(key, SLOT_BITS)];
}

static struct kheap_frame *find_in_crowd(unsigned long key)
{
	struct kheap_frame *frame, *found = NULL;
	unsigned long flags;

	raw_spin_lock_irqsave(&crowd_lock, flags);
	hlist_for_each_entry(frame, &crowd, node)
		if (frame->key == key)
			found = frame;
	raw_spin_unlock_irqrestore(&crowd_lock, flags);
	return found;
}

static __always_inline struct kheap_frame *find_frame(unsigned long key)
{
	const struct slot *slot = slot_of(key);

	if (READ_ONCE(slot->key) == key)
		return slot->frame;
	/* What this context has put there it sees. */
	return likely(hlist_empty(&crowd)) ? NULL : find_in_crowd(key);
}

static noinline void join_crowd(struct kheap_frame *frame)
{
	unsigned long flags;

	frame->place = KHEAP_FRAME_CROWD;
	raw_spin_lock_irqsave(&crowd_lock, flags);
	hlist_add_head(&frame->node, &crowd);
	raw_spin_unlock_irqrestore(&crowd_lock, flags);
}

static noinline void leave_crowd(struct kheap_frame *frame)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&crowd_lock, flags);
	hlist_del(&frame->node);
	raw_spin_unlock_irqrestore(&crowd_lock, flags);
}

/* Have @frame found by its key, which no other frame has. */
static __always_inline void place_frame(struct kheap_frame *frame,
					struct slot *slot)
{
	if (unlikely(READ_ONCE(slot->key)) ||
	    unlikely(cmpxchg(&slot->key, 0, frame->key)))
		return join_crowd(frame);
	slot->frame = frame;
	frame->place = KHEAP_FRAME_SLOT;
}

static __always_inline void remove_frame(struct kheap_frame *frame,
					 struct slot *slot)
{
	if (likely(frame->place == KHEAP_FRAME_SLOT))
		/* What was done with it is done before another has the slot. */
		smp_store_release(&slot->key, 0);
	else if (frame->place == KHEAP_FRAME_CROWD)
		leave_crowd(frame);
}

/**
 * kheap_trashcan_enter() - let objects that die here wait for a drain
 * @frame: the key is set to this context's; a frame that this has already goes
 *	on being the one that is found
 */
void kheap_trashcan_enter(struct kheap_frame *frame)
{
	frame->key = this_context();
	frame->place = KHEAP_FRAME_NOWHERE;
	if (!find_frame(frame->key))
		place_frame(frame, slot_of(frame->key));
}

void kheap_trashcan_leave(struct kheap_frame *frame)
{
	remove_frame(frame, slot_of(frame->key));
}

static void push(struct kheap_frame *frame, struct kheap_object *obj)
{
	kheap_dead_set_next(obj, frame->waiting);
	frame->waiting = obj;
}

static struct kheap_object *pop(struct kheap_frame *frame)
{
	struct kheap_object *obj = frame->waiting;

	if (obj) {
		frame->waiting = kheap_dead_next(obj);
		WRITE_ONCE(obj->type, kheap_type_of(obj));
	}
	return obj;
}

/**
 * kheap_trashcan_take() - take the objects of a heap that wait in this context
 * @gc: the heap's collector
 * @frame: where they are to wait instead
 *
 * For the end of a heap in the release of another one's object: they would wait
 * for that release to return.
 */
void kheap_trashcan_take(struct kheap_gc *gc, struct kheap_frame *frame)
{
	struct kheap_frame *outer = find_frame(this_context());
	struct kheap_object *obj, *left = NULL;

	if (!outer)
		return;
	while ((obj = pop(outer))) {
		if (obj->type->gc == gc) {
			push(frame, obj);
			continue;
		}
		kheap_dead_set_next(obj, left);
		left = obj;
	}
	while ((obj = left)) {
		left = kheap_dead_next(obj);
		push(outer, obj);
	}
}

/* For kheap_trashcan_work(), which is waited for at the end of type and heap. */
static void leave_to_work(struct kheap_gc *gc, struct kheap_object *obj)
{
	if (kheap_dead_add(&gc->process, obj))
		queue_work(kheap_unbound_wq, &gc->process_work);
}

/* Has somebody who may be in a hurry released enough of such objects? */
static bool is_enough(const struct kheap_frame *frame,
		      const struct kheap_type *type)
{
	return !frame->process && frame->nr >= KHEAP_PUT_RELEASES &&
	       type->ops.flags & KHEAP_TYPE_BOUNDED;
}

/*
 * Release what waits, and what dies of that. What is left to the work costs no
 * more than the put that had it wait.
 */
void kheap_trashcan_drain(struct kheap_frame *frame)
{
	struct kheap_object *obj;

	while ((obj = pop(frame))) {
		struct kheap_type *type = obj->type;

		if (unlikely(is_enough(frame, type))) {
			leave_to_work(type->gc, obj);
			continue;
		}
		kheap_object_release_one(type, obj);
		if (!(++frame->nr % NR_A_RESCHED) && frame->process)
			cond_resched();
	}
}

/* The frame that this context has, of which a run need not be told. */
static __always_inline struct kheap_frame *find_outer(struct kheap_gc *gc,
						      unsigned long key)
{
	if (unlikely(key == (unsigned long)READ_ONCE(gc->owner)) && gc->frame)
		return gc->frame;
	return find_frame(key);
}

/* Does the caller run inside a callback of a dying object? */
bool kheap_trashcan_active(void)
{
	return find_frame(this_context());
}

/* Release an object inside of no other release of this context. */
static __always_inline void release_outermost(struct kheap_type *type,
					      struct kheap_object *obj,
					      unsigned long key)
{
	struct kheap_frame frame __kheap_uninitialized;
	struct slot *slot = slot_of(key);

	frame.key = key;
	frame.waiting = NULL;
	frame.process = false;
	frame.nr = 1;
	place_frame(&frame, slot);
	kheap_object_release_one(type, obj);
	if (unlikely(frame.waiting))
		kheap_trashcan_drain(&frame);
	remove_frame(&frame, slot);
}

/**
 * kheap_object_release() - release an object whose count became 0
 * @type: its type
 * @obj: the object
 *
 * At once, or when the release that this is inside of returns, or, if the type
 * asks for it, in process context: always, or when that release was of many.
 *
 * Context: Any context except NMI.
 */
void kheap_object_release(struct kheap_type *type, struct kheap_object *obj)
{
	unsigned long key = this_context();
	struct kheap_frame *outer;

	if (trace_kheap_object_release_enabled())
		trace_kheap_object_release(type, obj, 0,
					   kheap_client_ip(_RET_IP_));
	if (unlikely(type->plain))
		return kheap_object_dispose(type, obj);
	outer = find_outer(type->gc, key);
	if (unlikely(type->ops.flags & KHEAP_TYPE_PROCESS) &&
	    !(outer && outer->process)) {
		leave_to_work(type->gc, obj);
		return;
	}
	if (outer)
		return push(outer, obj);
	release_outermost(type, obj, key);
}

/* Release the objects that were left for process context. */
void kheap_trashcan_work(struct work_struct *work)
{
	struct kheap_gc *gc = container_of(work, struct kheap_gc,
					   process_work);
	struct kheap_frame frame = { .process = true };
	struct kheap_object *obj, *next;

	kheap_trashcan_enter(&frame);
	for (obj = xchg(&gc->process, NULL); obj; obj = next) {
		next = kheap_dead_next(obj);
		push(&frame, obj);
		kheap_trashcan_drain(&frame);
	}
	kheap_trashcan_leave(&frame);
}
