// SPDX-License-Identifier: GPL-2.0
/*
 * The file of the slab client that has a cache whose memory is charged, with
 * objects on a list by memory cgroup, as inodes are.
 */
#include <linux/list_lru.h>
#include <linux/slab.h>
#include <linux/version.h>

#include "slab_client.h"

struct ledger {
	struct list_head lru;
	char entries[1008];
};

static struct kmem_cache *ledgers;
static struct list_lru lru;

/* What looks for an object's group has a name of its own since v6.8. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#define list_lru_add_obj(lru, item)	list_lru_add(lru, item)
#endif

static int add_ledger(void)
{
	struct ledger *ledger = kmem_cache_alloc_lru(ledgers, &lru, GFP_KERNEL);

	if (!ledger)
		return -ENOMEM;
	INIT_LIST_HEAD(&ledger->lru);
	list_lru_add_obj(&lru, &ledger->lru);
	return 0;
}

/* The lock is no longer the walker's since 6.13. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
static enum lru_status take_off(struct list_head *item,
				struct list_lru_one *list, void *taken)
#else
static enum lru_status take_off(struct list_head *item,
				struct list_lru_one *list, spinlock_t *lock,
				void *taken)
#endif
{
	list_lru_isolate_move(list, item, taken);
	return LRU_REMOVED;
}

/* Return how many ledgers no group was charged for. */
unsigned long slab_client_nr_uncharged(void)
{
	unsigned long nr = 0;
	int nid;

	for_each_online_node(nid)
		nr += list_lru_count_one(&lru, nid, NULL);
	return nr;
}

void slab_client_end_ledgers(void)
{
	struct ledger *ledger, *next;
	LIST_HEAD(taken);

	if (!ledgers)
		return;
	list_lru_walk(&lru, take_off, &taken, ULONG_MAX);
	list_for_each_entry_safe(ledger, next, &taken, lru)
		kmem_cache_free(ledgers, ledger);
	list_lru_destroy(&lru);
	kmem_cache_destroy(ledgers);
	ledgers = NULL;
}

/* Make @nr ledgers, which stay; return 0 or -ENOMEM. */
int slab_client_make_ledgers(unsigned int nr)
{
	int err = list_lru_init_memcg(&lru, NULL);

	if (err)
		return err;
	ledgers = KMEM_CACHE(ledger, SLAB_ACCOUNT);
	if (!ledgers) {
		list_lru_destroy(&lru);
		return -ENOMEM;
	}
	while (!err && nr--)
		err = add_ledger();
	return err;
}
