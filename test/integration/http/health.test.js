/** The operator's view: health, models, metrics, the log line of a job. */
import { start, stopAll, testOwnServer } from '../../support/gateway/gateway.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { until } from '../../support/until.js';

afterEach(stopAll);

test('liveness, readiness and the list of models', async () => {
  const { get } = await start({ provider: echo });
  expect((await get('/healthz')).status).toBe(200);
  expect((await get('/readyz')).status).toBe(200);
  const { body } = await get('/v1/models');
  expect(body).toEqual({
    object: 'list',
    data: [expect.objectContaining({ id: 'echo', object: 'model' })],
  });
});

test('metrics count endings, tokens, streams and queued jobs', async () => {
  const { provider, call } = handProvider();
  const { submit, cancel, ended, stream, get, metric } = await start({
    provider,
    maxConcurrency: 1,
  });
  const first = (await submit({ prompt: 'a' })).body;
  const second = (await submit({ prompt: 'b' })).body;
  const open = await stream(first.stream_url);
  const run = await call(0);
  expect(await metric('sluice_in_flight_batches')).toBe(1);
  expect(await metric('sluice_queued_requests')).toBe(1);
  expect(await metric('sluice_open_streams')).toBe(1);
  run.push('one');
  run.push('two');
  run.end();
  await open.done;
  await until(async () => (await metric('sluice_open_streams')) === 0, 'the stream to be closed');
  await cancel(second.job_id);
  await ended(first.job_id);
  expect(await metric('sluice_jobs_total{status="completed"}')).toBe(1);
  expect(await metric('sluice_jobs_total{status="cancelled"}')).toBe(1);
  expect(await metric('sluice_jobs_total{status="failed"}')).toBe(0);
  expect(await metric('sluice_tokens_total')).toBe(2);
  expect(await metric('sluice_job_ttft_seconds_count')).toBe(1);
  expect(await metric('sluice_job_duration_seconds_count')).toBe(2);
  expect(await metric('sluice_job_overhead_seconds_count')).toBe(2);
  expect(await metric('sluice_job_output_token_seconds_count')).toBe(1);
  const cancels = 'sluice_http_responses_total{route="/v1/jobs/:id/cancel",status="200"}';
  expect(await metric(cancels)).toBe(1);
  expect((await get('/metrics')).headers.get('content-type')).toMatch(/^text\/plain/);
});

test('two gateways in one process do not mix', async () => {
  const one = await start({ provider: echo });
  const two = await start({ provider: echo });
  const { body } = await one.submit({ prompt: 'a' });
  await one.ended(body.job_id);
  expect((await one.get('/metrics')).body).toContain('sluice_jobs_total{status="completed"} 1');
  expect((await two.get('/metrics')).body).toContain('sluice_jobs_total{status="completed"} 0');
  expect((await two.get(`/v1/jobs/${body.job_id}`)).status).toBe(404);
});

test('each job that ends is one line in the log', async () => {
  const lines = [];
  const logger = { info: (fields) => lines.push(fields), warn() {}, error() {} };
  const { submit, ended } = await start({ provider: echo, logger });
  const { body } = await submit({ prompt: 'one two' });
  await ended(body.job_id);
  expect(lines).toEqual([
    expect.objectContaining({
      job_id: body.job_id,
      principal: 'anonymous',
      model: 'echo',
      status: 'completed',
      reason: 'stop',
      attempts: 1,
      tokens: 2,
      duration_ms: expect.any(Number),
    }),
  ]);
});

testOwnServer('the page is served with a strict policy and its client beside it', async () => {
  const { get } = await start({ provider: echo });
  const script = await get('/client.js');
  expect(script.status).toBe(200);
  expect(script.headers.get('content-type')).toMatch(/javascript/);
  expect(script.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(script.headers.get('content-security-policy')).not.toContain('unsafe');
  expect(script.headers.get('cache-control')).toBe('no-cache');
  expect(script.headers.get('x-request-id')).toBeTruthy();
});
