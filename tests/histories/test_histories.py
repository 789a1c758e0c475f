"""Many clients on few keys while values move between tiers: every history of
a key is linearizable, and transactions have an order.

--seconds=N      how long each number of clients is tried
LARDER_SEED=N    the same commands again (their order depends on the machine)
"""

import time

import pytest

from histories import append, linear
from histories.clients import Clients
from support import seed
from support.resp import decode, encode

LARDER_CONFIG = ["maxmemory 24mb"]
# Calls a key at once before all clients pause: bounds the search.
BURST = 40
COMMANDS = {
    b"text": [b"GET", b"GET", b"SET", b"GETSET", b"GETDEL", b"SETNX",
              b"APPEND", b"DEL", b"EXISTS", b"STRLEN"],
    b"number": [b"GET", b"INCRBY", b"INCRBY", b"INCRBY", b"DEL"],
    b"list": [b"RPUSH", b"RPUSH", b"LPOP", b"LPOP", b"LLEN", b"LRANGE",
              b"DEL", b"EXISTS"],
}
KEYS = [kind + b":%d" % n for kind in COMMANDS for n in range(2)]


def mover(chance, keys):
    def move():
        if chance.random() < 0.2:
            return ["TIER", "PROMOTE"] + chance.sample(keys, 2)
        return ["TIER", "DEMOTE"] + chance.sample(
            keys, chance.randint(1, len(keys))) + [
                "TO", chance.choice(["COLD", "DRY"])]
    return move


class Requests:
    """Commands on KEYS; `value` never gives the same twice."""

    def __init__(self, chance):
        self.chance = chance
        self.left = 0
        self.number = 0
        self.calls = {key: [] for key in KEYS}

    def value(self):
        self.number += 1
        text = b"<%d>" % self.number
        return text * self.chance.choice([1, 1, 20, 400])

    def next(self):
        if self.left == 0:
            return None
        self.left -= 1
        key = self.chance.choice(KEYS)
        name = self.chance.choice(COMMANDS[key.split(b":")[0]])
        words = [name, key]
        if name == b"INCRBY":
            words.append(b"%d" % self.chance.randint(1, 9))
        elif name == b"LRANGE":
            words += [b"0", b"-1"]
        elif name in (b"SET", b"GETSET", b"SETNX", b"APPEND", b"RPUSH"):
            words.append(self.value())
        return words, encode(*words), 1

    def done(self, words, invoked, returned, replies):
        self.calls[words[1]].append(
            linear.Call(invoked, returned, words, replies[0]))


def shown(call):
    return "%.6f %.6f %s %r -> %r" % (
        call.invoked, call.returned, call.words[0].decode(),
        [word[:20] for word in call.words[2:]], call.reply[:60])


@pytest.mark.parametrize("count", [8, 24, 64])
def test_every_key_is_linearizable(larder, count, seconds):
    chance = seed.chance("keys, %d clients" % count)
    with larder.connect() as connection:
        connection.command("FLUSHALL")
    clients = Clients(larder, count, mover(chance, KEYS))
    states = dict.fromkeys(KEYS)
    until, calls = time.monotonic() + seconds / 5, 0
    while time.monotonic() < until or calls < 3000:
        requests = Requests(chance)
        requests.number = calls
        requests.left = BURST * len(KEYS)
        calls += requests.left
        clients.run(requests.next, requests.done)
        for key, history in requests.calls.items():
            # One read alone, so that there is one state to go on from.
            now = time.monotonic()
            name = [b"LRANGE", key, b"0", b"-1"] if key.startswith(
                b"list") else [b"GET", key]
            reply = clients.connections[0].command(*name)
            history.append(linear.Call(now, time.monotonic(), name, reply))
            finals = linear.linearize(history, states[key])
            assert finals, "%r is not linearizable from %r:\n%s" % (
                key, states[key], "\n".join(map(shown, history)))
            states[key], = finals
    clients.close()
    print("%d calls, %d moves" % (calls, clients.moved))
    assert clients.moved > calls / 100


SCRIPT = """
local out = {}
for at = 1, #KEYS do
    if ARGV[at] == '' then
        out[at] = redis.call('LRANGE', KEYS[at], 0, -1)
    else
        out[at] = redis.call('RPUSH', KEYS[at], ARGV[at])
    end
end
return out"""


class Transactions:
    """Appends and reads of one to four lists, by MULTI or by a script."""

    def __init__(self, chance, count):
        self.chance = chance
        self.left = count
        self.keys = [b"append:%d" % n for n in range(5)]
        self.found = []

    def next(self):
        if self.left == 0:
            return None
        self.left -= 1
        operations = [
            (self.chance.choice(self.keys),
             b"%d.%d" % (self.left, n) if self.chance.random() < 0.5 else None)
            for n in range(self.chance.randint(1, 4))]
        if self.chance.random() < 0.3:
            words = [b"EVAL", SCRIPT, b"%d" % len(operations)]
            words += [key for key, _ in operations]
            words += [element or b"" for _, element in operations]
            return operations, encode(*words), 1
        data = [encode("MULTI")]
        for key, element in operations:
            data.append(encode("RPUSH", key, element) if element else
                        encode("LRANGE", key, "0", "-1"))
        data.append(encode("EXEC"))
        return operations, b"".join(data), len(data)

    def done(self, operations, invoked, returned, replies):
        self.found.append(append.Transaction(
            invoked, returned, operations, decode(replies[-1])))


@pytest.mark.parametrize("count", [8, 64])
def test_transactions_have_an_order(larder, count, seconds):
    chance = seed.chance("transactions, %d clients" % count)
    until, rounds = time.monotonic() + seconds / 5, 0
    while time.monotonic() < until or rounds < 1:
        rounds += 1
        with larder.connect() as connection:
            connection.command("FLUSHALL")
            transactions = Transactions(chance, 1500)
            clients = Clients(larder, count, mover(chance, transactions.keys))
            clients.run(transactions.next, transactions.done)
            finals = {key: connection.value("LRANGE", key, 0, -1)
                      for key in transactions.keys}
        clients.close()
        append.check(transactions.found, finals)
        assert clients.moved > 20
