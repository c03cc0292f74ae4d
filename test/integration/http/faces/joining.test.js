/** Repeated requests: retries that join an orphaned job, and keys of several prompts. */
import { stopAll } from '../../../support/gateway/gateway.js';
import { entry, bearer } from '../../../support/gateway/keys.js';
import { until } from '../../../support/until.js';
import { startBefore } from '../../../support/gateway/upstream.js';

const PATH = '/v1/chat/completions';
const RETRY = { 'x-stainless-retry-count': '1' };
const body = { model: 'm', messages: [{ role: 'user', content: 'Paris?' }], stream: true };

let upstream;
let finishAnswers;
afterEach(stopAll);

/** A gateway whose upstream sends a first piece, and the rest after `finishAnswers()`. */
async function serve(options = {}) {
  const finished = new Promise((resolve) => (finishAnswers = resolve));
  const served = await startBefore(async (exchange) => {
    exchange.open();
    await exchange.delta('one ');
    await finished;
    await exchange.delta('two');
    await exchange.finish();
    await exchange.done();
    exchange.end();
  }, options);
  upstream = served.upstream;
  return served;
}

/** Sends a request; returns the answer's head, and a function that disconnects. */
async function ask(url, text, headers = {}) {
  const departure = new AbortController();
  const response = await fetch(url + PATH, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: text,
    signal: departure.signal,
  });
  const leave = async () => {
    departure.abort();
    await response.text().catch(() => {});
  };
  return { response, id: response.headers.get('x-sluice-job-id'), leave };
}

/** Repeats a request until it has joined the job, since a departure is seen a moment later. */
const joins = (url, text, id) =>
  until(async () => {
    const again = await ask(url, text, RETRY);
    if (again.id === id) return again;
    await again.leave();
    return undefined;
  }, 'a retry that joins');

test('a retry joins by the bytes of the body, not by their meaning', async () => {
  const { url } = await serve();
  const text = JSON.stringify(body);
  const first = await ask(url, text);
  await first.leave();
  const spaced = await ask(url, text.replace('{', '{ '), RETRY);
  expect(spaced.id).not.toBe(first.id);
  await spaced.leave();
  const again = await joins(url, text, first.id);
  finishAnswers();
  expect(await again.response.text()).toContain('"content":"two"');
});

test('a job read by its id in the meantime is orphaned again', async () => {
  const { url, get } = await serve();
  const text = JSON.stringify(body);
  const first = await ask(url, text);
  await first.leave();
  const departure = new AbortController();
  const reading = await fetch(
    `${url}${PATH}/chatcmpl-${first.id.slice('job_'.length)}?stream=true`,
    {
      signal: departure.signal,
    },
  );
  departure.abort();
  await reading.text().catch(() => {});
  expect((await get(`/v1/jobs/${first.id}`)).body.status).toBe('running');
  const again = await joins(url, text, first.id);
  finishAnswers();
  expect(await again.response.text()).toContain('[DONE]');
});

test('a key of 255 characters works for several prompts, and does not collide with another', async () => {
  const { post } = await serve();
  finishAnswers();
  const key = 'k'.repeat(255);
  const prompts = { model: 'm', prompt: ['a', 'b'] };
  const first = await post('/v1/completions', prompts, { 'idempotency-key': key });
  const second = await post('/v1/completions', prompts, { 'idempotency-key': key });
  expect([first.status, second.body]).toEqual([200, first.body]);
  expect(upstream.exchanges).toHaveLength(2);
  await post('/v1/completions', prompts, { 'idempotency-key': 'k' });
  const other = await post('/v1/completions', { prompt: 'c' }, { 'idempotency-key': 'k#1' });
  expect(other.status).toBe(200);
});

test('several prompts are admitted all or none, and their key is free after a refusal', async () => {
  const keys = [entry('ann', 'key-of-ann', { limits: { requests_per_minute: 3 } })];
  const { post, get } = await serve({ access: { keys } });
  finishAnswers();
  const headers = { ...bearer('key-of-ann'), 'idempotency-key': 'k' };
  const refused = await post(
    '/v1/completions',
    { model: 'm', prompt: ['a', 'b', 'c', 'd'] },
    headers,
  );
  expect([refused.status, refused.body.error.code]).toEqual([429, 'rate_limit_exceeded']);
  const { body: jobs } = await get('/v1/jobs', { headers: bearer('key-of-ann') });
  expect(jobs.data).toEqual([]);
  // The key belongs to no job: the same request passes admission again, and so does another one.
  const again = await post('/v1/completions', { model: 'm', prompt: 'other' }, headers);
  expect(again.body.error.code).toBe('rate_limit_exceeded');
});

test('a client that disconnects between its prompts has the usual time to return', async () => {
  const { url, get } = await serve({
    maxConcurrency: 1,
    incomingCapacity: 1,
    processingCapacity: 1,
    admissionWaitMs: 60_000,
  });
  const departure = new AbortController();
  const prompt = ['a', 'b', 'c', 'd', 'e'];
  const response = fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', prompt, sluice: { disconnect_grace_ms: 50 } }),
    signal: departure.signal,
  }).catch(() => {});
  await until(async () => (await get('/v1/jobs')).body.data.length >= 2, 'the first prompts');
  departure.abort();
  await response;
  const ended = await until(async () => {
    const { data } = (await get('/v1/jobs')).body;
    return data.every(({ status }) => status === 'cancelled') && data;
  }, 'the ends of the jobs');
  expect(new Set(ended.map(({ reason }) => reason))).toEqual(new Set(['client_disconnected']));
});
