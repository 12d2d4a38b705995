/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of objects and references.
 *
 * Enabling kheap_object_new puts all heaps under watch (see watch/watch.c), and
 * kheap_object_get and kheap_object_put have the inline functions leave
 * references to those out of line; the fast paths have no instruction for them.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kheap

#if !defined(_KHEAP_OBJECT_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _KHEAP_OBJECT_TRACE_H

#include <linux/tracepoint.h>

#include "object/object.h"

#ifndef KHEAP_OBJECT_TRACE_ONCE
#define KHEAP_OBJECT_TRACE_ONCE

int kheap_trace_objects(void);
void kheap_trace_no_objects(void);
int kheap_trace_gets(void);
void kheap_trace_no_gets(void);
int kheap_trace_puts(void);
void kheap_trace_no_puts(void);

#endif

DECLARE_EVENT_CLASS(kheap_object,
	TP_PROTO(const struct kheap_type *type, const struct kheap_object *obj,
		 int refs, unsigned long call_site),
	TP_ARGS(type, obj, refs, call_site),
	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(const void *, ptr)
		__field(int, refs)
		__string(heap, type->heap->base.name)
		__string(type, type->class.name)
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = obj;
		__entry->refs = refs;
		kheap_assign_str(heap, type->heap->base.name);
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
	kheap_trace_objects, kheap_trace_no_objects
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
		__string(heap, type->heap->base.name)
		__string(type, type->class.name)
	),
	TP_fast_assign(
		__entry->ptr = obj;
		__entry->nr = nr;
		__entry->garbage = !!(READ_ONCE(obj->gc) & KHEAP_GC_GARBAGE);
		kheap_assign_str(heap, type->heap->base.name);
		kheap_assign_str(type, type->class.name);
	),
	TP_printk("heap=%s type=%s ptr=%p nr=%lu target=%s", __get_str(heap),
		  __get_str(type), __entry->ptr, __entry->nr,
		  __entry->garbage ? "garbage" : "dead")
);

#endif /* _KHEAP_OBJECT_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH object
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
