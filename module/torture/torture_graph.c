// SPDX-License-Identifier: GPL-2.0
/*
 * The graph: its types, and what can be said of it at rest.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sched.h>

#include "torture.h"

struct torture torture;

/* A node in somebody's hand is alive, whatever else goes on. */
void graph_look(struct kheap_object *obj)
{
	struct tnode *node = to_tnode(obj);
	u64 canary = READ_ONCE(node->canary);

	if (likely(canary == CANARY_ALIVE))
		return;
	if (!atomic_long_fetch_inc(&torture.nr_bad))
		pr_err("node %p: canary %llx, refs %d, gc %x\n", node, canary,
		       refcount_read(&obj->refs), READ_ONCE(obj->gc));
}

static void node_traverse(struct kheap_object *obj,
			  struct kheap_visitor *visitor)
{
	struct tnode *node = to_tnode(obj);
	unsigned int i;

	graph_look(obj);
	spin_lock(&node->lock);
	for (i = 0; i < NR_FIELDS; i++)
		kheap_visit(visitor, node->fields[i]);
	spin_unlock(&node->lock);
}

static void node_drop(struct kheap_object *obj)
{
	struct kheap_object *fields[NR_FIELDS];
	struct tnode *node = to_tnode(obj);
	unsigned int i;

	graph_look(obj);
	spin_lock(&node->lock);
	for (i = 0; i < NR_FIELDS; i++)
		fields[i] = kheap_ref_take(&node->fields[i]);
	spin_unlock(&node->lock);
	for (i = 0; i < NR_FIELDS; i++)
		if (fields[i])
			kheap_object_put(fields[i]);
}

static void node_release(struct kheap_object *obj)
{
	struct tnode *node = to_tnode(obj);

	cmpxchg(&torture.table[node->place], node, NULL);
	node_drop(obj);
	graph_look(obj);
	WRITE_ONCE(node->canary, CANARY_DEAD);
	atomic_long_dec(&torture.nr_live);
}

/* Some live on, by way of a root. */
static void node_finalize(struct kheap_object *obj)
{
	struct tnode *node = to_tnode(obj);
	struct root *root = &torture.roots[node->seed % NR_ROOTS];
	struct kheap_object *old;

	graph_look(obj);
	if (!(node->seed & 1))
		return;
	spin_lock(&root->lock);
	old = root->ref;
	root->ref = kheap_object_get(obj);
	spin_unlock(&root->lock);
	if (old)
		kheap_object_put(old);
}

static const struct kheap_type_ops node_ops = {
	.name = "tnode",
	.size = sizeof(struct tnode),
	.flags = KHEAP_TYPE_WEAK | KHEAP_TYPE_RCU,
	.release = node_release,
	.traverse = node_traverse,
	.clear = node_drop,
};

struct kheap_object *graph_new(u32 rnd, bool final)
{
	struct kheap_object *obj;
	struct tnode *node;

	obj = kheap_object_new(final ? torture.final_type : torture.type,
			       GFP_KERNEL | __GFP_NOWARN);
	if (!obj)
		return NULL;
	node = to_tnode(obj);
	spin_lock_init(&node->lock);
	node->canary = CANARY_ALIVE;
	node->seed = rnd;
	node->place = rnd / 64 % NR_TABLE;
	atomic_long_inc(&torture.nr_live);
	/* Who finds it in the table finds it initialised. */
	smp_store_release(&torture.table[node->place], node);
	return obj;
}

int graph_create(unsigned int max_live)
{
	struct kheap_type_ops ops = node_ops;
	unsigned int i;

	memset(&torture, 0, sizeof(torture));
	torture.max_live = max_live;
	for (i = 0; i < NR_ROOTS; i++)
		spin_lock_init(&torture.roots[i].lock);
	for (i = 0; i < NR_WEAK; i++)
		spin_lock_init(&torture.weak[i].lock);
	torture.heap = kheap_create("torture", NULL);
	if (IS_ERR(torture.heap))
		return PTR_ERR(torture.heap);
	torture.type = kheap_type_create(torture.heap, &ops);
	ops.name = "tnode-final";
	ops.finalize = node_finalize;
	torture.final_type = kheap_type_create(torture.heap, &ops);
	if (IS_ERR(torture.type) || IS_ERR(torture.final_type)) {
		kheap_destroy(torture.heap);
		return -ENOMEM;
	}
	return 0;
}

void graph_destroy(void)
{
	unsigned int i;

	for (i = 0; i < NR_WEAK; i++)
		if (torture.weak[i].ref.gc)
			kheap_weakref_clear(&torture.weak[i].ref);
	kheap_destroy(torture.heap);
}

/* --- At rest ------------------------------------------------------------ */

static struct tnode *see(struct kheap_object *obj, unsigned long mark,
			 struct tnode *todo, unsigned long *nr)
{
	struct tnode *node = to_tnode(obj);

	if (!obj || node->mark == mark)
		return todo;
	graph_look(obj);
	node->mark = mark;
	node->todo = todo;
	++*nr;
	return node;
}

/* How many nodes the roots reach. Nobody changes the graph. */
unsigned long graph_nr_reachable(void)
{
	static unsigned long mark;
	struct tnode *todo = NULL, *node;
	unsigned long nr = 0;
	unsigned int i;

	mark++;
	for (i = 0; i < NR_ROOTS; i++)
		todo = see(torture.roots[i].ref, mark, todo, &nr);
	while (todo) {
		node = todo;
		todo = node->todo;
		for (i = 0; i < NR_FIELDS; i++)
			todo = see(node->fields[i], mark, todo, &nr);
		if (!(nr % 1024))
			cond_resched();
	}
	return nr;
}

void graph_drop_roots(void)
{
	unsigned int i;

	for (i = 0; i < NR_ROOTS; i++)
		kheap_ref_set(&torture.roots[i].ref, NULL);
}
