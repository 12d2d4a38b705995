// SPDX-License-Identifier: GPL-2.0
/*
 * The collector: empties the memory that recorded programs fill into a file, the
 * spool, and makes traces of that. It is a process of its own, so that whatever
 * the programs do, or may not do, is nothing to it, and what happens to it, a
 * full disk for one, is nothing to them.
 *
 * usage: kheap_collect RING SPOOL FLAGS, started by scripts/trace/record. It
 * answers "ready" and empties RING until it is told to
 *
 *   end			"image PROC PARENT PID FLAGS EXE NEXT" for each
 *			process image, paths in hexadecimal, NEXT being what
 *			it said it would become; then "ended NR_UNWANTED"
 *   trace PROC BYTES FILE	and BYTES of metadata: "trace EVENTS PEAK_BYTES
 *			PEAK_BLOCKS NOTES." or "failed ERRNO"
 *
 * and ends with its standard input.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "kheap_collect.h"

#define IDLE_MS		10	/* between two looks when nothing happens */
#define BUSY_MS		1
#define ASLEEP_MS	50	/* a chunk's owner, when chunks get scarce */
#define TORN_MS		1000	/* a busy slot, at the end */

/* Given back before the traces are written: on a full disk they begin in it. */
#define SPOOL_RESERVE	(128 * 1024)

static struct ring *ring;
static struct spool spool;

/* Of each chunk: the slot that was free at the last look, and since when. */
static struct {
	uint32_t slot;
	uint16_t round;
	uint64_t since_ms;
} seen[RING_MAX_CHUNKS];

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

static void free_round(struct ring_chunk *chunk, uint16_t round)
{
	for (size_t i = 0; i < CHUNK_EVENTS; i++)
		atomic_store_explicit(&chunk->events[i].word,
				      event_word(RAW_EMPTY, 0, round, 0),
				      memory_order_relaxed);
}

/* As much of it as there is room for. Returns 0 or an errno. */
static int make_ring(const char *path, uint32_t flags)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), error = ENOSPC;
	uint32_t nr;

	if (fd < 0)
		return errno;
	for (nr = RING_MAX_CHUNKS; nr >= RING_MIN_CHUNKS; nr /= 2) {
		error = posix_fallocate(fd, 0, ring_bytes(nr));
		if (!error)
			break;
	}
	if (error || ftruncate(fd, ring_bytes(nr))) {
		close(fd);
		return error ?: errno;
	}
	ring = mmap(NULL, ring_bytes(nr), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (ring == MAP_FAILED)
		return errno;
	ring->nr_chunks = nr;
	ring->flags = flags;
	/* Zero is free, in round 0. */
	memcpy(ring->magic, RING_MAGIC, sizeof(ring->magic));
	return 0;
}

/* Returns 0 or an errno. */
static int make_spool(const char *path)
{
	spool.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return spool.fd < 0 ? errno : posix_fallocate(spool.fd, 0, SPOOL_RESERVE);
}

/* Nothing is wanted any more, of anybody. */
static void give_up(int error)
{
	if (!spool.error)
		spool.error = error;
	atomic_store(&ring->closed, 1);
}

static bool enter(const struct ring_chunk *chunk)
{
	if (spool.nr == spool.room) {
		size_t room = spool.room ? spool.room * 2 : 1024;
		void *chunks = realloc(spool.chunks, room * sizeof(*spool.chunks));

		if (!chunks)
			return false;
		spool.chunks = chunks;
		spool.room = room;
	}
	spool.chunks[spool.nr] = (struct spooled){
		.proc = chunk->proc, .at = spool.nr, .seq = chunk->seq
	};
	spool.nr++;
	return true;
}

static off_t spool_offset(size_t at)
{
	return SPOOL_RESERVE + (off_t)at * CHUNK_BYTES;
}

/* One chunk has one place, so that its blocks can be given back. */
static void put_in_spool(const struct ring_chunk *chunk, size_t nr_used)
{
	static _Alignas(struct ring_chunk) char copy[CHUNK_BYTES];
	size_t bytes = CHUNK_HEAD + nr_used * sizeof(struct raw_event), done = 0;

	if (spool.error)
		return;
	memcpy(copy, chunk, bytes);
	while (done < bytes) {
		ssize_t n = pwrite(spool.fd, copy + done, bytes - done,
				   spool_offset(spool.nr) + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			give_up(n ? errno : ENOSPC);
			return;
		}
		done += n;
	}
	if (!enter((void *)copy))
		give_up(ENOMEM);
}

/*
 * Nobody can write to a chunk's free slots any more after this; who comes late
 * looks for another. False while a slot is busy, unless it may be torn.
 */
static bool close_slots(struct ring_chunk *chunk, uint16_t round, bool torn,
			size_t *nr_used)
{
	bool busy = false;

	*nr_used = 0;
	for (size_t i = 0; i < CHUNK_EVENTS; i++) {
		uint64_t word = event_word(RAW_EMPTY, 0, round, 0);

		if (atomic_compare_exchange_strong(&chunk->events[i].word, &word,
				event_word(RAW_CLOSED, 0, round, 0)))
			continue;
		if (word_op(word) == RAW_BUSY)
			busy = true;
		if (word_op(word) != RAW_CLOSED)
			*nr_used = i + 1;
	}
	return !busy || torn;
}

/*
 * Takes a chunk from whoever has it, and frees it. False: not yet. One that is
 * claimed has the head of the round before, or some of it. Its process may have
 * died there, so at the end it is not waited for.
 */
static bool empty_chunk(uint32_t index, bool torn)
{
	struct ring_chunk *chunk = ring_chunk(ring, index);
	uint64_t state = atomic_load(&ring->states[index]);
	uint16_t round = word_round(state);
	size_t nr_used;

	do {
		if ((state & 0xff) == CHUNK_CLAIMED && !torn)
			return false;
	} while (!atomic_compare_exchange_weak(&ring->states[index], &state,
			chunk_word(CHUNK_TAKEN, round, word_high(state))));
	if (!close_slots(chunk, round, torn, &nr_used))
		return false;
	/* One without an event, too: it has the name of its process. */
	if ((state & 0xff) != CHUNK_CLAIMED && (nr_used || chunk->seq == 1))
		put_in_spool(chunk, nr_used);
	free_round(chunk, round + 1);
	atomic_store(&ring->states[index], chunk_word(CHUNK_FREE, round + 1, 0));
	atomic_fetch_add(&ring->progress, 1);
	return true;
}

/* For how long nobody has written to it; a full one has no use for its owner. */
static uint64_t asleep_ms(uint32_t index, uint16_t round, uint64_t now)
{
	struct raw_event *events = ring_chunk(ring, index)->events;
	uint32_t slot = seen[index].slot;

	if (seen[index].round != round || slot >= CHUNK_EVENTS ||
	    word_op(atomic_load(&events[slot].word)) != RAW_EMPTY) {
		slot = seen[index].round == round ? slot : 0;
		while (slot < CHUNK_EVENTS &&
		       word_op(atomic_load(&events[slot].word)) != RAW_EMPTY)
			slot++;
		seen[index].slot = slot;
		seen[index].round = round;
		seen[index].since_ms = now;
	}
	return slot == CHUNK_EVENTS ? ASLEEP_MS : now - seen[index].since_ms;
}

/* One look at all chunks; how many were emptied. */
static uint32_t look(uint64_t now)
{
	static uint32_t nr_owned;	/* at the last look */
	bool scarce = nr_owned > ring->nr_chunks / 2;
	uint32_t nr = 0, owned = 0;

	for (uint32_t i = 0; i < ring->nr_chunks; i++) {
		uint64_t state = atomic_load(&ring->states[i]);

		switch (state & 0xff) {
		case CHUNK_FREE:
			continue;
		case CHUNK_CLAIMED:
			owned++;
			continue;
		case CHUNK_OWNED:
			owned++;
			if (!scarce || asleep_ms(i, word_round(state), now) < ASLEEP_MS)
				continue;
			break;
		}
		nr += empty_chunk(i, false);
	}
	nr_owned = owned;
	return nr;
}

/* Empties the memory until there is a command, or no one to give it. */
static void collect(void)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	int wait = BUSY_MS;

	while (poll(&input, 1, wait) <= 0) {
		uint32_t nr = look(now_ms());

		if (nr > ring->nr_chunks / 8)
			wait = 0;
		else if (nr)
			wait = BUSY_MS;
		else if (wait < IDLE_MS)
			wait++;
	}
}

static bool all_free(bool torn)
{
	bool all = true;

	for (uint32_t i = 0; i < ring->nr_chunks; i++)
		if ((atomic_load(&ring->states[i]) & 0xff) != CHUNK_FREE)
			all &= empty_chunk(i, torn);
	return all;
}

static int by_place(const void *left, const void *right)
{
	const struct spooled *a = left, *b = right;

	if (a->proc != b->proc)
		return a->proc < b->proc ? -1 : 1;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

size_t spool_find(const struct spool *from, uint32_t proc, size_t *first)
{
	size_t low = 0, high = from->nr, nr = 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (from->chunks[middle].proc < proc)
			low = middle + 1;
		else
			high = middle;
	}
	*first = low;
	while (low + nr < from->nr && from->chunks[low + nr].proc == proc)
		nr++;
	return nr;
}

ssize_t spool_read(const struct spool *from, size_t index, void *chunk)
{
	ssize_t n;

	memset(chunk, 0, CHUNK_BYTES);
	do {
		n = pread(from->fd, chunk, CHUNK_BYTES,
			  spool_offset(from->chunks[index].at));
	} while (n < 0 && errno == EINTR);
	return n;
}

/* A disk that cannot do it keeps the chunk for a while longer. */
void spool_forget(const struct spool *from, size_t index)
{
	fallocate(from->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		  spool_offset(from->chunks[index].at), CHUNK_BYTES);
}

static void print_hex(const char *text, size_t len)
{
	putchar('=');
	for (size_t i = 0; i < len; i++)
		printf("%02x", (unsigned char)text[i]);
	putchar(' ');
}

/* Follows what a process said that it would become. */
static void follow(const struct ring_chunk *chunk, size_t bytes,
		   char *next, size_t *len, uint32_t *thread)
{
	size_t nr = (bytes - CHUNK_HEAD) / sizeof(struct raw_event);

	for (size_t i = 0; i < nr; i++) {
		const struct raw_event *event = &chunk->events[i];
		uint64_t word = event->word;
		size_t part = word_flags(word) & 0x1f;

		if (word_op(word) == RAW_EXEC_FAILED)
			*len = 0;
		if (word_op(word) != RAW_EXEC || part > sizeof(event->body))
			continue;
		if (word_flags(word) & RAW_EXEC_FIRST) {
			*len = 0;
			*thread = word_high(word);
		}
		if (*thread != word_high(word) || *len + part > IMAGE_BYTES)
			continue;
		memcpy(next + *len, event->body, part);
		*len += part;
	}
}

/* Chunks of one process: [first, first + nr). Its last words are in the last. */
static void print_image(size_t first, size_t nr)
{
	static _Alignas(struct ring_chunk) char buffer[CHUNK_BYTES];
	const struct ring_chunk *chunk = (void *)buffer;
	char next[IMAGE_BYTES];
	uint32_t thread = 0;
	size_t len = 0;

	for (size_t i = nr > 4 ? nr - 4 : 0; i < nr; i++) {
		ssize_t bytes = spool_read(&spool, first + i, buffer);

		if (bytes > CHUNK_HEAD)
			follow(chunk, bytes, next, &len, &thread);
	}
	printf("image %u %u %u %u ", chunk->proc, chunk->parent, chunk->pid,
	       chunk->flags);
	print_hex(chunk->image, strnlen(chunk->image, sizeof(chunk->image)));
	print_hex(next, len);
	putchar('\n');
}

/* What became of the events for which there was no chunk. */
static uint64_t lost_unsaid(void)
{
	static _Alignas(struct ring_chunk) char buffer[CHUNK_BYTES];
	const struct ring_chunk *chunk = (void *)buffer;
	uint64_t nr = atomic_load(&ring->nr_lost);

	for (size_t i = 0; i < spool.nr && nr; i++) {
		if (i + 1 < spool.nr && spool.chunks[i + 1].proc == spool.chunks[i].proc)
			continue;
		spool_read(&spool, i, buffer);
		nr -= chunk->nr_lost < nr ? chunk->nr_lost : nr;
	}
	return nr;
}

static void end(void)
{
	uint64_t until = now_ms() + TORN_MS;

	atomic_store(&ring->closed, 1);
	while (!all_free(now_ms() >= until))
		poll(NULL, 0, 1);
	fallocate(spool.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		  SPOOL_RESERVE);
	/* Who lives on keeps the memory mapped, but has no use for it. */
	madvise(ring_chunk(ring, 0), (size_t)ring->nr_chunks * CHUNK_BYTES,
		MADV_REMOVE);
	qsort(spool.chunks, spool.nr, sizeof(*spool.chunks), by_place);
	spool.nr_lost = lost_unsaid();
	for (size_t i = 0, nr; i < spool.nr; i += nr) {
		size_t first;

		nr = spool_find(&spool, spool.chunks[i].proc, &first);
		print_image(first, nr);
	}
	printf("ended %u\n", atomic_load(&ring->nr_unwanted));
}

/* Reads the metadata that follows the command, and obeys. */
static bool make_trace(const char *line)
{
	unsigned int proc, bytes;
	int at = 0;
	char *meta;

	if (sscanf(line, "trace %u %u %n", &proc, &bytes, &at) != 2 || !at)
		return false;
	meta = calloc(1, bytes + 1);
	if (!meta || fread(meta, 1, bytes, stdin) != bytes)
		return false;
	convert(&spool, proc, ring->flags & RING_TIME, line + at, meta);
	free(meta);
	return true;
}

/* Who started this is gone: nobody else knows of the files. */
static void clean_up(char *const *paths)
{
	atomic_store(&ring->closed, 1);
	for (int i = 0; i < 2; i++) {
		char *slash = strrchr(paths[i], '/');

		unlink(paths[i]);
		if (!slash)
			continue;
		*slash = '\0';
		rmdir(paths[i]);
	}
}

static int obey(char *const *paths)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	collect();
	while ((n = getline(&line, &room, stdin)) > 0) {
		line[n - 1] = '\0';
		if (!strcmp(line, "end"))
			end();
		else if (!make_trace(line))
			return 1;
		fflush(stdout);
	}
	if (!atomic_load(&ring->closed))
		clean_up(paths);
	return 0;
}

int main(int argc, char **argv)
{
	const char *where;
	int error;

	if (argc != 4)
		return 2;
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	error = make_spool(argv[2]);
	where = argv[2];
	if (!error) {
		error = make_ring(argv[1], atoi(argv[3]));
		where = argv[1];
	}
	printf("%s %d %s\n", error ? "failed" : "ready", error, where);
	fflush(stdout);
	return error ? 1 : obey(argv + 1);
}
