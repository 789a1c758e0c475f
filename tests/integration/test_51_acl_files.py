"""Users in files: aclfile, the `user` lines of redis.conf, what is damaged."""

import pathlib
import socket

import pytest

from differential.compare import value as parse
from support.resp import Connection, encode
from support.server import SANITIZED, wait_until

USERS = """\
user alice on #%s ~app:* resetchannels &news:* -@all +get
user bob off resetchannels -@all
user carol on nopass ~* &* +@all -@admin (%%R~x resetchannels -@all +get)
user default on nopass sanitize-payload ~* &* +@all
""" % ("5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8")


def start_with_file(start, text, *config):
    """A server whose ACL file holds the text."""
    server = start("aclfile users.acl", *config, wait=False)
    server.process.kill()
    server.process.wait()
    (server.directory / "users.acl").write_bytes(text)
    return server.spawn()


def acl_file(server):
    return pathlib.Path(server.directory) / "users.acl"


def test_round_trip(start_larder, start_oracle):
    """What one writes both read, and write again alike."""
    texts = []
    for start in (start_larder, start_oracle):
        server = start_with_file(start, USERS.encode())
        server.wait_ready()
        with server.connect() as admin:
            assert admin.command("ACL", "SAVE") == b"+OK\r\n"
            texts.append(acl_file(server).read_text())
            assert admin.command("ACL", "LOAD") == b"+OK\r\n"
            assert admin.command("AUTH", "alice", "password") == b"+OK\r\n"
            assert admin.command("GET", "x").startswith(b"-NOPERM")
        with server.connect() as admin:
            lines = parse(admin.command("ACL", "LIST"))
            assert [line.decode() for line in lines] == USERS.splitlines()
    assert texts == [USERS] * 2


def test_users_survive_a_restart(start_larder):
    server = start_with_file(start_larder, b"")
    server.wait_ready()
    with server.connect() as admin:
        for i in range(50):
            admin.command("ACL", "SETUSER", "u%d" % i, "on", ">p%d" % i,
                          "~%d:*" % i, "+@read", "-get", "(+set %%W~%d)" % i)
        before = admin.command("ACL", "LIST")
        assert admin.command("ACL", "SAVE") == b"+OK\r\n"
    server.restart()
    with server.connect() as admin:
        assert admin.command("ACL", "LIST") == before
        assert admin.command("AUTH", "u7", "p7") == b"+OK\r\n"
        assert admin.command("SET", "8", "1").startswith(b"-NOPERM")
        assert admin.command("SET", "7", "1") == b"+OK\r\n"


DAMAGED = [
    b"user x on +get\n\n   \n# c\nuser y nope\nfoo\nuser z +nope\n"
    b"user q (+get\n",
    b"user\n",
    b"user x\nuser x\n",
    b'user a "b c"\n',
    b"user a on +get -config|nope +nope\nUSER b\n",
    b"user x (+get ~a)x\n",
    b"user x\ton\n",
    b"user a ~* ~b\nuser b >p <q #123\n",
    b"user x nope nope +nope nope\n",
    b"us",
    b"\xff\xfe\n",
]
# Accepted by both.
SOUND = [
    b"",
    b"\n\n\r\n",
    b"  user x on  +get\r\nuser default off\n",
    b"user x on +get",
    b"user \xff on\n",
    b"user z (+get ~a) ( +set ~b )\n",
    b"user default on >secret ~* +@all\n",
]


@pytest.mark.parametrize("text", DAMAGED, ids=repr)
def test_a_damaged_file_is_refused(start_larder, start_oracle, text):
    """At start with its lines, and by ACL LOAD, which changes nothing."""
    told = []
    for start in (start_larder, start_oracle):
        server = start_with_file(start, text)
        assert server.wait_end() == 1
        server.expect_crash = True
        told.append(server.log().split("because of ACL errors: ")[-1])
    assert told[0].splitlines()[0] == told[1].splitlines()[0]
    replies = []
    for start in (start_larder, start_oracle):
        server = start_with_file(start, b"user x on +@read ~a\n")
        server.wait_ready()
        with server.connect() as admin:
            before = admin.command("ACL", "LIST")
            acl_file(server).write_bytes(text)
            replies.append(admin.command("ACL", "LOAD"))
            assert admin.command("ACL", "LIST") == before
    assert replies[0] == replies[1]
    assert replies[0].startswith(b"-ERR ")


@pytest.mark.parametrize("text", SOUND, ids=repr)
def test_a_sound_file(start_larder, start_oracle, text):
    lists = []
    for start in (start_larder, start_oracle):
        server = start_with_file(start, text)
        server.wait_ready()
        with server.connect() as admin:
            admin.command("AUTH", "secret")
            lists.append(admin.command("ACL", "LIST"))
    assert lists[0] == lists[1]


def test_a_file_with_a_nul_byte_is_refused(start_larder):
    server = start_with_file(start_larder, b"user a on\0 +@all\n")
    assert server.wait_end() == 1
    server.expect_crash = True
    assert "users.acl" in server.log()


def test_a_missing_file(start_larder, start_oracle):
    told = []
    for start in (start_larder, start_oracle):
        server = start("aclfile none.acl", wait=False)
        assert server.wait_end() == 1
        server.expect_crash = True
        told.append(server.log().split("because of ACL errors: ")[-1])
    assert told[0].splitlines()[0] == told[1].splitlines()[0]
    replies = []
    for start in (start_larder, start_oracle):
        server = start_with_file(start, b"")
        server.wait_ready()
        acl_file(server).unlink()
        with server.connect() as admin:
            replies.append(admin.command("ACL", "LOAD"))
            assert admin.command("ACL", "SAVE") == b"+OK\r\n"
        assert acl_file(server).read_text().startswith("user default on")
    assert replies[0] == replies[1]


def test_a_file_that_cannot_be_written(start_larder):
    server = start_with_file(start_larder, b"")
    server.wait_ready()
    acl_file(server).unlink()
    acl_file(server).mkdir()
    with server.connect() as admin:
        assert admin.command("ACL", "SAVE").startswith(
            b"-ERR There was an error trying to save the ACLs.")
    assert "Saving the ACL file" in server.log()


def test_load_ends_connections_as_redis_does(start_larder, start_oracle):
    for start in (start_larder, start_oracle):
        server = start_with_file(
            start, b"user x on nopass +@all ~*\nuser y on nopass +@all\n",
            "requirepass foo")
        server.wait_ready()
        x, y, plain = (server.connect() for _ in range(3))
        x.command("AUTH", "x", "1")
        y.command("AUTH", "y", "1")
        assert plain.command("PING") == b"+PONG\r\n"
        acl_file(server).write_bytes(
            b"user x on nopass +@all ~*\nuser default on nopass -@all +acl\n")
        assert x.command("ACL", "LOAD") == b"+OK\r\n"
        for gone in (x, y):
            assert gone.read_until_closed() == b""
        assert plain.command("PING").startswith(b"-NOPERM")
        assert plain.command("ACL", "USERS").startswith(b"*2")


# ---- redis.conf ----


CONFIGS = [
    ["user x on >p ~* +@all"],
    ["user default on >secret ~* &* +@all"],
    ["user default on >secret &* ~* +@all", "requirepass foo"],
    ['user x "(+get ~a)" "on" ""'],
    ["user x +@all (+get ~a)  (+set ~b)"],
    ["acl-pubsub-default allchannels", "user x on (+get)"],
    ["user x on", "acl-pubsub-default allchannels"],
    ["user x reset on", "user y on nopass sanitize-payload"],
]


@pytest.mark.parametrize("config", CONFIGS, ids=" ; ".join)
def test_users_in_the_configuration(start_larder, start_oracle, config):
    """The same users; and again after CONFIG REWRITE and a restart."""
    lists = []
    for start in (start_larder, start_oracle):
        server = start(*config)

        def listed():
            with server.connect() as admin:
                for password in ("secret", "foo"):
                    admin.command("AUTH", password)
                return admin.command("ACL", "LIST"), admin.command(
                    "CONFIG", "REWRITE")

        users, rewritten = listed()
        assert rewritten == b"+OK\r\n"
        text = server.config_path.read_text()
        assert ">p" not in text and ">secret" not in text
        server.stop()
        server.write_config = lambda: None
        server.start()
        lists.append((users, listed()[0]))
    assert lists[0] == lists[1]


def test_rewrite_follows_the_users(start_larder):
    server = start_larder("# mine", "user old on >p", "hz 20")
    with server.connect() as admin:
        admin.command("ACL", "DELUSER", "old")
        admin.command("ACL", "SETUSER", 'q"u\'o\\te', "on", "~a\"b", "&\\")
        before = parse(admin.command("ACL", "LIST"))
        assert admin.command("CONFIG", "REWRITE") == b"+OK\r\n"
        text = server.config_path.read_text()
        assert "user old" not in text and "# mine" in text
        server.stop()
        server.write_config = lambda: None
        server.start()
    with server.connect() as admin:
        after = parse(admin.command("ACL", "LIST"))
        # A `user default` line begins with `reset`, which says so.
        assert [line.replace(b" sanitize-payload", b"")
                for line in after] == before
        admin.command("ACL", "SETUSER", "default", "skip-sanitize-payload")
        admin.command("ACL", "DELUSER", 'q"u\'o\\te')
        assert admin.command("CONFIG", "REWRITE") == b"+OK\r\n"
    text = server.config_path.read_text()
    assert text.count("user ") == 1
    assert "user default on nopass skip-sanitize-payload" in text


BAD_CONFIGS = [
    ["user x on nope"],
    ["user x on", "user x off"],
    ["user"],
    ["user x ~* ~a"],
    ["user x (on)"],
    ["user x #zz"],
]


@pytest.mark.parametrize("config", BAD_CONFIGS, ids=" ; ".join)
def test_bad_lines(start_larder, start_oracle, config):
    told = []
    for start in (start_larder, start_oracle):
        server = start(*config, wait=False)
        assert server.wait_end() == 1
        server.expect_crash = True
        line, reason = server.log().splitlines()[-2:]
        # Redis names another word than the one it does not like.
        told.append((line, reason.rpartition("': ")[2]))
        assert "at line" in server.log()
    assert told[0] == told[1]


@pytest.mark.parametrize("config", [
    ["user x on +nope"], ["user x (+get"], ['user "a b" on'],
    ["user x on +config|nope"],
], ids=" ; ".join)
def test_bad_lines_that_redis_notices_later(start_larder, config):
    server = start_larder(*config, wait=False)
    assert server.wait_end() == 1
    server.expect_crash = True
    assert "Reading the configuration file, at line 4" in server.log()
    assert "Error in user declaration" in server.log()


def test_users_in_both_places(start_larder):
    server = start_larder("user x on", "aclfile users.acl", wait=False)
    assert server.wait_end() == 1
    server.expect_crash = True
    assert "only one of the two" in server.log()


def test_config_get(larder):
    client = larder.client(decode_responses=True)
    assert client.config_get("acl*") == {
        "aclfile": "", "acllog-max-len": "128",
        "acl-pubsub-default": "resetchannels"}
    with pytest.raises(Exception, match="immutable"):
        client.config_set("aclfile", "x")
    client.close()


def test_protected_mode_asks_for_the_default_users_password(start_larder):
    """Other than its own password, the rules may give it one."""
    address = own_address()
    if address is None:
        pytest.skip("no other address than loopback")
    server = start_larder("bind 0.0.0.0", "protected-mode yes")
    with Connection(server.port, host=address) as outside:
        assert outside.read_until_closed().startswith(b"-DENIED")
    with server.connect() as admin:
        admin.command("ACL", "SETUSER", "default", ">p")
    with Connection(server.port, host=address) as outside:
        assert outside.command("AUTH", "p") == b"+OK\r\n"


def own_address():
    """An address of this machine that is not loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = probe.getsockname()[0]
        return None if address.startswith("127.") else address


def test_many_users_do_not_stop_the_server(start_larder):
    """10,000 users with rules that take work: loading, listing, saving."""
    count = 1000 if SANITIZED else 10000
    lines = ["user u%d on nopass ~%d:* %%R~shared:* &c%d +@all -@write +@string"
             " -get (+@read ~r%d)" % (i, i, i, i) for i in range(count)]
    server = start_with_file(start_larder, "\n".join(lines).encode())
    server.wait_ready(60)
    with server.connect(timeout=60) as admin:
        assert len(parse(admin.command("ACL", "USERS"))) == count + 1
        listed = parse(admin.command("ACL", "LIST"))
        assert len(listed) == count + 1
        assert admin.command("ACL", "SAVE") == b"+OK\r\n"
        assert admin.command("ACL", "LOAD") == b"+OK\r\n"
        assert parse(admin.command("ACL", "LIST")) == listed
        assert admin.command("AUTH", "u77", "x") == b"+OK\r\n"
        assert admin.command("STRLEN", "77:a") == b":0\r\n"
        assert admin.command("STRLEN", "78:a").startswith(b"-NOPERM")
        assert admin.command("AUTH", "default", "x") == b"+OK\r\n"
        names = ["u%d" % i for i in range(count)]
        assert admin.command("ACL", "DELUSER", *names) == b":%d\r\n" % count
    wait_until(lambda: server.ping_ms() < 1000, what="answers")


def test_long_patterns_take_bounded_time(start_larder):
    """Patterns that go back and forth over keys that nearly match."""
    server = start_larder()
    with server.connect(timeout=60) as client, server.connect() as other:
        pattern = "~" + "*a" * 2000 + "b"
        client.command("ACL", "SETUSER", "slow", "on", "nopass", "+@all",
                       *[pattern + str(i) for i in range(20)])
        client.command("AUTH", "slow", "x")
        key = "a" * 20000
        client.send(encode("MGET", *[key + str(i) for i in range(200)]))
        assert server.ping_ms() < 2000
        assert client.read_reply().startswith(b"-NOPERM")
        assert other.command("PING") == b"+PONG\r\n"


def test_many_keys_are_not_refused_for_the_work_they_are(start_larder):
    server = start_larder()
    with server.connect(timeout=60) as client:
        client.command("ACL", "SETUSER", "wide", "on", "nopass", "+@all",
                       "~x*y*z:*:end", "~other*")
        client.command("AUTH", "wide", "x")
        keys = ["xaaaaaybbbbz:%d:end" % i for i in range(50000)]
        assert client.command("EXISTS", *keys) == b":0\r\n"
        assert client.command("EXISTS", *keys, "x").startswith(b"-NOPERM")


def test_a_huge_password_is_refused(start_larder):
    server = start_larder()
    with server.connect(timeout=60) as client:
        big = "p" * (2 << 20)
        assert client.command("ACL", "SETUSER", "u", ">" + big).startswith(
            b"-ERR Error in ACL SETUSER modifier")
        client.command("ACL", "SETUSER", "u", "on", ">p")
        assert client.command("AUTH", "u", big).startswith(b"-WRONGPASS")
        assert client.command("AUTH", "u", "p") == b"+OK\r\n"
