"""`write-policy`, `queue`, `retry-attempts` and `retry-delay`. Each test quotes
its line of the contract."""

import threading

import pytest

from support.namespaces import options, set_options, stats
from support.server import wait_until


def figure(one, name):
    flat = one.value("TIER", "STATS")
    return dict(zip(flat[::2], flat[1::2]))[name.encode()]


def crash(server):
    server.kill()
    server.start()
    return server.connect()


@pytest.fixture
def server(start_larder):
    """One whose writes reach the disk at its end only."""
    return start_larder("save ''")


def test_words_of_the_option(server):
    with server.connect() as one:
        assert options(one, "")["write-policy"] == "server"
        for words in (["through"], ["demote"], ["behind", "500ms"]):
            set_options(one, "w:", "write-policy", *words, "hot-max-items", "9")
            assert options(one, "w:")["write-policy"] == " ".join(words)
            assert options(one, "w:")["hot-max-items"] == "9"
        line = one.value("CONFIG", "GET", "namespace")[1]
        assert one.command("CONFIG", "SET", "namespace", line) == b"+OK\r\n"
        for words in (["behind"], ["behind", "0"], ["behind", "x"], ["back"],
                      ["500"]):
            reply = one.command("NAMESPACE", "SET", "w:", "hot-max-items", "8",
                                "write-policy", *words)
            assert reply.startswith(b"-ERR option 'write-policy'"), reply
        assert options(one, "w:")["hot-max-items"] == "9"


def test_through_is_acknowledged_when_on_disk(server):
    """write-policy ... through (acknowledged when on disk)"""
    with server.connect() as one:
        set_options(one, "w:", "write-policy", "through")
        one.command("CONFIG", "REWRITE")
        server.config_lines.append("namespace w: write-policy through")
        for i in range(20):
            one.command("SET", f"w:{i}", "first")
            one.command("SET", f"other:{i}", "x")
        assert one.command("SET", "w:0", "second") == b"+OK\r\n"
        assert one.command("RPUSH", "w:list", "a", "b") == b":2\r\n"
        assert one.command("DEL", "w:1") == b":1\r\n"
        assert one.command("EXPIRE", "w:2", "1000") == b":1\r\n"
        one.command("MULTI")
        one.command("SET", "w:a", "1")
        one.command("SET", "w:b", "2")
        assert one.command("EXEC") == b"*2\r\n+OK\r\n+OK\r\n"
        script = "return redis.call('SET', KEYS[1], 'script')"
        assert one.command("EVAL", script, "1", "w:script") == b"+OK\r\n"
    with crash(server) as one:
        assert one.command("GET", "w:0") == b"$6\r\nsecond\r\n"
        assert one.command("GET", "w:19") == b"$5\r\nfirst\r\n"
        assert one.command("LRANGE", "w:list", "0", "-1") == (
            b"*2\r\n$1\r\na\r\n$1\r\nb\r\n")
        assert one.command("EXISTS", "w:1") == b":0\r\n"
        assert one.value("TTL", "w:2") > 900
        assert one.command("MGET", "w:a", "w:b") == (
            b"*2\r\n$1\r\n1\r\n$1\r\n2\r\n")
        assert one.command("GET", "w:script") == b"$6\r\nscript\r\n"


def test_through_is_a_group_commit(server):
    """many clients, one fsync"""
    with server.connect() as one:
        set_options(one, "w:", "write-policy", "through")
        one.command("SET", "w:0", "x")
        before = figure(one, "batches")

        def write(number):
            with server.connect() as connection:
                for i in range(100):
                    assert connection.command(
                        "SET", f"w:{number}:{i}", "x") == b"+OK\r\n"
        writers = [threading.Thread(target=write, args=(n,)) for n in range(20)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert stats(one, "w:")["hot_keys"] == 2001
        assert figure(one, "batches") - before < 1500


def test_others_do_not_wait_for_through(server):
    with server.connect() as one:
        set_options(one, "w:", "write-policy", "through")
        before = figure(one, "batches")
        for i in range(200):
            assert one.command("SET", f"other:{i}", "x") == b"+OK\r\n"
        assert figure(one, "batches") - before <= 1
        for i in range(10):
            assert one.command("SET", f"w:{i}", "x") == b"+OK\r\n"
        assert figure(one, "batches") - before >= 10
        assert figure(one, "records_written") == 10


def test_behind_writes_after_its_time(server):
    """write-policy ... behind <ms>"""
    with server.connect() as one:
        set_options(one, "w:", "write-policy", "behind", "300ms")
        server.config_lines.append("namespace w: write-policy behind 300ms")
        for i in range(50):
            one.command("SET", f"w:{i}", i)
            one.command("SET", f"other:{i}", i)
        one.command("SET", "w:0", "last")
        wait_until(lambda: figure(one, "records_written") == 50)
        wait_until(lambda: figure(one, "pending_batch_bytes") == 0)
        assert figure(one, "batches") <= 3
    with crash(server) as one:
        assert one.command("DBSIZE") == b":50\r\n"
        assert one.command("GET", "w:0") == b"$4\r\nlast\r\n"


def test_demote_writes_on_the_way_down(start_larder):
    """write-policy demote (disk written on the way down, at checkpoints and at
    shutdown)"""
    server = start_larder("appendonly yes", "namespace w: write-policy demote")
    one = server.connect()
    for i in range(10):
        one.command("SET", f"w:{i}", i)
        one.command("SET", f"other:{i}", i)
    wait_until(lambda: figure(one, "records_written") == 10)
    wait_until(lambda: figure(one, "pending_batch_bytes") == 0)
    assert stats(one, "w:")["disk_bytes"] == 0
    one.command("TIER", "DEMOTE", "w:0", "TO", "dry")
    assert figure(one, "records_written") == 11
    one.command("SAVE")
    assert figure(one, "records_written") == 20
    one.command("SET", "w:late", "x")
    one.close()
    one = crash(server)
    assert one.command("DBSIZE") == b":20\r\n"
    one.command("SET", "w:late", "x")
    one.close()
    server.restart()
    with server.connect() as one:
        assert one.command("DBSIZE") == b":21\r\n"


def test_queue_preset(start_larder):
    """queue preset: never evicted, kept hot, durable: for locks and job
    queues"""
    server = start_larder("save ''", "namespace q: queue yes hot-max-items 3")
    one = server.connect()
    found = options(one, "q:")
    assert (found["tiers"], found["eviction"], found["hot-ttl"],
            found["write-policy"]) == ("hot", "none", "0", "through")
    for name in "abc":
        one.command("RPUSH", f"q:{name}", "job 1", "job 2")
    assert one.command("RPUSH", "q:d", "job").startswith(b"-OOM namespace 'q:'")
    assert one.command("LPOP", "q:a") == b"$5\r\njob 1\r\n"
    one.close()
    one = crash(server)
    assert one.command("LRANGE", "q:a", "0", "-1") == b"*1\r\n$5\r\njob 2\r\n"
    assert one.command("LLEN", "q:b") == b":2\r\n"
    set_options(one, "q:", "write-policy", "behind", "1s")
    assert options(one, "q:")["write-policy"] == "behind 1s"
    assert options(one, "q:")["eviction"] == "none"
    one.close()
