# SPDX-License-Identifier: GPL-2.0
"""Unpacked systems: programs of another release of Debian or architecture.

A root is a folder of the cache with the contents of packages, as apt chooses
them for an empty system. No script of a package runs; what such scripts would
make and the programs need is made here. A guest mounts it in the place of the
host's root, and scripts/vm/inside.sh builds in it.
"""

import hashlib
import os
import shutil
import subprocess
import time

import apt
import common
from common import Fatal

# What tests, tools and the checks of the bpftrace scripts run in a guest.
PROGRAMS = """base-files bash coreutils dash findutils gawk grep gzip kmod less
    libc-bin mount ncurses-base ncurses-bin procps python3 sed tar util-linux
    xz-utils bpftrace python3-drgn diffutils hostname""".split()
BUILD = """gcc libc6-dev make rsync pahole libelf-dev libssl-dev bc bison flex
    perl git""".split()
ROOTS = {
    ("trixie", "amd64"): PROGRAMS + BUILD,
    ("bookworm", "arm64"): PROGRAMS + ["gcc", "libc6-dev"],
    ("bookworm", "s390x"): PROGRAMS + ["gcc", "libc6-dev"],
}
UNUSED_SECONDS = 7 * 24 * 3600.0
MERGED = ("bin", "sbin", "lib", "lib64")
FOLDERS = ("dev", "proc", "sys", "run", "tmp", "var/tmp", "etc", "root",
           "lib/modules")
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n"
                  "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
LINKS = {"usr/bin/awk": "gawk", "etc/mtab": "/proc/self/mounts"}


def _skeleton(root):
    """Make the folders and links that must be there before the packages."""
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)


def _finish(root):
    """Make what the packages' scripts would have made."""
    for name, text in FILES.items():
        if not (root / name).exists():
            (root / name).write_text(text)
    for name, to in LINKS.items():
        if not (root / name).is_symlink():
            (root / name).symlink_to(to)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)


def _unpack(debs, root, label):
    """Unpack packages; links that stand for folders stay."""
    progress = common.Progress(f"unpacking {label}")
    files = sorted(debs.glob("*.deb"))
    for number, deb in enumerate(files, 1):
        progress.update(f"package {number} of {len(files)}")
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb],
                              stdout=subprocess.PIPE) as tar:
            res = subprocess.run(
                ["tar", "-x", "--keep-directory-symlink", "--no-same-owner",
                 "--exclude=./usr/share/doc/*", "--exclude=./usr/share/man/*",
                 "--exclude=./usr/share/locale/*", "--exclude=./dev/*",
                 "-C", root],
                stdin=tar.stdout, check=False)
        if res.returncode or tar.returncode:
            raise Fatal(f"cannot unpack {deb.name}: is the disk full?")
    progress.done(f"{len(files)} packages")


def get(release, arch):
    """Return the folder of a root, made when the cache has none."""
    packages = ROOTS.get((release, arch))
    if not packages:
        raise Fatal(f"there is no set of programs for {release} on {arch}")
    digest = hashlib.sha256(repr((packages, FOLDERS, FILES, LINKS)).encode())
    label = f"{release}-{arch}"
    final = common.cache_dir() / "roots" / f"{label}-{digest.hexdigest()[:8]}"
    if final.is_dir():
        os.utime(final)
        return final
    with common.locked(f"root-{label}"):
        if not final.is_dir():
            make(release, arch, packages, final)
    return final


def make(release, arch, packages, final):
    """Download and unpack a root to its final place, all or nothing."""
    index = apt.index_of(release, arch)
    final.parent.mkdir(exist_ok=True)
    work = final.with_name(f".{final.name}")
    shutil.rmtree(work, ignore_errors=True)
    try:
        (work / "root").mkdir(parents=True)
        _fetch(index, packages, work / "debs", f"{release} for {arch}")
        _skeleton(work / "root")
        _unpack(work / "debs", work / "root", f"{release} for {arch}")
        _finish(work / "root")
        (work / "root").rename(final)
        os.utime(final)         # the packages' own time until now
        _forget(final.parent.glob(f"{release}-{arch}-*"))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _forget(folders):
    """Remove roots that nobody used for a week."""
    for folder in folders:
        if time.time() - folder.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _fetch(index, packages, debs, label):
    """Download the packages; try again with a newer index."""
    try:
        index.download_all(packages, debs, f"downloading {label}")
    except apt.Unreachable as err:
        raise Fatal(f"the programs of {label} are not in the cache and "
                    + apt.OFFLINE) from err
    except Fatal:
        if not index.refresh("a download failed"):
            raise
        index.download_all(packages, debs, f"downloading {label}")
