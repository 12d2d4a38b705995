/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What an architecture has to provide, in a header of its own in arch/:
 *
 * kheap_map_end()	where the direct map ends, which begins at PAGE_OFFSET: no
 *			page that the allocator gives out is beyond it, and for
 *			every address before it, virt_to_page() of PAGE_OFFSET plus
 *			its page number is in the kernel's array of struct page, or
 *			in a hole of it
 * kheap_load_nofault()	load a word that may not be mapped; then it is 0
 * kheap_flag_nofault()	look at a flag whose address may be none, in the sense of
 *			kheap_no_address(); then it is -EFAULT
 * kheap_load_asm()	load and store a word of 64 bits as one instruction that
 * kheap_store_asm()	KASAN and KMSAN do not see
 *
 * Where __get_kernel_nofault() is a few instructions, nofault.h has two of them.
 * The rest of kheap relies on pointers and longs of 64 bits, of which addresses of
 * memory share the upper two, and on nothing else of a machine: byte order, page
 * size and the order of memory accesses are any that Linux has.
 */
#ifndef _KHEAP_ARCH_H
#define _KHEAP_ARCH_H

#include <linux/mm.h>

#if defined(CONFIG_UML) && defined(CONFIG_X86_64)
#include "base/arch/um.h"
#elif defined(CONFIG_X86_64)
#include "base/arch/x86_64.h"
#elif defined(CONFIG_ARM64)
#include "base/arch/arm64.h"
#elif defined(CONFIG_S390)
#include "base/arch/s390.h"
#else
#error "kheap: this architecture has no header in module/base/arch"
#endif

/*
 * kheap_pool_of() counts struct pages from the direct map's first one. User-Mode
 * Linux has one piece of memory, and one array.
 */
#if !defined(CONFIG_SPARSEMEM_VMEMMAP) && !defined(CONFIG_UML)
#error "kheap: the kernel needs CONFIG_SPARSEMEM_VMEMMAP"
#endif

/* An address has a tag there, which is not the same in every pointer to a page. */
#if defined(CONFIG_KASAN_SW_TAGS) || defined(CONFIG_KASAN_HW_TAGS)
#error "kheap: of KASAN's modes, only the generic one is supported"
#endif

static_assert(sizeof(long) == 8);

#endif /* _KHEAP_ARCH_H */
