/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The private side of the collector. The steps are those of section "The
 * collector" in Documentation/design.rst; the same names are in the model,
 * Documentation/models/gc.pml.
 */
#ifndef _KHEAP_GC_H
#define _KHEAP_GC_H

#include <linux/ktime.h>
#include <linux/sched.h>

#include "object.h"

/* Change an object's gc word, whatever mutators do to it meanwhile. */
static __always_inline void kheap_gc_set_word(struct kheap_object *obj,
					      u32 clear, u32 set)
{
	int old = READ_ONCE(obj->gc);

	while (unlikely(!atomic_try_cmpxchg(kheap_gc_word(obj), &old,
					    (old & ~clear) | set)))
		;
}

/* --- Candidates --------------------------------------------------------- */

#define KHEAP_GC_NAMES	((4096 - 16) / sizeof(void *))

/**
 * struct kheap_gc_chunk - names of objects that a put left with references
 * @node: in the list of chunks that are full
 * @nr: names in it
 * @names: the objects; each has BUFFERED set, and its memory stays
 */
struct kheap_gc_chunk {
	struct llist_node node;
	unsigned long nr;
	struct kheap_object *names[KHEAP_GC_NAMES];
};

/**
 * struct kheap_gc_buffer - one CPU's chunk
 * @lock: lock 8
 * @chunk: the chunk, or NULL
 */
struct kheap_gc_buffer {
	raw_spinlock_t lock;
	struct kheap_gc_chunk *chunk;
};

/* --- The verdict -------------------------------------------------------- */

/*
 * One word a heap: the number of the attempt and what came of it. To commit is
 * to change OPEN to COMMITTED; an upgrade that finds its object condemned
 * changes OPEN to ABORTED. Whoever is first is right.
 */
#define KHEAP_VERDICT_OPEN	1L
#define KHEAP_VERDICT_COMMITTED	2L
#define KHEAP_VERDICT_ABORTED	3L
#define KHEAP_VERDICT_STATE	3L
#define KHEAP_VERDICT_ATTEMPT	4L

/* --- The table of a run ------------------------------------------------- */

#define KHEAP_GC_INDEX_MAX	(1U << (32 - KHEAP_GC_INDEX_SHIFT))
/* Entries between two looks at the scheduler; powers of two. */
#define KHEAP_GC_NR_A_RESCHED	1024U
#define KHEAP_GC_NR_CALLS	64U	/* where each may clear or release */

/**
 * struct kheap_gc_entry - an object that a run looks at
 * @obj: the object; the lowest bit is set when it is not a suspect any more
 * @snap: its count
 * @edges: references to it from the objects in the table; once it is dropped,
 *	the next entry to be gone through
 *
 * An object's gc word has the index of its entry, where the entry has the
 * object: either can be stale, both cannot. So nothing has to be undone at the
 * end of a run, and whether an object is a suspect is one comparison.
 */
struct kheap_gc_entry {
	unsigned long obj;
	u32 snap;
	u32 edges;
};

#define KHEAP_GC_DROPPED	1UL

/**
 * struct kheap_gc_run - one run of the collector
 * @visitor: given to traverse
 * @gc: the collector
 * @table: the entries
 * @room: length of @table
 * @nr: entries in use; the first is not, so that 0 is nobody's index
 * @nr_left: entries that are not dropped
 * @work: first entry to be gone through, 0 at the end; linked by edges
 * @pinned: references that the collector itself holds to each member
 * @marked: the suspects are marked, and so may be what was dropped since
 * @full: look at all objects
 * @given_up: there was no memory
 * @looked_up: a lookup of the garbage was under way after the verdict
 * @stats: of this run
 * @walk: of a full run
 */
struct kheap_gc_run {
	struct kheap_visitor visitor;
	struct kheap_gc *gc;
	struct kheap_gc_entry *table;
	unsigned int room;
	unsigned int nr;
	unsigned int nr_left;
	unsigned int work;
	unsigned int pinned;
	bool marked;
	bool full;
	bool given_up;
	bool looked_up;
	struct kheap_gc_stats stats;
	struct kheap_walk walk;
};

static __always_inline struct kheap_gc_entry *
kheap_gc_entry(const struct kheap_gc_run *run, unsigned int idx)
{
	return &run->table[idx];
}

/* What follows @entry, which was number @idx - 1; a pause every @nr entries. */
static __always_inline struct kheap_gc_entry *
kheap_gc_next(struct kheap_gc_entry *entry, unsigned int idx, unsigned int nr)
{
	if (unlikely(!(idx & (nr - 1))))
		cond_resched();
	return entry + 1;
}

#define __kheap_gc_for_each(run, entry, idx, nr_a_resched)		\
	for ((idx) = 1, (entry) = kheap_gc_entry(run, 1);		\
	     (idx) < (run)->nr;						\
	     (idx)++, (entry) = kheap_gc_next(entry, idx, nr_a_resched))

/* All entries; @run->nr may shrink, but the table must not move. */
#define kheap_gc_for_each(run, entry, idx)				\
	__kheap_gc_for_each(run, entry, idx, KHEAP_GC_NR_A_RESCHED)

/* The same, in which each may call clear or release, which take their time. */
#define kheap_gc_for_each_call(run, entry, idx)				\
	__kheap_gc_for_each(run, entry, idx, KHEAP_GC_NR_CALLS)

/* Is @obj in the table, and not dropped? Then set @entry and @idx. */
static __always_inline bool kheap_gc_find(const struct kheap_gc_run *run,
					  const struct kheap_object *obj,
					  struct kheap_gc_entry **entry,
					  unsigned int *idx)
{
	*idx = READ_ONCE(obj->gc) >> KHEAP_GC_INDEX_SHIFT;
	if (unlikely(*idx >= run->nr))
		return false;
	*entry = kheap_gc_entry(run, *idx);
	return (*entry)->obj == (unsigned long)obj;
}

static __always_inline struct kheap_object *
kheap_gc_object(const struct kheap_gc_entry *entry)
{
	return (struct kheap_object *)(entry->obj & ~KHEAP_GC_DROPPED);
}

static __always_inline bool kheap_gc_dropped(const struct kheap_gc_entry *entry)
{
	return entry->obj & KHEAP_GC_DROPPED;
}

/* Not a suspect any more, nor will be what it refers to. */
static __always_inline void kheap_gc_drop(struct kheap_gc_run *run,
					  struct kheap_gc_entry *entry,
					  unsigned int idx)
{
	entry->obj |= KHEAP_GC_DROPPED;
	entry->edges = run->work;
	run->work = idx;
	run->nr_left--;
}

/*
 * What traverse looks at is the client's to free when the object dies, so the
 * collector holds a reference to it meanwhile. This increment leaves the mark.
 * It is not to make an object live on whose finalizer runs.
 */
static __always_inline bool kheap_gc_pin(struct kheap_object *obj)
{
	s64 word = atomic64_read(&obj->word);

	do {
		if (unlikely(!kheap_word_countable(word) ||
			     word & KHEAP_WORD(KHEAP_GC_GARBAGE)))
			return false;
	} while (unlikely(!atomic64_try_cmpxchg(&obj->word, &word, word + 1)));
	return true;
}

/* Not a put that remembers: the collector knows this object. */
static __always_inline void kheap_gc_unpin(struct kheap_object *obj)
{
	if (unlikely(atomic_dec_and_test(&obj->refs.refs)))
		kheap_object_release(obj->type, obj);
}

/* After finalizers the run has a reference to all that is GARBAGE. */
static __always_inline void kheap_gc_traverse(struct kheap_gc_run *run,
					      struct kheap_object *obj)
{
	bool pinned = kheap_gc_pin(obj);

	if (unlikely(!pinned && !run->pinned))
		return;
	obj->type->ops.traverse(obj, &run->visitor);
	if (likely(pinned))
		kheap_gc_unpin(obj);
}

static inline struct kheap_gc_run *
kheap_gc_run_of(struct kheap_visitor *visitor)
{
	return container_of(visitor, struct kheap_gc_run, visitor);
}

void __kheap_gc_forget(struct kheap_object *obj);

/*
 * The name of @obj is out of the buffers: free it if that is what is left to do.
 * Return whether it was.
 */
static __always_inline bool kheap_gc_forget(struct kheap_object *obj)
{
	int old = atomic_fetch_andnot(KHEAP_GC_BUFFERED, kheap_gc_word(obj));

	if (likely(!(old & KHEAP_GC_RELEASED)))
		return false;
	__kheap_gc_forget(obj);
	return true;
}

/* --- The collector ------------------------------------------------------ */

#define KHEAP_GC_NR_LISTED	16

enum kheap_gc_reason {
	KHEAP_GC_NO_CLEAR,	/* no object of the cycle has a clear callback */
	KHEAP_GC_CLEAR_LEFT,	/* clear did not drop all references */
	NR_KHEAP_GC_REASONS
};

/**
 * struct kheap_gc_listed - garbage that could not be collected
 * @type: name of its type
 * @obj: its address
 * @run: number of the run
 * @reason: an &enum kheap_gc_reason
 */
struct kheap_gc_listed {
	char type[KHEAP_NAME_MAX + 1];
	const void *obj;
	unsigned long run;
	enum kheap_gc_reason reason;
};

/**
 * struct kheap_gc - a heap's collector, made with its first type
 * @heap: the heap
 * @running: a run is under way: dead objects are parked
 * @verdict: see above
 * @buffers: candidates by CPU
 * @full_chunks: chunks of candidates that are full
 * @nr_pending: candidates remembered or about to be, and @nr_lost; never less
 *	than what the buffers have
 * @nr_lost: candidates since the last run that found no memory
 * @limit: @nr_pending that makes it run
 * @need_full: candidates were lost: the next run has to look at everything
 * @enabled: runs by itself
 * @exiting: the heap is being destroyed: see teardown.c
 * @threshold: as set
 * @parked: objects that died during the run
 * @parked_work: frees those that came late, between two runs
 * @process: objects that wait to be released in process context
 * @process_work: releases them
 * @work: runs by itself
 * @mutex: lock 9
 * @owner: the task that holds @mutex, or that destroys the heap
 * @locked: in the list of collectors that are locked, while @mutex is held
 * @frame: where objects wait that die by @owner's hand, or NULL; @owner's own;
 *	before any other frame that its context has
 * @has_finalize: there was a type with a finalizer
 * @has_weak: there was a type with weak references
 * @stats: sums over the runs; under @mutex
 * @listed: garbage that could not be collected, the last ones; under @mutex
 * @weak_lock: lock 7
 * @weak_calls: callbacks of weak references that are running
 */
struct kheap_gc {
	struct kheap *heap;
	bool running;
	bool need_full;
	bool enabled;
	bool exiting;
	atomic_long_t verdict;
	struct kheap_gc_buffer __percpu *buffers;
	struct llist_head full_chunks;
	atomic_long_t nr_pending;
	atomic_long_t nr_lost;
	unsigned long limit;
	unsigned long threshold;
	struct kheap_object *parked;
	struct work_struct parked_work;
	struct kheap_object *process;
	struct work_struct process_work;
	struct delayed_work work;
	struct mutex mutex;
	struct task_struct *owner;
	struct list_head locked;
	struct kheap_frame *frame;
	bool has_finalize;
	bool has_weak;
	struct kheap_gc_stats stats;
	struct kheap_gc_listed listed[KHEAP_GC_NR_LISTED];
	raw_spinlock_t weak_lock;
	struct hlist_head weak_calls;
};

/* gc.c */
struct kheap_gc *kheap_gc_create(struct kheap *heap);
void kheap_gc_destroy(struct kheap_gc *gc);
bool kheap_gc_lock(struct kheap_gc *gc);
void kheap_gc_unlock(struct kheap_gc *gc);
void kheap_gc_begin(struct kheap_gc *gc);
void kheap_gc_end(struct kheap_gc *gc);
void kheap_gc_free_parked(struct kheap_gc *gc);
void kheap_gc_list(struct kheap_gc_run *run, struct kheap_object *obj,
		   enum kheap_gc_reason reason);
const char *kheap_gc_reason_text(enum kheap_gc_reason reason);

/* gc_candidates.c */
void kheap_gc_remember(struct kheap_gc *gc, struct kheap_object *obj);
void kheap_gc_compact(struct kheap_gc *gc);
struct kheap_gc_chunk *kheap_gc_take_candidates(struct kheap_gc *gc);

/* gc_table.c */
bool kheap_gc_reserve(struct kheap_gc_run *run, unsigned int nr);
struct kheap_gc_entry *kheap_gc_add(struct kheap_gc_run *run,
				    struct kheap_object *obj);
struct kheap_gc_entry *kheap_gc_add_any(struct kheap_gc_run *run,
					struct kheap_object *obj);
void kheap_gc_gather(struct kheap_gc_run *run);
void kheap_gc_table_free(struct kheap_gc_run *run);

/* gc_trial.c */
void kheap_gc_trial(struct kheap_gc_run *run);
void kheap_gc_count_edges(struct kheap_gc_run *run);
void kheap_gc_drop_reachable(struct kheap_gc_run *run);

/* gc_verify.c */
void kheap_gc_mark(struct kheap_gc_run *run);
bool kheap_gc_verify(struct kheap_gc_run *run);

/* gc_clear.c */
void kheap_gc_clear(struct kheap_gc_run *run);
void kheap_gc_survive(struct kheap_gc_run *run, struct kheap_object *obj);

#endif /* _KHEAP_GC_H */
