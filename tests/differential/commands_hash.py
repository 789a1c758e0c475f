"""Generators for hashes; see commands.py."""

from differential import values

FIELDS = [b"f1", b"f2", b"f3", b"name", b"7", b"-12", b"", b"\x00\xff",
          b"f" * 63, b"f" * 64, b"f" * 65, b"f" * 200]
# Many: beyond the compact form's 512.
MANY = [b"n:%d" % i for i in range(700)]


def field(p):
    p_field = p.random.random()
    if p_field < 0.9:
        return p.choice(FIELDS)
    return p.choice(MANY)


def fields(p, most=4):
    return [field(p) for _ in range(p.random.randint(1, most))]


def pairs(p):
    args = [p.key()]
    if p.chance(0.02):
        start = p.random.randrange(len(MANY) - 300)
        for name in MANY[start:start + 300]:
            args += [name, b"v%d" % p.random.randrange(100)]
        return args
    for _ in range(p.random.randint(1, 5)):
        args += [field(p), p.value()]
    return args


def scan(p):
    args = [p.key(), p.choice(values.NO_INTEGERS) if p.chance(0.1) else b"0"]
    if p.chance(0.8):
        args += [p.case(b"COUNT"), p.choice(
            [b"10000"] * 6 + [b"0", b"-1", b"x", b"1"])]
    if p.chance(0.3):
        args += [p.case(b"MATCH"), p.pattern()]
    if p.chance(0.05):
        args += [p.case(b"TYPE"), b"hash"]
    return args


def random_field(p):
    """Random, so what is compared is the shape: see compare.py."""
    args = [p.key()]
    if p.chance(0.8):
        args.append(p.choice([b"0", b"1", b"-1", b"3", b"-5", b"1000",
                              b"x", b"9223372036854775807",
                              b"-9223372036854775808"]))
        if p.chance(0.5):
            args.append(p.case(p.choice([b"WITHVALUES", b"WITHVALUES", b"X"])))
    return args


def key_field(p):
    return [p.key(), field(p)]


ROWS = [
    ("HSET", 25, pairs),
    ("HMSET", 5, pairs),
    ("HSETNX", 8, lambda p: [p.key(), field(p), p.value()]),
    ("HGET", 15, key_field),
    ("HMGET", 8, lambda p: [p.key()] + fields(p)),
    ("HDEL", 12, lambda p: [p.key()] + fields(p)),
    ("HLEN", 6, lambda p: [p.key()]),
    ("HSTRLEN", 5, key_field),
    ("HEXISTS", 6, key_field),
    ("HKEYS", 5, lambda p: [p.key()]),
    ("HVALS", 5, lambda p: [p.key()]),
    ("HGETALL", 8, lambda p: [p.key()]),
    ("HINCRBY", 10, lambda p: [p.key(), field(p), p.maybe_integer(0.1)]),
    ("HINCRBYFLOAT", 8, lambda p: [p.key(), field(p), p.maybe_float()]),
    ("HSCAN", 5, scan),
    ("HRANDFIELD", 5, random_field),
]
