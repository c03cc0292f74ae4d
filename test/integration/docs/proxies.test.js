/** The configurations of ops/ in real proxies: tokens arrive one by one, and the departure of a client is noticed. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../support/free-port.js';
import { which } from '../../../scripts/lib/run.mjs';
import { client, start, stopAll } from '../../support/gateway/gateway.js';
import { handProvider } from '../../support/providers/providers.js';
import {
  nginx,
  proxyFolder,
  read,
  replaced,
  startProxy,
  stopProxies,
} from '../../support/proxies/proxies.js';
import { until } from '../../support/until.js';

const proxies = [
  [
    'nginx',
    'nginx',
    '',
    (folder, port, server) =>
      nginx(
        folder,
        replaced(
          replaced(read('nginx/sluice.conf'), 'listen 80;', `listen 127.0.0.1:${port};`),
          '127.0.0.1:8080',
          server,
        ),
      ),
  ],
  [
    'nginx, below a prefix',
    'nginx',
    '/ai',
    (folder, port, server) => {
      const location = replaced(read('nginx/prefix.conf'), '127.0.0.1:8080', server);
      return nginx(folder, `server { listen 127.0.0.1:${port}; ${location} }`);
    },
  ],
  [
    'Caddy',
    'caddy',
    '',
    (folder, port, server) => {
      const path = join(folder, 'Caddyfile');
      const site = replaced(
        read('caddy/Caddyfile'),
        '{$SITE:localhost}',
        `http://127.0.0.1:${port}`,
      );
      const content = replaced(site, '{$SLUICE:127.0.0.1:8080}', server);
      writeFileSync(path, `{\n\tadmin off\n}\n${content}`);
      return [which('caddy'), 'run', '--config', path, '--adapter', 'caddyfile'];
    },
  ],
];

describe.each(proxies)('%s', (_name, program, prefix, command) => {
  const testHere = which(program) ? test : test.skip;
  let origin;
  let hand;

  async function begin() {
    hand = handProvider();
    const server = await start({ provider: hand.provider });
    const port = await freePort();
    const folder = proxyFolder();
    origin = `http://127.0.0.1:${port}`;
    const run = command(folder, port, `127.0.0.1:${server.server.port}`);
    await startProxy(folder, run, `${origin}${prefix}/healthz`);
  }

  afterAll(async () => {
    await stopProxies();
    await stopAll();
  });

  testHere('a job streams through it, and its client leaves through it', async () => {
    await begin();
    const { submit } = client(origin + prefix);
    const { status, headers, body } = await submit({ prompt: 'p', disconnect_grace_ms: 0 });
    expect(status).toBe(201);
    expect(headers.get('location')).toBe(`${prefix}/v1/jobs/${body.job_id}`);
    expect(body.stream_url).toBe(`${prefix}/v1/stream?job_id=${body.job_id}`);
    const call = await hand.call(0);
    const stream = await client(origin).stream(body.stream_url, {
      headers: { 'accept-encoding': 'gzip' },
    });
    for (const text of ['one ', 'two ', 'three ']) {
      call.push(text);
      await until(() => stream.text.endsWith(text), text);
    }
    expect(stream.headers['content-type']).toContain('text/event-stream');
    stream.close();
    await call.aborted;
  });
});
