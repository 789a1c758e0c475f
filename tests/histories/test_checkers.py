"""The checkers of this folder find what is wrong."""

import pytest

from histories import append, linear


def call(invoked, returned, line, reply):
    return linear.Call(invoked, returned, line.encode().split(), reply)


GOOD = [
    # A read beside a write may see the old value, and a later one the new.
    [call(0, 9, "SET k 1", b"+OK\r\n"), call(1, 2, "GET k", b"$-1\r\n"),
     call(3, 4, "GET k", b"$1\r\n1\r\n")],
    [call(0, 5, "RPUSH k a", b":2\r\n"), call(1, 6, "RPUSH k b", b":1\r\n"),
     call(7, 8, "LPOP k", b"$1\r\nb\r\n")],
    # Nobody knows what became of the first.
    [call(0, None, "INCRBY k 5", None), call(1, 2, "GET k", b"$-1\r\n"),
     call(3, 4, "GET k", b"$1\r\n5\r\n")],
]
BAD = [
    # An old value after a new one was seen.
    [call(0, 9, "SET k 1", b"+OK\r\n"), call(1, 2, "GET k", b"$1\r\n1\r\n"),
     call(3, 4, "GET k", b"$-1\r\n")],
    # A deleted one is back.
    [call(0, 1, "SET k 1", b"+OK\r\n"), call(2, 3, "DEL k", b":1\r\n"),
     call(4, 5, "GET k", b"$1\r\n1\r\n")],
    # Two got the same.
    [call(0, 1, "RPUSH k a", b":1\r\n"), call(2, 5, "LPOP k", b"$1\r\na\r\n"),
     call(3, 6, "LPOP k", b"$1\r\na\r\n")],
    # A lost update.
    [call(0, 5, "INCRBY k 1", b":1\r\n"), call(1, 6, "INCRBY k 1", b":1\r\n")],
    # An acknowledged write that a later read does not see.
    [call(0, 1, "SET k 1", b"+OK\r\n"), call(2, 3, "GET k", b"$-1\r\n")],
]


@pytest.mark.parametrize("history", GOOD)
def test_linearizable(history):
    assert len(linear.linearize(history, None)) >= 1


@pytest.mark.parametrize("history", BAD)
def test_not_linearizable(history):
    assert linear.linearize(history, None) == set()


def transaction(invoked, returned, *operations):
    """key+element=length, or key=elements."""
    parsed, replies = [], []
    for text in operations:
        left, _, right = text.partition("=")
        key, _, element = left.partition("+")
        parsed.append((key, element or None))
        replies.append(int(right) if element else list(right))
    return append.Transaction(invoked, returned, parsed, replies)


def test_an_order_is_found():
    append.check([transaction(0, 3, "x+a=1", "y+b=1"),
                  transaction(1, 4, "y=b", "x+c=2"),
                  transaction(2, 5, "x=", "y=")],
                 {"x": ["a", "c"], "y": ["b"]})


@pytest.mark.parametrize("transactions, finals", [
    # Half of a transaction is seen.
    ([transaction(0, 3, "x+a=1", "y+b=1"), transaction(1, 4, "x=a", "y=")],
     {"x": ["a"], "y": ["b"]}),
    # Each reads what was before the other.
    ([transaction(0, 3, "x=", "y+b=1"), transaction(1, 4, "y=", "x+a=1")],
     {"x": ["a"], "y": ["b"]}),
    # It ended before the reader began.
    ([transaction(0, 1, "x+a=1"), transaction(2, 3, "x=")], {"x": ["a"]}),
    # An append is lost.
    ([transaction(0, 1, "x+a=1")], {"x": []}),
    # Read in two orders.
    ([transaction(0, 1, "x+a=1"), transaction(0, 1, "x+b=2"),
      transaction(0, 1, "x=b")], {"x": ["a", "b"]}),
])
def test_no_order(transactions, finals):
    with pytest.raises(append.Anomaly):
        append.check(transactions, finals)
