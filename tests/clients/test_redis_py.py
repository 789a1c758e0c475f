"""redis-py as Debian 12 has it (4.3), with the parsers it has for replies."""

import threading

import pytest
import redis

LARDER_CONFIG = ["enable-debug-command yes"]


def test_strings(client):
    assert client.set("a", "x", ex=100, nx=True)
    assert client.set("a", "y", nx=True) is None
    assert client.set("a", "y", get=True) == b"x"
    assert client.get("a") == b"y" and client["a"] == b"y"
    assert client.get("none") is None
    assert client.mset({"b": 1, "c": 2.5})
    assert client.mget("a", "none", "c") == [b"y", None, b"2.5"]
    assert client.incrbyfloat("c", 0.5) == 3.0
    assert client.getex("b", px=50000) == b"1" and client.pttl("b") > 40000
    assert client.setrange("a", 3, "z") == 4
    assert client.getrange("a", 0, 0) == b"y"
    assert client.append("a", "!") == 5
    assert client.strlen("a") == 5
    assert client.getdel("a") == b"y\0\0z!"


def test_keys(client):
    client.mset({"k%d" % i: i for i in range(200)})
    assert client.dbsize() == 200
    assert len(set(client.scan_iter(match="k1*", count=7))) == 111
    assert sorted(client.keys("k19?")) == [b"k%d" % i for i in range(190, 200)]
    assert client.exists("k1", "k1", "none") == 2
    assert client.rename("k1", "q1") and client.type("q1") == b"string"
    assert client.copy("q1", "k1") is True
    assert client.expire("k1", 10) and client.persist("k1")
    assert client.object("encoding", "k5") == b"int"
    assert client.delete("k1", "k2", "none") == 2
    assert client.unlink("k3") == 1
    assert client.randomkey().startswith((b"k", b"q"))


def test_pipeline_without_transaction(client):
    with client.pipeline(transaction=False) as pipe:
        for i in range(3000):
            pipe.set("p%d" % i, "v%d" % i).get("p%d" % i)
        replies = pipe.execute()
    assert replies[1::2] == [b"v%d" % i for i in range(3000)]


def test_errors(client):
    client.set("s", "text")
    with pytest.raises(redis.ResponseError, match="not an integer"):
        client.incr("s")
    with pytest.raises(redis.ResponseError, match="unknown command"):
        client.execute_command("NOSUCH")
    assert client.ping()


def messages(pubsub, count):
    """The next messages, what confirms subscriptions included."""
    found = []
    while len(found) < count:
        message = pubsub.get_message(timeout=10)
        assert message is not None
        found.append((message["type"], message["pattern"], message["channel"],
                      message["data"]))
    return found


def test_pubsub(client):
    with client.pubsub() as pubsub:
        pubsub.subscribe("news", "more")
        pubsub.psubscribe("n*")
        assert sorted(messages(pubsub, 3)) == [
            ("psubscribe", None, b"n*", 3), ("subscribe", None, b"more", 2),
            ("subscribe", None, b"news", 1)]
        assert client.publish("news", "hello") == 2
        assert messages(pubsub, 2) == [
            ("message", None, b"news", b"hello"),
            ("pmessage", b"n*", b"news", b"hello")]
        pubsub.ping("still here?")
        assert messages(pubsub, 1) == [("pong", None, None, b"still here?")]
        assert sorted(client.pubsub_channels()) == [b"more", b"news"]
        assert client.pubsub_numsub("news", "none") == [(b"news", 1), (b"none", 0)]
        assert client.pubsub_numpat() == 1
        pubsub.unsubscribe()
        pubsub.punsubscribe()
        assert len(messages(pubsub, 3)) == 3
        assert client.publish("news", "hello") == 0


def test_pubsub_in_a_thread_hears_keyspace_events(client):
    heard, done = [], threading.Event()

    def hear(message):
        heard.append((message["channel"], message["data"]))
        if message["data"] == b"del":
            done.set()

    client.config_set("notify-keyspace-events", "K$g")
    pubsub = client.pubsub()
    pubsub.psubscribe(**{"__keyspace@0__:*": hear})
    assert pubsub.get_message(timeout=10)["type"] == "psubscribe"
    thread = pubsub.run_in_thread(sleep_time=0.01)
    client.set("k", "v")
    client.delete("k")
    assert done.wait(10)
    thread.stop()
    thread.join(10)
    client.config_set("notify-keyspace-events", "")
    assert heard == [(b"__keyspace@0__:k", b"set"), (b"__keyspace@0__:k", b"del")]


def test_what_redis_py_parses(client):
    client.set("a", "b", px=100000)
    info = client.info("everything")
    assert info["redis_version"] == "7.2.4"
    assert info["db0"]["keys"] == 1 and info["db0"]["expires"] == 1
    assert info["cmdstat_set"]["calls"] >= 1
    assert client.info("keyspace")["db0"]["avg_ttl"] > 0
    me, = [c for c in client.client_list() if c["cmd"] == "client|list"]
    assert int(me["id"]) == client.client_id() and me["user"] == "default"
    assert client.client_info()["db"] == 0
    assert client.client_setname("py") and client.client_getname() == "py"
    assert client.client_trackinginfo()[1] == [b"off"]
    assert client.config_get("maxclients") == {"maxclients": "10000"}
    assert client.config_set("hz", 20) and client.config_resetstat()
    assert client.command_count() == len(client.command())
    assert client.command()["get"]["arity"] == 2
    assert client.command_getkeys("MSET", "a", 1, "b", 2) == ["a", "b"]
    assert client.memory_usage("a") > 0
    assert client.memory_stats()["keys.count"] == 1
    assert client.memory_purge()
    seconds, micros = client.time()
    assert seconds > 1_700_000_000 and 0 <= micros < 1_000_000
    assert client.lastsave().year >= 2024
    assert client.role()[0] == b"master"
    assert client.slowlog_len() >= 0 and client.slowlog_reset()
    assert client.slowlog_get() is not None
    assert client.module_list() == []
    assert client.acl_whoami() == "default"
    assert client.debug_object("a")["refcount"] == 1
    assert client.echo("x") == b"x"


def test_monitor(client):
    with client.monitor() as monitor:
        client.set("watched", "a b")
        for _ in range(10):
            seen = monitor.next_command()
            if "watched" in seen["command"]:
                break
    assert seen["command"] == "SET watched a b" and seen["db"] == 0
    assert seen["client_type"] == "tcp"


def test_decoded_and_unix_socket(start_larder, tmp_path):
    server = start_larder("unixsocket %s/socket" % tmp_path)
    client = redis.Redis(
        unix_socket_path="%s/socket" % tmp_path, decode_responses=True, db=2)
    assert client.set("ä", "ö") and client.get("ä") == "ö"
    assert client.client_info()["addr"] == "%s/socket:0" % tmp_path
    assert client.client_info()["db"] == 2
    client.close()
    assert server.client(db=2).get("ä".encode()) == "ö".encode()


def test_password(start_larder):
    server = start_larder("requirepass secret")
    pool = {"host": "127.0.0.1", "port": server.port}
    assert redis.Redis(**pool, password="secret").ping()
    named = redis.Redis(**pool, username="default", password="secret")
    assert named.ping()
    with pytest.raises(redis.ResponseError, match="WRONGPASS"):
        redis.Redis(**pool, password="wrong").ping()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(**pool).ping()


def test_threads_share_a_pool(client):
    wrong = []

    def work(number):
        for i in range(200):
            key = "t%d:%d" % (number, i)
            client.set(key, key)
            if client.get(key) != key.encode():
                wrong.append(key)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and client.dbsize() == 1600
