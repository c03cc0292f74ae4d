/** What the integration tests share: a gateway on a free port, plain requests, a provider by hand. */
import { once } from 'node:events';
import { createParser } from 'eventsource-parser';
import { createGateway } from '../../lib/index.js';

/**
 * A provider whose every call waits for the test: `calls[i].push(text)`, `.end()`, `.fail(error)`.
 */
export function handProvider() {
  const calls = [];
  const waiters = [];
  async function* hand(request, { signal }) {
    const queue = [];
    let wake = () => {};
    const made = {
      request,
      signal,
      returned: false,
      aborted: signal.aborted ? Promise.resolve() : once(signal, 'abort'),
      push: (text) => put({ text }),
      end: (value) => put({ end: true, value }),
      fail: (error) => put({ error }),
    };
    function put(item) {
      queue.push(item);
      wake();
    }
    signal.addEventListener('abort', () => wake());
    calls.push(made);
    for (const waiter of waiters.splice(0)) waiter();
    try {
      for (;;) {
        while (queue.length === 0) {
          signal.throwIfAborted();
          await new Promise((resolve) => {
            wake = resolve;
          });
        }
        const { text, end, value, error } = queue.shift();
        if (error !== undefined) throw error;
        if (end) return value;
        yield text;
      }
    } finally {
      made.returned = true;
    }
  }
  /** Resolves with the n-th call (from 0) once it has been made. */
  async function call(n) {
    while (calls.length <= n) await new Promise((resolve) => waiters.push(resolve));
    return calls[n];
  }
  return { provider: hand, calls, call };
}

/** Yields the words of the prompt, each as one token. */
export async function* echo({ prompt }) {
  for (const word of prompt.match(/\S+\s*/g)) yield word;
}

/** Polls until `check` gives something truthy: for what is only seen from outside. */
export async function eventually(check, { timeoutMs = 10_000 } = {}) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`never true: ${check}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

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
      eventually(async () => {
        const { body } = await get(`/v1/jobs/${id}`);
        return /completed|failed|cancelled/.test(body.status) && body;
      }),
    stream: (path) => openStream(url + path),
  };
}

/** An open event stream: `events` grows, `done` resolves with all of them, `close()` leaves. */
export async function openStream(url) {
  const controller = new AbortController();
  const response = await fetch(url, { signal: controller.signal });
  const events = [];
  const parser = createParser({
    onEvent: ({ id, event, data }) => events.push({ id, type: event, data: JSON.parse(data) }),
  });
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body) parser.feed(decoder.decode(chunk, { stream: true }));
    return events;
  };
  const done = read();
  done.catch(() => {});
  return { response, events, done, close: () => controller.abort() };
}

/** Gateways started here are closed by `stopAll`, to be called in afterEach. */
const started = [];

export async function start(options) {
  const gateway = createGateway({ logger: false, ...options });
  const server = await gateway.listen();
  started.push(gateway);
  return { gateway, server, url: server.url, ...client(server.url) };
}

export async function stopAll() {
  await Promise.all(started.splice(0).map((gateway) => gateway.close({ drainMs: 0 })));
}
