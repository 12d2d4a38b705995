/* SPDX-License-Identifier: GPL-2.0 */
/*
 * raw/: raw memory. Pages from the system or from a client's source, arenas of
 * them with the descriptors of their pools, which pools are empty and which
 * arena serves next, and large blocks. It knows of a class only that it is who
 * has a pool, see &struct kheap_tenants, and nothing of what is inside of one.
 * It may call base/.
 */
#ifndef _KHEAP_RAW_H
#define _KHEAP_RAW_H

#include <linux/bitmap.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mm.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/stackdepot.h>

#include "base/base.h"

/*
 * The locks of this layer:
 *
 * 3. kheap_arena_set.lock (raw): the set's arenas, which of their pools are
 *    empty, and how many pools each class has. Not the inside of a pool that
 *    belongs to a class. 3 and 4 nest in check only.
 *
 * 5. heap->raw.large_lock (raw): the tree of large blocks.
 */

/* --- Geometry ----------------------------------------------------------- */

#define KHEAP_ARENA_ORDER	6	/* pages asked for at once: 64 */
#define KHEAP_ARENA_POOLS	(1 << KHEAP_ARENA_ORDER)
#define KHEAP_CHUNK_POOLS	8	/* descriptors allocated at once */
#define KHEAP_ARENA_CHUNKS	(KHEAP_ARENA_POOLS / KHEAP_CHUNK_POOLS)
/* Pools of 1, 2, 4 and 8 pages; where pages have 64 KiB, of 1 and 2. */
#define KHEAP_SPANS_OF(shift)	((shift) < 16 ? 4 : 2)
#define KHEAP_NR_SPANS		KHEAP_SPANS_OF(PAGE_SHIFT)

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
 * @class: whose blocks these are; kheap_tenants.nobody when empty or a hole
 * @base: first byte of the first block; the pages' address
 * @nextoffset: bytes of @base that were ever carved into blocks
 * @cpu: who carved blocks of it last, see is_others()
 * @until: the second up to which no other CPU does
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
 * The descriptor is raw memory's; while the pool has a class, what is in it is
 * the business of block/. Under the class's lock, except @base, @arena: constant
 * while there is a page; @state, @list and @class under the set's lock while the
 * pool is with its arena.
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
	u16 cpu;
	u16 until;
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
 * struct kheap_tenants - what raw memory has to know of classes: set by
 * block/class.c
 * @nobody: stands for the class of a pool that has none
 * @count: a class has a pool of a node more, or less; under lock 3
 * @size: bytes from one block of a class to the next; 0 for @nobody
 */
struct kheap_tenants {
	struct kheap_class *nobody;
	void (*count)(struct kheap_class *class, int node, long nr);
	unsigned int (*size)(const struct kheap_class *class);
};

/* Set before there is a heap, and never again. */
extern const struct kheap_tenants *kheap_tenants;

#include "raw/page.h"
#include "raw/lookup.h"

/* pages.c */
void kheap_map_init(void);
bool kheap_at_limit(const struct kheap *heap, size_t bytes);
struct page *kheap_pages_alloc(struct kheap *heap, gfp_t gfp,
			       unsigned int order, int node);
void kheap_pages_free(struct kheap *heap, struct page *page,
		      unsigned int order);
void kheap_pages_free_split(struct kheap *heap, struct page *page,
			    unsigned int order);
gfp_t kheap_page_gfp(struct kheap *heap, gfp_t gfp);
void kheap_pool_mark_pages(struct kheap_pool *pool, struct page *page,
			   unsigned int span);
void kheap_pool_unmark_pages(struct page *page, unsigned int span);
void kheap_pool_set_tag(struct kheap_pool *pool, unsigned int span,
			unsigned long tag);
struct page *kheap_arena_pages(struct kheap *heap, unsigned int span,
			       gfp_t gfp, int node, unsigned int *orderp);

/* chunk.c */
void *kheap_pool_detach_map(struct kheap_pool *pool);
struct kheap_pool *kheap_chunk_alloc(struct kheap_arena_set *set,
				     unsigned int nr_pools, gfp_t gfp);
void kheap_chunks_free(struct kheap *heap, struct list_head *chunks);
bool kheap_arena_alloc_chunks(struct kheap_arena *arena, gfp_t gfp);
void kheap_arena_free_chunks(struct kheap_arena *arena);
void kheap_arena_shed_chunks(struct kheap_arena *arena,
			     struct list_head *chunks);
void kheap_arena_regain_chunk(struct kheap_arena *arena,
			      struct kheap_pool *pools);
struct kheap_pool *kheap_arena_first_hole(const struct kheap_arena *arena);

/* arena.c */
int kheap_arena_set_create(struct kheap *heap, unsigned int span, int node,
			   gfp_t gfp);
struct kheap_pool *kheap_pool_get(struct kheap *heap, unsigned int span,
				  struct kheap_class *class, gfp_t gfp,
				  int node);
void kheap_pools_put(struct kheap *heap, struct list_head *pools);
struct kheap_arena *kheap_arena_next(struct kheap_arena_set *set,
				     struct kheap_arena *arena);
void kheap_arenas_trim(struct kheap *heap);
bool kheap_arenas_trim_idle(struct kheap *heap);
void kheap_arenas_release_deferred(struct kheap *heap);
void kheap_arenas_destroy(struct kheap *heap);

/* large.c */
void *kheap_large_alloc(struct kheap *heap, size_t size, gfp_t gfp, int node,
			unsigned long caller);
bool kheap_large_free(struct kheap *heap, const void *ptr,
		      unsigned long caller);
size_t kheap_large_size(struct kheap *heap, const void *ptr);
void kheap_large_resized(struct kheap *heap, void *ptr, size_t size);
enum kheap_refusal kheap_large_diagnose(struct kheap *heap, const void *ptr,
					char *owner);
bool kheap_large_park(struct kheap *heap, const void *ptr);
void kheap_large_free_parked(struct kheap *heap, struct llist_node *list);
void kheap_large_free_deferred(struct kheap *heap);
void kheap_large_destroy(struct kheap *heap);
int kheap_large_check(struct kheap *heap);
void kheap_finish_deferred(struct kheap *heap);

#endif /* _KHEAP_RAW_H */
