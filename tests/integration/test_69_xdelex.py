"""XDELEX as Redis 8.2 documents it; the redis-server of the other tests does
not have it."""

import pytest


@pytest.fixture
def side(larder):
    with larder.connect() as connection:
        connection.command("FLUSHALL")
        for i in range(1, 7):
            connection.command("XADD", "s", "%d-0" % i, "f", i)
        for group, read in (("g", 4), ("h", 3)):
            connection.command("XGROUP", "CREATE", "s", group, 0)
            connection.command("XREADGROUP", "GROUP", group, "c", "COUNT", read,
                               "STREAMS", "s", ">")
        yield connection


def pending(side, group):
    return [entry[0] for entry in
            side.value("XPENDING", "s", group, "-", "+", 100)]


def ids(side):
    return [entry[0] for entry in side.value("XRANGE", "s", "-", "+")]


def test_keepref_is_the_default(side):
    for words in ([], ["KEEPREF"]):
        first = 1 if not words else 2
        assert side.value("XDELEX", "s", *words, "IDS", 2, "%d-0" % first,
                          "9-9") == [1, -1]
    assert ids(side) == [b"3-0", b"4-0", b"5-0", b"6-0"]
    assert pending(side, "g") == [b"1-0", b"2-0", b"3-0", b"4-0"]


def test_delref(side):
    assert side.value("XDELEX", "s", "delref", "ids", 2, "2-0", "6-0") == [1, 1]
    assert pending(side, "g") == [b"1-0", b"3-0", b"4-0"]
    assert pending(side, "h") == [b"1-0", b"3-0"]
    assert side.value("XPENDING", "s", "g")[3] == [[b"c", b"3"]]
    side.command("XDEL", "s", "3-0")
    assert side.value("XDELEX", "s", "DELREF", "IDS", 1, "3-0") == [-1]
    assert pending(side, "g") == [b"1-0", b"4-0"]
    assert pending(side, "h") == [b"1-0"]
    side.command("TIER", "DEMOTE", "s", "TO", "DRY")
    assert pending(side, "g") == [b"1-0", b"4-0"]


def test_acked(side):
    """Only what every group has been given and has acknowledged."""
    side.command("XACK", "s", "g", "1-0", "2-0", "4-0")
    side.command("XACK", "s", "h", "1-0", "3-0")
    assert side.value("XDELEX", "s", "ACKED", "IDS", 6, "1-0", "2-0", "3-0",
                      "4-0", "5-0", "7-0") == [1, 2, 2, 2, 2, -1]
    assert ids(side) == [b"2-0", b"3-0", b"4-0", b"5-0", b"6-0"]
    side.command("XGROUP", "DESTROY", "s", "h")
    assert side.value("XDELEX", "s", "IDS", 1, "2-0", "ACKED") == [1]
    side.command("XGROUP", "DESTROY", "s", "g")
    assert side.value("XDELEX", "s", "ACKED", "IDS", 1, "6-0") == [1]


def test_nothing_there(side):
    assert side.value("XDELEX", "none", "IDS", 2, "1-1", "2-2") == [-1, -1]
    assert side.value("XDELEX", "none", "ACKED", "IDS", 1, "1-1") == [-1]
    side.command("SET", "string", "x")
    for words, error in (
            (["string", "IDS", 1, "1-1"], "WRONGTYPE "),
            (["s", "IDS", 0, "1-1"],
             "ERR Number of IDs must be a positive integer"),
            (["s", "IDS", "x", "1-1"],
             "ERR Number of IDs must be a positive integer"),
            (["s", "IDS", 3, "1-1", "1-2"],
             "ERR The `numids` parameter must match the number of arguments"),
            (["s", "IDS", 1, "1-1", "1-2"], "ERR syntax error"),
            (["s", "IDZ", 1, "1-1"], "ERR syntax error"),
            (["s", "KEEPREF", "DELREF", "IDS", 1, "1-1"], "ERR syntax error"),
            (["s", "IDS", 1, "x"], "ERR Invalid stream ID")):
        reply = side.command("XDELEX", *words)
        assert reply.startswith(b"-" + error.encode()), (words, reply)
    assert len(ids(side)) == 6
