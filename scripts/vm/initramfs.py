# SPDX-License-Identifier: GPL-2.0
"""Make the initramfs: our first process, the modules it inserts, /conf.

The part that only depends on the kernel is cached; the part that differs
from run to run is a second archive that the kernel unpacks over the first.
"""

import hashlib
import lzma
import os
import subprocess

import common
from common import Fatal

# Inserted in this order where they are not built in; dependencies come along.
WANTED = ["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay"]


def entry(name, mode, data=b"", rdev=(0, 0)):
    """Return one member of a cpio archive in the "newc" format."""
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08x" % f for f in fields)
    out = head + name.encode() + b"\0"
    out += b"\0" * (-len(out) % 4) + data
    return out + b"\0" * (-len(out) % 4)


def archive(entries):
    """Close a list of members to an archive."""
    blob = b"".join(entries) + entry("TRAILER!!!", 0)
    return blob + b"\0" * (-len(blob) % 512)


def compiled_init(arch):
    """Return the path of the compiled first process."""
    source = common.VM_DIR / "init.c"
    tag = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    path = common.cache_dir() / "init" / f"init-{arch.name}-{tag}"
    if path.exists():
        return path
    path.parent.mkdir(exist_ok=True)
    temp = path.with_suffix(f".{os.getpid()}")
    compiler = f"{arch.cross}gcc"
    try:
        res = subprocess.run([compiler, "-static", "-O2", "-Wall", "-Wextra",
                              "-o", temp, source], check=False).returncode
    except OSError:
        res = 127
    if res:
        raise Fatal(f"{compiler} cannot compile scripts/vm/init.c; "
                    "scripts/setup.sh "
                    f"{arch.name if arch.cross else 'vm'} installs what it "
                    "needs")
    temp.rename(path)
    return path


def module_name(path):
    """Return the name of a module by its file name."""
    return os.path.basename(path).split(".ko")[0].replace("-", "_")


def module_files(kernel):
    """Return the wanted module files of a kernel, dependencies first."""
    deps = {}
    try:
        text = (kernel.modules / "modules.dep").read_text()
    except (OSError, TypeError):
        return []
    for line in text.splitlines():
        path, _, needs = line.partition(":")
        deps[module_name(path)] = (path, needs.split())
    files = []

    def add(path):
        for need in reversed(deps[module_name(path)][1]):
            add(need)
        if path not in files:
            files.append(path)

    for name in WANTED:
        if name in deps:
            add(deps[name][0])
    return files


def module_data(path):
    """Return a module's contents, decompressed."""
    data = path.read_bytes()
    if path.name.endswith(".xz"):
        return lzma.decompress(data)
    if path.name.endswith(".zst"):
        return subprocess.run(["zstd", "-dcq", path], check=True,
                              stdout=subprocess.PIPE).stdout
    return data


def base(kernel):
    """Return (cached archive of a kernel, names of modules to insert)."""
    init = compiled_init(kernel.arch)
    files = module_files(kernel)
    names = [f"/m/{module_name(f)}.ko" for f in files]
    where = f"{kernel.modules}:{kernel.release}:{init.name}"
    tag = hashlib.sha256(where.encode()).hexdigest()[:16]
    path = common.cache_dir() / "init" / f"base-{tag}.cpio"
    if path.exists():
        return path, names
    entries = [entry(d, 0o40755) for d in
               ("dev", "proc", "sys", "lower", "rw", "root", "m")]
    entries.append(entry("dev/console", 0o20600, rdev=(5, 1)))
    entries.append(entry("init", 0o100755, init.read_bytes()))
    for file, name in zip(files, names):
        entries.append(entry(name[1:], 0o100644,
                             module_data(kernel.modules / file)))
    temp = path.with_suffix(f".{os.getpid()}")
    temp.write_bytes(archive(entries))
    temp.rename(path)
    return path, names


def write(path, kernel, records):
    """Write the whole initramfs of one run to path."""
    base_path, modules = base(kernel)
    conf = [("module", m) for m in modules] + records
    text = b"".join(f"{key}={val}".encode() + b"\0" for key, val in conf)
    path.write_bytes(base_path.read_bytes()
                     + archive([entry("conf", 0o100600, text)]))
