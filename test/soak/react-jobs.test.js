/** examples/react-jobs, built and driven in Chromium, also with the README's component in its place. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launchChromium } from '../browser/chromium.js';
import { installExample, runIn, startIn } from '../support/package/example-app.js';
import { root, scratchFolder } from '../support/package/packed.js';

const folder = scratchFolder();
let app;
let server;
let browser;
let page;
let faults;
let streams;

const build = () => runIn(app, ['node_modules/vite/bin/vite.js', 'build']);

beforeAll(async () => {
  app = await installExample('react-jobs', folder);
  await build();
  server = await startIn(app, ['server.js']);
  browser = await launchChromium();
}, 900_000);

afterAll(async () => {
  await browser?.close();
  await server?.stop();
  rmSync(folder, { recursive: true });
});

beforeEach(async () => {
  const context = await browser.newContext();
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

const atServer = async (id) => (await fetch(`${server.origin}/v1/jobs/${id}`)).json();

test('a job streams, by one stream for both of its components', async () => {
  await page.goto(server.origin);
  const { id, item } = await send('hello');
  await item.getByText('completed').waitFor();
  const job = await atServer(id);
  expect(await item.locator('.text').innerText()).toBe(job.text);
  expect(job.text).toBe('You said: hello — and that is all there is to say.');
  expect(await item.locator('details').textContent()).toContain(job.reasoning);
  expect(streams).toBe(1);
});

test('a reload in the middle shows the job again, whole', async () => {
  await page.goto(server.origin);
  const { id, item } = await send('reload me');
  await page.reload();
  await item.getByText('completed').waitFor();
  expect(await item.locator('.text').innerText()).toBe((await atServer(id)).text);
  expect(await page.locator('li').count()).toBe(1);
});

test('cancel ends the job', async () => {
  await page.goto(server.origin);
  const { id, item } = await send('cancel me');
  await item.getByRole('button', { name: 'Cancel' }).click();
  await item.getByText('cancelled').waitFor();
  expect(await atServer(id)).toMatchObject({ status: 'cancelled', reason: 'client_request' });
});

test('the README’s component shows an answer and cancels one', async () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const [, code] = /```jsx\n(.*?)```/s.exec(readme);
  writeFileSync(join(app, 'src/ask.jsx'), code);
  writeFileSync(join(app, 'src/jobs.jsx'), "export { Ask as Jobs } from './ask.jsx';\n");
  await build();
  await server.stop();
  // The server lists the files of the page at its start.
  server = await startIn(app, ['server.js']);
  await page.goto(server.origin);
  await page.getByRole('button', { name: 'Ask' }).click();
  await page.getByText('You said: Hello — and that is all there is to say.').waitFor();
  await page.getByRole('button', { name: 'Ask' }).click();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.waitForFunction(() => document.querySelectorAll('button')[1].disabled);
  expect(await page.locator('p').innerText()).not.toContain('to say.');
}, 180_000);
