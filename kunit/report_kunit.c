// SPDX-License-Identifier: GPL-2.0
/*
 * Where reports are made: with no lock held, no busy mark set, and the scheduler
 * on, whatever was held where the reason was met. What they say is in refuse
 * and in the suites of what they are about.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/preempt.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "gc/gc.h"
#include "helpers.h"
#include "base/trace.h"

#define SIZE		512
#define NR_BLOCKS	8	/* of SIZE in a page */

/**
 * struct place - where a report was made
 * @cache: the per-CPU cache whose mark is looked at, or NULL
 * @lock: a lock that is looked at, or NULL
 * @nr: reports
 * @preempt: preempt_count() in the last one
 * @marked: the mark was set in one
 * @locked: the lock was held in one
 * @irqs_off: interrupts were off in one
 */
struct place {
	struct kheap_cpu_cache *cache;
	raw_spinlock_t *lock;
	unsigned int nr;
	int preempt;
	bool marked;
	bool locked;
	bool irqs_off;
};

static void note_place(void *data, const char *heap, const char *reason,
		       const void *ptr, unsigned long call_site)
{
	struct place *place = data;

	place->nr++;
	place->preempt = preempt_count();
	place->irqs_off |= irqs_disabled();
	if (place->cache)
		place->marked |= place->cache->busy;
	if (place->lock)
		place->locked |= raw_spin_is_locked(place->lock);
}

static void forget_place(void *place)
{
	unregister_trace_kheap_refuse(note_place, place);
	tracepoint_synchronize_unregister();
}

/* The count in a probe, called where nothing is held. */
static int usual_preempt_count(struct kunit *test, struct place *place)
{
	struct kheap *heap = kheap_test_heap(test);

	kheap_free(heap, place);
	KUNIT_ASSERT_EQ(test, place->nr, 1);
	return place->preempt;
}

/* Note the places from here on. Return the preempt_count() of a good one. */
static int watch_places(struct kunit *test, struct place *place)
{
	KUNIT_ASSERT_EQ(test, register_trace_kheap_refuse(note_place, place), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, forget_place,
							place), 0);
	return usual_preempt_count(test, place);
}

static void expect_good_place(struct kunit *test, const struct place *place,
			      int preempt)
{
	KUNIT_EXPECT_EQ(test, place->nr, 2);
	KUNIT_EXPECT_EQ(test, place->preempt, preempt);
	KUNIT_EXPECT_FALSE(test, place->irqs_off);
	KUNIT_EXPECT_FALSE(test, place->marked);
	KUNIT_EXPECT_FALSE(test, place->locked);
}

/* The CPU's cache of a class that has magazines, which are empty now. */
static struct kheap_cpu_cache *empty_cache(struct kunit *test,
					   struct kheap_class *class)
{
	struct kheap_cpu_cache *cache = raw_cpu_ptr(class->caches);

	kheap_trim(class->heap);
	KUNIT_ASSERT_NOT_NULL(test, cache->loaded);
	KUNIT_ASSERT_PTR_EQ(test, cache->top, cache->base);
	return cache;
}

static void damage_met_by_a_refill_is_told_without_the_mark(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct place place = { };
	struct kheap_pool *pool;
	unsigned int i;
	void **blocks;
	void *block;
	int preempt;

	kheap_test_stay_on(test, 0);
	for (i = 0; i < 4; i++) {
		blocks = kheap_test_alloc_many(test, heap, SIZE, NR_BLOCKS);
		kheap_test_free_many(heap, blocks, NR_BLOCKS);
	}
	blocks = kheap_test_alloc_many(test, heap, SIZE, NR_BLOCKS);
	pool = kheap_pool_of(blocks[0]);
	for (i = 1; i < NR_BLOCKS; i++)
		if (kheap_pool_of(blocks[i]) == pool)
			kheap_free(heap, blocks[i]);
	place.cache = empty_cache(test, pool->class);
	/* As a client that does not know: KASAN does not see it. */
	__memset(pool->base, 0xff, PAGE_SIZE);
	preempt = watch_places(test, &place);
	/* A miss is what lets a cache that was drained take in blocks again. */
	for (i = 0; i < 2; i++) {
		block = kheap_test_alloc(test, heap, SIZE);
		KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(block), pool);
		kheap_free(heap, block);
	}
	expect_good_place(test, &place, preempt);
	KUNIT_EXPECT_EQ(test, pool->state, KHEAP_POOL_QUARANTINED);
	for (i = 0; i < NR_BLOCKS; i++)
		if (i == 0 || kheap_pool_of(blocks[i]) != pool)
			kheap_free(heap, blocks[i]);
}

static unsigned int nr_made;

/* The links of a pool are gone before it is seen: by its last object's hand. */
static void make_damage(void *object)
{
	if (++nr_made == NR_BLOCKS)
		__memset((void *)((unsigned long)object & PAGE_MASK), 0xff,
			 PAGE_SIZE);
}

static void damage_met_in_a_new_pool_is_told_without_the_mark(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *objects[2 * NR_BLOCKS];
	struct kheap_cache *cache;
	struct place place = { };
	unsigned int i;
	int preempt;

	kheap_test_stay_on(test, 0);
	nr_made = NR_BLOCKS;	/* the first pools are good */
	cache = kheap_cache_create(heap, "damaged", SIZE - 8, 0, 0, make_damage);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	for (i = 0; i < 3; i++) {
		KUNIT_ASSERT_NE(test, kheap_cache_alloc_bulk(cache, GFP_KERNEL,
							     2 * NR_BLOCKS,
							     objects), 0);
		kheap_cache_free_bulk(cache, 2 * NR_BLOCKS, objects);
	}
	place.cache = empty_cache(test, &cache->class);
	nr_made = 0;
	preempt = watch_places(test, &place);
	objects[0] = kheap_cache_alloc(cache, GFP_KERNEL);
	expect_good_place(test, &place, preempt);
	/* Another node has a good one. */
	KUNIT_EXPECT_EQ(test, !objects[0], num_online_nodes() == 1);
	kheap_cache_free(cache, objects[0]);
	objects[0] = kheap_cache_alloc(cache, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, objects[0]);
	kheap_cache_free(cache, objects[0]);
}

static void full_count_met_by_an_upgrade_is_told_unlocked(struct kunit *test)
{
	static const struct kheap_type_ops ops = {
		.name = "full",
		.size = sizeof(struct kheap_object),
		.flags = KHEAP_TYPE_WEAK,
	};
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type *type = kheap_type_create(heap, &ops);
	struct place place = { };
	struct kheap_weakref ref;
	struct kheap_object *obj;
	int preempt;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, type);
	obj = kheap_object_new(type, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, obj);
	KUNIT_ASSERT_EQ(test, kheap_weakref_init(&ref, obj, NULL), 0);
	refcount_set(&obj->refs, INT_MAX);
	place.lock = &type->gc->weak_lock;
	preempt = watch_places(test, &place);
	KUNIT_EXPECT_PTR_EQ(test, kheap_weakref_get(&ref), obj);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(obj), UINT_MAX);
	expect_good_place(test, &place, preempt);
	KUNIT_EXPECT_PTR_EQ(test, kheap_weakref_get(&ref), obj);
	KUNIT_EXPECT_EQ(test, place.nr, 2);
	refcount_set(&obj->refs, 1);
	kheap_weakref_clear(&ref);
	kheap_object_put(obj);
}

/* --- What goes away while a report is made ------------------------------ */

/**
 * struct gone - a pool that is given back while a report of it is made
 * @heap: its heap
 * @met: the report is being made
 * @trimmed: the pool is gone
 */
struct gone {
	struct kheap *heap;
	bool met;
	bool trimmed;
};

static void take_time(void *data, const char *heap, const char *reason,
		      const void *ptr, unsigned long call_site)
{
	struct gone *gone = data;
	unsigned int ms;

	WRITE_ONCE(gone->met, true);
	for (ms = 0; ms < 1000 && !READ_ONCE(gone->trimmed); ms++)
		mdelay(1);
}

static int trim_meanwhile(void *data)
{
	struct gone *gone = data;

	while (!READ_ONCE(gone->met) && !kthread_should_stop())
		cpu_relax();
	kheap_trim(gone->heap);
	WRITE_ONCE(gone->trimmed, true);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

/* KASAN says whether anything of the pool is looked at again. */
static void report_outlives_the_pool_it_is_about(struct kunit *test)
{
	struct gone gone = {
		.heap = kheap_test_heap_with(test, KHEAP_DEBUG_USER, 0),
	};
	void *block = kheap_test_alloc(test, gone.heap, SIZE);
	struct task_struct *task;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");
	kheap_test_watch_log(test);
	kheap_free(gone.heap, block);
	KUNIT_ASSERT_EQ(test, register_trace_kheap_refuse(take_time, &gone), 0);
	task = kthread_run(trim_meanwhile, &gone, "kheap-kunit-trim");
	KUNIT_EXPECT_FALSE(test, IS_ERR(task));
	kheap_free(gone.heap, block);
	unregister_trace_kheap_refuse(take_time, &gone);
	tracepoint_synchronize_unregister();
	kthread_stop(task);
	KUNIT_EXPECT_TRUE(test, gone.trimmed);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(gone.heap).nr_pools, 0);
	KHEAP_EXPECT_LOGGED(test, "is free: freed before");
	KHEAP_EXPECT_LOGGED(test, "size class, blocks of");
	KHEAP_EXPECT_LOGGED(test, "freed by");
}

static struct kunit_case report_cases[] = {
	KUNIT_CASE(damage_met_by_a_refill_is_told_without_the_mark),
	KUNIT_CASE(damage_met_in_a_new_pool_is_told_without_the_mark),
	KUNIT_CASE(full_count_met_by_an_upgrade_is_told_unlocked),
	KUNIT_CASE(report_outlives_the_pool_it_is_about),
	{}
};

static struct kunit_suite report_suite = {
	.name = "kheap_report",
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = report_cases,
};

kunit_test_suite(report_suite);
