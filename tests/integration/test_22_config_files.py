"""The configuration file and the command line, beside redis-server."""

import pathlib
import re
import subprocess

import pytest

from support import server as servers
from support.server import wait_until
from support.settings import DIFFERENT, ask, settings


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
        ["--dbfilename", "a/b"],
        ["--appendfilename", "a/b"],
        ["--appenddirname", "a/b"],
        ["--enable-debug-command", "x"],
        ["--aclfile", "x", "y"],
        ["--logfile", "/nonexistent/x"],
        ["--logfile", "/"],
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
        "notify-keyspace-events KE A\n",
        "hz 1 2\n",
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
    assert "maxmemory" not in told and "rdbchecksum" in told


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
    made_up = {"unixsocket", "unixsocketperm", "requirepass", "pidfile",
               "aclfile"}
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


@pytest.mark.parametrize("value,shown", [("0", "1"), ("5000", "500")])
def test_hz_is_kept_within_bounds(both_started, value, shown):
    for server in both_started("hz " + value):
        assert server.cli("CONFIG", "GET", "hz") == "hz\n" + shown


@pytest.fixture
def both_started(start_larder, start_oracle):
    return lambda *lines: [start_larder(*lines), start_oracle(*lines)]


def test_a_unix_socket_of_too_long_a_path():
    text, status = start_and_fail(
        servers.LARDER, "larder-server", "--unixsocket", "/tmp/" + "x" * 103)
    assert status == 1
    assert "must be shorter than 108 bytes" in text


def test_so_many_databases():
    """Redis would allow 2147483647, and then have no memory left."""
    for value in ("0", "65537"):
        text, status = start_and_fail(
            servers.LARDER, "larder-server", "--databases", value)
        assert status == 1
        assert "argument must be between 1 and 16384 inclusive" in text
