"""A ledger of what clients asked for and what was acknowledged, kept outside
the server, and what a server may hold after a crash according to it.

Each writer owns its keys and issues its operations in one order. An operation
changes one or several keys at once ({key: seq, or None for a deletion}), by one
command or by a transaction of several; the state a crash leaves must be the one after some first part of them."""

import collections
import random
import threading
import time
import zlib

from support.resp import Closed, Connection, encode

SIZES = (0, 1, 20, 100, 400, 1000, 3000, 4080, 9000, 70000, 300000)
# How many keys a writer has, and how often each size occurs.
Shape = collections.namedtuple("Shape", "keys weights")
LARGE = Shape(300, (1, 1, 20, 20, 10, 10, 5, 3, 3, 5, 4))
SMALL = Shape(60, (10, 10, 200, 200, 100, 100, 50, 30, 30, 5, 1))


def key_of(writer, number):
    return b"w%d:%03d" % (writer, number)


def value_of(writer, seq, shape):
    """A value that says whose it is and shows when it is torn."""
    source = random.Random((writer << 48) ^ seq)
    size = source.choices(SIZES, shape.weights)[0]
    if source.random() < 0.5:
        filling = source.randbytes(size)
    else:
        filling = (b"larder %d " % seq * (size // 8 + 1))[:size]
    head = b"%d|%d|" % (writer, seq)
    return head + filling + b"|%08x" % zlib.crc32(head + filling)


def seq_of(writer, key, value, shape):
    """The seq a value was written with. Fails when it is not whole."""
    if value is None:
        return None
    parts = value.split(b"|", 2)
    assert len(parts) == 3 and int(parts[0]) == writer, (key, value[:80])
    seq = int(parts[1])
    assert value == value_of(writer, seq, shape), "torn value at %r: %r ... %r" % (
        key, value[:80], value[-40:])
    return seq


class Operation:
    __slots__ = ("words", "changes", "replies", "invoked", "acked")

    def __init__(self, words, changes, replies=1):
        self.words = b" ".join(
            word[:30] if isinstance(word, bytes) else word.encode()
            for word in words)
        self.changes = changes
        self.replies = replies  # how many there will be
        self.invoked = None
        self.acked = None


class Writer(threading.Thread):
    """Writes until the server goes away."""

    def __init__(self, port, number, state, seed, next_seq, shape=LARGE):
        super().__init__(daemon=True)
        self.port = port
        self.number = number
        self.before = dict(state)  # what the server held when we began
        self.model = dict(state)   # what it holds after all we asked for
        self.random = random.Random(seed)
        self.next_seq = next_seq
        self.shape = shape
        self.operations = []
        self.pause = 0  # seconds between bursts
        self.stopped = False
        self.problem = None

    def run(self):
        try:
            with Connection(self.port, timeout=60) as connection:
                while not self.stopped:
                    self.burst(connection)
                    time.sleep(self.pause)
        except (OSError, Closed):
            pass
        except AssertionError as error:
            self.problem = str(error)

    def burst(self, connection):
        count = self.random.choice((1, 1, 1, 4, 16))
        made = [self.make() for _ in range(count)]
        begin = time.monotonic()
        for _, operation in made:
            operation.invoked = begin
            self.operations.append(operation)
        connection.send(b"".join(command for command, _ in made))
        for _, operation in made:
            for _ in range(operation.replies):
                reply = connection.read_reply()
                assert not reply.startswith(b"-") and b"\r\n-" not in reply, (
                    "refused: %r" % reply)
            operation.acked = time.monotonic()

    def make(self):
        """(bytes to send, the operation)."""
        if self.random.random() < 0.9:
            command, changes, words = self.make_command()
            return command, Operation(words, changes)
        parts = [encode("MULTI")]
        whole, shown = {}, ["EXEC"]
        for _ in range(self.random.randint(2, 8)):
            command, changes, words = self.make_command()
            parts.append(command)
            whole.update(changes)
            shown += words[:2]
        parts.append(encode("EXEC"))
        return b"".join(parts), Operation(shown, whole, len(parts))

    def make_command(self):
        """(bytes to send, its changes, its words)."""
        pick = self.random.random()
        if pick < 0.70:
            changes, words = {}, ["SET", *self.new_value()]
            changes[words[1]] = self.next_seq
        elif pick < 0.82:
            changes, words = {self.key(): None}, ["DEL"]
            words += changes
        elif pick < 0.92:
            changes, words = {}, ["MSET"]
            for _ in range(3):
                key, value = self.new_value()
                changes[key] = self.next_seq
                words += [key, value]
        else:
            changes, words = self.move()
        self.model.update(changes)
        return encode(*words), changes, words

    def move(self):
        """A value goes to another key, or is copied there."""
        there = [key for key, seq in self.model.items() if seq is not None]
        old, new = self.random.choice(there or [self.key()]), self.key()
        seq = self.model.get(old)
        if seq is None or old == new:
            return {old: None}, ["DEL", old]
        if self.random.random() < 0.5:
            return {new: seq}, ["COPY", old, new, "REPLACE"]
        return {old: None, new: seq}, ["RENAME", old, new]

    def key(self):
        return key_of(self.number, self.random.randrange(self.shape.keys))

    def new_value(self):
        self.next_seq += 1
        return self.key(), value_of(
            self.number, self.next_seq, self.shape)


def read_state(connection, writer, shape=LARGE):
    """{key: seq} of what the server holds of a writer's keys."""
    keys = [key_of(writer, number) for number in range(shape.keys)]
    state = {}
    for first in range(0, len(keys), 30):
        some = keys[first:first + 30]
        replies = connection.pipeline([("GET", key) for key in some])
        for key, reply in zip(some, replies):
            if reply == b"$-1\r\n":
                continue
            assert reply.startswith(b"$"), (key, reply[:200])
            value = reply[reply.index(b"\r\n") + 2:-2]
            state[key] = seq_of(writer, key, value, shape)
    return state


def prefixes(writer, found):
    """How many of the writer's operations the state `found` can have: all
    counts that fit, ascending."""
    keys = set(found) | set(writer.before)
    for operation in writer.operations:
        keys |= set(operation.changes)
    state = dict(writer.before)
    wrong = {key for key in keys if state.get(key) != found.get(key)}
    fitting = [] if wrong else [0]
    for count, operation in enumerate(writer.operations, 1):
        for key, seq in operation.changes.items():
            if seq == found.get(key):
                wrong.discard(key)
            else:
                wrong.add(key)
        if not wrong:
            fitting.append(count)
    return fitting


def explain(writer, found, least):
    """Which keys cannot be as they are, for the report of a failure."""
    lines = []
    for key in sorted(set(found) | set(writer.before)):
        history = [(0, writer.before.get(key))] + [
            (count, operation.changes[key])
            for count, operation in enumerate(writer.operations, 1)
            if key in operation.changes
        ]
        latest = [entry for entry in history if entry[0] <= least][-1:]
        allowed = latest + [entry for entry in history if entry[0] > least]
        if found.get(key) not in [seq for _, seq in allowed]:
            lines.append("%r holds %s, may hold %s (operation, seq), was %s" % (
                key, found.get(key), allowed[:5], history[-8:]))
    lines = lines[:20] or ["each key is possible by itself, but no first part "
                           "of the operations has them all"]
    for count, operation in enumerate(writer.operations, 1):
        if count > least - 20:
            lines.append("%d %s %s %r: %s" % (
                count, operation.invoked, operation.acked or "not acknowledged",
                operation.words,
                {key: (seq, "found", found.get(key))
                 for key, seq in operation.changes.items()}))
    return "\n".join(lines)


def check_prefix(writers, states, horizon):
    """Every writer's keys hold the state after a first part of its operations
    that has all acknowledged before `horizon`; and what was acknowledged
    before something that survived was invoked has survived too."""
    newest = 0
    longest = []
    for writer, found in zip(writers, states):
        least = sum(1 for operation in writer.operations
                    if operation.acked is not None and operation.acked <= horizon)
        fitting = [count for count in prefixes(writer, found) if count >= least]
        assert fitting, "writer %d, at least %d of %d operations:\n%s" % (
            writer.number, least, len(writer.operations),
            explain(writer, found, least))
        longest.append(fitting[-1])
        if fitting[0] > 0:
            newest = max(newest, writer.operations[fitting[0] - 1].invoked)
    for writer, count in zip(writers, longest):
        for operation in writer.operations[count:]:
            assert operation.acked is None or operation.acked >= newest, (
                "writer %d lost %s, acknowledged %.3f s before what survived" % (
                    writer.number, operation.changes, newest - operation.acked))


def check_keys(writers, states, horizon):
    """Every key by itself: it may be gone if it was written since the start,
    but what was overwritten or deleted before `horizon` is not back."""
    for writer, found in zip(writers, states):
        touched = {key for operation in writer.operations
                   for key in operation.changes}
        for key, seq in writer.before.items():
            assert key in touched or found.get(key) == seq, (
                "%r holds %s, nobody touched %s" % (key, found.get(key), seq))
        for key, seq in found.items():
            allowed = set()
            current = writer.before.get(key)
            for operation in writer.operations:
                if key not in operation.changes:
                    continue
                if operation.acked is None or operation.acked > horizon:
                    allowed.add(current)
                current = operation.changes[key]
            allowed.add(current)
            assert seq in allowed, "%r holds %s, may hold %s" % (
                key, seq, sorted(allowed, key=str))
