// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints of objects themselves, and what enabling some of them switches.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "object/object.h"

#define CREATE_TRACE_POINTS
#include "object/trace.h"

/* Creation is on the fast paths, which a watched heap has none of. */
int kheap_trace_objects(void)
{
	kheap_watch_everything(true);
	return 0;
}

void kheap_trace_no_objects(void)
{
	kheap_watch_everything(false);
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

/*
 * A reference was taken, the caller's to @obj; of a dead one that somebody gave a
 * count, there is nothing to tell.
 */
void kheap_trace_get(const struct kheap_object *obj)
{
	if (likely(!kheap_object_is_gone(obj)))
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
