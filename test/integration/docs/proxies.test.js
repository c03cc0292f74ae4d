/** The configurations of ops/ in real proxies: tokens arrive one by one, and a client that leaves has left. */
import { afterAll, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../support/free-port.js';
import { which } from '../../../scripts/lib/run.mjs';
import { client, start, stopAll } from '../../support/gateway/gateway.js';
import { handProvider } from '../../support/providers/providers.js';
import { until } from '../../support/until.js';

const read = (path) => readFileSync(new URL(`../../../ops/${path}`, import.meta.url), 'utf8');

/** Replaces a text that must be there. */
function replaced(text, from, to) {
  expect(text).toContain(from);
  return text.replaceAll(from, to);
}

/** @returns {string[]} a command that runs nginx in the foreground with these servers */
function nginx(folder, servers) {
  const path = join(folder, 'nginx.conf');
  mkdirSync(join(folder, 'temp'));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${join(folder, 'temp', name)};`,
  );
  writeFileSync(
    path,
    `daemon off; master_process off; pid ${join(folder, 'pid')}; error_log stderr;
     events {} http { access_log off; ${temporary.join(' ')} ${servers} }`,
  );
  return [which('nginx'), '-p', folder, '-c', path];
}

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
  const folder = mkdtempSync(join(tmpdir(), 'sluice-proxy-'));
  let proxy;
  let origin;
  let hand;

  async function begin() {
    hand = handProvider();
    const server = await start({ provider: hand.provider });
    const port = await freePort();
    const [file, ...args] = command(folder, port, `127.0.0.1:${server.server.port}`);
    const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
    proxy = spawn(file, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    proxy.stderr.setEncoding('utf8').on('data', (text) => {
      log += text;
    });
    origin = `http://127.0.0.1:${port}`;
    await until(async () => {
      if (proxy.exitCode !== null) throw new Error(`${program} ended: ${log}`);
      const { status } = await fetch(`${origin}${prefix}/healthz`).catch(() => ({}));
      return status === 200;
    }, `${program} to serve`);
  }

  afterAll(async () => {
    if (proxy !== undefined) {
      const exit = once(proxy, 'exit');
      proxy.kill('SIGKILL');
      await exit;
    }
    await stopAll();
    rmSync(folder, { recursive: true });
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
