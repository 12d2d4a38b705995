/* SPDX-License-Identifier: GPL-2.0 */
/* What a heap has for objects, object/. */
#ifndef _KHEAP_OBJECT_PART_H
#define _KHEAP_OBJECT_PART_H

struct kheap_gc;

/**
 * struct kheap_object_part - a heap's objects
 * @gc: what they share, and the collector with them; NULL until there is a type
 */
struct kheap_object_part {
	struct kheap_gc *gc;
};

#endif /* _KHEAP_OBJECT_PART_H */
