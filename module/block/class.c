// SPDX-License-Identifier: GPL-2.0
/*
 * Classes: what size classes, fixed-size caches and object types have in
 * common, and what happens to a request that the per-CPU cache cannot serve.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/log2.h>
#include <linux/math.h>
#include <linux/random.h>
#include <linux/rculist.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "base/trace.h"
#include "block/alloc.h"

/* About this many bytes of a class may be in each magazine, and put by. */
#define MAGAZINE_BYTES	8192
#define MAGAZINE_SLOTS	61
#define FEW_SLOTS	3	/* if that is more, and for large objects 1 */
#define DEPOT_BYTES	65536
#define DEPOT_MAGAZINES	32

/* Stands for every class that does not exist yet: all requests miss. */
struct kheap_class kheap_cold_class = {
	.cpu = &kheap_cold_cache,
	.caches = &kheap_cold_cache,
	.recip = 1U << 29,
	.recip_low = 1U << 29,
	.size = 8,
	.nr_blocks = PAGE_SIZE / 8,
	.szidx = KHEAP_SZIDX_NONE,
};

/* There is more than one memory node. */
DEFINE_STATIC_KEY_FALSE(kheap_numa_key);

/* Frees have more to do than the fast path: zeroing, or sending blocks home. */
DEFINE_STATIC_KEY_FALSE(kheap_careful_key);

/* What raw memory has to know of classes. */
static void count_pool(struct kheap_class *class, int node, long nr)
{
	class->node[node].nr_pools += nr;
}

static unsigned int block_size(const struct kheap_class *class)
{
	return class == &kheap_cold_class ? 0 : class->size;
}

static const struct kheap_tenants tenants = {
	.nobody = &kheap_cold_class,
	.count = count_pool,
	.size = block_size,
};

void __init kheap_block_init(void)
{
	kheap_tenants = &tenants;
	if (nr_node_ids > 1)
		static_branch_enable(&kheap_numa_key);
	if (nr_node_ids > 1 || want_init_on_free())
		static_branch_enable(&kheap_careful_key);
}

/* A tag that no page has: see kheap_owned_pool(). */
unsigned long kheap_new_tag(void)
{
	return get_random_long() | 1;
}

/* --- Geometry ----------------------------------------------------------- */

/* Slots of a magazine of at most @nr: with 5, 13, 29, 61 its memory is used up. */
static unsigned int round_slots(unsigned int nr)
{
	const unsigned int head = sizeof(struct kheap_magazine) /
				  sizeof(void *);

	return nr + head < 8 ? nr : rounddown_pow_of_two(nr + head) - head;
}

static void class_set_caching(struct kheap_class *class)
{
	unsigned int few = class->usable > KHEAP_MEDIUM_MAX ? 1 : FEW_SLOTS;

	class->max_slots = round_slots(clamp_t(size_t, MAGAZINE_BYTES /
					       class->size, few,
					       MAGAZINE_SLOTS));
	class->max_full = min_t(size_t, DEPOT_MAGAZINES, DEPOT_BYTES /
				(class->max_slots * class->size));
}

/* What the fields of a class and of a pool have room for, whatever a page is. */
static_assert(PAGE_SIZE >> KHEAP_BLOCK_SHIFT < KHEAP_LINK_WAITS);
static_assert(BITS_TO_LONGS(PAGE_SIZE >> KHEAP_BLOCK_SHIFT) <= U8_MAX);
static_assert((PAGE_SIZE << (KHEAP_NR_SPANS - 1)) / KHEAP_BLOCK_MAX <=
	      PAGE_SIZE >> KHEAP_BLOCK_SHIFT);
static_assert(KHEAP_CACHE_SIZE_MAX + KHEAP_CACHE_ALIGN_MAX / 2 <= U16_MAX + 1);

/*
 * Where the blocks are. A typed object has its mark where it has its type while
 * it lives, so that its reference count stays 0 while it is free. A constructed
 * one has it behind it, because it must stay as it is.
 */
static void class_set_geometry(struct kheap_class *class, size_t size,
			       size_t align)
{
	size_t stride = ALIGN(size, 1 << KHEAP_BLOCK_SHIFT);

	class->usable = size;
	class->mark_offset = class->type ? offsetof(struct kheap_object, type) :
					   0;
	class->zero_words = stride / 8;
	if (class->ctor) {
		class->mark_offset = stride;
		class->zero_words = 0;
		stride += 1 << KHEAP_BLOCK_SHIFT;
	}
	if (class->debug)
		stride = kheap_watcher->geometry(class, align) ?: stride;
	class->zero_kind = class->zero_words == 8 ? KHEAP_ZERO_LINE :
			   class->zero_words < 8 ? KHEAP_ZERO_FEW :
			   class->zero_words <= KHEAP_ZERO_STORES / 8 ?
			   KHEAP_ZERO_LINES : KHEAP_ZERO_STRING;
	class->size = ALIGN(stride, align);
	class->span = kheap_best_span(class->size + class->front,
				      PAGE_SHIFT);
	class->nr_blocks = (kheap_pool_bytes(class) - class->front) /
			   class->size;
	class->recip = kheap_recip(class->size);
	class->recip_low = class->recip;
	class->fill_shift = max(fls(class->nr_blocks - 1) -
				ilog2(KHEAP_NR_FILLS), 0);
	class_set_caching(class);
}

/*
 * What the marks of a class are made of. An object has its mark in the place of
 * its type: there it is to be told from an address.
 */
static unsigned long new_key(const struct kheap_class *class)
{
	unsigned long key = get_random_long();

	if (!class->type)
		return key;
	return kheap_no_address(key ^ kheap_map.base) ^ kheap_map.base;
}

/**
 * kheap_class_init() - fill in a class
 * @class: zeroed memory for it and its nodes
 * @heap: the heap
 * @name: name of a cache or type, copied; NULL for a size class
 * @size: bytes that the client may use
 * @align: alignment, a power of two of at least 8
 * @ctor: constructor or NULL
 *
 * Return: 0 or -ENOMEM.
 */
int kheap_class_init(struct kheap_class *class, struct kheap *heap,
		     const char *name, size_t size, size_t align,
		     void (*ctor)(void *object))
{
	unsigned int i, fill;
	size_t len;

	class->heap = heap;
	class->cpu = &kheap_cold_cache;
	class->caches = &kheap_cold_cache;
	class->tag = name ? kheap_new_tag() : heap->block.tag;
	class->key = new_key(class);
	class->ctor = ctor;
	class->szidx = KHEAP_SZIDX_NONE;
	class->bad_gfp = GFP_ZONEMASK | (ctor ? __GFP_ZERO : 0);
	class->debug = kheap_watcher->fix(heap);
	class->slow_free = class->debug & KHEAP_DEBUG_CONSISTENCY;
	class_set_geometry(class, size, align);
	if (heap->base.flags & KHEAP_NO_CPU_CACHE)
		class->max_slots = 0;
	for (i = 0; i < nr_node_ids; i++) {
		struct kheap_class_node *node = &class->node[i];

		raw_spin_lock_init(&node->lock);
		for (fill = 0; fill < KHEAP_NR_FILLS; fill++)
			INIT_LIST_HEAD(&node->used[fill]);
	}
	if (!name)
		return 0;
	len = strlen(name) + 1;
	class->name = kheap_meta_alloc(heap, len, GFP_KERNEL, NUMA_NO_NODE);
	if (!class->name)
		return -ENOMEM;
	memcpy(class->name, name, len);
	return 0;
}

/* Make a class visible to statistics and checks. */
void kheap_class_publish(struct kheap_class *class)
{
	struct kheap *heap = class->heap;
	unsigned long flags;

	raw_spin_lock_irqsave(&heap->block.class_lock, flags);
	list_add_tail_rcu(&class->list, &heap->block.class_list);
	raw_spin_unlock_irqrestore(&heap->block.class_lock, flags);
}

/* --- Size classes ------------------------------------------------------- */

/* The size of the blocks of a size class. */
size_t kheap_szidx_size(unsigned int szidx)
{
	unsigned int step;

	if (szidx < KHEAP_NR_SIZE_CLASSES)
		return (szidx + 1) << KHEAP_BLOCK_SHIFT;
	step = szidx - KHEAP_NR_SIZE_CLASSES;
	return (5 + step % 4) << (MEDIUM_ORDER - 2 + step / 4);
}

/* What a size class takes itself. */
size_t kheap_size_class_bytes(void)
{
	return struct_size((struct kheap_class *)NULL, node, nr_node_ids);
}

/* A power of two is naturally aligned: pools are, and it divides them. */
static struct kheap_class *size_class_create(struct kheap *heap,
					     unsigned int szidx, gfp_t gfp)
{
	size_t size = kheap_szidx_size(szidx);
	struct kheap_class *class;

	class = kheap_meta_alloc(heap, kheap_size_class_bytes(), gfp,
				 NUMA_NO_NODE);
	if (!class)
		return NULL;
	kheap_class_init(class, heap, NULL, size, 1 << KHEAP_BLOCK_SHIFT, NULL);
	class->szidx = szidx;
	return class;
}

/*
 * Make a size class the one that serves its size, unless there is one by now.
 * It is in the list before it can get a pool: statistics miss no pool's bytes.
 * Return the one that serves.
 */
static struct kheap_class *publish_size_class(struct kheap_class *class)
{
	struct kheap *heap = class->heap;
	struct kheap_class **slot = &heap->block.classes[class->szidx];
	struct kheap_class *old;
	unsigned long flags;

	raw_spin_lock_irqsave(&heap->block.class_lock, flags);
	old = *slot;
	if (old == &kheap_cold_class) {
		list_add_tail_rcu(&class->list, &heap->block.class_list);
		/* Pairs with whoever reads the pointer and uses the class. */
		smp_store_release(slot, class);
		if (!class->szidx)
			smp_store_release(&heap->block.for_none, class); /* as well */
		old = class;
	}
	raw_spin_unlock_irqrestore(&heap->block.class_lock, flags);
	return old;
}

/**
 * kheap_size_class() - get a size class, made at its first use
 * @heap: the heap
 * @szidx: which
 * @gfp: what the allocation may do
 *
 * Return: The class or NULL.
 */
struct kheap_class *kheap_size_class(struct kheap *heap, unsigned int szidx,
				     gfp_t gfp)
{
	struct kheap_class *class = READ_ONCE(heap->block.classes[szidx]);
	struct kheap_class *old;

	/* Pairs with publish_size_class() through the address. */
	if (likely(class != &kheap_cold_class))
		return class;
	if (!kheap_mm_allowed())
		return NULL;
	class = size_class_create(heap, szidx, gfp);
	if (!class)
		return NULL;
	old = publish_size_class(class);
	if (old != class) {
		kheap_meta_free(heap, class);
		return old;
	}
	kheap_cpu_caches_setup(class, gfp);
	return class;
}

/* --- Requests that miss ------------------------------------------------- */

static void *take_from_new_pool(struct kheap_class *class, gfp_t gfp, int nid)
{
	struct kheap_pool *pool = kheap_pool_get(class->heap, class->span,
						 class, gfp, nid);
	LIST_HEAD(empties);

	if (!pool)
		return NULL;
	if (kheap_pool_setup(pool, class, gfp))
		return kheap_cpu_cache_join(class, pool);
	list_add(&pool->list, &empties);
	kheap_pools_put(class->heap, &empties);
	return NULL;
}

/**
 * kheap_alloc_failed() - count a failure, report it if the limit is the cause
 * @heap: the heap
 * @class: the class, or NULL if even that could not be had
 * @bytes: how much was asked of the system
 * @gfp: the request's flags
 *
 * Context: Any context, no kheap lock held.
 */
void kheap_alloc_failed(struct kheap *heap, const struct kheap_class *class,
			size_t bytes, gfp_t gfp)
{
	atomic_long_inc(&heap->base.nr_failed);
	if (trace_kheap_fail_enabled())
		trace_kheap_fail(heap, bytes, gfp, kheap_client_ip(_RET_IP_));
	if (kheap_at_limit(heap, bytes) && !(gfp & __GFP_NOWARN))
		kheap_refuse(heap, KHEAP_BAD_LIMIT, NULL, class);
}

/* One block, past the per-CPU caches. */
static void *take_from_pools(struct kheap_class *class, int nid, bool any)
{
	void *block = NULL, *bad = NULL;

	if (!kheap_pools_take(class, nid, any, &block, 1, &bad))
		block = NULL;
	kheap_refuse_link(class, bad);
	return block;
}

static void *take_from_other_nodes(struct kheap_class *class, int nid)
{
	void *block = NULL;
	int other;

	for_each_online_node(other) {
		if (other != nid)
			block = take_from_pools(class, other, true);
		if (block)
			break;
	}
	return block;
}

/*
 * With several memory nodes, another one helps out when @nid has no page left.
 * Then what the heap has there serves first: a pool of another node joins no
 * cache here, and each request would take a new arena for one block.
 */
static void *take_from_new_memory(struct kheap_class *class, gfp_t gfp, int nid)
{
	gfp_t local = (gfp & ~__GFP_NOFAIL) | __GFP_THISNODE | __GFP_NORETRY |
		      __GFP_NOWARN;

	if (!static_branch_unlikely(&kheap_numa_key) || (gfp & __GFP_THISNODE))
		return take_from_new_pool(class, gfp, nid);
	return take_from_new_pool(class, local, nid) ?:
	       take_from_other_nodes(class, nid) ?:
	       take_from_new_pool(class, gfp, nid);
}

/* A block with its mark. */
static void *take_block(struct kheap_class *class, gfp_t gfp, int nid,
			bool local)
{
	void *block = NULL;

	if (local && class->max_slots)
		block = kheap_cpu_cache_refill(class);
	/* This CPU's first block is going to be its hot one. */
	if (!block && local && class->max_slots &&
	    !raw_cpu_read(class->caches->nr_slots))
		block = kheap_pools_take_apart(class, nid);
	return block ?: take_from_pools(class, nid, false) ?:
	       take_from_new_memory(class, gfp, nid) ?:
	       take_from_pools(class, nid, true);
}

/* Clear the mark of a block. Return false if it had none. */
static bool own_block(struct kheap_class *class, void *block)
{
	bool owned;

	preempt_disable();
	owned = kheap_mark_take(class, block, class->mark_offset);
	preempt_enable();
	if (unlikely(!owned))
		kheap_pool_block_stray(class, block, false);
	return owned;
}

/**
 * kheap_class_alloc_slow() - allocate a block that kheap_pop() did not have
 * @class: the class
 * @gfp: what the allocation may do
 * @nid: the memory node, or %NUMA_NO_NODE for this CPU's
 *
 * Context: Any context; sleeps if @gfp allows it; fails in NMI.
 * Return: The block, not yet zeroed, its mark cleared; or NULL.
 */
void *kheap_class_alloc_slow(struct kheap_class *class, gfp_t gfp, int nid)
{
	bool local = nid == NUMA_NO_NODE || nid == numa_mem_id();
	unsigned int step = 0;
	void *block;

	if (unlikely(in_nmi()))
		return NULL;
	might_alloc(gfp);
	kheap_cpu_cache_settle(class, raw_cpu_ptr(class->caches));
	if (nid == NUMA_NO_NODE)
		nid = numa_mem_id();
	do {
		while ((block = take_block(class, gfp, nid, local)))
			if (likely(own_block(class, block)))
				return block;
	} while (kheap_reliever->relieve(class->heap, kheap_pool_bytes(class),
					 gfp, &step));
	kheap_alloc_failed(class->heap, class, kheap_pool_bytes(class), gfp);
	return NULL;
}

/**
 * kheap_class_alloc_missed() - allocate a block where the fast path did not
 * @class: the class
 * @size: bytes that the client asked for
 * @gfp: what the allocation may do
 * @nid: the memory node, or %NUMA_NO_NODE for this CPU's
 * @caller: where the request came from, in the client or in kheap
 *
 * Context: Any context; sleeps if @gfp allows it.
 * Return: The block, not yet zeroed, its mark cleared; or NULL.
 */
void *kheap_class_alloc_missed(struct kheap_class *class, size_t size,
			       gfp_t gfp, int nid, unsigned long caller)
{
	if (unlikely(READ_ONCE(class->heap->base.watch)))
		return kheap_watcher->alloc(class, size, gfp, nid, caller);
	return kheap_class_alloc_slow(class, gfp, nid);
}

/* --- Frees that miss ---------------------------------------------------- */

/* As kheap_mark_put(), and of two CPUs in the same instant one is refused. */
static bool claim_atomically(struct kheap_class *class, void *block)
{
	u64 mark = kheap_mark(class, block);
	u64 *word = block + class->mark_offset;
	u64 old = kheap_load_unseen(word);

	do {
		if ((old ^ mark) <= KHEAP_MARK_LINK)
			return false;
	} while (!kheap_try_cmpxchg_unseen(word, &old, mark));
	return true;
}

/*
 * A block has a mark. What the client left in an allocated one may look like
 * that of a listed block by chance, and then no list has it.
 */
static bool is_chance(struct kheap_class *class, struct kheap_pool *pool,
		      void *block, unsigned int idx)
{
	u64 link = kheap_mark_link(class, block);

	return unlikely(link < KHEAP_LINK_WAITS || link == KHEAP_LINK_END) &&
	       !in_nmi() && kheap_pool_claim_unlisted(pool, idx);
}

/**
 * kheap_block_claim() - take an allocated block back from its owner
 * @class: the pool's class
 * @pool: a pool with a class
 * @ptr: an address in the pool's pages
 *
 * The long way of kheap_block_at() and kheap_give(). From here the block is
 * ours, with its mark.
 *
 * Context: Any context, no kheap lock held.
 * Return: false if @ptr is no allocated block; then nothing was changed.
 */
bool kheap_block_claim(struct kheap_class *class, struct kheap_pool *pool,
		       const void *ptr)
{
	void *block = (void *)ptr;
	unsigned long idx;
	bool marked;

	if (!kheap_block_index(class, pool, ptr, &idx) ||
	    idx * class->size >= READ_ONCE(pool->nextoffset) ||
	    test_bit(idx, kheap_parked_bits(pool)))
		return false;
	/* Pairs with unpark_word() and give_parked(): first the bit. */
	smp_rmb();
	if (class->debug & KHEAP_DEBUG_CONSISTENCY)
		return claim_atomically(class, block) ||
		       is_chance(class, pool, block, idx);
	preempt_disable();
	marked = kheap_mark_put(class, block, class->mark_offset);
	preempt_enable();
	return marked || is_chance(class, pool, block, idx);
}

/* Free a block, with its mark, past the per-CPU caches. */
void kheap_class_free_to_pool(struct kheap_class *class, void *block)
{
	LIST_HEAD(empties);

	kheap_pools_give(class, &block, 1, &empties);
	if (!list_empty(&empties))
		kheap_pools_put(class->heap, &empties);
}

/**
 * kheap_class_free_slow() - free a block that the loaded magazine did not take
 * @class: the class
 * @block: the block, with its mark
 * @alien: it is of another memory node than this CPU's
 *
 * In NMI no lock can be taken: there it waits as if for a grace period.
 *
 * Context: Any context. Never sleeps.
 */
void kheap_class_free_slow(struct kheap_class *class, void *block, bool alien)
{
	if (unlikely(in_nmi()))
		kheap_rcu_park_marked(class, block);
	else if (!class->max_slots ||
		 !kheap_cpu_cache_push(class, alien, block))
		kheap_class_free_to_pool(class, block);
}

/**
 * kheap_push_missed() - the end of a kheap_push_into() that could not
 * @class: the class
 * @block: the block
 *
 * Context: Any context, preemption off, and on again afterwards.
 */
void kheap_push_missed(struct kheap_class *class, void *block)
{
	preempt_enable();
	kheap_class_free_slow(class, block, false);
}

/* As kheap_push_missed(), with a busy mark that is ours. */
void kheap_push_full(struct kheap_class *class, void *block,
		     struct kheap_cpu_cache __percpu *cpu)
{
	kheap_clear_busy(raw_cpu_ptr(cpu));
	kheap_push_missed(class, block);
}

/* As kheap_zero(), and at every moment the block has its mark. */
static void zero_around_mark(const struct kheap_class *class, void *block)
{
	size_t bytes = class->zero_words * sizeof(u64);
	size_t after = class->mark_offset + sizeof(u64);

	if (!bytes)
		return;
	memset(block, 0, class->mark_offset);
	memset(block + after, 0, bytes - after);
}

/* Zero what is freed, and tell who watches. The mark is as it was afterwards. */
static void bury(struct kheap_class *class, void *block, unsigned long caller)
{
	/* What is beyond what was asked for is ours now. */
	kheap_kasan_mark(class, block, KHEAP_KASAN_LIVE);
	if (unlikely(READ_ONCE(class->heap->base.watch)))
		kheap_watcher->free(class, block, caller);
	if (want_init_on_free())
		zero_around_mark(class, block);
	kheap_kasan_mark(class, block, KHEAP_KASAN_FREE);
	kheap_kmsan_free(class, block);
}

/**
 * kheap_class_free_careful() - free a block where questions are asked
 * @class: the class
 * @block: the block, with its mark
 *
 * Where kheap_careful_key is set, memory has to be zeroed when it is freed, or
 * may be of another node, or a heap is watched; or the pool is out of use. What
 * cannot be done in NMI is left: then the block comes here again.
 *
 * Context: Any context. Never sleeps.
 */
void kheap_class_free_careful(struct kheap_class *class, void *block)
{
	const struct kheap_pool *pool = kheap_block_pool(block);

	if (in_nmi() &&
	    (kheap_tracks_leaks() || READ_ONCE(class->heap->base.watch)))
		return kheap_rcu_park_marked(class, block);
	if (kheap_tracks_leaks())
		kmemleak_free(block);
	bury(class, block, _RET_IP_);
	/* The block of a damaged pool may be the damaged one. */
	if (READ_ONCE(pool->state) == KHEAP_POOL_QUARANTINED && !in_nmi())
		return kheap_class_free_to_pool(class, block);
	if (static_branch_unlikely(&kheap_numa_key) &&
	    pool->arena->set->node != numa_mem_id())
		return kheap_class_free_slow(class, block, true);
	preempt_disable();
	kheap_push_into(class, READ_ONCE(class->caches), block);
}

/* --- The end of a class ------------------------------------------------- */

/* Take every pool of @class in @arena from it; under the set's lock. */
static void collect_pools(struct kheap_arena *arena, struct kheap_class *class,
			  struct list_head *pools)
{
	struct kheap_pool *pool;
	unsigned int i;

	kheap_for_each_pool(pool, arena, i) {
		if (pool->class != class)
			continue;
		if (pool->state == KHEAP_POOL_USED)
			list_del(&pool->list);
		pool->state = KHEAP_POOL_MOVING;
		list_add(&pool->list, pools);
	}
}

/* kmemleak knows the allocated blocks, those as well that nobody frees. */
static void forget_blocks(const struct kheap_pool *pool)
{
	const struct kheap_class *class = pool->class;
	unsigned int idx;

	if (class == &kheap_cold_class)
		return;
	for (idx = 0; idx < class->nr_blocks; idx++)
		if (kheap_block_is_allocated(class, pool, idx))
			kmemleak_free(kheap_block_address(class, pool, idx));
}

/* Have kmemleak forget all blocks of a heap that nobody uses any more. */
void kheap_forget_blocks(struct kheap *heap)
{
	struct kheap_arena_set *set;
	struct kheap_arena *arena;
	struct kheap_pool *pool;
	unsigned int i, j;

	if (!IS_ENABLED(CONFIG_DEBUG_KMEMLEAK))
		return;
	kheap_for_each_set(set, heap, i)
		list_for_each_entry(arena, &set->arenas, list)
			kheap_for_each_pool(pool, arena, j)
				forget_blocks(pool);
}

/* Give all pools of a class back, whatever is in them. Nobody uses it. */
void kheap_class_purge(struct kheap_class *class)
{
	struct kheap *heap = class->heap;
	struct kheap_arena_set *set;
	struct kheap_arena *arena;
	struct kheap_pool *pool;
	unsigned long flags;
	unsigned int i;

	kheap_for_each_set(set, heap, i) {
		arena = NULL;
		while ((arena = kheap_arena_next(set, arena))) {
			LIST_HEAD(pools);

			raw_spin_lock_irqsave(&set->lock, flags);
			collect_pools(arena, class, &pools);
			raw_spin_unlock_irqrestore(&set->lock, flags);
			if (IS_ENABLED(CONFIG_DEBUG_KMEMLEAK))
				list_for_each_entry(pool, &pools, list)
					forget_blocks(pool);
			kheap_pools_put(heap, &pools);
			cond_resched();
		}
	}
}

/* Undo kheap_class_publish() and the per-CPU caches; under heap->base.mutex. */
void kheap_class_exit(struct kheap_class *class)
{
	struct kheap *heap = class->heap;
	unsigned long flags;

	raw_spin_lock_irqsave(&heap->block.class_lock, flags);
	list_del_rcu(&class->list);
	raw_spin_unlock_irqrestore(&heap->block.class_lock, flags);
	synchronize_rcu();
	kheap_cpu_caches_exit(class);
}

/* Log what a class still has allocated when its heap or cache ends. */
void kheap_class_report_live(struct kheap_class *class)
{
	struct kheap_class_stats stats;

	kheap_class_get_stats(class, &stats);
	if (!stats.nr_allocated)
		return;
	pr_warn("  %lu of %s%s%u bytes, %zu bytes\n", stats.nr_allocated,
		class->name ?: "", class->name ? ", " : "", class->usable,
		(size_t)stats.nr_allocated * class->size);
}

/* Free the memory of a class itself. */
void kheap_class_free(struct kheap_class *class)
{
	kheap_meta_free(class->heap, class->name);
	kheap_meta_free(class->heap, class->type ? (void *)class->type : class);
}
