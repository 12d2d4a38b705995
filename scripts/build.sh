#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Build the modules for a kernel, outside the source tree.
#
# usage: scripts/build.sh [--w1] [--sparse] [--clean] KERNEL
#        scripts/build.sh [options] --kdir DIR
#
# KERNEL is a name that scripts/vm/run.py knows: 6.12, 6.1, 6.12-rt, 6.1-rt,
# newest, test, kcsan, kmsan, cover, or one of these for another architecture,
# 6.12-arm64.  The sources are mirrored to build/KERNEL and compiled there, with the
# compiler that the kernel was built with (of the newest one: in an unpacked
# Debian 13); the modules are build/KERNEL/module/kheap.ko and its neighbours.
# For stock kernels kbuild's extra warnings are on (W=1). What was said is kept in
# build/KERNEL/.said; after a warning the next build is from scratch, so that
# no file's warning is missing there.
#   --w1      with these warnings, for any kernel, in build/KERNEL-w1
#   --sparse  with sparse looking at every file, in build/KERNEL-sparse
#   --clean   from scratch
#   --kdir    against a kernel build tree or headers folder, in build/host
# Variables: KHEAP_BUILD (instead of build), V=1 (show the commands), O (a kernel's
# output folder, instead of DIR), LLVM (-N or a folder: which clang, for a kernel
# that was built with it). What kbuild would take from the environment otherwise,
# such as KBUILD_OUTPUT, is left out.

set -eu

repo=$(cd "$(dirname "$0")/.." && pwd)
kernel='' kdir='' suffix='' clean=''
flags=() within=()

die()
{
	echo "build.sh: $*" >&2
	exit 1
}

# An option of the kernel, as its headers have it.
kernel_config()
{
	sed -n "s/^$1=//p" "$kdir/include/config/auto.conf" | tr -d '"'
}

# A folder in which modules for a kernel can be built.
check_kernel()
{
	case $(readlink -f "$kdir") in
	*[[:space:]:]*) die "$kdir: a kernel can be built, and built for, only" \
		"in a folder without space and colon in its name: move it" ;;
	esac
	case ${ARCH-} in
	'' | x86 | x86_64 | um) ;;
	*) die "ARCH=$ARCH is set, but kheap is for x86_64: unset it" ;;
	esac
	[ -f "$kdir/Makefile" ] || die "no kernel headers in $kdir:" \
		"apt install linux-headers-$(uname -r), or set KDIR=DIR"
	[ -f "$kdir/include/config/auto.conf" ] ||
		die "$kdir is no kernel that was built: set KDIR, or O, to" \
		    "the folder with its .config, after make modules_prepare"
	[ "$(kernel_config CONFIG_X86_64)" = y ] ||
		die "$kdir is for another machine: kheap is for x86_64"
}

# The compiler that the kernel was built with; kbuild does not find it out.
choose_compiler()
{
	local version clang

	if [ "$(kernel_config CONFIG_CC_IS_CLANG)" != y ]; then
		[ -z "$llvm" ] || echo "build.sh: LLVM=$llvm is left out:" \
			"$kdir was built with gcc" >&2
		return 0
	fi
	version=$(kernel_config CONFIG_CLANG_VERSION)
	version=$((version / 10000))
	if [ -z "$llvm" ] || [ "$llvm" = 1 ]; then
		llvm=1
		! command -v "clang-$version" >/dev/null || llvm=-$version
	fi
	case $llvm in
	-*) clang=clang$llvm ;;
	*/) clang=${llvm}clang ;;
	*) clang=clang ;;
	esac
	[ "$("$clang" -dumpversion 2>/dev/null | cut -d. -f1)" = "$version" ] ||
		die "$kdir was built with clang $version, which $clang is not:" \
		    "apt install clang-$version lld-$version llvm-$version," \
		    "or set LLVM"
	flags+=("LLVM=$llvm")
}

# kbuild's paths are words of make and of shells: a build in another folder than
# one of plain letters goes by a link. It is another one each time, so that such a
# build is always a whole one.
enter_by_link()
{
	link=$(mktemp -d "${TMPDIR:-/tmp}/kheap-build.XXXXXX")
	trap 'rm -rf -- "$link"' EXIT
	ln -s "$dest" "$link/kheap"
	find "$dest" -name '*.o' -delete -o -name '*.cmd' -delete
	dest=$link/kheap
}

usage()
{
	sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
	exit "$1"
}

while [ $# -gt 0 ]; do
	case $1 in
	--w1) suffix=-w1; flags+=(W=1) ;;
	--sparse) suffix=-sparse; flags+=(C=2) ;;
	--clean) clean=1 ;;
	--kdir) kdir=${2-}; kernel=host; shift ;;
	-h | --help) usage 0 ;;
	-*) usage 2 >&2 ;;
	*) [ -z "$kernel" ] || usage 2 >&2; kernel=$1 ;;
	esac
	shift
done
[ -n "$kernel" ] || usage 2 >&2

# An outer make's variables and jobs are not ours. Nor is what somebody who builds
# kernels has in the environment: kbuild would put the modules elsewhere, or look
# there for a kernel.
output=${O-} llvm=${LLVM-}
unset MAKEFLAGS MFLAGS MAKELEVEL O LLVM CDPATH KBUILD_OUTPUT KBUILD_EXTMOD \
	KBUILD_EXTMOD_OUTPUT KBUILD_EXTRA_SYMBOLS
export LC_ALL=C

if [ "$kernel" = host ]; then
	[ -n "$kdir" ] || usage 2 >&2
	[ -z "$output" ] || kdir=$output
	check_kernel
	choose_compiler
else
	unset ARCH CROSS_COMPILE
	kernels=$repo/scripts/vm/kernels.py
	kdir=$("$kernels" "$kernel" --field headers)
	words=$("$kernels" "$kernel" --field make)
	read -ra flags_of_kernel <<<"$words"
	flags+=("${flags_of_kernel[@]}")
	root=$("$kernels" "$kernel" --field within)
	[ -z "$root" ] || within=("$repo/scripts/vm/inside.sh" "$root")
fi

case $kernel$suffix in
6.* | newest*) flags+=(W=1) ;;
esac

build=${KHEAP_BUILD:-$repo/build}
case $build in /*) ;; *) build=$repo/$build ;; esac
dest=$build/$kernel$suffix
stamp=$dest/.built
said=$dest/.said
mkdir -p "$build"
# Two that want the same build, and only one that makes it.
exec 9>"$build/.$kernel$suffix.lock"
flock 9
[ -z "$clean" ] || rm -rf "$dest"
mkdir -p "$dest"

# The mirror: sources only; what kbuild made there is left alone, what
# disappeared from the tree disappears from the mirror.
changes=$(rsync -rlt --delete --out-format=%n \
	--exclude='*.mod.c' --include='*/' --include='*.[chS]' \
	--include=Kbuild --include='*.inc' --exclude='*' \
	"$repo/module" "$repo/kunit" "$dest/"
	rsync -t --out-format=%n "$repo/Kbuild" "$dest/")

key="$(readlink -f "$kdir") ${flags[*]-}"
if [ -z "$(grep -v '/$' <<<"$changes" || true)" ] &&
   [ "$(cat "$stamp" 2>/dev/null)" = "$key" ]; then
	exit 0
fi

rm -f "$stamp"
[ "${V-}" = 1 ] && flags+=(V=1) || flags+=(-s)
# What the kernel of "make coverage" is there for.
[ "$kernel" != cover ] || flags+=(GCOV_PROFILE=y)
! grep -qi warning "$said" 2>/dev/null || find "$dest" -name '*.o' -delete
case $dest in
*[!A-Za-z0-9_./+,@-]*) enter_by_link ;;
esac
status=0
"${within[@]}" make -C "$kdir" M="$dest" -j"$(nproc)" --no-print-directory \
	"${flags[@]}" modules 2>"$said" || status=$?
grep -v '^Skipping BTF generation' "$said" >&2 || true
[ "$status" -eq 0 ] || die "the modules do not build for $kernel"
echo "$key" >"$stamp"
echo "built ${stamp%/*}" >&2
