// SPDX-License-Identifier: GPL-2.0
/*
 * Per-CPU caches that are emptied: on request, when they are idle, and when their
 * CPU goes.
 */
#include <linux/cpu.h>

#include "warm.h"

struct visit {
	struct kunit *test;
	struct kheap *heap;
};

static long fill_here(void *arg)
{
	struct visit *visit = arg;

	kheap_test_warm_up(visit->test, visit->heap, SIZE);
	return 0;
}

/* Fill the caches of all CPUs. Return how many there are. */
static unsigned int fill_everywhere(struct kunit *test, struct kheap *heap)
{
	struct visit visit = { test, heap };
	unsigned int cpu, nr = 0;

	for_each_online_cpu(cpu) {
		work_on_cpu(cpu, fill_here, &visit);
		nr++;
	}
	return nr;
}

static void trim_drains_all_cpus(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_class *class;
	struct kheap_stats stats;
	unsigned int nr;
	long nr_pages;

	nr = fill_everywhere(test, heap);
	class = heap->block.classes[SZIDX];
	KUNIT_EXPECT_GE(test, kheap_class_nr_cached(class),
			(unsigned long)nr * class->max_slots);
	KUNIT_EXPECT_GT(test, kheap_trim(heap), 0);
	KUNIT_EXPECT_EQ(test, kheap_class_nr_cached(class), 0);
	stats = kheap_test_stats(heap);
	KUNIT_EXPECT_EQ(test, stats.cached_bytes, 0);
	KUNIT_EXPECT_EQ(test, stats.nr_pools, 0);
	nr_pages = atomic_long_read(&kheap_test_source(heap)->nr_pages_out);
	KUNIT_EXPECT_EQ(test, nr_pages, 0l);
}

static void idle_cache_is_drained_by_maintenance(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_class *class;

	fill_everywhere(test, heap);
	class = heap->block.classes[SZIDX];
	KUNIT_ASSERT_GT(test, kheap_class_nr_cached(class), 0);
	/* The first look remembers, the second one finds no change. */
	kheap_test_maintain(heap);
	kheap_test_maintain(heap);
	KUNIT_EXPECT_EQ(test, kheap_class_nr_cached(class), 0);
}

static void busy_cache_is_left_by_maintenance(struct kunit *test)
{
	struct kheap_cpu_cache *cache;
	struct kheap_class *class;
	struct kheap *heap = warm_heap(test, &class, &cache);
	unsigned int round;

	for (round = 0; round < 4; round++) {
		/* On a slow machine, it may have run twice by itself. */
		cancel_delayed_work_sync(&heap->base.maint);
		kheap_test_warm_up(test, heap, SIZE);
		cache->nr_slow++;
		kheap_test_maintain(heap);
		KUNIT_EXPECT_GT(test, kheap_class_nr_cached(class), 0);
	}
}

/* It has what it needs: nothing but the question can tell that it is in use. */
static void cache_that_never_misses_is_left_by_maintenance(struct kunit *test)
{
	struct kheap_cpu_cache *cache;
	struct kheap_class *class;
	struct kheap *heap = warm_heap(test, &class, &cache);
	u32 nr_slow = cache->nr_slow;
	unsigned int round;

	for (round = 0; round < 6; round++) {
		cancel_delayed_work_sync(&heap->base.maint);
		kheap_test_maintain(heap);
		kheap_free(heap, kheap_test_alloc(test, heap, SIZE));
		KUNIT_EXPECT_GT(test, nr_slots(cache), 0ul);
	}
	KUNIT_EXPECT_EQ(test, cache->nr_slow, nr_slow);
	KUNIT_EXPECT_GE(test, cache->nr_answers, round - 1);
}

/* Who is at it when the question comes has answered. */
static void question_finds_a_marked_cache_in_use(struct kunit *test)
{
	struct kheap_cpu_cache *cache;
	struct kheap_class *class;
	struct kheap *heap = warm_heap(test, &class, &cache);

	cancel_delayed_work_sync(&heap->base.maint);
	preempt_disable();
	cache->nr_slow++;
	cache->busy = KHEAP_BUSY;
	preempt_enable();
	kheap_test_maintain(heap);
	KUNIT_EXPECT_EQ(test, cache->busy, KHEAP_BUSY);
	cache->busy = 0;
	kheap_test_maintain(heap);
	KUNIT_EXPECT_GT(test, kheap_class_nr_cached(class), 0);
}

/* Blocks must not stay cached for ever because no request ever misses. */
static void cached_blocks_always_have_maintenance_ahead(struct kunit *test)
{
	struct kheap_cpu_cache *cache;
	struct kheap_class *class;
	struct kheap *heap = warm_heap(test, &class, &cache);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 8);
	unsigned int round;
	bool ahead;

	for (round = 0; round < 5; round++)
		kheap_test_maintain(heap);
	KUNIT_ASSERT_EQ(test, kheap_class_nr_cached(class), 0);
	ahead = delayed_work_pending(&heap->base.maint);
	KUNIT_EXPECT_FALSE(test, ahead);
	kheap_test_free_many(heap, blocks, 8);
	KUNIT_EXPECT_GT(test, kheap_class_nr_cached(class), 0ul);
	ahead = delayed_work_pending(&heap->base.maint);
	KUNIT_EXPECT_TRUE(test, ahead);
	for (round = 0; round < 5; round++)
		kheap_test_maintain(heap);
	KUNIT_EXPECT_EQ(test, kheap_class_nr_cached(class), 0);
}

/* What sleeps wakes up at the first miss, with the magazines it had. */
static void sleeping_cache_is_as_before_when_used_again(struct kunit *test)
{
	struct kheap_cpu_cache *cache;
	struct kheap_class *class;
	struct kheap *heap = warm_heap(test, &class, &cache);
	struct kheap_class_stats before, after;
	void **blocks;

	kheap_test_maintain(heap);
	kheap_test_maintain(heap);
	kheap_test_maintain(heap);
	KUNIT_EXPECT_EQ(test, nr_slots(cache), 0ul);
	before = class_stats(class);
	blocks = kheap_test_alloc_many(test, heap, SIZE, 200);
	after = class_stats(class);
	KUNIT_EXPECT_EQ(test, nr_slots(cache), class->max_slots);
	KUNIT_EXPECT_LE(test, after.nr_refills - before.nr_refills,
			200 / class->max_slots + 3 * after.nr_pools + 1);
	kheap_test_free_many(heap, blocks, 200);
}

static void magazines_go_with_their_cache(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache;
	void *objects[64];
	unsigned int i;

	cache = kheap_cache_create(heap, "full", 1000, 0, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	for (i = 0; i < ARRAY_SIZE(objects); i++)
		objects[i] = kheap_cache_alloc(cache, GFP_KERNEL);
	for (i = 0; i < ARRAY_SIZE(objects); i++)
		kheap_cache_free(cache, objects[i]);
	KUNIT_EXPECT_GT(test, kheap_test_stats(heap).cached_bytes, 0);
	kheap_cache_destroy(cache);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).cached_bytes, 0);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_pools, 0);
}

static void unplugged_cpu_is_drained(struct kunit *test)
{
	unsigned int cpu = cpumask_last(cpu_online_mask);
	struct kheap *heap = kheap_test_heap(test);
	struct visit visit = { test, heap };
	struct kheap_cpu_cache *cache;
	struct kheap_class *class;
	int err;

	if (!cpu)
		kunit_skip(test, "there is one CPU only");
	work_on_cpu(cpu, fill_here, &visit);
	class = heap->block.classes[SZIDX];
	KUNIT_EXPECT_GT(test, kheap_class_nr_cached(class), 0ul);
	err = remove_cpu(cpu);
	if (err)
		kunit_skip(test, "CPU %u cannot be unplugged: %d", cpu, err);
	cache = cache_on(class, cpu);
	KUNIT_EXPECT_PTR_EQ(test, cache->top, cache->base);
	KUNIT_EXPECT_EQ(test, cache->nr_previous, 0);
	kheap_test_expect_sound(test, heap);
	KUNIT_ASSERT_EQ(test, add_cpu(cpu), 0);
	work_on_cpu(cpu, fill_here, &visit);
	KUNIT_EXPECT_PTR_NE(test, cache->top, cache->base);
}

static struct kunit_case drain_cases[] = {
	KUNIT_CASE(trim_drains_all_cpus),
	KUNIT_CASE(idle_cache_is_drained_by_maintenance),
	KUNIT_CASE(busy_cache_is_left_by_maintenance),
	KUNIT_CASE(cache_that_never_misses_is_left_by_maintenance),
	KUNIT_CASE(question_finds_a_marked_cache_in_use),
	KUNIT_CASE(cached_blocks_always_have_maintenance_ahead),
	KUNIT_CASE(sleeping_cache_is_as_before_when_used_again),
	KUNIT_CASE(magazines_go_with_their_cache),
	KUNIT_CASE(unplugged_cpu_is_drained),
	{}
};

static struct kunit_suite drain_suite = {
	.name = "kheap_drain",
	.suite_init = kheap_test_untracked_init,
	.suite_exit = kheap_test_untracked_exit,
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = drain_cases,
};

kunit_test_suite(drain_suite);
