// SPDX-License-Identifier: GPL-2.0
/*
 * A bad client: makes one mistake when it is inserted, so that a test can see
 * what the sanitizers of the kernel say about it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/compiler.h>
#include <linux/module.h>
#include <linux/string.h>
#include <kheap/kheap.h>
#include <kheap/object.h>

static char *fault = "none";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "which mistake to make; see the table in the source");

static unsigned int flags;
module_param(flags, uint, 0444);
MODULE_PARM_DESC(flags, "creation flags of the heap");

struct thing {
	struct kheap_object obj;
	u64 value;
};

static struct kheap *heap;

/* So that the compiler does not see what becomes of the pointer. */
static u8 *hidden(void *ptr)
{
	OPTIMIZER_HIDE_VAR(ptr);
	return ptr;
}

static void read_byte(void *block, size_t at)
{
	u8 *byte = hidden(block) + at;

	(void)READ_ONCE(*byte);
}

/* What is there stays, so that a mistake has no consequences. */
static void write_byte(void *block, size_t at)
{
	u8 *byte = hidden(block) + at;

	WRITE_ONCE(*byte, READ_ONCE(*byte));
}

/* 50 of 56 bytes are the client's. */
static void slack(void *block)
{
	write_byte(block, 50);
}

static void slack_after_realloc(void *block)
{
	block = kheap_realloc(heap, block, 45, GFP_KERNEL);
	write_byte(block, 44);
	write_byte(block, 45);
}

/* All of it may be used by whoever has asked how much there is. */
static void slack_that_is_known(void *block)
{
	write_byte(block, kheap_usable_size(heap, block) - 1);
}

/* The next block, which nobody ever had. */
static void virgin(void *block)
{
	write_byte(block, 56);
}

static void freed(void *block)
{
	kheap_free(heap, block);
	read_byte(block, 20);
}

static void freed_start(void *block)
{
	kheap_free(heap, block);
	write_byte(block, 0);
}

static void freed_in_pool(void *block)
{
	kheap_free(heap, block);
	kheap_trim(heap);
	read_byte(block, 5);
}

static void object(void *block)
{
	static const struct kheap_type_ops ops = {
		.name = "thing",
		.size = sizeof(struct thing),
	};
	struct kheap_type *type = kheap_type_create(heap, &ops);
	struct thing *thing;

	if (IS_ERR(type))
		return;
	thing = (struct thing *)kheap_object_new(type, GFP_KERNEL);
	if (!thing)
		return;
	kheap_object_put(&thing->obj);
	read_byte(thing, offsetof(struct thing, value));
}

static void cache_slack(void *block)
{
	struct kheap_cache *cache = kheap_cache_create(heap, "odd", 42, 0, 0,
						       NULL);

	if (!IS_ERR(cache))
		write_byte(kheap_cache_alloc(cache, GFP_KERNEL), 42);
}

static void leak(void *block)
{
	unsigned int i;

	for (i = 0; i < 20; i++)
		kheap_alloc(heap, 200, GFP_KERNEL);
}

/* What leads from the freed block to the next free one; then all are wanted. */
static void link(void *block)
{
	unsigned int i;

	kheap_free(heap, block);
	kheap_trim(heap);
	for (i = 0; i < 8; i++)
		WRITE_ONCE(hidden(block)[i], 0x5a);
	for (i = 0; i < 2 * PAGE_SIZE / 56; i++)
		kheap_alloc(heap, 50, GFP_KERNEL);
}

static void none(void *block)
{
	write_byte(block, 0);
	write_byte(block, 49);
}

static const struct {
	const char *name;
	void (*make)(void *block);
} faults[] = {
	{ "none", none },
	{ "slack", slack },
	{ "slack_after_realloc", slack_after_realloc },
	{ "slack_that_is_known", slack_that_is_known },
	{ "virgin", virgin },
	{ "freed", freed },
	{ "freed_start", freed_start },
	{ "freed_in_pool", freed_in_pool },
	{ "object", object },
	{ "cache_slack", cache_slack },
	{ "leak", leak },
	{ "link", link },
};

static int __init faulty_init(void)
{
	struct kheap_params params = { .flags = flags };
	unsigned int i;
	void *block;

	heap = kheap_create("faulty", &params);
	if (IS_ERR(heap))
		return PTR_ERR(heap);
	for (i = 0; i < ARRAY_SIZE(faults); i++)
		if (!strcmp(faults[i].name, fault))
			break;
	/* One stays, so that the page does. */
	if (i == ARRAY_SIZE(faults) || !kheap_alloc(heap, 50, GFP_KERNEL)) {
		kheap_destroy(heap);
		return -EINVAL;
	}
	block = kheap_alloc(heap, 50, GFP_KERNEL);
	if (block)
		faults[i].make(block);
	return 0;
}

static void __exit faulty_exit(void)
{
	kheap_destroy(heap);
}

module_init(faulty_init);
module_exit(faulty_exit);

MODULE_DESCRIPTION("A client of kheap that makes one mistake");
MODULE_LICENSE("GPL");
