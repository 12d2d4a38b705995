#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1 6.12-rt 6.1-rt test kcsan
# boot: --cpus 4
#
# Everything at once: threads, soft and hard interrupts allocate, resize, free
# and pass on blocks, make, link and drop objects, of cycles for the most part,
# and refer to them weakly; heaps and types come and go, and the collector runs.
# Meanwhile a processor goes and comes back, the kernel shrinks its caches, the heap is trimmed, checked and read,
# and, when 61-storm-watch runs this, events and call sites are switched on and
# off. KHEAP_SEED repeats a storm, KHEAP_MS makes it longer.

. "$(dirname "$0")/../guest.sh"

seed=${KHEAP_SEED:-1}
ms=${KHEAP_MS:-4000}
events=/sys/kernel/tracing/events/kheap/enable
storm=

# Do something again and again until the client is in; count in a file.
again()
{
	local what=$1 nr=0

	while kill -0 "$storm" 2>/dev/null; do
		"$what"
		nr=$((nr + 1))
	done
	echo "$nr" >"$KHEAP_TEST_TMP/$what"
}

read_everything()
{
	cat "$KHEAP_DEBUGFS/heaps" "$KHEAP_DEBUGFS"/*/* >/dev/null 2>&1 || :
}

# The heap may be gone, or not be there yet.
put()
{
	[ ! -e "$2" ] || echo "$1" 2>/dev/null >"$2" || :
}

trim_and_check()
{
	put 1 "$(heap_file exercise trim)" 2>/dev/null
	put 1 "$(heap_file exercise check)" 2>/dev/null
}

shrink()
{
	echo 2 >/proc/sys/vm/drop_caches
	sleep 0.05
}

plug()
{
	echo 0 >/sys/devices/system/cpu/cpu3/online
	echo 1 >/sys/devices/system/cpu/cpu3/online
	sleep 0.1
}

watch()
{
	put on "$(heap_file exercise callsites)"
	put 1 "$events"
	sleep 0.1
	put 'on 10' "$(heap_file exercise callsites)"
	put 0 "$events"
	sleep 0.1
	put off "$(heap_file exercise callsites)"
}

# Linux 6.12 counts the fair server of a processor as a task, and takes it for one
# that was left behind (scripts/vm/dying/run.sh). A real one is named.
case $(uname -r) in
6.12*) expect_log 'WARNING: .* sched_cpu_dying' ;;
esac

nobody_stayed()
{
	local names

	names=$(dmesg | sed -n 's/.*\tpid: [0-9]*, name: //p' | grep -v '^migration/') ||
		return 0
	fail "on a processor that went: $names"
}

step "a storm of $ms ms with seed $seed"
mount -t tracefs none /sys/kernel/tracing 2>/dev/null || :
load_module kheap
insmod "$(module_file kheap_exercise)" ms="$ms" seed="$seed" unbound=1 \
	objects=1 &
storm=$!
jobs=(read_everything trim_and_check shrink plug ${KHEAP_WATCH:+watch})
pids=()
for job in "${jobs[@]}"; do
	again "$job" &
	pids+=($!)
done
wait "$storm" || fail "the client was not content (seed $seed)"
for pid in "${pids[@]}"; do
	wait "$pid" || fail "a job ended with $?"
done
for job in "${jobs[@]}"; do
	echo "    $(cat "$KHEAP_TEST_TMP/$job") times: $job"
done
dmesg | grep -o 'kheap_exercise: .*operations.*' | tail -n 1
dmesg | grep -o 'kheap_exercise: .*objects.*' | tail -n 1
nr='[1-9][0-9]*'
assert_log "$nr objects, $nr upgraded, $nr callbacks, $nr short-lived types; 0 left, 0 bad"

nobody_stayed

step "at rest everything adds up"
put 0 "$events"
put off "$(heap_file exercise callsites)"
echo 1 >"$(heap_file exercise trim)"
echo 1 >"$(heap_file exercise check)"
assert_eq 100 "$(heap_stat exercise nr_allocated)" "blocks held"
assert_eq 0 "$(heap_stat exercise nr_refused)" "refused"
unload_module kheap_exercise
unload_module kheap
