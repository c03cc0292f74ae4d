/** Conversations of several gateways on one Redis. */
import { handProvider } from '../../support/providers/providers.js';
import {
  assistant,
  notingProvider,
  startConversations,
  user,
} from '../../support/gateway/conversations.js';
import { testConversations } from '../../support/gateway/conversation-tests.js';
import { until } from '../../support/until.js';
import { useDeployments } from '../../support/cluster/gateways.js';

const { server, own } = useDeployments();

/** A gateway of the deployment of a test. */
const open = (options) => startConversations({ ...options, redis: { ...own } });

describe('in Redis', () => testConversations(open));

/** Two gateways of one deployment; their calls of the provider, in the order of arrival. */
async function openTwo(options) {
  const { provider, call } = handProvider();
  const [a, b] = await Promise.all([
    open({ provider, ...options }),
    open({ provider, ...options }),
  ]);
  return { a, b, call };
}

/** Keys of a deployment that hold something of conversations. */
const conversationKeys = async () =>
  (await server.keys(`{${own.prefix}}:*`)).filter((key) => /:conv/.test(key));

describe('seen from another process', () => {
  test('a turn is busy there, and added at the moment of its end', async () => {
    const { a, b, call } = await openTwo();
    const id = await a.begin({ messages: [user('a'), assistant('b')] });
    const { body: job } = await a.say(id, 'c');
    const hand = await call(0);
    hand.push('half');
    expect((await b.say(id, 'x')).body.error).toMatchObject({
      ...{ code: 'conversation_busy', job_id: job.job_id },
    });
    expect(await b.read(id)).toMatchObject({
      ...{ busy_job_id: job.job_id, expires_at: null, message_count: 2 },
      busy_messages: [{ ...user('c'), job_id: job.job_id, created_at: expect.any(Number) }],
    });
    hand.push(' and whole');
    hand.end();
    // A reader of the ending finds the turn at every process.
    await (await fetch(a.url + job.stream_url)).text();
    const whole = await b.read(id);
    expect(whole).not.toHaveProperty('busy_job_id');
    expect(whole.messages.slice(2)).toMatchObject([
      { ...user('c'), job_id: job.job_id },
      { ...assistant('half and whole'), job_id: job.job_id, finish_reason: 'stop' },
    ]);
    expect(await a.read(id)).toEqual(whole);
    const next = await b.say(id, 'd');
    expect(next.status).toBe(201);
    expect((await call(1)).request.messages).toEqual([
      ...[user('a'), assistant('b'), user('c'), assistant('half and whole'), user('d')],
    ]);
    (await call(1)).push('e');
    (await call(1)).end();
    await (await fetch(a.url + next.body.stream_url)).text();
    expect((await a.read(id)).message_count).toBe(6);
  });

  test('turns queued at both processes are all added, never interleaved', async () => {
    const { provider, seen } = notingProvider();
    const nodes = [await open({ provider }), await open({ provider })];
    const id = await nodes[0].begin();
    const names = Array.from({ length: 16 }, (_, i) => `t${i}`);
    const jobs = await Promise.all(
      names.map(async (name, i) => {
        const { status, body } = await nodes[i % 2].say(id, name, { on_busy: 'queue' });
        expect(status).toBe(201);
        return body.job_id;
      }),
    );
    await Promise.all(jobs.map((job, i) => nodes[(i + 1) % 2].ended(job)));
    const contents = await nodes[1].contents(id);
    const questions = contents.filter(([role]) => role === 'user').map(([, content]) => content);
    expect([...questions].sort()).toEqual([...names].sort());
    expect(contents).toEqual(
      questions.flatMap((name) => [
        ['user', name],
        ['assistant', `you said ${name}`],
      ]),
    );
    seen.forEach((messages, i) => expect(messages).toHaveLength(2 * i + 1));
  });

  test('a turn that waits there begins with the ending', async () => {
    const { a, b, call } = await openTwo();
    const id = await a.begin();
    const { body: first } = await a.say(id, 'a');
    const waiting = b.say(id, 'b', { on_busy: 'queue' });
    (await call(0)).push('A');
    (await call(0)).end();
    const { status } = await waiting;
    expect(status).toBe(201);
    expect((await call(1)).request.messages).toEqual([user('a'), assistant('A'), user('b')]);
    expect((await a.job(first.job_id)).status).toBe('completed');
  });

  test('one key is one turn at every process, also while the turn runs', async () => {
    const { a, b, call } = await openTwo();
    const id = await a.begin();
    const key = { 'idempotency-key': 'k' };
    const more = { on_busy: 'queue' };
    const first = await a.say(id, 'a', more, key);
    expect(first.status).toBe(201);
    const again = await b.say(id, 'a', more, key);
    expect([again.status, again.body.job_id]).toEqual([200, first.body.job_id]);
    expect((await b.say(id, 'b', {}, { 'idempotency-key': 'l' })).status).toBe(409);
    // Another key waits.
    const waiting = b.say(id, 'b', more, { 'idempotency-key': 'm' });
    await until(async () => (await server.call('PUBSUB', 'CHANNELS', `*conv:${id}`)).length === 1);
    // A request whose key has an answer does not wait in the queue.
    expect((await b.say(id, 'a', more, key)).body.job_id).toBe(first.body.job_id);
    (await call(0)).push('A');
    (await call(0)).end();
    const second = await waiting;
    expect(second.status).toBe(201);
    expect((await call(1)).request.messages).toEqual([user('a'), assistant('A'), user('b')]);
    (await call(1)).end();
    await a.ended(second.body.job_id);
    await a.remove(id);
    expect((await b.say(id, 'a', more, key)).body.job_id).toBe(first.body.job_id);
    expect((await b.say(id, 'b', {}, { 'idempotency-key': 'l' })).status).toBe(404);
  });

  test('a fork has whole turns, and a deletion ends the running and the waiting turns', async () => {
    const { a, b, call } = await openTwo();
    const id = await a.begin({ title: 'T', ttl_s: 60, messages: [user('a'), assistant('b')] });
    const { body: running } = await a.say(id, 'c');
    (await call(0)).push('text');
    const { body: fork } = await b.fork(id, { at: 1 });
    expect(fork).toMatchObject({
      ...{ title: 'T', message_count: 1, messages: [user('a')] },
      forked_from: { conversation_id: id, message_count: 1 },
    });
    expect(fork.expires_at - fork.created_at).toBe(60);
    const waiting = a.say(id, 'd', { on_busy: 'queue' });
    await until(async () => (await server.call('PUBSUB', 'CHANNELS', `*conv:${id}`)).length === 1);
    expect((await b.remove(id)).status).toBe(204);
    expect((await waiting).status).toBe(404);
    expect(await b.ended(running.job_id)).toMatchObject({
      ...{ status: 'cancelled', reason: 'client_request' },
    });
    const page = (node) => node.list().then(({ body }) => body);
    expect((await page(a)).data.map((each) => each.conversation_id)).toEqual([
      fork.conversation_id,
    ]);
    expect(await page(b)).toEqual(await page(a));
    await a.remove(fork.conversation_id);
    // Nothing counts any more.
    expect(await conversationKeys()).toEqual([`{${own.prefix}}:convbytes:total`]);
    expect(await server.call('GET', `{${own.prefix}}:convbytes:total`)).toBe('0');
  });

  test('a refused turn leaves the conversation free', async () => {
    const { a, b } = await openTwo({
      ...{ maxConcurrency: 1, incomingCapacity: 1, processingCapacity: 1, admissionWaitMs: 300 },
    });
    const [id, other] = [await a.begin(), await a.begin()];
    const filling = Array.from({ length: 8 }, (_, i) => a.submit({ prompt: `p${i}` }));
    const answers = await Promise.all(filling);
    expect(answers.some(({ status }) => status === 503)).toBe(true);
    const refused = a.say(id, 'x');
    await until(async () => (await b.read(id)).busy_job_id !== undefined, 'the turn');
    // Its job has no place yet.
    expect((await b.remove(id)).body.error.code).toBe('conversation_busy');
    expect((await refused).body.error.code).toBe('overloaded');
    await until(async () => (await b.read(id)).busy_job_id === undefined, 'the retraction');
    expect((await b.say(id, 'y')).status).toBe(201);
    expect((await b.say(other, 'y')).status).toBe(201);
    expect((await a.read(id)).messages).toEqual([]);
  });

  test('a process that leaves hands its turns over, with their history', async () => {
    const { a, b, call } = await openTwo({ maxConcurrency: 1 });
    const id = await a.begin({ messages: [user('a'), assistant('b')] });
    const { body: first } = await a.submit({ prompt: 'runs' });
    (await call(0)).push('token');
    await until(async () => (await a.job(first.job_id)).text === 'token', 'a token');
    const { body } = await a.say(id, 'c');
    const kept = await server.call('HGET', `{${own.prefix}}:job:${body.job_id}`, 'request');
    // The history is in the conversation alone.
    expect(JSON.parse(kept)).toMatchObject({ messages: [user('c')], history: [0, 2] });
    const closing = a.gateway.close({ drainMs: 0 });
    const taken = await call(1);
    expect(taken.request.messages).toEqual([user('a'), assistant('b'), user('c')]);
    taken.push('d');
    taken.end();
    await closing;
    await b.ended(body.job_id);
    expect((await b.contents(id)).slice(2)).toEqual([
      ['user', 'c'],
      ['assistant', 'd'],
    ]);
  });
});
