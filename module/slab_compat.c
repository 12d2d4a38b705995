// SPDX-License-Identifier: GPL-2.0
/*
 * What <kheap/slab_compat.h> calls: the heaps of modules that know nothing of
 * kheap, each named after its module. See Documentation/porting.rst.
 *
 * A module has up to two heaps: memory cgroups are charged for pages, so caches
 * with SLAB_ACCOUNT share none with the others.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ctype.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <kheap/slab_calls.h>

#include "block/alloc.h"
#include "main.h"

/* What the heap of charged caches has behind the module's name. */
#define ACCOUNT_SUFFIX	".acct"
static_assert(MODULE_NAME_LEN + sizeof(ACCOUNT_SUFFIX) <= KHEAP_NAME_MAX + 1);

/**
 * struct slab_heap - one of a module's heaps
 * @heap: the heap
 * @owner: the module
 * @account: its pages are charged to memory cgroups
 * @nr_caches: caches that are not destroyed yet
 * @kept: blocks of no cache were given out: the heap stays with the module
 * @list: in slab_heaps
 */
struct slab_heap {
	struct kheap *heap;
	struct module *owner;
	bool account;
	unsigned int nr_caches;
	bool kept;
	struct list_head list;
};

/* Protects the list and what is in it; taken before lock 1 and lock 2. */
static DEFINE_MUTEX(slab_lock);
static LIST_HEAD(slab_heaps);

/* --- Heaps -------------------------------------------------------------- */

static struct slab_heap *heap_of_module(const struct module *owner,
					bool account)
{
	struct slab_heap *slab;

	lockdep_assert_held(&slab_lock);
	list_for_each_entry(slab, &slab_heaps, list)
		if (slab->owner == owner && slab->account == account)
			return slab;
	return NULL;
}

static struct slab_heap *slab_heap_of(const struct kheap *heap)
{
	struct slab_heap *slab;

	lockdep_assert_held(&slab_lock);
	list_for_each_entry(slab, &slab_heaps, list)
		if (slab->heap == heap)
			return slab;
	return NULL;
}

static void slab_heap_destroy(struct slab_heap *slab)
{
	lockdep_assert_held(&slab_lock);
	list_del(&slab->list);
	kheap_destroy(slab->heap);
	kfree(slab);
}

/*
 * Modules and caches may have any name, and one more than once; those of heaps
 * are files and columns, and unique. From the second on they have a number.
 */
static void make_name(char *to, const char *from, unsigned int nr)
{
	char number[16] = "";
	size_t len, i;

	if (nr > 1)
		snprintf(number, sizeof(number), "-%u", nr);
	len = scnprintf(to, KHEAP_NAME_MAX + 1, "%.*s%s",
			(int)(KHEAP_NAME_MAX - strlen(number)), from, number);
	for (i = 0; i < len; i++)
		if (!isascii(to[i]) ||
		    (!isalnum(to[i]) && !strchr("_.-", to[i])))
			to[i] = '_';
}

/* Whoever has the module's name already keeps it. */
static struct kheap *create_heap(const struct module *owner, bool account,
				 unsigned long caller)
{
	struct kheap_params params = { .flags = account ? KHEAP_ACCOUNT : 0 };
	char name[KHEAP_NAME_MAX + 1], unique[KHEAP_NAME_MAX + 1];
	unsigned int nr = 1;
	struct kheap *heap;

	snprintf(name, sizeof(name), "%s%s", owner->name,
		 account ? ACCOUNT_SUFFIX : "");
	do {
		make_name(unique, name, nr++);
		heap = kheap_create_for(unique, &params, caller);
	} while (heap == ERR_PTR(-EEXIST));
	return heap;
}

/* The heap of a module, made if there is none yet. */
static struct slab_heap *slab_heap_get(struct module *owner, bool account,
				       unsigned long caller)
{
	struct slab_heap *slab = heap_of_module(owner, account);

	if (slab)
		return slab;
	slab = kzalloc(sizeof(*slab), GFP_KERNEL);
	if (!slab)
		return ERR_PTR(-ENOMEM);
	slab->owner = owner;
	slab->account = account;
	slab->heap = create_heap(owner, account, caller);
	if (IS_ERR(slab->heap)) {
		struct slab_heap *err = ERR_CAST(slab->heap);

		kfree(slab);
		return err;
	}
	list_add(&slab->list, &slab_heaps);
	return slab;
}

/* --- Caches ------------------------------------------------------------- */

static bool name_taken(struct kheap *heap, const char *name, unsigned int nr)
{
	char numbered[KHEAP_NAME_MAX + 1];
	bool taken;

	make_name(numbered, name, nr);
	mutex_lock(&heap->base.mutex);
	taken = kheap_class_find(heap, numbered);
	mutex_unlock(&heap->base.mutex);
	return taken;
}

/*
 * A number with which @name is not taken, found in few steps however many there
 * are: double it until one is free, then halve the way back to one that is not.
 * Where none is free between others, it is the next.
 */
static unsigned int free_number(struct kheap *heap, const char *name)
{
	unsigned int taken = 0, nr = 1;

	while (name_taken(heap, name, nr)) {
		taken = nr;
		nr *= 2;
	}
	while (nr - taken > 1) {
		unsigned int middle = taken + (nr - taken) / 2;

		if (name_taken(heap, name, middle))
			taken = middle;
		else
			nr = middle;
	}
	return nr;
}

/* SLUB lets a name be used any number of times. */
static struct kheap_cache *create_named(struct kheap *heap, const char *name,
					unsigned int size, unsigned int align,
					unsigned int flags,
					void (*ctor)(void *object))
{
	char unique[KHEAP_NAME_MAX + 1];

	lockdep_assert_held(&slab_lock);
	make_name(unique, name, free_number(heap, name));
	return kheap_cache_create(heap, unique, size, align, flags, ctor);
}

/* The flags that kheap has; the others of SLUB's change no behaviour. */
static unsigned int cache_flags(slab_flags_t flags)
{
	return (flags & SLAB_HWCACHE_ALIGN ? KHEAP_CACHE_HWALIGN : 0) |
	       (flags & SLAB_TYPESAFE_BY_RCU ? KHEAP_CACHE_RCU : 0);
}

/* Why there can be no such cache, or NULL. */
static const char *unfit(const char *name, unsigned int size,
			 unsigned int align, slab_flags_t flags)
{
	if (!name || !*name)
		return "it has no name";
	if (!size)
		return "its objects have no size";
	if (size > KHEAP_CACHE_SIZE_MAX)
		return "its objects are larger than kheap has them";
	if (align && !is_power_of_2(align))
		return "its alignment is no power of two";
	if (align > KHEAP_CACHE_ALIGN_MAX)
		return "its alignment is larger than a page";
	if (flags & (SLAB_CACHE_DMA | SLAB_CACHE_DMA32))
		return "its memory is to be of a zone for DMA";
	return NULL;
}

static struct kheap_cache *create(struct module *owner, const char *name,
				  unsigned int size, unsigned int align,
				  slab_flags_t flags,
				  void (*ctor)(void *object),
				  unsigned long caller)
{
	struct kheap_cache *cache;
	struct slab_heap *slab;

	mutex_lock(&slab_lock);
	slab = slab_heap_get(owner, flags & SLAB_ACCOUNT, caller);
	cache = ERR_CAST(slab);
	if (!IS_ERR(slab)) {
		cache = create_named(slab->heap, name, size, align,
				     cache_flags(flags), ctor);
		if (!IS_ERR(cache))
			slab->nr_caches++;
		else if (!slab->nr_caches && !slab->kept)
			slab_heap_destroy(slab);
	}
	mutex_unlock(&slab_lock);
	return cache;
}

/* Why there is none, though there could be one. */
static const char *failure(long err, char *text, size_t size)
{
	if (err == -ENOMEM)
		return "there is no memory for it";
	snprintf(text, size, "error %ld", err);
	return text;
}

static void report_failure(const struct module *owner, const char *name,
			   unsigned int size, const char *why)
{
	pr_err("module %s: no cache '%s' of %u bytes: %s\n", owner->name,
	       name ?: "", size, why);
}

struct kheap_cache *kheap_slab_create(struct module *owner, const char *name,
				      unsigned int size, unsigned int align,
				      slab_flags_t flags,
				      void (*ctor)(void *object))
{
	const char *why = unfit(name, size, align, flags);
	struct kheap_cache *cache;
	char text[16];

	might_sleep();
	if (!why) {
		cache = create(owner, name, size, align, flags, ctor,
			       _RET_IP_);
		if (!IS_ERR(cache))
			return cache;
		why = failure(PTR_ERR(cache), text, sizeof(text));
	}
	report_failure(owner, name, size, why);
	/* What the module asked for by this flag, and its code relies on. */
	if (flags & SLAB_PANIC)
		panic("kheap: module %s: no cache '%s'", owner->name, name);
	return NULL;
}
EXPORT_SYMBOL_GPL(kheap_slab_create);

void kheap_slab_destroy(struct kheap_cache *cache)
{
	struct slab_heap *slab;

	if (IS_ERR_OR_NULL(cache))
		return;
	might_sleep();
	mutex_lock(&slab_lock);
	slab = slab_heap_of(cache->class.heap);
	kheap_cache_destroy(cache);
	if (slab && !--slab->nr_caches && !slab->kept)
		slab_heap_destroy(slab);
	mutex_unlock(&slab_lock);
}
EXPORT_SYMBOL_GPL(kheap_slab_destroy);

int kheap_slab_shrink(struct kheap_cache *cache)
{
	struct kheap_class_stats stats;

	might_sleep();
	kheap_cache_shrink(&cache->class);
	kheap_class_get_stats(&cache->class, &stats);
	return stats.nr_pools != 0;
}
EXPORT_SYMBOL_GPL(kheap_slab_shrink);

/* --- Objects ------------------------------------------------------------ */

void *kheap_slab_alloc_nofail(struct kheap_cache *cache, gfp_t gfp)
{
	void *object;

	might_sleep();
	if (gfp & cache->class.bad_gfp)
		return NULL;
	while (!(object = kheap_cache_alloc(cache, gfp)))
		schedule_timeout_uninterruptible(1);
	return object;
}
EXPORT_SYMBOL_GPL(kheap_slab_alloc_nofail);

/*
 * The memory cgroup that an object's page is charged to, if it has no part of
 * @lru yet; then with a reference.
 */
static struct mem_cgroup *group_without_list(const void *object,
					     struct list_lru *lru)
{
	struct mem_cgroup *group;

	rcu_read_lock();
	do {
		group = page_memcg_check(virt_to_page(object));
		if (group && kheap_list_lru_has(lru, group))
			group = NULL;
	} while (group && !css_tryget(&group->css));
	rcu_read_unlock();
	return group;
}

/* Objects of the kernel's own allocator: see kheap_slab_join_lru(). */
static struct kmem_cache *charged_cache;

/*
 * The kernel makes a group's part of a list where it charges an object of its
 * own that goes on the list, and offers no other way: so it charges one.
 */
bool kheap_slab_join_lru(const void *object, struct list_lru *lru, gfp_t gfp)
{
	struct mem_cgroup *group = group_without_list(object, lru), *old;
	void *charged;

	if (likely(!group))
		return true;
	old = set_active_memcg(group);
	charged = kmem_cache_alloc_lru(charged_cache, lru,
				       (gfp & ~__GFP_ZERO) | __GFP_ACCOUNT);
	set_active_memcg(old);
	css_put(&group->css);
	if (charged)
		kmem_cache_free(charged_cache, charged);
	return charged;
}
EXPORT_SYMBOL_GPL(kheap_slab_join_lru);

bool kheap_slab_free(const void *ptr)
{
	struct kheap_pool *pool = kheap_pool_of(ptr);
	struct kheap_class *class;

	if (!pool)
		return false;
	class = READ_ONCE(pool->class);
	if (class->name && !class->type)
		kheap_cache_free(container_of(class, struct kheap_cache, class),
				 (void *)ptr);
	else
		kheap_free(pool->arena->set->heap, ptr);
	return true;
}
EXPORT_SYMBOL_GPL(kheap_slab_free);

/* Bytes of an allocated block that its owner may use; 0 if @ptr is none. */
static size_t usable_bytes(struct kheap_pool *pool, const void *ptr)
{
	struct kheap_class *class = READ_ONCE(pool->class);
	unsigned long idx;

	if (!kheap_block_index(class, pool, ptr, &idx) ||
	    !kheap_block_is_allocated(class, pool, idx))
		return 0;
	return kheap_debug_usable(class, ptr);
}

/* The same, and KASAN has nothing against all of them being used. */
static size_t bytes_to_touch(struct kheap_pool *pool, const void *ptr)
{
	size_t bytes = usable_bytes(pool, ptr);

	if (bytes)
		kheap_kasan_mark(READ_ONCE(pool->class), (void *)ptr,
				 KHEAP_KASAN_LIVE);
	return bytes;
}

bool kheap_slab_free_sensitive(const void *ptr)
{
	struct kheap_pool *pool = kheap_pool_of(ptr);

	if (!pool)
		return false;
	/* A bad pointer is for kheap_slab_free() to refuse, not to write to. */
	memzero_explicit((void *)ptr, bytes_to_touch(pool, ptr));
	return kheap_slab_free(ptr);
}
EXPORT_SYMBOL_GPL(kheap_slab_free_sensitive);

bool kheap_slab_free_rcu(const void *ptr)
{
	struct kheap_pool *pool = kheap_pool_of(ptr);

	if (!pool)
		return false;
	kheap_free_rcu(pool->arena->set->heap, ptr);
	return true;
}
EXPORT_SYMBOL_GPL(kheap_slab_free_rcu);

size_t kheap_slab_ksize(const void *ptr)
{
	struct kheap_pool *pool = kheap_pool_of(ptr);

	return pool ? usable_bytes(pool, ptr) ?:
		      READ_ONCE(pool->class)->usable : 0;
}
EXPORT_SYMBOL_GPL(kheap_slab_ksize);

/* As SLUB: there is no smaller place, and zeroes may be asked for again. */
static void *resized_where_it_is(struct kheap_class *class, void *ptr,
				 size_t old, size_t size, gfp_t gfp)
{
	if (want_init_on_alloc(gfp))
		memset(ptr + size, 0, old - size);
	/* Objects of a cache have their size from it. */
	if (class->name)
		return ptr;
	kheap_kasan_bound(class, ptr, size);
	if (!(gfp & __GFP_ZERO))
		kheap_kmsan_bound(class, ptr, size);
	if (unlikely(READ_ONCE(class->heap->base.watch)))
		kheap_debug_resized(class->heap, ptr, size);
	return ptr;
}

void *kheap_slab_resize(const void *ptr, size_t size, gfp_t gfp,
			void *(*alloc)(size_t size, gfp_t gfp))
{
	struct kheap_pool *pool = kheap_pool_of(ptr);
	size_t old = bytes_to_touch(pool, ptr);
	void *moved;

	if (!old) {
		kheap_refuse_free(pool->arena->set->heap, ptr);
		return NULL;
	}
	if (!size) {
		kheap_slab_free(ptr);
		return ZERO_SIZE_PTR;
	}
	if (size <= old)
		return resized_where_it_is(READ_ONCE(pool->class), (void *)ptr,
					   old, size, gfp);
	moved = alloc(size, gfp);
	if (moved) {
		memcpy(moved, ptr, old);
		kheap_slab_free(ptr);
	}
	return moved;
}
EXPORT_SYMBOL_GPL(kheap_slab_resize);

struct kheap *kheap_slab_heap_of(struct module *owner, gfp_t gfp)
{
	struct slab_heap *slab;

	if ((gfp & GFP_KERNEL) != GFP_KERNEL)
		return NULL;
	might_sleep();
	mutex_lock(&slab_lock);
	slab = slab_heap_get(owner, false, _RET_IP_);
	if (!IS_ERR(slab))
		slab->kept = true;
	mutex_unlock(&slab_lock);
	return IS_ERR(slab) ? NULL : slab->heap;
}
EXPORT_SYMBOL_GPL(kheap_slab_heap_of);

/* --- The end of a module ------------------------------------------------ */

/* A module has ended, or never got under way: what it left goes, reported. */
static int module_event(struct notifier_block *block, unsigned long event,
			void *module)
{
	struct slab_heap *slab, *next;

	if (event != MODULE_STATE_GOING)
		return NOTIFY_DONE;
	mutex_lock(&slab_lock);
	list_for_each_entry_safe(slab, next, &slab_heaps, list)
		if (slab->owner == module)
			slab_heap_destroy(slab);
	mutex_unlock(&slab_lock);
	return NOTIFY_OK;
}

static struct notifier_block module_notifier = {
	.notifier_call = module_event,
};

int kheap_slab_init(void)
{
	int err;

	charged_cache = kmem_cache_create("kheap_charged", sizeof(long), 0, 0,
					  NULL);
	if (!charged_cache)
		return -ENOMEM;
	err = register_module_notifier(&module_notifier);
	if (err)
		kmem_cache_destroy(charged_cache);
	return err;
}

void kheap_slab_exit(void)
{
	unregister_module_notifier(&module_notifier);
	kmem_cache_destroy(charged_cache);
}
