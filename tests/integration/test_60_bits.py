"""Bitmaps: what redis-server says, at the limits and in every tier."""

import pytest

ALL_ONES = b"\xff" * 21


def test_each_bit(both):
    for at in (7, 0, 100, 8, 99, 8191, 1 << 20):
        both.same("SETBIT", "a", at, 1)
        both.same("GETBIT", "a", at)
        both.same("GETBIT", "a", at + 1)
        both.same("STRLEN", "a")
    both.same("SETBIT", "a", 7, 1)
    both.same("SETBIT", "a", 7, 0)
    both.same("GET", "a")


def test_encodings(both):
    for value in ("12345", "short", "x" * 50):
        both.same("SET", "a", value)
        both.same("SETBIT", "a", 3, 0)
        both.same("OBJECT", "ENCODING", "a")
        both.same("GET", "a")
    both.same("SET", "digits", "12")
    for word in ("AND", "OR", "XOR"):
        both.same("BITOP", word, "b", "digits", "digits")
        both.same("OBJECT", "ENCODING", "b")
        both.same("GET", "b")


def test_errors(both):
    both.same("SET", "a", "x")
    for words in [
        ("SETBIT", "a", "x", "1"), ("SETBIT", "a", "-1", "1"),
        ("SETBIT", "a", "4294967296", "1"), ("SETBIT", "a", "1", "2"),
        ("SETBIT", "a", "1", "x"), ("GETBIT", "a", "4294967296"),
        ("BITCOUNT", "a", "1"), ("BITCOUNT", "a", "1", "2", "3"),
        ("BITCOUNT", "a", "1", "2", "BIT", "4"), ("BITCOUNT", "no", "1"),
        ("BITCOUNT", "a", "-1", "-2", "foo"), ("BITCOUNT", "a", "x", "2"),
        ("BITPOS", "a", "2"), ("BITPOS", "a", "x"), ("BITPOS", "no", "2"),
        ("BITPOS", "a", "1", "x"), ("BITPOS", "a", "1", "1", "x"),
        ("BITPOS", "a", "1", "x", "2", "foo"),
        ("BITPOS", "a", "1", "1", "x", "foo"),
        ("BITPOS", "a", "1", "1", "2", "BIT", "4"),
        ("BITOP", "NAND", "a", "a"), ("BITOP", "NOT", "a", "a", "a"),
        ("BITFIELD", "a", "GET"), ("BITFIELD", "a", "GET", "u8"),
        ("BITFIELD", "a", "SET", "u8", "0"), ("BITFIELD", "a", "FOO", "1"),
        ("BITFIELD", "a", "GET", "u64", "0"),
        ("BITFIELD", "a", "GET", "i65", "0"),
        ("BITFIELD", "a", "GET", "u8", "#x"),
        ("BITFIELD", "a", "GET", "u8", "#-1"),
        ("BITFIELD", "a", "SET", "u8", "0", "x"),
        ("BITFIELD", "a", "OVERFLOW", "FOO"), ("BITFIELD", "a", "OVERFLOW"),
        ("BITFIELD", "a", "GET", "i64", "#9223372036854775807"),
        ("BITFIELD_RO", "a", "SET", "u8", "0", "1"),
        ("BITFIELD_RO", "no"), ("BITFIELD", "no"),
    ]:
        both.same(*words)
    both.same("GET", "a")
    both.same("EXISTS", "no")


@pytest.mark.parametrize("unit", ["BYTE", "BIT", "bit"])
def test_every_range(both, unit):
    both.same("SET", "mixed", b"\x00\x00\xf0\x0f\xff\xff\xff\x01\x80\x00" * 2)
    both.same("SET", "ones", ALL_ONES)
    both.same("SET", "zeros", b"\x00" * 21)
    for key in ("mixed", "ones", "zeros"):
        for first in (0, 1, 5, 15, 16, 17, 20, 21, 100, 159, -1, -3, -200):
            for last in (0, 4, 5, 15, 63, 64, 65, 130, 167, 168, -1, -2, -90):
                both.same("BITCOUNT", key, first, last, unit)
                for bit in (0, 1):
                    both.same("BITPOS", key, bit, first, last, unit)
            both.same("BITPOS", key, 0, first)
            both.same("BITPOS", key, 1, first)
        both.same("BITCOUNT", key)
        both.same("BITPOS", key, 0)
        both.same("BITPOS", key, 1)


def test_long_strings(both):
    """Word loops meet their ends at each alignment."""
    for size in (247, 248, 249, 256, 4095, 70000):
        both.same("SET", "a", bytes(i * 7 % 256 for i in range(size)))
        both.same("SET", "b", b"\x00" * (size - 1) + b"\x01")
        both.same("BITCOUNT", "a")
        both.same("BITCOUNT", "a", 3, -4)
        both.same("BITCOUNT", "a", 3, -4, "BIT")
        both.same("BITPOS", "b", 1)
        both.same("BITPOS", "b", 1, 11, -1, "BIT")
        for word in ("AND", "OR", "XOR"):
            both.same("BITOP", word, "c", "a", "b", "no")
            both.same("BITOP", word, "c", "a", "b")
            both.same("GET", "c")
        both.same("BITOP", "NOT", "c", "a")
        both.same("GET", "c")


def test_bitop_over_its_source_and_nothing(both):
    both.same("SET", "a", "abc", "EX", "1000")
    both.same("BITOP", "NOT", "a", "a")
    both.same("GET", "a")
    both.same("TTL", "a")
    both.same("SET", "b", "abc")
    both.same("BITOP", "AND", "b", "no", "none")
    both.same("EXISTS", "b")


def test_overflow(both):
    edges = ["0", "1", "-1", "127", "128", "255", "256", "-128", "-129",
             "9223372036854775807", "-9223372036854775808"]
    for overflow in ("WRAP", "SAT", "FAIL"):
        for kind in ("u8", "i8", "u63", "i64", "i1", "u1", "i33"):
            for edge in edges:
                both.same("BITFIELD", "a", "OVERFLOW", overflow,
                          "SET", kind, 5, edge, "GET", kind, 5,
                          "INCRBY", kind, 5, edge, "GET", kind, 5,
                          "INCRBY", kind, "#3", edge, "INCRBY", kind, "#3", -1)
    both.same("GET", "a")


def test_failed_write_makes_room_all_the_same(both):
    both.same("BITFIELD", "a", "OVERFLOW", "FAIL", "SET", "u8", "100", "256")
    both.same("GET", "a")


def test_getkeys(both):
    both.same("COMMAND", "GETKEYSANDFLAGS", "BITFIELD", "a", "GET", "u8", 0)
    both.same("COMMAND", "GETKEYSANDFLAGS", "BITFIELD", "a", "SET", "u8", 0, 1)
    both.same("COMMAND", "GETKEYSANDFLAGS", "BITFIELD", "a", "OVERFLOW")
    both.same("COMMAND", "GETKEYSANDFLAGS", "BITOP", "NOT", "a", "b")
    both.same("COMMAND", "GETKEYSANDFLAGS", "BITOP", "OR", "a", "b", "c", "d")


def test_values_on_disk(start_larder):
    with start_larder().connect() as connection:
        ask = connection.command
        for size in (10, 5000, 60000):
            ask("SET", "a", b"\x0f" * size)
            ask("SET", "b", b"\xff" * size)
            ask("TIER", "DEMOTE", "a", "b", "TO", "DRY")
            assert ask("BITCOUNT", "a") == b":%d\r\n" % (size * 4)
            ask("TIER", "DEMOTE", "a", "b", "TO", "DRY")
            assert ask("BITOP", "XOR", "b", "a", "b") == b":%d\r\n" % size
            assert ask("BITCOUNT", "b") == b":%d\r\n" % (size * 4)
            ask("TIER", "DEMOTE", "a", "b", "TO", "DRY")
            assert ask("SETBIT", "a", size * 8, 1) == b":0\r\n"
            assert ask("BITFIELD", "a", "GET", "u8", "#1") == b"*1\r\n:15\r\n"
