// SPDX-License-Identifier: GPL-2.0
/*
 * Objects: types, references, the release of dead objects, the trashcan, and
 * what becomes of the living when their heap is destroyed.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/rcupdate.h>

#include "nodes.h"

/* kheap_torture does it with a million, and looks at the stack. */

#define NR_ROUNDS	500U

/* --- Types -------------------------------------------------------------- */

static void expect_refused(struct kunit *test, struct kheap *heap,
			   struct kheap_type_ops ops, int err)
{
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(kheap_type_create(heap, &ops)),
			err);
}

static void type_create_refuses_bad_ops(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type_ops ops = node_ops;

	KUNIT_EXPECT_EQ(test, PTR_ERR(kheap_type_create(heap, NULL)), -EINVAL);
	ops.name = "a/b";
	expect_refused(test, heap, ops, -EINVAL);
	ops = node_ops;
	ops.size = sizeof(struct kheap_object) - 1;
	expect_refused(test, heap, ops, -EINVAL);
	ops.size = KHEAP_CACHE_SIZE_MAX + 1;
	expect_refused(test, heap, ops, -EINVAL);
	ops = node_ops;
	ops.align = 24;
	expect_refused(test, heap, ops, -EINVAL);
	ops.align = 2 * KHEAP_CACHE_ALIGN_MAX;
	expect_refused(test, heap, ops, -EINVAL);
	ops = node_ops;
	ops.flags = ~KHEAP_TYPE_FLAGS_ALL;
	expect_refused(test, heap, ops, -EINVAL);
}

static void type_create_refuses_name_of_another_type_or_cache(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct kheap_cache *cache;

	expect_refused(test, heap, node_ops, -EEXIST);
	cache = kheap_cache_create(heap, "leaf", 64, 0, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	expect_refused(test, heap, node_leaf_ops, -EEXIST);
	kheap_type_destroy(type);
	node_type(test, heap, &node_ops);
}

static void type_objects_share_no_pool_with_others(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct node *a = node_new(test, node_type(test, heap, &node_ops));
	struct node *b = node_new(test, node_type(test, heap, &node_leaf_ops));
	void *block = kheap_test_alloc(test, heap, sizeof(struct node));

	KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(a), kheap_pool_of(b));
	KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(a), kheap_pool_of(block));
	node_put(a);
	node_put(b);
	kheap_free(heap, block);
}

static void type_destroy_with_live_objects_lists_them_and_keeps_it(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *node = node_new(test, type);

	kheap_test_watch_log(test);
	kheap_type_destroy(type);
	KHEAP_EXPECT_LOGGED(test, "type 'node' is not destroyed, it has 1 live");
	KHEAP_EXPECT_LOGGED(test, "1 references");
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_TYPE), 1);
	KUNIT_EXPECT_EQ(test, node->canary, NODE_ALIVE);
	node_put(node);
	kheap_type_destroy(type);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_TYPE), 1);
	node_type(test, heap, &node_ops);
}

static void type_destroy_frees_dead_objects_that_have_their_names_buffered(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *node = node_new(test, type);

	kheap_object_get(&node->obj);
	node_put(node);
	node_put(node);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
	kheap_type_destroy(type);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
	node_type(test, heap, &node_ops);
}

/* --- References --------------------------------------------------------- */

static void new_object_has_one_reference_and_is_zero(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_bare_ops);
	struct kheap_object *obj;
	unsigned int round;

	for (round = 0; round < 2; round++) {
		obj = kheap_object_new(type, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, obj);
		KUNIT_EXPECT_EQ(test, kheap_object_refs(obj), 1);
		KUNIT_EXPECT_PTR_EQ(test, kheap_object_type(obj), type);
		KUNIT_EXPECT_NULL(test, memchr_inv(obj + 1, 0,
						   sizeof(struct node) -
						   sizeof(*obj)));
		memset(obj + 1, 0xa5, sizeof(struct node) - sizeof(*obj));
		kheap_object_put(obj);
	}
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
}

static void new_object_refuses_zone_flags(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_bare_ops);

	KUNIT_EXPECT_NULL(test, kheap_object_new(type, GFP_KERNEL | GFP_DMA));
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_GFP), 1);
}

static void get_and_put_count(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct node *node = node_new(test, node_type(test, heap, &node_ops));

	KUNIT_EXPECT_PTR_EQ(test, kheap_object_get(&node->obj), &node->obj);
	KUNIT_EXPECT_TRUE(test, kheap_object_tryget(&node->obj));
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&node->obj), 3);
	node_put(node);
	node_put(node);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&node->obj), 1);
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	node_put(node);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
}

static void put_of_dead_object_is_reported_and_does_nothing(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct node *node = node_new(test, node_type(test, heap, &node_leaf_ops));

	node_put(node);
	kheap_test_watch_log(test);
	node_put(node);
	KHEAP_EXPECT_LOGGED(test, "is a dead object");
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_DEAD), 1);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&node->obj), 0);
}

static void get_of_dead_object_is_reported_and_it_stays_dead(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct node *node = node_new(test, node_type(test, heap, &node_leaf_ops));

	node_put(node);
	kheap_object_get(&node->obj);
	kheap_object_make_immortal(&node->obj);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_DEAD), 2);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&node->obj), 0);
	KUNIT_EXPECT_FALSE(test, kheap_object_tryget(&node->obj));
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_DEAD), 2);
}

static void put_of_a_pointer_to_no_object_is_reported(struct kunit *test)
{
	u64 *stray = kunit_kzalloc(test, 64, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, stray);
	kheap_test_watch_log(test);
	kheap_object_put((struct kheap_object *)stray);
	KHEAP_EXPECT_LOGGED(test, "not memory of any heap");
}

static void full_count_saturates_with_a_report_and_leaks(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct node *node = node_new(test, node_type(test, heap, &node_leaf_ops));
	unsigned int i;

	kheap_test_watch_log(test);
	refcount_set(&node->obj.refs, INT_MAX - 1);
	kheap_object_get(&node->obj);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&node->obj), INT_MAX);
	kheap_object_get(&node->obj);
	KHEAP_EXPECT_LOGGED(test, "has no room for more references");
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&node->obj), UINT_MAX);
	for (i = 0; i < 10; i++)
		node_put(node);
	KUNIT_EXPECT_TRUE(test, kheap_object_tryget(&node->obj));
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&node->obj), UINT_MAX);
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_OVERFLOW), 1);
	refcount_set(&node->obj.refs, 1);
	node_put(node);
}

static void immortal_object_is_not_counted_and_not_written(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct node *node = node_new(test, node_type(test, heap, &node_leaf_ops));
	u64 word;

	kheap_object_make_immortal(&node->obj);
	word = atomic64_read(&node->obj.word);
	kheap_object_get(&node->obj);
	node_put(node);
	node_put(node);
	KUNIT_EXPECT_TRUE(test, kheap_object_tryget(&node->obj));
	KUNIT_EXPECT_EQ(test, atomic64_read(&node->obj.word), word);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&node->obj), UINT_MAX);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
	kheap_test_source(heap)->nr_live = 1;
	kheap_test_heap_destroy(test, heap);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
}

static void ref_set_take_and_give_move_references(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *a = node_new(test, type), *b = node_new(test, type);
	struct kheap_object *slot = NULL;

	kheap_ref_set(&slot, &a->obj);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&a->obj), 2);
	kheap_ref_set(&slot, &a->obj);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&a->obj), 2);
	kheap_ref_give(&slot, &b->obj);
	KUNIT_EXPECT_PTR_EQ(test, slot, &b->obj);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&a->obj), 1);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&b->obj), 1);
	KUNIT_EXPECT_PTR_EQ(test, kheap_ref_take(&slot), &b->obj);
	KUNIT_EXPECT_NULL(test, kheap_ref_take(&slot));
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&b->obj), 1);
	kheap_ref_give(&slot, &b->obj);
	kheap_ref_give(&slot, NULL);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
	node_put(a);
	kheap_trim(heap);
}

/* --- Release ------------------------------------------------------------ */

static void release_defaults_to_clear(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type *leaf = node_type(test, heap, &node_leaf_ops);
	struct kheap_type_ops ops = node_ops;
	struct node *node, *child = node_new(test, leaf);

	ops.release = NULL;
	node = node_new(test, node_type(test, heap, &ops));
	kheap_ref_give(&node->edges[1], &child->obj);
	node_put(node);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
}

static void finalizer_runs_once_before_the_release(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct node *node = node_new(test, node_type(test, heap, &node_final_ops));

	node->resurrect = true;
	node_put(node);
	KUNIT_EXPECT_PTR_EQ(test, nodes.saved, &node->obj);
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&node->obj), 1);
	kheap_ref_set(&nodes.saved, NULL);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_finalized), 1);
	kheap_trim(heap);
}

static bool released_in_task;

static void note_context(struct node *node)
{
	might_sleep();
	released_in_task = in_task() && !irqs_disabled();
}

static void process_type_is_released_in_process_context(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type_ops ops = node_leaf_ops;
	struct kheap_type *type;
	struct node *node;
	unsigned long flags;

	ops.flags = KHEAP_TYPE_PROCESS;
	type = node_type(test, heap, &ops);
	node = node_new(test, type);
	nodes.in_release = note_context;
	released_in_task = false;
	local_irq_save(flags);
	node_put(node);
	local_irq_restore(flags);
	kheap_type_destroy(type);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
	KUNIT_EXPECT_TRUE(test, released_in_task);
}

static void rcu_object_keeps_its_memory_for_a_grace_period(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type_ops ops = node_ops;
	struct kheap_type *type;
	struct node *node;

	ops.flags |= KHEAP_TYPE_RCU;
	type = node_type(test, heap, &ops);
	node = node_new(test, type);
	node->id = 77;
	rcu_read_lock();
	KUNIT_EXPECT_TRUE(test, kheap_object_tryget(&node->obj));
	node_put(node);
	node_put(node);
	KUNIT_EXPECT_FALSE(test, kheap_object_tryget(&node->obj));
	KUNIT_EXPECT_EQ(test, node->id, 77);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 1);
	rcu_read_unlock();
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
}

static struct {
	struct node *node;
	atomic_t round;
	atomic_t done;
	atomic_t nr_found;
} shared;

/* In each round, look up while somebody else puts the last reference. */
static int look_up_in_thread(void *data)
{
	struct node *node;
	bool found;
	int round;

	for (round = 1; round <= NR_ROUNDS; round++) {
		while (atomic_read_acquire(&shared.round) < round)
			cond_resched();
		rcu_read_lock();
		node = READ_ONCE(shared.node);
		found = kheap_object_tryget(&node->obj);
		rcu_read_unlock();
		if (found) {
			if (node->canary != NODE_ALIVE)
				atomic_inc(&nodes.nr_bad);
			atomic_inc(&shared.nr_found);
			node_put(node);
		}
		atomic_set_release(&shared.done, round);
	}
	while (!kthread_should_stop())
		msleep(20);
	return 0;
}

static void lookup_under_rcu_races_with_the_last_put(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type_ops ops = node_ops;
	struct kheap_type *type;
	struct task_struct *task;
	int round;

	ops.flags |= KHEAP_TYPE_RCU;
	type = node_type(test, heap, &ops);
	memset(&shared, 0, sizeof(shared));
	task = kthread_run(look_up_in_thread, NULL, "kheap-look-up");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	for (round = 1; round <= NR_ROUNDS; round++) {
		struct node *node = node_new(test, type);

		/* So that the memory of a late look-up is there. */
		rcu_read_lock();
		WRITE_ONCE(shared.node, node);
		atomic_set_release(&shared.round, round);
		ndelay(round % 64 * 20);
		node_put(node);
		while (atomic_read_acquire(&shared.done) < round)
			cpu_relax();
		rcu_read_unlock();
		KUNIT_EXPECT_EQ(test, nr_released(), round);
	}
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_bad), 0);
	kunit_info(test, "%d of %u found\n", atomic_read(&shared.nr_found),
		   NR_ROUNDS);
	kheap_trim(heap);
}

/* --- The trashcan ------------------------------------------------------- */

/* Where the last reference to a long structure is dropped. */
enum where { IN_PROCESS, IN_SOFTIRQ, IN_HARDIRQ };

static const struct where_param {
	const char *name;
	enum where where;
} wheres[] = {
	{ "process", IN_PROCESS },
	{ "softirq", IN_SOFTIRQ },
	{ "hardirq", IN_HARDIRQ },
};

static void where_desc(const struct where_param *param, char *desc)
{
	strscpy(desc, param->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(where, wheres, where_desc);

/* More than any stack has room for. */
static unsigned int nr_many(void)
{
	return kheap_test_sweep ? 20000 : 4000;
}

static struct kheap_object *to_drop;
static struct completion dropped;

static void drop_in_tasklet(struct tasklet_struct *tasklet)
{
	kheap_object_put(to_drop);
	complete(&dropped);
}

static void drop_in_irq_work(struct irq_work *work)
{
	kheap_object_put(to_drop);
	complete(&dropped);
}

static DECLARE_TASKLET(drop_tasklet, drop_in_tasklet);
static struct irq_work drop_work = IRQ_WORK_INIT(drop_in_irq_work);

static void drop(struct kunit *test, struct node *node)
{
	const struct where_param *param = test->param_value;

	to_drop = &node->obj;
	init_completion(&dropped);
	switch (param->where) {
	case IN_PROCESS:
		node_put(node);
		return;
	case IN_SOFTIRQ:
		tasklet_schedule(&drop_tasklet);
		break;
	case IN_HARDIRQ:
		irq_work_queue(&drop_work);
		break;
	}
	wait_for_completion(&dropped);
}

/* A run of the collector would hold a reference here and there for a moment. */
static void long_list_is_released_without_nesting(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *head = NULL;
	unsigned int i;

	for (i = 0; i < nr_many(); i++) {
		struct node *node = node_new(test, type);

		if (head)
			kheap_ref_give(&node->edges[0], &head->obj);
		head = node;
		if (!(i % 1024))
			cond_resched();
	}
	drop(test, head);
	KUNIT_EXPECT_EQ(test, nr_released(), nr_many());
	KUNIT_EXPECT_EQ(test, nodes.max_depth, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_bad), 0);
	kheap_trim(heap);
}

/* A comb: every node of a list has a node beside it. */
static void deep_tree_is_released_without_nesting(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *root = NULL;
	unsigned int i;

	for (i = 0; i < nr_many(); i++) {
		struct node *node = node_new(test, type);
		struct node *leaf = i % 4 ? NULL : node_new(test, type);

		if (root)
			kheap_ref_give(&node->edges[i % 2], &root->obj);
		if (leaf)
			kheap_ref_give(&node->edges[!(i % 2)], &leaf->obj);
		root = node;
		if (!(i % 1024))
			cond_resched();
	}
	drop(test, root);
	KUNIT_EXPECT_EQ(test, nr_released(), nr_many() + nr_many() / 4);
	KUNIT_EXPECT_EQ(test, nodes.max_depth, 1);
	kheap_trim(heap);
}

/* --- The end of a heap -------------------------------------------------- */

static void destroy(struct kunit *test, struct kheap *heap, unsigned int nr)
{
	kheap_test_source(heap)->nr_live = nr;
	kheap_test_heap_destroy(test, heap);
	KUNIT_EXPECT_EQ(test, nr_released(), nr);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_bad), 0);
}

static void heap_destroy_reports_and_releases_live_objects_once(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *ring[5];

	node_ring(test, type, ring, 5);
	kheap_object_get(&ring[2]->obj);
	kheap_test_watch_log(test);
	destroy(test, heap, 5);
	KHEAP_EXPECT_LOGGED(test, "destroyed with 5 live objects");
	KHEAP_EXPECT_LOGGED(test, "5 of node");
}

static void expect_alive(struct kheap_object *obj)
{
	if (obj && to_node(obj)->canary != NODE_ALIVE)
		atomic_inc(&nodes.nr_bad);
}

static void look_at_edges(struct node *node)
{
	expect_alive(node->edges[0]);
	expect_alive(node->edges[1]);
}

/* Clear sees everything intact, whatever the order in memory. */
static void heap_destroy_clears_before_it_releases(struct kunit *test)
{
	struct kheap_type_ops ops = node_leaf_ops;
	unsigned int order, i;

	ops.clear = node_ops.clear;
	for (order = 0; order < 2; order++) {
		struct kheap *heap = kheap_test_heap(test);
		struct kheap_type *type = node_type(test, heap, &ops);
		struct node *list[10];

		memset(&nodes, 0, sizeof(nodes));
		nodes.in_release = look_at_edges;
		for (i = 0; i < 10; i++)
			list[i] = node_new(test, type);
		for (i = 0; i < 9; i++)
			kheap_ref_give(&list[order ? i : i + 1]->edges[0],
				       &list[order ? i + 1 : i]->obj);
		destroy(test, heap, 10);
	}
}

/* A type that only has release: every object once, and no second report. */
static void heap_destroy_releases_a_leaked_list_once(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_leaf_ops);
	struct node *node, *head = NULL;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		node = node_new(test, type);
		if (head)
			kheap_ref_give(&node->edges[0], &head->obj);
		head = node;
	}
	kheap_test_watch_log(test);
	destroy(test, heap, 100);
	KUNIT_EXPECT_EQ(test, kheap_test_logged("dead object"), 0);
}

static void heap_destroy_finalizes_before_anything_is_cleared(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_final_ops);
	struct node *ring[4];

	nodes.in_finalize = look_at_edges;
	node_ring(test, type, ring, 4);
	node_put_all(ring, 4);
	destroy(test, heap, 4);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_finalized), 4);
}

/* --- Objects that are none ---------------------------------------------- */

static void reference_to_what_is_in_no_heap_is_reported(struct kunit *test)
{
	struct kheap_object *stray = kunit_kzalloc(test, 64, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, stray);
	kheap_test_watch_log(test);
	KUNIT_EXPECT_PTR_EQ(test, kheap_object_get(stray), stray);
	kheap_object_make_immortal(stray);
	KUNIT_EXPECT_FALSE(test, kheap_object_tryget(stray));
	KUNIT_EXPECT_EQ(test, kheap_object_refs(stray), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_logged("not memory of any heap"), 2u);
}

/* Make @obj look like a new object. */
static void forge(struct kheap_type *type, struct kheap_object *obj)
{
	obj->type = type;
	atomic64_set(&obj->word, (s64)((u64)type->gc_new << 32) | 1);
}

static void forged_object_is_not_freed(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_bare_ops);
	struct node *node, *gone, *one, *other;
	struct kheap_object *stray;

	kheap_test_stay_on(test, 0);
	node = node_new(test, type);
	gone = node_new(test, type);
	stray = kunit_kzalloc(test, sizeof(*node), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, stray);
	kheap_test_watch_log(test);
	forge(type, stray);
	kheap_object_put(stray);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_FOREIGN), 1);
	kheap_test_expect_sound(test, heap);
	/*
	 * Dead, and raised by stale writes to all of its head, so that its mark
	 * is lost: it is freed once more, and is nobody's twice.
	 */
	node_put(gone);
	forge(type, &gone->obj);
	node_put(gone);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 1);
	one = node_new(test, type);
	other = node_new(test, type);
	KUNIT_EXPECT_PTR_EQ(test, one, gone);
	KUNIT_EXPECT_PTR_NE(test, other, gone);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_LINK), 1);
	kheap_test_expect_sound(test, heap);
	node_put(other);
	node_put(one);
	node_put(node);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
}

static void type_destroy_lists_some_of_many(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_bare_ops);
	struct node *all[50];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		all[i] = node_new(test, type);
	kheap_test_watch_log(test);
	kheap_type_destroy(type);
	KHEAP_EXPECT_LOGGED(test, "it has 50 live objects");
	KUNIT_EXPECT_EQ(test, kheap_test_logged("1 references"), 8u);
	KHEAP_EXPECT_LOGGED(test, "and 42 more");
	node_put_all(all, ARRAY_SIZE(all));
	kheap_type_destroy(type);
}

/* --- Suite -------------------------------------------------------------- */

static void free_of_a_live_object_is_refused(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *node = node_new(test, node_type(test, heap, &node_ops));

	kheap_test_watch_log(test);
	kheap_free(heap, node);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_CACHE), 1);
	kheap_free_rcu(heap, node);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_CACHE), 2);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 1);
	node_put(node);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 2);
}

static struct kunit_case object_cases[] = {
	KUNIT_CASE(type_create_refuses_bad_ops),
	KUNIT_CASE(type_create_refuses_name_of_another_type_or_cache),
	KUNIT_CASE(type_objects_share_no_pool_with_others),
	KUNIT_CASE(type_destroy_with_live_objects_lists_them_and_keeps_it),
	KUNIT_CASE(type_destroy_frees_dead_objects_that_have_their_names_buffered),
	KUNIT_CASE(new_object_has_one_reference_and_is_zero),
	KUNIT_CASE(new_object_refuses_zone_flags),
	KUNIT_CASE(get_and_put_count),
	KUNIT_CASE(put_of_dead_object_is_reported_and_does_nothing),
	KUNIT_CASE(get_of_dead_object_is_reported_and_it_stays_dead),
	KUNIT_CASE(put_of_a_pointer_to_no_object_is_reported),
	KUNIT_CASE(full_count_saturates_with_a_report_and_leaks),
	KUNIT_CASE(immortal_object_is_not_counted_and_not_written),
	KUNIT_CASE(ref_set_take_and_give_move_references),
	KUNIT_CASE(release_defaults_to_clear),
	KUNIT_CASE(finalizer_runs_once_before_the_release),
	KUNIT_CASE(process_type_is_released_in_process_context),
	KUNIT_CASE(rcu_object_keeps_its_memory_for_a_grace_period),
	KUNIT_CASE_SLOW(lookup_under_rcu_races_with_the_last_put),
	KUNIT_CASE_PARAM(long_list_is_released_without_nesting,
			 where_gen_params),
	KUNIT_CASE_PARAM(deep_tree_is_released_without_nesting,
			 where_gen_params),
	KUNIT_CASE(heap_destroy_reports_and_releases_live_objects_once),
	KUNIT_CASE(heap_destroy_clears_before_it_releases),
	KUNIT_CASE(heap_destroy_releases_a_leaked_list_once),
	KUNIT_CASE(heap_destroy_finalizes_before_anything_is_cleared),
	KUNIT_CASE(reference_to_what_is_in_no_heap_is_reported),
	KUNIT_CASE(forged_object_is_not_freed),
	KUNIT_CASE(type_destroy_lists_some_of_many),
	KUNIT_CASE(free_of_a_live_object_is_refused),
	{}
};

static struct kunit_suite object_suite = {
	.name = "kheap_object",
	.suite_init = kheap_test_untracked_init,
	.suite_exit = kheap_test_untracked_exit,
	.init = node_test_init,
	.exit = kheap_test_exit,
	.test_cases = object_cases,
};

kunit_test_suite(object_suite);
