#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1 6.12-rt test
# boot: --cpus 4 --one-thread
#
# Whatever is read in debugfs while four processors allocate, free, and change
# a graph that is being collected, is whole: sums, orders and counters hold in
# every reading of every file. Not with KCSAN: records of call sites have the time
# from the kernel's fast clock, which is read while it is written, by design.

. "$(dirname "$0")/../guest.sh"

untorn=$(dirname "$0")/../untorn.py
ms=${KHEAP_MS:-8000}

step "blocks: threads and interrupts on four processors"
load_module kheap callsites=3
assert "$untorn" exercise insmod "$(module_file kheap_exercise)" ms="$ms" \
	unbound=1
unload_module kheap_exercise

step "objects: four threads and the collector"
expect_log 'heap .torture. destroyed with'
assert "$untorn" torture insmod "$(module_file kheap_torture)" \
	ops="$((ms * 100))" live=300
unload_module kheap_torture
unload_module kheap
