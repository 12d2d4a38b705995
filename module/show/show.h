/* SPDX-License-Identifier: GPL-2.0 */
/*
 * show/: what is told of heaps: statistics, the checker, reports of refusals, and
 * the files in debugfs. Of itself it changes nothing; what is written to a file it
 * hands on. It knows the structures of all layers below, may call them, and takes
 * their locks in their order; what they have to report comes through the table
 * that it registers, &struct kheap_reporter.
 */
#ifndef _KHEAP_SHOW_H
#define _KHEAP_SHOW_H

#include "gc/gc.h"
#include "watch/watch.h"

struct seq_file;

/* This layer has no lock: what it reads is under those of whose it is. */

/* check.c */
void kheap_check_pool(struct kheap_pool *pool);

/* report.c */
void kheap_report_init(void);

/* callsites.c */
unsigned long kheap_ms_since(u64 now, u64 then);
void kheap_show_stack(struct seq_file *seq, u32 stack);
void kheap_callsites_report(struct kheap *heap,
			    const struct kheap_class *class);
void kheap_debugfs_add_callsites(struct kheap *heap);

/* debugfs.c */
void kheap_debugfs_init(size_t (*how)(struct kheap *heap));
void kheap_debugfs_exit(void);
void kheap_debugfs_add(struct kheap *heap);
void kheap_debugfs_del(struct kheap *heap);

/* objects.c */
void kheap_debugfs_add_objects(struct kheap *heap);

/* graph.c */
extern const struct file_operations kheap_graph_fops;

#endif /* _KHEAP_SHOW_H */
