#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: test kmsan
# boot: --cpus 2 --append kasan_multi_shot --append rcupdate.rcu_expedited=1
# timeout: 1500
#
# A client makes one mistake at a time; KASAN and kmemleak say which, and kheap
# adds whose memory it was. On the kernel kmsan, KMSAN says which bytes nobody
# wrote before they were used, and who had left them like that.

. "$(dirname "$0")/../guest.sh"

expect_log 'KASAN: (slab-out-of-bounds|use-after-free) in .*\[kheap_faulty\]'
expect_log '^kheap: '
expect_log 'kmemleak: [0-9]+ new'
expect_log 'The buggy address'

# The kernel's log since the last call.
news()
{
	dmesg --read-clear
}

# make FAULT [FLAGS]
make()
{
	news >/dev/null
	load_module kheap_faulty fault="$1" flags="${2:-0}"
	news >"$KHEAP_TEST_TMP/log"
	unload_module kheap_faulty
	news >/dev/null
}

has()
{
	grep -Eq -- "$1" "$KHEAP_TEST_TMP/log" || {
		cat "$KHEAP_TEST_TMP/log"
		fail "not in the report: $1"
	}
}

# reported FAULT WHAT HOW OFFSET STATE
reported()
{
	step "$1: $2, $3 at $4, of a block that is $5"
	make "$1"
	has "BUG: KASAN: $2 in [a-z_]+\+.*\[kheap_faulty\]"
	has "$3 of size 1 at addr"
	has "kheap: heap 'faulty', .*: offset $4 of a block of"
	has "kheap:   the block is $5"
	assert_eq 1 "$(grep -c 'BUG: KASAN' "$KHEAP_TEST_TMP/log")" reports
}

# uninit FAULT WHERE [FLAGS]
uninit()
{
	step "$1: a byte that nobody wrote, since $2${3:+, with flags $3}"
	make "$1" "${3:-0}"
	has "BUG: KMSAN: uninit-value in $1\+.*\[kheap_faulty\]"
	sed -n '/created at:/,$p' "$KHEAP_TEST_TMP/log" |
		grep -Eq " $2\+.*\[kheap\]" || {
		cat "$KHEAP_TEST_TMP/log"
		fail "not where it was created: $2"
	}
	assert_eq 1 "$(grep -c 'BUG: KMSAN' "$KHEAP_TEST_TMP/log")" reports
}

what_kmsan_says()
{
	# Guard bytes, clean and dead bytes, call sites.
	local flags good observed=$((1 << 9 | 1 << 10 | 1 << 11))

	expect_log 'KMSAN: uninit-value in .*\[kheap_faulty\]'
	load_module kheap
	for good in none zeroed constructed kept new_object; do
		for flags in 0 $observed; do
			step "$good, with flags $flags: no report"
			make "$good" "$flags"
			refute grep -q KMSAN "$KHEAP_TEST_TMP/log"
		done
	done
	for flags in 0 $observed; do
		uninit unwritten '(__)?kheap_alloc.*' "$flags"
		uninit partly_written '(__)?kheap_alloc.*' "$flags"
		uninit copied '(__)?kheap_alloc.*' "$flags"
		has 'Uninit was stored to memory at:'
		uninit reused '(__)?kheap_alloc.*' "$flags"
		uninit reused_link '(__)?kheap_alloc.*' "$flags"
		uninit dead kheap_free "$flags"
		uninit dead_object __kheap_object_put "$flags"
		uninit bulk kheap_free_bulk "$flags"
		uninit grown '(__)?kheap_alloc.*' "$flags"
		uninit shrunk_and_grown kheap_realloc "$flags"
		uninit of_a_cache __kheap_cache_alloc "$flags"
		uninit large kheap_large_alloc "$flags"
	done
	uninit dead_link kheap_free
	unload_module kheap
}

if [ "$KHEAP_VM_KERNEL" = kmsan ]; then
	what_kmsan_says
	exit 0
fi

load_module kheap
for good in none slack_that_is_known; do
	step "$good: no report"
	make "$good"
	refute grep -q KASAN "$KHEAP_TEST_TMP/log"
done
reported slack slab-out-of-bounds Write 50 allocated
reported slack_after_realloc slab-out-of-bounds Write 45 allocated
reported virgin slab-out-of-bounds Write 0 free
reported freed use-after-free Read 20 free
reported freed_start use-after-free Write 0 free
reported freed_in_pool use-after-free Read 5 free
reported object use-after-free Read 16 free
reported cache_slack slab-out-of-bounds Write 42 allocated

step "with U, the stacks of allocation and free are in the report"
make freed $((1 << 11))
has "BUG: KASAN: use-after-free"
has "kheap:   block [0-9a-f]+, 50 bytes asked for, allocation 2"
has "kheap:   allocated by:"
has "kheap:   freed by:"
assert_eq 2 "$(sed -n '/allocated by:/,$p' "$KHEAP_TEST_TMP/log" |
	grep -c 'faulty_init')" "frames of the client's"

step "kmemleak knows the blocks that nobody refers to"
leaks=/sys/kernel/debug/kmemleak
echo clear >$leaks
load_module kheap_faulty fault=leak
found=0
for ((i = 0; i < 20 && found < 18; i++)); do
	sleep 3
	echo scan >$leaks
	found=$(grep -c 'unreferenced object .*size 200' $leaks || true)
done
echo "    $found of 20 in scan $i"
# An address may still be on a stack.
assert test "$found" -ge 18
assert grep -Eq 'leak\+.*\[kheap_faulty\]' $leaks
unload_module kheap_faulty
unload_module kheap
echo clear >$leaks
