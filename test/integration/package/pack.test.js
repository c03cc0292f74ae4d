/**
 * The tarball as users install it: packed from this tree, installed without scripts in an empty folder
 * without a compiler, type-checked from a strict program, and run on every supported Node.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import {
  demoText,
  install,
  installNodes,
  pack,
  root,
  scratchFolder,
  smoke,
} from '../../support/package/packed.js';
import { compilePrograms } from '../../../scripts/lib/strict-programs.mjs';
import { exampleAnswer, exampleCode, startExample } from '../../support/package/readme-example.js';

const execute = promisify(execFile);
const folder = scratchFolder();
let app;

beforeAll(async () => {
  const tarball = await pack(folder);
  app = await install(folder, [tarball, 'express', '@types/node@20', 'esbuild']);
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true }));

const left = () => ['prebuilds', 'types'].filter((name) => existsSync(join(root, name)));

test('packing leaves nothing behind in the tree', () => {
  expect(left()).toEqual([]);
});

test('a prepack that fails leaves nothing behind in the tree', async () => {
  const bin = join(folder, 'failing');
  mkdirSync(bin);
  writeFileSync(join(bin, 'strip'), '#!/bin/sh\nexit 3\n', { mode: 0o755 });
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` };
  const packing = execute(process.execPath, [join(root, 'scripts/package.mjs')], { env });
  await expect(packing).rejects.toMatchObject({ code: 3 });
  expect(left()).toEqual([]);
}, 120_000);

/**
 * The examples of docs/typescript.md as one program: imports on top, each example in a function of its
 * own, after the names that they share.
 */
function documentedProgram() {
  const page = readFileSync(join(root, 'docs/typescript.md'), 'utf8');
  const blocks = [...page.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code]) => code);
  expect(blocks.length).toBeGreaterThanOrEqual(3);
  const isImport = (line) => line.startsWith('import ');
  const lines = (code, wanted) => code.split('\n').filter((line) => isImport(line) === wanted);
  return [
    ...new Set(blocks.flatMap((code) => lines(code, true))),
    "import type { Gateway } from 'sluice';",
    'declare const gateway: Gateway;',
    'declare const job: { id: string };',
    ...blocks.map(
      (code, i) => `export async function example${i}() {\n${lines(code, false).join('\n')}}`,
    ),
  ].join('\n');
}

test('strict TypeScript programs compile against it, without @types/express and without the DOM', async () => {
  expect(existsSync(join(app, 'node_modules/@types/express'))).toBe(false);
  writeFileSync(join(app, 'documented.ts'), documentedProgram());
  expect(await compilePrograms(app, ['documented.ts'])).toBe('');
}, 60_000);

async function runsExample(file) {
  const example = await startExample(file);
  try {
    const submitted = await fetch(new URL('v1/jobs', example.url), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: 'hello, world' }),
    });
    const { stream_url: path } = await submitted.json();
    const stream = await (await fetch(new URL(path, example.url))).text();
    const tokens = [...stream.matchAll(/^event: token\ndata: (.*)$/gm)];
    expect(tokens.map(([, data]) => JSON.parse(data).token).join('')).toBe(exampleAnswer);
    expect(stream).toContain('event: job_complete\n');
  } finally {
    await example.stop();
  }
}

test('the README’s example runs from it', async () => {
  const file = join(app, 'example.mjs');
  writeFileSync(file, exampleCode);
  await runsExample(file);
}, 60_000);

test('a bundle of the README’s example runs with it, marked external', async () => {
  const file = join(app, 'to-bundle.mjs');
  const bundle = join(app, 'bundle.cjs');
  writeFileSync(file, exampleCode);
  const flags = ['--bundle', '--platform=node', '--external:sluice', `--outfile=${bundle}`];
  const esbuild = join(app, 'node_modules/esbuild/bin/esbuild');
  await execute(process.execPath, [esbuild, file, ...flags, '--log-level=error'], { cwd: app });
  await runsExample(bundle);
}, 60_000);

test('the command runs from it', async () => {
  const { stdout } = await execute(process.execPath, [
    join(app, 'node_modules/.bin/sluice'),
    '--version',
  ]);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  expect(stdout).toBe(`${version}\n`);
});

test('without a binary sluice build names its needs and their packages', async () => {
  const sluice = join(app, 'node_modules/.bin/sluice');
  const env = { ...process.env, PATH: join(folder, 'bin') };
  // As on a platform without a prebuild: the command must not load the addon.
  env.SLUICE_ADDON_PATH = join(folder, 'none.node');
  delete env.CXX;
  const failed = await execute(process.execPath, [sluice, 'build'], { env }).catch(
    (error) => error,
  );
  expect(failed.code).toBe(1);
  expect(failed.stderr).toContain('the packages cmake-js, node-addon-api');
  expect(failed.stderr).toContain('npm install --no-save cmake-js node-addon-api');
  expect(failed.stderr).toMatch(/this machine lacks a C\+\+20 compiler, CMake, Make or Ninja/);
});

/** npm packages contain Node's binaries for Linux, among others. */
const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux(
  'Node 22 and 24 load it and run a job',
  async () => {
    const nodes = join(folder, 'nodes');
    mkdirSync(nodes);
    for (const [version, node] of await installNodes(nodes, ['22', '24'])) {
      const result = await smoke(app, node);
      expect(result).toEqual({
        version: expect.stringMatching(new RegExp(`^${version}\\.`)),
        last: 'job_complete',
        text: demoText,
      });
    }
  },
  300_000,
);
