#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Install the Debian packages that a group of tools needs, and say so first.
# Silent and quick when nothing is missing.
#
# usage: scripts/setup.sh [-n] GROUP...      -n: only say what is missing

set -eu

declare -A GROUPS_OF=(
	[vm]="qemu-system-x86 python3 gcc libc6-dev kmod xz-utils"
	[build]="gcc-12 gcc libc6-dev make rsync pahole libelf1|libelf1t64
		 libssl3|libssl3t64 kmod python3 perl"
	[kernel]="gcc make bc bison flex libelf-dev libssl-dev perl xz-utils
		  python3"
	[native]="gcc libc6-dev make bc bison flex perl patch rsync xz-utils
		  python3"
	[kmsan]="clang-19"
	[arm64]="qemu-system-arm gcc-12-aarch64-linux-gnu gcc-aarch64-linux-gnu
		 libc6-dev-arm64-cross"
	[s390x]="qemu-system-s390x|qemu-system-misc gcc-12-s390x-linux-gnu
		 gcc-s390x-linux-gnu libc6-dev-s390x-cross"
	[lint]="sparse shellcheck codespell perl python3"
	[cover]="lcov gcc"
	[ext4]="e2fsprogs fio gcc libc6-dev rsync"
	[install]="dkms man-db groff-base kmod xz-utils gcc libc6-dev openssl"
	[bpf]="bpftrace python3"
	[drgn]="python3-drgn python3"
	[programs]="git gcc libc6-dev"
	[model]="spin gcc tcc libc6-dev"
	[docs]="python3-sphinx perl python3 xz-utils"
)
MAX_INDEX_AGE_DAYS=2

usage()
{
	sed -n '3,7s/^# \{0,1\}//p' "$0"
	echo "groups: ${!GROUPS_OF[*]}"
	exit "$1"
}

die()
{
	echo "setup.sh: $*" >&2
	exit 1
}

# Of names that packages have in different releases, the one that is offered.
offered_of()
{
	local name

	for name in ${1//|/ }; do
		if [ -n "$(apt-cache show "$name" 2>/dev/null)" ]; then
			echo "$name"
			return
		fi
	done
	echo "${1%%|*}"
}

# Print the packages of the groups that are not installed.
missing_packages()
{
	local group pkg name names have
	local -A seen=()

	for group in "$@"; do
		for pkg in ${GROUPS_OF[$group]}; do
			seen[$pkg]=1
		done
	done
	read -ra names <<<"$(tr '|' ' ' <<<"${!seen[*]}")"
	# shellcheck disable=SC2016  # dpkg-query's own variables
	have=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' \
		"${names[@]}" 2>/dev/null |
		sed -n 's/^ii *//p')
	for pkg in "${!seen[@]}"; do
		for name in ${pkg//|/ }; do
			! grep -qxF "$name" <<<"$have" || continue 2
		done
		case $pkg in
		*"|"*) offered_of "$pkg" ;;
		*) echo "$pkg" ;;
		esac
	done | sort
}

run_apt()
{
	local -a cmd=(env DEBIAN_FRONTEND=noninteractive apt-get -q
		      -o DPkg::Lock::Timeout=300)

	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null ||
			die "run this as root once: it must install packages"
		cmd=(sudo "${cmd[@]}")
	fi
	"${cmd[@]}" "$@" </dev/null
}

index_is_stale()
{
	[ -z "$(find /var/lib/apt/lists -name '*_Packages*' \
		-mtime -"$MAX_INDEX_AGE_DAYS" -print -quit 2>/dev/null)" ]
}

# Keep apt's chatter in a file: it is only of interest when it fails.
install_packages()
{
	local log

	log=$(mktemp)
	# A stale index is refreshed; offline, what it offers may still do.
	if index_is_stale; then
		echo "setup.sh: refreshing the package index" >&2
		run_apt update >"$log" 2>&1 || true
	fi
	if ! run_apt install -y --no-install-recommends "$@" >"$log" 2>&1; then
		run_apt update >>"$log" 2>&1 || true
		run_apt install -y --no-install-recommends "$@" \
			>>"$log" 2>&1 || {
			grep '^E:' "$log" | tail -n 2 >&2 || true
			die "cannot install $*: is there a network?" \
				"($log has apt's messages)"
		}
	fi
	rm -f "$log"
}

only_say=
[ "${1-}" = -n ] && { only_say=1; shift; }
[ $# -gt 0 ] || usage 2
case $1 in -h | --help) usage 0 ;; esac
for group in "$@"; do
	[ -n "${GROUPS_OF[$group]-}" ] || die "no group '$group'"
done
command -v dpkg-query >/dev/null ||
	die "this set-up knows Debian only; install by hand: " \
		"${GROUPS_OF[*]}"

mapfile -t missing < <(missing_packages "$@")
[ "${#missing[@]}" -gt 0 ] || exit 0
echo "setup.sh: to be installed: ${missing[*]}" >&2
[ -z "$only_say" ] || exit 0
install_packages "${missing[@]}"
echo "setup.sh: installed" >&2
