#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run the random tests again and again, with a new seed each time.
#
# usage: scripts/soak.sh [-s SEED] [MINUTES]      (default: 60 minutes)
#
# A round is the model's random operations, the torture of objects and
# collector, and the storm, in the test kernel, then the storm on 6.12, 6.1 and
# their PREEMPT_RT flavours. A test that fails prints the command that repeats
# it, and the rounds go on. -s starts with a seed instead of the clock's; the
# next rounds count up from there. The last line is "N passed, N failed".

set -u
cd "$(dirname "$0")/.." || exit 1
build=${KHEAP_BUILD:-build}
passed=0
failed=0
round=0
seed=$(($(date +%s) % 1000000000))

usage()
{
	sed -n '4,13s/^# \{0,1\}//p' "$0"
	exit "$1"
}

finish()
{
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
	exit
}

# Run a command; its output is shown if it fails, and kept.
try()
{
	local log=$build/soak/$round-$1.log start=$SECONDS

	shift
	if "$@" >"$log" 2>&1 </dev/null; then
		passed=$((passed + 1))
		echo "  ok ($((SECONDS - start)) s) $*"
	else
		failed=$((failed + 1))
		tail -n 20 "$log"
		echo "  FAILED ($((SECONDS - start)) s); log: $log; again with:"
		echo "	$*"
	fi
}

one_round()
{
	local kernel

	try model scripts/kunit.py --param "model_seed=$seed" model
	try torture scripts/torture.sh test "seed=$seed" ops=500000
	for kernel in test 6.12 6.1 6.12-rt 6.1-rt; do
		try "storm-$kernel" env "KHEAP_SEED=$seed" KHEAP_MS=10000 \
			scripts/integration.py --kernel "$kernel" storm
	done
}

[ "${1-}" != --help ] || usage 0
while getopts s:h option; do
	case $option in
	s) seed=$OPTARG ;;
	h) usage 0 ;;
	*) usage 2 >&2 ;;
	esac
done
shift $((OPTIND - 1))
minutes=${1-60}
[[ $minutes =~ ^[0-9]+$ && $seed =~ ^[0-9]+$ ]] || usage 2 >&2
mkdir -p "$build/soak"
trap finish INT TERM
while [ "$SECONDS" -lt $((minutes * 60)) ]; do
	round=$((round + 1))
	echo "round $round, seed $seed, minute $((SECONDS / 60)) of $minutes"
	one_round
	seed=$((seed + 1))
done
finish
