# SPDX-License-Identifier: GPL-2.0
"""The compiled parts of the recorder: building them, and talking to the collector.

kheap_collect.c tells what the collector is and has the words that are exchanged.
"""

import collections
import contextlib
import hashlib
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent

CFLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra"]
PARTS = {
    "recorder": (["kheap_record.c", "kheap_append.c", "kheap_exec.c"],
                 ["-fPIC", "-fvisibility=hidden", "-shared"]),
    "collector": (["kheap_collect.c", "kheap_convert.c", "kheap_file.c"], []),
}
HEADERS = ["kheap_append.h", "kheap_collect.h", "kheap_ring.h"]

TIME, CHILDREN = 1, 2           # kheap_ring.h: flags of a ring
FORKED, OWN_MALLOC = 1, 2       # and of a process image

# exe: its path; next: what it said it would become, or nothing.
Image = collections.namedtuple("Image", "proc parent pid flags exe next")
Result = collections.namedtuple("Result", "nr_events peak_bytes peak_live notes")


class CollectorError(Exception):
    """It cannot be built, or has failed; the text says why and what to do."""


def cache_dir():
    """Return where to keep what is compiled: build/ of the repository that this is
    in, or the user's cache; an installation has no folder to write to."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    top = HERE.parent.parent
    folders = [pathlib.Path(base) / "kheap" / "trace"]
    if (top / "Kbuild").exists():
        folders.insert(0, top / os.environ.get("KHEAP_BUILD", "build") / "trace")
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise CollectorError(f"{' and '.join(map(str, folders))} cannot be written: set "
                         "XDG_CACHE_HOME to a directory for the compiled recorder")


def compile_part(target, sources, flags):
    """Compile sources into target, at once or not at all."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
    if not compiler:
        raise CollectorError("no C compiler: install gcc and libc6-dev, or set CC")
    part = target.with_suffix(f".{os.getpid()}")
    command = [*shlex.split(compiler), *CFLAGS, *flags, "-o", str(part),
               *(str(HERE / source) for source in sources)]
    try:
        subprocess.run(command, capture_output=True, text=True, check=True)
        part.replace(target)
    except OSError as error:
        raise CollectorError(f"{error.filename}: {error.strerror}; a compiler can be "
                             "set with CC") from None
    except subprocess.CalledProcessError as error:
        raise CollectorError(f"the recorder does not compile:\n{error.stderr.strip()}\n"
                             "  is libc6-dev installed?") from None
    finally:
        part.unlink(missing_ok=True)


def build(name):
    """Return the path of a part, compiled if it is not yet."""
    sources, flags = PARTS[name]
    key = hashlib.sha256(" ".join(CFLAGS + flags).encode())
    for source in [*HEADERS, *sources]:
        key.update((HERE / source).read_bytes())
    suffix = ".so" if "-shared" in flags else ".bin"
    target = cache_dir().absolute() / f"kheap_{name}-{key.hexdigest()[:12]}{suffix}"
    if not target.exists():
        compile_part(target, sources, flags)
    return target


def ring_folders(spool_folder):
    """Where the shared memory may be: memory first, a disk if it must be."""
    return ["/dev/shm", tempfile.gettempdir(), str(spool_folder)]


class Collector:
    """The process that empties the programs' shared memory and writes traces."""

    def __init__(self, binary, ring, spool, flags):
        self.ring = ring
        # A session of its own: what the terminal's keys do is for the command.
        self.process = subprocess.Popen([binary, ring, spool, str(flags)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        start_new_session=True, cwd=spool.parent)
        word, error, *where = self.answer()
        if word != "ready":
            self.close()
            raise CollectorError(f"{' '.join(where)}: {os.strerror(int(error))}")

    def answer(self):
        """One line of it, as words."""
        line = self.process.stdout.readline().decode()
        if not line.endswith("\n"):
            status = self.process.wait()
            why = f"signal {-status}" if status < 0 else f"status {status}"
            raise CollectorError(f"the recorder's collector is gone ({why}), and what "
                                 "was recorded with it; is there memory enough?")
        return line.split()

    def say(self, data):
        """Tell it something."""
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass                # the answer will be missing

    def end(self):
        """End the recording; return (images, children that were not wanted)."""
        self.say(b"end\n")
        images = []
        while True:
            word, *fields = self.answer()
            if word == "ended":
                return images, int(fields[0])
            texts = [os.fsdecode(bytes.fromhex(field[1:])) for field in fields[4:]]
            images.append(Image(*map(int, fields[:4]), *texts))

    def trace(self, image, meta, name):
        """Write a process image's trace beside the spool; return the Result."""
        self.say(f"trace {image.proc} {len(meta)} {name}\n".encode() + meta)
        word, *fields = self.answer()
        if word == "failed":
            raise CollectorError(f"no trace of {image.exe} was written: "
                                 f"{os.strerror(int(fields[0]))}")
        notes = bytes.fromhex(fields[3].rstrip(".")).decode()
        return Result(*map(int, fields[:3]), notes)

    def close(self):
        """Whatever it does, it ends."""
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()


@contextlib.contextmanager
def start(binary, spool_folder, flags):
    """A collector with its memory; both go, however this ends."""
    why = None
    for parent in ring_folders(spool_folder):
        with contextlib.ExitStack() as stack:
            try:
                folder = tempfile.mkdtemp(prefix="kheap-record-", dir=parent)
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
                # A program may change its user: who knows the name may open it.
                os.chmod(folder, 0o711)
                ring = os.path.join(folder, os.urandom(12).hex())
                with open(ring, "xb"):
                    os.chmod(ring, 0o666)
                collector = Collector(binary, ring, spool_folder / "spool", flags)
            except (OSError, CollectorError) as error:
                why = error
                continue
            stack.callback(collector.close)
            yield collector
            return
    raise CollectorError(f"the recording cannot begin: {getattr(why, 'strerror', why)}; "
                         "it needs 320 KiB in /dev/shm and beside -o FILE, in files of "
                         "that size (ulimit -f)")
