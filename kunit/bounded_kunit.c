// SPDX-License-Identifier: GPL-2.0
/*
 * Puts that end lists and trees where nobody may take long: they release some
 * objects, and a work the rest.
 */
#include <linux/spinlock.h>

#include "nodes.h"

#define NR_LIST		20000U
#define TREE_DEPTH	12
#define NR_TREE		((1U << TREE_DEPTH) - 1)

static const struct task_struct *putter;
static unsigned int nr_by_putter;

/* With interrupts off, a worker cannot be who puts. */
static void count_putters(struct node *node)
{
	if (current == putter)
		nr_by_putter++;
	else
		might_sleep();
}

static struct kheap_type *bounded_type(struct kunit *test, struct kheap *heap,
				       const struct kheap_type_ops *of)
{
	struct kheap_type_ops ops = *of;

	ops.flags |= KHEAP_TYPE_BOUNDED;
	nodes.in_release = count_putters;
	nr_by_putter = 0;
	return node_type(test, heap, &ops);
}

static struct node *tree_of(struct kunit *test, struct kheap_type *type,
			    unsigned int depth)
{
	struct node *node = node_new(test, type);
	unsigned int i;

	for (i = 0; depth > 1 && i < NODE_NR_EDGES; i++) {
		struct node *child = tree_of(test, type, depth - 1);

		kheap_ref_give(&node->edges[i], &child->obj);
	}
	return node;
}

static void put_under_lock(struct node *node)
{
	static DEFINE_SPINLOCK(lock);

	putter = current;
	spin_lock_irq(&lock);
	node_put(node);
	spin_unlock_irq(&lock);
	putter = NULL;
}

static const struct kind {
	const char *desc;
	const struct kheap_type_ops *ops;
	struct node *(*make)(struct kunit *test, struct kheap_type *type,
			     unsigned int nr);
	unsigned int size;
	unsigned int nr;
} kinds[] = {
	{ "list", &node_leaf_ops, node_list, NR_LIST, NR_LIST },
	{ "collectable_list", &node_ops, node_list, NR_LIST, NR_LIST },
	{ "tree", &node_leaf_ops, tree_of, TREE_DEPTH, NR_TREE },
	{ "short_list", &node_leaf_ops, node_list, KHEAP_PUT_RELEASES,
	  KHEAP_PUT_RELEASES },
};

KHEAP_TEST_SWEEP_PARAM_DESC(kinds, kinds, 1);

static void put_releases_no_more_than_promised(struct kunit *test)
{
	const struct kind *kind = test->param_value;
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = bounded_type(test, heap, kind->ops);

	put_under_lock(kind->make(test, type, kind->size));
	KUNIT_EXPECT_EQ(test, nr_by_putter, KHEAP_PUT_RELEASES);
	/* It waits for what a work has to do. */
	kheap_type_destroy(type);
	KUNIT_EXPECT_EQ(test, nr_released(), kind->nr);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
	node_expect_empty(test, heap);
}

static void each_put_has_its_own_bound(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = bounded_type(test, heap, &node_leaf_ops);
	struct node *one = node_list(test, type, 2 * KHEAP_PUT_RELEASES);
	struct node *other = node_list(test, type, 2 * KHEAP_PUT_RELEASES);

	put_under_lock(one);
	put_under_lock(other);
	KUNIT_EXPECT_EQ(test, nr_by_putter, 2 * KHEAP_PUT_RELEASES);
	kheap_type_destroy(type);
	KUNIT_EXPECT_EQ(test, nr_released(), 4 * KHEAP_PUT_RELEASES);
}

static void type_without_the_flag_is_released_at_once(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *bounded = bounded_type(test, heap, &node_leaf_ops);
	struct node *head = node_list(test, bounded, 2 * KHEAP_PUT_RELEASES);
	struct node *plain;

	/* The last one that the put comes to has another one below. */
	plain = node_list(test, node_type(test, heap, &node_ops), 1000);
	kheap_ref_give(&head->edges[1], &plain->obj);
	put_under_lock(head);
	KUNIT_EXPECT_GE(test, nr_by_putter, 1000u);
	KUNIT_EXPECT_LE(test, nr_by_putter, 1000u + KHEAP_PUT_RELEASES);
	kheap_type_destroy(bounded);
	KUNIT_EXPECT_EQ(test, nr_released(), 1000 + 2 * KHEAP_PUT_RELEASES);
}

static void heap_destroy_waits_for_the_rest(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = bounded_type(test, heap, &node_leaf_ops);

	kheap_test_watch_log(test);
	put_under_lock(node_list(test, type, NR_LIST));
	kheap_test_heap_end(test, heap);
	KUNIT_EXPECT_EQ(test, nr_by_putter, KHEAP_PUT_RELEASES);
	KUNIT_EXPECT_EQ(test, nr_released(), NR_LIST);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_bad), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_logged("live objects"), 0u);
}

static void rest_is_released_soon(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = bounded_type(test, heap, &node_leaf_ops);
	unsigned long end = jiffies + 10 * HZ;

	put_under_lock(node_list(test, type, 4 * KHEAP_PUT_RELEASES));
	while (nr_released() < 4 * KHEAP_PUT_RELEASES &&
	       time_before(jiffies, end))
		schedule_timeout_interruptible(1);
	KUNIT_EXPECT_EQ(test, nr_released(), 4 * KHEAP_PUT_RELEASES);
}

static struct kunit_case bounded_cases[] = {
	KUNIT_CASE_PARAM(put_releases_no_more_than_promised, kinds_gen_params),
	KUNIT_CASE(each_put_has_its_own_bound),
	KUNIT_CASE(type_without_the_flag_is_released_at_once),
	KUNIT_CASE(heap_destroy_waits_for_the_rest),
	KUNIT_CASE(rest_is_released_soon),
	{}
};

static struct kunit_suite bounded_suite = {
	.name = "kheap_bounded",
	.suite_init = kheap_test_untracked_init,
	.suite_exit = kheap_test_untracked_exit,
	.init = node_test_init,
	.exit = kheap_test_exit,
	.test_cases = bounded_cases,
};

kunit_test_suite(bounded_suite);
