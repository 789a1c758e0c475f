"""Namespaces: their options set, what NAMESPACE and TIER answer in Python's
types. For RESP2 connections."""


def pairs(flat):
    return dict(zip((name.decode() for name in flat[::2]), flat[1::2]))


def options(connection, prefix):
    """NAMESPACE GET: name -> text."""
    return {name: text.decode() for name, text in
            pairs(connection.value("NAMESPACE", "GET", prefix)).items()}


def stats(connection, prefix):
    """NAMESPACE STATS of one prefix: name -> number."""
    return pairs(connection.value("NAMESPACE", "STATS", prefix))


def set_options(connection, prefix, *words):
    assert connection.command(
        "NAMESPACE", "SET", prefix, *words) == b"+OK\r\n"


def tier(connection, key):
    return connection.value("TIER", "OF", key).decode()
