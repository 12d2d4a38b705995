// SPDX-License-Identifier: GPL-2.0
/*
 * Frees after a grace period: what readers may rely on, and that nothing is
 * lost.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/rcupdate.h>

#include "helpers.h"

#define PATTERN	0x3c
#define LARGE	40000	/* no block of a pool */

static unsigned long nr_live(struct kheap *heap)
{
	struct kheap_stats stats = kheap_test_stats(heap);

	return stats.nr_allocated + stats.nr_large;
}

/* Wait for frees that nobody hurries, but not for ever. */
static bool all_freed_soon(struct kheap *heap)
{
	unsigned long end = jiffies + 10 * HZ;

	while (nr_live(heap) && time_before(jiffies, end))
		schedule_timeout_interruptible(1);
	return !nr_live(heap);
}

static const size_t rcu_sizes[] = { 8, 24, 64, 72, 512, 513, 5000, LARGE };

static void size_desc(const size_t *size, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu_bytes", *size);
}

KHEAP_TEST_SWEEP_PARAM(rcu_sizes, rcu_sizes, size_desc, 3);

static void block_is_freed_after_a_while(struct kunit *test)
{
	size_t size = *(const size_t *)test->param_value;
	struct kheap *heap = kheap_test_heap(test);

	kheap_free_rcu(heap, kheap_test_alloc(test, heap, size));
	KUNIT_EXPECT_TRUE(test, all_freed_soon(heap));
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0ul);
}

static void null_is_fine(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);

	kheap_free_rcu(heap, NULL);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0ul);
}

static void thousands_of_blocks_are_all_freed(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	unsigned int i, nr = 20000;
	unsigned long start;

	for (i = 0; i < nr; i++)
		kheap_free_rcu(heap, kheap_test_alloc(test, heap,
						      i * 7 % 600 + 1));
	/* A grace period each would take minutes. */
	start = jiffies;
	kheap_trim(heap);
	KUNIT_EXPECT_LT(test, jiffies - start, 10ul * HZ);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_pools, 0ul);
}

static void trim_waits_for_pending_blocks(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);

	kheap_free_rcu(heap, kheap_test_alloc(test, heap, 100));
	kheap_free_rcu(heap, kheap_test_alloc(test, heap, LARGE));
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
}

/*
 * Others free all the time, in every grace period; but not for ever, and they
 * wait where a busy machine cannot sweep as fast.
 */
#define FREE_FOR	(20 * HZ)
#define BEHIND		10000	/* blocks */

static int free_all_the_time(void *data)
{
	unsigned long end = jiffies + FREE_FOR;
	struct kheap *heap = data;
	unsigned int i;

	while (!kthread_should_stop()) {
		for (i = 0; i < 64 && time_before(jiffies, end); i++) {
			kheap_free_rcu(heap, kheap_alloc(heap, 100,
							 GFP_KERNEL));
			udelay(9);
			cond_resched();
		}
		if (i < 64 || nr_live(heap) > BEHIND)
			usleep_range(200, 400);
	}
	return 0;
}

static void trim_waits_for_no_block_that_comes_later(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct task_struct *tasks[3];
	unsigned long start;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tasks); i++) {
		tasks[i] = kthread_run(free_all_the_time, heap,
				       "kheap-kunit-rcu/%u", i);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, tasks[i]);
	}
	msleep(20);
	start = jiffies;
	kheap_trim(heap);
	KUNIT_EXPECT_LT(test, jiffies - start, FREE_FOR * 3ul / 4);
	for (i = 0; i < ARRAY_SIZE(tasks); i++)
		kthread_stop(tasks[i]);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
}

static void destroy_waits_for_pending_blocks(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);

	kheap_free_rcu(heap, kheap_test_alloc(test, heap, 100));
	kheap_free_rcu(heap, kheap_test_alloc(test, heap, LARGE));
	kheap_test_watch_log(test);
	kheap_test_heap_end(test, heap);
	KUNIT_EXPECT_EQ(test, kheap_test_logged("live blocks"), 0u);
}

static void cache_destroy_waits_for_pending_objects(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache;

	cache = kheap_cache_create(heap, "pending", 300, 0, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	kheap_free_rcu(heap, kheap_cache_alloc(cache, GFP_KERNEL));
	kheap_test_watch_log(test);
	kheap_cache_destroy(cache);
	KUNIT_EXPECT_EQ(test, kheap_test_logged("live objects"), 0u);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
}

static void heap_without_cpu_caches_frees_after_a_while(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
	unsigned int i;

	for (i = 0; i < 1000; i++)
		kheap_free_rcu(heap, kheap_test_alloc(test, heap, 48));
	KUNIT_EXPECT_TRUE(test, all_freed_soon(heap));
}

/* --- One sweep of many -------------------------------------------------- */

#define ROOM	16U	/* words */
#define NR_WORDS	100U	/* that wait */

static void give_room(void *room)
{
	WRITE_ONCE(kheap_rcu_room, (unsigned long)room);
}

static void take_room(struct kunit *test, unsigned int nr)
{
	unsigned long room = kheap_rcu_room;

	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, give_room,
							(void *)room), 0);
	WRITE_ONCE(kheap_rcu_room, nr);
}

/* Blocks of 64 bytes, so that a pool has a word of them; no work comes. */
static void **many_words(struct kunit *test, struct kheap *heap)
{
	WRITE_ONCE(heap->block.rcu_armed, true);
	return kheap_test_alloc_many(test, heap, 64, NR_WORDS * 64);
}

static void sweep_frees_no_more_than_it_has_room_for(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = many_words(test, heap);
	unsigned long before, after;
	unsigned int i, rounds = 1;

	take_room(test, ROOM);
	for (i = 0; i < NR_WORDS * 64; i++)
		kheap_free_rcu(heap, blocks[i]);
	while (kheap_rcu_sweep(heap) && rounds < NR_WORDS) {
		before = nr_live(heap);
		WRITE_ONCE(heap->block.rcu_armed, true);
		rounds++;
	}
	after = nr_live(heap);
	KUNIT_EXPECT_GE(test, rounds, NR_WORDS / ROOM);
	KUNIT_EXPECT_LE(test, rounds, NR_WORDS / ROOM + 3);
	KUNIT_EXPECT_EQ(test, after, 0ul);
	KUNIT_EXPECT_LE(test, before - after, ROOM * 64ul);
}

/* In a pool that has been gathered, and before where the next one begins. */
static void sweep_comes_to_what_was_parked_behind_it(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = many_words(test, heap);
	unsigned int i, rounds = 0;

	take_room(test, ROOM);
	for (i = 0; i < NR_WORDS * 64; i += 2)
		kheap_free_rcu(heap, blocks[i]);
	KUNIT_EXPECT_TRUE(test, kheap_rcu_sweep(heap));
	WRITE_ONCE(heap->block.rcu_armed, true);
	for (i = 1; i < NR_WORDS * 64; i += 2)
		kheap_free_rcu(heap, blocks[i]);
	while (kheap_rcu_sweep(heap) && rounds++ < NR_WORDS)
		WRITE_ONCE(heap->block.rcu_armed, true);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0ul);
}

static void flush_is_complete_after_a_sweep_that_was_not(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = many_words(test, heap);
	unsigned int i;

	take_room(test, ROOM);
	for (i = 0; i < NR_WORDS * 64; i++)
		kheap_free_rcu(heap, blocks[i]);
	KUNIT_EXPECT_TRUE(test, kheap_rcu_sweep(heap));
	WRITE_ONCE(heap->block.rcu_armed, true);
	kheap_rcu_flush(heap);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
}

/* What a sweep leaves the heap's work goes on with, without a further free. */
static void work_goes_on_with_what_had_no_room(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, 64, NR_WORDS * 64);
	unsigned int i;

	take_room(test, ROOM);
	for (i = 0; i < NR_WORDS * 64; i++)
		kheap_free_rcu(heap, blocks[i]);
	KUNIT_EXPECT_TRUE(test, all_freed_soon(heap));
}

/* As a sweep whose grace period is over, and that does not come to free. */
static void ripen(struct kheap *heap, struct kheap_parked_word *words,
		  void **blocks)
{
	unsigned int i;

	for (i = 0; i < NR_WORDS; i++) {
		struct kheap_pool *pool = kheap_pool_of(blocks[i * 64]);

		words[i].pool = pool;
		words[i].first = 0;
		words[i].bits = *kheap_parked_bits(pool);
		pool->arena->parked = false;
	}
	raw_spin_lock_irq(&heap->block.ripe_lock);
	heap->block.ripe = words;
	WRITE_ONCE(heap->block.nr_ripe, NR_WORDS);
	raw_spin_unlock_irq(&heap->block.ripe_lock);
}

static void who_parks_frees_what_is_ripe(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
	void **blocks = many_words(test, heap), **more;
	struct kheap_parked_word *words;
	unsigned int i;

	words = kunit_kcalloc(test, NR_WORDS, sizeof(*words), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, words);
	more = kheap_test_alloc_many(test, heap, 64, NR_WORDS * 64);
	mutex_lock(&heap->block.rcu_mutex);
	for (i = 0; i < NR_WORDS * 64; i++)
		kheap_free_rcu(heap, blocks[i]);
	synchronize_rcu();
	ripen(heap, words, blocks);
	for (i = 0; i < NR_WORDS * 64; i++) {
		kheap_free_rcu(heap, more[i]);
		if (i % 64 == 63)
			KUNIT_EXPECT_LE(test, nr_live(heap),
					NR_WORDS * 128ul - i);
	}
	KUNIT_EXPECT_EQ(test, heap->block.nr_ripe, 0u);
	KUNIT_EXPECT_EQ(test, nr_live(heap), NR_WORDS * 64ul);
	mutex_unlock(&heap->block.rcu_mutex);
	kheap_rcu_flush(heap);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0ul);
}

/* They do not wait for anybody, and park as fast as they can. */
static int park_without_end(void *data)
{
	struct kheap *heap = data;

	while (!kthread_should_stop()) {
		kheap_free_rcu(heap, kheap_alloc(heap, 1000, GFP_KERNEL));
		cond_resched();
	}
	return 0;
}

static unsigned long most_that_waited(struct kheap *heap, unsigned long ticks)
{
	unsigned long end = jiffies + ticks, most = 0;

	while (time_before(jiffies, end)) {
		most = max(most, nr_live(heap));
		schedule_timeout_interruptible(1);
	}
	return most;
}

static void backlog_of_fast_parkers_does_not_grow(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct task_struct *tasks[3];
	unsigned long early, late;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tasks); i++) {
		tasks[i] = kthread_run(park_without_end, heap,
				       "kheap-kunit-rcu/%u", i);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, tasks[i]);
	}
	early = most_that_waited(heap, HZ);
	late = most_that_waited(heap, 4 * HZ);
	for (i = 0; i < ARRAY_SIZE(tasks); i++)
		kthread_stop(tasks[i]);
	kunit_info(test, "%lu, then %lu waited\n", early, late);
	KUNIT_EXPECT_LT(test, late, 2 * early + 10000);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
}

/* --- Readers ------------------------------------------------------------ */

/*
 * Another thread gives up the block and does all it can to have it used again.
 */
struct giver {
	struct kheap *heap;
	struct kheap_cache *cache;	/* that the block is of, or NULL */
	void *block;
	struct completion given;
};

static void *giver_alloc(struct giver *giver)
{
	if (giver->cache)
		return kheap_cache_alloc(giver->cache, GFP_KERNEL);
	return kheap_alloc(giver->heap, 64, GFP_KERNEL);
}

static void giver_free(struct giver *giver, void *block)
{
	if (giver->cache)
		kheap_cache_free(giver->cache, block);
	else
		kheap_free(giver->heap, block);
}

static int give_up(void *data)
{
	struct giver *giver = data;
	void *blocks[64];
	unsigned int i, round;

	if (giver->cache)
		kheap_cache_free(giver->cache, giver->block);
	else
		kheap_free_rcu(giver->heap, giver->block);
	for (round = 0; round < 8; round++) {
		for (i = 0; i < ARRAY_SIZE(blocks); i++) {
			blocks[i] = giver_alloc(giver);
			if (blocks[i])
				memset(blocks[i], 0xff, 64);
		}
		for (i = 0; i < ARRAY_SIZE(blocks); i++)
			giver_free(giver, blocks[i]);
	}
	complete(&giver->given);
	return 0;
}

static void read_while_given_up(struct kunit *test, struct kheap *heap,
				struct kheap_cache *cache)
{
	struct giver giver = { .heap = heap, .cache = cache };
	struct task_struct *thread;
	unsigned long end;
	bool whole = true, done = false;

	giver.block = giver_alloc(&giver);
	KUNIT_ASSERT_NOT_NULL(test, giver.block);
	memset(giver.block, PATTERN, 64);
	init_completion(&giver.given);
	thread = kthread_create(give_up, &giver, "kheap-giver");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, thread);
	if (num_online_cpus() > 1)
		kthread_bind(thread, cpumask_last(cpu_online_mask));
	end = jiffies + HZ / 2;
	rcu_read_lock();
	wake_up_process(thread);
	while (time_before(jiffies, end)) {
		whole &= !memchr_inv(giver.block, PATTERN, 64);
		done |= try_wait_for_completion(&giver.given);
		cpu_relax();
	}
	rcu_read_unlock();
	KUNIT_EXPECT_TRUE(test, whole);
	if (!done)
		wait_for_completion(&giver.given);
	KUNIT_EXPECT_TRUE(test, all_freed_soon(giver.heap));
}

static void reader_sees_the_contents_until_it_is_done(struct kunit *test)
{
	read_while_given_up(test, kheap_test_heap(test), NULL);
}

/* --- Caches whose objects outlive a grace period ------------------------ */

static struct kheap_cache *rcu_cache(struct kunit *test, struct kheap *heap,
				     size_t size, void (*ctor)(void *object))
{
	struct kheap_cache *cache;

	cache = kheap_cache_create(heap, "rcu", size, 0, KHEAP_CACHE_RCU, ctor);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	return cache;
}

static void reader_of_an_rcu_cache_sees_the_contents(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);

	read_while_given_up(test, heap, rcu_cache(test, heap, 64, NULL));
}

static void objects_of_an_rcu_cache_are_all_freed(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache = rcu_cache(test, heap, 5000, NULL);
	void *objects[100];
	unsigned int i;

	for (i = 0; i < 50; i++)
		objects[i] = kheap_cache_alloc(cache, GFP_KERNEL);
	KUNIT_ASSERT_EQ(test, kheap_cache_alloc_bulk(cache, GFP_KERNEL, 50,
						     objects + 50), 50);
	for (i = 0; i < 50; i++)
		kheap_cache_free(cache, objects[i]);
	kheap_cache_free_bulk(cache, 50, objects + 50);
	KUNIT_EXPECT_TRUE(test, all_freed_soon(heap));
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_pools, 0ul);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0ul);
}

static void construct(void *object)
{
	memset(object, PATTERN, 48);
}

static void object_of_an_rcu_cache_stays_constructed(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache = rcu_cache(test, heap, 48, construct);
	void *object = kheap_cache_alloc(cache, GFP_KERNEL);
	void *other = kheap_cache_alloc(cache, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, object);
	KUNIT_ASSERT_NOT_NULL(test, other);
	kheap_cache_free(cache, object);
	KUNIT_EXPECT_NULL(test, memchr_inv(object, PATTERN, 48));
	kheap_trim(heap);	/* @other keeps the page */
	KUNIT_EXPECT_EQ(test, nr_live(heap), 1ul);
	KUNIT_EXPECT_NULL(test, memchr_inv(object, PATTERN, 48));
	kheap_cache_free(cache, other);
	KUNIT_EXPECT_TRUE(test, all_freed_soon(heap));
}

static void bad_pointers_to_an_rcu_cache_are_refused(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache = rcu_cache(test, heap, 48, NULL);
	void *object = kheap_cache_alloc(cache, GFP_KERNEL);
	void *block = kheap_test_alloc(test, heap, 48);

	kheap_test_watch_log(test);
	kheap_cache_free(cache, NULL);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0ul);
	kheap_cache_free(cache, object + 8);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_INNER), 1ul);
	kheap_cache_free(cache, block);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_CACHE), 1ul);
	kheap_free(heap, object);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_CACHE), 2ul);
	kheap_cache_free(cache, object);
	kheap_cache_free(cache, object);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_FREED), 1ul);
	kheap_free(heap, block);
	KUNIT_EXPECT_TRUE(test, all_freed_soon(heap));
}

/* --- Hard places -------------------------------------------------------- */

static void irqs_off_is_fine(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, 32, 500);
	void *large = kheap_test_alloc(test, heap, LARGE);
	unsigned int i;

	local_irq_disable();
	for (i = 0; i < 500; i++)
		kheap_free_rcu(heap, blocks[i]);
	kheap_free_rcu(heap, large);
	local_irq_enable();
	KUNIT_EXPECT_TRUE(test, all_freed_soon(heap));
}

struct shot {
	struct hrtimer timer;
	struct kheap *heap;
	void *blocks[100];
	struct completion fired;
};

static enum hrtimer_restart shoot(struct hrtimer *timer)
{
	struct shot *shot = container_of(timer, struct shot, timer);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(shot->blocks); i++)
		kheap_free_rcu(shot->heap, shot->blocks[i]);
	complete(&shot->fired);
	return HRTIMER_NORESTART;
}

static void interrupt_is_fine(struct kunit *test)
{
	struct shot *shot = kunit_kzalloc(test, sizeof(*shot), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, shot);
	shot->heap = kheap_test_heap(test);
	for (i = 0; i < ARRAY_SIZE(shot->blocks); i++)
		shot->blocks[i] = kheap_test_alloc(test, shot->heap,
						   i % 10 ? 80 : LARGE);
	init_completion(&shot->fired);
	hrtimer_setup(&shot->timer, shoot, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	hrtimer_start(&shot->timer, ns_to_ktime(NSEC_PER_MSEC),
		      HRTIMER_MODE_REL);
	wait_for_completion(&shot->fired);
	hrtimer_cancel(&shot->timer);
	KUNIT_EXPECT_TRUE(test, all_freed_soon(shot->heap));
}

/* A heap that can get no memory at all any more still frees. */
static void nothing_is_lost_without_memory(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, 64, 3000);
	unsigned int i;

	kheap_test_source(heap)->fail_all = true;
	heap->base.limit_bytes = 1;
	KUNIT_EXPECT_NULL(test, kheap_alloc(heap, LARGE, GFP_KERNEL |
					    __GFP_NOWARN));
	for (i = 0; i < 3000; i++)
		kheap_free_rcu(heap, blocks[i]);
	KUNIT_EXPECT_TRUE(test, all_freed_soon(heap));
	heap->base.limit_bytes = 0;
}

/* --- Refusals ----------------------------------------------------------- */

static void second_free_is_refused(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *block = kheap_test_alloc(test, heap, 64);
	void *large = kheap_test_alloc(test, heap, LARGE);

	kheap_test_watch_log(test);
	kheap_free_rcu(heap, block);
	kheap_free_rcu(heap, block);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 1ul);
	kheap_free_rcu(heap, large);
	kheap_free_rcu(heap, large);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 2ul);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 2ul);
}

/* Else the block might be another's when its grace period ends. */
static void free_of_a_pending_block_is_refused(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *block = kheap_test_alloc(test, heap, 64);
	void *large = kheap_test_alloc(test, heap, LARGE);

	kheap_test_watch_log(test);
	kheap_free_rcu(heap, block);
	kheap_free(heap, block);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 1ul);
	kheap_free_rcu(heap, large);
	kheap_free(heap, large);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 2ul);
	KUNIT_EXPECT_NULL(test, kheap_realloc(heap, large, 1, GFP_KERNEL));
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 0ul);
}

static void bad_pointers_are_refused(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap *other = kheap_test_heap(test);
	void *block = kheap_test_alloc(test, heap, 64);
	void *freed = kheap_test_alloc(test, heap, 64);

	kheap_free(heap, freed);
	kheap_test_watch_log(test);
	kheap_free_rcu(heap, block + 8);
	kheap_free_rcu(heap, freed);
	kheap_free_rcu(heap, test);
	kheap_free_rcu(other, block);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 3ul);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(other), 1ul);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, nr_live(heap), 1ul);
	kheap_free(heap, block);
}

static struct kunit_case rcu_cases[] = {
	KUNIT_CASE_PARAM(block_is_freed_after_a_while, rcu_sizes_gen_params),
	KUNIT_CASE(null_is_fine),
	KUNIT_CASE_SLOW(thousands_of_blocks_are_all_freed),
	KUNIT_CASE(trim_waits_for_pending_blocks),
	KUNIT_CASE(trim_waits_for_no_block_that_comes_later),
	KUNIT_CASE(destroy_waits_for_pending_blocks),
	KUNIT_CASE(cache_destroy_waits_for_pending_objects),
	KUNIT_CASE(heap_without_cpu_caches_frees_after_a_while),
	KUNIT_CASE(sweep_frees_no_more_than_it_has_room_for),
	KUNIT_CASE(sweep_comes_to_what_was_parked_behind_it),
	KUNIT_CASE(flush_is_complete_after_a_sweep_that_was_not),
	KUNIT_CASE(work_goes_on_with_what_had_no_room),
	KUNIT_CASE(who_parks_frees_what_is_ripe),
	KUNIT_CASE_SLOW(backlog_of_fast_parkers_does_not_grow),
	KUNIT_CASE(reader_sees_the_contents_until_it_is_done),
	KUNIT_CASE_SLOW(reader_of_an_rcu_cache_sees_the_contents),
	KUNIT_CASE(objects_of_an_rcu_cache_are_all_freed),
	KUNIT_CASE(object_of_an_rcu_cache_stays_constructed),
	KUNIT_CASE(bad_pointers_to_an_rcu_cache_are_refused),
	KUNIT_CASE(irqs_off_is_fine),
	KUNIT_CASE(interrupt_is_fine),
	KUNIT_CASE(nothing_is_lost_without_memory),
	KUNIT_CASE(second_free_is_refused),
	KUNIT_CASE(free_of_a_pending_block_is_refused),
	KUNIT_CASE(bad_pointers_are_refused),
	{}
};

static struct kunit_suite rcu_suite = {
	.name = "kheap_rcu",
	.suite_init = kheap_test_untracked_init,
	.suite_exit = kheap_test_untracked_exit,
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = rcu_cases,
};

kunit_test_suite(rcu_suite);
