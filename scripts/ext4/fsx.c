// SPDX-License-Identifier: GPL-2.0
/*
 * A file is written, read, mapped, cut, punched and grown at random, and must
 * always read as a copy in memory says. The idea is Avadis Tevanian's fsx
 * (Apple, 1991), which Debian does not have.
 *
 * usage: fsx FILE NR_OPERATIONS SEED
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_SIZE	(512 * 1024)
#define MAX_RUN		(64 * 1024)

static unsigned char model[MAX_SIZE], buffer[MAX_SIZE];
static size_t size;
static unsigned int seed;
static const char *name;
static long op_nr;
static int fd;

static void die(const char *what)
{
	fprintf(stderr, "fsx: %s: operation %ld: %s\n", name, op_nr, what);
	exit(1);
}

static unsigned int chance(unsigned int below)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % below;
}

static void need(int good, const char *what)
{
	if (!good)
		die(what);
}

static void compare(const unsigned char *got, size_t from, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (got[i] != model[from + i]) {
			fprintf(stderr, "at %zu: want %02x, got %02x\n",
				from + i, model[from + i], got[i]);
			die("wrong contents");
		}
}

static size_t fill(size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		buffer[i] = op_nr + i * 7;
	return len;
}

static void do_read(size_t from, size_t len)
{
	if (from >= size)
		return;
	if (len > size - from)
		len = size - from;
	need(pread(fd, buffer, len, from) == (ssize_t)len, "short read");
	compare(buffer, from, len);
}

static void grow_to(size_t end)
{
	if (end > size)
		size = end;
}

static void do_write(size_t from, size_t len)
{
	fill(len);
	need(pwrite(fd, buffer, len, from) == (ssize_t)len, "short write");
	memcpy(model + from, buffer, len);
	grow_to(from + len);
}

static void do_truncate(size_t to)
{
	need(!ftruncate(fd, to), "ftruncate");
	if (to < size)
		memset(model + to, 0, size - to);
	size = to;
}

static void do_map(size_t from, size_t len, int write)
{
	size_t page = from & ~4095ul;
	unsigned char *map;

	if (from >= size)
		return;
	if (len > size - from)
		len = size - from;
	map = mmap(NULL, from - page + len, PROT_READ | PROT_WRITE, MAP_SHARED,
		   fd, page);
	need(map != MAP_FAILED, "mmap");
	if (write) {
		fill(len);
		memcpy(map + from - page, buffer, len);
		memcpy(model + from, buffer, len);
	} else {
		compare(map + from - page, from, len);
	}
	need(!munmap(map, from - page + len), "munmap");
}

static void do_zero(size_t from, size_t len, int mode)
{
	if (from >= size)
		return;
	if (len > size - from)
		len = size - from;
	need(!fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, from, len),
	     "fallocate");
	memset(model + from, 0, len);
}

static void reopen(void)
{
	need(!fsync(fd), "fsync");
	need(!posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), "fadvise");
	need(!close(fd), "close");
	fd = open(name, O_RDWR);
	need(fd >= 0, "open");
	need(lseek(fd, 0, SEEK_END) == (off_t)size, "wrong size");
	do_read(0, MAX_SIZE);
}

static void operate(void)
{
	size_t from = chance(MAX_SIZE - MAX_RUN), len = 1 + chance(MAX_RUN);
	unsigned int op = chance(8);

	if (op == 0)
		do_read(from, len);
	else if (op == 1)
		do_write(from, len);
	else if (op == 2)
		do_truncate(from);
	else if (op == 3 || op == 4)
		do_map(from, len, op == 4);
	else if (op == 5)
		do_zero(from, len, FALLOC_FL_PUNCH_HOLE);
	else if (op == 6)
		do_zero(from, len, FALLOC_FL_ZERO_RANGE);
	else if (!chance(8))
		reopen();
	else
		do_write(from, len);
}

int main(int argc, char **argv)
{
	long nr;

	if (argc != 4) {
		fprintf(stderr, "usage: fsx FILE NR_OPERATIONS SEED\n");
		return 2;
	}
	name = argv[1];
	nr = atol(argv[2]);
	seed = atol(argv[3]);
	fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	need(fd >= 0, "open");
	for (op_nr = 1; op_nr <= nr; op_nr++)
		operate();
	reopen();
	printf("fsx: %ld operations, %zu bytes at the end, all as expected\n",
	       nr, size);
	return 0;
}
