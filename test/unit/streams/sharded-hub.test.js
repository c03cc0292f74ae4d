import { JobHub } from '../../../lib/streams/hub.js';
import { hubOptions } from '../../support/streams/hub-options.js';
import { sharedReactors } from '../../../lib/internal/native/reactor.js';
import { streamEvents } from '../../../lib/streams/event-iterator.js';

const hubs = [];
afterEach(() => hubs.splice(0).forEach((hub) => hub.close()));

function makeHub(count, options = {}) {
  const ended = [];
  const purged = [];
  const hub = new JobHub({ ...hubOptions, reactors: sharedReactors(count), ...options });
  hub.events.on('ended', (handle, state) => ended.push([handle, state.status]));
  hub.events.on('purged', (handle) => purged.push(handle));
  hubs.push(hub);
  return { hub, ended, purged };
}

const job = (jobId) => ({
  jobId,
  onDisconnect: 'continue',
  disconnectGraceMs: 0,
  maxWallMs: 60_000,
});

/** A handler of frames that acknowledges at once, and its frames. */
function reader() {
  const received = { text: '', finished: undefined };
  received.closed = new Promise((resolve) => {
    received.handler = {
      onOpen: (finished) => {
        received.finished = finished;
        if (finished) resolve('at the end');
        else queueMicrotask(() => received.subscriber.acknowledge());
      },
      onFrames: (frames) => {
        received.text += frames.toString();
        received.subscriber.acknowledge();
      },
      onEnd: resolve,
    };
  });
  return received;
}

test('jobs are dealt out in turn, and handles lead back to them', async () => {
  const { hub, ended } = makeHub(3, { retentionMs: 60_000 });
  const handles = Array.from({ length: 7 }, (_, i) => hub.create(job(`job_${i}`)));
  expect(new Set(handles).size).toBe(7);
  expect(new Set(handles.map((handle) => handle % 3)).size).toBe(3);
  handles.forEach((handle, i) => hub.append(handle, `text ${i}`));
  for (const [i, handle] of handles.entries()) {
    expect((await hub.snapshot(handle)).text).toBe(`text ${i}`);
    hub.finish(handle, { type: 'complete', reason: 'stop' });
  }
  for (const handle of handles) {
    const types = [];
    for await (const { type } of streamEvents(hub, { handle })) types.push(type);
    expect(types).toEqual(['token', 'job_complete']);
    expect(hub.ended(handle)).toBe(true);
  }
  expect(ended).toHaveLength(7);
  expect(ended.map(([handle]) => handle).sort()).toEqual([...handles].sort());
});

test('a set that spans reactors continues without a purged job', async () => {
  const { hub, purged } = makeHub(2);
  const [a, b] = [hub.create(job('job_a')), hub.create(job('job_b'))];
  const received = reader();
  const members = ['job_a', 'job_b'].map((jobId, i) => ({ handle: [a, b][i], jobId, cursor: '' }));
  received.subscriber = hub.openStream(members, received.handler, { fanIn: true });
  hub.append(a, 'x');
  await hub.snapshot(a);
  hub.purge(a);
  await hub.snapshot(a);
  hub.append(b, 'y');
  hub.finish(b, { type: 'complete', reason: 'stop' });
  expect(await received.closed).toBe('finished');
  expect(purged).toEqual([a]);
  expect(received.text).toContain('"token":"y"');
  expect(received.text).toContain('event: job_complete');
});

test('a set of purged jobs ends as purged, one at its end has no event', async () => {
  const { hub } = makeHub(2);
  const handles = [hub.create(job('job_a')), hub.create(job('job_b'))];
  for (const handle of handles) hub.finish(handle, { type: 'complete', reason: 'stop' });
  const atEnd = reader();
  const end = handles.map((handle) => ({ handle, cursor: '1-1' }));
  atEnd.subscriber = hub.openStream(end, atEnd.handler, { fanIn: true });
  expect(await atEnd.closed).toBe('at the end');
  for (const handle of handles) hub.purge(handle);
  const gone = reader();
  gone.subscriber = hub.openStream(end, gone.handler, { fanIn: true });
  expect(await gone.closed).toBe('purged');
});

test('a stalled reader is disconnected, and delays no other', async () => {
  const { hub } = makeHub(2, { stallMs: 50, streamCapacity: 4 });
  const [a, b] = [hub.create(job('job_a')), hub.create(job('job_b'))];
  const received = reader();
  received.handler.onFrames = () => {};
  const members = ['job_a', 'job_b'].map((jobId, i) => ({ handle: [a, b][i], jobId, cursor: '' }));
  received.subscriber = hub.openStream(members, received.handler, { fanIn: true });
  for (let i = 0; i < 20; i += 1) {
    hub.append(a, 't');
    if (i % 4 === 3) await hub.snapshot(a);
  }
  expect(await received.closed).toBe('stalled');
  await hub.writable(a);
});

test('silence is broken by a comment across reactors too', async () => {
  const { hub } = makeHub(2, { heartbeatMs: 20 });
  const members = ['job_a', 'job_b'].map((id) => ({ handle: hub.create(job(id)), cursor: '' }));
  const received = reader();
  received.subscriber = hub.openStream(members, received.handler, { fanIn: true });
  while (received.text.split(': keep-alive').length < 3) await hub.snapshot(members[0].handle);
  expect(received.text).toMatch(/^retry: 2000\n(: keep-alive\n){2,}$/);
  received.subscriber.detach();
  expect(hub.subscriberCount).toBe(0);
});

test('a job that is made near another may follow it', async () => {
  const { hub } = makeHub(3);
  hub.create(job('job_other'));
  const source = hub.create(job('job_leader'));
  hub.append(source, 'text');
  for (let i = 0; i < 5; i += 1) {
    const handle = hub.create({ ...job(`job_${i}`), near: source });
    expect(handle % 3).toBe(source % 3);
    expect(await hub.follow(handle, source)).toBe(true);
    expect((await hub.snapshot(handle)).text).toBe('text');
  }
  const elsewhere = hub.create(job('job_elsewhere'));
  expect(elsewhere % 3).not.toBe(source % 3);
  expect(await hub.follow(elsewhere, source)).toBe(false);
});

test('barrier and flush wait for every reactor', async () => {
  const { hub, ended } = makeHub(3);
  const handles = Array.from({ length: 9 }, (_, i) => hub.create(job(`job_${i}`)));
  for (const handle of handles) hub.finish(handle, { type: 'complete', reason: 'stop' });
  await hub.barrier();
  expect(ended.map(([handle]) => handle).sort()).toEqual([...handles].sort());
  expect(await hub.flush()).toHaveLength(3);
});

test('tokens of one turn reach the jobs of every reactor in order', async () => {
  const { hub } = makeHub(3);
  const handles = Array.from({ length: 6 }, (_, i) => hub.create(job(`job_${i}`)));
  for (let i = 0; i < 50; i += 1) for (const handle of handles) hub.append(handle, `${i} `);
  const text = Array.from({ length: 50 }, (_, i) => `${i} `).join('');
  for (const handle of handles) expect((await hub.snapshot(handle)).text).toBe(text);
});
