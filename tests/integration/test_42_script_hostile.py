"""Scripts that want to break out or break the server: each gets a clear
error, and PING is answered within 100 ms after."""

import time

import pytest

from support.server import PATIENCE, patience

LARDER_CONFIG = ["script-maxmemory 32mb", "busy-reply-threshold 1000"]

BOMBS = {
    "string.rep": "return #string.rep('x', 1e9)",
    "rep of rep": "local s = 'x' while true do s = s:rep(10) end",
    "concatenation": "local s = 'x' while true do s = s .. s end",
    "table.concat": "local t = {} for i = 1, 1000 do t[i] = "
                    "('x'):rep(1000000) end return #table.concat(t)",
    "tables": "local t = {} while true do t[#t + 1] = {} end",
    "closures": "local t = {} while true do t[#t + 1] = function() return t "
                "end end",
    "coroutines": "local t = {} while true do t[#t + 1] = coroutine.create("
                  "function() end) end",
    "strings in pcall": "local t = {} while true do pcall(function() t[#t + 1]"
                        " = ('x'):rep(1000000) .. #t end) if #t < 20 then "
                        "else error('full') end end",
    "json bomb": "local t = {'x'} for i = 1, 60 do t = {t, t} end "
                 "return #cjson.encode(t)",
    "json of long strings": "local s = ('x'):rep(5000000) local t = {} "
                            "for i = 1, 1000 do t[i] = s end "
                            "return #cjson.encode(t)",
    "json escapes": "return #cjson.encode(('\\1'):rep(30000000))",
    "json text": "return #cjson.decode('[' .. ('[],'):rep(5000000) .. '[]]')",
    "msgpack bomb": "local t = {'x'} for i = 1, 14 do t = {t, t, t, t, t, t, "
                    "t, t} end return #cmsgpack.pack(t)",
    "msgpack text": "return #cmsgpack.unpack('\\221\\255\\255\\255\\255' .. "
                    "('\\144'):rep(30000000))",
    "reply bomb": "local t = {'x'} for i = 1, 60 do t = {t, t} end return t",
    "reply of long strings": "local s = ('x'):rep(5000000) local t = {} "
                             "for i = 1, 100 do t[i] = s end return t",
    "recursion": "local function f() return 1 + f() end return f()",
    "nested pcall": "local function f() return pcall(f) end local ok = f() "
                    "error(ok and 'deep enough' or 'no')",
    "nested coroutines": "local function f() return coroutine.wrap(f)() end "
                         "return f()",
    "resumed coroutines": "local function f() local ok, e = coroutine.resume("
                          "coroutine.create(f)) if not ok then error(e) end "
                          "end f()",
    "nested gsub": "local function f() return ('x'):gsub('.', f) end f()",
    "nested metamethods": "local t t = setmetatable({}, {__index = function("
                          "_, k) return t[k .. 'x'] end}) return t.x",
    "nested sort": "local function f() table.sort({1, 2}, f) end f()",
    "deep json": "local s = ('['):rep(100000) return #cjson.decode(s)",
    "deep json allowed": "cjson.decode_max_depth(1e8) local s = ('[')"
                         ":rep(1000000) return #cjson.decode(s)",
    "deep json table": "cjson.encode_max_depth(1e8) local t = {} for i = 1, "
                       "1000000 do t = {t} end return #cjson.encode(t)",
    "deep msgpack": "return #cmsgpack.unpack(('\\145'):rep(1000000))",
    "syntax depth": "return loadstring(('('):rep(100000))() ",
    "many upvalues": "return loadstring('local ' .. ('a,'):rep(300) .. 'b')()",
    "unpack": "return unpack({}, 1, 1e8)",
    "unpack overflow": "return unpack({}, -2147483648, 2147483647)",
    "format": "return string.format('%99999d', 1)",
    "struct size": "return struct.pack('i2147483648', 10)",
    "struct length": "return struct.unpack('c0', ('x'):rep(10), -1)",
    "error without text": "error({1})",
    "error with a proxy": "error(redis)",
    "error with nothing": "error()",
}


def check_alive(server):
    ping_ms = server.ping_ms()
    assert ping_ms < 100 * patience(), ping_ms


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(larder, name):
    with larder.connect(timeout=60 * PATIENCE) as connection:
        reply = connection.command("EVAL", BOMBS[name], 0)
        assert reply.startswith(b"-"), reply[:200]
        assert len(reply) > 10
        check_alive(larder)
        assert connection.command("EVAL", "return 1", 0) == b":1\r\n"


def test_memory_is_given_back(larder):
    with larder.connect(timeout=60 * PATIENCE) as connection:
        for _ in range(5):
            connection.command("EVAL", BOMBS["tables"], 0)
            connection.command("EVAL", BOMBS["json bomb"], 0)
            connection.command("EVAL", "local s = '[' .. ('\"' .. ('x'):rep("
                               "1000000) .. '\",'):rep(20) .. '1]' local t = {"
                               "} for i = 1, 100 do t[i] = {pcall(cjson.decode"
                               ", s)} end", 0)
        connection.command("EVAL", "return collectgarbage()", 0)
    assert larder.info("memory")["used_memory_lua"] < 8 << 20
    assert larder.status_kb("RssAnon") < (500 << 10) * PATIENCE


ESCAPES = {
    "os": "return os.execute('id')",
    "io": "return io.open('/etc/passwd')",
    "debug": "return debug.getinfo(1)",
    "package": "return package.loadlib('x', 'y')",
    "require": "return require('os')",
    "module": "return module('x')",
    "dofile": "return dofile('/etc/passwd')",
    "loadfile": "return loadfile('/etc/passwd')",
    "print": "print('x')",
    "getfenv": "return getfenv(0)",
    "setfenv": "return setfenv(1, {})",
    "newproxy": "return newproxy(true)",
    "global": "x = 1",
    "global by _G": "_G.x = 1",
    "global by rawset": "rawset(_G, 'x', 1)",
    "global by loadstring": "loadstring('x = 1')()",
    "global in a coroutine": "coroutine.wrap(function() x = 1 end)()",
    "redis.call": "redis.call = 1",
    "string.format": "string.format = 1",
    "metatable of _G": "setmetatable(_G, nil)",
    "metatable of redis": "setmetatable(redis, {__index = {call = 1}})",
    "metatable of strings": "getmetatable('').__index = function() end",
    "strings' __index": "getmetatable('').__index.format = 1",
    "proxy's metatable": "getmetatable(redis).__index.call = 1",
    "insert into redis": "table.insert(redis, 1)",
    "KEYS": "KEYS = {}",
    "bytecode": "return loadstring(string.dump(function() return 1 end))()",
    "bytecode by load": "local s = string.dump(function() end) local n = 0 "
                        "return load(function() n = n + 1 return "
                        "n == 1 and s or nil end)()",
    "bytecode in pieces": "local s = string.dump(function() end) local n = 0 "
                          "return load(function() n = n + 1 "
                          "if n == 1 then return '' end "
                          "if n <= #s + 1 then return s:sub(n - 1, n - 1) end "
                          "end)()",
}


@pytest.mark.parametrize("name", ESCAPES)
def test_escapes(larder, name):
    with larder.connect() as connection:
        reply = connection.command("EVAL", ESCAPES[name], 0)
        assert reply.startswith(b"-ERR"), reply
        check_alive(larder)
        assert connection.command(
            "EVAL", "return string.format('%d', redis.call('exists', 'x'))", 0
        ) == b"$1\r\n0\r\n"


def test_repeating_nothing_takes_no_time(larder):
    with larder.connect() as connection:
        assert connection.command(
            "EVAL", "return #string.rep('', 1e18)", 0) == b":0\r\n"


def test_bytecode_as_a_script(larder):
    with larder.connect() as connection:
        code = b"\x1bLua" + b"Q\x00\x01\x04\x08\x04\x08\x00" * 4
        assert connection.command("EVAL", code, 0).startswith(
            b"-ERR Error compiling script")
        assert connection.command(
            "EVAL", b"#!lua\n" + code, 0).startswith(b"-ERR")


def test_tohex_keeps_within_its_buffer(larder):
    with larder.connect() as connection:
        assert connection.command(
            "EVAL", "return bit.tohex(65535, -2147483648)", 0
        ) == b"$8\r\n0000FFFF\r\n"


def test_replies_cannot_be_forged(larder):
    with larder.connect() as connection:
        for script in ["return {err = 'E a\\r\\n+OK'}",
                       "return {ok = 'a\\r\\n-ERR'}",
                       "return redis.error_reply('E a\\r\\n$-1')",
                       "error('a\\r\\n+OK')"]:
            reply = connection.command("EVAL", script, 0)
            assert reply.count(b"\r\n") == 1, reply
        assert connection.command("PING") == b"+PONG\r\n"


def test_the_collector_cannot_be_stopped(larder):
    with larder.connect(timeout=60 * PATIENCE) as connection:
        connection.command("EVAL", "collectgarbage('stop')", 0)
        connection.command("EVAL", "collectgarbage('setpause', 100000)", 0)
        for _ in range(300):
            assert connection.command(
                "EVAL", "return #('x'):rep(1000000)", 0) == b":1000000\r\n"


def test_the_cache_of_scripts_is_bounded(larder):
    with larder.connect(timeout=60 * PATIENCE) as connection:
        connection.command("SCRIPT", "FLUSH")
        kept = connection.command("SCRIPT", "LOAD", "return 'kept'")
        for i in range(20):
            connection.pipeline(
                [("EVAL", "return %d" % (i * 100 + j), 0) for j in range(100)])
        assert larder.info("memory")["number_of_cached_scripts"] <= 501
        assert connection.command(
            "EVALSHA", kept.split(b"\r\n")[1], 0) == b"$4\r\nkept\r\n"
        large = "return 1 --" + "x" * 1000000
        for i in range(30):
            connection.command("SCRIPT", "LOAD", large + str(i))
        assert larder.info("memory")["number_of_cached_scripts"] < 10
        assert larder.info("memory")["used_memory_lua"] < 32 << 20
        connection.command("SCRIPT", "FLUSH")


def test_scripting_no(start_larder):
    server = start_larder("scripting no")
    with server.connect() as connection:
        for words in [("EVAL", "return 1", 0), ("EVALSHA", "0" * 40, 0),
                      ("SCRIPT", "LOAD", "return 1"), ("SCRIPT", "FLUSH"),
                      ("EVAL_RO", "return 1", 0)]:
            assert connection.command(*words).startswith(
                b"-ERR Scripts are turned off")
        assert connection.command("SCRIPT", "KILL").startswith(b"-NOTBUSY")
        assert connection.command("CONFIG", "SET", "scripting", "yes"
                                  ).startswith(b"-ERR")


def test_time_stands_still(larder):
    with larder.connect() as connection:
        connection.command("SET", "k", "v", "PX", 50)
        begin = time.monotonic()
        assert connection.command(
            "EVAL", "local t = redis.call('get', 'k') for i = 1, 2e7 do end "
            "return {t, redis.call('get', 'k')}", 1, "k",
        ) == b"*2\r\n$1\r\nv\r\n$1\r\nv\r\n"
        if time.monotonic() - begin > 0.05:
            assert connection.command("GET", "k") == b"$-1\r\n"
