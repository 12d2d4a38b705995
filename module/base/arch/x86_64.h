/* SPDX-License-Identifier: GPL-2.0 */
/*
 * x86-64. See base/arch.h for what this has to provide.
 */
#ifndef _KHEAP_ARCH_X86_64_H
#define _KHEAP_ARCH_X86_64_H

#include <asm/asm.h>

static inline unsigned long kheap_map_end(void)
{
	return VMALLOC_START;
}

/*
 * One instruction where nothing goes wrong. EX_TYPE_ZERO_REG is there since v5.16
 * (commit 4b5305decc84, "x86/extable: Extend extable functionality").
 */
static __always_inline unsigned long kheap_load_nofault(const unsigned long *p)
{
	unsigned long word;

	asm volatile("1:	movq %[mem], %[word]\n"
		     "2:\n"
		     _ASM_EXTABLE_TYPE_REG(1b, 2b, EX_TYPE_ZERO_REG, %[word])
		     : [word] "=r" (word)
		     : [mem] "m" (*p));
	return word;
}

/* Where nothing goes wrong, it is the instructions of an ordinary look. */
static __always_inline int kheap_flag_nofault(const bool *p)
{
	asm goto("1:	cmpb $0, %[mem]\n"
		 "	je %l[no]\n"
		 _ASM_EXTABLE(1b, %l[bad])
		 : : [mem] "m" (*p) : "cc" : no, bad);
	return true;
no:
	return false;
bad:
	return -EFAULT;
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

#endif /* _KHEAP_ARCH_X86_64_H */
