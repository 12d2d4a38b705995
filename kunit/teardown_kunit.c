// SPDX-License-Identifier: GPL-2.0
/*
 * Objects that are alive when their heap is destroyed: in which order they go,
 * and that they go before it does. See object_kunit.c for the usual cases.
 */
#include <linux/sched.h>

#include "nodes.h"

/* --- Immortal objects --------------------------------------------------- */

#define NR_REFERRERS	3
#define IMMORTAL_ID	99

static struct node *referrers[NR_REFERRERS];

/* Whoever refers to it still would look at what is released. */
static void look_for_referrers(struct node *node)
{
	unsigned int i;

	if (node->id != IMMORTAL_ID)
		return;
	for (i = 0; i < NR_REFERRERS; i++)
		if (referrers[i]->edges[0])
			atomic_inc(&nodes.nr_bad);
}

static void immortal_goes_after_all_that_refer_to_it(struct kunit *test,
						     const struct kheap_type_ops *ops)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, ops);
	struct node *immortal;
	unsigned int i;

	memset(&nodes, 0, sizeof(nodes));
	/* The first in memory, so that passes come to it first. */
	immortal = node_new(test, type);
	immortal->id = IMMORTAL_ID;
	for (i = 0; i < NR_REFERRERS; i++) {
		referrers[i] = node_new(test, type);
		node_link(referrers[i], 0, immortal);
	}
	kheap_object_make_immortal(&immortal->obj);
	nodes.in_release = look_for_referrers;
	kheap_test_forget_log();
	kheap_test_heap_end(test, heap);
	KUNIT_EXPECT_EQ(test, nr_released(), NR_REFERRERS + 1);
	KUNIT_EXPECT_EQ(test, nodes.last_released, IMMORTAL_ID);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_bad), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_logged("dead object"), 0u);
}

static void heap_destroy_releases_an_immortal_after_all_that_refer_to_it(struct kunit *test)
{
	kheap_test_watch_log(test);
	immortal_goes_after_all_that_refer_to_it(test, &node_ops);
	immortal_goes_after_all_that_refer_to_it(test, &node_leaf_ops);
}

/* --- Objects that finalizers make --------------------------------------- */

#define CHILD_ID	77
#define NR_CHILDREN_MAX	1000

static struct kheap_type *child_type;
static struct node *owner;
static unsigned int nr_children;

/* The only reference to the child is in the object that is finalized. */
static void make_child(struct node *node)
{
	struct kheap_object *child;

	if (nr_children++ == NR_CHILDREN_MAX)
		return;
	child = kheap_object_new(child_type, GFP_KERNEL);
	if (!child)
		return;
	to_node(child)->canary = NODE_ALIVE;
	to_node(child)->id = CHILD_ID;
	kheap_ref_give(&node->edges[1], child);
}

/* It is in use as long as its owner refers to it. */
static void look_for_owner(struct node *node)
{
	if (node->id == CHILD_ID && owner && owner->edges[1] == &node->obj)
		atomic_inc(&nodes.nr_bad);
	if (node == owner)
		owner = NULL;
}

/* No clear callback: the objects die by counting, or as they come. */
static void drop_children(struct kheap_object *obj)
{
	struct node *node = to_node(obj);

	atomic_inc(&nodes.nr_released);
	look_for_owner(node);
	kheap_ref_set(&node->edges[0], NULL);
	kheap_ref_set(&node->edges[1], NULL);
}

static void call_finalizer(struct kheap_object *obj)
{
	atomic_inc(&nodes.nr_finalized);
	make_child(to_node(obj));
}

static const struct kheap_type_ops parent_ops = {
	.name = "parent",
	.size = sizeof(struct node),
	.release = drop_children,
	.finalize = call_finalizer,
};

static void object_that_a_finalizer_made_goes_after_its_owner(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type_ops ops = parent_ops;

	ops.name = "child";
	ops.finalize = NULL;
	child_type = node_type(test, heap, &ops);
	/* Its pool comes first: what is forced to end is the owner. */
	owner = node_new(test, node_type(test, heap, &parent_ops));
	nr_children = 0;
	kheap_test_watch_log(test);
	kheap_test_heap_end(test, heap);
	KUNIT_EXPECT_EQ(test, nr_children, 1u);
	KUNIT_EXPECT_EQ(test, nr_released(), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_bad), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_logged("dead object"), 0u);
}

/* Each would make the next one, and a heap would never end. */
static void object_that_a_finalizer_made_is_not_finalized(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);

	child_type = node_type(test, heap, &parent_ops);
	node_new(test, child_type);
	owner = NULL;
	nr_children = 0;
	kheap_test_watch_log(test);
	kheap_test_heap_end(test, heap);
	KUNIT_EXPECT_EQ(test, nr_children, 1u);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_finalized), 1);
	KUNIT_EXPECT_EQ(test, nr_released(), 2);
}

/* --- In a callback of another heap -------------------------------------- */

static struct {
	struct kunit *test;
	struct kheap *heap;
	struct node *node;
} inner;

static void destroy_inner(struct node *node)
{
	struct kheap *heap = inner.heap;

	if (!heap)
		return;
	inner.heap = NULL;
	if (inner.node)
		node_put(inner.node);
	kheap_test_heap_end(inner.test, heap);
}

/* It dies in the other one's release, and cannot wait for its end. */
static void heap_destroyed_in_a_release_of_another_ends_its_objects_first(struct kunit *test)
{
	struct kheap *outer = node_gc_heap(test);
	struct node *node = node_new(test, node_type(test, outer, &node_ops));

	inner.test = test;
	inner.heap = node_gc_heap(test);
	inner.node = node_new(test, node_type(test, inner.heap,
					      &node_leaf_ops));
	nodes.in_release = destroy_inner;
	kheap_test_watch_log(test);
	node_put(node);
	KUNIT_EXPECT_EQ(test, nr_released(), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_bad), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_logged("live objects"), 0u);
	node_expect_empty(test, outer);
}

static void objects_leaked_there_are_released_before_the_heap_goes(struct kunit *test)
{
	struct kheap *outer = node_gc_heap(test);
	struct kheap_type *type = node_type(test, outer, &node_ops);
	struct node *node = node_new(test, type), *below = node_new(test, type);

	/* The outer heap's object dies with it, after all that. */
	kheap_ref_give(&node->edges[0], &below->obj);
	inner.test = test;
	inner.heap = node_gc_heap(test);
	inner.node = NULL;
	node_list(test, node_type(test, inner.heap, &node_leaf_ops), 100);
	node_list(test, node_type(test, inner.heap, &node_ops), 100);
	nodes.in_release = destroy_inner;
	node_put(node);
	KUNIT_EXPECT_EQ(test, nr_released(), 202);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_bad), 0);
	node_expect_empty(test, outer);
}

static struct node *dropped_first;

static void drop_and_destroy_inner(struct node *node)
{
	struct node *first = xchg(&dropped_first, NULL);

	if (first)
		node_put(first);
	destroy_inner(node);
}

/* What waits with them is not theirs, and is released when its turn comes. */
static void objects_of_another_heap_go_on_waiting(struct kunit *test)
{
	struct kheap *outer = node_gc_heap(test);
	struct kheap_type *type = node_type(test, outer, &node_ops);
	struct node *node = node_new(test, type);

	dropped_first = node_new(test, type);
	dropped_first->id = 7;
	inner.test = test;
	inner.heap = node_gc_heap(test);
	inner.node = node_new(test, node_type(test, inner.heap,
					      &node_leaf_ops));
	nodes.in_release = drop_and_destroy_inner;
	node_put(node);
	KUNIT_EXPECT_EQ(test, nr_released(), 3);
	KUNIT_EXPECT_EQ(test, nodes.last_released, 7);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_bad), 0);
	node_expect_empty(test, outer);
}

/* --- Process context ---------------------------------------------------- */

#define NR_LINKED	2000

static struct task_struct *destroyer;

static void expect_destroyer(struct node *node)
{
	if (current != destroyer)
		atomic_inc(&nodes.nr_bad);
}

/* A work would release the list while we look at what it has not come to. */
static void heap_destroy_releases_process_objects_itself(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type_ops ops = node_leaf_ops;

	ops.flags = KHEAP_TYPE_PROCESS;
	node_list(test, node_type(test, heap, &ops), NR_LINKED);
	destroyer = current;
	nodes.in_release = expect_destroyer;
	kheap_test_heap_end(test, heap);
	KUNIT_EXPECT_EQ(test, nr_released(), NR_LINKED);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_bad), 0);
}

/* --- Suite -------------------------------------------------------------- */

static struct kunit_case teardown_cases[] = {
	KUNIT_CASE(object_that_a_finalizer_made_goes_after_its_owner),
	KUNIT_CASE(object_that_a_finalizer_made_is_not_finalized),
	KUNIT_CASE(heap_destroy_releases_an_immortal_after_all_that_refer_to_it),
	KUNIT_CASE(heap_destroyed_in_a_release_of_another_ends_its_objects_first),
	KUNIT_CASE(objects_leaked_there_are_released_before_the_heap_goes),
	KUNIT_CASE(objects_of_another_heap_go_on_waiting),
	KUNIT_CASE(heap_destroy_releases_process_objects_itself),
	{}
};

static struct kunit_suite teardown_suite = {
	.name = "kheap_teardown",
	.init = node_test_init,
	.exit = kheap_test_exit,
	.test_cases = teardown_cases,
};

kunit_test_suite(teardown_suite);
