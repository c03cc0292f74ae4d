/** Workflows over HTTP: from the request to the last event, on every egress. */
import { answering, byId, passing, tokensOf, words } from '../../../support/gateway/workflows.js';
import { everyEgress, start, stopAll } from '../../../support/gateway/gateway.js';
import { until } from '../../../support/until.js';

afterEach(stopAll);

/** Fails for prompts that say so, answers in capitals otherwise. */
const shout = (prompt) => {
  if (prompt.includes('fail')) throw new Error('internal words of the failure');
  return prompt.toUpperCase();
};

const diamond = [
  { id: 'a', prompt: 'first words' },
  { id: 'b', prompt: 'b of {{a.text}}', after: ['a'] },
  { id: 'c', messages: [{ role: 'user', content: 'c of {{ a.text }}' }], after: ['a'] },
  { id: 'd', prompt: '{{b.text}} & {{c.text}}', after: ['b', 'c'] },
];

describe.each(everyEgress)('egress %s, %i reactors', (egress, reactors) => {
  test('each node runs after its dependencies, with their texts, and streams as it runs', async () => {
    const { provider, prompts } = answering(shout);
    const { post, get, read } = await start({ provider, egress, reactors });
    const created = await post('/v1/workflows', { nodes: diamond });
    const { workflow_id: id, stream_url: url } = created.body;
    expect(created).toMatchObject({
      status: 201,
      body: { status: 'running', created_at: expect.any(Number) },
    });
    expect(id).toMatch(/^wf_[\w-]{24}$/);
    expect(url).toBe(`/v1/stream?workflow_id=${id}`);
    expect(created.headers.get('location')).toBe(`/v1/workflows/${id}`);

    const { events, headers } = await read(url);
    expect(headers['content-type']).toBe('text/event-stream');
    expect(words(events).slice(0, 3)).toEqual(['node_started a', 'token a', 'node_complete a']);
    expect(words(events).slice(-4)).toEqual([
      'node_started d',
      'token d',
      'node_complete d',
      'workflow_complete',
    ]);
    for (const { data } of events) expect(data.workflow_id).toBe(id);
    expect(events.map((event) => event.id)).toEqual(events.map((_, i) => `1-${i + 1}`));
    expect(tokensOf(events, 'd')).toBe('B OF FIRST WORDS & C OF FIRST WORDS');
    expect(events.at(-2).data).toMatchObject({
      node: 'd',
      attempts: 1,
      text: 'B OF FIRST WORDS & C OF FIRST WORDS',
    });
    expect(events.at(-1).data).toMatchObject({
      nodes: { completed: 4 },
      usage: { prompt_tokens: expect.any(Number), completion_tokens: 2 + 4 + 4 + 9 },
      metrics: { duration_ms: expect.any(Number), events: events.length - 1 },
    });
    expect(prompts.sort()).toEqual([
      'B OF FIRST WORDS & C OF FIRST WORDS',
      'b of FIRST WORDS',
      'c of FIRST WORDS',
      'first words',
    ]);

    const { body } = await get(`/v1/workflows/${id}`);
    expect(body).toMatchObject({ workflow_id: id, status: 'completed', attempt: 1 });
    expect(body.nodes.map((node) => [node.id, node.type, node.status])).toEqual(
      ['a', 'b', 'c', 'd'].map((node) => [node, 'prompt', 'completed']),
    );
    expect(byId(body).d).toMatchObject({
      text: 'B OF FIRST WORDS & C OF FIRST WORDS',
      after: ['b', 'c'],
      attempts: 1,
      started_at: expect.any(Number),
      ended_at: expect.any(Number),
    });
    // Its jobs are hidden from other callers.
    expect((await get('/v1/jobs')).body.data).toEqual([]);
  });

  test('a stream that was cut resumes at its position; after the end there is nothing', async () => {
    const { provider } = answering(shout);
    const { post, read, get } = await start({ provider, egress, reactors });
    const { body } = await post('/v1/workflows', { nodes: diamond });
    const { events } = await read(body.stream_url);
    const cursor = events[4].id;
    const rest = await read(body.stream_url, { headers: { 'last-event-id': cursor } });
    expect(rest.events).toEqual(events.slice(5));
    const after = await get(body.stream_url, { headers: { 'last-event-id': events.at(-1).id } });
    expect(after.status).toBe(204);
  });

  test('dependants of a failed node are skipped, the rest finishes, and the end counts both', async () => {
    const { provider, prompts } = answering(shout);
    const { post, get, read } = await start({ provider, egress, reactors, exposeErrors: true });
    const { body: created } = await post('/v1/workflows', {
      nodes: [
        { id: 'bad', prompt: 'fail' },
        { id: 'next', prompt: 'n {{bad.text}}', after: ['bad'] },
        { id: 'far', prompt: 'f {{next.text}}', after: ['next'] },
        { id: 'apart', prompt: 'alone' },
        { id: 'behind', prompt: '{{apart.text}}!', after: ['apart'] },
      ],
    });
    const { events } = await read(created.stream_url);
    const [failed] = events.filter(({ type }) => type === 'node_failed');
    expect(failed.data).toMatchObject({
      node: 'bad',
      attempts: 1,
      error: { code: 'provider_error', message: 'internal words of the failure' },
    });
    expect(words(events)).toEqual(
      expect.arrayContaining(['node_skipped next', 'node_skipped far', 'node_complete behind']),
    );
    for (const { type, data } of events) {
      if (type === 'node_skipped') expect(data.reason).toBe('bad');
    }
    expect(events.at(-1)).toMatchObject({
      type: 'workflow_failed',
      data: {
        error: { code: 'node_failed', message: expect.stringContaining('bad') },
        failed: ['bad'],
        nodes: { completed: 2, failed: 1, skipped: 2 },
      },
    });
    expect(prompts.sort()).toEqual(['ALONE!', 'alone', 'fail']);
    const { body } = await get(`/v1/workflows/${created.workflow_id}`);
    expect(body).toMatchObject({ status: 'failed', error: { code: 'node_failed' } });
    expect(byId(body).far).toMatchObject({ status: 'skipped', reason: 'bad', attempts: 0 });
    expect(byId(body).bad).not.toHaveProperty('text');
  });
});

test('an error text is never fed to a node that continues without it', async () => {
  const { provider, prompts } = answering(shout);
  const { post, read } = await start({ provider });
  const { body } = await post('/v1/workflows', {
    nodes: [
      { id: 'bad', prompt: 'fail', on_failure: 'continue' },
      { id: 'next', prompt: 'have <{{bad.text}}>', after: ['bad'] },
    ],
  });
  const { events } = await read(body.stream_url);
  expect(prompts).toEqual(['fail', 'have <>']);
  expect(events.at(-1)).toMatchObject({
    type: 'workflow_complete',
    data: { nodes: { completed: 1, failed: 1 } },
  });
});

test('a prompt that would be too large once filled is refused before it is built', async () => {
  const { provider, prompts } = answering(() => 'x'.repeat(8192));
  const { post, read } = await start({ provider });
  const { body } = await post('/v1/workflows', {
    nodes: [
      { id: 'a', prompt: 'a' },
      // Whole it would be longer than a string can be.
      { id: 'b', prompt: '{{a.text}}'.repeat(80_000), after: ['a'] },
    ],
  });
  const { events } = await read(body.stream_url);
  const failed = events.find(({ type }) => type === 'node_failed');
  expect(failed.data.error.code).toBe('prompt_too_large');
  expect(prompts).toEqual(['a']);
});

test('messages of one call are counted together, before any of them is filled', async () => {
  const { provider, prompts } = answering(() => 'x'.repeat(1 << 20));
  const { post, read } = await start({ provider });
  const message = { role: 'user', content: 'x{{a.text}}' };
  const { body } = await post('/v1/workflows', {
    nodes: [
      { id: 'a', prompt: 'a' },
      // Each has 1 MiB; all of them would take 5 GB.
      { id: 'b', messages: Array.from({ length: 5000 }, () => message), after: ['a'] },
      { id: 'fits', messages: Array.from({ length: 7 }, () => message), after: ['a'] },
    ],
  });
  const { events } = await read(body.stream_url);
  const failed = events.filter(({ type }) => type === 'node_failed');
  expect(failed.map(({ data }) => [data.node, data.error.code])).toEqual([
    ['b', 'prompt_too_large'],
  ]);
  expect(prompts.map(({ length }) => length)).toEqual([1, 7 * ((1 << 20) + 1) + 6]);
});

test('large prompts of one principal wait for one another, over all its workflows', async () => {
  const size = 1 << 20;
  let [held, most, calls] = [0, 0, 0];
  async function* provider({ prompt }) {
    if (prompt === 'a') return yield 'x'.repeat(size);
    held += prompt.length;
    calls += 1;
    most = Math.max(most, held);
    await new Promise((resolve) => setTimeout(resolve, 5));
    held -= prompt.length;
    yield 'done';
  }
  const { post, read } = await start({ provider, maxInFlightBatches: 100 });
  const large = (id) => ({ id, prompt: '{{a.text}}'.repeat(6), after: ['a'] });
  const nodes = [{ id: 'a', prompt: 'a' }, ...['b', 'c', 'd', 'e', 'f'].map(large)];
  const ends = await Promise.all(
    Array.from({ length: 2 }, async () => {
      const { body } = await post('/v1/workflows', { nodes, concurrency: 100 });
      return (await read(body.stream_url)).events.at(-1).type;
    }),
  );
  expect(ends).toEqual(['workflow_complete', 'workflow_complete']);
  expect(calls).toBe(10);
  expect(most).toBe(2 * 6 * size);
});

test('a workflow whose texts exceed the bound together fails by name', async () => {
  const { provider } = answering(() => 'x'.repeat(4_000_000));
  const { post, read, get } = await start({ provider });
  // 17 texts of 4 MB are more than 64 Mi characters.
  const nodes = Array.from({ length: 20 }, (_, i) => ({ id: `n${i}`, prompt: 'a' }));
  const { body } = await post('/v1/workflows', { nodes });
  const { events } = await read(body.stream_url);
  const failed = events.filter(({ type }) => type === 'node_failed');
  expect(failed.map(({ data }) => data.error.code)).toEqual(
    Array.from({ length: 4 }, () => 'workflow_too_large'),
  );
  expect((await get(`/v1/workflows/${body.workflow_id}`)).body.counts).toEqual({
    completed: 16,
    failed: 4,
  });
});

test('the text of a model is not searched for placeholders', async () => {
  const { provider, prompts } = answering((prompt) => (prompt === 'a' ? '{{b.text}}' : 'x'));
  const { post, read } = await start({ provider });
  const { body } = await post('/v1/workflows', {
    nodes: [
      { id: 'a', prompt: 'a' },
      { id: 'b', prompt: 'b', after: ['a'] },
      { id: 'c', prompt: '{{a.text}} {{ not one }} {"a": {{"b": 1}}}', after: ['a', 'b'] },
    ],
  });
  await read(body.stream_url);
  expect(prompts.at(-1)).toBe('{{b.text}} {{ not one }} {"a": {{"b": 1}}}');
});

test('no more nodes at once than `concurrency`, each with its own model and limits', async () => {
  let running = 0;
  let most = 0;
  const seen = [];
  const { post, read } = await start({
    provider: async function* provider({ model, maxTokens, temperature, stop }) {
      most = Math.max(most, ++running);
      seen.push({ model, maxTokens, temperature, stop });
      await new Promise((resolve) => setTimeout(resolve, 5));
      yield 'x';
      running -= 1;
    },
  });
  const nodes = Array.from({ length: 12 }, (_, i) => ({ id: `n${i}`, prompt: 'x' }));
  Object.assign(nodes[0], { model: 'm0', max_tokens: 3, temperature: 0.5, stop: 'z' });
  const { body } = await post('/v1/workflows', { nodes, concurrency: 2 });
  await read(body.stream_url);
  expect(most).toBe(2);
  expect(seen[0]).toEqual({ model: 'm0', maxTokens: 3, temperature: 0.5, stop: ['z'] });
});

test('retries have a ceiling, a floor and a budget, for any policy of a node', async () => {
  let calls = 0;
  // oxlint-disable-next-line require-yield -- that is the point of it
  async function* provider() {
    calls += 1;
    throw passing();
  }
  const { post, get } = await start({ provider, maxInFlightBatches: 64 });
  const retry = { attempts: 10_000, base_ms: 0, cap_ms: 0 };
  const nodes = Array.from({ length: 40 }, (_, i) => ({ id: `n${i}`, prompt: 'x', retry }));
  const startMs = performance.now();
  const { body } = await post('/v1/workflows', { nodes, concurrency: 40 });
  const found = await until(async () => {
    const { body: view } = await get(`/v1/workflows/${body.workflow_id}`);
    return view.status === 'failed' && view;
  }, 'the end of the workflow');
  const seconds = (performance.now() - startMs) / 1000;
  expect(calls).toBeGreaterThanOrEqual(40 + 100);
  expect(calls).toBeLessThanOrEqual(40 + 100 + 10 * seconds + 1);
  for (const { error, attempts } of found.nodes) {
    expect(error.code).toBe('upstream_unavailable');
    expect(attempts).toBeLessThan(15);
  }
  const { body: metrics } = await get('/metrics');
  expect(metrics).toMatch(/^sluice_retries_refused_total 40$/m);
});

describe('retries', () => {
  const flaky = (failures, error) => {
    let calls = 0;
    return async function* provider() {
      calls += 1;
      yield `try ${calls} `;
      if (calls <= failures) throw error();
    };
  };

  test('of a node are announced; its readers discard its text', async () => {
    const provider = flaky(2, () => new Error('broken'));
    const { post, read, get } = await start({ provider, exposeErrors: true });
    const { body: created } = await post('/v1/workflows', {
      nodes: [{ id: 'a', prompt: 'x', retry: { attempts: 3, base_ms: 1, cap_ms: 2 } }],
    });
    const { events } = await read(created.stream_url);
    expect(words(events)).toEqual([
      ...['node_started a', 'token a', 'node_retry a'],
      ...['node_started a', 'token a', 'node_retry a'],
      ...['node_started a', 'token a', 'node_complete a', 'workflow_complete'],
    ]);
    const retries = events.filter(({ type }) => type === 'node_retry').map(({ data }) => data);
    expect(retries.map(({ attempt }) => attempt)).toEqual([2, 3]);
    for (const { delay_ms: delayMs, error } of retries) {
      expect(delayMs).toBeGreaterThanOrEqual(0);
      expect(delayMs).toBeLessThanOrEqual(2);
      expect(error.message).toBe('broken');
    }
    const { body } = await get(`/v1/workflows/${created.workflow_id}`);
    expect(byId(body).a).toMatchObject({ attempts: 3, text: 'try 3 ', status: 'completed' });
    expect(byId(body).a).not.toHaveProperty('error');
  });

  test('happen by default for transient failures, not for permanent ones, never if forbidden', async () => {
    const { provider } = answering((prompt, { signal: _signal }) => {
      if (prompt === 'passing') throw passing();
      if (prompt === 'forbidden') throw passing({ retryable: false });
      throw new Error('plain');
    });
    const { post, read } = await start({
      provider,
      retry: { attempts: 2, baseMs: 1, capMs: 2 },
    });
    const again = { attempts: 3, base_ms: 1, cap_ms: 1 };
    const { body } = await post('/v1/workflows', {
      nodes: [
        { id: 'passing', prompt: 'passing' },
        { id: 'plain', prompt: 'plain' },
        { id: 'asked', prompt: 'plain', retry: again },
        { id: 'forbidden', prompt: 'forbidden', retry: again },
      ],
    });
    const { events } = await read(body.stream_url);
    const attempts = Object.fromEntries(
      events
        .filter(({ type }) => type === 'node_failed')
        .map(({ data }) => [data.node, data.attempts]),
    );
    expect(attempts).toEqual({ passing: 2, plain: 1, asked: 3, forbidden: 1 });
  });

  test("wait for the server's Retry-After", async () => {
    const provider = flaky(1, () => passing({ retryAfterMs: 300 }));
    const { post, read } = await start({ provider });
    const { body } = await post('/v1/workflows', {
      nodes: [{ id: 'a', prompt: 'x', retry: { attempts: 2, base_ms: 1 } }],
    });
    const startedAt = performance.now();
    const { events } = await read(body.stream_url);
    expect(events.find(({ type }) => type === 'node_retry').data.delay_ms).toBe(300);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(290);
    expect(events.at(-1).type).toBe('workflow_complete');
  });
});

test('gateway.workflows does the same without HTTP', async () => {
  const { provider } = answering(shout);
  const { gateway } = await start({ provider });
  const { id, streamUrl, status, replayed } = await gateway.submitWorkflow({ nodes: diamond });
  expect({ streamUrl, status, replayed }).toEqual({
    streamUrl: `/v1/stream?workflow_id=${id}`,
    status: 'running',
    replayed: false,
  });
  const events = [];
  for await (const event of gateway.stream(id)) events.push(event);
  expect(events.at(-1).type).toBe('workflow_complete');
  expect(byId(gateway.workflow(id)).d.text).toBe('B OF FIRST WORDS & C OF FIRST WORDS');
  expect(gateway.workflow('wf_unknown')).toBeUndefined();
  expect(gateway.workflows.list().data).toMatchObject([{ id, counts: { completed: 4 } }]);
  await expect(gateway.submitWorkflow({ nodes: [{ id: 'a' }] })).rejects.toMatchObject({
    code: 'ERR_MISSING_FIELD',
    param: 'nodes[0].prompt',
  });
});
