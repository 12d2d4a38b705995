// SPDX-License-Identifier: GPL-2.0
/*
 * The allocators under test: a private heap, and kmalloc with vmalloc behind it
 * for what is too large, as kvmalloc() combines them. A third one has no memory:
 * what a replay costs with it is not the others' cost.
 */
#include <linux/bitops.h>
#include <linux/err.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "replay.h"

#define REPLAY_GFP	(GFP_KERNEL | __GFP_NOWARN)

/* --- A private heap ----------------------------------------------------- */

static int heap_begin(struct replay_run *run)
{
	struct kheap *heap = kheap_create("replay", NULL);

	if (IS_ERR(heap))
		return PTR_ERR(heap);
	run->heap = heap;
	return 0;
}

static void *heap_alloc(struct replay_run *run, size_t size, gfp_t gfp)
{
	return kheap_alloc(run->heap, size, REPLAY_GFP | gfp);
}

static void *heap_realloc(struct replay_run *run, void *ptr, size_t old_size,
			  size_t size)
{
	return kheap_realloc(run->heap, ptr, size, REPLAY_GFP);
}

static void heap_free(struct replay_run *run, void *ptr)
{
	kheap_free(run->heap, ptr);
}

static int heap_measure(struct replay_run *run, struct replay_held *held)
{
	struct kheap_stats stats;

	kheap_get_stats(run->heap, &stats);
	held->held_bytes = stats.held_bytes;
	held->usable_bytes = stats.allocated_bytes + stats.large_bytes;
	run->result->most_held_bytes = stats.peak_held_bytes;
	return 0;
}

static size_t sum_of_parts(const struct kheap_stats *stats)
{
	return stats->allocated_bytes + stats->cached_bytes +
	       stats->free_bytes + stats->virgin_bytes +
	       stats->quarantined_bytes + stats->empty_bytes +
	       stats->tail_bytes + stats->metadata_bytes + stats->large_bytes;
}

static int heap_verify(struct replay_run *run)
{
	struct kheap_stats stats;
	int nr;

	kheap_get_stats(run->heap, &stats);
	if (sum_of_parts(&stats) != stats.held_bytes)
		return replay_refuse(run->fault, -EUCLEAN, 0,
				     "after %llu events: held_bytes %zu, but its parts are %zu",
				     run->next, stats.held_bytes,
				     sum_of_parts(&stats));
	if (stats.nr_allocated + stats.nr_large != run->nr_live)
		return replay_refuse(run->fault, -EUCLEAN, 0,
				     "after %llu events: %llu blocks live, but stats say %lu + %lu",
				     run->next, run->nr_live,
				     stats.nr_allocated, stats.nr_large);
	if (stats.nr_refused)
		return replay_refuse(run->fault, -EUCLEAN, 0,
				     "after %llu events: %lu good requests were refused",
				     run->next, stats.nr_refused);
	nr = kheap_check(run->heap);
	if (nr)
		return replay_refuse(run->fault, -EUCLEAN, 0,
				     "after %llu events: kheap_check() found %d violations",
				     run->next, nr);
	return 0;
}

static void heap_end(struct replay_run *run)
{
	kheap_destroy(run->heap);
	run->heap = NULL;
}

static const struct replay_rival kheap_rival = {
	.name		= "kheap",
	.begin		= heap_begin,
	.alloc		= heap_alloc,
	.realloc	= heap_realloc,
	.free		= heap_free,
	.measure	= heap_measure,
	.verify		= heap_verify,
	.end		= heap_end,
};

/* --- kmalloc and vmalloc ------------------------------------------------ */

static int kmalloc_begin(struct replay_run *run)
{
	return 0;
}

static void *kmalloc_alloc(struct replay_run *run, size_t size, gfp_t gfp)
{
	/* kmalloc(0) gives no memory; malloc(0) does. */
	return kvmalloc(size ?: 1, REPLAY_GFP | gfp);
}

static bool fits_in_place(const void *ptr, size_t old_size, size_t size)
{
	if (is_vmalloc_addr(ptr))
		return PAGE_ALIGN(size) == PAGE_ALIGN(old_size);
	return size <= ksize(ptr);
}

/* As krealloc(): a block that is large enough stays, however small it gets. */
static void *kmalloc_realloc(struct replay_run *run, void *ptr, size_t old_size,
			     size_t size)
{
	void *new;

	if (fits_in_place(ptr, old_size, size))
		return ptr;
	new = kmalloc_alloc(run, size, 0);
	if (!new)
		return NULL;
	memcpy(new, ptr, min(old_size, size));
	kvfree(ptr);
	return new;
}

static void kmalloc_free(struct replay_run *run, void *ptr)
{
	kvfree(ptr);
}

static int compare_pages(const void *a, const void *b)
{
	unsigned long one = *(const unsigned long *)a;
	unsigned long two = *(const unsigned long *)b;

	return one < two ? -1 : one > two;
}

/* Bytes of the slabs or large folios that @pages name, each counted once. */
static u64 distinct_bytes(unsigned long *pages, size_t nr)
{
	u64 bytes = 0;
	size_t i;

	sort(pages, nr, sizeof(*pages), compare_pages, NULL);
	for (i = 0; i < nr; i++) {
		if (!i || pages[i] != pages[i - 1])
			bytes += page_size((struct page *)pages[i]);
		if (i % 1024 == 0)
			cond_resched();
	}
	return bytes;
}

/* A bit for each size that kmalloc() has a cache for: 2^n, 96, 192. */
static u64 size_bit(size_t size)
{
	return BIT_ULL(2 * ilog2(size) + !is_power_of_2(size));
}

static int kmalloc_measure(struct replay_run *run, struct replay_held *held)
{
	const struct replay_trace *trace = run->trace;
	unsigned long *pages;
	u64 sizes = 0;
	size_t nr = 0;
	u32 id;

	pages = vmalloc(array_size(max_t(u64, run->nr_live, 1), sizeof(*pages)));
	if (!pages)
		return -ENOMEM;
	held->held_bytes = 0;
	held->usable_bytes = 0;
	for (id = 0; id < trace->nr_ids; id++) {
		const struct replay_slot *slot = &trace->slots[id];

		if (!slot->ptr)
			continue;
		if (is_vmalloc_addr(slot->ptr)) {
			held->held_bytes += PAGE_ALIGN(slot->size);
			held->usable_bytes += PAGE_ALIGN(slot->size);
		} else {
			pages[nr++] = (unsigned long)virt_to_head_page(slot->ptr);
			held->usable_bytes += ksize(slot->ptr);
			if (folio_test_slab(virt_to_folio(slot->ptr)))
				sizes |= size_bit(ksize(slot->ptr));
		}
		if (id % 1024 == 0)
			cond_resched();
	}
	held->held_bytes += distinct_bytes(pages, nr);
	held->nr_classes = hweight64(sizes);
	vfree(pages);
	return 0;
}

static int kmalloc_verify(struct replay_run *run)
{
	return 0;
}

static void kmalloc_end(struct replay_run *run)
{
}

static const struct replay_rival kmalloc_rival = {
	.name		= "kmalloc",
	.begin		= kmalloc_begin,
	.alloc		= kmalloc_alloc,
	.realloc	= kmalloc_realloc,
	.free		= kmalloc_free,
	.measure	= kmalloc_measure,
	.verify		= kmalloc_verify,
	.end		= kmalloc_end,
};

/* --- Nobody ------------------------------------------------------------- */

/* Blocks that nobody may touch. */
static int none_begin(struct replay_run *run)
{
	return run->pattern ? -EINVAL : 0;
}

static void *none_alloc(struct replay_run *run, size_t size, gfp_t gfp)
{
	return ZERO_SIZE_PTR;
}

static void *none_realloc(struct replay_run *run, void *ptr, size_t old_size,
			  size_t size)
{
	return ptr;
}

static void none_free(struct replay_run *run, void *ptr)
{
}

static int none_measure(struct replay_run *run, struct replay_held *held)
{
	held->held_bytes = 0;
	held->usable_bytes = 0;
	return 0;
}

static int none_verify(struct replay_run *run)
{
	return 0;
}

static void none_end(struct replay_run *run)
{
}

static const struct replay_rival none_rival = {
	.name		= "none",
	.begin		= none_begin,
	.alloc		= none_alloc,
	.realloc	= none_realloc,
	.free		= none_free,
	.measure	= none_measure,
	.verify		= none_verify,
	.end		= none_end,
};

const struct replay_rival *const replay_rivals[NR_REPLAY_RIVALS] = {
	[REPLAY_KHEAP]		= &kheap_rival,
	[REPLAY_KMALLOC]	= &kmalloc_rival,
	[REPLAY_NONE]		= &none_rival,
};
