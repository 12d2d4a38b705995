#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1
# boot: --cpus 2 --one-thread
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

# One kheap.py is asked everything, because it takes long to start. It knows the
# functions of the modules that are inserted now.
begin_asking()
{
	look - <"$KHEAP_TEST_TMP/questions" >"$KHEAP_TEST_TMP/answers" \
		2>"$KHEAP_TEST_TMP/errors" &
	asked=$!
	exec 9>"$KHEAP_TEST_TMP/questions" 8<"$KHEAP_TEST_TMP/answers"
}

end_asking()
{
	exec 9>&- 8<&-
	wait "$asked"
}

# ask COMMAND...: print the answer, when all of it has been read
ask()
{
	local line text=

	echo "$*" >&9
	while IFS= read -r line <&8; do
		[ -n "$line" ] || { printf '%s' "$text"; return 0; }
		text+=$line$'\n'
	done
	fail "no answer to $*: $(cat "$KHEAP_TEST_TMP/errors")"
}

mkfifo "$KHEAP_TEST_TMP/questions" "$KHEAP_TEST_TMP/answers"
begin_asking

step "heaps and arenas are the same"
assert_eq "workload $(heap_stat workload held_bytes) $(heap_stat workload \
	nr_arenas) $(heap_stat workload nr_allocated)" \
	"$(ask heaps | tail -n 1)" "heaps"
assert_eq "$(tail -n +2 "$(heap_file workload arenas)" | cut -d' ' -f1-3,7)" \
	"$(ask arenas workload | tail -n +2)" "arenas"

step "every block of a class is found, and what it is"
mapfile -t blocks < <(ask blocks workload size-72 | tail -n +2)
assert_eq 13 "${#blocks[@]}" "blocks of 72 bytes"
address=${blocks[7]%% *}
assert test "$(ask what "$(printf '0x%x' $((address + 5)))" |
	grep -c "heap 'workload'.*size-72.*: byte 5 of .*allocated")" = 1
assert grep -q "no pool" <(ask what 0xffff888000000000)
assert_eq 13 "$(ask pools workload | awk '$3 == "size-72" { print $6 }')" \
	"blocks allocated in their pool"

step "few blocks pin a pool: two tokens of 256"
assert_eq 2 "$(ask pinned workload | awk '$3 == "token" { print $4 }')" \
	"tokens"

step "objects with their references"
assert_eq "1 1 " "$(ask objects workload token | tail -n +2 |
	awk '{ printf "%s ", $2 }')" "references of the tokens that are left"
assert_eq "# address references type" "$(ask objects workload link)" \
	"the cycle is gone"

step "call sites are those of debugfs, and say who has a block"
sites=$(heap_file workload callsites)
assert_eq "$(awk '/^[0-9]/ { print $1, $2, $3 }' "$sites")" \
	"$(ask callsites workload | grep '^[0-9]')" "call sites"
assert_eq "$(sed -n 's/^    \([^+]*\)+.*/\1/p' "$sites" | sort)" \
	"$(ask callsites workload | sed -n 's/^    \([^+]*\)+.*/\1/p' | sort)" \
	"functions in the stacks"
assert grep -q '^    alloc_kept+.*\[kheap_workload\]$' \
	<(ask what "$address")

step "large blocks are blocks too"
end_asking
unload_module kheap_workload
load_module kheap_workload nr_hoard=3
begin_asking
mapfile -t blocks < <(ask blocks workload large | tail -n +2)
assert_eq 3 "${#blocks[@]}" "large blocks"
assert_eq "$(heap_stat workload large_bytes)" \
	"$(printf '%s\n' "${blocks[@]}" | awk '{ n += $2 } END { print n }')" \
	"their bytes"
ask what "$(printf '0x%x' $((${blocks[0]%% *} + 9)))" >"$KHEAP_TEST_TMP/what"
assert grep -q "'workload': byte 9 of a large block of 20480 bytes, 20000 " \
	"$KHEAP_TEST_TMP/what"
assert grep -q '^    alloc_hoard+' "$KHEAP_TEST_TMP/what"

step "bad questions are refused, and the next one is answered"
for question in "blocks nobody" dance "what nothing" "what 1 2"; do
	assert_eq '' "$(ask "$question" | grep -v '^# ')" "$question"
done
assert_eq 4 "$(grep -c '^kheap.py: ' "$KHEAP_TEST_TMP/errors")" "refusals"
assert_eq workload "$(ask heaps | awk '!/^#/ { print $1 }')" "heaps"
unload_module kheap_workload
assert_eq "# name held_bytes nr_arenas nr_blocks" "$(ask heaps)" "heaps"
refute end_asking

# What does not depend on the kernel is tried on one.
if [ "$KHEAP_VM_KERNEL" = 6.1 ]; then
	step "a question on the command line"
	assert_eq "# name held_bytes nr_arenas nr_blocks" "$(look heaps)" "heaps"
	refute look blocks nobody 2>/dev/null
	refute look dance 2>/dev/null
	refute "$drgn" /bin/true heaps 2>/dev/null
fi
unload_module kheap
