// SPDX-License-Identifier: GPL-2.0
/*
 * Heaps: names, parameters, the limit, destruction and what it reports.
 */
#include <linux/string.h>

#include "helpers.h"

#define NAME_63 "a23456789b123456789c123456789d123456789e123456789f123456789g123"

static_assert(sizeof(NAME_63) - 1 == KHEAP_NAME_MAX);

static void destroy(void *heap)
{
	kheap_destroy(heap);
}

/* --- Names -------------------------------------------------------------- */

static const struct name_param {
	const char *desc;
	const char *name;
} good_names[] = {
	{ "one_character", "a" },
	{ "63_characters", NAME_63 },
	{ "every_kind_of_character", "AZaz09_.-" },
	{ "digit_first", "0" },
	{ "dot_first", ".hidden" },
	{ "three_dots", "..." },
	{ "dash", "-" },
}, bad_names[] = {
	{ "null", NULL },
	{ "empty", "" },
	{ "64_characters", NAME_63 "x" },
	{ "dot", "." },
	{ "two_dots", ".." },
	{ "slash_first", "/a" },
	{ "bad_character_last", "abc!" },
	{ "bad_character_64th", NAME_63 "!" },
};

KUNIT_ARRAY_PARAM_DESC(good_name, good_names, desc);
KUNIT_ARRAY_PARAM_DESC(bad_name, bad_names, desc);

static void good_name_is_kept(struct kunit *test)
{
	const struct name_param *param = test->param_value;
	struct kheap *heap = kheap_create(param->name, NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, heap);
	KUNIT_EXPECT_STREQ(test, heap->base.name, param->name);
	kheap_destroy(heap);
}

static void bad_name_is_refused(struct kunit *test)
{
	const struct name_param *param = test->param_value;

	KUNIT_EXPECT_PTR_EQ(test, kheap_create(param->name, NULL),
			    (struct kheap *)ERR_PTR(-EINVAL));
}

static bool is_good(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

static void every_other_character_is_refused(struct kunit *test)
{
	char name[] = "x?y";
	struct kheap *heap;
	int c, nr = 0;

	for (c = 1; c < 256; c++) {
		name[1] = c;
		heap = kheap_create(name, NULL);
		KUNIT_EXPECT_EQ(test, IS_ERR(heap), !is_good(c));
		nr += !IS_ERR(heap);
		kheap_destroy(heap);
	}
	KUNIT_EXPECT_EQ(test, nr, 2 * 26 + 10 + 3);
}

static void name_in_use_is_refused_until_it_is_free(struct kunit *test)
{
	struct kheap *heap = kheap_create("kunit-twice", NULL), *again;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, heap);
	KUNIT_EXPECT_PTR_EQ(test, kheap_create("kunit-twice", NULL),
			    (struct kheap *)ERR_PTR(-EEXIST));
	again = kheap_create("kunit-twicE", NULL);
	KUNIT_EXPECT_FALSE(test, IS_ERR(again));
	kheap_destroy(again);
	kheap_destroy(heap);
	heap = kheap_create("kunit-twice", NULL);
	KUNIT_EXPECT_FALSE(test, IS_ERR(heap));
	kheap_destroy(heap);
}

static void name_is_copied(struct kunit *test)
{
	char name[] = "kunit-copy";
	struct kheap *heap = kheap_create(name, NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, heap);
	memset(name, 'x', sizeof(name) - 1);
	KUNIT_EXPECT_STREQ(test, heap->base.name, "kunit-copy");
	kheap_destroy(heap);
}

/* --- Parameters --------------------------------------------------------- */

static void unknown_flag_is_refused(struct kunit *test)
{
	struct kheap_params params = {};
	unsigned int bit;

	for (bit = 0; bit < 32; bit++) {
		struct kheap *heap;

		params.flags = 1U << bit;
		heap = kheap_create("kunit-flag", &params);
		if (KHEAP_FLAGS_ALL & (1U << bit))
			KUNIT_EXPECT_FALSE(test, IS_ERR(heap));
		else
			KUNIT_EXPECT_PTR_EQ(test, heap,
					    (struct kheap *)ERR_PTR(-EINVAL));
		kheap_destroy(heap);
	}
}

static struct page *no_pages(void *ctx, gfp_t gfp, unsigned int order, int node)
{
	return NULL;
}

static void page_ops_without_a_function_are_refused(struct kunit *test)
{
	static const struct kheap_page_ops only_alloc = { .alloc = no_pages };
	static const struct kheap_page_ops none;
	struct kheap_params params = { .page_ops = &only_alloc };

	KUNIT_EXPECT_PTR_EQ(test, kheap_create("kunit-ops", &params),
			    (struct kheap *)ERR_PTR(-EINVAL));
	params.page_ops = &none;
	KUNIT_EXPECT_PTR_EQ(test, kheap_create("kunit-ops", &params),
			    (struct kheap *)ERR_PTR(-EINVAL));
}

static void params_are_copied(struct kunit *test)
{
	struct kheap_params params = { .limit_bytes = SZ_1M };
	struct kheap *heap = kheap_create("kunit-params", &params);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, heap);
	params.limit_bytes = 1;
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).limit_bytes, SZ_1M);
	kheap_destroy(heap);
}

static void heap_without_cpu_caches_caches_nothing(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
	void **blocks = kheap_test_alloc_many(test, heap, 64, 200);

	kheap_test_free_many(heap, blocks, 200);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).cached_bytes, 0);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).free_bytes, 0);
}

static void default_page_source_is_the_page_allocator(struct kunit *test)
{
	struct kheap *heap = kheap_create("kunit-default", NULL);
	void *block;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, heap);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, destroy, heap),
			0);
	block = kheap_test_alloc(test, heap, 100);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_pools,
			KHEAP_ARENA_POOLS);
	kheap_test_expect_sound(test, heap);
	kheap_free(heap, block);
}

/* --- Heaps are private -------------------------------------------------- */

static void two_heaps_share_no_page(struct kunit *test)
{
	struct kheap *one = kheap_test_heap(test), *two = kheap_test_heap(test);
	unsigned int i;
	void *a, *b;

	for (i = 1; i <= KHEAP_BLOCK_MAX; i += 37) {
		a = kheap_test_alloc(test, one, i);
		b = kheap_test_alloc(test, two, i);
		KUNIT_EXPECT_NE(test, (unsigned long)a & PAGE_MASK,
				(unsigned long)b & PAGE_MASK);
		KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(a)->arena,
				    kheap_pool_of(b)->arena);
		kheap_free(one, a);
		kheap_free(two, b);
	}
}

static void heap_is_listed_while_it_exists(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test), *other;
	bool found = false;

	mutex_lock(&kheap_list_lock);
	list_for_each_entry(other, &kheap_list, base.list)
		found |= other == heap;
	mutex_unlock(&kheap_list_lock);
	KUNIT_EXPECT_TRUE(test, found);
	kheap_test_heap_destroy(test, heap);
	found = false;
	mutex_lock(&kheap_list_lock);
	list_for_each_entry(other, &kheap_list, base.list)
		found |= other == heap;
	mutex_unlock(&kheap_list_lock);
	KUNIT_EXPECT_FALSE(test, found);
}

/* --- The limit ---------------------------------------------------------- */

#define LIMIT	((size_t)SZ_256K)

/* Allocate until it fails. Return how many blocks there are. */
static unsigned int exhaust(struct kheap *heap, size_t size, void **blocks,
			    unsigned int max)
{
	unsigned int nr;

	for (nr = 0; nr < max; nr++) {
		blocks[nr] = kheap_alloc(heap, size, GFP_KERNEL);
		if (!blocks[nr])
			break;
	}
	return nr;
}

static const size_t limited_sizes[] = { 8, 64, 512, 513, 8193, 100000 };

static void limited_desc(const size_t *size, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu_bytes", *size);
}

KUNIT_ARRAY_PARAM(limited, limited_sizes, limited_desc);

static void allocation_over_the_limit_fails_and_free_helps(struct kunit *test)
{
	size_t size = *(const size_t *)test->param_value;
	struct kheap *heap = kheap_test_heap_with(test, 0, LIMIT);
	unsigned int max = LIMIT / size + 1, nr, again;
	void **blocks = kunit_kcalloc(test, max, sizeof(*blocks), GFP_KERNEL);
	struct kheap_stats stats;

	KUNIT_ASSERT_NOT_NULL(test, blocks);
	kheap_test_untracked(test);
	nr = exhaust(heap, size, blocks, max);
	stats = kheap_test_stats(heap);
	KUNIT_EXPECT_LT(test, nr, max);
	KUNIT_EXPECT_GT(test, nr * size, LIMIT / 3);
	KUNIT_EXPECT_LE(test, stats.held_bytes, LIMIT);
	KUNIT_EXPECT_LE(test, stats.peak_held_bytes, LIMIT);
	KUNIT_EXPECT_EQ(test, stats.limit_bytes, LIMIT);
	KUNIT_EXPECT_EQ(test, stats.nr_failed, 1);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_LIMIT), 1);
	kheap_test_expect_sound(test, heap);
	kheap_test_free_many(heap, blocks, nr);
	kheap_trim(heap);
	KUNIT_EXPECT_LT(test, kheap_test_stats(heap).held_bytes, LIMIT / 4);
	again = exhaust(heap, size, blocks, max);
	KUNIT_EXPECT_GE(test, again, nr - nr / 8);
	kheap_test_free_many(heap, blocks, again);
}

static void memory_of_one_class_serves_another_at_the_limit(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE,
						  LIMIT);
	unsigned int max = LIMIT / 64, nr;
	void **blocks = kunit_kcalloc(test, max, sizeof(*blocks), GFP_KERNEL);
	void *other;

	KUNIT_ASSERT_NOT_NULL(test, blocks);
	kheap_test_untracked(test);
	kheap_free(heap, kheap_test_alloc(test, heap, 512));
	nr = exhaust(heap, 64, blocks, max);
	KUNIT_EXPECT_NULL(test, kheap_alloc(heap, 512, GFP_KERNEL));
	kheap_test_free_many(heap, blocks, nr);
	other = kheap_alloc(heap, 512, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, other);
	kheap_free(heap, other);
}

static void limit_report_names_the_heap(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, 0, LIMIT);
	char text[KHEAP_NAME_MAX + 32];

	kheap_test_watch_log(test);
	KUNIT_EXPECT_NULL(test, kheap_alloc(heap, LIMIT,
					    GFP_KERNEL | __GFP_NOWARN));
	KUNIT_EXPECT_EQ(test, kheap_test_logged("refused"), 0);
	KUNIT_EXPECT_NULL(test, kheap_alloc(heap, LIMIT, GFP_KERNEL));
	snprintf(text, sizeof(text), "heap '%s': refused: ", heap->base.name);
	KHEAP_EXPECT_LOGGED(test, text);
	KHEAP_EXPECT_LOGGED(test, "the limit of the heap is reached");
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_failed, 2);
}

static void limit_too_small_for_anything_fails_cleanly(struct kunit *test)
{
	struct kheap_params params = { .limit_bytes = 1 };
	struct kheap *heap = kheap_create("kunit-tiny", &params);

	if (IS_ERR(heap)) {
		KUNIT_EXPECT_PTR_EQ(test, heap,
				    (struct kheap *)ERR_PTR(-ENOMEM));
		return;
	}
	KUNIT_EXPECT_NULL(test, kheap_alloc(heap, 8, GFP_KERNEL));
	KUNIT_EXPECT_NULL(test, kheap_alloc(heap, 10000, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_failed, 2);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_LIMIT), 2);
	KUNIT_EXPECT_EQ(test, kheap_check(heap), 0);
	kheap_destroy(heap);
}

/* --- Destruction -------------------------------------------------------- */

static void destroy_with_live_blocks_reports_them_by_class(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	char text[KHEAP_NAME_MAX + 64];

	kheap_test_alloc_many(test, heap, 24, 3);
	kheap_test_alloc_many(test, heap, 512, 2);
	kheap_free(heap, kheap_test_alloc(test, heap, 100));
	kheap_test_alloc(test, heap, 16384);
	kheap_test_source(heap)->nr_live = 6;
	snprintf(text, sizeof(text),
		 "heap '%s' destroyed with 6 live blocks, %u bytes",
		 heap->base.name, 3 * 24 + 2 * 512 + 16384);
	kheap_test_watch_log(test);
	kheap_test_heap_destroy(test, heap);
	KHEAP_EXPECT_LOGGED(test, text);
	KHEAP_EXPECT_LOGGED(test, "3 of 24 bytes, 72 bytes");
	KHEAP_EXPECT_LOGGED(test, "2 of 512 bytes, 1024 bytes");
	KHEAP_EXPECT_LOGGED(test, "1 large, 16384 bytes");
	KUNIT_EXPECT_EQ(test, kheap_test_logged("of 104 bytes"), 0);
}

static void destroy_of_a_clean_heap_reports_nothing(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, 64, 1000);

	kheap_test_free_many(heap, blocks, 1000);
	kheap_test_watch_log(test);
	kheap_test_heap_destroy(test, heap);
	KUNIT_EXPECT_EQ(test, kheap_test_logged("destroyed"), 0);
}

static void destroy_takes_caches_along(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache = kheap_cache_create(heap, "left", 700, 0, 0,
						       NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	KUNIT_ASSERT_NOT_NULL(test, kheap_cache_alloc(cache, GFP_KERNEL));
	kheap_test_source(heap)->nr_live = 1;
	kheap_test_watch_log(test);
	kheap_test_heap_destroy(test, heap);
	KHEAP_EXPECT_LOGGED(test, "1 of left, 700 bytes");
}

static void destroy_of_nothing_is_fine(struct kunit *test)
{
	kheap_destroy(NULL);
	kheap_destroy(ERR_PTR(-EINVAL));
	KUNIT_SUCCEED(test);
}

static void create_and_destroy_100_times_loses_nothing(struct kunit *test)
{
	unsigned int i, size;

	for (i = 0; i < 100; i++) {
		struct kheap *heap = kheap_test_heap(test);

		for (size = 8; size < 1000; size += 40 + i)
			kheap_test_alloc(test, heap, size);
		kheap_test_source(heap)->nr_live = DIV_ROUND_UP(1000 - 8,
								40 + i);
		kheap_test_heap_destroy(test, heap);
	}
}

/* Destroyed at once, with work still queued for it. */
static void destroy_waits_for_what_was_put_off(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < (kheap_test_sweep ? 20 : 4); i++) {
		struct kheap *heap = kheap_test_heap(test);
		void *large = kheap_test_alloc(test, heap, SZ_1M);
		void *block = kheap_alloc(heap, 64, GFP_ATOMIC);

		KUNIT_ASSERT_NOT_NULL(test, block);
		preempt_disable();
		kheap_free(heap, large);
		preempt_enable();
		kheap_free_rcu(heap, block);
		kheap_test_heap_end(test, heap);
	}
}

static struct kunit_case heap_cases[] = {
	KUNIT_CASE_PARAM(good_name_is_kept, good_name_gen_params),
	KUNIT_CASE_PARAM(bad_name_is_refused, bad_name_gen_params),
	KUNIT_CASE_SLOW(every_other_character_is_refused),
	KUNIT_CASE(name_in_use_is_refused_until_it_is_free),
	KUNIT_CASE(name_is_copied),
	KUNIT_CASE(unknown_flag_is_refused),
	KUNIT_CASE(page_ops_without_a_function_are_refused),
	KUNIT_CASE(params_are_copied),
	KUNIT_CASE(heap_without_cpu_caches_caches_nothing),
	KUNIT_CASE(default_page_source_is_the_page_allocator),
	KUNIT_CASE(two_heaps_share_no_page),
	KUNIT_CASE(heap_is_listed_while_it_exists),
	KUNIT_CASE_PARAM(allocation_over_the_limit_fails_and_free_helps,
			 limited_gen_params),
	KUNIT_CASE(memory_of_one_class_serves_another_at_the_limit),
	KUNIT_CASE(limit_report_names_the_heap),
	KUNIT_CASE(limit_too_small_for_anything_fails_cleanly),
	KUNIT_CASE(destroy_with_live_blocks_reports_them_by_class),
	KUNIT_CASE(destroy_of_a_clean_heap_reports_nothing),
	KUNIT_CASE(destroy_takes_caches_along),
	KUNIT_CASE(destroy_of_nothing_is_fine),
	KUNIT_CASE_SLOW(create_and_destroy_100_times_loses_nothing),
	KUNIT_CASE(destroy_waits_for_what_was_put_off),
	{}
};

static struct kunit_suite heap_suite = {
	.name = "kheap_heap",
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = heap_cases,
};

kunit_test_suite(heap_suite);
