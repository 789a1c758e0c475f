"""CONFIG, redis.conf and the command line, beside redis-server where both
have it."""

import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess

import pytest

from support import server as servers
from support.server import wait_until

# Larder has these and Redis has not.
OURS = {"dry-dir", "dry-maxsize", "dry-readers"}
# The two processes differ in these by how they were started; or larder means
# something else by them.
DIFFERENT = {"dir", "port", "save"}

LARDER_CONFIG = ['save ""', "enable-debug-command yes"]
ORACLE_CONFIG = ["enable-debug-command yes"]


def settings(server):
    client = server.client(decode_responses=True)
    try:
        return client.config_get("*")
    finally:
        client.close()


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


def ask(port, *arguments):
    return subprocess.run(
        ["redis-cli", "-p", str(port), *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=30,
    ).stdout.decode().strip()


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


# ---- files and the command line ----


def start_and_fail(binary, name, *arguments, input=None):
    """Standard error and status of a server that must not start."""
    done = subprocess.run(
        [name, *arguments], executable=str(binary),
        input=b"" if input is None else input,
        capture_output=True, timeout=20,
    )
    text = (done.stderr + done.stdout).decode()
    text = re.sub(r"\d+:C .* # Reading config from stdin\n", "", text)
    return re.sub(r"\((Redis|larder) [0-9.]+\)", "", text), done.returncode


@pytest.fixture
def fail_alike(tmp_path, oracle):
    def run(*arguments, input=None):
        ours = start_and_fail(
            servers.LARDER, "larder-server", *arguments, input=input)
        theirs = start_and_fail(
            oracle.command[-1], "redis-server", *arguments, input=input)
        assert ours[1] == 1
        assert ours == theirs
        return ours[0]

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nosuch", "1"],
        ["--port=1"],
        ["--port", "1", "--nosuch"],
        ["--port", "abc"],
        ["--port", "70000"],
        ["--port", "1", "2"],
        ["--port", ""],
        ["--loglevel", "--port", "1"],
        ["--save", "900"],
        ["--save", "900 1", "3 4"],
        ["--maxmemory", "1qb"],
        ["--appendonly", "maybe"],
        ["--unixsocketperm", "9"],
        ["--unixsocketperm", "7777"],
        ["--client-output-buffer-limit", "normal", "0", "0"],
        ["--bind"] + [str(i) for i in range(17)],
        ["--rename-command", "nosuch", "x"],
        ["--rename-command", "get", "set"],
        ["--rename-command", "get"],
        ["--dir", "/nonexistent"],
        ["--replicaof", "a"],
        ["--replicaof", "a", "b"],
        ["--include"],
        ["--supervised", "x"],
        ["--syslog-facility", "x"],
        ["--databases", "0"],
        ["--dbfilename", "a/b"],
        ["--appendfilename", "a/b"],
        ["--appenddirname", "a/b"],
        ["--enable-debug-command", "x"],
        ["--aclfile", "x", "y"],
        ["-", "--nosuch", "1"],
        ["--port 1", "--nosuch"],
    ],
    ids=" ".join,
)
def test_bad_command_lines(fail_alike, arguments):
    text = fail_alike(*arguments)
    assert text.startswith("\n*** FATAL CONFIG FILE ERROR  ***\n")


@pytest.mark.parametrize(
    "text",
    [
        "# comment\n\nport 1\nnosuch 1\n",
        'port 1\nlogfile "abc\n',
        'logfile "a"b\n',
        "logfile 'a\\'\n",
        "port 1 # comment\n",
        "maxclients 010\n",
        "port 1\r\nhz x\r\n",
        "\t  hz   x  \n",
        "hz\n",
        "HZ x\n",
        "save 1\n",
        "hz 20\n\n\nnosuch",
    ],
)
def test_bad_files(fail_alike, tmp_path, text):
    path = tmp_path / "bad.conf"
    path.write_text(text)
    fail_alike(str(path))


@pytest.mark.parametrize("text", ["port 1\n", "port 1", "\n\n"])
def test_line_numbers_go_on_behind_the_file(fail_alike, tmp_path, text):
    path = tmp_path / "good.conf"
    path.write_text(text)
    fail_alike(str(path), "--hz", "20", "--nosuch", "1")
    if text.endswith("\n"):  # else Redis joins the two
        fail_alike(str(path), "--hz", "x", "-", input=b"hz 30\nhz 40\n")


def test_missing_files(tmp_path):
    path = str(tmp_path / "nosuch.conf")
    for arguments in [[path], ["--include", path]]:
        text, status = start_and_fail(
            servers.LARDER, "larder-server", *arguments)
        assert status == 1
        assert "can't open config file '%s': No such file" % path in text


def test_nul_bytes_are_refused(tmp_path, larder):
    path = tmp_path / "binary.conf"
    path.write_bytes(b"hz 20\nrequirepass a\0b\n")
    text, status = start_and_fail(servers.LARDER, "larder-server", str(path))
    assert status == 1 and "Invalid argument" in text
    with larder.connect() as connection:
        assert connection.command("CONFIG", "SET", "masterauth", b"a\0b") == (
            b"-ERR CONFIG SET failed (possibly related to argument "
            b"'masterauth') - argument must not hold a NUL byte\r\n")
        reply = connection.command("CONFIG", "SET", b"hz\0x", "20")
        assert reply.startswith(b"-ERR Unknown option")
        assert connection.command("CONFIG", "GET", b"hz\0x") == b"*0\r\n"


def test_dry_dir(start_larder):
    server = start_larder()
    assert (server.directory / "larder-dry" / "data.mdb").exists()
    elsewhere = servers.new_directory("elsewhere")
    server = start_larder("dry-dir %s/deep" % elsewhere)
    assert (elsewhere / "deep" / "data.mdb").exists()
    assert not (server.directory / "larder-dry").exists()
    assert server.cli("SET", "a", "1") == "OK"
    server.restart()
    assert server.cli("GET", "a") == "1"
    server.stop()
    shutil.rmtree(elsewhere)


def test_daemon(tmp_path):
    """--daemonize yes: in the background, a pid file, a log, SIGHUP ignored,
    the pid file gone in the end."""
    port = servers.free_port()
    pidfile, log = tmp_path / "larder.pid", tmp_path / "larder.log"
    done = subprocess.run(
        [str(servers.LARDER), "--port", str(port), "--dir", str(tmp_path),
         "--daemonize", "yes", "--pidfile", str(pidfile),
         "--logfile", str(log)],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    wait_until(lambda: ask(port, "PING") == "PONG", what="start")
    pid = int(pidfile.read_text())
    assert ask(port, "INFO", "server").find("process_id:%d\r" % pid) > 0
    assert os.getsid(pid) != os.getsid(0)
    os.kill(pid, signal.SIGHUP)
    assert ask(port, "SET", "a", "1") == "OK"
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not pidfile.exists(), what="end")
    assert "bye bye" in log.read_text()


def test_systemd_is_told(tmp_path):
    """Type=notify: READY=1 once clients are served, to the socket named."""
    path = str(tmp_path / "notify")
    port = servers.free_port()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(20)
        with subprocess.Popen(
            [str(servers.LARDER), "--port", str(port), "--supervised",
             "systemd", "--dir", str(tmp_path)],
            env=dict(os.environ, NOTIFY_SOCKET=path),
            stdout=subprocess.DEVNULL,
        ) as process:
            try:
                told = b""
                while b"READY=1" not in told:
                    told = notify.recv(4096)
                assert ask(port, "PING") == "PONG"
            finally:
                process.terminate()


def test_unix_socket_only(start_larder, tmp_path):
    path = "/tmp/larder-test-%d.sock" % os.getpid()
    server = start_larder(
        "port 0", "unixsocket " + path, "unixsocketperm 700", wait=False)
    wait_until(lambda: "Ready to accept" in server.log(), what="start")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    done = subprocess.run(
        ["redis-cli", "-s", path, "CONFIG", "GET", "port"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    assert done.stdout.split() == [b"port", b"0"]
    server.stop()
    assert not os.path.exists(path)


def test_secrets_appear_nowhere(start_larder):
    """AUTH, HELLO and CONFIG SET under MONITOR and SLOWLOG: no log, no reply
    to anybody else holds the password."""
    secret = "pass-0451-word"
    server = start_larder("slowlog-log-slower-than 0", "loglevel debug")
    monitor = server.connect()
    assert monitor.command("MONITOR") == b"+OK\r\n"
    with server.connect() as client:
        client.command("CONFIG", "SET", "requirepass", secret)
        client.command("AUTH", secret)
        client.command("AUTH", "default", secret)
        client.command("AUTH", "nobody", secret + "2")
        client.command("HELLO", "2", "AUTH", "default", secret)
        client.command("MIGRATE", "h", "1", "k", "0", "1", "AUTH", secret)
        client.command("SET", "end", "of it")
        shown = client.command("SLOWLOG", "GET", "-1")
        assert b"(redacted)" in shown and secret.encode() not in shown
        info = client.command("INFO", "everything")
        info += client.command("CLIENT", "LIST")
        assert secret.encode() not in info
    seen = b""
    while b"of it" not in seen:
        seen += monitor.read_reply()
    monitor.close()
    assert secret.encode() not in seen
    assert secret not in server.log()


@pytest.mark.parametrize("value,shown", [("512kb", None), ("1mb", "1048576")])
def test_proto_max_bulk_len_is_live(start_larder, value, shown):
    server = start_larder()
    with server.connect() as client:
        reply = client.command("CONFIG", "SET", "proto-max-bulk-len", value)
        assert (reply == b"+OK\r\n") == (shown is not None)
        reply = client.command("SET", "a", b"x" * 1500000)
        if shown is None:
            assert reply == b"+OK\r\n"
        else:
            assert reply == b"-ERR Protocol error: invalid bulk length\r\n"


@pytest.mark.skipif(
    servers.SANITIZED, reason="sanitizers take memory of their own")
def test_maxmemory_is_live(start_larder):
    server = start_larder("maxmemory 256mb", 'save ""')
    client = server.client(decode_responses=True)
    pipe = client.pipeline(transaction=False)
    for i in range(40000):
        pipe.set("k%d" % i, ("%d-" % i) * 200)
    pipe.execute()
    before = server.info("memory")["used_memory"]
    assert before > 30 << 20
    client.config_set("maxmemory", "24mb")
    wait_until(
        lambda: server.info("memory")["used_memory"] <= 24 << 20,
        seconds=30, what="less memory")
    assert client.dbsize() == 40000
    assert client.get("k77") == "77-" * 200
    client.close()


def test_standard_input(tmp_path):
    port = servers.free_port()
    lines = "port %d\ndir %s\nhz 33\n" % (port, tmp_path)
    with subprocess.Popen(
        [str(servers.LARDER), "-", "--hz", "44"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
    ) as process:
        try:
            process.stdin.write(lines.encode())
            process.stdin.close()
            wait_until(lambda: ask(port, "PING") == "PONG", what="start")
            assert ask(port, "CONFIG", "GET", "hz") == "hz\n44"
        finally:
            process.terminate()


def test_every_directive_of_redis_is_accepted(start_larder, oracle):
    """At its default, in a file; those without effect are told once."""
    theirs = settings(oracle)
    lines = []
    for name, value in sorted(theirs.items()):
        if name in DIFFERENT | {"bind", "logfile", "pidfile", "replicaof",
                                "slaveof", "aclfile"}:
            continue
        lines.append('%s "%s"' % (name, value))
    server = start_larder(*lines)
    assert settings(server).items() >= {
        name: value for name, value in theirs.items()
        if name not in DIFFERENT
    }.items()
    told = re.findall(r"directive '(\S+)' is accepted", server.log())
    assert len(told) == len(set(told)) > 50
    assert "maxmemory" not in told and "rdbcompression" in told


def test_rename_command(start_larder):
    server = start_larder(
        "rename-command get fetch", 'rename-command flushall ""')
    assert server.cli("SET", "a", "1") == "OK"
    assert server.cli("FETCH", "a") == "1"
    assert server.cli("GET", "a").startswith("ERR unknown command 'GET'")
    assert server.cli("FLUSHALL").startswith("ERR unknown command 'FLUSHALL'")


def test_log_lines(start_larder):
    server = start_larder("logfile larder-test.log")
    text = (pathlib.Path(server.directory) / "larder-test.log").read_text()
    for line in text.splitlines():
        assert re.match(
            r"\d+:M \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d\.\d{3} [.\-*#] .",
            line), line
    assert text.startswith("%d:M " % server.pid)


def test_the_example_shows_defaults_that_do_something(start_larder, larder):
    """Every commented directive of server/larder.conf is one larder acts on,
    and is shown with its default unless a value has to be made up."""
    path = servers.ROOT / "server/larder.conf"
    lines = [line[2:] for line in path.read_text().splitlines()
             if re.match(r"# [a-z][a-z-]+ ", line)]
    client = larder.client(decode_responses=True)
    lines = [line for line in lines if client.config_get(line.split()[0])]
    client.close()
    made_up = {"unixsocket", "unixsocketperm", "requirepass", "pidfile"}
    lines = [line for line in lines if line.split()[0] not in made_up]
    assert len(lines) > 35
    server = start_larder(*[line for line in lines if line.split()[0] not in
                            ("bind", "port", "dir")])
    assert "has no effect" not in server.log()
    given = settings(server)
    fresh = servers.larder(['bind * -::*'])
    try:
        different = {name for name, value in settings(fresh.start()).items()
                     if given[name] != value}
    finally:
        fresh.finish()
    assert different <= {"dir", "port", "bind"}
