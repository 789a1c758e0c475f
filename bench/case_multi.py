"""Server CPU a transaction: MULTI, 10 SETs of 64 bytes, EXEC; 50 clients with
16 transactions in flight each, and with one."""

import selectors
import socket

from harness import Server, at_most, describe, ratios, say, scaled

CLIENTS, SETS, KEYS = 50, 10, 100000
# Transactions in flight, transactions a measurement, ratio to Redis wanted.
DEPTHS = [(16, 100000, 0.70), (1, 20000, 1.00)]

REPLY = b"+OK\r\n" + b"+QUEUED\r\n" * SETS + b"*%d\r\n" % SETS + b"+OK\r\n" * SETS


def encode(*words):
    return b"*%d\r\n" % len(words) + b"".join(
        b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def transaction(first):
    value = b"v" * 64
    sets = [encode(b"SET", b"key:%012d" % ((first + i) * 7919 % KEYS), value)
            for i in range(SETS)]
    return encode(b"MULTI") + b"".join(sets) + encode(b"EXEC")


def converse(port, depth, count):
    """`count` transactions, every client sending `depth` at once and the next
    when all have been answered."""
    selector = selectors.DefaultSelector()
    expected = len(REPLY) * depth
    batches = [b"".join(transaction((client * depth + i) * SETS)
                        for i in range(depth)) for client in range(CLIENTS)]
    left = count // depth
    for batch in batches:
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(batch)
        left -= 1
        selector.register(sock, selectors.EVENT_READ, [batch, 0])
    while selector.get_map():
        for key, _ in selector.select():
            batch, got = key.data
            data = key.fileobj.recv(65536)
            got += len(data)
            if not data or got > expected or b"-" in data:
                raise RuntimeError("unexpected reply %r" % data[:200])
            key.data[1] = got
            if got == expected:
                key.data[1] = 0
                if left > 0:
                    left -= 1
                    key.fileobj.sendall(batch)
                else:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()


def microseconds(server, depth, count):
    before = server.cpu_seconds()
    converse(server.port, depth, count)
    return (server.cpu_seconds() - before) / count * 1e6


def run():
    with Server("larder") as larder, Server("redis") as redis:
        for depth, count, wanted in DEPTHS:
            seen = {larder: [], redis: []}

            def measure(server):
                seen[server].append(microseconds(server, depth, scaled(count)))
                return seen[server][-1]

            ratio, found = ratios(measure, larder, redis)
            say("  MULTI x%d, us a transaction: larder %s; redis %s" % (
                depth, describe(seen[larder]), describe(seen[redis])))
            say("  ratios %s" % describe(found))
            at_most("multi 10 SETs x%d" % depth, wanted, ratio)
