// SPDX-License-Identifier: GPL-2.0
/*
 * LD_PRELOAD recorder: writes down each request to malloc() and its relatives,
 * by kheap_append.c. A block is written down after it was allocated and before
 * it is freed. realloc() does both at once and is written down as two events,
 * before and after; the second has the place of the first.
 *
 * Nothing is printed: in a program that closed its descriptors, 2 may be a file
 * of its own.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kheap_append.h"
#include "kheap_ring.h"

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

/* NEW until the first request; ON is final. */
enum state { NEW, STARTING, ON };

static _Atomic int state;

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

/* This malloc(), by a name that no other library can take. */
extern void *this_malloc(size_t size)
	__attribute__((alias("malloc"), copy(malloc), visibility("hidden")));

/* Whether the program calls another malloc(), that of its executable. */
static bool has_own_malloc(void)
{
	return dlsym(RTLD_DEFAULT, "malloc") != (void *)this_malloc;
}

/*
 * True when the real functions can be called. Runs at the first request,
 * which the dynamic linker or a library's constructor makes before there is a
 * second thread. Requests that dlsym() makes meanwhile see STARTING.
 */
static bool ready(void)
{
	int now = atomic_load_explicit(&state, memory_order_acquire);

	if (__builtin_expect(now == ON, 1))
		return true;
	if (now == STARTING)
		return real.malloc_usable_size;
	atomic_store(&state, STARTING);
	resolve();
	exec_start();
	append_start(has_own_malloc());
	atomic_store_explicit(&state, ON, memory_order_release);
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
		append(RAW_ALLOC, 0, ptr, size);
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
		append(RAW_ALLOC, RAW_ZERO, ptr, bytes);
	return ptr;
}

EXPORT void free(void *ptr)
{
	if (!ptr || is_bootstrap(ptr) || !ready())
		return;
	append(RAW_FREE, 0, ptr, 0);
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
	uint64_t place;
	void *ptr;

	if (!old)
		return malloc(size);
	if (is_bootstrap(old))
		return realloc_bootstrap(old, size);
	if (!ready())
		return NULL;
	place = append(RAW_REALLOC_BEGIN, 0, old, size);
	ptr = real.realloc(old, size);
	append(RAW_REALLOC_END, 0, ptr, place);
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
		append(RAW_ALLOC, align_flags(align), *ptr, size);
	return error;
}

static void *aligned(void *(*function)(size_t, size_t), size_t align, size_t size)
{
	void *ptr = function(align, size);

	if (ptr)
		append(RAW_ALLOC, align_flags(align), ptr, size);
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
		append(RAW_ALLOC, align_flags(sysconf(_SC_PAGESIZE)), ptr, size);
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
