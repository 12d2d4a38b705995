// SPDX-License-Identifier: GPL-2.0
/*
 * The objects of a heap that is destroyed: every one that is still alive is
 * released once, and none looks at one that was released before it, as far as
 * the types say what refers to what.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>

#include "main.h"

/* A pool has at most so many: longer blocks are in pools of more pages. */
#define POOL_OBJECTS_MAX	(PAGE_SIZE / sizeof(struct kheap_object))

/*
 * Nobody else uses the heap. The steps, each a pass over all objects; the
 * collector counts as running, so that the memory of dead ones stays. Whatever
 * dies waits in a frame of ours until the callback that killed it has returned,
 * and no longer: not for a release of another heap's object that all of this
 * may be inside of, and not for a work, which would release it while we look at
 * what it refers to.
 *
 * 1. Hold a reference to every object that is counted: none dies before step 4.
 * 2. Finalize those that have not been, everything intact; and hold a reference
 *    to what finalizers have made. That is not finalized, or it had no end.
 * 3. Clear: the references between objects whose types can be in cycles go.
 * 4. Drop the references of steps 1 and 2. What nobody refers to any more is
 *    released, then what it referred to, by counting.
 * 5. What is left has references that the client never put, or is not counted.
 *    Release what is counted as it comes; a put of an object that was released
 *    before is not reported.
 * 6. Release the immortal ones, and those whose counts were full. How many
 *    refer to them nobody knows, so they stay until nobody does.
 */

/* Objects have their names nowhere any more: dead ones just die. */
#define NAMELESS	(KHEAP_GC_BUFFERED | KHEAP_GC_FROZEN)

static void pin(struct kheap_walk *walk, struct kheap_type *type,
		struct kheap_object *obj, s64 word)
{
	atomic_or(NAMELESS, kheap_gc_word(obj));
	if ((s32)word > 0)
		atomic64_inc(&obj->word);
}

/* Has step 1 or 2 come to it? */
static bool is_known(const struct kheap_object *obj)
{
	return READ_ONCE(obj->gc) & KHEAP_GC_FROZEN;
}

static void pin_new(struct kheap_walk *walk, struct kheap_type *type,
		    struct kheap_object *obj, s64 word)
{
	if (is_known(obj))
		return;
	atomic_or(KHEAP_GC_FINALIZED, kheap_gc_word(obj));
	pin(walk, type, obj, word);
}

/* Callbacks cannot be called under the set's lock: gather the pool first. */
struct pass {
	struct kheap_walk walk;
	struct kheap_frame *frame;
	void (*act)(struct kheap_type *type, struct kheap_object *obj);
	struct kheap_object **objs;
	unsigned int nr;
};

static void note(struct kheap_walk *walk, struct kheap_type *type,
		 struct kheap_object *obj, s64 word)
{
	struct pass *pass = container_of(walk, struct pass, walk);

	pass->objs[pass->nr++] = obj;
}

static void act(struct pass *pass)
{
	unsigned int i;

	for (i = 0; i < pass->nr; i++) {
		if (!kheap_refs(pass->objs[i]))
			continue;
		pass->act(pass->objs[i]->type, pass->objs[i]);
		kheap_trashcan_drain(pass->frame);
	}
	pass->nr = 0;
}

static bool act_on_last(struct kheap_walk *walk, unsigned int nr)
{
	act(container_of(walk, struct pass, walk));
	return true;
}

static void pass_over(struct kheap *heap, struct kheap_object **objs,
		      void (*how)(struct kheap_type *type,
				  struct kheap_object *obj))
{
	struct pass pass = {
		.walk = { .reserve = act_on_last, .look = note },
		.frame = heap->object.gc->frame,
		.act = how,
		.objs = objs,
	};

	kheap_walk_objects(heap, &pass.walk);
	act(&pass);
}

static void finalize(struct kheap_type *type, struct kheap_object *obj)
{
	int old;

	if (!type->ops.finalize || !is_known(obj))
		return;
	old = atomic_fetch_or(KHEAP_GC_FINALIZED, kheap_gc_word(obj));
	if (!(old & KHEAP_GC_FINALIZED))
		type->ops.finalize(obj);
}

static void clear(struct kheap_type *type, struct kheap_object *obj)
{
	if (type->weak_offset)
		kheap_weakrefs_dead(type, obj);
	if (type->ops.clear)
		type->ops.clear(obj);
}

static void unpin(struct kheap_type *type, struct kheap_object *obj)
{
	if (kheap_refs(obj) > 0 && is_known(obj))
		kheap_gc_unpin(obj);
}

/* One reference is left, and it goes. */
static void force(struct kheap_type *type, struct kheap_object *obj)
{
	refcount_set(&obj->refs, 1);
	kheap_gc_unpin(obj);
}

static void force_counted(struct kheap_type *type, struct kheap_object *obj)
{
	if (kheap_refs(obj) > 0)
		force(type, obj);
}

static unsigned long report_live(struct kheap *heap)
{
	struct kheap_class *class;
	unsigned long nr, sum = 0;

	list_for_each_entry(class, &heap->block.class_list, list)
		if (class->type)
			sum += kheap_type_nr_live(class->type);
	if (!sum)
		return 0;
	pr_warn("heap '%s' destroyed with %lu live objects\n", heap->base.name, sum);
	list_for_each_entry(class, &heap->block.class_list, list) {
		nr = class->type ? kheap_type_nr_live(class->type) : 0;
		if (!nr)
			continue;
		pr_warn("  %lu of %s, %u bytes each\n", nr, class->name,
			class->usable);
		kheap_callsites_report(heap, class);
	}
	return sum;
}

static void release_all(struct kheap *heap)
{
	struct kheap_walk pinning = { .look = pin };
	struct kheap_walk joining = { .look = pin_new };
	struct kheap_object **objs;

	objs = kmalloc_array(POOL_OBJECTS_MAX, sizeof(*objs),
			     GFP_KERNEL | __GFP_NOFAIL);
	kheap_walk_objects(heap, &pinning);
	pass_over(heap, objs, finalize);
	kheap_walk_objects(heap, &joining);
	pass_over(heap, objs, clear);
	pass_over(heap, objs, unpin);
	WRITE_ONCE(heap->object.gc->exiting, true);
	pass_over(heap, objs, force_counted);
	pass_over(heap, objs, force);
	/* A callback may have had somebody else put what it waited for. */
	flush_work(&heap->object.gc->process_work);
	kfree(objs);
}

/**
 * kheap_objects_exit() - release all objects of a heap
 * @heap: the heap; nobody uses it
 *
 * Context: Process context. May sleep.
 */
void kheap_objects_exit(struct kheap *heap)
{
	struct kheap_frame frame = { .process = true };
	struct kheap_gc *gc = heap->object.gc;

	if (!gc)
		return;
	WRITE_ONCE(kheap_collector(gc)->enabled, false);
	cancel_delayed_work_sync(&kheap_collector(gc)->work);
	flush_work(&gc->process_work);
	flush_work(&gc->parked_work);
	/*
	 * Nobody is left to take the lock but our callbacks, which are refused.
	 * Not the mutex: this may be a callback in another heap's run.
	 */
	WRITE_ONCE(gc->owner, current);
	kheap_trashcan_take(gc, &frame);
	kheap_trashcan_enter(&frame);
	gc->frame = &frame;
	kheap_trashcan_drain(&frame);
	kheap_gc_settle(gc);
	WRITE_ONCE(gc->running, true);
	if (report_live(heap))
		release_all(heap);
	WRITE_ONCE(gc->running, false);
	kheap_gc_free_parked(gc);
	gc->frame = NULL;
	kheap_trashcan_leave(&frame);
	WRITE_ONCE(gc->owner, NULL);
}

/* Free the memory of dead objects whose names are in buffers. */
void kheap_objects_trim(struct kheap *heap)
{
	struct kheap_gc *gc = READ_ONCE(heap->object.gc);

	if (!gc || !kheap_gc_lock(gc))
		return;
	kheap_gc_compact(gc);
	kheap_gc_free_parked(gc);
	kheap_gc_unlock(gc);
}

/* What types and the collector have besides classes and objects. */
void kheap_objects_free(struct kheap *heap)
{
	struct kheap_class *class;

	list_for_each_entry(class, &heap->block.class_list, list)
		if (class->type)
			kheap_type_exit(class->type);
	if (heap->object.gc)
		kheap_gc_destroy(heap->object.gc);
}
