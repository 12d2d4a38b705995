// SPDX-License-Identifier: GPL-2.0
/*
 * The account of a heap: what it holds from the system, and what of that is for
 * kheap's own use. Who wants memory charges it before asking for it.
 */
#include <linux/percpu.h>
#include <linux/slab.h>

#include "base/base.h"

/* What was charged has been had: it may be the most that was ever held. */
void kheap_note_peak(struct kheap *heap)
{
	long held = atomic_long_read(&heap->base.held_bytes);
	long peak = atomic_long_read(&heap->base.peak_bytes);

	while (held > peak &&
	       !atomic_long_try_cmpxchg(&heap->base.peak_bytes, &peak, held))
		;
}

/**
 * kheap_charge() - account for memory before asking the system for it
 * @heap: the heap
 * @bytes: how much
 *
 * Adds only what fits: if it added first and took back what is too much, others
 * would find the heap at its limit meanwhile.
 *
 * Return: false if that would exceed the heap's limit; nothing is charged.
 */
bool kheap_charge(struct kheap *heap, size_t bytes)
{
	long held = atomic_long_read(&heap->base.held_bytes);

	do {
		if (heap->base.limit_bytes && held + bytes > heap->base.limit_bytes)
			return false;
	} while (!atomic_long_try_cmpxchg(&heap->base.held_bytes, &held,
					  held + bytes));
	return true;
}

/* Account for memory that is there already, whatever the limit says. */
void kheap_charge_more(struct kheap *heap, size_t bytes)
{
	atomic_long_add(bytes, &heap->base.held_bytes);
	kheap_note_peak(heap);
}

void kheap_uncharge(struct kheap *heap, size_t bytes)
{
	atomic_long_sub(bytes, &heap->base.held_bytes);
}

/**
 * kheap_meta_charge() - account for memory for kheap's own use, before asking
 * @heap: the heap
 * @bytes: how much
 *
 * What comes of it is told with kheap_note_peak() or kheap_meta_uncharge().
 *
 * Return: false if that would exceed the heap's limit; nothing is charged.
 */
bool kheap_meta_charge(struct kheap *heap, size_t bytes)
{
	if (!kheap_charge(heap, bytes))
		return false;
	atomic_long_add(bytes, &heap->base.metadata_bytes);
	return true;
}

/* Undo kheap_meta_charge(): the memory was not to be had, or is gone. */
void kheap_meta_uncharge(struct kheap *heap, size_t bytes)
{
	atomic_long_sub(bytes, &heap->base.metadata_bytes);
	kheap_uncharge(heap, bytes);
}

/**
 * kheap_meta_alloc() - allocate zeroed memory for kheap's own use
 * @heap: the heap that it is charged to
 * @size: bytes
 * @gfp: a client's gfp flags; those that are not about waiting are ignored
 * @nid: the memory node to prefer, or %NUMA_NO_NODE
 *
 * Return: The memory, for kheap_meta_free(); or NULL.
 */
void *kheap_meta_alloc(struct kheap *heap, size_t size, gfp_t gfp, int nid)
{
	size_t bytes = kmalloc_size_roundup(size);
	void *ptr;

	if (!kheap_meta_charge(heap, bytes))
		return NULL;
	gfp &= ~(GFP_ZONEMASK | __GFP_COMP | __GFP_THISNODE);
	ptr = kmalloc_node(bytes, gfp | __GFP_ZERO, nid);
	if (ptr)
		kheap_note_peak(heap);
	else
		kheap_meta_uncharge(heap, bytes);
	return ptr;
}

void kheap_meta_free(struct kheap *heap, const void *ptr)
{
	size_t bytes;

	if (!ptr)
		return;
	bytes = ksize(ptr);
	kfree(ptr);
	kheap_meta_uncharge(heap, bytes);
}

/**
 * kheap_meta_alloc_percpu() - allocate zeroed per-CPU memory for kheap's use
 * @heap: the heap that it is charged to
 * @size: bytes for each possible CPU
 * @align: their alignment
 *
 * Context: Process context. May sleep.
 * Return: The memory, for kheap_meta_free_percpu(); or NULL.
 */
void __percpu *kheap_meta_alloc_percpu(struct kheap *heap, size_t size,
				       size_t align)
{
	size_t bytes = size * num_possible_cpus();
	void __percpu *ptr;

	if (!kheap_meta_charge(heap, bytes))
		return NULL;
	ptr = __alloc_percpu_gfp(size, align, GFP_KERNEL | __GFP_NOWARN);
	if (ptr)
		kheap_note_peak(heap);
	else
		kheap_meta_uncharge(heap, bytes);
	return ptr;
}

/* @size: as it was allocated with. */
void kheap_meta_free_percpu(struct kheap *heap, void __percpu *ptr, size_t size)
{
	size_t bytes = size * num_possible_cpus();

	if (!ptr)
		return;
	free_percpu(ptr);
	kheap_meta_uncharge(heap, bytes);
}
