/** Operations: logs of typed events with the tokens of their child jobs, on one reactor and several. */
import { JobHub } from '../../../lib/streams/hub.js';
import { hubOptions } from '../../support/streams/hub-options.js';
import { sharedReactors } from '../../../lib/internal/native/reactor.js';
import { streamEvents } from '../../../lib/streams/event-iterator.js';
import { collect } from '../../support/streams/collect.js';

const common = { onDisconnect: 'continue', disconnectGraceMs: 0, maxWallMs: 1e9 };

describe.each([1, 3])('on %i reactors', (reactors) => {
  let hub;
  const endings = [];
  beforeEach(() => {
    endings.length = 0;
    hub = new JobHub({ ...hubOptions, reactors: sharedReactors(reactors) });
    hub.events.on('ended', (handle, state) => endings.push({ handle, ...state }));
  });
  afterEach(() => hub.close());

  test('an operation has its own events and the tokens of its parts, and is reopened', async () => {
    const work = hub.create({ ...common, jobId: 'wf_a', kind: 'workflow' });
    hub.start(work);
    const reading = collect(streamEvents(hub, { handle: work }));
    hub.appendEvent(work, 'node_started', { node: 'a', note: 'half \ud800' });
    const part = hub.create({
      ...common,
      jobId: 'job_part',
      near: work,
      copyTo: { handle: work, members: { node: 'a', item: 2 } },
    });
    hub.start(part);
    hub.append(part, 'Hello');
    hub.append(part, ' "you"');
    hub.finish(part, { type: 'complete', reason: 'stop' });
    hub.appendEvent(work, 'node_complete', { node: 'a' });
    const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
    hub.finish(work, { type: 'complete', usage, details: { nodes: { completed: 1 } } });
    const events = await reading;
    expect(events.map(({ id, type }) => `${id} ${type}`)).toEqual([
      '1-1 node_started',
      '1-2 token',
      '1-3 token',
      '1-4 node_complete',
      '1-5 workflow_complete',
    ]);
    expect(events[0].data).toEqual({ workflow_id: 'wf_a', node: 'a', note: 'half \ud800' });
    expect(events[2].data).toEqual({
      workflow_id: 'wf_a',
      node: 'a',
      item: 2,
      token: ' "you"',
    });
    expect(events[4].data).toEqual({
      workflow_id: 'wf_a',
      usage,
      nodes: { completed: 1 },
      metrics: { duration_ms: expect.any(Number), events: 4 },
    });
    expect(endings.at(-1)).toMatchObject({ handle: work, nodes: { completed: 1 } });

    hub.reopen(work);
    expect(hub.ended(work)).toBe(false);
    hub.appendEvent(work, 'node_started', { node: 'a' });
    hub.finish(work, { type: 'error', error: { code: 'c', message: 'm', type: 't' } });
    const again = await collect(streamEvents(hub, { handle: work }, { lastEventId: '1-5' }));
    expect(again.map(({ id, type }) => `${id} ${type}`)).toEqual([
      '2-0 workflow_retry',
      '2-1 node_started',
      '2-2 workflow_failed',
    ]);
    expect(again[2].data.error).toEqual({ code: 'c', message: 'm', type: 't' });
  });

  test('a producer of events waits for the slowest reader', async () => {
    const work = hub.create({ ...common, jobId: 'crawl_a', kind: 'crawl' });
    const events = streamEvents(hub, { handle: work });
    const first = events.next();
    let sent = 1;
    while (hub.appendEvent(work, 'page', { n: sent })) sent += 1;
    expect((await first).value).toMatchObject({
      type: 'page',
      data: { crawl_id: 'crawl_a', n: 1 },
    });
    // The reader holds its first batch; after some more the window closes and stays closed.
    for (let i = 0; i < 10; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      while (sent < 1000 && hub.appendEvent(work, 'page', { n: sent })) sent += 1;
    }
    expect(sent).toBeLessThan(1000);
    const open = hub.writable(work);
    for (let i = 1; i < sent; i++) await events.next();
    await open;
    await events.return();
  });
});
