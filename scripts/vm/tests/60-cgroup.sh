#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1
# boot: --cpus 4 --one-thread
#
# A heap with KHEAP_ACCOUNT charges the memory cgroup of the task that
# allocates, for blocks and for a large block of a chosen node; the charge goes
# when the memory does. A heap without it charges nothing. So do the caches of a
# module behind slab_compat.h with SLAB_ACCOUNT, and those without it.

. "$(dirname "$0")/../guest.sh"

mib=$((1 << 20))
root=/sys/fs/cgroup
[ -f $root/cgroup.controllers ] || root=$(awk '$3 == "cgroup2" { print $2 }' \
	/proc/mounts | head -1)
echo +memory >"$root/cgroup.subtree_control"
group=$root/kheap_test
mkdir "$group"

# What the group is charged for in the kernel.
kernel_bytes()
{
	awk '$1 == "kernel" { print $2 }' "$group/memory.stat"
}

# memory.stat may be two seconds old, but for a reading of cpu.stat, which has
# the group's counters of all processors added up.
settle()
{
	cat "$group/cpu.stat" >/dev/null
}

# What was freed is not charged any more, once work that is put off is done.
charge_is_gone()
{
	local i left

	for ((i = 0; i < 300; i++)); do
		settle
		left=$(kernel_bytes)
		[ "$left" -ge $((2 * mib)) ] || break
		sleep 0.1
	done
	echo "    kernel is at $left"
	[ "$left" -lt $((2 * mib)) ] || fail "still charged: $left"
}

# Insert a client as a task of the group; set $rise and $rise_kernel. Pages of
# tasks that were in the group before may go meanwhile, so the first can be some
# hundred KiB less than the client has taken.
insert_in_group()
{
	local before before_kernel

	settle
	before=$(cat "$group/memory.current")
	before_kernel=$(kernel_bytes)
	(
		echo $BASHPID >"$group/cgroup.procs"
		load_module "$@"
	)
	settle
	rise=$(($(cat "$group/memory.current") - before))
	rise_kernel=$(($(kernel_bytes) - before_kernel))
	echo "    memory.current rose by $rise, kernel in it by $rise_kernel"
}

burst()
{
	insert_in_group kheap_burst still=1 mib=16 large=$((8 * mib)) "$@"
}

load_module kheap

step "a heap that is not accounted charges nothing to speak of"
burst account=0
[ $rise_kernel -lt $((2 * mib)) ] || fail "charged: $rise_kernel"
unload_module kheap_burst

step "an accounted one charges its pages and its large block"
burst account=1
held=$(heap_stat burst held_bytes)
[ $rise -ge $((23 * mib)) ] || fail "memory.current rose by $rise only"
[ $rise_kernel -ge $((24 * mib)) ] || fail "kernel rose by $rise_kernel only"
[ $rise_kernel -le $((held + 2 * mib)) ] || fail "more than the heap holds"

step "the charge goes with the heap"
unload_module kheap_burst
charge_is_gone

step "an accounted allocation over the group's limit fails, nothing is lost"
echo $((12 * mib)) >"$group/memory.max"
# The large block is too much for the group: no memory, and no insertion.
if (
	echo $BASHPID >"$group/cgroup.procs"
	echo -1000 >/proc/self/oom_score_adj
	load_module kheap_burst still=1 mib=1 large=$((64 * mib)) account=1
) 2>/dev/null; then
	fail "the group's limit was exceeded"
fi
echo max >"$group/memory.max"
refute test -e "$KHEAP_DEBUGFS/burst"

step "slab_compat.h: a cache with SLAB_ACCOUNT charges, its objects are listed"
expect_log "module kheap_slab_client: no cache "
insert_in_group kheap_slab_client ledgers=8192 grouped=1
held=$(heap_stat kheap_slab_client.acct held_bytes)
[ $rise -ge $((7 * mib)) ] || fail "memory.current rose by $rise only"
[ $rise_kernel -ge $((8 * mib)) ] || fail "kernel rose by $rise_kernel only"
[ $rise_kernel -le $((held + 2 * mib)) ] || fail "more than the heap holds"
unload_module kheap_slab_client
charge_is_gone

unload_module kheap
rmdir "$group"
