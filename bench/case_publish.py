"""PUBLISH of 64 bytes to 1,000 subscribers: deliveries a second of the
server's CPU, which is its core's rate when nothing else holds it up. The
clients read on another core; all that is due is read before the next batch."""

import select
import socket
import time

from harness import Client, Server, Settings, at_least, describe, ratios, say

SUBSCRIBERS = 1000
CHANNEL, CONTENT = b"news", b"x" * 64
MESSAGE = b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$64\r\n%s\r\n" % CONTENT
PUBLISH = b"*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n$64\r\n%s\r\n" % CONTENT
CONFIRMED = b"*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"
# Messages in a pipeline, messages a measurement.
DEPTHS = [(1, 200), (16, 1600)]


class Audience:
    """The subscribers, and one who publishes."""

    def __init__(self, port):
        self.publisher = Client(port)
        self.poll = select.epoll()
        self.sockets = {}
        for _ in range(SUBSCRIBERS):
            subscriber = socket.create_connection(("127.0.0.1", port))
            subscriber.sendall(b"*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n")
            assert subscriber.recv(1000) == CONFIRMED
            self.sockets[subscriber.fileno()] = subscriber
            self.poll.register(subscriber, select.EPOLLIN)

    def publish(self, count):
        self.publisher.socket.sendall(PUBLISH * count)
        for _ in range(count):
            assert self.publisher.read() == SUBSCRIBERS
        due = len(MESSAGE) * SUBSCRIBERS * count
        while due > 0:
            for number, _ in self.poll.poll(10):
                due -= len(self.sockets[number].recv(1 << 16))
        assert due == 0

    def close(self):
        self.poll.close()
        self.publisher.close()
        for subscriber in self.sockets.values():
            subscriber.close()


def run():
    with Server("larder") as larder, Server("redis") as redis:
        audience = {server: Audience(server.port) for server in (larder, redis)}
        for depth, messages in DEPTHS:
            seen, rates = {larder: [], redis: []}, {larder: [], redis: []}

            def measure(server):
                count = max(1, int(messages * Settings.scale) // depth)
                before, begin = server.cpu_seconds(), time.monotonic()
                for _ in range(count):
                    audience[server].publish(depth)
                deliveries = count * depth * SUBSCRIBERS
                rates[server].append(deliveries / (time.monotonic() - begin))
                used = server.cpu_seconds() - before
                seen[server].append(deliveries / used)
                return seen[server][-1]

            ratio, found = ratios(measure, larder, redis)
            for server in (larder, redis):
                say(
                    "  %s: deliveries a second of CPU %s; with the clients %s"
                    % (server.side, describe(seen[server], "%.0f"),
                       describe(rates[server], "%.0f"))
                )
            say("  ratios %s" % describe(found))
            at_least("publish P%d" % depth, 1.0, ratio)
        for each in audience.values():
            each.close()
