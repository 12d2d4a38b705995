// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints themselves, and what the inline functions of the public
 * header call while they are enabled.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>

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

/* What kheap_object_get() and the like call after they took a reference. */
void __kheap_trace_get(const struct kheap_object *obj)
{
	trace_kheap_object_get(obj->type, obj, kheap_refs(obj),
			       kheap_client_ip(_RET_IP_));
}
EXPORT_SYMBOL_GPL(__kheap_trace_get);

/*
 * What kheap_object_put() calls before it drops one: after that, the object can
 * be gone. One that is dead has no type: it is refused, which is an event too.
 */
void __kheap_trace_put(const struct kheap_object *obj)
{
	if (kheap_refs(obj) > 0)
		trace_kheap_object_put(obj->type, obj, kheap_refs(obj) - 1,
				       kheap_client_ip(_RET_IP_));
}
EXPORT_SYMBOL_GPL(__kheap_trace_put);

EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_object_get);
EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_object_put);
