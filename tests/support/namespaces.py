"""What NAMESPACE answers, as dictionaries. For RESP2 connections."""


def pairs(flat):
    return dict(zip((name.decode() for name in flat[::2]), flat[1::2]))


def options(connection, prefix):
    """NAMESPACE GET: name -> text."""
    return {name: text.decode() for name, text in
            pairs(connection.value("NAMESPACE", "GET", prefix)).items()}


def stats(connection, prefix):
    """NAMESPACE STATS of one prefix: name -> number."""
    return pairs(connection.value("NAMESPACE", "STATS", prefix))
