"""RSS an element of each collection type: one of a million elements, and
200,000 of five elements each."""

from harness import Client, Server, at_most, say, scaled

LARGE, SMALL, EACH = 1000000, 200000, 5
BATCH = 200

# Type, the command, and the words that element `i` of it takes.
TYPES = [
    ("hash", "HSET", lambda i: [b"field:%07d" % i, b"value:%07d" % i]),
    ("list", "RPUSH", lambda i: [b"element:%07d" % i]),
    ("set", "SADD", lambda i: [b"member:%07d" % i]),
    ("zset", "ZADD", lambda i: [b"%d" % (i * 7919 % LARGE), b"member:%07d" % i]),
]


def encode(words):
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
    return b"".join(parts)


def send(server, commands):
    """In pipelines; the replies are counted, not compared."""
    client = Client(server.port)
    waiting = []
    for words in commands:
        waiting.append(encode(words))
        if len(waiting) == BATCH:
            client.socket.sendall(b"".join(waiting))
            for _ in waiting:
                client.read()
            waiting = []
    client.socket.sendall(b"".join(waiting))
    for _ in waiting:
        client.read()
    client.close()


def large(command, make, count):
    for at in range(0, count, 10):
        words = [command.encode(), b"large"]
        for i in range(at, min(at + 10, count)):
            words += make(i)
        yield words


def small(command, make, count):
    for key in range(count):
        words = [command.encode(), b"small:%07d" % key]
        for i in range(EACH):
            words += make(key * EACH + i)
        yield words


def bytes_an_element(side, commands, elements):
    with Server(side) as server:
        empty = server.memory("VmRSS")
        send(server, commands)
        return (server.memory("VmRSS") - empty) / elements


def compare(what, make_commands, elements):
    ours = bytes_an_element("larder", make_commands(), elements)
    theirs = bytes_an_element("redis", make_commands(), elements)
    say("  %s: larder %.1f, redis %.1f bytes an element" % (what, ours, theirs))
    at_most("elements " + what, 1.0, ours / theirs)


def run():
    for name, command, make in TYPES:
        count = scaled(LARGE)
        compare("large " + name, lambda c=command, m=make: large(c, m, count), count)
        keys = scaled(SMALL)
        compare("small " + name, lambda c=command, m=make: small(c, m, keys), keys * EACH)
