/** Streams are divided among distinguished callers. */
import { bearer, entry } from '../../../support/gateway/keys.js';
import { echo, handProvider } from '../../../support/providers/providers.js';
import { start, stopAll } from '../../../support/gateway/gateway.js';
import { until } from '../../../support/until.js';

afterEach(stopAll);

test('one caller has up to half of the streams, and its places are returned', async () => {
  const { provider } = handProvider();
  const { call, stream, read } = await start({
    provider,
    maxStreams: 4,
    access: { keys: [entry('ann', 'key-of-ann'), entry('bob', 'key-of-bob')] },
  });
  const job = async (key) =>
    (await call('POST', '/v1/jobs', { body: { prompt: 'a' }, headers: bearer(key) })).body;
  const { stream_url: ofAnn } = await job('key-of-ann');
  const { stream_url: ofBob } = await job('key-of-bob');
  const opened = [await stream(ofAnn), await stream(ofAnn)];
  const turnedAway = async (url) => (await read(url)).raw === 'retry: 15000\n';
  expect(await turnedAway(ofAnn)).toBe(true);
  opened.push(await stream(ofBob), await stream(ofBob));
  expect(await turnedAway(ofBob)).toBe(true);
  opened.shift().close();
  await until(async () => {
    const open = await stream(ofAnn);
    await new Promise((resolve) => setTimeout(resolve, 50));
    // One that is turned away has ended by now.
    open.close();
    return !open.ended;
  }, 'a place');
  for (const open of opened) open.close();
});

describe.each([
  ['errors of the log', '/v1/logs/errors', 50],
  ['changes of keys', '/v1/kv?watch=true', 500],
])('streams of %s', (_name, path, ownMax) => {
  test('count among all streams, and are shared, too', async () => {
    const keys = ['ann', 'bob'].map((name) => entry(name, `key-of-${name}`, { admin: true }));
    const { stream, metric, read } = await start({ provider: echo, access: { keys } });
    const headers = (name) => ({ headers: bearer(`key-of-${name}`) });
    const count = () => metric('sluice_open_streams', bearer('key-of-ann'));
    const open = await Promise.all(
      Array.from({ length: ownMax }, () => stream(path, headers('ann'))),
    );
    expect(await count()).toBe(ownMax);
    expect((await read(path, headers('ann'))).raw).toBe('retry: 15000\n');
    const ofBob = await stream(path, headers('bob'));
    open.pop().close();
    await until(async () => (await count()) === ownMax, 'a place');
    open.push(ofBob, await stream(path, headers('ann')));
    for (const each of open) each.close();
    await until(async () => (await count()) === 0, 'the ends');
  });
});

const messages = [{ role: 'user', content: 'a' }];
const FACES = {
  '/v1/chat/completions': { messages },
  '/v1/completions': { prompt: 'a' },
  '/v1/messages': { model: 'm', max_tokens: 9, messages },
  '/v1/responses': { input: 'a' },
  '/v1/ui/chat': { messages: [{ role: 'user', parts: [{ type: 'text', text: 'a' }] }] },
};

test('a stream of a face has its place while its head is held', async () => {
  const { provider } = handProvider();
  const { url, metric, post } = await start({ provider, maxStreams: 2, headHoldMs: 600_000 });
  const places = (count) =>
    until(async () => (await metric('sluice_open_streams')) === count, `${count} streams`);
  for (const [path, body] of Object.entries(FACES)) {
    const leave = [];
    const ask = (i) => {
      const controller = new AbortController();
      leave.push(() => controller.abort());
      return fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          ...body,
          ...(path === '/v1/ui/chat' && { id: `${i}` }),
          stream: true,
        }),
        signal: controller.signal,
      }).catch(() => {});
    };
    const held = [ask(0), ask(1)];
    await places(2);
    const refused = await ask(2);
    expect([path, refused.status, refused.headers.has('retry-after')]).toEqual([path, 503, true]);
    leave[0]();
    await places(1);
    // A refused request occupies no place.
    expect((await post(path, {})).status).toBe(400);
    held.push(ask(3));
    await places(2);
    for (const each of leave) each();
    await Promise.all(held);
    await places(0);
  }
});

test('a refused request of a face has no place, even if its answer is not read', async () => {
  const provider = async function* answer() {
    yield 'a';
  };
  const { gateway } = await start({ provider, maxStreams: 1 });
  for (const [path, body] of Object.entries(FACES)) {
    const fields = {
      ...body,
      id: 'c',
      messages: body.messages && [{ role: 'user' }],
      stream: true,
    };
    const request = (json) =>
      gateway.fetch(
        new Request(`http://localhost${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(json),
        }),
      );
    const refused = await request({ ...fields, temperature: 'hot', input: 5, prompt: 5 });
    const other = await request({
      ...body,
      ...(path === '/v1/ui/chat' && { id: 'c' }),
      stream: true,
    });
    expect([path, refused.status, other.status]).toEqual([path, 400, 200]);
    await other.text();
  }
});

test('streams of errors do not exceed the limit of all streams', async () => {
  const { stream, read } = await start({ provider: echo, maxStreams: 2 });
  const open = [await stream('/v1/logs/errors'), await stream('/v1/kv?watch=true')];
  for (const path of ['/v1/logs/errors', '/v1/kv?watch=true']) {
    expect((await read(path)).raw).toBe('retry: 15000\n');
  }
  for (const each of open) each.close();
});
