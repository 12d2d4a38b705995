/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A heap: one member a layer, each declared by its layer in a part.h. There is
 * nothing but data in these headers, and every layer knows where its own is; it
 * looks at its own member and at those of the layers below, and no further,
 * which scripts/layers.py sees to.
 */
#ifndef _KHEAP_HEAP_H
#define _KHEAP_HEAP_H

#include <linux/cache.h>
#include <linux/spinlock.h>

#include "base/part.h"
#include "block/part.h"
#include "gc/part.h"
#include "object/part.h"
#include "raw/part.h"
#include "show/part.h"
#include "watch/part.h"

/**
 * struct kheap_limit_part - what a heap does at its limit, see limit.c
 * @on_limit: asked before a request over the limit is refused; or NULL
 * @ctx: for @on_limit
 * @lock: of @calls
 * @calls: calls of @on_limit that are under way
 */
struct kheap_limit_part {
	bool (*on_limit)(void *ctx, size_t bytes, gfp_t gfp);
	void *ctx;
	raw_spinlock_t lock;
	struct list_head calls;
};

/**
 * struct kheap - everything one client owns
 * @block: its classes; first, for the fast paths
 * @limit: what happens at its limit; here, where it fills the line before @base
 * @base: its account, its refusals, its work, its name
 * @raw: its arenas and large blocks
 * @object: its objects
 * @gc: its collector's settings
 * @watch: who watches it
 * @show: where it is shown
 *
 * With what a debugging kernel adds left out, it fits in the 2048 bytes that
 * kmalloc gives for it.
 */
struct kheap {
	struct kheap_block_part block;
	struct kheap_limit_part limit;
	struct kheap_base_part base ____cacheline_aligned_in_smp;
	struct kheap_raw_part raw;
	struct kheap_object_part object;
	struct kheap_gc_part gc;
	struct kheap_watch_part watch;
	struct kheap_show_part show;
};

#endif /* _KHEAP_HEAP_H */
