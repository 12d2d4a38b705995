/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KHEAP_EXERCISE_H
#define _KHEAP_EXERCISE_H

#include <linux/prandom.h>
#include <kheap/object.h>

struct kheap;

/* Return 0, also with a single memory node; -ENOMEM; -EUCLEAN if one is wrong. */
int exercise_nodes(struct kheap *heap);

#define NR_HAND_WEAK	4

/* The weak references of one context. */
struct exercise_hand {
	struct kheap_weakref weak[NR_HAND_WEAK];
	bool is_set[NR_HAND_WEAK];
};

/* Nothing below does anything before this. Returns 0 or an error. */
int exercise_objects_start(struct kheap *heap);

/* One step, in any context; one with GFP_KERNEL is a thread's. */
void exercise_objects(struct exercise_hand *hand, struct rnd_state *rnd,
		      gfp_t gfp);
void exercise_objects_drop(struct exercise_hand *hand);

/* Whether all that is counted has been seen at least once. */
bool exercise_objects_all_seen(void);

/* When all contexts have dropped theirs: 0, or -EUCLEAN if anything is wrong. */
int exercise_objects_stop(void);

#endif /* _KHEAP_EXERCISE_H */
