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
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "bench.h"

#define WARM_UPS	8
#define NR_SLEEPS	2
#define SLEEP_MS	20
#define NAME_BYTES	64
#define LINES_MAX	16
/* More than one of a CPU's lists of free pages had in any run. */
#define HELD_BYTES	SZ_16M

static const struct bench_case *const groups[] = {
	bench_clock_cases,
	bench_pair_cases,
	bench_round_cases,
	bench_bulk_cases,
	bench_remote_cases,
	bench_rcu_cases,
	bench_destroy_cases,
	bench_space_cases,
	bench_object_cases,
	bench_collect_cases,
	bench_two_cpus_cases,
};

/* One side of the last figure; the samples are sorted in the end. */
struct bench_line {
	const struct bench_case *bench;
	struct bench_run run;
	bool begun;
	int error;
	unsigned int nr_samples;
	u64 samples[BENCH_SAMPLES_MAX];
};

static DEFINE_MUTEX(run_lock);	/* everything below */
static struct bench_line lines[LINES_MAX];
static unsigned int nr_lines;
static void *ptrs[BENCH_NR_OBJECTS];

static struct dentry *dir;

static unsigned int nr_samples = 3;
module_param(nr_samples, uint, 0444);
MODULE_PARM_DESC(nr_samples, "measurements of each figure, 1 to 16; default 3");

/* --- Running ------------------------------------------------------------ */

static int begin_line(struct bench_line *line)
{
	const struct bench_case *bench = line->bench;
	void *ctx;

	if (num_online_cpus() < bench->nr_cpus)
		return -EOPNOTSUPP;
	ctx = bench->side->begin();
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	bench_run_init(&line->run, ctx, ptrs);
	line->begun = true;
	return 0;
}

static bool is_quick(const struct bench_case *bench)
{
	return !bench->slow && !bench->unit;
}

static bool is_single(const struct bench_case *bench)
{
	return bench->unit || (bench->slow && !bench_exact);
}

/*
 * Until caches are there and grown, on both sides, and pools in their places.
 * Sleeping lets workers do what was put off, but not for long: what is idle for
 * seconds is given back, and then the samples would not be alike.
 */
static void warm_up(struct bench_line *line)
{
	unsigned int i;

	if (!line->begun || !is_quick(line->bench))
		return;
	for (i = 0; i < WARM_UPS; i++) {
		line->bench->timed(&line->run);
		if (i < NR_SLEEPS)
			msleep(SLEEP_MS);
	}
}

static void hold_list(struct list_head *held, gfp_t gfp, unsigned int order)
{
	struct page *page;
	unsigned int i;

	gfp |= GFP_KERNEL | __GFP_COMP | __GFP_NOWARN | __GFP_NORETRY;
	for (i = 0; i < HELD_BYTES >> PAGE_SHIFT >> order; i++) {
		page = alloc_pages(gfp, order);
		if (!page)
			return;
		list_add(&page->lru, held);
	}
}

/*
 * Pages that were freed before are in this CPU's lists of the page allocator,
 * one for each order and mobility. Whoever frees the next one pays for giving
 * many back, and that would be the sample: so they are taken out of there, and
 * held until it is over.
 */
static void hold_free_pages(struct list_head *held)
{
	unsigned int order;

	for (order = 0; order <= PAGE_ALLOC_COSTLY_ORDER; order++) {
		hold_list(held, 0, order);
		hold_list(held, __GFP_MOVABLE, order);
		hold_list(held, __GFP_RECLAIMABLE, order);
	}
}

static void let_pages_go(struct list_head *held)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, held, lru)
		__free_pages(page, compound_order(page));
}

/*
 * Each quick sample once more than is counted: meanwhile the other sides had
 * their turns, and maintenance may have found this one idle.
 */
static void take_sample(struct bench_line *line)
{
	LIST_HEAD(held);

	if (!line->begun || (line->nr_samples && is_single(line->bench)))
		return;
	if (is_quick(line->bench))
		line->bench->timed(&line->run);
	else if (!line->bench->unit)
		hold_free_pages(&held);
	line->bench->timed(&line->run);
	let_pages_go(&held);
	line->samples[line->nr_samples++] = line->run.ticks;
}

static void end_line(struct bench_line *line)
{
	int error;

	if (!line->begun)
		return;
	error = line->bench->side->end(line->run.ctx);
	line->error = line->run.error ?: error;
	bench_sort(line->samples, line->nr_samples);
}

static void add_lines(const char *name)
{
	const struct bench_case *bench;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(groups); i++)
		for (bench = groups[i]; bench->name; bench++) {
			if (strcmp(bench->name, name) || nr_lines == LINES_MAX)
				continue;
			memset(&lines[nr_lines], 0, sizeof(lines[0]));
			lines[nr_lines++].bench = bench;
		}
}

/* The sides take turns, so that what disturbs one does not spare the other. */
static void sample_in_turns(void)
{
	unsigned int i, sample;

	for (sample = 0; sample < nr_samples; sample++)
		for (i = 0; i < nr_lines; i++)
			take_sample(&lines[i]);
}

/*
 * One side after the other: the many pages that one side frees stay in the page
 * allocator's per-CPU lists, and the next to free pages pays for that.
 */
static void sample_in_a_row(void)
{
	unsigned int i, sample;

	for (i = 0; i < nr_lines; i++)
		for (sample = 0; sample < nr_samples; sample++)
			take_sample(&lines[i]);
}

static int run_figure(const char *name)
{
	unsigned int i;

	nr_lines = 0;
	add_lines(name);
	for (i = 0; i < nr_lines; i++)
		lines[i].error = begin_line(&lines[i]);
	for (i = 0; i < nr_lines; i++)
		warm_up(&lines[i]);
	if (nr_lines && is_quick(lines[0].bench))
		sample_in_turns();
	else
		sample_in_a_row();
	for (i = 0; i < nr_lines; i++)
		end_line(&lines[i]);
	return nr_lines ? 0 : -ENOENT;
}

/* --- Files -------------------------------------------------------------- */

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

static const char *unit_of(const struct bench_case *bench)
{
	return bench->unit ?: bench_exact ? "insn" : "ns";
}

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
			   unit_of(line->bench), line->error,
			   line->run.nr_ops, line->samples[0],
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
	bench_inputs_init();
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
MODULE_AUTHOR("The kheap developers");
MODULE_VERSION("0.1");
MODULE_DESCRIPTION("Benchmark of private heaps against the kernel's allocators");
