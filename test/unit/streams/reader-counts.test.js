/** `readers` of a hub: the first reader of a log and the departure of the last one. */
import { JobHub } from '../../../lib/streams/hub.js';
import { hubOptions } from '../../support/streams/hub-options.js';
import { manualReactor } from '../../../lib/internal/native/reactor.js';
import { ManualClock } from '../../../lib/internal/time/clock.js';

const job = { jobId: 'job_a', onDisconnect: 'continue', disconnectGraceMs: 0, maxWallMs: 1e9 };
const handler = { onOpen() {}, onFrames() {}, onEnd() {} };

/** @type {JobHub[]} */
const hubs = [];
afterEach(() => hubs.splice(0).forEach((hub) => hub.close()));

function createHub(options) {
  const reactors = [manualReactor(new ManualClock())];
  const hub = new JobHub({ ...hubOptions, reactors, ...options });
  hubs.push(hub);
  const changes = [];
  hub.events.on('readers', (handle, present) => changes.push([handle, present]));
  return { hub, changes };
}

test('subscribers and holds count alike', () => {
  const { hub, changes } = createHub({ countReaders: true });
  const handle = hub.create(job);
  expect(hub.hasReader(handle)).toBe(false);
  const release = hub.hold(handle);
  const subscriber = hub.openStream([{ handle, cursor: '' }], handler);
  release();
  expect(changes).toEqual([[handle, true]]);
  expect(hub.hasReader(handle)).toBe(true);
  subscriber.detach();
  expect(hub.hasReader(handle)).toBe(false);
  subscriber.detach();
  hub.hold(handle)();
  const expected = [true, false, true, false].map((present) => [handle, present]);
  expect(changes).toEqual(expected);
});

test('a fan-in is a reader of each of its logs', () => {
  const { hub, changes } = createHub({ countReaders: true });
  const handles = ['job_a', 'job_b'].map((jobId) => hub.create({ ...job, jobId }));
  const members = handles.map((handle) => ({ handle, cursor: '', jobId: 'x' }));
  const subscriber = hub.openStream(members, handler, { fanIn: true });
  subscriber.detach();
  const expected = [true, false].flatMap((present) => handles.map((handle) => [handle, present]));
  expect(changes).toEqual(expected);
});

test('a subscriber ended by the hub does not count', () => {
  const { hub, changes } = createHub({ countReaders: true });
  const handle = hub.create(job);
  hub.openStream([{ handle, cursor: '' }], handler);
  hub.purge(handle);
  expect(changes).toEqual([
    [handle, true],
    [handle, false],
  ]);
});

test('nothing is counted by default', () => {
  const { hub, changes } = createHub();
  const handle = hub.create(job);
  hub.hold(handle)();
  expect(changes).toEqual([]);
  expect(hub.hasReader(handle)).toBe(false);
});
