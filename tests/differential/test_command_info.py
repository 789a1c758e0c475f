"""COMMAND INFO: what larder says of a command is what Redis says of it."""


def ask(server, *words):
    client = server.client()
    client.set_response_callback("COMMAND INFO", lambda reply, **_: reply)
    client.set_response_callback("COMMAND LIST", lambda reply, **_: reply)
    reply = client.execute_command(*words)
    client.close()
    return reply


def without_notes(specs):
    """Key specs as sorted pairs. Notes are Redis' prose."""
    plain = []
    for spec in specs:
        fields = dict(zip(spec[::2], spec[1::2]))
        fields.pop(b"notes", None)
        fields[b"flags"] = sorted(fields[b"flags"])
        plain.append(sorted(fields.items()))
    return plain


def facts(entry):
    """name -> facts, of a command and its subcommands."""
    name, arity, flags, first, last, step, acl, tips, specs, subs = entry
    found = {name: {
        "arity": arity, "flags": sorted(flags), "keys": (first, last, step),
        "acl": sorted(acl), "tips": sorted(tips),
        "specs": without_notes(specs),
    }}
    for sub in subs:
        found.update(facts(sub))
    return found


def everything(server):
    found = {}
    names = [name for name in ask(server, "COMMAND LIST") if b"|" not in name]
    for entry in ask(server, "COMMAND INFO", *names):
        found.update(facts(entry))
    return found


def test_command_info_is_that_of_redis(larder, oracle):
    ours, theirs = everything(larder), everything(oracle)
    shared = set(ours) & set(theirs)
    assert len(shared) > 100
    wrong = [
        "%s %s: larder %r, redis %r" % (name.decode(), fact, ours[name][fact],
                                        theirs[name][fact])
        for name in sorted(shared) for fact in ours[name]
        if ours[name][fact] != theirs[name][fact]
    ]
    assert not wrong, "\n".join(wrong)


def test_containers_have_all_subcommands_of_redis(larder, oracle):
    ours, theirs = everything(larder), everything(oracle)
    missing = [
        name for name in theirs
        if b"|" in name and name not in ours
        and name.split(b"|")[0] in ours
    ]
    assert not missing, missing
