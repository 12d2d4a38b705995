/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of the system "kheap". Documentation/tracing.rst says of each
 * when it fires and what its fields are.
 *
 * Enabling kheap_alloc, kheap_free or kheap_object_new puts all heaps under
 * watch (see watch.c), and kheap_object_get and kheap_object_put have the inline
 * functions leave references to those out of line; the fast paths have no
 * instruction for them. The others are where requests are slow anyway, a no-op
 * each while they are disabled.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kheap

#if !defined(_KHEAP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _KHEAP_TRACE_H

#include <linux/tracepoint.h>
#include <trace/events/mmflags.h>

#include "gc/gc.h"

#ifndef KHEAP_TRACE_ONCE
#define KHEAP_TRACE_ONCE

/* Where a run of free blocks came from, or went. */
enum kheap_run_place {
	KHEAP_RUN_POOLS,
	KHEAP_RUN_DEPOT,
	NR_KHEAP_RUN_PLACES
};

enum kheap_gc_phase {
	KHEAP_GC_PHASE_GATHER,
	KHEAP_GC_PHASE_TRIAL,
	KHEAP_GC_PHASE_VERIFY,
	KHEAP_GC_PHASE_CLEAR,
	NR_KHEAP_GC_PHASES
};

int kheap_trace_watch(void);
void kheap_trace_unwatch(void);
int kheap_trace_gets(void);
void kheap_trace_no_gets(void);
int kheap_trace_puts(void);
void kheap_trace_no_puts(void);

#endif

TRACE_DEFINE_ENUM(KHEAP_POOL_HOLE);
TRACE_DEFINE_ENUM(KHEAP_POOL_EMPTY);
TRACE_DEFINE_ENUM(KHEAP_POOL_MOVING);
TRACE_DEFINE_ENUM(KHEAP_POOL_USED);
TRACE_DEFINE_ENUM(KHEAP_POOL_FULL);
TRACE_DEFINE_ENUM(KHEAP_POOL_QUARANTINED);
TRACE_DEFINE_ENUM(KHEAP_RUN_POOLS);
TRACE_DEFINE_ENUM(KHEAP_RUN_DEPOT);
TRACE_DEFINE_ENUM(KHEAP_GC_PHASE_GATHER);
TRACE_DEFINE_ENUM(KHEAP_GC_PHASE_TRIAL);
TRACE_DEFINE_ENUM(KHEAP_GC_PHASE_VERIFY);
TRACE_DEFINE_ENUM(KHEAP_GC_PHASE_CLEAR);

#define show_kheap_pool_state(state)					\
	__print_symbolic(state,						\
			 { KHEAP_POOL_HOLE, "hole" },			\
			 { KHEAP_POOL_EMPTY, "empty" },			\
			 { KHEAP_POOL_MOVING, "moving" },		\
			 { KHEAP_POOL_USED, "used" },			\
			 { KHEAP_POOL_FULL, "full" },			\
			 { KHEAP_POOL_QUARANTINED, "quarantined" })

#define show_kheap_run_place(place)					\
	__print_symbolic(place,						\
			 { KHEAP_RUN_POOLS, "pools" },			\
			 { KHEAP_RUN_DEPOT, "depot" })

#define show_kheap_gc_phase(phase)					\
	__print_symbolic(phase,						\
			 { KHEAP_GC_PHASE_GATHER, "gather" },		\
			 { KHEAP_GC_PHASE_TRIAL, "trial" },		\
			 { KHEAP_GC_PHASE_VERIFY, "verify" },		\
			 { KHEAP_GC_PHASE_CLEAR, "clear" })

/* --- Blocks ------------------------------------------------------------- */

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
		__string(heap, class->heap->name)
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
		kheap_assign_str(heap, class->heap->name);
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
		__string(heap, class->heap->name)
		__string(cache, class->name ?: "")
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = ptr;
		__entry->bytes_alloc = class->size;
		__entry->node = kheap_block_pool(ptr)->arena->set->node;
		kheap_assign_str(heap, class->heap->name);
		kheap_assign_str(cache, class->name ?: "");
	),
	TP_printk("heap=%s cache=%s ptr=%p bytes_alloc=%zu node=%d call_site=%pS",
		  __get_str(heap), __get_str(cache), __entry->ptr,
		  __entry->bytes_alloc, __entry->node,
		  (void *)__entry->call_site),
	kheap_trace_watch, kheap_trace_unwatch
);

TRACE_EVENT(kheap_free_rcu,
	TP_PROTO(const struct kheap *heap, const void *ptr,
		 unsigned long call_site),
	TP_ARGS(heap, ptr, call_site),
	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(const void *, ptr)
		__string(heap, heap->name)
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = ptr;
		kheap_assign_str(heap, heap->name);
	),
	TP_printk("heap=%s ptr=%p call_site=%pS", __get_str(heap),
		  __entry->ptr, (void *)__entry->call_site)
);

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
		__string(heap, heap->name)
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = ptr;
		__entry->bytes_req = bytes_req;
		__entry->bytes_alloc = bytes_alloc;
		__entry->ns = ns;
		__entry->gfp = (__force unsigned long)gfp;
		kheap_assign_str(heap, heap->name);
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
		__string(heap, heap->name)
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = ptr;
		__entry->bytes_alloc = bytes_alloc;
		kheap_assign_str(heap, heap->name);
	),
	TP_printk("heap=%s ptr=%p bytes_alloc=%zu call_site=%pS",
		  __get_str(heap), __entry->ptr, __entry->bytes_alloc,
		  (void *)__entry->call_site)
);

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
		__string(heap, heap->name)
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->bytes = bytes;
		__entry->gfp = (__force unsigned long)gfp;
		kheap_assign_str(heap, heap->name);
	),
	TP_printk("heap=%s bytes=%zu gfp=%s call_site=%pS", __get_str(heap),
		  __entry->bytes, show_gfp_flags(__entry->gfp),
		  (void *)__entry->call_site)
);

/* --- Runs of blocks, pools, arenas -------------------------------------- */

DECLARE_EVENT_CLASS(kheap_run,
	TP_PROTO(const struct kheap_class *class, unsigned int nr, int node,
		 enum kheap_run_place place),
	TP_ARGS(class, nr, node, place),
	TP_STRUCT__entry(
		__field(unsigned int, size)
		__field(unsigned int, nr)
		__field(int, node)
		__field(int, place)
		__string(heap, class->heap->name)
		__string(cache, class->name ?: "")
	),
	TP_fast_assign(
		__entry->size = class->size;
		__entry->nr = nr;
		__entry->node = node;
		__entry->place = place;
		kheap_assign_str(heap, class->heap->name);
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
		__string(heap, pool->arena->set->heap->name)
	),
	TP_fast_assign(
		const struct kheap_class *class = pool->class;

		__entry->base = pool->base;
		__entry->arena = pool->arena->serial;
		__entry->size = class == &kheap_cold_class ? 0 : class->size;
		__entry->nr_used = pool->nr_used;
		__entry->from = from;
		__entry->to = to;
		kheap_assign_str(heap, pool->arena->set->heap->name);
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
		__string(heap, arena->set->heap->name)
	),
	TP_fast_assign(
		__entry->base = page_address(arena->page);
		__entry->arena = arena->serial;
		__entry->nr_pages = 1U << arena->order;
		__entry->nr_holes = arena->nr_holes;
		__entry->span = 1U << arena->set->span;
		__entry->node = arena->set->node;
		kheap_assign_str(heap, arena->set->heap->name);
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

/* --- Heaps -------------------------------------------------------------- */

TRACE_EVENT(kheap_heap_destroy,
	TP_PROTO(const struct kheap *heap, unsigned long nr_blocks,
		 size_t bytes, unsigned long call_site),
	TP_ARGS(heap, nr_blocks, bytes, call_site),
	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(unsigned long, nr_blocks)
		__field(size_t, bytes)
		__string(heap, heap->name)
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->nr_blocks = nr_blocks;
		__entry->bytes = bytes;
		kheap_assign_str(heap, heap->name);
	),
	TP_printk("heap=%s nr_blocks=%lu bytes=%zu call_site=%pS",
		  __get_str(heap), __entry->nr_blocks, __entry->bytes,
		  (void *)__entry->call_site)
);

/* --- Objects ------------------------------------------------------------ */

DECLARE_EVENT_CLASS(kheap_object,
	TP_PROTO(const struct kheap_type *type, const struct kheap_object *obj,
		 int refs, unsigned long call_site),
	TP_ARGS(type, obj, refs, call_site),
	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(const void *, ptr)
		__field(int, refs)
		__string(heap, type->heap->name)
		__string(type, type->class.name)
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = obj;
		__entry->refs = refs;
		kheap_assign_str(heap, type->heap->name);
		kheap_assign_str(type, type->class.name);
	),
	TP_printk("heap=%s type=%s ptr=%p refs=%d call_site=%pS",
		  __get_str(heap), __get_str(type), __entry->ptr,
		  __entry->refs, (void *)__entry->call_site)
);

DEFINE_EVENT_FN(kheap_object, kheap_object_new,
	TP_PROTO(const struct kheap_type *type, const struct kheap_object *obj,
		 int refs, unsigned long call_site),
	TP_ARGS(type, obj, refs, call_site),
	kheap_trace_watch, kheap_trace_unwatch
);

DEFINE_EVENT_FN(kheap_object, kheap_object_get,
	TP_PROTO(const struct kheap_type *type, const struct kheap_object *obj,
		 int refs, unsigned long call_site),
	TP_ARGS(type, obj, refs, call_site),
	kheap_trace_gets, kheap_trace_no_gets
);

DEFINE_EVENT_FN(kheap_object, kheap_object_put,
	TP_PROTO(const struct kheap_type *type, const struct kheap_object *obj,
		 int refs, unsigned long call_site),
	TP_ARGS(type, obj, refs, call_site),
	kheap_trace_puts, kheap_trace_no_puts
);

DEFINE_EVENT(kheap_object, kheap_object_release,
	TP_PROTO(const struct kheap_type *type, const struct kheap_object *obj,
		 int refs, unsigned long call_site),
	TP_ARGS(type, obj, refs, call_site)
);

TRACE_EVENT(kheap_weakref_clear,
	TP_PROTO(const struct kheap_type *type, const struct kheap_object *obj,
		 unsigned long nr),
	TP_ARGS(type, obj, nr),
	TP_STRUCT__entry(
		__field(const void *, ptr)
		__field(unsigned long, nr)
		__field(int, garbage)
		__string(heap, type->heap->name)
		__string(type, type->class.name)
	),
	TP_fast_assign(
		__entry->ptr = obj;
		__entry->nr = nr;
		__entry->garbage = !!(READ_ONCE(obj->gc) & KHEAP_GC_GARBAGE);
		kheap_assign_str(heap, type->heap->name);
		kheap_assign_str(type, type->class.name);
	),
	TP_printk("heap=%s type=%s ptr=%p nr=%lu target=%s", __get_str(heap),
		  __get_str(type), __entry->ptr, __entry->nr,
		  __entry->garbage ? "garbage" : "dead")
);

/* --- The collector ------------------------------------------------------ */

TRACE_EVENT(kheap_gc_start,
	TP_PROTO(const struct kheap *heap, unsigned long run, bool full,
		 unsigned long nr_pending),
	TP_ARGS(heap, run, full, nr_pending),
	TP_STRUCT__entry(
		__field(unsigned long, run)
		__field(unsigned long, nr_pending)
		__field(int, full)
		__string(heap, heap->name)
	),
	TP_fast_assign(
		__entry->run = run;
		__entry->nr_pending = nr_pending;
		__entry->full = full;
		kheap_assign_str(heap, heap->name);
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
		__string(heap, heap->name)
	),
	TP_fast_assign(
		__entry->run = run;
		__entry->nr = nr;
		__entry->ns = ns;
		__entry->phase = phase;
		kheap_assign_str(heap, heap->name);
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
		__string(heap, heap->name)
	),
	TP_fast_assign(
		__entry->run = run;
		__entry->nr = nr;
		__entry->committed = committed;
		kheap_assign_str(heap, heap->name);
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
		__string(heap, heap->name)
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
		kheap_assign_str(heap, heap->name);
	),
	TP_printk("heap=%s run=%lu nr_visited=%lu nr_suspects=%lu nr_rescued=%lu nr_dropped=%lu nr_rejected=%lu nr_reclaimed=%lu nr_uncollectable=%lu ns=%llu given_up=%d",
		  __get_str(heap), __entry->run, __entry->nr_visited,
		  __entry->nr_suspects, __entry->nr_rescued,
		  __entry->nr_dropped, __entry->nr_rejected,
		  __entry->nr_reclaimed, __entry->nr_uncollectable,
		  __entry->ns, __entry->given_up)
);

#endif /* _KHEAP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH watch
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
