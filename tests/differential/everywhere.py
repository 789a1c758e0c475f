"""Tier metamorphism: one program played to several larders whose values are
kept in different tiers, by moves between the commands. No reply may tell
where a value was."""

import random
import time

from differential import compare, generate, play
from support.resp import Connection, encode


def hot(_, words):
    return [b"TIER", b"PROMOTE"] + words[1:2]


def cold(_, words):
    return [b"TIER", b"FLUSH", b"HOT"]


def dry(_, words):
    return [b"TIER", b"FLUSH", b"ALL"]


def anywhere(chance, words):
    if chance.random() < 0.5:
        return [b"TIER", b"DEMOTE"] + words[1:3] + [
            b"TO", chance.choice([b"COLD", b"DRY"])]
    return chance.choice([hot, cold, dry])(chance, words)


KEEPERS = {"hot": hot, "cold": cold, "dry": dry, "anywhere": anywhere}


class Place:
    """A larder and the tier its values are brought to."""

    def __init__(self, name, server):
        self.name, self.keep = name, KEEPERS[name]
        self.server = server
        self.connection = None
        self.chance = None
        self.moved = 0

    def begin(self, number):
        self.close()
        self.chance = random.Random(number)
        self.connection = Connection(self.server.port, timeout=60)
        assert self.connection.command("FLUSHALL") == b"+OK\r\n"
        if number % 2:
            self.connection.command("HELLO", "3")

    def close(self):
        if self.connection is not None:
            self.connection.close()

    def send(self, commands, encoded):
        """The commands, with a move before each."""
        data = []
        for words, command in zip(commands, encoded):
            if len(words) > 1:
                data.append(encode(*self.keep(self.chance, words)))
            data.append(command)
        self.connection.send(b"".join(data))

    def read(self, commands):
        """The commands' replies."""
        replies = []
        for words in commands:
            if len(words) > 1:
                reply = self.connection.read_reply()
                if reply[:1] == b":":
                    self.moved += int(reply[1:])
                elif not reply.startswith(b"-ERR"):
                    raise AssertionError("a move: %r" % reply)
            replies.append(self.connection.read_reply())
        return replies


def same(words, ours, theirs, lag):
    """Chance, the clock and the seed of the index may show, no tier."""
    if compare.same(words, ours, theirs, lag):
        return True
    # A counter that grows by chance.
    return (words[0].upper() == b"OBJECT" and words[1].upper() == b"FREQ"
            and ours[:1] == theirs[:1] == b":")


class Player:
    """`servers`: {name of a keeper: larder}."""

    def __init__(self, servers):
        self.places = [Place(name, server) for name, server in servers.items()]
        self.commands = 0

    def pipelines(self, program):
        """Lists of commands, and whether a pause follows."""
        pending = []
        for kind, what in program:
            if kind == "both":
                pending.append(what)
            elif kind == "expire":
                yield pending + what, True
                pending = []
            elif kind == "sync":
                yield pending, False
                pending = []
        yield pending, False

    def play(self, program, number):
        """The first Difference, or None."""
        for place in self.places:
            place.begin(number)
        index = 0
        lag = compare.Lag()
        for commands, pause in self.pipelines(program):
            encoded = [encode(*words) for words in commands]
            lag.begin()
            for place in self.places:
                place.send(commands, encoded)
            found = [place.read(commands) for place in self.places]
            for at, words in enumerate(commands):
                self.commands += 1
                for place, replies in zip(self.places[1:], found[1:]):
                    if not same(words, found[0][at], replies[at], lag):
                        return play.Difference(
                            index + at, [place.name.encode()] + words,
                            replies[at], found[0][at])
            index += len(commands)
            if pause:
                time.sleep(play.PAUSE_S)
        return None

    def close(self):
        for place in self.places:
            place.close()


def program_of(seed, number, commands):
    return generate.Generator("%s/%d" % (seed, number), 0).program(commands)
