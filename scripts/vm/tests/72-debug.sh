#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1
# boot: --cpus 4 --one-thread
#
# The debug flags: the module's parameter observes every heap; the file of a
# heap shows them, takes letters before the first use, and refuses them after.

. "$(dirname "$0")/../guest.sh"

step "letters that mean nothing are refused"
expect_log 'kheap: not loaded: debug=ZX has a letter other than F, Z, P, U'
refute insmod "$(module_file kheap)" debug=ZX 2>/dev/null
assert_log "kheap: not loaded: debug=ZX has a letter other than F, Z, P, U"

step "without the parameter no heap is observed"
load_module kheap
load_module kheap_burst mib=2 still=1
debug=$(heap_file burst debug)
assert_eq - "$(cat "$debug")" "flags"

step "a heap that was used keeps its flags"
if (echo Z >"$debug") 2>/dev/null; then
	fail "the flags of a heap in use were changed"
fi
assert_eq - "$(cat "$debug")" "flags"
unload_module kheap_burst

step "an unused heap takes letters, and bad ones not"
load_module kheap_burst mib=0 still=1
debug=$(heap_file burst debug)
for text in X ZX "Z P" zp "$(printf '%0100d' 0)"; do
	if (echo "$text" >"$debug") 2>/dev/null; then
		fail "obeyed: $text"
	fi
done
assert_eq - "$(cat "$debug")" "flags"
for text in F Z P U T FZPU ZP; do
	echo "$text" >"$debug"
	assert_eq "$text" "$(cat "$debug")" "flags"
done
echo - >"$debug"
assert_eq - "$(cat "$debug")" "flags"
unload_module kheap_burst
unload_module kheap

step "the parameter is for all heaps, and a good client is not blamed"
load_module kheap debug=FZPU
load_module kheap_exercise ms=300
assert_eq FZPU "$(cat "$(heap_file exercise debug)")" "flags"
assert_eq FZPU "$(cat /sys/module/kheap/parameters/debug)" "parameter"
assert_eq 0 "$(heap_stat exercise nr_refused)" "refused"
echo 1 >"$(heap_file exercise check)"
unload_module kheap_exercise
load_module kheap_graph
unload_module kheap_graph
unload_module kheap

step "T logs each allocation and free, with who asked"
load_module kheap debug=T
load_module kheap_graph
unload_module kheap_graph
unload_module kheap
assert_log "kheap: heap '[a-z]+': alloc [0-9a-f]+, [0-9]+ bytes, by [a-z_]+\+.*\[kheap_graph\]"
assert_log "kheap: heap '[a-z]+': free [0-9a-f]+, [0-9]+ bytes, by "
