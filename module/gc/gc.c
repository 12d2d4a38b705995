// SPDX-License-Identifier: GPL-2.0
/*
 * The collector of cycles: when it runs, what it does in which order, and what
 * it tells. The steps are explained, and their soundness argued, in section
 * "The collector" of Documentation/design.rst.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/static_call.h>

#include "gc/gc.h"
#include "gc/trace.h"

/* When a run by itself has given up, it is repeated after this time. */
#define RETRY_DELAY	HZ

static const char * const reason_texts[] = {
	[KHEAP_GC_NO_CLEAR]	= "no-clear",
	[KHEAP_GC_CLEAR_LEFT]	= "referenced-after-clear",
};

static_assert(ARRAY_SIZE(reason_texts) == NR_KHEAP_GC_REASONS);

const char *kheap_gc_reason_text(enum kheap_gc_reason reason)
{
	return reason_texts[reason];
}

/* --- Who may run -------------------------------------------------------- */

/* The collectors of all heaps that somebody has locked. */
static LIST_HEAD(locked);
static DEFINE_RAW_SPINLOCK(locked_lock);

/* Has the caller locked a collector, of whatever heap? */
static bool has_locked(void)
{
	struct kheap_collector *collector;
	unsigned long flags;
	bool mine = false;

	raw_spin_lock_irqsave(&locked_lock, flags);
	list_for_each_entry(collector, &locked, locked)
		mine |= collector->shared.owner == current;
	raw_spin_unlock_irqrestore(&locked_lock, flags);
	return mine;
}

/**
 * kheap_gc_lock() - keep the collector from running
 * @gc: the collector
 *
 * Return: false in a callback of an object or a weak reference, where waiting
 * for a run could be waiting for oneself: for one's own, or for that of a heap
 * whose callbacks wait for ours.
 */
bool kheap_gc_lock(struct kheap_gc *gc)
{
	struct kheap_collector *collector = kheap_collector(gc);

	if (READ_ONCE(gc->owner) == current || kheap_trashcan_active() ||
	    has_locked())
		return false;
	mutex_lock(&collector->mutex);
	raw_spin_lock_irq(&locked_lock);
	WRITE_ONCE(gc->owner, current);
	list_add(&collector->locked, &locked);
	raw_spin_unlock_irq(&locked_lock);
	return true;
}

void kheap_gc_unlock(struct kheap_gc *gc)
{
	struct kheap_collector *collector = kheap_collector(gc);

	raw_spin_lock_irq(&locked_lock);
	list_del(&collector->locked);
	WRITE_ONCE(gc->owner, NULL);
	raw_spin_unlock_irq(&locked_lock);
	mutex_unlock(&collector->mutex);
}

/* --- A run -------------------------------------------------------------- */

/* Free what died during a run; under kheap_gc_lock(), and none is under way. */
void kheap_gc_free_parked(struct kheap_gc *gc)
{
	struct kheap_object *obj, *next;
	unsigned int nr = 0;

	for (obj = xchg(&gc->parked, NULL); obj; obj = next) {
		struct kheap_type *type = kheap_type_of(obj);

		next = kheap_dead_next(obj);
		atomic_long_dec(&type->nr_held);
		kheap_object_free(type, obj);
		if (!(++nr % KHEAP_GC_NR_A_RESCHED))
			cond_resched();
	}
}

/* What was parked when the run had ended: see park(). */
static void free_late(struct work_struct *work)
{
	struct kheap_gc *gc = container_of(work, struct kheap_gc, parked_work);

	if (!kheap_gc_lock(gc))
		return;
	kheap_gc_free_parked(gc);
	kheap_gc_unlock(gc);
}

/**
 * kheap_gc_settle() - have the memory of dead objects free
 * @gc: the collector, which is locked
 *
 * Dead objects can have their memory still, because
 * 1. they wait to be released in process context: that work is waited for;
 * 2. a put is about to put the name in a buffer: it does that under
 *    rcu_read_lock(), and the grace period waits for it;
 * 3. their name is in a buffer: the buffers are gone through. A put of an object
 *    of another type may have a chunk of names in its hands, so those who need
 *    all of them call again;
 * 4. a run was under way: the lock keeps us from that, and those are free now;
 * 5. they wait for a grace period.
 *
 * Context: Process context. May sleep.
 */
void kheap_gc_settle(struct kheap_gc *gc)
{
	flush_work(&gc->process_work);
	synchronize_rcu();
	kheap_gc_compact(gc);
	kheap_gc_free_parked(gc);
	kheap_rcu_flush(gc->heap);
	kheap_finish_deferred(gc->heap);
}

/* From here on the memory of every object stays: see kheap_object_dispose(). */
void kheap_gc_begin(struct kheap_gc *gc)
{
	WRITE_ONCE(gc->running, true);
	/* Partner of kheap_object_dispose(): the flag, then the fields. */
	smp_mb();
}

void kheap_gc_end(struct kheap_gc *gc)
{
	WRITE_ONCE(gc->running, false);
	/* Partner of park(): the flag, then the list. */
	smp_mb();
	kheap_gc_free_parked(gc);
}

/* The time since *@start, which moves on. */
static u64 lap(u64 *start)
{
	u64 now = ktime_get_ns(), ns = now - *start;

	*start = now;
	return ns;
}

/* A phase is over: how long it took, and what is in the table after it. */
static u64 note_phase(struct kheap_gc_run *run, enum kheap_gc_phase phase,
		      u64 *start)
{
	struct kheap_collector *collector = kheap_collector(run->gc);
	u64 ns = lap(start);

	trace_kheap_gc_phase(run->gc->heap, collector->stats.nr_runs + 1,
			     phase, run->nr ? run->nr - 1 : 0, ns);
	return ns;
}

static void run_steps(struct kheap_gc_run *run)
{
	struct kheap_gc_stats *stats = &run->stats;
	u64 start = ktime_get_ns();
	bool garbage;

	kheap_gc_gather(run);
	stats->gather_ns = note_phase(run, KHEAP_GC_PHASE_GATHER, &start);
	if (run->given_up)
		return;
	stats->nr_visited = run->nr - 1;
	kheap_gc_trial(run);
	stats->trial_ns = note_phase(run, KHEAP_GC_PHASE_TRIAL, &start);
	kheap_gc_mark(run);
	stats->nr_suspects = run->nr - 1;
	garbage = kheap_gc_verify(run);
	stats->verify_ns = note_phase(run, KHEAP_GC_PHASE_VERIFY, &start);
	if (garbage)
		kheap_gc_clear(run);
	stats->clear_ns = note_phase(run, KHEAP_GC_PHASE_CLEAR, &start);
}

static void add_stats(struct kheap_gc *gc, const struct kheap_gc_run *run)
{
	const struct kheap_gc_stats *s = &run->stats;
	struct kheap_gc_stats *sum = &kheap_collector(gc)->stats;

	sum->nr_runs++;
	sum->nr_full_runs += run->full;
	sum->nr_given_up += run->given_up;
	sum->nr_candidates += s->nr_candidates;
	sum->nr_visited += s->nr_visited;
	sum->nr_suspects += s->nr_suspects;
	sum->nr_rescued += s->nr_rescued;
	sum->nr_dropped += s->nr_dropped;
	sum->nr_rejected += s->nr_rejected;
	sum->nr_reclaimed += s->nr_reclaimed;
	sum->nr_finalized += s->nr_finalized;
	sum->nr_resurrected += s->nr_resurrected;
	sum->nr_uncollectable += s->nr_uncollectable;
	sum->nr_weakrefs_cleared += s->nr_weakrefs_cleared;
	sum->lock_max_ns = max(sum->lock_max_ns, s->lock_max_ns);
	sum->gather_ns += s->gather_ns;
	sum->trial_ns += s->trial_ns;
	sum->verify_ns += s->verify_ns;
	sum->clear_ns += s->clear_ns;
	sum->last_run_ns = s->gather_ns + s->trial_ns + s->verify_ns +
			   s->clear_ns;
}

/* A run that looked at much for little is not to be repeated too soon. */
static void set_limit(struct kheap_gc *gc, unsigned long nr_visited)
{
	struct kheap_collector *collector = kheap_collector(gc);

	WRITE_ONCE(collector->limit,
		   max(collector->threshold, nr_visited / 4));
}

/* Under kheap_gc_lock(). Return the number of objects reclaimed or -ENOMEM. */
static long collect(struct kheap_gc *gc, bool full)
{
	struct kheap_collector *collector = kheap_collector(gc);
	struct kheap_gc_run *run;
	long ret;

	run = kzalloc(sizeof(*run), GFP_KERNEL | __GFP_NOWARN);
	if (!run)
		return -ENOMEM;
	run->gc = gc;
	run->full = full || READ_ONCE(collector->need_full);
	WRITE_ONCE(collector->need_full, false);
	kheap_gc_begin(gc);
	trace_kheap_gc_start(gc->heap, collector->stats.nr_runs + 1, run->full,
			     atomic_long_read(&collector->nr_pending));
	run_steps(run);
	kheap_gc_end(gc);
	kheap_gc_table_free(run);
	if (run->given_up)
		WRITE_ONCE(collector->need_full, true);
	else
		set_limit(gc, run->stats.nr_visited);
	trace_kheap_gc_end(gc->heap, collector->stats.nr_runs + 1, &run->stats,
			   run->given_up);
	add_stats(gc, run);
	ret = run->given_up ? -ENOMEM : run->stats.nr_reclaimed;
	kfree(run);
	return ret;
}

long kheap_gc_collect(struct kheap *heap, unsigned int flags)
{
	struct kheap_gc *gc = READ_ONCE(heap->object.gc);
	long ret;

	if (flags & ~KHEAP_GC_FULL)
		return -EINVAL;
	if (!gc)
		return 0;
	if (!kheap_gc_lock(gc))
		return -EDEADLK;
	might_sleep();
	ret = collect(gc, flags & KHEAP_GC_FULL);
	kheap_gc_unlock(gc);
	return ret;
}
EXPORT_SYMBOL_GPL(kheap_gc_collect);

static void run_by_itself(struct work_struct *work)
{
	struct kheap_collector *collector =
		container_of(to_delayed_work(work), struct kheap_collector,
			     work);
	struct kheap_gc *gc = &collector->shared;
	bool again = false;

	if (!kheap_gc_lock(gc))
		return;
	if (READ_ONCE(collector->enabled)) {
		collector->stats.nr_automatic_runs++;
		again = collect(gc, false) == -ENOMEM;
	}
	if (again)
		queue_delayed_work(kheap_unbound_wq, &collector->work,
				   RETRY_DELAY);
	kheap_gc_unlock(gc);
}

/* --- What could not be collected ---------------------------------------- */

/* Remember it, once, in place of the oldest. */
void kheap_gc_list(struct kheap_gc_run *run, struct kheap_object *obj,
		   enum kheap_gc_reason reason)
{
	struct kheap_collector *collector = kheap_collector(run->gc);
	struct kheap_gc_listed *listed, *oldest = collector->listed;

	for (listed = collector->listed;
	     listed < collector->listed + KHEAP_GC_NR_LISTED; listed++) {
		if (listed->obj == obj) {
			oldest = listed;
			break;
		}
		if (listed->run < oldest->run)
			oldest = listed;
	}
	strscpy(oldest->type, kheap_type_of(obj)->class.name,
		sizeof(oldest->type));
	oldest->obj = obj;
	oldest->run = collector->stats.nr_runs + 1;
	oldest->reason = reason;
}

/* --- Settings ----------------------------------------------------------- */

void kheap_gc_enable(struct kheap *heap, bool on)
{
	struct kheap_gc *gc;

	/* Both or none, whoever else calls. */
	mutex_lock(&heap->base.mutex);
	heap->gc.off = !on;
	gc = heap->object.gc;
	if (gc)
		WRITE_ONCE(kheap_collector(gc)->enabled, on);
	mutex_unlock(&heap->base.mutex);
	/* A callback is in a run, or may be: that one cannot be waited for. */
	if (gc && kheap_gc_lock(gc))
		kheap_gc_unlock(gc);
}
EXPORT_SYMBOL_GPL(kheap_gc_enable);

void kheap_gc_set_threshold(struct kheap *heap, unsigned long nr)
{
	struct kheap_gc *gc;

	if (!nr)
		nr = KHEAP_GC_THRESHOLD;
	mutex_lock(&heap->base.mutex);
	heap->gc.threshold = nr;
	gc = heap->object.gc;
	if (gc) {
		kheap_collector(gc)->threshold = nr;
		WRITE_ONCE(kheap_collector(gc)->limit, nr);
	}
	mutex_unlock(&heap->base.mutex);
}
EXPORT_SYMBOL_GPL(kheap_gc_set_threshold);

void kheap_gc_get_stats(struct kheap *heap, struct kheap_gc_stats *stats)
{
	struct kheap_gc *gc = READ_ONCE(heap->object.gc);
	struct kheap_collector *collector;
	bool locked;

	memset(stats, 0, sizeof(*stats));
	stats->threshold = heap->gc.threshold;
	stats->enabled = !heap->gc.off;
	if (!gc)
		return;
	collector = kheap_collector(gc);
	locked = kheap_gc_lock(gc);
	*stats = collector->stats;
	if (locked)
		kheap_gc_unlock(gc);
	stats->nr_pending = atomic_long_read(&collector->nr_pending);
	stats->threshold = collector->threshold;
	stats->enabled = READ_ONCE(collector->enabled);
}
EXPORT_SYMBOL_GPL(kheap_gc_get_stats);

/* --- Freezing ----------------------------------------------------------- */

struct freeze_walk {
	struct kheap_walk walk;
	long nr;
};

/*
 * A frozen object counts as remembered, so that puts leave it alone; one whose
 * name is in a buffer stays out: it can be frozen another time.
 */
static void freeze(struct kheap_walk *walk, struct kheap_type *type,
		   struct kheap_object *obj, s64 word)
{
	if (!type->ops.traverse)
		return;
	do {
		if (!(s32)word || word & KHEAP_WORD(KHEAP_GC_BUFFERED))
			return;
	} while (!atomic64_try_cmpxchg(&obj->word, &word, word |
				       KHEAP_WORD(KHEAP_GC_BUFFERED |
						  KHEAP_GC_FROZEN)));
	container_of(walk, struct freeze_walk, walk)->nr++;
}

/* A frozen object that dies meanwhile looks at the flags before that. */
static void unfreeze(struct kheap_walk *walk, struct kheap_type *type,
		     struct kheap_object *obj, s64 word)
{
	do {
		if (!(s32)word || !(word & KHEAP_WORD(KHEAP_GC_FROZEN)))
			return;
	} while (!atomic64_try_cmpxchg(&obj->word, &word, word &
				       ~KHEAP_WORD(KHEAP_GC_BUFFERED |
						   KHEAP_GC_FROZEN)));
	container_of(walk, struct freeze_walk, walk)->nr++;
}

/* Take the names out of the buffers; the objects are to be frozen. */
static void forget_candidates(struct kheap_gc *gc)
{
	struct kheap_gc_chunk *chunk = kheap_gc_take_candidates(gc);
	struct llist_node *node = chunk ? &chunk->node : NULL;
	struct kheap_gc_chunk *next;
	unsigned long i;

	llist_for_each_entry_safe(chunk, next, node, node) {
		for (i = 0; i < chunk->nr; i++)
			kheap_gc_forget(chunk->names[i]);
		kheap_meta_free(gc->heap, chunk);
		cond_resched();
	}
}

static long freeze_walk(struct kheap *heap, bool on)
{
	struct freeze_walk freezing = {
		.walk = { .look = on ? freeze : unfreeze },
	};
	struct kheap_gc *gc = READ_ONCE(heap->object.gc);

	might_sleep();
	if (!gc)
		return 0;
	if (!kheap_gc_lock(gc))
		return -EDEADLK;
	if (on)
		forget_candidates(gc);
	else
		WRITE_ONCE(kheap_collector(gc)->need_full, true);
	kheap_walk_objects(heap, &freezing.walk);
	kheap_gc_unlock(gc);
	return freezing.nr;
}

long kheap_gc_freeze(struct kheap *heap)
{
	return freeze_walk(heap, true);
}
EXPORT_SYMBOL_GPL(kheap_gc_freeze);

long kheap_gc_unfreeze(struct kheap *heap)
{
	return freeze_walk(heap, false);
}
EXPORT_SYMBOL_GPL(kheap_gc_unfreeze);

/* --- Life cycle --------------------------------------------------------- */

static struct kheap_gc *create(struct kheap *heap)
{
	struct kheap_collector *collector;
	struct kheap_gc *gc;
	unsigned int cpu;

	collector = kheap_meta_alloc(heap, sizeof(*collector), GFP_KERNEL,
				     NUMA_NO_NODE);
	if (!collector)
		return NULL;
	collector->buffers =
		kheap_meta_alloc_percpu(heap, sizeof(*collector->buffers),
					__alignof__(*collector->buffers));
	if (!collector->buffers) {
		kheap_meta_free(heap, collector);
		return NULL;
	}
	for_each_possible_cpu(cpu)
		raw_spin_lock_init(&per_cpu_ptr(collector->buffers, cpu)->lock);
	collector->enabled = !heap->gc.off;
	collector->threshold = heap->gc.threshold;
	collector->limit = collector->threshold;
	init_llist_head(&collector->full_chunks);
	INIT_DELAYED_WORK(&collector->work, run_by_itself);
	mutex_init(&collector->mutex);
	gc = &collector->shared;
	gc->heap = heap;
	INIT_WORK(&gc->parked_work, free_late);
	INIT_WORK(&gc->process_work, kheap_trashcan_work);
	raw_spin_lock_init(&gc->weak_lock);
	return gc;
}

/* The heap's objects are dead, or never were. */
void kheap_gc_destroy(struct kheap_gc *gc)
{
	struct kheap_collector *collector = kheap_collector(gc);
	struct kheap_gc_chunk *chunk = kheap_gc_take_candidates(gc);
	struct llist_node *node = chunk ? &chunk->node : NULL;
	struct kheap_gc_chunk *next;

	llist_for_each_entry_safe(chunk, next, node, node)
		kheap_meta_free(gc->heap, chunk);
	cancel_work_sync(&gc->parked_work);
	kheap_meta_free_percpu(gc->heap, collector->buffers,
			       sizeof(*collector->buffers));
	kheap_meta_free(gc->heap, gc);
}

static const struct kheap_gc_ops ops = {
	.create = create,
	.lock = kheap_gc_lock,
	.unlock = kheap_gc_unlock,
	.settle = kheap_gc_settle,
};

void __init kheap_gc_init(void)
{
	kheap_gc_ops = &ops;
	static_call_update(kheap_remember, &kheap_gc_remember);
}
