"""RSS an element of each collection type: one of a million elements, and
200,000 of five elements each."""

from harness import Client, Server, at_most, say, scaled

LARGE, SMALL, EACH = 1000000, 200000, 5
BATCH = 200

# Type, the command, how many elements one command may add, and the words that
# element `i` of it takes.
TYPES = [
    ("hash", "HSET", 10, lambda i: [b"field:%07d" % i, b"value:%07d" % i]),
    ("list", "RPUSH", 10, lambda i: [b"element:%07d" % i]),
    ("set", "SADD", 10, lambda i: [b"member:%07d" % i]),
    ("zset", "ZADD", 10, lambda i: [b"%d" % (i * 7919 % LARGE), b"member:%07d" % i]),
    ("stream", "XADD", 1, lambda i: [b"*", b"field", b"value:%07d" % i]),
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


def fill(command, at_once, make, keys, each):
    """The commands that fill so many keys with so many elements each."""
    for key in range(keys):
        name = b"key:%07d" % key
        for at in range(0, each, at_once):
            words = [command.encode(), name]
            for i in range(at, min(at + at_once, each)):
                words += make(key * each + i)
            yield words


def bytes_an_element(side, commands, elements):
    with Server(side) as server:
        empty = server.memory("VmRSS")
        send(server, commands)
        return (server.memory("VmRSS") - empty) / elements


def compare(what, row, keys, each):
    ours, theirs = (bytes_an_element(side, fill(*row, keys, each), keys * each)
                    for side in ("larder", "redis"))
    say("  %s: larder %.1f, redis %.1f bytes an element" % (what, ours, theirs))
    at_most("elements " + what, 1.0, ours / theirs)


def run():
    for name, *row in TYPES:
        compare("large " + name, row, 1, scaled(LARGE))
        compare("small " + name, row, scaled(SMALL), EACH)
