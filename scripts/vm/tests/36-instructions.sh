#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12 6.1
# boot: --icount
#
# Where the clock counts instructions, the replay of a real program's requests,
# recorded here and now, says what a request costs, and says it again.

. "$(dirname "$0")/../guest.sh"

TRACE_TOOLS=$(cd "$(dirname "$0")/../../trace" && pwd)
cd "$KHEAP_TEST_TMP"

# Replay the trace; set $kheap and $kmalloc, in tenths of an instruction.
replay()
{
	"$TRACE_TOOLS/replay" --instructions sort.trace >table
	read -r kheap kmalloc < <(sed -n \
		's/^instructions per request//p' table | tr -d .)
}

# The two differ by less than a twentieth.
agree()
{
	local differ=$(($2 - $3))

	[ $((20 * ${differ#-})) -lt "$2" ] || fail "$1: $2, then $3 tenths"
}

step "record a real program"
seq 500 | tac >lines
PYTHONMALLOC=malloc "$TRACE_TOOLS/record" -q -o sort.trace -- \
	/usr/bin/python3 -s -P -c '
import json
words = [{"n": line} for line in open("lines")]
print(len(json.dumps(sorted(words, key=lambda w: w["n"]))))'
"$TRACE_TOOLS/check" sort.trace | grep -E '^(events|peak)'

load_module kheap
load_module kheap_replay

step "what a request costs"
replay
cat table
for cost in $kheap $kmalloc; do
	((cost > 300 && cost < 50000)) ||
		fail "that cannot be: $cost tenths of an instruction"
done

step "once more"
first_kheap=$kheap first_kmalloc=$kmalloc
replay
tail -n 1 table
agree kheap "$first_kheap" "$kheap"
agree kmalloc "$first_kmalloc" "$kmalloc"

step "nobody has no memory to fill"
if echo none >/sys/kernel/debug/kheap_replay/run 2>/dev/null; then
	fail "blocks of nobody were filled"
fi

unload_module kheap_replay
unload_module kheap
