/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every difference between the kernels that kheap is tested on, 6.1 to 6.12.
 * A shim names the version or commit that made it necessary.
 */
#ifndef _KHEAP_COMPAT_H
#define _KHEAP_COMPAT_H

#include <linux/version.h>

#ifndef CONFIG_X86_64
#error "kheap: only x86-64 is supported; see Documentation/design.rst"
#endif

/* kheap_pool_of() counts struct pages from the direct map's first one. */
#ifndef CONFIG_SPARSEMEM_VMEMMAP
#error "kheap: the kernel needs CONFIG_SPARSEMEM_VMEMMAP"
#endif

#include <asm/asm.h>

/*
 * Load a word of memory that may not be mapped; 0 if it is not. One
 * instruction where nothing goes wrong. EX_TYPE_ZERO_REG is there since v5.16
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

#endif /* _KHEAP_COMPAT_H */
