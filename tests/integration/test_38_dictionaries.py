"""zstd's dictionaries: small values of a namespace packed by what they have in
common. They live in the store, and outlive restarts, kills, and damage."""

import json
import pathlib
import random

import pytest

from support.namespaces import set_options, stats
from support.server import wait_until

PREFIX = "d:"
PACKED = ("compression", "zstd", "compression-min-size", "64")
COUNT = 1500


@pytest.fixture
def one(start_larder):
    """To a server of its own: dictionaries are never given up."""
    with start_larder("save ''").connect() as connection:
        yield connection


def document(number, shape="user"):
    source = random.Random(f"{shape}{number}")
    names = {"user": ("identity", "name", "address", "last_login_at"),
             "order": ("order_number", "article", "delivery_to", "paid_on")}
    first, second, third, fourth = names[shape]
    return json.dumps({
        first: number, second: source.choice(["ada", "grace", "edsger"]),
        third: {"street": f"{source.randrange(200)} High Street",
                "town": source.choice(["Springfield", "Riverdale"])},
        fourth: source.randrange(1 << 40)})


def fill(one, prefix=PREFIX, numbers=range(COUNT), shape="user", to="cold"):
    """Keys that have sunk; values are read back as they were."""
    for start in range(numbers.start, numbers.stop, 100):
        part = range(start, min(start + 100, numbers.stop))
        for number in part:
            one.command("SET", f"{prefix}{number}", document(number, shape))
        one.command("TIER", "DEMOTE", *(f"{prefix}{number}" for number in part),
                    "TO", to)


def check(one, prefix=PREFIX, numbers=range(COUNT), shape="user"):
    for number in numbers:
        assert one.value("GET", f"{prefix}{number}") == document(
            number, shape).encode(), number


def tier_stats(one):
    flat = one.value("TIER", "STATS")
    return dict(zip(flat[::2], flat[1::2]))


def dictionaries(one):
    return tier_stats(one)[b"dictionaries"]


def learn(one, prefix=PREFIX, shape="user", numbers=range(COUNT)):
    """Sinks values until there is one dictionary more."""
    before = dictionaries(one)
    fill(one, prefix, numbers, shape)

    def learned():
        # Only a value that sinks begins a training, and one at a time runs.
        sunk_bytes(one, f"{prefix}{numbers.start}", numbers.start, shape)
        return dictionaries(one) == before + 1

    wait_until(learned)


def stored_bytes(one, key):
    flat = one.value("TIER", "INFO", key)
    return dict(zip(flat[::2], flat[1::2]))[b"stored_bytes"]


def sunk_bytes(one, key, number, shape="user"):
    one.command("SET", key, document(number, shape))
    one.command("TIER", "DEMOTE", key, "TO", "cold")
    return stored_bytes(one, key)


def test_small_values_take_less(one):
    set_options(one, "plain:", *PACKED, "compression-dictionary", "no")
    set_options(one, PREFIX, *PACKED)
    fill(one, "plain:")
    assert dictionaries(one) == 0
    learn(one)
    with_one = [sunk_bytes(one, f"{PREFIX}new{i}", i) for i in range(100)]
    plain = [sunk_bytes(one, f"plain:new{i}", i) for i in range(100)]
    assert sum(with_one) * 2 < sum(plain)
    check(one)
    assert stats(one, PREFIX)["compressed_raw_bytes"] > 0
    assert 0 < tier_stats(one)[b"dictionary_bytes"] < 1 << 20


def test_every_tier_and_command_reads_them(one):
    set_options(one, PREFIX, *PACKED)
    learn(one)
    key, value = f"{PREFIX}x", document(1)
    for target in ("cold", "dry"):
        for words, expected in (
                (("GET", key), value), (("STRLEN", key), len(value)),
                (("GETRANGE", key, 0, 4), value[:5])):
            one.command("SET", key, value)
            one.command("TIER", "DEMOTE", key, "TO", target)
            answer = one.value(*words)
            assert answer == (expected.encode() if isinstance(expected, str)
                              else expected)
    # Under a name that has another namespace, or none, it stays readable.
    one.command("TIER", "DEMOTE", key, "TO", "cold")
    one.command("RENAME", key, "elsewhere")
    one.command("TIER", "DEMOTE", "elsewhere", "TO", "dry")
    assert one.value("GET", "elsewhere") == value.encode()
    one.command("COPY", "elsewhere", "copy")
    assert one.value("GET", "copy") == value.encode()


@pytest.mark.parametrize("change", [
    ("compression", "lz4"), ("compression", "none"), ("compression", "zlib"),
    ("compression-level", "1"), ("compression-level", "19"),
    ("compression-dictionary", "no")])
def test_options_change_live(one, change):
    set_options(one, PREFIX, *PACKED)
    learn(one)
    set_options(one, PREFIX, *change)
    fill(one, numbers=range(COUNT, COUNT + 100))
    check(one, numbers=range(COUNT + 100))
    set_options(one, PREFIX, *PACKED, "compression-dictionary", "yes",
                "compression-level", "0")
    fill(one, numbers=range(COUNT, COUNT + 100))
    check(one, numbers=range(COUNT + 100))
    one.command("NAMESPACE", "DEL", PREFIX)
    check(one, numbers=range(COUNT + 100))


def test_what_shares_nothing_has_none(one):
    set_options(one, "noise:", *PACKED)
    source = random.Random(4)
    for i in range(1200):
        one.command("SET", f"noise:{i}", source.randbytes(300))
        one.command("TIER", "DEMOTE", f"noise:{i}", "TO", "cold")
    # One that comes to be later has had its turn behind it.
    set_options(one, PREFIX, *PACKED)
    learn(one)
    assert dictionaries(one) == 1


def test_a_dictionary_that_got_worse_is_replaced(one):
    set_options(one, PREFIX, *PACKED)
    learn(one)
    was = sunk_bytes(one, f"{PREFIX}x", 1, "order")
    for turn in range(10):
        fill(one, numbers=range(5000 + turn * 1000, 6000 + turn * 1000),
             shape="order")
        if dictionaries(one) > 1:
            break
    wait_until(lambda: dictionaries(one) == 2)
    assert sunk_bytes(one, f"{PREFIX}x", 1, "order") < was
    check(one)
    check(one, numbers=range(5000, 6000), shape="order")


# ---- on disk ----

CONFIG = ["save ''", f"namespace {PREFIX} {' '.join(PACKED)}"]


def test_restart(start_larder):
    server = start_larder(*CONFIG)
    with server.connect() as one:
        learn(one)
        size = sunk_bytes(one, f"{PREFIX}x", 1)
    for _ in range(2):
        server.restart()
        with server.connect() as one:
            assert dictionaries(one) == 1
            check(one)
            # It is used again, and not made again.
            assert sunk_bytes(one, f"{PREFIX}x", 1) == size
            fill(one, numbers=range(2000, 3500))
            check(one, numbers=range(2000, 3500))
            assert dictionaries(one) == 1


def test_kill(start_larder):
    server = start_larder(*CONFIG, "appendonly yes")
    with server.connect() as one:
        learn(one)
        one.command("CONFIG", "SET", "appendfsync", "always")
        fill(one, numbers=range(2000, 2100), to="dry")
    server.kill()
    server.start()
    with server.connect() as one:
        check(one, numbers=range(2000, 2100))
        check(one)


def damage(directory, what):
    """Changes a byte of what the store has behind the bytes `what`."""
    data = pathlib.Path(directory) / "larder-dry" / "data.mdb"
    content = bytearray(data.read_bytes())
    at = content.find(what)
    assert at >= 0
    while at >= 0:
        content[at + len(what) + 500] ^= 0xff
        at = content.find(what, at + 1)
    data.write_bytes(content)


def test_a_damaged_dictionary_fails_its_values_alone(start_larder):
    server = start_larder(*CONFIG)
    with server.connect() as one:
        learn(one)
        fill(one, numbers=range(2000, 2100), to="dry")
        one.command("SET", "other", "value")
    server.stop()
    # Its prefix stands before the dictionary, which begins with zstd's mark.
    damage(server.directory, PREFIX.encode() + b"\x37\xa4\x30\xec")
    server.start()
    with server.connect() as one:
        assert one.value("GET", "other") == b"value"
        for number in range(2000, 2100):
            assert one.command("GET", f"{PREFIX}{number}").startswith(b"-")
            assert one.value("EXISTS", f"{PREFIX}{number}") == 1
        # The namespace makes itself another one, and its id is another too.
        fill(one, numbers=range(5000, 5000 + COUNT))
        wait_until(lambda: dictionaries(one) == 2)
        fill(one, numbers=range(7000, 7100), to="dry")
        check(one, numbers=range(7000, 7100))
        assert one.command("GET", f"{PREFIX}2000").startswith(b"-")
        one.command("SET", f"{PREFIX}2000", document(2000))
        check(one, numbers=range(2000, 2001))
