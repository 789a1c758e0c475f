"""A program in a terminal of its own, and what stands on its screen."""

import fcntl
import os
import pty
import selectors
import struct
import subprocess
import termios
import time

import pyte

from support.server import patience


class Terminal:
    def __init__(self, command, columns=100, rows=40, term="linux"):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.master, slave = pty.openpty()
        self.set_size(columns, rows)
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave,
            env=dict(os.environ, TERM=term), start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)

    def set_size(self, columns, rows):
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys):
        os.write(self.master, keys)

    @property
    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    def read(self, seconds):
        """Takes what comes within that time; False at its end."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.master, selectors.EVENT_READ)
            if not selector.select(seconds):
                return True
        try:
            data = os.read(self.master, 1 << 16)
        except OSError:
            return False
        self.stream.feed(data)
        return len(data) > 0

    def wait_for(self, condition, seconds=10):
        """Until condition(lines) is true; its value."""
        deadline = time.monotonic() + seconds * patience()
        while True:
            value = condition(self.lines)
            if value:
                return value
            assert time.monotonic() < deadline, "\n".join(self.lines)
            self.read(0.1)

    def wait_end(self, seconds=10):
        deadline = time.monotonic() + seconds * patience()
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "\n".join(self.lines)
            self.read(0.05)
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
