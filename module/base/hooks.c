// SPDX-License-Identifier: GPL-2.0
/*
 * Where the layers above put what they do for those below, see base.h.
 */
#include <linux/cache.h>

#include "base/base.h"

const struct kheap_reporter *kheap_reporter __ro_after_init;
const struct kheap_watcher *kheap_watcher __ro_after_init;
const struct kheap_reliever *kheap_reliever __ro_after_init;
