"""Compression of namespaces, and the figures INFO and NAMESPACE STATS show."""

import json
import random

import pytest

from support.namespaces import set_options, stats
from support.server import wait_until

LARDER_CONFIG = ["save ''"]


@pytest.fixture
def one(one):
    one.command("CONFIG", "RESETSTAT")
    return one


def info(one, key):
    flat = one.value("TIER", "INFO", key)
    return dict(zip(flat[::2], flat[1::2]))


def text(seed, size):
    source = random.Random(seed)
    words = [json.dumps({"id": i, "name": f"user {i}", "active": True})
             for i in range(50)]
    out = ""
    while len(out) < size:
        out += source.choice(words)
    return out[:size]


@pytest.mark.parametrize("codec, level", [
    ("lz4", "0"), ("zstd", "0"), ("zstd", "1"), ("zstd", "19"),
    ("zlib", "0"), ("zlib", "1"), ("zlib", "6"), ("zlib", "9")])
def test_every_codec_gives_the_value_back(one, codec, level):
    set_options(one, "c:", "compression", codec, "compression-level", level)
    for size in (1, 100, 1023, 1024, 5000, 100_000):
        value = text(size, size)
        one.command("SET", "c:key", value)
        for target in ("cold", "dry"):
            one.command("TIER", "DEMOTE", "c:key", "TO", target)
            packed = size >= 1024
            assert info(one, "c:key")[b"codec"] == (
                codec.encode() if packed else b"none")
            if packed and target == "cold":
                assert info(one, "c:key")[b"stored_bytes"] < size / 2
        assert one.value("GET", "c:key") == value.encode()
    figures = stats(one, "c:")
    assert (figures["compressed_stored_bytes"] * 2
            < figures["compressed_raw_bytes"])


def test_none_and_min_size(one):
    set_options(one, "n:", "compression", "none")
    set_options(one, "m:", "compression", "zstd", "compression-min-size", "200")
    for key, size, codec in (("n:key", 5000, b"none"), ("m:199", 199, b"none"),
                             ("m:200", 300, b"zstd")):
        one.command("SET", key, "x" * size)
        one.command("TIER", "DEMOTE", key, "TO", "cold")
        assert info(one, key)[b"codec"] == codec, key
        assert one.value("GET", key) == b"x" * size


def test_what_does_not_shrink_is_left_as_it_is(one):
    set_options(one, "z:", "compression", "zlib")
    for i in range(100):
        one.command("SET", f"z:{i}", random.Random(i).randbytes(2000))
        one.command("TIER", "DEMOTE", f"z:{i}", "TO", "cold")
        assert info(one, f"z:{i}")[b"codec"] == b"none"
    assert stats(one, "z:")["compressed_raw_bytes"] == 0


def test_changing_the_codec_holds_for_what_is_written_next(one):
    value = text(1, 3000)
    expected = []
    for codec in ("lz4", "zstd", "zlib", "none"):
        set_options(one, "x:", "compression", codec)
        key = f"x:{codec}"
        one.command("SET", key, value)
        one.command("TIER", "DEMOTE", key, "TO", "cold")
        expected.append((key, codec.encode()))
    for key, codec in expected:
        assert info(one, key)[b"codec"] == codec
        assert one.value("GET", key) == value.encode()


def test_codecs_survive_a_restart(start_larder):
    server = start_larder("namespace a: compression zstd compression-level 9",
                          "namespace b: compression zlib")
    with server.connect() as one:
        for prefix in ("a:", "b:"):
            for i in range(100):
                one.command("SET", f"{prefix}{i}", text(i, 2000))
            one.command("RPUSH", f"{prefix}list", *(text(i, 100)
                                                    for i in range(1000)))
    server.restart()
    with server.connect() as one:
        for prefix in ("a:", "b:"):
            for i in range(100):
                assert one.value("GET", f"{prefix}{i}") == text(i, 2000).encode()
            assert one.value("LINDEX", f"{prefix}list", 999) == text(
                999, 100).encode()


@pytest.mark.parametrize("words, names", [
    (["compression", "lzma"], "compression"),
    (["compression", "zlib", "compression-level", "10"], "compression-level"),
    (["compression", "lz4", "compression-level", "3"], "compression-level"),
    (["compression-level", "20"], "compression-level"),
    (["compression-min-size", "10"], "compression-min-size"),
])
def test_wrong_options(one, words, names):
    reply = one.command("NAMESPACE", "SET", "w:", *words)
    assert reply.startswith(b"-ERR") and names.encode() in reply


def test_statistics(one, larder):
    """Statistics, for the whole and per namespace"""
    set_options(one, "s:", "compression", "zstd")
    one.command("SET", "s:1", text(1, 3000))
    one.command("SET", "s:1", text(2, 3000))
    one.command("GET", "s:1")
    one.command("GET", "s:none")
    one.command("TIER", "DEMOTE", "s:1", "TO", "dry")
    one.command("GET", "s:1")
    one.command("GET", "s:1")
    one.command("SET", "s:2", "value")
    one.command("DEL", "s:2")
    found = stats(one, "s:")
    wanted = {"gets": 4, "puts": 3, "deletes": 1, "hot_hits": 1, "dry_hits": 1,
              "cold_hits": 1, "misses": 1, "demoted_hot_cold": 1,
              "demoted_cold_dry": 1, "promoted_dry_cold": 1,
              "promoted_cold_hot": 1}
    assert {name: found[name] for name in wanted} == wanted
    line = larder.info("namespaces")["namespace1"]
    fields = line if isinstance(line, dict) else dict(
        part.split("=", 1) for part in line.split(","))
    assert fields["prefix"] == "s:"
    assert {name: int(fields[name]) for name in wanted} == wanted
    flat = one.value("TIER", "STATS")
    whole = dict(zip((name.decode() for name in flat[::2]), flat[1::2]))
    assert {name: whole[name] for name in wanted} == wanted
    set_options(one, "e:", "tiers", "hot", "hot-max-items", "1")
    one.command("MSET", "e:1", "x", "e:2", "x", "e:3", "x")
    flat = one.value("TIER", "STATS")
    whole = dict(zip((name.decode() for name in flat[::2]), flat[1::2]))
    assert [whole[f"{name}_evicted"] for name in ("hot", "cold", "dry")] == [
        2, 0, 0]
    assert stats(one, "e:")["hot_evicted"] == 2
    every = one.value("NAMESPACE", "STATS")
    assert every[0] == b"" and every[2] == b"s:"
    one.command("CONFIG", "RESETSTAT")
    assert stats(one, "s:")["puts"] == 0
    wait_until(lambda: stats(one, "s:")["hot_keys"] == 1)


def test_hits_of_all_databases(one):
    """Those of a database that was flushed since count too."""
    set_options(one, "s:", "eviction", "lru")
    for database in ("3", "4"):
        one.command("SELECT", database)
        one.command("SET", "s:1", "x")
        one.command("GET", "s:1")
    assert stats(one, "s:")["hot_hits"] == 2
    one.command("FLUSHDB")
    assert stats(one, "s:")["hot_hits"] == 2
    one.command("SET", "s:1", "x")
    one.command("GET", "s:1")
    found = stats(one, "s:")
    assert (found["hot_hits"], found["gets"]) == (3, 3)
    one.command("CONFIG", "RESETSTAT")
    found = stats(one, "s:")
    assert (found["hot_hits"], found["gets"]) == (0, 0)
    one.command("FLUSHALL")
    one.command("SELECT", "0")
