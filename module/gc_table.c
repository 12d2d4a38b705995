// SPDX-License-Identifier: GPL-2.0
/*
 * The table of a run, and how it is filled: with what the candidates reach, or
 * with all objects. Memory comes in chunks, with no lock held.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>

#include "gc.h"

/* Entries that are free before a traverse, so that it rarely has to stop. */
#define NR_SPARE	64

/* --- Memory ------------------------------------------------------------------- */

static bool dir_grow(struct kheap_gc_run *run)
{
	unsigned int nr_dir = max(2 * run->nr_dir, 64U);
	struct kheap_gc_entry **dir;

	dir = kheap_meta_alloc(run->gc->heap, nr_dir * sizeof(*dir),
			       GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN,
			       NUMA_NO_NODE);
	if (!dir)
		return false;
	if (run->dir)
		memcpy(dir, run->dir, run->nr_chunks * sizeof(*dir));
	kheap_meta_free(run->gc->heap, run->dir);
	run->dir = dir;
	run->nr_dir = nr_dir;
	return true;
}

static bool chunk_add(struct kheap_gc_run *run)
{
	struct kheap_gc_entry *chunk;

	if (run->nr_chunks == run->nr_dir && !dir_grow(run))
		return false;
	chunk = kheap_meta_alloc(run->gc->heap,
				 KHEAP_GC_ENTRIES * sizeof(*chunk),
				 GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN,
				 NUMA_NO_NODE);
	if (!chunk)
		return false;
	run->dir[run->nr_chunks++] = chunk;
	return true;
}

/**
 * kheap_gc_reserve() - make room in the table
 * @run: the run
 * @nr: entries
 *
 * Return: false if there is no memory, or no index: then the run gives up.
 */
bool kheap_gc_reserve(struct kheap_gc_run *run, unsigned int nr)
{
	while (run->nr + nr > run->nr_chunks * KHEAP_GC_ENTRIES) {
		if (run->nr + nr > KHEAP_GC_INDEX_MAX || !chunk_add(run)) {
			run->given_up = true;
			return false;
		}
	}
	return true;
}

void kheap_gc_table_free(struct kheap_gc_run *run)
{
	unsigned int i;

	for (i = 0; i < run->nr_chunks; i++)
		kheap_meta_free(run->gc->heap, run->dir[i]);
	kheap_meta_free(run->gc->heap, run->dir);
}

/* --- Entries -------------------------------------------------------------------- */

/* Change an object's gc word, whatever mutators do to it meanwhile. */
void kheap_gc_set_word(struct kheap_object *obj, u32 clear, u32 set)
{
	int old = READ_ONCE(obj->gc);

	while (!atomic_try_cmpxchg(kheap_gc_word(obj), &old,
				   (old & ~clear) | set))
		;
}

/* Add an object, for which there is room. Its memory stays during the run. */
static __always_inline struct kheap_gc_entry *
add(struct kheap_gc_run *run, struct kheap_object *obj, u32 refs)
{
	struct kheap_gc_entry *entry = kheap_gc_entry(run, run->nr);

	entry->obj = (unsigned long)obj;
	entry->snap = refs;
	entry->edges = 0;
	kheap_gc_set_word(obj, ~0U << KHEAP_GC_INDEX_SHIFT,
			  run->nr << KHEAP_GC_INDEX_SHIFT);
	run->nr++;
	return entry;
}

/*
 * What a field refers to, or a candidate's name. It may be dead, and then it
 * has no type field.
 */
struct kheap_gc_entry *kheap_gc_add(struct kheap_gc_run *run,
				    struct kheap_object *obj)
{
	int refs = kheap_refs(obj);

	if (refs <= 0 || READ_ONCE(obj->gc) & KHEAP_GC_FROZEN ||
	    !kheap_type_is_collectable(kheap_type_of(obj)))
		return NULL;
	if (run->nr == run->nr_chunks * KHEAP_GC_ENTRIES) {
		run->given_up = true;
		return NULL;
	}
	return add(run, obj, refs);
}

/* Add an object, whatever the collector thinks of it; there is room. */
struct kheap_gc_entry *kheap_gc_add_any(struct kheap_gc_run *run,
					struct kheap_object *obj)
{
	return add(run, obj, kheap_refs(obj));
}

/* --- All objects ------------------------------------------------------------------ */

static bool reserve(struct kheap_walk *walk, unsigned int nr)
{
	return kheap_gc_reserve(container_of(walk, struct kheap_gc_run, walk),
				nr);
}

static void look(struct kheap_walk *walk, struct kheap_type *type,
		 struct kheap_object *obj)
{
	int refs = kheap_refs(obj);

	/* The client has not set a new object up yet. */
	if (!type->ops.traverse || refs <= 0 ||
	    READ_ONCE(obj->gc) & (KHEAP_GC_FROZEN | KHEAP_GC_NEW))
		return;
	add(container_of(walk, struct kheap_gc_run, walk), obj, refs);
}

/* --- What the candidates reach ------------------------------------------------------- */

/* Count the edge, and make the target known if it is not. */
static void visit_reach(struct kheap_visitor *visitor,
			struct kheap_object *target)
{
	struct kheap_gc_run *run = container_of(visitor, struct kheap_gc_run,
						visitor);
	struct kheap_gc_entry *entry = kheap_gc_find(run, target);

	if (!entry)
		entry = kheap_gc_add(run, target);
	if (entry)
		entry->edges++;
}

/*
 * Traverse every object in the table, which grows meanwhile. One that has more
 * fields than there was room for is traversed again: it counts some edges
 * twice, which makes suspects of objects that are none, and no harm.
 */
static void close_over(struct kheap_gc_run *run)
{
	unsigned int idx;

	run->visitor.visit = visit_reach;
	for (idx = 1; idx < run->nr; idx++) {
		struct kheap_object *obj = kheap_gc_object(kheap_gc_entry(run, idx));
		unsigned int spare = NR_SPARE;

		do {
			run->given_up = false;
			if (!kheap_gc_reserve(run, spare))
				return;
			kheap_gc_traverse(run, obj);
			spare *= 2;
		} while (unlikely(run->given_up));
		if (!(idx % KHEAP_GC_ENTRIES))
			cond_resched();
	}
}

/*
 * Step 1. The flag goes first, then the count is read: a put after that
 * remembers the object again.
 */
static void add_candidates(struct kheap_gc_run *run,
			   struct kheap_gc_chunk *chunk)
{
	unsigned long i;

	run->stats.nr_candidates += chunk->nr;
	kheap_gc_reserve(run, chunk->nr);
	for (i = 0; i < chunk->nr; i++) {
		struct kheap_object *obj = chunk->names[i];
		bool released = READ_ONCE(obj->gc) & KHEAP_GC_RELEASED;

		kheap_gc_forget(run->gc, obj);
		if (!released && !run->full && !run->given_up &&
		    !kheap_gc_find(run, obj))
			kheap_gc_add(run, obj);
	}
}

/**
 * kheap_gc_gather() - steps 1 and 2: find the objects to look at
 * @run: the run
 *
 * Counts are read, and in a run from candidates the edges are counted, too.
 */
void kheap_gc_gather(struct kheap_gc_run *run)
{
	struct llist_node *node;
	struct kheap_gc_chunk *chunk, *next;

	run->nr = 1;
	if (!kheap_gc_reserve(run, NR_SPARE))
		return;
	chunk = kheap_gc_take_candidates(run->gc);
	node = chunk ? &chunk->node : NULL;
	llist_for_each_entry_safe(chunk, next, node, node) {
		add_candidates(run, chunk);
		kheap_meta_free(run->gc->heap, chunk);
		cond_resched();
	}
	if (run->given_up)
		return;
	if (!run->full) {
		close_over(run);
		return;
	}
	run->walk.reserve = reserve;
	run->walk.look = look;
	kheap_walk_objects(run->gc->heap, &run->walk);
	run->stats.lock_max_ns = run->walk.lock_max_ns;
}
