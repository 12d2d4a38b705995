// SPDX-License-Identifier: GPL-2.0
/*
 * Step 6 of the collector: weak references to garbage, finalizers, and the
 * clearing that breaks the cycles.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/rcupdate.h>
#include <linux/sched.h>

#include "gc/gc.h"
#include "object/trace.h"

/*
 * An object whose name is in a buffer of candidates as well is that one's to
 * free; its entry, whose edges are of no use any more, says so.
 */
#define NAME_IS_OURS	1

/* --- After the verdict -------------------------------------------------- */

/*
 * Say of an object that the verdict on it was passed, and more with @bits, and
 * take @pin references. No lookup increments it after this; one that did before
 * and has not put the reference yet shows in the count. Return the word that
 * was there.
 */
static __always_inline s64 sentence(struct kheap_gc_run *run,
				    struct kheap_gc_entry *entry, u32 bits,
				    unsigned int pin)
{
	struct kheap_object *obj = kheap_gc_object(entry);
	s64 word = atomic64_read(&obj->word), new;

	do {
		new = word & ~KHEAP_WORD(KHEAP_GC_CONDEMNED);
		new |= KHEAP_WORD(KHEAP_GC_GARBAGE | bits);
	} while (unlikely(!atomic64_try_cmpxchg(&obj->word, &word,
						new + pin)));
	if (unlikely((u32)word != entry->snap))
		run->looked_up = true;
	return word;
}

/*
 * A lookup that was too late has to see that, and to put its reference, before
 * anybody can tell from the object: else it would succeed when the object is
 * cleared and the flags are gone, or be taken for a reference that clear has
 * left. It is under rcu_read_lock() from its increment to its put.
 */
static void wait_for_lookups(struct kheap_gc_run *run)
{
	if (unlikely(run->looked_up))
		synchronize_rcu();
}

/* --- Weak references ---------------------------------------------------- */

/* All weak references first, then the callbacks. */
static void clear_weakrefs(struct kheap_gc_run *run)
{
	struct kheap_gc_entry *entry;
	HLIST_HEAD(pending);
	unsigned int idx;

	kheap_gc_for_each(run, entry, idx) {
		struct kheap_object *obj = kheap_gc_object(entry);

		if (obj->type->weak_offset)
			kheap_weakrefs_detach(obj, &pending, &run->stats);
	}
	kheap_weakrefs_call(run->gc, &pending);
}

/* Lookups fail from here on. Return whether there is a finalizer to call. */
static bool set_garbage(struct kheap_gc_run *run)
{
	struct kheap_gc_entry *entry;
	bool finalizers = false;
	unsigned int idx;

	kheap_gc_for_each(run, entry, idx) {
		struct kheap_object *obj = kheap_gc_object(entry);

		sentence(run, entry, 0, 0);
		if (obj->type->ops.finalize &&
		    !(READ_ONCE(obj->gc) & KHEAP_GC_FINALIZED))
			finalizers = true;
	}
	return finalizers;
}

/* --- Finalizers --------------------------------------------------------- */

/*
 * Resurrected, or reached by what is. The collector's reference goes; when it
 * is the last one by now, nothing lives on.
 */
void kheap_gc_survive(struct kheap_gc_run *run, struct kheap_object *obj)
{
	struct kheap_type *type = kheap_type_of(obj);

	kheap_gc_set_word(obj, KHEAP_GC_GARBAGE, 0);
	if (atomic_dec_and_test(&obj->refs.refs)) {
		kheap_object_release(type, obj);
		return;
	}
	run->stats.nr_resurrected++;
	atomic_long_inc(&type->nr_resurrected);
}

/*
 * What one finalizer has resurrected can be released again before another one
 * has run, so all are held until the second verification is over.
 */
static void pin_all(struct kheap_gc_run *run)
{
	struct kheap_gc_entry *entry;
	unsigned int idx;

	kheap_gc_for_each(run, entry, idx)
		atomic64_inc(&kheap_gc_object(entry)->word);
	run->pinned = 1;
}

static void finalize_all(struct kheap_gc_run *run)
{
	unsigned int idx;

	for (idx = 1; idx < run->nr; idx++) {
		struct kheap_object *obj =
			kheap_gc_object(kheap_gc_entry(run, idx));
		const struct kheap_type_ops *ops = &obj->type->ops;

		if (!ops->finalize ||
		    atomic_fetch_or(KHEAP_GC_FINALIZED, kheap_gc_word(obj)) &
		    KHEAP_GC_FINALIZED)
			continue;
		run->stats.nr_finalized++;
		ops->finalize(obj);
		cond_resched();
	}
}

/* Return whether anything is garbage after the finalizers. */
static bool finalize_and_verify(struct kheap_gc_run *run)
{
	pin_all(run);
	finalize_all(run);
	kheap_gc_mark(run);
	return kheap_gc_verify(run);
}

/* --- Clearing ----------------------------------------------------------- */

/*
 * The garbage's names are in the table, so it is BUFFERED from here on: what
 * dies keeps its memory, and puts have nothing to remember. None dies before
 * all are cleared, for we have a reference to each.
 */
static void own(struct kheap_gc_run *run)
{
	struct kheap_gc_entry *entry;
	unsigned int idx, pin = !run->pinned;

	kheap_gc_for_each(run, entry, idx) {
		s64 old = sentence(run, entry, KHEAP_GC_BUFFERED, pin);

		entry->edges = old & KHEAP_WORD(KHEAP_GC_BUFFERED) ?
			       0 : NAME_IS_OURS;
	}
	run->pinned = 1;
}

static void clear_all(struct kheap_gc_run *run)
{
	struct kheap_gc_entry *entry;
	unsigned int idx;

	kheap_gc_for_each_call(run, entry, idx) {
		struct kheap_object *obj = kheap_gc_object(entry);

		if (obj->type->ops.clear)
			obj->type->ops.clear(obj);
	}
}

/**
 * struct batch - objects whose memory goes in one go
 * @type: their type
 * @nr: how many
 * @blocks: the objects
 */
struct batch {
	struct kheap_type *type;
	unsigned int nr;
	void *blocks[32];
};

/* Free them, and start again with objects of @next. */
static void batch_free(struct batch *batch, struct kheap_type *next)
{
	struct kheap_type *type = batch->type;
	unsigned int i;

	if (batch->nr && type->ops.flags & KHEAP_TYPE_RCU)
		for (i = 0; i < batch->nr; i++)
			kheap_object_free(type, batch->blocks[i]);
	else if (batch->nr)
		kheap_class_free_bulk(&type->class, batch->nr, batch->blocks);
	batch->nr = 0;
	batch->type = next;
}

/* The callbacks of an object that dies here; it has been finalized. */
static __always_inline void end(struct kheap_type *type,
				struct kheap_object *obj)
{
	if (trace_kheap_object_release_enabled())
		trace_kheap_object_release(type, obj, 0, _RET_IP_);
	if (type->weak_offset)
		kheap_weakrefs_dead(type, obj);
	if (type->ops.release)
		type->ops.release(obj);
	else if (type->ops.clear)
		type->ops.clear(obj);
}

/*
 * Our reference goes, and that was the last one if the cycle is broken. Nobody
 * traverses anything in this run any more, so the memory can go as well.
 */
static void drop_one(struct kheap_gc_run *run, struct kheap_gc_entry *entry,
		     struct batch *batch)
{
	struct kheap_object *obj = kheap_gc_object(entry);
	struct kheap_type *type = obj->type;

	if (unlikely(!atomic_dec_and_test(&obj->refs.refs)))
		return;
	end(type, obj);
	if (unlikely(entry->edges != NAME_IS_OURS)) {
		kheap_object_dispose(type, obj);
		return;
	}
	entry->obj = 0;
	run->stats.nr_reclaimed++;
	if (unlikely(type != batch->type || batch->nr == ARRAY_SIZE(batch->blocks)))
		batch_free(batch, type);
	batch->blocks[batch->nr++] = obj;
}

/* What else dies of it waits in our frame. */
static void drop_all(struct kheap_gc_run *run)
{
	struct kheap_frame frame = { .process = true };
	struct batch batch = { };
	struct kheap_gc_entry *entry;
	unsigned int idx;

	kheap_trashcan_enter(&frame);
	run->gc->frame = &frame;
	kheap_gc_for_each_call(run, entry, idx) {
		drop_one(run, entry, &batch);
		if (unlikely(frame.waiting))
			kheap_trashcan_drain(&frame);
	}
	batch_free(&batch, NULL);
	run->gc->frame = NULL;
	kheap_trashcan_leave(&frame);
	run->pinned = 0;
}

static void list_uncollectable(struct kheap_gc_run *run,
			       struct kheap_object *obj)
{
	bool has_clear = kheap_type_of(obj)->ops.clear;

	run->stats.nr_uncollectable++;
	kheap_gc_list(run, obj, has_clear ? KHEAP_GC_CLEAR_LEFT :
					    KHEAP_GC_NO_CLEAR);
}

/*
 * It died of the end of another one, or not at all, or its name is in a buffer
 * as well. Let go of its name.
 */
static void let_go(struct kheap_gc_run *run, struct kheap_gc_entry *entry)
{
	struct kheap_object *obj = kheap_gc_object(entry);
	u32 ours = entry->edges == NAME_IS_OURS ? KHEAP_GC_BUFFERED : 0;
	struct kheap_type *type = kheap_type_of(obj);
	int old;

	if (kheap_refs(obj))
		list_uncollectable(run, obj);
	else
		run->stats.nr_reclaimed++;
	old = atomic_fetch_andnot(KHEAP_GC_GARBAGE | ours, kheap_gc_word(obj));
	if (ours && old & KHEAP_GC_RELEASED) {
		atomic_long_dec(&type->nr_held);
		kheap_object_free(type, obj);
	}
}

static void let_go_of_the_rest(struct kheap_gc_run *run)
{
	struct kheap_gc_entry *entry;
	unsigned int idx;

	if (run->stats.nr_reclaimed == run->nr - 1)
		return;
	kheap_gc_for_each(run, entry, idx)
		if (entry->obj)
			let_go(run, entry);
}

/**
 * kheap_gc_clear() - step 6: reclaim garbage
 * @run: the run; the verdict was passed on all in its table
 *
 * The members have references, to one another, until they are cleared: none is
 * dead before that, and each has its type.
 */
void kheap_gc_clear(struct kheap_gc_run *run)
{
	bool has_finalize = READ_ONCE(run->gc->has_finalize);
	bool has_weak = READ_ONCE(run->gc->has_weak);
	bool finalizers = false;

	if (has_finalize)
		finalizers = set_garbage(run);
	else
		own(run);
	wait_for_lookups(run);
	if (has_weak)
		clear_weakrefs(run);
	if (finalizers && !finalize_and_verify(run))
		return;
	if (has_finalize)
		own(run);
	/* Those that finalizers have made. */
	if (finalizers && has_weak)
		clear_weakrefs(run);
	clear_all(run);
	drop_all(run);
	let_go_of_the_rest(run);
}
