import { deferred, collect, echo, ids, manual, settled } from '../../../support/pipeline.js';

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

  test('process may use up its batch', async () => {
    const { pipeline } = manual({
      process(batch) {
        const texts = [];
        while (batch.length > 0) texts.push(`text of ${batch.shift().request_id}`);
        return texts;
      },
    });
    for (const request of ids(1, 3)) pipeline.submit(request);
    await pipeline.close();
    expect(await collect(pipeline)).toEqual([
      { request_id: 'r1', text: 'text of r1' },
      { request_id: 'r2', text: 'text of r2' },
      { request_id: 'r3', text: 'text of r3' },
    ]);
  });

  test('an array in another order never swaps texts of requests', async () => {
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

  test('an async iterable may yield texts and errors in the order of the batch', async () => {
    const { pipeline } = manual({
      async *process() {
        yield 'first';
        yield { text: 'second' };
        yield new Error('third');
      },
      maxBatchSize: 3,
    });
    for (const request of ids(1, 3)) pipeline.submit(request);
    await pipeline.close();
    expect(await collect(pipeline)).toMatchObject([
      { request_id: 'r1', text: 'first' },
      { request_id: 'r2', text: 'second' },
      { request_id: 'r3', error: { message: 'third' } },
    ]);
  });

  test('a request may be a string', async () => {
    const { pipeline } = manual({ process: (batch) => batch.map((text) => text.toUpperCase()) });
    const accepted = pipeline.submit('a prompt');
    await pipeline.close();
    const { request_id } = await accepted;
    expect(await collect(pipeline)).toEqual([{ request_id, text: 'A PROMPT' }]);
  });

  test('without a reader no results are kept', async () => {
    const { calls, pipeline } = manual({
      maxBatchSize: 1,
      resultsCapacity: 1,
      discardResults: true,
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
    await pipeline.close(); // this ends without a reader
    expect(await collect(pipeline)).toHaveLength(9);
  });

  test('a stream of results is not pulled without a reader', async () => {
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
    'empties its batch and gives nothing for it': [
      (batch) => {
        batch.length = 0;
        return [];
      },
      'ERR_RESULT_COUNT',
    ],
    'gives results that cannot be read': [
      (batch) =>
        batch.map(() => ({
          text: '',
          get tokens() {
            throw new Error('unreadable');
          },
        })),
      'unreadable',
    ],
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
    async (fault) => {
      const [misbehave, expected] = wrong[fault];
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

  test('a stream that breaks in the middle fails the unanswered requests', async () => {
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
