# SPDX-License-Identifier: GPL-2.0
"""A terminal for tests: runs a program on a pseudo terminal, and keeps the
screen that its output makes. What it does not know is an error."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

SEQUENCE = re.compile(r"\x1b(\[[?>]?[\d;]*[a-zA-Z@]|[()][0B]|[=>78M])")
# What changes nothing that can be read: attributes, modes, scrolling region,
# character sets, titles.
IGNORED = frozenset("mhlrt")


class Screen:
    """Lines of text and a cursor."""

    def __init__(self, height, width):
        self.resize(height, width)

    def resize(self, height, width):
        """Start again, blank."""
        self.height, self.width = height, width
        self.lines = [[" "] * width for _ in range(height)]
        self.row = self.column = 0
        self.last = " "
        self.rest = ""

    def text(self):
        """Return what a person reads."""
        return "\n".join("".join(line).rstrip() for line in self.lines)

    def feed(self, text):
        """Take in output; an unfinished sequence waits for its end."""
        text = self.rest + text
        self.rest = ""
        place = 0
        while place < len(text):
            if text[place] != "\x1b":
                self.char(text[place])
                place += 1
                continue
            match = SEQUENCE.match(text, place)
            if not match:
                if len(text) - place > 20:
                    raise ValueError(f"unknown: {text[place:place + 20]!r}")
                self.rest = text[place:]
                return
            self.sequence(match[1])
            place = match.end()

    def char(self, char):
        """Put one character."""
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self.row = min(self.row + 1, self.height - 1)
        elif char == "\b":
            self.column = max(self.column - 1, 0)
        elif char >= " ":
            if self.column >= self.width:
                self.column = 0
                self.row = min(self.row + 1, self.height - 1)
            self.lines[self.row][self.column] = char
            self.column += 1
            self.last = char

    def sequence(self, text):
        """Act on an escape sequence."""
        if text[0] != "[" or text[1] in "?>" or text[-1] in IGNORED:
            return
        kind = text[-1]
        numbers = [int(n) if n else 0 for n in text[1:-1].split(";")]
        first = max(numbers[0], 1)
        line = self.lines[self.row]
        if kind == "H":
            self.row = min(first, self.height) - 1
            column = numbers[1] if len(numbers) > 1 else 1
            self.column = min(max(column, 1), self.width) - 1
        elif kind == "d":
            self.row = min(first, self.height) - 1
        elif kind == "G":
            self.column = min(first, self.width) - 1
        elif kind == "A":
            self.row = max(self.row - first, 0)
        elif kind == "B":
            self.row = min(self.row + first, self.height - 1)
        elif kind == "C":
            self.column = min(self.column + first, self.width - 1)
        elif kind == "D":
            self.column = max(self.column - first, 0)
        elif kind == "J":
            if numbers[0] == 0:
                for below in self.lines[self.row + 1:]:
                    below[:] = [" "] * self.width
                line[self.column:] = [" "] * (self.width - self.column)
            else:
                self.resize(self.height, self.width)
        elif kind == "K":
            start, end = {0: (self.column, self.width),
                          1: (0, self.column + 1),
                          2: (0, self.width)}[numbers[0]]
            line[start:end] = [" "] * (end - start)
        elif kind == "X":
            end = min(self.column + first, self.width)
            line[self.column:end] = [" "] * (end - self.column)
        elif kind == "b":
            for _ in range(first):
                self.char(self.last)
        elif kind == "@":
            line[self.column:self.column] = [" "] * first
            del line[self.width:]
        elif kind == "P":
            del line[self.column:self.column + first]
            line += [" "] * (self.width - len(line))
        elif kind == "L":
            for _ in range(first):
                self.lines.insert(self.row, [" "] * self.width)
            del self.lines[self.height:]
        elif kind == "M":
            del self.lines[self.row:self.row + first]
            while len(self.lines) < self.height:
                self.lines.append([" "] * self.width)
        else:
            raise ValueError(f"unknown sequence {text!r}")


class Program:
    """A program on a pseudo terminal."""

    def __init__(self, command, term="xterm", height=24, width=100):
        self.screen = Screen(height, width)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = term
            os.environ.pop("LINES", None)
            os.environ.pop("COLUMNS", None)
            self.set_size(0, height, width)
            os.execvp(command[0], command)
        self.status = None

    @staticmethod
    def set_size(fd, height, width):
        """Tell the terminal's size."""
        fcntl.ioctl(fd, termios.TIOCSWINSZ,
                    struct.pack("HHHH", height, width, 0, 0))

    def resize(self, height, width):
        """Another size of window."""
        self.screen.resize(height, width)
        self.set_size(self.fd, height, width)

    def pump(self, seconds):
        """Take in output; False when the program has closed its end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.screen.feed(data.decode("ascii"))
        return bool(data)

    def expect(self, *texts, seconds=60):
        """Wait until the screen has all texts."""
        end = time.monotonic() + seconds
        while not all(text in self.screen.text() for text in texts):
            if time.monotonic() > end or not self.pump(0.2):
                raise AssertionError(f"no {texts!r} on the screen:\n"
                                     + self.screen.text())
        return self.screen.text()

    def send(self, keys):
        """Press keys."""
        os.write(self.fd, keys.encode())

    def end(self, seconds=60):
        """Wait for the end; return the exit status."""
        end = time.monotonic() + seconds
        while self.pump(0.2):
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                break
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return status
