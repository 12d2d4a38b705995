// SPDX-License-Identifier: GPL-2.0
/*
 * Per-CPU caches, seen from inside: how they come, grow, fill, empty, and what
 * happens when somebody interrupts them.
 */
#include <linux/cpu.h>
#include <linux/hardirq.h>

#include "warm.h"

#define FAR_CPU		1	/* another CPU than the one cases run on */

/* --- Coming and growing ------------------------------------------------- */

static void unused_class_does_not_exist(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);

	kheap_free(heap, kheap_test_alloc(test, heap, SIZE));
	KUNIT_EXPECT_PTR_NE(test, heap->block.classes[SZIDX], &kheap_cold_class);
	KUNIT_EXPECT_PTR_EQ(test, heap->block.classes[SZIDX + 1], &kheap_cold_class);
}

static void used_class_gets_its_array_where_it_is_used(struct kunit *test)
{
	struct kheap_cpu_cache *cache;
	struct kheap_class *class;
	unsigned int cpu;

	warm_heap(test, &class, &cache);
	KUNIT_EXPECT_NOT_NULL(test, cache->loaded);
	for_each_possible_cpu(cpu)
		if (cpu)
			KUNIT_EXPECT_EQ(test, nr_slots(cache_on(class, cpu)),
					0);
}

static const size_t grow_sizes[] = { 8, 64, 128, 200, 264, 296, 408, 504, 512 };

static void size_desc(const size_t *size, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu_bytes", *size);
}

KHEAP_TEST_SWEEP_PARAM(grow_sizes, grow_sizes, size_desc, 4);

static void use_makes_magazines_grow_to_the_classs_most(struct kunit *test)
{
	size_t size = *(const size_t *)test->param_value;
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_class *class;

	kheap_test_stay_on(test, 0);
	kheap_test_warm_up(test, heap, size);
	class = heap->block.classes[size / 8 - 1];
	KUNIT_EXPECT_EQ(test, nr_slots(cache_on(class, 0)), class->max_slots);
}

static void magazines_of_all_classes_are_bounded_in_bytes(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	unsigned int szidx;

	for (szidx = 0; szidx < KHEAP_NR_SIZE_CLASSES; szidx++) {
		struct kheap_class *class;

		kheap_free(heap, kheap_test_alloc(test, heap, 8 * szidx + 8));
		class = heap->block.classes[szidx];
		KUNIT_EXPECT_GE(test, class->max_slots, 2);
		KUNIT_EXPECT_LE(test, class->max_slots * class->size, 16384);
	}
}

static void large_objects_have_small_magazines(struct kunit *test)
{
	static const size_t sizes[] = { 4096, 8192, 12288,
					KHEAP_CACHE_SIZE_MAX };
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		cache = kheap_cache_create(heap, "large", sizes[i], 0, 0,
					   NULL);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
		KUNIT_EXPECT_GE(test, cache->class.max_slots, 1);
		KUNIT_EXPECT_LE(test, cache->class.max_slots * sizes[i],
				max(3 * 8192, KHEAP_CACHE_SIZE_MAX));
		kheap_cache_destroy(cache);
	}
}

static void atomic_first_use_gets_its_caches_soon(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_class *class;
	void *block;

	kheap_test_stay_on(test, 0);
	local_irq_disable();
	block = kheap_alloc(heap, SIZE, GFP_ATOMIC);
	local_irq_enable();
	KUNIT_ASSERT_NOT_NULL(test, block);
	class = heap->block.classes[SZIDX];
	flush_delayed_work(&heap->base.maint);
	KUNIT_EXPECT_PTR_NE(test, class->cpu, kheap_cold_class.cpu);
	KUNIT_EXPECT_FALSE(test, class->wants_cpu);
	kheap_free(heap, block);
	kheap_test_warm_up(test, heap, SIZE);
	KUNIT_EXPECT_EQ(test, nr_slots(cache_on(class, 0)), class->max_slots);
}

static void heap_without_cpu_caches_caches_nothing(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
	struct kheap_class *class;

	kheap_test_warm_up(test, heap, SIZE);
	class = heap->block.classes[SZIDX];
	KUNIT_EXPECT_EQ(test, class->max_slots, 0);
	KUNIT_EXPECT_PTR_EQ(test, class->cpu, kheap_cold_class.cpu);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).cached_bytes, 0);
}

static void arrays_are_metadata_and_go_with_the_cache(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	size_t before = kheap_test_stats(heap).metadata_bytes, grown;
	struct kheap_cache *cache;
	void *objects[100];
	unsigned int i, round;

	kheap_test_stay_on(test, 0);
	cache = kheap_cache_create(heap, "arrays", SIZE, 0, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	grown = kheap_test_stats(heap).metadata_bytes;
	for (round = 0; round < 20; round++) {
		for (i = 0; i < ARRAY_SIZE(objects); i++)
			objects[i] = kheap_cache_alloc(cache, GFP_KERNEL);
		for (i = 0; i < ARRAY_SIZE(objects); i++)
			kheap_cache_free(cache, objects[i]);
	}
	KUNIT_EXPECT_GE(test, kheap_test_stats(heap).metadata_bytes, grown +
			2 * cache->class.max_slots * sizeof(void *));
	kheap_cache_destroy(cache);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).metadata_bytes, before);
}

/* A CPU that was given larger ones has no use for them when they are empty. */
static void small_magazines_go_when_they_are_empty(struct kunit *test)
{
	struct kheap_cpu_cache *cache;
	struct kheap_class *class;
	struct kheap *heap = warm_heap(test, &class, &cache);
	const struct kheap_magazine *mag;

	KUNIT_EXPECT_EQ(test, cache->nr_slots, class->max_slots);
	kheap_test_warm_up(test, heap, SIZE);
	for (mag = cache->empty.top; mag; mag = mag->next)
		KUNIT_EXPECT_EQ(test, mag->nr_slots, cache->nr_slots);
	KUNIT_EXPECT_EQ(test, cache->outgrown.nr, 0);
}

/* --- Whose pools -------------------------------------------------------- */

#define OTHERS		16	/* pools that are kept from other CPUs */

static int alloc_on(void *data)
{
	struct kheap *heap = data;

	return kheap_alloc(heap, 24, GFP_KERNEL) ? 0 : -ENOMEM;
}

/* They are going to be the CPUs' hot ones. */
static void first_blocks_of_two_cpus_lie_apart(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	unsigned int second = roundup(24 + 512, 24);
	struct kheap_class *class;
	struct kheap_pool *pool;
	void *block;

	if (!cpu_online(FAR_CPU))
		kunit_skip(test, "needs two CPUs");
	kheap_test_stay_on(test, 0);
	block = kheap_test_alloc(test, heap, 24);
	class = heap->block.classes[2];
	pool = kheap_block_pool(block);
	KUNIT_EXPECT_EQ(test, pool->nextoffset, 24);
	KUNIT_EXPECT_EQ(test, smp_call_on_cpu(FAR_CPU, alloc_on, heap, false),
			0);
	KUNIT_EXPECT_EQ(test, pool->nextoffset, second + 24);
	KUNIT_EXPECT_EQ(test, pool->nr_used, 2);
	KUNIT_EXPECT_EQ(test, class_stats(class).nr_allocated, 2);
	kheap_free(heap, block);
	kheap_free(heap, pool->base + second);
}

/**
 * struct far_take - what another CPU takes out of pools
 * @class: theirs
 * @any: out of those of other CPUs, too
 * @block: one, or NULL
 */
struct far_take {
	struct kheap_class *class;
	bool any;
	void *block;
};

static int take_on(void *data)
{
	struct far_take *take = data;
	void *bad = NULL;

	take->block = NULL;
	kheap_pools_take(take->class, numa_mem_id(), take->any, &take->block, 1,
			 &bad);
	return bad ? -EIO : 0;
}

static void *take_far(struct kunit *test, struct kheap_class *class, bool any)
{
	struct far_take take = { .class = class, .any = any };

	KUNIT_EXPECT_EQ(test, smp_call_on_cpu(FAR_CPU, take_on, &take, false),
			0);
	return take.block;
}

#define WIDE		512
#define NR_WIDE		8	/* of them in a page */

/*
 * Have so many pools of this CPU, each with one free block, and kept from others
 * for minutes. Return all blocks, of which the first of each pool is free.
 */
static void **own_pools(struct kunit *test, struct kheap *heap, unsigned int nr)
{
	struct kheap_class *class;
	void **blocks;
	unsigned int i;

	if (!cpu_online(FAR_CPU))
		kunit_skip(test, "needs two CPUs");
	kheap_test_stay_on(test, 0);
	blocks = kheap_test_alloc_many(test, heap, WIDE, nr * NR_WIDE);
	class = heap->block.classes[WIDE / 8 - 1];
	for (i = 0; i < nr * NR_WIDE; i++) {
		struct kheap_pool *pool = kheap_block_pool(blocks[i]);

		KUNIT_EXPECT_EQ(test, pool->cpu, 0);
		pool->until = jiffies / HZ + 1000;
		if (blocks[i] == pool->base)
			kheap_free(heap, blocks[i]);
	}
	kheap_class_drain_cpu(class, 0);
	KUNIT_EXPECT_EQ(test, class_stats(class).nr_pools, nr);
	KUNIT_EXPECT_EQ(test, class_stats(class).nr_free, nr);
	return blocks;
}

static void free_used(struct kheap *heap, void **blocks, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr * NR_WIDE; i++)
		if (!IS_ALIGNED((unsigned long)blocks[i], PAGE_SIZE))
			kheap_free(heap, blocks[i]);
}

static void pool_is_left_to_the_cpu_that_takes_from_it(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = own_pools(test, heap, 1), *block;
	struct kheap_class *class = heap->block.classes[WIDE / 8 - 1];
	struct kheap_pool *pool = kheap_block_pool(blocks[0]);

	KUNIT_EXPECT_NULL(test, take_far(test, class, false));
	block = take_far(test, class, true);
	KUNIT_EXPECT_PTR_EQ(test, block, pool->base);
	KUNIT_EXPECT_EQ(test, pool->cpu, FAR_CPU);
	kheap_class_free_to_pool(class, block);
	free_used(heap, blocks, 1);
}

static void pool_is_everybodys_after_a_while(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = own_pools(test, heap, 1), *block;
	struct kheap_class *class = heap->block.classes[WIDE / 8 - 1];
	struct kheap_pool *pool = kheap_block_pool(blocks[0]);

	pool->until = jiffies / HZ - 1;
	block = take_far(test, class, false);
	KUNIT_EXPECT_PTR_EQ(test, block, pool->base);
	KUNIT_EXPECT_EQ(test, pool->cpu, FAR_CPU);
	kheap_class_free_to_pool(class, block);
	free_used(heap, blocks, 1);
}

static void few_pools_are_kept_from_other_cpus(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = own_pools(test, heap, OTHERS + 1), *block;
	struct kheap_class *class = heap->block.classes[WIDE / 8 - 1];

	block = take_far(test, class, false);
	KUNIT_EXPECT_NOT_NULL(test, block);
	KUNIT_EXPECT_NULL(test, take_far(test, class, false));
	if (block)
		kheap_class_free_to_pool(class, block);
	free_used(heap, blocks, OTHERS + 1);
}

static int alloc_wide(void *data)
{
	void **block = data;
	struct kheap *heap = *block;

	*block = kheap_alloc(heap, WIDE, GFP_KERNEL);
	return *block ? 0 : -ENOMEM;
}

/* Of a heap that may not grow. */
static void others_pool_serves_before_a_request_fails(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = own_pools(test, heap, 1), *block = heap;

	WRITE_ONCE(heap->base.limit_bytes, kheap_test_stats(heap).held_bytes);
	KUNIT_EXPECT_EQ(test, smp_call_on_cpu(FAR_CPU, alloc_wide, &block,
					      false), 0);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)block, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&heap->base.nr_failed), 0);
	kheap_free(heap, block);
	free_used(heap, blocks, 1);
}

/* --- Filling ------------------------------------------------------------ */

static void freed_blocks_never_exceed_magazines_and_depot(struct kunit *test)
{
	struct kheap_cpu_cache *cache;
	struct kheap_class *class;
	struct kheap *heap = warm_heap(test, &class, &cache);
	unsigned long most = (2ul + 2 * class->max_full) * class->max_slots;
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 2 * most);
	struct kheap_depot *depot = &class->node[numa_mem_id()].depot;
	unsigned int i;

	for (i = 0; i < 2 * most; i++) {
		kheap_free(heap, blocks[i]);
		KUNIT_ASSERT_LE(test, kheap_class_nr_cached(class), most);
	}
	/* Some magazines may be smaller than the others. */
	KUNIT_EXPECT_EQ(test, depot->full.nr, class->max_full);
	KUNIT_EXPECT_EQ(test, cache->full.nr, class->max_full);
	KUNIT_EXPECT_EQ(test, cache->nr_previous, class->max_slots);
	KUNIT_EXPECT_GE(test, kheap_class_nr_cached(class), most * 3 / 4);
}

static void freed_block_is_given_out_next(struct kunit *test)
{
	struct kheap_cpu_cache *cache;
	struct kheap_class *class;
	struct kheap *heap = warm_heap(test, &class, &cache);
	void *block = kheap_test_alloc(test, heap, SIZE);
	void *again;

	preempt_disable();
	kheap_free(heap, block);
	again = kheap_alloc(heap, SIZE, GFP_ATOMIC);
	preempt_enable();
	KUNIT_EXPECT_PTR_EQ(test, again, block);
	kheap_free(heap, again);
}

/* Between a full magazine and an empty one, going back and forth is free. */
static void edge_of_a_magazine_moves_no_runs(struct kunit *test)
{
	struct kheap_class_stats before, after;
	struct kheap_cpu_cache *cache;
	struct kheap_class *class;
	struct kheap *heap = warm_heap(test, &class, &cache);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 500);
	unsigned int nr = 500, round, i;

	/* Stop when the next free has to switch magazines. */
	while (cache->top != cache->limit || cache->nr_previous) {
		KUNIT_ASSERT_GT(test, nr, 4);
		kheap_free(heap, blocks[--nr]);
	}
	before = class_stats(class);
	for (round = 0; round < 100; round++) {
		for (i = 0; i < 3; i++)
			kheap_free(heap, blocks[nr - 1 - i]);
		for (i = 0; i < 3; i++)
			blocks[nr - 1 - i] = kheap_alloc(heap, SIZE,
							 GFP_KERNEL);
	}
	after = class_stats(class);
	KUNIT_EXPECT_EQ(test, after.nr_refills, before.nr_refills);
	KUNIT_EXPECT_EQ(test, after.nr_drains, before.nr_drains);
	kheap_test_free_many(heap, blocks, nr);
}

static void allocations_take_a_class_lock_once_a_magazine(struct kunit *test)
{
	struct kheap_class_stats before, after;
	struct kheap_cpu_cache *cache;
	struct kheap_class *class;
	struct kheap *heap = warm_heap(test, &class, &cache);
	void **blocks;

	before = class_stats(class);
	blocks = kheap_test_alloc_many(test, heap, SIZE, 1024);
	after = class_stats(class);
	/* A new pool gives its first block, and then its runs. */
	KUNIT_EXPECT_LE(test, after.nr_refills - before.nr_refills,
			1024 / nr_slots(cache) +
			3 * (after.nr_pools - before.nr_pools) + 1);
	kheap_test_free_many(heap, blocks, 1024);
}

struct remote_frees {
	struct kheap *heap;
	void **blocks;
	size_t nr;
};

static long free_there(void *arg)
{
	struct remote_frees *frees = arg;

	kheap_test_free_many(frees->heap, frees->blocks, frees->nr);
	return 0;
}

static void remote_frees_take_a_class_lock_once_a_magazine(struct kunit *test)
{
	struct remote_frees frees = { .nr = 1024 };
	struct kheap_class_stats before, after;
	struct kheap_cpu_cache *cache;
	struct kheap_class *class;

	frees.heap = warm_heap(test, &class, &cache);
	kheap_test_stay_on(test, FAR_CPU);
	kheap_test_warm_up(test, frees.heap, SIZE);
	kheap_test_stay_on(test, 0);
	frees.blocks = kheap_test_alloc_many(test, frees.heap, SIZE, frees.nr);
	before = class_stats(class);
	work_on_cpu(FAR_CPU, free_there, &frees);
	after = class_stats(class);
	KUNIT_EXPECT_GT(test, after.nr_drains, before.nr_drains);
	KUNIT_EXPECT_LE(test, after.nr_drains - before.nr_drains,
			frees.nr / nr_slots(cache_on(class, FAR_CPU)) + 1);
}

static long alloc_there(void *arg)
{
	struct remote_frees *frees = arg;
	size_t i;

	for (i = 0; i < frees->nr; i++)
		frees->blocks[i] = kheap_alloc(frees->heap, SIZE, GFP_KERNEL);
	return 0;
}

/* A CPU that has small magazines gets a large one from the depot. */
static void magazines_of_two_sizes_are_counted_exactly(struct kunit *test)
{
	struct remote_frees frees = { .nr = 100 };
	struct kheap_cpu_cache *cache;
	struct kheap_class *class;
	unsigned int i;

	frees.heap = warm_heap(test, &class, &cache);
	frees.blocks = kheap_test_alloc_many(test, frees.heap, SIZE, 300);
	kheap_test_free_many(frees.heap, frees.blocks, 300);
	for (i = 0; i < 6; i++) {
		work_on_cpu(FAR_CPU, alloc_there, &frees);
		KUNIT_EXPECT_EQ(test, class_stats(class).nr_allocated,
				frees.nr);
		work_on_cpu(FAR_CPU, free_there, &frees);
		KUNIT_EXPECT_EQ(test, class_stats(class).nr_allocated, 0ul);
	}
}

/* --- Interrupted -------------------------------------------------------- */

static bool same_cache(const struct kheap_cpu_cache *a,
		       const struct kheap_cpu_cache *b)
{
	return a->top == b->top && a->base == b->base &&
	       a->limit == b->limit && a->loaded == b->loaded &&
	       a->previous == b->previous &&
	       a->nr_previous == b->nr_previous;
}

/* As an interrupt would that arrives while the mark is set. */
static void marked_cache_is_left_alone(struct kunit *test)
{
	struct kheap_cpu_cache *cache, before, after;
	struct kheap_class *class;
	struct kheap *heap = warm_heap(test, &class, &cache);
	bool marked, unmarked;
	unsigned int i;
	void *blocks[40];

	preempt_disable();
	marked = kheap_mark_busy(cache);
	before = *cache;
	for (i = 0; i < ARRAY_SIZE(blocks); i++)
		blocks[i] = kheap_alloc(heap, SIZE, GFP_ATOMIC);
	for (i = 0; i < ARRAY_SIZE(blocks); i++)
		kheap_free(heap, blocks[i]);
	after = *cache;
	unmarked = kheap_mark_busy(cache);
	kheap_clear_busy(cache);
	preempt_enable();
	KUNIT_EXPECT_TRUE(test, marked);
	KUNIT_EXPECT_FALSE(test, unmarked);
	for (i = 0; i < ARRAY_SIZE(blocks); i++)
		KUNIT_EXPECT_NOT_NULL(test, blocks[i]);
	KUNIT_EXPECT_TRUE(test, same_cache(&before, &after));
}

static void marked_cache_is_left_alone_by_bulk(struct kunit *test)
{
	struct kheap_cpu_cache *cache, before, after;
	struct kheap_class *class;
	struct kheap *heap = warm_heap(test, &class, &cache);
	void *blocks[40] = {};
	bool marked;
	int nr;

	preempt_disable();
	marked = kheap_mark_busy(cache);
	before = *cache;
	nr = kheap_alloc_bulk(heap, SIZE, GFP_ATOMIC, ARRAY_SIZE(blocks),
			      blocks);
	kheap_free_bulk(heap, ARRAY_SIZE(blocks), blocks);
	after = *cache;
	kheap_clear_busy(cache);
	preempt_enable();
	KUNIT_EXPECT_TRUE(test, marked);
	KUNIT_EXPECT_EQ(test, nr, ARRAY_SIZE(blocks));
	KUNIT_EXPECT_TRUE(test, same_cache(&before, &after));
}

static void nmi_is_served_from_the_magazine_only(struct kunit *test)
{
	struct kheap_cpu_cache *cache;
	struct kheap_class *class;
	struct kheap *heap = warm_heap(test, &class, &cache);
	struct kheap_class_stats before, after;
	unsigned int nr = 0, nr_cached;
	void *blocks[128];
	unsigned long flags;

	before = class_stats(class);
	nr_cached = cache->top - cache->base;
	flags = kheap_test_nmi_begin();
	while (nr < ARRAY_SIZE(blocks)) {
		blocks[nr] = kheap_alloc(heap, SIZE, GFP_ATOMIC);
		if (!blocks[nr])
			break;
		nr++;
	}
	kheap_test_nmi_end(flags);
	after = class_stats(class);
	KUNIT_EXPECT_EQ(test, nr, nr_cached);
	KUNIT_EXPECT_EQ(test, after.nr_refills, before.nr_refills);
	kheap_test_free_many(heap, blocks, nr);
}

static void bulk_fails_in_nmi(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache;
	unsigned long flags;
	void *objects[4];
	unsigned int i;
	int nr;

	cache = kheap_cache_create(heap, "objects", SIZE, 0, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	for (i = 0; i < 4; i++) {
		nr = kheap_cache_alloc_bulk(cache, GFP_KERNEL, 4, objects);
		KUNIT_ASSERT_EQ(test, nr, 4);
		kheap_cache_free_bulk(cache, 4, objects);
	}
	KUNIT_ASSERT_GT(test, kheap_class_nr_cached(&cache->class), 0);
	flags = kheap_test_nmi_begin();
	nr = kheap_cache_alloc_bulk(cache, GFP_ATOMIC, 1, objects);
	kheap_test_nmi_end(flags);
	KUNIT_EXPECT_EQ(test, nr, 0);
}

static void unused_class_fails_cleanly_in_nmi(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void *small, *large, *bulk[4];
	unsigned long flags;
	int nr;

	flags = kheap_test_nmi_begin();
	small = kheap_alloc(heap, SIZE, GFP_ATOMIC);
	large = kheap_alloc(heap, 40000, GFP_ATOMIC);
	nr = kheap_alloc_bulk(heap, SIZE, GFP_ATOMIC, 4, bulk);
	kheap_test_nmi_end(flags);
	KUNIT_EXPECT_NULL(test, small);
	KUNIT_EXPECT_NULL(test, large);
	KUNIT_EXPECT_EQ(test, nr, 0);
}

/* The mark makes sure that the magazine does not take the block. */
static void free_in_nmi(struct kunit *test, struct kheap_class *class,
			void *block)
{
	struct kheap_cpu_cache *cache;
	unsigned long flags;
	bool marked;

	flags = kheap_test_nmi_begin();
	cache = this_cpu_ptr(class->cpu);
	marked = kheap_mark_busy(cache);
	if (class->name)
		kheap_cache_free(container_of(class, struct kheap_cache,
					      class), block);
	else
		kheap_free(class->heap, block);
	kheap_clear_busy(cache);
	kheap_test_nmi_end(flags);
	KUNIT_EXPECT_TRUE(test, marked);
}

/* What was freed in NMI is freed when a grace period is over. */
static void wait_for_sweep(struct kheap *heap)
{
	irq_work_sync(&heap->block.nmi_work);
	flush_delayed_work(&heap->block.rcu_work);
}

static void block_freed_in_nmi_comes_back_a_moment_later(struct kunit *test)
{
	struct kheap_cpu_cache *cache;
	struct kheap_class *class;
	struct kheap *heap = warm_heap(test, &class, &cache);
	void **blocks = kheap_test_alloc_many(test, heap, SIZE, 20);
	unsigned int i;

	for (i = 0; i < 20; i++)
		free_in_nmi(test, class, blocks[i]);
	wait_for_sweep(heap);
	KUNIT_EXPECT_EQ(test, class_stats(class).nr_allocated, 0);
	kheap_test_expect_sound(test, heap);
}

/*
 * kmemleak's locks may be held by what the NMI interrupted. The block stays out
 * of the magazine, where it would be given out and made known a second time.
 */
static void block_known_to_kmemleak_stays_known_in_nmi(struct kunit *test)
{
	struct kheap_cpu_cache *cache;
	struct kheap_class *class;
	struct kheap *heap = warm_heap(test, &class, &cache);
	unsigned int nr_cached, nr_after;
	unsigned long flags;
	void *blocks[3];

	if (!IS_ENABLED(CONFIG_DEBUG_KMEMLEAK))
		kunit_skip(test, "needs kmemleak");
	/* The suite is not tracked. */
	WRITE_ONCE(kheap_leak_tracking, true);
	KUNIT_ASSERT_EQ(test, kheap_alloc_bulk(heap, SIZE, GFP_KERNEL, 3,
					       blocks), 3);
	nr_cached = cache->top - cache->base;
	flags = kheap_test_nmi_begin();
	kheap_free(heap, blocks[0]);
	kheap_free_bulk(heap, 2, blocks + 1);
	nr_after = cache->top - cache->base;
	kheap_test_nmi_end(flags);
	KUNIT_EXPECT_EQ(test, nr_after, nr_cached);
	wait_for_sweep(heap);
	KUNIT_EXPECT_EQ(test, class_stats(class).nr_allocated, 0);
	kheap_test_free_many(heap, kheap_test_alloc_many(test, heap, SIZE, 20),
			     20);
	WRITE_ONCE(kheap_leak_tracking, false);
}

#define MADE	0x5a

static void make_object(void *object)
{
	memset(object, MADE, SIZE);
}

static void object_freed_in_nmi_stays_constructed(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache;
	void *object, *again;

	kheap_test_stay_on(test, 0);
	cache = kheap_cache_create(heap, "made", SIZE, 0, 0, make_object);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	object = kheap_cache_alloc(cache, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, object);
	free_in_nmi(test, &cache->class, object);
	KUNIT_EXPECT_NULL(test, memchr_inv(object, MADE, SIZE));
	wait_for_sweep(heap);
	again = kheap_cache_alloc(cache, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, again);
	KUNIT_EXPECT_NULL(test, memchr_inv(again, MADE, SIZE));
	kheap_cache_free(cache, again);
}

static struct kunit_case cpu_cache_cases[] = {
	KUNIT_CASE(unused_class_does_not_exist),
	KUNIT_CASE(used_class_gets_its_array_where_it_is_used),
	KUNIT_CASE_PARAM(use_makes_magazines_grow_to_the_classs_most,
			 grow_sizes_gen_params),
	KUNIT_CASE(magazines_of_all_classes_are_bounded_in_bytes),
	KUNIT_CASE(large_objects_have_small_magazines),
	KUNIT_CASE(atomic_first_use_gets_its_caches_soon),
	KUNIT_CASE(heap_without_cpu_caches_caches_nothing),
	KUNIT_CASE(arrays_are_metadata_and_go_with_the_cache),
	KUNIT_CASE(freed_blocks_never_exceed_magazines_and_depot),
	KUNIT_CASE(freed_block_is_given_out_next),
	KUNIT_CASE(edge_of_a_magazine_moves_no_runs),
	KUNIT_CASE(allocations_take_a_class_lock_once_a_magazine),
	KUNIT_CASE(remote_frees_take_a_class_lock_once_a_magazine),
	KUNIT_CASE(magazines_of_two_sizes_are_counted_exactly),
	KUNIT_CASE(marked_cache_is_left_alone),
	KUNIT_CASE(marked_cache_is_left_alone_by_bulk),
	KUNIT_CASE(nmi_is_served_from_the_magazine_only),
	KUNIT_CASE(bulk_fails_in_nmi),
	KUNIT_CASE(unused_class_fails_cleanly_in_nmi),
	KUNIT_CASE(block_freed_in_nmi_comes_back_a_moment_later),
	KUNIT_CASE(block_known_to_kmemleak_stays_known_in_nmi),
	KUNIT_CASE(object_freed_in_nmi_stays_constructed),
	KUNIT_CASE(first_blocks_of_two_cpus_lie_apart),
	KUNIT_CASE(pool_is_left_to_the_cpu_that_takes_from_it),
	KUNIT_CASE(pool_is_everybodys_after_a_while),
	KUNIT_CASE(few_pools_are_kept_from_other_cpus),
	KUNIT_CASE(others_pool_serves_before_a_request_fails),
	KUNIT_CASE(small_magazines_go_when_they_are_empty),
	{}
};

static struct kunit_suite cpu_cache_suite = {
	.name = "kheap_cpu_cache",
	.suite_init = kheap_test_untracked_init,
	.suite_exit = kheap_test_untracked_exit,
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = cpu_cache_cases,
};

kunit_test_suite(cpu_cache_suite);
