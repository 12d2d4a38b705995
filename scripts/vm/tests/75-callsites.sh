#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1 6.12-rt 6.1-rt
# boot: --cpus 4 --one-thread
#
# Call sites are recorded from a heap's creation or later, add up to what the
# heap has, are sorted, can be switched and refuse what they do not know; and
# the report of a destroyed heap has the stacks of what is left.

. "$(dirname "$0")/../guest.sh"

expect_log 'destroyed with 3 live blocks'

sites()
{
	heap_file exercise callsites
}

state()
{
	awk -F': ' -v key="$1" '$1 == key { print $2 }' \
		"$(heap_file exercise callsites_state)"
}

# Sum of a column, by name; the names are in lines that start with "# ".
column()
{
	awk -v name="$1" '
		/^# [^+]/ { for (i = 2; i <= NF; i++)
				if ($i == name) col = nr + i - 1
			    nr += NF - 1 }
		/^[0-9]/ { sum += $col }
		END { print sum + 0 }' "$(sites)"
}

step "recorded from the creation on, under load on every CPU"
load_module kheap callsites=1
load_module kheap_exercise ms=500 nr_leak=3
assert_eq 1 "$(state one_in)" "one in"
assert_eq 0 "$(state nr_dropped)" "dropped"
assert_eq 0 "$(state nr_unknown_frees)" "unknown frees"
assert_eq "$(heap_stat exercise nr_allocated)" "$(column live_blocks)" "blocks"
assert_eq "$(heap_stat exercise allocated_bytes)" "$(column live_bytes)" "bytes"
assert_eq "$(column live_bytes)" \
	"$(($(column requested_bytes) + $(column waste_bytes)))" "waste"
assert grep -q '^    work_once+.* \[kheap_exercise\]$' "$(sites)"

step "sorted, whole, 80 columns wide"
awk 'length > 80 { exit 1 }
     /^#/ { next }
     /^\+ / && NF == 5 { plus++; next }
     /^    [^ ]/ { if (rows != plus) exit 1; next }
     NF != 8 || (rows && $1 > last) { exit 1 }
     { last = $1; rows++ }
     END { if (!rows || rows != plus) exit 1 }' "$(sites)" ||
	fail "$(sites) is out of order: $(cat "$(sites)")"
sed -n '4,6p' "$(sites)"

step "the ones that waste most, by one command"
top=$(cd "$(dirname "$0")/../../tools" && pwd)/kheap-top
"$top" --once -H exercise -v callsites -s waste >"$KHEAP_TEST_TMP/top"
assert_eq "$(column waste_bytes)" "$("$top" --json -H exercise | python3 -c '
import json, sys
sites = json.load(sys.stdin)["heaps"][0]["callsites"]
print(sum(site["waste_bytes"] for site in sites))')" "waste"
assert grep -q ' STACK$' "$KHEAP_TEST_TMP/top"
assert grep -q ' work_once' "$KHEAP_TEST_TMP/top"

step "switching"
for bad in '' now 'on 0' 'on -1' 'on x' 'off 1' 'on 1 1'; do
	if echo "$bad" >"$(sites)" 2>/dev/null; then
		fail "'$bad' was accepted"
	fi
done
echo reset >"$(sites)"
assert_eq 0 "$(column live_blocks)" "blocks after reset"
assert_eq 1 "$(state one_in)" "one in after reset"
echo on 7 >"$(sites)"
assert_eq 7 "$(state one_in)" "one in"
echo off >"$(sites)"
echo off >"$(sites)"
assert_eq 0 "$(state one_in)" "one in"
assert_eq 3 "$(wc -l <"$(sites)")" "lines"
echo 1 >"$(heap_file exercise check)"
unload_module kheap_exercise

step "the report of what is left, by a task whose name is two lines"
program="$KHEAP_TEST_TMP/in"$'\n'"smod it"
cp "$(command -v insmod)" "$program"
(exec -a insmod "$program" "$(module_file kheap_exercise)" ms=50 nr_leak=3)
assert grep -q '^+ [^ ]* in_smod_it/[0-9]* [0-9]* [0-9]*$' "$(sites)"
unload_module kheap_exercise
assert_log '  3 blocks, .* bytes, allocated at'
unload_module kheap
