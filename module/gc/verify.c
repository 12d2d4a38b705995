// SPDX-License-Identifier: GPL-2.0
/*
 * Mark, verify, commit: steps 3 to 5 of the collector. What is proved of them,
 * and how, is in Documentation/design.rst and Documentation/models.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sched.h>

#include "gc/gc.h"
#include "gc/trace.h"

/* Attempts to pass a verdict before the rest is left for another run. */
#define NR_ATTEMPTS	16

#define MARKS	(KHEAP_GC_CANDIDATE | KHEAP_GC_CONDEMNED)

/* Not garbage: the marks go, and so does what the collector holds. */
static void let_go(struct kheap_gc_run *run, struct kheap_object *obj)
{
	if (READ_ONCE(obj->gc) & MARKS)
		kheap_gc_set_word(obj, MARKS, 0);
	if (run->pinned)
		kheap_gc_survive(run, obj);
}

/* Entries that were dropped go; the others move up, and get @set. */
static void compact(struct kheap_gc_run *run, u32 set)
{
	struct kheap_gc_entry *entry;
	unsigned int idx, nr = 1;

	kheap_gc_for_each(run, entry, idx) {
		struct kheap_object *obj = kheap_gc_object(entry);

		if (kheap_gc_dropped(entry)) {
			if (run->marked)
				let_go(run, obj);
		} else if (idx == nr) {
			nr++;
			atomic_or(set, kheap_gc_word(obj));
		} else {
			kheap_gc_set_word(obj, ~0U << KHEAP_GC_INDEX_SHIFT,
					  nr << KHEAP_GC_INDEX_SHIFT | set);
			*kheap_gc_entry(run, nr++) = *entry;
		}
	}
	run->nr = nr;
	run->nr_left = nr - 1;
}

/**
 * kheap_gc_mark() - step 3: mark the suspects
 * @run: the run
 *
 * Until it is cleared, the mark says that no reference was taken since.
 */
void kheap_gc_mark(struct kheap_gc_run *run)
{
	/* The usual case, most of all of a run that looked at everything. */
	if (!run->nr_left)
		run->nr = 1;
	compact(run, KHEAP_GC_CANDIDATE);
	run->marked = true;
	/* Partner of kheap_object_get(): our marks, then the counts. */
	smp_mb();
}

/* Step 4, first half: the counts, of all, before any edge. */
static void read_counts(struct kheap_gc_run *run)
{
	struct kheap_gc_entry *entry;
	unsigned int idx;

	kheap_gc_for_each(run, entry, idx) {
		entry->snap = kheap_refs((void *)entry->obj);
		entry->edges = 0;
	}
	/* An outside reference that was counted is no edge later on. */
	smp_mb();
}

/* Step 4, the comparison. Return whether all of them are suspects still. */
static bool add_up(struct kheap_gc_run *run)
{
	struct kheap_gc_entry *entry;
	bool all = true;
	unsigned int idx;

	kheap_gc_for_each(run, entry, idx) {
		u32 gc = READ_ONCE(((struct kheap_object *)entry->obj)->gc);
		bool marked = gc & KHEAP_GC_CANDIDATE;

		if (likely(marked && entry->snap &&
			   entry->snap <= entry->edges + run->pinned))
			continue;
		if (marked)
			run->stats.nr_dropped++;
		else
			run->stats.nr_rescued++;
		kheap_gc_drop(run, entry, idx);
		all = false;
	}
	return all;
}

/* --- The verdict -------------------------------------------------------- */

static long verdict_open(struct kheap_gc *gc)
{
	long old = atomic_long_read(&gc->verdict);
	long open = (old & ~KHEAP_VERDICT_STATE) + KHEAP_VERDICT_ATTEMPT +
		    KHEAP_VERDICT_OPEN;

	atomic_long_set(&gc->verdict, open);
	/* The number, then CONDEMNED: partner of object_to(). */
	smp_mb();
	return open;
}

/* Condemn an object if nothing happened to it since its count was read. */
static bool judge(struct kheap_gc_entry *entry)
{
	struct kheap_object *obj = (void *)entry->obj;
	s64 word = atomic64_read(&obj->word);

	do {
		if (unlikely((u32)word != entry->snap ||
			     !(word & KHEAP_WORD(KHEAP_GC_CANDIDATE))))
			return false;
	} while (!atomic64_try_cmpxchg(&obj->word, &word, word ^
				       KHEAP_WORD(MARKS)));
	return true;
}

/* Members before @nr were condemned in vain: they are marked as before. */
static void acquit(struct kheap_gc_run *run, unsigned int nr)
{
	unsigned int idx;

	for (idx = 1; idx < nr; idx++) {
		struct kheap_object *obj =
			kheap_gc_object(kheap_gc_entry(run, idx));
		int old = READ_ONCE(obj->gc);

		do {
			/* Somebody objected: let it have the object. */
			if (!(old & KHEAP_GC_CONDEMNED))
				break;
		} while (!atomic_try_cmpxchg(kheap_gc_word(obj), &old,
					     old ^ MARKS));
	}
	run->stats.nr_rejected++;
}

/* Return whether the suspects are garbage, from this moment on. */
static bool pass_verdict(struct kheap_gc_run *run)
{
	struct kheap_gc *gc = run->gc;
	long open = verdict_open(gc);
	struct kheap_gc_entry *entry;
	unsigned int idx;

	kheap_gc_for_each(run, entry, idx) {
		if (unlikely(!judge(entry))) {
			acquit(run, idx);
			return false;
		}
	}
	if (atomic_long_cmpxchg(&gc->verdict, open,
				open ^ KHEAP_VERDICT_OPEN ^
				KHEAP_VERDICT_COMMITTED) == open)
		return true;
	acquit(run, run->nr);
	return false;
}

/* Step 5. */
static bool commit(struct kheap_gc_run *run)
{
	bool committed = pass_verdict(run);

	trace_kheap_gc_verdict(run->gc->heap,
			       kheap_collector(run->gc)->stats.nr_runs + 1,
			       run->nr - 1, committed);
	return committed;
}

/**
 * kheap_gc_verify() - steps 4 and 5, until what is left is garbage for sure
 * @run: the run; all suspects are marked
 *
 * Return: false if nothing is left, or mutators would not leave it alone.
 */
bool kheap_gc_verify(struct kheap_gc_run *run)
{
	unsigned int nr_attempts = 0;

	while (run->nr > 1) {
		read_counts(run);
		kheap_gc_count_edges(run);
		if (!add_up(run)) {
			kheap_gc_drop_reachable(run);
			compact(run, 0);
			continue;
		}
		if (commit(run))
			return true;
		if (++nr_attempts == NR_ATTEMPTS)
			break;
	}
	/* What is left is for another run to look at. */
	if (run->nr > 1) {
		unsigned int idx;

		WRITE_ONCE(kheap_collector(run->gc)->need_full, true);
		for (idx = 1; idx < run->nr; idx++)
			kheap_gc_entry(run, idx)->obj |= KHEAP_GC_DROPPED;
		compact(run, 0);
	}
	return false;
}
