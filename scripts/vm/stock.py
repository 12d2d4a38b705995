# SPDX-License-Identifier: GPL-2.0
"""Find, fetch and unpack Debian's kernels, and the source of the test kernels.

Image and headers of one build are downloaded and unpacked into the cache,
never installed on the host.  scripts/vm/README.md has the long story.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import apt
import arch
import common
import roots
from common import NEWEST, Fatal, say

# What packages of a build need of the same build.
PARTS = re.compile(r"(linux-(?:headers|kbuild|binary|binary-unsigned|modules"
                   r"|base)-\d[^\s,(|]+)")


class Kernel:
    """What the runner and the builds need to know of one kernel."""

    def __init__(self, name, release, image, headers, modules,
                 compiler=None):
        parsed = arch.parse(name)
        self.name = name
        self.release = release          # as uname -r prints it
        self.image = pathlib.Path(image)
        self.headers = headers and pathlib.Path(headers)
        self.modules = modules and pathlib.Path(modules)
        self.compiler = compiler        # None: what the headers say
        self.arch = parsed.arch
        self.cpu = parsed.pages and parsed.arch.pages_cpu or parsed.arch.cpu
        self.newest = parsed.flavour == NEWEST

    def userland(self):
        """Return the root with a guest's programs; None: the host's own."""
        if self.newest:
            return roots.get("trixie", self.arch.name)
        if self.arch is not arch.NATIVE:
            return roots.get("bookworm", self.arch.name)
        return None

    def field(self, key):
        """Return what kernels.py prints of a kernel, as a string."""
        if key == "make":
            words = self.arch.make_words()
            return " ".join(words + ([f"CC={self.compiler}"]
                                     if self.compiler else []))
        if key == "within":
            return str(self.userland()) if self.newest else ""
        value = getattr(self, key)
        return "" if value is None else str(value)


# --- What is offered ------------------------------------------------------

def series_of(text):
    """Return (series, flavour) of a stock kernel: 6.12, -rt."""
    series, dash, flavour = text.partition("-")
    return series, dash + flavour


def is_stock(name):
    """Return whether a name, taken apart, is one of Debian's kernels."""
    return name.flavour in common.STOCK and name.pages != "64k"


def pattern_of(name):
    """Return what matches the names of a kernel's headers; 1 is the build."""
    series, flavour = series_of(name.flavour)
    # Whatever comes after 6, where the newest is asked for.
    number = re.escape(series) if series != NEWEST else r"(?:[7-9]|\d\d)\.\d+"
    return re.compile(rf"linux-headers-({number}\.\d+[^-\s]*(?:-\d+)?)"
                      rf"{flavour}-{name.suffix}$")


def offered_builds(index, name):
    """Return the builds of a kernel that an index offers, newest first."""
    series, _ = series_of(name.flavour)
    prefix = "linux-headers-" + ("" if series == NEWEST else series)
    found = {m[1] for m in map(pattern_of(name).match, index.names(prefix))
             if m}
    return sorted(found, key=apt.digits, reverse=True)


def with_needs(index, tools, first):
    """Return a package and what it needs of the same build, or None.

    first is a record; tools is the index for programs of this machine.
    """
    found, todo = {}, [(index, first)]
    while todo:
        at, rec = todo.pop()
        found[rec["Package"]] = (at, rec["Package"], rec["Version"])
        for need in PARTS.findall(rec.get("Depends", "")):
            where = tools if need.startswith("linux-kbuild-") else index
            if need in found:
                continue
            recs = where.newest_first(need)
            same = [r for r in recs if r["Version"] == rec["Version"]]
            if not recs:
                return None
            todo.append((where, (same or recs)[0]))
    return list(found.values())


def build_packages(index, tools, name, abi):
    """Return (release, [(index, package, version)]) of one build, or None.

    Image and headers must be of the same build, so that what is compiled
    against the headers can be inserted into the image.
    """
    release = f"{abi}{series_of(name.flavour)[1]}-{name.suffix}"
    for headers in index.newest_first(f"linux-headers-{release}"):
        for suffix in ("", "-unsigned"):
            image = [rec for rec in
                     index.newest_first(f"linux-image-{release}{suffix}")
                     if rec["Version"] == headers["Version"]]
            parts = [image and with_needs(index, tools, image[0]),
                     with_needs(index, tools, headers)]
            if all(parts):
                return release, list(dict.fromkeys(parts[0] + parts[1]))
    return None


def releases_of(name):
    """Return the releases of Debian that have a kernel, the best first."""
    if name.flavour == NEWEST:
        return ("trixie-backports",)
    if series_of(name.flavour)[0] == "6.1":
        return ("bookworm",)
    # What is compiled by this host's cross compiler must be of its release.
    return ("bookworm", "trixie")


def indexes(name):
    """Yield (index, index for this machine's programs) to look a kernel up in.

    What this system's apt offers comes first, because it fits its compiler.
    """
    if from_host(name):
        yield apt.HOST, apt.HOST
    for release in releases_of(name):
        index = apt.index_of(release, name.arch.name)
        yield index, (index if name.arch is arch.NATIVE
                      else apt.index_of(release))


def resolve(name):
    """Return (release, packages) of a stock kernel, or None."""
    for index, tools in indexes(name):
        pin = pinned(name)
        for abi in [pin] if pin else offered_builds(index, name):
            found = build_packages(index, tools, name, abi)
            if found:
                return found
    return None


def refresh(name, why):
    """Fetch the indexes again in which a kernel is looked up."""
    return any([index.refresh(why) for index, _ in indexes(name)])


def pin_variable(name):
    """Return the variable that pins a series: KHEAP_KERNEL_6_12."""
    return "KHEAP_KERNEL_" + \
        series_of(name.flavour)[0].replace(".", "_").upper()


def pinned(name):
    """Return the build a series is pinned to, such as 6.12.115+deb12."""
    return os.environ.get(pin_variable(name), "").strip()


# --- Unpacking ------------------------------------------------------------

def download(packages, folder, label):
    """Download packages of several indexes into a folder."""
    for index in dict.fromkeys(where for where, _, _ in packages):
        index.download([(package, version)
                        for where, package, version in packages
                        if where is index], folder, label)


def relocate(root, final):
    """Make the unpacked headers work from the cache instead of /usr."""
    for makefile in root.glob("usr/src/linux-headers-*/Makefile"):
        text = makefile.read_text()
        moved = re.sub(r"(?<![\w/])/usr/(src|lib)/linux-",
                       rf"{final}/usr/\1/linux-", text)
        if moved != text:
            makefile.write_text(moved)
    for folder in (root / "lib/modules").iterdir():
        for name in ("build", "source"):
            link = folder / name
            if link.is_symlink():
                target = os.readlink(link)
                link.unlink()
                link.symlink_to("../../.." + target)


def unpack(packages, release, final):
    """Download and unpack a build to its final place, all or nothing."""
    work = final.with_name(f".{final.name}.{os.getpid()}")
    shutil.rmtree(work, ignore_errors=True)
    debs, root = work / "debs", work / "root"
    debs.mkdir(parents=True)
    root.mkdir()
    try:
        download(packages, debs, f"downloading Linux {release}")
        progress = common.Progress(f"unpacking Linux {release}")
        for number, deb in enumerate(sorted(debs.glob("*.deb")), 1):
            progress.update(f"package {number} of {len(packages)}")
            subprocess.run(["dpkg-deb", "-x", deb, root], check=True)
        if not (root / "lib/modules").is_dir():
            (root / "lib").mkdir(exist_ok=True)
            (root / "lib/modules").symlink_to("../usr/lib/modules")
        relocate(root, final)
        subprocess.run(["/sbin/depmod", "-b", root, release], check=True)
        shutil.rmtree(final, ignore_errors=True)
        root.rename(final)
        progress.done()
    except subprocess.CalledProcessError as err:
        raise Fatal(f"cannot unpack Linux {release}: {err}") from err
    finally:
        shutil.rmtree(work, ignore_errors=True)


def stock_kernel(name, release):
    """Describe a stock kernel in the cache; None when it is not there."""
    root = common.cache_dir() / "stock" / release
    # Since 7.0 the image is among the modules.
    image = root / "boot" / f"vmlinuz-{release}"
    if not image.exists():
        image = root / "lib/modules" / release / "vmlinuz"
    if not image.exists():
        return None
    return Kernel(str(name), release, image,
                  root / "usr/src" / f"linux-headers-{release}",
                  root / "lib/modules" / release)


def from_host(name):
    """Return whether this system's own apt is asked first."""
    return name.arch is arch.NATIVE and name.flavour != NEWEST


def index_time(name):
    """Return since when a choice of this kernel may stand."""
    if from_host(name):
        return apt.HOST.changed()
    return time.time() - apt.MAX_AGE_SECONDS


def note_of(name):
    """Return the file that says which build a name stands for."""
    return common.cache_dir() / "stock" / f"{name}.json"


def cached_choice(name):
    """Return the kernel chosen last time, and whether it is still current.

    The choice is current while the package index has not changed since.
    """
    try:
        choice = json.loads(note_of(name).read_text())
        kernel = stock_kernel(name, choice["release"])
        fresh = (choice["index"] >= index_time(name)
                 and choice["pin"] == pinned(name))
    except (OSError, ValueError, KeyError):
        return None, False
    if pinned(name) and choice["pin"] != pinned(name):
        kernel = None
    return kernel, fresh


def remember_choice(name, release):
    """Note which build a name stands for."""
    note = note_of(name)
    temp = note.with_suffix(f".{os.getpid()}")
    temp.write_text(json.dumps({"release": release, "pin": pinned(name),
                                "index": apt.HOST.changed() if
                                from_host(name) else time.time()}))
    temp.rename(note)


def absent(what, reason):
    """Return the one line for what is neither here nor offered."""
    return Fatal(f"{what} is not in the cache ({common.cache_dir()}) and "
                 f"{reason}")


def fetch_stock(name):
    """Resolve a stock kernel and bring it into the cache."""
    found = resolve(name)
    if not found:
        if not refresh(name, f"it does not offer Linux {name}"):
            raise absent(f"Linux {name}", apt.OFFLINE)
        found = resolve(name)
    if not found:
        pin = pinned(name)
        what = f"{pin_variable(name)}={pin}" if pin else f"Linux {name}"
        raise absent(f"Linux {name}",
                     f"neither this system's package index nor that of Debian "
                     f"{' or '.join(releases_of(name))} offers {what}")
    release, packages = found
    final = common.cache_dir() / "stock" / release
    final.parent.mkdir(exist_ok=True)
    if not stock_kernel(name, release):
        try:
            unpack(packages, release, final)
        except apt.Unreachable as err:
            raise absent(f"Linux {name}", apt.OFFLINE) from err
        except Fatal:
            # A stale index offers what the server no longer has.
            if not refresh(name, "a download failed"):
                raise
            release, packages = resolve(name) or found
            final = common.cache_dir() / "stock" / release
            unpack(packages, release, final)
    remember_choice(name, release)
    return stock_kernel(name, release)


def get_stock(name):
    """Return a stock kernel, fetching or renewing it when needed."""
    kernel, fresh = cached_choice(name)
    if kernel and fresh:
        return kernel
    with common.locked("stock"):
        kernel, fresh = cached_choice(name)
        if kernel and fresh:
            return kernel
        try:
            return fetch_stock(name)
        except Fatal as err:
            if not kernel:
                raise
            say(f"{err}; using {kernel.release} from the cache")
            return kernel


# --- The source of the test kernels ---------------------------------------

# Large trees that a kernel for the virtual machine never compiles.
SKIP = ["arch/[a-wyz]*/boot/dts", "drivers/gpu/drm/amd/include",
        "drivers/net/wireless/*/*/*.c", "sound/soc/*/*.c",
        "tools/testing/selftests/*/*"]


def source_tree(series="6.12"):
    """Return the unpacked linux-source of a series, fetching it if needed."""
    package = f"linux-source-{series}"
    note = common.cache_dir() / f"{package}.json"
    with common.locked("source"):
        known = None
        try:
            choice = json.loads(note.read_text())
            known = pathlib.Path(choice["path"])
            if known.is_dir() and choice["index"] >= apt.HOST.changed():
                return known
        except (OSError, ValueError, KeyError):
            pass
        try:
            path = fetch_source(package)
        except Fatal as err:
            if not (known and known.is_dir()):
                raise
            say(f"{err}; using {known.name} from the cache")
            return known
        note.write_text(json.dumps({"path": str(path),
                                    "index": apt.HOST.changed()}))
        return path


def fetch_source(package):
    """Bring the newest version of a source package into the cache."""
    recs = apt.HOST.newest_first(package)
    if not recs and apt.HOST.refresh(f"it does not offer {package}"):
        recs = apt.HOST.newest_first(package)
    if not recs:
        raise absent(package, apt.OFFLINE)
    version = recs[0]["Version"]
    final = common.cache_dir() / f"{package}_{version}"
    if final.is_dir():
        return final
    work = final.with_name(f".{final.name}.{os.getpid()}")
    shutil.rmtree(work, ignore_errors=True)
    (work / "tree").mkdir(parents=True)
    try:
        try:
            apt.HOST.download([(package, version)], work,
                              f"downloading {package}")
        except apt.Unreachable as err:
            raise absent(package, apt.OFFLINE) from err
        except Fatal:
            if not apt.HOST.refresh("a download failed"):
                raise
            version = apt.HOST.newest_first(package)[0]["Version"]
            final = common.cache_dir() / f"{package}_{version}"
            apt.HOST.download([(package, version)], work,
                              f"downloading {package}")
        unpack_source(next(work.glob("*.deb")), work / "tree", package)
        (work / "tree").rename(final)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return final


def unpack_source(deb, tree, package):
    """Unpack the source archive inside a source package."""
    progress = common.Progress(f"unpacking {package}")
    skip = " ".join(f"--exclude='{package}/{name}'" for name in SKIP)
    script = (f"dpkg-deb --fsys-tarfile '{deb}' | "
              f"tar -xO './usr/src/{package}.tar.xz' | xz -dc | "
              f"tar -x --strip-components=1 {skip} -C '{tree}'")
    with subprocess.Popen(["bash", "-o", "pipefail", "-c", script],
                          stdin=subprocess.DEVNULL) as proc:
        while proc.poll() is None:
            done = sum(1 for d in tree.iterdir() if d.is_dir())
            progress.update(f"{done} folders at the top level")
            time.sleep(0.5)
    if proc.returncode:
        raise Fatal(f"cannot unpack {package}: is the disk full?")
    progress.done()
