#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What it costs to watch a heap: figures of the benchmark while it is off, while
# call sites are recorded, sampled and all, and while allocations are traced.
# In the guest, where 1 ns is 1 instruction:
#
#	scripts/vm/run.py --kernel 6.12 --icount -- scripts/bench/watched.sh
#
# usage: watched.sh [FIGURE...]      default: hot_pair_64 kmalloc_pair_64

cd "$(dirname "$0")/../.." || exit
. scripts/vm/guest.sh

[ $# -gt 0 ] || set -- hot_pair_64 kmalloc_pair_64
load_module kheap
load_module kheap_bench
events=/sys/kernel/tracing/events/kheap
parameter=/sys/module/kheap/parameters/callsites

# The figures as they are now; $1 says what is on.
measure()
{
	local what=$1 name

	shift
	for name in "$@"; do
		echo "$name" >/sys/kernel/debug/kheap_bench/run ||
			fail "no figure $name"
		grep ' kheap' /sys/kernel/debug/kheap_bench/result |
			sed "s/^/$what: /"
	done
}

measure off "$@"
echo 100 >"$parameter"
measure "call sites, one in 100" "$@"
echo 1 >"$parameter"
measure "call sites, all" "$@"
echo 0 >"$parameter"
echo 1 >"$events/kheap_alloc/enable"
echo 1 >"$events/kheap_free/enable"
measure "alloc and free traced" "$@"
echo 0 >"$events/enable"
measure "off again" "$@"
unload_module kheap_bench
unload_module kheap
