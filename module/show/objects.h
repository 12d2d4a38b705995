/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The files of debugfs that are about objects.
 */
#ifndef _KHEAP_DEBUGFS_OBJECTS_H
#define _KHEAP_DEBUGFS_OBJECTS_H

#include "gc/gc.h"

/* graph.c */
extern const struct file_operations kheap_graph_fops;

#endif /* _KHEAP_DEBUGFS_OBJECTS_H */
