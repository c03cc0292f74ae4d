/** Tests of the turns of conversations that run over every kind of storage. */
import { providers } from '../../../lib/index.js';
import { handProvider } from '../providers/providers.js';
import { assistant, notingProvider, user } from './conversations.js';
import { until } from '../until.js';

/**
 * Defines the tests.
 * @param {typeof import('./conversations.js').startConversations} startConversations a gateway with an
 *   empty store of conversations of its own
 */
export function testTurns(startConversations) {
  describe('turns', () => {
    test('the provider gets the whole history, and both messages are stored', async () => {
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

    test('after the end of the stream the turn is visible, and the next one may start', async () => {
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

    test('signed thinking goes back to the provider with tool results, and is not shown', async () => {
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

    test('a failed job adds nothing, and the turn may be tried again', async () => {
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

    test('the text before a cancel is kept; without text there is no turn', async () => {
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

    test('a reader that stays away ends the turn as a cancel does', async () => {
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

    test('answers are shared by equal histories', async () => {
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
      // The refusal left the conversation free.
      expect(await say(id, 'q')).toMatchObject({ status: 429 });
    });
  });

  describe('two at once', () => {
    test('the refusal of the second names the job of the first', async () => {
      const { provider, call } = handProvider();
      const { begin, say, cancel, contents } = await startConversations({ provider });
      const id = await begin();
      const both = await Promise.all([say(id, 'a'), say(id, 'b')]);
      const [accepted, refused] = both.sort((x, y) => x.status - y.status);
      expect([accepted.status, refused.status]).toEqual([201, 409]);
      expect(refused.body.error).toMatchObject({
        code: 'conversation_busy',
        param: 'conversation_id',
        job_id: accepted.body.job_id,
      });
      await call(0);
      expect((await say(id, 'c')).status).toBe(409);
      await cancel(accepted.body.job_id);
      expect((await say(id, 'd')).status).toBe(201);
      expect(await contents(id)).toEqual([]);
    });

    test('fifty queued turns are all added, one after the other, never interleaved', async () => {
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
        // Its request contains exactly the messages before it.
        const before = messages.slice(0, 2 * i + 1);
        expect(seen[i]).toEqual(before.map(({ role, content: text }) => ({ role, content: text })));
      }
    });

    test('submissions in JavaScript run in their order', async () => {
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

    test('a wait ends by an abort, a time-out, a full queue, or the shutdown', async () => {
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

    test('a wait beyond queueWaitMs fails as conversation_busy', async () => {
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
}
