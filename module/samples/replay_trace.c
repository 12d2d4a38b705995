// SPDX-License-Identifier: GPL-2.0
/*
 * Taking in a trace. Nothing in it is believed: not its length, not its counts,
 * not the order of its events. The rules are those of scripts/trace/FORMAT.rst,
 * and scripts/trace/kheap_trace.py checks the same ones.
 */
#include <linux/crc32.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/stdarg.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "replay.h"

#define FIELD(name)	offsetof(struct trace_header, name)

/* What the events themselves say, to be compared with the header. */
struct totals {
	u64 nr_allocs;
	u64 nr_reallocs;
	u64 nr_frees;
	u64 live_bytes;
	u64 peak_bytes;
	u64 peak_event;
	u64 peak_live;
	u64 max_size;
	u64 total_bytes;
	u32 nr_ids;
	u32 nr_threads;
};

int replay_refuse(struct replay_fault *fault, int error, u64 offset,
		  const char *reason, ...)
{
	va_list args;

	fault->error = error;
	fault->offset = offset;
	va_start(args, reason);
	vscnprintf(fault->reason, sizeof(fault->reason), reason, args);
	va_end(args);
	return error;
}

void replay_trace_drop(struct replay_trace *trace)
{
	vfree(trace->slots);
	vfree(trace->data);
	memset(trace, 0, sizeof(*trace));
}

static int check_header_format(const struct trace_header *header,
			       struct replay_fault *fault)
{
	u32 meta_bytes = le32_to_cpu(header->meta_bytes);

	if (memcmp(header->magic, TRACE_MAGIC, sizeof(header->magic)))
		return replay_refuse(fault, -EINVAL, 0,
				     "not a kheap trace: the magic number is wrong");
	if (le16_to_cpu(header->version) != TRACE_VERSION)
		return replay_refuse(fault, -EINVAL, FIELD(version),
				     "version %u, but only %u is known",
				     le16_to_cpu(header->version), TRACE_VERSION);
	if (le16_to_cpu(header->header_bytes) != sizeof(*header))
		return replay_refuse(fault, -EINVAL, FIELD(header_bytes),
				     "header_bytes must be %zu", sizeof(*header));
	if (le32_to_cpu(header->event_bytes) != sizeof(struct trace_event))
		return replay_refuse(fault, -EINVAL, FIELD(event_bytes),
				     "event_bytes must be %zu",
				     sizeof(struct trace_event));
	if (le32_to_cpu(header->flags) & ~TRACE_FLAGS_ALL)
		return replay_refuse(fault, -EINVAL, FIELD(flags), "unknown flags");
	if (meta_bytes > TRACE_META_MAX ||
	    meta_bytes % sizeof(struct trace_event))
		return replay_refuse(fault, -EINVAL, FIELD(meta_bytes),
				     "meta_bytes is %u", meta_bytes);
	if (header->reserved)
		return replay_refuse(fault, -EINVAL, FIELD(reserved),
				     "reserved must be 0");
	return 0;
}

static int check_header_counts(const struct trace_header *header, u64 max_bytes,
			       struct replay_fault *fault)
{
	u64 nr_events = le64_to_cpu(header->nr_events);

	if (!nr_events)
		return replay_refuse(fault, -EINVAL, FIELD(nr_events),
				     "there must be events");
	if (nr_events > max_bytes / sizeof(struct trace_event))
		return replay_refuse(fault, -EFBIG, FIELD(nr_events),
				     "%llu events are more than max_bytes allows",
				     nr_events);
	if (le32_to_cpu(header->nr_ids) > nr_events)
		return replay_refuse(fault, -EINVAL, FIELD(nr_ids),
				     "more ids than events");
	if (le32_to_cpu(header->nr_threads) > TRACE_THREADS_MAX)
		return replay_refuse(fault, -EINVAL, FIELD(nr_threads),
				     "more than %u threads", TRACE_THREADS_MAX);
	if (le64_to_cpu(header->peak_event) >= nr_events)
		return replay_refuse(fault, -EINVAL, FIELD(peak_event),
				     "peak_event is beyond the last event");
	if (le64_to_cpu(header->max_size) > TRACE_SIZE_MAX)
		return replay_refuse(fault, -EINVAL, FIELD(max_size),
				     "max_size is over %u", TRACE_SIZE_MAX);
	return 0;
}

/* From here on the header's sizes are known to be sane. */
static int accept_header(struct replay_trace *trace, u64 max_bytes,
			 struct replay_fault *fault)
{
	const struct trace_header *header = &trace->header;
	size_t events_offset;
	int err;

	err = check_header_format(header, fault);
	if (!err)
		err = check_header_counts(header, max_bytes, fault);
	if (err)
		return err;

	events_offset = sizeof(*header) + le32_to_cpu(header->meta_bytes);
	trace->nr_events = le64_to_cpu(header->nr_events);
	trace->nr_ids = le32_to_cpu(header->nr_ids);
	trace->peak_event = le64_to_cpu(header->peak_event);
	trace->size = events_offset +
		      trace->nr_events * sizeof(struct trace_event);
	trace->slots = vzalloc(array_size(max(trace->nr_ids, 1U),
					  sizeof(*trace->slots)));
	trace->data = vmalloc(trace->size);
	if (!trace->slots || !trace->data) {
		vfree(trace->slots);
		vfree(trace->data);
		trace->slots = NULL;
		trace->data = NULL;
		return replay_refuse(fault, -ENOMEM, FIELD(nr_events),
				     "no memory for %llu bytes", trace->size);
	}
	memcpy(trace->data, header, sizeof(*header));
	trace->events = (void *)(trace->data + events_offset);
	return 0;
}

/* Marks an id allocated during verification: no block has this address. */
#define IN_USE		((void *)1)

/* Names what is wrong with an event that broke a rule. */
static int refuse_event(const struct replay_trace *trace, u64 index,
			const struct totals *totals, struct replay_fault *fault)
{
	const struct trace_event *event = &trace->events[index];
	u64 offset = (u8 *)event - trace->data;
	u32 id = le32_to_cpu(event->id);

	if (event->op < TRACE_ALLOC || event->op > TRACE_REALLOC)
		return replay_refuse(fault, -EBADMSG, offset,
				     "event %llu: unknown operation %u", index,
				     event->op);
	if (event->flags & ~TRACE_EVENT_FLAGS_ALL ||
	    (event->flags && event->op != TRACE_ALLOC))
		return replay_refuse(fault, -EBADMSG, offset,
				     "event %llu: unknown flags %#x", index,
				     event->flags);
	if (le16_to_cpu(event->thread) >= le32_to_cpu(trace->header.nr_threads))
		return replay_refuse(fault, -EBADMSG, offset,
				     "event %llu: thread %u is not announced",
				     index, le16_to_cpu(event->thread));
	if (le32_to_cpu(event->size) > TRACE_SIZE_MAX)
		return replay_refuse(fault, -EBADMSG, offset,
				     "event %llu: size %u is over %u", index,
				     le32_to_cpu(event->size), TRACE_SIZE_MAX);
	if (id >= trace->nr_ids || id > totals->nr_ids ||
	    (id == totals->nr_ids && event->op != TRACE_ALLOC))
		return replay_refuse(fault, -EBADMSG, offset,
				     "event %llu: id %u out of range", index, id);
	if (event->op == TRACE_ALLOC)
		return replay_refuse(fault, -EBADMSG, offset,
				     "event %llu: alloc of id %u, which is allocated",
				     index, id);
	if (!trace->slots[id].ptr)
		return replay_refuse(fault, -EBADMSG, offset,
				     "event %llu: %s of id %u, which is free", index,
				     event->op == TRACE_FREE ? "free" : "realloc",
				     id);
	return replay_refuse(fault, -EBADMSG, offset,
			     "event %llu: free with a size", index);
}

static bool event_fields_are_sane(const struct replay_trace *trace,
				  const struct trace_event *event)
{
	return le16_to_cpu(event->thread) < le32_to_cpu(trace->header.nr_threads) &&
	       le32_to_cpu(event->size) <= TRACE_SIZE_MAX &&
	       le32_to_cpu(event->id) < trace->nr_ids &&
	       !(event->flags & ~TRACE_EVENT_FLAGS_ALL) &&
	       (!event->flags || event->op == TRACE_ALLOC);
}

/* Follows one event; false if it breaks a rule. */
static bool follow_event(struct replay_trace *trace, u64 index,
			 struct totals *totals)
{
	const struct trace_event *event = &trace->events[index];
	u32 id = le32_to_cpu(event->id), size = le32_to_cpu(event->size);
	struct replay_slot *slot;

	if (!event_fields_are_sane(trace, event))
		return false;
	slot = &trace->slots[id];
	switch (event->op) {
	case TRACE_ALLOC:
		if (slot->ptr || id > totals->nr_ids)
			return false;
		totals->nr_ids += id == totals->nr_ids;
		totals->nr_allocs++;
		slot->ptr = IN_USE;
		break;
	case TRACE_REALLOC:
		if (!slot->ptr)
			return false;
		totals->nr_reallocs++;
		break;
	case TRACE_FREE:
		if (!slot->ptr || size)
			return false;
		totals->nr_frees++;
		slot->ptr = NULL;
		break;
	default:
		return false;
	}
	totals->live_bytes += (s64)size - slot->size;
	slot->size = size;
	return true;
}

static void add_to_totals(struct replay_trace *trace, u64 index,
			  struct totals *totals)
{
	const struct trace_event *event = &trace->events[index];
	u32 size = le32_to_cpu(event->size);

	totals->nr_threads = max(totals->nr_threads,
				 le16_to_cpu(event->thread) + 1U);
	totals->total_bytes += size;
	totals->max_size = max_t(u64, totals->max_size, size);
	if (totals->live_bytes > totals->peak_bytes) {
		totals->peak_bytes = totals->live_bytes;
		totals->peak_event = index;
		totals->peak_live = totals->nr_allocs - totals->nr_frees;
	}
}

static int follow_events(struct replay_trace *trace, struct totals *totals,
			 struct replay_fault *fault)
{
	u64 index;

	for (index = 0; index < trace->nr_events; index++) {
		if (!follow_event(trace, index, totals))
			return refuse_event(trace, index, totals, fault);
		add_to_totals(trace, index, totals);
		if (index % 4096)
			continue;
		cond_resched();
		if (signal_pending(current))
			return replay_refuse(fault, -EINTR, 0,
					     "interrupted while verifying");
	}
	return 0;
}

static int compare_count(u64 announced, u64 found, size_t offset,
			 const char *name, struct replay_fault *fault)
{
	if (announced == found)
		return 0;
	return replay_refuse(fault, -EBADMSG, offset,
			     "%s is %llu, but the events say %llu", name,
			     announced, found);
}

#define COMPARE(bits, field, value)					\
	compare_count(le##bits##_to_cpu(header->field), value, FIELD(field), \
		      #field, fault)

static int compare_totals(const struct trace_header *header,
			  const struct totals *totals,
			  struct replay_fault *fault)
{
	int err;

	err = COMPARE(32, nr_ids, totals->nr_ids);
	err = err ?: COMPARE(32, nr_threads, totals->nr_threads);
	err = err ?: COMPARE(64, nr_allocs, totals->nr_allocs);
	err = err ?: COMPARE(64, nr_reallocs, totals->nr_reallocs);
	err = err ?: COMPARE(64, nr_frees, totals->nr_frees);
	err = err ?: COMPARE(64, peak_bytes, totals->peak_bytes);
	err = err ?: COMPARE(64, peak_event, totals->peak_event);
	err = err ?: COMPARE(64, peak_live, totals->peak_live);
	err = err ?: COMPARE(64, end_bytes, totals->live_bytes);
	err = err ?: COMPARE(64, end_live,
			     totals->nr_allocs - totals->nr_frees);
	err = err ?: COMPARE(64, max_size, totals->max_size);
	err = err ?: COMPARE(64, total_bytes, totals->total_bytes);
	return err;
}

/* CRC-32 of the whole file, its own field taken as zero. */
static int check_crc(const struct replay_trace *trace,
		     struct replay_fault *fault)
{
	const size_t after = TRACE_CRC_OFFSET + sizeof(__le32);
	const __le32 zero = 0;
	u32 crc = ~0U;

	crc = crc32_le(crc, trace->data, TRACE_CRC_OFFSET);
	crc = crc32_le(crc, (const u8 *)&zero, sizeof(zero));
	crc = ~crc32_le(crc, trace->data + after, trace->size - after);
	if (crc == le32_to_cpu(trace->header.crc32))
		return 0;
	return replay_refuse(fault, -EBADMSG, TRACE_CRC_OFFSET,
			     "crc32 differs: the file was damaged");
}

static int verify(struct replay_trace *trace, struct replay_fault *fault)
{
	struct totals totals = {};
	int err;

	err = follow_events(trace, &totals, fault);
	err = err ?: compare_totals(&trace->header, &totals, fault);
	err = err ?: check_crc(trace, fault);
	if (err)
		return err;
	memset(trace->slots, 0,
	       array_size(trace->nr_ids, sizeof(*trace->slots)));
	trace->verified = true;
	return 0;
}

static int fill_header(struct replay_trace *trace, const char __user **buf,
		       size_t *len)
{
	size_t part = min_t(u64, *len, sizeof(trace->header) - trace->nr_filled);

	if (copy_from_user((u8 *)&trace->header + trace->nr_filled, *buf, part))
		return -EFAULT;
	trace->nr_filled += part;
	*buf += part;
	*len -= part;
	return 0;
}

/**
 * replay_trace_write() - take in the next part of a trace
 * @trace: the trace
 * @buf: the bytes, in user space
 * @len: number of bytes
 * @max_bytes: most bytes of events that are accepted
 * @fault: filled in when the trace is refused
 *
 * The last part starts the verification of the whole.
 *
 * Context: Process context. May sleep.
 * Return: 0 or -errno; after an error only replay_trace_drop() may follow.
 */
int replay_trace_write(struct replay_trace *trace, const char __user *buf,
		       size_t len, u64 max_bytes, struct replay_fault *fault)
{
	int err;

	if (trace->nr_filled < sizeof(trace->header)) {
		if (fill_header(trace, &buf, &len))
			return replay_refuse(fault, -EFAULT, trace->nr_filled,
					     "bad address");
		if (trace->nr_filled < sizeof(trace->header))
			return 0;
		err = accept_header(trace, max_bytes, fault);
		if (err)
			return err;
	}
	if (len > trace->size - trace->nr_filled)
		return replay_refuse(fault, -EFBIG, trace->size,
				     "bytes after the last event");
	if (copy_from_user(trace->data + trace->nr_filled, buf, len))
		return replay_refuse(fault, -EFAULT, trace->nr_filled,
				     "bad address");
	trace->nr_filled += len;
	if (trace->nr_filled == trace->size && len)
		return verify(trace, fault);
	return 0;
}
