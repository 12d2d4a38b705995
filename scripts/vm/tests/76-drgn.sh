#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1
# boot: --cpus 2
# timeout: 600
#
# What scripts/drgn/kheap.py reads from the kernel's memory is what the heap
# itself says in debugfs.

. "$(dirname "$0")/../guest.sh"

drgn=$(cd "$(dirname "$0")/../../drgn" && pwd)/kheap.py
load_module kheap callsites=1
load_module kheap_workload
echo 1 >"$(heap_file workload trim)"

look()
{
	"$drgn" "$(module_file kheap)" "$@"
}

step "heaps and arenas are the same"
assert_eq "workload $(heap_stat workload held_bytes) $(heap_stat workload \
	nr_arenas) $(heap_stat workload nr_allocated)" \
	"$(look heaps | tail -n 1)" "heaps"
assert_eq "$(tail -n +2 "$(heap_file workload arenas)" | cut -d' ' -f1-3,7)" \
	"$(look arenas workload | tail -n +2)" "arenas"

step "every block of a class is found, and what it is"
mapfile -t blocks < <(look blocks workload size-72 | tail -n +2)
assert_eq 13 "${#blocks[@]}" "blocks of 72 bytes"
address=${blocks[7]%% *}
assert test "$(look what "$(printf '0x%x' $((address + 5)))" |
	grep -c "heap 'workload'.*size-72.*: byte 5 of .*allocated")" = 1
assert grep -q "no pool" <(look what 0xffff888000000000)
assert_eq 13 "$(look pools workload | awk '$3 == "size-72" { print $6 }')" \
	"blocks allocated in their pool"

step "few blocks pin a pool: two tokens of 256"
assert_eq 2 "$(look pinned workload | awk '$3 == "token" { print $4 }')" \
	"tokens"

step "objects with their references"
assert_eq "1 1 " "$(look objects workload token | tail -n +2 |
	awk '{ printf "%s ", $2 }')" "references of the tokens that are left"
assert_eq "# address references type" "$(look objects workload link)" \
	"the cycle is gone"

step "call sites are those of debugfs, and say who has a block"
sites=$(heap_file workload callsites)
assert_eq "$(awk '/^[0-9]/ { print $1, $2, $3 }' "$sites")" \
	"$(look callsites workload | grep '^[0-9]')" "call sites"
assert_eq "$(sed -n 's/^    \([^+]*\)+.*/\1/p' "$sites" | sort)" \
	"$(look callsites workload | sed -n 's/^    \([^+]*\)+.*/\1/p' | sort)" \
	"functions in the stacks"
assert grep -q '^    alloc_kept+.*\[kheap_workload\]$' \
	<(look what "$address")

step "large blocks are blocks too"
unload_module kheap_workload
load_module kheap_workload nr_hoard=3
mapfile -t blocks < <(look blocks workload large | tail -n +2)
assert_eq 3 "${#blocks[@]}" "large blocks"
assert_eq "$(heap_stat workload large_bytes)" \
	"$(printf '%s\n' "${blocks[@]}" | awk '{ n += $2 } END { print n }')" \
	"their bytes"
look what "$(printf '0x%x' $((${blocks[0]%% *} + 9)))" >"$KHEAP_TEST_TMP/what"
assert grep -q "'workload': byte 9 of a large block of 20480 bytes, 20000 " \
	"$KHEAP_TEST_TMP/what"
assert grep -q '^    alloc_hoard+' "$KHEAP_TEST_TMP/what"

step "bad questions are refused"
refute look blocks nobody 2>/dev/null
refute look dance 2>/dev/null
refute "$drgn" /bin/true heaps 2>/dev/null
unload_module kheap_workload
refute grep -q workload <(look heaps)
unload_module kheap
