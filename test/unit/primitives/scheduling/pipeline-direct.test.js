/** Batches of one in real time: they are dispatched without the reactor while nothing waits. */
import { Pipeline } from '../../../../lib/primitives/scheduling/pipeline.js';
import { deferred } from '../../../support/pipeline.js';
import { until } from '../../../support/until.js';

/** A pipeline whose calls the test ends. */
function byHand(options) {
  const calls = [];
  const pipeline = new Pipeline({
    maxBatchSize: 1,
    idleFlushMs: 0,
    discardResults: true,
    process: ([request], { signal }) => {
      const { promise, resolve, reject } = deferred();
      calls.push({ id: request.request_id, signal, end: () => resolve(['done']), fail: reject });
      return promise;
    },
    ...options,
  });
  const submit = (from, to) =>
    Promise.all(
      Array.from({ length: to - from + 1 }, (_, i) => pipeline.submit({ request_id: from + i })),
    );
  return { pipeline, calls, submit, began: () => calls.map(({ id }) => id) };
}

test('a request is accepted at once, and processed after the caller has continued', async () => {
  const { pipeline, calls, submit } = byHand();
  let accepted = false;
  void pipeline.submit({ request_id: 1 }, { onAccepted: () => (accepted = true) });
  expect(accepted).toBe(true);
  expect(calls).toHaveLength(0);
  await submit(2, 2);
  await until(() => calls.length === 2, 'both calls');
  expect(pipeline.stats()).toMatchObject({ accepted: 2, running: 2, inFlight: 2, incoming: 0 });
  for (const { end } of calls) end();
  await pipeline.close();
});

test('direct and queued calls together keep to maxConcurrency, in order', async () => {
  const { pipeline, calls, submit, began } = byHand({ maxConcurrency: 3 });
  await submit(1, 8);
  await until(() => calls.length === 3, 'three calls');
  for (let done = 0; done < 8; done += 1) {
    await until(() => calls.length >= Math.min(8, done + 3), 'the next call');
    expect(pipeline.stats().inFlight).toBeLessThanOrEqual(3);
    expect(calls.length - done).toBeLessThanOrEqual(3);
    calls[done].end();
  }
  expect(began()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  await until(() => pipeline.stats().inFlight === 0, 'free slots');
  // Nothing waits any more: the next ones are direct again, and count.
  await submit(9, 10);
  await until(() => calls.length === 10, 'the last calls');
  expect(pipeline.stats().inFlight).toBe(2);
  calls.slice(8).forEach(({ end }) => end());
  await pipeline.close();
});

test('close waits for direct calls, started or not', async () => {
  const { pipeline, calls, submit } = byHand();
  await submit(1, 1);
  await until(() => calls.length === 1, 'the first call');
  void pipeline.submit({ request_id: 2 });
  const ends = [];
  const closing = pipeline.close().then(() => ends.push('closed'));
  await until(() => calls.length === 2, 'the second call');
  calls[0].end();
  await until(() => pipeline.stats().inFlight === 1, 'the end of the first call');
  ends.push('second call');
  calls[1].end();
  await closing;
  expect(ends).toEqual(['second call', 'closed']);
  await expect(pipeline.submit({ request_id: 3 })).rejects.toMatchObject({
    code: 'ERR_PIPELINE_CLOSED',
  });
});

test('a request aborted before its direct call is not processed, and frees its slot', async () => {
  const { pipeline, calls, submit, began } = byHand({ maxConcurrency: 1 });
  const controller = new AbortController();
  void pipeline.submit({ request_id: 1 }, { signal: controller.signal });
  controller.abort();
  await submit(2, 2);
  await until(() => calls.length === 1, 'the call of the other');
  expect(began()).toEqual([2]);
  calls[0].end();
  await pipeline.close();
  expect(pipeline.stats()).toMatchObject({ completed: 1, failed: 1, inFlight: 0 });
});

test('a failed direct call is retried through the queue, without a slot in the meantime', async () => {
  const { pipeline, calls, submit, began } = byHand({
    maxConcurrency: 1,
    retry: { attempts: 2, baseMs: 1, capMs: 1 },
  });
  await submit(1, 1);
  await until(() => calls.length === 1, 'the first call');
  calls[0].fail(Object.assign(new Error('busy'), { retryable: true }));
  await until(() => calls.length === 2, 'the retry');
  expect(pipeline.stats()).toMatchObject({ inFlight: 1, retrying: 0 });
  await submit(2, 2);
  calls[1].end();
  await until(() => calls.length === 3, 'the call of the other');
  expect(began()).toEqual([1, 1, 2]);
  calls[2].end();
  await pipeline.close();
});
