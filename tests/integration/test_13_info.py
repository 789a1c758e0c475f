"""INFO: the sections and fields that monitoring reads, and their truth."""

import os
import re
import time

import pytest

SECTIONS = ["Server", "Clients", "Memory", "Persistence", "Stats",
            "Replication", "CPU", "Modules", "Commandstats", "Errorstats",
            "Latencystats", "Cluster", "Keyspace"]
LARDER_CONFIG = ["enable-debug-command yes"]


def sections(server, *names):
    """title -> {field: value}, in order."""
    with server.connect() as connection:
        reply = connection.command("INFO", *names)
    body = reply[reply.index(b"\r\n") + 2:-2].decode()
    found = {}
    for line in body.split("\r\n"):
        if line.startswith("# "):
            found[line[2:]] = current = {}
        elif line:
            name, _, value = line.partition(":")
            current[name] = value
    return found


def one(server, section):
    return next(iter(sections(server, section).values()))


OWN = ["Tiers", "Namespaces"]


def test_sections_in_order(larder, oracle):
    ours = list(sections(larder, "everything"))
    assert ours == list(sections(oracle, "everything")) + OWN
    assert ours[:-len(OWN)] == SECTIONS
    for name in ("", "default", "all"):
        words = [name] if name else []
        assert list(sections(larder, *words)) == (
            list(sections(oracle, *words)) + OWN)


@pytest.mark.parametrize("section", [
    s for s in SECTIONS if not s.endswith("stats") or s == "Stats"])
def test_every_field_of_redis(larder, oracle, section):
    ours, theirs = one(larder, section), one(oracle, section)
    assert not [name for name in theirs if name not in ours]


@pytest.mark.parametrize("words", [
    ["cluster"], ["CLUSTER"], ["cluster", "cluster"], ["nosuch"],
    ["nosuch", "cluster"], ["modules"]])
def test_replies(both, words):
    both.same("INFO", *words)


def test_verbatim_in_resp3(both):
    both.resp3()
    both.same("INFO", "cluster")


def test_numbers_look_as_in_redis(larder, oracle):
    """Each field that is a number there is one here, with as many decimals."""
    def form(value):
        value = re.sub(r"^-?\d+$", "0", value)
        value = re.sub(r"^-?\d+\.(\d+)(%?)$",
                       lambda m: "0." + "0" * len(m[1]) + m[2], value)
        return re.sub(r"^\d+(\.\d+)?[BKMGT]$", "0B", value)

    ours, theirs = sections(larder), sections(oracle)
    for title in set(theirs) - {"Errorstats", "Keyspace"}:
        for name, value in theirs[title].items():
            if form(value) != value:
                assert form(ours[title][name]) == form(value), name


def test_server(larder):
    info = one(larder, "server")
    assert info["redis_version"] == "7.2.4"
    assert info["larder_version"] == "0.1.0"
    assert info["redis_mode"] == "standalone"
    assert int(info["process_id"]) == larder.pid
    assert int(info["tcp_port"]) == larder.port
    assert re.fullmatch("[0-9a-f]{40}", info["run_id"])
    assert abs(int(info["server_time_usec"]) / 1e6 - time.time()) < 5
    assert os.path.samefile(
        info["executable"], "/proc/%d/exe" % larder.pid)


def test_clients(larder):
    with larder.connect() as a, larder.connect() as b:
        a.command("PING"), b.command("PING")
        before = int(one(larder, "clients")["connected_clients"])
    assert before >= 3
    assert one(larder, "clients")["maxclients"] == "10000"


def test_memory(larder):
    info = one(larder, "memory")
    rss = larder.status_kb("VmRSS") * 1024
    assert abs(int(info["used_memory_rss"]) - rss) < 8 << 20
    assert info["maxmemory_policy"] == "noeviction"
    assert int(info["used_memory"]) <= int(info["used_memory_peak"])
    assert int(info["maxmemory"]) > 0
    ratio = int(info["used_memory_rss"]) / int(info["used_memory"])
    assert abs(float(info["mem_fragmentation_ratio"]) - ratio) < 0.02 * ratio


def test_used_memory_follows_the_data(larder):
    with larder.connect() as connection:
        connection.command("FLUSHALL")
        before = int(one(larder, "memory")["used_memory"])
        assert connection.command(
            "DEBUG", "POPULATE", "20", "big", "1000000") == b"+OK\r\n"
        after = int(one(larder, "memory")["used_memory"])
        connection.command("FLUSHALL")
    assert 20_000_000 <= after - before < 30_000_000


def test_keyspace(both):
    both.same("MSET", "a", "1", "b", "2", "c", "3")
    both.same("PEXPIRE", "a", "100000")
    both.same("SELECT", "3")
    both.same("SET", "d", "4")
    both.sides[0].command("TIER", "DEMOTE", "d", "TO", "dry")
    ours, theirs = (one(server, "keyspace")
                    for server in (both.larder, both.oracle))
    assert ours.pop("db3") == "keys=1,expires=0,avg_ttl=0,cached_keys=0"
    assert theirs.pop("db3") == "keys=1,expires=0,avg_ttl=0"
    assert list(ours) == list(theirs) == ["db0"]
    assert re.fullmatch(
        r"keys=3,expires=1,avg_ttl=\d+,cached_keys=3", ours["db0"])


@pytest.mark.parametrize("command", [
    "GET a", "GET b", "MGET a b a", "EXISTS a b", "TTL a", "PTTL b", "TYPE b",
    "INCR a", "STRLEN a", "GETSET a 5", "GETEX a", "GETDEL b", "SETRANGE a 0 1",
    "APPEND a 1", "GETRANGE a 0 1", "SET a 1 GET", "TOUCH a b", "DEL b",
    "OBJECT ENCODING a", "COPY a c", "RENAME a d", "EXPIRETIME a", "LCS a b",
    "PERSIST a", "EXPIRE a 100", "MSETNX a 1", "UNLINK b",
    "RANDOMKEY", "KEYS *", "SCAN 0", "MEMORY USAGE a"])
def test_keyspace_hits(both, command):
    both.same("SET", "a", "1")
    grown = []
    for server in (both.larder, both.oracle):
        with server.connect() as connection:
            before = one(server, "stats")
            connection.command(*command.split())
            after = one(server, "stats")
        grown.append([int(after[name]) - int(before[name])
                      for name in ("keyspace_hits", "keyspace_misses")])
    assert grown[0] == grown[1]


def test_stats_count(larder):
    with larder.connect() as connection:
        before = one(larder, "stats")
        for _ in range(10):
            connection.command("SET", "x", "y" * 1000)
        connection.command("GET")
        after = one(larder, "stats")
    grown = {
        name: int(after[name]) - int(before[name])
        for name in ("total_commands_processed", "total_net_input_bytes",
                     "total_net_output_bytes", "total_connections_received",
                     "total_error_replies", "total_reads_processed",
                     "total_writes_processed")
    }
    assert grown["total_commands_processed"] >= 11
    assert 10_000 < grown["total_net_input_bytes"] < 12_000
    assert grown["total_net_output_bytes"] > 50
    assert grown["total_connections_received"] == 1
    assert grown["total_error_replies"] == 1
    assert grown["total_reads_processed"] >= 11
    assert grown["total_writes_processed"] >= 11


def test_commandstats_and_errorstats(both):
    both.same("CONFIG", "RESETSTAT")
    for command in (["SET", "a", "x"], ["GET", "a"], ["GET", "b"], ["GET"],
                    ["INCR", "a"], ["CLIENT", "ID", "x"],
                    ["CLIENT", "GETNAME"], ["HELLO", "9"]):
        both.same(*command)
    counted = []
    for server in (both.larder, both.oracle):
        info = sections(server, "commandstats", "errorstats")
        calls = {
            name: re.sub(r"usec=\d+,usec_per_call=[\d.]+,", "", value)
            for name, value in info["Commandstats"].items()
            if "info" not in name and "resetstat" not in name
        }
        counted.append((calls, info["Errorstats"]))
    assert counted[0] == counted[1]


def test_latencystats(larder):
    with larder.connect() as connection:
        for _ in range(100):
            connection.command("PING")
    value = one(larder, "latencystats")["latency_percentiles_usec_ping"]
    match = re.fullmatch(
        r"p50=(\d+\.\d{3}),p99=(\d+\.\d{3}),p99\.9=(\d+\.\d{3})", value)
    percentiles = [float(part) for part in match.groups()]
    assert percentiles == sorted(percentiles)


def test_persistence(start_larder):
    server = start_larder("save ''")
    with server.connect() as connection:
        info = one(server, "persistence")
        assert info["loading"] == "0" and info["aof_enabled"] == "0"
        assert info["rdb_last_bgsave_status"] == "ok"
        for i in range(7):
            connection.command("SET", "key:%d" % i, "x")
        info = one(server, "persistence")
        assert info["rdb_changes_since_last_save"] == "7"
        assert connection.command("SAVE") == b"+OK\r\n"
        info = one(server, "persistence")
        assert info["rdb_changes_since_last_save"] == "0"
        assert abs(int(info["rdb_last_save_time"]) - time.time()) < 10
        assert connection.command("LASTSAVE") == (
            b":%s\r\n" % info["rdb_last_save_time"].encode())


def test_tiers(larder):
    with larder.connect() as connection:
        connection.command("FLUSHALL")
        for i in range(10):
            connection.command("SET", "key:%d" % i, "x" * 100)
        connection.command("TIER", "DEMOTE", "key:0", "key:1", "TO", "cold")
        connection.command("TIER", "DEMOTE", "key:2", "TO", "dry")
        info = one(larder, "tiers")
        assert [info[t + "_keys"] for t in ("hot", "cold", "dry")] == [
            "7", "2", "1"]
        before = one(larder, "stats")
        connection.command("GET", "key:2")
        after = one(larder, "stats")
        assert int(after["storage_provider_read_hits"]) == 1 + int(
            before["storage_provider_read_hits"])
    assert int(one(larder, "tiers")["disk_used_bytes"]) > 0
