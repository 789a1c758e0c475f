"""Plays programs (generate.py) to larder and to the oracle side by side."""

import collections
import random
import subprocess
import time

from differential import compare
from support.resp import Closed, Connection, encode

Difference = collections.namedtuple("Difference", "index words ours theirs")
TIMEOUT_S = 10
# Longer than generate.SHORT_LIFE_MS, by what a busy machine may take.
PAUSE_S = 0.06
GONE = b"(the connection was closed)"
SILENT = b"(no reply for %d s)" % TIMEOUT_S


# Fields of INFO whose growth must be the same.
COUNTERS = (b"keyspace_hits", b"keyspace_misses",
            b"rdb_changes_since_last_save")


class Side:
    """A server and a connection to it, new for each program."""

    def __init__(self, server):
        self.server = server
        self.connection = None
        self.counted = None

    def reset(self, resp):
        """Empty, and a new connection; the server is started again when the
        last program ended it."""
        self.close()
        if not self.server.alive():
            self.server.start()
        self.connect(resp)
        assert self.connection.command("FLUSHALL") == b"+OK\r\n"
        self.counted = self.counters()

    def counters(self):
        reply = self.command(b"INFO", b"everything")
        fields = dict(line.split(b":", 1) for line in reply.split(b"\r\n")
                      if b":" in line)
        return [int(fields.get(name, 0)) for name in COUNTERS]

    def growth(self):
        return [now - then for now, then in zip(self.counters(), self.counted)]

    def connect(self, resp):
        self.connection = Connection(self.server.port, timeout=TIMEOUT_S)
        if resp == 3:
            assert self.connection.command("HELLO", "3")[:1] == b"%"

    def restart(self, resp):
        self.close()
        self.server.restart()
        self.connect(resp)

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def send(self, data, cut):
        """In two parts: a command may arrive in pieces."""
        try:
            if cut is not None:
                self.connection.send(data[:cut])
                data = data[cut:]
            self.connection.send(data)
        except OSError:
            pass  # reading tells what became of it

    def read(self):
        try:
            return self.connection.read_reply()
        except TimeoutError:
            return SILENT
        except (Closed, OSError):
            self.wait_end()
            return GONE

    def wait_end(self):
        """A server that crashed needs a moment to be gone."""
        try:
            self.server.process.wait(2)
        except subprocess.TimeoutExpired:
            pass

    def command(self, *words):
        self.send(encode(*words), None)
        return self.read()

    def walk(self, options):
        """All keys of a SCAN from 0 to 0, and how often the most frequent
        one was seen."""
        keys, cursor = collections.Counter(), b"0"
        for _ in range(100000):
            reply = self.command(b"SCAN", cursor, *options)
            if reply[:1] != b"*":
                return reply
            page = compare.value(reply)
            keys.update(page[1])
            cursor = page[0]
            if cursor == b"0":
                return sorted(keys)
        return b"(a SCAN without end)"


class Player:
    """`moved` counts the moves between tiers that larder made."""

    def __init__(self, larder, oracle):
        self.larder = Side(larder)
        self.oracle = Side(oracle)
        self.random = random.Random(1)
        self.moved = 0
        self.commands = 0
        self.resp = 2
        self.counted = True
        self.lag = None

    def play(self, program, resp):
        """The first Difference, or None."""
        self.resp = resp
        self.counted = True  # until a restart
        self.lag = compare.Lag()
        for side in (self.larder, self.oracle):
            side.reset(resp)
        pending = []
        for index, (kind, what) in enumerate(program):
            if kind in ("both", "larder"):
                pending.append((index, kind, what))
                continue
            difference = self.pipeline(pending)
            pending = []
            if difference is None:
                difference = self.special(program, index)
            if difference is not None:
                return difference
        return self.pipeline(pending)

    def special(self, program, index):
        kind, what = program[index]
        if kind == "walk":
            return self.walk(index, what)
        if kind == "counters":
            return self.counters(program, index)
        if kind == "restart":
            self.larder.restart(self.resp)
            self.counted = False
            return self.pipeline([(index, "both", [b"SELECT", b"0"])])
        if kind == "size":
            return self.size(program, index)
        if kind == "random":
            return self.random_key(index)
        if kind == "expire":
            difference = self.pipeline(
                [(index, "both", words) for words in what])
            time.sleep(PAUSE_S)
            return difference
        return None

    def pipeline(self, pending):
        encoded = [(kind, encode(*words)) for _, kind, words in pending]
        ours = b"".join(data for _, data in encoded)
        theirs = b"".join(data for kind, data in encoded if kind == "both")
        cut = self.random.randrange(len(ours)) if ours else None
        self.lag.begin()
        self.oracle.send(theirs, None)
        self.larder.send(ours, cut if self.random.random() < 0.2 else None)
        for index, kind, words in pending:
            reply = self.larder.read()
            if kind == "larder":
                if reply[:1] == b":":
                    self.moved += int(reply[1:])
                else:
                    return Difference(index, words, reply, b"")
                continue
            expected = self.oracle.read()
            self.commands += 1
            if not compare.same(words, reply, expected, self.lag):
                return Difference(index, words, reply, expected)
        return None

    def walk(self, index, options):
        ours, theirs = self.larder.walk(options), self.oracle.walk(options)
        if ours == theirs:
            return None
        return Difference(index, [b"SCAN", b"(all)"] + options,
                          repr(ours).encode(), repr(theirs).encode())

    def random_key(self, index):
        ours = self.larder.command("RANDOMKEY")
        keys = self.oracle.command("KEYS", "*")
        if ours[:1] in b"$_":
            key, known = compare.value(ours), compare.value(keys)
            if key in known or (key is None and known == []):
                return None
        return Difference(index, [b"RANDOMKEY"], ours, keys)

    def counters(self, program, index):
        if not self.counted:
            return None
        ours, theirs = self.larder.growth(), self.oracle.growth()
        words = {word.lower() for kind, what in program[:index] if what
                 for word in (what if kind != "expire" else [])}
        if b"type" in words:
            # Redis counts a hit or miss for each key SCAN ... TYPE looks at.
            ours[:2] = theirs[:2]
        if words & {b"flushall", b"flushdb"}:
            # Keys that expired count as long as nobody looked for them.
            ours[2] = theirs[2]
        if ours == theirs:
            return None
        return Difference(index, [b"INFO", *COUNTERS], repr(ours).encode(),
                          repr(theirs).encode())

    def size(self, program, index):
        """Keys that expired are counted until they are looked up: so every
        word that may be a key is."""
        words = {word for kind, args in program[:index] if args
                 for words in (args if kind == "expire" else [args])
                 for word in words[1:]}
        return self.pipeline([
            (index, "both", [b"EXISTS", b"", *sorted(words)]),
            (index, "both", [b"DBSIZE"])])

    def close(self):
        self.larder.close()
        self.oracle.close()
