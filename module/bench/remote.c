// SPDX-License-Identifier: GPL-2.0
/*
 * Allocated on one CPU, freed on another. Where the clock counts instructions,
 * one CPU allocates a thousand and the other frees them, in turn, and the one
 * that waits is idle. By the clock: two threads, bound to their CPUs, with a
 * ring between them. Each tells the other after a run of objects how far
 * it is, so that what is measured is not how fast a cache line goes to and fro.
 * The consumer looks at the clock after each batch, and the median batch
 * counts: on a busy host, a virtual processor that is not run for a while
 * spoils a few batches but makes none faster, because a batch is many times
 * what the ring holds.
 */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/processor.h>
#include <linux/sched/task.h>
#include <linux/smp.h>

#include "remote.h"

/* --- At once, timed ------------------------------------------------------ */

/*
 * Looks at the other side before sleeping for less than the ring lasts: the
 * host may have given its processor away, and should get this one, too.
 */
#define NR_SPINS	1000
#define NAP_US		50

struct ring bench_ring;

void bench_ring_wait(unsigned int *nr_spins)
{
	if (++*nr_spins % NR_SPINS)
		cpu_relax();
	else
		usleep_range(NAP_US, 2 * NAP_US);
}

void bench_ring_wait_for_both(void)
{
	unsigned int nr_spins = 0;

	atomic_inc(&bench_ring.nr_ready);
	while (atomic_read(&bench_ring.nr_ready) < 2)
		bench_ring_wait(&nr_spins);
}

static struct task_struct *thread_on(int cpu, int (*body)(void *unused),
				     const char *name)
{
	struct task_struct *task = kthread_create(body, NULL, "%s", name);

	if (IS_ERR(task))
		return task;
	kthread_bind(task, cpu);
	return get_task_struct(task);
}

/* Wait until the thread has left our code, if it ever entered it. */
static void reap(struct task_struct *task)
{
	kthread_stop(task);
	put_task_struct(task);
}

static void time_both(struct bench_run *run, int first, int second,
		      int (*producer)(void *unused),
		      int (*consumer)(void *unused))
{
	struct task_struct *one, *two;

	bench_ring.head = 0;
	bench_ring.tail = 0;
	bench_ring.run = run;
	atomic_set(&bench_ring.nr_ready, 0);
	init_completion(&bench_ring.done);
	one = thread_on(first, producer, "bench_producer");
	if (IS_ERR(one)) {
		run->error = PTR_ERR(one);
		return;
	}
	two = thread_on(second, consumer, "bench_consumer");
	if (IS_ERR(two)) {
		run->error = PTR_ERR(two);
		reap(one);
		return;
	}
	wake_up_process(one);
	wake_up_process(two);
	/* A thread that is told to stop before it starts never does. */
	wait_for_completion(&bench_ring.done);
	reap(one);
	reap(two);
	bench_sort(bench_ring.ticks, RING_BATCHES);
	run->ticks = bench_ring.ticks[RING_BATCHES / 2];
	run->nr_ops = RING_BATCH;
}

/* --- In turn, counted ---------------------------------------------------- */

static void count_both(struct bench_run *run, int first, int second,
		       int (*alloc)(void *run), int (*free)(void *run))
{
	unsigned int nr;

	for (nr = 0; nr < RING_BATCHES && !run->error; nr++) {
		run->error = smp_call_on_cpu(first, alloc, run, false);
		bench_ring.ticks[nr] = run->ticks;
		if (!run->error)
			run->error = smp_call_on_cpu(second, free, run, false);
		bench_ring.ticks[nr] += run->ticks;
	}
	bench_sort(bench_ring.ticks, RING_BATCHES);
	run->ticks = bench_ring.ticks[RING_BATCHES / 2];
}

/* --- Sides --------------------------------------------------------------- */

void bench_measure_remote(struct bench_run *run, const struct remote_fns *fns)
{
	int first = cpumask_first(cpu_online_mask);
	int second = cpumask_next(first, cpu_online_mask);

	if (bench_exact)
		count_both(run, first, second, fns->alloc, fns->free);
	else
		time_both(run, first, second, fns->produce, fns->consume);
}

/* What the ring itself costs. */
static __always_inline void *empty_alloc(void *ctx, size_t size)
{
	return &bench_ring;
}

static __always_inline void empty_free(void *ctx, void *ptr)
{
	asm volatile("" : : "r" (ptr));
}

static const struct bench_ops empty_ops = { empty_alloc, empty_free };

DEFINE_REMOTE(empty, empty_ops)
DEFINE_REMOTE(kheap, bench_kheap_cache_ops)
DEFINE_REMOTE(slub, bench_kmem_cache_ops)
DEFINE_REMOTE(sized_kheap, bench_kheap_ops)
DEFINE_REMOTE(sized_slub, bench_kmalloc_ops)
DEFINE_REMOTE(mempool, bench_mempool_ops)
#ifdef BENCH_HAVE_OBJPOOL
DEFINE_REMOTE(objpool, bench_objpool_ops)
#endif

const struct bench_case bench_remote_cases[] = {
	{ "empty_remote", &bench_no_side, empty_remote, .nr_cpus = 2 },
	{ "remote_free", &bench_kheap_cache_side, kheap_remote, .nr_cpus = 2 },
	{ "remote_free", &bench_kmem_cache_side, slub_remote, .nr_cpus = 2 },
	{ "remote_free", &bench_mempool_side, mempool_remote, .nr_cpus = 2 },
#ifdef BENCH_HAVE_OBJPOOL
	{ "remote_free", &bench_objpool_side, objpool_remote, .nr_cpus = 2 },
#endif
	{ "remote_free_kmalloc", &bench_kheap_side, sized_kheap_remote,
	  .nr_cpus = 2 },
	{ "remote_free_kmalloc", &bench_kmalloc_side, sized_slub_remote,
	  .nr_cpus = 2 },
	{ }
};
