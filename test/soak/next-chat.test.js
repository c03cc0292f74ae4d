/** examples/next-chat, built and driven in Chromium. */
import { useExample } from '../support/package/example-app.js';

const NEXT = 'node_modules/next/dist/bin/next';
const example = useExample('next-chat', {
  build: [NEXT, 'build'],
  serve: [NEXT, 'start', '--port', '0', '--hostname', '127.0.0.1'],
});
let page;
let faults;

beforeEach(async () => {
  const context = await example.browser.newContext();
  page = await context.newPage();
  faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  await page.goto(example.server.origin);
  await page.getByLabel('Message').waitFor();
});

afterEach(async () => {
  expect(faults).toEqual([]);
  await page.context().close();
});

const answers = () => page.locator('li[data-role=assistant]');
const users = () => page.locator('li[data-role=user]');
const status = (name) => page.locator(`main[data-status=${name}]`).waitFor();

async function say(text) {
  await page.getByLabel('Message').fill(text);
  await page.keyboard.press('Enter');
}

/** The whole answer to `text`; its number is in it. */
const whole = (text) =>
  new RegExp(`^You said: ${text} — this is answer (\\d+), of a clerk who is in no hurry\\.$`);

async function wholeAnswer(text) {
  await answers().last().getByText('in no hurry.').waitFor();
  await status('ready');
  const reply = await answers().last().innerText();
  expect(reply).toMatch(whole(text));
  return Number(whole(text).exec(reply)[1]);
}

test('a message is answered', async () => {
  await say('hello');
  await wholeAnswer('hello');
  await say('again');
  await wholeAnswer('again');
  expect(await users().allInnerTexts()).toEqual(['hello', 'again']);
  expect(await answers().count()).toBe(2);
});

test('a reload in the middle resumes the answer, without a second one', async () => {
  await say('reload me');
  await answers().getByText('You said: reload me').waitFor();
  await page.reload();
  const number = await wholeAnswer('reload me');
  expect(await users().allInnerTexts()).toEqual(['reload me']);
  expect(await answers().count()).toBe(1);
  await say('next');
  expect(await wholeAnswer('next')).toBe(number + 1);
  // No job runs: the stored chat is shown.
  await page.reload();
  await answers().nth(1).waitFor();
  expect(await answers().count()).toBe(2);
});

test('stop ends the job at the gateway; a reload resumes nothing', async () => {
  await say('stop me');
  await answers().getByText('You said: stop me').waitFor();
  const stopped = page.waitForResponse((response) => response.url().endsWith('/stop'));
  await page.getByRole('button', { name: 'Stop' }).click();
  expect((await stopped).status()).toBe(200);
  const { data } = await (await fetch(`${example.server.origin}/v1/jobs?limit=1`)).json();
  expect(data).toMatchObject([{ status: 'cancelled', reason: 'client_request' }]);
  await status('ready');
  const text = await answers().innerText();
  expect(text).not.toContain('in no hurry.');
  const id = new URL(page.url()).searchParams.get('id');
  const idle = await fetch(`${example.server.origin}/v1/ui/chat/${id}/stream`);
  expect(idle.status).toBe(204);
  await page.reload();
  await answers().waitFor();
  expect(await answers().innerText()).toBe(text);
  await say('go on');
  await wholeAnswer('go on');
});

test('a tool runs in the page, and its result is answered', async () => {
  await say('What time is it?');
  await answers().getByText('The tool says').waitFor();
  await answers().getByText('in no hurry.').waitFor();
  await status('ready');
  const call = await answers().locator('pre').innerText();
  const [, time] = /^get_time\(\{"zone":"UTC"\}\) = "(\d\d:\d\d)"$/.exec(call) ?? [];
  expect(await answers().locator('p').innerText()).toContain(time);
  expect(await answers().locator('details').count()).toBe(1);
  expect(await answers().count()).toBe(1);
});

test('a reload after the call of a tool resumes the answer to its result', async () => {
  await say('What time is it?');
  await answers().getByText('The tool says').waitFor();
  await page.reload();
  await answers().getByText('in no hurry.').waitFor();
  await status('ready');
  await answers().locator('pre').waitFor();
  expect(await answers().locator('pre').count()).toBe(1);
  expect(await answers().locator('p').count()).toBe(1);
  expect(await answers().count()).toBe(1);
});

test('regenerate replaces the answer', async () => {
  await say('twice');
  const first = await wholeAnswer('twice');
  await page.getByRole('button', { name: 'Regenerate' }).click();
  await page.getByText(`this is answer ${first + 1},`).waitFor();
  expect(await wholeAnswer('twice')).toBe(first + 1);
  expect(await answers().count()).toBe(1);
  expect(await users().count()).toBe(1);
});
