/** The demo page's conversations in Chromium, against a real gateway. */

import { createGateway, providers } from '../../lib/index.js';
import { axeFaults, driver, openPage, someLooks, takePicture, useChromium } from './chromium.js';

const chromium = useChromium();
let gateway;
let server;
let visit;
let page;
let drive;

/** Continues the waiting answer to its end. */
let open = () => {};

let fails = true;
/** The whole answer; empty: that of `counting`. */
let text = '';

/** Answers with the number of messages, and the second line once `open` is called. */
async function* counting({ messages = [] }, { signal }) {
  const { content } = messages.at(-1) ?? {};
  if (text !== '') {
    yield* text.split(/(?= )/);
    return;
  }
  for (const word of `You said “${content}”, and that is message ${messages.length}.`.split(
    /(?= )/,
  )) {
    yield word;
  }
  if (content?.startsWith('Wait')) {
    await new Promise((resolve) => {
      open = () => resolve(undefined);
      signal.addEventListener('abort', open);
    });
  }
  if (content?.startsWith('Fail') && fails) throw new Error('It was told to fail.');
  yield '\nThat is all.';
}

/** @param {import('playwright-core').BrowserContextOptions} [options] */
async function start(options) {
  visit = await openPage(chromium.browser, server.url, options);
  page = visit.page;
  drive = driver(page);
}

beforeEach(async () => {
  fails = true;
  text = '';
  gateway = createGateway({ provider: counting, logger: false, exposeErrors: true });
  server = await gateway.listen({ port: 0 });
  await start();
});

afterEach(async () => {
  expect(visit.faults).toEqual([]);
  await visit.close();
  await gateway.close({ drainMs: 0 });
});

/** @param {string} prompt */
async function say(prompt, on = page) {
  await on.getByLabel('Prompt').fill(prompt);
  await on.keyboard.press('Enter');
}

/** The text of each message, once there are `count` and none is running. */
async function messageTexts(count, on = page) {
  await on.waitForFunction(
    (wanted) =>
      document.querySelectorAll('[data-testid=message]').length === wanted &&
      !document.querySelector('[data-testid=message][data-state=running]') &&
      document.querySelectorAll('[data-testid=fork-here]:not([hidden])').length === wanted / 2,
    count,
  );
  return on.getByTestId('said').evaluateAll((all) => all.map((each) => each.innerText));
}

const answer = (prompt, n) => `You said “${prompt}”, and that is message ${n}.\nThat is all.`;
const idOf = (on = page) => new URL(on.url()).hash.slice(1);
const atServer = async (id) => (await fetch(`${server.url}/v1/conversations/${id}`)).json();
const places = (on = page) => on.getByTestId('place').allInnerTexts();

test('a conversation is created by its first turn, and continues with the next', async () => {
  await page.getByTestId('new-conversation').click();
  await page.getByTestId('chat-empty').waitFor();
  expect(await page.getByText('4 times').isVisible()).toBe(false);
  await say('Hello');
  expect(await messageTexts(2)).toEqual(['Hello', answer('Hello', 1)]);
  expect(await page.getByTestId('chat-title').innerText()).toBe('Hello');
  await say('And again');
  const all = ['Hello', answer('Hello', 1), 'And again', answer('And again', 3)];
  expect(await messageTexts(4)).toEqual(all);
  expect(await places()).toEqual(['Hello']);
  const { messages } = await atServer(idOf());
  expect(messages.map(({ content }) => content)).toEqual(all);
  // The jobs are still listed, and the conversation is found again.
  await page.getByTestId('place-jobs').click();
  await page.getByTestId('empty').waitFor();
  await drive.send('A job');
  await drive.waitForCards('[data-state=completed]');
  await page.goBack();
  expect(await messageTexts(4)).toEqual(all);
});

test('tokens stream into the answer; a reload in the middle resumes', async () => {
  await page.getByTestId('new-conversation').click();
  await say('Wait for me');
  const running = page.locator('[data-testid=message][data-state=running]');
  await running.getByText('and that is message 1.').waitFor();
  await page.getByTestId('connection').getByText('1 stream on 1 connection').waitFor();
  const busy = await atServer(idOf());
  expect(busy).toMatchObject({ message_count: 0, busy_messages: [{ content: 'Wait for me' }] });
  await page.reload();
  await running.getByText('and that is message 1.').waitFor();
  expect(await page.getByTestId('said').first().innerText()).toBe('Wait for me');
  // Another view and back: the same answer, resumed at its position.
  await page.getByTestId('place-jobs').click();
  await page.getByTestId('empty').waitFor();
  await page.getByTestId('place-chat').click();
  await page.getByTestId('place').first().click();
  await running.getByText('and that is message 1.').waitFor();
  open();
  expect(await messageTexts(2)).toEqual(['Wait for me', answer('Wait for me', 1)]);
});

test('cancel keeps the text so far; a failure adds nothing', async () => {
  await page.getByTestId('new-conversation').click();
  await say('Wait, or not');
  await page.getByText('and that is message 1.').waitFor();
  await page.getByTestId('stop').last().click();
  const cut = 'You said “Wait, or not”, and that is message 1.';
  expect(await messageTexts(2)).toEqual(['Wait, or not', cut]);
  expect(await page.getByTestId('message').last().innerText()).toContain('Cancelled');
  await say('Fail');
  await page.getByText('It was told to fail. This turn was not saved').waitFor();
  expect((await atServer(idOf())).message_count).toBe(2);
  await say('Go on');
  await page.getByText(answer('Go on', 3).split('\n')[0]).waitFor();
  expect(await messageTexts(4)).toEqual(['Wait, or not', cut, 'Go on', answer('Go on', 3)]);
});

test('a fork is independent of its source; a conversation is deleted', async () => {
  await page.getByTestId('new-conversation').click();
  await say('One');
  await messageTexts(2);
  await say('Two');
  await messageTexts(4);
  const id = idOf();
  await page.locator('[data-testid=fork-here]:not([hidden])').first().click();
  await page.getByText('Fork of One').first().waitFor();
  expect(await messageTexts(2)).toEqual(['One', answer('One', 1)]);
  expect(idOf()).not.toBe(id);
  await say('Else');
  expect(await messageTexts(4)).toEqual(['One', answer('One', 1), 'Else', answer('Else', 3)]);
  expect(await places()).toEqual(['Fork of One', 'One']);
  await page.getByTestId('place').last().click();
  expect((await messageTexts(4))[2]).toBe('Two');
  // A deletion can be undone while its notice is shown.
  await page.getByTestId('delete').click();
  await page.getByTestId('chat-empty').waitFor();
  await page.waitForFunction(() => document.querySelectorAll('[data-testid=place]').length === 1);
  await page.getByTestId('undo').click();
  expect((await messageTexts(4))[2]).toBe('Two');
  expect(idOf()).toBe(id);
  expect(await places()).toEqual(['Fork of One', 'One']);
  await page.getByTestId('delete').click();
  await page.getByTestId('chat-empty').waitFor();
  const deleted = page.waitForResponse((response) => response.request().method() === 'DELETE');
  await page.getByTestId('toast-close').click();
  expect((await deleted).status()).toBe(204);
  expect((await fetch(`${server.url}/v1/conversations/${id}`)).status).toBe(404);
  expect(await places()).toEqual(['Fork of One']);
});

test('a deletion takes place although its page was left in the meantime', async () => {
  await say('Hello');
  await messageTexts(2);
  const id = idOf();
  await page.getByTestId('place').hover();
  await page.getByTestId('delete-place').click();
  await page.getByTestId('chat-empty').waitFor();
  await page.reload();
  await page.getByText('No conversations yet.').waitFor();
  expect((await fetch(`${server.url}/v1/conversations/${id}`)).status).toBe(404);
});

test('Enter sends, Shift+Enter breaks the line; a second prompt waits for the end of the answer', async () => {
  const prompt = page.getByLabel('Prompt');
  await prompt.focus();
  await page.keyboard.type('Wait');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('a moment');
  await page.keyboard.press('Enter');
  await page.getByText('and that is message 1.').waitFor();
  expect(await page.getByTestId('said').first().innerText()).toBe('Wait\na moment');
  expect(await prompt.inputValue()).toBe('');
  expect(await page.getByTestId('send').isVisible()).toBe(false);
  await say('And then?');
  await page.getByText('The answer is still streaming.').waitFor();
  expect(await prompt.inputValue()).toBe('And then?');
  open();
  await messageTexts(2);
  expect(await page.getByTestId('problem').isVisible()).toBe(false);
  await prompt.press('Enter');
  expect((await messageTexts(4))[2]).toBe('And then?');
  // An error belongs to the view in which it happened.
  await page.getByTestId('send').click();
  await page.getByText('Write a prompt first.').waitFor();
  await page.getByTestId('new-conversation').click();
  await page.getByText('Write a prompt first.').waitFor({ state: 'hidden' });
});

test('another answer and an edited message replace the earlier ones; undo restores them', async () => {
  await say('One');
  await messageTexts(2);
  await say('Two');
  const before = await messageTexts(4);
  const id = idOf();
  const otherPage = () => page.waitForFunction((old) => location.hash !== `#${old}`, idOf());
  let turned = otherPage();
  await page.getByTestId('again').last().click();
  await turned;
  expect(await messageTexts(4)).toEqual(before);
  expect(await places()).toEqual(['One']);
  // The whole history of the first message is another one.
  turned = otherPage();
  await page.getByTestId('message').first().hover();
  await page.getByTestId('edit').first().click();
  const draft = page.getByRole('textbox', { name: 'Edit the message' });
  expect(await draft.inputValue()).toBe('One');
  await draft.fill('**Three**');
  await page.keyboard.press('Enter');
  await turned;
  const shown = await messageTexts(2);
  expect(shown).toEqual(['**Three**', 'You said “Three”, and that is message 1.\nThat is all.']);
  expect(await places()).toEqual(['Three']);
  await page.getByTestId('undo').first().click();
  expect(await messageTexts(4)).toEqual(before);
  expect(idOf()).toBe(id);
});

test('a failed turn is sent again', async () => {
  await say('Fail');
  await page.getByText('It was told to fail. This turn was not saved').waitFor();
  expect(await page.getByTestId('message').count()).toBe(2);
  fails = false;
  await page.getByTestId('again').last().click();
  expect(await messageTexts(2)).toEqual(['Fail', answer('Fail', 1)]);
});

const MARKDOWN = [
  '# Gates',
  'A **wide** gate, `open()`, and [a page](https://example.com/) or [none](javascript:alert(1)).',
  '| gate | flow |\n| --- | ---: |\n| upper | 840 |',
  '```js\nconst gate = "<b>";\n```',
  '<img src=x onerror="document.title=1"><script>document.title=2</script> stays text',
  '![picture](https://example.com/p.png) see [the list][1]',
  '1. one\n   - two\n\n2. three',
  '[1]: https://example.com/list',
].join('\n\n');

test('Markdown streams into blocks, tables and code; it runs no script and loads no resource', async () => {
  text = MARKDOWN;
  await say('# Show **me** `Markdown`');
  const shown = (await messageTexts(2))[1];
  const message = page.getByTestId('said').last();
  expect(await page.getByTestId('chat-title').innerText()).toBe('Show me Markdown');
  expect(await message.locator('h1').innerText()).toBe('Gates');
  expect(await message.locator('td').allInnerTexts()).toEqual(['upper', '840']);
  expect(await message.locator('td').last().getAttribute('align')).toBe('right');
  expect(await message.locator('pre code').textContent()).toBe('const gate = "<b>";\n');
  expect(await message.locator('ol > li > ul > li').innerText()).toBe('two');
  expect(shown).toContain(
    '<img src=x onerror="document.title=1"><script>document.title=2</script>',
  );
  expect(await message.locator('img, script').count()).toBe(0);
  expect(await page.title()).toBe('Show me Markdown – Sluice');
  const links = await message
    .locator('a')
    .evaluateAll((all) => all.map((each) => each.getAttribute('href')));
  expect(links).toEqual([
    'https://example.com/',
    null,
    'https://example.com/p.png',
    'https://example.com/list',
  ]);
  // The streamed blocks equal those of the whole text.
  const streamed = await message.innerHTML();
  await page.reload();
  await messageTexts(2);
  expect(await page.getByTestId('said').last().innerHTML()).toBe(streamed);
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await page.getByLabel('Copy the code').click();
  await page.getByText('Copied').waitFor();
  expect(await copied()).toBe('const gate = "<b>";\n');
  await page.getByTestId('copy').last().click();
  await page.getByText('Copied.').first().waitFor();
  expect(await copied()).toBe(MARKDOWN);
});

test('with the demo model, one line explains how to connect another', async () => {
  await gateway.close({ drainMs: 0 });
  await visit.close();
  gateway = createGateway({ provider: providers.demo({ tokenIntervalMs: 1 }), logger: false });
  server = await gateway.listen({ port: 0 });
  await start();
  const banner = page.getByTestId('banner');
  await banner.getByText('npx sluice serve --upstream http://127.0.0.1:11434 --model').waitFor();
  await page.getByText('Show me Markdown: a table and some code').click();
  await page.locator('[data-testid=said] table').waitFor();
  await page.locator('[data-testid=said] pre').waitFor();
  await banner.getByLabel('Hide this notice').click();
  await page.reload();
  await page.locator('[data-testid=said] table').waitFor();
  expect(await banner.isVisible()).toBe(false);
});

test('two tabs: the second one shows the turn of the first', async () => {
  await page.getByTestId('new-conversation').click();
  await say('Hello');
  await messageTexts(2);
  const other = await page.context().newPage();
  await other.goto(page.url());
  expect(await messageTexts(2, other)).toHaveLength(2);
  await say('Wait a moment');
  await page.getByText('and that is message 3.').waitFor();
  await say('Me, too', other);
  await other.getByText('A turn of this conversation is under way').waitFor();
  await other.getByText('and that is message 3.').waitFor();
  expect(await other.getByLabel('Prompt').inputValue()).toBe('Me, too');
  open();
  await messageTexts(4, other);
  await other.keyboard.press('Control+Enter');
  expect((await messageTexts(6, other)).slice(4)).toEqual(['Me, too', answer('Me, too', 5)]);
  await other.close();
});

test('an unknown conversation is reported', async () => {
  await page.goto(`${server.url}/#conv_${'A'.repeat(24)}`);
  await page.reload();
  await page.getByText('The server has no such conversation.').waitFor();
});

describe.each(
  someLooks([
    ['chat-wide-light', { viewport: { width: 1360, height: 900 }, colorScheme: 'light' }],
    ['chat-wide-dark', { viewport: { width: 1360, height: 900 }, colorScheme: 'dark' }],
    [
      'chat-phone-light',
      { viewport: { width: 360, height: 780 }, colorScheme: 'light', isMobile: true },
    ],
  ]),
)('%s', (name, options) => {
  test('fits, and has its picture taken', async () => {
    await visit.close();
    await start(/** @type {any} */ (options));
    for (const title of [
      'What is a sluice?',
      'A much longer title that cannot fit in the list',
      'Rain',
    ]) {
      await page.goto(`${server.url}/#new`);
      await page.getByTestId('chat-empty').waitFor();
      await say(title);
      await messageTexts(2);
    }
    await say('Why does water flow downhill, and what becomes of it when it arrives at the sea?');
    await messageTexts(4);
    await say('Wait a moment');
    await page.getByText('and that is message 5.').waitFor();
    await takePicture(page, name);
    expect(await axeFaults(page, { contrastOnly: options.colorScheme === 'dark' })).toEqual([]);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
    open();
    await messageTexts(6);
  });
});
