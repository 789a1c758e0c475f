"""What the tests that attack a server share."""

import random
import socket
import struct

import pytest

from support.server import PATIENCE, wait_until

VALUE_BYTES = 3000


def value_of(name, version=0):
    return random.Random("%s/%s" % (name, version)).randbytes(VALUE_BYTES)


def dry(server, count, prefix="dry"):
    """Keys whose values are on disk only."""
    names = ["%s:%d" % (prefix, i) for i in range(count)]
    with server.connect(timeout=60) as connection:
        connection.pipeline([("SET", n, value_of(n)) for n in names])
        for at in range(0, count, 500):
            part = names[at : at + 500]
            reply = connection.command("TIER", "DEMOTE", *part, "TO", "DRY")
            assert reply == b":%d\r\n" % len(part), reply
    return names


def reset(connection):
    """Closes with RST, unread replies and all."""
    connection.sock.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def settled(server):
    """Nobody waits any more and every dead connection is forgotten."""
    seen = {}

    def quiet():
        info = dict(server.info("clients"), **server.info("tiers"))
        seen.update({name: info[name] for name in (
            "connected_clients", "blocked_clients", "fetches_pending",
            "writers_parked")})
        return list(seen.values()) == [1, 0, 0, 0]

    server.disconnect_clients()
    try:
        wait_until(quiet, 20 / PATIENCE, 0.1, "the server is at rest")
    except AssertionError:
        pytest.fail("the server is not at rest: %s" % seen)
