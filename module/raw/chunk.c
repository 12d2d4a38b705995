// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptors of an arena's pools, a few at a time: an arena that few blocks
 * pin keeps those of the pools around them only. All 64 are as large as a page.
 */
#include <linux/cache.h>

#include "raw/raw.h"

const struct kheap_tenants *kheap_tenants __ro_after_init;

static unsigned int chunk_nr_pools(const struct kheap_arena *arena,
				   unsigned int chunk)
{
	return min(arena->nr_totalpools - chunk * KHEAP_CHUNK_POOLS,
		   KHEAP_CHUNK_POOLS);
}

/* Give @arena descriptors that it lacks; all are holes. */
static void chunk_install(struct kheap_arena *arena, unsigned int chunk,
			  struct kheap_pool *pools)
{
	unsigned int i;

	for (i = 0; i < chunk_nr_pools(arena, chunk); i++) {
		pools[i].arena = arena;
		pools[i].class = kheap_tenants->nobody;
		pools[i].state = KHEAP_POOL_HOLE;
	}
	/* Pairs with kheap_arena_pool() of a walker without the lock. */
	smp_store_release(&arena->chunks[chunk], pools);
}

static bool chunk_is_all_holes(const struct kheap_arena *arena,
			       unsigned int chunk)
{
	const struct kheap_pool *pools = arena->chunks[chunk];
	unsigned int i;

	if (!pools)
		return false;
	for (i = 0; i < chunk_nr_pools(arena, chunk); i++)
		if (pools[i].state != KHEAP_POOL_HOLE)
			return false;
	return true;
}

/* Descriptors for an arena of @set to have, or NULL. */
struct kheap_pool *kheap_chunk_alloc(struct kheap_arena_set *set,
				     unsigned int nr_pools, gfp_t gfp)
{
	return kheap_meta_alloc(set->heap, nr_pools * sizeof(struct kheap_pool),
				gfp, set->node);
}

/*
 * Detach the bits that a pool has outside its descriptor, if any. Return them,
 * for kheap_meta_free(). Nobody looks at the pool, or the set's lock is held.
 */
void *kheap_pool_detach_map(struct kheap_pool *pool)
{
	void *map = pool->sz_map ? (void *)pool->map : NULL;

	pool->sz_map = 0;
	pool->map = 0;
	return map;
}

/* Free what kheap_arena_shed_chunks() collected. No kheap lock held. */
void kheap_chunks_free(struct kheap *heap, struct list_head *chunks)
{
	struct kheap_pool *pools, *next;

	list_for_each_entry_safe(pools, next, chunks, list)
		kheap_meta_free(heap, pools);
}

/* Describe all pools of a new arena, as holes. */
bool kheap_arena_alloc_chunks(struct kheap_arena *arena, gfp_t gfp)
{
	struct kheap_pool *pools;
	unsigned int chunk;

	for (chunk = 0; chunk * KHEAP_CHUNK_POOLS < arena->nr_totalpools;
	     chunk++) {
		pools = kheap_chunk_alloc(arena->set,
					  chunk_nr_pools(arena, chunk), gfp);
		if (!pools) {
			kheap_arena_free_chunks(arena);
			return false;
		}
		chunk_install(arena, chunk, pools);
	}
	return true;
}

/* Free all descriptors of an arena that is in no set any more. */
void kheap_arena_free_chunks(struct kheap_arena *arena)
{
	unsigned int chunk;

	for (chunk = 0; chunk < KHEAP_ARENA_CHUNKS; chunk++)
		kheap_meta_free(arena->set->heap, arena->chunks[chunk]);
}

/*
 * Move chunks of nothing but holes onto @chunks; under the set's lock. Nobody
 * walks through the arena.
 */
void kheap_arena_shed_chunks(struct kheap_arena *arena,
			     struct list_head *chunks)
{
	unsigned int chunk;

	lockdep_assert_held(&arena->set->lock);
	for (chunk = 0; chunk < KHEAP_ARENA_CHUNKS; chunk++) {
		if (!chunk_is_all_holes(arena, chunk))
			continue;
		list_add(&arena->chunks[chunk]->list, chunks);
		arena->chunks[chunk] = NULL;
		arena->nr_bare += chunk_nr_pools(arena, chunk);
	}
}

/* Put @pools in the place of a chunk that was shed; under the set's lock. */
void kheap_arena_regain_chunk(struct kheap_arena *arena,
			      struct kheap_pool *pools)
{
	unsigned int chunk = 0;

	lockdep_assert_held(&arena->set->lock);
	while (arena->chunks[chunk])
		chunk++;
	chunk_install(arena, chunk, pools);
	arena->nr_bare -= chunk_nr_pools(arena, chunk);
}

/* A hole that has a descriptor, or NULL; under the set's lock. */
struct kheap_pool *kheap_arena_first_hole(const struct kheap_arena *arena)
{
	struct kheap_pool *pool;
	unsigned int i;

	kheap_for_each_pool(pool, arena, i)
		if (pool->state == KHEAP_POOL_HOLE)
			return pool;
	return NULL;
}
