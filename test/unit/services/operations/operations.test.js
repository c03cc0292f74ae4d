/** Works: found by their owner, bounded in number, told of their ends. */
import { JobHub } from '../../../../lib/streams/hub.js';
import { ManualClock } from '../../../../lib/internal/time/clock.js';
import { Works } from '../../../../lib/services/operations/operations.js';
import { hubOptions } from '../../../support/streams/hub-options.js';
import { manualReactor } from '../../../../lib/internal/native/reactor.js';

const policy = { onDisconnect: 'continue', disconnectGraceMs: 0, maxWallMs: 1000 };

function setUp({ maxRetained = 10, retentionMs = 500 } = {}) {
  const clock = new ManualClock();
  const endings = [];
  const hub = new JobHub({ ...hubOptions, reactors: [manualReactor(clock)], retentionMs });
  const works = new Works({ hub, maxRetained });
  works.on('ended', (work, state) => endings.push([work.id, state.status]));
  const create = (kind = 'workflow', principal = 'ann') => works.create(kind, principal, policy);
  return { clock, hub, works, endings, create };
}

test('ids are long, never the same, and say what they are of', () => {
  const { create } = setUp();
  const ids = Array.from({ length: 100 }, () => create().id);
  expect(new Set(ids).size).toBe(100);
  for (const id of ids) expect(id).toMatch(/^wf_[\w-]{24}$/);
  expect(create('crawl').id).toMatch(/^crawl_[\w-]{24}$/);
});

test('a work is found by its kind and its principal alone', () => {
  const { works, create } = setUp();
  const work = create();
  expect(works.find('workflow', work.id, 'ann')).toBe(work);
  expect(works.find('workflow', work.id, 'bob')).toBeUndefined();
  expect(works.find('crawl', work.id, 'ann')).toBeUndefined();
});

test('its signal tells of every ending but its own', () => {
  const { clock, create, endings } = setUp();
  const [finished, cancelled, late] = [create(), create(), create()];
  finished.finish({ type: 'complete' });
  cancelled.cancel('client_request');
  cancelled.finish({ type: 'complete' });
  expect(finished.signal.aborted).toBe(false);
  expect(cancelled.signal.aborted).toBe(true);
  clock.advanceMs(1000);
  expect(late.signal.aborted).toBe(true);
  expect(late.final.error.code).toBe('wall_time_exceeded');
  expect(endings).toEqual([
    [finished.id, 'completed'],
    [cancelled.id, 'cancelled'],
    [late.id, 'failed'],
  ]);
});

test('it is forgotten after its retention, or when there are too many, the oldest first', () => {
  const { clock, works, create } = setUp({ maxRetained: 2 });
  const all = [create(), create(), create()];
  const kept = () => all.map((work) => works.find('workflow', work.id, 'ann') !== undefined);
  for (const work of all) work.finish({ type: 'complete' });
  expect(kept()).toEqual([false, true, true]);
  clock.advanceMs(500);
  expect(kept()).toEqual([false, false, false]);
});

test('a next attempt has a signal of its own and is kept while it runs', () => {
  const { clock, works, create, endings } = setUp();
  const work = create();
  work.cancel('client_request');
  const { signal } = work;
  works.reopen(work);
  expect(work).toMatchObject({ attempt: 2, status: 'running', ended: false });
  expect([signal.aborted, work.signal.aborted]).toEqual([true, false]);
  clock.advanceMs(900);
  expect(works.find('workflow', work.id, 'ann')).toBe(work);
  work.finish({ type: 'complete' });
  expect(endings).toEqual([
    [work.id, 'cancelled'],
    [work.id, 'completed'],
  ]);
});

test('no more than 1000 of a kind are under way at once', () => {
  const { works, create } = setUp();
  const all = Array.from({ length: 1000 }, () => create());
  expect(() => create()).toThrow(expect.objectContaining({ code: 'ERR_OVERLOADED', status: 503 }));
  create('crawl');
  all[0].finish({ type: 'complete' });
  create();
  expect(() => works.reopen(all[0])).toThrow('under way');
});

test('idle() waits for the last of them', async () => {
  const { works, create } = setUp();
  await works.idle();
  const [first, second] = [create(), create('crawl')];
  let idle = false;
  const waiting = works.idle().then(() => (idle = true));
  first.finish({ type: 'complete' });
  await null;
  await null;
  expect(idle).toBe(false);
  works.cancelAll('shutdown');
  expect(second.final).toMatchObject({ status: 'cancelled', reason: 'shutdown' });
  await waiting;
});

test('one whose retention is over as it begins anew is told so', () => {
  const { works, hub, create } = setUp();
  const work = create();
  work.finish({ type: 'complete' });
  // The purge is on its way when the next attempt is asked for.
  const [listener] = hub.events.listeners('purged');
  hub.events.removeAllListeners('purged');
  hub.purge(work.handle);
  works.reopen(work);
  listener(work.handle);
  expect(work.signal.aborted).toBe(true);
  expect(works.find('workflow', work.id, 'ann')).toBeUndefined();
});
