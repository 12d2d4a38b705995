// SPDX-License-Identifier: GPL-2.0
/*
 * Frees after a grace period. A block that waits for one is remembered by a
 * bit, in memory that its pool has anyway, and stays in use; so nothing is
 * allocated here, nothing can be lost, and thousands of blocks share a grace
 * period. kvfree_rcu() keeps arrays of pointers instead, and has to sleep when
 * there is no memory for them.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "block/alloc.h"
#include "block/trace.h"

/* How long blocks are gathered before a grace period is asked for. */
#define GATHER_DELAY	(HZ / 50 ?: 1)

/* Words of parked bits that can be waited for at a time, if there is memory. */
#define MANY_WORDS	4096
#define RESERVE_WORDS	1024U
static_assert(RESERVE_WORDS * BITS_PER_LONG >= PAGE_SIZE >> KHEAP_BLOCK_SHIFT);

/* The most there is: KUnit makes it less. */
unsigned int kheap_rcu_room = MANY_WORDS;

/**
 * struct sweep - blocks on their way through one grace period
 * @words: room for words
 * @nr: how many there are
 * @max: how many fit
 * @large: large blocks
 * @once: one grace period, and no more: what has no room is left
 * @left: that has happened
 * @from: with @once, where to begin
 */
struct sweep {
	struct kheap_parked_word *words;
	unsigned int nr;
	unsigned int max;
	struct llist_node *large;
	bool once;
	bool left;
	struct kheap_rcu_place from;
};

/* For the sweep that finds no memory, of whatever heap; others wait for it. */
static struct kheap_parked_word reserve[RESERVE_WORDS];
static DEFINE_MUTEX(reserve_lock);

/* Have what waits freed after a while; not in NMI. */
void kheap_rcu_arm(struct kheap *heap)
{
	if (READ_ONCE(heap->block.rcu_armed))
		return;
	WRITE_ONCE(heap->block.rcu_armed, true);
	queue_delayed_work(kheap_unbound_wq, &heap->block.rcu_work, GATHER_DELAY);
}

/* The bit of a block is set: the sweep has to come to its arena. */
static void note_arena(struct kheap_pool *pool)
{
	/*
	 * First the flag, then, in kheap_rcu_arm(), a look at armed. Pairs with
	 * sweep_all(): first armed; then, in sweep_arena(), flag and bits.
	 */
	if (!READ_ONCE(pool->arena->parked))
		smp_store_mb(pool->arena->parked, true); /* as above */
}

/* Under rcu_read_lock() or its like, until the block may be freed by others. */
static bool park_block_at(struct kheap_class *class, struct kheap_pool *pool,
			  void *block, unsigned long idx)
{
	if (test_and_set_bit(idx, kheap_parked_bits(pool)))
		return false;
	/*
	 * Pairs with xchg() in sweep_arena(), and with kheap_pool_set_parking():
	 * first the bit, then the flags.
	 */
	smp_mb__after_atomic();
	/* Seen on, the limit is seen at 0: pairs with smp_store_mb() there. */
	if (!smp_load_acquire(&pool->parking))
		kheap_pool_set_parking(pool, true);
	/* Who has freed it in the same instant was not told of our bit. */
	if (unlikely(kheap_is_marked(class, block))) {
		clear_bit(idx, kheap_parked_bits(pool));
		return false;
	}
	if (unlikely(class->debug))
		kheap_watcher->park(class, block);
	note_arena(pool);
	return true;
}

static bool reap(struct kheap *heap);

/*
 * A pool has its first parked block. Who parks goes on to others, and nobody
 * makes him wait: so he frees what that pool can have, and some, of that whose
 * grace period is over. Then the work need not be as fast as all who park.
 */
static noinline void help(struct kheap *heap, unsigned int nr_words)
{
	for (; nr_words; nr_words--)
		if (!reap(heap))
			return;
}

/*
 * Remember a block. Readers still look at it, so it gets no mark; from now on
 * who frees a block of this pool asks whether it is one of these.
 * Return false if @ptr is none, is free, or is remembered already.
 *
 * When its parked bit is seen, the block may be freed after a grace period, and
 * its pool and arena with it: until we are done with them, we are in a reader.
 */
static bool park_in_pool(struct kheap_pool *pool, const void *ptr)
{
	struct kheap_class *class = pool->class;
	bool parked, first;
	unsigned long idx;

	if (!kheap_block_index(class, pool, ptr, &idx) ||
	    idx * class->size >= READ_ONCE(pool->nextoffset) ||
	    kheap_is_marked(class, ptr))
		return false;
	preempt_disable();
	first = !READ_ONCE(pool->parking);
	parked = park_block_at(class, pool, (void *)ptr, idx);
	preempt_enable();
	if (unlikely(first) && READ_ONCE(class->heap->block.nr_ripe))
		help(class->heap, BITS_TO_LONGS(class->nr_blocks) + 1);
	return parked;
}

/**
 * kheap_rcu_park_marked() - leave a block that is free to the sweep
 * @class: its class
 * @block: the block, with its mark
 *
 * Context: NMI.
 */
void kheap_rcu_park_marked(struct kheap_class *class, void *block)
{
	struct kheap_pool *pool = kheap_block_pool(block);
	unsigned long idx;

	kheap_block_index(class, pool, block, &idx);
	kheap_mark_set_link(class, block, KHEAP_LINK_WAITS);
	set_bit(idx, kheap_parked_bits(pool));
	smp_mb__after_atomic(); /* as in park_block_at() */
	note_arena(pool);
	irq_work_queue(&class->heap->block.nmi_work);
}

/* A typed object ends with its last reference, and not here. */
static bool park_block(struct kheap *heap, const void *ptr)
{
	struct kheap_pool *pool = kheap_pool_of(ptr);

	return pool && pool->class->heap == heap && !pool->class->type &&
	       park_in_pool(pool, ptr);
}

/**
 * kheap_rcu_park() - free an object of one class after a grace period
 * @class: the class
 * @ptr: any pointer
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: false if @ptr is no allocated object of @class.
 */
bool kheap_rcu_park(struct kheap_class *class, const void *ptr)
{
	struct kheap_pool *pool = kheap_pool_of(ptr);
	struct kheap *heap = class->heap;

	if (!pool || pool->class != class || !park_in_pool(pool, ptr))
		return false;
	kheap_rcu_arm(heap);
	return true;
}

void kheap_free_rcu(struct kheap *heap, const void *ptr)
{
	if (!ptr)
		return;
	/* Before the block can be somebody else's. */
	if (trace_kheap_free_rcu_enabled())
		trace_kheap_free_rcu(heap, ptr, kheap_client_ip(_RET_IP_));
	if (likely(park_block(heap, ptr)) || kheap_large_park(heap, ptr))
		kheap_rcu_arm(heap);
	else
		kheap_refuse_free(heap, ptr);
}
EXPORT_SYMBOL_GPL(kheap_free_rcu);

/**
 * kheap_class_free_rcu() - as kheap_free_rcu(), for the class's own purposes
 * @class: the class, which may be a type's
 * @ptr: an object of @class; others are refused
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: false if @ptr was refused.
 */
bool kheap_class_free_rcu(struct kheap_class *class, const void *ptr)
{
	/* Before the block can be somebody else's. */
	if (trace_kheap_free_rcu_enabled())
		trace_kheap_free_rcu(class->heap, ptr,
				     kheap_client_ip(_RET_IP_));
	if (likely(kheap_rcu_park(class, ptr)))
		return true;
	kheap_class_refuse_free(class, ptr);
	return false;
}

/* Note the parked blocks of a pool: all of them, or none if room is short. */
static bool gather_pool(struct sweep *sweep, struct kheap_pool *pool)
{
	unsigned int word, nr_words;

	/*
	 * One that is set up stays so while its set is locked. Pairs with
	 * set_state(): first the state, then the map.
	 */
	if (smp_load_acquire(&pool->state) < KHEAP_POOL_USED)
		return true;
	nr_words = BITS_TO_LONGS(pool->class->nr_blocks);
	if (sweep->nr + nr_words > sweep->max)
		return false;
	for (word = 0; word < nr_words; word++) {
		unsigned long bits = READ_ONCE(kheap_parked_bits(pool)[word]);

		if (bits)
			sweep->words[sweep->nr++] = (struct kheap_parked_word){
				.pool = pool,
				.first = word * BITS_PER_LONG,
				.bits = bits,
			};
	}
	return true;
}

/* From pool *@at of the arena on. Return false, and where, if room is short. */
static bool gather_pools(struct sweep *sweep, struct kheap_arena *arena,
			 unsigned int *at)
{
	struct kheap_arena_set *set = arena->set;
	struct kheap_pool *pool;
	unsigned long flags;
	bool room = true;

	raw_spin_lock_irqsave(&set->lock, flags);
	for (; (pool = kheap_pool_from(arena, at)); (*at)++) {
		room = gather_pool(sweep, pool);
		if (!room)
			break;
	}
	raw_spin_unlock_irqrestore(&set->lock, flags);
	return room;
}

/*
 * Mark a block whose grace period is over. One that was freed in NMI has its
 * mark already; any other that has one was freed by somebody else in the very
 * instant in which it was parked, and then this returns false.
 */
static bool mark_parked(struct kheap_class *class, void *block)
{
	bool marked;

	if (kheap_mark_link(class, block) == KHEAP_LINK_WAITS) {
		kheap_mark_set_link(class, block, KHEAP_LINK_CACHED);
		return true;
	}
	preempt_disable();
	marked = kheap_mark_put(class, block, class->mark_offset);
	preempt_enable();
	return marked;
}

static void *word_block(const struct kheap_parked_word *word, unsigned int bit)
{
	return kheap_block_address(word->pool->class, word->pool,
				   word->first + bit);
}

/*
 * Take the blocks of a word back from the grace period that is over. Each has
 * its mark before its bit is clear: whoever frees it once more finds one of the
 * two. In @done, the free ones are noted. They are still in use, so the pool is
 * there, and if no other block of it waits, frees of its blocks need no
 * questions from here on.
 */
static void unpark_word(struct kheap_class *class,
			const struct kheap_parked_word *word,
			struct kheap_unparked *done)
{
	atomic_long_t *parked = (atomic_long_t *)kheap_parked_bits(word->pool) +
				word->first / BITS_PER_LONG;
	unsigned int bit;

	/* Who set one that is clear has found a mark, and taken it back. */
	done->bits = word->bits & atomic_long_read(parked);
	done->bad = 0;
	for_each_set_bit(bit, &done->bits, BITS_PER_LONG) {
		if (likely(mark_parked(class, word_block(word, bit))))
			continue;
		/* At once: it is another's, who may park it again. */
		clear_bit(word->first + bit, kheap_parked_bits(word->pool));
		__set_bit(bit, &done->bad);
	}
	/* Pairs with kheap_block_claim(): first the marks. */
	atomic_long_fetch_andnot_release(done->bits & ~done->bad, parked);
	if (done->bits && READ_ONCE(word->pool->parking))
		kheap_pool_set_parking(word->pool, false);
}

/* Where questions are asked of each block: see kheap_class_free_careful(). */
static void free_carefully(struct kheap_class *class,
			   const struct kheap_parked_word *word,
			   struct kheap_unparked *done)
{
	void *first = word_block(word, 0);
	unsigned long good;
	unsigned int bit;

	unpark_word(class, word, done);
	good = done->bits & ~done->bad;
	/* With the last of them the pool may go. */
	for_each_set_bit(bit, &good, BITS_PER_LONG)
		kheap_class_free_careful(class, first + bit * class->size);
}

/* All at once, into their pool. Return false if that cannot be. */
static bool free_at_once(struct kheap_class *class,
			 const struct kheap_parked_word *word,
			 struct kheap_unparked *done)
{
	LIST_HEAD(empties);

	if (static_branch_unlikely(&kheap_careful_key) ||
	    kheap_tracks_leaks() ||
	    !kheap_pool_give_parked(word->pool, word->first, word->bits, done,
				    &empties))
		return false;
	if (!list_empty(&empties))
		kheap_pools_put(class->heap, &empties);
	return true;
}

static void free_word(const struct kheap_parked_word *word)
{
	struct kheap_class *class = word->pool->class;
	void *first = word_block(word, 0);
	struct kheap_unparked done;
	unsigned int bit;

	if (!free_at_once(class, word, &done))
		free_carefully(class, word, &done);
	for_each_set_bit(bit, &done.bad, BITS_PER_LONG)
		kheap_class_refuse_free(class, first + bit * class->size);
	/* The type is there: its end waits for the mutex. */
	if (class->nr_held)
		atomic_long_sub(hweight_long(done.bits), class->nr_held);
}

/*
 * Free the blocks of a word whose grace period is over, if there is one. The
 * sweep that has gathered it holds the mutex until this is done.
 */
static bool reap(struct kheap *heap)
{
	struct kheap_parked_word word;
	unsigned long flags;
	bool found = false;

	raw_spin_lock_irqsave(&heap->block.ripe_lock, flags);
	if (heap->block.nr_ripe) {
		found = true;
		WRITE_ONCE(heap->block.nr_ripe, heap->block.nr_ripe - 1);
		word = heap->block.ripe[heap->block.nr_ripe];
		atomic_inc(&heap->block.nr_reapers);
	}
	raw_spin_unlock_irqrestore(&heap->block.ripe_lock, flags);
	if (!found)
		return false;
	free_word(&word);
	if (atomic_dec_and_test(&heap->block.nr_reapers))
		complete(&heap->block.reaped);
	return true;
}

/* Let whoever comes by free what was gathered; done when this returns. */
static void reap_all(struct kheap *heap, const struct sweep *sweep)
{
	lockdep_assert_held(&heap->block.rcu_mutex);
	/* We count as one of them, so that the last one is known. */
	reinit_completion(&heap->block.reaped);
	atomic_set(&heap->block.nr_reapers, 1);
	raw_spin_lock_irq(&heap->block.ripe_lock);
	heap->block.ripe = sweep->words;
	WRITE_ONCE(heap->block.nr_ripe, sweep->nr);
	raw_spin_unlock_irq(&heap->block.ripe_lock);
	while (reap(heap))
		cond_resched();
	/* A completion: who helps may be where no other lock can be taken. */
	if (!atomic_dec_and_test(&heap->block.nr_reapers))
		wait_for_completion(&heap->block.reaped);
}

/*
 * Wait for a grace period, and free what was gathered before it. Where there is
 * more than room for it, others wait for this one: then it is hurried.
 */
static void free_gathered(struct kheap *heap, struct sweep *sweep, bool hurry)
{
	if (!sweep->nr && !sweep->large)
		return;
	if (hurry)
		synchronize_rcu_expedited();
	else
		synchronize_rcu();
	reap_all(heap, sweep);
	kheap_large_free_parked(heap, sweep->large);
	sweep->nr = 0;
	sweep->large = NULL;
}

/* The next work goes on here, and comes to what is parked meanwhile later. */
static void leave(struct kheap_arena *arena, unsigned int set, unsigned int at,
		  struct sweep *sweep)
{
	WRITE_ONCE(arena->parked, true);
	sweep->left = true;
	sweep->from.set = set;
	sweep->from.serial = arena->serial;
	sweep->from.pool = at;
}

/* Each pool is gathered once, however often room runs out on the way. */
static void sweep_arena(struct kheap_arena *arena, unsigned int set,
			struct sweep *sweep)
{
	unsigned int at = 0;

	if (set == sweep->from.set && arena->serial == sweep->from.serial)
		at = sweep->from.pool;
	/*
	 * First the flag, then the bits. Pairs with park_block_at(): first the
	 * bit, then, in note_arena(), the flag.
	 */
	if (!READ_ONCE(arena->parked) || (!at && !xchg(&arena->parked, false)))
		return;
	while (!gather_pools(sweep, arena, &at)) {
		if (sweep->once)
			return leave(arena, set, at, sweep);
		free_gathered(arena->set->heap, sweep, true);
	}
}

/* Was it before the place where this sweep begins? */
static bool is_behind(const struct sweep *sweep, unsigned int set,
		      const struct kheap_arena *arena)
{
	return set < sweep->from.set || (set == sweep->from.set &&
					 arena->serial < sweep->from.serial);
}

/*
 * Sweep the arenas that are there now. New ones are last in the list, and hold
 * nothing that is to be swept yet.
 */
static void sweep_set(struct kheap_arena_set *set, unsigned int i,
		      struct sweep *sweep)
{
	unsigned long nr = READ_ONCE(set->nr_arenas);
	struct kheap_arena *arena = NULL;

	while ((arena = kheap_arena_next(set, arena))) {
		if (nr) {
			nr--;
			if (!sweep->left && !is_behind(sweep, i, arena))
				sweep_arena(arena, i, sweep);
		}
		cond_resched();
	}
}

/* Room for words: of memory, or what is there for when that is short. */
static void words_alloc(struct sweep *sweep)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN;

	sweep->max = READ_ONCE(kheap_rcu_room);
	sweep->words = kvmalloc_array(sweep->max, sizeof(*sweep->words), gfp);
	if (sweep->words)
		return;
	mutex_lock(&reserve_lock);
	sweep->max = min(sweep->max, RESERVE_WORDS);
	sweep->words = reserve;
}

static void words_free(struct sweep *sweep)
{
	if (sweep->words == reserve)
		mutex_unlock(&reserve_lock);
	else
		kvfree(sweep->words);
}

/*
 * Free what is parked now, as much at a time as there is room for. What is
 * parked meanwhile has armed the work again; to go on for it had no end where
 * others free faster than grace periods pass.
 */
static void sweep_all(struct kheap *heap, struct sweep *sweep)
{
	struct kheap_arena_set *set;
	unsigned int i;

	lockdep_assert_held(&heap->block.rcu_mutex);
	WRITE_ONCE(heap->block.rcu_armed, false);
	/*
	 * Pairs with note_arena(): who sets a bit that is not seen here arms the
	 * work again, with kheap_rcu_arm() after it.
	 */
	smp_mb();
	sweep->large = llist_del_all(&heap->raw.parked_large);
	words_alloc(sweep);
	kheap_for_each_set(set, heap, i)
		sweep_set(set, i, sweep);
	free_gathered(heap, sweep, sweep->left);
	words_free(sweep);
}

/**
 * kheap_rcu_sweep() - free blocks that wait for a grace period, after one
 * @heap: the heap
 *
 * It begins where the one before it had no room for more.
 *
 * Context: Process context. Sleeps for one grace period if there is a block.
 * Return: Whether there is more, which is not for another time: room has run
 * out, or it has not begun with the first arena.
 */
bool kheap_rcu_sweep(struct kheap *heap)
{
	struct sweep sweep = { .once = true };
	bool begun;

	mutex_lock(&heap->block.rcu_mutex);
	sweep.from = heap->block.rcu_place;
	begun = sweep.from.set || sweep.from.serial;
	sweep_all(heap, &sweep);
	heap->block.rcu_place = sweep.left ? sweep.from : (struct kheap_rcu_place){};
	mutex_unlock(&heap->block.rcu_mutex);
	return sweep.left || begun;
}

/* Others who want the mutex, or the thread, come in between. */
static void rcu_work(struct work_struct *work)
{
	struct kheap *heap = container_of(to_delayed_work(work), struct kheap,
					  block.rcu_work);

	if (!kheap_rcu_sweep(heap))
		return;
	WRITE_ONCE(heap->block.rcu_armed, true);
	mod_delayed_work(kheap_unbound_wq, &heap->block.rcu_work, 0);
}

/**
 * kheap_rcu_flush() - free every block that waits for a grace period by now
 * @heap: the heap
 *
 * What others free meanwhile is left to the heap's work, so that this ends.
 *
 * Context: Process context. Sleeps for a grace period if there is such a
 * block, and for one more, of those that are hurried, each time there is no room
 * for more words of bits.
 */
void kheap_rcu_flush(struct kheap *heap)
{
	struct sweep sweep = { };

	mutex_lock(&heap->block.rcu_mutex);
	sweep_all(heap, &sweep);
	mutex_unlock(&heap->block.rcu_mutex);
}

void kheap_rcu_init(struct kheap *heap)
{
	mutex_init(&heap->block.rcu_mutex);
	INIT_DELAYED_WORK(&heap->block.rcu_work, rcu_work);
	init_llist_head(&heap->raw.parked_large);
	raw_spin_lock_init(&heap->block.ripe_lock);
	init_completion(&heap->block.reaped);
}

/* Wait for the work and for every pending block; nobody parks any more. */
void kheap_rcu_exit(struct kheap *heap)
{
	cancel_delayed_work_sync(&heap->block.rcu_work);
	kheap_rcu_flush(heap);
}
