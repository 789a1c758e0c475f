"""One generator a command: arguments from a Pool.

To add a command: a function that returns its arguments (without the name),
and a row in the table of its family: name, weight, function; larger families
have a file of their own, commands_*.py. Nothing else
knows commands, except compare.py for those whose replies may differ.
"""

from differential import (
    commands_bits, commands_geo, commands_hash, commands_list, commands_set,
    commands_sort, commands_stream, commands_zset, values)


def table(*rows):
    return [(name.encode(), weight, make) for name, weight, make in rows]


# ---- strings ----

def lifetime(p, last_word):
    """EX seconds and so on, or `last_word` alone."""
    word, time = p.choice([
        (b"EX", p.seconds), (b"PX", p.milliseconds), (b"EXAT", p.unix_seconds),
        (b"PXAT", p.unix_milliseconds), (last_word, None)])
    return [p.case(word)] + ([time()] if time else [])


def set_(p):
    args = [p.key(), p.value()]
    options = []
    if p.chance(0.3):
        options.append([p.case(p.choice([b"NX", b"XX"]))])
    if p.chance(0.3):
        options.append([p.case(b"GET")])
    if p.chance(0.4):
        options.append(lifetime(p, b"KEEPTTL"))
    if p.chance(0.03):
        options.append([p.word()])
    if p.chance(0.05):
        options.append(lifetime(p, b"KEEPTTL"))
    p.random.shuffle(options)
    return args + [word for option in options for word in option]


def getex(p):
    args = [p.key()]
    for _ in range(p.choice([0, 1, 1, 1, 1, 2])):
        args += lifetime(p, b"PERSIST")
    return args


def pairs(p):
    args = []
    for _ in range(p.random.randint(1, 4)):
        args += [p.key(), p.value()]
    return args


def lcs(p):
    args = [p.key(), p.key()]
    for word in (b"LEN", b"IDX", b"WITHMATCHLEN"):
        if p.chance(0.35):
            args.append(p.case(word))
    if p.chance(0.3):
        args += [p.case(b"MINMATCHLEN"), p.maybe_integer(0.1)]
    return args


def setrange(p):
    """Offsets within reach, or beyond proto-max-bulk-len."""
    offset = p.choice([
        b"%d" % p.random.randrange(80),
        b"%d" % p.choice(values.SIZES),
        p.choice(values.NO_INTEGERS),
        p.choice([b"-1", b"1048575", b"1048576", b"536870912",
                  b"9223372036854775807", b"-9223372036854775808"]),
    ])
    value = p.value()
    return [p.key(), offset, value if len(value) < 5000 else b"part"]


def key_only(p):
    return [p.key()]


def key_value(p):
    return [p.key(), p.value()]


STRINGS = table(
    ("GET", 30, key_only),
    ("SET", 40, set_),
    ("SETNX", 5, key_value),
    ("SETEX", 5, lambda p: [p.key(), p.seconds(), p.value()]),
    ("PSETEX", 5, lambda p: [p.key(), p.milliseconds(), p.value()]),
    ("GETSET", 5, key_value),
    ("GETEX", 10, getex),
    ("GETDEL", 5, key_only),
    ("MGET", 8, lambda p: p.keys()),
    ("MSET", 8, pairs),
    ("MSETNX", 5, pairs),
    ("APPEND", 15, lambda p: [p.key(), p.value()]),
    ("STRLEN", 8, key_only),
    ("SETRANGE", 12, setrange),
    ("GETRANGE", 12, lambda p: [p.key(), p.index(), p.index()]),
    ("SUBSTR", 2, lambda p: [p.key(), p.index(), p.index()]),
    ("INCR", 8, key_only),
    ("DECR", 5, key_only),
    ("INCRBY", 8, lambda p: [p.key(), p.maybe_integer(0.1)]),
    ("DECRBY", 8, lambda p: [p.key(), p.maybe_integer(0.1)]),
    ("INCRBYFLOAT", 10, lambda p: [p.key(), p.maybe_float()]),
    ("LCS", 6, lcs),
)


# ---- keys of any type ----

def expire(time):
    def make(p):
        args = [p.key(), getattr(p, time)()]
        for _ in range(p.choice([0, 0, 1, 1, 2])):
            args.append(p.case(p.choice([b"NX", b"XX", b"GT", b"LT"])))
        if p.chance(0.02):
            args.append(p.word())
        return args
    return make


def copy(p):
    args = [p.key(), p.key()]
    if p.chance(0.4):
        args += [p.case(b"DB"), p.maybe_database()]
    if p.chance(0.4):
        args.append(p.case(b"REPLACE"))
    if p.chance(0.05):
        args.append(p.word())
    return args


def scan(p):
    args = [p.choice(values.NO_INTEGERS) if p.chance(0.2) else b"0"]
    if p.chance(0.7):
        args += [p.case(b"COUNT"), p.choice(
            [b"1000"] * 6 + [b"0", b"-1", b"x", b"9223372036854775807", b"1"])]
    if p.chance(0.4):
        args += [p.case(b"MATCH"), p.pattern()]
    if p.chance(0.2):
        args += [p.case(b"TYPE"), p.choice(
            [b"string", b"STRING", b"list", b"foo", b""])]
    if p.chance(0.03):
        args.append(p.word())
    return args


def object_(p):
    word = p.choice([b"ENCODING"] * 8 + [
        b"FREQ", b"IDLETIME", b"REFCOUNT", b"HELP", b"FOO", b""])
    args = [p.case(word)]
    return args if word == b"HELP" else args + [p.key()]


def flush(p):
    args = [p.case(p.choice([b"ASYNC", b"SYNC", b"FOO"]))]
    return args if p.chance(0.5) else []


def wait(p):
    """Only what Redis answers at once."""
    replicas = p.choice([b"0", b"-1", b"x", b"", b"9223372036854775808"])
    return [replicas, p.choice(
        [b"0", b"100", b"-1", b"x", b"9223372036854775807", b"1.5"])]


GENERIC = table(
    ("DEL", 8, lambda p: p.keys(2)),
    ("UNLINK", 4, lambda p: p.keys(2)),
    ("EXISTS", 8, lambda p: p.keys()),
    ("TYPE", 5, key_only),
    ("TTL", 8, key_only),
    ("PTTL", 8, key_only),
    ("EXPIRE", 8, expire("seconds")),
    ("PEXPIRE", 8, expire("milliseconds")),
    ("EXPIREAT", 8, expire("unix_seconds")),
    ("PEXPIREAT", 8, expire("unix_milliseconds")),
    ("EXPIRETIME", 5, key_only),
    ("PEXPIRETIME", 5, key_only),
    ("PERSIST", 6, key_only),
    ("RENAME", 8, lambda p: [p.key(), p.key()]),
    ("RENAMENX", 6, lambda p: [p.key(), p.key()]),
    ("COPY", 10, copy),
    ("MOVE", 6, lambda p: [p.key(), p.maybe_database()]),
    ("RANDOMKEY", 0.2, key_only),  # an error; see "random" in generate.py
    ("KEYS", 6, lambda p: [p.pattern()]),
    ("SCAN", 6, scan),
    ("OBJECT", 15, object_),
    ("TOUCH", 4, lambda p: p.keys()),
    ("WAIT", 1, wait),
    ("SELECT", 8, lambda p: [p.maybe_database()]),
    ("SWAPDB", 3, lambda p: [p.maybe_database(), p.maybe_database()]),
    ("FLUSHDB", 1, flush),
    ("FLUSHALL", 0.3, flush),
)


# ---- what belongs to no command ----

UNKNOWN = table(
    ("", 1, lambda p: p.keys(2)),
    ("foo", 1, lambda p: [p.value() for _ in range(p.random.randrange(3))]),
    ("GETT", 1, key_only),
    ("SE\r\nT", 0.5, key_value),
    ("x" * 200, 0.5, lambda p: p.keys(4)),
)

FAMILIES = [STRINGS, GENERIC, UNKNOWN]
FAMILIES += [table(*family.ROWS) for family in (
    commands_geo, commands_hash, commands_list, commands_set, commands_sort,
    commands_stream, commands_zset)]
FAMILIES += commands_bits.FAMILIES
