"""A disk that fails or hangs as a test says: support/failing_disk.c, preloaded
into a server, and limits that make a file as good as a full disk."""

import os
import pathlib
import resource
import signal
import subprocess

SOURCE = pathlib.Path(__file__).with_name("failing_disk.c")


class Disk:
    """Give `env` to start_larder."""

    def __init__(self, directory):
        library = directory / "failing_disk.so"
        self.switch = directory / "failing_disk"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library),
                        str(SOURCE), "-ldl"], check=True,
                       stdin=subprocess.DEVNULL)
        self.env = {"LD_PRELOAD": str(library),
                    "FAILING_DISK": str(self.switch)}

    def fail(self):
        self._say("fail")

    def hang(self):
        self._say("hang")

    def stall(self):
        self._say("stall")

    def heal(self):
        self.switch.unlink(missing_ok=True)

    def _say(self, word):
        written = self.switch.with_suffix(".new")
        written.write_text(word)
        os.replace(written, self.switch)


def ignore_file_limit():
    """Server.preexec: beyond the limit of set_file_limit writes fail."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def set_file_limit(server, size=resource.RLIM_INFINITY):
    """Files of the running server end at `size` bytes."""
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE,
                     (size, resource.RLIM_INFINITY))
