// SPDX-License-Identifier: GPL-2.0
/*
 * Statistics: what a heap says it holds, against what is known to be there,
 * and the sum of the bytes in every reading.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "gc/gc.h"
#include "helpers.h"

/* Blocks of 512 bytes: eight to a pool, no tail. */
#define SIZE	512
#define POOL	8

static struct kheap_class_stats class_stats(struct kheap *heap, size_t size)
{
	struct kheap_class_stats stats;

	kheap_class_get_stats(heap->block.classes[size / 8 - 1], &stats);
	return stats;
}

static void fresh_heap_holds_metadata_only(struct kunit *test)
{
	struct kheap_stats stats = kheap_test_stats(kheap_test_heap(test));

	KUNIT_EXPECT_EQ(test, stats.held_bytes, stats.metadata_bytes);
	KUNIT_EXPECT_GE(test, stats.metadata_bytes, sizeof(struct kheap));
	KUNIT_EXPECT_EQ(test, stats.peak_held_bytes, stats.held_bytes);
	KUNIT_EXPECT_EQ(test, stats.nr_allocated, 0);
	KUNIT_EXPECT_EQ(test, stats.nr_pools, 0);
	KUNIT_EXPECT_EQ(test, stats.limit_bytes, 0);
}

/* What @what bytes for each CPU make. */
static size_t percpu_bytes(size_t what)
{
	return what * num_possible_cpus();
}

static void per_cpu_memory_of_types_and_collector_counts(struct kunit *test)
{
	static const struct kheap_type_ops ops[] = {
		{ .name = "first", .size = SIZE },
		{ .name = "other", .size = SIZE },
	};
	struct kheap *heap = kheap_test_heap(test);
	/* Blocks of other nodes are in caches of their own. */
	unsigned int i, nr_caches = nr_node_ids > 1 ? 2 : 1;
	size_t type_bytes, before, after;
	struct kheap_type *types[2];

	type_bytes = kmalloc_size_roundup(struct_size(types[0], class.node,
						      nr_node_ids)) +
		     kmalloc_size_roundup(sizeof("first")) +
		     percpu_bytes(sizeof(struct kheap_cpu_cache)) * nr_caches +
		     percpu_bytes(sizeof(*types[0]->nr_created));
	for (i = 0; i < 2; i++) {
		before = kheap_test_stats(heap).metadata_bytes;
		types[i] = kheap_type_create(heap, &ops[i]);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, types[i]);
		after = kheap_test_stats(heap).metadata_bytes;
		/* The first one comes with the collector. */
		KUNIT_EXPECT_EQ(test, after - before, type_bytes + (i ? 0 :
				kmalloc_size_roundup(sizeof(struct kheap_collector)) +
				percpu_bytes(sizeof(struct kheap_gc_buffer))));
	}
	kheap_type_destroy(types[1]);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).metadata_bytes,
			after - type_bytes);
	kheap_type_destroy(types[0]);
}

static void allocated_bytes_are_in_block_sizes(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	static const size_t sizes[] = { 1, 8, 9, 100, 511 };
	void *blocks[ARRAY_SIZE(sizes)];
	size_t bytes = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct kheap_stats stats;

		blocks[i] = kheap_test_alloc(test, heap, sizes[i]);
		bytes += ALIGN(sizes[i], 8);
		stats = kheap_test_stats(heap);
		KUNIT_EXPECT_EQ(test, stats.allocated_bytes, bytes);
		KUNIT_EXPECT_EQ(test, stats.nr_allocated, i + 1);
		KUNIT_EXPECT_EQ(test, kheap_test_sum(&stats), stats.held_bytes);
	}
	kheap_test_free_many(heap, blocks, ARRAY_SIZE(blocks));
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).allocated_bytes, 0);
}

/* 12 blocks of which 3 are freed: every part of the sum is known. */
static void parts_agree_with_known_operations(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 12);
	struct kheap_class_stats class;
	struct kheap_stats stats;

	kheap_test_free_many(heap, blocks + 9, 3);
	stats = kheap_test_stats(heap);
	KUNIT_EXPECT_EQ(test, stats.allocated_bytes, 9 * SIZE);
	KUNIT_EXPECT_EQ(test, stats.free_bytes, 3 * SIZE);
	KUNIT_EXPECT_EQ(test, stats.virgin_bytes, 4 * SIZE);
	KUNIT_EXPECT_EQ(test, stats.empty_bytes, 62 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, stats.cached_bytes + stats.tail_bytes +
			      stats.quarantined_bytes + stats.large_bytes, 0);
	KUNIT_EXPECT_EQ(test, stats.held_bytes, 64 * PAGE_SIZE +
						stats.metadata_bytes);
	class = class_stats(heap, SIZE);
	KUNIT_EXPECT_EQ(test, class.nr_pools, 2);
	KUNIT_EXPECT_EQ(test, class.nr_allocated, 9);
	KUNIT_EXPECT_EQ(test, class.nr_free, 3);
	KUNIT_EXPECT_EQ(test, class.nr_virgin, 4);
	KUNIT_EXPECT_EQ(test, class.nr_cached, 0);
	kheap_test_free_many(heap, blocks, 9);
	class = class_stats(heap, SIZE);
	KUNIT_EXPECT_EQ(test, class.nr_pools, 0);
	KUNIT_EXPECT_EQ(test, class.nr_allocated, 0);
}

static void tail_bytes_are_what_no_block_fits_in(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
	void **blocks = kheap_test_alloc_many(test, heap, 456, 3 * 8);

	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).tail_bytes,
			3 * (PAGE_SIZE - 8 * 456));
	kheap_test_free_many(heap, blocks, 3 * 8);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).tail_bytes, 0);
}

/* On one CPU, because another one's blocks would be in a pool of their own. */
static void freed_blocks_are_cached_or_free(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_class_stats class;
	void **blocks;

	kheap_test_stay_on(test, 0);
	blocks = kheap_test_alloc_many(test, heap, 64, 100);
	class = class_stats(heap, 64);
	KUNIT_EXPECT_EQ(test, class.nr_allocated, 100);
	KUNIT_EXPECT_EQ(test, (class.nr_allocated + class.nr_cached +
			       class.nr_free + class.nr_virgin), 64 * 2);
	kheap_test_free_many(heap, blocks, 100);
	class = class_stats(heap, 64);
	KUNIT_EXPECT_EQ(test, class.nr_allocated, 0);
	KUNIT_EXPECT_GT(test, class.nr_cached, 0);
	KUNIT_EXPECT_EQ(test, (class.nr_cached + class.nr_free +
			       class.nr_virgin), 64 * class.nr_pools);
	kheap_trim(heap);
	class = class_stats(heap, 64);
	KUNIT_EXPECT_EQ(test, class.nr_cached + class.nr_pools, 0);
}

static void peak_stays_when_memory_goes(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *large = kheap_test_alloc(test, heap, SZ_1M);
	size_t peak = kheap_test_stats(heap).peak_held_bytes;

	KUNIT_EXPECT_GE(test, peak, SZ_1M);
	kheap_free(heap, large);
	kheap_free(heap, kheap_test_alloc(test, heap, SZ_512K));
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).peak_held_bytes, peak);
	KUNIT_EXPECT_LT(test, kheap_test_stats(heap).held_bytes, SZ_512K);
	kheap_free(heap, kheap_test_alloc(test, heap, SZ_1M + SZ_256K));
	KUNIT_EXPECT_GE(test, kheap_test_stats(heap).peak_held_bytes,
			SZ_1M + SZ_256K);
}

/* A refused request of many pages was never held. */
static void refused_pages_do_not_count_for_the_peak(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	size_t peak;

	kheap_test_source(heap)->max_order = 0;
	kheap_free(heap, kheap_test_alloc(test, heap, 8));
	peak = kheap_test_stats(heap).peak_held_bytes;
	KUNIT_EXPECT_LT(test, peak, 8 * PAGE_SIZE);
}

static void every_failure_and_refusal_is_counted_once(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	unsigned int i;

	kheap_test_source(heap)->fail_all = true;
	for (i = 0; i < 5; i++)
		kheap_alloc(heap, 64, GFP_KERNEL);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_failed, 5);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_refused, 0);
	for (i = 0; i < 7; i++)
		kheap_free(heap, &i);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_failed, 5);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_refused, 7);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_FOREIGN), 7);
}

static void metadata_returns_to_its_start_after_trim(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
	size_t before, size;
	unsigned int round;

	for (size = 8; size <= 700; size += 8)
		kheap_free(heap, kheap_test_alloc(test, heap, size));
	kheap_trim(heap);
	before = kheap_test_stats(heap).metadata_bytes;
	for (round = 0; round < 3; round++) {
		for (size = 8; size <= 700; size += 8) {
			void **blocks = kheap_test_alloc_many(test, heap, size,
							      70);

			kheap_test_free_many(heap, blocks, 70);
		}
		kheap_trim(heap);
		KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).metadata_bytes,
				before);
		KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).held_bytes,
				before);
	}
}

static void sum_holds_with_every_part_in_it(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, 24, 200);
	void *large = kheap_test_alloc(test, heap, 10000);
	void **damaged = kheap_test_alloc_many(test, heap, SIZE, 500);
	struct kheap_stats stats;
	unsigned int i;

	kheap_test_free_many(heap, damaged + 1, 499);
	kheap_trim(heap);
	/* A free block of the pool of damaged[0], after trim in its list. */
	for (i = 1; i < 500; i++)
		if (kheap_pool_of(damaged[i]) == kheap_pool_of(damaged[0]))
			memset(damaged[i], 0xee, SIZE);
	damaged[1] = kheap_test_alloc(test, heap, SIZE);
	for (i = 0; i < 200; i += 2)
		kheap_free(heap, blocks[i]);
	stats = kheap_test_stats(heap);
	KUNIT_EXPECT_NE(test, stats.allocated_bytes, 0);
	KUNIT_EXPECT_NE(test, stats.cached_bytes, 0);
	KUNIT_EXPECT_NE(test, stats.virgin_bytes, 0);
	KUNIT_EXPECT_NE(test, stats.quarantined_bytes, 0);
	KUNIT_EXPECT_NE(test, stats.tail_bytes, 0);
	KUNIT_EXPECT_NE(test, stats.large_bytes, 0);
	KUNIT_EXPECT_NE(test, stats.nr_holes, 0);
	KUNIT_EXPECT_EQ(test, kheap_test_sum(&stats), stats.held_bytes);
	KUNIT_EXPECT_EQ(test, stats.nr_allocated, 100 + 2);
	for (i = 1; i < 200; i += 2)
		kheap_free(heap, blocks[i]);
	kheap_test_free_many(heap, damaged, 2);
	kheap_free(heap, large);
}

/* --- While others are at work ------------------------------------------- */

#define NR_LIVE		200

/* So many readings, but no longer than this on a busy machine. */
#define NR_READINGS	500
#define READ_FOR	(2 * HZ)

/* Allocates and frees all sizes, small and large, until it is stopped. */
static int churn(void *data)
{
	struct kheap *heap = data;
	void *live[NR_LIVE] = {};
	unsigned int i = 0, seed = 12345;

	while (!kthread_should_stop()) {
		seed = seed * 1103515245 + 12345;
		kheap_free(heap, live[i]);
		live[i] = kheap_alloc(heap, (seed >> 16) % 700, GFP_KERNEL);
		i = (i + 1 + (seed >> 28)) % NR_LIVE;
		if (!i)
			cond_resched();
	}
	for (i = 0; i < NR_LIVE; i++)
		kheap_free(heap, live[i]);
	return 0;
}

static void stop_thread(void *thread)
{
	kthread_stop(thread);
	put_task_struct(thread);
}

static void start_churn(struct kunit *test, struct kheap *heap)
{
	struct task_struct *thread = kthread_create(churn, heap, "kheap-churn");

	KUNIT_ASSERT_FALSE(test, IS_ERR(thread));
	get_task_struct(thread);
	wake_up_process(thread);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, stop_thread,
							thread), 0);
}

static const struct churn_param {
	const char *desc;
	unsigned int flags;
	unsigned int nr_threads;
} churns[] = {
	{ "one_thread", 0, 1 },
	{ "three_threads", 0, 3 },
	{ "without_cpu_caches", KHEAP_NO_CPU_CACHE, 3 },
};

KUNIT_ARRAY_PARAM_DESC(churn, churns, desc);

static void sum_holds_in_every_reading_while_others_allocate(struct kunit *test)
{
	const struct churn_param *param = test->param_value;
	struct kheap *heap = kheap_test_heap_with(test, param->flags, 0);
	unsigned int i, nr_wrong = 0, nr_absurd = 0, nr_live = 0;
	unsigned long end;

	for (i = 0; i < param->nr_threads; i++)
		start_churn(test, heap);
	end = jiffies + READ_FOR;
	for (i = 0; i < NR_READINGS && !time_after(jiffies, end); i++) {
		struct kheap_stats stats = kheap_test_stats(heap);

		nr_wrong += kheap_test_sum(&stats) != stats.held_bytes ||
			    stats.held_bytes > stats.peak_held_bytes;
		nr_absurd += stats.held_bytes > SZ_16M ||
			     stats.allocated_bytes > SZ_16M ||
			     stats.nr_allocated > param->nr_threads * NR_LIVE * 2;
		nr_live += stats.nr_allocated > 0;
		if (i % 100 == 50)
			kheap_trim(heap);
		if (i % 20 == 0)
			usleep_range(500, 1000);
	}
	KUNIT_EXPECT_EQ(test, nr_wrong, 0);
	KUNIT_EXPECT_EQ(test, nr_absurd, 0);
	KUNIT_EXPECT_GE(test, nr_live, i / 2);
	KUNIT_EXPECT_EQ(test, kheap_check(heap), 0);
}

/* A class's five numbers of blocks are all blocks of its pools, always. */
static void class_numbers_add_up_while_others_allocate(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	unsigned long end = jiffies + READ_FOR;
	unsigned int i, nr_wrong = 0, nr_blocks;
	struct kheap_class *class;

	kheap_free(heap, kheap_test_alloc(test, heap, 64));
	class = heap->block.classes[7];
	nr_blocks = class->nr_blocks;
	for (i = 0; i < 2; i++)
		start_churn(test, heap);
	for (i = 0; i < NR_READINGS && !time_after(jiffies, end); i++) {
		struct kheap_class_stats stats;

		kheap_class_get_stats(class, &stats);
		nr_wrong += stats.nr_allocated + stats.nr_cached +
			    stats.nr_free + stats.nr_virgin + stats.nr_lost !=
			    stats.nr_pools * nr_blocks;
		if (i % 50 == 0)
			usleep_range(500, 1000);
	}
	KUNIT_EXPECT_EQ(test, nr_wrong, 0);
}

static struct kunit_case stats_cases[] = {
	KUNIT_CASE(fresh_heap_holds_metadata_only),
	KUNIT_CASE(allocated_bytes_are_in_block_sizes),
	KUNIT_CASE(parts_agree_with_known_operations),
	KUNIT_CASE(tail_bytes_are_what_no_block_fits_in),
	KUNIT_CASE(freed_blocks_are_cached_or_free),
	KUNIT_CASE(per_cpu_memory_of_types_and_collector_counts),
	KUNIT_CASE(peak_stays_when_memory_goes),
	KUNIT_CASE(refused_pages_do_not_count_for_the_peak),
	KUNIT_CASE(every_failure_and_refusal_is_counted_once),
	KUNIT_CASE_SLOW(metadata_returns_to_its_start_after_trim),
	KUNIT_CASE(sum_holds_with_every_part_in_it),
	KUNIT_CASE_PARAM_ATTR(sum_holds_in_every_reading_while_others_allocate,
			      churn_gen_params, { .speed = KUNIT_SPEED_SLOW }),
	KUNIT_CASE(class_numbers_add_up_while_others_allocate),
	{}
};

static struct kunit_suite stats_suite = {
	.name = "kheap_stats",
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = stats_cases,
};

kunit_test_suite(stats_suite);
