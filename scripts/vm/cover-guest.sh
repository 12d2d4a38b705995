#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run in the guest by scripts/coverage.py, in the kernel that counts lines:
# the suites, the torture, the samples, every file of debugfs, events and debug
# flags, allocations of the kernel refused one at a time, and the integration
# tests that need no more than this. Closes with an archive of what was counted,
# in base64.
#
# usage: cover-guest.sh DIR PART OPS (DIR: the modules; OPS: of the torture)

set -u
here=$(dirname "$0")
dir=$1
part=$2
ops=$3
debug=/sys/kernel/debug
failed=0

step()
{
	echo "cover: $*"
	"$@" || { echo "cover: FAILED: $*"; failed=1; }
}

# Every file of a heap read, and written to: what it takes and what it does not.
use_debugfs()
{
	local file word

	for file in "$debug"/kheap/*/{trim,check}; do
		echo 1 >"$file"
		echo 0 >"$file"
		echo 2 >"$file"
	done
	for file in "$debug"/kheap/*/gc; do
		for word in collect full off on 'threshold 100' freeze unfreeze \
			'threshold x' nonsense; do
			echo "$word" >"$file"
		done
	done
	for file in "$debug"/kheap/*/callsites; do
		for word in on reset 'on 3' off 'on 0' nonsense; do
			echo "$word" >"$file"
			cat "$file" "${file}_state"
		done
	done
	for file in "$debug"/kheap/*/inject; do
		for word in nth=100000000 'permille=1 seed=3' 'min=8 max=16' \
			off nth 'nth=x' 'min=5 max=4' nonsense; do
			echo "$word" >"$file"
			cat "$file"
		done
		echo off >"$file"
	done
	for file in "$debug"/kheap/*/debug; do
		echo FZPUT >"$file"
		echo X >"$file"
	done
	for file in "$debug"/kheap/*/{gc,callsites,inject,debug,trim,check}; do
		printf '%0500d' 0 >"$file"
	done
	for file in "$debug"/kheap/heaps "$debug"/kheap/*/*; do
		cat "$file"
	done
	return 0
} >/dev/null 2>&1

# with_processor_gone CMD: while the last one is off, and comes back
with_processor_gone()
{
	local cpu=/sys/devices/system/cpu/cpu3/online

	echo 0 >"$cpu" && "$@" && echo 1 >"$cpu"
}

# Every file again, with allocations refused; and writes of nobody's memory.
provoke_debugfs()
{
	insmod "$dir/module/samples/kheap_graph.ko" &&
		for word in collect full freeze unfreeze; do
			"$here/provoke.py" write $word \
				"$debug"/kheap/*/gc || return
		done &&
		"$here/provoke.py" write on "$debug"/kheap/*/callsites &&
		"$here/provoke.py" write nth=100000000 \
			"$debug"/kheap/*/inject &&
		find "$debug/kheap" -type f -perm -400 -exec \
			"$here/provoke.py" read {} + &&
		"$here/provoke.py" wild \
			"$debug"/kheap/*/{gc,callsites,inject,debug} &&
		rmmod kheap_graph
}

provoke_insertion()
{
	echo Y >"$debug/fail_page_alloc/ignore-gfp-wait"
	"$here/provoke.py" insmod "$dir/module/kheap.ko"
}

# The kernel asks for memory back while a client has some to give.
shrink()
{
	insmod "$dir/module/samples/kheap_burst.ko" mib=8 still=1 &&
		rmmod kheap_burst &&
		insmod "$dir/module/samples/kheap_burst.ko" mib=8 || return
	for ((i = 0; i < 20; i++)); do
		echo 2 >/proc/sys/vm/drop_caches
		sleep 0.1
	done
	rmmod kheap_burst
}

# A pool with a damaged list is out of use, and its arena's map says so.
quarantine()
{
	insmod "$dir/kunit/kheap_faulty.ko" fault=link &&
		grep -q '!' "$debug/kheap/faulty/arenas" &&
		grep -q '^nr_pools_quarantined: 1$' \
			"$debug/kheap/faulty/stats" &&
		rmmod kheap_faulty
}

suites()
{
	. "$here/faults.sh"
	insmod "$dir/kunit/kheap_kunit.ko" failslab=1 && rmmod kheap_kunit
	! dmesg | grep -B12 -E '^\[[ 0-9.]*\] +not ok '
}

torture()
{
	insmod "$dir/module/torture/kheap_torture.ko" ops="$ops" &&
		rmmod kheap_torture
}

# sample NAME [PARAMETER...]: a client comes, its files are used, it goes
sample()
{
	insmod "$dir/module/samples/kheap_$1.ko" "${@:2}" && use_debugfs &&
		rmmod "kheap_$1"
}

events()
{
	echo "$1" >/sys/kernel/tracing/events/kheap/enable
}

# observed LETTERS CMD...: with every heap's blocks under observation
observed()
{
	insmod "$dir/module/kheap.ko" debug="$1" && "${@:2}" && rmmod kheap
}

clients()
{
	step torture
	step sample exercise nr_leak=5
	step with_processor_gone sample exercise ms=100 unbound=1
	step sample exercise ms=50 stuck=1
	step sample graph
	step sample burst mib=4
	step sample slab_client ledgers=100
	step sample slab_client leak=1
	step sample workload
	step events 1
	step sample exercise ms=200
	step sample workload
	step events 0
	step rmmod kheap
	step observed FZPU sample exercise ms=200
	step observed FZPUT sample graph
	! insmod "$dir/module/kheap.ko" debug=X 2>/dev/null ||
		step false "a bad parameter was taken"
	. "$here/faults.sh"
	step provoke_insertion
	. "$here/faults.sh"
	step provoke_debugfs
	step shrink
	step quarantine
}

nodes()
{
	step suites
	step sample exercise
	step sample burst mib=4 large=100000
}

# The integration tests with these numbers.
tests()
{
	local number file

	step rmmod kheap
	for number; do
		for file in "$here/tests/$number"*.sh; do
			step env KHEAP_MODULES="$dir" bash "$file"
		done
	done
	step insmod "$dir/module/kheap.ko"
}

integration()
{
	tests 50-slab 55 60-cgroup 70-inject 72 75 77
}

step insmod "$dir/module/kheap.ko"
step "$part"
step rmmod kheap
echo "cover: $failed failed"

cd "$debug/gcov" || exit 1
mkdir /tmp/gcov
find . -name '*.gcda' | while read -r file; do
	mkdir -p "/tmp/gcov/$(dirname "$file")"
	cat "$file" >"/tmp/gcov/$file"
done
echo "cover: archive"
tar -C /tmp/gcov -czf - . | base64
