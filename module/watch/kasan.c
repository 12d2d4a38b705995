// SPDX-License-Identifier: GPL-2.0
/*
 * What KASAN cannot tell: at the end of its reports, the heap and the block that
 * the address is in, and who allocated and freed it. KASAN keeps stacks of slab
 * objects only; ours are there with the debug flag U.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/printk.h>
#include <trace/events/error_report.h>

#include "watch/watch.h"

static void describe(const struct kheap_class *class,
		     const struct kheap_pool *pool, const void *addr)
{
	size_t offset = addr - pool->base;
	unsigned int idx = offset / class->size;
	struct kheap_debug_note note;

	pr_err("heap '%s', %s%s: offset %zu of a block of %u bytes, number %u of its pool\n",
	       class->heap->base.name, class->name ? "cache " : "size class",
	       class->name ?: "", offset % class->size, class->usable, idx);
	if (idx < class->nr_blocks)
		pr_err("  the block is %s\n",
		       kheap_block_is_allocated(class, pool, idx) ?
		       "allocated" : "free");
	kheap_debug_note(class, pool, addr, &note);
	kheap_debug_print(&note);
}

/* Called with KASAN's lock held, and with its checks off. */
static void report_end(void *unused, enum error_detector detector,
		       unsigned long id)
{
	const struct kheap_class *class;
	const struct kheap_pool *pool;

	if (detector != ERROR_DETECTOR_KASAN)
		return;
	pool = kheap_pool_of((void *)id);
	class = pool ? READ_ONCE(pool->class) : &kheap_cold_class;
	if (class != &kheap_cold_class && (void *)id >= pool->base)
		describe(class, pool, (void *)id);
}

int __init kheap_kasan_init(void)
{
	return register_trace_error_report_end(report_end, NULL);
}

void kheap_kasan_exit(void)
{
	unregister_trace_error_report_end(report_end, NULL);
	tracepoint_synchronize_unregister();
}
