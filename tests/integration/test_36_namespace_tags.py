"""`ttl-rule` and TIER SET ... TAG; `schema-version`. Each test quotes its line
of the contract."""

import time

import pytest

from support.namespaces import options, set_options, stats, tier
from support.server import wait_until

LARDER_CONFIG = ["save ''"]


# ---- rules ----

def test_rules_are_options_like_others(one, larder):
    """ttl-rule "<tag> hot-ttl .. cold-ttl .. dry-ttl ..": several rules a
    namespace"""
    set_options(one, "t:", "ttl-rule", "short hot-ttl 1s cold-ttl 2s",
                "ttl-rule", "long  dry-ttl 7d")
    assert options(one, "t:")["ttl-rule"] == (
        "short hot-ttl 1s cold-ttl 2s; long dry-ttl 7d")
    set_options(one, "t:", "ttl-rule", "short hot-ttl 3s")
    text = "short hot-ttl 3s; long dry-ttl 7d"
    assert options(one, "t:")["ttl-rule"] == text
    # As CONFIG shows it, CONFIG takes it.
    line = one.value("CONFIG", "GET", "namespace")[1]
    assert b'ttl-rule "%s"' % text.encode() in line
    set_options(one, "t:", "ttl-rule", "default")
    assert options(one, "t:")["ttl-rule"] == ""
    assert one.command("CONFIG", "SET", "namespace", line) == b"+OK\r\n"
    assert options(one, "t:")["ttl-rule"] == text


@pytest.mark.parametrize("rule", [
    "", "tag", "tag hot-ttl", "tag hot-ttl x", "tag warm-ttl 1s", ";",
    "tag hot-ttl 1s;", "x" * 33 + " hot-ttl 1s", "tag hot-ttl 61d",
    "; ".join(f"tag{i} hot-ttl 1s" for i in range(17))])
def test_wrong_rules_change_nothing(one, rule):
    set_options(one, "t:", "ttl-rule", "tag hot-ttl 1s")
    reply = one.command("NAMESPACE", "SET", "t:", "hot-max-items", "5",
                        "ttl-rule", rule)
    assert reply.startswith(b"-ERR option 'ttl-rule': "), reply
    assert options(one, "t:")["ttl-rule"] == "tag hot-ttl 1s"
    assert options(one, "t:")["hot-max-items"] == "0"


def test_lifetimes_by_tag(one):
    """lifetimes by tag, given with TIER SET key value TAG <tag>"""
    set_options(one, "t:", "ttl-rule", "quick hot-ttl 100ms",
                "ttl-rule", "gone hot-ttl 50ms cold-ttl 50ms dry-ttl 50ms")
    assert one.command("TIER", "SET", "t:1", "a", "TAG", "quick") == b"+OK\r\n"
    assert one.command("TIER", "SET", "t:2", "b", "TAG", "gone") == b"+OK\r\n"
    one.command("SET", "t:3", "c")
    wait_until(lambda: tier(one, "t:1") == "cold")
    wait_until(lambda: tier(one, "t:2") == "none")
    assert stats(one, "t:")["dry_expired"] == 1
    assert tier(one, "t:3") == "hot"
    assert one.command("GET", "t:1") == b"$1\r\na\r\n"
    wait_until(lambda: tier(one, "t:1") == "cold", what="sinking again")
    # A write that names no tag takes it off, one that keeps the rest does not.
    one.command("APPEND", "t:1", "b")
    wait_until(lambda: tier(one, "t:1") == "cold")
    one.command("SET", "t:1", "again", "KEEPTTL")
    wait_until(lambda: tier(one, "t:1") == "cold")
    one.command("SET", "t:1", "again")
    time.sleep(0.5)
    assert tier(one, "t:1") == "hot"


def test_precedence(one):
    """Precedence: the key's own expiry, its tag, its namespace, the default"""
    set_options(one, "t:", "hot-ttl", "100ms", "default-ttl", "1000s",
                "ttl-rule", "keep hot-ttl 1h")
    one.command("TIER", "SET", "t:own", "a", "TAG", "keep", "PX", "300")
    one.command("TIER", "SET", "t:tag", "a", "TAG", "keep")
    one.command("SET", "t:namespace", "a")
    one.command("SET", "default", "a")
    assert one.value("TTL", "t:tag") == 1000
    assert one.value("PTTL", "t:own") <= 300
    wait_until(lambda: tier(one, "t:namespace") == "cold")
    wait_until(lambda: tier(one, "t:own") == "none")
    assert tier(one, "t:tag") == "hot"
    assert tier(one, "default") == "hot"


def test_tier_set_takes_the_options_of_set(one):
    """TIER SET key value TAG <tag> [SET's options]"""
    set_options(one, "t:", "ttl-rule", "a hot-ttl 1h")

    def ask(*words):
        return one.command("TIER", "SET", "t:1", *words)
    assert ask("x", "TAG", "a", "XX") == b"$-1\r\n"
    assert ask("x" * 50_000, "TAG", "a", "NX", "EX", "100") == b"+OK\r\n"
    assert one.value("TTL", "t:1") == 100
    assert ask("y", "TAG", "a", "GET", "KEEPTTL") == (
        b"$50000\r\n%s\r\n" % (b"x" * 50_000))
    one.command("TIER", "DEMOTE", "t:1", "TO", "dry")
    assert ask("z", "tag", "a", "GET") == b"$1\r\ny\r\n"
    assert one.value("GET", "t:1") == b"z"
    assert ask("x", "TAG", "b") == (
        b"-ERR the key's namespace has no ttl-rule for this tag\r\n")
    assert ask("x", "EX", "5", "TAG", "a") == b"-ERR syntax error\r\n"
    assert ask("x", "TAG", "a", "EX", "0") == (
        b"-ERR invalid expire time in 'set' command\r\n")
    assert one.value("GET", "t:1") == b"z"


def test_tags_and_changed_rules(one):
    set_options(one, "t:", "ttl-rule", "a hot-ttl 1h; b hot-ttl 1h")
    for i in range(300):
        one.command("TIER", "SET", f"t:{i}", i, "TAG", "ab"[i % 2])
    set_options(one, "t:", "ttl-rule", "a hot-ttl 100ms")
    wait_until(lambda: stats(one, "t:")["cold_keys"] == 150)
    assert stats(one, "t:")["hot_keys"] == 150
    # Without its rule a tag is none.
    set_options(one, "t:", "ttl-rule", "default")
    set_options(one, "t:", "hot-ttl", "100ms")
    wait_until(lambda: stats(one, "t:")["cold_keys"] == 300)
    assert all(one.value("GET", f"t:{i}") == b"%d" % i for i in range(300))


def test_limits_are_the_whole_namespaces(one):
    set_options(one, "t:", "ttl-rule", "a hot-ttl 1h; b hot-ttl 1h", "tiers",
                "hot", "hot-max-items", "50")
    for i in range(300):
        words = [[], ["TAG", "a"], ["TAG", "b"]][i % 3]
        one.command(*(["TIER"] if words else []), "SET", f"t:{i}", i, *words)
    assert stats(one, "t:")["hot_keys"] == 50
    assert one.command("EXISTS", "t:299", "t:298", "t:297") == b":3\r\n"


@pytest.mark.parametrize("appendonly", ["yes", "no"])
def test_tags_survive_a_restart(start_larder, appendonly):
    server = start_larder(
        f"appendonly {appendonly}", "warm-restart no",
        'namespace t: ttl-rule "gone dry-ttl 1s" default-ttl 1d')
    one = server.connect()
    for i in range(20):
        one.command("SET", f"t:{i}", "first")
        one.command("TIER", "SET", f"t:{i}", "value", "TAG", "gone")
        one.command("SET", f"t:stays{i}", "value")
    one.close()
    server.restart()
    one = server.connect()
    wait_until(lambda: one.command("DBSIZE") == b":20\r\n")
    assert one.command("EXISTS", "t:stays7") == b":1\r\n"
    assert one.value("TTL", "t:stays7") > 80_000
    one.close()


# ---- schema-version ----

def test_another_schema_version_is_a_miss(one):
    """records written under another version are misses and are discarded"""
    set_options(one, "v:", "schema-version", "1")
    for name in ("hot", "cold", "dry"):
        one.command("SET", f"v:{name}", "x" * 300)
        if name != "hot":
            one.command("TIER", "DEMOTE", f"v:{name}", "TO", name)
    one.command("SET", "other", "stays")
    replies = one.pipeline([
        ["NAMESPACE", "SET", "v:", "schema-version", "2"],
        ["GET", "v:hot"], ["GET", "v:cold"], ["STRLEN", "v:dry"],
        ["SET", "v:hot", "new"], ["GET", "v:hot"]])
    assert replies == [b"+OK\r\n", b"$-1\r\n", b"$-1\r\n", b":0\r\n",
                       b"+OK\r\n", b"$3\r\nnew\r\n"]
    wait_until(lambda: one.command("DBSIZE") == b":2\r\n")
    assert one.command("GET", "v:hot") == b"$3\r\nnew\r\n"
    assert one.command("GET", "other") == b"$5\r\nstays\r\n"


def test_schema_version_while_many_keys_are_written(one):
    set_options(one, "v:", "schema-version", "1")
    one.pipeline([["SET", f"v:{i}", "old"] for i in range(20_000)])
    commands = [["NAMESPACE", "SET", "v:", "schema-version", "2"]]
    for i in range(0, 20_000, 4):
        commands += [["SET", f"v:{i}", "new"], ["APPEND", f"v:{i + 1}", "new"],
                     ["RPUSH", f"v:{i + 2}", "new"]]
    assert all(not reply.startswith(b"-") for reply in one.pipeline(commands))
    wait_until(lambda: one.command("DBSIZE") == b":15000\r\n")
    assert set(one.pipeline([["GET", f"v:{i}"] for i in range(0, 20_000, 4)]
                            + [["GET", f"v:{i + 1}"]
                               for i in range(0, 20_000, 4)])) == {
        b"$3\r\nnew\r\n"}


@pytest.mark.parametrize("appendonly", ["yes", "no"])
def test_schema_version_over_restarts(start_larder, appendonly):
    server = start_larder(f"appendonly {appendonly}",
                          "namespace v: schema-version 1")
    one = server.connect()
    for i in range(100):
        one.command("SET", f"v:{i}", "one")
    one.close()
    server.restart()
    one = server.connect()
    assert one.command("DBSIZE") == b":100\r\n"
    assert one.command("GET", "v:5") == b"$3\r\none\r\n"
    one.close()
    server.config_lines = [line.replace("version 1", "version 2")
                     for line in server.config_lines]
    server.restart()
    one = server.connect()
    assert one.command("DBSIZE") == b":0\r\n"
    one.command("SET", "v:1", "two")
    one.close()
    # What was discarded does not come back under its own version.
    server.config_lines = [line.replace("version 2", "version 1")
                     for line in server.config_lines]
    server.restart()
    with server.connect() as one:
        assert one.command("DBSIZE") == b":0\r\n"
