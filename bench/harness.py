"""What every case needs: servers pinned to core 0, the load generator on
core 1, readings from /proc, and lines that say what was wanted and measured.
Python's standard library only."""

import os
import pathlib
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
SERVER_CORE, CLIENT_CORE = 0, 1
CGROUPS = pathlib.Path("/sys/fs/cgroup/memory")


class Settings:
    """From the command line of bench/run; the same for all cases."""

    larder = str(ROOT / "build/server/larder-server")
    redis = "redis-server"
    load = str(ROOT / "build/bench/load")
    simulate = str(ROOT / "build/bench/simulate")
    directory = str(ROOT / "build")
    rounds = 3
    scale = 1.0
    missed = []


def scaled(count):
    """Keys, connections or requests of a case, made smaller by --scale."""
    return max(1000, int(count * Settings.scale))


def say(text):
    print(text, flush=True)


def result(name, wanted, measured, good, unit=""):
    """The line a case is for. `wanted` is text such as "<= 0.60"."""
    verdict = "ok" if good else "MISSED"
    if not good:
        Settings.missed.append(name)
    measured = "%.3f%s" % (measured, unit)
    say("%-34s wanted %-12s measured %-12s %s" % (name, wanted, measured, verdict))


def at_most(name, limit, measured, unit=""):
    result(name, "<= %g%s" % (limit, unit), measured, measured <= limit, unit)


def at_least(name, limit, measured, unit=""):
    result(name, ">= %g%s" % (limit, unit), measured, measured >= limit, unit)


def table(title, columns, rows):
    """A table as READMEs have it; bench/draw reads these."""
    say("\n%s\n" % title)
    for row in [columns, ["-"] * len(columns), *rows]:
        say("|%s|" % "|".join(map(str, row)))
    say("")


# ---- clients ----


class Client:
    """One blocking connection: a command, its reply."""

    def __init__(self, port, timeout=120):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def __call__(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        parts = [b"*%d\r\n" % len(words)]
        parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
        self.socket.sendall(b"".join(parts))
        return self.read()

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("connection closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self.file.read(size + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest


def start_load(server, **options):
    """Starts the load generator against `server`; see its usage text."""
    command = ["taskset", "-c", str(CLIENT_CORE), Settings.load]
    command += ["--port", str(server.port)]
    for name, value in options.items():
        name = "--" + name.replace("_", "-")
        command += [name] if value is True else [name, str(value)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish_load(process):
    """Its figures by name. Ends the run when something was wrong."""
    output = process.communicate()[0]
    if process.returncode != 0:
        raise RuntimeError("load failed: %s" % output.strip())
    pairs = (pair.split("=") for pair in output.split())
    return {name: float(value) for name, value in pairs}


def load(server, **options):
    return finish_load(start_load(server, **options))


def simulate(*words):
    """What an exact LRU would have hit of the same requests; its usage text
    says of which."""
    command = [Settings.simulate, *map(str, words)]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return {name: int(value) for name, value in (pair.split("=") for pair in output.split())}


def in_order(server, keys, value_size, **options):
    options.update(keys=keys, value_size=value_size, order="seq")
    return load(server, clients=16, pipeline=16, **options)


def fill(server, keys, value_size):
    """Keys 0 to keys-1, each written once."""
    return in_order(server, keys, value_size, gets=0)


def verify(server, keys, value_size):
    """Reads every key once and compares it."""
    return in_order(server, keys, value_size, gets=100, verify=True)


# ---- servers ----


def free_port():
    low, high = os.environ.get("LARDER_TEST_PORTS", "20000-31999").split("-")
    for port in random.sample(range(int(low), int(high) + 1), int(high) - int(low) + 1):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


class Server:
    """A server of its own with a directory of its own, on core 0."""

    wrapper = []

    def __init__(self, side, *arguments, cgroup=None):
        self.side = side
        self.arguments = list(arguments)
        self.cgroup = cgroup
        self.process = None
        prefix = "bench-%s-" % side
        self.directory = tempfile.mkdtemp(prefix=prefix, dir=Settings.directory)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def is_larder(self):
        return os.path.basename(self.binary()) != "redis-server"

    def binary(self):
        return Settings.larder if self.side == "larder" else Settings.redis

    def start(self, wait=True):
        def prepare():
            os.sched_setaffinity(0, {SERVER_CORE})
            if self.cgroup:
                (self.cgroup / "cgroup.procs").write_text(str(os.getpid()))

        self.port = free_port()
        command = self.wrapper + [self.binary(), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", self.directory, "--save", "", "--appendonly", "no"]
        self.log = open(os.path.join(self.directory, "log"), "ab")
        self.process = subprocess.Popen(
            command + self.arguments, stdout=self.log, stderr=self.log, preexec_fn=prepare
        )
        if wait:
            self.wait()

    def wait(self, size=None, seconds=120):
        """Until it answers DBSIZE, with `size` if given; the seconds since."""
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            if self.process.poll() is not None:
                raise RuntimeError("%s ended: %s" % (self.side, self.log_tail()))
            try:
                client = Client(self.port, 10)
                answer = client("DBSIZE")
                client.close()
                if size is None or answer == size:
                    return time.monotonic() - begin
            except (OSError, RuntimeError):
                pass
            time.sleep(0.005)
        raise RuntimeError("%s not ready: %s" % (self.side, self.log_tail()))

    def log_tail(self):
        return pathlib.Path(self.log.name).read_text(errors="replace")[-2000:]

    def stop(self, save=False):
        """Ends it; the seconds that took."""
        begin = time.monotonic()
        if self.process is None:
            return 0
        if self.process.poll() is None:
            try:
                client = Client(self.port, 60)
                client("SHUTDOWN", "SAVE" if save else "NOSAVE")
            except (OSError, RuntimeError):
                pass
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None
        self.log.close()
        return time.monotonic() - begin

    def command(self, *words):
        client = Client(self.port)
        try:
            return client(*words)
        finally:
            client.close()

    def cpu_seconds(self):
        """Of all its threads, from the scheduler's own account."""
        total = 0
        for task in pathlib.Path("/proc/%d/task" % self.process.pid).iterdir():
            total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def settle(self, seconds=20):
        """Until it has written what it wants to write."""
        begin, before = time.monotonic(), self.cpu_seconds()
        while time.monotonic() - begin < seconds:
            time.sleep(0.1)
            now = self.cpu_seconds()
            if now - before < 0.003:
                return
            before = now

    def waited_seconds(self):
        """How long its main thread was ready to run but another ran."""
        text = pathlib.Path("/proc/%d/schedstat" % self.process.pid).read_text()
        return int(text.split()[1]) / 1e9

    def cpu_ticks_seconds(self):
        """The same from /proc/PID/stat: coarser, to cross-check."""
        text = pathlib.Path("/proc/%d/stat" % self.process.pid).read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, field="RssAnon"):
        """Bytes of /proc/PID/status."""
        for line in open("/proc/%d/status" % self.process.pid):
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        return 0


class Instructions(Server):
    """A server under callgrind, which counts instructions between begin() and
    end()."""

    def __enter__(self):
        self.out = os.path.join(self.directory, "callgrind")
        self.wrapper = ["valgrind", "--tool=callgrind", "--instr-atstart=no"]
        self.wrapper += ["--callgrind-out-file=" + self.out]
        return super().__enter__()

    def control(self, *words):
        command = ["callgrind_control", *words, str(self.process.pid)]
        quiet = subprocess.DEVNULL
        subprocess.run(command, stdout=quiet, stderr=quiet, check=True)

    def begin(self):
        self.control("-i", "on")
        self.control("-z")

    def end(self):
        self.control("-d")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if os.path.exists(self.out + ".1"):
                for line in open(self.out + ".1"):
                    if line.startswith("totals:"):
                        return int(line.split()[1])
            time.sleep(0.1)
        raise RuntimeError("callgrind wrote nothing")


class Watcher:
    """Looks at something again and again while it is entered."""

    def __init__(self, look, seconds):
        self.look, self.seconds = look, seconds
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.done.wait(self.seconds):
            self.look()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


class Sampler(Watcher):
    """The largest `field` of a server's memory while it is entered."""

    def __init__(self, server, field="RssAnon"):
        super().__init__(self.sample, 0.02)
        self.server, self.field, self.most = server, field, 0

    def sample(self):
        try:
            self.most = max(self.most, self.server.memory(self.field))
        except OSError:
            pass


class Cgroup:
    """A memory cgroup (version 1) of so many bytes, removed at the end."""

    def __init__(self, limit_bytes):
        self.path = CGROUPS / ("larder-bench-%d" % os.getpid())
        self.limit_bytes = limit_bytes

    def __enter__(self):
        self.path.mkdir()
        (self.path / "memory.limit_in_bytes").write_text(str(self.limit_bytes))
        return self.path

    def __exit__(self, *_):
        for _ in range(100):
            try:
                self.path.rmdir()
                return
            except OSError:
                time.sleep(0.05)
        say("could not remove %s" % self.path)


def figures(server, *words):
    """By name, of a command that answers names and numbers in turn."""
    answer = server.command(*words)
    return {name.decode(): int(value) for name, value in zip(answer[::2], answer[1::2])}


# ---- method ----


def ratios(measure, a, b):
    """measure(a) / measure(b), once a round in the order A B B A, so that a
    machine that drifts favours neither. The median and all of them."""
    found = []
    for _ in range(Settings.rounds):
        first, second, third, fourth = measure(a), measure(b), measure(b), measure(a)
        found.append((first + fourth) / (second + third))
    return statistics.median(found), found


def describe(values, form="%.3f"):
    return " ".join(form % value for value in values)


def check_machine():
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("bench: two cores are needed")
    # Python itself stays with the clients.
    os.sched_setaffinity(0, {CLIENT_CORE})
