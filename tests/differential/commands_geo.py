"""Generators for GEO commands; see commands.py."""

UNITS = [b"m", b"km", b"ft", b"mi", b"KM"]
MEMBERS = [b"Palermo", b"Catania", b"a", b"b", b"c", b"1", b"2", b""]
EDGES = [b"0", b"180", b"-180", b"179.999999", b"1e-9", b"-0", b"90"]
NO_LENGTHS = [b"-1", b"x", b"nan", b"", b" 1"]


def longitude(p):
    if p.chance(0.04):
        return p.choice([b"180.0001", b"x", b"inf", b"nan", b"-1e300", b""])
    if p.chance(0.15):
        return p.choice(EDGES[:6])
    return b"%.7f" % p.random.choice([
        p.random.uniform(-180, 180), p.random.gauss(15, 1),
        p.random.gauss(179.9, 0.2) % 360 - 180])


def latitude(p):
    if p.chance(0.04):
        return p.choice([b"85.06", b"-86", b"x", b"90"])
    if p.chance(0.15):
        return p.choice([b"0", b"85.05112878", b"-85.05112878", b"85.05", b"66",
                         b"-66.1", b"80.2", b"-84"])
    return b"%.7f" % p.random.choice([
        p.random.uniform(-85, 85), p.random.gauss(38, 1)])


def member(p):
    if p.chance(0.6):
        return b"m%d" % p.random.randrange(60)
    return p.choice(MEMBERS) if p.chance(0.9) else p.value()


def unit(p):
    return p.choice(UNITS) if p.chance(0.97) else p.choice([b"yd", b"", b"mm"])


def length(p):
    """And its unit."""
    if p.chance(0.03):
        return [p.choice(NO_LENGTHS), unit(p)]
    if p.chance(0.1):
        return [p.choice([b"0", b"1e8", b"inf", b"1e-5", b"20037726.37"]),
                unit(p)]
    return [b"%.3f" % 10 ** p.random.uniform(-1, 4.3),
            b"km" if p.chance(0.7) else unit(p)]


def add(p):
    args = [p.key()]
    for word in (b"NX", b"XX", b"CH"):
        if p.chance(0.08):
            args.append(p.case(word))
    many = p.random.randint(20, 60) if p.chance(0.1) else p.choice([1, 1, 2, 4])
    for _ in range(many):
        args += [longitude(p), latitude(p), member(p)]
    return args


def limits(p, with_=True):
    """What is stored (not with_) must not depend on which of several members
    of one distance come first."""
    args = []
    if p.chance(0.6):
        args.append(p.case(p.choice([b"ASC", b"DESC"])))
    if p.chance(0.4):
        if not with_:
            args.append(p.case(b"ANY"))
        args += [p.case(b"COUNT"), p.choice(
            [b"1", b"2", b"3", b"10", b"1000", b"9223372036854775807"])
            if p.chance(0.95) else p.choice([b"0", b"-1", b"x"])]
        if p.chance(0.4):
            args.append(p.case(b"ANY"))
    elif p.chance(0.03):
        args.append(p.case(b"ANY"))
    for word in (b"WITHCOORD", b"WITHDIST", b"WITHHASH"):
        if with_ and p.chance(0.3) or p.chance(0.01):
            args.append(p.case(word))
    return args


def store(p):
    if not p.chance(0.2):
        return limits(p)
    args = limits(p, False) + [p.case(p.choice([b"STORE", b"STOREDIST"])), p.key()]
    return args + store(p) if p.chance(0.1) else args


def parts(p):
    """Of GEOSEARCH, in any order."""
    where = ([p.case(b"FROMMEMBER"), member(p)] if p.chance(0.5) else
             [p.case(b"FROMLONLAT"), longitude(p), latitude(p)])
    width = length(p)
    size = ([p.case(b"BYRADIUS")] + width if p.chance(0.5) else
            [p.case(b"BYBOX"), length(p)[0]] + width)
    found = [where, size]
    if p.chance(0.03):
        found.append([p.case(p.choice([b"BYRADIUS", b"BYBOX"]))] + length(p))
    p.random.shuffle(found)
    return sum(found, [])


def search(p):
    return [p.key()] + parts(p) + limits(p)


def search_store(p):
    args = [p.key(), p.key()] + parts(p) + limits(p, False)
    return args + [p.case(b"STOREDIST")] if p.chance(0.4) else args


def radius(p):
    return [p.key(), longitude(p), latitude(p)] + length(p)


def by_member(p):
    return [p.key(), member(p)] + length(p)


def dist(p):
    args = [p.key(), member(p), member(p)]
    return args + [unit(p)] if p.chance(0.5) else args


def members(p):
    return [p.key()] + [member(p) for _ in range(p.random.randint(0, 4))]


ROWS = [
    ("GEOADD", 30, add),
    ("GEODIST", 6, dist),
    ("GEOHASH", 5, members),
    ("GEOPOS", 5, members),
    ("GEOSEARCH", 20, search),
    ("GEOSEARCHSTORE", 8, search_store),
    ("GEORADIUS", 10, lambda p: radius(p) + store(p)),
    ("GEORADIUS_RO", 3, lambda p: radius(p) + limits(p)),
    ("GEORADIUSBYMEMBER", 8, lambda p: by_member(p) + store(p)),
    ("GEORADIUSBYMEMBER_RO", 3, lambda p: by_member(p) + limits(p)),
]
