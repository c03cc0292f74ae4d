/** Temporary failures of a provider: retried before the first token, reported unchanged otherwise. */
import { start, stopAll } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';
import { passing } from '../../support/gateway/workflows.js';

afterEach(stopAll);

const fast = { attempts: 3, baseMs: 1, capMs: 5 };

/** A generator that throws before its first token. */
function failing(error) {
  // oxlint-disable-next-line require-yield -- that is the point of it
  return async function* failsWith() {
    throw error;
  };
}

/** Runs `attempts[i]` at the i-th call. */
function scripted(...attempts) {
  const state = { calls: 0 };
  state.provider = async function* script(request, options) {
    const attempt = attempts[Math.min(state.calls, attempts.length - 1)];
    state.calls += 1;
    yield* attempt(request, options);
  };
  return state;
}

const fails = failing(passing());

async function* operations() {
  yield 'fine';
}

test('a job is retried, its readers get job_retry, and it completes', async () => {
  const script = scripted(fails, fails, operations);
  const { submit, stream, ended, get } = await start({
    provider: script.provider,
    retry: { ...fast, baseMs: 100, capMs: 100 },
  });
  const { body } = await submit({ prompt: 'a' });
  const events = await (await stream(body.stream_url)).done;
  const seen = events.map(({ id, type, data }) => [id, type, data.attempt ?? data.token ?? null]);
  expect(seen).toEqual([
    ['2-0', 'job_retry', 2],
    ['3-0', 'job_retry', 3],
    ['3-1', 'token', 'fine'],
    ['3-2', 'job_complete', null],
  ]);
  expect(await ended(body.job_id)).toMatchObject({ status: 'completed', text: 'fine' });
  expect(script.calls).toBe(3);
  expect((await get('/metrics')).body).toContain('sluice_job_retries_total 2');
});

test('after the last attempt readers get the failure', async () => {
  const script = scripted(fails);
  const { submit, ended } = await start({ provider: script.provider, retry: fast });
  const { body } = await submit({ prompt: 'a' });
  expect(await ended(body.job_id)).toMatchObject({
    status: 'failed',
    error: {
      code: 'upstream_unavailable',
      type: 'upstream_error',
      message: 'The upstream answered 503.',
    },
  });
  expect(script.calls).toBe(3);
});

test('once a token is out nothing is tried again', async () => {
  const script = scripted(async function* half() {
    yield 'half';
    throw passing({ wireCode: 'upstream_disconnected' });
  });
  const { submit, ended } = await start({ provider: script.provider, retry: fast });
  const { body } = await submit({ prompt: 'a' });
  expect(await ended(body.job_id)).toMatchObject({
    status: 'failed',
    text: 'half',
    error: { code: 'upstream_disconnected' },
  });
  expect(script.calls).toBe(1);
});

test('a permanent failure is not retried', async () => {
  const script = scripted(failing(passing({ wireCode: 'upstream_bad_request', retryable: false })));
  const { submit, ended } = await start({ provider: script.provider, retry: fast });
  const { body } = await submit({ prompt: 'a' });
  expect((await ended(body.job_id)).error.code).toBe('upstream_bad_request');
  expect(script.calls).toBe(1);
});

test('Retry-After is a lower bound', async () => {
  const calledAtMs = [];
  const limited = passing({ wireCode: 'upstream_rate_limited', retryAfterMs: 150 });
  const provider = async function* limits() {
    calledAtMs.push(performance.now());
    if (calledAtMs.length === 1) throw limited;
    yield 'fine';
  };
  const { submit, ended } = await start({ provider, retry: fast });
  const { body } = await submit({ prompt: 'a' });
  expect((await ended(body.job_id)).status).toBe('completed');
  expect(calledAtMs[1] - calledAtMs[0]).toBeGreaterThanOrEqual(149);
});

test("a Retry-After beyond the wall time fails at once, with the upstream's error", async () => {
  const script = scripted(
    failing(passing({ wireCode: 'upstream_rate_limited', retryAfterMs: 3_600_000 })),
  );
  const { submit, ended } = await start({ provider: script.provider, retry: fast });
  const { body } = await submit({ prompt: 'a' });
  expect((await ended(body.job_id)).error.code).toBe('upstream_rate_limited');
  expect(script.calls).toBe(1);
});

test('a job can be cancelled while it waits for its next attempt', async () => {
  const script = scripted(fails);
  const { submit, cancel, gateway } = await start({
    provider: script.provider,
    retry: { attempts: 3, baseMs: 60_000, capMs: 60_000 },
  });
  const { body } = await submit({ prompt: 'a' });
  await until(() => script.calls > 0, 'the first attempt');
  expect((await cancel(body.job_id)).body).toMatchObject({ status: 'cancelled' });
  await gateway.close({ drainMs: 60_000 });
  expect(script.calls).toBe(1);
});
