// SPDX-License-Identifier: GPL-2.0
/*
 * Dead objects that a client gave a count again, by a stray write: in the place
 * of their type is something else, which nobody may follow.
 */
#include "nodes.h"

static const struct revived {
	const char *desc;
	const struct kheap_type_ops *ops;
	int refs;
} revived[] = {
	{ "plain_1", &node_bare_ops, 1 },
	{ "leaf_1", &node_leaf_ops, 1 },
	{ "collectable_1", &node_ops, 1 },
	{ "collectable_2", &node_ops, 2 },
};

KHEAP_TEST_SWEEP_PARAM_DESC(revived, revived, 1);

/* As if a stray write had given a dead object a count. */
static void revive(struct node *node, int refs)
{
	refcount_set(&node->obj.refs, refs);
}

static void expect_put_is_refused(struct kunit *test, struct kheap *heap,
				  struct node *node, int refs)
{
	unsigned long before = kheap_test_refused(heap, KHEAP_BAD_DEAD);
	unsigned int nr = nr_released();

	revive(node, refs);
	node_put(node);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_DEAD),
			before + 1);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&node->obj), refs);
	KUNIT_EXPECT_EQ(test, nr_released(), nr);
	refcount_set(&node->obj.refs, 0);
}

static void put_of_a_free_object_with_a_count_is_refused(struct kunit *test)
{
	const struct revived *param = test->param_value;
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, param->ops);
	struct node *keep = node_new(test, type), *node;
	unsigned int round;

	kheap_test_watch_log(test);
	for (round = 1; round <= 10; round++) {
		node = node_new(test, type);
		node_put(node);
		expect_put_is_refused(test, heap, node, param->refs);
		KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), round);
	}
	KHEAP_EXPECT_LOGGED(test, "is a dead object");
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 1);
	node_put(keep);
}

static void put_of_an_object_in_its_pools_list_is_refused(struct kunit *test)
{
	const struct revived *param = test->param_value;
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, param->ops);
	struct node *keep = node_new(test, type), *node = node_new(test, type);

	node_put(node);
	kheap_trim(heap);
	expect_put_is_refused(test, heap, node, param->refs);
	node_put(keep);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 1);
}

/* Dead while a run is under way: the memory stays, in a list. */
static void put_of_a_parked_object_with_a_count_is_refused(struct kunit *test)
{
	const struct revived *param = test->param_value;
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, param->ops);
	struct node *first = node_new(test, type), *next = node_new(test, type);
	struct kheap_gc *gc = heap->object.gc;

	mutex_lock(&kheap_collector(gc)->mutex);
	WRITE_ONCE(gc->running, true);
	node_put(first);
	node_put(next);
	expect_put_is_refused(test, heap, first, param->refs);
	expect_put_is_refused(test, heap, next, param->refs);
	WRITE_ONCE(gc->running, false);
	mutex_unlock(&kheap_collector(gc)->mutex);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 2);
}

static struct node *below;

static void put_below_twice(struct node *node)
{
	if (node == below)
		return;
	kheap_object_put(&below->obj);
	revive(below, 1);
	kheap_object_put(&below->obj);
	refcount_set(&below->obj.refs, 0);
}

/* It waits for the release that it is put in. */
static void put_of_a_waiting_object_with_a_count_is_refused(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_leaf_ops);
	struct node *node = node_new(test, type);

	below = node_new(test, type);
	nodes.in_release = put_below_twice;
	node_put(node);
	KUNIT_EXPECT_EQ(test, nr_released(), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_bad), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_DEAD), 1);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
}

/* What a dead object's field says is never what a live one's says. */
static void mark_of_an_object_is_no_address(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type_ops ops = node_bare_ops;
	char name[16];
	unsigned int i;

	for (i = 0; i < 16; i++) {
		struct kheap_type *type;
		struct node *node;

		snprintf(name, sizeof(name), "bare-%u", i);
		ops.name = name;
		type = node_type(test, heap, &ops);
		node = node_new(test, type);
		KUNIT_EXPECT_FALSE(test, kheap_object_is_gone(&node->obj));
		node_put(node);
		KUNIT_EXPECT_TRUE(test, kheap_object_is_gone(&node->obj));
	}
}

static void weak_reference_to_a_dead_object_has_no_target(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *node = node_new(test, node_type(test, heap, &node_ops));
	struct kheap_weakref ref;

	node_put(node);
	revive(node, 1);
	KUNIT_EXPECT_EQ(test, kheap_weakref_init(&ref, &node->obj, NULL),
			-EOPNOTSUPP);
	KUNIT_EXPECT_NULL(test, kheap_weakref_get(&ref));
	kheap_weakref_clear(&ref);
	kheap_object_make_immortal(&node->obj);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&node->obj), 1);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_DEAD), 2);
	refcount_set(&node->obj.refs, 0);
}

static struct kunit_case dead_cases[] = {
	KUNIT_CASE_PARAM(put_of_a_free_object_with_a_count_is_refused,
			 revived_gen_params),
	KUNIT_CASE_PARAM(put_of_an_object_in_its_pools_list_is_refused,
			 revived_gen_params),
	KUNIT_CASE_PARAM(put_of_a_parked_object_with_a_count_is_refused,
			 revived_gen_params),
	KUNIT_CASE(put_of_a_waiting_object_with_a_count_is_refused),
	KUNIT_CASE(mark_of_an_object_is_no_address),
	KUNIT_CASE(weak_reference_to_a_dead_object_has_no_target),
	{}
};

static struct kunit_suite dead_suite = {
	.name = "kheap_dead",
	.init = node_test_init,
	.exit = kheap_test_exit,
	.test_cases = dead_cases,
};

kunit_test_suite(dead_suite);
