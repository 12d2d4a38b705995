// SPDX-License-Identifier: GPL-2.0
/*
 * A module that knows slab caches and not kheap: Kbuild puts
 * <kheap/slab_compat.h> before it. It uses every call that the header serves,
 * and its insertion fails with -EUCLEAN if one does not do what it should.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/mempool.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "slab_client.h"

static bool leak;
module_param(leak, bool, 0444);
MODULE_PARM_DESC(leak, "leave a cache with an object behind");

static unsigned int ledgers;
module_param(ledgers, uint, 0444);
MODULE_PARM_DESC(ledgers, "charged objects of 1 KiB to make and keep");

static bool grouped;
module_param(grouped, bool, 0444);
MODULE_PARM_DESC(grouped, "a memory cgroup is to be charged for them");

static unsigned int nr_wrong;

#define CHECK(claim)							\
do {									\
	if (!(claim)) {							\
		pr_err("line %d: not so: %s\n", __LINE__, #claim);	\
		nr_wrong++;						\
	}								\
} while (0)

struct parcel {
	u64 weight;
	char label[32];
	struct rcu_head rcu;
};

#define NR_BULK	20

static struct kmem_cache *parcels, *sealed, *shared, *lines, *kept;
static void *held;	/* of the cache "shared", while we are loaded */

static void seal(void *object)
{
	memset(object, 0x5e, 100);
}

static int make_caches(void)
{
	parcels = KMEM_CACHE(parcel, SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT);
	sealed = kmem_cache_create("sealed parcels", 100, 0,
				   SLAB_TYPESAFE_BY_RCU, seal);
	shared = kmem_cache_create_usercopy("shared", 700, 0, 0, 8, 64, NULL);
	lines = kmem_cache_create("line", 40, 0, SLAB_HWCACHE_ALIGN, NULL);
	kept = leak ? kmem_cache_create("kept", 24, 0, 0, NULL) : NULL;
	return parcels && sealed && shared && lines && !!kept == leak ?
	       0 : -ENOMEM;
}

static void destroy_caches(void)
{
	slab_client_end_ledgers();
	if (shared)
		kmem_cache_free(shared, held);
	kmem_cache_destroy(parcels);
	kmem_cache_destroy(sealed);
	kmem_cache_destroy(shared);
	kmem_cache_destroy(lines);
}

static void freed_by_pointer(void *object)
{
	void (*end)(const void *ptr) = kfree;

	end(object);
}

/* Kernels since v6.5 have <linux/cleanup.h>. */
static void freed_at_the_end(void)
{
#ifdef DEFINE_FREE
	struct parcel *parcel __free(kfree) = kmem_cache_alloc(parcels,
							       GFP_KERNEL);

	CHECK(parcel);
#endif
}

static void try_objects(void)
{
	struct parcel *one = kmem_cache_alloc(parcels, GFP_KERNEL);
	struct parcel *two = kmem_cache_zalloc(parcels, GFP_KERNEL_ACCOUNT);
	struct parcel *three = kmem_cache_alloc_node(parcels, GFP_KERNEL, 0);
	struct parcel *four = kmem_cache_alloc(parcels,
					       GFP_NOFS | __GFP_NOFAIL);

	CHECK(one && two && three && four && one != two);
	CHECK(two && !memchr_inv(two, 0, sizeof(*two)));
	CHECK(kmem_cache_size(parcels) == sizeof(struct parcel));
	freed_at_the_end();
	kmem_cache_free(parcels, one);
	kfree_rcu(two, rcu);
	freed_by_pointer(three);
	kfree_rcu_mightsleep(four);
}

static void try_bulk(void)
{
	void *objects[NR_BULK];
	unsigned int i;

	CHECK(kmem_cache_alloc_bulk(lines, GFP_KERNEL, NR_BULK, objects) ==
	      NR_BULK);
	for (i = 0; i < NR_BULK; i++)
		CHECK(IS_ALIGNED((unsigned long)objects[i], 64));
	kmem_cache_free_bulk(lines, NR_BULK / 2, objects);
	kmem_cache_free_bulk(NULL, NR_BULK / 2, objects + NR_BULK / 2);
	CHECK(!kmem_cache_shrink(lines));
}

/* What a reader under RCU finds is still an object in its constructed state. */
static void try_rcu_cache(void)
{
	u8 *object = kmem_cache_alloc(sealed, GFP_KERNEL);
	void *objects[1];

	CHECK(object && !memchr_inv(object, 0x5e, 100));
	rcu_read_lock();
	kmem_cache_free(sealed, object);
	CHECK(object && !memchr_inv(object, 0x5e, 100));
	rcu_read_unlock();
	kfree(kmem_cache_alloc(sealed, GFP_KERNEL));
	objects[0] = kmem_cache_alloc(sealed, GFP_KERNEL);
	kmem_cache_free_bulk(sealed, 1, objects);
}

static void try_mempool(void)
{
	mempool_t *pool = mempool_create_slab_pool(4, parcels);
	void *element;

	CHECK(pool);
	if (!pool)
		return;
	element = mempool_alloc(pool, GFP_KERNEL);
	CHECK(element);
	mempool_free(element, pool);
	mempool_destroy(pool);
}

/* Memory and caches of the kernel's go on being the kernel's. */
static void try_foreign(void)
{
	struct parcel *parcel = kmalloc(sizeof(*parcel), GFP_KERNEL);
	char *path = __getname(), *text = kstrdup("text", GFP_KERNEL);

	CHECK(parcel && path && text);
	CHECK(!parcel || ksize(parcel) >= sizeof(*parcel));
	__putname(path);
	kfree(text);
	kfree_rcu(parcel, rcu);
}

static void try_refusals(void)
{
	CHECK(!kmem_cache_create("huge", 100000, 0, 0, NULL));
	CHECK(!kmem_cache_create("dma", 64, 0, SLAB_CACHE_DMA, NULL));
	kmem_cache_destroy(NULL);
	kmem_cache_free(parcels, NULL);
	kfree(NULL);
}

static int __init slab_client_init(void)
{
	int err = make_caches() ?: slab_client_make_ledgers(ledgers);

	if (!err) {
		try_objects();
		try_bulk();
		try_rcu_cache();
		try_mempool();
		try_foreign();
		try_refusals();
		CHECK(!slab_client_try_kmalloc());
		CHECK(!slab_client_try_resize());
		CHECK(slab_client_nr_uncharged() == (grouped ? 0 : ledgers));
		CHECK(!kept || kmem_cache_alloc(kept, GFP_KERNEL));
		held = kmem_cache_alloc(shared, GFP_KERNEL);
		CHECK(held);
	}
	if (nr_wrong)
		err = -EUCLEAN;
	if (err)
		destroy_caches();
	return err;
}

static void __exit slab_client_exit(void)
{
	destroy_caches();
}

module_init(slab_client_init);
module_exit(slab_client_exit);

MODULE_DESCRIPTION("A module with slab caches, for the test of slab_compat.h");
MODULE_AUTHOR("The kheap developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
