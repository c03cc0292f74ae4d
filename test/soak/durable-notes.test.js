/** examples/durable-notes, built and driven in Chromium: two pages, a reload, and a restart of the server. */
import { rmSync } from 'node:fs';
import { launchChromium } from '../browser/chromium.js';
import { installExample, runIn, startIn } from '../support/package/example-app.js';
import { scratchFolder } from '../support/package/packed.js';

const folder = scratchFolder();
let app;
let server;
let browser;

beforeAll(async () => {
  app = await installExample('durable-notes', folder);
  await runIn(app, ['node_modules/vite/bin/vite.js', 'build']);
  server = await startIn(app, ['server.js']);
  browser = await launchChromium();
}, 900_000);

afterAll(async () => {
  await browser?.close();
  await server?.stop();
  rmSync(folder, { recursive: true });
});

async function open() {
  const page = await (await browser.newContext()).newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  await page.goto(server.origin);
  await page.getByText(/^\d+ notes$/).waitFor();
  return {
    page,
    faults,
    add: async (text) => {
      await page.getByLabel('Note').fill(text);
      await page.keyboard.press('Enter');
    },
    /** The notes, once there are so many. */
    notes: async (count) => {
      await page.getByText(`${count} notes`, { exact: true }).waitFor();
      return page.locator('li').allTextContents();
    },
  };
}

test('pages share the notes, over a reload and a restart of the server', async () => {
  const [one, two] = [await open(), await open()];
  const expected = ['first', 'zweite \u{1F600}', '<b>third</b>'];
  await one.add(expected[0]);
  await two.notes(1);
  await two.add(expected[1]);
  await one.notes(2);
  await one.add(expected[2]);
  for (const { notes } of [one, two]) expect(await notes(3)).toEqual(expected);

  await two.page.reload();
  expect(await two.notes(3)).toEqual(expected);

  const { port } = new URL(server.origin);
  await server.stop();
  server = await startIn(app, ['server.js'], { PORT: port });
  await one.add('after the restart');
  expected.push('after the restart');
  for (const { notes } of [one, two]) expect(await notes(4)).toEqual(expected);
  const { origin } = server;
  const stored = await (await fetch(`${origin}/v1/durable/notes`)).json();
  expect(stored.map(({ text }) => text)).toEqual(expected);
  expect([...one.faults, ...two.faults]).toEqual([]);
}, 300_000);
