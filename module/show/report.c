// SPDX-License-Identifier: GPL-2.0
/*
 * Reports of refused requests: one message that says what was wrong with which
 * pointer, rate-limited, with the stack of the caller; and a count.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/ratelimit.h>

#include "base/trace.h"
#include "show/show.h"

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
	strscpy(subject->heap, class->heap->base.name, sizeof(subject->heap));
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

/* As report_refusal(), of a large block of the heap named @owner, unless "". */
static bool refuse(struct kheap *heap, enum kheap_refusal why, const void *ptr,
		   const struct kheap_class *class, const char *owner)
{
	unsigned long ip = kheap_client_ip(_RET_IP_);
	bool tell = kheap_count_refusal(heap, why, ip);
	struct subject subject;

	if (tell)
		describe(&subject, class, ptr);
	if (trace_kheap_refuse_enabled())
		trace_kheap_refuse(heap->base.name, kheap_refusal_name(why),
				   ptr, ip);
	if (!tell)
		return false;
	if (ptr)
		pr_err("heap '%s': refused: %p %s\n", heap->base.name, ptr,
		       kheap_refusal_text(why));
	else
		pr_err("heap '%s': refused: %s\n", heap->base.name,
		       kheap_refusal_text(why));
	if (*owner)
		pr_err("  heap '%s', large block\n", owner);
	print_subject(&subject);
	dump_stack();
	return true;
}

static bool report_refusal(struct kheap *heap, enum kheap_refusal why,
			   const void *ptr, const struct kheap_class *class)
{
	return refuse(heap, why, ptr, class, "");
}

static void report_stray(const void *ptr, enum kheap_refusal why)
{
	if (trace_kheap_refuse_enabled())
		trace_kheap_refuse("?", kheap_refusal_name(why), ptr,
				   kheap_client_ip(_RET_IP_));
	if (!__ratelimit(&kheap_refusal_limit))
		return;
	pr_err("heap '?': refused: %p, not memory of any heap, %s\n", ptr,
	       kheap_refusal_text(why));
	dump_stack();
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
	if (class ? found != class : found->tag != heap->block.tag)
		return KHEAP_BAD_CACHE;
	if (!kheap_block_index(found, pool, ptr, &idx) ||
	    idx >= found->nr_blocks)
		return KHEAP_BAD_INNER;
	return KHEAP_BAD_FREED;
}

/* See &struct kheap_reporter. */
static void report_free(struct kheap *heap, const struct kheap_class *class,
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

static const struct kheap_reporter reporter = {
	.refuse = report_refusal,
	.refuse_stray = report_stray,
	.refuse_free = report_free,
	.sites = kheap_callsites_report,
	.check_pool = kheap_check_pool,
};

void __init kheap_report_init(void)
{
	kheap_reporter = &reporter;
}
