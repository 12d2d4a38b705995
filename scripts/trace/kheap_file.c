// SPDX-License-Identifier: GPL-2.0
/*
 * Writing a trace, as FORMAT.rst has it, in one go and in constant memory: first
 * the events, then the header that counts them, in the room that was left for
 * it. When the disk is full, what was written is a whole trace of its own.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kheap_collect.h"

#define MAGIC		"\x89KHT\r\n\x1a\n"
#define HEADER_BYTES	128
#define EVENT_BYTES	16
#define CRC_OFFSET	24
#define BUFFER_BYTES	(64 * 1024)
#define POLYNOMIAL	0xedb88320u

enum { ALLOC = 1, FREE, REALLOC };

struct event {
	uint8_t op, flags;
	uint16_t thread;
	uint32_t id, size, delta_ns;
};

struct header {
	uint8_t magic[8];
	uint16_t version, header_bytes;
	uint32_t event_bytes, flags, meta_bytes, crc32, reserved;
	uint64_t nr_events;
	uint32_t nr_ids, nr_threads;
	uint64_t nr_allocs, nr_reallocs, nr_frees, peak_bytes, peak_event;
	uint64_t peak_live, end_bytes, end_live, max_size, total_bytes;
};

_Static_assert(sizeof(struct event) == EVENT_BYTES, "event");
_Static_assert(sizeof(struct header) == HEADER_BYTES, "header");

static uint32_t table[4][256];

static void fill_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		table[0][i] = crc;
	}
	for (int t = 1; t < 4; t++)
		for (uint32_t i = 0; i < 256; i++)
			table[t][i] = table[t - 1][i] >> 8 ^
				      table[0][table[t - 1][i] & 0xff];
}

/* The remainder after more bytes, four at a time. */
static uint32_t crc_add(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (; len >= 4; len -= 4, p += 4) {
		crc ^= p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
		crc = table[3][crc & 0xff] ^ table[2][crc >> 8 & 0xff] ^
		      table[1][crc >> 16 & 0xff] ^ table[0][crc >> 24];
	}
	while (len--)
		crc = crc >> 8 ^ table[0][(crc ^ *p++) & 0xff];
	return crc;
}

/* The product of two polynomials modulo that of the CRC; bit 31 is x^0. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (; a; a <<= 1) {
		if (a & 0x80000000u)
			product ^= b;
		b = b >> 1 ^ (b & 1 ? POLYNOMIAL : 0);
	}
	return product;
}

/*
 * The remainder after len bytes of zero. A CRC is linear: that of two parts is
 * the first one's, taken past as many zeros as the second is long, and the
 * second one's that began with zero.
 */
static uint32_t crc_skip(uint32_t crc, uint64_t len)
{
	uint32_t power = 0x00800000u;		/* x^8: one byte */

	for (; len; len >>= 1) {
		if (len & 1)
			crc = multiply(power, crc);
		power = multiply(power, power);
	}
	return crc;
}

/* Returns 0 or an errno. */
int trace_begin(struct trace_file *file, const char *path, size_t meta_bytes)
{
	if (!table[0][1])
		fill_table();
	memset(file, 0, sizeof(*file));
	file->meta_bytes = (meta_bytes + EVENT_BYTES - 1) / EVENT_BYTES * EVENT_BYTES;
	file->buffer = malloc(BUFFER_BYTES);
	if (!file->buffer)
		return ENOMEM;
	file->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (file->fd >= 0) {
		/* Written now, so that it can be written again on a full disk. */
		memset(file->buffer, 0, BUFFER_BYTES);
		if (pwrite(file->fd, file->buffer, HEADER_BYTES + file->meta_bytes, 0) ==
		    (ssize_t)(HEADER_BYTES + file->meta_bytes))
			return 0;
		errno = errno ?: ENOSPC;
		close(file->fd);
	}
	free(file->buffer);
	return errno;
}

/* Writes what is buffered; or none of it, and nothing any more. */
void trace_flush(struct trace_file *file)
{
	uint64_t at = HEADER_BYTES + file->meta_bytes +
		      file->written.nr_events * EVENT_BYTES;
	size_t done = 0;

	while (!file->error && done < file->nr_buffered) {
		ssize_t n = pwrite(file->fd, file->buffer + done,
				   file->nr_buffered - done, at + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			file->error = n ? errno : ENOSPC;
		else
			done += n;
	}
	if (file->error)
		return;
	file->crc = crc_add(file->crc, file->buffer, file->nr_buffered);
	file->nr_buffered = 0;
	file->written = file->now;
}

static void count(struct totals *now, uint8_t op, uint16_t thread, uint32_t id,
		  uint32_t size, uint32_t old_size)
{
	now->nr_allocs += op == ALLOC;
	now->nr_reallocs += op == REALLOC;
	now->nr_frees += op == FREE;
	now->live_bytes += (uint64_t)size - old_size;
	now->total_bytes += size;
	if (size > now->max_size)
		now->max_size = size;
	if (id >= now->nr_ids)
		now->nr_ids = id + 1;
	if (thread >= now->nr_threads)
		now->nr_threads = thread + 1;
	if (now->live_bytes > now->peak_bytes) {
		now->peak_bytes = now->live_bytes;
		now->peak_event = now->nr_events;
		now->peak_live = now->nr_allocs - now->nr_frees;
	}
	now->nr_events++;
}

void trace_event(struct trace_file *file, uint8_t op, uint8_t flags,
		 uint16_t thread, uint32_t id, uint32_t size, uint32_t delta_ns,
		 uint32_t old_size)
{
	struct event event = {
		op, flags, htole16(thread), htole32(id), htole32(size),
		htole32(delta_ns)
	};

	if (file->error)
		return;
	memcpy(file->buffer + file->nr_buffered, &event, sizeof(event));
	file->nr_buffered += sizeof(event);
	count(&file->now, op, thread, id, size, old_size);
	if (file->nr_buffered == BUFFER_BYTES)
		trace_flush(file);
}

static void fill_header(struct header *header, const struct trace_file *file,
			uint32_t flags)
{
	const struct totals *totals = &file->written;

	*header = (struct header){
		.version = htole16(1),
		.header_bytes = htole16(HEADER_BYTES),
		.event_bytes = htole32(EVENT_BYTES),
		.flags = htole32(flags),
		.meta_bytes = htole32(file->meta_bytes),
		.nr_events = htole64(totals->nr_events),
		.nr_ids = htole32(totals->nr_ids),
		.nr_threads = htole32(totals->nr_threads),
		.nr_allocs = htole64(totals->nr_allocs),
		.nr_reallocs = htole64(totals->nr_reallocs),
		.nr_frees = htole64(totals->nr_frees),
		.peak_bytes = htole64(totals->peak_bytes),
		.peak_event = htole64(totals->peak_event),
		.peak_live = htole64(totals->peak_live),
		.end_bytes = htole64(totals->live_bytes),
		.end_live = htole64(totals->nr_allocs - totals->nr_frees),
		.max_size = htole64(totals->max_size),
		.total_bytes = htole64(totals->total_bytes),
	};
	memcpy(header->magic, MAGIC, sizeof(header->magic));
}

/* Writes metadata and header, and closes the file. Returns 0 or an errno. */
int trace_end(struct trace_file *file, const char *meta, uint32_t flags)
{
	uint64_t events_bytes = file->written.nr_events * EVENT_BYTES;
	uint64_t head_bytes = HEADER_BYTES + file->meta_bytes;
	uint8_t *head = calloc(1, head_bytes);
	struct header *header = (void *)head;
	uint32_t crc;
	int error = 0;

	if (!head) {
		error = ENOMEM;
		goto out;
	}
	fill_header(header, file, flags);
	memcpy(head + HEADER_BYTES, meta, strnlen(meta, file->meta_bytes));
	crc = crc_skip(crc_add(~0u, head, head_bytes), events_bytes) ^ file->crc;
	header->crc32 = htole32(~crc);
	if (pwrite(file->fd, head, head_bytes, 0) != (ssize_t)head_bytes ||
	    ftruncate(file->fd, head_bytes + events_bytes))
		error = errno ?: ENOSPC;
	free(head);
out:
	if (close(file->fd) && !error)
		error = errno;
	free(file->buffer);
	return error;
}
