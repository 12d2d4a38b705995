// SPDX-License-Identifier: GPL-2.0
/*
 * Memory pressure: what all heaps give back when the system runs short. Pages
 * that are empty go first; then the blocks in magazines go home, so that more
 * pages become empty.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/rculist.h>

#include "main.h"

static struct shrinker *shrinker;

/* Pages that the depots of a heap may pin. */
static unsigned long depot_pages(struct kheap *heap)
{
	struct kheap_class *class;
	size_t bytes = 0;
	int nid;

	rcu_read_lock();
	list_for_each_entry_rcu(class, &heap->block.class_list, list)
		for (nid = 0; nid < nr_node_ids; nid++)
			bytes += READ_ONCE(class->node[nid].depot.nr_blocks) *
				 class->size;
	rcu_read_unlock();
	return bytes >> PAGE_SHIFT;
}

/*
 * Pages that @heap might give back. The magazines of the CPUs are not looked
 * at: as long as one has a block, the maintenance work is to come, and they
 * count as a page a CPU.
 */
static unsigned long freeable_pages(struct kheap *heap)
{
	struct kheap_arena_set *set;
	unsigned long nr = 0;
	unsigned int i;

	kheap_for_each_set(set, heap, i)
		nr += READ_ONCE(set->nr_empty) << set->span;
	if (READ_ONCE(heap->base.maint_armed))
		nr += num_online_cpus() + depot_pages(heap);
	return nr;
}

/**
 * kheap_give_back_all() - empty the magazines, and return all empty pools
 * @heap: the heap
 *
 * Context: Process context, interrupts on, under heap->base.mutex, any lock of a
 * client held.
 */
void kheap_give_back_all(struct kheap *heap)
{
	struct kheap_class *class;

	lockdep_assert_held(&heap->base.mutex);
	list_for_each_entry(class, &heap->block.class_list, list)
		kheap_class_drain(class, false);
	kheap_arenas_trim(heap);
}

/*
 * Have all heaps give back, one after the other, until @nr pages are free. A
 * drain gives back as well; others' frees meanwhile count, which does no harm.
 */
static unsigned long give_back(void (*how)(struct kheap *heap),
			       unsigned long nr)
{
	unsigned long freed = 0, before;
	struct kheap *heap;

	lockdep_assert_held(&kheap_list_lock);
	list_for_each_entry(heap, &kheap_list, base.list) {
		if (freed >= nr)
			break;
		if (!mutex_trylock(&heap->base.mutex))
			continue;
		before = atomic_long_read(&heap->raw.nr_pages_freed);
		how(heap);
		freed += atomic_long_read(&heap->raw.nr_pages_freed) - before;
		mutex_unlock(&heap->base.mutex);
	}
	return freed;
}

/**
 * kheap_pressure_count() - estimate what all heaps could give back
 *
 * Reads a few words a heap, and class in use, and waits for nobody.
 *
 * Context: Process context, any lock of a client held.
 * Return: Pages; 0 if the list of heaps is being changed.
 */
unsigned long kheap_pressure_count(void)
{
	unsigned long nr = 0;
	struct kheap *heap;

	if (!mutex_trylock(&kheap_list_lock))
		return 0;
	list_for_each_entry(heap, &kheap_list, base.list)
		nr += freeable_pages(heap);
	mutex_unlock(&kheap_list_lock);
	return nr;
}

/**
 * kheap_pressure_scan() - have all heaps give back what they can
 * @nr: pages that would do
 *
 * This may be called inside an allocation that kheap, or a client with locks
 * of its own, is making. So no lock is waited for that is held across an
 * allocation: a mutex is tried, and a heap that is busy is left alone.
 *
 * Context: Process context, interrupts on, any lock of a client held.
 * Return: Pages given back.
 */
unsigned long kheap_pressure_scan(unsigned long nr)
{
	unsigned long freed;

	if (!mutex_trylock(&kheap_list_lock))
		return 0;
	freed = give_back(kheap_arenas_trim, nr);
	if (freed < nr)
		freed += give_back(kheap_give_back_all, nr - freed);
	mutex_unlock(&kheap_list_lock);
	return freed;
}

static unsigned long count_objects(struct shrinker *unused,
				   struct shrink_control *control)
{
	return kheap_pressure_count();
}

static unsigned long scan_objects(struct shrinker *unused,
				  struct shrink_control *control)
{
	unsigned long freed = kheap_pressure_scan(control->nr_to_scan);

	return freed ?: SHRINK_STOP;
}

int __init kheap_pressure_init(void)
{
	shrinker = kheap_shrinker_create(count_objects, scan_objects);
	return shrinker ? 0 : -ENOMEM;
}

void kheap_pressure_exit(void)
{
	kheap_shrinker_destroy(shrinker);
}
