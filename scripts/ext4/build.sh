#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Build mbcache, jbd2 and ext4 of Linux 6.12, unchanged, as modules on kheap.
#
# usage: scripts/ext4/build.sh KERNEL [kheap|slub]
#
# KERNEL is 6.12 or ext4 (kunit/configs/ext4.config). The sources are copied
# from the kernel source package in the cache; Kbuild files of ours put
# kheap/slab_compat.h before each of them, which is all that makes them clients.
# With "slub" they do not, and the same sources use the kernel's own caches.
# Result: build/ext4/KERNEL-kheap or build/ext4/KERNEL-slub.

set -eu

repo=$(cd "$(dirname "$0")/../.." && pwd)
build=${KHEAP_BUILD:-$repo/build}
case $build in /*) ;; *) build=$repo/$build ;; esac

usage()
{
	sed -n '4,12s/^# \{0,1\}//p' "$0"
	exit "$1"
}

case ${1-} in
6.12 | ext4) kernel=$1 ;;
-h | --help) usage 0 ;;
*) usage 2 >&2 ;;
esac
case ${2-kheap} in
kheap | slub) side=${2-kheap} ;;
*) usage 2 >&2 ;;
esac
[ $# -le 2 ] || usage 2 >&2
dest=$build/ext4/$kernel-$side
headers=$("$repo/scripts/vm/kernels.py" "$kernel" --field headers)
source=$("$repo/scripts/vm/kernels.py" source)

mkdir -p "$dest/jbd2" "$dest/ext4" "$dest/mbcache"
rsync -rt --delete --include='*.[ch]' --exclude='*-test.c' --exclude='*.mod.c' \
	"$source/fs/jbd2/"*.[ch] "$dest/jbd2/"
rsync -t "$source/fs/ext4/"*.[ch] "$dest/ext4/"
rsync -t "$source/fs/mbcache.c" "$dest/mbcache/"
rm -f "$dest"/ext4/*-test.c
cp "$repo/scripts/ext4/Kbuild.mbcache" "$dest/mbcache/Kbuild"
cp "$repo/scripts/ext4/Kbuild.jbd2" "$dest/jbd2/Kbuild"
cp "$repo/scripts/ext4/Kbuild.ext4" "$dest/ext4/Kbuild"
# shellcheck disable=SC2016  # make's variable
echo 'obj-m := mbcache/ jbd2/ ext4/' >"$dest/Kbuild"

flags=() symbols=
if [ "$side" = kheap ]; then
	flags=("SLAB_COMPAT=-I$repo/module/include -include kheap/slab_compat.h")
	symbols=$build/$kernel/Module.symvers
fi
env -u MAKEFLAGS make -s -C "$headers" M="$dest" -j"$(nproc)" \
	--no-print-directory "${flags[@]}" KBUILD_EXTRA_SYMBOLS="$symbols" \
	modules 2> >(grep -v '^Skipping BTF generation' >&2)
echo "built $dest" >&2
