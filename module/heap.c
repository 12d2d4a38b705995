// SPDX-License-Identifier: GPL-2.0
/*
 * Heaps: creation, maintenance and destruction, by who knows all layers.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/random.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "main.h"
#include "watch/callsite.h"

/* --- Maintenance -------------------------------------------------------- */

/* Blocks that were freed in NMI wait for the sweep of those parked. */
static void sweep_from_nmi(struct irq_work *work)
{
	kheap_rcu_arm(container_of(work, struct kheap, block.nmi_work));
}

static void maint(struct work_struct *work)
{
	struct kheap *heap = container_of(to_delayed_work(work), struct kheap,
					  base.maint);
	struct kheap_class *class;
	bool again = false;

	kheap_finish_deferred(heap);
	mutex_lock(&heap->base.mutex);
	WRITE_ONCE(heap->base.maint_armed, false);
	smp_mb(); /* Pairs with kheap_maint_later(): the flag, then the caches. */
	list_for_each_entry(class, &heap->block.class_list, list) {
		if (READ_ONCE(class->wants_cpu)) {
			WRITE_ONCE(class->wants_cpu, false);
			kheap_cpu_caches_setup(class, GFP_KERNEL);
		}
		again |= kheap_class_drain(class, true);
	}
	again |= kheap_arenas_trim_idle(heap);
	mutex_unlock(&heap->base.mutex);
	if (again)
		kheap_maint_later(heap);
}

size_t kheap_trim(struct kheap *heap)
{
	unsigned long nr_freed = atomic_long_read(&heap->raw.nr_pages_freed);

	might_sleep();
	kheap_objects_trim(heap);
	kheap_rcu_flush(heap);
	kheap_finish_deferred(heap);
	mutex_lock(&heap->base.mutex);
	kheap_give_back_all(heap);
	mutex_unlock(&heap->base.mutex);
	nr_freed = atomic_long_read(&heap->raw.nr_pages_freed) - nr_freed;
	return nr_freed << PAGE_SHIFT;
}
EXPORT_SYMBOL_GPL(kheap_trim);

/* --- Creation ----------------------------------------------------------- */

static struct page *system_pages_alloc(void *ctx, gfp_t gfp,
				       unsigned int order, int node)
{
	return alloc_pages_node(node, gfp, order);
}

static void system_pages_free(void *ctx, struct page *page, unsigned int order)
{
	__free_pages(page, order);
}

static const struct kheap_page_ops system_page_ops = {
	.alloc = system_pages_alloc,
	.free = system_pages_free,
};

static struct kheap *find_heap(const char *name)
{
	struct kheap *heap;

	lockdep_assert_held(&kheap_list_lock);
	list_for_each_entry(heap, &kheap_list, base.list)
		if (!strcmp(heap->base.name, name))
			return heap;
	return NULL;
}

/* Is there a heap with @name, or a file beside the heaps' folders? */
static bool name_taken(const char *name)
{
	return !strcmp(name, "heaps") || find_heap(name);
}

static void init_fields(struct kheap *heap, const char *name)
{
	unsigned int i;

	strscpy(heap->base.name, name, sizeof(heap->base.name));
	for (i = 0; i < ARRAY_SIZE(heap->block.by_words); i++)
		heap->block.by_words[i] = &kheap_cold_class;
	heap->watch.secret = get_random_long();
	heap->block.tag = kheap_new_tag();
	mutex_init(&heap->base.mutex);
	raw_spin_lock_init(&heap->block.class_lock);
	raw_spin_lock_init(&heap->raw.large_lock);
	kheap_inject_init(heap);
	raw_spin_lock_init(&heap->limit.lock);
	INIT_LIST_HEAD(&heap->limit.calls);
	INIT_LIST_HEAD(&heap->block.class_list);
	heap->raw.large = RB_ROOT;
	INIT_DELAYED_WORK(&heap->base.maint, maint);
	init_llist_head(&heap->raw.released);
	init_llist_head(&heap->raw.dead_large);
	init_irq_work(&heap->block.nmi_work, sweep_from_nmi);
	kheap_rcu_init(heap);
	heap->gc.threshold = KHEAP_GC_THRESHOLD;
}

static void init_params(struct kheap *heap, const struct kheap_params *params)
{
	static const struct kheap_params defaults;

	if (!params)
		params = &defaults;
	heap->base.flags = params->flags;
	heap->base.limit_bytes = params->limit_bytes;
	heap->limit.on_limit = params->on_limit;
	heap->limit.ctx = params->limit_ctx;
	heap->raw.page_ops = params->page_ops ?: &system_page_ops;
	heap->raw.page_ctx = params->page_ctx;
}

/* All that a heap held has gone back, but for itself; or kheap has lost it. */
static void check_end_of_account(struct kheap *heap)
{
	size_t left = ksize(heap) + ksize(heap->raw.sets);
	long off_held = atomic_long_read(&heap->base.held_bytes) - left;
	long off_meta = atomic_long_read(&heap->base.metadata_bytes) - left;

	if (off_held || off_meta)
		pr_err("heap '%s': account is off at its end: %ld bytes, metadata %ld bytes\n",
		       heap->base.name, off_held, off_meta);
}

static void heap_free(struct kheap *heap)
{
	if (heap->raw.sets) {
		kheap_arenas_destroy(heap);
		check_end_of_account(heap);
	}
	kfree(heap->raw.sets);
	kfree(heap);
}

/* A heap that is in no list and has no folder yet. */
static struct kheap *heap_alloc(const char *name,
				const struct kheap_params *params)
{
	size_t nr_sets = KHEAP_NR_SPANS * nr_node_ids;
	struct kheap *heap;
	size_t bytes;

	heap = kzalloc(sizeof(*heap), GFP_KERNEL);
	if (!heap)
		return NULL;
	init_fields(heap, name);
	init_params(heap, params);
	heap->raw.sets = kcalloc(nr_sets, sizeof(*heap->raw.sets), GFP_KERNEL);
	if (!heap->raw.sets) {
		heap_free(heap);
		return NULL;
	}
	bytes = ksize(heap) + ksize(heap->raw.sets);
	kheap_charge_more(heap, bytes);
	atomic_long_add(bytes, &heap->base.metadata_bytes);
	if (kheap_arena_set_create(heap, 0, numa_mem_id(), GFP_KERNEL)) {
		heap_free(heap);
		return NULL;
	}
	return heap;
}

/**
 * kheap_create_for() - as kheap_create(), for a caller further up
 * @name: as for kheap_create()
 * @params: as for kheap_create()
 * @caller: an address in the function that is named as the heap's creator
 *
 * Return: As kheap_create().
 */
struct kheap *kheap_create_for(const char *name,
			       const struct kheap_params *params,
			       unsigned long caller)
{
	struct kheap *heap;

	might_sleep();
	if (!kheap_name_valid(name) ||
	    (params && (params->flags & ~KHEAP_FLAGS_ALL)) ||
	    (params && params->page_ops &&
	     (!params->page_ops->alloc || !params->page_ops->free)))
		return ERR_PTR(-EINVAL);
	heap = heap_alloc(name, params);
	if (!heap)
		return ERR_PTR(-ENOMEM);
	/* Now, because the code of a client's init function may go away. */
	snprintf(heap->base.creator, sizeof(heap->base.creator), "%ps",
		 (void *)caller);

	mutex_lock(&kheap_list_lock);
	if (name_taken(name)) {
		mutex_unlock(&kheap_list_lock);
		heap_free(heap);
		return ERR_PTR(-EEXIST);
	}
	__module_get(THIS_MODULE);
	raw_spin_lock_irq(&kheap_list_raw);
	list_add_tail(&heap->base.list, &kheap_list);
	raw_spin_unlock_irq(&kheap_list_raw);
	kheap_watch_new(heap);
	kheap_debugfs_add(heap);
	mutex_unlock(&kheap_list_lock);
	kheap_callsites_new(heap);
	kheap_debug_init(heap);
	return heap;
}

struct kheap *kheap_create(const char *name, const struct kheap_params *params)
{
	return kheap_create_for(name, params, _RET_IP_);
}
EXPORT_SYMBOL_GPL(kheap_create);

/* --- Destruction -------------------------------------------------------- */

static void report_live(struct kheap *heap, const struct kheap_stats *stats)
{
	struct kheap_class *class;

	if (!stats->nr_allocated && !stats->nr_large)
		return;
	pr_warn("heap '%s' destroyed with %lu live blocks, %zu bytes\n",
		heap->base.name, stats->nr_allocated + stats->nr_large,
		stats->allocated_bytes + stats->large_bytes);
	list_for_each_entry(class, &heap->block.class_list, list)
		kheap_class_report_live(class);
	if (stats->nr_large)
		pr_warn("  %lu large, %zu bytes\n", stats->nr_large,
			stats->large_bytes);
	kheap_callsites_report(heap, NULL);
}

/*
 * Who can still be at the heap when its memory goes:
 * 1. The client: by contract not, neither by calls nor by blocks.
 * 2. Readers of debugfs: kheap_debugfs_del() waits for those inside.
 * 3. kheap_list walkers (heaps file, CPU hotplug): they hold kheap_list_lock,
 *    and the heap leaves the list under it.
 * 4. The NMI work, the RCU work that it starts, then the maintenance work that
 *    this one starts: each is waited for, in this order, and nobody is left to start them again.
 */
void kheap_destroy(struct kheap *heap)
{
	struct kheap_class *class, *next;
	struct kheap_stats stats;

	if (IS_ERR_OR_NULL(heap))
		return;
	might_sleep();
	kheap_debugfs_del(heap);
	mutex_lock(&kheap_list_lock);
	raw_spin_lock_irq(&kheap_list_raw);
	list_del(&heap->base.list);
	raw_spin_unlock_irq(&kheap_list_raw);
	mutex_unlock(&kheap_list_lock);
	/* What is alive is counted while nobody drains caches. */
	cancel_delayed_work_sync(&heap->base.maint);
	kheap_objects_exit(heap);
	irq_work_sync(&heap->block.nmi_work);
	kheap_rcu_exit(heap);
	cancel_delayed_work_sync(&heap->base.maint);
	kheap_finish_deferred(heap);
	cancel_delayed_work_sync(&heap->base.maint);

	kheap_get_stats(heap, &stats);
	report_live(heap, &stats);
	kheap_trace_heap_end(heap, &stats);
	kheap_callsites_stop(heap);
	kheap_watch_end(heap);
	kheap_forget_blocks(heap);
	kheap_large_destroy(heap);
	kheap_objects_free(heap);
	list_for_each_entry_safe(class, next, &heap->block.class_list, list) {
		kheap_cpu_caches_exit(class);
		kheap_class_free(class);
	}
	heap_free(heap);
	module_put(THIS_MODULE);
}
EXPORT_SYMBOL_GPL(kheap_destroy);
