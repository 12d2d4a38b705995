#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Show that Linux says "Dying CPU not properly vacated" without kheap.
#
# usage: scripts/vm/dying/run.sh [KERNEL]
#
# Takes a processor of a guest out of use five times, while stall.c has another
# one busy for three seconds. Status 0: the warning was seen, and no task but the
# scheduler's own stopper was there. Documentation/testing.rst has the reason.

set -eu

kernel=${1:-6.12}
here=$(cd "$(dirname "$0")" && pwd)
vm=$here/..
build=${KHEAP_BUILD:-$vm/../../build}/dying-$kernel

mkdir -p "$build"
build=$(cd "$build" && pwd)
cp "$here/stall.c" "$build"
echo 'obj-m := stall.o' >"$build/Makefile"
make -C "$("$vm/kernels.py" "$kernel" --field headers)" M="$build" modules \
	>"$build/log" 2>&1 || {
	cat "$build/log" >&2
	exit 1
}
# shellcheck disable=SC2016 # the guest's variables
"$vm/run.py" --kernel "$kernel" --cpus 4 --mem 512M -- bash -c '
insmod "$0"
taskset -p 1 $$ >/dev/null
for i in 1 2 3 4 5; do
	echo 0 >/sys/devices/system/cpu/cpu3/online
	echo 1 >/sys/devices/system/cpu/cpu3/online
done
dmesg | grep -E "vacated|enqueued tasks|pid: [0-9]*, name: "' \
	"$build/stall.ko" | tee "$build/said"
grep -q 'enqueued tasks' "$build/said"
! grep 'name: ' "$build/said" | grep -v 'name: migration/'
