#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# In the guest: put an ext4 through a hard day, then look at what is left.
#
# usage: guest.sh kheap|slub full|measure
#
# The environment names the folder of the built file systems (EXT4), of kheap
# (KHEAP_MODULES), the tree to unpack (TREE, a tar file) and the program FSX.
# "full" does everything; "measure" a part of it that is the same for both
# sides, and prints what it cost: "cost STAGE INSTRUCTIONS", and "held STAGE
# BYTES" over the caches named in NAMES, when what waited for RCU is free; and
# "later STAGE BYTES", when the file system has been left alone for a while.

set -eu -o pipefail

side=$1 mode=$2
DEBUGFS=/sys/kernel/debug/kheap
NAMES='extent_status pending_reservation bio_post_read_ctx ext4_io_end
	ext4_io_end_vec ext4_system_zone ext4_prealloc_space
	ext4_allocation_context ext4_free_data ext4_inode_cache
	ext4_fc_dentry_update ext4_groupinfo_4k jbd2_revoke_record_s
	jbd2_revoke_table_s jbd2_transaction_s jbd2_journal_head jbd2_inode
	jbd2_journal_handle mb_cache_entry'
disk=/dev/ram0
mnt=/tmp/mnt

fail()
{
	echo "FAILED: $*" >&2
	exit 1
}

step()
{
	echo "  - $*"
}

# Nanoseconds of this CPU's tasks; with --icount, instructions.
busy_ns()
{
	awk '$1 == "cpu0" { print $8 }' /proc/schedstat
}

held_by_slub()
{
	awk -v names="$NAMES" '
		BEGIN { n = split(names, w); for (i = 1; i <= n; i++) ours[w[i]] }
		$1 in ours { bytes += $15 * $6 * 4096 }
		END { printf "%.0f\n", bytes }' /proc/slabinfo
}

held_by_kheap()
{
	awk -F': *' '$1 == "held_bytes" { sum += $2 }
		END { printf "%.0f\n", sum }' \
			"$DEBUGFS"/{ext4,ext4.acct,jbd2,mbcache}/stats
}

# Run a stage of the measurement.
cost()
{
	local stage=$1 begin

	shift
	begin=$(busy_ns)
	"$@" || fail "$stage"
	echo "cost $stage $(($(busy_ns) - begin))"
	sleep 1
	echo "held $stage $("held_by_$side")"
	sleep 10
	echo "later $stage $("held_by_$side")"
}

# --- Modules ---------------------------------------------------------------

load()
{
	local name

	for name in crc16 crc32c_generic; do
		modprobe -q "$name" || true
	done
	modprobe brd rd_nr=1 rd_size=409600 2>/dev/null || true
	[ -b $disk ] || fail "no $disk"
	[ "$side" = slub ] || insmod "$KHEAP_MODULES/module/kheap.ko"
	for name in mbcache jbd2 ext4; do
		insmod "$EXT4/$name/$name.ko" || fail "insmod $name"
	done
}

unload()
{
	rmmod ext4 jbd2 mbcache || fail "rmmod"
	[ "$side" = kheap ] || return 0
	[ "$(wc -l <$DEBUGFS/heaps)" -eq 1 ] || fail "heaps left: \
$(cat $DEBUGFS/heaps)"
	rmmod kheap
	if dmesg | grep -E 'destroyed with .* live|refused:|violat'; then
		fail "kheap has something to report"
	fi
}

log_is_clean()
{
	if dmesg | grep -E 'BUG|WARNING|Oops|KASAN|EXT4-fs error|JBD2: |INFO: (task|possible)'
	then
		fail "the kernel log"
	fi
}

# --- Work --------------------------------------------------------------------

mount_new()
{
	mkfs.ext4 -q -b 4096 -I 256 $disk
	mkdir -p $mnt
	mount -t ext4 $disk $mnt
}

unpack()
{
	mkdir -p "$mnt/tree"
	tar -C "$mnt/tree" -xf "$TREE"
	sync
}

walk()
{
	find "$mnt/tree" -type f -size +0 -printf '%s\n' |
		awk '{ n++ } END { exit !n }'
}

drop()
{
	echo 3 >/proc/sys/vm/drop_caches
}

compare()
{
	tar -C "$mnt/tree" --compare -f "$TREE"
}

fsx_all()
{
	local i pids=()

	for i in 1 2 3 4; do
		"$FSX" "$mnt/fsx.$i" "$1" "$i" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || fail "fsx"
	done
}

fio_all()
{
	fio --name=writers --directory=$mnt --numjobs=4 --size=6M --bs=4k \
		--rw=randrw --ioengine=psync --fsync=16 --verify=crc32c \
		--group_reporting --minimal --thread >/tmp/fio.out 2>&1 || {
		cat /tmp/fio.out
		fail "fio"
	}
}

# Files made, renamed, linked and removed by several at once.
many_names()
{
	local i pids=()

	for i in 1 2 3 4; do
		(mkdir "$mnt/names.$i" && cd "$mnt/names.$i" &&
		 seq 1 300 | xargs touch && ln 1 hard && ln -s 1 soft &&
		 mv 2 moved && seq 3 300 | xargs rm) &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || fail "names"
	done
}

# Take nearly all memory that is left, while the others write.
squeeze()
{
	fio_all &
	python3 -c '
import re
free = int(re.search(r"MemAvailable: +(\d+)",
                     open("/proc/meminfo").read())[1])
block = bytearray(max(free - 100000, 1000) * 1024)
for at in range(0, len(block), 4096):
    block[at] = 1'
	drop
	wait $! || fail "writers under memory pressure"
}

inodes_in_use()
{
	awk '$1 == "ext4_inode_cache" { print $7 }' "$DEBUGFS/ext4.acct/classes"
}

# A group pays for the inodes that it needs, and gives them up when it must.
in_group()
{
	local root group used left

	root=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	group=$root/names
	echo +memory >"$root/cgroup.subtree_control"
	mkdir "$group"
	drop
	(echo $BASHPID >"$group/cgroup.procs"
	 mkdir "$mnt/group" && cd "$mnt/group" && seq 1 3000 | xargs touch)
	sync
	used=$(inodes_in_use)
	# Less than that is found, which is an error to the kernel.
	echo 64M >"$group/memory.reclaim" 2>/dev/null || true
	left=$(inodes_in_use)
	echo "    inodes: $used, $left after the group gave memory up"
	[ "$left" -lt $((used - 2000)) ] || fail "the inodes are not the group's"
	rm -r "$mnt/group"
}

look_inside()
{
	local name

	[ "$side" = kheap ] || return 0
	for name in $NAMES; do
		grep -q "^$name " $DEBUGFS/*/classes ||
			fail "no cache $name in debugfs"
	done
	for name in ext4 ext4.acct jbd2 mbcache; do
		echo 1 >"$DEBUGFS/$name/check" || fail "check of $name"
		grep -q '^nr_refused: 0$' "$DEBUGFS/$name/stats" ||
			fail "heap $name refused requests"
	done
	cat $DEBUGFS/heaps
}

finish()
{
	umount $mnt
	e2fsck -fn $disk >/tmp/fsck.out 2>&1 || {
		cat /tmp/fsck.out
		fail "e2fsck"
	}
	unload
	log_is_clean
}

load
mount_new
if [ "$mode" = measure ]; then
	cost unpack unpack
	cost walk walk
	cost drop drop
	cost fsx fsx_all 300
	cost names many_names
	cost remove rm -rf "$mnt/tree"
	finish
	exit 0
fi
step "unpack a tree, drop it from memory, compare"
unpack
walk
drop
compare
step "fsx, four at once"
fsx_all "${FSX_OPERATIONS:-1500}"
step "fio, four writers that verify"
fio_all
step "names, four at once"
many_names
step "a memory cgroup has its inodes"
in_group
step "memory runs short meanwhile"
squeeze
compare
look_inside
step "unmount, fsck, remove"
rm -rf "$mnt/tree"
finish
echo "done"
