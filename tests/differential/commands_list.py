"""Generators for lists; see commands.py."""

from differential import values

ELEMENTS = [b"a", b"b", b"c", b"1", b"2", b"-7", b"", b"\x00\r\n",
            b"9223372036854775807", b"-4611686018427387905", b"e" * 63,
            b"e" * 200]


def element(p):
    return p.choice(ELEMENTS) if p.chance(0.85) else p.value()


def elements(p, most=4):
    if p.chance(0.02):
        return [b"n:%d" % p.random.randrange(50)
                for _ in range(p.random.randint(100, 400))]
    return [element(p) for _ in range(p.random.randint(1, most))]


def index(p):
    if p.chance(0.8):
        return b"%d" % p.random.randint(-8, 8)
    return p.index()


def side(p):
    return p.case(p.choice([b"LEFT", b"RIGHT"])) if p.chance(0.97) else p.word()


def pop(p):
    args = [p.key()]
    if p.chance(0.5):
        args.append(p.choice([b"0", b"1", b"2", b"5", b"1000", b"-1", b"x"]))
    return args


def pos(p):
    args = [p.key(), element(p)]
    for word in (b"RANK", b"COUNT", b"MAXLEN"):
        if p.chance(0.35):
            args += [p.case(word), p.choice(
                [b"0", b"1", b"2", b"-1", b"-2", b"3", b"100", b"x",
                 b"9223372036854775807", b"-9223372036854775808"])]
    if p.chance(0.03):
        args.append(p.word())
    return args


def push(p):
    return [p.key()] + elements(p)


def mpop(ends):
    """Of LMPOP, or of ZMPOP."""
    def make(p):
        keys = [p.key() for _ in range(p.random.randint(1, 3))]
        numkeys = b"%d" % len(keys)
        if p.chance(0.05):
            numkeys = p.choice([b"0", b"1", b"4", b"-1", b"x"])
        args = [numkeys] + keys
        args.append(p.case(p.choice(ends)) if p.chance(0.97) else p.word())
        if p.chance(0.5):
            args += [p.case(b"COUNT"), p.choice(
                [b"1", b"2", b"5", b"1000", b"9223372036854775807", b"0",
                 b"-1", b"x"])]
        return args
    return make


ROWS = [
    ("LMPOP", 8, mpop([b"LEFT", b"RIGHT"])),
    ("LPUSH", 15, push),
    ("RPUSH", 15, push),
    ("LPUSHX", 5, push),
    ("RPUSHX", 5, push),
    ("LPOP", 10, pop),
    ("RPOP", 10, pop),
    ("LLEN", 5, lambda p: [p.key()]),
    ("LINDEX", 8, lambda p: [p.key(), index(p)]),
    ("LSET", 8, lambda p: [p.key(), index(p), element(p)]),
    ("LINSERT", 8, lambda p: [
        p.key(),
        p.case(p.choice([b"BEFORE", b"AFTER"])) if p.chance(0.97) else p.word(),
        element(p), element(p)]),
    ("LRANGE", 15, lambda p: [p.key(), index(p), index(p)]),
    ("LTRIM", 6, lambda p: [p.key(), index(p), index(p)]),
    ("LREM", 8, lambda p: [
        p.key(), p.choice([b"0", b"1", b"-1", b"2", b"-3",
                           p.choice(values.NO_INTEGERS),
                           b"-9223372036854775808"]), element(p)]),
    ("LPOS", 8, pos),
    ("LMOVE", 8, lambda p: [p.key(), p.key(), side(p), side(p)]),
    ("RPOPLPUSH", 6, lambda p: [p.key(), p.key()]),
]
