/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The benchmark module: the same operations on a private heap and on what the
 * kernel offers today, timed by the very same code. Documentation/performance.rst
 * explains the figures.
 */
#ifndef _KHEAP_BENCH_H
#define _KHEAP_BENCH_H

#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/preempt.h>
#include <linux/types.h>

#include "clock.h"

/* Nothing that is timed may sleep. */
#define BENCH_GFP		GFP_ATOMIC

#define BENCH_OBJECT_BYTES	64
#define BENCH_NR_OBJECTS	1000
#define BENCH_NR_SIZES		1024	/* a power of two */
#define BENCH_SIZE_MIN		8
#define BENCH_SIZE_MAX		519
#define BENCH_SAMPLES_MAX	16

struct bench_run;

/**
 * struct bench_side - an allocator under test
 * @name: in the results: kheap, slub, ...
 * @begin: creates it; may sleep; returns what the operations get as first
 *	argument, or an ERR_PTR()
 * @end: destroys it; 0, or -errno when it found that something went wrong
 */
struct bench_side {
	const char *name;
	void *(*begin)(void);
	int (*end)(void *ctx);
};

/**
 * struct bench_case - one figure of one side
 * @name: the figure's name
 * @side: the allocator
 * @timed: does the work once and fills in the run's ticks and nr_ops
 * @unit: of the ticks by the operations; NULL: instructions or ns. With a
 *	unit, there is one sample, without warming up.
 * @slow: takes long: no warming up, and one sample only in wall-clock time
 * @nr_cpus: processors it needs; 0: any number
 */
struct bench_case {
	const char *name;
	const struct bench_side *side;
	void (*timed)(struct bench_run *run);
	const char *unit;
	bool slow;
	unsigned int nr_cpus;
};

/* The cases of one C file; ended by one without a name. */
extern const struct bench_case bench_clock_cases[];
extern const struct bench_case bench_pair_cases[];
extern const struct bench_case bench_round_cases[];
extern const struct bench_case bench_bulk_cases[];
extern const struct bench_case bench_remote_cases[];
extern const struct bench_case bench_rcu_cases[];
extern const struct bench_case bench_destroy_cases[];
extern const struct bench_case bench_space_cases[];
extern const struct bench_case bench_object_cases[];
extern const struct bench_case bench_collect_cases[];
extern const struct bench_case bench_two_cpus_cases[];

int bench_kheap_end(void *ctx);

/* The side of figures that have none, and of those that set it up themselves. */
extern const struct bench_side bench_no_side;
extern const struct bench_side bench_bare_kheap_side;
extern const struct bench_side bench_bare_slub_side;

extern const struct bench_side bench_kheap_side;
extern const struct bench_side bench_kheap_cache_side;
extern const struct bench_side bench_kmalloc_side;
extern const struct bench_side bench_kmem_cache_side;
extern const struct bench_side bench_mempool_side;
extern const struct bench_side bench_objpool_side;

/**
 * struct bench_run - one case under way
 * @ctx: what the side's @begin returned
 * @ptrs: room for %BENCH_NR_OBJECTS pointers
 * @sizes: %BENCH_NR_SIZES sizes, evenly from %BENCH_SIZE_MIN to _MAX, shuffled
 * @order: the numbers below %BENCH_NR_OBJECTS, shuffled
 * @start: the clock at bench_start()
 * @ticks: time between start and stop
 * @nr_ops: operations that it stands for
 * @error: negative errno: what was measured is worth nothing
 * @irqs: saved interrupt flag
 */
struct bench_run {
	void *ctx;
	void **ptrs;
	const u16 *sizes;
	const u16 *order;
	u64 start;
	u64 ticks;
	u64 nr_ops;
	int error;
	unsigned long irqs;
};

void bench_inputs_init(void);
void bench_run_init(struct bench_run *run, void *ctx, void **ptrs);

/* For fast paths: interrupts are off until bench_stop(). */
static __always_inline void bench_start(struct bench_run *run)
{
	run->irqs = bench_quiet_begin();
	run->start = bench_clock();
}

static __always_inline void bench_stop(struct bench_run *run, u64 nr_ops)
{
	run->ticks = bench_clock() - run->start;
	local_irq_restore(run->irqs);
	run->nr_ops = nr_ops;
}

/*
 * For what must not be called with interrupts off: nothing else runs for the
 * rest of a tick, some million instructions.
 */
static __always_inline void bench_start_of_tick(struct bench_run *run)
{
	bench_tick_begin();
	run->start = bench_clock();
}

static __always_inline void bench_stop_in_tick(struct bench_run *run,
					       u64 nr_ops)
{
	run->ticks = bench_clock() - run->start;
	preempt_enable();
	run->nr_ops = nr_ops;
}

/*
 * For what sleeps and what leaves work to others: all that the processors do
 * counts, whoever it is for, but for their idle time.
 */
u64 bench_busy_ns(void);

static inline void bench_start_busy(struct bench_run *run)
{
	run->start = bench_busy_ns();
}

static inline void bench_stop_busy(struct bench_run *run, u64 nr_ops)
{
	run->ticks = bench_busy_ns() - run->start;
	run->nr_ops = nr_ops;
}

/**
 * struct bench_span - when a sample was taken
 * @start: on the clock
 * @end: on the clock
 */
struct bench_span {
	u64 start;
	u64 end;
};

/**
 * struct bench_spans - the samples of one CPU
 * @span: they, in the order of time
 * @nr: their number
 */
struct bench_spans {
	struct bench_span *span;
	unsigned int nr;
};

unsigned int bench_keep_overlapped(const struct bench_spans *mine,
				   const struct bench_spans *other,
				   unsigned int nr_usual, u64 *ticks);
int bench_interleave(const struct bench_side *side, void *ctx, size_t size);

#endif /* _KHEAP_BENCH_H */
