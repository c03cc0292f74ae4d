/** Tests of conversations that run over every kind of storage. */
import { EventSource } from 'eventsource';
import { createClient } from '../../../web/client.js';
import { assistant, notingProvider, user } from './conversations.js';
import { bearer, entry } from './keys.js';
import { handProvider } from '../providers/providers.js';
import { testTurns } from './conversation-turn-tests.js';

const idPattern = /^conv_[A-Za-z0-9_-]{24}$/;

/**
 * Defines the tests, those of turns included.
 * @param {typeof import('./conversations.js').startConversations} startConversations a gateway with an
 *   empty store of conversations of its own
 */
export function testConversations(startConversations) {
  describe('create, read, list, delete', () => {
    test('a conversation has the fields of its request', async () => {
      const { post, find } = await startConversations({ provider: notingProvider().provider });
      const messages = [{ role: 'system', content: 'Be brief.' }, user('Hi'), assistant('Hello')];
      const made = await post('/v1/conversations', { title: 'T', metadata: { a: 1 }, messages });
      expect(made.status).toBe(201);
      const now = Date.now() / 1000;
      expect(made.body).toMatchObject({
        conversation_id: expect.stringMatching(idPattern),
        title: 'T',
        metadata: { a: 1 },
        expires_at: null,
        message_count: 3,
      });
      expect(Math.abs(made.body.created_at - now)).toBeLessThan(60);
      expect(made.body.updated_at).toBe(made.body.created_at);
      expect(made.body.messages.map(({ role, content }) => ({ role, content }))).toEqual(messages);
      expect(made.body).not.toHaveProperty('busy_job_id');
      expect(made.headers.get('location')).toBe(`/v1/conversations/${made.body.conversation_id}`);
      expect((await find(made.body.conversation_id)).body).toEqual(made.body);
      // An absent body is a body without fields.
      const bare = await post('/v1/conversations');
      expect(bare).toMatchObject({ status: 201, body: { message_count: 0, messages: [] } });
      expect(bare.body).not.toHaveProperty('title');
    });

    test('errors of a request name the field', async () => {
      const { post, begin, fork, say, submit, list } = await startConversations({
        provider: notingProvider().provider,
      });
      const id = await begin({ messages: [user('a'), assistant('b')] });
      const system = { role: 'system', content: 's' };
      const create = (body) => post('/v1/conversations', body);
      const wrong = [
        [await create([]), 'invalid_type', null],
        [await create({ title: 1 }), 'invalid_type', 'title'],
        [await create({ title: 'x'.repeat(257) }), 'invalid_value', 'title'],
        [await create({ colour: 1 }), 'unknown_field', 'colour'],
        [await create({ ttl_s: 0 }), 'invalid_value', 'ttl_s'],
        [await create({ ttl_s: '1' }), 'invalid_type', 'ttl_s'],
        [await create({ metadata: { a: 'x'.repeat(17000) } }), 'invalid_value', 'metadata'],
        [
          await create({ messages: [{ role: 'cat', content: '' }] }),
          'invalid_value',
          'messages[0].role',
        ],
        [await create({ messages: [user('a'), system] }), 'invalid_value', 'messages[1].role'],
        [await fork(id, { at: 3 }), 'invalid_value', 'at'],
        [await fork(id, { at: -1 }), 'invalid_value', 'at'],
        [await fork(id, { at: 'x' }), 'invalid_type', 'at'],
        [await say(id, 'p', { on_busy: 'cry' }), 'invalid_value', 'on_busy'],
        [await submit({ prompt: 'p', on_busy: 'queue' }), 'invalid_value', 'on_busy'],
        [await submit({ prompt: 'p', conversation_id: 1 }), 'invalid_type', 'conversation_id'],
        [
          await submit({ messages: [system, user('x')], conversation_id: id }),
          'invalid_value',
          'messages[0].role',
        ],
        [
          await submit({ messages: [assistant('x')], conversation_id: id }),
          'invalid_value',
          'messages[0].role',
        ],
        [await list('?limit=0'), 'invalid_value', 'limit'],
        [await list('?after=conv_x'), 'invalid_value', 'after'],
      ];
      for (const [{ status, body }, code, param] of wrong) {
        expect([status, body.error?.code, body.error?.param]).toEqual([400, code, param]);
      }
      // None of these requests leaves it busy.
      expect((await say(id, 'p')).status).toBe(201);
    });

    test('an unknown conversation is 404 on every route', async () => {
      const { find, fork, remove, say } = await startConversations({
        provider: notingProvider().provider,
      });
      for (const id of ['conv_x', `conv_${'A'.repeat(24)}`, 'x'.repeat(3000)]) {
        for (const { status, body } of [
          await find(id),
          await fork(id, {}),
          await remove(id),
          await say(id, 'p'),
        ]) {
          expect([status, body.error.code]).toEqual([404, 'conversation_not_found']);
          expect(body.error.param).toBe('conversation_id');
        }
      }
    });

    test('belongs to its principal only', async () => {
      const made = await startConversations({
        provider: notingProvider().provider,
        access: { keys: [entry('ann', 'key-ann'), entry('bob', 'key-bob')] },
      });
      const [ann, bob] = [bearer('key-ann'), bearer('key-bob')];
      const id = await made.begin({ messages: [user('secret')] }, ann);
      for (const { status } of [
        await made.find(id, bob),
        await made.fork(id, {}, bob),
        await made.remove(id, bob),
        await made.say(id, 'p', {}, bob),
      ]) {
        expect(status).toBe(404);
      }
      expect((await made.list('', bob)).body).toEqual({ data: [], has_more: false });
      expect((await made.list('', ann)).body.data).toHaveLength(1);
      expect((await made.find(id, ann)).status).toBe(200);
    });
  });

  testTurns(startConversations);

  describe('forks', () => {
    test('a fork is independent of its source, and contains whole turns only', async () => {
      const { provider, call } = handProvider();
      const { begin, say, fork, read, contents, ended } = await startConversations({ provider });
      const messages = [user('a'), assistant('b'), user('c'), assistant('d')];
      const id = await begin({ title: 'T', metadata: { m: 1 }, messages });
      const running = (await say(id, 'e')).body.job_id;
      (await call(0)).push('f');
      const whole = await fork(id);
      expect(whole.status).toBe(201);
      expect(whole.body).toMatchObject({
        title: 'T',
        metadata: { m: 1 },
        message_count: 4,
        forked_from: { conversation_id: id, message_count: 4 },
      });
      expect(whole.body).not.toHaveProperty('busy_job_id');
      const part = (await fork(id, { at: 2, title: 'P' })).body;
      expect(part).toMatchObject({ title: 'P', message_count: 2 });
      expect((await fork(id, { at: 0 })).body.messages).toEqual([]);
      // The fork accepts a turn while its source is busy.
      const other = (await say(part.conversation_id, 'x')).body.job_id;
      (await call(1)).push('y');
      (await call(1)).end();
      await ended(other);
      (await call(0)).end();
      await ended(running);
      const pairsOf = (each) => each.map(({ role, content }) => [role, content]);
      const both = [...messages, user('e'), assistant('f')];
      expect(await contents(id)).toEqual(pairsOf(both));
      expect(await contents(whole.body.conversation_id)).toEqual(pairsOf(messages));
      expect(await contents(part.conversation_id)).toEqual(
        pairsOf([...messages.slice(0, 2), user('x'), assistant('y')]),
      );
      expect((await read(id)).message_count).toBe(6);
    });
  });

  describe('deleting', () => {
    test('ends the running turn and the waiting ones', async () => {
      const { provider, call } = handProvider();
      const { begin, say, remove, find, ended, gateway } = await startConversations({ provider });
      const id = await begin();
      const { job_id: running } = (await say(id, 'a')).body;
      (await call(0)).push('text');
      const request = { conversation_id: id, on_busy: 'queue', prompt: 'b' };
      const waiting = expect(gateway.submit(request)).rejects.toMatchObject({
        code: 'ERR_CONVERSATION_NOT_FOUND',
      });
      expect((await remove(id)).status).toBe(204);
      await waiting;
      expect(await ended(running)).toMatchObject({ status: 'cancelled', reason: 'client_request' });
      expect((await find(id)).status).toBe(404);
    });
  });

  describe('limits', () => {
    test('per conversation, per principal, in total', async () => {
      const { begin, say, post, fork, list, turn } = await startConversations({
        provider: notingProvider().provider,
        conversations: { maxPerPrincipal: 2, maxBytesEach: 1000, maxBytesPerPrincipal: 3000 },
      });
      const id = await begin();
      const long = 'x'.repeat(990);
      expect(await say(id, long)).toMatchObject({
        status: 400,
        body: { error: { code: 'conversation_too_long', param: 'conversation_id' } },
      });
      expect(await post('/v1/conversations', { messages: [user(long)] })).toMatchObject({
        status: 400,
        body: { error: { code: 'conversation_too_long' } },
      });
      // An answer always has room: its tokens have already been sent.
      await turn(id, 'y'.repeat(500));
      await turn(await begin(), 'z');
      expect(await post('/v1/conversations', {})).toMatchObject({
        status: 507,
        body: { error: { code: 'conversations_full', type: 'server_error' } },
      });
      expect((await fork(id)).status).toBe(507);
      expect((await list()).body.data).toHaveLength(2);
      expect(await say(id, 'more')).toMatchObject({
        status: 400,
        body: { error: { code: 'conversation_too_long' } },
      });
    });

    test('of the bytes of several short conversations', async () => {
      const { begin, say, post } = await startConversations({
        provider: notingProvider().provider,
        conversations: { maxBytesEach: 1000, maxBytesPerPrincipal: 1500 },
      });
      const id = await begin({ messages: [user('x'.repeat(700))] });
      const refused = { status: 507, body: { error: { code: 'conversations_full' } } };
      expect(await post('/v1/conversations', { messages: [user('x'.repeat(700))] })).toMatchObject(
        refused,
      );
      expect(await say(id, 'y'.repeat(10))).toMatchObject({ status: 201 });
    });
  });

  test('the browser client covers every route', async () => {
    const { provider, call } = handProvider();
    const { url } = await startConversations({ provider });
    const client = createClient({ baseUrl: url, EventSource });
    const { conversations } = client;
    const { conversation_id: id } = await conversations.create({ title: 'T' });
    const job = await client.submit({ conversation_id: id, prompt: 'a' });
    (await call(0)).push('b');
    await expect(client.submit({ conversation_id: id, prompt: 'x' })).rejects.toMatchObject({
      code: 'conversation_busy',
      status: 409,
      jobId: job.id,
    });
    (await call(0)).end();
    await job.done;
    const whole = await conversations.get(id);
    expect(whole.messages).toMatchObject([user('a'), assistant('b')]);
    const fork = await conversations.fork(id, { at: 1 });
    expect(fork.message_count).toBe(1);
    const page = await conversations.list({ limit: 1 });
    expect(page).toMatchObject({ has_more: true, data: [{ message_count: expect.any(Number) }] });
    const rest = await conversations.list({ after: page.data[0].conversation_id });
    expect(rest.data).toHaveLength(1);
    await conversations.delete(id);
    await expect(conversations.get(id)).rejects.toMatchObject({ code: 'conversation_not_found' });
    client.close();
  });
}
