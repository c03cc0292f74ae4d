/** A real engine end to end: crawl a site, sum up every page, combine; watched in Chromium. */

import { createGateway, providers } from '../../lib/index.js';
import { startSite } from '../support/upstream/site.js';
import { tinyLlama } from '../support/providers/tiny-llama.js';
import { openPage, takePicture, useChromium } from '../browser/chromium.js';

const page = (title, text, ...hrefs) =>
  `<title>${title}</title><p>${text}</p>${hrefs.map((href) => `<a href="${href}">x</a>`).join('')}`;

const chromium = useChromium();
let gateway;
let server;
let site;

beforeAll(async () => {
  site = await startSite({
    '/': page('The mill', 'A mill by the river.', '/gate', '/field', '/moved', '/dead', '/hidden'),
    '/gate': page('The gate', 'It opens by a hand.', '/', '/field#north'),
    '/field': page('The field', 'It is not flooded.', '/gate', 'http://elsewhere.test/'),
    '/moved': { status: 302, headers: { location: '/gate' } },
    '/robots.txt': {
      headers: { 'content-type': 'text/plain' },
      body: 'User-agent: *\nDisallow: /hidden',
    },
  });
  const provider = providers.llama({ modelPath: tinyLlama(), sequences: 4 });
  gateway = createGateway({ provider, logger: false, crawl: { allowPrivateAddresses: true } });
  server = await gateway.listen();
});

afterAll(async () => {
  await gateway?.close({ drainMs: 0 });
  await site?.close();
});

test('crawl the site, sum up every page, combine', async () => {
  const visit = await openPage(chromium.browser, server.url);
  await visit.page.getByRole('link', { name: 'Workflows' }).click();
  await visit.page.getByTestId('sample').locator('option').first().waitFor({ state: 'attached' });
  const workflow = {
    nodes: [
      { id: 'site', crawl: { start_url: `${site.origin}/`, per_host_per_second: 100 } },
      {
        id: 'pages',
        map: { over: 'site', prompt: 'Sum up {{item.title}}: {{item}}' },
        after: ['site'],
        max_tokens: 24,
      },
      { id: 'all', prompt: 'Combine:\n{{pages.text}}', after: ['pages'], max_tokens: 32 },
    ],
  };
  await visit.page.getByLabel('JSON', { exact: true }).check({ force: true });
  await visit.page.getByTestId('source').fill(JSON.stringify(workflow, null, 2));
  await visit.page.getByTestId('run').click();
  await visit.page.locator('[data-node=pages]').click();
  await visit.page
    .locator('[data-testid=state][data-state=completed]')
    .waitFor({ timeout: 90_000 });
  await takePicture(visit.page, 'workflow-llama');

  const id = new URL(visit.page.url()).hash.slice(1);
  const { nodes } = await (await fetch(`${server.url}/v1/workflows/${id}`)).json();
  const [crawled, mapped, combined] = nodes;
  expect(crawled.items.map(({ title, depth }) => [title, depth])).toEqual([
    ['The mill', 0],
    ['The gate', 1],
    ['The field', 1],
  ]);
  expect(site.counts()).toEqual({ '/': 1, '/gate': 1, '/field': 1, '/moved': 1, '/dead': 1 });
  expect(mapped.items).toHaveLength(3);
  for (const item of mapped.items) expect(item.length).toBeGreaterThan(0);
  expect(mapped.usage.completion_tokens).toBeLessThanOrEqual(3 * 24);
  expect(combined).toMatchObject({ status: 'completed', attempts: 1 });
  expect(combined.usage.completion_tokens).toBeGreaterThan(0);
  // The prompt contains the engine's earlier answers: it is longer than the bare words.
  expect(combined.usage.prompt_tokens).toBeGreaterThan(mapped.items.join('').length / 8);
  expect(await visit.page.getByTestId('text').evaluate((text) => text.textContent)).toBe(
    mapped.text,
  );
  expect(visit.faults).toEqual([]);
  await visit.close();
});
