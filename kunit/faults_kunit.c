// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is refused, at every point where it is asked for: the request
 * fails or goes another way, nothing is lost, and later requests succeed.
 */
#include <linux/slab.h>

#include "helpers.h"

/* --- A bit of everything ------------------------------------------------ */

#define NR_BLOCKS	80

/**
 * struct work - what a workload holds
 * @heap: the heap
 * @gfp: what its requests may do
 * @keep_caches: create and destroy them once only, which takes a while
 * @caches: caches that were created
 * @objects: one of each
 * @blocks: blocks
 * @bulk: blocks from kheap_alloc_bulk()
 */
struct work {
	struct kheap *heap;
	gfp_t gfp;
	bool keep_caches;
	struct kheap_cache *caches[3];
	void *objects[3];
	void *blocks[NR_BLOCKS];
	void *bulk[16];
};

static void construct(void *object)
{
	memset(object, 0x11, 100);
}

static struct kheap_cache *create_cache(struct work *work, unsigned int nr)
{
	switch (nr) {
	case 0:
		return kheap_cache_create(work->heap, "plain", 24, 0, 0, NULL);
	case 1:
		return kheap_cache_create(work->heap, "made", 100, 0, 0,
					  construct);
	default:
		return kheap_cache_create(work->heap, "wide", 3000, 0, 0, NULL);
	}
}

/* Return false as soon as something fails. */
static bool work_with_caches(struct work *work)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(work->caches); i++) {
		if (!work->caches[i])
			work->caches[i] = create_cache(work, i);
		if (IS_ERR(work->caches[i])) {
			work->caches[i] = NULL;
			return false;
		}
		work->objects[i] = kheap_cache_alloc(work->caches[i],
						     work->gfp);
		if (!work->objects[i])
			return false;
	}
	return true;
}

static bool work_with_blocks(struct work *work)
{
	struct kheap *heap = work->heap;
	unsigned int i;
	void *moved;

	for (i = 0; i < NR_BLOCKS; i++) {
		size_t size = i % 20 == 19 ? 1200 * i : i * 29 % 512;

		work->blocks[i] = i % 3 ? kheap_alloc(heap, size, work->gfp) :
				  kheap_zalloc(heap, size, work->gfp);
		if (!work->blocks[i])
			return false;
		if (i % 16)
			continue;
		moved = kheap_realloc(heap, work->blocks[i], 2 * size + 100,
				      work->gfp);
		if (!moved)
			return false;
		work->blocks[i] = moved;
	}
	if (kheap_alloc_bulk(heap, 200, work->gfp, ARRAY_SIZE(work->bulk),
			     work->bulk))
		return true;
	/* What was had before one failed is free again. */
	memset(work->bulk, 0, sizeof(work->bulk));
	return false;
}

static bool work_once(struct work *work)
{
	return work_with_blocks(work) && work_with_caches(work);
}

/* Give everything back, whatever there is. */
static void work_undo(struct work *work)
{
	unsigned int i;

	kheap_free_bulk(work->heap, NR_BLOCKS, work->blocks);
	memset(work->blocks, 0, sizeof(work->blocks));
	if (work->bulk[0])
		kheap_free_bulk(work->heap, ARRAY_SIZE(work->bulk),
				work->bulk);
	memset(work->bulk, 0, sizeof(work->bulk));
	for (i = 0; i < ARRAY_SIZE(work->caches); i++) {
		if (work->objects[i])
			kheap_cache_free(work->caches[i], work->objects[i]);
		work->objects[i] = NULL;
		if (!work->keep_caches) {
			kheap_cache_destroy(work->caches[i]);
			work->caches[i] = NULL;
		}
	}
	kheap_trim(work->heap);
}

static struct work *work_create(struct kunit *test, struct kheap *heap,
				gfp_t gfp)
{
	struct work *work = kunit_kzalloc(test, sizeof(*work), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, work);
	work->heap = heap;
	work->gfp = gfp | __GFP_NOWARN;
	return work;
}

/*
 * After work_undo(): all pages are back, all sums right, nothing refused. What
 * a request in atomic context left to the maintenance work is done first, so
 * that nothing is charged between two readings.
 */
static void expect_nothing_lost(struct kunit *test, struct kheap *heap)
{
	struct kheap_test_source *source = kheap_test_source(heap);
	struct kheap_stats stats;

	flush_delayed_work(&heap->base.maint);
	stats = kheap_test_stats(heap);
	KUNIT_EXPECT_EQ(test, stats.nr_allocated, 0ul);
	KUNIT_EXPECT_EQ(test, stats.nr_large, 0ul);
	KUNIT_EXPECT_EQ(test, stats.nr_pools, 0ul);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&source->nr_pages_out), 0l);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&heap->base.held_bytes),
			(long)stats.held_bytes);
	KUNIT_EXPECT_EQ(test, kheap_check(heap), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_sum(&stats), stats.held_bytes);
}

/* --- Pages -------------------------------------------------------------- */

static const unsigned int page_orders[] = { 0, 1, 3, KHEAP_ARENA_ORDER };

static void order_desc(const unsigned int *order, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order_%u", *order);
}

KUNIT_ARRAY_PARAM(page_orders, page_orders, order_desc);

/*
 * The n-th time that the page source would give pages it does not, for every n,
 * until a run is through without that. The orders above @order it never gives.
 */
static void refuse_each_page_once(struct kunit *test, unsigned int order,
				  gfp_t gfp)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_test_source *source = kheap_test_source(heap);
	struct work *work = work_create(test, heap, gfp);
	unsigned int n, nr_failed = 0;

	work->keep_caches = true;
	for (n = 1; n < 1000; n++) {
		kheap_test_source_reset(source);
		source->max_order = order;
		source->fail_grant = n;
		nr_failed += !work_once(work);
		if (atomic_read(&source->nr_grants) < n)
			break;
		source->fail_grant = 0;
		work_undo(work);
		expect_nothing_lost(test, heap);
	}
	KUNIT_EXPECT_LT(test, n, 1000u);
	KUNIT_EXPECT_GT(test, n, 2u);
	/* Where one page is all there is, its refusal must be felt. */
	if (order == 0)
		KUNIT_EXPECT_GE(test, nr_failed, n - 1);
	source->max_order = KHEAP_ARENA_ORDER;
	work_undo(work);
	expect_nothing_lost(test, heap);
	KUNIT_EXPECT_TRUE(test, work_once(work));
	work_undo(work);
}

static void any_page_may_be_refused(struct kunit *test)
{
	refuse_each_page_once(test, *(const unsigned int *)test->param_value,
			      GFP_KERNEL);
}

static void any_page_may_be_refused_to_atomic_requests(struct kunit *test)
{
	refuse_each_page_once(test, *(const unsigned int *)test->param_value,
			      GFP_ATOMIC);
}

static void no_page_at_all_fails_every_block(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_test_source *source = kheap_test_source(heap);
	unsigned int i;

	source->fail_all = true;
	for (i = 1; i <= KHEAP_BLOCK_MAX; i += 7)
		KUNIT_EXPECT_NULL(test, kheap_alloc(heap, i, GFP_KERNEL |
						    __GFP_NOWARN));
	KUNIT_EXPECT_GE(test, kheap_test_stats(heap).nr_failed, 73ul);
	expect_nothing_lost(test, heap);
	source->fail_all = false;
	kheap_free(heap, kheap_test_alloc(test, heap, 64));
}

/* What was asked for in vain has never been held. */
static void refused_pages_are_not_in_the_peak(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_stats stats;

	kheap_test_source(heap)->fail_all = true;
	KUNIT_EXPECT_NULL(test, kheap_alloc(heap, 64, GFP_KERNEL |
					    __GFP_NOWARN));
	stats = kheap_test_stats(heap);
	KUNIT_EXPECT_LT(test, stats.peak_held_bytes,
			stats.held_bytes + PAGE_SIZE);
}

static void held_blocks_survive_a_refusal(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, 128, 1000);
	void *more;
	unsigned int i;

	for (i = 0; i < 1000; i++)
		memset(blocks[i], i % 251, 128);
	kheap_trim(heap);
	kheap_test_source(heap)->fail_all = true;
	do {
		more = kheap_alloc(heap, 96, GFP_KERNEL | __GFP_NOWARN);
		kheap_free(heap, more);
	} while (more);
	for (i = 0; i < 1000; i++)
		KUNIT_EXPECT_NULL(test, memchr_inv(blocks[i], i % 251, 128));
	kheap_test_free_many(heap, blocks, 1000);
}

static void block_that_cannot_shrink_stays(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *block = kheap_test_alloc(test, heap, 512);

	memset(block, 0x42, 512);
	kheap_test_source(heap)->fail_all = true;
	heap->base.limit_bytes = 1;
	KUNIT_EXPECT_PTR_EQ(test, kheap_realloc(heap, block, 8, GFP_KERNEL),
			    block);
	KUNIT_EXPECT_NULL(test, kheap_realloc(heap, block, 50000, GFP_KERNEL |
					      __GFP_NOWARN));
	KUNIT_EXPECT_NULL(test, memchr_inv(block, 0x42, 512));
	heap->base.limit_bytes = 0;
	kheap_free(heap, block);
}

/* --- The limit ---------------------------------------------------------- */

/*
 * Every charge can be the one that is too much: pages, descriptors, classes,
 * per-CPU caches, large blocks. The limit rises in steps smaller than any of
 * these until all goes through.
 */
static void any_limit_is_kept_and_loses_nothing(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct work *work = work_create(test, heap, GFP_KERNEL);
	size_t step = 256;
	size_t limit;
	bool done = false;

	limit = kheap_test_stats(heap).held_bytes;
	while (!done && limit < 64 << 20) {
		heap->base.limit_bytes = limit;
		done = work_once(work);
		KUNIT_EXPECT_LE(test, kheap_test_stats(heap).held_bytes,
				limit + KMALLOC_MAX_CACHE_SIZE);
		work_undo(work);
		expect_nothing_lost(test, heap);
		/* At first step by step, later faster. */
		limit += step;
		step += step / 16;
	}
	KUNIT_EXPECT_TRUE(test, done);
	heap->base.limit_bytes = 0;
	KUNIT_EXPECT_TRUE(test, work_once(work));
	work_undo(work);
}

/* --- Failures on demand ------------------------------------------------- */

/*
 * The n-th allocation fails, for every n, until the workload is through
 * untouched; each time all is given back.
 */
static void every_allocation_may_be_made_to_fail(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct work *work = work_create(test, heap, GFP_KERNEL);
	struct kheap_inject_rule rule = { .max = ULONG_MAX };
	unsigned int nr_requests = 0;
	bool done = false;

	work->keep_caches = true;
	while (!done && nr_requests < 1000) {
		rule.nth = ++nr_requests;
		kheap_inject_start(heap, &rule);
		done = work_once(work);
		KUNIT_EXPECT_EQ(test, heap->watch.inject.nr_failed, !done);
		KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_failed,
				nr_requests - done);
		work_undo(work);
		expect_nothing_lost(test, heap);
	}
	KUNIT_EXPECT_TRUE(test, done);
	/* Blocks, those that are moved, a bulk, and objects: each was hit. */
	KUNIT_EXPECT_EQ(test, nr_requests, NR_BLOCKS + NR_BLOCKS / 16 +
			ARRAY_SIZE(work->bulk) + ARRAY_SIZE(work->caches) + 1);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
	kheap_inject_stop(heap);
}

static unsigned long count_failures(struct kunit *test, struct kheap *heap,
				    const struct kheap_inject_rule *rule,
				    size_t size)
{
	unsigned long nr = 0;
	unsigned int i;
	void *block;

	kheap_inject_start(heap, rule);
	for (i = 0; i < 1000; i++) {
		block = kheap_alloc(heap, size, GFP_KERNEL);
		nr += !block;
		kheap_free(heap, block);
	}
	KUNIT_EXPECT_EQ(test, heap->watch.inject.nr_failed, nr);
	kheap_inject_stop(heap);
	block = kheap_alloc(heap, size, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, block);
	kheap_free(heap, block);
	return nr;
}

static void probability_and_seed_repeat(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_inject_rule rule = {
		.per_mille = 100, .seed = 5, .max = ULONG_MAX
	};
	unsigned long nr = count_failures(test, heap, &rule, 64);

	KUNIT_EXPECT_GT(test, nr, 50);
	KUNIT_EXPECT_LT(test, nr, 200);
	KUNIT_EXPECT_EQ(test, count_failures(test, heap, &rule, 64), nr);
	KUNIT_EXPECT_EQ(test, count_failures(test, heap, &rule, 20000), nr);
	rule.per_mille = 0;
	KUNIT_EXPECT_EQ(test, count_failures(test, heap, &rule, 64), 0);
	rule.per_mille = 1000;
	KUNIT_EXPECT_EQ(test, count_failures(test, heap, &rule, 64), 1000);
}

static void only_sizes_in_the_range_fail(struct kunit *test)
{
	static const struct { size_t size; bool fails; } requests[] = {
		{ 99, false }, { 100, true }, { 101, true }, { 8192, true },
		{ 9000, true }, { 9001, false }, { 20000, false },
	};
	struct kheap_inject_rule rule = {
		.per_mille = 1000, .min = 100, .max = 9000
	};
	struct kheap *heap = kheap_test_heap(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(requests); i++)
		KUNIT_EXPECT_EQ(test,
				count_failures(test, heap, &rule,
					       requests[i].size),
				requests[i].fails ? 1000 : 0);
}

static void requests_that_must_not_fail_do_not(struct kunit *test)
{
	struct kheap_inject_rule rule = { .per_mille = 1000, .max = ULONG_MAX };
	struct kheap *heap = kheap_test_heap(test), *other;
	void *block, *others;

	other = kheap_test_heap(test);
	kheap_inject_start(heap, &rule);
	block = kheap_alloc(heap, 64, GFP_KERNEL | __GFP_NOFAIL);
	others = kheap_test_alloc(test, other, 64);
	KUNIT_EXPECT_NOT_NULL(test, block);
	KUNIT_EXPECT_EQ(test, heap->watch.inject.nr_seen, 0);
	kheap_free(heap, block);
	kheap_free(other, others);
}

/* --- The slab allocator ------------------------------------------------- */

/*
 * The n-th slab or page allocation of this thread fails. One that the kernel
 * makes for its own checkers may be among them; they have reserves.
 */
static void any_slab_object_may_be_refused(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct work *work = work_create(test, heap, GFP_KERNEL);
	unsigned int n, nr_failed = 0;
	bool reached;

	kheap_test_needs_faults(test);
	for (n = 1; n < 4000; n++) {
		kheap_test_fail_nth(n);
		nr_failed += !work_once(work);
		reached = kheap_test_fail_end();
		work_undo(work);
		expect_nothing_lost(test, heap);
		if (!reached)
			break;
	}
	KUNIT_EXPECT_LT(test, n, 4000u);
	KUNIT_EXPECT_GT(test, nr_failed, 3u);
	KUNIT_EXPECT_TRUE(test, work_once(work));
	work_undo(work);
}

static void heap_creation_survives_any_refusal(struct kunit *test)
{
	struct kheap *heap;
	unsigned int n;
	bool reached;

	kheap_test_needs_faults(test);
	for (n = 1; n < 200; n++) {
		kheap_test_fail_nth(n);
		heap = kheap_create("kunit-fails", NULL);
		reached = kheap_test_fail_end();
		/* debugfs may have failed, which is no failure of the heap. */
		if (IS_ERR(heap))
			KUNIT_EXPECT_EQ(test, PTR_ERR(heap), -ENOMEM);
		else
			KUNIT_EXPECT_EQ(test, kheap_check(heap), 0);
		kheap_destroy(heap);
		if (!reached)
			break;
	}
	KUNIT_EXPECT_LT(test, n, 200u);
	KUNIT_EXPECT_GT(test, n, 3u);
}

static struct kunit_case faults_cases[] = {
	KUNIT_CASE_PARAM_ATTR(any_page_may_be_refused,
			      page_orders_gen_params,
			      { .speed = KUNIT_SPEED_SLOW }),
	KUNIT_CASE_PARAM_ATTR(any_page_may_be_refused_to_atomic_requests,
			      page_orders_gen_params,
			      { .speed = KUNIT_SPEED_SLOW }),
	KUNIT_CASE(no_page_at_all_fails_every_block),
	KUNIT_CASE(refused_pages_are_not_in_the_peak),
	KUNIT_CASE(held_blocks_survive_a_refusal),
	KUNIT_CASE(block_that_cannot_shrink_stays),
	KUNIT_CASE_SLOW(any_limit_is_kept_and_loses_nothing),
	KUNIT_CASE_SLOW(every_allocation_may_be_made_to_fail),
	KUNIT_CASE_SLOW(probability_and_seed_repeat),
	KUNIT_CASE_SLOW(only_sizes_in_the_range_fail),
	KUNIT_CASE(requests_that_must_not_fail_do_not),
	KUNIT_CASE_SLOW(any_slab_object_may_be_refused),
	KUNIT_CASE_SLOW(heap_creation_survives_any_refusal),
	{}
};

static struct kunit_suite faults_suite = {
	.name = "kheap_faults",
	.suite_init = kheap_test_untracked_init,
	.suite_exit = kheap_test_untracked_exit,
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = faults_cases,
};

kunit_test_suite(faults_suite);
