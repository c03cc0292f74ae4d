/** Tests of conversations that run over every kind of storage. */
import { EventSource } from 'eventsource';
import { createClient } from '../../../web/client.js';
import { providers } from '../../../lib/index.js';
import { bearer, entry } from './keys.js';
import { handProvider } from '../providers/providers.js';
import { notingProvider } from './conversations.js';
import { until } from '../until.js';

const user = (content) => ({ role: 'user', content });
const assistant = (content) => ({ role: 'assistant', content });
const idPattern = /^conv_[A-Za-z0-9_-]{24}$/;

/**
 * Defines the tests.
 * @param {typeof import('./conversations.js').startConversations} startConversations a gateway that keeps
 *   its conversations in that place, and no others
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
      // No body at all is one without fields.
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
      // None of that has left it busy.
      expect((await say(id, 'p')).status).toBe(201);
    });

    test('an unknown conversation is 404, wherever it is named', async () => {
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

  describe('turns', () => {
    test('the provider gets the whole history, and both messages are kept', async () => {
      const { provider, seen } = notingProvider();
      const { begin, turn, read, submit, job, url } = await startConversations({ provider });
      const system = { role: 'system', content: 'Be brief.' };
      const id = await begin({ messages: [system] });
      const first = await turn(id, 'one');
      const two = [user('two a'), assistant('hm'), user('two b')];
      const { body } = await submit({ messages: two, conversation_id: id });
      await (await fetch(url + body.stream_url)).text();
      expect(seen).toEqual([
        [system, user('one')],
        [system, user('one'), assistant('you said one'), ...two],
      ]);
      const { messages, message_count: count } = await read(id);
      expect(count).toBe(7);
      const times = { created_at: expect.any(Number) };
      expect(messages).toEqual([
        { ...system, ...times },
        { ...user('one'), ...times, job_id: first },
        { ...assistant('you said one'), ...times, job_id: first, finish_reason: 'stop' },
        ...two.map((each) => ({ ...each, ...times, job_id: body.job_id })),
        { ...assistant('you said two b'), ...times, job_id: body.job_id, finish_reason: 'stop' },
      ]);
      expect(await job(first)).toMatchObject({ conversation_id: id, status: 'completed' });
    });

    test('after the end of the stream the turn is visible, and the next one may begin', async () => {
      const { provider, seen } = notingProvider();
      const { begin, say, url, read } = await startConversations({ provider, reactors: 3 });
      const id = await begin();
      for (let i = 0; i < 60; i += 1) {
        const { status, body } = await say(id, `${i}`);
        expect(status).toBe(201);
        await (await fetch(url + body.stream_url)).text();
        if (i % 2 === 0) expect((await read(id)).message_count).toBe(2 * i + 2);
      }
      expect(seen.at(-1)).toHaveLength(119);
    });

    test('signed thinking goes back with the results of calls, and is not shown', async () => {
      const seen = [];
      async function* signing({ messages }) {
        seen.push(messages);
        if (seen.length > 1) {
          yield 'done';
          return;
        }
        yield { reasoning: 'hm' };
        yield { extra: { signature: 'sig' } };
        yield { tool_call: { index: 0, id: 'c', name: 'f', arguments: '{}' } };
      }
      const { begin, submit, read, url } = await startConversations({ provider: signing });
      const id = await begin();
      const result = { role: 'tool', tool_call_id: 'c', content: '5' };
      for (const messages of [[user('q')], [result]]) {
        const { status, body } = await submit({ conversation_id: id, messages });
        expect(status).toBe(201);
        await (await fetch(url + body.stream_url)).text();
      }
      const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } };
      const thought = { type: 'thinking', thinking: 'hm', signature: 'sig' };
      const answer = { role: 'assistant', content: null, tool_calls: [call] };
      expect(seen[1]).toEqual([
        user('q'),
        { ...answer, sluice: { thinking_blocks: [thought] } },
        result,
      ]);
      const { messages } = await read(id);
      expect(messages[1]).toMatchObject({ ...answer, reasoning: 'hm' });
      expect(messages[1]).not.toHaveProperty('sluice');
    });

    test('a limit on tokens is reported', async () => {
      const { begin, turn, read } = await startConversations({
        provider: providers.demo({ tokenIntervalMs: 0, text: 'one two three' }),
      });
      const id = await begin();
      await turn(id, 'x', { max_tokens: 2 });
      expect((await read(id)).messages[1]).toMatchObject({
        content: 'one two',
        finish_reason: 'length',
      });
    });

    test('a job that fails leaves nothing, and the turn may be tried again', async () => {
      const { provider, call } = handProvider();
      const { begin, say, ended, contents, find } = await startConversations({ provider });
      const id = await begin();
      const failing = (await say(id, 'x')).body;
      const hand = await call(0);
      hand.push('some text');
      expect((await find(id)).body).toMatchObject({
        busy_job_id: failing.job_id,
        busy_messages: [{ ...user('x'), job_id: failing.job_id, created_at: expect.any(Number) }],
        message_count: 0,
      });
      hand.fail(new Error('no'));
      await ended(failing.job_id);
      expect(await contents(id)).toEqual([]);
      expect((await find(id)).body).not.toHaveProperty('busy_job_id');
      const again = (await say(id, 'x')).body;
      (await call(1)).push('yes');
      (await call(1)).end();
      await ended(again.job_id);
      expect(await contents(id)).toEqual([
        ['user', 'x'],
        ['assistant', 'yes'],
      ]);
    });

    test('the text before a cancel stays; without any there is no turn', async () => {
      const { provider, call } = handProvider();
      const { begin, say, cancel, read, job } = await startConversations({ provider });
      const id = await begin();
      const silent = (await say(id, 'x')).body.job_id;
      await call(0);
      await cancel(silent);
      expect((await read(id)).messages).toEqual([]);
      const cut = (await say(id, 'y')).body.job_id;
      (await call(1)).push('so ', 'far');
      await until(async () => (await job(cut)).text === 'so far');
      await cancel(cut);
      expect((await read(id)).messages).toMatchObject([
        user('y'),
        { ...assistant('so far'), finish_reason: 'cancelled', job_id: cut },
      ]);
      const next = (await say(id, 'z')).body.job_id;
      const { request } = await call(2);
      expect(request.messages).toEqual([user('y'), assistant('so far'), user('z')]);
      await cancel(next);
    });

    test('a reader that does not return ends the turn like a cancel', async () => {
      const { provider, call } = handProvider();
      const { begin, say, read, stream, ended } = await startConversations({ provider });
      const id = await begin();
      const { body } = await say(id, 'x', { disconnect_grace_ms: 0 });
      const reader = await stream(body.stream_url);
      (await call(0)).push('half');
      await until(() => reader.text === 'half');
      reader.close();
      expect(await ended(body.job_id)).toMatchObject({ reason: 'client_disconnected' });
      expect((await read(id)).messages).toMatchObject([
        user('x'),
        { ...assistant('half'), finish_reason: 'cancelled' },
      ]);
    });

    test('shared answers are shared by the whole history', async () => {
      const { provider, seen } = notingProvider();
      const { begin, say, url, contents } = await startConversations({ provider });
      const caches = [];
      const ids = [];
      for (const first of ['a', 'b', 'a']) {
        const id = await begin({ messages: [user(first), assistant('ok')] });
        ids.push(id);
        const answer = await say(id, 'q', { temperature: 0 });
        caches.push(answer.headers.get('x-cache'));
        await (await fetch(url + answer.body.stream_url)).text();
      }
      expect(caches).toEqual(['MISS', 'MISS', 'HIT']);
      expect(seen).toHaveLength(2);
      for (const id of ids) {
        expect((await contents(id)).at(-1)).toEqual(['assistant', 'you said q']);
      }
    });

    test('limits of tokens count the history', async () => {
      const { begin, say } = await startConversations({
        provider: notingProvider().provider,
        access: { limits: { tokens_per_minute: 1000 }, default_max_tokens: 100 },
      });
      const id = await begin({ messages: [user('x'.repeat(8000)), assistant('ok')] });
      expect(await say(id, 'q')).toMatchObject({
        status: 429,
        body: { error: { code: 'request_exceeds_limit' } },
      });
      // It was refused: nothing is under way.
      expect(await say(id, 'q')).toMatchObject({ status: 429 });
    });
  });

  describe('two at once', () => {
    test('the refusal of the second names the first', async () => {
      const { provider, call } = handProvider();
      const { begin, say, cancel, contents } = await startConversations({ provider });
      const id = await begin();
      const both = await Promise.all([say(id, 'a'), say(id, 'b')]);
      const [won, lost] = both.sort((x, y) => x.status - y.status);
      expect([won.status, lost.status]).toEqual([201, 409]);
      expect(lost.body.error).toMatchObject({
        code: 'conversation_busy',
        param: 'conversation_id',
        job_id: won.body.job_id,
      });
      await call(0);
      expect((await say(id, 'c')).status).toBe(409);
      await cancel(won.body.job_id);
      expect((await say(id, 'd')).status).toBe(201);
      expect(await contents(id)).toEqual([]);
    });

    test('fifty that queue are all there, one after the other, none within another', async () => {
      const { provider, seen } = notingProvider();
      const { begin, say, read, ended } = await startConversations({ provider, reactors: 2 });
      const id = await begin();
      const names = Array.from({ length: 50 }, (_, i) => `t${i}`);
      const jobs = await Promise.all(
        names.map(async (name) => {
          const { status, body } = await say(id, name, { on_busy: 'queue' });
          expect(status).toBe(201);
          return body.job_id;
        }),
      );
      await Promise.all(jobs.map(ended));
      const { messages } = await read(id);
      expect(messages).toHaveLength(100);
      const questions = messages.filter((_, i) => i % 2 === 0);
      expect(questions.map(({ content }) => content).sort()).toEqual([...names].sort());
      for (const [i, { content, job_id: job }] of questions.entries()) {
        expect(job).toBe(jobs[names.indexOf(content)]);
        expect(messages[2 * i + 1]).toMatchObject({
          ...assistant(`you said ${content}`),
          job_id: job,
        });
        // Its request has exactly the messages before it.
        const before = messages.slice(0, 2 * i + 1);
        expect(seen[i]).toEqual(before.map(({ role, content: text }) => ({ role, content: text })));
      }
    });

    test('in JavaScript the queue is first come, first served', async () => {
      const { gateway, contents } = await startConversations({
        provider: notingProvider().provider,
      });
      const { id } = await gateway.conversations.create();
      const request = { conversation_id: id, on_busy: 'queue' };
      const names = Array.from({ length: 30 }, (_, i) => `${i}`);
      await Promise.all(names.map((prompt) => gateway.submit({ ...request, prompt })));
      await until(async () => (await contents(id)).length === 60);
      const questions = (await contents(id)).filter(([role]) => role === 'user');
      expect(questions.map(([, content]) => content)).toEqual(names);
    });

    test('a wait ends by its client, by its time, by a full line, and by the gateway', async () => {
      const { provider, call } = handProvider();
      const { gateway, begin, say, contents, cancel } = await startConversations({
        provider,
        conversations: { maxQueued: 1, queueWaitMs: 60_000 },
      });
      const id = await begin();
      const first = (await say(id, 'a')).body.job_id;
      const controller = new AbortController();
      const request = { conversation_id: id, on_busy: 'queue', prompt: 'b' };
      const waiting = gateway.submit(request, { signal: controller.signal });
      expect(await say(id, 'c', { on_busy: 'queue' })).toMatchObject({
        status: 409,
        body: { error: { code: 'conversation_busy', job_id: first } },
      });
      controller.abort(new Error('enough'));
      await expect(waiting).rejects.toThrow('enough');
      const next = gateway.submit({ ...request, prompt: 'd' });
      (await call(0)).push('A');
      (await call(0)).end();
      const { id: second } = await next;
      expect((await call(1)).request.messages.at(-1)).toEqual(user('d'));
      const last = gateway.submit({ ...request, prompt: 'e' });
      const refused = expect(last).rejects.toMatchObject({ code: 'ERR_DRAINING' });
      await until(async () => (await contents(id)).length === 2);
      void gateway.close({ drainMs: 0 });
      await refused;
      await cancel(second).catch(() => {});
    });

    test('a wait that takes too long is a conversation that is busy', async () => {
      const { provider } = handProvider();
      const { begin, say } = await startConversations({
        provider,
        conversations: { queueWaitMs: 20 },
      });
      const id = await begin();
      const first = (await say(id, 'a')).body.job_id;
      expect(await say(id, 'b', { on_busy: 'queue' })).toMatchObject({
        status: 409,
        body: { error: { code: 'conversation_busy', job_id: first } },
      });
    });

    test('a retry under the same key is the same turn', async () => {
      const { provider, seen } = notingProvider();
      const { begin, say, contents, ended } = await startConversations({ provider });
      const id = await begin();
      const key = { 'idempotency-key': 'k' };
      const answers = await Promise.all(Array.from({ length: 10 }, () => say(id, 'x', {}, key)));
      const ids = new Set(answers.map(({ body }) => body.job_id));
      expect(ids.size).toBe(1);
      expect(answers.map(({ status }) => status).sort()).toEqual([...Array(9).fill(200), 201]);
      await ended([...ids][0]);
      const after = await say(id, 'x', {}, key);
      expect([after.status, after.body.job_id]).toEqual([200, [...ids][0]]);
      expect(await contents(id)).toHaveLength(2);
      expect(seen).toHaveLength(1);
      expect((await say(id, 'y', {}, key)).status).toBe(422);
    });
  });

  describe('forks', () => {
    test('a fork is independent of its source, and has whole turns only', async () => {
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
      // The fork is free while the other is busy.
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
    test('ends the turn that is under way, and those that wait', async () => {
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
    test('of one, of one principal’s, of all', async () => {
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
      // An answer always has room: its tokens were read.
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

    test('of bytes, where many are short', async () => {
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

  test('the browser client has them all', async () => {
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
