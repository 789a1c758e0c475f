"""What client libraries say when they connect, as one pipeline: each command
gets one reply, and the same as from redis-server but for what is newer than
its 7.0."""

import re

import pytest

from support.resp import encode_all

LARDER_CONFIG = ["requirepass secret"]
ORACLE_CONFIG = ["requirepass secret"]

AUTH = ["HELLO", "3", "AUTH", "default", "secret"]
LIBRARY = [["CLIENT", "SETINFO", "LIB-NAME", "lib"],
           ["CLIENT", "SETINFO", "LIB-VER", "1.0.0"]]
MAINTENANCE = [
    ["CLIENT", "MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", "none"]]

CONVERSATIONS = {
    "redis-py 8": [AUTH] + MAINTENANCE + [["CLIENT", "SETNAME", "x"]]
    + LIBRARY + [["SELECT", "1"], ["PING"]],
    "redis-py 4": [["AUTH", "secret"], ["CLIENT", "SETNAME", "x"],
                   ["SELECT", "1"], ["PING"]],
    "node-redis": [AUTH + ["SETNAME", "x"], ["SELECT", "1"], ["READONLY"]]
    + LIBRARY + MAINTENANCE + [["PING"]],
    "ioredis": [AUTH, ["SELECT", "1"], ["CLIENT", "SETNAME", "x"],
                ["READONLY"]] + LIBRARY + [["PING"]],
    "Jedis": [["HELLO", "3"], ["AUTH", "secret"], ["HELLO", "3"],
              ["CLIENT", "SETNAME", "x"]] + LIBRARY + [["SELECT", "1"]],
    "Lettuce": [AUTH + ["SETNAME", "x"], ["SELECT", "1"], ["READONLY"]]
    + LIBRARY + MAINTENANCE + [["PING"]],
    "go-redis": [AUTH, ["SELECT", "1"], ["READONLY"],
                 ["CLIENT", "SETNAME", "x"]] + MAINTENANCE + LIBRARY,
    "StackExchange.Redis": [
        ["AUTH", "secret"], ["HELLO", "2"], ["CLIENT", "SETNAME", "x"]]
    + LIBRARY + [
        ["CLIENT", "ID"], ["CONFIG", "GET", "timeout"],
        ["CONFIG", "GET", "replica-read-only"], ["CONFIG", "GET", "databases"],
        ["CLUSTER", "NODES"], ["GET", "__Booksleeve_TieBreak"],
        ["ECHO", b"\x00\xff\r\n tracer"], ["PING"]],
    "redis-rs": [AUTH, ["SELECT", "1"]] + LIBRARY + [["PING"]],
    "redis-client": [AUTH, ["SELECT", "1"], ["PING"]],
    "phpredis": [["AUTH", "secret"], ["SELECT", "1"],
                 ["ECHO", "phpredis_challenge"]],
}


def plain(reply):
    """Without the version, ids and database numbers' own lists."""
    reply = re.sub(rb"\$\d\r\n7\.[02]\.\d+\r\n", b"VERSION", reply)
    return re.sub(rb"\$2\r\nid\r\n:\d+\r\n|^:\d+\r\n$", b"ID", reply)


def converse(server, commands):
    with server.connect() as connection:
        connection.send(encode_all(commands))
        replies = connection.read_replies(len(commands))
        assert connection.quiet(0.05), "a reply too many"
        return [plain(reply) for reply in replies]


@pytest.mark.parametrize("client", CONVERSATIONS)
def test_conversation(larder, oracle, client):
    commands = CONVERSATIONS[client]
    ours, theirs = (converse(server, commands) for server in (larder, oracle))
    for command, mine, redis in zip(commands, ours, theirs):
        if command in LIBRARY:
            assert mine == b"+OK\r\n"
        else:
            assert mine == redis, command
    assert any(reply.startswith((b"%7", b"+OK")) for reply in ours)


# ---- what monitoring asks ----


def test_what_an_exporter_asks(larder):
    """prometheus-redis-exporter's and Datadog's questions in one pipeline."""
    commands = [["AUTH", "secret"], ["CLIENT", "SETNAME", "redis_exporter"],
                ["INFO", "ALL"], ["CONFIG", "GET", "*"], ["SLOWLOG", "LEN"],
                ["SLOWLOG", "GET", "1"], ["CLIENT", "LIST"],
                ["LATENCY", "LATEST"], ["LATENCY", "HISTOGRAM"],
                ["DBSIZE"], ["CLUSTER", "INFO"], ["MEMORY", "DOCTOR"]]
    with larder.connect() as connection:
        replies = connection.pipeline(commands)
    errors = [(c, r) for c, r in zip(commands, replies) if r[:1] == b"-"]
    assert [c for c, _ in errors] == [["CLUSTER", "INFO"]]
    info = replies[2].decode()
    for name in ("uptime_in_seconds", "connected_clients", "blocked_clients",
                 "used_memory", "maxmemory", "keyspace_hits",
                 "keyspace_misses", "total_net_input_bytes",
                 "total_net_output_bytes", "expired_keys", "evicted_keys",
                 "mem_fragmentation_ratio", "used_memory_rss",
                 "used_memory_peak", "used_memory_lua", "used_memory_overhead",
                 "latest_fork_usec", "total_commands_processed",
                 "master_repl_offset", "used_cpu_sys", "used_cpu_user",
                 "rdb_last_save_time", "rdb_changes_since_last_save",
                 "storage_provider_read_hits", "cmdstat_auth"):
        assert re.search(r"\r\n%s:" % name, info), name
