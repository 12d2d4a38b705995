// SPDX-License-Identifier: GPL-2.0
/*
 * Where the layers above put what they do for those below, see base.h.
 */
#include <linux/cache.h>
#include <linux/mutex.h>

#include "base/base.h"

const struct kheap_reporter *kheap_reporter __ro_after_init;
const struct kheap_watcher *kheap_watcher __ro_after_init;
const struct kheap_reliever *kheap_reliever __ro_after_init;

/* Who wants all heaps watched, before there is somebody to do it. */
static DEFINE_MUTEX(kheap_early_lock);
static unsigned int nr_early;

/**
 * kheap_watch_everything() - have all heaps watched, or no more
 * @on: whether; calls nest
 *
 * A tracepoint can be enabled while the module is inserted, before its own code
 * has run: that is made up for by kheap_set_watcher().
 *
 * Context: Process context. Sleeps for a grace period.
 */
void kheap_watch_everything(bool on)
{
	mutex_lock(&kheap_early_lock);
	if (kheap_watcher)
		kheap_watcher->all(on);
	else
		nr_early += on ? 1 : -1;
	mutex_unlock(&kheap_early_lock);
}

/* Set who watches. Once, when the module is inserted. */
void __init kheap_set_watcher(const struct kheap_watcher *watcher)
{
	mutex_lock(&kheap_early_lock);
	kheap_watcher = watcher;
	for (; nr_early; nr_early--)
		watcher->all(true);
	mutex_unlock(&kheap_early_lock);
}
