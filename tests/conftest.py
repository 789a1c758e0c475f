"""Fixtures for everything that talks to a running server.

larder         a server for the whole test file, larder's defaults
oracle         Debian's redis-server, for the whole test file
both           the two of them side by side, emptied: both.same("SET", "a", 1)
stage          named connections to both, for commands that wait
start_larder   starts further ones: start_larder("maxmemory 32mb")
start_oracle   the same for redis-server
disk           one that fails, hangs or stalls as a test says (support/disk.py)
seconds        how long an open-ended test should run

A test file that wants another configuration defines LARDER_CONFIG or
ORACLE_CONFIG, lists of lines: LARDER_CONFIG = ["maxmemory 32mb"].
"""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from support import server as servers  # noqa: E402
from support.disk import Disk  # noqa: E402
from support.resp import Connection, encode  # noqa: E402
from support.stage import Stage  # noqa: E402


def pytest_addoption(parser):
    parser.addoption(
        "--seconds",
        type=float,
        default=20,
        help="how long open-ended tests (crash, differential) run",
    )


@pytest.fixture(scope="session")
def seconds(request):
    return request.config.getoption("--seconds")


@pytest.fixture
def disk(tmp_path):
    disk = Disk(tmp_path)
    yield disk
    disk.heal()  # or servers would not end: there is something to save


@pytest.fixture(scope="module")
def larder(request):
    config = getattr(request.module, "LARDER_CONFIG", [])
    server = servers.larder(config)
    try:
        yield server.start()
    finally:
        server.finish()


@pytest.fixture(scope="module")
def oracle(request):
    config = getattr(request.module, "ORACLE_CONFIG", [])
    server = servers.oracle(config)
    try:
        yield server.start()
    finally:
        server.finish()


def starter(make):
    started = []

    def start(*config, args=(), wait=True, **options):
        server = make(config, args, **options)
        started.append(server)
        return server.start() if wait else server.spawn()

    def finish():
        problems = []
        for server in started:
            try:
                server.finish()
            except AssertionError as error:
                problems.append(str(error))
        assert not problems, "\n".join(problems)

    return started, start, finish


@pytest.fixture
def start_larder(request):
    started, start, finish = starter(servers.larder)
    request.node.servers_started = started
    yield start
    finish()


@pytest.fixture
def start_oracle():
    _, start, finish = starter(servers.oracle)
    yield start
    finish()


class Both:
    """The same raw command to larder and to the oracle."""

    def __init__(self, larder, oracle):
        self.larder = larder
        self.oracle = oracle
        self.sides = [Connection(larder.port), Connection(oracle.port)]
        self.others = []

    def close(self):
        for side in self.sides + self.others:
            side.close()

    def another(self):
        """A second connection to each, closed with this one."""
        pair = Both(self.larder, self.oracle)
        self.others.append(pair)
        return pair

    def read(self, replies=1):
        """What the servers send by themselves; fails unless it is the same."""
        ours, theirs = [b"".join(side.read_replies(replies)) for side in self.sides]
        assert ours == theirs, describe(["(read)"], ours, theirs)
        return ours

    def nothing(self):
        """Fails if either server sends something by itself."""
        for side in self.sides:
            assert side.quiet(), bytes(side.buffer)

    def ask(self, *args):
        """(larder's raw reply, the oracle's)."""
        return tuple(self.ask_raw(encode(*args), 1))

    def ask_raw(self, data, replies):
        for side in self.sides:
            side.send(data)
        return [b"".join(side.read_replies(replies)) for side in self.sides]

    def same(self, *args, normalise=None):
        """Fails unless both reply the same bytes; that reply."""
        ours, theirs = self.ask(*args)
        if normalise is not None:
            ours, theirs = normalise(ours), normalise(theirs)
        assert ours == theirs, describe(args, ours, theirs)
        return ours

    def same_raw(self, data, replies=1):
        ours, theirs = self.ask_raw(data, replies)
        assert ours == theirs, describe([data], ours, theirs)
        return ours

    def resp3(self):
        for side in self.sides:
            assert side.command("HELLO", "3").startswith(b"%")
        return self


def describe(args, ours, theirs):
    words = b" ".join(
        arg if isinstance(arg, bytes) else str(arg).encode() for arg in args
    )
    return "%r:\nlarder %r\noracle %r" % (words[:200], ours[:2000], theirs[:2000])


@pytest.fixture
def both(larder, oracle):
    pair = Both(larder, oracle)
    for side in pair.sides:
        assert side.command("FLUSHALL") == b"+OK\r\n"
    yield pair
    pair.close()


@pytest.fixture
def one(larder):
    """A connection to larder, emptied, without rules of namespaces."""
    with larder.connect() as connection:
        connection.command("FLUSHALL")
        for prefix in connection.value("NAMESPACE", "LIST"):
            connection.command("NAMESPACE", "DEL", prefix)
        yield connection


@pytest.fixture
def stage(both):
    """Plays with several connections to both of them (support/stage.py)."""
    made = Stage(both)
    yield made
    made.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Puts the logs of the servers of a failed test into its report."""
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    shown = list(getattr(item, "funcargs", {}).values())
    shown += getattr(item, "servers_started", [])
    for server in shown:
        if isinstance(server, servers.Server):
            report.sections.append(
                ("%s's log (%s)" % (server.name, server.directory),
                 server.log_tail())
            )
