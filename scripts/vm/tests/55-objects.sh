#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1
# boot: --cpus 2 --one-thread --mem 1G
#
# Objects under load; lists and trees of a million; what debugfs says of types,
# graph and collector, and what it takes.

. "$(dirname "$0")/../guest.sh"

gc_stat()
{
	awk -F': *' -v key="$1" '$1 == key { print $2 }' "$dir/gc"
}

# refused CMD...: the collector's file must not take that command
refused()
{
	if echo "$*" >"$dir/gc" 2>/dev/null; then
		fail "gc takes '$*'"
	fi
}

step "threads change a graph, a million objects go at once"
load_module kheap
load_module kheap_torture ops=20000 live=60 list=1000000 keep=1
assert_log 'kheap_torture: passed'
for context in process softirq hardirq; do
	assert_log "list of 1000000 dropped in $context context: 0 left"
	assert_log "tree of 1000000 dropped in $context context: 0 left"
done
dir=$KHEAP_DEBUGFS/torture

step "types: live is created less released"
assert grep -q '^# type size live bytes created released resurrected held$' \
	"$dir/types"
live=$(awk '!/^#/ { if ($3 != $5 - $6) exit 1; sum += $3 } END { print sum }' \
	"$dir/types") || fail "types does not add up: $(cat "$dir/types")"
[ "$live" -gt 0 ] || fail "nothing is live"

step "objects: the graph, complete and bounded"
dot=$KHEAP_TEST_TMP/objects.dot
cat "$dir/objects" >"$dot"
assert_eq 'digraph "torture" {' "$(head -n 1 "$dot")" "the first line"
assert_eq "// objects: $(grep -c '\[label=' "$dot") shown, 0 cut" \
	"$(grep '^// objects' "$dot")" "the note of what is shown"
assert_eq "// edges: $(grep -c -- '->' "$dot") shown, 0 cut" \
	"$(grep '^// edges' "$dot")" "the note of the edges"
assert_eq "$live" "$(grep -c '\[label=' "$dot")" "live objects"
assert grep -q 'from outside.*peripheries=2' "$dot"

step "gc: runs on demand"
runs=$(gc_stat nr_runs)
full=$(gc_stat nr_full_runs)
echo collect >"$dir/gc"
echo full >"$dir/gc"
assert_eq $((runs + 2)) "$(gc_stat nr_runs)" "nr_runs"
assert_eq $((full + 1)) "$(gc_stat nr_full_runs)" "nr_full_runs"
[ "$(gc_stat lock_max_ns)" -gt 0 ] || fail "lock_max_ns is 0"

step "gc: switches"
echo off >"$dir/gc"
assert_eq 0 "$(gc_stat enabled)" enabled
echo on >"$dir/gc"
assert_eq 1 "$(gc_stat enabled)" enabled
echo "threshold 77" >"$dir/gc"
assert_eq 77 "$(gc_stat threshold)" threshold
echo "threshold 0" >"$dir/gc"
assert_eq 10000 "$(gc_stat threshold)" threshold
echo freeze >"$dir/gc"
echo full >"$dir/gc"
visited=$(gc_stat nr_visited)
echo full >"$dir/gc"
assert_eq "$visited" "$(gc_stat nr_visited)" "objects looked at when frozen"
echo unfreeze >"$dir/gc"
echo full >"$dir/gc"
[ "$(gc_stat nr_visited)" -gt "$visited" ] || fail "nothing was unfrozen"

step "gc: what it does not know"
refused nonsense
refused threshold
refused threshold many
refused collect now
refused ""

step "gc: garbage that cannot be collected is listed with the reason"
load_module kheap_exercise ms=10 stuck=1
exercise=$KHEAP_DEBUGFS/exercise
echo full >"$exercise/gc"
hex='(0x)?[0-9a-f]+'
for line in "stubborn $hex no-clear" "forgetful $hex referenced-after-clear"; do
	grep -Exq "uncollectable: $line in run [0-9]+" "$exercise/gc" ||
		fail "no line '$line': $(cat "$exercise/gc")"
done
assert_eq 2 "$(awk -F': *' '$1 == "nr_uncollectable" { print $2 }' \
	"$exercise/gc")" "nr_uncollectable"
cat "$exercise/gc"
expect_log 'heap .exercise. destroyed with 2 live objects'
unload_module kheap_exercise

step "what is alive is released with the heap"
expect_log 'heap .torture. destroyed with'
unload_module kheap_torture
unload_module kheap
