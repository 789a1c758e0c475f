"""Namespaces: the grammar, in the file, on the command line, by CONFIG and by
NAMESPACE, and which one a key belongs to."""

import pytest

from support.namespaces import options, stats
from support.server import wait_until

LARDER_CONFIG = ["save ''"]


def test_prefixes_options_and_figures(one):
    assert one.value("NAMESPACE", "LIST") == [b""]
    assert one.command("NAMESPACE", "SET", "session:", "hot-maxmemory", "2mb",
                       "hot-max-items", "7") == b"+OK\r\n"
    assert one.value("NAMESPACE", "LIST") == [b"", b"session:"]
    found = options(one, "session:")
    assert found["hot-maxmemory"] == "2mb"
    assert found["hot-max-items"] == "7"
    assert found["cold-maxmemory"] == "0"
    assert found["tiers"] == "hot,cold,dry"
    one.command("NAMESPACE", "SET", "session:", "hot-max-items", "default")
    assert options(one, "session:")["hot-max-items"] == "0"
    one.command("MSET", "session:1", "a", "session:2", "b", "other", "c")
    assert stats(one, "session:")["hot_keys"] == 2
    assert stats(one, "")["hot_keys"] == 1
    assert one.command("NAMESPACE", "DEL", "session:") == b":1\r\n"
    assert one.command("NAMESPACE", "DEL", "session:") == b":0\r\n"
    wait_until(lambda: stats(one, "")["hot_keys"] == 3)
    assert one.command("GET", "session:1") == b"$1\r\na\r\n"


def test_the_longest_prefix_wins(one):
    for prefix in ("a", "ab", "abc", "b", "abd:"):
        one.command("NAMESPACE", "SET", prefix, "hot-max-items", "1000")
    expected = {"": ["", "x", "ca"], "a": ["a", "ac", "azz"],
                "ab": ["ab", "abb", "abd", "abx"], "abc": ["abc", "abcd"],
                "b": ["b", "bb"], "abd:": ["abd:", "abd:1"]}
    for prefix, keys in expected.items():
        for key in keys:
            one.command("SET", key, "value")
    for prefix, keys in expected.items():
        assert stats(one, prefix)["hot_keys"] == len(keys), prefix
    # Keys that were there before move when prefixes come and go.
    one.command("NAMESPACE", "DEL", "ab")
    wait_until(lambda: stats(one, "a")["hot_keys"] == 7)
    one.command("NAMESPACE", "SET", "ab", "hot-max-items", "1000")
    wait_until(lambda: stats(one, "ab")["hot_keys"] == 4)
    assert stats(one, "a")["hot_keys"] == 3
    assert stats(one, "abc")["hot_keys"] == 2


def test_moving_keys_between_namespaces_keeps_every_tier(one):
    for tier in ("hot", "cold", "dry"):
        for i in range(100):
            one.command("SET", f"user:{tier}:{i}", f"value {i}" * 50,
                        "EX", "1000")
        if tier != "hot":
            one.command("TIER", "DEMOTE",
                        *(f"user:{tier}:{i}" for i in range(100)), "TO", tier)
    one.command("NAMESPACE", "SET", "user:", "dry-max-items", "1000")
    wait_until(lambda: stats(one, "user:")["dry_keys"] == 100)
    found = stats(one, "user:")
    assert (found["hot_keys"], found["cold_keys"]) == (100, 100)
    assert found["disk_bytes"] > 0
    one.command("NAMESPACE", "SET", "user:", "dry-max-items", "default")
    one.command("NAMESPACE", "DEL", "user:")
    wait_until(lambda: stats(one, "")["dry_keys"] == 100)
    for tier in ("hot", "cold", "dry"):
        assert one.command("GET", f"user:{tier}:7") == one.command(
            "GET", "user:hot:7")


@pytest.mark.parametrize("words, names", [
    (["hot-maxmemori", "1mb"], "hot-maxmemori"),
    (["hot-maxmemory", "1mib"], "hot-maxmemory"),
    (["hot-maxmemory", "-1"], "hot-maxmemory"),
    (["hot-maxmemory", "6666666666666256mb"], "hot-maxmemory"),
    (["hot-max-items", "1kb"], "hot-max-items"),
    (["hot-max-items", "99999999999999999999"], "hot-max-items"),
    (["eviction", "mru"], "eviction"),
    (["tiers", "cold,dry"], "tiers"),
    (["tiers", "hot,hot"], "tiers"),
    (["tiers", ""], "tiers"),
    (["tiers", "hot", "cold-maxmemory", "1mb"], "cold-maxmemory"),
    (["hot-max-items", "5", "eviction"], "eviction"),
    (["hot-max-items", "5", "cold-max-items", "x"], "cold-max-items"),
])
def test_a_wrong_option_is_named_and_nothing_changes(one, words, names):
    one.command("NAMESPACE", "SET", "p", "hot-max-items", "3")
    before = options(one, "p")
    for command in (["NAMESPACE", "SET", "p", *words],
                    ["CONFIG", "SET", "namespace",
                     "p " + " ".join(word or '""' for word in words)],
                    ["NAMESPACE", "SET", "new", *words]):
        reply = one.command(*command)
        if len(command) > 4 or command[0] == "CONFIG":
            assert reply.startswith(b"-ERR"), reply
        if len(command) > 4:
            assert names.encode() in reply, reply
    assert options(one, "p") == before
    assert b"new" not in one.value("NAMESPACE", "LIST")


def test_unknown_namespaces_and_subcommands(one):
    for command in (("GET", "x"), ("STATS", "x")):
        assert one.command("NAMESPACE", *command) == (
            b"-ERR there is no namespace 'x'\r\n")
    assert one.command("NAMESPACE", "NONE").startswith(b"-ERR unknown subcomm")
    assert one.command("NAMESPACE", "SET", "a\0b", "eviction", "lru").startswith(
        b"-ERR")
    assert b"hot-max" not in one.command("NAMESPACE", "HELP")
    assert one.command("NAMESPACE", "SET", "p" * 513, "eviction",
                       "lru").startswith(b"-ERR the prefix")


def test_config_shows_and_takes_namespaces(one):
    one.command("CONFIG", "SET", "namespace",
                'session: hot-maxmemory 1mb\n"white space:" eviction fifo')
    assert one.value("CONFIG", "GET", "namespace") == [
        b"namespace",
        b'"session:" hot-maxmemory 1mb\n"white space:" eviction fifo']
    assert options(one, "white space:")["eviction"] == "fifo"
    one.command("CONFIG", "SET", "tier-defaults", "eviction random")
    assert options(one, "session:")["eviction"] == "random"
    assert options(one, "white space:")["eviction"] == "fifo"
    assert one.command("CONFIG", "SET", "tier-defaults",
                       "tiers hot cold-max-items 3").startswith(b"-ERR CONFIG")
    assert one.value("CONFIG", "GET", "tier-defaults")[1] == (
        b"eviction random")
    one.command("CONFIG", "SET", "tier-defaults", "eviction default")
    assert options(one, "session:")["eviction"] == "lru"


def test_file_command_line_and_rewrite(start_larder):
    server = start_larder(
        "namespace session: hot-maxmemory 256mb cold-maxmemory 1gb",
        "namespace session: eviction lfu",
        'namespace "with space " dry-max-items 5',
        "tier-defaults cold-max-items 9",
        args=["--namespace", "cli: hot-max-items 3"])
    with server.connect() as one:
        assert options(one, "session:")["hot-maxmemory"] == "256mb"
        assert options(one, "session:")["cold-maxmemory"] == "1gb"
        assert options(one, "session:")["eviction"] == "lfu"
        assert options(one, "with space ")["dry-max-items"] == "5"
        assert options(one, "cli:")["hot-max-items"] == "3"
        assert options(one, "cli:")["cold-max-items"] == "9"
        one.command("NAMESPACE", "SET", "new:", "eviction", "ttl")
        one.command("NAMESPACE", "DEL", "with space ")
        one.command("CONFIG", "SET", "tier-defaults", "cold-max-items 8")
        assert one.command("CONFIG", "REWRITE") == b"+OK\r\n"
        before = one.value("CONFIG", "GET", "namespace")
    written = server.config_path.read_text()
    assert written.count("namespace") == 3 and "with space" not in written
    assert server.stop() == 0
    server.config_lines = written.splitlines()
    server.args = []
    server.start()
    with server.connect() as one:
        assert set(one.value("NAMESPACE", "LIST")) == {
            b"", b"session:", b"cli:", b"new:"}
        assert sorted(one.value("CONFIG", "GET", "namespace")[1].split(b"\n")
                      ) == sorted(before[1].split(b"\n"))
        assert options(one, "new:")["cold-max-items"] == "8"


def test_a_wrong_line_in_the_file_is_named(start_larder):
    server = start_larder("namespace p: hot-maxmemory 5 parsecs", wait=False)
    assert server.process.wait(10) != 0
    server.expect_crash = True
    assert "parsecs" in server.log()


def test_many_namespaces(one):
    for i in range(998):
        one.command("NAMESPACE", "SET", f"n{i:03}:", "hot-max-items", "2")
    assert one.command("NAMESPACE", "SET", "n998:", "hot-max-items",
                       "2") == b"+OK\r\n"
    assert one.command("NAMESPACE", "SET", "more", "hot-max-items",
                       "2").startswith(b"-ERR there are 1000")
    for i in range(0, 999, 100):
        one.command("SET", f"n{i:03}:key", "value")
        assert stats(one, f"n{i:03}:")["hot_keys"] == 1
