// SPDX-License-Identifier: GPL-2.0
/*
 * The torture module's threads, parameters and verdict. Inserting it runs the
 * test; it stays inserted when that has passed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "torture.h"

#define PROGRESS	10	/* seconds */

static unsigned int threads = 4;
module_param(threads, uint, 0444);
MODULE_PARM_DESC(threads, "threads that change the graph (4)");

static unsigned long ops = 1000000;
module_param(ops, ulong, 0444);
MODULE_PARM_DESC(ops, "mutations of all threads together (1000000)");

static unsigned int live = 5000;
module_param(live, uint, 0444);
MODULE_PARM_DESC(live, "nodes that the graph is kept at (5000)");

static unsigned long list;
module_param(list, ulong, 0444);
MODULE_PARM_DESC(list, "also drop lists and trees of so many objects (0)");

static unsigned int seed = 1;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "of the random numbers (1)");

static unsigned int rounds = 4;
module_param(rounds, uint, 0444);
MODULE_PARM_DESC(rounds, "times to come to rest and compare (4)");

static bool keep;
module_param(keep, bool, 0444);
MODULE_PARM_DESC(keep, "leave the graph until the module is removed (N)");

static atomic_t nr_running;
static DECLARE_COMPLETION(all_done);
static bool resting;

static int mutate_thread(void *data)
{
	struct mutator *m = data;
	unsigned long i, nr = ops / threads / rounds;

	for (i = 0; i < nr; i++) {
		mutate(m);
		if (!(i % 256))
			cond_resched();
	}
	mutator_drop_locals(m);
	if (atomic_dec_and_test(&nr_running))
		complete(&all_done);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ / 50);
	return 0;
}

static int collect_thread(void *data)
{
	unsigned int run = 0;

	while (!kthread_should_stop()) {
		if (READ_ONCE(resting)) {
			schedule_timeout_interruptible(HZ / 50);
			continue;
		}
		kheap_gc_collect(torture.heap, run++ % 4 ? 0 : KHEAP_GC_FULL);
		cond_resched();
	}
	return 0;
}

static int start_mutators(struct mutator *m, struct task_struct **tasks)
{
	unsigned int i;

	reinit_completion(&all_done);
	atomic_set(&nr_running, threads);
	for (i = 0; i < threads; i++) {
		tasks[i] = kthread_run(mutate_thread, &m[i], "torture/%u", i);
		if (IS_ERR(tasks[i]))
			return PTR_ERR(tasks[i]);
	}
	return 0;
}

/* Nothing is live but what is reachable. */
static int compare(void)
{
	unsigned long nr_reachable, nr_live;
	struct kheap_stats stats;
	int nr_violations;

	/* The first run can leave what was being released, or resurrected. */
	while (kheap_gc_collect(torture.heap, KHEAP_GC_FULL) > 0)
		;
	kheap_trim(torture.heap);
	nr_violations = kheap_check(torture.heap);
	nr_reachable = graph_nr_reachable();
	nr_live = atomic_long_read(&torture.nr_live);
	kheap_get_stats(torture.heap, &stats);
	pr_info("at rest: %lu live, %lu reachable, %lu blocks\n", nr_live,
		nr_reachable, stats.nr_allocated);
	return nr_live == nr_reachable && nr_live == stats.nr_allocated &&
	       !nr_violations && !atomic_long_read(&torture.nr_bad) ?
	       0 : -EIO;
}

static void report(const struct mutator *m, u64 ns)
{
	struct mutator sum = { };
	struct kheap_gc_stats gc;
	unsigned int i;

	for (i = 0; i < threads; i++) {
		sum.nr_done += m[i].nr_done;
		sum.nr_upgraded += m[i].nr_upgraded;
		sum.nr_refused += m[i].nr_refused;
		sum.nr_looked_up += m[i].nr_looked_up;
		sum.nr_failed += m[i].nr_failed;
	}
	kheap_gc_get_stats(torture.heap, &gc);
	pr_info("%lu mutations in %llu ms, %lu upgraded, %lu refused, %lu looked up, %lu failed\n",
		sum.nr_done, ns / NSEC_PER_MSEC, sum.nr_upgraded,
		sum.nr_refused, sum.nr_looked_up, sum.nr_failed);
	pr_info("%lu runs, %lu reclaimed, %lu suspects, %lu rescued, %lu dropped, %lu rejected, %lu finalized, %lu resurrected, longest lock %llu ns\n",
		gc.nr_runs, gc.nr_reclaimed, gc.nr_suspects, gc.nr_rescued,
		gc.nr_dropped, gc.nr_rejected, gc.nr_finalized,
		gc.nr_resurrected, gc.lock_max_ns);
}

static void say_progress(const struct mutator *m, unsigned int round)
{
	struct kheap_gc_stats gc;
	unsigned long nr = 0;
	unsigned int i;

	for (i = 0; i < threads; i++)
		nr += READ_ONCE(m[i].nr_done);
	kheap_gc_get_stats(torture.heap, &gc);
	pr_info("round %u of %u: %lu of %lu mutations, %lu runs, %lu reclaimed\n",
		round + 1, rounds, nr, ops, gc.nr_runs, gc.nr_reclaimed);
}

static int run_rounds(struct mutator *m, struct task_struct **tasks)
{
	u64 start = ktime_get_ns();
	unsigned int i, round;
	int err = 0;

	for (round = 0; round < rounds && !err; round++) {
		WRITE_ONCE(resting, false);
		err = start_mutators(m, tasks);
		if (err)
			break;
		while (!wait_for_completion_timeout(&all_done, PROGRESS * HZ))
			say_progress(m, round);
		for (i = 0; i < threads; i++)
			kthread_stop(tasks[i]);
		WRITE_ONCE(resting, true);
		err = compare();
	}
	report(m, ktime_get_ns() - start);
	return err;
}

static int run(void)
{
	struct task_struct **tasks, *collector;
	struct mutator *m;
	int err = -ENOMEM;
	unsigned int i;

	m = kcalloc(threads, sizeof(*m), GFP_KERNEL);
	tasks = kcalloc(threads, sizeof(*tasks), GFP_KERNEL);
	if (!m || !tasks)
		goto out;
	for (i = 0; i < threads; i++)
		prandom_seed_state(&m[i].rnd, seed * 1000ULL + i);
	collector = kthread_run(collect_thread, NULL, "torture/gc");
	err = PTR_ERR_OR_ZERO(collector);
	if (err)
		goto out;
	err = run_rounds(m, tasks);
	kthread_stop(collector);
	if (!err && list)
		err = long_drop(list);
	if (!keep) {
		graph_drop_roots();
		if (!err)
			err = compare();
	}
out:
	kfree(tasks);
	kfree(m);
	return err;
}

static int __init torture_init(void)
{
	int err;

	if (!threads || !rounds)
		return -EINVAL;
	err = graph_create(live);
	if (err)
		return err;
	err = run();
	if (err || !keep)
		graph_destroy();
	if (err)
		pr_err("failed: error %d, %ld bad canaries\n", err,
		       atomic_long_read(&torture.nr_bad));
	else
		pr_info("passed\n");
	return err;
}

static void __exit torture_exit(void)
{
	if (keep)
		graph_destroy();
}

module_init(torture_init);
module_exit(torture_exit);

MODULE_DESCRIPTION("Torture of kheap's objects and collector");
MODULE_AUTHOR("The kheap developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
