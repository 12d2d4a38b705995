// SPDX-License-Identifier: GPL-2.0
/*
 * The recorder's hand: appends events to the memory of kheap_ring.h.
 *
 * Whatever a program does between two requests is allowed, so nothing here
 * holds on to anything: a signal handler that interrupts it may fork, allocate,
 * leave by longjmp() or never return, and a thread may be gone in the middle.
 * What fails, fails outside, in the collector; a program never waits for it but
 * when the memory is full, for a bounded time, and then goes on unrecorded.
 *
 * Order: a place is reserved after a block was allocated and before it is freed,
 * so an address never appears twice without a free between, whatever the threads
 * do. A writer that loses its place takes a later one, which is before its
 * request returns or the block is freed, too.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kheap_append.h"
#include "kheap_ring.h"

/*
 * What a process knows of itself, in a page that the kernel clears in a forked
 * child: that is how a child learns that it is one, with no handler, no system
 * call, and however it was made. vfork() and threads share it, as they share
 * the blocks. All zero is a process that has not begun.
 */
struct process {
	/* chunk + 1 (16 bits), its round (16), next slot (32); 0 or OFF: none */
	_Atomic uint64_t cursor;
	_Atomic uint32_t proc;
	_Atomic uint32_t pid;
	_Atomic uint32_t parent;
	_Atomic uint32_t flags;
	_Atomic uint32_t nr_threads;
	_Atomic uint32_t gave_up;	/* ring->progress + 1 when it did */
	_Atomic uint64_t last_seq;
	_Atomic uint64_t nr_lost;
};

#define OFF	(0xffffull << 48)

/*
 * How often to look for a free chunk before an event is lost: from a quarter of
 * a second to some seconds, as there is no clock that a sandbox cannot forbid.
 */
#define PATIENCE	(1u << 26)

static struct process *self;		/* NULL: this image is not recorded */
static struct ring *ring;
static uint32_t nr_mapped;
static bool is_wiped;
static _Atomic bool is_coarse;

/* Of this image and, in a child that has not begun, of its parent. */
static _Atomic uint32_t known_proc, known_pid;
static uint32_t known_flags;
static char image[IMAGE_BYTES];

/* initial-exec: the first access must not allocate. */
static __thread struct {
	uint32_t proc, nr;
} thread __attribute__((tls_model("initial-exec")));

static bool has_chunk(uint64_t at)
{
	return (at >> 48) - 1 < RING_MAX_CHUNKS;
}

static uint32_t chunk_of(uint64_t at)
{
	return (at >> 48) - 1;
}

static uint16_t round_of(uint64_t at)
{
	return at >> 32;
}

static uint32_t slot_of(uint64_t at)
{
	return at;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#else
	atomic_signal_fence(memory_order_seq_cst);
#endif
}

/*
 * The pid of a process of one thread, without a system call: the C library keeps
 * it, and a mutex that knows its owner shows it. A child that the C library did
 * not make has its parent's there.
 */
static uint32_t own_pid(void)
{
#ifdef __GLIBC__
	pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
	uint32_t pid;

	pthread_mutex_lock(&mutex);
	pid = mutex.__data.__owner;
	pthread_mutex_unlock(&mutex);
	if (pid && pid != atomic_load(&known_pid))
		return pid;
#endif
	return getpid();
}

/* A child's first event. False if it is not to be recorded. */
static bool identify(void)
{
	uint32_t parent = atomic_load(&known_proc), proc = 0, pid;

	if (atomic_load(&self->proc))
		return true;
	if (!(ring->flags & RING_CHILDREN)) {
		atomic_fetch_add(&ring->nr_unwanted, 1);
		return false;
	}
	pid = atomic_load(&self->pid);
	if (!pid)
		pid = own_pid();
	if (atomic_load(&self->proc))
		return true;
	atomic_store(&self->pid, pid);
	atomic_store(&self->parent, parent);
	atomic_store(&self->flags, known_flags | PROC_FORKED);
	if (atomic_compare_exchange_strong(&self->proc, &proc,
					   atomic_fetch_add(&ring->nr_procs, 1) + 1)) {
		atomic_store(&known_pid, pid);
		atomic_store(&known_proc, atomic_load(&self->proc));
	}
	return true;
}

/* A free chunk, claimed, or -1. The first ones first: the rest is not touched. */
static int try_chunk(uint32_t proc, uint16_t *round)
{
	for (uint32_t i = 0; i < nr_mapped; i++) {
		uint64_t old = atomic_load_explicit(&ring->states[i],
						    memory_order_relaxed);

		*round = word_round(old);
		if ((old & 0xff) == CHUNK_FREE &&
		    atomic_compare_exchange_strong(&ring->states[i], &old,
				chunk_word(CHUNK_CLAIMED, *round, proc)))
			return i;
	}
	return -1;
}

/* Waits a little if there is none; not again until the collector has moved. */
static int take_chunk(uint32_t proc, uint16_t *round)
{
	uint32_t progress = atomic_load(&ring->progress);
	int index = try_chunk(proc, round);

	for (uint32_t i = 0; index < 0 && i < PATIENCE; i++) {
		if (atomic_load(&ring->closed) ||
		    atomic_load(&self->gave_up) == progress + 1)
			return -1;
		relax();
		if (atomic_load(&ring->progress) == progress)
			continue;
		progress = atomic_load(&ring->progress);
		index = try_chunk(proc, round);
		i = 0;
	}
	if (index < 0)
		atomic_store(&self->gave_up, progress + 1);
	return index;
}

/*
 * A chunk of this process is now something else; false if it is no longer its.
 * The process is asked for again: a child that a signal handler forked may come
 * here with its parent's chunk.
 */
static bool move_chunk(uint32_t index, uint16_t round, uint32_t proc,
		       enum chunk_state from, enum chunk_state to)
{
	uint64_t old = chunk_word(from, round, proc);

	return atomic_load(&self->proc) == proc &&
	       atomic_compare_exchange_strong(&ring->states[index], &old,
					      chunk_word(to, round, proc));
}

/* The head of a chunk that is claimed; false in a child, as above. */
static bool fill_head(struct ring_chunk *chunk, uint32_t proc)
{
	uint32_t parent = atomic_load(&self->parent);
	uint32_t pid = atomic_load(&self->pid);
	uint32_t flags = atomic_load(&self->flags);
	uint64_t seq = atomic_fetch_add(&self->last_seq, 1) + 1;
	uint64_t nr_lost = atomic_load(&self->nr_lost);

	/* From here a child has what its parent has. */
	if (atomic_load(&self->proc) != proc)
		return false;
	memcpy(chunk->image, image, sizeof(image));
	chunk->proc = proc;
	chunk->parent = parent;
	chunk->pid = pid;
	chunk->flags = flags;
	chunk->seq = seq;
	chunk->nr_lost = nr_lost;
	return true;
}

/* Goes on to another chunk. False if there is none: the event is lost. */
static bool next_chunk(uint64_t at)
{
	uint16_t round;
	uint32_t proc;
	int index;

	if (at == OFF)
		return false;
	if (atomic_load(&ring->closed) || !identify()) {
		atomic_store(&self->cursor, OFF);
		return false;
	}
	proc = atomic_load(&self->proc);
	index = take_chunk(proc, &round);
	if (index < 0 && !atomic_load(&ring->closed)) {
		atomic_fetch_add(&self->nr_lost, 1);
		atomic_fetch_add(&ring->nr_lost, 1);
	}
	if (index < 0)
		return false;
	/* If not, its chunk is its parent's, or the recording has ended. */
	if (!fill_head(ring_chunk(ring, index), proc) ||
	    !move_chunk(index, round, proc, CHUNK_CLAIMED, CHUNK_OWNED))
		return true;
	if (!atomic_compare_exchange_strong(&self->cursor, &at,
			(uint64_t)(index + 1) << 48 | (uint64_t)round << 32))
		move_chunk(index, round, proc, CHUNK_OWNED, CHUNK_FREE);
	else if (has_chunk(at))
		move_chunk(chunk_of(at), round_of(at), proc, CHUNK_OWNED, CHUNK_DONE);
	return true;
}

static uint32_t thread_nr(uint32_t proc)
{
	if (thread.proc != proc) {
		thread.nr = atomic_fetch_add(&self->nr_threads, 1);
		thread.proc = proc;
	}
	return thread.nr;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(atomic_load(&is_coarse) ? CLOCK_MONOTONIC_COARSE :
						CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* Its place, or 0 if the slot is no longer that which was reserved. */
static uint64_t write_event(uint64_t at, uint8_t op, uint8_t flags,
			    const uint64_t body[3])
{
	struct ring_chunk *chunk = ring_chunk(ring, chunk_of(at));
	struct raw_event *event = &chunk->events[slot_of(at)];
	uint64_t word = event_word(RAW_EMPTY, 0, round_of(at), 0);
	uint64_t busy = event_word(RAW_BUSY, 0, round_of(at), 0);
	uint64_t place = chunk->seq << 16 | slot_of(at);
	uint32_t proc = chunk->proc;

	/* Nobody else has reserved it: busy, it is so by a child as told below. */
	if (!atomic_compare_exchange_strong(&event->word, &word, busy) &&
	    word != busy)
		return 0;
	/*
	 * A handler may have forked since it was reserved. To the child this is
	 * not its event; its parent writes it. A child of the next few
	 * instructions writes what its parent writes.
	 */
	if (atomic_load(&self->proc) != proc)
		return place;
	event->body[0] = body[0];
	event->body[1] = body[1];
	event->body[2] = body[2];
	atomic_compare_exchange_strong(&event->word, &busy,
			event_word(op, flags, round_of(at), thread_nr(proc)));
	return place;
}

static uint64_t append_body(uint8_t op, uint8_t flags, const uint64_t body[3])
{
	uint64_t at, now, place;

	if (!self)
		return 0;
	for (;;) {
		at = atomic_load_explicit(&self->cursor, memory_order_acquire);
		if (!has_chunk(at) || slot_of(at) >= CHUNK_EVENTS) {
			if (!next_chunk(at))
				return 0;
			continue;
		}
		if (!atomic_compare_exchange_weak(&self->cursor, &at, at + 1))
			continue;
		place = write_event(at, op, flags, body);
		if (place)
			return place;
		/* The chunk was taken away, with all of its slots. */
		now = atomic_load(&self->cursor);
		if (now >> 32 == at >> 32 && !next_chunk(now))
			return 0;
	}
}

uint64_t append(uint8_t op, uint8_t flags, const void *addr, uint64_t size)
{
	const uint64_t body[3] = {
		self && ring->flags & RING_TIME ? now_ns() : 0,
		(uintptr_t)addr, size
	};

	return append_body(op, flags, body);
}

uint64_t append_text(uint8_t op, uint8_t flags, const char text[24])
{
	uint64_t body[3];

	memcpy(body, text, sizeof(body));
	return append_body(op, flags, body);
}

pid_t append_pid(void)
{
	if (!self || atomic_load(&self->cursor) == OFF)
		return 0;
	/* A child that has not begun and is wanted begins here. */
	if (!has_chunk(atomic_load(&self->cursor)))
		next_chunk(atomic_load(&self->cursor));
	return atomic_load(&self->pid);
}

bool append_children(void)
{
	return self && ring->flags & RING_CHILDREN;
}

void append_coarse_clock(void)
{
	atomic_store(&is_coarse, true);
}

/*
 * A filter of system calls that was there before the program: all that is known
 * of it is that the dynamic linker got this far, by opening, reading, mapping.
 */
static bool is_sandboxed(void)
{
	static const char key[] = "\nSeccomp:\t";
	char text[2048];
	ssize_t n = -1;
	char *found;
	int fd;

	fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[n < 0 ? 0 : n] = '\0';
	found = strstr(text, key);
	return found && found[sizeof(key) - 1] != '0';
}

/* Less of it where the program is to have little room for addresses. */
static uint32_t chunks_to_map(uint32_t nr)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return nr;
	while (nr > 8 && ring_bytes(nr) > limit.rlim_cur / 32)
		nr /= 2;
	return nr;
}

static bool map_ring(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	void *map = MAP_FAILED;

	if (fd < 0)
		return false;
	if (!fstat(fd, &st) && st.st_size >= (off_t)ring_bytes(1)) {
		nr_mapped = (st.st_size - RING_CHUNKS_AT) / CHUNK_BYTES;
		if (nr_mapped > RING_MAX_CHUNKS)
			nr_mapped = RING_MAX_CHUNKS;
		nr_mapped = chunks_to_map(nr_mapped);
		map = mmap(NULL, ring_bytes(nr_mapped), PROT_READ | PROT_WRITE,
			   MAP_SHARED, fd, 0);
	}
	close(fd);
	if (map == MAP_FAILED)
		return false;
	ring = map;
	if (!memcmp(ring->magic, RING_MAGIC, sizeof(ring->magic)))
		return true;
	munmap(map, ring_bytes(nr_mapped));
	return false;
}

/* In a child that the C library made: its one thread is this. */
static void after_fork_in_child(void)
{
	if (!self)
		return;
	if (!is_wiped)
		memset((void *)self, 0, sizeof(*self));
	if (!atomic_load(&self->proc))
		atomic_store(&self->pid, own_pid());
}

static void name_image(bool sandboxed)
{
	ssize_t n = -1;

	if (!sandboxed)
		n = readlink("/proc/self/exe", image, sizeof(image) - 1);
	if (n >= 0)
		image[n] = '\0';
	else if (getauxval(AT_EXECFN))
		strncpy(image, (char *)getauxval(AT_EXECFN), sizeof(image) - 1);
}

void append_start(bool own_malloc)
{
	const char *path = getenv("KHEAP_RECORD_RING");
	const char *pid = getenv("KHEAP_RECORD_PID");
	uint32_t own = own_pid();
	bool sandboxed;
	void *page;

	if (!path || !*path || (pid && *pid && (uint32_t)atoi(pid) != own))
		return;
	if (!map_ring(path) || atomic_load(&ring->closed))
		return;
	page = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return;
	sandboxed = is_sandboxed();
	if (!sandboxed) {
		is_wiped = !madvise(page, sysconf(_SC_PAGESIZE), MADV_WIPEONFORK);
		madvise(ring, ring_bytes(nr_mapped), MADV_DONTDUMP);
	}
	name_image(sandboxed);
	known_flags = own_malloc ? PROC_OWN_MALLOC : 0;
	self = page;
	self->pid = own;
	self->flags = known_flags;
	self->proc = atomic_fetch_add(&ring->nr_procs, 1) + 1;
	atomic_store(&known_proc, self->proc);
	atomic_store(&known_pid, own);
	pthread_atfork(NULL, NULL, after_fork_in_child);
	next_chunk(0);		/* to be known, without any request, too */
}
