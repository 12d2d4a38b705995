// SPDX-License-Identifier: GPL-2.0
/*
 * What stands behind slab_compat.h: the heaps of modules that know nothing of
 * kheap, which come and go with their caches; what no cache can be; memory of
 * whatever origin that is given back.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <kheap/slab_calls.h>

#include "helpers.h"

/* A module as far as kheap looks at it: by address and name. */
static struct module owner = { .name = "kunit_owner" };

static struct kheap *find_heap(const char *name)
{
	struct kheap *heap, *found = NULL;

	mutex_lock(&kheap_list_lock);
	list_for_each_entry(heap, &kheap_list, base.list)
		if (!strcmp(heap->base.name, name))
			found = heap;
	mutex_unlock(&kheap_list_lock);
	return found;
}

static struct kheap_cache *create(struct kunit *test, const char *name,
				  slab_flags_t flags)
{
	struct kheap_cache *cache;

	cache = kheap_slab_create(&owner, name, 100, 0, flags, NULL);
	KUNIT_ASSERT_NOT_NULL(test, cache);
	return cache;
}

static void *alloc(struct kunit *test, struct kheap_cache *cache)
{
	void *object = kheap_cache_alloc(cache, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, object);
	return object;
}

/* --- What no cache can be ----------------------------------------------- */

static const struct unfit {
	const char *desc;
	const char *name;
	unsigned int size;
	unsigned int align;
	slab_flags_t flags;
	const char *why;
} unfits[] = {
	{ "no_name", NULL, 8, 0, 0, "it has no name" },
	{ "empty_name", "", 8, 0, 0, "it has no name" },
	{ "no_size", "x", 0, 0, 0, "its objects have no size" },
	{ "too_large", "x", KHEAP_CACHE_SIZE_MAX + 1, 0, 0,
	  "larger than kheap has them" },
	{ "odd_alignment", "x", 8, 24, 0, "no power of two" },
	{ "wide_alignment", "x", 8, 2 * KHEAP_CACHE_ALIGN_MAX, 0,
	  "larger than a page" },
	{ "dma", "x", 8, 0, SLAB_CACHE_DMA, "of a zone for DMA" },
	{ "dma32", "x", 8, 0, SLAB_CACHE_DMA32, "of a zone for DMA" },
};

KUNIT_ARRAY_PARAM_DESC(unfit, unfits, desc);

static void unfit_cache_is_refused_with_its_reason(struct kunit *test)
{
	const struct unfit *u = test->param_value;

	kheap_test_watch_log(test);
	KUNIT_EXPECT_NULL(test, kheap_slab_create(&owner, u->name, u->size,
						  u->align, u->flags, NULL));
	KHEAP_EXPECT_LOGGED(test, "module kunit_owner: no cache '");
	KHEAP_EXPECT_LOGGED(test, u->why);
	KUNIT_EXPECT_NULL(test, find_heap("kunit_owner"));
}

static void largest_cache_is_made(struct kunit *test)
{
	struct kheap_cache *cache;

	cache = kheap_slab_create(&owner, "x", KHEAP_CACHE_SIZE_MAX,
				  KHEAP_CACHE_ALIGN_MAX, SLAB_HWCACHE_ALIGN,
				  NULL);
	KUNIT_EXPECT_NOT_NULL(test, cache);
	kheap_slab_destroy(cache);
}

/* --- Names -------------------------------------------------------------- */

static void names_become_those_of_files(struct kunit *test)
{
	static const char * const names[][2] = {
		{ "ext4_inode.cache-1", "ext4_inode.cache-1" },
		{ "two words/and a path", "two_words_and_a_path" },
		{ "caf\xc3\xa9", "caf__" },
	};
	struct kheap_cache *cache;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		cache = create(test, names[i][0], 0);
		KUNIT_EXPECT_STREQ(test, cache->class.name, names[i][1]);
		kheap_slab_destroy(cache);
	}
}

static void long_name_is_cut(struct kunit *test)
{
	struct kheap_cache *caches[11];
	char name[2 * KHEAP_NAME_MAX];
	unsigned int i;

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (i = 0; i < ARRAY_SIZE(caches); i++) {
		caches[i] = create(test, name, 0);
		KUNIT_EXPECT_EQ(test, strlen(caches[i]->class.name),
				KHEAP_NAME_MAX);
	}
	KUNIT_EXPECT_STREQ(test, strrchr(caches[1]->class.name, 'n'), "n-2");
	KUNIT_EXPECT_STREQ(test, strrchr(caches[10]->class.name, 'n'), "n-11");
	for (i = 0; i < ARRAY_SIZE(caches); i++)
		kheap_slab_destroy(caches[i]);
}

#define NR_NAMESAKES	300

static void namesakes_have_numbers_without_end(struct kunit *test)
{
	struct kheap_cache **caches;
	unsigned int i;

	caches = kunit_kmalloc_array(test, NR_NAMESAKES, sizeof(*caches),
				     GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, caches);

	for (i = 0; i < NR_NAMESAKES; i++)
		caches[i] = create(test, "same", 0);
	KUNIT_EXPECT_STREQ(test, caches[0]->class.name, "same");
	KUNIT_EXPECT_STREQ(test, caches[1]->class.name, "same-2");
	KUNIT_EXPECT_STREQ(test, caches[98]->class.name, "same-99");
	KUNIT_EXPECT_STREQ(test, caches[NR_NAMESAKES - 1]->class.name,
			   "same-300");
	/* Numbers come free in the middle, and the name itself. */
	kheap_slab_destroy(caches[0]);
	kheap_slab_destroy(caches[150]);
	caches[0] = create(test, "same", 0);
	KUNIT_EXPECT_STREQ(test, caches[0]->class.name, "same");
	caches[150] = create(test, "same", 0);
	for (i = 0; i < NR_NAMESAKES; i++)
		kheap_slab_destroy(caches[i]);
	KUNIT_EXPECT_NULL(test, find_heap("kunit_owner"));
}

/* --- Heaps -------------------------------------------------------------- */

static void heaps_come_and_go_with_their_caches(struct kunit *test)
{
	struct kheap_cache *plain[2], *charged;

	plain[0] = create(test, "a", 0);
	charged = create(test, "a", SLAB_ACCOUNT);
	plain[1] = create(test, "b", 0);
	KUNIT_EXPECT_PTR_EQ(test, plain[0]->class.heap, plain[1]->class.heap);
	KUNIT_EXPECT_PTR_EQ(test, plain[0]->class.heap,
			    find_heap("kunit_owner"));
	KUNIT_EXPECT_PTR_EQ(test, charged->class.heap,
			    find_heap("kunit_owner.acct"));
	KUNIT_EXPECT_TRUE(test, charged->class.heap->base.flags & KHEAP_ACCOUNT);
	kheap_slab_destroy(plain[0]);
	KUNIT_EXPECT_NOT_NULL(test, find_heap("kunit_owner"));
	kheap_slab_destroy(plain[1]);
	KUNIT_EXPECT_NULL(test, find_heap("kunit_owner"));
	KUNIT_EXPECT_NOT_NULL(test, find_heap("kunit_owner.acct"));
	kheap_slab_destroy(charged);
	KUNIT_EXPECT_NULL(test, find_heap("kunit_owner.acct"));
	kheap_slab_destroy(NULL);
}

/* The module, or another one, has a heap of its own with that name. */
static void heap_whose_name_is_taken_has_a_number(struct kunit *test)
{
	struct kheap *others[2] = {
		kheap_create("kunit_owner", NULL),
		kheap_create("kunit_owner.acct", NULL),
	};
	struct kheap_cache *plain, *charged;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, others[0]);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, others[1]);
	plain = create(test, "x", 0);
	charged = create(test, "x", SLAB_ACCOUNT);
	KUNIT_EXPECT_PTR_EQ(test, plain->class.heap,
			    find_heap("kunit_owner-2"));
	KUNIT_EXPECT_PTR_EQ(test, charged->class.heap,
			    find_heap("kunit_owner.acct-2"));
	kheap_slab_destroy(plain);
	kheap_slab_destroy(charged);
	KUNIT_EXPECT_NULL(test, find_heap("kunit_owner-2"));
	kheap_destroy(others[0]);
	kheap_destroy(others[1]);
	kheap_slab_destroy(create(test, "x", 0));
	KUNIT_EXPECT_NULL(test, find_heap("kunit_owner"));
}

static void shrunk_cache_says_whether_objects_are_left(struct kunit *test)
{
	struct kheap_cache *cache = create(test, "x", 0);
	void *object = alloc(test, cache);

	KUNIT_EXPECT_EQ(test, kheap_slab_shrink(cache), 1);
	kheap_cache_free(cache, object);
	KUNIT_EXPECT_EQ(test, kheap_slab_shrink(cache), 0);
	kheap_slab_destroy(cache);
}

/* --- Memory that must be there ------------------------------------------ */

struct relief {
	struct work_struct work;
	struct kheap *heap;
	bool was_short;
};

/* When a request has failed, let the next one through. */
static void relieve(struct work_struct *work)
{
	struct relief *relief = container_of(work, struct relief, work);

	while (!atomic_long_read(&relief->heap->base.nr_failed))
		schedule_timeout_uninterruptible(1);
	WRITE_ONCE(relief->was_short, true);
	WRITE_ONCE(relief->heap->base.limit_bytes, 0);
}

static void request_that_must_not_fail_waits(struct kunit *test)
{
	struct kheap_cache *cache = create(test, "x", 0);
	struct relief relief = { .heap = cache->class.heap };
	void *object;

	INIT_WORK_ONSTACK(&relief.work, relieve);
	relief.heap->base.limit_bytes = 1;
	schedule_work(&relief.work);
	object = kheap_slab_alloc_nofail(cache, GFP_KERNEL | __GFP_NOWARN);
	KUNIT_EXPECT_NOT_NULL(test, object);
	KUNIT_EXPECT_TRUE(test, READ_ONCE(relief.was_short));
	flush_work(&relief.work);
	destroy_work_on_stack(&relief.work);
	kheap_slab_free(object);
	kheap_slab_destroy(cache);
}

static void flags_that_are_refused_do_not_wait(struct kunit *test)
{
	struct kheap_cache *cache = create(test, "x", 0);

	KUNIT_EXPECT_NULL(test, kheap_slab_alloc_nofail(cache, GFP_KERNEL |
							GFP_DMA32));
	kheap_slab_destroy(cache);
}

/* --- What is given back ------------------------------------------------- */

static void memory_of_others_is_left_alone(struct kunit *test)
{
	u8 *other = kmalloc(64, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, other);
	memset(other, 0x42, 64);
	KUNIT_EXPECT_FALSE(test, kheap_slab_free(other));
	KUNIT_EXPECT_FALSE(test, kheap_slab_free_sensitive(other));
	KUNIT_EXPECT_FALSE(test, kheap_slab_free_rcu(other));
	KUNIT_EXPECT_EQ(test, kheap_slab_ksize(other), 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(other, 0x42, 64));
	kfree(other);
}

static unsigned long nr_live(struct kheap_cache *cache)
{
	struct kheap_class_stats stats;

	kheap_class_get_stats(&cache->class, &stats);
	return stats.nr_allocated;
}

static void object_is_freed_by_its_address_alone(struct kunit *test)
{
	struct kheap_cache *cache = create(test, "x", 0);
	void *objects[3];
	unsigned int i;

	for (i = 0; i < 3; i++)
		objects[i] = alloc(test, cache);
	KUNIT_EXPECT_GE(test, kheap_slab_ksize(objects[0]), 100);
	KUNIT_EXPECT_TRUE(test, kheap_slab_free(objects[0]));
	KUNIT_EXPECT_EQ(test, nr_live(cache), 2);
	KUNIT_EXPECT_TRUE(test, kheap_slab_free_sensitive(objects[1]));
	KUNIT_EXPECT_EQ(test, nr_live(cache), 1);
	KUNIT_EXPECT_TRUE(test, kheap_slab_free_rcu(objects[2]));
	kheap_slab_destroy(cache);
	KUNIT_EXPECT_NULL(test, find_heap("kunit_owner"));
}

/* The page stays with the cache; KASAN would not have it read otherwise. */
static void secrets_are_zeroed(struct kunit *test)
{
	struct kheap_cache *cache;
	unsigned int i, nr = 0;
	u64 *object;

	cache = kheap_slab_create(&owner, "x", 512, 0, 0, NULL);
	KUNIT_ASSERT_NOT_NULL(test, cache);
	object = alloc(test, cache);
	memset(object, 0x42, 512);
	KUNIT_EXPECT_TRUE(test, kheap_slab_free_sensitive(object));
	for (i = 0; i < 512 / sizeof(*object); i++)
		nr += READ_ONCE_NOCHECK(object[i]) == 0x4242424242424242;
	KUNIT_EXPECT_EQ(test, nr, 0);
	kheap_slab_destroy(cache);
}

/* It is refused, and nothing is written to it. */
static void bad_pointer_is_not_zeroed(struct kunit *test)
{
	struct kheap_cache *cache = create(test, "x", 0);
	u8 *object = alloc(test, cache), *gone = alloc(test, cache);
	struct kheap *heap = cache->class.heap;

	kheap_test_watch_log(test);
	memset(object, 0x42, 100);
	KUNIT_EXPECT_TRUE(test, kheap_slab_free_sensitive(object + 8));
	KUNIT_EXPECT_NULL(test, memchr_inv(object, 0x42, 100));
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_INNER), 1);
	kheap_slab_free(gone);
	KUNIT_EXPECT_EQ(test, kheap_slab_ksize(gone), cache->class.usable);
	KUNIT_EXPECT_TRUE(test, kheap_slab_free_sensitive(gone));
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_FREED), 1);
	KUNIT_EXPECT_EQ(test, nr_live(cache), 1);
	kheap_slab_free(object);
	kheap_slab_destroy(cache);
}

/* --- What grows and shrinks --------------------------------------------- */

static void *new_place(size_t size, gfp_t gfp)
{
	return kmalloc(size, gfp);
}

static void *no_place(size_t size, gfp_t gfp)
{
	return NULL;
}

/* KASAN has seen where each request ended. */
static void block_is_resized(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	u8 *block = kheap_test_alloc(test, heap, 100), *moved;

	memset(block, 7, 100);
	KUNIT_EXPECT_PTR_EQ(test, kheap_slab_resize(block, 104, GFP_KERNEL,
						    no_place), (void *)block);
	memset(block + 100, 7, 4);
	KUNIT_EXPECT_NULL(test, kheap_slab_resize(block, 105, GFP_KERNEL,
						  no_place));
	KUNIT_EXPECT_PTR_EQ(test, kheap_slab_resize(block, 9, GFP_KERNEL |
						    __GFP_ZERO, no_place),
			    (void *)block);
	moved = kheap_slab_resize(block, 1000, GFP_KERNEL, new_place);
	KUNIT_ASSERT_NOT_NULL(test, moved);
	KUNIT_EXPECT_NULL(test, memchr_inv(moved, 7, 9));
	KUNIT_EXPECT_NULL(test, memchr_inv(moved + 9, 0, 95));
	KUNIT_EXPECT_EQ(test, kheap_slab_ksize(moved), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0ul);
	kfree(moved);
}

static void block_of_no_bytes_is_freed(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);

	KUNIT_EXPECT_PTR_EQ(test,
			    kheap_slab_resize(kheap_test_alloc(test, heap, 100),
					      0, GFP_KERNEL, no_place),
			    ZERO_SIZE_PTR);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0ul);
}

static void bad_pointer_is_not_resized(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	u8 *block = kheap_test_alloc(test, heap, 100);

	kheap_test_watch_log(test);
	KUNIT_EXPECT_NULL(test, kheap_slab_resize(block + 8, 50, GFP_KERNEL,
						  new_place));
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_INNER), 1);
	kheap_slab_free(block);
	KUNIT_EXPECT_NULL(test, kheap_slab_resize(block, 50, GFP_KERNEL,
						  new_place));
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_FREED), 1);
}

/* A cache's objects are of one size, whatever is made of them in between. */
static void object_is_resized_as_any_memory(struct kunit *test)
{
	struct kheap_cache *cache = create(test, "x", 0);
	u8 *object = alloc(test, cache), *moved;

	memset(object, 7, 100);
	KUNIT_EXPECT_PTR_EQ(test, kheap_slab_resize(object, 20, GFP_KERNEL,
						    no_place), (void *)object);
	moved = kheap_slab_resize(object, 1000, GFP_KERNEL, new_place);
	KUNIT_ASSERT_NOT_NULL(test, moved);
	KUNIT_EXPECT_NULL(test, memchr_inv(moved, 7, 100));
	KUNIT_EXPECT_EQ(test, nr_live(cache), 0);
	kfree(moved);
	kheap_slab_destroy(cache);
}

/* All of a block, of which KASAN knows a part. */
static void secrets_of_blocks_are_zeroed(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	u8 *block = kheap_test_alloc(test, heap, 1001);

	KUNIT_EXPECT_TRUE(test, kheap_slab_free_sensitive(block));
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0ul);
}

/* --- Blocks of no cache ------------------------------------------------- */

static void atomic_request_makes_no_heap(struct kunit *test)
{
	KUNIT_EXPECT_NULL(test, kheap_slab_heap_of(&owner, GFP_ATOMIC));
	KUNIT_EXPECT_NULL(test, find_heap("kunit_owner"));
}

/*
 * A heap with blocks of no cache stays as long as the module: this one's goes
 * with the suites.
 */
static void heap_with_blocks_outlives_its_caches(struct kunit *test)
{
	struct kheap *heap = kheap_slab_heap_of(THIS_MODULE, GFP_KERNEL);
	struct kheap_cache *cache;
	void *block;

	KUNIT_ASSERT_NOT_NULL(test, heap);
	KUNIT_EXPECT_PTR_EQ(test, kheap_slab_heap_of(THIS_MODULE, GFP_KERNEL),
			    heap);
	cache = kheap_slab_create(THIS_MODULE, "x", 64, 0, 0, NULL);
	KUNIT_ASSERT_NOT_NULL(test, cache);
	KUNIT_EXPECT_PTR_EQ(test, cache->class.heap, heap);
	block = kheap_test_alloc(test, heap, 64);
	kheap_slab_destroy(cache);
	KUNIT_EXPECT_PTR_EQ(test, find_heap(THIS_MODULE->name), heap);
	KUNIT_EXPECT_TRUE(test, kheap_slab_free(block));
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0ul);
	KUNIT_EXPECT_EQ(test, kheap_check(heap), 0);
}

static struct kunit_case slab_compat_cases[] = {
	KUNIT_CASE_PARAM(unfit_cache_is_refused_with_its_reason,
			 unfit_gen_params),
	KUNIT_CASE(largest_cache_is_made),
	KUNIT_CASE(names_become_those_of_files),
	KUNIT_CASE(long_name_is_cut),
	KUNIT_CASE_SLOW(namesakes_have_numbers_without_end),
	KUNIT_CASE(heaps_come_and_go_with_their_caches),
	KUNIT_CASE(heap_whose_name_is_taken_has_a_number),
	KUNIT_CASE(shrunk_cache_says_whether_objects_are_left),
	KUNIT_CASE(request_that_must_not_fail_waits),
	KUNIT_CASE(flags_that_are_refused_do_not_wait),
	KUNIT_CASE(memory_of_others_is_left_alone),
	KUNIT_CASE(object_is_freed_by_its_address_alone),
	KUNIT_CASE(secrets_are_zeroed),
	KUNIT_CASE(bad_pointer_is_not_zeroed),
	KUNIT_CASE(block_is_resized),
	KUNIT_CASE(block_of_no_bytes_is_freed),
	KUNIT_CASE(bad_pointer_is_not_resized),
	KUNIT_CASE(object_is_resized_as_any_memory),
	KUNIT_CASE(secrets_of_blocks_are_zeroed),
	KUNIT_CASE(atomic_request_makes_no_heap),
	KUNIT_CASE(heap_with_blocks_outlives_its_caches),
	{}
};

static struct kunit_suite slab_compat_suite = {
	.name = "kheap_slab_compat",
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = slab_compat_cases,
};

kunit_test_suite(slab_compat_suite);
