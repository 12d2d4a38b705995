// SPDX-License-Identifier: GPL-2.0
/*
 * Two CPUs do the same at once, each with objects of its own, which neither
 * gives to the other. What they should not notice: that the other one is there.
 * Samples during which one of them did nothing are left out: see overlap.c.
 */
#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/processor.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "native.h"

#define NR_TURNS	32	/* of each side */
#define NR_A_TURN	16	/* samples; as many again while the other goes on */
#define NR_WARM		2
#define NR_USUAL	2	/* times the usual time: was interrupted */
#define NR_MOST		(NR_TURNS * NR_A_TURN * 2)

/**
 * struct duo_cpu - what one of two CPUs does
 * @runs: of each side
 * @spans: samples of each side, in the order of time
 * @room: where they are
 * @ptrs: for the runs
 */
struct duo_cpu {
	struct bench_run runs[NATIVE_NR_SIDES];
	struct bench_spans spans[NATIVE_NR_SIDES];
	struct bench_span room[NATIVE_NR_SIDES][NR_MOST];
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

/* --- Samples -------------------------------------------------------------- */

static void take_sample(struct duo_cpu *cpu, enum native_side side,
			const struct native_line *line)
{
	struct bench_spans *spans = &cpu->spans[side];
	struct bench_run *run = &cpu->runs[side];

	line->bench->timed(run);
	if (spans->nr < NR_MOST)
		spans->span[spans->nr++] = (struct bench_span) {
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

/* --- Results --------------------------------------------------------------- */

static void keep_overlapped(unsigned int cpu, enum native_side side,
			    struct native_samples *kept)
{
	const struct duo_cpu *me = &duo->cpus[cpu], *other = &duo->cpus[!cpu];

	*kept = (struct native_samples) {
		.ticks = duo->ticks,
		.nr_ops = me->runs[side].nr_ops,
	};
	kept->nr = bench_keep_overlapped(&me->spans[side], &other->spans[side],
					 NR_USUAL, duo->ticks);
	kept->nr_left_out = me->spans[side].nr - kept->nr;
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
		for (i = 0; i < NATIVE_NR_CPUS; i++) {
			struct duo_cpu *cpu = &duo->cpus[i];

			cpu->spans[side].span = cpu->room[side];
			bench_run_init(&cpu->runs[side], lines[side].ctx,
				       cpu->ptrs);
		}
		if (interleaved && !error)
			error = bench_interleave(lines[side].bench->side,
						 lines[side].ctx, interleaved);
	}
	if (!error)
		error = run_both();
	for (side = 0; side < NATIVE_NR_SIDES && !error; side++)
		report_both(name, base, &lines[side], side);
	vfree(duo);
	return error;
}
