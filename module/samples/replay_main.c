// SPDX-License-Identifier: GPL-2.0
/*
 * The replay client's face in debugfs, /sys/kernel/debug/kheap_replay/:
 *
 *   trace   write: a trace; the last byte starts its verification
 *   run     write: one of
 *             kheap|kmalloc|none [peak|end|COUNT] [nopattern]
 *             continue [peak|end|COUNT]
 *             abort
 *           A run with a stop returns when it is reached, its blocks held
 *           until the run goes on; without one it goes to the end, frees what
 *           the trace left, and ends. A signal ends a run. With none, which
 *           wants nopattern, no memory is asked for.
 *   status  read: what is loaded, what runs, and why the last write failed
 *   result  read: the figures of the last run with each rival
 *   now     read: what the stopped run's rival holds; empty when none is
 *
 * A write that fails returns -EINVAL (no trace, unknown command), -EBADMSG (the
 * trace contradicts itself), -EFBIG (too large), -ENODATA (no whole trace is
 * loaded), -EBUSY (a run is stopped), -ENOENT (none is), -EINTR, -ENOMEM, or
 * -EUCLEAN (an allocator's fault was found). status has offset and reason.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kstrtox.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "replay.h"

#define COMMAND_MAX	64

static unsigned long max_bytes = 256UL << 20;
module_param(max_bytes, ulong, 0644);
MODULE_PARM_DESC(max_bytes, "most bytes of events in a trace (default 256 MiB)");

/* Protects all below. Held during a run; waiting for it can be interrupted. */
static DEFINE_MUTEX(replay_lock);
static struct replay_trace loaded;
static struct replay_run run = { .trace = &loaded };
static struct replay_fault fault;
static bool refused;		/* fault is why the last trace was refused */
static struct replay_result results[NR_REPLAY_RIVALS];

static struct dentry *debugfs_dir;

/* --- trace -------------------------------------------------------------- */

/* A write at offset 0 begins a new trace. */
static int take_in(const char __user *buf, size_t len, loff_t pos)
{
	int err;

	if (run.rival)
		return replay_refuse(&fault, -EBUSY, 0, "a run is stopped");
	if (pos == 0) {
		refused = false;
		memset(results, 0, sizeof(results));
		replay_trace_drop(&loaded);
	} else if (refused) {
		return fault.error;
	} else if (pos != loaded.nr_filled) {
		return replay_refuse(&fault, -ESPIPE, pos,
				     "traces are written from front to back");
	}
	memset(&fault, 0, sizeof(fault));
	err = replay_trace_write(&loaded, buf, len, max_bytes, &fault);
	if (err) {
		refused = true;
		replay_trace_drop(&loaded);
	}
	return err;
}

static ssize_t trace_write(struct file *file, const char __user *buf, size_t len,
			   loff_t *pos)
{
	int err;

	if (!len)
		return 0;
	err = mutex_lock_interruptible(&replay_lock);
	if (err)
		return err;
	err = take_in(buf, len, *pos);
	mutex_unlock(&replay_lock);
	if (err)
		return err;
	*pos += len;
	return len;
}

static const struct file_operations trace_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.write	= trace_write,
};

/* --- run ---------------------------------------------------------------- */

/* Where to stop: 0 for nowhere, else the number of events to replay before. */
static int parse_stop(const char *word, u64 *stop)
{
	if (!strcmp(word, "peak"))
		*stop = loaded.peak_event + 1;
	else if (!strcmp(word, "end"))
		*stop = loaded.nr_events;
	else if (kstrtou64(word, 10, stop) || !*stop || *stop > loaded.nr_events)
		return -EINVAL;
	return 0;
}

static int parse_options(char *words, u64 *stop, bool *pattern)
{
	char *word;

	*stop = 0;
	while ((word = strsep(&words, " \t\n"))) {
		if (!*word)
			continue;
		if (!strcmp(word, "nopattern"))
			*pattern = false;
		else if (*stop || parse_stop(word, stop))
			return replay_refuse(&fault, -EINVAL, 0,
					     "bad word in the command: %s", word);
	}
	return 0;
}

static int go_on(u64 stop)
{
	int err = replay_run_until(&run, stop ?: loaded.nr_events);

	if (!err && !stop)
		return replay_run_finish(&run);
	if (err)
		replay_run_abort(&run);
	return err;
}

static int continue_run(char *options)
{
	bool pattern = true;
	u64 stop;
	int err;

	if (!run.rival)
		return replay_refuse(&fault, -ENOENT, 0, "no run is stopped");
	err = parse_options(options, &stop, &pattern);
	if (err)
		return err;
	if (!pattern || (stop && stop < run.next))
		return replay_refuse(&fault, -EINVAL, 0,
				     "the run cannot go back or change");
	return go_on(stop);
}

static int begin_run(int which, char *options)
{
	bool pattern = true;
	u64 stop;
	int err;

	if (run.rival)
		return replay_refuse(&fault, -EBUSY, 0, "a run is stopped");
	if (!loaded.verified)
		return replay_refuse(&fault, -ENODATA, loaded.nr_filled,
				     "truncated: no whole trace is loaded");
	err = parse_options(options, &stop, &pattern);
	if (err)
		return err;
	run.rival = replay_rivals[which];
	run.result = &results[which];
	run.fault = &fault;
	run.pattern = pattern;
	err = replay_run_begin(&run);
	if (err) {
		run.rival = NULL;
		return err;
	}
	return go_on(stop);
}

static int obey(char *command)
{
	char *verb = strsep(&command, " \t\n");
	int which;

	/* Why the trace was refused stays readable; any other fault is past. */
	if (refused)
		return fault.error;
	memset(&fault, 0, sizeof(fault));
	if (!strcmp(verb, "continue"))
		return continue_run(command);
	if (!strcmp(verb, "abort")) {
		replay_run_abort(&run);
		return 0;
	}
	for (which = 0; which < NR_REPLAY_RIVALS; which++)
		if (!strcmp(verb, replay_rivals[which]->name))
			return begin_run(which, command);
	return replay_refuse(&fault, -EINVAL, 0, "unknown command: %s", verb);
}

static ssize_t run_write(struct file *file, const char __user *buf, size_t len,
			 loff_t *pos)
{
	char *command;
	int err;

	if (len > COMMAND_MAX)
		return -EINVAL;
	command = memdup_user_nul(buf, len);
	if (IS_ERR(command))
		return PTR_ERR(command);
	err = mutex_lock_interruptible(&replay_lock);
	if (!err) {
		err = obey(command);
		mutex_unlock(&replay_lock);
	}
	kfree(command);
	return err ?: len;
}

static const struct file_operations run_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.write	= run_write,
};

/* --- status, result ----------------------------------------------------- */

static const char *state_name(void)
{
	if (run.rival)
		return "stopped";
	if (loaded.verified)
		return "loaded";
	if (refused)
		return "refused";
	return loaded.nr_filled ? "loading" : "empty";
}

static int status_show(struct seq_file *m, void *unused)
{
	int err = mutex_lock_interruptible(&replay_lock);

	if (err)
		return err;
	seq_printf(m, "state: %s\n", state_name());
	seq_printf(m, "error: %d\n", fault.error);
	seq_printf(m, "offset: %llu\n", fault.offset);
	seq_printf(m, "reason: %s\n", fault.error ? fault.reason : "none");
	seq_printf(m, "nr_filled_bytes: %llu\n", loaded.nr_filled);
	seq_printf(m, "nr_events: %llu\n", loaded.nr_events);
	seq_printf(m, "nr_ids: %u\n", loaded.nr_ids);
	seq_printf(m, "peak_event: %llu\n", loaded.peak_event);
	seq_printf(m, "running: %s\n", run.rival ? run.rival->name : "none");
	seq_printf(m, "nr_done: %llu\n", run.rival ? run.next : 0);
	seq_printf(m, "nr_live: %llu\n", run.rival ? run.nr_live : 0);
	mutex_unlock(&replay_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(status);

static const char *const moment_names[] = {
	[REPLAY_PEAK]		= "peak",
	[REPLAY_END]		= "end",
	[REPLAY_FREED]		= "freed",
	[REPLAY_TRIMMED]	= "trimmed",
};

static_assert(ARRAY_SIZE(moment_names) == NR_REPLAY_MOMENTS);

static void show_held(struct seq_file *m, const char *rival, const char *moment,
		      const struct replay_held *held)
{
	seq_printf(m, "%s_%s_held_bytes: %llu\n", rival, moment,
		   held->held_bytes);
	seq_printf(m, "%s_%s_usable_bytes: %llu\n", rival, moment,
		   held->usable_bytes);
	seq_printf(m, "%s_%s_nr_classes: %llu\n", rival, moment,
		   held->nr_classes);
	seq_printf(m, "%s_%s_requested_bytes: %llu\n", rival, moment,
		   held->requested_bytes);
	seq_printf(m, "%s_%s_nr_live: %llu\n", rival, moment, held->nr_live);
}

static void show_result(struct seq_file *m, const char *rival,
			const struct replay_result *result)
{
	int moment;

	seq_printf(m, "%s_complete: %d\n", rival, result->complete);
	seq_printf(m, "%s_nr_events: %llu\n", rival, result->nr_done);
	seq_printf(m, "%s_total_ns: %llu\n", rival, result->total_ns);
	seq_printf(m, "%s_event_ns: %llu\n", rival,
		   result->nr_done ?
		   div64_u64(result->total_ns, result->nr_done) : 0);
	seq_printf(m, "%s_most_held_bytes: %llu\n", rival,
		   result->most_held_bytes);
	for (moment = 0; moment < NR_REPLAY_MOMENTS; moment++)
		show_held(m, rival, moment_names[moment],
			  &result->held[moment]);
}

static int result_show(struct seq_file *m, void *unused)
{
	int which, err = mutex_lock_interruptible(&replay_lock);

	if (err)
		return err;
	for (which = 0; which < NR_REPLAY_RIVALS; which++)
		show_result(m, replay_rivals[which]->name, &results[which]);
	mutex_unlock(&replay_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(result);

static int now_show(struct seq_file *m, void *unused)
{
	struct replay_held held;
	int err = mutex_lock_interruptible(&replay_lock);

	if (err)
		return err;
	if (run.rival)
		err = replay_run_measure(&run, &held);
	if (run.rival && !err) {
		seq_printf(m, "nr_done: %llu\n", run.next);
		seq_printf(m, "held_bytes: %llu\n", held.held_bytes);
		seq_printf(m, "usable_bytes: %llu\n", held.usable_bytes);
		seq_printf(m, "requested_bytes: %llu\n", held.requested_bytes);
		seq_printf(m, "nr_live: %llu\n", held.nr_live);
	}
	mutex_unlock(&replay_lock);
	return err;
}
DEFINE_SHOW_ATTRIBUTE(now);

static int __init replay_init(void)
{
	debugfs_dir = debugfs_create_dir("kheap_replay", NULL);
	if (IS_ERR(debugfs_dir))
		return PTR_ERR(debugfs_dir);
	debugfs_create_file("trace", 0200, debugfs_dir, NULL, &trace_fops);
	debugfs_create_file("run", 0200, debugfs_dir, NULL, &run_fops);
	debugfs_create_file("status", 0400, debugfs_dir, NULL, &status_fops);
	debugfs_create_file("result", 0400, debugfs_dir, NULL, &result_fops);
	debugfs_create_file("now", 0400, debugfs_dir, NULL, &now_fops);
	pr_info("write a trace to debugfs kheap_replay/trace\n");
	return 0;
}
module_init(replay_init);

/*
 * debugfs_remove() waits for readers and writers and lets none in, so nothing
 * below has company.
 */
static void __exit replay_exit(void)
{
	debugfs_remove(debugfs_dir);
	replay_run_abort(&run);
	replay_trace_drop(&loaded);
}
module_exit(replay_exit);

MODULE_DESCRIPTION("Replays a program's memory requests into a private heap or kmalloc");
MODULE_AUTHOR("The kheap developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
