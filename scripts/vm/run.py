#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boot a kernel in QEMU over the host's files and run one command in it.

scripts/vm/README.md explains how it works.
"""

import argparse
import atexit
import ctypes
import fcntl
import os
import pathlib
import re
import selectors
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import tty

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import arch  # noqa: E402
import common  # noqa: E402
import initramfs  # noqa: E402
import kernels  # noqa: E402
import stock  # noqa: E402
from common import Fatal, say  # noqa: E402

TIMED_OUT = 124
DIED = 125
ESCAPE = b"\x1d"        # Ctrl-]
LAST_LINES = 40
PASSED_ENV = ("PATH", "HOME", "LANG", "LC_ALL", "TERM", "XDG_CACHE_HOME",
              "KHEAP_BUILD", "CI", "PYTHONDONTWRITEBYTECODE")


def parse_args(argv):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        usage="%(prog)s [options] [--] CMD [ARG...]",
        description="Boot a kernel in QEMU and run CMD in it as root, in the "
        "current folder.\nThe host's files are there, read-only underneath: "
        "what CMD writes is lost,\nexcept in the repository's build/ and "
        "what --rw names.",
        epilog="exit status: CMD's own; 124 time-out; 125 the guest died "
        "(panic, oops, reset);\n126 CMD cannot be run; 127 CMD not found; "
        "1 set-up failed (one line says why).\n\n"
        "examples:\n"
        "  run.py -- uname -a\n"
        "  run.py --kernel 6.1 --cpus 4 -- bash -c 'insmod x.ko; dmesg'\n"
        "  run.py --kernel 6.12-rt --tty -- bash\n"
        "  run.py --arch arm64 -- uname -a\n"
        "  run.py --image bzImage --headers ~/linux -- ./test.sh",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--kernel", default="6.12", metavar="NAME",
        help="6.12 (default), 6.1, 6.12-rt, 6.1-rt, newest, test, kcsan or "
        "kmsan; 6.12-arm64 is the same as --arch arm64")
    add("--arch", metavar="A",
        help="arm64, arm64-16k, arm64-64k or s390x (default: amd64); the "
        "guest's programs are Debian 12's for it, not the host's")
    add("--cpus", type=int, metavar="N", help="processors (default 2)")
    add("--mem", default="2048", metavar="M",
        help="memory in MiB, or with a suffix: 4G (default 2048)")
    add("--nodes", type=int, default=1, metavar="N",
        help="spread memory and processors over N memory nodes")
    add("--icount", action="store_true",
        help="let the guest's clock count instructions: 1 ns is 1 "
        "instruction, of any processor (default: one)")
    add("--one-thread", action="store_true",
        help="emulate all processors in one thread: for commands that have "
        "the kernel patch code that others run")
    add("--timeout", type=float, default=600, metavar="S",
        help="end with 124 after S seconds (default 600; 0: never)")
    add("--tty", action="store_true",
        help="run CMD on a terminal; Ctrl-] ends the machine")
    add("--env", action="append", default=[], metavar="NAME=VALUE",
        help="set a variable for CMD; NAME alone passes it through")
    add("--rw", action="append", default=[], metavar="DIR",
        help="let the guest write to this folder of the host")
    add("--console-log", metavar="FILE",
        help="keep the kernel log here (default: "
        "build/vm/console-KERNEL.log)")
    add("--append", action="append", default=[], metavar="ARGS",
        help="more words for the kernel's command line")
    add("--qemu", default="", metavar="ARGS", help="more words for QEMU")
    add("--image", metavar="F", help="boot this bzImage instead")
    add("--headers", metavar="DIR",
        help="build tree of --image (tells its release)")
    add("--modules", metavar="DIR",
        help="modules of --image: .../lib/modules/RELEASE, when 9p, virtio "
        "or overlayfs are not built in")
    add("-v", "--verbose", action="store_true",
        help="say how long booting took")
    add("--print-qemu", action="store_true",
        help="print QEMU's command line before the start")
    add("command", nargs="*", metavar="CMD", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    check_args(parser, args)
    return args


def check_args(parser, args):
    """Refuse what cannot work, with a line that says what can."""
    if not args.command:
        if not args.tty:
            parser.error("no command: put it after --")
        args.command = ["bash", "-i"]
    args.kernel = arch.named(args.kernel, args.arch)
    if args.cpus is None:
        args.cpus = 1 if args.icount else 2
    size = re.fullmatch(r"(\d+)([MG]?)", args.mem.upper())
    if not size or not int(size[1]):
        parser.error(f"--mem {args.mem}: give MiB, or a number with G")
    args.mem = int(size[1]) * (1024 if size[2] == "G" else 1)
    if not 1 <= args.cpus <= 64 or not 1 <= args.nodes <= 16:
        parser.error("--cpus is 1 to 64, --nodes is 1 to 16")
    if args.mem // args.nodes < 32 or args.mem < 256:
        parser.error("--mem: at least 256 in all and 32 a node")
    # KMSAN keeps two bytes for each that can be had.
    if args.kernel == "kmsan":
        args.mem *= 3
    for item in args.env:
        if not re.match(r"[A-Za-z_]\w*(=|$)", item):
            parser.error(f"--env {item}: give NAME=VALUE or NAME")
    if args.tty and not sys.stdin.isatty():
        parser.error("--tty needs a terminal")
    if args.headers and not args.image:
        parser.error("--headers goes with --image")


# --- The machine ----------------------------------------------------------

def own_kernel(args):
    """Describe the kernel that --image names."""
    image = pathlib.Path(args.image).resolve()
    if not image.is_file():
        raise Fatal(f"--image {args.image}: no such file")
    release = "unknown"
    headers = args.headers and pathlib.Path(args.headers).resolve()
    if headers:
        note = headers / "include/config/kernel.release"
        if not note.is_file():
            raise Fatal(f"--headers {args.headers}: not a built kernel tree "
                        "(include/config/kernel.release is missing)")
        release = note.read_text().strip()
    modules = args.modules and pathlib.Path(args.modules).resolve()
    if modules and not (modules / "modules.dep").is_file():
        raise Fatal(f"--modules {args.modules}: modules.dep is missing; "
                    "run depmod")
    return stock.Kernel(arch.named("own", args.arch), release, image, headers,
                        modules)


def accelerator(args, kernel):
    """Return QEMU's -accel words.

    There are machines whose /dev/kvm opens but cannot run a stock kernel;
    the flags of the processor tell the truth.
    """
    cpu = ["-cpu", kernel.cpu]
    if args.icount:
        return ["-accel", "tcg,tb-size=256", "-icount", "shift=0,sleep=off",
                *cpu]
    try:
        info = pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii",
                                                       errors="replace")
    except OSError:
        info = ""
    if kernel.arch.flag \
            and re.search(rf"^flags.*\b({kernel.arch.flag})\b", info, re.M) \
            and os.access("/dev/kvm", os.R_OK | os.W_OK):
        return ["-accel", "kvm", "-cpu", "host"]
    # Where code is patched while another processor's thread translates it,
    # QEMU 7.2 can keep the old code: the breakpoint that Linux sets meanwhile.
    thread = "single" if args.one_thread else "multi"
    return ["-accel", f"tcg,thread={thread},tb-size=512", *cpu]


def memory_words(args):
    """Return QEMU's words for memory, processors and memory nodes."""
    words = ["-m", f"{args.mem}M", "-smp", str(args.cpus)]
    if args.nodes == 1:
        return words
    share = args.mem // args.nodes
    for node in range(args.nodes):
        size = share if node else args.mem - share * (args.nodes - 1)
        first = node * args.cpus // args.nodes
        last = (node + 1) * args.cpus // args.nodes - 1
        cpus = f",cpus={first}-{last}" if last >= first else ""
        words += ["-object", f"memory-backend-ram,id=mem{node},size={size}M",
                  "-numa", f"node,nodeid={node},memdev=mem{node}{cpus}"]
    return words


def escaped(path):
    """Return a path as QEMU's option parser wants it."""
    return str(path).replace(",", ",,")


def share_words(bus, shares):
    """Return QEMU's words for folders of the host: (tag, folder, writable)."""
    words = []
    for tag, path, writable in shares:
        words += ["-fsdev", f"local,id={tag},path={escaped(path)},"
                  "security_model=none,multidevs=remap"
                  + ("" if writable else ",readonly=on"),
                  "-device", f"virtio-9p-{bus},fsdev={tag},mount_tag={tag}"]
    return words


def port_words(bus, ports):
    """Return QEMU's words for the virtio ports; ports are open sockets."""
    words = ["-device", f"virtio-serial-{bus}"]
    for name, sock in ports.items():
        words += ["-chardev", f"socket,id={name},fd={sock.fileno()}",
                  "-device", f"virtserialport,chardev={name},name={name}"]
    return words


def kernel_words(args, kernel):
    """Return the kernel's command line."""
    words = [f"console={kernel.arch.console}", "loglevel=8", "panic=-1",
             "oops=panic", *kernel.arch.words, "rdinit=/init"]
    if args.icount:
        words += ["nokaslr", "nowatchdog", "hung_task_panic=0",
                  "rcupdate.rcu_cpu_stall_suppress=1"]
    # An emulated CPU that is to run into a watchpoint may not be running at
    # all: as it comes, KCSAN waits 80 us, and finds not even a made race.
    if args.kernel == "kcsan":
        words += ["kcsan.udelay_task=2000", "kcsan.skip_watch=1000"]
    return " ".join(words + args.append).strip()


def qemu_command(args, kernel, initrd, console, shares, ports):
    """Return QEMU's whole command line."""
    machine = kernel.arch
    qemu = shutil.which(machine.qemu)
    if not qemu:
        group = "vm" if machine is arch.NATIVE else machine.name
        raise Fatal(f"{machine.qemu} is missing; "
                    f"scripts/setup.sh {group} installs it")
    return [qemu, "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-machine", machine.machine,
            *accelerator(args, kernel),
            *memory_words(args), "-kernel", str(kernel.image),
            "-initrd", str(initrd), "-append", kernel_words(args, kernel),
            "-chardev", f"file,id=console,path={escaped(console)}",
            "-serial", "chardev:console", *share_words(machine.bus, shares),
            *port_words(machine.bus, ports), *shlex.split(args.qemu)]


def guest_env(args, kernel):
    """Return the environment of the command as /conf records."""
    env = {name: os.environ[name] for name in PASSED_ENV
           if name in os.environ}
    env.setdefault("HOME", "/root")
    env.setdefault("PATH", "/usr/bin:/bin")
    env["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"
    env["KHEAP_VM_KERNEL"] = kernel.name
    for item in args.env:
        name, sep, value = item.partition("=")
        if sep:
            env[name] = value
        elif name in os.environ:
            env[name] = os.environ[name]
    return [("env", f"{name}={value}") for name, value in env.items()]


def conf_records(args, kernel, shares):
    """Return what the first process in the guest must know."""
    records = guest_env(args, kernel)
    for tag, path, writable in shares[1:]:
        records.append(("share" if writable else "see", f"{tag}\t{path}"))
    if kernel.modules:
        records.append(("bind", f"{kernel.modules}\t"
                        f"/lib/modules/{kernel.release}"))
    if args.tty:
        records.append(("tty", ",".join(map(str, window_size()))))
    records.append(("cwd", os.getcwd()))
    records.append(("name", "kheap-" + kernel.name.replace(".", "-")))
    return records + [("arg", arg) for arg in args.command]


# --- Watching it run ------------------------------------------------------

def window_size():
    """Return (rows, columns) of our terminal."""
    try:
        raw = fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8)
    except OSError:
        return 24, 80
    rows, cols = struct.unpack("HHHH", raw)[:2]
    return rows or 24, cols or 80


def die_with_parent():
    """In the child: let QEMU end when we end, however that happens."""
    os.setsid()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Machine:
    """A running QEMU: relays the ports and finds out how it ended."""

    def __init__(self, args, command, ours, theirs):
        self.args = args
        self.ours = ours
        self.status = None
        self.start = time.monotonic()
        self.control = b""
        self.sel = selectors.DefaultSelector()
        self.proc = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, preexec_fn=die_with_parent,
            pass_fds=[s.fileno() for s in theirs.values()])
        for sock in theirs.values():
            sock.close()
        self.said = b""
        for name, sock in ours.items():
            self.sel.register(sock, selectors.EVENT_READ, name)
        self.sel.register(self.proc.stdout, selectors.EVENT_READ, "qemu")

    def seconds(self):
        """Return the seconds since the start."""
        return time.monotonic() - self.start

    def run(self):
        """Relay until the machine ends; return our exit status."""
        if self.args.tty:
            self.sel.register(0, selectors.EVENT_READ, "keys")
        while self.sel.get_map().keys() - {0}:
            left = None
            if self.args.timeout:
                left = self.args.timeout - self.seconds()
                if left <= 0:
                    return TIMED_OUT
            for key, _ in self.sel.select(left):
                self.handle(key.data, key.fileobj)
            if self.status is not None and self.only_qemu_left():
                break
        return DIED if self.status is None else self.status

    def only_qemu_left(self):
        """True when every port has reached its end."""
        left = {key.data for key in self.sel.get_map().values()}
        return not left & set(self.ours)

    def handle(self, name, file):
        """Deal with input on one of the channels."""
        fd = file if isinstance(file, int) else file.fileno()
        try:
            data = os.read(fd, 65536)
        except OSError:
            data = b""
        if not data:
            self.sel.unregister(file)
        elif name == "out":
            write_all(1, data)
        elif name == "err":
            write_all(2, data)
        elif name == "keys":
            self.on_keys(data)
        elif name == "ctl":
            self.on_control(data)
        else:
            self.said += data

    def on_keys(self, data):
        """Pass what is typed; the escape key ends the machine."""
        if ESCAPE in data:
            raise KeyboardInterrupt
        self.ours["out"].sendall(data)

    def on_control(self, data):
        """Take messages of the first process."""
        self.control += data
        while b"\n" in self.control:
            line, _, self.control = self.control.partition(b"\n")
            word, _, rest = line.partition(b" ")
            if word == b"exit":
                self.status = int(rest)
            elif word == b"up" and self.args.verbose:
                say(f"[booted in {self.seconds():.1f} s]")

    def resize(self, *_):
        """Tell the guest the new size of our terminal."""
        rows, cols = window_size()
        self.ours["ctl"].sendall(f"size {rows} {cols}\n".encode())

    def stop(self):
        """End QEMU, whatever it is doing."""
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()


def write_all(fd, data):
    """Write everything; a reader that went away ends the run."""
    while data:
        data = data[os.write(fd, data):]


def last_lines(path, count):
    """Return the last lines of a kernel log, cleaned of CR and NUL."""
    try:
        text = pathlib.Path(path).read_bytes()[-65536:]
    except OSError:
        return []
    text = re.sub(rb"[^\t\n -~]", b"", text).decode("ascii")
    return [ln for ln in text.splitlines() if ln.strip()][-count:]


def explain(status, machine, console):
    """Say why the guest did not finish."""
    if status == TIMED_OUT:
        say(f"run.py: time-out after {machine.args.timeout:g} s "
            "(--timeout sets it)")
    elif machine.said and not last_lines(console, 1):
        say("run.py: QEMU ended: "
            + machine.said.decode(errors="replace").strip())
        return
    else:
        say("run.py: the guest died")
    say(f"--- last lines of the kernel log ({console}) ---")
    for line in last_lines(console, LAST_LINES):
        say(line)


def raw_terminal(machine):
    """Put our terminal into raw mode until we end."""
    saved = termios.tcgetattr(0)
    atexit.register(termios.tcsetattr, 0, termios.TCSADRAIN, saved)
    tty.setraw(0)
    signal.signal(signal.SIGWINCH, machine.resize)


def on_terminate(*_):
    """SIGTERM and SIGHUP: end as Ctrl-C does."""
    raise KeyboardInterrupt


def console_path(args, kernel):
    """Return where the kernel log goes, and make its folder."""
    if args.console_log:
        path = pathlib.Path(args.console_log).resolve()
    else:
        path = common.build_dir() / "vm" / f"console-{kernel.name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def shared_folders(args, kernel):
    """Return the folders of the host, [(tag, folder, writable)].

    The first is the guest's root. Where that is not the host's, the guest sees
    the repository, the current folder and the kernel's modules besides.
    """
    root = kernel.userland()
    shares = [("root", root or pathlib.Path("/"), False)]
    seen = [common.REPO, pathlib.Path.cwd(), kernel.modules] if root else []
    kept = []
    for path in filter(None, seen):
        if not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    shares += [(f"ro{i}", path, False) for i, path in enumerate(kept)]
    folders = [common.build_dir()]
    folders[0].mkdir(parents=True, exist_ok=True)
    for name in args.rw:
        path = pathlib.Path(name).resolve()
        if not path.is_dir():
            raise Fatal(f"--rw {name}: no such folder")
        folders.append(path)
    return shares + [(f"rw{i}", path, True) for i, path in enumerate(folders)]


def boot(args, kernel, work, log):
    """Boot the kernel, run the command, return the exit status."""
    shares = shared_folders(args, kernel)
    initrd = work / "initrd"
    initramfs.write(initrd, kernel, conf_records(args, kernel, shares))
    pairs = {name: socket.socketpair() for name in ("out", "err", "ctl")}
    # Two runs may share the default name: the one that ends last keeps it.
    console = log if args.console_log else \
        log.with_name(f".{log.name}.{os.getpid()}")
    command = qemu_command(args, kernel, initrd, console, shares,
                           {name: pair[1] for name, pair in pairs.items()})
    if args.print_qemu:
        say(shlex.join(command))
    machine = Machine(args, command, {n: p[0] for n, p in pairs.items()},
                      {n: p[1] for n, p in pairs.items()})
    try:
        if args.tty:
            raw_terminal(machine)
        status = machine.run()
    finally:
        machine.stop()
        if console != log and console.exists():
            console.replace(log)
    if machine.status is None:
        explain(status, machine, log)
    elif args.verbose:
        say(f"[ended after {machine.seconds():.1f} s]")
    return status


def main():
    """Command line."""
    args = parse_args(sys.argv[1:])
    for sig in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, on_terminate)
    kernel = own_kernel(args) if args.image else kernels.get(args.kernel)
    with tempfile.TemporaryDirectory(prefix="kheap-vm-") as work:
        return boot(args, kernel, pathlib.Path(work),
                    console_path(args, kernel))


if __name__ == "__main__":
    common.main_wrapper(main)
