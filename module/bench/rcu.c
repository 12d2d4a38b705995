// SPDX-License-Identifier: GPL-2.0
/*
 * Objects freed after a grace period. All that the processor does until long
 * after the last one counts, so that deferred work is not free.
 */
#include <linux/delay.h>
#include <linux/rcupdate.h>

#include "ops.h"

#define NR_OBJECTS	100000

/* kvfree_rcu() starts to work after five seconds, or earlier when it is many. */
#define SETTLE_SECONDS	7

struct rcu_object {
	unsigned long payload[6];
	struct rcu_head rcu;
};

static_assert(sizeof(struct rcu_object) == BENCH_OBJECT_BYTES);

static void time_nothing(struct bench_run *run)
{
	bench_start_busy(run);
	ssleep(SETTLE_SECONDS);
	bench_stop_busy(run, NR_OBJECTS);
}

static void time_kheap(struct bench_run *run)
{
	unsigned int i;

	bench_start_busy(run);
	for (i = 0; i < NR_OBJECTS; i++) {
		struct rcu_object *object;

		object = kheap_alloc(run->ctx, sizeof(*object), GFP_KERNEL);
		if (unlikely(!object))
			goto out_failed;
		kheap_free_rcu(run->ctx, object);
	}
	ssleep(SETTLE_SECONDS);
	bench_stop_busy(run, NR_OBJECTS);
	return;
out_failed:
	run->error = -ENOMEM;
}

static void time_slub(struct bench_run *run)
{
	unsigned int i;

	bench_start_busy(run);
	for (i = 0; i < NR_OBJECTS; i++) {
		struct rcu_object *object;

		object = kmalloc(sizeof(*object), GFP_KERNEL);
		if (unlikely(!object))
			goto out_failed;
		kfree_rcu(object, rcu);
	}
	ssleep(SETTLE_SECONDS);
	bench_stop_busy(run, NR_OBJECTS);
	return;
out_failed:
	run->error = -ENOMEM;
}

const struct bench_case bench_rcu_cases[] = {
	{ "empty_free_rcu", &bench_no_side, time_nothing, .slow = true },
	{ "free_rcu", &bench_kheap_side, time_kheap, .slow = true },
	{ "free_rcu", &bench_kmalloc_side, time_slub, .slow = true },
	{ }
};
