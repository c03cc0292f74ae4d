/** The audit log: entries, their bound, their pages, and their names after an erasure. */
import { createHash } from 'node:crypto';
import { AuditLog } from '../../../../lib/services/audit/log.js';
import { erasedName } from '../../../../lib/services/audit/entries.js';

const counter = () => {
  const counted = [];
  return { counted, inc: (labels) => counted.push(labels) };
};

/** A journal in memory, in the form of the one on disk. */
function journalOf(entries = []) {
  const kept = new Map(entries.map((entry) => [entry.id, entry]));
  return {
    kept,
    all: () => kept.values(),
    write: (entry) => kept.set(entry.id, structuredClone(entry)),
    remove: (id) => kept.delete(id),
  };
}

function open({ maxEntries = 100, journal } = {}) {
  const clock = { ms: 1000 };
  const metrics = { auditEntries: counter(), auditDropped: counter() };
  const log = new AuditLog({ maxEntries, unixMs: () => clock.ms, journal, metrics });
  const act = (actor, target, more) => {
    clock.ms += 1000;
    const trail = log.begin({ actor, action: 'job.cancel', target, ...more });
    trail.end({ status: 200 });
  };
  const targets = (query) => log.list(query).data.map(({ target }) => target);
  return { log, clock, metrics, act, targets };
}

test('an entry is in the journal before its action ends, then with its outcome', () => {
  const journal = journalOf();
  const { log, metrics } = open({ journal });
  const trail = log.begin({ actor: 'ann', action: 'job.cancel', target: 'job_1', requestId: 'r1' });
  const [begun] = journal.kept.values();
  expect(begun).toEqual({
    id: 'audit_000000000000001',
    atMs: 1000,
    actor: 'ann',
    action: 'job.cancel',
    target: 'job_1',
    outcome: 'started',
    requestId: 'r1',
  });
  trail.note({ details: { amount: 5, absent: undefined } });
  trail.end({ status: 404, code: 'job_not_found' });
  const ended = {
    ...begun,
    ...{ outcome: 'failure', status: 404, code: 'job_not_found', details: { amount: 5 } },
  };
  expect([...journal.kept.values()]).toEqual([ended]);
  expect(log.list().data).toEqual([ended]);
  expect(metrics.auditEntries.counted).toEqual([{ action: 'job.cancel', outcome: 'failure' }]);
});

test.each([
  [{ status: 201 }, 'success'],
  [{ status: 401, code: 'a' }, 'denied'],
  [{ status: 403, code: 'a' }, 'denied'],
  [{ status: 409, code: 'a' }, 'failure'],
  [{}, 'success'],
  [{ code: 'client_left' }, 'failure'],
])('an answer %j is a %s', (answer, outcome) => {
  const { log } = open();
  log.begin({ actor: 'ann', action: 'job.cancel' }).end(answer);
  expect(log.list().data[0].outcome).toBe(outcome);
});

test('a full log drops the oldest entry of the actor with the most', () => {
  const journal = journalOf();
  const { act, targets, metrics, log } = open({ maxEntries: 4, journal });
  act('ann', 'a1');
  for (const target of ['b1', 'b2', 'b3', 'b4', 'b5']) act('bob', target);
  expect(targets()).toEqual(['b5', 'b4', 'b3', 'a1']);
  expect([...journal.kept.values()].map(({ target }) => target)).toEqual(['a1', 'b3', 'b4', 'b5']);
  expect(metrics.auditDropped.counted).toHaveLength(2);
  const bytes = log.list().data.reduce((sum, entry) => sum + JSON.stringify(entry).length, 0);
  expect(log.bytes).toBe(bytes);
});

test('pages and filters, newest first', () => {
  const { log, act, targets } = open();
  act('ann', 'a1');
  act('bob', 'b1');
  act('ann', 'a2');
  log.begin({ actor: 'ann', action: 'job.delete', target: 'a3' }).end({ status: 404, code: 'x' });
  const first = log.list({ limit: 3 });
  expect([first.data.map(({ target }) => target), first.hasMore]).toEqual([
    ['a3', 'a2', 'b1'],
    true,
  ]);
  const rest = log.list({ limit: 3, after: first.data[2].id });
  expect([rest.data.map(({ target }) => target), rest.hasMore]).toEqual([['a1'], false]);
  expect(targets({ actor: 'ann', action: 'job.cancel' })).toEqual(['a2', 'a1']);
  expect(targets({ outcome: 'failure' })).toEqual(['a3']);
  expect(targets({ target: 'b1' })).toEqual(['b1']);
  // The entries are one second apart, from second 2.
  expect(targets({ fromMs: 3000, toMs: 4000 })).toEqual(['b1']);
});

test('erased names are digests on the disk, and are found by name', () => {
  const journal = journalOf();
  const { act, log } = open({ journal });
  act('ann', 'job_x', { action: 'job.delete', erases: true });
  const digest = createHash('sha256').update('job_x').digest('hex').slice(0, 24);
  expect([...journal.kept.values()][0].target).toBe(`erased:${digest}`);
  expect(log.list().data[0].target).toBe('job_x');
  const later = open({ journal });
  expect(later.targets({ target: 'job_x' })).toEqual([`erased:${digest}`]);
  later.act('ann', 'job_y');
  expect(later.log.list().data[0].id).toBe('audit_000000000000002');
});

test('the erasure of a job renames it in earlier entries, under each of its names', () => {
  const journal = journalOf();
  const { act, targets, log } = open({ journal });
  act('ann', 'job_x');
  act('ann', 'resp_x');
  act('ann', 'job_y');
  log.eraseJob('job_x');
  expect(targets()).toEqual(['job_y', erasedName('resp_x'), erasedName('job_x')]);
  expect(JSON.stringify([...journal.kept.values()])).not.toMatch(/(job|resp)_x/);
});

test('the erasure of a caller renames actor, targets and details', () => {
  const journal = journalOf();
  const { act, log } = open({ journal, maxEntries: 3 });
  act('ann', 'job_1');
  act('ops', 'ann', { action: 'principal.erase', erases: true });
  const trail = log.begin({ actor: 'ops', action: 'credits.transfer', target: '7' });
  trail.note({ details: { to: 'ann', amount: 3 } });
  trail.end({ status: 201 });
  log.erasePrincipal('ann');
  const [moved, , cancelled] = log.list().data;
  expect(moved).toMatchObject({
    actor: 'ops',
    target: '7',
    details: { to: erasedName('ann'), amount: 3 },
  });
  expect(cancelled).toMatchObject({ actor: erasedName('ann'), target: erasedName('job_1') });
  expect(JSON.stringify([...journal.kept.values()])).not.toMatch(/"ann"|job_1/);
  expect(log.list({ actor: 'ann' }).data).toEqual([cancelled]);
  // A renamed actor still has one entry: the two of the other actor are dropped first.
  act('bob', 'b');
  expect(log.list().data.map(({ actor }) => actor)).toEqual(['bob', 'ops', erasedName('ann')]);
});

test('long names are cut, also inside a surrogate pair', () => {
  const { log } = open();
  log.begin({ actor: 'a', action: 'kv.delete', target: `${'x'.repeat(254)}\u{1f600}tail` }).end({});
  const [{ target }] = log.list().data;
  expect(target).toHaveLength(256);
  expect(target.isWellFormed()).toBe(true);
});

test('actions of the application are checked', () => {
  const { log } = open();
  log.record({ action: 'user.suspend', target: 'ann', details: { days: 3 } });
  expect(log.list().data[0]).toMatchObject({ actor: null, target: 'ann', outcome: 'success' });
  const wrong = (action) => () => log.record(action);
  expect(wrong({})).toThrow(/action takes a string/);
  expect(wrong({ action: 'a', who: 'b' })).toThrow(/no option who/);
  expect(wrong({ action: 'a', target: 5 })).toThrow(/target takes a string/);
  expect(wrong({ action: 'a', details: { a: {} } })).toThrow(/details takes/);
  expect(() => log.list({ outcome: 'good' })).toThrow(/outcome takes one of/);
  expect(() => log.list({ after: 5 })).toThrow(/after takes a string/);
  expect(() => log.list({ fromMs: '5' })).toThrow(/fromMs takes milliseconds since 1970/);
});
