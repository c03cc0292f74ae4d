import { setImmediate as nextTurn } from 'node:timers/promises';
import { ManualClock } from '../../../lib/internal/time/clock.js';
import { JobHub } from '../../../lib/streams/hub.js';
import { hubOptions } from '../../support/streams/hub-options.js';
import { manualReactor, sharedReactor } from '../../../lib/internal/native/reactor.js';
import { streamEvents } from '../../../lib/streams/event-iterator.js';
import { collect } from '../../support/streams/collect.js';

const job = { jobId: 'job_a', onDisconnect: 'cancel', disconnectGraceMs: 30_000, maxWallMs: 1e9 };
const stop = { type: 'complete', reason: 'stop' };

/** @type {JobHub[]} */
const hubs = [];
afterEach(() => hubs.splice(0).forEach((hub) => hub.close()));

function createHub({ reactor = sharedReactor(), ...options } = {}) {
  const ended = [];
  const purged = [];
  const hub = new JobHub({ ...hubOptions, reactors: [reactor], ...options });
  hub.events.on('ended', (handle, state) => ended.push({ handle, ...state }));
  hub.events.on('purged', (handle) => purged.push(handle));
  hubs.push(hub);
  return { hub, ended, purged };
}

describe('in real time', () => {
  test('streams earlier and later entries, then ends', async () => {
    const { hub, ended } = createHub();
    const handle = hub.create({ ...job, promptTokens: 4 });
    hub.start(handle);
    hub.append(handle, 'a');
    const reading = collect(streamEvents(hub, { handle }));
    hub.append(handle, 'b');
    hub.finish(handle, stop);
    const events = await reading;
    expect(events.map(({ id, type }) => `${id} ${type}`)).toEqual([
      '1-1 token',
      '1-2 token',
      '1-3 job_complete',
    ]);
    expect(events[2].data.usage).toEqual({
      ...{ prompt_tokens: 4, completion_tokens: 2, total_tokens: 6 },
      estimated: true,
    });
    expect(ended).toHaveLength(1);
    expect(hub.ended(handle)).toBe(true);
  });

  test('a job that follows another has all of its text and its ending, and its own life', async () => {
    const { hub, ended } = createHub();
    const source = hub.create({ ...job, jobId: 'job_leader', maxWallMs: Infinity });
    hub.start(source);
    hub.append(source, 'a');
    const [early, cancelled] = [hub.create(job), hub.create({ ...job, near: source })];
    expect(await hub.follow(early, source)).toBe(true);
    expect(await hub.follow(cancelled, source)).toBe(true);
    hub.append(source, 'b');
    hub.finish(cancelled, { type: 'cancelled', reason: 'client_request' });
    hub.append(source, 'c');
    hub.finish(source, { ...stop, usage: { prompt_tokens: 5, completion_tokens: 3 } });
    const late = hub.create(job);
    expect(await hub.follow(late, source)).toBe(true);
    for (const handle of [early, late]) {
      expect(await hub.snapshot(handle)).toMatchObject({
        status: 'completed',
        text: 'abc',
        text_bytes: 3,
        usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 },
      });
    }
    expect(await hub.snapshot(cancelled)).toMatchObject({ status: 'cancelled', text: 'ab' });
    expect(ended.map(({ handle }) => handle)).toEqual([cancelled, source, early, late]);
    hub.purge(source);
    const refused = hub.create(job);
    expect(await hub.follow(refused, source)).toBe(false);
    expect((await hub.snapshot(refused)).status).toBe('queued');
    hub.close();
    expect(await hub.follow(refused, source)).toBe(null);
  });

  test('keeps a producer within the window of a reader that does not read', async () => {
    const { hub } = createHub({ streamCapacity: 64 });
    const handle = hub.create(job);
    const reader = streamEvents(hub, { handle });
    const first = reader.next();
    let appended = 0;
    const producing = (async () => {
      while (!hub.ended(handle)) {
        appended += 1;
        if (!hub.append(handle, 't')) await hub.writable(handle);
      }
    })();
    await first;
    // A snapshot is answered after every earlier command, so the window has taken effect.
    for (let turn = 0; turn < 20; turn += 1) await hub.snapshot(handle);
    expect(appended).toBeLessThanOrEqual(2 * 64);
    const plateau = appended;
    for (let turn = 0; turn < 20; turn += 1) await hub.snapshot(handle);
    expect(appended).toBe(plateau);
    for (let i = 0; i < 200; i += 1) await reader.next();
    expect(appended).toBeGreaterThan(plateau);
    hub.finish(handle, stop);
    await producing;
    await reader.return();
  });

  test('a surrogate pair and any other text are unchanged', async () => {
    const { hub } = createHub();
    const handle = hub.create(job);
    const tokens = ['😀', '\0', '\u2028', '"\\', 'ß\n\r\n', ''];
    tokens.forEach((token) => hub.append(handle, token));
    hub.finish(handle, stop);
    const events = await collect(streamEvents(hub, { handle }));
    expect(events.slice(0, -1).map(({ data }) => data.token)).toEqual(tokens);
    expect((await hub.snapshot(handle)).text).toBe(tokens.join(''));
  });

  test('abort ends a waiting reader with the reason, break releases it', async () => {
    const { hub } = createHub();
    const handle = hub.create(job);
    const abort = new AbortController();
    const reading = collect(streamEvents(hub, { handle }, { signal: abort.signal }));
    abort.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
    hub.append(handle, 'a');
    for await (const event of streamEvents(hub, { handle })) {
      expect(event.data.token).toBe('a');
      break;
    }
    expect(hub.subscriberCount).toBe(0);
  });

  test('return() ends a pending next(), and releases the job', async () => {
    const { hub } = createHub();
    const handle = hub.create(job);
    const reader = streamEvents(hub, { handle });
    const pending = reader.next();
    // It is open, and waits for an event that never happens.
    await hub.snapshot(handle);
    await new Promise(setImmediate);
    expect(await reader.return()).toEqual({ done: true, value: undefined });
    expect(await pending).toEqual({ done: true, value: undefined });
    expect(hub.subscriberCount).toBe(0);
  });

  test('closing releases readers, producers and snapshots', async () => {
    const { hub } = createHub({ streamCapacity: 1 });
    const handle = hub.create(job);
    const reading = collect(streamEvents(hub, { handle }));
    while (hub.append(handle, 't'));
    const writable = hub.writable(handle);
    const snapshot = hub.snapshot(handle);
    hub.close();
    await expect(reading).rejects.toMatchObject({ code: 'ERR_STREAM_CLOSED' });
    await writable;
    await snapshot;
    expect(await hub.snapshot(handle)).toBeNull();
  });

  test('a closed hub ignores every command', async () => {
    const { hub } = createHub();
    const handle = hub.create(job);
    const subscriber = hub.openStream([{ handle, cursor: '' }], { onOpen() {}, onEnd() {} });
    hub.close();
    for (const command of ['start', 'retry', 'reopen', 'unrecord', 'purge']) hub[command](handle);
    expect(hub.append(handle, 'a')).toBe(false);
    expect(hub.appendEvent(handle, 'page', {})).toBe(false);
    hub.finish(handle, stop);
    subscriber.acknowledge();
    expect(subscriber.attachSocket(1)).toBe(false);
    expect(subscriber.detachSocket()).toBe(-1);
    subscriber.detach();
    await hub.flush();
    await hub.barrier();
    expect(await hub.follow(handle, handle)).toBeNull();
    expect(hub.create(job)).toBeGreaterThan(handle);
  });

  test('two hubs on one reactor are independent', async () => {
    const one = createHub();
    const two = createHub();
    const a = one.hub.create(job);
    const b = two.hub.create({ ...job, jobId: 'job_b' });
    one.hub.append(a, 'one');
    two.hub.append(b, 'two');
    expect((await one.hub.snapshot(a)).text).toBe('one');
    expect((await two.hub.snapshot(b)).text).toBe('two');
  });
});

describe('under a manual clock', () => {
  function manualHub(options) {
    const clock = new ManualClock();
    return { clock, ...createHub({ reactor: manualReactor(clock), ...options }) };
  }

  test('wall time, grace and retention fall due on the millisecond', async () => {
    const { clock, hub, ended, purged } = manualHub({ retentionMs: 1000 });
    const slow = hub.create({ ...job, maxWallMs: 500 });
    clock.advanceMs(499);
    expect(ended).toEqual([]);
    clock.advanceMs(1);
    expect(ended).toMatchObject([
      { handle: slow, status: 'failed', error: { code: 'wall_time_exceeded' } },
    ]);
    clock.advanceMs(999);
    expect(purged).toEqual([]);
    clock.advanceMs(1);
    expect(purged).toEqual([slow]);

    const left = hub.create({ ...job, disconnectGraceMs: 200 });
    const reader = streamEvents(hub, { handle: left });
    hub.append(left, 'a');
    await reader.next();
    await reader.return();
    clock.advanceMs(199);
    expect(ended).toHaveLength(1);
    clock.advanceMs(1);
    expect(ended[1]).toMatchObject({ handle: left, reason: 'client_disconnected' });
  });

  test('metrics are exact', async () => {
    const { clock, hub, ended } = manualHub();
    const handle = hub.create(job);
    clock.advanceMs(100);
    hub.start(handle);
    clock.advanceMs(50);
    hub.append(handle, 'a');
    hub.append(handle, 'b');
    clock.advanceMs(350);
    hub.finish(handle, stop);
    expect(ended[0].metrics).toEqual({
      queue_ms: 100,
      ttft_ms: 150,
      duration_ms: 500,
      tokens: 2,
      tokens_per_second: 5,
    });
  });

  test('a handler has its subscriber before its first batch, and receives every acknowledged batch', async () => {
    const { hub } = createHub({ reactor: manualReactor(new ManualClock()) });
    const handle = hub.create(job);
    const frames = [];
    const ended = new Promise((resolve) => {
      const subscriber = hub.openStream([{ handle, cursor: '' }], {
        onOpen: () => subscriber.acknowledge(),
        onFrames(batch) {
          frames.push(String(batch));
          subscriber.acknowledge();
        },
        onEnd: resolve,
      });
    });
    await nextTurn();
    for (const text of ['a', 'b', 'c']) {
      hub.append(handle, text);
      await nextTurn();
    }
    hub.finish(handle, stop);
    expect(await ended).toBe('finished');
    expect(frames.join('').match(/"token":"."/g)).toEqual([
      '"token":"a"',
      '"token":"b"',
      '"token":"c"',
    ]);
  });

  test('a consumer slower than the stall limit resumes by itself and loses nothing', async () => {
    const { clock, hub } = manualHub({ streamCapacity: 8, stallMs: 1000 });
    const handle = hub.create({ ...job, onDisconnect: 'continue' });
    const reader = streamEvents(hub, { handle });
    for (let i = 1; i <= 20; i += 1) hub.append(handle, `${i} `);
    const seen = [(await reader.next()).value.data.token];
    clock.advanceMs(1000);
    hub.finish(handle, stop);
    for await (const event of reader) if (event.type === 'token') seen.push(event.data.token);
    expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => `${i + 1} `));
  });
});
