/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of what only happens to watched heaps, or ends with a heap.
 *
 * Enabling kheap_alloc or kheap_free puts all heaps under watch (see watch.c);
 * the fast paths have no instruction for them.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kheap

#if !defined(_KHEAP_WATCH_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _KHEAP_WATCH_TRACE_H

#include <linux/tracepoint.h>
#include <trace/events/mmflags.h>

#include "watch/watch.h"

#ifndef KHEAP_WATCH_TRACE_ONCE
#define KHEAP_WATCH_TRACE_ONCE

int kheap_trace_watch(void);
void kheap_trace_unwatch(void);

#endif

TRACE_EVENT_FN(kheap_alloc,
	TP_PROTO(const struct kheap_class *class, const void *ptr,
		 size_t bytes_req, gfp_t gfp, bool fast, u64 ns,
		 unsigned long call_site),
	TP_ARGS(class, ptr, bytes_req, gfp, fast, ns, call_site),
	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(const void *, ptr)
		__field(size_t, bytes_req)
		__field(size_t, bytes_alloc)
		__field(u64, ns)
		__field(unsigned long, gfp)
		__field(int, node)
		__field(int, fast)
		__string(heap, class->heap->base.name)
		__string(cache, class->name ?: "")
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = ptr;
		__entry->bytes_req = bytes_req;
		__entry->bytes_alloc = class->size;
		__entry->ns = ns;
		__entry->gfp = (__force unsigned long)gfp;
		__entry->node = kheap_block_pool(ptr)->arena->set->node;
		__entry->fast = fast;
		kheap_assign_str(heap, class->heap->base.name);
		kheap_assign_str(cache, class->name ?: "");
	),
	TP_printk("heap=%s cache=%s ptr=%p bytes_req=%zu bytes_alloc=%zu gfp=%s node=%d path=%s ns=%llu call_site=%pS",
		  __get_str(heap), __get_str(cache), __entry->ptr,
		  __entry->bytes_req, __entry->bytes_alloc,
		  show_gfp_flags(__entry->gfp), __entry->node,
		  __entry->fast ? "fast" : "slow", __entry->ns,
		  (void *)__entry->call_site),
	kheap_trace_watch, kheap_trace_unwatch
);

TRACE_EVENT_FN(kheap_free,
	TP_PROTO(const struct kheap_class *class, const void *ptr,
		 unsigned long call_site),
	TP_ARGS(class, ptr, call_site),
	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(const void *, ptr)
		__field(size_t, bytes_alloc)
		__field(int, node)
		__string(heap, class->heap->base.name)
		__string(cache, class->name ?: "")
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = ptr;
		__entry->bytes_alloc = class->size;
		__entry->node = kheap_block_pool(ptr)->arena->set->node;
		kheap_assign_str(heap, class->heap->base.name);
		kheap_assign_str(cache, class->name ?: "");
	),
	TP_printk("heap=%s cache=%s ptr=%p bytes_alloc=%zu node=%d call_site=%pS",
		  __get_str(heap), __get_str(cache), __entry->ptr,
		  __entry->bytes_alloc, __entry->node,
		  (void *)__entry->call_site),
	kheap_trace_watch, kheap_trace_unwatch
);

TRACE_EVENT(kheap_heap_destroy,
	TP_PROTO(const struct kheap *heap, unsigned long nr_blocks,
		 size_t bytes, unsigned long call_site),
	TP_ARGS(heap, nr_blocks, bytes, call_site),
	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(unsigned long, nr_blocks)
		__field(size_t, bytes)
		__string(heap, heap->base.name)
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->nr_blocks = nr_blocks;
		__entry->bytes = bytes;
		kheap_assign_str(heap, heap->base.name);
	),
	TP_printk("heap=%s nr_blocks=%lu bytes=%zu call_site=%pS",
		  __get_str(heap), __entry->nr_blocks, __entry->bytes,
		  (void *)__entry->call_site)
);

#endif /* _KHEAP_WATCH_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH watch
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
