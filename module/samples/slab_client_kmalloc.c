// SPDX-License-Identifier: GPL-2.0
/*
 * The file of the slab client that asked for its kmalloc() memory to be of the
 * module's heap, too: -DKHEAP_SLAB_KMALLOC in Kbuild.
 */
#include <linux/slab.h>
#include <linux/string.h>

#include "slab_client.h"

/* Return a block of the heap, for the other files; NULL without memory. */
void *slab_client_new_block(void)
{
	void *block = kmalloc(SLAB_CLIENT_BLOCK, GFP_KERNEL);

	return block ? memset(block, 7, SLAB_CLIENT_BLOCK) : NULL;
}

/* Return how many things were not as they should be. */
unsigned int slab_client_try_kmalloc(void)
{
	u8 *block = kmalloc(100, GFP_KERNEL);
	u8 *zeroed = kcalloc(3, 40, GFP_KERNEL);
	u8 *large = kzalloc(20000, GFP_KERNEL);
	unsigned int nr_wrong = 0;
	u8 *grown, *moved;

	if (!block || !zeroed || !large)
		return 1;
	/*
	 * SLUB would round up to 128, and to a page; kheap rounds to 104, and not
	 * at all where it guards blocks.
	 */
	nr_wrong += ksize(block) < 100 || ksize(block) > 104;
	nr_wrong += ksize(zeroed) != 120 || memchr_inv(zeroed, 0, 120);
	nr_wrong += ksize(large) < 20000 || memchr_inv(large, 0, 20000);
	nr_wrong += !!kmalloc_array(SIZE_MAX, 2, GFP_KERNEL);
	memset(block, 7, 100);
	grown = krealloc(block, 103, GFP_KERNEL);
	if (!grown)
		return nr_wrong + 1;
	memset(grown + 100, 7, 3);
	moved = krealloc(grown, 5000, GFP_KERNEL);
	nr_wrong += !moved || memchr_inv(moved, 7, 103);
	nr_wrong += ksize(moved) < 5000 || ksize(moved) > 5120;
	kfree(moved);
	kfree_sensitive(zeroed);
	kvfree(large);
	return nr_wrong;
}
