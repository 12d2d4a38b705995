// SPDX-License-Identifier: GPL-2.0
/*
 * Candidates: objects that a put has left with references, each remembered
 * once, in a buffer of the CPU. BUFFERED in the gc word says that a name is in
 * a buffer, or about to be. An object that dies meanwhile leaves its name and
 * its memory, until whoever takes the name out frees that. The idea of buffered
 * roots is Bacon's and Rajan's, "Concurrent Cycle Collection in Reference
 * Counted Systems" (2001).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>

#include "gc/gc.h"

/* The slow half of kheap_gc_forget(): it is dead, and nobody else has it. */
void __kheap_gc_forget(struct kheap_object *obj)
{
	struct kheap_type *type = kheap_type_of(obj);

	atomic_long_dec(&type->nr_held);
	kheap_object_dispose(type, obj);
}

/* Take the names of the dead out of a chunk that nobody else has. */
static void chunk_compact(struct kheap_gc *gc, struct kheap_gc_chunk *chunk)
{
	unsigned long i, nr = 0;

	for (i = 0; i < chunk->nr; i++) {
		struct kheap_object *obj = chunk->names[i];

		if (READ_ONCE(obj->gc) & KHEAP_GC_RELEASED)
			kheap_gc_forget(obj);
		else
			chunk->names[nr++] = obj;
	}
	atomic_long_sub(chunk->nr - nr, &kheap_collector(gc)->nr_pending);
	chunk->nr = nr;
}

/* Make @chunk the CPU's if it has none. Return false if it has one. */
static bool chunk_install(struct kheap_gc_buffer *buffer,
			  struct kheap_gc_chunk *chunk)
{
	unsigned long flags;
	bool none;

	raw_spin_lock_irqsave(&buffer->lock, flags);
	none = !buffer->chunk;
	if (none)
		buffer->chunk = chunk;
	raw_spin_unlock_irqrestore(&buffer->lock, flags);
	return none;
}

/*
 * The CPU's chunk was full and is now @full, or there was none. Give it one
 * that has room. Return false if there is no memory.
 */
static bool chunk_renew(struct kheap_gc *gc, struct kheap_gc_buffer *buffer,
			struct kheap_gc_chunk *full)
{
	struct kheap_gc_chunk *chunk;

	if (full) {
		chunk_compact(gc, full);
		if (full->nr < KHEAP_GC_NAMES / 2 &&
		    chunk_install(buffer, full))
			return true;
		llist_add(&full->node, &kheap_collector(gc)->full_chunks);
	}
	if (!kheap_mm_allowed())
		return false;
	chunk = kheap_meta_alloc(gc->heap, sizeof(*chunk),
				 GFP_NOWAIT | __GFP_NOWARN, NUMA_NO_NODE);
	if (!chunk)
		return false;
	if (!chunk_install(buffer, chunk))
		kheap_meta_free(gc->heap, chunk);
	return true;
}

/*
 * Put a name into the CPU's chunk. Return false if that is full or not there;
 * then it is the caller's.
 */
static bool chunk_add(struct kheap_gc_buffer *buffer, struct kheap_object *obj,
		      struct kheap_gc_chunk **full)
{
	struct kheap_gc_chunk *chunk;
	unsigned long flags;
	bool room;

	raw_spin_lock_irqsave(&buffer->lock, flags);
	chunk = buffer->chunk;
	room = chunk && chunk->nr < KHEAP_GC_NAMES;
	if (room)
		chunk->names[chunk->nr++] = obj;
	else
		buffer->chunk = NULL;
	raw_spin_unlock_irqrestore(&buffer->lock, flags);
	*full = room ? NULL : chunk;
	return room;
}

/**
 * kheap_gc_remember() - remember an object that a put left with references
 * @gc: the collector
 * @obj: the object, dead by now for all we know, but BUFFERED
 *
 * Without memory, the next run is told to look at everything; the candidate
 * counts, so that there is one.
 *
 * Context: Any context except NMI; under rcu_read_lock(). Never sleeps.
 */
void kheap_gc_remember(struct kheap_gc *gc, struct kheap_object *obj)
{
	struct kheap_collector *collector = kheap_collector(gc);
	struct kheap_gc_buffer *buffer = raw_cpu_ptr(collector->buffers);
	struct kheap_gc_chunk *full;

	/* First: a run counts it off when it has found the name. */
	atomic_long_inc(&collector->nr_pending);
	while (unlikely(!chunk_add(buffer, obj, &full))) {
		if (chunk_renew(gc, buffer, full))
			continue;
		WRITE_ONCE(collector->need_full, true);
		atomic_long_inc(&collector->nr_lost);
		kheap_gc_forget(obj);
		break;
	}
	if (unlikely(atomic_long_read(&collector->nr_pending) >=
		     READ_ONCE(collector->limit)) &&
	    READ_ONCE(collector->enabled) &&
	    !delayed_work_pending(&collector->work))
		queue_delayed_work(kheap_unbound_wq, &collector->work, 0);
}

static struct kheap_gc_chunk *take_chunk(struct kheap_gc_buffer *buffer)
{
	struct kheap_gc_chunk *chunk;
	unsigned long flags;

	raw_spin_lock_irqsave(&buffer->lock, flags);
	chunk = buffer->chunk;
	buffer->chunk = NULL;
	raw_spin_unlock_irqrestore(&buffer->lock, flags);
	return chunk;
}

/* All candidates there are, as a list of chunks. */
static struct llist_node *take_chunks(struct kheap_gc *gc)
{
	struct llist_node *node = NULL;
	struct kheap_gc_chunk *chunk;
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		chunk = take_chunk(per_cpu_ptr(kheap_collector(gc)->buffers, cpu));
		if (chunk)
			llist_add(&chunk->node, &kheap_collector(gc)->full_chunks);
	}
	node = llist_del_all(&kheap_collector(gc)->full_chunks);
	return node;
}

/**
 * kheap_gc_take_candidates() - take all candidates, for a run
 * @gc: the collector
 *
 * Return: Chunks, linked, for kheap_meta_free(). The objects in them are
 * BUFFERED still; see kheap_gc_forget().
 */
struct kheap_gc_chunk *kheap_gc_take_candidates(struct kheap_gc *gc)
{
	struct llist_node *node = take_chunks(gc);
	struct kheap_gc_chunk *chunk;
	long nr;

	nr = atomic_long_xchg(&kheap_collector(gc)->nr_lost, 0);
	llist_for_each_entry(chunk, node, node)
		nr += chunk->nr;
	atomic_long_sub(nr, &kheap_collector(gc)->nr_pending);
	if (!node)
		return NULL;
	return llist_entry(node, struct kheap_gc_chunk, node);
}

/* Free the memory of all dead objects whose names are in the buffers. */
void kheap_gc_compact(struct kheap_gc *gc)
{
	struct kheap_gc_chunk *chunk, *next;

	llist_for_each_entry_safe(chunk, next, take_chunks(gc), node) {
		chunk_compact(gc, chunk);
		if (chunk->nr)
			llist_add(&chunk->node, &kheap_collector(gc)->full_chunks);
		else
			kheap_meta_free(gc->heap, chunk);
		cond_resched();
	}
}
