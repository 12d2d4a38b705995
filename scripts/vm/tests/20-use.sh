#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1 6.12-rt 6.1-rt
# boot: --cpus 4
#
# A client uses a heap from threads and interrupts of every CPU; every file in
# debugfs can be read meanwhile and adds up; the module stays as long as a heap
# does; CPUs come and go; all of it a second time.

. "$(dirname "$0")/../guest.sh"

# What the heap holds is the sum of its parts, as a person reads it.
identity()
{
	awk -F': *' '
		/^(allocated|cached|free|virgin|quarantined|empty|tail|metadata|large)_bytes:/ {
			sum += $2; n++
		}
		$1 == "held_bytes" { held = $2 }
		END { exit !(n == 9 && held > 0 && sum == held) }
	' "$(heap_file exercise stats)"
}

# Read everything there is until the client is in, or has failed.
read_all_while()
{
	local pid=$1 nr=0

	while kill -0 "$pid" 2>/dev/null; do
		cat "$KHEAP_DEBUGFS/heaps" "$KHEAP_DEBUGFS"/exercise/* \
			>/dev/null 2>&1 || true
		if [ -e "$KHEAP_DEBUGFS/exercise/stats" ]; then
			identity || ! [ -e "$KHEAP_DEBUGFS/exercise/stats" ] ||
				fail "the parts do not add up"
			echo 1 >"$(heap_file exercise check)"
			[ $((nr % 4)) -ne 3 ] ||
				echo 1 >"$(heap_file exercise trim)"
			nr=$((nr + 1))
		fi
	done
	wait "$pid" || fail "the client was not content"
	echo "    $nr readings"
}

use_heap()
{
	insmod "$(module_file kheap_exercise)" "$@" &
	read_all_while $!
}

for round in 1 2; do
	step "round $round: insert kheap, and a client that uses it"
	load_module kheap
	assert_eq 1 "$(wc -l <"$KHEAP_DEBUGFS/heaps")" "lines in heaps"
	use_heap ms=1500

	step "round $round: every file can be read"
	for file in "$KHEAP_DEBUGFS"/exercise/*; do
		[ -r "$file" ] || continue
		case ${file##*/} in
		trim | check) continue ;;
		esac
		assert test -n "$(cat "$file")"
	done
	assert grep -q '^exercise ' "$KHEAP_DEBUGFS/heaps"
	assert grep -q '^parcels ' "$(heap_file exercise classes)"
	assert_eq 100 "$(heap_stat exercise nr_allocated)" "blocks held"
	assert identity
	assert_eq 0 "$(heap_stat exercise nr_refused)" "refused"

	step "round $round: check and trim"
	echo 1 >"$(heap_file exercise check)"
	echo 1 >"$(heap_file exercise trim)"
	assert_eq 0 "$(heap_stat exercise cached_bytes)" "cached"
	assert_eq 100 "$(heap_stat exercise nr_allocated)" "blocks held"
	assert identity

	step "round $round: kheap stays while a client holds a heap"
	refute rmmod kheap 2>/dev/null
	assert test -d "$KHEAP_DEBUGFS/exercise"

	step "round $round: remove the client, then kheap"
	unload_module kheap_exercise
	refute test -e "$KHEAP_DEBUGFS/exercise"
	unload_module kheap
	refute test -e "$KHEAP_DEBUGFS"
	refute grep -q kheap /proc/modules
done

step "what a client leaves is reported, and freed"
load_module kheap
use_heap ms=100 nr_leak=7
unload_module kheap_exercise
assert_log "heap 'exercise' destroyed with 7 live blocks"
unload_module kheap

step "a processor goes and comes back meanwhile"
cpu=/sys/devices/system/cpu/cpu3/online
if [ -w "$cpu" ]; then
	load_module kheap
	insmod "$(module_file kheap_exercise)" ms=100
	for _ in 1 2 3; do
		echo 0 >"$cpu"
		echo 1 >"$(heap_file exercise check)"
		assert identity
		echo 1 >"$cpu"
	done
	assert_eq 100 "$(heap_stat exercise nr_allocated)" "blocks held"
	unload_module kheap_exercise
	unload_module kheap
fi
