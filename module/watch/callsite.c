// SPDX-License-Identifier: GPL-2.0
/*
 * Call sites: who holds the memory of a heap. While this is on, each block that
 * is allocated, or one in N of them, has a record, found by its address, and
 * each stack that allocates has a sum over its records. Python's tracemalloc
 * is the model.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/hash.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/stackdepot.h>
#include <linux/stacktrace.h>

#include "watch/callsite.h"

#define RECORD_BITS	13		/* buckets of records */
#define SITE_BITS	9		/* buckets of sites */
#define MAX_SITES	4096
#define MAX_RECORDS	(1U << 18)
#define MIN_FREE	32		/* records, for who cannot have memory */
#define MIN_SPARE	8		/* sites, likewise */
#define MAX_FRAMES	16
#define IRQ_FRAMES	4		/* below are those of the interrupted */

/**
 * struct record - a block
 * @next: in its bucket, or among the free ones
 * @list: in its site's list, the oldest first
 * @ptr: the block
 * @site: the stack that allocated it
 * @class: its class, or NULL for a large block
 * @ns: when
 * @bytes_req: asked for
 * @bytes: taken
 */
struct record {
	struct record *next;
	struct list_head list;
	const void *ptr;
	struct kheap_site *site;
	const struct kheap_class *class;
	u64 ns;
	u32 bytes_req;
	u32 bytes;
};

#define CHUNK_RECORDS	((PAGE_SIZE - sizeof(void *)) / sizeof(struct record))

/* Records come a page at a time. */
struct chunk {
	struct chunk *next;
	struct record records[CHUNK_RECORDS];
};

static_assert(sizeof(struct chunk) <= PAGE_SIZE);

/**
 * struct kheap_callsites - the call sites of a heap
 * @heap: the heap
 * @one_in: every how many-th block has a record, on average
 * @lock: everything below; a raw leaf, taken with interrupts disabled
 * @nr: what there is and was
 * @free: records without a block
 * @nr_free: how many
 * @chunks: where they are
 * @nr_room: records in @chunks
 * @spare: sites without a stack
 * @nr_spare: how many
 * @sites: by stack
 * @records: by address
 */
struct kheap_callsites {
	struct kheap *heap;
	unsigned int one_in;
	raw_spinlock_t lock;
	struct kheap_callsite_stats nr;
	struct record *free;
	unsigned int nr_free;
	struct chunk *chunks;
	unsigned int nr_room;
	struct kheap_site *spare;
	unsigned int nr_spare;
	struct kheap_site *sites[1 << SITE_BITS];
	struct record *records[1 << RECORD_BITS];
};

static unsigned int new_heaps;
module_param_named(callsites, new_heaps, uint, 0644);
MODULE_PARM_DESC(callsites, "record the call sites of one in so many blocks of heaps from their creation on; default 0, none");

/* Who switches, and who reads: the table stays. Taken before lock 0. */
static DEFINE_MUTEX(callsites_lock);

/* Where chance comes from: xorshift; it does no harm if an interrupt joins in. */
static DEFINE_PER_CPU(u64, chance);

static bool is_chosen(unsigned int one_in)
{
	u64 x;

	if (one_in == 1)
		return true;
	x = raw_cpu_read(chance);
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	raw_cpu_write(chance, x);
	return mul_u64_u64_shr(x, one_in, 64) == 0;
}

/* --- Stacks ------------------------------------------------------------- */

/*
 * In an interrupt, the frames of whoever was interrupted would make a site of
 * every place that can be interrupted.
 */
static depot_stack_handle_t save_stack(void)
{
	unsigned long frames[MAX_FRAMES + 8];
	unsigned int nr, skip = 0, max = in_task() ? MAX_FRAMES : IRQ_FRAMES;

	nr = stack_trace_save(frames, ARRAY_SIZE(frames), 1);
	while (skip < nr && within_module_core(frames[skip], THIS_MODULE))
		skip++;
	if (skip == nr)
		return 0;
	return kheap_stack_save(frames + skip, min(nr - skip, max),
				kheap_mm_allowed());
}

/* --- Sites -------------------------------------------------------------- */

static struct kheap_site *find_site(struct kheap_callsites *cs, u32 stack)
{
	struct kheap_site *site = cs->sites[hash_32(stack, SITE_BITS)];

	lockdep_assert_held(&cs->lock);
	while (site && site->stack != stack)
		site = site->next;
	return site;
}

static void add_site(struct kheap_callsites *cs, struct kheap_site *site)
{
	struct kheap_site **bucket;

	lockdep_assert_held(&cs->lock);
	bucket = &cs->sites[hash_32(site->stack, SITE_BITS)];
	site->next = *bucket;
	*bucket = site;
	cs->nr.nr_sites++;
}

static struct kheap_site *site_alloc(struct kheap *heap)
{
	struct kheap_site *site;

	site = kheap_meta_alloc(heap, struct_size(site, cpus,
						  BITS_TO_LONGS(nr_cpu_ids)),
				GFP_NOWAIT | __GFP_NOWARN, NUMA_NO_NODE);
	if (site)
		INIT_LIST_HEAD(&site->records);
	return site;
}

/* Have sites for whoever comes, if that can be; no lock is held. */
static void make_room_for_sites(struct kheap_callsites *cs)
{
	struct kheap_site *site;
	unsigned long flags;

	while (READ_ONCE(cs->nr_spare) < MIN_SPARE && kheap_mm_allowed()) {
		site = site_alloc(cs->heap);
		if (!site)
			return;
		raw_spin_lock_irqsave(&cs->lock, flags);
		site->next = cs->spare;
		cs->spare = site;
		cs->nr_spare++;
		raw_spin_unlock_irqrestore(&cs->lock, flags);
	}
}

/* The site of a stack, a new one if need be and there is one to spare. */
static struct kheap_site *get_site(struct kheap_callsites *cs, u32 stack)
{
	struct kheap_site *site = find_site(cs, stack);

	if (site || !cs->spare || cs->nr.nr_sites == MAX_SITES)
		return site;
	site = cs->spare;
	cs->spare = site->next;
	cs->nr_spare--;
	site->stack = stack;
	add_site(cs, site);
	return site;
}

/* --- Records ------------------------------------------------------------ */

static struct record **bucket_of(struct kheap_callsites *cs, const void *ptr)
{
	return &cs->records[hash_ptr(ptr, RECORD_BITS)];
}

/* Unlink the record of @ptr, if there is one. */
static bool drop_record(struct kheap_callsites *cs, const void *ptr)
{
	struct record **at = bucket_of(cs, ptr), *record;

	lockdep_assert_held(&cs->lock);
	while ((record = *at) && record->ptr != ptr)
		at = &record->next;
	if (!record)
		return false;
	WRITE_ONCE(*at, record->next);
	list_del(&record->list);
	record->site->nr_live--;
	record->site->live_bytes -= record->bytes;
	record->site->req_bytes -= record->bytes_req;
	cs->nr.nr_live--;
	cs->nr.live_bytes -= record->bytes;
	record->next = cs->free;
	cs->free = record;
	cs->nr_free++;
	return true;
}

static void note_user(struct kheap_site *site, u32 bytes)
{
	site->least_bytes = site->nr_total ? min(site->least_bytes, bytes) :
					     bytes;
	site->most_bytes = max(site->most_bytes, bytes);
	site->nr_total++;
	site->peak_bytes = max(site->peak_bytes, site->live_bytes);
	__set_bit(raw_smp_processor_id(), site->cpus);
	if (!in_task())
		return;
	site->pid = task_pid_nr(current);
	memcpy(site->comm, current->comm, sizeof(site->comm));
}

static void add_record(struct kheap_callsites *cs, struct kheap_site *site,
		       const struct record *what)
{
	struct record *record = cs->free, **bucket = bucket_of(cs, what->ptr);

	lockdep_assert_held(&cs->lock);
	cs->free = record->next;
	cs->nr_free--;
	*record = *what;
	record->site = site;
	record->next = *bucket;
	WRITE_ONCE(*bucket, record);
	list_add_tail(&record->list, &site->records);
	site->nr_live++;
	site->live_bytes += record->bytes;
	site->req_bytes += record->bytes_req;
	cs->nr.nr_live++;
	cs->nr.live_bytes += record->bytes;
	cs->nr.nr_total++;
	note_user(site, record->bytes);
}

/* Have free records for whoever comes, if that can be; no lock is held. */
static void make_room_for_records(struct kheap_callsites *cs)
{
	struct chunk *chunk;
	unsigned long flags;
	unsigned int i;

	if (READ_ONCE(cs->nr_free) >= MIN_FREE ||
	    READ_ONCE(cs->nr_room) >= MAX_RECORDS || !kheap_mm_allowed())
		return;
	chunk = kheap_meta_alloc(cs->heap, sizeof(*chunk),
				 GFP_NOWAIT | __GFP_NOWARN, NUMA_NO_NODE);
	if (!chunk)
		return;
	raw_spin_lock_irqsave(&cs->lock, flags);
	chunk->next = cs->chunks;
	cs->chunks = chunk;
	cs->nr_room += CHUNK_RECORDS;
	cs->nr_free += CHUNK_RECORDS;
	for (i = 0; i < CHUNK_RECORDS; i++) {
		chunk->records[i].next = cs->free;
		cs->free = &chunk->records[i];
	}
	raw_spin_unlock_irqrestore(&cs->lock, flags);
}

static void record_alloc(struct kheap_callsites *cs, const struct record *what)
{
	struct kheap_site *site = NULL;
	unsigned long flags;
	u32 stack;

	make_room_for_records(cs);
	make_room_for_sites(cs);
	stack = save_stack();
	raw_spin_lock_irqsave(&cs->lock, flags);
	if (stack && cs->free)
		site = get_site(cs, stack);
	if (site)
		add_record(cs, site, what);
	else
		cs->nr.nr_dropped++;
	raw_spin_unlock_irqrestore(&cs->lock, flags);
}

/**
 * kheap_callsite_alloc() - record a block that was allocated
 * @heap: its heap
 * @class: its class, NULL for a large block
 * @ptr: the block, which is nobody's yet
 * @bytes_req: asked for
 * @bytes: taken
 *
 * Context: Any context; in NMI nothing is recorded. Never sleeps.
 */
void kheap_callsite_alloc(struct kheap *heap, const struct kheap_class *class,
			  const void *ptr, size_t bytes_req, size_t bytes)
{
	struct kheap_callsites *cs;

	if (unlikely(in_nmi()))
		return;
	rcu_read_lock();
	cs = rcu_dereference(heap->watch.callsites);
	if (cs && is_chosen(cs->one_in)) {
		struct record what = {
			.ptr = ptr,
			.class = class,
			.ns = kheap_callsite_now(),
			.bytes_req = bytes_req,
			.bytes = bytes,
		};

		record_alloc(cs, &what);
	}
	rcu_read_unlock();
}

/**
 * kheap_callsite_free() - forget a block that is freed
 * @heap: its heap
 * @ptr: the block, which is nobody's any more
 *
 * A bucket that is seen empty has no record of it: the block came here from its
 * allocation, and the record was made before that returned.
 *
 * Context: Any context except NMI. Never sleeps.
 */
void kheap_callsite_free(struct kheap *heap, const void *ptr)
{
	struct kheap_callsites *cs;
	unsigned long flags;

	rcu_read_lock();
	cs = rcu_dereference(heap->watch.callsites);
	if (cs && (cs->one_in == 1 || READ_ONCE(*bucket_of(cs, ptr)))) {
		raw_spin_lock_irqsave(&cs->lock, flags);
		if (!drop_record(cs, ptr) && cs->one_in == 1)
			cs->nr.nr_unknown_frees++;
		raw_spin_unlock_irqrestore(&cs->lock, flags);
	}
	rcu_read_unlock();
}

/**
 * kheap_callsites_forget() - forget the blocks of a class that ends
 * @class: the class; nobody uses it any more
 *
 * Context: Process context. May sleep.
 */
void kheap_callsites_forget(const struct kheap_class *class)
{
	struct kheap_callsites *cs;
	struct record *record, *next;
	unsigned long flags;
	unsigned int i;

	mutex_lock(&callsites_lock);
	cs = rcu_dereference_protected(class->heap->watch.callsites, true);
	for (i = 0; cs && i < ARRAY_SIZE(cs->records); i++) {
		raw_spin_lock_irqsave(&cs->lock, flags);
		for (record = cs->records[i]; record; record = next) {
			next = record->next;
			if (record->class == class)
				drop_record(cs, record->ptr);
		}
		raw_spin_unlock_irqrestore(&cs->lock, flags);
		cond_resched();
	}
	mutex_unlock(&callsites_lock);
}

/* --- Switching ---------------------------------------------------------- */

static struct kheap_callsites *callsites_create(struct kheap *heap,
						unsigned int one_in)
{
	struct kheap_callsites *cs;
	int cpu;

	if (stack_depot_init())
		return NULL;
	cs = kheap_meta_alloc(heap, sizeof(*cs), GFP_KERNEL, NUMA_NO_NODE);
	if (!cs)
		return NULL;
	cs->heap = heap;
	cs->one_in = one_in;
	cs->nr.one_in = one_in;
	raw_spin_lock_init(&cs->lock);
	for_each_possible_cpu(cpu)
		while (!per_cpu(chance, cpu))
			per_cpu(chance, cpu) = get_random_u64();
	make_room_for_records(cs);
	make_room_for_sites(cs);
	return cs;
}

static void free_sites(struct kheap *heap, struct kheap_site *site)
{
	struct kheap_site *next;

	for (; site; site = next) {
		next = site->next;
		kheap_meta_free(heap, site);
	}
}

/* Nobody looks at it any more. */
static void callsites_destroy(struct kheap_callsites *cs)
{
	struct chunk *chunk;
	unsigned int i;

	if (!cs)
		return;
	for (i = 0; i < ARRAY_SIZE(cs->sites); i++)
		free_sites(cs->heap, cs->sites[i]);
	free_sites(cs->heap, cs->spare);
	while ((chunk = cs->chunks)) {
		cs->chunks = chunk->next;
		kheap_meta_free(cs->heap, chunk);
	}
	kheap_meta_free(cs->heap, cs);
}

static struct kheap_callsites *exchange(struct kheap *heap,
					struct kheap_callsites *cs)
{
	lockdep_assert_held(&callsites_lock);
	return rcu_replace_pointer(heap->watch.callsites, cs,
				   lockdep_is_held(&callsites_lock));
}

/**
 * kheap_callsites_start() - record the call sites of a heap, from now on
 * @heap: the heap
 * @one_in: record one in so many blocks, at random; 1 for all; 0 for as before
 *
 * What was recorded before is forgotten.
 *
 * Context: Process context. May sleep.
 * Return: 0; -EINVAL for 0 while it is off; -ENOMEM, and all is as before.
 */
int kheap_callsites_start(struct kheap *heap, unsigned int one_in)
{
	struct kheap_callsites *cs, *old;

	mutex_lock(&callsites_lock);
	old = rcu_dereference_protected(heap->watch.callsites, true);
	if (!one_in && !old) {
		mutex_unlock(&callsites_lock);
		return -EINVAL;
	}
	cs = callsites_create(heap, one_in ?: old->one_in);
	if (!cs) {
		mutex_unlock(&callsites_lock);
		return -ENOMEM;
	}
	exchange(heap, cs);
	kheap_watch_start(heap, KHEAP_WATCH_CALLSITES);
	if (old)
		synchronize_rcu();
	callsites_destroy(old);
	mutex_unlock(&callsites_lock);
	return 0;
}

/* A heap was created: the module's parameter says what about it. */
void kheap_callsites_new(struct kheap *heap)
{
	unsigned int one_in = READ_ONCE(new_heaps);

	if (one_in && kheap_callsites_start(heap, one_in))
		pr_warn("heap '%s': no memory to record call sites\n",
			heap->base.name);
}

/**
 * kheap_callsites_stop() - stop recording, and forget what was recorded
 * @heap: the heap; one whose call sites are not recorded is fine
 *
 * Context: Process context. May sleep.
 */
void kheap_callsites_stop(struct kheap *heap)
{
	struct kheap_callsites *cs;

	mutex_lock(&callsites_lock);
	kheap_watch_stop(heap, KHEAP_WATCH_CALLSITES);
	cs = exchange(heap, NULL);
	/* Tracing goes on, and who saw both may be there still. */
	if (cs)
		synchronize_rcu();
	callsites_destroy(cs);
	mutex_unlock(&callsites_lock);
}

/* --- Reading ------------------------------------------------------------ */

struct kheap_callsites *kheap_callsites_read_begin(struct kheap *heap)
{
	mutex_lock(&callsites_lock);
	return rcu_dereference_protected(heap->watch.callsites, true);
}

void kheap_callsites_read_end(struct kheap *heap)
{
	mutex_unlock(&callsites_lock);
}

/* Sums, as they were recorded; zeroes while it is off. */
void kheap_callsites_get_stats(struct kheap_callsites *cs,
			       struct kheap_callsite_stats *stats)
{
	unsigned long flags;

	memset(stats, 0, sizeof(*stats));
	if (!cs)
		return;
	raw_spin_lock_irqsave(&cs->lock, flags);
	*stats = cs->nr;
	raw_spin_unlock_irqrestore(&cs->lock, flags);
}

/* Only what is of @class, which takes a look at every record of the site. */
static void count_class(const struct kheap_site *site,
			const struct kheap_class *class,
			struct kheap_callsite_row *row)
{
	const struct record *record;

	row->nr_live = 0;
	row->live_bytes = 0;
	list_for_each_entry(record, &site->records, list) {
		if (record->class != class)
			continue;
		row->nr_live++;
		row->live_bytes += record->bytes;
	}
}

static void fill_row(const struct kheap_callsites *cs,
		     struct kheap_site *site,
		     const struct kheap_class *class,
		     struct kheap_callsite_row *row)
{
	const struct record *oldest, *newest;

	row->site = site;
	row->nr_live = site->nr_live;
	row->live_bytes = site->live_bytes;
	row->req_bytes = site->req_bytes;
	row->peak_bytes = site->peak_bytes;
	row->nr_total = site->nr_total;
	row->least_bytes = site->least_bytes;
	row->most_bytes = site->most_bytes;
	row->pid = site->pid;
	memcpy(row->comm, site->comm, sizeof(row->comm));
	oldest = list_first_entry_or_null(&site->records, struct record, list);
	row->oldest_ns = oldest ? oldest->ns : 0;
	newest = oldest ? list_last_entry(&site->records, struct record, list) :
			  NULL;
	row->newest_ns = newest ? newest->ns : 0;
	if (class)
		count_class(site, class, row);
	row->nr_live *= cs->one_in;
	row->live_bytes *= cs->one_in;
	row->req_bytes *= cs->one_in;
	row->peak_bytes *= cs->one_in;
	row->nr_total *= cs->one_in;
}

/**
 * kheap_callsites_copy() - copy the sites, all numbers estimates of the whole
 * @cs: the call sites; between kheap_callsites_read_begin() and
 *	kheap_callsites_read_end()
 * @class: count only blocks of this class; NULL for all
 * @rows: room for rows
 * @nr: how many fit
 *
 * The lock is held for a bucket of sites at a time.
 *
 * Return: How many there are.
 */
unsigned int kheap_callsites_copy(struct kheap_callsites *cs,
				  const struct kheap_class *class,
				  struct kheap_callsite_row *rows,
				  unsigned int nr)
{
	struct kheap_site *site;
	unsigned int i, done = 0;
	unsigned long flags;

	for (i = 0; i < ARRAY_SIZE(cs->sites); i++) {
		raw_spin_lock_irqsave(&cs->lock, flags);
		for (site = cs->sites[i]; site && done < nr; site = site->next)
			fill_row(cs, site, class, &rows[done++]);
		raw_spin_unlock_irqrestore(&cs->lock, flags);
	}
	return done;
}

/**
 * kheap_callsites_find() - look a block up
 * @cs: the call sites, NULL while nothing is recorded; between
 *	kheap_callsites_read_begin() and kheap_callsites_read_end(), which keep
 *	the stack
 * @ptr: the block
 * @block: filled in; all zero when there is no record
 */
void kheap_callsites_find(struct kheap_callsites *cs, const void *ptr,
			  struct kheap_callsite_block *block)
{
	const struct record *record;
	unsigned long flags;

	memset(block, 0, sizeof(*block));
	if (!cs)
		return;
	raw_spin_lock_irqsave(&cs->lock, flags);
	record = *bucket_of(cs, ptr);
	while (record && record->ptr != ptr)
		record = record->next;
	if (record) {
		block->stack = record->site->stack;
		block->bytes_req = record->bytes_req;
		block->ns = record->ns;
	}
	raw_spin_unlock_irqrestore(&cs->lock, flags);
}
