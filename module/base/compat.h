/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every difference between the kernels that kheap is tested on, 6.1 to 7.2.
 * A shim names the version or commit that made it necessary.
 */
#ifndef _KHEAP_COMPAT_H
#define _KHEAP_COMPAT_H

#include <linux/mm.h>
#include <linux/shrinker.h>
#include <linux/version.h>
#include <linux/workqueue.h>

#ifndef CONFIG_X86_64
#error "kheap: only x86-64 is supported; see Documentation/design.rst"
#endif

/* kheap_pool_of() counts struct pages from the direct map's first one. */
#if !defined(CONFIG_SPARSEMEM_VMEMMAP) && !defined(CONFIG_UML)
#error "kheap: the kernel needs CONFIG_SPARSEMEM_VMEMMAP"
#endif

#include <asm/asm.h>

/*
 * A variable on the stack that CONFIG_INIT_STACK_ALL_ZERO does not have zeroed:
 * all fields are set, and that would be a string instruction before them.
 */
#if __has_attribute(__uninitialized__)
#define __kheap_uninitialized	__attribute__((__uninitialized__))
#else
#define __kheap_uninitialized
#endif

/*
 * How many pages the direct map can have. User-Mode Linux has one piece of
 * memory, every page of it with its struct page, in one array.
 */
static inline unsigned long kheap_nr_map_pages(void)
{
#ifdef CONFIG_UML
	return ((unsigned long)high_memory - PAGE_OFFSET) >> PAGE_SHIFT;
#else
	return (VMALLOC_START - PAGE_OFFSET) >> PAGE_SHIFT;
#endif
}

/*
 * Load a word of memory that may not be mapped; 0 if it is not. One
 * instruction where nothing goes wrong. EX_TYPE_ZERO_REG is there since v5.16
 * (commit 4b5305decc84, "x86/extable: Extend extable functionality"). On
 * User-Mode Linux what is asked for is always mapped, see above.
 */
static __always_inline unsigned long kheap_load_nofault(const unsigned long *p)
{
#ifdef CONFIG_UML
	return READ_ONCE(*p);
#else
	unsigned long word;

	asm volatile("1:	movq %[mem], %[word]\n"
		     "2:\n"
		     _ASM_EXTABLE_TYPE_REG(1b, 2b, EX_TYPE_ZERO_REG, %[word])
		     : [word] "=r" (word)
		     : [mem] "m" (*p));
	return word;
#endif
}

/*
 * As *p; -EFAULT if @p cannot be an address, see kheap_no_address(). Where nothing
 * goes wrong, it is the instructions of an ordinary look.
 */
static __always_inline int kheap_flag_nofault(const bool *p)
{
#ifdef CONFIG_UML
	return (unsigned long)p >> 62 == 2 ? -EFAULT : *p;
#else
	asm goto("1:	cmpb $0, %[mem]\n"
		 "	je %l[no]\n"
		 _ASM_EXTABLE(1b, %l[bad])
		 : : [mem] "m" (*p) : "cc" : no, bad);
	return true;
no:
	return false;
bad:
	return -EFAULT;
#endif
}

/*
 * The word of struct page that is the pool's for its tag. It was renamed in
 * v6.16 (commit acc53a0b4c156, "mm: rename page->index to page->__folio_index").
 */
static __always_inline unsigned long *kheap_page_tag(const struct page *page)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
	static_assert(sizeof(page->__folio_index) == sizeof(long));
	return (unsigned long *)&page->__folio_index;
#else
	static_assert(sizeof(page->index) == sizeof(long));
	return (unsigned long *)&page->index;
#endif
}

/*
 * Work for any CPU. The queue has its new name since v6.17 (commit
 * 128ea9f6ccfb, "workqueue: Add system_percpu_wq and system_dfl_wq"), and the
 * old one warns.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
#define kheap_unbound_wq	system_dfl_wq
#else
#define kheap_unbound_wq	system_unbound_wq
#endif

/*
 * Shrinkers are allocated by the kernel since v6.7 ("mm: shrinker: add
 * infrastructure for dynamically allocating shrinker"); before, they were the
 * caller's.
 */
typedef unsigned long kheap_shrink_fn(struct shrinker *shrinker,
				      struct shrink_control *control);

static inline struct shrinker *kheap_shrinker_create(kheap_shrink_fn *count,
						     kheap_shrink_fn *scan)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	struct shrinker *shrinker = shrinker_alloc(0, "kheap");

	if (!shrinker)
		return NULL;
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker_register(shrinker);
	return shrinker;
#else
	static struct shrinker shrinker = { .seeks = DEFAULT_SEEKS };

	shrinker.count_objects = count;
	shrinker.scan_objects = scan;
	return register_shrinker(&shrinker, "kheap") ? NULL : &shrinker;
#endif
}

static inline void kheap_shrinker_destroy(struct shrinker *shrinker)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	shrinker_free(shrinker);
#else
	unregister_shrinker(shrinker);
#endif
}

/*
 * The source of a string is named once, in __string(), since v6.10 (commit
 * 2c92ca849fcc, "tracing/treewide: Remove second parameter of __assign_str()").
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
#define kheap_assign_str(field, from)	__assign_str(field, from)
#else
#define kheap_assign_str(field, ...)	__assign_str(field)
#endif

/*
 * KASAN's generic mode exports this one function of its own to modules, with
 * its prototype in mm/kasan. A granule is 8 bytes; the value 0 makes them
 * accessible, 1 to 7 so many of them; 0xff is "use-after-free" in a report,
 * 0xfc "slab-out-of-bounds".
 */
#ifdef CONFIG_KASAN_GENERIC
void kasan_poison(const void *addr, size_t size, u8 value, bool init);
#else
static inline void kasan_poison(const void *addr, size_t size, u8 value,
				bool init)
{
}
#endif

#define KHEAP_KASAN_GRANULE	8
#define KHEAP_KASAN_LIVE	0x00
#define KHEAP_KASAN_FREE	0xff
#define KHEAP_KASAN_BEYOND	0xfc

/*
 * Load and store a word of memory that is free to KASAN, and that nobody has
 * written to as far as KMSAN is to know. They do not see what assembler does.
 */
static __always_inline u64 kheap_load_unseen(const u64 *p)
{
#if defined(CONFIG_KASAN_GENERIC) || defined(CONFIG_KMSAN)
	u64 word;

	asm volatile("movq (%1), %0" : "=r" (word) : "r" (p) : "memory");
	return word;
#else
	/* Whoever has the block may write there; two may free it at once. */
	return data_race(*p);
#endif
}

static __always_inline void kheap_store_unseen(u64 *p, u64 word)
{
#if defined(CONFIG_KASAN_GENERIC) || defined(CONFIG_KMSAN)
	asm volatile("movq %0, (%1)" : : "r" (word), "r" (p) : "memory");
#else
	WRITE_ONCE(*p, word);
#endif
}

/* As try_cmpxchg64(), past the checkers. */
static __always_inline bool kheap_try_cmpxchg_unseen(u64 *p, u64 *old, u64 new)
{
	return arch_try_cmpxchg(p, old, new);
}

#include <linux/list_lru.h>
#include <linux/memcontrol.h>

/*
 * Has a list of objects a part for a memory cgroup? The kernel adds to it
 * without a look. What this reads was under CONFIG_MEMCG_KMEM until v6.11 ("mm:
 * remove CONFIG_MEMCG_KMEM").
 */
#if defined(CONFIG_MEMCG_KMEM) || \
	(defined(CONFIG_MEMCG) && LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0))
static inline bool kheap_list_lru_has(struct list_lru *lru,
				      struct mem_cgroup *group)
{
	int id = memcg_kmem_id(group);

	return !lru->memcg_aware || id < 0 || xa_load(&lru->xa, id);
}
#else
static inline bool kheap_list_lru_has(struct list_lru *lru,
				      struct mem_cgroup *group)
{
	return true;
}
#endif

#include <linux/stackdepot.h>

#ifndef CONFIG_STACKDEPOT
#error "kheap: the kernel needs CONFIG_STACKDEPOT, for call sites"
#endif

/*
 * Save a stack, without waiting; with @may_alloc the depot may grow. Flags
 * took the place of the last argument in v6.8 (commit 022012dcf44209,
 * "lib/stackdepot, kasan: add flags to __stack_depot_save and rename").
 */
static inline depot_stack_handle_t
kheap_stack_save(unsigned long *frames, unsigned int nr, bool may_alloc)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	return __stack_depot_save(frames, nr, 0, GFP_NOWAIT | __GFP_NOWARN,
				  may_alloc);
#else
	return stack_depot_save_flags(frames, nr, GFP_NOWAIT | __GFP_NOWARN,
				      may_alloc ? STACK_DEPOT_FLAG_CAN_ALLOC :
						  0);
#endif
}

#endif /* _KHEAP_COMPAT_H */
