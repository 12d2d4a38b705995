#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run in the guest by scripts/kunit.py: inserting kheap_kunit.ko runs the
# suites. Then kmemleak looks: twice, because an object counts as leaked when
# two scans find it unreachable and unchanged, and once more when the modules
# are gone, for what only they still pointed to. It ignores objects younger
# than 5 s.

set -u
dir=$1
leaks=/sys/kernel/debug/kmemleak

say()
{
	echo "kheap-kunit: $*" >/dev/kmsg
}

look()
{
	local start=$SECONDS

	[ -e "$leaks" ] || return 0
	echo scan >"$leaks"
	while [ $((SECONDS - start)) -lt "$1" ]; do
		sleep 0.2
	done
	echo scan >"$leaks"
	cat "$leaks"
}

# What booting left behind is not our business.
[ -e "$leaks" ] && echo clear >"$leaks"
say "inserting the modules"
insmod "$dir/module/kheap.ko" || exit 1
insmod "$dir/kunit/kheap_kunit.ko" || exit 1
say "scanning for leaks"
look 6
say "removing the modules"
rmmod kheap_kunit || exit 1
rmmod kheap || exit 1
look 0
say "done"
