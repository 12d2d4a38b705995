// SPDX-License-Identifier: GPL-2.0
/*
 * The collector: which shapes it reclaims and which it leaves alone, finalizers
 * and weak references.
 */
#include "nodes.h"

#define NR_BIG		2000U

/* --- Shapes: garbage ---------------------------------------------------- */

static void self_loop_is_reclaimed(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *node = node_new(test, node_type(test, heap, &node_ops));

	node_link(node, 0, node);
	node_link(node, 1, node);
	node_put(node);
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 1);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
	node_expect_empty(test, heap);
}

static void pair_is_reclaimed(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *ring[2];

	node_ring(test, node_type(test, heap, &node_ops), ring, 2);
	node_put_all(ring, 2);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 2);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 0);
	node_expect_empty(test, heap);
}

static void big_ring_is_reclaimed(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node **ring = kunit_kcalloc(test, NR_BIG, sizeof(*ring),
					   GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ring);
	node_ring(test, node_type(test, heap, &node_ops), ring, NR_BIG);
	node_put_all(ring, NR_BIG);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), NR_BIG);
	KUNIT_EXPECT_EQ(test, nodes.max_depth, 1);
	node_expect_empty(test, heap);
}

/* Everybody refers to everybody: as a tree of pairs over the ring. */
static void clique_is_reclaimed(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *core[5], *arm[20];
	unsigned int i, j, nr = 0;

	node_ring(test, type, core, 5);
	for (i = 0; i < 5; i++) {
		struct node *from = core[i];

		for (j = 0; j < 4; j++) {
			arm[nr] = node_new(test, type);
			node_link(arm[nr], 0, core[(i + j + 1) % 5]);
			node_link(from, 1, arm[nr]);
			from = arm[nr++];
		}
	}
	node_put_all(core, 5);
	node_put_all(arm, 20);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 25);
	node_expect_empty(test, heap);
}

static void chain_of_cycles_is_reclaimed(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *rings[8][3];
	unsigned int i;

	for (i = 0; i < 8; i++)
		node_ring(test, type, rings[i], 3);
	for (i = 0; i < 7; i++)
		node_link(rings[i][i % 3], 1, rings[i + 1][0]);
	for (i = 0; i < 8; i++)
		node_put_all(rings[i], 3);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 24);
	node_expect_empty(test, heap);
}

static void cycles_with_cross_edges_are_reclaimed(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *a[4], *b[5];
	unsigned int i;

	node_ring(test, type, a, 4);
	node_ring(test, type, b, 5);
	for (i = 0; i < 4; i++) {
		node_link(a[i], 1, b[i]);
		node_link(b[i], 1, a[3 - i]);
	}
	node_put_all(a, 4);
	node_put_all(b, 5);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 9);
	node_expect_empty(test, heap);
}

static void leaves_of_a_dead_cycle_go_with_it(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *leaf = node_new(test, node_type(test, heap, &node_leaf_ops));
	struct node *ring[3];

	node_ring(test, node_type(test, heap, &node_ops), ring, 3);
	kheap_ref_give(&ring[1]->edges[1], &leaf->obj);
	node_put_all(ring, 3);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 3);
	KUNIT_EXPECT_EQ(test, nr_released(), 4);
	node_expect_empty(test, heap);
}

/* --- Shapes: alive ------------------------------------------------------ */

static void cycle_with_an_outside_count_stays(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *ring[3];

	node_ring(test, node_type(test, heap, &node_ops), ring, 3);
	node_put_all(ring + 1, 2);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 0);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 0);
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	node_put(ring[0]);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 3);
	node_expect_empty(test, heap);
}

static void cycle_that_hangs_on_a_live_object_stays(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *root = node_new(test, type), *ring[3];

	node_ring(test, type, ring, 3);
	node_link(root, 0, ring[1]);
	node_put_all(ring, 3);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 0);
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	node_put(root);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 3);
	node_expect_empty(test, heap);
}

static void live_object_that_hangs_on_a_dead_cycle_stays(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *live = node_new(test, type), *below = node_new(test, type);
	struct node *ring[3];

	node_ring(test, type, ring, 3);
	node_link(ring[2], 1, live);
	kheap_ref_give(&live->edges[0], &below->obj);
	node_put_all(ring, 3);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&live->obj), 2);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 3);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&live->obj), 1);
	KUNIT_EXPECT_EQ(test, below->canary, NODE_ALIVE);
	node_put(live);
	node_expect_empty(test, heap);
}

static void immortal_object_keeps_its_cycle(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *ring[3];

	node_ring(test, node_type(test, heap, &node_ops), ring, 3);
	kheap_object_make_immortal(&ring[0]->obj);
	node_put_all(ring, 3);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 0);
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	kheap_test_source(heap)->nr_live = 3;
	kheap_test_heap_destroy(test, heap);
	KUNIT_EXPECT_EQ(test, nr_released(), 3);
}

/* --- Finalizers --------------------------------------------------------- */

static void finalizers_run_once_each_before_anything_is_cleared(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *ring[4];

	node_ring(test, node_type(test, heap, &node_final_ops), ring, 4);
	node_put_all(ring, 4);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 4);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_finalized), 4);
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_finalized, 4);
	KUNIT_EXPECT_EQ(test, nr_released(), 4);
	node_expect_empty(test, heap);
}

static void resurrection_is_transitive_and_does_not_keep_other_garbage(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_final_ops);
	struct node *saved[3], *other[3], *above = node_new(test, type);

	node_ring(test, type, saved, 3);
	node_ring(test, type, other, 3);
	saved[1]->resurrect = true;
	/* What refers to a survivor does not survive for that. */
	node_link(above, 0, saved[0]);
	node_link(above, 1, above);
	node_put(above);
	node_put_all(saved, 3);
	node_put_all(other, 3);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 4);
	KUNIT_EXPECT_PTR_EQ(test, nodes.saved, &saved[1]->obj);
	KUNIT_EXPECT_EQ(test, nr_released(), 4);
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_resurrected, 3);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&saved[0]->obj), 1);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&saved[1]->obj), 2);
	KUNIT_EXPECT_TRUE(test, kheap_object_tryget(&saved[2]->obj));
	node_put(saved[2]);
	kheap_ref_set(&nodes.saved, NULL);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 3);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_finalized), 7);
	node_expect_empty(test, heap);
}

/* One finalizer saves a node, the next one drops it again. */
static void drop_saved(struct node *node)
{
	if (!node->resurrect)
		kheap_ref_set(&nodes.saved, NULL);
}

static void resurrected_object_that_is_dropped_again_is_released_once(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *ring[6];
	unsigned int i;

	node_ring(test, node_type(test, heap, &node_final_ops), ring, 6);
	nodes.in_finalize = drop_saved;
	for (i = 0; i < 6; i += 2)
		ring[i]->resurrect = true;
	node_put_all(ring, 6);
	node_collect(test, heap);
	kheap_ref_set(&nodes.saved, NULL);
	node_collect(test, heap);
	KUNIT_EXPECT_EQ(test, nr_released(), 6);
	node_expect_empty(test, heap);
}

static void cut_the_ring(struct node *node)
{
	node_link(node, 0, NULL);
}

static void finalizer_that_breaks_the_cycle_is_fine(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *ring[5];

	node_ring(test, node_type(test, heap, &node_final_ops), ring, 5);
	nodes.in_finalize = cut_the_ring;
	node_put_all(ring, 5);
	node_collect(test, heap);
	KUNIT_EXPECT_EQ(test, nr_released(), 5);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_finalized), 5);
	node_expect_empty(test, heap);
}

/* --- Weak references ---------------------------------------------------- */

static unsigned int finalized_at_call;

static void note_call(struct kheap_weakref *ref)
{
	finalized_at_call = atomic_read(&nodes.nr_finalized);
	atomic_inc(&nodes.nr_called);
}

static void weakrefs_are_cleared_and_called_before_any_finalizer(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_weakref refs[3];
	struct node *ring[3];
	unsigned int i;

	node_ring(test, node_type(test, heap, &node_final_ops), ring, 3);
	for (i = 0; i < 3; i++)
		kheap_weakref_init(&refs[i], &ring[i]->obj, note_call);
	ring[0]->resurrect = true;
	node_put_all(ring, 3);
	finalized_at_call = 99;
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_called), 3);
	KUNIT_EXPECT_EQ(test, finalized_at_call, 0);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_NULL(test, kheap_weakref_get(&refs[i]));
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_weakrefs_cleared, 3);
	kheap_ref_set(&nodes.saved, NULL);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 3);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_called), 3);
	node_expect_empty(test, heap);
}

static void weakref_that_is_garbage_itself_is_not_called(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *ring[3], *live = node_new(test, type);

	node_ring(test, type, ring, 3);
	kheap_weakref_init(&ring[0]->weak, &ring[1]->obj, note_call);
	kheap_weakref_init(&live->weak, &ring[2]->obj, note_call);
	ring[0]->armed = true;
	live->armed = true;
	node_put_all(ring, 3);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 3);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_called), 1);
	node_put(live);
	node_expect_empty(test, heap);
}

/* --- Suite -------------------------------------------------------------- */

#define GC_CASE(name)	KUNIT_CASE_PARAM(name, node_mode_params)

static struct kunit_case gc_cases[] = {
	GC_CASE(self_loop_is_reclaimed),
	GC_CASE(pair_is_reclaimed),
	GC_CASE(big_ring_is_reclaimed),
	GC_CASE(clique_is_reclaimed),
	GC_CASE(chain_of_cycles_is_reclaimed),
	GC_CASE(cycles_with_cross_edges_are_reclaimed),
	GC_CASE(leaves_of_a_dead_cycle_go_with_it),
	GC_CASE(cycle_with_an_outside_count_stays),
	GC_CASE(cycle_that_hangs_on_a_live_object_stays),
	GC_CASE(live_object_that_hangs_on_a_dead_cycle_stays),
	GC_CASE(immortal_object_keeps_its_cycle),
	GC_CASE(finalizers_run_once_each_before_anything_is_cleared),
	GC_CASE(resurrection_is_transitive_and_does_not_keep_other_garbage),
	GC_CASE(resurrected_object_that_is_dropped_again_is_released_once),
	GC_CASE(finalizer_that_breaks_the_cycle_is_fine),
	GC_CASE(weakrefs_are_cleared_and_called_before_any_finalizer),
	GC_CASE(weakref_that_is_garbage_itself_is_not_called),
	{}
};

static struct kunit_suite gc_suite = {
	.name = "kheap_gc",
	.suite_init = kheap_test_untracked_init,
	.suite_exit = kheap_test_untracked_exit,
	.init = node_test_init,
	.exit = kheap_test_exit,
	.test_cases = gc_cases,
};

kunit_test_suite(gc_suite);
