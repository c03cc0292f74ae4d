/** Crawl nodes: a site's pages as the input of other nodes. */
import { answering, byId, words } from '../../../support/gateway/workflows.js';
import { cleanUp, start, stopAll } from '../../../support/gateway/gateway.js';
import { linking, startSite } from '../../../support/upstream/site.js';
import { until } from '../../../support/until.js';

afterEach(stopAll);

async function serve(pages) {
  const site = await startSite(pages);
  cleanUp(() => site.close());
  return site;
}

const allowed = { crawl: { allowPrivateAddresses: true } };

const page = (title, text, ...hrefs) =>
  `<title>${title}</title><p>${text}</p>${hrefs.map((href) => `<a href="${href}"></a>`).join('')}`;

const summaries = (site, crawl = {}) => [
  { id: 'site', crawl: { start_url: `${site.origin}/`, per_host_per_second: 1000, ...crawl } },
  {
    id: 'each',
    map: { over: 'site', prompt: 'sum up {{item.title}}: {{item}}' },
    after: ['site'],
  },
  { id: 'all', prompt: 'combine {{each.text}}', after: ['each'] },
];

test('crawl the site, sum up every page, combine', async () => {
  const site = await serve({
    '/': page('Home', 'welcome', '/a', '/b', '/robots-only', '/gone'),
    '/a': page('A', 'text of a'),
    '/b': page('B', 'text of b', '/a', '/picture'),
    '/picture': { headers: { 'content-type': 'image/png' }, body: 'x' },
    '/robots.txt': {
      headers: { 'content-type': 'text/plain' },
      body: 'User-agent: *\nDisallow: /robots-only',
    },
  });
  const { provider, prompts } = answering((prompt) => `<${prompt}>`);
  const { post, read, get } = await start({ provider, ...allowed });
  const { body: created } = await post('/v1/workflows', { nodes: summaries(site) });
  const { events } = await read(created.stream_url);
  expect(events.at(-1)).toMatchObject({
    type: 'workflow_complete',
    data: { nodes: { completed: 3 } },
  });
  const pages = events.filter(({ type }) => type === 'page').map(({ data }) => data);
  expect(pages.map(({ url, title, depth }) => [url, title, depth])).toEqual([
    [`${site.origin}/`, 'Home', 0],
    [`${site.origin}/a`, 'A', 1],
    [`${site.origin}/b`, 'B', 1],
  ]);
  for (const each of pages) {
    expect(each).toMatchObject({ node: 'site', status: 200, text_length: expect.any(Number) });
    expect(each).not.toHaveProperty('text');
  }
  const skipped = events.filter(({ type }) => type === 'page_skipped').map(({ data }) => data);
  expect(skipped.map(({ url, reason }) => [url, reason]).sort()).toEqual([
    [`${site.origin}/picture`, 'content_type'],
    [`${site.origin}/robots-only`, 'robots'],
  ]);
  expect(events.find(({ type }) => type === 'page_error').data).toMatchObject({
    url: `${site.origin}/gone`,
    error: { code: 'http_status', status: 404 },
  });
  expect(prompts.slice(0, 3).sort()).toEqual([
    'sum up A: text of a',
    'sum up B: text of b',
    'sum up Home: welcome',
  ]);
  expect(prompts[3]).toMatch(/^combine <sum up Home: welcome>\n\n</);
  const { body } = await get(`/v1/workflows/${created.workflow_id}`);
  const nodes = byId(body);
  expect(nodes.site).toMatchObject({ type: 'crawl', status: 'completed' });
  expect(nodes.site.items.map(({ title }) => title)).toEqual(['Home', 'A', 'B']);
  expect(nodes.site.text).toContain(`A\n${site.origin}/a\n\ntext of a`);
});

test('a private address is refused unless it is allowed, and the node fails by that name', async () => {
  const site = await serve({ '/': linking() });
  const { provider, prompts } = answering(() => 'x');
  const { post, read } = await start({ provider });
  const { body } = await post('/v1/workflows', { nodes: summaries(site) });
  const { events } = await read(body.stream_url);
  expect(events.find(({ type }) => type === 'node_failed').data).toMatchObject({
    node: 'site',
    error: { code: 'address_not_allowed', type: 'crawl_error' },
  });
  expect(words(events).slice(-3)).toEqual([
    'node_skipped each',
    'node_skipped all',
    'workflow_failed',
  ]);
  expect(site.requests).toEqual([]);
  expect(prompts).toEqual([]);
});

test('its request is checked on submission', async () => {
  const { post } = await start({ provider: answering(() => 'x').provider });
  for (const [crawl, code, param] of [
    [{}, 'missing_field', 'nodes[0].crawl.start_url'],
    [{ start_url: 'ftp://x/' }, 'invalid_value', 'nodes[0].crawl.start_url'],
    [{ start_url: 'http://a:b@x/' }, 'invalid_value', 'nodes[0].crawl.start_url'],
    [{ start_url: 'http://x/', limit: 0 }, 'invalid_value', 'nodes[0].crawl.limit'],
    [{ start_url: 'http://x/', url: 'y' }, 'unknown_field', 'nodes[0].crawl.url'],
  ]) {
    const { status, body } = await post('/v1/workflows', { nodes: [{ id: 'a', crawl }] });
    expect([status, body.error.code, body.error.param]).toEqual([400, code, param]);
  }
});

test('cancelling the workflow ends the crawl', async () => {
  const hanging = [];
  const site = await serve((path) =>
    path === '/robots.txt' ? undefined : (_req, res) => hanging.push(res),
  );
  const { post, stream } = await start({ provider: answering(() => 'x').provider, ...allowed });
  const { body } = await post('/v1/workflows', { nodes: summaries(site) });
  const open = await stream(body.stream_url);
  await until(() => hanging.length === 1, 'the first request');
  await post(`/v1/workflows/${body.workflow_id}/cancel`);
  expect((await open.done).at(-1).type).toBe('workflow_cancelled');
  await until(() => hanging[0].destroyed || hanging[0].socket === null, 'the socket to close');
});
