// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints themselves, and what enabling some of them switches.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "object.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* Somebody enables one of the events that are on the fast paths. */
int kheap_trace_watch(void)
{
	kheap_watch_all(true);
	return 0;
}

void kheap_trace_unwatch(void)
{
	kheap_watch_all(false);
}

/* The inline functions of <kheap/object.h> leave everything to the others. */
int kheap_trace_gets(void)
{
	WRITE_ONCE(kheap_ref_masks.get, -1);
	WRITE_ONCE(kheap_ref_masks.tryget, -1);
	return 0;
}

void kheap_trace_no_gets(void)
{
	WRITE_ONCE(kheap_ref_masks.get, KHEAP_GET_MASK);
	WRITE_ONCE(kheap_ref_masks.tryget, KHEAP_TRYGET_MASK);
}

int kheap_trace_puts(void)
{
	WRITE_ONCE(kheap_ref_masks.put, 0);
	return 0;
}

void kheap_trace_no_puts(void)
{
	WRITE_ONCE(kheap_ref_masks.put, KHEAP_PUT_MASK);
}

/* A reference was taken, the caller's to @obj. */
void kheap_trace_get(const struct kheap_object *obj)
{
	trace_kheap_object_get(obj->type, obj, kheap_refs(obj),
			       kheap_client_ip(_RET_IP_));
}

/*
 * A reference is about to be dropped: after that, the object can be gone. One
 * that is dead has no type: it is refused, which is an event too.
 */
void kheap_trace_put(const struct kheap_object *obj)
{
	if (kheap_refs(obj) > 0)
		trace_kheap_object_put(obj->type, obj, kheap_refs(obj) - 1,
				       kheap_client_ip(_RET_IP_));
}
