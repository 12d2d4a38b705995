#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1 6.12-rt 6.1-rt
#
# The module goes in and out, twice, and leaves nothing behind.

. "$(dirname "$0")/../guest.sh"

for round in 1 2; do
	step "insert (round $round)"
	load_module kheap
	assert test -d /sys/module/kheap
	assert test -r "$KHEAP_DEBUGFS/heaps"
	step "read heaps"
	assert cat "$KHEAP_DEBUGFS/heaps"
	step "remove (round $round)"
	unload_module kheap
	refute test -e /sys/module/kheap
	refute test -e "$KHEAP_DEBUGFS"
done
