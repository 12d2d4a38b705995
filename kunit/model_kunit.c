// SPDX-License-Identifier: GPL-2.0
/*
 * A random test against a model: a shadow of every live block, with its size
 * and contents, tells what each operation must give.
 *
 * The seed is the parameter of a case. To repeat one, with more operations:
 *	kheap_kunit.model_seed=N kheap_kunit.model_ops=N
 */
#include <linux/prandom.h>

#include "helpers.h"

static ulong model_seed;
module_param(model_seed, ulong, 0444);
MODULE_PARM_DESC(model_seed, "seed of all random runs; 0: each its own");

static unsigned int model_ops = 150000;
module_param(model_ops, uint, 0444);
MODULE_PARM_DESC(model_ops, "blocks that a random run allocates, moves, frees");

#define NR_BLOCKS	2048	/* most live blocks */
#define PHASE_OPS	16384	/* steps between a change of tide */
#define BULK_MAX	24
#define LARGEST		20000
#define NR_CACHES	4

/* --- Contents ----------------------------------------------------------- */

/**
 * struct shadow - what the model knows of a live block
 * @ptr: the block, NULL when there is none
 * @size: bytes asked for
 * @usable: bytes that the block has
 * @serial: what the contents are made from
 * @cache: the cache it is of, NULL for the heap
 * @resized: it got its size where it was, and keeps the alignment it had
 */
struct shadow {
	void *ptr;
	size_t size;
	size_t usable;
	u64 serial;
	struct kheap_cache *cache;
	bool resized;
};

/* The whole block belongs to its owner: all of it is written and verified. */
static void write_contents(const struct shadow *s)
{
	memset(s->ptr, s->serial % 251, s->usable);
	if (s->usable >= sizeof(u64))
		*(u64 *)s->ptr = s->serial;
}

/* Are the first @bytes at @ptr what write_contents() wrote to @s? */
static bool contents_hold(const struct shadow *s, const void *ptr,
			  size_t bytes)
{
	size_t start = 0;

	if (bytes >= sizeof(u64)) {
		if (*(const u64 *)ptr != s->serial)
			return false;
		start = sizeof(u64);
	} else if (s->usable >= sizeof(u64)) {
		return !memcmp(ptr, &s->serial, bytes);
	}
	return !memchr_inv(ptr + start, s->serial % 251, bytes - start);
}

#define CTOR_BYTE	0xc5

static void construct_40(void *object)
{
	memset(object, CTOR_BYTE, 40);
}

static void construct_700(void *object)
{
	memset(object, CTOR_BYTE, 700);
}

static const struct {
	const char *name;
	size_t size;
	size_t align;
	unsigned int flags;
	void (*ctor)(void *object);
} model_caches[NR_CACHES] = {
	{ "plain", 72, 0, KHEAP_CACHE_HWALIGN, NULL },
	{ "huge", 5000, 256, 0, NULL },
	{ "made", 40, 0, 0, construct_40 },
	{ "made_long", 700, 64, 0, construct_700 },
};

/* --- The model ---------------------------------------------------------- */

/**
 * struct model - one run
 * @test: the case
 * @heap: the heap
 * @caches: its caches
 * @rnd: where chance comes from
 * @serial: of the last contents
 * @op: number of the step
 * @nr_done: blocks that were allocated, moved, looked at or freed
 * @nr_live: blocks with a pointer
 * @bad: what was found wrong, NULL so far
 * @blocks: the shadow
 */
struct model {
	struct kunit *test;
	struct kheap *heap;
	struct kheap_cache *caches[NR_CACHES];
	struct rnd_state rnd;
	u64 serial;
	unsigned long op;
	unsigned long nr_done;
	unsigned long nr_live;
	const char *bad;
	struct shadow blocks[NR_BLOCKS];
};

static u32 chance(struct model *m, u32 below)
{
	return prandom_u32_state(&m->rnd) % below;
}

/* Remember the first thing that is wrong; the run ends with it. */
static void claim(struct model *m, bool holds, const char *what)
{
	if (unlikely(!holds) && !m->bad)
		m->bad = what;
}

/* Mostly small, around the edges of classes, sometimes large. */
static size_t any_size(struct model *m)
{
	switch (chance(m, 32)) {
	case 0:
		return chance(m, LARGEST + 1);
	case 1:
		return chance(m, 2048);
	case 2:
		return 1 << chance(m, 13);
	case 3 ... 5:
		return 8 * chance(m, 65) + chance(m, 3);
	case 6 ... 15:
		return chance(m, 64);
	default:
		return 1 + chance(m, 512);
	}
}

static gfp_t any_gfp(struct model *m)
{
	static const gfp_t kinds[] = {
		GFP_KERNEL, GFP_KERNEL, GFP_KERNEL, GFP_ATOMIC,
		GFP_NOWAIT | __GFP_NOWARN, GFP_NOFS, GFP_KERNEL_ACCOUNT,
		GFP_KERNEL | __GFP_NORETRY,
	};

	return kinds[chance(m, ARRAY_SIZE(kinds))];
}

static bool aligned_well(const struct shadow *s)
{
	unsigned long addr = (unsigned long)s->ptr;
	size_t size = s->size ?: 1;

	if (addr % 8)
		return false;
	return size < 8 || !is_power_of_2(size) ||
	       !(addr % min_t(size_t, size, PAGE_SIZE));
}

/* A block has come: see that it is as promised, and write to it. */
static void take_in(struct model *m, struct shadow *s, bool zeroed)
{
	if (!s->ptr)
		return;
	if (!s->cache) {
		s->usable = kheap_usable_size(m->heap, s->ptr);
		claim(m, s->usable >= (s->size ?: 1), "usable size too small");
		claim(m, s->resized || aligned_well(s), "alignment");
	}
	if (zeroed)
		claim(m, !memchr_inv(s->ptr, 0, s->usable), "not zeroed");
	s->serial = ++m->serial;
	write_contents(s);
	m->nr_live++;
	m->nr_done++;
}

static void take_in_object(struct model *m, struct shadow *s, unsigned int nr,
			   bool zeroed)
{
	size_t align = max_t(size_t, model_caches[nr].align, 8);

	if (!s->ptr)
		return;
	s->cache = m->caches[nr];
	s->size = model_caches[nr].size;
	s->usable = s->size;
	claim(m, IS_ALIGNED((unsigned long)s->ptr, align), "object alignment");
	if (model_caches[nr].ctor)
		claim(m, !memchr_inv(s->ptr, CTOR_BYTE, s->size),
		      "object not as constructed");
	take_in(m, s, zeroed);
}

/* A block is about to go: its contents must be as written. */
static void see_off(struct model *m, struct shadow *s)
{
	claim(m, contents_hold(s, s->ptr, s->usable), "contents");
	if (s->cache && s->cache->class.ctor)
		memset(s->ptr, CTOR_BYTE, s->usable);
	m->nr_live--;
	m->nr_done++;
}

/* --- Operations --------------------------------------------------------- */

static void op_alloc_object(struct model *m, struct shadow *s, gfp_t gfp)
{
	unsigned int nr = chance(m, NR_CACHES);
	bool zeroed = !model_caches[nr].ctor && !chance(m, 4);

	s->ptr = kheap_cache_alloc(m->caches[nr], zeroed ? gfp | __GFP_ZERO :
							   gfp);
	take_in_object(m, s, nr, zeroed);
}

static void op_alloc(struct model *m, struct shadow *s)
{
	gfp_t gfp = any_gfp(m);
	unsigned int kind = chance(m, 16);
	unsigned int n;

	memset(s, 0, sizeof(*s));
	s->size = any_size(m);
	switch (kind) {
	case 0 ... 2:
		s->ptr = kheap_zalloc(m->heap, s->size, gfp);
		break;
	case 3:
		n = 1 + chance(m, 8);
		s->ptr = kheap_calloc(m->heap, n, s->size, gfp);
		s->size *= n;
		break;
	case 4:
		s->ptr = kheap_alloc_node(m->heap, s->size, gfp,
					  chance(m, 2) ? NUMA_NO_NODE :
							 first_online_node);
		break;
	case 5:
		s->ptr = kheap_realloc(m->heap, NULL, s->size, gfp);
		break;
	case 6 ... 9:
		op_alloc_object(m, s, gfp);
		return;
	default:
		s->ptr = kheap_alloc(m->heap, s->size, gfp);
	}
	claim(m, s->ptr || gfp != GFP_KERNEL, "allocation failed");
	take_in(m, s, kind <= 3);
}

static void op_free(struct model *m, struct shadow *s)
{
	see_off(m, s);
	if (s->cache)
		kheap_cache_free(s->cache, s->ptr);
	else if (!chance(m, 64))
		kheap_free_rcu(m->heap, s->ptr);
	else
		kheap_free(m->heap, s->ptr);
	s->ptr = NULL;
}

static void op_realloc(struct model *m, struct shadow *s)
{
	bool zeroed = !chance(m, 4);
	size_t size = any_size(m);
	struct shadow old = *s;

	see_off(m, s);
	m->nr_done--;
	s->ptr = kheap_realloc(m->heap, old.ptr, size,
			       GFP_KERNEL | (zeroed ? __GFP_ZERO : 0));
	claim(m, s->ptr, "realloc failed");
	if (m->bad)
		return;
	claim(m, contents_hold(&old, s->ptr, min(old.usable, size)),
	      "contents after realloc");
	s->size = size;
	s->resized = s->ptr == old.ptr;
	s->usable = kheap_usable_size(m->heap, s->ptr);
	if (zeroed && s->usable > old.usable)
		claim(m, !memchr_inv(s->ptr + old.usable, 0,
				     s->usable - old.usable),
		      "growth not zeroed");
	claim(m, s->ptr != old.ptr || s->usable == old.usable,
	      "usable size changed in place");
	take_in(m, s, false);
}

static void op_look(struct model *m, struct shadow *s)
{
	m->nr_done++;
	if (!s->cache)
		claim(m, kheap_usable_size(m->heap, s->ptr) == s->usable,
		      "usable size changed");
	claim(m, contents_hold(s, s->ptr, s->usable), "contents");
}

/* Blocks of one size fill the places from @at on that are empty, or none. */
static void op_alloc_bulk(struct model *m, unsigned int at)
{
	unsigned int nr = 1 + chance(m, BULK_MAX), i, place;
	bool zeroed = !chance(m, 4);
	size_t size = chance(m, 600);
	void *ptrs[BULK_MAX];

	for (i = 0; i < nr; i++)
		if (m->blocks[(at + i) % NR_BLOCKS].ptr)
			nr = i;
	claim(m, kheap_alloc_bulk(m->heap, size, GFP_KERNEL |
				  (zeroed ? __GFP_ZERO : 0), nr, ptrs) == nr,
	      "bulk allocation failed");
	for (i = 0; i < nr && !m->bad; i++) {
		place = (at + i) % NR_BLOCKS;
		m->blocks[place] = (struct shadow){
			.ptr = ptrs[i], .size = size,
		};
		take_in(m, &m->blocks[place], zeroed);
	}
}

/* Whatever is there from @at on goes, but objects of caches. */
static void op_free_bulk(struct model *m, unsigned int at)
{
	unsigned int nr = 1 + chance(m, BULK_MAX), i;
	void *ptrs[BULK_MAX];

	for (i = 0; i < nr; i++) {
		struct shadow *s = &m->blocks[(at + i) % NR_BLOCKS];

		ptrs[i] = NULL;
		if (!s->ptr || s->cache)
			continue;
		see_off(m, s);
		ptrs[i] = s->ptr;
		s->ptr = NULL;
	}
	kheap_free_bulk(m->heap, nr, ptrs);
}

/* The tide: for a while more comes than goes, then the other way. */
static void one_op(struct model *m)
{
	bool ebb = (m->op / PHASE_OPS) % 2;
	unsigned int at = chance(m, NR_BLOCKS);
	struct shadow *s = &m->blocks[at];
	unsigned int dice = chance(m, 100);

	if (!s->ptr) {
		if (dice < 2)
			op_alloc_bulk(m, at);
		else if (dice < (ebb ? 20 : 90))
			op_alloc(m, s);
	} else if (dice < 2) {
		op_free_bulk(m, at);
	} else if (dice < 10 && !s->cache) {
		op_realloc(m, s);
	} else if (dice < 14) {
		op_look(m, s);
	} else if (dice < (ebb ? 90 : 50)) {
		op_free(m, s);
	}
}

/* --- The run ------------------------------------------------------------ */

static void verify_heap(struct model *m, bool trim)
{
	struct kheap_stats stats;

	if (trim)
		kheap_trim(m->heap);
	claim(m, !kheap_check(m->heap), "kheap_check()");
	stats = kheap_test_stats(m->heap);
	claim(m, kheap_test_sum(&stats) == stats.held_bytes, "sum of bytes");
	claim(m, stats.nr_refused == 0, "a good request was refused");
	/* Trimming has waited for blocks that waited for a grace period. */
	if (trim)
		claim(m, stats.nr_allocated + stats.nr_large == m->nr_live,
		      "number of live blocks");
}

static void run_model(struct model *m)
{
	unsigned int i;

	for (m->op = 0; m->nr_done < model_ops && !m->bad; m->op++) {
		one_op(m);
		if (m->op % 1024 == 0)
			cond_resched();
		if (m->op % PHASE_OPS == PHASE_OPS - 1)
			verify_heap(m, m->op / PHASE_OPS % 2);
	}
	for (i = 0; i < NR_BLOCKS && !m->bad; i++)
		if (m->blocks[i].ptr)
			op_free(m, &m->blocks[i]);
	if (!m->bad)
		verify_heap(m, true);
}

/**
 * struct model_run - a case
 * @seed: of the chance
 * @flags: of the heap
 * @max_order: the page source gives no more pages at a time
 */
struct model_run {
	unsigned long seed;
	unsigned int flags;
	unsigned int max_order;
};

static const struct model_run model_runs[] = {
	{ 1, 0, KHEAP_ARENA_ORDER },
	{ 2, 0, KHEAP_ARENA_ORDER },
	{ 3, 0, 3 },
	{ 4, KHEAP_NO_CPU_CACHE, KHEAP_ARENA_ORDER },
	{ 5, KHEAP_ACCOUNT, KHEAP_ARENA_ORDER },
	{ 6, 0, KHEAP_ARENA_ORDER },
	{ 20240229, 0, KHEAP_ARENA_ORDER },
};

static void run_desc(const struct model_run *run, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "seed_%lu%s_order_%u",
		 model_seed ?: run->seed,
		 run->flags & KHEAP_NO_CPU_CACHE ? "_no_cpu_cache" :
		 run->flags & KHEAP_ACCOUNT ? "_account" : "", run->max_order);
}

KUNIT_ARRAY_PARAM(model_runs, model_runs, run_desc);

static void create_caches(struct model *m)
{
	unsigned int i;

	for (i = 0; i < NR_CACHES; i++) {
		m->caches[i] = kheap_cache_create(m->heap, model_caches[i].name,
						  model_caches[i].size,
						  model_caches[i].align,
						  model_caches[i].flags,
						  model_caches[i].ctor);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(m->test, m->caches[i]);
	}
}

static void random_operations_agree_with_the_model(struct kunit *test)
{
	const struct model_run *run = test->param_value;
	unsigned long seed = model_seed ?: run->seed;
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->test = test;
	m->heap = kheap_test_heap_with(test, run->flags, 0);
	kheap_test_source(m->heap)->max_order = run->max_order;
	create_caches(m);
	prandom_seed_state(&m->rnd, seed);
	run_model(m);
	if (!m->bad)
		return;
	KUNIT_FAIL(test, "%s: seed %lu, step %lu, %lu live", m->bad, seed,
		   m->op, m->nr_live);
	/* What is left cannot be told any more. */
	kheap_test_source(m->heap)->nr_live = m->nr_live;
}

static struct kunit_case model_cases[] = {
	KUNIT_CASE_PARAM_ATTR(random_operations_agree_with_the_model,
			      model_runs_gen_params,
			      { .speed = KUNIT_SPEED_SLOW }),
	{}
};

static struct kunit_suite model_suite = {
	.name = "kheap_model",
	.suite_init = kheap_test_untracked_init,
	.suite_exit = kheap_test_untracked_exit,
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = model_cases,
};

kunit_test_suite(model_suite);
