# SPDX-License-Identifier: GPL-2.0
"""The architectures: what is different about each, in one table.

A kernel's name says which one is meant: 6.12 is amd64's, 6.12-arm64 and
6.12-arm64-16k are arm64's with pages of 4 and of 16 KiB.
"""

import typing

from common import Fatal


class Arch(typing.NamedTuple):
    """What the builds and the runner need to know of an architecture."""

    name: str           # Debian's
    kbuild: str         # kbuild's ARCH
    source: str         # its folder in the kernel's arch/
    cross: str          # prefix of the cross compiler's tools
    qemu: str
    machine: str
    cpu: str            # where it is emulated
    console: str        # the kernel's name of the serial line
    bus: str            # of the virtio devices
    target: str         # what kbuild makes of a kernel for QEMU to boot
    flag: str           # of a processor that can run its own kind under KVM
    pages: tuple = ()   # suffixes of kernels with larger pages
    pages_cpu: str = ""     # that has these pages, where cpu has not
    words: tuple = ()   # of the kernel's command line

    def image(self, build):
        """Return where a built kernel is."""
        return build / "arch" / self.source / "boot" / self.target

    def make_words(self):
        """Return make's words for kbuild: none where the host is meant."""
        if not self.cross:
            return []
        return [f"ARCH={self.kbuild}", f"CROSS_COMPILE={self.cross}"]


TABLE = {arch.name: arch for arch in (
    Arch("amd64", "x86", "x86", "", "qemu-system-x86_64",
         "q35,smbus=off,sata=off", "max,la57=off", "ttyS0", "pci", "bzImage",
         r"vmx|svm",
         # Where the host is busy the timer may not tick within the 10 ms that
         # the kernel waits for it at boot, before it panics: it need not look.
         words=("tsc=nowatchdog", "no_timer_check")),
    Arch("arm64", "arm64", "arm64", "aarch64-linux-gnu-",
         "qemu-system-aarch64", "virt,gic-version=3", "cortex-a57", "ttyAMA0",
         "pci", "Image", "", ("16k", "64k"), "cortex-a76"),
    Arch("s390x", "s390", "s390", "s390x-linux-gnu-", "qemu-system-s390x",
         "s390-ccw-virtio", "max", "ttysclp0", "ccw", "bzImage", ""),
)}
NATIVE = TABLE["amd64"]


class Name(typing.NamedTuple):
    """The parts of a kernel's name."""

    flavour: str        # 6.12, 6.1-rt, newest, test
    arch: Arch
    pages: str          # "", 16k, 64k

    @property
    def suffix(self):
        """What stands behind the flavour: arm64-16k."""
        return "-".join(filter(None, (self.arch.name, self.pages)))

    def __str__(self):
        if self.arch is NATIVE:
            return self.flavour
        return f"{self.flavour}-{self.suffix}"


def parse(text):
    """Take a kernel's name apart; what is left is its flavour."""
    words = text.split("-")
    for at, word in enumerate(words):
        arch = TABLE.get(word)
        if not arch or not at:
            continue
        pages = "-".join(words[at + 1:])
        if pages and pages not in arch.pages:
            raise Fatal(f"kernel '{text}': {arch.name} has pages of 4 KiB"
                        + "".join(f", {p}" for p in arch.pages)
                        + f", not {pages}")
        return Name("-".join(words[:at]), arch, pages)
    return Name(text, NATIVE, "")


def named(flavour, target):
    """Return a kernel's name for what --arch says: arm64, arm64-16k."""
    if not target:
        return flavour
    name = parse(f"{flavour}-{target}")
    if target.partition("-")[0] not in TABLE:
        raise Fatal(f"unknown architecture '{target}'; known: "
                    + " ".join(TABLE))
    return str(name)
