# SPDX-License-Identifier: GPL-2.0
"""The kernel that runs as a process, with kheap and the benchmark built in."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess

import common
import source
from common import Fatal

HERE = pathlib.Path(__file__).resolve().parent
PATCH = HERE / "uml.patch"
CONFIG = HERE / "config"
# Drivers that are not built, nine files of ten; their Kconfig files are read.
UNUSED = ("Documentation/*/*", "tools/testing/*", "sound/*.[ch]",
          "drivers/gpu/*.[ch]", "drivers/net/*.[ch]", "drivers/media/*.[ch]",
          "arch/*.dts*")


def _fingerprint(version):
    """Return what the tree is made of, and with which compiler."""
    digest = hashlib.sha256(version.encode())
    for path in (PATCH, CONFIG):
        digest.update(path.read_bytes())
    digest.update((common.output_of("gcc", "-dumpfullversion") or "").encode())
    return digest.hexdigest()


def _check(command, what, **options):
    """Run a command; Fatal with its first line when it fails."""
    res = subprocess.run(command, stdin=subprocess.DEVNULL, check=False,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, errors="replace", **options)
    if res.returncode:
        first = (res.stdout.strip().splitlines() or ["no message"])[0]
        raise Fatal(f"{what}: {first[:200]}")


def _unpack(archive, tree):
    """Unpack the source and patch it."""
    progress = common.Progress("unpacking the source")
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    _check(["tar", "-xJf", archive, "-C", tree, "--strip-components=1",
            *(f"--exclude=*/{part}" for part in UNUSED)],
           f"cannot unpack {archive}")
    progress.done()
    _check(["patch", "-p1", "-s", "-f", "-i", PATCH], cwd=tree,
           what=f"{PATCH.name} does not apply to this source")


def _configure(tree):
    """Make the configuration, and see that nothing of ours was dropped."""
    _check(["make", "-s", "ARCH=um", f"KCONFIG_ALLCONFIG={CONFIG}",
            "allnoconfig"], "cannot configure the kernel", cwd=tree)
    made = (tree / ".config").read_text().splitlines()
    wanted = [line for line in CONFIG.read_text().splitlines()
              if line.startswith("CONFIG_")]
    lost = [line for line in wanted if line not in made]
    if lost:
        raise Fatal("this kernel cannot be configured with " + " ".join(lost))


def _mirror(tree):
    """Copy the module's sources into the tree; only what changed is built."""
    dest = tree / "kheap"
    # By content: with times, another clone's older file would not be built.
    _check(["rsync", "-rl", "--checksum", "--delete", "--exclude=/Kbuild",
            "--exclude=*.mod.c", "--include=*/", "--include=*.[chS]",
            "--include=*.inc", "--include=Kbuild", "--exclude=*",
            f"{common.REPO / 'module'}/", f"{dest}/"],
           "cannot copy the module's sources")
    text = (common.REPO / "module/Kbuild").read_text()
    text = re.sub(r"^obj-m \+= .*\n", "", text, flags=re.M)
    text = text.replace("obj-m := kheap.o", "obj-y := kheap.o bench/native/")
    kbuild = dest / "Kbuild"
    if not kbuild.exists() or kbuild.read_text() != text:
        kbuild.write_text(text)


def _make(tree, log):
    """Build what changed."""
    progress = common.Progress("building the kernel")
    said = []
    env = {key: value for key, value in os.environ.items()
           if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    with open(log, "w", encoding="utf-8") as file, \
            subprocess.Popen(["make", "ARCH=um", f"-j{os.cpu_count() or 1}",
                              "KBUILD_BUILD_TIMESTAMP=", "linux"], cwd=tree,
                             stdin=subprocess.DEVNULL, env=env,
                             stdout=subprocess.PIPE, text=True,
                             stderr=subprocess.STDOUT,
                             errors="replace") as proc:
        try:
            for nr, line in enumerate(proc.stdout):
                file.write(line)
                if re.search(r"error:|warning:|undefined reference", line):
                    said.append(line.strip())
                progress.update(f"{nr} files, {line.split()[-1]}"
                                if line.split() else "")
        except BaseException:
            proc.terminate()
            raise
    if proc.returncode:
        progress.fail()
        raise Fatal("the kernel does not build: "
                    + (said or [f"see {log}"])[0][:200])
    progress.done()
    for line in said:
        common.say(line)


def build(dest):
    """Build the kernel and leave it at dest; return its version."""
    version = source.wanted()
    at = source.folder() / version
    archive, tree, stamp = at / "source.tar.xz", at / "linux", at / "stamp"
    with common.locked("native"):
        if not archive.exists():
            source.fetch(version, archive)
        fingerprint = _fingerprint(version)
        if not stamp.exists() or stamp.read_text() != fingerprint:
            stamp.unlink(missing_ok=True)
            _unpack(archive, tree)
            _configure(tree)
            stamp.write_text(fingerprint)
        _mirror(tree)
        _make(tree, dest.with_suffix(".log"))
        shutil.copy2(tree / "linux", dest)
    return version
