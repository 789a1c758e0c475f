// node-redis against the server at argv[2], password argv[3].
'use strict';
const { createClient } = require('redis');
const { assert, run } = require('./check.cjs');

const url = 'redis://127.0.0.1:' + process.argv[2];
const password = process.argv[3];

async function withClient(options, body) {
  const client = createClient({ url, password, ...options });
  const errors = [];
  client.on('error', (error) => errors.push(error));
  try {
    await client.connect();
    await body(client);
    assert.deepStrictEqual(errors, []);
  } finally {
    client.destroy();
  }
}

function inBoth(body) {
  return async () => {
    await withClient({ RESP: 2 }, body);
    await withClient({ RESP: 3 }, body);
  };
}

run({
  'connects and says who it is': inBoth(async (client) => {
    assert.ok(client.isReady);
    const info = await client.clientInfo();
    assert.match(info.libName, /node-redis/);
    assert.strictEqual(info.user, 'default');
    assert.ok(info.id > 0);
  }),

  'with defaults, a name and a database': () =>
    withClient({ name: 'node', database: 4 }, async (client) => {
      const info = await client.clientInfo();
      assert.strictEqual(info.name, 'node');
      assert.strictEqual(info.db, 4);
    }),

  'refuses a wrong password': async () => {
    const client = createClient({ url, password: 'wrong',
      socket: { reconnectStrategy: false } });
    client.on('error', () => {});
    await assert.rejects(client.connect(), /WRONGPASS/);
  },

  'strings, numbers, expiry': inBoth(async (client) => {
    await client.flushAll();
    assert.strictEqual(
      await client.set('a', 'x', { EX: 100, NX: true }), 'OK');
    assert.strictEqual(
      await client.set('a', 'y', { NX: true }), null);
    assert.strictEqual(await client.get('a'), 'x');
    assert.strictEqual(await client.get('none'), null);
    assert.ok((await client.ttl('a')) > 90);
    assert.strictEqual(await client.incrBy('n', 5), 5);
    assert.deepStrictEqual(
      await client.mGet(['a', 'none', 'n']), ['x', null, '5']);
    assert.strictEqual(await client.exists(['a', 'n', 'none']), 2);
    assert.strictEqual(await client.del(['a', 'n']), 2);
  }),

  'maps and sets': inBoth(async (client) => {
    const hello = await client.hello();
    assert.strictEqual(hello.server, 'redis');
    assert.strictEqual(hello.version, '7.2.4');
    const config = await client.configGet('max*');
    assert.ok('maxmemory' in config && 'maxclients' in config);
    const commands = await client.commandInfo(['get']);
    assert.strictEqual(commands[0].name, 'get');
    assert.strictEqual(commands[0].arity, 2);
    assert.ok(commands[0].flags.has('readonly'));
    const memory = await client.memoryStats();
    assert.ok(memory['total.allocated'] > 0);
  }),

  'a big pipeline': inBoth(async (client) => {
    const replies = await Promise.all(Array.from({ length: 5000 },
      (_, i) => client.set('p:' + i, 'v' + i)
        .then(() => client.get('p:' + i))));
    replies.forEach((value, i) => assert.strictEqual(value, 'v' + i));
  }),

  'large values': inBoth(async (client) => {
    const value = 'x'.repeat(3000000);
    await client.set('large', value);
    assert.strictEqual(await client.get('large'), value);
  }),

  'scans everything': inBoth(async (client) => {
    await client.flushAll();
    await client.mSet(Object.fromEntries(
      Array.from({ length: 1000 }, (_, i) => ['scan:' + i, String(i)])));
    const seen = new Set();
    for await (const keys of client.scanIterator(
      { MATCH: 'scan:*', COUNT: 100 })) {
      keys.forEach((key) => seen.add(key));
    }
    assert.strictEqual(seen.size, 1000);
  }),

  'errors arrive as errors': inBoth(async (client) => {
    await client.set('s', 'text');
    await assert.rejects(client.incr('s'), /ERR value is not an integer/);
    await assert.rejects(
      client.sendCommand(['NOSUCH']), /ERR unknown command/);
    assert.strictEqual(await client.get('s'), 'text');
  }),

  'values on disk': inBoth(async (client) => {
    await client.set('deep', 'value');
    await client.sendCommand(['TIER', 'DEMOTE', 'deep', 'TO', 'dry']);
    assert.strictEqual(
      String(await client.sendCommand(['TIER', 'OF', 'deep'])), 'dry');
    assert.strictEqual(await client.get('deep'), 'value');
  }),

  'subscribes and publishes': inBoth(async (client) => {
    const listener = client.duplicate();
    listener.on('error', () => {});
    await listener.connect();
    const heard = [];
    const hear = (message, channel) => heard.push([channel, message]);
    await listener.subscribe(['news', 'more'], hear);
    await listener.pSubscribe('n*', hear);
    await listener.sSubscribe('shard', hear);
    assert.strictEqual(await client.publish('news', 'first'), 2);
    assert.strictEqual(await client.publish('more', 'second'), 1);
    assert.strictEqual(await client.sPublish('shard', 'third'), 1);
    while (heard.length < 4) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.deepStrictEqual(heard, [['news', 'first'], ['news', 'first'],
      ['more', 'second'], ['shard', 'third']]);
    assert.strictEqual(await client.pubSubNumPat(), 1);
    await listener.unsubscribe();
    await listener.pUnsubscribe();
    await listener.sUnsubscribe();
    assert.strictEqual(await client.publish('news', 'nobody'), 0);
    listener.destroy();
  }),
});
