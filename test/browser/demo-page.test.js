/** The demo page in Chromium against a real gateway. */

import { createGateway } from '../../lib/index.js';
import { duration } from '../../web/app/format.js';
import { axeFaults, driver, openPage, someLooks, takePicture, useChromium } from './chromium.js';
import { Pace } from './pace.js';

const pace = new Pace();

const answer =
  'Water waits above the gate.\n\nWhen it opens by a hand’s breadth, "only so much" may pass: ' +
  'the field below is <b>not</b> flooded, the mill does not stand still 🌊 and every drop is ' +
  'counted on its way down the hill, past the miller and the baker, to the sea that keeps no ' +
  'record of who sent what, or when.\n  1. wait\n  2. open\n  3. count\nThat is all there is to it.';

const chromium = useChromium();
let gateway;
let server;
let visit;
let page;
let drive;

beforeAll(async () => {
  gateway = createGateway({ provider: pace.provider(answer), logger: false });
  server = await gateway.listen({ port: 0 });
});

afterAll(async () => {
  await gateway?.close({ drainMs: 0 });
});

/** @param {import('playwright-core').BrowserContextOptions} [options] */
async function open(options) {
  visit = await openPage(chromium.browser, `${server.url}/#jobs`, options);
  page = visit.page;
  drive = driver(page);
}

beforeEach(() => open());

afterEach(async () => {
  pace.release();
  expect(visit.faults).toEqual([]);
  await visit.close();
});

/** @param {string} jobId */
async function jobAtServer(jobId) {
  const response = await fetch(`${server.url}/v1/jobs/${jobId}`);
  return response.json();
}

test('type, stream, complete: the text and the figures are the server’s', async () => {
  pace.hold(6);
  await drive.send('What does a sluice do?');
  const { id, card } = await drive.firstCard();
  await drive.waitForCards('[data-state=running]');
  await drive.waitForTokens(id, 5);
  expect(answer.startsWith(String(await drive.textOf(card)))).toBe(true);
  expect(await page.getByTestId('connection').innerText()).toBe('1 stream on 1 connection');
  pace.release();
  await drive.waitForCards('[data-state=completed]');
  const job = await jobAtServer(id);
  expect(await drive.textOf(card)).toBe(job.text);
  expect(job.text).toBe(answer);
  const figure = (name) => card.locator(`[data-part=${name}]`).innerText();
  expect(await figure('tokens')).toBe(String(job.metrics.tokens));
  expect(await figure('rate')).toBe(job.metrics.tokens_per_second.toFixed(1));
  expect(await figure('first')).toBe(duration(job.metrics.ttft_ms));
  expect(await page.getByTestId('connection').getAttribute('data-state')).toBe('idle');
});

test('the text ends at the requested length', async () => {
  await page.getByText('Options').click();
  await page.getByLabel('Length, tokens').fill('3');
  await drive.send('Short, please');
  const { id, card } = await drive.firstCard();
  await drive.waitForCards('[data-state=completed]');
  expect(await drive.textOf(card)).toBe('Water waits above');
  expect(await card.getByTestId('note').innerText()).toBe('Stopped at the requested length.');
  expect(await jobAtServer(id)).toMatchObject({ reason: 'length', text: 'Water waits above' });
});

test('a dropped connection resumes at its position, and nothing is lost', async () => {
  pace.hold(30);
  await drive.send('Drop me');
  const { id, card } = await drive.firstCard();
  await drive.waitForTokens(id, 5);
  await card.getByTestId('drop').click();
  await drive.waitForCards('[data-connection=closed]');
  pace.release();
  const place = await card.locator('[data-part=id]').innerText();
  const before = await drive.textOf(card);
  expect(await card.getByTestId('note').innerText()).toContain(`Dropped after event ${place}`);
  // The job continues at the server; nothing arrives at the page.
  const length = String(before).length;
  while ((await jobAtServer(id)).text.length < length + 20) await page.waitForTimeout(20);
  expect(await drive.textOf(card)).toBe(before);
  await card.getByTestId('drop').click();
  await drive.waitForCards('[data-state=completed]');
  expect(await card.getByTestId('note').innerText()).toMatch(
    new RegExp(`^Resumed from ${place}: [1-9]\\d* tokens? replayed, nothing lost\\.$`),
  );
  expect(await drive.textOf(card)).toBe((await jobAtServer(id)).text);
});

test('when the server cuts the socket, the browser reconnects by itself', async () => {
  pace.hold(4);
  await drive.send('Cut me');
  const { id, card } = await drive.firstCard();
  await drive.waitForTokens(id, 3);
  server.closeAllConnections();
  await drive.waitForCards('[data-connection=reconnecting]');
  expect(await card.getByTestId('note').innerText()).toContain('Reconnecting automatically');
  pace.release();
  await drive.waitForCards('[data-state=completed]');
  expect(await card.getByTestId('note').innerText()).toMatch(/^Resumed from 1-\d+: .*nothing lost/);
  expect(await drive.textOf(card)).toBe((await jobAtServer(id)).text);
});

test('a reload in the middle finds the job again, from the first token on', async () => {
  pace.hold(6);
  await drive.send('Reload me');
  const { id, card } = await drive.firstCard();
  await drive.waitForTokens(id, 5);
  await page.reload();
  await drive.waitForTokens(id, 6);
  pace.release();
  expect(await card.locator('[data-part=prompt]').innerText()).toBe('Reload me');
  await drive.waitForCards('[data-state=completed]');
  expect(await card.getByTestId('note').innerText()).toMatch(/^Restored after a reload: .*nothing/);
  expect(await drive.textOf(card)).toBe((await jobAtServer(id)).text);
  await page.reload();
  await drive.waitForCards('[data-state=completed]');
  expect(await drive.textOf(card)).toBe(answer);
});

test('cancel stops the job, here and at the server', async () => {
  pace.hold(5);
  await drive.send('Cancel me');
  const { id, card } = await drive.firstCard();
  await drive.waitForTokens(id, 3);
  await card.getByTestId('cancel').click();
  await drive.waitForCards('[data-state=cancelled]');
  expect(await card.getByTestId('note').innerText()).toBe('Cancelled on request.');
  const job = await jobAtServer(id);
  expect(job).toMatchObject({ status: 'cancelled', reason: 'client_request' });
  expect(await drive.textOf(card)).toBe(job.text);
  expect(answer.startsWith(job.text) && job.text.length < answer.length).toBe(true);
  await card.getByTestId('remove').click();
  expect(await drive.cards().count()).toBe(0);
  await page.reload();
  await page.getByTestId('empty').waitFor();
});

test('eight jobs stream side by side on one connection, dropped and resumed together', async () => {
  pace.hold(10);
  await drive.send('Eight of us', '8');
  await drive.waitForCards('[data-state=running][data-connection=open]', 8);
  await page.waitForFunction(
    () =>
      document.querySelector('[data-testid=connection]')?.textContent?.trim() ===
      '8 streams on 1 connection',
  );
  await page.getByTestId('drop-all').click();
  await drive.waitForCards('[data-connection=closed]', 8);
  pace.release();
  await page.getByTestId('drop-all').click();
  await drive.waitForCards('[data-state=completed]', 8);
  const ids = await drive.cards().evaluateAll((all) => all.map((card) => card.dataset.jobId));
  expect(new Set(ids).size).toBe(8);
  for (const id of ids) {
    const card = page.locator(`[data-job-id="${id}"]`);
    expect(await drive.textOf(card)).toBe((await jobAtServer(String(id))).text);
    expect(await card.getByTestId('note').innerText()).toContain('nothing lost');
  }
  await page.reload();
  await drive.waitForCards('[data-state=completed]', 8);
  expect(await drive.cards().evaluateAll((all) => all.map((card) => card.dataset.jobId))).toEqual(
    ids,
  );
  await page.getByTestId('clear').click();
  expect(await drive.cards().count()).toBe(0);
});

test('one prompt per line', async () => {
  await drive.send('one\n\n  two \nthree', 'lines');
  await drive.waitForCards('', 3);
  const prompts = await page.locator('[data-part=prompt]').allInnerTexts();
  expect(prompts.sort()).toEqual(['one', 'three', 'two']);
  await drive.waitForCards('[data-state=completed]', 3);
});

test('a job purged by the server is shown as gone', async () => {
  await page.evaluate(() => {
    const known = [{ id: 'job_of_yesterday', prompt: 'Long ago', model: 'demo' }];
    localStorage.setItem('sluice.jobs', JSON.stringify(known));
  });
  await page.reload();
  await drive.waitForCards('[data-state=gone]');
  const { card } = await drive.firstCard();
  expect(await card.getByTestId('note').innerText()).toContain('no longer has this job');
  await card.getByTestId('remove').click();
  await page.getByTestId('empty').waitFor();
});

test('an empty prompt is refused in place', async () => {
  await page.getByTestId('send').click();
  expect(await page.getByTestId('problem').innerText()).toBe('Write a prompt first.');
  expect(await page.evaluate(() => document.activeElement?.id)).toBe('prompt');
});

test('resumed at every event: by the client, and by Chromium’s own EventSource', async () => {
  const results = await page.evaluate(async () => {
    const { createClient } = await import(new URL('/client.js', location.href).href);
    const client = createClient();
    const job = await client.submit({ prompt: 'x', max_tokens: 12 });
    let pieces = '';
    let cuts = 0;
    job.on('token', (text) => {
      pieces += text;
      cuts += 1;
      job.disconnect();
      job.reconnect();
    });
    const { text, status } = await job.done;
    const tails = [];
    for (let seq = 0; seq <= 12; seq += 1) {
      const query = new URLSearchParams({ job_id: job.id, last_event_id: `1-${seq}` });
      tails.push(
        await new Promise((resolve) => {
          const source = new EventSource(`/v1/stream?${seq === 0 ? `job_id=${job.id}` : query}`);
          let tail = '';
          source.addEventListener('token', (event) => (tail += JSON.parse(event.data).token));
          source.addEventListener('job_complete', () => resolve((source.close(), tail)));
        }),
      );
    }
    client.close();
    return {
      text,
      status,
      pieces,
      cuts,
      tails,
      snapshot: await (await fetch(`/v1/jobs/${job.id}`)).json(),
    };
  });
  const { text, snapshot, tails } = results;
  expect(results).toMatchObject({ status: 'completed', cuts: 12, pieces: text });
  expect(text).toBe(snapshot.text);
  const words = /** @type {string[]} */ (text.match(/\s*\S+/g));
  expect(words).toHaveLength(12);
  expect(tails).toEqual([...words.keys(), 12].map((seen) => words.slice(seen).join('')));
});

describe.each(
  someLooks([
    ['wide-light', { viewport: { width: 1360, height: 900 }, colorScheme: 'light' }],
    ['wide-dark', { viewport: { width: 1360, height: 900 }, colorScheme: 'dark' }],
    [
      'phone-light',
      { viewport: { width: 360, height: 780 }, colorScheme: 'light', isMobile: true },
    ],
    ['phone-dark', { viewport: { width: 360, height: 780 }, colorScheme: 'dark', isMobile: true }],
  ]),
)('%s', (name, options) => {
  beforeEach(async () => {
    await visit.close();
    await open(/** @type {any} */ (options));
  });

  test('is readable, fits, and has its picture taken', async () => {
    pace.hold(14);
    await drive.send(
      'A somewhat longer prompt, to see how a title of two lines or more behaves',
      '4',
    );
    await drive.waitForCards('[data-state=running][data-connection=open]', 4);
    const { id } = await drive.firstCard();
    await drive.waitForTokens(id, 12);
    await drive.cards().first().getByTestId('drop').click();
    await drive.waitForCards('[data-connection=closed]');
    await page.evaluate(() => scrollTo(0, 0));
    await takePicture(page, name);
    await drive.cards().first().scrollIntoViewIfNeeded();
    await takePicture(page, `${name}-jobs`);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
    expect(await axeFaults(page, { contrastOnly: options.colorScheme === 'dark' })).toEqual([]);
  });
});
