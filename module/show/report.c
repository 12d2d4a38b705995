// SPDX-License-Identifier: GPL-2.0
/*
 * Reports of refused requests: one message that says what was wrong with which
 * pointer, rate-limited, with the stack of the caller; and a count.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ratelimit.h>

#include "watch/trace.h"

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

/*
 * A place that makes bad requests is told of once for each reason; if it goes
 * on, the count does. Return false if it is known already.
 */
static bool site_is_new(struct kheap *heap, unsigned long site)
{
	unsigned int i;

	for (i = 0; i < KHEAP_NR_SITES; i++)
		if (atomic_long_read(&heap->sites[i]) == site)
			return false;
	return true;
}

/* Remember a place; those that find no room are limited by their rate only. */
static void remember_site(struct kheap *heap, unsigned long site)
{
	unsigned int i;

	for (i = 0; i < KHEAP_NR_SITES; i++)
		if (!atomic_long_cmpxchg(&heap->sites[i], 0, site))
			return;
}

/**
 * struct subject - what a report says of a pointer, copied before it is printed
 * @heap: the heap of its class; "": it has none
 * @name: its cache or type; "": a size class
 * @size: bytes from one block to the next
 * @base: start of its pool's blocks, or NULL
 * @offset: where in the pool it is
 *
 * Printing takes long. Meanwhile another CPU may give the pool back, or end the
 * cache, or the other heap that the pointer belongs to.
 */
struct subject {
	char heap[KHEAP_NAME_MAX + 1];
	char name[KHEAP_NAME_MAX + 1];
	u32 size;
	const void *base;
	size_t offset;
};

static void describe(struct subject *subject, const struct kheap_class *class,
		     const void *ptr)
{
	const struct kheap_pool *pool = kheap_pool_of(ptr);

	subject->heap[0] = '\0';
	if (!class || class == &kheap_cold_class)
		return;
	strscpy(subject->heap, class->heap->name, sizeof(subject->heap));
	strscpy(subject->name, class->name ?: "", sizeof(subject->name));
	subject->size = class->size;
	subject->base = pool && pool->class == class ? pool->base : NULL;
	subject->offset = ptr - subject->base;
}

static void print_subject(const struct subject *subject)
{
	if (!*subject->heap)
		return;
	pr_err("  heap '%s', %s%s, blocks of %u bytes\n", subject->heap,
	       *subject->name ? "cache " : "size class", subject->name,
	       subject->size);
	if (subject->base)
		pr_err("  at offset %zu of the pool at %p\n", subject->offset,
		       subject->base);
}

/* As kheap_refuse(), of a large block of the heap named @owner, unless "". */
static bool refuse(struct kheap *heap, enum kheap_refusal why, const void *ptr,
		   const struct kheap_class *class, const char *owner)
{
	unsigned long ip = kheap_client_ip(_RET_IP_);
	unsigned long site = ip * NR_KHEAP_REFUSALS + why + 1;
	struct subject subject;
	bool tell = site_is_new(heap, site) && __ratelimit(&kheap_refusal_limit);

	if (tell)
		describe(&subject, class, ptr);
	atomic_long_inc(&heap->nr_refused[why]);
	if (trace_kheap_refuse_enabled())
		trace_kheap_refuse(heap->name, refusal_names[why], ptr, ip);
	if (!tell)
		return false;
	remember_site(heap, site);
	if (ptr)
		pr_err("heap '%s': refused: %p %s\n", heap->name, ptr,
		       refusal_texts[why]);
	else
		pr_err("heap '%s': refused: %s\n", heap->name,
		       refusal_texts[why]);
	if (*owner)
		pr_err("  heap '%s', large block\n", owner);
	print_subject(&subject);
	dump_stack();
	return true;
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
	return refuse(heap, why, ptr, class, "");
}

/* As kheap_refuse(), of a pointer that leads to no heap. */
void kheap_refuse_stray(const void *ptr, enum kheap_refusal why)
{
	if (trace_kheap_refuse_enabled())
		trace_kheap_refuse("?", refusal_names[why], ptr,
				   kheap_client_ip(_RET_IP_));
	if (!__ratelimit(&kheap_refusal_limit))
		return;
	pr_err("heap '?': refused: %p, not memory of any heap, %s\n", ptr,
	       refusal_texts[why]);
	dump_stack();
}

/**
 * kheap_refuse_link() - report the damage that a taker of blocks has met
 * @class: the class
 * @bad: the place, as kheap_pools_take() says; NULL is fine: there was none
 *
 * Context: Any context except NMI, no kheap lock and no busy mark held.
 */
void kheap_refuse_link(const struct kheap_class *class, const void *bad)
{
	if (unlikely(bad))
		kheap_refuse(class->heap, KHEAP_BAD_LINK, bad, class);
}

/* What is wrong with freeing @ptr, of @pool, to @heap or to its @class? */
static enum kheap_refusal diagnose(struct kheap *heap,
				   const struct kheap_class *class,
				   const struct kheap_pool *pool,
				   const void *ptr, char *owner)
{
	const struct kheap_class *found;
	unsigned long idx;

	if (!pool)
		return kheap_large_diagnose(heap, ptr, owner);
	if (pool->arena->set->heap != heap)
		return KHEAP_BAD_HEAP;
	found = READ_ONCE(pool->class);
	if (found == &kheap_cold_class)
		return KHEAP_BAD_FREED;
	if (class ? found != class : found->tag != heap->tag)
		return KHEAP_BAD_CACHE;
	if (!kheap_block_index(found, pool, ptr, &idx) ||
	    idx >= found->nr_blocks)
		return KHEAP_BAD_INNER;
	return KHEAP_BAD_FREED;
}

static void refuse_free(struct kheap *heap, const struct kheap_class *class,
			const void *ptr)
{
	const struct kheap_pool *pool = kheap_pool_of(ptr);
	const struct kheap_class *found = pool ? READ_ONCE(pool->class) : NULL;
	struct kheap_debug_note note = { };
	char owner[KHEAP_NAME_MAX + 1] = "";
	enum kheap_refusal why;

	why = diagnose(heap, class, pool, ptr, owner);
	if (found && found != &kheap_cold_class)
		kheap_debug_note(found, pool, ptr, &note);
	if (refuse(heap, why, ptr, found, owner))
		kheap_debug_print(&note);
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
	refuse_free(heap, NULL, ptr);
}

/**
 * kheap_class_refuse_free() - report a pointer that is no object of a class
 * @class: the cache or type it was given to
 * @ptr: any pointer; NULL is fine and no error
 *
 * Context: Any context, no kheap lock held.
 */
void kheap_class_refuse_free(struct kheap_class *class, const void *ptr)
{
	if (ptr)
		refuse_free(class->heap, class, ptr);
}
