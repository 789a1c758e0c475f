"""EVAL and SCRIPT beside redis-server: the same bytes for each script."""

import hashlib

import pytest

API = [
    "return redis.error_reply('My Err')",
    "return redis.error_reply('single')",
    "return redis.error_reply('-FOO bar')",
    "return redis.error_reply()",
    "return redis.error_reply(1)",
    "return redis.status_reply('x')",
    "return redis.status_reply()",
    "return redis.call('nosuch')",
    "return redis.pcall('nosuch')",
    "return redis.call('get')",
    "return redis.call()",
    "return redis.pcall()",
    "return redis.call({})",
    "return redis.call('set','a',{})",
    "return redis.call('set','a',true)",
    "return redis.pcall('get','l')",
    "local ok,e=pcall(redis.call,'get','l') return {ok and 1 or 0, type(e), e.err or 'none'}",
    "local e=redis.pcall('get','l') return {type(e),e.err}",
    "local e=redis.pcall('get','l') local r={} for k,v in pairs(e) do r[#r+1]=k..'='..tostring(v) end table.sort(r) return r",
    "local ok,e=pcall(redis.call,'get','l') local r={} for k,v in pairs(e) do r[#r+1]=k..'='..tostring(v) end table.sort(r) return r",
    "return redis.call('eval','return 1',0)",
    "return redis.call('script','load','x')",
    "return redis.call('client','id')",
    "redis.call('set','n',1e17) return redis.call('get','n')",
    "redis.call('set','n',1.5) return redis.call('get','n')",
    "redis.call('set','n',3) return redis.call('get','n')",
    "redis.call('set','n',0.1) return redis.call('get','n')",
    "redis.call('set','n',-0/1) return redis.call('get','n')",
    "redis.call('set','n',1/0) return redis.call('get','n')",
    "redis.call('set','n',0/0) return redis.call('get','n')",
    "redis.call('set','n',2^53+1) return redis.call('get','n')",
    "redis.call('set','n',1e300) return redis.call('get','n')",
    "redis.call('set','n',2^63) return redis.call('get','n')",
    "return redis.sha1hex('')",
    "return redis.sha1hex()",
    "return redis.sha1hex(1)",
    "return redis.sha1hex({})",
    "return redis.log(1)",
    "return redis.log(9,'x')",
    "return redis.log(3,'x')",
    "return redis.log('a','x')",
    "return redis.setresp(4)",
    "return redis.setresp()",
    "return redis.setresp('3')",
    "return redis.set_repl(1)",
    "return redis.set_repl()",
    "return redis.set_repl(9)",
    "return redis.replicate_commands()",
    "return redis.breakpoint()",
    "return redis.debug('x')",
    "return redis.acl_check_cmd('get','x')",
    "return redis.acl_check_cmd('nosuch','x')",
    "return redis.acl_check_cmd()",
    "return redis.acl_check_cmd('get')",
    "return redis.acl_check_cmd({})",
    "\n\nreturn redis.call('get','l')",
    "return redis.call('get','l','x')",
    "return redis.call('ping')",
    "return redis.call('PING','x')",
    "return redis.call('config','get','port')",
    "return redis.call('config','nosuch')",
    "return redis.call('config')",
    "return redis.call('info','nosuch')",
    "redis.call=1",
    "rawset(redis,'a',1) return redis.a",
    "return redis.x",
    "return redis.call('select',3)",
    "redis.call('select',3) redis.call('set','in3',1) return 1",
    "return redis.call('get','in3')",
    "redis.call('set','k1',1) return redis.call('incr','k1')",
    "return redis.call('incr','l')",
    "local t=redis.pcall('incr','l') return t",
    "return {redis.call('set','a','b'),redis.call('get','a'),redis.call('get','nokey')}",
    "return {1,redis.pcall('incr','l'),3}",
    "return redis.call('mget','a','nokey','k1')",
    "return redis.call('echo',1)",
    "return redis.call('time')[3]",
    "return tostring(redis.call('exists','a'))",
    "return type(redis.call('ping'))",
    "return redis.call('ping').ok",
    "return redis.foo()",
    "return redis.status_reply('a\\r\\nb')",
    "return redis.error_reply('a\\r\\nb c\\r\\n')",
]

LUA = [
    "coroutine.wrap(function() error('x') end)()",
    "coroutine.wrap(function() x = 1 end)()",
    "return {pcall(coroutine.wrap(function() error('x') end))}",
    "return {err='plain'}",
    "return {err='-plain x'}",
    "return {err='a\\r\\nb'}",
    "return {ok='a\\r\\nb'}",
    "return {ok=1}",
    "return {err=1}",
    "error('boom')",
    "error('boom',0)",
    "error({err='MY code'})",
    "error()",
    "error(nil)",
    "error(5)",
    "return 3.99",
    "return -3.99",
    "return 1e300",
    "return 0/0",
    "return {1,2,nil,3}",
    "return nil",
    "return true",
    "return false",
    "return function() end",
    "return {double=3.5}",
    "return {map={a=1}}",
    "return {set={a=true}}",
    "return {big_number='123'}",
    "return {verbatim_string={format='txt',string='hi'}}",
    "return {1,{2,{3}}}",
    "return",
    "return 'a','b'",
    "x",
    "return loadstring(string.dump(function() return 1 end))",
    "return {loadstring(string.dump(function() return 1 end))}",
    "return load(function() return nil end)",
    "return {pcall(load,'return 1')}",
    "return _VERSION",
    "return math.random(1000)",
    "return {math.random(1000),math.random(5,6),tostring(math.random())}",
    "math.randomseed(5) return math.random(100000)",
    "local a={} a.x.y=1",
    "local function f() error('x') end\n\nf()",
    "local t=setmetatable({},{__index=function() error('q') end}) return t.x",
    "return tostring(coroutine.running())",
    "return collectgarbage('foo')",
    "print(1)",
    "return unpack({1,2},1,10000000)",
    "return ('x'):rep(10):upper()",
    "return tostring(1e15)",
    "return tostring(12345678901234567890)",
    "return #ARGV",
    "return {KEYS[1] or 'n'}",
    "return table.concat({1,2,{}})",
    "return string.format('%5.2s|%q',{}, 'a')",
    "setmetatable(_G,{})",
    "x=1",
    "return x",
    "KEYS=1",
    "rawset(_G,'a',1)",
    "table.insert(redis,1)",
    "getmetatable('').__index=1",
    "math.pi=1",
    "string.foo=1",
    "return getmetatable(redis)",
    "table.sort(redis)",
    "table.remove(redis)",
    "return rawget(_G,'x')",
    "local r={} for k in pairs(string) do r[#r+1]=k end table.sort(r) return r",
    "return next({})",
    "return {next({5})}",
    "return {pcall(function() error({err='X y'}) end)}",
    "return {pcall(function() error({1}) end)}",
    "return {pcall(function() error('a') end)}",
    "return {xpcall(function() error('a') end, function(e) return 'h:'..e end)}",
    "return {pcall(function() return 1,2,3 end)}",
    "return {coroutine.resume(coroutine.create(function(a,b) coroutine.yield(a) error('z') end),7)}",
    "local f=coroutine.wrap(function(a) local b=coroutine.yield(a) return b end) return {f(1),f(2)}",
    "return string.rep('ab',3)",
    "return string.rep('ab',-1)",
    "return ('x'):rep(0)",
    "return string.rep()",
    "return string.rep('x')",
    "return {unpack({1,2,3},2)}",
    "return {unpack({1,2,3},2,3)}",
    "return unpack({},1,0)",
    "return {unpack({1,2,3},-1,1)}",
    "return select('#',1,2)",
    "math.randomseed(7) return {math.random(1000),math.random(5,6),tostring(math.random())}",
    "return math.random(0)",
    "return math.random(1,2,3)",
    "return {KEYS[1],ARGV[1],#KEYS,#ARGV}",
    "return load(function() return nil end)()",
    "local n=0 return load(function() n=n+1 return ({'return ','7'})[n] end)()",
    "return {load(function() return {} end)}",
    "return {loadstring('return 5')()}",
    "return {loadstring('x x')}",
    "return {loadstring('x x','=foo')}",
    "return {loadstring('x=5')()}",
    "return loadstring('return x')()",
    "return setmetatable({1,2},{__index={5}})",
    "return #setmetatable({},{__len=function() return 5 end})",
    "return tostring(setmetatable({},{__tostring=function() return 'T' end}))",
    "return setmetatable({},{__metatable=1})",
    "return setmetatable(setmetatable({},{__metatable=1}),{})",
    "return getmetatable(setmetatable({},{__metatable=1}))",
    "return error",
    "error('x',2)",
    "local function f() error('deep',2) end f()",
    "return table.concat({1,2,3},',')",
    "return table.concat(redis)",
    "return {table.insert({},1,2)}",
    "return table.insert({},1,2,3)",
    "local t={1,2,3} table.insert(t,2,9) return t",
    "local t={1,2,3} table.insert(t,9,9) return t",
    "local t={1,2,3} return {table.remove(t),table.remove(t,1),#t,table.remove(t,7)}",
    "local t={3,1,2} table.sort(t) return t",
    "local t={3,1,2} table.sort(t,function(a,b) return a>b end) return t",
    "return table.sort({1,'x'})",
    "return {('abc'):find('b')}",
    "return _G._G==_G and 1 or 0",
    "return _G.redis==redis and 1 or 0",
    "return tostring(nil)..tostring(1.5)",
    "return string.format('%d %s',3,'x')",
    "return gcinfo('x')>0",
    "return collectgarbage()",
    "return collectgarbage('step')",
    "return collectgarbage('stop')",
    "local t=nil; t.x=1",
    "local t={} return t.x.y",
    "return 1 + {}",
    "return 'a' < 1",
    "return #nil",
    "f()",
    "\n\n\nlocal x = nil + 1",
    "return coroutine.yield(1)",
    "return pcall(coroutine.yield,1)",
    "goto x",
    "return {err='E x',ok='y'}",
    "return {ok='y',double=1}",
    "return {double=0.1}",
    "return {map={a=1},set={b=true}}",
]

JSON = [
    "return cjson._NAME",
    "return cjson._VERSION",
    "return tostring(cjson.null)",
    "local r={} for k in pairs(cjson) do r[#r+1]=k end table.sort(r) return r",
    "return cjson.encode({1,2,{a='b',c=cjson.null}})",
    "return cjson.encode({[1]=1,[3]=3})",
    "return cjson.encode({[1]=1,[300]=3})",
    'return cjson.decode(\'[1,2,{"a":null}]\')',
    "return cjson.decode('[1,')",
    'return cjson.encode({[1]=\'a\\n"\\\\/\\127\'})',
    "return cjson.encode(1/0)",
    "return cjson.encode(0.1)",
    "return cjson.encode()",
    "return cjson.decode()",
    "return cjson.encode(function() end)",
    "local t={} t.a=t return cjson.encode(t)",
    'return cjson.decode(\'{"a":[1,2],"b":"\\\\u00e9"}\').b',
]

MSGPACK = [
    "return cmsgpack._NAME..cmsgpack._VERSION..cmsgpack._DESCRIPTION..cmsgpack._COPYRIGHT",
    "return cmsgpack.pack(1,2.5,'a',true,nil,{1,2,3},{a=1},-1,-200,70000,2^40,-2^40,0.1)",
    "return {cmsgpack.unpack(cmsgpack.pack(1,'a',{1,2}))}",
    "return {cmsgpack.unpack_one(cmsgpack.pack(1,'a'))}",
    "return {cmsgpack.unpack_one(cmsgpack.pack(1,'a'),1)}",
    "return {cmsgpack.unpack_limit(cmsgpack.pack(1,'a',3),2)}",
    "return {cmsgpack.unpack_limit(cmsgpack.pack(1,'a',3),2,1)}",
    "return cmsgpack.unpack('')",
    "return cmsgpack.unpack('\\193')",
    "return cmsgpack.unpack('\\146\\1')",
    "return cmsgpack.pack()",
    "return cmsgpack.unpack()",
    "return cmsgpack.unpack_one('a',9)",
    "return cmsgpack.unpack_one('a',-1)",
    "return cmsgpack.unpack_limit('a',-1)",
    "return cmsgpack.pack({[1]=1,[2]=2,x=3})",
    "return cmsgpack.pack({[1]=1,[3]=3})",
    "return cmsgpack.pack({})",
    "return cmsgpack.pack(('x'):rep(40),('y'):rep(300))",
    "local t={} for i=1,20 do t={t} end return cmsgpack.pack(t)",
    "return cmsgpack.pack(function() end)",
    "return cmsgpack.pack(1e300)",
    "return cmsgpack.pack(2^63,2^64,-2^63)",
    "return cmsgpack.pack(1.5,0/0)",
]

STRUCT = [
    "return struct.pack('>I2h4','1',2)",
    "return struct.pack('>i4<i4bBhHlLfd',1,2,3,4,5,6,7,8,1.5,2.5)",
    "return struct.pack('s','abc')",
    "return struct.pack('c0','abc')",
    "return struct.pack('c2','abc')",
    "return struct.pack('c5','abc')",
    "return struct.pack('!4bi4','1',2)",
    "return struct.pack('bxb',1,2)",
    "return struct.pack('z',1)",
    "return struct.pack('i9',1)",
    "return struct.pack('i33',1)",
    "return struct.pack('i',1,2)",
    "return struct.pack('i')",
    "return struct.pack('!3i',1)",
    "return struct.pack('i2147483648',1)",
    "return struct.pack('i99999999999999999',1)",
    "return {struct.unpack('>i4<i4',struct.pack('>i4<i4',-5,70000))}",
    "return {struct.unpack('bBhHlL','\\255\\255\\255\\255\\255\\255\\1\\0\\0\\0\\0\\0\\0\\0\\255\\255\\255\\255\\255\\255\\255\\255')}",
    "return {struct.unpack('s','abc\\0d')}",
    "return {struct.unpack('s','abc')}",
    "return {struct.unpack('Bc0','\\3abcd')}",
    "return {struct.unpack('c0','abc')}",
    "return {struct.unpack('c3','abcd')}",
    "return {struct.unpack('c5','abcd')}",
    "return {struct.unpack('i','ab')}",
    "return {struct.unpack('i','abcdefgh',5)}",
    "return {struct.unpack('i','abcdefgh',0)}",
    "return {struct.unpack('i','abcdefgh',9)}",
    "return {struct.unpack('i','abcdefgh',-1)}",
    "return {struct.size('bi4!4i4d')}",
    "return struct.size('s')",
    "return struct.size('c0')",
    "return struct.size('!8bd')",
    "return struct.size('T')",
    "return struct.size('x')",
    "return struct.size('z')",
    "return tostring(struct.unpack('f',struct.pack('f',1.1)))",
    "return tostring(struct.unpack('>d',struct.pack('>d',1.1)))",
    "return struct.pack('I',-1)",
    "return struct.pack('B',300)",
    "return struct.pack(' b b ',1,2)",
    "return struct.pack()",
    "return struct.unpack('b')",
    "return struct.pack('b','x')",
]

BIT = [
    "return {bit.tohex(255),bit.tohex(255,4),bit.tohex(255,-4),bit.tohex(-1),bit.tohex(1,0),bit.tohex(1,20)}",
    "return bit.tohex(65535,-2147483648)",
    "return {bit.band(7,3),bit.bor(1,2),bit.bxor(1,3),bit.bnot(0),bit.lshift(1,31),bit.rshift(-1,1),bit.arshift(-8,1),bit.rol(1,33),bit.ror(1,1),bit.bswap(1)}",
    "return bit.tohex()",
    "return bit.tohex('x')",
    "return bit.tohex(1,nil)",
    "return bit.tohex(1,{})",
] + [
    "return bit.tohex(%s,%s)" % (number, digits)
    for number in ("1", "-1", "2^40+5.5", "1/0")
    for digits in ("2^31", "2^32+3", "-2^63", "2^0x12345678", "-1/0", "0/0", "2.5", "-0.5", "'4'")
]

SHEBANG = [
    "#!lua\nreturn 1",
    "#!lua flags=no-writes\nreturn redis.call('set','a','b')",
    "#!lua flags=foo\nreturn 1",
    "#!lua foo=bar\nreturn 1",
    "#!ruby\nreturn 1",
    "#!lua flags=no-writes",
    "#!lua name=x\nreturn 1",
    "#!lua flags=allow-oom,allow-stale,no-cluster,allow-cross-slot-keys\nreturn 1",
    "#!\nreturn 1",
    "#!lua flags=\nreturn 1",
    "#!luaX\nreturn 1",
]

# With HELLO 3: what scripts answer, and what redis.call answers to them.
RESP3 = [
    "return nil",
    "return true",
    "return false",
    "return {double=3.5}",
    "return {double=1/0}",
    "return {map={a=1}}",
    "return {set={a=true}}",
    "return {big_number='12\\r\\n3'}",
    "return {big_number=12}",
    "return {verbatim_string={format='txt',string='hi'}}",
    "return {verbatim_string={format='txtx',string='hi'}}",
    "return {verbatim_string={format='t',string='hi'}}",
    "return {verbatim_string={}}",
    "return {verbatim_string={string='a'}}",
    "redis.setresp(3) return nil",
    "redis.setresp(3) return true",
    "redis.setresp(3) return false",
    "redis.setresp(3) return redis.call('get','nokey')",
    "redis.setresp(3) return type(redis.call('get','nokey'))",
    "redis.setresp(3) return redis.call('set','a','b')",
    "return {map={a={1,2}},1}",
    "return {double='x'}",
    "return {map=1}",
    "return {1,{2,{map={a={set={b=true}}}}}}",
    "redis.setresp(3) return redis.call('incrbyfloat','fl','1.5')",
    "redis.setresp(3) return redis.call('command','count')>0",
    "return redis.call('get','nokey')",
    "return redis.call('mget','nokey','a')",
    "redis.setresp(3) return redis.call('mget','nokey','a')",
    "return {err='E x'}",
    "return {ok='E x'}",
    "error('x')",
    "return redis.call('incr','l')",
    "redis.setresp(3) return redis.call('incr','l')",
]

COMMANDS = [
    ('EVAL', 'return 1', 'x'),
    ('EVAL', 'return 1', '-1'),
    ('EVAL', 'return 1', '1'),
    ('EVAL', 'return 1', 2, 'a'),
    ('EVALSHA', 'x', 0),
    ('EVALSHA', 'e0e1f9fabfc9d4800c877a703b823ac0578ff8db', 0),
    ('EVALSHA', 'E0E1F9FABFC9D4800C877A703B823AC0578FF8DB', 0),
    ('EVALSHA', 'ffffffffffffffffffffffffffffffffffffffff', 0),
    ('EVALSHA', 'ffffffffffffffffffffffffffffffffffffffff', 'x'),
    ('EVALSHA', 'x', 'x'),
    ('EVAL_RO', "return redis.call('set','a','b')", 0),
    ('EVAL_RO', "return redis.pcall('set','a','b')", 0),
    ('EVAL_RO', "return redis.call('get','a')", 0),
    ('EVAL_RO', "#!lua\nreturn redis.call('get','a')", 0),
    ('SCRIPT', 'LOAD', 'return x('),
    ('SCRIPT', 'LOAD', 'return 1'),
    ('SCRIPT', 'EXISTS', 'x', 'e0e1f9fabfc9d4800c877a703b823ac0578ff8db'),
    ('SCRIPT', 'FLUSH', 'x'),
    ('SCRIPT', 'FLUSH', 'sync', 'x'),
    ('SCRIPT', 'FLUSH'),
    ('SCRIPT', 'KILL'),
    ('SCRIPT', 'DEBUG', 'x'),
    ('SCRIPT', 'DEBUG', 'no'),
    ('SCRIPT', 'HELP'),
    ('SCRIPT', 'x'),
    ('SCRIPT', 'LOAD', '#!lua'),
]


@pytest.fixture
def pair(both):
    both.same("SETRANGE", "l", 0, "x")
    both.same("SET", "k1", "1")
    both.same("SCRIPT", "FLUSH")
    return both


@pytest.mark.parametrize(
    "scripts", [API, LUA, JSON, MSGPACK, STRUCT, BIT, SHEBANG],
    ids=["api", "lua", "json", "msgpack", "struct", "bit", "shebang"])
def test_scripts(pair, scripts):
    for script in scripts:
        pair.same("EVAL", script, 0)


def test_resp3(pair):
    pair.resp3()
    for script in RESP3:
        pair.same("EVAL", script, 0)


def test_commands(pair):
    for words in COMMANDS:
        pair.same(*words)


def test_keys_and_arguments(pair):
    script = "return {KEYS[1],ARGV[1],KEYS[2],#KEYS,#ARGV}"
    pair.same("EVAL", script, 2, "k", "k2", "a", "b")
    pair.same("EVAL", script, 0, "", "a\r\nb")
    pair.same("EVAL", "return ARGV", 0, b"\x00\xff", "")


def test_evalsha(pair):
    script = "return redis.call('GET', KEYS[1])"
    sha = hashlib.sha1(script.encode()).hexdigest()
    pair.same("EVALSHA", sha, 1, "k1")
    pair.same("EVAL", script, 1, "k1")
    pair.same("EVALSHA", sha, 1, "k1")
    pair.same("EVALSHA", sha.upper(), 1, "k1")
    pair.same("EVALSHA_RO", sha, 1, "k1")
    pair.same("SCRIPT", "EXISTS", sha, sha.upper(), "x")
    pair.same("SCRIPT", "FLUSH")
    pair.same("EVALSHA", sha, 1, "k1")
    pair.same("SCRIPT", "LOAD", script)
    pair.same("EVALSHA", sha, 1, "k1")


def test_selected_database_is_that_of_before(pair):
    pair.same("EVAL", "redis.call('select', 3) redis.call('set', 'a', 1)", 0)
    pair.same("GET", "a")
    pair.same("SELECT", 3)
    pair.same("GET", "a")


def test_getkeys(pair):
    for words in [("EVAL", "x", 0), ("EVAL", "x", 2, "a", "b", "c"),
                  ("EVAL", "x", 3, "a"), ("EVAL", "x", "y"),
                  ("EVAL", "x", -1), ("EVAL_RO", "x", 1, "a")]:
        pair.same("COMMAND", "GETKEYS", *words)
        pair.same("COMMAND", "GETKEYSANDFLAGS", *words)


def test_pcall_in_pipelines_and_large_values(pair):
    pair.same("SET", "big", "x" * 100000)
    pair.same("EVAL", "return redis.call('get', KEYS[1])", 1, "big")
    pair.same("EVAL", "return {1, redis.call('mget', 'big', 'k1', 'big'), 2}", 0)
    pair.same("EVAL", "return #redis.call('get', 'big')", 0)


def test_replies_switched_off(pair):
    for side in pair.sides:
        side.send(b"CLIENT REPLY SKIP\r\n")
        side.send(b"*3\r\n$4\r\nEVAL\r\n$34\r\n"
                  b"return redis.call('set','skip',42)\r\n$1\r\n0\r\n")
    pair.same("GET", "skip")
