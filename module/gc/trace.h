/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of the collector.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kheap

#if !defined(_KHEAP_GC_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _KHEAP_GC_TRACE_H

#include <linux/tracepoint.h>

#include "gc/gc.h"

#ifndef KHEAP_GC_TRACE_ONCE
#define KHEAP_GC_TRACE_ONCE

enum kheap_gc_phase {
	KHEAP_GC_PHASE_GATHER,
	KHEAP_GC_PHASE_TRIAL,
	KHEAP_GC_PHASE_VERIFY,
	KHEAP_GC_PHASE_CLEAR,
	NR_KHEAP_GC_PHASES
};

#endif

TRACE_DEFINE_ENUM(KHEAP_GC_PHASE_GATHER);
TRACE_DEFINE_ENUM(KHEAP_GC_PHASE_TRIAL);
TRACE_DEFINE_ENUM(KHEAP_GC_PHASE_VERIFY);
TRACE_DEFINE_ENUM(KHEAP_GC_PHASE_CLEAR);

#define show_kheap_gc_phase(phase)					\
	__print_symbolic(phase,						\
			 { KHEAP_GC_PHASE_GATHER, "gather" },		\
			 { KHEAP_GC_PHASE_TRIAL, "trial" },		\
			 { KHEAP_GC_PHASE_VERIFY, "verify" },		\
			 { KHEAP_GC_PHASE_CLEAR, "clear" })

TRACE_EVENT(kheap_gc_start,
	TP_PROTO(const struct kheap *heap, unsigned long run, bool full,
		 unsigned long nr_pending),
	TP_ARGS(heap, run, full, nr_pending),
	TP_STRUCT__entry(
		__field(unsigned long, run)
		__field(unsigned long, nr_pending)
		__field(int, full)
		__string(heap, heap->base.name)
	),
	TP_fast_assign(
		__entry->run = run;
		__entry->nr_pending = nr_pending;
		__entry->full = full;
		kheap_assign_str(heap, heap->base.name);
	),
	TP_printk("heap=%s run=%lu full=%d nr_pending=%lu", __get_str(heap),
		  __entry->run, __entry->full, __entry->nr_pending)
);

TRACE_EVENT(kheap_gc_phase,
	TP_PROTO(const struct kheap *heap, unsigned long run,
		 enum kheap_gc_phase phase, unsigned long nr, u64 ns),
	TP_ARGS(heap, run, phase, nr, ns),
	TP_STRUCT__entry(
		__field(unsigned long, run)
		__field(unsigned long, nr)
		__field(u64, ns)
		__field(int, phase)
		__string(heap, heap->base.name)
	),
	TP_fast_assign(
		__entry->run = run;
		__entry->nr = nr;
		__entry->ns = ns;
		__entry->phase = phase;
		kheap_assign_str(heap, heap->base.name);
	),
	TP_printk("heap=%s run=%lu phase=%s nr=%lu ns=%llu", __get_str(heap),
		  __entry->run,
		  show_kheap_gc_phase(__entry->phase),
		  __entry->nr, __entry->ns)
);

TRACE_EVENT(kheap_gc_verdict,
	TP_PROTO(const struct kheap *heap, unsigned long run, unsigned long nr,
		 bool committed),
	TP_ARGS(heap, run, nr, committed),
	TP_STRUCT__entry(
		__field(unsigned long, run)
		__field(unsigned long, nr)
		__field(int, committed)
		__string(heap, heap->base.name)
	),
	TP_fast_assign(
		__entry->run = run;
		__entry->nr = nr;
		__entry->committed = committed;
		kheap_assign_str(heap, heap->base.name);
	),
	TP_printk("heap=%s run=%lu nr=%lu verdict=%s", __get_str(heap),
		  __entry->run, __entry->nr,
		  __entry->committed ? "garbage" : "rejected")
);

TRACE_EVENT(kheap_gc_end,
	TP_PROTO(const struct kheap *heap, unsigned long run,
		 const struct kheap_gc_stats *stats, bool given_up),
	TP_ARGS(heap, run, stats, given_up),
	TP_STRUCT__entry(
		__field(unsigned long, run)
		__field(unsigned long, nr_visited)
		__field(unsigned long, nr_suspects)
		__field(unsigned long, nr_rescued)
		__field(unsigned long, nr_dropped)
		__field(unsigned long, nr_rejected)
		__field(unsigned long, nr_reclaimed)
		__field(unsigned long, nr_uncollectable)
		__field(u64, ns)
		__field(int, given_up)
		__string(heap, heap->base.name)
	),
	TP_fast_assign(
		__entry->run = run;
		__entry->nr_visited = stats->nr_visited;
		__entry->nr_suspects = stats->nr_suspects;
		__entry->nr_rescued = stats->nr_rescued;
		__entry->nr_dropped = stats->nr_dropped;
		__entry->nr_rejected = stats->nr_rejected;
		__entry->nr_reclaimed = stats->nr_reclaimed;
		__entry->nr_uncollectable = stats->nr_uncollectable;
		__entry->ns = stats->gather_ns + stats->trial_ns +
			      stats->verify_ns + stats->clear_ns;
		__entry->given_up = given_up;
		kheap_assign_str(heap, heap->base.name);
	),
	TP_printk("heap=%s run=%lu nr_visited=%lu nr_suspects=%lu nr_rescued=%lu nr_dropped=%lu nr_rejected=%lu nr_reclaimed=%lu nr_uncollectable=%lu ns=%llu given_up=%d",
		  __get_str(heap), __entry->run, __entry->nr_visited,
		  __entry->nr_suspects, __entry->nr_rescued,
		  __entry->nr_dropped, __entry->nr_rejected,
		  __entry->nr_reclaimed, __entry->nr_uncollectable,
		  __entry->ns, __entry->given_up)
);

#endif /* _KHEAP_GC_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH gc
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
