/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The private structures of kheap and what holds between them. The reasons
 * are in Documentation/design.rst; the names are CPython's where it has one.
 */
#ifndef _KHEAP_INTERNAL_H
#define _KHEAP_INTERNAL_H

#include <linux/bitops.h>
#include <linux/cache.h>
#include <linux/completion.h>
#include <linux/irq_work.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/prandom.h>
#include <linux/ratelimit_types.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <asm/local.h>
#include <kheap/kheap.h>

#include "compat.h"

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
 * Local names are the same everywhere: heap, class, set, arena, pool, block
 * (its address), idx (its number in the pool), szidx (the size class).
 *
 * Locks, in the order in which they may be taken. The raw ones are taken with
 * interrupts disabled, and under none of them are pages freed, callbacks
 * called or messages printed.
 *
 * 0. kheap_watch_lock (mutex): which heaps are watched, and why. A static key
 *    is changed under this one and no other: that takes the CPU hotplug lock,
 *    under which the end of a CPU takes 1 and 2.
 *
 * 1. kheap_list_lock (mutex): the list of heaps and the names on it. The list
 *    changes under kheap_list_raw as well, under which 5 is taken: whoever
 *    cannot sleep looks through it with that.
 *
 *    kheap.rcu_mutex: one sweep after a grace period at a time, and none during a
 *    check. Taken after 1 and 9, before 2. What it uses without memory is all
 *    heaps', under a mutex that is taken after it.
 *
 * 2. kheap.mutex: the list of classes against removal, and the walks that may
 *    sleep: check, trim, debugfs. Not taken by allocation or free.
 *    Memory reclaim tries 1 and 2, and never waits for them: they may be held
 *    where memory is allocated.
 *
 * 3. kheap_arena_set.lock (raw): the set's arenas, which of their pools are
 *    empty, and how many pools each class has. Not the inside of a pool that
 *    belongs to a class.
 *
 * 4. kheap_class_node.lock (raw): the inside of the class's pools on one
 *    memory node and the lists that they are on. The marks of blocks that are
 *    in no pool's list are not under it: they are written and cleared by
 *    whoever frees and allocates the block.
 *
 * 5. kheap.large_lock (raw): the tree of large blocks.
 *
 * 6. kheap.class_lock (raw): publication of a new class, and which per-CPU
 *    caches the fast paths of each class see.
 *
 * 7. kheap_gc.weak_lock (raw): which weak references an object has, and which
 *    of their callbacks run. A release takes it before the memory goes, so
 *    that under it the target of a weak reference is there.
 *
 * 8. kheap_gc_buffer.lock (raw): one CPU's names of candidates.
 *
 * 9. kheap_gc.mutex: a run of the collector, its statistics. Taken before 2 and
 *    kheap.rcu_mutex, with kheap_gc_lock(), which refuses in callbacks; nobody
 *    has two.
 *
 * The crowd of the trashcan, the list of locked collectors, kheap.limit_calls,
 * kheap.ripe, kheap.inject and the recorder of call sites have raw locks of their own, as
 * leaves. The list of heaps of modules that use slab_compat.h has a mutex, taken
 * before all; so has the recorder, for who switches and reads, taken before 0,
 * and so have the debug flags, for who sets them.
 *
 * A per-CPU cache has no lock but its busy mark, which only its own CPU sets.
 * Lock 4 is taken under the mark; 3 is not, and 3 and 4 nest in check only.
 */

/* --- Geometry ----------------------------------------------------------- */

#define KHEAP_ARENA_ORDER	6	/* pages asked for at once: 64 */
#define KHEAP_ARENA_POOLS	(1 << KHEAP_ARENA_ORDER)
#define KHEAP_CHUNK_POOLS	8	/* descriptors allocated at once */
#define KHEAP_ARENA_CHUNKS	(KHEAP_ARENA_POOLS / KHEAP_CHUNK_POOLS)
#define KHEAP_NR_SPANS		4	/* pools of 1, 2, 4 and 8 pages */
#define KHEAP_NR_FILLS		4	/* used pools are listed by quarters */
#define KHEAP_INLINE_BLOCKS	BITS_PER_LONG	/* see kheap_parked_bits() */
#define KHEAP_LINK_CACHED	0xffff	/* free, in a per-CPU cache or a depot */
#define KHEAP_LINK_END		0xfffe	/* no further free block */
#define KHEAP_LINK_WAITS	0xfffd	/* freed in NMI, on its way */
#define KHEAP_SZIDX_NONE	0xff	/* class of a cache or a type */
#define KHEAP_NR_CLASSES	(KHEAP_NR_SIZE_CLASSES + KHEAP_NR_MEDIUM_CLASSES)

enum kheap_pool_state {
	KHEAP_POOL_HOLE,	/* no page; in no list */
	KHEAP_POOL_EMPTY,	/* no class; on its arena's freepools */
	KHEAP_POOL_MOVING,	/* between arena and class; on no list */
	KHEAP_POOL_USED,	/* has free blocks; on its class's used list */
	KHEAP_POOL_FULL,	/* no free block; on no list */
	KHEAP_POOL_QUARANTINED,	/* found corrupted; on no list */
	NR_KHEAP_POOL_STATES
};

/**
 * struct kheap_pool - one run of pages with blocks of one class
 * @class: whose blocks these are; kheap_cold_class when empty or a hole
 * @base: first byte of the first block; the pages' address
 * @nextoffset: bytes of @base that were ever carved into blocks
 * @map: the parked bits of up to 64 blocks; else the address of the bits
 * @arena: the arena that the pool is a part of
 * @list: in one of the class's used lists, or in the arena's freepools
 * @nr_used: blocks that are not free in this pool: allocated or cached
 * @freeblock: index of the first free block, or %KHEAP_LINK_END; in quarantine
 *	the number of strays, see pool_lose()
 * @state: an &enum kheap_pool_state
 * @sz_map: words that @map points to, 0 while the bits are in @map itself
 * @parking: blocks of it may wait for a grace period
 *
 * Under the class's lock, except @base, @arena: constant while there is a
 * page; @state, @list and @class under the set's lock while the pool is with
 * its arena.
 *
 *   nr_used + nr_free_listed + nr_virgin == nr_blocks
 *   nr_virgin == nr_blocks - nextoffset / size
 *   USED: 0 < nr_used < nr_blocks; FULL: nr_used == nr_blocks
 *   QUARANTINED: freeblock <= nr_used; nr_used - freeblock are told as out
 *   every listed block has a mark that leads to the next one
 *   carved blocks without a mark <= nr_used
 */
struct kheap_pool {
	struct kheap_class *class;
	void *base;
	u32 nextoffset;
	unsigned long map;
	struct kheap_arena *arena;
	struct list_head list;
	u16 nr_used;
	u16 freeblock;
	u8 state;
	u8 sz_map;
	bool parking;
};

static_assert(sizeof(struct kheap_pool) == 64 || IS_ENABLED(CONFIG_DEBUG_LIST));

/**
 * struct kheap_arena - up to 64 pages taken from the system together
 * @set: the set that the arena is in
 * @list: in the set's list of all arenas, or in a list of arenas to release
 * @dead: in the heap's list of arenas to release later
 * @usable_node: in the set's bucket for @nr_freepools, when that is not 0
 * @holed_node: in the set's list of arenas with holes, when there are any
 * @freepools: the empty pools, the last one returned first
 * @page: first page
 * @chunks: the pools' descriptors, %KHEAP_CHUNK_POOLS a chunk; NULL for one
 *	in which all are holes, see kheap_arena_pool()
 * @nr_freepools: length of @freepools
 * @nr_totalpools: pools that the arena was made with
 * @nr_holes: pools whose pages have gone back to the system
 * @nr_bare: those of them without a descriptor
 * @nr_pins: walkers that stand on this arena
 * @order: order of the allocation at @page
 * @parked: a pool may have parked bits, see kheap_parked_bits()
 * @split: the pages are separate: some have left or arrived alone
 * @serial: number of the arena in its heap, from 1
 *
 * Under the set's lock; @set, @page, @nr_totalpools, @order and @serial are
 * constant. While @nr_pins is not 0 no chunk goes away.
 *
 *   nr_freepools == length of freepools <= nr_totalpools - nr_holes
 *   nr_bare == pools of chunks that are NULL <= nr_holes
 */
struct kheap_arena {
	struct kheap_arena_set *set;
	struct list_head list;
	struct llist_node dead;
	struct hlist_node usable_node;
	struct list_head holed_node;
	struct list_head freepools;
	struct page *page;
	struct kheap_pool *chunks[KHEAP_ARENA_CHUNKS];
	u16 nr_freepools;
	u16 nr_totalpools;
	u16 nr_holes;
	u16 nr_bare;
	u16 nr_pins;
	u8 order;
	bool split;
	bool parked;
	unsigned long serial;
};

/**
 * struct kheap_arena_set - a heap's arenas of one memory node and one span
 * @lock: lock 3
 * @heap: the heap
 * @node: the memory node that all pages are of
 * @span: order of a pool: pools are 1 << @span pages
 * @arenas: all arenas
 * @holed: arenas with holes; first those with a hole that has a descriptor
 * @usable: arenas by number of empty pools; [0] stays unused
 * @usable_map: bit n is set when usable[n] has an arena
 * @nr_arenas: length of @arenas
 * @nr_pages: pages held from the system
 * @nr_holes: sum over the arenas
 * @nr_empty: sum of nr_freepools over the arenas
 * @nr_idle: least @nr_empty since the maintenance work last looked
 * @spare: an arena that is entirely empty, kept against thrashing, or NULL
 *
 * The usable arena with the fewest empty pools serves first: the first set
 * bit of @usable_map, whatever the number of arenas. CPython keeps a sorted
 * list for this, and since 3.8 an index into it (nfp2lasta).
 */
struct kheap_arena_set {
	raw_spinlock_t lock;
	struct kheap *heap;
	int node;
	unsigned int span;
	struct list_head arenas;
	struct list_head holed;
	struct hlist_head usable[KHEAP_ARENA_POOLS + 1];
	DECLARE_BITMAP(usable_map, KHEAP_ARENA_POOLS + 1);
	unsigned long nr_arenas;
	unsigned long nr_pages;
	unsigned long nr_holes;
	unsigned long nr_empty;
	unsigned long nr_idle;
	struct kheap_arena *spare;
};

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

/**
 * struct kheap_cpu_cache - one CPU's free blocks of a class
 * @top: slot above the last block of the loaded magazine
 * @base: first slot of the loaded magazine
 * @limit: slot above the last one of the loaded magazine
 * @busy: the busy mark: somebody on this CPU is between reading and writing
 * @asleep: takes in no block until a request misses, see drain_marked()
 * @nr_previous: blocks in the previous magazine: it is full or empty
 * @nr_slow: times that the fast path could not serve, ever
 * @seen_slow: @nr_slow when the maintenance work last looked
 * @grown_slow: @nr_slow when the magazines became larger
 * @loaded: the magazine that the fast paths use; NULL before there is one
 * @previous: the other one
 * @full: full ones that this CPU has put by: what it has freed is in its lines
 * @empty: empty ones
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
	bool busy;
	bool asleep;
	u16 nr_previous;
	unsigned int nr_put_by;
	void *stray;
	unsigned long nr_slow;
	unsigned long seen_slow;
	unsigned long grown_slow;
	struct kheap_magazine *loaded;
	struct kheap_magazine *previous;
	struct kheap_stack full;
	struct kheap_stack empty;
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

/**
 * struct kheap_large - one large block
 * @node: in the heap's tree; under its large_lock
 * @ptr: the block
 * @dead: in the heap's list of blocks to free later, or after a grace period
 * @serial: number of the allocation in the heap, from 1, if @observed
 * @bytes: its size, whole pages; no request is above INT_MAX
 * @slack: the last of them that are guard bytes and not the client's
 * @stack: who allocated it, if that is recorded
 * @parked: waits for a grace period; under the heap's large_lock
 * @observed: it was allocated with debug flags
 */
struct kheap_large {
	struct rb_node node;
	void *ptr;
	struct llist_node dead;
	u64 serial;
	u32 bytes;
	u32 slack;
	depot_stack_handle_t stack;
	bool parked;
	bool observed;
};

/**
 * struct kheap_debug_note - what is recorded of a block, noted for a report
 * @block: the block, or NULL if nothing is recorded
 * @serial: number of its allocation in the heap, from 1
 * @size: bytes that were asked for
 * @alloc_stack: who allocated it, if that is recorded
 * @free_stack: who freed it last
 * @sound: all this can be believed
 */
struct kheap_debug_note {
	const void *block;
	u64 serial;
	u32 size;
	depot_stack_handle_t alloc_stack;
	depot_stack_handle_t free_stack;
	bool sound;
};

/* --- Heaps -------------------------------------------------------------- */

/* Why a request was refused; the names are in report.c. */
enum kheap_refusal {
	KHEAP_BAD_FOREIGN,	/* not an address of any heap's block */
	KHEAP_BAD_INNER,	/* points into a block or behind the last one */
	KHEAP_BAD_FREED,	/* block is free: second free, or never given */
	KHEAP_BAD_HEAP,		/* block of another heap */
	KHEAP_BAD_CACHE,	/* block of another cache or type */
	KHEAP_BAD_LINK,		/* a free block was written to */
	KHEAP_BAD_GFP,		/* zone flags, or zeroing with a constructor */
	KHEAP_BAD_SIZE,		/* no allocation can be that large */
	KHEAP_BAD_LIMIT,	/* the heap's limit */
	KHEAP_BAD_DEAD,		/* get or put of a dead object */
	KHEAP_BAD_OVERFLOW,	/* an object's reference count is full */
	KHEAP_BAD_TYPE,		/* end of a type with live objects */
	KHEAP_BAD_CONTEXT,	/* a call that is not for callbacks */
	KHEAP_BAD_GUARD,	/* guard bytes were written to */
	KHEAP_BAD_POISON,	/* dead bytes were written to */
	NR_KHEAP_REFUSALS
};

/* Large blocks freed last, and places of bad requests, that a heap remembers. */
#define KHEAP_NR_FREED_LARGE	16
#define KHEAP_NR_SITES		32

/* Why the allocations and frees of a heap are looked at, see watch.c. */
enum kheap_watch {
	KHEAP_WATCH_TRACE	= 1U << 0,	/* a tracepoint wants them */
	KHEAP_WATCH_CALLSITES	= 1U << 1,	/* call sites are recorded */
	KHEAP_WATCH_DEBUG	= 1U << 2,	/* blocks are guarded */
	KHEAP_WATCH_INJECT	= 1U << 3,	/* failures are injected */
};

/**
 * struct kheap_inject_rule - which allocations are to fail
 * @nth: this one, counted from 1, and no other; 0: see @per_mille
 * @per_mille: each with this probability; 1000: every one
 * @seed: of the random numbers
 * @min: those of at least as many bytes
 * @max: and of at most as many; others are not counted
 */
struct kheap_inject_rule {
	unsigned long nth;
	unsigned long per_mille;
	unsigned long seed;
	unsigned long min;
	unsigned long max;
};

/**
 * struct kheap_inject - failures on demand, see inject.c
 * @lock: of all below, a leaf
 * @rule: which
 * @rnd: chance
 * @nr_seen: allocations of the sizes in question since the start
 * @nr_failed: those that were made to fail
 */
struct kheap_inject {
	raw_spinlock_t lock;
	struct kheap_inject_rule rule;
	struct rnd_state rnd;
	unsigned long nr_seen;
	unsigned long nr_failed;
};

/**
 * struct kheap_rcu_place - where the next sweep after a grace period begins
 * @set: number of the arena set
 * @serial: of the arena; 0: the first one
 * @pool: number of the pool in it
 */
struct kheap_rcu_place {
	unsigned int set;
	unsigned long serial;
	unsigned int pool;
};

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

/**
 * struct kheap - everything one client owns
 * @by_words: size classes by size in words of 8 bytes, rounded up, to 64; the
 *	medium ones behind them
 * @for_none: @by_words[0]: the same as @classes[0], for size 0
 * @classes: size classes by szidx; &kheap_cold_class until first used
 * @tag: the size classes' tag
 * @sets: arena sets, by span and node; NULL until first used
 * @flags: bits of &enum kheap_flags
 * @watch: bits of &enum kheap_watch; under lock 6
 * @callsites: what is recorded about call sites, NULL while it is off
 * @secret: what the sums of debug records are made of
 * @limit_bytes: most bytes held, 0 for no limit
 * @on_limit: asked before a request over the limit is refused; or NULL
 * @limit_ctx: for @on_limit
 * @page_ops: where arenas come from
 * @page_ctx: for @page_ops
 * @held_bytes: charged against the limit: held, or being asked for
 * @peak_bytes: highest @held_bytes
 * @metadata_bytes: descriptors, arrays, this structure
 * @nr_pages_freed: pages of pools that went back to the system, ever
 * @nr_failed: allocations that failed
 * @nr_refused: by reason
 * @nr_serials: last arena's number
 * @sites: where requests were refused and why, hashed; 0 for none
 * @mutex: lock 2
 * @class_lock: lock 6
 * @class_list: all classes; RCU
 * @large_lock: lock 5
 * @large: tree of large blocks by address
 * @freed_large: addresses of those freed last
 * @nr_freed_large: how many were ever freed
 * @nr_large: blocks in @large
 * @large_bytes: their bytes, as the system rounded them
 * @limit_lock: of @limit_calls
 * @limit_calls: calls of @on_limit that are under way
 * @maint: work that does what could not be done where it arose, and looks
 *	for idle per-CPU caches and empty pools
 * @maint_armed: @maint will look for what is idle in a while
 * @released: arenas whose pages could not be freed on the spot
 * @dead_large: large blocks that could not be freed on the spot
 * @nmi_work: sees to blocks that were freed in NMI
 * @rcu_work: frees the blocks that wait for a grace period
 * @rcu_armed: @rcu_work will run
 * @rcu_mutex: one sweep at a time, none during a check; taken before @mutex
 * @rcu_place: where the next sweep of @rcu_work begins; under @rcu_mutex
 * @parked_large: large blocks that wait for a grace period
 * @ripe_lock: of @ripe and @nr_ripe, a leaf
 * @ripe: words of blocks whose grace period is over
 * @nr_ripe: how many are left of them
 * @nr_reapers: those who free blocks of them, and the sweep
 * @reaped: for which the sweep waits when it is not the last one
 * @inject: failures on demand
 * @debug: KHEAP_DEBUG_* of &enum kheap_flags, and %KHEAP_DEBUG_FIXED
 * @nr_debug: allocations of observed blocks, ever
 * @gc: the collector, NULL until there is a type
 * @gc_off: it does not run by itself
 * @gc_threshold: candidates that make it run
 * @list: in kheap_list
 * @dir: debugfs folder
 * @creator: the function in the client that created the heap
 * @name: its name
 */
struct kheap {
	union {
		struct kheap_class *by_words[KHEAP_NR_CLASSES + 1];
		struct {
			struct kheap_class *for_none;
			struct kheap_class *classes[KHEAP_NR_CLASSES];
		};
	};
	unsigned long tag;

	struct kheap_arena_set **sets;
	unsigned int flags;
	unsigned int watch;
	struct kheap_callsites __rcu *callsites;
	unsigned long secret;
	size_t limit_bytes;
	bool (*on_limit)(void *ctx, size_t bytes, gfp_t gfp);
	void *limit_ctx;
	const struct kheap_page_ops *page_ops;
	void *page_ctx;

	atomic_long_t held_bytes ____cacheline_aligned_in_smp;
	atomic_long_t peak_bytes;
	atomic_long_t metadata_bytes;
	atomic_long_t nr_pages_freed;
	atomic_long_t nr_failed;
	atomic_long_t nr_refused[NR_KHEAP_REFUSALS];
	atomic_long_t nr_serials;
	atomic_long_t sites[KHEAP_NR_SITES];

	struct mutex mutex;
	raw_spinlock_t class_lock;
	struct list_head class_list;

	raw_spinlock_t large_lock;
	struct rb_root large;
	const void *freed_large[KHEAP_NR_FREED_LARGE];
	unsigned int nr_freed_large;
	unsigned long nr_large;
	size_t large_bytes;

	raw_spinlock_t limit_lock;
	struct list_head limit_calls;

	struct delayed_work maint;
	bool maint_armed;
	struct llist_head released;
	struct llist_head dead_large;
	struct irq_work nmi_work;

	struct delayed_work rcu_work;
	bool rcu_armed;
	struct mutex rcu_mutex;
	struct kheap_rcu_place rcu_place;
	struct llist_head parked_large;
	raw_spinlock_t ripe_lock;
	const struct kheap_parked_word *ripe;
	unsigned int nr_ripe;
	atomic_t nr_reapers;
	struct completion reaped;

	struct kheap_inject inject;

	atomic_t debug;
	atomic_long_t nr_debug;

	struct kheap_gc *gc;
	bool gc_off;
	unsigned long gc_threshold;

	struct list_head list;
	struct dentry *dir;
	char creator[64];
	char name[KHEAP_NAME_MAX + 1];
};

#include "functions.h"
#include "lookup.h"
#include "mark.h"

#endif /* _KHEAP_INTERNAL_H */
