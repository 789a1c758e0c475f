"""A hostile client and an impatient operator: clients that vanish while they
wait, races with fetches, settings and stops under load. Also run on the
sanitized build."""

import random
import signal
import socket
import threading
import time

import pytest

from support.hostile import VALUE_BYTES, dry, reset, settled, value_of
from support.resp import Closed, encode

LARDER_CONFIG = ["maxmemory 64mb", "save \"\"", "enable-debug-command yes"]


@pytest.fixture(autouse=True)
def at_rest(request):
    yield
    if "larder" in request.fixturenames:
        server = request.getfixturevalue("larder")
        settled(server)
        server.client().flushall()


# ---- clients that vanish while they wait ----


@pytest.mark.parametrize("how", ["close", "reset", "kill", "half close"])
def test_clients_vanish_while_their_values_are_fetched(larder, how):
    names = dry(larder, 500)
    with larder.connect() as admin:
        for at in range(0, 500, 10):
            held = [larder.connect() for _ in range(5)]
            for connection in held:
                connection.send(b"".join(
                    encode("GET", n) for n in names[at : at + 10]))
            if how == "kill":
                ids = [line.split(b" ")[0][3:] for line in
                       admin.command("CLIENT", "LIST").split(b"\n")
                       if b"cmd=client" not in line and b"id=" in line]
                for number in ids:
                    admin.command(
                        "CLIENT", "KILL", "ID", number.split(b"=")[-1])
            for connection in held:
                if how == "reset":
                    reset(connection)
                elif how == "half close":
                    connection.sock.shutdown(socket.SHUT_WR)
                else:
                    connection.close()
            if how == "half close":
                for connection in held:
                    reply = connection.read_until_closed()
                    assert reply.startswith(b"$%d\r\n" % VALUE_BYTES)
                    assert reply.endswith(value_of(names[at + 9]) + b"\r\n")
                    connection.close()
        assert admin.command("GET", names[3]).endswith(
            value_of(names[3]) + b"\r\n")


def test_client_kills_itself_behind_a_fetch(larder):
    names = dry(larder, 50)
    for i, name in enumerate(names):
        with larder.connect() as connection:
            own = connection.command("CLIENT", "ID")[1:-2]
            connection.send(
                encode("GET", name) + encode("CLIENT", "KILL", "ID", own,
                                             "SKIPME", "no")
                + encode("GET", names[i - 1]))
            reply = connection.read_until_closed()
            assert reply.startswith(b"$%d\r\n" % VALUE_BYTES)


def test_vanishing_during_moves_by_hand(larder):
    names = dry(larder, 400)
    for i in range(20):
        with larder.connect(timeout=60) as connection:
            connection.pipeline([("GET", n) for n in names])
            connection.send(encode("TIER", "DEMOTE", *names, "TO", "DRY"))
            if i % 2:
                reset(connection)
    with larder.connect(timeout=60) as connection:
        connection.send(encode("TIER", "FLUSH", "ALL"))
        other = larder.connect(timeout=60)
        other.send(encode("TIER", "FLUSH", "ALL"))
        assert larder.client().flushall()
        assert connection.read_reply().startswith(b":")
        assert other.read_reply().startswith(b":")
        other.close()


# ---- changes under a fetch ----


def race(larder, change, expected):
    """Many GETs of dry keys and, from another client, `change(i)` at the same
    time; every later GET must be in expected(i)."""
    names = dry(larder, 300)
    with larder.connect(timeout=60) as reader, \
            larder.connect(timeout=60) as writer:
        for i, name in enumerate(names):
            reader.send(encode("GET", name))
            writer.send(change(name))
            reader.read_reply()
            writer.read_reply()
            found = reader.command("GET", name)
            assert found == expected(name), (name, found[:60])
        for name in names:
            assert reader.command("GET", name) == expected(name)


def test_set_under_a_fetch(larder):
    race(larder, lambda name: encode("SET", name, "new " + name),
         lambda name: b"$%d\r\nnew %b\r\n" % (len(name) + 4, name.encode()))


def test_delete_under_a_fetch(larder):
    race(larder, lambda name: encode("DEL", name), lambda name: b"$-1\r\n")


def test_rename_under_a_fetch(larder):
    race(larder, lambda name: encode("RENAME", name, "other"),
         lambda name: b"$-1\r\n")


def test_expire_under_a_fetch(larder):
    race(larder, lambda name: encode("PEXPIREAT", name, "1"),
         lambda name: b"$-1\r\n")


def test_delete_and_set_again_under_a_fetch(larder):
    names = dry(larder, 300)
    with larder.connect(timeout=60) as reader, \
            larder.connect(timeout=60) as writer:
        for name in names:
            reader.send(encode("GET", name))
            writer.send(encode("DEL", name) + encode("SET", name, "again"))
            assert reader.read_reply() in (
                b"$-1\r\n", b"$5\r\nagain\r\n",
                b"$%d\r\n%b\r\n" % (VALUE_BYTES, value_of(name)))
            writer.read_replies(2)
            assert reader.command("GET", name) == b"$5\r\nagain\r\n"


@pytest.mark.parametrize("command", [
    ("FLUSHALL",), ("FLUSHDB",), ("SWAPDB", "0", "1"),
    ("FLUSHALL", "ASYNC"), ("SWAPDB", "0", "0")], ids=" ".join)
def test_databases_change_under_fetches(larder, command):
    for _ in range(5):
        names = dry(larder, 300)
        readers = [larder.connect(timeout=60) for _ in range(10)]
        for i, reader in enumerate(readers):
            reader.send(b"".join(
                encode("GET", n) for n in names[i * 30 : i * 30 + 30]))
        with larder.connect(timeout=60) as admin:
            assert admin.command(*command) == b"+OK\r\n"
        for i, reader in enumerate(readers):
            for name in names[i * 30 : i * 30 + 30]:
                assert reader.read_reply() in (
                    b"$-1\r\n",
                    b"$%d\r\n%b\r\n" % (VALUE_BYTES, value_of(name)))
            reader.close()
        if command[0] == "SWAPDB":
            swapped = larder.client(db=0 if command[1:] == ("0", "0") else 1)
            assert swapped.get(names[5]) == value_of(names[5])
        else:
            assert larder.client().dbsize() == 0
        larder.client().flushall()


def test_whole_commands_over_dry_keys(larder):
    """Commands that read several values, or read and write one."""
    client = larder.client()

    def fresh():
        client.flushall()
        return dry(larder, 4, "w")

    a, b, c, d = fresh()
    assert client.mget(a, b, "none", c, a) == [
        value_of(a), value_of(b), None, value_of(c), value_of(a)]
    a, b, c, d = fresh()
    assert client.rename(a, a) and client.get(a) == value_of(a)
    assert client.rename(b, c) and client.get(c) == value_of(b)
    a, b, c, d = fresh()
    assert client.execute_command("COPY", a, b, "REPLACE")
    assert client.get(b) == value_of(a) == client.get(a)
    assert client.execute_command("COPY", c, "x", "DB", "2")
    assert larder.client(db=2).get("x") == value_of(c)
    a, b, c, d = fresh()
    assert client.getdel(a) == value_of(a) and not client.exists(a)
    assert client.getex(b, ex=100) == value_of(b) and client.ttl(b) > 90
    assert client.getset(c, "n") == value_of(c) and client.get(c) == b"n"
    assert client.set(d, "n", get=True) == value_of(d)
    a, b, c, d = fresh()
    assert client.setrange(a, 5, "XYZ") == VALUE_BYTES
    assert client.get(a) == value_of(a)[:5] + b"XYZ" + value_of(a)[8:]
    assert client.msetnx({a: "1", "fresh": "2"}) == 0
    assert not client.exists("fresh")
    assert client.execute_command("MOVE", b, 3) == 1
    assert larder.client(db=3).get(b) == value_of(b)
    a, b, c, d = fresh()
    with pytest.raises(Exception, match="not an integer"):
        client.incr(a)
    assert client.execute_command("LCS", c, d, "LEN") >= 0
    assert client.get(a) == value_of(a)


# ---- an impatient operator ----


def busy(server, stop, failures, seed, db=0):
    """One client with keys of its own that must always find what it wrote."""
    source = random.Random(seed)
    model = {}
    try:
        with server.connect(timeout=120) as connection:
            connection.command("SELECT", db)
            while not stop.is_set():
                name = "own:%d:%d" % (seed, source.randrange(200))
                what = source.random()
                if what < 0.4:
                    version = source.randrange(10 ** 6)
                    reply = connection.command(
                        "SET", name, value_of(name, version))
                    assert reply == b"+OK\r\n", reply[:100]
                    model[name] = version
                elif what < 0.5:
                    reply = connection.command("DEL", name)
                    assert reply == b":%d\r\n" % (name in model), reply
                    model.pop(name, None)
                elif what < 0.6 and name in model:
                    connection.command("TIER", "DEMOTE", name, "TO", "DRY")
                else:
                    reply = connection.command("GET", name)
                    expected = b"$-1\r\n"
                    if name in model:
                        expected = b"$%d\r\n%b\r\n" % (
                            VALUE_BYTES, value_of(name, model[name]))
                    assert reply == expected, (name, reply[:100])
    except Exception as error:  # told by the main thread
        failures.append("client %d: %r" % (seed, error))


def under_load(server, seconds, chaos, clients=4, db=0):
    stop, failures = threading.Event(), []
    threads = [threading.Thread(target=busy, args=(server, stop, failures, n, db))
               for n in range(clients)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end and not failures:
            chaos()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures, failures


def test_settings_change_under_load(larder):
    source = random.Random(3)
    client = larder.client()

    def chaos():
        client.config_set("maxmemory", source.choice(
            ["24mb", "32mb", "64mb", "200mb"]))
        client.config_set("appendonly", source.choice(["yes", "no"]))
        client.config_set("appendfsync", source.choice(
            ["always", "everysec", "no"]))
        client.config_set("save", source.choice(["", "1 1"]))
        client.execute_command("TIER", "FLUSH", source.choice(
            ["HOT", "COLD", "ALL"]))
        time.sleep(0.05)

    try:
        under_load(larder, 6, chaos)
    finally:
        client.config_set("maxmemory", "64mb")
        client.config_set("appendonly", "no")
        client.config_set("save", "")


def test_checkpoints_under_load(larder):
    client = larder.client()

    def chaos():
        for command in ("BGSAVE", "SAVE", "BGSAVE"):
            try:
                client.execute_command(command)
            except Exception as error:
                assert "in progress" in str(error)
        client.info()
        time.sleep(0.02)

    under_load(larder, 4, chaos)


def test_other_databases_come_and_go_under_load(larder):
    client, other = larder.client(db=1), larder.client(db=2)

    def chaos():
        for i in range(50):
            client.set("x%d" % i, "y" * 2000)
        client.execute_command("TIER", "FLUSH", "ALL")
        client.execute_command("SWAPDB", 1, 2)
        assert other.dbsize() == 50
        other.flushdb()
        client.flushdb()

    under_load(larder, 4, chaos, db=5)


def test_clients_are_killed_under_load(larder):
    """Others die at random; those that live see only what is right."""
    source = random.Random(4)

    def chaos():
        held = [larder.connect(timeout=60) for _ in range(20)]
        for connection in held:
            connection.send(b"".join(
                encode("GET", "own:%d:%d" % (source.randrange(4),
                                             source.randrange(200)))
                for _ in range(50)))
        for connection in held:
            if source.random() < 0.5:
                reset(connection)
            else:
                connection.close()

    under_load(larder, 4, chaos)


@pytest.mark.parametrize("how", ["SIGTERM", "SHUTDOWN", "SIGTERM twice"])
def test_stop_under_load_keeps_what_was_acknowledged(start_larder, how):
    server = start_larder("maxmemory 48mb")
    acknowledged = {}

    def write(seed):
        source = random.Random(seed)
        try:
            with server.connect(timeout=60) as connection:
                for i in range(10 ** 6):
                    name = "w:%d:%d" % (seed, source.randrange(3000))
                    reply = connection.command("SET", name, value_of(name, i))
                    if reply != b"+OK\r\n":
                        return
                    acknowledged[name] = i
        except (Closed, OSError):
            return

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1.5)
    if how == "SHUTDOWN":
        with server.connect() as connection:
            connection.send(b"SHUTDOWN\r\n")
            connection.read_until_closed()
    else:
        server.process.send_signal(signal.SIGTERM)
    if how == "SIGTERM twice":
        time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
    status = server.wait_end()
    for thread in threads:
        thread.join()
    if how == "SIGTERM twice" and status != 0:
        # The second one may cut the saving short, never damage the store.
        server.expect_crash = True
        server.start()
        return
    assert status == 0
    assert len(acknowledged) > 100
    server.start()
    client = server.client()
    for name, version in acknowledged.items():
        # An unacknowledged later write may be there instead.
        found = client.get(name)
        assert found is not None and len(found) == VALUE_BYTES
        if found != value_of(name, version):
            assert found[:4] != b"", name
