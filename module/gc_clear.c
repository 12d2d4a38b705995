// SPDX-License-Identifier: GPL-2.0
/*
 * Step 6 of the collector: weak references to garbage, finalizers, and the
 * clearing that breaks the cycles.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sched.h>

#include "gc.h"

/*
 * An object whose name is in a buffer of candidates as well is that one's to
 * free; its entry, whose edges are of no use any more, says so.
 */
#define NAME_IS_OURS	1

/* --- Weak references ------------------------------------------------------------ */

/* All weak references first, then the callbacks. */
static void clear_weakrefs(struct kheap_gc_run *run)
{
	HLIST_HEAD(pending);
	unsigned int idx;

	for (idx = 1; idx < run->nr; idx++) {
		struct kheap_object *obj =
			kheap_gc_object(kheap_gc_entry(run, idx));
		struct kheap_type *type = kheap_type_of(obj);

		if (type->weak_offset)
			run->stats.nr_weakrefs_cleared +=
				kheap_weakrefs_detach(type, obj, &pending);
	}
	kheap_weakrefs_call(run->gc, &pending);
}

/* Lookups fail from here on. Return whether there is a finalizer to call. */
static bool set_garbage(struct kheap_gc_run *run)
{
	bool finalizers = false;
	unsigned int idx;

	for (idx = 1; idx < run->nr; idx++) {
		struct kheap_object *obj =
			kheap_gc_object(kheap_gc_entry(run, idx));

		kheap_gc_set_word(obj, KHEAP_GC_CONDEMNED, KHEAP_GC_GARBAGE);
		if (kheap_type_of(obj)->ops.finalize &&
		    !(READ_ONCE(obj->gc) & KHEAP_GC_FINALIZED))
			finalizers = true;
	}
	return finalizers;
}

/* --- Finalizers -------------------------------------------------------------------- */

/* Resurrected, or reached by what is. The collector's reference goes. */
void kheap_gc_survive(struct kheap_gc_run *run, struct kheap_object *obj)
{
	run->stats.nr_resurrected++;
	atomic_long_inc(&kheap_type_of(obj)->nr_resurrected);
	kheap_gc_set_word(obj, KHEAP_GC_GARBAGE, 0);
	kheap_gc_unpin(obj);
}

/*
 * What one finalizer has resurrected can be released again before another one
 * has run, so all are held until the second verification is over.
 */
static void pin_all(struct kheap_gc_run *run)
{
	unsigned int idx;

	for (idx = 1; idx < run->nr; idx++)
		atomic64_inc(&kheap_gc_object(kheap_gc_entry(run, idx))->word);
	run->pinned = 1;
}

static void unpin_all(struct kheap_gc_run *run)
{
	unsigned int idx;

	for (idx = 1; idx < run->nr; idx++) {
		kheap_gc_unpin(kheap_gc_object(kheap_gc_entry(run, idx)));
		cond_resched();
	}
	run->pinned = 0;
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

/* --- Clearing ------------------------------------------------------------------------ */

/*
 * The garbage's names are in the table, so it is BUFFERED from here on: what
 * dies keeps its memory, and puts have nothing to remember.
 */
static void own_names(struct kheap_gc_run *run)
{
	unsigned int idx;

	for (idx = 1; idx < run->nr; idx++) {
		struct kheap_gc_entry *entry = kheap_gc_entry(run, idx);
		struct kheap_object *obj = kheap_gc_object(entry);
		s64 word = atomic64_read(&obj->word), new;

		do {
			new = word & ~KHEAP_WORD(KHEAP_GC_CONDEMNED);
			new |= KHEAP_WORD(KHEAP_GC_GARBAGE);
			if (likely((s32)word))
				new |= KHEAP_WORD(KHEAP_GC_BUFFERED);
		} while (!atomic64_try_cmpxchg(&obj->word, &word, new));
		entry->edges = (new ^ word) & KHEAP_WORD(KHEAP_GC_BUFFERED) ?
			       NAME_IS_OURS : 0;
	}
}

static void clear_one(struct kheap_gc_run *run, struct kheap_object *obj)
{
	/* It can have died of the clearing of another one. */
	if (!run->pinned && !kheap_gc_pin(obj))
		return;
	if (obj->type->ops.clear)
		obj->type->ops.clear(obj);
	if (!run->pinned)
		kheap_gc_unpin(obj);
}

static void clear_all(struct kheap_gc_run *run)
{
	unsigned int idx;

	for (idx = 1; idx < run->nr; idx++) {
		clear_one(run, kheap_gc_object(kheap_gc_entry(run, idx)));
		if (!(idx % 64))
			cond_resched();
	}
	if (run->pinned)
		unpin_all(run);
}

static void list_uncollectable(struct kheap_gc_run *run,
			       struct kheap_object *obj)
{
	bool has_clear = kheap_type_of(obj)->ops.clear;

	run->stats.nr_uncollectable++;
	kheap_gc_list(run, obj, has_clear ? KHEAP_GC_CLEAR_LEFT :
					    KHEAP_GC_NO_CLEAR);
}

/* Let go of the names; nobody traverses anything in this run any more. */
static void free_memory(struct kheap_gc_run *run)
{
	unsigned int idx;
	int old;

	for (idx = 1; idx < run->nr; idx++) {
		struct kheap_gc_entry *entry = kheap_gc_entry(run, idx);
		struct kheap_object *obj = kheap_gc_object(entry);
		struct kheap_type *type = kheap_type_of(obj);

		if (likely(!kheap_refs(obj)))
			run->stats.nr_reclaimed++;
		else
			list_uncollectable(run, obj);
		old = atomic_fetch_andnot(KHEAP_GC_GARBAGE |
					  (entry->edges == NAME_IS_OURS ?
					   KHEAP_GC_BUFFERED : 0),
					  kheap_gc_word(obj));
		if (old & KHEAP_GC_RELEASED && entry->edges == NAME_IS_OURS) {
			atomic_long_dec(&type->nr_held);
			kheap_object_free(type, obj);
		}
		if (!(idx % KHEAP_GC_ENTRIES))
			cond_resched();
	}
}

/**
 * kheap_gc_clear() - step 6: reclaim garbage
 * @run: the run; the verdict was passed on all in its table
 */
void kheap_gc_clear(struct kheap_gc_run *run)
{
	bool finalizers = set_garbage(run);

	clear_weakrefs(run);
	if (!finalizers || finalize_and_verify(run)) {
		own_names(run);
		clear_all(run);
		flush_work(&run->gc->process_work);
		free_memory(run);
	}
}
