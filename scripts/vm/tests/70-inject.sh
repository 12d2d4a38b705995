#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1
# boot: --cpus 4 --one-thread
#
# Allocations of one heap fail on demand, as many as the file says and no more;
# bad commands are refused.

. "$(dirname "$0")/../guest.sh"

load_module kheap
load_module kheap_burst mib=2
inject=$(heap_file burst inject)

value()
{
	awk -F': ' -v key="$1" '$1 == key { print $2 }' "$inject"
}

# Until the client has asked for more.
wait_for()
{
	local i

	for ((i = 0; i < 600; i++)); do
		[ "$(value "$1")" -lt "$2" ] || return 0
		sleep 0.1
	done
	fail "$1 stays at $(value "$1")"
}

step "nothing fails unasked"
assert_eq 0 "$(value on)" on
assert_eq 0 "$(heap_stat burst nr_failed)" nr_failed

step "the n-th fails, once"
echo nth=1000 >"$inject"
wait_for nr_seen 2000
assert_eq 1 "$(value nr_failed)" nr_failed

step "a share of them fails"
echo permille=100 seed=6 >"$inject"
wait_for nr_seen 5000
echo off >"$inject"
seen=$(value nr_seen) failed=$(value nr_failed)
echo "    $failed of $seen"
assert test "$failed" -gt $((seen / 20)) -a "$failed" -lt $((seen / 5))
assert_eq $((failed + 1)) "$(heap_stat burst nr_failed)" "nr_failed of stats"

step "sizes nobody asks for do not"
echo min=600 >"$inject"
sleep 0.2
assert_eq 0 "$(value nr_seen)" nr_seen

step "bad commands are refused"
for text in nth nth= nth=x permille=1001 "min=5 max=4" "nth=1 sing=2" \
	"$(printf '%0200d' 0)"; do
	if (echo "$text" >"$inject") 2>/dev/null; then
		fail "obeyed: $text"
	fi
done
assert_eq 600 "$(value min)" "min after bad commands"
echo off >"$inject"

echo 1 >"$(heap_file burst check)"
unload_module kheap_burst
assert_log "kheap_burst: [0-9]+ rounds, $((failed + 1)) allocations failed, 0"
unload_module kheap
