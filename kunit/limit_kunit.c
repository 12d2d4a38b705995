// SPDX-License-Identifier: GPL-2.0
/*
 * The limit of a heap: what is tried before a request is refused.
 */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/sizes.h>
#include <linux/workqueue.h>

#include "helpers.h"

#define LIMIT		((size_t)SZ_1M)
#define LARGE		((size_t)SZ_512K)
#define NR_BLOCKS	700
#define SIZE		512
#define BLOCKS_AN_ARENA	(KHEAP_ARENA_POOLS * PAGE_SIZE / SIZE)

/**
 * struct client - what a case's on_limit does, and what it was told
 * @heap: the heap
 * @hoard: blocks to free, NULL for none
 * @nr_hoard: how many
 * @answer: what to return
 * @nested: bytes to allocate inside, 0 for none
 * @work: allocates elsewhere while the first call is under way, if armed
 * @armed: whether
 * @nr_calls: calls
 * @nr_nested: allocations inside that succeeded
 * @bytes: what was asked of the system, last call
 * @gfp: flags of the last call
 */
struct client {
	struct kheap *heap;
	void **hoard;
	unsigned int nr_hoard;
	bool answer;
	size_t nested;
	struct work_struct work;
	bool armed;
	unsigned int nr_calls;
	unsigned int nr_nested;
	size_t bytes;
	gfp_t gfp;
};

static bool on_limit(void *ctx, size_t bytes, gfp_t gfp)
{
	struct client *client = ctx;
	void *block;

	client->nr_calls++;
	client->bytes = bytes;
	client->gfp = gfp;
	if (client->nested) {
		block = kheap_alloc(client->heap, client->nested,
				    GFP_KERNEL | __GFP_NOWARN);
		client->nr_nested += !!block;
		kheap_free(client->heap, block);
	}
	if (client->armed) {
		client->armed = false;
		queue_work(kheap_unbound_wq, &client->work);
		flush_work(&client->work);
	}
	if (client->hoard)
		kheap_test_free_many(client->heap, client->hoard,
				     client->nr_hoard);
	client->hoard = NULL;
	return client->answer;
}

static void destroy(void *heap)
{
	kheap_destroy(heap);
}

/* Give a client a heap of LIMIT bytes. */
static void heap_create(struct kunit *test, struct client *client)
{
	struct kheap_params params = {
		.limit_bytes = LIMIT,
		.on_limit = on_limit,
		.limit_ctx = client,
	};

	memset(client, 0, sizeof(*client));
	client->heap = kheap_create("kunit-limit", &params);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, client->heap);
}

/* A heap of LIMIT bytes that asks a client. */
static struct client *client_create(struct kunit *test)
{
	struct client *client;

	client = kunit_kzalloc(test, sizeof(*client), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, client);
	heap_create(test, client);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, destroy,
							client->heap), 0);
	return client;
}

/* Take so much that a large block does not fit, and does without this. */
static void hoard(struct kunit *test, struct client *client)
{
	client->hoard = kheap_test_alloc_many(test, client->heap, 1000,
					      NR_BLOCKS);
	client->nr_hoard = NR_BLOCKS;
	KUNIT_ASSERT_EQ(test, client->nr_calls, 0);
}

static void expect_no_refusal(struct kunit *test, struct client *client)
{
	KUNIT_EXPECT_EQ(test, kheap_test_stats(client->heap).nr_failed, 0);
	KUNIT_EXPECT_EQ(test, kheap_test_refused_any(client->heap), 0);
	KUNIT_EXPECT_EQ(test, kheap_check(client->heap), 0);
}

static void expect_refused_once(struct kunit *test, struct client *client)
{
	KUNIT_EXPECT_EQ(test, kheap_test_stats(client->heap).nr_failed, 1);
	KUNIT_EXPECT_EQ(test, kheap_test_refused(client->heap,
						 KHEAP_BAD_LIMIT), 1);
	KUNIT_EXPECT_EQ(test, kheap_check(client->heap), 0);
}

/* --- What the heap does not need ---------------------------------------- */

static void free_memory_of_the_heap_makes_room(struct kunit *test)
{
	struct client *client = client_create(test);
	void *block;

	hoard(test, client);
	kheap_test_free_many(client->heap, client->hoard, NR_BLOCKS);
	block = kheap_alloc(client->heap, LIMIT - LIMIT / 8, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, block);
	KUNIT_EXPECT_EQ(test, client->nr_calls, 0);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(client->heap).cached_bytes, 0);
	expect_no_refusal(test, client);
	kheap_free(client->heap, block);
}

/* No page comes of it: the blocks that another CPU has are what is wanted. */
static void blocks_in_another_magazine_are_had(struct kunit *test)
{
	struct client *client = client_create(test);
	struct kheap *heap = client->heap;
	void **blocks, *block;
	unsigned int i;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");
	kheap_test_stay_on(test, 1);
	for (i = 0; i < 8; i++)
		kheap_test_free_many(heap, kheap_test_alloc_many(test, heap,
								 SIZE, 8), 8);
	blocks = kheap_test_alloc_many(test, heap, SIZE, BLOCKS_AN_ARENA);
	KUNIT_ASSERT_EQ(test, kheap_test_stats(heap).free_bytes +
			      kheap_test_stats(heap).virgin_bytes +
			      kheap_test_stats(heap).empty_bytes, 0);
	for (i = 0; i < 4; i++)
		kheap_free(heap, blocks[i]);
	KUNIT_ASSERT_EQ(test, kheap_test_stats(heap).cached_bytes, 4 * SIZE);
	kheap_test_stay_on(test, 0);
	heap->base.limit_bytes = kheap_test_stats(heap).held_bytes;
	block = kheap_alloc(heap, SIZE, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, block);
	KUNIT_EXPECT_EQ(test, client->nr_calls, 0);
	expect_no_refusal(test, client);
	kheap_free(heap, block);
	kheap_test_free_many(heap, blocks + 4, BLOCKS_AN_ARENA - 4);
}

/* Others wait for the lock while they allocate. */
static void heap_in_use_is_not_waited_for(struct kunit *test)
{
	struct client *client = client_create(test);

	hoard(test, client);
	kheap_test_free_many(client->heap, client->hoard, NR_BLOCKS);
	client->hoard = NULL;
	mutex_lock(&client->heap->base.mutex);
	KUNIT_EXPECT_NULL(test, kheap_alloc(client->heap, LIMIT - LIMIT / 8,
					    GFP_KERNEL));
	mutex_unlock(&client->heap->base.mutex);
	KUNIT_EXPECT_EQ(test, client->nr_calls, 1);
	expect_refused_once(test, client);
}

/* --- The client --------------------------------------------------------- */

static const size_t request_sizes[] = { 24, 8000, LARGE };

static void request_desc(const size_t *size, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu_bytes", *size);
}

KUNIT_ARRAY_PARAM(request, request_sizes, request_desc);

static void client_that_frees_is_asked_once_and_served(struct kunit *test)
{
	size_t size = *(const size_t *)test->param_value;
	struct client *client = client_create(test);
	void *block;

	hoard(test, client);
	client->heap->base.limit_bytes = kheap_test_stats(client->heap).held_bytes;
	kheap_trim(client->heap);
	client->heap->base.limit_bytes = kheap_test_stats(client->heap).held_bytes;
	client->answer = true;
	block = kheap_alloc(client->heap, size, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, block);
	KUNIT_EXPECT_EQ(test, client->nr_calls, 1);
	KUNIT_EXPECT_GT(test, client->bytes, 0);
	expect_no_refusal(test, client);
	kheap_free(client->heap, block);
}

static void client_that_has_nothing_is_asked_once(struct kunit *test)
{
	struct client *client = client_create(test);

	KUNIT_EXPECT_NULL(test, kheap_alloc(client->heap, LIMIT, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, client->nr_calls, 1);
	KUNIT_EXPECT_EQ(test, client->bytes, LIMIT);
	expect_refused_once(test, client);
}

static void client_that_lies_is_asked_once(struct kunit *test)
{
	struct client *client = client_create(test);

	client->answer = true;
	KUNIT_EXPECT_NULL(test, kheap_alloc(client->heap, LIMIT, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, client->nr_calls, 1);
	expect_refused_once(test, client);
}

static void client_is_told_what_it_may_do(struct kunit *test)
{
	struct client *client = client_create(test);

	KUNIT_EXPECT_NULL(test, kheap_alloc(client->heap, LIMIT,
					    GFP_NOWAIT | __GFP_NOWARN));
	KUNIT_EXPECT_EQ(test, client->nr_calls, 1);
	KUNIT_EXPECT_FALSE(test, gfpflags_allow_blocking(client->gfp));
}

static void request_of_the_client_inside_is_refused(struct kunit *test)
{
	struct client *client = client_create(test);

	client->nested = LIMIT;
	KUNIT_EXPECT_NULL(test, kheap_alloc(client->heap, LIMIT, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, client->nr_calls, 1);
	KUNIT_EXPECT_EQ(test, client->nr_nested, 0);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(client->heap).nr_failed, 2);
}

static void request_of_the_client_inside_that_fits_is_served(struct kunit *test)
{
	struct client *client = client_create(test);

	client->nested = 100;
	KUNIT_EXPECT_NULL(test, kheap_alloc(client->heap, LIMIT, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, client->nr_nested, 1);
}

static void alloc_elsewhere(struct work_struct *work)
{
	struct client *client = container_of(work, struct client, work);

	kheap_free(client->heap, kheap_alloc(client->heap, LIMIT, GFP_KERNEL));
}

static void another_task_asks_meanwhile(struct kunit *test)
{
	struct client *client = client_create(test);

	INIT_WORK(&client->work, alloc_elsewhere);
	client->armed = true;
	KUNIT_EXPECT_NULL(test, kheap_alloc(client->heap, LIMIT, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, client->nr_calls, 2);
}

static void heap_below_its_limit_does_not_ask(struct kunit *test)
{
	struct client *client = client_create(test);
	void *block = kheap_test_alloc(test, client->heap, LARGE);

	kheap_free(client->heap, block);
	hoard(test, client);
	kheap_test_free_many(client->heap, client->hoard, NR_BLOCKS);
	KUNIT_EXPECT_EQ(test, client->nr_calls, 0);
}

/* --- Descriptors -------------------------------------------------------- */

/* Whatever it is that does not fit, the client is asked before a refusal. */
static void first_request_of_a_span_asks_whatever_is_left(struct kunit *test)
{
	struct client client;
	size_t extra;
	void *block;

	for (extra = 0; extra <= 4 * PAGE_SIZE; extra += 256) {
		heap_create(test, &client);
		client.heap->base.limit_bytes =
			kheap_test_stats(client.heap).held_bytes + extra;
		block = kheap_alloc(client.heap, 900,
				    GFP_KERNEL | __GFP_NOWARN);
		KUNIT_EXPECT_EQ_MSG(test, client.nr_calls, block ? 0 : 1,
				    "with %zu bytes", extra);
		kheap_free(client.heap, block);
		kheap_destroy(client.heap);
	}
}

/* No arena is taken whose descriptors do not fit. */
static void next_arena_leaves_room_for_its_descriptors(struct kunit *test)
{
	struct client client;
	void **blocks, *block;
	size_t extra;

	for (extra = 0; extra <= 4608; extra += 256) {
		heap_create(test, &client);
		blocks = kheap_test_alloc_many(test, client.heap, SIZE,
					       BLOCKS_AN_ARENA);
		client.heap->base.limit_bytes =
			kheap_test_stats(client.heap).held_bytes +
			(PAGE_SIZE << KHEAP_ARENA_ORDER) + extra;
		block = kheap_alloc(client.heap, SIZE, GFP_KERNEL);
		KUNIT_EXPECT_NOT_NULL_MSG(test, block, "with %zu bytes", extra);
		KUNIT_EXPECT_EQ(test, client.nr_calls, 0);
		kheap_free(client.heap, block);
		kheap_test_free_many(client.heap, blocks, BLOCKS_AN_ARENA);
		kheap_destroy(client.heap);
	}
}

static void bulk_request_without_a_class_asks_and_counts(struct kunit *test)
{
	struct client *client = client_create(test);
	void *blocks[4];

	client->heap->base.limit_bytes = kheap_test_stats(client->heap).held_bytes;
	KUNIT_EXPECT_EQ(test, kheap_alloc_bulk(client->heap, 24, GFP_KERNEL, 4,
					       blocks), 0);
	KUNIT_EXPECT_EQ(test, client->nr_calls, 1);
	expect_refused_once(test, client);
}

/* --- What does not fit -------------------------------------------------- */

#define NR_TOO_MUCH	20000

struct asker {
	struct kheap *heap;
	struct completion done;
};

static int ask_too_much(void *data)
{
	struct asker *asker = data;
	unsigned int i;

	for (i = 0; i < NR_TOO_MUCH; i++) {
		kheap_free(asker->heap, kheap_alloc(asker->heap, 2 * LIMIT,
						    GFP_NOWAIT | __GFP_NOWARN));
		cond_resched();
	}
	complete(&asker->done);
	return 0;
}

/* Else requests fail that do fit, and on_limit is not asked. */
static void request_over_the_limit_is_not_charged_meanwhile(struct kunit *test)
{
	struct asker asker = { .heap = kheap_test_heap_with(test, 0, LIMIT) };
	unsigned long nr_over = 0;
	struct task_struct *task;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");
	init_completion(&asker.done);
	task = kthread_run(ask_too_much, &asker, "kheap-asker");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	while (!completion_done(&asker.done)) {
		nr_over += atomic_long_read(&asker.heap->base.held_bytes) > LIMIT;
		cond_resched();
	}
	/* As completion_done() does not, wait for whoever completes. */
	wait_for_completion(&asker.done);
	KUNIT_EXPECT_EQ(test, nr_over, 0);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(asker.heap).nr_failed,
			NR_TOO_MUCH);
}

static struct kunit_case limit_cases[] = {
	KUNIT_CASE(free_memory_of_the_heap_makes_room),
	KUNIT_CASE(blocks_in_another_magazine_are_had),
	KUNIT_CASE(heap_in_use_is_not_waited_for),
	KUNIT_CASE_PARAM(client_that_frees_is_asked_once_and_served,
			 request_gen_params),
	KUNIT_CASE(client_that_has_nothing_is_asked_once),
	KUNIT_CASE(client_that_lies_is_asked_once),
	KUNIT_CASE(client_is_told_what_it_may_do),
	KUNIT_CASE(request_of_the_client_inside_is_refused),
	KUNIT_CASE(request_of_the_client_inside_that_fits_is_served),
	KUNIT_CASE(another_task_asks_meanwhile),
	KUNIT_CASE(heap_below_its_limit_does_not_ask),
	KUNIT_CASE(first_request_of_a_span_asks_whatever_is_left),
	KUNIT_CASE(next_arena_leaves_room_for_its_descriptors),
	KUNIT_CASE(bulk_request_without_a_class_asks_and_counts),
	KUNIT_CASE(request_over_the_limit_is_not_charged_meanwhile),
	{}
};

static struct kunit_suite limit_suite = {
	.name = "kheap_limit",
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = limit_cases,
};

kunit_test_suite(limit_suite);
