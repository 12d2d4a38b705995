// SPDX-License-Identifier: GPL-2.0
/*
 * Fixed-size caches: sizes, alignment, constructors, names, ends.
 */
#include <linux/cache.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/nodemask.h>
#include <linux/string.h>

#include "helpers.h"
#include "watch/trace.h"

static struct kheap_cache *make(struct kunit *test, struct kheap *heap,
				size_t size, size_t align, unsigned int flags,
				void (*ctor)(void *))
{
	struct kheap_cache *cache = kheap_cache_create(heap, "objects", size,
						       align, flags, ctor);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	return cache;
}

static void **take(struct kunit *test, struct kheap_cache *cache,
		   unsigned int nr)
{
	void **objects = kunit_kcalloc(test, nr, sizeof(*objects), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, objects);
	for (i = 0; i < nr; i++) {
		objects[i] = kheap_cache_alloc(cache, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, objects[i]);
	}
	return objects;
}

static void give(struct kheap_cache *cache, void **objects, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		kheap_cache_free(cache, objects[i]);
}

/* --- Size and alignment ------------------------------------------------- */

static const size_t sizes[] = {
	1, 7, 8, 9, 100, 512, 513, 640, 1000, 1024, 1365, 2048, 2049, 3000,
	4095, 4096, 4097, 5000, 5462, 6000, 7000, 8191, 8192, 8193, 9000,
	10922, 12288, 16384, 16385, 20000, 24575, 24576,
};

static void number_desc(const size_t *n, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu_bytes", *n);
}

KHEAP_TEST_SWEEP_PARAM(size, sizes, number_desc, 8);

static void objects_of_every_size_do_not_overlap(struct kunit *test)
{
	size_t size = *(const size_t *)test->param_value;
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache = make(test, heap, size, 0, 0, NULL);
	unsigned int nr = 3 * cache->class.nr_blocks + 1, i;
	void **objects = take(test, cache, nr);

	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)objects[i],
						   8));
		memset(objects[i], i, size);
	}
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_NULL(test, memchr_inv(objects[i], (u8)i, size));
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, nr);
	kheap_test_expect_sound(test, heap);
	give(cache, objects, nr);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
}

/* The smallest span with a tail under 1/8, if there is one. */
static void pool_of_every_size_is_the_smallest_that_fits_well(struct kunit *test)
{
	size_t size = *(const size_t *)test->param_value;
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache = make(test, heap, size, 0, 0, NULL);
	unsigned int span, want = 0;
	size_t tail;

	size = ALIGN(size, 8);
	for (span = KHEAP_NR_SPANS; span-- > 0;) {
		size_t bytes = PAGE_SIZE << span;

		if (bytes >= size && bytes % size < bytes / 8)
			want = span;
	}
	tail = (PAGE_SIZE << cache->class.span) % size;
	if (tail < (PAGE_SIZE << cache->class.span) / 8 && size > 512)
		KUNIT_EXPECT_EQ(test, cache->class.span, want);
	if (size <= 512)
		KUNIT_EXPECT_EQ(test, cache->class.span, 0);
	KUNIT_EXPECT_EQ(test, cache->class.nr_blocks,
			(PAGE_SIZE << cache->class.span) / size);
}

static void zeroed_object_of_every_size_is_zero(struct kunit *test)
{
	size_t size = *(const size_t *)test->param_value;
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache = make(test, heap, size, 0, 0, NULL);
	void *object = kheap_cache_alloc(cache, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, object);
	memset(object, 0xff, size);
	kheap_cache_free(cache, object);
	object = kheap_cache_alloc(cache, GFP_KERNEL | __GFP_ZERO);
	KUNIT_ASSERT_NOT_NULL(test, object);
	KUNIT_EXPECT_NULL(test, memchr_inv(object, 0, size));
	kheap_cache_free(cache, object);
}

static const size_t aligns[] = {
	1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096,
};

KHEAP_TEST_SWEEP_PARAM(align, aligns, number_desc, 5);

static void objects_have_every_alignment(struct kunit *test)
{
	size_t align = *(const size_t *)test->param_value, size;
	struct kheap *heap = kheap_test_heap(test);

	for (size = 1; size <= 5000; size = size * 9 + 5) {
		struct kheap_cache *cache = make(test, heap, size, align, 0,
						 NULL);
		unsigned int nr = 2 * cache->class.nr_blocks + 1, i;
		void **objects = take(test, cache, nr);

		for (i = 0; i < nr; i++)
			KUNIT_ASSERT_TRUE(test,
					  IS_ALIGNED((unsigned long)objects[i],
						     max(align, 8ul)));
		give(cache, objects, nr);
		kheap_cache_destroy(cache);
	}
}

static void hwalign_aligns_to_the_line_or_a_part(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	size_t line = cache_line_size(), size;

	for (size = 1; size <= 3 * line; size += 7) {
		struct kheap_cache *cache = make(test, heap, size, 0,
						 KHEAP_CACHE_HWALIGN, NULL);
		size_t want = size > line / 2 ? line :
			      max_t(size_t, roundup_pow_of_two(size), 8);
		void **objects = take(test, cache, 3);
		unsigned int i;

		for (i = 0; i < 3; i++)
			KUNIT_EXPECT_TRUE(test,
					  IS_ALIGNED((unsigned long)objects[i],
						     want));
		KUNIT_EXPECT_EQ(test, cache->class.size, ALIGN(size, want));
		give(cache, objects, 3);
		kheap_cache_destroy(cache);
	}
}

/* --- Constructors ------------------------------------------------------- */

#define MAGIC	0xc0de5eedu

struct built {
	u64 serial;
	u8 body[80];
	u32 magic;
};

static atomic_t nr_built;

static void build(void *object)
{
	struct built *built = object;

	built->serial = atomic_inc_return(&nr_built);
	memset(built->body, 0xb0, sizeof(built->body));
	built->magic = MAGIC;
}

static bool is_built(const struct built *built)
{
	return built->magic == MAGIC && built->serial &&
	       !memchr_inv(built->body, 0xb0, sizeof(built->body));
}

static void constructor_runs_once_an_object(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache = make(test, heap, sizeof(struct built), 0, 0,
					 build);
	unsigned int nr = cache->class.nr_blocks, i, round;
	void **objects, *kept;

	/* What is in another CPU's magazines is not to be had here. */
	kheap_test_stay_on(test, 0);
	atomic_set(&nr_built, 0);
	/* One object stays out, or the pool might leave the class. */
	kept = take(test, cache, 1)[0];
	for (round = 0; round < 3; round++) {
		objects = take(test, cache, nr - 1);
		for (i = 0; i < nr - 1; i++)
			KUNIT_EXPECT_TRUE(test, is_built(objects[i]));
		give(cache, objects, nr - 1);
		for (i = 0; i < nr - 1; i++)
			KUNIT_EXPECT_TRUE(test, is_built(objects[i]));
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&nr_built), nr);
	kheap_cache_free(cache, kept);
}

static void freed_object_stays_constructed_in_the_pool(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
	struct kheap_cache *cache = make(test, heap, sizeof(struct built), 0, 0,
					 build);
	void **objects = take(test, cache, 10);
	unsigned int i;

	for (i = 1; i < 10; i++) {
		((struct built *)objects[i])->serial = 1000 + i;
		kheap_cache_free(cache, objects[i]);
		KUNIT_EXPECT_TRUE(test, is_built(objects[i]));
	}
	for (i = 9; i > 0; i--) {
		struct built *built = kheap_cache_alloc(cache, GFP_KERNEL);

		KUNIT_ASSERT_PTR_EQ(test, built, (struct built *)objects[i]);
		KUNIT_EXPECT_EQ(test, built->serial, 1000 + i);
	}
	give(cache, objects, 10);
}

static void constructed_objects_of_every_size_are_sound(struct kunit *test)
{
	size_t size = *(const size_t *)test->param_value, align;
	struct kheap *heap = kheap_test_heap(test);

	if (size < sizeof(struct built))
		kunit_skip(test, "smaller than what is constructed");
	for (align = 8; align <= PAGE_SIZE; align *= 8) {
		struct kheap_cache *cache = make(test, heap, size, align, 0,
						 build);
		unsigned int nr = 2 * cache->class.nr_blocks, i;
		void **objects = take(test, cache, nr);

		for (i = 0; i < nr; i++) {
			KUNIT_ASSERT_TRUE(test, is_built(objects[i]));
			memset(objects[i] + sizeof(struct built), i,
			       size - sizeof(struct built));
		}
		kheap_test_expect_sound(test, heap);
		give(cache, objects, nr);
		kheap_test_expect_sound(test, heap);
		kheap_cache_destroy(cache);
	}
}

static void zeroing_of_constructed_objects_is_refused(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache = make(test, heap, sizeof(struct built), 0, 0,
					 build);

	KUNIT_EXPECT_NULL(test, kheap_cache_alloc(cache, GFP_KERNEL |
							 __GFP_ZERO));
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_GFP), 1);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
}

/* --- Names and parameters ----------------------------------------------- */

#define NAME_63 "a23456789b123456789c123456789d123456789e123456789f123456789g123"

static const struct create_param {
	const char *desc;
	const char *name;
	size_t size;
	size_t align;
	unsigned int flags;
	int err;
} creates[] = {
	{ "plain", "a", 8, 0, 0, 0 },
	{ "63_characters", NAME_63, 8, 0, 0, 0 },
	{ "largest", "a", 6 * 4096, 4096, 0, 0 },
	{ "64_characters", NAME_63 "x", 8, 0, 0, -EINVAL },
	{ "no_name", NULL, 8, 0, 0, -EINVAL },
	{ "empty_name", "", 8, 0, 0, -EINVAL },
	{ "dots", "..", 8, 0, 0, -EINVAL },
	{ "space_in_name", "a b", 8, 0, 0, -EINVAL },
	{ "size_0", "a", 0, 0, 0, -EINVAL },
	{ "size_too_large", "a", KHEAP_CACHE_SIZE_MAX + 1, 0, 0, -EINVAL },
	{ "size_max", "a", SIZE_MAX, 0, 0, -EINVAL },
	{ "align_3", "a", 8, 3, 0, -EINVAL },
	{ "align_24", "a", 8, 24, 0, -EINVAL },
	{ "align_too_large", "a", 8, 2 * KHEAP_CACHE_ALIGN_MAX, 0, -EINVAL },
	{ "align_max", "a", 8, SIZE_MAX, 0, -EINVAL },
	{ "flag_2", "a", 8, 0, KHEAP_CACHE_FLAGS_ALL + 1, -EINVAL },
	{ "flag_31", "a", 8, 0, 1U << 31, -EINVAL },
};

KHEAP_TEST_SWEEP_PARAM_DESC(create, creates, 3);

static void bad_arguments_are_refused(struct kunit *test)
{
	const struct create_param *param = test->param_value;
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache;

	cache = kheap_cache_create(heap, param->name, param->size,
				   param->align, param->flags, NULL);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(cache), param->err);
	if (!IS_ERR(cache))
		KUNIT_EXPECT_STREQ(test, cache->class.name, param->name);
	kheap_cache_destroy(cache);
}

static void name_in_use_is_refused_in_the_same_heap_only(struct kunit *test)
{
	struct kheap *one = kheap_test_heap(test), *two = kheap_test_heap(test);
	struct kheap_cache *cache = make(test, one, 100, 0, 0, NULL);

	KUNIT_EXPECT_PTR_EQ(test, kheap_cache_create(one, "objects", 8, 0, 0,
						     NULL),
			    (struct kheap_cache *)ERR_PTR(-EEXIST));
	make(test, two, 100, 0, 0, NULL);
	kheap_cache_destroy(cache);
	make(test, one, 8, 0, 0, NULL);
}

/* Metadata of a refused cache is given back. */
static void refused_cache_costs_nothing(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	size_t before;

	make(test, heap, 100, 0, 0, NULL);
	before = kheap_test_stats(heap).metadata_bytes;
	KUNIT_EXPECT_TRUE(test, IS_ERR(kheap_cache_create(heap, "objects", 8, 0,
							  0, NULL)));
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).metadata_bytes, before);
}

/* --- The end ------------------------------------------------------------ */

static void destroy_gives_everything_back(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	size_t before = kheap_test_stats(heap).metadata_bytes;
	struct kheap_cache *cache = make(test, heap, 100, 0, 0, NULL);
	void **objects = take(test, cache, 1000);
	struct kheap_stats stats;

	give(cache, objects, 1000);
	kheap_cache_destroy(cache);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).cached_bytes, 0);
	kheap_test_expect_sound(test, heap);
	kheap_trim(heap);
	stats = kheap_test_stats(heap);
	KUNIT_EXPECT_EQ(test, stats.held_bytes, stats.metadata_bytes);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).metadata_bytes, before);
}

static void destroy_with_live_objects_reports_and_frees_them(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache = make(test, heap, 100, 0, 0, NULL);
	void **objects = take(test, cache, 203);
	void *other = kheap_test_alloc(test, heap, 100);
	char text[KHEAP_NAME_MAX + 80];

	give(cache, objects + 3, 200);
	kheap_test_watch_log(test);
	snprintf(text, sizeof(text),
		 "heap '%s': cache 'objects' destroyed with 3 live objects",
		 heap->base.name);
	kheap_cache_destroy(cache);
	KHEAP_EXPECT_LOGGED(test, text);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 1);
	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, other), 104);
	kheap_test_expect_sound(test, heap);
	kheap_free(heap, other);
}

static void destroy_of_nothing_is_fine(struct kunit *test)
{
	kheap_cache_destroy(NULL);
	kheap_cache_destroy(ERR_PTR(-EINVAL));
	KUNIT_SUCCEED(test);
}

static void create_and_destroy_100_times_loses_nothing(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	size_t before = 0;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		struct kheap_cache *cache = make(test, heap, 8 + i * 80, 0, 0,
						 NULL);

		give(cache, take(test, cache, 20), 20);
		kheap_cache_destroy(cache);
		kheap_trim(heap);
		if (i == 99)
			KUNIT_EXPECT_EQ(test,
					kheap_test_stats(heap).metadata_bytes,
					before);
		before = kheap_test_stats(heap).metadata_bytes;
	}
}

/* --- Whose object it is ------------------------------------------------- */

static void caches_and_classes_share_no_pool(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *one = make(test, heap, 64, 0, 0, NULL), *two;
	void *a, *b, *c;

	two = kheap_cache_create(heap, "others", 64, 0, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, two);
	a = kheap_cache_alloc(one, GFP_KERNEL);
	b = kheap_cache_alloc(two, GFP_KERNEL);
	c = kheap_test_alloc(test, heap, 64);
	KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(a), kheap_pool_of(b));
	KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(a), kheap_pool_of(c));
	KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(b), kheap_pool_of(c));
	kheap_cache_free(one, a);
	kheap_cache_free(two, b);
	kheap_free(heap, c);
}

static void object_goes_back_to_its_own_cache_only(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *one = make(test, heap, 64, 0, 0, NULL), *two;
	struct kheap_cache *far = make(test, kheap_test_heap(test), 64, 0, 0,
				       NULL);
	void *object = kheap_cache_alloc(one, GFP_KERNEL);
	void *block = kheap_test_alloc(test, heap, 64);

	two = kheap_cache_create(heap, "others", 64, 0, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, two);
	memset(object, 0x21, 64);
	kheap_cache_free(two, object);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_CACHE), 1);
	kheap_free(heap, object);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_CACHE), 2);
	kheap_cache_free(one, block);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_CACHE), 3);
	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, object), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_CACHE), 4);
	KUNIT_EXPECT_NULL(test, kheap_realloc(heap, object, 100, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_CACHE), 5);
	kheap_cache_free(far, object);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(far->class.heap,
						 KHEAP_BAD_HEAP), 1);
	KUNIT_EXPECT_NULL(test, memchr_inv(object, 0x21, 64));
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 2);
	kheap_cache_free(one, object);
	kheap_free(heap, block);
	kheap_cache_free(one, NULL);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 5);
}

static void wrong_cache_report_names_both(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *one = make(test, heap, 64, 0, 0, NULL);
	void *object = kheap_cache_alloc(one, GFP_KERNEL);
	char text[KHEAP_NAME_MAX + 64];

	kheap_test_watch_log(test);
	kheap_free(heap, object);
	snprintf(text, sizeof(text), "heap '%s': refused: ", heap->base.name);
	KHEAP_EXPECT_LOGGED(test, text);
	KHEAP_EXPECT_LOGGED(test, "belongs to another cache of this heap");
	KHEAP_EXPECT_LOGGED(test, "cache objects, blocks of 64 bytes");
	kheap_cache_free(one, object);
}

static void object_of_a_node_comes_from_there(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache;
	unsigned int i, nr = 0;
	void *objects[8];
	int node;

	cache = kheap_cache_create(heap, "nodes", 300, 0, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	for_each_node_state(node, N_MEMORY) {
		objects[nr] = kheap_cache_alloc_node(cache, GFP_KERNEL, node);
		KUNIT_ASSERT_NOT_NULL(test, objects[nr]);
		KUNIT_EXPECT_EQ(test, page_to_nid(virt_to_page(objects[nr])),
				node);
		KUNIT_EXPECT_NULL(test, kheap_cache_alloc_node(cache,
							       GFP_DMA32,
							       node));
		if (++nr == ARRAY_SIZE(objects))
			break;
	}
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_GFP), nr);
	for (i = 0; i < nr; i++)
		kheap_cache_free(cache, objects[i]);
	kheap_cache_destroy(cache);
}

/* --- Numbers that are no node ------------------------------------------- */

static const int no_nodes[] = { -2, INT_MIN, MAX_NUMNODES, INT_MAX };

static void no_node_desc(const int *node, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "node_%d", *node);
}

KUNIT_ARRAY_PARAM(no_node, no_nodes, no_node_desc);

/* As kmalloc_node(): any node will do. */
static void node_that_is_none_is_any_node(struct kunit *test)
{
	static const size_t some[] = { 8, 1000, 9000 };
	int node = *(const int *)test->param_value;
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache = make(test, heap, 64, 0, 0, NULL);
	void *block;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(some); i++) {
		block = kheap_alloc_node(heap, some[i], GFP_KERNEL, node);
		KUNIT_EXPECT_NOT_NULL(test, block);
		kheap_free(heap, block);
	}
	block = kheap_cache_alloc_node(cache, GFP_KERNEL, node);
	KUNIT_EXPECT_NOT_NULL(test, block);
	kheap_cache_free(cache, block);
}

/* --- The end of a cache beside the maintenance work ---------------------- */

/**
 * struct end - a cache that ends while a block freed in NMI is on its way
 * @cache: the cache
 * @met: somebody has the block in hand
 * @begun: the end has begun
 * @over: it is over
 */
struct end {
	struct kheap_cache *cache;
	bool met;
	bool begun;
	bool over;
};

/* The block is on its way from the list to the pool, and takes its time. */
static void block_on_its_way(void *data, const struct kheap_class *class,
			     const void *ptr, unsigned long call_site)
{
	struct end *end = data;
	unsigned int ms;

	if (class != &end->cache->class)
		return;
	WRITE_ONCE(end->met, true);
	for (ms = 0; ms < 200 && !READ_ONCE(end->over); ms++)
		mdelay(1);
}

static int end_cache(void *data)
{
	struct end *end = data;

	while (!READ_ONCE(end->met) && !kthread_should_stop())
		cpu_relax();
	WRITE_ONCE(end->begun, true);
	kheap_cache_destroy(end->cache);
	WRITE_ONCE(end->over, true);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

static void cache_ends_after_a_block_freed_in_nmi(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct end end = { .cache = make(test, heap, 64, 0, 0, NULL) };
	struct task_struct *task;
	unsigned long flags;
	void *object;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");
	object = kheap_cache_alloc(end.cache, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, object);
	kheap_test_watch_log(test);
	KUNIT_ASSERT_EQ(test, register_trace_kheap_free(block_on_its_way, &end),
			0);
	flags = kheap_test_nmi_begin();
	kheap_cache_free(end.cache, object);
	kheap_test_nmi_end(flags);
	task = kthread_run(end_cache, &end, "kheap-kunit-end");
	KUNIT_EXPECT_FALSE(test, IS_ERR(task));
	irq_work_sync(&heap->block.nmi_work);
	flush_delayed_work(&heap->base.maint);
	while (!READ_ONCE(end.over))
		schedule_timeout_uninterruptible(1);
	kthread_stop(task);
	unregister_trace_kheap_free(block_on_its_way, &end);
	tracepoint_synchronize_unregister();
	KUNIT_EXPECT_TRUE(test, end.met && end.begun);
	KUNIT_EXPECT_EQ(test, kheap_test_logged("live objects"), 0);
}

static struct kunit_case cache_cases[] = {
	KUNIT_CASE_PARAM(objects_of_every_size_do_not_overlap, size_gen_params),
	KUNIT_CASE_PARAM(pool_of_every_size_is_the_smallest_that_fits_well,
			 size_gen_params),
	KUNIT_CASE_PARAM(zeroed_object_of_every_size_is_zero, size_gen_params),
	KUNIT_CASE_PARAM(objects_have_every_alignment, align_gen_params),
	KUNIT_CASE(hwalign_aligns_to_the_line_or_a_part),
	KUNIT_CASE(constructor_runs_once_an_object),
	KUNIT_CASE(freed_object_stays_constructed_in_the_pool),
	KUNIT_CASE_PARAM(constructed_objects_of_every_size_are_sound,
			 size_gen_params),
	KUNIT_CASE(zeroing_of_constructed_objects_is_refused),
	KUNIT_CASE_PARAM(bad_arguments_are_refused, create_gen_params),
	KUNIT_CASE(name_in_use_is_refused_in_the_same_heap_only),
	KUNIT_CASE(refused_cache_costs_nothing),
	KUNIT_CASE(destroy_gives_everything_back),
	KUNIT_CASE(destroy_with_live_objects_reports_and_frees_them),
	KUNIT_CASE(destroy_of_nothing_is_fine),
	KUNIT_CASE_SLOW(create_and_destroy_100_times_loses_nothing),
	KUNIT_CASE(caches_and_classes_share_no_pool),
	KUNIT_CASE(object_goes_back_to_its_own_cache_only),
	KUNIT_CASE(wrong_cache_report_names_both),
	KUNIT_CASE(object_of_a_node_comes_from_there),
	KUNIT_CASE_PARAM(node_that_is_none_is_any_node, no_node_gen_params),
	KUNIT_CASE(cache_ends_after_a_block_freed_in_nmi),
	{}
};

static struct kunit_suite cache_suite = {
	.name = "kheap_cache",
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = cache_cases,
};

kunit_test_suite(cache_suite);
