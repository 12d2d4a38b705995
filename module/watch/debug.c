// SPDX-License-Identifier: GPL-2.0
/*
 * Blocks under observation: guard bytes on both sides, patterns in fresh and in
 * dead memory, and a record of who allocated and freed each. What is recorded
 * is what CPython's debug allocator records; the letters are those of SLUB.
 *
 * In a heap with flags Z, P or U a block lies in its stride like this:
 *
 *	| guard | what the client asked for | guard ... | record | guard
 *	        ^ block                                          ^ front bytes
 *
 * The first block's guard is in front of pool->base, which is why base is not
 * where the pages are. So a block's index is computed as in any other pool.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/hash.h>
#include <linux/jhash.h>
#include <linux/kmsan-checks.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/stacktrace.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "block/alloc.h"
#include "watch/watch.h"

#define GUARD_BYTE	0xfd
#define CLEAN_BYTE	0xcd
#define DEAD_BYTE	0xdd

#define GUARD_BYTES	16	/* before a block; at least half of it behind */
#define DUMP_BYTES	32
#define MAX_FRAMES	16

/* Who changes flags; taken before lock 0. */
static DEFINE_MUTEX(switch_lock);

static char *debug = "";
module_param(debug, charp, 0444);
MODULE_PARM_DESC(debug, "letters for every heap: F consistency, Z guard bytes, P poison, U call sites, T trace");

/**
 * struct debug_record - what is known of a block, behind it
 * @mark: the block's mark while it is free; an object has it in its head
 * @serial: number of the allocation in the heap, from 1; 0: none yet
 * @size: bytes asked for
 * @dead: it was freed, and filled with the dead byte
 * @parked: it was freed, and waits for a grace period
 * @alloc_stack: who allocated it, with U
 * @free_stack: who freed it last
 * @sum: of all from @serial on, and the place
 *
 * A client that writes beyond its block can come as far as here. So nothing in
 * a record is believed, nor given to the stack depot, unless its sum is right.
 */
struct debug_record {
	u64 mark;
	u64 serial;
	u16 size;
	u8 dead;
	u8 parked;
	depot_stack_handle_t alloc_stack;
	depot_stack_handle_t free_stack;
	u32 sum;
};

static_assert(sizeof(struct debug_record) == 32);
static_assert(KHEAP_CACHE_SIZE_MAX <= U16_MAX);

/* --- Letters ------------------------------------------------------------ */

static const struct {
	char letter;
	unsigned int flag;
} letters[] = {
	{ 'F', KHEAP_DEBUG_CONSISTENCY },
	{ 'Z', KHEAP_DEBUG_GUARD },
	{ 'P', KHEAP_DEBUG_POISON },
	{ 'U', KHEAP_DEBUG_USER },
	{ 'T', KHEAP_DEBUG_TRACE },
};

/* Set @flags to what @text says. Return 0 or -EINVAL. */
static int parse_letters(const char *text, unsigned int *flags)
{
	unsigned int i;

	*flags = 0;
	if (sysfs_streq(text, "-"))
		return 0;
	for (; *text && *text != '\n'; text++) {
		for (i = 0; i < ARRAY_SIZE(letters); i++)
			if (*text == letters[i].letter)
				break;
		if (i == ARRAY_SIZE(letters))
			return -EINVAL;
		*flags |= letters[i].flag;
	}
	return 0;
}

/* --- Geometry ----------------------------------------------------------- */

static bool observes(unsigned int flags)
{
	return flags & (KHEAP_DEBUG_GUARD | KHEAP_DEBUG_POISON |
			KHEAP_DEBUG_USER);
}

static bool has_records(const struct kheap_class *class)
{
	return observes(class->debug);
}

static size_t record_offset(const struct kheap_class *class)
{
	return ALIGN(class->usable, 8) + GUARD_BYTES / 2;
}

static struct debug_record *record_of(const struct kheap_class *class,
				      const void *block)
{
	return (void *)block + record_offset(class);
}

/* --- Records ------------------------------------------------------------ */

static u32 record_sum(const struct kheap_class *class,
		      const struct debug_record *record)
{
	return jhash(&record->serial,
		     offsetof(struct debug_record, sum) -
		     offsetof(struct debug_record, serial),
		     class->heap->watch.secret ^ hash_ptr(record, 32));
}

static void record_seal(const struct kheap_class *class,
			struct debug_record *record)
{
	record->sum = record_sum(class, record);
}

/* Has nobody else written there since it was sealed? */
static bool record_is_sound(const struct kheap_class *class, const void *block)
{
	const struct debug_record *record = record_of(class, block);

	return likely(record->sum == record_sum(class, record));
}

/* The bytes that were asked for, as far as that is known. */
static u32 recorded_size(const struct kheap_class *class, const void *block)
{
	return record_is_sound(class, block) ? record_of(class, block)->size :
					       class->usable;
}

/**
 * kheap_debug_geometry() - make room around the blocks of a new class
 * @class: the class; @usable, @ctor and @debug are set
 * @align: alignment, a power of two of at least 8
 *
 * Return: Bytes from one block to the next, or 0 if there is nothing to add.
 */
size_t kheap_debug_geometry(struct kheap_class *class, size_t align)
{
	size_t size = class->usable;

	if (!has_records(class))
		return 0;
	/* As without room around it. */
	if (is_power_of_2(size))
		align = max(align, size);
	/* The first block stays in its pool's first page. */
	class->front = align < PAGE_SIZE ? max_t(size_t, align, GUARD_BYTES) :
					   0;
	class->zero_words = 0;
	/* In a small block it would be where guard bytes are. */
	if (!class->type)
		class->mark_offset = record_offset(class) +
				     offsetof(struct debug_record, mark);
	/* The fast paths of size classes know where else it is. */
	class->slow_free = true;
	return ALIGN(class->front + record_offset(class) +
		     sizeof(struct debug_record), align);
}

/* A pool gets a class of this kind: no block was allocated yet. */
void kheap_debug_pool_setup(struct kheap_class *class, struct kheap_pool *pool)
{
	void *page = PTR_ALIGN_DOWN(pool->base, PAGE_SIZE);
	unsigned int idx;

	pool->base = page + class->front;
	if (!has_records(class))
		return;
	memset(page, GUARD_BYTE, kheap_pool_bytes(class));
	for (idx = 0; idx < class->nr_blocks; idx++) {
		struct debug_record *record =
			record_of(class, kheap_block_address(class, pool, idx));

		memset(record, 0, sizeof(*record));
		record_seal(class, record);
	}
}

/* --- Reports ------------------------------------------------------------ */

static void print_stack(const char *what, depot_stack_handle_t stack)
{
	if (!stack)
		return;
	pr_err("  %s by:\n", what);
	stack_depot_print(stack);
}

/**
 * kheap_debug_note() - note what is recorded of a block
 * @class: its class
 * @pool: its pool
 * @ptr: an address in it
 * @note: filled in; with a block of NULL there is nothing to tell
 *
 * For a report that is printed when the pool may be gone.
 */
void kheap_debug_note(const struct kheap_class *class,
		      const struct kheap_pool *pool, const void *ptr,
		      struct kheap_debug_note *note)
{
	const struct debug_record *record;
	unsigned int idx = (ptr - pool->base) / class->size;

	note->block = NULL;
	if (!has_records(class) || ptr < pool->base || idx >= class->nr_blocks)
		return;
	note->block = kheap_block_address(class, pool, idx);
	note->sound = record_is_sound(class, note->block);
	record = record_of(class, note->block);
	note->serial = record->serial;
	note->size = record->size;
	note->alloc_stack = record->alloc_stack;
	note->free_stack = record->free_stack;
}

/* Log what was noted of a block. */
void kheap_debug_print(const struct kheap_debug_note *note)
{
	if (!note->block)
		return;
	if (!note->sound) {
		pr_err("  what is recorded of block %p was overwritten\n",
		       note->block);
		return;
	}
	pr_err("  block %p, %u bytes asked for, allocation %llu\n",
	       note->block, note->size, note->serial);
	print_stack("allocated", note->alloc_stack);
	print_stack("freed", note->free_stack);
}

static void print_damage(const u8 *block, size_t size, long first, long last)
{
	pr_err("  damaged from offset %ld to %ld of %zu\n", first, last, size);
	print_hex_dump(KERN_ERR, KBUILD_MODNAME ":   ", DUMP_PREFIX_NONE, 16,
		       1, block + first, min_t(long, last - first + 1,
					       DUMP_BYTES), true);
}

/*
 * Bytes from @first to @last, as offsets in a block, are not what they should
 * be. Who wrote there may have written to other free blocks of the pool, too.
 */
static void report_damage(struct kheap_class *class, const u8 *block,
			  enum kheap_refusal why, long first, long last)
{
	struct kheap_pool *pool = kheap_block_pool(block);
	struct kheap_debug_note note;

	if (!in_nmi())
		kheap_pool_quarantine(pool);
	if (!kheap_refuse(class->heap, why, block, class))
		return;
	/* The block is in our hands, so its pool stays. */
	print_damage(block, recorded_size(class, block), first, last);
	kheap_debug_note(class, pool, block, &note);
	kheap_debug_print(&note);
}

/* Widen [@first, @last] by what of a stretch of @block is not @byte. */
static void find_damage(const u8 *block, long start, long end, u8 byte,
			long *first, long *last)
{
	const u8 *bad;

	if (start >= end)
		return;
	bad = memchr_inv(block + start, byte, end - start);
	if (!bad)
		return;
	*first = min(*first, (long)(bad - block));
	while (block[end - 1] == byte)
		end--;
	*last = max(*last, end - 1);
}

/* Which bytes of a record were written to is not known: all of them are told. */
static void find_record_damage(const struct kheap_class *class, const u8 *block,
			       long *first, long *last)
{
	long start = record_offset(class) +
		     offsetof(struct debug_record, serial);

	if (record_is_sound(class, block))
		return;
	*first = min(*first, start);
	*last = record_offset(class) + sizeof(struct debug_record) - 1;
}

/* Believe nothing of a record that somebody wrote to; it is sealed anew soon. */
static void record_mend(const struct kheap_class *class, void *block)
{
	struct debug_record *record = record_of(class, block);

	if (record_is_sound(class, block))
		return;
	*record = (struct debug_record){
		.mark = record->mark,
		.size = class->usable,
	};
}

/* Guard bytes, with Z, and the record of a block that is freed. */
static void check_guards(struct kheap_class *class, u8 *block)
{
	long end = record_offset(class), first = LONG_MAX, last = LONG_MIN;
	long before = class->front ? GUARD_BYTES : 0;
	long size = recorded_size(class, block);

	if (class->debug & KHEAP_DEBUG_GUARD) {
		find_damage(block, -before, 0, GUARD_BYTE, &first, &last);
		find_damage(block, size, end, GUARD_BYTE, &first, &last);
	}
	find_record_damage(class, block, &first, &last);
	if (last == LONG_MIN)
		return;
	report_damage(class, block, KHEAP_BAD_GUARD, first, last);
	memset(block - before, GUARD_BYTE, before);
	memset(block + size, GUARD_BYTE, end - size);
	record_mend(class, block);
}

/* --- Patterns ----------------------------------------------------------- */

/* Where the dead pattern starts: behind the header of an object. */
static long dead_start(const struct kheap_class *class)
{
	return class->type ? sizeof(struct kheap_object) : 0;
}

static bool is_poisoned(const struct kheap_class *class)
{
	return class->debug & KHEAP_DEBUG_POISON && !class->ctor;
}

/* Dead bytes, with P, and the record of a block that is allocated. */
static void check_dead(struct kheap_class *class, u8 *block)
{
	long first = LONG_MAX, last = LONG_MIN;

	if (is_poisoned(class) && record_of(class, block)->dead)
		find_damage(block, dead_start(class), class->usable, DEAD_BYTE,
			    &first, &last);
	find_record_damage(class, block, &first, &last);
	if (last != LONG_MIN)
		report_damage(class, block, KHEAP_BAD_POISON, first, last);
	record_mend(class, block);
}

static void fill_dead(struct kheap_class *class, u8 *block)
{
	long start = dead_start(class);

	if (start < class->usable)
		memset(block + start, DEAD_BYTE, class->usable - start);
}

/* --- Allocation and free ------------------------------------------------ */

static depot_stack_handle_t save_stack(unsigned int flags)
{
	unsigned long frames[MAX_FRAMES];
	unsigned int nr;

	if (!(flags & KHEAP_DEBUG_USER) || in_nmi())
		return 0;
	nr = stack_trace_save(frames, ARRAY_SIZE(frames), 2);
	return kheap_stack_save(frames, nr, kheap_mm_allowed());
}

static void trace(const struct kheap *heap, unsigned int flags,
		  const char *what, const void *block, size_t size,
		  unsigned long caller)
{
	if (flags & KHEAP_DEBUG_TRACE)
		pr_info("heap '%s': %s %p, %zu bytes, by %pS\n", heap->base.name,
			what, block, size, (void *)kheap_client_ip(caller));
}

static void check_pool(const struct kheap_class *class, const void *block)
{
	if (class->debug & KHEAP_DEBUG_CONSISTENCY && !in_nmi())
		kheap_reporter->check_pool(kheap_block_pool(block));
}

/**
 * kheap_debug_rejects() - put back a cached block whose pool is in quarantine
 * @class: its class
 * @block: the block, its mark cleared
 *
 * Context: Any context.
 * Return: false if it may be handed out.
 */
bool kheap_debug_rejects(struct kheap_class *class, void *block)
{
	struct kheap_pool *pool = kheap_block_pool(block);

	if (likely(READ_ONCE(pool->state) != KHEAP_POOL_QUARANTINED) ||
	    in_nmi())
		return false;
	kheap_mark_set_link(class, block, KHEAP_LINK_CACHED);
	kheap_class_free_to_pool(class, block);
	return true;
}

/**
 * kheap_debug_alloc() - look at a block that is allocated, and prepare it
 * @class: its class
 * @block: the block
 * @size: bytes asked for
 * @gfp: the request's flags
 * @caller: where it came from
 *
 * Context: Any context.
 */
void kheap_debug_alloc(struct kheap_class *class, void *block, size_t size,
		       gfp_t gfp, unsigned long caller)
{
	struct debug_record *record = record_of(class, block);

	check_pool(class, block);
	trace(class->heap, class->debug, "alloc", block, size, caller);
	if (!has_records(class))
		return;
	kheap_kasan_mark(class, block, KHEAP_KASAN_LIVE);
	size = max_t(size_t, size, 1);
	/* KMSAN takes dead bytes for the client's, and they are ours. */
	if (is_poisoned(class))
		kmsan_unpoison_memory(block, class->usable);
	check_dead(class, block);
	record->serial = atomic_long_inc_return(&class->heap->watch.nr_debug);
	record->size = size;
	record->dead = false;
	record->parked = false;
	record->alloc_stack = save_stack(class->debug);
	record_seal(class, record);
	if (!class->ctor)
		memset(block, class->type || want_init_on_alloc(gfp) ? 0 :
			      CLEAN_BYTE, size);
	memset(block + size, GUARD_BYTE, record_offset(class) - size);
}

/**
 * kheap_debug_park() - remember who frees a block after a grace period
 * @class: its class
 * @block: the block, its parked bit set; preemption is off
 *
 * Whoever frees it then is somebody else. A damaged record is told of then.
 *
 * Context: Any context except NMI.
 */
void kheap_debug_park(struct kheap_class *class, void *block)
{
	struct debug_record *record = record_of(class, block);

	if (!has_records(class) || !record_is_sound(class, block))
		return;
	record->free_stack = save_stack(class->debug);
	record->parked = true;
	record_seal(class, record);
}

/**
 * kheap_debug_free() - look at a block that is freed, and bury it
 * @class: its class
 * @block: the block
 * @caller: where it came from
 *
 * Context: Any context except NMI.
 */
void kheap_debug_free(struct kheap_class *class, void *block,
		      unsigned long caller)
{
	struct debug_record *record = record_of(class, block);

	check_pool(class, block);
	if (!has_records(class)) {
		trace(class->heap, class->debug, "free", block, class->usable,
		      caller);
		return;
	}
	trace(class->heap, class->debug, "free", block,
	      recorded_size(class, block), caller);
	check_guards(class, block);
	if (!record->parked || !record_is_sound(class, block))
		record->free_stack = save_stack(class->debug);
	record->parked = false;
	if (is_poisoned(class)) {
		fill_dead(class, block);
		record->dead = true;
	} else if (want_init_on_free() && !class->ctor) {
		memset(block + dead_start(class), 0,
		       class->usable - min_t(long, dead_start(class),
					     class->usable));
	}
	record_seal(class, record);
}

/* The bytes of an allocated block that are the client's: what it asked for. */
size_t kheap_debug_usable(const struct kheap_class *class, const void *block)
{
	return has_records(class) ? recorded_size(class, block) : class->usable;
}

/**
 * kheap_debug_resized() - a block was resized where it is
 * @heap: its heap
 * @ptr: the block
 * @size: bytes that are the client's now
 *
 * Context: Any context except NMI.
 */
void kheap_debug_resized(struct kheap *heap, void *ptr, size_t size)
{
	struct kheap_pool *pool = kheap_pool_of(ptr);
	struct debug_record *record;

	if (!pool)
		return kheap_large_resized(heap, ptr, size);
	if (!has_records(pool->class))
		return;
	/* A damaged one is told of when the block is freed. */
	if (!record_is_sound(pool->class, ptr))
		return;
	record = record_of(pool->class, ptr);
	record->size = max_t(size_t, size, 1);
	record_seal(pool->class, record);
	memset(ptr + record->size, GUARD_BYTE,
	       record_offset(pool->class) - record->size);
}

/* --- Large blocks ------------------------------------------------------- */

/*
 * What a large block has behind what was asked for, up to the end of its last
 * page, are guard bytes. There are none before it, and its dead bytes are not
 * looked at: its pages go back to the system.
 */

/* Guard bytes that a large block has at least. */
size_t kheap_debug_large_guard(const struct kheap *heap)
{
	return atomic_read(&heap->watch.debug) & KHEAP_DEBUG_GUARD ?
	       GUARD_BYTES / 2 : 0;
}

void kheap_debug_large_resized(struct kheap *heap, struct kheap_large *large)
{
	memset(large->ptr + large->bytes - large->slack, GUARD_BYTE,
	       large->slack);
}

/* A large block was allocated, and is nobody's yet. */
void kheap_debug_large_alloc(struct kheap *heap, struct kheap_large *large,
			     size_t size, gfp_t gfp, unsigned long caller)
{
	unsigned int flags = atomic_read(&heap->watch.debug);

	trace(heap, flags, "alloc", large->ptr, size, caller);
	if (!observes(flags))
		return;
	large->observed = true;
	large->slack = large->bytes - size;
	large->serial = atomic_long_inc_return(&heap->watch.nr_debug);
	large->stack = save_stack(flags);
	if (flags & KHEAP_DEBUG_POISON && !want_init_on_alloc(gfp))
		memset(large->ptr, CLEAN_BYTE, size);
	if (!(gfp & __GFP_ZERO))
		kmsan_poison_memory(large->ptr, size, gfp);
	kheap_debug_large_resized(heap, large);
}

static void check_large_guard(struct kheap *heap, struct kheap_large *large)
{
	long first = LONG_MAX, last = LONG_MIN;
	long size = large->bytes - large->slack;

	find_damage(large->ptr, size, large->bytes, GUARD_BYTE, &first, &last);
	if (last == LONG_MIN ||
	    !kheap_refuse(heap, KHEAP_BAD_GUARD, large->ptr, NULL))
		return;
	print_damage(large->ptr, size, first, last);
	pr_err("  large block %p, %ld bytes asked for, allocation %llu\n",
	       large->ptr, size, large->serial);
	print_stack("allocated", large->stack);
}

/* A large block is freed, and is nobody's any more. */
void kheap_debug_large_free(struct kheap *heap, struct kheap_large *large,
			    unsigned long caller)
{
	unsigned int flags = atomic_read(&heap->watch.debug);

	trace(heap, flags, "free", large->ptr, large->bytes - large->slack,
	      caller);
	if (!large->observed)
		return;
	if (flags & KHEAP_DEBUG_GUARD)
		check_large_guard(heap, large);
	if (flags & KHEAP_DEBUG_POISON)
		memset(large->ptr, DEAD_BYTE, large->bytes);
}

/* --- Switching ---------------------------------------------------------- */

/**
 * kheap_debug_fix() - the flags of a heap, from now on for good
 * @heap: the heap
 *
 * Called for each new class: blocks that there are do not change.
 *
 * Return: The flags.
 */
unsigned int kheap_debug_fix(struct kheap *heap)
{
	return atomic_fetch_or(KHEAP_DEBUG_FIXED, &heap->watch.debug) &
	       KHEAP_DEBUG_ALL;
}

/* Replace the flags, unless a class has them. */
static int set_flags(struct kheap *heap, unsigned int flags)
{
	int old = atomic_read(&heap->watch.debug);

	do {
		if (old & KHEAP_DEBUG_FIXED)
			return -EBUSY;
	} while (!atomic_try_cmpxchg(&heap->watch.debug, &old, flags));
	return 0;
}

/*
 * Set the flags. Return 0, -EBUSY if the heap has a class already, -ENOMEM.
 * The heap is watched before a class can get the flags: no block with guards is
 * allocated unseen. And it is watched as long as there are flags.
 */
int kheap_debug_set(struct kheap *heap, unsigned int flags)
{
	int err;

	if (flags & KHEAP_DEBUG_USER && stack_depot_init())
		return -ENOMEM;
	if (atomic_read(&heap->watch.debug) & KHEAP_DEBUG_FIXED)
		return -EBUSY;
	mutex_lock(&switch_lock);
	if (flags)
		kheap_watch_start(heap, KHEAP_WATCH_DEBUG);
	err = set_flags(heap, flags);
	if (!(atomic_read(&heap->watch.debug) & KHEAP_DEBUG_ALL))
		kheap_watch_stop(heap, KHEAP_WATCH_DEBUG);
	mutex_unlock(&switch_lock);
	return err;
}

/* A new heap, in no list: from its creation flags and the module's parameter. */
void kheap_debug_init(struct kheap *heap)
{
	unsigned int flags;

	parse_letters(debug, &flags);
	flags |= heap->base.flags & KHEAP_DEBUG_ALL;
	if (flags && kheap_debug_set(heap, flags))
		pr_warn_once("heap '%s': no memory for stacks, its blocks are not observed; others may follow\n",
			     heap->base.name);
}

/* Is the module's parameter one? The log says what is wrong with it. */
bool kheap_debug_valid(void)
{
	unsigned int flags;

	if (!parse_letters(debug, &flags))
		return true;
	pr_err("not loaded: debug=%s has a letter other than F, Z, P, U and T\n",
	       debug);
	return false;
}

/* --- debugfs ------------------------------------------------------------ */

static int debug_show(struct seq_file *seq, void *unused)
{
	struct kheap *heap = seq->private;
	unsigned int flags = atomic_read(&heap->watch.debug) & KHEAP_DEBUG_ALL;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(letters); i++)
		if (flags & letters[i].flag)
			seq_putc(seq, letters[i].letter);
	seq_puts(seq, flags ? "\n" : "-\n");
	return 0;
}

static int debug_open(struct inode *inode, struct file *file)
{
	return single_open(file, debug_show, inode->i_private);
}

static ssize_t debug_write(struct file *file, const char __user *buf,
			   size_t len, loff_t *pos)
{
	struct kheap *heap = ((struct seq_file *)file->private_data)->private;
	char text[ARRAY_SIZE(letters) + 2] = "";
	unsigned int flags;
	int err;

	if (len >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, buf, len))
		return -EFAULT;
	err = parse_letters(text, &flags);
	if (!err)
		err = kheap_debug_set(heap, flags);
	return err ?: len;
}

const struct file_operations kheap_debug_fops = {
	.owner = THIS_MODULE,
	.open = debug_open,
	.read = seq_read,
	.write = debug_write,
	.llseek = seq_lseek,
	.release = single_release,
};
