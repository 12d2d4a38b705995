/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The benchmark in a kernel that is a process of its host: the figures of the
 * module, hundreds of samples of each, in ticks of the time stamp counter.
 * Documentation/performance.rst explains them.
 */
#ifndef _KHEAP_BENCH_NATIVE_H
#define _KHEAP_BENCH_NATIVE_H

#include "bench.h"

#define NATIVE_NR_SAMPLES	400
#define NATIVE_NR_SLOW		200	/* of what takes long */
#define NATIVE_NR_CPUS		2

enum native_side {
	NATIVE_KHEAP,
	NATIVE_RIVAL,
	NATIVE_NR_SIDES
};

/**
 * struct native_line - one side of a figure under way
 * @bench: what is measured
 * @ctx: what its side's begin() returned
 * @error: negative errno: what was measured is worth nothing
 */
struct native_line {
	const struct bench_case *bench;
	void *ctx;
	int error;
};

/**
 * struct native_samples - what one CPU measured of a line
 * @ticks: of each sample; sorted by native_report()
 * @nr: their number
 * @nr_left_out: more, that do not count
 * @nr_ops: operations of each
 */
struct native_samples {
	u64 *ticks;
	unsigned int nr;
	unsigned int nr_left_out;
	u64 nr_ops;
};

/* With 64 MiB live in each side: see cold.c. */
extern const struct bench_case native_cold_cases[];
extern const struct bench_case native_rcu_cases[];
/* What no allocator can be faster than: floor.c and floor_memory.c. */
extern const struct bench_case native_floor_cases[];
extern const struct bench_case native_remote_floor_cases[];

void native_calibrate(void);
void native_calibration_report(void);
void native_report(const char *name, const char *base,
		   const struct native_line *line,
		   struct native_samples *samples);

int native_duo(const char *name, const char *base, struct native_line *lines,
	       size_t interleaved);

#endif /* _KHEAP_BENCH_NATIVE_H */
