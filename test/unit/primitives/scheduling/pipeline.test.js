import { execFile } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Pipeline } from '../../../../lib/primitives/scheduling/pipeline.js';
import { collect, deferred, echo, ids, manual, settled } from '../../../support/pipeline.js';
import { until } from '../../../support/until.js';

describe('Pipeline batching, by a clock moved by hand', () => {
  test('arrivals at 0, 90, 180 and 270 ms make one batch of 4 at 370 ms', async () => {
    const { clock, calls, pipeline } = manual();
    for (const request of ids(1, 4)) {
      pipeline.submit(request);
      if (request.request_id !== 'r4') clock.advanceMs(90);
    }
    clock.advanceMs(99.999999);
    expect(calls).toEqual([]);
    clock.advanceMs(0.000001);
    expect(calls).toEqual([{ atMs: 370, ids: ['r1', 'r2', 'r3', 'r4'] }]);
    await pipeline.close();
  });

  test('eight arrivals 90 ms apart leave at 630 ms, on the eighth', async () => {
    const { clock, calls, pipeline } = manual();
    for (const request of ids(1, 8)) {
      if (request.request_id !== 'r1') clock.advanceMs(90);
      pipeline.submit(request);
    }
    expect(calls).toHaveLength(1);
    expect(calls[0].atMs).toBe(630);
    expect(calls[0].ids).toHaveLength(8);
    await pipeline.close();
  });

  test('17 at once become 8, 8, and 1 after 100 ms', async () => {
    const { clock, calls, pipeline } = manual();
    for (const request of ids(1, 17)) pipeline.submit(request);
    clock.advanceMs(1000);
    expect(calls.map((call) => [call.atMs, call.ids.length])).toEqual([
      [0, 8],
      [0, 8],
      [100, 1],
    ]);
    await pipeline.close();
  });

  test('close flushes the partial batch at once', async () => {
    const { calls, pipeline } = manual();
    for (const request of ids(1, 17)) pipeline.submit(request);
    const closing = pipeline.close();
    expect(calls.map((call) => [call.atMs, call.ids.length])).toEqual([
      [0, 8],
      [0, 8],
      [0, 1],
    ]);
    expect(pipeline.close()).toBe(closing);
    await closing;
    expect(await collect(pipeline)).toHaveLength(17);
  });

  test('maxWaitMs bounds the wait of the first request', async () => {
    const { clock, calls, pipeline } = manual({ maxWaitMs: 150 });
    pipeline.submit({});
    clock.advanceMs(90);
    pipeline.submit({});
    clock.advanceMs(90);
    expect(calls.map((call) => [call.atMs, call.ids.length])).toEqual([[150, 2]]);
    await pipeline.close();
  });

  test('a process that finishes later does not hold up the clock, and its slot is reused', async () => {
    const release = deferred();
    const { clock, calls, pipeline } = manual({
      maxBatchSize: 1,
      maxConcurrency: 1,
      process: (batch) => release.promise.then(() => echo(batch)),
    });
    pipeline.submit({ request_id: 'a' });
    pipeline.submit({ request_id: 'b' });
    clock.advanceMs(500);
    expect(calls.map((call) => call.ids)).toEqual([['a']]);
    release.resolve();
    await settled();
    expect(calls).toEqual([
      { atMs: 0, ids: ['a'] },
      { atMs: 500, ids: ['b'] },
    ]);
    await pipeline.close();
  });
});

describe('Pipeline limits and aborts', () => {
  test('a provider stalled for ever: accepted requests plateau, abort releases the next submit', async () => {
    const { clock, calls, pipeline } = manual({ process: () => new Promise(() => {}) });
    const held = 5 * 8 + 10 * 8 + 8 + 100;
    let accepted = 0;
    for (const request of ids(1, held + 5)) {
      pipeline.submit(request).then(
        () => accepted++,
        () => {},
      );
    }
    const leaving = new AbortController();
    const next = pipeline.submit({ request_id: 'next' }, { signal: leaving.signal });
    clock.advanceMs(3_600_000);
    await settled();
    expect(accepted).toBe(held);
    expect(calls).toHaveLength(5);
    expect(pipeline.stats()).toEqual({
      blocked: 0,
      resultsCapacity: 16384,
      waiting: 6,
      incoming: 100,
      batching: 8,
      processing: 80,
      processingBatches: 10,
      retrying: 0,
      inFlight: 5,
      running: 40,
      results: 0,
      accepted: held,
      completed: 0,
      failed: 0,
    });
    leaving.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    expect(pipeline.stats().waiting).toBe(5);
  });

  test('one signal for all: after the abort no waiting request is accepted', async () => {
    const { pipeline } = manual({
      maxBatchSize: 1,
      maxConcurrency: 1,
      processingCapacity: 1,
      incomingCapacity: 2,
      process: () => new Promise(() => {}),
    });
    const leaving = new AbortController();
    const submissions = ids(1, 20).map((request) =>
      pipeline.submit(request, { signal: leaving.signal }),
    );
    const outcomes = Promise.allSettled(submissions);
    const { accepted, waiting } = pipeline.stats();
    expect(accepted + waiting).toBe(20);
    expect(waiting).toBeGreaterThan(10);
    leaving.abort(new Error('enough'));
    const statuses = (await outcomes).map(({ status }) => status);
    expect(statuses.indexOf('rejected')).toBe(accepted);
    expect(statuses.lastIndexOf('fulfilled')).toBe(accepted - 1);
  });

  test('a request aborted in the queue is never sent; its 7 neighbours are', async () => {
    const gate = deferred();
    const { calls, pipeline } = manual({
      maxConcurrency: 1,
      process: (batch) => gate.promise.then(() => echo(batch)),
    });
    for (const request of ids(1, 8)) pipeline.submit(request);
    const leaving = new AbortController();
    const submitted = ids(9, 16).map((request) =>
      pipeline.submit(request, request.request_id === 'r12' ? { signal: leaving.signal } : {}),
    );
    await Promise.all(submitted);
    leaving.abort(new Error('no more'));
    expect(getEventListeners(leaving.signal, 'abort')).toHaveLength(0);
    gate.resolve();
    await pipeline.close();
    expect(calls[1].ids).toEqual(['r9', 'r10', 'r11', 'r13', 'r14', 'r15', 'r16']);
    const results = await collect(pipeline);
    expect(results).toHaveLength(16);
    expect(results.filter((r) => 'error' in r)).toEqual([
      { request_id: 'r12', error: leaving.signal.reason },
    ]);
  });

  test('the signal of a call aborts once all of its requests are aborted', async () => {
    let signal;
    const gate = deferred();
    const { clock, pipeline } = manual({
      process: (batch, context) => {
        ({ signal } = context);
        return gate.promise.then(() => echo(batch));
      },
    });
    const [first, second] = [new AbortController(), new AbortController()];
    pipeline.submit({ request_id: 'a' }, { signal: first.signal });
    pipeline.submit({ request_id: 'b' }, { signal: second.signal });
    clock.advanceMs(100);
    first.abort();
    expect(signal.aborted).toBe(false);
    second.abort();
    expect(signal.aborted).toBe(true);
    gate.resolve();
    await pipeline.close();
    // Requests in a call are not aborted: their answers count.
    expect(await collect(pipeline)).toEqual([
      { request_id: 'a', text: 'a' },
      { request_id: 'b', text: 'b' },
    ]);
  });

  test('an aborted signal refuses the request; a shared one collects no listeners', async () => {
    const { pipeline } = manual();
    const signal = AbortSignal.abort(new Error('gone'));
    await expect(pipeline.submit({}, { signal })).rejects.toThrow('gone');
    const shared = new AbortController();
    for (const request of ids(1, 50)) pipeline.submit(request, { signal: shared.signal });
    await pipeline.close();
    expect(getEventListeners(shared.signal, 'abort')).toHaveLength(0);
    expect(pipeline.stats()).toMatchObject({ accepted: 50, completed: 50, failed: 0 });
  });
});

describe('Pipeline close', () => {
  test('with producers blocked: every promise settles, results and errors equal accepted', async () => {
    let calls = 0;
    const { pipeline } = manual({
      process: async (batch) => {
        await settled();
        if (++calls % 3 === 0) throw new Error('third');
        return echo(batch);
      },
    });
    const submits = ids(1, 300).map((request) => pipeline.submit(request));
    const outcomes = Promise.allSettled(submits);
    const closing = pipeline.close();
    const all = await outcomes;
    const refused = all.filter((outcome) => outcome.status === 'rejected');
    expect(refused).toHaveLength(300 - 228);
    for (const { reason } of refused) expect(reason.code).toBe('ERR_PIPELINE_CLOSED');
    await closing;
    const results = await collect(pipeline);
    expect(results).toHaveLength(228);
    expect(results.filter((result) => 'error' in result).length).toBeGreaterThan(0);
    await expect(pipeline.submit({})).rejects.toMatchObject({ code: 'ERR_PIPELINE_CLOSED' });
    await pipeline.close();
  });

  test('an idle pipeline closes at once and its results end', async () => {
    const { pipeline } = manual();
    const reading = collect(pipeline);
    await pipeline.close();
    expect(await reading).toEqual([]);
  });
});

describe('Pipeline in real time', () => {
  test('20 requests 50 ms apart: all answered in fewer than 20 calls, clean shutdown', async () => {
    let calls = 0;
    // On a machine that is so busy that each of the pauses takes 100 ms, each request is a batch: such
    // a moment passes.
    for (let attempt = 1; attempt === 1 || (calls === 20 && attempt <= 10); attempt += 1) {
      calls = 0;
      const pipeline = new Pipeline({
        process: async (batch) => {
          calls += 1;
          return echo(batch);
        },
      });
      const reading = collect(pipeline);
      for (const request of ids(1, 20)) {
        await pipeline.submit(request);
        await sleep(50);
      }
      await pipeline.close();
      const results = await reading;
      expect(results.map((result) => result.text).sort()).toEqual(
        ids(1, 20)
          .map((request) => request.request_id)
          .sort(),
      );
    }
    expect(calls).toBeLessThan(20);
  });

  test('200 requests never run more than 5 calls at once', async () => {
    let running = 0;
    let most = 0;
    const pipeline = new Pipeline({
      process: async (batch) => {
        most = Math.max(most, ++running);
        await until(() => most >= 5, 'five calls at once');
        await sleep(5);
        running -= 1;
        return echo(batch);
      },
    });
    const reading = collect(pipeline);
    await Promise.all(ids(1, 200).map((request) => pipeline.submit(request)));
    await pipeline.close();
    expect(await reading).toHaveLength(200);
    expect(most).toBe(5);
  });

  test('aborts, failures and a close in the middle leave nothing unsettled', async () => {
    let calls = 0;
    const sent = new Set();
    const pipeline = new Pipeline({
      process: async (batch) => {
        for (const request of batch) sent.add(request.request_id);
        await sleep(1);
        if (++calls % 4 === 0) throw new Error('fourth');
        return echo(batch);
      },
      incomingCapacity: 10,
      processingCapacity: 1,
      retry: { attempts: 2, baseMs: 1 },
    });
    const reading = collect(pipeline);
    const submits = ids(1, 400).map((request, i) => {
      const leaving = new AbortController();
      if (i % 7 === 0) setTimeout(() => leaving.abort(), i / 10);
      return pipeline.submit(request, { signal: leaving.signal });
    });
    const outcomes = Promise.allSettled(submits);
    await sleep(20);
    await pipeline.close();
    const accepted = (await outcomes).filter((outcome) => outcome.status === 'fulfilled');
    const results = await reading;
    expect(results.map((result) => result.request_id).sort()).toEqual(
      accepted.map((outcome) => outcome.value.request_id).sort(),
    );
    for (const result of results) {
      if ('text' in result) expect(sent.has(result.request_id)).toBe(true);
    }
    expect(pipeline.stats()).toMatchObject({ waiting: 0, incoming: 0, inFlight: 0, running: 0 });
  });
});

describe('Pipeline and its process', () => {
  test('running work keeps the process alive, an idle pipeline does not', async () => {
    const module = new URL('../../../../lib/primitives/scheduling/pipeline.js', import.meta.url)
      .href;
    const script = `
      import { Pipeline } from ${JSON.stringify(module)};
      const pipeline = new Pipeline({ process: () => { console.log('called'); return ['']; } });
      await pipeline.submit({});`;
    const run = promisify(execFile);
    const args = ['--input-type=module', '--eval', script];
    const { stdout } = await run(process.execPath, args, { timeout: 60_000 });
    expect(stdout).toBe('called\n');
  });
});

describe('Pipeline options', () => {
  test.each([
    [{}, TypeError, /process/],
    [{ process: echo, maxBatchSize: 0 }, RangeError, /maxBatchSize/],
    [{ process: echo, maxBatchSize: '8' }, TypeError, /maxBatchSize/],
    [{ process: echo, maxConcurrency: 1.5 }, RangeError, /maxConcurrency/],
    [{ process: echo, idleFlushMs: -1 }, RangeError, /idleFlushMs/],
    [{ process: echo, maxWaitMs: NaN }, RangeError, /maxWaitMs/],
    [{ process: echo, incomingCapacity: 0 }, RangeError, /incomingCapacity/],
    [{ process: echo, processingCapacity: null }, TypeError, /processingCapacity/],
    [{ process: echo, resultsCapacity: 0 }, RangeError, /resultsCapacity/],
    [{ process: echo, clock: {} }, TypeError, /clock/],
    [{ process: echo, retry: { attempts: 0 } }, RangeError, /retry\.attempts/],
    [{ process: echo, retry: { isRetryable: true } }, TypeError, /retry\.isRetryable/],
  ])('%j is refused', (options, kind, message) => {
    expect(() => new Pipeline(options)).toThrow(kind);
    expect(() => new Pipeline(options)).toThrow(message);
  });

  test('requests and signals are checked', async () => {
    const { pipeline } = manual();
    await expect(pipeline.submit(7)).rejects.toThrow(/request/);
    await expect(pipeline.submit({}, { signal: 1 })).rejects.toThrow(/signal/);
    await pipeline.close();
  });
});
