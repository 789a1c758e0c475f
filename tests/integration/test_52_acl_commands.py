"""Every command of the table against users without and with rights, and what
transactions and scripts make of a refusal."""

import pytest

from differential.compare import value as parse
from support.resp import Closed, encode
from test_50_acl import log_of, sides  # noqa: F401 (a fixture)

# Arguments with which these commands name their keys.
SPECIAL = {
    "command|getkeys": ["get", "x"],
    "command|getkeysandflags": ["get", "x"],
    # Without a source Redis finds no key in it at all, and asks for none.
    "pfmerge": ["1", "1"],
}


def described(connection):
    """full name -> (arity, flags, first key, categories, what is done to
    its keys) of each command that can be run: containers without a form of
    their own are left out."""
    found = {}

    def add(entry):
        name = entry[0].decode()
        for sub in entry[9]:
            add(sub)
        if not entry[9] or entry[1] == -1:
            found[name] = (entry[1], {flag[1:].decode() for flag in entry[2]},
                           entry[3], {cat[2:].decode() for cat in entry[6]},
                           {flag[1:].decode() for spec in entry[8]
                            for flag in spec[spec.index(b"flags") + 1]})

    for entry in parse(connection.command("COMMAND")):
        add(entry)
    return found


def words_of(name, arity):
    """A call with as few arguments as will do; each could be a key."""
    words = name.split("|")
    extra = SPECIAL.get(name, [])
    missing = max(abs(arity) - len(words) - len(extra), 0)
    return words + extra + ["1"] * missing


def verdicts(connection, rows, user):
    """What DRYRUN says of each command: "ok", "command", "key"..."""
    names = sorted(rows)
    connection.send(b"".join(
        encode("ACL", "DRYRUN", user, *words_of(name, rows[name][0]))
        for name in names))
    found = {}
    for name, reply in zip(names, connection.read_replies(len(names))):
        text = reply.decode()
        if text.startswith("+OK"):
            found[name] = "ok"
        elif "to run the '%s' command" % name in text:
            found[name] = "command"
        elif text.rstrip().endswith("key"):
            found[name] = "key"
        else:
            found[name] = text
    return found


def test_every_command_without_and_with_the_right(larder):
    with larder.connect(timeout=60) as admin:
        rows = described(admin)
        assert len(rows) > 200
        free = {name for name, row in rows.items() if "no_auth" in row[1]}
        assert free == {"auth", "hello", "quit", "reset"}
        admin.command("ACL", "SETUSER", "t", "reset", "~*", "&*")
        none = verdicts(admin, rows, "t")
        assert none == {name: "ok" if name in free else "command"
                        for name in rows}
        for name in rows:
            # All but this one ...
            admin.command("ACL", "SETUSER", "t", "reset", "~*", "&*", "+@all",
                          "-" + name)
            call = ("ACL", "DRYRUN", "t", *words_of(name, rows[name][0]))
            refused = admin.command(*call)
            assert (refused == b"+OK\r\n") == (name in free), (name, refused)
            # ... and only this one.
            admin.command("ACL", "SETUSER", "t", "reset", "~*", "&*",
                          "+" + name)
            assert admin.command(*call) == b"+OK\r\n", name
        admin.command("ACL", "DELUSER", "t")


def test_every_command_by_its_categories(larder):
    """A category gives what COMMAND INFO says is in it, and what follows from
    that: a container's subcommands go with it."""
    with larder.connect(timeout=60) as admin:
        rows = described(admin)
        entries = {entry[0].decode(): entry
                   for entry in parse(admin.command("COMMAND"))}
        for category in parse(admin.command("ACL", "CAT")):
            category = category.decode()
            members = {name for name, row in rows.items()
                       if category in row[3] or
                       ("|" in name and b"@" + category.encode() in {
                           cat[1:] for cat in entries[name.split("|")[0]][6]})}
            admin.command("ACL", "SETUSER", "t", "reset", "~*", "&*",
                          "+@" + category)
            found = verdicts(admin, rows, "t")
            given = {name for name in rows if found[name] == "ok"}
            assert given - {"auth", "hello", "quit", "reset"} == members - {
                "auth", "hello", "quit", "reset"}, category
        admin.command("ACL", "DELUSER", "t")


def test_every_command_with_keys_asks_for_them(larder):
    """A user without a key may run what names none, and nothing else; one who
    may only read is refused what writes."""
    with larder.connect(timeout=60) as admin:
        rows = described(admin)
        admin.command("ACL", "SETUSER", "t", "reset", "&*", "+@all")
        found = verdicts(admin, rows, "t")
        for name, (_, flags, first, _, uses) in rows.items():
            if first > 0 and "not_key" not in uses:
                assert found[name] == "key", name
            elif "movablekeys" not in flags:
                assert found[name] == "ok", name
        admin.command("ACL", "SETUSER", "t", "%R~*")
        reads = verdicts(admin, rows, "t")
        admin.command("ACL", "SETUSER", "t", "resetkeys", "%W~*")
        writes = verdicts(admin, rows, "t")
        for name, (_, flags, first, _, uses) in rows.items():
            if first == 0 or "not_key" in uses:
                continue
            changes = uses & {"insert", "update", "delete"}
            assert changes or "write" not in flags or name == "pfdebug", name
            # With a key alone, or without STORE, these change nothing.
            if changes and name not in ("bitfield", "sort", "georadius",
                                        "georadiusbymember"):
                assert reads[name] == "key", name
            elif not changes:
                assert reads[name] == "ok", name
            if "access" in uses and name not in ("set", "tier|set"):
                assert writes[name] == "key", name
        assert reads["get"] == "ok" and writes["get"] == "key"
        assert writes["set"] == "ok" and writes["getset"] == "key"
        admin.command("ACL", "DELUSER", "t")


def test_every_refusal_reaches_the_client(larder):
    """Not DRYRUN but the command itself, on a connection of the user."""
    with larder.connect(timeout=60) as admin, larder.connect() as client:
        rows = described(admin)
        admin.command("ACL", "SETUSER", "t", "reset", "on", "nopass", "~*")
        client.command("AUTH", "t", "x")
        for name, (arity, flags, *_) in sorted(rows.items()):
            if "no_auth" in flags or name == "exec":
                continue  # EXEC wraps the error: test_transactions
            expected = ("-NOPERM this user has no permissions to run the '%s' "
                        "command\r\n" % name).encode()
            assert client.command(*words_of(name, arity)) == expected
        admin.command("ACL", "DELUSER", "t")


def test_the_same_of_what_both_have(sides):  # noqa: F811
    """Each command both servers have, for users with some rights."""
    shared = [described(side) for side in sides.sides]
    rows = {name: row for name, row in shared[0].items()
            if name in shared[1] and row[0] == shared[1][name][0]}
    assert len(rows) > 150
    for rules in (["+@all"], ["+@all", "%R~*"], ["+@all", "%W~*"],
                  ["+@all", "~x", "%R~1"], ["+@read", "~*"],
                  ["+@write", "~*"], ["+@all", "-@slow", "~*"]):
        sides.same("ACL", "SETUSER", "u", "reset", "&*", *rules)
        ours, theirs = (verdicts(side, rows, "u") for side in sides.sides)
        assert ours == theirs


# ---- MULTI, scripts, channels ----


def known(sides, name):  # noqa: F811
    reply = sides.sides[0].command("COMMAND", "INFO", name)
    return reply.startswith(b"*1\r\n*10")


def as_user(sides, name):  # noqa: F811
    connections = [type(side)(server.port) for side, server in
                   zip(sides.sides, (sides.larder, sides.oracle))]

    def same(*words):
        ours, theirs = (side.command(*words) for side in connections)
        assert ours == theirs, (words, ours, theirs)
        return ours

    same("AUTH", name, "x")
    return same, connections


def close(connections):
    for connection in connections:
        connection.close()


def test_transactions(sides):  # noqa: F811
    sides.same("ACL", "SETUSER", "u", "on", "nopass", "~k*", "+@all", "-mget",
               "&*")
    same, connections = as_user(sides, "u")
    for words in [("MULTI",), ("GET", "z"), ("nope",), ("EXEC",),
                  ("MULTI",), ("MGET", "ka"), ("SET", "ka", "1"), ("EXEC",),
                  ("MULTI",), ("GET", "ka"), ("SET", "kb", "1"), ("EXEC",)]:
        same(*words)
    for words in [("MULTI",), ("GET", "ka"), ("SET", "kb", "2"),
                  ("PING",), ("AUTH", "u", "x"), ("AUTH", "zz", "x")]:
        same(*words)
    sides.same("ACL", "SETUSER", "u", "-get", "resetkeys")
    same("EXEC")
    same("GET", "kb")
    sides.same("ACL", "SETUSER", "u", "-exec", "-discard", "~*")
    same("MULTI")
    same("EXEC")
    same("DISCARD")
    sides.same("GET", "kb")
    ours, theirs = (log_of(side, "100") for side in sides.sides)
    assert ours == theirs
    assert {entry[b"context"] for entry in ours} == {b"multi", b"toplevel"}
    close(connections)


@pytest.mark.parametrize("rules", [
    ["resetchannels", "&c*", "&d", "&p*"], ["resetchannels", "&c1", "&p*"],
    ["resetchannels"], ["&*"], ["resetchannels", "(&c* &p* &d)"],
    ["resetchannels", "&*"], ["off"], ["-@all"],
    ["resetchannels", "&c1", "&c2", "&d"],
], ids=" ".join)
def test_subscribers_who_may_not_listen_any_more(sides, rules):  # noqa: F811
    """SETUSER ends the connections that listen to what is taken away."""
    sides.same("ACL", "SETUSER", "u", "on", "nopass", "+@all", "&c*", "&d",
               "&p*")
    asked = [[], [("SUBSCRIBE", "c1")], [("SUBSCRIBE", "c1", "c2")],
             [("PSUBSCRIBE", "p*")], [("SSUBSCRIBE", "d")],
             [("SUBSCRIBE", "c1"), ("UNSUBSCRIBE", "c1")]]
    pairs = []
    for commands in asked:
        pair = [type(side)(server.port) for side, server in
                zip(sides.sides, (sides.larder, sides.oracle))]
        for connection in pair:
            connection.command("AUTH", "u", "x")
            for words in commands:
                connection.send(encode(*words))
                connection.read_replies(len(words) - 1)
        pairs.append(pair)
    sides.same("ACL", "SETUSER", "u", *rules)
    for commands, pair in zip(asked, pairs):
        ended = []
        for connection in pair:
            try:
                connection.command("PING")
                ended.append(False)
            except (Closed, OSError):
                ended.append(True)
            connection.close()
        assert ended[0] == ended[1], (commands, ended)


def test_scripts(sides):  # noqa: F811
    if not known(sides, "eval"):
        pytest.skip("no scripts yet")
    sides.same("ACL", "SETUSER", "u", "on", "nopass", "~k*", "+@all", "-mget",
               "&c*")
    same, connections = as_user(sides, "u")
    for script in ["return redis.call('get','z')",
                   "return redis.call('get','ka')",
                   "return redis.pcall('get','z')",
                   "return redis.call('mget','ka')",
                   "return redis.pcall('mget','ka')",
                   "return redis.pcall('publish','z','1')",
                   "return redis.pcall('publish','c','1')"]:
        same("EVAL", script, "0")
    same("EVAL", "return 1", "1", "z")
    same("EVAL", "return 1", "1", "k")
    ours, theirs = (log_of(side, "100") for side in sides.sides)
    assert ours == theirs
    assert b"lua" in {entry[b"context"] for entry in ours}
    close(connections)


def test_channels(sides):  # noqa: F811
    if not known(sides, "publish"):
        pytest.skip("no channels yet")
    sides.same("ACL", "SETUSER", "u", "on", "nopass", "+@all", "&c*", "&p?",
               "&lit*")
    for words in [("publish", "z", "1"), ("publish", "c1", "1"),
                  ("spublish", "z", "1"), ("spublish", "c", "1"),
                  ("subscribe", "c1", "z"), ("subscribe", "c1", "c2"),
                  ("ssubscribe", "c1", "p"), ("psubscribe", "c1"),
                  ("psubscribe", "c*"), ("psubscribe", "c*", "p*"),
                  ("psubscribe", "p?"), ("unsubscribe", "z"),
                  ("punsubscribe", "z*"), ("sunsubscribe", "z"),
                  ("pubsub", "channels"), ("pubsub", "numsub", "z")]:
        sides.same("ACL", "DRYRUN", "u", *words)
    same, connections = as_user(sides, "u")
    for words in [("publish", "z", "1"), ("publish", "c1", "1"),
                  ("subscribe", "c1", "z"), ("psubscribe", "c*", "z"),
                  ("ssubscribe", "z")]:
        same(*words)
    ours, theirs = (log_of(side) for side in sides.sides)
    assert ours == theirs
    close(connections)
