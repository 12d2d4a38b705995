#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1
#
# A real program's requests, recorded here and now, are replayed into a private
# heap and into kmalloc; the heap's figures add up at the peak and at the end;
# damaged and hostile traces are refused with their offset.

. "$(dirname "$0")/../guest.sh"

TRACE_TOOLS=$(cd "$(dirname "$0")/../../trace" && pwd)
CLIENT=/sys/kernel/debug/kheap_replay
trace=$KHEAP_TEST_TMP/python.trace

# A value of the client's status or result.
client()
{
	awk -F': *' -v key="$2" '$1 == key { print $2; exit }' "$CLIENT/$1"
}

run_client()
{
	echo "$*" >"$CLIENT/run"
}

# A command that the client must refuse, and a part of its reason.
refuse_client()
{
	if (run_client "$1") 2>/dev/null; then
		fail "the client obeyed: $1"
	fi
	grep -q "^reason: .*$2" "$CLIENT/status" ||
		fail "$1: want reason '$2', got $(client status reason)"
}

# What the heap holds is the sum of its parts, in the text a person reads.
assert_identity()
{
	awk -F': *' '
		/^(allocated|cached|free|virgin|quarantined|empty|tail|metadata|large)_bytes:/ {
			sum += $2; n++
		}
		$1 == "held_bytes" { held = $2 }
		END { exit !(n == 9 && held > 0 && sum == held) }
	' "$(heap_file replay stats)" ||
		fail "$1: the parts in stats do not add up to held_bytes"
}

assert_no_heap()
{
	refute test -e "$KHEAP_DEBUGFS/replay"
	refute grep -qw replay "$KHEAP_DEBUGFS/heaps"
}

step "record a real program"
# shellcheck disable=SC2016  # python's text, not the shell's
program='import ast, json; t = ast.parse(open(json.__file__).read())
print(len(json.dumps([ast.dump(n) for n in t.body])))'
"$TRACE_TOOLS/record" -o "$trace" --time -- env PYTHONMALLOC=malloc \
	/usr/bin/python3 -s -P -c "$program"
"$TRACE_TOOLS/check" "$trace" >"$KHEAP_TEST_TMP/summary"
grep -E '^(events|peak|end)' "$KHEAP_TEST_TMP/summary"

load_module kheap
load_module kheap_replay

step "nothing loaded, nothing to replay"
refuse_client kheap "no whole trace is loaded"
refuse_client continue "no run is stopped"
refuse_client sing "unknown command"

step "replay into both, with the modules' files read at the peak"
"$TRACE_TOOLS/replay" "$trace" --at-peak "cd $KHEAP_DEBUGFS && \
	cat heaps replay/stats replay/classes replay/arenas >/dev/null"
for rival in kheap kmalloc; do
	assert_eq 1 "$(client result ${rival}_complete)" "$rival complete"
	assert_eq "$(client result kheap_peak_requested_bytes)" \
		"$(client result ${rival}_peak_requested_bytes)" "$rival peak"
	assert_eq 0 "$(client result ${rival}_freed_nr_live)" "$rival live"
	held=$(client result ${rival}_peak_held_bytes)
	assert test "$held" -ge "$(client result ${rival}_peak_requested_bytes)"
done
assert_no_heap

step "stop at the peak, at the end: the heap's bytes add up"
refute grep -q . "$CLIENT/now"
run_client kheap peak
assert_eq stopped "$(client status state)" state
assert_eq "$(client result kheap_peak_requested_bytes)" \
	"$(client now requested_bytes)" "requested bytes at the peak"
assert test "$(client now held_bytes)" -ge "$(client now usable_bytes)"
assert_identity "at the peak"
echo 1 >"$(heap_file replay check)"
assert_eq "$(client status nr_live)" "$(($(heap_stat replay nr_allocated) + \
	$(heap_stat replay nr_large)))" "live blocks at the peak"
# Between the two readings the maintenance work may give back what is idle.
held=$(heap_stat replay held_bytes)
peak=$(client result kheap_peak_held_bytes)
assert test "$held" -le "$peak" -a $((peak - held)) -le $((peak / 4))
refuse_client kmalloc "a run is stopped"
if cat "$trace" >"$CLIENT/trace" 2>/dev/null; then
	fail "a trace was loaded over a stopped run"
fi
run_client continue end
assert_identity "at the end"
echo 1 >"$(heap_file replay trim)"
assert_identity "at the end, trimmed"
run_client continue
assert_no_heap

# Wait until a process has been in the kernel for so many ticks, or is over. To
# start a program takes longer than a run.
busy_for()
{
	local ticks=$1 stat fields

	while read -r stat 2>/dev/null <"/proc/$2/stat"; do
		read -ra fields <<<"${stat##*) }"
		[ "${fields[12]}" -lt "$ticks" ] || break
		[ "${fields[0]}" != Z ] || break
	done
}

step "a signal ends a run and leaves nothing"
for rival in kheap kmalloc; do
	refuse_client sing "unknown command"
	# Later each time: the signal may be too early on a slow machine.
	for ((try = 1; ; try++)); do
		assert test "$try" -le 30
		(run_client $rival) 2>/dev/null &
		writer=$!
		busy_for "$try" "$writer"
		kill -KILL $writer 2>/dev/null || true
		wait $writer 2>/dev/null || true
		case $(client status reason) in
		"interrupted after "*) break ;;
		esac
	done
	echo "    $rival: $(client status reason)"
	assert_eq none "$(client status running)" "running after a signal"
	assert_no_heap
done

step "unload with a stopped run"
run_client kheap peak
refute rmmod kheap 2>/dev/null
unload_module kheap_replay
assert_no_heap
load_module kheap_replay max_bytes=1000

step "refuse a trace over the limit"
if cat "$trace" >"$CLIENT/trace" 2>/dev/null; then
	fail "max_bytes was ignored"
fi
assert_eq 32 "$(client status offset)" "offset of nr_events"
unload_module kheap_replay
load_module kheap_replay

refuse_damaged()
{
	local nr file offset says status damaged=$KHEAP_TEST_TMP/damaged

	step "refuse damaged and hostile traces, at the right offset"
	"$TRACE_TOOLS/record" -q -o "$damaged.from" -- /usr/bin/python3 -s -P -c 0
	"$TRACE_TOOLS/damage" "$damaged.from" "$damaged" >"$damaged.list"
	if (cut -d' ' -f1 "$damaged.list" | xargs "$TRACE_TOOLS/check") \
		>"$damaged.good" 2>"$damaged.says"; then
		fail "check accepts damaged traces"
	fi
	refute test -s "$damaged.good"
	nr=0
	says=$(cat "$damaged.says")
	while read -r file offset; do
		nr=$((nr + 1))
		if cat "$file" >"$CLIENT/trace" 2>/dev/null; then
			refuse_client kheap "truncated"
		fi
		mapfile -t status <"$CLIENT/status"	# no fork: there are many
		[[ "${status[2]}" = "offset: $offset" &&
		   "${status[3]}" != "reason: none" ]] ||
			fail "${file##*/}: want offset $offset, got ${status[*]}"
		[[ $says = *"$file: offset $offset: "* ]] ||
			fail "${file##*/}: check does not name offset $offset"
	done <"$damaged.list"
	assert test "$nr" -ge 50
	echo "    $nr refused"
}

# What does not depend on the kernel is tried on one.
[ "$KHEAP_VM_KERNEL" != 6.12 ] || refuse_damaged

step "a good trace goes in after all that"
cat "$trace" >"$CLIENT/trace"
run_client kheap nopattern
assert_eq 1 "$(client result kheap_complete)" "kheap complete"

unload_module kheap_replay
unload_module kheap
