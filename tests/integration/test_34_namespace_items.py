"""What a namespace lets into which tier: `eviction none`, `max-item-size`,
`dry-threshold`; and emptying it: NAMESPACE FLUSH, TIER FLUSH ... NAMESPACE.
Each test quotes its line of the contract."""

import random

from support.namespaces import options, set_options, stats, tier
from support.server import wait_until

LARDER_CONFIG = ["save ''", "notify-keyspace-events KEA"]


def full(prefix):
    return b"-OOM namespace '%s' is full and its eviction is none\r\n" % (
        prefix.encode())


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


# ---- eviction: none ----

def test_eviction_none_refuses_writes_when_full(one):
    """eviction ... none"""
    set_options(one, "n:", "tiers", "hot", "hot-max-items", "3", "eviction",
                "none")
    for i in range(3):
        assert one.command("SET", f"n:{i}", i) == b"+OK\r\n"
    assert one.command("SET", "n:3", 3) == full("n:")
    assert one.command("LPUSH", "n:list", 3) == full("n:")
    # What is there can be changed, read and deleted, others are not touched.
    assert one.command("SET", "n:1", "again") == b"+OK\r\n"
    assert one.command("GET", "n:0") == b"$1\r\n0\r\n"
    assert one.command("SET", "m:3", 3) == b"+OK\r\n"
    assert one.command("DEL", "n:0") == b":1\r\n"
    assert one.command("SET", "n:3", 3) == b"+OK\r\n"
    assert stats(one, "n:")["hot_evicted"] == 0
    # Reading from it is no write into it.
    one.command("SADD", "n:1x", "a")
    one.command("SADD", "set", "a", "b")
    assert one.command("SUNIONSTORE", "to", "n:1", "set") != full("n:")
    assert one.command("SUNIONSTORE", "n:to", "set") == full("n:")


def test_eviction_none_in_transactions_and_scripts(one):
    set_options(one, "n:", "tiers", "hot", "hot-max-items", "2", "eviction",
                "none")
    script = "return redis.call('SET', KEYS[1], 'x')"
    assert one.command("EVAL", script, "1", "n:0") == b"+OK\r\n"
    assert one.command("SET", "n:1", "x") == b"+OK\r\n"
    reply = one.command("EVAL", script, "1", "n:2")
    assert reply.startswith(b"-OOM namespace 'n:' is full"), reply
    one.command("MULTI")
    assert one.command("SET", "n:2", "x") == full("n:")
    assert one.command("EXEC").startswith(b"-EXECABORT")
    one.command("DEL", "n:0")
    one.command("MULTI")
    for i in (2, 3):
        assert one.command("SET", f"n:{i}", "x") == b"+QUEUED\r\n"
    assert one.command("EXEC") == b"*2\r\n+OK\r\n" + full("n:")


def test_eviction_none_by_bytes_and_with_tiers_above(one):
    set_options(one, "b:", "tiers", "hot", "hot-maxmemory", "100kb",
                "eviction", "none")
    accepted = 0
    while one.command("SET", f"b:{accepted}", noise(1000)) == b"+OK\r\n":
        accepted += 1
    assert 80 <= accepted <= 100
    assert stats(one, "b:")["hot_bytes"] <= 100 << 10
    assert one.command("APPEND", "b:1", noise(30000)) == full("b:")
    # Only the last tier decides: hot is full long before.
    set_options(one, "d:", "hot-max-items", "5", "cold-max-items", "5",
                "dry-max-items", "20", "eviction", "none")

    def write(count):
        done = 0
        for i in range(count):
            done += one.command("SET", f"d:{i}", i) == b"+OK\r\n"
            wait_until(lambda: stats(one, "d:")["hot_keys"] <= 5 and
                       stats(one, "d:")["cold_keys"] <= 5)
        return done
    assert write(40) == 30
    found = stats(one, "d:")
    assert (found["hot_keys"], found["cold_keys"], found["dry_keys"]) == (
        5, 5, 20)
    assert all(one.value("GET", f"d:{i}") == b"%d" % i for i in range(30))


# ---- max-item-size ----

def test_max_item_size_goes_straight_to_dry(one):
    """larger values go straight to dry and are read from there without being
    promoted"""
    set_options(one, "i:", "max-item-size", "10kb")
    large, small = noise(20_000), noise(9_000)
    one.command("SET", "i:large", large)
    one.command("SET", "i:small", small)
    wait_until(lambda: tier(one, "i:large") == "dry")
    assert tier(one, "i:small") == "hot"
    for _ in range(4):
        assert one.value("GET", "i:large") == large
        wait_until(lambda: tier(one, "i:large") == "dry")
    found = stats(one, "i:")
    assert found["promoted_dry_cold"] == found["promoted_cold_hot"] == 0
    assert found["dry_hits"] == 4
    # It can be changed like any other, and comes down again.
    assert one.command("APPEND", "i:large", "end") == b":20003\r\n"
    wait_until(lambda: tier(one, "i:large") == "dry")
    assert one.command("APPEND", "i:small", noise(5_000)) == b":14000\r\n"
    wait_until(lambda: tier(one, "i:small") == "dry")
    assert one.value("GET", "i:large") == large + b"end"
    assert one.value("GET", "i:small") == small + noise(5_000)
    replies = one.pipeline([["GET", "i:large"]] * 5 + [
        ["SET", "i:large", "short"], ["GET", "i:large"]])
    assert replies[-1] == b"$5\r\nshort\r\n"
    assert all(reply == replies[0] for reply in replies[:5])
    assert tier(one, "i:large") == "hot"


def test_max_item_size_holds_for_collections(one):
    set_options(one, "i:", "max-item-size", "4kb")
    for i in range(300):
        one.command("HSET", "i:hash", f"field {i}", noise(50, i))
    wait_until(lambda: tier(one, "i:hash") == "dry")
    assert one.value("HGET", "i:hash", "field 7") == noise(50, 7)
    wait_until(lambda: tier(one, "i:hash") == "dry")
    assert one.value("HLEN", "i:hash") == 300
    one.command("SET", "copied", noise(5000))
    one.command("COPY", "copied", "i:copy")
    wait_until(lambda: tier(one, "i:copy") == "dry")
    assert tier(one, "copied") == "hot"


def test_max_item_size_needs_dry(one):
    reply = one.command("NAMESPACE", "SET", "x:", "tiers", "hot,cold",
                        "max-item-size", "1mb")
    assert b"'max-item-size' needs dry" in reply


# ---- dry-threshold ----

def test_dry_threshold_keeps_small_values_in_ram(start_larder):
    """values of at least this size are stored on disk, smaller ones stay in
    RAM only (dry-small no)"""
    server = start_larder("appendonly yes")
    one = server.connect()
    set_options(one, "t:", "dry-threshold", "1kb")
    assert options(one, "t:")["dry-small"] == "no"
    set_options(one, "u:", "dry-threshold", "1kb", "dry-small", "yes")
    large, small = noise(1024), noise(1023)
    for prefix in ("t:", "u:"):
        one.command("SET", prefix + "large", large)
        one.command("SET", prefix + "small", small)
        # What was on disk is not brought back by what replaces it.
        one.command("SET", prefix + "shrinks", large)
    one.command("SAVE")
    one.command("SET", "t:shrinks", "short")
    one.command("RPUSH", "t:list", "a", "b")
    assert one.command("TIER", "DEMOTE", "t:small", "t:large", "TO",
                       "dry") == b":1\r\n"
    assert tier(one, "t:large") == "dry"
    assert one.value("GET", "t:small") == small
    one.command("SAVE")
    one.close()
    server.restart()
    one = server.connect()
    assert one.value("GET", "t:large") == large
    assert one.value("GET", "u:large") == large
    assert one.value("GET", "u:small") == small
    assert one.command("EXISTS", "t:small", "t:shrinks", "t:list") == b":0\r\n"
    one.close()


def test_dry_threshold_small_values_leave_from_ram(one):
    set_options(one, "t:", "dry-threshold", "100", "hot-max-items", "10",
                "cold-max-items", "10")
    for i in range(50):
        one.command("SET", f"t:{i}", noise(50 if i % 2 else 200, i))
    wait_until(lambda: places(one, "t:") == (10, 10, 15))
    assert stats(one, "t:")["cold_evicted"] == 15
    assert all(one.value("GET", f"t:{i}") == noise(200, i)
               for i in range(0, 50, 2))


def test_dry_threshold_cold_ttl_deletes_what_has_no_dry_tier(one):
    set_options(one, "t:", "dry-threshold", "100")
    one.command("SET", "t:1", "small")
    one.command("TIER", "DEMOTE", "t:1", "TO", "cold")
    set_options(one, "t:", "hot-ttl", "100ms", "cold-ttl", "100ms")
    wait_until(lambda: one.command("EXISTS", "t:1") == b":0\r\n")
    assert stats(one, "t:")["cold_expired"] == 1


def test_dry_threshold_and_eviction_none_contradict(one):
    reply = one.command("NAMESPACE", "SET", "x:", "dry-threshold", "1kb",
                        "eviction", "none")
    assert b"'dry-threshold' needs an eviction other than none" in reply
    assert one.command("NAMESPACE", "SET", "x:", "dry-threshold", "1kb",
                       "eviction", "none", "dry-small", "yes") == b"+OK\r\n"


# ---- flushing ----

def fill(one, prefix, count):
    """As many keys in each tier."""
    for name in ("hot", "cold", "dry"):
        keys = [f"{prefix}{name}:{i}" for i in range(count)]
        for key in keys:
            one.command("SET", key, "value of " + key)
        if name != "hot":
            one.command("TIER", "DEMOTE", *keys, "TO", name)


def places(one, prefix):
    found = stats(one, prefix)
    return found["hot_keys"], found["cold_keys"], found["dry_keys"]


def test_namespace_flush_deletes(one, larder):
    """NAMESPACE ... FLUSH p"""
    set_options(one, "f:", "hot-ttl", "4h")
    set_options(one, "f:g:", "hot-ttl", "4h")
    for db in (3, 0):
        one.command("SELECT", db)
        fill(one, "f:", 50)
    fill(one, "f:g:", 20)
    fill(one, "other:", 10)
    one.command("WATCH", "f:dry:1")
    with larder.connect() as listener:
        listener.command("PSUBSCRIBE", "__keyevent@*__:del")
        with larder.connect() as other:
            assert other.command("NAMESPACE", "FLUSH", "f:") == b":300\r\n"
        seen = [listener.read_reply() for _ in range(300)]
        assert len(set(seen)) == 300
        assert b"".join(seen).count(b"__keyevent@3__:del\r\n") == 150
    one.command("MULTI")
    assert one.command("EXEC") == b"*-1\r\n"
    assert places(one, "f:") == (0, 0, 0)
    assert places(one, "f:g:") == (20, 20, 20)
    assert places(one, "") == (10, 10, 10)
    assert one.command("NAMESPACE", "FLUSH", "") == b":30\r\n"
    assert one.command("DBSIZE") == b":60\r\n"


def test_namespace_flush_of_a_tier(one):
    """NAMESPACE ... FLUSH p [TIER t]"""
    set_options(one, "f:", "hot-ttl", "4h")
    fill(one, "f:", 300)
    assert one.command("NAMESPACE", "FLUSH", "f:", "TIER", "cold") == (
        b":300\r\n")
    assert places(one, "f:") == (300, 0, 300)
    assert one.command("NAMESPACE", "FLUSH", "f:", "TIER", "DRY") == b":300\r\n"
    assert places(one, "f:") == (300, 0, 0)
    assert one.value("GET", "f:hot:7") == b"value of f:hot:7"


def test_namespace_flush_survives_a_restart(start_larder):
    server = start_larder()
    one = server.connect()
    set_options(one, "f:", "hot-ttl", "4h")
    fill(one, "f:", 50)
    fill(one, "other:", 5)
    one.command("SAVE")
    before = int(one.value("INFO", "persistence").split(
        b"rdb_changes_since_last_save:")[1].split(b"\r\n")[0])
    assert one.command("NAMESPACE", "FLUSH", "f:") == b":150\r\n"
    after = int(one.value("INFO", "persistence").split(
        b"rdb_changes_since_last_save:")[1].split(b"\r\n")[0])
    assert after - before == 150
    one.close()
    server.restart()
    with server.connect() as one:
        assert one.command("DBSIZE") == b":15\r\n"


def test_tier_flush_of_a_namespace_sinks(one):
    """TIER FLUSH hot|cold|dry|all [NAMESPACE p] (flushing hot or cold of a
    namespace with a dry tier loses nothing: it sinks)"""
    set_options(one, "f:", "hot-ttl", "4h")
    fill(one, "f:", 200)
    fill(one, "other:", 100)
    assert one.command("TIER", "FLUSH", "hot", "NAMESPACE", "f:") == b":200\r\n"
    assert places(one, "f:") == (0, 400, 200)
    assert one.command("TIER", "FLUSH", "cold", "NAMESPACE", "f:") == (
        b":400\r\n")
    assert places(one, "f:") == (0, 0, 600)
    assert places(one, "") == (100, 100, 100)
    for name in ("hot", "cold", "dry"):
        assert one.value("GET", f"f:{name}:9") == b"value of f:%s:9" % (
            name.encode())


def test_tier_flush_all_of_a_namespace(one):
    set_options(one, "f:", "tiers", "hot,dry", "hot-max-items", "1000")
    for i in range(100):
        one.command("SET", f"f:{i}", i)
    assert one.command("TIER", "FLUSH", "all", "NAMESPACE", "f:") == b":100\r\n"
    assert places(one, "f:") == (0, 0, 100)


def test_tier_flush_out_of_the_last_tier_evicts(one):
    """what leaves the last tier is gone"""
    set_options(one, "f:", "tiers", "hot")
    for i in range(100):
        one.command("SET", f"f:{i}", i)
    fill(one, "g", 20)
    assert one.command("TIER", "FLUSH", "hot") == b":120\r\n"
    assert places(one, "f:") == (0, 0, 0)
    assert stats(one, "f:")["hot_evicted"] == 100
    assert places(one, "") == (0, 40, 20)
    assert one.command("TIER", "FLUSH", "dry", "NAMESPACE", "") == b":20\r\n"
    assert places(one, "") == (0, 40, 0)
    assert one.command("DBSIZE") == b":40\r\n"
