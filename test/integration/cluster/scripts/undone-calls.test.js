/** Calls that are undone before Redis runs them, as after the loss of a connection. */
import { EventEmitter } from 'node:events';
import { SharedConversations } from '../../../../lib/cluster/shared-conversations.js';
import { SharedJobs } from '../../../../lib/cluster/jobs/shared-jobs.js';
import { SharedLeases } from '../../../../lib/cluster/shared-leases.js';
import { JobRecord } from '../../../../lib/jobs/job.js';
import { useScripts } from '../../../support/cluster/scripts.js';
import { redisUnavailable } from '../../../../lib/jobs/errors.js';
import { silent } from '../../../support/cluster/silent-log.js';

const t = useScripts('a');

/** A deadline so many seconds from now, on Redis's clock. */
const deadlineIn = async (seconds) => String((await t.client.timeUs()) + seconds * 1e6);

const LIMITS = ['100', '100000', '100000'];
const hold = { account: 'acme', overdraft: '9', amount: '5', timeout: '1000000' };
const run = (name, key, ...args) => t.run(name, [key], args);

/** By subject: the call, and its undo call; both with a deadline. */
const CALLS = {
  'an admission': {
    call: (deadline) => t.admit('a', 'j', { clock: '', deadline, key: 'k' }),
    undo: (deadline) => run('retract', 'job:j', 'a', 'j', '', 'a', deadline),
  },
  'a lease': {
    call: (deadline) => run('quota/lease', 'lease:l', '', deadline, 'a', 'l', '60000', '[]'),
    undo: (deadline) => run('quota/end_lease', 'lease:l', '', 'l', '', deadline),
  },
  'a conversation': {
    call: (deadline) =>
      run('conversations/create', 'conv:c', '', deadline, 'c', 'me', ...LIMITS, '', '{}', '[]'),
    undo: (deadline) => run('conversations/delete', 'conv:c', '', '', 'c', 'me', deadline),
  },
  'a fork': {
    prepare: () =>
      run('conversations/create', 'conv:s', '', '', 's', 'me', ...LIMITS, '', '{}', '[]'),
    call: (deadline) =>
      t.run(
        'conversations/fork',
        ['conv:c', 'conv:s'],
        ['', deadline, 'c', 'me', ...LIMITS, 's', '', '{}'],
      ),
    undo: (deadline) => run('conversations/delete', 'conv:c', '', '', 'c', 'me', deadline),
  },
  'a hold': {
    call: (deadline) => run('ledger/hold', 'ledger', '', deadline, 'e', JSON.stringify(hold)),
    undo: () => run('ledger/settle', 'settled:e', '', '', 'e', '', '1', '', '', '', '', '60000'),
  },
};

describe.each(Object.keys(CALLS))('%s', (name) => {
  const { prepare, call, undo } = CALLS[name];

  test('after its undo has no effect', async () => {
    await prepare?.();
    const before = await t.dump();
    const deadline = await deadlineIn(60);
    await undo(deadline);
    expect((await call(deadline))[0]).toBe('LATE');
    const { ...left } = await t.dump();
    const marks = Object.keys(left).filter((key) => /:(undone|settled):/.test(key));
    expect(marks).toHaveLength(1);
    for (const mark of marks) {
      expect(await t.admin.pttl(mark)).toBeGreaterThan(1000);
      delete left[mark];
    }
    expect(left).toEqual(before);
  });

  test('before its undo is undone, and leaves no lasting mark', async () => {
    await prepare?.();
    const deadline = await deadlineIn(60);
    expect((await call(deadline))[0]).toBe('OK');
    await undo(deadline);
    expect(Object.keys(await t.dump()).filter((key) => key.includes(':undone:'))).toEqual([]);
  });
});

test('after the deadline there is nothing to mark', async () => {
  const before = await t.dump();
  const past = await deadlineIn(-1);
  await run('retract', 'job:j', 'a', 'j', '', 'a', past);
  await run('quota/end_lease', 'lease:l', '', 'l', '', past);
  await run('conversations/delete', 'conv:c', '', '', 'c', 'me', past);
  expect(await t.dump()).toEqual(before);
});

describe('a call whose answer was lost is undone until its deadline', () => {
  /** A Redis that loses the answer of one script, and records the later calls. */
  function losing(lost) {
    let undone;
    const undoing = new Promise((resolve) => (undone = resolve));
    const send = async (name, keys, args) => {
      if (name === lost) throw Object.assign(redisUnavailable(), { uncertain: true });
      undone([name, ...args]);
      return 'OK';
    };
    return { redis: { run: send }, undoing };
  }
  const identity = { name: 'a' };
  const clock = { deadlineUs: () => '12345' };
  const callsOf = ({ run: send }) => ({ run: send, ...clock });

  test('an admission', async () => {
    const { redis, undoing } = losing('admit');
    const jobs = new SharedJobs({
      ...{ redis, identity, clock, epoch: () => '', join: async () => false, keyTtlMs: 1000 },
      log: silent,
    });
    const record = new JobRecord({ principal: 'me', model: 'm', request: {}, createdAtMs: 0 });
    const parts = { asked: {}, taken() {}, refused() {} };
    const admitted = jobs.admit(record, { maxWallMs: 1000, retentionMs: 1000 }, parts);
    await expect(admitted).rejects.toMatchObject({ status: 503 });
    expect(await undoing).toEqual(['retract', 'a', record.id, '', 'a', '12345']);
  });

  test('a lease', async () => {
    const { redis, undoing } = losing('quota/lease');
    const leases = new SharedLeases({ redis, calls: callsOf(redis), identity, log: silent });
    await expect(leases.reserve('l', [])).rejects.toMatchObject({ status: 503 });
    expect(await undoing).toEqual(['quota/end_lease', '', 'l', '', '12345']);
  });

  test('a conversation', async () => {
    const { redis, undoing } = losing('conversations/create');
    const conversations = new SharedConversations({
      ...{ cluster: new EventEmitter(), calls: callsOf(redis) },
    });
    const conversation = { id: 'c', ttlMs: null, messages: [] };
    const limits = { count: 1, ofPrincipal: 1, total: 1 };
    const made = conversations.create('me', conversation, limits);
    await expect(made).rejects.toMatchObject({ status: 503 });
    expect(await undoing).toEqual(['conversations/delete', 'c', 'me', '12345']);
  });
});
