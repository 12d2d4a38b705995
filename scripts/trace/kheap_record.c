// SPDX-License-Identifier: GPL-2.0
/*
 * LD_PRELOAD recorder: writes down each request to malloc() and its relatives.
 * The raw recording is private to this file and scripts/trace/kheap_raw.py;
 * the format that others read is described in scripts/trace/FORMAT.rst.
 *
 * The recording is a file mapped shared, one window at a time. Nothing has to
 * be flushed at the end, so it is complete however the process ends: return
 * from main(), _exit(), execve() or a signal.
 *
 * Order: one lock puts all events of a process in one order. A block is written
 * down after it was allocated and before it is freed, so an address never
 * appears twice without a free between, whatever the threads do. realloc()
 * does both at once and is written down as two events, before and after.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* Operations of the raw recording. 0 is the end: what was never written. */
enum raw_op {
	RAW_ALLOC = 1,
	RAW_FREE,
	RAW_REALLOC_BEGIN,	/* addr: the old block */
	RAW_REALLOC_END,	/* addr: the new block, or NULL if it failed */
};

#define RAW_ALIGN_MASK	0x1f	/* flags: log2 of the alignment asked for */
#define RAW_ZERO	0x20	/* flags: zeroed memory was asked for */

struct raw_event {
	_Atomic uint8_t op;	/* stored last: a half written event is none */
	uint8_t flags;
	uint16_t thread;
	uint32_t delta_ns;	/* since the event before, saturated */
	uint64_t addr;
	uint64_t size;
};

/* Takes the place of the first event. */
struct raw_header {
	char magic[8];
	uint32_t pid;
	_Atomic uint32_t error;	/* errno that ended the recording early, or 0 */
	uint64_t flags;		/* bit 0: times were recorded */
};

_Static_assert(sizeof(struct raw_event) == 24, "raw event");
_Static_assert(sizeof(struct raw_header) == sizeof(struct raw_event), "raw header");

/* A multiple of both the event size and any page size up to 64 KiB: 3 MiB. */
#define WINDOW_BYTES	(sizeof(struct raw_event) * 128 * 1024)
#define WINDOW_EVENTS	(WINDOW_BYTES / sizeof(struct raw_event))

/* The functions this library stands in front of. */
static struct {
	void *(*malloc)(size_t size);
	void *(*calloc)(size_t n, size_t size);
	void *(*realloc)(void *ptr, size_t size);
	void (*free)(void *ptr);
	int (*posix_memalign)(void **ptr, size_t align, size_t size);
	void *(*aligned_alloc)(size_t align, size_t size);
	void *(*memalign)(size_t align, size_t size);
	void *(*valloc)(size_t size);
	void *(*pvalloc)(size_t size);
	size_t (*malloc_usable_size)(void *ptr);
} real;

/* NEW until the first request; the rest are final, except across fork(). */
enum state { NEW, STARTING, ON, OFF };

static _Atomic int state;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* All below is protected by the lock. */
static char path[4096];
static struct raw_header *header;
static struct raw_event *window;
static size_t nr_in_window;
static off_t window_offset;
static bool record_time;
static uint64_t last_ns;
static unsigned int nr_threads;

/* initial-exec: the first access must not allocate. */
static __thread int thread_nr __attribute__((tls_model("initial-exec"))) = -1;

/*
 * dlsym() may allocate before the real functions are known. What it asks for
 * then comes from here and is never freed.
 */
static alignas(16) char bootstrap[16384];
static size_t bootstrap_used;

static bool is_bootstrap(const void *ptr)
{
	uintptr_t p = (uintptr_t)ptr;

	return p >= (uintptr_t)bootstrap &&
	       p < (uintptr_t)bootstrap + sizeof(bootstrap);
}

static void *bootstrap_alloc(size_t size)
{
	void *ptr = bootstrap + bootstrap_used;

	size = (size + 15) & ~(size_t)15;
	if (size > sizeof(bootstrap) - bootstrap_used) {
		errno = ENOMEM;
		return NULL;
	}
	bootstrap_used += size;
	return ptr;
}

static void complain(const char *what, int error)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "kheap_record: %s: %s\n", what,
			 strerror(error));

	if (n > 0 && write(STDERR_FILENO, text, n) < 0)
		return;
}

/* Ends the recording early, and says so in its header. */
static void give_up(const char *what, int error)
{
	if (header)
		atomic_store(&header->error, error);
	atomic_store(&state, OFF);
	complain(what, error);
}

/*
 * No descriptor is kept: programs close those they do not know, and reuse their
 * numbers. Space is allocated, not left as a hole: a full disk must not be a
 * SIGBUS. Returns 0 or an errno.
 */
static int map_window(off_t offset, int flags)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
	void *map;
	int error;

	if (fd < 0)
		return errno;
	error = posix_fallocate(fd, offset, WINDOW_BYTES);
	if (error) {
		close(fd);
		return error;
	}
	map = mmap(NULL, WINDOW_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   offset);
	error = map == MAP_FAILED ? errno : 0;
	/* The header stays mapped when the window moves on. */
	if (!error && !header) {
		header = mmap(NULL, sizeof(*header), PROT_READ | PROT_WRITE,
			      MAP_SHARED, fd, 0);
		if (header == MAP_FAILED) {
			error = errno;
			header = NULL;
			munmap(map, WINDOW_BYTES);
		}
	}
	close(fd);
	if (error)
		return error;
	if (window)
		munmap(window, WINDOW_BYTES);
	window = map;
	window_offset = offset;
	nr_in_window = 0;
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static uint32_t time_since_last(void)
{
	uint64_t now = now_ns(), delta = now - last_ns;

	last_ns = now;
	return delta > UINT32_MAX ? UINT32_MAX : delta;
}

static void append(uint8_t op, uint8_t flags, const void *addr, size_t size)
{
	struct raw_event *event;

	if (nr_in_window == WINDOW_EVENTS) {
		int error = map_window(window_offset + WINDOW_BYTES, 0);

		if (error) {
			give_up("recording ended early", error);
			return;
		}
	}
	if (thread_nr < 0)
		thread_nr = nr_threads < UINT16_MAX ? nr_threads++ : UINT16_MAX;

	event = &window[nr_in_window++];
	event->flags = flags;
	event->thread = thread_nr;
	event->delta_ns = record_time ? time_since_last() : 0;
	event->addr = (uintptr_t)addr;
	event->size = size;
	atomic_store_explicit(&event->op, op, memory_order_release);
}

static void record(uint8_t op, uint8_t flags, const void *addr, size_t size)
{
	int saved = errno;

	if (atomic_load_explicit(&state, memory_order_acquire) != ON)
		return;
	pthread_mutex_lock(&lock);
	if (atomic_load_explicit(&state, memory_order_relaxed) == ON)
		append(op, flags, addr, size);
	pthread_mutex_unlock(&lock);
	errno = saved;
}

/*
 * One file per process image: execve() keeps the pid, so they are numbered.
 * Returns 0 or an errno.
 */
static int create_recording(const char *dir)
{
	int error = EEXIST;

	for (int image = 0; error == EEXIST && image < 10000; image++) {
		int n = snprintf(path, sizeof(path), "%s/%d.%d.raw", dir,
				 (int)getpid(), image);

		if (n < 0 || (size_t)n >= sizeof(path))
			return ENAMETOOLONG;
		error = map_window(0, O_CREAT | O_EXCL);
	}
	return error;
}

static bool wanted(const char *dir)
{
	const char *pid = getenv("KHEAP_RECORD_PID");

	return dir && *dir && (!pid || !*pid || atoi(pid) == getpid());
}

static void start(void)
{
	const char *dir = getenv("KHEAP_RECORD_DIR");
	const char *time = getenv("KHEAP_RECORD_TIME");
	int error;

	if (!wanted(dir)) {
		atomic_store(&state, OFF);
		return;
	}
	error = create_recording(dir);
	if (error) {
		give_up(dir, error);
		return;
	}
	record_time = time && *time == '1';
	header->pid = getpid();
	header->flags = record_time;
	memcpy(header->magic, "KHTRAW1\n", sizeof(header->magic));
	nr_in_window = 1;
	last_ns = now_ns();
	atomic_store_explicit(&state, ON, memory_order_release);
}

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

/* The child must not write to its parent's recording; it begins its own. */
static void after_fork_in_child(void)
{
	pthread_mutex_init(&lock, NULL);
	if (atomic_load(&state) != ON)
		return;
	munmap(window, WINDOW_BYTES);
	munmap(header, sizeof(*header));
	window = NULL;
	header = NULL;
	nr_threads = 0;
	thread_nr = -1;
	atomic_store(&state, STARTING);
	start();
}

static void resolve(void)
{
	real.malloc = dlsym(RTLD_NEXT, "malloc");
	real.calloc = dlsym(RTLD_NEXT, "calloc");
	real.realloc = dlsym(RTLD_NEXT, "realloc");
	real.free = dlsym(RTLD_NEXT, "free");
	real.posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
	real.aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc");
	real.memalign = dlsym(RTLD_NEXT, "memalign");
	real.valloc = dlsym(RTLD_NEXT, "valloc");
	real.pvalloc = dlsym(RTLD_NEXT, "pvalloc");
	real.malloc_usable_size = dlsym(RTLD_NEXT, "malloc_usable_size");
}

/*
 * True when the real functions can be called. Runs at the first request,
 * which the dynamic linker or a library's constructor makes before there is a
 * second thread. Requests that dlsym() makes meanwhile see STARTING.
 */
static bool ready(void)
{
	int now = atomic_load_explicit(&state, memory_order_acquire);

	if (__builtin_expect(now >= ON, 1))
		return true;
	if (now == STARTING)
		return real.malloc_usable_size;
	atomic_store(&state, STARTING);
	resolve();
	if (!real.malloc || !real.free) {
		complain("no malloc() behind this one", ENOSYS);
		abort();
	}
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
	start();
	return true;
}

__attribute__((constructor)) static void at_load(void)
{
	ready();
}

static uint8_t align_flags(size_t align)
{
	return align ? __builtin_ctzl(align) & RAW_ALIGN_MASK : 0;
}

EXPORT void *malloc(size_t size)
{
	void *ptr;

	if (!ready())
		return bootstrap_alloc(size);
	ptr = real.malloc(size);
	if (ptr)
		record(RAW_ALLOC, 0, ptr, size);
	return ptr;
}

EXPORT void *calloc(size_t n, size_t size)
{
	size_t bytes;
	void *ptr;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	if (!ready())
		return bootstrap_alloc(bytes);
	ptr = real.calloc(n, size);
	if (ptr)
		record(RAW_ALLOC, RAW_ZERO, ptr, bytes);
	return ptr;
}

EXPORT void free(void *ptr)
{
	if (!ptr || is_bootstrap(ptr) || !ready())
		return;
	record(RAW_FREE, 0, ptr, 0);
	real.free(ptr);
}

/* Its true size is unknown, but it ends with the bootstrap memory. */
static void *realloc_bootstrap(void *old, size_t size)
{
	size_t most = bootstrap + sizeof(bootstrap) - (char *)old;
	void *ptr = malloc(size);

	if (ptr)
		memcpy(ptr, old, size < most ? size : most);
	return ptr;
}

EXPORT void *realloc(void *old, size_t size)
{
	void *ptr;

	if (!old)
		return malloc(size);
	if (is_bootstrap(old))
		return realloc_bootstrap(old, size);
	if (!ready())
		return NULL;
	record(RAW_REALLOC_BEGIN, 0, old, size);
	ptr = real.realloc(old, size);
	record(RAW_REALLOC_END, 0, ptr, size);
	return ptr;
}

EXPORT void *reallocarray(void *old, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(old, bytes);
}

EXPORT int posix_memalign(void **ptr, size_t align, size_t size)
{
	int error;

	if (!ready())
		return ENOMEM;
	error = real.posix_memalign(ptr, align, size);
	if (!error)
		record(RAW_ALLOC, align_flags(align), *ptr, size);
	return error;
}

static void *aligned(void *(*function)(size_t, size_t), size_t align, size_t size)
{
	void *ptr = function(align, size);

	if (ptr)
		record(RAW_ALLOC, align_flags(align), ptr, size);
	return ptr;
}

EXPORT void *aligned_alloc(size_t align, size_t size)
{
	return ready() ? aligned(real.aligned_alloc, align, size) : NULL;
}

EXPORT void *memalign(size_t align, size_t size)
{
	return ready() ? aligned(real.memalign, align, size) : NULL;
}

static void *page_aligned(void *(*function)(size_t), size_t size)
{
	void *ptr = function(size);

	if (ptr)
		record(RAW_ALLOC, align_flags(sysconf(_SC_PAGESIZE)), ptr, size);
	return ptr;
}

EXPORT void *valloc(size_t size)
{
	return ready() ? page_aligned(real.valloc, size) : NULL;
}

EXPORT void *pvalloc(size_t size)
{
	return ready() ? page_aligned(real.pvalloc, size) : NULL;
}

EXPORT size_t malloc_usable_size(void *ptr)
{
	if (!ptr || is_bootstrap(ptr) || !ready())
		return 0;
	return real.malloc_usable_size(ptr);
}
