#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1 6.12-rt 6.1-rt test kcsan
# boot: --cpus 4 --one-thread
#
# The storm of 60-storm while events and call sites are switched on and off,
# which patches the code that everybody is running. The kernels with checkers
# get five times as long, or there would be one switch.

case $KHEAP_VM_KERNEL in
test | kcsan) export KHEAP_MS=${KHEAP_MS:-20000} ;;
esac
KHEAP_WATCH=1 exec bash "$(dirname "$0")/60-storm.sh"
