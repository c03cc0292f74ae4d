import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { SluiceError } from '../../../../lib/internal/util/errors.js';
import { ProviderError } from '../../../../lib/providers/shared/errors.js';
import { startMockUpstream, streamTokens } from '../../../support/upstream/mock-upstream.js';
import {
  cleanups,
  collect,
  request,
  by,
  clients,
  stopProviders,
} from '../../../support/providers/openai-provider.js';

afterEach(stopProviders);

describe.each(clients)('by %s', (client) => {
  const { provide, setUp } = by(client);

  const sse = { 'content-type': 'text/event-stream' };

  /** The bound methods of an exchange. */
  function bound(exchange) {
    const methods = ['delta', 'finish', 'usage', 'done', 'end'];
    return {
      body: exchange.body,
      ...Object.fromEntries(methods.map((name) => [name, exchange[name].bind(exchange)])),
    };
  }

  describe('errors', () => {
    const json = { 'content-type': 'application/json' };
    const answer = (status, headers, body) => (exchange) => {
      exchange.open(status, headers);
      exchange.res.end(body);
    };
    const errorBody = JSON.stringify({
      error: { message: 'that\n is password: 1x not\u0000 fine' },
    });

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
      [
        'an unknown path',
        404,
        {},
        'not found',
        'upstream_bad_request',
        false,
        /\(404\): not found$/,
      ],
      ['a wrong key', 401, json, errorBody, 'upstream_unauthorized', false, /credentials \(401\)$/],
      [
        'a key without the right',
        403,
        json,
        errorBody,
        'upstream_unauthorized',
        false,
        /credentials \(403\)$/,
      ],
      ['a rate limit', 429, json, errorBody, 'upstream_rate_limited', true, /429/],
      [
        'an internal error',
        500,
        json,
        errorBody,
        'upstream_unavailable',
        true,
        /500: that is \[redacted\] not fine$/,
      ],
      ['an overload', 503, {}, '<html>', 'upstream_unavailable', true, /status 503$/],
      [
        'a redirect',
        302,
        { location: '/' },
        '',
        'upstream_invalid_response',
        false,
        /redirects \(status 302\) to \//,
      ],
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
      ['an empty stream', 200, sse, '', 'upstream_incomplete', true, /finish reason/],
      [
        '[DONE] without a finish reason',
        200,
        sse,
        'data: [DONE]\n\n',
        'upstream_incomplete',
        true,
        /finish reason/,
      ],
      [
        'an event beyond the limit',
        200,
        sse,
        `data: ${'x'.repeat(2 ** 24 + 64)}\n\n`,
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
      const { upstream, provider } = await setUp(answer(status, headers, body), {
        apiKey: 'key-1',
      });
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
      const provider = provide({ baseUrl: upstream.url });
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
      const provider = provide({ baseUrl: `http://127.0.0.1:${server.address().port}` });
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
      ['before the headers', 80, () => {}, true],
      ['before the first token', 80, (exchange) => void exchange.open(), true],
      [
        'in the middle',
        // The token has to be there before this has passed, on a busy machine too.
        1500,
        async (exchange) => {
          exchange.open();
          await exchange.delta('some');
        },
        false,
      ],
    ])('a stall %s', async (_, idleMs, respond, retryable) => {
      const { upstream, provider } = await setUp(respond, { idleMs });
      const startedMs = performance.now();
      const { error } = await collect(provider.generate(request()));
      expect(error).toMatchObject({ wireCode: 'upstream_stalled', retryable });
      expect(performance.now() - startedMs).toBeGreaterThanOrEqual(idleMs - 1);
      await upstream.exchanges[0].closed;
    });

    test('a stream that is slow but never silent for idleMs goes through', async () => {
      const { provider } = await setUp(
        async (exchange) => {
          exchange.open();
          for (let i = 0; i < 8; i += 1) {
            await exchange.raw(': still there\n');
            await sleep(250);
          }
          await streamTokens({ tokens: ['x'] })({ ...bound(exchange), open: () => {} });
        },
        { idleMs: 1500 },
      );
      expect((await collect(provider.generate(request()))).text).toBe('x');
    });

    test('time without a read does not count as silence', async () => {
      let onSent;
      const sent = new Promise((resolve) => (onSent = resolve));
      const { provider } = await setUp(
        async (exchange) => {
          exchange.open();
          await exchange.delta('a');
          await sleep(1800);
          await exchange.delta('b');
          await exchange.finish();
          await exchange.done();
          exchange.end();
          onSent();
        },
        { idleMs: 1500 },
      );
      const iterator = provider.generate(request());
      expect(await iterator.next()).toEqual({ done: false, value: 'a' });
      await sent;
      expect(await collect(iterator)).toMatchObject({ text: 'b', end: { reason: 'stop' } });
    });

    test('a failure after the finish reason changes nothing', async () => {
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
});
