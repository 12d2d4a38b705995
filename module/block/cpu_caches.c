// SPDX-License-Identifier: GPL-2.0
/*
 * The per-CPU caches of a class: when they come and go, and whether the fast
 * paths see them.
 */
#include <linux/cache.h>
#include <linux/percpu.h>
#include <linux/rculist.h>
#include <linux/slab.h>

#include "block/cpu_cache.h"

/* Without magazines they are both empty and full. */
static struct kheap_cpu_cache __percpu *caches_alloc(struct kheap_class *class)
{
	struct kheap_cpu_cache __percpu *caches;
	struct kheap_cpu_cache *cache;
	int cpu;

	caches = kheap_meta_alloc_percpu(class->heap, sizeof(*caches),
					 __alignof__(*caches));
	if (!caches)
		return NULL;
	for_each_possible_cpu(cpu) {
		cache = per_cpu_ptr(caches, cpu);
		cache->nil[0] = kheap_class_nil(class);
		cache->base = cache->nil + 1;
		cache->top = cache->base;
		cache->limit = cache->base;
	}
	return caches;
}

static void caches_free(struct kheap_class *class,
			struct kheap_cpu_cache __percpu *caches)
{
	struct kheap_cpu_cache *cache;
	int cpu;

	if (!caches)
		return;
	for_each_possible_cpu(cpu) {
		cache = per_cpu_ptr(caches, cpu);
		kheap_meta_free(class->heap, cache->loaded);
		kheap_meta_free(class->heap, cache->previous);
		kheap_magazines_drop(class, &cache->full);
		kheap_magazines_drop(class, &cache->empty);
		kheap_magazines_drop(class, &cache->outgrown);
	}
	kheap_meta_free_percpu(class->heap, caches, sizeof(*caches));
}

static void choose_cpu(struct kheap_class *class)
{
	lockdep_assert_held(&class->heap->block.class_lock);
	WRITE_ONCE(class->cpu, class->heap->base.watch ? &kheap_cold_cache :
							 class->caches);
}

/* The per-CPU caches of a class are set up: let the fast paths use them. */
static void class_choose_cpu(struct kheap_class *class)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&class->heap->block.class_lock, flags);
	choose_cpu(class);
	raw_spin_unlock_irqrestore(&class->heap->block.class_lock, flags);
}

/*
 * Set why a heap is watched: then the fast paths of all its classes miss. A class
 * that is not in the list yet gets its caches after it is.
 */
void kheap_set_watch(struct kheap *heap, unsigned int watch)
{
	struct kheap_class *class;
	unsigned long flags;

	raw_spin_lock_irqsave(&heap->block.class_lock, flags);
	WRITE_ONCE(heap->base.watch, watch);
	list_for_each_entry(class, &heap->block.class_list, list)
		choose_cpu(class);
	raw_spin_unlock_irqrestore(&heap->block.class_lock, flags);
}

/**
 * kheap_cpu_caches_setup() - give a class its per-CPU caches
 * @class: the class
 * @gfp: what may be done; if that is less than %GFP_KERNEL, the maintenance
 *	work does it soon
 *
 * The caches start without arrays. Until this is done, every request misses.
 * Without memory for it, the maintenance work tries again when it runs anyway.
 */
void kheap_cpu_caches_setup(struct kheap_class *class, gfp_t gfp)
{
	struct kheap_cpu_cache __percpu *cpu, *alien = NULL;

	if (!class->max_slots)
		return;
	if ((gfp & GFP_KERNEL) != GFP_KERNEL) {
		WRITE_ONCE(class->wants_cpu, true);
		kheap_maint_now(class->heap);
		return;
	}
	cpu = caches_alloc(class);
	if (static_branch_unlikely(&kheap_numa_key))
		alien = caches_alloc(class);
	if (!cpu || (static_branch_unlikely(&kheap_numa_key) && !alien)) {
		WRITE_ONCE(class->wants_cpu, true);
		goto out_free;
	}
	if (alien && cmpxchg(&class->alien, NULL, alien))
		goto out_free;
	/* The caches are used as soon as they are seen here. */
	if (cmpxchg(&class->caches, &kheap_cold_cache, cpu) ==
	    &kheap_cold_cache) {
		class_choose_cpu(class);
		return;
	}
	alien = NULL;
out_free:
	caches_free(class, alien);
	caches_free(class, cpu);
}

/* Free the caches of a class that nobody uses any more, full or not. */
void kheap_cpu_caches_exit(struct kheap_class *class)
{
	if (class->caches == &kheap_cold_cache)
		return;
	kheap_depots_drop(class);
	caches_free(class, class->caches);
	caches_free(class, class->alien);
	class->cpu = &kheap_cold_cache;
	class->caches = &kheap_cold_cache;
	class->alien = NULL;
}
