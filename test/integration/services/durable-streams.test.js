/** `/v1/durable` of one process. */
import { ManualClock } from '../../../lib/index.js';
import { eventsOf, testDurable } from '../../support/gateway/durable-tests.js';
import { partsOf } from '../../support/gateway/parts.js';
import { startDurable } from '../../support/gateway/durable.js';
import { stopAll } from '../../support/gateway/gateway.js';

afterEach(stopAll);

describe('in memory', () =>
  testDurable(startDurable, async (gateway) => partsOf(gateway).durable.size));

test('the memory budget counts streams', async () => {
  const { put, append, remove } = await startDurable({ memoryBudgetBytes: 2 ** 20 });
  await put('a', '');
  let last;
  let appends = 0;
  do {
    last = await append('a', Buffer.alloc(60_000));
    appends += 1;
  } while (last.status === 204);
  expect([last.status, last.error.code]).toEqual([507, 'durable_full']);
  expect(appends).toBeGreaterThan(10);
  await remove('a');
  expect((await put('b', Buffer.alloc(60_000))).status).toBe(201);
});

describe('expiry', () => {
  const ttl = (seconds) => ({ 'stream-ttl': String(seconds) });

  test('happens at its time, unless there is a read or an append', async () => {
    const clock = new ManualClock();
    const { gateway, put, append, read, head } = await startDurable({ clock });
    await put('a', 'x', ttl(10));
    for (let i = 0; i < 3; i += 1) {
      clock.advanceMs(9000);
      expect((await read('a')).status).toBe(200);
      clock.advanceMs(9000);
      expect((await append('a', 'x')).status).toBe(204);
    }
    clock.advanceMs(9000);
    expect((await head('a')).headers.get('stream-ttl')).toBe('10');
    clock.advanceMs(2000);
    // The sweep has deleted it before any request.
    expect(partsOf(gateway).durable.size).toBe(0);
    expect((await read('a')).status).toBe(404);
  });

  test('does not happen while a reader waits', async () => {
    const clock = new ManualClock();
    const { put, append, at, read, readers } = await startDurable({
      clock,
      durable: { longPollMs: 600_000, sseMs: 600_000 },
    });
    await put('a', 'x', ttl(2));
    const poll = read('a', '?offset=now&live=long-poll');
    const events = (await fetch(at('a?offset=now&live=sse'))).text();
    await readers(2);
    for (let i = 0; i < 10; i += 1) clock.advanceMs(1000);
    await append('a', 'y', { 'stream-closed': 'true' });
    expect((await poll).text).toBe('y');
    expect(eventsOf(await events).at(-2)).toEqual({ type: 'data', data: 'y' });
  });

  test('is that of the option where a stream does not set one', async () => {
    const clock = new ManualClock();
    const { put, head } = await startDurable({ clock, durable: { ttlMs: 5000 } });
    await put('default', 'x');
    await put('own', 'x', ttl(60));
    expect((await head('default')).headers.get('stream-ttl')).toBe('5');
    expect((await put('default', 'x')).status).toBe(200);
    clock.advanceMs(6000);
    expect((await head('default')).status).toBe(404);
    expect((await head('own')).status).toBe(200);
  });
});
