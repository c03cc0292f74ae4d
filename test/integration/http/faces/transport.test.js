/** `sluice/ai` against a gateway: resume, stop, refusals. */
import { SluiceChatTransport } from '../../../../web/ai.js';
import { start, stopAll } from '../../../support/gateway/gateway.js';
import { until } from '../../../support/until.js';

afterEach(stopAll);

const messages = [{ id: 'u', role: 'user', parts: [{ type: 'text', text: 'hi' }] }];

/** A gateway whose model yields a word per call of `next()`. */
async function serve() {
  const words = [];
  let wake = () => {};
  async function* provider(_request, { signal }) {
    signal.addEventListener('abort', () => wake());
    for (;;) {
      while (words.length === 0 && !signal.aborted) {
        await new Promise((resolve) => (wake = resolve));
      }
      if (signal.aborted || words[0] === '') return;
      yield words.shift();
    }
  }
  const served = await start({ provider });
  const say = (word) => {
    words.push(word);
    wake();
  };
  return { ...served, say };
}

/** @param {ReadableStream<any>} stream */
async function readAll(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const textOf = (chunks) =>
  chunks
    .filter(({ type }) => type === 'text-delta')
    .map(({ delta }) => delta)
    .join('');

/** A fetch whose first `times` streams break after `text`. */
function breakingFetch(text, times) {
  let left = times;
  return async (url, init) => {
    const response = await fetch(url, init);
    if (left === 0 || response.body === null) return response;
    let read = '';
    const broken = response.body.pipeThrough(
      new TransformStream({
        transform(bytes, controller) {
          read += Buffer.from(bytes).toString();
          controller.enqueue(bytes);
          if (!read.includes(text) || left === 0) return;
          left -= 1;
          controller.error(new TypeError('terminated'));
        },
      }),
    );
    return new Response(broken, { status: response.status, headers: response.headers });
  };
}

test('a connection that breaks is resumed inside the same stream', async () => {
  const { url, say } = await serve();
  const transport = new SluiceChatTransport({
    api: `${url}/v1/ui/chat`,
    fetch: breakingFetch('one', 1),
    reconnect: { baseMs: 1 },
  });
  say('one ');
  const stream = await transport.sendMessages({
    chatId: 'c/1',
    messages,
    trigger: 'submit-message',
  });
  say('two');
  say('');
  const chunks = await readAll(stream);
  expect(textOf(chunks)).toBe('one two');
  expect(chunks.filter(({ type }) => type === 'start')).toHaveLength(1);
  expect(chunks.at(-1).type).toBe('finish');
});

test('after the attempts it fails as a network error', async () => {
  const { url, say } = await serve();
  const transport = new SluiceChatTransport({
    api: `${url}/v1/ui/chat`,
    fetch: (address, init) =>
      init.method === 'POST'
        ? breakingFetch('one', 1)(address, init)
        : Promise.reject(new TypeError('fetch failed')),
    reconnect: { attempts: 2, baseMs: 1 },
  });
  say('one ');
  const stream = await transport.sendMessages({ chatId: 'c', messages });
  await expect(readAll(stream)).rejects.toThrow(new TypeError('network error'));
});

test('a request without the beginning of an answer is sent again, and joins the first job', async () => {
  const { url, say, get } = await serve();
  const sent = [];
  const transport = new SluiceChatTransport({
    api: `${url}/v1/ui/chat`,
    reconnect: { baseMs: 1 },
    fetch: async (address, init) => {
      sent.push(init.headers.get('idempotency-key'));
      if (sent.length > 1) return fetch(address, init);
      // The first page receives all of it, so the chat is idle.
      await (await fetch(address, init)).text();
      throw new TypeError('fetch failed');
    },
  });
  say('one ');
  say('');
  const chunks = await readAll(await transport.sendMessages({ chatId: 'c', messages }));
  expect(textOf(chunks)).toBe('one ');
  expect(sent[1]).toBe(sent[0]);
  expect((await get('/v1/jobs')).body.data).toHaveLength(1);
  await readAll(await transport.sendMessages({ chatId: 'c', messages }));
  expect(sent[2]).not.toBe(sent[0]);
  expect((await get('/v1/jobs')).body.data).toHaveLength(2);
});

test('a request that never reaches the server fails as a network error', async () => {
  let calls = 0;
  const transport = new SluiceChatTransport({
    reconnect: { attempts: 2, baseMs: 1 },
    fetch: async () => {
      calls += 1;
      throw new TypeError('fetch failed');
    },
  });
  const sending = transport.sendMessages({ chatId: 'c', messages });
  await expect(sending).rejects.toThrow(new TypeError('network error'));
  expect(calls).toBe(3);
});

test('an answer that broke off before its first frame does not repeat the steps of the page', async () => {
  const { url, say } = await serve();
  const transport = new SluiceChatTransport({
    api: `${url}/v1/ui/chat`,
    reconnect: { baseMs: 1 },
    fetch: async (address, init) => {
      const response = await fetch(address, init);
      if (init.method !== 'POST') return response;
      const broken = new ReadableStream({
        pull: (controller) => controller.error(new TypeError('terminated')),
      });
      return new Response(broken, { status: response.status, headers: response.headers });
    },
  });
  say('one');
  say('');
  const parts = [{ type: 'step-start' }, { type: 'text', text: 'zero' }];
  const continued = [...messages, { id: 'a1', role: 'assistant', parts }];
  const stream = await transport.sendMessages({ chatId: 'c', messages: continued });
  const chunks = await readAll(stream);
  expect(textOf(chunks)).toBe('one');
  expect(chunks.map(({ type }) => type).slice(0, 3)).toEqual(['start', 'start-step', 'text-start']);
});

test('an abort ends the job; a disconnect of a reader does not', async () => {
  const { url, say, get } = await serve();
  const transport = new SluiceChatTransport({ api: `${url}/v1/ui/chat` });
  say('one ');
  const left = await transport.sendMessages({ chatId: 'c', messages });
  await left.cancel();
  const again = await transport.reconnectToStream({ chatId: 'c' });
  const reader = again.getReader();
  expect((await reader.read()).value).toMatchObject({ type: 'start' });
  await reader.cancel();
  const abort = new AbortController();
  const stream = await transport.sendMessages({ chatId: 'd', messages, abortSignal: abort.signal });
  abort.abort();
  await expect(readAll(stream)).rejects.toThrow();
  const stopped = await until(async () => {
    const { body } = await get('/v1/jobs?status=cancelled');
    return body.data.length === 1 && body.data[0];
  }, 'the end of the job');
  expect(stopped.reason).toBe('client_request');
  expect(await transport.reconnectToStream({ chatId: 'd' })).toBeNull();
});

test('an abort of a reconnect ends the job, too, also before its answer', async () => {
  const { url, say, get } = await serve();
  const api = `${url}/v1/ui/chat`;
  const abort = new AbortController();
  const transport = new SluiceChatTransport({
    api,
    fetch: (address, init) => {
      if (!address.endsWith('/stream')) return fetch(address, init);
      abort.abort();
      return fetch(address, init);
    },
  });
  say('one ');
  const left = await transport.sendMessages({ chatId: 'c', messages });
  await left.cancel();
  const again = transport.reconnectToStream({ chatId: 'c', abortSignal: abort.signal });
  await expect(again).rejects.toThrow();
  await until(
    async () => (await get('/v1/jobs?status=cancelled')).body.data.length === 1,
    'its end',
  );
});

test('an abort after the end of the answer ends nothing', async () => {
  const { url, say } = await serve();
  const paths = [];
  const transport = new SluiceChatTransport({
    api: `${url}/v1/ui/chat`,
    fetch: (address, init) => {
      paths.push(new URL(address).pathname);
      return fetch(address, init);
    },
  });
  const abort = new AbortController();
  say('one');
  say('');
  const stream = await transport.sendMessages({ chatId: 'c', messages, abortSignal: abort.signal });
  await readAll(stream);
  abort.abort();
  await new Promise((resolve) => setImmediate(resolve));
  expect(paths).toEqual(['/v1/ui/chat']);
});

test('a failure received on resuming is the failure of the stream', async () => {
  const failure = { error: { message: 'The upstream closed the connection during its answer' } };
  const answers = [
    new Response('id: 1\ndata: {"type":"start"}\n\n', { status: 200 }),
    new Response(JSON.stringify(failure), { status: 502 }),
    new Response(null, { status: 204 }),
  ];
  const fetch = async () => answers.shift();
  const transport = new SluiceChatTransport({ fetch, reconnect: { baseMs: 1 } });
  const stream = await transport.sendMessages({ chatId: 'c', messages });
  await expect(readAll(stream)).rejects.toThrow(failure.error.message);
});

test('an unknown option is refused by name', () => {
  expect(() => new SluiceChatTransport({ url: '/v1/ui/chat' })).toThrow(/no option url/);
  expect(() => new SluiceChatTransport({ reconnect: { tries: 1 } })).toThrow(/no option tries/);
});

test('a refusal has the message of the server', async () => {
  const { url } = await serve();
  const transport = new SluiceChatTransport({ api: `${url}/v1/ui/chat` });
  await expect(transport.sendMessages({ chatId: 'c', messages: [] })).rejects.toThrow(/messages/);
});
