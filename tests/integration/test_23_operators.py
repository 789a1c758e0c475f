"""What operators count on: daemon, systemd, Unix socket, no password in any
log, limits that can be changed while it runs."""

import os
import shutil
import signal
import socket
import stat
import subprocess

import pytest

from support import server as servers
from support.server import wait_until
from support.settings import ask


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


def test_a_server_can_be_trained(tmp_path):
    """What server/run does between its two builds works on any binary."""
    done = subprocess.run(
        [servers.ROOT / "server/train", servers.LARDER],
        env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True,
        stdin=subprocess.DEVNULL, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert os.listdir(tmp_path) == []


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


def test_durability_is_live(start_larder):
    """CONFIG SET appendonly and appendfsync hold from the next write on; what
    came before is not forgotten either."""
    server = start_larder('save ""', "appendonly no")
    client = server.client(decode_responses=True)
    client.set("early", "1")
    assert client.config_set("appendonly", "yes")
    assert client.config_set("appendfsync", "always")
    for i in range(50):
        client.set("k%d" % i, str(i))
    client.close()
    server.config_lines = ["appendonly yes", "appendfsync always"]
    server.crash_restart()
    client = server.client(decode_responses=True)
    assert [client.get("k%d" % i) for i in range(50)] == [
        str(i) for i in range(50)]
    assert client.get("early") == "1"
    client.close()


def test_a_password_set_while_clients_are_connected(start_larder):
    """Who is in stays in, as in Redis; who comes needs it; and it can be
    taken away again."""
    server = start_larder()
    inside = server.connect()
    assert inside.command("PING") == b"+PONG\r\n"
    assert inside.command("CONFIG", "SET", "requirepass", "a") == b"+OK\r\n"
    assert inside.command("PING") == b"+PONG\r\n"
    outside = server.connect()
    assert outside.command("PING").startswith(b"-NOAUTH")
    assert outside.command("AUTH", "b").startswith(b"-WRONGPASS")
    assert inside.command("CONFIG", "SET", "requirepass", "c") == b"+OK\r\n"
    assert outside.command("AUTH", "a").startswith(b"-WRONGPASS")
    assert outside.command("AUTH", "c") == b"+OK\r\n"
    inside.close()
    outside.close()


def test_timeout_is_live(start_larder):
    server = start_larder()
    idle, busy = server.connect(), server.connect()
    assert idle.command("PING") == b"+PONG\r\n"
    assert busy.command("CONFIG", "SET", "timeout", "1") == b"+OK\r\n"

    def closed():
        assert busy.command("PING") == b"+PONG\r\n"
        return b"connected_clients:1\r" in busy.command("INFO", "clients")

    wait_until(closed, what="the idle one closed")
    assert idle.read_until_closed() == b""
    busy.close()
