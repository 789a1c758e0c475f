// A rate limiter and a cache of a function's results, for ioredis.
//
//     node limit_and_cache.cjs PORT
'use strict';
const Redis = require('ioredis');

const client = new Redis({ port: Number(process.argv[2]) });

// One round trip, and no key is left without an expiry if the client dies.
client.defineCommand('countInWindow', { numberOfKeys: 1, lua: `
  local count = redis.call('INCR', KEYS[1])
  if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
  return {count, redis.call('PTTL', KEYS[1])}` });

// Whether `who` may, and in how many milliseconds the window ends.
async function allow(who, limit, windowMs) {
  const [count, leftMs] = await client.countInWindow('limit:' + who, windowMs);
  return { allowed: count <= limit, leftMs };
}

// Keeps what `work` resolved to; its arguments and result must be JSON's.
function cached(name, ttlS, work) {
  return async (...args) => {
    const key = `cache:${name}:${JSON.stringify(args)}`;
    const found = await client.get(key);
    if (found !== null) return JSON.parse(found);
    const value = await work(...args);
    await client.set(key, JSON.stringify(value), 'EX', ttlS);
    return value;
  };
}

async function main() {
  // These keys may take a megabyte of RAM, the rest of them lies on disk.
  await client.call('NAMESPACE', 'SET', 'cache:', 'hot-maxmemory', '1mb');
  const allowed = [];
  for (let i = 0; i < 5; i++) allowed.push((await allow('ann', 3, 60000)).allowed);
  console.log('allowed', JSON.stringify(allowed));

  const calls = [];
  const square = cached('square', 60, async (number) => {
    calls.push(number);
    return number * number;
  });
  const squares = [await square(7), await square(7), await square(8)];
  console.log('squares', JSON.stringify(squares), 'calls', JSON.stringify(calls));
  client.disconnect();
}

main();
