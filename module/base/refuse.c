// SPDX-License-Identifier: GPL-2.0
/*
 * Refusals: their reasons, and how often each was one. What is printed of them
 * needs to look things up in all layers, and is in show/report.c.
 */
#include <linux/ratelimit.h>

#include "base/base.h"

static const char * const refusal_names[] = {
	[KHEAP_BAD_FOREIGN]	= "foreign_pointer",
	[KHEAP_BAD_INNER]	= "inner_pointer",
	[KHEAP_BAD_FREED]	= "free_block",
	[KHEAP_BAD_HEAP]	= "wrong_heap",
	[KHEAP_BAD_CACHE]	= "wrong_cache",
	[KHEAP_BAD_LINK]	= "corrupted_link",
	[KHEAP_BAD_GFP]		= "bad_gfp",
	[KHEAP_BAD_SIZE]	= "bad_size",
	[KHEAP_BAD_LIMIT]	= "over_limit",
	[KHEAP_BAD_DEAD]	= "dead_object",
	[KHEAP_BAD_OVERFLOW]	= "full_count",
	[KHEAP_BAD_TYPE]	= "live_type",
	[KHEAP_BAD_CONTEXT]	= "in_callback",
	[KHEAP_BAD_GUARD]	= "guard_bytes",
	[KHEAP_BAD_POISON]	= "dead_bytes",
};

static const char * const refusal_texts[] = {
	[KHEAP_BAD_FOREIGN]	= "is not memory of any heap",
	[KHEAP_BAD_INNER]	= "is inside a block, not at its start",
	[KHEAP_BAD_FREED]	= "is free: freed before, or never allocated",
	[KHEAP_BAD_HEAP]	= "belongs to another heap",
	[KHEAP_BAD_CACHE]	= "belongs to another cache of this heap",
	[KHEAP_BAD_LINK]	= "was written to while it was free",
	[KHEAP_BAD_GFP]		= "zone flags, or zeroing of constructed objects",
	[KHEAP_BAD_SIZE]	= "no allocation can be that large",
	[KHEAP_BAD_LIMIT]	= "the limit of the heap is reached",
	[KHEAP_BAD_DEAD]	= "is a dead object: its last reference was put",
	[KHEAP_BAD_OVERFLOW]	= "has no room for more references: it leaks",
	[KHEAP_BAD_TYPE]	= "is a type with live objects",
	[KHEAP_BAD_CONTEXT]	= "cannot be ended by a callback of an object",
	[KHEAP_BAD_GUARD]	= "was written to beyond its bounds",
	[KHEAP_BAD_POISON]	= "was written to after it was freed",
};

static_assert(ARRAY_SIZE(refusal_names) == NR_KHEAP_REFUSALS);
static_assert(ARRAY_SIZE(refusal_texts) == NR_KHEAP_REFUSALS);

/* Bad requests of all heaps together may fill the log only so fast. */
DEFINE_RATELIMIT_STATE(kheap_refusal_limit, 5 * HZ, 10);

/* The name of a reason as stats prints it. */
const char *kheap_refusal_name(enum kheap_refusal why)
{
	return refusal_names[why];
}

/* What a report says of it. */
const char *kheap_refusal_text(enum kheap_refusal why)
{
	return refusal_texts[why];
}

/*
 * A place that makes bad requests is told of once for each reason; if it goes
 * on, the count does. Return false if it is known already.
 */
static bool site_is_new(struct kheap *heap, unsigned long site)
{
	unsigned int i;

	for (i = 0; i < KHEAP_NR_SITES; i++)
		if (atomic_long_read(&heap->base.sites[i]) == site)
			return false;
	return true;
}

/* Remember a place; those that find no room are limited by their rate only. */
static void remember_site(struct kheap *heap, unsigned long site)
{
	unsigned int i;

	for (i = 0; i < KHEAP_NR_SITES; i++)
		if (!atomic_long_cmpxchg(&heap->base.sites[i], 0, site))
			return;
}

/**
 * kheap_count_refusal() - count a bad request
 * @heap: the heap that was asked
 * @why: the reason
 * @ip: where in the client it came from
 *
 * Context: Any context.
 * Return: Whether to tell of it: a place is told of once for each reason.
 */
bool kheap_count_refusal(struct kheap *heap, enum kheap_refusal why,
			 unsigned long ip)
{
	unsigned long site = ip * NR_KHEAP_REFUSALS + why + 1;
	bool tell = site_is_new(heap, site) && __ratelimit(&kheap_refusal_limit);

	atomic_long_inc(&heap->base.nr_refused[why]);
	if (tell)
		remember_site(heap, site);
	return tell;
}

/**
 * kheap_refuse() - report and count a bad request
 * @heap: the heap that was asked
 * @why: the reason
 * @ptr: the pointer in question, or NULL
 * @class: the class that @ptr is of, or NULL
 *
 * Counted always, reported once for each place in the client and reason.
 *
 * Context: Any context, no kheap lock held.
 * Return: Whether it was reported.
 */
bool kheap_refuse(struct kheap *heap, enum kheap_refusal why, const void *ptr,
		  const struct kheap_class *class)
{
	return kheap_reporter->refuse(heap, why, ptr, class);
}

/* As kheap_refuse(), of a pointer that leads to no heap. */
void kheap_refuse_stray(const void *ptr, enum kheap_refusal why)
{
	kheap_reporter->refuse_stray(ptr, why);
}

/**
 * kheap_refuse_free() - report a pointer that is no block of a size class
 * @heap: the heap it was given to
 * @ptr: any pointer but NULL
 *
 * Context: Any context, no kheap lock held.
 */
void kheap_refuse_free(struct kheap *heap, const void *ptr)
{
	kheap_reporter->refuse_free(heap, NULL, ptr);
}
