#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1 6.12-rt 6.1-rt
# boot: --cpus 4 --one-thread
#
# The file pinned has the pools that a few known blocks keep, with the stacks
# that allocated these where they are recorded; what does not fit is counted.

. "$(dirname "$0")/../guest.sh"

pinned()
{
	heap_file workload pinned
}

# The row of a class, and what is below it.
row()
{
	awk -v class="$1" '/^[0-9]/ { mine = $2 == class } mine && !/^#/' \
		"$(pinned)"
}

step "two tokens and 13 blocks keep a page each"
load_module kheap callsites=1
load_module kheap_workload
echo 1 >"$(heap_file workload trim)"
cat "$(pinned)"
assert_eq "4064 token 16 2 0 256" "$(row token | head -n 1 | cut -d' ' -f1-6)" \
	"tokens"
assert_eq "3160 size-72 72 13 0 56" \
	"$(row size-72 | head -n 1 | cut -d' ' -f1-6)" "blocks of 72 bytes"
assert_eq "# pools: 2 shown, 0 cut" "$(grep '^# pools' "$(pinned)")" "pools"
assert_eq "# blocks: 6 shown, 9 cut" "$(grep '^# blocks' "$(pinned)")" "blocks"
assert_eq "# unused_bytes: $((4064 + 3160))" \
	"$(grep '^# unused_bytes:' "$(pinned)")" "unused bytes"
assert_eq token "$(awk '/^[0-9]/ { print $2; exit }' "$(pinned)")" \
	"what a block pins most of"

step "by which blocks, of whom, since when"
assert_eq 2 "$(row token | grep -c '^+ [0-9a-f]* 16 [0-9]*$')" "tokens"
assert_eq 4 "$(row size-72 | grep -c '^+ [0-9a-f]* 72 [0-9]*$')" "blocks"
assert_eq "    use_tokens" "$(row token | grep -m 1 '^    ' | cut -d+ -f1)" \
	"who has the tokens"
assert_eq "    alloc_kept" "$(row size-72 | grep -m 1 '^    ' | cut -d+ -f1)" \
	"who has the blocks"
assert_eq 1 "$(row token | grep -c '^    use_tokens')" "stacks of equal blocks"
refute grep -Eq '^.{81}' "$(pinned)"

step "kheap-top reads it"
top=$(cd "$(dirname "$0")/../../tools" && pwd)/kheap-top
"$top" --once -H workload -v pinned >"$KHEAP_TEST_TMP/top"
assert grep -q '^  4064 kept by 2 of 256 blocks of token ' "$KHEAP_TEST_TMP/top"
assert grep -q ' use_tokens < ' "$KHEAP_TEST_TMP/top"

step "without call sites there are the blocks"
echo off >"$(heap_file workload callsites)"
assert_eq 2 "$(row token | grep -c '^+ [0-9a-f]* - -$')" "tokens"
refute grep -q '^    ' "$(pinned)"
unload_module kheap_workload

step "no more than 16 pools are shown"
echo 0 >/sys/module/kheap/parameters/callsites
load_module kheap_exercise ms=300 nr_keep=2000
echo 1 >"$(heap_file exercise trim)"
file=$(heap_file exercise pinned)
assert_eq "# pools: $(grep -c '^[0-9]' "$file") shown" \
	"$(grep '^# pools' "$file" | cut -d, -f1)" "pools shown"
assert test "$(grep -c '^[0-9]' "$file")" -le 16
unload_module kheap_exercise
unload_module kheap
