// SPDX-License-Identifier: GPL-2.0
/*
 * Allocated on one CPU, freed on another: two threads, bound to their CPUs,
 * with a ring between them. The consumer looks at the clock after each batch,
 * and the median batch counts: on a busy host, a virtual processor that is not
 * run for a while spoils a few batches but makes none faster, because a batch
 * is many times what the ring holds.
 */
#include <linux/cache.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/processor.h>
#include <linux/sched/task.h>

#include "ops.h"

#define NR_SLOTS	1024	/* a power of two */
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
 * @head: objects ever put in; the producer's
 * @tail: objects ever taken out; the consumer's
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
	unsigned int i, nr_spins = 0;
	void *ctx = ring.run->ctx;

	wait_for_both();
	for (i = 0; i < NR_BATCHES * BATCH; i++) {
		void *ptr;

		do {
			ptr = ops->alloc(ctx, BENCH_OBJECT_BYTES);
		} while (unlikely(!ptr));
		/* Pairs with the release in consume_batch(): the slot is free. */
		while (i - smp_load_acquire(&ring.tail) == NR_SLOTS)
			wait_a_little(&nr_spins);
		ring.slots[i % NR_SLOTS] = ptr;
		/* Pairs with the acquire in consume_batch(): it is filled. */
		smp_store_release(&ring.head, i + 1);
	}
	return 0;
}

static __always_inline void consume_batch(const struct bench_ops *ops,
					  void *ctx, unsigned int first)
{
	unsigned int i, nr_spins = 0;

	for (i = first; i < first + BATCH; i++) {
		void *ptr;

		/* Pairs with the producer's release of the head. */
		while (smp_load_acquire(&ring.head) == i)
			wait_a_little(&nr_spins);
		ptr = ring.slots[i % NR_SLOTS];
		/* The slot was read: the producer may write it again. */
		smp_store_release(&ring.tail, i + 1);
		ops->free(ctx, ptr);
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

static void time_remote(struct bench_run *run, int (*producer)(void *unused),
			int (*consumer)(void *unused))
{
	int first = cpumask_first(cpu_online_mask);
	int second = cpumask_next(first, cpu_online_mask);
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

#define DEFINE_TIMED_REMOTE(side, ops)					\
	static int side##_producer(void *unused)			\
	{								\
		return produce(&(ops));					\
	}								\
	static int side##_consumer(void *unused)			\
	{								\
		return consume(&(ops));					\
	}								\
	static void side##_remote(struct bench_run *run)		\
	{								\
		time_remote(run, side##_producer, side##_consumer);	\
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
	{ }
};
