# SPDX-License-Identifier: GPL-2.0
"""Debian's source of a newer kernel: which is offered, and how to get it.

It is of another suite than this system's, so apt gets an index of its own, in
the cache, and nothing is installed.
"""

import os
import re
import shutil
import subprocess

import apt
import common
from common import Fatal

# The newest whose SLUB was looked at.
USUAL = "7.2.13-1"
VARIABLE = "KHEAP_NATIVE_VERSION"
SUITES = ("sid", "trixie-backports", "experimental")
# Before, User-Mode Linux is not what the patch was made for.
OLDEST = (7, 2)


def wanted():
    """Return the version of the source package to build."""
    version = os.environ.get(VARIABLE, "").strip() or USUAL
    if not re.fullmatch(r"\d+\.\d+[A-Za-z0-9.+~-]*", version):
        raise Fatal(f"{VARIABLE}={version} is no version of a source package, "
                    f"such as {USUAL}")
    return version


def package_of(version):
    """Return the name of the package that has a version."""
    return "linux-source-" + re.match(r"\d+\.\d+", version)[0]


def folder():
    """Return the folder in the cache."""
    return common.cache_dir() / "native"


def offered(index):
    """Return the versions on offer that this can build."""
    names = [name for name in index.names("linux-source-")
             if re.fullmatch(r"linux-source-[0-9.]+", name)]
    versions = [rec["Version"] for name in names
                for rec in index.newest_first(name)]
    return [version for version in dict.fromkeys(versions)
            if tuple(apt.digits(version)[:2]) >= OLDEST]


def fetch(version, dest):
    """Download the source of a version; leave its archive at dest."""
    index = apt.Isolated(SUITES, "amd64")
    index.refresh("newer kernels")
    versions = offered(index)
    if not versions:
        raise Fatal("no source of a newer kernel can be seen: is there a "
                    "network?")
    if version not in versions:
        raise Fatal(f"{package_of(version)} {version} is no longer offered; "
                    f"set {VARIABLE} to one of: {' '.join(versions)}")
    work = dest.with_name("download")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    index.download([(package_of(version), version)], work,
                   f"downloading {package_of(version)}")
    for deb in work.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", deb, work], check=True)
    archives = list(work.glob("usr/src/*.tar.xz"))
    if len(archives) != 1:
        raise Fatal(f"{package_of(version)} has no archive of the source")
    archives[0].rename(dest)
    shutil.rmtree(work)
