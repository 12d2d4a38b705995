// SPDX-License-Identifier: GPL-2.0
/*
 * The collector: what it refuses and cannot collect, when it runs, and what
 * a run looks at.
 */
#include <linux/delay.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "nodes.h"

#define NR_BIG		2000U

/* --- Refusals ----------------------------------------------------------- */

static long answers[3];
static struct kheap *refusing_heap;

static void collect_inside(struct node *node)
{
	answers[0] = kheap_gc_collect(refusing_heap, 0);
	answers[1] = kheap_gc_collect(refusing_heap, KHEAP_GC_FULL);
	answers[2] = kheap_gc_freeze(refusing_heap);
}

static void expect_refused(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, answers[i], -EDEADLK);
		answers[i] = 0;
	}
}

static void collect_inside_a_callback_is_refused(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_final_ops);
	struct node *ring[2];

	refusing_heap = heap;
	nodes.in_release = collect_inside;
	node_put(node_new(test, type));
	expect_refused(test);
	nodes.in_release = NULL;
	nodes.in_finalize = collect_inside;
	node_put(node_new(test, type));
	expect_refused(test);
	node_ring(test, type, ring, 2);
	node_put_all(ring, 2);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 2);
	expect_refused(test);
	nodes.in_finalize = NULL;
	nodes.in_release = collect_inside;
	node_ring(test, type, ring, 2);
	node_put_all(ring, 2);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 2);
	expect_refused(test);
	node_expect_empty(test, heap);
}

static void collect_refuses_unknown_flags(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);

	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, ~0U), -EINVAL);
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, KHEAP_GC_FULL), 0);
}

static void run_without_memory_gives_up_and_the_next_makes_up_for_it(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *ring[3];

	node_ring(test, node_type(test, heap, &node_ops), ring, 3);
	node_put_all(ring, 3);
	heap->base.limit_bytes = 1;
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), -ENOMEM);
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	heap->base.limit_bytes = 0;
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_given_up, 1);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 3);
	node_expect_empty(test, heap);
}

static void candidates_that_find_no_memory_make_the_next_run_full(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *ring[3];

	node_ring(test, node_type(test, heap, &node_ops), ring, 3);
	heap->base.limit_bytes = 1;
	node_put_all(ring, 3);
	heap->base.limit_bytes = 0;
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, 0), 3);
	node_expect_empty(test, heap);
}

/* --- What cannot be collected ------------------------------------------- */

static void stubborn_cycle_is_listed_and_stays_usable(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *ring[3];
	unsigned int i;

	node_ring(test, node_type(test, heap, &node_ops), ring, 3);
	for (i = 0; i < 3; i++)
		ring[i]->stubborn = true;
	node_put_all(ring, 3);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 0);
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_uncollectable, 3);
	KUNIT_EXPECT_EQ(test, kheap_collector(heap->object.gc)->listed[0].reason,
			KHEAP_GC_CLEAR_LEFT);
	KUNIT_EXPECT_TRUE(test, kheap_object_tryget(&ring[0]->obj));
	for (i = 0; i < 3; i++)
		ring[i]->stubborn = false;
	node_put(ring[0]);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 3);
	node_expect_empty(test, heap);
}

static void cycle_without_clear_is_listed(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type_ops ops = node_ops;
	struct node *ring[2];

	ops.clear = NULL;
	node_ring(test, node_type(test, heap, &ops), ring, 2);
	node_put_all(ring, 2);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 0);
	KUNIT_EXPECT_EQ(test, kheap_collector(heap->object.gc)->listed[0].reason,
			KHEAP_GC_NO_CLEAR);
	kheap_object_get(&ring[0]->obj);
	node_link(ring[0], 0, NULL);
	node_put(ring[0]);
	KUNIT_EXPECT_EQ(test, nr_released(), 2);
	node_expect_empty(test, heap);
}

/* --- When it runs ------------------------------------------------------- */

static void collector_runs_by_itself_at_the_threshold(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *ring[10];
	unsigned int i;

	kheap_gc_set_threshold(heap, 30);
	for (i = 0; i < 3; i++) {
		node_ring(test, type, ring, 10);
		node_put_all(ring, 10);
	}
	for (i = 0; i < 500 && nr_released() < 30; i++)
		msleep(20);
	KUNIT_EXPECT_EQ(test, nr_released(), 30);
	KUNIT_EXPECT_GT(test, node_gc_stats(heap).nr_automatic_runs, 0);
	node_expect_empty(test, heap);
}

static void automatic_run_without_memory_is_repeated(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct node *ring[10];
	unsigned int i;

	node_ring(test, node_type(test, heap, &node_ops), ring, 10);
	node_put_all(ring, 9);
	/* The candidates have a place to go to; the run has none. */
	heap->base.limit_bytes = 1;
	kheap_gc_set_threshold(heap, 1);
	kheap_object_get(&ring[9]->obj);
	node_put(ring[9]);
	node_put(ring[9]);
	for (i = 0; i < 500 && !node_gc_stats(heap).nr_given_up; i++)
		msleep(20);
	KUNIT_EXPECT_GT(test, node_gc_stats(heap).nr_given_up, 0);
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	heap->base.limit_bytes = 0;
	for (i = 0; i < 500 && nr_released() < 10; i++)
		msleep(20);
	KUNIT_EXPECT_EQ(test, nr_released(), 10);
	node_expect_empty(test, heap);
}

static void stats_say_what_a_run_has_done(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *root = node_new(test, type), *ring[3], *live[2];
	struct kheap_gc_stats stats;

	node_ring(test, type, ring, 3);
	node_ring(test, type, live, 2);
	node_link(root, 0, live[0]);
	node_put_all(ring, 3);
	node_put_all(live, 2);
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_pending, 5);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 3);
	stats = node_gc_stats(heap);
	KUNIT_EXPECT_EQ(test, stats.nr_runs, 1);
	KUNIT_EXPECT_EQ(test, stats.nr_candidates, 5);
	KUNIT_EXPECT_EQ(test, stats.nr_visited, 5);
	KUNIT_EXPECT_EQ(test, stats.nr_suspects, 3);
	KUNIT_EXPECT_EQ(test, stats.nr_rescued, 0);
	KUNIT_EXPECT_EQ(test, stats.nr_rejected, 0);
	KUNIT_EXPECT_EQ(test, stats.nr_reclaimed, 3);
	KUNIT_EXPECT_EQ(test, stats.nr_pending, 0);
	KUNIT_EXPECT_GT(test, stats.gather_ns, 0);
	KUNIT_EXPECT_GT(test, stats.trial_ns, 0);
	KUNIT_EXPECT_GT(test, stats.verify_ns, 0);
	KUNIT_EXPECT_GT(test, stats.clear_ns, 0);
	KUNIT_EXPECT_EQ(test, stats.last_run_ns, stats.gather_ns +
			stats.trial_ns + stats.verify_ns + stats.clear_ns);
	node_put(root);
	kheap_gc_collect(heap, 0);
	node_expect_empty(test, heap);
}

static void longest_lock_of_a_full_run_is_known(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *node = node_new(test, node_type(test, heap, &node_ops));

	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).lock_max_ns, 0);
	kheap_gc_collect(heap, KHEAP_GC_FULL);
	KUNIT_EXPECT_GT(test, node_gc_stats(heap).lock_max_ns, 0);
	node_put(node);
	node_expect_empty(test, heap);
}

static void collector_that_is_off_runs_on_demand_only(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *ring[10];
	unsigned int i;

	kheap_gc_set_threshold(heap, 5);
	node_ring(test, type, ring, 10);
	node_put_all(ring, 10);
	msleep(100);
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_runs, 0);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 10);
	/* The run begins when there is nothing left to put. */
	kheap_gc_set_threshold(heap, 10);
	kheap_gc_enable(heap, true);
	node_ring(test, type, ring, 10);
	node_put_all(ring, 10);
	for (i = 0; i < 500 && nr_released() < 20; i++)
		msleep(20);
	KUNIT_EXPECT_EQ(test, nr_released(), 20);
	node_expect_empty(test, heap);
}

/* Fill free memory of kmalloc with a word, where KASAN does not keep it. */
static void leave_in_memory(unsigned long word, size_t bytes)
{
	u64 *blocks[8];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(blocks); i++) {
		blocks[i] = kmalloc(bytes, GFP_KERNEL);
		if (blocks[i])
			memset64(blocks[i], word, bytes / sizeof(word));
	}
	while (i--)
		kfree(blocks[i]);
}

/* It took an object for one that it knew, where memory was not zeroed. */
static void garbage_is_found_whatever_was_in_the_memory_of_the_table(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *ring[4];
	size_t bytes;

	node_ring(test, node_type(test, heap, &node_ops), ring, 4);
	node_put_all(ring, 4);
	for (bytes = 256; bytes <= SZ_8K; bytes *= 2)
		leave_in_memory((unsigned long)&ring[3]->obj, bytes);
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, 0), 4);
	node_expect_empty(test, heap);
}

static void candidate_is_remembered_once(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *node = node_new(test, node_type(test, heap, &node_ops));
	unsigned int i;

	for (i = 0; i < 100; i++) {
		kheap_object_get(&node->obj);
		node_put(node);
	}
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_pending, 1);
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, 0), 0);
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_candidates, 1);
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_pending, 0);
	node_put(node);
	node_expect_empty(test, heap);
}

static void names_of_the_dead_do_not_fill_the_buffers(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	unsigned int i;

	for (i = 0; i < 20 * KHEAP_GC_NAMES; i++) {
		struct node *node = node_new(test, type);

		kheap_object_get(&node->obj);
		node_put(node);
		node_put(node);
	}
	KUNIT_EXPECT_LE(test, kheap_test_stats(heap).nr_allocated,
			(KHEAP_GC_NAMES + 1) * num_online_cpus());
	node_expect_empty(test, heap);
}

static void work_on_candidates_does_not_depend_on_live_objects(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *ring[10], *root = NULL;
	unsigned long before;
	unsigned int i;

	for (i = 0; i < NR_BIG; i++) {
		struct node *node = node_new(test, type);

		if (root)
			kheap_ref_give(&node->edges[0], &root->obj);
		root = node;
	}
	kheap_gc_collect(heap, KHEAP_GC_FULL);
	before = node_gc_stats(heap).nr_visited;
	/* The root has one reference ever: it is new. */
	KUNIT_EXPECT_EQ(test, before, NR_BIG - 1);
	node_ring(test, type, ring, 10);
	node_put_all(ring, 10);
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, 0), 10);
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_visited - before, 10);
	node_put(root);
	node_expect_empty(test, heap);
}

static void frozen_objects_are_left_alone_until_unfrozen(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *frozen[4], *ring[3];

	node_ring(test, type, frozen, 4);
	KUNIT_EXPECT_EQ(test, kheap_gc_freeze(heap), 4);
	node_ring(test, type, ring, 3);
	node_link(frozen[0], 1, ring[0]);
	node_put_all(frozen, 4);
	node_put_all(ring, 3);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 0);
	KUNIT_EXPECT_LE(test, node_gc_stats(heap).nr_visited, 3);
	KUNIT_EXPECT_EQ(test, kheap_gc_unfreeze(heap), 4);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 7);
	node_expect_empty(test, heap);
}

static void frozen_object_that_dies_is_freed(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *node = node_new(test, node_type(test, heap, &node_ops));

	kheap_gc_freeze(heap);
	node_put(node);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
}

static void new_object_is_not_traversed_before_its_second_reference(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *child = node_new(test, type);
	struct kheap_object *raw = kheap_object_new(type, GFP_KERNEL);
	struct kheap_object *slot = NULL;

	/* Without a canary yet, which traverse looks at. */
	KUNIT_ASSERT_NOT_NULL(test, raw);
	kheap_ref_give(&to_node(raw)->edges[0], &child->obj);
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, KHEAP_GC_FULL), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_bad), 0);
	to_node(raw)->canary = NODE_ALIVE;
	kheap_ref_give(&slot, raw);
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, KHEAP_GC_FULL), 0);
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	kheap_ref_set(&slot, NULL);
	KUNIT_EXPECT_EQ(test, nr_released(), 2);
	node_expect_empty(test, heap);
}

/* --- Suite -------------------------------------------------------------- */

#define GC_CASE(name)	KUNIT_CASE_PARAM(name, node_mode_params)

static struct kunit_case gc_run_cases[] = {
	GC_CASE(collect_inside_a_callback_is_refused),
	KUNIT_CASE(collect_refuses_unknown_flags),
	GC_CASE(run_without_memory_gives_up_and_the_next_makes_up_for_it),
	KUNIT_CASE(candidates_that_find_no_memory_make_the_next_run_full),
	GC_CASE(stubborn_cycle_is_listed_and_stays_usable),
	GC_CASE(cycle_without_clear_is_listed),
	KUNIT_CASE(collector_runs_by_itself_at_the_threshold),
	KUNIT_CASE_SLOW(automatic_run_without_memory_is_repeated),
	GC_CASE(stats_say_what_a_run_has_done),
	KUNIT_CASE(longest_lock_of_a_full_run_is_known),
	GC_CASE(collector_that_is_off_runs_on_demand_only),
	KUNIT_CASE(garbage_is_found_whatever_was_in_the_memory_of_the_table),
	KUNIT_CASE(candidate_is_remembered_once),
	KUNIT_CASE(names_of_the_dead_do_not_fill_the_buffers),
	KUNIT_CASE(work_on_candidates_does_not_depend_on_live_objects),
	GC_CASE(frozen_objects_are_left_alone_until_unfrozen),
	KUNIT_CASE(frozen_object_that_dies_is_freed),
	KUNIT_CASE(new_object_is_not_traversed_before_its_second_reference),
	{}
};

static struct kunit_suite gc_run_suite = {
	.name = "kheap_gc_run",
	.suite_init = kheap_test_untracked_init,
	.suite_exit = kheap_test_untracked_exit,
	.init = node_test_init,
	.exit = kheap_test_exit,
	.test_cases = gc_run_cases,
};

kunit_test_suite(gc_run_suite);
