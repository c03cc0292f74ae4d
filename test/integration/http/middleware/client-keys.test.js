/** The browser client with a key, in Node: headers, signed addresses, failures. */
import { getEventListeners } from 'node:events';
import { EventSource } from 'eventsource';
import { SluiceClientError, createClient } from '../../../../web/client.js';
import { cleanUp, start, stopAll } from '../../../support/gateway/gateway.js';
import { echo, handProvider } from '../../../support/providers/providers.js';
import { bearer, entry } from '../../../support/gateway/keys.js';
import { until } from '../../../support/until.js';

afterEach(stopAll);

const key = 'key-of-ann';
const access = { keys: [entry('ann', key), entry('bob', 'key-of-bob')] };

/** A gateway with keys, and a client; `requests` are the received ones, as `METHOD path`. */
async function connected(options, clientOptions) {
  const server = await start({ provider: echo, access, ...options });
  const requests = [];
  server.server.on('request', ({ method, url }) => requests.push(`${method} ${url.split('?')[0]}`));
  const client = createClient({ baseUrl: server.url, EventSource, apiKey: key, ...clientOptions });
  cleanUp(() => client.close());
  return { ...server, requests, client };
}

test('a submission returns the address of its stream: two requests suffice', async () => {
  const { client, requests } = await connected();
  const job = await client.submit({ prompt: 'one two' });
  expect(await job.done).toMatchObject({ status: 'completed', text: 'one two' });
  expect(requests).toEqual(['POST /v1/jobs', 'GET /v1/stream']);
});

test('a job taken up later has its address signed first', async () => {
  const { client, requests, submit } = await connected();
  const { body } = await submit({ prompt: 'one two' }, bearer(key));
  requests.length = 0;
  const job = client.attach(body.job_id);
  expect(await job.done).toMatchObject({ status: 'completed', text: 'one two' });
  expect(requests).toEqual(['POST /v1/stream_url', 'GET /v1/stream']);
});

test('many jobs on one connection, whose submissions may share a signal', async () => {
  const { client } = await connected({}, { multiplex: true });
  const prompts = Array.from({ length: 12 }, (_, i) => `job ${i}`);
  const { signal } = new AbortController();
  const submitted = prompts.map((prompt) => client.submit({ prompt }, { signal }));
  // Eleven listeners on one signal are a leak, as Node sees it.
  expect(getEventListeners(signal, 'abort').length).toBeLessThanOrEqual(1);
  const jobs = await Promise.all(submitted);
  const results = await Promise.all(jobs.map((job) => job.done));
  expect(results.map(({ text }) => text)).toEqual(prompts);
});

test("headers of one's own do as well", async () => {
  const { client } = await connected({}, { apiKey: undefined, headers: bearer(key) });
  const job = await client.submit({ prompt: 'a' });
  job.disconnect();
  job.reconnect();
  expect(await job.done).toMatchObject({ status: 'completed', text: 'a' });
});

test('without keys no address is signed, with any headers of the client', async () => {
  const { client } = await connected({ access: undefined });
  const job = await client.submit({ prompt: 'a' });
  expect(await job.done).toMatchObject({ status: 'completed', text: 'a' });
});

test('a wrong key is refused at once, by name', async () => {
  const { client, submit } = await connected({}, { apiKey: 'wrong' });
  const refused = { code: 'invalid_api_key', status: 401, type: 'authentication_error' };
  await expect(client.submit({ prompt: 'a' })).rejects.toMatchObject(refused);
  await expect(client.models()).rejects.toBeInstanceOf(SluiceClientError);
  const { body } = await submit({ prompt: 'a' }, bearer(key));
  expect((await client.attach(body.job_id).done).error).toMatchObject(refused);
  client.setApiKey(key);
  expect(await client.attach(body.job_id).done).toMatchObject({ status: 'completed', text: 'a' });
});

test("another caller's job is unknown, and ends no other on the same connection", async () => {
  const { client, submit } = await connected({}, { multiplex: true });
  const { body } = await submit({ prompt: 'a' }, bearer('key-of-bob'));
  const foreign = client.attach(body.job_id);
  const job = await client.submit({ prompt: 'b' });
  expect(await foreign.done).toMatchObject({ status: 'gone', error: { code: 'job_not_found' } });
  expect(await job.done).toMatchObject({ status: 'completed', text: 'b' });
});

test('a stream that was cut after the limit for its first use resumes with its URL', async () => {
  const { provider, call } = handProvider();
  const shortLived = { access: { ...access, stream_url_ttl_s: 1 }, reconnectMs: 2100 };
  const { client, server, requests } = await connected({ provider, ...shortLived });
  const job = await client.submit({ prompt: 'a' });
  const run = await call(0);
  run.push('before');
  await until(() => job.text === 'before', 'the first token');
  requests.length = 0;
  const cut = new Promise((resolve) => job.on('reconnecting', resolve));
  server.closeAllConnections();
  await cut;
  run.push(' after');
  await until(() => job.text === 'before after', 'what was missed');
  run.end();
  expect(await job.done).toMatchObject({ status: 'completed', text: 'before after' });
  expect(requests.slice(0, 1)).toEqual(['GET /v1/stream']);
  expect(requests).not.toContain('POST /v1/stream_url');
});

test('a revoked key ends streams that have to connect again', async () => {
  const { provider, call } = handProvider();
  const { client, server, gateway } = await connected({ provider, reconnectMs: 20 });
  const job = await client.submit({ prompt: 'a' });
  (await call(0)).push('before');
  await until(() => job.text === 'before', 'the first token');
  gateway.reload({ access: { keys: [] } });
  server.closeAllConnections();
  expect(await job.done).toMatchObject({ text: 'before', error: { code: 'invalid_api_key' } });
});

test.each(['', 'two words', 'naïve', 7])('the key %j is refused by name', (apiKey) => {
  expect(() => createClient({ apiKey })).toThrow(/apiKey/);
});
