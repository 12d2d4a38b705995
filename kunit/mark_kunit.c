// SPDX-License-Identifier: GPL-2.0
/*
 * The mark that a free block has: a second free is refused wherever the block
 * is, whoever frees it and however; what else may look like a mark; and who is
 * asked more questions than that. What was done to marks is in detect.
 */
#include <linux/cpumask.h>
#include <linux/kthread.h>
#include <linux/smp.h>
#include <linux/string.h>

#include "block/cpu_cache.h"
#include "helpers.h"
#include "nodes.h"
#include "object/object.h"

#define SIZE		64
#define HERE		0	/* CPUs */
#define THERE		1
#define FILL		0x5b

/* --- Where a free block can be ------------------------------------------ */

enum where { LOADED, PREVIOUS, PUT_BY, DEPOT, POOL, PARKED, FREED_IN_NMI };

static const struct where_param {
	const char *desc;
	enum where where;
} wheres[] = {
	{ "loaded_magazine", LOADED },
	{ "previous_magazine", PREVIOUS },
	{ "magazine_put_by", PUT_BY },
	{ "depot", DEPOT },
	{ "list_of_the_pool", POOL },
	{ "waits_for_a_grace_period", PARKED },
	{ "freed_in_nmi", FREED_IN_NMI },
};

KUNIT_ARRAY_PARAM_DESC(where, wheres, desc);

static bool has(void **slots, unsigned long nr, const void *block)
{
	while (nr--)
		if (slots[nr] == block)
			return true;
	return false;
}

/* The oldest block of magazines of this CPU or its node; NULL if there is none. */
static void *block_in(struct kheap_class *class, enum where where)
{
	struct kheap_depot *depot = &class->node[numa_mem_id()].depot;
	struct kheap_cpu_cache *cache = raw_cpu_ptr(class->caches);

	switch (where) {
	case LOADED:
		return cache->top > cache->base ? *cache->base : NULL;
	case PREVIOUS:
		return cache->nr_previous ? *cache->previous->slots : NULL;
	case PUT_BY:
		return cache->full.nr ? *cache->full.top->slots : NULL;
	case DEPOT:
		return depot->full.nr ? *depot->full.top->slots : NULL;
	default:
		return NULL;
	}
}

/* Is a block there, as far as this CPU is concerned? */
static bool is_in(struct kheap_class *class, const void *block,
		  enum where where)
{
	struct kheap_pool *pool = kheap_block_pool(block);
	unsigned long idx;

	kheap_block_index(class, pool, block, &idx);
	if (where == POOL)
		return kheap_link_next(pool, idx) != class->nr_blocks;
	if (where == PARKED || where == FREED_IN_NMI)
		return test_bit(idx, kheap_parked_bits(pool));
	return block_in(class, where) == block;
}

/**
 * struct freed - a free block, and others of its pools that are not free
 * @heap: its heap
 * @class: its class
 * @block: the block
 * @blocks: blocks that are allocated
 * @nr: how many there are
 */
struct freed {
	struct kheap *heap;
	struct kheap_class *class;
	void *block;
	void **blocks;
	unsigned int nr;
};

static void free_as_in_nmi(struct kheap *heap, void *block)
{
	unsigned long flags = kheap_test_nmi_begin();

	kheap_free(heap, block);
	kheap_test_nmi_end(flags);
}

/* The busy mark makes sure that no magazine takes the block. */
static void free_past_the_cache_in_nmi(struct kunit *test, struct freed *f)
{
	struct kheap_cpu_cache *cache = raw_cpu_ptr(f->class->caches);
	bool marked;

	preempt_disable();
	marked = kheap_mark_busy(cache);
	free_as_in_nmi(f->heap, f->block);
	kheap_clear_busy(cache);
	preempt_enable();
	KUNIT_ASSERT_TRUE(test, marked);
}

/* Until the heap's bits are flushed by hand, nobody does it. */
static void hold_sweep(struct kheap *heap)
{
	WRITE_ONCE(heap->block.rcu_armed, true);
}

static struct freed freed_block(struct kunit *test, enum where where)
{
	struct freed f = { .heap = kheap_test_heap(test), .nr = 1500 };
	unsigned int i;

	kheap_test_stay_on(test, HERE);
	for (i = 0; i < 10; i++)
		kheap_test_free_many(f.heap,
				     kheap_test_alloc_many(test, f.heap, SIZE,
							   200), 200);
	kheap_trim(f.heap);
	hold_sweep(f.heap);
	f.blocks = kheap_test_alloc_many(test, f.heap, SIZE, f.nr);
	f.block = f.blocks[--f.nr];
	f.class = kheap_pool_of(f.block)->class;
	if (where == PARKED) {
		kheap_free_rcu(f.heap, f.block);
	} else if (where == FREED_IN_NMI) {
		free_past_the_cache_in_nmi(test, &f);
	} else {
		kheap_free(f.heap, f.block);
		if (where == POOL)
			kheap_class_drain(f.class, false);
		else
			while (!(f.block = block_in(f.class, where)) && f.nr)
				kheap_free(f.heap, f.blocks[--f.nr]);
	}
	KUNIT_ASSERT_NOT_NULL(test, f.block);
	KUNIT_ASSERT_TRUE(test, is_in(f.class, f.block, where));
	return f;
}

/* --- Second frees ------------------------------------------------------- */

static void free_here(void *info)
{
	struct freed *f = info;

	kheap_free(f->heap, f->block);
}

static void free_there(struct freed *f)
{
	if (smp_call_function_single(THERE, free_here, f, 1))
		kheap_free(f->heap, f->block);	/* there is no other CPU */
}

static void free_as_bulk(struct freed *f)
{
	kheap_free_bulk(f->heap, 1, &f->block);
}

static void free_by_rcu(struct freed *f)
{
	kheap_free_rcu(f->heap, f->block);
}

static void free_in_nmi(struct freed *f)
{
	free_as_in_nmi(f->heap, f->block);
}

static void free_once_more(struct freed *f)
{
	kheap_free(f->heap, f->block);
}

/* The first one is at once told that it is the second, and nothing changes. */
static void second_free_is_refused_at_once(struct kunit *test)
{
	static void (* const frees[])(struct freed *f) = {
		free_once_more, free_there, free_as_bulk, free_by_rcu,
		free_in_nmi, free_once_more,
	};
	const struct where_param *param = test->param_value;
	struct freed f = freed_block(test, param->where);
	unsigned long nr_cached = kheap_class_nr_cached(f.class);
	u64 word = kheap_test_word(f.block);
	unsigned int i;

	kheap_test_watch_log(test);
	for (i = 0; i < ARRAY_SIZE(frees); i++) {
		frees[i](&f);
		KUNIT_EXPECT_EQ(test, kheap_test_refused(f.heap,
							 KHEAP_BAD_FREED),
				i + 1);
		KUNIT_EXPECT_EQ(test, kheap_test_word(f.block), word);
	}
	KHEAP_EXPECT_LOGGED(test, "is free: freed before");
	KUNIT_EXPECT_EQ(test, kheap_class_nr_cached(f.class), nr_cached);
	KUNIT_EXPECT_TRUE(test, is_in(f.class, f.block, param->where));
	kheap_test_expect_sound(test, f.heap);
	/* And others are freed as ever. */
	kheap_test_free_many(f.heap, f.blocks, f.nr);
	kheap_trim(f.heap);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(f.heap).nr_allocated, 0);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(f.heap).nr_pools, 0);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(f.heap),
			ARRAY_SIZE(frees));
}

/* What nobody ever had has no mark: where carving has come to tells. */
static void block_never_carved_is_refused(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
	struct freed f = { .heap = heap };
	struct kheap_pool *pool;
	void *kept, *bulk[1];

	kept = kheap_test_alloc(test, heap, SIZE);
	pool = kheap_pool_of(kept);
	KUNIT_ASSERT_EQ(test, pool->nextoffset, SIZE);
	f.block = kept + SIZE;
	bulk[0] = f.block;
	kheap_free(heap, f.block);
	kheap_free_bulk(heap, 1, bulk);
	kheap_free_rcu(heap, f.block);
	free_in_nmi(&f);
	/* The long way looks as well. */
	kheap_free_rcu(heap, kept);
	kheap_free(heap, f.block);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_FREED), 5);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 5);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
}

/* --- What looks like a mark --------------------------------------------- */

static const unsigned int chances[] = {
	0, 3, 0x1234, KHEAP_LINK_WAITS - 1, KHEAP_LINK_END,
};

static void chance_desc(const unsigned int *link, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "link_%x", *link);
}

KUNIT_ARRAY_PARAM(chance, chances, chance_desc);

/* The client's data are by chance what a listed block would have. */
static void leave_chance(const struct kheap_class *class, void *block,
			 unsigned int link)
{
	kheap_test_set_word(block, kheap_mark(class, block) ^ link ^ U16_MAX);
}

static void data_like_a_mark_are_freed(struct kunit *test)
{
	static const unsigned int flags[] = {
		0, KHEAP_NO_CPU_CACHE, KHEAP_DEBUG_CONSISTENCY,
	};
	const unsigned int *link = test->param_value;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		struct kheap *heap = kheap_test_heap_with(test, flags[i], 0);
		void **blocks = kheap_test_alloc_many(test, heap, SIZE, 40);
		struct kheap_class *class = kheap_pool_of(blocks[0])->class;

		/* So that there is a list in which it is not. */
		for (j = 20; j < 40; j++)
			kheap_free(heap, blocks[j]);
		kheap_class_drain(class, false);
		for (j = 0; j < 20; j++)
			leave_chance(class, blocks[j], *link);
		for (j = 0; j < 10; j++)
			kheap_free(heap, blocks[j]);
		kheap_free_bulk(heap, 10, blocks + 10);
		KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
		KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
		for (j = 0; j < 20; j++)
			kheap_free(heap, blocks[j]);
		KUNIT_EXPECT_EQ(test, kheap_test_refused(heap,
							 KHEAP_BAD_FREED), 20);
		kheap_trim(heap);
		kheap_test_expect_sound(test, heap);
		KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_pools, 0);
	}
}

static void object_of_a_cache_like_a_mark_is_freed(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache;
	void *objects[10];
	unsigned int i;

	cache = kheap_cache_create(heap, "chance", 72, 0, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	for (i = 0; i < 10; i++) {
		objects[i] = kheap_cache_alloc(cache, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, objects[i]);
		leave_chance(&cache->class, objects[i], 5);
	}
	for (i = 0; i < 5; i++)
		kheap_cache_free(cache, objects[i]);
	kheap_cache_free_bulk(cache, 5, objects + 5);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
}

/* Blocks of the pool below this offset are freed without further questions. */
static u32 limit_of(const struct kheap_pool *pool)
{
	return kheap_page_note(virt_to_page(pool->base))->limit >>
	       KHEAP_NOTE_SHIFT;
}

/* --- Grace periods ------------------------------------------------------ */

static void parked_block_leaves_its_neighbours_alone(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 8);
	unsigned int i;

	hold_sweep(heap);
	memset(blocks[2], FILL, SIZE);
	kheap_free_rcu(heap, blocks[2]);
	kheap_free(heap, blocks[2]);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_FREED), 1);
	for (i = 0; i < 6; i++)
		if (i != 2)
			kheap_free(heap, blocks[i]);
	kheap_free_bulk(heap, 2, blocks + 6);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 1);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 1);
	/* Readers still look at it. */
	KUNIT_EXPECT_NULL(test, memchr_inv(blocks[2], FILL, SIZE));
	kheap_test_expect_sound(test, heap);
	kheap_rcu_flush(heap);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
	kheap_test_expect_sound(test, heap);
}

static const size_t sizes[] = { 8, 16, 64, 72, 512 };

static void size_desc(const size_t *size, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu_bytes", *size);
}

KUNIT_ARRAY_PARAM(size, sizes, size_desc);

/* Up to 64 bits are in the descriptor, more are elsewhere. */
static void frees_are_fast_again_after_the_sweep(struct kunit *test)
{
	size_t size = *(const size_t *)test->param_value;
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
	unsigned int nr = PAGE_SIZE / size, i;
	void **blocks = kheap_test_alloc_many(test, heap, size, nr);
	struct kheap_pool *pool = kheap_pool_of(blocks[0]);

	hold_sweep(heap);
	KUNIT_ASSERT_PTR_EQ(test, kheap_pool_of(blocks[nr - 1]), pool);
	KUNIT_EXPECT_EQ(test, limit_of(pool), nr * size);
	for (i = 1; i < nr - 1; i += 3)
		kheap_free_rcu(heap, blocks[i]);
	KUNIT_EXPECT_EQ(test, limit_of(pool), 0u);
	KUNIT_EXPECT_TRUE(test, pool->parking);
	kheap_test_expect_sound(test, heap);
	kheap_rcu_flush(heap);
	KUNIT_EXPECT_EQ(test, limit_of(pool), nr * size);
	KUNIT_EXPECT_FALSE(test, pool->parking);
	for (i = 1; i < nr - 1; i += 3)
		kheap_free(heap, blocks[i]);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_FREED),
			(nr - 2 + 2) / 3);
	for (i = 0; i < nr; i++)
		if (i % 3 != 1 || i == nr - 1)
			kheap_free(heap, blocks[i]);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
}

/* While one waits, carving goes on, and does not make frees fast. */
static void carving_leaves_a_parking_pool_as_it_is(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 2), *more;
	struct kheap_pool *pool = kheap_pool_of(blocks[0]);

	hold_sweep(heap);
	kheap_free_rcu(heap, blocks[0]);
	more = kheap_test_alloc(test, heap, SIZE);
	KUNIT_ASSERT_PTR_EQ(test, more, blocks[1] + SIZE);
	KUNIT_EXPECT_EQ(test, limit_of(pool), 0u);
	kheap_free(heap, blocks[0]);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_FREED), 1);
	kheap_rcu_flush(heap);
	KUNIT_EXPECT_EQ(test, limit_of(pool), 3u * SIZE);
	kheap_free(heap, blocks[1]);
	kheap_free(heap, more);
}

/* What waits for the next grace period keeps the pool slow after this one. */
static void block_parked_meanwhile_keeps_the_limit(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 4);
	struct kheap_pool *pool = kheap_pool_of(blocks[0]);
	unsigned long idx;

	hold_sweep(heap);
	kheap_free_rcu(heap, blocks[0]);
	kheap_free_rcu(heap, blocks[1]);
	/* As the sweep leaves it that has freed the first one only. */
	kheap_block_index(pool->class, pool, blocks[0], &idx);
	clear_bit(idx, kheap_parked_bits(pool));
	kheap_pool_set_parking(pool, false);
	KUNIT_EXPECT_TRUE(test, pool->parking);
	KUNIT_EXPECT_EQ(test, limit_of(pool), 0u);
	kheap_free(heap, blocks[1]);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_FREED), 1);
	kheap_free(heap, blocks[0]);
	kheap_rcu_flush(heap);
	KUNIT_EXPECT_FALSE(test, pool->parking);
	kheap_test_free_many(heap, blocks + 2, 2);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
}

/*
 * One CPU has put its mark on the block while another one was about to set its
 * bit: the sweep sees both, and frees it once.
 */
static void block_freed_and_parked_at_once_is_freed_once(struct kunit *test)
{
	struct freed f = freed_block(test, LOADED);
	struct kheap_pool *pool = kheap_pool_of(f.block);
	void **again;
	unsigned int i;

	set_bit((f.block - pool->base) / SIZE, kheap_parked_bits(pool));
	WRITE_ONCE(pool->arena->parked, true);
	kheap_rcu_flush(f.heap);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(f.heap, KHEAP_BAD_FREED), 1);
	kheap_test_expect_sound(test, f.heap);
	again = kheap_test_alloc_many(test, f.heap, SIZE, 500);
	for (i = 1; i < 500; i++)
		KUNIT_EXPECT_FALSE(test, has(again, i, again[i]));
	kheap_test_free_many(f.heap, again, 500);
	kheap_test_free_many(f.heap, f.blocks, f.nr);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(f.heap).nr_allocated, 0);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(f.heap), 1);
}

static void rcu_cache_has_no_fast_free(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache;
	struct kheap_pool *pool;
	void *objects[3];
	unsigned int i;

	cache = kheap_cache_create(heap, "readers", SIZE, 0, KHEAP_CACHE_RCU,
				   NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	hold_sweep(heap);
	for (i = 0; i < 3; i++) {
		objects[i] = kheap_cache_alloc(cache, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, objects[i]);
		memset(objects[i], FILL, SIZE);
	}
	pool = kheap_pool_of(objects[0]);
	KUNIT_EXPECT_EQ(test, limit_of(pool), 0u);
	kheap_cache_free(cache, objects[0]);
	kheap_cache_free_bulk(cache, 1, objects + 1);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_NULL(test, memchr_inv(objects[i], FILL, SIZE));
	kheap_cache_free(cache, objects[0]);
	kheap_cache_free(cache, objects[1]);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_FREED), 2);
	kheap_rcu_flush(heap);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 1);
	KUNIT_EXPECT_TRUE(test, kheap_is_marked(&cache->class, objects[0]));
	kheap_cache_free(cache, objects[0]);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_FREED), 3);
	KUNIT_EXPECT_EQ(test, limit_of(pool), 0u);
	kheap_cache_free(cache, objects[2]);
	kheap_rcu_flush(heap);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
}

/* --- Debug flag F ------------------------------------------------------- */

/**
 * struct race - two CPUs that free a block in the same instant, many times
 * @heap: its heap
 * @block: the block to be freed, NULL between rounds
 */
struct race {
	struct kheap *heap;
	void *block;
};

static int free_what_is_shown(void *data)
{
	struct race *race = data;
	void *block;

	while (!kthread_should_stop()) {
		block = READ_ONCE(race->block);
		if (!block) {
			cond_resched();
			continue;
		}
		kheap_free(race->heap, block);
		WRITE_ONCE(race->block, NULL);
	}
	return 0;
}

/* @nr times. Return how many of the second frees were refused at once. */
static unsigned long race_for(struct kunit *test, struct kheap *heap,
			      unsigned int nr)
{
	struct race race = { .heap = heap };
	struct task_struct *task;
	void *block;

	kheap_test_stay_on(test, HERE);
	task = kthread_create(free_what_is_shown, &race, "kheap-kunit-race");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	kthread_bind(task, THERE);
	wake_up_process(task);
	while (nr--) {
		block = kheap_alloc(heap, SIZE, GFP_KERNEL);
		WRITE_ONCE(race.block, block);
		kheap_free(heap, block);
		while (READ_ONCE(race.block))
			cond_resched();
	}
	kthread_stop(task);
	return kheap_test_refused(heap, KHEAP_BAD_FREED);
}

/* With F it is one of the two that is told, in every case. */
static void consistency_flag_frees_atomically(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test,
						  KHEAP_DEBUG_CONSISTENCY, 0);
	struct kheap_pool *pool;
	void *block;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");
	block = kheap_test_alloc(test, heap, SIZE);
	pool = kheap_pool_of(block);
	KUNIT_EXPECT_EQ(test, limit_of(pool), 0u);
	KUNIT_EXPECT_EQ(test, race_for(test, heap, 3000), 3000ul);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 3000);
	KUNIT_EXPECT_NE(test, pool->state, KHEAP_POOL_QUARANTINED);
	kheap_free(heap, block);
}

/*
 * Without it, this is not done here: an emulator stops a CPU between its look
 * and its store for milliseconds, and then there can be two owners. What becomes
 * of a block in two caches is shown where one is put there by hand.
 */

/* --- Kinds of blocks ---------------------------------------------------- */

/* The mark is all there is of them. */
static void blocks_of_eight_bytes_are_marked(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	unsigned int nr = 2 * PAGE_SIZE / 8, i;
	void **blocks = kheap_test_alloc_many(test, heap, 8, nr);

	for (i = 0; i < nr; i++)
		*(u64 *)blocks[i] = i;
	for (i = 0; i < nr; i += 2)
		kheap_free(heap, blocks[i]);
	for (i = 0; i < nr; i += 2)
		kheap_free(heap, blocks[i]);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_FREED),
			nr / 2);
	kheap_class_drain(kheap_pool_of(blocks[1])->class, false);
	for (i = 1; i < nr; i += 2)
		KUNIT_EXPECT_EQ(test, *(u64 *)blocks[i], (u64)i);
	kheap_test_expect_sound(test, heap);
	for (i = 0; i < nr; i += 2) {
		blocks[i] = kheap_zalloc(heap, 8, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, blocks[i]);
		KUNIT_EXPECT_EQ(test, *(u64 *)blocks[i], 0ull);
		*(u64 *)blocks[i] = i;
	}
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_EQ(test, *(u64 *)blocks[i], (u64)i);
		kheap_free_rcu(heap, blocks[i]);
	}
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_pools, 0);
}

static void construct(void *object)
{
	memset(object, FILL, 8);
}

/* Whatever it has been through while it was free. */
static void constructed_object_is_as_it_was_left(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	size_t size = *(const size_t *)test->param_value;
	void *objects[130];
	struct kheap_cache *cache;
	unsigned int i, round;

	cache = kheap_cache_create(heap, "made", size, 0, 0, construct);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	KUNIT_EXPECT_GE(test, cache->class.mark_offset, size);
	KUNIT_EXPECT_GE(test, cache->class.size,
			cache->class.mark_offset + 8u);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(objects); i++) {
			objects[i] = kheap_cache_alloc(cache, GFP_KERNEL);
			KUNIT_ASSERT_NOT_NULL(test, objects[i]);
			KUNIT_EXPECT_NULL(test, memchr_inv(objects[i], FILL,
							   8));
			memset(objects[i], FILL, size);
		}
		for (i = 1; i < ARRAY_SIZE(objects); i++)
			kheap_cache_free(cache, objects[i]);
		for (i = 1; i < ARRAY_SIZE(objects); i++)
			KUNIT_EXPECT_NULL(test, memchr_inv(objects[i], FILL,
							   size));
		/* The pool of the first one stays, and goes on having others. */
		kheap_class_drain(&cache->class, false);
		KUNIT_EXPECT_NULL(test, memchr_inv(objects[0], FILL, size));
		kheap_cache_free(cache, objects[0]);
	}
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
}

struct counting {
	struct kheap_walk walk;
	unsigned int nr;
};

static bool reserve(struct kheap_walk *walk, unsigned int nr)
{
	return true;
}

static void count(struct kheap_walk *walk, struct kheap_type *type,
		  struct kheap_object *obj, s64 word)
{
	container_of(walk, struct counting, walk)->nr++;
}

static unsigned int nr_met(struct kheap *heap)
{
	struct counting counting = {
		.walk = { .reserve = reserve, .look = count },
	};

	kheap_walk_objects(heap, &counting.walk);
	return counting.nr;
}

/* Its type is not there while it is free: even a count makes it no object. */
static void walk_passes_free_objects_by(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_leaf_ops);
	struct node *nodes[3];
	unsigned int i;

	for (i = 0; i < 3; i++)
		nodes[i] = node_new(test, type);
	KUNIT_EXPECT_EQ(test, type->class.mark_offset,
			offsetof(struct kheap_object, type));
	KUNIT_EXPECT_EQ(test, nr_met(heap), 3);
	node_put(nodes[1]);
	KUNIT_EXPECT_TRUE(test, kheap_is_marked(&type->class, nodes[1]));
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&nodes[1]->obj), 0);
	KUNIT_EXPECT_EQ(test, nr_met(heap), 2);
	refcount_set(&nodes[1]->obj.refs, 1);
	KUNIT_EXPECT_EQ(test, nr_met(heap), 2);
	refcount_set(&nodes[1]->obj.refs, 0);
	kheap_class_drain(&type->class, false);
	KUNIT_EXPECT_TRUE(test, kheap_is_marked(&type->class, nodes[1]));
	KUNIT_EXPECT_EQ(test, nr_met(heap), 2);
	node_put(nodes[0]);
	node_put(nodes[2]);
	KUNIT_EXPECT_EQ(test, nr_met(heap), 0);
}

static struct kunit_case mark_cases[] = {
	KUNIT_CASE_PARAM(second_free_is_refused_at_once, where_gen_params),
	KUNIT_CASE(block_never_carved_is_refused),
	KUNIT_CASE_PARAM(data_like_a_mark_are_freed, chance_gen_params),
	KUNIT_CASE(object_of_a_cache_like_a_mark_is_freed),
	KUNIT_CASE(parked_block_leaves_its_neighbours_alone),
	KUNIT_CASE_PARAM(frees_are_fast_again_after_the_sweep,
			 size_gen_params),
	KUNIT_CASE(carving_leaves_a_parking_pool_as_it_is),
	KUNIT_CASE(block_parked_meanwhile_keeps_the_limit),
	KUNIT_CASE(block_freed_and_parked_at_once_is_freed_once),
	KUNIT_CASE(rcu_cache_has_no_fast_free),
	KUNIT_CASE(consistency_flag_frees_atomically),
	KUNIT_CASE(blocks_of_eight_bytes_are_marked),
	KUNIT_CASE_PARAM(constructed_object_is_as_it_was_left,
			 size_gen_params),
	KUNIT_CASE(walk_passes_free_objects_by),
	{}
};

static struct kunit_suite mark_suite = {
	.name = "kheap_mark",
	.suite_init = kheap_test_untracked_init,
	.suite_exit = kheap_test_untracked_exit,
	.init = node_test_init,
	.exit = kheap_test_exit,
	.test_cases = mark_cases,
};

kunit_test_suite(mark_suite);
