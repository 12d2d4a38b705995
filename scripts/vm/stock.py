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

import common
from common import Fatal, say

LISTS = pathlib.Path("/var/lib/apt/lists")
NO_NETWORK = re.compile(r"Temporary failure resolving|Could not resolve"
                        r"|Could not connect|Unable to connect|unreachable"
                        r"|[Tt]imed out|Connection failed")


class Unreachable(Fatal):
    """The package server cannot be reached."""


class Kernel:
    """What the runner and the builds need to know of one kernel."""

    def __init__(self, name, release, image, headers, modules,
                 compiler=None):
        self.name = name
        self.release = release          # as uname -r prints it
        self.image = pathlib.Path(image)
        self.headers = headers and pathlib.Path(headers)
        self.modules = modules and pathlib.Path(modules)
        self.compiler = compiler        # None: the host's gcc

    def as_dict(self):
        """Return the fields as strings, for the command line and JSON."""
        return {key: str(val) if val else "" for key, val
                in self.__dict__.items()}


# --- The package index ----------------------------------------------------

def index_time():
    """Return when the package index was last changed, or 0."""
    try:
        files = list(LISTS.glob("*_Packages*"))
        if not files:
            return 0
        return max(f.stat().st_mtime for f in [LISTS, *files])
    except OSError:
        return 0


def update_index(why):
    """Refresh the package index; False when there is no way to."""
    say(f"refreshing the package index: {why}")
    cmd = common.as_root("apt-get", "-q", "-o", "Acquire::Retries=1",
                         "-o", "APT::Update::Error-Mode=any", "update")
    try:
        res = subprocess.run(cmd, stdin=subprocess.DEVNULL, check=False,
                             stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
    except OSError:
        return False
    return res.returncode == 0


def package_records(name):
    """Yield every version of a package that the index offers, as dicts."""
    text = common.output_of("apt-cache", "show", name) or ""
    for para in text.split("\n\n"):
        rec = {}
        for line in para.splitlines():
            key, sep, val = line.partition(": ")
            if sep and not line.startswith(" "):
                rec.setdefault(key, val)
        if rec.get("Package") == name and "Version" in rec:
            yield rec


def digits(text):
    """Return the numbers in a version, as a sort key."""
    return [int(n) for n in re.findall(r"\d+", text)]


def newest_first(name):
    """Return a package's records, the newest version first."""
    return sorted(package_records(name), reverse=True,
                  key=lambda rec: digits(rec["Version"]))


def offered_builds(series, flavour):
    """Return the ABI names of a series that the index offers, newest first."""
    pattern = re.compile(
        rf"linux-image-({re.escape(series)}\.\d+[^-\s]*(?:-\d+)?)"
        rf"{flavour}-amd64(?:-unsigned)?$")
    names = common.output_of("apt-cache", "pkgnames",
                             f"linux-image-{series}") or ""
    found = {m[1] for m in map(pattern.match, names.split()) if m}
    return sorted(found, key=digits, reverse=True)


def build_packages(abi, flavour):
    """Return (release, [(package, version)]) of one build, or None.

    Image and headers must be of the same build, so that what is compiled
    against the headers can be inserted into the image.
    """
    release = f"{abi}{flavour}-amd64"
    for headers in newest_first(f"linux-headers-{release}"):
        version = headers["Version"]
        image = next((name for name in (f"linux-image-{release}",
                                        f"linux-image-{release}-unsigned")
                      if any(rec["Version"] == version
                             for rec in package_records(name))), None)
        if not image:
            continue
        pkgs = [(image, version), (headers["Package"], version)]
        needs = re.findall(r"(linux-(?:headers|kbuild)-[^\s,(|]+)",
                           headers.get("Depends", ""))
        for need in needs:
            recs = newest_first(need)
            same = [r for r in recs if r["Version"] == version] or recs[:1]
            if not same:
                break
            pkgs.append((need, same[0]["Version"]))
        else:
            return release, pkgs
    return None


def resolve(name):
    """Return (release, packages) of a stock kernel by its short name."""
    series, flavour = common.STOCK[name]
    pin = pinned(name)
    for abi in [pin] if pin else offered_builds(series, flavour):
        found = build_packages(abi, flavour)
        if found:
            return found
    return None


def pin_variable(name):
    """Return the variable that pins a series: KHEAP_KERNEL_6_12."""
    return "KHEAP_KERNEL_" + common.STOCK[name][0].replace(".", "_")


def pinned(name):
    """Return the ABI a series is pinned to, such as 6.12.115+deb12."""
    return os.environ.get(pin_variable(name), "").strip()


# --- Downloading and unpacking --------------------------------------------

def download(packages, folder, label, options=()):
    """Download packages with apt-get into folder; Fatal when it fails."""
    specs = [f"{name}={version}" for name, version in packages]
    progress = common.Progress(label)
    read_end, write_end = os.pipe()
    with subprocess.Popen(
            ["apt-get", "-q", "-o", f"APT::Status-Fd={write_end}",
             "-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=1",
             *options, "download", *specs],
            cwd=folder, pass_fds=[write_end], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as proc:
        os.close(write_end)
        with os.fdopen(read_end, encoding="utf-8", errors="replace") as pipe:
            for line in pipe:
                field = line.split(":")
                if field[0] == "dlstatus" and len(field) > 2:
                    progress.update(f"{float(field[2]):.0f} %")
        text = proc.stdout.read().decode(errors="replace")
    if proc.returncode:
        progress.fail()
        if NO_NETWORK.search(text):
            raise Unreachable("the package server cannot be reached")
        wrong = [ln for ln in text.splitlines() if ln.startswith("E:")]
        raise Fatal("cannot download " + packages[0][0] + ": "
                    + (wrong or ["apt-get failed"])[0][:200])
    size = sum(f.stat().st_size for f in pathlib.Path(folder).glob("*.deb"))
    progress.done(f"{size / 1e6:.0f} MB")


def relocate(root, final):
    """Make the unpacked headers work from the cache instead of /usr."""
    for makefile in root.glob("usr/src/linux-headers-*/Makefile"):
        text = makefile.read_text()
        if "include /usr/src/" in text:
            makefile.write_text(text.replace("include /usr/src/",
                                             f"include {final}/usr/src/"))
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
    image = root / "boot" / f"vmlinuz-{release}"
    if not image.exists():
        return None
    return Kernel(name, release, image,
                  root / "usr/src" / f"linux-headers-{release}",
                  root / "lib/modules" / release)


def cached_choice(name):
    """Return the kernel chosen last time, and whether it is still current.

    The choice is current while the package index has not changed since.
    """
    note = common.cache_dir() / "stock" / f"{name}.json"
    try:
        choice = json.loads(note.read_text())
        kernel = stock_kernel(name, choice["release"])
        fresh = (choice["index"] >= index_time()
                 and choice["pin"] == pinned(name))
    except (OSError, ValueError, KeyError):
        return None, False
    if pinned(name) and choice["pin"] != pinned(name):
        kernel = None
    return kernel, fresh


def remember_choice(name, release):
    """Note which build a series stands for."""
    note = common.cache_dir() / "stock" / f"{name}.json"
    temp = note.with_suffix(f".{os.getpid()}")
    temp.write_text(json.dumps({"release": release, "pin": pinned(name),
                                "index": index_time()}))
    temp.rename(note)


def absent(what, reason):
    """Return the one line for what is neither here nor offered."""
    return Fatal(f"{what} is not in the cache ({common.cache_dir()}) and "
                 f"{reason}")


OFFLINE = ("the package server cannot be reached; connect this machine and "
           "run again")


def fetch_stock(name):
    """Resolve a stock kernel and bring it into the cache."""
    found = resolve(name)
    if not found:
        if not update_index(f"it does not offer Linux {name}"):
            raise absent(f"Linux {name}", OFFLINE)
        found = resolve(name)
    if not found:
        pin = pinned(name)
        what = f"{pin_variable(name)}={pin}" if pin else f"Linux {name}"
        raise absent(f"Linux {name}",
                     f"the package index does not offer {what}")
    release, packages = found
    final = common.cache_dir() / "stock" / release
    final.parent.mkdir(exist_ok=True)
    if not stock_kernel(name, release):
        try:
            unpack(packages, release, final)
        except Unreachable as err:
            raise absent(f"Linux {name}", OFFLINE) from err
        except Fatal:
            # A stale index offers what the server no longer has.
            if not update_index("a download failed"):
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
            if known.is_dir() and choice["index"] >= index_time():
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
                                    "index": index_time()}))
        return path


def fetch_source(package):
    """Bring the newest version of a source package into the cache."""
    recs = newest_first(package)
    if not recs and update_index(f"it does not offer {package}"):
        recs = newest_first(package)
    if not recs:
        raise absent(package, OFFLINE)
    version = recs[0]["Version"]
    final = common.cache_dir() / f"{package}_{version}"
    if final.is_dir():
        return final
    work = final.with_name(f".{final.name}.{os.getpid()}")
    shutil.rmtree(work, ignore_errors=True)
    (work / "tree").mkdir(parents=True)
    try:
        try:
            download([(package, version)], work, f"downloading {package}")
        except Unreachable as err:
            raise absent(package, OFFLINE) from err
        except Fatal:
            if not update_index("a download failed"):
                raise
            version = newest_first(package)[0]["Version"]
            final = common.cache_dir() / f"{package}_{version}"
            download([(package, version)], work, f"downloading {package}")
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
