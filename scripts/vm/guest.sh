# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What an integration test in scripts/vm/tests/ may use; sourced first:
#
#	. "$(dirname "$0")/../guest.sh"
#
# load_module NAME [ARG...]   insert build/KERNEL/module/**/NAME.ko
# unload_module NAME          remove it
# step TEXT                   say what comes next
# fail TEXT                   end the test, failed
# assert CMD...               CMD must succeed
# refute CMD...               CMD must fail
# assert_eq WANT GOT WHAT     the two must be equal
# assert_log REGEX            the kernel log since the start has such a line
# expect_log REGEX            such lines are no fault of this test's run
# heap_stat HEAP KEY          print a value of the heap's stats
# heap_file HEAP FILE         print the path of a heap's file in debugfs
#
# KHEAP_VM_KERNEL names the kernel, KHEAP_MODULES is the folder of its
# modules, KHEAP_TEST_TMP a folder of this test's own.

set -eu

KHEAP_DEBUGFS=/sys/kernel/debug/kheap
: "${KHEAP_MODULES:=${KHEAP_BUILD:-build}/$KHEAP_VM_KERNEL}"
: "${KHEAP_TEST_TMP:=$(mktemp -d)}"
export KHEAP_DEBUGFS KHEAP_MODULES KHEAP_TEST_TMP

step()
{
	echo "  - $*"
}

fail()
{
	echo "  FAILED: $*" >&2
	exit 1
}

# The file of a module, wherever below the folder of modules it is.
module_file()
{
	local file

	file=$(find "$KHEAP_MODULES" -name "$1.ko" -print -quit)
	[ -n "$file" ] || fail "no $1.ko below $KHEAP_MODULES"
	echo "$file"
}

load_module()
{
	local file name=$1

	file=$(module_file "$name")
	shift
	insmod "$file" "$@" || fail "insmod $file $*"
}

unload_module()
{
	rmmod "$1" || fail "rmmod $1"
}

assert()
{
	"$@" || fail "$* (status $?)"
}

refute()
{
	if "$@"; then
		fail "$* succeeded"
	fi
}

assert_eq()
{
	[ "$1" = "$2" ] || fail "$3: want '$1', got '$2'"
}

# The kernel log since the test began; the harness writes the mark.
test_log()
{
	dmesg | awk -v mark="kheap-test: begin ${KHEAP_TEST_NAME-}" '
		index($0, mark) { text = ""; next }
		{ text = text $0 "\n" }
		END { printf "%s", text }'
}

assert_log()
{
	test_log | grep -Eq -- "$1" || fail "no line in the log matches: $1"
}

expect_log()
{
	echo "$1" >>"$KHEAP_TEST_TMP/expected"
}

heap_file()
{
	echo "$KHEAP_DEBUGFS/$1/$2"
}

heap_stat()
{
	local value

	value=$(awk -F': *' -v key="$2" '$1 == key { print $2; exit }' \
		"$(heap_file "$1" stats)")
	[ -n "$value" ] || fail "heap $1 has no $2 in its stats"
	echo "$value"
}
