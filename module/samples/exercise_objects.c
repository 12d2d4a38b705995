// SPDX-License-Identifier: GPL-2.0
/*
 * Objects in the exercise: threads and interrupts make, link, move and drop the
 * vertices of one graph, most of it cycles, and refer to them weakly, while
 * threads run the collector, and types come and go. A reference in a slot or a
 * field is only ever exchanged: no lock that a thread and an interrupt both want.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <kheap/object.h>

#include "exercise.h"

#define NR_SLOTS	64	/* references from outside, everybody's */
#define NR_FIELDS	3
#define MAX_LIVE	1000
#define THRESHOLD	300	/* candidates that make the collector run */
#define NR_RING		20	/* objects of a short-lived type */
#define COLLECT_EVERY	256	/* steps of a thread */
#define NR_TRIES	500	/* of 20 ms, for the last objects to go */

#define ALIVE		0x600dULL
#define DEAD		0xdeadULL

struct vertex {
	struct kheap_object obj;
	atomic_long_t *nr_live;
	u64 state;
	u32 chance;
	struct kheap_object *fields[NR_FIELDS];		/* not in a leaf */
};

static struct kheap *heap;
static struct kheap_object *slots[NR_SLOTS];
static atomic_long_t nr_live, nr_bad;
static atomic_long_t nr_made, nr_upgraded, nr_died, nr_types;
static bool at_rest;

static struct vertex *to_vertex(struct kheap_object *obj)
{
	return container_of(obj, struct vertex, obj);
}

/* An object that somebody has a reference to is alive. */
static void look(struct kheap_object *obj)
{
	if (READ_ONCE(to_vertex(obj)->state) != (ALIVE ^ (unsigned long)obj))
		atomic_long_inc(&nr_bad);
}

/* --- Types -------------------------------------------------------------- */

static void leaf_release(struct kheap_object *obj)
{
	struct vertex *vertex = to_vertex(obj);

	look(obj);
	WRITE_ONCE(vertex->state, DEAD);
	atomic_long_dec(vertex->nr_live);
}

static void vertex_traverse(struct kheap_object *obj,
			  struct kheap_visitor *visitor)
{
	unsigned int i;

	look(obj);
	for (i = 0; i < NR_FIELDS; i++)
		kheap_visit(visitor, READ_ONCE(to_vertex(obj)->fields[i]));
}

static void vertex_clear(struct kheap_object *obj)
{
	unsigned int i;

	look(obj);
	for (i = 0; i < NR_FIELDS; i++)
		kheap_ref_set(&to_vertex(obj)->fields[i], NULL);
}

static void vertex_release(struct kheap_object *obj)
{
	vertex_clear(obj);
	leaf_release(obj);
}

static void sleeper_release(struct kheap_object *obj)
{
	might_sleep();
	vertex_release(obj);
}

/* One in four lives on. */
static void sleeper_finalize(struct kheap_object *obj)
{
	u32 chance = to_vertex(obj)->chance;

	might_sleep();
	look(obj);
	if (chance % 4 == 0 && !READ_ONCE(at_rest))
		kheap_ref_set(&slots[chance / 4 % NR_SLOTS], obj);
}

enum { LEAF, VERTEX, BOUNDED, SLEEPER, NR_TYPES };

static const struct kheap_type_ops all_ops[NR_TYPES] = {
	[LEAF] = {
		.name = "leaf",
		.size = offsetof(struct vertex, fields),
		.flags = KHEAP_TYPE_RCU,
		.release = leaf_release,
	},
	[VERTEX] = {
		.name = "vertex",
		.size = sizeof(struct vertex),
		.flags = KHEAP_TYPE_WEAK,
		.release = vertex_release,
		.traverse = vertex_traverse,
		.clear = vertex_clear,
	},
	[BOUNDED] = {
		.name = "bounded",
		.size = sizeof(struct vertex),
		.flags = KHEAP_TYPE_WEAK | KHEAP_TYPE_RCU | KHEAP_TYPE_BOUNDED,
		.release = vertex_release,
		.traverse = vertex_traverse,
		.clear = vertex_clear,
	},
	[SLEEPER] = {
		.name = "sleeper",
		.size = sizeof(struct vertex),
		.flags = KHEAP_TYPE_WEAK | KHEAP_TYPE_PROCESS,
		.release = sleeper_release,
		.traverse = vertex_traverse,
		.clear = vertex_clear,
		.finalize = sleeper_finalize,
	},
};

static struct kheap_type *types[NR_TYPES];

/* --- What every context does -------------------------------------------- */

static u32 below(struct rnd_state *rnd, u32 nr)
{
	return prandom_u32_state(rnd) % nr;
}

static struct kheap_object **any_slot(struct rnd_state *rnd)
{
	return &slots[below(rnd, NR_SLOTS)];
}

static bool is_leaf(struct kheap_object *obj)
{
	return kheap_object_type(obj) == types[LEAF];
}

static struct kheap_object *vertex_new(struct kheap_type *type, u32 chance,
				     atomic_long_t *live, gfp_t gfp)
{
	struct kheap_object *obj = kheap_object_new(type, gfp);

	if (!obj)
		return NULL;
	to_vertex(obj)->nr_live = live;
	to_vertex(obj)->chance = chance;
	to_vertex(obj)->state = ALIVE ^ (unsigned long)obj;
	atomic_long_inc(live);
	return obj;
}

/* The old one's last put is where this is. */
static void make(struct rnd_state *rnd, gfp_t gfp)
{
	struct kheap_object *obj;

	if (atomic_long_read(&nr_live) >= MAX_LIVE)
		return;
	obj = vertex_new(types[below(rnd, NR_TYPES)], prandom_u32_state(rnd),
		       &nr_live, gfp);
	if (!obj)
		return;
	atomic_long_inc(&nr_made);
	kheap_ref_give(any_slot(rnd), obj);
}

static void drop(struct rnd_state *rnd)
{
	struct kheap_object *obj = kheap_ref_take(any_slot(rnd));

	if (!obj)
		return;
	look(obj);
	kheap_object_put(obj);
}

/* One refers to the other, and sometimes the other to the one. */
static void link(struct rnd_state *rnd)
{
	struct kheap_object *from = kheap_ref_take(any_slot(rnd));
	struct kheap_object *to = kheap_ref_take(any_slot(rnd));

	if (from && !is_leaf(from))
		kheap_ref_set(&to_vertex(from)->fields[below(rnd, NR_FIELDS)], to);
	if (to && !is_leaf(to) && below(rnd, 2))
		kheap_ref_set(&to_vertex(to)->fields[below(rnd, NR_FIELDS)], from);
	kheap_ref_give(any_slot(rnd), from);
	kheap_ref_give(any_slot(rnd), to);
}

/* What a field refers to moves to a slot. */
static void move(struct rnd_state *rnd)
{
	struct kheap_object *obj = kheap_ref_take(any_slot(rnd)), *target;

	if (!obj)
		return;
	look(obj);
	if (!is_leaf(obj)) {
		target = kheap_ref_take(&to_vertex(obj)->fields[below(rnd, NR_FIELDS)]);
		if (target)
			look(target);
		kheap_ref_give(any_slot(rnd), target);
	}
	kheap_ref_give(any_slot(rnd), obj);
}

static void weak_died(struct kheap_weakref *ref)
{
	atomic_long_inc(&nr_died);
}

static void weak_end(struct exercise_hand *hand, unsigned int i)
{
	if (hand->is_set[i])
		kheap_weakref_clear(&hand->weak[i]);
	hand->is_set[i] = false;
}

static void weak_set(struct exercise_hand *hand, struct rnd_state *rnd,
		     bool is_thread)
{
	struct kheap_object *obj = kheap_ref_take(any_slot(rnd));
	unsigned int i = below(rnd, NR_HAND_WEAK);

	if (!obj)
		return;
	if (!is_leaf(obj)) {
		weak_end(hand, i);
		hand->is_set[i] = !kheap_weakref_init(&hand->weak[i], obj,
						      is_thread ? weak_died : NULL);
	}
	kheap_ref_give(any_slot(rnd), obj);
}

static void weak_use(struct exercise_hand *hand, struct rnd_state *rnd)
{
	unsigned int i = below(rnd, NR_HAND_WEAK);
	struct kheap_object *obj;

	if (!hand->is_set[i])
		return;
	obj = kheap_weakref_get(&hand->weak[i]);
	if (!obj) {
		weak_end(hand, i);
		return;
	}
	look(obj);
	atomic_long_inc(&nr_upgraded);
	if (below(rnd, 2))
		kheap_ref_give(any_slot(rnd), obj);
	else
		kheap_object_put(obj);
}

/* --- What only threads do ----------------------------------------------- */

/* A ring of objects; what it is held by, or NULL. */
static struct kheap_object *make_ring(struct kheap_type *type,
				      atomic_long_t *live)
{
	struct kheap_object *first = NULL, *last = NULL, *obj;
	unsigned int i;

	for (i = 0; i < NR_RING; i++) {
		obj = vertex_new(type, 0, live, GFP_KERNEL);
		if (!obj)
			break;
		if (!first)
			first = obj;
		kheap_ref_set(&to_vertex(obj)->fields[0], last ?: obj);
		kheap_ref_set(&to_vertex(first)->fields[0], obj);
		last = obj;
		if (obj != first)
			kheap_object_put(obj);
	}
	return first;
}

/* The collector has to find all of it before the type can go. */
static bool wait_until_none(atomic_long_t *live)
{
	unsigned int i;

	for (i = 0; atomic_long_read(live) && i < NR_TRIES; i++) {
		kheap_gc_collect(heap, i ? KHEAP_GC_FULL : 0);
		if (atomic_long_read(live))
			msleep(20);
	}
	return !atomic_long_read(live);
}

static void short_lived_type(struct rnd_state *rnd)
{
	struct kheap_type_ops ops = all_ops[below(rnd, 2) ? VERTEX : SLEEPER];
	atomic_long_t *live = kzalloc(sizeof(*live), GFP_KERNEL);
	struct kheap_object *first;
	struct kheap_type *type;
	char name[32];

	snprintf(name, sizeof(name), "short-lived-%d", current->pid);
	ops.name = name;
	type = live ? kheap_type_create(heap, &ops) : ERR_PTR(-ENOMEM);
	if (IS_ERR(type)) {
		kfree(live);
		return;
	}
	first = make_ring(type, live);
	if (first && below(rnd, 2))
		kheap_ref_set(&to_vertex(first)->fields[0], NULL);
	if (first)
		kheap_object_put(first);
	if (!wait_until_none(live)) {
		atomic_long_inc(&nr_bad);	/* which keep their counter */
		return;
	}
	kheap_type_destroy(type);
	kfree(live);
	atomic_long_inc(&nr_types);
}

/* --- The interface ------------------------------------------------------ */

int exercise_objects_start(struct kheap *in)
{
	unsigned int i;

	heap = in;
	kheap_gc_set_threshold(heap, THRESHOLD);
	for (i = 0; i < NR_TYPES; i++) {
		types[i] = kheap_type_create(heap, &all_ops[i]);
		if (IS_ERR(types[i]))
			return PTR_ERR(types[i]);
	}
	return 0;
}

void exercise_objects(struct exercise_hand *hand, struct rnd_state *rnd,
		      gfp_t gfp)
{
	bool is_thread = gfp == GFP_KERNEL;

	if (!heap)
		return;
	switch (below(rnd, 8)) {
	case 0: case 1: case 2:
		make(rnd, gfp);
		break;
	case 3:
		drop(rnd);
		break;
	case 4:
		link(rnd);
		break;
	case 5:
		move(rnd);
		break;
	case 6:
		weak_set(hand, rnd, is_thread);
		break;
	case 7:
		weak_use(hand, rnd);
		break;
	}
	if (is_thread && !below(rnd, COLLECT_EVERY))
		kheap_gc_collect(heap, below(rnd, 4) ? 0 : KHEAP_GC_FULL);
	if (is_thread && !below(rnd, COLLECT_EVERY))
		short_lived_type(rnd);
}

void exercise_objects_drop(struct exercise_hand *hand)
{
	unsigned int i;

	for (i = 0; i < NR_HAND_WEAK; i++)
		weak_end(hand, i);
}

bool exercise_objects_all_seen(void)
{
	return !heap || (atomic_long_read(&nr_made) &&
			 atomic_long_read(&nr_upgraded) &&
			 atomic_long_read(&nr_died) &&
			 atomic_long_read(&nr_types));
}

/* A finalizer that had begun may still fill a slot. */
static bool drop_all(void)
{
	unsigned int i, nr;

	for (nr = 0; atomic_long_read(&nr_live) && nr < NR_TRIES; nr++) {
		for (i = 0; i < NR_SLOTS; i++)
			kheap_ref_set(&slots[i], NULL);
		kheap_gc_collect(heap, KHEAP_GC_FULL);
		if (nr)
			msleep(20);
	}
	return !atomic_long_read(&nr_live);
}

int exercise_objects_stop(void)
{
	unsigned int i;
	bool empty;

	if (!heap)
		return 0;
	WRITE_ONCE(at_rest, true);
	empty = drop_all();
	for (i = 0; i < NR_TYPES; i++)
		kheap_type_destroy(types[i]);
	pr_info("%ld objects, %ld upgraded, %ld callbacks, %ld short-lived types; %ld left, %ld bad\n",
		atomic_long_read(&nr_made), atomic_long_read(&nr_upgraded),
		atomic_long_read(&nr_died), atomic_long_read(&nr_types),
		atomic_long_read(&nr_live), atomic_long_read(&nr_bad));
	return empty && !atomic_long_read(&nr_bad) ? 0 : -EUCLEAN;
}
