// SPDX-License-Identifier: GPL-2.0
/*
 * kheap: private heaps for kernel modules. Loading and unloading.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpuhotplug.h>
#include <linux/module.h>
#include <linux/random.h>

#include "main.h"

static enum cpuhp_state cpuhp_state;

/* A CPU is gone: put what its caches hold back into the pools. */
static int cpu_dead(unsigned int cpu)
{
	struct kheap_class *class;
	struct kheap *heap;

	mutex_lock(&kheap_list_lock);
	list_for_each_entry(heap, &kheap_list, base.list) {
		mutex_lock(&heap->base.mutex);
		list_for_each_entry(class, &heap->block.class_list, list)
			kheap_class_drain_cpu(class, cpu);
		mutex_unlock(&heap->base.mutex);
	}
	mutex_unlock(&kheap_list_lock);
	return 0;
}

/* Each layer, from the bottom up, tells those below what it does for them. */
static void __init layers_init(void)
{
	kheap_map_init();
	kheap_block_init();
	kheap_gc_init();
	kheap_watch_init();
	kheap_report_init();
	kheap_limit_init();
}

static int __init kheap_init(void)
{
	int ret;

	if (!kheap_debug_valid())
		return -EINVAL;
	layers_init();
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
	kheap_debugfs_init(kheap_trim);
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
