// BullMQ, all of whose work is done by Lua scripts, against the server at
// argv[2], password argv[3].
'use strict';
const { Queue, QueueEvents, Worker, FlowProducer } = require('bullmq');
const { assert, run } = require('./check.cjs');

const connection = {
  host: '127.0.0.1',
  port: Number(process.argv[2]),
  password: process.argv[3],
  maxRetriesPerRequest: null,
};

// A queue, its events and what else the body opens are closed at the end.
async function withQueue(name, body) {
  const queue = new Queue(name, { connection });
  const events = new QueueEvents(name, { connection });
  const workers = [];
  const work = (processor, options) => {
    const worker = new Worker(name, processor, { connection, ...options });
    workers.push(worker);
    return worker;
  };
  try {
    await events.waitUntilReady();
    await body(queue, events, work);
  } finally {
    await Promise.all(workers.map((worker) => worker.close()));
    await events.close();
    await queue.obliterate({ force: true });
    await queue.close();
  }
}

// Each check's worker adds a listener to the class Queue.
require('node:events').defaultMaxListeners = 50;

run({
  'jobs are done, each once': () =>
    withQueue('plain', async (queue, events, work) => {
      const seen = new Map();
      work(async (job) => {
        seen.set(job.id, (seen.get(job.id) || 0) + 1);
        return job.data.n * 2;
      }, { concurrency: 8 });
      work(async (job) => {
        seen.set(job.id, (seen.get(job.id) || 0) + 1);
        return job.data.n * 2;
      }, { concurrency: 8 });
      const jobs = await queue.addBulk(Array.from({ length: 200 },
        (_, n) => ({ name: 'double', data: { n } })));
      const results = await Promise.all(
        jobs.map((job) => job.waitUntilFinished(events)));
      assert.deepStrictEqual(results, jobs.map((job) => job.data.n * 2));
      assert.strictEqual(seen.size, 200);
      assert.ok([...seen.values()].every((count) => count === 1));
      assert.strictEqual(await queue.getCompletedCount(), 200);
    }),

  'failures are tried again, with a delay': () =>
    withQueue('retry', async (queue, events, work) => {
      const attempts = [];
      work(async (job) => {
        attempts.push(job.attemptsMade);
        if (attempts.length < 3) {
          throw new Error('not yet');
        }
        return 'done';
      });
      const job = await queue.add('flaky', {}, {
        attempts: 5, backoff: { type: 'fixed', delay: 30 } });
      assert.strictEqual(await job.waitUntilFinished(events), 'done');
      assert.deepStrictEqual(attempts, [0, 1, 2]);
      const hopeless = await queue.add('hopeless', {}, { attempts: 1 });
      attempts.length = 0;
      await assert.rejects(hopeless.waitUntilFinished(events), /not yet/);
      assert.strictEqual(await queue.getFailedCount(), 1);
      const [failed] = await queue.getFailed();
      assert.strictEqual(failed.failedReason, 'not yet');
    }),

  'delayed jobs come after their delay': () =>
    withQueue('delayed', async (queue, events, work) => {
      work(async () => Date.now());
      const begin = Date.now();
      const job = await queue.add('later', {}, { delay: 300 });
      assert.strictEqual(await queue.getDelayedCount(), 1);
      assert.ok(await job.waitUntilFinished(events) - begin >= 299);
    }),

  'priorities': () => withQueue('priority', async (queue, events, work) => {
    for (const priority of [5, 1, 3, 4, 2]) {
      await queue.add('p', { priority }, { priority });
    }
    const order = [];
    const worker = work(async (job) => { order.push(job.data.priority); });
    await new Promise((resolve) => worker.on('drained', resolve));
    assert.deepStrictEqual(order, [1, 2, 3, 4, 5]);
  }),

  'pause and resume': () => withQueue('pause', async (queue, events, work) => {
    await queue.pause();
    const job = await queue.add('held', {});
    work(async () => 'went');
    assert.strictEqual(await queue.isPaused(), true);
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.notStrictEqual(await job.getState(), 'completed');
    await queue.resume();
    assert.strictEqual(await job.waitUntilFinished(events), 'went');
  }),

  'rate limit': () => withQueue('limited', async (queue, events, work) => {
    const jobs = await queue.addBulk(Array.from({ length: 6 },
      () => ({ name: 'r', data: {} })));
    const begin = Date.now();
    work(async () => 1, { limiter: { max: 2, duration: 250 } });
    await Promise.all(jobs.map((job) => job.waitUntilFinished(events)));
    assert.ok(Date.now() - begin >= 490, 'three groups of two');
  }),

  'a repeated job': () => withQueue('repeat', async (queue, events, work) => {
    let count = 0;
    const thrice = new Promise((resolve) => {
      work(async () => { if (++count === 3) { resolve(); } });
    });
    await queue.upsertJobScheduler('tick', { every: 100 }, { name: 't' });
    await thrice;
    assert.strictEqual(await queue.removeJobScheduler('tick'), true);
  }),

  'a parent waits for its children': () =>
    withQueue('flow', async (queue, events, work) => {
      const flow = new FlowProducer({ connection });
      const order = [];
      work(async (job) => {
        order.push(job.name);
        return job.name === 'parent'
          ? Object.values(await job.getChildrenValues()).sort() : job.data.n;
      }, { concurrency: 4 });
      const tree = await flow.add({ name: 'parent', queueName: 'flow',
        children: [1, 2, 3].map((n) => (
          { name: 'child', data: { n }, queueName: 'flow' })) });
      assert.deepStrictEqual(
        await tree.job.waitUntilFinished(events), [1, 2, 3]);
      assert.strictEqual(order.at(-1), 'parent');
      await flow.close();
    }),

  'progress, logs and removal': () =>
    withQueue('progress', async (queue, events, work) => {
      const progress = [];
      events.on('progress', ({ data }) => progress.push(data));
      work(async (job) => {
        await job.updateProgress(40);
        await job.log('half way');
        await job.updateProgress(100);
      });
      const job = await queue.add('long', {});
      await job.waitUntilFinished(events);
      assert.deepStrictEqual(progress, [40, 100]);
      assert.deepStrictEqual((await queue.getJobLogs(job.id)).logs,
        ['half way']);
      await job.remove();
      assert.strictEqual(await queue.getJob(job.id), undefined);
    }),

  'what a lost worker held is done by another': () =>
    withQueue('stalled', async (queue, events, work) => {
      const job = await queue.add('s', {});
      const lost = work(null, { lockDuration: 300 });
      const held = await lost.getNextJob('token');
      assert.strictEqual(held.id, job.id);
      await lost.close();
      work(async () => 'rescued', { stalledInterval: 200 });
      assert.strictEqual(await job.waitUntilFinished(events), 'rescued');
    }),
});
