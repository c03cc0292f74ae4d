/** The life of a job over HTTP: submit, read, list, cancel in every phase, limits. */
import express from 'express';
import { once } from 'node:events';
import { createGateway, SluiceError } from '../../lib/index.js';
import { client, start, stopAll } from '../fixtures/gateway.js';
import { echo, handProvider } from '../fixtures/providers.js';
import { until, untilStill } from '../fixtures/until.js';

afterEach(stopAll);

test('a prompt becomes a job, streams, completes and can be read', async () => {
  const { submit, stream, job } = await start({ provider: echo });
  const beforeS = Math.floor(Date.now() / 1000);
  const created = await submit({ prompt: 'one two three', metadata: { tab: 7 } });
  expect(created.status).toBe(201);
  const { job_id: id } = created.body;
  expect(id).toMatch(/^job_[\w-]{24,}$/);
  expect(created.body).toEqual({
    job_id: id,
    status: 'queued',
    stream_url: `/v1/stream?job_id=${id}`,
    created_at: expect.any(Number),
  });
  expect(created.body.created_at).toBeGreaterThanOrEqual(beforeS);
  expect(created.body.created_at).toBeLessThanOrEqual(Math.floor(Date.now() / 1000));
  expect(created.headers.get('location')).toBe(`/v1/jobs/${id}`);

  const events = await (await stream(created.body.stream_url)).done;
  const tokens = events.filter(({ type }) => type === 'token').map(({ data }) => data.token);
  expect(tokens).toEqual(['one ', 'two ', 'three']);
  const last = events.at(-1);
  expect(last.type).toBe('job_complete');
  expect(last.data).toMatchObject({ job_id: id, reason: 'stop' });
  // 13 bytes of prompt, a token per four.
  expect(last.data.usage).toEqual({ prompt_tokens: 4, completion_tokens: 3 });

  expect(await job(id)).toEqual({
    job_id: id,
    status: 'completed',
    model: 'echo',
    created_at: created.body.created_at,
    text: 'one two three',
    usage: last.data.usage,
    metrics: last.data.metrics,
    reason: 'stop',
    metadata: { tab: 7 },
  });
});

test('a function is asked for whatever model the job names', async () => {
  const { submit, ended } = await start({
    provider: async function* own({ model }) {
      yield model;
    },
  });
  for (const model of [undefined, 'another']) {
    const { status, body } = await submit({ prompt: 'x', model });
    expect(status).toBe(201);
    const name = model ?? 'own';
    expect(await ended(body.job_id)).toMatchObject({ model: name, text: name });
  }
});

test('the provider gets what was asked for', async () => {
  const { provider, call } = handProvider();
  const { submit, ended } = await start({ provider });
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hi' },
  ];
  const { body } = await submit({ messages, max_tokens: 9, temperature: 0.5, stop: 'END' });
  const { request, end } = await call(0);
  expect(request).toMatchObject({
    id: body.job_id,
    messages,
    model: 'hand',
    maxTokens: 9,
    temperature: 0.5,
    stop: ['END'],
  });
  expect(request.prompt).toBeUndefined();
  end({ reason: 'length', usage: { prompt_tokens: 11, completion_tokens: 22 } });
  expect(await ended(body.job_id)).toMatchObject({
    status: 'completed',
    reason: 'length',
    text: '',
    usage: { prompt_tokens: 11, completion_tokens: 22 },
  });
});

test('a job is queued, then running, and its text grows', async () => {
  const { provider, call } = handProvider();
  const { submit, job } = await start({ provider, maxInFlightBatches: 1 });
  const first = (await submit({ prompt: 'a' })).body.job_id;
  const second = (await submit({ prompt: 'b' })).body.job_id;
  const run = await call(0);
  run.push('so ');
  run.push('far');
  await until(async () => (await job(first)).text === 'so far', 'both tokens');
  expect((await job(first)).status).toBe('running');
  expect(await job(second)).toMatchObject({ status: 'queued', text: '' });
});

describe('the list', () => {
  test('is newest first, in pages, and by status', async () => {
    const { submit, get, ended, cancel } = await start({ provider: echo });
    const ids = [];
    for (let i = 0; i < 5; i += 1) ids.push((await submit({ prompt: `p${i}` })).body.job_id);
    for (const id of ids) await ended(id);
    const newest = ids.toReversed();
    const idsOf = ({ body }) => body.data.map(({ job_id: id }) => id);

    const all = await get('/v1/jobs');
    expect(idsOf(all)).toEqual(newest);
    expect(all.body.has_more).toBe(false);
    expect(all.body.data[0]).toMatchObject({ status: 'completed', model: 'echo', reason: 'stop' });

    const first = await get('/v1/jobs?limit=2');
    expect(idsOf(first)).toEqual(newest.slice(0, 2));
    expect(first.body.has_more).toBe(true);
    const second = await get(`/v1/jobs?limit=2&after=${newest[1]}`);
    expect(idsOf(second)).toEqual(newest.slice(2, 4));
    expect(second.body.has_more).toBe(true);
    const third = await get(`/v1/jobs?limit=2&after=${newest[3]}`);
    expect(idsOf(third)).toEqual(newest.slice(4));
    expect(third.body.has_more).toBe(false);

    expect(idsOf(await get('/v1/jobs?status=completed&limit=1'))).toEqual([newest[0]]);
    expect(idsOf(await get('/v1/jobs?status=cancelled'))).toEqual([]);
    await cancel(ids[0]);
    expect(idsOf(await get('/v1/jobs?status=failed'))).toEqual([]);
  });

  test('has 20 to a page unless asked otherwise', async () => {
    const { gateway, get } = await start({ provider: echo });
    for (let i = 0; i < 21; i += 1) await gateway.submit({ prompt: 'p' });
    const { body } = await get('/v1/jobs');
    expect(body.data).toHaveLength(20);
    expect(body.has_more).toBe(true);
  });

  test('forgets the oldest finished jobs beyond the bound', async () => {
    const { submit, ended, get } = await start({ provider: echo, maxRetainedJobs: 2 });
    const ids = [];
    for (let i = 0; i < 4; i += 1) {
      ids.push((await submit({ prompt: 'p' })).body.job_id);
      await ended(ids[i]);
    }
    const { body } = await get('/v1/jobs');
    expect(body.data.map(({ job_id: id }) => id)).toEqual([ids[3], ids[2]]);
    expect((await get(`/v1/jobs/${ids[0]}`)).status).toBe(404);
    expect((await get(`/v1/stream?job_id=${ids[0]}`)).status).toBe(404);
  });
});

describe('cancel', () => {
  test('in the queue: the provider never hears of the job, its neighbours run', async () => {
    const { provider, calls, call } = handProvider();
    const { submit, cancel, ended } = await start({ provider, maxInFlightBatches: 1 });
    const ids = [];
    for (const prompt of ['a', 'b', 'c']) ids.push((await submit({ prompt })).body.job_id);
    const first = await call(0);
    const { status, body } = await cancel(ids[1]);
    expect(status).toBe(200);
    expect(body).toMatchObject({ job_id: ids[1], status: 'cancelled', reason: 'client_request' });
    first.end();
    (await call(1)).end();
    await ended(ids[2]);
    expect(calls.map(({ request }) => request.prompt)).toEqual(['a', 'c']);
  });

  test('before the first token: the provider is told, the slot is free again', async () => {
    const { provider, call } = handProvider();
    const { submit, cancel, ended } = await start({ provider, maxInFlightBatches: 1 });
    const id = (await submit({ prompt: 'a' })).body.job_id;
    const run = await call(0);
    expect((await cancel(id)).body.status).toBe('cancelled');
    await run.aborted;
    await until(() => run.returned, 'the provider to return');
    const next = (await submit({ prompt: 'b' })).body.job_id;
    (await call(1)).end();
    expect((await ended(next)).status).toBe('completed');
  });

  test('in the middle: what was said stays, the stream gets its terminal event', async () => {
    const { provider, call } = handProvider();
    const { submit, cancel, stream, job } = await start({ provider });
    const { body: created } = await submit({ prompt: 'a' });
    const open = await stream(created.stream_url);
    const run = await call(0);
    run.push('half');
    await until(() => open.events.length === 1, 'the first token');
    const { body } = await cancel(created.job_id);
    expect(body).toMatchObject({ status: 'cancelled', reason: 'client_request', text: 'half' });
    await run.aborted;
    run.push('never seen');
    const events = await open.done;
    expect(events.at(-1)).toMatchObject({
      type: 'job_cancelled',
      data: { job_id: created.job_id, reason: 'client_request' },
    });
    expect(await job(created.job_id)).toEqual(body);
  });

  test('a provider that hears nothing does not keep its slot', async () => {
    let calls = 0;
    async function* deaf({ prompt }) {
      calls += 1;
      if (prompt === 'hang') await new Promise(() => {});
      yield 'ok';
    }
    const { submit, cancel, ended } = await start({ provider: deaf, maxInFlightBatches: 1 });
    const id = (await submit({ prompt: 'hang' })).body.job_id;
    await until(() => calls === 1, 'the first call');
    await cancel(id);
    const next = (await submit({ prompt: 'go' })).body.job_id;
    expect(await ended(next)).toMatchObject({ status: 'completed', text: 'ok' });
  });

  test('is idempotent, and changes nothing about a finished job', async () => {
    const { provider, call } = handProvider();
    const { submit, cancel, ended } = await start({ provider });
    const id = (await submit({ prompt: 'a' })).body.job_id;
    await call(0);
    const first = await cancel(id);
    const second = await cancel(id);
    expect(second.status).toBe(200);
    expect(second.body).toEqual(first.body);

    const other = (await submit({ prompt: 'b' })).body.job_id;
    const run = await call(1);
    run.push('done');
    run.end();
    const finished = await ended(other);
    expect((await cancel(other)).body).toEqual(finished);
    expect(finished.status).toBe('completed');
    expect(run.signal.aborted).toBe(false);
  });

  test('of an unknown job is 404', async () => {
    const { cancel } = await start({ provider: echo });
    const { status, body } = await cancel('job_nobody');
    expect(status).toBe(404);
    expect(body.error.code).toBe('job_not_found');
  });
});

describe('limits and failures', () => {
  test('max_tokens ends the job with reason length and returns the iterator', async () => {
    let cleaned = false;
    async function* endless() {
      try {
        for (;;) yield 'x';
      } finally {
        cleaned = true;
      }
    }
    const { submit, ended } = await start({ provider: endless });
    const { body } = await submit({ prompt: 'a', max_tokens: 3 });
    expect(await ended(body.job_id)).toMatchObject({
      status: 'completed',
      reason: 'length',
      text: 'xxx',
      usage: { completion_tokens: 3 },
    });
    await until(() => cleaned, 'the iterator to be returned');
  });

  test('max_wall_ms ends the job and reaches the provider', async () => {
    const { provider, call } = handProvider();
    const { submit, ended } = await start({ provider });
    const { body } = await submit({ prompt: 'a', max_wall_ms: 50 });
    await (
      await call(0)
    ).aborted;
    expect(await ended(body.job_id)).toMatchObject({
      status: 'failed',
      error: { code: 'wall_time_exceeded', type: 'timeout_error' },
    });
  });

  test('max_wall_ms counts in the queue too', async () => {
    const { provider, calls, call } = handProvider();
    const { submit, ended } = await start({ provider, maxInFlightBatches: 1 });
    await submit({ prompt: 'a' });
    await call(0);
    const { body } = await submit({ prompt: 'b', max_wall_ms: 50 });
    expect((await ended(body.job_id)).error.code).toBe('wall_time_exceeded');
    calls[0].end();
    await submit({ prompt: 'c' });
    expect((await call(1)).request.prompt).toBe('c');
  });

  test.each([
    [
      'throws',
      async function* throws() {
        yield 'some';
        throw new Error('out of ink');
      },
      'out of ink',
      'some',
    ],
    [
      'throws at once',
      () => {
        throw new Error('no pen');
      },
      'no pen',
      '',
    ],
    [
      'yields no text',
      async function* odd() {
        yield 7;
      },
      'The provider yielded a value of type number where text belongs.',
      '',
    ],
  ])('a provider that %s fails its own job', async (_, provider, message, text) => {
    const { submit, ended } = await start({ provider });
    const { body } = await submit({ prompt: 'a' });
    expect(await ended(body.job_id)).toMatchObject({
      status: 'failed',
      text,
      error: { code: 'provider_error', message, type: 'provider_error' },
    });
  });

  test('a character that the provider divides is whole in every token', async () => {
    async function* halves() {
      yield 'a\ud83d';
      yield '\ude00';
      yield 'b\ud83d';
    }
    const { submit, stream } = await start({ provider: halves });
    const { body } = await submit({ prompt: 'a' });
    const events = await (await stream(body.stream_url)).done;
    const tokens = events.filter(({ type }) => type === 'token').map(({ data }) => data.token);
    // The last half never gets its other one: U+FFFD stands for it.
    expect(tokens).toEqual(['a', '😀', 'b', '\ufffd']);
  });

  test('a reader that is behind makes the provider wait', async () => {
    let made = 0;
    async function* eager() {
      for (; made < 100_000; made += 1) yield 'x'.repeat(1000);
    }
    const { gateway } = await start({ provider: eager, streamCapacity: 16, logBytesMax: 1 << 29 });
    const { id } = await gateway.submit({ prompt: 'a' });
    const events = gateway.stream(id)[Symbol.asyncIterator]();
    await events.next();
    await untilStill(() => made, 'the provider to wait', { pauseMs: 50 });
    // The window, and what a batch or two on the way to the reader may hold.
    expect(made).toBeLessThan(1000);
    await gateway.cancel(id);
  });
});

test('the router mounts under a prefix and passes on what is not its own', async () => {
  const gateway = createGateway({ provider: echo, logger: false });
  const app = express();
  app.use('/ai', gateway.router());
  app.get('/ai/mine', (_req, res) => res.send('mine'));
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { submit, get, stream } = client(`http://127.0.0.1:${server.address().port}`);
    expect((await get('/ai/mine')).body).toBe('mine');
    expect((await submit({ prompt: 'a' })).status).toBe(404);
    const { post } = client(`http://127.0.0.1:${server.address().port}/ai`);
    const { status, headers, body } = await post('/v1/jobs', { prompt: 'hello there' });
    expect(status).toBe(201);
    expect(headers.get('location')).toBe(`/ai/v1/jobs/${body.job_id}`);
    expect(body.stream_url).toBe(`/ai/v1/stream?job_id=${body.job_id}`);
    expect((await (await stream(body.stream_url)).done).at(-1).type).toBe('job_complete');
    expect((await get(headers.get('location'))).body.text).toBe('hello there');
  } finally {
    await gateway.close({ drainMs: 0 });
    server.close();
  }
});

describe('the JS API', () => {
  test('submits, streams, reads, lists and cancels', async () => {
    const { gateway } = await start({ provider: echo });
    const job = await gateway.submit({ prompt: 'one two' });
    expect(job).toEqual({
      id: expect.stringMatching(/^job_/),
      status: 'queued',
      createdAt: expect.any(Number),
      streamUrl: `/v1/stream?job_id=${job.id}`,
      replayed: false,
    });
    const types = [];
    for await (const { type } of gateway.stream(job.id)) types.push(type);
    expect(types).toEqual(['token', 'token', 'job_complete']);
    expect(await gateway.get(job.id)).toMatchObject({ id: job.id, text: 'one two' });
    expect(await gateway.get(job.id, { principal: 'somebody else' })).toBeUndefined();
    expect(await gateway.list()).toMatchObject({ data: [{ id: job.id }], hasMore: false });
    expect(await gateway.cancel(job.id)).toMatchObject({ status: 'completed' });
    await expect(gateway.cancel('job_x')).rejects.toMatchObject({ code: 'ERR_JOB_NOT_FOUND' });
    expect(() => gateway.stream('job_x')).toThrow(expect.objectContaining({ status: 404 }));
  });

  test('refuses what HTTP refuses', async () => {
    const { gateway } = await start({ provider: echo });
    await expect(gateway.submit({})).rejects.toMatchObject({
      code: 'ERR_MISSING_FIELD',
      param: 'prompt',
    });
    const loop = {};
    loop.self = loop;
    await expect(gateway.submit({ prompt: 'a', metadata: loop })).rejects.toMatchObject({
      code: 'ERR_INVALID_VALUE',
    });
  });

  test('a caller may stop waiting for admission', async () => {
    const { provider, call } = handProvider();
    const { gateway } = await start({
      provider,
      maxInFlightBatches: 1,
      processingCapacity: 1,
      incomingCapacity: 1,
      admissionWaitMs: 60_000,
    });
    await gateway.submit({ prompt: 'a' });
    await call(0);
    const controller = new AbortController();
    const waiting = [];
    for (let i = 0; i < 6; i += 1) {
      waiting.push(gateway.submit({ prompt: 'b' }, { signal: controller.signal }));
    }
    setTimeout(() => controller.abort(new Error('enough')), 50);
    const settled = await Promise.allSettled(waiting);
    const refused = settled.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused) expect(reason.message).toBe('enough');
  });
});

test.each([
  [{}, TypeError, /^provider takes/],
  [{ provider: echo, maxInFlightBatches: 0 }, RangeError, /^maxInFlightBatches takes/],
  [{ provider: echo, batching: { maxBatchSize: '8' } }, TypeError, /^batching\.maxBatchSize takes/],
  [{ provider: echo, batching: { size: 8 } }, TypeError, /^batching has no option size/],
  [{ provider: echo, maxInflight: 1 }, TypeError, /no option maxInflight/],
  [{ provider: echo, retry: { attempts: 0 } }, RangeError, /^retry\.attempts takes/],
  [{ provider: echo, onDisconnect: 'wait' }, RangeError, /^onDisconnect takes/],
  [{ provider: echo, logger: 'x' }, TypeError, /^logger takes/],
  [{ provider: echo, clock: Date }, TypeError, /^clock takes/],
  [{ provider: { generate: echo } }, TypeError, /^provider\.models takes/],
])('bad options %# are refused by name', (options, type, message) => {
  let error;
  try {
    createGateway(options);
  } catch (thrown) {
    error = thrown;
  }
  expect(error?.name).toBe(type.name);
  expect(error).toBeInstanceOf(SluiceError);
  expect(error.code).toBe(type === TypeError ? 'ERR_INVALID_TYPE' : 'ERR_INVALID_VALUE');
  expect(error.message).toMatch(message);
});
