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

scan()
{
	[ -e "$leaks" ] || return 0
	echo scan >"$leaks"
	echo scan >"$leaks"
	cat "$leaks"
}

# What booting left behind is not our business.
[ -e "$leaks" ] && echo clear >"$leaks"
say "inserting the modules"
insmod "$dir/module/kheap.ko" || exit 1
insmod "$dir/kunit/kheap_kunit.ko" || exit 1
say "scanning for leaks"
sleep 5.5
scan
say "removing the modules"
rmmod kheap_kunit || exit 1
rmmod kheap || exit 1
scan
say "done"
