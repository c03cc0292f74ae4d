/** The demo page of a server with keys, in Chromium. */

import { once } from 'node:events';
import { createServer } from 'node:http';
import { createGateway } from '../../lib/index.js';
import { bearer, entry } from '../support/gateway/keys.js';
import { driver, openPage, takePicture, useChromium } from './chromium.js';
import { Pace } from './pace.js';

const pace = new Pace();

const key = 'key-of-ann';
const keys = [entry('ann', key)];
const words = Array.from({ length: 60 }, (_, i) => `word-${i}`).join(' ');

const chromium = useChromium();
let gateway;
let server;
let visit;
let page;
let drive;
/** The opened streams: `[status, token]`. @type {[number, string | null][]} */
let streams;

/** @param {{reconnectMs?: number}} [options] */
async function open({ reconnectMs } = {}) {
  const provider = pace.provider(words);
  // An address is valid for a second, and for the rest of the second it was made in.
  const access = { keys, stream_url_ttl_s: 1 };
  gateway = createGateway({ provider, logger: false, reconnectMs, access });
  server = await gateway.listen({ port: 0 });
  visit = await openPage(chromium.browser, `${server.url}/#jobs`);
  page = visit.page;
  drive = driver(page);
  streams = [];
  page.on('response', (response) => {
    const { pathname, searchParams } = new URL(response.url());
    if (pathname !== '/v1/stream' && pathname !== '/v1/events') return;
    streams.push([response.status(), searchParams.get('token')]);
  });
}

afterEach(async () => {
  pace.release();
  expect(visit.faults).toEqual([]);
  await visit.close();
  await gateway.close({ drainMs: 0 });
});

/** @param {string} id */
async function textAtServer(id) {
  const response = await fetch(`${server.url}/v1/jobs/${id}`, { headers: bearer(key) });
  return (await response.json()).text;
}

const form = () => page.getByTestId('key-form');

/** By keyboard alone: the field has the focus when it is shown. */
async function giveKey(given = key) {
  await form().waitFor();
  expect(await page.evaluate(() => document.activeElement?.id)).toBe('key');
  await page.keyboard.insertText(given);
  await page.keyboard.press('Enter');
}

async function enter() {
  await giveKey();
  await form().waitFor({ state: 'hidden' });
}

test('the page asks for a key; a wrong one is refused in place, a right one accepted', async () => {
  await open();
  await takePicture(page, 'key');
  await giveKey('wrong');
  const problem = page.getByTestId('key-problem');
  await problem.getByText('The server does not accept this key.').waitFor();
  expect(await page.getByLabel('Key for this server').getAttribute('aria-invalid')).toBe('true');
  await page.getByLabel('Key for this server').fill('');
  await enter();
  expect(await page.evaluate(() => document.activeElement?.id)).toBe('prompt');
  expect(await page.locator('#model option').allInnerTexts()).toEqual(['demo']);
  await drive.send('Hello');
  const { id, card } = await drive.firstCard();
  await drive.waitForCards('[data-state=completed]');
  expect(await drive.textOf(card)).toBe(words);
  expect(await textAtServer(id)).toBe(words);
  expect(streams).toEqual([[200, expect.stringMatching(/^[\w-]+\.[\w-]{43}$/)]]);
});

test('a reload in the middle finds key and job again; the key is kept in this tab alone', async () => {
  await open();
  await enter();
  pace.hold(6);
  await drive.send('Reload me');
  const { id, card } = await drive.firstCard();
  await drive.waitForTokens(id, 5);
  await page.reload();
  pace.release();
  await drive.waitForCards('[data-state=completed]');
  expect(await form().isHidden()).toBe(true);
  expect(await drive.textOf(card)).toBe(words);
  const kept = await page.evaluate(() => [JSON.stringify(localStorage), document.cookie]);
  expect(kept.join()).not.toContain(key);
  const other = await page.context().newPage();
  await other.goto(server.url);
  await other.getByTestId('key-form').waitFor();
  await other.close();
});

test('a cut stream is resumed at the same address after the time limit of its first use', async () => {
  // The browser reconnects by itself once that time is certainly over.
  await open({ reconnectMs: 2500 });
  await enter();
  pace.hold(4);
  await drive.send('Cut me');
  const { id, card } = await drive.firstCard();
  await drive.waitForTokens(id, 3);
  server.closeAllConnections();
  await drive.waitForCards('[data-connection=reconnecting]');
  pace.release();
  await drive.waitForCards('[data-state=completed]');
  expect(await drive.textOf(card)).toBe(words);
  expect(await card.getByTestId('note').innerText()).toMatch(/^Resumed from 1-\d+: .*nothing lost/);
  expect(streams.map(([status]) => status)).toEqual([200, 200]);
  const [first, again] = streams.map(([, token]) => token);
  expect(again).toBe(first);
});

test('eight jobs on one connection, dropped and resumed with a new token', async () => {
  await open();
  await enter();
  pace.hold(10);
  await drive.send('Eight of us', '8');
  await drive.waitForCards('[data-state=running][data-connection=open]', 8);
  await page.getByTestId('drop-all').click();
  await drive.waitForCards('[data-connection=closed]', 8);
  await page.waitForTimeout(2100);
  pace.release();
  await page.getByTestId('drop-all').click();
  await drive.waitForCards('[data-state=completed]', 8);
  for (const text of await page.getByTestId('text').allTextContents()) expect(text).toBe(words);
  expect(streams.every(([status, token]) => status === 200 && token !== null)).toBe(true);
  expect(new Set(streams.map(([, token]) => token)).size).toBe(streams.length);
});

test('a revoked key is requested again, and its jobs return with it', async () => {
  await open();
  await enter();
  pace.hold(4);
  await drive.send('Keep me');
  const { id, card } = await drive.firstCard();
  await drive.waitForTokens(id, 3);
  gateway.reload({ access: { keys: [] } });
  server.closeAllConnections();
  await card.getByTestId('note').getByText('(invalid_api_key)').waitFor();
  await form().waitFor();
  await drive.send('Refused');
  await page.getByTestId('problem').getByText('This key is not valid.').waitFor();
  gateway.reload({ access: { keys } });
  await giveKey();
  pace.release();
  await drive.waitForCards('[data-state=completed]');
  expect(await drive.textOf(card)).toBe(words);
  expect(await drive.cards().count()).toBe(1);
});

test('a page of an allowed other origin: submit, stream, and read a refusal', async () => {
  await open();
  const elsewhere = createServer((_req, res) => {
    res.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>app</title>');
  }).listen(0, '127.0.0.1');
  await once(elsewhere, 'listening');
  const origin = `http://127.0.0.1:${/** @type {any} */ (elsewhere.address()).port}`;
  const use = async (/** @type {string} */ given) => {
    const app = await page.context().newPage();
    try {
      await app.goto(origin);
      return await app.evaluate(
        async ([baseUrl, apiKey]) => {
          try {
            const { createClient } = await import(`${baseUrl}/client.js`);
            const client = createClient({ baseUrl, apiKey });
            const job = await client.submit({ prompt: 'x', max_tokens: 3 });
            job.disconnect();
            job.reconnect();
            return (await job.done).text;
          } catch (error) {
            const { code, name } = /** @type {any} */ (error);
            return code ?? name;
          }
        },
        [server.url, given],
      );
    } finally {
      await app.close();
    }
  };
  try {
    expect(await use(key)).toBe('TypeError'); // the client cannot be loaded
    gateway.reload({ access: { keys, cors_origins: [origin] } });
    expect(await use(key)).toBe('word-0 word-1 word-2');
    expect(await use('wrong')).toBe('invalid_api_key');
  } finally {
    elsewhere.close();
    elsewhere.closeAllConnections();
  }
});
