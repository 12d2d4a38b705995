/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The functions behind <kheap/slab_compat.h>. No client calls them by name.
 */
#ifndef _KHEAP_SLAB_CALLS_H
#define _KHEAP_SLAB_CALLS_H

#include <linux/slab.h>
#include <linux/types.h>

struct kheap;
struct kheap_cache;
struct list_lru;
struct module;

/**
 * kheap_slab_create() - create a cache in the heap of a module
 * @owner: the module; its first cache makes the heap, its first one with
 *	%SLAB_ACCOUNT another one, whose pages are charged to memory cgroups
 * @name: of the cache; characters that a heap's names cannot have become ``_``,
 *	and a name that the module uses twice gets a number
 * @size: bytes of an object, up to %KHEAP_CACHE_SIZE_MAX
 * @align: power of two up to %KHEAP_CACHE_ALIGN_MAX, or 0
 * @flags: SLUB's; those for DMA are refused
 * @ctor: constructor or NULL
 *
 * Context: Process context. May sleep.
 * Return: The cache; or NULL, and the log says why.
 */
struct kheap_cache *kheap_slab_create(struct module *owner, const char *name,
				      unsigned int size, unsigned int align,
				      slab_flags_t flags,
				      void (*ctor)(void *object));

/**
 * kheap_slab_destroy() - end a cache, and with a module's last one its heap
 * @cache: the cache; NULL is fine
 *
 * Context: Process context. May sleep.
 */
void kheap_slab_destroy(struct kheap_cache *cache);

/**
 * kheap_slab_shrink() - give back what holds no object of a cache
 * @cache: the cache
 *
 * Context: Process context. May sleep.
 * Return: 0 if nothing is left, 1 if there are objects.
 */
int kheap_slab_shrink(struct kheap_cache *cache);

/**
 * kheap_slab_alloc_nofail() - try until there is an object
 * @cache: the cache
 * @gfp: with %__GFP_NOFAIL
 *
 * Context: Process context. Sleeps.
 * Return: The object; NULL only for flags that are refused.
 */
void *kheap_slab_alloc_nofail(struct kheap_cache *cache, gfp_t gfp);

/**
 * kheap_slab_join_lru() - let an object be added to a list by memory cgroup
 * @object: an object of a cache
 * @lru: a list for such objects
 * @gfp: of the request
 *
 * The list gets a part for the group that the object's page is charged to, if
 * there is one.
 *
 * Context: Any context except NMI; sleeps if @gfp allows it.
 * Return: false if there is no memory for that.
 */
bool kheap_slab_join_lru(const void *object, struct list_lru *lru, gfp_t gfp);

/**
 * kheap_slab_free() - free memory if it is a heap's
 * @ptr: any pointer
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: false if @ptr is not in any heap; then nothing was done.
 */
bool kheap_slab_free(const void *ptr);

/**
 * kheap_slab_free_sensitive() - zero memory and free it if it is a heap's
 * @ptr: any pointer
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: false if @ptr is not in any heap; then nothing was done.
 */
bool kheap_slab_free_sensitive(const void *ptr);

/**
 * kheap_slab_free_rcu() - free memory after a grace period if it is a heap's
 * @ptr: any pointer
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: false if @ptr is not in any heap; then nothing was done.
 */
bool kheap_slab_free_rcu(const void *ptr);

/**
 * kheap_slab_ksize() - the usable bytes of memory of a heap
 * @ptr: any pointer
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: Bytes, or 0 if @ptr is not in any heap.
 */
size_t kheap_slab_ksize(const void *ptr);

/**
 * kheap_slab_resize() - make memory of a heap longer or shorter
 * @ptr: memory that kheap_slab_ksize() knows
 * @size: bytes that are wanted; 0 frees it
 * @gfp: of the request; with %__GFP_ZERO, what is spare becomes zero
 * @alloc: where the new place comes from, if it must move
 *
 * Context: As @alloc with @gfp; never in NMI.
 * Return: The memory, at @ptr or elsewhere; %ZERO_SIZE_PTR if @size is 0; NULL,
 * and @ptr is as it was, if @alloc has none or @ptr is not an allocated block,
 * which is reported.
 */
void *kheap_slab_resize(const void *ptr, size_t size, gfp_t gfp,
			void *(*alloc)(size_t size, gfp_t gfp));

/**
 * kheap_slab_heap_of() - get the heap of a module for blocks of no cache
 * @owner: the module; the heap stays until it is gone
 * @gfp: of the request; without all of %GFP_KERNEL no heap is made
 *
 * Context: Any context; sleeps if @gfp allows it.
 * Return: The heap, or NULL if there is none yet and none can be made here.
 */
struct kheap *kheap_slab_heap_of(struct module *owner, gfp_t gfp);

#endif /* _KHEAP_SLAB_CALLS_H */
