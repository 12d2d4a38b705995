// SPDX-License-Identifier: GPL-2.0
/*
 * Replaying a verified trace: every request is made of the rival, every block's
 * first and last bytes are filled and looked at before it ends, so that blocks
 * that overlap, or lose their content in a realloc, do not go unseen.
 */
#include <linux/hash.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/timekeeping.h>

#include "replay.h"

/* Events between two looks at the clock, signals and the scheduler. */
#define BATCH_EVENTS	256

/* The pattern covers up to this many bytes at each end. */
#define PATTERN_BYTES	sizeof(u64)

static u64 pattern_of(u32 id, u32 seed)
{
	return ((u64)id << 32 | seed) * GOLDEN_RATIO_64;
}

/* Both halves of a short block; at one byte the first half is all there is. */
static size_t first_bytes(size_t size)
{
	return min((size + 1) / 2, PATTERN_BYTES);
}

static size_t last_bytes(size_t size)
{
	return min(size / 2, PATTERN_BYTES);
}

static void fill_block(struct replay_slot *slot, u32 id)
{
	u64 first = pattern_of(id, slot->seed), last = ~first;
	size_t nr_last = last_bytes(slot->size);

	memcpy(slot->ptr, &first, first_bytes(slot->size));
	memcpy(slot->ptr + slot->size - nr_last, &last, nr_last);
}

static bool block_is_intact(const struct replay_slot *slot, u32 id)
{
	u64 first = pattern_of(id, slot->seed), last = ~first;
	size_t nr_last = last_bytes(slot->size);

	return !memcmp(slot->ptr, &first, first_bytes(slot->size)) &&
	       !memcmp(slot->ptr + slot->size - nr_last, &last, nr_last);
}

static u64 event_offset(const struct replay_run *run, u64 index)
{
	return (const u8 *)&run->trace->events[index] - run->trace->data;
}

static int refuse_at(struct replay_run *run, int error, const char *what, u32 id)
{
	return replay_refuse(run->fault, error, event_offset(run, run->next),
			     "event %llu: %s, id %u", run->next, what, id);
}

static int replay_alloc(struct replay_run *run, const struct trace_event *event,
			struct replay_slot *slot, u32 id)
{
	gfp_t gfp = event->flags & TRACE_ZERO ? __GFP_ZERO : 0;
	u32 size = le32_to_cpu(event->size);
	void *ptr = run->rival->alloc(run, size, gfp);

	if (!ptr)
		return refuse_at(run, -ENOMEM, "no memory", id);
	slot->ptr = ptr;
	slot->size = size;
	slot->seed = run->next;
	run->requested_bytes += size;
	run->nr_live++;
	if (!run->pattern)
		return 0;
	if (gfp && memchr_inv(ptr, 0, size))
		return refuse_at(run, -EUCLEAN, "block is not zeroed", id);
	fill_block(slot, id);
	return 0;
}

static int replay_realloc(struct replay_run *run,
			  const struct trace_event *event,
			  struct replay_slot *slot, u32 id)
{
	u64 first = pattern_of(id, slot->seed);
	u32 old_size = slot->size, size = le32_to_cpu(event->size);
	void *ptr;

	if (run->pattern && !block_is_intact(slot, id))
		return refuse_at(run, -EUCLEAN, "block was overwritten", id);
	ptr = run->rival->realloc(run, slot->ptr, old_size, size);
	if (!ptr)
		return refuse_at(run, -ENOMEM, "no memory", id);
	slot->ptr = ptr;
	slot->size = size;
	slot->seed = run->next;
	run->requested_bytes += (s64)size - old_size;
	if (!run->pattern)
		return 0;
	if (memcmp(ptr, &first, min_t(size_t, first_bytes(old_size), size)))
		return refuse_at(run, -EUCLEAN, "realloc lost the content", id);
	fill_block(slot, id);
	return 0;
}

static void forget_block(struct replay_run *run, struct replay_slot *slot)
{
	void *ptr = slot->ptr;

	run->requested_bytes -= slot->size;
	run->nr_live--;
	slot->ptr = NULL;
	run->rival->free(run, ptr);
}

static int replay_free(struct replay_run *run, struct replay_slot *slot, u32 id)
{
	if (run->pattern && !block_is_intact(slot, id))
		return refuse_at(run, -EUCLEAN, "block was overwritten", id);
	forget_block(run, slot);
	return 0;
}

static int replay_event(struct replay_run *run)
{
	const struct trace_event *event = &run->trace->events[run->next];
	u32 id = le32_to_cpu(event->id);
	struct replay_slot *slot = &run->trace->slots[id];

	switch (event->op) {
	case TRACE_ALLOC:
		return replay_alloc(run, event, slot, id);
	case TRACE_REALLOC:
		return replay_realloc(run, event, slot, id);
	default:
		return replay_free(run, slot, id);
	}
}

/**
 * replay_run_measure() - take the figures of a stopped run
 * @run: the run
 * @held: filled in
 *
 * Context: Process context. May sleep.
 * Return: 0, or -ENOMEM.
 */
int replay_run_measure(struct replay_run *run, struct replay_held *held)
{
	held->requested_bytes = run->requested_bytes;
	held->nr_live = run->nr_live;
	return run->rival->measure(run, held);
}

static int measure(struct replay_run *run, enum replay_moment moment)
{
	int err = replay_run_measure(run, &run->result->held[moment]);

	if (err)
		return replay_refuse(run->fault, err, 0,
				     "no memory for taking the figures");
	return run->rival->verify(run);
}

static int replay_batch(struct replay_run *run, u64 stop)
{
	u64 start = ktime_get_ns();
	int err = 0;

	while (!err && run->next < stop) {
		err = replay_event(run);
		if (!err)
			run->next++;
	}
	run->result->total_ns += ktime_get_ns() - start;
	run->result->nr_done = run->next;
	cond_resched();
	if (!err && signal_pending(current))
		err = replay_refuse(run->fault, -EINTR, 0,
				    "interrupted after %llu events", run->next);
	return err;
}

/**
 * replay_run_begin() - start a run
 * @run: with trace, rival, result, fault and pattern set
 *
 * Context: Process context. May sleep.
 * Return: 0, or -errno with the fault filled in.
 */
int replay_run_begin(struct replay_run *run)
{
	int err;

	memset(run->result, 0, sizeof(*run->result));
	run->next = 0;
	run->requested_bytes = 0;
	run->nr_live = 0;
	err = run->rival->begin(run);
	if (err)
		return replay_refuse(run->fault, err, 0, "%s cannot begin",
				     run->rival->name);
	return 0;
}

/**
 * replay_run_until() - replay the next events
 * @run: the run
 * @stop: number of events that have been replayed at the end
 *
 * Measures when it passes the peak and when it comes to the trace's end.
 *
 * Context: Process context. May sleep.
 * Return: 0, or -errno with the fault filled in; -EINTR on a signal.
 */
int replay_run_until(struct replay_run *run, u64 stop)
{
	u64 after_peak = run->trace->peak_event + 1;
	int err = 0;

	while (!err && run->next < stop) {
		u64 next_stop = min(stop, run->next + BATCH_EVENTS);

		if (run->next < after_peak)
			next_stop = min(next_stop, after_peak);
		err = replay_batch(run, next_stop);
		if (!err && run->next == after_peak)
			err = measure(run, REPLAY_PEAK);
		if (!err && run->next == run->trace->nr_events)
			err = measure(run, REPLAY_END);
	}
	return err;
}

/* Frees what is live; keeps going, so that nothing is left in any case. */
static int free_leftovers(struct replay_run *run)
{
	struct replay_trace *trace = run->trace;
	int err = 0;
	u32 id;

	for (id = 0; id < trace->nr_ids; id++) {
		struct replay_slot *slot = &trace->slots[id];

		if (!slot->ptr)
			continue;
		if (run->pattern && !err && !block_is_intact(slot, id))
			err = replay_refuse(run->fault, -EUCLEAN, 0,
					    "at the end: block was overwritten, id %u",
					    id);
		forget_block(run, slot);
		if (id % BATCH_EVENTS == 0)
			cond_resched();
	}
	return err;
}

/**
 * replay_run_finish() - free what the trace left, measure and end the run
 * @run: the run
 *
 * Context: Process context. May sleep.
 * Return: 0, or -errno with the fault filled in; the run has ended either way.
 */
int replay_run_finish(struct replay_run *run)
{
	int err;

	err = free_leftovers(run);
	if (!err)
		err = measure(run, REPLAY_FREED);
	if (!err && run->heap)
		kheap_trim(run->heap);
	if (!err)
		err = measure(run, REPLAY_TRIMMED);
	run->result->complete = !err;
	run->rival->end(run);
	run->rival = NULL;
	return err;
}

/**
 * replay_run_abort() - end a run early
 * @run: the run; nothing happens if none is under way
 *
 * Context: Process context. May sleep.
 */
void replay_run_abort(struct replay_run *run)
{
	if (!run->rival)
		return;
	run->pattern = false;
	free_leftovers(run);
	run->rival->end(run);
	run->rival = NULL;
}
