/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the benchmarks' clock has of the machine. Under QEMU's -icount the counter
 * of x86-64 is one of instructions, which no other machine has: there, counted
 * figures are times, see bench_clock_init().
 */
#ifndef _KHEAP_BENCH_ARCH_H
#define _KHEAP_BENCH_ARCH_H

#include <linux/types.h>

#ifdef CONFIG_X86_64

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

/* Two instructions a round, and nothing else. */
static __always_inline void bench_known_loop(unsigned long nr_rounds)
{
	asm volatile("1:	decq %0\n"
		     "	jnz 1b"
		     : "+r" (nr_rounds) : : "cc");
}

/* Zero words by one instruction, which counts once for each. */
static __always_inline void bench_zero_string(void **words,
					      unsigned long nr_words)
{
	asm volatile("rep stosq"
		     : "+D" (words), "+c" (nr_words) : "a" (0) : "memory");
}

#else /* CONFIG_X86_64 */

#include <linux/compiler.h>
#include <linux/string.h>
#include <linux/timex.h>

static __always_inline u64 bench_tsc(void)
{
	return get_cycles();
}

static __always_inline u64 bench_tsc_ordered(void)
{
	mb();	/* As the name says; it has no partner. */
	return get_cycles();
}

static __always_inline void bench_known_loop(unsigned long nr_rounds)
{
	do
		barrier();
	while (--nr_rounds);
}

static __always_inline void bench_zero_string(void **words,
					      unsigned long nr_words)
{
	memset64((u64 *)words, 0, nr_words);
	barrier_data(words);
}

#endif /* CONFIG_X86_64 */

#endif /* _KHEAP_BENCH_ARCH_H */
