# SPDX-License-Identifier: GPL-2.0
"""The runner's tables, and how kernels are found in a package index."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

HERE = pathlib.Path(__file__).resolve().parent
VM = HERE.parents[1] / "vm"
sys.path[:0] = [str(VM), str(HERE.parents[1])]
import apt  # noqa: E402 (the path comes first)
import arch  # noqa: E402
import common  # noqa: E402
import integration  # noqa: E402
import kernels  # noqa: E402
import roots  # noqa: E402
import run  # noqa: E402
import stock  # noqa: E402
import testkernel  # noqa: E402

SHOWN = """Package: linux-headers-7.3.4+deb13-amd64
Source: linux
Version: 7.3.4-1~bpo13+1
Description: headers
 Version: not this one

Package: linux-headers-7.3.4+deb13-amd64
Version: 7.3.4-2~bpo13+1

Package: something-else
Version: 1
"""


class FakeIndex(apt.Host):
    """An index that offers what a table says: {name: [(version, depends)]}."""

    def __init__(self, table):
        self.table = table

    def names(self, prefix):
        return [name for name in self.table if name.startswith(prefix)]

    def newest_first(self, name):
        return [{"Package": name, "Version": version, "Depends": depends}
                for version, depends in self.table.get(name, [])]


def newer(number, suffix="-amd64", depends=""):
    """Return the packages of one build in the way of Linux 7."""
    release = f"{number}+deb13{suffix}"
    version = f"{number}-1~bpo13+1"
    return {
        f"linux-headers-{release}": [
            (version, f"gcc-14-for-host, linux-base (>= 4.12~), "
             f"linux-base-{release} (= {version}), "
             f"linux-headers-{number}+deb13-common (= {version}), "
             f"linux-kbuild-{number}+deb13" + depends)],
        f"linux-image-{release}": [
            (version, "dracut | initramfs-tools (>= 0.120), "
             f"linux-binary-{release} (= {version}), "
             f"linux-modules-{release} (= {version})")],
        f"linux-binary-{release}": [(version, "")],
        f"linux-modules-{release}": [(version, "")],
        f"linux-base-{release}": [(version, "")],
        f"linux-headers-{number}+deb13-common": [(version, "")],
        f"linux-kbuild-{number}+deb13": [(version, "")],
    }


class NameCase(unittest.TestCase):
    """Names of kernels, taken apart and put together."""

    def test_parts(self):
        for text, flavour, machine, pages in (
                ("6.12", "6.12", "amd64", ""), ("6.1-rt", "6.1-rt", "amd64", ""),
                ("newest", "newest", "amd64", ""),
                ("6.12-arm64", "6.12", "arm64", ""),
                ("6.12-arm64-16k", "6.12", "arm64", "16k"),
                ("bare-s390x", "bare", "s390x", "")):
            name = arch.parse(text)
            self.assertEqual((name.flavour, name.arch.name, name.pages),
                             (flavour, machine, pages))
            self.assertEqual(str(name), text)

    def test_what_is_asked_for(self):
        self.assertEqual(arch.named("6.12", None), "6.12")
        self.assertEqual(arch.named("6.12", "amd64"), "6.12")
        self.assertEqual(arch.named("6.12", "arm64-16k"), "6.12-arm64-16k")

    def test_refusals(self):
        for flavour, target in (("6.12", "mips"), ("6.12", "arm64-3k"),
                                ("6.12", "s390x-64k")):
            with self.assertRaises(common.Fatal):
                arch.named(flavour, target)
        with self.assertRaisesRegex(common.Fatal, "unknown kernel '5.10'"):
            kernels.get("5.10")
        # Debian has none; who asks hears it at once, and nothing is fetched.
        with self.assertRaisesRegex(common.Fatal, "unknown kernel"):
            kernels.get("6.12-arm64-64k")

    def test_every_machine_is_whole(self):
        for machine in arch.TABLE.values():
            self.assertTrue(all((machine.qemu, machine.machine, machine.cpu,
                                 machine.console, machine.bus,
                                 machine.target)), machine.name)
            self.assertEqual(machine.cross == "", machine is arch.NATIVE)
            self.assertTrue((testkernel.CONFIGS / "arch" /
                             f"{machine.name}.config").exists())

    def test_tests_run_where_they_say(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "10-x.sh"
            path.write_text("#!/bin/bash\n# kernels: 6.12 test\n"
                            "# except: s390x\n")
            test = integration.Test(path)
            for kernel, runs in (("6.12", True), ("6.1", False),
                                 ("newest", True), ("6.12-arm64", True),
                                 ("6.12-s390x", False), ("test", True),
                                 ("6.1-arm64", False)):
                self.assertEqual(test.runs_on(kernel), runs, kernel)


class IndexCase(unittest.TestCase):
    """What is read of apt."""

    def test_records(self):
        recs = list(apt.records_in(SHOWN, "linux-headers-7.3.4+deb13-amd64"))
        self.assertEqual([rec["Version"] for rec in recs],
                         ["7.3.4-1~bpo13+1", "7.3.4-2~bpo13+1"])
        self.assertEqual(list(apt.records_in("", "x")), [])

    def test_mirrors(self):
        text = "Debian http://one/debian/\nDebian http://two/\n" \
               "Debian-Security http://one/security/\n"
        with mock.patch.object(common, "output_of", return_value=text):
            self.assertEqual(apt.mirrors(), ("http://one/debian/",
                                             "http://one/security/"))

    def test_no_mirror_is_one_line(self):
        for text in (None, "", "Ubuntu http://one/ubuntu/\n"):
            with mock.patch.object(common, "output_of", return_value=text):
                with self.assertRaisesRegex(common.Fatal, "^[^\n]*Debian 12"):
                    apt.mirrors()

    def test_failures(self):
        self.assertIsInstance(
            apt.failure("Err:1 Could not resolve 'x'", ["x"]),
            apt.Unreachable)
        err = apt.failure("E: Unable to locate package y\nE: more",
                          ["download", "y=1"])
        self.assertNotIsInstance(err, apt.Unreachable)
        self.assertEqual(str(err), "cannot download y: E: Unable to locate "
                         "package y")

    def test_own_index_leaves_the_system_alone(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(
                os.environ, XDG_CACHE_HOME=folder):
            index = apt.Isolated(("trixie", "trixie-security"), "arm64")
            words = " ".join(index.options())
            for key in ("Dir::State::lists", "Dir::State::status",
                        "Dir::Cache", "Dir::Etc::sourcelist"):
                self.assertIn(f"{key}={folder}/kheap/apt/trixie-arm64", words)
            self.assertIn("APT::Architecture=arm64", words)
            with mock.patch.object(apt, "mirrors",
                                   return_value=("http://m/", None)):
                # Without a mirror of security updates, the rest.
                self.assertEqual(len(index.sources().splitlines()), 1)


class FindCase(unittest.TestCase):
    """Kernels found in an index."""

    def test_newest_is_the_highest_release(self):
        index = FakeIndex({**newer("7.2.12"), **newer("7.10.1"),
                           **newer("7.3.4"), **newer("7.11.0", "-rt-amd64"),
                           **newer("6.19.14")})
        self.assertEqual(stock.offered_builds(index, arch.parse("newest")),
                         ["7.10.1+deb13", "7.3.4+deb13", "7.2.12+deb13"])

    def test_flavours_are_told_apart(self):
        index = FakeIndex({**newer("6.12.9", "-arm64"),
                           **newer("6.12.8", "-arm64-16k"),
                           **newer("6.12.7", "-amd64"),
                           **newer("6.12.6", "-cloud-arm64")})
        for text, build in (("6.12-arm64", "6.12.9"),
                            ("6.12-arm64-16k", "6.12.8"), ("6.12", "6.12.7")):
            self.assertEqual(stock.offered_builds(index, arch.parse(text)),
                             [f"{build}+deb13"])

    def test_all_parts_of_a_build(self):
        index = FakeIndex(newer("7.3.4"))
        release, packages = stock.build_packages(
            index, index, arch.parse("newest"), "7.3.4+deb13")
        self.assertEqual(release, "7.3.4+deb13-amd64")
        self.assertEqual(sorted(name for _, name, _ in packages),
                         sorted(index.table))

    def test_programs_are_this_machines(self):
        table = newer("6.12.9", "-arm64")
        kbuild = "linux-kbuild-6.12.9+deb13"
        tools = FakeIndex({kbuild: table[kbuild]})
        index = FakeIndex(table)
        _, packages = stock.build_packages(
            index, tools, arch.parse("6.12-arm64"), "6.12.9+deb13")
        self.assertEqual({name: where is tools for where, name, _ in packages
                          if name == kbuild}, {kbuild: True})
        self.assertEqual(sum(where is tools for where, _, _ in packages), 1)

    def test_what_is_not_whole_is_not_taken(self):
        for gone in newer("7.3.4"):
            table = newer("7.3.4")
            del table[gone]
            index = FakeIndex(table)
            self.assertIsNone(stock.build_packages(
                index, index, arch.parse("newest"), "7.3.4+deb13"), gone)

    def test_image_of_another_version_is_not_taken(self):
        table = newer("7.3.4")
        table["linux-image-7.3.4+deb13-amd64"] = [("7.3.4-9", "")]
        index = FakeIndex(table)
        self.assertIsNone(stock.build_packages(
            index, index, arch.parse("newest"), "7.3.4+deb13"))

    def test_not_offered_is_one_line(self):
        empty = FakeIndex({})
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.dict(os.environ, XDG_CACHE_HOME=folder), \
                mock.patch.object(stock, "indexes",
                                  side_effect=lambda name: [(empty, empty)]), \
                mock.patch.object(FakeIndex, "refresh", return_value=True,
                                  create=True):
            with self.assertRaisesRegex(common.Fatal,
                                        "^Linux newest is not in the cache"
                                        "[^\n]*trixie-backports offers"):
                stock.get_stock(arch.parse("newest"))

    def test_headers_are_moved(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            src = root / "usr/src/linux-headers-7.3-amd64"
            src.mkdir(parents=True)
            (root / "lib/modules").mkdir(parents=True)
            (src / "Makefile").write_text(
                "KBUILD_OUTPUT = /usr/src/linux-headers-7.3-amd64\n"
                "include /usr/src/linux-headers-7.3-common/Makefile\n"
                "X = /usr/lib/linux-kbuild-7.3/x /old/usr/src/linux-y\n")
            stock.relocate(root, pathlib.Path("/cache/7.3"))
            self.assertEqual(
                (src / "Makefile").read_text(),
                "KBUILD_OUTPUT = /cache/7.3/usr/src/linux-headers-7.3-amd64\n"
                "include /cache/7.3/usr/src/linux-headers-7.3-common/Makefile"
                "\nX = /cache/7.3/usr/lib/linux-kbuild-7.3/x "
                "/old/usr/src/linux-y\n")


class MachineCase(unittest.TestCase):
    """What the runner makes of the table."""

    def words(self, name):
        """Return QEMU's words for a kernel of that name."""
        kernel = stock.Kernel(name, "1", "/image", None, None)
        args = run.parse_args(["--kernel", name, "--", "true"])
        shares = [("root", pathlib.Path("/r"), False),
                  ("rw0", pathlib.Path("/a,b"), True)]
        with mock.patch("shutil.which", side_effect=lambda name: name):
            return run.qemu_command(args, kernel, "i", "c", shares, {})

    def test_each_machine(self):
        for name, some in (
                ("6.12", ("qemu-system-x86_64", "virtio-9p-pci,fsdev=root")),
                ("6.12-arm64", ("qemu-system-aarch64", "cortex-a57")),
                ("6.12-arm64-16k", ("cortex-a76",)),
                ("6.12-s390x", ("virtio-serial-ccw",
                                "virtio-9p-ccw,fsdev=root"))):
            text = " ".join(self.words(name))
            for word in some:
                self.assertIn(word, text)
        self.assertNotIn("no_timer_check", " ".join(self.words("6.12-arm64")))

    def test_only_what_is_named_can_be_written(self):
        words = [w for w in self.words("6.12") if w.startswith("local,")]
        self.assertIn("readonly=on", words[0])
        self.assertNotIn("readonly=on", words[1])
        self.assertIn("path=/a,,b", words[1])

    def test_missing_emulator_names_its_group(self):
        kernel = stock.Kernel("6.12-s390x", "1", "/image", None, None)
        args = run.parse_args(["--arch", "s390x", "--", "true"])
        self.assertEqual(args.kernel, "6.12-s390x")
        with mock.patch("shutil.which", return_value=None):
            with self.assertRaisesRegex(common.Fatal, "setup.sh s390x"):
                run.qemu_command(args, kernel, "i", "c", [], {})

    def test_configuration_of_the_uppermost_layer_counts(self):
        text = testkernel.fragment(arch.parse("bare-arm64-64k"))
        self.assertIn("CONFIG_ARM64_64K_PAGES=y\n", text)
        self.assertIn("# CONFIG_INET is not set\n", text)
        self.assertNotIn("CONFIG_INET=y", text)
        self.assertNotIn("ACPI_NUMA", text)
        self.assertIn("CONFIG_X86_64_ACPI_NUMA=y\n",
                      testkernel.fragment(arch.parse("test")))

    def test_no_programs_for_a_machine(self):
        with self.assertRaisesRegex(common.Fatal, "bookworm on riscv64"):
            roots.get("bookworm", "riscv64")


class InsideCase(unittest.TestCase):
    """Running in an unpacked root."""

    def test_help(self):
        done = subprocess.run([VM / "inside.sh", "--help"], check=True,
                              stdout=subprocess.PIPE, text=True)
        self.assertIn("usage: scripts/vm/inside.sh", done.stdout)


class SetupCase(unittest.TestCase):
    """Packages that have other names in another release."""

    def missing(self, installed, offered):
        """Return what setup.sh wants for s390x, on a system like that."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (
                    ("dpkg-query", "\n".join(f"echo 'ii  {package}'"
                                             for package in installed)),
                    ("apt-cache", f"case '{' '.join(offered)}' in "
                                  "*$2*) echo there ;; esac")):
                path = pathlib.Path(folder) / name
                path.write_text(f"#!/bin/sh\n{text}\n")
                path.chmod(0o755)
            done = subprocess.run(
                [VM.parent / "setup.sh", "-n", "s390x"], check=True,
                stderr=subprocess.PIPE, text=True,
                env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})
        return done.stderr.partition("installed: ")[2].split()

    def test_either_name_will_do(self):
        rest = ["gcc-12-s390x-linux-gnu", "gcc-s390x-linux-gnu",
                "libc6-dev-s390x-cross"]
        for name in ("qemu-system-s390x", "qemu-system-misc"):
            self.assertEqual(self.missing([name], []), rest)
            self.assertEqual(self.missing([*rest, name], []), [])

    def test_what_is_offered_is_installed(self):
        for name in ("qemu-system-s390x", "qemu-system-misc"):
            self.assertEqual(self.missing([], [name])[-1], name)


if __name__ == "__main__":
    unittest.main()
