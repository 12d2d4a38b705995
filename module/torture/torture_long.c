// SPDX-License-Identifier: GPL-2.0
/*
 * The trashcan: a long list and a deep tree are dropped by their last reference,
 * in process, softirq and hardirq context, and the stack stays where it is.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/sched.h>

#include "torture.h"

/* From one release to another; without the trashcan it is this for each. */
#define STACK_BYTES_MAX	1024

struct tlink {
	struct kheap_object obj;
	struct kheap_object *fields[2];
};

static atomic_long_t nr_links;
static struct kheap_object *to_drop;
static DECLARE_COMPLETION(dropped);

/* The lowest and the highest frame of a release; one context has them. */
static unsigned long stack_low, stack_high;

static struct tlink *to_link(struct kheap_object *obj)
{
	return container_of(obj, struct tlink, obj);
}

static void link_traverse(struct kheap_object *obj,
			  struct kheap_visitor *visitor)
{
	kheap_visit(visitor, READ_ONCE(to_link(obj)->fields[0]));
	kheap_visit(visitor, READ_ONCE(to_link(obj)->fields[1]));
}

static noinline void link_release(struct kheap_object *obj)
{
	unsigned long here = (unsigned long)__builtin_frame_address(0);

	stack_low = min(stack_low, here);
	stack_high = max(stack_high, here);
	kheap_ref_set(&to_link(obj)->fields[0], NULL);
	kheap_ref_set(&to_link(obj)->fields[1], NULL);
	atomic_long_dec(&nr_links);
}

static const struct kheap_type_ops link_ops = {
	.name = "link",
	.size = sizeof(struct tlink),
	.release = link_release,
	.traverse = link_traverse,
};

static struct kheap_object *link_new(struct kheap_type *type)
{
	struct kheap_object *obj = kheap_object_new(type, GFP_KERNEL);

	if (obj)
		atomic_long_inc(&nr_links);
	return obj;
}

/*
 * A list of @nr links, or a tree as deep: with a leaf beside each, and the way
 * down on alternating sides. Return its only reference, or NULL.
 */
static struct kheap_object *build(struct kheap_type *type, unsigned long nr,
				  bool tree)
{
	struct kheap_object *root = NULL, *obj;
	unsigned long i;

	for (i = 0; i < nr; i++) {
		obj = link_new(type);
		if (!obj)
			break;
		kheap_ref_give(&to_link(obj)->fields[tree && i % 2], root);
		if (tree)
			kheap_ref_give(&to_link(obj)->fields[!(i % 2)],
				       link_new(type));
		root = obj;
		if (!(i % 1024))
			cond_resched();
	}
	if (i == nr)
		return root;
	if (root)
		kheap_object_put(root);
	return NULL;
}

static void drop_here(void)
{
	kheap_object_put(to_drop);
	complete(&dropped);
}

static void drop_in_tasklet(struct tasklet_struct *tasklet)
{
	drop_here();
}

static void drop_in_irq_work(struct irq_work *work)
{
	drop_here();
}

static DECLARE_TASKLET(drop_tasklet, drop_in_tasklet);
static struct irq_work drop_work = IRQ_WORK_INIT_HARD(drop_in_irq_work);

static void drop_in_process(void)
{
	drop_here();
}

static void drop_in_softirq(void)
{
	tasklet_schedule(&drop_tasklet);
}

static void drop_in_hardirq(void)
{
	irq_work_queue(&drop_work);
}

static const struct {
	const char *name;
	void (*drop)(void);
} wheres[] = {
	{ "process", drop_in_process },
	{ "softirq", drop_in_softirq },
	{ "hardirq", drop_in_hardirq },
};

static int drop_one(struct kheap_type *type, unsigned long nr, bool tree,
		    unsigned int where)
{
	to_drop = build(type, nr, tree);
	if (!to_drop)
		return -ENOMEM;
	stack_low = ULONG_MAX;
	stack_high = 0;
	reinit_completion(&dropped);
	wheres[where].drop();
	wait_for_completion(&dropped);
	pr_info("%s of %lu dropped in %s context: %ld left, %lu bytes of stack\n",
		tree ? "tree" : "list", nr, wheres[where].name,
		atomic_long_read(&nr_links), stack_high - stack_low);
	return atomic_long_read(&nr_links) ||
	       stack_high - stack_low > STACK_BYTES_MAX ? -EIO : 0;
}

/*
 * Drop lists and trees of @nr, in each context. A run that came between would
 * have a reference to one of the links, and the rest would die there.
 */
int long_drop(unsigned long nr)
{
	struct kheap_type *type = kheap_type_create(torture.heap, &link_ops);
	unsigned int i;
	int err = 0;

	if (IS_ERR(type))
		return PTR_ERR(type);
	kheap_gc_enable(torture.heap, false);
	for (i = 0; i < 2 * ARRAY_SIZE(wheres) && !err; i++)
		err = drop_one(type, nr, i % 2, i / 2);
	kheap_type_destroy(type);
	kheap_gc_enable(torture.heap, true);
	return err;
}
