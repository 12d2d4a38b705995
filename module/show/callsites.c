// SPDX-License-Identifier: GPL-2.0
/*
 * Call sites as people and programs see them: the files callsites and
 * callsites_state, and the stacks in the reports of what is left behind.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/kallsyms.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/stackdepot.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "show/show.h"
#include "watch/callsite.h"

/* How many stacks a report has at most. */
#define NR_REPORTED	8

static int by_live_bytes(const void *a, const void *b)
{
	const struct kheap_callsite_row *l = a, *r = b;

	if (l->live_bytes != r->live_bytes)
		return l->live_bytes < r->live_bytes ? 1 : -1;
	return l->nr_total < r->nr_total ? 1 : l->nr_total > r->nr_total ? -1 : 0;
}

/*
 * All sites, those with the most live bytes first. Return how many and set
 * *@rows, for kvfree(); or -ENOMEM.
 */
static int sorted_rows(struct kheap_callsites *cs,
		       const struct kheap_class *class,
		       struct kheap_callsite_row **rows)
{
	struct kheap_callsite_stats stats;
	unsigned int nr;

	*rows = NULL;
	kheap_callsites_get_stats(cs, &stats);
	if (!stats.nr_sites)
		return 0;
	*rows = kvmalloc_array(stats.nr_sites, sizeof(**rows), GFP_KERNEL);
	if (!*rows)
		return -ENOMEM;
	nr = kheap_callsites_copy(cs, class, *rows, stats.nr_sites);
	sort(*rows, nr, sizeof(**rows), by_live_bytes, NULL);
	return nr;
}

/* --- callsites ---------------------------------------------------------- */

unsigned long kheap_ms_since(u64 now, u64 then)
{
	return then && then < now ? div_u64(now - then, NSEC_PER_MSEC) : 0;
}

/* A line a frame, the innermost first, further in than what they belong to. */
void kheap_show_stack(struct seq_file *seq, u32 stack)
{
	unsigned long *frames;
	unsigned int i, nr = stack_depot_fetch(stack, &frames);

	for (i = 0; i < nr; i++)
		seq_printf(seq, "    %pS\n", (void *)frames[i]);
}

/* A task can have any name: make it one word of its line. */
static void make_word(char *name)
{
	for (; *name; name++)
		if (!isascii(*name) || !isgraph(*name))
			*name = '_';
}

static void show_row(struct seq_file *seq, struct kheap_callsite_row *row,
		     u64 now)
{
	seq_printf(seq, "%lu %lu %lu %lu %lu %lu %lu %lu\n", row->live_bytes,
		   row->nr_live, row->req_bytes,
		   row->live_bytes - row->req_bytes, row->peak_bytes,
		   row->nr_total, kheap_ms_since(now, row->oldest_ns),
		   kheap_ms_since(now, row->newest_ns));
	seq_printf(seq, "+ %*pbl ", nr_cpu_ids, row->site->cpus);
	make_word(row->comm);
	if (row->pid)
		seq_printf(seq, "%s/%d", row->comm, row->pid);
	else
		seq_putc(seq, '-');
	seq_printf(seq, " %u %u\n", row->least_bytes, row->most_bytes);
	kheap_show_stack(seq, row->site->stack);
}

static int callsites_show(struct seq_file *seq, void *unused)
{
	struct kheap *heap = seq->private;
	struct kheap_callsites *cs = kheap_callsites_read_begin(heap);
	struct kheap_callsite_row *rows = NULL;
	u64 now = kheap_callsite_now();
	int i, nr;

	seq_puts(seq, "# live_bytes live_blocks requested_bytes waste_bytes peak_bytes total_blocks\n");
	seq_puts(seq, "# oldest_ms newest_ms\n# + cpus task least_bytes most_bytes\n");
	nr = cs ? sorted_rows(cs, NULL, &rows) : 0;
	for (i = 0; i < nr; i++)
		show_row(seq, &rows[i], now);
	kvfree(rows);
	kheap_callsites_read_end(heap);
	return nr < 0 ? nr : 0;
}

/* "on", "on N", "off", "reset". Return 0 or -errno. */
static int obey(struct kheap *heap, char *words)
{
	char *word = strsep(&words, " ");
	unsigned int one_in = 1;

	if (!strcmp(word, "on")) {
		if (words && (kstrtouint(words, 10, &one_in) || !one_in))
			return -EINVAL;
		return kheap_callsites_start(heap, one_in);
	}
	if (words)
		return -EINVAL;
	if (!strcmp(word, "reset"))
		return kheap_callsites_start(heap, 0);
	if (strcmp(word, "off"))
		return -EINVAL;
	kheap_callsites_stop(heap);
	return 0;
}

static ssize_t callsites_write(struct file *file, const char __user *buf,
			       size_t len, loff_t *pos)
{
	struct seq_file *seq = file->private_data;
	char words[32];
	int err;

	if (len >= sizeof(words))
		return -EINVAL;
	if (copy_from_user(words, buf, len))
		return -EFAULT;
	words[len] = '\0';
	err = obey(seq->private, strim(words));
	return err ?: len;
}

static int callsites_open(struct inode *inode, struct file *file)
{
	return single_open(file, callsites_show, inode->i_private);
}

static const struct file_operations callsites_fops = {
	.owner = THIS_MODULE,
	.open = callsites_open,
	.read = seq_read,
	.write = callsites_write,
	.llseek = seq_lseek,
	.release = single_release,
};

/* --- callsites_state ---------------------------------------------------- */

static int callsites_state_show(struct seq_file *seq, void *unused)
{
	struct kheap *heap = seq->private;
	struct kheap_callsite_stats stats;

	kheap_callsites_get_stats(kheap_callsites_read_begin(heap), &stats);
	kheap_callsites_read_end(heap);
	seq_printf(seq, "one_in: %lu\n", stats.one_in);
	seq_printf(seq, "nr_sites: %lu\n", stats.nr_sites);
	seq_printf(seq, "nr_recorded: %lu\n", stats.nr_live);
	seq_printf(seq, "recorded_bytes: %lu\n", stats.live_bytes);
	seq_printf(seq, "nr_total: %lu\n", stats.nr_total);
	seq_printf(seq, "nr_dropped: %lu\n", stats.nr_dropped);
	seq_printf(seq, "nr_unknown_frees: %lu\n", stats.nr_unknown_frees);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(callsites_state);

void kheap_debugfs_add_callsites(struct kheap *heap)
{
	debugfs_create_file("callsites", 0600, heap->show.dir, heap,
			    &callsites_fops);
	debugfs_create_file("callsites_state", 0400, heap->show.dir, heap,
			    &callsites_state_fops);
}

/* --- Reports ------------------------------------------------------------ */

static void report_row(const struct kheap_callsite_row *row)
{
	unsigned long *frames;
	unsigned int i, nr;

	pr_warn("  %lu blocks, %lu bytes, allocated at\n", row->nr_live,
		row->live_bytes);
	nr = stack_depot_fetch(row->site->stack, &frames);
	for (i = 0; i < nr; i++)
		pr_warn("    %pS\n", (void *)frames[i]);
}

/**
 * kheap_callsites_report() - log who allocated what is left behind
 * @heap: the heap
 * @class: only blocks of this class; NULL for all
 *
 * Nothing is logged for a heap whose call sites are not recorded.
 *
 * Context: Process context. May sleep.
 */
void kheap_callsites_report(struct kheap *heap, const struct kheap_class *class)
{
	struct kheap_callsites *cs = kheap_callsites_read_begin(heap);
	struct kheap_callsite_row *rows = NULL;
	int i, nr = cs ? sorted_rows(cs, class, &rows) : 0;

	for (i = 0; i < nr && rows[i].nr_live; i++) {
		if (i == NR_REPORTED) {
			pr_warn("  and other stacks\n");
			break;
		}
		report_row(&rows[i]);
	}
	kvfree(rows);
	kheap_callsites_read_end(heap);
}
