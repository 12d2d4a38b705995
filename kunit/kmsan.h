/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What KMSAN keeps of an address. Compilers call this function before they load
 * a byte; the kernel has no header for it.
 */
#ifndef _KHEAP_KUNIT_KMSAN_H
#define _KHEAP_KUNIT_KMSAN_H

#include <linux/types.h>

struct kmsan_byte {
	const u8 *shadow;
	const u32 *origin;
};

struct kmsan_byte __msan_metadata_ptr_for_load_1(const void *addr);

#endif /* _KHEAP_KUNIT_KMSAN_H */
