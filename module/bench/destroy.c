// SPDX-License-Identifier: GPL-2.0
/*
 * The end of a million objects: a heap that is destroyed with them, against
 * freeing one by one, in the order of allocation, which suits SLUB best.
 */
#include <linux/err.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>

#include "ops.h"

#define NR_OBJECTS	1000000
#define NR_A_RESCHED	1024

static bool fill_heap(struct kheap *heap)
{
	unsigned int i;

	for (i = 0; i < NR_OBJECTS; i++) {
		if (!kheap_alloc(heap, BENCH_OBJECT_BYTES, GFP_KERNEL))
			return false;
		if (i % NR_A_RESCHED == 0)
			cond_resched();
	}
	return true;
}

static void time_kheap(struct bench_run *run)
{
	struct kheap *heap = kheap_create("destroy_1m", NULL);

	if (IS_ERR(heap)) {
		run->error = PTR_ERR(heap);
		return;
	}
	if (!fill_heap(heap))
		run->error = -ENOMEM;
	bench_start_busy(run);
	kheap_destroy(heap);
	bench_stop_busy(run, NR_OBJECTS);
}

/* Return how many there are. */
static unsigned int fill_array(struct kmem_cache *cache, void **ptrs)
{
	unsigned int i;

	for (i = 0; i < NR_OBJECTS; i++) {
		ptrs[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		if (!ptrs[i])
			break;
		if (i % NR_A_RESCHED == 0)
			cond_resched();
	}
	return i;
}

static void time_slub(struct bench_run *run)
{
	void **ptrs = vmalloc(array_size(NR_OBJECTS, sizeof(*ptrs)));
	unsigned int i, nr;

	if (!ptrs) {
		run->error = -ENOMEM;
		return;
	}
	nr = fill_array(run->ctx, ptrs);
	if (nr < NR_OBJECTS)
		run->error = -ENOMEM;
	bench_start_busy(run);
	for (i = 0; i < nr; i++)
		kmem_cache_free(run->ctx, ptrs[i]);
	bench_stop_busy(run, NR_OBJECTS);
	vfree(ptrs);
}

const struct bench_case bench_destroy_cases[] = {
	{ "destroy_1m", &bench_bare_kheap_side, time_kheap, .slow = true },
	{ "destroy_1m", &bench_kmem_cache_side, time_slub, .slow = true },
	{ }
};
