import { getEventListeners } from 'node:events';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { ManualClock } from '../../lib/clock.js';
import { Pipeline } from '../../lib/pipeline.js';

/** Lets every promise that is ready run its course. */
const settled = () => turn();

function deferred() {
  const out = {};
  out.promise = new Promise((resolve, reject) => Object.assign(out, { resolve, reject }));
  return out;
}

const echo = (batch) => batch.map((request) => request.text ?? request.request_id);

/** A pipeline under a manual clock, and what its calls of `process` saw. */
function manual(options = {}) {
  const clock = new ManualClock();
  const calls = [];
  const process = options.process ?? echo;
  const pipeline = new Pipeline({
    ...options,
    clock,
    process(batch, context) {
      calls.push({ atMs: clock.nowMs(), ids: batch.map((request) => request.request_id) });
      return process(batch, context);
    },
  });
  return { clock, calls, pipeline };
}

async function collect(pipeline) {
  const results = [];
  for await (const result of pipeline.results()) results.push(result);
  return results;
}

const ids = (first, last) =>
  Array.from({ length: last - first + 1 }, (_, i) => ({ request_id: `r${first + i}` }));

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

  test('17 at once give 8, 8, and 1 after 100 ms', async () => {
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

describe('Pipeline results', () => {
  test('strings and objects, in the batch order, with the request ids', async () => {
    const { pipeline } = manual({
      process: () => ['one', { text: 'two', tokens: 7 }, new Error('three')],
    });
    for (const request_id of ['a', 5, undefined]) pipeline.submit({ request_id });
    await pipeline.close();
    const results = await collect(pipeline);
    expect(results.slice(0, 2)).toEqual([
      { request_id: 'a', text: 'one' },
      { request_id: 5, text: 'two', tokens: 7 },
    ]);
    expect(typeof results[2].request_id).toBe('string');
    expect(results[2].error.message).toBe('three');
  });

  test('a request without an id gets a unique one, which process sees', async () => {
    const seen = [];
    const { pipeline } = manual({
      process: (batch) => {
        seen.push(...batch);
        return echo(batch);
      },
    });
    const request = Object.freeze({ text: 'hello' });
    const first = pipeline.submit(request);
    const second = pipeline.submit(request);
    const own = new (class Own {
      text = 'mine';
    })();
    const third = pipeline.submit(own);
    await pipeline.close();
    expect(seen[0]).toEqual({ text: 'hello', request_id: (await first).request_id });
    expect(seen[1].request_id).toBe((await second).request_id);
    expect(new Set(seen.slice(0, 2).map((r) => r.request_id)).size).toBe(2);
    expect(seen[2]).toBe(own);
    expect((await collect(pipeline))[2].request_id).toBe((await third).request_id);
  });

  test('an async iterable settles requests one by one, in its own order', async () => {
    const gate = deferred();
    const { pipeline } = manual({
      async *process(batch) {
        yield { request_id: batch[2].request_id, text: 'last' };
        yield { request_id: batch[0].request_id, error: new Error('no') };
        await gate.promise;
        yield { request_id: batch[1].request_id, text: 'mid' };
      },
      maxBatchSize: 3,
    });
    const results = pipeline.results();
    for (const request of ids(1, 3)) pipeline.submit(request);
    expect((await results.next()).value).toEqual({ request_id: 'r3', text: 'last' });
    expect((await results.next()).value).toMatchObject({
      request_id: 'r1',
      error: { message: 'no' },
    });
    gate.resolve();
    expect((await results.next()).value).toEqual({ request_id: 'r2', text: 'mid' });
    await pipeline.close();
    expect(await results.next()).toEqual({ done: true, value: undefined });
  });

  test('equal ids in one batch settle in order', async () => {
    const { pipeline } = manual({
      async *process() {
        yield { request_id: 'x', text: '1' };
        yield { request_id: 'x', text: '2' };
      },
    });
    pipeline.submit({ request_id: 'x' });
    pipeline.submit({ request_id: 'x' });
    await pipeline.close();
    expect((await collect(pipeline)).map((result) => result.text)).toEqual(['1', '2']);
  });

  test('readers compete; leaving a loop with a pending next() loses nothing', async () => {
    const { clock, pipeline } = manual({ maxBatchSize: 1 });
    const leaving = pipeline.results();
    const staying = pipeline.results();
    const left = leaving.next();
    const got = staying.next();
    await leaving.return();
    expect(await left).toEqual({ done: true, value: undefined });
    pipeline.submit({ request_id: 'a' });
    clock.advanceMs(0);
    expect((await got).value.request_id).toBe('a');
    await pipeline.close();
  });

  test('beyond resultsCapacity finished batches keep their slot until the reader catches up', async () => {
    const { calls, pipeline } = manual({ maxBatchSize: 1, maxConcurrency: 1, resultsCapacity: 2 });
    for (const request of ids(1, 10)) pipeline.submit(request);
    await settled();
    expect(calls).toHaveLength(3);
    expect(pipeline.stats()).toMatchObject({ results: 3, inFlight: 1, running: 0 });
    const results = pipeline.results();
    await results.next();
    await settled();
    expect(calls).toHaveLength(4);
    await pipeline.close(); // nobody needs to read for this to end
    expect(await collect(pipeline)).toHaveLength(9);
  });

  test('a stream of results is not pulled while nobody reads', async () => {
    let yielded = 0;
    const { pipeline } = manual({
      async *process(batch) {
        for (const { request_id } of batch) {
          yielded += 1;
          yield { request_id, text: '' };
        }
      },
      resultsCapacity: 2,
    });
    for (const request of ids(1, 8)) pipeline.submit(request);
    await settled();
    expect(yielded).toBe(3);
    await pipeline.close();
    expect(await collect(pipeline)).toHaveLength(8);
  });
});

describe('Pipeline, when process misbehaves', () => {
  const wrong = {
    'throws at once': [
      () => {
        throw new Error('boom');
      },
      'boom',
    ],
    rejects: [async () => Promise.reject(new Error('later')), 'later'],
    'gives too few results': [() => ['x'], 'ERR_RESULT_COUNT'],
    'gives too many results': [() => Array(9).fill('x'), 'ERR_RESULT_COUNT'],
    'gives no array': [() => 'xxxxxxxx', 'ERR_RESULT_TYPE'],
    'gives nothing': [() => undefined, 'ERR_RESULT_TYPE'],
    'gives numbers': [() => [1, 2, 3, 4, 5, 6, 7, 8], 'ERR_RESULT_TYPE'],
    'gives holes': [() => Array(8), 'ERR_RESULT_TYPE'],
    'yields nothing': [async function* () {}, 'ERR_RESULT_MISSING'],
    'yields what was not asked': [
      async function* () {
        yield { request_id: 'stranger', text: '' };
      },
      'ERR_RESULT_UNEXPECTED',
    ],
    'yields text of the wrong type': [
      async function* (batch) {
        for (const { request_id } of batch) yield { request_id, text: 7 };
      },
      'ERR_RESULT_TYPE',
    ],
  };

  test.each(Object.keys(wrong))(
    '%s for batch 2 of 5: its 8 get the error, the rest do not',
    async (how) => {
      const [misbehave, expected] = wrong[how];
      let call = 0;
      const { pipeline } = manual({
        process: (batch, context) => (++call === 2 ? misbehave(batch, context) : echo(batch)),
      });
      for (const request of ids(1, 40)) pipeline.submit(request);
      await pipeline.close();
      const results = await collect(pipeline);
      const failed = results.filter((result) => 'error' in result);
      expect(failed.map((result) => result.request_id).sort()).toEqual(
        ids(9, 16)
          .map((request) => request.request_id)
          .sort(),
      );
      for (const { error } of failed) expect([error.code, error.message]).toContain(expected);
      expect(results.filter((result) => 'text' in result)).toHaveLength(32);
    },
  );

  test('a stream that breaks in the middle fails what it has not answered', async () => {
    const { pipeline } = manual({
      async *process(batch) {
        yield { request_id: batch[0].request_id, text: 'fine' };
        throw new Error('cut');
      },
    });
    for (const request of ids(1, 3)) pipeline.submit(request);
    await pipeline.close();
    const results = await collect(pipeline);
    expect(results[0]).toEqual({ request_id: 'r1', text: 'fine' });
    expect(results.slice(1).map((result) => result.error.message)).toEqual(['cut', 'cut']);
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

  test('the call is told when every one of its requests is aborted, and not before', async () => {
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
    // What is in a call is the call's business: its answers count.
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

describe('Pipeline retry', () => {
  const flaky = (failures) => {
    let call = 0;
    return (batch) => {
      if (++call <= failures) throw new Error(`attempt ${call}`);
      return echo(batch);
    };
  };

  test('full jitter, doubled each time and capped, all of a batch together', async () => {
    const announced = [];
    const { clock, calls, pipeline } = manual({
      process: flaky(4),
      retry: {
        attempts: 5,
        baseMs: 100,
        capMs: 300,
        random: () => 0.5,
        onRetry: (request, next) =>
          announced.push([request.request_id, next.attempt, next.delayMs]),
      },
    });
    pipeline.submit({ request_id: 'a' });
    pipeline.submit({ request_id: 'b' });
    for (let i = 0; i < 200; i++) {
      clock.advanceMs(5);
      await settled();
    }
    // At 100 ms, then after 0.5 * 100, 0.5 * 200, 0.5 * min(300, 400) and 0.5 * min(300, 800).
    expect(calls.map((call) => call.atMs)).toEqual([100, 150, 250, 400, 550]);
    for (const call of calls) expect(call.ids).toEqual(['a', 'b']);
    expect(announced.filter(([id]) => id === 'b')).toEqual([
      ['b', 2, 50],
      ['b', 3, 100],
      ['b', 4, 150],
      ['b', 5, 150],
    ]);
    await pipeline.close();
    expect(await collect(pipeline)).toEqual([
      { request_id: 'a', text: 'a' },
      { request_id: 'b', text: 'b' },
    ]);
  });

  test('gives up after its attempts with the last error', async () => {
    const { clock, calls, pipeline } = manual({
      process: flaky(9),
      retry: { attempts: 3, baseMs: 1 },
    });
    pipeline.submit({ request_id: 'a' });
    const closing = pipeline.close();
    for (let i = 0; i < 5; i++) {
      await settled();
      clock.advanceMs(10);
    }
    await closing;
    expect(calls).toHaveLength(3);
    expect(await collect(pipeline)).toMatchObject([{ error: { message: 'attempt 3' } }]);
  });

  test("only what failed is tried again, never sooner than the error's retryAfterMs", async () => {
    let call = 0;
    const { clock, calls, pipeline } = manual({
      process: (batch) =>
        ++call > 1
          ? echo(batch)
          : batch.map((request, i) =>
              i % 2 === 0 ? request.request_id : Object.assign(new Error(), { retryAfterMs: 700 }),
            ),
      retry: { attempts: 2, baseMs: 100 },
    });
    for (const request of ids(1, 8)) pipeline.submit(request);
    await settled();
    clock.advanceMs(699);
    expect(calls).toHaveLength(1);
    clock.advanceMs(1);
    expect(calls[1]).toEqual({ atMs: 700, ids: ['r2', 'r4', 'r6', 'r8'] });
    await pipeline.close();
    expect(await collect(pipeline)).toHaveLength(8);
  });

  test('waiting for it holds no slot, and full queues do not refuse it', async () => {
    let failing = true;
    const gate = deferred();
    const { clock, calls, pipeline } = manual({
      maxBatchSize: 1,
      maxConcurrency: 1,
      incomingCapacity: 1,
      processingCapacity: 1,
      retry: { attempts: 2, baseMs: 100, random: () => 1 },
      process: (batch) => {
        if (failing) {
          failing = false;
          throw new Error('once');
        }
        return batch[0].request_id === 'r2' ? gate.promise.then(() => echo(batch)) : echo(batch);
      },
    });
    for (const request of ids(1, 6)) pipeline.submit(request);
    await settled();
    expect(calls.map((call) => call.ids[0])).toEqual(['r1', 'r2']);
    clock.advanceMs(100);
    expect(pipeline.stats()).toMatchObject({ retrying: 1, inFlight: 1 });
    gate.resolve();
    await settled();
    expect(calls.map((call) => call.ids[0])).toEqual(['r1', 'r2', 'r1', 'r3', 'r4', 'r5', 'r6']);
    await pipeline.close();
  });

  test('an abort while it waits ends it with the reason', async () => {
    const { clock, calls, pipeline } = manual({
      process: flaky(1),
      retry: { attempts: 2, baseMs: 1000, random: () => 1 },
    });
    const leaving = new AbortController();
    pipeline.submit({ request_id: 'a' }, { signal: leaving.signal });
    clock.advanceMs(100);
    await settled();
    expect(pipeline.stats().retrying).toBe(1);
    leaving.abort(new Error('enough'));
    await pipeline.close();
    expect(calls).toHaveLength(1);
    expect(await collect(pipeline)).toMatchObject([
      { request_id: 'a', error: { message: 'enough' } },
    ]);
  });

  test('what counts as retryable', async () => {
    const attempts = async (error, options = {}) => {
      const { clock, calls, pipeline } = manual({
        process: () => {
          throw error;
        },
        retry: { attempts: 2, baseMs: 0, ...options },
      });
      pipeline.submit({});
      const closing = pipeline.close();
      await settled();
      clock.advanceMs(1);
      await closing;
      return calls.length;
    };
    expect(await attempts(new Error('any'))).toBe(2);
    expect(await attempts(Object.assign(new Error(), { retryable: false }))).toBe(1);
    expect(await attempts(new Error('any'), { isRetryable: () => false })).toBe(1);
    const broken = () => {
      throw new Error('hook');
    };
    expect(await attempts(new Error('any'), { isRetryable: broken })).toBe(1);
    expect(await attempts(new Error('any'), { onRetry: broken })).toBe(1);
  });

  test('a result of the wrong shape is not tried again', async () => {
    const { calls, pipeline } = manual({ process: () => [], retry: { attempts: 3, baseMs: 0 } });
    pipeline.submit({});
    await pipeline.close();
    expect(calls).toHaveLength(1);
  });
});

describe('Pipeline in real time', () => {
  test('20 requests 50 ms apart: all answered in fewer than 20 calls, clean shutdown', async () => {
    let calls = 0;
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
    expect(calls).toBeLessThan(20);
  });

  test('200 requests never see more than 5 calls at once', async () => {
    let running = 0;
    let most = 0;
    const pipeline = new Pipeline({
      process: async (batch) => {
        most = Math.max(most, ++running);
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
    await expect(pipeline.submit('text')).rejects.toThrow(/request/);
    await expect(pipeline.submit({}, { signal: 1 })).rejects.toThrow(/signal/);
    await pipeline.close();
  });
});
