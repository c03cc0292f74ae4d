/** Readers that wait, with changes in the very turn in which they begin to. */
import { ManualClock } from '../../../../lib/index.js';
import { DurableStreams, partitionLimits } from '../../../../lib/services/durable/service.js';
import { KvNamespaces } from '../../../../lib/primitives/kv/namespaces.js';
import { deadlinesOf } from '../../../../lib/internal/time/timers.js';

const MIB = 2 ** 20;

function create() {
  const clock = new ManualClock();
  const options = { maxBytes: MIB, maxBytesPerPrincipal: MIB, ttlMs: Infinity };
  Object.assign(options, { maxStreams: 100, maxStreamsPerPrincipal: 100 });
  const namespaces = new KvNamespaces(clock);
  const streams = new DurableStreams({
    ...{ namespaces, options, memory: { check: () => {} } },
    partition: namespaces.partition('durable', partitionLimits(options)),
    ...{ unixMs: () => clock.nowMs(), timers: deadlinesOf(clock) },
  });
  const put = (path) =>
    streams.create('ann', path, { type: 'text/plain', closed: false }, Buffer.from('one'));
  const append = (path, text, close = false) =>
    streams.append('ann', path, { body: Buffer.from(text), type: 'text/plain', close });
  return { clock, streams, put, append };
}

const textOf = ({ chunks }) => Buffer.concat(chunks).toString();
const never = new AbortController().signal;

test('an append, a closing and a deletion right after the start of a wait end it', async () => {
  const { streams, put, append } = create();
  await put('a');
  const first = await streams.read('ann', 'a', '-1');
  const waits = () => streams.next('ann', 'a', first, never);
  const [waiting] = [waits(), append('a', 'two')];
  expect(textOf(await waiting)).toBe('two');
  const last = await streams.read('ann', 'a', 'now');
  const [closing] = [streams.next('ann', 'a', last, never), append('a', '', true)];
  expect(await closing).toMatchObject({ chunks: [], closed: true });

  await put('b');
  const before = await streams.read('ann', 'b', '-1');
  const [deleted] = [streams.next('ann', 'b', before, never), streams.delete('ann', 'b')];
  await expect(deleted).rejects.toMatchObject({ status: 404, wireCode: 'stream_not_found' });
});

test('a stream that was deleted and created again ends the wait of a reader', async () => {
  const { streams, put, append } = create();
  await put('a');
  const first = await streams.read('ann', 'a', '-1');
  const waiting = streams.next('ann', 'a', first, never);
  const refused = expect(waiting).rejects.toMatchObject({ status: 404 });
  await streams.delete('ann', 'a');
  await put('a');
  await append('a', 'other');
  await refused;
});

test('follow yields each part once, by both methods, and ends with the stream', async () => {
  const { streams, put, append } = create();
  await put('a');
  const parts = [];
  const following = (async () => {
    const first = await streams.read('ann', 'a', '-1');
    for await (const read of streams.follow('ann', 'a', first, never)) parts.push(textOf(read));
  })();
  for (let i = 0; i < 100; i += 1) {
    if (i % 3 === 0) await append('a', `${i},`);
    else void append('a', `${i},`);
  }
  await append('a', 'end', true);
  await following;
  const numbers = Array.from({ length: 100 }, (_, i) => `${i},`).join('');
  expect(parts.join('')).toBe(`one${numbers}end`);
});

test('an abort and the end of the gateway end a read without data', async () => {
  const { streams, put } = create();
  await put('a');
  const first = await streams.read('ann', 'a', '-1');
  const leave = new AbortController();
  const left = streams.next('ann', 'a', first, leave.signal);
  const closed = streams.next('ann', 'a', first, never);
  leave.abort();
  expect(await left).toMatchObject({ chunks: [], from: 3, to: 3, upToDate: true, closed: false });
  streams.close();
  expect(await closed).toMatchObject({ chunks: [], to: 3, closed: false });
});

test('reads store the expiry now and then, and waiting does not', async () => {
  const { clock, streams } = create();
  const settings = { type: 'text/plain', ttlS: 100, closed: false };
  await streams.create('ann', 'a', settings, Buffer.alloc(0));
  const stored = async () => (await streams.head('ann', 'a')).deadlineMs;
  expect(await stored()).toBe(100_000);
  clock.advanceMs(9000);
  await streams.read('ann', 'a', '-1');
  expect(await stored()).toBe(100_000);
  clock.advanceMs(2000);
  const read = await streams.read('ann', 'a', '-1');
  expect(await stored()).toBe(111_000);
  const leave = new AbortController();
  const waiting = streams.next('ann', 'a', read, leave.signal);
  clock.advanceMs(500_000);
  expect(await stored()).toBe(111_000);
  leave.abort();
  await waiting;
  // That read was the last access.
  expect(await stored()).toBe(611_000);
});
