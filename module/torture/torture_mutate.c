// SPDX-License-Identifier: GPL-2.0
/*
 * What a thread does to the graph: one random operation at a time.
 */
#include <linux/rcupdate.h>
#include <linux/sched.h>

#include "torture.h"

static u32 below(struct mutator *m, u32 nr)
{
	return prandom_u32_state(&m->rnd) % nr;
}

static struct kheap_object **any_local(struct mutator *m)
{
	return &m->locals[below(m, NR_LOCALS)];
}

/* Keep a reference that we have, in place of another one. */
static void keep(struct mutator *m, struct kheap_object *obj)
{
	struct kheap_object **local = any_local(m);

	if (!obj)
		return;
	graph_look(obj);
	if (*local)
		kheap_object_put(*local);
	*local = obj;
}

/* Read a counted field and take a reference, under the field's lock. */
static struct kheap_object *read_field(spinlock_t *lock,
				       struct kheap_object **field)
{
	struct kheap_object *obj;

	spin_lock(lock);
	obj = *field;
	if (obj)
		kheap_object_get(obj);
	spin_unlock(lock);
	return obj;
}

/* Take what is in the field out of it. */
static struct kheap_object *take_field(spinlock_t *lock,
				       struct kheap_object **field)
{
	struct kheap_object *obj;

	spin_lock(lock);
	obj = kheap_ref_take(field);
	spin_unlock(lock);
	return obj;
}

/* Store in the field; a release must not happen under the lock. */
static void write_field(spinlock_t *lock, struct kheap_object **field,
			struct kheap_object *obj)
{
	struct kheap_object *old;

	spin_lock(lock);
	old = kheap_ref_take(field);
	kheap_ref_set(field, obj);
	spin_unlock(lock);
	if (old)
		kheap_object_put(old);
}

/* A random slot: a root's, or a field of a node that we hold. */
static struct kheap_object **any_slot(struct mutator *m, spinlock_t **lock)
{
	struct kheap_object *owner = *any_local(m);
	struct root *root;

	if (owner && below(m, 16)) {
		graph_look(owner);
		*lock = &to_tnode(owner)->lock;
		return &to_tnode(owner)->fields[below(m, NR_FIELDS)];
	}
	root = &torture.roots[below(m, NR_ROOTS)];
	*lock = &root->lock;
	return &root->ref;
}

static void make_node(struct mutator *m)
{
	struct kheap_object *obj;

	if (atomic_long_read(&torture.nr_live) > torture.max_live)
		return;
	obj = graph_new(prandom_u32_state(&m->rnd), !below(m, 8));
	if (!obj) {
		m->nr_failed++;
		return;
	}
	kheap_ref_set(&to_tnode(obj)->fields[0], *any_local(m));
	kheap_ref_set(&to_tnode(obj)->fields[1], *any_local(m));
	keep(m, obj);
}

static void load(struct mutator *m)
{
	struct kheap_object **slot;
	spinlock_t *lock;

	slot = any_slot(m, &lock);
	keep(m, read_field(lock, slot));
}

static void store(struct mutator *m)
{
	struct kheap_object **local = any_local(m);
	struct kheap_object **slot;
	spinlock_t *lock;

	if (!*local)
		return;
	slot = any_slot(m, &lock);
	write_field(lock, slot, *local);
}

static void take(struct mutator *m)
{
	struct kheap_object **slot;
	spinlock_t *lock;

	slot = any_slot(m, &lock);
	keep(m, take_field(lock, slot));
}

/* Give a local away, with kheap_ref_give() as the only store. */
static void give(struct mutator *m)
{
	struct kheap_object **local = any_local(m), *old;
	struct kheap_object *obj = *local;
	struct kheap_object **slot;
	spinlock_t *lock;

	if (!obj)
		return;
	*local = NULL;
	slot = any_slot(m, &lock);
	/* This one lasts until the lock is free again. */
	kheap_object_get(obj);
	spin_lock(lock);
	old = kheap_ref_take(slot);
	kheap_ref_give(slot, obj);
	spin_unlock(lock);
	kheap_object_put(obj);
	if (old)
		kheap_object_put(old);
}

static void drop(struct mutator *m)
{
	struct kheap_object **local = any_local(m);

	if (*local)
		kheap_object_put(*local);
	*local = NULL;
}

static void drop_slot(struct mutator *m)
{
	struct kheap_object **slot;
	spinlock_t *lock;

	slot = any_slot(m, &lock);
	write_field(lock, slot, NULL);
}

static void weak_set(struct mutator *m)
{
	struct weak *weak = &torture.weak[below(m, NR_WEAK)];
	struct kheap_object *obj = *any_local(m);

	if (!obj)
		return;
	spin_lock(&weak->lock);
	if (weak->ref.gc)
		kheap_weakref_clear(&weak->ref);
	kheap_weakref_init(&weak->ref, obj, NULL);
	spin_unlock(&weak->lock);
}

static void weak_get(struct mutator *m)
{
	struct weak *weak = &torture.weak[below(m, NR_WEAK)];
	struct kheap_object *obj = NULL;

	spin_lock(&weak->lock);
	if (weak->ref.gc)
		obj = kheap_weakref_get(&weak->ref);
	spin_unlock(&weak->lock);
	if (obj)
		m->nr_upgraded++;
	else
		m->nr_refused++;
	keep(m, obj);
}

static void look_up(struct mutator *m)
{
	struct tnode *node;
	bool found;

	rcu_read_lock();
	node = READ_ONCE(torture.table[below(m, NR_TABLE)]);
	found = node && kheap_object_tryget(&node->obj);
	rcu_read_unlock();
	if (!found)
		return;
	m->nr_looked_up++;
	keep(m, &node->obj);
}

static void (* const operations[])(struct mutator *m) = {
	make_node, make_node, make_node, load, load, load, load, store, store,
	store, take, give, give, give, drop, weak_set, weak_get, look_up,
	drop_slot,
};

void mutate(struct mutator *m)
{
	operations[below(m, ARRAY_SIZE(operations))](m);
	WRITE_ONCE(m->nr_done, m->nr_done + 1);
}

void mutator_drop_locals(struct mutator *m)
{
	unsigned int i;

	for (i = 0; i < NR_LOCALS; i++)
		kheap_ref_set(&m->locals[i], NULL);
}
