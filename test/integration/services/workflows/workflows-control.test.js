/** Workflows cancelled and tried again, their owners, and slow readers. */
import { byId, words } from '../../../support/gateway/workflows.js';
import { everyEgress, start, stopAll } from '../../../support/gateway/gateway.js';
import { echo, handProvider } from '../../../support/providers/providers.js';
import { ManualClock, providers } from '../../../../lib/index.js';
import { streamTokens } from '../../../support/upstream/mock-upstream.js';
import { until } from '../../../support/until.js';
import { mockUpstream } from '../../../support/gateway/upstream.js';

afterEach(stopAll);

const chain = [
  { id: 'a', prompt: 'a' },
  { id: 'b', prompt: 'b {{a.text}}', after: ['a'] },
  { id: 'c', prompt: 'c {{b.text}}', after: ['b'] },
];

describe('cancel', () => {
  test.each(everyEgress)(
    'ends the running nodes and the stream: egress %s, %i reactors',
    async (egress, reactors) => {
      const { provider, call, calls } = handProvider();
      const { post, stream, get } = await start({ provider, egress, reactors });
      const { body: created } = await post('/v1/workflows', { nodes: chain });
      const path = `/v1/workflows/${created.workflow_id}`;
      const open = await stream(created.stream_url);
      (await call(0)).push('one');
      calls[0].end();
      const second = await call(1);
      second.push('half');
      await until(() => words(open.events).includes('token b'), 'a token of b');
      const { status, body } = await post(`${path}/cancel`);
      expect(status).toBe(200);
      expect(body).toMatchObject({ status: 'cancelled', reason: 'client_request' });
      await second.aborted;
      const events = await open.done;
      expect(events.at(-1)).toMatchObject({
        type: 'workflow_cancelled',
        data: { reason: 'client_request', metrics: { events: events.length - 1 } },
      });
      const nodes = byId(body);
      expect([nodes.a.status, nodes.b.status, nodes.c.status]).toEqual([
        'completed',
        'cancelled',
        'cancelled',
      ]);
      expect(calls).toHaveLength(2);
      expect((await post(`${path}/cancel`)).body).toEqual(body);
      expect((await get(path)).body).toEqual(body);
    },
  );

  test('while a node waits for its retry: at once', async () => {
    const { provider, call } = handProvider();
    const { post, stream } = await start({ provider });
    const { body } = await post('/v1/workflows', {
      nodes: [{ id: 'a', prompt: 'a', retry: { attempts: 2, base_ms: 600_000, cap_ms: 600_000 } }],
    });
    const open = await stream(body.stream_url);
    (await call(0)).fail(new Error('later'));
    await until(() => words(open.events).includes('node_retry a'), 'the retry');
    await post(`/v1/workflows/${body.workflow_id}/cancel`);
    expect((await open.done).at(-1).type).toBe('workflow_cancelled');
  });

  test('while its jobs are in the queue: the provider never receives them', async () => {
    const { provider, call, calls } = handProvider();
    const { post, submit, ended } = await start({ provider, maxConcurrency: 1 });
    const first = await submit({ prompt: 'in front' });
    await call(0);
    const { body } = await post('/v1/workflows', { nodes: chain });
    await post(`/v1/workflows/${body.workflow_id}/cancel`);
    calls[0].end();
    await ended(first.body.job_id);
    const last = await submit({ prompt: 'behind' });
    (await call(1)).end();
    await ended(last.body.job_id);
    expect(calls.map(({ request }) => request.prompt)).toEqual(['in front', 'behind']);
  });

  test('happens by itself once the grace after the last reader is over', async () => {
    const { provider, call } = handProvider();
    const { post, stream, get } = await start({ provider });
    const { body } = await post('/v1/workflows', { nodes: chain, disconnect_grace_ms: 20 });
    const open = await stream(body.stream_url);
    const run = await call(0);
    open.close();
    await run.aborted;
    const view = await get(`/v1/workflows/${body.workflow_id}`);
    expect(view.body).toMatchObject({ status: 'cancelled', reason: 'client_disconnected' });
  });

  test('and a deadline of the whole both end its nodes', async () => {
    const { provider, call } = handProvider();
    const clock = new ManualClock();
    const { post, read } = await start({ provider, clock });
    const { body } = await post('/v1/workflows', { nodes: chain, max_wall_ms: 50 });
    const run = await call(0);
    clock.advanceMs(50);
    const { events } = await read(body.stream_url);
    expect(events.at(-1)).toMatchObject({
      type: 'workflow_failed',
      data: { error: { code: 'wall_time_exceeded' } },
    });
    await run.aborted;
  });

  test('a closing gateway drains workflows, and then ends them with the reason shutdown', async () => {
    const { provider, call, calls } = handProvider();
    const clock = new ManualClock();
    const { gateway, post, stream } = await start({ provider, clock });
    const quick = (await post('/v1/workflows', { nodes: chain })).body;
    await call(0);
    const slow = (await post('/v1/workflows', { nodes: [{ id: 'x', prompt: 'x' }] })).body;
    await call(1);
    const [first, second] = [await stream(quick.stream_url), await stream(slow.stream_url)];
    const closing = gateway.close({ drainMs: 500 });
    await expect(gateway.submitWorkflow({ nodes: chain })).rejects.toMatchObject({
      code: 'ERR_DRAINING',
    });
    calls[0].end();
    (await call(2)).end();
    (await call(3)).end();
    expect((await first.done).at(-1).type).toBe('workflow_complete');
    clock.advanceMs(500);
    expect((await second.done).at(-1)).toMatchObject({
      type: 'workflow_cancelled',
      data: { reason: 'shutdown' },
    });
    await closing;
  });
});

describe('retry of a workflow', () => {
  const nodes = [
    { id: 'good', prompt: 'good' },
    { id: 'bad', prompt: 'bad' },
    { id: 'after', prompt: 'after {{bad.text}} {{good.text}}', after: ['bad', 'good'] },
    { id: 'apart', prompt: 'apart {{good.text}}', after: ['good'] },
  ];

  /** `bad` fails while `broken.now`. */
  async function failedOnce() {
    const broken = { now: true };
    const prompts = [];
    const server = await start({
      provider: async function* provider({ prompt }) {
        prompts.push(prompt);
        if (prompt === 'bad' && broken.now) throw new Error('broken');
        yield prompt;
      },
    });
    const { body } = await server.post('/v1/workflows', { nodes });
    const { events } = await server.read(body.stream_url);
    return { ...server, broken, prompts, created: body, events };
  }

  test('runs the failed nodes and their dependants, under the next attempt', async () => {
    const { broken, prompts, created, events, post, read, get } = await failedOnce();
    expect(events.at(-1).type).toBe('workflow_failed');
    broken.now = false;
    prompts.length = 0;
    const path = `/v1/workflows/${created.workflow_id}`;
    const { status, body } = await post(`${path}/retry`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: 'running', attempt: 2, stream_url: created.stream_url });
    expect(byId(body).good.status).toBe('completed');
    // A reader already at the end receives the event, too.
    const again = await read(body.stream_url, { headers: { 'last-event-id': events.at(-1).id } });
    expect(again.ids[0]).toBe('2-0');
    expect(words(again.events)).toEqual([
      'workflow_retry',
      ...['node_started bad', 'token bad', 'node_complete bad'],
      ...['node_started after', 'token after', 'node_complete after'],
      'workflow_complete',
    ]);
    expect(again.events[0].data).toEqual({ workflow_id: created.workflow_id, attempt: 2 });
    expect(again.events.at(-1).data.nodes).toEqual({ completed: 4 });
    expect(prompts).toEqual(['bad', 'after bad good']);
    const view = (await get(path)).body;
    expect(view).toMatchObject({ status: 'completed', attempt: 2 });
    expect(view).not.toHaveProperty('error');
  });

  test('may fail again, and be tried again', async () => {
    const { created, post, read } = await failedOnce();
    const path = `/v1/workflows/${created.workflow_id}`;
    for (const attempt of [2, 3]) {
      expect((await post(`${path}/retry`)).body.attempt).toBe(attempt);
      const { events } = await read(created.stream_url);
      expect(events[0].id).toBe(`${attempt}-0`);
      expect(events.at(-1).type).toBe('workflow_failed');
    }
  });

  test('includes the nodes that ran after a continued failure', async () => {
    let broken = true;
    const { post, read } = await start({
      provider: async function* provider({ prompt }) {
        if (prompt === 'bad' && broken) throw new Error('broken');
        yield `<${prompt}>`;
      },
    });
    const { body } = await post('/v1/workflows', {
      nodes: [
        { id: 'bad', prompt: 'bad', on_failure: 'continue' },
        { id: 'next', prompt: 'with {{bad.text}}', after: ['bad'] },
      ],
    });
    expect((await read(body.stream_url)).events.at(-1).type).toBe('workflow_complete');
    broken = false;
    await post(`/v1/workflows/${body.workflow_id}/retry`);
    const { events } = await read(body.stream_url);
    expect(events.find(({ data }) => data.node === 'next' && data.text)?.data.text).toBe(
      '<with <bad>>',
    );
  });

  test('is refused while it runs, and when nothing failed', async () => {
    const { provider, call } = handProvider();
    const { post, read } = await start({ provider });
    const { body } = await post('/v1/workflows', { nodes: [{ id: 'a', prompt: 'a' }] });
    const path = `/v1/workflows/${body.workflow_id}/retry`;
    const run = await call(0);
    const early = await post(path);
    expect([early.status, early.body.error.code]).toEqual([409, 'workflow_running']);
    run.end();
    await read(body.stream_url);
    const late = await post(path);
    expect([late.status, late.body.error.code]).toEqual([409, 'nothing_to_retry']);
  });

  test('a cancelled one continues at its position', async () => {
    const { provider, call } = handProvider();
    const { post, read } = await start({ provider });
    const { body } = await post('/v1/workflows', { nodes: chain });
    const path = `/v1/workflows/${body.workflow_id}`;
    const first = await call(0);
    first.push('one');
    first.end();
    await call(1);
    await post(`${path}/cancel`);
    await post(`${path}/retry`);
    const again = await call(2);
    expect(again.request.prompt).toBe('b one');
    again.push('two');
    again.end();
    const last = await call(3);
    expect(last.request.prompt).toBe('c two');
    last.end();
    expect((await read(body.stream_url)).events.at(-1).type).toBe('workflow_complete');
  });
});

describe('owners', () => {
  test('other principals cannot read, cancel, retry, stream or list it', async () => {
    const { post, get, call } = await start({
      provider: echo,
      authenticate: (req) => req.get('x-user') ?? 'nobody',
    });
    const ann = { 'x-user': 'ann' };
    const { body } = await post('/v1/workflows', { nodes: chain }, ann);
    const path = `/v1/workflows/${body.workflow_id}`;
    const tries = [
      get(path),
      get(body.stream_url),
      post(`${path}/cancel`),
      post(`${path}/retry`),
      post(`${path}/stream_url`),
      get('/v1/workflows/wf_unknown', { headers: ann }),
    ];
    for (const { status, body: refused } of await Promise.all(tries)) {
      expect([status, refused.error.code]).toEqual([404, 'workflow_not_found']);
    }
    expect((await get('/v1/workflows')).body.data).toEqual([]);
    const mine = await get('/v1/workflows', { headers: ann });
    expect(mine.body).toMatchObject({
      data: [{ workflow_id: body.workflow_id, counts: expect.any(Object) }],
      has_more: false,
    });
    expect(mine.body.data[0]).not.toHaveProperty('nodes');
    expect((await call('DELETE', path)).status).toBe(405);
  });

  test('with keys, its address is signed, and can be renewed', async () => {
    const { createHash } = await import('node:crypto');
    const sha256 = createHash('sha256').update('key').digest('hex');
    const { post, read, get } = await start({
      provider: echo,
      access: { keys: [{ id: 'ann', sha256 }] },
    });
    const headers = { authorization: 'Bearer key' };
    const { body } = await post('/v1/workflows', { nodes: chain }, headers);
    expect(body.stream_url).toContain('&token=');
    expect((await read(body.stream_url)).events.at(-1).type).toBe('workflow_complete');
    const renewed = await post(`/v1/workflows/${body.workflow_id}/stream_url`, undefined, headers);
    expect((await read(renewed.body.stream_url)).events.at(-1).type).toBe('workflow_complete');
    const bare = await get(`/v1/stream?workflow_id=${body.workflow_id}`);
    expect(bare.status).toBe(401);
  });

  test('a key makes one workflow of many submissions', async () => {
    const { post } = await start({ provider: echo });
    const headers = { 'idempotency-key': 'k1' };
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => post('/v1/workflows', { nodes: chain }, headers)),
    );
    expect(new Set(answers.map(({ body }) => body.workflow_id)).size).toBe(1);
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array(9).fill(200), 201]);
    const replayed = answers.find(({ status }) => status === 200);
    expect(replayed.headers.get('idempotency-replayed')).toBe('true');
    const other = await post('/v1/workflows', { nodes: chain.slice(0, 1) }, headers);
    expect([other.status, other.body.error.code]).toEqual([422, 'idempotency_key_reused']);
    // Keys of jobs are separate.
    expect((await post('/v1/jobs', { prompt: 'x' }, headers)).status).toBe(201);
  });

  test('it is purged after its retention', async () => {
    const { post, read, get } = await start({ provider: echo, retentionMs: 30 });
    const { body } = await post('/v1/workflows', { nodes: chain });
    await read(body.stream_url);
    await until(
      async () => (await get(`/v1/workflows/${body.workflow_id}`)).status === 404,
      'the purge',
    );
  });
});

describe('a slow reader', () => {
  test.each([
    ['a generator', undefined],
    ['a relayed upstream', 'upstream'],
  ])('holds back its nodes: %s', async (_name, kind) => {
    let produced = 0;
    async function* endless(_request, { signal }) {
      while (!signal.aborted) {
        produced += 1;
        yield 'word ';
        if (produced % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    }
    let provider = endless;
    if (kind === 'upstream') {
      const upstream = await mockUpstream(async (exchange) => {
        exchange.open();
        while (!exchange.res.destroyed && produced < 5e6) {
          produced += 1;
          await exchange.delta('word '.repeat(200));
          // A server in this thread: without a reader it must yield to the event loop.
          if (produced % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
      });
      provider = providers.openai({ baseUrl: upstream.url, model: 'm' });
    }
    const { gateway } = await start({ provider });
    const { id } = await gateway.submitWorkflow({
      nodes: [
        { id: 'a', prompt: 'x' },
        { id: 'b', prompt: 'x' },
      ],
    });
    const events = gateway.stream(id);
    await events.next();
    // Until the producers stop.
    let before = -1;
    await until(async () => {
      const still = produced === before;
      before = produced;
      await new Promise((resolve) => setTimeout(resolve, 150));
      return still;
    }, 'the producers to stand still');
    const held = produced;
    // Sockets in between buffer some megabytes: the producer notices room only after these are read.
    for (let i = 0; i < 50_000 && produced === held; i++) await events.next();
    expect(produced).toBeGreaterThan(held);
    await gateway.workflows.cancel(id);
    await events.return();
  });
});

test('nodes of an OpenAI-style upstream, through the relay where there is one', async () => {
  const upstream = await mockUpstream(streamTokens({ tokens: ['Hel', 'lo ', '\u{1f600}'] }));
  const { post, read } = await start({
    provider: providers.openai({ baseUrl: upstream.url, model: 'm' }),
  });
  const { body } = await post('/v1/workflows', { nodes: chain });
  const { events } = await read(body.stream_url);
  expect(events.at(-1)).toMatchObject({
    type: 'workflow_complete',
    data: { nodes: { completed: 3 } },
  });
  expect(upstream.exchanges.at(-1).body.messages).toEqual([
    { role: 'user', content: 'c Hello \u{1f600}' },
  ]);
  const tokens = events.filter(({ type, data }) => type === 'token' && data.node === 'b');
  expect(tokens.map(({ data }) => data.token)).toEqual(['Hel', 'lo ', '\u{1f600}']);
});
