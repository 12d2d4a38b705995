/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The clock of the benchmarks: it knows nothing of what is measured.
 */
#ifndef _KHEAP_BENCH_CLOCK_H
#define _KHEAP_BENCH_CLOCK_H

#include <linux/timekeeping.h>
#include <linux/types.h>

/* The kernel is a process of the host, see native/native.h, and time is ticks. */
#define BENCH_NATIVE		IS_ENABLED(CONFIG_UML)

/* One operation is one tick of the time stamp counter: see clock.c. */
extern bool bench_exact;

static __always_inline u64 bench_tsc(void)
{
	u32 low, high;

	asm volatile("rdtsc" : "=a" (low), "=d" (high));
	return (u64)high << 32 | low;
}

/* All that is before it is over, and nothing that comes after has begun. */
static __always_inline u64 bench_tsc_ordered(void)
{
	u32 low, high;

	asm volatile("lfence; rdtsc; lfence"
		     : "=a" (low), "=d" (high) : : "memory");
	return (u64)high << 32 | low;
}

static __always_inline u64 bench_clock(void)
{
	if (BENCH_NATIVE)
		return bench_tsc_ordered();
	return bench_exact ? bench_tsc() : ktime_get_ns();
}

unsigned long bench_quiet_begin(void);
void bench_tick_begin(void);
void bench_wait_for_tick(void);
void bench_sort(u64 *ticks, unsigned int nr);
void bench_clock_init(void);

#define BENCH_LOOP_ROUNDS	100000

/* Two instructions a round, and nothing else. */
static __always_inline void bench_known_loop(unsigned long nr_rounds)
{
	asm volatile("1:	decq %0\n"
		     "	jnz 1b"
		     : "+r" (nr_rounds) : : "cc");
}

#endif /* _KHEAP_BENCH_CLOCK_H */
