#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run in the guest by scripts/coverage.py, in the kernel that counts lines:
# the suites, the torture, the samples and every file of debugfs. Closes with
# an archive of what was counted, in base64.
#
# usage: cover-guest.sh DIR OPS      (DIR: the modules; OPS: of the torture)

set -u
dir=$1
ops=$2
debug=/sys/kernel/debug
failed=0

step()
{
	echo "cover: $*"
	"$@" || { echo "cover: FAILED: $*"; failed=1; }
}

# Every file of a heap, and those that can be written.
use_debugfs()
{
	local file

	for file in "$debug"/kheap/heaps "$debug"/kheap/*/*; do
		cat "$file" >/dev/null 2>&1
	done
	for file in "$debug"/kheap/*/{trim,check}; do
		echo 1 >"$file"
	done
	for file in "$debug"/kheap/*/gc; do
		printf '%s\n' collect full off on 'threshold 100' >"$file"
	done 2>/dev/null
	return 0
}

suites()
{
	echo N >"$debug/failslab/ignore-gfp-wait"
	echo 0 >"$debug/failslab/verbose"
	insmod "$dir/kunit/kheap_kunit.ko" failslab=1 && rmmod kheap_kunit
	! dmesg | grep -E '^\[[ 0-9.]*\] +not ok '
}

torture()
{
	insmod "$dir/module/torture/kheap_torture.ko" ops="$ops" &&
		rmmod kheap_torture
}

exercise()
{
	insmod "$dir/module/samples/kheap_exercise.ko" && use_debugfs &&
		rmmod kheap_exercise
}

step insmod "$dir/module/kheap.ko"
step suites
step torture
step exercise
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
