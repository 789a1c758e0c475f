"""Publish and subscribe, beside redis-server: what subscribers and publishers
read byte by byte, in RESP2 and RESP3, and what slow or greedy ones get."""

import re
import time

import pytest

from support.resp import Closed, Connection, encode
from support.server import wait_until

LARDER_CONFIG = ["maxmemory 256mb"]


def both_in(both, resp3):
    return both.resp3() if resp3 else both


@pytest.mark.parametrize("resp3", [False, True])
def test_messages(both, resp3):
    listener = both_in(both.another(), resp3)
    listener.same("SUBSCRIBE", "news", "")
    listener.read()
    assert both.same("PUBLISH", "news", "hello") == b":1\r\n"
    assert b"hello" in listener.read()
    assert both.same("PUBLISH", "", "") == b":1\r\n"
    listener.read()
    assert both.same("PUBLISH", "other", "x") == b":0\r\n"
    both.same("PUBLISH", "news", b"\x00\r\n\xff" * 10)
    listener.read()
    listener.nothing()


@pytest.mark.parametrize("resp3", [False, True])
def test_patterns_come_after_channels(both, resp3):
    listener = both_in(both.another(), resp3)
    listener.same("PSUBSCRIBE", "n?ws", "n*")
    listener.read()
    listener.same("SUBSCRIBE", "news")
    assert both.same("PUBLISH", "news", "x") == b":3\r\n"
    ours, theirs = [sorted(side.read_replies(3)) for side in listener.sides]
    assert ours == theirs and len(ours) == 3
    assert both.same("PUBLISH", "nows", "y") == b":2\r\n"
    ours, theirs = [sorted(side.read_replies(2)) for side in listener.sides]
    assert ours == theirs
    listener.same("PUNSUBSCRIBE", "n*")
    assert both.same("PUBLISH", "nows", "y") == b":1\r\n"
    listener.read()


def test_a_pattern_may_be_a_plain_name(both):
    listener = both.another()
    listener.same("PSUBSCRIBE", "news")
    assert both.same("PUBLISH", "news", "x") == b":1\r\n"
    assert b"pmessage" in listener.read()


@pytest.mark.parametrize("resp3", [False, True])
def test_shard_channels_are_apart(both, resp3):
    listener = both_in(both.another(), resp3)
    listener.same("SSUBSCRIBE", "news")
    listener.same("PSUBSCRIBE", "*")
    assert both.same("SPUBLISH", "news", "x") == b":1\r\n"
    assert b"smessage" in listener.read()
    assert both.same("PUBLISH", "news", "x") == b":1\r\n"
    assert b"pmessage" in listener.read()
    listener.same("SUNSUBSCRIBE")
    assert both.same("SPUBLISH", "news", "x") == b":0\r\n"
    listener.nothing()


@pytest.mark.parametrize("resp3", [False, True])
def test_confirmations_count(both, resp3):
    both_in(both, resp3)
    for command in (
        ("UNSUBSCRIBE",), ("PUNSUBSCRIBE",), ("SUNSUBSCRIBE",),
        ("UNSUBSCRIBE", "never"), ("SUBSCRIBE", "a"), ("SUBSCRIBE", "a"),
        ("PSUBSCRIBE", "a*"), ("SSUBSCRIBE", "a"), ("UNSUBSCRIBE", "never"),
        ("PUNSUBSCRIBE", "never"), ("SUNSUBSCRIBE", "never"),
        ("UNSUBSCRIBE",), ("UNSUBSCRIBE",), ("PUNSUBSCRIBE",),
        ("SUNSUBSCRIBE",), ("SUNSUBSCRIBE",), ("GET", "key"),
    ):
        both.same(*command)
    both.same_raw(encode("SUBSCRIBE", "x", "y", "x"), 3)
    both.same_raw(encode("UNSUBSCRIBE", "y", "z", "x"), 3)
    both.nothing()


def test_resp2_subscriber_may_do_little(both):
    both.same("SUBSCRIBE", "a")
    for command in (
        ("GET", "k"), ("GET",), ("SET", "k", "v"), ("NOSUCH", "x"),
        ("CLIENT", "ID"), ("CLIENT", "NOSUCH"), ("CONFIG", "GET", "port"),
        ("HELLO", "3"), ("PUBLISH", "a", "x"), ("PUBSUB", "CHANNELS"),
        ("AUTH", "x"), ("SELECT", "1"), ("PING",), ("PING", "x"),
        ("PING", "x", "y"), ("SSUBSCRIBE", "b"), ("UNSUBSCRIBE",),
        ("GET", "k"), ("SUNSUBSCRIBE",), ("PING",), ("GET", "k"),
    ):
        both.same(*command)


def test_resp3_subscriber_may_do_all(both):
    both.resp3().same("SUBSCRIBE", "a")
    for command in (("GET", "k"), ("SET", "k", "v"), ("PING",), ("PING", "x")):
        both.same(*command)
    for side in both.sides:  # back to RESP2, with its limits
        side.command("HELLO", "2")
    both.same("GET", "k")
    both.same("PING")


def test_message_to_oneself_precedes_the_reply(both):
    both.resp3().same("SUBSCRIBE", "a")
    both.same_raw(encode("PUBLISH", "a", "x"), 2)
    both.same_raw(
        encode("GET", "k") + encode("PUBLISH", "a", "y") + encode("ECHO", "z"), 4
    )
    both.same_raw(encode("PSUBSCRIBE", "a*") + encode("PUBLISH", "a", "x"), 4)
    both.nothing()


def test_muted_replies_do_not_mute_messages(both):
    both.resp3().same("SUBSCRIBE", "a")
    for side in both.sides:
        side.send(encode("CLIENT", "REPLY", "OFF"))
    both.nothing()
    for data, count in (
        (encode("PUBLISH", "a", "x"), 1),
        (encode("SUBSCRIBE", "b", "c"), 2),
        (encode("UNSUBSCRIBE", "c"), 1),
    ):
        both.same_raw(data, count)
    other = both.another()
    other.same("PUBLISH", "b", "y")
    both.read()
    both.same("CLIENT", "REPLY", "ON")
    both.same_raw(encode("CLIENT", "REPLY", "SKIP") + encode("PUBLISH", "b", "z"))
    both.nothing()


def test_reset_and_quit_end_subscriptions(both):
    listener = both.another()
    listener.same("SUBSCRIBE", "a")
    listener.same("PSUBSCRIBE", "a")
    listener.same("SSUBSCRIBE", "a")
    listener.same("RESET")
    listener.same("GET", "k")
    assert both.same("PUBLISH", "a", "x") == b":0\r\n"
    listener.same("SUBSCRIBE", "a")
    listener.same("QUIT")
    for server in (both.larder, both.oracle):
        with Connection(server.port) as asker:
            wait_until(lambda: asker.command("PUBLISH", "a", "x") == b":0\r\n")


def test_pubsub_tells_who_listens(both):
    listener = both.another().resp3()
    for command in (
        ("SUBSCRIBE", "news.it"), ("PSUBSCRIBE", "n*"), ("SSUBSCRIBE", "shard"),
    ):
        listener.same(*command)
    third = both.another()
    third.same("SUBSCRIBE", "news.it")
    third.same("PSUBSCRIBE", "n*")
    for command in (
        ("CHANNELS",), ("CHANNELS", "news.*"), ("CHANNELS", "x*"),
        ("CHANNELS", "a", "b"), ("NUMSUB",), ("NUMSUB", "news.it", "none", ""),
        ("NUMPAT",), ("NUMPAT", "x"), ("SHARDCHANNELS",), ("SHARDCHANNELS", "s*"),
        ("SHARDCHANNELS", "a", "b"), ("SHARDNUMSUB", "shard", "none"),
        ("SHARDNUMSUB",), ("HELP",), ("HELP", "x"), ("NOSUCH",), (),
    ):
        both.same("PUBSUB", *command)
    for field in ("pubsub_channels", "pubsub_patterns", "pubsubshard_channels"):
        seen = [
            re.search(rb"%s:(\d+)" % field.encode(), side.command("INFO", "stats"))
            for side in both.sides
        ]
        assert seen[0][1] == seen[1][1] == b"1"


def listed(connection, *args):
    text = connection.command("CLIENT", "LIST", *args).decode()
    return [dict(re.findall(r"([a-z-]+)=(\S*)", line))
            for line in text.splitlines() if line.startswith("id=")]


def test_client_list_and_kill(both):
    listener = both.another().resp3()
    listener.same("SUBSCRIBE", "a", "b")
    listener.read()
    listener.same("PSUBSCRIBE", "c")
    listener.same("SSUBSCRIBE", "d")
    for side in both.sides:
        found = listed(side, "TYPE", "pubsub")
        assert len(found) == 1
        wanted = {"flags": "P", "sub": "2", "psub": "1", "ssub": "1"}
        assert {name: found[0][name] for name in wanted} == wanted
        assert all(c["flags"] != "P" for c in listed(side, "TYPE", "normal"))
    assert both.same("CLIENT", "KILL", "TYPE", "pubsub") == b":1\r\n"
    for side in listener.sides:
        with pytest.raises((Closed, ConnectionError)):
            side.read_reply()
    both.same("PUBSUB", "CHANNELS")
    both.same("PUBLISH", "a", "x")


def test_inside_transactions(both):
    """Deferred: Redis 7.0 writes the message into the middle of the array."""
    for command in (("MULTI",), ("SUBSCRIBE", "a"), ("SSUBSCRIBE", "a"), ("GET", "k")):
        both.same(*command)
    both.same("EXEC")
    both.same("GET", "k")
    both.same("RESET")
    both.resp3()
    for command in (("MULTI",), ("PSUBSCRIBE", "b*"), ("PUBLISH", "other", "x")):
        both.same(*command)
    both.same("EXEC")
    ours = both.sides[0]
    ours.pipeline([("MULTI",), ("PUBLISH", "bc", "x"), ("GET", "k")])
    ours.send(encode("EXEC"))
    assert ours.read_reply() == b"*2\r\n:1\r\n_\r\n"
    assert ours.read_reply().startswith(b">4\r\n$8\r\npmessage")


def test_rights(both):
    both.same("ACL", "SETUSER", "u", "on", "nopass", "resetchannels", "&news*",
              "~none", "+@all")
    user = both.another()
    user.same("AUTH", "u", "x")
    for command in (
        ("SUBSCRIBE", "other"), ("SUBSCRIBE", "news", "other"),
        ("PSUBSCRIBE", "news?"), ("PSUBSCRIBE", "*"), ("SSUBSCRIBE", "other"),
        ("PUBLISH", "other", "x"), ("SPUBLISH", "other", "x"),
        ("PUBLISH", "news", "x"), ("SPUBLISH", "news", "x"),
        ("UNSUBSCRIBE", "other"), ("SUBSCRIBE", "news"), ("SSUBSCRIBE", "newest"),
        ("SSUBSCRIBE", "news2"), ("PSUBSCRIBE", "news*"),
    ):
        user.same(*command)
    both.same("ACL", "DELUSER", "u")


def test_arity(both):
    for command in (
        "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "PUBLISH", "SPUBLISH",
        "PUBLISH a", "PUBLISH a b c", "SPUBLISH a", "PUBSUB",
    ):
        both.same(*command.split())


def test_idle_subscribers_are_not_timed_out(start_larder):
    server = start_larder("timeout 1")
    with Connection(server.port) as listener, Connection(server.port) as idle:
        listener.command("SUBSCRIBE", "a")
        idle.command("PING")
        idle.settimeout(10)
        assert idle.read_until_closed() == b""
        with Connection(server.port) as other:
            assert other.command("PUBLISH", "a", "x") == b":1\r\n"
        assert b"$1\r\nx" in listener.read_reply()


@pytest.mark.parametrize("size", [100, 16384, 100000, 3000000])
def test_every_subscriber_gets_every_message(start_larder, size):
    server = start_larder("client-output-buffer-limit pubsub 0 0 0")
    listeners = [Connection(server.port) for _ in range(20)]
    for number, listener in enumerate(listeners):
        if number % 2:
            listener.command("HELLO", "3")
        listener.command("SUBSCRIBE", "a")
        listener.command("PSUBSCRIBE", "*")
    messages = [b"%06d" % i + b"x" * (size - 6) for i in range(5)]
    with Connection(server.port) as other:
        for reply in other.pipeline([("PUBLISH", "a", m) for m in messages]):
            assert reply == b":40\r\n"
    for listener in listeners:
        for message in messages:
            for _ in range(2):
                assert listener.read_reply().endswith(message + b"\r\n")
        assert listener.quiet(0.02)
        listener.close()


# ---- who does not read ----


def flood(publisher, listener_gone, size, seconds=20):
    """Publishes until the listener is gone; how many messages that took."""
    message = b"x" * size
    count = 0
    deadline = time.monotonic() + seconds
    while not listener_gone():
        assert time.monotonic() < deadline
        publisher.command("PUBLISH", "a", message)
        count += 1
    return count


def no_listener(connection):
    return lambda: connection.command("PUBSUB", "NUMSUB", "a").endswith(b":0\r\n")


@pytest.mark.parametrize("size", [1000, 200000])
def test_slow_subscriber_hits_the_hard_limit(start_larder, size):
    server = start_larder("client-output-buffer-limit pubsub 2mb 0 0")
    with Connection(server.port) as slow, Connection(server.port) as publisher:
        slow.command("SUBSCRIBE", "a")
        count = flood(publisher, no_listener(publisher), size)
        assert count * size > 2 * 1024 * 1024
        info = publisher.command("INFO", "stats")
        assert b"client_output_buffer_limit_disconnections:1\r\n" in info
    assert "overcoming of output buffer limits" in server.log_tail()


def test_slow_subscriber_hits_the_soft_limit(start_larder):
    server = start_larder("client-output-buffer-limit pubsub 0 100kb 1")
    with Connection(server.port) as slow, Connection(server.port) as publisher:
        slow.command("SUBSCRIBE", "a")
        gone = no_listener(publisher)
        while not listed(publisher, "TYPE", "pubsub") or int(
            listed(publisher, "TYPE", "pubsub")[0]["omem"]
        ) < 200000:
            publisher.command("PUBLISH", "a", b"x" * 100000)
        assert not gone()
        began = time.monotonic()
        wait_until(gone, seconds=10)
        assert time.monotonic() - began > 0.5


def test_subscriber_that_reads_again_is_kept(start_larder):
    server = start_larder("client-output-buffer-limit pubsub 0 100kb 3")
    with Connection(server.port) as slow, Connection(server.port) as publisher:
        slow.command("SUBSCRIBE", "a")
        for _ in range(100):
            publisher.command("PUBLISH", "a", b"x" * 100000)
        slow.read_replies(100)
        time.sleep(4)
        assert publisher.command("PUBLISH", "a", "y") == b":1\r\n"


def test_many_slow_subscribers_do_not_fill_memory(start_larder):
    server = start_larder(
        "maxmemory 128mb", "client-output-buffer-limit pubsub 0 0 0"
    )
    slow = [Connection(server.port) for _ in range(100)]
    for listener in slow:
        listener.command("SUBSCRIBE", "a")
    with Connection(server.port) as publisher:
        for _ in range(3000):
            publisher.command("PUBLISH", "a", b"x" * 10000)
        status = open("/proc/%d/status" % server.pid).read()
        assert int(re.search(r"VmHWM:\s+(\d+)", status)[1]) < 700 * 1024
        assert publisher.command("PING") == b"+PONG\r\n"
    for listener in slow:
        listener.close()


# ---- who asks for much ----


def test_hundred_thousand_patterns(start_larder):
    server = start_larder("maxmemory 512mb")
    with Connection(server.port) as greedy, Connection(server.port) as other:
        for first in range(0, 100000, 1000):
            names = ["p%d:*" % i for i in range(first, first + 1000)]
            greedy.send(encode("PSUBSCRIBE", *names))
            greedy.read_replies(1000)
        assert other.command("PUBSUB", "NUMPAT") == b":100000\r\n"
        began = time.monotonic()
        assert other.command("PUBLISH", "p77777:x", "hello") == b":1\r\n"
        assert time.monotonic() - began < 1
        assert b"p77777:*" in greedy.read_reply()
        greedy.close()
        wait_until(lambda: other.command("PUBSUB", "NUMPAT") == b":0\r\n")


def test_subscriptions_are_bounded(start_larder):
    server = start_larder("maxmemory 16mb")
    with Connection(server.port) as greedy, Connection(server.port) as other:
        greedy.settimeout(30)
        refused = False
        for first in range(0, 200000, 500):
            greedy.send(encode("SUBSCRIBE", *range(first, first + 500)))
            reply = greedy.read_reply()
            if reply.startswith(b"-OOM"):
                refused = True
                break
            greedy.read_replies(499)
        assert refused
        assert other.command("PING") == b"+PONG\r\n"
        greedy.send(encode("UNSUBSCRIBE", "0"))
        assert greedy.read_reply().startswith(b"*3\r\n$11\r\nunsubscribe")


def test_subscribe_and_leave_at_once(start_larder):
    """Connections that come, listen, are sent to and go, in any order."""
    server = start_larder()
    with Connection(server.port) as publisher:
        for round_ in range(200):
            listeners = [Connection(server.port) for _ in range(5)]
            for number, listener in enumerate(listeners):
                listener.send(encode("SUBSCRIBE", "a", "b", "c%d" % number))
                if number % 2:
                    listener.send(encode("UNSUBSCRIBE", "a"))
            for listener in listeners[round_ % 5 :]:
                listener.close()
            publisher.command("PUBLISH", "a", "x")
            for listener in listeners:
                listener.close()
        wait_until(
            lambda: publisher.command("PUBSUB", "CHANNELS") == b"*0\r\n"
        )
