// SPDX-License-Identifier: GPL-2.0
/*
 * Bulk: many blocks a call, all of them or none.
 */
#include "helpers.h"

#define LARGE	40000	/* no block of a pool */

static const size_t bulk_numbers[] = { 0, 1, 2, 7, 31, 32, 33, 64, 250, 1000 };

static void number_desc(const size_t *nr, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu", *nr);
}

KUNIT_ARRAY_PARAM(bulk_numbers, bulk_numbers, number_desc);

static void **room_for(struct kunit *test, size_t nr)
{
	void **ptrs = kunit_kcalloc(test, nr + 1, sizeof(*ptrs), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ptrs);
	return ptrs;
}

static unsigned long nr_live(struct kheap *heap)
{
	struct kheap_stats stats = kheap_test_stats(heap);

	return stats.nr_allocated + stats.nr_large;
}

/* Every block has its number in it, so two that overlap are found. */
static void number_all(void **ptrs, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		*(size_t *)ptrs[i] = i;
}

static void expect_numbers(struct kunit *test, void **ptrs, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_EQ(test, *(size_t *)ptrs[i], i);
}

static void bulk_gives_the_number_asked_for(struct kunit *test)
{
	size_t nr = *(const size_t *)test->param_value;
	struct kheap *heap = kheap_test_heap(test);
	void **ptrs = room_for(test, nr);
	unsigned int round;

	for (round = 0; round < 3; round++) {
		KUNIT_ASSERT_EQ(test, kheap_alloc_bulk(heap, 64, GFP_KERNEL, nr,
						       ptrs), nr);
		KUNIT_EXPECT_NULL(test, ptrs[nr]);
		KUNIT_EXPECT_EQ(test, nr_live(heap), nr);
		number_all(ptrs, nr);
		expect_numbers(test, ptrs, nr);
		kheap_free_bulk(heap, nr, ptrs);
		KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
	}
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0ul);
}

static void heap_without_cpu_caches_serves_bulk(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
	void **ptrs = room_for(test, 300);

	KUNIT_ASSERT_EQ(test, kheap_alloc_bulk(heap, 40, GFP_KERNEL, 300, ptrs),
			300);
	number_all(ptrs, 300);
	expect_numbers(test, ptrs, 300);
	kheap_free_bulk(heap, 300, ptrs);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
}

static void zeroed_bulk_is_zeroed(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **ptrs = room_for(test, 100);
	unsigned int round, i;

	for (round = 0; round < 2; round++) {
		KUNIT_ASSERT_EQ(test, kheap_alloc_bulk(heap, 200, GFP_KERNEL |
						       __GFP_ZERO, 100, ptrs),
				100);
		for (i = 0; i < 100; i++) {
			KUNIT_EXPECT_NULL(test, memchr_inv(ptrs[i], 0, 200));
			memset(ptrs[i], 0xaa, 200);
		}
		kheap_free_bulk(heap, 100, ptrs);
	}
}

static void large_bulk_works(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *ptrs[10];

	KUNIT_ASSERT_EQ(test, kheap_alloc_bulk(heap, LARGE, GFP_KERNEL, 10,
					       ptrs), 10);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_large, 10ul);
	number_all(ptrs, 10);
	expect_numbers(test, ptrs, 10);
	kheap_free_bulk(heap, 10, ptrs);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
}

static void size_0_bulk_is_of_the_smallest_class(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *ptrs[3];

	KUNIT_ASSERT_EQ(test, kheap_alloc_bulk(heap, 0, GFP_KERNEL, 3, ptrs),
			3);
	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, ptrs[2]), 8);
	kheap_free_bulk(heap, 3, ptrs);
}

static void atomic_bulk_works(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **ptrs = room_for(test, 200);
	int nr;

	local_irq_disable();
	nr = kheap_alloc_bulk(heap, 128, GFP_ATOMIC, 200, ptrs);
	kheap_free_bulk(heap, 200, ptrs);
	local_irq_enable();
	KUNIT_EXPECT_EQ(test, nr, 200);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
}

/* --- Failure ------------------------------------------------------------ */

static void bulk_that_fails_half_way_leaves_nothing(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, 0, 64 << 10);
	void **ptrs = room_for(test, 1000);

	KUNIT_EXPECT_EQ(test, kheap_alloc_bulk(heap, 512, GFP_KERNEL |
					       __GFP_NOWARN, 1000, ptrs), 0);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
	KUNIT_EXPECT_GT(test, kheap_test_stats(heap).nr_failed, 0ul);
	KUNIT_EXPECT_EQ(test, kheap_alloc_bulk(heap, 512, GFP_KERNEL, 20, ptrs),
			20);
	kheap_free_bulk(heap, 20, ptrs);
}

static void bulk_that_fails_at_any_page_leaves_nothing(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_test_source *source = kheap_test_source(heap);
	void **ptrs = room_for(test, 100);
	unsigned int fail;

	for (fail = 1; fail <= 20; fail++) {
		kheap_test_source_reset(source);
		source->max_order = 0;
		/* The orders above are refused as well, and counted. */
		source->fail_call = 7 * fail;
		if (kheap_alloc_bulk(heap, 512, GFP_KERNEL | __GFP_NOWARN, 100,
				     ptrs) == 100)
			break;
		KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
		kheap_trim(heap);
		KUNIT_EXPECT_EQ(test, atomic_long_read(&source->nr_pages_out),
				0);
	}
	KUNIT_EXPECT_GT(test, fail, 5u);
	KUNIT_ASSERT_LE(test, fail, 20u);
	kheap_free_bulk(heap, 100, ptrs);
}

static void large_bulk_that_fails_leaves_nothing(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, 0, 64 << 10);
	void **ptrs = room_for(test, 100);

	KUNIT_EXPECT_EQ(test, kheap_alloc_bulk(heap, LARGE, GFP_KERNEL |
					       __GFP_NOWARN, 100, ptrs), 0);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).large_bytes, 0);
}

static void bulk_over_the_largest_number_is_refused(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *ptrs[1] = {};

	KUNIT_EXPECT_EQ(test, kheap_alloc_bulk(heap, 8, GFP_KERNEL,
					       (size_t)INT_MAX + 1, ptrs), 0);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
}

static void bulk_with_zone_flags_is_refused(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *ptrs[4] = {};

	kheap_test_watch_log(test);
	KUNIT_EXPECT_EQ(test, kheap_alloc_bulk(heap, 64, GFP_KERNEL | GFP_DMA32,
					       4, ptrs), 0);
	KUNIT_EXPECT_GT(test, kheap_test_refused(heap, KHEAP_BAD_GFP), 0ul);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
}

/* --- Freeing ------------------------------------------------------------ */

static void free_bulk_takes_mixed_sizes_and_null(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **ptrs = room_for(test, 400);
	unsigned int i;

	for (i = 0; i < 400; i++)
		if (i % 5)
			ptrs[i] = kheap_test_alloc(test, heap,
						   i % 7 ? i * 13 % 512 + 1 :
							   LARGE + i);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 320ul);
	kheap_free_bulk(heap, 400, ptrs);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0ul);
}

/* Their addresses and numbers would do for the first one's class, too. */
static void free_bulk_takes_twice_the_size_for_another(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **small, **blocks;

	kheap_test_stay_on(test, 0);
	small = kheap_test_alloc_many(test, heap, 32, 200);
	kheap_test_free_many(heap, small, 100);
	blocks = kheap_test_alloc_many(test, heap, 64, 65);
	kheap_free(heap, blocks[0]);
	blocks[0] = small[100];
	kheap_free_bulk(heap, 65, blocks);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0ul);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 99ul);
	kheap_test_free_many(heap, small + 101, 99);
}

static void free_bulk_refuses_bad_ones_and_frees_the_others(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap *other = kheap_test_heap(test);
	void *ptrs[12], *foreign, *others;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ptrs); i++)
		ptrs[i] = kheap_test_alloc(test, heap, 100);
	foreign = kunit_kzalloc(test, 64, GFP_KERNEL);
	others = kheap_test_alloc(test, other, 100);
	kheap_test_watch_log(test);
	kheap_free(heap, ptrs[1]);	/* and again in the bulk */
	kheap_free(heap, ptrs[3]);
	ptrs[3] = foreign;
	kheap_free(heap, ptrs[5]);
	ptrs[5] = others;
	kheap_free(heap, ptrs[7]);
	ptrs[7] = ptrs[8] + 8;
	kheap_free(heap, ptrs[9]);
	ptrs[9] = ptrs[10];		/* twice in the bulk */
	kheap_free_bulk(heap, ARRAY_SIZE(ptrs), ptrs);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
	KUNIT_EXPECT_EQ(test, nr_live(other), 1ul);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 5ul);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_FREED), 2ul);
	kheap_free(other, others);
}

static void bulk_free_of_a_full_magazine_loses_nothing(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **ptrs = room_for(test, 1000);
	unsigned int round;

	for (round = 0; round < 20; round++) {
		KUNIT_ASSERT_EQ(test, kheap_alloc_bulk(heap, 96, GFP_KERNEL,
						       1000, ptrs), 1000);
		kheap_free_bulk(heap, 1000, ptrs);
	}
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_pools, 0ul);
}

/* The point of it: not a lock a block. */
static void bulk_takes_a_class_lock_once_a_run(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_class_stats before, taken, after;
	void **ptrs = room_for(test, 640);
	struct kheap_class *class;
	unsigned int round, runs;

	for (round = 0; round < 12; round++) {
		KUNIT_ASSERT_EQ(test, kheap_alloc_bulk(heap, 64, GFP_KERNEL,
						       640, ptrs), 640);
		kheap_free_bulk(heap, 640, ptrs);
	}
	kheap_trim(heap);
	class = heap->block.classes[7];
	kheap_class_get_stats(class, &before);
	KUNIT_ASSERT_EQ(test, kheap_alloc_bulk(heap, 64, GFP_KERNEL, 640, ptrs),
			640);
	kheap_class_get_stats(class, &taken);
	kheap_free_bulk(heap, 640, ptrs);
	kheap_class_get_stats(class, &after);
	/*
	 * The class's most slots, for whichever CPUs this ran on. Before there is
	 * a new pool, others are looked for in vain.
	 */
	runs = 640 / class->max_slots + 2 * num_online_cpus();
	KUNIT_EXPECT_LE(test, taken.nr_refills - before.nr_refills,
			runs + 5 * taken.nr_pools);
	KUNIT_EXPECT_LE(test, after.nr_drains - taken.nr_drains, runs);
}

/* More than both magazines take: the CPU puts the others by. */
static void bulk_again_and_again_takes_no_class_lock(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_class_stats before, after;
	void **ptrs = room_for(test, 250);
	struct kheap_class *class;
	unsigned int round;

	kheap_test_stay_on(test, 0);
	/* The class is made at its first use. */
	kheap_free(heap, kheap_test_alloc(test, heap, 64));
	class = heap->block.classes[7];
	for (round = 0; round < 16; round++) {
		kheap_class_get_stats(class, &before);
		KUNIT_ASSERT_EQ(test, kheap_alloc_bulk(heap, 64, GFP_KERNEL,
						       250, ptrs), 250);
		kheap_free_bulk(heap, 250, ptrs);
	}
	kheap_class_get_stats(class, &after);
	KUNIT_EXPECT_EQ(test, after.nr_refills, before.nr_refills);
	KUNIT_EXPECT_EQ(test, after.nr_drains, before.nr_drains);
}

/* --- Caches ------------------------------------------------------------- */

#define MADE_BYTES	80

static void make_object(void *object)
{
	memset(object, 0x77, MADE_BYTES);
}

static void constructed_objects_come_in_bulk(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **ptrs = room_for(test, 150);
	struct kheap_cache *cache;
	unsigned int round, i;

	cache = kheap_cache_create(heap, "made", MADE_BYTES, 0, 0, make_object);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	for (round = 0; round < 2; round++) {
		KUNIT_ASSERT_EQ(test, kheap_cache_alloc_bulk(cache, GFP_KERNEL,
							     150, ptrs), 150);
		for (i = 0; i < 150; i++)
			KUNIT_EXPECT_NULL(test, memchr_inv(ptrs[i], 0x77,
							   MADE_BYTES));
		number_all(ptrs, 150);
		expect_numbers(test, ptrs, 150);
		for (i = 0; i < 150; i++)
			make_object(ptrs[i]);
		ptrs[150] = NULL;
		kheap_cache_free_bulk(cache, 151, ptrs);
	}
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
}

static void zeroed_bulk_of_constructed_objects_is_refused(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache;
	void *ptrs[4] = {};

	cache = kheap_cache_create(heap, "made", MADE_BYTES, 0, 0, make_object);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	kheap_test_watch_log(test);
	KUNIT_EXPECT_EQ(test, kheap_cache_alloc_bulk(cache, GFP_KERNEL |
						     __GFP_ZERO, 4, ptrs), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_GFP), 1ul);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
}

static void cache_free_bulk_refuses_blocks_of_the_heap(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache;
	void *ptrs[3];

	cache = kheap_cache_create(heap, "own", 64, 0, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	ptrs[0] = kheap_cache_alloc(cache, GFP_KERNEL);
	ptrs[1] = kheap_test_alloc(test, heap, 64);
	ptrs[2] = kheap_cache_alloc(cache, GFP_KERNEL);
	kheap_test_watch_log(test);
	kheap_cache_free_bulk(cache, 3, ptrs);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_CACHE), 1ul);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 1ul);
	kheap_free(heap, ptrs[1]);
}

static struct kunit_case bulk_cases[] = {
	KUNIT_CASE_PARAM(bulk_gives_the_number_asked_for,
			 bulk_numbers_gen_params),
	KUNIT_CASE(heap_without_cpu_caches_serves_bulk),
	KUNIT_CASE(zeroed_bulk_is_zeroed),
	KUNIT_CASE(large_bulk_works),
	KUNIT_CASE(size_0_bulk_is_of_the_smallest_class),
	KUNIT_CASE(atomic_bulk_works),
	KUNIT_CASE(bulk_that_fails_half_way_leaves_nothing),
	KUNIT_CASE(bulk_that_fails_at_any_page_leaves_nothing),
	KUNIT_CASE(large_bulk_that_fails_leaves_nothing),
	KUNIT_CASE(bulk_over_the_largest_number_is_refused),
	KUNIT_CASE(bulk_with_zone_flags_is_refused),
	KUNIT_CASE(free_bulk_takes_mixed_sizes_and_null),
	KUNIT_CASE(free_bulk_takes_twice_the_size_for_another),
	KUNIT_CASE(free_bulk_refuses_bad_ones_and_frees_the_others),
	KUNIT_CASE(bulk_free_of_a_full_magazine_loses_nothing),
	KUNIT_CASE(bulk_takes_a_class_lock_once_a_run),
	KUNIT_CASE(bulk_again_and_again_takes_no_class_lock),
	KUNIT_CASE(constructed_objects_come_in_bulk),
	KUNIT_CASE(zeroed_bulk_of_constructed_objects_is_refused),
	KUNIT_CASE(cache_free_bulk_refuses_blocks_of_the_heap),
	{}
};

static struct kunit_suite bulk_suite = {
	.name = "kheap_bulk",
	.suite_init = kheap_test_untracked_init,
	.suite_exit = kheap_test_untracked_exit,
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = bulk_cases,
};

kunit_test_suite(bulk_suite);
