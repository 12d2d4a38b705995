/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The files at the top: a heap's creation, upkeep and end, what is done at its
 * limit and under memory pressure, the end of its objects, and the module itself.
 * They know all layers, and may call them all.
 */
#ifndef _KHEAP_MAIN_H
#define _KHEAP_MAIN_H

#include "show/show.h"

/*
 * heap->limit.lock is a leaf. The list of heaps of modules that use slab_compat.h
 * has a mutex, taken before all.
 */

/* heap.c */
struct kheap *kheap_create_for(const char *name,
			       const struct kheap_params *params,
			       unsigned long caller);

/* limit.c */
void kheap_limit_init(void);

/* pressure.c */
int kheap_pressure_init(void);
void kheap_pressure_exit(void);
unsigned long kheap_pressure_count(void);
unsigned long kheap_pressure_scan(unsigned long nr);
void kheap_give_back_all(struct kheap *heap);

/* teardown.c */
void kheap_objects_trim(struct kheap *heap);
void kheap_objects_exit(struct kheap *heap);
void kheap_objects_free(struct kheap *heap);

/* slab_compat.c */
int kheap_slab_init(void);
void kheap_slab_exit(void);

#endif /* _KHEAP_MAIN_H */
