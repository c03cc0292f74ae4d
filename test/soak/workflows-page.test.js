/** The page of workflows in Chromium: the graph as it runs, a node's text, and the keyboard alone. */

import { createGateway } from '../../lib/index.js';
import { axeFaults, openPage, takePicture, useChromium } from '../browser/chromium.js';
import { Pace } from '../browser/pace.js';

const pace = new Pace();

/** Fails while `broken.now` for prompts with `fails`, otherwise answers a few words. */
const broken = { now: true };
async function* provider({ prompt }, { signal }) {
  if (prompt.includes('fails') && broken.now) throw new Error('the spring is dry');
  if (prompt === 'list') {
    yield 'one\ntwo\nthree';
    return;
  }
  yield* pace.say(`<b>${prompt}</b> runs\ndown the hill to the mill`.split(/(?<= )/), signal);
}

const chromium = useChromium();
let gateway;
let server;
let visit;
let page;

beforeAll(async () => {
  gateway = createGateway({ provider, logger: false, exposeErrors: true });
  server = await gateway.listen({ port: 0 });
});

afterAll(async () => {
  await gateway?.close({ drainMs: 0 });
});

beforeEach(async () => {
  broken.now = true;
  visit = await openPage(chromium.browser, server.url);
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
  await page.getByLabel('JSON', { exact: true }).check({ force: true });
  await page.getByTestId('source').fill(JSON.stringify(workflow));
  await page.getByTestId('source').press('Control+Enter');
}

const workflowId = () => new URL(page.url()).hash.slice(1);

const text = () => page.getByTestId('text').innerText();

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

test('a failed node shows its error, its dependants are skipped, and a retry runs only these', async () => {
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
  await page.getByRole('button', { name: /^b .*done, \d+ tokens after a$/ }).waitFor();
  await page.getByTestId('announcer').getByText('completed').waitFor({ state: 'attached' });
});

test('a map shows its progress and the texts of its items', async () => {
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

test('cancel ends it; a field shows its validation error', async () => {
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

test('the form and the JSON are one workflow; the last node’s answer is shown, with no click', async () => {
  const form = page.getByTestId('form');
  await page.getByLabel('Name of node 1').fill('sentence');
  await page.getByLabel('Name of node 1').press('Tab');
  await page.getByTestId('add-node').click();
  await page.keyboard.type(' and end');
  await page.getByLabel('Remove river').click();
  await page
    .getByRole('group', { name: 'node_6 runs after' })
    .getByLabel('fish')
    .check({ force: true });
  const { nodes } = JSON.parse(await page.getByTestId('source').inputValue());
  expect(nodes.map(({ id, after = [] }) => [id, ...after])).toEqual([
    ['sentence'],
    ['miller', 'sentence'],
    ['fish', 'sentence'],
    ['answer', 'miller', 'fish'],
    ['node_6', 'answer', 'fish'],
  ]);
  expect(nodes[1].prompt).toBe('What does a miller say to this? {{sentence.text}}');
  expect(nodes[4].prompt).toBe('Continue: {{answer.text}} and end');
  // Members not shown by the form are kept.
  expect(nodes[1].max_tokens).toBe(80);
  expect(await page.locator('[data-node]').count()).toBe(5);
  expect(await node('fish').locator('.node-label').innerText()).toBe(
    'And what does a fish say? ‹sentence›',
  );
  // The removed node is still in a prompt of another one.
  await form.getByLabel('Prompt of answer').fill('Combine {{miller.text}}');
  expect(await axeFaults(page)).toEqual([]);
  await page.getByTestId('run').click();
  await ended('completed');
  const last = gateway.workflow(workflowId()).nodes.find(({ id }) => id === 'node_6');
  expect(await text()).toBe(last.text);
  expect(await axeFaults(page)).toEqual([]);
  // JSON that the form cannot show stays JSON.
  await page.getByLabel('JSON', { exact: true }).check({ force: true });
  await page.getByTestId('source').fill('{"node": []}');
  await page.getByLabel('Form', { exact: true }).click({ force: true });
  await page.getByTestId('problem').getByText('The form shows').waitFor();
  expect(await page.getByTestId('source').isVisible()).toBe(true);
});

test('on a phone the run scrolls into view, and the graph to the running node', async () => {
  await page.setViewportSize({ width: 390, height: 844 });
  pace.hold(4);
  await page.getByTestId('run').click();
  await waitForState('question', 'running');
  const inView = (selector) =>
    page.waitForFunction((each) => {
      const { left, right, top, bottom } = document.querySelector(each).getBoundingClientRect();
      return left >= 0 && right <= innerWidth && top >= 0 && bottom <= innerHeight;
    }, selector);
  await inView('[data-node=question]');
  pace.release();
  await inView('[data-node=answer]');
  await ended('completed');
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
});
