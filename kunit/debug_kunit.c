// SPDX-License-Identifier: GPL-2.0
/*
 * Blocks under observation: each fault of a client is found and told exactly,
 * and good use is not.
 */
#include <linux/string.h>

#include "helpers.h"

#define GUARD_BYTE	0xfd
#define CLEAN_BYTE	0xcd
#define DEAD_BYTE	0xdd

static const size_t sizes[] = { 1, 8, 20, 64, 100, 512, 700, 4096, 8192 };

static void size_desc(const size_t *size, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu_bytes", *size);
}

KUNIT_ARRAY_PARAM(size, sizes, size_desc);

static size_t param_size(struct kunit *test)
{
	return *(const size_t *)test->param_value;
}

static struct kheap *debug_heap(struct kunit *test, unsigned int flags)
{
	return kheap_test_heap_with(test, flags, 0);
}

/* As a client that does not know: KASAN does not see it. */
static void scribble(void *ptr, u8 byte, size_t nr)
{
	__memset(ptr, byte, nr);
}

static void expect_damage(struct kunit *test, struct kheap *heap,
			  enum kheap_refusal why, long first, long last)
{
	char text[64];

	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, why), 1);
	snprintf(text, sizeof(text), "damaged from offset %ld to %ld of",
		 first, last);
	KHEAP_EXPECT_LOGGED(test, text);
}

/* --- Guard bytes -------------------------------------------------------- */

static void byte_behind_a_block_is_found(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_GUARD);
	long size = param_size(test);
	u8 *block = kheap_test_alloc(test, heap, size);

	kheap_test_watch_log(test);
	KUNIT_EXPECT_EQ(test, block[size], GUARD_BYTE);
	KUNIT_EXPECT_EQ(test, block[size + 7], GUARD_BYTE);
	block[size] = 0x42;
	kheap_free(heap, block);
	expect_damage(test, heap, KHEAP_BAD_GUARD, size, size);
	KHEAP_EXPECT_LOGGED(test, "was written to beyond its bounds");
}

static void first_and_last_damaged_byte_are_told(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_GUARD);
	u8 *block = kheap_test_alloc(test, heap, 20);

	kheap_test_watch_log(test);
	block[-3] = 0;
	block[22] = 0;
	kheap_free(heap, block);
	expect_damage(test, heap, KHEAP_BAD_GUARD, -3, 22);
	/* It is mended: the next user is not blamed. */
	block = kheap_test_alloc(test, heap, 20);
	kheap_free(heap, block);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 1);
}

static void byte_before_a_block_is_found(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_GUARD);
	u8 *one = kheap_test_alloc(test, heap, 100);
	u8 *two = kheap_test_alloc(test, heap, 100);

	kheap_test_watch_log(test);
	two[-1] = 0;
	kheap_free(heap, one);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
	kheap_free(heap, two);
	expect_damage(test, heap, KHEAP_BAD_GUARD, -1, -1);
}

/* --- Patterns ----------------------------------------------------------- */

static void memory_is_clean_then_dead(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_POISON);
	size_t size = param_size(test);
	void *block = kheap_test_alloc(test, heap, size);
	void *other = kheap_test_alloc(test, heap, size);

	if (!want_init_on_alloc(GFP_KERNEL))
		KUNIT_EXPECT_NULL(test, memchr_inv(block, CLEAN_BYTE, size));
	memset(block, 0x42, size);
	kheap_free(heap, other);
	other = kheap_zalloc(heap, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, other);
	KUNIT_EXPECT_NULL(test, memchr_inv(other, 0, size));
	KUNIT_EXPECT_NULL(test, memchr_inv(block, 0x42, size));
	kheap_free(heap, block);
	kheap_free(heap, other);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
}

static void write_after_free_is_found(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_POISON |
					      KHEAP_DEBUG_USER);
	void *block = kheap_test_alloc(test, heap, 64), *again;

	kheap_test_watch_log(test);
	kheap_free(heap, block);
	scribble(block + 20, 0x11, 3);
	again = kheap_test_alloc(test, heap, 64);
	KUNIT_ASSERT_PTR_EQ(test, again, block);
	expect_damage(test, heap, KHEAP_BAD_POISON, 20, 22);
	KHEAP_EXPECT_LOGGED(test, "allocated by:");
	KHEAP_EXPECT_LOGGED(test, "freed by:");
	kheap_free(heap, again);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 1);
}

/* --- Records ------------------------------------------------------------ */

static void second_free_tells_who_had_the_block(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_USER);
	void *keep = kheap_test_alloc(test, heap, 48);
	void *block = kheap_test_alloc(test, heap, 48);

	kheap_free(heap, block);
	kheap_test_watch_log(test);
	kheap_free(heap, block);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_FREED), 1);
	KHEAP_EXPECT_LOGGED(test, "48 bytes asked for, allocation 2");
	KHEAP_EXPECT_LOGGED(test, "allocated by:");
	KHEAP_EXPECT_LOGGED(test, "freed by:");
	kheap_free(heap, keep);
}

static void usable_size_is_what_was_asked_for(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_ALL &
					      ~KHEAP_DEBUG_TRACE);
	size_t size = param_size(test), usable;
	u8 *block = kheap_test_alloc(test, heap, size);

	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, block), size);
	memset(block, 0x33, size);
	block = kheap_realloc(heap, block, size + 1, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, block);
	usable = kheap_usable_size(heap, block);
	KUNIT_EXPECT_GE(test, usable, size + 1);
	KUNIT_EXPECT_NULL(test, memchr_inv(block, 0x33, size));
	memset(block, 0x44, usable);
	kheap_free(heap, block);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
}

static void only_the_start_of_a_block_is_taken(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_GUARD);
	size_t size = param_size(test);
	void **blocks = kheap_test_alloc_many(test, heap, size, 40);
	struct kheap_pool *pool = kheap_pool_of(blocks[0]);
	unsigned int i;
	long offset;

	for (i = 0; i < 40; i++)
		if (is_power_of_2(size) && size >= 8)
			KUNIT_EXPECT_TRUE(test,
					  IS_ALIGNED((unsigned long)blocks[i],
						     size));
	for (offset = 1; offset < pool->class->size; offset++) {
		kheap_free(heap, blocks[0] + offset);
		if (pool->class->front)
			kheap_free(heap, pool->base - 1 -
					 offset % pool->class->front);
		if (offset > 700)
			offset += 61;
	}
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 40);
	kheap_test_free_many(heap, blocks, 40);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
}

/* --- Good use ----------------------------------------------------------- */

static const unsigned int good_flags[] = {
	KHEAP_DEBUG_CONSISTENCY, KHEAP_DEBUG_GUARD, KHEAP_DEBUG_POISON,
	KHEAP_DEBUG_USER, KHEAP_DEBUG_ALL & ~KHEAP_DEBUG_TRACE,
};

static void flags_desc(const unsigned int *flags, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "flags_%x", *flags);
}

KUNIT_ARRAY_PARAM(good_flags, good_flags, flags_desc);

static void construct(void *object)
{
	memset(object, 0x77, 40);
}

static void good_use_is_silent(struct kunit *test)
{
	const unsigned int *flags = test->param_value;
	struct kheap *heap = debug_heap(test, *flags);
	struct kheap_cache *made, *plain;
	void *blocks[60] = {}, *object;
	unsigned int i;

	made = kheap_cache_create(heap, "made", 40, 0, 0, construct);
	plain = kheap_cache_create(heap, "plain", 200, 0, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, made);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, plain);
	for (i = 0; i < 3000; i++) {
		void **block = &blocks[i * 7 % ARRAY_SIZE(blocks)];
		size_t size = i * 131 % 3000;

		if (i % 5)
			kheap_free(heap, *block);
		else
			kheap_free_rcu(heap, *block);
		*block = kheap_test_alloc(test, heap, size);
		memset(*block, i, size);
		object = kheap_cache_alloc(made, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, object);
		KUNIT_EXPECT_NULL(test, memchr_inv(object, 0x77, 40));
		kheap_cache_free(made, object);
		object = kheap_cache_alloc(plain, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, object);
		memset(object, 0x12, 200);
		kheap_cache_free(plain, object);
	}
	kheap_free_bulk(heap, ARRAY_SIZE(blocks), blocks);
	kheap_trim(heap);
	kheap_test_expect_sound(test, heap);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
}

static struct kunit_case debug_cases[] = {
	KUNIT_CASE_PARAM(byte_behind_a_block_is_found, size_gen_params),
	KUNIT_CASE(first_and_last_damaged_byte_are_told),
	KUNIT_CASE(byte_before_a_block_is_found),
	KUNIT_CASE_PARAM(memory_is_clean_then_dead, size_gen_params),
	KUNIT_CASE(write_after_free_is_found),
	KUNIT_CASE(second_free_tells_who_had_the_block),
	KUNIT_CASE_PARAM(usable_size_is_what_was_asked_for, size_gen_params),
	KUNIT_CASE_PARAM(only_the_start_of_a_block_is_taken, size_gen_params),
	KUNIT_CASE_PARAM_ATTR(good_use_is_silent, good_flags_gen_params,
			      { .speed = KUNIT_SPEED_SLOW }),
	{}
};

static struct kunit_suite debug_suite = {
	.name = "kheap_debug",
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = debug_cases,
};

kunit_test_suite(debug_suite);
