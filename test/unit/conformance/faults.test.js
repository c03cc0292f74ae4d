/**
 * Each rule of the conformance suite passes on a server that keeps it, and fails on one that breaks it. The servers
 * are one small server with one fault each.
 */
import { rules, runConformance, startFixtureUpstream } from '../../../lib/conformance/index.js';
import { MiniServer } from '../../support/conformance/mini-server.js';

/** Faults by the rule that finds them, each with a part of the reason in its report. */
const FAULTS = {
  'framing/content-type': { 'wrong-type': 'Content-Type text/plain' },
  'framing/not-cached': { cacheable: 'Cache-Control is' },
  'framing/grammar': {
    'unknown-field': 'no field that clients know',
    'no-last-blank-line': 'in the middle of an event',
  },
  'framing/utf-8': { latin1: 'differs from character' },
  'framing/bom': { 'strip-bom': 'differs from character' },
  'framing/line-endings': {
    'normalize-newlines': 'differs from character',
    'raw-newlines': 'differs from character',
  },
  'framing/injection': { 'raw-newlines': 'differs from character' },
  'framing/control-characters': { 'strip-controls': 'differs from character' },
  'framing/large-event': { truncate: 'differs from character' },
  'framing/utf-8-split': { 'split-utf-8': 'differs from character' },
  'framing/upstream-bom': { 'keep-upstream-bom': 'differs from character' },
  'framing/upstream-lf': { 'crlf-only': 'no text of the model within' },
  'framing/upstream-crlf': { 'lf-only': 'no text of the model within' },
  'framing/upstream-cr': {
    'lf-only': 'no text of the model within',
    'crlf-only': 'no text of the model within',
  },
  'framing/upstream-comment': { 'repeat-on-comment': 'differs from character' },
  'delivery/unbuffered': { buffer: 'no text "word-0 " within' },
  'delivery/fan-out': { 'no-replay': 'differs from character' },
  'delivery/keep-alive': {
    'no-heartbeat': 'no byte of a keep-alive within',
    'heartbeat-as-text': 'differs from character',
  },
  'delivery/slow-reader': { 'slow-reader-blocks': 'no end for the other reader within' },
  'delivery/slow-resume': { 'drop-when-slow': 'differs from character' },
  'cursor/unique': { 'same-ids': 'stands for two places' },
  'cursor/every-cut': {
    'resume-doubles': 'differs from character',
    'resume-loses': 'differs from character',
  },
  'cursor/live-cuts': {
    'resume-misses-live': 'differs from character',
    'resume-doubles': 'differs from character',
  },
  'cursor/none': { 'no-replay': 'a second reading' },
  'cursor/query': { 'ignore-query': 'differs from character' },
  'cursor/at-end': { 'end-not-204': '200 instead of 204', 'resume-doubles': '200 instead of 204' },
  'cursor/malformed': {
    'no-gap': 'not announced by a gap',
    'bad-cursor-is-end': 'differs from character',
  },
  'cursor/beyond': {
    'no-gap': 'not announced by a gap',
    'bad-cursor-is-end': 'differs from character',
  },
  'cursor/trimmed': { 'no-gap': 'no gap before them' },
  'cursor/unknown-job': { 'unknown-job-is-empty': '200 instead of 404' },
  'ending/one': {
    'two-endings': '2 terminal events',
    'text-after-end': 'follow the terminal one',
    'cut-at-end': 'no proper end of the response',
  },
  'ending/proper': { 'cut-at-end': 'connection was cut' },
  'ending/error': { 'error-as-complete': 'says complete', 'silent-error': '0 terminal events' },
  'ending/refused': { 'error-as-complete': 'says complete' },
  'ending/race': { 'two-endings-in-race': 'a reader has 3 terminal events' },
  'cancel/queued': { 'runs-cancelled': 'called for a job that was cancelled' },
  'cancel/before-head': {
    'call-not-aborted-before-head': 'no close of the call of the model within',
  },
  'cancel/before-first-token': { 'keeps-upstream': 'no close of the call of the model within' },
  'cancel/mid-stream': {
    'keeps-upstream': 'no close of the call of the model within',
    'cancel-as-complete': 'reported as complete',
  },
  'cancel/twice': { 'second-cancel-refused': 'the cancel got 409' },
  'cancel/after-end': { 'cancel-after-end': 'now says cancelled' },
  'cancel/unknown-job': { 'cancel-unknown-500': 'got 500' },
  'idempotency/same': { 'ignore-key': 'the two requests made' },
  'idempotency/concurrent': { 'key-race': '20 requests made 20 jobs' },
  'idempotency/other-body': { 'other-body-replayed': 'got 200 instead of 422' },
  'fan-in/two-jobs': { 'fan-in-first-only': 'no terminal event of each job' },
  'fan-in/resume': { 'fan-in-from-start': 'differs from character' },
  'leave/runs-on': { 'cancel-on-leave': 'closed when the reader left' },
  'leave/cancel': { 'never-cancel-on-leave': 'no close of the call of the model within' },
  'leave/grace': { 'grace-timer-stays': 'although a reader is there' },
  'drain/terminal': { 'drain-cuts': 'no proper end of the response' },
};

/** Long enough for a busy machine. */
const PASS_MS = 30_000;

/** Waits that have to fail: a longer one follows where a busy machine was late with something else. */
const FAIL_MS = [200, 2000, PASS_MS];

/** Runs at once: most of them wait. */
const PARALLEL = 6;

const LIMITS = { concurrency: 2, heartbeatMs: 50, stallMs: 1000, logLimitBytes: 64 * 1024 };

/** The result of one rule on a separate server. */
async function run(upstream, id, faults, timeoutMs) {
  const logLimitBytes = id === 'cursor/trimmed' ? LIMITS.logLimitBytes : undefined;
  const server = new MiniServer({ upstream: upstream.url, faults, ...LIMITS, logLimitBytes });
  await server.listen();
  const { url } = server;
  try {
    const drain = () => server.drain();
    const options = { url, upstream, only: [id], timeoutMs, drain, ...LIMITS };
    return (await runConformance(options)).results[0];
  } finally {
    server.close();
  }
}

/** @returns {Promise<object>} the result of a rule on a server with a fault, for the expected reason if it can */
async function runFault(upstream, id, fault, reason) {
  const waits = reason.endsWith(' within') ? FAIL_MS : [PASS_MS];
  for (const timeoutMs of waits.slice(0, -1)) {
    const result = await run(upstream, id, [fault], timeoutMs);
    if (result.reason?.includes(reason)) return result;
  }
  return run(upstream, id, [fault], waits.at(-1));
}

/** Results by rule and fault. */
const results = new Map();
const keyOf = (id, fault = 'none') => `${id} ${fault}`;

beforeAll(async () => {
  const upstream = await startFixtureUpstream();
  const waiting = Object.entries(FAULTS).flatMap(([id, faults]) => [
    async () => results.set(keyOf(id), await run(upstream, id, [], PASS_MS)),
    ...Object.entries(faults).map(
      ([fault, reason]) =>
        async () =>
          results.set(keyOf(id, fault), await runFault(upstream, id, fault, reason)),
    ),
  ]);
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await next();
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  await upstream.close();
});

test('every rule has a fault', () => {
  expect(Object.keys(FAULTS)).toEqual(rules.map(({ id }) => id));
});

test.each(Object.keys(FAULTS))('%s passes on a server without faults', (id) => {
  const { status, reason } = results.get(keyOf(id));
  expect({ status, reason }).toEqual({ status: 'passed', reason: undefined });
});

test.each(
  Object.entries(FAULTS).flatMap(([id, faults]) =>
    Object.entries(faults).map(([fault, reason]) => [id, fault, reason]),
  ),
)('%s fails on a server with the fault %s', (id, fault, reason) => {
  expect(results.get(keyOf(id, fault))).toMatchObject({
    status: 'failed',
    reason: expect.stringContaining(reason),
  });
});
