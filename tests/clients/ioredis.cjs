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

  'subscribes and publishes': () => withClient({}, async (client) => {
    const listener = client.duplicate();
    const heard = [];
    const done = new Promise((resolve) => {
      listener.on('message', (channel, message) =>
        heard.push([channel, message]));
      listener.on('pmessage', (pattern, channel, message) => {
        heard.push([pattern, channel, message]);
        if (message === 'last') {
          resolve();
        }
      });
    });
    assert.strictEqual(await listener.subscribe('news', 'more'), 2);
    assert.strictEqual(await listener.psubscribe('n*'), 3);
    assert.match(await listener.ping(), /pong/i);
    assert.strictEqual(await client.publish('news', 'first'), 2);
    assert.strictEqual(await client.publish('more', 'second'), 1);
    assert.strictEqual(await client.publish('nothing', 'last'), 1);
    await done;
    assert.deepStrictEqual(heard, [['news', 'first'], ['n*', 'news', 'first'],
      ['more', 'second'], ['n*', 'nothing', 'last']]);
    assert.deepStrictEqual(
      await client.pubsub('NUMSUB', 'news', 'none'), ['news', 1, 'none', 0]);
    await listener.unsubscribe('news', 'more');
    assert.strictEqual(await client.publish('more', 'nobody'), 0);
    listener.disconnect();
  }),

  'subscribes again after the connection was lost': () =>
    withClient({}, async (client) => {
      const listener = client.duplicate({ retryStrategy: () => 20 });
      listener.on('error', () => {});
      await listener.subscribe('again');
      const [line] = (await client.client('LIST', 'TYPE', 'pubsub'))
        .split('\n');
      const back = new Promise((resolve) => listener.on('ready', resolve));
      await client.client('KILL', 'ID', line.match(/^id=(\d+)/)[1]);
      await back;
      const heard = new Promise((resolve) =>
        listener.on('message', (channel, message) => resolve(message)));
      while ((await client.publish('again', 'hello')) === 0) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      assert.strictEqual(await heard, 'hello');
      listener.disconnect();
    }),

  'hears of expired keys': () => withClient({}, async (client) => {
    await client.config('SET', 'notify-keyspace-events', 'Ex');
    const listener = client.duplicate();
    const heard = new Promise((resolve) =>
      listener.on('message', (channel, message) => resolve([channel, message])));
    await listener.subscribe('__keyevent@0__:expired');
    await client.set('brief', 'x', 'PX', 50);
    assert.deepStrictEqual(await heard, ['__keyevent@0__:expired', 'brief']);
    await client.config('SET', 'notify-keyspace-events', '');
    listener.disconnect();
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
