// SPDX-License-Identifier: GPL-2.0
/*
 * Which pools few blocks pin, and by which blocks: against pools whose every
 * block is known.
 */
#include <linux/kthread.h>

#include "watch/callsite.h"
#include "helpers.h"
#include "show/pinned.h"

#define SIZE		64	/* one page has 64 of these */
#define NR_A_POOL	64
#define NR_POOLS	5
#define NR_LIVE		(NR_POOLS * NR_A_POOL)

static struct kheap_pinned *read_pinned(struct kunit *test, struct kheap *heap)
{
	struct kheap_pinned *pinned;

	pinned = kunit_kzalloc(test, sizeof(*pinned), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pinned);
	kheap_pinned_get(heap, pinned);
	return pinned;
}

/* A thread that moves to another CPU has the same pools there. */
static struct kheap *full_pools_heap(struct kunit *test)
{
	return kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
}

static bool same_page(const void *a, const void *b)
{
	return !(((unsigned long)a ^ (unsigned long)b) & PAGE_MASK);
}

/*
 * Free all blocks of each page but so many: of the first page of @blocks,
 * @keep[0], of the next one @keep[1]. Pages in the order of their first block.
 */
static void leave_some(struct kheap *heap, void **blocks, unsigned int nr,
		       const unsigned int *keep)
{
	const void *pages[NR_POOLS] = {};
	unsigned int left[NR_POOLS];
	unsigned int i, p, nr_pages = 0;

	for (i = 0; i < nr; i++) {
		for (p = 0; p < nr_pages; p++)
			if (same_page(pages[p], blocks[i]))
				break;
		if (p == nr_pages) {
			pages[p] = blocks[i];
			left[p] = keep[p];
			nr_pages++;
		}
		if (left[p]) {
			left[p]--;
			continue;
		}
		kheap_free(heap, blocks[i]);
		blocks[i] = NULL;
	}
	kheap_trim(heap);
}

static void heap_in_full_use_has_none(struct kunit *test)
{
	struct kheap *heap = full_pools_heap(test);
	struct kheap_pinned *pinned;
	void **blocks;

	pinned = read_pinned(test, heap);
	KUNIT_EXPECT_EQ(test, pinned->nr_pools, 0ul);
	KUNIT_EXPECT_EQ(test, pinned->nr_shown, 0u);
	blocks = kheap_test_alloc_many(test, heap, SIZE, NR_LIVE);
	pinned = read_pinned(test, heap);
	KUNIT_EXPECT_EQ(test, pinned->nr_pools, 0ul);
	kheap_test_free_many(heap, blocks, NR_LIVE);
}

static void pools_are_ordered_by_what_a_block_pins(struct kunit *test)
{
	static const unsigned int keep[NR_POOLS] = { 7, 1, 32, 33, 2 };
	static const unsigned int live[] = { 1, 2, 7, 32 };
	struct kheap *heap = full_pools_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, NR_LIVE);
	struct kheap_pinned *pinned;
	unsigned int i;

	leave_some(heap, blocks, NR_LIVE, keep);
	pinned = read_pinned(test, heap);
	KUNIT_ASSERT_EQ(test, pinned->nr_shown, 4u);
	KUNIT_EXPECT_EQ(test, pinned->nr_pools, 4ul);
	KUNIT_EXPECT_EQ(test, pinned->nr_live, 1ul + 2 + 7 + 32);
	KUNIT_EXPECT_EQ(test, pinned->unused_bytes,
			4 * PAGE_SIZE - SIZE * pinned->nr_live);
	for (i = 0; i < ARRAY_SIZE(live); i++) {
		const struct kheap_pinned_pool *pool = &pinned->pools[i];

		KUNIT_EXPECT_EQ(test, (unsigned int)pool->nr_live, live[i]);
		KUNIT_EXPECT_EQ(test, (unsigned int)pool->nr_cached, 0u);
		KUNIT_EXPECT_EQ(test, (unsigned int)pool->nr_blocks, 64u);
		KUNIT_EXPECT_EQ(test, pool->unused_bytes,
				PAGE_SIZE - SIZE * live[i]);
		KUNIT_EXPECT_EQ(test, pool->size, (u32)SIZE);
		KUNIT_EXPECT_EQ(test, pool->span, 1u);
		KUNIT_EXPECT_STREQ(test, pool->name, "size-64");
	}
	for (i = 0; i < NR_LIVE; i++)
		kheap_free(heap, blocks[i]);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, read_pinned(test, heap)->nr_pools, 0ul);
}

static bool is_among(void **blocks, const void *block)
{
	unsigned int i;

	for (i = 0; i < NR_LIVE; i++)
		if (blocks[i] == block)
			return true;
	return false;
}

static void blocks_listed_are_live_ones_of_the_pool(struct kunit *test)
{
	static const unsigned int keep[NR_POOLS] = { 3, 9, 64, 64, 64 };
	struct kheap *heap = full_pools_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, NR_LIVE);
	struct kheap_pinned *pinned;
	unsigned int i, p;

	leave_some(heap, blocks, NR_LIVE, keep);
	pinned = read_pinned(test, heap);
	KUNIT_ASSERT_EQ(test, pinned->nr_shown, 2u);
	for (p = 0; p < 2; p++) {
		const struct kheap_pinned_pool *pool = &pinned->pools[p];

		for (i = 0; i < KHEAP_PINNED_BLOCKS; i++) {
			if (i >= pool->nr_live) {
				KUNIT_EXPECT_NULL(test, pool->blocks[i]);
				continue;
			}
			KUNIT_EXPECT_TRUE(test, is_among(blocks,
							 pool->blocks[i]));
			KUNIT_EXPECT_TRUE(test, same_page(pool->base,
							  pool->blocks[i]));
		}
	}
	KUNIT_EXPECT_EQ(test, (unsigned int)pinned->pools[0].nr_live, 3u);
	for (i = 0; i < NR_LIVE; i++)
		kheap_free(heap, blocks[i]);
}

static void blocks_in_magazines_are_told_from_live_ones(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_pinned *pinned;
	void *kept, *cached[2];

	/* Another CPU's blocks are in another pool. */
	kheap_test_stay_on(test, 0);
	/* From the second request on there are per-CPU caches. */
	kheap_free(heap, kheap_test_alloc(test, heap, SIZE));
	kheap_test_maintain(heap);
	kept = kheap_test_alloc(test, heap, SIZE);
	cached[0] = kheap_test_alloc(test, heap, SIZE);
	cached[1] = kheap_test_alloc(test, heap, SIZE);
	kheap_free(heap, cached[0]);
	kheap_free(heap, cached[1]);
	pinned = read_pinned(test, heap);
	KUNIT_ASSERT_EQ(test, pinned->nr_shown, 1u);
	KUNIT_EXPECT_EQ(test, (unsigned int)pinned->pools[0].nr_live, 1u);
	KUNIT_EXPECT_PTR_EQ(test, pinned->pools[0].blocks[0],
			    (const void *)kept);
	KUNIT_EXPECT_EQ(test, (unsigned long)pinned->pools[0].nr_cached,
			kheap_class_nr_cached(heap->block.classes[SIZE / 8 - 1]));
	kheap_free(heap, kept);
}

static void only_so_many_are_shown_and_all_are_counted(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	const unsigned int nr_pools = KHEAP_PINNED_POOLS + 9;
	void *blocks[KHEAP_PINNED_POOLS + 9];
	struct kheap_pinned *pinned;
	unsigned int i;

	/* Every size has a pool of its own, with one block in it. */
	for (i = 0; i < nr_pools; i++)
		blocks[i] = kheap_test_alloc(test, heap, 8 * (i + 1));
	pinned = read_pinned(test, heap);
	KUNIT_EXPECT_EQ(test, pinned->nr_pools, (unsigned long)nr_pools);
	KUNIT_ASSERT_EQ(test, pinned->nr_shown, (unsigned int)KHEAP_PINNED_POOLS);
	for (i = 0; i < KHEAP_PINNED_POOLS; i++)
		KUNIT_EXPECT_EQ(test, pinned->pools[i].size, 8 * (i + 1));
	kheap_test_free_many(heap, blocks, nr_pools);
}

static void cache_of_wide_pools_is_called_by_its_name(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache;
	struct kheap_pinned *pinned;
	void *block;

	cache = kheap_cache_create(heap, "wide", 3000, 0, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	block = kheap_cache_alloc(cache, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, block);
	pinned = read_pinned(test, heap);
	KUNIT_ASSERT_EQ(test, pinned->nr_shown, 1u);
	KUNIT_EXPECT_STREQ(test, pinned->pools[0].name, "wide");
	KUNIT_EXPECT_EQ(test, pinned->pools[0].span, 1u << cache->class.span);
	KUNIT_EXPECT_EQ(test, pinned->unused_bytes,
			(PAGE_SIZE << cache->class.span) - cache->class.size);
	KUNIT_EXPECT_PTR_EQ(test, pinned->pools[0].blocks[0],
			    (const void *)block);
	kheap_cache_free(cache, block);
	kheap_cache_destroy(cache);
}

static void recorded_block_is_found_by_its_address(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_callsite_block who;
	struct kheap_callsites *cs;
	void *before = kheap_test_alloc(test, heap, SIZE), *block;

	KUNIT_ASSERT_EQ(test, kheap_callsites_start(heap, 1), 0);
	block = kheap_test_alloc(test, heap, SIZE - 5);
	cs = kheap_callsites_read_begin(heap);
	kheap_callsites_find(cs, block, &who);
	KUNIT_EXPECT_NE(test, who.stack, 0u);
	KUNIT_EXPECT_EQ(test, who.bytes_req, (u32)SIZE - 5);
	KUNIT_EXPECT_GT(test, who.ns, 0ull);
	kheap_callsites_find(cs, before, &who);
	KUNIT_EXPECT_EQ(test, who.stack, 0u);
	kheap_callsites_find(NULL, block, &who);
	KUNIT_EXPECT_EQ(test, who.stack, 0u);
	kheap_callsites_read_end(heap);
	kheap_free(heap, block);
	kheap_free(heap, before);
}

/* --- Under load --------------------------------------------------------- */

static int churn(void *data)
{
	struct kheap *heap = data;
	void *held[100] = {};
	unsigned int i;

	while (!kthread_should_stop()) {
		for (i = 0; i < ARRAY_SIZE(held); i++) {
			kheap_free(heap, held[i]);
			held[i] = kheap_alloc(heap, 8 * (i % 7 + 1),
					      GFP_KERNEL);
		}
		for (i = 0; i < ARRAY_SIZE(held); i += 3) {
			kheap_free(heap, held[i]);
			held[i] = NULL;
		}
		cond_resched();
	}
	for (i = 0; i < ARRAY_SIZE(held); i++)
		kheap_free(heap, held[i]);
	return 0;
}

static void readings_are_sound_while_others_allocate(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_pinned *pinned = read_pinned(test, heap);
	unsigned int i, p, nr_wrong = 0, nr_seen = 0;
	struct task_struct *thread;

	thread = kthread_run(churn, heap, "kheap-pins");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, thread);
	for (i = 0; i < 500 || (!nr_seen && i < 100000); i++) {
		kheap_pinned_get(heap, pinned);
		nr_seen += pinned->nr_shown;
		for (p = 0; p < pinned->nr_shown; p++) {
			const struct kheap_pinned_pool *pool =
				&pinned->pools[p];

			nr_wrong += !pool->nr_live ||
				    2 * pool->nr_live > pool->nr_blocks ||
				    pool->nr_live + pool->nr_cached >
				    pool->nr_blocks || !pool->blocks[0];
		}
		if (i % 50 == 0)
			kheap_trim(heap);
		cond_resched();
	}
	kthread_stop(thread);
	KUNIT_EXPECT_EQ(test, nr_wrong, 0u);
	KUNIT_EXPECT_GT(test, nr_seen, 0u);
}

static struct kunit_case pinned_cases[] = {
	KUNIT_CASE(heap_in_full_use_has_none),
	KUNIT_CASE(pools_are_ordered_by_what_a_block_pins),
	KUNIT_CASE(blocks_listed_are_live_ones_of_the_pool),
	KUNIT_CASE(blocks_in_magazines_are_told_from_live_ones),
	KUNIT_CASE(only_so_many_are_shown_and_all_are_counted),
	KUNIT_CASE(cache_of_wide_pools_is_called_by_its_name),
	KUNIT_CASE(recorded_block_is_found_by_its_address),
	KUNIT_CASE(readings_are_sound_while_others_allocate),
	{}
};

static struct kunit_suite pinned_suite = {
	.name = "kheap_pinned",
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = pinned_cases,
};

kunit_test_suite(pinned_suite);
