// SPDX-License-Identifier: GPL-2.0
/*
 * A client whose load goes up and down: it fills a heap with blocks of mixed
 * sizes, frees most of them at random, and starts again. What it does not need
 * at the moment, the system can have. For tests of memory pressure; what has
 * gone wrong is told when the module is removed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>
#include <kheap/kheap.h>

static unsigned int mib = 32;
module_param(mib, uint, 0444);
MODULE_PARM_DESC(mib, "bytes at the top, in MiB; 0 with still: the heap is not used");

static unsigned int left = 10;
module_param(left, uint, 0444);
MODULE_PARM_DESC(left, "of a thousand blocks, how many stay at the bottom");

static bool account;
module_param(account, bool, 0444);
MODULE_PARM_DESC(account, "charge the memory cgroup of whoever inserts this");

static bool still;
module_param(still, bool, 0444);
MODULE_PARM_DESC(still, "go up once, at insertion, and stay at the top");

static unsigned int large;
module_param(large, uint, 0444);
MODULE_PARM_DESC(large, "bytes of one large block, on node 0, held as well");

#define SIZE_MIN	16
#define SIZE_MAX_HERE	512

/* At the start of every block. */
struct parcel {
	u32 bytes;
	u32 fill;
};

static struct kheap *heap;
static struct task_struct *thread;
static struct parcel **parcels;
static void *large_block;
static unsigned int nr, nr_max;
static size_t nr_bytes;
static struct rnd_state rnd;
static unsigned long nr_rounds, nr_failed, nr_damaged;

/* --- One block ---------------------------------------------------------- */

static void add_one(void)
{
	u32 bytes = SIZE_MIN + prandom_u32_state(&rnd) %
			       (SIZE_MAX_HERE - SIZE_MIN + 1);
	struct parcel *parcel = kheap_alloc(heap, bytes,
					    GFP_KERNEL | __GFP_NOWARN);

	if (!parcel) {
		nr_failed++;
		return;
	}
	parcel->bytes = bytes;
	parcel->fill = bytes ^ nr;
	memset(parcel + 1, (u8)parcel->fill, bytes - sizeof(*parcel));
	parcels[nr++] = parcel;
	nr_bytes += bytes;
}

static void remove_one(void)
{
	u32 which = prandom_u32_state(&rnd) % nr;
	struct parcel *parcel = parcels[which];

	nr_damaged += !!memchr_inv(parcel + 1, (u8)parcel->fill,
				   parcel->bytes - sizeof(*parcel));
	nr_bytes -= parcel->bytes;
	parcels[which] = parcels[--nr];
	kheap_free(heap, parcel);
}

/* --- The load ----------------------------------------------------------- */

static void go_up(void)
{
	while (nr < nr_max && nr_bytes < (size_t)mib * SZ_1M &&
	       !kthread_should_stop()) {
		add_one();
		cond_resched();
	}
}

static void go_down(unsigned int bottom)
{
	while (nr > bottom) {
		remove_one();
		cond_resched();
	}
}

static int run(void *unused)
{
	while (!kthread_should_stop()) {
		go_up();
		go_down(nr * left / 1000);
		nr_rounds++;
	}
	return 0;
}

/* --- Life cycle --------------------------------------------------------- */

static void clean_up(void)
{
	kheap_free(heap, large_block);
	go_down(0);
	kheap_destroy(heap);
	vfree(parcels);
}

/* In the task that inserts the module, whose memory cgroup is charged. */
static int go_up_once(void)
{
	while (nr < nr_max && nr_bytes < (size_t)mib * SZ_1M) {
		add_one();
		cond_resched();
	}
	if (large)
		large_block = kheap_alloc_node(heap, large, GFP_KERNEL,
					       first_online_node);
	return nr_failed || (large && !large_block) ? -ENOMEM : 0;
}

static int start(void)
{
	if (still)
		return go_up_once();
	thread = kthread_run(run, NULL, "kheap_burst");
	return PTR_ERR_OR_ZERO(thread);
}

static int __init burst_init(void)
{
	struct kheap_params params = { .flags = account ? KHEAP_ACCOUNT : 0 };
	int err;

	nr_max = (size_t)mib * SZ_1M / ((SIZE_MIN + SIZE_MAX_HERE) / 4);
	parcels = vmalloc(array_size(nr_max + 1, sizeof(*parcels)));
	heap = kheap_create("burst", &params);
	if (!parcels || IS_ERR(heap)) {
		kheap_destroy(heap);
		vfree(parcels);
		return -ENOMEM;
	}
	prandom_seed_state(&rnd, 6);
	err = start();
	if (err)
		clean_up();
	return err;
}

static void __exit burst_exit(void)
{
	if (thread)
		kthread_stop(thread);
	clean_up();
	pr_info("%lu rounds, %lu allocations failed, %lu blocks damaged\n",
		nr_rounds, nr_failed, nr_damaged);
}

module_init(burst_init);
module_exit(burst_exit);

MODULE_DESCRIPTION("A client whose load goes up and down");
MODULE_AUTHOR("The kheap developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
