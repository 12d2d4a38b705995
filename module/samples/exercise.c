// SPDX-License-Identifier: GPL-2.0
/*
 * A client that puts a heap through everything at once, for the integration
 * tests and for a look at a busy heap in debugfs: on every CPU a thread, a timer
 * in hard and one in soft interrupt context allocate, free, resize and pass each
 * other blocks for a while, and heaps come and go; with objects=1 they do so with
 * objects, too, beside the collector. Then blocks go from one
 * memory node to another, if there are several. What was found wrong makes the
 * insertion fail with -EUCLEAN. Until the module goes, the heap "exercise" stays
 * with some blocks.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/version.h>
#include <kheap/kheap.h>
#include <kheap/object.h>

#include "exercise.h"

/* Since v6.13 (commit 908a1d775422, "hrtimers: Introduce hrtimer_setup()"). */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static void hrtimer_setup(struct hrtimer *timer,
			  enum hrtimer_restart (*function)(struct hrtimer *),
			  clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif

static unsigned int ms = 500;
module_param(ms, uint, 0444);
MODULE_PARM_DESC(ms, "how long to exercise at least, in milliseconds");

static unsigned int nr_keep = 100;
module_param(nr_keep, uint, 0444);
MODULE_PARM_DESC(nr_keep, "blocks that are held until the module goes");

static unsigned int nr_leak;
module_param(nr_leak, uint, 0444);
MODULE_PARM_DESC(nr_leak, "how many of them are left for the heap to report");

static bool stuck;
module_param(stuck, bool, 0444);
MODULE_PARM_DESC(stuck, "leave garbage that the collector cannot clear");

static unsigned int seed;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "of the random numbers");

static bool unbound;
module_param(unbound, bool, 0444);
MODULE_PARM_DESC(unbound, "threads may go where they like, so that CPUs can go");

static bool soft_only;
module_param(soft_only, bool, 0444);
MODULE_PARM_DESC(soft_only, "no timers in hard interrupt context");

static bool objects;
module_param(objects, bool, 0444);
MODULE_PARM_DESC(objects, "objects, weak references and the collector, too");

#define NR_HELD		64	/* blocks that one context holds */
#define NR_EXCHANGE	128	/* blocks on their way to anybody */
#define OBJECT_BYTES	104
#define HEAP_EVERY	512	/* steps of a thread between two heaps of its own */
#define TIMER_NS	(500 * NSEC_PER_USEC)
#define TIMER_SHARE	8	/* a timer takes this part of a CPU at most */

/* In hard interrupt context everywhere; only PREEMPT_RT has to be told. */
#define HARD_MODE	(IS_ENABLED(CONFIG_PREEMPT_RT) ?		\
			 HRTIMER_MODE_REL_PINNED_HARD : HRTIMER_MODE_REL_PINNED)

/* At the start of every block, so that whoever frees it can tell. */
struct parcel {
	u32 bytes;
	bool object;
	u8 fill;
	unsigned long check;
};

/**
 * struct context - one place where work is done
 * @timer: for those in interrupts
 * @rnd: chance
 * @gfp: what its allocations may do
 * @nr_heaps: heaps that were created and destroyed
 * @nr_ops: allocations and frees
 * @nr_failed: allocations that failed
 * @held: its blocks
 * @hand: its weak references
 */
struct context {
	struct hrtimer timer;
	struct rnd_state rnd;
	gfp_t gfp;
	unsigned long nr_heaps;
	unsigned long nr_ops;
	unsigned long nr_failed;
	struct parcel *held[NR_HELD];
	struct exercise_hand hand;
};

struct cpu_work {
	struct task_struct *thread;
	struct context task, hard, soft;
};

static DEFINE_PER_CPU(struct cpu_work, cpu_works);
static struct parcel *exchange[NR_EXCHANGE];
static struct kheap *heap;
static struct kheap_cache *cache;
static void **kept;
static unsigned int nr_kept;
static atomic_t nr_damaged;
static bool stop;

/* --- Blocks ------------------------------------------------------------- */

static unsigned long parcel_check(const struct parcel *p)
{
	return (unsigned long)p ^ p->bytes << 9 ^ p->object << 8 ^ p->fill;
}

static struct parcel *parcel_new(struct context *ctx)
{
	u32 dice = prandom_u32_state(&ctx->rnd);
	bool object = dice % 4 == 0;
	size_t bytes = sizeof(struct parcel) + (dice >> 4) % 500;
	struct parcel *p;

	if (dice >> 24 == 0)
		bytes += (dice >> 4) % 30000;
	if (object) {
		bytes = OBJECT_BYTES;
		p = kheap_cache_alloc(cache, ctx->gfp);
	} else {
		p = kheap_alloc(heap, bytes, ctx->gfp);
	}
	ctx->nr_ops++;
	if (!p) {
		ctx->nr_failed++;
		return NULL;
	}
	p->bytes = bytes;
	p->object = object;
	p->fill = dice >> 8;
	p->check = parcel_check(p);
	memset(p + 1, p->fill, bytes - sizeof(*p));
	return p;
}

static bool parcel_is_damaged(const struct parcel *p, size_t bytes)
{
	if (!memchr_inv(p + 1, p->fill, bytes - sizeof(*p)))
		return false;
	atomic_inc(&nr_damaged);
	return true;
}

static void parcel_free(struct context *ctx, struct parcel *p)
{
	if (!p)
		return;
	ctx->nr_ops++;
	if (p->check != parcel_check(p)) {
		atomic_inc(&nr_damaged);
		return;
	}
	if (parcel_is_damaged(p, p->bytes))
		return;
	if (p->fill == 1)
		kheap_free_rcu(heap, p);
	else if (p->object)
		kheap_cache_free(cache, p);
	else
		kheap_free(heap, p);
}

/* Half as large, or half as large again: it stays or moves. */
static void parcel_resize(struct context *ctx, struct parcel **held)
{
	size_t old, bytes;
	struct parcel *p;

	if (!*held || (*held)->object || (*held)->check != parcel_check(*held))
		return;
	old = (*held)->bytes;
	bytes = max(old & 64 ? old / 2 : old + old / 2, sizeof(*p));
	p = kheap_realloc(heap, *held, bytes, ctx->gfp);
	ctx->nr_ops++;
	if (!p)
		return;
	*held = p;
	parcel_is_damaged(p, min(old, bytes));
	p->bytes = bytes;
	p->check = parcel_check(p);
	memset(p + 1, p->fill, bytes - sizeof(*p));
}

static void work_once(struct context *ctx)
{
	u32 dice = prandom_u32_state(&ctx->rnd);
	struct parcel **held = &ctx->held[dice % NR_HELD];

	if (dice >> 28 == 0xf) {
		parcel_resize(ctx, held);
	} else if (dice >> 30) {
		parcel_free(ctx, *held);
		*held = parcel_new(ctx);
	} else {
		*held = xchg(&exchange[(dice >> 8) % NR_EXCHANGE], *held);
	}
	exercise_objects(&ctx->hand, &ctx->rnd, ctx->gfp);
}

/* A heap with a life of its own; it frees what is left. */
static void short_lived_heap(struct context *ctx, int nr)
{
	char name[KHEAP_NAME_MAX];
	struct kheap *mine;
	unsigned int i;

	snprintf(name, sizeof(name), "short-lived-%d", nr);
	mine = kheap_create(name, NULL);
	if (IS_ERR(mine)) {
		ctx->nr_failed++;
		return;
	}
	for (i = 0; i < 100; i++) {
		void *block = kheap_alloc(mine, 8 + 13 * i, GFP_KERNEL);

		kheap_free_rcu(mine, block);
	}
	kheap_destroy(mine);
	ctx->nr_heaps++;
}

/* --- Contexts ----------------------------------------------------------- */

static enum hrtimer_restart work_in_interrupt(struct hrtimer *timer)
{
	struct context *ctx = container_of(timer, struct context, timer);
	u64 start = ktime_get_ns();
	unsigned int i;

	for (i = 0; i < 8; i++)
		work_once(ctx);
	if (READ_ONCE(stop))
		return HRTIMER_NORESTART;
	hrtimer_forward_now(timer, ns_to_ktime(TIMER_NS + TIMER_SHARE *
					       (ktime_get_ns() - start)));
	return HRTIMER_RESTART;
}

static void start_timer(struct context *ctx, enum hrtimer_mode mode)
{
	hrtimer_start(&ctx->timer, ns_to_ktime(TIMER_NS), mode);
}

static int work_in_thread(void *data)
{
	struct cpu_work *work = data;
	unsigned int i = 0;

	if (!soft_only)
		start_timer(&work->hard, HARD_MODE);
	start_timer(&work->soft, HRTIMER_MODE_REL_PINNED_SOFT);
	while (!kthread_should_stop()) {
		work_once(&work->task);
		if (++i % HEAP_EVERY == 0)
			short_lived_heap(&work->task, current->pid);
		cond_resched();
	}
	return 0;
}

static void context_init(struct context *ctx, gfp_t gfp, unsigned int nr,
			 enum hrtimer_mode mode)
{
	memset(ctx, 0, sizeof(*ctx));
	ctx->gfp = gfp;
	prandom_seed_state(&ctx->rnd, (u64)seed << 32 | nr);
	hrtimer_setup(&ctx->timer, work_in_interrupt, CLOCK_MONOTONIC, mode);
}

static void context_exit(struct context *ctx)
{
	unsigned int i;

	hrtimer_cancel(&ctx->timer);
	for (i = 0; i < NR_HELD; i++)
		parcel_free(ctx, ctx->held[i]);
	exercise_objects_drop(&ctx->hand);
}

/* --- The exercise ------------------------------------------------------- */

static int start_everywhere(void)
{
	gfp_t atomic = GFP_ATOMIC | __GFP_NOWARN;
	int cpu;

	for_each_online_cpu(cpu) {
		struct cpu_work *work = per_cpu_ptr(&cpu_works, cpu);

		context_init(&work->task, GFP_KERNEL, 3 * cpu + 1,
			     HRTIMER_MODE_REL);
		context_init(&work->hard, atomic, 3 * cpu + 2, HARD_MODE);
		context_init(&work->soft, atomic, 3 * cpu + 3,
			     HRTIMER_MODE_REL_PINNED_SOFT);
		work->thread = kthread_create(work_in_thread, work,
					      "kheap_exercise/%d", cpu);
		if (IS_ERR(work->thread))
			return PTR_ERR(work->thread);
		if (!unbound)
			kthread_bind(work->thread, cpu);
		wake_up_process(work->thread);
	}
	return 0;
}

static bool all_have_worked(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct cpu_work *work = per_cpu_ptr(&cpu_works, cpu);

		if (work->thread && !READ_ONCE(work->task.nr_ops))
			return false;
	}
	return true;
}

/* A slow machine may not have let every thread begin in that time. */
static void let_them_work(void)
{
	msleep(ms);
	while (!all_have_worked() || !exercise_objects_all_seen())
		msleep(20);
}

static void stop_everywhere(void)
{
	unsigned long nr_ops = 0, nr_failed = 0, nr_hard = 0, nr_heaps = 0;
	struct cpu_work *work;
	unsigned int i;
	int cpu;

	for_each_possible_cpu(cpu) {
		work = per_cpu_ptr(&cpu_works, cpu);
		if (!IS_ERR_OR_NULL(work->thread))
			kthread_stop(work->thread);
	}
	WRITE_ONCE(stop, true);
	for_each_possible_cpu(cpu) {
		work = per_cpu_ptr(&cpu_works, cpu);
		if (IS_ERR_OR_NULL(work->thread))
			continue;
		context_exit(&work->task);
		context_exit(&work->hard);
		context_exit(&work->soft);
		nr_ops += work->task.nr_ops + work->hard.nr_ops +
			  work->soft.nr_ops;
		nr_hard += work->hard.nr_ops;
		nr_failed += work->task.nr_failed;
		nr_heaps += work->task.nr_heaps;
	}
	work = per_cpu_ptr(&cpu_works, cpumask_first(cpu_online_mask));
	for (i = 0; i < NR_EXCHANGE; i++)
		parcel_free(&work->task, exchange[i]);
	pr_info("%lu operations, %lu in hard interrupts, %lu short-lived heaps; %lu failed in threads, %u blocks damaged\n",
		nr_ops, nr_hard, nr_heaps, nr_failed, atomic_read(&nr_damaged));
}

/* Blocks of all nodes in turn. */
static void keep_some(void)
{
	int node = NUMA_NO_NODE;

	while (nr_kept < nr_keep) {
		node = next_online_node(node);
		if (node == MAX_NUMNODES)
			node = first_online_node;
		kept[nr_kept] = kheap_alloc_node(heap, 8 + nr_kept % 700,
						 GFP_KERNEL, node);
		if (!kept[nr_kept])
			return;
		nr_kept++;
	}
}

/* --- Garbage that stays ------------------------------------------------- */

struct loop {
	struct kheap_object obj;
	struct kheap_object *self;
};

static void loop_traverse(struct kheap_object *obj,
			  struct kheap_visitor *visitor)
{
	kheap_visit(visitor, container_of(obj, struct loop, obj)->self);
}

static void loop_keep(struct kheap_object *obj)
{
}

/* Mistakes that clients make: no clear, and one that forgets a reference. */
static const struct kheap_type_ops stubborn_ops = {
	.name = "stubborn",
	.size = sizeof(struct loop),
	.traverse = loop_traverse,
};

static const struct kheap_type_ops forgetful_ops = {
	.name = "forgetful",
	.size = sizeof(struct loop),
	.traverse = loop_traverse,
	.clear = loop_keep,
};

static int leave_loop(const struct kheap_type_ops *ops)
{
	struct kheap_type *type = kheap_type_create(heap, ops);
	struct kheap_object *obj;

	if (IS_ERR(type))
		return PTR_ERR(type);
	obj = kheap_object_new(type, GFP_KERNEL);
	if (!obj)
		return -ENOMEM;
	kheap_ref_give(&container_of(obj, struct loop, obj)->self, obj);
	return 0;
}

static int leave_garbage(void)
{
	int err = leave_loop(&stubborn_ops);

	return err ? err : leave_loop(&forgetful_ops);
}

/* Nothing damaged, nothing refused, nothing lost, and all bytes add up. */
static int verdict(void)
{
	struct kheap_stats s;

	kheap_trim(heap);
	kheap_get_stats(heap, &s);
	if (atomic_read(&nr_damaged) || s.nr_refused || kheap_check(heap) ||
	    nr_kept != nr_keep || s.nr_allocated + s.nr_large != nr_kept ||
	    s.allocated_bytes + s.cached_bytes + s.free_bytes +
	    s.virgin_bytes + s.quarantined_bytes + s.empty_bytes +
	    s.tail_bytes + s.metadata_bytes + s.large_bytes != s.held_bytes) {
		pr_err("%lu blocks instead of %u, %lu requests refused\n",
		       s.nr_allocated + s.nr_large, nr_kept, s.nr_refused);
		return -EUCLEAN;
	}
	return 0;
}

static int set_up(void)
{
	kept = kcalloc(nr_keep, sizeof(*kept), GFP_KERNEL);
	if (!kept)
		return -ENOMEM;
	heap = kheap_create("exercise", NULL);
	if (IS_ERR(heap))
		return PTR_ERR(heap);
	cache = kheap_cache_create(heap, "parcels", OBJECT_BYTES, 0, 0, NULL);
	if (IS_ERR(cache))
		return PTR_ERR(cache);
	return objects ? exercise_objects_start(heap) : 0;
}

static void clean_up(void)
{
	unsigned int i;

	for (i = nr_leak; i < nr_kept; i++)
		kheap_free(heap, kept[i]);
	kheap_destroy(heap);
	kfree(kept);
}

static int __init exercise_init(void)
{
	int err;

	err = set_up();
	if (!err) {
		err = start_everywhere();
		if (!err)
			let_them_work();
		stop_everywhere();
		if (!err)
			err = exercise_objects_stop();
		if (!err)
			err = exercise_nodes(heap);
		keep_some();
	}
	if (!err)
		err = verdict();
	if (!err && stuck)
		err = leave_garbage();
	if (err)
		clean_up();
	return err;
}

static void __exit exercise_exit(void)
{
	clean_up();
}

module_init(exercise_init);
module_exit(exercise_exit);

MODULE_DESCRIPTION("A client that exercises a heap from every context");
MODULE_AUTHOR("The kheap developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
