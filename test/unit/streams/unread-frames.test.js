/** Short logs that have ended without a reader: their frames arrive with the ending. */
import { ManualClock } from '../../../lib/internal/time/clock.js';
import { JobHub } from '../../../lib/streams/hub.js';
import { hubOptions } from '../../support/streams/hub-options.js';
import { manualReactor } from '../../../lib/internal/native/reactor.js';

const job = { jobId: 'job_a', onDisconnect: 'continue', disconnectGraceMs: 0, maxWallMs: 1e9 };

/** @type {JobHub[]} */
const hubs = [];
afterEach(() => hubs.splice(0).forEach((hub) => hub.close()));

function createHub(options) {
  const hub = new JobHub({
    ...hubOptions,
    reactors: [manualReactor(new ManualClock())],
    ...options,
  });
  hubs.push(hub);
  return hub;
}

/** A job that has ended, with a reader until then or without one. */
function endedJob(hub, texts, { read = false } = {}) {
  const handle = hub.create(job);
  hub.start(handle);
  if (read) hub.openStream([{ handle, cursor: '' }], reader().handler);
  for (const text of texts) hub.append(handle, text);
  hub.finish(handle, { type: 'complete', reason: 'stop' });
  return handle;
}

/** The calls of a reader; `at` is whether each was made before `openStream` returned or in a later turn. */
function reader() {
  const got = { whole: [], opened: 0, ended: [] };
  const handler = {
    onOpen: () => (got.opened += 1),
    onFrames: () => {},
    onWhole: (frames) => got.whole.push(frames),
    onEnd: (reason) => got.ended.push(reason),
  };
  return { got, handler };
}

/** Opens a stream; returns the frames from within the call, and after the reactor's turn. */
async function open(hub, handle, cursor = '') {
  const { got, handler } = reader();
  hub.openStream([{ handle, cursor }], handler);
  const atOnce = [...got.whole];
  await null;
  return { atOnce, ...got };
}

test('are delivered at once, equal to the reactor’s', async () => {
  const hub = createHub();
  const [unread, read] = [endedJob(hub, ['a', 'b']), endedJob(hub, ['a', 'b'], { read: true })];
  const quick = await open(hub, unread);
  const slow = await open(hub, read);
  expect(quick.atOnce).toHaveLength(1);
  expect(slow.atOnce).toHaveLength(0);
  const [frames] = slow.whole;
  expect(frames).toContain('event: job_complete');
  // The two could differ only in their times, which are fixed here.
  expect(quick.whole).toEqual([frames]);
  expect(hub.subscriberCount).toBe(1);
});

test('are delivered to the first reader alone: the second receives the same from the reactor', async () => {
  const hub = createHub();
  const handle = endedJob(hub, ['a', 'b']);
  const [first, second] = [await open(hub, handle), await open(hub, handle)];
  expect(first.atOnce).toHaveLength(1);
  expect(second.atOnce).toHaveLength(0);
  expect(second.whole).toEqual(first.whole);
});

test.each([
  ['with a cursor', (hub, handle) => open(hub, handle, '1-1')],
  [
    'in a fan-in',
    async (hub, handle) => {
      const { got, handler } = reader();
      hub.openStream([{ handle, cursor: '' }], handler, { fanIn: true });
      const atOnce = [...got.whole];
      await null;
      return { atOnce, ...got };
    },
  ],
])('a reader %s reads from the reactor', async (_name, openAs) => {
  const hub = createHub();
  const { atOnce, whole } = await openAs(hub, endedJob(hub, ['a', 'b']));
  expect(atOnce).toEqual([]);
  expect(whole).toHaveLength(1);
});

test('a cursor at the end is answered as finished', async () => {
  const hub = createHub();
  const { whole, opened } = await open(hub, endedJob(hub, ['a', 'b']), '1-3');
  expect([whole, opened]).toEqual([[], 1]);
});

test('count among the bytes of the logs until the job is purged or retried', async () => {
  const hub = createHub();
  const [purged, reopened] = [endedJob(hub, ['a']), endedJob(hub, ['b'])];
  const before = hub.logBytes;
  const [frames] = (await open(hub, purged)).whole;
  hub.purge(purged);
  expect(before - hub.logBytes).toBeGreaterThanOrEqual(frames.length);
  const { ended } = await open(hub, purged);
  expect(ended).toEqual(['purged']);
  hub.reopen(reopened);
  expect((await open(hub, reopened)).whole).toEqual([]);
});

test('with reader counts every reader reads from the reactor', async () => {
  const hub = createHub({ countReaders: true });
  const { atOnce, whole } = await open(hub, endedJob(hub, ['a']));
  expect([atOnce.length, whole.length]).toEqual([0, 1]);
});
