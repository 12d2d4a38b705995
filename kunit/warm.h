/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the suites of per-CPU caches begin with: one that is warm, on CPU 0.
 */
#ifndef _KHEAP_KUNIT_WARM_H
#define _KHEAP_KUNIT_WARM_H

#include "block/cpu_cache.h"
#include "helpers.h"

#define SIZE		64
#define SZIDX		(SIZE / 8 - 1)

static inline struct kheap_cpu_cache *cache_on(struct kheap_class *class,
					       unsigned int cpu)
{
	return per_cpu_ptr(class->cpu, cpu);
}

/* Slots of the loaded magazine. */
static inline unsigned long nr_slots(const struct kheap_cpu_cache *cache)
{
	return cache->limit - cache->base;
}

static inline struct kheap *
warm_heap(struct kunit *test, struct kheap_class **class,
	  struct kheap_cpu_cache **cache)
{
	struct kheap *heap = kheap_test_heap(test);

	kheap_test_stay_on(test, 0);
	kheap_test_warm_up(test, heap, SIZE);
	*class = heap->block.classes[SZIDX];
	*cache = cache_on(*class, 0);
	KUNIT_ASSERT_GT(test, nr_slots(*cache), 0ul);
	return heap;
}

static inline struct kheap_class_stats class_stats(struct kheap_class *class)
{
	struct kheap_class_stats stats;

	kheap_class_get_stats(class, &stats);
	return stats;
}

#endif /* _KHEAP_KUNIT_WARM_H */
