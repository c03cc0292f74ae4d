/** Jobs that share an answer: joined while it runs, replayed when it is there. */
import { ManualClock, SluiceError, providers } from '../../../lib/index.js';
import { cleanUp, client, start, stopAll } from '../../support/gateway/gateway.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { until } from '../../support/until.js';
import { createGateway, partsOf } from '../../support/gateway/parts.js';
import { mockUpstream } from '../../support/gateway/upstream.js';

afterEach(stopAll);

const question = { prompt: 'What is it?', temperature: 0 };

/** A gateway whose provider is played by hand. */
async function byHand(options) {
  const hand = handProvider();
  return { ...(await start({ provider: hand.provider, ...options })), ...hand };
}

/** A gateway that answers every question with the number of the call. */
async function counting(options) {
  const made = { calls: 0 };
  const server = await start({
    async *provider({ prompt }) {
      made.calls += 1;
      yield `${prompt} `;
      yield `${made.calls}`;
    },
    ...options,
  });
  /** Asks, and gives what came of it. */
  async function ask(body = question, headers = undefined) {
    const answer = await server.submit(body, headers);
    const { status, text } = await server.ended(answer.body.job_id);
    return { cache: answer.headers.get('x-cache'), id: answer.body.job_id, status, text };
  }
  return Object.assign(made, { ...server, ask });
}

/** The hub's word on the job behind a job's answer; null when it is gone. */
function hidden(gateway, id) {
  const {
    hub,
    lifecycle: { jobs },
  } = partsOf(gateway);
  return hub.snapshot(jobs.get(id, 'anonymous').answer.handle);
}

const metric = async (get, name) => {
  const { body } = await get('/metrics');
  return Number(new RegExp(`^${name.replace(/[{}]/g, '\\$&')} (.*)$`, 'm').exec(body)?.[1]);
};

describe('a hundred times the same at once', () => {
  const words = ['one ', 'two ', 'three ', 'four'];

  /** An upstream that says the first word, and the rest when it is told to. */
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
    'one call, and the same text for all whom nobody cancelled: %s',
    async (_, make, reactors) => {
      const { provider, open, calls } = await make();
      const { submit, stream, cancel, job, get } = await start({ provider, reactors });
      const answers = await Promise.all(Array.from({ length: 100 }, () => submit(question)));
      expect(answers.map(({ status }) => status)).toEqual(Array(100).fill(201));
      const results = answers.map(({ headers }) => headers.get('x-cache'));
      expect(results.filter((result) => result === 'MISS')).toHaveLength(1);
      expect(results.filter((result) => result === 'JOIN')).toHaveLength(99);
      const ids = answers.map(({ body }) => body.job_id);
      expect(new Set(ids).size).toBe(100);
      const streams = await Promise.all(answers.map(({ body }) => stream(body.stream_url)));
      await until(() => streams.every(({ events }) => events.length > 0), 'the first word');
      // The one that started it, of all.
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
      expect(await metric(get, 'sluice_cache_lookups_total{result="miss"}')).toBe(1);
      expect(await metric(get, 'sluice_cache_lookups_total{result="join"}')).toBe(99);
      expect(await metric(get, 'sluice_jobs_total{status="completed"}')).toBe(99);
      expect(await metric(get, 'sluice_jobs_total{status="cancelled"}')).toBe(1);
      expect(await metric(get, 'sluice_cache_entries')).toBe(1);
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

  test('the answer is cancelled when the last of them has ended, and the next one is new', async () => {
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

  test('a failure is shared, and not kept', async () => {
    const { submit, call, ended, get, gateway } = await byHand({ exposeErrors: true });
    const both = [await submit(question), await submit(question)];
    const run = await call(0);
    run.push('a');
    run.fail(new Error('broken'));
    for (const { body } of both) {
      expect((await ended(body.job_id)).error).toMatchObject({ message: 'broken' });
    }
    expect((await submit(question)).headers.get('x-cache')).toBe('MISS');
    await call(1);
    expect(await metric(get, 'sluice_cache_entries')).toBe(0);
    expect(await hidden(gateway, both[0].body.job_id)).toBe(null);
  });

  test('a passing failure before the first token is tried again for all', async () => {
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

  test('as many as may join, and no more', async () => {
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

  test('those who wait for a place with the first are refused with it', async () => {
    const { submit, call, get } = await byHand({
      maxConcurrency: 1,
      processingCapacity: 1,
      incomingCapacity: 1,
      admissionWaitMs: 300,
    });
    await submit({ prompt: 'one that runs' });
    await call(0);
    // As many as the stages hold; one more waits.
    const others = Promise.all(
      Array.from({ length: 6 }, (_, i) => submit({ prompt: `other ${i}` })),
    );
    await until(async () => (await metric(get, 'sluice_queued_requests')) >= 2, 'a full queue');
    const answers = await Promise.all(Array.from({ length: 5 }, () => submit(question)));
    expect(answers.map(({ status }) => status)).toEqual(Array(5).fill(503));
    expect(answers[4].body.error.code).toBe('overloaded');
    expect((await get('/v1/jobs?limit=100')).body.data.length).toBeLessThan(7);
    await others;
  });

  test('one that stops waiting for a place leaves it to the others', async () => {
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

  test('closing ends all of them, with its reason', async () => {
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

  test('a reader that stands still holds back the one provider, whichever job it reads', async () => {
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

describe('stored entries', () => {
  test('a finished answer is replayed, without a call', async () => {
    const server = await counting();
    const first = await server.ask();
    expect(first).toMatchObject({ cache: 'MISS', status: 'completed', text: 'What is it? 1' });
    const second = await server.ask();
    expect(second).toMatchObject({ cache: 'HIT', status: 'completed', text: 'What is it? 1' });
    expect(second.id).not.toBe(first.id);
    const replay = await server.read(`/v1/stream?job_id=${second.id}`);
    expect(replay.events.map(({ id, type }) => `${id} ${type}`)).toEqual([
      '1-1 token',
      '1-2 token',
      '1-3 job_complete',
    ]);
    expect(replay.events[2].data).toMatchObject({
      job_id: second.id,
      reason: 'stop',
      usage: { prompt_tokens: 3, completion_tokens: 2 },
      metrics: { tokens: 2 },
    });
    expect(server.calls).toBe(1);
    expect(await metric(server.get, 'sluice_cache_lookups_total{result="hit"}')).toBe(1);
    expect(await metric(server.get, 'sluice_cache_bytes')).toBeGreaterThan(13);
    const job = await server.gateway.submit(question);
    expect(job.cache).toBe('hit');
  });

  test('a hit waits for no place', async () => {
    const { submit, call, ended } = await byHand({
      maxConcurrency: 1,
      processingCapacity: 1,
      incomingCapacity: 1,
      admissionWaitMs: 20_000,
    });
    const first = await submit(question);
    const run = await call(0);
    run.push('a');
    run.end();
    await ended(first.body.job_id);
    const waiting = Array.from({ length: 6 }, () => submit({ prompt: 'other' }).catch(() => {}));
    await call(1);
    const hit = await submit(question);
    expect(hit.headers.get('x-cache')).toBe('HIT');
    expect((await ended(hit.body.job_id)).text).toBe('a');
    void Promise.all(waiting);
  });

  test('only where it is asked for, or temperature is 0', async () => {
    const { ask } = await counting();
    expect(await ask({ prompt: 'a' })).toMatchObject({ cache: null, text: 'a 1' });
    expect(await ask({ prompt: 'a' })).toMatchObject({ cache: null, text: 'a 2' });
    const warm = { prompt: 'a', temperature: 0.7, cache: { mode: 'on' } };
    expect(await ask(warm)).toMatchObject({ cache: 'MISS', text: 'a 3' });
    expect(await ask(warm)).toMatchObject({ cache: 'HIT', text: 'a 3' });
    const off = { ...question, cache: { mode: 'off' } };
    expect(await ask(question)).toMatchObject({ cache: 'MISS' });
    expect(await ask(off)).toMatchObject({ cache: null, text: 'What is it? 5' });
    expect(await ask(question)).toMatchObject({ cache: 'HIT', text: 'What is it? 4' });
    expect(await ask(question, { 'cache-control': 'no-store' })).toMatchObject({
      cache: null,
      text: 'What is it? 6',
    });
  });

  test('nothing where the gateway keeps nothing', async () => {
    const { ask } = await counting({ cache: { mode: 'off' } });
    const on = { ...question, cache: { mode: 'on' } };
    expect(await ask(on)).toMatchObject({ cache: null, text: 'What is it? 1' });
    expect(await ask(on)).toMatchObject({ cache: null, text: 'What is it? 2' });
  });

  test('a refresh is new, and replaces the stored answer', async () => {
    const { ask } = await counting();
    await ask();
    const refreshed = await ask({ ...question, cache: { mode: 'refresh' } });
    expect(refreshed).toMatchObject({ cache: 'MISS', text: 'What is it? 2' });
    expect(await ask()).toMatchObject({ cache: 'HIT', text: 'What is it? 2' });
    expect(await ask(question, { 'cache-control': 'no-cache' })).toMatchObject({
      cache: 'MISS',
      text: 'What is it? 3',
    });
    expect(await ask()).toMatchObject({ cache: 'HIT', text: 'What is it? 3' });
  });

  test('an older answer that ends later does not come back', async () => {
    const { submit, call, ended } = await byHand();
    const old = await submit(question);
    const oldRun = await call(0);
    const fresh = await submit({ ...question, cache: { mode: 'refresh' } });
    expect(fresh.headers.get('x-cache')).toBe('MISS');
    const freshRun = await call(1);
    const joined = await submit(question);
    freshRun.push('new');
    freshRun.end();
    expect((await ended(joined.body.job_id)).text).toBe('new');
    oldRun.push('old');
    oldRun.end();
    expect((await ended(old.body.job_id)).text).toBe('old');
    const hit = await submit(question);
    expect((await ended(hit.body.job_id)).text).toBe('new');
  });

  test.each([
    ['the gateway', { ttlMs: 5000 }, undefined, 5000],
    ['the job', undefined, { mode: 'on', ttl_s: 2 }, 2000],
  ])('for as long as %s says', async (_, cache, ofJob, ttlMs) => {
    const clock = new ManualClock();
    const { ask, gateway, get } = await counting({ clock, cache });
    const body = { ...question, cache: ofJob };
    const first = await ask(body);
    clock.advanceMs(ttlMs);
    expect(await ask(body)).toMatchObject({ cache: 'HIT' });
    clock.advanceMs(1);
    expect(await ask(body)).toMatchObject({ cache: 'MISS', text: 'What is it? 2' });
    expect(await hidden(gateway, first.id)).toBe(null);
    clock.advanceMs(ttlMs + 1);
    expect(await metric(get, 'sluice_cache_entries')).toBe(0);
    expect(await metric(get, 'sluice_cache_bytes')).toBe(0);
  });

  test('for no time at all, and then it is shared only while it runs', async () => {
    const { submit, call, ended, gateway } = await byHand();
    const body = { ...question, cache: { mode: 'on', ttl_s: 0 } };
    const first = await submit(body);
    const run = await call(0);
    expect((await submit(body)).headers.get('x-cache')).toBe('JOIN');
    run.push('a');
    run.end();
    await ended(first.body.job_id);
    expect((await submit(body)).headers.get('x-cache')).toBe('MISS');
    expect(await hidden(gateway, first.body.job_id)).toBe(null);
  });

  test.each([
    ['maxEntries', { maxEntries: 1 }],
    ['maxBytes', { maxBytes: 3000 }],
  ])('as much as %s allows', async (_, cache) => {
    const { ask, gateway, get, job } = await counting({ cache });
    const first = await ask({ ...question, prompt: 'a' });
    await ask({ ...question, prompt: 'b' });
    expect(await metric(get, 'sluice_cache_entries')).toBe(1);
    expect(await hidden(gateway, first.id)).toBe(null);
    expect((await job(first.id)).text).toBe('a 1');
    expect(await ask({ ...question, prompt: 'b' })).toMatchObject({ cache: 'HIT' });
    expect(await ask({ ...question, prompt: 'a' })).toMatchObject({ cache: 'MISS' });
  });

  test('longer than the job that started it, with its own retention', async () => {
    const clock = new ManualClock();
    const { ask, get } = await counting({ clock, retentionMs: 1000 });
    const first = await ask();
    clock.advanceMs(1000);
    expect((await get(`/v1/jobs/${first.id}`)).status).toBe(404);
    expect(await ask()).toMatchObject({ cache: 'HIT', text: 'What is it? 1' });
  });

  test('no answer that was cut at its length, by the gateway or the provider', async () => {
    const { ask } = await counting();
    const short = { ...question, max_tokens: 1 };
    expect(await ask(short)).toMatchObject({ cache: 'MISS', text: 'What is it? ' });
    expect(await ask(short)).toMatchObject({ cache: 'MISS' });
    const upstream = await mockUpstream(async (exchange) => {
      exchange.open();
      await exchange.delta('cut');
      await exchange.finish('length');
      await exchange.done();
      exchange.end();
    });
    const other = await start({ provider: providers.openai({ baseUrl: upstream.url }) });
    for (let n = 0; n < 2; n += 1) {
      const { headers, body } = await other.submit(question);
      expect(headers.get('x-cache')).toBe('MISS');
      expect((await other.ended(body.job_id)).reason).toBe('length');
    }
  });

  test('no answer that has lost its beginning', async () => {
    const server = await start({
      async *provider() {
        for (let i = 0; i < 50; i += 1) yield 'x'.repeat(100);
      },
      logBytesMax: 1000,
    });
    for (let n = 0; n < 2; n += 1) {
      const { headers, body } = await server.submit(question);
      expect(headers.get('x-cache')).toBe('MISS');
      expect(await server.ended(body.job_id)).toMatchObject({ text_truncated: true });
    }
  });

  test('and none that is joined when it has', async () => {
    const { submit, call, job, ended } = await byHand({ logBytesMax: 1000 });
    const first = await submit(question);
    const run = await call(0);
    run.push(...Array.from({ length: 30 }, () => 'x'.repeat(100)));
    await until(async () => (await job(first.body.job_id)).text_truncated, 'the loss');
    const second = await submit(question);
    expect(second.headers.get('x-cache')).toBe('MISS');
    const again = await call(1);
    again.push('whole');
    again.end();
    expect((await ended(second.body.job_id)).text).toBe('whole');
    run.end();
    await ended(first.body.job_id);
  });
});

describe('sharing between callers', () => {
  const people = {
    ann: { principal: 'ann', organisation: 'acme' },
    bob: { principal: 'bob', organisation: 'acme' },
    eve: { principal: 'eve', organisation: 'evil' },
  };
  const authenticate = (req) => people[req.get('x-user')];

  test.each([
    ['principal', ['MISS', 'MISS', 'MISS', 'HIT']],
    ['organisation', ['MISS', 'HIT', 'MISS', 'HIT']],
    ['global', ['MISS', 'HIT', 'HIT', 'HIT']],
  ])('by %s', async (scope, expected) => {
    const { submit, get } = await start({ provider: echo, authenticate, cache: { scope } });
    const seen = [];
    for (const user of ['ann', 'bob', 'eve', 'ann']) {
      const headers = { 'x-user': user };
      const { body, headers: answered } = await submit(question, headers);
      seen.push(answered.get('x-cache'));
      await until(async () => {
        const job = await get(`/v1/jobs/${body.job_id}`, { headers });
        return job.body.status === 'completed';
      }, 'the end');
      const other = { 'x-user': user === 'eve' ? 'ann' : 'eve' };
      expect((await get(`/v1/jobs/${body.job_id}`, { headers: other })).status).toBe(404);
    }
    expect(seen).toEqual(expected);
  });
});

describe('headers and metrics', () => {
  test.each([
    [{ mode: 'maybe' }, 'cache.mode', 'invalid_value'],
    [{ mode: 1 }, 'cache.mode', 'invalid_type'],
    [{ ttl_s: -1 }, 'cache.ttl_s', 'invalid_value'],
    [{ ttl_s: '5' }, 'cache.ttl_s', 'invalid_type'],
    [{ ttl: 5 }, 'cache.ttl', 'unknown_field'],
    ['on', 'cache', 'invalid_type'],
  ])('a field that is wrong is named: %j', async (cache, param, code) => {
    const { submit } = await start({ provider: echo });
    const { status, body } = await submit({ ...question, cache });
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ param, code });
  });

  test.each([
    [{ mode: 'on' }, /cache\.mode/],
    [{ scope: 'all' }, /cache\.scope/],
    [{ maxEntries: 0 }, /cache\.maxEntries/],
    [{ maxBytes: 1.5 }, /cache\.maxBytes/],
    [{ ttlMs: -1 }, /cache\.ttlMs/],
    [{ maxJoined: 'a' }, /cache\.maxJoined/],
    [{ size: 1 }, /cache has no option size/],
  ])('an option that is wrong is named: %j', (cache, message) => {
    expect(() => createGateway({ provider: echo, cache })).toThrow(message);
  });

  test('a replayed submission is answered as before', async () => {
    const { submit } = await start({ provider: echo });
    const key = { 'idempotency-key': 'k' };
    const first = await submit(question, key);
    const again = await submit(question, key);
    expect(first.headers.get('x-cache')).toBe('MISS');
    expect(again.status).toBe(200);
    expect(again.headers.get('x-cache')).toBe(null);
    expect(again.body).toEqual(first.body);
  });

  test('each job has its line in the log, and its answer none', async () => {
    const lines = [];
    const log = (fields, message) => message === 'job ended' && lines.push(fields);
    const { ask } = await counting({ logger: { info: log, warn() {}, error() {} } });
    const first = await ask();
    const second = await ask();
    expect(lines.map(({ job_id: id, cache, attempts }) => [id, cache, attempts])).toEqual([
      [first.id, 'miss', 1],
      [second.id, 'hit', 0],
    ]);
  });
});

test('many gateways of one process keep their answers apart', async () => {
  const [one, other] = [await counting(), await counting()];
  await one.ask();
  expect(await other.ask()).toMatchObject({ cache: 'MISS' });
  const again = client(one.url);
  const { headers } = await again.submit(question);
  expect(headers.get('x-cache')).toBe('HIT');
});
