#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run the benchmark in the guest; scripts/bench.py reads what it prints.
#
# usage: guest.sh NR_SAMPLES [FIGURE...]      default: every figure, but for those
# of scripts/bench/two_cpus.py

. "$(dirname "$0")/../vm/guest.sh"

samples=$1
shift
load_module kheap
load_module kheap_bench "nr_samples=$samples"
dir=/sys/kernel/debug/kheap_bench
[ $# -gt 0 ] || mapfile -t all < <(grep -v _2cpu "$dir/list"; echo density_trace)
# A program's requests, recorded here, replayed into a heap and into kmalloc.
density_trace()
{
	local at=/sys/kernel/debug/kheap_replay/result here tools
	local trace=$KHEAP_TEST_TMP/trace

	here=$(dirname "$0")
	tools=$here/../trace
	load_module kheap_replay
	"$tools/record" -q -o "$trace" --time -- env PYTHONMALLOC=malloc \
		/usr/bin/python3 -s -P "$tools/workload.py" >/dev/null
	"$tools/replay" "$trace" >/dev/null
	awk -F': ' '
		{ value[$1] = $2 }
		END {
			split("kheap kmalloc", rival, " ")
			split("kheap slub", side, " ")
			for (i = 1; i <= 2; i++) {
				held = value[rival[i] "_peak_held_bytes"]
				print "result density_trace", side[i],
				      "byte/byte 0",
				      value[rival[i] "_peak_requested_bytes"],
				      held, held, held
			}
		}' $at
	unload_module kheap_replay
}

for name in "${all[@]:-$@}"; do
	echo "begin $name"
	if [ "$name" = density_trace ]; then
		[ "$(nproc)" -lt 2 ] || density_trace
		continue
	fi
	echo "$name" >"$dir/run" || fail "no figure $name"
	sed 's/^/result /' "$dir/result"
done
unload_module kheap_bench
unload_module kheap
