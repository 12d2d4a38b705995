// SPDX-License-Identifier: GPL-2.0
/*
 * What the KUnit suites see of the inside. Kernels without KUnit do not have
 * this file.
 */
#include <kunit/visibility.h>
#include <linux/export.h>

#include "base/trace.h"
#include "block/trace.h"
#include "gc/trace.h"
#include "main.h"
#include "object/trace.h"
#include "raw/trace.h"
#include "show/pinned.h"
#include "watch/callsite.h"
#include "watch/trace.h"

EXPORT_SYMBOL_IF_KUNIT(kheap_map);
EXPORT_SYMBOL_IF_KUNIT(kheap_cold_class);
EXPORT_SYMBOL_IF_KUNIT(kheap_list_lock);
EXPORT_SYMBOL_IF_KUNIT(kheap_list);
EXPORT_SYMBOL_IF_KUNIT(kheap_name_valid);
EXPORT_SYMBOL_IF_KUNIT(kheap_arena_next);
EXPORT_SYMBOL_IF_KUNIT(kheap_arenas_trim);
EXPORT_SYMBOL_IF_KUNIT(kheap_link_next);
EXPORT_SYMBOL_IF_KUNIT(kheap_pool_claim_unlisted);
EXPORT_SYMBOL_IF_KUNIT(kheap_pool_quarantine);
EXPORT_SYMBOL_IF_KUNIT(kheap_pool_set_parking);
EXPORT_SYMBOL_IF_KUNIT(kheap_pools_take);
EXPORT_SYMBOL_IF_KUNIT(kheap_class_free_to_pool);
EXPORT_SYMBOL_IF_KUNIT(kheap_rcu_flush);
EXPORT_SYMBOL_IF_KUNIT(kheap_rcu_room);
EXPORT_SYMBOL_IF_KUNIT(kheap_rcu_sweep);
EXPORT_SYMBOL_IF_KUNIT(kheap_class_get_stats);
EXPORT_SYMBOL_IF_KUNIT(kheap_class_drain);
EXPORT_SYMBOL_IF_KUNIT(kheap_class_drain_cpu);
EXPORT_SYMBOL_IF_KUNIT(kheap_class_nr_cached);
EXPORT_SYMBOL_IF_KUNIT(kheap_refusal_name);
EXPORT_SYMBOL_IF_KUNIT(kheap_refusal_limit);
EXPORT_SYMBOL_IF_KUNIT(kheap_leak_tracking);
EXPORT_SYMBOL_IF_KUNIT(kheap_pressure_count);
EXPORT_SYMBOL_IF_KUNIT(kheap_pressure_scan);
EXPORT_SYMBOL_IF_KUNIT(kheap_inject_start);
EXPORT_SYMBOL_IF_KUNIT(kheap_inject_stop);
EXPORT_SYMBOL_IF_KUNIT(kheap_careful_key);
EXPORT_SYMBOL_IF_KUNIT(kheap_walk_objects);
EXPORT_SYMBOL_IF_KUNIT(kheap_type_nr_live);
EXPORT_SYMBOL_IF_KUNIT(kheap_debug_note);
EXPORT_SYMBOL_IF_KUNIT(kheap_debug_set);
EXPORT_SYMBOL_IF_KUNIT(kheap_graph_fops);
EXPORT_SYMBOL_IF_KUNIT(kheap_watch_start);
EXPORT_SYMBOL_IF_KUNIT(kheap_watch_stop);
EXPORT_SYMBOL_IF_KUNIT(kheap_watch_all);
EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_alloc);
EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_free);
EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_large_alloc);
EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_large_free);
EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_heap_destroy);
EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_refuse);
EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_fail);
EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_arena_new);
EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_arena_release);
EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_refill);
EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_drain);
EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_object_get);
EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_object_new);
EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_object_put);
EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_object_release);
EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_gc_phase);
EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_gc_verdict);
EXPORT_TRACEPOINT_SYMBOL_GPL(kheap_gc_end);
EXPORT_SYMBOL_IF_KUNIT(kheap_callsites_start);
EXPORT_SYMBOL_IF_KUNIT(kheap_callsites_stop);
EXPORT_SYMBOL_IF_KUNIT(kheap_callsites_read_begin);
EXPORT_SYMBOL_IF_KUNIT(kheap_callsites_read_end);
EXPORT_SYMBOL_IF_KUNIT(kheap_callsites_get_stats);
EXPORT_SYMBOL_IF_KUNIT(kheap_callsites_copy);
EXPORT_SYMBOL_IF_KUNIT(kheap_callsites_find);
EXPORT_SYMBOL_IF_KUNIT(kheap_pinned_get);
