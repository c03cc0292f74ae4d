/** `/v1/admin`: the live feed of the dashboard, and the log of one job as an onlooker reads it. */
import { bearer, entry } from '../../support/gateway/keys.js';
import { partsOf } from '../../support/gateway/parts.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { start, stopAll, testOwnServer } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';

afterEach(stopAll);

const ops = bearer('ops');
const ann = bearer('ann');
const access = {
  keys: [
    entry('ops', 'ops', { admin: true }),
    entry('ann', 'ann', { limits: { requests_per_minute: 10, concurrent_jobs: 5 } }),
  ],
};

/** The last event of a type, once there is one that `check` accepts. */
const wait = (stream, type, check = () => true) =>
  until(
    () => stream.events.findLast((event) => event.type === type && check(event.data))?.data,
    `an event ${type}`,
  );

test('the feed has running and ended jobs and the remaining limits, and costs nothing without a listener', async () => {
  const { provider, call } = handProvider();
  const gateway = await start({ provider, access, maxConcurrency: 2 });
  const { feed } = await partsOf(gateway.gateway).admin.load();
  const { lifecycle } = partsOf(gateway.gateway);
  const idle = lifecycle.listenerCount('ended');
  const before = (await gateway.submit({ prompt: 'before', model: 'small' }, ann)).body.job_id;
  const first = await call(0);
  first.push('a', 'b', 'c');
  first.end();
  await until(
    async () =>
      (await gateway.get(`/v1/jobs/${before}`, { headers: ann })).body.status === 'completed',
  );
  const stream = await gateway.stream('/v1/admin/events', { headers: ops });
  expect(await wait(stream, 'hello')).toMatchObject({
    keyed: true,
    durable: false,
    capacity: { calls: 2, incoming: 100, processing: 10 },
  });
  // Jobs from before are in the charts, too.
  const { groups } = await wait(stream, 'series');
  expect(groups.map(({ model, points }) => [model, points.length, points[0]?.[3]])).toEqual([
    ['', 1, 3],
    ['small', 1, 3],
  ]);
  const state = await wait(stream, 'state');
  expect(state.limits.data).toEqual([
    {
      scope: 'principal',
      name: 'ann',
      entries: [
        { dimension: 'requests', limit: 10, remaining: expect.any(Number) },
        { dimension: 'concurrent_jobs', limit: 5, remaining: 5 },
      ],
    },
  ]);
  expect(state.limits.data[0].entries[0].remaining).toBeLessThan(10);
  const id = (await gateway.submit({ prompt: 'live', model: 'large' }, ann)).body.job_id;
  const live = await call(1);
  live.push('x', 'y');
  const jobs = await wait(stream, 'jobs', ({ data }) => data[0].tokens === 2);
  expect(jobs.data.map(({ job_id, key, model, status }) => [job_id, key, model, status])).toEqual([
    [id, 'ann', 'large', 'running'],
    [before, 'ann', 'small', 'completed'],
  ]);
  const sample = await wait(stream, 'sample', ({ jobs: counts }) => counts.running === 1);
  expect(sample).toMatchObject({
    entries_total: 5,
    jobs: { queued: 0, running: 1, completed: 1, failed: 0, cancelled: 0 },
    queue: { in_flight: 1 },
    open_streams: 0,
  });
  expect(sample.memory.logs).toBeGreaterThan(0);
  live.fail(new Error('no'));
  await wait(stream, 'sample', ({ groups: [all] }) => all.points.at(-1)?.[2] === 1);
  expect([feed.listeners, lifecycle.listenerCount('ended')]).toEqual([1, idle + 1]);
  stream.close();
  await until(() => feed.listeners === 0, 'the listener has left');
  expect(lifecycle.listenerCount('ended')).toBe(idle);
});

test('an onlooker reads the log of a job with times, without delaying the job or keeping it alive', async () => {
  const { provider, call } = handProvider();
  const gateway = await start({ provider, access, streamCapacity: 4 });
  const body = { prompt: 'x', disconnect_grace_ms: 1 };
  const { job_id: id, stream_url: url } = (await gateway.submit(body, ann)).body;
  const running = await call(0);
  running.push('early');
  const reader = await gateway.stream(url);
  await until(() => reader.text === 'early');
  const watched = await gateway.stream(`/v1/admin/jobs/${id}/events`, { headers: ops });
  expect(await wait(watched, 'job')).toMatchObject({
    job_id: id,
    key: 'ann',
    attempts: 1,
    readers: [{ lag: 0, busy: false }],
    last_event_id: '1-1',
  });
  await until(() => watched.events.some(({ type }) => type === 'entries'));
  running.push({ tool_call: { name: 'weather', arguments: '{"a":1}' } }, 'late');
  const entries = () =>
    watched.events.filter(({ type }) => type === 'entries').flatMap(({ data }) => data.entries);
  await until(() => entries().some(([, , , { token }]) => token === 'late'));
  const [early, ...later] = entries();
  expect(early.slice(0, 2)).toEqual(['1-1', 'token']);
  expect(later.map(([, type]) => type)).toContain('tool_call');
  for (const [, , at] of later) expect(Math.abs(at - Date.now() / 1000)).toBeLessThan(60);
  // Its only reader disconnects.
  reader.close();
  await until(() => entries().some(([, type]) => type === 'job_cancelled'));
  await watched.closed;
  expect(watched.events.at(-1).data).toMatchObject({
    status: 'cancelled',
    reason: 'client_disconnected',
    readers: [],
  });
});

test('the list of jobs is filtered, page by page, and an administrator cancels', async () => {
  const gateway = await start({ provider: echo, access });
  const ids = [];
  for (const [headers, model] of [
    [ann, 'm1'],
    [ann, 'm2'],
    [ops, 'm1'],
  ]) {
    const { body } = await gateway.submit({ prompt: 'x', model }, headers);
    ids.push(body.job_id);
    await gateway.read(body.stream_url);
  }
  const list = async (query) => {
    const { body } = await gateway.get(`/v1/admin/jobs?${query}`, { headers: ops });
    return [body.data.map(({ job_id }) => ids.indexOf(job_id)), body.has_more];
  };
  expect(await list('')).toEqual([[2, 1, 0], false]);
  expect(await list('limit=2')).toEqual([[2, 1], true]);
  expect(await list(`limit=2&after=${ids[1]}`)).toEqual([[0], false]);
  expect(await list('key=ann&model=m1&status=completed')).toEqual([[0], false]);
  expect(await list('status=running')).toEqual([[], false]);
  const get = async (path, headers = ops) => (await gateway.get(path, { headers })).status;
  expect(await get('/v1/admin/jobs?status=done')).toBe(400);
  expect(await get('/v1/admin/jobs/job_none')).toBe(404);
  expect(await get(`/v1/admin/jobs/${ids[0]}`)).toBe(200);
  for (const path of ['jobs', 'events', 'conversations', `jobs/${ids[0]}`]) {
    expect(await get(`/v1/admin/${path}`, ann)).toBe(403);
  }
  const cancelled = await gateway.post(`/v1/admin/jobs/${ids[0]}/cancel`, undefined, ops);
  expect(cancelled.body).toMatchObject({ job_id: ids[0], status: 'completed' });
  const { data } = (await gateway.get('/v1/audit', { headers: ops })).body;
  expect(data[0]).toMatchObject({
    ...{ actor: 'ops', action: 'job.cancel', target: ids[0] },
    details: { owner: 'ann' },
  });
});

testOwnServer(
  'the page is at /admin, with a strict policy, and leads there from /admin/',
  async () => {
    const gateway = await start({ provider: echo });
    const page = await gateway.get('/admin');
    expect([page.status, page.headers.get('content-type')]).toEqual([
      200,
      'text/html;charset=utf-8',
    ]);
    expect(page.headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; script-src 'self';/,
    );
    const at = async (path) => {
      const { status, headers } = await fetch(gateway.url + path, { redirect: 'manual' });
      return [status, headers.get('location')];
    };
    expect(await at('/admin/')).toEqual([308, '../admin']);
    expect(await at('/workflows/?a=b')).toEqual([308, '../workflows?a=b']);
    expect(await at('//elsewhere.example/')).toEqual([308, '../elsewhere.example']);
    expect(await at('/')).toEqual([200, null]);
    const files = [...page.body.matchAll(/(?:src|href)="([^"#]+\.(?:js|css|svg))"/g)];
    expect(files.length).toBeGreaterThan(5);
    for (const [, file] of files) expect((await gateway.get(`/${file}`)).status).toBe(200);
  },
);

test('workflows without their texts, conversations without their messages, usage by key and day', async () => {
  const gateway = await start({ provider: echo, access });
  const nodes = [
    { id: 'a', prompt: 'secret' },
    { id: 'b', prompt: 'b', after: ['a'] },
  ];
  const { body } = await gateway.post('/v1/workflows', { nodes }, ann);
  await gateway.read(body.stream_url);
  const path = `/v1/admin/workflows/${body.workflow_id}`;
  const shown = (await gateway.get(path, { headers: ops })).body;
  expect(shown).toMatchObject({ key: 'ann', status: 'completed' });
  expect(shown.nodes.map(({ id, after, status }) => [id, after, status])).toEqual([
    ['a', [], 'completed'],
    ['b', ['a'], 'completed'],
  ]);
  expect(JSON.stringify(shown)).not.toContain('secret');
  const messages = [{ role: 'system', content: 'hidden' }];
  await gateway.post('/v1/conversations', { title: 'Talk', messages }, ann);
  const conversations = (await gateway.get('/v1/admin/conversations', { headers: ops })).body;
  expect(conversations).toMatchObject({
    data: [{ key: 'ann', title: 'Talk', message_count: 1 }],
    truncated: false,
  });
  expect(JSON.stringify(conversations)).not.toContain('hidden');
  const usage = (await gateway.get('/v1/usage?group_by=key_day', { headers: ops })).body;
  expect(usage.data.map(({ group }) => group)).toEqual([
    expect.stringMatching(/^\d{4}-\d\d-\d\d ann$/),
  ]);
});
