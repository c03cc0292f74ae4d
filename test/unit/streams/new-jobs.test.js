/**
 * Jobs that end in the turn of their creation: their reactor gets them with their end. All others go the ordinary way.
 */
import { JobHub } from '../../../lib/streams/hub.js';
import { hubOptions } from '../../support/streams/hub-options.js';
import { sharedReactors } from '../../../lib/internal/native/reactor.js';

const job = { jobId: 'job_a', onDisconnect: 'continue', disconnectGraceMs: 0, maxWallMs: 60_000 };
const STOP = { type: 'complete', reason: 'stop' };

/** @type {JobHub[]} */
const hubs = [];
afterEach(() => hubs.splice(0).forEach((hub) => hub.close()));

function createHub(options) {
  const hub = new JobHub({
    ...hubOptions,
    reactors: sharedReactors(1),
    retentionMs: 60_000,
    ...options,
  });
  hubs.push(hub);
  const ended = new Map();
  const purged = [];
  hub.events.on('ended', (handle, state) => ended.set(handle, state));
  hub.events.on('purged', (handle) => purged.push(handle));
  return { hub, ended, purged };
}

/** @returns {Promise<any[]>} arguments of the event, once it is for this job */
function once(hub, event, handle) {
  return new Promise((resolve) => {
    hub.events.on(event, (each, ...rest) => {
      if (each === handle) resolve(rest);
    });
  });
}

function begin(hub, options = job) {
  const handle = hub.create(options);
  hub.start(handle);
  return handle;
}

/** A job that ends in this turn. */
function quickJob(hub, texts, terminal = STOP) {
  const handle = begin(hub);
  for (const text of texts) hub.append(handle, text);
  hub.finish(handle, terminal);
  return handle;
}

/** The same job, known to its reactor from the beginning. */
async function ordinaryJob(hub, texts, terminal = STOP) {
  const handle = begin(hub);
  await hub.snapshot(handle);
  const ended = once(hub, 'ended', handle);
  for (const text of texts) hub.append(handle, text);
  hub.finish(handle, terminal);
  await ended;
  return handle;
}

/** All frames for a reader with this cursor; `atOnce`: in the call itself. */
function read(hub, handle, cursor = '') {
  let atOnce = true;
  const got = new Promise((resolve, reject) => {
    const handler = {
      onOpen: (finished) => resolve({ finished }),
      onFrames: () => {},
      onWhole: (frames) => resolve({ frames, atOnce }),
      onEnd: reject,
    };
    hub.openStream([{ handle, cursor }], handler);
  });
  atOnce = false;
  return got;
}

/** Times differ from run to run. */
const timeless = (value) =>
  JSON.stringify(value).replace(/"?(queue_ms|ttft_ms|duration_ms|tokens_per_second)[^,}]+/g, '$1');

test.each([
  ['with text', ['a', 'b "c"\n', '€'], STOP],
  ['without text', [], STOP],
  [
    'with the counts of its provider',
    ['a'],
    { ...STOP, usage: { prompt_tokens: 3, completion_tokens: 4 } },
  ],
  ['with an error', ['a'], { type: 'error', error: { code: 'c', message: 'm', type: 't' } }],
  ['cancelled', ['a'], { type: 'cancelled', reason: 'client_request' }],
])('a job %s has the state and the frames of an ordinary one', async (_name, texts, terminal) => {
  const { hub, ended } = createHub();
  const quick = quickJob(hub, texts, terminal);
  expect(ended.has(quick)).toBe(true);
  expect(hub.ended(quick)).toBe(true);
  const ordinary = await ordinaryJob(hub, texts, terminal);
  expect(timeless(ended.get(quick))).toBe(timeless(ended.get(ordinary)));
  for (const cursor of ['', '', '1-1', '7-7']) {
    const [one, other] = [await read(hub, quick, cursor), await read(hub, ordinary, cursor)];
    expect(timeless(one)).toBe(timeless(other));
  }
  const [one, other] = [await hub.snapshot(quick), await hub.snapshot(ordinary)];
  expect(timeless(one)).toBe(timeless(other));
});

test('its times are those of its steps', async () => {
  const { hub, ended } = createHub();
  const wait = (ms) => {
    const endMs = performance.now() + ms;
    while (performance.now() < endMs);
  };
  const handle = hub.create(job);
  wait(2);
  hub.start(handle);
  wait(3);
  hub.append(handle, 'a');
  wait(4);
  hub.append(handle, 'b');
  hub.finish(handle, STOP);
  const { queue_ms: queueMs, ttft_ms: ttftMs, duration_ms: durationMs } = ended.get(handle).metrics;
  expect(queueMs).toBeGreaterThanOrEqual(2);
  expect(ttftMs).toBeGreaterThanOrEqual(queueMs + 3);
  expect(durationMs).toBeGreaterThanOrEqual(ttftMs + 4);
});

test('the frames are there for its first reader, at once', async () => {
  const { hub } = createHub();
  const handle = quickJob(hub, ['a', 'b']);
  const { frames, atOnce } = await read(hub, handle);
  expect(atOnce).toBe(true);
  expect(frames).toContain('event: job_complete');
});

test.each([
  ['a job that does not end in its turn', () => new Promise(setImmediate)],
  ['a job with a reader', (hub, handle) => void read(hub, handle)],
  ['a job that is held', (hub, handle) => void hub.hold(handle)],
  ['a job whose state was asked for', (hub, handle) => void hub.snapshot(handle)],
  [
    'a job with another kind of entry',
    (hub, handle) => void hub.appendEntry(handle, { kind: 'reasoning', text: 'r' }),
  ],
  [
    'a job with an event of its own type',
    (hub, handle) => void hub.appendEvent(handle, 'note', { n: 1 }),
  ],
  ['a job that is retried', (hub, handle) => void hub.retry(handle)],
  [
    'a job of many tokens',
    (hub, handle) => {
      for (let i = 0; i < 40; i += 1) hub.append(handle, `${i} `);
    },
  ],
])('%s is known to its reactor', async (_name, step) => {
  const { hub, ended } = createHub();
  const handle = begin(hub);
  await step(hub, handle);
  hub.append(handle, 'last');
  const end = once(hub, 'ended', handle);
  hub.finish(handle, STOP);
  expect(ended.has(handle)).toBe(false);
  const [state] = await end;
  expect(state.status).toBe('completed');
  expect((await hub.snapshot(handle)).text).toMatch(/last$/);
});

test('a closed window opens though the job is new', async () => {
  const { hub } = createHub({ streamCapacity: 2 });
  const handle = begin(hub);
  expect(hub.append(handle, 'a')).toBe(true);
  expect(hub.append(handle, 'b')).toBe(false);
  await hub.writable(handle);
  hub.append(handle, 'c');
  expect((await hub.snapshot(handle)).text).toBe('abc');
});

test.each([
  ['many tokens', Array.from({ length: 32 }, (_each, i) => `${i}`)],
  ['long tokens', ['a'.repeat(10_000), 'b'.repeat(10_000)]],
])('%s leave before the turn ends', (_name, texts) => {
  const { hub } = createHub();
  const handle = begin(hub);
  const before = hub.entriesAppended;
  for (const text of texts) hub.append(handle, text);
  const endMs = performance.now() + 10_000;
  while (hub.entriesAppended - before < texts.length && performance.now() < endMs);
  expect(hub.entriesAppended - before).toBe(texts.length);
});

test('an ending without a dispatch is the reactor’s', async () => {
  const { hub, ended } = createHub();
  const handle = hub.create(job);
  const end = once(hub, 'ended', handle);
  hub.finish(handle, { type: 'cancelled', reason: 'client_request' });
  expect(ended.has(handle)).toBe(false);
  expect((await end)[0].status).toBe('cancelled');
});

test('may be purged, run again, and be followed', async () => {
  const { hub, purged } = createHub();
  const [gone, again, source] = [quickJob(hub, ['a']), quickJob(hub, ['b']), quickJob(hub, ['c'])];
  const purge = once(hub, 'purged', gone);
  hub.purge(gone);
  expect(await hub.snapshot(gone)).toBeNull();
  await purge;
  expect(purged).toEqual([gone]);
  hub.reopen(again);
  hub.append(again, 'B');
  expect(await hub.snapshot(again)).toMatchObject({ text: 'B', attempt: 2 });
  const follower = hub.create({ ...job, near: source });
  expect(await hub.follow(follower, source)).toBe(true);
  expect((await hub.snapshot(follower)).text).toBe('c');
});

test('a new job may be followed', async () => {
  const { hub } = createHub();
  const source = begin(hub);
  const follower = hub.create({ ...job, near: source });
  const following = hub.follow(follower, source);
  hub.append(source, 'a');
  hub.finish(source, STOP);
  expect(await following).toBe(true);
  expect((await hub.snapshot(follower)).text).toBe('a');
});

test('an error of a listener is not one of the producer', async () => {
  const { hub } = createHub();
  const thrown = new Error('from a listener');
  const caught = new Promise((resolve) => {
    process.once('uncaughtException', resolve);
  });
  hub.events.on('ended', () => {
    throw thrown;
  });
  expect(() => quickJob(hub, ['a'])).not.toThrow();
  expect(await caught).toBe(thrown);
});

test('its purge and its log reach the reactor without another command', async () => {
  const { hub, purged } = createHub({ retentionMs: 0 });
  const handle = quickJob(hub, ['a']);
  await once(hub, 'purged', handle);
  expect(purged).toEqual([handle]);
});

test('counts among the entries and the bytes of all logs', () => {
  const { hub } = createHub();
  const [entries, bytes] = [hub.entriesAppended, hub.logBytes];
  quickJob(hub, ['a', 'b']);
  expect(hub.entriesAppended - entries).toBe(2);
  expect(hub.logBytes).toBeGreaterThan(bytes);
});
