// SPDX-License-Identifier: GPL-2.0
/*
 * The collector's functions at odd times: in callbacks, with candidates about,
 * when its work comes late or has no memory, puts while it runs, and the end of
 * its heap; and what debugfs draws.
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/seq_file.h>

#include "nodes.h"

#define NR_RING	700U

static void drop_ring(struct kunit *test, struct kheap_type *type,
		      unsigned int nr)
{
	struct node **ring = kunit_kcalloc(test, nr, sizeof(*ring),
					   GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ring);
	node_ring(test, type, ring, nr);
	node_put_all(ring, nr);
}

/* --- In callbacks ------------------------------------------------------- */

static struct kheap_type *other_type;

static void destroy_other_type(struct node *node)
{
	kheap_type_destroy(other_type);
}

static void type_is_not_destroyed_in_a_callback(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);

	other_type = node_type(test, heap, &node_leaf_ops);
	kheap_test_watch_log(test);
	drop_ring(test, type, 1);
	nodes.in_traverse = destroy_other_type;
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, 0), 1);
	nodes.in_traverse = NULL;
	KUNIT_EXPECT_GT(test, kheap_test_refused(heap, KHEAP_BAD_CONTEXT), 0);
	/* It is there, and nobody has its name. */
	node_put(node_new(test, other_type));
	KUNIT_EXPECT_PTR_EQ(test, kheap_type_create(heap, &node_leaf_ops),
			    ERR_PTR(-EEXIST));
	kheap_type_destroy(other_type);
	node_type(test, heap, &node_leaf_ops);
}

static struct kheap *other_heap;
static long other_answer;

static void collect_other_heap(struct node *node)
{
	other_answer = kheap_gc_collect(other_heap, KHEAP_GC_FULL);
}

/* Its run may be waiting for ours in the same way. */
static void collect_of_another_heap_is_refused_in_a_callback(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);

	other_heap = node_gc_heap(test);
	drop_ring(test, node_type(test, other_heap, &node_ops), 2);
	drop_ring(test, node_type(test, heap, &node_ops), 3);
	other_answer = 0;
	nodes.in_traverse = collect_other_heap;
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, 0), 3);
	KUNIT_EXPECT_EQ(test, other_answer, -EDEADLK);
	nodes.in_traverse = NULL;
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(other_heap, 0), 2);
	node_expect_empty(test, heap);
}

static struct kheap *asking_heap;
static struct kheap_gc_stats answer;

static void ask(struct node *node)
{
	kheap_gc_get_stats(asking_heap, &answer);
}

static void statistics_are_had_in_a_callback(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);

	drop_ring(test, node_type(test, heap, &node_ops), 3);
	kheap_gc_set_threshold(heap, 12345);
	asking_heap = heap;
	memset(&answer, 0, sizeof(answer));
	nodes.in_traverse = ask;
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, 0), 3);
	nodes.in_traverse = NULL;
	KUNIT_EXPECT_EQ(test, answer.threshold, 12345);
	KUNIT_EXPECT_FALSE(test, answer.enabled);
	KUNIT_EXPECT_EQ(test, answer.nr_runs, 0);
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_runs, 1);
}

static bool switch_on;

static void switch_collector(struct node *node)
{
	kheap_gc_enable(asking_heap, switch_on);
}

static void collector_is_switched_in_a_callback(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	unsigned int i;

	asking_heap = heap;
	nodes.in_traverse = switch_collector;
	for (i = 0; i < 2; i++) {
		switch_on = !i;
		drop_ring(test, type, 3);
		KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, 0), 3);
		KUNIT_EXPECT_EQ(test, node_gc_stats(heap).enabled, switch_on);
	}
	nodes.in_traverse = NULL;
	node_expect_empty(test, heap);
}

/* --- With candidates ---------------------------------------------------- */

/* Their names go from the buffers; what is dead by then goes altogether. */
static void candidates_can_be_frozen(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *dead;

	drop_ring(test, type, NR_RING);
	dead = node_new(test, type);
	kheap_object_get(&dead->obj);
	node_put(dead);
	node_put(dead);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
	atomic_set(&nodes.nr_released, 0);
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_pending, NR_RING + 1);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, NR_RING + 1);
	KUNIT_EXPECT_EQ(test, kheap_gc_freeze(heap), NR_RING);
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_pending, 0);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, NR_RING);
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, 0), 0);
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, KHEAP_GC_FULL), 0);
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	KUNIT_EXPECT_EQ(test, kheap_gc_unfreeze(heap), NR_RING);
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, 0), NR_RING);
	node_expect_empty(test, heap);
}

static atomic_t put_now;

static int remember_in_thread(void *data)
{
	while (!atomic_read_acquire(&put_now))
		cpu_relax();
	node_put(data);
	while (!kthread_should_stop())
		msleep(20);
	return 0;
}

/* A put that has no place in the buffer yet: is it pending? */
static long pending_before_it_is_buffered(struct kheap_gc *gc, int cpu)
{
	struct kheap_gc_buffer *buffer =
		per_cpu_ptr(kheap_collector(gc)->buffers, cpu);
	unsigned int tries = 20000;
	unsigned long flags;
	long nr;

	raw_spin_lock_irqsave(&buffer->lock, flags);
	atomic_set_release(&put_now, 1);
	do {
		udelay(5);
		nr = atomic_long_read(&kheap_collector(gc)->nr_pending);
	} while (!nr && --tries);
	raw_spin_unlock_irqrestore(&buffer->lock, flags);
	return nr;
}

/* Counted later, it could be counted off before: a number below 0 is many. */
static void candidate_is_pending_before_it_is_buffered(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *node = node_new(test, node_type(test, heap, &node_ops));
	struct task_struct *task;
	int cpu;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");
	kheap_test_stay_on(test, cpumask_first(cpu_online_mask));
	cpu = cpumask_last(cpu_online_mask);
	kheap_object_get(&node->obj);
	atomic_set(&put_now, 0);
	task = kthread_create(remember_in_thread, node, "kheap-put");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	kthread_bind(task, cpu);
	wake_up_process(task);
	KUNIT_EXPECT_EQ(test, pending_before_it_is_buffered(heap->object.gc, cpu), 1);
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_pending, 1);
	node_put(node);
	node_expect_empty(test, heap);
}

/* --- By itself ---------------------------------------------------------- */

static void work_that_comes_late_finds_the_collector_off(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);

	drop_ring(test, node_type(test, heap, &node_ops), 3);
	mod_delayed_work(kheap_unbound_wq,
			 &kheap_collector(heap->object.gc)->work, 0);
	flush_delayed_work(&kheap_collector(heap->object.gc)->work);
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_automatic_runs, 0);
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, 0), 3);
}

/* It tries again by itself: the second time is for the case to hasten. */
static void work_without_memory_comes_again(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);

	drop_ring(test, node_type(test, heap, &node_ops), NR_RING);
	heap->base.limit_bytes = 1;
	kheap_gc_enable(heap, true);
	mod_delayed_work(kheap_unbound_wq,
			 &kheap_collector(heap->object.gc)->work, 0);
	flush_work(&kheap_collector(heap->object.gc)->work.work);
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	KUNIT_EXPECT_TRUE(test,
			  delayed_work_pending(&kheap_collector(heap->object.gc)->work));
	heap->base.limit_bytes = 0;
	mod_delayed_work(kheap_unbound_wq,
			 &kheap_collector(heap->object.gc)->work, 0);
	flush_delayed_work(&kheap_collector(heap->object.gc)->work);
	KUNIT_EXPECT_EQ(test, nr_released(), NR_RING);
	KUNIT_EXPECT_GE(test, node_gc_stats(heap).nr_automatic_runs, 2);
	node_expect_empty(test, heap);
}

/* --- While it runs ------------------------------------------------------ */

static struct kheap_object *dying;

static void put_dying(struct node *node)
{
	struct kheap_object *obj = xchg(&dying, NULL);

	if (obj)
		kheap_object_put(obj);
}

/* Its memory stays until the run is over, and then goes. */
static void plain_object_may_die_during_a_run(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);

	drop_ring(test, node_type(test, heap, &node_ops), 3);
	dying = &node_new(test, node_type(test, heap, &node_bare_ops))->obj;
	nodes.in_traverse = put_dying;
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, KHEAP_GC_FULL), 3);
	nodes.in_traverse = NULL;
	KUNIT_EXPECT_NULL(test, dying);
	node_expect_empty(test, heap);
}

/* --- Late, lost, uncounted ---------------------------------------------- */

/* A put saw the run, and was done after it: the next run may have the object. */
static void object_that_is_parked_late_waits_for_the_lock(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_leaf_ops);
	struct kheap_gc *gc = heap->object.gc;
	struct node *node = node_new(test, type);

	mutex_lock(&kheap_collector(gc)->mutex);
	WRITE_ONCE(gc->running, true);
	node_put(node);
	WRITE_ONCE(gc->running, false);
	queue_work(kheap_unbound_wq, &gc->parked_work);
	msleep(20);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&type->nr_held), 1);
	KUNIT_EXPECT_NOT_NULL(test, READ_ONCE(gc->parked));
	mutex_unlock(&kheap_collector(gc)->mutex);
	flush_work(&gc->parked_work);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&type->nr_held), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
}

static void lost_candidates_count_until_the_next_run(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *all[20];
	unsigned int i;

	for (i = 0; i < 20; i++)
		all[i] = node_new(test, type);
	heap->base.limit_bytes = 1;
	for (i = 0; i < 20; i++) {
		kheap_object_get(&all[i]->obj);
		node_put(all[i]);
	}
	heap->base.limit_bytes = 0;
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_pending, 20);
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, 0), 0);
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_visited, 20);
	KUNIT_EXPECT_EQ(test, node_gc_stats(heap).nr_pending, 0);
	node_put_all(all, 20);
	node_expect_empty(test, heap);
}

static void make_immortal(struct node *node)
{
	kheap_object_make_immortal(&node->obj);
}

/* The run has a reference then, which it drops. */
static void object_made_immortal_in_a_run_is_not_reported(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *node = node_new(test, node_type(test, heap, &node_ops));

	kheap_object_get(&node->obj);
	node_put(node);
	nodes.in_traverse = make_immortal;
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, KHEAP_GC_FULL), 0);
	nodes.in_traverse = NULL;
	kheap_object_get(&node->obj);
	node_put(node);
	node_put(node);
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
	kheap_test_heap_end(test, heap);
	KUNIT_EXPECT_EQ(test, nr_released(), 1);
}

/* --- When the heap ends ------------------------------------------------- */

static long answers[2];

static void collect_and_destroy(struct node *node)
{
	answers[0] = kheap_gc_collect(asking_heap, 0);
	answers[1] = kheap_gc_freeze(asking_heap);
	kheap_type_destroy(other_type);
}

static void callbacks_at_the_end_of_the_heap_are_refused_a_run(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct node *ring[3];

	other_type = node_type(test, heap, &node_leaf_ops);
	node_ring(test, node_type(test, heap, &node_final_ops), ring, 3);
	asking_heap = heap;
	kheap_test_watch_log(test);
	nodes.in_finalize = collect_and_destroy;
	kheap_test_heap_end(test, heap);
	nodes.in_finalize = NULL;
	KUNIT_EXPECT_EQ(test, answers[0], -EDEADLK);
	KUNIT_EXPECT_EQ(test, answers[1], -EDEADLK);
	KUNIT_EXPECT_EQ(test, nr_released(), 3);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_bad), 0);
}

static void object_that_waits_for_rcu_is_not_alive_at_the_end(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_type_ops ops = node_leaf_ops;

	ops.flags |= KHEAP_TYPE_RCU;
	node_put(node_new(test, node_type(test, heap, &ops)));
	kheap_test_watch_log(test);
	kheap_test_heap_end(test, heap);
	KUNIT_EXPECT_EQ(test, kheap_test_logged("live objects"), 0u);
}

/* --- The graph in debugfs ----------------------------------------------- */

#define SZ_GRAPH	4096

/* What a reader of the file would have; valid until the case ends. */
static const char *read_graph(struct kunit *test, struct kheap *heap)
{
	struct inode *inode = kunit_kzalloc(test, sizeof(*inode), GFP_KERNEL);
	struct file *file = kunit_kzalloc(test, sizeof(*file), GFP_KERNEL);
	char *text = kunit_kzalloc(test, SZ_GRAPH, GFP_KERNEL);
	struct seq_file *seq;

	KUNIT_ASSERT_NOT_NULL(test, inode);
	KUNIT_ASSERT_NOT_NULL(test, file);
	KUNIT_ASSERT_NOT_NULL(test, text);
	inode->i_private = heap;
	KUNIT_ASSERT_EQ(test, kheap_graph_fops.open(inode, file), 0);
	seq = file->private_data;
	seq->buf = text;
	seq->size = SZ_GRAPH - 1;
	KUNIT_EXPECT_EQ(test, seq->op->show(seq, NULL), 0);
	seq->buf = NULL;
	kheap_graph_fops.release(inode, file);
	return text;
}

static void graph_has_the_edges_of_immortal_objects(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *immortal = node_new(test, type);
	const char *text;

	kheap_ref_give(&immortal->edges[0], &node_new(test, type)->obj);
	kheap_object_make_immortal(&immortal->obj);
	text = read_graph(test, heap);
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, "immortal"));
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, " -> "));
	KUNIT_EXPECT_NULL(test, strstr(text, "from outside"));
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, "// edges: 1 shown, 0 cut"));
	kheap_test_heap_end(test, heap);
}

/* --- Walks -------------------------------------------------------------- */

/**
 * struct changing_walk - a walk during which the class of a pool changes
 * @walk: the walk
 * @class: the class
 * @more: blocks that it has more when its pool is locked
 * @gone: it is no type's then
 * @nr_looked: pools that were looked at
 */
struct changing_walk {
	struct kheap_walk walk;
	struct kheap_class *class;
	unsigned int more;
	bool gone;
	unsigned int nr_looked;
};

static bool change_class(struct kheap_walk *walk, unsigned int nr)
{
	struct changing_walk *changing =
		container_of(walk, struct changing_walk, walk);

	changing->class->nr_blocks += changing->more;
	if (changing->gone)
		changing->class->type = NULL;
	return true;
}

static void count_pool(struct kheap_walk *walk, struct kheap_pool *pool)
{
	container_of(walk, struct changing_walk, walk)->nr_looked++;
}

/* As if another class had come to be where the one was that was looked at. */
static unsigned int looked_at(struct kheap_type *type, unsigned int more,
			      bool gone)
{
	struct changing_walk changing = {
		.walk = {
			.reserve = change_class,
			.look_at_pool = count_pool,
		},
		.class = &type->class,
		.more = more,
		.gone = gone,
	};

	kheap_walk_objects(type->heap, &changing.walk);
	type->class.nr_blocks -= more;
	type->class.type = type;
	return changing.nr_looked;
}

/* There is no room for more objects than were told of. */
static void pool_that_changes_its_class_is_not_looked_at(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node *node = node_new(test, type);

	KUNIT_EXPECT_EQ(test, looked_at(type, 0, false), 1);
	KUNIT_EXPECT_EQ(test, looked_at(type, 1, false), 0);
	KUNIT_EXPECT_EQ(test, looked_at(type, 0, true), 0);
	node_put(node);
}

static struct kunit_case gc_calls_cases[] = {
	KUNIT_CASE(type_is_not_destroyed_in_a_callback),
	KUNIT_CASE(collect_of_another_heap_is_refused_in_a_callback),
	KUNIT_CASE(statistics_are_had_in_a_callback),
	KUNIT_CASE(collector_is_switched_in_a_callback),
	KUNIT_CASE(candidates_can_be_frozen),
	KUNIT_CASE(candidate_is_pending_before_it_is_buffered),
	KUNIT_CASE(work_that_comes_late_finds_the_collector_off),
	KUNIT_CASE(work_without_memory_comes_again),
	KUNIT_CASE(plain_object_may_die_during_a_run),
	KUNIT_CASE(object_that_is_parked_late_waits_for_the_lock),
	KUNIT_CASE(lost_candidates_count_until_the_next_run),
	KUNIT_CASE(object_made_immortal_in_a_run_is_not_reported),
	KUNIT_CASE(callbacks_at_the_end_of_the_heap_are_refused_a_run),
	KUNIT_CASE(object_that_waits_for_rcu_is_not_alive_at_the_end),
	KUNIT_CASE(graph_has_the_edges_of_immortal_objects),
	KUNIT_CASE(pool_that_changes_its_class_is_not_looked_at),
	{}
};

static struct kunit_suite gc_calls_suite = {
	.name = "kheap_gc_calls",
	.init = node_test_init,
	.exit = kheap_test_exit,
	.test_cases = gc_calls_cases,
};

kunit_test_suite(gc_calls_suite);
