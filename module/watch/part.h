/* SPDX-License-Identifier: GPL-2.0 */
/* What a heap has for who watches it, watch/. */
#ifndef _KHEAP_WATCH_PART_H
#define _KHEAP_WATCH_PART_H

#include <linux/atomic.h>
#include <linux/prandom.h>
#include <linux/spinlock.h>

struct kheap_callsites;

/**
 * struct kheap_inject_rule - which allocations are to fail
 * @nth: this one, counted from 1, and no other; 0: see @per_mille
 * @per_mille: each with this probability; 1000: every one
 * @seed: of the random numbers
 * @min: those of at least as many bytes
 * @max: and of at most as many; others are not counted
 */
struct kheap_inject_rule {
	unsigned long nth;
	unsigned long per_mille;
	unsigned long seed;
	unsigned long min;
	unsigned long max;
};

/**
 * struct kheap_inject - failures on demand, see inject.c
 * @lock: of all below, a leaf
 * @rule: which
 * @rnd: chance
 * @nr_seen: allocations of the sizes in question since the start
 * @nr_failed: those that were made to fail
 */
struct kheap_inject {
	raw_spinlock_t lock;
	struct kheap_inject_rule rule;
	struct rnd_state rnd;
	unsigned long nr_seen;
	unsigned long nr_failed;
};

/**
 * struct kheap_watch_part - who watches a heap, and how
 * @callsites: what is recorded about call sites, NULL while it is off
 * @secret: what the sums of debug records are made of
 * @inject: failures on demand
 * @debug: KHEAP_DEBUG_* of &enum kheap_flags, and %KHEAP_DEBUG_FIXED
 * @nr_debug: allocations of observed blocks, ever
 */
struct kheap_watch_part {
	struct kheap_callsites __rcu *callsites;
	unsigned long secret;
	struct kheap_inject inject;
	atomic_t debug;
	atomic_long_t nr_debug;
};

#endif /* _KHEAP_WATCH_PART_H */
