/* SPDX-License-Identifier: GPL-2.0 */
/*
 * s390, 64 bits. See base/arch.h for what this has to provide.
 */
#ifndef _KHEAP_ARCH_S390_H
#define _KHEAP_ARCH_S390_H

#include "base/arch/nofault.h"

/* Memory is mapped as far as the array of struct page, whose place follows. */
static inline unsigned long kheap_map_end(void)
{
	return (unsigned long)vmemmap;
}

static __always_inline u64 kheap_load_asm(const u64 *p)
{
	u64 word;

	asm volatile("lg %0, %1" : "=d" (word) : "T" (*p) : "memory");
	return word;
}

static __always_inline void kheap_store_asm(u64 *p, u64 word)
{
	asm volatile("stg %1, %0" : "=T" (*p) : "d" (word) : "memory");
}

#endif /* _KHEAP_ARCH_S390_H */
