// SPDX-License-Identifier: GPL-2.0
/*
 * Objects for the suites. See nodes.h.
 */
#include "nodes.h"

struct nodes nodes;

static void node_drop(struct kheap_object *obj)
{
	struct node *node = to_node(obj);
	unsigned int i;

	if (node->stubborn)
		return;
	for (i = 0; i < NODE_NR_EDGES; i++)
		kheap_ref_set(&node->edges[i], NULL);
}

static void node_release(struct kheap_object *obj)
{
	struct node *node = to_node(obj);
	int depth = atomic_inc_return(&nodes.depth);

	if (node->canary != NODE_ALIVE)
		atomic_inc(&nodes.nr_bad);
	node->canary = NODE_DEAD;
	nodes.max_depth = max(nodes.max_depth, depth);
	nodes.last_released = node->id;
	atomic_inc(&nodes.nr_released);
	if (nodes.in_release)
		nodes.in_release(node);
	if (node->armed)
		kheap_weakref_clear(&node->weak);
	node->stubborn = false;
	node_drop(obj);
	atomic_dec(&nodes.depth);
}

static void node_traverse(struct kheap_object *obj,
			  struct kheap_visitor *visitor)
{
	struct node *node = to_node(obj);
	unsigned int i;

	if (node->canary != NODE_ALIVE)
		atomic_inc(&nodes.nr_bad);
	if (nodes.in_traverse)
		nodes.in_traverse(node);
	for (i = 0; i < NODE_NR_EDGES; i++)
		kheap_visit(visitor, READ_ONCE(node->edges[i]));
}

static void node_finalize(struct kheap_object *obj)
{
	struct node *node = to_node(obj);

	if (node->canary != NODE_ALIVE)
		atomic_inc(&nodes.nr_bad);
	node->nr_finalized++;
	atomic_inc(&nodes.nr_finalized);
	if (nodes.in_finalize)
		nodes.in_finalize(node);
	if (node->resurrect)
		kheap_ref_set(&nodes.saved, obj);
}

const struct kheap_type_ops node_bare_ops = {
	.name = "bare",
	.size = sizeof(struct node),
};

const struct kheap_type_ops node_ops = {
	.name = "node",
	.size = sizeof(struct node),
	.flags = KHEAP_TYPE_WEAK,
	.release = node_release,
	.traverse = node_traverse,
	.clear = node_drop,
};

const struct kheap_type_ops node_final_ops = {
	.name = "final",
	.size = sizeof(struct node),
	.flags = KHEAP_TYPE_WEAK,
	.release = node_release,
	.traverse = node_traverse,
	.clear = node_drop,
	.finalize = node_finalize,
};

const struct kheap_type_ops node_leaf_ops = {
	.name = "leaf",
	.size = sizeof(struct node),
	.release = node_release,
};

int node_test_init(struct kunit *test)
{
	memset(&nodes, 0, sizeof(nodes));
	return kheap_test_init(test);
}

struct kheap_type *node_type(struct kunit *test, struct kheap *heap,
			     const struct kheap_type_ops *ops)
{
	struct kheap_type *type = kheap_type_create(heap, ops);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, type);
	return type;
}

struct node *node_new(struct kunit *test, struct kheap_type *type)
{
	struct kheap_object *obj = kheap_object_new(type, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, obj);
	to_node(obj)->canary = NODE_ALIVE;
	return to_node(obj);
}

/* @nr nodes, each with a reference to the next; the first is the caller's. */
struct node *node_list(struct kunit *test, struct kheap_type *type,
		       unsigned int nr)
{
	struct node *node, *head = NULL;

	while (nr--) {
		node = node_new(test, type);
		if (head)
			kheap_ref_give(&node->edges[0], &head->obj);
		head = node;
	}
	return head;
}

void node_put(struct node *node)
{
	kheap_object_put(&node->obj);
}

void node_link(struct node *from, unsigned int nr, struct node *to)
{
	kheap_ref_set(&from->edges[nr], to ? &to->obj : NULL);
}

void node_ring(struct kunit *test, struct kheap_type *type,
	       struct node **ring, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		ring[i] = node_new(test, type);
		ring[i]->id = i;
	}
	for (i = 0; i < nr; i++)
		node_link(ring[i], 0, ring[(i + 1) % nr]);
}

void node_put_all(struct node **all, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		node_put(all[i]);
}

struct kheap *node_gc_heap(struct kunit *test)
{
	struct kheap *heap = kheap_test_heap(test);

	kheap_gc_enable(heap, false);
	return heap;
}

struct kheap_gc_stats node_gc_stats(struct kheap *heap)
{
	struct kheap_gc_stats stats;

	kheap_gc_get_stats(heap, &stats);
	return stats;
}

void node_expect_empty(struct kunit *test, struct kheap *heap)
{
	kheap_trim(heap);
	KUNIT_EXPECT_EQ(test, atomic_read(&nodes.nr_bad), 0);
	KUNIT_EXPECT_EQ(test, kheap_test_stats(heap).nr_allocated, 0);
}

/* --- Collecting --------------------------------------------------------- */

static const struct mode {
	const char *name;
	unsigned int flags;
} modes[] = {
	{ "candidates", 0 },
	{ "full", KHEAP_GC_FULL },
};

static void mode_desc(const struct mode *mode, char *desc)
{
	strscpy(desc, mode->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(mode, modes, mode_desc);

const void *node_mode_params(const void *prev, char *desc)
{
	return mode_gen_params(prev, desc);
}

long node_collect(struct kunit *test, struct kheap *heap)
{
	const struct mode *mode = test->param_value;

	return kheap_gc_collect(heap, mode ? mode->flags : KHEAP_GC_FULL);
}
