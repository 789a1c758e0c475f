"""Streams: what the differential generators cannot say, because it depends on
the clock, on node sizes or on large numbers."""

import time

CLOCKS_MS = 100  # the server's clock and ours may be apart


def fill(both, key, count):
    for i in range(1, count + 1):
        both.same("XADD", key, "%d-1" % i, "n", i)


def test_ids_from_the_clock(larder):
    before = int(time.time() * 1000) - CLOCKS_MS
    with larder.connect() as conn:
        conn.command("FLUSHALL")
        ids = [conn.command("XADD", "s", "*", "a", i) for i in range(50)]
    parts = [tuple(map(int, each.split(b"\r\n")[1].split(b"-")))
             for each in ids]
    assert parts == sorted(set(parts))
    assert before <= parts[0][0] <= parts[-1][0] <= (
        int(time.time() * 1000) + CLOCKS_MS)


def test_clock_behind_the_last_id(both):
    both.same("XADD", "s", "99999999999999-5", "a", "b")
    both.same("XADD", "s", "*", "a", "b")
    both.same("XADD", "s", "99999999999999-18446744073709551615", "a", "b")
    both.same("XADD", "s", "*", "a", "b")
    both.same("XADD", "s", "100000000000000-*", "a", "b")
    both.same("XRANGE", "s", "-", "+")


def test_last_possible_id(both):
    most = "18446744073709551615"
    both.same("XADD", "s", most + "-18446744073709551614", "a", "b")
    both.same("XADD", "s", "*", "a", "b")
    both.same("XADD", "s", most + "-*", "a", "b")
    both.same("XADD", "s", "*", "a", "b")
    both.same("XREVRANGE", "s", "+", "(%s-%s" % (most, most))
    both.same("XRANGE", "s", "(%s-%s" % (most, most), "+")
    both.same("XRANGE", "s", "-", "(0-0")


def test_last_possible_sequence(both):
    both.same("XADD", "s", "1-18446744073709551615", "a", "b")
    both.same("XADD", "s", "1-*", "a", "b")
    both.same("XADD", "s", "0-*", "a", "b")
    both.same("XADD", "s", "2-*", "a", "b")
    both.same("XRANGE", "s", "-", "+")


def test_trimming_about_a_length(both):
    """Whole nodes go, as Redis' do."""
    both.same("CONFIG", "SET", "stream-node-max-entries", 10)
    try:
        fill(both, "s", 57)
        for args in (("MAXLEN", "~", 55), ("MAXLEN", "~", 41),
                     ("MAXLEN", "~", 30, "LIMIT", 9),
                     ("MAXLEN", "~", 20, "LIMIT", 15),
                     ("MINID", "~", 31), ("MINID", "~", "45-1"),
                     ("MAXLEN", "~", 0, "LIMIT", 16), ("MAXLEN", "~", 0)):
            both.same("XTRIM", "s", *args)
            both.same("XLEN", "s")
            both.same("XADD", "s", "MAXLEN", "~", 35, "%d-*" % 100, "a", "b")
            both.same("XRANGE", "s", "-", "+", "COUNT", 1)
    finally:
        both.same("CONFIG", "SET", "stream-node-max-entries", 100)


def test_trimming_about_is_limited(both):
    both.same("CONFIG", "SET", "stream-node-max-entries", 1)
    try:
        fill(both, "s", 102)
        both.same("XTRIM", "s", "MAXLEN", "~", 1)
        both.same("XLEN", "s")
    finally:
        both.same("CONFIG", "SET", "stream-node-max-entries", 100)


def test_words_that_look_like_numbers(both):
    """However an entry's words are packed, they come back as they went in."""
    words = ["", "0", "1", "9", "-1", "12", "49", "57", "-0", "007", "x" * 64]
    step = 0
    for field in words:
        for value in words:
            step += 1
            both.same("XADD", "s", "%d-0" % step, field, value)
    both.same("XRANGE", "s", "-", "+")


def test_large_entries(both):
    for size in (100, 4096, 70000, 1 << 20):
        both.same("XADD", "s", "%d-1" % size, "f", "v" * size, "g", "w" * size)
    both.same("XRANGE", "s", "-", "+")


def test_many_pending(both):
    """A group that has been given a long stream, in pieces, by several."""
    for i in range(0, 3000, 100):
        fill_from = [("XADD", "s", "%d-0" % (i + j + 1), "n", j)
                     for j in range(100)]
        for command in fill_from:
            both.same(*command)
    both.same("XGROUP", "CREATE", "s", "g", 0)
    for i in range(30):
        name = "c%d" % (i * 7 % 30)
        ids = ["%d-0" % (i + 30 * j + 1) for j in range(100)]
        both.same("XCLAIM", "s", "g", name, 0, *ids, "FORCE", "JUSTID")
    both.same("XPENDING", "s", "g")
    both.same("XACK", "s", "g", *["%d-0" % i for i in range(1, 3000, 3)])
    both.same("XPENDING", "s", "g")
    both.same("XGROUP", "DELCONSUMER", "s", "g", "c7")
    both.same("XPENDING", "s", "g")
    both.same("XGROUP", "DESTROY", "s", "g")
    both.same("XINFO", "GROUPS", "s")


def test_from_disk_and_after_a_restart(start_larder):
    server = start_larder("appendonly yes")
    with server.connect() as conn:
        for i in range(500):
            conn.command("XADD", "s", "%d-1" % (i + 1), "n", i, "text", "t" * 30)
        conn.command("XGROUP", "CREATE", "s", "g", "5-1", "ENTRIESREAD", 5)
        conn.command("XCLAIM", "s", "g", "c", 0, "7-1", "9-1", "TIME", 1000,
                     "RETRYCOUNT", 4, "FORCE", "JUSTID")
        conn.command("XDEL", "s", "3-1", "9-1")
        conn.command("XTRIM", "s", "MAXLEN", 490)
        conn.command("XADD", "empty", "5-5", "a", "b")
        conn.command("XDEL", "empty", "5-5")
        asked = [("XRANGE", "s", "-", "+"), ("XINFO", "STREAM", "s", "FULL"),
                 ("XINFO", "GROUPS", "s"), ("XPENDING", "s", "g"),
                 ("XINFO", "STREAM", "empty"), ("OBJECT", "ENCODING", "s")]
        before = [conn.command(*words) for words in asked]
        assert conn.command("TIER", "DEMOTE", "s", "empty", "TO", "DRY"
                            ).startswith(b":2")
        assert [conn.command(*words) for words in asked] == before
    server.stop()
    server.start()
    with server.connect() as conn:
        assert [conn.command(*words) for words in asked] == before
        assert conn.command("XADD", "empty", "5-5", "a", "b").startswith(b"-ERR")


def test_resp3(both):
    both.resp3()
    both.same("XADD", "s", "1-1", "a", "b")
    both.same("XGROUP", "CREATE", "s", "g", 0)
    both.same("XINFO", "GROUPS", "s")
    both.same("XINFO", "STREAM", "s", normalise=without_tree)
    both.same("XINFO", "STREAM", "s", "FULL", normalise=without_tree)
    both.same("XRANGE", "s", "-", "+")
    both.same("XRANGE", "s", "-", "+", "COUNT", 0)
    both.same("XPENDING", "s", "g")


def without_tree(reply):
    """Redis counts the nodes of a radix tree, which larder has not."""
    lines = reply.split(b"\r\n")
    return [line for i, line in enumerate(lines)
            if b"radix-tree" not in lines[i - 1]]
