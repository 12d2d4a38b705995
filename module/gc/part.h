/* SPDX-License-Identifier: GPL-2.0 */
/* What a heap has for the collector, gc/, before there is one. */
#ifndef _KHEAP_GC_PART_H
#define _KHEAP_GC_PART_H

#include <linux/types.h>

/**
 * struct kheap_gc_part - the settings of a heap's collector
 * @off: it does not run by itself
 * @threshold: candidates that make it run
 */
struct kheap_gc_part {
	bool off;
	unsigned long threshold;
};

#endif /* _KHEAP_GC_PART_H */
