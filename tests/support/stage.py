"""Plays with several connections to both servers, for commands that wait."""

import re
from contextlib import contextmanager

from support.resp import Connection, encode
from support.server import wait_until


def words(line):
    return line.split(" ")


class Stage:
    """Named connections to both servers, the same said by each of them."""

    def __init__(self, both):
        self.ports = [side.sock.getpeername()[1] for side in both.sides]
        self.actors = {}

    def pair(self, name):
        if name not in self.actors:
            self.actors[name] = [Connection(port) for port in self.ports]
        return self.actors[name]

    def close(self):
        for pair in self.actors.values():
            for conn in pair:
                conn.close()

    def blocked(self):
        counts = []
        for conn in self.pair("inspector"):
            info = conn.command("INFO", "clients")
            counts.append(int(re.search(rb"blocked_clients:(\d+)", info)[1]))
        return counts

    def play(self, script):
        """Lines "who: command"; "who< " reads a reply due now; "who> command"
        sends one that is going to wait; "who!" has been sent nothing."""
        replies = []
        for line in script.strip().splitlines():
            name, kind, rest = re.match(r"\s*(\w+)([:<>!]) ?(.*)", line).groups()
            pair = self.pair(name)
            if kind == "!":
                assert [conn.quiet() for conn in pair] == [True, True], line
                continue
            if kind == ">":
                before = self.blocked()
                for conn in pair:
                    conn.send(encode(*words(rest)))
                wait_until(lambda: self.blocked() == [n + 1 for n in before])
                continue
            if kind == ":":
                for conn in pair:
                    conn.send(encode(*words(rest)))
            ours, theirs = [conn.read_reply() for conn in pair]
            assert ours == theirs, "%s:\nlarder %r\noracle %r" % (
                line, ours, theirs)
            replies.append(ours)
        return replies

    @contextmanager
    def same_events(self):
        """Of the keys' events meanwhile: all of them, in the same order."""
        watchers, setters = self.pair("watcher"), self.pair("setter")
        for watcher, setter in zip(watchers, setters):
            setter.command("CONFIG", "SET", "notify-keyspace-events", "KEA")
            watcher.send(encode("PSUBSCRIBE", "*"))
            watcher.read_reply()
        yield
        self.play("setter: PUBLISH end end")
        seen = [[], []]
        for watcher, events in zip(watchers, seen):
            while not events or b"end\r\n" not in events[-1]:
                events.append(watcher.read_reply())
        assert seen[0] == seen[1]
        for setter in setters:
            setter.command("CONFIG", "SET", "notify-keyspace-events", "")


def demote(conn, *keys):
    for key in keys:
        conn.command("TIER", "DEMOTE", key, "TO", "DRY")
        assert conn.command("OBJECT", "TIER", key) == b"$3\r\ndry\r\n"
