#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1 6.12-rt 6.1-rt
# boot: --cpus 4 --one-thread
#
# The tracepoints are there; a client's allocations and frees are told with the
# client's own call sites, of all heaps or one, and no more when switched off.

. "$(dirname "$0")/../guest.sh"

TRACING=/sys/kernel/tracing
EVENTS=$TRACING/events/kheap

events()
{
	grep -c " $1: " "$TRACING/trace" || true
}

step "every event is there"
load_module kheap
for event in alloc free free_rcu large_alloc large_free refuse fail refill \
	drain pool_state arena_new arena_release object_new object_get \
	object_put object_release weakref_clear gc_start gc_phase gc_verdict \
	gc_end heap_destroy; do
	assert test -e "$EVENTS/kheap_$event/enable"
done

# Has each kind of event come up that the client gives rise to?
all_seen()
{
	local event

	for event in alloc free free_rcu large_alloc refill drain pool_state \
		arena_new; do
		[ "$(events "kheap_$event")" -gt 0 ] || return
	done
}

step "a client is traced, with its own functions"
echo 16384 >"$TRACING/buffer_size_kb"
echo 1 >"$EVENTS/enable"
# It works for some time, and how much that is depends on the machine.
for ms in 50 100 200 400 800 1600 3200; do
	load_module kheap_exercise ms=$ms
	! all_seen || break
	unload_module kheap_exercise
done
echo 0 >"$EVENTS/enable"
assert all_seen
assert grep -q 'kheap_alloc: .* call_site=work_once.*\[kheap_exercise\]' \
	"$TRACING/trace"
assert grep -q 'kheap_free: .* call_site=work_once.*\[kheap_exercise\]' \
	"$TRACING/trace"
refute grep -q 'kheap_alloc: .* call_site=.*\[kheap\]$' "$TRACING/trace"
echo 1 >"$(heap_file exercise check)"

step "nothing is traced any more"
echo >"$TRACING/trace"
unload_module kheap_exercise
assert_eq 0 "$(events kheap_free)" "frees"

step "only the heap that was asked for"
echo 'heap == "nobody"' >"$EVENTS/kheap_alloc/filter"
echo 1 >"$EVENTS/kheap_alloc/enable"
load_module kheap_exercise ms=50
assert_eq 0 "$(events kheap_alloc)" "allocations"
unload_module kheap_exercise

step "kheap goes while events are enabled"
unload_module kheap
refute test -e "$EVENTS"
