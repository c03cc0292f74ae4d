/**
 * The tarball as users get it: packed from this tree, installed without scripts in an empty folder
 * without a compiler, type-checked from a strict program, and run on every supported Node.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
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

const programs = ['program.ts', 'no-any.ts'];

test('a strict TypeScript program compiles against it, without @types/express', async () => {
  expect(existsSync(join(app, 'node_modules/@types/express'))).toBe(false);
  for (const file of programs) {
    const source = fileURLToPath(new URL(`../../support/package/${file}`, import.meta.url));
    copyFileSync(source, join(app, file));
  }
  const compilerOptions = {
    strict: true,
    noEmit: true,
    target: 'es2022',
    module: 'nodenext',
    moduleResolution: 'nodenext',
    skipLibCheck: false,
    types: ['node'],
  };
  writeFileSync(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: programs }));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { stdout } = await execute(process.execPath, [tsc, '-p', app], { cwd: app }).catch(
    (error) => error,
  );
  expect(stdout).toBe('');
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

/** Packages carry Node's binaries for Linux, among others. */
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
