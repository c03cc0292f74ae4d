import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProviderError, parseRetryAfterMs, quoteUpstream } from '../../../lib/providers/errors.js';
import { createGateway } from '../../../lib/index.js';
import { openai } from '../../../lib/providers/openai.js';
import { SluiceError } from '../../../lib/errors.js';
import { startMockUpstream, streamTokens } from '../../fixtures/mock-upstream.js';

/** @type {(() => Promise<unknown>)[]} */
const cleanups = [];
afterEach(async () => {
  while (cleanups.length > 0) await cleanups.pop()?.();
});

/** A mock upstream and a provider that talks to it, both closed after the test. */
async function setUp(respond, options = {}) {
  const upstream = await startMockUpstream(respond);
  cleanups.push(() => upstream.close());
  const provider = openai({ baseUrl: upstream.url, ...options });
  cleanups.push(() => provider.close());
  return { upstream, provider };
}

let nextId = 0;
const request = (fields = {}) => ({
  id: `job_${(nextId += 1)}`,
  prompt: 'hi',
  model: 'm',
  ...fields,
});

/** Everything a request gives: its pieces, and its end or error. */
async function collect(iterator) {
  const texts = [];
  try {
    for (;;) {
      const { done, value } = await iterator.next();
      if (done) return { texts, text: texts.join(''), end: value };
      texts.push(value);
    }
  } catch (error) {
    return { texts, text: texts.join(''), error };
  }
}

/** What each request of a batch gets. */
async function collectBatch(iterator, size) {
  const answers = Array.from({ length: size }, () => ({ text: '', endings: 0 }));
  for await (const { index, ...item } of iterator) {
    if ('text' in item) answers[index].text += item.text;
    else Object.assign(answers[index], item, { endings: answers[index].endings + 1 });
  }
  return answers;
}

const sse = { 'content-type': 'text/event-stream' };
const isoDate = (text) => Date.parse(text);

describe('chat', () => {
  test('streams the pieces, returns the finish reason and the counts', async () => {
    const { upstream, provider } = await setUp(streamTokens({ tokens: ['Hel', 'lo', ' you'] }), {
      apiKey: 'key-1',
      model: 'big',
      headers: { 'X-Org': 'o' },
    });
    const got = await collect(
      provider.generate(request({ model: 'big', maxTokens: 9, temperature: 0.5, stop: ['END'] })),
    );
    expect(got).toEqual({
      texts: ['Hel', 'lo', ' you'],
      text: 'Hello you',
      end: { reason: 'stop', usage: { prompt_tokens: 7, completion_tokens: 3 } },
    });
    const [{ path, headers, body }] = upstream.exchanges;
    expect(path).toBe('/v1/chat/completions');
    expect(headers).toMatchObject({ authorization: 'Bearer key-1', 'x-org': 'o' });
    expect(body).toEqual({
      model: 'big',
      messages: [{ role: 'user', content: 'hi' }],
      max_tokens: 9,
      temperature: 0.5,
      stop: ['END'],
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(provider).toMatchObject({
      name: 'openai',
      models: [{ id: 'big' }],
      takesBatches: false,
      enforcesMaxTokens: true,
    });
  });

  test('passes messages on, and leaves out what is not set', async () => {
    const { upstream, provider } = await setUp(
      streamTokens({ tokens: ['x'], finishReason: 'length' }),
    );
    const messages = [
      { role: 'system', content: 'be brief' },
      { role: 'user', content: 'hi' },
    ];
    const got = await collect(provider.generate(request({ prompt: undefined, messages })));
    expect(got.end.reason).toBe('length');
    expect(Object.keys(upstream.exchanges[0].body).sort()).toEqual([
      'messages',
      'model',
      'stream',
      'stream_options',
    ]);
    expect(upstream.exchanges[0].body.messages).toEqual(messages);
    expect(provider.models).toEqual([]);
  });

  test('a job that names no model leaves the choice to a server without a configured one', async () => {
    const { upstream, provider } = await setUp(streamTokens({ tokens: ['x'] }));
    const gateway = createGateway({ provider, logger: false });
    cleanups.push(() => gateway.close());
    for (const fields of [{}, { model: 'named' }]) {
      const job = await gateway.submit({ prompt: 'hi', ...fields });
      const types = [];
      for await (const { type } of gateway.stream(job.id)) types.push(type);
      expect(types).toEqual(['token', 'job_complete']);
      expect((await gateway.get(job.id)).model).toBe(fields.model ?? 'default');
    }
    expect(upstream.exchanges.map(({ body }) => body.model)).toEqual([undefined, 'named']);
  });

  test.each([
    ['', '/v1/chat/completions'],
    ['/', '/v1/chat/completions'],
    ['/v1', '/v1/chat/completions'],
    ['/v1/', '/v1/chat/completions'],
    ['/api/openai//', '/api/openai/chat/completions'],
  ])('finds the API at a base URL that ends in "%s"', async (ending, path) => {
    const upstream = await startMockUpstream(streamTokens({ tokens: ['x'] }));
    cleanups.push(() => upstream.close());
    const provider = openai({ baseUrl: upstream.url + ending });
    cleanups.push(() => provider.close());
    expect((await collect(provider.generate(request()))).text).toBe('x');
    expect(upstream.exchanges[0].path).toBe(path);
  });

  test('uses one connection for calls in a row', async () => {
    const { upstream, provider } = await setUp(streamTokens({ tokens: ['x'] }));
    for (let i = 0; i < 3; i += 1) {
      expect((await collect(provider.generate(request()))).text).toBe('x');
      await sleep(20); // The end of the body may come after [DONE].
    }
    expect(upstream.connections).toBe(1);
  });

  test('calls at the same time do not wait for each other', async () => {
    let waiting = 0;
    const { provider } = await setUp(async (exchange) => {
      waiting += 1;
      while (waiting < 20) await sleep(2);
      await streamTokens({ tokens: ['x'] })(exchange);
    });
    const got = await Promise.all(
      Array.from({ length: 20 }, () => collect(provider.generate(request()))),
    );
    expect(got.map(({ text }) => text)).toEqual(Array(20).fill('x'));
  });

  test('text is the same however TCP cuts it', async () => {
    const text = 'a\u00e9\u20ac\u{1f600}';
    const { provider } = await setUp(async (exchange) => {
      exchange.open();
      const events = `data: {"choices":[{"delta":{"content":"${text}\\ud83d"}}]}\r\n\r\ndata: {"choices":[{"delta":{"content":"\\ude00"},"finish_reason":"stop"}]}\r\n\r\ndata: [DONE]\r\n\r\n`;
      exchange.socket.setNoDelay(true);
      for (const byte of Buffer.from(events)) {
        await exchange.raw(Buffer.of(byte));
        await sleep(0);
      }
      exchange.end();
    });
    const got = await collect(provider.generate(request()));
    expect(got).toMatchObject({ text: `${text}\u{1f600}`, end: { reason: 'stop' } });
    expect(got.texts.every((piece) => piece.isWellFormed())).toBe(true);
  });

  test('a server that knows no stream_options is asked again without, and then never more', async () => {
    const { upstream, provider } = await setUp(async (exchange) => {
      if (exchange.body.stream_options === undefined) {
        return streamTokens({ tokens: ['x'] })(exchange);
      }
      exchange.open(422, { 'content-type': 'application/json' });
      exchange.res.end(
        '{"detail":[{"loc":["body","stream_options"],"msg":"extra fields not permitted"}]}',
      );
    });
    for (let i = 0; i < 2; i += 1) {
      const got = await collect(provider.generate(request()));
      expect(got).toMatchObject({ text: 'x', end: { reason: 'stop' } });
    }
    expect(upstream.exchanges.map(({ body }) => 'stream_options' in body)).toEqual([
      true,
      false,
      false,
    ]);
  });

  test('takes the whole answer of a server that does not stream', async () => {
    const { provider } = await setUp((exchange) => {
      exchange.open(200, { 'content-type': 'application/json; charset=utf-8' });
      const answer = {
        choices: [{ index: 0, message: { content: 'two\nlines' }, finish_reason: 'length' }],
        usage: { prompt_tokens: 1, completion_tokens: 2 },
      };
      exchange.res.end(JSON.stringify(answer, null, 2));
    });
    expect(await collect(provider.generate(request()))).toMatchObject({
      text: 'two\nlines',
      end: { reason: 'length', usage: { prompt_tokens: 1, completion_tokens: 2 } },
    });
  });

  test('cuts an upstream short that does not keep to max_tokens', async () => {
    const { upstream, provider } = await setUp(
      streamTokens({ tokens: Array(500).fill('x'), intervalMs: 1 }),
    );
    const got = await collect(provider.generate(request({ maxTokens: 3 })));
    expect(got).toMatchObject({ text: 'xxx', end: { reason: 'length' } });
    await upstream.exchanges[0].closed;
  });

  test('exactly max_tokens pieces keep the finish reason of the upstream', async () => {
    const { provider } = await setUp(streamTokens({ tokens: ['x', 'y'] }));
    expect(await collect(provider.generate(request({ maxTokens: 2 })))).toMatchObject({
      text: 'xy',
      end: { reason: 'stop' },
    });
  });
});

describe('errors', () => {
  const json = { 'content-type': 'application/json' };
  const answer = (status, headers, body) => (exchange) => {
    exchange.open(status, headers);
    exchange.res.end(body);
  };
  const errorBody = JSON.stringify({ error: { message: 'that\n is key-1 not\u0000 fine' } });

  test.each([
    [
      'a bad request',
      400,
      json,
      errorBody,
      'upstream_bad_request',
      false,
      /\(400\): that is \[redacted\] not fine$/,
    ],
    ['an unknown path', 404, {}, 'not found', 'upstream_bad_request', false, /\(404\)$/],
    ['a wrong key', 401, json, errorBody, 'upstream_bad_request', false, /credentials \(401\)$/],
    [
      'a key without the right',
      403,
      json,
      errorBody,
      'upstream_bad_request',
      false,
      /credentials \(403\)$/,
    ],
    ['a rate limit', 429, json, errorBody, 'upstream_rate_limited', true, /429/],
    ['an internal error', 500, json, errorBody, 'upstream_unavailable', true, /status 500$/],
    ['an overload', 503, {}, '<html>', 'upstream_unavailable', true, /status 503$/],
    ['a redirect', 302, { location: '/' }, '', 'upstream_invalid_response', false, /status 302$/],
    ['no content', 204, {}, undefined, 'upstream_invalid_response', false, /status 204$/],
    [
      'a web page',
      200,
      { 'content-type': 'text/html' },
      '<html>',
      'upstream_invalid_response',
      false,
      /text\/html/,
    ],
    [
      'JSON of another kind',
      200,
      json,
      '{"ok":true}',
      'upstream_invalid_response',
      false,
      /no completion/,
    ],
    ['broken JSON', 200, json, '{"ok":', 'upstream_invalid_response', false, /no completion/],
    [
      'an error object as JSON',
      200,
      json,
      errorBody,
      'upstream_error',
      false,
      /that is \[redacted\] not fine$/,
    ],
    [
      'a broken event',
      200,
      sse,
      'data: {"choices":\n\n',
      'upstream_invalid_response',
      false,
      /malformed/,
    ],
    [
      'a web page without a type',
      200,
      {},
      '<html>\n\n</html>',
      'upstream_incomplete',
      false,
      /finish reason/,
    ],
    ['an empty stream', 200, sse, '', 'upstream_incomplete', false, /finish reason/],
    [
      '[DONE] without a finish reason',
      200,
      sse,
      'data: [DONE]\n\n',
      'upstream_incomplete',
      false,
      /finish reason/,
    ],
    [
      'an event beyond the limit',
      200,
      sse,
      `data: ${'x'.repeat(2 ** 20)}\n\n`,
      'upstream_invalid_response',
      false,
      /size limit/,
    ],
    [
      'an error object as an event',
      200,
      sse,
      `data: ${errorBody}\n\n`,
      'upstream_error',
      false,
      /that is \[redacted\] not fine$/,
    ],
  ])('%s', async (_, status, headers, body, wireCode, retryable, message) => {
    const { upstream, provider } = await setUp(answer(status, headers, body), { apiKey: 'key-1' });
    const { error, text } = await collect(provider.generate(request()));
    expect(text).toBe('');
    expect(error).toBeInstanceOf(ProviderError);
    expect(error).toBeInstanceOf(SluiceError);
    expect(error).toMatchObject({
      wireCode,
      retryable,
      type: 'upstream_error',
      code: `ERR_${wireCode.toUpperCase()}`,
    });
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('key-1');
    expect(error.message.length).toBeLessThan(300);
    expect(error.message).not.toContain(String(upstream.port));
  });

  test('Retry-After is passed on', async () => {
    const { provider } = await setUp(answer(429, { 'retry-after': '7' }, ''));
    const { error } = await collect(provider.generate(request()));
    expect(error).toMatchObject({ retryable: true, retryAfterMs: 7000 });
  });

  test('a refused connection', async () => {
    const upstream = await startMockUpstream(() => {});
    await upstream.close();
    const provider = openai({ baseUrl: upstream.url });
    const { error } = await collect(provider.generate(request()));
    expect(error).toMatchObject({ wireCode: 'upstream_unavailable', retryable: true });
    expect(error.message).toBe('The upstream cannot be reached (ECONNREFUSED)');
    expect(error.cause).toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('a connection that closes before any answer', async () => {
    const { provider } = await setUp((exchange) => exchange.cut());
    const { error } = await collect(provider.generate(request()));
    expect(error).toMatchObject({ wireCode: 'upstream_unavailable', retryable: true });
  });

  /** A server that answers every request with these bytes and hangs up. */
  async function setUpRaw(bytes) {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(bytes));
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => new Promise((resolve) => server.close(resolve)));
    const provider = openai({ baseUrl: `http://127.0.0.1:${server.address().port}` });
    cleanups.push(() => provider.close());
    return provider;
  }

  const head = 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n';
  const piece = 'data: {"choices":[{"delta":{"content":"some"}}]}\n\n';
  const chunk = `${piece.length.toString(16)}\r\n${piece}\r\n`;
  test.each([
    ['no HTTP at all', '220 smtp ready\r\n', 'upstream_invalid_response', ''],
    [
      'a chunked body cut short',
      `${head}transfer-encoding: chunked\r\n\r\n${chunk}`,
      'upstream_disconnected',
      'some',
    ],
    [
      'a body shorter than it says',
      `${head}content-length: 999\r\n\r\n${piece}`,
      'upstream_disconnected',
      'some',
    ],
    [
      'a chunk that is none',
      `${head}transfer-encoding: chunked\r\n\r\n${chunk}zz`,
      'upstream_invalid_response',
      'some',
    ],
    ['a body that just ends', `${head}\r\n${piece}`, 'upstream_incomplete', 'some'],
  ])('%s', async (_, bytes, wireCode, text) => {
    const provider = await setUpRaw(bytes);
    const got = await collect(provider.generate(request()));
    expect(got.error).toMatchObject({ wireCode, retryable: false });
    expect(got.text).toBe(text);
  });

  test.each([
    [[], true],
    [['some'], false],
  ])('a cut after %j can be tried again: %s', async (tokens, retryable) => {
    const { provider } = await setUp(async (exchange) => {
      exchange.open();
      for (const token of tokens) await exchange.delta(token);
      await sleep(20);
      exchange.cut();
    });
    const { error, texts } = await collect(provider.generate(request()));
    expect(texts).toEqual(tokens);
    expect(error).toMatchObject({ wireCode: 'upstream_disconnected', retryable });
  });

  test.each([
    ['before the headers', () => {}, true],
    ['before the first token', (exchange) => void exchange.open(), true],
    [
      'in the middle',
      async (exchange) => {
        exchange.open();
        await exchange.delta('some');
      },
      false,
    ],
  ])('a stall %s', async (_, respond, retryable) => {
    const { upstream, provider } = await setUp(respond, { idleMs: 80 });
    const startedMs = performance.now();
    const { error } = await collect(provider.generate(request()));
    expect(error).toMatchObject({ wireCode: 'upstream_stalled', retryable });
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(79);
    await upstream.exchanges[0].closed;
  });

  test('a stream that is slow but never silent for idleMs goes through', async () => {
    const { provider } = await setUp(
      async (exchange) => {
        exchange.open();
        for (let i = 0; i < 8; i += 1) {
          await exchange.raw(': still there\n');
          await sleep(100);
        }
        await streamTokens({ tokens: ['x'] })({ ...bound(exchange), open: () => {} });
      },
      { idleMs: 600 },
    );
    expect((await collect(provider.generate(request()))).text).toBe('x');
  });

  test('time in which nobody asks does not count as silence', async () => {
    const { provider } = await setUp(
      async (exchange) => {
        exchange.open();
        await exchange.delta('a');
        await sleep(250);
        await exchange.delta('b');
        await exchange.finish();
        await exchange.done();
        exchange.end();
      },
      { idleMs: 150 },
    );
    const iterator = provider.generate(request());
    expect(await iterator.next()).toEqual({ done: false, value: 'a' });
    await sleep(400);
    expect(await collect(iterator)).toMatchObject({ text: 'b', end: { reason: 'stop' } });
  });

  test('what goes wrong after the finish reason takes nothing back', async () => {
    const { provider } = await setUp(async (exchange) => {
      exchange.open();
      await exchange.delta('all');
      await exchange.finish('stop');
      await sleep(20);
      exchange.cut();
    });
    expect(await collect(provider.generate(request()))).toMatchObject({
      text: 'all',
      end: { reason: 'stop' },
    });
  });

  test('an error object after some text', async () => {
    const { provider } = await setUp(async (exchange) => {
      exchange.open();
      await exchange.delta('some');
      await exchange.event({ error: { message: 'out of memory', code: 500 } });
    });
    const { text, error } = await collect(provider.generate(request()));
    expect(text).toBe('some');
    expect(error).toMatchObject({
      wireCode: 'upstream_error',
      retryable: false,
      message: 'The upstream reported: out of memory',
    });
  });
});

/** The methods of an exchange, to be mixed with others. */
function bound(exchange) {
  const methods = ['delta', 'finish', 'usage', 'done', 'end'];
  return {
    body: exchange.body,
    ...Object.fromEntries(methods.map((name) => [name, exchange[name].bind(exchange)])),
  };
}

describe('cancel', () => {
  const stalls = {
    'before the headers': () => {},
    'before the first token': (exchange) => void exchange.open(),
    'in the middle': async (exchange) => {
      exchange.open();
      await exchange.delta('some');
    },
  };

  describe.each(Object.entries(stalls))('%s', (_, respond) => {
    test.each(['the call', 'the request'])(
      'by the signal of %s closes the socket',
      async (whose) => {
        const { upstream, provider } = await setUp(respond);
        const abort = new AbortController();
        const iterator =
          whose === 'the call'
            ? provider.generate(request(), { signal: abort.signal })
            : provider.generate(request({ signal: abort.signal }));
        const result = collect(iterator);
        const exchange = await upstream.exchange(0);
        await sleep(20);
        expect(exchange.closedAtMs).toBeUndefined();
        const reason = new Error('changed my mind');
        abort.abort(reason);
        expect((await result).error).toBe(reason);
        await exchange.closed;
      },
    );

    test('by return() closes the socket though a next() is pending', async () => {
      const { upstream, provider } = await setUp(respond);
      const iterator = provider.generate(request());
      const result = collect(iterator);
      const exchange = await upstream.exchange(0);
      await sleep(20);
      expect(await iterator.return()).toEqual({ done: true, value: undefined });
      await exchange.closed;
      expect(await result).toMatchObject({ end: undefined });
      expect((await result).error).toBeUndefined();
    });
  });

  test('while connecting closes the socket', async () => {
    // To undici a TLS connection is connecting until the handshake is done, and this never is.
    let accepted;
    const socket = new Promise((resolve) => (accepted = resolve));
    const server = createServer(accepted);
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => new Promise((resolve) => server.close(resolve)));
    const provider = openai({ baseUrl: `https://127.0.0.1:${server.address().port}` });
    const abort = new AbortController();
    const result = collect(provider.generate(request(), { signal: abort.signal }));
    const peer = await socket;
    const closed = new Promise((resolve) => peer.on('close', resolve));
    peer.on('error', () => {}).resume();
    abort.abort();
    expect((await result).error.name).toBe('AbortError');
    await closed;
  });

  test('before the start makes no call', async () => {
    const { upstream, provider } = await setUp(streamTokens({ tokens: ['x'] }));
    const signal = AbortSignal.abort();
    expect((await collect(provider.generate(request(), { signal }))).error).toBe(signal.reason);
    expect((await collect(provider.generate(request({ signal })))).error).toBe(signal.reason);
    const iterator = provider.generate(request());
    await iterator.return();
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    await sleep(30);
    expect(upstream.connections).toBe(0);
  });

  test('break out of for await closes the socket', async () => {
    const { upstream, provider } = await setUp(
      streamTokens({ tokens: Array(500).fill('x'), intervalMs: 1 }),
    );
    for await (const text of provider.generate(request())) {
      expect(text).toBe('x');
      break;
    }
    await upstream.exchanges[0].closed;
  });

  test('close() of the provider ends the calls under way', async () => {
    const { upstream, provider } = await setUp(stalls['in the middle']);
    const result = collect(provider.generate(request()));
    const exchange = await upstream.exchange(0);
    await sleep(20);
    await provider.close();
    expect((await result).error).toMatchObject({ wireCode: 'upstream_disconnected' });
    await exchange.closed;
    expect(upstream.openSockets).toBe(0);
  });
});

describe('completions', () => {
  const completions = { mode: /** @type {const} */ ('completions') };

  test('one call for a batch, its choices split back', async () => {
    const { upstream, provider } = await setUp(async (exchange) => {
      exchange.open();
      for (let turn = 0; turn < 3; turn += 1) {
        for (const index of [2, 0, 1]) await exchange.delta(`${index}${'abc'[turn]} `, index);
      }
      await exchange.finish('length', 1);
      await exchange.delta('more', 0);
      await exchange.finish('stop', 0);
      await exchange.finish('stop', 2);
      await exchange.usage(9, 9);
      await exchange.done();
      exchange.end();
    }, completions);
    const requests = ['A', 'B', 'C'].map((prompt) => request({ prompt, maxTokens: 50 }));
    expect(await collectBatch(provider.generateBatch(requests), 3)).toEqual([
      { text: '0a 0b 0c more', endings: 1, end: { reason: 'stop' } },
      { text: '1a 1b 1c ', endings: 1, end: { reason: 'length' } },
      { text: '2a 2b 2c ', endings: 1, end: { reason: 'stop' } },
    ]);
    expect(upstream.exchanges).toHaveLength(1);
    expect(upstream.exchanges[0]).toMatchObject({
      path: '/v1/completions',
      body: { prompt: ['A', 'B', 'C'], model: 'm', max_tokens: 50, stream: true },
    });
    expect(provider.takesBatches).toBe(true);
  });

  test('one prompt gets its counts; messages become a prompt', async () => {
    const { upstream, provider } = await setUp(streamTokens({ tokens: ['a', 'b'] }), completions);
    const messages = [
      { role: 'system', content: 'be brief' },
      { role: 'user', content: 'hi' },
    ];
    const requests = [request({ prompt: undefined, messages })];
    expect(await collectBatch(provider.generateBatch(requests), 1)).toEqual([
      {
        text: 'ab',
        endings: 1,
        end: { reason: 'stop', usage: { prompt_tokens: 7, completion_tokens: 2 } },
      },
    ]);
    expect(upstream.exchanges[0].body.prompt).toEqual([
      'system: be brief\n\nuser: hi\n\nassistant:',
    ]);
  });

  test('requests that cannot share a call are grouped', async () => {
    const { upstream, provider } = await setUp(streamTokens({ tokens: ['x', 'y'] }), completions);
    const requests = [
      request({ prompt: 'a', model: 'm1' }),
      request({ prompt: 'b', model: 'm2' }),
      request({ prompt: 'c', model: 'm1' }),
      request({ prompt: 'd', model: 'm1', temperature: 0 }),
      request({ prompt: 'e', model: 'm1', stop: ['.'] }),
      request({ prompt: 'f', model: 'm1', temperature: 0 }),
    ];
    const answers = await collectBatch(provider.generateBatch(requests), 6);
    expect(answers.map(({ text, endings }) => [text, endings])).toEqual(Array(6).fill(['xy', 1]));
    expect(upstream.exchanges.map(({ body }) => body.prompt.join('')).sort()).toEqual([
      'ac',
      'b',
      'df',
      'e',
    ]);
  });

  test('a failure concerns only those that have not ended, and its own call', async () => {
    const { provider } = await setUp(async (exchange) => {
      if (exchange.body.model === 'fine') return streamTokens({ tokens: ['x'] })(exchange);
      exchange.open();
      await exchange.delta('whole', 0);
      await exchange.finish('stop', 0);
      await exchange.delta('part', 1);
      await sleep(20);
      exchange.cut();
    }, completions);
    const requests = ['m', 'm', 'm', 'fine'].map((model) => request({ model }));
    const answers = await collectBatch(provider.generateBatch(requests), 4);
    expect(answers).toMatchObject([
      { text: 'whole', end: { reason: 'stop' }, endings: 1 },
      { text: 'part', error: { wireCode: 'upstream_disconnected', retryable: false }, endings: 1 },
      { text: '', error: { wireCode: 'upstream_disconnected', retryable: true }, endings: 1 },
      { text: 'x', end: { reason: 'stop' }, endings: 1 },
    ]);
  });

  test('an index that was not asked for is an invalid response', async () => {
    const { provider } = await setUp(async (exchange) => {
      exchange.open();
      await exchange.delta('x', 2);
    }, completions);
    const [first, second] = await collectBatch(provider.generateBatch([request(), request()]), 2);
    expect(first.error).toMatchObject({ wireCode: 'upstream_invalid_response' });
    expect(second.error).toMatchObject({ wireCode: 'upstream_invalid_response' });
  });

  test('one abort silences one request, the last one closes the call', async () => {
    const { upstream, provider } = await setUp(async (exchange) => {
      exchange.open();
      while (exchange.closedAtMs === undefined) {
        await exchange.delta('x', 0);
        await exchange.delta('y', 1);
        await sleep(2);
      }
    }, completions);
    const aborts = [new AbortController(), new AbortController()];
    const counts = [0, 0];
    let countAtAbort = 0;
    for await (const item of provider.generateBatch(
      aborts.map(({ signal }) => request({ signal })),
    )) {
      expect(Object.keys(item).sort()).toEqual(['index', 'text']);
      counts[item.index] += 1;
      if (counts[0] === 5 && !aborts[0].signal.aborted) {
        aborts[0].abort();
        countAtAbort = counts[1];
      }
      if (counts[1] === countAtAbort + 20 && aborts[0].signal.aborted) aborts[1].abort();
    }
    expect(counts[0]).toBe(5);
    await upstream.exchanges[0].closed;
  });

  test('the signal of the batch rejects and closes every call', async () => {
    const { upstream, provider } = await setUp((exchange) => void exchange.open(), completions);
    const abort = new AbortController();
    const requests = [request({ model: 'm1' }), request({ model: 'm2' })];
    const result = collectBatch(provider.generateBatch(requests, { signal: abort.signal }), 2);
    const exchanges = [await upstream.exchange(0), await upstream.exchange(1)];
    abort.abort(new Error('enough'));
    await expect(result).rejects.toThrow('enough');
    await Promise.all(exchanges.map(({ closed }) => closed));
  });

  test('return() while a next() is pending closes every call', async () => {
    const { upstream, provider } = await setUp((exchange) => void exchange.open(), completions);
    const iterator = provider.generateBatch([request({ model: 'm1' }), request({ model: 'm2' })]);
    const pending = iterator.next();
    const exchanges = [await upstream.exchange(0), await upstream.exchange(1)];
    await iterator.return();
    expect(await pending).toEqual({ done: true, value: undefined });
    await Promise.all(exchanges.map(({ closed }) => closed));
  });

  test('each request of a batch is held to its max_tokens', async () => {
    const { upstream, provider } = await setUp(
      streamTokens({ tokens: Array(500).fill('x'), intervalMs: 1 }),
      completions,
    );
    const requests = [request({ maxTokens: 4 }), request({ maxTokens: 4 })];
    const answers = await collectBatch(provider.generateBatch(requests), 2);
    const expected = { text: 'xxxx', endings: 1, end: { reason: 'length' } };
    expect(answers).toEqual([expected, expected]);
    await upstream.exchanges[0].closed;
  });
});

test('a reader that stops reading bounds what the upstream can send', async () => {
  // Far more than what the kernel's buffers of a loopback connection grow to.
  const total = 128 * 2 ** 20;
  const event = `data: {"choices":[{"delta":{"content":"${'x'.repeat(8000)}"}}]}\n\n`;
  let sent = 0;
  const { provider } = await setUp(async (exchange) => {
    exchange.open();
    while (sent < total && exchange.closedAtMs === undefined) {
      await exchange.raw(event);
      sent += event.length;
    }
  });
  const iterator = provider.generate(request());
  expect((await iterator.next()).value).toHaveLength(8000);
  let plateau = -1;
  while (plateau !== sent) {
    plateau = sent;
    await sleep(300);
  }
  expect(sent).toBeLessThan(total / 4);
  // When the reader goes on, so does the upstream.
  for (let i = 0; i < 4000; i += 1) await iterator.next();
  expect(sent).toBeGreaterThan(plateau);
  await iterator.return();
});

describe('options', () => {
  test.each([
    [{}, TypeError, /baseUrl takes a string/],
    [{ baseUrl: 'nowhere' }, RangeError, /baseUrl takes an http or https URL/],
    [{ baseUrl: 'ftp://h/' }, RangeError, /baseUrl/],
    [{ baseUrl: 'http://u:secret@h/' }, RangeError, /without credentials/],
    [{ baseUrl: 'http://h/?a=1' }, RangeError, /baseUrl/],
    [
      { baseUrl: 'http://h', mode: 'images' },
      RangeError,
      /mode takes one of "chat", "completions"/,
    ],
    [{ baseUrl: 'http://h', idleMs: 0 }, RangeError, /idleMs takes milliseconds/],
    [{ baseUrl: 'http://h', model: 5 }, TypeError, /model takes a string/],
    [{ baseUrl: 'http://h', apiKey: 5 }, TypeError, /apiKey takes a string$/],
    [{ baseUrl: 'http://h', apiKey: 'secret\r\nx: y' }, RangeError, /apiKey takes visible ASCII/],
    [
      { baseUrl: 'http://h', headers: { 'x y': 'z' } },
      RangeError,
      /headers takes valid names, not "x y"/,
    ],
    [
      { baseUrl: 'http://h', headers: { x: 'secret\n' } },
      RangeError,
      /headers\["x"\] takes a valid/,
    ],
    [{ baseUrl: 'http://h', headers: { x: 5 } }, TypeError, /headers\["x"\] takes a string/],
  ])('%j is refused', (options, type, message) => {
    let error;
    try {
      openai(/** @type {any} */ (options));
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(type);
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('secret');
  });
});

describe('parseRetryAfterMs', () => {
  const nowMs = isoDate('1994-11-06T08:49:27Z');
  test.each([
    [{}, undefined],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': '120' }, 120_000],
    [{ 'retry-after-ms': '350', 'retry-after': '1' }, 350],
    // The three forms of an HTTP date (RFC 9110, section 5.6.7).
    [{ 'retry-after': 'Sun, 06 Nov 1994 08:49:37 GMT' }, 10_000],
    [{ 'retry-after': 'Sunday, 06-Nov-94 08:49:37 GMT' }, 10_000],
    [{ 'retry-after': 'Sun Nov  6 08:49:37 1994' }, 10_000],
    [{ 'retry-after': 'Sun, 06 Nov 1994 08:00:00 GMT' }, 0],
    [{ 'retry-after': '-5' }, undefined],
    [{ 'retry-after': 'soon' }, undefined],
  ])('%j', (headers, expected) => {
    expect(parseRetryAfterMs(headers, nowMs)).toBe(expected);
  });
});

test('quoteUpstream makes one short line without secrets', () => {
  expect(quoteUpstream(undefined, [])).toBe('');
  expect(quoteUpstream('a\r\n\tb\u0007c', [])).toBe('a b c');
  expect(quoteUpstream('key sk-proj-abc123*** and Bearer abc.def', [])).toBe(
    'key [redacted] and [redacted]',
  );
  const long = quoteUpstream(`${'x'.repeat(199)}\u{1f600}y`, []);
  expect(long).toBe(`${'x'.repeat(199)}...`);
});
