#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ext4, jbd2 and mbcache of Linux 6.12, unchanged, with their caches on kheap:
# built, used hard, checked; then what the same work costs on kheap and on SLUB.
#
# usage: scripts/ext4/check.sh [6.12|ext4|measure]...   (default: all three)
#
#   6.12     on Debian's stock kernel
#   ext4     on the kernel of kunit/configs/ext4.config, with KASAN and lockdep
#   measure  on stock 6.12 with the clock counting instructions: both sides
#
# The last line is "N passed, N failed"; the measurement is in
# build/ext4/measure.txt.

set -u

cd "$(dirname "$0")/../.." || exit 1
build=${KHEAP_BUILD:-$PWD/build}
case $build in /*) ;; *) build=$PWD/$build ;; esac
out=$build/ext4
passed=0 failed=0

verdict()
{
	if [ "$1" -eq 0 ]; then
		echo "ok $2"
		passed=$((passed + 1))
	else
		echo "not ok $2 (status $1)"
		failed=$((failed + 1))
	fi
}

usage()
{
	sed -n '4,15s/^# \{0,1\}//p' "$0"
	exit "$1"
}

# The tree to unpack, made once, and whole; and the program.
prepare()
{
	local source

	mkdir -p "$out"
	source=$(scripts/vm/kernels.py source) || return
	if [ ! -s "$out/tree.tar" ]; then
		tar -C "$source" -cf "$out/tree.tar.new" include kernel mm &&
			mv "$out/tree.tar.new" "$out/tree.tar" || return
	fi
	gcc -O2 -Wall -o "$out/fsx" scripts/ext4/fsx.c
}

# A run in the guest: kernel, side, mode, options of run.py.
guest()
{
	local kernel=$1 side=$2 mode=$3

	shift 3
	scripts/vm/run.py --kernel "$kernel" "$@" \
		--append "slab_nomerge brd.rd_nr=1 brd.rd_size=409600" \
		--env KHEAP_MODULES="$build/$kernel" \
		--env EXT4="$out/$kernel-$side" --env TREE="$out/tree.tar" \
		--env FSX="$out/fsx" -- \
		bash "$PWD/scripts/ext4/guest.sh" "$side" "$mode"
}

use()
{
	local kernel=$1

	scripts/build.sh "$kernel" && scripts/ext4/build.sh "$kernel" &&
		guest "$kernel" kheap full --timeout 3000 --cpus 4 --mem 3072
	verdict $? "ext4 on kheap, kernel $kernel"
}

# Two columns and their ratio, stage by stage.
table()
{
	awk '
	FNR == 1 { side++ }
	$1 == "cost" || $1 == "held" || $1 == "later" {
		key = $1 " " $2
		if (side == 1)
			order[++n] = key
		value[side, key] = $3
		sum[side, $1] += $3
	}
	function row(name, a, b) {
		printf "%-14s %14.0f %14.0f %7.3f\n", name, a, b, b ? a / b : 0
	}
	END {
		printf "%-14s %14s %14s %7s\n", "", "kheap", "SLUB", "ratio"
		for (i = 1; i <= n; i++)
			row(order[i], value[1, order[i]], value[2, order[i]])
		row("cost in all", sum[1, "cost"], sum[2, "cost"])
		exit !(n && sum[2, "cost"] && sum[2, "held"])
	}' "$@"
}

measure()
{
	local side

	scripts/build.sh 6.12 || { verdict 1 "measure"; return; }
	for side in kheap slub; do
		scripts/ext4/build.sh 6.12 "$side" &&
			guest 6.12 "$side" measure --icount --timeout 3000 \
				>"$out/measure-$side.txt"
		verdict $? "the same work on $side"
	done
	echo "instructions of all tasks; bytes held from the system:"
	table "$out/measure-kheap.txt" "$out/measure-slub.txt" |
		tee "$out/measure.txt"
	verdict "${PIPESTATUS[0]}" "the ratios"
}

[ $# -gt 0 ] || set -- 6.12 ext4 measure
for what in "$@"; do
	case $what in
	6.12 | ext4 | measure) ;;
	-h | --help) usage 0 ;;
	*) usage 2 >&2 ;;
	esac
done
prepare || exit 1
for what in "$@"; do
	case $what in
	measure) measure ;;
	*) use "$what" ;;
	esac
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
