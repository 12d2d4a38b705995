// SPDX-License-Identifier: GPL-2.0
/*
 * Call sites: what is recorded, what is not, and what a report says of it.
 */
#include <linux/kthread.h>
#include <linux/prandom.h>
#include <linux/stackdepot.h>

#include "watch/callsite.h"
#include "helpers.h"

#define NR_A		97
#define NR_B		41
#define SIZE_A		50	/* blocks of 56 */
#define SIZE_B		200
#define ONE_IN		10
#define NR_SAMPLED	20000
#define NR_ROUNDS	6
#define NR_THREADS	4

/* --- Two places that allocate ------------------------------------------- */

static noinline void site_a(struct kheap *heap, void **blocks, unsigned int nr)
{
	while (nr--)
		blocks[nr] = kheap_alloc(heap, SIZE_A, GFP_KERNEL);
}

static noinline void site_b(struct kheap *heap, void **blocks, unsigned int nr)
{
	while (nr--)
		blocks[nr] = kheap_alloc(heap, SIZE_B, GFP_KERNEL);
}

static void **room_for(struct kunit *test, unsigned int nr)
{
	void **blocks = kunit_kcalloc(test, nr, sizeof(*blocks), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, blocks);
	return blocks;
}

static struct kheap_callsite_stats stats_of(struct kheap *heap)
{
	struct kheap_callsite_stats stats;

	kheap_callsites_get_stats(kheap_callsites_read_begin(heap), &stats);
	kheap_callsites_read_end(heap);
	return stats;
}

/* The row whose blocks are of @bytes each; zeroes if there is none. */
static struct kheap_callsite_row row_of(struct kheap *heap, size_t bytes)
{
	struct kheap_callsites *cs = kheap_callsites_read_begin(heap);
	struct kheap_callsite_row rows[16], found = {};
	unsigned int i, nr;

	nr = cs ? kheap_callsites_copy(cs, NULL, rows, ARRAY_SIZE(rows)) : 0;
	for (i = 0; i < nr; i++)
		if (rows[i].peak_bytes && rows[i].peak_bytes % bytes == 0)
			found = rows[i];
	kheap_callsites_read_end(heap);
	return found;
}

/* --- Exact -------------------------------------------------------------- */

static void two_sites_are_told_apart_and_add_up(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **a = room_for(test, NR_A), **b = room_for(test, NR_B);
	struct kheap_callsite_stats stats;
	struct kheap_callsite_row row;

	KUNIT_ASSERT_EQ(test, kheap_callsites_start(heap, 1), 0);
	site_a(heap, a, NR_A);
	site_b(heap, b, NR_B);
	stats = stats_of(heap);
	KUNIT_EXPECT_EQ(test, stats.nr_sites, 2ul);
	KUNIT_EXPECT_EQ(test, stats.nr_live, (unsigned long)(NR_A + NR_B));
	KUNIT_EXPECT_EQ(test, stats.live_bytes,
			kheap_test_stats(heap).allocated_bytes);
	row = row_of(heap, 56);
	KUNIT_EXPECT_EQ(test, row.nr_live, (unsigned long)NR_A);
	KUNIT_EXPECT_EQ(test, row.live_bytes, 56ul * NR_A);
	KUNIT_EXPECT_EQ(test, row.req_bytes, (unsigned long)SIZE_A * NR_A);
	KUNIT_EXPECT_GE(test, row.newest_ns, row.oldest_ns);
	KUNIT_EXPECT_GT(test, row.oldest_ns, 0ull);
	KUNIT_EXPECT_STREQ(test, row.comm, current->comm);
	kheap_test_free_many(heap, a, NR_A);
	row = row_of(heap, 56);
	KUNIT_EXPECT_EQ(test, row.nr_live, 0ul);
	KUNIT_EXPECT_EQ(test, row.live_bytes, 0ul);
	KUNIT_EXPECT_EQ(test, row.peak_bytes, 56ul * NR_A);
	KUNIT_EXPECT_EQ(test, row.nr_total, (unsigned long)NR_A);
	KUNIT_EXPECT_EQ(test, row.least_bytes, 56u);
	KUNIT_EXPECT_EQ(test, row.most_bytes, 56u);
	kheap_test_free_many(heap, b, NR_B);
	stats = stats_of(heap);
	KUNIT_EXPECT_EQ(test, stats.nr_live, 0ul);
	KUNIT_EXPECT_EQ(test, stats.live_bytes, 0ul);
	KUNIT_EXPECT_EQ(test, stats.nr_unknown_frees, 0ul);
	KUNIT_EXPECT_EQ(test, stats.nr_dropped, 0ul);
}

static noinline void *site_c(struct kheap *heap, size_t size)
{
	return kheap_alloc(heap, size, GFP_KERNEL);
}

static void site_of_many_sizes_has_the_least_and_the_most(struct kunit *test)
{
	static const size_t sizes[] = { 100, 8, 9000, 24 };
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_callsite_row row;
	struct kheap_callsites *cs;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, kheap_callsites_start(heap, 1), 0);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		kheap_free(heap, site_c(heap, sizes[i]));
	cs = kheap_callsites_read_begin(heap);
	KUNIT_EXPECT_EQ(test, kheap_callsites_copy(cs, NULL, &row, 1), 1u);
	kheap_callsites_read_end(heap);
	KUNIT_EXPECT_EQ(test, row.nr_total, ARRAY_SIZE(sizes));
	KUNIT_EXPECT_EQ(test, row.least_bytes, 8u);
	KUNIT_EXPECT_EQ(test, row.most_bytes, 12288u);
}

static void block_from_before_is_counted_as_unknown(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **a = room_for(test, NR_A);

	site_a(heap, a, NR_A);
	KUNIT_ASSERT_EQ(test, kheap_callsites_start(heap, 1), 0);
	kheap_test_free_many(heap, a, NR_A);
	KUNIT_EXPECT_EQ(test, stats_of(heap).nr_unknown_frees,
			(unsigned long)NR_A);
	KUNIT_EXPECT_EQ(test, stats_of(heap).nr_live, 0ul);
}

static void large_and_object_blocks_are_recorded(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache;
	void *large, *object;

	cache = kheap_cache_create(heap, "recorded", 72, 0, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	KUNIT_ASSERT_EQ(test, kheap_callsites_start(heap, 1), 0);
	large = kheap_test_alloc(test, heap, 20000);
	object = kheap_cache_alloc(cache, GFP_KERNEL);
	KUNIT_EXPECT_EQ(test, stats_of(heap).nr_live, 2ul);
	KUNIT_EXPECT_EQ(test, stats_of(heap).live_bytes, 20480ul + 72);
	kheap_free(heap, large);
	kheap_cache_free(cache, object);
	KUNIT_EXPECT_EQ(test, stats_of(heap).nr_live, 0ul);
}

static void reset_forgets_and_goes_on(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **a = room_for(test, NR_A), **b = room_for(test, NR_B);

	KUNIT_EXPECT_EQ(test, kheap_callsites_start(heap, 0), -EINVAL);
	KUNIT_ASSERT_EQ(test, kheap_callsites_start(heap, 1), 0);
	site_a(heap, a, NR_A);
	KUNIT_ASSERT_EQ(test, kheap_callsites_start(heap, 0), 0);
	KUNIT_EXPECT_EQ(test, stats_of(heap).nr_live, 0ul);
	site_b(heap, b, NR_B);
	kheap_test_free_many(heap, a, NR_A);
	KUNIT_EXPECT_EQ(test, stats_of(heap).nr_live, (unsigned long)NR_B);
	KUNIT_EXPECT_EQ(test, stats_of(heap).nr_unknown_frees,
			(unsigned long)NR_A);
	kheap_test_free_many(heap, b, NR_B);
}

static void memory_of_the_recorder_is_the_heaps_and_comes_back(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **a = room_for(test, NR_A);
	size_t before, during;

	site_a(heap, a, NR_A);
	kheap_test_free_many(heap, a, NR_A);
	kheap_trim(heap);
	before = kheap_test_stats(heap).metadata_bytes;
	KUNIT_ASSERT_EQ(test, kheap_callsites_start(heap, 1), 0);
	during = kheap_test_stats(heap).metadata_bytes;
	KUNIT_EXPECT_GT(test, during, before);
	kheap_callsites_stop(heap);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).metadata_bytes, before);
	kheap_callsites_stop(heap);
	KUNIT_EXPECT_EQ(test, heap->base.watch & KHEAP_WATCH_CALLSITES, 0u);
}

static void block_without_room_for_a_record_is_counted(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **a = room_for(test, NR_A);
	struct kheap_callsite_stats stats;

	site_a(heap, a, NR_A);
	kheap_test_free_many(heap, a, NR_A);
	KUNIT_ASSERT_EQ(test, kheap_callsites_start(heap, 1), 0);
	heap->base.limit_bytes = 1;
	site_a(heap, a, NR_A);
	heap->base.limit_bytes = 0;
	stats = stats_of(heap);
	KUNIT_EXPECT_GT(test, stats.nr_dropped, 0ul);
	KUNIT_EXPECT_EQ(test, stats.nr_dropped + stats.nr_live,
			kheap_test_stats(heap).nr_allocated);
	kheap_test_free_many(heap, a, NR_A);
	KUNIT_EXPECT_EQ(test, stats_of(heap).nr_live, 0ul);
}

static void cache_that_ends_takes_its_records_along(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache;

	cache = kheap_cache_create(heap, "leaky", 72, 0, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	KUNIT_ASSERT_EQ(test, kheap_callsites_start(heap, 1), 0);
	kheap_test_watch_log(test);
	KUNIT_ASSERT_NOT_NULL(test, kheap_cache_alloc(cache, GFP_KERNEL));
	kheap_cache_destroy(cache);
	KHEAP_EXPECT_LOGGED(test, "1 blocks, 72 bytes, allocated at");
	KUNIT_EXPECT_EQ(test, stats_of(heap).nr_live, 0ul);
}

static void destroyed_heap_tells_who_left_blocks(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **a = room_for(test, NR_A), **b = room_for(test, NR_B);

	KUNIT_ASSERT_EQ(test, kheap_callsites_start(heap, 1), 0);
	site_a(heap, a, NR_A);
	site_b(heap, b, NR_B);
	kheap_test_free_many(heap, b, NR_B);
	kheap_test_source(heap)->nr_live = NR_A;
	kheap_test_watch_log(test);
	kheap_test_heap_destroy(test, heap);
	KHEAP_EXPECT_LOGGED(test, "97 blocks, 5432 bytes, allocated at");
	KHEAP_EXPECT_LOGGED(test, "site_a+");
	KUNIT_EXPECT_EQ(test, kheap_test_logged("site_b+"), 0u);
}

/* From another place for each @depth. */
static noinline void *alloc_deeper(struct kheap *heap, unsigned int depth)
{
	void *block = depth ? alloc_deeper(heap, depth - 1) :
			      kheap_alloc(heap, SIZE_A, GFP_KERNEL);

	barrier(); /* It is no tail call. */
	return block;
}

#define NR_STACKS	11	/* more than a report has */

/*
 * The one with two blocks comes first; of the others, all with one, those where
 * more was ever allocated.
 */
static void report_of_many_stacks_has_the_first(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	unsigned int depth, i;
	void *block;

	KUNIT_ASSERT_EQ(test, kheap_callsites_start(heap, 1), 0);
	for (depth = 0; depth < NR_STACKS; depth++) {
		for (i = 0; i < depth % 3 + 1 + (depth == 5); i++) {
			block = alloc_deeper(heap, depth);
			if (i < depth % 3)
				kheap_free(heap, block);
		}
	}
	KUNIT_EXPECT_EQ(test, stats_of(heap).nr_sites, NR_STACKS);
	kheap_test_source(heap)->nr_live = NR_STACKS + 1;
	kheap_test_watch_log(test);
	kheap_test_heap_destroy(test, heap);
	KUNIT_EXPECT_EQ(test, kheap_test_logged("2 blocks, 112 bytes, alloc"),
			1u);
	KHEAP_EXPECT_LOGGED(test, "1 blocks, 56 bytes, alloc");
	KHEAP_EXPECT_LOGGED(test, "and other stacks");
}

/* --- Sampled ------------------------------------------------------------ */

/* Six standard deviations of a binomial distribution: sqrt(20000 * 0.09). */
#define DEVIATION	(6 * 42)

static void sampled_numbers_are_right_on_average(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **a = room_for(test, NR_SAMPLED);
	struct kheap_callsite_row row;

	KUNIT_ASSERT_EQ(test, kheap_callsites_start(heap, ONE_IN), 0);
	site_a(heap, a, NR_SAMPLED);
	KUNIT_EXPECT_LE(test, abs((long)stats_of(heap).nr_live -
				  NR_SAMPLED / ONE_IN), (long)DEVIATION);
	row = row_of(heap, 56);
	KUNIT_EXPECT_EQ(test, row.nr_live, stats_of(heap).nr_live * ONE_IN);
	KUNIT_EXPECT_EQ(test, row.live_bytes, row.nr_live * 56);
	kheap_test_free_many(heap, a, NR_SAMPLED);
	KUNIT_EXPECT_EQ(test, stats_of(heap).nr_live, 0ul);
	KUNIT_EXPECT_EQ(test, stats_of(heap).nr_unknown_frees, 0ul);
}

/* --- Under load --------------------------------------------------------- */

struct load {
	struct kheap *heap;
	atomic_long_t nr_ops;
};

static int load_thread(void *data)
{
	struct load *load = data;
	struct rnd_state rnd;
	void *held[32] = {};
	unsigned int i;

	prandom_seed_state(&rnd, (unsigned long)current);
	while (!kthread_should_stop()) {
		i = prandom_u32_state(&rnd) % ARRAY_SIZE(held);
		kheap_free(load->heap, held[i]);
		held[i] = kheap_alloc(load->heap,
				      prandom_u32_state(&rnd) % 10000,
				      GFP_KERNEL);
		atomic_long_inc(&load->nr_ops);
		cond_resched();
	}
	for (i = 0; i < ARRAY_SIZE(held); i++)
		kheap_free(load->heap, held[i]);
	return 0;
}

static void wait_for_ops(struct load *load, long nr)
{
	long end = atomic_long_read(&load->nr_ops) + nr;

	while (atomic_long_read(&load->nr_ops) < end)
		schedule_timeout_uninterruptible(1);
}

static void switching_under_load_loses_nothing(struct kunit *test)
{
	struct load load = { .heap = kheap_test_heap(test) };
	struct task_struct *threads[NR_THREADS];
	unsigned int i;

	for (i = 0; i < NR_THREADS; i++) {
		threads[i] = kthread_run(load_thread, &load, "sites/%u", i);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, threads[i]);
	}
	for (i = 0; i < NR_ROUNDS; i++) {
		KUNIT_EXPECT_EQ(test, kheap_callsites_start(load.heap,
							    1 + i % 3), 0);
		wait_for_ops(&load, 300);
		KUNIT_EXPECT_EQ(test, kheap_check(load.heap), 0);
		row_of(load.heap, 56);
		if (i % 2)
			kheap_callsites_stop(load.heap);
	}
	KUNIT_EXPECT_EQ(test, kheap_callsites_start(load.heap, 1), 0);
	wait_for_ops(&load, 300);
	for (i = 0; i < NR_THREADS; i++)
		kthread_stop(threads[i]);
	KUNIT_EXPECT_GT(test, stats_of(load.heap).nr_total, 0ul);
	KUNIT_EXPECT_EQ(test, stats_of(load.heap).nr_live, 0ul);
	KUNIT_EXPECT_EQ(test, stats_of(load.heap).live_bytes, 0ul);
}

static struct kunit_case callsite_cases[] = {
	KUNIT_CASE(two_sites_are_told_apart_and_add_up),
	KUNIT_CASE(site_of_many_sizes_has_the_least_and_the_most),
	KUNIT_CASE(block_from_before_is_counted_as_unknown),
	KUNIT_CASE(large_and_object_blocks_are_recorded),
	KUNIT_CASE(reset_forgets_and_goes_on),
	KUNIT_CASE(memory_of_the_recorder_is_the_heaps_and_comes_back),
	KUNIT_CASE(block_without_room_for_a_record_is_counted),
	KUNIT_CASE(cache_that_ends_takes_its_records_along),
	KUNIT_CASE(destroyed_heap_tells_who_left_blocks),
	KUNIT_CASE(report_of_many_stacks_has_the_first),
	KUNIT_CASE_SLOW(sampled_numbers_are_right_on_average),
	KUNIT_CASE_SLOW(switching_under_load_loses_nothing),
	{}
};

static struct kunit_suite callsite_suite = {
	.name = "kheap_callsite",
	.suite_init = kheap_test_untracked_init,
	.suite_exit = kheap_test_untracked_exit,
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = callsite_cases,
};

kunit_test_suite(callsite_suite);
