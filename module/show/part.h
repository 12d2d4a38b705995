/* SPDX-License-Identifier: GPL-2.0 */
/* What a heap has for what is shown of it, show/. */
#ifndef _KHEAP_SHOW_PART_H
#define _KHEAP_SHOW_PART_H

struct dentry;

/**
 * struct kheap_show_part - where a heap is shown
 * @dir: debugfs folder
 */
struct kheap_show_part {
	struct dentry *dir;
};

#endif /* _KHEAP_SHOW_PART_H */
