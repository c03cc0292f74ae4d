/** Erasure: of a job and of a caller, in memory and on the disk. */
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import { exported } from '../../../lib/jobs/storage/export.js';
import { dataFile } from '../../support/files/data-file.js';
import { bearer, entry } from '../../support/gateway/keys.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { handProvider } from '../../support/providers/providers.js';

afterEach(stopAll);

const echo = async function* ({ prompt, messages }) {
  yield `You said: ${prompt ?? messages.at(-1).content}. `;
  yield 'That is all.';
};

/** Whether a text is in the data file, or in a file beside it. */
function onDisk(data, text) {
  const folder = dirname(data);
  return fs.readdirSync(folder).some((name) => fs.readFileSync(join(folder, name)).includes(text));
}

const key = (value) => ({ 'idempotency-key': value });

describe('DELETE /v1/jobs/{id}', () => {
  test.each([1, 3])(
    'erases a finished job, its key and its answer (%d reactors)',
    async (reactors) => {
      const data = dataFile();
      const gateway = await start({ provider: echo, data, reactors });
      const body = {
        prompt: 'a secret question',
        temperature: 0,
        metadata: { who: 'secret owner' },
      };
      const made = (await gateway.submit(body, key('k'))).body;
      await gateway.ended(made.job_id);
      const other = (await gateway.submit({ prompt: 'another' })).body.job_id;
      await gateway.ended(other);
      for (const text of ['a secret question', 'secret owner', made.job_id]) {
        expect(onDisk(data, text)).toBe(true);
      }
      const path = `/v1/jobs/${made.job_id}`;
      expect(await gateway.call('DELETE', path)).toMatchObject({ status: 204, body: '' });
      expect((await gateway.get(path)).status).toBe(404);
      expect((await gateway.call('DELETE', path)).status).toBe(404);
      expect((await gateway.get(`/v1/stream?job_id=${made.job_id}`)).status).toBe(404);
      expect((await gateway.get('/v1/jobs')).body.data.map(({ job_id: id }) => id)).toEqual([
        other,
      ]);
      for (const text of ['a secret question', 'secret owner', made.job_id]) {
        expect(onDisk(data, text)).toBe(false);
      }
      expect((await gateway.job(other)).text).toContain('another');
      // Neither the key nor the shared answer is known any more.
      const again = await gateway.submit(body, key('k'));
      expect(again.status).toBe(201);
      expect(again.headers.get('x-cache')).toBe('MISS');
      await gateway.gateway.close();
      const next = await start({ provider: echo, data, reactors });
      expect((await next.get(path)).status).toBe(404);
    },
  );

  test('cancels a running job, and its readers get its terminal event', async () => {
    const data = dataFile();
    const { provider, call } = handProvider();
    const gateway = await start({ provider, data });
    const { job_id: id } = (await gateway.submit({ prompt: 'x' })).body;
    const running = await call(0);
    running.push('a secret beginning');
    const stream = gateway.read(`/v1/stream?job_id=${id}`);
    const removed = await gateway.call('DELETE', `/v1/jobs/${id}`);
    expect(removed.status).toBe(204);
    await running.aborted;
    const { events } = await stream;
    expect(events.at(-1)).toMatchObject({ type: 'job_cancelled' });
    expect((await gateway.get(`/v1/jobs/${id}`)).status).toBe(404);
    expect(onDisk(data, 'a secret beginning')).toBe(false);
  });

  test('a job of another principal is unknown', async () => {
    const access = { keys: [entry('ann', 'ann'), entry('bob', 'bob')] };
    const gateway = await start({ provider: echo, access });
    const { body } = await gateway.submit({ prompt: 'x' }, bearer('ann'));
    const remove = (apiKey) =>
      gateway.call('DELETE', `/v1/jobs/${body.job_id}`, { headers: bearer(apiKey) });
    expect((await remove('bob')).status).toBe(404);
    expect((await remove('ann')).status).toBe(204);
  });

  test('the messages of its turn stay in the conversation', async () => {
    const gateway = await start({ provider: echo });
    const { conversation_id: id } = (await gateway.post('/v1/conversations', {})).body;
    const turn = (await gateway.submit({ prompt: 'hello', conversation_id: id })).body;
    await gateway.ended(turn.job_id);
    expect((await gateway.call('DELETE', `/v1/jobs/${turn.job_id}`)).status).toBe(204);
    const { messages } = (await gateway.get(`/v1/conversations/${id}`)).body;
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant']);
  });
});

describe('DELETE /v1/principals/{id}', () => {
  const access = {
    keys: [entry('ann', 'ann'), entry('bob', 'bob'), entry('ops', 'ops', { admin: true })],
    prices: { '*': { prompt: 1, completion: 10 } },
    accounts: { '*': { overdraft: true } },
  };

  /** A gateway in which `who` has something of everything. */
  async function filled(gateway, principal) {
    const headers = bearer(principal);
    const post = (path, body) => gateway.call('POST', path, { body, headers });
    const submit = async (body, more) => {
      const made = await gateway.submit(body, { ...headers, ...more });
      const { job_id: id } = made.body;
      await gateway.read(`/v1/stream?job_id=${id}`, { headers });
      return id;
    };
    const job = await submit(
      { prompt: `secret of ${principal}`, temperature: 0 },
      key(`key-of-${principal}`),
    );
    const { conversation_id: conversation } = (await post('/v1/conversations', {})).body;
    await submit({ prompt: `said by ${principal}`, conversation_id: conversation });
    await gateway.call('PUT', '/v1/kv/note', {
      raw: `note of ${principal}`,
      headers: { ...headers, 'content-type': 'text/plain' },
    });
    const workflow = (
      await post('/v1/workflows', { nodes: [{ id: 'n', prompt: `node of ${principal}` }] })
    ).body.workflow_id;
    await gateway.read(`/v1/stream?workflow_id=${workflow}`, { headers });
    return { job, conversation, workflow };
  }

  test('erases all of one caller, and keeps amounts', async () => {
    const data = dataFile();
    const gateway = await start({ provider: echo, data, access });
    const ann = await filled(gateway, 'ann');
    await filled(gateway, 'bob');
    const admin = bearer('ops');
    const usageOf = async (server) => {
      const { data: rows, total } = (await server.get('/v1/usage?group_by=key', { headers: admin }))
        .body;
      return { total, of: Object.fromEntries(rows.map(({ group, ...counts }) => [group, counts])) };
    };
    const before = await usageOf(gateway);
    const account = (await gateway.get('/v1/accounts/ann', { headers: admin })).body;
    expect(account.posted).toBeLessThan(0);

    const remove = (apiKey) =>
      gateway.call('DELETE', '/v1/principals/ann', { headers: bearer(apiKey) });
    expect((await remove('ann')).status).toBe(403);
    expect(await remove('ops')).toMatchObject({ status: 204, body: '' });

    const headers = bearer('ann');
    for (const path of [
      `/v1/jobs/${ann.job}`,
      `/v1/conversations/${ann.conversation}`,
      `/v1/workflows/${ann.workflow}`,
      '/v1/kv/note',
    ]) {
      expect([path, (await gateway.get(path, { headers })).status]).toEqual([path, 404]);
    }
    for (const path of ['/v1/jobs', '/v1/conversations', '/v1/workflows']) {
      expect((await gateway.get(path, { headers })).body.data).toEqual([]);
    }
    expect((await gateway.get('/v1/kv', { headers })).body.items).toEqual([]);
    for (const text of ['secret of ann', 'said by ann', 'note of ann', 'key-of-ann', ann.job]) {
      expect([text, onDisk(data, text)]).toEqual([text, false]);
    }
    // The name is not in the file, and all data of the other principal is there.
    expect([...exported(data)].some((line) => JSON.stringify(line).includes('"ann'))).toBe(false);
    expect(onDisk(data, 'secret of bob')).toBe(true);
    const kept = await gateway.get('/v1/kv/note', { headers: bearer('bob') });
    expect(kept.body).toBe('note of bob');

    const after = await usageOf(gateway);
    expect(after.total).toEqual(before.total);
    expect(after.of).toEqual({ bob: before.of.bob, erased: before.of.ann });
    const events = [...exported(data)].filter(({ type }) => type === 'ledger_event');
    const erased = events.filter(({ from }) => from?.startsWith('erased:'));
    const paid = erased
      .filter(({ event_type: type }) => type === 'settle')
      .reduce((sum, { amount }) => sum + Number(amount), 0);
    expect(paid).toBe(-account.posted);
    expect(erased.every((event) => event.key === undefined || /^@erased:/.test(event.key))).toBe(
      true,
    );

    // The caller may return, with an empty state.
    const again = await gateway.submit(
      { prompt: 'secret of ann', temperature: 0 },
      {
        ...headers,
        ...key('key-of-ann'),
      },
    );
    expect([again.status, again.headers.get('x-cache')]).toEqual([201, 'MISS']);
    await gateway.gateway.close();
    const next = await start({ provider: echo, data, access });
    expect((await next.get(`/v1/jobs/${ann.job}`, { headers })).status).toBe(404);
    expect((await usageOf(next)).of.erased).toEqual(before.of.ann);
  });

  test('ends running jobs; an unknown caller has nothing to erase', async () => {
    const { provider, call } = handProvider();
    const gateway = await start({ provider });
    await gateway.submit({ prompt: 'x' });
    const running = await call(0);
    running.push('some');
    expect((await gateway.call('DELETE', '/v1/principals/nobody')).status).toBe(204);
    expect(running.signal.aborted).toBe(false);
    expect((await gateway.call('DELETE', '/v1/principals/anonymous')).status).toBe(204);
    await running.aborted;
    expect((await gateway.get('/v1/jobs')).body.data).toEqual([]);
  });
});
