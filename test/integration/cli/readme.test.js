/** The README's example, extracted and run as it is printed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { launchChromium } from '../../browser/chromium.js';

const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
// Inside the package, so that `sluice` resolves to it.
const folder = fileURLToPath(new URL('../../support/providers/.cache/', import.meta.url));
const file = `${folder}readme-${process.pid}.mjs`;

/** A port that was free a moment ago. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** The first answer of a server that is starting. */
async function firstAnswer(url, server) {
  for (;;) {
    if (server.exitCode !== null) throw new Error(`the example ended with ${server.exitCode}`);
    try {
      return await fetch(url);
    } catch {
      await sleep(50);
    }
  }
}

let child;

/** Runs the example: its address. Somebody may have taken the port meanwhile: then with another. */
async function running(path) {
  for (let triesLeft = 3; ; triesLeft -= 1) {
    const port = await freePort();
    child = spawn(process.execPath, [path], {
      env: { ...process.env, PORT: String(port) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const url = `http://127.0.0.1:${port}/`;
    try {
      expect((await firstAnswer(url, child)).status).toBe(200);
      return url;
    } catch (error) {
      if (child.exitCode === null || triesLeft === 1) throw error;
    }
  }
}

afterEach(async () => {
  if (child?.exitCode === null) {
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  }
  rmSync(file, { force: true });
});

test('the Express example streams a job to a browser', async () => {
  const section = readme.slice(readme.indexOf('## Use it in an Express app'));
  const [, code] = /```js\n(.*?)```/s.exec(section);
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, code);
  const url = await running(file);

  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.goto(url);
    await page.waitForFunction(
      () => document.querySelector('pre').textContent === 'You said: hello, world',
    );
  } finally {
    await browser.close();
  }
}, 60_000);
