// Scripts as ioredis runs them (defineCommand: EVALSHA, then EVAL), the kinds
// people have: locks, rate limiters, counters. Server at argv[2], password
// argv[3].
'use strict';
const Redis = require('ioredis');
const { assert, run } = require('./check.cjs');

const base = {
  host: '127.0.0.1', port: Number(process.argv[2]), password: process.argv[3],
};
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const scripts = {
  unlock: { numberOfKeys: 1, lua: `
    if redis.call('get', KEYS[1]) == ARGV[1] then
      return redis.call('del', KEYS[1])
    end
    return 0` },
  extend: { numberOfKeys: 1, lua: `
    if redis.call('get', KEYS[1]) == ARGV[1] then
      return redis.call('pexpire', KEYS[1], ARGV[2])
    end
    return 0` },
  slidingWindow: { numberOfKeys: 1, lua: `
    local now, window, limit = tonumber(ARGV[1]), tonumber(ARGV[2]),
      tonumber(ARGV[3])
    redis.call('zremrangebyscore', KEYS[1], '-inf', now - window)
    if redis.call('zcard', KEYS[1]) >= limit then
      local oldest = redis.call('zrange', KEYS[1], 0, 0, 'withscores')
      return {0, tostring(oldest[2] + window - now)}
    end
    redis.call('zadd', KEYS[1], now, ARGV[4])
    redis.call('pexpire', KEYS[1], window)
    return {1, '0'}` },
  tokenBucket: { numberOfKeys: 1, lua: `
    local have = redis.call('hmget', KEYS[1], 'tokens', 'at')
    local now, rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2]),
      tonumber(ARGV[3])
    local tokens = tonumber(have[1]) or burst
    tokens = math.min(burst, tokens + (now - (tonumber(have[2]) or now)) * rate)
    local allowed = tokens >= 1
    if allowed then tokens = tokens - 1 end
    redis.call('hset', KEYS[1], 'tokens', tokens, 'at', now)
    redis.call('expire', KEYS[1], 60)
    return {allowed, tostring(tokens)}` },
  fixedWindow: { numberOfKeys: 1, lua: `
    local n = redis.call('incr', KEYS[1])
    if n == 1 then redis.call('pexpire', KEYS[1], ARGV[1]) end
    return {n, redis.call('pttl', KEYS[1])}` },
  packed: { numberOfKeys: 1, lua: `
    local old = redis.call('get', KEYS[1])
    local value = old and cmsgpack.unpack(old) or {n = 0, list = {}}
    value.n = value.n + 1
    value.list[#value.list + 1] = ARGV[1]
    redis.call('set', KEYS[1], cmsgpack.pack(value))
    return cjson.encode({value.n, value.list})` },
  fails: { numberOfKeys: 0, lua: `
    return redis.error_reply('NOPE because of ' .. ARGV[1])` },
};

async function withClient(body) {
  const client = new Redis({ ...base, scripts });
  try {
    await body(client);
  } finally {
    client.disconnect();
  }
}

run({
  'defined commands survive SCRIPT FLUSH': () => withClient(async (client) => {
    for (let i = 1; i <= 3; i++) {
      assert.strictEqual((await client.fixedWindow('fw', 60000))[0], i);
      await client.script('FLUSH');
    }
  }),

  'in a pipeline and in a transaction': () => withClient(async (client) => {
    await client.script('FLUSH');
    const piped = await client.pipeline()
      .fixedWindow('pw', 60000).get('pw').fixedWindow('pw', 60000).exec();
    assert.deepStrictEqual(piped.map(([error]) => error), [null, null, null]);
    assert.strictEqual(piped[1][1], '1');
    const both = await client.multi().fixedWindow('pw', 60000)
      .fixedWindow('pw', 60000).exec();
    assert.deepStrictEqual(both.map(([, [n]]) => n), [3, 4]);
  }),

  'a lock of many clients is held by one': async () => {
    const clients = Array.from({ length: 8 },
      () => new Redis({ ...base, scripts }));
    let held = 0, entered = 0, counter = 0;
    await Promise.all(clients.map(async (client, me) => {
      for (let i = 0; i < 20; i++) {
        const token = me + ':' + i;
        while (await client.set('lock', token, 'PX', 20000, 'NX') === null) {
          await pause(1);
        }
        assert.strictEqual(++held, 1);
        const seen = counter;
        await client.ping();
        counter = seen + 1;
        entered++;
        if (i % 5 === 0) {
          await client.call('TIER', 'DEMOTE', 'lock', 'TO', 'DRY');
        }
        held--;
        assert.strictEqual(await client.unlock('lock', 'foreign'), 0);
        assert.strictEqual(await client.unlock('lock', token), 1);
      }
    }));
    assert.deepStrictEqual([entered, counter], [160, 160]);
    clients.forEach((client) => client.disconnect());
  },

  'a lock is extended by its holder only': () => withClient(async (client) => {
    await client.set('mine', 'a', 'PX', 1000, 'NX');
    assert.strictEqual(await client.extend('mine', 'b', 90000), 0);
    assert.strictEqual(await client.extend('mine', 'a', 90000), 1);
    assert.ok(await client.pttl('mine') > 80000);
  }),

  'sliding window': () => withClient(async (client) => {
    for (let i = 0; i < 5; i++) {
      const [ok] = await client.slidingWindow('sw', 1000 + i, 100, 5, 'm' + i);
      assert.strictEqual(ok, 1);
    }
    await client.call('TIER', 'DEMOTE', 'sw', 'TO', 'DRY');
    assert.deepStrictEqual(
      await client.slidingWindow('sw', 1050, 100, 5, 'x'), [0, '50']);
    assert.deepStrictEqual(
      await client.slidingWindow('sw', 1101, 100, 5, 'y'), [1, '0']);
  }),

  'token bucket': () => withClient(async (client) => {
    const take = (now) => client.tokenBucket('tb', now, 0.5, 3);
    assert.deepStrictEqual(await take(0), [1, '2']);
    assert.deepStrictEqual(await take(0), [1, '1']);
    await client.call('TIER', 'DEMOTE', 'tb', 'TO', 'COLD');
    assert.deepStrictEqual(await take(0), [1, '0']);
    assert.deepStrictEqual(await take(1), [null, '0.5']);
    assert.deepStrictEqual(await take(2), [1, '0']);
  }),

  'cmsgpack and cjson keep what they are given': () =>
    withClient(async (client) => {
      for (let i = 1; i <= 3; i++) {
        const [n, list] = JSON.parse(await client.packed('mp', 'ä' + i));
        assert.strictEqual(n, i);
        assert.strictEqual(list.at(-1), 'ä' + i);
        await client.call('TIER', 'DEMOTE', 'mp', 'TO', 'DRY');
      }
    }),

  'errors arrive as they were made': () => withClient(async (client) => {
    await assert.rejects(client.fails('reasons'), /^ReplyError: NOPE because/);
    await client.lpush('list', 1);
    await assert.rejects(client.fixedWindow('list', 1), /WRONGTYPE/);
  }),

  'WATCH lets one of two win': async () => {
    const a = new Redis(base), b = new Redis(base);
    await a.set('w', 1);
    await a.watch('w');
    await a.call('TIER', 'DEMOTE', 'w', 'TO', 'DRY');
    assert.deepStrictEqual(await a.multi().incr('w').exec(), [[null, 2]]);
    await a.watch('w');
    await b.incr('w');
    assert.strictEqual(await a.multi().incr('w').exec(), null);
    assert.strictEqual(await b.get('w'), '3');
    a.disconnect();
    b.disconnect();
  },

  'a blocked client is woken by a script': async () => {
    const a = new Redis({ ...base, scripts }), b = new Redis(base);
    const popped = b.blpop('queue', 10);
    while (!/blocked_clients:1/.test(await a.info('clients'))) {
      await pause(5);
    }
    await a.eval("return redis.call('rpush', KEYS[1], 'x', 'y')", 1, 'queue');
    assert.deepStrictEqual(await popped, ['queue', 'x']);
    assert.strictEqual(await a.llen('queue'), 1);
    a.disconnect();
    b.disconnect();
  },
});
