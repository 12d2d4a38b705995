// SPDX-License-Identifier: GPL-2.0
/*
 * What two CPUs do at once. The host may take a CPU away at any time, and a
 * sample that was taken while the other CPU did nothing is one of another figure.
 * So each sample keeps when it began and ended, and counts only if the other CPU
 * was in samples of its own for nearly all of that time.
 */
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/smp.h>
#include <linux/vmalloc.h>

#include "ops.h"

#define NR_CPUS_AT_ONCE	2
#define NR_INTERLEAVED	4000

/* --- Which samples count -------------------------------------------------- */

static u64 median(const struct bench_spans *spans, u64 *room)
{
	unsigned int i;

	for (i = 0; i < spans->nr; i++)
		room[i] = spans->span[i].end - spans->span[i].start;
	bench_sort(room, spans->nr);
	return spans->nr ? room[spans->nr / 2] : 0;
}

/*
 * How much of @span the other CPU was at work, too. @at is the first of its
 * samples that is not over when @span begins, and moves on. One that took
 * longer than @most is no work.
 */
static u64 overlap(const struct bench_span *span, const struct bench_span **at,
		   const struct bench_span *end, u64 most)
{
	const struct bench_span *other;
	u64 sum = 0;

	while (*at < end && (*at)->end <= span->start)
		++*at;
	for (other = *at; other < end && other->start < span->end; other++)
		if (other->end - other->start <= most)
			sum += min(span->end, other->end) -
			       max(span->start, other->start);
	return sum;
}

/**
 * bench_keep_overlapped() - the samples during which the other CPU worked, too
 * @mine: the samples, in the order of time
 * @other: the other CPU's
 * @nr_usual: of these, one that took as many times the median was interrupted
 * @ticks: gets what each of those took; room for as many as either CPU has
 *
 * Return: how many there are
 */
unsigned int bench_keep_overlapped(const struct bench_spans *mine,
				   const struct bench_spans *other,
				   unsigned int nr_usual, u64 *ticks)
{
	const struct bench_span *at = other->span, *end = at + other->nr;
	u64 most = nr_usual * median(other, ticks);
	unsigned int i, nr = 0;

	for (i = 0; i < mine->nr; i++) {
		const struct bench_span *span = &mine->span[i];
		u64 took = span->end - span->start;

		if (overlap(span, &at, end, most) * 10 >= took * 9)
			ticks[nr++] = took;
	}
	return nr;
}

/* --- Blocks in turns ------------------------------------------------------ */

static const struct {
	const struct bench_side *side;
	const struct bench_ops *ops;
} side_ops[] = {
	{ &bench_kheap_side, &bench_kheap_ops },
	{ &bench_kheap_cache_side, &bench_kheap_cache_ops },
	{ &bench_kmalloc_side, &bench_kmalloc_ops },
	{ &bench_kmem_cache_side, &bench_kmem_cache_ops },
};

/**
 * struct freer - who frees every other one of the blocks
 * @ops: how
 * @ctx: the allocator
 * @ptrs: the blocks
 * @first: 0 or 1
 */
struct freer {
	const struct bench_ops *ops;
	void *ctx;
	void **ptrs;
	unsigned int first;
};

static int free_every_other(void *data)
{
	struct freer *freer = data;
	unsigned int i;

	for (i = freer->first; i < NR_INTERLEAVED; i += NR_CPUS_AT_ONCE)
		freer->ops->free(freer->ctx, freer->ptrs[i]);
	return 0;
}

/**
 * bench_interleave() - free blocks to CPUs 0 and 1 in turn
 * @side: the allocator's
 * @ctx: what it began with
 * @size: of the blocks, which were allocated one after the other
 *
 * Return: 0, or -errno
 */
int bench_interleave(const struct bench_side *side, void *ctx, size_t size)
{
	struct freer freer = { .ctx = ctx };
	unsigned int i, nr = 0;
	int error = 0;

	for (i = 0; i < ARRAY_SIZE(side_ops); i++)
		if (side_ops[i].side == side)
			freer.ops = side_ops[i].ops;
	if (!freer.ops)
		return -EINVAL;
	freer.ptrs = vzalloc(array_size(NR_INTERLEAVED, sizeof(void *)));
	if (!freer.ptrs)
		return -ENOMEM;
	for (i = 0; i < NR_INTERLEAVED; i++) {
		freer.ptrs[i] = freer.ops->alloc(ctx, size);
		nr += !!freer.ptrs[i];
	}
	for (; freer.first < NR_CPUS_AT_ONCE && !error; freer.first++)
		error = smp_call_on_cpu(freer.first, free_every_other, &freer,
					false);
	vfree(freer.ptrs);
	return nr < NR_INTERLEAVED ? -ENOMEM : error;
}
