// SPDX-License-Identifier: GPL-2.0
/*
 * The same work on one CPU alone, and on two at once, each with blocks of its
 * own: where they share nothing, it takes as long. By the clock, which has to
 * be that of two CPUs that run at once; scripts/bench/two_cpus.py judges.
 */
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/cache.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/processor.h>
#include <linux/sched/task.h>
#include <linux/smp.h>

#include "ops.h"

#define NR_WORKERS	2
#define NR_PAIRS	500	/* of a sample: some tenths of a millisecond */
#define NR_ROUNDS	15000	/* of the loop, for as long */
#define NR_SAMPLES	500
#define NR_MOST		(8 * NR_SAMPLES)
#define NR_ENOUGH	(NR_SAMPLES / 5)
#define NR_WARM		10
#define NR_TRIES	5
/*
 * A sample is interrupted when it takes so many times the usual time. While two
 * CPUs fight for a line, it takes a few times what it takes one of them alone,
 * and which of the two is usual depends on the host.
 */
#define NR_USUAL	10

/**
 * struct worker - what a CPU does
 * @run: under way
 * @sample: takes one sample
 * @spans: when that was
 * @room: where they are
 */
struct worker {
	struct bench_run run;
	void (*sample)(struct bench_run *run);
	struct bench_spans spans;
	struct bench_span room[NR_MOST];
};

/**
 * struct team - one CPU or two
 * @nr: how many
 * @nr_ready: that have come to the start
 * @nr_through: that have taken their samples
 * @done: completed by each
 * @workers: they
 * @ticks: what counts of both
 */
static struct team {
	unsigned int nr;
	atomic_t nr_ready ____cacheline_aligned_in_smp;
	atomic_t nr_through ____cacheline_aligned_in_smp;
	struct completion done;
	struct worker workers[NR_WORKERS];
	u64 ticks[NR_WORKERS * NR_MOST];
} team;

/* --- One sample ----------------------------------------------------------- */

/* No memory at all: how much two CPUs get in each other's way. */
static void sample_core(struct bench_run *run)
{
	bench_start(run);
	bench_known_loop(NR_ROUNDS);
	bench_stop(run, NR_ROUNDS);
}

static void sample_pairs(struct bench_run *run)
{
	void *ctx = run->ctx;
	unsigned int i;

	bench_start(run);
	for (i = 0; i < NR_PAIRS; i++)
		bench_kheap_cache_free(ctx, bench_kheap_cache_alloc(ctx, 0));
	bench_stop(run, NR_PAIRS);
}

static unsigned long shared_word ____cacheline_aligned_in_smp;

/*
 * What must be found: as the pair, were a block's state a bit in a word that
 * it shares with the other CPU's blocks.
 */
static void sample_shared_bits(struct bench_run *run)
{
	int bit = smp_processor_id() % BITS_PER_LONG;
	void *ctx = run->ctx;
	unsigned int i;

	bench_start(run);
	for (i = 0; i < NR_PAIRS; i++) {
		void *block = bench_kheap_cache_alloc(ctx, 0);

		set_bit(bit, &shared_word);
		bench_kheap_cache_free(ctx, block);
		clear_bit(bit, &shared_word);
	}
	bench_stop(run, NR_PAIRS);
}

/* --- Samples -------------------------------------------------------------- */

static void take_sample(struct worker *worker)
{
	struct bench_spans *spans = &worker->spans;
	struct bench_run *run = &worker->run;

	worker->sample(run);
	if (spans->nr < NR_MOST)
		spans->span[spans->nr++] = (struct bench_span) {
			run->start, run->start + run->ticks,
		};
}

/* Whoever is through first goes on, so that the other one is not alone. */
static int take_samples(void *data)
{
	struct worker *worker = data;
	unsigned int i;

	atomic_inc(&team.nr_ready);
	while (atomic_read(&team.nr_ready) < team.nr)
		cpu_relax();
	for (i = 0; i < NR_WARM; i++)
		worker->sample(&worker->run);
	for (i = 0; i < NR_SAMPLES; i++)
		take_sample(worker);
	atomic_inc(&team.nr_through);
	while (atomic_read(&team.nr_through) < team.nr)
		take_sample(worker);
	complete(&team.done);
	return 0;
}

static struct task_struct *thread_on(int cpu)
{
	struct task_struct *task = kthread_create(take_samples,
						  &team.workers[cpu],
						  "bench/%d", cpu);

	if (IS_ERR(task))
		return task;
	kthread_bind(task, cpu);
	return get_task_struct(task);
}

static int run_team(void)
{
	struct task_struct *tasks[NR_WORKERS];
	unsigned int i, nr;
	int error = 0;

	for (nr = 0; nr < team.nr && !error; nr++) {
		tasks[nr] = thread_on(nr);
		error = PTR_ERR_OR_ZERO(tasks[nr]);
	}
	if (error)
		nr--;
	for (i = 0; i < nr && !error; i++)
		wake_up_process(tasks[i]);
	for (i = 0; i < nr && !error; i++)
		wait_for_completion(&team.done);
	/* A thread that is told to stop before it starts never does. */
	while (nr--) {
		kthread_stop(tasks[nr]);
		put_task_struct(tasks[nr]);
	}
	return error;
}

static void prepare_team(const struct bench_run *run, unsigned int nr,
			 void (*sample)(struct bench_run *run))
{
	unsigned int i;

	team.nr = nr;
	atomic_set(&team.nr_ready, 0);
	atomic_set(&team.nr_through, 0);
	init_completion(&team.done);
	for (i = 0; i < nr; i++) {
		struct worker *worker = &team.workers[i];

		worker->run = *run;
		worker->sample = sample;
		worker->spans.span = worker->room;
		worker->spans.nr = 0;
	}
}

/* --- What counts ---------------------------------------------------------- */

static unsigned int keep_all(const struct bench_spans *spans)
{
	unsigned int i;

	for (i = 0; i < spans->nr; i++)
		team.ticks[i] = spans->span[i].end - spans->span[i].start;
	return spans->nr;
}

static unsigned int keep_of_both(void)
{
	const struct bench_spans *one = &team.workers[0].spans;
	const struct bench_spans *two = &team.workers[1].spans;
	unsigned int nr = bench_keep_overlapped(one, two, NR_USUAL, team.ticks);

	return nr + bench_keep_overlapped(two, one, NR_USUAL, team.ticks + nr);
}

/* How many samples count, or -errno. */
static int measure_team(const struct bench_run *run, unsigned int nr_workers,
			void (*sample)(struct bench_run *run))
{
	int error;

	prepare_team(run, nr_workers, sample);
	error = run_team();
	if (error)
		return error;
	if (nr_workers == 1)
		return keep_all(&team.workers[0].spans);
	return keep_of_both();
}

/* The median; again where the host did not let both run, and at last %U64_MAX. */
static void time_team(struct bench_run *run, unsigned int nr_workers,
		      void (*sample)(struct bench_run *run))
{
	unsigned int i;
	int nr;

	run->ticks = U64_MAX;
	for (i = 0; i < NR_TRIES; i++) {
		nr = measure_team(run, nr_workers, sample);
		if (nr < 0)
			run->error = nr;
		if (nr < NR_ENOUGH)
			continue;
		bench_sort(team.ticks, nr);
		run->ticks = team.ticks[nr / 2];
		break;
	}
	run->nr_ops = team.workers[0].run.nr_ops;
}

/* --- Sides ---------------------------------------------------------------- */

/* One CPU does with the same cache what two do. */
static void *cache;

static void *cache_begin(void)
{
	cache = bench_kheap_cache_side.begin();
	return cache;
}

static void *interleaved_begin(void)
{
	int error;

	if (IS_ERR(cache_begin()))
		return cache;
	error = bench_interleave(&bench_kheap_cache_side, cache,
				 BENCH_OBJECT_BYTES);
	if (!error)
		return cache;
	bench_kheap_cache_side.end(cache);
	return ERR_PTR(error);
}

static int cache_end(void *ctx)
{
	return bench_kheap_cache_side.end(ctx);
}

static const struct bench_side both_side = { "both", cache_begin, cache_end };
static const struct bench_side interleaved_side = {
	"both", interleaved_begin, cache_end,
};

static void *same_begin(void)
{
	return cache;
}

static int same_end(void *ctx)
{
	return 0;
}

static const struct bench_side alone_side = { "alone", same_begin, same_end };

#define DEFINE_TIMED_BY_TEAM(name)					\
	static void name##_alone(struct bench_run *run)			\
	{								\
		time_team(run, 1, sample_##name);			\
	}								\
	static void name##_both(struct bench_run *run)			\
	{								\
		time_team(run, 2, sample_##name);			\
	}

DEFINE_TIMED_BY_TEAM(core)
DEFINE_TIMED_BY_TEAM(pairs)
DEFINE_TIMED_BY_TEAM(shared_bits)

const struct bench_case bench_two_cpus_cases[] = {
	{ "core_2cpu", &both_side, core_both, .nr_cpus = 2 },
	{ "core_2cpu", &alone_side, core_alone, .nr_cpus = 2 },
	{ "hot_pair_64_2cpu", &both_side, pairs_both, .nr_cpus = 2 },
	{ "hot_pair_64_2cpu", &alone_side, pairs_alone, .nr_cpus = 2 },
	{ "interleaved_64_2cpu", &interleaved_side, pairs_both, .nr_cpus = 2 },
	{ "interleaved_64_2cpu", &alone_side, pairs_alone, .nr_cpus = 2 },
	{ "shared_bits_2cpu", &both_side, shared_bits_both, .nr_cpus = 2 },
	{ "shared_bits_2cpu", &alone_side, shared_bits_alone, .nr_cpus = 2 },
	{ }
};
