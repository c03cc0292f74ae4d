/**
 * The setups of the benchmark: Sluice, its peers, and the floors. A setup has the start of its server,
 * the load client's request for a stream, and the programs that it needs on this machine.
 */
import { createRequire } from 'node:module';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { output, which } from '../../scripts/lib/run.mjs';
import { freePort, startServer } from './processes.mjs';
import { missingRedis, startRedis } from './redis.mjs';
import { peerFile } from '../peers/packages.mjs';
import { pace } from './token.mjs';

/**
 * @typedef {object} Started
 * @property {import('./processes.mjs').ServerProcess} server
 * @property {string[]} load further arguments of the load client
 * @property {() => void} [stop] ends further processes
 */
/**
 * @typedef {object} Setup
 * @property {string} label
 * @property {boolean} [needsUpstream]
 * @property {() => string | undefined} [missing] why it cannot run here
 * @property {(env: Record<string, string>) => Promise<Started>} start
 */

const here = (/** @type {string} */ path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** The folder of the C++ programs. */
export const binaries = fileURLToPath(new URL('../../build-bench/', import.meta.url));

const systemPython = '/usr/bin/python3';
const nchanModule = '/usr/lib/nginx/modules/ngx_nchan_module.so';

/** Debian's packages of the peers that are not on npm. */
export const systemPackages = [
  'libnginx-mod-nchan',
  'python3-fastapi',
  'python3-uvicorn',
  'python3-uvloop',
  'python3-httptools',
];

/**
 * A server that announces its port and streams at GET /stream.
 * @param {(env: Record<string, string>) => string[]} command
 * @returns {Setup['start']}
 */
const simple = (command) => async (env) => ({
  server: await startServer(command(env), { env }),
  load: [],
});

/** @param {string} peer @param {string[]} args */
const nodePeer = (peer, ...args) =>
  simple(() => [process.execPath, here(`peers/${peer}.mjs`), ...args]);

/** @param {string} mode @returns {Setup['start']} */
const sluice = (mode) => async (env) => ({
  server: await startServer([process.execPath, here('servers/sluice.mjs'), mode], { env }),
  load: ['--post', '/v1/jobs'],
});

/** @param {Record<string, string>} env */
const intervalUs = (env) => String(Number(env.BENCH_INTERVAL_MS) * 1000);

/** One job that every reader follows. @type {Setup['start']} */
async function startSluiceFanOut(env) {
  const { server } = await sluice('generator')(env);
  const answer = await fetch(`${server.url}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'bench' }),
  });
  const { stream_url: path } = /** @type {{stream_url: string}} */ (await answer.json());
  return { server, load: ['--path', path, '--from-one', '0'] };
}

/** Its readers connect in the middle of the stream. @type {Setup['start']} */
async function startNodeFanOut(env) {
  const { server } = await nodePeer('node-http-fan-out')(env);
  return { server, load: ['--from-one', '0'] };
}

const NGINX = which('nginx') ?? '/usr/sbin/nginx';

/**
 * An nginx of one process with these locations, in its own folder.
 * @param {string} locations
 * @param {{module?: string, isHttp?: boolean}} [options]
 */
async function startNginx(locations, { module = '', isHttp } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-nginx-'));
  const port = await freePort();
  const config = join(folder, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `  ${name}_temp_path ${folder}/${name};`)
    .join('\n');
  const text = `
${module}
daemon off;
master_process off;
pid ${folder}/pid;
error_log stderr crit;
events { worker_connections 19000; }
http {
  access_log off;
${temporary}
  keepalive_requests 1000000;
  server {
    listen 127.0.0.1:${port};
    ${locations}
  }
}
`;
  writeFileSync(config, text);
  const server = await startServer([NGINX, '-p', folder, '-c', config], { port, isHttp });
  return { port, server, stop: () => rmSync(folder, { recursive: true, force: true }) };
}

const NCHAN_LOCATIONS = `
    location = /publish { nchan_publisher; nchan_channel_id bench; }
    location = /stream {
      nchan_subscriber eventsource;
      nchan_subscriber_first_message newest;
      nchan_channel_id bench;
    }`;

/** nginx with nchan, and this process as the publisher. @type {Setup['start']} */
async function startNchan(env) {
  const module = `load_module ${nchanModule};`;
  const { port, server, stop: removeFolder } = await startNginx(NCHAN_LOCATIONS, { module });
  // One connection keeps the messages in order.
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const stopPacing = pace(Number(env.BENCH_INTERVAL_MS), (text) => {
    const request = http.request({ port, agent, method: 'POST', path: '/publish' });
    request.on('response', (response) => response.resume()).on('error', () => {});
    request.end(text);
  });
  const stop = () => {
    stopPacing();
    agent.destroy();
    removeFolder();
  };
  return { server, load: ['--from-one', '0'], stop };
}

const messages = [{ role: 'user', content: 'bench' }];
const chatBody = { model: 'mock', messages, stream: true };

/** The request for a stream of each face. @type {Record<string, [string, object]>} */
const FACES = {
  chat: ['/v1/chat/completions', chatBody],
  completions: ['/v1/completions', { model: 'mock', prompt: 'bench', stream: true }],
  responses: ['/v1/responses', { model: 'mock', input: 'bench', stream: true }],
  ui: [
    '/v1/ui/chat',
    { id: 'bench-{N}', messages: [{ role: 'user', parts: [{ type: 'text', text: 'bench' }] }] },
  ],
  messages: ['/v1/messages', { model: 'mock', max_tokens: 100_000, messages, stream: true }],
};

/** @param {string} face @returns {string[]} arguments of the load client */
function asking(face) {
  const [path, body] = FACES[face];
  return ['--ask', path, '--body', JSON.stringify(body)];
}

/** @param {string} face @param {string} label @returns {Setup} */
const sluiceFace = (face, label) => ({
  label: `Sluice, ${label}`,
  needsUpstream: true,
  start: async (env) => ({ ...(await sluice('relay')(env)), load: asking(face) }),
});

/** The start-server.js of @portkey-ai/gateway; BENCH_PEERS is a folder that has it in `node_modules`. */
function portkeyFile() {
  const require = createRequire(join(process.env.BENCH_PEERS ?? here('..'), 'package.json'));
  try {
    return join(dirname(require.resolve('@portkey-ai/gateway/package.json')), PORTKEY_START);
  } catch {
    return undefined;
  }
}

const PORTKEY_START = 'build/start-server.js';

/** @type {Setup['start']} */
async function startPortkey(env) {
  const port = await freePort();
  const file = portkeyFile() ?? '';
  const command = [process.execPath, here('peers/portkey-gateway.mjs'), file, String(port)];
  const config = {
    provider: 'openai',
    api_key: 'none',
    custom_host: `http://127.0.0.1:${env.BENCH_UPSTREAM_PORT}/v1`,
  };
  return {
    server: await startServer(command, { env, port }),
    load: [...asking('chat'), '--header', `x-portkey-config: ${JSON.stringify(config)}`],
  };
}

/** nginx in front of the upstream, without buffers: the cost of HTTP itself. @type {Setup['start']} */
async function startNginxProxy(env) {
  const locations = `location / {
      proxy_pass http://127.0.0.1:${env.BENCH_UPSTREAM_PORT};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 1h;
    }`;
  const { server, stop } = await startNginx(locations, { isHttp: false });
  return { server, load: asking('chat'), stop };
}

/** @type {Setup['start']} */
async function startAiSdk(env) {
  const redis = await startRedis();
  const server = await startServer([process.execPath, here('peers/ai-sdk-resumable.mjs')], {
    env: { ...env, REDIS_URL: redis.url },
  });
  const [, body] = FACES.ui;
  const load = ['--ask', '/api/chat', '--body', JSON.stringify(body)];
  return { server, load, stop: () => void redis.server.stop() };
}

const AI_SDK_PACKAGES = ['ai', '@ai-sdk/openai-compatible', 'resumable-stream', 'redis'];

/** @type {Record<string, Setup>} */
export const setups = {
  'nginx-proxy': {
    label: 'nginx in front of the upstream',
    needsUpstream: true,
    missing: () => (existsSync(NGINX) ? undefined : `there is no ${NGINX}`),
    start: startNginxProxy,
  },
  'ai-sdk-resumable': {
    label: 'AI SDK with resumable-stream, Redis',
    needsUpstream: true,
    missing: () => (AI_SDK_PACKAGES.every(peerFile) ? missingRedis() : 'see bench/README.md'),
    start: startAiSdk,
  },
  'face-chat': sluiceFace('chat', 'chat completions'),
  'face-completions': sluiceFace('completions', 'completions'),
  'face-responses': sluiceFace('responses', 'responses'),
  'face-ui': sluiceFace('ui', 'UI message stream'),
  'face-messages': sluiceFace('messages', 'messages'),
  'openai-chat': {
    label: 'openai client, relayed by hand',
    needsUpstream: true,
    start: async (env) => ({ ...(await nodePeer('openai-chat-relay')(env)), load: asking('chat') }),
  },
  portkey: {
    label: '@portkey-ai/gateway',
    needsUpstream: true,
    missing: () => (portkeyFile() === undefined ? 'see bench/README.md' : undefined),
    start: startPortkey,
  },
  'no-gateway': {
    label: 'no gateway: the upstream itself',
    start: async (env) => ({
      server: await startServer([
        ...[join(binaries, 'mock_upstream'), '--interval-us', intervalUs(env)],
      ]),
      load: asking('chat'),
    }),
  },
  'sluice-generator': { label: 'Sluice, async generator', start: sluice('generator') },
  'sluice-relay': {
    label: 'Sluice, openai provider',
    needsUpstream: true,
    start: sluice('relay'),
  },
  'sluice-fan-out': { label: 'Sluice, one job', start: startSluiceFanOut },
  'sluice-burst': { label: 'Sluice', start: sluice('burst') },
  'floor-generator': {
    label: 'floor: C++ epoll, one write a token',
    start: simple((env) => [join(binaries, 'floor_generator'), '--interval-us', intervalUs(env)]),
  },
  'floor-relay': {
    label: 'floor: C++ epoll, one read and one write a token',
    needsUpstream: true,
    start: simple((env) => [join(binaries, 'floor_relay'), '--upstream', env.BENCH_UPSTREAM_PORT]),
  },
  'node-http': {
    label: 'node:http, res.write from a timer',
    start: nodePeer('node-http-generator', 'timer'),
  },
  'node-http-iterate': {
    label: 'node:http, res.write in for await',
    start: nodePeer('node-http-generator', 'iterate'),
  },
  'better-sse': { label: 'better-sse on Express', start: nodePeer('better-sse-generator') },
  undici: {
    label: 'undici + eventsource-parser + res.write',
    needsUpstream: true,
    start: nodePeer('undici-relay'),
  },
  'openai-better-sse': {
    label: 'openai + better-sse on Express',
    needsUpstream: true,
    start: nodePeer('openai-better-sse-relay'),
  },
  fastapi: {
    label: 'FastAPI, StreamingResponse on uvicorn',
    missing: () =>
      output(systemPython, ['-c', 'import fastapi, uvicorn; print(1)']) === '1'
        ? undefined
        : `${systemPython} has no fastapi and uvicorn`,
    start: simple(() => [systemPython, here('peers/fastapi_generator.py')]),
  },
  'node-http-fan-out': { label: 'node:http, res.write', start: startNodeFanOut },
  nchan: {
    label: 'nginx with nchan',
    missing: () =>
      existsSync(nchanModule) ? undefined : `nginx has no nchan module at ${nchanModule}`,
    start: startNchan,
  },
};
