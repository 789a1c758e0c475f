"""Servers under test: start, wait until ready, restart, kill, end by pid.

Larder is the binary named by LARDER_BINARY (default
build/server/larder-server); the oracle is Debian's redis-server 7.0.15.
Ports come from LARDER_TEST_PORTS ("low-high"), data lies in LARDER_TEST_DIR
(default build/test-data: on disk even where /tmp is in memory).
"""

import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import redis

from support.resp import Closed, Connection

ROOT = pathlib.Path(__file__).resolve().parents[2]
LARDER = pathlib.Path(
    os.environ.get("LARDER_BINARY", ROOT / "build/server/larder-server")
)
SANITIZER_ENV = {
    "ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_leaks=1:"
    "allocator_may_return_null=1:"
    # Libraries that tests preload come before the sanitizer's.
    "verify_asan_link_order=0:"
    "quarantine_size_mb=32",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
    "TSAN_OPTIONS": "halt_on_error=0:exitcode=99:second_deadlock_stack=1",
}
# How long things may take: sanitized builds are slower.
SANITIZED = "asan" in str(LARDER) or "tsan" in str(LARDER)
PATIENCE = 4 if SANITIZED else 1


def patience():
    """PATIENCE, and as many times that as processes wait for each processor:
    for limits that a busy machine must not break."""
    return PATIENCE * max(1, os.getloadavg()[0] / os.cpu_count())


# Claims of ports: an abstract Unix socket each, which no other test process
# can bind while this one holds it. Two suites run at once.
claims = {}


def claim_port(port):
    """True when no process that asks here has the port, until release_port."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind("\0larder-test-port-%d" % port)
    except OSError:
        claim.close()
        return False
    claims[port] = claim
    return True


def release_port(port):
    if port in claims:
        claims.pop(port).close()


def free_port():
    """A port nobody listens on now, or is about to. Below the ephemeral
    range, so that no outgoing connection takes it before the server does."""
    low, high = os.environ.get("LARDER_TEST_PORTS", "20000-31999").split("-")
    ports = list(range(int(low), int(high) + 1))
    random.shuffle(ports)
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if claim_port(port):
            return port
    raise RuntimeError("no free port in %s-%s" % (low, high))


def new_directory(name):
    base = pathlib.Path(os.environ.get("LARDER_TEST_DIR", ROOT / "build/test-data"))
    base.mkdir(parents=True, exist_ok=True)
    return pathlib.Path(tempfile.mkdtemp(prefix=name + "-", dir=base))


def wait_until(condition, seconds=10, step=0.02, what="condition"):
    """Waits until condition() is true; its value. Fails after `seconds`."""
    deadline = time.monotonic() + seconds * patience()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("%s: not within %s s" % (what, seconds))
        time.sleep(step)


class Server:
    """One server process with a directory of its own."""

    def __init__(self, command, name, config=(), args=(), env=None, port=None):
        self.command = list(command)
        self.name = name
        self.directory = new_directory(name)
        self.port = free_port() if port is None else port
        self.config_lines = list(config)
        self.args = list(args)
        self.env = dict(os.environ, **SANITIZER_ENV, **(env or {}))
        self.config_path = self.directory / (name + ".conf")
        self.log_path = self.directory / (name + ".log")
        self.clients = []
        self.process = None
        self.preexec = None
        self.expect_crash = False

    # ---- life ----

    @property
    def pid(self):
        return self.process.pid

    def write_config(self):
        lines = [
            "bind 127.0.0.1",
            "port %d" % self.port,
            'dir "%s"' % self.directory,
        ] + self.config_lines
        self.config_path.write_text("".join(line + "\n" for line in lines))

    def spawn(self):
        """Starts the process, does not wait until it answers."""
        self.write_config()
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            self.command[:1] + [str(self.config_path)] + self.args,
            executable=self.command[-1],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self.directory,
            env=self.env,
            preexec_fn=self.preexec,
        )
        log.close()
        return self

    def start(self, seconds=30):
        self.spawn()
        self.wait_ready(seconds)
        return self

    def wait_ready(self, seconds=30):
        """Until PING is answered with PONG (or asks for a password)."""
        deadline = time.monotonic() + seconds * patience()
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(
                    "%s ended with %d at start:\n%s"
                    % (self.name, self.process.returncode, self.log_tail())
                )
            try:
                with Connection(self.port, timeout=5 * PATIENCE) as connection:
                    reply = connection.command("PING")
                    if reply.startswith((b"+PONG", b"-NOAUTH")):
                        return
            except (OSError, Closed):
                pass
            time.sleep(0.02)
        raise AssertionError(
            "%s does not answer:\n%s" % (self.name, self.log_tail())
        )

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, seconds=60):
        """SIGTERM, by pid; the exit status."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        return self.wait_end(seconds)

    def wait_end(self, seconds=60):
        try:
            return self.process.wait(seconds * patience())
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                "%s did not stop within %s s:\n%s"
                % (self.name, seconds, self.log_tail())
            ) from None

    def kill(self):
        """kill -9, as a crash."""
        if self.alive():
            self.process.kill()
        self.process.wait()
        self.expect_crash = True

    def restart(self, seconds=60):
        """Clean stop and start on the same directory."""
        status = self.stop(seconds)
        assert status == 0, "ended with %d:\n%s" % (status, self.log_tail())
        return self.start(seconds)

    def crash_restart(self, seconds=60):
        """kill -9 and start on the same directory."""
        self.kill()
        self.expect_crash = False
        return self.start(seconds)

    def finish(self):
        """At the end of its test: stop, complain about a crash, clean up."""
        problem = None
        if self.process is not None:
            status = self.stop() if self.alive() else self.process.returncode
            log = self.log()
            if status != 0 and not self.expect_crash:
                problem = "%s ended with status %d" % (self.name, status)
            for sign in ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer",
                         "runtime error:"):
                if sign in log:
                    problem = "%s: %s" % (self.name, sign)
        release_port(self.port)
        tail = self.log_tail(100)
        if problem is None:
            shutil.rmtree(self.directory, ignore_errors=True)
        else:
            raise AssertionError("%s\n%s" % (problem, tail))

    # ---- looking ----

    def log(self):
        try:
            return self.log_path.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def log_tail(self, lines=60):
        return "\n".join(self.log().splitlines()[-lines:])

    def status_kb(self, field):
        """A field of /proc/PID/status in KB: VmRSS, RssAnon ..."""
        with open("/proc/%d/status" % self.pid, encoding="ascii") as status:
            for line in status:
                if line.startswith(field + ":"):
                    return int(line.split()[1])
        raise KeyError(field)

    def fd_count(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def cpu_seconds(self):
        with open("/proc/%d/stat" % self.pid, encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # ---- talking ----

    def connect(self, **options):
        """A raw connection (support/resp.py)."""
        return Connection(self.port, **options)

    def client(self, **options):
        """A redis-py client; bytes in, bytes out."""
        options.setdefault("socket_timeout", 30 * PATIENCE)
        client = redis.Redis(port=self.port, **options)
        self.clients.append(client)
        return client

    def disconnect_clients(self):
        """Closes the connections of all clients handed out; they connect
        again when used."""
        for client in self.clients:
            client.connection_pool.disconnect()

    def cli(self, *args, input=None):
        """redis-cli's output, stripped."""
        done = subprocess.run(
            ["redis-cli", "-p", str(self.port), *map(str, args)],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            timeout=60 * PATIENCE,
            check=True,
        )
        return done.stdout.decode().strip()

    def info(self, section=None):
        client = self.client()
        try:
            return client.info(section) if section else client.info()
        finally:
            client.connection_pool.disconnect()

    def ping_ms(self):
        """How long a PING on a new connection takes."""
        begin = time.monotonic()
        with self.connect() as connection:
            reply = connection.command("PING")
            assert reply.startswith((b"+PONG", b"-NOAUTH")), reply
        return (time.monotonic() - begin) * 1000


def larder(config=(), args=(), **options):
    """A larder, not started yet."""
    if not LARDER.exists():
        raise FileNotFoundError("%s: build first (tests/run)" % LARDER)
    return Server([str(LARDER)], "larder", config, args, **options)


def oracle(config=(), args=(), **options):
    """Debian's redis-server, not started yet. The package redis-tools has it
    under another name and looks at argv[0]."""
    binary = shutil.which("redis-server") or shutil.which("redis-check-rdb")
    lines = ['save ""', "appendonly no", *config]
    return Server(["redis-server", binary], "oracle", lines, args, **options)
