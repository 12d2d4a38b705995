/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of runs of blocks, and of frees after a grace period.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kheap

#if !defined(_KHEAP_BLOCK_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _KHEAP_BLOCK_TRACE_H

#include <linux/tracepoint.h>

#include "block/block.h"

#ifndef KHEAP_BLOCK_TRACE_ONCE
#define KHEAP_BLOCK_TRACE_ONCE

/* Where a run of free blocks came from, or went. */
enum kheap_run_place {
	KHEAP_RUN_POOLS,
	KHEAP_RUN_DEPOT,
	NR_KHEAP_RUN_PLACES
};

#endif

TRACE_DEFINE_ENUM(KHEAP_RUN_POOLS);
TRACE_DEFINE_ENUM(KHEAP_RUN_DEPOT);

#define show_kheap_run_place(place)					\
	__print_symbolic(place,						\
			 { KHEAP_RUN_POOLS, "pools" },			\
			 { KHEAP_RUN_DEPOT, "depot" })

TRACE_EVENT(kheap_free_rcu,
	TP_PROTO(const struct kheap *heap, const void *ptr,
		 unsigned long call_site),
	TP_ARGS(heap, ptr, call_site),
	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(const void *, ptr)
		__string(heap, heap->base.name)
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = ptr;
		kheap_assign_str(heap, heap->base.name);
	),
	TP_printk("heap=%s ptr=%p call_site=%pS", __get_str(heap),
		  __entry->ptr, (void *)__entry->call_site)
);

DECLARE_EVENT_CLASS(kheap_run,
	TP_PROTO(const struct kheap_class *class, unsigned int nr, int node,
		 enum kheap_run_place place),
	TP_ARGS(class, nr, node, place),
	TP_STRUCT__entry(
		__field(unsigned int, size)
		__field(unsigned int, nr)
		__field(int, node)
		__field(int, place)
		__string(heap, class->heap->base.name)
		__string(cache, class->name ?: "")
	),
	TP_fast_assign(
		__entry->size = class->size;
		__entry->nr = nr;
		__entry->node = node;
		__entry->place = place;
		kheap_assign_str(heap, class->heap->base.name);
		kheap_assign_str(cache, class->name ?: "");
	),
	TP_printk("heap=%s cache=%s size=%u nr=%u node=%d place=%s",
		  __get_str(heap), __get_str(cache), __entry->size,
		  __entry->nr, __entry->node,
		  show_kheap_run_place(__entry->place))
);

DEFINE_EVENT(kheap_run, kheap_refill,
	TP_PROTO(const struct kheap_class *class, unsigned int nr, int node,
		 enum kheap_run_place place),
	TP_ARGS(class, nr, node, place)
);

DEFINE_EVENT(kheap_run, kheap_drain,
	TP_PROTO(const struct kheap_class *class, unsigned int nr, int node,
		 enum kheap_run_place place),
	TP_ARGS(class, nr, node, place)
);

#endif /* _KHEAP_BLOCK_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH block
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
