// SPDX-License-Identifier: GPL-2.0
/*
 * Weak references: what they give, when their callbacks run, and the races of
 * an upgrade and a clear with the target's death.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/slab.h>

#include "nodes.h"

#define NR_REFS		200U	/* more than are detached in one go */
#define NR_ROUNDS	500U

static void count_call(struct kheap_weakref *ref)
{
	atomic_inc(&nodes.nr_called);
}

static struct node *weak_node(struct kunit *test, struct kheap *heap)
{
	return node_new(test, node_type(test, heap, &node_ops));
}

static void get_gives_a_reference_until_the_target_dies(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct node *node = weak_node(test, heap);
	struct kheap_weakref ref;
	struct kheap_object *obj;

	KUNIT_EXPECT_EQ(test, kheap_weakref_init(&ref, &node->obj, NULL), 0);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&node->obj), 1);
	obj = kheap_weakref_get(&ref);
	KUNIT_EXPECT_PTR_EQ(test, obj, &node->obj);
	KUNIT_EXPECT_EQ(test, kheap_object_refs(&node->obj), 2);
	node_put(node);
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	kheap_object_put(obj);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
	KUNIT_EXPECT_NULL(test, kheap_weakref_get(&ref));
	kheap_weakref_clear(&ref);
	kheap_trim(heap);
}

/* Nor does it give what comes where the target was. */
static void get_gives_nothing_that_comes_later(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct kheap_weakref ref;
	struct node *node, *next;

	kheap_test_stay_on(test, 0);
	node = node_new(test, type);
	kheap_weakref_init(&ref, &node->obj, NULL);
	node_put(node);
	next = node_new(test, type);
	KUNIT_EXPECT_PTR_EQ(test, next, node);
	KUNIT_EXPECT_NULL(test, kheap_weakref_get(&ref));
	node_put(next);
	KUNIT_EXPECT_EQ(test, nr_released(), 2);
}

static void init_refuses_type_without_the_flag(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct node *node = node_new(test, node_type(test, heap, &node_leaf_ops));
	struct kheap_weakref ref;

	KUNIT_EXPECT_EQ(test, kheap_weakref_init(&ref, &node->obj, NULL),
			-EOPNOTSUPP);
	KUNIT_EXPECT_NULL(test, kheap_weakref_get(&ref));
	kheap_weakref_clear(&ref);
	node_put(node);
}

static void reference_that_is_cleared_first_is_not_called(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct node *node = weak_node(test, heap);
	struct kheap_weakref ref;

	kheap_weakref_init(&ref, &node->obj, count_call);
	kheap_weakref_clear(&ref);
	KUNIT_EXPECT_NULL(test, kheap_weakref_get(&ref));
	kheap_weakref_clear(&ref);
	node_put(node);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_called), 0);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
}

static void all_references_are_cleared_and_called_once(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct node *node = weak_node(test, heap);
	struct kheap_weakref *refs;
	unsigned int i;

	refs = kunit_kcalloc(test, NR_REFS, sizeof(*refs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, refs);
	for (i = 0; i < NR_REFS; i++)
		kheap_weakref_init(&refs[i], &node->obj,
				   i % 2 ? count_call : NULL);
	node_put(node);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_called), NR_REFS / 2);
	for (i = 0; i < NR_REFS; i++) {
		KUNIT_EXPECT_NULL(test, kheap_weakref_get(&refs[i]));
		kheap_weakref_clear(&refs[i]);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_called), NR_REFS / 2);
}

static unsigned int released_at_call;

static void free_in_call(struct kheap_weakref *ref)
{
	released_at_call = nr_released();
	atomic_inc(&nodes.nr_called);
	kheap_weakref_clear(ref);
	kfree(ref);
}

static void callback_runs_before_the_release_and_may_free_its_reference(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct node *node = weak_node(test, heap);
	struct kheap_weakref *ref = kzalloc(sizeof(*ref), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ref);
	kheap_weakref_init(ref, &node->obj, free_in_call);
	released_at_call = 99;
	node_put(node);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_called), 1);
	KUNIT_EXPECT_EQ(test, released_at_call, 0);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
}

static struct kheap_weakref pair[2];

/* Whichever is called first ends the other one. */
static void clear_the_other(struct kheap_weakref *ref)
{
	atomic_inc(&nodes.nr_called);
	kheap_weakref_clear(ref == &pair[0] ? &pair[1] : &pair[0]);
}

static void callback_that_is_cleared_by_another_callback_is_not_called(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct node *node = weak_node(test, heap);

	kheap_weakref_init(&pair[0], &node->obj, clear_the_other);
	kheap_weakref_init(&pair[1], &node->obj, clear_the_other);
	node_put(node);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_called), 1);
}

static bool finalized_with_ref;
static struct kheap_weakref *watched;

static void look_at_watched(struct node *node)
{
	finalized_with_ref = kheap_weakref_get(watched);
}

static void reference_is_cleared_before_the_finalizer(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct node *node = node_new(test, node_type(test, heap, &node_final_ops));
	struct kheap_weakref ref;

	kheap_weakref_init(&ref, &node->obj, NULL);
	watched = &ref;
	finalized_with_ref = true;
	nodes.in_finalize = look_at_watched;
	node_put(node);
	KUNIT_EXPECT_FALSE(test, finalized_with_ref);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
}

/* --- Races -------------------------------------------------------------- */

static struct completion in_call, go_on;

static void wait_in_call(struct kheap_weakref *ref)
{
	complete(&in_call);
	wait_for_completion(&go_on);
	msleep(50);
	atomic_inc(&nodes.nr_called);
}

static int put_in_thread(void *data)
{
	node_put(data);
	while (!kthread_should_stop())
		msleep(20);
	return 0;
}

static void clear_waits_for_a_callback_that_runs(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct node *node = weak_node(test, heap);
	unsigned long nr_sleeps;
	struct kheap_weakref ref;
	struct task_struct *task;

	init_completion(&in_call);
	init_completion(&go_on);
	kheap_weakref_init(&ref, &node->obj, wait_in_call);
	task = kthread_run(put_in_thread, node, "kheap-put");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	wait_for_completion(&in_call);
	complete(&go_on);
	nr_sleeps = current->nvcsw;
	kheap_weakref_clear(&ref);
	/* Voluntarily: it does not spin. */
	KUNIT_EXPECT_GT(test, current->nvcsw, nr_sleeps);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_called), 1);
	kthread_stop(task);
	kheap_trim(heap);
}

static void spin_in_call(struct kheap_weakref *ref)
{
	complete(&in_call);
	mdelay(20);
	atomic_inc(&nodes.nr_called);
}

static void clear_atomically(struct kheap_weakref *ref)
{
	preempt_disable();
	kheap_weakref_clear(ref);
	preempt_enable();
}

static void clear_in_reader(struct kheap_weakref *ref)
{
	rcu_read_lock();
	kheap_weakref_clear(ref);
	rcu_read_unlock();
}

static const struct place {
	const char *desc;
	void (*clear)(struct kheap_weakref *ref);
} places[] = {
	{ "preemption_off", clear_atomically },
	{ "rcu_reader", clear_in_reader },
};

KHEAP_TEST_SWEEP_PARAM_DESC(places, places, 1);

static void clear_does_not_sleep_where_it_must_not(struct kunit *test)
{
	const struct place *place = test->param_value;
	struct kheap *heap = kheap_test_heap(test);
	struct node *node = weak_node(test, heap);
	struct kheap_weakref ref;
	struct task_struct *task;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs a CPU for the callback");
	kheap_test_stay_on(test, 0);
	init_completion(&in_call);
	kheap_weakref_init(&ref, &node->obj, spin_in_call);
	task = kthread_create(put_in_thread, node, "kheap-put");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	kthread_bind(task, 1);
	wake_up_process(task);
	wait_for_completion(&in_call);
	place->clear(&ref);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_called), 1);
	kthread_stop(task);
	kheap_trim(heap);
}

static struct upgrade_race {
	struct kheap_weakref ref;
	atomic_t round;
	atomic_t done;
	atomic_t nr_upgraded;
} race;

/* In each round, upgrade while somebody else puts the last reference. */
static int upgrade_in_thread(void *data)
{
	struct kheap_object *obj;
	int round;

	for (round = 1; round <= NR_ROUNDS; round++) {
		while (atomic_read(&race.round) < round)
			cpu_relax();
		obj = kheap_weakref_get(&race.ref);
		if (obj) {
			if (to_node(obj)->canary != NODE_ALIVE)
				atomic_inc(&nodes.nr_bad);
			atomic_inc(&race.nr_upgraded);
			kheap_object_put(obj);
		}
		atomic_set_release(&race.done, round);
	}
	while (!kthread_should_stop())
		msleep(20);
	return 0;
}

static void upgrade_races_with_the_last_put(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct task_struct *task;
	int round;

	memset(&race, 0, sizeof(race));
	task = kthread_run(upgrade_in_thread, NULL, "kheap-upgrade");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	for (round = 1; round <= NR_ROUNDS; round++) {
		struct node *node = node_new(test, type);

		kheap_weakref_init(&race.ref, &node->obj, NULL);
		atomic_set_release(&race.round, round);
		ndelay(round % 64 * 20);
		node_put(node);
		while (atomic_read_acquire(&race.done) < round)
			cond_resched();
		kheap_weakref_clear(&race.ref);
		KUNIT_EXPECT_EQ(test, nr_released(), round);
	}
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_bad), 0);
	kunit_info(test, "%d of %u upgraded\n", atomic_read(&race.nr_upgraded),
		   NR_ROUNDS);
	kheap_trim(heap);
}

static void dead_weakref_is_cleared_after_its_type(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *node = node_new(test, type);
	struct kheap_weakref ref;

	kheap_weakref_init(&ref, &node->obj, count_call);
	node_put(node);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_called), 1);
	kheap_type_destroy(type);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_TYPE), 0);
	kheap_weakref_clear(&ref);
	KUNIT_EXPECT_NULL(test, kheap_weakref_get(&ref));
}

static struct kunit_case weakref_cases[] = {
	KUNIT_CASE(dead_weakref_is_cleared_after_its_type),
	KUNIT_CASE(get_gives_a_reference_until_the_target_dies),
	KUNIT_CASE(get_gives_nothing_that_comes_later),
	KUNIT_CASE(init_refuses_type_without_the_flag),
	KUNIT_CASE(reference_that_is_cleared_first_is_not_called),
	KUNIT_CASE(all_references_are_cleared_and_called_once),
	KUNIT_CASE(callback_runs_before_the_release_and_may_free_its_reference),
	KUNIT_CASE(callback_that_is_cleared_by_another_callback_is_not_called),
	KUNIT_CASE(reference_is_cleared_before_the_finalizer),
	KUNIT_CASE(clear_waits_for_a_callback_that_runs),
	KUNIT_CASE_PARAM(clear_does_not_sleep_where_it_must_not,
			 places_gen_params),
	KUNIT_CASE_SLOW(upgrade_races_with_the_last_put),
	{}
};

static struct kunit_suite weakref_suite = {
	.name = "kheap_weakref",
	.init = node_test_init,
	.exit = kheap_test_exit,
	.test_cases = weakref_cases,
};

kunit_test_suite(weakref_suite);
