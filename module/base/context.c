// SPDX-License-Identifier: GPL-2.0
/*
 * Where a call comes from, and what may be called there.
 */
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/stacktrace.h>

#include "base/base.h"

/* How deep in kheap a request can be when it is told of. */
#define KHEAP_FRAMES	12

/*
 * On a kernel with kmemleak, telling it of a block costs more than all the rest
 * of an allocation: suites of millions of them go without.
 */
bool kheap_leak_tracking = true;

/**
 * kheap_mm_allowed() - may the page and slab allocators be called here?
 *
 * On PREEMPT_RT they take locks that sleep, so that only a preemptible context
 * may call them; elsewhere every context but NMI may.
 *
 * Return: Whether they may be called here.
 */
bool kheap_mm_allowed(void)
{
	return !IS_ENABLED(CONFIG_PREEMPT_RT) || preemptible();
}

/* Is an address in kheap's code? Built into a kernel it has none of its own. */
static bool is_ours(unsigned long ip)
{
	return __is_defined(MODULE) && within_module_core(ip, THIS_MODULE);
}

/**
 * kheap_client_ip() - where in the client a request came from
 * @ip: a return address, in the client or in kheap
 *
 * Context: Any context.
 * Return: The innermost return address outside of kheap.
 */
unsigned long kheap_client_ip(unsigned long ip)
{
	unsigned long frames[KHEAP_FRAMES];
	unsigned int i, nr;

	if (likely(!is_ours(ip)))
		return ip;
	nr = stack_trace_save(frames, ARRAY_SIZE(frames), 1);
	for (i = 0; i < nr; i++)
		if (!is_ours(frames[i]))
			return frames[i];
	return ip;
}
