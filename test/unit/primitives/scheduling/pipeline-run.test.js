/** Pipeline.run, and pipelines whose results are not read. */
import { ManualClock, Pipeline } from '../../../../lib/index.js';
import { collect, deferred, echo, ids, manual, settled } from '../../../support/pipeline.js';

/** The outcome of a promise, or 'pending', once everything that is ready has run. */
async function outcomeOf(promise) {
  let outcome = 'pending';
  promise.then(
    (value) => (outcome = { value }),
    (error) => (outcome = { error }),
  );
  await settled();
  return outcome;
}

describe('Pipeline.run', () => {
  test('resolves with the result of its own request, which results() does not yield', async () => {
    const { clock, calls, pipeline } = manual({ maxBatchSize: 8 });
    const own = pipeline.run({ request_id: 'a', text: 'A' });
    const unnamed = pipeline.run({ text: 'B' });
    await pipeline.submit({ request_id: 'c', text: 'C' });
    clock.advanceMs(100);
    expect(await own).toEqual({ request_id: 'a', text: 'A' });
    expect(await unnamed).toEqual({ request_id: calls[0].ids[1], text: 'B' });
    await pipeline.close();
    expect(calls).toHaveLength(1);
    expect(await collect(pipeline)).toEqual([{ request_id: 'c', text: 'C' }]);
    expect(pipeline.stats()).toMatchObject({ accepted: 3, completed: 3, failed: 0, results: 0 });
  });

  test('rejects with the error of its own request, the others continue', async () => {
    const broken = new Error('broken');
    const process = (batch) => batch.map(({ request_id }) => (request_id === 'b' ? broken : 'ok'));
    const { clock, pipeline } = manual({ process });
    const runs = ['a', 'b', 'c'].map((request_id) => pipeline.run({ request_id }));
    const [a, b, c] = await Promise.allSettled([...runs, clock.advanceMs(100)]);
    expect(a.value.text).toBe('ok');
    expect(b.reason).toBe(broken);
    expect(c.value.text).toBe('ok');
  });

  test('a result with a field named error is a result', async () => {
    const { clock, pipeline } = manual({ process: () => [{ text: 'x', error: null }] });
    const run = pipeline.run({ request_id: 'a' });
    clock.advanceMs(100);
    expect(await run).toEqual({ request_id: 'a', text: 'x', error: null });
  });

  test('an object with a getter that throws fails its request alone', async () => {
    const bad = {
      get text() {
        throw new Error('not readable');
      },
    };
    const { clock, pipeline } = manual({ process: () => ['ok', bad, 'ok'] });
    const runs = ids(1, 3).map((request) => pipeline.run(request));
    const settling = Promise.allSettled(runs);
    clock.advanceMs(100);
    const outcomes = await settling;
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(outcomes[1].reason.message).toBe('not readable');
  });

  test('is retried as others are', async () => {
    let calls = 0;
    const process = () => [calls++ === 0 ? new Error('passing') : 'second'];
    const { clock, pipeline } = manual({ process, retry: { attempts: 2, random: () => 0.5 } });
    const run = pipeline.run({});
    clock.advanceMs(100);
    expect(await outcomeOf(run)).toBe('pending');
    clock.advanceMs(250);
    expect((await run).text).toBe('second');
  });

  test('an abort rejects at once in every phase', async () => {
    const reason = new Error('changed my mind');
    const release = deferred();
    const process = async (batch) => {
      await release.promise;
      return echo(batch);
    };
    const options = { process, maxBatchSize: 1, maxConcurrency: 1, processingCapacity: 1 };
    const { calls, pipeline } = manual({ ...options, incomingCapacity: 1 });
    // One running, one in processing, one in the batcher, one in incoming, one in line.
    const controllers = ids(1, 5).map(() => new AbortController());
    const runs = ids(1, 5).map((request, i) =>
      pipeline.run(request, { signal: controllers[i].signal }),
    );
    expect(await outcomeOf(runs[4])).toBe('pending');
    expect(pipeline.stats()).toMatchObject({ running: 1, processing: 1, incoming: 1, waiting: 1 });
    const outcomes = Promise.all(runs.map(outcomeOf));
    for (const controller of controllers) controller.abort(reason);
    expect(await outcomes).toEqual(runs.map(() => ({ error: reason })));
    release.resolve();
    await pipeline.close();
    expect(calls).toHaveLength(1);
    await expect(pipeline.run({}, { signal: controllers[0].signal })).rejects.toMatchObject({
      code: 'ERR_PIPELINE_CLOSED',
    });
  });

  test('an aborted signal is refused before anything else happens', async () => {
    const { pipeline } = manual();
    const signal = AbortSignal.abort(new Error('no'));
    await expect(pipeline.run({}, { signal })).rejects.toThrow('no');
    await expect(pipeline.run(7)).rejects.toThrow(/request/);
    await pipeline.close();
    expect(pipeline.stats().accepted).toBe(0);
  });
});

describe('unread results', () => {
  test('bring the pipeline to a standstill, which stats() shows and reading ends', async () => {
    const { pipeline } = manual({ maxBatchSize: 1, maxConcurrency: 2, resultsCapacity: 4 });
    for (const request of ids(1, 40)) pipeline.submit(request);
    await settled();
    expect(pipeline.stats()).toMatchObject({
      results: 6,
      resultsCapacity: 4,
      blocked: 2,
      inFlight: 2,
      running: 0,
    });
    const results = pipeline.results();
    for (let i = 0; i < 40; i++) expect((await results.next()).done).toBe(false);
    expect(pipeline.stats()).toMatchObject({ blocked: 0, completed: 40 });
    await pipeline.close();
  });

  test('are not kept with discardResults, and do not count for run()', async () => {
    const discarding = manual({ maxBatchSize: 1, resultsCapacity: 1, discardResults: true });
    for (const request of ids(1, 40)) discarding.pipeline.submit(request);
    await settled();
    expect(discarding.pipeline.stats()).toMatchObject({ completed: 40, results: 0, blocked: 0 });
    const running = manual({ maxBatchSize: 1, resultsCapacity: 1 });
    const runs = ids(1, 40).map((request) => running.pipeline.run(request));
    expect(await Promise.all(runs)).toHaveLength(40);
  });
});

describe('Pipeline retries', () => {
  test('an error whose retryAfterMs is Infinity is final', async () => {
    const never = Object.assign(new Error('never'), { retryAfterMs: Infinity });
    const { clock, calls, pipeline } = manual({ process: () => [never], retry: { attempts: 5 } });
    const run = pipeline.run({});
    clock.advanceMs(100);
    expect(await outcomeOf(run)).toEqual({ error: never });
    expect(calls).toHaveLength(1);
  });

  test.each([NaN, -5, '7', undefined])(
    'a retryAfterMs of %p asks for no delay',
    async (retryAfterMs) => {
      let calls = 0;
      const process = () =>
        calls++ === 0 ? [Object.assign(new Error('x'), { retryAfterMs })] : ['ok'];
      const { clock, pipeline } = manual({ process, retry: { attempts: 2, random: () => 0 } });
      const run = pipeline.run({});
      clock.advanceMs(100);
      expect((await run).text).toBe('ok');
    },
  );
});

describe('unknown options are refused by name', () => {
  const clock = new ManualClock();
  const refused = (message) => expect.objectContaining({ code: 'ERR_INVALID_TYPE', message });
  test.each([
    ['options has no option concurrency', () => new Pipeline({ process: echo, concurrency: 2 })],
    ['retry has no option retries', () => new Pipeline({ process: echo, retry: { retries: 2 } })],
  ])('%s', (message, call) => {
    expect(call).toThrow(refused(expect.stringContaining(message)));
  });

  test('of submit and run', async () => {
    const pipeline = new Pipeline({ process: echo, clock });
    for (const call of [
      () => pipeline.submit({}, { abort: 1 }),
      () => pipeline.run({}, { a: 1 }),
    ]) {
      await expect(call()).rejects.toEqual(
        refused(expect.stringMatching(/^options has no option/)),
      );
    }
    await pipeline.close();
  });
});
