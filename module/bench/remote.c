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
#include <linux/cache.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/processor.h>
#include <linux/sched/task.h>
#include <linux/smp.h>

#include "ops.h"

/* --- At once, timed ------------------------------------------------------ */

#define NR_SLOTS	1024	/* a power of two */
#define RUN		16	/* objects between two looks at the other */
#define BATCH		(4 * NR_SLOTS)
#define NR_BATCHES	33

/*
 * Looks at the other side before sleeping for less than the ring lasts: the
 * host may have given its processor away, and should get this one, too.
 */
#define NR_SPINS	1000
#define NAP_US		50

/**
 * struct ring - objects on their way
 * @head: objects ever put in, in whole runs; the producer's
 * @tail: objects ever taken out, in whole runs; the consumer's
 * @nr_ready: threads that have arrived at the start
 * @done: the consumer has freed the last object
 * @run: the run
 * @slots: the objects
 * @ticks: what each batch took
 */
struct ring {
	unsigned int head ____cacheline_aligned_in_smp;
	unsigned int tail ____cacheline_aligned_in_smp;
	atomic_t nr_ready ____cacheline_aligned_in_smp;
	struct completion done;
	struct bench_run *run;
	void *slots[NR_SLOTS];
	u64 ticks[NR_BATCHES];
};

static struct ring ring;

static void wait_a_little(unsigned int *nr_spins)
{
	if (++*nr_spins % NR_SPINS)
		cpu_relax();
	else
		usleep_range(NAP_US, 2 * NAP_US);
}

static void wait_for_both(void)
{
	unsigned int nr_spins = 0;

	atomic_inc(&ring.nr_ready);
	while (atomic_read(&ring.nr_ready) < 2)
		wait_a_little(&nr_spins);
}

static __always_inline int produce(const struct bench_ops *ops)
{
	unsigned int first, i, nr_spins = 0;
	void *ctx = ring.run->ctx;

	wait_for_both();
	for (first = 0; first < NR_BATCHES * BATCH; first += RUN) {
		/* Pairs with the release in consume_batch(): a run is free. */
		while (first - smp_load_acquire(&ring.tail) == NR_SLOTS)
			wait_a_little(&nr_spins);
		for (i = first; i < first + RUN; i++) {
			void *ptr;

			do {
				ptr = ops->alloc(ctx, BENCH_OBJECT_BYTES);
			} while (unlikely(!ptr));
			ring.slots[i % NR_SLOTS] = ptr;
		}
		/* Pairs with the acquire in consume_batch(): it is filled. */
		smp_store_release(&ring.head, i);
	}
	return 0;
}

static __always_inline void consume_batch(const struct bench_ops *ops,
					  void *ctx, unsigned int batch)
{
	unsigned int first, i, nr_spins = 0;

	for (first = batch; first < batch + BATCH; first += RUN) {
		/* Pairs with the producer's release of the head. */
		while (smp_load_acquire(&ring.head) == first)
			wait_a_little(&nr_spins);
		for (i = first; i < first + RUN; i++)
			ops->free(ctx, ring.slots[i % NR_SLOTS]);
		/* The run was read: the producer may write there again. */
		smp_store_release(&ring.tail, i);
	}
}

static __always_inline int consume(const struct bench_ops *ops)
{
	void *ctx = ring.run->ctx;
	unsigned int nr;
	u64 last, now;

	wait_for_both();
	last = bench_clock();
	for (nr = 0; nr < NR_BATCHES; nr++) {
		consume_batch(ops, ctx, nr * BATCH);
		now = bench_clock();
		ring.ticks[nr] = now - last;
		last = now;
	}
	complete(&ring.done);
	return 0;
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

	ring.head = 0;
	ring.tail = 0;
	ring.run = run;
	atomic_set(&ring.nr_ready, 0);
	init_completion(&ring.done);
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
	wait_for_completion(&ring.done);
	reap(one);
	reap(two);
	bench_sort(ring.ticks, NR_BATCHES);
	run->ticks = ring.ticks[NR_BATCHES / 2];
	run->nr_ops = BATCH;
}

/* --- In turn, counted ---------------------------------------------------- */

static __always_inline int alloc_all(struct bench_run *run,
				     const struct bench_ops *ops)
{
	unsigned int i, nr = 0;

	bench_start(run);
	for (i = 0; i < BENCH_NR_OBJECTS; i++)
		run->ptrs[i] = ops->alloc(run->ctx, BENCH_OBJECT_BYTES);
	bench_stop(run, BENCH_NR_OBJECTS);
	for (i = 0; i < BENCH_NR_OBJECTS; i++)
		nr += !run->ptrs[i];
	return nr ? -ENOMEM : 0;
}

static __always_inline int free_all(struct bench_run *run,
				    const struct bench_ops *ops)
{
	unsigned int i;

	bench_start(run);
	for (i = 0; i < BENCH_NR_OBJECTS; i++)
		ops->free(run->ctx, run->ptrs[i]);
	bench_stop(run, BENCH_NR_OBJECTS);
	return 0;
}

static void count_both(struct bench_run *run, int first, int second,
		       int (*alloc)(void *run), int (*free)(void *run))
{
	unsigned int nr;

	for (nr = 0; nr < NR_BATCHES && !run->error; nr++) {
		run->error = smp_call_on_cpu(first, alloc, run, false);
		ring.ticks[nr] = run->ticks;
		if (!run->error)
			run->error = smp_call_on_cpu(second, free, run, false);
		ring.ticks[nr] += run->ticks;
	}
	bench_sort(ring.ticks, NR_BATCHES);
	run->ticks = ring.ticks[NR_BATCHES / 2];
}

/* --- Sides --------------------------------------------------------------- */

/**
 * struct remote_fns - what a side does
 * @produce: in a thread
 * @consume: in the other one
 * @alloc: on one CPU, when the clock counts
 * @free: on the other one
 */
struct remote_fns {
	int (*produce)(void *unused);
	int (*consume)(void *unused);
	int (*alloc)(void *run);
	int (*free)(void *run);
};

static void measure_remote(struct bench_run *run, const struct remote_fns *fns)
{
	int first = cpumask_first(cpu_online_mask);
	int second = cpumask_next(first, cpu_online_mask);

	if (bench_exact)
		count_both(run, first, second, fns->alloc, fns->free);
	else
		time_both(run, first, second, fns->produce, fns->consume);
}

#define DEFINE_TIMED_REMOTE(side, ops)					\
	static int side##_producer(void *unused)			\
	{								\
		return produce(&(ops));					\
	}								\
	static int side##_consumer(void *unused)			\
	{								\
		return consume(&(ops));					\
	}								\
	static int side##_alloc_all(void *run)				\
	{								\
		return alloc_all(run, &(ops));				\
	}								\
	static int side##_free_all(void *run)				\
	{								\
		return free_all(run, &(ops));				\
	}								\
	static void side##_remote(struct bench_run *run)		\
	{								\
		static const struct remote_fns fns = {			\
			side##_producer, side##_consumer,		\
			side##_alloc_all, side##_free_all,		\
		};							\
									\
		measure_remote(run, &fns);				\
	}

/* What the ring itself costs. */
static __always_inline void *empty_alloc(void *ctx, size_t size)
{
	return &ring;
}

static __always_inline void empty_free(void *ctx, void *ptr)
{
	asm volatile("" : : "r" (ptr));
}

static const struct bench_ops empty_ops = { empty_alloc, empty_free };

DEFINE_TIMED_REMOTE(empty, empty_ops)
DEFINE_TIMED_REMOTE(kheap, bench_kheap_cache_ops)
DEFINE_TIMED_REMOTE(slub, bench_kmem_cache_ops)
DEFINE_TIMED_REMOTE(sized_kheap, bench_kheap_ops)
DEFINE_TIMED_REMOTE(sized_slub, bench_kmalloc_ops)
DEFINE_TIMED_REMOTE(mempool, bench_mempool_ops)
#ifdef BENCH_HAVE_OBJPOOL
DEFINE_TIMED_REMOTE(objpool, bench_objpool_ops)
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
