// SPDX-License-Identifier: GPL-2.0
/*
 * Objects: creation, the slow halves of get, put and tryget, and the way of a
 * dead object from its last put to its memory's end.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/rcupdate.h>
#include <linux/static_call.h>

#include "object/object.h"
#include "object/trace.h"

/* --- Reports ------------------------------------------------------------ */

/* @obj may be anything. */
void kheap_object_refuse(struct kheap_object *obj, enum kheap_refusal why)
{
	struct kheap_pool *pool = kheap_pool_of(obj);
	struct kheap_class *class = pool ? READ_ONCE(pool->class) : NULL;

	/* See kheap_objects_exit(). */
	if (class && class->type && class->type->gc->exiting)
		return;
	if (class && class->heap)
		kheap_refuse(class->heap, why, obj, class);
	else
		kheap_refuse_stray(obj, why);
}

/* --- Creation ----------------------------------------------------------- */

static __always_inline struct kheap_object *
object_init(struct kheap_type *type, struct kheap_object *obj, gfp_t gfp)
{
	kheap_kasan_mark(&type->class, obj, KHEAP_KASAN_LIVE);
	kheap_track_block(&type->class, obj, gfp);
	kheap_zero(&type->class, obj, 0);
	kheap_kmsan_alloc(&type->class, obj, type->class.usable,
			  gfp | __GFP_ZERO);
	kheap_kasan_bound(&type->class, obj, type->class.usable);
	WRITE_ONCE(obj->type, type);
	this_cpu_inc(*type->nr_created);
	/* A walk that sees the count sees the rest. */
	atomic64_set_release(&obj->word,
			     (s64)((u64)type->gc_new << 32) | 1);
	return obj;
}

static noinline struct kheap_object *new_unusual(struct kheap_type *type,
						 gfp_t gfp)
{
	struct kheap_class *class = &type->class;
	struct kheap_object *obj;

	if (gfp & GFP_ZONEMASK) {
		kheap_refuse(class->heap, KHEAP_BAD_GFP, NULL, class);
		return NULL;
	}
	obj = kheap_class_alloc_missed(class, class->usable, gfp, NUMA_NO_NODE,
				       _RET_IP_);
	if (!obj)
		return NULL;
	object_init(type, obj, gfp);
	if (trace_kheap_object_new_enabled())
		trace_kheap_object_new(type, obj, 1, kheap_client_ip(_RET_IP_));
	return obj;
}

struct kheap_object *kheap_object_new(struct kheap_type *type, gfp_t gfp)
{
	struct kheap_object *obj = NULL;

	kheap_might_alloc(gfp);
	if (likely(!(gfp & GFP_ZONEMASK)))
		obj = kheap_pop(&type->class,
				offsetof(struct kheap_object, type));
	if (unlikely(!obj))
		return new_unusual(type, gfp);
	return object_init(type, obj, gfp);
}
EXPORT_SYMBOL_GPL(kheap_object_new);

/* --- Memory ------------------------------------------------------------- */

static __always_inline void free_block(struct kheap_type *type,
				       struct kheap_object *obj)
{
	struct kheap_class *class = &type->class;
	const struct page *page = kheap_owned_page(obj, &class->tag);

	if (unlikely(!page) || unlikely(!kheap_block_at(class, page, obj)) ||
	    unlikely(!kheap_give(class, obj,
				 offsetof(struct kheap_object, type))))
		kheap_class_free_unusual(class, obj);
}

/* It is dead until a grace period is over: see free_word(). */
static void free_after_grace_period(struct kheap_type *type,
				    struct kheap_object *obj)
{
	atomic_long_inc(&type->nr_held);
	if (unlikely(!kheap_class_free_rcu(&type->class, obj)))
		atomic_long_dec(&type->nr_held);
}

/* Free the memory of an object that nobody of kheap looks at any more. */
void kheap_object_free(struct kheap_type *type, struct kheap_object *obj)
{
	if (unlikely(type->ops.flags & KHEAP_TYPE_RCU))
		free_after_grace_period(type, obj);
	else
		free_block(type, obj);
}

/* --- References --------------------------------------------------------- */

/*
 * Set the count of a live object to one that get and put leave alone. They do
 * not tell that it is not NEW any more, either.
 */
static bool stop_counting(struct kheap_object *obj, int refs)
{
	s64 word = atomic64_read(&obj->word);
	s64 new;

	do {
		if (!(s32)word)
			return false;
		new = (word & ~KHEAP_WORD(KHEAP_GC_CANDIDATE | KHEAP_GC_NEW) &
		       ~(s64)U32_MAX) | (u32)refs;
	} while (!atomic64_try_cmpxchg(&obj->word, &word, new));
	return true;
}

void kheap_object_make_immortal(struct kheap_object *obj)
{
	if (kheap_object_is_gone(obj) ||
	    !stop_counting(obj, KHEAP_REFS_IMMORTAL))
		kheap_object_refuse(obj, KHEAP_BAD_DEAD);
}
EXPORT_SYMBOL_GPL(kheap_object_make_immortal);

/*
 * A count that is full, or just went over: the object leaks, and no more. One
 * that is not counted any more may be a few off: a run held a reference when
 * that began, or somebody had looked at it before. Return whether it was
 * counted until now, which is to be reported.
 */
static bool saturate(struct kheap_object *obj)
{
	int refs = kheap_refs(obj);

	return (u32)refs < KHEAP_REFS_UNCOUNTED &&
	       stop_counting(obj, KHEAP_REFS_SATURATED);
}

static void saturate_and_report(struct kheap_object *obj)
{
	if (saturate(obj))
		kheap_object_refuse(obj, KHEAP_BAD_OVERFLOW);
}

struct kheap_ref_masks kheap_ref_masks __read_mostly = {
	.get = KHEAP_GET_MASK,
	.tryget = KHEAP_TRYGET_MASK,
	.put = KHEAP_PUT_MASK,
};
EXPORT_SYMBOL_GPL(kheap_ref_masks);

/* A reference was taken of an object that is marked or new, or is traced. */
void __kheap_object_got(struct kheap_object *obj)
{
	atomic_t *gc = kheap_gc_word(obj);

	if (atomic_read(gc) & (KHEAP_GC_CANDIDATE | KHEAP_GC_NEW))
		atomic_andnot(KHEAP_GC_CANDIDATE | KHEAP_GC_NEW, gc);
	if (trace_kheap_object_get_enabled())
		kheap_trace_get(obj);
}
EXPORT_SYMBOL_GPL(__kheap_object_got);

/* kheap_object_get() of an object that is dead, immortal, or full. */
struct kheap_object *__kheap_object_get(struct kheap_object *obj)
{
	if (!kheap_refs(obj))
		kheap_object_refuse(obj, KHEAP_BAD_DEAD);
	else
		saturate_and_report(obj);
	return obj;
}
EXPORT_SYMBOL_GPL(__kheap_object_get);

const struct kheap_gc_ops *kheap_gc_ops __ro_after_init;

/* There is a collector before there is an object. */
void kheap_remember_nothing(struct kheap_gc *gc, struct kheap_object *obj)
{
}

DEFINE_STATIC_CALL(kheap_remember, kheap_remember_nothing);

/*
 * Put an object that is left with references and not BUFFERED yet. The flag is
 * set in the very step of the decrement: after it the object can be anybody's
 * to free, and a run that has cleared the flag before reads the count after it.
 * kheap_type_destroy() waits for whoever is between the flag and the buffer.
 */
static noinline bool put_and_remember(struct kheap_object *obj, s64 word)
{
	struct kheap_gc *gc = obj->type->gc;
	bool done;

	rcu_read_lock();
	done = atomic64_try_cmpxchg(&obj->word, &word, ((word - 1) &
				    ~KHEAP_WORD(KHEAP_GC_NEW)) |
				    KHEAP_WORD(KHEAP_GC_BUFFERED));
	if (done)
		static_call(kheap_remember)(gc, obj);
	rcu_read_unlock();
	return done;
}

static noinline void put_unusual(struct kheap_object *obj)
{
	if (!kheap_refs(obj) || kheap_object_is_gone(obj))
		kheap_object_refuse(obj, KHEAP_BAD_DEAD);
	else
		saturate_and_report(obj);
}

static noinline void put_slowly(struct kheap_object *obj)
{
	s64 word = atomic64_read(&obj->word);

	/* Whatever its count is: somebody wrote to a dead object. */
	if (unlikely(kheap_object_is_gone(obj)))
		return put_unusual(obj);
	if (trace_kheap_object_put_enabled())
		kheap_trace_put(obj);
	for (;;) {
		if ((u32)word == 1) {
			if (atomic64_try_cmpxchg(&obj->word, &word, (word - 1) &
						 ~KHEAP_WORD(KHEAP_GC_NEW)))
				return kheap_object_release(obj->type, obj);
		} else if ((s32)word <= 0) {
			return put_unusual(obj);
		} else if (word & KHEAP_WORD(KHEAP_GC_BUFFERED)) {
			if (atomic64_try_cmpxchg(&obj->word, &word, word - 1))
				return;
		} else {
			if (put_and_remember(obj, word))
				return;
			word = atomic64_read(&obj->word);
		}
	}
}

/*
 * kheap_object_put() of an object that dies, that has to be remembered, or that
 * is dead or immortal. The death of one whose type has nothing to say to it is
 * short work, unless a run may look at its head.
 *
 * Who has the only reference to such an object is alone with it: nothing leads
 * to it but counted references, and no run writes to its head. So the count
 * becomes 0 by a plain store. kheap_object_dispose() wants a full barrier
 * between the end of the last reference in a field and the look at @running:
 * that is the exchange that took it out of the field, or the compare-and-exchange
 * by which the object with the field died. If that was another's field, he has
 * put his reference since, and we have read the count that this has left.
 *
 * A dead object to which somebody gave a count of 1 has no type, and then the
 * look at what it says of itself is answered with an error.
 */
void __kheap_object_put(struct kheap_object *obj)
{
	s64 word = atomic64_read(&obj->word);
	struct kheap_type *type = obj->type;
	int plain;

	if (trace_kheap_object_release_enabled() ||
	    trace_kheap_object_put_enabled() || unlikely((u32)word != 1))
		return put_slowly(obj);
	plain = kheap_flag_nofault(&type->plain);
	if (unlikely(plain < 0))
		return put_slowly(obj);
	if (plain) {
		/* What others did before they put theirs: then @running. */
		smp_acquire__after_ctrl_dep();
		atomic64_set(&obj->word, word - 1);
		if (unlikely(READ_ONCE(type->gc->running)))
			return kheap_object_dispose(type, obj);
		return free_block(type, obj);
	}
	if (unlikely(!atomic64_try_cmpxchg(&obj->word, &word, (word - 1) &
					   ~KHEAP_WORD(KHEAP_GC_NEW))))
		return put_slowly(obj);
	kheap_object_release(type, obj);
}
EXPORT_SYMBOL_GPL(__kheap_object_put);

/*
 * Somebody condemned the object in which we have a new reference: see to it
 * that the verdict is not passed, or learn that it was. Return whether the
 * reference stands. The steps are the model's "lookup".
 */
static bool object_to(struct kheap_gc *gc, struct kheap_object *obj)
{
	for (;;) {
		long seen = atomic_long_read_acquire(&gc->verdict);
		int old = atomic_fetch_andnot(KHEAP_GC_CANDIDATE,
					      kheap_gc_word(obj));
		long aborted = seen | KHEAP_VERDICT_ABORTED;

		if (old & KHEAP_GC_GARBAGE)
			return false;
		if (!(old & KHEAP_GC_CONDEMNED))
			return true;
		if ((seen & KHEAP_VERDICT_STATE) == KHEAP_VERDICT_COMMITTED) {
			if (atomic_long_read(&gc->verdict) == seen)
				return false;
			continue;
		}
		if (atomic_long_cmpxchg(&gc->verdict, seen, aborted) == seen)
			break;
	}
	/* So that the next attempt is without it. */
	atomic_andnot(KHEAP_GC_CONDEMNED, kheap_gc_word(obj));
	return true;
}

/**
 * kheap_object_upgrade() - make a counted reference of an uncounted one
 * @obj: an object whose memory is valid
 *
 * Context: Any context except NMI, kheap locks held or not; under
 * rcu_read_lock() until kheap_object_upgraded() has returned. Never sleeps.
 * Return: What the caller has to see to, with kheap_object_upgraded(), when it
 * holds no lock.
 */
enum kheap_upgrade kheap_object_upgrade(struct kheap_object *obj)
{
	s64 word = atomic64_read(&obj->word);

	do {
		if (!(s32)word || word & KHEAP_WORD(KHEAP_GC_GARBAGE))
			return KHEAP_UPGRADE_DEAD;
		if (!kheap_word_countable(word))
			return saturate(obj) ? KHEAP_UPGRADE_FULL :
					       KHEAP_UPGRADE_DONE;
	} while (!atomic64_try_cmpxchg(&obj->word, &word, (word + 1) &
				       ~KHEAP_WORD(KHEAP_GC_CANDIDATE |
						   KHEAP_GC_NEW)));
	if (trace_kheap_object_get_enabled())
		kheap_trace_get(obj);
	if (likely(!(word & KHEAP_WORD(KHEAP_GC_CONDEMNED))) ||
	    object_to(obj->type->gc, obj))
		return KHEAP_UPGRADE_DONE;
	return KHEAP_UPGRADE_REFUSED;
}

/* The end of an upgrade, no lock held. Return whether there is a reference. */
bool kheap_object_upgraded(struct kheap_object *obj, enum kheap_upgrade answer)
{
	if (unlikely(answer == KHEAP_UPGRADE_REFUSED))
		kheap_object_put(obj);
	else if (unlikely(answer == KHEAP_UPGRADE_FULL))
		kheap_object_refuse(obj, KHEAP_BAD_OVERFLOW);
	return answer == KHEAP_UPGRADE_DONE || answer == KHEAP_UPGRADE_FULL;
}

/*
 * kheap_object_tryget() of an object that is marked, or not countable. A run
 * waits for us before it clears what we were refused: see wait_for_lookups().
 */
bool __kheap_object_tryget(struct kheap_object *obj)
{
	bool done;

	rcu_read_lock();
	done = kheap_object_upgraded(obj, kheap_object_upgrade(obj));
	rcu_read_unlock();
	return done;
}
EXPORT_SYMBOL_GPL(__kheap_object_tryget);

/* --- The end of an object ----------------------------------------------- */

/* Keep the memory until the run is over. */
static void park(struct kheap_type *type, struct kheap_object *obj)
{
	struct kheap_gc *gc = type->gc;

	atomic_long_inc(&type->nr_held);
	kheap_dead_add(&gc->parked, obj);
	/*
	 * Pairs with kheap_gc_end(): the run may have ended since we looked.
	 * Another may begin before we free anything, and park what it looks at:
	 * so that is done by who has the collector's lock.
	 */
	smp_mb();
	if (!READ_ONCE(gc->running))
		queue_work(kheap_unbound_wq, &gc->parked_work);
}

/* Will somebody look at the object because it has its name? */
static bool name_is_known(u32 gc)
{
	return (gc & (KHEAP_GC_BUFFERED | KHEAP_GC_FROZEN)) ==
	       KHEAP_GC_BUFFERED;
}

/**
 * kheap_object_dispose() - free the memory of a released object, or leave that
 * @type: its type
 * @obj: the object
 *
 * Who else may look at its head: whoever takes its name out of a buffer, and a
 * run that has read a stale field. The order is ours: the count became 0, then
 * we look at @running. A run's is: @running, then fields. A field that it reads
 * before our object died was read while @running was set, so we see it set.
 */
void kheap_object_dispose(struct kheap_type *type, struct kheap_object *obj)
{
	if (type->ops.traverse && name_is_known(READ_ONCE(obj->gc))) {
		atomic_long_inc(&type->nr_held);
		if (name_is_known(atomic_fetch_or(KHEAP_GC_RELEASED,
						  kheap_gc_word(obj))))
			return;
		atomic_long_dec(&type->nr_held);
	}
	if (unlikely(READ_ONCE(type->gc->running)))
		park(type, obj);
	else
		kheap_object_free(type, obj);
}

/*
 * The reference that a finalizer had goes. Return whether that was the last.
 *
 * It is a put that can leave references, to a cycle that the finalizer has tied
 * for one: so it remembers the object, see put_and_remember().
 */
static bool end_of_finalizer(struct kheap_type *type, struct kheap_object *obj)
{
	s64 word, new;

	rcu_read_lock();
	word = atomic64_read(&obj->word);
	do {
		new = (word - 1) & ~KHEAP_WORD(KHEAP_GC_GARBAGE);
		if ((s32)new > 0)
			new |= KHEAP_WORD(KHEAP_GC_BUFFERED);
	} while (!atomic64_try_cmpxchg(&obj->word, &word, new));
	if ((s32)new)
		atomic_long_inc(&type->nr_resurrected);
	if ((s32)new > 0 && !(word & KHEAP_WORD(KHEAP_GC_BUFFERED)))
		static_call(kheap_remember)(type->gc, obj);
	rcu_read_unlock();
	return !(s32)new;
}

/*
 * Call the finalizer of a dying object, once. Return whether it still dies.
 *
 * The finalizer has a reference. As in a run, the object is GARBAGE meanwhile:
 * nobody who only knows where it is, with a lookup or in a run, can take a
 * reference to it. It lives on if the finalizer stores one, and for no other
 * reason.
 */
static bool finalize_dying(struct kheap_type *type, struct kheap_object *obj)
{
	s64 word = atomic64_read(&obj->word), new;

	if (word & KHEAP_WORD(KHEAP_GC_FINALIZED))
		return true;
	/* Nobody else writes to a dead object but a run that sets its index. */
	do {
		new = (word + 1) & ~KHEAP_WORD(KHEAP_GC_CANDIDATE);
		new |= KHEAP_WORD(KHEAP_GC_FINALIZED | KHEAP_GC_GARBAGE);
	} while (!atomic64_try_cmpxchg(&obj->word, &word, new));
	type->ops.finalize(obj);
	return end_of_finalizer(type, obj);
}

/* The callbacks of one dead object, and its memory. */
void kheap_object_release_one(struct kheap_type *type,
			      struct kheap_object *obj)
{
	if (type->weak_offset)
		kheap_weakrefs_dead(type, obj);
	if (type->ops.finalize) {
		if (!finalize_dying(type, obj))
			return;
		if (type->weak_offset)
			kheap_weakrefs_dead(type, obj);
	}
	if (type->ops.release)
		type->ops.release(obj);
	else if (type->ops.clear)
		type->ops.clear(obj);
	kheap_object_dispose(type, obj);
}
