#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1 6.12-rt 6.1-rt
# boot: --cpus 4 --nodes 2
#
# Two memory nodes: what a CPU allocates is of its node, blocks that are freed
# elsewhere go home, a node can be asked for, and one without memory is helped
# by the other.

. "$(dirname "$0")/../guest.sh"

step "the guest has two nodes with memory and processors"
assert_eq 0-1 "$(cat /sys/devices/system/node/has_normal_memory)" "memory"
assert_eq 0-1 "$(cat /sys/devices/system/node/has_cpu)" "processors"

step "a client exercises both"
load_module kheap
load_module kheap_exercise ms=1000
assert_log "2 pairs of nodes"

step "arenas of both nodes are shown"
assert_eq "0 1" "$(awk '!/^#/ { print $2 }' "$(heap_file exercise arenas)" |
	sort -u | xargs)" "nodes"
echo 1 >"$(heap_file exercise check)"
echo 1 >"$(heap_file exercise trim)"
assert_eq 100 "$(heap_stat exercise nr_allocated)" "blocks held"
unload_module kheap_exercise
unload_module kheap
