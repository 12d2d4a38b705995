// SPDX-License-Identifier: GPL-2.0
/*
 * Damage that needs luck or malice to do harm: links forged with the right key,
 * and writes to blocks in per-CPU caches. No block is ever in two hands.
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

static u32 *link_of(void *block)
{
	return block + KHEAP_LINK_OFFSET;
}

/* As a client that does not know: KASAN does not see it. */
static void scribble(void *ptr, u8 byte, size_t nr)
{
	__memset(ptr, byte, nr);
}

/**
 * struct forged - a pool with a forged list
 * @heap: its heap
 * @blocks: the pool's blocks; all but @again and two listed ones are allocated
 * @pool: the pool
 * @again: a block in the cache of THERE, to which the list leads as well
 * @lost: the block that it took the place of
 */
struct forged {
	struct kheap *heap;
	void **blocks;
	struct kheap_pool *pool;
	void *again;
	void *lost;
};

/* Let the cache of a CPU have magazines. */
static void warm_up(struct kunit *test, struct kheap *heap, unsigned int cpu)
{
	unsigned int i;

	kheap_test_stay_on(test, cpu);
	for (i = 0; i < 4; i++)
		kheap_test_free_many(heap, kheap_test_alloc_many(test, heap,
								 SIZE, 4), 4);
}

/* Have the block at @from lead to the one at @to, with the right key. */
static void forge_link(struct kheap_pool *pool, void *from, void *to)
{
	unsigned int idx = (from - pool->base) / pool->class->size;
	u32 flip = kheap_link_next(pool, idx) ^
		   (unsigned int)(to - pool->base) / pool->class->size;

	*link_of(from) ^= flip << 16 | flip;
}

/*
 * Two blocks are listed; the first one's link leads to a block in another
 * CPU's cache instead of the second one. And that block has, in the place of a
 * link, the very link it should have if it were listed: the end.
 */
static struct forged forged_list(struct kunit *test)
{
	struct forged f = { .heap = kheap_test_heap(test) };
	void *first;
	u32 key;

	warm_up(test, f.heap, THERE);
	warm_up(test, f.heap, HERE);
	kheap_trim(f.heap);
	f.blocks = kheap_test_alloc_many(test, f.heap, SIZE, NR_BLOCKS);
	f.pool = kheap_pool_of(f.blocks[0]);
	kheap_free(f.heap, f.blocks[3]);
	kheap_class_drain(f.pool->class, false);
	/* Now it is the only one on the list: its link is the end. */
	key = *link_of(f.blocks[3]);
	key ^= (u32)((unsigned long)link_of(f.blocks[3]) >> 3);
	kheap_free(f.heap, f.blocks[6]);
	kheap_class_drain(f.pool->class, false);
	first = f.blocks[6];
	f.lost = f.blocks[3];
	f.again = f.blocks[1];
	*link_of(f.again) = key ^ (u32)((unsigned long)link_of(f.again) >> 3);
	kheap_test_stay_on(test, THERE);
	kheap_free(f.heap, f.again);
	KUNIT_ASSERT_EQ(test, kheap_class_nr_cached(f.pool->class), 1ul);
	forge_link(f.pool, first, f.again);
	KUNIT_ASSERT_EQ(test, kheap_test_refused_any(f.heap), 0);
	return f;
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

static void *take(struct kunit *test, struct kheap *heap, enum way way)
{
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

static void free_forged(struct kunit *test, struct forged *f)
{
	unsigned int i;

	for (i = 0; i < NR_BLOCKS; i++)
		if (f->blocks[i] != f->lost && f->blocks[i] != f->again)
			kheap_free(f->heap, f->blocks[i]);
	kheap_trim(f->heap);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(f->heap).nr_pools_quarantined,
			0);
	kheap_test_expect_sound(test, f->heap);
}

static void block_in_two_caches_is_handed_out_once(struct kunit *test)
{
	const struct way_param *param = test->param_value;
	struct forged f = forged_list(test);
	void *mine[2], *other;

	kheap_test_stay_on(test, HERE);
	mine[0] = kheap_test_alloc(test, f.heap, SIZE);
	mine[1] = kheap_test_alloc(test, f.heap, SIZE);
	/* The forged list was believed. */
	KUNIT_ASSERT_TRUE(test, mine[0] == f.again || mine[1] == f.again);
	KUNIT_ASSERT_EQ(test, kheap_test_refused_any(f.heap), 0);
	memset(mine[0], 0x31, SIZE);
	memset(mine[1], 0x31, SIZE);
	kheap_test_watch_log(test);
	kheap_test_stay_on(test, THERE);
	other = take(test, f.heap, param->way);
	KUNIT_EXPECT_PTR_NE(test, other, f.again);
	KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(other), f.pool);
	memset(other, 0x32, SIZE);
	KUNIT_EXPECT_NULL(test, memchr_inv(mine[0], 0x31, SIZE));
	KUNIT_EXPECT_NULL(test, memchr_inv(mine[1], 0x31, SIZE));
	KUNIT_EXPECT_EQ(test, f.pool->state, KHEAP_POOL_QUARANTINED);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(f.heap, KHEAP_BAD_LINK), 1);
	KHEAP_EXPECT_LOGGED(test, "was written to while it was free");
	kheap_test_expect_sound(test, f.heap);
	kheap_free(f.heap, mine[0]);
	kheap_free(f.heap, mine[1]);
	kheap_free(f.heap, other);
	/* blocks[6] is among mine. */
	f.blocks[6] = f.again;
	free_forged(test, &f);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(f.heap), 1);
}

/* Both are drained before either is used: the list has the block twice. */
static void block_drained_twice_is_found(struct kunit *test)
{
	struct forged f = forged_list(test);
	void *mine[NR_BLOCKS];
	unsigned int i, j;

	kheap_test_stay_on(test, HERE);
	kheap_free(f.heap, kheap_test_alloc(test, f.heap, SIZE));
	kheap_class_drain(f.pool->class, false);
	for (i = 0; i < NR_BLOCKS; i++) {
		mine[i] = kheap_test_alloc(test, f.heap, SIZE);
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_PTR_NE(test, mine[i], mine[j]);
	}
	KUNIT_EXPECT_EQ(test, f.pool->state, KHEAP_POOL_QUARANTINED);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(f.heap, KHEAP_BAD_LINK), 1);
	for (i = 0; i < NR_BLOCKS; i++)
		kheap_free(f.heap, mine[i]);
	f.blocks[6] = f.again;
	free_forged(test, &f);
}

/* The other cache gives it back to the pool while it is in use. */
static void block_in_use_that_is_drained_is_not_written_to(struct kunit *test)
{
	struct forged f = forged_list(test);
	void *mine[2];
	unsigned int i;

	kheap_test_stay_on(test, HERE);
	for (i = 0; i < 2; i++) {
		mine[i] = kheap_test_alloc(test, f.heap, SIZE);
		memset(mine[i], 0x31, SIZE);
	}
	KUNIT_ASSERT_TRUE(test, mine[0] == f.again || mine[1] == f.again);
	kheap_class_drain(f.pool->class, false);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_NULL(test, memchr_inv(mine[i], 0x31, SIZE));
	KUNIT_EXPECT_EQ(test, f.pool->state, KHEAP_POOL_QUARANTINED);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(f.heap, KHEAP_BAD_LINK), 1);
	kheap_test_expect_sound(test, f.heap);
	for (i = 0; i < 2; i++)
		kheap_free(f.heap, mine[i]);
	f.blocks[6] = f.again;
	free_forged(test, &f);
}

/* In NMI nothing can be done about it; then its CPU goes. */
static void block_met_in_nmi_is_dealt_with_later(struct kunit *test)
{
	struct forged f = forged_list(test);
	unsigned long flags;
	void *mine[2], *other;

	kheap_test_stay_on(test, HERE);
	mine[0] = kheap_test_alloc(test, f.heap, SIZE);
	mine[1] = kheap_test_alloc(test, f.heap, SIZE);
	kheap_test_watch_log(test);
	kheap_test_stay_on(test, THERE);
	flags = kheap_test_nmi_begin();
	other = kheap_alloc(f.heap, SIZE, GFP_ATOMIC);
	kheap_test_nmi_end(flags);
	KUNIT_EXPECT_NULL(test, other);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(f.heap, KHEAP_BAD_LINK), 0);
	kheap_class_drain_cpu(f.pool->class, THERE);
	KUNIT_EXPECT_EQ(test, f.pool->state, KHEAP_POOL_QUARANTINED);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(f.heap, KHEAP_BAD_LINK), 1);
	kheap_free(f.heap, mine[0]);
	kheap_free(f.heap, mine[1]);
	f.blocks[6] = f.again;
	free_forged(test, &f);
}

static void write_to_a_cached_block_harms_nobody(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks, *again[NR_BLOCKS - 1];
	unsigned int i, j;

	warm_up(test, heap, HERE);
	blocks = kheap_test_alloc_many(test, heap, SIZE, NR_BLOCKS);
	for (i = 1; i < NR_BLOCKS; i++)
		kheap_free(heap, blocks[i]);
	KUNIT_ASSERT_GT(test, kheap_class_nr_cached(kheap_pool_of(blocks[0])->class),
			4ul);
	for (i = 1; i < NR_BLOCKS; i++)
		scribble(blocks[i], 0xff, SIZE);
	for (i = 0; i < NR_BLOCKS - 1; i++) {
		again[i] = kheap_test_alloc(test, heap, SIZE);
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_PTR_NE(test, again[i], again[j]);
	}
	kheap_test_free_many(heap, again, NR_BLOCKS - 1);
	for (i = 1; i < NR_BLOCKS; i++)
		scribble(blocks[i], 0xee, SIZE);
	kheap_class_drain(kheap_pool_of(blocks[0])->class, false);
	kheap_test_expect_sound(test, heap);
	kheap_free(heap, blocks[0]);
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

static struct kunit_case detect_cases[] = {
	KUNIT_CASE_PARAM(block_in_two_caches_is_handed_out_once,
			 way_gen_params),
	KUNIT_CASE(block_drained_twice_is_found),
	KUNIT_CASE(block_in_use_that_is_drained_is_not_written_to),
	KUNIT_CASE(block_met_in_nmi_is_dealt_with_later),
	KUNIT_CASE(write_to_a_cached_block_harms_nobody),
	KUNIT_CASE(object_is_no_block_of_the_heap),
	{}
};

static struct kunit_suite detect_suite = {
	.name = "kheap_detect",
	.init = node_test_init,
	.exit = kheap_test_exit,
	.test_cases = detect_cases,
};

kunit_test_suite(detect_suite);
