// SPDX-License-Identifier: GPL-2.0
/*
 * Arenas: where pools come from, in which order, and how their pages go back.
 * Blocks of 512 bytes without per-CPU caches: eight of them are a pool.
 */
#include <linux/string.h>

#include "helpers.h"

#define SIZE		512
#define POOL		8	/* blocks of SIZE in a pool */
#define ARENA		(POOL * KHEAP_ARENA_POOLS)

static struct kheap *arena_heap(struct kunit *test)
{
	return kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
}

static int allocs(struct kheap *heap, unsigned int order)
{
	return atomic_read(&kheap_test_source(heap)->nr_allocs[order]);
}

static int frees(struct kheap *heap, unsigned int order)
{
	return atomic_read(&kheap_test_source(heap)->nr_frees[order]);
}

static long pages_out(struct kheap *heap)
{
	return atomic_long_read(&kheap_test_source(heap)->nr_pages_out);
}

/* --- Taking ------------------------------------------------------------- */

static void first_block_takes_64_pages_in_one_piece(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	void *block = kheap_test_alloc(test, heap, SIZE);
	struct kheap_stats stats = kheap_test_stats(heap);

	KUNIT_EXPECT_EQ(test, atomic_read(&kheap_test_source(heap)->nr_calls),
			1);
	KUNIT_EXPECT_EQ(test, allocs(heap, KHEAP_ARENA_ORDER), 1);
	KUNIT_EXPECT_EQ(test, stats.nr_arenas, 1);
	KUNIT_EXPECT_EQ(test, stats.nr_pools, KHEAP_ARENA_POOLS);
	KUNIT_EXPECT_EQ(test, stats.nr_pools_empty, KHEAP_ARENA_POOLS - 1);
	kheap_free(heap, block);
}

static void fresh_heap_takes_no_pages(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);

	KUNIT_EXPECT_EQ(test, atomic_read(&kheap_test_source(heap)->nr_calls),
			0);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_arenas, 0);
}

static const unsigned int orders[] = { 0, 1, 2, 3, 4, 5, 6 };

static void order_desc(const unsigned int *order, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order_%u", *order);
}

KUNIT_ARRAY_PARAM(order, orders, order_desc);

static void high_orders_refused_takes_what_there_is(struct kunit *test)
{
	unsigned int order = *(const unsigned int *)test->param_value;
	struct kheap *heap = arena_heap(test);
	struct kheap_test_source *source = kheap_test_source(heap);
	void **blocks;

	source->max_order = order;
	blocks = kheap_test_alloc_many(test, heap, SIZE, POOL << order);
	KUNIT_EXPECT_EQ(test, allocs(heap, order), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&source->nr_refused), 6 - order);
	KUNIT_EXPECT_EQ(test, pages_out(heap), 1 << order);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_pools, 1 << order);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_pools_empty, 0);
	kheap_test_expect_sound(test, heap);
	kheap_test_free_many(heap, blocks, POOL << order);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, frees(heap, order), 1);
	KUNIT_EXPECT_EQ(test, pages_out(heap), 0);
}

static void no_pages_fails_and_is_counted(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	struct kheap_test_source *source = kheap_test_source(heap);
	void *block;

	source->fail_all = true;
	KUNIT_EXPECT_NULL(test, kheap_alloc(heap, SIZE, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, atomic_read(&source->nr_calls), 7);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_failed, 1);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_arenas, 0);
	kheap_test_expect_sound(test, heap);
	source->fail_all = false;
	block = kheap_test_alloc(test, heap, SIZE);
	kheap_free(heap, block);
}

static void no_pages_leaves_what_is_there_to_use(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	void **blocks;

	kheap_free(heap, kheap_test_alloc(test, heap, SIZE));
	kheap_test_source(heap)->fail_all = true;
	blocks = kheap_test_alloc_many(test, heap, SIZE, ARENA);
	KUNIT_EXPECT_NULL(test, kheap_alloc(heap, SIZE, GFP_KERNEL));
	kheap_test_free_many(heap, blocks, ARENA);
}

static void atomic_context_asks_for_less(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	struct kheap_test_source *source = kheap_test_source(heap);
	void *block = kheap_alloc(heap, SIZE, GFP_ATOMIC);

	KUNIT_ASSERT_NOT_NULL(test, block);
	KUNIT_EXPECT_EQ(test, source->first_order, PAGE_ALLOC_COSTLY_ORDER);
	KUNIT_EXPECT_FALSE(test, source->last_gfp & __GFP_DIRECT_RECLAIM);
	kheap_free(heap, block);
}

static void only_the_smallest_request_tries_hard(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	struct kheap_test_source *source = kheap_test_source(heap);
	void *block = kheap_zalloc(heap, SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, block);
	KUNIT_EXPECT_FALSE(test, source->last_gfp &
				 (__GFP_DIRECT_RECLAIM | __GFP_ZERO));
	KUNIT_EXPECT_TRUE(test, source->last_gfp & __GFP_NORETRY);
	KUNIT_EXPECT_TRUE(test, source->last_gfp & __GFP_NOWARN);
	kheap_free(heap, block);
	kheap_trim(heap);
	source->max_order = 0;
	block = kheap_zalloc(heap, SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, block);
	KUNIT_EXPECT_EQ(test, source->last_gfp, GFP_KERNEL);
	kheap_free(heap, block);
}

static void account_flag_reaches_the_page_source(struct kunit *test)
{
	struct kheap *plain = arena_heap(test);
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_ACCOUNT, 0);
	void *block;

	kheap_free(plain, kheap_test_alloc(test, plain, SIZE));
	KUNIT_EXPECT_FALSE(test, kheap_test_source(plain)->last_gfp &
				 __GFP_ACCOUNT);
	kheap_free(heap, kheap_test_alloc(test, heap, SIZE));
	KUNIT_EXPECT_TRUE(test, kheap_test_source(heap)->last_gfp &
				__GFP_ACCOUNT);
	kheap_trim(plain);
	block = kheap_alloc(plain, SIZE, GFP_KERNEL_ACCOUNT);
	KUNIT_EXPECT_TRUE(test, kheap_test_source(plain)->last_gfp &
				__GFP_ACCOUNT);
	kheap_free(plain, block);
}

/* Each page has its own charge, and goes back on its own. */
static void accounted_arena_is_separate_pages(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_ACCOUNT, 0);
	struct kheap_test_source *source = kheap_test_source(heap);

	kheap_free(heap, kheap_test_alloc(test, heap, SIZE));
	KUNIT_EXPECT_EQ(test, atomic_read(&source->nr_allocs[KHEAP_ARENA_ORDER]),
			1);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, atomic_read(&source->nr_frees[KHEAP_ARENA_ORDER]),
			0);
	KUNIT_EXPECT_EQ(test, atomic_read(&source->nr_frees[0]),
			KHEAP_ARENA_POOLS);
}

/* --- Order -------------------------------------------------------------- */

/* Free the last @nr pools' blocks of arena @i. */
static void free_pools(struct kheap *heap, void **blocks, unsigned int i,
		       unsigned int nr)
{
	kheap_test_free_many(heap, blocks + i * ARENA, nr * POOL);
}

static void fullest_arena_serves_first(struct kunit *test)
{
	static const unsigned int nr_free[] = { 10, 5, 20 };
	static const unsigned int order[] = { 1, 0, 2 };
	struct kheap *heap = arena_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 3 * ARENA);
	struct kheap_arena *arenas[3];
	unsigned int i, j, k;

	for (i = 0; i < 3; i++) {
		arenas[i] = kheap_pool_of(blocks[i * ARENA])->arena;
		free_pools(heap, blocks, i, nr_free[i]);
		KUNIT_EXPECT_EQ(test, arenas[i]->nr_freepools, nr_free[i]);
	}
	kheap_test_expect_sound(test, heap);
	for (i = 0; i < 3; i++) {
		unsigned int which = order[i];

		for (j = 0; j < nr_free[which]; j++)
			for (k = 0; k < POOL; k++) {
				void *block = kheap_test_alloc(test, heap, SIZE);

				KUNIT_EXPECT_PTR_EQ(test,
						    kheap_pool_of(block)->arena,
						    arenas[which]);
				blocks[which * ARENA + j * POOL + k] = block;
			}
	}
	KUNIT_EXPECT_EQ(test, allocs(heap, KHEAP_ARENA_ORDER), 3);
	kheap_test_free_many(heap, blocks, 3 * ARENA);
}

static void full_arenas_are_not_usable(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, ARENA);
	struct kheap_arena *arena = kheap_pool_of(blocks[0])->arena;
	void *next;

	KUNIT_EXPECT_EQ(test, arena->nr_freepools, 0);
	KUNIT_EXPECT_TRUE(test, bitmap_empty(arena->set->usable_map,
					     KHEAP_ARENA_POOLS + 1));
	next = kheap_test_alloc(test, heap, SIZE);
	KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(next)->arena, arena);
	kheap_free(heap, next);
	kheap_test_free_many(heap, blocks, ARENA);
}

static void last_returned_pool_serves_first(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 4 * POOL);
	struct kheap_pool *pool = kheap_pool_of(blocks[2 * POOL]);
	void *block;

	kheap_test_free_many(heap, blocks + POOL, POOL);
	kheap_test_free_many(heap, blocks + 2 * POOL, POOL);
	block = kheap_test_alloc(test, heap, 64);
	KUNIT_EXPECT_PTR_EQ(test, kheap_pool_of(block), pool);
	kheap_free(heap, block);
	kheap_test_free_many(heap, blocks, POOL);
	kheap_test_free_many(heap, blocks + 3 * POOL, POOL);
}

/* --- Giving back -------------------------------------------------------- */

static void empty_arenas_go_back_in_one_piece_but_one(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 4 * ARENA);

	KUNIT_EXPECT_EQ(test, allocs(heap, KHEAP_ARENA_ORDER), 4);
	kheap_test_free_many(heap, blocks, 4 * ARENA);
	KUNIT_EXPECT_EQ(test, frees(heap, KHEAP_ARENA_ORDER), 3);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_arenas, 1);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).empty_bytes,
			PAGE_SIZE << KHEAP_ARENA_ORDER);
	KUNIT_EXPECT_EQ(test, kheap_trim(heap),
			PAGE_SIZE << KHEAP_ARENA_ORDER);
	KUNIT_EXPECT_EQ(test, frees(heap, KHEAP_ARENA_ORDER), 4);
	KUNIT_EXPECT_EQ(test, frees(heap, 0), 0);
}

static void load_at_the_edge_of_an_arena_takes_it_once(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, ARENA);
	unsigned int i;

	for (i = 0; i < 100; i++)
		kheap_free(heap, kheap_test_alloc(test, heap, SIZE));
	KUNIT_EXPECT_EQ(test, allocs(heap, KHEAP_ARENA_ORDER), 2);
	KUNIT_EXPECT_EQ(test, frees(heap, KHEAP_ARENA_ORDER), 0);
	kheap_test_free_many(heap, blocks, ARENA);
}

static void trim_leaves_a_pinned_page_only_itself(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, ARENA);
	void *pinned = blocks[37 * POOL + 3];
	struct kheap_stats stats;
	unsigned int i;

	memset(pinned, 0x77, SIZE);
	for (i = 0; i < ARENA; i++)
		if (blocks[i] != pinned)
			kheap_free(heap, blocks[i]);
	KUNIT_EXPECT_EQ(test, kheap_trim(heap), 63 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, frees(heap, 0), 63);
	KUNIT_EXPECT_EQ(test, pages_out(heap), 1);
	stats = kheap_test_stats(heap);
	KUNIT_EXPECT_EQ(test, stats.nr_pools, 1);
	KUNIT_EXPECT_EQ(test, stats.nr_holes, 63);
	KUNIT_EXPECT_EQ(test, stats.empty_bytes, 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(pinned, 0x77, SIZE));
	kheap_test_expect_sound(test, heap);
	kheap_free(heap, pinned);
	KUNIT_EXPECT_EQ(test, pages_out(heap), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_arenas, 0);
}

/* The last block is in a magazine: to drain that gives the arena back. */
static void trim_counts_what_goes_back_on_the_way(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks;
	long before;

	kheap_test_stay_on(test, 0);
	blocks = kheap_test_alloc_many(test, heap, SIZE, ARENA);
	kheap_test_free_many(heap, blocks + 1, ARENA - 1);
	kheap_trim(heap);
	kheap_free(heap, blocks[0]);
	before = pages_out(heap);
	KUNIT_ASSERT_EQ(test, before, 1);
	KUNIT_EXPECT_EQ(test, kheap_trim(heap), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, pages_out(heap), 0);
}

/* The kernel warns of such requests for more than two pages. */
static void nofail_is_not_passed_on_for_four_pages(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_test_source *source = kheap_test_source(heap);
	void *blocks[10];	/* a pool has nine */
	unsigned int i;

	source->max_order = 2;
	for (i = 0; i < ARRAY_SIZE(blocks); i++) {
		blocks[i] = kheap_alloc(heap, 1700, GFP_KERNEL | __GFP_NOFAIL);
		KUNIT_ASSERT_NOT_NULL(test, blocks[i]);
	}
	KUNIT_ASSERT_EQ(test, kheap_pool_of(blocks[0])->class->span, 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&source->nr_allocs[2]), 2);
	KUNIT_EXPECT_FALSE(test, source->last_gfp & __GFP_NOFAIL);
	for (i = 0; i < ARRAY_SIZE(blocks); i++)
		kheap_free(heap, blocks[i]);
}

static void trim_again_returns_nothing(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	void *block = kheap_test_alloc(test, heap, SIZE);
	size_t held;

	KUNIT_EXPECT_EQ(test, kheap_trim(heap), 63 * PAGE_SIZE);
	held = kheap_test_stats(heap).held_bytes;
	KUNIT_EXPECT_EQ(test, kheap_trim(heap), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).held_bytes, held);
	kheap_free(heap, block);
}

static void trim_of_a_fresh_heap_returns_nothing(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, kheap_trim(arena_heap(test)), 0);
}

static void trim_returns_what_the_page_source_gets_back(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 3 * ARENA);
	long before;
	size_t bytes;

	free_pools(heap, blocks, 0, 64);	/* the spare */
	free_pools(heap, blocks, 1, 17);
	free_pools(heap, blocks, 2, 1);
	before = pages_out(heap);
	bytes = kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, bytes, (before - pages_out(heap)) * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, bytes, (64 + 17 + 1) * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, frees(heap, KHEAP_ARENA_ORDER), 1);
	kheap_test_free_many(heap, blocks + ARENA + 17 * POOL, 47 * POOL);
	kheap_test_free_many(heap, blocks + 2 * ARENA + POOL, 63 * POOL);
}

static void hole_is_refilled_by_one_page(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, POOL);
	struct kheap_arena *arena = kheap_pool_of(blocks[0])->arena;
	void **more;

	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, arena->nr_holes, 63);
	more = kheap_test_alloc_many(test, heap, SIZE, 2 * POOL);
	KUNIT_EXPECT_EQ(test, allocs(heap, 0), 2);
	KUNIT_EXPECT_EQ(test, allocs(heap, KHEAP_ARENA_ORDER), 1);
	KUNIT_EXPECT_PTR_EQ(test, kheap_pool_of(more[0])->arena, arena);
	KUNIT_EXPECT_PTR_EQ(test, kheap_pool_of(more[2 * POOL - 1])->arena,
			    arena);
	KUNIT_EXPECT_EQ(test, arena->nr_holes, 61);
	kheap_test_expect_sound(test, heap);
	kheap_test_free_many(heap, more, 2 * POOL);
	KUNIT_EXPECT_EQ(test, kheap_trim(heap), 2 * PAGE_SIZE);
	kheap_test_free_many(heap, blocks, POOL);
}

static void refilled_arena_without_holes_goes_back_by_pages(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, POOL);
	struct kheap_arena *arena = kheap_pool_of(blocks[0])->arena;
	void **more;

	kheap_trim(heap);
	more = kheap_test_alloc_many(test, heap, SIZE, 63 * POOL);
	KUNIT_EXPECT_EQ(test, arena->nr_holes, 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&arena->set->holed));
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_holes, 0);
	kheap_test_free_many(heap, more, 63 * POOL);
	kheap_test_free_many(heap, blocks, POOL);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, frees(heap, 0), 63 + 64);
	KUNIT_EXPECT_EQ(test, frees(heap, KHEAP_ARENA_ORDER), 0);
	KUNIT_EXPECT_EQ(test, pages_out(heap), 0);
}

static void refused_refill_fails_and_works_later(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, POOL);
	void *more;

	kheap_trim(heap);
	kheap_test_source(heap)->fail_all = true;
	KUNIT_EXPECT_NULL(test, kheap_alloc(heap, SIZE, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_holes, 63);
	kheap_test_expect_sound(test, heap);
	kheap_test_source(heap)->fail_all = false;
	more = kheap_test_alloc(test, heap, SIZE);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_holes, 62);
	kheap_free(heap, more);
	kheap_test_free_many(heap, blocks, POOL);
}

static void pages_of_holes_belong_to_nobody(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	void *block = kheap_test_alloc(test, heap, SIZE);
	struct kheap_arena *arena = kheap_pool_of(block)->arena;
	void *base = page_address(arena->page);
	unsigned int i;

	for (i = 0; i < KHEAP_ARENA_POOLS; i++)
		KUNIT_EXPECT_PTR_EQ(test, kheap_pool_of(base + i * PAGE_SIZE),
				    kheap_arena_pool(arena, i));
	kheap_trim(heap);
	for (i = 0; i < KHEAP_ARENA_POOLS; i++)
		if (base + i * PAGE_SIZE != kheap_pool_of(block)->base)
			KUNIT_EXPECT_NULL(test, kheap_pool_of(base +
							      i * PAGE_SIZE));
	kheap_free(heap, block);
}

/* --- Descriptors of holes ------------------------------------------------ */

#define CHUNK_BYTES	(KHEAP_CHUNK_POOLS * sizeof(struct kheap_pool))
#define BARE		(KHEAP_ARENA_POOLS - KHEAP_CHUNK_POOLS)

static size_t metadata(struct kheap *heap)
{
	return kheap_test_stats(heap).metadata_bytes;
}

static void pinned_page_keeps_eight_descriptors(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	void *block = kheap_test_alloc(test, heap, SIZE);
	struct kheap_arena *arena = kheap_pool_of(block)->arena;
	size_t before = metadata(heap);

	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, arena->nr_bare, BARE);
	KUNIT_EXPECT_EQ(test, before - metadata(heap),
			(KHEAP_ARENA_CHUNKS - 1) *
			kmalloc_size_roundup(CHUNK_BYTES));
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_holes, 63);
	kheap_test_expect_sound(test, heap);
	kheap_free(heap, block);
}

static void refill_regains_descriptors(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, POOL);
	struct kheap_arena *arena = kheap_pool_of(blocks[0])->arena;
	size_t before = metadata(heap);
	void **more;

	kheap_trim(heap);
	more = kheap_test_alloc_many(test, heap, SIZE, 8 * POOL);
	KUNIT_EXPECT_EQ(test, arena->nr_holes, 55);
	KUNIT_EXPECT_EQ(test, arena->nr_bare, 48);
	kheap_test_expect_sound(test, heap);
	kheap_test_free_many(heap, more, 8 * POOL);
	more = kheap_test_alloc_many(test, heap, SIZE, 63 * POOL);
	KUNIT_EXPECT_EQ(test, arena->nr_bare, 0);
	KUNIT_EXPECT_EQ(test, metadata(heap), before);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_arenas, 1);
	kheap_test_free_many(heap, more, 63 * POOL);
	kheap_test_free_many(heap, blocks, POOL);
}

static void refill_prefers_holes_with_descriptors(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 2 * ARENA);
	struct kheap_arena *few = kheap_pool_of(blocks[0])->arena;
	struct kheap_arena *many = kheap_pool_of(blocks[ARENA])->arena;
	void *more;

	/* Of the one all holes are bare, of the other none is. */
	kheap_test_free_many(heap, blocks + ARENA + POOL, POOL);
	kheap_test_free_many(heap, blocks + KHEAP_CHUNK_POOLS * POOL,
			     BARE * POOL);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, few->nr_bare, few->nr_holes);
	KUNIT_EXPECT_EQ(test, few->nr_bare, BARE);
	KUNIT_EXPECT_EQ(test, many->nr_holes, 1);
	KUNIT_EXPECT_EQ(test, many->nr_bare, 0);
	kheap_test_expect_sound(test, heap);
	more = kheap_test_alloc(test, heap, SIZE);
	KUNIT_EXPECT_PTR_EQ(test, kheap_pool_of(more)->arena, many);
	kheap_free(heap, more);
	kheap_test_free_many(heap, blocks, KHEAP_CHUNK_POOLS * POOL);
	kheap_test_free_many(heap, blocks + ARENA, POOL);
	kheap_test_free_many(heap, blocks + ARENA + 2 * POOL, 62 * POOL);
}

static void descriptors_stay_while_somebody_walks_there(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	void *block = kheap_test_alloc(test, heap, SIZE);
	struct kheap_arena *arena = kheap_pool_of(block)->arena;
	struct kheap_arena_set *set = arena->set;

	KUNIT_ASSERT_PTR_EQ(test, kheap_arena_next(set, NULL), arena);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, arena->nr_holes, 63);
	KUNIT_EXPECT_EQ(test, arena->nr_bare, 0);
	KUNIT_EXPECT_NULL(test, kheap_arena_next(set, arena));
	KUNIT_EXPECT_EQ(test, arena->nr_bare, BARE);
	kheap_test_expect_sound(test, heap);
	kheap_free(heap, block);
}

static void arena_goes_when_the_last_walker_leaves(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	void *block = kheap_test_alloc(test, heap, SIZE);
	struct kheap_arena *arena = kheap_pool_of(block)->arena;
	struct kheap_arena_set *set = arena->set;

	/* With holes it is not kept as the spare one. */
	kheap_trim(heap);
	KUNIT_ASSERT_PTR_EQ(test, kheap_arena_next(set, NULL), arena);
	kheap_free(heap, block);
	KUNIT_ASSERT_EQ(test, kheap_test_stats(heap).nr_arenas, 1);
	KUNIT_EXPECT_EQ(test, pages_out(heap), 1);
	KUNIT_EXPECT_NULL(test, kheap_arena_next(set, arena));
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_arenas, 0);
	KUNIT_EXPECT_EQ(test, pages_out(heap), 0);
}

static void refill_without_memory_for_descriptors_fails(struct kunit *test)
{
	struct kheap *heap = arena_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE,
					      KHEAP_CHUNK_POOLS * POOL);
	struct kheap_arena *arena = kheap_pool_of(blocks[0])->arena;
	void *more;

	kheap_trim(heap);
	KUNIT_ASSERT_EQ(test, arena->nr_holes, arena->nr_bare);
	heap->base.limit_bytes = kheap_test_stats(heap).held_bytes + PAGE_SIZE;
	KUNIT_EXPECT_NULL(test, kheap_alloc(heap, SIZE, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, pages_out(heap), KHEAP_CHUNK_POOLS);
	kheap_test_expect_sound(test, heap);
	heap->base.limit_bytes += kmalloc_size_roundup(CHUNK_BYTES);
	more = kheap_test_alloc(test, heap, SIZE);
	KUNIT_EXPECT_PTR_EQ(test, kheap_pool_of(more)->arena, arena);
	kheap_free(heap, more);
	kheap_test_free_many(heap, blocks, KHEAP_CHUNK_POOLS * POOL);
}

/* --- Pools of several pages --------------------------------------------- */

/* Sizes whose tail is under 1/8 first in pools of this many pages. */
static const struct span_param {
	const char *desc;
	unsigned int span;
	size_t size;
} spans[] = {
	{ "1_page", 0, 1360 },
	{ "2_pages", 1, 2720 },
	{ "4_pages", 2, 3000 },
	{ "8_pages", 3, 6000 },
};

KUNIT_ARRAY_PARAM_DESC(span, spans, desc);

static struct kheap_cache *span_cache(struct kunit *test, struct kheap *heap)
{
	const struct span_param *param = test->param_value;
	struct kheap_cache *cache;

	cache = kheap_cache_create(heap, "span", param->size, 0, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	KUNIT_EXPECT_EQ(test, cache->class.span, param->span);
	return cache;
}

static void **span_objects(struct kunit *test, struct kheap_cache *cache,
			   unsigned int nr)
{
	void **objects = kunit_kcalloc(test, nr, sizeof(*objects), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, objects);
	for (i = 0; i < nr; i++) {
		objects[i] = kheap_cache_alloc(cache, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, objects[i]);
		memset(objects[i], i, cache->class.usable);
	}
	return objects;
}

static void span_pages_all_lead_to_their_pool(struct kunit *test)
{
	const struct span_param *param = test->param_value;
	struct kheap *heap = arena_heap(test);
	struct kheap_cache *cache = span_cache(test, heap);
	unsigned int nr = cache->class.nr_blocks, i;
	void **objects = span_objects(test, cache, nr + 1);
	struct kheap_pool *pool = kheap_pool_of(objects[0]);

	for (i = 0; i < 1U << param->span; i++)
		KUNIT_EXPECT_PTR_EQ(test, kheap_pool_of(pool->base +
							i * PAGE_SIZE), pool);
	KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(objects[nr]), pool);
	KUNIT_EXPECT_EQ(test, pool->arena->nr_totalpools, 64 >> param->span);
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_NULL(test, memchr_inv(objects[i], i, param->size));
	for (i = 0; i <= nr; i++)
		kheap_cache_free(cache, objects[i]);
}

static void span_pool_goes_by_pages_and_returns_in_one_piece(struct kunit *test)
{
	const struct span_param *param = test->param_value;
	struct kheap *heap = arena_heap(test);
	struct kheap_cache *cache = span_cache(test, heap);
	unsigned int nr = cache->class.nr_blocks, pages = 1 << param->span, i;
	void **objects = span_objects(test, cache, nr), *more;

	KUNIT_EXPECT_EQ(test, kheap_trim(heap), (64 - pages) * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, pages_out(heap), pages);
	KUNIT_EXPECT_EQ(test, frees(heap, 0), 64 - pages);
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_NULL(test, memchr_inv(objects[i], i, param->size));
	more = kheap_cache_alloc(cache, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, more);
	KUNIT_EXPECT_EQ(test, allocs(heap, param->span), 1);
	KUNIT_EXPECT_EQ(test, pages_out(heap), 2 * pages);
	kheap_test_expect_sound(test, heap);
	kheap_cache_free(cache, more);
	KUNIT_EXPECT_EQ(test, kheap_trim(heap), pages * PAGE_SIZE);
	for (i = 0; i < nr; i++)
		kheap_cache_free(cache, objects[i]);
	KUNIT_EXPECT_EQ(test, pages_out(heap), 0);
}

static void span_pool_needs_its_pages_together(struct kunit *test)
{
	const struct span_param *param = test->param_value;
	struct kheap *heap = arena_heap(test);
	struct kheap_cache *cache = span_cache(test, heap);
	struct kheap_test_source *source = kheap_test_source(heap);
	void *object;

	if (!param->span)
		kunit_skip(test, "one page is always together");
	source->max_order = param->span - 1;
	KUNIT_EXPECT_NULL(test, kheap_cache_alloc(cache, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, pages_out(heap), 0);
	source->max_order = param->span;
	object = kheap_cache_alloc(cache, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, object);
	KUNIT_EXPECT_EQ(test, pages_out(heap), 1 << param->span);
	kheap_cache_free(cache, object);
}

static struct kunit_case arena_cases[] = {
	KUNIT_CASE(first_block_takes_64_pages_in_one_piece),
	KUNIT_CASE(fresh_heap_takes_no_pages),
	KUNIT_CASE_PARAM(high_orders_refused_takes_what_there_is,
			 order_gen_params),
	KUNIT_CASE(no_pages_fails_and_is_counted),
	KUNIT_CASE(no_pages_leaves_what_is_there_to_use),
	KUNIT_CASE(atomic_context_asks_for_less),
	KUNIT_CASE(only_the_smallest_request_tries_hard),
	KUNIT_CASE(account_flag_reaches_the_page_source),
	KUNIT_CASE(accounted_arena_is_separate_pages),
	KUNIT_CASE(fullest_arena_serves_first),
	KUNIT_CASE(full_arenas_are_not_usable),
	KUNIT_CASE(last_returned_pool_serves_first),
	KUNIT_CASE(empty_arenas_go_back_in_one_piece_but_one),
	KUNIT_CASE(load_at_the_edge_of_an_arena_takes_it_once),
	KUNIT_CASE(trim_leaves_a_pinned_page_only_itself),
	KUNIT_CASE(trim_counts_what_goes_back_on_the_way),
	KUNIT_CASE(nofail_is_not_passed_on_for_four_pages),
	KUNIT_CASE(trim_again_returns_nothing),
	KUNIT_CASE(trim_of_a_fresh_heap_returns_nothing),
	KUNIT_CASE(trim_returns_what_the_page_source_gets_back),
	KUNIT_CASE(hole_is_refilled_by_one_page),
	KUNIT_CASE(refilled_arena_without_holes_goes_back_by_pages),
	KUNIT_CASE(refused_refill_fails_and_works_later),
	KUNIT_CASE(pages_of_holes_belong_to_nobody),
	KUNIT_CASE(pinned_page_keeps_eight_descriptors),
	KUNIT_CASE(refill_regains_descriptors),
	KUNIT_CASE(refill_prefers_holes_with_descriptors),
	KUNIT_CASE(descriptors_stay_while_somebody_walks_there),
	KUNIT_CASE(arena_goes_when_the_last_walker_leaves),
	KUNIT_CASE(refill_without_memory_for_descriptors_fails),
	KUNIT_CASE_PARAM(span_pages_all_lead_to_their_pool, span_gen_params),
	KUNIT_CASE_PARAM(span_pool_goes_by_pages_and_returns_in_one_piece,
			 span_gen_params),
	KUNIT_CASE_PARAM(span_pool_needs_its_pages_together, span_gen_params),
	{}
};

static struct kunit_suite arena_suite = {
	.name = "kheap_arena",
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = arena_cases,
};

kunit_test_suite(arena_suite);
