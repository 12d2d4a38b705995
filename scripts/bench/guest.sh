#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run the benchmark in the guest; scripts/bench.py reads what it prints.
#
# usage: guest.sh NR_SAMPLES [FIGURE...]      default: every figure

. "$(dirname "$0")/../vm/guest.sh"

samples=$1
shift
load_module kheap
load_module kheap_bench "nr_samples=$samples"
dir=/sys/kernel/debug/kheap_bench
[ $# -gt 0 ] || mapfile -t all <"$dir/list"
for name in "${all[@]:-$@}"; do
	echo "begin $name"
	echo "$name" >"$dir/run" || fail "no figure $name"
	sed 's/^/result /' "$dir/result"
done
unload_module kheap_bench
unload_module kheap
