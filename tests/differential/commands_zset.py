"""Generators for sorted sets; see commands.py. Ranges of members are in
tests/integration/test_60_collections.py: they mean something only where all
scores are equal."""

from differential import commands_list, values

MEMBERS = [b"a", b"b", b"c", b"d", b"e", b"1", b"2", b"-7", b"", b"\x00\r\n",
           b"m" * 64, b"m" * 65, b"m" * 32 + b"x", b"m" * 32 + b"y", b"m" * 200]
MANY = [b"n:%d" % i for i in range(200)]
# Minus zero is zero here, which Redis keeps apart.
SCORES = [b"0", b"1", b"2", b"3", b"-1", b"1.5", b"1e10", b"-1e308", b"inf",
          b"-inf", b"+inf", b"5e-324", b"0.1", b"3.0", b"1e17",
          b"9007199254740993", b"2147483648"]
NO_SCORES = [b"", b"x", b"nan", b" 1", b"1 ", b"1e400x", b"1\x00"]


def member(p):
    return p.choice(MEMBERS) if p.chance(0.9) else p.choice(MANY)


def members(p, most=4):
    return [member(p) for _ in range(p.random.randint(1, most))]


def score(p):
    return p.choice(NO_SCORES) if p.chance(0.03) else p.choice(SCORES)


def bound(p):
    if p.chance(0.05):
        return p.choice(NO_SCORES)
    return (b"(" if p.chance(0.3) else b"") + p.choice(SCORES)


def rank(p):
    return b"%d" % p.random.randint(-8, 8) if p.chance(0.9) else p.index()


def add(p):
    args = [p.key()]
    for word in (b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"):
        if p.chance(0.12):
            args.append(p.case(word))
    if p.chance(0.03):
        start = p.random.randrange(len(MANY) - 140)
        for name in MANY[start:start + 140]:
            args += [b"%d" % p.random.randrange(30), name]
        return args
    for _ in range(p.random.randint(1, 4)):
        args += [score(p), member(p)]
    return args


def limit(p):
    return [p.case(b"LIMIT"), p.choice([b"0", b"1", b"2", b"-1", b"x", b"100"]),
            p.choice([b"0", b"1", b"2", b"-1", b"100", b"x"])]


def range_(p, store=False):
    args = [p.key(), p.key()] if store else [p.key()]
    kind = p.choice([b"", b"", b"BYSCORE"])
    make = {b"": rank, b"BYSCORE": bound}[kind]
    args += [make(p), make(p)]
    if kind:
        args.append(p.case(kind))
    if p.chance(0.3):
        args.append(p.case(b"REV"))
    if p.chance(0.3):
        args += limit(p)
    if p.chance(0.3):
        args.append(p.case(b"WITHSCORES"))
    if p.chance(0.03):
        args.append(p.word())
    return args


def old_range(make):
    def generate(p):
        args = [p.key(), make(p), make(p)]
        if p.chance(0.3):
            args += limit(p)
        if p.chance(0.3):
            args.append(p.case(b"WITHSCORES"))
        return args
    return generate


def pop(p):
    args = [p.key()]
    if p.chance(0.5):
        args.append(p.choice([b"0", b"1", b"2", b"5", b"1000", b"-1", b"x"]))
    return args


def scan(p):
    args = [p.key(), p.choice(values.NO_INTEGERS) if p.chance(0.1) else b"0"]
    if p.chance(0.8):
        args += [p.case(b"COUNT"), p.choice(
            [b"10000"] * 6 + [b"0", b"-1", b"x", b"1"])]
    if p.chance(0.3):
        args += [p.case(b"MATCH"), p.pattern()]
    return args


def random_member(p):
    args = [p.key()]
    if p.chance(0.8):
        args.append(p.choice([b"0", b"1", b"-1", b"3", b"-5", b"1000", b"x"]))
        if p.chance(0.5):
            args.append(p.case(p.choice([b"WITHSCORES", b"X"])))
    return args


def sources(p, weights=True, scores=True, limit_=False):
    """numkeys, keys, and options behind them."""
    keys = p.keys()
    count = b"%d" % len(keys) if p.chance(0.95) else p.choice(
        [b"0", b"-1", b"x", b"100", b"9223372036854775807"])
    args = [count] + keys
    if weights and p.chance(0.3):
        args += [p.case(b"WEIGHTS")] + [score(p) for _ in keys]
    if weights and p.chance(0.3):
        args += [p.case(b"AGGREGATE"), p.case(p.choice(
            [b"SUM", b"MIN", b"MAX", b"MIN", b"x"]))]
    if scores and p.chance(0.4):
        args.append(p.case(b"WITHSCORES"))
    if limit_ and p.chance(0.5):
        args += [p.case(b"LIMIT"), p.choice([b"0", b"1", b"2", b"-1", b"x"])]
    return args


def stored(weights):
    return lambda p: [p.key()] + sources(p, weights, scores=False)


def between(make):
    return lambda p: [p.key(), make(p), make(p)]


ROWS = [
    ("ZMPOP", 8, commands_list.mpop([b"MIN", b"MAX"])),
    ("ZADD", 30, add),
    ("ZINCRBY", 10, lambda p: [p.key(), score(p), member(p)]),
    ("ZREM", 10, lambda p: [p.key()] + members(p)),
    ("ZCARD", 4, lambda p: [p.key()]),
    ("ZSCORE", 6, lambda p: [p.key(), member(p)]),
    ("ZMSCORE", 4, lambda p: [p.key()] + members(p)),
    ("ZRANK", 5, lambda p: [p.key(), member(p)]),
    ("ZREVRANK", 4, lambda p: [p.key(), member(p)]),
    ("ZCOUNT", 5, between(bound)),
    ("ZRANGE", 15, range_),
    ("ZRANGESTORE", 5, lambda p: range_(p, True)),
    ("ZREVRANGE", 4, old_range(rank)),
    ("ZRANGEBYSCORE", 5, old_range(bound)),
    ("ZREVRANGEBYSCORE", 4, old_range(bound)),
    ("ZREMRANGEBYRANK", 3, between(rank)),
    ("ZREMRANGEBYSCORE", 3, between(bound)),
    ("ZPOPMIN", 5, pop),
    ("ZPOPMAX", 5, pop),
    ("ZUNION", 4, sources),
    ("ZINTER", 4, sources),
    ("ZDIFF", 4, lambda p: sources(p, weights=False)),
    ("ZUNIONSTORE", 4, stored(True)),
    ("ZINTERSTORE", 4, stored(True)),
    ("ZDIFFSTORE", 4, stored(False)),
    ("ZINTERCARD", 3, lambda p: sources(p, False, False, True)),
    ("SINTERCARD", 3, lambda p: sources(p, False, False, True)),
    ("ZSCAN", 4, scan),
    ("ZRANDMEMBER", 4, random_member),
]
