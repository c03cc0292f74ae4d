import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { streamTokens } from '../../../support/upstream/mock-upstream.js';
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
        async (target) => {
          const { upstream, provider } = await setUp(respond);
          const abort = new AbortController();
          const iterator =
            target === 'the call'
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
      const provider = provide({ baseUrl: `https://127.0.0.1:${server.address().port}` });
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

    test('close() of the provider ends the running calls', async () => {
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
});
