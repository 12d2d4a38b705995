// SPDX-License-Identifier: GPL-2.0
/*
 * Reference-counted objects, against a kref in an object of a kmem_cache, which
 * is what a module does today.
 */
#include <linux/kref.h>

#include <kheap/object.h>

#include "ops.h"

#define NR_PAIRS	10000
#define PAYLOAD_BYTES	32

/* --- The sides ---------------------------------------------------------- */

struct counted {
	struct kheap_object obj;
	u8 payload[PAYLOAD_BYTES];
};

struct krefed {
	struct kref kref;
	u8 payload[PAYLOAD_BYTES];
};

static struct kheap *type_heap;
static struct kmem_cache *kref_cache;

static void *begin_type(const struct kheap_type_ops *ops)
{
	struct kheap_type *type;

	type_heap = kheap_create("bench", NULL);
	if (IS_ERR(type_heap))
		return type_heap;
	type = kheap_type_create(type_heap, ops);
	if (IS_ERR(type))
		kheap_destroy(type_heap);
	return type;
}

static void *plain_begin(void)
{
	static const struct kheap_type_ops ops = {
		.name = "plain",
		.size = sizeof(struct counted),
	};

	return begin_type(&ops);
}

static void nothing_to_traverse(struct kheap_object *obj,
				struct kheap_visitor *visitor)
{
}

static void nothing_to_release(struct kheap_object *obj)
{
}

/* They have something to do in the end. */
static void *releasing_begin(void)
{
	static const struct kheap_type_ops ops = {
		.name = "releasing",
		.size = sizeof(struct counted),
		.release = nothing_to_release,
	};

	return begin_type(&ops);
}

/* The collector has an eye on these, and they have something to do in the end. */
static void *collectable_begin(void)
{
	static const struct kheap_type_ops ops = {
		.name = "collectable",
		.size = sizeof(struct counted),
		.traverse = nothing_to_traverse,
		.release = nothing_to_release,
	};

	return begin_type(&ops);
}

static int type_end(void *ctx)
{
	kheap_trim(type_heap);
	return bench_kheap_end(type_heap);
}

static const struct bench_side plain_side = {
	.name	= "kheap",
	.begin	= plain_begin,
	.end	= type_end,
};

static const struct bench_side releasing_side = {
	.name	= "kheap",
	.begin	= releasing_begin,
	.end	= type_end,
};

static const struct bench_side collectable_side = {
	.name	= "kheap",
	.begin	= collectable_begin,
	.end	= type_end,
};

static void *kref_begin(void)
{
	kref_cache = kmem_cache_create("bench_kref", sizeof(struct krefed), 0,
				       0, NULL);
	return kref_cache ?: ERR_PTR(-ENOMEM);
}

static int kref_end(void *ctx)
{
	kmem_cache_destroy(kref_cache);
	return 0;
}

static const struct bench_side kref_side = {
	.name	= "kref",
	.begin	= kref_begin,
	.end	= kref_end,
};

static struct krefed *krefed_new(struct kmem_cache *cache)
{
	struct krefed *krefed = kmem_cache_zalloc(cache, BENCH_GFP);

	if (krefed)
		kref_init(&krefed->kref);
	return krefed;
}

static void krefed_release(struct kref *kref)
{
	kmem_cache_free(kref_cache, container_of(kref, struct krefed, kref));
}

/* --- Counting ----------------------------------------------------------- */

static noinline void get_put_kheap(struct bench_run *run)
{
	struct kheap_object *obj = kheap_object_new(run->ctx, BENCH_GFP);
	unsigned int i;

	if (!obj) {
		run->error = -ENOMEM;
		return;
	}
	bench_start(run);
	for (i = 0; i < NR_PAIRS; i++) {
		kheap_object_get(obj);
		kheap_object_put(obj);
	}
	bench_stop(run, NR_PAIRS);
	kheap_object_put(obj);
}

static noinline void get_put_kref(struct bench_run *run)
{
	struct krefed *krefed = krefed_new(run->ctx);
	unsigned int i;

	if (!krefed) {
		run->error = -ENOMEM;
		return;
	}
	bench_start(run);
	for (i = 0; i < NR_PAIRS; i++) {
		kref_get(&krefed->kref);
		kref_put(&krefed->kref, krefed_release);
	}
	bench_stop(run, NR_PAIRS);
	kref_put(&krefed->kref, krefed_release);
}

/* --- A life ------------------------------------------------------------- */

static noinline void new_put_kheap(struct bench_run *run)
{
	struct kheap_type *type = run->ctx;
	unsigned int i;

	bench_start(run);
	for (i = 0; i < NR_PAIRS; i++) {
		struct kheap_object *obj = kheap_object_new(type, BENCH_GFP);

		if (unlikely(!obj))
			break;
		kheap_object_put(obj);
	}
	bench_stop(run, i);
}

static noinline void new_put_kref(struct bench_run *run)
{
	struct kmem_cache *cache = run->ctx;
	unsigned int i;

	bench_start(run);
	for (i = 0; i < NR_PAIRS; i++) {
		struct krefed *krefed = krefed_new(cache);

		if (unlikely(!krefed))
			break;
		kref_put(&krefed->kref, krefed_release);
	}
	bench_stop(run, i);
}

const struct bench_case bench_object_cases[] = {
	{ "object_get_put", &collectable_side, get_put_kheap },
	{ "object_get_put", &kref_side, get_put_kref },
	{ "object_new_put", &plain_side, new_put_kheap },
	{ "object_new_put", &kref_side, new_put_kref },
	{ "object_release", &releasing_side, new_put_kheap },
	{ "object_release", &kref_side, new_put_kref },
	{ "object_new_put_gc", &collectable_side, new_put_kheap },
	{ "object_new_put_gc", &kref_side, new_put_kref },
	{ }
};
