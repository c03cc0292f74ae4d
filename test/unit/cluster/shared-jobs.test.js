/** Admission while Redis loses its data, or after this process was counted dead. */
import { Identity } from '../../../lib/cluster/members.js';
import { JobRecord } from '../../../lib/jobs/job.js';
import { SharedJobs } from '../../../lib/cluster/jobs/shared-jobs.js';
import { silent } from '../../support/cluster/silent-log.js';

const LIMITS = { maxWallMs: 1000, retentionMs: 1000 };
const PARTS = { asked: {}, taken() {}, refused() {} };

/** SharedJobs at a Redis that gives these answers, then `OK`. */
function open(answers = []) {
  const state = { calls: [], epoch: 'first', isMember: true };
  const redis = {
    async run(name, keys, args) {
      state.calls.push([name, keys, args]);
      return answers.shift() ?? (name === 'admit' ? ['OK', '5000000', ''] : 'OK');
    },
  };
  const identity = new Identity();
  const jobs = new SharedJobs({
    ...{ redis, identity, clock: { deadlineUs: () => '1' }, keyTtlMs: 60_000, log: silent },
    epoch: () => state.epoch,
    join: async () => state.isMember,
  });
  const record = new JobRecord({
    ...{ principal: 'me', model: 'm', request: { prompt: 'p' }, createdAtMs: 0 },
  });
  const names = () => state.calls.map(([name]) => name);
  return { state, identity, jobs, record, names };
}

test('a job that Redis has lost between its admission and its place is written again', async () => {
  const { state, jobs, record, names } = open();
  record.usedKey = { name: 'k', fingerprint: 'f', answer: () => ({ id: record.id }) };
  await jobs.admit(record, LIMITS, PARTS);
  state.epoch = 'second';
  await jobs.placed(record);
  expect(names()).toEqual(['admit', 'rewrite', 'placed']);
  const [, keys, args] = state.calls[1];
  expect(keys).toEqual([`job:${record.id}`, state.calls[0][1][1]]);
  expect(args).toEqual(expect.arrayContaining(['f', JSON.stringify({ id: record.id })]));
  // Without a loss nothing is written twice.
  const other = open();
  await other.jobs.admit(other.record, LIMITS, PARTS);
  await other.jobs.placed(other.record);
  expect(other.names()).toEqual(['admit']);
});

test('an attempt that begins while its job is written again is recorded afterwards', async () => {
  const { state, jobs, record, names } = open();
  const rewriting = jobs.rewrite(record, LIMITS);
  record.beginAttempt();
  jobs.began(record);
  expect(await rewriting).toBe('OK');
  expect(names()).toEqual(['rewrite', 'began', 'began']);
  // At the time of its first dispatch.
  expect(state.calls[1]).toEqual(state.calls[2]);
  const before = state.calls.length;
  await jobs.rewrite(record, LIMITS);
  expect(names().slice(before)).toEqual(['rewrite']);
  const [, , args] = state.calls.at(-1);
  expect(args.slice(args.indexOf('started_ms'))[1]).toBe(state.calls[1][2][1]);
});

test('an admission that finds this process buried is tried again once it has joined', async () => {
  const { identity, jobs, record, names, state } = open([['BURIED']]);
  const buried = [];
  identity.on('buried', () => {
    buried.push(identity.name);
    identity.renew();
  });
  const was = identity.name;
  expect(await jobs.admit(record, LIMITS, PARTS)).toBeUndefined();
  expect(names()).toEqual(['admit', 'admit']);
  expect(buried).toEqual([was]);
  expect(state.calls.map(([, , args]) => args[2])).toEqual([was, identity.name]);
});

test.each([
  ['is no member in time', [['BURIED']], false, 1],
  ['is buried again', [['BURIED'], ['BURIED']], true, 2],
])('an admission of a process that %s gets 503', async (_name, answers, isMember, count) => {
  const { jobs, record, names, state } = open(answers);
  state.isMember = isMember;
  await expect(jobs.admit(record, LIMITS, PARTS)).rejects.toMatchObject({ status: 503 });
  expect(names()).toEqual(Array(count).fill('admit'));
});

test('an answer to a former name buries nobody', async () => {
  const identity = new Identity();
  const buried = [];
  identity.on('buried', () => buried.push(identity.name));
  const { name } = identity;
  identity.renew();
  identity.bury(name);
  expect(buried).toEqual([]);
  identity.bury(identity.name);
  expect(buried).toEqual([identity.name]);
});
