/** Real proxies with the configurations of ops/, on free ports. `stopProxies` ends all proxies started here. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { which } from '../../../scripts/lib/run.mjs';
import { until } from '../until.js';

/** A file of ops/. */
export const read = (path) =>
  readFileSync(new URL(`../../../ops/${path}`, import.meta.url), 'utf8');

/** Replaces a text; throws if it is absent. */
export function replaced(text, from, to) {
  expect(text).toContain(from);
  return text.replaceAll(from, to);
}

/** A folder for one proxy. */
export const proxyFolder = () => mkdtempSync(join(tmpdir(), 'sluice-proxy-'));

/** @returns {string[]} a command that runs nginx in the foreground with these servers */
export function nginx(folder, servers) {
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

/** @returns {string[]} a command that runs HAProxy in the foreground */
export function haproxy(folder, config) {
  const path = join(folder, 'haproxy.cfg');
  writeFileSync(path, config);
  return [which('haproxy'), '-db', '-f', path];
}

const started = [];

/** Runs a proxy until `stopProxies`; resolves when `url` answers 200 through it. */
export async function startProxy(folder, [file, ...args], url) {
  const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const child = spawn(file, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  started.push({ child, folder });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    log += text;
  });
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`${file} ended: ${log}`);
    const { status } = await fetch(url).catch(() => ({}));
    return status === 200;
  }, `${file} to serve`);
}

export async function stopProxies() {
  for (const { child, folder } of started.splice(0)) {
    if (child.exitCode === null) {
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    }
    rmSync(folder, { recursive: true });
  }
}
