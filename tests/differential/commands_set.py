"""Generators for sets; see commands.py."""

from differential import values

MEMBERS = [b"a", b"b", b"c", b"1", b"2", b"3", b"-7", b"", b"\x00\r\n",
           b"m" * 64, b"m" * 300, b"9223372036854775807",
           b"-9223372036854775808", b"4611686018427387904", b"01", b"1.0"]
INTEGERS = [b"%d" % i for i in range(700)]


def member(p):
    q = p.random.random()
    if q < 0.7:
        return p.choice(MEMBERS)
    return p.choice(INTEGERS[:40]) if q < 0.95 else p.value()


def members(p, most=4):
    if p.chance(0.02):
        start = p.random.randrange(len(INTEGERS) - 300)
        return INTEGERS[start:start + 300]
    return [member(p) for _ in range(p.random.randint(1, most))]


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
    if p.chance(0.7):
        args.append(p.choice([b"0", b"1", b"-1", b"3", b"-5", b"1000", b"x",
                              b"9223372036854775807"]))
    return args


def pop(p):
    """All or nothing: what a random member is cannot be compared."""
    return [p.key(), p.choice([b"0", b"100000", b"100000", b"-1", b"x"])]


def operation(p):
    return p.keys()


ROWS = [
    ("SADD", 25, lambda p: [p.key()] + members(p)),
    ("SREM", 12, lambda p: [p.key()] + members(p)),
    ("SCARD", 6, lambda p: [p.key()]),
    ("SISMEMBER", 8, lambda p: [p.key(), member(p)]),
    ("SMISMEMBER", 5, lambda p: [p.key()] + members(p)),
    ("SMEMBERS", 8, lambda p: [p.key()]),
    ("SMOVE", 6, lambda p: [p.key(), p.key(), member(p)]),
    ("SPOP", 2, pop),
    ("SRANDMEMBER", 4, random_member),
    ("SSCAN", 5, scan),
    ("SINTER", 5, operation),
    ("SUNION", 5, operation),
    ("SDIFF", 5, operation),
    ("SINTERSTORE", 4, lambda p: [p.key()] + p.keys()),
    ("SUNIONSTORE", 4, lambda p: [p.key()] + p.keys()),
    ("SDIFFSTORE", 4, lambda p: [p.key()] + p.keys()),
]
