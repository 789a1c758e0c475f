"""What generated commands are made of: keys, values, numbers, odd words.

`Pool` wraps a random.Random; all choices come from it, so that a seed gives
the same commands each time. Nothing here looks at the clock.
"""

PLAIN_KEYS = [b"a", b"b", b"c", b"key:1", b"key:2", b"{tag}x"]
ODD_KEYS = [
    b"",
    b" ",
    b"\x00",
    b"\xff\r\n\x00bin",
    b"[x]*?",
    b"k" * 254,
    b"k" * 255,
    b"k" * 256,
    b"l" * 510,
    b"l" * 511,
    b"l" * 512,
    b"Key:1",
    b"12",
]
HUGE_KEY = b"h" * 65536
HLL_KEYS = [b"hll:1", b"hll:2", b"hll:3"]
KEYS = PLAIN_KEYS + ODD_KEYS + [HUGE_KEY]

INTEGERS = [
    0, 1, -1, 2, 9, 10, 99, 9999, 10000, 2**31 - 1, 2**31, -(2**31),
    -(2**31) - 1, 2**32, 2**53, 2**62, 2**63 - 1, -(2**63), 2**63 - 2,
    -(2**63) + 1,
]
NO_INTEGERS = [
    b"", b" ", b"x", b"1x", b" 1", b"1 ", b"+1", b"01", b"-0", b"-", b"1.0",
    b"1e3", b"0x10", b"9223372036854775808", b"-9223372036854775809",
    b"18446744073709551615", b"18446744073709551616", b"nan", b"1\x00",
    b"99999999999999999999999999",
]
FLOATS = [
    b"0", b"-0", b"-0.0", b"1", b"3.0", b"1.5", b"-1.5", b"0.1", b"3.0e3",
    b"1e17", b"1e18", b"1e-17", b"1e-18", b"5e-324", b"1e308", b"-1e308",
    b"1e400", b"1e4000", b"1e4932", b"-1e4932", b"1e5000", b"1e-5000",
    b"0x10", b"0x1p-3", b"123456789.123456789", b"9007199254740993",
    b"9223372036854775807", b".5", b"5.", b"+2", b"1E2",
]
NO_FLOATS = [
    b"", b" 1", b"1 ", b"x", b"1.5x", b"nan", b"-nan", b"inf", b"-inf",
    b"Infinity", b"1e", b"--1", b"1,5", b"1\x00",
]
WORDS = [
    b"NX", b"XX", b"GET", b"EX", b"PX", b"EXAT", b"PXAT", b"KEEPTTL",
    b"PERSIST", b"GT", b"LT", b"DB", b"REPLACE", b"LEN", b"IDX", b"COUNT",
    b"MATCH", b"TYPE", b"ASYNC", b"SYNC", b"foo", b"", b"\r\n", b"n\x00x",
    b"%s%n", b"*",
]
PATTERNS = [
    b"*", b"", b"?", b"a", b"k*", b"[a-c]", b"[^a-c]", b"[c-a]", b"*:[12]",
    b"[", b"[a", b"[^", b"\\", b"\\*", b"a\\", b"\\[x\\]*", b"[x]*", b"k?y*",
    b"**", b"*a*", b"h*h", b"*\xff*", b"K*", b"???", b"[]a", b"[a-]",
    b"[\\]x]", b"{tag}*",
]
# Around where encodings, inline sizes and zero-copy ways begin.
SIZES = [
    1, 2, 8, 19, 20, 21, 32, 43, 44, 45, 46, 63, 64, 65, 254, 255, 256, 511,
    512, 1000, 4095, 4096,
]
BIG_SIZES = [
    16383, 16384, 16385, 32767, 32768, 32769, 65535, 65536, 100000,
]
FUTURE_SECONDS = [4102444800, 9223372036854775, 99999999999]
PAST_SECONDS = [1, 1000000000, 1600000000]


class Pool:
    def __init__(self, random):
        self.random = random
        self.choice = random.choice
        self.chance = lambda part: random.random() < part

    def key(self):
        p = self.random.random()
        if p < 0.80:
            return self.choice(PLAIN_KEYS)
        return HUGE_KEY if p > 0.998 else self.choice(ODD_KEYS)

    def keys(self, most=4):
        return [self.key() for _ in range(self.random.randint(1, most))]

    def bytes_of(self, size):
        """Compressible, random, or digits."""
        kind = self.random.randrange(4)
        if kind == 0:
            return self.random.randbytes(size)
        if kind == 1:
            return (b"%d" % self.random.randrange(1, 10**18) * (size // 10 + 1))[
                :size]
        start = self.random.randrange(26)
        return (bytes(range(97 + start, 123)) * (size // (26 - start) + 1))[
            :size]

    def integer(self):
        if self.chance(0.3):
            return b"%d" % self.random.randint(-20, 20)
        return b"%d" % self.choice(INTEGERS)

    def maybe_integer(self, wrong=0.05):
        return self.choice(NO_INTEGERS) if self.chance(wrong) else self.integer()

    def maybe_float(self, wrong=0.1):
        p = self.random.random()
        if p < wrong:
            return self.choice(NO_FLOATS)
        if p < 0.5:
            return b"%.*f" % (self.random.randrange(8),
                              self.random.uniform(-1000, 1000))
        return self.choice(FLOATS) if p < 0.8 else self.integer()

    def value(self):
        p = self.random.random()
        if p < 0.30:
            return self.integer()
        if p < 0.36:
            return self.choice(NO_INTEGERS)
        if p < 0.46:
            return self.choice(FLOATS + NO_FLOATS)
        if p < 0.50:
            return b""
        if p < 0.985:
            return self.bytes_of(self.choice(SIZES))
        return self.bytes_of(self.choice(BIG_SIZES))

    def index(self):
        """A position in a string."""
        p = self.random.random()
        if p < 0.6:
            return b"%d" % self.random.randint(-60, 60)
        if p < 0.8:
            return b"%d" % (self.choice(SIZES) * self.choice([1, -1]))
        return self.maybe_integer(0.2)

    def database(self):
        return b"%d" % self.choice([0, 0, 1, 1, 2, 9, 15])

    def maybe_database(self):
        if self.chance(0.15):
            return self.choice(NO_INTEGERS + [b"16", b"-1", b"2147483648"])
        return self.database()

    def word(self):
        return self.choice(WORDS)

    def case(self, word):
        """The word in one of its spellings."""
        p = self.random.random()
        if p < 0.7:
            return word
        return word.lower() if p < 0.9 else word.swapcase().title()

    def pattern(self):
        return self.choice(PATTERNS)

    # Relative times are either past or so far away that no key expires while
    # the test runs: a key that goes away at another moment on each side
    # would look like a difference. Times that do run out are left to
    # generate.py, which waits for them. Random ones differ enough from each
    # other for GT and LT.

    def seconds(self):
        p = self.random.random()
        if p < 0.1:
            return self.choice(NO_INTEGERS)
        if p < 0.2:
            return b"%d" % self.choice(
                [0, -1, -(2**63), 2**63 - 1, 9223372036854775, -9223372036854776])
        return b"%d" % self.random.randint(1000, 10**9)

    def milliseconds(self):
        p = self.random.random()
        if p < 0.1:
            return self.choice(NO_INTEGERS)
        if p < 0.2:
            return b"%d" % self.choice([0, -1, -(2**63), 2**63 - 1, 2**62])
        return b"%d" % self.random.randint(10**6, 10**12)

    def unix_seconds(self):
        p = self.random.random()
        if p < 0.1:
            return self.choice(NO_INTEGERS)
        if p < 0.3:
            return b"%d" % self.choice(
                PAST_SECONDS + [0, -1, -(2**63), 2**63 - 1])
        return b"%d" % (self.choice(FUTURE_SECONDS) - self.random.randrange(10**6))

    def unix_milliseconds(self):
        p = self.random.random()
        if p < 0.1:
            return self.choice(NO_INTEGERS)
        if p < 0.3:
            return b"%d" % self.choice(
                [1, 10**12, 0, -1, -(2**63), 2**63 - 10**6])
        return b"%d" % (4102444800123 + self.random.randrange(10**9))
