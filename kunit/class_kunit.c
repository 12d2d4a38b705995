// SPDX-License-Identifier: GPL-2.0
/*
 * Size classes: which class serves which size, and what its blocks are like.
 */
#include "helpers.h"

static void size_desc(const unsigned int *szidx, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u_bytes", (*szidx + 1) * 8);
}

static const unsigned int all_classes[] = {
	 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15,
	16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
	32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
	48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63,
};

static_assert(ARRAY_SIZE(all_classes) == KHEAP_NR_SIZE_CLASSES);

KUNIT_ARRAY_PARAM(all_classes, all_classes, size_desc);

static void every_size_of_a_class_is_served_by_it(struct kunit *test)
{
	const unsigned int *szidx = test->param_value;
	struct kheap *heap = kheap_test_heap(test);
	size_t size;

	for (size = *szidx * 8 + 1; size <= (*szidx + 1) * 8; size++) {
		void *block = kheap_test_alloc(test, heap, size);
		struct kheap_pool *pool = kheap_pool_of(block);

		KUNIT_ASSERT_NOT_NULL(test, pool);
		KUNIT_EXPECT_EQ(test, pool->class->szidx, *szidx);
		KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, block),
				(*szidx + 1) * 8);
		kheap_free(heap, block);
	}
}

static struct kunit_case class_cases[] = {
	KUNIT_CASE_PARAM(every_size_of_a_class_is_served_by_it,
			 all_classes_gen_params),
	{}
};

static struct kunit_suite class_suite = {
	.name = "kheap_class",
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = class_cases,
};

kunit_test_suite(class_suite);
