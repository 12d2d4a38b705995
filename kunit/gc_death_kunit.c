// SPDX-License-Identifier: GPL-2.0
/*
 * The moments at which an object is neither alive nor gone: the verdict was
 * passed on it, its finalizer runs, it waits for a grace period.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/rcupdate.h>

#include "nodes.h"

#define RING	3

/* --- Lookups of what is condemned --------------------------------------- */

/* A run that does not wait is over long before that. */
#define LOOKUP_NS	(200 * NSEC_PER_MSEC)

enum stage { BEFORE_VERDICT, LOOK_UP, LOOKING, RUN_OVER };

static struct lookup {
	struct kheap *heap;
	struct node *node;
	atomic_t stage;
	bool cleared;
	bool found;
} lookup;

/* The verdict is passed, and the objects are not told yet. */
static void at_verdict(const struct kheap *heap)
{
	if (heap != lookup.heap)
		return;
	if (atomic_cmpxchg(&lookup.stage, BEFORE_VERDICT, LOOK_UP) !=
	    BEFORE_VERDICT)
		return;
	while (atomic_read_acquire(&lookup.stage) == LOOK_UP)
		cpu_relax();
}

/* A lookup that stands still between its increment and the rest of it. */
static int look_up_slowly(void *data)
{
	struct node *node = lookup.node;
	u64 end;

	while (atomic_read_acquire(&lookup.stage) == BEFORE_VERDICT)
		cond_resched();
	if (atomic_read(&lookup.stage) != LOOK_UP)
		goto out;
	rcu_read_lock();
	atomic64_inc(&node->obj.word);
	atomic_set_release(&lookup.stage, LOOKING);
	end = ktime_get_ns() + LOOKUP_NS;
	while (atomic_read_acquire(&lookup.stage) == LOOKING &&
	       ktime_get_ns() < end)
		cpu_relax();
	lookup.cleared = !READ_ONCE(node->edges[0]);
	lookup.found = kheap_object_tryget(&node->obj);
	if (lookup.found)
		node_put(node);
	node_put(node);
	rcu_read_unlock();
out:
	while (!kthread_should_stop())
		msleep(20);
	return 0;
}

static void collect_during_a_lookup(struct kunit *test,
				    const struct kheap_type_ops *ops)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *ring[RING];
	struct task_struct *task;

	memset(&nodes, 0, sizeof(nodes));
	memset(&lookup, 0, sizeof(lookup));
	/* Where there is a type with finalizers a run goes another way. */
	node_type(test, heap, ops);
	node_ring(test, node_type(test, heap, &node_ops), ring, RING);
	lookup.heap = heap;
	lookup.node = ring[1];
	task = kthread_run(look_up_slowly, NULL, "kheap-look-up");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	node_put_all(ring, RING);
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), RING);
	KUNIT_EXPECT_EQ(test, atomic_xchg(&lookup.stage, RUN_OVER), LOOKING);
	kthread_stop(task);
	KUNIT_EXPECT_FALSE(test, lookup.cleared);
	KUNIT_EXPECT_FALSE(test, lookup.found);
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_uncollectable, 0);
	KUNIT_EXPECT_EQ(test, nr_released(), RING);
	node_expect_empty(test, heap);
}

static void run_waits_for_a_lookup_that_came_too_late(struct kunit *test)
{
	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");
	kheap_test_at_verdict(test, at_verdict);
	collect_during_a_lookup(test, &node_leaf_ops);
	collect_during_a_lookup(test, &node_final_ops);
}

/* --- Finalizers --------------------------------------------------------- */

static bool taken;

static void look_up(struct node *node)
{
	taken = kheap_object_tryget(&node->obj);
}

/* As a run does that has read a field which led to the object. */
static void pin(struct node *node)
{
	taken = kheap_gc_pin(&node->obj);
}

static void expect_to_die(struct kunit *test, struct kheap_type *type,
			  void (*in_finalize)(struct node *node))
{
	struct node *node = node_new(test, type);

	taken = false;
	nodes.in_finalize = in_finalize;
	atomic_set(&nodes.nr_released, 0);
	node_put(node);
	KUNIT_EXPECT_FALSE(test, taken);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&type->nr_resurrected), 0);
	if (taken)
		node_put(node);
}

static void lookup_in_a_finalizer_fails(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type_ops ops = node_final_ops;

	ops.flags |= KHEAP_TYPE_RCU;
	expect_to_die(test, node_type(test, heap, &ops), look_up);
	node_expect_empty(test, heap);
}

static void run_takes_no_reference_in_a_finalizer(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);

	expect_to_die(test, node_type(test, heap, &node_final_ops), pin);
	node_expect_empty(test, heap);
}

static void tie_cycle(struct node *node)
{
	if (node->edges[0])
		node_link(to_node(node->edges[0]), 0, node);
}

static void finalizer_that_ties_a_cycle_leaves_a_candidate(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_final_ops);
	struct node *parent = node_new(test, type);

	kheap_ref_give(&parent->edges[0], &node_new(test, type)->obj);
	/* The child is a candidate, and not any more. */
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, 0), 0);
	nodes.in_finalize = tie_cycle;
	node_put(parent);
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&type->nr_resurrected), 1);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&parent->obj), 1);
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_pending, 1);
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, 0), 2);
	node_expect_empty(test, heap);
}

static void resurrected_object_is_found_again(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *node = node_new(test, node_type(test, heap,
						     &node_final_ops));

	node->resurrect = true;
	node_put(node);
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	KUNIT_EXPECT_TRUE(test, kheap_object_tryget(&node->obj));
	node_put(node);
	kheap_ref_set(&nodes.saved, NULL);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
	node_expect_empty(test, heap);
}

static struct kheap_weakref late_ref;
static bool called_intact;

static void look_at_the_rest(struct kheap_weakref *ref)
{
	called_intact = nodes.saved && to_node(nodes.saved)->edges[0];
	atomic_inc(&nodes.nr_called);
}

/* Not counted: the callback is to look at it as it is then. */
static void refer_weakly(struct node *node)
{
	nodes.saved = &node->obj;
	kheap_weakref_init(&late_ref, &node->obj, look_at_the_rest);
}

static void weakref_that_a_finalizer_makes_is_called_before_the_clearing(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *ring[2];

	ring[0] = node_new(test, type);
	ring[1] = node_new(test, node_type(test, heap, &node_final_ops));
	node_link(ring[0], 0, ring[1]);
	node_link(ring[1], 0, ring[0]);
	node_put_all(ring, 2);
	called_intact = false;
	nodes.in_finalize = refer_weakly;
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_called), 1);
	KUNIT_EXPECT_TRUE(test, called_intact);
	KUNIT_EXPECT_NULL(test, kheap_weakref_get(&late_ref));
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_weakrefs_cleared, 1);
	node_expect_empty(test, heap);
}

static void cut_and_save(struct node *node)
{
	node_link(node, 0, NULL);
	kheap_ref_set(&nodes.saved, &node->obj);
}

static void drop_saved(struct node *node)
{
	kheap_ref_set(&nodes.saved, NULL);
}

/* The second verification reads the counts first; then it is let go. */
static void object_that_nobody_saves_in_the_end_is_not_resurrected(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_final_ops);
	struct node *node = node_new(test, type);

	node_link(node, 0, node);
	node_put(node);
	nodes.in_finalize = cut_and_save;
	nodes.in_traverse = drop_saved;
	KUNIT_EXPECT_EQ(test, node_collect(test, heap), 0);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_resurrected, 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&type->nr_resurrected), 0);
	node_expect_empty(test, heap);
}

/* --- After the release -------------------------------------------------- */

static void object_that_waits_for_a_grace_period_is_not_alive(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type_ops ops = node_leaf_ops;
	struct kheap_type *type;
	unsigned long nr_live, nr_held, nr_allocated;
	struct node *all[5];
	unsigned int i;

	ops.flags |= KHEAP_TYPE_RCU;
	type = node_type(test, heap, &ops);
	for (i = 0; i < ARRAY_SIZE(all); i++)
		all[i] = node_new(test, type);
	KUNIT_EXPECT_EQ(test, kheap_type_nr_live(type), 5);
	rcu_read_lock();
	node_put_all(all, 3);
	nr_live = kheap_type_nr_live(type);
	nr_held = atomic_long_read(&type->nr_held);
	nr_allocated = kheap_test_stats(heap).nr_allocated;
	rcu_read_unlock();
	KUNIT_EXPECT_EQ(test, nr_live, 2);
	KUNIT_EXPECT_EQ(test, nr_held, 3);
	KUNIT_EXPECT_EQ(test, nr_allocated, 5);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, kheap_type_nr_live(type), 2);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&type->nr_held), 0);
	node_put_all(all + 3, 2);
	kheap_type_destroy(type);
	node_expect_empty(test, heap);
}

/* --- Suite -------------------------------------------------------------- */

#define GC_CASE(name)	KUNIT_CASE_PARAM(name, node_mode_params)

static struct kunit_case gc_death_cases[] = {
	GC_CASE(run_waits_for_a_lookup_that_came_too_late),
	KUNIT_CASE(lookup_in_a_finalizer_fails),
	KUNIT_CASE(run_takes_no_reference_in_a_finalizer),
	KUNIT_CASE(finalizer_that_ties_a_cycle_leaves_a_candidate),
	KUNIT_CASE(resurrected_object_is_found_again),
	GC_CASE(weakref_that_a_finalizer_makes_is_called_before_the_clearing),
	KUNIT_CASE(object_that_waits_for_a_grace_period_is_not_alive),
	GC_CASE(object_that_nobody_saves_in_the_end_is_not_resurrected),
	{}
};

static struct kunit_suite gc_death_suite = {
	.name = "kheap_gc_death",
	.init = node_test_init,
	.exit = kheap_test_exit,
	.test_cases = gc_death_cases,
};

kunit_test_suite(gc_death_suite);
