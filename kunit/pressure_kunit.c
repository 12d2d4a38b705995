// SPDX-License-Identifier: GPL-2.0
/*
 * Memory pressure: what the shrinker and the maintenance work give back, what
 * they leave, and that reclaim inside an allocation waits for nothing.
 */
#include "helpers.h"

#define BYTES		512
#define PER_POOL	(PAGE_SIZE / BYTES)
#define PER_ARENA	(KHEAP_ARENA_POOLS * PER_POOL)

static long pages_out(struct kheap *heap)
{
	return atomic_long_read(&kheap_test_source(heap)->nr_pages_out);
}

static unsigned long nr_cached(struct kheap *heap)
{
	return kheap_test_stats(heap).cached_bytes / BYTES;
}

/* The maintenance work runs when it is told to, and not by itself. */
static void hold_maintenance(struct kheap *heap)
{
	WRITE_ONCE(heap->base.maint_armed, true);
	cancel_delayed_work_sync(&heap->base.maint);
}

/* A heap whose blocks go straight to their pools, and to an arena: its spare. */
static struct kheap *heap_with_spare(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);

	hold_maintenance(heap);
	kheap_free(heap, kheap_test_alloc(test, heap, BYTES));
	KUNIT_ASSERT_EQ(test, pages_out(heap), KHEAP_ARENA_POOLS);
	return heap;
}

/* --- The shrinker ------------------------------------------------------- */

static void empty_pools_are_counted_and_given_back(struct kunit *test)
{
	unsigned long before = kheap_pressure_count();
	struct kheap *heap = heap_with_spare(test);
	void *block = kheap_test_alloc(test, heap, BYTES);

	WRITE_ONCE(heap->base.maint_armed, false);
	KUNIT_EXPECT_EQ(test, kheap_pressure_count(),
			before + KHEAP_ARENA_POOLS - 1);
	KUNIT_EXPECT_GE(test, kheap_pressure_scan(ULONG_MAX),
			KHEAP_ARENA_POOLS - 1ul);
	KUNIT_EXPECT_EQ(test, pages_out(heap), 1);
	KUNIT_EXPECT_EQ(test, kheap_pressure_count(), 0);
	kheap_free(heap, block);
}

static void blocks_in_magazines_go_home(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, BYTES, PER_ARENA);

	kheap_test_free_many(heap, blocks, PER_ARENA);
	KUNIT_ASSERT_GT(test, nr_cached(heap), 0);
	KUNIT_EXPECT_GT(test, kheap_pressure_count(), 0);
	kheap_pressure_scan(ULONG_MAX);
	KUNIT_EXPECT_EQ(test, nr_cached(heap), 0);
	KUNIT_EXPECT_EQ(test, pages_out(heap), 0);
}

static void magazines_stay_when_empty_pools_do(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, BYTES, PER_ARENA);
	unsigned long cached;

	hold_maintenance(heap);
	kheap_test_free_many(heap, blocks, PER_ARENA);
	cached = nr_cached(heap);
	KUNIT_ASSERT_GT(test, cached, 0);
	KUNIT_EXPECT_GT(test, kheap_pressure_scan(1), 0);
	KUNIT_EXPECT_EQ(test, nr_cached(heap), cached);
}

static void heaps_are_asked_until_it_is_enough(struct kunit *test)
{
	struct kheap *one = heap_with_spare(test), *two = heap_with_spare(test);

	KUNIT_EXPECT_GE(test, kheap_pressure_scan(1), KHEAP_ARENA_POOLS);
	KUNIT_EXPECT_EQ(test, pages_out(one) + pages_out(two),
			KHEAP_ARENA_POOLS);
	KUNIT_EXPECT_EQ(test, kheap_pressure_scan(KHEAP_ARENA_POOLS),
			KHEAP_ARENA_POOLS);
	KUNIT_EXPECT_EQ(test, pages_out(one) + pages_out(two), 0);
}

static void busy_heap_is_left_alone(struct kunit *test)
{
	struct kheap *busy = heap_with_spare(test), *free = heap_with_spare(test);

	mutex_lock(&busy->base.mutex);
	KUNIT_EXPECT_EQ(test, kheap_pressure_scan(ULONG_MAX),
			KHEAP_ARENA_POOLS);
	mutex_unlock(&busy->base.mutex);
	KUNIT_EXPECT_EQ(test, pages_out(busy), KHEAP_ARENA_POOLS);
	KUNIT_EXPECT_EQ(test, pages_out(free), 0);
}

static void list_of_heaps_is_not_waited_for(struct kunit *test)
{
	struct kheap *heap = heap_with_spare(test);

	mutex_lock(&kheap_list_lock);
	KUNIT_EXPECT_EQ(test, kheap_pressure_count(), 0);
	KUNIT_EXPECT_EQ(test, kheap_pressure_scan(ULONG_MAX), 0);
	mutex_unlock(&kheap_list_lock);
	KUNIT_EXPECT_EQ(test, pages_out(heap), KHEAP_ARENA_POOLS);
}

/* --- Reclaim inside an allocation --------------------------------------- */

/* A page source that is always short, as the page allocator may be. */
struct short_source {
	struct mutex lock;
	unsigned long nr_given_back;
	unsigned long nr_allocs;
};

static struct page *alloc_after_reclaim(void *ctx, gfp_t gfp,
					unsigned int order, int node)
{
	struct short_source *source = ctx;

	source->nr_given_back += kheap_pressure_scan(ULONG_MAX);
	source->nr_allocs++;
	return order ? NULL : alloc_pages_node(node, gfp, 0);
}

static void free_page_of_source(void *ctx, struct page *page,
				unsigned int order)
{
	__free_pages(page, order);
}

static const struct kheap_page_ops short_ops = {
	.alloc = alloc_after_reclaim,
	.free = free_page_of_source,
};

/* One step of a load that goes up and down, under a lock of the client. */
static unsigned int grow_and_shrink(struct short_source *source,
				    struct kheap *heap, void **blocks,
				    unsigned int nr, size_t least)
{
	unsigned int i, nr_failed = 0;

	mutex_lock(&source->lock);
	for (i = 0; i < nr; i++) {
		blocks[i] = kheap_alloc(heap, least + i % 400,
				       GFP_KERNEL);
		nr_failed += !blocks[i];
	}
	for (i = 0; i < nr; i++)
		kheap_free(heap, blocks[i]);
	mutex_unlock(&source->lock);
	return nr_failed;
}

static void reclaim_may_run_inside_every_allocation(struct kunit *test)
{
	struct short_source source = {};
	struct kheap_params params = {
		.page_ops = &short_ops,
		.page_ctx = &source,
	};
	const unsigned int nr = 700;
	unsigned int round;
	struct kheap *heap;
	void **blocks;

	mutex_init(&source.lock);
	blocks = kunit_kcalloc(test, nr, sizeof(*blocks), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, blocks);
	heap = kheap_create("kunit-short", &params);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, heap);
	/* Each round has sizes that are new, and leaves others to be given back. */
	for (round = 0; round < 10; round++)
		KUNIT_EXPECT_EQ(test, grow_and_shrink(&source, heap, blocks, nr,
						      8 + 30 * round), 0);
	KUNIT_EXPECT_GT(test, source.nr_allocs, 0);
	KUNIT_EXPECT_GT(test, source.nr_given_back, 0);
	kheap_test_expect_sound(test, heap);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
	kheap_destroy(heap);
}

/* --- Maintenance -------------------------------------------------------- */

static void idle_pools_go_back_at_the_second_look(struct kunit *test)
{
	struct kheap *heap = heap_with_spare(test);
	void *block = kheap_test_alloc(test, heap, BYTES);

	kheap_test_maintain(heap);
	KUNIT_EXPECT_EQ(test, pages_out(heap), KHEAP_ARENA_POOLS);
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&heap->base.maint));
	kheap_test_maintain(heap);
	KUNIT_EXPECT_EQ(test, pages_out(heap), 1);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&heap->base.maint));
	kheap_free(heap, block);
}

static void idle_spare_goes_back_in_one_piece(struct kunit *test)
{
	struct kheap *heap = heap_with_spare(test);

	kheap_test_maintain(heap);
	kheap_test_maintain(heap);
	KUNIT_EXPECT_EQ(test, pages_out(heap), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&kheap_test_source(heap)->
					  nr_frees[KHEAP_ARENA_ORDER]), 1);
}

static void pools_used_between_two_looks_stay(struct kunit *test)
{
	struct kheap *heap = heap_with_spare(test);
	unsigned int round;
	void **blocks;

	for (round = 0; round < 5; round++) {
		blocks = kheap_test_alloc_many(test, heap, BYTES, PER_ARENA);
		kheap_test_free_many(heap, blocks, PER_ARENA);
		kheap_test_maintain(heap);
		/* No look but these, however long a round takes. */
		hold_maintenance(heap);
		KUNIT_EXPECT_EQ(test, pages_out(heap), KHEAP_ARENA_POOLS);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&kheap_test_source(heap)->nr_calls),
			1);
	kheap_test_maintain(heap);
	KUNIT_EXPECT_EQ(test, pages_out(heap), 0);
}

static void an_eighth_of_what_is_used_stays(struct kunit *test)
{
	struct kheap *heap = heap_with_spare(test);
	void **blocks = kheap_test_alloc_many(test, heap, BYTES,
					      PER_ARENA / 2);

	kheap_test_maintain(heap);
	kheap_test_maintain(heap);
	KUNIT_EXPECT_EQ(test, pages_out(heap), KHEAP_ARENA_POOLS / 2 +
					       KHEAP_ARENA_POOLS / 16);
	kheap_test_maintain(heap);
	KUNIT_EXPECT_EQ(test, pages_out(heap), KHEAP_ARENA_POOLS / 2 +
					       KHEAP_ARENA_POOLS / 16);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&heap->base.maint));
	kheap_test_free_many(heap, blocks, PER_ARENA / 2);
}

static void new_arena_and_empty_pool_have_maintenance_ahead(struct kunit *test)
{
	struct kheap *heap = heap_with_spare(test);
	void *block;

	kheap_test_maintain(heap);
	kheap_test_maintain(heap);
	KUNIT_ASSERT_EQ(test, pages_out(heap), 0);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&heap->base.maint));
	block = kheap_test_alloc(test, heap, BYTES);
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&heap->base.maint));
	kheap_test_maintain(heap);
	kheap_test_maintain(heap);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&heap->base.maint));
	kheap_free(heap, block);
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&heap->base.maint));
}

static struct kunit_case pressure_cases[] = {
	KUNIT_CASE(empty_pools_are_counted_and_given_back),
	KUNIT_CASE(blocks_in_magazines_go_home),
	KUNIT_CASE(magazines_stay_when_empty_pools_do),
	KUNIT_CASE(heaps_are_asked_until_it_is_enough),
	KUNIT_CASE(busy_heap_is_left_alone),
	KUNIT_CASE(list_of_heaps_is_not_waited_for),
	KUNIT_CASE_SLOW(reclaim_may_run_inside_every_allocation),
	KUNIT_CASE(idle_pools_go_back_at_the_second_look),
	KUNIT_CASE(idle_spare_goes_back_in_one_piece),
	KUNIT_CASE(pools_used_between_two_looks_stay),
	KUNIT_CASE(an_eighth_of_what_is_used_stays),
	KUNIT_CASE(new_arena_and_empty_pool_have_maintenance_ahead),
	{}
};

static struct kunit_suite pressure_suite = {
	.name = "kheap_pressure",
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = pressure_cases,
};

kunit_test_suite(pressure_suite);
