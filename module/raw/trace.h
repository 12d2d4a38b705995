/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of arenas, of the states of pools, and of large blocks.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kheap

#if !defined(_KHEAP_RAW_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _KHEAP_RAW_TRACE_H

#include <linux/tracepoint.h>
#include <trace/events/mmflags.h>

#include "raw/raw.h"

TRACE_DEFINE_ENUM(KHEAP_POOL_HOLE);
TRACE_DEFINE_ENUM(KHEAP_POOL_EMPTY);
TRACE_DEFINE_ENUM(KHEAP_POOL_MOVING);
TRACE_DEFINE_ENUM(KHEAP_POOL_USED);
TRACE_DEFINE_ENUM(KHEAP_POOL_FULL);
TRACE_DEFINE_ENUM(KHEAP_POOL_QUARANTINED);

#define show_kheap_pool_state(state)					\
	__print_symbolic(state,						\
			 { KHEAP_POOL_HOLE, "hole" },			\
			 { KHEAP_POOL_EMPTY, "empty" },			\
			 { KHEAP_POOL_MOVING, "moving" },		\
			 { KHEAP_POOL_USED, "used" },			\
			 { KHEAP_POOL_FULL, "full" },			\
			 { KHEAP_POOL_QUARANTINED, "quarantined" })

TRACE_EVENT(kheap_large_alloc,
	TP_PROTO(const struct kheap *heap, const void *ptr, size_t bytes_req,
		 size_t bytes_alloc, gfp_t gfp, u64 ns,
		 unsigned long call_site),
	TP_ARGS(heap, ptr, bytes_req, bytes_alloc, gfp, ns, call_site),
	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(const void *, ptr)
		__field(size_t, bytes_req)
		__field(size_t, bytes_alloc)
		__field(u64, ns)
		__field(unsigned long, gfp)
		__string(heap, heap->base.name)
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = ptr;
		__entry->bytes_req = bytes_req;
		__entry->bytes_alloc = bytes_alloc;
		__entry->ns = ns;
		__entry->gfp = (__force unsigned long)gfp;
		kheap_assign_str(heap, heap->base.name);
	),
	TP_printk("heap=%s ptr=%p bytes_req=%zu bytes_alloc=%zu gfp=%s ns=%llu call_site=%pS",
		  __get_str(heap), __entry->ptr, __entry->bytes_req,
		  __entry->bytes_alloc, show_gfp_flags(__entry->gfp),
		  __entry->ns, (void *)__entry->call_site)
);

TRACE_EVENT(kheap_large_free,
	TP_PROTO(const struct kheap *heap, const void *ptr, size_t bytes_alloc,
		 unsigned long call_site),
	TP_ARGS(heap, ptr, bytes_alloc, call_site),
	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(const void *, ptr)
		__field(size_t, bytes_alloc)
		__string(heap, heap->base.name)
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = ptr;
		__entry->bytes_alloc = bytes_alloc;
		kheap_assign_str(heap, heap->base.name);
	),
	TP_printk("heap=%s ptr=%p bytes_alloc=%zu call_site=%pS",
		  __get_str(heap), __entry->ptr, __entry->bytes_alloc,
		  (void *)__entry->call_site)
);

TRACE_EVENT(kheap_pool_state,
	TP_PROTO(const struct kheap_pool *pool, enum kheap_pool_state from,
		 enum kheap_pool_state to),
	TP_ARGS(pool, from, to),
	TP_STRUCT__entry(
		__field(const void *, base)
		__field(unsigned long, arena)
		__field(unsigned int, size)
		__field(unsigned int, nr_used)
		__field(int, from)
		__field(int, to)
		__string(heap, pool->arena->set->heap->base.name)
	),
	TP_fast_assign(
		__entry->base = pool->base;
		__entry->arena = pool->arena->serial;
		__entry->size = kheap_tenants->size(pool->class);
		__entry->nr_used = pool->nr_used;
		__entry->from = from;
		__entry->to = to;
		kheap_assign_str(heap, pool->arena->set->heap->base.name);
	),
	TP_printk("heap=%s arena=%lu base=%p size=%u nr_used=%u from=%s to=%s",
		  __get_str(heap), __entry->arena, __entry->base,
		  __entry->size, __entry->nr_used,
		  show_kheap_pool_state(__entry->from),
		  show_kheap_pool_state(__entry->to))
);

DECLARE_EVENT_CLASS(kheap_arena,
	TP_PROTO(const struct kheap_arena *arena),
	TP_ARGS(arena),
	TP_STRUCT__entry(
		__field(const void *, base)
		__field(unsigned long, arena)
		__field(unsigned int, nr_pages)
		__field(unsigned int, nr_holes)
		__field(unsigned int, span)
		__field(int, node)
		__string(heap, arena->set->heap->base.name)
	),
	TP_fast_assign(
		__entry->base = page_address(arena->page);
		__entry->arena = arena->serial;
		__entry->nr_pages = 1U << arena->order;
		__entry->nr_holes = arena->nr_holes;
		__entry->span = 1U << arena->set->span;
		__entry->node = arena->set->node;
		kheap_assign_str(heap, arena->set->heap->base.name);
	),
	TP_printk("heap=%s arena=%lu base=%p nr_pages=%u nr_holes=%u span=%u node=%d",
		  __get_str(heap), __entry->arena, __entry->base,
		  __entry->nr_pages, __entry->nr_holes, __entry->span,
		  __entry->node)
);

DEFINE_EVENT(kheap_arena, kheap_arena_new,
	TP_PROTO(const struct kheap_arena *arena),
	TP_ARGS(arena)
);

DEFINE_EVENT(kheap_arena, kheap_arena_release,
	TP_PROTO(const struct kheap_arena *arena),
	TP_ARGS(arena)
);

#endif /* _KHEAP_RAW_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH raw
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
