#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run every test there is; the last line is "N passed, N failed".
#
# usage: scripts/check.sh [STEP...]     (words in the names of steps)
#
# Sets itself up first: packages, kernels, test kernel. Then it runs the
# executables in scripts/check.d/ in the order of their names. To add a
# step, add an executable NN-name there. It runs in the repository's top
# folder with no standard input, says on its output what it does and what
# went wrong, closes with a line "N passed, N failed" on standard output,
# and ends non-zero when anything failed. A second line of its head,
# "# title: TEXT", is what the user sees. A step that ends without that
# line counts as one failure.

set -eu

cd "$(dirname "$0")/.."
build=${KHEAP_BUILD:-build}
start=$SECONDS
passed=0
failed=0
red=()

say()
{
	printf '%s\n' "$*"
}

elapsed()
{
	local s=$((SECONDS - start))

	printf '%d:%02d' $((s / 60)) $((s % 60))
}

finish()
{
	local name

	if [ "${#red[@]}" -gt 0 ]; then
		say "failed steps:"
		for name in "${red[@]}"; do
			say "  $name (run it alone: scripts/check.sh $name;" \
			    "output: $build/check/$name.log)"
		done
	fi
	say "$passed passed, $failed failed" | tee "$build/check/result"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

# What cannot be set up is a failure, and the closing line still comes.
set_up()
{
	say "[$(elapsed)] set-up"
	if scripts/setup.sh vm build kernel drgn </dev/null &&
	   scripts/vm/kernels.py 6.12 6.1 test </dev/null \
		>"$build/check/set-up.log"; then
		return 0
	fi
	failed=1
	finish || true
	exit 1
}

run_step()
{
	local path=$1 name title counts status=0 begin=$SECONDS

	name=$(basename "$path")
	name=${name%.*}
	title=$(sed -n 's/^# title: //p;20q' "$path")
	say "[$(elapsed)] ${title:-$name}"
	"$path" </dev/null 2>&1 | tee "$build/check/$name.log" || true
	status=${PIPESTATUS[0]}
	counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' \
		"$build/check/$name.log" | tail -n 1 || true)
	if [ -n "$counts" ]; then
		read -r p _ f _ <<<"$counts"
	else
		p=0 f=0
	fi
	# Its status and its count must agree.
	if [ "$status" -ne 0 ] && [ "$f" -eq 0 ] || [ -z "$counts" ] ||
	   [ $((p + f)) -eq 0 ]; then
		say "step $name ended with status $status" \
		    "and without a failure counted"
		f=$((f + 1))
	fi
	passed=$((passed + p))
	failed=$((failed + f))
	[ "$f" -eq 0 ] || red+=("$name")
	say "[$(elapsed)] $name took $((SECONDS - begin)) s"
}

wanted()
{
	local name=$1 word

	shift
	[ $# -gt 0 ] || return 0
	for word in "$@"; do
		[[ $name == *"$word"* ]] && return 0
	done
	return 1
}

case ${1-} in
-h | --help)
	sed -n '4,17s/^# \{0,1\}//p' "$0"
	exit 0
	;;
esac
mkdir -p "$build/check"
set_up
for path in scripts/check.d/[0-9]*; do
	if wanted "$(basename "$path")" "$@"; then
		run_step "$path"
	fi
done
finish
