"""A store that fails, is full or does not answer: retried as its namespace
says, its errors counted, and then the client gets an error, never silence."""

import random
import struct
import threading

import pytest

from support.disk import ignore_file_limit, set_file_limit
from support.namespaces import options, set_options
from support.resp import Connection, encode
from support.server import wait_until

SAVED = (b"-MISCONF Errors writing to disk: ",
         b" What the command changed is in memory, but not safe.\r\n")


def is_error(reply, cause=b""):
    return (reply.startswith(SAVED[0]) and reply.endswith(SAVED[1]) and
            cause in reply)


def figure(one, name):
    flat = one.value("TIER", "STATS")
    return dict(zip(flat[::2], flat[1::2]))[name.encode()]


@pytest.fixture
def server(start_larder, disk):
    return start_larder(
        "save ''",
        "namespace w: write-policy through retry-attempts 2 retry-delay 50ms",
        env=disk.env)


def test_retry_words(server):
    with server.connect() as one:
        assert options(one, "w:")["retry-deadline"] == "1m"
        set_options(one, "w:", "retry-deadline", "0")
        for value in ("2h", "x", "-1s"):
            reply = one.command("NAMESPACE", "SET", "w:", "retry-deadline",
                                value)
            assert reply.startswith(b"-ERR option 'retry-deadline'"), reply


def test_through_on_a_failing_store(server, disk):
    with server.connect() as one:
        assert one.command("SET", "w:a", "old") == b"+OK\r\n"
        disk.fail()
        assert is_error(one.command("SET", "w:a", "new"), b"larder-dry: cannot write: Input")
        assert figure(one, "store_errors") == 2
        assert figure(one, "store_retries") == 1
        # It has failed, so that what would need it is refused at once.
        assert one.command("SET", "w:b", "x").startswith(
            b"-MISCONF Writes are refused")
        assert one.command("GET", "w:a") == b"$3\r\nnew\r\n"
        assert is_error(one.command("DEL", "w:a"))
        assert one.command("EXISTS", "w:a") == b":0\r\n"
        assert b"errorstat_MISCONF:count=3" in one.command("INFO", "errorstats")
        disk.heal()
        wait_until(lambda: one.command("SET", "w:c", "x") == b"+OK\r\n")
    server.crash_restart()
    with server.connect() as one:
        assert one.command("EXISTS", "w:a", "w:c") == b":1\r\n"


def test_a_retry_that_succeeds_is_answered(server, disk):
    with server.connect() as one, server.connect() as other:
        set_options(one, "w:", "retry-attempts", "100")
        disk.fail()
        one.send(encode("SET", "w:a", "x"))
        wait_until(lambda: figure(other, "store_retries") >= 2)
        # Who comes meanwhile waits with it; who need not, does not.
        later = server.connect()
        later.send(encode("SET", "w:b", "x"))
        assert other.command("SET", "other", "x") == b"+OK\r\n"
        assert one.quiet() and later.quiet()
        disk.heal()
        assert one.read_reply() == b"+OK\r\n"
        assert later.read_reply() == b"+OK\r\n"
        later.close()
    server.crash_restart()
    with server.connect() as one:
        assert one.command("EXISTS", "w:a", "w:b") == b":2\r\n"


def test_the_most_patient_of_a_batch_decides(server, disk):
    with server.connect() as one:
        set_options(one, "p:", "write-policy", "through", "retry-attempts",
                    "5", "retry-delay", "20ms")
        disk.fail()
        one.command("MULTI")
        one.command("SET", "w:a", "x")
        one.command("SET", "p:a", "x")
        assert is_error(one.command("EXEC"))
        assert figure(one, "store_errors") == 5


def test_each_write_of_a_pipeline_has_its_error(server, disk):
    """Reads keep their replies and their places."""
    large = "x" * 40000
    script = "redis.call('SET', KEYS[1], 'x') return {1, 2, {3}}"
    commands = [
        ("GET", "w:text", False), ("SET", "w:a", "1", True),
        ("INCR", "w:n", True), ("GET", "w:a", False),
        ("RPOP", "w:list", True), ("GET", "w:large", False),
        ("GETDEL", "w:large", True), ("LLEN", "w:list", False),
        ("MULTI", False), ("SET", "w:b", "1", False), ("GET", "w:a", False),
        ("EXEC", True), ("EVAL", script, "1", "w:c", True),
        ("SET", "w:d", "x", "XX", False), ("SUBSCRIBE", "ch", False),
        ("PING", False),
    ]
    with server.connect() as one:
        one.command("HELLO", "3")
        one.command("CLIENT", "TRACKING", "ON")
        one.command("SET", "w:text", "text")
        one.command("RPUSH", "w:list", large, large)
        one.command("SET", "w:large", large)
        disk.fail()
        one.send(b"".join(encode(*command[:-1]) for command in commands))
        replies = []
        while len(replies) < len(commands):
            reply = one.read_reply()
            if not reply.startswith(b">2\r\n$10\r\ninvalidate"):
                replies.append(reply)
        for command, reply in zip(commands, replies):
            assert is_error(reply) == command[-1], (command, reply[:99])
        assert replies[0] == b"$4\r\ntext\r\n"
        assert replies[3] == b"$1\r\n1\r\n"
        assert replies[5] == b"$40000\r\n%s\r\n" % large.encode()
        assert replies[7] == b":1\r\n"
        assert replies[-3] == b"_\r\n"
        assert replies[-2].startswith(b">3\r\n$9\r\nsubscribe")
        assert replies[-1] == b"+PONG\r\n"
        assert one.quiet()


def test_who_was_served_hears_of_it(server, disk):
    with server.connect() as one, server.connect() as waiting:
        waiting.send(encode("BLMOVE", "w:k", "w:to", "LEFT", "LEFT", 0))
        wait_until(lambda: server.info("clients")["blocked_clients"] == 1)
        disk.fail()
        one.send(encode("CLIENT", "REPLY", "SKIP") + encode("SET", "w:a", "1") +
                 encode("RPUSH", "w:k", "1"))
        assert is_error(one.read_reply())
        assert is_error(waiting.read_reply())
        assert one.quiet() and waiting.quiet()


def test_everybody_is_answered(server, disk):
    """Also who comes and goes while it fails now and then."""
    unclear = []

    def write(number):
        with server.connect(timeout=60) as one:
            for i in range(60):
                reply = one.command("SET", f"w:{number}:{i % 3}", "x")
                if reply != b"+OK\r\n" and not reply.startswith(b"-MISCONF"):
                    unclear.append(reply)
    with server.connect() as one:
        set_options(one, "w:", "retry-attempts", "1", "retry-delay", "5ms")
        writers = [threading.Thread(target=write, args=(n,)) for n in range(8)]
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers):
            disk.fail()
            writers[0].join(0.02)
            disk.heal()
            writers[0].join(0.05)
    assert unclear == []


@pytest.mark.parametrize("command", ["FLUSHDB", "FLUSHALL"])
def test_flush_through_is_synced(server, disk, command):
    with server.connect() as one:
        one.command("SET", "w:a", "x")
        one.command("SET", "other", "x")
        one.command("SAVE")
        before = figure(one, "batches")
        assert one.command(command) == b"+OK\r\n"
        assert figure(one, "batches") > before
        server.crash_restart()
    with server.connect() as one:
        assert one.command("DBSIZE") == b":0\r\n"
        one.command("SET", "w:a", "x")
        disk.fail()
        assert is_error(one.command(command))
        assert one.command("DBSIZE") == b":0\r\n"
        disk.heal()
        wait_until(lambda: one.command("SET", "w:b", "x") == b"+OK\r\n")
    server.crash_restart()
    with server.connect() as one:
        assert one.command("KEYS", "*") == b"*1\r\n$3\r\nw:b\r\n"


def test_flush_of_others_does_not_wait(server, disk):
    with server.connect() as one:
        one.command("SET", "other", "x")
        disk.hang()
        assert one.command("FLUSHALL") == b"+OK\r\n"
        disk.heal()


def test_swapdb_through_is_synced(server):
    with server.connect() as one:
        one.command("SET", "w:a", "x")
        assert one.command("SWAPDB", "0", "1") == b"+OK\r\n"
        server.crash_restart()
    with server.connect() as one:
        assert one.command("DBSIZE") == b":0\r\n"
        one.command("SELECT", "1")
        assert one.command("GET", "w:a") == b"$1\r\nx\r\n"


def test_a_store_that_does_not_answer(server, disk):
    """retry-deadline"""
    with server.connect() as one:
        set_options(one, "w:", "retry-deadline", "200ms")
        disk.hang()
        assert is_error(one.command("SET", "w:a", "x"), b"no answer in time")
        assert is_error(one.command("SET", "w:b", "x"), b"no answer in time")
        assert one.command("SET", "other", "x") == b"+OK\r\n"
        disk.heal()
        assert one.command("SET", "w:c", "x") == b"+OK\r\n"
    server.crash_restart()
    with server.connect() as one:
        assert one.command("EXISTS", "w:a", "w:b", "w:c") == b":3\r\n"


def test_appendfsync_always_tells_as_well(start_larder, disk):
    server = start_larder("save ''", "appendonly yes", "appendfsync always",
                          "tier-defaults retry-attempts 1 retry-delay 50ms",
                          env=disk.env)
    with server.connect() as one:
        assert one.command("SET", "a", "x") == b"+OK\r\n"
        disk.fail()
        assert is_error(one.command("SET", "a", "y"))
        assert one.command("PING") == b"+PONG\r\n"
        disk.heal()
        wait_until(lambda: one.command("SET", "a", "z") == b"+OK\r\n")


def test_reads_keep_the_limit_while_nothing_can_be_written(start_larder, disk):
    """What is dirty stays; what is only read goes back, collections too."""
    limit, count = 16 << 20, 40_000
    server = start_larder("maxmemory %d" % limit, "save ''", env=disk.env)
    value = random.Random(5).randbytes(1000)
    with server.connect(timeout=60) as one:
        for at in range(0, count, 500):
            one.pipeline([("HSET", "%d" % i, "f", b"%d:%b" % (i, value)) if i % 10 == 0 else
                          ("SET", "%d" % i, b"%d:%b" % (i, value)) for i in range(at, at + 500)])
        disk.fail()
        written = [one.command("SET", "new:%d" % i, value) for i in range(20_000)]
        assert written[0] == b"+OK\r\n" and written[-1].startswith(b"-")
        for at in range(0, count, 500):
            replies = one.pipeline([("HGET", "%d" % i, "f") if i % 10 == 0 else
                                    ("GET", "%d" % i) for i in range(at, at + 500)])
            for i, reply in enumerate(replies, at):
                assert reply.endswith(b"\r\n%d:%b\r\n" % (i, value)), (i, reply[:60])
            assert server.info("tiers")["used_bytes"] <= limit * 1.05
        for i, reply in enumerate(written):
            if reply == b"+OK\r\n":
                assert one.command("GET", "new:%d" % i) == b"$1000\r\n%b\r\n" % value
        disk.heal()
        wait_until(lambda: one.command("SET", "x", "x") == b"+OK\r\n")


def test_a_full_disk(start_larder):
    server = start_larder(
        "save ''", "namespace w: write-policy through retry-delay 50ms",
        wait=False)
    server.kill()
    server.expect_crash = False
    server.preexec = ignore_file_limit
    server.start()
    with server.connect() as one:
        assert one.command("SET", "w:a", "x") == b"+OK\r\n"
        set_file_limit(server, 4096)
        assert is_error(one.command("SET", "w:b", "x"), b"the disk is full")
        assert one.command("SET", "w:c", "x").startswith(b"-OOM")
        assert one.command("GET", "w:b") == b"$1\r\nx\r\n"
        set_file_limit(server)
        wait_until(lambda: one.command("SET", "w:c", "x") == b"+OK\r\n")
    server.crash_restart()
    with server.connect() as one:
        assert one.command("EXISTS", "w:a", "w:b", "w:c") == b":3\r\n"


def damage_last_commit(path):
    """One bit of its meta page, that nobody goes by: the size of the map."""
    with open(path, "r+b") as file:
        head = file.read(8192)
        numbers = [struct.unpack_from("=Q", head, at + 144)
                   for at in (0, 4096)]
        at = 32 + (4096 if numbers[1] > numbers[0] else 0)
        file.seek(at)
        file.write(bytes([head[at] ^ 1]))


def test_a_commit_taken_back_is_told(start_larder):
    server = start_larder("save ''", "namespace w: write-policy through")
    path = server.directory / "larder-dry/data.mdb"
    with server.connect() as one:
        for key in ("w:a", "w:b", "w:c"):
            assert one.command("SET", key, "x") == b"+OK\r\n"
    server.crash_restart()
    assert "taken back" not in server.log()
    with server.connect() as one:
        assert one.command("EXISTS", "w:a", "w:b", "w:c") == b":3\r\n"
        assert one.command("SET", "w:d", "x") == b"+OK\r\n"
    server.kill()
    damage_last_commit(path)
    server.expect_crash = False
    server.start()
    told = [line for line in server.log().splitlines() if "taken back" in line]
    assert len(told) == 1 and " # %s: " % path in told[0], told
    with server.connect() as one:
        assert one.command("EXISTS", "w:a", "w:b", "w:c") == b":3\r\n"
        assert one.command("SET", "w:d", "y") == b"+OK\r\n"
    server.restart()
    assert server.log().count("taken back") == 1
    with server.connect() as one:
        assert one.command("GET", "w:d") == b"$1\r\ny\r\n"


def test_much_output_behind_a_write(start_larder):
    """More than a connection may have waiting: it waits for the sync first."""
    server = start_larder("appendonly yes", "appendfsync always",
                          "maxmemory 512mb")
    with Connection(server.port, timeout=60) as one:
        one.command("SET", "large", "x" * 10000000)
        one.send(encode("SET", "a", "1") + encode("GET", "large") * 20 +
                 encode("PING") * 200 + encode("SET", "b", "1"))
        assert one.read_reply() == b"+OK\r\n"
        for _ in range(20):
            assert len(one.read_reply()) > 10000000
        assert one.read_replies(201) == [b"+PONG\r\n"] * 200 + [b"+OK\r\n"]
