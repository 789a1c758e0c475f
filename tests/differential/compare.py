"""Replies that may differ, and how far. Each function gets the command and
both raw replies, which are known to differ, and says whether that is fine; one
that compares times gets the tolerance, too. Replies of commands not listed here
must be the same bytes."""

import time

CLOCK_TOLERANCE_MS = 2000
SHARED_INTEGER = b":2147483647\r\n"


class Lag:
    """How far apart the servers may read the clock for the same command, on a
    machine that may stand still: as long as the longest of a program's
    pipelines took, once for what set a time and once for what shows it."""

    def __init__(self):
        self.longest_s = 0
        self.begin_s = time.monotonic()

    def begin(self):
        """Servers are about to be sent the same commands."""
        self.tolerance_ms()
        self.begin_s = time.monotonic()

    def tolerance_ms(self):
        self.longest_s = max(self.longest_s, time.monotonic() - self.begin_s)
        return max(CLOCK_TOLERANCE_MS, round(2000 * self.longest_s))


def parse(reply, at=0):
    """(value, end): bytes for strings, int, None, lists; maps are lists."""
    line_end = reply.index(b"\r\n", at)
    kind, text = reply[at:at + 1], reply[at + 1:line_end]
    end = line_end + 2
    if kind == b"_":
        return None, end
    if kind in b"+-,#(":
        return kind + text, end
    if kind == b":":
        return int(text), end
    size = int(text)
    if size < 0:
        return None, end
    if kind in b"$=":
        return reply[end:end + size], end + size + 2
    items = []
    for _ in range(size * 2 if kind == b"%" else size):
        item, end = parse(reply, end)
        items.append(item)
    return items, end


def value(reply):
    return parse(reply)[0]


def milliseconds(_, ours, theirs, tolerance_ms):
    a, b = value(ours), value(theirs)
    return near(a, b, tolerance_ms) and a > 0 and b > 0


def seconds(args, ours, theirs, tolerance_ms):
    return milliseconds(args, ours, theirs, tolerance_ms // 1000)


def same_set(_, ours, theirs):
    a, b = value(ours), value(theirs)
    return (isinstance(a, list) and isinstance(b, list)
            and len(a) == len(set(a)) and sorted(a) == sorted(b))


def same_pairs(_, ours, theirs):
    """Field and value alternately, in any order."""
    a, b = value(ours), value(theirs)
    return (isinstance(a, list) and isinstance(b, list) and len(a) == len(b)
            and sorted(zip(a[::2], a[1::2])) == sorted(zip(b[::2], b[1::2])))


def same_bag(_, ours, theirs):
    a, b = value(ours), value(theirs)
    return (isinstance(a, list) and isinstance(b, list)
            and sorted(a) == sorted(b))


def collection_page(args, ours, theirs):
    """Pages agree where both hold everything."""
    a, b = value(ours), value(theirs)
    if not (isinstance(a, list) and isinstance(b, list)):
        return False
    if args[2] == b"0" and a[0] == b[0] == b"0":
        return sorted(a[1]) == sorted(b[1])
    return a[0].isdigit() and len(a) == 2


def scored_page(args, ours, theirs):
    """As collection_page. Redis prints scores of its compact form in another
    way than all others: 100000000000000000 for 1e+17."""
    a, b = value(ours), value(theirs)
    if not (isinstance(a, list) and isinstance(b, list)):
        return False
    if args[2] == b"0" and a[0] == b[0] == b"0":
        pairs = [sorted(zip(page[1][::2], map(float, page[1][1::2])))
                 for page in (a, b)]
        return pairs[0] == pairs[1]
    return a[0].isdigit() and len(a) == 2


def random_sample(_, ours, theirs):
    """As many, of the same kind of reply."""
    if ours[:1] != theirs[:1]:
        return False
    a, b = value(ours), value(theirs)
    if isinstance(a, list):
        return len(a) == len(b)
    return (a is None) == (b is None) and ours[:1] in b"$"


def scan_page(args, ours, theirs):
    """Pages need agree only where both hold everything: a walk from the
    beginning that ended at once."""
    a, b = value(ours), value(theirs)
    if not (isinstance(a, list) and isinstance(b, list)):
        return False
    if args[1] == b"0" and a[0] == b[0] == b"0":
        return len(a[1]) == len(set(a[1])) and sorted(a[1]) == sorted(b[1])
    return a[0].isdigit() and len(a) == 2


def lpos(args, ours, theirs):
    """Redis counts one match more where RANK is -2^63, which has no opposite."""
    a, b = value(ours), value(theirs)
    return (b"-9223372036854775808" in args and isinstance(a, list)
            and isinstance(b, list) and a == b[:-1])


def some_key(_, ours, theirs):
    return ours[:1] == theirs[:1] == b"$"


def object_(args, ours, theirs, tolerance_ms):
    word = args[1].upper() if len(args) > 1 else b""
    if word == b"HELP":
        return ours.startswith(b"*") and theirs.startswith(b"*")
    if word == b"FREQ":  # larder knows it under every policy
        return ours.startswith(b":") and b"LFU maxmemory policy" in theirs
    if word == b"ENCODING":  # SORT turns a sorted set into its large form
        return value(ours) == b"listpack" and value(theirs) == b"skiplist"
    if word == b"REFCOUNT":  # larder shares no integers
        return ours == b":1\r\n" and theirs == SHARED_INTEGER
    if word == b"IDLETIME":
        # Small integers are shared in Redis, and touched by no key's use.
        a, b = value(ours), value(theirs)
        return (isinstance(a, int) and isinstance(b, int)
                and 0 <= a <= b + tolerance_ms // 1000)
    return False


def near(a, b, tolerance):
    return (isinstance(a, int) and isinstance(b, int)
            and abs(a - b) <= tolerance)


def xpending(_, ours, theirs, tolerance_ms):
    """Only how long entries have been idle may differ."""
    a, b = value(ours), value(theirs)
    return (isinstance(a, list) and isinstance(b, list) and len(a) == len(b)
            and all(isinstance(x, list) and isinstance(y, list)
                    and len(x) == len(y) == 4
                    and x[:2] + x[3:] == y[:2] + y[3:]
                    and near(x[2], y[2], tolerance_ms)
                    for x, y in zip(a, b)))


def same_but_time(a, b, time_at, tolerance_ms):
    """Lists of pending entries, each with a time at that place."""
    return len(a) == len(b) and all(
        len(x) == len(y)
        and x[:time_at] + x[time_at + 1:] == y[:time_at] + y[time_at + 1:]
        and near(x[time_at], y[time_at], tolerance_ms)
        for x, y in zip(a, b))


def same_described(a, b, tolerance_ms):
    """What XINFO says of a stream, a group or a consumer, or a list of them:
    names and values alternately."""
    if not (isinstance(a, list) and isinstance(b, list) and len(a) == len(b)):
        return False
    if a and isinstance(a[0], list):
        return all(same_described(x, y, tolerance_ms) for x, y in zip(a, b))
    for name, x, other, y in zip(a[::2], a[1::2], b[::2], b[1::2]):
        if name != other:
            return False
        if name in (b"radix-tree-keys", b"radix-tree-nodes"):
            same_value = isinstance(x, int) and x >= 0  # larder has no such
        elif name in (b"idle", b"seen-time"):
            same_value = near(x, y, tolerance_ms)
        elif name == b"pending" and isinstance(x, list):
            same_value = same_but_time(x, y, -2, tolerance_ms)
        elif name in (b"consumers", b"groups") and isinstance(x, list):
            same_value = same_described(x, y, tolerance_ms)
        else:
            same_value = x == y
        if not same_value:
            return False
    return True


def xinfo(_, ours, theirs, tolerance_ms):
    return same_described(value(ours), value(theirs), tolerance_ms)


def sort_of_texts(words, a, b):
    """Texts are compared as C does, up to a zero byte. GET may show anything
    of those which are then equal."""
    if b"GET" not in words and ([text.split(b"\0")[0] for text in a]
                                != [text.split(b"\0")[0] for text in b]):
        return False
    if b"LIMIT" in words:
        return len(a) == len(b)
    return sorted(a, key=repr) == sorted(b, key=repr)


def sort(args, ours, theirs):
    """Redis leaves the order of equal texts open, and that of a set which is
    not to be sorted; with LIMIT it is then open what is shown."""
    words = [word.upper() for word in args]
    a, b = value(ours), value(theirs)
    if not (isinstance(a, list) and isinstance(b, list)):
        return False
    if b"BY" not in words:
        return b"ALPHA" in words and sort_of_texts(words, a, b)
    by = args[words.index(b"BY") + 1]
    if b"ALPHA" not in words and b"*" in by.split(b"\0")[0]:
        return False
    if b"LIMIT" in words:
        return len(a) == len(b)
    return sorted(a, key=repr) == sorted(b, key=repr)


def geo_search(args, ours, theirs):
    """Members of one distance come in any order where only some are wanted."""
    a, b = value(ours), value(theirs)
    return (isinstance(a, list) and isinstance(b, list) and len(a) == len(b)
            and b"COUNT" in [word.upper() for word in args])


RULES = {
    b"GEOSEARCH": geo_search,
    b"GEORADIUS": geo_search,
    b"GEORADIUS_RO": geo_search,
    b"GEORADIUSBYMEMBER": geo_search,
    b"GEORADIUSBYMEMBER_RO": geo_search,
    b"SORT": sort,
    b"SORT_RO": sort,
    b"KEYS": same_set,
    b"HKEYS": same_set,
    b"HVALS": same_bag,
    b"HGETALL": same_pairs,
    b"HSCAN": collection_page,
    b"HRANDFIELD": random_sample,
    b"SMEMBERS": same_set,
    b"SINTER": same_set,
    b"SUNION": same_set,
    b"SDIFF": same_set,
    b"SPOP": same_set,
    b"SSCAN": collection_page,
    b"SRANDMEMBER": random_sample,
    b"ZSCAN": scored_page,
    b"ZRANDMEMBER": random_sample,
    b"SCAN": scan_page,
    b"RANDOMKEY": some_key,
    b"LPOS": lpos,
}


CLOCK_RULES = {
    b"XPENDING": xpending,
    b"XINFO": xinfo,
    b"TTL": seconds,
    b"PTTL": milliseconds,
    b"EXPIRETIME": seconds,
    b"PEXPIRETIME": milliseconds,
    b"OBJECT": object_,
}


def without_minus_zero(reply):
    return reply.replace(b"$2\r\n-0\r\n", b"$1\r\n0\r\n").replace(
        b",-0\r\n", b",0\r\n")


def same(args, ours, theirs, lag):
    if ours == theirs:
        return True
    if args[0][:1].upper() == b"Z" and (
            without_minus_zero(ours) == without_minus_zero(theirs)):
        return True  # a score, which is kept as zero; in Redis' small sets, too
    name = args[0].upper()
    if name in CLOCK_RULES:
        return CLOCK_RULES[name](args, ours, theirs, lag.tolerance_ms())
    return name in RULES and RULES[name](args, ours, theirs)
