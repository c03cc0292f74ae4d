/** The command line as a user runs it: a process, its output, its exit code. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { client } from '../gateway/gateway.js';
import { until } from '../until.js';

export const main = fileURLToPath(new URL('../../../lib/cli/main.js', import.meta.url));
const running = new Set();
let folder;

/** Environment variables of the commands, in addition to those of this process. `killAll` removes them. */
export const environment = {};

/** Runs a command; `exited` resolves with `{code, stdout, stderr}`. */
export const sluice = (...args) => sluiceWith({}, ...args);

/** The same, with further environment variables. */
export function sluiceWith(variables, ...args) {
  const env = { ...process.env, ...environment, ...variables };
  const child = spawn(process.execPath, [main, ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] });
  running.add(child);
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => {
      output[name] += text;
    });
  }
  const exited = once(child, 'close').then(([code]) => {
    running.delete(child);
    return { code, ...output };
  });
  return { child, output, exited };
}

/** Starts `sluice serve`; resolves once it listens. */
export async function serve(...args) {
  const { child, output, exited } = sluice('serve', '--port', '0', ...args);
  await Promise.race([
    until(() => output.stdout.endsWith('\n'), 'the server to listen'),
    exited.then(({ code, stderr }) => {
      throw new Error(`exit ${code}: ${stderr}`);
    }),
  ]);
  const [, url] = output.stdout.match(/^listening on (http:\/\/[\d.]+:\d+)\n$/);
  return { child, exited, output, url, ...client(url) };
}

/** Writes a new file into the folder of the test file; resolves with its path. */
export async function file(name, content) {
  folder ??= await mkdtemp(join(tmpdir(), 'sluice-cli-'));
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

/** Kills all running processes. To be called in afterEach. */
export function killAll() {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
  for (const name of Object.keys(environment)) delete environment[name];
}

/** To be called in afterAll. */
export async function removeFiles() {
  if (folder !== undefined) await rm(folder, { recursive: true });
  folder = undefined;
}
