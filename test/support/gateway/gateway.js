/**
 * Gateways on free ports, and requests to them. `stopAll` ends everything started here.
 *
 * SLUICE_TEST_MOUNT selects how `start` serves a gateway: `listen` (its own server, the default),
 * `handler` (plain node:http) or `express`. `npm run test:soak` runs the HTTP tests with each.
 */
import { once } from 'node:events';
import http from 'node:http';
import { createGateway } from './parts.js';
import { openStream, readStream } from '../sse/sse-client.js';
import { until } from '../until.js';

/** Requests to one server. Answers are `{status, headers, body}`, JSON parsed. */
export function client(url) {
  async function call(method, path, { body, headers = {}, raw } = {}) {
    const json = body !== undefined;
    const response = await fetch(url + path, {
      method,
      headers: { ...(json && { 'content-type': 'application/json' }), ...headers },
      body: raw ?? (json ? JSON.stringify(body) : undefined),
    });
    const text = await response.text();
    let parsed;
    try {
      parsed = JSON.parse(text);
    } catch {
      parsed = text;
    }
    return { status: response.status, headers: response.headers, body: parsed };
  }
  const get = (path, options) => call('GET', path, options);
  const post = (path, body, headers) => call('POST', path, { body, headers });
  return {
    call,
    get,
    post,
    submit: (body, headers) => post('/v1/jobs', body, headers),
    job: async (id) => (await get(`/v1/jobs/${id}`)).body,
    cancel: (id) => post(`/v1/jobs/${id}/cancel`),
    /** The job, once it has ended. */
    ended: (id) =>
      until(async () => {
        const { body } = await get(`/v1/jobs/${id}`);
        return /completed|failed|cancelled/.test(body.status) && body;
      }, `the end of ${id}`),
    /** Resolves once the server can reach what it needs: `/readyz` answers 200. */
    ready: () => until(async () => (await get('/readyz')).status === 200, 'the server to be ready'),
    /** The value of a metric by its name with its labels; undefined if it is not reported. */
    async metric(name, headers) {
      const { body } = await get('/metrics', { headers });
      const line = body.split('\n').find((text) => text.startsWith(`${name} `));
      return line && Number(line.split(' ').at(-1));
    },
    /** An open event stream, once its head has arrived. */
    stream: (path, options) => openStream(url + path, options).opened,
    /** An event stream, once it has ended without an error. */
    read: (path, options) => readStream(url + path, options),
  };
}

/** [egress, reactors]: clients see the same frames from each writer and each owner of the socket. */
export const everyEgress = [
  ['auto', 1],
  ['shared', 1],
  ['node', 1],
  ['auto', 3],
];

const cleanups = [];

/** Makes `stopAll` call `cleanup`, before the cleanups added earlier. */
export function cleanUp(cleanup) {
  cleanups.push(cleanup);
}

/** Listeners for a server of the test, by the value of SLUICE_TEST_MOUNT. */
const MOUNTS = {
  handler: (gateway) => gateway.handler(),
  express: async (gateway) => (await import('express')).default().use(gateway.router()),
};
const { SLUICE_TEST_MOUNT: usualMount = 'listen' } = process.env;
let mount = usualMount;

/** Makes `start` serve the gateways of a test file by another mount: a value of SLUICE_TEST_MOUNT. */
export function mountBy(name) {
  mount = name;
  // The next test file of the worker shares this module.
  afterAll(() => {
    mount = usualMount;
  });
}

/** The mount by which `start` serves gateways. */
export const mountedBy = () => mount;

/** A test of features of the gateway's own server alone: the page and its files. */
export function testOwnServer(name, run) {
  if (mount === 'listen') test(name, run);
  else test.skip(name, run);
}

/** A server with the gateway mounted, in the form that `gateway.listen()` returns. */
async function serveMounted(gateway, listener) {
  const server = http.createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address();
  return Object.assign(server, { port, url: `http://127.0.0.1:${port}` });
}

/** A served gateway, and its client. */
export async function start(options) {
  const gateway = createGateway({ logger: false, ...options });
  const server =
    mount === 'listen'
      ? await gateway.listen()
      : await serveMounted(gateway, await MOUNTS[mount](gateway));
  cleanUp(() => gateway.close({ drainMs: 0 }));
  return { gateway, server, url: server.url, ...client(server.url) };
}

/** To be called in afterEach. */
export async function stopAll() {
  while (cleanups.length > 0) await cleanups.pop()();
}
