/** Disconnects and cancellations: each has its own policy. */
import { start, stopAll } from '../../../support/gateway/gateway.js';
import { handProvider } from '../../../support/providers/providers.js';
import { until } from '../../../support/until.js';

afterEach(stopAll);

async function openJob(body) {
  const { provider, call } = handProvider();
  const server = await start({ provider });
  const { body: created } = await server.submit({ prompt: 'a', ...body });
  const open = await server.stream(created.stream_url);
  const run = await call(0);
  run.push('hello');
  await until(() => open.events.length === 1, 'the first token');
  return { ...server, id: created.job_id, streamUrl: created.stream_url, open, run };
}

test("the job is cancelled once its last reader has been gone for the grace, and the provider's signal aborts", async () => {
  const { open, run, ended, id } = await openJob({ disconnect_grace_ms: 20 });
  open.close();
  await run.aborted;
  await until(() => run.returned, 'the provider to return');
  expect(await ended(id)).toMatchObject({
    status: 'cancelled',
    reason: 'client_disconnected',
    text: 'hello',
  });
});

test('a reader who is back within the grace keeps the job', async () => {
  const { open, run, stream, streamUrl, ended, id } = await openJob({ disconnect_grace_ms: 5000 });
  open.close();
  const again = await stream(`${streamUrl}&last_event_id=1-1`);
  run.push(' again');
  run.end();
  const events = await again.done;
  expect(events.map(({ type }) => type)).toEqual(['token', 'job_complete']);
  expect((await ended(id)).text).toBe('hello again');
});

test('on_disconnect continue finishes the job without a reader', async () => {
  const { open, run, ended, id } = await openJob({
    on_disconnect: 'continue',
    disconnect_grace_ms: 0,
  });
  open.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  run.push(' alone');
  run.end();
  expect(await ended(id)).toMatchObject({ status: 'completed', text: 'hello alone' });
});

test('a job that never had a reader runs to its end', async () => {
  const { provider, call } = handProvider();
  const { submit, ended } = await start({ provider });
  const { body } = await submit({ prompt: 'a', disconnect_grace_ms: 0 });
  const run = await call(0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  run.push('unseen');
  run.end();
  expect(await ended(body.job_id)).toMatchObject({ status: 'completed', text: 'unseen' });
});
