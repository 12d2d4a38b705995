// SPDX-License-Identifier: GPL-2.0
/*
 * Keeps a processor busy, with interrupts off, while another one is taken out of
 * use, so that the one that goes waits for it: what a busy host does to a virtual
 * machine by chance. Uses nothing of kheap. See run.sh.
 */
#include <linux/cpuhotplug.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/smp.h>

#define STALL_MS	3000

static int state;

static void stall(void *unused)
{
	mdelay(STALL_MS);
}

static int going(unsigned int cpu)
{
	return smp_call_function_single(cpu == 1 ? 0 : 1, stall, NULL, 0);
}

static int __init stall_init(void)
{
	state = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN, "stall", NULL,
					  going);
	return state < 0 ? state : 0;
}

static void __exit stall_exit(void)
{
	cpuhp_remove_state_nocalls(state);
}

module_init(stall_init);
module_exit(stall_exit);

MODULE_DESCRIPTION("Stalls a processor while another one goes");
MODULE_LICENSE("GPL");
