/** The package as users install it: the tarball, in an empty folder, without a compiler. */
import { execFile } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { which } from '../../../scripts/lib/run.mjs';

export const root = fileURLToPath(new URL('../../../', import.meta.url));
const execute = promisify(execFile);
const npm = process.env.npm_execpath ?? realpathSync(which('npm'));

/**
 * Runs npm without network noise. It rejects with npm's output when npm fails.
 * @param {string[]} args
 * @param {{cwd: string, env?: NodeJS.ProcessEnv}} options
 */
async function runNpm(args, { cwd, env = process.env }) {
  const quiet = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
  const options = { cwd, env, maxBuffer: 1e8 };
  try {
    await execute(process.execPath, [npm, ...args, ...quiet], options);
  } catch (error) {
    throw new Error(`${error.message}\n${error.stdout}`, { cause: error });
  }
}

/** A lock on building files of the package in the tree: two test files must not build at once. */
const lock = join(root, 'node_modules/.cache/sluice-packing');

/**
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function packingAlone(work) {
  mkdirSync(dirname(lock), { recursive: true });
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch {
      // A killed process has left the lock.
      if (!isAlive(lock)) rmSync(lock, { force: true });
      await sleep(200);
    }
  }
  try {
    return await work();
  } finally {
    rmSync(lock);
  }
}

/** @param {string} path of a file with a process id */
function isAlive(path) {
  try {
    process.kill(Number(readFileSync(path, 'utf8')), 0);
    return true;
  } catch {
    return false;
  }
}

/** Packs the working tree. @param {string} folder @returns {Promise<string>} the tarball's path */
export async function pack(folder) {
  await packingAlone(() => runNpm(['pack', '--pack-destination', folder], { cwd: root }));
  return join(
    folder,
    readdirSync(folder).find((name) => name.endsWith('.tgz')),
  );
}

/** A folder outside the repository, so that no import resolves to its packages. */
export const scratchFolder = () => mkdtempSync(join(tmpdir(), 'sluice-packed-'));

/**
 * Installs packages into a new project, with a PATH of node and a shell alone.
 * @param {string} folder
 * @param {string[]} packages
 */
export async function install(folder, packages) {
  const [bin, app] = [join(folder, 'bin'), join(folder, 'app')];
  mkdirSync(bin);
  mkdirSync(app);
  symlinkSync(process.execPath, join(bin, 'node'));
  symlinkSync('/bin/sh', join(bin, 'sh'));
  writeFileSync(join(app, 'package.json'), '{"private": true, "type": "module"}\n');
  const env = { ...process.env, PATH: bin };
  await runNpm(['install', '--ignore-scripts', ...packages], { cwd: app, env });
  return app;
}

/**
 * Installs other versions of Node, from the npm packages of its binaries.
 * @param {string} folder
 * @param {string[]} versions for example `22`
 * @param {string} [arch] default: this machine's
 * @returns {Promise<Map<string, string>>} the path of each version's binary
 */
export async function installNodes(folder, versions, arch = process.arch) {
  const carrier = `node-${process.platform}-${arch}`;
  writeFileSync(join(folder, 'package.json'), '{"private": true}\n');
  const aliases = versions.map((version) => `node-${version}@npm:${carrier}@${version}`);
  // Without this npm refuses binaries of another platform.
  const foreign = arch === process.arch ? [] : ['--force'];
  await runNpm(['install', '--ignore-scripts', ...foreign, ...aliases], { cwd: folder });
  return new Map(
    versions.map((version) => [version, join(folder, `node_modules/node-${version}/bin/node`)]),
  );
}

export const demoText = 'a demo of three words';

/**
 * Loads the package with require() and import, and runs a job of the demo model with a data file.
 * Prints Node's version, the job's text and its last event.
 */
const smokeCode = `
  const { createGateway, providers } = require('sluice');
  (async () => {
    const imported = await import('sluice');
    if (imported.createGateway !== createGateway) throw new Error('loaded twice');
    const gateway = createGateway({
      provider: providers.demo({ text: '${demoText}', tokenIntervalMs: 0 }),
      data: process.argv[2], logger: false });
    const { id } = await gateway.submit({ prompt: 'Hello' });
    let text = '';
    let last;
    for await (const { type, data } of gateway.stream(id)) {
      last = type;
      if (type === 'token') text += data.token;
    }
    await gateway.close();
    console.log(JSON.stringify({ version: process.versions.node, last, text }));
  })();
`;

/**
 * @param {string} app where the package is installed
 * @param {string} node the binary to run it with
 * @returns {Promise<{version: string, last: string, text: string}>} of a job of the demo model
 */
export async function smoke(app, node) {
  const data = join(mkdtempSync(join(app, 'data-')), 'sluice.db');
  const file = join(app, 'smoke.cjs');
  writeFileSync(file, smokeCode);
  const { stdout } = await execute(node, [file, data], { cwd: app });
  return JSON.parse(stdout);
}
