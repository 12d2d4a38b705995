/* SPDX-License-Identifier: GPL-2.0 */
/*
 * User-Mode Linux on x86-64: the kernel is a process. Its memory is one piece that
 * is all mapped, with every struct page of it. See base/arch.h.
 */
#ifndef _KHEAP_ARCH_UM_H
#define _KHEAP_ARCH_UM_H

static inline unsigned long kheap_map_end(void)
{
	return (unsigned long)high_memory;
}

/* What is asked for is always mapped, see above. */
static __always_inline unsigned long kheap_load_nofault(const unsigned long *p)
{
	return READ_ONCE(*p);
}

static __always_inline int kheap_flag_nofault(const bool *p)
{
	return (unsigned long)p >> 62 == 2 ? -EFAULT : *p;
}

static __always_inline u64 kheap_load_asm(const u64 *p)
{
	u64 word;

	asm volatile("movq (%1), %0" : "=r" (word) : "r" (p) : "memory");
	return word;
}

static __always_inline void kheap_store_asm(u64 *p, u64 word)
{
	asm volatile("movq %0, (%1)" : : "r" (word), "r" (p) : "memory");
}

#endif /* _KHEAP_ARCH_UM_H */
