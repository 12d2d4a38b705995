// SPDX-License-Identifier: GPL-2.0
/*
 * What the suites share. See helpers.h.
 */
#include <linux/module.h>
#include <linux/ratelimit.h>
#include <trace/events/printk.h>

#include "helpers.h"
#include "base/trace.h"
#include "gc/trace.h"

bool kheap_test_sweep = true;
module_param_named(sweep, kheap_test_sweep, bool, 0444);
MODULE_PARM_DESC(sweep, "try all sizes, not some (default: Y)");

/* --- The page source ---------------------------------------------------- */

static bool source_refuses(struct kheap_test_source *source, gfp_t gfp,
			   unsigned int order)
{
	unsigned int call = atomic_inc_return(&source->nr_calls);

	if (call == 1)
		WRITE_ONCE(source->first_order, order);
	WRITE_ONCE(source->last_gfp, gfp);
	if (READ_ONCE(source->fail_all) ||
	    order > READ_ONCE(source->max_order) ||
	    call == READ_ONCE(source->fail_call))
		return true;
	return atomic_inc_return(&source->nr_grants) ==
	       READ_ONCE(source->fail_grant);
}

static struct page *source_alloc(void *ctx, gfp_t gfp, unsigned int order,
				 int node)
{
	struct kheap_test_source *source = ctx;
	struct page *page = NULL;

	if (!source_refuses(source, gfp, order))
		page = alloc_pages_node(node, gfp, order);
	if (!page) {
		atomic_inc(&source->nr_refused);
		return NULL;
	}
	atomic_inc(&source->nr_allocs[order]);
	atomic_long_add(1L << order, &source->nr_pages_out);
	return page;
}

static void source_free(void *ctx, struct page *page, unsigned int order)
{
	struct kheap_test_source *source = ctx;

	atomic_inc(&source->nr_frees[order]);
	atomic_long_sub(1L << order, &source->nr_pages_out);
	__free_pages(page, order);
}

static const struct kheap_page_ops source_ops = {
	.alloc = source_alloc,
	.free = source_free,
};

struct kheap_test_source *kheap_test_source(struct kheap *heap)
{
	return heap->raw.page_ctx;
}

void kheap_test_source_reset(struct kheap_test_source *source)
{
	unsigned int order;

	for (order = 0; order <= KHEAP_ARENA_ORDER; order++) {
		atomic_set(&source->nr_allocs[order], 0);
		atomic_set(&source->nr_frees[order], 0);
	}
	atomic_set(&source->nr_calls, 0);
	atomic_set(&source->nr_grants, 0);
	atomic_set(&source->nr_refused, 0);
	source->fail_call = 0;
	source->fail_grant = 0;
	source->fail_all = false;
	source->max_order = KHEAP_ARENA_ORDER;
}

/* --- Heaps -------------------------------------------------------------- */

struct kheap_stats kheap_test_stats(struct kheap *heap)
{
	struct kheap_stats stats;

	kheap_get_stats(heap, &stats);
	return stats;
}

size_t kheap_test_sum(const struct kheap_stats *stats)
{
	return stats->allocated_bytes + stats->cached_bytes +
	       stats->free_bytes + stats->virgin_bytes +
	       stats->quarantined_bytes + stats->empty_bytes +
	       stats->tail_bytes + stats->metadata_bytes + stats->large_bytes;
}

void kheap_test_expect_sound(struct kunit *test, struct kheap *heap)
{
	struct kheap_stats stats;

	KUNIT_EXPECT_EQ(test, kheap_check(heap), 0);
	stats = kheap_test_stats(heap);
	KUNIT_EXPECT_EQ(test, kheap_test_sum(&stats), stats.held_bytes);
	KUNIT_EXPECT_GE(test, stats.peak_held_bytes, stats.held_bytes);
}

static void heap_end(struct kheap_test_source *source)
{
	kheap_destroy(source->heap);
	source->heap = NULL;
	list_del(&source->list);
	KUNIT_EXPECT_EQ(source->test, atomic_long_read(&source->nr_pages_out),
			0);
}

/* Nothing but what was meant to be is live, and no page is lost. */
static void source_end(void *data)
{
	struct kheap_test_source *source = data;
	struct kunit *test = source->test;
	struct kheap_stats stats;

	if (!source->heap)
		return;
	/* Blocks that it is moving from a depot to their pools look allocated. */
	flush_delayed_work(&source->heap->base.maint);
	stats = kheap_test_stats(source->heap);
	KUNIT_EXPECT_EQ(test, stats.nr_allocated + stats.nr_large,
			source->nr_live);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&source->nr_pages_out) *
			      PAGE_SIZE,
			stats.held_bytes - stats.metadata_bytes -
			stats.large_bytes);
	heap_end(source);
}

struct kheap *kheap_test_heap_with(struct kunit *test, unsigned int flags,
				   size_t limit_bytes)
{
	static atomic_t serial;
	struct list_head *sources = test->priv;
	struct kheap_test_source *source;
	struct kheap_params params = {
		.flags = flags,
		.limit_bytes = limit_bytes,
		.page_ops = &source_ops,
	};
	char name[KHEAP_NAME_MAX + 1];

	source = kunit_kzalloc(test, sizeof(*source), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, source);
	source->test = test;
	kheap_test_source_reset(source);
	params.page_ctx = source;
	snprintf(name, sizeof(name), "kunit-%d", atomic_inc_return(&serial));
	source->heap = kheap_create(name, &params);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, source->heap);
	list_add_tail(&source->list, sources);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, source_end,
							source), 0);
	return source->heap;
}

struct kheap *kheap_test_heap(struct kunit *test)
{
	return kheap_test_heap_with(test, 0, 0);
}

void kheap_test_heap_destroy(struct kunit *test, struct kheap *heap)
{
	kheap_test_expect_sound(test, heap);
	kunit_release_action(test, source_end, kheap_test_source(heap));
}

void kheap_test_heap_end(struct kunit *test, struct kheap *heap)
{
	heap_end(kheap_test_source(heap));
}

/*
 * A case stays on a CPU, unless it says otherwise: another CPU's blocks are in
 * pools of their own, so how many pools there are would depend on where it runs.
 */
int kheap_test_init(struct kunit *test)
{
	struct list_head *sources;

	set_cpus_allowed_ptr(current, cpumask_of(0));
	sources = kunit_kzalloc(test, sizeof(*sources), GFP_KERNEL);
	if (!sources)
		return -ENOMEM;
	INIT_LIST_HEAD(sources);
	test->priv = sources;
	return 0;
}

void kheap_test_exit(struct kunit *test)
{
	struct list_head *sources = test->priv;
	struct kheap_test_source *source;

	if (!sources)
		return;
	list_for_each_entry(source, sources, list)
		kheap_test_expect_sound(test, source->heap);
}

int kheap_test_untracked_init(struct kunit_suite *suite)
{
	WRITE_ONCE(kheap_leak_tracking, false);
	return 0;
}

void kheap_test_untracked_exit(struct kunit_suite *suite)
{
	WRITE_ONCE(kheap_leak_tracking, true);
}

static void track_again(void *unused)
{
	WRITE_ONCE(kheap_leak_tracking, true);
}

void kheap_test_untracked(struct kunit *test)
{
	WRITE_ONCE(kheap_leak_tracking, false);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, track_again,
							NULL), 0);
}

/* flush_delayed_work() runs it again when it has armed itself by then. */
void kheap_test_maintain(struct kheap *heap)
{
	mod_delayed_work(kheap_unbound_wq, &heap->base.maint, 0);
	flush_work(&heap->base.maint.work);
}

/* --- Blocks ------------------------------------------------------------- */

void *kheap_test_alloc(struct kunit *test, struct kheap *heap, size_t size)
{
	void *block = kheap_alloc(heap, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, block);
	return block;
}

void **kheap_test_alloc_many(struct kunit *test, struct kheap *heap,
			     size_t size, size_t nr)
{
	void **blocks = kunit_kcalloc(test, nr, sizeof(*blocks), GFP_KERNEL);
	size_t i;

	KUNIT_ASSERT_NOT_NULL(test, blocks);
	for (i = 0; i < nr; i++)
		blocks[i] = kheap_test_alloc(test, heap, size);
	return blocks;
}

void kheap_test_free_many(struct kheap *heap, void **blocks, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		kheap_free(heap, blocks[i]);
}

/* Allocate and free until the cache of this CPU has grown as far as it will. */
void kheap_test_warm_up(struct kunit *test, struct kheap *heap, size_t size)
{
	size_t nr = 200;
	void **blocks = kunit_kcalloc(test, nr, sizeof(*blocks), GFP_KERNEL);
	unsigned int round, i;

	KUNIT_ASSERT_NOT_NULL(test, blocks);
	for (round = 0; round < 12; round++) {
		for (i = 0; i < nr; i++)
			blocks[i] = kheap_alloc(heap, size, GFP_KERNEL);
		kheap_test_free_many(heap, blocks, nr);
	}
	kunit_kfree(test, blocks);
}

static u64 *word_of(const void *block)
{
	return (void *)block + kheap_block_pool(block)->class->mark_offset;
}

u64 kheap_test_word(const void *block)
{
	return kheap_load_unseen(word_of(block));
}

void kheap_test_set_word(void *block, u64 word)
{
	kheap_store_unseen(word_of(block), word);
}

unsigned long kheap_test_refused(struct kheap *heap, enum kheap_refusal why)
{
	return atomic_long_read(&heap->base.nr_refused[why]);
}

unsigned long kheap_test_refused_any(struct kheap *heap)
{
	return kheap_test_stats(heap).nr_refused;
}

/* --- Refused memory ----------------------------------------------------- */

static bool failslab;
module_param(failslab, bool, 0444);
MODULE_PARM_DESC(failslab, "the kernel's faults are set up (scripts/vm/faults.sh)");

void kheap_test_needs_faults(struct kunit *test)
{
	if (!failslab)
		kunit_skip(test, "failslab=1 was not given");
}

#ifdef CONFIG_FAULT_INJECTION
void kheap_test_fail_nth(unsigned int n)
{
	current->fail_nth = n;
}

void kheap_test_fail_all(void)
{
	current->make_it_fail = 1;
}

bool kheap_test_fail_end(void)
{
	bool reached = !current->fail_nth;

	current->make_it_fail = 0;
	current->fail_nth = 0;
	return reached;
}
#else
void kheap_test_fail_nth(unsigned int n)
{
}

void kheap_test_fail_all(void)
{
}

bool kheap_test_fail_end(void)
{
	return false;
}
#endif

/* --- The log ------------------------------------------------------------ */

#define LOG_LINES	64
#define LOG_LINE	160

static struct {
	raw_spinlock_t lock;
	unsigned int nr;
	char line[LOG_LINES][LOG_LINE];
} seen = {
	.lock = __RAW_SPIN_LOCK_UNLOCKED(seen.lock),
};

static int saved_interval;

/* @text has no final NUL. Lines that do not fit any more replace the last. */
static void probe_console(void *unused, const char *text, size_t len)
{
	unsigned long flags;

	if (!strnstr(text, "kheap: ", len))
		return;
	raw_spin_lock_irqsave(&seen.lock, flags);
	strscpy(seen.line[min(seen.nr, LOG_LINES - 1u)], text,
		min_t(size_t, len + 1, LOG_LINE));
	seen.nr = min(seen.nr + 1, (unsigned int)LOG_LINES);
	raw_spin_unlock_irqrestore(&seen.lock, flags);
}

static void stop_watching(void *unused)
{
	unregister_trace_console(probe_console, NULL);
	tracepoint_synchronize_unregister();
	kheap_refusal_limit.interval = saved_interval;
}

void kheap_test_watch_log(struct kunit *test)
{
	kheap_test_forget_log();
	saved_interval = kheap_refusal_limit.interval;
	KUNIT_ASSERT_EQ(test, register_trace_console(probe_console, NULL), 0);
	kheap_refusal_limit.interval = 0;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, stop_watching,
							NULL), 0);
}

void kheap_test_forget_log(void)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&seen.lock, flags);
	seen.nr = 0;
	raw_spin_unlock_irqrestore(&seen.lock, flags);
}

unsigned int kheap_test_logged(const char *text)
{
	unsigned int i, nr = 0;
	unsigned long flags;

	raw_spin_lock_irqsave(&seen.lock, flags);
	for (i = 0; i < seen.nr; i++)
		nr += !!strstr(seen.line[i], text);
	raw_spin_unlock_irqrestore(&seen.lock, flags);
	return nr;
}

MODULE_DESCRIPTION("KUnit suites for kheap");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);

/* A case's thread ends with the case, so its place need not be given back. */
void kheap_test_stay_on(struct kunit *test, unsigned int cpu)
{
	if (!cpu_online(cpu))
		kunit_skip(test, "CPU %u is not online", cpu);
	KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of(cpu)),
			0);
}

/* --- Runs --------------------------------------------------------------- */

static void probe_verdict(void *act, const struct kheap *heap,
			  unsigned long run, unsigned long nr, bool committed)
{
	if (committed)
		((void (*)(const struct kheap *))act)(heap);
}

static void stop_looking_at_verdicts(void *act)
{
	unregister_trace_kheap_gc_verdict(probe_verdict, act);
	tracepoint_synchronize_unregister();
}

void kheap_test_at_verdict(struct kunit *test,
			   void (*act)(const struct kheap *heap))
{
	KUNIT_ASSERT_EQ(test, register_trace_kheap_gc_verdict(probe_verdict,
							      act), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test,
							stop_looking_at_verdicts,
							act), 0);
}
