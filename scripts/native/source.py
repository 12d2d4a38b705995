# SPDX-License-Identifier: GPL-2.0
"""Debian's source of a newer kernel: which is offered, and how to get it.

It is of another suite than this system's, so apt gets an index of its own, in
the cache, and nothing is installed.
"""

import os
import re
import shutil
import subprocess

import common
import stock
from common import Fatal

# The newest whose SLUB was looked at.
USUAL = "7.2.13-1"
VARIABLE = "KHEAP_NATIVE_VERSION"
SUITES = ("sid", "trixie-backports", "experimental")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
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


def mirror():
    """Return where this system's Debian packages come from."""
    text = common.output_of(
        "apt-get", "indextargets", "--format", "$(REPO_URI)",
        "Created-By: Packages", "Origin: Debian", "Label: Debian") or ""
    if not text.strip():
        raise Fatal("apt knows no Debian mirror: run apt-get update, or add "
                    "one to /etc/apt/sources.list")
    return text.split()[0]


def apt_options():
    """Return the options that keep apt to our own index."""
    at = folder() / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (at / part).mkdir(parents=True, exist_ok=True)
    (at / "status").touch()
    lines = [f"deb [signed-by={KEYRING}] {mirror()} {suite} main"
             for suite in SUITES]
    (at / "sources.list").write_text("\n".join(lines) + "\n")
    settings = {
        "Dir::State::lists": at / "lists",
        "Dir::State::status": at / "status",
        "Dir::Cache": at / "cache",
        "Dir::Etc::sourcelist": at / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
    }
    return [word for key, value in settings.items()
            for word in ("-o", f"{key}={value}")]


def offered(options):
    """Return the versions on offer that this can build."""
    names = common.output_of("apt-cache", *options, "search", "--names-only",
                             r"^linux-source-[0-9.]+$") or ""
    names = [line.split()[0] for line in names.splitlines() if line.strip()]
    text = names and common.output_of("apt-cache", *options, "madison",
                                      *names) or ""
    versions = [line.split("|")[1].strip() for line in text.splitlines()
                if line.count("|") == 2]
    return [version for version in dict.fromkeys(versions)
            if tuple(stock.digits(version)[:2]) >= OLDEST]


def fetch(version, dest):
    """Download the source of a version; leave its archive at dest."""
    options = apt_options()
    progress = common.Progress("index of newer kernels")
    common.output_of("apt-get", *options, "-q", "update")
    versions = offered(options)
    progress.done(f"{len(versions)} sources")
    if not versions:
        raise Fatal("no source of a newer kernel can be seen: is there a "
                    "network?")
    if version not in versions:
        raise Fatal(f"{package_of(version)} {version} is no longer offered; "
                    f"set {VARIABLE} to one of: {' '.join(versions)}")
    work = dest.with_name("download")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    stock.download([(package_of(version), version)], work,
                     f"downloading {package_of(version)}", options)
    for deb in work.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", deb, work], check=True)
    archives = list(work.glob("usr/src/*.tar.xz"))
    if len(archives) != 1:
        raise Fatal(f"{package_of(version)} has no archive of the source")
    archives[0].rename(dest)
    shutil.rmtree(work)
