#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run in the guest by scripts/kunit.py: inserting kheap_kunit.ko runs the
# suites. When the modules are gone again kmemleak looks for what they left:
# twice, because an object counts as leaked when two scans find it
# unreachable and unchanged, and not before it is 5 s old. A scan takes
# seconds. The modules' symbols follow a report, for kunit.py to put names
# into its stack traces.
#
# usage: kunit-guest.sh DIR [PARAMETER=VALUE...]

set -u
dir=$1
shift
leaks=/sys/kernel/debug/kmemleak

say()
{
	echo "kheap-kunit: $*" >/dev/kmsg
}

# What leaked is older than $1, microseconds of the clock.
look()
{
	[ -e "$leaks" ] || return 0
	echo scan >"$leaks"
	while [ $((${EPOCHREALTIME/./} - $1)) -lt 5100000 ]; do
		sleep 0.1
	done
	echo scan >"$leaks"
	found=$(cat "$leaks")
	[ -n "$found" ] || return 0
	printf '%s\n' "$found" "$symbols"
}

# Suites may have requests fail, if the kernel can do that.
faults=
if [ -d /sys/kernel/debug/failslab ]; then
	. "$(dirname "$0")/faults.sh"
	faults=failslab=1
fi

# What booting left behind is not our business.
[ -e "$leaks" ] && echo clear >"$leaks"
say "inserting the modules"
insmod "$dir/module/kheap.ko" || exit 1
insmod "$dir/kunit/kheap_kunit.ko" ${faults:+"$faults"} "$@" || exit 1
symbols=$(grep '\[kheap' /proc/kallsyms | sed 's/^/symbol /')
say "removing the modules"
end=${EPOCHREALTIME/./}
rmmod kheap_kunit || exit 1
rmmod kheap || exit 1
say "scanning for leaks"
look "$end"
say "done"
