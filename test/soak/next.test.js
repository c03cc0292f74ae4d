/** Next.js with the packed package: the files of docs/frameworks/nextjs.md, built and served. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { client } from '../support/gateway/gateway.js';
import { runIn, startIn } from '../support/package/example-app.js';
import { filesOf } from '../support/package/page-files.js';
import { install, pack, scratchFolder } from '../support/package/packed.js';

const folder = scratchFolder();
const NEXT = 'node_modules/next/dist/bin/next';
let server;
let app;

beforeAll(async () => {
  app = await install(folder, [await pack(folder), 'next', 'react', 'react-dom']);
  for (const [name, code] of filesOf('docs/frameworks/nextjs.md')) {
    mkdirSync(dirname(join(app, name)), { recursive: true });
    writeFileSync(join(app, name), code);
  }
  // The App Router requires a layout.
  writeFileSync(
    join(app, 'app/layout.js'),
    "import { createElement as h } from 'react';\n" +
      "export default ({ children }) => h('html', null, h('body', null, children));\n",
  );
}, 900_000);

afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true });
});

test('builds, ends by itself, and streams a job', async () => {
  await runIn(app, [NEXT, 'build']);
  server = await startIn(app, [NEXT, 'start', '--port', '0', '--hostname', '127.0.0.1']);
  const { origin } = server;
  const { submit, cancel } = client(`${origin}/ai`);
  const { status, headers, body } = await submit({ prompt: 'hello' });
  expect(status).toBe(201);
  expect(headers.get('location')).toBe(`/ai/v1/jobs/${body.job_id}`);
  const stream = await (await fetch(origin + body.stream_url)).text();
  expect(stream).toContain('"token":"You said: hello"');
  expect(stream).toContain('event: job_complete\n');
  expect((await cancel(body.job_id)).body.status).toBe('completed');
}, 900_000);
