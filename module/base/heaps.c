// SPDX-License-Identifier: GPL-2.0
/*
 * The list of heaps, the names in it, and when a heap's maintenance work runs.
 */
#include <linux/ctype.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "base/base.h"

/* How often idle caches and pools are looked for, while there may be some. */
#define IDLE_INTERVAL	(2 * HZ)

DEFINE_MUTEX(kheap_list_lock);
LIST_HEAD(kheap_list);
DEFINE_RAW_SPINLOCK(kheap_list_raw);

/* Is @name fit for a heap, a cache or a type, and as a file's name? */
bool kheap_name_valid(const char *name)
{
	size_t len;

	if (!name || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (len = 0; name[len]; len++)
		if (len == KHEAP_NAME_MAX ||
		    !(isascii(name[len]) && (isalnum(name[len]) ||
					     strchr("_.-", name[len]))))
			return false;
	return len;
}

/* Have the maintenance work run as soon as may be. Any context except NMI. */
void kheap_maint_now(struct kheap *heap)
{
	mod_delayed_work(kheap_unbound_wq, &heap->base.maint, 0);
}

/*
 * Have it look for what is idle in a while. Cheap when it is to already: then
 * it has yet to look, and will see what the caller did before.
 */
void kheap_maint_later(struct kheap *heap)
{
	smp_mb(); /* Pairs with maint(): a cache that is awake, then the flag. */
	if (READ_ONCE(heap->base.maint_armed))
		return;
	WRITE_ONCE(heap->base.maint_armed, true);
	queue_delayed_work(kheap_unbound_wq, &heap->base.maint, IDLE_INTERVAL);
}
