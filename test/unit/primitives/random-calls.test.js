/** The building blocks under calls with any arguments: no strange error, no lost promise, no bad state. */
import {
  FixedWindowLimiter,
  LruTtlCache,
  ManualClock,
  Pipeline,
  Quota,
  RollingWindow,
  SlidingWindowLimiter,
  StreamBuffer,
  TaskGraph,
  TokenBucketLimiter,
} from '../../../lib/index.js';
import { settled } from '../../support/pipeline.js';
import { randomRounds as rounds } from '../../support/random-calls.js';

const CALLS = 60;

const CONSTRUCTORS = {
  FixedWindowLimiter: [FixedWindowLimiter, ['limit', 'windowMs', 'maxKeys', 'maxWaiting', 'clock']],
  LruTtlCache: [
    LruTtlCache,
    ['maxEntries', 'maxBytes', 'ttlMs', 'staleOnErrorMs', 'loadTimeoutMs', 'onEvict', 'clock'],
  ],
  ManualClock: [ManualClock, []],
  Pipeline: [Pipeline, ['process', 'maxBatchSize', 'idleFlushMs', 'resultsCapacity', 'retry']],
  Quota: [Quota, ['limits', 'leaseMs', 'maxKeys', 'maxLeases', 'clock']],
  RollingWindow: [RollingWindow, ['windowMs', 'maxEntries']],
  SlidingWindowLimiter: [SlidingWindowLimiter, ['limit', 'windowMs', 'variant', 'maxKeys']],
  StreamBuffer: [StreamBuffer, ['capacity']],
  TaskGraph: [TaskGraph, ['clock']],
  TokenBucketLimiter: [TokenBucketLimiter, ['capacity', 'refillPerSecond', 'maxKeys', 'clock']],
};

test.each(Object.entries(CONSTRUCTORS))('new %s(anything)', async (name, [Class, options]) => {
  await rounds((choose, calls) => {
    for (let i = 0; i < CALLS; i += 1) {
      calls.make(`new ${name}`, () => new Class(choose.anything(options)));
    }
  });
});

const LIMITERS = {
  TokenBucketLimiter: (clock) =>
    new TokenBucketLimiter({ capacity: 3, refillPerSecond: 2, maxKeys: 4, clock }),
  FixedWindowLimiter: (clock) =>
    new FixedWindowLimiter({ limit: 3, windowMs: 700, maxKeys: 4, clock }),
  'SlidingWindowLimiter, log': (clock) =>
    new SlidingWindowLimiter({ limit: 3, windowMs: 700, maxKeys: 4, clock }),
  'SlidingWindowLimiter, counter': (clock) =>
    new SlidingWindowLimiter({ limit: 3, windowMs: 700, maxKeys: 4, variant: 'counter', clock }),
};

test.each(Object.entries(LIMITERS))('%s', async (_name, make) => {
  await rounds(async (choose, calls) => {
    const clock = new ManualClock();
    const limiter = make(clock);
    const key = () => choose.oneOf(['a', 'b', 'c', 'd', 'e', choose.anything()]);
    const options = (names) =>
      choose.oneOf([undefined, { cost: choose.below(4) }, choose.anything(names)]);
    for (let i = 0; i < CALLS; i += 1) {
      const call = choose.below(4);
      if (call === 0) {
        calls.make('acquire', () => limiter.acquire(key(), options(['cost', 'signal'])));
      }
      if (call === 1) calls.make('reset', () => limiter.reset(key(), choose.anything(['now'])));
      if (call === 2) clock.advanceMs(choose.random() * 500);
      if (call === 3) {
        const result = calls.make('allow', () => limiter.allow(key(), options(['cost', 'now'])));
        if (result === undefined) continue;
        expect(result.limit).toBe(3);
        expect(result.remaining).toBeGreaterThanOrEqual(0);
        expect(result.remaining).toBeLessThanOrEqual(3);
        expect(result.allowed).toBe(result.retryAfter === 0);
      }
      expect(limiter.size).toBeLessThanOrEqual(4);
    }
    for (let i = 0; i < 1000 && limiter.waiting > 0; i += 1) {
      clock.advanceMs(1000);
      await settled();
    }
    expect(limiter.waiting).toBe(0);
  });
});

test('Quota', async () => {
  await rounds((choose, calls) => {
    const clock = new ManualClock();
    const limits = { tokens: { limit: 100, windowMs: 1000 }, jobs: { concurrent: 3 } };
    const quota = new Quota({ limits, leaseMs: 5000, maxLeases: 5, clock });
    const leases = [];
    const costs = () =>
      choose.oneOf([
        { tokens: choose.below(150), jobs: choose.below(3) },
        [{ dimension: 'tokens', key: 'x', cost: choose.below(50) }, { dimension: 'jobs' }],
        choose.anything(['tokens', 'jobs']),
      ]);
    for (let i = 0; i < CALLS; i += 1) {
      const lease = choose.oneOf(leases);
      const options = choose.oneOf([
        undefined,
        { key: 'k' },
        choose.anything(['key', 'now', 'leaseMs']),
      ]);
      const call = choose.below(6);
      if (call === 0) clock.advanceMs(choose.random() * 2000);
      if (call === 1) calls.make('settle', () => lease?.settle(costs(), options));
      if (call === 2) calls.make('release', () => lease?.release(options));
      if (call === 3) calls.make('renew', () => lease?.renew(options));
      if (call === 4) {
        const limit = choose.oneOf([null, { limit: 5 }, choose.anything(['limit', 'windowMs'])]);
        const name = choose.oneOf(['tokens', 'jobs', choose.anything()]);
        calls.make('setLimit', () => quota.setLimit(name, limit, options));
      }
      if (call === 5) {
        const made = calls.make('reserve', () => quota.reserve(costs(), options));
        if (made === undefined) continue;
        leases.push(made);
        expect(made.allowed).toBe(made.id !== null);
        expect(made.allowed).toBe(made.failed.length === 0);
      }
      expect(quota.openLeases).toBeLessThanOrEqual(5);
    }
    for (const lease of leases) lease.release();
    clock.advanceMs(366 * 24 * 3600 * 1000);
    expect(quota.openLeases).toBe(0);
  });
});

test('RollingWindow counts as a plain list does', async () => {
  await rounds((choose, calls) => {
    const window = new RollingWindow({ windowMs: 100 });
    let events = [];
    for (let i = 0; i < CALLS; i += 1) {
      const timestampMs = choose.oneOf([i * 5, i * 5 - choose.below(300), choose.anything()]);
      const value = choose.oneOf([undefined, 2, choose.anything()]);
      if (calls.make('add', () => window.add(timestampMs, value))) {
        events.push({ timestampMs, value: value ?? 1 });
      }
      calls.make('count', () => window.count(choose.anything()));
      calls.make('sum', () => window.sum(choose.anything()));
      if (events.length === 0) continue;
      const newest = Math.max(...events.map((event) => event.timestampMs));
      events = events.filter((event) => event.timestampMs > newest - 100);
      expect(window.count()).toBe(events.length);
      const sum = events.reduce((total, event) => total + event.value, 0);
      const scale = events.reduce((total, event) => total + Math.abs(event.value), 0);
      expect(Math.abs(window.sum() - sum)).toBeLessThanOrEqual(1e-12 * scale);
    }
  });
});

test('StreamBuffer hands on every chunk that it took, once', async () => {
  await rounds(async (choose, calls) => {
    const buffer = new StreamBuffer({ capacity: 1 + choose.below(4) });
    let written = 0;
    let read = 0;
    const controllers = [];
    const options = () => {
      if (choose.random() < 0.2) return choose.anything(['signal']);
      const controller = new AbortController();
      controllers.push(controller);
      return { signal: controller.signal };
    };
    const note = (step) => {
      if (step?.isFinal === false) read += 1;
    };
    for (let i = 0; i < CALLS; i += 1) {
      const chunk = choose.oneOf(['a', { text: 'b' }, choose.anything(['text'])]);
      const call = choose.below(7);
      if (call === 0) {
        calls.make('write', () => buffer.write(chunk, options()).then(() => (written += 1)));
      }
      if (call === 1 && calls.make('tryWrite', () => buffer.tryWrite(chunk))) written += 1;
      if (call === 2) calls.make('read', () => buffer.read(options()).then(note));
      if (call === 3) note(calls.make('tryRead', () => buffer.tryRead()));
      if (call === 4) choose.oneOf(controllers)?.abort(new Error('left'));
      if (call === 5) {
        const stream = calls.make('stream', () => buffer.stream(options()));
        const count = ({ done }) => (read += done ? 0 : 1);
        if (stream) calls.make('next', () => stream.next().then(count));
        if (choose.random() < 0.5) calls.make('return', () => stream?.return());
      }
      if (call === 6) await settled();
      expect(buffer.size).toBeLessThanOrEqual(buffer.capacity);
    }
    const error = choose.oneOf([undefined, new Error('left')]);
    buffer.close(error);
    await calls.settled();
    const drain = async () => {
      for await (const text of buffer) read += typeof text === 'string' ? 1 : 0;
    };
    if (error === undefined) await drain();
    else await expect(drain()).rejects.toBe(error);
    expect(read).toBe(written);
  });
});

test('Pipeline settles every request, with a result for each submitted one', async () => {
  await rounds(async (choose, calls) => {
    const clock = new ManualClock();
    const pipeline = new Pipeline({
      clock,
      maxBatchSize: 1 + choose.below(4),
      maxConcurrency: 1 + choose.below(2),
      incomingCapacity: 3,
      processingCapacity: 2,
      retry: { attempts: 2, baseMs: 10 },
      process: async (batch) => {
        if (choose.random() < 0.1) throw new Error('left');
        if (choose.random() < 0.1) return choose.anything();
        return batch.map(() =>
          choose.oneOf(['text', { text: 'x' }, new Error('left'), choose.anything()]),
        );
      },
    });
    let submitted = 0;
    const controllers = [];
    for (let i = 0; i < CALLS; i += 1) {
      const request = choose.oneOf(['text', { request_id: i }, choose.anything(['request_id'])]);
      const controller = new AbortController();
      controllers.push(controller);
      const options = choose.oneOf([
        undefined,
        controller,
        choose.anything(['signal', 'onAccepted']),
      ]);
      const call = choose.below(5);
      if (call === 0) calls.make('run', () => pipeline.run(request, options));
      if (call === 1) {
        calls.make('submit', () => pipeline.submit(request, options).then(() => (submitted += 1)));
      }
      if (call === 2) choose.oneOf(controllers).abort(new Error('left'));
      if (call === 3) clock.advanceMs(choose.random() * 200);
      if (call === 4) await settled();
    }
    let closed = false;
    const closing = pipeline.close().then(() => (closed = true));
    let results = 0;
    const reading = (async () => {
      for await (const result of pipeline.results()) results += 'request_id' in result ? 1 : 0;
    })();
    for (let i = 0; i < 1000 && !closed; i += 1) {
      clock.advanceMs(100);
      await settled();
    }
    await Promise.all([closing, reading, calls.settled()]);
    const stats = pipeline.stats();
    expect(stats.completed + stats.failed).toBe(stats.accepted);
    expect(stats).toMatchObject({ waiting: 0, incoming: 0, running: 0, inFlight: 0, blocked: 0 });
    // An `onAccepted` that throws rejects `submit`, but the request was accepted.
    expect(results).toBeGreaterThanOrEqual(submitted);
    expect(results).toBeLessThanOrEqual(stats.accepted);
  });
});

test('TaskGraph brings every task to one ending', async () => {
  await rounds(async (choose, calls) => {
    const clock = new ManualClock();
    const graph = new TaskGraph({ clock });
    let tasks = 0;
    for (let i = 0; i < 20; i += 1) {
      const after = Array.from(
        { length: choose.below(3) },
        () => `t${choose.below(Math.max(tasks, 1))}`,
      );
      const wild = choose.random() < 0.3;
      const options = wild
        ? {
            after: choose.anything(),
            ...choose.anything(['run', 'retry', 'timeoutMs', 'onFailure']),
          }
        : {
            after: tasks === 0 ? [] : after,
            run: choose.oneOf([
              () => i,
              async () => i,
              () => Promise.reject(new Error('left')),
              () => new Promise(() => {}),
            ]),
            timeoutMs: 50,
            retry: { attempts: 1 + choose.below(3), baseMs: 5 },
            onFailure: choose.oneOf(['fail', 'continue', undefined]),
          };
      // Invalid tasks under separate ids, so that the remaining graph can run.
      if (wild) calls.make('add', () => new TaskGraph({ clock }).add(`t${tasks}`, options));
      else if (calls.make('add', () => graph.add(`t${tasks}`, options))) tasks += 1;
    }
    calls.make('run', () => graph.run(choose.anything(['concurrency', 'signal', 'onEvent'])));
    const throwOnFailure = choose.random() < 0.3;
    const endings = new Map();
    let done = false;
    const run = (async () => {
      for await (const { type, id } of graph.run({
        concurrency: 1 + choose.below(4),
        throwOnFailure,
      })) {
        if (type === 'started' || type === 'retry') continue;
        expect(endings.has(id)).toBe(false);
        endings.set(id, type);
      }
      return 'over';
    })()
      .catch((error) => error)
      .finally(() => (done = true));
    for (let i = 0; i < 2000 && !done; i += 1) {
      await settled();
      clock.advanceMs(7);
    }
    const outcome = await run;
    if (outcome === 'over') expect(endings.size).toBe(tasks);
    else expect(throwOnFailure && [...endings.values()].includes('failed')).toBe(true);
  });
});

test('LruTtlCache keeps within its bounds, and reports every value that goes once', async () => {
  await rounds(async (choose, calls) => {
    const clock = new ManualClock();
    let stored = 0;
    let gone = 0;
    const cache = new LruTtlCache({
      clock,
      maxEntries: 4,
      maxBytes: 100,
      ttlMs: 100,
      staleWhileRevalidateMs: choose.oneOf([0, 50]),
      staleOnErrorMs: choose.oneOf([0, 80]),
      loadTimeoutMs: 300,
      onEvict: (_key, value) => (gone += typeof value?.id === 'number' ? 1 : 0),
    });
    const key = () => choose.oneOf(['a', 'b', 'c', 'd', 'e', choose.anything()]);
    const value = () => ({ id: (stored += 1) });
    const names = ['ttlMs', 'size', 'staleOnErrorMs', 'staleWhileRevalidateMs'];
    const load = () => {
      const kind = choose.below(4);
      if (kind === 0) throw new Error('left');
      if (kind === 1) return new Promise(() => {});
      return kind === 2 ? 'text' : Promise.resolve('later');
    };
    for (let i = 0; i < CALLS; i += 1) {
      const call = choose.below(9);
      const options = choose.oneOf([{ size: choose.below(60) }, choose.anything(names)]);
      if (call === 0) {
        const before = stored;
        const made = calls.make('set', () => cache.set(key(), value(), options));
        if (made === undefined) gone += stored - before;
      }
      if (call === 1) {
        const loader = choose.random() < 0.8 ? load : choose.anything();
        const signal = choose.oneOf([undefined, new AbortController().signal, choose.anything()]);
        calls.make('fetch', () => cache.fetch(key(), loader, { size: 1, signal }));
      }
      if (call === 2) calls.make('get', () => cache.get(key()));
      if (call === 3) calls.make('peek', () => [cache.peek(key()), cache.has(key())]);
      if (call === 4) calls.make('delete', () => cache.delete(key()));
      if (call === 5) clock.advanceMs(choose.random() * 60);
      if (call === 6) calls.make('purgeStale', () => cache.purgeStale());
      if (call === 7) expect(cache.getRemainingTTL(key())).toBeGreaterThanOrEqual(0);
      if (call === 8) await settled();
      expect(cache.size).toBeLessThanOrEqual(4);
      expect(cache.bytes).toBeLessThanOrEqual(100);
      expect([...cache].length).toBeLessThanOrEqual(cache.size);
    }
    clock.advanceMs(1000);
    await calls.settled();
    cache.clear();
    expect(gone).toBe(stored);
    expect([cache.size, cache.bytes]).toEqual([0, 0]);
  });
});

test('ManualClock never goes back', async () => {
  await rounds((choose, calls) => {
    const clock = new ManualClock();
    let beforeNs = clock.nowNs();
    for (let i = 0; i < CALLS; i += 1) {
      calls.make('advanceMs', () => clock.advanceMs(choose.anything()));
      expect(clock.nowNs()).toBeGreaterThanOrEqual(beforeNs);
      beforeNs = clock.nowNs();
    }
  });
});
