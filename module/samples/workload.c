// SPDX-License-Identifier: GPL-2.0
/*
 * A client whose every request is known: so many of each, all at insertion, by
 * functions with telling names. scripts/bpftrace is checked against its numbers,
 * which are parameters, to be read in /sys/module/kheap_workload/parameters, and
 * primes unless changed, so that no sum of some is another by chance. The heap
 * "workload" stays, with what was kept and lost, until the module goes.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <kheap/kheap.h>
#include <kheap/object.h>

#define PARAM(name, value, text)		\
	static unsigned int name = value;	\
	module_param(name, uint, 0444);		\
	MODULE_PARM_DESC(name, text)

PARAM(nr_small, 101, "blocks of 40 bytes, allocated and freed");
PARAM(nr_wasteful, 53, "blocks of 193 bytes, which get 200");
PARAM(nr_large, 7, "blocks of 20000 bytes");
PARAM(nr_kept, 13, "blocks of 72 bytes that are never freed");
PARAM(nr_hoard, 0, "blocks of 20000 bytes that are never freed");
PARAM(nr_short, 31, "blocks of 96 bytes that live for 20 ms");
PARAM(nr_cross, 23, "blocks of 56 bytes freed on CPU 1, allocated on CPU 0");
PARAM(nr_cycle, 17, "objects in one cycle that nobody refers to");
PARAM(nr_tokens, 5, "objects without fields");
PARAM(nr_lost, 2, "of these, those with one reference that is never put");
PARAM(nr_gets, 43, "references taken to each of them, and put");

static struct kheap *heap;

/* --- Blocks ------------------------------------------------------------- */

struct blocks {
	unsigned int nr;
	void *block[];
};

static noinline void free_blocks(struct blocks *blocks)
{
	unsigned int i;

	for (i = 0; i < blocks->nr; i++)
		kheap_free(heap, blocks->block[i]);
	kfree(blocks);
}

static __always_inline struct blocks *alloc_blocks(unsigned int nr, size_t size)
{
	struct blocks *blocks = kzalloc(struct_size(blocks, block, nr),
					GFP_KERNEL);
	unsigned int i;

	if (!blocks)
		return NULL;
	blocks->nr = nr;
	for (i = 0; i < nr; i++) {
		blocks->block[i] = kheap_alloc(heap, size, GFP_KERNEL);
		if (!blocks->block[i]) {
			free_blocks(blocks);
			return NULL;
		}
	}
	return blocks;
}

#define ALLOCATOR(name, nr, size)			\
static noinline struct blocks *name(void)		\
{							\
	return alloc_blocks(nr, size);			\
}

ALLOCATOR(alloc_small, nr_small, 40)
ALLOCATOR(alloc_wasteful, nr_wasteful, 193)
ALLOCATOR(alloc_large, nr_large, 20000)
ALLOCATOR(alloc_kept, nr_kept, 72)
ALLOCATOR(alloc_hoard, nr_hoard, 20000)
ALLOCATOR(alloc_short, nr_short, 96)
ALLOCATOR(alloc_cross, nr_cross, 56)

/*
 * Sleep at least that long by the clock that tracers read. A timer of jiffies
 * ends early when the ticks of a stalled machine are made up for.
 */
static void sleep_by_clock(unsigned int ms)
{
	u64 end = ktime_get_mono_fast_ns() + ms * NSEC_PER_MSEC;

	while (ktime_get_mono_fast_ns() < end)
		msleep(ms);
}

static int use_blocks(struct blocks *(*alloc)(void), unsigned int ms)
{
	struct blocks *blocks = alloc();

	if (!blocks)
		return -ENOMEM;
	sleep_by_clock(ms);
	free_blocks(blocks);
	return 0;
}

static int leak_blocks(struct blocks *(*alloc)(void))
{
	struct blocks *blocks = alloc();

	kfree(blocks);		/* the list of them only */
	return blocks ? 0 : -ENOMEM;
}

/* --- Objects ------------------------------------------------------------ */

struct link {
	struct kheap_object obj;
	struct kheap_object *next;
};

static struct kheap_object **next_of(struct kheap_object *obj)
{
	return &container_of(obj, struct link, obj)->next;
}

static void link_traverse(struct kheap_object *obj,
			  struct kheap_visitor *visitor)
{
	kheap_visit(visitor, *next_of(obj));
}

static void link_clear(struct kheap_object *obj)
{
	kheap_ref_set(next_of(obj), NULL);
}

static const struct kheap_type_ops link_ops = {
	.name		= "link",
	.size		= sizeof(struct link),
	.traverse	= link_traverse,
	.clear		= link_clear,
};

static const struct kheap_type_ops token_ops = {
	.name		= "token",
	.size		= sizeof(struct kheap_object),
};

/* A ring that only its own members refer to when it is done. */
static noinline int make_cycle(struct kheap_type *type)
{
	struct kheap_object *first, *last, *new;
	unsigned int i;

	first = kheap_object_new(type, GFP_KERNEL);
	if (!first)
		return -ENOMEM;
	last = first;
	for (i = 1; i < nr_cycle; i++) {
		new = kheap_object_new(type, GFP_KERNEL);
		if (!new)
			break;
		kheap_ref_set(next_of(last), new);
		kheap_object_put(new);
		last = new;
	}
	kheap_ref_set(next_of(last), first);
	kheap_object_put(first);
	return i < nr_cycle ? -ENOMEM : 0;
}

static noinline void take_references(struct kheap_object *token)
{
	unsigned int i;

	for (i = 0; i < nr_gets; i++)
		kheap_object_get(token);
}

static noinline void drop_references(struct kheap_object *token,
				     unsigned int nr)
{
	while (nr--)
		kheap_object_put(token);
}

/* Where the reference is lost: nobody puts this one. */
static noinline void borrow_token(struct kheap_object *token)
{
	kheap_object_get(token);
	barrier();	/* a tail call would leave this function off the stack */
}

static noinline int use_tokens(struct kheap_type *type)
{
	struct kheap_object *token;
	unsigned int i;

	for (i = 0; i < nr_tokens; i++) {
		token = kheap_object_new(type, GFP_KERNEL);
		if (!token)
			return -ENOMEM;
		take_references(token);
		if (i < nr_lost)
			borrow_token(token);
		drop_references(token, nr_gets + 1);
	}
	return 0;
}

static int use_objects(void)
{
	struct kheap_type *links, *tokens;
	long nr;
	int err;

	links = kheap_type_create(heap, &link_ops);
	if (IS_ERR(links))
		return PTR_ERR(links);
	tokens = kheap_type_create(heap, &token_ops);
	if (IS_ERR(tokens))
		return PTR_ERR(tokens);
	err = make_cycle(links) ?: use_tokens(tokens);
	if (err)
		return err;
	nr = kheap_gc_collect(heap, KHEAP_GC_FULL);
	return nr < 0 ? nr : 0;
}

/* --- All of it ---------------------------------------------------------- */

static struct blocks *crossing;

static int on_first_cpu(void *unused)
{
	int err;

	err = use_blocks(alloc_small, 0) ?:
	      use_blocks(alloc_wasteful, 0) ?:
	      use_blocks(alloc_large, 0) ?:
	      use_blocks(alloc_short, 20) ?:
	      leak_blocks(alloc_kept) ?:
	      leak_blocks(alloc_hoard) ?:
	      use_objects();
	if (err)
		return err;
	crossing = alloc_cross();
	return crossing ? 0 : -ENOMEM;
}

static int on_second_cpu(void *unused)
{
	free_blocks(crossing);
	return 0;
}

static int __init workload_init(void)
{
	int err;

	heap = kheap_create("workload", NULL);
	if (IS_ERR(heap))
		return PTR_ERR(heap);
	kheap_gc_enable(heap, false);
	err = smp_call_on_cpu(0, on_first_cpu, NULL, false);
	if (!err)
		err = smp_call_on_cpu(cpu_online(1) ? 1 : 0, on_second_cpu,
				      NULL, false);
	if (err)
		kheap_destroy(heap);
	return err;
}
module_init(workload_init);

static void __exit workload_exit(void)
{
	kheap_destroy(heap);
}
module_exit(workload_exit);

MODULE_DESCRIPTION("A client of kheap whose every request is known");
MODULE_AUTHOR("The kheap developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
