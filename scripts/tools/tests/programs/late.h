/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Compiled into the recorder by test_record.py: few chunks of memory, so that the
 * collector takes them from their owners, and one process in four that is late
 * with the head of each of its chunks.
 */
#define _GNU_SOURCE
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kheap_ring.h"

#undef RING_MAX_CHUNKS
#define RING_MAX_CHUNKS 48

#define memcpy(to, from, n) late_copy(to, from, n)

/* Later than it takes a process that is asleep to lose its chunk. */
static inline void *late_copy(void *to, const void *from, size_t n)
{
	if (n == IMAGE_BYTES && getpid() % 4 == 0)
		nanosleep(&(struct timespec){ .tv_nsec = 150000000 }, NULL);
	return (memcpy)(to, from, n);
}
