# SPDX-License-Identifier: GPL-2.0
"""Build the kernels that the tests boot from Debian's linux-source package.

A flavour is a file in kunit/configs/; base.config lies under all of them.
A build is kept in the cache with a hash of its configuration, source and
compiler; when that changes, it is built again in place, where kbuild
compiles only what it must. Modules are built against the same folder.
"""

import hashlib
import os
import re
import shutil
import subprocess

import common
import stock
from common import Fatal, say

CONFIGS = common.REPO / "kunit" / "configs"
ABOUT_FILES = 1950      # lines that the test kernel prints, for the progress

# Code that runs inside every checker's hook. Compiled without checks it
# makes an allocation in this kernel several times faster, and it is not
# what is under test.
UNCHECKED = ("unwind_frame", "stacktrace", "extable", "lockdep", "kmemleak",
             "stackdepot", "debugobjects", "slub", "page_owner")


# What KMSAN needs is in clang only. The newest that Debian 12 has.
COMPILERS = {"kmsan": "clang-19"}


def flavours():
    """Return the names of the kernels that can be built."""
    return sorted(f.stem for f in CONFIGS.glob("*.config")
                  if f.stem != "base")


def layers(name):
    """Return the files of a configuration, the first one undermost."""
    paths = [CONFIGS / "base.config", CONFIGS / f"{name.flavour}.config",
             CONFIGS / "arch" / f"{name.arch.name}.config"]
    if name.pages:
        paths.append(CONFIGS / "arch" / f"{name.suffix}.config")
    return paths


def fragment(name):
    """Return the configuration lines of a kernel; the uppermost line counts."""
    lines = {}
    for path in layers(name):
        for line in path.read_text().splitlines():
            option = re.match(r"(?:# )?(CONFIG_\w+)(=| is not set)", line)
            if option:
                lines.pop(option[1], None)
                lines[option[1]] = line
    return "".join(line + "\n" for line in lines.values())


def compiler_of(name):
    """Return the compiler's name."""
    return COMPILERS.get(name.flavour) or f"{name.arch.cross}gcc"


def build_key(name, source):
    """Return what a build depends on, as a short hash."""
    compiler = common.output_of(compiler_of(name), "--version") or ""
    text = "\0".join([fragment(name), source.name, *UNCHECKED,
                      compiler.partition("\n")[0]])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def unmet(config, wanted):
    """Return the wanted lines that a resulting .config does not honour."""
    have = dict(re.findall(r"^(CONFIG_\w+)=(.*)$", config, re.M))
    bad = []
    for line in wanted.splitlines():
        value = re.match(r"(CONFIG_\w+)=(.*)", line)
        unset = re.match(r"# (CONFIG_\w+) is not set", line)
        if value and have.get(value[1]) != value[2]:
            bad.append(line)
        elif unset and unset[1] in have:
            bad.append(line)
    return bad


def make(name, source, build, *words):
    """Return a make command line for a build of the kernel."""
    bare = [f"{check}_SANITIZE_{name}.o=n" for name in UNCHECKED
            for check in ("KASAN", "UBSAN", "KCSAN")]
    if name.flavour in COMPILERS:
        bare.append(f"CC={COMPILERS[name.flavour]}")
    return ["make", "-C", str(source), f"O={build}",
            f"ARCH={name.arch.kbuild}", f"CROSS_COMPILE={name.arch.cross}",
            "KCFLAGS=", *bare, *words]


def configure(name, source, build):
    """Write .config and check that nothing of it was dropped."""
    wanted = fragment(name)
    allconfig = build / "fragment.config"
    allconfig.write_text(wanted)
    env = {**os.environ, "KCONFIG_ALLCONFIG": str(allconfig)}
    res = subprocess.run(make(name, source, build, "allnoconfig"), env=env,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, check=False)
    if res.returncode:
        raise Fatal("cannot configure the kernel:\n"
                    + res.stdout.decode(errors="replace")[-2000:])
    bad = unmet((build / ".config").read_text(), wanted)
    if bad:
        raise Fatal(f"kunit/configs: the {name} kernel does not get "
                    + ", ".join(bad))


def compile_kernel(name, source, build):
    """Run the build with a progress display; Fatal when it fails."""
    progress = common.Progress(f"building the {name} kernel")
    jobs = len(os.sched_getaffinity(0))
    count = 0
    with open(build / "build.log", "wb") as log, subprocess.Popen(
            make(name, source, build, f"-j{jobs}", name.arch.target,
                 "modules"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT) as proc:
        for line in proc.stdout:
            log.write(line)
            log.flush()
            if re.match(rb"  (CC|AS|LD|AR)\b", line):
                count += 1
                progress.update(f"{count} of about {ABOUT_FILES} files")
    if proc.returncode:
        progress.fail()
        text = (build / "build.log").read_text(errors="replace")
        wrong = [ln for ln in text.splitlines() if "rror" in ln]
        for line in (wrong or text.splitlines())[-10:]:
            say(line)
        raise Fatal(f"the {name} kernel does not build; "
                    f"{build}/build.log has the rest")
    progress.done(f"{count} files")


def is_current(stamp, key):
    """True when a build is finished and of this configuration."""
    try:
        return stamp.read_text() == key
    except OSError:
        return False


def same_source(build, source):
    """True when a folder is empty or was built from this source."""
    link = build / "source"
    return not link.exists() or link.resolve() == source.resolve()


def described(name, build):
    """Describe a finished build."""
    release = (build / "include/config/kernel.release").read_text().strip()
    return stock.Kernel(str(name), release, name.arch.image(build), build,
                        None, COMPILERS.get(name.flavour))


def check_tools(name):
    """Fatal when what a kernel is built with is missing."""
    if not shutil.which(compiler_of(name)):
        group = name.flavour if name.flavour in COMPILERS else name.arch.name
        raise Fatal(f"{compiler_of(name)} is missing; scripts/setup.sh "
                    f"{group} installs it")


def get(name):
    """Return a built kernel, building it when the cache has none."""
    check_tools(name)
    source = stock.source_tree()
    build = common.cache_dir() / "built" / str(name)
    key = build_key(name, source)
    stamp = build / ".complete"
    if is_current(stamp, key):
        return described(name, build)
    with common.locked(f"built-{name}"):
        if not is_current(stamp, key):
            stamp.unlink(missing_ok=True)
            build.mkdir(parents=True, exist_ok=True)
            if not same_source(build, source):
                shutil.rmtree(build)
                build.mkdir()
            configure(name, source, build)
            compile_kernel(name, source, build)
            stamp.write_text(key)
    return described(name, build)
