#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run a command with the programs of an unpacked root (scripts/vm/roots.py), on
# this machine's kernel, and with this repository, its build/ and the cache.
#
# usage: scripts/vm/inside.sh ROOT CMD [ARG...]
#
# The folders are mounted for the command alone, in a namespace of mounts, which
# any user may have: nothing is left behind, and nothing needs sudo.

set -eu

case ${1-} in
-h | --help | '')
	sed -n '4,10s/^# \{0,1\}//p' "$0"
	exit 0
	;;
esac
repo=$(cd "$(dirname "$0")/../.." && pwd)
root=$1
shift

if [ -z "${KHEAP_INSIDE-}" ]; then
	flags=(--mount)
	[ "$(id -u)" -eq 0 ] || flags+=(--map-root-user)
	KHEAP_INSIDE=1 exec unshare "${flags[@]}" "$0" "$root" "$@"
fi
unset KHEAP_INSIDE
build=${KHEAP_BUILD:-$repo/build}
case $build in /*) ;; *) build=$repo/$build ;; esac
mkdir -p "$build"
for folder in /dev /proc /sys /tmp "$repo" "$build" "${root%/roots/*}"; do
	mkdir -p "$root$folder"
	mount --rbind "$folder" "$root$folder"
done
where=$PWD
[ -d "$root$where" ] || where=/
exec chroot "$root" /usr/bin/env -C "$where" PATH=/usr/sbin:/usr/bin "$@"
