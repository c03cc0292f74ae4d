import { setTimeout as sleep } from 'node:timers/promises';
import { createGateway } from '../../../../lib/index.js';
import { openai } from '../../../../lib/providers/openai/provider.js';
import { startMockUpstream, streamTokens } from '../../../support/upstream/mock-upstream.js';
import { until } from '../../../support/until.js';
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
        end: {
          reason: 'stop',
          usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
        },
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

    test('passes messages on, and omits unset members', async () => {
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

    test('a job without a model leaves the choice to a server without a configured one', async () => {
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
      const provider = provide({ baseUrl: upstream.url + ending });
      expect((await collect(provider.generate(request()))).text).toBe('x');
      expect(upstream.exchanges[0].path).toBe(path);
    });

    test('a connection is reused if its answer ends after [DONE]', async () => {
      let onCollected;
      const { upstream, provider } = await setUp(async (exchange) => {
        exchange.open();
        await exchange.delta('x');
        await exchange.finish();
        const collected = new Promise((resolve) => (onCollected = resolve));
        await exchange.done();
        await collected;
        exchange.end();
      });
      // Only the client knows when the end has arrived.
      await until(async () => {
        const before = upstream.connections;
        expect((await collect(provider.generate(request()))).text).toBe('x');
        onCollected();
        return upstream.connections === before;
      }, 'a call on a connection that there was');
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

    test('a server without stream_options is called again without them, and from then on', async () => {
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

    test('accepts the whole answer of a server that does not stream', async () => {
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
        end: {
          reason: 'length',
          usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
        },
      });
    });

    test('an upstream that was sent max_tokens is not cut by the count of its pieces', async () => {
      // A piece is not a token: `Hello` may arrive in five.
      const { provider } = await setUp(streamTokens({ tokens: [...'Hello'] }));
      expect(await collect(provider.generate(request({ maxTokens: 2 })))).toMatchObject({
        text: 'Hello',
        end: { reason: 'stop' },
      });
    });
  });

  test('a reader that stops reading bounds what the upstream can send', async () => {
    // Far more than the kernel's buffers of a loopback connection hold.
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
    // When the reader continues, so does the upstream, at the same pace: the bytes in between do not exceed
    // the kernel's buffers.
    for (let i = 0; i < 4000; i += 1) expect((await iterator.next()).done).toBe(false);
    expect(sent).toBeGreaterThan(plateau);
    expect(sent - 4000 * event.length).toBeLessThan(plateau + 16 * 2 ** 20);
    await iterator.return();
  });
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
