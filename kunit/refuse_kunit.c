// SPDX-License-Identifier: GPL-2.0
/*
 * Bad input: what is refused, with which reason, and that nothing is harmed.
 */
#include <linux/cpumask.h>
#include <linux/kasan.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "helpers.h"

/* --- Pointers that are no block's --------------------------------------- */

enum foreign {
	STACK, VMALLOC, KMALLOC, PAGE, MODULE_TEXT, MODULE_DATA, KERNEL_TEXT,
	MEMORY_MAP, USER, USER_TOP, NULL_AND_8, LAST_BYTE, ERROR_POINTER,
	NON_CANONICAL, POISON, LIST_POISON, HOLE, MAP_LAST, MAP_END, MAP_BEFORE,
};

static const struct foreign_param {
	const char *desc;
	enum foreign what;
} foreigns[] = {
	{ "stack", STACK },
	{ "vmalloc", VMALLOC },
	{ "kmalloc", KMALLOC },
	{ "page", PAGE },
	{ "module_text", MODULE_TEXT },
	{ "module_data", MODULE_DATA },
	{ "kernel_text", KERNEL_TEXT },
	{ "memory_map", MEMORY_MAP },
	{ "user_address", USER },
	{ "user_top", USER_TOP },
	{ "null_and_8", NULL_AND_8 },
	{ "last_byte", LAST_BYTE },
	{ "error_pointer", ERROR_POINTER },
	{ "non_canonical", NON_CANONICAL },
	{ "dead_memory_pattern", POISON },
	{ "list_poison", LIST_POISON },
	{ "hole_of_the_direct_map", HOLE },
	{ "last_page_of_the_direct_map", MAP_LAST },
	{ "behind_the_direct_map", MAP_END },
	{ "before_the_direct_map", MAP_BEFORE },
};

KHEAP_TEST_SWEEP_PARAM_DESC(foreign, foreigns, 3);

static void free_vmalloc(void *ptr)
{
	vfree(ptr);
}

static void free_one_page(void *ptr)
{
	free_page((unsigned long)ptr);
}

static void *owned(struct kunit *test, void *ptr, void (*action)(void *))
{
	KUNIT_ASSERT_NOT_NULL(test, ptr);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, action, ptr), 0);
	return ptr;
}

/* An address of the direct map that has no memory behind it. */
static void *direct_map_hole(struct kunit *test)
{
	unsigned long pfn;

	for (pfn = 0; pfn < kheap_map.nr_pages; pfn += PAGES_PER_SECTION)
		if (!pfn_valid(pfn))
			return (void *)kheap_map.base + (pfn << PAGE_SHIFT);
	kunit_skip(test, "the direct map has no holes");
	return NULL;
}

static void *memory_pointer(struct kunit *test, enum foreign what)
{
	switch (what) {
	case VMALLOC:
		return owned(test, vmalloc(PAGE_SIZE), free_vmalloc);
	case KMALLOC:
		return kunit_kmalloc(test, 64, GFP_KERNEL);
	case PAGE:
		return owned(test, (void *)__get_free_page(GFP_KERNEL),
			     free_one_page);
	case MODULE_TEXT:
		return kheap_create;
	case MODULE_DATA:
		return &kheap_list;
	case KERNEL_TEXT:
		return _printk;
	default:
		return virt_to_page(test);
	}
}

static void *foreign_pointer(struct kunit *test, enum foreign what)
{
	void *base = (void *)kheap_map.base;

	switch (what) {
	case USER:
		return (void *)0x400000;
	case USER_TOP:
		return (void *)TASK_SIZE_MAX - 8;
	case NULL_AND_8:
		return (void *)8;
	case LAST_BYTE:
		return (void *)-1L;
	case ERROR_POINTER:
		return ERR_PTR(-ENOMEM);
	case NON_CANONICAL:
		return (void *)0x0000800000000000;
	case POISON:
		return (void *)0xdddddddddddddddd;
	case LIST_POISON:
		return LIST_POISON1;
	case HOLE:
		return direct_map_hole(test);
	case MAP_LAST:
		return base + (kheap_map.nr_pages << PAGE_SHIFT) - PAGE_SIZE;
	case MAP_END:
		return base + (kheap_map.nr_pages << PAGE_SHIFT);
	case MAP_BEFORE:
		return base - PAGE_SIZE;
	default:
		return memory_pointer(test, what);
	}
}

/* Give @ptr to everything that takes a block: each says no for one reason. */
static void expect_refused(struct kunit *test, struct kheap *heap, void *ptr,
			   enum kheap_refusal why)
{
	unsigned long nr = kheap_test_refused(heap, why);
	unsigned long all = kheap_test_refused_any(heap);

	kheap_free(heap, ptr);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, why), nr + 1);
	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, ptr), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, why), nr + 2);
	KUNIT_EXPECT_NULL(test, kheap_realloc(heap, ptr, 100, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, why), nr + 3);
	KUNIT_EXPECT_NULL(test, kheap_realloc(heap, ptr, 0, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, why), nr + 4);
	kheap_free_rcu(heap, ptr);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, why), nr + 5);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), all + 5);
}

static void foreign_pointer_is_refused(struct kunit *test)
{
	const struct foreign_param *param = test->param_value;
	struct kheap *heap = kheap_test_heap(test);
	void *block = kheap_test_alloc(test, heap, 64);
	struct kheap_cache *cache;
	unsigned long on_stack;
	void *ptr;

	ptr = param->what == STACK ? &on_stack :
				     foreign_pointer(test, param->what);
	expect_refused(test, heap, ptr, KHEAP_BAD_FOREIGN);
	cache = kheap_cache_create(heap, "objects", 64, 0, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	kheap_cache_free(cache, ptr);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_FOREIGN), 6);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 1);
	kheap_free(heap, block);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 6);
}

/*
 * Memory that is not in the map of the pages must not be taken for a part of
 * it, whatever it holds; here, a page of a pool whose first block is @ptr.
 */
static void page_that_is_made_up_is_foreign(struct kunit *test)
{
	static u8 room[2 * sizeof(struct page)] __aligned(8);
	struct kheap *heap = kheap_test_heap(test);
	void *block = kheap_test_alloc(test, heap, 64);
	struct kheap_pool pool = *kheap_pool_of(block);
	unsigned long nr;
	struct page *page;
	void *ptr;

	nr = DIV_ROUND_UP((unsigned long)room - (unsigned long)kheap_map.pages,
			  sizeof(struct page));
	KUNIT_ASSERT_GE(test, nr, kheap_map.nr_pages);
	ptr = (void *)kheap_map.base + (nr << PAGE_SHIFT);
	page = kheap_map.pages + nr;
	memcpy(page, virt_to_page(block), sizeof(*page));
	*kheap_page_pool_word(page) = (unsigned long)&pool;
	*kheap_page_check_word(page) = (unsigned long)&pool ^ kheap_map.secret;
	pool.base = ptr;
	expect_refused(test, heap, ptr, KHEAP_BAD_FOREIGN);
	kheap_free(heap, block);
}

static void block_of_a_heap_that_is_gone_is_foreign(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test), *gone = kheap_test_heap(test);
	void *block = kheap_test_alloc(test, gone, 64);

	kheap_test_source(gone)->nr_live = 1;
	kheap_test_heap_destroy(test, gone);
	expect_refused(test, heap, block, KHEAP_BAD_FOREIGN);
}

/* --- Pointers into blocks ----------------------------------------------- */

static const size_t sizes[] = {
	  8,  16,  24,  32,  40,  48,  56,  64,  72,  80,  88,  96, 104, 112,
	120, 128, 136, 144, 152, 160, 168, 176, 184, 192, 200, 208, 216, 224,
	232, 240, 248, 256, 264, 272, 280, 288, 296, 304, 312, 320, 328, 336,
	344, 352, 360, 368, 376, 384, 392, 400, 408, 416, 424, 432, 440, 448,
	456, 464, 472, 480, 488, 496, 504, 512,
};

static_assert(ARRAY_SIZE(sizes) == KHEAP_NR_SIZE_CLASSES);

static void size_desc(const size_t *size, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu_bytes", *size);
}

KHEAP_TEST_SWEEP_PARAM(size, sizes, size_desc, 17);

static void inner_pointer_of_every_class_is_refused(struct kunit *test)
{
	size_t size = *(const size_t *)test->param_value, i, tail;
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
	void **blocks = kheap_test_alloc_many(test, heap, size, 3);
	struct kheap_pool *pool;

	memset(blocks[1], 0x66, size);
	for (i = 1; i < size; i++)
		kheap_free(heap, blocks[1] + i);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_INNER),
			size - 1);
	expect_refused(test, heap, blocks[1] + 1, KHEAP_BAD_INNER);
	expect_refused(test, heap, blocks[1] + size - 1, KHEAP_BAD_INNER);
	pool = kheap_pool_of(blocks[0]);
	tail = pool->class->nr_blocks * size;
	if (tail < kheap_pool_bytes(pool->class))
		expect_refused(test, heap, pool->base + tail, KHEAP_BAD_INNER);
	KUNIT_EXPECT_NULL(test, memchr_inv(blocks[1], 0x66, size));
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 3);
	kheap_test_free_many(heap, blocks, 3);
}

static void inner_pointer_of_a_large_block_is_refused(struct kunit *test)
{
	static const size_t large[] = { 8193, 50000, SZ_1M, 5 * SZ_1M };
	struct kheap *heap = kheap_test_heap(test);
	void *blocks[ARRAY_SIZE(large)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(large); i++)
		blocks[i] = kheap_test_alloc(test, heap, large[i]);
	for (i = 0; i < ARRAY_SIZE(large); i++) {
		expect_refused(test, heap, blocks[i] + 1, KHEAP_BAD_INNER);
		expect_refused(test, heap, blocks[i] + 8, KHEAP_BAD_INNER);
		expect_refused(test, heap, blocks[i] + large[i] - 1,
			       KHEAP_BAD_INNER);
	}
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_large,
			ARRAY_SIZE(large));
	kheap_test_free_many(heap, blocks, ARRAY_SIZE(large));
}

static void inner_pointer_of_an_object_is_refused_on_all_its_pages(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache = kheap_cache_create(heap, "objects", 6000,
						       0, 0, NULL);
	unsigned int i;
	void *object;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	object = kheap_cache_alloc(cache, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, object);
	for (i = 1; i < 6000; i++)
		kheap_cache_free(cache, object + i);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_INNER), 5999);
	kheap_cache_free(cache, object);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 5999);
}

/* --- Blocks that are free ----------------------------------------------- */

static const struct flags_param {
	const char *desc;
	unsigned int flags;
} flags[] = {
	{ "with_cpu_caches", 0 },
	{ "without_cpu_caches", KHEAP_NO_CPU_CACHE },
};

KUNIT_ARRAY_PARAM_DESC(flags, flags, desc);

static struct kheap *param_heap(struct kunit *test)
{
	const struct flags_param *param = test->param_value;

	return kheap_test_heap_with(test, param->flags, 0);
}

static void second_free_is_refused(struct kunit *test)
{
	struct kheap *heap = param_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, 64, 10);
	unsigned int i;

	for (i = 1; i < 10; i++) {
		kheap_free(heap, blocks[i]);
		expect_refused(test, heap, blocks[i], KHEAP_BAD_FREED);
	}
	/* None is handed out twice. */
	for (i = 1; i < 10; i++)
		blocks[i] = kheap_test_alloc(test, heap, 64);
	kheap_test_expect_sound(test, heap);
	kheap_test_free_many(heap, blocks, 10);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 9 * 5);
}

struct far_free {
	struct kheap *heap;
	void *block;
};

static void free_here(void *info)
{
	struct far_free *far = info;

	kheap_free(far->heap, far->block);
}

static void second_free_on_another_cpu_is_refused(struct kunit *test)
{
	struct far_free far = { .heap = param_heap(test) };
	unsigned int cpu, nr = 0;

	if (num_online_cpus() < 2)
		kunit_skip(test, "one CPU");
	for_each_online_cpu(cpu) {
		far.block = kheap_test_alloc(test, far.heap, 64);
		kheap_free(far.heap, far.block);
		KUNIT_ASSERT_EQ(test, smp_call_function_single(cpu, free_here,
							       &far, 1), 0);
		KUNIT_EXPECT_EQ(test, kheap_test_refused(far.heap,
							 KHEAP_BAD_FREED),
				++nr);
		/* First there, then here. */
		far.block = kheap_test_alloc(test, far.heap, 64);
		KUNIT_ASSERT_EQ(test, smp_call_function_single(cpu, free_here,
							       &far, 1), 0);
		kheap_free(far.heap, far.block);
		KUNIT_EXPECT_EQ(test, kheap_test_refused(far.heap,
							 KHEAP_BAD_FREED),
				++nr);
	}
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(far.heap), nr);
}

static void second_free_after_trim_is_refused(struct kunit *test)
{
	struct kheap *heap = param_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, 512, 16);

	/* The page stays, with blocks[0]; the other page goes. */
	kheap_test_free_many(heap, blocks + 1, 15);
	kheap_trim(heap);
	expect_refused(test, heap, blocks[1], KHEAP_BAD_FREED);
	expect_refused(test, heap, blocks[15], KHEAP_BAD_FOREIGN);
	kheap_free(heap, blocks[0]);
	kheap_trim(heap);
	expect_refused(test, heap, blocks[0], KHEAP_BAD_FOREIGN);
}

static void block_of_an_empty_pool_is_refused(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
	void **blocks = kheap_test_alloc_many(test, heap, 512, 9);

	kheap_test_free_many(heap, blocks, 8);
	expect_refused(test, heap, blocks[0], KHEAP_BAD_FREED);
	expect_refused(test, heap, blocks[3] + 5, KHEAP_BAD_FREED);
	kheap_free(heap, blocks[8]);
	/* A pool that never had a class. */
	expect_refused(test, heap, blocks[8] + 20 * PAGE_SIZE, KHEAP_BAD_FREED);
}

static void virgin_block_is_refused(struct kunit *test)
{
	struct kheap *heap = param_heap(test);
	void *block = kheap_test_alloc(test, heap, 512);
	unsigned int i;

	for (i = 1; i < 8; i++)
		expect_refused(test, heap, block + i * 512, KHEAP_BAD_FREED);
	kheap_free(heap, block);
}

/* The second free comes when the memory has become a block of another size. */
static void stale_pointer_into_another_class_is_refused(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
	void **old = kheap_test_alloc_many(test, heap, 64, 64), **new;

	kheap_test_free_many(heap, old, 64);
	new = kheap_test_alloc_many(test, heap, 512, 8);
	KUNIT_ASSERT_PTR_EQ(test, new[0], old[0]);
	expect_refused(test, heap, old[1], KHEAP_BAD_INNER);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 8);
	kheap_test_free_many(heap, new, 8);
}

static void second_free_of_a_large_block_is_refused(struct kunit *test)
{
	static const size_t large[] = { SZ_8K + 1, SZ_64K, 5 * SZ_1M };
	struct kheap *heap = kheap_test_heap(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(large); i++) {
		void *block = kheap_test_alloc(test, heap, large[i]);

		kheap_free(heap, block);
		expect_refused(test, heap, block, KHEAP_BAD_FREED);
	}
}

static void large_block_given_to_a_cache_is_refused(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *block = kheap_test_alloc(test, heap, 10000);
	struct kheap_cache *cache;

	cache = kheap_cache_create(heap, "small", 64, 0, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	kheap_cache_free(cache, block);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_CACHE), 1);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 1);
	kheap_free(heap, block);
}

static void large_block_of_another_heap_is_refused(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test), *other = kheap_test_heap(test);
	void *block = kheap_test_alloc(test, other, SZ_64K);
	char text[KHEAP_NAME_MAX + 32];

	kheap_test_watch_log(test);
	expect_refused(test, heap, block, KHEAP_BAD_HEAP);
	snprintf(text, sizeof(text), "heap '%s', large block", other->base.name);
	KHEAP_EXPECT_LOGGED(test, text);
	expect_refused(test, heap, block + 100, KHEAP_BAD_HEAP);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(other), 0);
	kheap_free(other, block);
}

static void second_free_of_an_object_is_refused(struct kunit *test)
{
	struct kheap *heap = param_heap(test);
	struct kheap_cache *cache = kheap_cache_create(heap, "objects", 64, 0,
						       0, NULL);
	void *object;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	object = kheap_cache_alloc(cache, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, object);
	kheap_cache_free(cache, object);
	kheap_cache_free(cache, object);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_FREED), 1);
}

/* --- Whose block it is -------------------------------------------------- */

static void block_of_another_heap_is_refused(struct kunit *test)
{
	struct kheap *heap = param_heap(test), *other = param_heap(test);
	void *block = kheap_test_alloc(test, other, 64);
	void *large = kheap_test_alloc(test, other, 10000);
	void *mine = kheap_test_alloc(test, heap, 64);

	memset(block, 0x99, 64);
	expect_refused(test, heap, block, KHEAP_BAD_HEAP);
	expect_refused(test, heap, block + 1, KHEAP_BAD_HEAP);
	expect_refused(test, heap, large, KHEAP_BAD_HEAP);
	KUNIT_EXPECT_NULL(test, memchr_inv(block, 0x99, 64));
	KUNIT_EXPECT_EQ(test, kheap_usable_size(other, block), 64);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(other), 0);
	kheap_test_expect_sound(test, other);
	kheap_free(other, block);
	kheap_free(other, large);
	kheap_free(heap, mine);
	expect_refused(test, heap, block, KHEAP_BAD_HEAP);
}

/* --- Flags -------------------------------------------------------------- */

static const struct gfp_param {
	const char *desc;
	gfp_t gfp;
} zones[] = {
	{ "dma", __GFP_DMA },
	{ "dma32", __GFP_DMA32 },
	{ "highmem", __GFP_HIGHMEM },
	{ "movable", __GFP_MOVABLE },
	{ "highuser_movable", GFP_HIGHUSER_MOVABLE },
};

KUNIT_ARRAY_PARAM_DESC(zone, zones, desc);

static void zone_flags_are_refused_everywhere(struct kunit *test)
{
	const struct gfp_param *param = test->param_value;
	gfp_t gfp = GFP_KERNEL | param->gfp;
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache = kheap_cache_create(heap, "objects", 64, 0,
						       0, NULL);
	void *block = kheap_test_alloc(test, heap, 64);
	size_t size = 64;
	int nr = 0;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	OPTIMIZER_HIDE_VAR(size);
#define EXPECT_REFUSED(call) do {					\
	KUNIT_EXPECT_NULL(test, call);					\
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_GFP), ++nr); \
} while (0)
	EXPECT_REFUSED(kheap_alloc(heap, 64, gfp));
	EXPECT_REFUSED(kheap_alloc(heap, size, gfp));
	EXPECT_REFUSED(kheap_alloc(heap, 5000, gfp));
	EXPECT_REFUSED(kheap_alloc(heap, 10000, gfp));
	EXPECT_REFUSED(kheap_zalloc(heap, 64, gfp));
	EXPECT_REFUSED(kheap_calloc(heap, 8, 8, gfp));
	EXPECT_REFUSED(kheap_calloc(heap, 800, 8, gfp));
	EXPECT_REFUSED(kheap_alloc_node(heap, 64, gfp, 0));
	EXPECT_REFUSED(kheap_alloc_node(heap, 64, gfp, NUMA_NO_NODE));
	EXPECT_REFUSED(kheap_alloc_node(heap, 10000, gfp, 0));
	EXPECT_REFUSED(kheap_realloc(heap, NULL, 64, gfp));
	EXPECT_REFUSED(kheap_realloc(heap, block, 200, gfp));
	EXPECT_REFUSED(kheap_cache_alloc(cache, gfp));
#undef EXPECT_REFUSED
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 1);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_large, 0);
	kheap_free(heap, block);
}

/* --- Reports ------------------------------------------------------------ */

static void expect_report(struct kunit *test, struct kheap *heap,
			  const void *ptr, const char *text)
{
	char line[KHEAP_NAME_MAX + 80];

	snprintf(line, sizeof(line), "heap '%s': refused: %p %s", heap->base.name,
		 ptr, text);
	KHEAP_EXPECT_LOGGED(test, line);
	kheap_test_forget_log();
}

static void report_names_heap_pointer_and_reason(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap *other = kheap_test_heap(test);
	void *block = kheap_test_alloc(test, heap, 100);
	void *foreign = kheap_test_alloc(test, other, 100);

	kheap_test_watch_log(test);
	kheap_free(heap, &block);
	expect_report(test, heap, &block, "is not memory of any heap");
	kheap_free(heap, block + 3);
	KHEAP_EXPECT_LOGGED(test, "size class, blocks of 104 bytes");
	KHEAP_EXPECT_LOGGED(test, "at offset 3 of the pool");
	expect_report(test, heap, block + 3,
		      "is inside a block, not at its start");
	kheap_free(heap, foreign);
	expect_report(test, heap, foreign, "belongs to another heap");
	kheap_free(heap, block);
	KUNIT_EXPECT_EQ(test, kheap_test_logged("refused"), 0);
	kheap_free(heap, block);
	expect_report(test, heap, block,
		      "is free: freed before, or never allocated");
	kheap_free(other, foreign);
}

static void report_of_a_request_names_heap_and_reason(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	char line[KHEAP_NAME_MAX + 80];

	kheap_test_watch_log(test);
	snprintf(line, sizeof(line), "heap '%s': refused: ", heap->base.name);
	kheap_alloc(heap, 64, GFP_KERNEL | __GFP_DMA);
	KHEAP_EXPECT_LOGGED(test, line);
	KHEAP_EXPECT_LOGGED(test, "zone flags");
	kheap_test_forget_log();
	kheap_calloc(heap, SIZE_MAX, 8, GFP_KERNEL);
	KHEAP_EXPECT_LOGGED(test, line);
	KHEAP_EXPECT_LOGGED(test, "no allocation can be that large");
}

static void reports_are_limited_and_all_are_counted(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	unsigned int i;

	kheap_test_watch_log(test);
	kheap_refusal_limit.interval = 600 * HZ;
	for (i = 0; i < 1000; i++)
		kheap_free(heap, &heap);
	KUNIT_EXPECT_LE(test, kheap_test_logged("refused"),
			(unsigned int)kheap_refusal_limit.burst);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 1000);
}

/* Two places, and two reasons at the second. */
static void a_place_is_reported_once_for_a_reason(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *block = kheap_test_alloc(test, heap, 64), *ptr = &heap;
	unsigned int i;

	kheap_test_watch_log(test);
	for (i = 0; i < 10; i++)
		kheap_free(heap, &heap);
	KUNIT_EXPECT_EQ(test, kheap_test_logged("refused"), 1);
	for (i = 0; i < 10; i++) {
		kheap_free(heap, ptr);
		ptr = i % 2 ? (void *)&heap : block + 8;
	}
	KUNIT_EXPECT_EQ(test, kheap_test_logged("refused"), 3);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 20);
	kheap_free(heap, block);
}

static void reasons_of_another_heap_are_its_own(struct kunit *test)
{
	struct kheap *heaps[] = { kheap_test_heap(test), kheap_test_heap(test) };
	unsigned int i;

	kheap_test_watch_log(test);
	for (i = 0; i < 4; i++)
		kheap_free(heaps[i % 2], &heaps);
	KUNIT_EXPECT_EQ(test, kheap_test_logged("refused"), 2);
}

/* --- What KASAN knows --------------------------------------------------- */

/* KASAN's byte for the granule at @ptr; 0: all of it may be used. */
static u8 kasan_byte(const void *ptr)
{
#ifdef CONFIG_KASAN_GENERIC
	return *(u8 *)kasan_mem_to_shadow(ptr);
#else
	return 0;
#endif
}

static void kasan_knows_free_blocks(struct kunit *test)
{
	static const size_t block_sizes[] = { 16, 24, 64, 512, 768, 8192 };
	struct kheap *heap = param_heap(test);
	unsigned int i;
	size_t offset;
	void *block;

	if (!IS_ENABLED(CONFIG_KASAN_GENERIC))
		kunit_skip(test, "this kernel has no KASAN");
	for (i = 0; i < ARRAY_SIZE(block_sizes); i++) {
		block = kheap_test_alloc(test, heap, block_sizes[i]);
		kheap_free(heap, block);
		for (offset = 0; offset < block_sizes[i]; offset += 8)
			KUNIT_ASSERT_EQ(test, kasan_byte(block + offset),
					KHEAP_KASAN_FREE);
		block = kheap_test_alloc(test, heap, block_sizes[i]);
		for (offset = 0; offset < block_sizes[i]; offset += 8)
			KUNIT_ASSERT_EQ(test, kasan_byte(block + offset), 0);
		kheap_free(heap, block);
	}
}

static void expect_kasan_bound(struct kunit *test, void *block, size_t size)
{
	struct kheap_pool *pool = kheap_pool_of(block);
	size_t offset;

	for (offset = 0; offset < pool->class->usable; offset += 8)
		KUNIT_EXPECT_EQ(test, kasan_byte(block + offset),
				offset + 8 <= size ? 0 : offset < size ?
				size % 8 : KHEAP_KASAN_BEYOND);
}

static void kasan_knows_what_was_asked_for(struct kunit *test)
{
	static const size_t asked[] = { 1, 7, 8, 9, 50, 64, 100, 513, 700 };
	struct kheap *heap = param_heap(test);
	unsigned int i;
	void *block;

	if (!IS_ENABLED(CONFIG_KASAN_GENERIC))
		kunit_skip(test, "this kernel has no KASAN");
	for (i = 0; i < ARRAY_SIZE(asked); i++) {
		block = kheap_test_alloc(test, heap, asked[i]);
		expect_kasan_bound(test, block, asked[i]);
		block = kheap_realloc(heap, block, asked[i] + 1, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, block);
		expect_kasan_bound(test, block, asked[i] + 1);
		expect_kasan_bound(test, block, kheap_usable_size(heap, block));
		kheap_free(heap, block);
		block = kheap_zalloc(heap, asked[i], GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, block);
		expect_kasan_bound(test, block, asked[i]);
		kheap_free(heap, block);
	}
}

static void kasan_knows_free_blocks_of_a_bulk(struct kunit *test)
{
	struct kheap *heap = param_heap(test);
	void *blocks[40];
	unsigned int i;

	if (!IS_ENABLED(CONFIG_KASAN_GENERIC))
		kunit_skip(test, "this kernel has no KASAN");
	KUNIT_ASSERT_EQ(test, kheap_alloc_bulk(heap, 40, GFP_KERNEL, 40,
					       blocks), 40);
	for (i = 0; i < ARRAY_SIZE(blocks); i++)
		KUNIT_EXPECT_EQ(test, kasan_byte(blocks[i] + 32), 0);
	/* One stays, so that the pages do not go. */
	kheap_free_bulk(heap, ARRAY_SIZE(blocks) - 1, blocks);
	for (i = 0; i < ARRAY_SIZE(blocks) - 1; i++)
		KUNIT_EXPECT_EQ(test, kasan_byte(blocks[i] + 32),
				KHEAP_KASAN_FREE);
	kheap_free(heap, blocks[i]);
}

static void every_reason_has_a_name(struct kunit *test)
{
	int i, j;

	for (i = 0; i < NR_KHEAP_REFUSALS; i++) {
		KUNIT_ASSERT_NOT_NULL(test, kheap_refusal_name(i));
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_STRNEQ(test, kheap_refusal_name(i),
					    kheap_refusal_name(j));
	}
}

static struct kunit_case refuse_cases[] = {
	KUNIT_CASE_PARAM(foreign_pointer_is_refused, foreign_gen_params),
	KUNIT_CASE(page_that_is_made_up_is_foreign),
	KUNIT_CASE(block_of_a_heap_that_is_gone_is_foreign),
	KUNIT_CASE_PARAM(inner_pointer_of_every_class_is_refused,
			 size_gen_params),
	KUNIT_CASE(inner_pointer_of_a_large_block_is_refused),
	KUNIT_CASE(inner_pointer_of_an_object_is_refused_on_all_its_pages),
	KUNIT_CASE_PARAM(second_free_is_refused, flags_gen_params),
	KUNIT_CASE_PARAM(second_free_on_another_cpu_is_refused,
			 flags_gen_params),
	KUNIT_CASE_PARAM(second_free_after_trim_is_refused, flags_gen_params),
	KUNIT_CASE(block_of_an_empty_pool_is_refused),
	KUNIT_CASE_PARAM(virgin_block_is_refused, flags_gen_params),
	KUNIT_CASE(stale_pointer_into_another_class_is_refused),
	KUNIT_CASE(second_free_of_a_large_block_is_refused),
	KUNIT_CASE(large_block_given_to_a_cache_is_refused),
	KUNIT_CASE(large_block_of_another_heap_is_refused),
	KUNIT_CASE_PARAM(second_free_of_an_object_is_refused,
			 flags_gen_params),
	KUNIT_CASE_PARAM(block_of_another_heap_is_refused, flags_gen_params),
	KUNIT_CASE_PARAM(zone_flags_are_refused_everywhere, zone_gen_params),
	KUNIT_CASE(report_names_heap_pointer_and_reason),
	KUNIT_CASE(report_of_a_request_names_heap_and_reason),
	KUNIT_CASE(reports_are_limited_and_all_are_counted),
	KUNIT_CASE(a_place_is_reported_once_for_a_reason),
	KUNIT_CASE(reasons_of_another_heap_are_its_own),
	KUNIT_CASE_PARAM(kasan_knows_free_blocks, flags_gen_params),
	KUNIT_CASE_PARAM(kasan_knows_what_was_asked_for, flags_gen_params),
	KUNIT_CASE_PARAM(kasan_knows_free_blocks_of_a_bulk, flags_gen_params),
	KUNIT_CASE(every_reason_has_a_name),
	{}
};

static struct kunit_suite refuse_suite = {
	.name = "kheap_refuse",
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = refuse_cases,
};

kunit_test_suite(refuse_suite);
