/** One budget of memory for everything that a gateway holds. */
import { connect } from 'node:net';
import { ManualClock } from '../../../lib/index.js';
import { bearer, entry } from '../../support/gateway/keys.js';
import { handProvider } from '../../support/providers/providers.js';
import { partsOf } from '../../support/gateway/parts.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';

afterEach(stopAll);

const MIB = 2 ** 20;
const keys = [entry('ann', 'key-of-ann'), entry('bob', 'key-of-bob')];

describe('answers that are kept', () => {
  async function* provider({ prompt }) {
    yield prompt.slice(0, 1).repeat(MIB);
  }

  test('are evicted, oldest first, from the caller with most; other callers keep theirs', async () => {
    const { call, gateway } = await start({
      provider,
      access: { keys },
      memoryBudgetBytes: 16 * MIB,
    });
    const run = async (key, prompt) => {
      const headers = bearer(key);
      const { body, status } = await call('POST', '/v1/jobs', { body: { prompt }, headers });
      expect(status).toBe(201);
      await until(async () => {
        const found = await call('GET', `/v1/jobs/${body.job_id}`, { headers });
        return found.body.status === 'completed' || found.status === 404;
      }, 'the end of the job');
      return body.job_id;
    };
    const text = async (key, id) => {
      const { status, body } = await call('GET', `/v1/jobs/${id}`, { headers: bearer(key) });
      return status === 200 ? body.text.length : status;
    };
    const first = await run('key-of-bob', 'b');
    const ids = [];
    for (let i = 0; i < 40; i += 1) ids.push(await run('key-of-ann', 'a'));
    expect(await text('key-of-bob', first)).toBe(MIB);
    expect(await text('key-of-ann', ids.at(-1))).toBe(MIB);
    expect(await text('key-of-ann', ids[0])).toBe(404);
    const kept = await Promise.all(ids.map((id) => text('key-of-ann', id)));
    // In the order of their endings, without a hole.
    expect(kept.lastIndexOf(404)).toBe(kept.filter((each) => each === 404).length - 1);
    expect(kept.filter((each) => each === MIB).length).toBeGreaterThan(8);
    const held = await gateway.get(ids.at(-1), { principal: 'ann' });
    expect(held.text).toHaveLength(MIB);
  });

  test('never hold more than the budget, by its own figures', async () => {
    const { submit, ended, metric } = await start({ provider, memoryBudgetBytes: 16 * MIB });
    for (let i = 0; i < 30; i += 1) {
      const { body } = await submit({ prompt: 'a' });
      await ended(body.job_id);
      expect(await metric('sluice_memory_bytes{kind="logs"}')).toBeLessThan(0.96 * 16 * MIB);
    }
    expect(await metric('sluice_memory_budget_bytes')).toBe(16 * MIB);
    expect(await metric('sluice_memory_evictions_total')).toBeGreaterThanOrEqual(17);
  });
});

test('a caller whose running jobs hold half of it is refused, other callers are not', async () => {
  const { provider, call } = handProvider();
  const { submit, get, gateway } = await start({
    provider,
    access: { keys },
    memoryBudgetBytes: 8 * MIB,
    logBytesMax: 8 * MIB,
    streamCapacity: 100_000,
  });
  const [ann, bob] = [bearer('key-of-ann'), bearer('key-of-bob')];
  expect((await submit({ prompt: 'a' }, ann)).status).toBe(201);
  (await call(0)).push('x'.repeat(5 * MIB));
  expect((await submit({ prompt: 'b' }, bob)).status).toBe(201);
  (await call(1)).push('x'.repeat(1.8 * MIB));
  const { memory } = partsOf(gateway);
  await until(() => memory.used() > 6.7 * MIB, 'the texts');
  await until(async () => (await submit({ prompt: 'a' }, ann)).status === 503, 'the refusal');
  const refused = await submit({ prompt: 'a' }, ann);
  expect(refused.body.error).toMatchObject({ code: 'memory_full' });
  expect(refused.body.error.message).toContain('this caller holds half');
  expect((await submit({ prompt: 'b' }, bob)).status).toBe(201);
  expect((await get('/healthz')).status).toBe(200);
});

test('waiting prompts count, are refused by name, and stop counting once they have ended', async () => {
  const ends = [];
  async function* provider() {
    await new Promise((resolve) => ends.push(resolve));
    yield 'done';
  }
  const { submit, ended, metric } = await start({
    provider,
    memoryBudgetBytes: 8 * MIB,
    maxInFlightBatches: 50,
  });
  const prompt = 'x'.repeat(512 * 1024);
  const taken = [];
  let refused;
  for (let i = 0; i < 20 && refused === undefined; i += 1) {
    const answer = await submit({ prompt });
    if (answer.status === 201) taken.push(answer.body.job_id);
    else refused = answer;
  }
  expect(refused).toMatchObject({ status: 503, body: { error: { code: 'memory_full' } } });
  expect(refused.body.error.message).toMatch(
    /^There is no memory for more (request bodies|jobs): /,
  );
  expect(refused.headers.get('retry-after')).toBe('1');
  // Each is held twice: here and on its way to the model.
  expect(taken.length).toBeGreaterThanOrEqual(6);
  expect(taken.length).toBeLessThanOrEqual(8);
  const refusals = ['bodies', 'jobs'].map((resource) =>
    metric(`sluice_memory_refusals_total{resource="${resource}"}`),
  );
  expect((await Promise.all(refusals)).sort()).toEqual([0, 1]);
  const small = await submit({ prompt: 'x'.repeat(60_000) });
  if (small.status === 201) taken.push(small.body.job_id);
  else {
    expect(small.body.error).toMatchObject({
      code: 'memory_full',
      message: expect.stringContaining('jobs'),
    });
  }
  await until(() => ends.length === taken.length, 'the calls');
  for (const end of ends) end();
  for (const id of taken) expect((await ended(id)).status).toBe('completed');
  expect(await metric('sluice_memory_bytes{kind="prompts"}')).toBe(0);
  expect((await submit({ prompt })).status).toBe(201);
});

test('keys and values are refused with 507 until some are deleted', async () => {
  async function* provider() {
    yield 'unused';
  }
  const { call } = await start({ provider, memoryBudgetBytes: 8 * MIB });
  const put = (key) =>
    call('PUT', `/v1/kv/${key}`, {
      raw: 'x'.repeat(MIB),
      headers: { 'content-type': 'text/plain' },
    });
  const statuses = [];
  for (let i = 0; i < 12; i += 1) statuses.push((await put(`k${i}`)).status);
  // An arriving body counts twice.
  expect(statuses.indexOf(507)).toBeGreaterThanOrEqual(5);
  expect(statuses.at(-1)).toBe(507);
  expect((await put('other')).body.error).toMatchObject({ code: 'kv_full' });
  for (let i = 0; i < 4; i += 1) await call('DELETE', `/v1/kv/k${i}`);
  expect((await put('other')).status).toBe(201);
});

describe('an answer that its client does not read', () => {
  async function open(options) {
    async function* provider() {
      for (let i = 0; i < 24; i += 1) yield 'x'.repeat(MIB);
    }
    const app = await start({ provider, logBytesMax: 32 * MIB, streamCapacity: 1000, ...options });
    const { body } = await app.submit({ prompt: 'a' });
    await until(async () => (await app.gateway.get(body.job_id)).status === 'completed', 'the job');
    const socket = connect(app.server.port, '127.0.0.1');
    const reader = { socket, bytes: 0, closed: false };
    socket.on('error', () => {}).on('close', () => (reader.closed = true));
    socket.write(`GET /v1/jobs/${body.job_id} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    const waiting = () => app.metric('sluice_memory_bytes{kind="answers"}');
    await until(async () => (await waiting()) > 4 * MIB, 'the answer');
    return { ...app, reader, waiting };
  }

  test('counts, and its connection ends after the stall limit', async () => {
    const { reader, waiting } = await open({ stallMs: 500 });
    await until(async () => (await waiting()) === 0, 'the end of the connection');
    reader.socket.resume();
    await until(() => reader.closed, 'the end at the client');
  });

  test('arrives whole if it is read slowly', async () => {
    const { reader, waiting } = await open({ stallMs: 2000 });
    reader.socket.on('data', (chunk) => {
      reader.bytes += chunk.length;
      reader.socket.pause();
      setTimeout(() => reader.socket.resume(), 2);
    });
    await until(() => reader.bytes > 24 * MIB, 'the whole answer');
    await until(async () => (await waiting()) === 0, 'the end of the answer');
    reader.socket.destroy();
  });
});

test('changes that wait for a slow reader count, and end its watch beyond 4 MiB', async () => {
  async function* provider() {
    yield 'unused';
  }
  const { gateway, call, metric, server } = await start({ provider });
  const put = (key) =>
    call('PUT', `/v1/kv/${key}`, {
      raw: 'x'.repeat(MIB),
      headers: { 'content-type': 'text/plain' },
    });
  const socket = connect(server.port, '127.0.0.1');
  socket.write('GET /v1/kv?watch=true HTTP/1.1\r\nhost: localhost\r\n\r\n');
  socket.pause();
  await until(async () => (await metric('sluice_open_streams')) === 1, 'the watch');
  const waiting = () => metric('sluice_memory_bytes{kind="watches"}');
  let most = 0;
  // The sockets buffer some, then three wait, and one more exceeds the bound.
  for (let i = 0; i < 40; i += 1) {
    expect((await put('k')).status).toBe(201 - (i > 0));
    most = Math.max(most, await waiting());
  }
  expect(most).toBe(3 * (MIB + 'kv/anonymous/k'.length));
  socket.destroy();
  await until(async () => (await waiting()) === 0, 'the end of the watch');
  await gateway.close({ drainMs: 0 });
});

test('the memory of workflows counts until their purge', async () => {
  async function* provider() {
    yield 'x'.repeat(MIB);
  }
  const clock = new ManualClock();
  const { post, read, metric } = await start({ provider, clock, memoryBudgetBytes: 64 * MIB });
  const nodes = Array.from({ length: 4 }, (_, i) => ({ id: `n${i}`, prompt: 'a' }));
  const { body } = await post('/v1/workflows', { nodes });
  await read(body.stream_url);
  // Texts may take two bytes a character.
  expect(await metric('sluice_memory_bytes{kind="workflows"}')).toBe(8 * MIB);
  // Its retention is over.
  clock.advanceMs(300_000);
  expect(await metric('sluice_memory_bytes{kind="workflows"}')).toBe(0);
});
