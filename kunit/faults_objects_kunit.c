// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is refused to what is built on blocks: types, objects, the
 * collector, frees after a grace period, call sites, blocks of a memory node.
 * Each fails cleanly or does without, and nothing is lost.
 */
#include <linux/nodemask.h>
#include <linux/slab.h>

#include "watch/callsite.h"
#include "nodes.h"

#define MAX_REFUSALS	500
#define NR_RING		700U	/* more than the collector has room for at first */

/* For n from 1, until the n-th allocation of the loop's body is not reached. */
#define for_each_refusal(n, reached)				\
	for ((n) = 1, (reached) = true; (reached) && (n) < MAX_REFUSALS; (n)++)

static void expect_was_felt(struct kunit *test, unsigned int n,
			    unsigned int nr_failed)
{
	KUNIT_EXPECT_LT(test, n, MAX_REFUSALS);
	KUNIT_EXPECT_GT(test, nr_failed, 0);
}

/* --- Types and objects -------------------------------------------------- */

static void type_creation_survives_any_refusal(struct kunit *test)
{
	unsigned int n, nr_failed = 0;
	struct kheap_type *type;
	struct kheap *heap;
	bool reached;

	kheap_test_needs_faults(test);
	for_each_refusal(n, reached) {
		heap = kheap_test_heap(test);
		kheap_test_fail_nth(n);
		type = kheap_type_create(heap, &node_ops);
		reached = kheap_test_fail_end();
		if (IS_ERR(type)) {
			KUNIT_EXPECT_EQ(test, PTR_ERR(type), -ENOMEM);
			nr_failed++;
			type = node_type(test, heap, &node_ops);
		}
		node_put(node_new(test, type));
		kheap_type_destroy(type);
		kheap_test_heap_destroy(test, heap);
	}
	expect_was_felt(test, n, nr_failed);
}

static void object_creation_survives_any_refusal(struct kunit *test)
{
	unsigned int n, nr_failed = 0;
	struct kheap_object *obj;
	struct kheap_type *type;
	struct kheap *heap;
	bool reached;

	kheap_test_needs_faults(test);
	for_each_refusal(n, reached) {
		heap = kheap_test_heap(test);
		type = node_type(test, heap, &node_bare_ops);
		kheap_test_fail_nth(n);
		obj = kheap_object_new(type, GFP_KERNEL);
		reached = kheap_test_fail_end();
		nr_failed += !obj;
		if (obj)
			kheap_object_put(obj);
		KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
		kheap_type_destroy(type);
		kheap_test_heap_destroy(test, heap);
	}
	/* Where there is another memory node, that one helps. */
	expect_was_felt(test, n, num_online_nodes() > 1 ? n : nr_failed);
}

/* --- The collector ------------------------------------------------------ */

static const struct mode {
	const char *desc;
	unsigned int flags;
} modes[] = {
	{ "candidates", 0 },
	{ "full", KHEAP_GC_FULL },
};

KUNIT_ARRAY_PARAM_DESC(mode, modes, desc);

static void drop_ring(struct kunit *test, struct kheap_type *type)
{
	struct node **ring = kunit_kcalloc(test, NR_RING, sizeof(*ring),
					   GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ring);
	node_ring(test, type, ring, NR_RING);
	node_put_all(ring, NR_RING);
	kunit_kfree(test, ring);
}

/* A run gives up as a whole, or reclaims all; the next one makes up for it. */
static void collection_survives_any_refusal(struct kunit *test)
{
	const struct mode *mode = test->param_value;
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	unsigned int n, nr_failed = 0;
	bool reached;
	long ret;

	kheap_test_needs_faults(test);
	for_each_refusal(n, reached) {
		drop_ring(test, type);
		kheap_test_fail_nth(n);
		ret = kheap_gc_collect(heap, mode->flags);
		reached = kheap_test_fail_end();
		if (ret == -ENOMEM) {
			nr_failed++;
			KUNIT_EXPECT_EQ(test, nr_released(), (n - 1) * NR_RING);
			ret = kheap_gc_collect(heap, mode->flags);
		}
		KUNIT_EXPECT_EQ(test, ret, NR_RING);
		KUNIT_EXPECT_EQ(test, nr_released(), n * NR_RING);
	}
	expect_was_felt(test, n, nr_failed);
	node_expect_empty(test, heap);
}

static void collection_without_memory_gives_up(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);

	kheap_test_needs_faults(test);
	drop_ring(test, node_type(test, heap, &node_ops));
	kheap_test_fail_all();
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, 0), -ENOMEM);
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, KHEAP_GC_FULL), -ENOMEM);
	kheap_test_fail_end();
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, 0), NR_RING);
	node_expect_empty(test, heap);
}

static void collection_over_the_limit_gives_up(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);

	drop_ring(test, node_type(test, heap, &node_ops));
	heap->base.limit_bytes = 1;
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, KHEAP_GC_FULL), -ENOMEM);
	heap->base.limit_bytes = 0;
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, 0), NR_RING);
	node_expect_empty(test, heap);
}

/* Names for which there was no room: the next run looks at everything. */
static void candidates_without_memory_are_found_all_the_same(struct kunit *test)
{
	struct kheap *heap = node_gc_heap(test);
	struct kheap_type *type = node_type(test, heap, &node_ops);
	struct node **ring = kunit_kcalloc(test, NR_RING, sizeof(*ring),
					   GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ring);
	kheap_test_needs_faults(test);
	node_ring(test, type, ring, NR_RING);
	kheap_test_fail_all();
	node_put_all(ring, NR_RING);
	kheap_test_fail_end();
	KUNIT_EXPECT_EQ(test, nr_released(), 0);
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, 0), NR_RING);
	node_expect_empty(test, heap);
}

/* --- Frees after a grace period ----------------------------------------- */

#define NR_PARKED	3000	/* of 64 bytes: more words of bits than fit */

/* There is a little room for what waits, on the stack; then in turns. */
static void parked_blocks_are_freed_without_memory(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	void **blocks = kheap_test_alloc_many(test, heap, 64, NR_PARKED);
	unsigned int i;

	kheap_test_needs_faults(test);
	heap->block.rcu_armed = true; /* So that the work does not come before us. */
	for (i = 0; i < NR_PARKED; i++)
		kheap_free_rcu(heap, blocks[i]);
	KUNIT_EXPECT_GE(test, kheap_test_stats(heap).nr_pools, 40);
	kheap_test_fail_all();
	kheap_trim(heap);
	kheap_test_fail_end();
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_pools, 0);
}

/* --- What looks at a heap ----------------------------------------------- */

static void check_without_memory_says_so(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);

	kheap_test_needs_faults(test);
	kheap_test_fail_all();
	KUNIT_EXPECT_EQ(test, kheap_check(heap), -ENOMEM);
	kheap_test_fail_end();
	KUNIT_EXPECT_EQ(test, kheap_check(heap), 0);
}

static void call_sites_survive_any_refusal(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_callsite_stats stats;
	unsigned int n, nr_failed = 0;
	void *block;
	bool reached;
	int err;

	kheap_test_needs_faults(test);
	for_each_refusal(n, reached) {
		kheap_test_fail_nth(n);
		err = kheap_callsites_start(heap, 1);
		block = kheap_alloc(heap, 100, GFP_KERNEL);
		reached = kheap_test_fail_end();
		nr_failed += !!err;
		kheap_callsites_get_stats(kheap_callsites_read_begin(heap),
					  &stats);
		kheap_callsites_read_end(heap);
		if (err)
			KUNIT_EXPECT_EQ(test, err, -ENOMEM);
		KUNIT_EXPECT_EQ(test, stats.one_in, err ? 0 : 1);
		if (!err && block)
			KUNIT_EXPECT_EQ(test, stats.nr_live + stats.nr_dropped,
					1);
		kheap_free(heap, block);
		kheap_callsites_stop(heap);
		kheap_test_expect_sound(test, heap);
	}
	expect_was_felt(test, n, nr_failed);
}

/* --- Large blocks ------------------------------------------------------- */

static const size_t large_sizes[] = { 5 * PAGE_SIZE, 20 * PAGE_SIZE };

static void size_desc(const size_t *size, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu_pages", *size / PAGE_SIZE);
}

KUNIT_ARRAY_PARAM(large_size, large_sizes, size_desc);

static void block_of_a_node_survives_any_refusal(struct kunit *test)
{
	size_t size = *(const size_t *)test->param_value;
	struct kheap *heap = kheap_test_heap(test);
	unsigned int n, nr_failed = 0;
	bool reached;
	void *block;

	kheap_test_needs_faults(test);
	for_each_refusal(n, reached) {
		kheap_test_fail_nth(n);
		block = kheap_alloc_node(heap, size, GFP_KERNEL | __GFP_NOWARN,
					 numa_mem_id());
		reached = kheap_test_fail_end();
		nr_failed += !block;
		if (block)
			memset(block, 0x42, size);
		kheap_free(heap, block);
		KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).large_bytes, 0);
		kheap_test_expect_sound(test, heap);
	}
	expect_was_felt(test, n, nr_failed);
}

static void no_memory_at_all_fails_large_blocks(struct kunit *test)
{
	size_t size = *(const size_t *)test->param_value;
	struct kheap *heap = kheap_test_heap(test);

	kheap_test_needs_faults(test);
	kheap_test_fail_all();
	KUNIT_EXPECT_NULL(test, kheap_alloc(heap, size, GFP_KERNEL |
					    __GFP_NOWARN));
	KUNIT_EXPECT_NULL(test, kheap_alloc(heap, size, GFP_ATOMIC |
					    __GFP_NOWARN));
	KUNIT_EXPECT_NULL(test, kheap_alloc_node(heap, size, GFP_KERNEL |
						 __GFP_NOWARN, numa_mem_id()));
	kheap_test_fail_end();
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_failed, 3);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).large_bytes, 0);
}

static struct kunit_case faults_objects_cases[] = {
	KUNIT_CASE_SLOW(type_creation_survives_any_refusal),
	KUNIT_CASE_SLOW(object_creation_survives_any_refusal),
	KUNIT_CASE_PARAM_ATTR(collection_survives_any_refusal, mode_gen_params,
			      { .speed = KUNIT_SPEED_SLOW }),
	KUNIT_CASE(collection_without_memory_gives_up),
	KUNIT_CASE(collection_over_the_limit_gives_up),
	KUNIT_CASE(candidates_without_memory_are_found_all_the_same),
	KUNIT_CASE(parked_blocks_are_freed_without_memory),
	KUNIT_CASE(check_without_memory_says_so),
	KUNIT_CASE_SLOW(call_sites_survive_any_refusal),
	KUNIT_CASE_PARAM_ATTR(block_of_a_node_survives_any_refusal,
			      large_size_gen_params,
			      { .speed = KUNIT_SPEED_SLOW }),
	KUNIT_CASE_PARAM(no_memory_at_all_fails_large_blocks,
			 large_size_gen_params),
	{}
};

static struct kunit_suite faults_objects_suite = {
	.name = "kheap_faults_objects",
	.suite_init = kheap_test_untracked_init,
	.suite_exit = kheap_test_untracked_exit,
	.init = node_test_init,
	.exit = kheap_test_exit,
	.test_cases = faults_objects_cases,
};

kunit_test_suite(faults_objects_suite);
