# SPDX-License-Identifier: GPL-2.0
"""Debian's package indexes, and downloads from them.

HOST is what this system's apt knows. What another release of Debian or another
architecture offers is looked up in an index of its own in the cache: apt is given
lists, a status and a configuration there, so that nothing of it ever becomes a
part of this system. Nothing is installed from either.
"""

import os
import pathlib
import re
import subprocess
import time

import common
from common import Fatal, say

LISTS = pathlib.Path("/var/lib/apt/lists")
KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")
NO_NETWORK = re.compile(r"Temporary failure resolving|Could not resolve"
                        r"|Could not connect|Unable to connect|unreachable"
                        r"|[Tt]imed out|Connection failed")
MAX_AGE_SECONDS = 2 * 24 * 3600.0
OFFLINE = ("the package server cannot be reached; connect this machine and "
           "run again")


class Unreachable(Fatal):
    """The package server cannot be reached."""


def digits(text):
    """Return the numbers in a version, as a sort key."""
    return [int(n) for n in re.findall(r"\d+", text)]


def records_in(text, name):
    """Yield the paragraphs of "apt-cache show" about a package, as dicts."""
    for para in text.split("\n\n"):
        rec = {}
        for line in para.splitlines():
            key, sep, val = line.partition(": ")
            if sep and not line.startswith(" "):
                rec.setdefault(key, val)
        if rec.get("Package") == name and "Version" in rec:
            yield rec


def mirrors():
    """Return where Debian's packages, and its security updates, come from."""
    text = common.output_of(
        "apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)",
        "Created-By: Packages", "Origin: Debian") or ""
    found = {}
    for line in text.splitlines():
        label, _, uri = line.rpartition(" ")
        found.setdefault(label, uri)
    if "Debian" not in found:
        raise Fatal("apt knows no Debian mirror, and only Debian has these "
                    "kernels: run apt-get update on Debian 12 or 13, or add "
                    "a mirror of it to /etc/apt/sources.list")
    return found["Debian"], found.get("Debian-Security")


def host_architecture():
    """Return Debian's name of this system's architecture."""
    return (common.output_of("dpkg", "--print-architecture") or "").strip()


class Host:
    """What this system's apt knows."""

    name = "this system's"

    def options(self):
        """Return apt's options for this index."""
        return []

    def changed(self):
        """Return when the index was last changed, or 0."""
        try:
            files = list(LISTS.glob("*_Packages*"))
            if not files:
                return 0
            return max(f.stat().st_mtime for f in [LISTS, *files])
        except OSError:
            return 0

    def refresh(self, why):
        """Fetch the index again; False when there is no way to."""
        say(f"refreshing the package index: {why}")
        return self._update(common.as_root("apt-get"))

    def _update(self, command):
        try:
            res = subprocess.run(
                [*command, *self.options(), "-q", "-o", "Acquire::Retries=1",
                 "-o", "APT::Update::Error-Mode=any", "update"],
                stdin=subprocess.DEVNULL, check=False,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except OSError:
            return False
        return res.returncode == 0

    def names(self, prefix):
        """Return the names of packages that begin so."""
        return (common.output_of("apt-cache", *self.options(), "pkgnames",
                                 prefix) or "").split()

    def newest_first(self, name):
        """Return what is offered of a package, the newest version first."""
        text = common.output_of("apt-cache", *self.options(), "show",
                                name) or ""
        return sorted(records_in(text, name), reverse=True,
                      key=lambda rec: digits(rec["Version"]))

    def download(self, packages, folder, label):
        """Download packages into a folder; Fatal when it fails."""
        specs = [f"{name}={version}" for name, version in packages]
        self._fetch(["download", *specs], folder, label)

    def _fetch(self, words, folder, label):
        """Run apt-get with a progress display; Fatal when it fails."""
        progress = common.Progress(label)
        read_end, write_end = os.pipe()
        with subprocess.Popen(
                ["apt-get", *self.options(), "-q",
                 "-o", f"APT::Status-Fd={write_end}",
                 "-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=1",
                 *words], cwd=folder, pass_fds=[write_end],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT) as proc:
            os.close(write_end)
            with os.fdopen(read_end, encoding="utf-8",
                           errors="replace") as pipe:
                for line in pipe:
                    field = line.split(":")
                    if field[0] == "dlstatus" and len(field) > 2:
                        progress.update(f"{float(field[2]):.0f} %")
            text = proc.stdout.read().decode(errors="replace")
        if proc.returncode:
            progress.fail()
            raise failure(text, words)
        size = sum(f.stat().st_size
                   for f in pathlib.Path(folder).glob("*.deb"))
        progress.done(f"{size / 1e6:.0f} MB")


def failure(text, words):
    """Return the exception for what apt-get said."""
    if NO_NETWORK.search(text):
        return Unreachable("the package server cannot be reached")
    wrong = [line for line in text.splitlines() if line.startswith("E:")]
    return Fatal(f"cannot download {words[-1].partition('=')[0]}: "
                 + (wrong or ["apt-get failed"])[0][:200])


class Isolated(Host):
    """What suites of Debian offer for an architecture, looked up in the cache."""

    def __init__(self, suites, arch):
        self.suites = suites
        self.arch = arch
        self.name = "-".join([*suites[:1], arch])
        self.folder = common.cache_dir() / "apt" / self.name

    def options(self):
        """Return apt's options for this index."""
        at = self.folder
        settings = {
            "APT::Architecture": self.arch,
            "APT::Architectures": self.arch,
            "Dir::State": at,
            "Dir::State::lists": at / "lists",
            "Dir::State::status": at / "status",
            "Dir::Cache": at / "cache",
            "Dir::Etc::sourcelist": at / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Debug::NoLocking": "1",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
        }
        return [word for key, value in settings.items()
                for word in ("-o", f"{key}={value}")]

    def sources(self):
        """Return the text of sources.list."""
        main, security = mirrors()
        lines = []
        for suite in self.suites:
            at = security if suite.endswith("-security") else main
            if at:
                lines.append(f"deb [signed-by={KEYRING}] {at} {suite} main")
        return "\n".join(lines) + "\n"

    def changed(self):
        """Return when the index was last fetched, or 0."""
        try:
            return (self.folder / "fetched").stat().st_mtime
        except OSError:
            return 0

    def refresh(self, why):
        """Fetch the index again; False when nothing of it could be had."""
        for part in ("lists/partial", "cache/archives/partial"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        (self.folder / "sources.list").write_text(self.sources())
        progress = common.Progress(f"package index of {self.name} ({why})")
        with common.locked(f"apt-{self.name}"):
            # A suite that a mirror is just renewing does not spoil the others.
            whole = self._update(["apt-get"])
        if not whole and not list(self.folder.glob("lists/*_Packages*")):
            progress.fail()
            return False
        (self.folder / "fetched").touch()
        progress.done("done" if whole else "not all of it")
        return True

    def fresh(self):
        """Fetch the index where it is missing or old; return self."""
        age = time.time() - self.changed()
        if age > MAX_AGE_SECONDS and not self.refresh("it is old" if
                                                      self.changed() else
                                                      "first use"):
            say(f"the package index of {self.name} cannot be fetched")
        return self

    def download_all(self, packages, folder, label):
        """Download packages and all that they need, as for an empty system."""
        (folder / "partial").mkdir(parents=True, exist_ok=True)
        self._fetch(["-o", f"Dir::Cache::archives={folder}", "-y",
                     "--no-install-recommends", "--download-only",
                     "install", *packages], folder, label)


HOST = Host()
SUITES = {
    "bookworm": ("bookworm", "bookworm-security", "bookworm-backports"),
    "trixie": ("trixie", "trixie-security"),
    # Its newest kernels, for the release before.
    "trixie-backports": ("trixie-backports",),
}


def index_of(release, arch="amd64"):
    """Return the index of a release of Debian for an architecture."""
    return Isolated(SUITES[release], arch).fresh()
