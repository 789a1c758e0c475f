"""COMMAND: the table, compared row by row with redis-server 7.0."""

import pytest

COMMANDS = [
    "COMMAND COUNT x",
    "COMMAND FOO",
    "COMMAND LIST FILTERBY ACLCAT nosuch",
    "COMMAND LIST FILTERBY MODULE x",
    "COMMAND LIST FILTERBY FOO x",
    "COMMAND LIST FILTERBY ACLCAT",
    "COMMAND LIST FOO",
    "COMMAND LIST FILTERBY PATTERN a b",
    "COMMAND INFO nosuch",
    "COMMAND INFO get nosuch GET",
    "COMMAND INFO config|nosuch nosuch|get",
    "COMMAND INFO client|id memory|usage",
    "COMMAND DOCS nosuch",
    "COMMAND GETKEYS",
    "COMMAND GETKEYS get a",
    "COMMAND GETKEYS GET a",
    "COMMAND GETKEYS get",
    "COMMAND GETKEYS nosuch a",
    "COMMAND GETKEYS ping x",
    "COMMAND GETKEYS ping",
    "COMMAND GETKEYS get a b",
    "COMMAND GETKEYS mset a 1 b 2",
    "COMMAND GETKEYS mset a",
    "COMMAND GETKEYS lcs a b",
    "COMMAND GETKEYS del a b c",
    "COMMAND GETKEYS memory usage a",
    "COMMAND GETKEYS object encoding a",
    "COMMAND GETKEYS memory nosuch a",
    "COMMAND GETKEYS config get x",
    "COMMAND GETKEYSANDFLAGS get a",
    "COMMAND GETKEYSANDFLAGS mset a 1 b 2",
    "COMMAND GETKEYSANDFLAGS copy a b",
    "COMMAND GETKEYSANDFLAGS rename a b",
    "COMMAND GETKEYSANDFLAGS set a b",
    "COMMAND GETKEYSANDFLAGS set a b GET",
    "COMMAND GETKEYSANDFLAGS del a b",
    "COMMAND HELP",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_replies(both, command):
    both.same(*command.split())


@pytest.mark.parametrize(
    "command", ["COMMAND INFO get set", "COMMAND GETKEYSANDFLAGS set a b",
                "COMMAND DOCS nosuch"])
def test_replies_in_resp3(both, command):
    def without_notes(reply):
        return reply.replace(NOTE_RESP3, b"").replace(b"%4\r\n", b"%3\r\n")

    both.resp3()
    both.same(*command.split(), normalise=without_notes)


NOTE_RESP3 = (b"$5\r\nnotes\r\n$48\r\nRW and ACCESS due to the optional "
              b"`GET` argument\r\n")


def raw(server, *command):
    client = server.client()
    client.response_callbacks.clear()
    reply = client.execute_command(*command)
    client.close()
    return reply


def table(server):
    """name -> what COMMAND INFO says, subcommands among them."""
    found = {}

    def add(entry):
        found[entry[0].decode()] = entry
        for sub in entry[9]:
            add(sub)

    for entry in raw(server, "COMMAND"):
        add(entry)
    return found


def comparable(entry):
    """What must be equal: arity, flags, keys, categories, tips, key specs.
    The prose of a key spec is not."""
    name, arity, flags, first, last, step, categories, tips, specs, _ = entry
    return {
        "name": name,
        "arity": arity,
        "flags": sorted(set(flags) - {b"no_mandatory_keys"}),
        "keys": (first, last, step),
        "categories": sorted(categories),
        "tips": sorted(tips),
        "key specs": [
            [part for name, part in zip(spec[::2], spec[1::2])
             if name != b"notes"]
            for spec in specs
        ],
    }


def test_every_row_is_as_in_redis(larder, oracle):
    ours, theirs = table(larder), table(oracle)
    common = set(ours) & set(theirs)
    assert len(common) > 100
    different = [
        "%s: %s\n  larder %r\n  redis  %r" % (name, part, mine[part],
                                              redis[part])
        for name in sorted(common)
        for mine, redis in [(comparable(ours[name]), comparable(theirs[name]))]
        for part in mine
        if mine[part] != redis[part]
    ]
    assert not different, "\n".join(different)


def test_only_ours(larder, oracle):
    """What Redis 7.0 lacks is either larder's own or of a later Redis."""
    later = ("hexpire hpexpire hexpireat hpexpireat httl hpttl hexpiretime "
             "hpexpiretime hpersist hgetdel hgetex hsetex xdelex").split()
    new = set(table(larder)) - set(table(oracle))
    assert {n for n in new if not n.startswith(("tier", "namespace"))} == {
        "client|setinfo", "client|no-touch", "object|tier", *later}


def documents(server):
    reply = raw(server, "COMMAND", "DOCS")
    found = {}

    def add(name, document):
        document = dict(zip(document[::2], document[1::2]))
        found[name.decode()] = document
        subs = document.get(b"subcommands", [])
        for sub, of_sub in zip(subs[::2], subs[1::2]):
            add(sub, of_sub)

    for name, document in zip(reply[::2], reply[1::2]):
        add(name, document)
    return found


def shape(arguments):
    """What redis-cli makes hints of: tokens, types and nesting."""
    result = []
    for argument in arguments:
        argument = dict(zip(argument[::2], argument[1::2]))
        result.append((
            argument.get(b"token"),
            argument[b"type"] in (b"pure-token", b"oneof", b"block"),
            tuple(sorted(argument.get(b"flags", []))),
            shape(argument.get(b"arguments", [])),
        ))
    return result


def test_documents(larder, oracle):
    ours, theirs = documents(larder), documents(oracle)
    for name, document in ours.items():
        assert document[b"summary"].endswith(b"."), name
        if name in theirs:
            assert document[b"since"] == theirs[name][b"since"], name
            assert document[b"group"] == theirs[name][b"group"], name


@pytest.mark.parametrize(
    "name",
    ["get", "set", "mset", "getex", "expire", "scan", "copy", "del", "ping",
     "client|reply", "client|unblock", "command|info", "command|list", "hello",
     "shutdown", "memory|usage", "failover", "auth"],
)
def test_arguments_have_redis_shape(larder, oracle, name):
    ours, theirs = documents(larder)[name], documents(oracle)[name]
    assert shape(ours[b"arguments"]) == shape(theirs[b"arguments"])


def test_list_and_info_agree(larder):
    names = {n.decode() for n in raw(larder, "COMMAND", "LIST")}
    assert names == set(table(larder))
    listed = raw(larder, "COMMAND", "LIST", "FILTERBY", "PATTERN", "CLIENT|*")
    assert {n.decode() for n in listed} == {
        n for n in names if n.startswith("client|")}


@pytest.mark.parametrize("category", [
    "keyspace", "read", "write", "string", "fast", "slow", "admin",
    "dangerous", "connection"])
def test_categories_hold_what_they_do_in_redis(larder, oracle, category):
    ours, theirs = (
        set(raw(server, "COMMAND", "LIST", "FILTERBY", "ACLCAT", category))
        for server in (larder, oracle))
    known = {n.encode() for n in table(larder)}
    known &= {n.encode() for n in table(oracle)}
    assert ours & known == theirs & known
