/**
 * Resume by real EventSource implementations, through a proxy that cuts the stream at every event.
 * (Chromium's is in test/browser.)
 */
import { EventSource as NpmEventSource } from 'eventsource';
import { EventSource as UndiciEventSource } from 'undici';
import { cuttingProxy } from '../../../support/client/cutting-proxy.js';
import { cleanUp, start, stopAll } from '../../../support/gateway/gateway.js';
import { listProvider } from '../../../support/providers/providers.js';

const tokens = ['a', 'b\n', 'c\r', 'd"', 'é', '😀', 'g', 'h'];

// Native egress and egress through Node must look the same to a client.
describe.each(['auto', 'node'])('egress %s', (egress) => {
  afterEach(stopAll);

  /**
   * Reads a stream as an application would: ids and tokens as they arrive, closed at the terminal event.
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
      const { server, submit } = await start({
        provider: listProvider(tokens),
        egress,
        reconnectMs: 10,
      });
      const proxy = await cuttingProxy(server.port, cut);
      cleanUp(proxy.close);
      const { body: job } = await submit({ prompt: 'hi' });
      const seen = await readWith(Source, `http://127.0.0.1:${proxy.port}${job.stream_url}`);
      expect(seen.ids).toEqual(Array.from({ length: tokens.length + 1 }, (_, i) => `1-${i + 1}`));
      expect(seen.text).toBe(tokens.join(''));
      // It really was cut: one connection carries this many events at the most.
      const needed = Math.ceil((tokens.length + 1) / cut.eventsPerConnection);
      expect(proxy.connections()).toBeGreaterThanOrEqual(needed);
    });
  });

  test.each(clients)('%s does not reconnect after 204', async (_name, Source) => {
    const provider = listProvider(['a']);
    const { url, submit } = await start({ provider, egress, reconnectMs: 10 });
    const { body: job } = await submit({ prompt: 'hi' });
    await readWith(Source, url + job.stream_url);
    const source = new Source(`${url}${job.stream_url}&last_event_id=1-2`);
    await new Promise((resolve) => source.addEventListener('error', resolve));
    expect(source.readyState).toBe(Source.CLOSED);
  });
});
