/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the suites share: heaps whose pages are counted and can be refused,
 * the checks that end every case, and a look at what is printed.
 */
#ifndef _KHEAP_KUNIT_HELPERS_H
#define _KHEAP_KUNIT_HELPERS_H

#include <kunit/test.h>
#include <linux/hrtimer.h>
#include <linux/version.h>

#include "main.h"

/* Since v6.13 (commit 908a1d775422, "hrtimers: Introduce hrtimer_setup()"). */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*fn)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = fn;
}
#endif

/* --- Heaps -------------------------------------------------------------- */

/**
 * struct kheap_test_source - where the pages of a test heap come from
 * @heap: the heap, NULL when it is destroyed
 * @test: the case
 * @list: in the list of the case's sources
 * @nr_pages_out: pages handed out and not taken back
 * @nr_calls: calls of alloc, refused ones counted
 * @nr_grants: those of them that nothing but @fail_grant would refuse
 * @nr_refused: calls of alloc that were refused
 * @nr_allocs: pages handed out, calls by order
 * @nr_frees: pages taken back, calls by order
 * @fail_call: the call to refuse, counted as @nr_calls is; 0: none
 * @fail_grant: the one to refuse, counted as @nr_grants is; 0: none
 * @fail_all: refuse every call
 * @max_order: refuse greater orders
 * @first_order: order of the first call since the last reset, refused or not
 * @last_gfp: gfp flags of the last call
 * @nr_live: blocks that the case leaves allocated on purpose
 */
struct kheap_test_source {
	struct kheap *heap;
	struct kunit *test;
	struct list_head list;
	atomic_long_t nr_pages_out;
	atomic_t nr_calls;
	atomic_t nr_grants;
	atomic_t nr_refused;
	atomic_t nr_allocs[KHEAP_ARENA_ORDER + 1];
	atomic_t nr_frees[KHEAP_ARENA_ORDER + 1];
	unsigned int fail_call;
	unsigned int fail_grant;
	bool fail_all;
	unsigned int max_order;
	unsigned int first_order;
	gfp_t last_gfp;
	unsigned long nr_live;
};

/*
 * For kunit_suite.init and .exit. The exit checks every heap that the case
 * has not destroyed itself: the invariants and the sum of the bytes. When the
 * heap is destroyed after that, no block may be live but @nr_live, and all
 * pages must come back.
 */
int kheap_test_init(struct kunit *test);
void kheap_test_exit(struct kunit *test);

/*
 * For kunit_suite.suite_init and .suite_exit of suites with many blocks: kmemleak
 * is not told of them, which takes most of the time. What such a suite loses is
 * seen in the statistics of its heaps.
 */
int kheap_test_untracked_init(struct kunit_suite *suite);
void kheap_test_untracked_exit(struct kunit_suite *suite);

/* The same for the rest of a case. */
void kheap_test_untracked(struct kunit *test);

/*
 * The module's parameter "sweep": try all values. Without it a case that has a
 * value for each of many sizes tries one in @step, for the daily loop.
 */
extern bool kheap_test_sweep;

#define KHEAP_TEST_SWEEP_PARAM(name, array, get_desc, step)		\
static const void *name##_gen_params(const void *prev, char *desc)	\
{									\
	typeof((array)[0]) *next = prev;				\
									\
	next = next ? next + (kheap_test_sweep ? 1 : (step)) : (array);	\
	if (next - (array) >= ARRAY_SIZE(array))			\
		return NULL;						\
	get_desc(next, desc);						\
	return next;							\
}

/* The same for structures with a member "desc". */
#define KHEAP_TEST_SWEEP_PARAM_DESC(name, array, step)			\
static void name##_desc(typeof((array)[0]) *param, char *desc)		\
{									\
	strscpy(desc, param->desc, KUNIT_PARAM_DESC_SIZE);		\
}									\
KHEAP_TEST_SWEEP_PARAM(name, array, name##_desc, step)

/* For the rest of the case, run on one CPU, which goes on having the blocks. */
void kheap_test_stay_on(struct kunit *test, unsigned int cpu);

/* A heap with a name of its own, destroyed when the case ends. */
struct kheap *kheap_test_heap(struct kunit *test);
struct kheap *kheap_test_heap_with(struct kunit *test, unsigned int flags,
				   size_t limit_bytes);
struct kheap_test_source *kheap_test_source(struct kheap *heap);
void kheap_test_source_reset(struct kheap_test_source *source);

/* Run the maintenance work now, once, and wait for it. */
void kheap_test_maintain(struct kheap *heap);

/*
 * Destroy a heap before the case ends; with all the checks, or as it is, with
 * nothing but a look at whether the pages come back.
 */
void kheap_test_heap_destroy(struct kunit *test, struct kheap *heap);
void kheap_test_heap_end(struct kunit *test, struct kheap *heap);

/* The invariants hold, and the bytes add up to those held. */
void kheap_test_expect_sound(struct kunit *test, struct kheap *heap);
size_t kheap_test_sum(const struct kheap_stats *stats);
struct kheap_stats kheap_test_stats(struct kheap *heap);

/* Allocate with GFP_KERNEL; the case ends if that fails. */
void *kheap_test_alloc(struct kunit *test, struct kheap *heap, size_t size);
void **kheap_test_alloc_many(struct kunit *test, struct kheap *heap,
			     size_t size, size_t nr);
void kheap_test_free_many(struct kheap *heap, void **blocks, size_t nr);
void kheap_test_warm_up(struct kunit *test, struct kheap *heap, size_t size);

/*
 * The word of a block that is its mark while it is free. KASAN and KMSAN see
 * neither function.
 */
u64 kheap_test_word(const void *block);
void kheap_test_set_word(void *block, u64 word);

/* How many requests were refused for one reason, and for all reasons. */
unsigned long kheap_test_refused(struct kheap *heap, enum kheap_refusal why);
unsigned long kheap_test_refused_any(struct kheap *heap);

/*
 * No NMI can be provoked, so what an NMI sees is made: the count that in_nmi()
 * looks at, and interrupts off.
 */
static inline unsigned long kheap_test_nmi_begin(void)
{
	unsigned long flags;

	local_irq_save(flags);
	__preempt_count_add(NMI_OFFSET + HARDIRQ_OFFSET);
	return flags;
}

static inline void kheap_test_nmi_end(unsigned long flags)
{
	__preempt_count_sub(NMI_OFFSET + HARDIRQ_OFFSET);
	local_irq_restore(flags);
}

/* --- Refused memory ----------------------------------------------------- */

/*
 * Slab and page allocations of the thread at hand that fail, where the kernel
 * injects faults and scripts/vm/faults.sh has set it up; a case that wants that
 * is skipped elsewhere. kheap_test_fail_end() says whether it has come to the
 * n-th.
 */
void kheap_test_needs_faults(struct kunit *test);
void kheap_test_fail_nth(unsigned int n);
void kheap_test_fail_all(void);
bool kheap_test_fail_end(void);

/* --- Reports ------------------------------------------------------------ */

/*
 * Record what kheap prints until the case ends, and let it print every report:
 * without that, the rate limit hides some. A message counts if it is kheap's
 * and contains the text.
 */
void kheap_test_watch_log(struct kunit *test);
void kheap_test_forget_log(void);
unsigned int kheap_test_logged(const char *text);

#define KHEAP_EXPECT_LOGGED(test, text)					\
	KUNIT_EXPECT_NE_MSG(test, kheap_test_logged(text), 0u,		\
			    "not in the log: %s", text)

/* --- Runs --------------------------------------------------------------- */

/*
 * Call @act when a run of any heap has passed a verdict of garbage and nobody
 * knows of it yet, until the case ends. It must not sleep.
 */
void kheap_test_at_verdict(struct kunit *test,
			   void (*act)(const struct kheap *heap));

#endif /* _KHEAP_KUNIT_HELPERS_H */
