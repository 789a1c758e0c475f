"""CLIENT TRACKING beside redis-server: conversations of several connections,
every byte each of them reads; and what is larder's own: tiers, bounds."""

import re
import time

import pytest

from support.resp import Connection, encode
from support.server import wait_until

LARDER_CONFIG = ["maxmemory 256mb"]
NAME = b"$4\r\nsync\r\n"
FLUSHED = re.compile(rb".*invalidate\r\n(_|\$-1)\r\n\Z", re.DOTALL)
PONG = b"*2\r\n$4\r\npong\r\n" + NAME


class Person:
    """A connection to one server, which can read all that is due."""

    def __init__(self, port, resp3):
        self.connection = Connection(port)
        if resp3:
            self.connection.command("HELLO", "3")
        self.connection.command("CLIENT", "SETNAME", "sync")
        self.id = int(self.connection.command("CLIENT", "ID")[1:])
        self.listens = False

    def read_answers(self, count):
        """Up to the reply to the last of so many commands: what follows from
        it is only sent when nothing more is there to be read."""
        replies = []
        while count > 0:
            replies.append(self.connection.read_reply())
            pushed = replies[-1].startswith(b">") and b"subscribe" not in replies[-1]
            count -= not pushed
        return replies

    def read_due(self):
        """Replies that came, without one for the question asked here. CLIENT
        keeps what CLIENT CACHING has set, other commands do not."""
        question, end = ("PING", "sync"), PONG
        if not self.listens:
            question, end = ("CLIENT", "GETNAME"), NAME
        self.connection.send(encode(*question))
        replies = []
        while not replies or replies[-1] != end:
            replies.append(self.connection.read_reply())
        return replies[:-1]


class Scene:
    """The same persons at one server."""

    def __init__(self, server, cast):
        self.people = {name: Person(server.port, name.endswith("3")) for name in cast}

    def leave(self, name):
        self.people.pop(name).connection.close()

    def say(self, name, commands):
        """What everybody reads after the commands (one, or a pipeline)."""
        person = self.people[name]
        for command in commands:
            words = [
                str(self.people[word[3:]].id) if str(word).startswith("id:") else word
                for word in command
            ]
            person.connection.send(encode(*words))
            if words[0].endswith("SUBSCRIBE"):
                person.listens = not words[0].startswith("UN") and not name.endswith("3")
        answers = person.read_answers(len(commands))
        heard = {"answers": self.normal(answers)}
        for other in [name] + [n for n in self.people if n != name]:
            heard[other] = self.normal(self.people[other].read_due())
        return heard

    def normal(self, replies):
        """Without ids, which differ from server to server; and what is told of
        a flush in the place of several connections sorted, as redis-server has
        them in an order that its timer changes."""
        flushes = iter(sorted(filter(FLUSHED.match, replies)))
        replies = [next(flushes) if FLUSHED.match(r) else r for r in replies]
        for name, person in self.people.items():
            number = b":%d\r\n" % person.id
            replies = [r.replace(number, b":" + name.encode() + b"\r\n") if person.id > 1
                       else r for r in replies]
        return replies

    def close(self):
        for person in self.people.values():
            person.connection.close()


@pytest.fixture
def play(both):
    """play(cast, steps): each step (name, command, command ...)."""
    def run(cast, steps):
        scenes = [Scene(server, cast) for server in (both.larder, both.oracle)]
        try:
            for step in steps:
                name, *commands = step
                commands = [c.split() if isinstance(c, str) else c for c in commands]
                ours, theirs = [scene.say(name, commands) for scene in scenes]
                assert ours == theirs, step
        finally:
            for scene in scenes:
                scene.close()
        for side in both.sides:
            side.command("CONFIG", "SET", "tracking-table-max-keys", "1000000")
    return run


def test_options(play):
    play(["a3", "b"], [("a3", "CLIENT " + words) for words in (
        "TRACKINGINFO", "GETREDIR", "CACHING YES", "CACHING MAYBE", "CACHING",
        "TRACKING", "TRACKING MAYBE", "TRACKING ON REDIRECT",
        "TRACKING ON REDIRECT x", "TRACKING ON REDIRECT 99999",
        "TRACKING ON REDIRECT id:b REDIRECT id:b", "TRACKING ON REDIRECT 0",
        "TRACKING ON REDIRECT -1", "TRACKING ON PREFIX a", "TRACKING ON PREFIX",
        "TRACKING ON BCAST OPTIN", "TRACKING ON BCAST OPTOUT",
        "TRACKING ON OPTIN OPTOUT", "TRACKING ON BCAST PREFIX a PREFIX ab",
        "TRACKING ON BCAST PREFIX ab PREFIX b PREFIX a", "TRACKING ON FOO",
        "TRACKING OFF FOO", "TRACKING OFF OPTIN OPTOUT", "TRACKING MAYBE OPTIN",
        "TRACKINGINFO", "TRACKING ON", "TRACKINGINFO", "GETREDIR", "CACHING YES",
        "CACHING NO", "CACHING MAYBE", "TRACKING ON BCAST", "TRACKING ON OPTIN",
        "TRACKINGINFO", "CACHING NO", "CACHING YES", "TRACKINGINFO",
        "TRACKING ON OPTOUT", "TRACKING ON NOLOOP OPTIN", "TRACKINGINFO",
        "TRACKING ON", "TRACKING ON OPTOUT", "CACHING YES", "CACHING NO",
        "TRACKINGINFO", "TRACKING ON REDIRECT id:b", "GETREDIR", "TRACKINGINFO",
        "TRACKING OFF", "TRACKINGINFO", "GETREDIR", "TRACKING OFF",
        "TRACKING ON BCAST PREFIX p: PREFIX b:", "TRACKINGINFO",
        "TRACKING ON BCAST PREFIX p:1", "TRACKING ON BCAST PREFIX p",
        "TRACKING ON BCAST PREFIX p:", "TRACKING ON BCAST PREFIX a: NOLOOP",
        "TRACKINGINFO", "TRACKING ON BCAST", "TRACKINGINFO", "TRACKING ON",
        "TRACKING OFF",
    )])


def test_default_mode(play):
    play(["t3", "w"], [
        ("t3", "CLIENT TRACKING ON"), ("t3", "GET k"), ("w", "SET k 1"),
        ("w", "SET k 2"), ("t3", "GET k"), ("t3", "SET k 3"), ("t3", "GET k"),
        ("t3", "INCR k"), ("t3", "MGET a b a"), ("w", "MSET a 1 b 2"),
        ("t3", "GET a"), ("w", "SELECT 1"), ("w", "SET a x"), ("w", "SELECT 0"),
        ("t3", "GET a"), ("w", "GET a"), ("w", "EXPIRE a 100"), ("t3", "TTL a"),
        ("w", "PERSIST a"), ("t3", "EXISTS a q"), ("w", "DEL a"), ("w", "SET q 1"),
        ("t3", "STRLEN q"), ("w", "RENAME q r"), ("t3", "GET r"), ("w", "APPEND r x"),
        ("t3", "LPUSH r x"), ("t3", "GET wrong wrong"), ("t3", "GET r", "GET s"),
        ("w", "MSET r 1 s 1", "SET r 2"), ("t3", "SETNX r 1"), ("t3", "GET r"),
        ("w", "SETNX r 1"), ("w", "FLUSHALL"), ("t3", "FLUSHALL"), ("t3", "GET a"),
        ("w", "FLUSHDB"), ("w", "SET a 1"), ("w", "SWAPDB 0 1"), ("t3", "GET a"),
        ("t3", "CLIENT TRACKING OFF"), ("w", "SET a 2"), ("t3", "GET a"),
        ("t3", "CLIENT TRACKING ON"), ("w", "SET a 3"), ("t3", "GET a"),
    ])


def test_transactions(play):
    play(["t3", "w"], [
        ("t3", "CLIENT TRACKING ON"),
        ("t3", "MULTI", "GET m", "SET m x", "GET m", "EXEC"), ("w", "DEL m"),
        ("t3", "MULTI", "GET n", "EXEC"), ("w", "MULTI", "SET n 1", "SET n 2", "EXEC"),
        ("t3", "MULTI", "GET n", "FLUSHALL", "GET n", "EXEC"), ("w", "SET n 3"),
        ("t3", "CLIENT TRACKING ON OPTIN"), ("t3", "CLIENT CACHING YES"),
        ("t3", "MULTI", "GET o", "GET o2", "EXEC"), ("w", "SET o 1"), ("w", "SET o2 1"),
        ("t3", "MULTI", "CLIENT CACHING YES", "GET o", "GET o2", "EXEC"),
        ("w", "SET o 1"), ("w", "SET o2 1"),
    ])


def test_noloop(play):
    play(["t3", "w"], [
        ("t3", "CLIENT TRACKING ON NOLOOP"), ("t3", "GET n"), ("t3", "SET n 1"),
        ("w", "SET n 2"), ("t3", "GET n"), ("w", "SET n 2"), ("t3", "FLUSHALL"),
        ("t3", "CLIENT TRACKING OFF"), ("t3", "CLIENT TRACKING ON BCAST NOLOOP"),
        ("t3", "SET b 1"), ("w", "SET b 1"), ("t3", "MSET c 1 d 1"),
    ])


def test_optin_and_optout(play):
    play(["t3", "w"], [
        ("t3", "CLIENT TRACKING ON OPTIN"), ("t3", "GET o"), ("w", "SET o 1"),
        ("t3", "CLIENT CACHING YES"), ("t3", "CLIENT TRACKINGINFO"), ("t3", "GET o"),
        ("t3", "CLIENT TRACKINGINFO"), ("w", "SET o 1"), ("t3", "CLIENT CACHING YES"),
        ("t3", "NOSUCH"), ("t3", "CLIENT TRACKINGINFO"), ("t3", "CLIENT CACHING YES"),
        ("t3", "GET"), ("t3", "GET o"), ("w", "SET o 1"), ("t3", "CLIENT TRACKING OFF"),
        ("t3", "CLIENT TRACKING ON OPTOUT"), ("t3", "GET o"), ("w", "SET o 2"),
        ("t3", "CLIENT CACHING NO"), ("t3", "GET o"), ("w", "SET o 2"), ("t3", "GET o"),
        ("w", "SET o 2"),
    ])


def test_broadcast(play):
    play(["t3", "u3", "w"], [
        ("t3", "CLIENT TRACKING ON BCAST PREFIX p: PREFIX q:"),
        ("u3", "CLIENT TRACKING ON BCAST PREFIX q:"),
        ("w", "MSET p:2 x q:1 y z 1 p:1 x"), ("t3", "SET p:3 1"), ("t3", "GET p:3"),
        ("w", "DEL p:3"), ("w", "SET q:1 x EX 100"), ("w", "SET p: x"), ("w", "SET p x"),
        ("w", "MULTI", "SET p:1 1", "SET p:1 2", "DEL p:1", "EXEC"),
        ("t3", "CLIENT TRACKING ON BCAST PREFIX a:"), ("w", "SET a:1 x"),
        ("u3", "CLIENT TRACKING OFF"), ("w", "SET q:1 z"), ("w", "FLUSHALL"),
        ("u3", "CLIENT TRACKING ON BCAST"), ("w", "SET q:1 z"), ("w", ["SET", "", "x"]),
        ("t3", "CLIENT TRACKING OFF"), ("w", "SET q:1 z"),
    ])


def test_redirection(play):
    play(["t", "t3", "r", "r3", "w"], [
        ("t", "CLIENT TRACKING ON"), ("t", "GET k"), ("w", "SET k 1"),
        ("t", "CLIENT TRACKING ON REDIRECT id:r"), ("t", "GET k"), ("w", "SET k 1"),
        ("r", "SUBSCRIBE __redis__:invalidate"), ("t", "GET k"), ("w", "SET k 1"),
        ("w", "FLUSHALL"), ("t", "GET k"), ("t", "SET k 5"), ("t", "GET k"),
        ("t3", "CLIENT TRACKING ON REDIRECT id:r"), ("t3", "GET k"), ("w", "SET k 6"),
        ("w", "FLUSHDB"), ("r", "UNSUBSCRIBE"), ("t", "GET k"), ("w", "SET k 5"),
        ("r", "SUBSCRIBE x"), ("t", "GET k"), ("w", "SET k 1"),
        ("t", "CLIENT TRACKING ON REDIRECT id:r3"), ("t", "GET k"), ("w", "SET k 1"),
        ("t", "CLIENT TRACKING OFF"),
        ("t", "CLIENT TRACKING ON BCAST REDIRECT id:r"), ("w", "MSET x 1 y 2"),
        ("t3", "CLIENT TRACKING ON REDIRECT id:t3"), ("t3", "GET k"), ("w", "SET k 2"),
    ])


@pytest.fixture
def pair(both):
    return [(server, Connection(server.port)) for server in (both.larder, both.oracle)]


def test_broken_redirection(pair):
    seen = []
    for server, writer in pair:
        gone = Connection(server.port)
        number = int(gone.command("CLIENT", "ID")[1:])
        people = [Connection(server.port), Connection(server.port)]
        people[0].command("HELLO", "3")
        replies = []
        for person in people:
            person.command("CLIENT", "TRACKING", "ON", "REDIRECT", number)
            person.command("GET", "k")
        gone.close()
        wait_until(lambda: writer.command("CLIENT", "LIST", "ID", number) in
                   (b"$0\r\n\r\n", b"$-1\r\n"))
        writer.command("SET", "k", "1")
        replies.append(people[0].read_reply())
        for person in people:
            replies.append(person.command("CLIENT", "TRACKINGINFO"))
        listing = writer.command("CLIENT", "LIST").decode()
        replies += sorted(re.findall(r"flags=(\S*t\S*) ", listing))
        replies = [r.replace(b":%d\r\n" % number, b":ID\r\n") if isinstance(r, bytes)
                   else r for r in replies]
        seen.append(replies)
        for person in people:
            person.close()
        writer.close()
    assert seen[0] == seen[1]
    assert b"tracking-redir-broken" in seen[0][0]


def figures(connection):
    text = connection.command("INFO", "everything").decode()
    return {name: int(value) for name, value in
            re.findall(r"(tracking_\w+):(\d+)\r", text)}


def test_info_and_client_list(pair):
    seen = []
    for server, writer in pair:
        people = [Connection(server.port) for _ in range(3)]
        people[0].command("CLIENT", "TRACKING", "ON")
        people[1].command("CLIENT", "TRACKING", "ON")
        people[2].command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "a", "PREFIX", "b")
        people[0].command("MGET", "x", "y")
        people[1].command("MGET", "y", "z", "z")
        replies = [figures(writer)]
        listing = writer.command("CLIENT", "LIST").decode()
        replies.append(sorted(re.findall(r"flags=(\S*t\S*) .* redir=(\S+)", listing)))
        for person in people:
            person.close()
        wait_until(lambda: figures(writer)["tracking_clients"] == 0)
        writer.command("FLUSHALL")
        seen.append(replies)
        writer.close()
    assert seen[0] == seen[1]
    assert seen[0][0]["tracking_total_items"] == 4


def test_reset_ends_it(both):
    for side in both.sides:
        side.command("CLIENT", "TRACKING", "ON", "BCAST")
    both.same("RESET")
    both.same("CLIENT", "TRACKINGINFO")
    both.resp3().same("SET", "k", "x")
    both.nothing()


def tracker(server, *options):
    connection = Connection(server.port)
    connection.command("HELLO", "3")
    assert connection.command("CLIENT", "TRACKING", "ON", *options) == b"+OK\r\n"
    return connection


def invalidation(*keys):
    return b">2\r\n$10\r\ninvalidate\r\n" + encode(*keys)


def test_expiry_tells_and_demotion_does_not(larder):
    with Connection(larder.port) as writer, tracker(larder) as reader, \
            tracker(larder, "BCAST") as listener:
        writer.settimeout(60)
        due = time.time() + 2
        writer.command("SET", "k", "x" * 1000, "PXAT", int(due * 1000))
        assert listener.read_reply() == invalidation("k")
        reader.command("GET", "k")
        writer.command("TIER", "DEMOTE", "k", "TO", "DRY")
        assert writer.command("TIER", "OF", "k").endswith(b"dry\r\n")
        assert reader.quiet() and listener.quiet()
        assert reader.read_reply() == invalidation("k")
        assert listener.read_reply() == invalidation("k")
        assert -0.01 < time.time() - due < 1


def test_reading_dry_values_is_noticed(larder):
    with Connection(larder.port) as writer, tracker(larder) as reader:
        writer.settimeout(60)
        writer.command("SET", "k", "x" * 1000)
        writer.command("TIER", "DEMOTE", "k", "TO", "DRY")
        assert reader.command("GET", "k").startswith(b"$1000")
        writer.command("SET", "k", "y")
        assert reader.read_reply() == invalidation("k")


def test_table_is_bounded_in_keys(larder):
    with Connection(larder.port) as writer, tracker(larder) as reader:
        writer.command("CONFIG", "SET", "tracking-table-max-keys", "100")
        for number in range(150):
            reader.command("GET", "key%d" % number)
            if number >= 100:  # the oldest is given up, and said so
                assert reader.read_reply() == invalidation("key%d" % (number - 100))
        assert figures(writer)["tracking_total_keys"] == 100
        writer.command("CONFIG", "SET", "tracking-table-max-keys", "10")
        wait_until(lambda: figures(writer)["tracking_total_keys"] == 10)
        reader.read_replies(90)
        writer.command("CONFIG", "SET", "tracking-table-max-keys", "0")
        reader.pipeline([("GET", "key%d" % number) for number in range(1000)])
        assert figures(writer)["tracking_total_keys"] == 1000
        writer.command("CONFIG", "SET", "tracking-table-max-keys", "1000000")


def test_table_is_bounded_in_bytes(start_larder):
    server = start_larder("maxmemory 32mb", "tracking-table-max-keys 0")
    with Connection(server.port) as writer, tracker(server) as reader:
        for number in range(100):
            reader.send(encode("GET", b"%06d" % number + b"x" * 100000))
            while reader.read_reply() != b"_\r\n":
                pass
        assert 20 < figures(writer)["tracking_total_keys"] < 45


def test_readers_that_left_are_forgotten(larder):
    """A key that never changes, read by ever new connections."""
    with Connection(larder.port) as writer:
        writer.command("FLUSHALL")
        writer.command("SET", "k", "x")
        for _ in range(300):
            with tracker(larder) as reader:
                reader.command("GET", "k")
        assert figures(writer)["tracking_total_items"] < 50


def test_many_prefixes(larder):
    with Connection(larder.port) as writer, tracker(larder, "BCAST", "PREFIX", "a:") as one:
        words = ["PREFIX", "p"] + [w for n in range(1100) for w in ("PREFIX", "q%d:" % n)]
        assert one.command("CLIENT", "TRACKING", "ON", "BCAST", *words).startswith(b"-ERR")
        words = [w for n in range(1000) for w in ("PREFIX", "q%d:" % n)]
        assert one.command("CLIENT", "TRACKING", "ON", "BCAST", *words) == b"+OK\r\n"
        assert figures(writer)["tracking_total_prefixes"] == 1001
        writer.command("SET", "q777:x", "1")
        assert one.read_reply() == invalidation("q777:x")


def test_flush_of_a_large_table(larder):
    with Connection(larder.port) as writer, tracker(larder) as reader:
        for first in range(0, 100000, 1000):
            reader.command("MGET", *["key%d" % n for n in range(first, first + 1000)])
        began = time.monotonic()
        writer.command("FLUSHALL")
        assert time.monotonic() - began < 1
        assert reader.read_reply() == b">2\r\n$10\r\ninvalidate\r\n_\r\n"
        assert figures(writer)["tracking_total_keys"] == 0


def test_connections_come_and_go(larder):
    with Connection(larder.port) as writer:
        for round_ in range(100):
            people = [tracker(larder, *options) for options in (
                (), ("BCAST",), ("BCAST", "PREFIX", "k"), ("NOLOOP",))]
            for person in people:
                person.command("GET", "k")
            for person in people[: round_ % 5]:
                person.close()
            writer.command("SET", "k", "x")
            for person in people:
                person.close()
        wait_until(lambda: figures(writer)["tracking_clients"] == 0)
        assert figures(writer)["tracking_total_prefixes"] == 0
