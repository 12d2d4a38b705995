// SPDX-License-Identifier: GPL-2.0
/*
 * Pools: carving, marks, states, and what happens when a mark is damaged.
 * Without per-CPU caches, so that each call reaches the pool.
 */
#include <linux/slab.h>
#include <linux/string.h>

#include "helpers.h"

#define SIZE		512
#define NR_BLOCKS	8	/* of SIZE in a page */

static_assert(NR_BLOCKS * SIZE == PAGE_SIZE);

static struct kheap *pool_heap(struct kunit *test)
{
	return kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
}

static struct kheap_class_node *node_of(struct kheap_pool *pool)
{
	return kheap_pool_node(pool);
}

static bool is_listed(struct kheap_pool *pool, unsigned int fill)
{
	struct kheap_pool *other;

	list_for_each_entry(other, &node_of(pool)->used[fill], list)
		if (other == pool)
			return true;
	return false;
}

static bool is_allocated(struct kheap_pool *pool, unsigned int idx)
{
	return kheap_block_is_allocated(pool->class, pool, idx);
}

/* --- Carving ------------------------------------------------------------ */

/* As memchr_inv(), for memory that KASAN lets nobody read. */
static bool is_filled(const u8 *ptr, u8 byte, size_t nr)
{
	while (nr && *ptr == byte) {
		ptr++;
		nr--;
	}
	return !nr;
}

static void virgin_memory_is_never_touched(struct kunit *test)
{
	struct kheap *heap = pool_heap(test);
	void *first = kheap_test_alloc(test, heap, SIZE), *next;
	struct kheap_pool *pool = kheap_pool_of(first);
	unsigned int i;

	KUNIT_EXPECT_PTR_EQ(test, first, pool->base);
	KUNIT_EXPECT_EQ(test, pool->nextoffset, SIZE);
	memset(pool->base + SIZE, 0xa5, PAGE_SIZE - SIZE);
	for (i = 1; i < NR_BLOCKS; i++) {
		next = kheap_test_alloc(test, heap, SIZE);
		KUNIT_EXPECT_PTR_EQ(test, next, first + i * SIZE);
		KUNIT_EXPECT_EQ(test, pool->nextoffset, (i + 1) * SIZE);
		/* But for the word that was its mark on the way out. */
		KUNIT_EXPECT_EQ(test, kheap_test_word(next), 0ull);
		KUNIT_EXPECT_TRUE(test, is_filled(next + 8, 0xa5,
						  PAGE_SIZE - i * SIZE - 8));
	}
	for (i = 0; i < NR_BLOCKS; i++)
		kheap_free(heap, first + i * SIZE);
}

static void free_block_serves_before_virgin_memory(struct kunit *test)
{
	struct kheap *heap = pool_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 3);

	kheap_free(heap, blocks[1]);
	KUNIT_EXPECT_PTR_EQ(test, kheap_test_alloc(test, heap, SIZE),
			    blocks[1]);
	KUNIT_EXPECT_EQ(test, kheap_pool_of(blocks[0])->nextoffset, 3 * SIZE);
	kheap_test_free_many(heap, blocks, 3);
}

static void last_freed_block_serves_first(struct kunit *test)
{
	struct kheap *heap = pool_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, NR_BLOCKS);
	static const unsigned int order[] = { 3, 0, 6, 1 };
	int i;

	for (i = 0; i < ARRAY_SIZE(order); i++)
		kheap_free(heap, blocks[order[i]]);
	for (i = ARRAY_SIZE(order) - 1; i >= 0; i--)
		KUNIT_EXPECT_PTR_EQ(test, kheap_test_alloc(test, heap, SIZE),
				    blocks[order[i]]);
	kheap_test_free_many(heap, blocks, NR_BLOCKS);
}

static void free_block_keeps_all_but_its_mark(struct kunit *test)
{
	struct kheap *heap = pool_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 2);
	u8 *block = blocks[0], copy[SIZE];

	if (want_init_on_free())
		kunit_skip(test, "init_on_free");
	memset(block, 0x5a, SIZE);
	kheap_free(heap, block);
	/* KASAN does not see this one. */
	__memcpy(copy, block, SIZE);
	KUNIT_EXPECT_NULL(test, memchr_inv(copy + 8, 0x5a, SIZE - 8));
	kheap_free(heap, blocks[1]);
}

static void block_is_allocated_while_it_is_out(struct kunit *test)
{
	struct kheap *heap = pool_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, 8, 512);
	struct kheap_pool *pool = kheap_pool_of(blocks[0]);
	unsigned int i;

	for (i = 0; i < 512; i++)
		KUNIT_EXPECT_TRUE(test, is_allocated(pool, i));
	for (i = 1; i < 512; i += 2)
		kheap_free(heap, blocks[i]);
	for (i = 0; i < 512; i++)
		KUNIT_EXPECT_EQ(test, is_allocated(pool, i), !(i & 1));
	KUNIT_EXPECT_FALSE(test, is_allocated(pool, 512));
	for (i = 0; i < 512; i += 2)
		kheap_free(heap, blocks[i]);
}

/* --- States ------------------------------------------------------------- */

static void pool_first_block_makes_it_used(struct kunit *test)
{
	struct kheap *heap = pool_heap(test);
	void *block = kheap_test_alloc(test, heap, SIZE);
	struct kheap_pool *pool = kheap_pool_of(block);

	KUNIT_EXPECT_EQ(test, pool->state, KHEAP_POOL_USED);
	KUNIT_EXPECT_EQ(test, pool->nr_used, 1);
	KUNIT_EXPECT_TRUE(test, is_listed(pool, 0));
	kheap_free(heap, block);
}

static void pool_last_block_makes_it_full_and_unlisted(struct kunit *test)
{
	struct kheap *heap = pool_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, NR_BLOCKS - 1);
	struct kheap_pool *pool = kheap_pool_of(blocks[0]);
	void *last;

	KUNIT_EXPECT_EQ(test, pool->state, KHEAP_POOL_USED);
	last = kheap_test_alloc(test, heap, SIZE);
	KUNIT_EXPECT_EQ(test, pool->state, KHEAP_POOL_FULL);
	KUNIT_EXPECT_TRUE(test, list_empty(&pool->list));
	kheap_free(heap, last);
	kheap_test_free_many(heap, blocks, NR_BLOCKS - 1);
}

static void full_pool_first_free_makes_it_used(struct kunit *test)
{
	struct kheap *heap = pool_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, NR_BLOCKS);
	struct kheap_pool *pool = kheap_pool_of(blocks[0]);

	kheap_free(heap, blocks[5]);
	KUNIT_EXPECT_EQ(test, pool->state, KHEAP_POOL_USED);
	KUNIT_EXPECT_TRUE(test, is_listed(pool, KHEAP_NR_FILLS - 1));
	KUNIT_EXPECT_PTR_EQ(test, kheap_test_alloc(test, heap, SIZE),
			    blocks[5]);
	KUNIT_EXPECT_EQ(test, pool->state, KHEAP_POOL_FULL);
	kheap_test_free_many(heap, blocks, NR_BLOCKS);
}

static void pool_last_free_returns_pool_to_arena(struct kunit *test)
{
	struct kheap *heap = pool_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, NR_BLOCKS);
	struct kheap_pool *pool = kheap_pool_of(blocks[0]);
	unsigned int nr_freepools = pool->arena->nr_freepools;

	kheap_test_free_many(heap, blocks, NR_BLOCKS - 1);
	KUNIT_EXPECT_EQ(test, pool->state, KHEAP_POOL_USED);
	KUNIT_EXPECT_EQ(test, pool->arena->nr_freepools, nr_freepools);
	kheap_free(heap, blocks[NR_BLOCKS - 1]);
	KUNIT_EXPECT_EQ(test, pool->state, KHEAP_POOL_EMPTY);
	KUNIT_EXPECT_PTR_EQ(test, pool->class, &kheap_cold_class);
	KUNIT_EXPECT_EQ(test, pool->arena->nr_freepools, nr_freepools + 1);
	KUNIT_EXPECT_PTR_EQ(test, list_first_entry(&pool->arena->freepools,
						   struct kheap_pool, list),
			    pool);
}

/* The class owns pools of one block only: from full to empty and back. */
static void pool_of_one_block_goes_from_full_to_empty(struct kunit *test)
{
	struct kheap *heap = pool_heap(test);
	struct kheap_cache *cache = kheap_cache_create(heap, "one", PAGE_SIZE,
						       0, 0, NULL);
	struct kheap_pool *pool;
	void *block;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	block = kheap_cache_alloc(cache, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, block);
	pool = kheap_pool_of(block);
	KUNIT_EXPECT_EQ(test, pool->state, KHEAP_POOL_FULL);
	kheap_cache_free(cache, block);
	KUNIT_EXPECT_EQ(test, pool->state, KHEAP_POOL_EMPTY);
}

static void used_pool_is_listed_by_its_quarter(struct kunit *test)
{
	struct kheap *heap = pool_heap(test);
	void **blocks = kunit_kcalloc(test, 512, sizeof(*blocks), GFP_KERNEL);
	struct kheap_pool *pool;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, blocks);
	for (i = 0; i < 511; i++) {
		blocks[i] = kheap_test_alloc(test, heap, 8);
		pool = kheap_pool_of(blocks[0]);
		KUNIT_ASSERT_TRUE(test, is_listed(pool, (i + 1) / 128));
	}
	for (; i > 1; i--) {
		kheap_free(heap, blocks[i - 1]);
		KUNIT_ASSERT_TRUE(test, is_listed(pool, (i - 1) / 128));
	}
	kheap_free(heap, blocks[0]);
}

static void fullest_pool_serves_first(struct kunit *test)
{
	struct kheap *heap = pool_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 3 * NR_BLOCKS);
	static const unsigned int nr_left[] = { 1, 6, 3 };
	unsigned int i, j;
	void *block;

	for (i = 0; i < 3; i++)
		for (j = nr_left[i]; j < NR_BLOCKS; j++)
			kheap_free(heap, blocks[i * NR_BLOCKS + j]);
	for (i = 0; i < 2; i++) {
		block = kheap_test_alloc(test, heap, SIZE);
		KUNIT_EXPECT_PTR_EQ(test, kheap_pool_of(block),
				    kheap_pool_of(blocks[NR_BLOCKS]));
		blocks[NR_BLOCKS + 6 + i] = block;
	}
	block = kheap_test_alloc(test, heap, SIZE);
	KUNIT_EXPECT_PTR_EQ(test, kheap_pool_of(block),
			    kheap_pool_of(blocks[2 * NR_BLOCKS]));
	kheap_free(heap, block);
	kheap_test_free_many(heap, blocks + NR_BLOCKS, NR_BLOCKS + 3);
	kheap_free(heap, blocks[0]);
}

/* Marks and parked bits of another number, in another place, and back again. */
static void empty_pool_serves_another_class(struct kunit *test)
{
	static const unsigned int sizes[] = { 8, 512, 16, 8, 64, 24, 8 };
	struct kheap *heap = pool_heap(test);
	struct kheap_pool *pool = NULL;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned int nr = PAGE_SIZE / sizes[i];
		void **blocks = kheap_test_alloc_many(test, heap, sizes[i], nr);

		if (!pool)
			pool = kheap_pool_of(blocks[0]);
		KUNIT_EXPECT_PTR_EQ(test, kheap_pool_of(blocks[nr - 1]), pool);
		KUNIT_EXPECT_EQ(test, pool->class->size, sizes[i]);
		kheap_test_expect_sound(test, heap);
		kheap_test_free_many(heap, blocks, nr);
		KUNIT_EXPECT_EQ(test, pool->state, KHEAP_POOL_EMPTY);
	}
}

/* --- Links -------------------------------------------------------------- */

/* Xor the mark of a free block. */
static void flip(void *block, u64 mask)
{
	kheap_test_set_word(block, kheap_test_word(block) ^ mask);
}

/*
 * Two blocks freed; the second one's link leads to the first one. Return what
 * its mark has that is not its place's.
 */
static u64 freed_mark(struct kunit *test, struct kheap *heap)
{
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 3);
	u64 mark;

	kheap_free(heap, blocks[0]);
	kheap_free(heap, blocks[1]);
	mark = kheap_test_word(blocks[1]) ^ (unsigned long)blocks[1];
	KUNIT_EXPECT_EQ(test, kheap_link_next(kheap_pool_of(blocks[1]), 1), 0);
	KUNIT_EXPECT_EQ(test, kheap_link_next(kheap_pool_of(blocks[1]), 0),
			KHEAP_LINK_END);
	kheap_free(heap, blocks[2]);
	return mark;
}

/* The place is the same, only the secret is not. */
static void mark_of_a_free_block_depends_on_the_secret(struct kunit *test)
{
	struct kheap *heap = pool_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 2);
	u64 before;

	kheap_free(heap, blocks[1]);
	before = kheap_test_word(blocks[1]);
	KUNIT_ASSERT_PTR_EQ(test, kheap_test_alloc(test, heap, SIZE),
			    blocks[1]);
	kheap_pool_of(blocks[1])->class->key ^= 0x0102030400000000ul;
	kheap_free(heap, blocks[1]);
	KUNIT_EXPECT_EQ(test, kheap_test_word(blocks[1]) ^ before,
			0x0102030400000000ull);
	kheap_free(heap, blocks[0]);
}

/* In its upper half too: who knows one heap's marks knows no other's. */
static void mark_of_a_free_block_differs_from_heap_to_heap(struct kunit *test)
{
	unsigned int i, j;
	u64 marks[4];

	for (i = 0; i < ARRAY_SIZE(marks); i++) {
		marks[i] = freed_mark(test, pool_heap(test));
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_NE(test, marks[i] >> 32, marks[j] >> 32);
	}
}

struct damage {
	struct kheap *heap;
	struct kheap_pool *pool;
	void **blocks;
};

/*
 * A full pool with a pattern in every block, of which 6, then 2 are freed, and
 * the mark of 2 is xored with @mask.
 */
static struct damage damaged_pool(struct kunit *test, u64 mask)
{
	struct damage d = { .heap = pool_heap(test) };
	unsigned int i;

	d.blocks = kheap_test_alloc_many(test, d.heap, SIZE, NR_BLOCKS);
	d.pool = kheap_pool_of(d.blocks[0]);
	for (i = 0; i < NR_BLOCKS; i++)
		memset(d.blocks[i], i, SIZE);
	kheap_free(d.heap, d.blocks[6]);
	kheap_free(d.heap, d.blocks[2]);
	flip(d.blocks[2], mask);
	return d;
}

/* Free what is still allocated of a damaged pool: its memory is regained. */
static void free_rest(struct kunit *test, struct damage *d)
{
	struct kheap_stats stats;
	unsigned int i;

	for (i = 0; i < NR_BLOCKS; i++)
		if (i != 2 && i != 6)
			kheap_free(d->heap, d->blocks[i]);
	stats = kheap_test_stats(d->heap);
	KUNIT_EXPECT_EQ(test, stats.nr_pools_quarantined, 0);
	KUNIT_EXPECT_EQ(test, stats.quarantined_bytes, 0);
}

/* The pool is out of use, its blocks are fine, and the heap works on. */
static void expect_quarantined(struct kunit *test, struct damage *d,
			       unsigned int nr_lost)
{
	void *block = kheap_test_alloc(test, d->heap, SIZE);
	struct kheap_stats stats = kheap_test_stats(d->heap);
	unsigned int i;

	KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(block), d->pool);
	KUNIT_EXPECT_EQ(test, d->pool->state, KHEAP_POOL_QUARANTINED);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(d->heap, KHEAP_BAD_LINK), 1);
	KUNIT_EXPECT_EQ(test, stats.nr_pools_quarantined, 1);
	KUNIT_EXPECT_EQ(test, stats.quarantined_bytes, nr_lost * SIZE);
	KUNIT_EXPECT_EQ(test, kheap_test_sum(&stats), stats.held_bytes);
	for (i = 0; i < NR_BLOCKS; i++)
		if (i != 2 && i != 6)
			KUNIT_EXPECT_NULL(test, memchr_inv(d->blocks[i], i,
							   SIZE));
	kheap_test_expect_sound(test, d->heap);
	kheap_free(d->heap, block);
}

/* A mark with this bit flipped is none. */
#define WRONG	BIT_ULL(40)

static void overwritten_mark_is_quarantined_and_regained(struct kunit *test)
{
	struct damage d = damaged_pool(test, 0);
	void *last;

	memset(d.blocks[2], 0xff, SIZE);
	expect_quarantined(test, &d, 2);
	free_rest(test, &d);
	KUNIT_EXPECT_EQ(test, d.pool->state, KHEAP_POOL_EMPTY);
	last = kheap_test_alloc(test, d.heap, SIZE);
	KUNIT_EXPECT_PTR_EQ(test, kheap_pool_of(last), d.pool);
	kheap_free(d.heap, last);
}

/* The pool that is to serve is damaged; there is no memory but in the other. */
static void damaged_pool_does_not_hide_a_good_one(struct kunit *test)
{
	struct damage d = damaged_pool(test, WRONG);
	void **other, *block;
	unsigned int i;

	flip(d.blocks[2], WRONG);	/* good again, until there is another */
	d.blocks[2] = kheap_test_alloc(test, d.heap, SIZE);
	d.blocks[6] = kheap_test_alloc(test, d.heap, SIZE);
	other = kheap_test_alloc_many(test, d.heap, SIZE, NR_BLOCKS);
	KUNIT_ASSERT_PTR_NE(test, kheap_pool_of(other[0]), d.pool);
	/* With two blocks in use it serves after one with six. */
	for (i = 2; i < NR_BLOCKS; i++)
		kheap_free(d.heap, other[i]);
	kheap_free(d.heap, d.blocks[6]);
	kheap_free(d.heap, d.blocks[2]);
	flip(d.blocks[2], WRONG);
	kheap_test_source(d.heap)->fail_all = true;
	block = kheap_alloc(d.heap, SIZE, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, block);
	KUNIT_EXPECT_PTR_EQ(test, kheap_pool_of(block), kheap_pool_of(other[0]));
	KUNIT_EXPECT_EQ(test, kheap_test_refused(d.heap, KHEAP_BAD_LINK), 1);
	KUNIT_EXPECT_EQ(test, d.pool->state, KHEAP_POOL_QUARANTINED);
	kheap_free(d.heap, block);
	kheap_test_free_many(d.heap, other, 2);
	free_rest(test, &d);
}

/*
 * As a pool is left that became empty where nothing may be freed, on PREEMPT_RT:
 * with bits outside its descriptor. They go with its page.
 */
static void bits_of_an_empty_pool_go_with_its_page(struct kunit *test)
{
	struct kheap *heap = pool_heap(test);
	struct kheap_test_source *source = kheap_test_source(heap);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 2 * NR_BLOCKS);
	struct kheap_pool *pool = kheap_pool_of(blocks[NR_BLOCKS]);
	long before, *bits = kzalloc(256, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, bits);
	KUNIT_ASSERT_PTR_NE(test, kheap_pool_of(blocks[0]), pool);
	kheap_test_free_many(heap, blocks + NR_BLOCKS, NR_BLOCKS);
	KUNIT_ASSERT_EQ(test, pool->state, KHEAP_POOL_EMPTY);
	before = atomic_long_read(&source->nr_pages_out);
	pool->map = (unsigned long)bits;
	pool->sz_map = 256 / sizeof(long);
	atomic_long_add(256, &heap->base.metadata_bytes);
	atomic_long_add(256, &heap->base.held_bytes);
	kheap_trim(heap);
	KUNIT_EXPECT_LT(test, atomic_long_read(&source->nr_pages_out), before);
	KUNIT_EXPECT_EQ(test, pool->state, KHEAP_POOL_HOLE);
	/* kmemleak and the account at the heap's end know if they are lost. */
	KUNIT_EXPECT_EQ(test, pool->sz_map, 0);
	kheap_test_free_many(heap, blocks, NR_BLOCKS);
}

static void corrupted_link_report_names_heap_and_class(struct kunit *test)
{
	struct damage d = damaged_pool(test, WRONG);
	char text[KHEAP_NAME_MAX + 32];

	kheap_test_watch_log(test);
	expect_quarantined(test, &d, 2);
	snprintf(text, sizeof(text), "heap '%s': refused: ", d.heap->base.name);
	KHEAP_EXPECT_LOGGED(test, text);
	KHEAP_EXPECT_LOGGED(test, "was written to while it was free");
	KHEAP_EXPECT_LOGGED(test, "size class, blocks of 512 bytes");
	free_rest(test, &d);
}

static const unsigned int bits[] = {
	 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15,
	16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
	32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
	48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63,
};

static void bit_desc(const unsigned int *bit, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "bit_%u", *bit);
}

KHEAP_TEST_SWEEP_PARAM(bit, bits, bit_desc, 5);

/*
 * The lowest 16 are the link: then the block's mark is good, and what the link
 * leads to is found to be no free block.
 */
static void mark_with_a_flipped_bit_is_found(struct kunit *test)
{
	const unsigned int *bit = test->param_value;
	struct damage d = damaged_pool(test, BIT_ULL(*bit));
	void *block = NULL;

	if (*bit < 16) {
		block = kheap_test_alloc(test, d.heap, SIZE);
		KUNIT_EXPECT_PTR_EQ(test, block, d.blocks[2]);
	}
	expect_quarantined(test, &d, block ? 1 : 2);
	kheap_free(d.heap, block);
	free_rest(test, &d);
}

static const unsigned int forged[] = {
	0, 1, 2, 7, 8, 9, 100, 0xfffc, KHEAP_LINK_END,
};

static void forged_desc(const unsigned int *next, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "index_%u", *next);
}

KUNIT_ARRAY_PARAM(forged, forged, forged_desc);

/*
 * As if the secret were known. The block that was written to is still good; the
 * one it leads to is not, or there is none while there should be one.
 */
static void forged_link_to_no_free_block_is_found(struct kunit *test)
{
	const unsigned int *next = test->param_value;
	struct damage d = damaged_pool(test, *next ^ 6);
	void *block = kheap_test_alloc(test, d.heap, SIZE);

	KUNIT_EXPECT_PTR_EQ(test, block, d.blocks[2]);
	memset(block, 2, SIZE);
	expect_quarantined(test, &d, 1);
	KUNIT_EXPECT_NULL(test, memchr_inv(block, 2, SIZE));
	kheap_free(d.heap, block);
	free_rest(test, &d);
}

/* What is there may be the mark of a block that the page once had. */
static void forged_link_to_a_block_never_carved_is_found(struct kunit *test)
{
	struct kheap *heap = pool_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 3), *other;
	struct kheap_pool *pool = kheap_pool_of(blocks[0]);

	kheap_free(heap, blocks[0]);
	kheap_free(heap, blocks[1]);
	kheap_mark_set_link(pool->class, blocks[1], 3);
	kheap_mark_set_link(pool->class, blocks[2] + SIZE, KHEAP_LINK_END);
	KUNIT_EXPECT_PTR_EQ(test, kheap_test_alloc(test, heap, SIZE),
			    blocks[1]);
	other = kheap_test_alloc(test, heap, SIZE);
	KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(other), pool);
	KUNIT_EXPECT_EQ(test, pool->state, KHEAP_POOL_QUARANTINED);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_LINK), 1);
	kheap_free(heap, other);
	kheap_test_free_many(heap, blocks + 1, 2);
}

/* The marks of blocks that are in no list: the one of a cache, and of an NMI. */
static const unsigned int unlisted[] = { KHEAP_LINK_CACHED, KHEAP_LINK_WAITS };

KUNIT_ARRAY_PARAM(unlisted, unlisted, forged_desc);

/* A list that a block in a cache is in would be in two places. */
static void listed_block_with_the_mark_of_no_list_is_found(struct kunit *test)
{
	const unsigned int *link = test->param_value;
	struct damage d = damaged_pool(test, 0);

	kheap_mark_set_link(d.pool->class, d.blocks[2], *link);
	expect_quarantined(test, &d, 2);
	free_rest(test, &d);
}

/*
 * A ring among the free blocks, forged with the right key: a refill would put a
 * block into the magazine twice.
 */
static void forged_ring_of_free_blocks_is_found(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, NR_BLOCKS);
	struct kheap_pool *pool = kheap_pool_of(blocks[0]);
	unsigned int first, third, i, j;
	void *again[8];

	for (i = 1; i < NR_BLOCKS; i++)
		kheap_free(heap, blocks[i]);
	kheap_class_drain(pool->class, false);
	first = pool->freeblock;
	third = kheap_link_next(pool, kheap_link_next(pool, first));
	kheap_mark_set_link(pool->class, pool->base + third * SIZE, first);
	for (i = 0; i < ARRAY_SIZE(again); i++) {
		again[i] = kheap_test_alloc(test, heap, SIZE);
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_PTR_NE(test, again[i], again[j]);
	}
	KUNIT_EXPECT_EQ(test, pool->state, KHEAP_POOL_QUARANTINED);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_LINK), 1);
	for (i = 0; i < ARRAY_SIZE(again); i++)
		kheap_free(heap, again[i]);
	kheap_free(heap, blocks[0]);
}

static void check_reports_a_corrupted_link(struct kunit *test)
{
	struct damage d = damaged_pool(test, 0x10);

	kheap_test_watch_log(test);
	KUNIT_EXPECT_GT(test, kheap_check(d.heap), 0);
	KHEAP_EXPECT_LOGGED(test, "check: violated");
	KHEAP_EXPECT_LOGGED(test, "links lead to free, carved blocks");
	flip(d.blocks[2], 0x10);
	KUNIT_EXPECT_EQ(test, kheap_check(d.heap), 0);
	free_rest(test, &d);
}

static void damage_in_one_heap_leaves_others_alone(struct kunit *test)
{
	struct kheap *other = pool_heap(test);
	void **blocks = kheap_test_alloc_many(test, other, SIZE, NR_BLOCKS);
	struct damage d = damaged_pool(test, ~0ull << 16);

	expect_quarantined(test, &d, 2);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(other), 0);
	kheap_test_expect_sound(test, other);
	kheap_test_free_many(other, blocks, NR_BLOCKS);
	free_rest(test, &d);
}

static struct kunit_case pool_cases[] = {
	KUNIT_CASE(virgin_memory_is_never_touched),
	KUNIT_CASE(free_block_serves_before_virgin_memory),
	KUNIT_CASE(last_freed_block_serves_first),
	KUNIT_CASE(free_block_keeps_all_but_its_mark),
	KUNIT_CASE(block_is_allocated_while_it_is_out),
	KUNIT_CASE(pool_first_block_makes_it_used),
	KUNIT_CASE(pool_last_block_makes_it_full_and_unlisted),
	KUNIT_CASE(full_pool_first_free_makes_it_used),
	KUNIT_CASE(pool_last_free_returns_pool_to_arena),
	KUNIT_CASE(pool_of_one_block_goes_from_full_to_empty),
	KUNIT_CASE(used_pool_is_listed_by_its_quarter),
	KUNIT_CASE(fullest_pool_serves_first),
	KUNIT_CASE(empty_pool_serves_another_class),
	KUNIT_CASE(mark_of_a_free_block_depends_on_the_secret),
	KUNIT_CASE(mark_of_a_free_block_differs_from_heap_to_heap),
	KUNIT_CASE(overwritten_mark_is_quarantined_and_regained),
	KUNIT_CASE(damaged_pool_does_not_hide_a_good_one),
	KUNIT_CASE(bits_of_an_empty_pool_go_with_its_page),
	KUNIT_CASE(corrupted_link_report_names_heap_and_class),
	KUNIT_CASE_PARAM(mark_with_a_flipped_bit_is_found, bit_gen_params),
	KUNIT_CASE_PARAM(forged_link_to_no_free_block_is_found,
			 forged_gen_params),
	KUNIT_CASE(forged_link_to_a_block_never_carved_is_found),
	KUNIT_CASE_PARAM(listed_block_with_the_mark_of_no_list_is_found,
			 unlisted_gen_params),
	KUNIT_CASE(forged_ring_of_free_blocks_is_found),
	KUNIT_CASE(check_reports_a_corrupted_link),
	KUNIT_CASE(damage_in_one_heap_leaves_others_alone),
	{}
};

static struct kunit_suite pool_suite = {
	.name = "kheap_pool",
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = pool_cases,
};

kunit_test_suite(pool_suite);
