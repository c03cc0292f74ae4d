/** The dashboard in Chromium: signing in, a job as it runs, a key made and disabled, phone width, both themes. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bearer, entry } from '../support/gateway/keys.js';
import { createGateway, partsOf } from '../support/gateway/parts.js';
import { client } from '../support/gateway/gateway.js';
import { until } from '../support/until.js';
import { axeFaults, openPage, takePicture, useChromium } from './chromium.js';
import { Pace } from './pace.js';

const pace = new Pace();
const words = Array.from({ length: 30 }, (_, i) => `word-${i} `);

const chromium = useChromium();
let folder;
let gateway;
let server;
let api;
let visit;
let page;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-admin-'));
  const configFile = join(folder, 'sluice.json');
  const keys = [
    entry('ops', 'key-of-ops', { admin: true }),
    entry('ann', 'key-of-ann', { limits: { requests_per_minute: 50 } }),
  ];
  writeFileSync(configFile, JSON.stringify({ keys }));
  const provider = async function* ({ prompt }, { signal }) {
    if (prompt === 'tool') yield { tool_call: { name: 'weather', arguments: '{"city":"Lisbon"}' } };
    yield* pace.say(words, signal);
  };
  gateway = createGateway({ provider, logger: false, configFile });
  server = await gateway.listen({ port: 0 });
  api = client(server.url);
});

afterAll(async () => {
  pace.release();
  await gateway?.close({ drainMs: 0 });
  rmSync(folder, { recursive: true, force: true });
});

const text = (name) => page.getByTestId(name).innerText();
const go = (name) => page.getByTestId('sections').getByRole('link', { name }).click();
const row = (table, name) => page.getByTestId(table).locator('tbody tr', { hasText: name });

test('an administrator signs in, watches and cancels a job, and changes keys', async () => {
  visit = await openPage(chromium.browser, server.url);
  page = visit.page;
  await page.getByRole('link', { name: 'Admin' }).click();
  // A key without the right is refused with the reason.
  await page.getByTestId('key').fill('key-of-ann');
  await page.getByTestId('use-key').click();
  await page.getByText('This is for keys with "admin": true.').waitFor();
  await page.getByTestId('key').fill('key-of-ops');
  await page.keyboard.press('Enter');
  await page.locator('[data-testid=connection][data-state=live]').waitFor();
  expect(await page.getByTestId('key-form').isHidden()).toBe(true);

  pace.hold(5);
  const submit = async (body) => (await api.submit(body, bearer('key-of-ann'))).body;
  const job = await submit({ prompt: 'tool', model: 'large' });
  const reader = await api.stream(job.stream_url);
  await go('Jobs');
  await row('jobs', job.job_id).waitFor();
  expect(await row('jobs', job.job_id).innerText()).toMatch(/running\s+ann\s+large/);
  await page.getByLabel('State').selectOption('failed');
  await page.getByTestId('no-jobs').waitFor();
  await page.getByLabel('State').selectOption('running');
  await row('jobs', job.job_id).getByRole('link').click();

  await row('job-log', 'word-4').waitFor();
  expect(await row('job-log', 'weather').innerText()).toContain('tool call');
  expect(await text('job-readers')).toMatch(/1\s+0\s+up to date/);
  // Events from now on have a time.
  pace.step();
  await row('job-log', 'word-10').waitFor();
  expect(await row('job-log', 'word-10').innerText()).toMatch(/\d\d:\d\d:\d\d\.\d{3}/);
  const other = await submit({ prompt: 'x', model: 'small' });
  await page.goto(`${server.url}/admin#job/${other.job_id}`);
  await row('job-log', 'word-4').waitFor();
  await page.getByTestId('cancel-job').click();
  await page.getByTestId('confirm-yes').click();
  await page.getByTestId('job-facts').getByText('client_request').waitFor();
  reader.close();
  pace.release();

  await go('Keys and limits');
  expect(await row('limits', 'ann').innerText()).toMatch(/\d\d of 50 requests a minute/);
  await page.getByLabel('Name of a new key').fill('bob');
  await page.keyboard.press('Enter');
  await page.getByTestId('shown-key').waitFor();
  const shown = await text('shown-key-text');
  expect((await api.get('/v1/jobs', { headers: bearer(shown) })).status).toBe(200);
  await page.getByTestId('close-key').click();
  const disable = page.getByRole('button', { name: 'Disable bob' });
  await disable.focus();
  await page.keyboard.press('Enter');
  await page.getByTestId('confirm-yes').click();
  await row('keys', 'bob').locator('[data-state=disabled]').waitFor();
  expect((await api.get('/v1/jobs', { headers: bearer(shown) })).status).toBe(401);

  // Limits change in a dialog, which shows errors.
  await page.getByRole('button', { name: 'Limits of ann' }).click();
  expect(await page.getByLabel('Requests a minute').last().inputValue()).toBe('50');
  await page.getByLabel('Jobs at a time').fill('0');
  await page.getByTestId('limits-save').click();
  await page.getByTestId('limits-problem').getByText('limits.concurrent_jobs').waitFor();
  await page.getByLabel('Jobs at a time').fill('3');
  await page.getByLabel('Requests a minute').last().fill('');
  await page.keyboard.press('Enter');
  await row('keys', 'ann').getByText('3 jobs at a time').waitFor();
  const { keys } = JSON.parse(readFileSync(join(folder, 'sluice.json'), 'utf8'));
  expect(keys[1].limits).toEqual({ concurrent_jobs: 3 });
  // A refusal is shown in its row.
  await page.getByRole('button', { name: 'Disable ops' }).click();
  await page.getByTestId('confirm-yes').click();
  await row('keys', 'ops').getByRole('alert').waitFor();
  expect(await row('keys', 'ops').getByRole('alert').innerText()).toContain('admin');
  expect(readFileSync(join(folder, 'sluice.json'), 'utf8')).not.toContain(shown);

  await go('Audit log');
  await row('audit', /key\.disable\s*bob/).waitFor();
  expect(await row('audit', 'job.cancel').innerText()).toMatch(/ops[\s\S]*success/);
}, 60_000);

test('every section fits a phone, with labels and contrast in both themes, and leaving ends the feed', async () => {
  await api.post('/v1/workflows', { nodes: [{ id: 'a', prompt: 'x' }] }, bearer('key-of-ops'));
  await page.setViewportSize({ width: 390, height: 844 });
  await go('Jobs');
  await page.getByLabel('State').selectOption('');
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    for (const name of ['Overview', 'Jobs', 'Keys and limits', 'Spend', 'Workflows', 'Audit log']) {
      await go(name);
      await page.locator('main section:not([hidden]) tbody tr').first().waitFor();
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      expect([name, width]).toEqual([name, 390]);
      const faults = await axeFaults(page, { contrastOnly: colorScheme === 'dark' });
      expect([name, colorScheme, faults]).toEqual([name, colorScheme, []]);
      const tab = await page.getByTestId('sections').getByRole('link', { name }).boundingBox();
      expect(tab.x >= 0 && tab.x + tab.width <= 390).toBe(true);
      for (const each of await page.locator('main section:not([hidden]) tbody button').all()) {
        const box = await each.boundingBox();
        expect(box.x >= 0 && box.x + box.width <= 390).toBe(true);
      }
    }
    await go('Overview');
    await takePicture(page, `admin-phone-${colorScheme}`);
  }
  const unlabelled = await page.evaluate(() =>
    [...document.querySelectorAll('input, select, button, table')]
      .filter((each) => {
        if (each instanceof HTMLTableElement) return each.caption === null;
        if (each instanceof HTMLButtonElement) return false;
        return /** @type {HTMLInputElement} */ (each).labels?.length === 0;
      })
      .map((each) => each.outerHTML),
  );
  expect(unlabelled).toEqual([]);
  expect(visit.faults).toEqual([]);
  const { feed } = await partsOf(gateway).admin.load();
  expect(feed.listeners).toBe(1);
  await visit.close();
  await until(() => feed.listeners === 0, 'the end of the feed');
});
