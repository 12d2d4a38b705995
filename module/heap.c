// SPDX-License-Identifier: GPL-2.0
/*
 * Heaps: creation, names, the account of what they hold, maintenance, and
 * destruction.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ctype.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "watch/callsite.h"
#include "block/cpu_cache.h"
#include "object/object.h"

/* How often idle caches and pools are looked for, while there may be some. */
#define IDLE_INTERVAL	(2 * HZ)

DEFINE_MUTEX(kheap_list_lock);
LIST_HEAD(kheap_list);
DEFINE_RAW_SPINLOCK(kheap_list_raw);

/* --- The account -------------------------------------------------------- */

/* What was charged has been had: it may be the most that was ever held. */
void kheap_note_peak(struct kheap *heap)
{
	long held = atomic_long_read(&heap->held_bytes);
	long peak = atomic_long_read(&heap->peak_bytes);

	while (held > peak &&
	       !atomic_long_try_cmpxchg(&heap->peak_bytes, &peak, held))
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
	long held = atomic_long_read(&heap->held_bytes);

	do {
		if (heap->limit_bytes && held + bytes > heap->limit_bytes)
			return false;
	} while (!atomic_long_try_cmpxchg(&heap->held_bytes, &held,
					  held + bytes));
	return true;
}

/* Descriptors that can come with a pool: an arena set, an arena, and bits. */
#define DESCRIPTOR_BYTES						\
	(512 + roundup_pow_of_two(sizeof(struct kheap_arena_set)))

/* Would another @bytes and their descriptors exceed the limit of the heap? */
bool kheap_at_limit(const struct kheap *heap, size_t bytes)
{
	bytes += DESCRIPTOR_BYTES;
	return heap->limit_bytes &&
	       atomic_long_read(&heap->held_bytes) + bytes > heap->limit_bytes;
}

/* Account for memory that is there already, whatever the limit says. */
void kheap_charge_more(struct kheap *heap, size_t bytes)
{
	atomic_long_add(bytes, &heap->held_bytes);
	kheap_note_peak(heap);
}

void kheap_uncharge(struct kheap *heap, size_t bytes)
{
	atomic_long_sub(bytes, &heap->held_bytes);
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
	atomic_long_add(bytes, &heap->metadata_bytes);
	return true;
}

/* Undo kheap_meta_charge(): the memory was not to be had, or is gone. */
void kheap_meta_uncharge(struct kheap *heap, size_t bytes)
{
	atomic_long_sub(bytes, &heap->metadata_bytes);
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

/* --- Maintenance -------------------------------------------------------- */

/* Have the maintenance work run as soon as may be. Any context except NMI. */
void kheap_maint_now(struct kheap *heap)
{
	mod_delayed_work(kheap_unbound_wq, &heap->maint, 0);
}

/*
 * Have it look for what is idle in a while. Cheap when it is to already: then
 * it has yet to look, and will see what the caller did before.
 */
void kheap_maint_later(struct kheap *heap)
{
	smp_mb(); /* Pairs with maint(): a cache that is awake, then the flag. */
	if (READ_ONCE(heap->maint_armed))
		return;
	WRITE_ONCE(heap->maint_armed, true);
	queue_delayed_work(kheap_unbound_wq, &heap->maint, IDLE_INTERVAL);
}

/* Blocks that were freed in NMI wait for the sweep of those parked. */
static void sweep_from_nmi(struct irq_work *work)
{
	kheap_rcu_arm(container_of(work, struct kheap, nmi_work));
}

/* Do what had to be left when it arose; where memory may be freed. */
void kheap_finish_deferred(struct kheap *heap)
{
	kheap_arenas_release_deferred(heap);
	kheap_large_free_deferred(heap);
}

static void maint(struct work_struct *work)
{
	struct kheap *heap = container_of(to_delayed_work(work), struct kheap,
					  maint);
	struct kheap_class *class;
	bool again = false;

	kheap_finish_deferred(heap);
	mutex_lock(&heap->mutex);
	WRITE_ONCE(heap->maint_armed, false);
	smp_mb(); /* Pairs with kheap_maint_later(): the flag, then the caches. */
	list_for_each_entry(class, &heap->class_list, list) {
		if (READ_ONCE(class->wants_cpu)) {
			WRITE_ONCE(class->wants_cpu, false);
			kheap_cpu_caches_setup(class, GFP_KERNEL);
		}
		again |= kheap_class_drain(class, true);
	}
	again |= kheap_arenas_trim_idle(heap);
	mutex_unlock(&heap->mutex);
	if (again)
		kheap_maint_later(heap);
}

size_t kheap_trim(struct kheap *heap)
{
	unsigned long nr_freed = atomic_long_read(&heap->nr_pages_freed);

	might_sleep();
	kheap_objects_trim(heap);
	kheap_rcu_flush(heap);
	kheap_finish_deferred(heap);
	mutex_lock(&heap->mutex);
	kheap_give_back_all(heap);
	mutex_unlock(&heap->mutex);
	nr_freed = atomic_long_read(&heap->nr_pages_freed) - nr_freed;
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

/* Is @name fit for a heap, a cache or a type, and as a file's name? */
bool kheap_name_valid(const char *name)
{
	size_t len;

	if (!name || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (len = 0; name[len]; len++)
		if (len == KHEAP_NAME_MAX ||
		    !(isascii(name[len]) && (isalnum(name[len]) ||
					     strchr("_.-", name[len]))))
			return false;
	return len;
}

static struct kheap *find_heap(const char *name)
{
	struct kheap *heap;

	lockdep_assert_held(&kheap_list_lock);
	list_for_each_entry(heap, &kheap_list, list)
		if (!strcmp(heap->name, name))
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

	strscpy(heap->name, name, sizeof(heap->name));
	for (i = 0; i < ARRAY_SIZE(heap->by_words); i++)
		heap->by_words[i] = &kheap_cold_class;
	heap->secret = get_random_long();
	heap->tag = kheap_new_tag();
	mutex_init(&heap->mutex);
	raw_spin_lock_init(&heap->class_lock);
	raw_spin_lock_init(&heap->large_lock);
	kheap_inject_init(heap);
	raw_spin_lock_init(&heap->limit_lock);
	INIT_LIST_HEAD(&heap->limit_calls);
	INIT_LIST_HEAD(&heap->class_list);
	heap->large = RB_ROOT;
	INIT_DELAYED_WORK(&heap->maint, maint);
	init_llist_head(&heap->released);
	init_llist_head(&heap->dead_large);
	init_irq_work(&heap->nmi_work, sweep_from_nmi);
	kheap_rcu_init(heap);
	heap->gc_threshold = KHEAP_GC_THRESHOLD;
}

static void init_params(struct kheap *heap, const struct kheap_params *params)
{
	static const struct kheap_params defaults;

	if (!params)
		params = &defaults;
	heap->flags = params->flags;
	heap->limit_bytes = params->limit_bytes;
	heap->on_limit = params->on_limit;
	heap->limit_ctx = params->limit_ctx;
	heap->page_ops = params->page_ops ?: &system_page_ops;
	heap->page_ctx = params->page_ctx;
}

/* All that a heap held has gone back, but for itself; or kheap has lost it. */
static void check_end_of_account(struct kheap *heap)
{
	size_t left = ksize(heap) + ksize(heap->sets);
	long off_held = atomic_long_read(&heap->held_bytes) - left;
	long off_meta = atomic_long_read(&heap->metadata_bytes) - left;

	if (off_held || off_meta)
		pr_err("heap '%s': account is off at its end: %ld bytes, metadata %ld bytes\n",
		       heap->name, off_held, off_meta);
}

static void heap_free(struct kheap *heap)
{
	if (heap->sets) {
		kheap_arenas_destroy(heap);
		check_end_of_account(heap);
	}
	kfree(heap->sets);
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
	heap->sets = kcalloc(nr_sets, sizeof(*heap->sets), GFP_KERNEL);
	if (!heap->sets) {
		heap_free(heap);
		return NULL;
	}
	bytes = ksize(heap) + ksize(heap->sets);
	kheap_charge_more(heap, bytes);
	atomic_long_add(bytes, &heap->metadata_bytes);
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
	snprintf(heap->creator, sizeof(heap->creator), "%ps", (void *)caller);

	mutex_lock(&kheap_list_lock);
	if (name_taken(name)) {
		mutex_unlock(&kheap_list_lock);
		heap_free(heap);
		return ERR_PTR(-EEXIST);
	}
	__module_get(THIS_MODULE);
	raw_spin_lock_irq(&kheap_list_raw);
	list_add_tail(&heap->list, &kheap_list);
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

static void report_live(struct kheap *heap)
{
	struct kheap_stats stats;
	struct kheap_class *class;

	kheap_get_stats(heap, &stats);
	if (!stats.nr_allocated && !stats.nr_large)
		return;
	pr_warn("heap '%s' destroyed with %lu live blocks, %zu bytes\n",
		heap->name, stats.nr_allocated + stats.nr_large,
		stats.allocated_bytes + stats.large_bytes);
	list_for_each_entry(class, &heap->class_list, list)
		kheap_class_report_live(class);
	if (stats.nr_large)
		pr_warn("  %lu large, %zu bytes\n", stats.nr_large,
			stats.large_bytes);
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

	if (IS_ERR_OR_NULL(heap))
		return;
	might_sleep();
	kheap_debugfs_del(heap);
	mutex_lock(&kheap_list_lock);
	raw_spin_lock_irq(&kheap_list_raw);
	list_del(&heap->list);
	raw_spin_unlock_irq(&kheap_list_raw);
	mutex_unlock(&kheap_list_lock);
	/* What is alive is counted while nobody drains caches. */
	cancel_delayed_work_sync(&heap->maint);
	kheap_objects_exit(heap);
	irq_work_sync(&heap->nmi_work);
	kheap_rcu_exit(heap);
	cancel_delayed_work_sync(&heap->maint);
	kheap_finish_deferred(heap);
	cancel_delayed_work_sync(&heap->maint);

	report_live(heap);
	kheap_trace_heap_end(heap);
	kheap_callsites_stop(heap);
	kheap_watch_end(heap);
	kheap_forget_blocks(heap);
	kheap_large_destroy(heap);
	kheap_objects_free(heap);
	list_for_each_entry_safe(class, next, &heap->class_list, list) {
		kheap_cpu_caches_exit(class);
		kheap_class_free(class);
	}
	heap_free(heap);
	module_put(THIS_MODULE);
}
EXPORT_SYMBOL_GPL(kheap_destroy);
