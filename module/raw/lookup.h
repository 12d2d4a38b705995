/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The way from an address to its pool, and from a heap to its arenas and their
 * pools. Included by raw/raw.h.
 */
#ifndef _KHEAP_RAW_LOOKUP_H
#define _KHEAP_RAW_LOOKUP_H

/**
 * struct kheap_map - how an address leads to its pool; constant after init
 * @base: start of the direct map
 * @nr_pages: pages that the direct map can have
 * @pages: the struct page of @base
 * @secret: what the two words that lead to a pool differ by; even
 */
struct kheap_map {
	unsigned long base;
	unsigned long nr_pages;
	struct page *pages;
	unsigned long secret;
};

extern struct kheap_map kheap_map;

static inline struct kheap_arena_set **
kheap_set_slot(struct kheap *heap, unsigned int span, int node)
{
	return &heap->raw.sets[span * nr_node_ids + node];
}

/* The heap's set number @i, or the next one that there is; NULL at the end. */
static inline struct kheap_arena_set *kheap_set_from(struct kheap *heap,
						     unsigned int *i)
{
	struct kheap_arena_set *set;

	for (; *i < KHEAP_NR_SPANS * nr_node_ids; ++*i) {
		set = READ_ONCE(heap->raw.sets[*i]);
		if (set)
			return set;
	}
	return NULL;
}

#define kheap_for_each_set(set, heap, i)				\
	for ((i) = 0; ((set) = kheap_set_from(heap, &(i))); (i)++)

/* Descriptor number @i of an arena; NULL for a hole that has none. */
static inline struct kheap_pool *
kheap_arena_pool(const struct kheap_arena *arena, unsigned int i)
{
	struct kheap_pool *chunk = READ_ONCE(arena->chunks[i /
							   KHEAP_CHUNK_POOLS]);

	return chunk ? &chunk[i % KHEAP_CHUNK_POOLS] : NULL;
}

/* The arena's pool number @i, or the next with a descriptor; NULL at the end. */
static inline struct kheap_pool *
kheap_pool_from(const struct kheap_arena *arena, unsigned int *i)
{
	struct kheap_pool *pool;

	for (; *i < arena->nr_totalpools; ++*i) {
		pool = kheap_arena_pool(arena, *i);
		if (pool)
			return pool;
	}
	return NULL;
}

#define kheap_for_each_pool(pool, arena, i)				\
	for ((i) = 0; ((pool) = kheap_pool_from(arena, &(i))); (i)++)

/* The number of the page that @ptr is in, counted from the direct map's. */
static __always_inline unsigned long kheap_page_number(const void *ptr)
{
	return ((unsigned long)ptr - kheap_map.base) >> PAGE_SHIFT;
}

/**
 * kheap_pool_of() - find the pool that an address is in
 * @ptr: any address at all
 *
 * The struct page of a pool's page carries the pool's address twice, once as
 * it is and once xor a per-boot secret: see raw/page.h. Another page's words
 * would agree by chance once in 2^63. The loads cannot fault, so holes in the
 * memory map need no look-up.
 *
 * Return: The pool, or NULL.
 */
static __always_inline struct kheap_pool *kheap_pool_of(const void *ptr)
{
	unsigned long nr = kheap_page_number(ptr);
	const struct page *page = kheap_map.pages + nr;
	unsigned long pool, check;

	if (unlikely(nr >= kheap_map.nr_pages))
		return NULL;
	pool = kheap_load_nofault(kheap_page_pool_word(page));
	check = kheap_load_nofault(kheap_page_check_word(page));
	if (unlikely((pool ^ check) != kheap_map.secret))
		return NULL;
	return (struct kheap_pool *)pool;
}

/**
 * kheap_owned_page() - the page that an address is in, if it has a tag
 * @ptr: any address at all
 * @tag: the tag of a heap's size classes, or of a cache or type
 *
 * A tag is 64 random bits. One comparison says that the page is a pool's, and
 * whose: another page would have the tag by chance once in 2^64.
 *
 * Return: The struct page, or NULL if it does not carry @tag.
 */
static __always_inline const struct page *
kheap_owned_page(const void *ptr, const unsigned long *tag)
{
	unsigned long nr = kheap_page_number(ptr);
	const struct page *page;

	if (unlikely(nr >= kheap_map.nr_pages))
		return NULL;
	page = kheap_map.pages + nr;
	if (unlikely(kheap_load_nofault(kheap_page_tag(page)) != *tag))
		return NULL;
	/*
	 * Pairs with kheap_pool_set_tag(). For a block of one's own the order is
	 * that of addresses: this is for pointers that somebody made up.
	 */
	smp_acquire__after_ctrl_dep();
	if (!page)
		__builtin_unreachable();
	return page;
}

/* The pool of a page that is one's. */
static __always_inline struct kheap_pool *
kheap_page_pool(const struct page *page)
{
	return (struct kheap_pool *)*kheap_page_pool_word(page);
}

/* As kheap_owned_page(): set @pool to the pool if the answer is true. */
static __always_inline bool kheap_owned_pool(const void *ptr,
					     const unsigned long *tag,
					     struct kheap_pool **pool)
{
	const struct page *page = kheap_owned_page(ptr, tag);

	if (unlikely(!page))
		return false;
	*pool = kheap_page_pool(page);
	return true;
}

/* The pool of a block that is known to be one. */
static __always_inline struct kheap_pool *kheap_block_pool(const void *block)
{
	return kheap_page_pool(kheap_map.pages + kheap_page_number(block));
}

#endif /* _KHEAP_RAW_LOOKUP_H */
