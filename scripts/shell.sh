#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A prompt in the virtual machine, with kheap.ko inserted.
#
# usage: scripts/shell.sh [KERNEL [OPTION-OF-RUN.PY...]]

set -eu
case ${1-} in
-h | --help)
	sed -n '4,6s/^# \{0,1\}//p' "$0"
	exit 0
	;;
esac
repo=$(cd "$(dirname "$0")/.." && pwd)
kernel=${1:-6.12}
[ $# -eq 0 ] || shift

"$repo/scripts/build.sh" "$kernel"
build=${KHEAP_BUILD:-$repo/build}
case $build in /*) ;; *) build=$repo/$build ;; esac
# shellcheck disable=SC2016  # expanded by the guest's shell
exec "$repo/scripts/vm/run.py" --kernel "$kernel" --timeout 0 --tty "$@" -- \
	bash -c 'insmod "$1/module/kheap.ko" &&
		echo "kheap is in; look at /sys/kernel/debug/kheap" &&
		echo "modules: $1; exit or Ctrl-] ends the machine"
		exec bash -i' shell "$build/$kernel"
