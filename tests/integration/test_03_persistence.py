"""What is there after a stop, a crash, and what the settings promise."""

import os
import random
import signal
import time

import pytest

from support.server import wait_until

ALWAYS = ("appendonly yes", "appendfsync always")
EVERYSEC = ("appendonly yes", "appendfsync everysec")
CHECKPOINTS = ('save ""',)


def values_of_all_kinds(seed=1):
    """key -> value: around every size where the way of keeping it changes."""
    source = random.Random(seed)
    found = {b"": b"the empty key", b"int": b"12345", b"min": b"%d" % -2**63,
             b"max": b"%d" % (2**63 - 1), b"big int": b"9223372036854775808",
             b"float": b"3.14159", b"zeros": b"\0" * 3000,
             bytes(range(256)): bytes(range(256))}
    for size in (0, 1, 2, 7, 8, 15, 16, 43, 44, 45, 63, 64, 127, 128, 254, 255,
                 256, 1000, 4000, 4095, 4096, 8192, 16383, 16384, 32767, 32768,
                 65535, 65536, 300000, 5000000):
        found[b"random %d" % size] = source.randbytes(size)
        found[b"text %d" % size] = (b"larder " * (size // 7 + 1))[:size]
    for size in (1, 15, 16, 127, 254, 255, 256, 510, 511, 512, 513, 1000,
                 4096, 65536):
        found[source.randbytes(size)] = b"key of %d bytes" % size
    return found


def store(client, values):
    with client.pipeline(transaction=False) as pipe:
        for key, value in values.items():
            pipe.set(key, value)
        assert all(pipe.execute())


def check(client, values):
    assert client.dbsize() == len(values)
    for key, value in values.items():
        found = client.get(key)
        assert found == value, "%r: %r" % (key[:40], (found or b"nil")[:40])


def test_every_kind_of_value_survives(start_larder):
    server = start_larder()
    values = values_of_all_kinds()
    store(server.client(), values)
    encodings = {
        key: server.client().object("ENCODING", key)
        for key in values
    }
    for _ in range(3):
        server.restart()
        client = server.client()
        for key, encoding in encodings.items():
            assert client.object("ENCODING", key) == encoding
        check(client, values)
    # Changed after a restart, kept by the next one.
    changed = values_of_all_kinds(seed=2)
    client.flushdb()
    store(client, changed)
    server.restart()
    check(server.client(), changed)


def test_many_keys_and_all_databases(start_larder):
    server = start_larder()
    for number in range(16):
        client = server.client(db=number)
        store(client, {
            b"%d:%d" % (number, i): b"v%d" % (i * number) for i in range(1000)})
    server.restart()
    for number in range(16):
        client = server.client(db=number)
        check(client, {
            b"%d:%d" % (number, i): b"v%d" % (i * number) for i in range(1000)})


def test_expiry_goes_on_while_stopped(start_larder):
    server = start_larder()
    client = server.client()
    client.set("soon", "gone", px=1500)
    client.set("later", "here", ex=1000)
    client.set("never", "here")
    client.set("persisted", "here", ex=1000)
    client.persist("persisted")
    client.set("given", "here")
    at = int(time.time() * 1000) + 500000
    client.execute_command("PEXPIREAT", "given", at)
    server.stop()
    time.sleep(1.5)
    server.start()
    client = server.client()
    assert client.get("soon") is None and client.exists("soon") == 0
    assert 990 <= client.ttl("later") <= 1000
    assert client.ttl("never") == -1 and client.ttl("persisted") == -1
    assert client.execute_command("PEXPIRETIME", "given") == at
    assert client.get("given") == b"here"
    assert client.dbsize() == 4


def test_what_was_done_to_databases_survives(start_larder):
    server = start_larder()
    a, b, c = (server.client(db=number) for number in (0, 1, 2))
    for i in range(300):
        a.set("a%d" % i, i)
        b.set("b%d" % i, i)
        c.set("c%d" % i, i)
    server.restart()
    assert a.execute_command("SWAPDB", 0, 1)
    c.flushdb()
    a.set("after", "swap")
    c.set("after", "flush")
    server.restart()
    assert a.dbsize() == 301 and a.get("b7") == b"7"
    assert a.get("after") == b"swap"
    assert b.dbsize() == 300 and b.get("a7") == b"7"
    assert c.dbsize() == 1 and c.get("c7") is None
    a.execute_command("SWAPDB", 0, 1)
    a.execute_command("SWAPDB", 1, 2)
    server.restart()
    assert a.get("a7") == b"7"
    assert b.get("after") == b"flush" and b.dbsize() == 1
    assert c.get("b7") == b"7" and c.get("after") == b"swap"
    a.flushall()
    server.restart()
    assert [client.dbsize() for client in (a, b, c)] == [0, 0, 0]


def test_what_was_done_to_keys_survives(start_larder):
    server = start_larder()
    client = server.client()
    for i in range(50):
        client.set("k%d" % i, "v%d" % i)
    server.restart()
    client.rename("k0", "renamed")
    client.rename("k1", "k2")
    client.execute_command("COPY", "k3", "copied")
    client.move("k4", 5)
    client.delete("k5", "k6")
    client.append("k7", "+more")
    client.setrange("k8", 1, "X")
    client.expire("k9", 1000)
    client.set("k10", "twice")
    client.set("k10", "again")
    client.delete("k11")
    client.set("k11", "back")
    client.getdel("k12")
    client.set("k13", 1)
    client.incr("k13")
    client.incrbyfloat("k13", 0.5)
    server.restart()
    assert client.get("renamed") == b"v0" and not client.exists("k0")
    assert client.get("k2") == b"v1" and not client.exists("k1")
    assert client.get("copied") == client.get("k3") == b"v3"
    assert not client.exists("k4")
    assert server.client(db=5).get("k4") == b"v4"
    assert client.exists("k5", "k6", "k12") == 0
    assert client.get("k7") == b"v7+more" and client.get("k8") == b"vX"
    assert 900 < client.ttl("k9") <= 1000
    assert client.get("k10") == b"again" and client.get("k11") == b"back"
    assert client.get("k13") == b"2.5"


@pytest.mark.parametrize("how", ["SAVE", "BGSAVE"])
def test_a_checkpoint_survives_a_crash(start_larder, how):
    server = start_larder(*CHECKPOINTS)
    client = server.client()
    values = values_of_all_kinds()
    store(client, values)
    assert server.info("persistence")["rdb_changes_since_last_save"] > 0
    before = client.execute_command("LASTSAVE")
    time.sleep(1.1)
    client.execute_command(how)

    def saved():
        info = server.info("persistence")
        return not info["rdb_bgsave_in_progress"]

    wait_until(saved, what="checkpoint")
    info = server.info("persistence")
    assert info["rdb_last_bgsave_status"] == "ok"
    assert info["rdb_changes_since_last_save"] == 0
    assert client.execute_command("LASTSAVE") > before
    server.crash_restart()
    check(server.client(), values)


def test_shutdown_nosave(start_larder):
    server = start_larder(*CHECKPOINTS)
    client = server.client()
    client.set("saved", "yes")
    client.execute_command("SAVE")
    client.set("unsaved", "no")
    with server.connect() as connection:
        connection.send(b"SHUTDOWN NOSAVE\r\n")
        connection.read_until_closed()
    assert server.wait_end() == 0
    server.start()
    assert server.client().get("saved") == b"yes"
    assert server.client().get("unsaved") is None


def test_save_points_start_checkpoints(start_larder):
    server = start_larder("save 1 10")
    client = server.client()
    for i in range(20):
        client.set("k%d" % i, i)
    wait_until(
        lambda: server.info("persistence")["rdb_changes_since_last_save"] == 0,
        what="checkpoint by save point")
    server.crash_restart()
    assert server.client().dbsize() == 20


def test_always_loses_nothing(start_larder):
    server = start_larder(*ALWAYS)
    values = values_of_all_kinds()
    for round_number in range(5):
        client = server.client()
        values[b"round"] = b"%d" % round_number
        values[b"new %d" % round_number] = b"x" * 1000
        store(client, values)
        client.delete(b"int")
        values.pop(b"int", None)
        client.expire(b"float", 1000)
        server.crash_restart()
        check(server.client(), values)
        assert 900 < server.client().ttl(b"float") <= 1000


def test_everysec_loses_at_most_the_last_second(start_larder):
    server = start_larder(*EVERYSEC)
    client = server.client()
    values = values_of_all_kinds()
    store(client, values)
    time.sleep(2.2)
    server.crash_restart()
    check(server.client(), values)


def test_appendonly_can_be_switched_on(start_larder):
    server = start_larder(*CHECKPOINTS)
    client = server.client()
    client.set("before", "1")
    client.config_set("appendfsync", "always")
    client.config_set("appendonly", "yes")
    # What was there before is written behind the scenes.
    wait_until(
        lambda: not server.info("persistence")["aof_rewrite_in_progress"],
        what="the first rewrite")
    time.sleep(1.2)
    client.set("after", "2")
    server.crash_restart()
    assert server.client().get("after") == b"2"
    # What was there when it was switched on is part of what is promised.
    assert server.client().get("before") == b"1"


@pytest.mark.parametrize("settings", [CHECKPOINTS, EVERYSEC],
                         ids=["checkpoints", "everysec"])
def test_nothing_comes_back_from_the_dead(start_larder, settings):
    """A second after it was overwritten or deleted, an old value is gone for
    good, whatever is lost."""
    server = start_larder(*settings)
    client = server.client()
    count = 400
    for i in range(count):
        client.set("over:%d" % i, "old")
        client.set("del:%d" % i, "old")
        client.set("ren:%d" % i, "old")
    server.client(db=3).set("flushed", "old")
    client.execute_command("SAVE")
    for i in range(count):
        client.set("over:%d" % i, "new")
        client.delete("del:%d" % i)
        client.rename("ren:%d" % i, "renamed:%d" % i)
    server.client(db=3).flushdb()
    time.sleep(2.2)
    server.crash_restart()
    client = server.client()
    for i in range(count):
        assert client.get("over:%d" % i) in (b"new", None)
        assert client.get("del:%d" % i) is None
        assert client.get("ren:%d" % i) is None
        assert client.get("renamed:%d" % i) in (b"old", None)
    assert server.client(db=3).get("flushed") is None


def test_loading_is_said(start_larder):
    """While the data is loaded PING and INFO are answered, GET says LOADING;
    in the end everything is there."""
    server = start_larder()
    with server.client().pipeline(transaction=False) as pipe:
        for i in range(100000):
            pipe.set("key:%d" % i, "v" * 20)
        pipe.execute()
    assert server.stop() == 0
    server.spawn()
    server.wait_ready()
    wait_until(lambda: not server.info("persistence")["loading"], what="load")
    assert server.client().dbsize() == 100000
    assert server.client().get("key:99999") == b"v" * 20


# ---- a store that is not ours, or not whole ----


def store_file(server):
    found = list(server.directory.glob("**/data.mdb"))
    assert len(found) == 1, found
    return found[0]


def refused(server):
    """Starts it on what is there; its log after it ended by itself."""
    server.spawn()
    server.expect_crash = True
    status = server.wait_end(20)
    assert status not in (0, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT)
    return server.log()


@pytest.mark.parametrize("damage", [
    "other text", "zeros", "empty name", "half a meta page", "flipped meta",
])
def test_a_damaged_store_is_refused_and_kept(start_larder, damage):
    server = start_larder()
    for i in range(2000):
        server.client().set("k%d" % i, "v" * 100)
    assert server.stop() == 0
    path = store_file(server)
    content = bytearray(path.read_bytes())
    if damage == "other text":
        content = bytearray(b"this is a text file, not a store\n" * 500)
    elif damage == "zeros":
        content = bytearray(len(content))
    elif damage == "empty name":
        content[0:8192] = os.urandom(8192)
    elif damage == "half a meta page":
        content = content[:100]
    else:
        for page in (0, 4096):
            for at in range(page + 16, page + 32):
                content[at] ^= 0xFF
    path.write_bytes(content)
    log = refused(server)
    assert str(path.parent) in log, log
    assert path.read_bytes() == bytes(content), "the file was changed"


def test_a_truncated_store_is_refused_and_kept(start_larder):
    server = start_larder()
    for i in range(5000):
        server.client().set("k%d" % i, os.urandom(500))
    assert server.stop() == 0
    path = store_file(server)
    size = path.stat().st_blocks * 512 // 3
    os.truncate(path, size)
    log = refused(server)
    assert str(path.parent) in log, log
    assert path.stat().st_size == size


def test_a_store_of_somebody_else_is_refused(start_larder):
    """A real LMDB file that larder did not write."""
    server = start_larder()
    server.client().set("a", "b")
    assert server.stop() == 0
    path = store_file(server)
    # The names of our own databases in it are changed: valid, but foreign.
    content = path.read_bytes()
    names = [b"header", b"payload", b"system", b"meta"]
    changed = content
    for name in names:
        changed = changed.replace(name, b"x" + name[1:])
    if changed == content:
        pytest.skip("the store names its databases otherwise")
    path.write_bytes(changed)
    log = refused(server)
    assert str(path.parent) in log
    assert path.read_bytes() == changed


def test_a_damaged_record_is_an_error_for_its_key_alone(start_larder):
    server = start_larder()
    client = server.client()
    marks = {}
    for i in range(300):
        value = random.Random(i).randbytes(3000)
        marks["k%d" % i] = value
        client.set("k%d" % i, value)
    assert server.stop() == 0
    path = store_file(server)
    content = bytearray(path.read_bytes())
    at = content.find(marks["k150"][1000:1032])
    assert at > 0, "values of random bytes are kept as they are"
    while at > 0:  # a page may have an older copy
        content[at] ^= 0x01
        at = content.find(marks["k150"][1000:1032])
    path.write_bytes(content)
    server.start()
    client = server.client()
    with server.connect() as connection:
        reply = connection.command("GET", "k150")
        assert reply.startswith(b"-"), reply[:100]
        assert connection.command("EXISTS", "k150") == b":1\r\n"
    for key, value in marks.items():
        if key != "k150":
            assert client.get(key) == value
    # Overwriting or deleting the key heals it.
    client.set("k150", "new")
    assert client.get("k150") == b"new"
    server.restart()
    assert server.client().get("k150") == b"new"


def test_the_store_is_private(start_larder):
    server = start_larder()
    server.client().set("a", "b")
    server.client().execute_command("SAVE")
    path = store_file(server)
    assert path.parent.stat().st_mode & 0o077 == 0
    assert path.stat().st_mode & 0o077 == 0


def test_killed_while_starting_and_stopping(start_larder):
    """kill -9 at any moment of a start or of a stop loses nothing that was
    saved before and leaves a store that opens."""
    server = start_larder(*CHECKPOINTS)
    client = server.client()
    with client.pipeline(transaction=False) as pipe:
        for i in range(30000):
            pipe.set("kept:%d" % i, "v%d" % i)
        pipe.execute()
    client.execute_command("SAVE")
    source = random.Random(7)
    for turn in range(12):
        if turn % 2:
            server.process.send_signal(signal.SIGTERM)
            time.sleep(source.random() * 0.1)
            server.kill()
            server.spawn()
            time.sleep(source.random() * 0.2)
        server.crash_restart()
        client = server.client()
        wait_until(lambda: not server.info("persistence")["loading"],
                   what="load")
        assert client.dbsize() >= 30000
        for i in range(0, 30000, 501):
            assert client.get("kept:%d" % i) == b"v%d" % i
        for i in range(200):
            client.set("new:%d:%d" % (turn, i), "x" * 500)
