"""The first things a user does: start it, redis-cli, redis-py, stop, start."""

import subprocess

import pytest

from support.server import wait_until


def test_ping_by_redis_cli(larder):
    assert larder.cli("PING") == "PONG"
    assert larder.cli("SET", "greeting", "hello") == "OK"
    assert larder.cli("GET", "greeting") == "hello"
    assert larder.cli("DEL", "greeting") == "1"
    assert larder.cli("GET", "greeting") == ""


def test_redis_cli_reads_commands_from_a_pipe(larder):
    lines = "\n".join("SET pipe:%d %d" % (i, i) for i in range(500))
    out = larder.cli(input=lines.encode() + b"\n")
    assert out.split() == ["OK"] * 500
    assert larder.cli("GET", "pipe:499") == "499"


def test_redis_cli_mass_insertion(larder):
    commands = b"".join(
        b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$1\r\nx\r\n" % (len(key), key)
        for key in (b"mass:%d" % i for i in range(5000))
    )
    out = larder.cli("--pipe", input=commands)
    assert "errors: 0, replies: 5000" in out


def test_redis_py(larder):
    client = larder.client()
    assert client.ping()
    assert client.set("a", b"\x00binary\r\n\xff")
    assert client.get("a") == b"\x00binary\r\n\xff"
    assert client.mset({"b": "1", "c": "2"})
    assert client.mget("a", "b", "missing") == [
        b"\x00binary\r\n\xff", b"1", None]
    assert client.incrby("b", 41) == 42
    assert client.expire("b", 100)
    assert 0 < client.ttl("b") <= 100
    assert client.delete("a", "b", "c") == 3
    assert client.exists("a") == 0


def test_pipeline_keeps_its_order(larder):
    with larder.connect() as connection:
        replies = connection.pipeline(
            [("SET", "p:%d" % i, "v%d" % i) for i in range(2000)]
            + [("GET", "p:%d" % i) for i in range(2000)]
        )
    assert replies[:2000] == [b"+OK\r\n"] * 2000
    for i, reply in enumerate(replies[2000:]):
        value = b"v%d" % i
        assert reply == b"$%d\r\n%b\r\n" % (len(value), value)


@pytest.mark.parametrize("test", ["ping,set,get,incr,mset"])
def test_redis_benchmark(larder, test):
    done = subprocess.run(
        ["redis-benchmark", "-p", str(larder.port), "-t", test, "-n", "3000",
         "-P", "8", "-c", "20", "-q"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=True,
    )
    text = (done.stdout + done.stderr).decode()
    for name in ("PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET"):
        assert name in text, text
    assert "rror" not in text, text


def test_pid_in_info_is_the_process(larder):
    assert larder.info("server")["process_id"] == larder.pid


def test_identity(larder):
    info = larder.info("server")
    assert info["redis_version"].startswith("7.2.")
    assert "larder_version" in info
    with larder.connect() as connection:
        hello = connection.command("HELLO")
        assert b"$6\r\nserver\r\n$5\r\nredis\r\n" in hello


def test_stop_and_start_keeps_the_data(start_larder):
    server = start_larder()
    client = server.client()
    client.set("kept", "value")
    client.set("short", "life", px=60000)
    assert server.stop() == 0
    server.start()
    assert client.get("kept") == b"value"
    assert 0 < client.pttl("short") <= 60000
    assert client.dbsize() == 2


def test_sigint_stops_as_sigterm(start_larder):
    import signal

    server = start_larder()
    server.client().set("a", "b")
    server.process.send_signal(signal.SIGINT)
    assert server.wait_end() == 0
    server.start()
    assert server.client().get("a") == b"b"


def test_shutdown_command(start_larder):
    server = start_larder()
    with server.connect() as connection:
        connection.command("SET", "a", "b")
        connection.send(b"SHUTDOWN\r\n")
        assert connection.read_until_closed() == b""
    assert server.wait_end() == 0
    server.start()
    assert server.client().get("a") == b"b"


def test_log_has_redis_line_format(larder):
    import re

    lines = wait_until(lambda: larder.log().splitlines(), what="log")
    pattern = re.compile(
        r"^%d:[MC] \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d\.\d{3} [.*#-] "
        % larder.pid)
    assert any(pattern.match(line) for line in lines), lines[:10]


def test_second_server_on_the_same_directory_is_refused(start_larder):
    server = start_larder()
    server.client().set("a", "1")
    other = start_larder('dir "%s"' % server.directory, wait=False)
    other.expect_crash = True
    assert other.wait_end(20) != 0
    assert str(server.directory) in other.log(), other.log()
    assert server.client().get("a") == b"1"


def test_taken_port_is_refused(start_larder):
    server = start_larder()
    other = start_larder(wait=False, port=server.port)
    other.expect_crash = True
    assert other.wait_end(20) != 0
    assert "in use" in other.log()
