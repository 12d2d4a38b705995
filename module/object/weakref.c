// SPDX-License-Identifier: GPL-2.0
/*
 * Weak references: each is in a list of its target's, and out of it before the
 * target is finalized, cleared or released.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/export.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>

#include "object/object.h"
#include "object/trace.h"

/* References that are detached in one go under the lock. */
#define BATCH	64

/**
 * struct call - a callback that is running
 * @node: in kheap_gc.weak_calls
 * @ref: the weak reference, which may be gone
 * @task: who runs it
 * @waiters: who sleeps until it has returned
 *
 * On the stack of who runs it.
 */
struct call {
	struct hlist_node node;
	const struct kheap_weakref *ref;
	const struct task_struct *task;
	struct hlist_head waiters;
};

/**
 * struct waiter - somebody who sleeps until a callback has returned
 * @node: in the list of the call
 * @done: it has
 */
struct waiter {
	struct hlist_node node;
	struct completion done;
};

int kheap_weakref_init(struct kheap_weakref *ref, struct kheap_object *target,
		       void (*callback)(struct kheap_weakref *ref))
{
	struct kheap_type *type = target->type;
	unsigned long flags;

	INIT_HLIST_NODE(&ref->node);
	ref->target = NULL;
	ref->callback = NULL;
	if (unlikely(kheap_object_is_gone(target))) {
		kheap_object_refuse(target, KHEAP_BAD_DEAD);
		return -EOPNOTSUPP;
	}
	ref->gc = type->gc;
	ref->callback = callback;
	if (!type->weak_offset)
		return -EOPNOTSUPP;
	raw_spin_lock_irqsave(&type->gc->weak_lock, flags);
	WRITE_ONCE(ref->target, target);
	hlist_add_head(&ref->node, kheap_weak_list(type, target));
	raw_spin_unlock_irqrestore(&type->gc->weak_lock, flags);
	return 0;
}
EXPORT_SYMBOL_GPL(kheap_weakref_init);

/*
 * As long as the field names the target, under the lock, its memory is there:
 * the release takes the lock to clear the field.
 */
struct kheap_object *kheap_weakref_get(struct kheap_weakref *ref)
{
	enum kheap_upgrade answer = KHEAP_UPGRADE_DEAD;
	struct kheap_object *target;
	struct kheap_gc *gc;
	unsigned long flags;

	if (!READ_ONCE(ref->target))
		return NULL;
	gc = ref->gc;
	rcu_read_lock();
	raw_spin_lock_irqsave(&gc->weak_lock, flags);
	target = ref->target;
	if (target)
		answer = kheap_object_upgrade(target);
	raw_spin_unlock_irqrestore(&gc->weak_lock, flags);
	if (!kheap_object_upgraded(target, answer))
		target = NULL;
	rcu_read_unlock();
	return target;
}
EXPORT_SYMBOL_GPL(kheap_weakref_get);

/* The callback of @ref that is running, unless it is below us. */
static struct call *running_call(struct kheap_gc *gc,
				 const struct kheap_weakref *ref)
{
	struct call *call;

	lockdep_assert_held(&gc->weak_lock);
	hlist_for_each_entry(call, &gc->weak_calls, node)
		if (call->ref == ref)
			return call->task != current ? call : NULL;
	return NULL;
}

/* Detach it. Return whether no callback runs; if not, @waiter is to sleep. */
static bool is_cleared(struct kheap_gc *gc, struct kheap_weakref *ref,
		       struct waiter *waiter)
{
	unsigned long flags;
	struct call *call;

	raw_spin_lock_irqsave(&gc->weak_lock, flags);
	WRITE_ONCE(ref->target, NULL);
	hlist_del_init(&ref->node);
	call = running_call(gc, ref);
	if (call && waiter)
		hlist_add_head(&waiter->node, &call->waiters);
	raw_spin_unlock_irqrestore(&gc->weak_lock, flags);
	return !call;
}

static void wait_until_cleared(struct kheap_gc *gc, struct kheap_weakref *ref)
{
	struct waiter waiter;

	init_completion(&waiter.done);
	while (!is_cleared(gc, ref, &waiter))
		wait_for_completion(&waiter.done);
}

/* Kernels that do not count preemption cannot tell: there we do not. */
static bool may_sleep(void)
{
	return preemptible() && !rcu_preempt_depth();
}

void kheap_weakref_clear(struct kheap_weakref *ref)
{
	struct kheap_gc *gc;

	/* Pairs with detach_batch(): nobody looks at it, and its owner frees it. */
	if (!smp_load_acquire(&ref->target) && !ref->callback)
		return;
	gc = ref->gc;
	if (may_sleep())
		return wait_until_cleared(gc, ref);
	while (!is_cleared(gc, ref, NULL))
		cpu_relax();
}
EXPORT_SYMBOL_GPL(kheap_weakref_clear);

/* --- The death of a target ---------------------------------------------- */

/*
 * Is the weak reference itself in an object that is garbage? That one's
 * callback is nobody's business any more.
 */
static bool in_garbage(struct kheap_gc *gc, const struct kheap_weakref *ref)
{
	struct kheap_pool *pool = kheap_pool_of(ref);
	const struct kheap_class *class = pool ? READ_ONCE(pool->class) : NULL;
	const struct kheap_object *obj;
	unsigned long idx;

	if (!class || !class->type || class->type->gc != gc)
		return false;
	idx = ((unsigned long)ref - (unsigned long)pool->base) / class->size;
	obj = kheap_block_address(class, pool, idx);
	return READ_ONCE(obj->gc) & KHEAP_GC_GARBAGE;
}

/* Detach some; those with a callback to call are moved to @pending. */
static unsigned int detach_batch(struct kheap_gc *gc, struct hlist_head *list,
				 struct hlist_head *pending,
				 struct kheap_gc_stats *stats)
{
	struct kheap_weakref *ref;
	unsigned long flags;
	unsigned int nr = 0;
	u64 start = 0;

	raw_spin_lock_irqsave(&gc->weak_lock, flags);
	if (stats)
		start = local_clock();
	while (nr < BATCH && !hlist_empty(list)) {
		ref = hlist_entry(list->first, struct kheap_weakref, node);
		hlist_del_init(&ref->node);
		if (ref->callback && !in_garbage(gc, ref))
			hlist_add_head(&ref->node, pending);
		nr++;
		/* The last look at it: kheap_weakref_clear() may not wait. */
		smp_store_release(&ref->target, NULL);
	}
	if (stats) {
		stats->nr_weakrefs_cleared += nr;
		stats->lock_max_ns = max(stats->lock_max_ns,
					 local_clock() - start);
	}
	raw_spin_unlock_irqrestore(&gc->weak_lock, flags);
	return nr;
}

/**
 * kheap_weakrefs_detach() - clear the weak references to an object
 * @obj: the object, dead or garbage, of a type that can have some
 * @pending: collects those whose callbacks are to be called
 * @stats: of the run whose work it is: how many, and how long the lock was
 *	held at most; or NULL
 *
 * Context: Any context except NMI. Never sleeps.
 */
void kheap_weakrefs_detach(struct kheap_object *obj,
			   struct hlist_head *pending,
			   struct kheap_gc_stats *stats)
{
	struct kheap_type *type = kheap_type_of(obj);
	struct hlist_head *list = kheap_weak_list(type, obj);
	unsigned long nr = 0;

	while (!hlist_empty(list))
		nr += detach_batch(type->gc, list, pending, stats);
	if (nr)
		trace_kheap_weakref_clear(type, obj, nr);
}

/* It has returned. A waiter is gone when he knows. */
static void end_call(struct call *call)
{
	struct waiter *waiter;
	struct hlist_node *next;

	hlist_del(&call->node);
	hlist_for_each_entry_safe(waiter, next, &call->waiters, node)
		complete(&waiter->done);
	INIT_HLIST_HEAD(&call->waiters);
}

/* Call the callbacks; a reference that is cleared meanwhile is not called. */
void kheap_weakrefs_call(struct kheap_gc *gc, struct hlist_head *pending)
{
	struct call call = { .task = current };
	struct kheap_weakref *ref;
	unsigned long flags;

	if (hlist_empty(pending))
		return;
	raw_spin_lock_irqsave(&gc->weak_lock, flags);
	while (!hlist_empty(pending)) {
		ref = hlist_entry(pending->first, struct kheap_weakref, node);
		hlist_del_init(&ref->node);
		call.ref = ref;
		hlist_add_head(&call.node, &gc->weak_calls);
		raw_spin_unlock_irqrestore(&gc->weak_lock, flags);
		ref->callback(ref);
		raw_spin_lock_irqsave(&gc->weak_lock, flags);
		end_call(&call);
	}
	raw_spin_unlock_irqrestore(&gc->weak_lock, flags);
}

/* A target is dead. Nobody adds to its list any more. */
void kheap_weakrefs_dead(struct kheap_type *type, struct kheap_object *obj)
{
	HLIST_HEAD(pending);

	if (hlist_empty(kheap_weak_list(type, obj)))
		return;
	kheap_weakrefs_detach(obj, &pending, NULL);
	kheap_weakrefs_call(type->gc, &pending);
}
