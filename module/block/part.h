/* SPDX-License-Identifier: GPL-2.0 */
/* What a heap has for blocks, block/. */
#ifndef _KHEAP_BLOCK_PART_H
#define _KHEAP_BLOCK_PART_H

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/irq_work.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <kheap/kheap.h>

struct kheap_class;
struct kheap_parked_word;

#define KHEAP_NR_CLASSES	(KHEAP_NR_SIZE_CLASSES + KHEAP_NR_MEDIUM_CLASSES)

/**
 * struct kheap_rcu_place - where the next sweep after a grace period begins
 * @set: number of the arena set
 * @serial: of the arena; 0: the first one
 * @pool: number of the pool in it
 */
struct kheap_rcu_place {
	unsigned int set;
	unsigned long serial;
	unsigned int pool;
};

/**
 * struct kheap_block_part - a heap's classes
 * @by_words: size classes by size in words of 8 bytes, rounded up, to 64; the
 *	medium ones behind them
 * @for_none: @by_words[0]: the same as @classes[0], for size 0
 * @classes: size classes by szidx; &kheap_cold_class until first used
 * @tag: the size classes' tag
 * @class_lock: lock 6
 * @class_list: all classes; RCU
 * @nmi_work: sees to blocks that were freed in NMI
 * @rcu_work: frees the blocks that wait for a grace period
 * @rcu_armed: @rcu_work will run
 * @rcu_mutex: one sweep at a time, none during a check; taken before lock 2
 * @rcu_place: where the next sweep of @rcu_work begins; under @rcu_mutex
 * @ripe_lock: of @ripe and @nr_ripe, a leaf
 * @ripe: words of blocks whose grace period is over
 * @nr_ripe: how many are left of them
 * @nr_reapers: those who free blocks of them, and the sweep
 * @reaped: for which the sweep waits when it is not the last one
 *
 * What the fast paths read comes first, and changes once for a size.
 */
struct kheap_block_part {
	union {
		struct kheap_class *by_words[KHEAP_NR_CLASSES + 1];
		struct {
			struct kheap_class *for_none;
			struct kheap_class *classes[KHEAP_NR_CLASSES];
		};
	};
	unsigned long tag;

	raw_spinlock_t class_lock;
	struct list_head class_list;
	struct irq_work nmi_work;
	struct delayed_work rcu_work;
	bool rcu_armed;
	struct mutex rcu_mutex;
	struct kheap_rcu_place rcu_place;
	raw_spinlock_t ripe_lock;
	const struct kheap_parked_word *ripe;
	unsigned int nr_ripe;
	atomic_t nr_reapers;
	struct completion reaped;
};

#endif /* _KHEAP_BLOCK_PART_H */
