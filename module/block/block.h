/* SPDX-License-Identifier: GPL-2.0 */
/*
 * block/: blocks. Classes of one size and their pools, the marks of free blocks,
 * the magazines of each CPU and the depot between them, fixed-size caches, frees
 * after a grace period. It knows that a class may be a type's, and not what that
 * is. It may call raw/ and base/. The fast paths are here: cpu_cache.h, alloc.h.
 */
#ifndef _KHEAP_BLOCK_H
#define _KHEAP_BLOCK_H

#include <linux/bitops.h>
#include <linux/cache.h>
#include <linux/jump_label.h>
#include <linux/log2.h>
#include <linux/percpu.h>
#include <asm/local.h>

#include "raw/raw.h"

/*
 * How the parts hang together:
 *
 *   kheap -> classes[] ---> kheap_class ---> per CPU: kheap_cpu_cache
 *     |                        |                        (two magazines)
 *     |                        +-> node[] -> used pools, by fill
 *     |                                          |
 *     +--> sets[] --> kheap_arena_set            v
 *                        +-> kheap_arena -> kheap_pool -> page(s) of blocks
 *
 * A block is free in its pool, free in a per-CPU cache, or allocated. A size
 * class, a fixed-size cache and an object type are all a kheap_class.
 *
 * The locks of this layer:
 *
 *    heap->block.rcu_mutex: one sweep after a grace period at a time, and none
 *    during a check. Taken after 1 and 9, before 2. What it uses without memory
 *    is all heaps', under a mutex that is taken after it.
 *
 * 4. kheap_class_node.lock (raw): the inside of the class's pools on one
 *    memory node and the lists that they are on. The marks of blocks that are
 *    in no pool's list are not under it: they are written and cleared by
 *    whoever frees and allocates the block.
 *
 * 6. heap->block.class_lock (raw): publication of a new class, and which
 *    per-CPU caches the fast paths of each class see.
 *
 * heap->block.ripe_lock (raw) is a leaf: the blocks whose grace period is over,
 * for whoever comes by.
 *
 * A per-CPU cache has no lock but its busy mark, which only its own CPU sets.
 * Lock 4 is taken under the mark; 3 is not.
 */

#define KHEAP_NR_FILLS		4	/* used pools are listed by quarters */
#define KHEAP_INLINE_BLOCKS	BITS_PER_LONG	/* see kheap_parked_bits() */
#define KHEAP_LINK_CACHED	0xffff	/* free, in a per-CPU cache or a depot */
#define KHEAP_LINK_END		0xfffe	/* no further free block */
#define KHEAP_LINK_WAITS	0xfffd	/* freed in NMI, on its way */
#define KHEAP_SZIDX_NONE	0xff	/* class of a cache or a type */

/* --- Per-CPU caches ----------------------------------------------------- */

/**
 * struct kheap_magazine - room for a number of free blocks
 * @next: in the depot
 * @nr_slots: how many blocks fit: 5, 13, 29 or 61, with which the magazine
 *	fills its memory; fewer of large ones
 * @nil: what is met below the last block: see kheap_class_nil()
 * @slots: the blocks
 *
 * At least a cache line, so that no line has magazines of two CPUs.
 */
struct kheap_magazine {
	struct kheap_magazine *next;
	unsigned long nr_slots;
	void *nil;
	void *slots[];
};

/**
 * struct kheap_stack - magazines put by
 * @top: the last one put there; each leads to the one below
 * @nr: how many
 */
struct kheap_stack {
	struct kheap_magazine *top;
	unsigned int nr;
};

/**
 * struct kheap_depot - magazines that no CPU has; under lock 4
 * @full: full ones
 * @empty: empty ones
 * @nr_blocks: blocks in @full
 * @nr_exchanges: times that a CPU put a full one in or took one out
 * @seen_exchanges: that number when the maintenance work last looked
 */
struct kheap_depot {
	struct kheap_stack full;
	struct kheap_stack empty;
	unsigned long nr_blocks;
	unsigned long nr_exchanges;
	unsigned long seen_exchanges;
};

#define KHEAP_STRAY_LOST	1	/* see &struct kheap_cpu_cache */

#define KHEAP_BUSY		1
#define KHEAP_ASKED		2

/**
 * struct kheap_cpu_cache - one CPU's free blocks of a class
 * @top: slot above the last block of the loaded magazine
 * @base: first slot of the loaded magazine
 * @limit: slot above the last one of the loaded magazine
 * @busy: the busy mark, see kheap_mark_busy(): KHEAP_BUSY while somebody on
 *	this CPU is between reading and writing; or KHEAP_ASKED
 * @asleep: takes in no block until a request misses, see drain_marked()
 * @answering: the next miss is one only because the maintenance work asked
 * @nr_slots: slots of the magazines that the CPU gets now; smaller ones go
 * @nr_previous: blocks in the previous magazine: it is full or empty
 * @nr_slow: times that the fast path could not serve; may wrap around
 * @nr_answers: times that somebody came by when the maintenance work had asked
 * @seen_uses: @nr_slow + @nr_answers when the maintenance work last looked
 * @grown_slow: @nr_slow when the magazines became larger
 * @loaded: the magazine that the fast paths use; NULL before there is one
 * @previous: the other one
 * @full: full ones that this CPU has put by: what it has freed is in its lines
 * @empty: empty ones
 * @outgrown: empty ones that are too small, to be freed where that is allowed
 * @nr_put_by: blocks in @full
 * @stray: a block that had no mark when it was taken out; for the slow path.
 *	With %KHEAP_STRAY_LOST added, its pool is out of use already
 * @nil: as in a magazine; what @top is above before there is one
 *
 * Magazines and the depot are as in Bonwick's and Adams' "Magazines and Vmem"
 * (2001): a loaded magazine, and a previous one that is either full or empty,
 * so that a load at the edge moves no blocks back and forth. Between them and
 * the depot each CPU has some of its own, so that it takes no lock, and gets
 * the blocks back that it has freed itself.
 *
 *   base == loaded->slots <= top <= limit == base + loaded->nr_slots
 *   base[-1] is the class's nil
 *   asleep: base == top == limit
 */
struct kheap_cpu_cache {
	void **top;
	void **limit;
	void **base;
	u8 busy;
	bool asleep;
	bool answering;
	u8 nr_slots;
	u16 nr_previous;
	u16 nr_put_by;
	void *stray;
	u32 nr_slow;
	u32 nr_answers;
	u32 seen_uses;
	u32 grown_slow;
	struct kheap_magazine *loaded;
	struct kheap_magazine *previous;
	struct kheap_stack full;
	struct kheap_stack empty;
	struct kheap_stack outgrown;
	void *nil[1];
} __aligned(32);	/* what the fast paths use is in one line */

/* --- Classes ------------------------------------------------------------ */

/**
 * struct kheap_class_node - a class's pools on one memory node
 * @lock: lock 4
 * @used: the pools in state USED by quarters of nr_used / nr_blocks
 * @nr_out: sum of nr_used over the pools, without strays: allocated and cached
 *	blocks
 * @nr_virgin: blocks never carved
 * @nr_lost: blocks in quarantined pools that are not allocated, and strays
 * @nr_quarantined: pools in quarantine
 * @nr_refills: runs taken out of pools
 * @nr_drains: runs put back into pools
 * @depot: magazines between the CPUs of this node
 * @nr_pools: pools of this class; under the arena set's lock, not @lock
 */
struct kheap_class_node {
	raw_spinlock_t lock;
	struct list_head used[KHEAP_NR_FILLS];
	unsigned long nr_out;
	unsigned long nr_virgin;
	unsigned long nr_lost;
	unsigned long nr_quarantined;
	unsigned long nr_refills;
	unsigned long nr_drains;
	struct kheap_depot depot;
	unsigned long nr_pools;
} ____cacheline_aligned_in_smp;

#define KHEAP_ZERO_STORES	512	/* most bytes that are zeroed by stores */

/* How kheap_zero() zeroes. */
enum kheap_zero_kind {
	KHEAP_ZERO_FEW,		/* less than a line */
	KHEAP_ZERO_LINE,	/* 64 bytes */
	KHEAP_ZERO_LINES,	/* more, up to KHEAP_ZERO_STORES bytes */
	KHEAP_ZERO_STRING,	/* more than that */
};

/**
 * struct kheap_class - blocks of one size
 * @cpu: the per-CPU caches that the fast paths use: @caches, or
 *	kheap_cold_cache while the heap is watched; under lock 6
 * @tag: what struct page of its pools carries, see kheap_owned_pool(); the
 *	heap's for size classes, so that kheap_free() finds any of them
 * @key: a secret of its own, see kheap_mark(): a block that was in two caches
 *	may have become one of another class
 * @recip: 2^32 / @size, rounded up; see kheap_block_index()
 * @recip_low: @recip once more, so that the compiler multiplies and compares
 *	with memory instead of loading it
 * @size: bytes from one block to the next
 * @zero_kind: an &enum kheap_zero_kind
 * @zero_words: words of 8 bytes to zero when zeroing is wanted, see
 *	kheap_zero(); 0 with a constructor
 * @nr_blocks: blocks in a pool
 * @mark_offset: where in a free block its mark is
 * @fill_shift: turns nr_used into a quarter, see kheap_pool_fill()
 * @span: order of a pool
 * @szidx: number of the size class, or %KHEAP_SZIDX_NONE
 * @max_slots: most slots of a magazine; 0: no per-CPU caches
 * @max_full: most full magazines in a depot, and of a CPU
 * @bad_gfp: flags that a request for this class is refused with
 * @wants_cpu: the maintenance work is to set @caches up
 * @rcu: freed objects wait for a grace period
 * @slow_free: its pools have no limit, see &struct kheap_page_note: every free
 *	asks questions
 * @type: the object type that this is the class of, or NULL
 * @nr_held: of a type, its dead objects whose memory waits, for a grace period
 *	too; or NULL
 * @usable: bytes that the client may use
 * @debug: KHEAP_DEBUG_* of &enum kheap_flags
 * @front: bytes in front of the first block of a pool
 * @heap: the heap
 * @caches: the per-CPU caches; kheap_cold_cache until they are set up
 * @alien: per-CPU caches for blocks of other nodes, on their way home
 * @ctor: run on each block when its pool is set up
 * @name: of the cache or type; NULL for a size class
 * @nil: a word that is no mark, see kheap_class_nil()
 * @list: in the heap's list of classes; RCU
 * @node: by memory node
 *
 * What the fast paths read is in the first cache line and never changes once
 * the class is published, but for @cpu.
 */
struct kheap_class {
	struct kheap_cpu_cache __percpu *cpu;
	unsigned long tag;
	unsigned long key;
	unsigned long recip;
	u32 recip_low;
	u32 size;
	u32 zero_words;
	u16 mark_offset;
	u8 zero_kind;
	u8 fill_shift;
	u16 nr_blocks;
	u8 span;
	u8 szidx;
	struct kheap *heap;

	struct kheap_cpu_cache __percpu *caches;
	struct kheap_cpu_cache __percpu *alien;
	gfp_t bad_gfp;

	u32 usable;
	u32 debug;
	u16 front;
	u16 max_slots;
	u16 max_full;
	bool wants_cpu;
	bool rcu;
	bool slow_free;
	struct kheap_type *type;
	atomic_long_t *nr_held;
	void (*ctor)(void *object);
	char *name;
	u64 nil;
	struct list_head list;
	struct kheap_class_node node[];
};

/**
 * struct kheap_class_stats - a consistent reading of one class
 * @nr_pools: pools
 * @nr_quarantined: those in quarantine
 * @nr_allocated: blocks in the client's hands
 * @nr_cached: free blocks in per-CPU caches
 * @nr_free: free blocks in pools
 * @nr_virgin: blocks never carved
 * @nr_lost: unused blocks of quarantined pools
 * @nr_refills: runs taken out of pools
 * @nr_drains: runs put back
 *
 *   the five numbers of blocks add up to nr_pools * nr_blocks
 */
struct kheap_class_stats {
	unsigned long nr_pools;
	unsigned long nr_quarantined;
	unsigned long nr_allocated;
	unsigned long nr_cached;
	unsigned long nr_free;
	unsigned long nr_virgin;
	unsigned long nr_lost;
	unsigned long nr_refills;
	unsigned long nr_drains;
};

/**
 * struct kheap_cache - what kheap_cache_create() returns: a class with a name
 * @class: all there is to it
 */
struct kheap_cache {
	struct kheap_class class;
};

extern struct kheap_class kheap_cold_class;
DECLARE_PER_CPU(struct kheap_cpu_cache, kheap_cold_cache);
DECLARE_STATIC_KEY_FALSE(kheap_numa_key);
DECLARE_STATIC_KEY_FALSE(kheap_careful_key);

#include "block/lookup.h"
#include "block/mark.h"

/*
 * Report the damage that a taker of blocks of @class has met: the place, as
 * kheap_pools_take() says; NULL is fine: there was none. Not in NMI, no kheap
 * lock and no busy mark held.
 */
static inline void kheap_refuse_link(const struct kheap_class *class,
				     const void *bad)
{
	if (unlikely(bad))
		kheap_refuse(class->heap, KHEAP_BAD_LINK, bad, class);
}

/*
 * Report a pointer that is no object of @class, a cache or type; NULL is fine and
 * no error. Any context, no kheap lock held.
 */
static inline void kheap_class_refuse_free(struct kheap_class *class,
					   const void *ptr)
{
	if (ptr)
		kheap_reporter->refuse_free(class->heap, class, ptr);
}

/* --- Blocks that wait for a grace period -------------------------------- */

/**
 * struct kheap_parked_word - the blocks of one word that wait for a grace period
 * @pool: their pool; it stays, because they are still in use
 * @first: index of the word's first block
 * @bits: the bits that were set when the grace period began
 */
struct kheap_parked_word {
	struct kheap_pool *pool;
	unsigned int first;
	unsigned long bits;
};

/**
 * struct kheap_unparked - what became of parked blocks, as bits of a word
 * @bits: their grace period is over
 * @bad: those of them that had a mark: freed by somebody else; to be reported
 */
struct kheap_unparked {
	unsigned long bits;
	unsigned long bad;
};

/* pool_setup.c */
bool kheap_pool_setup(struct kheap_pool *pool, struct kheap_class *class,
		      gfp_t gfp);

/* pool_parking.c */
void kheap_pool_set_parking(struct kheap_pool *pool, bool on);
bool kheap_pool_give_parked(struct kheap_pool *pool, unsigned int first,
			    unsigned long bits, struct kheap_unparked *done,
			    struct list_head *empties);

/* pool.c */
void kheap_pool_note_limit(const struct kheap_class *class,
			   struct kheap_pool *pool, u32 limit);
void kheap_pool_settle(struct kheap_class *class,
		       struct kheap_class_node *node, struct kheap_pool *pool,
		       unsigned int was, struct list_head *empties);
void kheap_pool_set_limit(const struct kheap_class *class,
			  struct kheap_pool *pool);
unsigned int kheap_pool_join(struct kheap_pool *pool, void **slots,
			     unsigned int nr, void **bad);
void *kheap_pools_take_apart(struct kheap_class *class, int nid);
unsigned int kheap_pools_take(struct kheap_class *class, int node, bool any,
			      void **slots, unsigned int nr, void **bad);
void kheap_pools_give(struct kheap_class *class, void **slots,
		      unsigned int nr, struct list_head *empties);
unsigned int kheap_link_next(struct kheap_pool *pool, unsigned int idx);
bool kheap_pool_claim_unlisted(struct kheap_pool *pool, unsigned int idx);
void kheap_pool_quarantine(struct kheap_pool *pool);
void kheap_pool_block_stray(struct kheap_class *class, void *block, bool lost);

/* class.c */
int kheap_class_init(struct kheap_class *class, struct kheap *heap,
		     const char *name, size_t size, size_t align,
		     void (*ctor)(void *object));
unsigned long kheap_new_tag(void);
void kheap_block_init(void);
void kheap_class_publish(struct kheap_class *class);
void kheap_class_exit(struct kheap_class *class);
void kheap_class_purge(struct kheap_class *class);
void kheap_class_report_live(struct kheap_class *class);
void kheap_class_free(struct kheap_class *class);
void kheap_forget_blocks(struct kheap *heap);
void kheap_alloc_failed(struct kheap *heap, const struct kheap_class *class,
			size_t bytes, gfp_t gfp);
size_t kheap_szidx_size(unsigned int szidx);
struct kheap_class *kheap_class_find(struct kheap *heap, const char *name);
size_t kheap_size_class_bytes(void);
struct kheap_class *kheap_size_class(struct kheap *heap, unsigned int szidx,
				     gfp_t gfp);
void *kheap_class_alloc_slow(struct kheap_class *class, gfp_t gfp, int nid);
bool kheap_block_claim(struct kheap_class *class, struct kheap_pool *pool,
		       const void *ptr);
void kheap_class_free_to_pool(struct kheap_class *class, void *block);
void kheap_class_free_slow(struct kheap_class *class, void *block, bool alien);
void *kheap_class_alloc_missed(struct kheap_class *class, size_t size,
			       gfp_t gfp, int nid, unsigned long caller);
void kheap_class_free_careful(struct kheap_class *class, void *block);
void kheap_push_missed(struct kheap_class *class, void *block);
void kheap_push_full(struct kheap_class *class, void *block,
		     struct kheap_cpu_cache __percpu *cpu);

/* alloc.c */
struct kheap_class *kheap_size_class_or_fail(struct kheap *heap, size_t size,
					     gfp_t gfp);

/* bulk.c */
void kheap_class_free_bulk(struct kheap_class *class, size_t nr, void **ptrs);

/* cpu_cache.c */
void kheap_cpu_cache_settle(struct kheap_class *class,
			    struct kheap_cpu_cache *cache);
void kheap_cpu_cache_grow(struct kheap_class *class,
			  struct kheap_cpu_cache __percpu *caches);
void kheap_cpu_cache_spare(struct kheap_class *class,
			   struct kheap_cpu_cache __percpu *caches, size_t nr);
bool kheap_cpu_cache_fill(struct kheap_class *class,
			  struct kheap_cpu_cache *cache, void **bad);
bool kheap_cpu_cache_make_room(struct kheap_class *class,
			       struct kheap_cpu_cache *cache,
			       struct list_head *empties);
void *kheap_cpu_cache_refill(struct kheap_class *class);
void *kheap_cpu_cache_join(struct kheap_class *class, struct kheap_pool *pool);
bool kheap_cpu_cache_push(struct kheap_class *class, bool alien, void *block);
bool kheap_class_drain(struct kheap_class *class, bool only_idle);
void kheap_class_drain_cpu(struct kheap_class *class, unsigned int cpu);
unsigned long kheap_class_nr_cached(struct kheap_class *class);

/* cpu_caches.c */
void kheap_set_watch(struct kheap *heap, unsigned int watch);
void kheap_cpu_caches_setup(struct kheap_class *class, gfp_t gfp);
void kheap_cpu_caches_exit(struct kheap_class *class);

/* depot.c */
void kheap_magazine_put(struct kheap_stack *stack, struct kheap_magazine *mag);
struct kheap_magazine *kheap_magazine_get(struct kheap_stack *stack);
bool kheap_depot_take(struct kheap_class *class, struct kheap_cpu_cache *cache);
void kheap_depot_give(struct kheap_class *class, struct kheap_cpu_cache *cache);
bool kheap_depot_has_empty(const struct kheap_class *class);
void kheap_magazines_drop(struct kheap_class *class, struct kheap_stack *stack);
void kheap_depots_drop(struct kheap_class *class);
bool kheap_depots_drain(struct kheap_class *class, bool only_idle);

/* class_stats.c */
void kheap_class_add_node(struct kheap_class *class, int nid,
			  struct kheap_class_stats *stats,
			  unsigned long *nr_out);
void kheap_class_get_stats(struct kheap_class *class,
			   struct kheap_class_stats *stats);

/* cache.c */
void kheap_class_free_unusual(struct kheap_class *class, const void *ptr);
void kheap_cache_shrink(struct kheap_class *class);

/* rcu.c */
void kheap_rcu_init(struct kheap *heap);
extern unsigned int kheap_rcu_room;
bool kheap_rcu_sweep(struct kheap *heap);
void kheap_rcu_flush(struct kheap *heap);
bool kheap_rcu_park(struct kheap_class *class, const void *ptr);
bool kheap_class_free_rcu(struct kheap_class *class, const void *ptr);
void kheap_rcu_park_marked(struct kheap_class *class, void *block);
void kheap_rcu_arm(struct kheap *heap);
void kheap_rcu_exit(struct kheap *heap);

#endif /* _KHEAP_BLOCK_H */
