"""Are transactions on lists serializable, in real time? After Elle: each one
appends elements of its own and reads whole lists. What is read shows the order
of the writers; a cycle among the transactions has no order that explains it.

A transaction: (invoked, returned, [(key, element or None), ...], replies):
an append, with the new length, or a read, with the elements.
"""

import collections

Transaction = collections.namedtuple(
    "Transaction", "invoked returned operations replies")


class Anomaly(AssertionError):
    """Replies no order of the transactions explains."""


def expect(condition, text, *values):
    if not condition:
        raise Anomaly(text % values)


def check(transactions, finals):
    """`finals`: {key: its elements at the end}."""
    writer = {}
    for number, transaction in enumerate(transactions):
        for key, element in transaction.operations:
            if element is not None:
                writer[key, element] = number
    position = {}
    for key, elements in finals.items():
        expect(len(set(elements)) == len(elements), "%r twice in %r", key,
               elements)
        for at, element in enumerate(elements):
            expect((key, element) in writer, "%r of nobody in %r", element, key)
            position[key, element] = at
    for key, element in writer:
        expect((key, element) in position, "%r is not in %r", element, key)
    edges = collections.defaultdict(set)
    for number, transaction in enumerate(transactions):
        expect(len(transaction.replies) == len(transaction.operations),
               "%r", transaction)
        for (key, element), reply in zip(
                transaction.operations, transaction.replies):
            elements = finals.get(key, [])
            if element is not None:
                length = position[key, element] + 1
                expect(reply == length, "%r was told %r, is number %d",
                       element, reply, length)
            else:
                length = len(reply)
                expect(reply == elements[:length], "%r is no beginning of %r",
                       reply, elements)
            if length > 0:
                edges[writer[key, elements[length - 1]]].add(number)
            if length < len(elements):
                edges[number].add(writer[key, elements[length]])
    add_time(transactions, edges)
    no_cycle(edges, len(transactions))


def add_time(transactions, edges):
    """Who ended before another one began comes first. Moments are nodes, in
    a chain, so that there are few edges."""
    ends = sorted((transaction.returned, number)
                  for number, transaction in enumerate(transactions))
    for at, (_, number) in enumerate(ends):
        edges[number].add(("end", at))
        edges["end", at].add(("end", at + 1))
    begins = sorted((transaction.invoked, number)
                    for number, transaction in enumerate(transactions))
    at = 0
    for invoked, number in begins:
        while at < len(ends) and ends[at][0] < invoked:
            at += 1
        if at > 0:
            edges["end", at - 1].add(number)


def no_cycle(edges, count):
    """Takes away what nothing comes before, until all is gone."""
    before = collections.Counter()
    nodes = set(range(count)) | set(edges)
    for node, others in edges.items():
        others.discard(node)
        before.update(others)
        nodes |= others
    free = [node for node in nodes if before[node] == 0]
    gone = 0
    while free:
        gone += 1
        for other in edges.pop(free.pop(), ()):
            before[other] -= 1
            if before[other] == 0:
                free.append(other)
    expect(gone == len(nodes), "a cycle among transactions %r",
           sorted(node for node in nodes
                  if before[node] > 0 and isinstance(node, int))[:20])
