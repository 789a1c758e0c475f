// ioredis against the server at argv[2], password argv[3].
'use strict';
const Redis = require('ioredis');
const { assert, run } = require('./check.cjs');

const base = {
  host: '127.0.0.1',
  port: Number(process.argv[2]),
  password: process.argv[3],
  lazyConnect: true,
  maxRetriesPerRequest: 1,
};

async function withClient(options, body) {
  const client = new Redis({ ...base, ...options });
  const errors = [];
  client.on('error', (error) => errors.push(error));
  try {
    await client.connect();
    await body(client);
    assert.deepStrictEqual(errors, []);
  } finally {
    client.disconnect();
  }
}

run({
  'connects, waits until ready, names itself': () =>
    withClient({ connectionName: 'io', db: 3 }, async (client) => {
      assert.strictEqual(client.status, 'ready');
      assert.strictEqual(await client.client('GETNAME'), 'io');
      const line = await client.client('INFO');
      assert.match(line, / db=3 /);
      assert.match(line, / lib-name=ioredis/);
    }),

  'refuses a wrong password': async () => {
    const client = new Redis({ ...base, password: 'wrong', lazyConnect: false,
      retryStrategy: () => null });
    const error = await new Promise((resolve) => client.on('error', resolve));
    client.disconnect();
    assert.match(error.message, /WRONGPASS/);
  },

  'strings, numbers, expiry': () => withClient({}, async (client) => {
    await client.flushall();
    assert.strictEqual(await client.set('a', 'x', 'EX', 100), 'OK');
    assert.strictEqual(await client.get('a'), 'x');
    assert.strictEqual(await client.get('none'), null);
    assert.ok((await client.ttl('a')) > 90);
    assert.strictEqual(await client.incrby('n', 5), 5);
    assert.strictEqual(await client.incrbyfloat('f', 1.5), '1.5');
    assert.deepStrictEqual(
      await client.mget('a', 'none', 'n'), ['x', null, '5']);
    assert.strictEqual(await client.del('a', 'n', 'none'), 2);
  }),

  'bytes stay bytes': () => withClient({}, async (client) => {
    const bytes = Buffer.from(Array.from({ length: 70000 }, (_, i) => i & 255));
    await client.set(Buffer.from([0, 13, 10, 255]), bytes);
    const back = await client.getBuffer(Buffer.from([0, 13, 10, 255]));
    assert.ok(bytes.equals(back));
  }),

  'a pipeline of 5000': () => withClient({}, async (client) => {
    const pipeline = client.pipeline();
    for (let i = 0; i < 2500; i++) {
      pipeline.set('p:' + i, 'v' + i).get('p:' + i);
    }
    const replies = await pipeline.exec();
    assert.strictEqual(replies.length, 5000);
    for (let i = 0; i < 2500; i++) {
      assert.deepStrictEqual(replies[2 * i + 1], [null, 'v' + i]);
    }
  }),

  'a pipeline that meets an error goes on': () =>
    withClient({}, async (client) => {
      await client.set('s', 'text');
      const replies = await client.pipeline().incr('s').get('s').exec();
      assert.match(replies[0][0].message, /ERR value is not an integer/);
      assert.strictEqual(replies[1][1], 'text');
    }),

  'scans everything': () => withClient({}, async (client) => {
    await client.flushall();
    for (let i = 0; i < 1000; i++) {
      await client.set('scan:' + i, i);
    }
    const seen = new Set();
    const stream = client.scanStream({ match: 'scan:*', count: 100 });
    for await (const keys of stream) {
      keys.forEach((key) => seen.add(key));
    }
    assert.strictEqual(seen.size, 1000);
  }),

  'automatic pipelining': () =>
    withClient({ enableAutoPipelining: true }, async (client) => {
      const values = await Promise.all(Array.from({ length: 200 }, (_, i) =>
        client.set('auto:' + i, i).then(() => client.get('auto:' + i))));
      assert.deepStrictEqual(values, values.map((_, i) => String(i)));
    }),

  'values on disk': () => withClient({}, async (client) => {
    await client.set('deep', 'value');
    await client.call('TIER', 'DEMOTE', 'deep', 'TO', 'dry');
    assert.strictEqual(await client.call('TIER', 'OF', 'deep'), 'dry');
    assert.strictEqual(await client.get('deep'), 'value');
  }),

  'monitors': () => withClient({}, async (client) => {
    const monitor = await client.monitor();
    const seen = new Promise((resolve) =>
      monitor.on('monitor', (time, args) => resolve(args)));
    await client.set('watched', '1');
    const args = await seen;
    monitor.disconnect();
    assert.deepStrictEqual(args.map((word) => word.toLowerCase()),
      ['set', 'watched', '1']);
  }),

  'many connections at once': async () => {
    const clients = Array.from({ length: 50 }, () => new Redis(base));
    await Promise.all(clients.map((client) => client.connect()));
    const replies = await Promise.all(clients.map((c) => c.ping()));
    assert.ok(replies.every((reply) => reply === 'PONG'));
    clients.forEach((client) => client.disconnect());
  },
});
