/** The README's example, extracted and run as it is printed. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { launchChromium } from '../../browser/chromium.js';
import { killAll, serve } from '../../support/crash/cli.js';
import { startMockUpstream, streamTokens } from '../../support/upstream/mock-upstream.js';
import { exampleAnswer, exampleCode, startExample } from '../../support/package/readme-example.js';

// Inside the package, so that `sluice` resolves to it.
const folder = fileURLToPath(new URL('../../support/package/.cache/', import.meta.url));
const file = `${folder}readme-${process.pid}.mjs`;
let example;
let upstream;

afterEach(async () => {
  killAll();
  await upstream?.close();
  await example?.stop();
  rmSync(file, { force: true });
});

test('the Express example streams a job to a browser', async () => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, exampleCode);
  example = await startExample(file);

  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.goto(example.url);
    await page.waitForFunction(
      (answer) => document.querySelector('pre').textContent === answer,
      exampleAnswer,
    );
  } finally {
    await browser.close();
  }
}, 60_000);

test('the command for a model of one’s own serves it', async () => {
  const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
  const [, command] = /```sh\nnpx sluice serve (--upstream .*)\n```/.exec(readme);
  upstream = await startMockUpstream(streamTokens({ tokens: ['Hello', ' there'] }));
  const args = command.split(' ').map((arg) => {
    return arg === 'http://127.0.0.1:11434' ? upstream.url : arg;
  });
  expect(args).toContain(upstream.url);
  const server = await serve(...args);
  const { body } = await server.submit({ prompt: 'Hi' });
  const stream = await server.read(body.stream_url);
  expect(stream.text).toBe('Hello there');
  expect(upstream.exchanges[0].body.model).toBe('llama3.2');
}, 60_000);
