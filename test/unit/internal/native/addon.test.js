/**
 * The addon in the life of a process: exit, worker threads, a missing binary.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const lib = new URL('../../../../lib/', import.meta.url);
const support = new URL('../../../support/', import.meta.url);

/** Runs an ES module in a separate process. */
function node(source, env = {}) {
  return run(process.execPath, ['--input-type=module', '-e', source], {
    env: { ...process.env, ...env },
  });
}

const busyHub = `
  const { JobHub } = await import('${lib}streams/hub.js');
  const { sharedReactor } = await import('${lib}internal/native/reactor.js');
  const { streamEvents } = await import('${lib}streams/event-iterator.js');
  const { hubOptions } = await import('${support}streams/hub-options.js');
  const hub = new JobHub({ ...hubOptions, reactors: [sharedReactor()] });
  const handle = hub.create({ jobId: 'job_a', onDisconnect: 'continue', disconnectGraceMs: 0,
    maxWallMs: 1e9 });
  (async () => { for await (const event of streamEvents(hub, { handle })); })().catch(() => {});
`;

test('an idle process exits by itself', async () => {
  const { stdout } = await node(`
    ${busyHub}
    hub.append(handle, 'a');
    hub.finish(handle, { type: 'complete', reason: 'stop' });
    console.log('done');
  `);
  expect(stdout).toBe('done\n');
});

test('a process may exit in the middle of everything', async () => {
  const { stdout } = await node(`
    ${busyHub}
    for (let i = 0; i < 1000; i += 1) hub.append(handle, 'token');
    console.log('leaving');
    process.exit(0);
  `);
  expect(stdout).toBe('leaving\n');
});

/** Tasks of a worker when it is terminated: each defines a function `work`. */
const busy = {
  'a hub': `
    ${busyHub}
    const work = () => hub.append(handle, 'token');
  `,
  buffers: `
    const { StreamBuffer } = await import('${lib}primitives/scheduling/stream-buffer.js');
    const settle = (...promises) => Promise.allSettled(promises);
    const work = () => {
      const buffer = new StreamBuffer({ capacity: 1 });
      const controller = new AbortController();
      settle(buffer.write('a'), buffer.write('b'), buffer.write('c', controller));
      settle(buffer.read(), buffer.read(controller), buffer.read(), buffer.read());
      controller.abort();
      buffer.close();
    };
  `,
  pipelines: `
    const { ManualClock } = await import('${lib}internal/time/clock.js');
    const { Pipeline } = await import('${lib}primitives/scheduling/pipeline.js');
    const process = () => { throw new Error('again'); };
    const retry = { attempts: 2, baseMs: 0 };
    const running = new Pipeline({ process, retry, idleFlushMs: 0 });
    const results = running.results();
    const settle = (...promises) => Promise.allSettled(promises);
    const work = () => {
      const controller = new AbortController();
      settle(running.submit({}), running.submit({}, controller), results.next(), results.next());
      controller.abort();
      running.stats();
      const clock = new ManualClock();
      const other = new Pipeline({ process, retry, clock });
      settle(other.submit({}));
      clock.advanceMs(100);
      settle(other.close());
    };
  `,
  caches: `
    const { LruTtlCache } = await import('${lib}primitives/cache/lru-ttl-cache.js');
    const cache = new LruTtlCache({ maxEntries: 100, ttlMs: 1, onEvict() {} });
    const settle = (...promises) => Promise.allSettled(promises);
    let n = 0;
    const work = () => {
      const controller = new AbortController();
      for (let i = 0; i < 50; i += 1) cache.set(n++, 'value', { size: i });
      settle(cache.fetch('a', () => 1), cache.fetch(n, () => new Promise(() => {}), controller));
      controller.abort();
      cache.get(n - 1);
      cache.delete(n - 1);
      cache.purgeStale();
      cache.stats();
      new LruTtlCache({ maxEntries: 1 }).set('a', [...cache]).clear();
    };
  `,
  limiters: `
    const { Quota } = await import('${lib}primitives/limiters/quota.js');
    const { TokenBucketLimiter } = await import('${lib}primitives/limiters/token-bucket-limiter.js');
    const limits = { tokens: { limit: 1e6, windowMs: 1000 }, jobs: { concurrent: 1e6 } };
    const quota = new Quota({ limits });
    let n = 0;
    const work = () => {
      const limiter = new TokenBucketLimiter({ capacity: 1, refillPerSecond: 1, maxKeys: 10 });
      for (let i = 0; i < 50; i += 1) limiter.allow('key' + i);
      const key = 'key' + (n++ % 100);
      quota.setLimit('tokens', { limit: 1e6 + n }, { key });
      const lease = quota.reserve({ tokens: 5, jobs: 1 }, { key });
      lease.renew();
      lease.settle({ tokens: 1 });
      quota.reserve({ jobs: 1 }).release();
      quota.openLeases;
    };
  `,
  ledgers: `
    const { Ledger } = await import('${lib}primitives/ledger/ledger.js');
    const ledger = new Ledger();
    for (const account of ['a', 'b']) ledger.open({ account, overdraft: true });
    let n = 0;
    const key = () => 'key' + n++;
    const work = () => {
      const amount = 2n ** 60n;
      ledger.transfer({ key: key(), from: 'a', to: 'b', amount });
      const { event } = ledger.transfer({ key: key(), from: 'b', to: 'a', amount });
      const { hold } = ledger.hold({ key: key(), account: 'a', amount: 5n, timeoutMs: 1 });
      try {
        ledger.settle({ key: key(), hold, amount: 6n });
      } catch {}
      ledger.schedule({ key: key(), atMs: event.atMs + 1, from: 'a', to: 'b', amount: 1n });
      Ledger.replay(ledger.events({ limit: 50 }));
      ledger.balance('a');
    };
  `,
  'key-value stores': `
    const { KvStore } = await import('${lib}primitives/kv/kv-store.js');
    const store = new KvStore();
    const settle = (...promises) => Promise.allSettled(promises);
    let n = 0;
    const work = () => {
      for (let i = 0; i < 50; i += 1) store.set('key' + (n++ % 500), { n }, { ttlMs: i });
      const snapshot = store.snapshot();
      settle(store.transaction((tx) => {
        tx.set('a', tx.scan({ limit: 10 }).items.length);
        tx.get('b');
        tx.delete('key1');
      }));
      store.compareAndSet('c', 0, Buffer.from('bytes'));
      store.delete('c');
      snapshot.scan();
      if (n % 3 === 0) snapshot.release();
      store.stats();
    };
  `,
  'fed calls': `
    const { JobHub } = await import('${lib}streams/hub.js');
    const { sharedReactor } = await import('${lib}internal/native/reactor.js');
    const { hubOptions } = await import('${support}streams/hub-options.js');
    const hub = new JobHub({ ...hubOptions, reactors: [sharedReactor()], retentionMs: 0 });
    const bytes = new TextEncoder().encode(
      'data: {"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{}}\\n\\n');
    const job = { onDisconnect: 'continue', disconnectGraceMs: 0, maxWallMs: 1e6, jobId: 'j' };
    const work = () => {
      const handle = hub.create(job);
      hub.start(handle);
      hub.relayFed({ idleMs: 1e6, jobs: [handle] }, (fed) => {
        fed.head({ status: 200, contentType: 'text/event-stream' });
        fed.bytes(bytes);
        fed.end('whole');
      });
    };
  `,
};

test.each(Object.keys(busy))('a worker busy with %s may be terminated', async (task) => {
  for (let round = 0; round < 10; round += 1) {
    const worker = new Worker(
      `(async () => {
        ${busy[task]}
        const { parentPort } = await import('node:worker_threads');
        parentPort.postMessage('ready');
        for (;;) {
          for (let i = 0; i < 20; i += 1) work();
          await new Promise(setImmediate);
        }
      })();`,
      { eval: true },
    );
    await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    await new Promise((resolve) => setTimeout(resolve, round));
    expect(await worker.terminate()).toBe(1);
  }
});

test('the values of an unreferenced cache are collected, while its loads run', async () => {
  const { stdout } = await node(`
    const { setFlagsFromString } = await import('node:v8');
    const { runInNewContext } = await import('node:vm');
    const { LruTtlCache } = await import('${lib}primitives/cache/lru-ttl-cache.js');
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc');
    let collected = 0;
    const registry = new FinalizationRegistry(() => { collected += 1; });
    for (let i = 0; i < 100; i += 1) {
      const cache = new LruTtlCache({ maxEntries: 10, loadTimeoutMs: Infinity, onEvict() {} });
      for (let k = 0; k < 20; k += 1) cache.set(k, new Array(1000));
      cache.get(15);
      cache.fetch('x', () => new Promise(() => {}));
      registry.register(cache, i);
    }
    for (let i = 0; i < 1000 && collected < 99; i += 1) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    console.log(collected);
  `);
  // The last one may still be on the stack.
  expect(Number(stdout)).toBeGreaterThanOrEqual(99);
});

test('an unreachable snapshot frees its memory, an unreachable store its timer', async () => {
  const { stdout } = await node(`
    const { setFlagsFromString } = await import('node:v8');
    const { runInNewContext } = await import('node:vm');
    const { KvStore } = await import('${lib}primitives/kv/kv-store.js');
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc');
    const store = new KvStore();
    for (let i = 0; i < 100; i += 1) {
      store.set('k', 'x'.repeat(999));
      store.snapshot().get('k');
      await store.transaction((tx) => { tx.get('k'); });
    }
    const before = store.stats();
    let stores = 0;
    const registry = new FinalizationRegistry(() => { stores += 1; });
    for (let i = 0; i < 100; i += 1) {
      const other = new KvStore();
      other.set('k', i, { ttlMs: 3_600_000 });
      registry.register(other, i);
    }
    for (let i = 0; i < 1000 && (store.stats().snapshots > 1 || stores < 99); i += 1) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    console.log(before.pinnedBytes, before.snapshots, store.stats().snapshots < 2, stores >= 99);
  `);
  // No timer waits for the remaining hour of the other keys.
  expect(stdout).toBe('99000 100 true true\n');
});

test("an exception of a cache's onRemove is uncaught, and affects no call", async () => {
  const { stdout } = await node(`
    const { LruTtlCache } = await import('${lib}primitives/cache/lru-ttl-cache.js');
    process.on('uncaughtException', (error) => console.log('uncaught', error.message));
    const cache = new LruTtlCache({ maxEntries: 2, onEvict(key) { throw new Error(key); } });
    cache.set('a', 1).set('b', 2).set('c', 3).clear();
    console.log('size', cache.size);
    console.log('fetched', await cache.fetch('d', () => 4));
  `);
  expect(stdout).toBe('size 0\nuncaught a\nuncaught b\nuncaught c\nfetched 4\n');
});

test('a missing addon is an error with the tried paths and the remedy', async () => {
  const source = `
    await import('${lib}internal/native/addon.js').catch((error) => console.log(error.code, error.message));
  `;
  const path = '/nonexistent/sluice.node';
  const { stdout } = await node(source, { SLUICE_ADDON_PATH: path });
  expect(stdout).toContain('ERR_ADDON_NOT_FOUND');
  expect(stdout).toContain(path);
  expect(stdout).toContain(`${process.platform}-${process.arch}`);
  expect(stdout).toContain('npx sluice build');
});

test('a file that is not an addon is named with the loader’s reason', async () => {
  const path = fileURLToPath(import.meta.url);
  const { stdout } = await node(
    `await import('${lib}internal/native/addon.js').catch((error) => console.log(error.code, error.message));`,
    { SLUICE_ADDON_PATH: path },
  );
  expect(stdout).toMatch(/^ERR_ADDON_NOT_FOUND .*The first that exists failed: /);
});

test('an addon of another version is an error that names the missing part and the fix', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-'));
  try {
    const path = join(folder, 'stale.cjs');
    const built = JSON.stringify(
      process.env.SLUICE_ADDON_PATH ?? fileURLToPath(new URL('../build/Release/sluice.node', lib)),
    );
    await writeFile(
      path,
      `const { enums, ...rest } = require(${built});
      const { JOB_PURGED, ...others } = enums.EventKind;
      module.exports = { ...rest, enums: { ...enums, EventKind: others } };`,
    );
    const { stdout } = await node(
      `await import('${lib}streams/hub.js').catch((error) => console.log(error.code, error.message));`,
      { SLUICE_ADDON_PATH: path },
    );
    expect(stdout).toMatch(/^ERR_ADDON_STALE .*no enums\.EventKind\.JOB_PURGED\..*npm run build/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
