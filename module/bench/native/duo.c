// SPDX-License-Identifier: GPL-2.0
/*
 * Two CPUs do the same at once, each with objects of its own, which neither
 * gives to the other. What they should not notice: that the other one is there.
 *
 * The host may take a CPU away at any time, and a sample that was taken while
 * the other CPU did nothing is one of another figure. So each sample keeps when
 * it began and ended, and counts only if the other CPU was in samples of its
 * own for nearly all of that time.
 */
#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/minmax.h>
#include <linux/processor.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "native.h"
#include "ops.h"

#define NR_TURNS	32	/* of each side */
#define NR_A_TURN	16	/* samples; as many again while the other goes on */
#define NR_WARM		2
#define NR_MOST		(NR_TURNS * NR_A_TURN * 2)
#define NR_INTERLEAVED	4000

/**
 * struct span - when a sample was taken
 * @start: ticks
 * @end: ticks
 */
struct span {
	u64 start;
	u64 end;
};

/**
 * struct duo_cpu - what one of two CPUs does
 * @runs: of each side
 * @nr: samples of each side
 * @spans: they, in the order of time
 * @ptrs: for the runs
 */
struct duo_cpu {
	struct bench_run runs[NATIVE_NR_SIDES];
	unsigned int nr[NATIVE_NR_SIDES];
	struct span spans[NATIVE_NR_SIDES][NR_MOST];
	void *ptrs[BENCH_NR_OBJECTS];
};

/**
 * struct duo - both of them
 * @lines: what they do
 * @nr_arrived: CPUs that have come to the beginning of a turn, of all turns
 * @nr_through: CPUs that have taken a turn's samples, of all turns
 * @done: completed by each
 * @cpus: the CPUs
 * @ticks: for what is reported
 */
struct duo {
	const struct native_line *lines;
	atomic_t nr_arrived ____cacheline_aligned_in_smp;
	atomic_t nr_through ____cacheline_aligned_in_smp;
	struct completion done;
	struct duo_cpu cpus[NATIVE_NR_CPUS];
	u64 ticks[NR_MOST];
};

/* --- Blocks in turns ------------------------------------------------------ */

static const struct {
	const struct bench_side *side;
	const struct bench_ops *ops;
} side_ops[] = {
	{ &bench_kheap_side, &bench_kheap_ops },
	{ &bench_kheap_cache_side, &bench_kheap_cache_ops },
	{ &bench_kmalloc_side, &bench_kmalloc_ops },
	{ &bench_kmem_cache_side, &bench_kmem_cache_ops },
};

/**
 * struct freer - who frees every other one of the blocks
 * @ops: how
 * @ctx: the allocator
 * @ptrs: the blocks
 * @first: 0 or 1
 */
struct freer {
	const struct bench_ops *ops;
	void *ctx;
	void **ptrs;
	unsigned int first;
};

static int free_every_other(void *data)
{
	struct freer *freer = data;
	unsigned int i;

	for (i = freer->first; i < NR_INTERLEAVED; i += NATIVE_NR_CPUS)
		freer->ops->free(freer->ctx, freer->ptrs[i]);
	return 0;
}

/* Blocks that were allocated one after the other are freed to CPUs in turn. */
static int interleave(const struct native_line *line, size_t size)
{
	struct freer freer = { .ctx = line->ctx };
	unsigned int i, nr = 0;
	int error = 0;

	for (i = 0; i < ARRAY_SIZE(side_ops); i++)
		if (side_ops[i].side == line->bench->side)
			freer.ops = side_ops[i].ops;
	if (!freer.ops)
		return -EINVAL;
	freer.ptrs = vzalloc(array_size(NR_INTERLEAVED, sizeof(void *)));
	if (!freer.ptrs)
		return -ENOMEM;
	for (i = 0; i < NR_INTERLEAVED; i++) {
		freer.ptrs[i] = freer.ops->alloc(line->ctx, size);
		nr += !!freer.ptrs[i];
	}
	for (; freer.first < NATIVE_NR_CPUS && !error; freer.first++)
		error = smp_call_on_cpu(freer.first, free_every_other, &freer,
					false);
	vfree(freer.ptrs);
	return nr < NR_INTERLEAVED ? -ENOMEM : error;
}

/* --- Samples -------------------------------------------------------------- */

static void take_sample(struct duo_cpu *cpu, enum native_side side,
			const struct native_line *line)
{
	struct bench_run *run = &cpu->runs[side];

	line->bench->timed(run);
	if (cpu->nr[side] < NR_MOST)
		cpu->spans[side][cpu->nr[side]++] = (struct span) {
			run->start, run->start + run->ticks,
		};
}

static void wait_for_both(atomic_t *nr, int all)
{
	atomic_inc(nr);
	while (atomic_read(nr) < all)
		cpu_relax();
}

/* Whoever is through first goes on, so that the other one is not alone. */
static void take_turn(struct duo *duo, struct duo_cpu *cpu,
		      enum native_side side, int all)
{
	const struct native_line *line = &duo->lines[side];
	unsigned int i;

	wait_for_both(&duo->nr_arrived, all);
	for (i = 0; i < NR_WARM; i++)
		line->bench->timed(&cpu->runs[side]);
	for (i = 0; i < NR_A_TURN; i++)
		take_sample(cpu, side, line);
	atomic_inc(&duo->nr_through);
	for (; atomic_read(&duo->nr_through) < all; i++)
		if (i < 2 * NR_A_TURN)
			take_sample(cpu, side, line);
		else
			line->bench->timed(&cpu->runs[side]);
	cond_resched();
}

static struct duo *duo;

static int take_turns(void *data)
{
	struct duo_cpu *cpu = data;
	enum native_side side;
	int turn, all = 0;

	for (turn = 0; turn < NR_TURNS; turn++)
		for (side = 0; side < NATIVE_NR_SIDES; side++) {
			all += NATIVE_NR_CPUS;
			take_turn(duo, cpu, side, all);
		}
	complete(&duo->done);
	return 0;
}

static int run_both(void)
{
	struct task_struct *tasks[NATIVE_NR_CPUS];
	unsigned int i;

	for (i = 0; i < NATIVE_NR_CPUS; i++) {
		tasks[i] = kthread_create(take_turns, &duo->cpus[i], "duo/%u",
					  i);
		if (IS_ERR(tasks[i]))
			goto out_stop;
		kthread_bind(tasks[i], i);
		get_task_struct(tasks[i]);
	}
	for (i = 0; i < NATIVE_NR_CPUS; i++)
		wake_up_process(tasks[i]);
	for (i = 0; i < NATIVE_NR_CPUS; i++)
		wait_for_completion(&duo->done);
	for (i = 0; i < NATIVE_NR_CPUS; i++) {
		kthread_stop(tasks[i]);
		put_task_struct(tasks[i]);
	}
	return 0;

out_stop:
	/* Told to stop before it is woken, a thread never runs. */
	while (i--) {
		kthread_stop(tasks[i]);
		put_task_struct(tasks[i]);
	}
	return -ENOMEM;
}

/* --- Which of them count -------------------------------------------------- */

static u64 median(const struct span *spans, unsigned int nr, u64 *room)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		room[i] = spans[i].end - spans[i].start;
	bench_sort(room, nr);
	return nr ? room[nr / 2] : 0;
}

/*
 * How much of @span the other CPU was at work, too. @at is the first of its
 * samples that is not over when @span begins, and moves on. One that took
 * much longer than usual is no work.
 */
static u64 overlap(const struct span *span, const struct span **at,
		   const struct span *end, u64 usual)
{
	const struct span *other;
	u64 sum = 0;

	while (*at < end && (*at)->end <= span->start)
		++*at;
	for (other = *at; other < end && other->start < span->end; other++)
		if (other->end - other->start <= 2 * usual)
			sum += min(span->end, other->end) -
			       max(span->start, other->start);
	return sum;
}

static void keep_overlapped(unsigned int cpu, enum native_side side,
			    struct native_samples *kept)
{
	const struct duo_cpu *me = &duo->cpus[cpu], *other = &duo->cpus[!cpu];
	const struct span *spans = me->spans[side], *at = other->spans[side];
	const struct span *end = at + other->nr[side];
	u64 usual = median(at, other->nr[side], duo->ticks);
	unsigned int i;

	*kept = (struct native_samples) {
		.ticks = duo->ticks,
		.nr_ops = me->runs[side].nr_ops,
	};
	for (i = 0; i < me->nr[side]; i++) {
		u64 took = spans[i].end - spans[i].start;

		if (overlap(&spans[i], &at, end, usual) * 10 < took * 9)
			kept->nr_left_out++;
		else
			kept->ticks[kept->nr++] = took;
	}
}

static void report_both(const char *name, const char *base,
			struct native_line *line, enum native_side side)
{
	struct native_samples kept;
	unsigned int i;

	for (i = 0; i < NATIVE_NR_CPUS; i++) {
		line->error = duo->cpus[i].runs[side].error;
		keep_overlapped(i, side, &kept);
		native_report(name, base, line, &kept);
	}
}

/**
 * native_duo() - measure what two CPUs do at once, and report it
 * @name: the figure
 * @base: what each of them does
 * @lines: the sides, that have begun
 * @interleaved: size of the blocks that they get first, in turns; 0: none
 *
 * Return: 0, or -errno
 */
int native_duo(const char *name, const char *base, struct native_line *lines,
	       size_t interleaved)
{
	unsigned int i, side;
	int error = 0;

	duo = vzalloc(sizeof(*duo));
	if (!duo)
		return -ENOMEM;
	duo->lines = lines;
	init_completion(&duo->done);
	for (side = 0; side < NATIVE_NR_SIDES; side++) {
		for (i = 0; i < NATIVE_NR_CPUS; i++)
			bench_run_init(&duo->cpus[i].runs[side],
				       lines[side].ctx, duo->cpus[i].ptrs);
		if (interleaved && !error)
			error = interleave(&lines[side], interleaved);
	}
	if (!error)
		error = run_both();
	for (side = 0; side < NATIVE_NR_SIDES && !error; side++)
		report_both(name, base, &lines[side], side);
	vfree(duo);
	return error;
}
