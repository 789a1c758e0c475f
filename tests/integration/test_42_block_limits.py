"""Commands that wait for a key, beside durability and tiers, and clients that
leave while they wait."""

import time

import pytest

from support.resp import Closed, Connection, encode
from support.server import wait_until


# ---- durability, tiers ----

def test_always_synced_is_answered_all_the_same(start_larder):
    server = start_larder("appendonly yes", "appendfsync always")
    with Connection(server.port) as conn, Connection(server.port) as other:
        conn.send(encode("SET", "a", "1") + encode("BLPOP", "k", 0) +
                  encode("BLPOP", "l", 0) + encode("BLPOP", "m", 0.01))
        assert conn.read_reply() == b"+OK\r\n"
        other.command("RPUSH", "k", "1")
        assert conn.read_reply().startswith(b"*2\r\n$1\r\nk")
        other.command("RPUSH", "l", "1")
        assert conn.read_reply().startswith(b"*2\r\n$1\r\nl")
        assert conn.read_reply() == b"*-1\r\n"
        server.kill()
    server.expect_crash = False
    server.start()
    assert server.client().exists("k", "l") == 0


def demote(conn, *keys):
    conn.command("TIER", "DEMOTE", *keys, "TO", "DRY")
    for key in keys:
        assert conn.command("OBJECT", "TIER", key) == b"$3\r\ndry\r\n"


def test_dry_list_arrives_by_swapdb(larder):
    crowd = [Connection(larder.port) for _ in range(3)]
    with Connection(larder.port) as other:
        other.command("FLUSHALL")
        other.command("SELECT", "1")
        other.command("RPUSH", "k", "1" * 3000, "2" * 3000, "3" * 3000)
        demote(other, "k")
        client = larder.client()
        for number, conn in enumerate(crowd):
            conn.send(encode("BLPOP", "k", 0))
            wait_until(lambda: client.info("clients")["blocked_clients"] ==
                       number + 1)
        other.command("SWAPDB", "0", "1")
        for number, conn in enumerate(crowd, 1):
            assert conn.read_reply()[20:21] == b"%d" % number
        assert client.exists("k") == 0
        assert client.info("clients")["blocked_clients"] == 0
    for conn in crowd:
        conn.close()


def test_dry_target_of_a_move(larder):
    with Connection(larder.port) as conn, Connection(larder.port) as other:
        other.command("RPUSH", "to", "x" * 3000)
        demote(other, "to")
        conn.send(encode("BLMOVE", "from", "to", "LEFT", "RIGHT", 0))
        client = larder.client()
        wait_until(lambda: client.info("clients")["blocked_clients"] == 1)
        if b"dry" not in other.command("OBJECT", "TIER", "to"):
            demote(other, "to")
        other.command("RPUSH", "from", "1")
        assert conn.read_reply() == b"$1\r\n1\r\n"
        assert other.command("LLEN", "to") == b":2\r\n"


def test_served_when_the_script_has_ended(larder):
    with Connection(larder.port) as conn, Connection(larder.port) as other:
        conn.send(encode("BLPOP", "k", 0))
        client = larder.client()
        wait_until(lambda: client.info("clients")["blocked_clients"] == 1)
        script = "redis.call('RPUSH', 'k', 1) return redis.call('LLEN', 'k')"
        assert other.command("EVAL", script, "0") == b":1\r\n"
        assert conn.read_reply() == b"*2\r\n$1\r\nk\r\n$1\r\n1\r\n"
        assert other.command("EXISTS", "k") == b":0\r\n"


def test_nobody_is_served_while_a_script_is_busy(start_larder):
    server = start_larder("busy-reply-threshold 20")
    with Connection(server.port) as conn, Connection(server.port) as other:
        client = server.client()
        conn.send(encode("BLPOP", "k", 0))
        wait_until(lambda: client.info("clients")["blocked_clients"] == 1)
        script = ("redis.call('RPUSH', 'k', 'x') "
                  "for i = 1, 100000000 do end "
                  "return redis.call('LLEN', 'k')")
        other.settimeout(60)
        other.send(encode("EVAL", script, "0"))
        with Connection(server.port, timeout=60) as third:
            busy = 0
            for _ in range(20):
                busy += third.command("PING").startswith(b"-BUSY")
                time.sleep(0.01)
        assert busy > 0
        assert other.read_reply() == b":1\r\n"
        assert conn.read_reply() == b"*2\r\n$1\r\nk\r\n$1\r\nx\r\n"


# ---- hostile use ----

def gone(larder):
    client = larder.client()
    wait_until(lambda: client.info("clients")["blocked_clients"] == 0)


def test_nothing_is_given_to_who_has_left(larder):
    client = larder.client()
    for round in range(20):
        leaver, waiter = Connection(larder.port), Connection(larder.port)
        for number, conn in enumerate((leaver, waiter)):
            conn.send(encode("BLPOP", "k", 0))
            wait_until(lambda: client.info("clients")["blocked_clients"] ==
                       number + 1)
        leaver.close()
        client.rpush("k", "1")
        assert waiter.read_reply() == b"*2\r\n$1\r\nk\r\n$1\r\n1\r\n"
        waiter.close()
        assert client.exists("k") == 0


@pytest.mark.parametrize("command", [
    ["BLPOP", "k", "0"], ["BLPOP", "k", "100"],
    ["BLMOVE", "k", "l", "LEFT", "LEFT", "0"],
    ["BLPOP", *["k%d" % n for n in range(5000)], "60"],
])
def test_disconnect(larder, command):
    crowd = [Connection(larder.port) for _ in range(30)]
    for conn in crowd:
        conn.send(encode(*command) + encode("PING"))
    client = larder.client()
    wait_until(lambda: client.info("clients")["blocked_clients"] == 30)
    for conn in crowd:
        conn.close()
    gone(larder)
    assert client.info("clients")["clients_in_timeout_table"] == 0


def test_kill(larder):
    with Connection(larder.port) as conn:
        number = conn.command("CLIENT", "ID")[1:-2]
        conn.send(encode("BLPOP", "k", 10))
        client = larder.client()
        wait_until(lambda: client.info("clients")["blocked_clients"] == 1)
        assert client.client_kill_filter(_id=number.decode()) == 1
        with pytest.raises(Closed):
            conn.read_reply()
    gone(larder)


def test_two_thousand_wait(start_larder):
    server = start_larder("maxclients 4000")
    crowd = [Connection(server.port) for _ in range(2000)]
    for conn in crowd:
        conn.send(encode("BLPOP", "k", 60))
    client = server.client()
    wait_until(lambda: client.info("clients")["blocked_clients"] == 2000)
    begin = time.monotonic()
    client.rpush("k", *range(2000))
    replies = {conn.read_reply() for conn in crowd}
    assert len(replies) == 2000
    assert time.monotonic() - begin < 5
    for conn in crowd:
        conn.close()


def test_shutdown_while_some_wait(start_larder):
    server = start_larder()
    crowd = [Connection(server.port) for _ in range(5)]
    for number, conn in enumerate(crowd):
        conn.send(encode("BLPOP", "k", number))
    client = server.client()
    wait_until(lambda: client.info("clients")["blocked_clients"] == 5)
    server.finish()
