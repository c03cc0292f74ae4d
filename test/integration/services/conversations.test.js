/** `/v1/conversations`, and jobs that are turns of them. */
import { once } from 'node:events';
import { ManualClock, providers } from '../../../lib/index.js';
import { handProvider } from '../../support/providers/providers.js';
import {
  assistant,
  notingProvider,
  startConversations,
  user,
} from '../../support/gateway/conversations.js';
import { testConversations } from '../../support/gateway/conversation-tests.js';
import { startMockUpstream, streamTokens } from '../../support/upstream/mock-upstream.js';
import { stopAll } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';
import { upstreamThread } from '../../support/upstream/upstream-thread.js';

afterEach(stopAll);

const turnOf = (id) => ({
  method: 'POST',
  path: '/v1/jobs',
  body: { prompt: 'x', conversation_id: id },
});

testConversations(startConversations);

test('they are not visible as keys of /v1/kv', async () => {
  const { begin, get } = await startConversations({ provider: notingProvider().provider });
  const id = await begin();
  expect((await get('/v1/kv')).body.items).toEqual([]);
  expect((await get(`/v1/kv/c/${id}`)).status).toBe(404);
});

describe('create, read, list, delete', () => {
  test('lists page by page, the newest activity first', async () => {
    const clock = new ManualClock();
    const { begin, list, turn, remove } = await startConversations({
      provider: notingProvider().provider,
      clock,
    });
    const ids = [];
    for (let i = 0; i < 5; i += 1) {
      ids.unshift(await begin({ title: `${i}`, metadata: { i } }));
      clock.advanceMs(1000);
    }
    await turn(ids[3], 'up you come');
    const order = [ids[3], ids[0], ids[1], ids[2], ids[4]];
    const { body } = await list();
    expect(body.data.map(({ conversation_id: id }) => id)).toEqual(order);
    expect(body.has_more).toBe(false);
    expect(body.data[0]).toMatchObject({ title: '1', metadata: { i: 1 }, message_count: 2 });
    expect(body.data[0]).not.toHaveProperty('messages');
    const first = (await list('?limit=2')).body;
    expect(first.has_more).toBe(true);
    const second = (await list(`?limit=2&after=${order[1]}`)).body;
    expect(second.has_more).toBe(true);
    const third = (await list(`?limit=2&after=${order[3]}`)).body;
    expect(third.has_more).toBe(false);
    const all = [first, second, third].flatMap(({ data }) => data);
    expect(all.map(({ conversation_id: id }) => id)).toEqual(order);
    expect((await remove(order[2])).status).toBe(204);
    expect((await remove(order[2])).status).toBe(404);
    expect((await list()).body.data).toHaveLength(4);
  });
});

describe('turns', () => {
  test('an OpenAI-compatible server receives them, as messages or as one prompt', async () => {
    const upstream = await startMockUpstream(streamTokens({ tokens: ['ok'] }));
    for (const mode of ['chat', 'completions']) {
      const { begin, turn } = await startConversations({
        provider: providers.openai({ baseUrl: upstream.url, model: 'm', mode }),
      });
      const id = await begin({ messages: [user('a'), assistant('b')] });
      await turn(id, 'c');
      const { body } = upstream.exchanges.at(-1);
      if (mode === 'chat') expect(body.messages).toEqual([user('a'), assistant('b'), user('c')]);
      else {
        expect([body.prompt].flat()).toEqual(['user: a\n\nassistant: b\n\nuser: c\n\nassistant:']);
      }
    }
    await upstream.close();
  });

  test.each([
    ['reads it', (id) => ({ method: 'GET', path: `/v1/conversations/${id}` }), 200],
    ['continues it', (id) => turnOf(id), 201],
  ])(
    'the end of a turn unknown to JavaScript is already visible to a client that %s',
    async (_, then, status) => {
      const { worker, provider } = await upstreamThread();
      const { begin, say, url } = await startConversations({ provider });
      const id = await begin();
      const called = once(worker, 'message');
      const { body } = await say(id, 'q');
      await called;
      const woken = new Int32Array(new SharedArrayBuffer(4));
      const reading = once(worker, 'message');
      const read = { base: url, stream: body.stream_url, then: then(id), woken };
      worker.postMessage({ read });
      await reading;
      const answered = new Promise((resolve) => {
        worker.on('message', (message) => message.status && resolve(message));
      });
      worker.postMessage({ finish: true });
      // Reactor, upstream and client continue; this thread handles no event before the request arrives.
      expect(Atomics.wait(woken, 0, 0, 10_000)).not.toBe('timed-out');
      const answer = await answered;
      expect(answer.status).toBe(status);
      if (status === 200) {
        expect(answer.body.messages).toMatchObject([user('q'), assistant('half and whole')]);
      }
    },
  );

  test('the text of a job with a retention of 0 is added', async () => {
    const { begin, turn, contents } = await startConversations({
      provider: notingProvider().provider,
      retentionMs: 0,
      maxRetainedJobs: 1,
    });
    const ids = await Promise.all(Array.from({ length: 20 }, () => begin()));
    await Promise.all(ids.map((id) => turn(id, id)));
    for (const id of ids) {
      expect(await contents(id)).toEqual([
        ['user', id],
        ['assistant', `you said ${id}`],
      ]);
    }
  });
});

describe('time to live', () => {
  test('each turn renews it, and no running turn is lost', async () => {
    const clock = new ManualClock();
    const { provider, call } = handProvider();
    const { begin, say, find, job, post } = await startConversations({ provider, clock });
    const made = (await post('/v1/conversations', { ttl_s: 60 })).body;
    const id = made.conversation_id;
    expect(made.expires_at - made.created_at).toBe(60);
    const other = await begin({ ttl_s: 60 });
    clock.advanceMs(59_000);
    const { job_id: running } = (await say(id, 'a')).body;
    (await call(0)).push('b');
    // A running turn keeps the conversation, and adds its messages.
    clock.advanceMs(120_000);
    expect((await find(other)).status).toBe(404);
    expect((await find(id)).body).toMatchObject({ busy_job_id: running, expires_at: null });
    (await call(0)).end();
    await until(async () => (await job(running)).status === 'completed');
    const after = (await find(id)).body;
    expect(after.message_count).toBe(2);
    expect(after.expires_at - after.updated_at).toBe(60);
    clock.advanceMs(60_000);
    expect((await find(id)).status).toBe(200);
    clock.advanceMs(1000);
    expect((await find(id)).status).toBe(404);
    expect((await say(id, 'x')).status).toBe(404);
  });

  test('a fork has the time to live of its source, from its creation on', async () => {
    const clock = new ManualClock();
    const { begin, fork, find } = await startConversations({
      provider: notingProvider().provider,
      clock,
      conversations: { ttlMs: 10_000 },
    });
    const id = await begin({ messages: [user('a')] });
    clock.advanceMs(8000);
    const same = (await fork(id)).body.conversation_id;
    const longer = (await fork(id, { ttl_s: 30 })).body.conversation_id;
    clock.advanceMs(8000);
    expect((await find(id)).status).toBe(404);
    expect((await find(same)).body.messages).toHaveLength(1);
    clock.advanceMs(8000);
    expect((await find(same)).status).toBe(404);
    expect((await find(longer)).status).toBe(200);
  });
});

test('a gateway that closes keeps the text so far', async () => {
  const { provider, call } = handProvider();
  const { gateway, begin, say, job } = await startConversations({ provider });
  const id = await begin();
  const { job_id: running } = (await say(id, 'a')).body;
  (await call(0)).push('half');
  await until(async () => (await job(running)).text === 'half');
  await gateway.close({ drainMs: 0 });
  const { messages } = await gateway.conversations.get(id);
  expect(messages).toMatchObject([user('a'), { ...assistant('half'), finishReason: 'cancelled' }]);
});
