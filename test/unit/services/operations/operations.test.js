/** Operations: found by their principal, bounded in number, with one ending each. */
import { JobHub } from '../../../../lib/streams/hub.js';
import { ManualClock } from '../../../../lib/internal/time/clock.js';
import { Operations } from '../../../../lib/services/operations/operations.js';
import { hubOptions } from '../../../support/streams/hub-options.js';
import { manualReactor } from '../../../../lib/internal/native/reactor.js';

const policy = { onDisconnect: 'continue', disconnectGraceMs: 0, maxWallMs: 1000 };

function setUp({ maxRetained = 10, retentionMs = 500, hasPrincipals } = {}) {
  const clock = new ManualClock();
  const endings = [];
  const hub = new JobHub({ ...hubOptions, reactors: [manualReactor(clock)], retentionMs });
  const nowMs = () => clock.nowMs();
  const operations = new Operations({ hub, nowMs, retentionMs, maxRetained, hasPrincipals });
  operations.on('ended', (operation, state) => endings.push([operation.id, state.status]));
  const create = (kind = 'workflow', principal = 'ann') =>
    operations.begin(operations.prepare(kind, principal, policy));
  return { clock, hub, operations, endings, create };
}

test('ids are long and unique, and name their kind', () => {
  const { create } = setUp();
  const ids = Array.from({ length: 100 }, () => create().id);
  expect(new Set(ids).size).toBe(100);
  for (const id of ids) expect(id).toMatch(/^wf_[\w-]{24}$/);
  expect(create('crawl').id).toMatch(/^crawl_[\w-]{24}$/);
});

test('a work is found by its kind and its principal alone', () => {
  const { operations, create } = setUp();
  const operation = create();
  expect(operations.find('workflow', operation.id, 'ann')).toBe(operation);
  expect(operations.find('workflow', operation.id, 'bob')).toBeUndefined();
  expect(operations.find('crawl', operation.id, 'ann')).toBeUndefined();
});

test('its signal aborts at every ending but its own', () => {
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
  const { clock, operations, create } = setUp({ maxRetained: 2 });
  const all = [create(), create(), create()];
  const kept = () =>
    all.map((operation) => operations.find('workflow', operation.id, 'ann') !== undefined);
  for (const operation of all) operation.finish({ type: 'complete' });
  expect(kept()).toEqual([false, true, true]);
  clock.advanceMs(500);
  expect(kept()).toEqual([false, false, false]);
});

test('a next attempt has its own signal and is kept while it runs', () => {
  const { clock, operations, create, endings } = setUp();
  const operation = create();
  operation.cancel('client_request');
  const { signal } = operation;
  operations.reopen(operation);
  expect(operation).toMatchObject({ attempt: 2, status: 'running', ended: false });
  expect([signal.aborted, operation.signal.aborted]).toEqual([true, false]);
  clock.advanceMs(900);
  expect(operations.find('workflow', operation.id, 'ann')).toBe(operation);
  operation.finish({ type: 'complete' });
  expect(endings).toEqual([
    [operation.id, 'cancelled'],
    [operation.id, 'completed'],
  ]);
});

test('at most 1000 of a kind run at once', () => {
  const { operations, create } = setUp();
  const all = Array.from({ length: 1000 }, () => create());
  expect(() => create()).toThrow(expect.objectContaining({ code: 'ERR_OVERLOADED', status: 503 }));
  create('crawl');
  all[0].finish({ type: 'complete' });
  create();
  expect(() => operations.reopen(all[0])).toThrow('are running');
});

test('where callers are distinguished, one of them has up to half of the places', () => {
  const { create } = setUp({ hasPrincipals: () => true });
  const all = Array.from({ length: 500 }, () => create('crawl', 'ann'));
  expect(() => create('crawl', 'ann')).toThrow('500 crawls of this caller are running');
  create('workflow', 'ann');
  create('crawl', 'bob');
  all[0].finish({ type: 'complete' });
  create('crawl', 'ann');
});

test('idle() waits for the last of them', async () => {
  const { operations, create } = setUp();
  await operations.idle();
  const [first, second] = [create(), create('crawl')];
  let idle = false;
  const waiting = operations.idle().then(() => (idle = true));
  first.finish({ type: 'complete' });
  await null;
  await null;
  expect(idle).toBe(false);
  operations.cancelAll('shutdown');
  expect(second.final).toMatchObject({ status: 'cancelled', reason: 'shutdown' });
  await waiting;
});

test('a retry beyond the retention is refused', () => {
  const { operations, hub, create } = setUp();
  const operation = create();
  operation.finish({ type: 'complete' });
  // The purge has been posted when the next attempt is requested.
  const [listener] = hub.events.listeners('purged');
  hub.events.removeAllListeners('purged');
  hub.purge(operation.handle);
  operations.reopen(operation);
  listener(operation.handle);
  expect(operation.signal.aborted).toBe(true);
  expect(operations.find('workflow', operation.id, 'ann')).toBeUndefined();
});
