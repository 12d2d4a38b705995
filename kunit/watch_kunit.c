// SPDX-License-Identifier: GPL-2.0
/*
 * Watching heaps: what is watched misses the fast paths and nothing else
 * changes, whoever switches it when.
 */
#include <linux/kthread.h>
#include <linux/prandom.h>

#include "helpers.h"

#define SIZE		64
#define SZIDX		(SIZE / 8 - 1)
#define NR_BLOCKS	500
#define NR_ROUNDS	4
#define NR_THREADS	4

static struct kheap_class *size_class(struct kheap *heap)
{
	return heap->block.classes[SZIDX];
}

static bool is_led_astray(const struct kheap_class *class)
{
	return class->cpu == kheap_cold_class.cpu &&
	       class->caches != kheap_cold_class.cpu;
}

static void use(struct kunit *test, struct kheap *heap)
{
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, NR_BLOCKS);

	kheap_test_free_many(heap, blocks, NR_BLOCKS);
}

static void start_keeps_caches_and_hides_them(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);

	use(test, heap);
	KUNIT_EXPECT_FALSE(test, is_led_astray(size_class(heap)));
	kheap_watch_start(heap, KHEAP_WATCH_DEBUG);
	KUNIT_EXPECT_TRUE(test, is_led_astray(size_class(heap)));
	KUNIT_EXPECT_GT(test, kheap_class_nr_cached(size_class(heap)), 0ul);
	kheap_test_expect_sound(test, heap);
	kheap_watch_stop(heap, KHEAP_WATCH_DEBUG);
	KUNIT_EXPECT_FALSE(test, is_led_astray(size_class(heap)));
}

static void class_made_meanwhile_is_watched(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache;

	kheap_watch_start(heap, KHEAP_WATCH_DEBUG);
	cache = kheap_cache_create(heap, "late", SIZE, 0, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	KUNIT_EXPECT_TRUE(test, is_led_astray(&cache->class));
	use(test, heap);
	KUNIT_EXPECT_TRUE(test, is_led_astray(size_class(heap)));
	kheap_watch_stop(heap, KHEAP_WATCH_DEBUG);
	KUNIT_EXPECT_FALSE(test, is_led_astray(&cache->class));
	KUNIT_EXPECT_FALSE(test, is_led_astray(size_class(heap)));
}

static void watched_blocks_go_through_the_caches(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *block, *again;

	use(test, heap);
	kheap_watch_start(heap, KHEAP_WATCH_DEBUG);
	migrate_disable();
	block = kheap_alloc(heap, SIZE, GFP_ATOMIC);
	kheap_free(heap, block);
	again = kheap_alloc(heap, SIZE, GFP_ATOMIC);
	migrate_enable();
	KUNIT_EXPECT_PTR_EQ(test, block, again);
	kheap_free(heap, again);
	kheap_watch_stop(heap, KHEAP_WATCH_DEBUG);
}

static void reasons_add_up(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);

	use(test, heap);
	kheap_watch_start(heap, KHEAP_WATCH_DEBUG);
	kheap_watch_start(heap, KHEAP_WATCH_DEBUG);
	kheap_watch_start(heap, KHEAP_WATCH_INJECT);
	kheap_watch_stop(heap, KHEAP_WATCH_DEBUG);
	KUNIT_EXPECT_TRUE(test, is_led_astray(size_class(heap)));
	KUNIT_EXPECT_TRUE(test, static_key_enabled(&kheap_careful_key));
	kheap_watch_stop(heap, KHEAP_WATCH_INJECT);
	kheap_watch_stop(heap, KHEAP_WATCH_INJECT);
	KUNIT_EXPECT_FALSE(test, is_led_astray(size_class(heap)));
}

static void all_means_later_heaps_too(struct kunit *test)
{
	struct kheap *early = kheap_test_heap(test), *late;

	use(test, early);
	kheap_watch_all(true);
	kheap_watch_all(true);
	late = kheap_test_heap(test);
	use(test, late);
	KUNIT_EXPECT_TRUE(test, is_led_astray(size_class(early)));
	KUNIT_EXPECT_TRUE(test, is_led_astray(size_class(late)));
	kheap_watch_all(false);
	KUNIT_EXPECT_TRUE(test, is_led_astray(size_class(early)));
	kheap_watch_all(false);
	KUNIT_EXPECT_FALSE(test, is_led_astray(size_class(early)));
	KUNIT_EXPECT_FALSE(test, is_led_astray(size_class(late)));
}

static void heap_destroyed_while_watched_ends_the_watch(struct kunit *test)
{
	bool before = static_key_enabled(&kheap_careful_key);
	struct kheap *heap = kheap_test_heap(test);

	kheap_watch_start(heap, KHEAP_WATCH_DEBUG);
	kheap_watch_start(heap, KHEAP_WATCH_INJECT);
	use(test, heap);
	kheap_test_heap_destroy(test, heap);
	KUNIT_EXPECT_EQ(test, static_key_enabled(&kheap_careful_key), before);
}

/* --- Under load --------------------------------------------------------- */

struct load {
	struct kheap *heap;
	bool stop;
	atomic_t nr_bad;
	atomic_long_t nr_ops;
};

static bool swap_block(struct load *load, struct rnd_state *rnd,
		       unsigned long **place)
{
	unsigned long *block = *place;
	size_t size = 8 + prandom_u32_state(rnd) % 1000;

	if (block) {
		if (*block != (unsigned long)place)
			return false;
		kheap_free(load->heap, block);
	}
	block = kheap_alloc(load->heap, size, GFP_KERNEL);
	if (block)
		*block = (unsigned long)place;
	*place = block;
	return true;
}

static int load_thread(void *data)
{
	unsigned long *held[64] = {};
	struct load *load = data;
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, (unsigned long)current);
	while (!kthread_should_stop()) {
		i = prandom_u32_state(&rnd) % ARRAY_SIZE(held);
		if (!swap_block(load, &rnd, &held[i]))
			atomic_inc(&load->nr_bad);
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
		threads[i] = kthread_run(load_thread, &load, "watch/%u", i);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, threads[i]);
	}
	for (i = 0; i < NR_ROUNDS; i++) {
		wait_for_ops(&load, 500);
		kheap_watch_start(load.heap, KHEAP_WATCH_DEBUG);
		kheap_watch_all(true);
		wait_for_ops(&load, 500);
		KUNIT_EXPECT_EQ(test, kheap_check(load.heap), 0);
		kheap_watch_stop(load.heap, KHEAP_WATCH_DEBUG);
		kheap_watch_all(false);
	}
	for (i = 0; i < NR_THREADS; i++)
		kthread_stop(threads[i]);
	KUNIT_EXPECT_EQ(test, atomic_read(&load.nr_bad), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(load.heap).nr_allocated, 0ul);
}

static struct kunit_case watch_cases[] = {
	KUNIT_CASE(start_keeps_caches_and_hides_them),
	KUNIT_CASE(class_made_meanwhile_is_watched),
	KUNIT_CASE(watched_blocks_go_through_the_caches),
	KUNIT_CASE(reasons_add_up),
	KUNIT_CASE(all_means_later_heaps_too),
	KUNIT_CASE(heap_destroyed_while_watched_ends_the_watch),
	KUNIT_CASE_SLOW(switching_under_load_loses_nothing),
	{}
};

static struct kunit_suite watch_suite = {
	.name = "kheap_watch",
	.suite_init = kheap_test_untracked_init,
	.suite_exit = kheap_test_untracked_exit,
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = watch_cases,
};

kunit_test_suite(watch_suite);
