#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1
#
# A module that only knows slab caches is served from heaps of its own, one for
# caches that are charged to memory cgroups, which come with its first cache and
# go with its last; what it leaves behind is reported when it goes.

. "$(dirname "$0")/../guest.sh"

CLIENT=kheap_slab_client

load_module kheap
expect_log "module $CLIENT: no cache "
expect_log "live (objects|blocks)"

# The heap $1 has the caches $3..., with $2 objects in use, and is sound.
look_at_heap()
{
	local heap=$1 nr=$2 name

	shift 2
	grep -q "^$heap .*slab_client_init" "$KHEAP_DEBUGFS/heaps" ||
		fail "no heap $heap, or not made by the module: \
$(cat "$KHEAP_DEBUGFS/heaps")"
	for name; do
		grep -q "^$name " "$(heap_file "$heap" classes)" ||
			fail "no cache $name in $heap"
	done
	echo 1 >"$(heap_file "$heap" trim)"
	assert_eq "$nr" "$(heap_stat "$heap" nr_allocated)" "objects in $heap"
	assert_eq 0 "$(heap_stat "$heap" nr_refused)" "refused requests"
	echo 1 >"$(heap_file "$heap" check)"
}

step "the heaps have the module's name, its caches their own"
load_module $CLIENT ledgers=3
look_at_heap $CLIENT 1 sealed_parcels shared line
look_at_heap $CLIENT.acct 3 parcel ledger

step "what cannot be had is refused in words"
assert_log "module $CLIENT: no cache 'huge' of 100000 bytes: .* larger than kheap has them"
assert_log "module $CLIENT: no cache 'dma' of 64 bytes: .* zone for DMA"

step "kheap stays while the module does, the heap goes with it"
refute rmmod kheap 2>/dev/null
unload_module $CLIENT
refute test -e "$KHEAP_DEBUGFS/$CLIENT"
refute test -e "$KHEAP_DEBUGFS/$CLIENT.acct"

step "a cache that is left behind goes with the module, reported"
load_module $CLIENT leak=1
unload_module $CLIENT
refute test -e "$KHEAP_DEBUGFS/$CLIENT"
assert_log "heap '$CLIENT' destroyed with 1 live blocks"

unload_module kheap

step "the same with every block guarded and its pool checked"
load_module kheap debug=FZPU
load_module $CLIENT ledgers=3
look_at_heap $CLIENT.acct 3 parcel ledger
unload_module $CLIENT
unload_module kheap
