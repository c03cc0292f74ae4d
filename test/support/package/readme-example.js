/** The README's example: its code as printed, and a process that runs it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../free-port.js';

const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
const section = readme.slice(readme.indexOf('## Use it in an Express app'));

export const [, exampleCode] = /```js\n(.*?)```/s.exec(section);
export const exampleAnswer = 'You said: hello, world';

/** The first answer of a starting server. */
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

/**
 * Runs a file with an example, which answers `/` with 200. If another process takes the port
 * meanwhile, runs it again with another port.
 * @param {string} path
 * @returns {Promise<{url: string, stop: () => Promise<void>}>}
 */
export async function startExample(path) {
  for (let triesLeft = 3; ; triesLeft -= 1) {
    const port = await freePort();
    const child = spawn(process.execPath, [path], {
      env: { ...process.env, PORT: String(port) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const exit = once(child, 'exit');
    const stop = async () => {
      child.kill('SIGKILL');
      await exit;
    };
    const url = `http://127.0.0.1:${port}/`;
    try {
      const { status } = await firstAnswer(url, child);
      if (status !== 200) throw new Error(`the example answers ${status}`);
      return { url, stop };
    } catch (error) {
      const taken = child.exitCode !== null;
      await stop();
      if (!taken || triesLeft === 1) throw error;
    }
  }
}
