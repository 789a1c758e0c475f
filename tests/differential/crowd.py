"""Several connections at once: transactions beside writers, scripts beside
demotion, blocking pops beside pushes, RESP3 beside RESP2.

A program is a list of operations from a seed:

    (who, [word, ...])       connection `who` says it, to both servers
    ("larder", [word, ...])  a move between tiers
    ("pause", [words, ...])  commands that let keys expire soon, and a pause
                             until they have

One operation is over on both servers before the next begins, so the order is
the same on both, also in which waiting connections are served. What a
connection that waits would say is left out.
"""

import random
import selectors
import time

from differential import compare, generate, play, values
from support.resp import Closed, Connection, encode
from support.server import patience

PEOPLE = 5
RESP3 = (1, 3)  # these speak RESP3
LEAST_AWAKE = 2
BLOCKING = {b"BLPOP", b"BRPOP", b"BLMOVE", b"BRPOPLPUSH", b"BZPOPMIN",
            b"BZPOPMAX", b"BLMPOP", b"BZMPOP", b"XREAD", b"XREADGROUP"}
# They may put a list or sorted set in the place of another value. Redis 7.0
# does not tell those who wait for it then (7.2 does, and larder): such a
# command is left out while somebody waits, and in EXEC and scripts.
OVERWRITING = {b"SORT", b"ZUNIONSTORE", b"ZINTERSTORE", b"ZDIFFSTORE",
               b"ZRANGESTORE", b"GEORADIUS", b"GEORADIUSBYMEMBER",
               b"GEOSEARCHSTORE"}
# Likewise SWAPDB: by which of several keys somebody is woken then is chance in
# redis-server. With one key it is tested by itself (test_41_block.py).
NOT_WHILE_WAITING = OVERWRITING | {b"SWAPDB"}
# Runs each of the commands in ARGV (a count, then the words, and so on).
SCRIPT = b"""
local at, out = 1, {}
while at <= #ARGV do
    local n = tonumber(ARGV[at])
    out[#out + 1] = redis.pcall(unpack(ARGV, at + 1, at + n))
    at = at + n + 1
end
return out"""


class FewKeys(values.Pool):
    """So few that connections meet."""

    def key(self):
        if self.chance(0.9):
            return self.choice([b"a", b"b", b"key:1", b""])
        return super().key()


class Generator(generate.Generator):
    def __init__(self, seed, moves):
        super().__init__(seed, moves)
        self.pool = FewKeys(random.Random(seed))

    def program(self, count):
        queueing = [False] * PEOPLE
        ops = []
        while len(ops) < count:
            if self.pool.chance(self.moves):
                ops.append(("larder", self.move()))
            if self.pool.chance(0.002):
                ops.append(("pause", self.short_lives()))
            who = self.pool.random.randrange(PEOPLE)
            ops.append((who, self.say(queueing, who)))
        return ops

    def say(self, queueing, who):
        p = self.pool
        if queueing[who]:
            if p.chance(0.25):
                queueing[who] = False
                return [p.choice([b"EXEC"] * 9 + [b"DISCARD"])]
            if p.chance(0.03):
                return p.choice([[b"MULTI"], [b"WATCH", p.key()], [b"UNWATCH"]])
        elif p.chance(0.12):
            if p.chance(0.5):
                return [b"WATCH"] + p.keys(2)
            queueing[who] = True
            return [b"MULTI"]
        elif p.chance(0.01):
            return [p.choice([b"UNWATCH", b"EXEC", b"DISCARD"])]
        if p.chance(0.12):
            return self.blocking()
        if p.chance(0.1):
            return self.script()
        return self.quiet_words() if queueing[who] else self.words()

    def quiet_words(self):
        while True:
            words = self.words()
            if words[0].upper() not in NOT_WHILE_WAITING:
                return words

    def blocking(self):
        """Pops, and what they wait for."""
        p = self.pool
        keys = [p.key() for _ in range(p.random.randint(1, 3))]
        count = [b"COUNT", b"2"] if p.chance(0.4) else []
        return p.choice([
            [b"BLPOP"] + keys + [b"0"],
            [b"BRPOP"] + keys + [b"0"],
            [b"BZPOPMIN"] + keys + [b"0"],
            [b"BZPOPMAX"] + keys + [b"0"],
            [b"BLMOVE", p.key(), p.key(), p.choice([b"LEFT", b"RIGHT"]),
             p.choice([b"LEFT", b"RIGHT"]), b"0"],
            [b"BRPOPLPUSH", p.key(), p.key(), b"0"],
            [b"BLMPOP", b"0", b"%d" % len(keys)] + keys + [b"LEFT"] + count,
            [b"BZMPOP", b"0", b"%d" % len(keys)] + keys + [b"MAX"] + count,
            [b"XREAD", b"BLOCK", b"0", b"STREAMS", keys[0], b"$"],
            [b"DEL"] + keys,
            [b"RPUSH", keys[0], b"x", b"y"],
            [b"LPUSH", keys[0], b"z"],
            [b"ZADD", keys[0], b"1", b"m", b"2", b"n"],
            [b"XADD", keys[0], b"99999-%d" % p.random.randrange(1 << 30),
             b"f", b"v"],
            [b"RENAME", p.key(), keys[0]],
            [b"COPY", p.key(), keys[0], b"REPLACE"],
        ])

    def script(self):
        p = self.pool
        arguments, keys = [], p.keys(3) if p.chance(0.5) else []
        for _ in range(p.random.randint(1, 4)):
            words = self.quiet_words()
            if len(words) > 50:
                continue
            arguments += [b"%d" % len(words)] + words
        return [b"EVAL", SCRIPT, b"%d" % len(keys)] + keys + arguments


def parts(reply):
    """The raw replies in a raw array, or None."""
    if reply[:1] != b"*" or reply[:2] == b"*-":
        return None
    at = reply.index(b"\r\n") + 2
    found = []
    while at < len(reply):
        _, end = compare.parse(reply, at)
        found.append(reply[at:end])
        at = end
    return found


def spoken(words):
    """The commands in the arguments of SCRIPT."""
    at, found = 3 + int(words[2]), []
    while at < len(words):
        size = int(words[at])
        found.append(words[at + 1:at + 1 + size])
        at += size + 1
    return found


def is_held_by_queue(words, ours, theirs):
    """What SET got in a transaction is Redis' value and still in its queue."""
    return ([word.upper() for word in words[:2]] == [b"OBJECT", b"REFCOUNT"]
            and ours == b":1\r\n" and theirs == b":2\r\n")


class Crowd:
    """The same connections to one server."""

    def __init__(self, server):
        self.server = server
        self.people = [Connection(server.port) for _ in range(PEOPLE)]
        self.control = Connection(server.port)
        for who in RESP3:
            self.people[who].command("HELLO", "3")
        assert self.control.command("FLUSHALL") == b"+OK\r\n"

    def close(self):
        for connection in self.people + [self.control]:
            connection.close()

    def waiting(self):
        reply = self.control.command("INFO", "clients")
        return int(reply.split(b"\r\nblocked_clients:")[1].split(b"\r\n")[0])

    def arrived(self, among, seconds):
        """Which of them have something to read."""
        ready = [who for who in among if self.people[who].buffer]
        with selectors.DefaultSelector() as selector:
            for who in among:
                selector.register(self.people[who].sock,
                                  selectors.EVENT_READ, who)
            return ready + [
                key.data for key, _ in selector.select(seconds)
                if key.data not in ready]

    def settle(self, who, waiting):
        """After a command that may wait: its reply, or None: it waits."""
        limit = time.monotonic() + 10 * patience()
        while time.monotonic() < limit:
            if self.arrived([who], 0.002):
                return self.people[who].read_reply()
            if self.waiting() == waiting + 1:
                return None
        return play.SILENT

    def served(self, asleep, least=0):
        """{who: reply} of those who have been served, when they are so many:
        a value that has to be read from disk for it takes its time."""
        limit = time.monotonic() + 10 * patience()
        gone = len(asleep) - self.waiting()
        while gone < least and time.monotonic() < limit:
            time.sleep(0.002)
            gone = len(asleep) - self.waiting()
        found = set()
        while len(found) < gone and time.monotonic() < limit:
            found |= set(self.arrived(sorted(asleep - found), 0.1))
        return {who: self.people[who].read_reply() for who in sorted(found)}


MOVES = [0, 0.05, 0.2]  # moves an operation, by round


def program_of(seed, number, operations):
    moves = MOVES[number % len(MOVES)]
    return Generator("%s/%d" % (seed, number), moves).program(operations)


def rounds(player, commands, seconds):
    """Numbers of programs until the player has played so many commands, and
    for so long."""
    begin, number = time.monotonic(), 0
    while player.commands < commands or time.monotonic() - begin < seconds:
        yield number
        number += 1


class Player:
    def __init__(self, larder, oracle):
        self.servers = larder, oracle
        self.commands, self.moved, self.slept, self.executed = 0, 0, 0, 0
        self.lag = None

    def play(self, program, _=None):
        """The first Difference, or None."""
        crowds = []
        try:
            crowds = [Crowd(server) for server in self.servers]
            return self.play_with(program, *crowds)
        except (OSError, Closed):
            return play.Difference(0, [b"(any)"], play.GONE, b"")
        finally:
            for crowd in crowds:
                crowd.close()
            for crowd in crowds:
                with Connection(crowd.server.port) as connection:
                    while b"blocked_clients:0" not in connection.command(
                            "INFO", "clients"):
                        time.sleep(0.005)

    def play_with(self, program, ours, theirs):
        asleep, queued = {}, [None] * PEOPLE
        self.lag = compare.Lag()
        for index, (who, words) in enumerate(program):
            if who == "pause":
                self.pause(words, ours, theirs)
                continue
            if who == "larder":
                reply = ours.control.command(*words)
                if reply[:1] != b":":
                    return play.Difference(index, words, reply, b"")
                self.moved += int(reply[1:])
                continue
            if who in asleep or not self.may_say(words, asleep):
                continue
            self.commands += 1
            name = words[0].upper()
            replies = []
            self.lag.begin()
            for crowd in (ours, theirs):
                crowd.people[who].send(encode(*words))
                replies.append(
                    crowd.settle(who, len(asleep)) if name in BLOCKING
                    else crowd.people[who].read_reply())
            if replies == [None, None]:
                asleep[who] = words
                self.slept += 1
                continue
            if None in replies:
                return play.Difference(
                    index, words, *(reply or b"(it waits)" for reply in replies))
            if not self.same(words, queued[who], *replies):
                return play.Difference(index, words, *replies)
            self.note(queued, who, words, replies[1])
            difference = self.wake(index, asleep, ours, theirs)
            if difference:
                return difference
        return None

    def pause(self, commands, *crowds):
        for words in commands:
            self.lag.begin()
            for crowd in crowds:
                crowd.control.command(*words)
        time.sleep(play.PAUSE_S)

    @staticmethod
    def may_say(words, asleep):
        """Some stay awake."""
        if asleep and words[0].upper() in NOT_WHILE_WAITING:
            return False
        return (words[0].upper() not in BLOCKING
                or PEOPLE - len(asleep) > LEAST_AWAKE)

    def wake(self, index, asleep, ours, theirs):
        if not asleep:
            return None
        other = theirs.served(set(asleep))
        mine = ours.served(set(asleep), len(other))
        for who in set(mine) | set(other):
            words = asleep.pop(who)
            pair = [served.get(who, b"(it waits)") for served in (mine, other)]
            if not compare.same(words, *pair, self.lag):
                return play.Difference(index, words, *pair)
        return None

    def note(self, queued, who, words, reply):
        """What EXEC will answer."""
        name = words[0].upper()
        if reply == b"+QUEUED\r\n" and queued[who] is not None:
            queued[who].append(words)
        elif name == b"MULTI" and reply == b"+OK\r\n":
            queued[who] = []
        elif name in (b"EXEC", b"DISCARD"):
            self.executed += reply[:1] == b"*" and name == b"EXEC"
            queued[who] = None

    def same(self, words, queued, ours, theirs, in_exec=False):
        if ours == theirs:
            return True
        if in_exec and is_held_by_queue(words, ours, theirs):
            return True
        name = words[0].upper()
        if name == b"EXEC" and queued is not None:
            inside = queued
        elif name == b"EVAL":
            inside = spoken(words)
        else:
            return compare.same(words, ours, theirs, self.lag)
        mine, other = parts(ours), parts(theirs)
        return (mine is not None and other is not None
                and len(mine) == len(other) == len(inside)
                and all(self.same(said, None, a, b, in_exec or name == b"EXEC")
                        for said, a, b in zip(inside, mine, other)))
