// SPDX-License-Identifier: GPL-2.0
/*
 * Cold memory and another CPU's, without an allocator: see floor.h.
 */
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/slab.h>

#include "../remote.h"
#include "floor.h"
#include "native.h"

static void mark_all(void *chunk)
{
	void *block, *end = chunk + FLOOR_BLOCKS * BENCH_OBJECT_BYTES;

	for (block = chunk; block < end; block += BENCH_OBJECT_BYTES)
		*(u64 *)block = floor_mark(block);
}

int floor_end(void *ctx)
{
	struct floor *floor = ctx;
	int error = floor->nr_bad ? -EIO : 0;

	while (floor->nr_chunks)
		free_pages((unsigned long)floor->chunks[--floor->nr_chunks],
			   FLOOR_ORDER);
	kfree(floor);
	return error;
}

/* Set up @nr_chunks of blocks, each with its mark. */
void *floor_begin(unsigned int nr_chunks)
{
	struct floor *floor;

	floor = kzalloc(struct_size(floor, chunks, nr_chunks), GFP_KERNEL);
	if (!floor)
		return ERR_PTR(-ENOMEM);
	while (floor->nr_chunks < nr_chunks) {
		void *chunk = (void *)__get_free_pages(GFP_KERNEL, FLOOR_ORDER);

		if (!chunk) {
			floor_end(floor);
			return ERR_PTR(-ENOMEM);
		}
		mark_all(chunk);
		floor->chunks[floor->nr_chunks++] = chunk;
	}
	return floor;
}

static void *remote_floor_begin(void)
{
	return floor_begin(1);
}

static const struct bench_side look_side = {
	.name	= "kheap",
	.begin	= remote_floor_begin,
	.end	= floor_end,
};

static const struct bench_side blind_side = {
	.name	= "slub",
	.begin	= remote_floor_begin,
	.end	= floor_end,
};

DEFINE_FLOOR_OPS(look, floor_take_next, true, false);
DEFINE_FLOOR_OPS(blind, floor_take_next, false, false);
DEFINE_REMOTE(look, look_ops)
DEFINE_REMOTE(blind, blind_ops)

const struct bench_case native_remote_floor_cases[] = {
	{ "remote_line", &look_side, look_remote, .nr_cpus = 2 },
	{ "remote_line", &blind_side, blind_remote, .nr_cpus = 2 },
	{ }
};
