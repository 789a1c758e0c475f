"""The hot set survives a restart: what was hot and cold at a clean stop, and
about so at a crash, is in memory again soon after the start."""

import time

import pytest

from support.namespaces import tier
from support.resp import encode
from support.server import wait_until


def figures(one):
    flat = one.value("TIER", "STATS")
    return {name.decode(): number
            for name, number in zip(flat[::2], flat[1::2])}


def fill(one, count, size=500):
    for i in range(0, count, 100):
        one.pipeline([("SET", f"k{n}", f"{n}:" + "x" * size)
                      for n in range(i, i + 100)])



def warmed(server, word="keys are warm again"):
    return wait_until(lambda: word in server.log())


def checkpoint(server, one):
    """One that is on disk, and so is the list."""
    one.command("BGSAVE")
    wait_until(lambda: not server.info("persistence")["rdb_bgsave_in_progress"]
               and (server.directory / "larder-dry" / "warm").exists())


def restart(server):
    log = len(server.log())
    server.restart()
    return lambda: wait_until(
        lambda: "keys are warm again" in server.log()[log:])


def test_clean_stop(start_larder):
    server = start_larder("save ''")
    with server.connect() as one:
        fill(one, 2000)
        one.command("RPUSH", "list", *range(1000))
        one.command("HSET", "hash", "field", "value")
        one.command("TIER", "DEMOTE", "k1", "TO", "cold")
        one.command("TIER", "DEMOTE", "k2", "TO", "dry")
    wait_for_warmth = restart(server)
    with server.connect() as one:
        wait_for_warmth()
        now = figures(one)
        assert (now["hot_keys"], now["cold_keys"], now["dry_keys"]) == (
            2000, 1, 1)
        assert now["warmed_keys"] == 2001
        assert [tier(one, key) for key in ("k0", "k1", "k2", "list")] == [
            "hot", "cold", "dry", "hot"]
        fetches = now["fetches"]
        for i in (0, 1, 500, 1999):
            assert one.value("GET", f"k{i}") == b"%d:" % i + b"x" * 500
        assert one.value("LRANGE", "list", "998", "-1") == [b"998", b"999"]
        assert one.value("HGET", "hash", "field") == b"value"
        assert figures(one)["fetches"] == fetches
        assert figures(one)["dry_hits"] == 0


def test_idle_time_survives(start_larder):
    server = start_larder("save ''")
    with server.connect() as one:
        one.command("SET", "old", "x")
        time.sleep(1.2)
        one.command("SET", "new", "x")
    wait_for_warmth = restart(server)
    with server.connect() as one:
        wait_for_warmth()
        assert tier(one, "old") == "hot"
        assert one.value("OBJECT", "IDLETIME", "old") > one.value(
            "OBJECT", "IDLETIME", "new")


def test_crash(start_larder):
    """As at the last checkpoint."""
    server = start_larder("save ''")
    with server.connect() as one:
        fill(one, 500)
        checkpoint(server, one)
        one.command("SET", "k3", "lost")
    server.crash_restart()
    with server.connect() as one:
        warmed(server)
        assert figures(one)["hot_keys"] == 500
        assert one.value("GET", "k3").startswith(b"3:xx")


def test_flushed_expired_and_deleted_between(start_larder):
    server = start_larder("save ''", "appendonly yes")
    with server.connect() as one:
        fill(one, 200)
        one.command("PEXPIRE", "k7", "300")
        checkpoint(server, one)
        one.command("DEL", "k8")
        one.command("SELECT", "1")
        one.command("SET", "other", "x")
        time.sleep(1.2)  # appendfsync everysec
    server.crash_restart()
    with server.connect() as one:
        warmed(server)
        assert one.command("EXISTS", "k7", "k8", "k9") == b":1\r\n"
        assert figures(one)["hot_keys"] == 198
        checkpoint(server, one)
        one.command("FLUSHALL")
        time.sleep(1.2)
    server.crash_restart()
    with server.connect() as one:
        assert one.command("DBSIZE") == b":0\r\n"


def test_lower_limits_hold(start_larder):
    server = start_larder("save ''", "maxmemory 100mb")
    with server.connect() as one:
        fill(one, 20000, 2000)
    server.config_lines = ["save ''", "maxmemory 24mb"]
    wait_for_warmth = restart(server)
    with server.connect() as one:
        wait_for_warmth()
        time.sleep(0.3)  # what the process really takes has been looked at
        now = figures(one)
        peak = server.info("memory")["used_memory_peak"]
        assert now["used_bytes"] <= peak <= now["maxmemory_bytes"]
        assert 1000 < now["hot_keys"] + now["cold_keys"] < 20000
        assert now["demoted_cold_dry"] == 0
        # What was written last is what is there.
        assert tier(one, "k19999") != "dry" and tier(one, "k0") == "dry"
        assert one.command("DBSIZE") == b":20000\r\n"


def test_a_limit_of_a_namespace_holds(start_larder):
    server = start_larder("save ''")
    with server.connect() as one:
        fill(one, 1000)
    server.config_lines.append(
        "namespace k hot-max-items 10 cold-max-items 20")
    wait_for_warmth = restart(server)
    with server.connect() as one:
        wait_for_warmth()
        now = figures(one)
        assert (now["hot_keys"], now["cold_keys"]) == (10, 20)
        assert now["demoted_cold_dry"] == 0


@pytest.mark.parametrize("damage", ["gone", "cut", "other", "empty", "folder"])
def test_a_damaged_list_is_a_cold_start(start_larder, damage):
    server = start_larder("save ''")
    with server.connect() as one:
        fill(one, 100)
    server.stop()
    path = server.directory / "larder-dry" / "warm"
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[:-1])
    elif damage == "other":
        path.write_bytes(content[:100] + b"!" + content[101:])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "folder":
        path.mkdir()
    server.start()
    with server.connect() as one:
        warmed(server, "Starting cold: ")
        assert server.log().count("Starting cold: ") == 1
        assert figures(one)["dry_keys"] == 100
        assert one.value("GET", "k7").startswith(b"7:xx")
    if damage != "folder":
        wait_for_warmth = restart(server)
        with server.connect() as one:
            wait_for_warmth()
            assert figures(one)["warmed_keys"] == 1


def test_turned_off(start_larder):
    server = start_larder("save ''")
    with server.connect() as one:
        fill(one, 100)
    server.config_lines.append("warm-restart no")
    server.restart()
    with server.connect() as one:
        assert one.value("CONFIG", "GET", "warm-restart")[1] == b"no"
        one.command("GET", "k0")
        assert figures(one)["dry_keys"] == 99


def test_first_answers_do_not_wait(start_larder):
    """Clients' own reads go first, while the rest comes."""
    server = start_larder("save ''")
    with server.connect() as one:
        fill(one, 20000)
    wait_for_warmth = restart(server)
    with server.connect() as one:
        for i in range(0, 20000, 400):
            one.send(encode("GET", f"k{i}"))
        for i in range(0, 20000, 400):
            assert one.read_reply().startswith(b"$")
        wait_for_warmth()
        assert figures(one)["dry_keys"] == 0
        assert figures(one)["hot_keys"] > 19900


def test_stopped_while_warming(start_larder):
    """The list there is stays."""
    server = start_larder("save ''")
    with server.connect() as one:
        fill(one, 5000)
    server.restart()
    wait_for_warmth = restart(server)
    with server.connect() as one:
        wait_for_warmth()
        assert figures(one)["dry_keys"] == 0
