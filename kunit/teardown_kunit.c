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

/* --- Suite -------------------------------------------------------------- */

static struct kunit_case teardown_cases[] = {
	KUNIT_CASE(heap_destroy_releases_an_immortal_after_all_that_refer_to_it),
	{}
};

static struct kunit_suite teardown_suite = {
	.name = "kheap_teardown",
	.init = node_test_init,
	.exit = kheap_test_exit,
	.test_cases = teardown_cases,
};

kunit_test_suite(teardown_suite);
