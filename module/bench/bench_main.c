// SPDX-License-Identifier: GPL-2.0
/*
 * The benchmark in debugfs: write a figure's name to kheap_bench/run, read one
 * line per allocator from kheap_bench/result; kheap_bench/list has the names.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/prandom.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "bench.h"

#define SEED		20240607
#define WARM_UPS	8
#define WARM_UP_MS	20
#define NAME_BYTES	64
#define LINES_MAX	16

static const struct bench_case *const groups[] = {
	bench_clock_cases,
	bench_pair_cases,
	bench_round_cases,
};

/* What the last figure's sides took: sorted samples. */
struct bench_line {
	const struct bench_case *bench;
	int error;
	u64 nr_ops;
	unsigned int nr_samples;
	u64 samples[BENCH_SAMPLES_MAX];
};

static DEFINE_MUTEX(run_lock);	/* everything below */
static struct bench_line lines[LINES_MAX];
static unsigned int nr_lines;
static void *ptrs[BENCH_NR_OBJECTS];
static u16 sizes[BENCH_NR_SIZES];
static u16 order[BENCH_NR_OBJECTS];

static struct dentry *dir;

static unsigned int nr_samples = 3;
module_param(nr_samples, uint, 0444);
MODULE_PARM_DESC(nr_samples, "measurements of each figure, 1 to 16; default 3");

/* --- Inputs ------------------------------------------------------------------ */

static void shuffle(u16 *numbers, unsigned int nr, struct rnd_state *rnd)
{
	unsigned int i, other;

	for (i = nr - 1; i; i--) {
		other = prandom_u32_state(rnd) % (i + 1);
		swap(numbers[i], numbers[other]);
	}
}

static void prepare_inputs(void)
{
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, SEED);
	for (i = 0; i < BENCH_NR_SIZES; i++)
		sizes[i] = BENCH_SIZE_MIN +
			   i % (BENCH_SIZE_MAX - BENCH_SIZE_MIN + 1);
	shuffle(sizes, BENCH_NR_SIZES, &rnd);
	for (i = 0; i < BENCH_NR_OBJECTS; i++)
		order[i] = i;
	shuffle(order, BENCH_NR_OBJECTS, &rnd);
}

/* --- Running ------------------------------------------------------------------- */

/* Until arrays are there and grown, on both sides, and pools in their places. */
static void warm_up(const struct bench_case *bench, struct bench_run *run)
{
	unsigned int i;

	for (i = 0; i < WARM_UPS; i++) {
		bench->timed(run);
		msleep(WARM_UP_MS);
	}
}

static int compare_samples(const void *a, const void *b)
{
	u64 one = *(const u64 *)a, two = *(const u64 *)b;

	return one < two ? -1 : one > two;
}

static int take_samples(const struct bench_case *bench, struct bench_run *run,
			struct bench_line *line)
{
	unsigned int i;
	int error;

	run->ctx = bench->side->begin();
	if (IS_ERR(run->ctx))
		return PTR_ERR(run->ctx);
	warm_up(bench, run);
	for (i = 0; i < nr_samples; i++) {
		bench->timed(run);
		line->samples[i] = run->ticks;
	}
	line->nr_ops = run->nr_ops;
	line->nr_samples = nr_samples;
	error = bench->side->end(run->ctx);
	sort(line->samples, nr_samples, sizeof(u64), compare_samples, NULL);
	return error;
}

static void run_case(const struct bench_case *bench)
{
	struct bench_run run = {
		.ptrs = ptrs,
		.sizes = sizes,
		.order = order,
	};
	struct bench_line *line = &lines[nr_lines++];

	memset(line, 0, sizeof(*line));
	line->bench = bench;
	line->error = take_samples(bench, &run, line);
}

static int run_figure(const char *name)
{
	const struct bench_case *bench;
	unsigned int i;

	nr_lines = 0;
	for (i = 0; i < ARRAY_SIZE(groups); i++)
		for (bench = groups[i]; bench->name; bench++)
			if (!strcmp(bench->name, name) && nr_lines < LINES_MAX)
				run_case(bench);
	return nr_lines ? 0 : -ENOENT;
}

/* --- Files ----------------------------------------------------------------------- */

static ssize_t run_write(struct file *file, const char __user *buf, size_t len,
			 loff_t *pos)
{
	char name[NAME_BYTES];
	ssize_t nr;
	int error;

	nr = simple_write_to_buffer(name, sizeof(name) - 1, pos, buf, len);
	if (nr < 0)
		return nr;
	name[nr] = '\0';
	error = mutex_lock_interruptible(&run_lock);
	if (error)
		return error;
	error = run_figure(strim(name));
	mutex_unlock(&run_lock);
	return error ?: len;
}

static const struct file_operations run_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.write	= run_write,
	.llseek	= noop_llseek,
};

/* NAME SIDE UNIT ERROR OPS LEAST MEDIAN MOST, the last three for all OPS. */
static int result_show(struct seq_file *file, void *unused)
{
	unsigned int i;

	mutex_lock(&run_lock);
	for (i = 0; i < nr_lines; i++) {
		const struct bench_line *line = &lines[i];
		unsigned int nr = line->nr_samples;

		seq_printf(file, "%s %s %s %d %llu %llu %llu %llu\n",
			   line->bench->name, line->bench->side->name,
			   bench_exact ? "insn" : "ns", line->error,
			   line->nr_ops, line->samples[0],
			   line->samples[nr / 2],
			   line->samples[nr ? nr - 1 : 0]);
	}
	mutex_unlock(&run_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(result);

static int list_show(struct seq_file *file, void *unused)
{
	const struct bench_case *bench;
	const char *last = "";
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(groups); i++)
		for (bench = groups[i]; bench->name; bench++) {
			if (strcmp(bench->name, last))
				seq_printf(file, "%s\n", bench->name);
			last = bench->name;
		}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(list);

static int __init bench_init(void)
{
	if (!nr_samples || nr_samples > BENCH_SAMPLES_MAX)
		return -EINVAL;
	bench_clock_init();
	prepare_inputs();
	dir = debugfs_create_dir("kheap_bench", NULL);
	debugfs_create_file("run", 0200, dir, NULL, &run_fops);
	debugfs_create_file("result", 0400, dir, NULL, &result_fops);
	debugfs_create_file("list", 0400, dir, NULL, &list_fops);
	return 0;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	debugfs_remove(dir);
}
module_exit(bench_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Benchmark of private heaps against the kernel's allocators");
