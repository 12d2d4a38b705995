// SPDX-License-Identifier: GPL-2.0
/*
 * The checker: each number, bit and list that it looks at is falsified for the
 * length of one check, which must find that and say what should hold.
 */
#include <linux/bitops.h>
#include <linux/string.h>

#include "helpers.h"

#define SIZE	512
#define POOL	8	/* blocks of SIZE in a pool */
#define ARENA	(POOL * KHEAP_ARENA_POOLS)

/**
 * struct parts - a heap with something of everything
 * @heap: the heap; its maintenance work does not run
 * @other: another heap
 * @class: the class of all blocks
 * @node: its pools
 * @set: the arenas
 * @holed: an arena with two holes, else full
 * @arena: another one, with the following pools, else of holes
 * @full: a pool without a free block
 * @used: a pool with three blocks in use and three that were freed
 * @empty: a pool of no class
 * @blocks: of the first arena; those of its first two pools are freed
 * @more: of @full and @used
 * @large: two large blocks
 */
struct parts {
	struct kheap *heap;
	struct kheap *other;
	struct kheap_class *class;
	struct kheap_class_node *node;
	struct kheap_arena_set *set;
	struct kheap_arena *holed;
	struct kheap_arena *arena;
	struct kheap_pool *full;
	struct kheap_pool *used;
	struct kheap_pool *empty;
	void **blocks;
	void **more;
	void **large;
};

/* --- What is falsified: by 1, and mended by -1 --------------------------- */

#define DEFINE_OFF_BY_ONE(name, number)					\
	static void name(struct parts *p, int by)			\
	{								\
		(number) += by;						\
	}

DEFINE_OFF_BY_ONE(arenas_of_the_set, p->set->nr_arenas)
DEFINE_OFF_BY_ONE(pages_of_the_set, p->set->nr_pages)
DEFINE_OFF_BY_ONE(holes_of_the_set, p->set->nr_holes)
DEFINE_OFF_BY_ONE(empty_pools_of_the_set, p->set->nr_empty)
DEFINE_OFF_BY_ONE(empty_pools_of_the_arena, p->arena->nr_freepools)
DEFINE_OFF_BY_ONE(holes_of_the_arena, p->holed->nr_holes)
DEFINE_OFF_BY_ONE(bare_holes_of_the_arena, p->arena->nr_bare)
DEFINE_OFF_BY_ONE(pools_of_the_class, p->node->nr_pools)
DEFINE_OFF_BY_ONE(blocks_of_the_used_pool, p->used->nr_used)
DEFINE_OFF_BY_ONE(span_of_the_class, p->class->span)
DEFINE_OFF_BY_ONE(large_blocks, p->heap->raw.nr_large)
DEFINE_OFF_BY_ONE(bytes_of_large_blocks, p->heap->raw.large_bytes)

static void blocks_of_the_full_pool(struct parts *p, int by)
{
	p->full->nr_used -= by;
}

static void no_blocks_in_the_used_pool(struct parts *p, int by)
{
	p->used->nr_used -= 3 * by;
}

static void no_pools_of_the_class(struct parts *p, int by)
{
	p->node->nr_pools -= by * KHEAP_ARENA_POOLS;
}

static void carved_bytes(struct parts *p, int by)
{
	p->used->nextoffset += by * SIZE;
}

static void state_of_the_used_pool(struct parts *p, int by)
{
	p->used->state = by > 0 ? KHEAP_POOL_FULL : KHEAP_POOL_USED;
}

static void state_of_the_full_pool(struct parts *p, int by)
{
	p->full->state = by > 0 ? KHEAP_POOL_USED : KHEAP_POOL_FULL;
}

static void class_of_the_empty_pool(struct parts *p, int by)
{
	p->empty->class = by > 0 ? p->class : &kheap_cold_class;
}

static void heap_of_the_class(struct parts *p, int by)
{
	p->class->heap = by > 0 ? p->other : p->heap;
}

static void tag_of_a_page(struct parts *p, int by)
{
	struct page *page = virt_to_page(p->full->base);

	*kheap_page_pool_word(page) += 8 * by;
}

/* The pool's first three blocks are in use; the next three were freed. */
static void mark_of_a_free_block(struct parts *p, int by)
{
	void *block = kheap_block_address(p->class, p->used, 4);
	static u64 mark;

	if (by > 0)
		mark = kheap_test_word(block);
	kheap_test_set_word(block, by > 0 ? 0 : mark);
}

static void parked_block_in_the_list(struct parts *p, int by)
{
	__change_bit(3, kheap_parked_bits(p->used));
}

/* Its list ends with it. */
static void parked_block_at_the_end_of_the_list(struct parts *p, int by)
{
	unsigned int idx = p->used->freeblock;

	while (kheap_link_next(p->used, idx) != KHEAP_LINK_END)
		idx = kheap_link_next(p->used, idx);
	__change_bit(idx, kheap_parked_bits(p->used));
}

static void parked_block_never_carved(struct parts *p, int by)
{
	__change_bit(POOL - 1, kheap_parked_bits(p->used));
}

static void bit_of_a_bucket(struct parts *p, int by)
{
	__change_bit(KHEAP_ARENA_POOLS, p->set->usable_map);
}

static void swap_first_block(struct parts *p, unsigned int idx)
{
	static u16 first;

	if (idx) {
		first = p->used->freeblock;
		p->used->freeblock = idx;
	} else {
		p->used->freeblock = first;
	}
}

static void first_block_beyond_the_pool(struct parts *p, int by)
{
	swap_first_block(p, by > 0 ? 1000 : 0);
}

static void first_block_never_carved(struct parts *p, int by)
{
	swap_first_block(p, by > 0 ? POOL - 1 : 0);
}

/* The last block of the list leads to the first one, instead of to none. */
static void list_in_a_loop(struct parts *p, int by)
{
	unsigned int idx = p->used->freeblock, first = idx;
	static void *last;

	if (by > 0) {
		while (kheap_link_next(p->used, idx) != KHEAP_LINK_END)
			idx = kheap_link_next(p->used, idx);
		last = kheap_block_address(p->class, p->used, idx);
	}
	kheap_mark_set_link(p->class, last, by > 0 ? first : KHEAP_LINK_END);
}

static struct kheap_large *first_large(struct parts *p)
{
	return rb_entry(rb_first(&p->heap->raw.large), struct kheap_large, node);
}

static void large_block_without_bytes(struct parts *p, int by)
{
	static size_t bytes;
	struct kheap_large *large = first_large(p);

	if (by > 0)
		bytes = large->bytes;
	large->bytes = by > 0 ? 0 : bytes;
}

static void order_of_large_blocks(struct parts *p, int by)
{
	struct kheap_large *first = first_large(p), *next;

	next = rb_entry(rb_next(&first->node), struct kheap_large, node);
	swap(first->ptr, next->ptr);
}

static void spare_arena_with_holes(struct parts *p, int by)
{
	p->set->spare = by > 0 ? p->holed : NULL;
}

static void list_of_the_used_pool(struct parts *p, int by)
{
	unsigned int fill = kheap_pool_fill(p->class, p->used->nr_used);

	list_move(&p->used->list,
		  &p->node->used[by > 0 ? KHEAP_NR_FILLS - 1 : fill]);
}

static void full_pool_on_a_list(struct parts *p, int by)
{
	if (by > 0)
		list_add(&p->full->list, &p->node->used[0]);
	else
		list_del(&p->full->list);
}

static const struct lie {
	const char *name;
	void (*tell)(struct parts *p, int by);
	const char *text;
} lies[] = {
#define LIE(name, text)	{ #name, name, text }
	LIE(arenas_of_the_set, "a set's sums"),
	LIE(pages_of_the_set, "a set's sums"),
	LIE(holes_of_the_set, "a set's sums"),
	LIE(empty_pools_of_the_set, "a set's sums"),
	LIE(empty_pools_of_the_arena, "the length of freepools"),
	LIE(holes_of_the_arena, "the number of holes"),
	LIE(bare_holes_of_the_arena, "the number of holes"),
	LIE(pools_of_the_class, "the number of pools of the class"),
	LIE(no_pools_of_the_class, "the number of pools of the class"),
	LIE(blocks_of_the_used_pool, "nr_used + nr_free_listed"),
	LIE(no_blocks_in_the_used_pool, "state agrees with nr_used"),
	LIE(blocks_of_the_full_pool, "state agrees with nr_used"),
	LIE(state_of_the_used_pool, "state agrees with nr_used"),
	LIE(state_of_the_full_pool, "state agrees with nr_used"),
	LIE(carved_bytes, "nr_used + nr_free_listed"),
	LIE(class_of_the_empty_pool, "class is of its heap"),
	LIE(heap_of_the_class, "class is of its heap"),
	LIE(span_of_the_class, "class is of its heap"),
	LIE(tag_of_a_page, "pages carry its tag"),
	LIE(mark_of_a_free_block, "carved blocks have no mark"),
	LIE(parked_block_in_the_list, "waits for a grace period"),
	LIE(parked_block_at_the_end_of_the_list, "waits for a grace period"),
	LIE(parked_block_never_carved, "waits for a grace period"),
	LIE(bit_of_a_bucket, "a bucket's bit"),
	LIE(first_block_beyond_the_pool, "links lead to"),
	LIE(first_block_never_carved, "links lead to"),
	LIE(spare_arena_with_holes, "the spare arena"),
	LIE(list_of_the_used_pool, "the used lists"),
	LIE(full_pool_on_a_list, "the used lists"),
	LIE(list_in_a_loop, "links lead to"),
	LIE(large_blocks, "tree of large blocks"),
	LIE(bytes_of_large_blocks, "tree of large blocks"),
	LIE(large_block_without_bytes, "tree of large blocks"),
	LIE(order_of_large_blocks, "tree of large blocks"),
};

static void lie_desc(const struct lie *lie, char *desc)
{
	strscpy(desc, lie->name, KUNIT_PARAM_DESC_SIZE);
}

KHEAP_TEST_SWEEP_PARAM(lie, lies, lie_desc, 16);

/* --- The case ------------------------------------------------------------ */

static void set_up(struct kunit *test, struct parts *p)
{
	p->other = kheap_test_heap(test);
	p->heap = kheap_test_heap_with(test, KHEAP_NO_CPU_CACHE, 0);
	p->blocks = kheap_test_alloc_many(test, p->heap, SIZE, ARENA);
	p->more = kheap_test_alloc_many(test, p->heap, SIZE, POOL + 6);
	p->large = kheap_test_alloc_many(test, p->heap, 3 * PAGE_SIZE, 2);
	p->full = kheap_pool_of(p->more[0]);
	p->used = kheap_pool_of(p->more[POOL]);
	p->holed = kheap_pool_of(p->blocks[0])->arena;
	p->arena = p->full->arena;
	p->set = p->arena->set;
	p->class = p->full->class;
	p->node = kheap_pool_node(p->full);
	/* Two holes there, sixty-two here; then an empty pool. */
	kheap_test_free_many(p->heap, p->blocks, 2 * POOL);
	kheap_trim(p->heap);
	cancel_delayed_work_sync(&p->heap->base.maint);
	p->heap->base.maint_armed = true;
	p->empty = kheap_pool_of(kheap_test_alloc(test, p->heap, 256));
	kheap_free(p->heap, kheap_block_address(p->empty->class, p->empty, 0));
	kheap_test_free_many(p->heap, p->more + POOL + 3, 3);
	KUNIT_ASSERT_EQ(test, p->full->state, KHEAP_POOL_FULL);
	KUNIT_ASSERT_EQ(test, p->used->state, KHEAP_POOL_USED);
	KUNIT_ASSERT_EQ(test, p->empty->state, KHEAP_POOL_EMPTY);
	KUNIT_ASSERT_NULL(test, p->set->spare);
}

static void falsified_heap_is_found_out(struct kunit *test)
{
	const struct lie *lie = test->param_value;
	struct parts p;

	set_up(test, &p);
	KUNIT_ASSERT_EQ(test, kheap_check(p.heap), 0);
	kheap_test_watch_log(test);
	lie->tell(&p, 1);
	KUNIT_EXPECT_GT(test, kheap_check(p.heap), 0);
	lie->tell(&p, -1);
	KHEAP_EXPECT_LOGGED(test, "check: ");
	KHEAP_EXPECT_LOGGED(test, lie->text);
	KUNIT_EXPECT_EQ(test, kheap_check(p.heap), 0);
	p.heap->base.maint_armed = false;
	kheap_test_free_many(p.heap, p.blocks + 2 * POOL, ARENA - 2 * POOL);
	kheap_test_free_many(p.heap, p.more, POOL + 3);
	kheap_test_free_many(p.heap, p.large, 2);
}

static struct kunit_case check_cases[] = {
	KUNIT_CASE_PARAM(falsified_heap_is_found_out, lie_gen_params),
	{}
};

static struct kunit_suite check_suite = {
	.name = "kheap_check",
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = check_cases,
};

kunit_test_suite(check_suite);
