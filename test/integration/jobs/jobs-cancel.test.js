/** Cancelling a job over HTTP, in every phase. */
import { start, stopAll } from '../../support/gateway/gateway.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { until } from '../../support/until.js';

afterEach(stopAll);

describe('cancel', () => {
  test('in the queue: the provider never receives the job, its neighbours run', async () => {
    const { provider, calls, call } = handProvider();
    const { submit, cancel, ended } = await start({ provider, maxConcurrency: 1 });
    const ids = [];
    for (const prompt of ['a', 'b', 'c']) ids.push((await submit({ prompt })).body.job_id);
    const first = await call(0);
    const { status, body } = await cancel(ids[1]);
    expect(status).toBe(200);
    expect(body).toMatchObject({ job_id: ids[1], status: 'cancelled', reason: 'client_request' });
    first.end();
    (await call(1)).end();
    await ended(ids[2]);
    expect(calls.map(({ request }) => request.prompt)).toEqual(['a', 'c']);
  });

  test("before the first token: the provider's signal aborts, the slot is free again", async () => {
    const { provider, call } = handProvider();
    const { submit, cancel, ended } = await start({ provider, maxConcurrency: 1 });
    const id = (await submit({ prompt: 'a' })).body.job_id;
    const run = await call(0);
    expect((await cancel(id)).body.status).toBe('cancelled');
    await run.aborted;
    await until(() => run.returned, 'the provider to return');
    const next = (await submit({ prompt: 'b' })).body.job_id;
    (await call(1)).end();
    expect((await ended(next)).status).toBe('completed');
  });

  test('in the middle: the text so far stays, the stream gets its terminal event', async () => {
    const { provider, call } = handProvider();
    const { submit, cancel, stream, job } = await start({ provider });
    const { body: created } = await submit({ prompt: 'a' });
    const open = await stream(created.stream_url);
    const run = await call(0);
    run.push('half');
    await until(() => open.events.length === 1, 'the first token');
    const { body } = await cancel(created.job_id);
    expect(body).toMatchObject({ status: 'cancelled', reason: 'client_request', text: 'half' });
    await run.aborted;
    run.push('never seen');
    const events = await open.done;
    expect(events.at(-1)).toMatchObject({
      type: 'job_cancelled',
      data: { job_id: created.job_id, reason: 'client_request' },
    });
    expect(await job(created.job_id)).toEqual(body);
  });

  test('a provider that ignores the signal does not keep its slot', async () => {
    let calls = 0;
    async function* deaf({ prompt }) {
      calls += 1;
      if (prompt === 'hang') await new Promise(() => {});
      yield 'ok';
    }
    const { submit, cancel, ended } = await start({ provider: deaf, maxConcurrency: 1 });
    const id = (await submit({ prompt: 'hang' })).body.job_id;
    await until(() => calls === 1, 'the first call');
    await cancel(id);
    const next = (await submit({ prompt: 'go' })).body.job_id;
    expect(await ended(next)).toMatchObject({ status: 'completed', text: 'ok' });
  });

  test('is idempotent, and changes nothing about a finished job', async () => {
    const { provider, call } = handProvider();
    const { submit, cancel, ended } = await start({ provider });
    const id = (await submit({ prompt: 'a' })).body.job_id;
    await call(0);
    const first = await cancel(id);
    const second = await cancel(id);
    expect(second.status).toBe(200);
    expect(second.body).toEqual(first.body);

    const other = (await submit({ prompt: 'b' })).body.job_id;
    const run = await call(1);
    run.push('done');
    run.end();
    const finished = await ended(other);
    expect((await cancel(other)).body).toEqual(finished);
    expect(finished.status).toBe('completed');
    expect(run.signal.aborted).toBe(false);
  });

  test('of an unknown job is 404', async () => {
    const { cancel } = await start({ provider: echo });
    const { status, body } = await cancel('job_nobody');
    expect(status).toBe(404);
    expect(body.error.code).toBe('job_not_found');
  });
});
