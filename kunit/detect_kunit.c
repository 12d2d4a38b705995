// SPDX-License-Identifier: GPL-2.0
/*
 * Free blocks that are not as they were left: somebody wrote to them, or freed
 * them on two CPUs in the same instant. Both are found when the block would be
 * handed out; no block is ever in two hands, and the numbers stay right.
 */
#include <linux/cpumask.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/string.h>

#include "helpers.h"
#include "nodes.h"

#define SIZE		512
#define NR_BLOCKS	8	/* of SIZE in a page */
#define HERE		0	/* CPUs */
#define THERE		1
#define FILL		0x31

/* As a client that does not know: KASAN does not see it. */
static void scribble(void *ptr, u8 byte, size_t nr)
{
	__memset(ptr, byte, nr);
}

/* --- Setting the scene -------------------------------------------------- */

/**
 * struct scene - a full pool, and caches that have magazines
 * @heap: its heap
 * @class: its class
 * @pool: the pool
 * @blocks: the pool's blocks, allocated, all their bytes %FILL
 */
struct scene {
	struct kheap *heap;
	struct kheap_class *class;
	struct kheap_pool *pool;
	void **blocks;
};

/* Let the cache of a CPU have magazines for all blocks of a pool. */
static void warm_up(struct kunit *test, struct kheap *heap, unsigned int cpu)
{
	unsigned int i;

	kheap_test_stay_on(test, cpu);
	for (i = 0; i < 20; i++)
		kheap_test_free_many(heap, kheap_test_alloc_many(test, heap,
								 SIZE, 16),
				     16);
}

static struct scene full_pool(struct kunit *test)
{
	struct scene s = { .heap = kheap_test_heap(test) };
	unsigned int i;

	warm_up(test, s.heap, THERE);
	warm_up(test, s.heap, HERE);
	kheap_trim(s.heap);
	/* What slept takes in blocks again. */
	s.blocks = kheap_test_alloc_many(test, s.heap, SIZE, NR_BLOCKS);
	s.pool = kheap_pool_of(s.blocks[0]);
	s.class = s.pool->class;
	for (i = 0; i < NR_BLOCKS; i++) {
		KUNIT_ASSERT_PTR_EQ(test, kheap_pool_of(s.blocks[i]), s.pool);
		memset(s.blocks[i], FILL, SIZE);
	}
	KUNIT_ASSERT_EQ(test, s.pool->state, KHEAP_POOL_FULL);
	return s;
}

/* Blocks are found damaged @nr times, the pool is out of use, all adds up. */
static void expect_found(struct kunit *test, struct scene *s, unsigned int nr)
{
	KUNIT_EXPECT_EQ(test, s->pool->state, KHEAP_POOL_QUARANTINED);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(s->heap, KHEAP_BAD_LINK), nr);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(s->heap), nr);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(s->heap).nr_pools_quarantined,
			1);
	kheap_test_expect_sound(test, s->heap);
}

/* @allocated blocks and @quarantined ones are told, of SIZE bytes. */
static void expect_told(struct kunit *test, struct kheap *heap,
			unsigned int allocated, unsigned int quarantined)
{
	struct kheap_stats stats = kheap_test_stats(heap);

	KUNIT_EXPECT_EQ(test, stats.nr_allocated, allocated);
	KUNIT_EXPECT_EQ(test, stats.allocated_bytes, allocated * SIZE);
	KUNIT_EXPECT_EQ(test, stats.quarantined_bytes, quarantined * SIZE);
	kheap_test_expect_sound(test, heap);
}

/* Free the blocks of the scene but @but and @and, which nobody wrote to. */
static void free_others(struct kunit *test, struct scene *s, const void *but,
			const void *and)
{
	unsigned int i;

	for (i = 0; i < NR_BLOCKS; i++) {
		if (s->blocks[i] == but || s->blocks[i] == and)
			continue;
		KUNIT_EXPECT_NULL(test, memchr_inv(s->blocks[i], FILL, SIZE));
		kheap_free(s->heap, s->blocks[i]);
	}
}

static bool is_among(void **blocks, unsigned int nr, const void *block)
{
	while (nr--)
		if (blocks[nr] == block)
			return true;
	return false;
}

enum way { ALLOC, ZALLOC, BULK, WATCHED };

static const struct way_param {
	const char *desc;
	enum way way;
} ways[] = {
	{ "kheap_alloc", ALLOC },
	{ "kheap_zalloc", ZALLOC },
	{ "bulk", BULK },
	{ "watched", WATCHED },
};

KUNIT_ARRAY_PARAM_DESC(way, ways, desc);

static void *take(struct kunit *test, struct kheap *heap)
{
	const struct way_param *param = test->param_value;
	enum way way = param ? param->way : ALLOC;
	void *block = NULL;

	if (way == WATCHED)
		kheap_watch_start(heap, KHEAP_WATCH_TRACE);
	if (way == BULK)
		KUNIT_EXPECT_EQ(test, kheap_alloc_bulk(heap, SIZE, GFP_KERNEL,
						       1, &block), 1);
	else
		block = kheap_alloc(heap, SIZE, GFP_KERNEL |
				    (way == ZALLOC ? __GFP_ZERO : 0));
	if (way == WATCHED)
		kheap_watch_stop(heap, KHEAP_WATCH_TRACE);
	KUNIT_ASSERT_NOT_NULL(test, block);
	return block;
}

/* --- Writes to free blocks ---------------------------------------------- */

static void write_to_a_cached_block_is_found(struct kunit *test)
{
	struct scene s = full_pool(test);
	void *other;

	kheap_free(s.heap, s.blocks[3]);
	kheap_test_watch_log(test);
	scribble(s.blocks[3], 0xff, SIZE);
	KUNIT_EXPECT_EQ(test, s.pool->state, KHEAP_POOL_FULL);
	other = take(test, s.heap);
	KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(other), s.pool);
	expect_found(test, &s, 1);
	KHEAP_EXPECT_LOGGED(test, "was written to while it was free");
	/* It may be somebody's, for all we know: it is told as nobody's. */
	expect_told(test, s.heap, NR_BLOCKS - 1 + 1, 1);
	free_others(test, &s, s.blocks[3], NULL);
	kheap_free(s.heap, other);
	/* And so the pool stays. */
	KUNIT_EXPECT_EQ(test, s.pool->nr_used, 1);
	expect_found(test, &s, 1);
	expect_told(test, s.heap, 0, NR_BLOCKS);
	kheap_trim(s.heap);
	expect_told(test, s.heap, 0, NR_BLOCKS);
}

static void write_to_a_listed_block_is_found(struct kunit *test)
{
	struct scene s = full_pool(test);
	void *other;

	kheap_free(s.heap, s.blocks[3]);
	kheap_free(s.heap, s.blocks[5]);
	kheap_class_drain(s.class, false);
	scribble(kheap_block_address(s.class, s.pool, s.pool->freeblock), 0xff,
		 SIZE);
	other = take(test, s.heap);
	KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(other), s.pool);
	expect_found(test, &s, 1);
	expect_told(test, s.heap, NR_BLOCKS - 2 + 1, 2);
	free_others(test, &s, s.blocks[3], s.blocks[5]);
	kheap_free(s.heap, other);
	/* Nobody has a block of it: it is as good as new. */
	expect_told(test, s.heap, 0, 0);
	KUNIT_EXPECT_NE(test, s.pool->state, KHEAP_POOL_QUARANTINED);
}

/* The refill has taken one block already when it finds the second one. */
static void write_found_by_a_refill_leaves_what_it_took(struct kunit *test)
{
	struct scene s = full_pool(test);
	void *first, *other;

	kheap_free(s.heap, s.blocks[3]);
	kheap_free(s.heap, s.blocks[5]);
	kheap_class_drain(s.class, false);
	first = kheap_block_address(s.class, s.pool, s.pool->freeblock);
	scribble(first == s.blocks[3] ? s.blocks[5] : s.blocks[3], 0xff, SIZE);
	other = take(test, s.heap);
	KUNIT_EXPECT_PTR_EQ(test, other, first);
	expect_found(test, &s, 1);
	expect_told(test, s.heap, NR_BLOCKS - 1, 1);
	free_others(test, &s, s.blocks[3], s.blocks[5]);
	kheap_free(s.heap, other);
	expect_told(test, s.heap, 0, 0);
}

/* The run ends there; what was before it and is behind it is handed out. */
static void write_is_found_amid_a_bulk(struct kunit *test)
{
	struct scene s = full_pool(test);
	void *got[6];
	unsigned int i;

	for (i = 0; i < 5; i++)
		kheap_free(s.heap, s.blocks[i]);
	KUNIT_ASSERT_EQ(test, kheap_class_nr_cached(s.class), 5ul);
	scribble(s.blocks[2], 0xee, 8);
	KUNIT_ASSERT_EQ(test, kheap_alloc_bulk(s.heap, SIZE, GFP_KERNEL, 6,
					       got), 6);
	KUNIT_EXPECT_FALSE(test, is_among(got, 6, s.blocks[2]));
	for (i = 0; i < 6; i++)
		KUNIT_EXPECT_FALSE(test, is_among(got, i, got[i]));
	expect_found(test, &s, 1);
	expect_told(test, s.heap, 3 + 6, 1);
	kheap_free_bulk(s.heap, 6, got);
	kheap_test_free_many(s.heap, s.blocks + 5, 3);
	kheap_trim(s.heap);
	expect_told(test, s.heap, 0, NR_BLOCKS);
}

static void writes_to_all_cached_blocks_harm_nobody(struct kunit *test)
{
	struct scene s = full_pool(test);
	void *got[NR_BLOCKS];
	unsigned int i;

	for (i = 1; i < NR_BLOCKS; i++)
		kheap_free(s.heap, s.blocks[i]);
	KUNIT_ASSERT_EQ(test, kheap_class_nr_cached(s.class), NR_BLOCKS - 1ul);
	for (i = 1; i < NR_BLOCKS; i++)
		scribble(s.blocks[i], 0xff, SIZE);
	for (i = 0; i < NR_BLOCKS; i++) {
		got[i] = kheap_test_alloc(test, s.heap, SIZE);
		KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(got[i]), s.pool);
		KUNIT_EXPECT_FALSE(test, is_among(got, i, got[i]));
	}
	expect_found(test, &s, NR_BLOCKS - 1);
	expect_told(test, s.heap, 1 + NR_BLOCKS, NR_BLOCKS - 1);
	kheap_test_free_many(s.heap, got, NR_BLOCKS);
	kheap_free(s.heap, s.blocks[0]);
	kheap_trim(s.heap);
	expect_told(test, s.heap, 0, NR_BLOCKS);
}

/* On the way back to the pool each of them is met without its mark. */
static void writes_to_cached_blocks_are_found_by_a_drain(struct kunit *test)
{
	struct scene s = full_pool(test);
	unsigned int i;

	for (i = 1; i < NR_BLOCKS; i++)
		kheap_free(s.heap, s.blocks[i]);
	for (i = 2; i < NR_BLOCKS; i += 2)
		scribble(s.blocks[i], 0xff, SIZE);
	kheap_class_drain(s.class, false);
	expect_found(test, &s, 3);
	expect_told(test, s.heap, 1, NR_BLOCKS - 1);
	kheap_free(s.heap, s.blocks[0]);
	expect_told(test, s.heap, 0, NR_BLOCKS);
}

/* It looks like a block that was allocated, and is taken for one. */
static void block_written_to_and_freed_again_is_had_once(struct kunit *test)
{
	struct scene s = full_pool(test);
	void *got[2];

	kheap_free(s.heap, s.blocks[3]);
	scribble(s.blocks[3], 0, SIZE);
	kheap_free(s.heap, s.blocks[3]);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(s.heap), 0);
	got[0] = kheap_test_alloc(test, s.heap, SIZE);
	KUNIT_EXPECT_PTR_EQ(test, got[0], s.blocks[3]);
	memset(got[0], FILL, SIZE);
	got[1] = kheap_test_alloc(test, s.heap, SIZE);
	KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(got[1]), s.pool);
	expect_found(test, &s, 1);
	kheap_free(s.heap, got[1]);
	free_others(test, &s, NULL, NULL);
	expect_told(test, s.heap, 0, 0);
}

/* --- Two frees in the same instant -------------------------------------- */

/*
 * Two CPUs look at a block before either has put its mark there: each puts it
 * into its own cache.
 */
static void free_at_once(struct kunit *test, struct scene *s, void *block)
{
	unsigned long nr_cached = kheap_class_nr_cached(s->class);
	u64 word = kheap_test_word(block);

	kheap_test_stay_on(test, THERE);
	kheap_free(s->heap, block);
	kheap_test_set_word(block, word);
	kheap_test_stay_on(test, HERE);
	kheap_free(s->heap, block);
	KUNIT_ASSERT_EQ(test, kheap_class_nr_cached(s->class), nr_cached + 2);
	KUNIT_ASSERT_EQ(test, kheap_test_refused_any(s->heap), 0);
}

static void block_in_two_caches_is_handed_out_once(struct kunit *test)
{
	struct scene s = full_pool(test);
	void *mine, *other;

	free_at_once(test, &s, s.blocks[3]);
	mine = take(test, s.heap);
	KUNIT_ASSERT_PTR_EQ(test, mine, s.blocks[3]);
	KUNIT_ASSERT_EQ(test, kheap_test_refused_any(s.heap), 0);
	memset(mine, FILL, SIZE);
	kheap_test_watch_log(test);
	kheap_test_stay_on(test, THERE);
	other = take(test, s.heap);
	KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(other), s.pool);
	memset(other, 0x32, SIZE);
	expect_found(test, &s, 1);
	KHEAP_EXPECT_LOGGED(test, "was written to while it was free");
	expect_told(test, s.heap, NR_BLOCKS - 1 + 1, 1);
	kheap_free(s.heap, other);
	/* It was somebody's: then nothing keeps the pool. */
	free_others(test, &s, NULL, NULL);
	expect_told(test, s.heap, 0, 0);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(s.heap), 1);
}

/* One CPU has it in its hands while the other one's cache is drained. */
static void block_in_use_that_is_drained_is_not_written_to(struct kunit *test)
{
	struct scene s = full_pool(test);
	void *mine;

	free_at_once(test, &s, s.blocks[3]);
	mine = kheap_test_alloc(test, s.heap, SIZE);
	KUNIT_ASSERT_PTR_EQ(test, mine, s.blocks[3]);
	memset(mine, FILL, SIZE);
	kheap_class_drain(s.class, false);
	KUNIT_EXPECT_NULL(test, memchr_inv(mine, FILL, SIZE));
	expect_found(test, &s, 1);
	expect_told(test, s.heap, NR_BLOCKS - 1, 1);
	free_others(test, &s, NULL, NULL);
	expect_told(test, s.heap, 0, 0);
}

/* Both are drained before either is used: it is in the pool once. */
static void block_drained_twice_is_listed_once(struct kunit *test)
{
	struct scene s = full_pool(test);
	void *got[NR_BLOCKS];
	unsigned int i;

	free_at_once(test, &s, s.blocks[3]);
	kheap_class_drain(s.class, false);
	expect_found(test, &s, 1);
	for (i = 0; i < NR_BLOCKS; i++) {
		got[i] = kheap_test_alloc(test, s.heap, SIZE);
		KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(got[i]), s.pool);
		KUNIT_EXPECT_FALSE(test, is_among(got, i, got[i]));
	}
	kheap_test_free_many(s.heap, got, NR_BLOCKS);
	free_others(test, &s, s.blocks[3], NULL);
	expect_told(test, s.heap, 0, 0);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(s.heap), 1);
}

/* One is in the pool's list, and taken from there, while the other waits. */
static void block_listed_and_cached_is_handed_out_once(struct kunit *test)
{
	struct scene s = full_pool(test);
	void *mine, *other;

	free_at_once(test, &s, s.blocks[3]);
	/* The cache of this CPU, with HERE's free. */
	kheap_class_drain_cpu(s.class, HERE);
	KUNIT_ASSERT_EQ(test, s.pool->state, KHEAP_POOL_USED);
	kheap_test_stay_on(test, THERE);
	/* A listed mark is not that of a block in a cache. */
	other = take(test, s.heap);
	KUNIT_EXPECT_PTR_NE(test, other, s.blocks[3]);
	expect_found(test, &s, 1);
	kheap_test_stay_on(test, HERE);
	mine = take(test, s.heap);
	KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(mine), s.pool);
	kheap_free(s.heap, mine);
	kheap_free(s.heap, other);
	free_others(test, &s, s.blocks[3], NULL);
	expect_told(test, s.heap, 0, 0);
}

/* In NMI nothing can be done about it; then its CPU goes. */
static void block_met_in_nmi_is_dealt_with_later(struct kunit *test)
{
	struct scene s = full_pool(test);
	unsigned long flags;
	void *mine, *other;

	free_at_once(test, &s, s.blocks[3]);
	mine = kheap_test_alloc(test, s.heap, SIZE);
	KUNIT_ASSERT_PTR_EQ(test, mine, s.blocks[3]);
	memset(mine, FILL, SIZE);
	kheap_test_stay_on(test, THERE);
	flags = kheap_test_nmi_begin();
	other = kheap_alloc(s.heap, SIZE, GFP_ATOMIC);
	kheap_test_nmi_end(flags);
	KUNIT_EXPECT_NULL(test, other);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(s.heap), 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(mine, FILL, SIZE));
	kheap_class_drain_cpu(s.class, THERE);
	expect_found(test, &s, 1);
	free_others(test, &s, NULL, NULL);
	expect_told(test, s.heap, 0, 0);
}

/* --- The pool has gone meanwhile ---------------------------------------- */

enum fate { EMPTY, OF_THE_SYSTEM, OF_ANOTHER, CACHED_OF_ANOTHER, AS_BEFORE };

static const struct fate_param {
	const char *desc;
	enum fate fate;
} fates[] = {
	{ "empty", EMPTY },
	{ "of_the_system", OF_THE_SYSTEM },
	{ "of_another_class", OF_ANOTHER },
	{ "in_a_cache_of_another_class", CACHED_OF_ANOTHER },
	{ "of_the_class_again", AS_BEFORE },
};

KUNIT_ARRAY_PARAM_DESC(fate, fates, desc);

#define OTHER		64

/**
 * struct gone - a block in the cache of THERE whose pool became empty
 * @s: where it came from; nothing of it is allocated
 * @block: the block
 * @anchor: what keeps the arena
 * @others: what is allocated in the page now, all bytes %FILL
 * @nr: how many there are
 * @size: their size
 */
struct gone {
	struct scene s;
	void *block;
	void *anchor;
	void **others;
	unsigned int nr;
	size_t size;
};

static void trim_arenas(struct kheap *heap)
{
	mutex_lock(&heap->base.mutex);
	kheap_arenas_trim(heap);
	mutex_unlock(&heap->base.mutex);
}

/* The page serves again, for blocks of @size. */
static void use_page(struct kunit *test, struct gone *g, size_t size)
{
	unsigned int i;

	g->size = size;
	g->nr = PAGE_SIZE / size;
	g->others = kheap_test_alloc_many(test, g->s.heap, size, g->nr);
	KUNIT_ASSERT_PTR_EQ(test, kheap_pool_of(g->others[0]), g->s.pool);
	for (i = 0; i < g->nr; i++)
		memset(g->others[i], FILL, size);
}

static struct gone gone_block(struct kunit *test)
{
	const struct fate_param *param = test->param_value;
	struct gone g = { .s = full_pool(test) };
	unsigned int i;

	g.block = g.s.blocks[3];
	g.anchor = kheap_test_alloc(test, g.s.heap, 128);
	for (i = 0; i < NR_BLOCKS; i++)
		if (i != 3)
			kheap_free(g.s.heap, g.s.blocks[i]);
	kheap_class_drain(g.s.class, false);
	free_at_once(test, &g.s, g.block);
	kheap_class_drain_cpu(g.s.class, HERE);
	KUNIT_ASSERT_EQ(test, g.s.pool->state, KHEAP_POOL_EMPTY);
	if (param->fate == OF_THE_SYSTEM)
		trim_arenas(g.s.heap);
	else if (param->fate == AS_BEFORE)
		use_page(test, &g, SIZE);
	else if (param->fate != EMPTY)
		use_page(test, &g, OTHER);
	if (param->fate == CACHED_OF_ANOTHER) {
		kheap_free(g.s.heap, g.block);
		KUNIT_ASSERT_TRUE(test, kheap_is_cached(g.s.pool->class,
							g.block));
	}
	return g;
}

/* It was reported, and who has the page now has no harm. */
static void expect_gone(struct kunit *test, struct gone *g)
{
	const struct fate_param *param = test->param_value;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, kheap_test_refused(g->s.heap, KHEAP_BAD_LINK), 1);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(g->s.heap), 1);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(g->s.heap).nr_pools_quarantined,
			param->fate == AS_BEFORE);
	kheap_test_expect_sound(test, g->s.heap);
	for (i = 0; i < g->nr; i++) {
		if (param->fate == CACHED_OF_ANOTHER &&
		    g->others[i] == g->block)
			continue;
		KUNIT_EXPECT_NULL(test, memchr_inv(g->others[i], FILL,
						   g->size));
		kheap_free(g->s.heap, g->others[i]);
	}
	kheap_free(g->s.heap, g->anchor);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(g->s.heap), 1);
	kheap_trim(g->s.heap);
	expect_told(test, g->s.heap, 0, 0);
}

static void stale_block_is_not_handed_out(struct kunit *test)
{
	struct gone g = gone_block(test);
	void *block;

	kheap_test_stay_on(test, THERE);
	block = kheap_test_alloc(test, g.s.heap, SIZE);
	KUNIT_EXPECT_FALSE(test, is_among(g.others, g.nr, block));
	memset(block, 0x32, SIZE);
	kheap_free(g.s.heap, block);
	expect_gone(test, &g);
}

static void stale_block_is_not_given_back(struct kunit *test)
{
	struct gone g = gone_block(test);

	kheap_class_drain(g.s.class, false);
	expect_gone(test, &g);
}

/* Its owner gives it up, and that is not refused, and it is not used again. */
static void block_of_a_quarantined_pool_is_freed_by_rcu(struct kunit *test)
{
	struct scene s = full_pool(test);
	unsigned int i;

	kheap_pool_quarantine(s.pool);
	for (i = 0; i < NR_BLOCKS; i += 2)
		kheap_free_rcu(s.heap, s.blocks[i]);
	kheap_rcu_flush(s.heap);
	KUNIT_EXPECT_EQ(test, kheap_class_nr_cached(s.class), 0ul);
	KUNIT_EXPECT_EQ(test, s.pool->nr_used, NR_BLOCKS / 2);
	expect_told(test, s.heap, NR_BLOCKS / 2, NR_BLOCKS / 2);
	for (i = 1; i < NR_BLOCKS; i += 2)
		kheap_free(s.heap, s.blocks[i]);
	expect_told(test, s.heap, 0, 0);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(s.heap), 0);
}

/* --- Objects ------------------------------------------------------------ */

static void object_is_no_block_of_the_heap(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct node *node = node_new(test, node_type(test, heap,
						     &node_leaf_ops));
	struct kheap_cache *cache = kheap_cache_create(heap, "cache",
						       sizeof(*node), 0, 0,
						       NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	kheap_free(heap, node);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_CACHE), 1);
	kheap_cache_free(cache, node);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_CACHE), 2);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&node->obj), 1);
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	node_put(node);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 2);
}

/* One that is free and was written to is not made anew. */
static void write_to_a_dead_object_is_found(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_leaf_ops);
	struct node *nodes[3], *new;
	struct kheap_pool *pool;
	unsigned int i;

	kheap_test_stay_on(test, HERE);
	for (i = 0; i < 3; i++)
		node_put(node_new(test, type));
	for (i = 0; i < 3; i++)
		nodes[i] = node_new(test, type);
	pool = kheap_pool_of(nodes[0]);
	node_put(nodes[1]);
	kheap_test_set_word(nodes[1], (unsigned long)type);
	new = node_new(test, type);
	KUNIT_EXPECT_PTR_NE(test, new, nodes[1]);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_LINK), 1);
	KUNIT_EXPECT_EQ(test, pool->state, KHEAP_POOL_QUARANTINED);
	KUNIT_EXPECT_EQ(test, kheap_type_nr_live(type), 3ul);
	kheap_test_expect_sound(test, heap);
	node_put(new);
	node_put(nodes[0]);
	node_put(nodes[2]);
	KUNIT_EXPECT_EQ(test, kheap_type_nr_live(type), 0ul);
}

static void construct(void *object)
{
	memset(object, FILL, 48);
}

/* Its mark is behind it: whoever writes beyond a free one is found. */
static void write_behind_a_constructed_object_is_found(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache;
	void *objects[2], *new;
	unsigned int i;

	kheap_test_stay_on(test, HERE);
	cache = kheap_cache_create(heap, "made", 48, 0, 0, construct);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	for (i = 0; i < 2; i++)
		kheap_cache_free(cache, kheap_cache_alloc(cache, GFP_KERNEL));
	for (i = 0; i < 2; i++) {
		objects[i] = kheap_cache_alloc(cache, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, objects[i]);
	}
	kheap_cache_free(cache, objects[0]);
	scribble(objects[0] + 48, 0x44, 1);
	new = kheap_cache_alloc(cache, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, new);
	KUNIT_EXPECT_PTR_NE(test, new, objects[0]);
	KUNIT_EXPECT_NULL(test, memchr_inv(new, FILL, 48));
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_LINK), 1);
	kheap_test_expect_sound(test, heap);
	kheap_cache_free(cache, new);
	kheap_cache_free(cache, objects[1]);
}

static struct kunit_case detect_cases[] = {
	KUNIT_CASE_PARAM(write_to_a_cached_block_is_found, way_gen_params),
	KUNIT_CASE_PARAM(write_to_a_listed_block_is_found, way_gen_params),
	KUNIT_CASE_PARAM(write_found_by_a_refill_leaves_what_it_took,
			 way_gen_params),
	KUNIT_CASE(write_is_found_amid_a_bulk),
	KUNIT_CASE(writes_to_all_cached_blocks_harm_nobody),
	KUNIT_CASE(writes_to_cached_blocks_are_found_by_a_drain),
	KUNIT_CASE(block_written_to_and_freed_again_is_had_once),
	KUNIT_CASE_PARAM(block_in_two_caches_is_handed_out_once,
			 way_gen_params),
	KUNIT_CASE(block_in_use_that_is_drained_is_not_written_to),
	KUNIT_CASE(block_drained_twice_is_listed_once),
	KUNIT_CASE_PARAM(block_listed_and_cached_is_handed_out_once,
			 way_gen_params),
	KUNIT_CASE(block_met_in_nmi_is_dealt_with_later),
	KUNIT_CASE_PARAM(stale_block_is_not_handed_out, fate_gen_params),
	KUNIT_CASE_PARAM(stale_block_is_not_given_back, fate_gen_params),
	KUNIT_CASE(block_of_a_quarantined_pool_is_freed_by_rcu),
	KUNIT_CASE(object_is_no_block_of_the_heap),
	KUNIT_CASE(write_to_a_dead_object_is_found),
	KUNIT_CASE(write_behind_a_constructed_object_is_found),
	{}
};

static struct kunit_suite detect_suite = {
	.name = "kheap_detect",
	.suite_init = kheap_test_untracked_init,
	.suite_exit = kheap_test_untracked_exit,
	.init = node_test_init,
	.exit = kheap_test_exit,
	.test_cases = detect_cases,
};

kunit_test_suite(detect_suite);
