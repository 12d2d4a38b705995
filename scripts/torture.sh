#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Torture the objects and the collector in a VM: threads change a random
# graph while the collector runs without pause.
#
# usage: scripts/torture.sh [KERNEL [PARAMETER=VALUE...]]
#
# KERNEL is a name that scripts/vm/run.py knows (default: test, the kernel
# with KASAN and lockdep; kmemleak is off, the KUnit suites have it). The
# parameters are those of module/torture/torture_main.c, ops=N among them.
# What the module says appears as it comes. The last line is
# "N passed, N failed".

set -u
case ${1-} in
-h | --help)
	sed -n '4,13s/^# \{0,1\}//p' "$0"
	exit 0
	;;
esac
cd "$(dirname "$0")/.." || exit 1
build=${KHEAP_BUILD:-build}
kernel=${1:-test}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- ops=5000000
seconds=${KHEAP_TORTURE_TIMEOUT:-1800}

say()
{
	printf '%s\n' "$*"
}

scripts/build.sh "$kernel" >&2 || { say "0 passed, 1 failed"; exit 1; }
# shellcheck disable=SC2016 # for the guest
out=$(scripts/vm/run.py --kernel "$kernel" --cpus 4 --timeout "$seconds" \
	--append "kmemleak=off watchdog_thresh=60" -- bash -c '
	dir=$1; shift
	dmesg -w &
	insmod "$dir/kheap.ko" &&
	insmod "$dir/torture/kheap_torture.ko" "$@" &&
	rmmod kheap_torture && rmmod kheap && echo inserted-and-removed
	sleep 1; kill $!' - "$build/$kernel/module" "$@" |
	tee >(grep --line-buffered -o "kheap_torture: .*" >&2))
reports=$(grep -E 'BUG:|WARNING:|Oops|KASAN:|KCSAN:|KMSAN:|possible .* locking|inconsistent lock|Invalid wait context|suspicious RCU|rcu:.*(stall|detected)|soft lockup|refused: ' <<<"$out")
if grep -q inserted-and-removed <<<"$out" &&
   grep -q 'kheap_torture: passed' <<<"$out" && [ -z "$reports" ]; then
	say "ok torture $kernel $*"
	say "1 passed, 0 failed"
	exit 0
fi
say "$reports" | head -20
tail -n 40 <<<"$out"
say "not ok torture $kernel $*"
say "0 passed, 1 failed"
exit 1
