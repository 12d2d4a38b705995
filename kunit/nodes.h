/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Objects for the suites: nodes that refer to two others, and count what
 * happens to them.
 */
#ifndef _KHEAP_KUNIT_NODES_H
#define _KHEAP_KUNIT_NODES_H

#include "gc/gc.h"
#include "helpers.h"

#define NODE_ALIVE	0x600df00dU
#define NODE_DEAD	0xdeadf00dU
#define NODE_NR_EDGES	2

/**
 * struct node - an object of most types in the suites
 * @obj: the head
 * @edges: references
 * @weak: a weak reference, cleared on release when it was set up
 * @canary: %NODE_ALIVE until it is released
 * @id: for the case
 * @nr_finalized: calls of finalize
 * @resurrect: the finalizer stores the node in @nodes.saved
 * @stubborn: clear leaves the references
 * @armed: @weak was set up
 */
struct node {
	struct kheap_object obj;
	struct kheap_object *edges[NODE_NR_EDGES];
	struct kheap_weakref weak;
	u32 canary;
	u32 id;
	u32 nr_finalized;
	bool resurrect;
	bool stubborn;
	bool armed;
};

/**
 * struct nodes - what has happened in the case at hand
 * @nr_released: nodes released
 * @nr_finalized: finalizers called
 * @nr_bad: nodes released twice, or by somebody not allowed to
 * @nr_called: callbacks of weak references
 * @last_released: id of the last one
 * @depth: release callbacks that are inside of each other
 * @max_depth: the most
 * @saved: where finalizers save their node
 * @in_traverse: called in each traverse, or NULL
 * @in_release: called in each release, or NULL
 * @in_finalize: called in each finalizer, or NULL
 */
struct nodes {
	atomic_t nr_released;
	atomic_t nr_finalized;
	atomic_t nr_bad;
	atomic_t nr_called;
	u32 last_released;
	atomic_t depth;
	int max_depth;
	struct kheap_object *saved;
	void (*in_traverse)(struct node *node);
	void (*in_release)(struct node *node);
	void (*in_finalize)(struct node *node);
};

extern struct nodes nodes;

/* As plain as a type can be; collectable; with finalizer; not collectable. */
extern const struct kheap_type_ops node_bare_ops;
extern const struct kheap_type_ops node_ops;
extern const struct kheap_type_ops node_final_ops;
extern const struct kheap_type_ops node_leaf_ops;

/* For kunit_suite.init: kheap_test_init(), and @nodes is all zero. */
int node_test_init(struct kunit *test);

struct kheap_type *node_type(struct kunit *test, struct kheap *heap,
			     const struct kheap_type_ops *ops);
struct node *node_new(struct kunit *test, struct kheap_type *type);
struct node *node_list(struct kunit *test, struct kheap_type *type,
		       unsigned int nr);
void node_put(struct node *node);

/* from.edges[nr] = to; @to may be NULL. */
void node_link(struct node *from, unsigned int nr, struct node *to);

/* @nr nodes, each refers to the next, the last to the first; one reference. */
void node_ring(struct kunit *test, struct kheap_type *type,
	       struct node **ring, unsigned int nr);
void node_put_all(struct node **all, unsigned int nr);

/* A heap whose collector runs on demand only. */
struct kheap *node_gc_heap(struct kunit *test);
struct kheap_gc_stats node_gc_stats(struct kheap *heap);

/* A case runs for candidates and full: node_collect() in it does that. */
const void *node_mode_params(const void *prev, char *desc);
long node_collect(struct kunit *test, struct kheap *heap);

/* Everything is gone, and nothing was released that should not have been. */
void node_expect_empty(struct kunit *test, struct kheap *heap);

static inline struct node *to_node(struct kheap_object *obj)
{
	return container_of(obj, struct node, obj);
}

static inline unsigned int nr_released(void)
{
	return atomic_read(&nodes.nr_released);
}

#endif /* _KHEAP_KUNIT_NODES_H */
