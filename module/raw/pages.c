// SPDX-License-Identifier: GPL-2.0
/*
 * The page source, which a client can replace, and what struct page says while
 * a page is a pool's.
 */
#include <linux/cache.h>
#include <linux/init.h>
#include <linux/log2.h>
#include <linux/random.h>
#include <linux/sched.h>

#include "raw/raw.h"

#define PAGE_AND_DESCRIPTOR	(PAGE_SIZE + sizeof(struct kheap_pool))

struct kheap_map kheap_map __ro_after_init;

void __init kheap_map_init(void)
{
	kheap_map.base = PAGE_OFFSET;
	kheap_map.nr_pages = (kheap_map_end() - PAGE_OFFSET) >> PAGE_SHIFT;
	kheap_map.pages = virt_to_page((void *)PAGE_OFFSET);
	kheap_map.secret = get_random_long() & ~1UL;
}

/* Descriptors that can come with a pool: an arena set, an arena, and bits. */
#define DESCRIPTOR_BYTES						\
	(512 + roundup_pow_of_two(sizeof(struct kheap_arena_set)))

/* Would another @bytes and their descriptors exceed the limit of the heap? */
bool kheap_at_limit(const struct kheap *heap, size_t bytes)
{
	bytes += DESCRIPTOR_BYTES;
	return heap->base.limit_bytes &&
	       atomic_long_read(&heap->base.held_bytes) + bytes >
	       heap->base.limit_bytes;
}

/* 2^@order pages in one piece, charged; NULL if there are none or no limit left. */
struct page *kheap_pages_alloc(struct kheap *heap, gfp_t gfp,
			       unsigned int order, int node)
{
	struct page *page;

	if (!kheap_charge(heap, PAGE_SIZE << order))
		return NULL;
	page = heap->raw.page_ops->alloc(heap->raw.page_ctx, gfp, order, node);
	if (page)
		kheap_note_peak(heap);
	else
		kheap_uncharge(heap, PAGE_SIZE << order);
	return page;
}

/* Give them back as they were taken. */
void kheap_pages_free(struct kheap *heap, struct page *page,
		      unsigned int order)
{
	/* A client's source may link its pages through themselves. */
	if (IS_ENABLED(CONFIG_KASAN_GENERIC))
		kasan_poison(page_address(page), PAGE_SIZE << order,
			     KHEAP_KASAN_LIVE, false);
	heap->raw.page_ops->free(heap->raw.page_ctx, page, order);
	atomic_long_add(1L << order, &heap->raw.nr_pages_freed);
	kheap_uncharge(heap, PAGE_SIZE << order);
}

/* Give 2^@order pages back that were taken together and split since. */
void kheap_pages_free_split(struct kheap *heap, struct page *page,
			    unsigned int order)
{
	unsigned int i;

	for (i = 0; i < 1U << order; i++)
		kheap_pages_free(heap, page + i, 0);
}

/* What of the client's gfp flags is for the page allocator. */
gfp_t kheap_page_gfp(struct kheap *heap, gfp_t gfp)
{
	gfp &= ~(__GFP_ZERO | __GFP_COMP | GFP_ZONEMASK);
	if (heap->base.flags & KHEAP_ACCOUNT)
		gfp |= __GFP_ACCOUNT;
	return gfp;
}

/* What kheap_pool_of() reads. */
void kheap_pool_mark_pages(struct kheap_pool *pool, struct page *page,
			   unsigned int span)
{
	unsigned int i;

	for (i = 0; i < 1U << span; i++) {
		*kheap_page_pool_word(page + i) = (unsigned long)pool;
		*kheap_page_check_word(page + i) = (unsigned long)pool ^
						   kheap_map.secret;
		*kheap_page_note_word(page + i) = 0;
		*kheap_page_tag(page + i) = 0;
	}
}

/* Nobody's pages again. */
void kheap_pool_unmark_pages(struct page *page, unsigned int span)
{
	unsigned int i;

	for (i = 0; i < 1U << span; i++)
		kheap_page_forget(page + i);
}

/* What kheap_owned_pool() compares; 0 for a pool without a class. */
void kheap_pool_set_tag(struct kheap_pool *pool, unsigned int span,
			unsigned long tag)
{
	struct page *page = virt_to_page(pool->base);
	unsigned int i;

	for (i = 0; i < 1U << span; i++)
		/* Pairs with kheap_owned_page(): first the other words. */
		smp_store_release(kheap_page_tag(page + i), tag);
}

/* The kernel promises two pages in one piece, not more: then ask again. */
static struct page *last_resort(struct kheap *heap, gfp_t gfp,
				unsigned int order, int node)
{
	bool again = order > 1 && gfp & __GFP_NOFAIL;
	struct page *page;

	if (again)
		gfp &= ~__GFP_NOFAIL;
	for (;;) {
		page = kheap_pages_alloc(heap, gfp, order, node);
		if (page || !again || kheap_at_limit(heap, PAGE_SIZE << order))
			return page;
		schedule_timeout_uninterruptible(1);
	}
}

/*
 * Ask for 64 pages, and settle for fewer, of which the descriptors must not
 * exceed the limit either. Only the smallest request may try
 * as hard as the caller allows; a context that cannot wait leaves the high
 * orders, which are hard to make again, alone.
 */
struct page *kheap_arena_pages(struct kheap *heap, unsigned int span,
			       gfp_t gfp, int node, unsigned int *orderp)
{
	gfp_t soft = (gfp & ~(__GFP_DIRECT_RECLAIM | __GFP_NOFAIL)) |
		     __GFP_NORETRY | __GFP_NOWARN;
	unsigned int order = KHEAP_ARENA_ORDER;
	struct page *page = NULL;

	if (!gfpflags_allow_blocking(gfp))
		order = PAGE_ALLOC_COSTLY_ORDER;
	for (; order > span; order--) {
		if (kheap_at_limit(heap, PAGE_AND_DESCRIPTOR << order))
			continue;
		page = kheap_pages_alloc(heap, soft, order, node);
		if (page)
			break;
	}
	if (order == span)
		page = last_resort(heap, gfp, order, node);
	*orderp = order;
	return page;
}
