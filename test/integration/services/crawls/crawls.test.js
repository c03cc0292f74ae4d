/** `/v1/crawls`: a crawl as a work with a stream that can be resumed and cancelled. */
import { everyEgress, start, stopAll } from '../../../support/gateway/gateway.js';
import { closeSites, linking, pathOf, redirect, site } from '../../../support/upstream/site.js';
import { until } from '../../../support/until.js';

afterEach(stopAll);
afterEach(closeSites);

async function* provider() {
  yield 'unused';
}

/** A gateway that may crawl this machine, and a POST to it. */
async function gateway(options) {
  const started = await start({ provider, crawl: { allowPrivateAddresses: true }, ...options });
  const begin = async (startUrl, fields) => {
    const body = { start_url: startUrl, per_host_per_second: 1000, ...fields };
    return (await started.post('/v1/crawls', body)).body;
  };
  return { ...started, begin };
}

const small = {
  '/': linking('/a', '/old', '/file', '/gone', 'mailto:me@site.test'),
  '/a': '<title>A</title><p>text of a',
  '/old': redirect('/new'),
  '/new': '<title>New</title>',
  '/file': { headers: { 'content-type': 'image/png' } },
};

describe.each(everyEgress)('egress %s, %i reactors', (egress, reactors) => {
  test('each URL is an event, and the last one has the totals', async () => {
    const { origin } = await site(small);
    const { post, get, read } = await gateway({ egress, reactors });
    const created = await post('/v1/crawls', {
      start_url: `${origin}/`,
      limit: 10,
      depth: 3,
      concurrency: 1,
      per_host_per_second: 1000,
      timeout_ms: 5000,
    });
    const { crawl_id: id, stream_url: url } = created.body;
    expect(created).toMatchObject({
      status: 201,
      body: { status: 'running', created_at: expect.any(Number) },
    });
    expect(id).toMatch(/^crawl_[\w-]{24}$/);
    expect(url).toBe(`/v1/stream?crawl_id=${id}`);
    expect(created.headers.get('location')).toBe(`/v1/crawls/${id}`);

    const { events, headers } = await read(url);
    expect(headers['content-type']).toBe('text/event-stream');
    expect(events.map((event) => event.id)).toEqual(events.map((_, i) => `1-${i + 1}`));
    for (const { data } of events) expect(data.crawl_id).toBe(id);
    const summaries = events.slice(0, -1).map(({ type, data }) => {
      const { crawl_id: _, url: at, ...rest } = data;
      return [type, pathOf(at), rest];
    });
    expect(summaries).toEqual([
      ['page', '/', { status: 200, title: 'page', text: expect.any(String), depth: 0 }],
      ['page', '/a', { status: 200, title: 'A', text: 'text of a', depth: 1 }],
      [
        'page',
        '/new',
        { status: 200, title: 'New', text: '', depth: 1, redirected_from: `${origin}/old` },
      ],
      ['page_skipped', '/file', { reason: 'content_type', content_type: 'image/png', depth: 1 }],
      [
        'page_error',
        '/gone',
        {
          error: { code: 'http_status', message: 'The server answered 404', status: 404 },
          depth: 1,
        },
      ],
    ]);
    const counts = { pages: 3, skipped: 1, errors: 1, requests: 7 };
    expect(events.at(-1)).toMatchObject({
      type: 'crawl_complete',
      data: { reason: 'complete', ...counts, metrics: { events: 5 } },
    });
    expect(events.at(-1).data.usage).toBeUndefined();
    expect((await get(`/v1/crawls/${id}`)).body).toEqual({
      crawl_id: id,
      status: 'completed',
      start_url: `${origin}/`,
      created_at: created.body.created_at,
      ...counts,
      waiting: 0,
      reason: 'complete',
      metrics: { duration_ms: expect.any(Number), events: 5 },
    });
  });

  test('resumes after the event that was seen last', async () => {
    const { origin } = await site(small);
    const { begin, read, stream } = await gateway({ egress, reactors });
    const { stream_url: url } = await begin(`${origin}/`);
    const whole = (await read(url)).events;
    const rest = (await read(url, { headers: { 'last-event-id': '1-2' } })).events;
    expect(rest).toEqual(whole.slice(2));
    const over = await stream(url, { headers: { 'last-event-id': whole.at(-1).id } });
    expect(over.status).toBe(204);
  });

  test('a cancel closes the sockets and is the last event', async () => {
    const slow = await site({ '/': linking('/1', '/2'), '/1': () => {}, '/2': () => {} });
    const { begin, post, stream, get } = await gateway({ egress, reactors });
    const { crawl_id: id, stream_url: url } = await begin(`${slow.origin}/`);
    const open = await stream(url);
    await until(() => slow.requests.length === 4, 'every request');
    expect((await get(`/v1/crawls/${id}`)).body).toMatchObject({ status: 'running', pages: 1 });
    const cancelled = await post(`/v1/crawls/${id}/cancel`);
    expect(cancelled).toMatchObject({ status: 200, body: { status: 'cancelled', pages: 1 } });
    const events = await open.done;
    expect(events.map(({ type }) => type)).toEqual(['page', 'crawl_cancelled']);
    expect(events.at(-1).data).toMatchObject({ reason: 'client_request' });
    await slow.allClosed();
    expect(await post(`/v1/crawls/${id}/cancel`)).toMatchObject({ body: cancelled.body });
  });
});

describe('every ending', () => {
  const hanging = { '/': linking('/1'), '/1': () => {} };

  test('the readers leave, and their grace is over', async () => {
    const slow = await site(hanging);
    const { begin, stream, get } = await gateway();
    const { crawl_id: id, stream_url: url } = await begin(`${slow.origin}/`, {
      disconnect_grace_ms: 20,
    });
    const open = await stream(url);
    await until(() => open.events.length === 1, 'the first page');
    open.close();
    await until(
      async () => (await get(`/v1/crawls/${id}`)).body.reason === 'client_disconnected',
      'the end of the crawl',
    );
    await slow.allClosed();
  });

  test('its time is over', async () => {
    const slow = await site(hanging);
    const { begin, read } = await gateway();
    const { stream_url: url } = await begin(`${slow.origin}/`, { max_wall_ms: 100 });
    const { events } = await read(url);
    expect(events.at(-1)).toMatchObject({
      type: 'crawl_failed',
      data: { error: { code: 'wall_time_exceeded' } },
    });
    await slow.allClosed();
  });

  test('the gateway closes', async () => {
    const slow = await site(hanging);
    const { gateway: own, begin, stream } = await gateway();
    const { stream_url: url } = await begin(`${slow.origin}/`);
    const open = await stream(url);
    await until(() => open.events.length === 1, 'the first page');
    await own.close({ drainMs: 0 });
    expect((await open.done).at(-1)).toMatchObject({
      type: 'crawl_cancelled',
      data: { reason: 'shutdown' },
    });
    await slow.allClosed();
  });
});

test('a stalled reader stops the crawl', async () => {
  const wide = await site((path) =>
    path === '/'
      ? linking(...Array.from({ length: 60 }, (_, i) => `/${i}`))
      : `<p>${'x'.repeat(100_000)}`,
  );
  const { gateway: own, begin } = await gateway({ streamCapacity: 4 });
  const { crawl_id: id } = await begin(`${wide.origin}/`, { concurrency: 2 });
  const reader = own.crawls.stream(id)[Symbol.asyncIterator]();
  await reader.next();
  let before = -1;
  await until(async () => {
    const same = before === wide.requests.length;
    before = wide.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 200));
    return same;
  }, 'the crawl to stand still');
  expect(wide.requests.length).toBeLessThan(40);
  let pages = 1;
  for (let step = await reader.next(); !step.done; step = await reader.next()) {
    if (step.value.type === 'page') pages += 1;
  }
  expect(pages).toBe(61);
});

test('without leave, no private address is connected to', async () => {
  const own = await site({ '/': 'home' });
  const { post, read } = await start({ provider });
  const { body } = await post('/v1/crawls', { start_url: `${own.origin}/` });
  const { events } = await read(body.stream_url);
  expect(events.map(({ type, data }) => [type, data.error?.code])).toEqual([
    ['page_error', 'address_not_allowed'],
    ['crawl_complete', undefined],
  ]);
  expect(own.requests).toEqual([]);
});

test.each([
  [{}, 'missing_field', 'start_url'],
  [{ start_url: 7 }, 'invalid_type', 'start_url'],
  [{ start_url: 'nowhere' }, 'invalid_value', 'start_url'],
  [{ start_url: 'file:///etc/passwd' }, 'invalid_value', 'start_url'],
  [{ start_url: 'http://me:pw@a.test/' }, 'invalid_value', 'start_url'],
  [{ limit: 0 }, 'invalid_value', 'limit'],
  [{ limit: 10_001 }, 'invalid_value', 'limit'],
  [{ limit: '5' }, 'invalid_type', 'limit'],
  [{ depth: -1 }, 'invalid_value', 'depth'],
  [{ depth: 1.5 }, 'invalid_type', 'depth'],
  [{ concurrency: 65 }, 'invalid_value', 'concurrency'],
  [{ per_host_per_second: 0 }, 'invalid_value', 'per_host_per_second'],
  [{ per_host_per_second: 1001 }, 'invalid_value', 'per_host_per_second'],
  [{ timeout_ms: 0 }, 'invalid_value', 'timeout_ms'],
  [{ sitemaps: 'yes' }, 'invalid_type', 'sitemaps'],
  [{ include: '/a' }, 'invalid_type', 'include'],
  [{ include: ['/a', 'b'] }, 'invalid_value', 'include[1]'],
  [{ exclude: [1] }, 'invalid_type', 'exclude[0]'],
  [{ headers: { a: 1 } }, 'invalid_type', 'headers.a'],
  [{ headers: { 'user-agent': 'x' } }, 'invalid_value', 'headers.user-agent'],
  [{ headers: { a: 'b\nc' } }, 'invalid_value', 'headers.a'],
  [{ allow_private_addresses: true }, 'unknown_field', 'allow_private_addresses'],
  [{ on_disconnect: 'wait' }, 'invalid_value', 'on_disconnect'],
])('%j is refused', async (fields, code, param) => {
  const { post } = await gateway();
  const complete = code === 'missing_field' ? fields : { start_url: 'http://a.test/', ...fields };
  expect(await post('/v1/crawls', complete)).toMatchObject({
    status: 400,
    body: { error: { code, param } },
  });
});

test('a request chooses pages, sitemaps and headers; no answer and no event shows the headers', async () => {
  const { origin, requests } = await site({
    '/robots.txt': { body: 'Sitemap: /map.xml' },
    '/map.xml': {
      body: '<urlset><url><loc>/docs/2</loc></url><url><loc>/blog</loc></url></urlset>',
    },
    '/': linking('/docs/1', '/docs/draft', '/blog'),
    '/docs/1': 'one',
    '/docs/2': 'two',
  });
  const { begin, get, read } = await gateway();
  const { crawl_id: id, stream_url: url } = await begin(`${origin}/`, {
    include: ['/docs/'],
    exclude: ['*draft'],
    sitemaps: true,
    headers: { authorization: 'Bearer s3cret' },
  });
  const { events } = await read(url);
  const pages = events.filter(({ type }) => type === 'page').map(({ data }) => pathOf(data.url));
  expect(pages.sort()).toEqual(['/', '/docs/1', '/docs/2']);
  expect(requests.map(({ headers }) => headers.authorization)).toEqual(
    requests.map(() => 'Bearer s3cret'),
  );
  const shown = [events, await get(`/v1/crawls/${id}`), await get('/v1/crawls')];
  expect(JSON.stringify(shown)).not.toContain('s3cret');
});

test('unknown crawls and crawls of other principals are 404; the list has own crawls only', async () => {
  const { origin } = await site({ '/': 'home' });
  const authenticate = (req) => req.get('x-user') ?? 'anonymous';
  const { get, post, read, stream } = await gateway({ authenticate });
  const headers = { 'x-user': 'me' };
  const fields = { start_url: `${origin}/`, metadata: { n: 1 } };
  const { body } = await post('/v1/crawls', fields, headers);
  await read(body.stream_url, { headers });
  for (const path of [`/v1/crawls/${body.crawl_id}`, '/v1/crawls/crawl_unknown']) {
    expect(await get(path)).toMatchObject({
      status: 404,
      body: { error: { code: 'crawl_not_found' } },
    });
  }
  expect((await stream(body.stream_url)).status).toBe(404);
  expect(await post(`/v1/crawls/${body.crawl_id}/cancel`)).toMatchObject({ status: 404 });
  const mine = await get('/v1/crawls', { headers });
  expect(mine.body).toMatchObject({
    data: [{ crawl_id: body.crawl_id, metadata: { n: 1 } }],
    has_more: false,
  });
  expect((await get('/v1/crawls')).body.data).toEqual([]);
  expect((await get('/v1/jobs', { headers })).body.data).toEqual([]);
});

test('an idempotency key makes one crawl', async () => {
  const { origin, paths } = await site({ '/': 'home' });
  const { post, read } = await gateway();
  const key = { 'idempotency-key': 'once' };
  const first = await post('/v1/crawls', { start_url: `${origin}/` }, key);
  await read(first.body.stream_url);
  const again = await post('/v1/crawls', { start_url: `${origin}/` }, key);
  expect(again).toMatchObject({ status: 200, body: { crawl_id: first.body.crawl_id } });
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  expect(paths()).toEqual(['/robots.txt', '/']);
});

test('from JavaScript: submit, stream, get, cancel', async () => {
  const { origin } = await site(small);
  const { gateway: own } = await gateway();
  const { id, status, streamUrl } = await own.crawls.submit({
    start_url: `${origin}/`,
    per_host_per_second: 1000,
  });
  expect([status, streamUrl]).toEqual(['running', `/v1/stream?crawl_id=${id}`]);
  const types = [];
  for await (const { type } of own.stream(id)) types.push(type);
  expect(types.at(-1)).toBe('crawl_complete');
  expect(own.crawls.get(id)).toMatchObject({ id, status: 'completed', counts: { pages: 3 } });
  expect(await own.crawls.cancel(id)).toMatchObject({ status: 'completed' });
  await expect(own.crawls.cancel('crawl_unknown')).rejects.toMatchObject({
    code: 'ERR_CRAWL_NOT_FOUND',
  });
});
