/** An app of examples/, installed with the packed package outside the repository. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { useChromium } from '../../browser/chromium.js';
import { install, pack, root, scratchFolder } from './packed.js';

const execute = promisify(execFile);
const env = { ...process.env, NEXT_TELEMETRY_DISABLED: '1', NODE_ENV: 'production' };

/**
 * @param {string} name
 * @param {string} folder to install it in, empty
 * @returns {Promise<string>} the path of the app
 */
export async function installExample(name, folder) {
  const source = join(root, 'examples', name);
  const { dependencies, devDependencies } = JSON.parse(
    readFileSync(join(source, 'package.json'), 'utf8'),
  );
  const packages = Object.entries({ ...dependencies, ...devDependencies }).map(
    ([dependency, range]) => `${dependency}@${range}`,
  );
  const app = await install(folder, [await pack(folder), ...packages]);
  cpSync(source, app, { recursive: true, filter: (path) => !path.endsWith('package.json') });
  return app;
}

/** Runs a command of a package to its end. @param {string} app @param {string[]} args */
export async function runIn(app, [file, ...args]) {
  const path = join(app, file);
  await execute(process.execPath, [path, ...args], { cwd: app, env, maxBuffer: 1e8 });
}

/**
 * Starts a server that prints its address.
 * @param {string} app
 * @param {string[]} args the file to run, and its arguments
 * @param {NodeJS.ProcessEnv} [more] variables of its environment
 * @returns {Promise<{origin: string, stop: () => Promise<void>}>}
 */
export async function startIn(app, [file, ...args], more = {}) {
  const server = spawn(process.execPath, [join(app, file), ...args], {
    cwd: app,
    env: { ...env, PORT: '0', ...more },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(server, 'exit');
  const origin = await new Promise((resolve, reject) => {
    let text = '';
    server.once('exit', (code) => reject(new Error(`${file} ended with ${code}: ${text}`)));
    server.stdout.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
      const [found] = /http:\/\/127\.0\.0\.1:\d+/.exec(text) ?? [];
      if (found !== undefined) resolve(found);
    });
  });
  return {
    origin,
    stop: async () => {
      if (server.exitCode !== null) return;
      server.kill();
      await exit;
    },
  };
}

/**
 * The example of a test file, installed, built and served before its tests, with a Chromium.
 * @param {string} name
 * @param {{build: string[], serve: string[]}} commands each the file to run, and its arguments
 * @returns {{app: string, server: Awaited<ReturnType<typeof startIn>>, browser:
 *   import('playwright-core').Browser}} set once the tests run
 */
export function useExample(name, { build, serve }) {
  const folder = scratchFolder();
  const example = /** @type {ReturnType<typeof useExample>} */ (useChromium());
  beforeAll(async () => {
    example.app = await installExample(name, folder);
    await runIn(example.app, build);
    example.server = await startIn(example.app, serve);
  }, 900_000);
  afterAll(async () => {
    await example.server?.stop();
    rmSync(folder, { recursive: true });
  });
  return example;
}
