// SPDX-License-Identifier: GPL-2.0
/*
 * Tracepoints: what probes are told, and that they are told all.
 */
#include <linux/module.h>
#include <linux/tracepoint.h>

#include "helpers.h"
#include "object/object.h"
#include "base/trace.h"
#include "block/trace.h"
#include "gc/trace.h"
#include "object/trace.h"
#include "raw/trace.h"
#include "watch/trace.h"

#define NR_BLOCKS	97
#define NR_GETS		13

/* --- What the probes have seen ------------------------------------------ */

/**
 * struct seen - events of one heap
 * @heap: the heap
 * @nr: how often each of the probes was called
 * @size: the last @bytes_req or @nr
 * @refs: the last number of references
 * @call_site: the last call site
 * @ptr: the last block or object
 */
struct seen {
	const struct kheap *heap;
	atomic_t nr;
	size_t size;
	int refs;
	unsigned long call_site;
	const void *ptr;
};

static void saw_alloc(void *data, const struct kheap_class *class,
		      const void *ptr, size_t bytes_req, gfp_t gfp, bool fast,
		      u64 ns, unsigned long call_site)
{
	struct seen *seen = data;

	if (class->heap != seen->heap)
		return;
	seen->size = bytes_req;
	seen->ptr = ptr;
	seen->call_site = call_site;
	atomic_inc(&seen->nr);
}

static void saw_free(void *data, const struct kheap_class *class,
		     const void *ptr, unsigned long call_site)
{
	struct seen *seen = data;

	if (class->heap != seen->heap)
		return;
	seen->ptr = ptr;
	seen->call_site = call_site;
	atomic_inc(&seen->nr);
}

static void saw_large(void *data, const struct kheap *heap, const void *ptr,
		      size_t bytes_req, size_t bytes_alloc, gfp_t gfp, u64 ns,
		      unsigned long call_site)
{
	struct seen *seen = data;

	if (heap != seen->heap)
		return;
	seen->size = bytes_req;
	seen->ptr = ptr;
	seen->call_site = call_site;
	atomic_inc(&seen->nr);
}

static void saw_large_free(void *data, const struct kheap *heap,
			   const void *ptr, size_t bytes_alloc,
			   unsigned long call_site)
{
	struct seen *seen = data;

	if (heap != seen->heap)
		return;
	seen->ptr = ptr;
	seen->call_site = call_site;
	atomic_inc(&seen->nr);
}

static void saw_heap_destroy(void *data, const struct kheap *heap,
			     unsigned long nr_blocks, size_t bytes,
			     unsigned long call_site)
{
	struct seen *seen = data;

	if (heap != seen->heap)
		return;
	seen->size = bytes;
	seen->refs = nr_blocks;
	seen->call_site = call_site;
	atomic_inc(&seen->nr);
}

static void saw_object(void *data, const struct kheap_type *type,
		       const struct kheap_object *obj, int refs,
		       unsigned long call_site)
{
	struct seen *seen = data;

	if (type->heap != seen->heap)
		return;
	seen->ptr = obj;
	seen->refs = refs;
	seen->call_site = call_site;
	atomic_inc(&seen->nr);
}

static void saw_refusal(void *data, const char *heap, const char *reason,
			const void *ptr, unsigned long call_site)
{
	struct seen *seen = data;

	seen->ptr = ptr;
	seen->call_site = call_site;
	atomic_inc(&seen->nr);
}

static void saw_fail(void *data, const struct kheap *heap, size_t bytes,
		     gfp_t gfp, unsigned long call_site)
{
	struct seen *seen = data;

	seen->call_site = call_site;
	if (heap == seen->heap)
		atomic_inc(&seen->nr);
}

static void saw_arena(void *data, const struct kheap_arena *arena)
{
	struct seen *seen = data;

	if (arena->set->heap == seen->heap)
		atomic_inc(&seen->nr);
}

static void saw_run(void *data, const struct kheap_class *class,
		    unsigned int nr, int node, enum kheap_run_place place)
{
	struct seen *seen = data;

	if (class->heap != seen->heap)
		return;
	seen->size += nr;
	atomic_inc(&seen->nr);
}

static void saw_phase(void *data, const struct kheap *heap, unsigned long run,
		      enum kheap_gc_phase phase, unsigned long nr, u64 ns)
{
	struct seen *seen = data;

	if (heap == seen->heap && (int)phase == atomic_read(&seen->nr))
		atomic_inc(&seen->nr);
}

static void saw_gc_end(void *data, const struct kheap *heap, unsigned long run,
		       const struct kheap_gc_stats *stats, bool given_up)
{
	struct seen *seen = data;

	if (heap != seen->heap)
		return;
	seen->size = stats->nr_reclaimed;
	atomic_inc(&seen->nr);
}

#define TRACE_ON(test, event, probe, seen)				\
	KUNIT_ASSERT_EQ(test, register_trace_##event(probe, seen), 0)
#define TRACE_OFF(event, probe, seen)					\
	do {								\
		unregister_trace_##event(probe, seen);			\
		tracepoint_synchronize_unregister();			\
	} while (0)

#define EXPECT_NR(test, seen, n)					\
	KUNIT_EXPECT_EQ(test, atomic_read(&(seen).nr), (int)(n))

/* --- Blocks ------------------------------------------------------------- */

static bool is_ours(unsigned long ip)
{
	return within_module(ip, THIS_MODULE);
}

#define EXPECT_REQUEST(test, seen, block, want) do {			\
	void *_block = (block);						\
									\
	KUNIT_EXPECT_PTR_EQ(test, (seen).ptr, (const void *)_block);	\
	KUNIT_EXPECT_EQ(test, (seen).size, (size_t)(want));		\
	KUNIT_EXPECT_TRUE(test, is_ours((seen).call_site));		\
	kheap_free((struct kheap *)(seen).heap, _block);		\
} while (0)

static void alloc_tells_size_asked_for(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct seen seen = { .heap = heap };
	size_t size;

	TRACE_ON(test, kheap_alloc, saw_alloc, &seen);
	EXPECT_REQUEST(test, seen, kheap_alloc(heap, 0, GFP_KERNEL), 0);
	EXPECT_REQUEST(test, seen, kheap_alloc(heap, 1, GFP_KERNEL), 1);
	EXPECT_REQUEST(test, seen, kheap_alloc(heap, 8, GFP_KERNEL), 8);
	EXPECT_REQUEST(test, seen, kheap_alloc(heap, 13, GFP_KERNEL), 13);
	EXPECT_REQUEST(test, seen, kheap_zalloc(heap, 505, GFP_KERNEL), 505);
	EXPECT_REQUEST(test, seen, kheap_alloc(heap, 512, GFP_KERNEL), 512);
	EXPECT_REQUEST(test, seen, kheap_alloc(heap, 513, GFP_KERNEL), 513);
	EXPECT_REQUEST(test, seen, kheap_calloc(heap, 3, 7, GFP_KERNEL), 21);
	EXPECT_REQUEST(test, seen, kheap_alloc_node(heap, 19, GFP_KERNEL, 0),
		       19);
	EXPECT_REQUEST(test, seen, kheap_realloc(heap, NULL, 23, GFP_KERNEL),
		       23);
	for (size = 0; size <= KHEAP_MEDIUM_MAX; size += 61)
		EXPECT_REQUEST(test, seen,
			       kheap_alloc(heap, size, GFP_KERNEL), size);
	TRACE_OFF(kheap_alloc, saw_alloc, &seen);
}

static void every_alloc_and_free_is_told_once(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct seen allocs = { .heap = heap }, frees = { .heap = heap };
	void **blocks;

	TRACE_ON(test, kheap_alloc, saw_alloc, &allocs);
	TRACE_ON(test, kheap_free, saw_free, &frees);
	blocks = kheap_test_alloc_many(test, heap, 40, NR_BLOCKS);
	EXPECT_NR(test, allocs, NR_BLOCKS);
	kheap_test_free_many(heap, blocks, NR_BLOCKS);
	EXPECT_NR(test, frees, NR_BLOCKS);
	KUNIT_EXPECT_TRUE(test, is_ours(frees.call_site));
	KUNIT_ASSERT_EQ(test, kheap_alloc_bulk(heap, 41, GFP_KERNEL, NR_BLOCKS,
					       blocks), NR_BLOCKS);
	EXPECT_NR(test, allocs, 2 * NR_BLOCKS);
	KUNIT_EXPECT_EQ(test, allocs.size, (size_t)41);
	KUNIT_EXPECT_TRUE(test, is_ours(allocs.call_site));
	kheap_free_bulk(heap, NR_BLOCKS, blocks);
	EXPECT_NR(test, frees, 2 * NR_BLOCKS);
	KUNIT_EXPECT_TRUE(test, is_ours(frees.call_site));
	TRACE_OFF(kheap_free, saw_free, &frees);
	TRACE_OFF(kheap_alloc, saw_alloc, &allocs);
}

static void nothing_is_told_after_the_end(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct seen seen = { .heap = heap };
	void *block;

	TRACE_ON(test, kheap_alloc, saw_alloc, &seen);
	block = kheap_test_alloc(test, heap, 40);
	TRACE_OFF(kheap_alloc, saw_alloc, &seen);
	kheap_free(heap, block);
	kheap_free(heap, kheap_test_alloc(test, heap, 40));
	EXPECT_NR(test, seen, 1);
	KUNIT_EXPECT_EQ(test, heap->base.watch, 0u);
	KUNIT_EXPECT_PTR_EQ(test, heap->block.classes[4]->cpu,
			    heap->block.classes[4]->caches);
}

static void rcu_free_is_told_when_memory_is_free(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct seen seen = { .heap = heap };
	void *block = kheap_test_alloc(test, heap, 40);

	TRACE_ON(test, kheap_free, saw_free, &seen);
	rcu_read_lock();
	kheap_free_rcu(heap, block);
	EXPECT_NR(test, seen, 0);
	rcu_read_unlock();
	kheap_trim(heap);
	EXPECT_NR(test, seen, 1);
	KUNIT_EXPECT_PTR_EQ(test, seen.ptr, (const void *)block);
	TRACE_OFF(kheap_free, saw_free, &seen);
}

static void large_blocks_have_events_of_their_own(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct seen seen = { .heap = heap };
	void *block;

	TRACE_ON(test, kheap_large_alloc, saw_large, &seen);
	block = kheap_test_alloc(test, heap, 10007);
	EXPECT_NR(test, seen, 1);
	EXPECT_REQUEST(test, seen, block, 10007);
	TRACE_OFF(kheap_large_alloc, saw_large, &seen);
}

static void refusals_and_failures_are_told(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_test_source *source = kheap_test_source(heap);
	struct seen refused = { .heap = heap }, failed = { .heap = heap };

	TRACE_ON(test, kheap_refuse, saw_refusal, &refused);
	TRACE_ON(test, kheap_fail, saw_fail, &failed);
	kheap_free(heap, &refused);
	EXPECT_NR(test, refused, 1);
	KUNIT_EXPECT_PTR_EQ(test, refused.ptr, (const void *)&refused);
	KUNIT_EXPECT_TRUE(test, is_ours(refused.call_site));
	source->fail_all = true;
	KUNIT_EXPECT_NULL(test, kheap_alloc(heap, 40, GFP_KERNEL));
	EXPECT_NR(test, failed, 1);
	KUNIT_EXPECT_TRUE(test, is_ours(failed.call_site));
	source->fail_all = false;
	TRACE_OFF(kheap_fail, saw_fail, &failed);
	TRACE_OFF(kheap_refuse, saw_refusal, &refused);
}

static void arenas_and_runs_are_told(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct seen new = { .heap = heap }, gone = { .heap = heap };
	struct seen taken = { .heap = heap }, given = { .heap = heap };
	void **blocks;

	TRACE_ON(test, kheap_arena_new, saw_arena, &new);
	TRACE_ON(test, kheap_arena_release, saw_arena, &gone);
	TRACE_ON(test, kheap_refill, saw_run, &taken);
	TRACE_ON(test, kheap_drain, saw_run, &given);
	blocks = kheap_test_alloc_many(test, heap, 512, NR_BLOCKS);
	KUNIT_EXPECT_GE(test, atomic_read(&new.nr), 1);
	KUNIT_EXPECT_GE(test, taken.size, (size_t)NR_BLOCKS);
	kheap_test_free_many(heap, blocks, NR_BLOCKS);
	kheap_trim(heap);
	KUNIT_EXPECT_GE(test, given.size, taken.size);
	EXPECT_NR(test, gone, atomic_read(&new.nr));
	TRACE_OFF(kheap_drain, saw_run, &given);
	TRACE_OFF(kheap_refill, saw_run, &taken);
	TRACE_OFF(kheap_arena_release, saw_arena, &gone);
	TRACE_OFF(kheap_arena_new, saw_arena, &new);
}

/* --- What ends with its heap or cache ------------------------------------ */

static void destroyed_heap_frees_what_is_left(struct kunit *test)
{
	struct kheap *heap = kheap_create("kunit-end", NULL);
	struct seen frees = { .heap = heap }, larges = { .heap = heap };
	struct seen ends = { .heap = heap };
	void *large;
	int i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, heap);
	for (i = 0; i < NR_BLOCKS; i++)
		KUNIT_EXPECT_NOT_NULL(test, kheap_alloc(heap, 40, GFP_KERNEL));
	kheap_free(heap, kheap_alloc(heap, 40, GFP_KERNEL));
	large = kheap_alloc(heap, 10007, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, large);
	TRACE_ON(test, kheap_free, saw_free, &frees);
	TRACE_ON(test, kheap_large_free, saw_large_free, &larges);
	TRACE_ON(test, kheap_heap_destroy, saw_heap_destroy, &ends);
	kheap_destroy(heap);
	EXPECT_NR(test, frees, NR_BLOCKS);
	KUNIT_EXPECT_TRUE(test, is_ours(frees.call_site));
	EXPECT_NR(test, larges, 1);
	KUNIT_EXPECT_PTR_EQ(test, larges.ptr, (const void *)large);
	EXPECT_NR(test, ends, 1);
	KUNIT_EXPECT_EQ(test, ends.refs, NR_BLOCKS + 1);
	KUNIT_EXPECT_EQ(test, ends.size,
			(size_t)(40 * NR_BLOCKS + PAGE_ALIGN(10007)));
	KUNIT_EXPECT_TRUE(test, is_ours(ends.call_site));
	TRACE_OFF(kheap_heap_destroy, saw_heap_destroy, &ends);
	TRACE_OFF(kheap_large_free, saw_large_free, &larges);
	TRACE_OFF(kheap_free, saw_free, &frees);
}

static void destroyed_cache_frees_what_is_left(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct kheap_cache *cache = kheap_cache_create(heap, "ends", 56, 0, 0,
						       NULL);
	struct seen frees = { .heap = heap };
	void *block = kheap_test_alloc(test, heap, 56);
	int i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	for (i = 0; i < NR_BLOCKS; i++)
		KUNIT_EXPECT_NOT_NULL(test, kheap_cache_alloc(cache,
							      GFP_KERNEL));
	TRACE_ON(test, kheap_free, saw_free, &frees);
	kheap_cache_destroy(cache);
	EXPECT_NR(test, frees, NR_BLOCKS);
	KUNIT_EXPECT_TRUE(test, is_ours(frees.call_site));
	kheap_free(heap, block);
	EXPECT_NR(test, frees, NR_BLOCKS + 1);
	TRACE_OFF(kheap_free, saw_free, &frees);
}

/* --- Objects ------------------------------------------------------------ */

struct thing {
	struct kheap_object obj;
	struct kheap_object *other;
};

static void thing_traverse(struct kheap_object *obj,
			   struct kheap_visitor *visitor)
{
	kheap_visit(visitor, container_of(obj, struct thing, obj)->other);
}

static void thing_clear(struct kheap_object *obj)
{
	kheap_ref_set(&container_of(obj, struct thing, obj)->other, NULL);
}

static const struct kheap_type_ops plain_ops = {
	.name = "plain",
	.size = sizeof(struct thing),
};

static const struct kheap_type_ops thing_ops = {
	.name = "thing",
	.size = sizeof(struct thing),
	.traverse = thing_traverse,
	.clear = thing_clear,
};

static void references_are_told(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct seen new = { .heap = heap }, dead = { .heap = heap };
	struct seen gets = { .heap = heap }, puts = { .heap = heap };
	struct kheap_type *type = kheap_type_create(heap, &plain_ops);
	struct kheap_object *obj;
	unsigned int i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, type);
	TRACE_ON(test, kheap_object_new, saw_object, &new);
	TRACE_ON(test, kheap_object_get, saw_object, &gets);
	TRACE_ON(test, kheap_object_put, saw_object, &puts);
	TRACE_ON(test, kheap_object_release, saw_object, &dead);
	obj = kheap_object_new(type, GFP_KERNEL);
	KUNIT_EXPECT_PTR_EQ(test, new.ptr, (const void *)obj);
	KUNIT_EXPECT_TRUE(test, is_ours(new.call_site));
	for (i = 0; i < NR_GETS; i++)
		kheap_object_get(obj);
	KUNIT_EXPECT_EQ(test, gets.refs, NR_GETS + 1);
	KUNIT_EXPECT_TRUE(test, is_ours(gets.call_site));
	KUNIT_EXPECT_TRUE(test, kheap_object_tryget(obj));
	for (i = 0; i < NR_GETS + 2; i++)
		kheap_object_put(obj);
	KUNIT_EXPECT_EQ(test, puts.refs, 0);
	KUNIT_EXPECT_TRUE(test, is_ours(puts.call_site));
	EXPECT_NR(test, new, 1);
	EXPECT_NR(test, gets, NR_GETS + 1);
	EXPECT_NR(test, puts, NR_GETS + 2);
	EXPECT_NR(test, dead, 1);
	TRACE_OFF(kheap_object_release, saw_object, &dead);
	TRACE_OFF(kheap_object_put, saw_object, &puts);
	TRACE_OFF(kheap_object_get, saw_object, &gets);
	TRACE_OFF(kheap_object_new, saw_object, &new);
}

static void run_of_the_collector_is_told(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);
	struct seen phases = { .heap = heap }, ends = { .heap = heap };
	struct kheap_type *type = kheap_type_create(heap, &thing_ops);
	struct kheap_object *obj;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, type);
	TRACE_ON(test, kheap_gc_phase, saw_phase, &phases);
	TRACE_ON(test, kheap_gc_end, saw_gc_end, &ends);
	obj = kheap_object_new(type, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, obj);
	kheap_ref_give(&container_of(obj, struct thing, obj)->other, obj);
	KUNIT_EXPECT_EQ(test, kheap_gc_collect(heap, KHEAP_GC_FULL), 1l);
	/* All of them, in their order. */
	EXPECT_NR(test, phases, NR_KHEAP_GC_PHASES);
	EXPECT_NR(test, ends, 1);
	KUNIT_EXPECT_EQ(test, ends.size, (size_t)1);
	TRACE_OFF(kheap_gc_end, saw_gc_end, &ends);
	TRACE_OFF(kheap_gc_phase, saw_phase, &phases);
}

static struct kunit_case trace_cases[] = {
	KUNIT_CASE(alloc_tells_size_asked_for),
	KUNIT_CASE(every_alloc_and_free_is_told_once),
	KUNIT_CASE(nothing_is_told_after_the_end),
	KUNIT_CASE(rcu_free_is_told_when_memory_is_free),
	KUNIT_CASE(large_blocks_have_events_of_their_own),
	KUNIT_CASE(refusals_and_failures_are_told),
	KUNIT_CASE(arenas_and_runs_are_told),
	KUNIT_CASE(destroyed_heap_frees_what_is_left),
	KUNIT_CASE(destroyed_cache_frees_what_is_left),
	KUNIT_CASE(references_are_told),
	KUNIT_CASE(run_of_the_collector_is_told),
	{}
};

static struct kunit_suite trace_suite = {
	.name = "kheap_trace",
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = trace_cases,
};

kunit_test_suite(trace_suite);
