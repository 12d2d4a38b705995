#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Look at the code with every tool there is; silent tools are clean tools.
#
# usage: scripts/lint.sh [TOOL...]
# tools: w1 sparse checkpatch kernel-doc coccicheck shellcheck codespell
#        python mutants layers sizes
# coccicheck runs where spatch is installed.

set -u
cd "$(dirname "$0")/.." || exit 1
red=()

# What checkpatch says that does not apply here:
#   FILE_PATH_CHANGES, COMMIT_*    about patches, not files
#   LINUX_VERSION_CODE             module/base/compat.h exists for that
#   MACRO_ARG_REUSE                tracepoint headers are made of these
#   OPEN_ENDED_LINE                prototypes whose names are long
#   UNCOMMENTED_DEFINITION         locks are described in kernel-doc
#   BIT_MACRO                      1 << n is a size here, not a flag
#   PARENTHESIS_ALIGNMENT          a condition that goes on, inside a call
CHECKPATCH_IGNORE=FILE_PATH_CHANGES,LINUX_VERSION_CODE,MACRO_ARG_REUSE
CHECKPATCH_IGNORE+=,OPEN_ENDED_LINE,UNCOMMENTED_DEFINITION,BIT_MACRO
CHECKPATCH_IGNORE+=,PARENTHESIS_ALIGNMENT

# What it says in one place that does not apply there: symbols that are exported
# in a file of their own, the operands of an assembler statement, initialisers
# that are a macro, a version that is no constant on the wrong side, functions
# that are made by a macro. It does not know typeof and _Generic.
CHECKPATCH_EXPECTED='module/kunit_exports.c:[0-9]*: WARNING:EXPORT_SYMBOL'
CHECKPATCH_EXPECTED+='|module/base/arch/[a-z0-9_]*.h:[0-9]*: CHECK:SPACING'
CHECKPATCH_EXPECTED+='|module/bench/space.c:[0-9]*: ERROR:COMPLEX_MACRO'
CHECKPATCH_EXPECTED+='|module/samples/replay_trace.c:.*MACRO_ARG_PRECEDENCE'
CHECKPATCH_EXPECTED+='|WARNING:CONSTANT_COMPARISON'
CHECKPATCH_EXPECTED+='|module/samples/workload.c:.*MACRO_(ARG_PREC|WITH_FLOW)'
CHECKPATCH_EXPECTED+='|kunit/helpers.h:[0-9]*: CHECK:SPACING'
CHECKPATCH_EXPECTED+='|slab_compat.h:[0-9]*: [A-Z]*:(SPACING|TABSTOP|CAMELCASE'
CHECKPATCH_EXPECTED+='|TRAILING_STATEMENTS|SUSPECT_CODE_INDENT|NEW_TYPEDEFS'
CHECKPATCH_EXPECTED+='|MACRO_ARG_UNUSED):'

# Words that codespell takes for mistakes.
CODESPELL_IGNORE=parm,inout,te,fpr,ot,nd,ue,wih,fro

sources()
{
	find module kunit -name '*.[ch]' -not -name '*.mod.c' | sort
}

scripts()
{
	grep -rlE '^#!.*\b(ba)?sh\b' --exclude='*.rst' --exclude='*.md' \
		--exclude='*.bt' \
		scripts .ci | sort
}

kernel_source()
{
	scripts/vm/kernels.py source
}

lint_w1()
{
	scripts/build.sh --w1 --clean 6.12 2>&1 | grep -v '^built '
	[ "${PIPESTATUS[0]}" -eq 0 ]
}

lint_sparse()
{
	scripts/build.sh --sparse --clean 6.12 2>&1 | grep -v '^built '
	[ "${PIPESTATUS[0]}" -eq 0 ]
}

lint_checkpatch()
{
	local tree

	tree=$(kernel_source) || return
	sources | xargs perl "$tree/scripts/checkpatch.pl" --no-tree --strict \
		--terse --quiet --no-summary --show-types \
		--ignore "$CHECKPATCH_IGNORE" -f 2>&1 |
		grep -vE "^No typos will be found|$CHECKPATCH_EXPECTED" || true
}

lint_kernel_doc()
{
	local tree

	tree=$(kernel_source) || return
	find module -name '*.[ch]' -print0 |
		xargs -0 "$tree/scripts/kernel-doc" -none -Wall 2>&1
}

lint_coccicheck()
{
	local tree file

	command -v spatch >/dev/null || return 0
	tree=$(kernel_source) || return
	for file in "$tree"/scripts/coccinelle/{api,free,iterators,locks,null}/*.cocci
	do
		grep -q 'virtual report' "$file" || continue
		spatch --very-quiet -D report --no-show-diff \
			--cocci-file "$file" --dir module \
			-I module/include 2>/dev/null
	done
}

lint_shellcheck()
{
	scripts | xargs shellcheck -x
}

lint_codespell()
{
	codespell -q 6 -L "$CODESPELL_IGNORE" \
		-S './build*,*.pyc,COPYING,*.svg,.git,*.trace,*.kht' . 2>&1
}

lint_python()
{
	{
		find scripts -name '*.py'
		grep -rlE '^#!.*python3' scripts
	} | sort -u | xargs -n 1 python3 -c '
import ast, sys
ast.parse(open(sys.argv[1]).read(), sys.argv[1])'
}

# Faults that no longer fit the code.
lint_mutants()
{
	scripts/mutants.py --list | grep -v ' passed, 0 failed$'
	[ "${PIPESTATUS[0]}" -eq 0 ]
}

# Who calls, includes or looks at what is above; and that the guard sees it.
lint_layers()
{
	scripts/layers.py --self-test || return
	scripts/layers.py 2>&1 | grep -v '^built '
	[ "${PIPESTATUS[0]}" -eq 0 ]
}

# Files of over 800 lines, functions of over 80.
lint_sizes()
{
	sources | xargs awk '
		FNR == 801 { print FILENAME ": has more than 800 lines" }
		/^{/ { start = FNR }
		/^}/ && start && FNR - start > 81 {
			print FILENAME ":" start ": has " FNR - start - 1 " lines"
		}
		/^}/ { start = 0 }'
}

# One that fails is not clean, even if it has nothing to say.
run_tool()
{
	local tool=$1 out status

	out=$("lint_${tool//-/_}" 2>&1)
	status=$?
	if [ -n "$out" ] || [ "$status" -ne 0 ]; then
		echo "== $tool"
		printf '%s\n' "${out:-status $status}"
		red+=("$tool")
	else
		echo "== $tool: clean"
	fi
}

case ${1-} in
-h | --help)
	sed -n '4,9s/^# \{0,1\}//p' "$0"
	exit 0
	;;
esac
tools=("$@")
[ $# -gt 0 ] || tools=(w1 sparse checkpatch kernel-doc coccicheck shellcheck
		       codespell python mutants layers sizes)
for tool in "${tools[@]}"; do
	if [ "$(type -t "lint_${tool//-/_}")" != function ]; then
		echo "lint.sh: no tool '$tool'" >&2
		exit 2
	fi
	run_tool "$tool"
done
[ "${#red[@]}" -eq 0 ] || {
	echo "not clean: ${red[*]}"
	exit 1
}
