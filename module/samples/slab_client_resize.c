// SPDX-License-Identifier: GPL-2.0
/*
 * A file of the slab client that did not ask for its kmalloc() memory to be of
 * the module's heap, and is given such memory by the one that did: to resize,
 * to free, and to free among the kernel's.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/version.h>

#include "slab_client.h"

/* Larger than kmalloc() has. */
#define LARGE	(12 << 20)

static void *resize_kv(void *ptr, size_t size, gfp_t gfp)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
	return kvrealloc(ptr, SLAB_CLIENT_BLOCK, size, gfp);
#else
	return kvrealloc(ptr, size, gfp);
#endif
}

static unsigned int try_growing(void)
{
	u8 *block = slab_client_new_block(), *grown, *moved;
	unsigned int nr_wrong = 0;

	grown = krealloc(block, SLAB_CLIENT_BLOCK + 3, GFP_KERNEL);
	if (!block || !grown)
		return 1;
	memset(grown + SLAB_CLIENT_BLOCK, 7, 3);
	nr_wrong += !!krealloc_array(grown, SIZE_MAX, 2, GFP_KERNEL);
	moved = krealloc_array(grown, 50, 100, GFP_KERNEL | __GFP_ZERO);
	if (!moved)
		return nr_wrong + 1;
	/* Not the page that the heap has it on. */
	nr_wrong += moved == grown || ksize(moved) < 5000;
	nr_wrong += !!memchr_inv(moved, 7, SLAB_CLIENT_BLOCK + 3);
	nr_wrong += !!memchr_inv(moved + 128, 0, 5000 - 128);
	kfree(moved);
	return nr_wrong;
}

static unsigned int try_shrinking(void)
{
	u8 *block = slab_client_new_block(), *shrunk, *grown;
	unsigned int nr_wrong = 0;

	shrunk = krealloc(block, 10, GFP_KERNEL | __GFP_ZERO);
	grown = krealloc(shrunk, 90, GFP_KERNEL | __GFP_ZERO);
	if (!block || !shrunk || !grown)
		return 1;
	nr_wrong += memchr_inv(grown, 7, 10) || memchr_inv(grown + 10, 0, 80);
	nr_wrong += krealloc(grown, 0, GFP_KERNEL) != ZERO_SIZE_PTR;
	return nr_wrong;
}

static unsigned int try_kv(void)
{
	u8 *block = slab_client_new_block(), *moved;
	unsigned int nr_wrong = 0;

	moved = resize_kv(block, LARGE, GFP_KERNEL | __GFP_ZERO);
	if (!block || !moved)
		return 1;
	nr_wrong += !is_vmalloc_addr(moved);
	nr_wrong += !!memchr_inv(moved, 7, SLAB_CLIENT_BLOCK);
	nr_wrong += !!memchr_inv(moved + 128, 0, LARGE - 128);
	kvfree_sensitive(moved, LARGE);
	kvfree_sensitive(slab_client_new_block(), SLAB_CLIENT_BLOCK);
	kvfree_sensitive(NULL, 0);
	return nr_wrong;
}

/* The kernel's stay the kernel's, and all may be freed at once. */
static unsigned int try_bulk(void)
{
	void *blocks[] = {
		slab_client_new_block(),
		krealloc(NULL, 20, GFP_KERNEL),
		krealloc(kmalloc(20, GFP_KERNEL), 3000, GFP_KERNEL),
		slab_client_new_block(),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(blocks); i++)
		if (!blocks[i])
			return 1;
	kfree_bulk(ARRAY_SIZE(blocks), blocks);
	return 0;
}

/* Return how many things were not as they should be. */
unsigned int slab_client_try_resize(void)
{
	return try_growing() + try_shrinking() + try_kv() + try_bulk();
}
