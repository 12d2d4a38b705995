/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What struct page says while a page is a pool's: all that kheap needs to have of
 * its fields is here, and Documentation/design.rst says what takes its place when
 * they are gone. Nothing else reads them while the page is ours. Included by
 * raw/raw.h.
 *
 *   word			field		what is in it
 *   kheap_page_pool_word()	private		the pool's address
 *   kheap_page_check_word()	lru.next	the same xor a secret; its lowest bit,
 *						by which the kernel knows a page
 *						that is not the first of its
 *						folio, is clear
 *   kheap_page_note_word()	lru.prev	what a free has to know, as block/
 *						has it: &struct kheap_page_note
 *   kheap_page_tag()		index		whose the pool is; 0: nobody's
 *
 * A page on its way back to the system is in a list by its lru.
 */
#ifndef _KHEAP_RAW_PAGE_H
#define _KHEAP_RAW_PAGE_H

#include <linux/list.h>
#include <linux/mm_types.h>

static __always_inline unsigned long *
kheap_page_pool_word(const struct page *page)
{
	static_assert(sizeof(page->private) == sizeof(long));
	return (unsigned long *)&page->private;
}

static __always_inline unsigned long *
kheap_page_check_word(const struct page *page)
{
	static_assert(sizeof(page->lru.next) == sizeof(long));
	return (unsigned long *)&page->lru.next;
}

static __always_inline unsigned long *
kheap_page_note_word(const struct page *page)
{
	static_assert(sizeof(page->lru.prev) == sizeof(long));
	return (unsigned long *)&page->lru.prev;
}

/*
 * It was renamed in v6.16 (commit acc53a0b4c156, "mm: rename page->index to
 * page->__folio_index").
 */
static __always_inline unsigned long *kheap_page_tag(const struct page *page)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
	static_assert(sizeof(page->__folio_index) == sizeof(long));
	return (unsigned long *)&page->__folio_index;
#else
	static_assert(sizeof(page->index) == sizeof(long));
	return (unsigned long *)&page->index;
#endif
}

/* Words of their own, each. */
static_assert(offsetof(struct page, lru.prev) ==
	      offsetof(struct page, lru.next) + sizeof(long));
static_assert(offsetof(struct page, private) >=
	      offsetof(struct page, lru) + sizeof(struct list_head));

/* Nobody's page again. */
static inline void kheap_page_forget(struct page *page)
{
	*kheap_page_pool_word(page) = 0;
	*kheap_page_tag(page) = 0;
	INIT_LIST_HEAD(&page->lru);
}

static inline void kheap_page_list_add(struct page *page,
				       struct list_head *list)
{
	list_add(&page->lru, list);
}

/* Take the first page out of a list; NULL if there is none. */
static inline struct page *kheap_page_list_take(struct list_head *list)
{
	struct page *page = list_first_entry_or_null(list, struct page, lru);

	if (page)
		list_del(&page->lru);
	return page;
}

#endif /* _KHEAP_RAW_PAGE_H */
