#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Install kheap, or take the installation away.
#
# usage: install.sh install|uninstall|install-dkms|uninstall-dkms|list
#
# install puts what `make` built for KDIR below these folders, all of them below
# DESTDIR if that is set:
#
#   /lib/modules/RELEASE/updates/kheap    kheap.ko, kheap_replay.ko
#   PREFIX/include/kheap                  headers for clients
#   PREFIX/share/kheap/RELEASE            Module.symvers for clients
#   PREFIX/lib/kheap, PREFIX/bin          tools
#   PREFIX/share/man                      manual pages
#
# install-dkms puts the source with a dkms.conf in /usr/src/kheap-VERSION; then
# "dkms install kheap/VERSION" builds it for a kernel. list prints the files of
# an installation. uninstall removes those, of every release that there is below
# DESTDIR, and nothing else.
# Variables: DESTDIR, PREFIX (/usr/local), KDIR (the running kernel's headers), O (a
# kernel's output folder, instead of KDIR), KHEAP_BUILD, KEY and CERT (files to sign
# the modules with).

set -eu
# What is installed is for everybody, whoever installs it.
umask 022
unset CDPATH

repo=$(cd "$(dirname "$0")/../.." && pwd)
build=${KHEAP_BUILD:-$repo/build}
case $build in /*) ;; *) build=$repo/$build ;; esac
built=$build/host
prefix=${PREFIX:-/usr/local}
PATH=$PATH:/usr/sbin:/sbin
dest=${DESTDIR-}
case $dest in '' | /*) ;; *) dest=$PWD/$dest ;; esac
kdir=${O:-${KDIR:-/lib/modules/$(uname -r)/build}}
key=${KEY-} cert=${CERT-}
version=$(sed -n 's/^MODULE_VERSION("\(.*\)");/\1/p' "$repo/module/main.c")

die()
{
	echo "install.sh: $*" >&2
	exit 1
}

usage()
{
	sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
}

# The release that KDIR has the headers of.
release()
{
	local file=$kdir/include/config/kernel.release

	[ -s "$file" ] || die "no kernel headers in $kdir; set KDIR"
	cat "$file"
}

# A line of the list of files: mode (or - for a made one, @ for a link), file,
# destination. Folders have spaces in their names, but no tabs.
entry()
{
	printf '%s\t%s\t%s\n' "$@"
}

# For one release:
release_files()
{
	local name release=$1

	for name in kheap.ko samples/kheap_replay.ko; do
		entry 644 "$built/module/$name" \
			"/lib/modules/$release/updates/kheap/${name##*/}"
	done
	entry 644 "$built/Module.symvers" \
		"$prefix/share/kheap/$release/Module.symvers"
}

# For all of them:
common_files()
{
	local file

	for file in "$repo"/module/include/kheap/*.h; do
		entry 644 "$file" "$prefix/include/kheap/${file##*/}"
	done
	tool_files
	for file in "$repo"/scripts/bpftrace/{*.bt,kheap-bpftrace}; do
		entry 755 "$file" "$prefix/lib/kheap/bpftrace/${file##*/}"
	done
	entry 644 "$repo/Documentation/man/kheap.7" \
		"$prefix/share/man/man7/kheap.7"
}

# No set -e in what is substituted: every failure is handed on by hand.
files()
{
	local release

	release=$(release) || exit
	release_files "$release"
	common_files
}

# The modules are there, and are those of the release they are installed for.
check_modules()
{
	local file magic release=$1

	for file in "$built"/module/{kheap,samples/kheap_replay}.ko; do
		[ -s "$file" ] || die "$file is missing: run make first"
		magic=$(modinfo -F vermagic "$file") || die "$file is no module"
		[ "${magic%% *}" = "$release" ] ||
			die "${file##*/} is for ${magic%% *}, but $kdir is" \
			    "for $release: run make with this KDIR first"
	done
}

# Before anything is written: who signs can sign.
check_signing()
{
	[ -n "$key$cert" ] || return 0
	if [ -z "$key" ] || [ -z "$cert" ]; then
		die "KEY and CERT go together: to sign the modules, set both"
	fi
	[ -r "$key" ] || die "KEY=$key cannot be read"
	[ -r "$cert" ] || die "CERT=$cert cannot be read"
	[ -x "$kdir/scripts/sign-file" ] || die "$kdir/scripts/sign-file is" \
		"not there, which signs modules: set KDIR to a folder with it"
}

# Sign an installed module.
sign()
{
	local hash

	[ -n "$key" ] || return 0
	hash=$(sed -n 's/^CONFIG_MODULE_SIG_HASH=//p' \
		"$kdir/include/config/auto.conf" | tr -d '"')
	"$kdir/scripts/sign-file" "${hash:-sha256}" "$key" "$cert" "$1" ||
		die "$1 is not signed: see above what KEY and CERT lack"
}

# Does the kernel that they are for take modules that nobody signed?
say_if_unsigned()
{
	local why

	[ -z "$key" ] || return 0
	if grep -qs '^CONFIG_MODULE_SIG_FORCE=y' \
		"$kdir/include/config/auto.conf"; then
		why="$1 loads signed modules only"
	elif [ "$(uname -r)" = "$1" ] &&
	     { grep -qs Y /sys/module/module/parameters/sig_enforce ||
	       grep -qs '\[\(integrity\|confidentiality\)\]' \
			/sys/kernel/security/lockdown; }; then
		why="this machine loads signed modules only"
	else
		return 0
	fi
	echo "install.sh: $why, and these are not: set KEY and CERT" \
	     "(Documentation/installing.rst)" >&2
}

# Somebody else's folder may be closed to us.
check_writable()
{
	local folder=$dest/lib/modules

	while [ ! -e "$folder" ]; do folder=${folder%/*}; folder=${folder:-/}; done
	[ -w "$folder" ] || die "$folder cannot be written to: run this as" \
		"root, or set DESTDIR"
}

# The releases that something is installed for.
installed_releases()
{
	local folder

	for folder in "$dest"/lib/modules/*/updates/kheap \
		      "$dest$prefix"/share/kheap/*; do
		[ -d "$folder" ] || continue
		folder=${folder%/updates/kheap}
		echo "${folder##*/}"
	done | sort -u
}

# A tool's name, its file below lib/kheap, and the section of its page.
TOOLS='kheap-top tools/kheap-top 8
kheap-map tools/kheap-map 8
kheap-plot tools/kheap-plot 1
kheap-bpftrace bpftrace/kheap-bpftrace 8
kheap-record trace/record 1
kheap-record-kernel trace/record-kernel 8
kheap-check-trace trace/check 1
kheap-replay trace/replay 8'

tool_files()
{
	local file mode name at section

	for file in "$repo"/scripts/tools/* "$repo"/scripts/trace/*; do
		[ -f "$file" ] || continue
		[ "${file##*/}" != damage ] || continue	# for tests only
		mode=644
		[ ! -x "$file" ] || mode=755
		entry "$mode" "$file" "$prefix/lib/kheap/${file#"$repo/scripts/"}"
	done
	while read -r name at section; do
		entry @ "../lib/kheap/$at" "$prefix/bin/$name"
		entry - "$name:$section:$repo/scripts/$at" \
			"$prefix/share/man/man$section/$name.$section"
	done <<<"$TOOLS"
}

# Folders that are ours alone may be of an installation that closed them.
open_folders()
{
	local folder=$1

	while [ "${folder##*/kheap*}" != "$folder" ]; do
		chmod 755 "$folder"
		folder=${folder%/*}
	done
}

install_file()
{
	local mode=$1 from=$2 to=$dest$3 tool name section

	mkdir -p "${to%/*}"
	open_folders "${to%/*}"
	case $mode in
	@)
		ln -sf "$from" "$to"
		;;
	-)
		IFS=: read -r name section tool <<<"$from"
		"$repo/scripts/install/man.py" "$tool" "$name" "$section" \
			>"$to.new"
		chmod 644 "$to.new"
		mv "$to.new" "$to"
		;;
	*)
		[ -s "$from" ] || die "$from is missing: run make first"
		install -m "$mode" "$from" "$to"
		case $to in *.ko) sign "$to" ;; esac
		;;
	esac
}

# Only for the system itself; a package does it when it is installed.
update_system()
{
	[ -z "$dest" ] && [ -d "/lib/modules/$1" ] || return 0
	depmod "$1"
}

# Remove a file, and folders that are empty then and were ours alone.
remove_file()
{
	local to=$dest$1 folder

	rm -f "$to"
	folder=${to%/*}
	while [ "${folder##*/kheap*}" != "$folder" ] || [ -n "$dest" ]; do
		case $folder in "$dest" | '') break ;; esac
		rmdir "$folder" 2>/dev/null || break
		folder=${folder%/*}
	done
}

do_install()
{
	local mode from to list release

	release=$(release) || exit
	list=$(files) || exit
	check_modules "$release"
	check_signing
	check_writable
	while IFS=$'\t' read -r mode from to; do
		install_file "$mode" "$from" "$to"
	done <<<"$list"
	update_system "$release"
	say_if_unsigned "$release"
	echo "installed kheap $version for $release" >&2
}

# What was installed does not depend on KDIR, nor on what is built now.
do_uninstall()
{
	local mode from to list releases release

	releases=$(installed_releases) || exit
	list=$(for release in $releases; do release_files "$release"; done
	       common_files) || exit
	while IFS=$'\t' read -r mode from to; do
		remove_file "$to"
	done <<<"$list"
	for release in $releases; do
		update_system "$release"
	done
	echo "removed kheap $version${releases:+ for "${releases//$'\n'/, }"}" >&2
}

dkms_folder()
{
	echo "$dest/usr/src/kheap-$version"
}

# Only kheap itself: its neighbours in module/ are for the tests.
do_install_dkms()
{
	local folder

	folder=$(dkms_folder)
	rm -rf "$folder"
	mkdir -p "$folder"
	(cd "$repo" && find module \( -path module/samples -o \
		-path module/torture -o -path module/bench \) -prune -o \
		-name '*.[chS]' -not -name '*.mod.c' -print0 |
		tar -c --null -T -) | tar -x -C "$folder"
	sed '/^obj-m += .*\/$/d' "$repo/module/Kbuild" >"$folder/module/Kbuild"
	printf 'obj-m := module/\n' >"$folder/Kbuild"
	sed "s/@VERSION@/$version/" "$repo/scripts/install/dkms.conf" \
		>"$folder/dkms.conf"
	install -m 755 "$repo/scripts/install/keep-symvers" "$folder/"
	cp "$repo/COPYING" "$folder/"
	chmod -R u=rwX,go=rX "$folder"
	echo "installed $folder; next: dkms install kheap/$version" >&2
}

case ${1-} in
install) do_install ;;
uninstall) do_uninstall ;;
install-dkms) do_install_dkms ;;
uninstall-dkms) rm -rf "$(dkms_folder)" ;;
list) list=$(files); awk -F '\t' -v dest="$dest" '{ print dest $3 }' <<<"$list" ;;
-h | --help) usage ;;
*) usage >&2; exit 2 ;;
esac
