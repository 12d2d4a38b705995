// SPDX-License-Identifier: GPL-2.0
/*
 * The table of a run, and how it is filled: with what the candidates reach, or
 * with all objects. It grows while no lock is held.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/slab.h>

#include "gc/gc.h"

/* Entries that are free before a traverse, so that it rarely has to stop. */
#define NR_SPARE	64

/* More than a pool has objects. */
#define NR_A_POOL	1024

#define INDEX		(~0U << KHEAP_GC_INDEX_SHIFT)

/* --- Memory ------------------------------------------------------------- */

static size_t table_bytes(unsigned int room)
{
	return array_size(room, sizeof(struct kheap_gc_entry));
}

static void table_drop(struct kheap *heap, struct kheap_gc_entry *table,
		       unsigned int room)
{
	kvfree(table);
	kheap_meta_uncharge(heap, table_bytes(room));
}

/* Return whether the table has room for @room entries now. */
static bool table_grow(struct kheap_gc_run *run, unsigned int room)
{
	struct kheap *heap = run->gc->heap;
	struct kheap_gc_entry *table;

	if (room > KHEAP_GC_INDEX_MAX ||
	    !kheap_meta_charge(heap, table_bytes(room)))
		return false;
	/* To give up is better than to have somebody killed. */
	table = kvmalloc(table_bytes(room),
			 GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (!table) {
		kheap_meta_uncharge(heap, table_bytes(room));
		return false;
	}
	kheap_note_peak(heap);
	/* Index 0 is what an object has that is in no table: it finds none. */
	table->obj = 0;
	if (run->table) {
		memcpy(table, run->table, table_bytes(run->nr));
		table_drop(heap, run->table, run->room);
	}
	run->table = table;
	run->room = room;
	return true;
}

/**
 * kheap_gc_reserve() - make room in the table, which may move
 * @run: the run
 * @nr: entries
 *
 * Return: false if there is no memory, or no index: then the run gives up.
 */
bool kheap_gc_reserve(struct kheap_gc_run *run, unsigned int nr)
{
	unsigned int room = run->nr + nr;

	if (likely(room <= run->room))
		return true;
	if (table_grow(run, max(room, 2 * run->room)) || table_grow(run, room))
		return true;
	run->given_up = true;
	return false;
}

void kheap_gc_table_free(struct kheap_gc_run *run)
{
	if (run->table)
		table_drop(run->gc->heap, run->table, run->room);
}

/* --- Entries ------------------------------------------------------------ */

/* Add an object, for which there is room. Its memory stays during the run. */
static __always_inline struct kheap_gc_entry *
add(struct kheap_gc_run *run, struct kheap_object *obj, s64 word)
{
	unsigned int idx = run->nr++;
	struct kheap_gc_entry *entry = kheap_gc_entry(run, idx);
	int old = word >> 32;

	entry->obj = (unsigned long)obj;
	entry->snap = word;
	entry->edges = 0;
	while (unlikely(!atomic_try_cmpxchg(kheap_gc_word(obj), &old,
					    (old & ~INDEX) |
					    idx << KHEAP_GC_INDEX_SHIFT)))
		;
	return entry;
}

/*
 * What a field refers to, or a candidate's name. It may be dead, and then it
 * has no type field.
 */
struct kheap_gc_entry *kheap_gc_add(struct kheap_gc_run *run,
				    struct kheap_object *obj)
{
	s64 word = atomic64_read(&obj->word);

	if ((s32)word <= 0 || word & KHEAP_WORD(KHEAP_GC_FROZEN) ||
	    !kheap_type_is_collectable(kheap_type_of(obj)))
		return NULL;
	if (run->nr == run->room) {
		run->given_up = true;
		return NULL;
	}
	return add(run, obj, word);
}

/* Add an object, whatever the collector thinks of it; there is room. */
struct kheap_gc_entry *kheap_gc_add_any(struct kheap_gc_run *run,
					struct kheap_object *obj)
{
	return add(run, obj, atomic64_read(&obj->word));
}

/* --- All objects -------------------------------------------------------- */

static bool reserve(struct kheap_walk *walk, unsigned int nr)
{
	return kheap_gc_reserve(container_of(walk, struct kheap_gc_run, walk),
				nr);
}

static __always_inline void look(struct kheap_walk *walk,
				 struct kheap_type *type,
				 struct kheap_object *obj, s64 word)
{
	/* The client has not set a new object up yet. */
	if (unlikely((s32)word <= 0 || word & KHEAP_WORD(KHEAP_GC_FROZEN |
							 KHEAP_GC_NEW)))
		return;
	add(container_of(walk, struct kheap_gc_run, walk), obj, word);
}

static void look_at_pool(struct kheap_walk *walk, struct kheap_pool *pool)
{
	if (kheap_type_is_collectable(pool->class->type))
		kheap_look_at_pool(walk, pool, look);
}

/* Room for all of them, so that the table need not move. */
static bool reserve_for_all(struct kheap_gc_run *run)
{
	struct kheap *heap = run->gc->heap;
	struct kheap_class *class;
	unsigned long nr = 0;

	mutex_lock(&heap->base.mutex);
	list_for_each_entry(class, &heap->block.class_list, list)
		if (class->type && kheap_type_is_collectable(class->type))
			nr += kheap_type_nr_live(class->type);
	mutex_unlock(&heap->base.mutex);
	return kheap_gc_reserve(run, min_t(unsigned long, KHEAP_GC_INDEX_MAX,
					   nr + nr / 16 + NR_A_POOL));
}

/* --- What the candidates reach ------------------------------------------ */

/* Count the edge, and make the target known if it is not. */
static void visit_reach(struct kheap_visitor *visitor,
			struct kheap_object *target)
{
	struct kheap_gc_run *run = kheap_gc_run_of(visitor);
	struct kheap_gc_entry *entry;
	unsigned int idx;

	if (!kheap_gc_find(run, target, &entry, &idx))
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
		struct kheap_object *obj = (void *)run->table[idx].obj;
		unsigned int spare = NR_SPARE;

		do {
			run->given_up = false;
			if (!kheap_gc_reserve(run, spare))
				return;
			kheap_gc_traverse(run, obj);
			spare *= 2;
		} while (unlikely(run->given_up));
		if (!(idx % KHEAP_GC_NR_A_RESCHED))
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
		struct kheap_gc_entry *entry;
		unsigned int idx;

		if (!kheap_gc_forget(obj) && !run->full && !run->given_up &&
		    !kheap_gc_find(run, obj, &entry, &idx))
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
	if (!reserve_for_all(run))
		return;
	run->walk.reserve = reserve;
	run->walk.look_at_pool = look_at_pool;
	kheap_walk_objects(run->gc->heap, &run->walk);
	run->stats.lock_max_ns = run->walk.lock_max_ns;
}
