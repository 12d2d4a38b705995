// SPDX-License-Identifier: GPL-2.0
/*
 * Everybody at once: a thread on every CPU, hard and soft interrupts on every
 * CPU, blocks that change hands between all of them without a lock, and
 * meanwhile trims, checks, readings and CPUs that come and go.
 */
#include <linux/cpu.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/prandom.h>

#include "helpers.h"

static unsigned int concurrent_ops = 100000;
module_param(concurrent_ops, uint, 0444);
MODULE_PARM_DESC(concurrent_ops, "operations of each thread of a storm");

static unsigned int concurrent_ms = 1500;
module_param(concurrent_ms, uint, 0444);
MODULE_PARM_DESC(concurrent_ms, "most that a storm takes, in milliseconds");

#define NR_HEAPS	2
#define NR_HELD		192	/* blocks that a thread holds at most */
#define NR_EXCHANGE	256	/* blocks on their way to anybody */
#define NR_STASH	8	/* blocks that an interrupt holds */
#define BULK		16
#define TIMER_NS	(200 * NSEC_PER_USEC)
#define TIMER_SHARE	8	/* an interrupt takes this part of a CPU at most */

/* --- Blocks that describe themselves ------------------------------------ */

/**
 * struct parcel - what is at the start of every block
 * @size: bytes asked for
 * @where: number of the heap, or NR_HEAPS for the cache
 * @fill: what the rest is full of
 * @mark: made from the others and the address
 */
struct parcel {
	u32 size;
	u16 where;
	u16 fill;
	u64 mark;
};

struct storm;

/**
 * struct mill - what works on one CPU
 * @storm: the storm it is a part of
 * @cpu: the CPU, or -1 for a thread that is not bound
 * @rnd: where the thread's chance comes from
 * @thread: the thread
 * @held: the thread's blocks
 * @hard: runs in hard interrupts
 * @soft: runs in soft interrupts
 */
struct mill {
	struct storm *storm;
	int cpu;
	struct rnd_state rnd;
	struct task_struct *thread;
	struct parcel *held[NR_HELD];
	struct interrupt {
		struct hrtimer timer;
		struct mill *mill;
		struct rnd_state rnd;
		unsigned int nr_runs;
		struct parcel *stash[NR_STASH];
	} hard, soft;
};

/**
 * struct storm - one run
 * @heaps: the heaps
 * @cache: a cache of the first one
 * @exchange: who puts a block here takes another's out
 * @mills: by CPU
 * @nr_mills: how many
 * @nr_running: threads that have not done yet
 * @nr_ops: operations done, those of interrupts too
 * @nr_failed: allocations that failed
 * @nr_damaged: blocks whose contents were wrong
 * @end: when the threads end if they have not done by then, in jiffies
 * @stop: the interrupts are to end
 */
struct storm {
	struct kheap *heaps[NR_HEAPS];
	struct kheap_cache *cache;
	struct parcel *exchange[NR_EXCHANGE];
	struct mill *mills;
	unsigned int nr_mills;
	atomic_t nr_running;
	atomic_long_t nr_ops;
	atomic_t nr_failed;
	atomic_t nr_damaged;
	unsigned long end;
	bool stop;
};

#define OBJECT_SIZE	136

static u64 parcel_mark(const struct parcel *p)
{
	return ((u64)p->size << 32 | (u32)p->where << 16 | p->fill) ^
	       (unsigned long)p * 0x9e3779b97f4a7c15UL;
}

static void parcel_pack(struct parcel *p, size_t size, unsigned int where,
			u8 fill)
{
	p->size = size;
	p->where = where;
	p->fill = fill;
	p->mark = parcel_mark(p);
	memset(p + 1, fill, size - sizeof(*p));
}

static bool parcel_whole(const struct parcel *p)
{
	return p->mark == parcel_mark(p) &&
	       !memchr_inv(p + 1, p->fill, p->size - sizeof(*p));
}

static struct parcel *parcel_new(struct storm *storm, struct rnd_state *rnd,
				 gfp_t gfp)
{
	u32 dice = prandom_u32_state(rnd);
	unsigned int where = dice % (NR_HEAPS + 1);
	size_t size = sizeof(struct parcel) + (dice >> 8) % 500;
	struct parcel *p;

	if (dice >> 26 == 0)
		size += (dice >> 8) % 20000;
	if (where == NR_HEAPS) {
		size = OBJECT_SIZE;
		p = kheap_cache_alloc(storm->cache, gfp);
	} else {
		p = kheap_alloc(storm->heaps[where], size, gfp);
	}
	atomic_long_inc(&storm->nr_ops);
	if (!p)
		atomic_inc(&storm->nr_failed);
	else
		parcel_pack(p, size, where, dice >> 24);
	return p;
}

static void parcel_free(struct storm *storm, struct parcel *p)
{
	if (!p)
		return;
	atomic_long_inc(&storm->nr_ops);
	if (!parcel_whole(p)) {
		atomic_inc(&storm->nr_damaged);
		return;
	}
	if (p->where == NR_HEAPS)
		kheap_cache_free(storm->cache, p);
	else if (p->fill % 64 == 0)
		kheap_free_rcu(storm->heaps[p->where], p);
	else
		kheap_free(storm->heaps[p->where], p);
}

/* Give a block to whoever comes next, and get another one, or none. */
static struct parcel *swap_parcel(struct storm *storm, struct rnd_state *rnd,
				  struct parcel *p)
{
	return xchg(&storm->exchange[prandom_u32_state(rnd) % NR_EXCHANGE], p);
}

/* --- Interrupts --------------------------------------------------------- */

static enum hrtimer_restart work_in_interrupt(struct hrtimer *timer)
{
	struct interrupt *irq = container_of(timer, struct interrupt, timer);
	struct storm *storm = irq->mill->storm;
	u64 start = ktime_get_ns();
	unsigned int i, at;

	for (i = 0; i < 4; i++) {
		at = prandom_u32_state(&irq->rnd) % NR_STASH;
		parcel_free(storm, irq->stash[at]);
		irq->stash[at] = parcel_new(storm, &irq->rnd,
					    GFP_ATOMIC | __GFP_NOWARN);
	}
	at = prandom_u32_state(&irq->rnd) % NR_STASH;
	irq->stash[at] = swap_parcel(storm, &irq->rnd, irq->stash[at]);
	irq->nr_runs++;
	if (READ_ONCE(storm->stop))
		return HRTIMER_NORESTART;
	hrtimer_forward_now(timer, ns_to_ktime(TIMER_NS + TIMER_SHARE *
					       (ktime_get_ns() - start)));
	return HRTIMER_RESTART;
}

static void interrupt_init(struct interrupt *irq, struct mill *mill,
			   enum hrtimer_mode mode, u64 seed)
{
	irq->mill = mill;
	prandom_seed_state(&irq->rnd, seed);
	hrtimer_setup(&irq->timer, work_in_interrupt, CLOCK_MONOTONIC, mode);
}

static void interrupt_exit(struct interrupt *irq)
{
	unsigned int i;

	hrtimer_cancel(&irq->timer);
	for (i = 0; i < NR_STASH; i++)
		parcel_free(irq->mill->storm, irq->stash[i]);
}

/* --- Threads ------------------------------------------------------------ */

static void work_in_bulk(struct mill *mill)
{
	struct storm *storm = mill->storm;
	size_t size = sizeof(struct parcel) + prandom_u32_state(&mill->rnd) % 400;
	void *ptrs[BULK];
	unsigned int i;

	if (kheap_alloc_bulk(storm->heaps[0], size, GFP_KERNEL, BULK, ptrs) !=
	    BULK) {
		atomic_inc(&storm->nr_failed);
		return;
	}
	for (i = 0; i < BULK; i++)
		parcel_pack(ptrs[i], size, 0, i);
	for (i = 0; i < BULK; i++)
		if (!parcel_whole(ptrs[i]))
			atomic_inc(&storm->nr_damaged);
	kheap_free_bulk(storm->heaps[0], BULK, ptrs);
	atomic_long_add(2 * BULK, &storm->nr_ops);
}

static void work_once(struct mill *mill)
{
	struct storm *storm = mill->storm;
	u32 dice = prandom_u32_state(&mill->rnd);
	struct parcel **held = &mill->held[dice % NR_HELD];

	switch (dice >> 27) {
	case 0 ... 9:
		*held = swap_parcel(storm, &mill->rnd, *held);
		return;
	case 10:
		work_in_bulk(mill);
		return;
	default:
		parcel_free(storm, *held);
		*held = parcel_new(storm, &mill->rnd, GFP_KERNEL);
	}
}

static int run_mill(void *data)
{
	struct mill *mill = data;
	unsigned long end = mill->storm->end;
	unsigned int op, i;

	if (mill->cpu >= 0) {
		hrtimer_start(&mill->hard.timer, ns_to_ktime(TIMER_NS),
			      HRTIMER_MODE_REL_PINNED);
		hrtimer_start(&mill->soft.timer, ns_to_ktime(TIMER_NS),
			      HRTIMER_MODE_REL_PINNED_SOFT);
	}
	for (op = 0; op < concurrent_ops && time_before(jiffies, end); op++) {
		work_once(mill);
		cond_resched();
	}
	for (i = 0; i < NR_HELD; i++)
		parcel_free(mill->storm, mill->held[i]);
	atomic_dec(&mill->storm->nr_running);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

/* --- The storm ---------------------------------------------------------- */

static struct storm *storm_create(struct kunit *test)
{
	struct storm *storm = kunit_kzalloc(test, sizeof(*storm), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, storm);
	for (i = 0; i < NR_HEAPS; i++)
		storm->heaps[i] = kheap_test_heap(test);
	storm->cache = kheap_cache_create(storm->heaps[0], "objects",
					  OBJECT_SIZE, 0, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, storm->cache);
	storm->nr_mills = num_online_cpus();
	storm->mills = kunit_kcalloc(test, storm->nr_mills,
				     sizeof(*storm->mills), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, storm->mills);
	return storm;
}

/* Threads and interrupts on every CPU, or threads that go where they may. */
static void storm_start(struct kunit *test, struct storm *storm, bool bound)
{
	unsigned int i = 0;
	int cpu;

	for_each_online_cpu(cpu) {
		struct mill *mill = &storm->mills[i];

		mill->storm = storm;
		mill->cpu = bound ? cpu : -1;
		prandom_seed_state(&mill->rnd, 1000 + i);
		interrupt_init(&mill->hard, mill, HRTIMER_MODE_REL_PINNED,
			       2000 + i);
		interrupt_init(&mill->soft, mill, HRTIMER_MODE_REL_PINNED_SOFT,
			       3000 + i);
		mill->thread = kthread_create(run_mill, mill, "kheap-mill/%u",
					      i);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mill->thread);
		if (bound)
			kthread_bind(mill->thread, cpu);
		i++;
		if (i == storm->nr_mills)
			break;
	}
	storm->end = jiffies + msecs_to_jiffies(concurrent_ms);
	atomic_set(&storm->nr_running, i);
	while (i--)
		wake_up_process(storm->mills[i].thread);
}

static void storm_end(struct kunit *test, struct storm *storm)
{
	unsigned int i;

	WRITE_ONCE(storm->stop, true);
	for (i = 0; i < storm->nr_mills; i++) {
		kthread_stop(storm->mills[i].thread);
		if (storm->mills[i].cpu < 0)
			continue;
		interrupt_exit(&storm->mills[i].hard);
		interrupt_exit(&storm->mills[i].soft);
		KUNIT_EXPECT_GT(test, storm->mills[i].hard.nr_runs, 0u);
		KUNIT_EXPECT_GT(test, storm->mills[i].soft.nr_runs, 0u);
	}
	for (i = 0; i < NR_EXCHANGE; i++)
		parcel_free(storm, storm->exchange[i]);
	KUNIT_EXPECT_EQ(test, atomic_read(&storm->nr_damaged), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&storm->nr_failed), 0);
	KUNIT_EXPECT_GT(test, atomic_long_read(&storm->nr_ops), 100l);
	for (i = 0; i < NR_HEAPS; i++) {
		kheap_trim(storm->heaps[i]);
		KUNIT_EXPECT_EQ(test, kheap_test_refused_any(storm->heaps[i]),
				0ul);
		KUNIT_EXPECT_EQ(test, kheap_test_stats(storm->heaps[i]).nr_pools,
				0ul);
	}
	kunit_info(test, "%ld operations",
		   atomic_long_read(&storm->nr_ops));
}

/* A reading while everything moves adds up all the same. */
static void expect_reading_adds_up(struct kunit *test, struct kheap *heap)
{
	struct kheap_stats stats = kheap_test_stats(heap);

	KUNIT_EXPECT_EQ(test, kheap_test_sum(&stats), stats.held_bytes);
}

static void threads_and_interrupts_share_heaps(struct kunit *test)
{
	struct storm *storm = storm_create(test);
	unsigned int round = 0;

	storm_start(test, storm, true);
	while (atomic_read(&storm->nr_running)) {
		struct kheap *heap = storm->heaps[round % NR_HEAPS];

		expect_reading_adds_up(test, heap);
		if (round % 8 == 3)
			KUNIT_EXPECT_EQ(test, kheap_check(heap), 0);
		if (round % 8 == 7)
			kheap_trim(heap);
		round++;
		schedule_timeout_interruptible(1);
	}
	storm_end(test, storm);
}

static void readings_add_up_while_blocks_move(struct kunit *test)
{
	struct storm *storm = storm_create(test);
	unsigned int i;

	storm_start(test, storm, true);
	for (i = 0; atomic_read(&storm->nr_running); i++) {
		expect_reading_adds_up(test, storm->heaps[i % NR_HEAPS]);
		cond_resched();
	}
	storm_end(test, storm);
}

/* Nobody is bound here, so that the threads leave the CPU that goes. */
static void cpus_come_and_go_meanwhile(struct kunit *test)
{
	unsigned int cpu = cpumask_last(cpu_online_mask);
	struct storm *storm;
	unsigned int nr = 0;
	int err = 0;

	if (!cpu)
		kunit_skip(test, "there is one CPU only");
	storm = storm_create(test);
	storm_start(test, storm, false);
	while (atomic_read(&storm->nr_running) && !err && nr < 4) {
		err = remove_cpu(cpu);
		if (err)
			break;
		expect_reading_adds_up(test, storm->heaps[nr % NR_HEAPS]);
		err = add_cpu(cpu);
		nr++;
	}
	while (atomic_read(&storm->nr_running))
		schedule_timeout_interruptible(1);
	storm_end(test, storm);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_GT(test, nr, 0u);
}

/* Creating classes is a race too: who comes second must use the first's. */
static int use_all_classes(void *data)
{
	struct storm *storm = data;
	unsigned int szidx;

	for (szidx = 0; szidx < KHEAP_NR_SIZE_CLASSES; szidx++) {
		void *block = kheap_alloc(storm->heaps[0], 8 * szidx + 8,
					  GFP_KERNEL);

		if (!block)
			atomic_inc(&storm->nr_failed);
		kheap_free(storm->heaps[0], block);
	}
	atomic_dec(&storm->nr_running);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

static void first_uses_of_classes_may_race(struct kunit *test)
{
	struct task_struct *threads[8] = {};
	struct storm *storm = kunit_kzalloc(test, sizeof(*storm), GFP_KERNEL);
	unsigned int i, nr_classes = 0;
	struct kheap_class *class;

	KUNIT_ASSERT_NOT_NULL(test, storm);
	storm->heaps[0] = kheap_test_heap(test);
	atomic_set(&storm->nr_running, ARRAY_SIZE(threads));
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		threads[i] = kthread_run(use_all_classes, storm,
					 "kheap-first/%u", i);
	while (atomic_read(&storm->nr_running)) {
		expect_reading_adds_up(test, storm->heaps[0]);
		cond_resched();
	}
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		kthread_stop(threads[i]);
	list_for_each_entry(class, &storm->heaps[0]->block.class_list, list)
		nr_classes++;
	KUNIT_EXPECT_EQ(test, nr_classes, KHEAP_NR_SIZE_CLASSES);
	KUNIT_EXPECT_EQ(test, atomic_read(&storm->nr_failed), 0);
}

static struct kunit_case concurrent_cases[] = {
	KUNIT_CASE_SLOW(threads_and_interrupts_share_heaps),
	KUNIT_CASE_SLOW(readings_add_up_while_blocks_move),
	KUNIT_CASE_SLOW(cpus_come_and_go_meanwhile),
	KUNIT_CASE_SLOW(first_uses_of_classes_may_race),
	{}
};

static struct kunit_suite concurrent_suite = {
	.name = "kheap_concurrent",
	.suite_init = kheap_test_untracked_init,
	.suite_exit = kheap_test_untracked_exit,
	.init = kheap_test_init,
	.exit = kheap_test_exit,
	.test_cases = concurrent_cases,
};

kunit_test_suite(concurrent_suite);
