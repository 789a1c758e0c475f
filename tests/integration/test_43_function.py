"""Libraries of functions beside redis-server, and what becomes of them."""

import pytest

from support.resp import encode
from support.server import wait_until

R = "redis.register_function"
LOADS = [
    "return 1", "#!lua\nx", "#!lua name=b", "#!lua name=b foo=bar\n",
    "#!lua name=b name=c\n", "#!lua nam=b\n", "#!lua\n", "#!ruby name=b\n",
    "#! name=b\n", "#!lua name=\nx", "#!lua name=b-c\nx",
    "#!LUA name=b\n" + R + "('z', function() end)",
] + ["#!lua name=b\n" + code for code in [
    "return 1", R + "('f')", R + "('g', function() return 1 end)",
    R + "('g-h', function() return 1 end)", R + "('g', 1)", R + "{}",
    R + "{function_name='g'}", R + "{function_name='g', callback=1}",
    R + "{function_name='g', callback=function() end, flags={'x'}}",
    R + "{function_name='g', callback=function() end, flags=1}",
    R + "{function_name='g', callback=function() end, x=1}",
    R + "{function_name=1, callback=function() end}",
    R + "{function_name='g', callback=function() end, description=1}",
    R + "()", R + "(1, 2, 3)", R + "{'a', function() end}",
    R + "(function() end, function() end)", R + "('a', function() end, 1)",
    R + "{function_name='', callback=function() end}",
    R + "{function_name='g', callback=function() end, flags={}}",
    R + "('g', function() end) " + R + "('g', function() end)",
    "x=1", "return x", "redis.call('ping')", "redis.pcall('ping')",
    "error('boom')", "while", "redis.setresp(3)", "redis.sha1hex('x')",
    "redis.log(redis.LOG_WARNING, 'x')", "math.random()", "return KEYS",
    "return cjson.encode(1)", "redis.x=1", "string.x=1", "_G.y=1",
    "return redis.REDIS_VERSION", "return redis.nosuch",
    "redis.error_reply('x')", "rawset(_G, 'y', 1)", "pcall(x)",
    "local t = {} t.x.y = 1",
]]
LIBRARY = """#!lua name=mylib
local count = 0
redis.register_function('f', function(keys, args) return {keys, args} end)
redis.register_function{function_name='ro', description='d',
  callback=function() return redis.call('set', 'x', 'y') end,
  flags={'no-writes'}}
redis.register_function{function_name='get', flags={'no-writes'},
  callback=function(keys) return redis.call('get', keys[1]) end}
redis.register_function('w', function() return redis.call('set', 'x', 'y') end)
redis.register_function('e', function() error('boo') end)
redis.register_function('count', function() count = count + 1 return count end)
redis.register_function('g1', function() g = 1 end)
redis.register_function('g2', function() return g end)
redis.register_function('call', function() return redis.call('get') end)
redis.register_function('env', function() local r = {}
  for k, v in pairs(redis) do r[#r + 1] = k end table.sort(r) return r end)
redis.register_function('reg', function()
  return redis.register_function('zz', function() end) end)
"""


@pytest.fixture
def pair(both):
    both.same("FUNCTION", "FLUSH")
    return both


def test_loading(pair):
    for code in LOADS:
        pair.same("FUNCTION", "LOAD", code)
        pair.same("FUNCTION", "FLUSH")
    pair.same("FUNCTION", "LOAD", LIBRARY)
    pair.same("FUNCTION", "LOAD", LIBRARY)
    pair.same("FUNCTION", "LOAD", "REPLACE", LIBRARY)
    pair.same("FUNCTION", "LOAD", "REPLACE", "#!lua name=mylib\nwhile")
    pair.same("FCALL", "f", 0)
    pair.same("FUNCTION", "LOAD", "X", LIBRARY)
    pair.same("FUNCTION", "LOAD", "REPLACE", "X", LIBRARY)
    pair.same("FUNCTION", "LOAD",
              "#!lua name=other\n" + R + "('F', function() end)")
    pair.same("FUNCTION", "DELETE", "nosuch")
    pair.same("FUNCTION", "DELETE", "mylib")
    pair.same("FCALL", "f", 0)


def test_calling(pair):
    pair.same("FUNCTION", "LOAD", LIBRARY)
    for words in [("f", 0), ("F", 0), ("f", 1, "a", "b"), ("nosuch", 0),
                  ("f", "x"), ("f", 5), ("f", -1), ("ro", 0), ("w", 0),
                  ("e", 0), ("count", 0), ("count", 0), ("g1", 0), ("g2", 0),
                  ("call", 0), ("env", 0), ("reg", 0), ("get", 1, "x")]:
        pair.same("FCALL", *words)
        pair.same("FCALL_RO", *words)
    pair.same("EVAL", "return redis.call('fcall', 'f', 0)", 0)
    pair.same("EVAL", "return redis.call('function', 'list')", 0)
    pair.same("COMMAND", "GETKEYS", "FCALL", "f", 1, "k", "v")


def test_asking(pair):
    code = "#!lua name=one\n" + R + (
        "{function_name='ro', callback=function() end, "
        "flags={'no-writes','allow-oom'}, description='d'}")
    for _ in range(2):
        pair.same("FUNCTION", "LIST")
        pair.same("FUNCTION", "STATS")
        pair.same("FUNCTION", "LOAD", "REPLACE", code)
        for words in [(), ("WITHCODE",), ("LIBRARYNAME", "o*", "WITHCODE"),
                      ("LIBRARYNAME", "x*"), ("X",), ("LIBRARYNAME",),
                      ("WITHCODE", "WITHCODE"),
                      ("LIBRARYNAME", "a", "LIBRARYNAME", "b")]:
            pair.same("FUNCTION", "LIST", *words)
        pair.same("FUNCTION", "STATS")
        pair.same("FUNCTION", "FLUSH", "x")
        pair.same("FUNCTION", "FLUSH", "sync", "y")
        pair.same("FUNCTION", "FLUSH", "async")
        pair.resp3()
    pair.same("FUNCTION", "KILL")
    pair.same("FUNCTION", "HELP")
    pair.same("FUNCTION", "x")


def content(bulk):
    return bulk.split(b"\r\n", 1)[1][:-2]


def test_dump_and_restore(pair):
    pair.same("FUNCTION", "DUMP")
    small = "#!lua name=b\n" + R + "('cnt2',function() end)"
    pair.same("FUNCTION", "LOAD", small)
    dump = content(pair.same("FUNCTION", "DUMP"))
    for policy in [(), ("APPEND",), ("REPLACE",), ("FLUSH",), ("x",),
                   ("x", "y")]:
        pair.same("FUNCTION", "RESTORE", dump, *policy)
    pair.same("FUNCTION", "FLUSH")
    pair.same("FUNCTION", "RESTORE", dump)
    pair.same("FCALL", "cnt2", 0)
    pair.same("FUNCTION", "DELETE", "b")
    pair.same("FUNCTION", "LOAD",
              "#!lua name=c\n" + R + "('CNT2', function() end)")
    pair.same("FUNCTION", "RESTORE", dump, "REPLACE")
    pair.same("FUNCTION", "RESTORE", dump)
    pair.same("FUNCTION", "LIST")
    for bad in [b"", b"x", dump[:-1] + b"x", dump[:-9], b"\xf5" + dump]:
        pair.same("FUNCTION", "RESTORE", bad)
    # Each reads what the other has written; Redis compresses.
    pair.same("FUNCTION", "LOAD", "REPLACE", LIBRARY)
    ours, theirs = pair.ask("FUNCTION", "DUMP")
    pair.same("FUNCTION", "RESTORE", content(ours), "FLUSH")
    pair.same("FCALL", "f", 1, "a", "b")
    pair.same("FUNCTION", "RESTORE", content(theirs), "FLUSH")
    pair.same("FCALL", "f", 1, "a", "b")


@pytest.mark.parametrize("config", [[], ['save ""'], ["appendonly yes"]])
def test_libraries_survive(start_larder, config):
    server = start_larder(*config)
    with server.connect() as connection:
        connection.command("FUNCTION", "LOAD", LIBRARY)
        connection.command(
            "FUNCTION", "LOAD", "#!lua name=gone\n" + R + "('h', function() "
            "end)")
        connection.command("FUNCTION", "DELETE", "gone")
    server.crash_restart()
    with server.connect() as connection:
        assert connection.command("FCALL", "f", 1, "a") == (
            b"*2\r\n*1\r\n$1\r\na\r\n*0\r\n")
        assert connection.command("FCALL", "h", 0).startswith(b"-ERR Function")
        connection.command("FUNCTION", "FLUSH")
    server.restart()
    with server.connect() as connection:
        assert connection.command("FUNCTION", "LIST") == b"*0\r\n"


def test_a_damaged_file_is_no_reason_to_forget_it(start_larder):
    server = start_larder()
    with server.connect() as connection:
        connection.command("FUNCTION", "LOAD", LIBRARY)
    server.stop()
    path = server.directory / "functions.dump"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    server.spawn()
    assert server.wait_end(20) != 0
    assert "Cannot load the functions" in server.log()
    path.write_bytes(good)
    server.start()


def test_a_change_that_cannot_be_kept_is_refused(start_larder):
    server = start_larder()
    blocker = server.directory / "functions.dump"
    blocker.mkdir()
    (blocker / "x").write_text("x")
    with server.connect() as connection:
        assert connection.command("FUNCTION", "LOAD", LIBRARY).startswith(
            b"-ERR The functions cannot be written")
        assert connection.command("FUNCTION", "LIST") == b"*0\r\n"
        assert connection.command("FCALL", "f", 0).startswith(b"-ERR Function")
    (blocker / "x").unlink()
    blocker.rmdir()


def test_loading_for_ever(larder):
    with larder.connect() as connection:
        assert connection.command(
            "FUNCTION", "LOAD", "#!lua name=x\nwhile true do end"
        ) == (b"-ERR Error registering functions: ERR FUNCTION LOAD "
              b"timeout\r\n")
        assert connection.command("PING") == b"+PONG\r\n"


def test_function_kill(start_larder, start_oracle):
    servers = [start_larder("busy-reply-threshold 100"),
               start_oracle("busy-reply-threshold 100")]
    replies = []
    for server in servers:
        with server.connect() as first, server.connect() as second:
            first.command("FUNCTION", "LOAD", "#!lua name=l\n" + R +
                          "('f', function() while true do end end)")
            first.send(encode("FCALL", "f", 1, "k"))
            wait_until(lambda: second.command("PING").startswith(b"-BUSY"))
            seen = [second.command("PING"), second.command("SCRIPT", "KILL"),
                    second.command("SHUTDOWN")]
            stats = second.command("FUNCTION", "STATS")
            assert b"running_script\r\n*6\r\n$4\r\nname\r\n$1\r\nf\r\n" in stats
            seen.append(second.command("FUNCTION", "KILL"))
            seen.append(first.read_reply())
            replies.append(seen)
    assert replies[0] == replies[1]


def test_globals_stay_apart(pair):
    """What a library sees while it loads does not stay for its functions."""
    pair.same("FUNCTION", "LOAD", "#!lua name=b\n" + R + "('f', function() "
              "return type(cjson) .. type(redis.call) end)")
    pair.same("FCALL", "f", 0)
    pair.same("FUNCTION", "LOAD", "#!lua name=c\nx.y = 1")
    pair.same("FCALL", "f", 0)
