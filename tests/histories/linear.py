"""Is a history of one key linearizable? The search of Wing and Gong with the
memory of Lowe: an order of the calls that respects time and in which a model
of the commands gives every reply.

A call: (invoked, returned, words, raw reply); returned is None when no reply
came: it may have happened at any later time, or never.
"""

import collections

Call = collections.namedtuple("Call", "invoked returned words reply")
NIL = b"$-1\r\n"


def bulk(value):
    return NIL if value is None else b"$%d\r\n%s\r\n" % (len(value), value)


def step(state, words):
    """(state after the command, its reply). State: None, bytes, or a tuple
    of bytes: the elements of a list."""
    name = words[0]
    if name == b"GET":
        return state, bulk(state)
    if name == b"SET":
        return words[2], b"+OK\r\n"
    if name == b"GETSET":
        return words[2], bulk(state)
    if name == b"GETDEL":
        return None, bulk(state)
    if name == b"SETNX":
        return (words[2], b":1\r\n") if state is None else (state, b":0\r\n")
    if name == b"APPEND":
        longer = (state or b"") + words[2]
        return longer, b":%d\r\n" % len(longer)
    if name == b"INCRBY":
        number = int(state or b"0") + int(words[2])
        return b"%d" % number, b":%d\r\n" % number
    if name == b"DEL":
        return None, b":%d\r\n" % (state is not None)
    if name == b"EXISTS":
        return state, b":%d\r\n" % (state is not None)
    if name == b"STRLEN" or name == b"LLEN":
        return state, b":%d\r\n" % len(state or b"")
    if name == b"RPUSH":
        longer = (state or ()) + tuple(words[2:])
        return longer, b":%d\r\n" % len(longer)
    if name == b"LPOP":
        if state is None:
            return None, NIL
        return state[1:] or None, bulk(state[0])
    if name == b"LRANGE":
        items = state or ()
        return state, b"*%d\r\n" % len(items) + b"".join(map(bulk, items))
    raise ValueError(name)


def linearize(calls, initial):
    """{the state after the calls}, or nothing: they are not linearizable.
    There may be other states, unless the last call is a read alone."""
    calls = sorted(calls, key=lambda call: call.invoked)
    never = float("inf")
    ends = [never if call.returned is None else call.returned
            for call in calls]
    whole = sum(1 << i for i, end in enumerate(ends) if end != never)
    seen, stack = set(), [(0, initial)]
    while stack:
        done, state = stack.pop()
        if (done, state) in seen:
            continue
        seen.add((done, state))
        if done & whole == whole:
            return {state}
        stack += following(calls, ends, done, state)
    return set()


def following(calls, ends, done, state):
    """What may come next: a call that began before any other one ended. One
    that changes nothing and is right here needs no other place."""
    left = pending(done, len(calls))
    first = min(ends[i] for i in left)
    found = []
    for i in left:
        if calls[i].invoked > first:
            break
        after, reply = step(state, calls[i].words)
        if calls[i].reply is None or calls[i].reply == reply:
            if after == state and calls[i].reply is not None:
                return [(done | 1 << i, state)]
            found.append((done | 1 << i, after))
    return found


def pending(done, count):
    """Numbers of the calls not done yet. Those before the lowest are."""
    lowest = (~done & (done + 1)).bit_length() - 1
    return [i for i in range(lowest, count) if not done >> i & 1]
