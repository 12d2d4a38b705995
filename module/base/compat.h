/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every difference between the versions of the kernel that kheap is tested on, 6.1
 * to 7.2. A shim names the version or commit that made it necessary. What differs
 * from machine to machine is in arch.h.
 */
#ifndef _KHEAP_COMPAT_H
#define _KHEAP_COMPAT_H

#include <linux/atomic.h>
#include <linux/list_lru.h>
#include <linux/memcontrol.h>
#include <linux/shrinker.h>
#include <linux/stackdepot.h>
#include <linux/version.h>
#include <linux/workqueue.h>

/*
 * Work for any CPU. The queue has its new name since v6.17 (commit
 * 128ea9f6ccfb, "workqueue: Add system_percpu_wq and system_dfl_wq"), and the
 * old one warns.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
#define kheap_unbound_wq	system_dfl_wq
#else
#define kheap_unbound_wq	system_unbound_wq
#endif

/*
 * Shrinkers are allocated by the kernel since v6.7 ("mm: shrinker: add
 * infrastructure for dynamically allocating shrinker"); before, they were the
 * caller's.
 */
typedef unsigned long kheap_shrink_fn(struct shrinker *shrinker,
				      struct shrink_control *control);

static inline struct shrinker *kheap_shrinker_create(kheap_shrink_fn *count,
						     kheap_shrink_fn *scan)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	struct shrinker *shrinker = shrinker_alloc(0, "kheap");

	if (!shrinker)
		return NULL;
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker_register(shrinker);
	return shrinker;
#else
	static struct shrinker shrinker = { .seeks = DEFAULT_SEEKS };

	shrinker.count_objects = count;
	shrinker.scan_objects = scan;
	return register_shrinker(&shrinker, "kheap") ? NULL : &shrinker;
#endif
}

static inline void kheap_shrinker_destroy(struct shrinker *shrinker)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	shrinker_free(shrinker);
#else
	unregister_shrinker(shrinker);
#endif
}

/*
 * The source of a string is named once, in __string(), since v6.10 (commit
 * 2c92ca849fcc, "tracing/treewide: Remove second parameter of __assign_str()").
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
#define kheap_assign_str(field, from)	__assign_str(field, from)
#else
#define kheap_assign_str(field, ...)	__assign_str(field)
#endif

/*
 * try_cmpxchg(), past the checkers. Since v6.5 all architectures have it by this
 * name ("locking/atomic: scripts: restructure fallback ifdeffery"); before, by the
 * other, which some lack since.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#define kheap_raw_try_cmpxchg	raw_try_cmpxchg
#else
#define kheap_raw_try_cmpxchg	arch_try_cmpxchg
#endif

/*
 * Has a list of objects a part for a memory cgroup? The kernel adds to it
 * without a look. What this reads was under CONFIG_MEMCG_KMEM until v6.11 ("mm:
 * remove CONFIG_MEMCG_KMEM").
 */
#if defined(CONFIG_MEMCG_KMEM) || \
	(defined(CONFIG_MEMCG) && LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0))
static inline bool kheap_list_lru_has(struct list_lru *lru,
				      struct mem_cgroup *group)
{
	int id = memcg_kmem_id(group);

	return !lru->memcg_aware || id < 0 || xa_load(&lru->xa, id);
}
#else
static inline bool kheap_list_lru_has(struct list_lru *lru,
				      struct mem_cgroup *group)
{
	return true;
}
#endif

#ifndef CONFIG_STACKDEPOT
#error "kheap: the kernel needs CONFIG_STACKDEPOT, for call sites"
#endif

/*
 * Save a stack, without waiting; with @may_alloc the depot may grow. Flags
 * took the place of the last argument in v6.8 (commit 022012dcf44209,
 * "lib/stackdepot, kasan: add flags to __stack_depot_save and rename").
 */
static inline depot_stack_handle_t
kheap_stack_save(unsigned long *frames, unsigned int nr, bool may_alloc)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	return __stack_depot_save(frames, nr, 0, GFP_NOWAIT | __GFP_NOWARN,
				  may_alloc);
#else
	return stack_depot_save_flags(frames, nr, GFP_NOWAIT | __GFP_NOWARN,
				      may_alloc ? STACK_DEPOT_FLAG_CAN_ALLOC :
						  0);
#endif
}

#endif /* _KHEAP_COMPAT_H */
