"""CLIENT: every subcommand, compared with redis-server 7.0 where it has
it."""

import re
import time

import pytest

from support.resp import Closed
from support.server import wait_until

COMMANDS = [
    "CLIENT",
    "CLIENT FOO",
    "CLIENT ID x",
    "CLIENT SETNAME",
    "CLIENT SETNAME a",
    "CLIENT GETNAME",
    "CLIENT LIST TYPE foo",
    "CLIENT LIST TYPE slave",
    "CLIENT LIST TYPE replica",
    "CLIENT LIST TYPE master",
    "CLIENT LIST TYPE pubsub",
    "CLIENT LIST TYPE",
    "CLIENT LIST ID",
    "CLIENT LIST ID 1 2 x",
    "CLIENT LIST ID 0 -5 999999",
    "CLIENT LIST FOO",
    "CLIENT LIST FOO bar",
    "CLIENT REPLY ON",
    "CLIENT REPLY FOO",
    "CLIENT REPLY",
    "CLIENT PAUSE",
    "CLIENT PAUSE x",
    "CLIENT PAUSE -1",
    "CLIENT PAUSE 99999999999999999999",
    "CLIENT PAUSE 0",
    "CLIENT PAUSE 0 FOO",
    "CLIENT PAUSE 0 WRITE",
    "CLIENT PAUSE 0 ALL",
    "CLIENT PAUSE 0 ALL x",
    "CLIENT UNPAUSE",
    "CLIENT NO-EVICT on",
    "CLIENT NO-EVICT off",
    "CLIENT NO-EVICT foo",
    "CLIENT UNBLOCK",
    "CLIENT UNBLOCK 1",
    "CLIENT UNBLOCK x",
    "CLIENT UNBLOCK 1 FOO",
    "CLIENT UNBLOCK 1 TIMEOUT",
    "CLIENT UNBLOCK 1 ERROR",
    "CLIENT UNBLOCK 1 ERROR x",
    "CLIENT GETREDIR",
    "CLIENT TRACKING OFF",
    "CLIENT TRACKING foo",
    "CLIENT TRACKING OFF REDIRECT 999999",
    "CLIENT TRACKING OFF REDIRECT x",
    "CLIENT TRACKING OFF FOO",
    "CLIENT TRACKINGINFO",
    "CLIENT CACHING YES",
    "CLIENT CACHING",
    "CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type none",
    "CLIENT KILL",
    "CLIENT KILL 1.2.3.4:5",
    "CLIENT KILL ID 999999",
    "CLIENT KILL ID x",
    "CLIENT KILL ID 0",
    "CLIENT KILL ID -1",
    "CLIENT KILL ID",
    "CLIENT KILL ID 1 TYPE",
    "CLIENT KILL TYPE foo",
    "CLIENT KILL TYPE slave",
    "CLIENT KILL TYPE master SKIPME no",
    "CLIENT KILL SKIPME foo",
    "CLIENT KILL USER nobody",
    "CLIENT KILL ADDR 1.2.3.4:5",
    "CLIENT KILL LADDR 1.2.3.4:5",
    "CLIENT KILL FOO bar",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_replies(both, command):
    both.same(*command.split())


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "\x7f", "é", "x" * 1000])
def test_names(both, name):
    both.same("CLIENT", "SETNAME", "before")
    both.same("CLIENT", "SETNAME", name)
    both.same("CLIENT", "GETNAME")


def test_replies_in_resp3(both):
    both.resp3()
    both.same("CLIENT", "TRACKINGINFO")
    both.same("CLIENT", "GETNAME")
    for side in both.sides:
        assert side.command("CLIENT", "LIST").startswith(b"=")


def fields(line):
    """The fields of a line of CLIENT LIST, in order."""
    return dict(field.split("=", 1) for field in line.split(" "))


def client_list(connection, *filters):
    reply = connection.command("CLIENT", "LIST", *filters)
    body = reply[reply.index(b"\r\n") + 2:-2].decode()
    return [fields(line) for line in body.splitlines()]


def test_list_has_redis_fields(both):
    ours, theirs = (client_list(side)[0] for side in both.sides)
    assert list(ours)[:-2] == list(theirs)
    assert list(ours)[-2:] == ["lib-name", "lib-ver"]


def test_list_tells_the_truth(larder):
    with larder.connect() as one, larder.connect() as two:
        one.command("HELLO", "3", "SETNAME", "one")
        one.command("SELECT", "5")
        one.command("CLIENT", "SETINFO", "LIB-NAME", "tests")
        one.command("CLIENT", "SETINFO", "LIB-VER", "1.2")
        one.command("CLIENT", "NO-EVICT", "on")
        one.command("CLIENT", "NO-TOUCH", "on")
        my_id = one.command("CLIENT", "ID")[1:-2].decode()
        mine, = client_list(two, "ID", my_id)
        host, port = one.sock.getsockname()
    assert mine["addr"] == "%s:%d" % (host, port)
    assert mine["laddr"] == "127.0.0.1:%d" % larder.port
    assert mine["name"] == "one" and mine["db"] == "5" and mine["resp"] == "3"
    assert mine["flags"] == "eT" and mine["cmd"] == "client|id"
    assert mine["lib-name"] == "tests" and mine["lib-ver"] == "1.2"
    assert mine["user"] == "default" and int(mine["fd"]) > 2


def test_info_is_the_own_line(larder):
    with larder.connect() as one, larder.connect():
        my_id = one.command("CLIENT", "ID")[1:-2]
        reply = one.command("CLIENT", "INFO")
        assert b"\r\nid=%s addr=" % my_id in reply
        assert b" cmd=client|info " in reply
        assert reply.count(b"id=%s " % my_id) == 1


def test_ids_ascend(larder):
    ids = []
    for _ in range(5):
        with larder.connect() as connection:
            ids.append(int(connection.command("CLIENT", "ID")[1:-2]))
    assert ids == sorted(set(ids))


def test_setinfo(larder):
    with larder.connect() as connection:
        for words, reply in (
            (("LIB-NAME", "x"), b"+OK\r\n"),
            (("lib-ver", ""), b"+OK\r\n"),
            (("LIB-NAME", "a b"),
             b"-ERR lib-name cannot contain spaces, newlines or special "
             b"characters.\r\n"),
            (("LIB-VER", "a\n"),
             b"-ERR lib-ver cannot contain spaces, newlines or special "
             b"characters.\r\n"),
            (("LIB-FOO", "x"), b"-ERR Unrecognized option 'LIB-FOO'\r\n"),
        ):
            assert connection.command("CLIENT", "SETINFO", *words) == reply


# ---- REPLY ----


def test_reply_modes(both):
    for side in both.sides:
        side.send(b"CLIENT REPLY SKIP\r\nPING lost\r\nPING one\r\n")
        assert side.read_reply() == b"$3\r\none\r\n"
        side.send(b"CLIENT REPLY OFF\r\nPING lost\r\nGET\r\nNOSUCH\r\n")
        assert side.quiet()
        side.send(b"CLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nPING two\r\n")
        assert side.read_replies(2) == [b"+OK\r\n", b"$3\r\ntwo\r\n"]


# ---- KILL ----


def killed(connection):
    try:
        connection.command("PING")
        return False
    except (Closed, OSError):
        return True


@pytest.fixture(params=["larder", "oracle"])
def server(request):
    """The same test on larder and, to know that the test is right, on the
    oracle."""
    return request.getfixturevalue(request.param)


def test_kill_by_address(server):
    with server.connect() as killer, server.connect() as victim:
        address = "%s:%d" % victim.sock.getsockname()
        assert killer.command("CLIENT", "KILL", address) == b"+OK\r\n"
        assert killed(victim)
        assert not killed(killer)


def test_kill_by_filters(server):
    with server.connect() as killer, server.connect() as victim, \
            server.connect() as other:
        victim_id = victim.command("CLIENT", "ID")[1:-2]
        address = "%s:%d" % other.sock.getsockname()
        assert killer.command(
            "CLIENT", "KILL", "ID", victim_id, "ADDR", address) == b":0\r\n"
        assert killer.command(
            "CLIENT", "KILL", "ID", victim_id, "TYPE", "normal", "USER",
            "default", "LADDR", "127.0.0.1:%d" % server.port) == b":1\r\n"
        assert killed(victim)
        assert killer.command("CLIENT", "KILL", "ADDR", address) == b":1\r\n"
        assert killed(other)


def test_kill_spares_the_killer(server):
    with server.connect() as killer:
        others = [server.connect() for _ in range(5)]
        assert all(c.command("PING") == b"+PONG\r\n" for c in others)
        count = int(killer.command("CLIENT", "KILL", "TYPE", "normal")[1:])
        assert count >= 5 and not killed(killer)
        assert all(killed(c) for c in others)


def test_kill_oneself(server):
    with server.connect() as one:
        my_id = one.command("CLIENT", "ID")[1:-2]
        one.send(b"CLIENT KILL ID %s SKIPME no\r\nPING\r\n" % my_id)
        assert one.read_until_closed() == b":1\r\n"


# ---- PAUSE ----


def test_pause_all_and_its_end(server):
    with server.connect() as one, server.connect() as two:
        assert one.command("CLIENT", "PAUSE", "400") == b"+OK\r\n"
        start = time.monotonic()
        assert two.command("GET", "x") == b"$-1\r\n"
        assert time.monotonic() - start > 0.3


def test_pause_of_writes(server):
    with server.connect() as one, server.connect() as two:
        assert one.command(
            "CLIENT", "PAUSE", "60000", "WRITE") == b"+OK\r\n"
        assert two.command("GET", "x") == b"$-1\r\n"
        two.send(b"SET x 1\r\nGET x\r\n")
        assert two.quiet(0.2)
        assert one.command("GET", "x") == b"$-1\r\n"
        assert one.command("CLIENT", "UNPAUSE") == b"+OK\r\n"
        assert two.read_replies(2) == [b"+OK\r\n", b"$1\r\n1\r\n"]
        one.command("DEL", "x")


def test_a_client_may_go_while_it_waits(larder):
    with larder.connect() as one:
        one.command("CLIENT", "PAUSE", "60000", "WRITE")
        try:
            before = len(client_list(one))
            two = larder.connect()
            two.send(b"SET x 1\r\n")
            wait_until(lambda: len(client_list(one)) == before + 1)
            two.close()
            wait_until(lambda: len(client_list(one)) == before)
        finally:
            one.command("CLIENT", "UNPAUSE")
        assert one.command("EXISTS", "x") == b":0\r\n"


# ---- HELP ----


def help_lines(reply):
    return re.findall(rb"\+(.*?)\r\n", reply)


def test_help_has_all_of_redis_and_what_is_new(both):
    ours, theirs = both.ask("CLIENT", "HELP")
    missing = set(help_lines(theirs)) - set(help_lines(ours))
    assert not missing
    assert b"SETINFO" in ours and b"NO-TOUCH" in ours
