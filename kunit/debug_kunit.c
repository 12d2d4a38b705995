// SPDX-License-Identifier: GPL-2.0
/*
 * Blocks under observation: each fault of a client is found and told exactly,
 * and good use is not.
 */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

#include "nodes.h"

#define GUARD_BYTE	0xfd
#define CLEAN_BYTE	0xcd
#define DEAD_BYTE	0xdd

static const size_t sizes[] = { 1, 8, 20, 64, 100, 512, 700, 4096, 8192 };

static void size_desc(const size_t *size, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu_bytes", *size);
}

KHEAP_TEST_SWEEP_PARAM(size, sizes, size_desc, 4);

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

/*
 * An overflow that comes as far as what is recorded behind the guard. With a
 * size of 300 it was believed that 300 bytes are the client's.
 */
static void overwritten_record_is_not_believed(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_GUARD |
					      KHEAP_DEBUG_USER);
	u8 *block = kheap_test_alloc(test, heap, 64), *again;

	kheap_test_watch_log(test);
	KUNIT_ASSERT_EQ(test, kheap_usable_size(heap, block), 64);
	*(u16 *)(block + 88) = 300;		/* the size */
	*(u32 *)(block + 92) = 0x41414141;	/* who allocated it */
	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, block), 64);
	again = kheap_realloc(heap, block, 60, GFP_KERNEL);
	KUNIT_EXPECT_PTR_EQ(test, again, block);
	kheap_free(heap, block);
	expect_damage(test, heap, KHEAP_BAD_GUARD, 80, 103);
	KHEAP_EXPECT_LOGGED(test, "what is recorded of block");
	KUNIT_EXPECT_EQ(test, kheap_test_logged("allocated by"), 0);
	block = kheap_test_alloc(test, heap, 64);
	kheap_free(heap, block);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 1);
}

/* The same to a block that is free. */
static void record_overwritten_after_the_free_is_found(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_USER);
	u8 *block;

	/* The next block is this one only on this CPU. */
	kheap_test_stay_on(test, 0);
	block = kheap_test_alloc(test, heap, 64);
	kheap_test_watch_log(test);
	kheap_free(heap, block);
	*(u32 *)(block + 92) = 0x41414141;
	KUNIT_EXPECT_PTR_EQ(test, kheap_test_alloc(test, heap, 64), block);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_POISON), 1);
	KHEAP_EXPECT_LOGGED(test, "what is recorded of block");
	kheap_free(heap, block);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 1);
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

/* Who wrote beyond one block may have written elsewhere in its pool, too. */
static void damaged_pool_is_quarantined_and_its_blocks_are_good(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_GUARD);
	void **blocks = kheap_test_alloc_many(test, heap, 100, 5), *later;
	struct kheap_pool *pool = kheap_pool_of(blocks[0]);
	unsigned int i;

	for (i = 0; i < 5; i++)
		memset(blocks[i], i, 100);
	((u8 *)blocks[2])[100] = 0;
	kheap_free(heap, blocks[2]);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_GUARD), 1);
	KUNIT_EXPECT_EQ(test, pool->state, KHEAP_POOL_QUARANTINED);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_pools_quarantined, 1);
	later = kheap_test_alloc(test, heap, 100);
	KUNIT_EXPECT_PTR_NE(test, kheap_pool_of(later), pool);
	kheap_test_expect_sound(test, heap);
	for (i = 0; i < 5; i++) {
		if (i == 2)
			continue;
		KUNIT_EXPECT_NULL(test, memchr_inv(blocks[i], i, 100));
		KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, blocks[i]), 100);
		kheap_free(heap, blocks[i]);
	}
	/* All are back: the pool is as good as new. */
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_pools_quarantined, 0);
	kheap_free(heap, later);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 1);
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
	void *block, *again;

	kheap_test_stay_on(test, 0);
	block = kheap_test_alloc(test, heap, 64);
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

/* Who freed the block last, as far as its record says. */
static depot_stack_handle_t freed_by(const void *block)
{
	struct kheap_pool *pool = kheap_pool_of(block);
	struct kheap_debug_note note;

	kheap_debug_note(pool->class, pool, block, &note);
	return note.block && note.sound ? note.free_stack : 0;
}

/* Not the flush, that frees it in the end, nor who freed what was there before. */
static void block_freed_by_rcu_is_of_who_gave_it_up(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_USER);
	depot_stack_handle_t before, now;
	void *keep, *block;

	kheap_test_stay_on(test, 0);
	keep = kheap_test_alloc(test, heap, 48);
	block = kheap_test_alloc(test, heap, 48);
	kheap_free(heap, block);
	before = freed_by(block);
	KUNIT_ASSERT_PTR_EQ(test, kheap_test_alloc(test, heap, 48), block);
	kheap_free_rcu(heap, block);
	now = freed_by(block);
	KUNIT_EXPECT_NE(test, before, 0);
	KUNIT_EXPECT_NE(test, now, 0);
	KUNIT_EXPECT_NE(test, now, before);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, freed_by(block), now);
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

/* An allocation has a number, and so has the next one. */
static void report_has_dump_number_and_stacks(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_GUARD |
					      KHEAP_DEBUG_USER);
	u8 *block = kheap_test_alloc(test, heap, 30);

	kheap_free(heap, block);
	block = kheap_test_alloc(test, heap, 30);
	kheap_test_watch_log(test);
	memcpy(block + 31, "\x01\x23\x45\x67", 4);
	kheap_free(heap, block);
	expect_damage(test, heap, KHEAP_BAD_GUARD, 31, 34);
	KHEAP_EXPECT_LOGGED(test, "01 23 45 67");
	KHEAP_EXPECT_LOGGED(test, "30 bytes asked for, allocation 2");
	KHEAP_EXPECT_LOGGED(test, "allocated by:");
	/* Of the life before: this free is the one that reports. */
	KHEAP_EXPECT_LOGGED(test, "freed by:");
}

static void damage_is_counted_each_time_and_told_once(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_GUARD);
	unsigned int i;

	kheap_test_watch_log(test);
	for (i = 0; i < 5; i++) {
		u8 *block = kheap_test_alloc(test, heap, 50);

		block[50] = 0;
		kheap_free(heap, block);
	}
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_GUARD), 5);
	KUNIT_EXPECT_EQ(test, kheap_test_logged("damaged from"), 1);
}

static void each_allocation_and_free_is_traced(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_TRACE);
	static const size_t traced[] = { 20, 1000, 9000 };
	char text[80];
	unsigned int i;

	kheap_test_watch_log(test);
	for (i = 0; i < ARRAY_SIZE(traced); i++) {
		void *block = kheap_test_alloc(test, heap, traced[i]);

		snprintf(text, sizeof(text), "heap '%s': alloc %p, %zu bytes, ",
			 heap->base.name, block, traced[i]);
		KHEAP_EXPECT_LOGGED(test, text);
		kheap_test_forget_log();
		kheap_free(heap, block);
		snprintf(text, sizeof(text), "heap '%s': free %p, ",
			 heap->base.name, block);
		KHEAP_EXPECT_LOGGED(test, text);
		KHEAP_EXPECT_LOGGED(test, __func__);
		kheap_test_forget_log();
	}
}

/* --- Caches, types, large blocks ---------------------------------------- */

static void construct(void *object)
{
	memset(object, 0x77, 40);
}

static void object_of_a_cache_is_guarded(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_GUARD |
					      KHEAP_DEBUG_USER);
	struct kheap_cache *cache = kheap_cache_create(heap, "made", 40, 0, 0,
						       construct);
	u8 *object;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	kheap_test_watch_log(test);
	object = kheap_cache_alloc(cache, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, object);
	KUNIT_EXPECT_NULL(test, memchr_inv(object, 0x77, 40));
	object[-2] = 1;
	object[40] = 1;
	kheap_cache_free(cache, object);
	expect_damage(test, heap, KHEAP_BAD_GUARD, -2, 40);
	KHEAP_EXPECT_LOGGED(test, "cache made, blocks of");
	KHEAP_EXPECT_LOGGED(test, "allocated by:");
}

static void dead_object_that_is_written_to_is_found(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_POISON |
					      KHEAP_DEBUG_USER);
	struct kheap_type *type = node_type(test, heap, &node_bare_ops);
	size_t at = offsetof(struct node, canary);
	struct node *node, *again;

	kheap_test_stay_on(test, 0);
	node = node_new(test, type);
	KUNIT_EXPECT_EQ(test, node->nr_finalized, 0);
	node_put(node);
	kheap_test_watch_log(test);
	scribble((void *)node + at, 0x66, 2);
	again = node_new(test, type);
	KUNIT_ASSERT_PTR_EQ(test, again, node);
	expect_damage(test, heap, KHEAP_BAD_POISON, at, at + 1);
	KHEAP_EXPECT_LOGGED(test, "66 66");
	KHEAP_EXPECT_LOGGED(test, "freed by:");
	node_put(again);
}

static void object_is_guarded(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_GUARD);
	struct node *node = node_new(test, node_type(test, heap,
						     &node_leaf_ops));

	kheap_test_watch_log(test);
	((u8 *)node)[sizeof(*node)] = 0;
	node_put(node);
	expect_damage(test, heap, KHEAP_BAD_GUARD, sizeof(*node),
		      sizeof(*node));
}

static const size_t large_sizes[] = { 8193, 12288, 50000, 300000 };

KUNIT_ARRAY_PARAM(large_size, large_sizes, size_desc);

static void byte_behind_a_large_block_is_found(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_GUARD |
					      KHEAP_DEBUG_USER);
	long size = param_size(test);
	u8 *block = kheap_test_alloc(test, heap, size);

	KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, block), size);
	kheap_test_watch_log(test);
	block[size + 2] = 0x42;
	block[size + 5] = 0x43;
	kheap_free(heap, block);
	expect_damage(test, heap, KHEAP_BAD_GUARD, size + 2, size + 5);
	KHEAP_EXPECT_LOGGED(test, "42 fd fd 43");
	KHEAP_EXPECT_LOGGED(test, "bytes asked for, allocation 1");
	KHEAP_EXPECT_LOGGED(test, "allocated by:");
}

static void large_memory_is_clean(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_POISON |
					      KHEAP_DEBUG_GUARD);
	size_t size = param_size(test);
	void *block = kheap_test_alloc(test, heap, size);

	if (!want_init_on_alloc(GFP_KERNEL))
		KUNIT_EXPECT_NULL(test, memchr_inv(block, CLEAN_BYTE, size));
	memset(block, 0x42, size);
	kheap_free(heap, block);
	block = kheap_zalloc(heap, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, block);
	KUNIT_EXPECT_NULL(test, memchr_inv(block, 0, size));
	kheap_free_rcu(heap, block);
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
}

/* What was given up by a realloc that did not move is the client's no more. */
static void block_resized_in_place_is_guarded_anew(struct kunit *test)
{
	static const size_t from[] = { 100, 700, 8000, 50000 };
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_GUARD);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(from); i++) {
		u8 *block = kheap_test_alloc(test, heap, from[i]);
		size_t size = from[i] - 10;

		memset(block, 0x55, from[i]);
		KUNIT_ASSERT_PTR_EQ(test, kheap_realloc(heap, block, size,
							GFP_KERNEL), block);
		KUNIT_EXPECT_EQ(test, kheap_usable_size(heap, block), size);
		KUNIT_EXPECT_NULL(test, memchr_inv(block, 0x55, size));
		block[size] = 0x55;
		kheap_free(heap, block);
		KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_GUARD),
				i + 1);
	}
}

/* --- Switching ---------------------------------------------------------- */

static void flags_are_fixed_by_the_first_use(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);

	kheap_free(heap, kheap_test_alloc(test, heap, 64));
	KUNIT_EXPECT_EQ(test, kheap_debug_set(heap, KHEAP_DEBUG_GUARD), -EBUSY);
	KUNIT_EXPECT_EQ(test, atomic_read(&heap->watch.debug), KHEAP_DEBUG_FIXED);
	KUNIT_EXPECT_EQ(test, heap->base.watch & KHEAP_WATCH_DEBUG, 0);
}

static void flags_can_be_changed_before_the_first_use(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_USER);
	u8 *block;

	KUNIT_EXPECT_EQ(test, kheap_debug_set(heap, 0), 0);
	KUNIT_EXPECT_EQ(test, heap->base.watch & KHEAP_WATCH_DEBUG, 0);
	KUNIT_EXPECT_EQ(test, kheap_debug_set(heap, KHEAP_DEBUG_GUARD), 0);
	KUNIT_EXPECT_NE(test, heap->base.watch & KHEAP_WATCH_DEBUG, 0);
	block = kheap_test_alloc(test, heap, 64);
	block[64] = 0;
	kheap_free(heap, block);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_GUARD), 1);
	KUNIT_EXPECT_EQ(test, kheap_debug_set(heap, 0), -EBUSY);
}

struct setter {
	struct kheap *heap;
	struct completion done;
};

static int set_and_clear(void *data)
{
	struct setter *setter = data;
	unsigned int i;

	for (i = 0; i < 20; i++) {
		kheap_debug_set(setter->heap, KHEAP_DEBUG_GUARD);
		kheap_debug_set(setter->heap, 0);
	}
	complete(&setter->done);
	return 0;
}

static bool has_flags(struct kheap *heap)
{
	bool has = atomic_read(&heap->watch.debug);

	smp_rmb(); /* Pairs with the locked instruction that sets them. */
	return has;
}

static bool is_watched(struct kheap *heap)
{
	bool watched = READ_ONCE(heap->base.watch) & KHEAP_WATCH_DEBUG;

	smp_rmb(); /* As above. */
	return watched;
}

/* Else the first block has guards, and is handed out as if it had none. */
static void heap_is_watched_before_it_has_flags(struct kunit *test)
{
	struct setter setter = { .heap = kheap_test_heap(test) };
	unsigned int nr_unseen = 0;
	struct task_struct *task;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");
	init_completion(&setter.done);
	task = kthread_run(set_and_clear, &setter, "kheap-setter");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	while (!completion_done(&setter.done)) {
		/* Once not watched, it gets no flags before we are done. */
		rcu_read_lock();
		nr_unseen += has_flags(setter.heap) &&
			     !is_watched(setter.heap) && has_flags(setter.heap);
		rcu_read_unlock();
		cond_resched();
	}
	wait_for_completion(&setter.done);
	KUNIT_EXPECT_EQ(test, nr_unseen, 0);
}

/* F finds a forged link where the block is, not when it is taken. */
static void consistency_is_checked_at_each_request(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE |
						  KHEAP_DEBUG_CONSISTENCY, 0);
	void **blocks = kheap_test_alloc_many(test, heap, 512, 5);
	u64 good;

	kheap_free(heap, blocks[1]);
	kheap_test_watch_log(test);
	good = kheap_test_word(blocks[1]);
	kheap_test_set_word(blocks[1], good ^ 1);
	kheap_free(heap, blocks[2]);
	KHEAP_EXPECT_LOGGED(test, "links lead to free, carved blocks");
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_LINK), 1);
	KUNIT_EXPECT_EQ(test, kheap_block_pool(blocks[0])->state,
			KHEAP_POOL_QUARANTINED);
	kheap_test_set_word(blocks[1], good);
	kheap_test_forget_log();
	kheap_free(heap, blocks[3]);
	KUNIT_EXPECT_EQ(test, kheap_test_logged("check: "), 0);
	kheap_free(heap, blocks[0]);
	kheap_free(heap, blocks[4]);
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

/* What is put around an object leaves room for the largest, however aligned. */
static void largest_objects_fit_with_guards(struct kunit *test)
{
	struct kheap *heap = debug_heap(test, KHEAP_DEBUG_GUARD |
					KHEAP_DEBUG_POISON);
	size_t align;

	for (align = 8; align <= KHEAP_CACHE_ALIGN_MAX; align *= 2) {
		struct kheap_cache *cache;
		u8 *object;

		cache = kheap_cache_create(heap, "large", KHEAP_CACHE_SIZE_MAX,
					   align, 0, construct);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
		KUNIT_EXPECT_EQ(test, cache->class.nr_blocks, 1);
		object = kheap_cache_alloc(cache, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, object);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)object,
						   align));
		KUNIT_EXPECT_NULL(test, memchr_inv(object, 0x77, 40));
		memset(object + 40, 1, KHEAP_CACHE_SIZE_MAX - 40);
		kheap_cache_free(cache, object);
		kheap_test_expect_sound(test, heap);
		kheap_cache_destroy(cache);
	}
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(heap), 0);
}

/* The pool is out of use then, and others serve. */
static void damaged_pool_is_reported_once(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE |
						  KHEAP_DEBUG_CONSISTENCY, 0);
	void **blocks = kheap_test_alloc_many(test, heap, 512, 4);
	unsigned int i;

	kheap_free(heap, blocks[1]);
	kheap_test_watch_log(test);
	kheap_test_set_word(blocks[1], 0x4141414141414141ull);
	kheap_free(heap, blocks[2]);
	for (i = 0; i < 20; i++)
		kheap_free(heap, kheap_test_alloc(test, heap, 512));
	KUNIT_EXPECT_EQ(test, kheap_test_logged("links lead"), 1);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(heap, KHEAP_BAD_LINK), 1);
	KUNIT_EXPECT_EQ(test, kheap_check(heap), 0);
	kheap_free(heap, blocks[0]);
	kheap_free(heap, blocks[3]);
	/* As good as new. */
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).quarantined_bytes, 0);
}

static struct kunit_case debug_cases[] = {
	KUNIT_CASE_PARAM(byte_behind_a_block_is_found, size_gen_params),
	KUNIT_CASE(overwritten_record_is_not_believed),
	KUNIT_CASE(record_overwritten_after_the_free_is_found),
	KUNIT_CASE(first_and_last_damaged_byte_are_told),
	KUNIT_CASE(byte_before_a_block_is_found),
	KUNIT_CASE(damaged_pool_is_quarantined_and_its_blocks_are_good),
	KUNIT_CASE_PARAM(memory_is_clean_then_dead, size_gen_params),
	KUNIT_CASE(write_after_free_is_found),
	KUNIT_CASE(second_free_tells_who_had_the_block),
	KUNIT_CASE(block_freed_by_rcu_is_of_who_gave_it_up),
	KUNIT_CASE_PARAM(usable_size_is_what_was_asked_for, size_gen_params),
	KUNIT_CASE_PARAM(only_the_start_of_a_block_is_taken, size_gen_params),
	KUNIT_CASE(report_has_dump_number_and_stacks),
	KUNIT_CASE(damage_is_counted_each_time_and_told_once),
	KUNIT_CASE(each_allocation_and_free_is_traced),
	KUNIT_CASE(object_of_a_cache_is_guarded),
	KUNIT_CASE(dead_object_that_is_written_to_is_found),
	KUNIT_CASE(object_is_guarded),
	KUNIT_CASE_PARAM(byte_behind_a_large_block_is_found,
			 large_size_gen_params),
	KUNIT_CASE_PARAM(large_memory_is_clean, large_size_gen_params),
	KUNIT_CASE(block_resized_in_place_is_guarded_anew),
	KUNIT_CASE(flags_are_fixed_by_the_first_use),
	KUNIT_CASE(flags_can_be_changed_before_the_first_use),
	KUNIT_CASE(heap_is_watched_before_it_has_flags),
	KUNIT_CASE(consistency_is_checked_at_each_request),
	KUNIT_CASE(damaged_pool_is_reported_once),
	KUNIT_CASE(largest_objects_fit_with_guards),
	KUNIT_CASE_PARAM_ATTR(good_use_is_silent, good_flags_gen_params,
			      { .speed = KUNIT_SPEED_SLOW }),
	{}
};

static struct kunit_suite debug_suite = {
	.name = "kheap_debug",
	.init = node_test_init,
	.exit = kheap_test_exit,
	.test_cases = debug_cases,
};

kunit_test_suite(debug_suite);
