// SPDX-License-Identifier: GPL-2.0
/*
 * Trial deletion: what in the table is not referred to from outside of it, nor
 * reached from what is. Mutators run meanwhile, so that the answer may be wrong
 * either way; it only has to be right about garbage that nobody touches. What
 * it says is verified. The method is CPython's, Modules/gcmodule.c, after Bacon
 * and Rajan.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sched.h>

#include "gc/gc.h"

/* --- Edges -------------------------------------------------------------- */

static void visit_count(struct kheap_visitor *visitor,
			struct kheap_object *target)
{
	struct kheap_gc_run *run = kheap_gc_run_of(visitor);
	struct kheap_gc_entry *entry;
	unsigned int idx;

	if (likely(kheap_gc_find(run, target, &entry, &idx)))
		entry->edges++;
}

/* Count the edges from all suspects into each; the counts are clear. */
void kheap_gc_count_edges(struct kheap_gc_run *run)
{
	struct kheap_gc_entry *entry;
	unsigned int idx;

	run->visitor.visit = visit_count;
	kheap_gc_for_each(run, entry, idx)
		if (likely(!kheap_gc_dropped(entry)))
			kheap_gc_traverse(run, (void *)entry->obj);
}

/* --- What is reached from outside --------------------------------------- */

static void visit_drop(struct kheap_visitor *visitor,
		       struct kheap_object *target)
{
	struct kheap_gc_run *run = kheap_gc_run_of(visitor);
	struct kheap_gc_entry *entry;
	unsigned int idx;

	if (kheap_gc_find(run, target, &entry, &idx))
		kheap_gc_drop(run, entry, idx);
}

/* Drop all that the dropped entries in @run->work reach. */
void kheap_gc_drop_reachable(struct kheap_gc_run *run)
{
	unsigned int nr = 0;

	run->visitor.visit = visit_drop;
	while (run->work) {
		struct kheap_gc_entry *entry = kheap_gc_entry(run, run->work);

		run->work = entry->edges;
		kheap_gc_traverse(run, kheap_gc_object(entry));
		if (!(++nr % KHEAP_GC_NR_A_RESCHED))
			cond_resched();
	}
}

/**
 * kheap_gc_trial() - step 2: drop what seems to be alive
 * @run: the run; its table is filled
 */
void kheap_gc_trial(struct kheap_gc_run *run)
{
	struct kheap_gc_entry *entry;
	unsigned int idx;

	run->nr_left = run->nr - 1;
	if (run->full)
		kheap_gc_count_edges(run);
	kheap_gc_for_each(run, entry, idx)
		if (entry->snap > entry->edges)
			kheap_gc_drop(run, entry, idx);
	kheap_gc_drop_reachable(run);
}
