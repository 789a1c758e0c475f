"""ACL beside redis-server: rules, users, what they may do."""

import re

import pytest

from differential.compare import value as parse
from support.resp import Closed, encode

RULES = [
    "bad", "+nope", "+@nope", "-nope", "-@nope", "+config|nope", "+get|",
    "+config|", "+config|get|x", "+get|x|y", "-get|x", "+get|x", "~*", "~a",
    "&*", "&a", "allkeys", "allchannels", "~a b", "&a b", "%~a", "%R~a",
    "%W~a", "%RW~*", "%wr~x", "%RR~a", "%X~a", "%R", "%", ">pw", "<nopw",
    "#abc", "#" + "A" * 64, "#" + "a" * 64, "!" + "b" * 64, "!zz", "(+get",
    "( )", "()", "(+get ~x)", "( +get   ~y )", "(on)", "(~* ~a)", "( (+get) )",
    ")", "", ">", "<", "#", "!", "~", "&", "+", "-", "+@", "(", "(x)",
    "sanitize-payload", "skip-sanitize-payload", "ON", "NoPass", "+GET",
    "-@ALL", "AllCommands", "~x\0y", "&x\0y", "reset", "resetpass",
    "clearselectors", "off", "-config|get", "+client|ID", "+SELECT|AbC",
]
SETS_OF_RULES = [
    ["+@all", "-config|get"],
    ["+config", "-config|get"],
    ["+@all", "-config"],
    ["+@all", "-@all", "+get", "-@read"],
    ["+select|0", "+select|1", "+select|0"],
    ["+select|0", "+select"],
    ["+select", "+select|0"],
    ["+select|0", "-select"],
    ["+select|0", "+@all"],
    ["+select|0", "+@connection"],
    ["+@all", "+select|0"],
    ["+memory|usage", "-memory"],
    ["on", ">p", ">q", "<p", "~x", "%R~y", "%W~z", "%R~z", "&c", "&c"],
    ["nopass", ">p"],
    [">p", "nopass"],
    [">p", "resetpass"],
    ["%RW~*", "~a"],
    ["~*", "~a"],
    ["~a", "~*"],
    ["&*", "&a"],
    ["~*", "resetkeys", "~a"],
    ["&*", "resetchannels", "&a"],
    ["+@all", "-@dangerous"],
    ["(+get", "~a)"],
    ["(+get", "~a", "&b", ")"],
    ["(+get", "~a"],
    ["(+get", "(~a)"],
    ["(+get ~a)", "(+set %W~b)", "on"],
    ["(+get ~a)", "clearselectors"],
    ["(+get ~a)", "on", ">p", "~*", "&*", "+@all", "reset"],
    ["(+get ~a", "("],
    ["~a", "nonsense", "~b"],
    ["sanitize-payload", "skip-sanitize-payload"],
]


@pytest.fixture
def sides(both):
    """Both servers without users, and as many further ones as wanted."""
    forget_users(both)
    yield both
    forget_users(both)


def forget_users(both):
    for side in both.sides:
        side.command("ACL", "SETUSER", "default", "reset", "on", "nopass",
                     "allkeys", "allchannels", "+@all")
        names = parse(side.command("ACL", "USERS"))
        for name in names:
            if name != b"default":
                side.command("ACL", "DELUSER", name)
        side.command("ACL", "LOG", "RESET")


@pytest.mark.parametrize("rule", RULES)
def test_one_rule(sides, rule):
    sides.same("ACL", "SETUSER", "u", rule)
    sides.same("ACL", "LIST")
    sides.same("ACL", "GETUSER", "u")


@pytest.mark.parametrize("rules", SETS_OF_RULES, ids=" ".join)
def test_rules(sides, rules):
    sides.same("ACL", "SETUSER", "u", *rules)
    sides.same("ACL", "LIST")
    sides.same("ACL", "GETUSER", "u")


@pytest.mark.parametrize("rules", [
    ["+config|get", "+config|set"],
    ["+get", "+set", "+mget", "+config", "-config|get", "+ping"],
    ["+@all", "-get", "-client|id", "-acl", "+acl|whoami"],
], ids=" ".join)
def test_rules_whose_order_is_not_defined(sides, rules):
    """Redis describes single commands in the order of a hash table."""
    sides.same("ACL", "SETUSER", "u", *rules)
    for side in sides.sides:
        fields = parse(side.command("ACL", "GETUSER", "u"))
        words = fields[fields.index(b"commands") + 1].decode().split()
        assert sorted(words) == sorted(
            {"-@all", "+@all"} & {words[0]} | set(rules))


def test_rules_in_resp3(sides):
    sides.resp3()
    for rules in SETS_OF_RULES:
        sides.same("ACL", "SETUSER", "u", "reset", *rules)
        sides.same("ACL", "GETUSER", "u")


def test_users(sides):
    for name in ["a b", "a\0b", "a\tb", "", "z", "B", "a", b"\xff", "default"]:
        sides.same("ACL", "SETUSER", name)
    sides.same("ACL", "USERS")
    sides.same("ACL", "LIST")
    sides.same("ACL", "GETUSER", "nobody")
    for args in [["default"], ["z", "default"], ["nobody"], [],
                 ["a", "a", "B", "nobody"]]:
        sides.same("ACL", "DELUSER", *args)
    sides.same("ACL", "USERS")


def test_forms(sides):
    for args in [
        [], ["NOPE"], ["HELP"], ["HELP", "x"], ["WHOAMI"], ["WHOAMI", "x"],
        ["CAT", "nope"], ["CAT", "read", "x"], ["GENPASS", "0"],
        ["GENPASS", "4097"], ["GENPASS", "-1"], ["GENPASS", "x"],
        ["GENPASS", "1", "2"], ["LOG"], ["LOG", "x"], ["LOG", "-1"],
        ["LOG", "reset"], ["LOG", "1", "2"], ["LOAD"], ["SAVE"], ["LOAD", "x"],
        ["SETUSER"], ["GETUSER"], ["GETUSER", "a", "b"], ["LIST", "x"],
        ["USERS", "x"], ["DRYRUN", "default"], ["CAT"],
    ]:
        sides.same("ACL", *args)


def test_genpass(larder):
    with larder.connect() as connection:
        seen = set()
        for bits, digits in [(None, 64), (1, 1), (4, 1), (5, 2), (256, 64),
                             (4096, 1024)]:
            args = [] if bits is None else [bits]
            word = parse(connection.command("ACL", "GENPASS", *args))
            assert re.fullmatch(b"[0-9a-f]{%d}" % digits, word)
            seen.add(word)
        assert len(seen) >= 5
        assert parse(connection.command("ACL", "GENPASS")) not in seen


def commands_of(side):
    """The full names of all commands."""
    return {name for name in parse(side.command("COMMAND", "LIST"))}


def test_categories(sides):
    """Each category holds the same commands, of those both have."""
    known = [commands_of(side) for side in sides.sides]
    shared = known[0] & known[1]
    assert len(shared) > 150
    for category in parse(sides.sides[1].command("ACL", "CAT")):
        ours, theirs = (
            set(parse(side.command("ACL", "CAT", category))) & shared
            for side in sides.sides
        )
        assert ours == theirs, category


def test_a_category_gives_the_same_commands(sides):
    """+@category and -@category, seen by what a user may then run."""
    rows = {}
    for side in sides.sides:
        rows[side] = parse(side.command("COMMAND"))
    arity = {}

    def note(entry):
        arity[entry[0]] = entry[1]
        for sub in entry[9]:
            note(sub)

    for entry in rows[sides.sides[0]]:
        note(entry)
    shared = sorted(commands_of(sides.sides[0]) & commands_of(sides.sides[1]))
    tried = []
    for name in shared:
        words = name.split(b"|")
        if len(words) == 1 and abs(arity[name]) < 2 and arity[name] > 0:
            tried.append(words)
        else:
            least = abs(arity[name])
            tried.append(words + [b"1"] * (least - len(words)))
    containers = {name.split(b"|")[0] for name in shared if b"|" in name}
    tried = [words for words in tried
             if not (words[0] in containers and b"|".join(words[:2]) not in
                     shared)]
    for category in parse(sides.sides[1].command("ACL", "CAT")):
        for first, sign in (("-@all", b"+@"), ("+@all", b"-@")):
            sides.same("ACL", "SETUSER", "u", "reset", "~*", "&*", first,
                       sign + category)
            data = b"".join(encode("ACL", "DRYRUN", "u", *words)
                            for words in tried)
            replies = []
            for side in sides.sides:
                side.send(data)
                replies.append(side.read_replies(len(tried)))
            for words, ours, theirs in zip(tried, *replies):
                assert ours == theirs, (sign + category, words)


DRYRUNS = [
    ("get", "y"), ("get", "x1"), ("set", "x1", "1"), ("set", "r", "1"),
    ("set", "r", "1", "get"), ("set", "w", "1"), ("set", "w", "1", "GET"),
    ("get", "r"), ("get", "w"), ("exists", "w"), ("exists", "r"),
    ("exists", "q"), ("mget", "r", "x"), ("mget", "r", "w"),
    ("mset", "w", "1", "x", "2"), ("mset", "w", "1", "r", "2"),
    ("del", "x", "w", "r"), ("copy", "r", "w"), ("copy", "w", "r"),
    ("rename", "x", "w"), ("rename", "r", "w"), ("rename", "w", "x"),
    ("getex", "r"), ("touch", "r", "w"), ("strlen", "w"),
    ("auth", "x"), ("hello",), ("reset",), ("quit",),
    ("config", "get"), ("config", "get", "x"), ("config", "nope"), ("nope",),
    ("config",), ("object", "encoding", "q"), ("object", "encoding", "w"),
    ("memory", "usage", "q"), ("keys", "*"), ("lcs", "r", "q"), ("dbsize",),
    ("select", "0"), ("select", "1"), ("select", "2"), ("swapdb", "0", "1"),
    ("acl", "whoami"), ("get",), ("incr", "x", "y"),
]


@pytest.mark.parametrize("rules", [
    ["+@all", "~x*", "%R~r", "%W~w"],
    ["+@all", "-select", "+select|0", "+select|1", "~x*", "%R~r", "%W~w",
     "-mget", "-config"],
    ["+@read", "~x*", "(+@write %W~w)", "(+@string %R~r)"],
    ["+@all", "(~x +@all)", "(%RW~*  +dbsize)"],
    ["-@all"],
    ["~*", "+get", "+set", "+config|get"],
], ids=" ".join)
def test_dryrun(sides, rules):
    sides.same("ACL", "SETUSER", "u", *rules)
    sides.same("ACL", "DRYRUN", "nobody", "get", "x")
    for words in DRYRUNS:
        sides.same("ACL", "DRYRUN", "u", *words)


def test_refusals(sides):
    """The error a client gets, and the order of checks."""
    sides.same("ACL", "SETUSER", "u", "on", ">p", "~x*", "%R~r", "%W~w",
               "+@all", "-config", "-mget", "-@dangerous", "+acl|whoami")
    sides.same("AUTH", "u", "wrong")
    sides.same("AUTH", "u", "p")
    sides.same("ACL", "WHOAMI")
    for words in DRYRUNS:
        if words[0] not in ("auth", "hello", "reset", "quit"):
            sides.same(*words)
    sides.same("CONFIG", "GET")
    sides.same("CONFIG")
    sides.same("nonsense", "x")
    sides.same("ACL", "LIST")
    sides.same("CLIENT", "KILL", "ID", "1")
    sides.same("RESET")
    sides.same("ACL", "WHOAMI")


def without_age_and_client(entry):
    fields = dict(zip(entry[::2], entry[1::2]))
    assert float(fields.pop(b"age-seconds")) < 60
    assert b" user=" in fields.pop(b"client-info")
    return fields


def log_of(side, *args):
    return [without_age_and_client(entry)
            for entry in parse(side.command("ACL", "LOG", *args))]


def test_log(sides):
    sides.same("ACL", "SETUSER", "u", "on", ">p", "~x*", "+@all", "-mget")
    others = [type(side)(server.port) for side, server in
              zip(sides.sides, (sides.larder, sides.oracle))]
    for other in others:
        for words in [("AUTH", "u", "no"), ("auth", "u", "no"),
                      ("AUTH", "u", "no"), ("HELLO", "3", "AUTH", "z", "no"),
                      ("AUTH", "u", "p"), ("MGET", "a"), ("get", "a"),
                      ("GET", "b"), ("get", "x"), ("SET", "a", "1"),
                      ("mget", "a"), ("get", "b")]:
            other.command(*words)
    ours, theirs = (log_of(side) for side in sides.sides)
    assert ours == theirs
    assert len(ours) == 6
    assert [log_of(side, "2") for side in sides.sides] == [ours[:2]] * 2
    for side in sides.sides:
        side.command("CONFIG", "SET", "acllog-max-len", "2")
    for other in others:
        other.command("GET", "c")
    ours, theirs = (log_of(side) for side in sides.sides)
    assert ours == theirs
    assert len(ours) == 2
    for side in sides.sides:
        side.command("CONFIG", "SET", "acllog-max-len", "128")
    sides.same("ACL", "LOG", "RESET")
    sides.same("ACL", "LOG")
    for other in others:
        other.close()


def test_log_names_the_client(larder):
    with larder.connect() as admin, larder.connect() as client:
        admin.command("ACL", "SETUSER", "logged", "on", "nopass", "+ping")
        client.command("AUTH", "logged", "x")
        client.command("GET", "a")
        entry = parse(admin.command("ACL", "LOG", "1"))[0]
        info = entry[entry.index(b"client-info") + 1]
        assert b" cmd=get user=logged " in info and b"\n" not in info
        admin.command("ACL", "DELUSER", "logged")


def test_a_log_entry_has_a_bounded_size(larder):
    with larder.connect() as admin, larder.connect() as client:
        admin.command("ACL", "SETUSER", "long", "on", "nopass", "+get", "~a")
        client.command("AUTH", "long", "x")
        for i in range(3):
            assert client.command("GET", "k" * 1000000 + str(i)).startswith(
                b"-NOPERM")
        entry = parse(admin.command("ACL", "LOG", "1"))[0]
        assert 100 < len(entry[entry.index(b"object") + 1]) < 10000
        admin.command("ACL", "DELUSER", "long")


def test_logging_in(sides):
    sides.same("AUTH", "p")
    sides.same("AUTH", "default", "anything")
    sides.same("AUTH", "a", "b", "c")
    sides.same("AUTH", "nobody", "p")
    sides.same("ACL", "SETUSER", "u", ">p")
    sides.same("AUTH", "u", "p")  # off
    sides.same("ACL", "SETUSER", "u", "on")
    sides.same("AUTH", "u", "q")
    sides.same("HELLO", "2", "AUTH", "u", "q")
    sides.same("AUTH", "u", "p")
    sides.same("AUTH", "default", "x")
    sides.same("ACL", "SETUSER", "u", "nopass")
    sides.same("AUTH", "u", "whatever")
    sides.same("PING")
    sides.same("RESET")
    sides.same("ACL", "WHOAMI")


def test_the_default_users_password(start_larder, start_oracle):
    """requirepass and rules about default, as both see them."""
    servers = [start_larder(), start_oracle()]
    admins = [server.connect() for server in servers]

    def same(connections, *words):
        ours, theirs = (side.command(*words) for side in connections)
        assert ours == theirs, (words, ours, theirs)
        return ours

    same(admins, "CONFIG", "SET", "requirepass", "foo")
    same(admins, "ACL", "LIST")
    fresh = [server.connect() for server in servers]
    same(fresh, "PING")
    same(fresh, "AUTH", "bar")
    same(fresh, "AUTH", "foo")
    same(admins, "ACL", "SETUSER", "default", ">bar", "off")
    same(admins, "ACL", "LIST")
    same(admins, "CONFIG", "GET", "requirepass")
    same(fresh, "PING")
    late = [server.connect() for server in servers]
    for words in [("PING",), ("AUTH", "foo"), ("AUTH", "default", "foo"),
                  ("CONFIG", "nope"), ("nope",), ("GET",), ("HELLO",),
                  ("HELLO", "3", "AUTH", "default", "foo")]:
        same(late, *words)
    same(admins, "ACL", "SETUSER", "default", "on")
    same(late, "AUTH", "bar")
    same(admins, "ACL", "SETUSER", "default", "-@all", "+ping")
    same(late, "PING")
    same(late, "AUTH", "foo")
    same(late, "GET", "a")
    same(late, "RESET")
    same(late, "PING")
    same(admins, "ACL", "WHOAMI")
    for connection in admins + fresh + late:
        connection.close()


def test_requirepass_can_be_taken_away(sides):
    for password in ["foo", "", "bar", "bar", ""]:
        sides.same("CONFIG", "SET", "requirepass", password)
        sides.same("ACL", "LIST")


def test_connections_of_deleted_users_end(larder):
    admin = larder.connect()
    admin.command("ACL", "SETUSER", "gone", "on", "nopass", "+@all", "~*")
    others = [larder.connect() for _ in range(3)]
    for other in others:
        assert other.command("AUTH", "gone", "x") == b"+OK\r\n"
    assert b"user=gone" in admin.command("CLIENT", "LIST")
    # The one that does it gets its answer.
    assert others[0].command("ACL", "DELUSER", "gone") == b":1\r\n"
    for other in others:
        with pytest.raises((Closed, OSError)):
            other.command("PING")
    assert admin.command("PING") == b"+PONG\r\n"
    assert b"user=gone" not in admin.command("CLIENT", "LIST")
    admin.close()


def test_rules_hold_for_connections_there_are(larder):
    with larder.connect() as admin, larder.connect() as client:
        admin.command("ACL", "SETUSER", "u", "reset", "on", "nopass", "+get",
                      "~a")
        client.command("AUTH", "u", "x")
        assert client.command("GET", "a") == b"$-1\r\n"
        admin.command("ACL", "SETUSER", "u", "resetkeys")
        assert client.command("GET", "a").startswith(b"-NOPERM")
        admin.command("ACL", "SETUSER", "u", "+@all", "~*", "&*")
        assert client.command("SET", "a", "1") == b"+OK\r\n"
        # A disabled user keeps the connections it has.
        admin.command("ACL", "SETUSER", "u", "off")
        assert client.command("GET", "a") == b"$1\r\n1\r\n"
        admin.command("ACL", "DELUSER", "u")


def test_a_pipeline_is_checked_command_by_command(larder):
    with larder.connect() as client:
        client.command("ACL", "SETUSER", "pipe", "reset", "on", "nopass",
                       "+get", "+auth", "~*")
        client.send(encode("AUTH", "pipe", "x") + encode("SET", "a", "1") +
                    encode("GET", "a") + encode("AUTH", "default", "x") +
                    encode("SET", "a", "1"))
        replies = client.read_replies(5)
        assert replies[1].startswith(b"-NOPERM")
        assert not replies[2].startswith(b"-")
        assert replies[3:] == [b"+OK\r\n"] * 2
        client.command("ACL", "DELUSER", "pipe")


def test_client_kill_user(sides):
    sides.same("CLIENT", "KILL", "USER", "nobody")
    sides.same("ACL", "SETUSER", "u", "on", "nopass", "+@all")
    sides.same("CLIENT", "KILL", "USER", "u")
    others = [type(side)(server.port) for side, server in
              zip(sides.sides, (sides.larder, sides.oracle))]
    for other in others:
        other.command("AUTH", "u", "x")
    sides.same("CLIENT", "KILL", "USER", "u")
    for other in others:
        with pytest.raises((Closed, OSError)):
            other.command("PING")
        other.close()


def test_acl_pubsub_default(sides):
    for value in ["allchannels", "resetchannels", "nonsense"]:
        sides.same("CONFIG", "SET", "acl-pubsub-default", value)
        sides.same("ACL", "SETUSER", "u", "reset")
        sides.same("ACL", "SETUSER", value, "(+get)")
        sides.same("ACL", "LIST")
        sides.same("ACL", "DELUSER", value)
    sides.same("CONFIG", "SET", "acl-pubsub-default", "resetchannels")


def test_passwords_do_not_show(larder):
    with larder.connect() as admin, larder.connect() as monitor:
        monitor.command("MONITOR")
        admin.command("CONFIG", "SET", "slowlog-log-slower-than", "0")
        admin.command("ACL", "SETUSER", "u", "on", ">topsecret")
        admin.command("AUTH", "u", "topsecret2")
        admin.command("CONFIG", "SET", "slowlog-log-slower-than", "10000")
        admin.command("GET", "end")
        seen = [monitor.read_reply()]
        while b"end" not in seen[-1]:
            seen.append(monitor.read_reply())
        log = admin.command("SLOWLOG", "GET", "-1")
        admin.command("ACL", "DELUSER", "u")
        admin.command("SLOWLOG", "RESET")
    assert b"topsecret" not in log + b"".join(seen)
    assert b"topsecret" not in larder.log().encode()
