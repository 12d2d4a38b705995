// SPDX-License-Identifier: GPL-2.0
/*
 * Run the figures as soon as the kernel is up, and power off. kheap and its
 * rival take turns, sample by sample, in one boot.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/moduleparam.h>
#include <linux/reboot.h>
#include <linux/string.h>

#include "native.h"

#define WARM_UPS	8

/**
 * struct figure - what is measured
 * @name: the figure's name
 * @base: what two CPUs do at once; NULL: one CPU does what @name says
 * @interleaved: size of the blocks that the two CPUs are given first, every
 *	other one; 0: they take what they get
 */
struct figure {
	const char *name;
	const char *base;
	size_t interleaved;
};

static const struct figure figures[] = {
	{ "hot_pair_64" },
	{ "kmalloc_pair_16" },
	{ "kmalloc_pair_64" },
	{ "kmalloc_pair_128" },
	{ "kmalloc_pair_256" },
	{ "kmalloc_pair_512" },
	{ "kmalloc_pair_var" },
	{ "fifo_1000" },
	{ "shuffled_1000" },
	{ "mixed_shuffled_1000" },
	{ "held_256" },
	{ "bulk_16" },
	{ "bulk_64" },
	{ "bulk_250" },
	{ "object_get_put" },
	{ "object_new_put" },
	{ "object_new_put_gc" },
	{ "object_release" },
	{ "cold_64" },
	{ "cold_mixed" },
	{ "cold_line" },
	{ "remote_free" },
	{ "remote_free_kmalloc" },
	{ "remote_line" },
	{ "free_rcu" },
	{ "core" },
	{ "core_2cpu", "core" },
	{ "line" },
	{ "locked" },
	{ "line_2cpu", "line" },
	{ "hot_pair_64_2cpu", "hot_pair_64" },
	{ "interleaved_64_2cpu", "hot_pair_64", 64 },
	{ "interleaved_16_2cpu", "kmalloc_pair_16", 16 },
	{ "kmalloc_pair_var_2cpu", "kmalloc_pair_var" },
	{ "shuffled_1000_2cpu", "shuffled_1000" },
	{ "interleaved_shuffled_1000_2cpu", "shuffled_1000", 64 },
	{ "mixed_shuffled_1000_2cpu", "mixed_shuffled_1000" },
	{ "object_release_2cpu", "object_release" },
};

static const struct bench_case *const groups[] = {
	bench_pair_cases,
	bench_round_cases,
	bench_bulk_cases,
	bench_object_cases,
	bench_remote_cases,
	native_cold_cases,
	native_rcu_cases,
	native_floor_cases,
	native_remote_floor_cases,
};

static char only[1024];
static DECLARE_COMPLETION(all_done);
static void *ptrs[BENCH_NR_OBJECTS];
static u64 ticks[NATIVE_NR_SIDES][NATIVE_NR_SAMPLES];

module_param_string(only, only, sizeof(only), 0444);
MODULE_PARM_DESC(only, "figures to measure, with commas; default: all");

/* --- What to measure ------------------------------------------------------ */

static bool is_named(const char *names, const char *name)
{
	size_t len = strlen(name);
	const char *at = names;

	while ((at = strstr(at, name))) {
		if ((at == names || at[-1] == ',') &&
		    (at[len] == ',' || !at[len]))
			return true;
		at += len;
	}
	return false;
}

/* What two CPUs do is compared with what one does, and with what they can. */
static bool is_wanted(const struct figure *figure)
{
	bool is_core = strstarts(figure->name, "core");
	unsigned int i;

	if (!*only || is_named(only, figure->name))
		return true;
	for (i = 0; i < ARRAY_SIZE(figures); i++)
		if (figures[i].base && is_named(only, figures[i].name) &&
		    (is_core || !strcmp(figures[i].base, figure->name)))
			return true;
	return false;
}

static bool is_side(const struct bench_case *bench, enum native_side side)
{
	const char *name = bench->side->name;

	if (side == NATIVE_KHEAP)
		return !strcmp(name, "kheap");
	return !strcmp(name, "slub") || !strcmp(name, "kref");
}

static const struct bench_case *find(const char *name, enum native_side side)
{
	const struct bench_case *bench;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(groups); i++)
		for (bench = groups[i]; bench->name; bench++)
			if (!strcmp(bench->name, name) && is_side(bench, side))
				return bench;
	return NULL;
}

/* --- One CPU -------------------------------------------------------------- */

/*
 * Once more than is counted: meanwhile the other side had its turn. Not where a
 * sample is thousands of times what the caches hold.
 */
static void take_sample(struct native_line *line, struct bench_run *run,
			struct native_samples *samples)
{
	if (!line->bench->nr_cpus && !line->bench->slow)
		line->bench->timed(run);
	line->bench->timed(run);
	samples->ticks[samples->nr++] = run->ticks;
	samples->nr_ops = run->nr_ops;
	cond_resched();
}

static void measure_one(const char *name, struct native_line *lines)
{
	struct native_samples samples[NATIVE_NR_SIDES] = {};
	struct bench_run runs[NATIVE_NR_SIDES];
	unsigned int i, nr, side;

	for (side = 0; side < NATIVE_NR_SIDES; side++) {
		samples[side].ticks = ticks[side];
		bench_run_init(&runs[side], lines[side].ctx, ptrs);
		for (i = 0; i < WARM_UPS; i++)
			lines[side].bench->timed(&runs[side]);
	}
	nr = lines[0].bench->slow ? NATIVE_NR_SLOW : NATIVE_NR_SAMPLES;
	for (i = 0; i < nr; i++)
		for (side = 0; side < NATIVE_NR_SIDES; side++)
			take_sample(&lines[side], &runs[side], &samples[side]);
	for (side = 0; side < NATIVE_NR_SIDES; side++) {
		lines[side].error = runs[side].error;
		native_report(name, NULL, &lines[side], &samples[side]);
	}
}

/* --- All of it ------------------------------------------------------------ */

static int begin(struct native_line *line, const char *name,
		 enum native_side side)
{
	line->bench = find(name, side);
	if (!line->bench)
		return -ENOENT;
	line->ctx = line->bench->side->begin();
	return PTR_ERR_OR_ZERO(line->ctx);
}

static int end(struct native_line *line)
{
	return line->bench->side->end(line->ctx);
}

static int measure(const struct figure *figure)
{
	struct native_line lines[NATIVE_NR_SIDES] = {};
	const char *what = figure->base ?: figure->name;
	int error;

	error = begin(&lines[NATIVE_KHEAP], what, NATIVE_KHEAP);
	if (error)
		return error;
	error = begin(&lines[NATIVE_RIVAL], what, NATIVE_RIVAL);
	if (error)
		goto out_end_kheap;
	native_calibrate();
	if (figure->base)
		error = native_duo(figure->name, figure->base, lines,
				   figure->interleaved);
	else
		measure_one(figure->name, lines);
	error = end(&lines[NATIVE_RIVAL]) ?: error;
out_end_kheap:
	return end(&lines[NATIVE_KHEAP]) ?: error;
}

static int measure_all(void *unused)
{
	const struct figure *figure = figures;
	int error = 0;

	for (; !error && figure < figures + ARRAY_SIZE(figures); figure++) {
		if (!is_wanted(figure))
			continue;
		pr_info("begin %s\n", figure->name);
		error = measure(figure);
		if (error)
			pr_info("failed %s %d\n", figure->name, error);
	}
	native_calibration_report();
	pr_info("end\n");
	complete(&all_done);
	return 0;
}

static int __init native_init(void)
{
	struct task_struct *task;

	bench_clock_init();
	bench_inputs_init();
	task = kthread_create(measure_all, NULL, "kheap_native");
	if (IS_ERR(task))
		return PTR_ERR(task);
	kthread_bind(task, cpumask_last(cpu_online_mask));
	wake_up_process(task);
	wait_for_completion(&all_done);
	kernel_power_off();
	return 0;
}
late_initcall_sync(native_init);
