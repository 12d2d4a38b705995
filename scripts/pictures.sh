#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make the pictures in Documentation/ again, each from a heap in a guest: the
# objects of kheap_graph, drawn by Graphviz, and kheap and kmalloc on the trace
# of "make demo", by kheap-plot.
#
# usage: scripts/pictures.sh     (after make demo, which has the trace)

set -eu
case ${1-} in
-h | --help)
	sed -n '4,8s/^# \{0,1\}//p' "$0"
	exit 0
	;;
esac
repo=$(cd "$(dirname "$0")/.." && pwd)
build=${KHEAP_BUILD:-$repo/build}
case $build in /*) ;; *) build=$repo/$build ;; esac
trace=$build/demo/python.trace
out=$build/pictures

in_guest()
{
	local modules=$1/module

	insmod "$modules/kheap.ko"
	insmod "$modules/samples/kheap_graph.ko" nr_hosts=3
	cat /sys/kernel/debug/kheap/graph/objects >"$out/objects.dot"
	rmmod kheap_graph
	insmod "$modules/samples/kheap_replay.ko"
	"$repo/scripts/tools/kheap-map" record --trace "$trace" -n 60 \
		-o "$out/series"
}

if [ "${1-}" = --in-guest ]; then
	in_guest "$2"
	exit
fi
command -v dot >/dev/null || {
	echo "pictures.sh: dot is missing: apt install graphviz" >&2
	exit 1
}
[ -s "$trace" ] || { echo "pictures.sh: run make demo once" >&2; exit 1; }
mkdir -p "$out"
"$repo/scripts/build.sh" 6.12
"$repo/scripts/vm/run.py" --kernel 6.12 -- "$0" --in-guest "$build/6.12"
dot -Tsvg "$out/objects.dot" -o "$repo/Documentation/objects.svg"
"$repo/scripts/tools/kheap-plot" "$out/series" \
	-o "$repo/Documentation/plot.svg"
ls -l "$repo"/Documentation/*.svg
