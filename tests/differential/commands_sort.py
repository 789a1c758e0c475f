"""Generators for SORT; see commands.py.

What is stored must be the same on both sides, or everything behind it
differs: a stored result is never ordered by texts that may be equal, for
Redis' order of those is any (see compare.sort)."""

from differential import values

BY = [b"*", b"key:*", b"*->a", b"k*->1", b"h*", b"*x", b"b*->", b"**"]
BY_NOTHING = [b"nosort", b"", b"#", b"a->b", b"n\x00*"]
NUMBERS = [b"1", b"2", b"10", b"-3", b"1.5", b"1.50", b"0x10", b"", b" 7",
           b"inf", b"-inf", b"2\x00x", b"12"]


def limit(p):
    return [p.case(b"LIMIT"),
            p.choice([b"0", b"1", b"2", b"-1", b"100", p.maybe_integer(0.2)]),
            p.choice([b"0", b"1", b"2", b"5", b"-1", p.maybe_integer(0.2)])]


def sort(p, store=False):
    options = []
    if store:
        options.append([p.case(b"STORE"), p.key()])
        if p.chance(0.3):
            options.append([p.case(b"BY"), p.choice(BY_NOTHING)])
        elif p.chance(0.7):
            options.append([p.case(b"ALPHA")])
    else:
        if p.chance(0.5):
            options.append([p.case(b"BY"), p.choice(BY + BY_NOTHING)])
        if p.chance(0.6):
            options.append([p.case(b"ALPHA")])
    some = p.chance(0.3)
    # Which elements are shown is open, and so is which keys are looked up.
    blind = some and bool(options)
    if some:
        options.append(limit(p))
    if p.chance(0.4):
        options.append([p.case(p.choice([b"ASC", b"DESC", b"DESC"]))])
    for _ in range(p.choice([0, 0, 1, 2])):
        looked = BY_NOTHING if blind else BY + BY_NOTHING
        options.append([p.case(b"GET"), p.choice([b"#"] * 3 + looked)])
    if p.chance(0.03):
        options.append([p.word()])
    p.random.shuffle(options)
    return [p.key()] + [word for option in options for word in option]


def numbers(p):
    """Something worth sorting."""
    return [p.key()] + [p.choice(NUMBERS + values.PLAIN_KEYS[:1])
                        for _ in range(p.random.randint(1, 12))]


ROWS = [
    ("SORT", 12, sort),
    ("SORT", 4, lambda p: sort(p, store=True)),
    ("SORT_RO", 5, sort),
    ("RPUSH", 4, numbers),
    ("SADD", 3, numbers),
]
