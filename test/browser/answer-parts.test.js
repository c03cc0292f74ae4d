/** Reasoning, refusals and tool calls on the demo page, in Chromium against a real gateway. */

import { createGateway, providers } from '../../lib/index.js';
import { contrasts, driver, openPage, someLooks, takePicture, useChromium } from './chromium.js';

const WEATHER = 'What is the weather in Oslo?';

const chromium = useChromium();
let gateway;
let server;
let visit;
let page;
let drive;

/** @param {any} provider @param {import('playwright-core').BrowserContextOptions} [options] */
async function start(provider, options) {
  gateway = createGateway({ provider, logger: false });
  server = await gateway.listen({ port: 0 });
  visit = await openPage(chromium.browser, `${server.url}/#jobs`, options);
  page = visit.page;
  drive = driver(page);
}

const demo = (tokenIntervalMs = 20) => providers.demo({ tokenIntervalMs });
const jobAtServer = async (id) => (await fetch(`${server.url}/v1/jobs/${id}`)).json();
const content = (locator) => locator.evaluate((element) => element.textContent);

afterEach(async () => {
  expect(visit.faults).toEqual([]);
  await visit.close();
  await gateway.close({ drainMs: 0 });
});

/** Expects the card of an ended job to show the server's data. */
async function expectWhole(card, id) {
  const job = await jobAtServer(id);
  expect(await drive.textOf(card)).toBe(job.text);
  expect(await content(card.locator('.reasoning-text'))).toBe(job.reasoning);
  const [call] = job.tool_calls;
  expect(await card.getByTestId('call').count()).toBe(1);
  expect(await content(card.locator('.call-name'))).toBe(call.function.name);
  const shown = await content(card.locator('.call-arguments'));
  expect(JSON.parse(String(shown))).toEqual(JSON.parse(call.function.arguments));
  expect(await card.locator('[data-part=tokens]').innerText()).toBe(String(job.metrics.tokens));
  return job;
}

test('reasoning is folded and unfolds by the keyboard; a tool call is a card', async () => {
  await start(demo(60));
  await drive.send(WEATHER);
  const { id, card } = await drive.firstCard();
  const reasoning = card.getByTestId('reasoning');
  const summary = card.getByText('Reasoning …');
  await summary.waitFor();
  expect(await reasoning.getAttribute('open')).toBeNull();
  expect(await card.locator('.reasoning-text').isVisible()).toBe(false);
  await card.getByRole('group', { name: `Answer to ${WEATHER}` }).focus();
  await page.keyboard.press('Tab');
  expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('SUMMARY');
  await page.keyboard.press('Enter');
  await card.locator('.reasoning-text').getByText('The question is').waitFor();
  await drive.waitForCards('[data-state=completed]');
  expect(await card.getByText('Reasoning', { exact: true }).isVisible()).toBe(true);
  expect(await card.locator('.reasoning-text').isVisible()).toBe(true);
  const job = await expectWhole(card, id);
  expect(job.reason).toBe('tool_calls');
  const calls = card.getByRole('list', { name: 'Tool calls' }).getByRole('listitem');
  expect(await calls.allInnerTexts()).toEqual([
    'Tool call\nget_weather\n\n{\n  "city": "Oslo",\n  "unit": "celsius"\n}',
  ]);
  expect(await card.getByTestId('note').innerText()).toContain('asks for the results');
  await page.getByTestId('announcer').getByText('Complete, with 1 tool call').waitFor({
    state: 'attached',
  });
});

test('a cut in the reasoning loses nothing; a reload restores all parts', async () => {
  // Slower than the page.
  await start(demo(100));
  await drive.send(WEATHER);
  const { id, card } = await drive.firstCard();
  await drive.waitForTokens(id, 4);
  await card.getByTestId('drop').click();
  await drive.waitForCards('[data-connection=closed]');
  while ((await jobAtServer(id)).metrics.tokens < 36) await page.waitForTimeout(20);
  await card.getByTestId('drop').click();
  await drive.waitForCards('[data-state=completed]');
  expect(await card.getByTestId('note').innerText()).toMatch(/ replayed, nothing lost\.$/);
  await expectWhole(card, id);
  await page.reload();
  await drive.waitForCards('[data-state=completed]');
  await expectWhole(card, id);
});

test('a refusal is marked', async () => {
  await start(demo());
  await drive.send('Please refuse');
  const { id, card } = await drive.firstCard();
  await drive.waitForCards('[data-state=completed]');
  const { refusal } = await jobAtServer(id);
  expect(await card.getByTestId('refusal').innerText()).toBe(`Refused\n\n${refusal}`);
  expect(await card.getByTestId('reasoning').isVisible()).toBe(false);
  expect(await card.getByTestId('call').count()).toBe(0);
  await page.getByTestId('announcer').getByText('Refused: Please refuse').waitFor({
    state: 'attached',
  });
});

test('a conversation shows the parts, live and stored, and keeps unfolded parts open', async () => {
  await start(demo());
  await page.getByTestId('place-chat').click();
  await page.getByLabel('Prompt').fill(WEATHER);
  await page.keyboard.press('Control+Enter');
  const answer = page.locator('[data-testid=message][data-role=assistant]');
  await answer.locator('summary').click();
  await answer.getByText('asks for the results').waitFor();
  await page.getByTestId('fork-here').last().waitFor();
  const check = async () => {
    const shown = await answer.locator('.call-arguments').innerText();
    expect(JSON.parse(shown)).toEqual({ city: 'Oslo', unit: 'celsius' });
    const text = answer.getByTestId('said');
    expect(await text.innerText()).toBe('I am looking up the weather in Oslo.');
    expect(await content(answer.locator('.reasoning-text'))).toContain('so a tool must be asked');
  };
  await check();
  expect(await answer.locator('.reasoning-text').isVisible()).toBe(true);
  await page.reload();
  await answer.getByTestId('call').waitFor();
  await check();
  expect(await answer.locator('.reasoning-text').isVisible()).toBe(false);
});

test('names and arguments are shown as text; broken arguments are named', async () => {
  const html = '<img src=x onerror="document.title=1">';
  await start(async function* tools() {
    yield { reasoning: html };
    yield { tool_call: { index: 0, name: html, arguments: { html } } };
    yield { tool_call: { index: 1, name: 'cut', arguments: '{"city": "Os' } };
    yield { tool_call: { index: 2, name: 'none' } };
    return { reason: 'tool_calls' };
  });
  await drive.send('Call');
  const { card } = await drive.firstCard();
  await drive.waitForCards('[data-state=completed]');
  expect(await card.locator('.call-name').allTextContents()).toEqual([html, 'cut', 'none']);
  expect(await card.locator('.call-arguments').allTextContents()).toEqual([
    JSON.stringify({ html }, null, 2),
    '{"city": "Os',
    '{}',
  ]);
  expect(await card.locator('.call-problem').allTextContents()).toEqual([
    '',
    'The arguments are not valid JSON.',
    '',
  ]);
  expect(await page.locator('img').count()).toBe(0);
});

describe.each(
  someLooks([
    ['light', { viewport: { width: 1360, height: 900 }, colorScheme: 'light' }],
    ['dark', { viewport: { width: 1360, height: 900 }, colorScheme: 'dark' }],
    [
      'phone-light',
      { viewport: { width: 360, height: 780 }, colorScheme: 'light', isMobile: true },
    ],
    ['phone-dark', { viewport: { width: 360, height: 780 }, colorScheme: 'dark', isMobile: true }],
  ]),
)('%s', (name, options) => {
  test('is readable, fits, and has its picture taken', async () => {
    await start(demo(5), /** @type {any} */ (options));
    await drive.send('Please refuse');
    await drive.send(WEATHER);
    await drive.send('What is the weather in Bremen? Say it in a city’s own words.');
    await drive.waitForCards('[data-state=completed]', 3);
    await drive.cards().first().locator('summary').click();
    await drive.cards().first().scrollIntoViewIfNeeded();
    await takePicture(page, `parts-${name}`);
    await drive.cards().nth(2).scrollIntoViewIfNeeded();
    await takePicture(page, `parts-${name}-last`);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
    const kinds = '.reasoning-summary, .reasoning-text, .refusal p, .refusal-text, .call *, .note';
    const ratios = await page.evaluate(contrasts, kinds);
    expect(Object.keys(ratios).length).toBeGreaterThan(8);
    expect(Object.entries(ratios).filter(([, ratio]) => ratio < 4.5)).toEqual([]);
    await page.getByTestId('place-chat').click();
    await page.getByLabel('Prompt').fill(WEATHER);
    await page.keyboard.press('Control+Enter');
    await page.getByTestId('fork-here').last().waitFor();
    await page.getByTestId('message').last().locator('summary').click();
    await page.getByTestId('message').last().scrollIntoViewIfNeeded();
    await takePicture(page, `parts-${name}-chat`);
  });
});
