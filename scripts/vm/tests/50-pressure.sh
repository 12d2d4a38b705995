#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1
# boot: --cpus 2 --one-thread --mem 352M
#
# Little memory, and a hog that takes the rest of it: the kernel's reclaim asks
# kheap, kheap gives back what nobody needs, and no allocation fails.

. "$(dirname "$0")/../guest.sh"

trace=/sys/kernel/tracing
[ -d $trace/events ] || trace=/sys/kernel/debug/tracing

# Pages that reclaim got from kheap so far; the shrinker's last answer may be
# SHRINK_STOP, which is not counted.
given_back()
{
	awk '/mm_shrink_slab_end/ && /\[kheap\]/ {
			gsub(",", "")
			for (i = 1; i < NF; i++)
				if ($i == "val")
					got = $(i + 1)
			if (got > 0)
				sum += got
		}
		END { print sum + 0 }' $trace/trace
}

load_module kheap
echo 1 >$trace/events/vmscan/mm_shrink_slab_end/enable

step "reclaim that is asked for takes what is empty and what is cached"
load_module kheap_burst mib=32 still=1
held=$(heap_stat burst held_bytes)
for round in 1 2 3; do
	echo 2 >/proc/sys/vm/drop_caches
done
left=$(heap_stat burst cached_bytes)
assert_eq 0 "$left" "bytes in magazines after round $round"
[ "$(heap_stat burst held_bytes)" -le "$held" ] || fail "more is held"
unload_module kheap_burst
assert_log "kheap_burst: 0 rounds, 0 allocations failed, 0 blocks damaged"

step "a hog forces reclaim while a client goes up and down"
load_module kheap_burst mib=48
before=$(given_back)
cat >"$KHEAP_TEST_TMP/hog.py" <<'END'
import os, sys

def available():
    with open("/proc/meminfo", encoding="ascii") as file:
        values = dict(ln.split(":") for ln in file)
    return int(values["MemAvailable"].split()[0])

with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
    file.write("1000")
taken = []
while not os.path.exists(sys.argv[1]):
    if available() > 4 << 10:
        taken.append(bytearray(b"x") * (4 << 20))
    else:
        # Have reclaim go on: give some back, and take it again.
        del taken[-2:]
END
seconds=0
while [ "$(given_back)" -le "$before" ]; do
	# It is the first to be killed, should there be nothing left.
	if [ -z "${hog-}" ] || ! kill -0 "$hog" 2>/dev/null; then
		python3 "$KHEAP_TEST_TMP/hog.py" "$KHEAP_TEST_TMP/stop" &
		hog=$!
	fi
	[ $seconds -le 240 ] || fail "reclaim got nothing from kheap"
	seconds=$((seconds + 1))
	sleep 1
done
echo "    $(($(given_back) - before)) pages in $seconds s"
touch "$KHEAP_TEST_TMP/stop"
wait "$hog" || echo "    the hog was killed"
echo 1 >"$(heap_file burst check)"
unload_module kheap_burst
assert_log "kheap_burst: [0-9]+ rounds, 0 allocations failed, 0 blocks"

echo 0 >$trace/events/vmscan/mm_shrink_slab_end/enable
unload_module kheap
