/** Workflows and crawls count against the limits of keys as jobs do. */
import { ManualClock } from '../../../lib/index.js';
import { closeSites, linking, site } from '../../support/upstream/site.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { partsOf } from '../../support/gateway/parts.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';

afterEach(stopAll);
afterEach(closeSites);

const leases = (gateway) => partsOf(gateway).reservations.open;

/** A gateway with these limits and a manual clock, so that nothing refills. */
const limited = (limits, options) =>
  start({
    provider: echo,
    clock: new ManualClock(),
    access: { limits },
    crawl: { allowPrivateAddresses: true },
    ...options,
  });

/** A crawl needs a real clock; a request refills only after half a minute. */
const realTime = { clock: undefined };

/** The answer to a GET of an operation, once it has ended. */
const ended = (get, path) =>
  until(async () => {
    const { body } = await get(path);
    return body.status !== 'running' && body;
  }, `the end of ${path}`);

/** A site that never answers for its first page. */
const hanging = () => site({ '/': () => new Promise(() => {}) });

describe('a crawl', () => {
  test('costs a request, and a place until it has ended', async () => {
    const { origin } = await hanging();
    const { post, submit, gateway } = await limited({
      requests_per_minute: 3,
      concurrent_jobs: 1,
    });
    const crawl = () => post('/v1/crawls', { start_url: `${origin}/` });
    const first = await crawl();
    expect(first.status).toBe(201);
    expect(first.headers.get('ratelimit')).toBe('"requests";r=2;t=20, "concurrent-jobs";r=0');
    const refused = await crawl();
    expect(refused.status).toBe(429);
    expect(refused.body.error.code).toBe('rate_limit_exceeded');
    expect(refused.headers.get('retry-after')).toBe('1');
    expect((await submit({ prompt: 'a' })).status).toBe(429);
    await post(`/v1/crawls/${first.body.crawl_id}/cancel`);
    expect(leases(gateway)).toBe(0);
    // A refused request costs nothing.
    expect((await crawl()).headers.get('ratelimit')).toMatch(/^"requests";r=1;/);
  });

  test('is one of the requests per minute, and an idempotency key pays once', async () => {
    const { origin } = await site({ '/': linking() });
    const { post, get } = await limited({ requests_per_minute: 1 }, realTime);
    const crawl = (headers) => post('/v1/crawls', { start_url: `${origin}/` }, headers);
    const { body } = await crawl({ 'idempotency-key': 'k' });
    expect((await crawl({ 'idempotency-key': 'k' })).status).toBe(200);
    expect((await ended(get, `/v1/crawls/${body.crawl_id}`)).status).toBe('completed');
    expect((await crawl()).status).toBe(429);
  });

  test('an endpoint has its own limits', async () => {
    const { origin } = await hanging();
    const { post, submit } = await start({
      provider: echo,
      access: { endpoints: { '/v1/crawls': { limits: { concurrent_jobs: 1 } } } },
      crawl: { allowPrivateAddresses: true },
    });
    const crawl = () => post('/v1/crawls', { start_url: `${origin}/` });
    expect((await crawl()).status).toBe(201);
    expect((await crawl()).status).toBe(429);
    expect((await submit({ prompt: 'a' })).status).toBe(201);
  });
});

describe('a workflow', () => {
  test('pays its request once, with its first node, and every further node pays its own', async () => {
    const { post, get, gateway } = await limited({ requests_per_minute: 3, concurrent_jobs: 1 });
    const nodes = ['a', 'b'].map((id, i) => ({ id, prompt: id, after: i ? ['a'] : [] }));
    const { body, status } = await post('/v1/workflows', { nodes });
    expect(status).toBe(201);
    expect((await ended(get, `/v1/workflows/${body.workflow_id}`)).status).toBe('completed');
    expect(leases(gateway)).toBe(0);
    // One of three is left.
    expect((await post('/v1/workflows', { nodes: [nodes[0]] })).status).toBe(201);
    expect((await post('/v1/workflows', { nodes: [nodes[0]] })).status).toBe(429);
  });

  test('holds a place until it has ended, in which its nodes run one at a time', async () => {
    const { provider, call } = handProvider();
    const { post, get, gateway } = await limited({ concurrent_jobs: 1 }, { provider });
    const workflow = () => post('/v1/workflows', { nodes: [{ id: 'a', prompt: 'a' }] });
    const { body } = await workflow();
    const running = await call(0);
    expect((await workflow()).status).toBe(429);
    running.end();
    await ended(get, `/v1/workflows/${body.workflow_id}`);
    expect(leases(gateway)).toBe(0);
    expect((await workflow()).status).toBe(201);
    (await call(1)).end();
  });

  test('its crawls count as its prompts do, and a retry of the whole counts again', async () => {
    const { origin } = await site({ '/': linking() });
    const { post, get } = await limited({ requests_per_minute: 2 }, realTime);
    const crawl = { start_url: `${origin}/` };
    const nodes = ['a', 'b', 'c'].map((id, i, ids) => ({
      id,
      crawl,
      after: ids.slice(0, i),
      retry: { attempts: 1 },
    }));
    const { body } = await post('/v1/workflows', { nodes });
    const path = `/v1/workflows/${body.workflow_id}`;
    const { nodes: done } = await ended(get, path);
    expect(done.map(({ status }) => status)).toEqual(['completed', 'completed', 'failed']);
    expect(done[2].error.code).toBe('rate_limit_exceeded');
    expect((await post(`${path}/retry`)).status).toBe(429);
  });

  test('the limits of a model count each of its prompts', async () => {
    const { post, get } = await limited(
      {},
      {
        access: { models: { m: { limits: { requests_per_minute: 1 } } } },
      },
    );
    const nodes = [{ id: 'a', prompt: 'a', model: 'm', retry: { attempts: 1 } }];
    const states = [];
    for (let i = 0; i < 2; i += 1) {
      const { body } = await post('/v1/workflows', { nodes });
      states.push((await ended(get, `/v1/workflows/${body.workflow_id}`)).status);
    }
    expect(states).toEqual(['completed', 'failed']);
  });
});

test.each(['/v1/crawls', '/v1/workflows'])('%s: no longer than a day', async (path) => {
  const { post } = await limited({});
  const request =
    path === '/v1/crawls' ? { start_url: 'http://a.test/' } : { nodes: [{ id: 'a', prompt: 'a' }] };
  const { status, body } = await post(path, { ...request, max_wall_ms: 86_400_001 });
  expect([status, body.error.param]).toEqual([400, 'max_wall_ms']);
});
