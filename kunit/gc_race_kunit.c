// SPDX-License-Identifier: GPL-2.0
/*
 * The collector with a mutator that comes between any two of its steps.
 */
#include "nodes.h"

/* A run of the least ring has more steps than that, and never so many. */
#define NR_STEPS_MIN	8
#define NR_STEPS_MAX	200

/*
 * The collector is stopped at each of its steps in turn, by way of the traverse
 * callback, and something happens there. What is tested is the answer to it
 * that the protocol has, not what a client may do in that callback.
 */
static struct between {
	int step;
	int when;
	void (*act)(void);
	struct kheap_weakref ref;
	struct kheap_object *held;
	struct node *node;
} between;

static void at_step(struct node *node)
{
	if (++between.step == between.when)
		between.act();
}

/* Run with @act at the step. Return what the run has reclaimed. */
static long collect_with(struct kheap *heap, void (*act)(void))
{
	long nr;

	between.act = act;
	nodes.in_traverse = at_step;
	nr = kheap_gc_collect(heap, KHEAP_GC_FULL);
	nodes.in_traverse = NULL;
	return nr;
}

static void begin_step(struct kunit *test, int step)
{
	KUNIT_ASSERT_LT(test, step, NR_STEPS_MAX);
	memset(&between, 0, sizeof(between));
	memset(&nodes, 0, sizeof(nodes));
	between.when = step;
}

/* Call @at for each step, until a run ends before it. */
static void at_each_step(struct kunit *test,
			 void (*at)(struct kunit *test, struct kheap *heap,
				    struct kheap_type *type))
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	int step = 0;

	do {
		begin_step(test, ++step);
		at(test, heap, type);
		node_expect_empty(test, heap);
		if (test->status == KUNIT_FAILURE) {
			kunit_err(test, "that was at step %d\n", step);
			return;
		}
	} while (between.step >= step);
	KUNIT_EXPECT_GT(test, step, NR_STEPS_MIN);
}

static void upgrade_now(void)
{
	between.held = kheap_weakref_get(&between.ref);
}

static void upgrade_at(struct kunit *test, struct kheap *heap,
		       struct kheap_type *type)
{
	struct node *ring[4];
	long nr;

	node_ring(test, type, ring, 4);
	kheap_weakref_init(&between.ref, &ring[1]->obj, NULL);
	node_put_all(ring, 4);
	nr = collect_with(heap, upgrade_now);
	if (between.held) {
		KUNIT_EXPECT_EQ(test, nr, 0);
		KUNIT_EXPECT_EQ(test, nr_released(), 0);
		KUNIT_EXPECT_EQ(test, kheap_object_refs(between.held), 2);
		kheap_object_put(between.held);
		KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, 0), 4);
	} else {
		KUNIT_EXPECT_EQ(test, nr, 4);
	}
	KUNIT_EXPECT_NULL(test, kheap_weakref_get(&between.ref));
}

static void upgrade_at_any_step_is_refused_or_keeps_all_it_reaches(struct kunit *test)
{
	at_each_step(test, upgrade_at);
}

static void upgrade_and_drop_now(void)
{
	upgrade_now();
	if (between.held)
		kheap_object_put(between.held);
}

static void upgrade_and_drop_at(struct kunit *test, struct kheap *heap,
				struct kheap_type *type)
{
	struct node *ring[4];

	node_ring(test, type, ring, 4);
	kheap_weakref_init(&between.ref, &ring[1]->obj, NULL);
	node_put_all(ring, 4);
	collect_with(heap, upgrade_and_drop_now);
	kheap_gc_collect(heap, 0);
	KUNIT_EXPECT_EQ(test, nr_released(), 4);
}

static void upgrade_that_is_dropped_at_once_leaves_the_garbage_for_the_next_run(struct kunit *test)
{
	at_each_step(test, upgrade_and_drop_at);
}

/* A reference moves from the outside into the ring, and out again elsewhere. */
static void move_now(void)
{
	struct kheap_object *obj = kheap_ref_take(&between.held);

	kheap_ref_give(&between.node->edges[1], obj);
	between.held = kheap_ref_take(&to_node(obj)->edges[0]);
}

static void move_at(struct kunit *test, struct kheap *heap,
		    struct kheap_type *type)
{
	struct node *ring[4];

	node_ring(test, type, ring, 4);
	node_put_all(ring + 1, 3);
	between.held = &ring[0]->obj;
	between.node = ring[2];
	KUNIT_EXPECT_EQ(test, collect_with(heap, move_now), 0);
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	KUNIT_EXPECT_NOT_NULL(test, between.held);
	kheap_object_put(between.held);
	kheap_gc_collect(heap, 0);
	KUNIT_EXPECT_EQ(test, nr_released(), 4);
}

static void reference_that_moves_at_any_step_keeps_its_object(struct kunit *test)
{
	at_each_step(test, move_at);
}

static void release_now(void)
{
	node_link(between.node, 0, NULL);
}

static void release_at(struct kunit *test, struct kheap *heap,
		       struct kheap_type *type)
{
	struct node *ring[4];

	node_ring(test, type, ring, 4);
	between.node = ring[2];
	node_put_all(ring, 4);
	collect_with(heap, release_now);
	kheap_gc_collect(heap, KHEAP_GC_FULL);
	KUNIT_EXPECT_EQ(test, nr_released(), 4);
}

static void object_that_dies_at_any_step_is_released_once(struct kunit *test)
{
	at_each_step(test, release_at);
}

static void take_now(void)
{
	between.held = kheap_object_get(&between.node->obj);
}

/* A reference that was there all the time is copied, then the first one goes. */
static void get_at(struct kunit *test, struct kheap *heap,
		   struct kheap_type *type)
{
	struct node *ring[4], *root = node_new(test, type);

	node_ring(test, type, ring, 4);
	node_link(root, 0, ring[3]);
	between.node = ring[3];
	node_put_all(ring, 4);
	KUNIT_EXPECT_EQ(test, collect_with(heap, take_now), 0);
	node_put(root);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
	if (between.held) {
		KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, KHEAP_GC_FULL), 0);
		kheap_object_put(between.held);
	}
	kheap_gc_collect(heap, KHEAP_GC_FULL);
	KUNIT_EXPECT_EQ(test, nr_released(), 5);
}

static void reference_taken_at_any_step_keeps_all_it_reaches(struct kunit *test)
{
	at_each_step(test, get_at);
}

/* Of the two, statistics tell which it was. */
static void upgrades_are_counted_as_rescues_or_rejections(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct kheap_gc_stats stats;
	int step = 0;

	do {
		begin_step(test, ++step);
		upgrade_and_drop_at(test, heap, type);
	} while (between.step >= step);
	stats = node_gc_stats(heap);
	KUNIT_EXPECT_GT(test, stats.nr_rescued, 0);
	KUNIT_EXPECT_EQ(test, stats.nr_reclaimed, 4 * step);
	node_expect_empty(test, heap);
}

static struct kunit_case gc_race_cases[] = {
	KUNIT_CASE(upgrade_at_any_step_is_refused_or_keeps_all_it_reaches),
	KUNIT_CASE(upgrade_that_is_dropped_at_once_leaves_the_garbage_for_the_next_run),
	KUNIT_CASE(reference_that_moves_at_any_step_keeps_its_object),
	KUNIT_CASE(object_that_dies_at_any_step_is_released_once),
	KUNIT_CASE(reference_taken_at_any_step_keeps_all_it_reaches),
	KUNIT_CASE(upgrades_are_counted_as_rescues_or_rejections),
	{}
};

static struct kunit_suite gc_race_suite = {
	.name = "kheap_gc_race",
	.init = node_test_init,
	.exit = kheap_test_exit,
	.test_cases = gc_race_cases,
};

kunit_test_suite(gc_race_suite);
