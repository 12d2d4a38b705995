// SPDX-License-Identifier: GPL-2.0
/*
 * Objects freed after a grace period. What both CPUs do until the last one is
 * free counts, whoever does it, but for their idle time; so deferred work is
 * not free of charge. The module's figure of this name waits for seconds, until
 * the kernel has got round to it: here it is told not to wait.
 */
#include <linux/delay.h>
#include <linux/math64.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/time64.h>
#include <linux/timekeeping.h>
#include <linux/unistd.h>

#include <kheap/kheap.h>

#include "native.h"

#define NR_OBJECTS	100000
/* A grace period, and what is gathered before it, in nearly all cases. */
#define SETTLE_MS	60
#define RATE_MS		50

struct rcu_object {
	unsigned long payload[6];
	struct rcu_head rcu;
};

static_assert(sizeof(struct rcu_object) == BENCH_OBJECT_BYTES);

static u64 ticks_per_second;

/*
 * The time that this kernel's CPUs have worked, in nanoseconds: the host knows
 * it, the kernel itself only by the tick.
 */
static u64 work_ns(void)
{
	struct timespec64 now;
	long error;

	asm volatile("syscall"
		     : "=a" (error)
		     : "a" (__NR_clock_gettime), "D" (CLOCK_PROCESS_CPUTIME_ID),
		       "S" (&now)
		     : "rcx", "r11", "memory");
	return error ? 0 : timespec64_to_ns(&now);
}

static void measure_rate(void)
{
	u64 start = bench_tsc_ordered(), start_ns = ktime_get_ns();

	while (ktime_get_ns() < start_ns + RATE_MS * NSEC_PER_MSEC)
		cpu_relax();
	ticks_per_second = mul_u64_u64_div_u64(bench_tsc_ordered() - start,
					       NSEC_PER_SEC,
					       ktime_get_ns() - start_ns);
}

static void start(struct bench_run *run)
{
	if (!ticks_per_second)
		measure_rate();
	run->start = work_ns();
}

static void stop(struct bench_run *run)
{
	run->ticks = mul_u64_u64_div_u64(work_ns() - run->start,
					 ticks_per_second, NSEC_PER_SEC);
	run->nr_ops = NR_OBJECTS;
}

static void wait_until_free(struct kheap *heap)
{
	struct kheap_stats stats;

	do {
		msleep(SETTLE_MS);
		kheap_get_stats(heap, &stats);
	} while (stats.nr_allocated);
}

static void time_kheap(struct bench_run *run)
{
	unsigned int i;

	start(run);
	for (i = 0; i < NR_OBJECTS; i++) {
		struct rcu_object *object;

		object = kheap_alloc(run->ctx, sizeof(*object), GFP_KERNEL);
		if (unlikely(!object)) {
			run->error = -ENOMEM;
			break;
		}
		kheap_free_rcu(run->ctx, object);
	}
	wait_until_free(run->ctx);
	stop(run);
}

static void time_slub(struct bench_run *run)
{
	unsigned int i;

	start(run);
	for (i = 0; i < NR_OBJECTS; i++) {
		struct rcu_object *object;

		object = kmalloc(sizeof(*object), GFP_KERNEL);
		if (unlikely(!object)) {
			run->error = -ENOMEM;
			break;
		}
		kfree_rcu(object, rcu);
	}
	msleep(SETTLE_MS);
	kvfree_rcu_barrier();
	stop(run);
}

const struct bench_case native_rcu_cases[] = {
	{ "free_rcu", &bench_kheap_side, time_kheap, .slow = true },
	{ "free_rcu", &bench_kmalloc_side, time_slub, .slow = true },
	{ }
};
