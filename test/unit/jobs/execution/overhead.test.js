import { overheadMsOf } from '../../../../lib/jobs/execution/overhead.js';

const job = (fields) => ({ submittedMs: 100, acceptedMs: 110, calls: [], ...fields });

test.each([
  ['a job that never reached the provider', job(), 40, 50],
  ['queue only: the last call ends with the job', job({ calls: [{ startMs: 125 }] }), 90, 25],
  [
    'admission, queue and the wait before a retry',
    job({ calls: [{ startMs: 120, endMs: 150 }, { startMs: 175 }] }),
    100,
    20 + 25,
  ],
  [
    'a job cancelled while it waits for a retry',
    job({ calls: [{ startMs: 120, endMs: 150 }] }),
    60,
    20 + 20,
  ],
  [
    'a job that joins a running answer',
    job({ cache: 'join', answer: { calls: [{ startMs: 30 }] } }),
    90,
    0,
  ],
  [
    'a job that leaves a shared answer early',
    job({ cache: 'miss', answer: { calls: [{ startMs: 115, endMs: 900 }] } }),
    40,
    15,
  ],
  ['a replayed answer', job({ cache: 'hit', answer: { calls: [{ startMs: 1 }] } }), 5, 15],
])('%s', (_name, record, durationMs, expected) => {
  expect(overheadMsOf(record, durationMs)).toBe(expected);
});

test('a restored job has no figure', () => {
  expect(overheadMsOf({ calls: [] }, 10)).toBe(undefined);
});
