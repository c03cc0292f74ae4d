/** Jobs that join the running answer to the same request. */
import { ManualClock, SluiceError, providers } from '../../../lib/index.js';
import { cleanUp, start, stopAll } from '../../support/gateway/gateway.js';
import { handProvider } from '../../support/providers/providers.js';
import { until } from '../../support/until.js';
import { createGateway } from '../../support/gateway/parts.js';
import { mockUpstream } from '../../support/gateway/upstream.js';
import { question, byHand, hidden } from '../../support/gateway/answer-cache.js';

afterEach(stopAll);

describe('a hundred equal requests at once', () => {
  const words = ['one ', 'two ', 'three ', 'four'];

  /** An upstream that sends the first word, and the rest when the test calls for it. */
  async function gated() {
    let open;
    const opened = new Promise((resolve) => (open = resolve));
    const upstream = await mockUpstream(async (exchange) => {
      exchange.open();
      await exchange.delta(words[0]);
      await opened;
      for (const word of words.slice(1)) await exchange.delta(word);
      await exchange.finish('stop');
      await exchange.done();
      exchange.end();
    });
    return { open, calls: () => upstream.exchanges.length, baseUrl: upstream.url };
  }

  /** The same as a function. */
  function gatedFunction() {
    let open;
    const opened = new Promise((resolve) => (open = resolve));
    let calls = 0;
    async function* provider() {
      calls += 1;
      yield words[0];
      await opened;
      yield* words.slice(1);
    }
    return { open, calls: () => calls, provider };
  }

  const kinds = [
    ['a function', async () => gatedFunction()],
    ...['chat', 'completions'].flatMap((mode) =>
      ['undici', 'native'].map((by) => [
        `${mode} by ${by}`,
        async () => {
          const { baseUrl, ...rest } = await gated();
          const provider = providers.openai({ baseUrl, model: 'm', mode, client: by });
          return { ...rest, provider };
        },
      ]),
    ),
  ];

  test.each(kinds.flatMap((kind) => [1, 3].map((reactors) => [...kind, reactors])))(
    'one call, and the same text for every job not cancelled: %s',
    async (_, make, reactors) => {
      const { provider, open, calls } = await make();
      const { submit, stream, cancel, job, metric } = await start({ provider, reactors });
      const answers = await Promise.all(Array.from({ length: 100 }, () => submit(question)));
      expect(answers.map(({ status }) => status)).toEqual(Array(100).fill(201));
      const results = answers.map(({ headers }) => headers.get('x-cache'));
      expect(results.filter((result) => result === 'MISS')).toHaveLength(1);
      expect(results.filter((result) => result === 'JOIN')).toHaveLength(99);
      const ids = answers.map(({ body }) => body.job_id);
      expect(new Set(ids).size).toBe(100);
      const streams = await Promise.all(answers.map(({ body }) => stream(body.stream_url)));
      await until(() => streams.every(({ events }) => events.length > 0), 'the first word');
      // Cancels the job that started the call.
      const first = results.indexOf('MISS');
      expect((await cancel(ids[first])).body.status).toBe('cancelled');
      open();
      await Promise.all(streams.map((each) => each.done));
      for (const [i, { events, text }] of streams.entries()) {
        if (i === first) {
          expect(events.at(-1)).toMatchObject({ type: 'job_cancelled' });
          expect(text).toBe(words[0]);
        } else {
          expect(text).toBe(words.join(''));
          expect(events.at(-1)).toMatchObject({ type: 'job_complete', data: { job_id: ids[i] } });
          expect(events.at(-1).data.metrics.tokens).toBe(4);
        }
      }
      expect(calls()).toBe(1);
      expect(await job(ids[first])).toMatchObject({ status: 'cancelled', cache: 'miss' });
      expect(await metric('sluice_cache_lookups_total{result="miss"}')).toBe(1);
      expect(await metric('sluice_cache_lookups_total{result="join"}')).toBe(99);
      expect(await metric('sluice_jobs_total{status="completed"}')).toBe(99);
      expect(await metric('sluice_jobs_total{status="cancelled"}')).toBe(1);
      expect(await metric('sluice_cache_entries')).toBe(1);
    },
  );
});

describe('joining', () => {
  test('a late request reads from the first token, and is a separate job', async () => {
    const { submit, stream, read, job, call, get } = await byHand();
    const one = await submit({ ...question, metadata: { mine: 1 } });
    const run = await call(0);
    expect(run.request.id).toBe(one.body.job_id);
    run.push('a', 'b');
    const early = await stream(one.body.stream_url);
    await until(() => early.events.length === 2, 'two tokens');
    const two = await submit({ ...question, metadata: { mine: 2 } });
    expect(two.headers.get('x-cache')).toBe('JOIN');
    expect((await get('/v1/jobs?status=running')).body.data).toHaveLength(2);
    const late = await stream(two.body.stream_url);
    run.push('c');
    run.end();
    await late.done;
    expect(late.ids).toEqual(['1-1', '1-2', '1-3', '1-4']);
    expect(late.text).toBe('abc');
    expect((await read(one.body.stream_url)).text).toBe('abc');
    const { data } = (await get('/v1/jobs')).body;
    expect(data.map(({ job_id: id, metadata, cache }) => [id, metadata.mine, cache])).toEqual([
      [two.body.job_id, 2, 'join'],
      [one.body.job_id, 1, 'miss'],
    ]);
    expect(await job(two.body.job_id)).toMatchObject({ status: 'completed', text: 'abc' });
  });

  test('the answer is cancelled when its last job has ended, and the next one is new', async () => {
    const clock = new ManualClock();
    const { submit, cancel, call, calls, ended, gateway } = await byHand({ clock });
    const first = await submit(question);
    const run = await call(0);
    const second = await submit({ ...question, max_wall_ms: 300, on_disconnect: 'continue' });
    run.push('a');
    await cancel(first.body.job_id);
    expect(run.signal.aborted).toBe(false);
    clock.advanceMs(300);
    expect((await ended(second.body.job_id)).error.code).toBe('wall_time_exceeded');
    await run.aborted;
    await until(() => run.returned, 'the provider to let go');
    const third = await submit(question);
    expect(third.headers.get('x-cache')).toBe('MISS');
    await call(1);
    expect(calls).toHaveLength(2);
    expect(await hidden(gateway, first.body.job_id)).toBe(null);
  });

  test("one reader's disconnect ends its own job alone", async () => {
    const { submit, stream, read, call, ended } = await byHand();
    const [first, second] = [
      await submit({ ...question, disconnect_grace_ms: 0 }),
      await submit(question),
    ];
    const run = await call(0);
    run.push('a');
    const open = await stream(first.body.stream_url);
    await until(() => open.events.length > 0, 'a token');
    open.close();
    expect((await ended(first.body.job_id)).reason).toBe('client_disconnected');
    run.push('b');
    run.end();
    expect((await read(second.body.stream_url)).text).toBe('ab');
  });

  test('a failure is shared, and not stored', async () => {
    const { submit, call, ended, metric, gateway } = await byHand({ exposeErrors: true });
    const both = [await submit(question), await submit(question)];
    const run = await call(0);
    run.push('a');
    run.fail(new Error('broken'));
    for (const { body } of both) {
      expect((await ended(body.job_id)).error).toMatchObject({ message: 'broken' });
    }
    expect((await submit(question)).headers.get('x-cache')).toBe('MISS');
    await call(1);
    expect(await metric('sluice_cache_entries')).toBe(0);
    expect(await hidden(gateway, both[0].body.job_id)).toBe(null);
  });

  test('a transient failure before the first token is retried for all', async () => {
    const { submit, call, ended } = await byHand({
      retry: { attempts: 2, baseMs: 1, capMs: 1 },
    });
    const both = [await submit(question), await submit(question)];
    (await call(0)).fail(new SluiceError('ERR_X', 'later', { wireCode: 'x', retryable: true }));
    const run = await call(1);
    run.push('fine');
    run.end();
    for (const { body } of both) expect((await ended(body.job_id)).text).toBe('fine');
  });

  test('up to maxJoined jobs may join', async () => {
    const { submit, cancel, call } = await byHand({ cache: { maxJoined: 2 } });
    await submit(question);
    await call(0);
    const joined = [await submit(question), await submit(question)];
    const refused = await submit(question);
    expect(refused.status).toBe(503);
    expect(refused.body.error.code).toBe('overloaded');
    expect(refused.headers.get('retry-after')).toBe('1');
    await cancel(joined[0].body.job_id);
    await until(async () => (await submit(question)).status === 201, 'room');
  });

  test('jobs that wait for a place with the first are refused with it', async () => {
    const { submit, call, get, metric } = await byHand({
      maxConcurrency: 1,
      processingCapacity: 1,
      incomingCapacity: 1,
      admissionWaitMs: 300,
    });
    await submit({ prompt: 'one that runs' });
    await call(0);
    // The capacity of the stages; one more waits.
    const others = Promise.all(
      Array.from({ length: 6 }, (_, i) => submit({ prompt: `other ${i}` })),
    );
    await until(async () => (await metric('sluice_queued_requests')) >= 2, 'a full queue');
    const answers = await Promise.all(Array.from({ length: 5 }, () => submit(question)));
    expect(answers.map(({ status }) => status)).toEqual(Array(5).fill(503));
    expect(answers[4].body.error.code).toBe('overloaded');
    expect((await get('/v1/jobs?limit=100')).body.data.length).toBeLessThan(7);
    await others;
  });

  test('a job that stops waiting for a place leaves it to the other jobs', async () => {
    const hand = handProvider();
    const gateway = createGateway({
      provider: hand.provider,
      logger: false,
      maxConcurrency: 1,
      processingCapacity: 1,
      incomingCapacity: 1,
      admissionWaitMs: 20_000,
    });
    cleanUp(() => gateway.close({ drainMs: 0 }));
    const others = Array.from({ length: 6 }, () => gateway.submit({ prompt: 'other' }));
    await hand.call(0);
    const controller = new AbortController();
    const first = gateway.submit(question, { signal: controller.signal });
    const second = gateway.submit(question);
    const alone = new AbortController();
    const third = gateway.submit({ ...question, prompt: 'alone' }, { signal: alone.signal });
    controller.abort(new Error('no longer'));
    alone.abort(new Error('nor this'));
    await expect(first).rejects.toThrow('no longer');
    await expect(third).rejects.toThrow('nor this');
    let served = 0;
    const serve = async () => {
      for (let n = 0; ; n += 1) {
        const run = await hand.call(n);
        served = n;
        run.push(run.request.prompt);
        run.end();
      }
    };
    void serve();
    const { id, cache } = await second;
    expect(cache).toBe('join');
    await Promise.all(others);
    await until(async () => (await gateway.get(id)).status === 'completed', 'the answer');
    expect((await gateway.get(id)).text).toBe(question.prompt);
    expect(served).toBe(6);
    expect(hand.calls.map(({ request }) => request.prompt)).not.toContain('alone');
  });

  test('closing ends all joined jobs, with its reason', async () => {
    const { submit, stream, call, gateway } = await byHand();
    const both = [await submit(question), await submit(question)];
    const run = await call(0);
    run.push('a');
    const streams = await Promise.all(both.map(({ body }) => stream(body.stream_url)));
    await until(() => streams.every(({ events }) => events.length > 0), 'a token');
    await gateway.close({ drainMs: 0 });
    for (const { done } of streams) {
      const events = await done;
      expect(events.at(-1)).toMatchObject({
        type: 'job_cancelled',
        data: { reason: 'shutdown' },
      });
    }
    expect(run.signal.aborted).toBe(true);
    await expect(gateway.submit(question)).rejects.toMatchObject({ code: 'ERR_DRAINING' });
  });

  test('a stalled reader of any of the jobs holds back the one provider', async () => {
    let given = 0;
    async function* endless() {
      for (;;) {
        given += 1;
        yield 'x'.repeat(1000);
        await new Promise(setImmediate);
      }
    }
    const gateway = createGateway({ provider: endless, logger: false, streamCapacity: 16 });
    cleanUp(() => gateway.close({ drainMs: 0 }));
    const [first, second] = [await gateway.submit(question), await gateway.submit(question)];
    expect(second.cache).toBe('join');
    const slow = gateway.stream(second.id)[Symbol.asyncIterator]();
    await slow.next();
    const quick = gateway.stream(first.id)[Symbol.asyncIterator]();
    let read = 0;
    void (async () => {
      while (!(await quick.next()).done) read += 1;
    })();
    let before = -1;
    await until(async () => {
      const still = given === before;
      before = given;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return still && given === before;
    }, 'the provider to wait');
    await gateway.cancel(second.id);
    await until(() => given > before + 50, 'the provider to go on');
    expect(read).toBeGreaterThan(0);
    await gateway.cancel(first.id);
  });
});
