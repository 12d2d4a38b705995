#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run every test there is; the last line is "N passed, N failed".
#
# usage: scripts/check.sh [STEP...]     (words in the names of steps)
#        scripts/check.sh --reach [TARGET...]
#
# With --reach it runs what scripts/reach.d/ has for other kernels and machines;
# a target is the end of a step's name: arm64 is not arm64-16k.
#
# Sets itself up first: packages, kernels, test kernel. Then it runs the
# executables in scripts/check.d/ in the order of their names, two at a time
# where both say in their head "# beside: yes": what they find does not depend
# on how long it takes. What such a step has to say is printed when it ends.
# KHEAP_AT_ONCE=1 in the environment runs all of them one by one.
#
# To add a step, add an executable NN-name there. It runs in the repository's
# top folder with no standard input, says on its output what it does and what
# went wrong, closes with a line "N passed, N failed" on standard output, and
# ends non-zero when anything failed. A line of its head, "# title: TEXT", is
# what the user sees. A step that ends without that count is one failure.
# One that cannot find out closes with a count of zero, and a line before that says
# "skipped: " and why; what was skipped is repeated at the end.

set -eu

cd "$(dirname "$0")/.."
build=${KHEAP_BUILD:-build}
folder=scripts/check.d
start=$SECONDS
passed=0
failed=0
red=()
skipped=()
at_once=${KHEAP_AT_ONCE:-$(($(nproc) > 1 ? 2 : 1))}
declare -A running=()	# path of the step, by process
declare -A begun=()	# when a step began, by path

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
	for name in "${skipped[@]}"; do
		say "skipped: $name"
	done
	say "$passed passed, $failed failed" | tee "$build/check/result"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

# The groups of packages of the targets: of arm64-16k those of arm64.
groups_of()
{
	local target

	for target in $(targets "$@"); do
		case $target in newest) ;; *) echo "${target%%-*}" ;; esac
	done | sort -u
}

# The targets that are wanted, by the names of their steps.
targets()
{
	local path name

	for path in "$folder"/[0-9]*; do
		name=${path##*/}
		! wanted "$name" "$@" || cut -d- -f3- <<<"$name"
	done | sort -u
}

# What cannot be set up is a failure, and the closing line still comes. The
# steps would set themselves up, but two at once had to wait for each other.
set_up()
{
	say "[$(elapsed)] set-up"
	if [ "$folder" = scripts/reach.d ]; then
		# shellcheck disable=SC2046  # the groups
		! scripts/setup.sh vm build kernel bpf $(groups_of "$@") \
			</dev/null || return 0
	elif scripts/setup.sh vm build kernel programs bpf drgn install docs \
		model </dev/null &&
	   scripts/vm/kernels.py 6.12 6.1 newest test </dev/null \
		>"$build/check/set-up.log"; then
		return 0
	fi
	failed=1
	finish || true
	exit 1
}

# A line of a step's head.
head_of()
{
	sed -n "s/^# $2: //p;20q" "$1"
}

# Its output goes to its log, and is shown meanwhile when it runs alone. Each
# job has a process group of its own, for stop_all.
begin_step()
{
	local path=$1 how=$2 title log=$build/check/${1##*/}.log

	title=$(head_of "$path" title)
	begun[$path]=$SECONDS
	if [ "$how" = alone ]; then
		say "[$(elapsed)] ${title:-${path##*/}}"
		{ run_step "$path" 2>&1 | tee "$log"; } &
	else
		say "[$(elapsed)] begun: ${title:-${path##*/}}"
		run_step "$path" >"$log" 2>&1 &
	fi
	running[$!]=$path
}

run_step()
{
	local status=0

	"$1" </dev/null || status=$?
	# Of this shell, then of its children: user and system, as 1m2.345s.
	times >"$build/check/${1##*/}.times"
	echo "$status" >"$build/check/${1##*/}.status"
}

# Wait for a step, show what has not been shown, count.
end_one()
{
	local pid path

	wait -n -p pid "${!running[@]}" || true
	path=${running[$pid]}
	unset "running[$pid]"
	if [ "$1" = beside ]; then
		say "[$(elapsed)] $(head_of "$path" title):"
		cat "$build/check/${path##*/}.log"
	fi
	count "$path"
}

# The seconds of processor time that a step took.
busy()
{
	awk -F '[ms ]+' 'NR == 2 { printf "%d", 60 * ($1 + $3) + $2 + $4 }' \
		"$build/check/$1.times" 2>/dev/null || echo 0
	rm -f "$build/check/$1.times"
}

count()
{
	local name=${1##*/} p=0 f=0 counts status why
	local log=$build/check/$name.log file=$build/check/$name.status

	status=$(cat "$file" 2>/dev/null || echo unknown)
	rm -f "$file"
	counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" |
		tail -n 1 || true)
	[ -z "$counts" ] || read -r p _ f _ <<<"$counts"
	why=$(sed -n 's/^skipped: //p' "$log")
	[ -z "$why" ] || skipped+=("$name: $why")
	# Its status and its count must agree.
	if [ "$status" != 0 ] && [ "$f" -eq 0 ] || [ -z "$counts" ] ||
	   { [ $((p + f)) -eq 0 ] && [ -z "$why" ]; }; then
		say "step $name ended with status $status" \
		    "and without a failure counted"
		f=$((f + 1))
	fi
	passed=$((passed + p))
	failed=$((failed + f))
	[ "$f" -eq 0 ] || red+=("$name")
	say "[$(elapsed)] $name took $((SECONDS - begun[$1])) s," \
	    "$(busy "$name") s of processor time"
}

# However this ends, nothing that it began goes on.
stop_all()
{
	local group

	for group in $(jobs -p); do
		kill -- "-$group" 2>/dev/null || true
	done
}

wanted()
{
	local name=$1 word

	shift
	[ $# -gt 0 ] || return 0
	for word in "$@"; do
		if [ "$folder" = scripts/reach.d ]; then
			[ "$(cut -d- -f3- <<<"$name")" != "$word" ] || return 0
		else
			[[ $name != *"$word"* ]] || return 0
		fi
	done
	return 1
}

run_steps()
{
	local path steps=()

	for path in "$folder"/[0-9]*; do
		! wanted "${path##*/}" "$@" || steps+=("$path")
	done
	[ ${#steps[@]} -gt 1 ] || at_once=1
	for path in "${steps[@]}"; do
		if [ "$at_once" -gt 1 ] &&
		   [ "$(head_of "$path" beside)" = yes ]; then
			[ ${#running[@]} -lt "$at_once" ] || end_one beside
			begin_step "$path" beside
		else
			while [ ${#running[@]} -gt 0 ]; do
				end_one beside
			done
			begin_step "$path" alone
			end_one alone
		fi
	done
	while [ ${#running[@]} -gt 0 ]; do
		end_one beside
	done
}

case ${1-} in
-h | --help)
	sed -n '4,25s/^# \{0,1\}//p' "$0"
	exit 0
	;;
--reach)
	folder=scripts/reach.d
	shift
	;;
esac
for word in "$@"; do
	if [ -z "$(targets "$word")" ]; then
		say "check.sh: no step has '$word' in its name; there are:" \
		    "$folder"/[0-9]* >&2
		exit 2
	fi
done
mkdir -p "$build/check"
set_up "$@"
set -m		# a process group for each job
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
run_steps "$@"
finish
