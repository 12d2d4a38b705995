/* SPDX-License-Identifier: GPL-2.0 */
/* What a heap has for the lowest layer, base/. */
#ifndef _KHEAP_BASE_PART_H
#define _KHEAP_BASE_PART_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>
#include <kheap/kheap.h>

/* Why a request was refused; the names are in refuse.c. */
enum kheap_refusal {
	KHEAP_BAD_FOREIGN,	/* not an address of any heap's block */
	KHEAP_BAD_INNER,	/* points into a block or behind the last one */
	KHEAP_BAD_FREED,	/* block is free: second free, or never given */
	KHEAP_BAD_HEAP,		/* block of another heap */
	KHEAP_BAD_CACHE,	/* block of another cache or type */
	KHEAP_BAD_LINK,		/* a free block was written to */
	KHEAP_BAD_GFP,		/* zone flags, or zeroing with a constructor */
	KHEAP_BAD_SIZE,		/* no allocation can be that large */
	KHEAP_BAD_LIMIT,	/* the heap's limit */
	KHEAP_BAD_DEAD,		/* get or put of a dead object */
	KHEAP_BAD_OVERFLOW,	/* an object's reference count is full */
	KHEAP_BAD_TYPE,		/* end of a type with live objects */
	KHEAP_BAD_CONTEXT,	/* a call that is not for callbacks */
	KHEAP_BAD_GUARD,	/* guard bytes were written to */
	KHEAP_BAD_POISON,	/* dead bytes were written to */
	NR_KHEAP_REFUSALS
};

/* Places of bad requests that a heap remembers. */
#define KHEAP_NR_SITES		32

/* Why the allocations and frees of a heap are looked at, see watch/watch.c. */
enum kheap_watch {
	KHEAP_WATCH_TRACE	= 1U << 0,	/* a tracepoint wants them */
	KHEAP_WATCH_CALLSITES	= 1U << 1,	/* call sites are recorded */
	KHEAP_WATCH_DEBUG	= 1U << 2,	/* blocks are guarded */
	KHEAP_WATCH_INJECT	= 1U << 3,	/* failures are injected */
};

/**
 * struct kheap_base_part - a heap's account, its refusals, work, and name
 * @held_bytes: charged against the limit: held, or being asked for
 * @peak_bytes: highest @held_bytes
 * @metadata_bytes: descriptors, arrays, the heap's structure
 * @nr_failed: allocations that failed
 * @nr_refused: by reason
 * @sites: where requests were refused and why, hashed; 0 for none
 * @mutex: lock 2
 * @maint: work that does what could not be done where it arose, and looks
 *	for idle per-CPU caches and empty pools
 * @maint_armed: @maint will look for what is idle in a while
 * @flags: bits of &enum kheap_flags
 * @watch: bits of &enum kheap_watch; under lock 6
 * @limit_bytes: most bytes held, 0 for no limit
 * @list: in kheap_list
 * @creator: the function in the client that created the heap
 * @name: its name
 *
 * What is written to often comes first, in lines of its own.
 */
struct kheap_base_part {
	atomic_long_t held_bytes;
	atomic_long_t peak_bytes;
	atomic_long_t metadata_bytes;
	atomic_long_t nr_failed;
	atomic_long_t nr_refused[NR_KHEAP_REFUSALS];
	atomic_long_t sites[KHEAP_NR_SITES];

	struct mutex mutex;
	struct delayed_work maint;
	bool maint_armed;

	unsigned int flags;
	unsigned int watch;
	size_t limit_bytes;
	struct list_head list;
	char creator[64];
	char name[KHEAP_NAME_MAX + 1];
};

#endif /* _KHEAP_BASE_PART_H */
