"""CONFIG GET, SET, REWRITE and RESETSTAT, beside redis-server where both have
them."""

import os
import stat
import subprocess

import pytest

from support import server as servers
from support.server import wait_until
from support.settings import DIFFERENT, ask, settings

# Larder has these and Redis has not.
OURS = {"dry-dir", "dry-maxsize", "dry-page-cache", "dry-readers", "namespace", "tier-defaults",
        "scripting", "script-maxmemory", "wakeup-coalesce-us", "warm-restart"}

LARDER_CONFIG = ['save ""', "enable-debug-command yes"]
ORACLE_CONFIG = ["enable-debug-command yes"]


# ---- CONFIG GET ----


def test_same_names_and_defaults(larder, oracle):
    ours, theirs = settings(larder), settings(oracle)
    assert set(ours) - set(theirs) == OURS
    assert set(theirs) - set(ours) == set()
    different = {
        name: (ours[name], theirs[name])
        for name in theirs
        if ours[name] != theirs[name] and name not in DIFFERENT
    }
    assert different == {}


@pytest.mark.parametrize(
    "patterns",
    [
        ["maxmemory"],
        ["MAXMEMORY"],
        ["nosuch"],
        ["nosuch", "hz"],
        ["hz", "HZ"],
        ["watchdog-period"],
        ["watchdog-perio?"],
        ["include"],
        ["rename-command"],
        ["slaveof"],
        ["latency-tracking-info-percentiles"],
        [""],
    ],
)
def test_get(both, patterns):
    both.same("CONFIG", "GET", *patterns)


@pytest.mark.parametrize("pattern", ["slowlog*", "*max-*", "hash-max-[lz]*", "H?"])
def test_get_globs(larder, oracle, pattern):
    ours = larder.client(decode_responses=True).config_get(pattern)
    theirs = oracle.client(decode_responses=True).config_get(pattern)
    assert ours == theirs and theirs


def test_get_resp3_is_a_map(larder):
    with larder.connect() as connection:
        connection.command("HELLO", "3")
        reply = connection.command("CONFIG", "GET", "hz")
    assert reply == b"%1\r\n$2\r\nhz\r\n$2\r\n10\r\n"


# ---- CONFIG SET ----

WRONG = [
    ["hz"],
    ["hz", "1", "port"],
    ["nosuch", "1"],
    ["include", "x"],
    ["hz", "20", "hz", "30"],
    ["hz", "20", "nosuch", "1"],
    ["nosuch", "1", "hz", "20", "hz", "30"],
    ["hz", "20", "maxmemory", "x"],
    ["hz", "20", "databases", "3"],
    ["databases", "3"],
    ["dir", "/tmp"],
    ["dbfilename", "x"],
    ["slaveof", "a 1"],
    ["logfile", "x"],
    ["unixsocket", "/tmp/x"],
    ["hz", "1\n2"],
    ["hz", ""],
    ["hz", "010"],
    ["no\nsuch", "2"],
    ["maxmemory", "5 mb"],
    ["maxmemory", "-1"],
    ["maxmemory-clients", "101%"],
    ["maxmemory-clients", "x"],
    ["maxmemory-policy", "lru"],
    ["maxclients", "0"],
    ["maxclients", "4294967296"],
    ["appendfsync", "sometimes"],
    ["appendonly", "maybe"],
    ["loglevel", "loud"],
    ["save", "900"],
    ["save", "0 1"],
    ["save", "a b"],
    ["client-output-buffer-limit", "normal 1 2"],
    ["client-output-buffer-limit", "master 1 2 3"],
    ["client-output-buffer-limit", "normal a b c"],
    ["notify-keyspace-events", "Q"],
    ["latency-tracking-info-percentiles", "101"],
    ["latency-tracking-info-percentiles", "x"],
    ["oom-score-adj-values", "1 2"],
    ["oom-score-adj-values", "1 2 99999"],
    ["shutdown-on-sigterm", "save nosave"],
    ["shutdown-on-sigterm", "x"],
    ["slowlog-log-slower-than", "-2"],
    ["slowlog-max-len", "1 "],
    ["proto-max-bulk-len", "1"],
    ["client-query-buffer-limit", "1"],
    ["latency-monitor-threshold", "-1"],
    ["cluster-announce-hostname", "a b"],
    ["proc-title-template", "{x}"],
    ["tls-auth-clients", "x"],
    ["repl-diskless-load", "x"],
    ["hash-max-listpack-value", "x"],
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_set_refuses(both, arguments):
    reply = both.same("CONFIG", "SET", *arguments)
    assert reply.startswith(b"-ERR ")
    assert b"hz\r\n$2\r\n10" in both.ask("CONFIG", "GET", "hz")[0]


RIGHT = [
    ["maxmemory", "100mb"],
    ["maxmemory", "1k"],
    ["maxmemory", "0"],
    ["MaxMemory-Policy", "AllKeys-LRU"],
    ["maxmemory-policy", "noeviction"],
    ["maxmemory-clients", "5%"],
    ["maxmemory-clients", "0"],
    ["appendfsync", "ALWAYS"],
    ["appendfsync", "everysec"],
    ["save", "900 1 300 10"],
    ["save", "900 1"],
    ["save", ""],
    ["timeout", "100", "tcp-keepalive", "7"],
    ["timeout", "0", "tcp-keepalive", "300"],
    ["hz", "20"],
    ["hz", "0"],
    ["hz", "1000"],
    ["hz", "10"],
    ["maxclients", "100"],
    ["maxclients", "10000"],
    ["loglevel", "verbose"],
    ["loglevel", "notice"],
    ["client-output-buffer-limit", "pubsub 1mb 2kb 7"],
    ["client-output-buffer-limit", "replica 3mb 2kb 7 normal 1 2 3"],
    ["client-output-buffer-limit", "normal 0 0 0"],
    ["notify-keyspace-events", "KEA"],
    ["notify-keyspace-events", "Kxg"],
    ["notify-keyspace-events", ""],
    ["latency-tracking-info-percentiles", "50 99.99 1.5"],
    ["latency-tracking-info-percentiles", ""],
    ["oom-score-adj-values", "1 2 3"],
    ["shutdown-on-sigterm", "force save"],
    ["shutdown-on-sigterm", "default"],
    ["slowlog-log-slower-than", "-1", "slowlog-max-len", "7"],
    ["lua-time-limit", "7"],
    ["lua-time-limit", "7", "busy-reply-threshold", "8"],
    ["slave-read-only", "no"],
    ["hash-max-ziplist-entries", "9"],
    ["list-max-listpack-size", "-3"],
    ["tls-port", "0"],
    ["proc-title-template", "{title} x"],
    ["requirepass", ""],
]


def test_set_accepts(both):
    for arguments in RIGHT:
        assert both.same("CONFIG", "SET", *arguments) == b"+OK\r\n"
        for name in arguments[::2]:
            both.same("CONFIG", "GET", name)


def test_set_takes_all_or_nothing(both):
    both.same("CONFIG", "SET", "hz", "33", "timeout", "44", "appendfsync", "x")
    both.same("CONFIG", "SET", "hz", "33", "maxclients", "1000000")
    both.same("CONFIG", "GET", "hz")
    both.same("CONFIG", "GET", "timeout")
    both.same("CONFIG", "GET", "maxclients")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nosuch"],
        ["GET"],
        ["SET"],
        ["SET", "hz"],
        ["RESETSTAT", "x"],
        ["REWRITE", "x"],
        ["HELP", "x"],
        ["HELP"],
    ],
)
def test_arity_and_help(both, arguments):
    both.same("CONFIG", *arguments)


def test_set_takes_effect(start_larder):
    server = start_larder('save ""')
    client = server.client(decode_responses=True)
    client.config_set("requirepass", "secret")
    assert server.cli("PING").startswith("NOAUTH")
    assert server.cli("-a", "secret", "--no-auth-warning", "PING") == "PONG"
    assert client.ping()
    client.config_set("requirepass", "")
    assert server.cli("PING") == "PONG"

    client.config_set("loglevel", "warning")
    client.config_set("activedefrag", "no")
    client.config_set("activedefrag", "no")
    text = "directive 'activedefrag' is accepted but has no effect in larder"
    assert server.log().count(text) == 1

    client.config_set("maxclients", 2)
    second = server.connect()
    assert second.command("PING") == b"+PONG\r\n"
    with server.connect() as third:
        assert b"max number of clients reached" in third.read_until_closed()
    second.close()
    client.close()


def test_port_and_bind_can_be_changed(start_larder):
    server = start_larder()
    first, second = server.port, servers.free_port()
    kept = server.connect()
    assert kept.command("CONFIG", "SET", "port", second) == b"+OK\r\n"
    assert ask(second, "PING") == "PONG"
    assert "Connection refused" in refused(first)
    with servers.socket.socket() as taken:
        taken.setsockopt(
            servers.socket.SOL_SOCKET, servers.socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", first))
        taken.listen()
        assert kept.command("CONFIG", "SET", "port", first, "hz", 50) == (
            b"-ERR CONFIG SET failed (possibly related to argument 'port') - "
            b"Unable to listen on this port. Check server logs.\r\n")
    assert ask(second, "CONFIG", "GET", "hz") == "hz\n10"
    assert kept.command("CONFIG", "SET", "bind", "300.1.1.1") == (
        b"-ERR CONFIG SET failed (possibly related to argument 'bind') - "
        b"Failed to bind to specified addresses.\r\n")
    assert ask(second, "PING") == "PONG"
    assert kept.command("CONFIG", "SET", "bind", "") == b"+OK\r\n"
    assert "Connection refused" in refused(second)
    assert kept.command("CONFIG", "SET", "bind", "127.0.0.1", "port",
                        first) == b"+OK\r\n"
    assert ask(first, "PING") == "PONG"
    kept.close()


def refused(port):
    return subprocess.run(
        ["redis-cli", "-p", str(port), "PING"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=30,
    ).stderr.decode()


def test_dir_with_protected_configs(start_larder):
    server = start_larder("enable-protected-configs yes")
    client = server.client(decode_responses=True)
    other = server.directory / "other"
    other.mkdir()
    with pytest.raises(Exception, match="No such file or directory"):
        client.config_set("dir", str(server.directory / "nosuch"))
    client.config_set("dir", str(other))
    assert client.config_get("dir") == {"dir": str(other)}
    assert os.readlink("/proc/%d/cwd" % server.pid) == str(other)


def test_resetstat(both):
    for _ in range(5):
        both.same("GET", "nothing")
        both.same("NOSUCH")
    both.same("CONFIG", "RESETSTAT")
    client = both.larder.client()
    info = client.info("all")
    assert info["keyspace_misses"] == 0
    assert info["total_commands_processed"] <= 2
    assert "errorstat_ERR" not in info
    assert "cmdstat_get" not in info
    client.close()


# ---- CONFIG REWRITE ----


def test_rewrite_without_a_file(tmp_path):
    port = servers.free_port()
    with subprocess.Popen(
        [str(servers.LARDER), "--port", str(port), "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            wait_until(lambda: ask(port, "PING") == "PONG", what="start")
            assert ask(port, "CONFIG", "REWRITE") == (
                "ERR The server is running without a config file"
            )
        finally:
            process.terminate()


def test_rewrite(start_larder):
    server = start_larder(
        "# about memory", "maxmemory  64mb", "", 'save ""', "# the end"
    )
    client = server.client(decode_responses=True)
    before = server.config_path.read_text()
    os.chmod(server.config_path, 0o640)

    assert server.cli("CONFIG", "REWRITE") == "OK"
    assert server.config_path.read_text() == before

    client.config_set("maxmemory", "96mb")
    client.config_set("save", "900 1 300 10")
    client.config_set("requirepass", 'a "quoted" one')
    assert client.config_rewrite()
    client.close()
    after = server.config_path.read_text()
    expected = before.replace("maxmemory  64mb", "maxmemory 96mb")
    expected = expected.replace('save ""', "save 900 1\nsave 300 10")
    expected += "# Added by CONFIG REWRITE\n"
    expected += 'requirepass "a \\"quoted\\" one"\n'
    assert after == expected
    assert stat.S_IMODE(os.stat(server.config_path).st_mode) == 0o640
    names = sorted(path.name for path in server.directory.iterdir())
    assert not [name for name in names if name.endswith(".tmp")]

    # What was written is what the next start reads.
    assert server.stop() == 0
    server.write_config = lambda: None
    server.start()
    client = server.client(password='a "quoted" one', decode_responses=True)
    assert client.config_get("maxmemory")["maxmemory"] == str(96 << 20)
    assert client.config_get("save")["save"] == "900 1 300 10"
    client.close()


def test_rewrite_fails_cleanly(start_larder):
    server = start_larder()
    text = server.config_path.read_text()
    server.config_path.rename(server.directory / "away.conf")
    assert server.cli("CONFIG", "REWRITE") == (
        "ERR Rewriting config file: No such file or directory"
    )
    assert (server.directory / "away.conf").read_text() == text
    assert server.cli("PING") == "PONG"
