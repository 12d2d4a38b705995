// SPDX-License-Identifier: GPL-2.0
/*
 * What no allocator can be faster than: loops without one.
 */
#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/smp.h>

#include "native.h"

#define NR_OPS		10000
#define MARK		0x1234567890abcdefULL

/*
 * No memory and all of the core's adders: on two CPUs that are threads of one
 * core it takes nearly twice as long as on one of them. Both sides do it.
 */
static void time_core(struct bench_run *run)
{
	unsigned long a = 1, b = 2, c = 3, d = 4;
	unsigned int i;

	bench_start(run);
	for (i = 0; i < NR_OPS; i++)
		asm volatile(".rept 10\n\t"
			     "addq $3, %0\n\t"
			     "addq $3, %1\n\t"
			     "addq $3, %2\n\t"
			     "addq $3, %3\n\t"
			     ".endr"
			     : "+r" (a), "+r" (b), "+r" (c), "+r" (d)
			     : : "cc");
	bench_stop(run, NR_OPS);
}

/* Two words of a line for each CPU. */
static u64 line[L1_CACHE_BYTES / sizeof(u64)] ____cacheline_aligned;

/* A chain of additions: about what an allocation and its free take without. */
static __always_inline void do_the_rest(void)
{
	unsigned long a = 1;

	asm volatile(".rept 16\n\t"
		     "addq $3, %0\n\t"
		     ".endr" : "+r" (a) : : "cc");
}

/*
 * A block of 16 bytes is allocated and freed by who looks at it: a load that has
 * to be answered, and the stores.
 */
static void time_look_and_store(struct bench_run *run)
{
	u64 *mine = &line[2 * raw_smp_processor_id()];
	unsigned int i;

	WRITE_ONCE(mine[0], MARK);
	bench_start(run);
	for (i = 0; i < NR_OPS; i++) {
		if (unlikely(READ_ONCE(mine[0]) != MARK))
			break;
		WRITE_ONCE(mine[0], 0);
		WRITE_ONCE(mine[1], 0);
		do_the_rest();
		if (unlikely(READ_ONCE(mine[0]) == MARK))
			break;
		WRITE_ONCE(mine[0], MARK);
	}
	bench_stop(run, i);
}

/* By who does not: zeroed when it is allocated. */
static void time_store(struct bench_run *run)
{
	u64 *mine = &line[2 * raw_smp_processor_id()];
	unsigned int i;

	bench_start(run);
	for (i = 0; i < NR_OPS; i++) {
		WRITE_ONCE(mine[0], 0);
		WRITE_ONCE(mine[1], 0);
		do_the_rest();
	}
	bench_stop(run, NR_OPS);
}

/* A line each, as a count and what a release is found by are. */
static struct {
	atomic_t count;
} ____cacheline_aligned counts[2];

/*
 * An object with callbacks dies by a locked instruction, and takes what nested
 * releases find it by with another one.
 */
static void time_two_locked(struct bench_run *run)
{
	unsigned int i;

	bench_start(run);
	for (i = 0; i < NR_OPS; i++) {
		do_the_rest();
		atomic_inc(&counts[0].count);
		do_the_rest();
		atomic_inc(&counts[1].count);
	}
	bench_stop(run, NR_OPS);
}

/* The last put of a kref. */
static void time_one_locked(struct bench_run *run)
{
	unsigned int i;

	bench_start(run);
	for (i = 0; i < NR_OPS; i++) {
		do_the_rest();
		atomic_inc(&counts[0].count);
		do_the_rest();
	}
	bench_stop(run, NR_OPS);
}

const struct bench_case native_floor_cases[] = {
	{ "core", &bench_bare_kheap_side, time_core },
	{ "core", &bench_bare_slub_side, time_core },
	{ "line", &bench_bare_kheap_side, time_look_and_store },
	{ "line", &bench_bare_slub_side, time_store },
	{ "locked", &bench_bare_kheap_side, time_two_locked },
	{ "locked", &bench_bare_slub_side, time_one_locked },
	{ }
};
