// SPDX-License-Identifier: GPL-2.0
/*
 * Memory nodes: where blocks come from and go to on a machine that has several.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include <linux/workqueue.h>
#include <kheap/kheap.h>

#include "exercise.h"

#define NR_BLOCKS	2000
#define BYTES		200

static int node_of(const void *block)
{
	return page_to_nid(virt_to_page(block));
}

/**
 * struct job - what is done on some CPU
 * @heap: the heap
 * @blocks: NR_BLOCKS of them
 * @node: the node they are to be of
 * @nr_elsewhere: how many are of another node, or are none
 */
struct job {
	struct kheap *heap;
	void **blocks;
	int node;
	unsigned int nr_elsewhere;
};

static long alloc_here(void *arg)
{
	struct job *job = arg;
	unsigned int i;

	for (i = 0; i < NR_BLOCKS; i++) {
		job->blocks[i] = kheap_alloc(job->heap, BYTES, GFP_KERNEL);
		if (!job->blocks[i] || node_of(job->blocks[i]) != job->node)
			job->nr_elsewhere++;
	}
	return 0;
}

static long alloc_for_node(void *arg)
{
	struct job *job = arg;
	unsigned int i;

	for (i = 0; i < NR_BLOCKS; i++) {
		job->blocks[i] = kheap_alloc_node(job->heap, BYTES,
						  GFP_KERNEL | __GFP_THISNODE,
						  job->node);
		if (!job->blocks[i] || node_of(job->blocks[i]) != job->node)
			job->nr_elsewhere++;
	}
	return 0;
}

static long free_here(void *arg)
{
	struct job *job = arg;
	unsigned int i;

	for (i = 0; i < NR_BLOCKS; i++)
		kheap_free(job->heap, job->blocks[i]);
	return 0;
}

static int a_cpu_of(int node)
{
	return cpumask_any_and(cpumask_of_node(node), cpu_online_mask);
}

/* Say what failed. Return whether it did. */
static bool failed(bool bad, const char *what, int here, int there,
		   unsigned long nr)
{
	if (bad)
		pr_err("nodes %d and %d: %s (%lu)\n", here, there, what, nr);
	return bad;
}

/*
 * What a CPU allocates is of its own node, also after it has freed as many of
 * another node: these go home, and are not given out here. The other node's
 * blocks can be asked for by name.
 */
static bool pair_fails(struct kheap *heap, void **blocks, int here, int there)
{
	struct job job = { .heap = heap, .blocks = blocks, .node = there };
	int cpu = a_cpu_of(here), far_cpu = a_cpu_of(there);
	struct kheap_stats stats;
	bool bad = false;

	work_on_cpu(far_cpu, alloc_here, &job);
	bad |= failed(job.nr_elsewhere, "not local", here, there,
		      job.nr_elsewhere);
	work_on_cpu(cpu, free_here, &job);
	kheap_get_stats(heap, &stats);
	bad |= failed(stats.nr_allocated, "lost on the way home", here, there,
		      stats.nr_allocated);

	job.nr_elsewhere = 0;
	job.node = here;
	work_on_cpu(cpu, alloc_here, &job);
	bad |= failed(job.nr_elsewhere, "not local after remote frees", here,
		      there, job.nr_elsewhere);
	work_on_cpu(cpu, free_here, &job);

	job.nr_elsewhere = 0;
	job.node = there;
	work_on_cpu(cpu, alloc_for_node, &job);
	bad |= failed(job.nr_elsewhere, "not of the node asked for", here,
		      there, job.nr_elsewhere);
	work_on_cpu(cpu, free_here, &job);
	return bad;
}

/* --- A node without memory ---------------------------------------------- */

static struct page *pages_of_one_node(void *ctx, gfp_t gfp, unsigned int order,
				      int node)
{
	int *only = ctx;

	if ((gfp & __GFP_THISNODE) && node != *only)
		return NULL;
	return alloc_pages_node(*only, gfp | __GFP_THISNODE, order);
}

static void pages_free(void *ctx, struct page *page, unsigned int order)
{
	__free_pages(page, order);
}

static const struct kheap_page_ops one_node_ops = {
	.alloc	= pages_of_one_node,
	.free	= pages_free,
};

/* When a node has no memory another one helps out, without waste. */
static bool poor_node_fails(void **blocks, int here, int there)
{
	struct kheap_params params = {
		.page_ops = &one_node_ops,
		.page_ctx = &there,
	};
	struct job job = { .blocks = blocks, .node = there };
	struct kheap_stats stats;
	bool bad = false;

	job.heap = kheap_create("exercise-poor", &params);
	if (IS_ERR(job.heap))
		return true;
	work_on_cpu(a_cpu_of(here), alloc_here, &job);
	bad |= failed(job.nr_elsewhere, "no help from the other node", here,
		      there, job.nr_elsewhere);
	kheap_get_stats(job.heap, &stats);
	bad |= failed(stats.nr_pools - stats.nr_pools_empty >
		      NR_BLOCKS / (PAGE_SIZE / BYTES) + 2,
		      "pools wasted", here, there, stats.nr_pools);
	bad |= failed(stats.nr_pools > NR_BLOCKS / (PAGE_SIZE / BYTES) + 128,
		      "arenas wasted", here, there, stats.nr_pools);
	work_on_cpu(a_cpu_of(here), free_here, &job);
	kheap_trim(job.heap);
	bad |= failed(kheap_check(job.heap), "check", here, there, 0);
	kheap_destroy(job.heap);
	return bad;
}

int exercise_nodes(struct kheap *heap)
{
	void **blocks = kcalloc(NR_BLOCKS, sizeof(*blocks), GFP_KERNEL);
	unsigned int nr = 0;
	bool bad = false;
	int here, there;

	if (!blocks)
		return -ENOMEM;
	/* Nothing may wait for a grace period: live blocks are counted. */
	kheap_trim(heap);
	for_each_node_state(here, N_CPU) {
		for_each_node_state(there, N_CPU) {
			if (here == there)
				continue;
			bad |= pair_fails(heap, blocks, here, there);
			bad |= poor_node_fails(blocks, here, there);
			nr++;
		}
	}
	kfree(blocks);
	pr_info("%u pairs of nodes\n", nr);
	return bad ? -EUCLEAN : 0;
}
