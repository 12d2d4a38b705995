/* SPDX-License-Identifier: GPL-2.0 */
/* What a heap has for blocks, block/. */
#ifndef _KHEAP_BLOCK_PART_H
#define _KHEAP_BLOCK_PART_H

#include <linux/irq_work.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <kheap/kheap.h>

struct kheap_class;

#define KHEAP_NR_CLASSES	(KHEAP_NR_SIZE_CLASSES + KHEAP_NR_MEDIUM_CLASSES)

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
};

#endif /* _KHEAP_BLOCK_PART_H */
