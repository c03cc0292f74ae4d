/** Failed requests that are tried again. */
import { deferred, collect, echo, ids, manual, settled } from '../../../support/pipeline.js';

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

  test('fails after its attempts with the last error', async () => {
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

  test("only failed requests are retried, never sooner than the error's retryAfterMs", async () => {
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

  test('retryable errors', async () => {
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
