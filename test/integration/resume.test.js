/**
 * Resume by real EventSource implementations, through a proxy that cuts the stream at every event.
 * (Chromium's is in test/browser.)
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { EventSource as NpmEventSource } from 'eventsource';
import { EventSource as UndiciEventSource } from 'undici';
import { createGateway } from '../../lib/index.js';
import { cuttingProxy } from '../fixtures/cutting-proxy.js';
import { listProvider } from '../fixtures/script-provider.js';
import { postJob } from '../fixtures/sse-client.js';

const tokens = ['a', 'b\n', 'c\r', 'd"', 'é', '😀', 'g', 'h'];

// Native egress and the way through Node must be the same to a client.
describe.each(['auto', 'node'])('egress %s', (egress) => {
  const cleanups = [];
  afterEach(async () => {
    while (cleanups.length > 0) await cleanups.pop()();
  });

  /**
   * Reads a stream as an application would: ids and tokens as they come, closed at the terminal event.
   */
  function readWith(Source, url) {
    return new Promise((resolve, reject) => {
      const source = new Source(url);
      const seen = { ids: [], text: '', errors: 0 };
      const timer = setTimeout(() => reject(new Error(`stuck at ${seen.ids.at(-1)}`)), 20_000);
      const finish = (event) => {
        clearTimeout(timer);
        seen.ids.push(event.lastEventId);
        source.close();
        resolve(seen);
      };
      source.addEventListener('token', (event) => {
        seen.ids.push(event.lastEventId);
        seen.text += JSON.parse(event.data).token;
      });
      source.addEventListener('gap', () => reject(new Error('a gap')));
      source.addEventListener('job_complete', finish);
      source.addEventListener('error', () => {
        seen.errors += 1;
      });
    });
  }

  const clients = [
    ['npm eventsource', NpmEventSource],
    ['undici', UndiciEventSource],
  ];

  describe.each(clients)('%s', (_name, Source) => {
    test.each([
      ['after each event', { eventsPerConnection: 1 }],
      ['in the middle of each event', { eventsPerConnection: 1, half: true }],
      ['after every third event', { eventsPerConnection: 3 }],
    ])('cut %s: nothing lost, nothing doubled', async (_when, cut) => {
      const gateway = createGateway({
        provider: listProvider(tokens),
        logger: false,
        egress,
        reconnectMs: 10,
      });
      cleanups.push(() => gateway.close({ drainMs: 0 }));
      const server = await gateway.listen({ port: 0 });
      const proxy = await cuttingProxy(server.port, cut);
      cleanups.push(proxy.close);
      const { body: job } = await postJob(server.url, { prompt: 'hi' });
      const seen = await readWith(Source, `http://127.0.0.1:${proxy.port}${job.stream_url}`);
      expect(seen.ids).toEqual(Array.from({ length: tokens.length + 1 }, (_, i) => `1-${i + 1}`));
      expect(seen.text).toBe(tokens.join(''));
      // It really was cut: one connection carries this many events at the most.
      const needed = Math.ceil((tokens.length + 1) / cut.eventsPerConnection);
      expect(proxy.connections()).toBeGreaterThanOrEqual(needed);
    });
  });

  test.each(clients)('%s stops for good at 204', async (_name, Source) => {
    const gateway = createGateway({
      provider: listProvider(['a']),
      logger: false,
      egress,
      reconnectMs: 10,
    });
    cleanups.push(() => gateway.close({ drainMs: 0 }));
    const server = await gateway.listen({ port: 0 });
    const { body: job } = await postJob(server.url, { prompt: 'hi' });
    await readWith(Source, server.url + job.stream_url);
    const source = new Source(`${server.url}${job.stream_url}&last_event_id=1-2`);
    await new Promise((resolve) => source.addEventListener('error', resolve));
    expect(source.readyState).toBe(Source.CLOSED);
  });
});
