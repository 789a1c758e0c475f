"""TIER: asking where a key is, moving it by hand, and MEMORY and OBJECT that
must not move it."""

import pytest

from support import namespaces
from support.resp import encode
from support.server import wait_until

LARDER_CONFIG = ["enable-debug-command yes", "save ''"]


@pytest.fixture
def one(larder):
    with larder.connect() as connection:
        assert connection.command("FLUSHALL") == b"+OK\r\n"
        yield connection


def tier(connection, key):
    return connection.command("TIER", "OF", key).split(b"\r\n")[1].decode()


def pairs(reply):
    """A flat RESP2 map of bulks and integers."""
    words = [w for w in reply.split(b"\r\n")[1:-1] if not w.startswith(b"$")]
    words = [w[1:] if w.startswith(b":") else w for w in words]
    return dict(zip((w.decode() for w in words[::2]),
                    (w.decode() for w in words[1::2])))


def test_of(one):
    assert tier(one, "nothing") == "none"
    one.command("SET", "key", "value")
    assert tier(one, "key") == "hot"


# A server that is started during a test gets its name in the environment, which
# must be short.
@pytest.mark.parametrize("value", [
    "", "1", "-9223372036854775808", "short", "x" * 45, "x" * 300,
    "y" * 20_000, bytes(range(256)) * 1000],
    ids=lambda value: "%d bytes" % len(value))
def test_every_tier_gives_the_same_value(one, value):
    one.command("SET", "key", value)
    expected = one.command("GET", "key")
    ttl_before = one.command("TTL", "key")
    encoding = one.command("OBJECT", "ENCODING", "key")
    for target in ("cold", "dry"):
        assert one.command("TIER", "DEMOTE", "key", "TO", target) == b":1\r\n"
        assert tier(one, "key") == target
        assert one.command("OBJECT", "ENCODING", "key") == encoding
        assert one.command("TTL", "key") == ttl_before
        assert one.command("EXISTS", "key") == b":1\r\n"
        assert one.command("TYPE", "key") == b"+string\r\n"
        assert tier(one, "key") == target
        assert one.command("GET", "key") == expected
        assert tier(one, "key") != "dry"
    assert one.command("TIER", "PROMOTE", "key") == b":1\r\n"
    assert tier(one, "key") == "hot"
    assert one.command("GET", "key") == expected


def test_one_tier_down_is_the_default(one):
    one.command("SET", "key", "value")
    for expected in ("cold", "dry", "dry"):
        assert one.command("TIER", "DEMOTE", "key") == b":1\r\n"
        assert tier(one, "key") == expected


@pytest.mark.parametrize("tiers, path", [
    ("hot", ("hot", "hot")), ("hot,cold", ("cold", "cold")),
    ("hot,dry", ("dry", "dry"))])
def test_one_tier_down_is_one_the_namespace_has(one, tiers, path):
    namespaces.set_options(one, "n:", "tiers", tiers)
    one.command("SET", "n:key", "value")
    for expected in path:
        assert one.command("TIER", "DEMOTE", "n:key") == b":1\r\n"
        assert tier(one, "n:key") == expected
    one.command("NAMESPACE", "DEL", "n:")


def test_demote_many(one):
    keys = ["key:%d" % i for i in range(500)]
    for key in keys:
        one.command("SET", key, "value of " + key)
    reply = one.command("TIER", "DEMOTE", *keys, "nothing", "TO", "dry")
    assert reply == b":500\r\n"
    assert all(tier(one, key) == "dry" for key in keys)
    for key in keys:
        value = b"value of " + key.encode()
        assert one.command("GET", key) == b"$%d\r\n%s\r\n" % (
            len(value), value)


def test_replies_keep_their_order(one):
    one.command("SET", "key", "value")
    replies = one.pipeline([
        ["PING"], ["TIER", "DEMOTE", "key", "TO", "dry"], ["TIER", "OF", "key"],
        ["GET", "key"], ["PING", "end"]])
    assert replies == [b"+PONG\r\n", b":1\r\n", b"$3\r\ndry\r\n",
                       b"$5\r\nvalue\r\n", b"$3\r\nend\r\n"]


def count(connection, name):
    return int(pairs(connection.command("TIER", "STATS"))[name])


@pytest.mark.parametrize("target, expected", [
    ("hot", (0, 300, 0)), ("all", (0, 0, 300))])
def test_flush(one, target, expected):
    for i in range(300):
        one.command("SET", "key:%d" % i, "x" * i)
    assert one.command("TIER", "FLUSH", target) == b":300\r\n"
    assert tuple(count(one, t + "_keys") for t in ("hot", "cold", "dry")) == (
        expected)
    assert one.command("DBSIZE") == b":300\r\n"
    for i in range(300):
        assert one.command("STRLEN", "key:%d" % i) == b":%d\r\n" % i


def test_flush_cold_leaves_hot(one):
    for i in range(100):
        one.command("SET", "key:%d" % i, "x")
    one.command("TIER", "DEMOTE", *["key:%d" % i for i in range(40)])
    assert one.command("TIER", "FLUSH", "cold") == b":40\r\n"
    assert [count(one, t + "_keys") for t in ("hot", "cold", "dry")] == [
        60, 0, 40]


def test_flush_goes_through_all_databases(one):
    for db in (0, 3, 15):
        one.command("SELECT", db)
        for i in range(100):
            one.command("SET", "key:%d" % i, "in %d" % db)
    assert one.command("TIER", "FLUSH", "ALL") == b":300\r\n"
    one.command("SELECT", 3)
    assert tier(one, "key:7") == "dry"
    assert one.command("GET", "key:7") == b"$4\r\nin 3\r\n"


def test_others_are_answered_meanwhile(one, larder):
    assert one.command(
        "DEBUG", "POPULATE", "20000", "key", "500") == b"+OK\r\n"
    with larder.connect() as other:
        one.send(b"TIER FLUSH all\r\n")
        answered = 0
        while one.quiet(0.001):
            assert other.command("GET", "key:5") .endswith(b"\r\n")
            answered += 1
        assert one.read_reply().startswith(b":")
    assert answered > 0


def test_a_mover_may_go(one, larder):
    assert one.command(
        "DEBUG", "POPULATE", "5000", "key", "200") == b"+OK\r\n"
    for _ in range(5):
        mover = larder.connect()
        mover.send(b"TIER FLUSH all\r\n")
        mover.close()
    wait_until(lambda: one.command(
        "TIER", "FLUSH", "all").startswith(b":"), what="another move")
    assert one.command("DBSIZE") == b":5000\r\n"


def test_a_mover_may_be_killed(one, larder):
    assert one.command(
        "DEBUG", "POPULATE", "20000", "key", "200") == b"+OK\r\n"
    for _ in range(10):
        mover = larder.connect()
        mover_id = mover.command("CLIENT", "ID")[1:-2]
        mover.send(b"TIER FLUSH all\r\n")
        one.command("GET", "key:1")
        assert one.command("CLIENT", "KILL", "ID", mover_id) == b":1\r\n"
        mover.close()
    assert one.command("TIER", "FLUSH", "all").startswith(b":")
    assert one.command("DBSIZE") == b":20000\r\n"


def test_many_keys_are_few_batches(one):
    """Each is a wait for the disk's thread, which a busy machine makes long."""
    before = count(one, "batches")
    assert one.command(
        "DEBUG", "POPULATE", "20000", "key", "100") == b"+OK\r\n"
    assert one.command("TIER", "FLUSH", "all") == b":20000\r\n"
    assert one.command("TIER", "FLUSH", "all") == b":0\r\n"
    assert count(one, "batches") - before < 100


def test_a_database_that_goes_while_it_is_moved(one, larder):
    assert one.command(
        "DEBUG", "POPULATE", "20000", "key", "200") == b"+OK\r\n"
    with larder.connect() as mover:
        mover.send(b"TIER FLUSH all\r\n")
        one.command("SWAPDB", "0", "1")
        one.command("FLUSHALL")
        assert mover.read_reply().startswith(b":")
    assert one.command("DBSIZE") == b":0\r\n"
    assert count(one, "hot_keys") + count(one, "dry_keys") == 0


def test_several_move_the_same_keys(one, larder):
    keys = ["key:%d" % i for i in range(1000)]
    for key in keys:
        one.command("SET", key, "value of " + key)
    movers = [larder.connect() for _ in range(5)]
    for mover in movers:
        mover.send(encode("TIER", "DEMOTE", *keys, "TO", "dry"))
    one.send(encode("TIER", "PROMOTE", *keys[:500]))
    for mover in movers:
        assert mover.read_reply().startswith(b":")
        mover.close()
    assert one.read_reply() == b":500\r\n"
    for key in keys:
        assert one.command("GET", key).endswith(
            b"\r\nvalue of %s\r\n" % key.encode())


@pytest.mark.parametrize("command, error", [
    ("TIER", "wrong number of arguments for 'tier' command"),
    ("TIER OF", "wrong number of arguments for 'tier|of' command"),
    ("TIER NOSUCH", "unknown subcommand 'NOSUCH'. Try TIER HELP."),
    ("TIER DEMOTE a TO hot", "syntax error"),
    ("TIER FLUSH nosuch", "syntax error"),
    ("TIER FLUSH hot NAMESPACE", "syntax error"),
    ("TIER FLUSH hot TIER x", "syntax error"),
    ("TIER FLUSH hot NAMESPACE no:", "there is no namespace 'no:'"),
    ("NAMESPACE FLUSH no:", "there is no namespace 'no:'"),
    ("NAMESPACE FLUSH no: TIER all", "syntax error"),
])
def test_errors(one, command, error):
    assert one.command(*command.split()) == b"-ERR %s\r\n" % error.encode()


def test_absent_keys(one):
    assert one.command("TIER", "DEMOTE", "no", "none") == b":0\r\n"
    assert one.command("TIER", "PROMOTE", "no", "none") == b":0\r\n"
    assert one.command("TIER", "INFO", "no") == b"$-1\r\n"


def test_info(one):
    one.command("SET", "key", "x" * 1000, "PXAT", "4000000000000")
    info = namespaces.pairs(one.value("TIER", "INFO", "key"))
    assert info["tier"] == b"hot" and info["type"] == b"string"
    assert info["expiry_ms"] == 4000000000000
    one.command("TIER", "DEMOTE", "key", "TO", "dry")
    info = namespaces.pairs(one.value("TIER", "INFO", "key"))
    assert info["tier"] == b"dry" and info["record_id"] > 0
    assert info["memory_bytes"] < 100
    assert tier(one, "key") == "dry"


def test_memory_and_debug_do_not_move_a_key(one):
    one.command("SET", "key", "x" * 5000)
    hot = int(one.command("MEMORY", "USAGE", "key")[1:])
    assert 5000 <= hot < 6200
    one.command("TIER", "DEMOTE", "key", "TO", "dry")
    dry = int(one.command("MEMORY", "USAGE", "key", "SAMPLES", "0")[1:])
    assert dry < 100
    assert b" encoding:raw " in one.command("DEBUG", "OBJECT", "key")
    one.command("OBJECT", "ENCODING", "key")
    assert tier(one, "key") == "dry"


def test_expiry_in_every_tier(one):
    for target in ("hot", "cold", "dry"):
        one.command("SET", target, "x", "PX", "150")
        if target != "hot":
            one.command("TIER", "DEMOTE", target, "TO", target)
    wait_until(lambda: one.command(
        "EXISTS", "hot", "cold", "dry") == b":0\r\n", what="expiry")
    assert one.command("GET", "dry") == b"$-1\r\n"
    assert tier(one, "dry") == "none"


def test_no_touch(one, larder):
    """Reads of a connection that asked for it are no uses of a key."""
    one.command("SET", "key", "value")
    one.command("TIER", "DEMOTE", "key", "TO", "cold")
    with larder.connect() as shy:
        shy.command("CLIENT", "NO-TOUCH", "on")
        for _ in range(5):
            assert shy.command("GET", "key") == b"$5\r\nvalue\r\n"
        assert tier(one, "key") == "cold"
        shy.command("TOUCH", "key")
        shy.command("TOUCH", "key")
        assert tier(one, "key") == "hot"
