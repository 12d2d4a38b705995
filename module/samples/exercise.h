/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KHEAP_EXERCISE_H
#define _KHEAP_EXERCISE_H

struct kheap;

/* Return 0, also with a single memory node; -ENOMEM; -EUCLEAN if one is wrong. */
int exercise_nodes(struct kheap *heap);

#endif /* _KHEAP_EXERCISE_H */
