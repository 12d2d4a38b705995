// SPDX-License-Identifier: GPL-2.0
/*
 * A loop that uses no memory and all of the core's adders: on two CPUs that are
 * threads of one core it takes nearly twice as long as on one of them. Both
 * sides do it.
 */
#include "native.h"

#define NR_OPS		10000

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

const struct bench_case native_core_cases[] = {
	{ "core", &bench_bare_kheap_side, time_core },
	{ "core", &bench_bare_slub_side, time_core },
	{ }
};
