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

static noinline __no_sanitize_address u8 unseen(const u8 *byte)
{
	return READ_ONCE(*byte);
}

/*
 * What is there stays, so that a mistake has no consequences; it is read
 * unseen, so that the mistake is the write.
 */
static void write_byte(void *block, size_t at)
{
	u8 *byte = hidden(block) + at;

	WRITE_ONCE(*byte, unseen(byte));
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

static struct thing *thing_new(void)
{
	static const struct kheap_type_ops ops = {
		.name = "thing",
		.size = sizeof(struct thing),
	};
	struct kheap_type *type = kheap_type_create(heap, &ops);

	if (IS_ERR(type))
		return NULL;
	return (struct thing *)kheap_object_new(type, GFP_KERNEL);
}

static void object(void *block)
{
	struct thing *thing = thing_new();

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

/* --- Bytes that nobody has written -------------------------------------- */

/* In its caller, for the report to name that. To load is no use yet. */
static __always_inline void use_bytes(void *block, size_t first, size_t nr)
{
	const u8 *bytes = hidden(block);
	size_t i;

	for (i = first; bytes && i < first + nr; i++)
		if (READ_ONCE(bytes[i]) == 0x5a)
			pr_info("byte %zu is that\n", i);
}

static void unwritten(void *block)
{
	use_bytes(block, 49, 1);
}

static void partly_written(void *block)
{
	memset(block, 1, 20);
	use_bytes(block, 0, 20);
	use_bytes(block, 20, 1);
}

static void copied(void *block)
{
	void *copy = kheap_alloc(heap, 50, GFP_KERNEL);

	memset(block, 1, 20);
	if (copy)
		memcpy(copy, block, 50);
	use_bytes(copy, 0, 20);
	use_bytes(copy, 20, 1);
}

/* What its last owner wrote is none of the next one's business. */
static void reused(void *block)
{
	memset(block, 1, 50);
	kheap_free(heap, block);
	block = kheap_alloc(heap, 50, GFP_KERNEL);
	use_bytes(block, 30, 1);
}

/* The same where the link to the next free block has been. */
static void reused_link(void *block)
{
	memset(block, 1, 50);
	kheap_free(heap, block);
	kheap_trim(heap);
	block = kheap_alloc(heap, 50, GFP_KERNEL);
	use_bytes(block, 4, 1);
}

static void dead(void *block)
{
	memset(block, 1, 50);
	kheap_free(heap, block);
	use_bytes(block, 30, 1);
}

static void dead_link(void *block)
{
	memset(block, 1, 50);
	kheap_free(heap, block);
	kheap_trim(heap);
	use_bytes(block, 4, 1);
}

static void grown(void *block)
{
	memset(block, 1, 50);
	block = kheap_realloc(heap, block, 200, GFP_KERNEL);
	use_bytes(block, 0, 50);
	use_bytes(block, 50, 1);
}

/* All in one place: 56 bytes are the least there are. */
static void shrunk_and_grown(void *block)
{
	memset(block, 1, 50);
	block = kheap_realloc(heap, block, 45, GFP_KERNEL);
	block = kheap_realloc(heap, block, 50, GFP_KERNEL);
	use_bytes(block, 0, 45);
	use_bytes(block, 45, 1);
}

static void dead_object(void *block)
{
	struct thing *thing = thing_new();

	if (!thing)
		return;
	kheap_object_put(&thing->obj);
	use_bytes(thing, offsetof(struct thing, value), 1);
}

static void bulk(void *block)
{
	void *blocks[4];

	if (kheap_alloc_bulk(heap, 50, GFP_KERNEL, 4, blocks) != 4)
		return;
	memset(blocks[3], 1, 50);
	kheap_free_bulk(heap, 4, blocks);
	use_bytes(blocks[3], 30, 1);
}

static void of_a_cache(void *block)
{
	struct kheap_cache *cache = kheap_cache_create(heap, "odd", 42, 0, 0,
						       NULL);

	if (!IS_ERR(cache))
		use_bytes(kheap_cache_alloc(cache, GFP_KERNEL), 41, 1);
}

static void large(void *block)
{
	use_bytes(kheap_alloc(heap, 20000, GFP_KERNEL), 19999, 1);
}

/* --- Bytes that somebody has written ------------------------------------ */

static void zeroed(void *block)
{
	static const size_t sizes[] = { 1, 50, 64, 200, 5000, 20000 };
	unsigned int i, again;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		for (again = 0; again < 2; again++) {
			block = kheap_zalloc(heap, sizes[i], GFP_KERNEL);
			use_bytes(block, 0, sizes[i]);
			kheap_free(heap, block);
			block = kheap_calloc(heap, 1, sizes[i], GFP_KERNEL);
			use_bytes(block, 0, sizes[i]);
			kheap_free(heap, block);
		}
}

static void construct(void *object)
{
	memset(object, 7, 42);
}

static void constructed(void *block)
{
	struct kheap_cache *cache = kheap_cache_create(heap, "made", 42, 0, 0,
						       construct);
	unsigned int i;

	if (IS_ERR(cache))
		return;
	for (i = 0; i < 3; i++) {
		block = kheap_cache_alloc(cache, GFP_KERNEL);
		use_bytes(block, 0, 42);
		kheap_cache_free(cache, block);
	}
}

static void kept(void *block)
{
	memset(block, 1, 50);
	block = kheap_realloc(heap, block, 55, GFP_KERNEL);
	use_bytes(block, 0, 50);
	block = kheap_realloc(heap, block, 5000, GFP_KERNEL);
	use_bytes(block, 0, 50);
	block = kheap_realloc(heap, block, 20000, GFP_KERNEL);
	use_bytes(block, 0, 50);
	block = kheap_realloc(heap, block, 20, GFP_KERNEL);
	use_bytes(block, 0, 20);
}

static void new_object(void *block)
{
	struct thing *thing = thing_new();

	if (thing)
		use_bytes(thing, 0, sizeof(*thing));
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
	{ "unwritten", unwritten },
	{ "partly_written", partly_written },
	{ "copied", copied },
	{ "reused", reused },
	{ "reused_link", reused_link },
	{ "dead", dead },
	{ "dead_link", dead_link },
	{ "grown", grown },
	{ "shrunk_and_grown", shrunk_and_grown },
	{ "dead_object", dead_object },
	{ "bulk", bulk },
	{ "of_a_cache", of_a_cache },
	{ "large", large },
	{ "zeroed", zeroed },
	{ "constructed", constructed },
	{ "kept", kept },
	{ "new_object", new_object },
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
