/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Loads that may fault, where the architecture's __get_kernel_nofault() is a load
 * with an exception table entry and little more: arm64, s390.
 */
#ifndef _KHEAP_ARCH_NOFAULT_H
#define _KHEAP_ARCH_NOFAULT_H

#include <linux/uaccess.h>

static __always_inline unsigned long kheap_load_nofault(const unsigned long *p)
{
	unsigned long word;

	__get_kernel_nofault(&word, p, unsigned long, bad);
	return word;
bad:
	return 0;
}

static __always_inline int kheap_flag_nofault(const bool *p)
{
	u8 flag;

	__get_kernel_nofault(&flag, p, u8, bad);
	return flag;
bad:
	return -EFAULT;
}

#endif /* _KHEAP_ARCH_NOFAULT_H */
