/** Failures of child jobs, as passed to the workflow's retry policy. */
import { EventEmitter } from 'node:events';
import { ChildJobs } from '../../../../lib/services/operations/child-jobs.js';
import { JobRecord } from '../../../../lib/jobs/job.js';

const wire = { code: 'upstream_rate_limited', message: 'Slow down.', type: 'server_error' };

const newRecord = () =>
  new JobRecord({ principal: 'ann', model: 'm', request: { prompt: 'p' }, createdAtMs: 0 });

/** Runs a child job that fails with the record that `fail(record)` sets. */
async function failureAfter(fail) {
  const lifecycle = Object.assign(new EventEmitter(), { forget() {}, cancel() {} });
  const admission = {
    async submitChild(_request, { part }) {
      const record = newRecord();
      record.part = part;
      fail(record);
      queueMicrotask(() => lifecycle.emit('ended', record, { status: 'failed', error: wire }));
      return record;
    },
  };
  const jobs = new ChildJobs({ admission, hub: {}, lifecycle });
  const reservation = { lend: () => ({ giveBack() {} }) };
  const { signal } = new AbortController();
  const run = jobs.run({ prompt: 'p' }, { copyTo: {}, signal, reservation });
  return run.then(
    () => undefined,
    ({ passing, retryable, retryAfterMs, cause, code }) => ({
      ...{ passing, retryable, retryAfterMs, cause, code },
    }),
  );
}

const logged = new Error('429');
const passing = { wire, logged, retryable: true, retryAfterMs: 7000 };
const code = 'ERR_UPSTREAM_RATE_LIMITED';

test.each([
  [
    'its own call',
    (record) => {
      record.ownFailure = passing;
    },
  ],
  [
    'the call of the answer that it shares',
    (record) => {
      record.answer = newRecord();
      record.answer.ownFailure = passing;
    },
  ],
])('the hints of a failure are those of %s', async (_source, fail) => {
  expect(await failureAfter(fail)).toEqual({
    ...{ passing: true, retryable: true, retryAfterMs: 7000, cause: logged, code },
  });
});

test('a failure that does not pass is not retried, one without a provider may be', async () => {
  const final = { ...passing, retryable: false, retryAfterMs: undefined };
  const fail = (record) => {
    record.answer = newRecord();
    record.answer.ownFailure = final;
  };
  expect(await failureAfter(fail)).toMatchObject({ passing: false, retryable: false });
  expect(await failureAfter(() => {})).toMatchObject({ passing: false, retryable: true });
});
