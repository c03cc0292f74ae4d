import { kDiscardResults } from '../../lib/symbols.js';
import { deferred, collect, echo, ids, manual, settled } from './pipeline-helpers.js';

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

  test('an array in another order gives nobody the text of another', async () => {
    const { pipeline } = manual({
      process: (batch) => [batch[0], batch[2], batch[1]].map((r) => ({ ...r, text: r.request_id })),
    });
    for (const request of ids(1, 3)) pipeline.submit(request);
    await pipeline.close();
    expect(await collect(pipeline)).toMatchObject([
      { request_id: 'r1', text: 'r1' },
      { request_id: 'r2', error: { code: 'ERR_RESULT_UNEXPECTED' } },
      { request_id: 'r3', error: { code: 'ERR_RESULT_UNEXPECTED' } },
    ]);
  });

  test('with nobody to read them no results are kept', async () => {
    const { calls, pipeline } = manual({
      maxBatchSize: 1,
      resultsCapacity: 1,
      [kDiscardResults]: true,
    });
    for (const request of ids(1, 20)) pipeline.submit(request);
    await settled();
    expect(calls).toHaveLength(20);
    expect(pipeline.stats()).toMatchObject({ results: 0, completed: 20, inFlight: 0 });
    await pipeline.close();
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
