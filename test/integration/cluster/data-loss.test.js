/** Two processes whose Redis loses its data: afterwards both give the same answers, of all jobs that one of them has. */
import { createHash } from 'node:crypto';
import { fieldsOf } from '../../../lib/cluster/client/scripts.js';
import { handProvider } from '../../support/providers/providers.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { useRedis } from '../../support/cluster/redis.js';
import { until } from '../../support/until.js';

const server = useRedis();

async function openTwo(options = {}) {
  const hand = handProvider();
  const all = { provider: hand.provider, cache: { mode: 'off' }, ...options };
  const [a, b] = await Promise.all(
    ['a', 'b'].map(() => start({ ...all, redis: { url: server.url, leaseMs: 1000 } })),
  );
  for (const node of [a, b]) await node.ready();
  return { a, b, hand };
}

afterEach(async () => {
  await stopAll();
  await server.call('FLUSHALL');
});

const raw = async (node, path, options) => {
  const answer = await fetch(node.url + path, options);
  return `${answer.status} ${await answer.text()}`;
};

/** A job of `a` that has got these tokens, and may have ended. */
async function job({ a, hand }, { tokens = [], ends = false, headers, body } = {}) {
  const number = hand.calls.length;
  const request = { prompt: 'p', on_disconnect: 'continue', ...body };
  const answer = await a.submit(request, headers);
  expect(answer.status).toBe(201);
  const { job_id: id, stream_url: path } = answer.body;
  const call = await hand.call(number);
  call.push(...tokens);
  if (ends) call.end();
  const status = ends ? 'completed' : 'running';
  await until(async () => {
    const own = await a.job(id);
    return own.status === status && own.text === tokens.join('');
  }, 'its tokens');
  return { id, path, call, request, headers };
}

/** Everything goes, and both processes join again. */
async function loseAll() {
  await server.call('FLUSHALL');
  await until(async () => (await server.call('HLEN', '{sluice}:procs')) === 2, 'both processes');
}

/** A hash of Redis. */
async function hash(key) {
  const all = await server.call('HGETALL', key);
  return Array.isArray(all) ? fieldsOf(all) : all;
}

/** Both answer alike to these requests, with 200. */
async function expectSame({ a, b }, ...paths) {
  for (const path of paths) {
    await until(async () => {
      const [here, there] = [await raw(a, path), await raw(b, path)];
      return here === there && here.startsWith('200');
    }, `the same answers to ${path}`);
  }
}

describe('after a loss', () => {
  test('both answer alike: of ended, waiting and queued jobs, lists and keys', async () => {
    const two = await openTwo({ maxConcurrency: 3 });
    const { a, b } = two;
    const keyed = (key) => ({ 'idempotency-key': key });
    const done = await job(two, { tokens: ['whole'], ends: true, headers: keyed('done') });
    const idle = await job(two, { tokens: ['one '], headers: keyed('idle') });
    const asked = await job(two, { body: { metadata: { of: 'asked' } } });
    const last = await job(two);
    const queued = await a.submit({ prompt: 'q', on_disconnect: 'continue' });
    expect((await a.job(queued.body.job_id)).status).toBe('queued');
    const before = await raw(a, `/v1/jobs/${done.id}`);

    await loseAll();

    await expectSame(two, `/v1/jobs/${done.id}`, done.path);
    expect(await raw(b, `/v1/jobs/${done.id}`)).toBe(before);
    const shown = ({ status, text, metadata }) => ({ status, text, metadata });
    for (const id of [idle.id, asked.id, last.id, queued.body.job_id]) {
      const own = shown(await a.job(id));
      await until(async () => {
        const there = shown(await b.job(id));
        return JSON.stringify(there) === JSON.stringify(own);
      }, `the job ${id}`);
    }
    for (const node of [b, a]) {
      const { data } = (await node.get('/v1/jobs')).body;
      expect(data.map(({ job_id: id, status }) => [id, status])).toEqual([
        [queued.body.job_id, 'queued'],
        ...[last.id, asked.id, idle.id].map((id) => [id, 'running']),
        [done.id, 'completed'],
      ]);
      for (const { id, request, headers } of [done, idle]) {
        const again = await node.submit(request, headers);
        expect([again.status, again.body.job_id]).toEqual([200, id]);
      }
    }

    idle.call.push('two');
    for (const { call } of [idle, asked, last]) call.end();
    for (const { id, path } of [idle, asked, last]) {
      await b.ended(id);
      await expectSame(two, `/v1/jobs/${id}`, path);
    }
    expect((await b.job(idle.id)).text).toBe('one two');
    (await two.hand.call(4)).end();
    await b.ended(queued.body.job_id);
    // The keys left behind have a time to live.
    expect(await server.keys('{sluice}:open:*')).toEqual([]);
    expect(await server.call('PTTL', `{sluice}:job:${done.id}`)).toBeLessThanOrEqual(300_001);
    expect(await server.call('PTTL', `{sluice}:log:${done.id}`)).toBeGreaterThan(0);
  });

  test('a job that ends while its hash is not there yet is the same at both', async () => {
    const two = await openTwo();
    const one = await job(two, { tokens: ['one'] });
    await server.call('FLUSHALL');
    one.call.end();
    await two.a.ended(one.id);
    await expectSame(two, `/v1/jobs/${one.id}`, one.path);
  });

  test('signed URLs of streams stay valid at both', async () => {
    const key = 'sk-ann-0123456789abcdef';
    const keys = [{ id: 'ann', sha256: createHash('sha256').update(key).digest('hex') }];
    const two = await openTwo({ access: { keys } });
    const headers = { authorization: `Bearer ${key}` };
    const number = two.hand.calls.length;
    const { body } = await two.a.submit({ prompt: 'p', on_disconnect: 'continue' }, headers);
    const call = await two.hand.call(number);
    call.push('one');
    await until(
      async () => (await two.b.get(`/v1/jobs/${body.job_id}`, { headers })).body.text === 'one',
      'a token elsewhere',
    );
    await loseAll();
    call.end();
    await until(
      async () =>
        (await two.b.get(`/v1/jobs/${body.job_id}`, { headers })).body.status === 'completed',
      'the end elsewhere',
    );
    await expectSame(two, body.stream_url);
  });

  test('a cancellation of a job that its owner writes again is answered by 503, not 404', async () => {
    const two = await openTwo();
    const one = await job(two, { tokens: ['one'] });
    const stream = await two.b.stream(one.path);
    await until(() => stream.text === 'one', 'a token elsewhere');
    // As b finds Redis between the loss and its own join.
    await server.call('HSET', '{sluice}:meta', 'epoch', 'other');
    await server.call('DEL', `{sluice}:job:${one.id}`);
    expect((await two.b.cancel(one.id)).status).toBe(503);
    stream.close();
  });

  test('an ended job whose log is not written yet is answered by 503, and is in no list', async () => {
    const two = await openTwo();
    const one = await job(two, { tokens: ['one'], ends: true });
    await loseAll();
    await expectSame(two, `/v1/jobs/${one.id}`);
    const { owner, principal, created_us: created } = await hash(`{sluice}:job:${one.id}`);
    const fields = ['owner', owner, 'principal', principal, 'created_us', created, 'model', 'm'];
    const id = `job_${'z'.repeat(24)}`;
    const more = ['status', 'running', 'settled', '1', 'attempt', '1', 'choices', '1'];
    await server.call('HSET', `{sluice}:job:${id}`, ...fields, ...more);
    await server.call('ZADD', `{sluice}:jobs:${principal}`, created, id);
    expect((await two.b.get(`/v1/jobs/${id}`)).status).toBe(503);
    const { status, body } = await two.b.get('/v1/jobs');
    expect([status, body.data.map((each) => each.job_id)]).toEqual([200, [one.id]]);
  });

  test('owners know again where their readers are', async () => {
    const two = await openTwo();
    const one = await job(two, { tokens: ['one'], body: { on_disconnect: 'cancel' } });
    const stream = await two.b.stream(one.path);
    const readers = () => server.call('HLEN', `{sluice}:readers:${one.id}`);
    await until(async () => (await readers()) === 1, 'the reader');
    await loseAll();
    await until(async () => (await readers()) === 1, 'the reader again');
    one.call.end();
    await stream.done;
    expect(stream.last().type).toBe('job_complete');
  });
});

test('a server with older data: jobs that it has not got are written again, no others are dropped', async () => {
  const two = await openTwo();
  const { a, b } = two;
  const running = await job(two, { tokens: ['one '] });
  // As after a failover to a replica that has not received that the process joined.
  const name = await server.call('HGET', `{sluice}:job:${running.id}`, 'owner');
  await server.call(
    ...['EVAL', "redis.call('DEL', unpack(KEYS)) redis.call('HDEL', ARGV[1], ARGV[2])", 3],
    ...['job', 'log', 'open'].map(
      (kind) => `{sluice}:${kind}:${kind === 'open' ? name : running.id}`,
    ),
    ...['{sluice}:procs', name],
  );
  await until(async () => (await b.get(`/v1/jobs/${running.id}`)).body.text === 'one ', 'the job');
  running.call.push('two');
  running.call.end();
  await b.ended(running.id);
  await expectSame(two, `/v1/jobs/${running.id}`, running.path);
  expect((await a.job(running.id)).text).toBe('one two');
  expect(await a.metric('sluice_redis_fenced_total')).toBe(0);
});

test('a job that the bound of the deployment removes is gone at its owner, too', async () => {
  const two = await openTwo({ maxRetainedJobs: 2 });
  const { a, b } = two;
  const first = await job(two, { ends: true });
  const others = [];
  for (let i = 0; i < 2; i += 1) others.push(await job({ ...two, a: b }, { ends: true }));
  for (const node of [a, b]) {
    await until(async () => (await node.get(`/v1/jobs/${first.id}`)).status === 404, 'to be gone');
    for (const { id } of others) expect((await node.get(`/v1/jobs/${id}`)).status).toBe(200);
  }
});

test('restarted with older data: endings that it has not got are written again', async () => {
  const two = await openTwo();
  await server.call('SAVE');
  const one = await job(two, { tokens: ['one'], ends: true });
  await server.kill();
  await server.start();
  for (const node of [two.a, two.b]) await node.ready();
  await expectSame(two, `/v1/jobs/${one.id}`, one.path);
});

test.each(['its owner', 'the other process'])(
  'a job that only older data show as running is cancelled by %s',
  async (by) => {
    const two = await openTwo();
    const one = await job(two, { tokens: ['one'] });
    // The data of a snapshot.
    const copy = (kind) =>
      server.call('COPY', `{sluice}:${kind}:${one.id}`, `{sluice}:old:${kind}`);
    await copy('job');
    await copy('log');
    one.call.end();
    await two.a.ended(one.id);
    expect((await two.b.call('DELETE', `/v1/jobs/${one.id}`)).status).toBe(204);
    expect((await two.a.get(`/v1/jobs/${one.id}`)).status).toBe(404);
    for (const kind of ['job', 'log']) {
      await server.call('COPY', `{sluice}:old:${kind}`, `{sluice}:${kind}:${one.id}`);
    }
    const node = by === 'its owner' ? two.a : two.b;
    const { status, body } = await node.cancel(one.id);
    expect([status, body.status, body.text]).toEqual([200, 'cancelled', 'one']);
  },
);
