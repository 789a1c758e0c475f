"""Generators for bitmaps and HyperLogLogs; see commands.py."""

from differential import values

UNITS = [b"BYTE", b"BIT"]
# Few bytes, so that commands meet; then the limits.
FAR_OFFSETS = [
    b"8388607", b"8388608", b"8388600", b"4294967295", b"4294967296",
    b"-1", b"9223372036854775807", b"-9223372036854775808",
]


def offset(p):
    q = p.random.random()
    if q < 0.75:
        return b"%d" % p.random.randrange(200)
    if q < 0.9:
        return b"%d" % (p.choice(values.SIZES) * 8 + p.random.randrange(-1, 2))
    return p.choice(FAR_OFFSETS + values.NO_INTEGERS)


def bit(p):
    return p.choice([b"0", b"1", b"0", b"1", b"0", b"1", b"2", b"-1",
                     p.choice(values.NO_INTEGERS)]
                    if p.chance(0.2) else [b"0", b"1"])


def unit(p):
    return p.case(p.choice(UNITS)) if p.chance(0.97) else p.word()


def bitcount(p):
    args = [p.key()]
    if p.chance(0.8):
        args += [p.index(), p.index()]
        if p.chance(0.6):
            args.append(unit(p))
    return args


def bitpos(p):
    args = [p.key(), bit(p)]
    if p.chance(0.8):
        args.append(p.index())
        if p.chance(0.7):
            args.append(p.index())
            if p.chance(0.6):
                args.append(unit(p))
    return args


def bitop(p):
    word = p.choice([b"AND", b"OR", b"XOR", b"NOT"])
    sources = 1 if word == b"NOT" and p.chance(0.95) else p.random.randint(1, 4)
    if p.chance(0.02):
        word = p.word()
    return [p.case(word), p.key()] + [p.key() for _ in range(sources)]


def field_type(p):
    if p.chance(0.03):
        return p.choice([b"u64", b"i65", b"u0", b"i0", b"i", b"u", b"", b"I8",
                         b"u-1", b"x8", b"u08", b"i8 ", b"u9999999999"])
    width = p.choice([1, 2, 3, 5, 7, 8, 9, 15, 16, 31, 32, 33, 62, 63, 64])
    if width == 64 or p.chance(0.5):
        return b"i%d" % width
    return b"u%d" % width


def field_offset(p):
    if p.chance(0.4):
        return b"#" + (b"%d" % p.random.randrange(20) if p.chance(0.9)
                       else offset(p))
    return offset(p)


def field_value(p):
    if p.chance(0.3):
        shift = p.random.randrange(1, 64)
        return b"%d" % ((1 << shift) * p.choice([1, -1]) -
                        p.random.randrange(2))
    return p.maybe_integer(0.02)


def bitfield(p):
    args = [p.key()]
    for _ in range(p.choice([0, 1, 1, 2, 3, 6])):
        word = p.choice([b"GET", b"SET", b"SET", b"INCRBY", b"INCRBY",
                         b"OVERFLOW"])
        args.append(p.case(word))
        if word == b"OVERFLOW":
            args.append(p.case(p.choice([b"WRAP", b"SAT", b"FAIL"]))
                        if p.chance(0.97) else p.word())
            continue
        args += [field_type(p), field_offset(p)]
        if word != b"GET":
            args.append(field_value(p))
    return args


def bitfield_ro(p):
    if p.chance(0.1):
        return bitfield(p)
    args = [p.key()]
    for _ in range(p.choice([0, 1, 2, 4])):
        args += [p.case(b"GET"), field_type(p), field_offset(p)]
    return args


BITMAPS = [
    (b"SETBIT", 12, lambda p: [p.key(), offset(p), bit(p)]),
    (b"GETBIT", 8, lambda p: [p.key(), offset(p)]),
    (b"BITCOUNT", 10, bitcount),
    (b"BITPOS", 10, bitpos),
    (b"BITOP", 10, bitop),
    (b"BITFIELD", 15, bitfield),
    (b"BITFIELD_RO", 6, bitfield_ro),
]


# ---- HyperLogLogs ----

# Redis writes behind the end of some damaged ones. So they have keys of their
# own, and what is stored there covers more than all registers, or all.

def hll_key(p):
    return p.choice(values.HLL_KEYS)


def hll_source(p):
    return hll_key(p) if p.chance(0.9) else p.key()


def element(p):
    q = p.random.random()
    if q < 0.6:
        return b"%d" % p.random.randrange(30)
    if q < 0.9:
        return b"%d" % p.random.randrange(10**6)
    return p.value()


def pfadd(p):
    count = p.choice([0, 1, 1, 1, 2, 5, 20, 150])
    return [hll_key(p)] + [element(p) for _ in range(count)]


def sources(p):
    return [hll_source(p) for _ in range(p.random.randint(1, 4))]


def pfdebug(p):
    word = p.choice([b"DECODE"] * 4 + [b"ENCODING"] * 2 +
                    [b"GETREG", b"TODENSE", b"FOO"])
    return [p.case(word), hll_source(p)]


RUNS = [(b"\x00", 1), (b"\x3f", 64), (b"\x40\x00", 1), (b"\x5f\xff", 8192),
        (b"\x80", 1), (b"\x83", 4), (b"\xff", 4), (b"\x84", 1), (b"\x87", 4)]


def sparse(p):
    runs, left = b"", 16384
    for _ in range(p.random.randrange(9)):
        text, length = p.choice(RUNS)
        if length < left:
            runs, left = runs + text, left - length
    rest = left if p.chance(0.7) else p.random.randint(left, 16384)
    return (b"HYLL\x01\x00\x00\x00" + bytes(7) +
            p.choice([b"\x80", b"\x00"]) + runs +
            bytes([0x40 | (rest - 1) >> 8, (rest - 1) & 255]))


def hll_value(p):
    q = p.random.random()
    if q < 0.7:
        return sparse(p)
    head = b"HYLL" + p.choice([b"\x00", b"\x00", b"\x01", b"\x02"]) + bytes(10)
    dense = head[:4] + b"\x00" + head[5:] + b"\x80" + p.random.randbytes(12288)
    return dense if q < 0.9 else dense[:-1] if q < 0.95 else head


HYPERLOGLOGS = [
    (b"PFADD", 15, pfadd),
    (b"PFCOUNT", 10, sources),
    (b"PFMERGE", 6, lambda p: [hll_key(p)] + sources(p)),
    (b"PFDEBUG", 5, pfdebug),
    (b"SET", 4, lambda p: [hll_key(p), hll_value(p)]),
    (b"GET", 4, lambda p: [hll_key(p)]),
    (b"DEL", 3, lambda p: [hll_key(p)]),
    (b"OBJECT", 2, lambda p: [b"ENCODING", hll_key(p)]),
    (b"COPY", 2, lambda p: [hll_key(p), hll_key(p), b"REPLACE"]),
]

FAMILIES = [BITMAPS, HYPERLOGLOGS]
