// SPDX-License-Identifier: GPL-2.0
/*
 * Large blocks, and what kheap_realloc() and kheap_calloc() do with blocks of
 * all sizes.
 */
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "helpers.h"

/* --- Allocation --------------------------------------------------------- */

static const struct size_param {
	const char *desc;
	size_t size;
} sizes[] = {
	{ "8_KiB_and_1", SZ_8K + 1 },
	{ "12_KiB", 12 * SZ_1K },
	{ "64_KiB", SZ_64K },
	{ "100000", 100000 },
	{ "1_MiB", SZ_1M },
	{ "5_MiB_and_1", 5 * SZ_1M + 1 },
};

KUNIT_ARRAY_PARAM_DESC(size, sizes, desc);

static size_t param_size(struct kunit *test)
{
	return ((const struct size_param *)test->param_value)->size;
}

static void large_block_is_counted_usable_and_returned(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	size_t size = param_size(test), usable;
	struct kheap_stats stats;
	void *block;

	block = kheap_test_alloc(test, heap, size);
	usable = kheap_usable_size(heap, block);
	stats = kheap_test_stats(heap);
	KUNIT_EXPECT_GE(test, usable, size);
	KUNIT_EXPECT_GE(test, stats.large_bytes, usable);
	KUNIT_EXPECT_LE(test, stats.large_bytes, 2 * ALIGN(size, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, stats.nr_large, 1);
	KUNIT_EXPECT_EQ(test, stats.nr_allocated, 0);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)block, 8));
	memset(block, 0xee, usable);
	kheap_test_expect_sound(test, heap);
	kheap_free(heap, block);
	stats = kheap_test_stats(heap);
	KUNIT_EXPECT_EQ(test, stats.large_bytes, 0);
	KUNIT_EXPECT_EQ(test, stats.nr_large, 0);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
}

static void large_block_for_a_node_is_of_that_node(struct kunit *test)
{
	size_t size = 5 * SZ_1M + 1, offset;
	struct kheap *heap = kheap_test_heap(test);
	int node = numa_mem_id();
	void *block;

	block = kheap_alloc_node(heap, size, GFP_KERNEL, node);
	KUNIT_ASSERT_NOT_NULL(test, block);
	KUNIT_ASSERT_TRUE(test, is_vmalloc_addr(block));
	for (offset = 0; offset < size; offset += PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, node,
				page_to_nid(vmalloc_to_page(block + offset)));
	memset(block, 0xee, size);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).large_bytes,
			PAGE_ALIGN(size));
	kheap_free(heap, block);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).large_bytes, 0);
}

static void large_zalloc_zeroes_the_whole_usable_size(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	size_t size = param_size(test);
	void *block;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		block = kheap_zalloc(heap, size, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, block);
		KUNIT_EXPECT_NULL(test, memchr_inv(block, 0,
						   kheap_usable_size(heap,
								     block)));
		memset(block, 0xff, kheap_usable_size(heap, block));
		kheap_free(heap, block);
	}
}

static void large_blocks_are_aligned_to_a_page(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	size_t size;
	void *block;

	for (size = SZ_16K; size <= SZ_64K; size *= 2) {
		block = kheap_test_alloc(test, heap, size);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)block,
						   PAGE_SIZE));
		kheap_free(heap, block);
	}
}

static void large_blocks_take_no_pages_of_arenas(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, 10000, 50);

	KUNIT_EXPECT_EQ(test, atomic_read(&kheap_test_source(heap)->nr_calls),
			0);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_large, 50);
	kheap_test_expect_sound(test, heap);
	kheap_test_free_many(heap, blocks, 50);
}

/* Freed in another order than allocated, so that the tree has to work. */
static void many_large_blocks_are_all_found(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	u8 **blocks = (u8 **)kheap_test_alloc_many(test, heap, 8200, 499);
	unsigned int i;

	for (i = 0; i < 499; i++)
		memset(blocks[i], i, 8200);
	for (i = 0; i < 499; i++) {
		u8 *block = blocks[i * 211 % 499];

		KUNIT_ASSERT_NULL(test, memchr_inv(block, i * 211 % 499, 8200));
		kheap_free(heap, block);
	}
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_large, 0);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
}

static void atomic_large_block_is_got_and_freed_without_sleep(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	unsigned long flags;
	void *block;

	local_irq_save(flags);
	block = kheap_alloc(heap, SZ_8K + 1, GFP_ATOMIC);
	kheap_free(heap, block);
	local_irq_restore(flags);
	KUNIT_EXPECT_NOT_NULL(test, block);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_large, 0);
}

static void vmalloc_block_freed_in_atomic_context_is_freed_later(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *block = kheap_test_alloc(test, heap, 5 * SZ_1M);
	unsigned long flags;

	KUNIT_EXPECT_TRUE(test, is_vmalloc_addr(block));
	local_irq_save(flags);
	kheap_free(heap, block);
	local_irq_restore(flags);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_large, 0);
	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, block), 0);
	kheap_trim(heap);
	flush_delayed_work(&heap->base.maint);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&heap->base.held_bytes),
			kheap_test_stats(heap).held_bytes);
}

/* A reader can be preempted and must not sleep; vfree() may. */
static void vmalloc_block_freed_by_a_reader_of_rcu_is_freed_later(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *block = kheap_test_alloc(test, heap, 5 * SZ_1M);

	rcu_read_lock();
	kheap_free(heap, block);
	KUNIT_EXPECT_NE(test, atomic_long_read(&heap->base.held_bytes),
			kheap_test_stats(heap).held_bytes);
	rcu_read_unlock();
	kheap_trim(heap);
	flush_delayed_work(&heap->base.maint);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&heap->base.held_bytes),
			kheap_test_stats(heap).held_bytes);
}

/* The NMI has come into somebody who looks for a large block. */
static void realloc_in_nmi_waits_for_nobody(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *block = kheap_test_alloc(test, heap, 10000), *moved;
	unsigned long flags;

	raw_spin_lock_irqsave(&heap->raw.large_lock, flags);
	lockdep_off();
	__preempt_count_add(NMI_OFFSET + HARDIRQ_OFFSET);
	moved = kheap_realloc(heap, block, 20000, GFP_ATOMIC);
	__preempt_count_sub(NMI_OFFSET + HARDIRQ_OFFSET);
	lockdep_on();
	raw_spin_unlock_irqrestore(&heap->raw.large_lock, flags);
	KUNIT_EXPECT_NULL(test, moved);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, block), 12288);
	kheap_free(heap, block);
}

/* It keeps what it was, of which one byte is the client's. */
static void realloc_to_zero_that_fails_leaves_a_block(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_DEBUG_GUARD, 0);
	static const struct kheap_inject_rule small_ones = {
		.per_mille = 1000,
		.max = 8,
	};
	void *block = kheap_test_alloc(test, heap, 10000);

	kheap_inject_start(heap, &small_ones);
	KUNIT_EXPECT_PTR_EQ(test, kheap_realloc(heap, block, 0, GFP_KERNEL),
			    block);
	kheap_inject_stop(heap);
	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, block), 1);
	block = kheap_realloc(heap, block, 9000, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, block);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
	kheap_free(heap, block);
}

/* What the account says is what the statistics find. */
static void account_of_large_blocks_agrees_with_the_sum(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *blocks[ARRAY_SIZE(sizes)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		blocks[i] = kheap_test_alloc(test, heap, sizes[i].size);
		KUNIT_EXPECT_EQ(test, atomic_long_read(&heap->base.held_bytes),
				kheap_test_stats(heap).held_bytes);
	}
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		kheap_free(heap, blocks[i]);
		KUNIT_EXPECT_EQ(test, atomic_long_read(&heap->base.held_bytes),
				kheap_test_stats(heap).held_bytes);
	}
}

/* --- Too large ---------------------------------------------------------- */

static const struct size_param too_large[] = {
	{ "INT_MAX_and_1", (size_t)INT_MAX + 1 },
	{ "INT_MAX_rounded_up_is_more", (size_t)INT_MAX },
	{ "4_GiB", 1UL << 32 },
	{ "4_GiB_and_8", (1UL << 32) + 8 },
	{ "LONG_MAX", LONG_MAX },
	{ "SIZE_MAX", SIZE_MAX },
};

KUNIT_ARRAY_PARAM_DESC(too_large, too_large, desc);

static void too_large_a_size_is_refused_quietly_if_wanted(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	size_t size = param_size(test);
	void *block;

	KUNIT_EXPECT_NULL(test, kheap_alloc(heap, size, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_SIZE), 1);
	KUNIT_EXPECT_NULL(test, kheap_alloc(heap, size, GFP_ATOMIC));
	KUNIT_EXPECT_NULL(test, kheap_zalloc(heap, size, GFP_KERNEL));
	KUNIT_EXPECT_NULL(test, kheap_calloc(heap, 1, size, GFP_KERNEL));
	KUNIT_EXPECT_NULL(test, kheap_alloc_node(heap, size, GFP_KERNEL, 0));
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_SIZE), 5);
	KUNIT_EXPECT_NULL(test, kheap_alloc(heap, size,
					    GFP_KERNEL | __GFP_NOWARN));
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_SIZE), 5);
	block = kheap_test_alloc(test, heap, 100);
	KUNIT_EXPECT_NULL(test, kheap_realloc(heap, block, size, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, block), 104);
	kheap_free(heap, block);
}

/* kmalloc() itself would warn. */
static void atomic_size_over_kmalloc_max_fails_without_a_warning(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);

	KUNIT_EXPECT_NULL(test, kheap_alloc(heap, KMALLOC_MAX_SIZE + 1,
					    GFP_ATOMIC));
	KUNIT_EXPECT_NULL(test, kheap_alloc(heap, SZ_64M, GFP_NOWAIT));
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_failed, 2);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&heap->base.held_bytes),
			kheap_test_stats(heap).held_bytes);
}

/* --- Arrays ------------------------------------------------------------- */

static void calloc_zeroes_the_array(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	static const size_t counts[][2] = {
		{ 1, 8 }, { 3, 100 }, { 64, 8 }, { 65, 8 }, { 1000, 1000 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		size_t bytes = counts[i][0] * counts[i][1];
		void *block = kheap_test_alloc(test, heap, bytes);

		memset(block, 0xff, bytes);
		kheap_free(heap, block);
		block = kheap_calloc(heap, counts[i][0], counts[i][1],
				     GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, block);
		KUNIT_EXPECT_GE(test, kheap_usable_size(heap, block), bytes);
		KUNIT_EXPECT_NULL(test, memchr_inv(block, 0, bytes));
		kheap_free(heap, block);
	}
}

static void calloc_overflow_is_refused(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	static const size_t counts[][2] = {
		{ SIZE_MAX, 2 }, { 2, SIZE_MAX }, { SIZE_MAX, SIZE_MAX },
		{ 1UL << 32, 1UL << 32 }, { SIZE_MAX / 8 + 1, 8 },
		{ (1UL << 61) + 1, 8 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		KUNIT_EXPECT_NULL(test, kheap_calloc(heap, counts[i][0],
						     counts[i][1],
						     GFP_KERNEL));
		KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_SIZE),
				i + 1);
	}
	KUNIT_EXPECT_NULL(test, kheap_calloc(heap, SIZE_MAX, 2,
					     GFP_KERNEL | __GFP_NOWARN));
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), i);
}

/* --- Change of size ----------------------------------------------------- */

static void realloc_of_null_allocates(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *block = kheap_realloc(heap, NULL, 100, GFP_KERNEL);
	void *large = kheap_realloc(heap, NULL, 10000, GFP_KERNEL);

	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, block), 104);
	KUNIT_EXPECT_GE(test, kheap_usable_size(heap, large), 10000);
	kheap_free(heap, block);
	kheap_free(heap, large);
}

static void realloc_to_zero_keeps_a_block_of_8(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *block = kheap_test_alloc(test, heap, 100);

	block = kheap_realloc(heap, block, 0, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, block);
	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, block), 8);
	KUNIT_EXPECT_PTR_EQ(test, kheap_realloc(heap, block, 0, GFP_KERNEL),
			    block);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 1);
	kheap_free(heap, block);
}

static const struct realloc_param {
	const char *desc;
	size_t from;
	size_t to;
	bool stays;
} reallocs[] = {
	{ "512_to_512", 512, 512, true },
	{ "512_to_385", 512, 385, true },
	{ "512_to_384_gives_a_quarter", 512, 384, false },
	{ "512_to_8", 512, 8, false },
	{ "100_to_104_is_usable", 100, 104, true },
	{ "100_to_105", 100, 105, false },
	{ "8_to_1", 8, 1, true },
	{ "8_to_0", 8, 0, true },
	{ "8_to_9", 8, 9, false },
	{ "16_to_13", 16, 13, true },
	{ "16_to_8", 16, 8, false },
	{ "512_to_513", 512, 513, false },
	{ "1024_to_512", 1024, 512, false },
	{ "640_to_481", 640, 481, true },
	{ "640_to_480", 640, 480, false },
	{ "8192_to_8193", 8192, 8193, false },
	{ "8193_to_8192", 16384, 8192, false },
	{ "1_MiB_to_3_quarters_and_1", SZ_1M, 3 * SZ_1M / 4 + 1, true },
	{ "1_MiB_to_3_quarters", SZ_1M, 3 * SZ_1M / 4, false },
	{ "8_KiB_to_1_MiB", SZ_8K, SZ_1M, false },
	{ "1_MiB_to_8", SZ_1M, 8, false },
	{ "8_to_1_MiB", 8, SZ_1M, false },
};

KHEAP_TEST_SWEEP_PARAM_DESC(realloc, reallocs, 4);

static void realloc_moves_if_a_quarter_can_be_given_back(struct kunit *test)
{
	const struct realloc_param *param = test->param_value;
	struct kheap *heap = kheap_test_heap(test);
	u8 *old = kheap_test_alloc(test, heap, param->from), *new;
	size_t usable = kheap_usable_size(heap, old);
	size_t kept = min(usable, param->to), i;
	struct kheap_stats stats;

	for (i = 0; i < usable; i++)
		old[i] = i * 7 + (i >> 8);
	new = kheap_realloc(heap, old, param->to, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, new);
	KUNIT_EXPECT_EQ(test, new == old, param->stays);
	KUNIT_EXPECT_GE(test, kheap_usable_size(heap, new), param->to);
	for (i = 0; i < kept; i++)
		KUNIT_ASSERT_EQ(test, new[i], (u8)(i * 7 + (i >> 8)));
	stats = kheap_test_stats(heap);
	KUNIT_EXPECT_EQ(test, stats.nr_allocated,
			kheap_usable_size(heap, new) <= KHEAP_MEDIUM_MAX);
	KUNIT_EXPECT_EQ(test, stats.nr_large,
			kheap_usable_size(heap, new) > KHEAP_MEDIUM_MAX);
	kheap_free(heap, new);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
}

/* Only one page there is, all of it in use: nothing can move. */
static struct kheap *full_heap(struct kunit *test, void ***blocks)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);

	kheap_test_source(heap)->max_order = 0;
	*blocks = kheap_test_alloc_many(test, heap, 512, 8);
	kheap_test_source(heap)->fail_all = true;
	return heap;
}

static void realloc_that_fails_leaves_the_block(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
	void **blocks;

	kheap_test_source(heap)->max_order = 0;
	blocks = kheap_test_alloc_many(test, heap, 256, 16);
	kheap_test_source(heap)->fail_all = true;
	memset(blocks[3], 0x3c, 256);
	KUNIT_EXPECT_NULL(test, kheap_realloc(heap, blocks[3], 300,
					      GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, blocks[3]), 256);
	KUNIT_EXPECT_NULL(test, memchr_inv(blocks[3], 0x3c, 256));
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_failed, 1);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 16);
	kheap_test_free_many(heap, blocks, 16);
}

static void realloc_that_cannot_shrink_stays(struct kunit *test)
{
	void **blocks;
	struct kheap *heap = full_heap(test, &blocks);

	memset(blocks[0], 0x42, 512);
	KUNIT_EXPECT_PTR_EQ(test, kheap_realloc(heap, blocks[0], 8, GFP_KERNEL),
			    blocks[0]);
	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, blocks[0]), 512);
	KUNIT_EXPECT_NULL(test, memchr_inv(blocks[0], 0x42, 512));
	kheap_test_free_many(heap, blocks, 8);
}

static void realloc_zeroes_what_is_new(struct kunit *test)
{
	static const size_t sizes[][2] = {
		{ 8, 512 }, { 100, 640 }, { 512, 9000 }, { 9000, SZ_64K },
	};
	struct kheap *heap = kheap_test_heap(test);
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t usable, more;
		void *block;

		for (j = 0; j < 2; j++) {
			block = kheap_test_alloc(test, heap, sizes[i][j]);
			memset(block, 0xff, kheap_usable_size(heap, block));
			kheap_free(heap, block);
		}
		block = kheap_test_alloc(test, heap, sizes[i][0]);
		usable = kheap_usable_size(heap, block);
		memset(block, 0x11, usable);
		block = kheap_realloc(heap, block, sizes[i][1],
				      GFP_KERNEL | __GFP_ZERO);
		KUNIT_ASSERT_NOT_NULL(test, block);
		more = kheap_usable_size(heap, block);
		KUNIT_EXPECT_NULL(test, memchr_inv(block, 0x11, usable));
		KUNIT_EXPECT_NULL(test, memchr_inv(block + usable, 0,
						   more - usable));
		kheap_free(heap, block);
	}
}

/* Up through every class and far beyond, and down again. */
static void realloc_keeps_contents_all_the_way_up_and_down(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	size_t size, kept = 1, i;
	u8 *block = NULL;

	for (size = 1; size < 20000; size += 1 + size / 3) {
		block = kheap_realloc(heap, block, size, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, block);
		for (i = 0; i + 1 < kept; i++)
			KUNIT_ASSERT_EQ(test, block[i], (u8)(i % 251));
		for (i = 0; i < size; i++)
			block[i] = i % 251;
		kept = size;
	}
	for (; size; size -= 1 + size / 5) {
		block = kheap_realloc(heap, block, min(size, kept), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, block);
		for (i = 0; i < min(size, kept); i++)
			KUNIT_ASSERT_EQ(test, block[i], (u8)(i % 251));
	}
	kheap_free(heap, block);
}

static void free_and_size_of_null_are_fine(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);

	kheap_free(heap, NULL);
	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, NULL), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
}

static struct kunit_case large_cases[] = {
	KUNIT_CASE_PARAM(large_block_is_counted_usable_and_returned,
			 size_gen_params),
	KUNIT_CASE(large_block_for_a_node_is_of_that_node),
	KUNIT_CASE_PARAM(large_zalloc_zeroes_the_whole_usable_size,
			 size_gen_params),
	KUNIT_CASE(large_blocks_are_aligned_to_a_page),
	KUNIT_CASE(large_blocks_take_no_pages_of_arenas),
	KUNIT_CASE_SLOW(many_large_blocks_are_all_found),
	KUNIT_CASE(atomic_large_block_is_got_and_freed_without_sleep),
	KUNIT_CASE(vmalloc_block_freed_in_atomic_context_is_freed_later),
	KUNIT_CASE(vmalloc_block_freed_by_a_reader_of_rcu_is_freed_later),
	KUNIT_CASE(realloc_in_nmi_waits_for_nobody),
	KUNIT_CASE(realloc_to_zero_that_fails_leaves_a_block),
	KUNIT_CASE(account_of_large_blocks_agrees_with_the_sum),
	KUNIT_CASE_PARAM(too_large_a_size_is_refused_quietly_if_wanted,
			 too_large_gen_params),
	KUNIT_CASE(atomic_size_over_kmalloc_max_fails_without_a_warning),
	KUNIT_CASE(calloc_zeroes_the_array),
	KUNIT_CASE(calloc_overflow_is_refused),
	KUNIT_CASE(realloc_of_null_allocates),
	KUNIT_CASE(realloc_to_zero_keeps_a_block_of_8),
	KUNIT_CASE_PARAM(realloc_moves_if_a_quarter_can_be_given_back,
			 realloc_gen_params),
	KUNIT_CASE(realloc_that_fails_leaves_the_block),
	KUNIT_CASE(realloc_that_cannot_shrink_stays),
	KUNIT_CASE(realloc_zeroes_what_is_new),
	KUNIT_CASE(realloc_keeps_contents_all_the_way_up_and_down),
	KUNIT_CASE(free_and_size_of_null_are_fine),
	{}
};

static struct kunit_suite large_suite = {
	.name = "kheap_large",
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = large_cases,
};

kunit_test_suite(large_suite);
