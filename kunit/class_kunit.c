// SPDX-License-Identifier: GPL-2.0
/*
 * Size classes: which class serves which size, and what its blocks are like.
 */
#include <linux/log2.h>
#include <linux/string.h>

#include "helpers.h"

/* In steps of 8, then in four steps a doubling. */
static const unsigned int sizes[] = {
	   8,   16,   24,   32,   40,   48,   56,   64,   72,   80,   88,
	  96,  104,  112,  120,  128,  136,  144,  152,  160,  168,  176,
	 184,  192,  200,  208,  216,  224,  232,  240,  248,  256,  264,
	 272,  280,  288,  296,  304,  312,  320,  328,  336,  344,  352,
	 360,  368,  376,  384,  392,  400,  408,  416,  424,  432,  440,
	 448,  456,  464,  472,  480,  488,  496,  504,  512,
	 640,  768,  896, 1024, 1280, 1536, 1792, 2048,
	2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192,
};

static_assert(ARRAY_SIZE(sizes) == KHEAP_NR_CLASSES);

static void size_desc(const unsigned int *size, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u_bytes", *size);
}

KHEAP_TEST_SWEEP_PARAM(size, sizes, size_desc, 11);

static unsigned int param_size(struct kunit *test)
{
	return *(const unsigned int *)test->param_value;
}

/* Sizes from one more than the class below has to what this one has. */
static void sizes_up_to_the_boundary_are_served_by_the_class(struct kunit *test)
{
	const unsigned int *param = test->param_value;
	unsigned int size = *param, n = param == sizes ? 1 : param[-1] + 1;
	struct kheap *heap = kheap_test_heap(test);

	for (; n <= size; n = n < size ? min(n + max(size / 64, 1u), size) :
				       size + 1) {
		void *block = kheap_test_alloc(test, heap, n);
		struct kheap_pool *pool = kheap_pool_of(block);

		KUNIT_ASSERT_NOT_NULL(test, pool);
		KUNIT_EXPECT_EQ(test, pool->class->szidx, param - sizes);
		KUNIT_EXPECT_EQ(test, pool->class->size, size);
		KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, block), size);
		kheap_free(heap, block);
	}
	KUNIT_EXPECT_PTR_NE(test, heap->block.classes[param - sizes],
			    &kheap_cold_class);
}

/* The first pool's blocks, and one more: every last one of a pool is met. */
static void blocks_are_aligned_inside_their_pool_and_apart(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
	void *first = kheap_test_alloc(test, heap, param_size(test));
	unsigned int size = param_size(test), i;
	struct kheap_pool *pool = kheap_pool_of(first);
	unsigned int nr = kheap_pool_bytes(pool->class) / size;
	void **blocks = kheap_test_alloc_many(test, heap, size, nr);
	unsigned int align = is_power_of_2(size) ? size : 8;

	KUNIT_EXPECT_EQ(test, pool->class->nr_blocks, nr);
	KUNIT_EXPECT_EQ(test, pool->state, KHEAP_POOL_FULL);
	KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(blocks[nr - 1]), pool);
	kheap_free(heap, blocks[nr - 1]);
	blocks[nr - 1] = first;
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)blocks[i],
						   align));
		KUNIT_EXPECT_EQ(test, (blocks[i] - pool->base) % size, 0);
		KUNIT_EXPECT_PTR_EQ(test, kheap_pool_of(blocks[i] + size - 1),
				    pool);
		memset(blocks[i], i, size);
	}
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_NULL(test, memchr_inv(blocks[i], i, size));
	kheap_test_free_many(heap, blocks, nr);
}

/* The blocks on both sides keep what was written to them. */
static void zalloc_zeroes_the_usable_size_and_nothing_else(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
	unsigned int size = param_size(test), n, i;
	void **blocks = kheap_test_alloc_many(test, heap, size, 3);

	for (n = size - 7; n <= size; n += 7) {
		for (i = 0; i < 3; i++)
			memset(blocks[i], 0xff, size);
		kheap_free(heap, blocks[1]);
		KUNIT_ASSERT_PTR_EQ(test, kheap_zalloc(heap, n, GFP_KERNEL),
				    blocks[1]);
		KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, blocks[1]), size);
		KUNIT_EXPECT_NULL(test, memchr_inv(blocks[0], 0xff, size));
		KUNIT_EXPECT_NULL(test, memchr_inv(blocks[1], 0, size));
		KUNIT_EXPECT_NULL(test, memchr_inv(blocks[2], 0xff, size));
	}
	kheap_test_free_many(heap, blocks, 3);
}

/* The same by way of a CPU's cache, which has a path of its own. */
static void zalloc_of_a_cached_block_zeroes_it(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	unsigned int i, round;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (round = 0; round < 4; round++) {
			void *block = kheap_zalloc(heap, sizes[i], GFP_KERNEL);

			KUNIT_ASSERT_NOT_NULL(test, block);
			KUNIT_EXPECT_NULL(test, memchr_inv(block, 0, sizes[i]));
			memset(block, 0xff, sizes[i]);
			kheap_free(heap, block);
		}
	}
}

/* Against the division that kheap_block_index() avoids. */
static void block_index_of_every_offset_is_the_quotient(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	unsigned int i, offset, nr_wrong = 0;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned int size = sizes[i];
		void *block = kheap_test_alloc(test, heap, size);
		struct kheap_pool *pool = kheap_pool_of(block);
		unsigned int bytes = kheap_pool_bytes(pool->class);

		for (offset = 0; offset < bytes; offset++) {
			unsigned long idx;
			bool starts = kheap_block_index(pool->class, pool,
							pool->base + offset,
							&idx);

			nr_wrong += starts != !(offset % size) ||
				    idx != offset / size;
		}
		KUNIT_EXPECT_EQ_MSG(test, nr_wrong, 0, "size %u", size);
		kheap_free(heap, block);
	}
}

/* --- Every size, and pages of every size -------------------------------- */

static const unsigned int page_shifts[] = { 12, 14, 16 };

static void shift_desc(const unsigned int *shift, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "pages_of_%uK",
		 1U << (*shift - 10));
}

KUNIT_ARRAY_PARAM(page_shift, page_shifts, shift_desc);

/* With an offset that grows up to the next multiple, so does the product. */
static bool is_exact(unsigned long size, unsigned long bytes)
{
	unsigned long recip = kheap_recip(size), start, end, idx;

	for (start = 0; start < bytes; start += size) {
		if (!kheap_divide(start, recip, recip, &idx) ||
		    idx != start / size)
			return false;
		end = min(start + size, bytes) - 1;
		if (kheap_divide(start + 1, recip, recip, &idx) ||
		    idx != start / size ||
		    kheap_divide(end, recip, recip, &idx) ||
		    idx != end / size)
			return false;
	}
	return true;
}

/* Blocks of all sizes with one alignment; return how many are wrong. */
static unsigned int nr_inexact(unsigned int shift, size_t align, size_t front)
{
	size_t most = front + (shift < 16 ? 24576 : 32768) + 80;
	unsigned int nr_wrong = 0;
	size_t size, bytes;

	for (size = align; size <= ALIGN(most, align); size += align) {
		bytes = (1UL << shift) << kheap_best_span(size + front, shift);
		nr_wrong += bytes < size + front ||
			    !is_exact(size, bytes - front);
	}
	return nr_wrong;
}

/* With what constructors and debug flags put around an object, and in front. */
static void reciprocal_of_every_block_is_exact_in_its_pool(struct kunit *test)
{
	unsigned int shift = *(const unsigned int *)test->param_value;
	size_t align;

	KUNIT_EXPECT_EQ(test, nr_inexact(shift, 8, 16), 0);
	for (align = 8; align < 1UL << shift; align *= 2) {
		KUNIT_EXPECT_EQ(test, nr_inexact(shift, align, 0), 0);
		KUNIT_EXPECT_EQ(test, nr_inexact(shift, align, align), 0);
	}
	KUNIT_EXPECT_EQ(test, nr_inexact(shift, align, 0), 0);
	/* That it can be told: this one is wrong in a pool of 512 KiB. */
	KUNIT_EXPECT_FALSE(test, is_exact(24568, 1 << 19));
}

/* Where the blocks of a class lie, as it was made. */
static void expect_sound(struct kunit *test, const struct kheap_class *class)
{
	size_t bytes = kheap_pool_bytes(class), end;

	end = class->front + (size_t)class->nr_blocks * class->size;
	KUNIT_EXPECT_GE(test, class->size, class->usable);
	KUNIT_EXPECT_GE(test, class->nr_blocks, 1);
	KUNIT_EXPECT_LE(test, end, bytes);
	KUNIT_EXPECT_GT(test, end + class->size, bytes);
	KUNIT_EXPECT_LT(test, class->nr_blocks, KHEAP_LINK_WAITS);
	KUNIT_EXPECT_LE(test, class->mark_offset + 8, class->size);
	KUNIT_EXPECT_GE(test, class->max_slots, 1);
	KUNIT_EXPECT_TRUE(test, is_exact(class->size, bytes - class->front));
}

static void nothing(void *object)
{
}

/* Without and with a constructor, and with all that debug flags add. */
static void geometry_of_every_size_is_sound(struct kunit *test)
{
	const unsigned int flags[] = { 0, KHEAP_DEBUG_GUARD };
	size_t size, align, step = kheap_test_sweep ? 40 : 600;
	struct kheap_cache *cache;
	struct kheap *heap;
	unsigned int i;

	for (i = 0; i < 2 * ARRAY_SIZE(flags); i++) {
		heap = kheap_test_heap_with(test, flags[i / 2], 0);
		for (size = 8; size <= KHEAP_CACHE_SIZE_MAX; size += step) {
			align = 8UL << (size / step) %
				       (ilog2(KHEAP_CACHE_ALIGN_MAX) - 2);
			cache = kheap_cache_create(heap, "sound", size, align,
						   0, i % 2 ? nothing : NULL);
			KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
			expect_sound(test, &cache->class);
			kheap_cache_destroy(cache);
		}
	}
}

static void fill_of_every_number_of_used_blocks_is_its_quarter(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	unsigned int i, used, nr, nr_wrong = 0;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		void *block = kheap_test_alloc(test, heap, sizes[i]);
		const struct kheap_class *class = kheap_pool_of(block)->class;

		nr = max_t(unsigned int, roundup_pow_of_two(class->nr_blocks),
			   KHEAP_NR_FILLS);
		for (used = 0; used < class->nr_blocks; used++)
			nr_wrong += kheap_pool_fill(class, used) !=
				    used * KHEAP_NR_FILLS / nr;
		KUNIT_EXPECT_EQ_MSG(test, nr_wrong, 0, "size %u", sizes[i]);
		kheap_free(heap, block);
	}
}

static void size_zero_gets_the_smallest_block(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *constant = kheap_alloc(heap, 0, GFP_KERNEL);
	void *variable = kheap_test_alloc(test, heap, 0);
	void *array = kheap_calloc(heap, 0, 100, GFP_KERNEL);

	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, constant), 8);
	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, variable), 8);
	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, array), 8);
	KUNIT_EXPECT_PTR_NE(test, constant, variable);
	kheap_free(heap, constant);
	kheap_free(heap, variable);
	kheap_free(heap, array);
}

#define EXPECT_CONSTANT(test, heap, size, want) do {			\
	void *__block = kheap_alloc(heap, size, GFP_KERNEL);		\
									\
	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, __block), want);	\
	kheap_free(heap, __block);					\
} while (0)

/* The compiler computes the class of a constant size by another way. */
static void constant_size_gets_the_class_of_the_variable(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);

	EXPECT_CONSTANT(test, heap, 1, 8);
	EXPECT_CONSTANT(test, heap, 8, 8);
	EXPECT_CONSTANT(test, heap, 9, 16);
	EXPECT_CONSTANT(test, heap, 63, 64);
	EXPECT_CONSTANT(test, heap, 64, 64);
	EXPECT_CONSTANT(test, heap, 65, 72);
	EXPECT_CONSTANT(test, heap, 504, 504);
	EXPECT_CONSTANT(test, heap, 505, 512);
	EXPECT_CONSTANT(test, heap, 512, 512);
	EXPECT_CONSTANT(test, heap, 513, 640);
	EXPECT_CONSTANT(test, heap, 8192, 8192);
}

static void size_8192_is_a_block_and_8193_is_large(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *block = kheap_alloc(heap, KHEAP_MEDIUM_MAX, GFP_KERNEL);
	void *large = kheap_alloc(heap, KHEAP_MEDIUM_MAX + 1, GFP_KERNEL);

	KUNIT_EXPECT_NOT_NULL(test, kheap_pool_of(block));
	KUNIT_EXPECT_NULL(test, kheap_pool_of(large));
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 1);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_large, 1);
	kheap_free(heap, large);
	kheap_free(heap, block);
}

static void classes_of_a_fresh_heap_do_not_exist(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	unsigned int i;

	for (i = 0; i < KHEAP_NR_CLASSES; i++)
		KUNIT_EXPECT_PTR_EQ(test, heap->block.classes[i], &kheap_cold_class);
	kheap_free(heap, kheap_test_alloc(test, heap, 100));
	for (i = 0; i < KHEAP_NR_CLASSES; i++)
		KUNIT_EXPECT_EQ(test, heap->block.classes[i] != &kheap_cold_class,
				i == 12);
}

static void alloc_node_gives_a_block_of_the_node(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	int node = numa_mem_id();
	void *blocks[4];
	unsigned int i;

	blocks[0] = kheap_alloc_node(heap, 100, GFP_KERNEL, NUMA_NO_NODE);
	blocks[1] = kheap_alloc_node(heap, 100, GFP_KERNEL, node);
	blocks[2] = kheap_alloc_node(heap, 1000, GFP_KERNEL | __GFP_ZERO, node);
	blocks[3] = kheap_alloc_node(heap, 9000, GFP_ATOMIC, node);
	for (i = 0; i < ARRAY_SIZE(blocks); i++) {
		KUNIT_ASSERT_NOT_NULL(test, blocks[i]);
		KUNIT_EXPECT_EQ(test, page_to_nid(virt_to_page(blocks[i])),
				node);
	}
	KUNIT_EXPECT_NULL(test, memchr_inv(blocks[2], 0, 1000));
	kheap_test_free_many(heap, blocks, ARRAY_SIZE(blocks));
}

/* The least limit with which the cache can be had leaves nothing for others. */
static void percpu_caches_without_memory_come_later(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	size_t held = kheap_test_stats(heap).held_bytes;
	struct kheap_cache *cache;

	heap->base.limit_bytes = held;
	do {
		heap->base.limit_bytes += 8;
		cache = kheap_cache_create(heap, "late", 64, 0, 0, NULL);
	} while (cache == ERR_PTR(-ENOMEM));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	KUNIT_EXPECT_PTR_EQ(test, cache->class.caches, kheap_cold_class.caches);
	kheap_test_maintain(heap);
	KUNIT_EXPECT_PTR_EQ(test, cache->class.caches, kheap_cold_class.caches);
	heap->base.limit_bytes = 0;
	kheap_test_maintain(heap);
	KUNIT_EXPECT_PTR_NE(test, cache->class.caches, kheap_cold_class.caches);
}

static struct kunit_case class_cases[] = {
	KUNIT_CASE_PARAM(sizes_up_to_the_boundary_are_served_by_the_class,
			 size_gen_params),
	KUNIT_CASE_PARAM(blocks_are_aligned_inside_their_pool_and_apart,
			 size_gen_params),
	KUNIT_CASE_PARAM(zalloc_zeroes_the_usable_size_and_nothing_else,
			 size_gen_params),
	KUNIT_CASE(zalloc_of_a_cached_block_zeroes_it),
	KUNIT_CASE(block_index_of_every_offset_is_the_quotient),
	KUNIT_CASE_PARAM(reciprocal_of_every_block_is_exact_in_its_pool,
			 page_shift_gen_params),
	KUNIT_CASE(geometry_of_every_size_is_sound),
	KUNIT_CASE(fill_of_every_number_of_used_blocks_is_its_quarter),
	KUNIT_CASE(size_zero_gets_the_smallest_block),
	KUNIT_CASE(constant_size_gets_the_class_of_the_variable),
	KUNIT_CASE(size_8192_is_a_block_and_8193_is_large),
	KUNIT_CASE(classes_of_a_fresh_heap_do_not_exist),
	KUNIT_CASE(alloc_node_gives_a_block_of_the_node),
	KUNIT_CASE(percpu_caches_without_memory_come_later),
	{}
};

static struct kunit_suite class_suite = {
	.name = "kheap_class",
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = class_cases,
};

kunit_test_suite(class_suite);
