// SPDX-License-Identifier: GPL-2.0
/*
 * From the spool to a trace. The recording names blocks by address. Here they get
 * ids: small numbers that are used again once free, so a replayer needs a table
 * no longer than the most blocks that were ever live together. Nor does this
 * need more: what it keeps grows with the live blocks, not with the events.
 *
 * A realloc() is two events, as its block ends before it returns and another
 * thread may have the address by then. The second event has the place of the
 * first, so the two are found whatever the threads are called.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kheap_collect.h"

#define SIZE_MOST	0x7fffffffu	/* of a block in a trace */
#define THREAD_MOST	0xffffu
#define LEFT_OUT	UINT32_MAX	/* in place of an id: no block of the trace */
#define FLAG_TIME	1u

enum { ALLOC = 1, FREE, REALLOC };

/* A block, by its address, or a realloc() under way, by its place. */
struct entry {
	uint64_t key;		/* 0: none */
	uint64_t addr;		/* of a realloc(): the old block */
	uint64_t size;		/* of a realloc(): asked for */
	uint32_t id;
	bool known;		/* of a realloc(): the old block had an id */
};

/* Linear probing; a power of two; at most half full. */
struct map {
	struct entry *entries;
	size_t size, nr;
};

struct converter {
	struct trace_file file;
	struct map blocks, moving;
	uint32_t *sizes;	/* by id */
	uint32_t *free_ids;
	size_t room, nr_ids, nr_free;
	bool timed, no_memory;
	uint64_t last_ns;	/* of the last event that is in the trace */
	uint64_t now_ns;
	uint64_t nr_threads, nr_foreign, nr_missed, nr_left_out, nr_torn, nr_lost;
};

static size_t home(const struct map *map, uint64_t key)
{
	return (key * 0x9e3779b97f4a7c15ull >> 20) & (map->size - 1);
}

static struct entry *find(const struct map *map, uint64_t key)
{
	if (!map->size)
		return NULL;
	for (size_t i = home(map, key);; i = (i + 1) & (map->size - 1)) {
		if (map->entries[i].key == key)
			return &map->entries[i];
		if (!map->entries[i].key)
			return NULL;
	}
}

static bool grow(struct map *map)
{
	struct map new = { .size = map->size ? map->size * 2 : 1024 };

	new.entries = calloc(new.size, sizeof(*new.entries));
	if (!new.entries)
		return false;
	for (size_t i = 0; i < map->size; i++) {
		size_t at;

		if (!map->entries[i].key)
			continue;
		at = home(&new, map->entries[i].key);
		while (new.entries[at].key)
			at = (at + 1) & (new.size - 1);
		new.entries[at] = map->entries[i];
	}
	new.nr = map->nr;
	free(map->entries);
	*map = new;
	return true;
}

/* The key is not there. */
static bool insert(struct map *map, struct entry entry)
{
	size_t at;

	if (2 * map->nr >= map->size && !grow(map))
		return false;
	at = home(map, entry.key);
	while (map->entries[at].key)
		at = (at + 1) & (map->size - 1);
	map->entries[at] = entry;
	map->nr++;
	return true;
}

/* Those behind it move up, if they were displaced past it. */
static void take_out(struct map *map, struct entry *entry)
{
	size_t mask = map->size - 1, hole = entry - map->entries;

	for (size_t i = (hole + 1) & mask; map->entries[i].key; i = (i + 1) & mask) {
		size_t want = home(map, map->entries[i].key);

		if (((i - want) & mask) < ((i - hole) & mask))
			continue;
		map->entries[hole] = map->entries[i];
		hole = i;
	}
	map->entries[hole].key = 0;
	map->nr--;
}

static void emit(struct converter *conv, uint8_t op, uint8_t flags,
		 uint32_t thread, uint32_t id, uint32_t size)
{
	uint64_t delta = 0;

	if (thread >= conv->nr_threads)
		conv->nr_threads = (uint64_t)thread + 1;
	if (conv->timed && conv->now_ns > conv->last_ns)
		delta = conv->last_ns ? conv->now_ns - conv->last_ns : 0;
	if (conv->now_ns > conv->last_ns)
		conv->last_ns = conv->now_ns;
	trace_event(&conv->file, op, flags,
		    thread < THREAD_MOST ? thread : THREAD_MOST, id, size,
		    delta < UINT32_MAX ? delta : UINT32_MAX,
		    op == ALLOC ? 0 : conv->sizes[id]);
	conv->sizes[id] = size;
}

static bool more_ids(struct converter *conv)
{
	size_t room = conv->room ? conv->room * 2 : 1024;
	uint32_t *sizes = realloc(conv->sizes, room * sizeof(*sizes));
	uint32_t *ids;

	if (!sizes)
		return false;
	conv->sizes = sizes;
	ids = realloc(conv->free_ids, room * sizeof(*ids));
	if (!ids)
		return false;
	conv->free_ids = ids;
	conv->room = room;
	return true;
}

/* The block of this id ends. */
static void drop(struct converter *conv, uint32_t thread, uint32_t id)
{
	if (id == LEFT_OUT)
		return;
	conv->free_ids[conv->nr_free++] = id;
	emit(conv, FREE, 0, thread, id, 0);
}

/* A new block at addr. */
static void new_block(struct converter *conv, uint8_t flags, uint32_t thread,
		      uint64_t addr, uint64_t size)
{
	struct entry entry = { .key = addr, .id = LEFT_OUT };
	struct entry *old = find(&conv->blocks, addr);

	if (old) {
		conv->nr_missed++;
		drop(conv, thread, old->id);
		take_out(&conv->blocks, old);
	}
	if (size > SIZE_MOST) {
		conv->nr_left_out++;
		conv->no_memory |= !insert(&conv->blocks, entry);
		return;
	}
	if (!conv->nr_free && conv->nr_ids == conv->room && !more_ids(conv)) {
		conv->no_memory = true;
		return;
	}
	entry.id = conv->nr_free ? conv->free_ids[--conv->nr_free] : conv->nr_ids++;
	if (!insert(&conv->blocks, entry)) {
		conv->no_memory = true;
		return;
	}
	emit(conv, ALLOC, flags, thread, entry.id, size);
}

static void free_block(struct converter *conv, uint32_t thread, uint64_t addr)
{
	struct entry *entry = find(&conv->blocks, addr);

	if (!entry) {
		conv->nr_foreign++;
		return;
	}
	drop(conv, thread, entry->id);
	take_out(&conv->blocks, entry);
}

/* From here on the address may be handed out to another thread. */
static void realloc_begin(struct converter *conv, uint64_t place, uint64_t addr,
			  uint64_t size)
{
	struct entry *block = find(&conv->blocks, addr);
	struct entry moving = {
		.key = place, .addr = addr, .size = size, .known = block,
		.id = block ? block->id : LEFT_OUT
	};

	if (block)
		take_out(&conv->blocks, block);
	conv->no_memory |= !insert(&conv->moving, moving);
}

/* realloc() returned addr: moved, freed (size 0) or failed. */
static void realloc_end(struct converter *conv, uint32_t thread, uint64_t place,
			uint64_t addr)
{
	struct entry *entry = find(&conv->moving, place), moving;

	if (!place || !entry)		/* its begin was lost */
		return;
	moving = *entry;
	take_out(&conv->moving, entry);
	if (!addr && moving.known && moving.size) {
		struct entry block = { .key = moving.addr, .id = moving.id };

		conv->no_memory |= !insert(&conv->blocks, block);
		return;
	}
	if (!moving.known && (addr || !moving.size))
		conv->nr_foreign++;
	if (!addr) {
		drop(conv, thread, moving.id);
	} else if (moving.id == LEFT_OUT || moving.size > SIZE_MOST ||
		   find(&conv->blocks, addr)) {
		drop(conv, thread, moving.id);
		new_block(conv, 0, thread, addr, moving.size);
	} else {
		struct entry block = { .key = addr, .id = moving.id };

		conv->no_memory |= !insert(&conv->blocks, block);
		emit(conv, REALLOC, 0, thread, moving.id, moving.size);
	}
}

static void convert_event(struct converter *conv, const struct raw_event *event,
			  uint64_t place)
{
	uint64_t word = event->word, addr = event->body[1], size = event->body[2];
	uint32_t thread = word_high(word);

	if (conv->timed && word_op(word) <= RAW_REALLOC_END)
		conv->now_ns = event->body[0];
	switch (word_op(word)) {
	case RAW_ALLOC:
		new_block(conv, word_flags(word) & (RAW_ALIGN_MASK | RAW_ZERO),
			  thread, addr, size);
		break;
	case RAW_FREE:
		free_block(conv, thread, addr);
		break;
	case RAW_REALLOC_BEGIN:
		realloc_begin(conv, place, addr, size);
		break;
	case RAW_REALLOC_END:
		realloc_end(conv, thread, size, addr);
		break;
	case RAW_BUSY:
		conv->nr_torn++;
		break;
	}
}

static void convert_chunk(struct converter *conv, const struct ring_chunk *chunk,
			  size_t bytes)
{
	size_t nr = (bytes - CHUNK_HEAD) / sizeof(struct raw_event);

	if (chunk->nr_lost > conv->nr_lost)
		conv->nr_lost = chunk->nr_lost;
	for (size_t i = 0; i < nr && !conv->no_memory && !conv->file.error; i++)
		convert_event(conv, &chunk->events[i], chunk->seq << 16 | i);
}

/* What is to be said of a trace: lines of metadata, in their room. */
struct notes {
	char text[NOTES_BYTES];
	size_t len;
	bool incomplete;
};

__attribute__((format(printf, 3, 4)))
static void note(struct notes *notes, bool incomplete, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(notes->text + notes->len, sizeof(notes->text) - notes->len,
		      format, args);
	va_end(args);
	if (n > 0 && notes->len + n < sizeof(notes->text)) {
		notes->len += n;
		notes->incomplete |= incomplete;
	}
}

static void count_notes(struct notes *notes, const struct converter *conv)
{
	if (conv->nr_threads > THREAD_MOST)
		note(notes, false, "nr_threads: %llu\n",
		     (unsigned long long)conv->nr_threads);
	if (conv->nr_foreign)
		note(notes, false, "nr_foreign_frees: %llu\n",
		     (unsigned long long)conv->nr_foreign);
	if (conv->nr_missed)
		note(notes, false, "nr_missed_frees: %llu\n",
		     (unsigned long long)conv->nr_missed);
	if (conv->nr_torn + conv->moving.nr)
		note(notes, false, "nr_unfinished: %llu\n",
		     (unsigned long long)conv->nr_torn + conv->moving.nr);
	if (conv->nr_left_out)
		note(notes, false, "nr_left_out: %llu\n",
		     (unsigned long long)conv->nr_left_out);
}

static void make_notes(struct notes *notes, const struct converter *conv,
		       const struct spool *spool)
{
	uint64_t nr_lost = conv->nr_lost + spool->nr_lost;

	if (spool->error)
		note(notes, true, "incomplete: the recording ended early: %s\n",
		     strerror(spool->error));
	if (conv->file.error)
		note(notes, true, "incomplete: the trace could not be written on: %s\n",
		     strerror(conv->file.error));
	if (conv->no_memory)
		note(notes, true, "incomplete: no memory for more live blocks\n");
	if (nr_lost)
		note(notes, true, "incomplete: %llu events were lost, as they came "
		     "faster than they could be written\n",
		     (unsigned long long)nr_lost);
	if (conv->nr_missed)
		note(notes, true, "incomplete: %llu blocks were freed unseen\n",
		     (unsigned long long)conv->nr_missed);
	count_notes(notes, conv);
}

static void answer(const struct totals *totals, const struct notes *notes)
{
	printf("trace %llu %llu %llu ", (unsigned long long)totals->nr_events,
	       (unsigned long long)totals->peak_bytes,
	       (unsigned long long)totals->peak_live);
	for (size_t i = 0; i < notes->len; i++)
		printf("%02x", (unsigned char)notes->text[i]);
	printf(".\n");
}

static void clear(struct converter *conv)
{
	free(conv->blocks.entries);
	free(conv->moving.entries);
	free(conv->sizes);
	free(conv->free_ids);
}

static void convert_all(struct converter *conv, const struct spool *spool,
			uint32_t proc)
{
	static _Alignas(struct ring_chunk) char chunk[CHUNK_BYTES];
	size_t first, nr = spool_find(spool, proc, &first);

	for (size_t i = first; i < first + nr; i++) {
		ssize_t bytes = spool_read(spool, i, chunk);

		if (bytes > CHUNK_HEAD)
			convert_chunk(conv, (void *)chunk, bytes);
		/* The trace needs half of it, on the same disk. */
		spool_forget(spool, i);
	}
	trace_flush(&conv->file);
}

void convert(const struct spool *spool, uint32_t proc, bool timed,
	     const char *path, const char *meta)
{
	struct converter conv = { .timed = timed };
	struct notes notes = { .len = 0 };
	char *all = malloc(strlen(meta) + NOTES_BYTES + 1);
	int error = all ? trace_begin(&conv.file, path, strlen(meta) + NOTES_BYTES)
			: ENOMEM;

	if (!error) {
		convert_all(&conv, spool, proc);
		make_notes(&notes, &conv, spool);
		sprintf(all, "%s%.*s", meta, (int)notes.len, notes.text);
		error = trace_end(&conv.file, all, timed ? FLAG_TIME : 0);
	}
	if (error)
		printf("failed %d\n", error);
	else
		answer(&conv.file.written, &notes);
	clear(&conv);
	free(all);
}
