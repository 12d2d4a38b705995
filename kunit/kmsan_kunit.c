// SPDX-License-Identifier: GPL-2.0
/*
 * What KMSAN knows of each block: which bytes somebody has written, however the
 * block was allocated, freed and resized. What its reports say is the business
 * of scripts/vm/tests/74-sanitizers.sh.
 */
#include <linux/rcupdate.h>
#include <linux/string.h>

#include "kmsan.h"
#include "nodes.h"

#define LARGE	20000	/* no block of a pool */

#ifdef CONFIG_KMSAN
static bool is_written(const void *ptr)
{
	return !*__msan_metadata_ptr_for_load_1(ptr).shadow;
}
#else
static bool is_written(const void *ptr)
{
	return true;
}
#endif

/* The first byte from @first that is not as expected; @end if all are. */
static size_t unexpected(const void *block, size_t first, size_t end,
			 bool written)
{
	while (first < end && is_written(block + first) == written)
		first++;
	return first;
}

#define EXPECT_WRITTEN(test, block, first, end)				\
	KUNIT_EXPECT_EQ(test, unexpected(block, first, end, true),	\
			(size_t)(end))
#define EXPECT_UNWRITTEN(test, block, first, end)			\
	KUNIT_EXPECT_EQ(test, unexpected(block, first, end, false),	\
			(size_t)(end))

static int kmsan_test_init(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_KMSAN))
		kunit_skip(test, "this kernel has no KMSAN");
	return node_test_init(test);
}

static const struct flags_param {
	const char *desc;
	unsigned int flags;
} flags_params[] = {
	{ "plain", 0 },
	{ "no_cpu_cache", KHEAP_NO_CPU_CACHE },
	{ "guard", KHEAP_DEBUG_GUARD },
	{ "observed", KHEAP_DEBUG_GUARD | KHEAP_DEBUG_POISON |
		      KHEAP_DEBUG_USER },
};

KUNIT_ARRAY_PARAM_DESC(flags, flags_params, desc);

static struct kheap *param_heap(struct kunit *test)
{
	const struct flags_param *param = test->param_value;

	return kheap_test_heap_with(test, param->flags, 0);
}

/* --- Blocks ------------------------------------------------------------- */

static const size_t sizes[] = { 1, 8, 20, 64, 100, 512, 700, 4096, 8192, LARGE };

/* Again when the block has had an owner. */
static void fresh_block_is_unwritten(struct kunit *test)
{
	struct kheap *heap = param_heap(test);
	unsigned int i, again;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		for (again = 0; again < 3; again++) {
			size_t size = sizes[i];
			void *block = kheap_test_alloc(test, heap, size);

			EXPECT_UNWRITTEN(test, block, 0, size);
			memset(block, 1, size / 2);
			EXPECT_WRITTEN(test, block, 0, size / 2);
			EXPECT_UNWRITTEN(test, block, size / 2, size);
			memset(block, 1, size);
			kheap_free(heap, block);
		}
}

static void zeroed_block_is_written(struct kunit *test)
{
	struct kheap *heap = param_heap(test);
	unsigned int i, again;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		for (again = 0; again < 3; again++) {
			void *block = kheap_zalloc(heap, sizes[i], GFP_KERNEL);

			KUNIT_ASSERT_NOT_NULL(test, block);
			EXPECT_WRITTEN(test, block, 0, sizes[i]);
			kheap_free(heap, block);
		}
}

/* In a cache, and linked in its pool, which another block holds. */
static void free_block_is_unwritten(struct kunit *test)
{
	static const size_t few[] = { 8, 20, 64, 100, 512, 700 };
	struct kheap *heap = param_heap(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(few); i++) {
		void *stays = kheap_test_alloc(test, heap, few[i]);
		void *block = kheap_test_alloc(test, heap, few[i]);

		memset(block, 1, few[i]);
		kheap_free(heap, block);
		EXPECT_UNWRITTEN(test, block, 0, few[i]);
		kheap_trim(heap);
		EXPECT_UNWRITTEN(test, block, 0, few[i]);
		kheap_free(heap, stays);
	}
}

static void blocks_of_a_bulk_are_unwritten(struct kunit *test)
{
	struct kheap *heap = param_heap(test);
	void *blocks[40];
	unsigned int i;

	KUNIT_ASSERT_EQ(test, kheap_alloc_bulk(heap, 40, GFP_KERNEL, 40,
					       blocks), 40);
	for (i = 0; i < ARRAY_SIZE(blocks); i++) {
		EXPECT_UNWRITTEN(test, blocks[i], 0, 40);
		memset(blocks[i], 1, 40);
	}
	/* One stays, so that the pages do. */
	kheap_free_bulk(heap, ARRAY_SIZE(blocks) - 1, blocks);
	for (i = 0; i < ARRAY_SIZE(blocks) - 1; i++)
		EXPECT_UNWRITTEN(test, blocks[i], 0, 40);
	EXPECT_WRITTEN(test, blocks[i], 0, 40);
	kheap_free(heap, blocks[i]);
}

static void block_stays_written_for_a_grace_period(struct kunit *test)
{
	struct kheap *heap = param_heap(test);
	void *stays = kheap_test_alloc(test, heap, 40);
	void *block = kheap_test_alloc(test, heap, 40);

	memset(block, 1, 40);
	rcu_read_lock();
	kheap_free_rcu(heap, block);
	EXPECT_WRITTEN(test, block, 0, 40);
	rcu_read_unlock();
	kheap_trim(heap);
	EXPECT_UNWRITTEN(test, block, 0, 40);
	kheap_free(heap, stays);
}

static void resized_block_keeps_what_was_written(struct kunit *test)
{
	struct kheap *heap = param_heap(test);
	void *block = kheap_test_alloc(test, heap, 100);

	memset(block, 1, 30);
	block = kheap_realloc(heap, block, 1000, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, block);
	EXPECT_WRITTEN(test, block, 0, 30);
	EXPECT_UNWRITTEN(test, block, 30, 1000);
	block = kheap_realloc(heap, block, LARGE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, block);
	EXPECT_WRITTEN(test, block, 0, 30);
	EXPECT_UNWRITTEN(test, block, 30, LARGE);
	block = kheap_realloc(heap, block, 40, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, block);
	EXPECT_WRITTEN(test, block, 0, 30);
	EXPECT_UNWRITTEN(test, block, 30, 40);
	kheap_free(heap, block);
}

/* The first time it does not move. */
static void bytes_that_were_given_up_are_unwritten(struct kunit *test)
{
	struct kheap *heap = param_heap(test);
	void *block = kheap_test_alloc(test, heap, 64);

	memset(block, 1, 64);
	KUNIT_ASSERT_PTR_EQ(test, kheap_realloc(heap, block, 60, GFP_KERNEL),
			    block);
	block = kheap_realloc(heap, block, 64, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, block);
	EXPECT_WRITTEN(test, block, 0, 60);
	EXPECT_UNWRITTEN(test, block, 60, 64);
	kheap_free(heap, block);
}

/* KMSAN poisons nothing there; a block that it does not know is no fault. */
static void block_allocated_in_nmi_counts_as_written(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	unsigned long flags;
	unsigned int i;
	void *block;

	for (i = 0; i < 20; i++)
		kheap_test_free_many(heap, kheap_test_alloc_many(test, heap, 40,
								 10), 10);
	flags = kheap_test_nmi_begin();
	block = kheap_alloc(heap, 40, GFP_ATOMIC);
	kheap_test_nmi_end(flags);
	KUNIT_ASSERT_NOT_NULL(test, block);
	EXPECT_WRITTEN(test, block, 0, 40);
	kheap_free(heap, block);
}

/* --- Objects ------------------------------------------------------------ */

static void object_of_a_cache_is_unwritten(struct kunit *test)
{
	struct kheap *heap = param_heap(test);
	struct kheap_cache *cache = kheap_cache_create(heap, "objects", 42, 0,
						       0, NULL);
	void *stays, *object;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	stays = kheap_cache_alloc(cache, GFP_KERNEL);
	object = kheap_cache_alloc(cache, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, stays);
	KUNIT_ASSERT_NOT_NULL(test, object);
	EXPECT_UNWRITTEN(test, object, 0, 42);
	memset(object, 1, 42);
	kheap_cache_free(cache, object);
	EXPECT_UNWRITTEN(test, object, 0, 42);
	kheap_cache_free(cache, stays);
	stays = kheap_cache_alloc(cache, GFP_KERNEL | __GFP_ZERO);
	KUNIT_ASSERT_NOT_NULL(test, stays);
	EXPECT_WRITTEN(test, stays, 0, 42);
	kheap_cache_free(cache, stays);
}

static void construct(void *object)
{
	memset(object, 1, 20);
}

static void constructed_object_is_left_alone(struct kunit *test)
{
	struct kheap *heap = param_heap(test);
	struct kheap_cache *cache = kheap_cache_create(heap, "objects", 42, 0,
						       0, construct);
	void *stays, *object;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	stays = kheap_cache_alloc(cache, GFP_KERNEL);
	object = kheap_cache_alloc(cache, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, stays);
	KUNIT_ASSERT_NOT_NULL(test, object);
	EXPECT_WRITTEN(test, object, 0, 20);
	EXPECT_UNWRITTEN(test, object, 20, 42);
	memset(object, 1, 30);
	kheap_cache_free(cache, object);
	EXPECT_WRITTEN(test, object, 0, 30);
	EXPECT_UNWRITTEN(test, object, 30, 42);
	kheap_cache_free(cache, stays);
}

/* But for its header, which walks of the pools read. */
static void dead_object_is_unwritten(struct kunit *test)
{
	struct kheap *heap = param_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_bare_ops);
	struct node *stays = node_new(test, type);
	struct node *node = node_new(test, type);

	EXPECT_WRITTEN(test, node, 0, sizeof(*node));
	node_put(node);
	EXPECT_WRITTEN(test, node, 0, sizeof(node->obj));
	EXPECT_UNWRITTEN(test, node, sizeof(node->obj), sizeof(*node));
	node_put(stays);
}

static struct kunit_case kmsan_cases[] = {
	KUNIT_CASE_PARAM(fresh_block_is_unwritten, flags_gen_params),
	KUNIT_CASE_PARAM(zeroed_block_is_written, flags_gen_params),
	KUNIT_CASE_PARAM(free_block_is_unwritten, flags_gen_params),
	KUNIT_CASE_PARAM(blocks_of_a_bulk_are_unwritten, flags_gen_params),
	KUNIT_CASE_PARAM(block_stays_written_for_a_grace_period,
			 flags_gen_params),
	KUNIT_CASE_PARAM(resized_block_keeps_what_was_written,
			 flags_gen_params),
	KUNIT_CASE_PARAM(bytes_that_were_given_up_are_unwritten,
			 flags_gen_params),
	KUNIT_CASE(block_allocated_in_nmi_counts_as_written),
	KUNIT_CASE_PARAM(object_of_a_cache_is_unwritten, flags_gen_params),
	KUNIT_CASE_PARAM(constructed_object_is_left_alone, flags_gen_params),
	KUNIT_CASE_PARAM(dead_object_is_unwritten, flags_gen_params),
	{}
};

static struct kunit_suite kmsan_suite = {
	.name = "kheap_kmsan",
	.suite_init = kheap_test_untracked_init,
	.suite_exit = kheap_test_untracked_exit,
	.init = kmsan_test_init,
	.exit = kheap_test_exit,
	.test_cases = kmsan_cases,
};

kunit_test_suite(kmsan_suite);
