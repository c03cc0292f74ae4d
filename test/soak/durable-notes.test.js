/** examples/durable-notes, built and driven in Chromium: two pages, a reload, and a restart of the server. */
import { startIn, useExample } from '../support/package/example-app.js';

const SERVER = ['server.js'];
const example = useExample('durable-notes', {
  build: ['node_modules/vite/bin/vite.js', 'build'],
  serve: SERVER,
});

async function open() {
  const page = await (await example.browser.newContext()).newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  await page.goto(example.server.origin);
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

  const { port } = new URL(example.server.origin);
  await example.server.stop();
  example.server = await startIn(example.app, SERVER, { PORT: port });
  await one.add('after the restart');
  expected.push('after the restart');
  for (const { notes } of [one, two]) expect(await notes(4)).toEqual(expected);
  const { origin } = example.server;
  const stored = await (await fetch(`${origin}/v1/durable/notes`)).json();
  expect(stored.map(({ text }) => text)).toEqual(expected);
  expect([...one.faults, ...two.faults]).toEqual([]);
}, 300_000);
