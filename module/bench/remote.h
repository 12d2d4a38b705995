/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is inlined into each side of remote.c and of its floor: two threads with a
 * ring between them, or two CPUs in turn.
 */
#ifndef _KHEAP_BENCH_REMOTE_H
#define _KHEAP_BENCH_REMOTE_H

#include <linux/cache.h>
#include <linux/completion.h>

#include "ops.h"

#define RING_SLOTS	1024	/* a power of two */
#define RING_RUN	16	/* objects between two looks at the other */
#define RING_BATCH	(4 * RING_SLOTS)
#define RING_BATCHES	33

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
	void *slots[RING_SLOTS];
	u64 ticks[RING_BATCHES];
};

extern struct ring bench_ring;

void bench_ring_wait(unsigned int *nr_spins);
void bench_ring_wait_for_both(void);

static __always_inline int bench_produce(const struct bench_ops *ops)
{
	unsigned int first, i, nr_spins = 0;
	void *ctx = bench_ring.run->ctx;

	bench_ring_wait_for_both();
	for (first = 0; first < RING_BATCHES * RING_BATCH; first += RING_RUN) {
		/* Pairs with the release in bench_consume_batch(): a run is free. */
		while (first - smp_load_acquire(&bench_ring.tail) == RING_SLOTS)
			bench_ring_wait(&nr_spins);
		for (i = first; i < first + RING_RUN; i++) {
			void *ptr;

			do {
				ptr = ops->alloc(ctx, BENCH_OBJECT_BYTES);
			} while (unlikely(!ptr));
			bench_ring.slots[i % RING_SLOTS] = ptr;
		}
		/* Pairs with the acquire in bench_consume_batch(): it is filled. */
		smp_store_release(&bench_ring.head, i);
	}
	return 0;
}

static __always_inline void bench_consume_batch(const struct bench_ops *ops,
					  void *ctx, unsigned int batch)
{
	unsigned int first, i, nr_spins = 0;

	for (first = batch; first < batch + RING_BATCH; first += RING_RUN) {
		/* Pairs with the producer's release of the head. */
		while (smp_load_acquire(&bench_ring.head) == first)
			bench_ring_wait(&nr_spins);
		for (i = first; i < first + RING_RUN; i++)
			ops->free(ctx, bench_ring.slots[i % RING_SLOTS]);
		/* The run was read: the producer may write there again. */
		smp_store_release(&bench_ring.tail, i);
	}
}

static __always_inline int bench_consume(const struct bench_ops *ops)
{
	void *ctx = bench_ring.run->ctx;
	unsigned int nr;
	u64 last, now;

	bench_ring_wait_for_both();
	last = bench_clock();
	for (nr = 0; nr < RING_BATCHES; nr++) {
		bench_consume_batch(ops, ctx, nr * RING_BATCH);
		now = bench_clock();
		bench_ring.ticks[nr] = now - last;
		last = now;
	}
	complete(&bench_ring.done);
	return 0;
}

static __always_inline int bench_alloc_all(struct bench_run *run,
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

static __always_inline int bench_free_all(struct bench_run *run,
				    const struct bench_ops *ops)
{
	unsigned int i;

	bench_start(run);
	for (i = 0; i < BENCH_NR_OBJECTS; i++)
		ops->free(run->ctx, run->ptrs[i]);
	bench_stop(run, BENCH_NR_OBJECTS);
	return 0;
}

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

void bench_measure_remote(struct bench_run *run, const struct remote_fns *fns);

#define DEFINE_REMOTE(side, ops)					\
	static int side##_producer(void *unused)			\
	{								\
		return bench_produce(&(ops));					\
	}								\
	static int side##_consumer(void *unused)			\
	{								\
		return bench_consume(&(ops));					\
	}								\
	static int side##_alloc_all(void *run)				\
	{								\
		return bench_alloc_all(run, &(ops));				\
	}								\
	static int side##_free_all(void *run)				\
	{								\
		return bench_free_all(run, &(ops));				\
	}								\
	static void side##_remote(struct bench_run *run)		\
	{								\
		static const struct remote_fns fns = {			\
			side##_producer, side##_consumer,		\
			side##_alloc_all, side##_free_all,		\
		};							\
									\
		bench_measure_remote(run, &fns);				\
	}

#endif /* _KHEAP_BENCH_REMOTE_H */
