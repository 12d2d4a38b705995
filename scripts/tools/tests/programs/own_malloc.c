// SPDX-License-Identifier: GPL-2.0
/* A program with a malloc() of its own, which the C library calls, too. */
#include <stddef.h>
#include <string.h>

static char arena[1 << 20];
static size_t used;

void *malloc(size_t size)
{
	void *block = arena + used;

	used += (size + 31) / 16 * 16;
	return used < sizeof(arena) ? block : NULL;
}

void *calloc(size_t nr, size_t size)
{
	return malloc(nr * size);
}

void *realloc(void *old, size_t size)
{
	void *block = malloc(size);

	if (block && old)
		memcpy(block, old, size);
	return block;
}

void free(void *block)
{
	(void)block;
}

int main(void)
{
	void *volatile block = malloc(100);

	free(block);
	return 0;
}
