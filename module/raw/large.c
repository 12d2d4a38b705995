// SPDX-License-Identifier: GPL-2.0
/*
 * Large blocks: over two pages they come from the system's allocators, and a
 * tree by address keeps track of them, so that they are owned and counted and
 * a bad pointer is known for certain.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kmemleak.h>
#include <linux/sched/clock.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "base/trace.h"
#include "raw/raw.h"
#include "raw/trace.h"

static bool large_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct kheap_large, node)->ptr <
	       rb_entry(b, struct kheap_large, node)->ptr;
}

static int large_compare(const void *ptr, const struct rb_node *node)
{
	const void *other = rb_entry(node, struct kheap_large, node)->ptr;

	return ptr < other ? -1 : ptr > other;
}

/* Find a large block, unless it was freed and waits for a grace period. */
static struct kheap_large *find_live(struct kheap *heap, const void *ptr)
{
	struct kheap_large *large;
	struct rb_node *node;

	lockdep_assert_held(&heap->raw.large_lock);
	node = rb_find(ptr, &heap->raw.large, large_compare);
	large = node ? rb_entry(node, struct kheap_large, node) : NULL;
	return large && !large->parked ? large : NULL;
}

static void large_unlink(struct kheap *heap, struct kheap_large *large)
{
	lockdep_assert_held(&heap->raw.large_lock);
	rb_erase(&large->node, &heap->raw.large);
	heap->raw.nr_large--;
	heap->raw.large_bytes -= large->bytes;
	heap->raw.freed_large[heap->raw.nr_freed_large++ % KHEAP_NR_FREED_LARGE] =
		large->ptr;
}

/* Bytes that one record takes from kmalloc(). */
#define RECORD_BYTES	64
static_assert(sizeof(struct kheap_large) <= RECORD_BYTES);

static struct kheap_large *record_alloc(struct kheap *heap, gfp_t gfp)
{
	struct kheap_large *large;

	gfp &= ~(__GFP_ZERO | __GFP_COMP | __GFP_THISNODE);
	large = kmalloc(RECORD_BYTES, gfp);
	if (large)
		atomic_long_add(RECORD_BYTES, &heap->base.metadata_bytes);
	return large;
}

static void record_free(struct kheap *heap, struct kheap_large *large)
{
	kfree(large);
	if (large)
		atomic_long_sub(RECORD_BYTES, &heap->base.metadata_bytes);
}

static void refuse_limit(struct kheap *heap, gfp_t gfp)
{
	if (!(gfp & __GFP_NOWARN))
		kheap_refuse(heap, KHEAP_BAD_LIMIT, NULL, NULL);
}

/*
 * Contiguous pages, and no more than are needed: what the page allocator gives
 * beyond them, to make a power of two, goes back at once.
 */
static void *contiguous_alloc(size_t bytes, gfp_t gfp, int nid)
{
	unsigned int order = get_order(bytes);
	struct page *page, *tail, *end;

	page = alloc_pages_node(nid, gfp & ~__GFP_COMP, order);
	if (!page)
		return NULL;
	end = page + (1UL << order);
	split_page(page, order);
	for (tail = page + (bytes >> PAGE_SHIFT); tail < end; tail++)
		__free_page(tail);
	kmemleak_alloc(page_address(page), bytes, 2, gfp); /* large->ptr */
	return page_address(page);
}

/* Pages of @nid. Return how many there are; fewer than @nr at the end of it. */
static unsigned int pages_of_node(struct page **pages, unsigned int nr,
				  gfp_t gfp, int nid)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		pages[i] = alloc_pages_node(nid, gfp & ~__GFP_COMP, 0);
		if (!pages[i])
			break;
		cond_resched();
	}
	return i;
}

/*
 * As vmalloc_node(), which drops %__GFP_ACCOUNT; what takes a node and flags
 * is not exported. vfree() frees the pages and the array.
 */
static void *node_alloc(size_t bytes, gfp_t gfp, int nid)
{
	unsigned int nr = bytes >> PAGE_SHIFT, nr_got;
	struct page **pages;
	void *ptr = NULL;

	pages = kvmalloc_array(nr, sizeof(*pages), gfp & ~__GFP_ZERO);
	if (!pages)
		return NULL;
	nr_got = pages_of_node(pages, nr, gfp, nid);
	if (nr_got == nr)
		ptr = vmap(pages, nr, VM_MAP | VM_MAP_PUT_PAGES, PAGE_KERNEL);
	if (!ptr) {
		while (nr_got)
			__free_page(pages[--nr_got]);
		kvfree(pages);
		return NULL;
	}
	kmemleak_alloc(ptr, bytes, 1, gfp);
	return ptr;
}

static void *virtual_alloc(size_t bytes, gfp_t gfp, int nid)
{
	/* vmap() allocates page tables with GFP_KERNEL. */
	if (nid == NUMA_NO_NODE || (gfp & GFP_KERNEL) != GFP_KERNEL)
		return __vmalloc(bytes, gfp);
	return node_alloc(bytes, gfp, nid);
}

/*
 * Up to PAGE_ALLOC_COSTLY_ORDER pages are tried in one piece first; where the
 * caller cannot wait, there is nothing but that.
 */
static void *system_alloc(size_t bytes, gfp_t gfp, int nid)
{
	void *ptr;

	if (!gfpflags_allow_blocking(gfp))
		return bytes <= KMALLOC_MAX_SIZE ?
		       contiguous_alloc(bytes, gfp, nid) : NULL;
	if (bytes <= PAGE_SIZE << PAGE_ALLOC_COSTLY_ORDER) {
		ptr = contiguous_alloc(bytes, (gfp & ~__GFP_NOFAIL) |
				       __GFP_NORETRY | __GFP_NOWARN, nid);
		if (ptr)
			return ptr;
	}
	return virtual_alloc(bytes, gfp, nid);
}

static void system_free(struct kheap *heap, struct kheap_large *large)
{
	size_t offset;

	if (is_vmalloc_addr(large->ptr)) {
		vfree(large->ptr);
	} else {
		kmemleak_free(large->ptr);
		for (offset = 0; offset < large->bytes; offset += PAGE_SIZE)
			__free_page(virt_to_page(large->ptr + offset));
	}
	kheap_uncharge(heap, large->bytes + RECORD_BYTES);
	record_free(heap, large);
}

/**
 * kheap_large_alloc() - allocate a large block
 * @heap: the heap
 * @size: bytes, over %KHEAP_MEDIUM_MAX
 * @gfp: what the allocation may do
 * @nid: the memory node or %NUMA_NO_NODE
 * @caller: where the request came from
 *
 * Return: The block or NULL.
 */
void *kheap_large_alloc(struct kheap *heap, size_t size, gfp_t gfp, int nid,
			unsigned long caller)
{
	size_t bytes = PAGE_ALIGN(size + kheap_watcher->large_guard(heap));
	struct kheap_large *large = NULL;
	unsigned int step = 0;
	u64 start = trace_kheap_large_alloc_enabled() ? local_clock() : 0;
	unsigned long flags;

	if (unlikely(READ_ONCE(heap->base.watch)) &&
	    kheap_watcher->fails(heap, size, gfp))
		return NULL;
	if (in_nmi() || !kheap_mm_allowed())
		goto fail;
	while (!kheap_charge(heap, bytes + RECORD_BYTES))
		if (!kheap_reliever->relieve(heap, bytes, gfp, &step))
			goto fail_limit;
	if (heap->base.flags & KHEAP_ACCOUNT)
		gfp |= __GFP_ACCOUNT;
	large = record_alloc(heap, gfp);
	if (!large)
		goto fail_uncharge;
	large->bytes = bytes;
	large->slack = 0;
	large->parked = false;
	large->observed = false;
	large->ptr = system_alloc(bytes, gfp, nid);
	if (!large->ptr)
		goto fail_uncharge;
	kheap_note_peak(heap);
	if (unlikely(READ_ONCE(heap->base.watch)))
		kheap_watcher->large_alloc(heap, large, size, gfp, caller);
	raw_spin_lock_irqsave(&heap->raw.large_lock, flags);
	rb_add(&large->node, &heap->raw.large, large_less);
	heap->raw.nr_large++;
	heap->raw.large_bytes += large->bytes;
	raw_spin_unlock_irqrestore(&heap->raw.large_lock, flags);
	if (trace_kheap_large_alloc_enabled())
		trace_kheap_large_alloc(heap, large->ptr, size, bytes, gfp,
					start ? local_clock() - start : 0,
					kheap_client_ip(caller));
	return large->ptr;

fail_uncharge:
	record_free(heap, large);
	kheap_uncharge(heap, bytes + RECORD_BYTES);
	goto fail;
fail_limit:
	refuse_limit(heap, gfp);
fail:
	atomic_long_inc(&heap->base.nr_failed);
	if (trace_kheap_fail_enabled())
		trace_kheap_fail(heap, bytes, gfp, kheap_client_ip(caller));
	return NULL;
}

/*
 * vfree() may sleep, and PREEMPT_RT's kfree() as well. A reader of RCU can be
 * preempted and must not sleep; on PREEMPT_RT so is who holds a spinlock.
 */
static bool may_free_here(const struct kheap_large *large)
{
	if (is_vmalloc_addr(large->ptr))
		return preemptible() && !rcu_preempt_depth();
	return kheap_mm_allowed();
}

/**
 * kheap_large_free() - free a large block
 * @heap: the heap
 * @ptr: any pointer
 * @caller: where the request came from
 *
 * Context: Any context; in NMI every pointer is refused. Never sleeps.
 * Return: false if @ptr is no large block of @heap.
 */
bool kheap_large_free(struct kheap *heap, const void *ptr,
		      unsigned long caller)
{
	struct kheap_large *large;
	unsigned long flags;

	if (in_nmi())
		return false;
	raw_spin_lock_irqsave(&heap->raw.large_lock, flags);
	large = find_live(heap, ptr);
	if (large)
		large_unlink(heap, large);
	raw_spin_unlock_irqrestore(&heap->raw.large_lock, flags);
	if (!large)
		return false;
	if (trace_kheap_large_free_enabled())
		trace_kheap_large_free(heap, ptr, large->bytes,
				       kheap_client_ip(caller));
	if (unlikely(READ_ONCE(heap->base.watch)))
		kheap_watcher->large_free(heap, large, caller);
	if (may_free_here(large)) {
		system_free(heap, large);
	} else {
		llist_add(&large->dead, &heap->raw.dead_large);
		kheap_maint_now(heap);
	}
	return true;
}

/* Remember @ptr for kheap_rcu_flush(). Return false if it is no large block. */
bool kheap_large_park(struct kheap *heap, const void *ptr)
{
	struct kheap_large *large;
	unsigned long flags;

	raw_spin_lock_irqsave(&heap->raw.large_lock, flags);
	large = find_live(heap, ptr);
	if (large)
		large->parked = true;
	raw_spin_unlock_irqrestore(&heap->raw.large_lock, flags);
	if (large)
		llist_add(&large->dead, &heap->raw.parked_large);
	return large;
}

/* Free the blocks of @list, whose grace period is over. */
void kheap_large_free_parked(struct kheap *heap, struct llist_node *list)
{
	struct kheap_large *large, *next;
	unsigned long flags;

	llist_for_each_entry_safe(large, next, list, dead) {
		raw_spin_lock_irqsave(&heap->raw.large_lock, flags);
		large_unlink(heap, large);
		raw_spin_unlock_irqrestore(&heap->raw.large_lock, flags);
		trace_kheap_large_free(heap, large->ptr, large->bytes,
				       _RET_IP_);
		if (unlikely(READ_ONCE(heap->base.watch)))
			kheap_watcher->large_free(heap, large, _RET_IP_);
		system_free(heap, large);
		cond_resched();
	}
}

/* Usable bytes of a large block; 0 if @ptr is none. */
size_t kheap_large_size(struct kheap *heap, const void *ptr)
{
	struct kheap_large *large;
	unsigned long flags;
	size_t size;

	raw_spin_lock_irqsave(&heap->raw.large_lock, flags);
	large = find_live(heap, ptr);
	size = large ? large->bytes - large->slack : 0;
	raw_spin_unlock_irqrestore(&heap->raw.large_lock, flags);
	return size;
}

/* A large block was resized in place: what is behind it now is guard bytes. */
void kheap_large_resized(struct kheap *heap, void *ptr, size_t size)
{
	struct kheap_large *large;
	unsigned long flags;

	raw_spin_lock_irqsave(&heap->raw.large_lock, flags);
	large = find_live(heap, ptr);
	if (large && large->observed)
		large->slack = large->bytes - max_t(size_t, size, 1);
	raw_spin_unlock_irqrestore(&heap->raw.large_lock, flags);
	if (large && large->observed)
		kheap_watcher->large_resized(heap, large);
}

/* The last block that does not start behind @ptr; under large_lock. */
static struct kheap_large *find_at_or_before(struct kheap *heap,
					     const void *ptr)
{
	struct rb_node *node = heap->raw.large.rb_node;
	struct kheap_large *found = NULL;

	while (node) {
		struct kheap_large *large;

		large = rb_entry(node, struct kheap_large, node);
		if (large->ptr <= ptr)
			found = large;
		node = large->ptr <= ptr ? node->rb_right : node->rb_left;
	}
	return found;
}

static bool was_freed(const struct kheap *heap, const void *ptr)
{
	unsigned int i;

	lockdep_assert_held(&heap->raw.large_lock);
	for (i = 0; i < KHEAP_NR_FREED_LARGE; i++)
		if (heap->raw.freed_large[i] == ptr)
			return true;
	return false;
}

/* An address in a large block, which kheap_large_free() did not take. */
static enum kheap_refusal is_what(const struct kheap_large *large,
				  const void *ptr)
{
	if (ptr != large->ptr)
		return KHEAP_BAD_INNER;
	/* Waits for a grace period; or was given to a cache. */
	return large->parked ? KHEAP_BAD_FREED : KHEAP_BAD_CACHE;
}

/* What @ptr is to @heap; under no lock of it. */
static enum kheap_refusal diagnose_own(struct kheap *heap, const void *ptr)
{
	enum kheap_refusal why = KHEAP_BAD_FOREIGN;
	const struct kheap_large *large;
	unsigned long flags;

	raw_spin_lock_irqsave(&heap->raw.large_lock, flags);
	large = find_at_or_before(heap, ptr);
	if (large && ptr < large->ptr + large->bytes)
		why = is_what(large, ptr);
	else if (was_freed(heap, ptr))
		why = KHEAP_BAD_FREED;
	raw_spin_unlock_irqrestore(&heap->raw.large_lock, flags);
	return why;
}

/* Is @ptr in a large block of some heap? Then @owner is set to its name. */
static bool find_owner(const void *ptr, char *owner)
{
	const struct kheap_large *large;
	struct kheap *heap;
	unsigned long flags;
	bool found = false;

	raw_spin_lock_irqsave(&kheap_list_raw, flags);
	list_for_each_entry(heap, &kheap_list, base.list) {
		raw_spin_lock(&heap->raw.large_lock);
		large = find_at_or_before(heap, ptr);
		found = large && ptr < large->ptr + large->bytes;
		raw_spin_unlock(&heap->raw.large_lock);
		if (found) {
			strscpy(owner, heap->base.name, KHEAP_NAME_MAX + 1);
			break;
		}
	}
	raw_spin_unlock_irqrestore(&kheap_list_raw, flags);
	return found;
}

/**
 * kheap_large_diagnose() - what is wrong with a pointer that is in no pool
 * @heap: the heap it was given to
 * @ptr: any pointer
 * @owner: room for a name; set to that of another heap whose block it is in
 *
 * Context: Any context, no kheap lock held.
 * Return: The reason to refuse it.
 */
enum kheap_refusal kheap_large_diagnose(struct kheap *heap, const void *ptr,
					char *owner)
{
	enum kheap_refusal why;

	if (in_nmi())
		return KHEAP_BAD_FOREIGN;
	why = diagnose_own(heap, ptr);
	if (why != KHEAP_BAD_INNER && find_owner(ptr, owner) &&
	    strcmp(owner, heap->base.name))
		return KHEAP_BAD_HEAP;
	*owner = '\0';
	return why;
}

/* Free what kheap_large_free() had to leave; where that is allowed. */
void kheap_large_free_deferred(struct kheap *heap)
{
	struct kheap_large *large, *next;

	llist_for_each_entry_safe(large, next,
				  llist_del_all(&heap->raw.dead_large), dead)
		system_free(heap, large);
}

/* Do what had to be left when it arose; where memory may be freed. */
void kheap_finish_deferred(struct kheap *heap)
{
	kheap_arenas_release_deferred(heap);
	kheap_large_free_deferred(heap);
}

/* Free every large block of a heap that nobody uses any more. */
void kheap_large_destroy(struct kheap *heap)
{
	struct kheap_large *large, *next;

	kheap_large_free_deferred(heap);
	rbtree_postorder_for_each_entry_safe(large, next, &heap->raw.large, node) {
		system_free(heap, large);
		cond_resched();
	}
	heap->raw.large = RB_ROOT;
}

/* Violations of the tree's order and sums; each is reported. */
int kheap_large_check(struct kheap *heap)
{
	const void *last = NULL;
	unsigned long nr = 0, flags;
	struct rb_node *node;
	size_t bytes = 0;
	bool good = true;

	raw_spin_lock_irqsave(&heap->raw.large_lock, flags);
	for (node = rb_first(&heap->raw.large); node; node = rb_next(node)) {
		struct kheap_large *large;

		large = rb_entry(node, struct kheap_large, node);
		good &= large->ptr > last && large->bytes;
		last = large->ptr;
		bytes += large->bytes;
		nr++;
	}
	good &= nr == heap->raw.nr_large && bytes == heap->raw.large_bytes;
	raw_spin_unlock_irqrestore(&heap->raw.large_lock, flags);
	if (!good)
		pr_err("heap '%s': check: tree of large blocks is damaged\n",
		       heap->base.name);
	return !good;
}
