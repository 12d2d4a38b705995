/* SPDX-License-Identifier: GPL-2.0 */
/*
 * arm64. See base/arch.h for what this has to provide.
 */
#ifndef _KHEAP_ARCH_ARM64_H
#define _KHEAP_ARCH_ARM64_H

#include "base/arch/nofault.h"

/* Of the two halves of the kernel's addresses, the direct map is the lower one. */
static inline unsigned long kheap_map_end(void)
{
	return PAGE_END;
}

static __always_inline u64 kheap_load_asm(const u64 *p)
{
	u64 word;

	asm volatile("ldr %0, [%1]" : "=r" (word) : "r" (p) : "memory");
	return word;
}

static __always_inline void kheap_store_asm(u64 *p, u64 word)
{
	asm volatile("str %0, [%1]" : : "r" (word), "r" (p) : "memory");
}

#endif /* _KHEAP_ARCH_ARM64_H */
