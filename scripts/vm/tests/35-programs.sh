#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1
# boot: --cpus 2 --one-thread --append trace_event=kmem:kmalloc,kmem:kfree,kmem:kmem_cache_alloc,kmem:kmem_cache_free --append trace_buf_size=48M
#
# Traces made here and now, of programs that every Debian has and of the kernel
# itself, since it was booted and while files are unpacked, are sound, and are
# replayed into a private heap and into kmalloc. 30-replay does it with Python.

. "$(dirname "$0")/../guest.sh"

TRACE_TOOLS=$(cd "$(dirname "$0")/../../trace" && pwd)
CLIENT=/sys/kernel/debug/kheap_replay
cd "$KHEAP_TEST_TMP"

# Check a trace, replay it, and see that both rivals came to its end.
through()
{
	local rival name=$1

	"$TRACE_TOOLS/check" "$name.trace" >"$name.summary"
	grep -E '^(events|peak)' "$name.summary"
	"$TRACE_TOOLS/replay" "$name.trace" | tee "$name.table"
	grep -Eq '^classes used at the peak( +[1-9][0-9]*){2}$' "$name.table" ||
		fail "$name: no classes used"
	for rival in kheap kmalloc; do
		grep -q "^${rival}_complete: 1" "$CLIENT/result" ||
			fail "$name: $rival did not come to the end"
	done
}

program()
{
	local name=$1

	shift
	step "$name"
	PYTHONMALLOC=malloc "$TRACE_TOOLS/record" -q -o "$name.trace" -- "$@" \
		>"$name.out" 2>&1 || fail "$name: $(tail -n 3 "$name.out")"
	through "$name"
}

# First of all, because the buffer is that of the boot.
step "the kernel since it was booted"
"$TRACE_TOOLS/record-kernel" --boot -q -o boot.trace
grep -qa '^command: boot' boot.trace || fail "not the trace of a boot"

load_module kheap
load_module kheap_replay
# A long one: replayed on one kernel. The others are short.
if [ "$KHEAP_VM_KERNEL" = 6.12 ]; then
	through boot
else
	"$TRACE_TOOLS/check" boot.trace | grep -E '^(events|peak)'
fi

step "the kernel while files are made and removed"
mkdir files files2
"$TRACE_TOOLS/record-kernel" -q --buffer 48 -o files.trace -- bash -c '
	seq 1 200 | (cd files && xargs touch); rm -r files'
through files
refute "$TRACE_TOOLS/record-kernel" -q --buffer 1 -o lost.trace -- \
	bash -c 'seq 8000 | xargs touch' 2>lost.err
grep -q 'events were lost' lost.err || fail "an overrun: $(cat lost.err)"

TRACING=/sys/kernel/tracing
tracing()
{
	(cd "$TRACING" && grep . tracing_on trace_clock current_tracer \
		buffer_size_kb options/hash-ptr set_event && ls instances
	 grep -c "somebody's mark" trace)
}

# The status that is expected, what it must say, options and command.
ends()
{
	local status=0 want=$1 says=$2

	shift 2
	"$TRACE_TOOLS/record-kernel" -q "$@" 2>ends.err || status=$?
	assert_eq "$want" "$status" "status of record-kernel $*"
	grep -q "$says" ends.err || fail "$*: $(cat ends.err)"
	[ "$(wc -l <ends.err)" -le 1 ] || fail "$*: $(cat ends.err)"
	tracing | diff tracing.before - || fail "$*: tracefs has changed"
}

others_tracing_is_left_alone()
{
	step "others' tracing is left alone, however a recording ends"
	echo mono >"$TRACING/trace_clock"
	echo 1000 >"$TRACING/buffer_size_kb"
	echo sched:sched_process_exit >"$TRACING/set_event"
	echo "somebody's mark" >"$TRACING/trace_marker"
	tracing >tracing.before

	ends 3 '' -o ends.trace -- sh -c 'echo >&2; exit 3'
	ends 125 'No such file' -o ends.trace -- ./nothing
	ends 125 'events were lost' --buffer 1 -o ends.trace -- \
		bash -c 'seq 8000 | xargs touch'
	ends 125 'no such directory' -o nowhere/ends.trace -- touch ran
	ends 125 'not a regular file' -o /dev/null -- touch ran
	[ ! -e ran ] || fail "the command ran, for nothing"
	# shellcheck disable=SC2016  # the parent of that shell
	ends 130 '' -o ends.trace -- sh -c 'echo >&2; kill -INT $PPID; sleep 1000'
	# shellcheck disable=SC2016
	ends 143 '' -o ends.trace -- sh -c 'echo >&2; kill -TERM $PPID; sleep 1000'
}

# The recorder's ends, which are the same on each kernel, are tried on one; the
# programs below on the other.
[ "$KHEAP_VM_KERNEL" != 6.1 ] || others_tracing_is_left_alone

step "the kernel while files are made and removed, seen by bpftrace"
"$TRACE_TOOLS/record-kernel" -q --bpftrace --buffer 4 -o bpf.trace -- bash -c '
	seq 1 200 | (cd files2 && xargs touch); rm -r files2
	echo out; echo err >&2; exit 7' >bpf.out 2>bpf.err || bpf=$?
assert_eq 7 "${bpf-0}" "the status of the command: $(cat bpf.err)"
assert_eq out "$(cat bpf.out)" "what the command printed"
assert_eq err "$(cat bpf.err)" "what it printed as errors"
through bpf
refute "$TRACE_TOOLS/record-kernel" --bpftrace --boot 2>lost.err
grep -q 'cannot look at a boot' lost.err || fail "a boot: $(cat lost.err)"

# On the one, what bpftrace says of lost events; on the other, the programs.
if [ "$KHEAP_VM_KERNEL" != 6.12 ]; then
	refute "$TRACE_TOOLS/record-kernel" -q --bpftrace --buffer 1 -o lost.trace -- \
		bash -c 'seq 8000 | xargs touch' 2>lost.err
	grep -q 'events were lost' lost.err || fail "an overrun: $(cat lost.err)"
	unload_module kheap_replay
	unload_module kheap
	exit
fi

git init -q repo
for i in 1 2; do
	echo "$i" >"repo/$i"
	git -C repo add "$i"
	git -C repo -c user.name=t -c user.email=t@t commit -q -m "$i"
done
program git git -C repo log -p
assert_eq 2 "$(grep -c '^commit' git.out)" "commits in git's log"

seq 20000 | tac >lines
program sort sort -S 1M lines
assert_eq 1 "$(head -n 1 sort.out)" "first line of sort"

echo 'int twice(int a) { return 2 * a; }' >twice.c
program gcc "$(gcc -print-prog-name=cc1)" -quiet -O2 twice.c -o twice.s
grep -q twice twice.s || fail "cc1 compiled nothing"

unload_module kheap_replay
unload_module kheap
