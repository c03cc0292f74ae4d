/** The example of each framework's page, run as it is printed: a job streams under its prefix. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { dirname, join } from 'node:path';
import { client } from '../../support/gateway/gateway.js';
import { filesOf } from '../../support/package/page-files.js';
import { startExample } from '../../support/package/readme-example.js';

const docs = new URL('../../../docs/frameworks/', import.meta.url);
// Inside the package, so that `sluice` resolves to it.
const folder = fileURLToPath(new URL('../../support/package/.cache/', import.meta.url));

test.each(['node-http', 'express', 'fastify', 'koa', 'hono'])(
  'the example of docs/frameworks/%s.md streams a job',
  async (name) => {
    const page = readFileSync(new URL(`${name}.md`, docs), 'utf8');
    const [, code] = /```js\n(.*?)```/s.exec(page);
    mkdirSync(folder, { recursive: true });
    const file = `${folder}${name}-${process.pid}.mjs`;
    writeFileSync(file, code);
    const example = await startExample(file);
    try {
      const origin = example.url.slice(0, -1);
      const { submit } = client(`${origin}/ai`);
      const { status, body, headers } = await submit({ prompt: 'hello, world' });
      expect(status).toBe(201);
      expect(headers.get('location')).toBe(`/ai/v1/jobs/${body.job_id}`);
      const stream = await fetch(origin + body.stream_url);
      const text = await stream.text();
      const tokens = [...text.matchAll(/^event: token\ndata: (.*)$/gm)];
      expect(tokens.map(([, data]) => JSON.parse(data).token).join('')).toBe(
        'You said: hello, world',
      );
      expect(text).toContain('event: job_complete\n');
      expect(await (await fetch(example.url)).text()).toBe('hello');
    } finally {
      await example.stop();
      rmSync(file, { force: true });
    }
  },
  60_000,
);

test('the example of docs/getting-started.md serves a job', async () => {
  const page = readFileSync(new URL('../getting-started.md', docs), 'utf8');
  const [, code] = /```js\n(.*?)```/s.exec(page);
  mkdirSync(folder, { recursive: true });
  const file = `${folder}getting-started-${process.pid}.mjs`;
  writeFileSync(file, code);
  const example = await startExample(file);
  try {
    const { submit, read } = client(example.url.slice(0, -1));
    const { body } = await submit({ prompt: 'hello' });
    expect((await read(body.stream_url)).text).toBe('You said: hello');
  } finally {
    await example.stop();
    rmSync(file, { force: true });
  }
}, 60_000);

test('the route handlers of docs/frameworks/nextjs.md stream a job', async () => {
  const app = join(folder, `next-${process.pid}`);
  const files = filesOf('docs/frameworks/nextjs.md');
  const route = 'app/ai/[...path]/route.js';
  expect([...files.keys()]).toEqual(['gateway.js', route, 'next.config.mjs']);
  for (const [name, code] of files) {
    mkdirSync(dirname(join(app, name)), { recursive: true });
    writeFileSync(join(app, name), code);
  }
  const handlers = await import(join(app, route));
  try {
    const context = { params: Promise.resolve({ path: ['v1', 'jobs'] }) };
    const request = (path, init) => new Request(`http://app.example${path}`, init);
    const body = JSON.stringify({ prompt: 'hello' });
    const headers = { 'content-type': 'application/json' };
    const submitted = await handlers.POST(
      request('/ai/v1/jobs', { method: 'POST', body, headers }),
      context,
    );
    const { stream_url: path } = await submitted.json();
    expect(path).toMatch(/^\/ai\/v1\/stream\?/);
    const stream = await (await handlers.GET(request(path), context)).text();
    expect(stream).toContain('"token":"You said: hello"');
    expect(stream).toContain('event: job_complete\n');
  } finally {
    await globalThis.sluiceGateway?.close({ drainMs: 0 });
    rmSync(app, { recursive: true });
  }
});
