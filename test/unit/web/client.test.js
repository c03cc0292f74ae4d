/** The browser client against a scripted gateway, over real HTTP, with npm's EventSource. */

import { EventSource } from 'eventsource';
import { createClient, SluiceClientError } from '../../../web/client.js';
import { ScriptedGateway } from '../../support/client/scripted-gateway.js';
import { until } from '../../support/until.js';

/** @type {ScriptedGateway} */
let gateway;
/** @type {ReturnType<typeof createClient>} */
let client;

const open = (options = {}) => createClient({ baseUrl: gateway.url, EventSource, ...options });

const METRICS = { queue_ms: 1, ttft_ms: 2, duration_ms: 3, tokens: 2, tokens_per_second: 4 };

beforeEach(async () => {
  gateway = await new ScriptedGateway().listen();
  client = open();
});

afterEach(async () => {
  client.close();
  await gateway.close();
});

test('unknown options are refused by name', async () => {
  expect(() => open({ multiplexed: true })).toThrow(
    'createClient has no option multiplexed; it takes baseUrl, apiKey,',
  );
  await expect(client.submit({ prompt: 'a' }, { idempotency_key: 'k' })).rejects.toThrow(
    'submit has no option idempotency_key; it takes idempotencyKey, signal',
  );
  expect(() => client.attach('job_x', { last_event_id: '1-1' })).toThrow(
    'attach has no option last_event_id; it takes lastEventId',
  );
  expect(() => client.conversations.list({ max: 5 })).toThrow('list has no option max');
  expect(gateway.requests).toEqual([]);
});

describe('submit', () => {
  test('streams the text, token by token, and ends with the terminal event', async () => {
    const job = await client.submit({ prompt: 'hi', max_tokens: 5 });
    expect(gateway.jobs.get(job.id).body).toEqual({ prompt: 'hi', max_tokens: 5 });
    expect(job.status).toBe('queued');
    const seen = [];
    const reading = (async () => {
      for await (const text of job) seen.push(text);
    })();
    await until(() => job.connection === 'open');
    gateway.tokens(job.id, 'Hel', 'lo\n"');
    const usage = { prompt_tokens: 1, completion_tokens: 2 };
    gateway.emit(job.id, '1-3', 'job_complete', { reason: 'stop', usage, metrics: METRICS });
    await reading;
    expect(seen).toEqual(['Hel', 'lo\n"']);
    const text = 'Hello\n"';
    const result = { status: 'completed', text, reason: 'stop', usage, metrics: METRICS };
    expect(await job.done).toEqual({ ...result, error: undefined });
    expect(job).toMatchObject({ ...result, tokens: 2, lastEventId: '1-3', ended: true });
    await until(() => gateway.streams === 0);
    expect(client.stats()).toEqual({ connections: 0, jobs: 0, fanIn: false });
  });

  test('repeats a POST that was cut or turned away, and makes one job', async () => {
    gateway.refusals.push({ path: '/v1/jobs', status: 0 }, { path: '/v1/jobs', status: 503 });
    const job = await client.submit({ prompt: 'hi' });
    expect(gateway.requests.filter((line) => line.startsWith('POST'))).toHaveLength(3);
    expect([...gateway.jobs.keys()]).toEqual([job.id]);
  });

  test('uses the given key', async () => {
    const first = await client.submit({ prompt: 'hi' }, { idempotencyKey: 'k' });
    const second = await client.submit({ prompt: 'hi' }, { idempotencyKey: 'k' });
    expect(second).toBe(first);
  });

  test('a refusal is a typed error and is not repeated', async () => {
    const error = { code: 'invalid_value', message: 'max_tokens: too big', param: 'max_tokens' };
    gateway.refusals.push({ path: '/v1/jobs', status: 400, body: { error } });
    const refused = client.submit({ prompt: 'hi', max_tokens: 1e9 });
    await expect(refused).rejects.toBeInstanceOf(SluiceClientError);
    await expect(refused).rejects.toMatchObject({ status: 400, ...error });
    expect(gateway.requests).toHaveLength(1);
  });

  test('a request beyond a whole limit is not repeated', async () => {
    const error = { code: 'request_exceeds_limit', message: 'too large', param: 'max_tokens' };
    const headers = { 'x-should-retry': 'false' };
    gateway.refusals.push({ path: '/v1/jobs', status: 429, body: { error }, headers });
    const refused = client.submit({ prompt: 'hi', max_tokens: 1e9 });
    await expect(refused).rejects.toMatchObject({ status: 429, ...error });
    expect(gateway.requests).toHaveLength(1);
  });

  test('an answer that is not JSON keeps its status', async () => {
    gateway.refusals.push({ path: '/v1/jobs', status: 418, body: '<h1>teapot' });
    await expect(client.submit({ prompt: 'x' })).rejects.toMatchObject({ code: 'http_418' });
  });

  test('an aborted submit rejects with the signal’s reason', async () => {
    const reason = new Error('never mind');
    const submit = client.submit({ prompt: 'x' }, { signal: AbortSignal.abort(reason) });
    await expect(submit).rejects.toBe(reason);
  });
});

describe('resume', () => {
  test('a cut at every event loses nothing and doubles nothing', async () => {
    const words = ['a', 'b', 'c', 'd', 'e', 'f'];
    const job = client.attach(gateway.addJob('job_x'));
    const reconnecting = jest.fn();
    job.on('reconnecting', reconnecting);
    const ids = [];
    job.on('token', (text, { id }) => ids.push(id));
    for (const [index, word] of words.entries()) {
      await until(() => gateway.streams === 1);
      gateway.tokens(job.id, word);
      await until(() => job.tokens === index + 1);
      gateway.cut();
    }
    gateway.emit(job.id, '1-7', 'job_complete', { reason: 'stop', metrics: METRICS });
    expect((await job.done).text).toBe('abcdef');
    expect(ids).toEqual(['1-1', '1-2', '1-3', '1-4', '1-5', '1-6']);
    expect(reconnecting.mock.calls.length).toBeGreaterThanOrEqual(words.length);
    expect(reconnecting.mock.calls[0]).toEqual([{ attempt: 1, lastEventId: '1-1' }]);
  });

  test('disconnect keeps the position, reconnect continues from it', async () => {
    const job = client.attach(gateway.addJob('job_x'));
    await until(() => gateway.streams === 1);
    gateway.tokens(job.id, 'one ', 'two ');
    await until(() => job.tokens === 2);
    job.disconnect();
    expect(job.connection).toBe('closed');
    await until(() => gateway.streams === 0);
    gateway.tokens(job.id, 'three ');
    const opened = new Promise((resolve) => job.on('open', resolve));
    job.reconnect();
    expect(await opened).toEqual({ resumedFrom: '1-2' });
    await until(() => job.tokens === 3);
    expect(job.text).toBe('one two three ');
    expect(gateway.cursors).toEqual(['', '1-2']);
  });

  test('repeated events are dropped', async () => {
    const job = client.attach(gateway.addJob('job_x'));
    await until(() => gateway.streams === 1);
    gateway.tokens(job.id, 'a', 'b');
    gateway.sendRaw('id: 1-1\nevent: token\ndata: {"job_id":"job_x","token":"a"}\n\n');
    gateway.sendRaw('id: 1-2\nevent: token\ndata: {"job_id":"job_x","token":"b"}\n\n');
    gateway.emit(job.id, '1-3', 'token', { token: 'c' });
    await until(() => job.lastEventId === '1-3');
    expect(job.text).toBe('abc');
  });

  test('a retry forgets the text', async () => {
    const job = client.attach(gateway.addJob('job_x'));
    const retried = jest.fn();
    job.on('retry', retried);
    await until(() => gateway.streams === 1);
    gateway.tokens(job.id, 'wrong');
    gateway.emit(job.id, '2-0', 'job_retry', { attempt: 2 });
    gateway.emit(job.id, '2-1', 'token', { token: 'right' });
    await until(() => job.lastEventId === '2-1');
    expect(job).toMatchObject({ text: 'right', tokens: 1 });
    expect(retried).toHaveBeenCalledWith({ job_id: 'job_x', attempt: 2 });
  });

  test('after a gap the text is the part that the server still has', async () => {
    const job = client.attach(gateway.addJob('job_x'), { lastEventId: '1-90' });
    const gaps = [];
    job.on('gap', (gap) => gaps.push(gap));
    await until(() => gateway.streams === 1);
    const gap = { job_id: 'job_x', requested: '1-90', earliest: '1-3', latest: '1-4' };
    gateway.sendRaw(`event: gap\ndata: ${JSON.stringify(gap)}\n\n`);
    gateway.emit(job.id, '1-3', 'token', { token: 'c' });
    gateway.emit(job.id, '1-4', 'token', { token: 'd' });
    await until(() => job.lastEventId === '1-4');
    expect(job.text).toBe('cd');
    expect(gaps).toEqual([gap]);
  });
});

describe('answers that an EventSource treats as final', () => {
  test('404 is an error named job_not_found, and the job is gone', async () => {
    const job = client.attach('job_never');
    const error = await new Promise((resolve) => job.on('error', resolve));
    expect(error).toMatchObject({ code: 'job_not_found', status: 404 });
    expect(await job.done).toMatchObject({ status: 'gone' });
    await expect(job[Symbol.asyncIterator]().next()).rejects.toBe(error);
  });

  test('204 at the terminal event: finished from the job itself', async () => {
    gateway.addJob('job_x');
    gateway.tokens('job_x', 'all', ' of it');
    gateway.emit('job_x', '1-3', 'job_complete', { reason: 'length', metrics: METRICS });
    const job = client.attach('job_x', { lastEventId: '1-3' });
    const result = { status: 'completed', text: 'all of it', reason: 'length', metrics: METRICS };
    expect(await job.done).toMatchObject(result);
  });

  test('503 is tried again until the stream opens', async () => {
    gateway.refusals.push({ path: '/v1/stream', status: 503 });
    const job = client.attach(gateway.addJob('job_x'));
    await until(() => job.connection === 'reconnecting');
    await until(() => gateway.streams === 1);
    gateway.tokens(job.id, 'late');
    await until(() => job.text === 'late');
  });

  test('ended while the stream was refused: finished without one', async () => {
    gateway.addJob('job_x');
    gateway.tokens('job_x', 'half');
    const error = { code: 'upstream_stalled', message: 'silent', type: 'upstream_error' };
    gateway.emit('job_x', '1-2', 'job_error', { error });
    gateway.refusals.push({ path: '/v1/stream', status: 500 });
    const result = await client.attach('job_x').done;
    expect(result).toMatchObject({ status: 'failed', text: 'half', error });
  });
});

describe('endings', () => {
  test('a finished job replays whole', async () => {
    gateway.addJob('job_x');
    gateway.tokens('job_x', 'a', 'b');
    gateway.emit('job_x', '1-3', 'job_complete', { reason: 'stop' });
    const job = client.attach('job_x');
    const seen = [];
    for await (const text of job) seen.push(text);
    expect(seen).toEqual(['a', 'b']);
    const again = [];
    for await (const text of job) again.push(text);
    expect(again).toEqual(['ab']);
  });

  test('cancel ends the iteration without an error, with its status', async () => {
    const job = await client.submit({ prompt: 'hi' });
    const cancelled = jest.fn();
    job.on('cancelled', cancelled);
    await until(() => gateway.streams === 1);
    gateway.tokens(job.id, 'a');
    expect(await job.cancel()).toMatchObject({ status: 'cancelled' });
    for await (const text of job) expect(text).toBe('a');
    expect(await job.done).toMatchObject({ status: 'cancelled', reason: 'client_request' });
    expect(cancelled).toHaveBeenCalledTimes(1);
    expect(await job.cancel()).toMatchObject({ status: 'cancelled' });
  });

  test('cancel of a dropped job needs no stream', async () => {
    const job = await client.submit({ prompt: 'hi' });
    job.disconnect();
    await job.cancel();
    expect(await job.done).toMatchObject({ status: 'cancelled', reason: 'client_request' });
  });

  test('an error or a shutdown is thrown at the end of the iteration', async () => {
    const failed = client.attach(gateway.addJob('job_f'));
    const stopped = client.attach(gateway.addJob('job_s'));
    await until(() => gateway.streams === 2);
    const error = { code: 'provider_error', message: 'no', type: 'provider_error' };
    gateway.emit('job_f', '1-1', 'job_error', { error });
    gateway.emit('job_s', '1-1', 'job_cancelled', { reason: 'shutdown' });
    const drain = async (job) => {
      for await (const text of job) throw new Error(`unexpected text ${text}`);
    };
    await expect(drain(failed)).rejects.toMatchObject(error);
    await expect(drain(stopped)).rejects.toMatchObject({ code: 'job_cancelled' });
  });

  test('close settles everything that waits', async () => {
    const job = client.attach(gateway.addJob('job_x'));
    const onError = jest.fn();
    job.on('error', onError);
    const next = job[Symbol.asyncIterator]().next();
    client.close();
    await expect(next).rejects.toMatchObject({ code: 'client_closed' });
    expect(await job.done).toMatchObject({ status: 'queued', error: { code: 'client_closed' } });
    await expect(client.submit({ prompt: 'x' })).rejects.toMatchObject({ code: 'client_closed' });
    expect(onError).not.toHaveBeenCalled();
    await until(() => gateway.streams === 0);
  });

  test('breaking out of the loop frees that reader only', async () => {
    const job = client.attach(gateway.addJob('job_x'));
    await until(() => gateway.streams === 1);
    gateway.tokens(job.id, 'a', 'b');
    for await (const text of job) if (text.length > 0) break;
    gateway.tokens(job.id, 'c');
    await until(() => job.tokens === 3);
    expect(job.text).toBe('abc');
  });

  test('an unsubscribed listener is not called', async () => {
    const job = client.attach(gateway.addJob('job_x'));
    const listener = jest.fn();
    const off = job.on('token', listener);
    await until(() => gateway.streams === 1);
    gateway.tokens(job.id, 'a');
    await until(() => job.tokens === 1);
    off();
    gateway.tokens(job.id, 'b');
    await until(() => job.tokens === 2);
    expect(listener.mock.calls).toEqual([['a', { id: '1-1' }]]);
  });
});

describe('many jobs', () => {
  const ids = (count) => Array.from({ length: count }, (_, index) => `job_${index}`);

  test('up to four have a connection each, a fifth makes them share one', async () => {
    const jobs = ids(4).map((id) => client.attach(gateway.addJob(id)));
    await until(() => gateway.streams === 4);
    for (const job of jobs) gateway.tokens(job.id, `${job.id} one `);
    await until(() => jobs.every((job) => job.tokens === 1));
    jobs.push(client.attach(gateway.addJob('job_4')));
    await until(() => gateway.streams === 1 && jobs.every((job) => job.connection === 'open'));
    expect(client.stats()).toEqual({ connections: 1, jobs: 5, fanIn: true });
    expect(gateway.cursors.at(-1)).toBe('job_0:1-1,job_1:1-1,job_2:1-1,job_3:1-1');
    for (const job of jobs) gateway.tokens(job.id, 'two');
    await until(() => jobs.every((job) => job.text.endsWith('two')));
    expect(jobs.map((job) => job.text)).toEqual([...ids(4).map((id) => `${id} one two`), 'two']);
    expect(jobs.map((job) => job.lastEventId)).toEqual(['1-2', '1-2', '1-2', '1-2', '1-1']);
  });

  test('a shared connection survives cuts, endings and a job that is purged', async () => {
    client = open({ multiplex: true });
    const jobs = ids(3).map((id) => client.attach(gateway.addJob(id)));
    await until(() => gateway.streams === 1);
    for (const job of jobs) gateway.tokens(job.id, 'a');
    await until(() => jobs.every((job) => job.tokens === 1));
    gateway.emit('job_0', '1-2', 'job_complete', { reason: 'stop' });
    await jobs[0].done;
    gateway.jobs.delete('job_1');
    gateway.cut();
    expect(await jobs[1].done).toMatchObject({ status: 'gone', error: { code: 'job_not_found' } });
    await until(() => gateway.streams === 1);
    expect(gateway.cursors.at(-1)).toBe('job_2:1-1');
    gateway.tokens('job_2', 'b');
    gateway.emit('job_2', '1-3', 'job_complete', { reason: 'stop' });
    expect(await jobs[2].done).toMatchObject({ status: 'completed', text: 'ab' });
    await until(() => gateway.streams === 0);
  });

  test('one purged job among many is no outage for the others', async () => {
    client = open({ multiplex: true });
    const live = client.attach(gateway.addJob('job_0'));
    const gone = client.attach('job_never');
    const reconnecting = jest.fn();
    live.on('reconnecting', reconnecting);
    expect(await gone.done).toMatchObject({ status: 'gone' });
    await until(() => live.connection === 'open');
    expect(reconnecting).not.toHaveBeenCalled();
  });

  test('one of many can be dropped and resumed', async () => {
    client = open({ multiplex: true });
    const [first, second] = ids(2).map((id) => client.attach(gateway.addJob(id)));
    await until(() => second.connection === 'open');
    gateway.tokens('job_0', 'a');
    await until(() => first.tokens === 1);
    first.disconnect();
    await until(() => gateway.requests.at(-1) === 'GET /v1/events?job_id=job_1');
    gateway.tokens('job_0', 'b');
    gateway.tokens('job_1', 'x');
    await until(() => second.text === 'x');
    expect(first.text).toBe('a');
    first.reconnect();
    await until(() => first.text === 'ab');
    expect(gateway.cursors.at(-1)).toBe('job_0:1-1,job_1:1-1'.split(',').reverse().join(','));
  });

  test('more than 64 jobs spread over connections', async () => {
    client = open({ multiplex: true });
    const jobs = ids(65).map((id) => client.attach(gateway.addJob(id)));
    await until(() => gateway.streams === 2);
    for (const job of jobs) gateway.tokens(job.id, job.id);
    await until(() => jobs.every((job) => job.text === job.id));
  });
});

test('bad options are refused by name', () => {
  expect(() => createClient({ multiplex: 'yes' })).toThrow(/multiplex/);
  expect(() => createClient({ submitRetriesMax: -1 })).toThrow(/submitRetriesMax/);
});

test('without an EventSource the error names it', async () => {
  const bare = createClient({ baseUrl: gateway.url });
  const job = bare.attach(gateway.addJob('job_x'));
  expect((await job.done).error).toMatchObject({ code: 'eventsource_missing' });
});
