// SPDX-License-Identifier: GPL-2.0
/*
 * kheap: private heaps for kernel modules. Loading and unloading.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpuhotplug.h>
#include <linux/module.h>
#include <linux/random.h>

#include "internal.h"

/*
 * On a kernel with kmemleak, telling it of a block costs more than all the rest
 * of an allocation: suites of millions of them go without.
 */
bool kheap_leak_tracking = true;

/* There is more than one memory node. */
DEFINE_STATIC_KEY_FALSE(kheap_numa_key);

/* Frees have more to do than the fast path: zeroing, or sending blocks home. */
DEFINE_STATIC_KEY_FALSE(kheap_careful_key);

struct kheap_map kheap_map __ro_after_init;
static enum cpuhp_state cpuhp_state;

/**
 * kheap_mm_allowed() - may the page and slab allocators be called here?
 *
 * On PREEMPT_RT they take locks that sleep, so that only a preemptible context
 * may call them; elsewhere every context but NMI may.
 *
 * Return: Whether they may be called here.
 */
bool kheap_mm_allowed(void)
{
	return !IS_ENABLED(CONFIG_PREEMPT_RT) || preemptible();
}

/* A CPU is gone: put what its caches hold back into the pools. */
static int cpu_dead(unsigned int cpu)
{
	struct kheap_class *class;
	struct kheap *heap;

	mutex_lock(&kheap_list_lock);
	list_for_each_entry(heap, &kheap_list, list) {
		mutex_lock(&heap->mutex);
		list_for_each_entry(class, &heap->class_list, list)
			kheap_class_drain_cpu(class, cpu);
		mutex_unlock(&heap->mutex);
	}
	mutex_unlock(&kheap_list_lock);
	return 0;
}

static void __init map_init(void)
{
	kheap_map.base = PAGE_OFFSET;
	kheap_map.nr_pages = kheap_nr_map_pages();
	kheap_map.pages = virt_to_page((void *)PAGE_OFFSET);
	kheap_map.secret = get_random_long() & ~1UL;
}

static int __init kheap_init(void)
{
	int ret;

	if (!kheap_debug_valid())
		return -EINVAL;
	map_init();
	if (nr_node_ids > 1)
		static_branch_enable(&kheap_numa_key);
	if (nr_node_ids > 1 || want_init_on_free())
		static_branch_enable(&kheap_careful_key);
	ret = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN, "mm/kheap:dead",
					NULL, cpu_dead);
	if (ret < 0)
		return ret;
	cpuhp_state = ret;
	ret = kheap_pressure_init();
	if (ret)
		goto undo_cpuhp;
	ret = kheap_slab_init();
	if (ret)
		goto undo_pressure;
	ret = kheap_kasan_init();
	if (ret)
		goto undo_slab;
	kheap_debugfs_init();
	pr_info("loaded: private heaps, %u size classes, statistics in debugfs\n",
		KHEAP_NR_CLASSES);
	return 0;

undo_slab:
	kheap_slab_exit();
undo_pressure:
	kheap_pressure_exit();
undo_cpuhp:
	cpuhp_remove_state_nocalls(cpuhp_state);
	return ret;
}

static void __exit kheap_exit(void)
{
	kheap_debugfs_exit();
	kheap_kasan_exit();
	kheap_slab_exit();
	kheap_pressure_exit();
	cpuhp_remove_state_nocalls(cpuhp_state);
}

module_init(kheap_init);
module_exit(kheap_exit);

MODULE_DESCRIPTION("Private heaps: arenas, pools, objects and a cycle collector");
MODULE_AUTHOR("The kheap developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
