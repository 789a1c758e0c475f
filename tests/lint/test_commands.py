"""The command table as the running server shows it."""

import re

import pytest

from support import sources

# The word a row of the table that is a container's own is called by.
ROW = re.compile(r'COMMAND\((?:NULL|"([a-z_|-]+)"),\s*"([a-z_|-]+)"')


def rows():
    """(container or None, name) of each row of the .def files."""
    text = "".join(
        sources.text(path) for path in sources.with_suffix(".def")
        if "commands" in path.parts)
    return [(parent or None, name) for parent, name in ROW.findall(text)]


def described(larder):
    """name -> arity of every command, subcommands as "config|get"."""
    found = {}

    def add(entry):
        found[entry[0].decode()] = entry[1]
        for sub in entry[9] if len(entry) > 9 else []:
            add(sub)

    client = larder.client()
    client.set_response_callback("COMMAND", lambda reply, **_: reply)
    for entry in client.execute_command("COMMAND"):
        add(entry)
    client.close()
    return found


def test_command_shows_every_row(larder):
    known = described(larder)
    names = {
        "%s|%s" % (parent, name) if parent else name
        for parent, name in rows()
    }
    assert len(names) > 100
    assert names == set(known)


def expected_error(name):
    return b"-ERR wrong number of arguments for '%s' command\r\n" % name.encode()


def test_every_command_checks_its_arity(larder):
    wrong = []
    for name, arity in sorted(described(larder).items()):
        words = name.split("|")
        least = abs(arity)
        counts = [least - 1] if least - 1 >= len(words) else []
        if arity > 0:
            counts.append(arity + 1)
        for count in counts:
            with larder.connect() as connection:
                reply = connection.command(
                    *words, *["x"] * (count - len(words)))
            if name == "exec":
                reply = reply.replace(b"-EXECABORT Transaction discarded "
                                      b"because of: ", b"-ERR ")
            if reply != expected_error(name):
                wrong.append("%s with %d words: %r" % (name, count, reply))
    assert not wrong, "\n".join(wrong)


def test_count_and_list_agree(larder):
    top = [name for name in described(larder) if "|" not in name]
    with larder.connect() as connection:
        assert connection.command("COMMAND", "COUNT") == b":%d\r\n" % len(top)


def test_every_command_is_documented(larder):
    client = larder.client()
    client.set_response_callback("COMMAND", lambda reply, **_: reply)
    client.set_response_callback("COMMAND DOCS", lambda reply, **_: reply)
    docs = client.execute_command("COMMAND", "DOCS")
    names = {docs[i].decode() for i in range(0, len(docs), 2)}
    assert names == {n for n in described(larder) if "|" not in n}
    for i in range(1, len(docs), 2):
        fields = {
            docs[i][j].decode(): docs[i][j + 1]
            for j in range(0, len(docs[i]), 2)
        }
        assert fields["summary"] and fields["group"] and fields["since"]


@pytest.mark.parametrize("name", ["nosuch", "", "get\r\n", "x" * 200])
def test_unknown_commands_are_refused(larder, name):
    with larder.connect() as connection:
        assert connection.command(name).startswith(b"-ERR unknown command")
