// SPDX-License-Identifier: GPL-2.0
/*
 * Types of objects: a class of blocks and the callbacks that go with it; and
 * the walk over all objects there are.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/log2.h>
#include <linux/module.h>
#include <linux/sched/clock.h>

#include "object/object.h"

/* How many live objects are listed when a type cannot be destroyed. */
#define NR_LISTED	8

/* --- Creation ----------------------------------------------------------- */

static bool ops_valid(const struct kheap_type_ops *ops)
{
	return ops && kheap_name_valid(ops->name) &&
	       ops->size >= sizeof(struct kheap_object) &&
	       ops->size <= KHEAP_CACHE_SIZE_MAX - sizeof(struct hlist_head) &&
	       (!ops->align || is_power_of_2(ops->align)) &&
	       ops->align <= KHEAP_CACHE_ALIGN_MAX &&
	       !(ops->flags & ~KHEAP_TYPE_FLAGS_ALL);
}

static size_t set_layout(struct kheap_type *type)
{
	const struct kheap_type_ops *ops = &type->ops;

	if (!(ops->flags & KHEAP_TYPE_WEAK))
		return ops->size;
	type->weak_offset = ALIGN(ops->size, sizeof(struct hlist_head));
	return type->weak_offset + sizeof(struct hlist_head);
}

static int type_init(struct kheap_type *type, struct kheap *heap,
		     const struct kheap_type_ops *ops)
{
	size_t size;
	int err;

	type->ops = *ops;
	type->heap = heap;
	size = set_layout(type);
	type->gc_new = ops->traverse ? KHEAP_GC_NEW : KHEAP_GC_BUFFERED;
	type->plain = !ops->release && !ops->traverse && !ops->clear &&
		      !ops->finalize && !ops->flags;
	type->class.type = type;
	type->class.nr_held = &type->nr_held;
	err = kheap_class_init(&type->class, heap, ops->name, size,
			       max_t(size_t, ops->align, sizeof(long)), NULL);
	if (err)
		return err;
	type->ops.name = type->class.name;
	type->nr_created = kheap_meta_alloc_percpu(heap,
						   sizeof(*type->nr_created),
						   sizeof(*type->nr_created));
	return type->nr_created ? 0 : -ENOMEM;
}

/* The heap's collector, made with the first type; under heap->base.mutex. */
static struct kheap_gc *gc_of(struct kheap *heap)
{
	struct kheap_gc *gc = heap->object.gc;

	if (gc)
		return gc;
	gc = kheap_gc_ops->create(heap);
	/* Whoever reads it without the mutex follows it. */
	smp_store_release(&heap->object.gc, gc);
	return gc;
}

static void publish(struct kheap_type *type)
{
	struct kheap_gc *gc = type->gc;

	if (type->ops.finalize)
		WRITE_ONCE(gc->has_finalize, true);
	if (type->weak_offset)
		WRITE_ONCE(gc->has_weak, true);
	kheap_class_publish(&type->class);
}

static int type_add(struct kheap *heap, struct kheap_type *type)
{
	int err = 0;

	mutex_lock(&heap->base.mutex);
	type->gc = gc_of(heap);
	if (!type->gc)
		err = -ENOMEM;
	else if (kheap_class_find(heap, type->class.name))
		err = -EEXIST;
	else
		publish(type);
	mutex_unlock(&heap->base.mutex);
	return err;
}

struct kheap_type *kheap_type_create(struct kheap *heap,
				     const struct kheap_type_ops *ops)
{
	struct kheap_type *type;
	int err;

	might_sleep();
	if (!ops_valid(ops))
		return ERR_PTR(-EINVAL);
	type = kheap_meta_alloc(heap, struct_size(type, class.node, nr_node_ids),
				GFP_KERNEL, NUMA_NO_NODE);
	if (!type)
		return ERR_PTR(-ENOMEM);
	err = type_init(type, heap, ops);
	if (!err)
		err = type_add(heap, type);
	if (err) {
		kheap_type_exit(type);
		kheap_class_free(&type->class);
		return ERR_PTR(err);
	}
	kheap_cpu_caches_setup(&type->class, GFP_KERNEL);
	return type;
}
EXPORT_SYMBOL_GPL(kheap_type_create);

/* What a type has besides its class. */
void kheap_type_exit(struct kheap_type *type)
{
	kheap_meta_free_percpu(type->heap, type->nr_created,
			       sizeof(*type->nr_created));
}

/* --- Counts ------------------------------------------------------------- */

unsigned long kheap_type_nr_live(struct kheap_type *type)
{
	long nr_held = atomic_long_read(&type->nr_held);
	struct kheap_class_stats stats;

	kheap_class_get_stats(&type->class, &stats);
	return max(0L, (long)stats.nr_allocated - nr_held);
}

unsigned long kheap_type_nr_created(const struct kheap_type *type)
{
	unsigned long nr = 0;
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		nr += READ_ONCE(*per_cpu_ptr(type->nr_created, cpu));
	return nr;
}

/* --- Walking ------------------------------------------------------------ */

static void look_at_pool(struct kheap_walk *walk, struct kheap_pool *pool)
{
	if (walk->look_at_pool)
		walk->look_at_pool(walk, pool);
	else
		kheap_look_at_pool(walk, pool, walk->look);
}

/*
 * The type of a pool's class, and the number of its blocks. A cache may end
 * meanwhile: the grace period of kheap_class_exit() keeps its class till then.
 */
static const struct kheap_type *pool_type(const struct kheap_pool *pool,
					  unsigned int *nr_blocks)
{
	const struct kheap_class *class;
	const struct kheap_type *type;

	rcu_read_lock();
	class = READ_ONCE(pool->class);
	type = class->type;
	*nr_blocks = class->nr_blocks;
	rcu_read_unlock();
	return type;
}

/*
 * A pool that has objects keeps its class while its set is locked; the
 * objects' memory goes nowhere either. Until then it may get another one.
 */
static bool walk_pool(struct kheap_walk *walk, struct kheap_pool *pool)
{
	struct kheap_arena_set *set = pool->arena->set;
	const struct kheap_type *type;
	unsigned int nr_blocks;
	unsigned long flags;
	u64 start;

	type = pool_type(pool, &nr_blocks);
	if (!type || READ_ONCE(pool->state) < KHEAP_POOL_USED)
		return true;
	if (walk->type && walk->type != type)
		return true;
	if (walk->reserve && !walk->reserve(walk, nr_blocks))
		return false;
	raw_spin_lock_irqsave(&set->lock, flags);
	start = local_clock();
	/* Pairs with set_state(): its state, then what kheap_pool_setup() wrote. */
	if (pool->class->type == type && pool->class->nr_blocks <= nr_blocks &&
	    smp_load_acquire(&pool->state) >= KHEAP_POOL_USED) /* see above */
		look_at_pool(walk, pool);
	walk->lock_max_ns = max(walk->lock_max_ns, local_clock() - start);
	raw_spin_unlock_irqrestore(&set->lock, flags);
	return true;
}

/**
 * kheap_walk_objects() - look at every live object of a heap
 * @heap: the heap
 * @walk: what to do
 *
 * Objects that are made or die meanwhile may be seen or not. No type of the
 * heap is destroyed meanwhile.
 *
 * Context: Process context. May sleep.
 * Return: false if the walk ended early.
 */
bool kheap_walk_objects(struct kheap *heap, struct kheap_walk *walk)
{
	struct kheap_arena_set *set;
	struct kheap_arena *arena;
	struct kheap_pool *pool;
	bool go_on = true;
	unsigned int i, p;

	kheap_for_each_set(set, heap, i) {
		arena = NULL;
		while ((arena = kheap_arena_next(set, arena))) {
			kheap_for_each_pool(pool, arena, p)
				if (go_on)
					go_on = walk_pool(walk, pool);
			cond_resched();
		}
	}
	return go_on;
}

/* --- Destruction -------------------------------------------------------- */

struct list_walk {
	struct kheap_walk walk;
	unsigned int nr;
	const void *obj[NR_LISTED];
	int refs[NR_LISTED];
};

static void note_live(struct kheap_walk *walk, struct kheap_type *type,
		      struct kheap_object *obj, s64 word)
{
	struct list_walk *list = container_of(walk, struct list_walk, walk);

	if (list->nr < NR_LISTED) {
		list->obj[list->nr] = obj;
		list->refs[list->nr++] = word;
	}
}

static void refuse_destroy(struct kheap_type *type, unsigned long nr_live)
{
	struct list_walk list = {
		.walk = { .look = note_live, .type = type },
	};
	unsigned int i;

	atomic_long_inc(&type->heap->base.nr_refused[KHEAP_BAD_TYPE]);
	kheap_walk_objects(type->heap, &list.walk);
	pr_err("heap '%s': refused: type '%s' is not destroyed, it has %lu live objects\n",
	       type->heap->base.name, type->class.name, nr_live);
	for (i = 0; i < list.nr; i++)
		pr_err("  object %p, %d references\n", list.obj[i],
		       list.refs[i]);
	if (nr_live > list.nr)
		pr_err("  and %lu more\n", nr_live - list.nr);
	kheap_reporter->sites(type->heap, &type->class);
}

void kheap_type_destroy(struct kheap_type *type)
{
	struct kheap_class_stats stats;
	unsigned int tries = 10;
	struct kheap *heap;

	if (IS_ERR_OR_NULL(type))
		return;
	might_sleep();
	heap = type->heap;
	if (!kheap_gc_ops->lock(type->gc)) {
		kheap_refuse(heap, KHEAP_BAD_CONTEXT, type, NULL);
		return;
	}
	do {
		kheap_gc_ops->settle(type->gc);
	} while (atomic_long_read(&type->nr_held) && tries--);
	/* Nobody moves blocks between caches and pools under it. */
	mutex_lock(&heap->base.mutex);
	kheap_class_get_stats(&type->class, &stats);
	if (stats.nr_allocated) {
		mutex_unlock(&heap->base.mutex);
		refuse_destroy(type, stats.nr_allocated);
		kheap_gc_ops->unlock(type->gc);
		return;
	}
	kheap_class_purge(&type->class);
	kheap_class_exit(&type->class);
	mutex_unlock(&heap->base.mutex);
	kheap_gc_ops->unlock(type->gc);
	kheap_type_exit(type);
	kheap_class_free(&type->class);
}
EXPORT_SYMBOL_GPL(kheap_type_destroy);
