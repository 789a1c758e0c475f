"""HyperLogLogs: counts and bytes as redis-server has them, damaged ones
refused."""

import random

import pytest

HEADER = b"HYLL\x01\x00\x00\x00" + bytes(7) + b"\x80"
INVALID = b"-INVALIDOBJ Corrupted HLL object detected\r\n"
NO_HLL = b"-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n"


def test_same_bytes_as_they_grow(both):
    """One by one through sparse to dense; GET shows every run."""
    source = random.Random(5)
    for step in range(1600):
        both.same("PFADD", "a", "%d" % source.randrange(10**9))
        if step % 23 == 0:
            both.same("GET", "a")
            both.same("PFCOUNT", "a")
            both.same("GET", "a")
            both.same("PFDEBUG", "ENCODING", "a")
    both.same("PFDEBUG", "ENCODING", "a")
    both.same("GET", "a")


def test_many(both):
    for start in range(0, 200000, 500):
        both.same("PFADD", "a", *range(start, start + 500))
    both.same("PFCOUNT", "a")
    both.same("PFDEBUG", "GETREG", "a")
    both.same("GET", "a")


@pytest.mark.parametrize("limit", [0, 18, 100, 3000, 15000, 1000000])
def test_where_it_becomes_dense(both, limit):
    both.same("CONFIG", "SET", "hll-sparse-max-bytes", limit)
    try:
        for step in range(0, 3000, 3):
            both.same("PFADD", "a", step, step + 1, step + 2)
            if step % 30 == 0:
                both.same("PFDEBUG", "ENCODING", "a")
                both.same("GET", "a")
    finally:
        both.same("CONFIG", "SET", "hll-sparse-max-bytes", 3000)


def test_merge(both):
    both.same("PFADD", "sparse", *range(50))
    both.same("PFADD", "dense", *range(40, 9000))
    both.same("PFADD", "few", "a", "b")
    for sources in [("sparse",), ("few", "sparse"), ("no",), (),
                    ("few", "dense"), ("sparse", "few", "dense", "no")]:
        both.same("DEL", "to")
        both.same("PFMERGE", "to", *sources)
        both.same("GET", "to")
        both.same("PFCOUNT", "to")
        both.same("PFMERGE", "few", *sources)
        both.same("GET", "few")
        both.same("PFCOUNT", "to", "few", "no", *sources)


def test_new_and_empty(both):
    both.same("PFADD", "a")
    both.same("GET", "a")
    both.same("PFADD", "a")
    both.same("PFCOUNT", "a")
    both.same("PFCOUNT", "no")
    both.same("PFCOUNT", "no", "a")
    both.same("OBJECT", "ENCODING", "a")
    both.same("PFDEBUG", "DECODE", "a")
    both.same("PFDEBUG", "DECODE", "no")
    both.same("PFDEBUG", "FOO", "a")
    both.same("PFSELFTEST")


def test_count_is_kept_and_outdated(both):
    both.same("PFADD", "a", *range(100))
    both.same("GETRANGE", "a", 8, 15)
    both.same("PFCOUNT", "a")
    both.same("GETRANGE", "a", 8, 15)
    both.same("PFADD", "a", 5)
    both.same("GETRANGE", "a", 8, 15)
    # What is kept is believed.
    both.same("SETRANGE", "a", 8, b"\x07\x00\x00\x00\x00\x00\x00\x00")
    both.same("PFCOUNT", "a")
    both.same("PFCOUNT", "a", "a")
    both.same("PFADD", "a", "new one", "and another")
    both.same("PFCOUNT", "a")


def changes(side):
    info = side.command("INFO", "persistence")
    return int(info.split(b"rdb_changes_since_last_save:")[1].split()[0])


def test_keeping_a_count_is_a_change(both):
    both.same("PFADD", "a", "x")
    for words in [("PFCOUNT", "a"), ("PFCOUNT", "a"), ("PFCOUNT", "a", "a"),
                  ("PFADD", "a", "x"), ("PFADD", "a", "y", "z", "x")]:
        before = [changes(side) for side in both.sides]
        both.same(*words)
        ours, theirs = [changes(side) - was
                        for side, was in zip(both.sides, before)]
        assert ours == theirs, words


def test_plain_bytes_once_seen(both):
    small = HEADER[:15] + b"\x00" + b"\x7f\xff"
    for words in [("PFADD", "a"), ("PFCOUNT", "a"), ("PFCOUNT", "a", "a"),
                  ("PFMERGE", "b", "a"), ("PFDEBUG", "ENCODING", "a")]:
        both.same("SET", "a", small)
        both.same(*words)
        both.same("OBJECT", "ENCODING", "a")
        both.same("GET", "a")


DAMAGED = [
    b"", b"HYLL", b"12345678901234567890", HEADER[:15], b"hyll" + HEADER[4:],
    HEADER, HEADER[:4] + b"\x02" + HEADER[5:], HEADER[:4] + b"\x00" + HEADER[5:],
    HEADER[:4] + b"\x00" + HEADER[5:] + bytes(12287),
    HEADER[:4] + b"\x00" + HEADER[5:] + bytes(12289),
    HEADER[:4] + b"\x00" + HEADER[5:] + b"\xff" * 12288,
    HEADER + b"\x7f\xfe", HEADER + b"\x7f\xff\x00", HEADER + b"\x7f\xfe\xff",
    HEADER + b"\x80\x7f\xff", HEADER + b"\x7f\xfe\x00",
    HEADER + b"\x00" * 16384, HEADER + b"\x00" * 16385, HEADER + b"\x83" * 4096,
    HEADER + b"\x40\x00" * 16384, HEADER + b"\x84" * 16384,
]


@pytest.mark.parametrize("which", range(len(DAMAGED)))
def test_hostile_bytes(both, which):
    for words in [("PFCOUNT", "a"), ("PFCOUNT", "a", "no"),
                  ("PFMERGE", "b", "a"), ("PFMERGE", "a", "fine"),
                  ("PFADD", "a", "x"), ("PFADD", "a", *range(200)),
                  ("PFDEBUG", "DECODE", "a"), ("PFDEBUG", "GETREG", "a"),
                  ("PFDEBUG", "TODENSE", "a"), ("PFDEBUG", "ENCODING", "a")]:
        both.same("SET", "a", DAMAGED[which])
        both.same("DEL", "fine", "b")
        both.same("PFADD", "fine", "a", "b")
        both.same(*words)
        both.same("GET", "a")
        both.same("GET", "b")


def test_run_that_is_cut_off(start_larder):
    """Redis writes behind the end of such a string."""
    with start_larder().connect() as connection:
        ask = connection.command
        ask("SET", "a", HEADER + b"\x7f")
        assert ask("PFADD", "a", "x") == INVALID
        assert ask("PFCOUNT", "a") == INVALID
        assert ask("PFDEBUG", "DECODE", "a") == b"$7\r\nZ:16129\r\n"


def test_far_too_long(start_larder):
    """What cannot be a HyperLogLog is not even looked through."""
    with start_larder().connect() as connection:
        ask = connection.command
        ask("SET", "a", HEADER + b"\x00" * 5000000)
        assert ask("PFADD", "a", "x") == INVALID
        assert ask("PFCOUNT", "a") == INVALID
        assert ask("PFMERGE", "b", "a") == INVALID
        assert ask("PFDEBUG", "DECODE", "a") == INVALID
        ask("SET", "a", "12345678901234567")
        assert ask("PFADD", "a", "x") == NO_HLL


def test_values_on_disk(start_larder):
    with start_larder().connect() as connection:
        ask = connection.command
        for count in (20, 5000):
            ask("DEL", "a", "b")
            ask("PFADD", "a", *range(count))
            ask("PFADD", "b", *range(count))
            counted = ask("PFCOUNT", "a")
            assert abs(int(counted[1:]) - count) < count / 30 + 1
            for words in [("PFCOUNT", "a", "b"), ("PFADD", "a", 0),
                          ("PFMERGE", "a", "b"), ("PFCOUNT", "a")]:
                ask("TIER", "DEMOTE", "a", "b", "TO", "DRY")
                reply = ask(*words)
                if words[0] == "PFCOUNT":
                    assert reply == counted
            assert ask("PFCOUNT", "a") == counted


def test_long_unknown_subcommand(both):
    both.same("PFADD", "h", "1")
    both.same("PFDEBUG", "9" * 300, "h")
