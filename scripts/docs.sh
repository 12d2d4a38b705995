#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make build/docs/html from Documentation/ and the headers' comments.
#
# usage: scripts/docs.sh
#
# The reference is made by the kernel source's scripts/kernel-doc. A warning of
# it or of sphinx is an error.

set -eu -o pipefail

repo=$(cd "$(dirname "$0")/.." && pwd)
build=${KHEAP_BUILD:-$repo/build}
case $build in /*) ;; *) build=$repo/$build ;; esac
source=$build/docs/source

die()
{
	echo "docs.sh: $*" >&2
	exit 1
}

# In a comment, a name that ends in "_" is no link.
header_page()
{
	local header=$1 title

	title="<kheap/$(basename "$header")>"
	printf '%s\n%s\n%s\n\n.. highlight:: c\n\n' "${title//?/=}" "$title" \
		"${title//?/=}"
	perl "$KHEAP_KERNEL_SOURCE/scripts/kernel-doc" -rst -Wall \
		-sphinx-version "$sphinx_version" "$header" |
		sed 's/\([a-z]\)_\( \|$\)/\1\\_\2/g'
}

reference_page()
{
	local name

	printf 'Reference\n=========\n\n.. toctree::\n   :maxdepth: 2\n\n'
	for name in "$@"; do
		echo "   $name"
	done
}

case ${1-} in
-h | --help) sed -n '4,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
?*) die "no arguments, please; see --help" ;;
esac

command -v sphinx-build >/dev/null ||
	die "sphinx-build is missing: apt install python3-sphinx"
sphinx_version=$(sphinx-build --version)
sphinx_version=${sphinx_version##* }
KHEAP_KERNEL_SOURCE=$("$repo/scripts/vm/kernels.py" source)
export KHEAP_KERNEL_SOURCE

rm -rf "$source"
mkdir -p "$source"
cp -r "$repo/Documentation/." "$source/"
cp "$repo/scripts/trace/FORMAT.rst" "$source/trace-format.rst"

pages=()
for header in "$repo"/module/include/kheap/*.h; do
	# Some have no kernel-doc: slab_compat.h has the kernel's own names.
	grep -q '^/\*\*$' "$header" || continue
	name=header-$(basename "$header" .h)
	header_page "$header" >"$source/$name.rst" 2>"$source/$name.log" ||
		die "kernel-doc fails on $header"
	if [ -s "$source/$name.log" ]; then
		cat "$source/$name.log" >&2
		die "kernel-doc has something to say about $header"
	fi
	pages+=("$name")
done
reference_page "${pages[@]}" >"$source/reference.rst"

PYTHONDONTWRITEBYTECODE=1 sphinx-build -q -W --keep-going -b html \
	-d "$build/docs/doctrees" "$source" "$build/docs/html" ||
	die "sphinx has something to say"
echo "built $build/docs/html/index.html" >&2
