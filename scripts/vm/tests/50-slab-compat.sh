#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1
# timeout: 180
#
# A module that only knows slab caches is served from a heap of its own, which
# comes with its first cache and goes with its last; what it leaves behind is
# reported when it goes.

. "$(dirname "$0")/../guest.sh"

CLIENT=kheap_slab_client

load_module kheap
expect_log "module $CLIENT: no cache "
expect_log "live (objects|blocks)"

step "the heap has the module's name, its caches their own"
load_module $CLIENT
grep -q "^$CLIENT .*slab_client_init" "$KHEAP_DEBUGFS/heaps" ||
	fail "no heap of that name, or not made by the module: \
$(cat "$KHEAP_DEBUGFS/heaps")"
for name in parcel sealed_parcels shared line; do
	grep -q "^$name " "$(heap_file $CLIENT classes)" ||
		fail "no cache $name in debugfs"
done
echo 1 >"$(heap_file $CLIENT trim)"
assert_eq 1 "$(heap_stat $CLIENT nr_allocated)" "objects in use"
assert_eq 0 "$(heap_stat $CLIENT nr_refused)" "refused requests"
echo 1 >"$(heap_file $CLIENT check)"

step "what cannot be had is refused in words"
assert_log "module $CLIENT: no cache 'huge' of 100000 bytes: .* larger than six pages"
assert_log "module $CLIENT: no cache 'dma' of 64 bytes: .* zone for DMA"

step "kheap stays while the module does, the heap goes with it"
refute rmmod kheap 2>/dev/null
unload_module $CLIENT
refute test -e "$KHEAP_DEBUGFS/$CLIENT"

step "a cache that is left behind goes with the module, reported"
load_module $CLIENT leak=1
unload_module $CLIENT
refute test -e "$KHEAP_DEBUGFS/$CLIENT"
assert_log "heap '$CLIENT' destroyed with 1 live blocks"

unload_module kheap
