"""RSS of 10,000 idle connections, each of which has sent one PING."""

import resource
import time

from harness import Client, Server, at_most, say, scaled

CONNECTIONS = 10000


def rss_a_connection(server, count):
    Client(server.port)("PING")
    before = server.memory("VmRSS")
    clients = [Client(server.port) for _ in range(count)]
    for client in clients:
        if client("PING") != b"PONG":
            raise RuntimeError("no PONG")
    time.sleep(2)  # Redis gives idle buffers back after a while
    after = server.memory("VmRSS")
    for client in clients:
        client.close()
    return (after - before) / count


def run():
    count = scaled(CONNECTIONS)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    found = {}
    for side in ("redis", "larder"):
        with Server(side, "--maxclients", "20000") as server:
            found[side] = rss_a_connection(server, count)
    say("  bytes a connection: larder %.0f, redis %.0f" % (found["larder"], found["redis"]))
    at_most("idle bytes a connection", 1024, found["larder"])
