/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the checkers of memory, KASAN and KMSAN, are told and what they are not to
 * see. On a kernel without them, nothing of it is left.
 */
#ifndef _KHEAP_CHECKERS_H
#define _KHEAP_CHECKERS_H

#include <linux/atomic.h>
#include <linux/types.h>

#include "base/arch.h"
#include "base/compat.h"

/*
 * KASAN's generic mode exports this one function of its own to modules, with
 * its prototype in mm/kasan. A granule is 8 bytes; the value 0 makes them
 * accessible, 1 to 7 so many of them; 0xff is "use-after-free" in a report,
 * 0xfc "slab-out-of-bounds".
 */
#ifdef CONFIG_KASAN_GENERIC
void kasan_poison(const void *addr, size_t size, u8 value, bool init);
#else
static inline void kasan_poison(const void *addr, size_t size, u8 value,
				bool init)
{
}
#endif

#define KHEAP_KASAN_GRANULE	8
#define KHEAP_KASAN_LIVE	0x00
#define KHEAP_KASAN_FREE	0xff
#define KHEAP_KASAN_BEYOND	0xfc

/*
 * Load and store a word of memory that is free to KASAN, and that nobody has
 * written to as far as KMSAN is to know. They do not see what assembler does.
 */
static __always_inline u64 kheap_load_unseen(const u64 *p)
{
#if defined(CONFIG_KASAN_GENERIC) || defined(CONFIG_KMSAN)
	return kheap_load_asm(p);
#else
	/* Whoever has the block may write there; two may free it at once. */
	return data_race(*p);
#endif
}

static __always_inline void kheap_store_unseen(u64 *p, u64 word)
{
#if defined(CONFIG_KASAN_GENERIC) || defined(CONFIG_KMSAN)
	kheap_store_asm(p, word);
#else
	WRITE_ONCE(*p, word);
#endif
}

/* As try_cmpxchg64(), past the checkers. */
static __always_inline bool kheap_try_cmpxchg_unseen(u64 *p, u64 *old, u64 new)
{
	return kheap_raw_try_cmpxchg(p, old, new);
}

#endif /* _KHEAP_CHECKERS_H */
