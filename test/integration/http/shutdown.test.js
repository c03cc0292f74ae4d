/** close(): no new jobs, the running ones may finish, every stream gets its terminal event. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import express from 'express';
import { createGateway } from '../../../lib/index.js';
import { client, start, stopAll, testOwnServer } from '../../support/gateway/gateway.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { until } from '../../support/until.js';

afterEach(stopAll);

async function running(options) {
  const { provider, calls, call } = handProvider();
  const server = await start({ provider, ...options });
  const { body } = await server.submit({ prompt: 'a' });
  const open = await server.stream(body.stream_url);
  const run = await call(0);
  run.push('hello');
  await until(() => open.events.length === 1, 'the first token');
  return { ...server, id: body.job_id, open, run, calls };
}

testOwnServer(
  'while draining: no new jobs, not ready, the old ones go on and complete',
  async () => {
    const { gateway, server, open, run, submit, get, job, id } = await running();
    const closing = gateway.close({ drainMs: 60_000 });
    expect(gateway.ready()).toBe(false);
    const refused = await submit({ prompt: 'late' });
    expect(refused.status).toBe(503);
    expect(refused.body.error.code).toBe('draining');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await get('/readyz')).status).toBe(503);
    expect((await get('/healthz')).status).toBe(200);
    expect((await job(id)).status).toBe('running');
    await expect(gateway.submit({ prompt: 'late' })).rejects.toMatchObject({
      code: 'ERR_DRAINING',
    });

    run.push(' world');
    run.end();
    await closing;
    const events = await open.done;
    expect(events.map(({ type }) => type)).toEqual(['token', 'token', 'job_complete']);
    expect(server.listening).toBe(false);
  },
);

test('jobs not done in time are cancelled as shutdown, on the open stream too', async () => {
  const { gateway, open, run, submit, calls } = await running({ maxConcurrency: 1 });
  const queued = (await submit({ prompt: 'queued' })).body;
  await gateway.close({ drainMs: 30 });
  const events = await open.done;
  expect(events.at(-1)).toMatchObject({ type: 'job_cancelled', data: { reason: 'shutdown' } });
  expect(run.signal.aborted).toBe(true);
  expect(run.returned).toBe(true);
  expect(calls.map(({ request }) => request.prompt)).not.toContain('queued');
  expect(queued.status).toBe('queued');
});

test("streams of the application's server get their terminal event too", async () => {
  const { provider, call } = handProvider();
  const gateway = createGateway({ provider, logger: false });
  const server = express().use(gateway.router()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { submit, stream, get } = client(`http://127.0.0.1:${server.address().port}`);
    const { body } = await submit({ prompt: 'a' });
    const open = await stream(body.stream_url);
    (await call(0)).push('hello');
    await gateway.close({ drainMs: 0 });
    expect((await open.done).at(-1)).toMatchObject({
      type: 'job_cancelled',
      data: { reason: 'shutdown' },
    });
    expect(server.listening).toBe(true);
    for (const path of ['/v1/jobs', `/v1/jobs/${body.job_id}`, body.stream_url]) {
      expect(await get(path)).toMatchObject({ status: 503, body: { error: { code: 'draining' } } });
    }
    expect((await get('/healthz')).status).toBe(200);
  } finally {
    server.close();
    server.closeAllConnections();
  }
});

test('a submission that waits for room is refused once the server drains', async () => {
  const { gateway, server, submit } = await running({
    maxConcurrency: 1,
    processingCapacity: 1,
    incomingCapacity: 1,
    admissionWaitMs: 60_000,
  });
  let arrived = 0;
  server.on('request', () => (arrived += 1));
  const waiting = Array.from({ length: 6 }, () => submit({ prompt: 'b' }));
  await until(() => arrived === 6, 'six requests');
  await new Promise((resolve) => setTimeout(resolve, 100));
  const closing = gateway.close({ drainMs: 100 });
  const answers = await Promise.all(waiting);
  await closing;
  const codes = answers.map(({ status, body }) => (status === 201 ? 201 : body.error.code));
  expect(codes).toContain('draining');
  expect(codes.every((code) => code === 201 || code === 'draining')).toBe(true);
});

test('idle connections do not hold it up, and a second close is the same promise', async () => {
  const { gateway, server } = await start({ provider: echo });
  const idle = connect(server.port, '127.0.0.1');
  await once(idle, 'connect');
  idle.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(idle, 'data');
  const first = gateway.close();
  expect(gateway.close({ drainMs: 1 })).toBe(first);
  await Promise.all([first, once(idle, 'close')]);
  await expect(gateway.listen()).rejects.toMatchObject({ code: 'ERR_DRAINING' });
});

test('a gateway with nothing to do closes at once, and closes its provider', async () => {
  let closed = 0;
  const provider = {
    name: 'own',
    models: [{ id: 'own' }],
    takesBatches: false,
    enforcesMaxTokens: false,
    generate: echo,
    async close() {
      closed += 1;
    },
  };
  const { gateway } = await start({ provider });
  await gateway.close();
  expect(closed).toBe(1);
});

test('a failed listen reports the cause and leaves the gateway usable', async () => {
  const { server } = await start({ provider: echo });
  const { gateway } = await start({ provider: echo });
  await expect(gateway.listen({ port: server.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await expect(gateway.listen({ port: -1 })).rejects.toThrow(/^port takes/);
  await expect(gateway.submit({ prompt: 'a' })).resolves.toMatchObject({ status: 'queued' });
});

test('a script with ended jobs exits without close()', async () => {
  const script = `
    import { createGateway } from ${JSON.stringify(new URL('../../../lib/index.js', import.meta.url))};
    async function* provider() { yield 'a'; }
    const gateway = createGateway({ provider, logger: false, metrics: { processDefaults: true } });
    const { id } = await gateway.submit({ prompt: 'p' });
    for await (const { type } of gateway.stream(id)) console.log(type);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script]);
  let output = '';
  child.stdout.on('data', (text) => (output += text));
  const [code] = await once(child, 'close');
  expect(output).toBe('token\njob_complete\n');
  expect(code).toBe(0);
});
