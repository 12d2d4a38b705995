/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of refusals and failures.
 * Each layer has the events of its own, all of the system "kheap".
 * Documentation/tracing.rst says of each when it fires and what its fields are.
 * They are where requests are slow anyway, a no-op each while disabled.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kheap

#if !defined(_KHEAP_BASE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _KHEAP_BASE_TRACE_H

#include <linux/tracepoint.h>
#include <trace/events/mmflags.h>

#include "base/base.h"

TRACE_EVENT(kheap_refuse,
	TP_PROTO(const char *heap, const char *reason, const void *ptr,
		 unsigned long call_site),
	TP_ARGS(heap, reason, ptr, call_site),
	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(const void *, ptr)
		__string(heap, heap)
		__string(reason, reason)
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = ptr;
		kheap_assign_str(heap, heap);
		kheap_assign_str(reason, reason);
	),
	TP_printk("heap=%s reason=%s ptr=%p call_site=%pS", __get_str(heap),
		  __get_str(reason), __entry->ptr, (void *)__entry->call_site)
);

TRACE_EVENT(kheap_fail,
	TP_PROTO(const struct kheap *heap, size_t bytes, gfp_t gfp,
		 unsigned long call_site),
	TP_ARGS(heap, bytes, gfp, call_site),
	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(size_t, bytes)
		__field(unsigned long, gfp)
		__string(heap, heap->base.name)
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->bytes = bytes;
		__entry->gfp = (__force unsigned long)gfp;
		kheap_assign_str(heap, heap->base.name);
	),
	TP_printk("heap=%s bytes=%zu gfp=%s call_site=%pS", __get_str(heap),
		  __entry->bytes, show_gfp_flags(__entry->gfp),
		  (void *)__entry->call_site)
);

#endif /* _KHEAP_BASE_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH base
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
