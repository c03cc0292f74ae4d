/** Next.js with the packed package: the files of docs/frameworks/nextjs.md, built and served. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { client } from '../support/gateway/gateway.js';
import { filesOf } from '../support/package/page-files.js';
import { install, pack, scratchFolder } from '../support/package/packed.js';

const execute = promisify(execFile);
const folder = scratchFolder();
const env = { ...process.env, NEXT_TELEMETRY_DISABLED: '1', NODE_ENV: 'production' };
let next;
let server;
let app;

beforeAll(async () => {
  app = await install(folder, [await pack(folder), 'next', 'react', 'react-dom']);
  next = join(app, 'node_modules/next/dist/bin/next');
  for (const [name, code] of filesOf('docs/frameworks/nextjs.md')) {
    mkdirSync(dirname(join(app, name)), { recursive: true });
    writeFileSync(join(app, name), code);
  }
  // The App Router asks for a layout.
  writeFileSync(
    join(app, 'app/layout.js'),
    "import { createElement as h } from 'react';\n" +
      "export default ({ children }) => h('html', null, h('body', null, children));\n",
  );
}, 900_000);

afterAll(async () => {
  if (server?.exitCode === null) {
    const exit = once(server, 'exit');
    server.kill();
    await exit;
  }
  rmSync(folder, { recursive: true });
});

test('builds, ends by itself, and streams a job', async () => {
  await execute(process.execPath, [next, 'build'], { cwd: app, env, maxBuffer: 1e8 });
  server = spawn(process.execPath, [next, 'start', '--port', '0', '--hostname', '127.0.0.1'], {
    cwd: app,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const origin = await new Promise((resolve, reject) => {
    let text = '';
    server.once('exit', (code) => reject(new Error(`next start ended with ${code}: ${text}`)));
    server.stdout.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
      const [found] = /http:\/\/127\.0\.0\.1:\d+/.exec(text) ?? [];
      if (found !== undefined) resolve(found);
    });
  });
  const { submit, cancel } = client(`${origin}/ai`);
  const { status, headers, body } = await submit({ prompt: 'hello' });
  expect(status).toBe(201);
  expect(headers.get('location')).toBe(`/ai/v1/jobs/${body.job_id}`);
  const stream = await (await fetch(origin + body.stream_url)).text();
  expect(stream).toContain('"token":"You said: hello"');
  expect(stream).toContain('event: job_complete\n');
  expect((await cancel(body.job_id)).body.status).toBe('completed');
}, 900_000);
