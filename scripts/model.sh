#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Search the spin models completely; Documentation/models/README.rst explains them.

set -u

usage()
{
	cat <<-'END'
	Usage: scripts/model.sh [--large] [--only TEXT] [--limit SECONDS] [--memory MB]
	                        [--jobs N]

	Searches the models in Documentation/models: gc.pml, names.pml, busy.pml,
	mark.pml, parking.pml, order.pml. What should hold must hold in every reachable state,
	and every variant that is broken on purpose must break. One line a search:
	verdict, model, what was searched, states, seconds of CPU time. Exits with 1
	if anything is not as expected, 2 if it cannot run.

	  --large           the larger searches: hours, and up to --memory of memory
	  --only TEXT       only searches whose line contains TEXT
	  --limit SECONDS   of CPU time for each search (300; 36000 with --large)
	  --memory MB       for each search (3000; 12000 with --large)
	  --jobs N          searches at a time (the number of CPUs; 1 with --large)
	  --help            this text

	Needs spin, gcc and tcc (Debian packages of these names). Installs nothing,
	leaves nothing.
	END
}

cannot_run()
{
	echo "model.sh: $*" >&2
	exit 2
}

large=no
only=
limit=
memory=
nr_jobs=

while [ $# -gt 0 ]; do
	case $1 in
	--large)
		large=yes
		;;
	--only|--limit|--memory|--jobs)
		[ $# -gt 1 ] || cannot_run "$1 needs a value; see --help"
		case $1 in
		--only)   only=$2 ;;
		--limit)  limit=$2 ;;
		--memory) memory=$2 ;;
		--jobs)   nr_jobs=$2 ;;
		esac
		shift
		;;
	--help|-h)
		usage
		exit 0
		;;
	*)
		cannot_run "unknown option $1; see --help"
		;;
	esac
	shift
done
if [ $large = yes ]; then
	: "${limit:=36000}" "${memory:=12000}" "${nr_jobs:=1}"
else
	: "${limit:=300}" "${memory:=3000}" "${nr_jobs:=$(nproc)}"
fi
[[ "$limit $memory $nr_jobs" =~ ^[0-9]+\ [0-9]+\ [1-9][0-9]*$ ]] ||
	cannot_run "--limit, --memory and --jobs are whole numbers"

for tool in spin gcc tcc; do
	command -v $tool >/dev/null ||
		cannot_run "$tool is missing: install the package $tool"
done

models=$(cd "$(dirname "$0")/../Documentation/models" && pwd) ||
	cannot_run "Documentation/models is missing"
work=$(mktemp -d -t kheap-model.XXXXXX) || cannot_run "no temporary folder"
# shellcheck disable=SC2046 # a number each
trap 'kill $(jobs -rp) 2>/dev/null; wait; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

nr_searches=0
nr_printed=0

report()	# verdict model text
{
	printf '%-4s %-8s%s\n' "$1" "$2" "$3"
}

with_commas()
{
	local n=$1
	while [[ $n =~ ^([0-9]+)([0-9]{3}.*)$ ]]; do
		n=${BASH_REMATCH[1]},${BASH_REMATCH[2]}
	done
	echo "$n"
}

# Leaves in $why what went wrong, or $states and $seconds of a search that ended.
search()	# model text defines...
{
	local model=$1
	shift 2
	why=
	states=0
	seconds=0
	rm -f pan pan.* out cpu
	if ! spin "$@" -a "$model.pml" >out 2>&1 || [ ! -f pan.c ]; then
		why="spin refuses it: $(head -n 1 out)"
		return
	fi
	if ! $compiler -w -DSAFETY -DNOREDUCE -DNOCLAIM -DNOFAIR -DVECTORSZ=256 \
	     "-DMEMLIM=$memory" $compress -o pan pan.c >out 2>&1; then
		why="${compiler%% *} refuses it: $(head -n 1 out)"
		return
	fi
	# shellcheck disable=SC2016 # the inner shell expands these
	timeout -k 5 $((10 * limit)) bash -c 'ulimit -t "$0"; TIMEFORMAT=%U
		{ time ./pan -n -m100000 -w"$1" >out 2>&1; } 2>cpu' \
		"$limit" "$table" &
	pan=$!
	wait "$pan"
	local status=$?
	pan=
	if [ $status -ge 124 ]; then
		why="no end after $limit s"
		return
	fi
	states=$(awk '/states, stored/ { printf "%.0f", $1 }' out)
	seconds=$(awk '{ printf "%.0f", $1 + 0.5 }' cpu)
	if grep -q 'max search depth too small' out; then
		why="the search was cut at its greatest depth"
	elif grep -qE 'out of memory|reached -DMEMLIM' out; then
		why="more than $memory MB of memory"
	elif ! grep -q 'errors: ' out; then
		why="no result: $(head -n 1 out)"
	fi
}

# Print what has ended, in the order in which it was begun.
print_results()
{
	while [ -e "$work/$((nr_printed + 1)).done" ]; do
		nr_printed=$((nr_printed + 1))
		cat "$work/$nr_printed.out"
	done
}

# In a folder of its own, in a process of its own.
run_search()	# must_hold|must_break model text defines...
{
	pan=
	trap '[ -z "$pan" ] || kill "$pan" 2>/dev/null' EXIT
	trap 'exit 143' INT TERM
	mkdir "$work/$nr_searches" && cd "$work/$nr_searches" &&
		cp "$models"/*.pml . && "$@" >../"$nr_searches.out" 2>&1
	touch ../"$nr_searches.done"
}

# Begin a search when there is room for one more.
begin()	# must_hold|must_break model text defines...
{
	[[ -z $only || "$2 $3" == *"$only"* ]] || return 0
	while [ "$(jobs -rp | wc -l)" -ge "$nr_jobs" ]; do
		wait -n
		print_results
	done
	nr_searches=$((nr_searches + 1))
	run_search "$@" &
}

holds()
{
	begin must_hold "$@"
}

breaks()
{
	begin must_break "$@"
}

must_hold()	# model text defines...
{
	search "$@"
	if [ -z "$why" ] && ! grep -q 'errors: 0' out; then
		why=$(grep -m 1 '^pan:1:' out)
	fi
	if [ -n "$why" ]; then
		report FAIL "$1" "$2: $why"
	else
		report ok "$1" "$2: $(with_commas "$states") states, $seconds s"
	fi
}

must_break()	# model text defines...
{
	search "$@"
	if [ -z "$why" ] && ! grep -q 'assertion violated' out; then
		why="should be violated, and is not"
	fi
	if [ -n "$why" ]; then
		report FAIL "$1" "$2: $why"
	else
		report ok "$1" "$2: violated, as it must be"
	fi
}

small_searches()
{
	compress=
	table=24

	compiler="gcc -O1"
	holds gc "3 objects in a ring, 2 mutators, 2 operations" -DRING -DNOPS=2
	holds gc "3 objects, any heap, 2 mutators, 1 operation" -DNOPS=1
	holds gc "3 objects, any heap, 1 mutator, 3 operations, lookups" \
		-DNMUT=1 -DNOPS=3 -DRCU=3
	holds gc "2 objects with 2 fields, 1 mutator, 3 operations" \
		-DNOBJ=2 -DNFLD=2 -DNMUT=1 -DNOPS=3
	holds gc "every run finds what is garbage, 2 mutators, 2 operations" \
		-DLOOP -DNOBJ=2 -DNOPS=2
	holds gc "candidates find all of it, 2 mutators, 2 operations" \
		-DCAND -DNOBJ=2 -DNOPS=2
	holds gc "traverse sees no dead object, 1 mutator, 3 operations" \
		-DPIN -DNMUT=1 -DNOPS=3
	holds gc "finalizers and lookups, 2 objects, 2 mutators, 1 operation" \
		-DFINAL -DROOT -DRCU=2 -DNOBJ=2 -DNOPS=1

	compiler=tcc	# gcc would take longer than the search
	holds gc "finalizers and candidates, 2 mutators, 1 operation" \
		-DFINAL -DROOT -DCAND -DNO_MEMORY -DNOBJ=2 -DNOPS=1
	holds gc "3 objects in a ring, 2 mutators, 1 operation, 2 runs" \
		-DRING -DNOPS=1 -DNRUNS=2
	holds gc "2 objects, 2 mutators, 1 operation, 2 runs, lookups" \
		-DNOBJ=2 -DNOPS=1 -DNRUNS=2 -DRCU=2
	holds gc "types without clear, 2 mutators, 1 operation, 2 runs, lookups" \
		-DNO_CLEAR -DNOBJ=2 -DNOPS=1 -DNRUNS=2 -DRCU=2
	holds gc "types without clear, 3 objects, 1 mutator, 2 operations, lookups" \
		-DNO_CLEAR -DNMUT=1 -DNOPS=2 -DRCU=3
	holds gc "verdicts repeated, 2 mutators, 1 operation, 2 runs, lookups" \
		-DLOOP -DNOBJ=2 -DNOPS=1 -DNRUNS=2 -DRCU=2
	holds gc "traverse, candidates and lookups, 2 mutators, 1 operation" \
		-DPIN -DCAND -DNOBJ=2 -DNOPS=1 -DRCU=2
	holds names "2 mutators of 2 operations, 2 runs" -DNOPS=2 -DNRUNS=2
	holds busy "2 tasks of 2 operations, softirq, hardirq, drain" \
		-DNOPS=2 -DNIRQ=1 -DNDRAIN=1
	holds mark "2 CPUs, 2 blocks, tasks of 3 operations, interrupts" \
		-DNBLK=2 -DNOPS=3
	holds mark "a second free, 2 blocks, tasks of 3 operations, interrupts" \
		-DSECOND -DLOOKALIKE -DNBLK=2 -DNOPS=3
	holds mark "writes to free blocks, 2 blocks, tasks of 3 operations, interrupts" \
		-DSCRIBBLE -DNBLK=2 -DNOPS=3
	holds mark "a write, then a second free, 2 blocks, 2 operations, interrupts" \
		-DSCRIBBLE -DSECOND -DNBAD=2 -DNBLK=2 -DNOPS=2
	holds mark "two frees at once, 2 blocks, tasks of 2 operations, interrupts" \
		-DTWIN -DLOOKALIKE -DNBLK=2 -DNOPS=2
	holds mark "two frees at once with F: never two owners, 3 operations" \
		-DTWIN -DATOMIC -DNEVER_TWO -DLOOKALIKE -DNBLK=2 -DNOPS=3
	holds order "what is written, then the word of it"
	holds order "two flags, each seen by who sets the other" -DFLAGS
	holds order "the last put of a plain object, and a run" -DPUT
	holds parking "2 clients of 2 operations, 2 sweeps" -DNOPS=2
	holds parking "a second free, 2 clients of 2 operations, 2 sweeps" \
		-DSECOND -DNBAD=1 -DNOPS=2
	holds parking "two frees at once, 2 clients of 2 operations, 2 sweeps" \
		-DTWIN -DNBAD=1 -DNOPS=2
}

broken_variants()
{
	compress=
	compiler=tcc
	table=20

	breaks gc "edges counted before counts are read" -DEDGES_FIRST -DNMUT=1 -DNOPS=3
	breaks gc "marks set after counts are read" -DMARK_LATE -DNMUT=1 -DNOPS=3
	breaks gc "increments leave the mark alone" -DGET_NO_MARK -DNMUT=1 -DNOPS=3
	breaks gc "increments look at the mark first" -DLOOK_FIRST -DNMUT=1 -DNOPS=3
	breaks gc "a move into a slot leaves the mark alone" -DGIVE_NO_MARK -DNMUT=1 -DNOPS=3
	breaks gc "a move into a slot looks at the mark last" -DGIVE_LATE -DNMUT=1 -DNOPS=3
	breaks gc "dead objects stay suspects" -DDEAD_MEMBERS -DNMUT=1 -DNOPS=3
	breaks gc "a lookup leaves the mark alone" -DUPGRADE_NO_MARK -DNMUT=1 -DNOPS=3 -DRCU=3
	breaks gc "a lookup does not care for the verdict" \
		-DLOOKUP_NO_VERDICT -DNMUT=1 -DNOPS=3 -DRCU=3
	breaks gc "a lookup reads the verdict after the gc word" \
		-DWORD_FIRST -DNOBJ=2 -DNOPS=1 -DNRUNS=2 -DRCU=2
	breaks gc "the verdict is stored without a compare" \
		-DVERDICT_STORE -DNOBJ=2 -DNOPS=1 -DRCU=2
	breaks gc "a run does not wait for lookups" -DNO_LOOKUP_GRACE -DNOBJ=2 -DNOPS=1 -DRCU=2
	breaks gc "a run waits for lookups before GARBAGE is there" \
		-DGRACE_BEFORE_GARBAGE -DNOBJ=2 -DNOPS=1 -DRCU=2
	breaks gc "traverse holds no reference" -DPIN -DNO_PIN -DNMUT=1 -DNOPS=3
	breaks gc "finalizers run without a reference" \
		-DFINAL -DROOT -DNO_PIN -DNMUT=1 -DNOPS=2
	breaks gc "the second verification sets no marks" \
		-DFINAL -DROOT -DNO_REMARK -DNMUT=1 -DNOPS=3 -DNOBJ=2
	breaks gc "lookups find an object in its finalizer" \
		-DFINAL -DROOT -DFINALIZE_OPENLY -DNOBJ=2 -DNOPS=1 -DRCU=2
	breaks gc "what a finalizer resurrects is not remembered" \
		-DFINAL -DROOT -DCAND -DFINALIZE_FORGETS -DNOBJ=2 -DNOPS=1
	breaks gc "a run ends where its verdict is refused" -DLOOP -DNO_RETRY -DNOBJ=2 -DNOPS=2
	breaks gc "a run that gives up tells the next one nothing" \
		-DCAND -DNO_NEED_FULL -DNOBJ=2 -DNOPS=2
	breaks gc "a put remembers its object before it decrements" \
		-DCAND -DREMEMBER_EARLY -DNOBJ=2 -DNOPS=2
	breaks gc "candidates are forgotten after they are counted" \
		-DCAND -DLATE_CONSUME -DNOBJ=2 -DNOPS=2

	breaks names "the flag is set after the decrement" -DFLAG_LATE
	breaks names "nobody clears NEW" -DNEW_STAYS
	breaks names "the dead are freed though their names are in a buffer" -DNO_RELEASED
	breaks names "no second look at BUFFERED" -DNO_RECHECK
	breaks names "RELEASED is read before BUFFERED is cleared" -DTWO_STEPS
	breaks names "nothing is parked" -DNO_PARK
	breaks names "a run reads fields before it says so" -DFIELDS_FIRST
	breaks names "what is parked after the run stays so" -DPARK_BLINDLY
	breaks names "a run takes all names for its own" -DALL_OURS
	breaks names "a run lets go of names without a look" -DLET_GO_BLINDLY

	breaks busy "no mark" -DNO_MARK -DNOPS=2 -DNIRQ=1 -DNDRAIN=1
	breaks busy "mark set after the array is read" -DMARK_LATE -DNOPS=2 -DNIRQ=1 -DNDRAIN=1
	breaks busy "mark cleared before the array is written" \
		-DCLEAR_EARLY -DNOPS=2 -DNIRQ=1 -DNDRAIN=1
	breaks busy "the slow path ignores the mark" -DSLOW_TOUCHES -DNOPS=2 -DNIRQ=1 -DNDRAIN=1
	breaks busy "the drain ignores the mark" -DDRAIN_TOUCHES -DNOPS=2 -DNIRQ=1 -DNDRAIN=1
	breaks busy "preemption stays on" -DPREEMPTIBLE -DNOPS=2 -DNIRQ=1 -DNDRAIN=1
	breaks busy "the drain reaches over from its own CPU" \
		-DDRAIN_REMOTE -DNOPS=2 -DNIRQ=1 -DNDRAIN=1
	breaks busy "the question is written over the mark" \
		-DASK_STORES -DNOPS=2 -DNIRQ=1 -DNDRAIN=1

	breaks mark "an allocation leaves the mark" -DTAKE_NO_CLEAR -DNBLK=1
	breaks mark "an allocation does not look at the mark" \
		-DTAKE_UNCHECKED -DSCRIBBLE -DNBLK=1
	breaks mark "an allocation does not look at the mark, two frees at once" \
		-DTAKE_UNCHECKED -DTWIN -DNBLK=1
	breaks mark "a free does not look at the mark" -DPUT_UNCHECKED -DSECOND -DNBLK=1
	breaks mark "the mark is cleared after the block was handed out" \
		-DCLEAR_LATE -DNBLK=1
	breaks mark "blocks go to the pool without a look at the mark" \
		-DGIVE_UNCHECKED -DTWIN -DNBLK=1
	breaks mark "blocks are carved without a mark" -DCARVE_NO_MARK -DNBLK=1
	breaks mark "blocks leave the list without a look at the mark" \
		-DLISTED_UNCHECKED -DSCRIBBLE -DNBLK=2
	breaks mark "blocks that leave the list keep their link" -DLISTED_STAYS -DNBLK=2
	breaks mark "a list is searched for a block that may have left it" \
		-DCHANCE_BLIND -DSECOND -DNBLK=2
	breaks mark "a pool goes though a block of it has no link" \
		-DEMPTY_UNCHECKED -DSCRIBBLE -DSECOND -DNBAD=2 -DNBLK=2 -DNOPS=4 -DNIRQ=0
	breaks mark "with F, the mark is zeroed and set again" \
		-DBURY -DTWIN -DATOMIC -DNEVER_TWO -DNBLK=1
	breaks mark "with F, what looks listed is claimed outside of the lock" \
		-DCHANCE_BLIND -DLOOKALIKE -DTWIN -DATOMIC -DNEVER_TWO -DNBLK=1
	breaks mark "without F there are never two owners" -DTWIN -DNEVER_TWO -DNBLK=1
	breaks mark "two owners are only of frees that straddle another" \
		-DTWIN -DNOT_BOTH_OUT -DNBLK=1
	breaks mark "two owners are only of blocks that were taken out at once" \
		-DTWIN -DNOT_STRADDLED -DNBLK=1
	breaks mark "with F, there are never two owners of what was written to" \
		-DSCRIBBLE -DSECOND -DATOMIC -DNEVER_TWO -DNBAD=2 -DNBLK=1

	breaks order "the word is seen before what it tells of" -DNO_RELEASE
	breaks order "what it tells of is read before the word" -DNO_ACQUIRE
	breaks order "a look before one's own flag is seen" -DFLAGS -DNO_BARRIER
	breaks order "a put looks for a run before it reads the count" \
		-DPUT -DNO_PUT_ACQUIRE
	breaks order "a run reads fields before it says so" -DPUT -DNO_RUN_BARRIER

	breaks parking "no look at the mark after the bit is set" \
		-DNO_RECHECK -DTWIN -DNBAD=1
	breaks parking "no barrier between bit and flag" -DNO_BARRIER -DSECOND -DNBAD=1
	breaks parking "the flag is not looked at" -DFLAG_BLINDLY -DSECOND -DNBAD=1
	breaks parking "the flag is cleared after the bits are read" \
		-DBITS_FIRST -DSECOND -DNBAD=1
	breaks parking "the flag is set before frees ask questions" \
		-DLIMIT_LATE -DSECOND -DNBAD=1
	breaks parking "the bit is cleared before the mark is set" \
		-DBIT_FIRST -DSECOND -DNBAD=1
	breaks parking "frees do not ask for the bit" -DNO_BIT -DSECOND -DNBAD=1
	breaks parking "the sweep frees blocks that wait no more" \
		-DSWEEP_BLINDLY -DTWIN -DNBAD=1
	breaks parking "two frees at once never make two owners" \
		-DTWIN -DNBAD=1 -DNEVER_TWO
	breaks parking "with F, two frees at once never make two owners" \
		-DTWIN -DNBAD=1 -DATOMIC -DNEVER_TWO
}

large_searches()
{
	compress=-DCOLLAPSE
	compiler="gcc -O2"
	table=24

	holds gc "finalizers, 3 objects, 1 mutator, 1 operation" \
		-DFINAL -DROOT -DNMUT=1 -DNOPS=1
	holds gc "candidates and no memory, 2 mutators, 2 operations" \
		-DCAND -DNO_MEMORY -DNOBJ=2 -DNOPS=2
	holds gc "traverse and finalizers, 2 mutators, 1 operation, lookups" \
		-DPIN -DFINAL -DROOT -DNOBJ=2 -DNOPS=1 -DRCU=2
	holds gc "verdicts repeated, ring of 3, 2 mutators, 1 operation, 2 runs, lookups" \
		-DLOOP -DRING -DNOPS=1 -DNRUNS=2 -DRCU=3
	holds gc "traverse and lookups, 3 objects, 1 mutator, 3 operations" \
		-DPIN -DNMUT=1 -DNOPS=3 -DRCU=3
	holds gc "verdicts repeated, 2 mutators, 2 operations, lookups" \
		-DLOOP -DNOBJ=2 -DNOPS=2 -DRCU=2
	holds gc "finalizers and lookups, 2 objects, 2 mutators, 1 operation, 2 runs" \
		-DFINAL -DROOT -DNOBJ=2 -DNOPS=1 -DNRUNS=2 -DRCU=2
	holds gc "finalizers, candidates and lookups, 2 mutators, 1 operation, 2 runs" \
		-DFINAL -DROOT -DCAND -DNO_MEMORY -DNOBJ=2 -DNOPS=1 -DNRUNS=2 -DRCU=2
	holds names "2 mutators of 3 operations, 3 runs" -DNOPS=3 -DNRUNS=3
	holds gc "finalizers and lookups, 3 objects, 1 mutator, 2 operations" \
		-DFINAL -DROOT -DNMUT=1 -DNOPS=2 -DRCU=3
	holds gc "3 objects in a ring, 2 mutators, 2 operations, lookups" \
		-DRING -DNOPS=2 -DRCU=3
	holds gc "2 objects, any heap, 2 mutators, 2 operations, lookups" \
		-DNOBJ=2 -DNOPS=2 -DRCU=2
	holds gc "3 objects in a ring, 2 mutators, 3 and 1 operations" -DRING -DNOPS=3 -DNOPS2=1
	holds gc "3 objects in a ring, 2 mutators, 2 operations, 2 runs" \
		-DRING -DNOPS=2 -DNRUNS=2
	holds gc "3 objects, any heap, 2 mutators, 1 operation, 2 runs, borrowing" \
		-DNOPS=1 -DNRUNS=2 -DBORROW
	holds gc "2 objects with 2 fields, any heap, 2 mutators, 1 operation" \
		-DNOBJ=2 -DNFLD=2 -DNOPS=1
	holds gc "2 objects, any heap, 2 mutators with 3 locals, 1 operation, global slot" \
		-DNOBJ=2 -DNLOC=3 -DROOT -DNOPS=1 -DNRUNS=2
	holds gc "4 objects in a ring, 2 mutators, 2 operations" -DNOBJ=4 -DRING -DNOPS=2
	holds gc "every run finds what is garbage, ring of 3, 2 mutators, 2 operations" \
		-DLOOP -DRING -DNOPS=2
	holds gc "candidates find all of it, ring of 3, 2 mutators, 2 operations" \
		-DCAND -DRING -DNOPS=2
	holds gc "traverse sees no dead object, ring of 3, 2 mutators, 2 operations" \
		-DPIN -DRING -DNOPS=2
	holds gc "no count compared, 3 objects in a ring, 2 mutators, 2 operations, lookups" \
		-DNO_RECOUNT -DRING -DNOPS=2 -DRCU=3
	holds gc "verdicts repeated, ring of 3, 2 mutators, 2 operations, lookups" \
		-DLOOP -DRING -DNOPS=2 -DRCU=3
	holds gc "finalizers and lookups, 2 objects, 2 mutators, 2 operations" \
		-DFINAL -DROOT -DNOBJ=2 -DNOPS=2 -DRCU=2
	holds busy "2 tasks of 2 operations, 2 softirqs, 2 hardirqs, 2 drains" \
		-DNOPS=2 -DNIRQ=2 -DNDRAIN=2
	holds mark "2 blocks, tasks of 4 operations, interrupts" -DNBLK=2 -DNOPS=4
	holds mark "3 blocks, tasks of 3 operations, interrupts" -DNBLK=3 -DNOPS=3
	holds mark "two second frees, 2 blocks, tasks of 4 operations, interrupts" \
		-DSECOND -DLOOKALIKE -DNBAD=2 -DNBLK=2 -DNOPS=4
	holds mark "two writes, second frees, 2 blocks, tasks of 3 operations, interrupts" \
		-DSCRIBBLE -DSECOND -DNBAD=3 -DNBLK=2 -DNOPS=3
	holds mark "two frees at once, 2 blocks, tasks of 3 operations, interrupts" \
		-DTWIN -DLOOKALIKE -DNBLK=2 -DNOPS=3
	holds mark "two frees at once, twice, 2 blocks, 3 operations, interrupts" \
		-DTWIN -DNBAD=2 -DNBLK=2 -DNOPS=3
	holds mark "two frees at once with F: never two owners, 4 operations" \
		-DTWIN -DATOMIC -DNEVER_TWO -DLOOKALIKE -DNBAD=2 -DNBLK=2 -DNOPS=4
	holds parking "2 clients of 3 operations, 2 sweeps" -DNOPS=3
	holds parking "two second frees, 2 clients of 3 operations, 2 sweeps" \
		-DSECOND -DNBAD=2 -DNOPS=3
	holds parking "two frees at once, 2 clients of 3 operations, 2 sweeps" \
		-DTWIN -DNBAD=1 -DNOPS=3
	holds gc "3 objects in a ring, 2 mutators, 3 and 2 operations" -DRING -DNOPS=3 -DNOPS2=2
	holds gc "3 objects, any heap, 2 mutators, 2 operations" -DNOPS=2
	holds gc "3 objects in a ring, 2 mutators, 3 operations" -DRING -DNOPS=3
}

if [ $large = yes ]; then
	large_searches
else
	small_searches
	broken_variants
fi

[ $nr_searches -gt 0 ] || cannot_run "no search contains \"$only\""
wait
print_results
nr_good=$(cat "$work"/*.out | grep -c '^ok ')
echo "$nr_good passed, $((nr_searches - nr_good)) failed"
[ "$nr_good" -eq $nr_searches ]
