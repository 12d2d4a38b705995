# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Sourced in a guest whose kernel injects faults: has requests fail that could
# wait, which the kernel's defaults spare, without a stack trace each time, and
# every request of a task that asks for that (/proc/PID/make-it-fail). Nothing
# fails until somebody asks.

for attr in /sys/kernel/debug/failslab /sys/kernel/debug/fail_page_alloc; do
	[ -d "$attr" ] || continue
	echo Y >"$attr/task-filter"
	echo N >"$attr/ignore-gfp-wait"
	echo 0 >"$attr/verbose"
	echo 100 >"$attr/probability"
	echo -1 >"$attr/times"
done
[ ! -e "$attr/min-order" ] || echo 0 >"$attr/min-order"
