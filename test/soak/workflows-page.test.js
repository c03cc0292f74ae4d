/** The page of workflows in Chromium: the graph as it runs, a node's text, and the keyboard alone. */

import { createGateway } from '../../lib/index.js';
import { launchChromium, openPage, takePicture } from '../browser/chromium.js';
import { Pace } from '../browser/pace.js';

const pace = new Pace();

/** Fails once for prompts that say so, else says a few words. */
const broken = { now: true };
async function* provider({ prompt }, { signal }) {
  if (prompt.includes('fails') && broken.now) throw new Error('the spring is dry');
  if (prompt === 'list') {
    yield 'one\ntwo\nthree';
    return;
  }
  yield* pace.say(`<b>${prompt}</b> runs\ndown the hill to the mill`.split(/(?<= )/), signal);
}

/** @type {import('playwright-core').Browser} */
let browser;
let gateway;
let server;
let visit;
/** @type {import('playwright-core').Page} */
let page;

beforeAll(async () => {
  browser = await launchChromium();
  gateway = createGateway({ provider, logger: false, exposeErrors: true });
  server = await gateway.listen({ port: 0 });
});

afterAll(async () => {
  await browser?.close();
  await gateway?.close({ drainMs: 0 });
});

beforeEach(async () => {
  broken.now = true;
  visit = await openPage(browser, server.url);
  page = visit.page;
  await page.getByRole('link', { name: 'Workflows' }).click();
  await page.getByTestId('sample').locator('option').first().waitFor({ state: 'attached' });
});

afterEach(async () => {
  pace.release();
  expect(visit.faults).toEqual([]);
  await visit.close();
});

const node = (id) => page.locator(`[data-node="${id}"]`);

const waitForState = (id, state) =>
  page.locator(`[data-node="${id}"][data-state=${state}]`).waitFor();

const ended = (status) => page.locator(`[data-testid=state][data-state=${status}]`).waitFor();

async function run(workflow) {
  await page.getByTestId('source').fill(JSON.stringify(workflow));
  await page.getByTestId('source').press('Control+Enter');
}

const workflowId = () => new URL(page.url()).hash.slice(1);

const text = () => page.getByTestId('text').evaluate((element) => element.textContent);

test('a sample runs: boxes, lines and states follow it, a click shows the text as it grows', async () => {
  expect(await page.getByTestId('sample').locator('option').allInnerTexts()).toHaveLength(3);
  pace.hold(4);
  await page.getByTestId('run').click();
  await waitForState('question', 'running');
  expect(await node('answer').getAttribute('data-state')).toBe('pending');
  await node('question').click();
  await page.waitForFunction(
    () => (document.querySelector('[data-testid=text]')?.textContent ?? '').length > 10,
  );
  pace.step();
  await waitForState('miller', 'running');
  expect(await node('question').getAttribute('data-state')).toBe('completed');
  await node('miller').click();
  await takePicture(page, 'workflow-running');
  pace.release();
  await ended('completed');
  expect(await page.getByTestId('count').innerText()).toBe('5 of 5 nodes done');
  expect(await page.locator('.edges path[data-state=open]').count()).toBe(6);

  const { nodes } = gateway.workflow(workflowId());
  for (const { id, text: expected } of nodes) {
    await node(id).click();
    expect(await text()).toBe(expected);
    expect(await node(id).getAttribute('aria-pressed')).toBe('true');
  }
  await takePicture(page, 'workflow-completed');
});

test('what failed is told, what hangs on it is shut, and a retry runs those alone', async () => {
  await run({
    nodes: [
      { id: 'spring', prompt: 'this fails' },
      { id: 'brook', prompt: 'of {{spring.text}}', after: ['spring'] },
      { id: 'rain', prompt: 'rain' },
    ],
  });
  await ended('failed');
  await node('spring').click();
  const note = page.locator('[data-testid=detail] [data-part=note]');
  expect(await note.innerText()).toBe('provider_error: the spring is dry');
  expect(await node('brook').getAttribute('data-state')).toBe('skipped');
  expect(await page.locator('.edges path[data-state=shut]').count()).toBe(1);
  await takePicture(page, 'workflow-failed');
  broken.now = false;
  pace.hold(4);
  await page.getByTestId('retry').click();
  await waitForState('spring', 'running');
  expect(await node('rain').getAttribute('data-state')).toBe('completed');
  pace.release();
  await ended('completed');
  expect(await text()).toContain('this fails');
  expect(await page.getByTestId('retry').isDisabled()).toBe(true);
});

test('the keyboard alone goes from box to box and opens one', async () => {
  await run({
    nodes: [
      { id: 'a', prompt: 'list' },
      { id: 'b', prompt: 'b', after: ['a'] },
      { id: 'c', prompt: 'c', after: ['a'] },
      { id: 'd', prompt: 'd', after: ['b', 'c'] },
    ],
  });
  await ended('completed');
  await node('a').focus();
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute('data-node'));
  const walk = [];
  for (const key of [
    'ArrowRight',
    'ArrowDown',
    'ArrowUp',
    'ArrowRight',
    'ArrowRight',
    'ArrowLeft',
  ]) {
    await page.keyboard.press(key);
    walk.push(await focused());
  }
  expect(walk).toEqual(['b', 'c', 'b', 'd', 'd', expect.stringMatching(/[bc]/)]);
  await node('a').focus();
  await page.keyboard.press('Enter');
  expect(await text()).toBe('one\ntwo\nthree');
  expect(await node('b').getAttribute('aria-label')).toBe('b, completed, after a');
  await page.getByTestId('announcer').getByText('completed').waitFor({ state: 'attached' });
});

test('a map tells how far it is, and shows the texts of its items', async () => {
  pace.hold(4);
  await run({
    nodes: [
      { id: 'list', prompt: 'list' },
      { id: 'each', map: { over: 'list', prompt: 'say {{item}}' }, after: ['list'] },
    ],
  });
  await waitForState('each', 'running');
  await node('each').click();
  pace.release();
  await ended('completed');
  expect(await text()).toBe(gateway.workflow(workflowId()).nodes[1].text);
});

test('a reload finds the workflow again, and a cut connection loses nothing', async () => {
  pace.hold(4);
  await run({
    nodes: [
      { id: 'a', prompt: 'first' },
      { id: 'b', prompt: 'then {{a.text}}', after: ['a'] },
    ],
  });
  await waitForState('a', 'running');
  await page.reload();
  await node('a').click();
  pace.step();
  await waitForState('b', 'running');
  await page.context().setOffline(true);
  pace.release();
  await new Promise((resolve) => setTimeout(resolve, 100));
  await page.context().setOffline(false);
  await ended('completed');
  for (const { id, text: expected } of gateway.workflow(workflowId()).nodes) {
    await node(id).click();
    expect(await text()).toBe(expected);
  }
  await page.reload();
  await ended('completed');
});

test('cancel ends it; what is wrong with a workflow is said by the field', async () => {
  pace.hold(4);
  await run({ nodes: [{ id: 'a', prompt: 'one of some length' }] });
  await waitForState('a', 'running');
  await page.getByTestId('cancel').click();
  await ended('cancelled');
  expect(await node('a').getAttribute('data-state')).toBe('cancelled');
  const problem = page.getByTestId('problem');
  await page.getByTestId('source').fill('{"nodes": [');
  await page.getByTestId('run').click();
  expect(await problem.innerText()).toMatch(/^This is not JSON/);
  await run({ nodes: [{ id: 'a', prompt: 'x', after: ['a'] }] });
  await problem.getByText('The graph has a cycle: "a" -> "a". (nodes)').waitFor();
});
