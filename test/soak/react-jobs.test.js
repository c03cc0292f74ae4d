/** examples/react-jobs, built and driven in Chromium, also with the README's component in its place. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSleepingPage } from '../browser/sleeping-page.js';
import { cuttingProxy } from '../support/client/cutting-proxy.js';
import { runIn, startIn, useExample } from '../support/package/example-app.js';
import { root } from '../support/package/packed.js';
import { until } from '../support/until.js';

const BUILD = ['node_modules/vite/bin/vite.js', 'build'];
const SERVER = ['server.js'];
const example = useExample('react-jobs', { build: BUILD, serve: SERVER });
let page;
let faults;
let streams;

beforeEach(async () => {
  const context = await example.browser.newContext();
  page = await context.newPage();
  faults = [];
  streams = 0;
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('request', (request) => {
    if (new URL(request.url()).pathname === '/v1/stream') streams += 1;
  });
});

afterEach(async () => {
  expect(faults).toEqual([]);
  await page.context().close();
});

async function send(prompt) {
  await page.getByLabel('Prompt').fill(prompt);
  await page.keyboard.press('Enter');
  const item = page.locator('li').first();
  await item.getByText('You said:').waitFor();
  const id = await item.getAttribute('data-job');
  return { id, item: page.locator(`[data-job="${id}"]`) };
}

/** A prompt whose answer takes some seconds. */
const long = Array.from({ length: 60 }, (_, i) => `word${i}`).join(' ');

const atServer = async (id) => (await fetch(`${example.server.origin}/v1/jobs/${id}`)).json();

test('a job streams, by one stream for both of its components', async () => {
  await page.goto(example.server.origin);
  const { id, item } = await send('hello');
  await item.getByText('completed').waitFor();
  const job = await atServer(id);
  expect(await item.locator('.text').innerText()).toBe(job.text);
  expect(job.text).toBe('You said: hello — and that is all there is to say.');
  expect(await item.locator('details').textContent()).toContain(job.reasoning);
  expect(streams).toBe(1);
});

test('a reload in the middle shows the job again, whole', async () => {
  await page.goto(example.server.origin);
  const { id, item } = await send('reload me');
  await page.reload();
  await item.getByText('completed').waitFor();
  expect(await item.locator('.text').innerText()).toBe((await atServer(id)).text);
  expect(await page.locator('li').count()).toBe(1);
});

test('cancel ends the job', async () => {
  await page.goto(example.server.origin);
  const { id, item } = await send(long);
  await item.getByRole('button', { name: 'Cancel' }).click();
  await item.getByText('cancelled').waitFor();
  expect(await atServer(id)).toMatchObject({ status: 'cancelled', reason: 'client_request' });
});

const ended = async (id) =>
  until(async () => {
    const job = await atServer(id);
    return job.status === 'completed' && job;
  }, 'the end of the job');

describe('a page that sleeps', () => {
  const text = "document.querySelector('.text')?.textContent ?? ''";
  const isEnded = "document.querySelector('li strong')?.textContent === 'completed'";

  /** Sends a prompt, and freezes the page once the answer has started. */
  async function sleepAmid(sleeper) {
    await sleeper.type('input', long);
    await sleeper.evaluate("document.querySelector('form').requestSubmit()");
    await sleeper.until(`(${text}).includes('You said:')`, 'the first words');
    await sleeper.freeze();
    return sleeper.evaluate("document.querySelector('li').dataset.job");
  }

  /** Thaws the page; resolves with the answer that it shows. */
  async function shownAfter(sleeper) {
    expect(await sleeper.wake()).toBe(true);
    await sleeper.until(isEnded, 'the end');
    return sleeper.evaluate(text);
  }

  test('has the whole answer once it wakes up', async () => {
    const sleeper = await openSleepingPage(example.browser, example.server.origin);
    const id = await sleepAmid(sleeper);
    const job = await ended(id);
    expect(await sleeper.evaluate(isEnded)).toBe(false);
    expect(await shownAfter(sleeper)).toBe(job.text);
    await sleeper.close();
  });

  test('continues at its position after its connection broke', async () => {
    const { port } = new URL(example.server.origin);
    const proxy = await cuttingProxy(Number(port), { eventsPerConnection: Infinity });
    const sleeper = await openSleepingPage(example.browser, `http://127.0.0.1:${proxy.port}`);
    const id = await sleepAmid(sleeper);
    proxy.cut();
    const job = await ended(id);
    expect(await shownAfter(sleeper)).toBe(job.text);
    await sleeper.close();
    await proxy.close();
  });
});

test('an edit of a component while a job runs keeps its state, its stream and its job', async () => {
  const file = join(example.app, 'src/jobs.jsx');
  const code = readFileSync(file, 'utf8');
  const vite = ['node_modules/vite/bin/vite.js', '--host', '127.0.0.1', '--port', '0'];
  const dev = await startIn(example.app, vite, {
    NODE_ENV: 'development',
    SLUICE_URL: example.server.origin,
  });
  try {
    let posts = 0;
    page.on('request', (request) => (posts += request.method() === 'POST' ? 1 : 0));
    await page.goto(dev.origin);
    const { id, item } = await send(long);
    await page.evaluate(() => (window.isSamePage = true));
    writeFileSync(file, code.replace('<h1>Jobs</h1>', '<h1>Edited</h1>'));
    await page.getByRole('heading', { name: 'Edited' }).waitFor();
    await item.getByText('completed').waitFor();
    expect(await item.locator('.text').innerText()).toBe((await atServer(id)).text);
    expect(await page.evaluate(() => window.isSamePage)).toBe(true);
    expect([streams, posts]).toEqual([1, 1]);
  } finally {
    writeFileSync(file, code);
    await dev.stop();
  }
});

test('the README’s component shows an answer and cancels one', async () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const [, code] = /```jsx\n(.*?)```/s.exec(readme);
  writeFileSync(join(example.app, 'src/ask.jsx'), code);
  writeFileSync(join(example.app, 'src/jobs.jsx'), "export { Ask as Jobs } from './ask.jsx';\n");
  await runIn(example.app, BUILD);
  await example.server.stop();
  // The server lists the files of the page at its start.
  example.server = await startIn(example.app, SERVER);
  await page.goto(example.server.origin);
  await page.getByRole('button', { name: 'Ask' }).click();
  await page.getByText('You said: Hello — and that is all there is to say.').waitFor();
  await page.getByRole('button', { name: 'Ask' }).click();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.waitForFunction(() => document.querySelectorAll('button')[1].disabled);
  expect(await page.locator('p').innerText()).not.toContain('to say.');
}, 180_000);
