"""Many connections, each with one command on its way, driven by one thread;
MOVERS more move values between tiers meanwhile."""

import selectors
import time

from support.resp import Connection, encode

MOVERS = 4


class Clients:
    """next_request() gives (what it is for, bytes, number of replies), or
    None: no more. done(what, invoked, returned, replies) is told."""

    def __init__(self, server, count, mover):
        self.connections = [
            Connection(server.port, timeout=60) for _ in range(count)]
        self.movers = [
            Connection(server.port, timeout=60) for _ in range(MOVERS)]
        self.next_move = mover
        self.moved = 0

    def close(self):
        for connection in self.connections + self.movers:
            connection.close()

    def run(self, next_request, done):
        waiting = {}
        with selectors.DefaultSelector() as selector:
            for connection in self.connections + self.movers:
                selector.register(
                    connection.sock, selectors.EVENT_READ, connection)
            for connection in self.movers:
                connection.send(encode(*self.next_move()))
            for connection in self.connections:
                self.ask(connection, waiting, next_request)
            while waiting:
                for key, _ in selector.select(60):
                    if key.data in self.movers:
                        self.move(key.data)
                        continue
                    what, count, invoked = waiting.pop(key.data)
                    replies = key.data.read_replies(count)
                    done(what, invoked, time.monotonic(), replies)
                    self.ask(key.data, waiting, next_request)
        for connection in self.movers:
            self.moved += self.count(connection.read_reply())

    @staticmethod
    def ask(connection, waiting, next_request):
        request = next_request()
        if request is not None:
            what, data, count = request
            waiting[connection] = what, count, time.monotonic()
            connection.send(data)

    def move(self, connection):
        self.moved += self.count(connection.read_reply())
        connection.send(encode(*self.next_move()))

    @staticmethod
    def count(reply):
        assert reply[:1] == b":", reply
        return int(reply[1:])
