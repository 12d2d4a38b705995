/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The torture module: threads change a random graph of objects while the
 * collector runs without pause. Nothing that is alive may be released, and at
 * rest nothing may be left but what the roots reach.
 */
#ifndef _KHEAP_TORTURE_H
#define _KHEAP_TORTURE_H

#include <linux/prandom.h>
#include <linux/spinlock.h>

#include <kheap/object.h>

#define NR_FIELDS	3
#define NR_ROOTS	512
#define NR_WEAK		256
#define NR_TABLE	256
#define NR_LOCALS	6

#define CANARY_ALIVE	0x600dbeefcafef00dULL
#define CANARY_DEAD	0xdeadbeefcafef00dULL

/**
 * struct tnode - a node of the graph
 * @obj: the head
 * @lock: for @fields
 * @fields: references
 * @canary: %CANARY_ALIVE until the node is released
 * @seed: decides whether it resurrects itself; 0: no
 * @place: where in the table it may be found without a reference
 * @todo: for the walk at rest
 * @mark: number of the walk that has seen it
 */
struct tnode {
	struct kheap_object obj;
	spinlock_t lock;
	struct kheap_object *fields[NR_FIELDS];
	u64 canary;
	u32 seed;
	u32 place;
	struct tnode *todo;
	unsigned long mark;
};

/* A counted reference outside of the heap. */
struct root {
	spinlock_t lock;
	struct kheap_object *ref;
};

/* A weak reference that all threads share. */
struct weak {
	spinlock_t lock;
	struct kheap_weakref ref;
};

/**
 * struct torture - the state of the module
 * @heap: the heap
 * @type: of most nodes
 * @final_type: of those that may resurrect themselves
 * @roots: all there is to reach nodes from
 * @weak: weak references, to whatever
 * @table: uncounted pointers to live nodes, for lookups under RCU
 * @nr_live: nodes made and not released
 * @nr_bad: what should not have been seen
 * @max_live: the size the graph is kept at
 */
struct torture {
	struct kheap *heap;
	struct kheap_type *type;
	struct kheap_type *final_type;
	struct root roots[NR_ROOTS];
	struct weak weak[NR_WEAK];
	struct tnode *table[NR_TABLE];
	atomic_long_t nr_live;
	atomic_long_t nr_bad;
	unsigned int max_live;
};

extern struct torture torture;

/**
 * struct mutator - one thread
 * @rnd: its random numbers
 * @locals: references that it holds
 * @nr_done: mutations
 * @nr_upgraded: weak references that gave a node
 * @nr_refused: those that did not
 * @nr_looked_up: nodes found under RCU
 * @nr_failed: nodes that could not be made
 */
struct mutator {
	struct rnd_state rnd;
	struct kheap_object *locals[NR_LOCALS];
	unsigned long nr_done;
	unsigned long nr_upgraded;
	unsigned long nr_refused;
	unsigned long nr_looked_up;
	unsigned long nr_failed;
};

static inline struct tnode *to_tnode(struct kheap_object *obj)
{
	return container_of(obj, struct tnode, obj);
}

/* torture_graph.c */
int graph_create(unsigned int max_live);
void graph_destroy(void);
struct kheap_object *graph_new(u32 rnd, bool final);
void graph_look(struct kheap_object *obj);
unsigned long graph_nr_reachable(void);
void graph_drop_roots(void);

/* torture_long.c */
int long_drop(unsigned long nr);

/* torture_mutate.c */
void mutate(struct mutator *m);
void mutator_drop_locals(struct mutator *m);

#endif /* _KHEAP_TORTURE_H */
