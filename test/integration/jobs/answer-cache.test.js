/** Stored answers: replay, time to live, bounds, callers, headers and metrics. */
import { ManualClock, providers } from '../../../lib/index.js';
import { client, start, stopAll } from '../../support/gateway/gateway.js';
import { echo } from '../../support/providers/providers.js';
import { until } from '../../support/until.js';
import { createGateway } from '../../support/gateway/parts.js';
import { mockUpstream } from '../../support/gateway/upstream.js';
import { question, byHand, counting, hidden } from '../../support/gateway/answer-cache.js';

afterEach(stopAll);

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
    expect(await server.metric('sluice_cache_lookups_total{result="hit"}')).toBe(1);
    expect(await server.metric('sluice_cache_bytes')).toBeGreaterThan(13);
    const job = await server.gateway.submit(question);
    expect(job.cache).toBe('hit');
  });

  test('a hit needs no place', async () => {
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

  test('only on request, or if temperature is 0', async () => {
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

  test('none with caching off at the gateway', async () => {
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

  test('an older answer that ends later does not replace a newer one', async () => {
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
  ])('for the time set by %s', async (_, cache, ofJob, ttlMs) => {
    const clock = new ManualClock();
    const { ask, gateway, metric } = await counting({ clock, cache });
    const body = { ...question, cache: ofJob };
    const first = await ask(body);
    clock.advanceMs(ttlMs);
    expect(await ask(body)).toMatchObject({ cache: 'HIT' });
    clock.advanceMs(1);
    expect(await ask(body)).toMatchObject({ cache: 'MISS', text: 'What is it? 2' });
    expect(await hidden(gateway, first.id)).toBe(null);
    clock.advanceMs(ttlMs + 1);
    expect(await metric('sluice_cache_entries')).toBe(0);
    expect(await metric('sluice_cache_bytes')).toBe(0);
  });

  test('with ttl_s 0, shared only while it runs', async () => {
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
  ])('up to %s', async (_, cache) => {
    const { ask, gateway, metric, job } = await counting({ cache });
    const first = await ask({ ...question, prompt: 'a' });
    await ask({ ...question, prompt: 'b' });
    expect(await metric('sluice_cache_entries')).toBe(1);
    expect(await hidden(gateway, first.id)).toBe(null);
    expect((await job(first.id)).text).toBe('a 1');
    expect(await ask({ ...question, prompt: 'b' })).toMatchObject({ cache: 'HIT' });
    expect(await ask({ ...question, prompt: 'a' })).toMatchObject({ cache: 'MISS' });
  });

  test('longer than the job that started it, with a separate retention', async () => {
    const clock = new ManualClock();
    const { ask, get } = await counting({ clock, retentionMs: 1000 });
    const first = await ask();
    clock.advanceMs(1000);
    expect((await get(`/v1/jobs/${first.id}`)).status).toBe(404);
    expect(await ask()).toMatchObject({ cache: 'HIT', text: 'What is it? 1' });
  });

  test('no answer cut at its length, by the gateway or the provider', async () => {
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

  test('and none is joined once it has', async () => {
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
  ])('a wrong field is named: %j', async (cache, param, code) => {
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
  ])('a wrong option is named: %j', (cache, message) => {
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

  test('each job has a line in the log, its hidden answer none', async () => {
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
