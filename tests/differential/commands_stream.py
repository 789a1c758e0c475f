"""Generators for streams; see commands.py.

Ids are named in full, and few: made from the clock they would differ. "~" only
where both servers take away all or nothing: Redis goes by nodes.
"""

from differential import values

FIELDS = [b"f", b"g", b"1", b"23", b"", b"\x00\r\n", b"f" * 70]
GROUPS = [b"g", b"h", b"", b"G" * 40]
CONSUMERS = [b"c", b"d", b"e", b"Consumer", b""]
ODD_IDS = [
    b"", b"-", b"+", b"$", b">", b"*", b"x", b"1-", b"-1", b"1-x", b"1-1-1",
    b"1--1", b"2--01", b" 3-1", b"+3", b"3-+4", b"03-01", b"1-*", b"5-*x",
    b"1\x002", b"0-0", b"0", b"0-*", b"18446744073709551615",
    b"18446744073709551615-18446744073709551615", b"18446744073709551616",
    b"1-18446744073709551615", b"1-18446744073709551616",
    b"9223372036854775807-9223372036854775808", b"1" * 127, b"1" * 128, b"(1",
]


def id_(p):
    if p.chance(0.06):
        return p.choice(ODD_IDS)
    ms = p.random.randint(1, 9)
    if p.chance(0.2):
        return b"%d" % ms
    return b"%d-%d" % (ms, p.random.randint(0, 9))


def new_id(p):
    """Ids that grow, most of them."""
    roll = p.random.random()
    if roll < 0.5:
        return b"%d-*" % p.random.randint(1, 12)
    if roll < 0.6:
        return b"0-*"
    if roll < 0.7:
        return b"%d-%d" % (p.random.randint(5, 30), p.random.randint(0, 99))
    return id_(p)


def ids(p, most=4):
    if p.chance(0.02):
        return [b"%d-%d" % (p.random.randint(1, 9), i) for i in range(40)]
    return [id_(p) for _ in range(p.random.randint(1, most))]


def bound(p):
    roll = p.random.random()
    if roll < 0.3:
        return p.choice([b"-", b"+"])
    if roll < 0.45:
        return b"(" + id_(p)
    return id_(p)


def count(p):
    if p.chance(0.1):
        return p.choice(values.NO_INTEGERS)
    return p.choice([b"1", b"1", b"2", b"3", b"10", b"1000", b"0", b"-1",
                     b"9223372036854775807", b"-9223372036854775808"])


def trim(p, word=None):
    args = [p.case(word or p.choice([b"MAXLEN", b"MINID"]))]
    sign = p.random.random()
    length = args[0].upper() == b"MAXLEN"
    if sign < 0.15:
        args += [b"~", p.choice([b"0", b"100000"]) if length
                 else p.choice([b"0", b"18446744073709551615"])]
        if p.chance(0.4):
            args += [p.case(b"LIMIT"), p.choice(
                [b"0", b"100000", b"-1", b"x", b"9223372036854775807"])]
        return args
    if sign < 0.3:
        args.append(b"=")
    if length:
        args.append(p.choice([b"0", b"1", b"3", b"5", b"8", b"20", b"40", b"-1",
                              b"x", b"9223372036854775807"]))
    else:
        args.append(id_(p))
    if p.chance(0.04):
        args += [p.case(b"LIMIT"), p.choice([b"0", b"1", b"x"])]
    if p.chance(0.03):
        args += trim(p)
    return args


def pairs(p):
    if p.chance(0.01):
        return [b"n%d" % i for i in range(2 * p.random.randint(50, 200))]
    words = []
    for _ in range(p.choice([1, 1, 1, 2, 3])):
        words += [p.choice(FIELDS),
                  p.value() if p.chance(0.5) else p.choice(FIELDS)]
    return words


def add(p):
    args = [p.key()]
    if p.chance(0.08):
        args.append(p.case(b"NOMKSTREAM"))
    if p.chance(0.12):
        args += trim(p)
    return args + [new_id(p)] + pairs(p)


def range_(p):
    args = [p.key(), bound(p), bound(p)]
    if p.chance(0.35):
        args += [p.case(b"COUNT"), count(p)]
    return args


def xtrim(p):
    return [p.key()] + trim(p)


def setid(p):
    args = [p.key(), p.choice([b"20-0", b"9-9"]) if p.chance(0.6) else id_(p)]
    if p.chance(0.3):
        args += [p.case(b"ENTRIESADDED"), p.choice(
            [b"0", b"5", b"10", b"100", b"-1", b"x", b"9223372036854775807"])]
    if p.chance(0.3):
        args += [p.case(b"MAXDELETEDID"), id_(p)]
    return args


# ---- groups ----

# Idle times are either nothing or longer than a test takes.
LONG = [b"100000000", b"1000000000"]


def group(p):
    return p.choice(GROUPS[:2]) if p.chance(0.9) else p.choice(GROUPS)


def consumer(p):
    return p.choice(CONSUMERS[:3]) if p.chance(0.9) else p.choice(CONSUMERS)


def last_id(p):
    return p.choice([b"$", b"0", b"0"]) if p.chance(0.7) else id_(p)


def entries_read(p):
    return [p.case(b"ENTRIESREAD"), p.choice(
        [b"0", b"1", b"3", b"10", b"-1", b"-2", b"x", b"9223372036854775807"])]


def xgroup(p):
    word = p.choice([b"CREATE"] * 10 + [b"SETID"] * 3 + [
        b"DESTROY", b"CREATECONSUMER", b"CREATECONSUMER", b"DELCONSUMER",
        b"HELP", b"FOO"])
    args = [p.case(word)]
    if word == b"HELP" and p.chance(0.9):
        return args
    args += [p.key(), group(p)]
    if word in (b"CREATE", b"SETID"):
        args.append(last_id(p))
        if p.chance(0.5 if word == b"CREATE" else 0.03):
            args.append(p.case(b"MKSTREAM"))
        if p.chance(0.2):
            args += entries_read(p)
        if p.chance(0.03):
            args += entries_read(p)
    elif word != b"DESTROY":
        args.append(consumer(p))
    return args


def idle(p):
    return p.choice([b"0", b"0", b"-1", b"x"] + LONG)


def xpending(p):
    args = [p.key(), group(p)]
    if p.chance(0.3):
        return args
    if p.chance(0.3):
        args += [p.case(b"IDLE"), idle(p)]
    args += [bound(p), bound(p), count(p)]
    if p.chance(0.4):
        args.append(consumer(p))
    return args


def xclaim(p):
    args = [p.key(), group(p), consumer(p), idle(p)] + ids(p)
    for word, chance, make in (
            (b"IDLE", 0.2, lambda: p.choice([b"0", b"-5", b"x"] + LONG)),
            (b"TIME", 0.2, lambda: p.choice(
                [b"0", b"1000", b"-1", b"x", b"9223372036854775807"])),
            (b"RETRYCOUNT", 0.2, lambda: p.choice(
                [b"0", b"7", b"-1", b"x", b"4611686018427387000"])),
            (b"LASTID", 0.1, lambda: id_(p)),
            (b"FORCE", 0.5, None), (b"JUSTID", 0.3, None)):
        if p.chance(chance):
            args += [p.case(word)] + ([make()] if make else [])
    return args


def xautoclaim(p):
    args = [p.key(), group(p), consumer(p), idle(p),
            b"0" if p.chance(0.5) else bound(p)]
    if p.chance(0.5):
        args += [p.case(b"COUNT"), count(p)]
    if p.chance(0.3):
        args.append(p.case(b"JUSTID"))
    return args


def xinfo(p):
    word = p.choice([b"STREAM"] * 6 + [b"GROUPS"] * 3 + [b"CONSUMERS"] * 3 + [
        b"HELP", b"FOO"])
    args = [p.case(word)]
    if word == b"HELP" and p.chance(0.9):
        return args
    args.append(p.key())
    if word == b"CONSUMERS":
        args.append(group(p))
    elif word == b"STREAM" and p.chance(0.6):
        args.append(p.case(b"FULL"))
        if p.chance(0.5):
            args += [p.case(b"COUNT"), count(p)]
    return args


# ---- XREAD, XREADGROUP ----

def block(p):
    """Where nothing is waited for, or the error of a BLOCK."""
    return [p.case(b"BLOCK"), p.choice([b"-1", b"x", b"1.5", b""])]


def streams(p, odd):
    keys = [p.key() for _ in range(p.choice([1, 1, 1, 2, 3]))]
    return [p.case(b"STREAMS")] + keys + [
        p.choice(odd) if p.chance(0.5) else id_(p) for _ in keys]


def xread(p):
    args = []
    if p.chance(0.4):
        args += [p.case(b"COUNT"), count(p)]
    if p.chance(0.02):
        args += block(p)
    if p.chance(0.02):
        args.append(p.case(b"NOACK"))
    return args + streams(p, [b"0", b"0", b"$", b">"] if p.chance(0.05)
                          else [b"0", b"0", b"$"])


def xreadgroup(p):
    args = [p.case(b"GROUP"), group(p), consumer(p)]
    if p.chance(0.4):
        args += [p.case(b"COUNT"), count(p)]
    if p.chance(0.02):
        args += block(p)
    if p.chance(0.2):
        args.append(p.case(b"NOACK"))
    return args + streams(p, [b">", b">", b"0", b"$"] if p.chance(0.05)
                          else [b">", b">", b"0"])


ROWS = [
    ("XREAD", 15, xread),
    ("XREADGROUP", 30, xreadgroup),
    ("XADD", 40, add),
    ("XLEN", 5, lambda p: [p.key()]),
    ("XRANGE", 15, range_),
    ("XREVRANGE", 10, range_),
    ("XDEL", 10, lambda p: [p.key()] + ids(p)),
    ("XTRIM", 5, xtrim),
    ("XSETID", 3, setid),
    ("XGROUP", 20, xgroup),
    ("XACK", 6, lambda p: [p.key(), group(p)] + ids(p)),
    ("XPENDING", 12, xpending),
    ("XCLAIM", 15, xclaim),
    ("XAUTOCLAIM", 8, xautoclaim),
    ("XINFO", 12, xinfo),
]
