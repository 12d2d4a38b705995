/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reference-counted objects with types, weak references to them, and the
 * collector of their cycles. The long story is in Documentation/design.rst.
 */
#ifndef _KHEAP_OBJECT_H
#define _KHEAP_OBJECT_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/bits.h>
#include <linux/limits.h>
#include <linux/refcount.h>
#include <linux/types.h>

#include <asm/byteorder.h>
#include <kheap/kheap.h>

struct kheap_gc;
struct kheap_type;
struct kheap_visitor;
struct kheap_weakref;
struct seq_file;

/*
 * What the gc word of an object says. The bits are the collector's business;
 * they are here because references are counted inline.
 */
#define KHEAP_GC_BUFFERED	BIT(0)	/* somebody has its name, or never will */
#define KHEAP_GC_CANDIDATE	BIT(1)	/* marked: no increment since */
#define KHEAP_GC_CONDEMNED	BIT(2)	/* garbage if the verdict says so */
#define KHEAP_GC_GARBAGE	BIT(3)	/* the verdict was passed */
#define KHEAP_GC_FINALIZED	BIT(4)	/* finalize has been called */
#define KHEAP_GC_FROZEN		BIT(5)	/* not considered any more */
#define KHEAP_GC_NEW		BIT(6)	/* alive: nobody else has a reference */
#define KHEAP_GC_RELEASED	BIT(6)	/* dead: released, the memory not free */
#define KHEAP_GC_INDEX_SHIFT	7	/* place in the table of a run */

/**
 * struct kheap_object - the head of every object
 * @refs: the number of references; 0 when the object is dead, negative when
 *	it is immortal
 * @gc: for the collector
 * @word: both of them, as one word that changes in one step: the references are
 *	its lower half, whatever the order of bytes
 * @type: the object's type
 *
 * It is the first member of the client's structure. Nothing in it is for the
 * client to read or write.
 */
struct kheap_object {
	union {
		struct {
#ifdef __BIG_ENDIAN
			u32 gc;
			refcount_t refs;
#else
			refcount_t refs;
			u32 gc;
#endif
		};
		atomic64_t word;
	};
	struct kheap_type *type;
};

static_assert(sizeof(struct kheap_object) == 16);

/* --- Types -------------------------------------------------------------- */

/**
 * enum kheap_type_flags - properties of a type
 * @KHEAP_TYPE_RCU: an object's memory outlives a grace period, so that
 *	kheap_object_tryget() may be tried under rcu_read_lock() on an object
 *	that somebody else may release. Its fields stay as @release left them.
 * @KHEAP_TYPE_WEAK: there can be weak references to the objects. Costs 8 bytes
 *	in each.
 * @KHEAP_TYPE_PROCESS: @release and @finalize need process context and may
 *	sleep: they are called from a workqueue, not where the put was.
 * @KHEAP_TYPE_BOUNDED: the put that ends a list or a tree does not release all
 *	of it: at most %KHEAP_PUT_RELEASES objects where it is called, and what
 *	else dies of that from a workqueue. For puts under a lock, or with
 *	interrupts off. @release and @finalize cannot rely on what the caller of
 *	the put holds. Objects of types without the flag are released at once.
 */
enum kheap_type_flags {
	KHEAP_TYPE_RCU		= 1U << 0,
	KHEAP_TYPE_WEAK		= 1U << 1,
	KHEAP_TYPE_PROCESS	= 1U << 2,
	KHEAP_TYPE_BOUNDED	= 1U << 3,
};

#define KHEAP_TYPE_FLAGS_ALL				\
	(KHEAP_TYPE_RCU | KHEAP_TYPE_WEAK |		\
	 KHEAP_TYPE_PROCESS | KHEAP_TYPE_BOUNDED)

/* Releases, after which a put leaves objects with KHEAP_TYPE_BOUNDED. */
#define KHEAP_PUT_RELEASES	256

/**
 * struct kheap_type_ops - what a type is
 * @name: as for kheap_cache_create(), unique among the heap's types and caches
 * @size: bytes of an object, its &struct kheap_object, which comes first,
 *	included; up to %KHEAP_CACHE_SIZE_MAX
 * @align: power of two up to %KHEAP_CACHE_ALIGN_MAX, or 0 for 8
 * @flags: bits of &enum kheap_type_flags
 * @release: called once, when the last reference is gone, to put the
 *	references that the object holds and to free what else it owns. The
 *	object's memory is not its business. Runs where the last put ran, so
 *	it must not sleep unless no put comes from a context that cannot, or
 *	the type has %KHEAP_TYPE_PROCESS. An object that it drops the last
 *	reference to is released after it has returned, not inside the put;
 *	how many are is bounded with %KHEAP_TYPE_BOUNDED only.
 *	It must not look into objects after it put them. NULL: @clear is called.
 * @traverse: calls kheap_visit() for every counted reference to an object of
 *	this heap that the object holds, taking the object's own lock if its
 *	fields change under one. A type without it says that its objects cannot
 *	be part of a cycle, and costs the collector nothing. Called by the
 *	collector, in process context; must not put, get, or sleep while it
 *	holds a lock that a put is done under.
 * @clear: puts the references that the object holds, and sets the fields to
 *	NULL; the object stays usable. Cycles without any type that has it are
 *	found and listed, but cannot be collected.
 * @finalize: called at most once in an object's life, when it is about to be
 *	released or its cycle is about to be cleared, everything still intact.
 *	It may store a reference to the object: then the object lives on.
 *	Until it returns, kheap_object_tryget() and kheap_weakref_get() fail.
 * @show: prints the object for debugfs, on one line, no newline; or NULL
 *
 * A cleared or released object's weak references have been cleared before.
 */
struct kheap_type_ops {
	const char *name;
	size_t size;
	size_t align;
	unsigned int flags;
	void (*release)(struct kheap_object *obj);
	void (*traverse)(struct kheap_object *obj,
			 struct kheap_visitor *visitor);
	void (*clear)(struct kheap_object *obj);
	void (*finalize)(struct kheap_object *obj);
	void (*show)(struct kheap_object *obj, struct seq_file *seq);
};

/**
 * struct kheap_visitor - who asks what an object refers to
 * @visit: see kheap_visit()
 */
struct kheap_visitor {
	void (*visit)(struct kheap_visitor *visitor,
		      struct kheap_object *target);
};

/**
 * kheap_visit() - report a counted reference, in a traverse callback
 * @visitor: as given to the callback
 * @target: what a field refers to, or NULL; a field that changes without a
 *	lock is read with READ_ONCE()
 *
 * Context: A traverse callback only. Never sleeps, takes no lock.
 */
static __always_inline void kheap_visit(struct kheap_visitor *visitor,
					struct kheap_object *target)
{
	if (target)
		visitor->visit(visitor, target);
}

/**
 * kheap_type_create() - create a type of objects
 * @heap: the heap that the objects' memory belongs to
 * @ops: what the type is; copied
 *
 * Objects of a type share no pool with anything else, so that a stale pointer
 * can only ever lead to an object of the same type.
 *
 * Context: Process context. May sleep.
 * Return: The type, or an ERR_PTR(): -EINVAL, -EEXIST, -ENOMEM.
 */
struct kheap_type *kheap_type_create(struct kheap *heap,
				     const struct kheap_type_ops *ops);

/**
 * kheap_type_destroy() - end a type and free its memory
 * @type: the type; NULL and ERR_PTR() are fine
 *
 * Objects that wait for their release in a workqueue are released first. A type
 * that has live objects then is kept, and some of them are listed in the log:
 * they are somebody's, and their memory stays what it is. Such a type goes when
 * its heap is destroyed. So does every other type.
 *
 * Context: Process context, not in a callback of an object. May sleep.
 */
void kheap_type_destroy(struct kheap_type *type);

/* --- References --------------------------------------------------------- */

struct kheap_object *__kheap_object_get(struct kheap_object *obj);
void __kheap_object_put(struct kheap_object *obj);
bool __kheap_object_tryget(struct kheap_object *obj);

/* The gc word's bits as seen in an object's word. */
#define KHEAP_WORD(bits)	((s64)(bits) << 32)

/* May this count be incremented as it is? Not if dead, immortal, or full. */
static __always_inline bool kheap_word_countable(s64 word)
{
	return (u32)word - 1 < (u32)INT_MAX - 1;
}

void __kheap_object_got(struct kheap_object *obj);

/**
 * struct kheap_ref_masks - which words the inline functions leave to the others
 * @get: a get looks further when a bit of this was set
 * @tryget: a tryget leaves a word with one of these bits alone
 * @put: a put leaves a word without this bit alone
 *
 * The bits are those below, unless references are traced: then all words are
 * left to the functions out of line. Nothing is executed for that when they
 * are not.
 */
struct kheap_ref_masks {
	s64 get;
	s64 tryget;
	s64 put;
};

extern struct kheap_ref_masks kheap_ref_masks;

#define KHEAP_GET_MASK		KHEAP_WORD(KHEAP_GC_CANDIDATE | KHEAP_GC_NEW)
#define KHEAP_TRYGET_MASK	KHEAP_WORD(KHEAP_GC_CANDIDATE |		\
					   KHEAP_GC_CONDEMNED |		\
					   KHEAP_GC_GARBAGE | KHEAP_GC_NEW)
#define KHEAP_PUT_MASK		KHEAP_WORD(KHEAP_GC_BUFFERED)

/**
 * kheap_object_new() - create an object
 * @type: its type
 * @gfp: as for kheap_alloc()
 *
 * The object is zero past its head. The collector does not look at it before a
 * second reference was taken, by kheap_ref_give() for one; until then there is
 * time to set up what @traverse looks at.
 *
 * Context: As kheap_alloc().
 * Return: The object with one reference, which is the caller's; or NULL.
 */
struct kheap_object *kheap_object_new(struct kheap_type *type, gfp_t gfp);

/**
 * kheap_object_get() - take a reference
 * @obj: an object that the caller has a reference to, or holds by other means
 *
 * A dead object is reported, and stays dead. At %INT_MAX references the object
 * is reported and becomes immortal: it leaks, and its count never wraps.
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: @obj.
 */
static __always_inline struct kheap_object *
kheap_object_get(struct kheap_object *obj)
{
	s64 word = atomic64_read(&obj->word);

	if (unlikely(!kheap_word_countable(word)))
		return __kheap_object_get(obj);
	/* Increment, barrier, look at the mark: partner of kheap_gc_mark(). */
	word = atomic64_fetch_add(1, &obj->word);
	/* The masks' trace bits may come late; the mark's is constant. */
	if (unlikely(word & data_race(kheap_ref_masks.get)))
		__kheap_object_got(obj);
	return obj;
}

/**
 * kheap_object_put() - drop a reference
 * @obj: the object; the caller's reference to it is gone after that
 *
 * The last put releases the object, see @release in &struct kheap_type_ops. A
 * put of a dead object is reported and does nothing else. If a stray write has
 * given it a count, that is so for the put that would be the last.
 *
 * Context: Any context except NMI. Never sleeps, but for what @release does.
 */
static __always_inline void kheap_object_put(struct kheap_object *obj)
{
	s64 word = atomic64_read(&obj->word);

	do {
		if (unlikely((s32)word <= 1 ||
			     /* A tracepoint that begins or ends may miss some. */
			     !(word & data_race(kheap_ref_masks.put)))) {
			__kheap_object_put(obj);
			return;
		}
	} while (unlikely(!atomic64_try_cmpxchg(&obj->word, &word, word - 1)));
}

/**
 * kheap_object_tryget() - take a reference unless the object is dead
 * @obj: an object whose memory is valid: of a type with %KHEAP_TYPE_RCU,
 *	found under rcu_read_lock(), or one that a lock keeps from being freed
 *
 * Fails also for an object that the collector has decided to reclaim, and for
 * one whose finalizer runs.
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: Whether the caller has a reference now.
 */
static __always_inline bool kheap_object_tryget(struct kheap_object *obj)
{
	s64 word = atomic64_read(&obj->word);

	do {
		if (unlikely(!kheap_word_countable(word) ||
			     /* A tracepoint that begins or ends may miss some. */
			     word & data_race(kheap_ref_masks.tryget)))
			return __kheap_object_tryget(obj);
	} while (unlikely(!atomic64_try_cmpxchg(&obj->word, &word, word + 1)));
	return true;
}

/**
 * kheap_object_refs() - the number of references to an object
 * @obj: an object that the caller has a reference to
 *
 * It may have changed when the caller looks at it, and the collector's own
 * short-lived reference may be counted in.
 *
 * Context: Any context.
 * Return: The count; %UINT_MAX for an immortal object.
 */
static inline unsigned int kheap_object_refs(const struct kheap_object *obj)
{
	int refs = refcount_read(&obj->refs);

	return refs < 0 ? UINT_MAX : refs;
}

/**
 * kheap_object_make_immortal() - stop counting the references of an object
 * @obj: an object that the caller has a reference to
 *
 * From now on get and put do nothing, and do not write to the object. It is
 * released when its heap is destroyed, after all others. What its @traverse and
 * @show look at is set up before this: debugfs may call them from now on.
 *
 * Context: Any context except NMI. Never sleeps.
 */
void kheap_object_make_immortal(struct kheap_object *obj);

/**
 * kheap_object_type() - the type of an object
 * @obj: an object that the caller has a reference to
 *
 * Context: Any context.
 * Return: The type.
 */
static inline struct kheap_type *
kheap_object_type(const struct kheap_object *obj)
{
	return obj->type;
}

/**
 * kheap_ref_set() - store a reference in a field
 * @slot: the field, which is a counted reference or NULL
 * @target: what it is to refer to, of the caller's references, or NULL
 *
 * Takes a reference to @target for the field, stores it, and puts what was in
 * the field. Concurrent calls for a field are fine; somebody who reads the
 * field and gets what it finds must exclude them with a lock.
 *
 * Context: As kheap_object_put().
 */
static inline void kheap_ref_set(struct kheap_object **slot,
				 struct kheap_object *target)
{
	struct kheap_object *old;

	if (target)
		kheap_object_get(target);
	old = xchg(slot, target);
	if (old)
		kheap_object_put(old);
}

/**
 * kheap_ref_take() - move a reference out of a field
 * @slot: the field; NULL afterwards
 *
 * Context: Any context. Never sleeps.
 * Return: What the field referred to, or NULL; the reference is the caller's.
 */
static inline struct kheap_object *kheap_ref_take(struct kheap_object **slot)
{
	return xchg(slot, NULL);
}

/**
 * kheap_ref_give() - move a reference into a field
 * @slot: the field, which is a counted reference or NULL
 * @mine: a reference of the caller's, or NULL
 *
 * For a new object that has its place. A plain store would not do: the
 * collector has to hear of a reference that moves into an object, before it
 * moves and after it.
 *
 * Context: As kheap_object_put().
 */
static inline void kheap_ref_give(struct kheap_object **slot,
				  struct kheap_object *mine)
{
	kheap_ref_set(slot, mine);
	if (mine)
		kheap_object_put(mine);
}

/* --- Weak references ---------------------------------------------------- */

/**
 * struct kheap_weakref - a reference that does not keep its target alive
 * @node: for kheap
 * @target: for kheap: the target, NULL once it is dead
 * @gc: for kheap: the collector of the target's heap
 * @callback: called when the target dies, or NULL
 *
 * The memory is the client's: a variable, or a field of an object.
 */
struct kheap_weakref {
	struct hlist_node node;
	struct kheap_object *target;
	struct kheap_gc *gc;
	void (*callback)(struct kheap_weakref *ref);
};

/**
 * kheap_weakref_init() - set up a weak reference
 * @ref: the weak reference
 * @target: an object that the caller has a reference to, of a type with
 *	%KHEAP_TYPE_WEAK
 * @callback: called once if the target dies before @ref is cleared, after the
 *	reference was cleared and before the target is finalized and released;
 *	where the last put was, or in the collector. It may free @ref. Not
 *	called when @ref is itself a field of an object that is garbage with
 *	the target, or whose finalizer runs. NULL for none.
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: 0, or -EOPNOTSUPP for a target that cannot be referred to weakly, and
 * for one that is dead, which is reported; then @ref is as if its target had died.
 */
int kheap_weakref_init(struct kheap_weakref *ref, struct kheap_object *target,
		       void (*callback)(struct kheap_weakref *ref));

/**
 * kheap_weakref_get() - make a reference of a weak reference
 * @ref: the weak reference
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: The target with a reference that is the caller's, or NULL when it is
 * dead or about to be reclaimed.
 */
struct kheap_object *kheap_weakref_get(struct kheap_weakref *ref);

/**
 * kheap_weakref_clear() - end a weak reference
 * @ref: the weak reference; one that was cleared or whose target is dead is
 *	fine
 *
 * Has to be called before the memory of @ref goes, and before the heap goes,
 * if that is not what the callback itself does. After it the callback is not
 * running, unless this is called from it, and will not be called any more. It
 * waits for a callback of @ref that runs: two callbacks must not each clear the
 * reference of the other one, nor may a callback wait for what the caller holds.
 *
 * Context: Any context except NMI; with a callback, not in an interrupt that
 * may have come between the callback. Sleeps while the callback runs, where that
 * is possible: with preemption and interrupts on, and in no RCU reader. Elsewhere,
 * and on kernels that cannot tell, it spins: there, the callback must not sleep,
 * nor be on this CPU. Never sleeps without a callback.
 */
void kheap_weakref_clear(struct kheap_weakref *ref);

/* --- The collector ------------------------------------------------------ */

/**
 * enum kheap_gc_flags - how kheap_gc_collect() works
 * @KHEAP_GC_FULL: look at all objects, not only at those that puts have left
 *	with references since the last run
 */
enum kheap_gc_flags {
	KHEAP_GC_FULL		= 1U << 0,
};

/* Candidates that make the collector run by itself, unless set otherwise. */
#define KHEAP_GC_THRESHOLD	10000

/**
 * struct kheap_gc_stats - what the collector has done, since the heap exists
 * @nr_runs: runs
 * @nr_full_runs: those that looked at all objects
 * @nr_automatic_runs: those that nobody asked for
 * @nr_given_up: runs that ended early for want of memory
 * @nr_candidates: objects remembered by a put and looked at
 * @nr_visited: objects looked at, candidates or not
 * @nr_suspects: objects that looked like garbage at first
 * @nr_rescued: suspects dropped because a reference was taken meanwhile
 * @nr_dropped: suspects dropped because their references did not add up
 * @nr_rejected: verdicts not passed because something changed at the last moment
 * @nr_reclaimed: objects reclaimed
 * @nr_finalized: finalizers called by the collector
 * @nr_resurrected: objects that lived on because of a finalizer
 * @nr_uncollectable: garbage that was not released when it was cleared
 * @nr_weakrefs_cleared: weak references to garbage
 * @nr_pending: objects remembered and not looked at yet
 * @threshold: candidates that make the collector run by itself
 * @enabled: whether it runs by itself
 * @lock_max_ns: longest time the collector has held any lock of a mutator's
 * @gather_ns: time spent finding the objects to look at
 * @trial_ns: time spent in trial deletion
 * @verify_ns: time spent marking, counting, comparing, and on verdicts
 * @clear_ns: time spent on weak references, finalizers, and clearing
 * @last_run_ns: time of the last run
 */
struct kheap_gc_stats {
	unsigned long nr_runs;
	unsigned long nr_full_runs;
	unsigned long nr_automatic_runs;
	unsigned long nr_given_up;
	unsigned long nr_candidates;
	unsigned long nr_visited;
	unsigned long nr_suspects;
	unsigned long nr_rescued;
	unsigned long nr_dropped;
	unsigned long nr_rejected;
	unsigned long nr_reclaimed;
	unsigned long nr_finalized;
	unsigned long nr_resurrected;
	unsigned long nr_uncollectable;
	unsigned long nr_weakrefs_cleared;
	unsigned long nr_pending;
	unsigned long threshold;
	unsigned long enabled;
	u64 lock_max_ns;
	u64 gather_ns;
	u64 trial_ns;
	u64 verify_ns;
	u64 clear_ns;
	u64 last_run_ns;
};

/**
 * kheap_gc_collect() - find and reclaim cycles that nobody refers to
 * @heap: the heap
 * @flags: bits of &enum kheap_gc_flags
 *
 * Nobody waits for the collector: objects may be used, and references be
 * taken, moved and dropped while it runs.
 *
 * Context: Process context. May sleep.
 * Return: The number of objects reclaimed, or -EDEADLK when called from a
 * callback of an object or a weak reference, of whatever heap, -EINVAL for
 * unknown flags, -ENOMEM when there was no memory to work with; the next run
 * makes up for it.
 */
long kheap_gc_collect(struct kheap *heap, unsigned int flags);

/**
 * kheap_gc_enable() - let the collector run by itself, or not
 * @heap: the heap
 * @on: whether; a new heap's collector does
 *
 * Context: Process context. Sleeps until a run under way has ended, unless it
 * is called from a callback of an object or a weak reference.
 */
void kheap_gc_enable(struct kheap *heap, bool on);

/**
 * kheap_gc_set_threshold() - set how many candidates make the collector run
 * @heap: the heap
 * @nr: objects that a put left with references; 0 stands for the default
 *
 * After a run that looked at more than four times as many objects, it takes a
 * quarter of their number, so that the work stays in proportion.
 *
 * Context: Process context. May sleep.
 */
void kheap_gc_set_threshold(struct kheap *heap, unsigned long nr);

/**
 * kheap_gc_freeze() - leave everything that is alive out of consideration
 * @heap: the heap
 *
 * For objects that stay: the collector does not look at them any more, and
 * keeps what they refer to.
 *
 * Context: Process context. May sleep.
 * Return: The number of frozen objects, or -EDEADLK as kheap_gc_collect().
 */
long kheap_gc_freeze(struct kheap *heap);

/**
 * kheap_gc_unfreeze() - undo kheap_gc_freeze()
 * @heap: the heap
 *
 * Context: Process context. May sleep.
 * Return: The number of objects that were frozen, or -EDEADLK.
 */
long kheap_gc_unfreeze(struct kheap *heap);

/**
 * kheap_gc_get_stats() - read what the collector has done
 * @heap: the heap
 * @stats: filled in
 *
 * Context: Process context. May sleep.
 */
void kheap_gc_get_stats(struct kheap *heap, struct kheap_gc_stats *stats);

#endif /* _KHEAP_OBJECT_H */
