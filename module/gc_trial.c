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

#include "gc.h"

/* --- Edges ---------------------------------------------------------------------- */

static void visit_count(struct kheap_visitor *visitor,
			struct kheap_object *target)
{
	struct kheap_gc_run *run = container_of(visitor, struct kheap_gc_run,
						visitor);
	struct kheap_gc_entry *entry = kheap_gc_find(run, target);

	if (entry)
		entry->edges++;
}

/* Count the edges from all suspects into each; the counts are clear. */
void kheap_gc_count_edges(struct kheap_gc_run *run)
{
	unsigned int idx;

	run->visitor.visit = visit_count;
	for (idx = 1; idx < run->nr; idx++) {
		struct kheap_gc_entry *entry = kheap_gc_entry(run, idx);

		if (likely(!kheap_gc_dropped(entry)))
			kheap_gc_traverse(run, kheap_gc_object(entry));
		if (!(idx % KHEAP_GC_ENTRIES))
			cond_resched();
	}
}

/* --- What is reached from outside ------------------------------------------------ */

static void visit_drop(struct kheap_visitor *visitor,
		       struct kheap_object *target)
{
	struct kheap_gc_run *run = container_of(visitor, struct kheap_gc_run,
						visitor);
	struct kheap_gc_entry *entry = kheap_gc_find(run, target);

	if (entry)
		kheap_gc_drop(run, entry,
			      READ_ONCE(target->gc) >> KHEAP_GC_INDEX_SHIFT);
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
		if (!(++nr % KHEAP_GC_ENTRIES))
			cond_resched();
	}
}

/**
 * kheap_gc_trial() - step 2: drop what seems to be alive
 * @run: the run; its table is filled
 */
void kheap_gc_trial(struct kheap_gc_run *run)
{
	unsigned int idx;

	if (run->full)
		kheap_gc_count_edges(run);
	for (idx = 1; idx < run->nr; idx++) {
		struct kheap_gc_entry *entry = kheap_gc_entry(run, idx);

		if (!kheap_gc_dropped(entry) && entry->snap > entry->edges)
			kheap_gc_drop(run, entry, idx);
	}
	kheap_gc_drop_reachable(run);
}
