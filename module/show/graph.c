// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs: who refers to whom, as a graph in the DOT language of Graphviz. So
 * many objects and edges are shown, no more; mutators go on meanwhile, so that
 * counts and edges need not agree.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "show/show.h"

#define NR_NODES	512
#define NR_EDGES	4096
#define NR_COLOURS	8

/**
 * struct node - an object of the graph
 * @obj: the object
 * @refs: its count
 * @nr_in: edges to it
 * @first: its first edge
 * @index: order of discovery, 0 while it was not discovered
 * @low: earliest node that is reached and not done
 * @next: the edge to follow next
 * @parent: whence it was discovered, or itself
 * @cycle: number of its strongly connected component; 0: in no cycle
 * @open: on the stack of nodes that are not done
 * @loop: it refers to itself
 */
struct node {
	struct kheap_object *obj;
	int refs;
	unsigned int nr_in;
	u16 first;
	u16 index;
	u16 low;
	u16 next;
	u16 parent;
	u16 cycle;
	bool open;
	bool loop;
};

/**
 * struct graph - what is shown
 * @run: its table finds an object's node: they have the same index
 * @nr_nodes: nodes; the first is number 1
 * @nr_edges: edges
 * @nr_cut_nodes: objects that there was no room for
 * @nr_cut_edges: edges that there was no room for, or that lead to those
 * @nr_cycles: strongly connected components with more than one node
 * @nr_found: nodes discovered
 * @nr_open: height of @stack
 * @from: the node that is traversed
 * @nodes: the nodes, and one more where the last one's edges end
 * @edges: numbers of nodes
 * @stack: nodes that are not done
 */
struct graph {
	struct kheap_gc_run run;
	unsigned int nr_nodes;
	unsigned int nr_edges;
	unsigned long nr_cut_nodes;
	unsigned long nr_cut_edges;
	unsigned int nr_cycles;
	unsigned int nr_found;
	unsigned int nr_open;
	unsigned int from;
	struct node nodes[NR_NODES + 2];
	u16 edges[NR_EDGES];
	u16 stack[NR_NODES];
};

/* --- Gathering ---------------------------------------------------------- */

static void add_node(struct kheap_walk *walk, struct kheap_type *type,
		     struct kheap_object *obj, s64 word)
{
	struct kheap_gc_run *run = container_of(walk, struct kheap_gc_run,
						walk);
	struct graph *graph = container_of(run, struct graph, run);
	struct kheap_gc_entry *entry;

	if (!kheap_type_is_collectable(type) ||
	    word & KHEAP_WORD(KHEAP_GC_NEW))
		return;
	if (graph->nr_nodes == NR_NODES) {
		graph->nr_cut_nodes++;
		return;
	}
	entry = kheap_gc_add_any(run, obj);
	graph->nodes[++graph->nr_nodes].obj = kheap_gc_object(entry);
	graph->nodes[graph->nr_nodes].refs = word;
}

static void add_edge(struct kheap_visitor *visitor,
		     struct kheap_object *target)
{
	struct graph *graph = container_of(visitor, struct graph, run.visitor);
	struct kheap_gc_entry *entry;
	unsigned int idx;

	if (!kheap_gc_find(&graph->run, target, &entry, &idx) ||
	    graph->nr_edges == NR_EDGES) {
		graph->nr_cut_edges++;
		return;
	}
	graph->nodes[idx].nr_in++;
	graph->nodes[idx].loop |= idx == graph->from;
	graph->edges[graph->nr_edges++] = idx;
}

/*
 * Nobody can hold an immortal object, nor has to: it dies with its heap, whose
 * end waits for who reads this.
 */
static bool hold(struct kheap_object *obj)
{
	return kheap_refs(obj) < 0 || kheap_gc_pin(obj);
}

static void let_go(struct kheap_object *obj)
{
	if (likely(kheap_refs(obj) > 0))
		kheap_gc_unpin(obj);
}

static void add_edges(struct graph *graph, struct kheap_object *obj)
{
	if (!hold(obj))
		return;
	obj->type->ops.traverse(obj, &graph->run.visitor);
	let_go(obj);
}

/* Return 0, or -ENOMEM. */
static int gather(struct graph *graph)
{
	struct kheap_gc_run *run = &graph->run;
	unsigned int idx;

	run->nr = 1;
	if (!kheap_gc_reserve(run, NR_NODES))
		return -ENOMEM;
	run->walk.look = add_node;
	kheap_walk_objects(run->gc->heap, &run->walk);
	run->visitor.visit = add_edge;
	for (idx = 1; idx <= graph->nr_nodes; idx++) {
		graph->from = idx;
		graph->nodes[idx].first = graph->nr_edges;
		add_edges(graph, graph->nodes[idx].obj);
	}
	graph->nodes[idx].first = graph->nr_edges;
	return 0;
}

/* --- Cycles ------------------------------------------------------------- */

static void discover(struct graph *graph, unsigned int idx,
		     unsigned int parent)
{
	struct node *node = &graph->nodes[idx];

	node->index = ++graph->nr_found;
	node->low = node->index;
	node->next = node->first;
	node->parent = parent;
	node->open = true;
	graph->stack[graph->nr_open++] = idx;
}

/* All that was discovered since the node is one component with it. */
static void close_component(struct graph *graph, unsigned int idx)
{
	bool alone = graph->stack[graph->nr_open - 1] == idx;
	unsigned int cycle = 0, member;

	if (!alone || graph->nodes[idx].loop)
		cycle = ++graph->nr_cycles;
	do {
		member = graph->stack[--graph->nr_open];
		graph->nodes[member].open = false;
		graph->nodes[member].cycle = cycle;
	} while (member != idx);
}

/* Tarjan's strongly connected components (1972), without recursion. */
static void find_from(struct graph *graph, unsigned int root)
{
	unsigned int idx = root;

	discover(graph, root, root);
	for (;;) {
		struct node *node = &graph->nodes[idx];

		if (node->next < graph->nodes[idx + 1].first) {
			unsigned int to = graph->edges[node->next++];

			if (!graph->nodes[to].index) {
				discover(graph, to, idx);
				idx = to;
			} else if (graph->nodes[to].open) {
				node->low = min(node->low,
						graph->nodes[to].index);
			}
			continue;
		}
		if (node->low == node->index)
			close_component(graph, idx);
		if (idx == root)
			break;
		idx = node->parent;
		graph->nodes[idx].low = min(graph->nodes[idx].low, node->low);
	}
}

static void find_cycles(struct graph *graph)
{
	unsigned int idx;

	for (idx = 1; idx <= graph->nr_nodes; idx++)
		if (!graph->nodes[idx].index)
			find_from(graph, idx);
}

/* --- Printing ----------------------------------------------------------- */

/* Double outline: referred to from outside. Filled: in a cycle, one colour each. */
static void show_node(struct seq_file *seq, const struct graph *graph,
		      unsigned int idx)
{
	const struct node *node = &graph->nodes[idx];
	struct kheap_object *obj = node->obj;
	struct kheap_type *type = kheap_type_of(obj);
	long outside = (long)node->refs - node->nr_in;

	seq_printf(seq, "  o%u [label=\"%s %p\\n", idx, type->class.name, obj);
	if (node->refs < 0)
		seq_puts(seq, "immortal");
	else
		seq_printf(seq, "%d refs", node->refs);
	if (outside > 0)
		seq_printf(seq, ", %ld from outside", outside);
	if (type->ops.show && hold(obj)) {
		seq_puts(seq, "\\n");
		type->ops.show(obj, seq);
		let_go(obj);
	}
	seq_puts(seq, "\"");
	if (outside > 0)
		seq_puts(seq, ", peripheries=2");
	if (node->cycle)
		seq_printf(seq, ", style=filled, fillcolor=\"/pastel18/%u\"",
			   (node->cycle - 1) % NR_COLOURS + 1);
	seq_puts(seq, "];\n");
}

static void show_graph(struct seq_file *seq, const struct graph *graph)
{
	unsigned int idx, edge;

	seq_printf(seq, "digraph \"%s\" {\n", graph->run.gc->heap->base.name);
	for (idx = 1; idx <= graph->nr_nodes; idx++)
		show_node(seq, graph, idx);
	for (idx = 1; idx <= graph->nr_nodes; idx++)
		for (edge = graph->nodes[idx].first;
		     edge < graph->nodes[idx + 1].first; edge++)
			seq_printf(seq, "  o%u -> o%u;\n", idx,
				   graph->edges[edge]);
	seq_puts(seq, "}\n");
	seq_printf(seq, "// objects: %u shown, %lu cut\n", graph->nr_nodes,
		   graph->nr_cut_nodes);
	seq_printf(seq, "// edges: %u shown, %lu cut\n", graph->nr_edges,
		   graph->nr_cut_edges);
	seq_printf(seq, "// cycles: %u\n", graph->nr_cycles);
}

static int objects_show(struct seq_file *seq, void *unused)
{
	struct kheap *heap = seq->private;
	struct kheap_gc *gc = READ_ONCE(heap->object.gc);
	struct graph *graph;
	int err;

	if (!gc) {
		seq_printf(seq, "digraph \"%s\" {\n}\n", heap->base.name);
		return 0;
	}
	graph = kvzalloc(sizeof(*graph), GFP_KERNEL);
	if (!graph)
		return -ENOMEM;
	graph->run.gc = gc;
	if (!kheap_gc_lock(gc)) {
		kvfree(graph);
		return -EDEADLK;
	}
	kheap_gc_begin(gc);
	err = gather(graph);
	if (!err) {
		find_cycles(graph);
		show_graph(seq, graph);
	}
	kheap_gc_end(gc);
	kheap_gc_table_free(&graph->run);
	kheap_gc_unlock(gc);
	kvfree(graph);
	return err;
}

static int objects_open(struct inode *inode, struct file *file)
{
	return single_open(file, objects_show, inode->i_private);
}

const struct file_operations kheap_graph_fops = {
	.owner = THIS_MODULE,
	.open = objects_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = single_release,
};
