#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Replay a real program's allocations in a virtual machine and show every byte.
#
# usage: scripts/demo.sh [KERNEL]        KERNEL: 6.12 (default), newest, 6.12-arm64
#
# Records what python3 asks of malloc() while it compiles a part of its standard
# library, boots KERNEL, inserts kheap.ko and the replay client, replays the
# trace into a private heap and into kmalloc, and compares. Ends with a status
# other than 0 if anything went wrong, a report in the kernel's log included.

set -eu

repo=$(cd "$(dirname "$0")/.." && pwd)
tools=$repo/scripts/trace
heap=/sys/kernel/debug/kheap/replay

die()
{
	echo "demo.sh: $*" >&2
	exit 1
}

# A heading; restarts the clock that "took" reads.
headline()
{
	printf '\n=== %s\n' "$*"
	step_start=$EPOCHREALTIME
}

# EPOCHREALTIME has six decimals: without the dot it is microseconds.
took()
{
	local us=$((${EPOCHREALTIME/./} - ${step_start/./}))

	printf '    (%d.%d s)\n' $((us / 1000000)) $((us / 100000 % 10))
}

# --- On the host -------------------------------------------------------------

record_program()
{
	# Nothing of the caller's environment: the same trace for everybody.
	env -i PATH=/usr/bin:/bin HOME="${HOME-/}" LC_ALL=C.UTF-8 \
		PYTHONMALLOC=malloc PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 \
		KHEAP_BUILD="$build" \
		"$tools/record" -q -o "$trace" -- \
		/usr/bin/python3 -s -P "$tools/workload.py" 'a*.py' ||
		die "the recording failed"
	"$tools/check" "$trace" | sed -n '/^events/,$p' | sed 's/^/    /'
}

run_on_host()
{
	local demo_start=$EPOCHREALTIME status=0 group=''

	case $kernel in
	6.12 | 6.1 | 6.12-rt | 6.1-rt | newest) ;;
	6.12-arm64 | 6.12-arm64-16k) group=arm64 ;;
	6.12-s390x) group=s390x ;;
	*) die "unknown kernel $kernel: 6.12, 6.1, 6.12-rt, 6.1-rt, newest," \
		"6.12-arm64, 6.12-arm64-16k or 6.12-s390x" ;;
	esac
	"$repo/scripts/setup.sh" vm build ${group:+"$group"}
	mkdir -p "$build/demo"

	headline "1. Record python3 compiling a part of its standard library"
	record_program
	took

	headline "2. Build the modules for Debian's $kernel kernel"
	"$repo/scripts/build.sh" "$kernel" 2>&1
	took

	headline "3. Boot it in QEMU (an emulated machine: times are not the" \
		"hardware's)"
	"$repo/scripts/vm/run.py" --kernel "$kernel" -- \
		"$repo/scripts/demo.sh" --in-guest "$build/$kernel" "$trace" ||
		status=$?
	step_start=$demo_start
	echo
	if [ "$status" != 0 ]; then
		echo "The demo FAILED (status $status)." >&2
	else
		echo "The demo went through."
	fi
	took
	return "$status"
}

# --- In the guest ------------------------------------------------------------

insert()
{
	local file

	file=$(find "$modules" -name "$1.ko" -print -quit)
	[ -n "$file" ] || die "no $1.ko below $modules"
	insmod "$file" || die "$1.ko cannot be inserted"
	printf '%s: %s bytes of code and data\n' "$1" \
		"$(awk -v name="$1" '$1 == name { print $2 }' /proc/modules)"
}

remove()
{
	rmmod "$1" || die "$1 cannot be removed"
	[ ! -e "/sys/module/$1" ] || die "$1 is still there"
	echo "$1: removed"
}

show_stats()
{
	headline "5. $heap/stats at the peak"
	awk -F': *' '
		$1 == "held_bytes" { held = $2 }
		/^[a-z_]*_bytes: / && !/^nr_/ {
			note = ""
			if ($1 !~ /^(peak_held|limit)/)
				note = sprintf("  %6.2f %%", 100 * $2 / held)
			printf "%-20s %10d%s\n", $1 ":", $2, note
		}
		/^(allocated|cached|free|virgin|quarantined|empty|tail)_bytes/ ||
		/^(metadata|large)_bytes/ { sum += $2 }
		/^nr_/ && !/^nr_refused_/ {
			printf "%s", (n % 3 ? "" : n ? "\n" : "")
			printf(++n % 3 ? "%-26s" : "%s", $1 ": " $2)
		}
		END {
			print ""
			if (sum != held) {
				print "the parts do not add up to held_bytes"
				exit 1
			}
			print "allocated + cached + free + virgin + quarantined + empty + tail"
			print "  + metadata + large = " sum " = held: every byte is accounted for"
		}' "$heap/stats"
}

show_classes()
{
	headline "6. $heap/classes: the sizes in use," \
		"their blocks"
	sort -n -k 2 "$heap/classes" | awk '
		function head() {
			return sprintf("%5s %5s %6s %5s %5s %6s", "size",
				"pools", "alloc", "cache", "free", "full")
		}
		/^#/ { for (i = 2; i <= NF; i++) col[$i] = i - 1; next }
		$col["pools"] > 0 {
			used = $col["allocated"]
			all = $col["pools"] * $col["blocks"]
			row[++n] = sprintf("%5d %5d %6d %5d %5d %4.0f %%",
				$col["size"], $col["pools"], used,
				$col["cached"], $col["free"] + $col["virgin"],
				100 * used / all)
		}
		END {
			if (!n)
				exit 1
			half = int((n + 1) / 2)
			print head() "   |" head()
			for (i = 1; i <= half; i++)
				print row[i] "   |" row[i + half]
		}'
}

show_arenas()
{
	headline "7. $heap/arenas: a character for each page"
	"$repo/scripts/tools/kheap-map" text replay
}

# Called by replay while the heap is at the trace's peak.
show_heap()
{
	echo 1 >"$heap/check" || die "kheap_check() found violations"
	show_stats && show_classes && show_arenas
	headline "8. The rest of the trace, then the same in kmalloc"
}

# Whatever the kernel's own checkers, or kheap itself, have to report.
check_log()
{
	PYTHONPATH=$repo/scripts/vm PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -c '
import subprocess, sys, kernellog
log = subprocess.run(["dmesg", "-r"], stdout=subprocess.PIPE, check=True).stdout
bad = kernellog.complaints(kernellog.clean(log).splitlines())
print("\n".join(bad) if bad else "kernel log: no report")
sys.exit(bool(bad))'
}

run_in_guest()
{
	modules=$1
	trace=$2

	printf 'Linux %s, %s CPUs\n' "$(uname -r)" "$(nproc)"
	headline "4. Insert the modules, replay the trace up to its peak"
	insert kheap
	insert kheap_replay
	"$tools/replay" --at-peak "$0 --show-heap" "$trace" || die "the replay failed"
	took
	headline "9. Remove the modules"
	remove kheap_replay
	remove kheap
	check_log
	took
}

case ${1-} in
--in-guest) run_in_guest "$2" "$3" ;;
--show-heap) show_heap ;;
-h | --help) sed -n '3,11s/^# \{0,1\}//p' "$0" ;;
-*) die "unknown option $1; see --help" ;;
*)
	kernel=${1:-6.12}
	build=${KHEAP_BUILD:-$repo/build}
	case $build in /*) ;; *) build=$repo/$build ;; esac
	trace=$build/demo/python.trace
	run_on_host
	;;
esac
