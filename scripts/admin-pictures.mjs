/**
 * Makes docs/admin.png and docs/admin-job.png: the dashboard in Chromium over two minutes of jobs of two models and
 * three callers, some of which fail.
 *
 * Usage: node scripts/admin-pictures.mjs   CHROMIUM_PATH is the path of the browser; default /usr/bin/chromium
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { createGateway } from '../lib/index.js';
import { root } from './lib/run.mjs';

const LOAD_MS = 150_000;
const SUBMIT_MS = 200;
const FAILURE_SHARE = 0.04;
const ADMIN_KEY = 'key-of-ops';
const CALLERS = ['ann', 'bob', 'team'];
const WORDS = (
  'A sluice is a gate that lets water through at the rate the channel below can carry, and the water goes down to the ' +
  'mill and the field, each drop counted, none lost on the way.'
).split(/(?= )/);

/** The model of the job that is shown while it runs. */
const LONG = 'long';

/** @param {any} request @param {any} call */
async function* provider({ model }, { signal }) {
  const slow = model === 'large' ? 2 : 1;
  await sleep(80 + Math.random() * 150 * slow, undefined, { signal });
  const failsAt = model !== LONG && Math.random() < FAILURE_SHARE ? 8 : Infinity;
  const words = model === LONG ? Array.from({ length: 5 }, () => WORDS).flat() : WORDS;
  for (const [index, word] of words.entries()) {
    if (index === failsAt) throw new Error('The upstream closed the connection.');
    await sleep(10 + Math.random() * 20 * slow, undefined, { signal });
    yield word;
  }
}

/** @param {string} id @param {string} key @param {boolean} [admin] */
function entry(id, key, admin) {
  return { id, sha256: createHash('sha256').update(key).digest('hex'), ...(admin && { admin }) };
}
const keys = [entry('ops', ADMIN_KEY, true), ...CALLERS.map((id) => entry(id, id))];
const gateway = createGateway({ provider, logger: false, access: { keys } });
const server = await gateway.listen();

/** @returns {Promise<string>} the job */
async function submit(model = Math.random() < 0.4 ? 'large' : 'small') {
  const caller = CALLERS[Math.floor(Math.random() * CALLERS.length)];
  const response = await fetch(`${server.url}/v1/jobs`, {
    method: 'POST',
    headers: { authorization: `Bearer ${caller}`, 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'What does a sluice do?', model, on_disconnect: 'continue' }),
  });
  return /** @type {{job_id: string}} */ (await response.json()).job_id;
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu'],
});
try {
  const page = await browser.newPage({
    viewport: { width: 1200, height: 800 },
    colorScheme: 'light',
  });
  await page.goto(`${server.url}/admin`);
  await page.getByTestId('key').fill(ADMIN_KEY);
  await page.keyboard.press('Enter');
  await page.locator('[data-testid=connection][data-state=live]').waitFor();
  const until = performance.now() + LOAD_MS;
  while (performance.now() < until) {
    await submit();
    await sleep(SUBMIT_MS);
  }
  await page.screenshot({ path: join(root, 'docs/admin.png') });
  await page.setViewportSize({ width: 1200, height: 700 });
  await page.emulateMedia({ colorScheme: 'dark' });
  const id = await submit(LONG);
  void fetch(`${server.url}/v1/stream?job_id=${id}`).catch(() => {});
  await page.goto(`${server.url}/admin#job/${id}`);
  await page.getByTestId('job-log').locator('tbody tr').nth(12).waitFor();
  // The facts follow once a second.
  await page.getByTestId('job-facts').filter({ hasNotText: '0 B' }).waitFor();
  await page.screenshot({ path: join(root, 'docs/admin-job.png') });
  console.log('docs/admin.png and docs/admin-job.png written');
} finally {
  await browser.close();
  await gateway.close({ drainMs: 0 });
}
