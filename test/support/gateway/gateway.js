/** Gateways on free ports, and requests against them. What is made here, `stopAll` ends. */
import { createGateway } from './parts.js';
import { openStream, readStream } from '../sse/sse-client.js';
import { until } from '../until.js';

/** Requests against one server. Answers are `{status, headers, body}`, JSON parsed. */
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
    /** The job once it is in one of its last three states. */
    ended: (id) =>
      until(async () => {
        const { body } = await get(`/v1/jobs/${id}`);
        return /completed|failed|cancelled/.test(body.status) && body;
      }, `the end of ${id}`),
    /** An event stream, open: its head is there. */
    stream: (path, options) => openStream(url + path, options).opened,
    /** An event stream that has come to its proper end. */
    read: (path, options) => readStream(url + path, options),
  };
}

/** [egress, reactors]: whoever writes, and whoever has the socket, it is the same to a client. */
export const everyEgress = [
  ['auto', 1],
  ['shared', 1],
  ['node', 1],
  ['auto', 3],
];

const cleanups = [];

/** Has `stopAll` call `cleanup`, before those that were given earlier. */
export function cleanUp(cleanup) {
  cleanups.push(cleanup);
}

/** A gateway of its own server, and its client. */
export async function start(options) {
  const gateway = createGateway({ logger: false, ...options });
  cleanUp(() => gateway.close({ drainMs: 0 }));
  const server = await gateway.listen();
  return { gateway, server, url: server.url, ...client(server.url) };
}

/** To be called in afterEach. */
export async function stopAll() {
  while (cleanups.length > 0) await cleanups.pop()();
}
