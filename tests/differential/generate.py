"""Programs: lists of operations for both servers, from a seed.

    ("both", [word, ...])    sent to both, replies compared
    ("larder", [word, ...])  sent to larder only: moves between tiers
    ("sync", None)           ends a pipeline: replies are read
    ("expire", [words, ...]) commands for both that let keys expire soon, and
                             a pause until they have
    ("walk", [word, ...])    a whole SCAN from 0 to 0, with these arguments
    ("random", [])           a RANDOMKEY that must name one of the keys
    ("size", [])             a DBSIZE, after all keys were seen once
    ("counters", [])         what INFO counted since the program began
    ("restart", [])          larder stops and starts; both SELECT 0
"""

import random

from differential import commands, values

LONGEST_PIPELINE = 80
# What is made to expire soon lives at most so long. play.py then pauses for
# longer, so that both servers agree on which keys are gone.
SHORT_LIFE_MS = 15
RISKY = {
    # Relative times: command -> (index of the time, what is too soon).
    b"SETEX": (2, 100), b"PSETEX": (2, 100000), b"EXPIRE": (2, 100),
    b"PEXPIRE": (2, 100000),
}
RISKY_OPTIONS = {b"EX": 100, b"PX": 100000}
# Commands that delete a key without looking whether it has expired: Redis
# counts a change when it has and nobody noticed yet. Command -> the key.
DELETES_UNSEEN = {
    b"BITOP": 2,
    b"ZUNIONSTORE": 1,
    b"ZINTERSTORE": 1,
    b"ZDIFFSTORE": 1,
    b"ZRANGESTORE": 1,
    b"SUNIONSTORE": 1,
    b"SINTERSTORE": 1,
    b"SDIFFSTORE": 1,
    b"GEOSEARCHSTORE": 1,
}
# ... and those that name it behind an option.
DELETES_UNSEEN_OPTIONS = {
    b"SORT": (b"STORE",),
    b"GEORADIUS": (b"STORE", b"STOREDIST"),
    b"GEORADIUSBYMEMBER": (b"STORE", b"STOREDIST"),
}


def as_integer(word):
    try:
        return int(word)
    except ValueError:
        return None


def runs_out(args):
    """True when a key would expire at about the time of the test."""
    name = args[0].upper()
    times = []
    if name in RISKY and len(args) > RISKY[name][0]:
        times.append((args[RISKY[name][0]], RISKY[name][1]))
    if name in (b"SET", b"GETEX"):
        times += [
            (args[i + 1], RISKY_OPTIONS[args[i].upper()])
            for i in range(1, len(args) - 1)
            if args[i].upper() in RISKY_OPTIONS
        ]
    return any(
        as_integer(time) is not None and 0 < as_integer(time) < limit
        for time, limit in times
    )


def blocks(args):
    """True for a read of streams that may wait for one."""
    times = [as_integer(time) for word, time in zip(args, args[1:])
             if word.upper() == b"BLOCK"]
    return any(time is not None and time >= 0 for time in times)


def waits(args):
    """True for a WAIT that Redis would really wait for."""
    replicas = as_integer(args[1]) if len(args) > 1 else None
    return replicas is not None and replicas > 0


def floods(args):
    """True for so many random members that Redis answers for minutes."""
    count = as_integer(args[2]) if len(args) > 2 else None
    return count is not None and -2 ** 63 < count < -10000


def pops_any(args):
    """True for an SPOP of some of a set's members: which is left to chance."""
    count = as_integer(args[2]) if len(args) > 2 else None
    return len(args) == 2 or (count is not None and 0 < count < 100000)


def tells_time(args):
    """True for an XADD whose id would be the clock's."""
    return any(word.split(b"\x00")[0] == b"*" for word in args[2:])


# Redis' SORT takes an error of an earlier conversion for its own, until a
# number is read by something that forgets it first: this does.
FORGETS_ERRORS = [b"ZADD", b"no such key", b"XX", b"1", b"member"]
SORTS = (b"SORT", b"SORT_RO")
# Such an error comes, too, when Redis' SORT gives a sorted set its large form
# and a score is as small as 5e-324: so it has that form before.
ENLARGES = [b"BY", b"nosort", b"LIMIT", b"0", b"0"]


def stores_any_order(args):
    """True for a SORT that would store what may be in another order in
    Redis: texts that are equal."""
    words = [word.upper() for word in args]
    by = [args[i + 1] for i in range(2, len(args) - 1) if words[i] == b"BY"]
    return b"STORE" in words and any(b"*" in pattern for pattern in by)


# What is not played of a command.
REFUSED = {
    b"SET": runs_out, b"GETEX": runs_out, **dict.fromkeys(RISKY, runs_out),
    b"XREAD": blocks, b"XREADGROUP": blocks, b"WAIT": waits,
    b"HRANDFIELD": floods, b"SRANDMEMBER": floods, b"ZRANDMEMBER": floods,
    b"SPOP": pops_any, b"XADD": tells_time, b"SORT": stores_any_order,
}


def deleted_unseen(args):
    """The keys that the command deletes without looking (DELETES_UNSEEN)."""
    name = args[0].upper()
    if name in DELETES_UNSEEN_OPTIONS:
        return [key for word, key in zip(args[2:], args[3:])
                if word.upper() in DELETES_UNSEEN_OPTIONS[name]]
    at = DELETES_UNSEEN.get(name, len(args))
    return args[at:at + 1]


class Generator:
    def __init__(self, seed, moves):
        self.pool = values.Pool(random.Random(seed))
        self.moves = moves
        rows = [row for family in commands.FAMILIES for row in family]
        self.rows = rows
        self.weights = self.cumulate(row[1] for row in rows)

    @staticmethod
    def cumulate(weights):
        total, sums = 0, []
        for weight in weights:
            total += weight
            sums.append(total)
        return sums

    def program(self, count):
        """About `count` commands for both."""
        ops, made = [], 0
        while made < count:
            length = self.pool.random.randint(1, LONGEST_PIPELINE)
            for _ in range(length):
                ops += self.command()
            made += length
            ops += self.end_pipeline()
        return ops

    def command(self):
        p = self.pool
        ops = []
        if p.chance(self.moves):
            ops.append(("larder", self.move()))
        words = self.words()
        for key in deleted_unseen(words):
            ops.append(("both", [b"EXISTS", key]))
        if words[0].upper() in SORTS:
            ops += [("both", [b"SORT_RO", key, *ENLARGES])
                    for key in words[1:2]]
            ops.append(("both", FORGETS_ERRORS))
        ops.append(("both", words))
        return ops

    def move(self):
        """Values to another tier; only larder is told."""
        p = self.pool
        if p.chance(0.1):
            return [b"TIER", b"PROMOTE"] + p.keys()
        if p.chance(0.02):
            return [b"TIER", b"FLUSH", p.choice([b"HOT", b"COLD", b"ALL"])]
        keys = p.keys(2) if p.chance(0.9) else values.HLL_KEYS
        return ([b"TIER", b"DEMOTE"] + keys +
                [b"TO", p.choice([b"COLD", b"DRY", b"DRY"])])

    def words(self):
        while True:
            row = self.pool.random.choices(
                self.rows, cum_weights=self.weights)[0]
            args = [self.pool.case(row[0])] + row[2](self.pool)
            if self.pool.chance(0.04):
                args = self.spoil(args)
            refused = REFUSED.get(args[0].upper())
            if refused is None or not refused(args):
                return args

    def spoil(self, args):
        """An argument too many, too few, or of the wrong kind."""
        p = self.pool
        at = p.random.randint(1, len(args))
        what = p.random.randrange(3)
        if what == 0:
            return args[:at] + [p.choice([p.word, p.value])()] + args[at:]
        if what == 1:
            return args[:at]
        return args[:at] + [p.choice([p.word, p.value, p.integer])()] + args[
            at + 1:]

    def end_pipeline(self):
        p = self.pool
        if p.chance(0.03):
            return [("expire", self.short_lives())]
        if p.chance(0.03):
            return [("walk", self.walk_options()), ("random", []),
                    ("size", []), ("counters", [])]
        if self.moves and p.chance(0.002):
            return [("restart", [])]
        return [("sync", None)]

    def short_lives(self):
        """Each for another key: one may be gone at once."""
        p = self.pool
        commands = []
        for key in sorted({p.key() for _ in range(p.random.randint(1, 4))}):
            ms = b"%d" % p.random.randint(1, SHORT_LIFE_MS)
            commands.append(p.choice([
                [b"PEXPIRE", key, ms],
                [b"SET", key, p.value(), b"PX", ms],
                [b"PSETEX", key, ms, p.value()],
                [b"GETEX", key, b"PX", ms],
            ]))
        return commands

    def walk_options(self):
        p = self.pool
        args = []
        if p.chance(0.7):
            args += [b"COUNT", p.choice([b"1", b"2", b"5", b"100"])]
        if p.chance(0.3):
            args += [b"MATCH", p.pattern()]
        if p.chance(0.2):
            args += [b"TYPE", b"string"]
        return args
