/** Undelivered webhooks: over restarts, kills, shutdowns, erasures and a full disk. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ManualClock } from '../../../lib/index.js';
import { dataFile } from '../../support/files/data-file.js';
import { dataFileOnSmallDisk, fillDiskOf, testWithDisk } from '../../support/files/small-disk.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { startReceiver } from '../../support/upstream/webhook-receiver.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';
import { secret, HOUR_MS, collector, run } from '../../support/gateway/webhooks.js';

afterEach(stopAll);

describe('stored deliveries', () => {
  test('over a restart: the receiver gets the same message from the next process', async () => {
    const data = dataFile();
    const receiver = await startReceiver({ answer: 500 });
    const webhooks = [{ url: receiver.url, secret, text: true }];
    const first = await start({ provider: echo, data, webhooks });
    const job = await run(first);
    await receiver.request(0);
    await first.gateway.close({ drainMs: 0 });
    receiver.answer = 200;
    const clock = new ManualClock();
    const second = await start({ provider: echo, data, webhooks, clock });
    expect(await second.metric('sluice_webhooks_pending')).toBe(1);
    clock.advanceMs(HOUR_MS);
    const again = await receiver.request(1);
    expect(again.headers['webhook-id']).toBe(receiver.requests[0].headers['webhook-id']);
    expect(again.body.data).toEqual(job);
    await until(async () => (await second.metric('sluice_webhooks_pending')) === 0);
    await second.gateway.close({ drainMs: 0 });
    const third = await start({ provider: echo, data, webhooks });
    expect(await third.metric('sluice_webhooks_pending')).toBe(0);
    expect((await third.get('/v1/webhooks/failed')).body.data).toEqual([]);
  });

  test('over a kill between the end of a job and its report', async () => {
    const data = dataFile();
    const receiver = await startReceiver();
    const script = fileURLToPath(
      new URL('../../support/gateway/killed-at-end.mjs', import.meta.url),
    );
    const child = spawn(process.execPath, [script, data, receiver.url, secret]);
    const [code, signal] = await once(child, 'exit');
    expect([code, signal]).toEqual([null, 'SIGKILL']);
    expect(receiver.requests).toEqual([]);
    const webhooks = [{ url: receiver.url, secret }];
    const next = await start({ provider: echo, data, webhooks, retentionMs: 0 });
    const { body } = await receiver.request(0);
    expect(body).toMatchObject({ type: 'job.completed', data: { status: 'completed' } });
    await until(async () => (await next.metric('sluice_webhooks_pending')) === 0);
    await next.gateway.close({ drainMs: 0 });
    await start({ provider: echo, data, webhooks });
    expect(receiver.requests).toHaveLength(1);
  });

  test('failed ones over a restart; one with a URL no longer configured is kept', async () => {
    const data = dataFile();
    const receiver = await startReceiver({ answer: 410 });
    const webhooks = [{ url: receiver.url, secret }];
    const first = await start({ provider: echo, data, webhooks });
    await run(first);
    await until(async () => (await first.metric('sluice_webhooks_failed')) === 1);
    await first.gateway.close({ drainMs: 0 });
    const second = await start({ provider: echo, data });
    const [{ id }] = (await second.get('/v1/webhooks/failed')).body.data;
    await second.post(`/v1/webhooks/failed/${id}/replay`);
    const retried = 'sluice_webhook_deliveries_total{result="retried"}';
    await until(async () => (await second.metric(retried)) === 1, 'the attempt');
    expect(await second.metric('sluice_webhooks_pending')).toBe(1);
    expect(receiver.requests).toHaveLength(1);
  });

  test('of a shutdown: jobs that it ends are reported before it is over', async () => {
    const receiver = await startReceiver();
    const { provider, call } = handProvider();
    const { gateway, submit } = await start({
      provider,
      webhooks: [{ url: receiver.url, secret }],
    });
    await submit({ prompt: 'a' });
    await call(0);
    await gateway.close({ drainMs: 0 });
    expect(receiver.requests.map(({ body }) => [body.type, body.data.reason])).toEqual([
      ['job.cancelled', 'shutdown'],
    ]);
  });

  test('without a data file a shutdown logs the lost deliveries', async () => {
    const receiver = await startReceiver();
    await receiver.close();
    const { lines, logger } = collector();
    const running = await start({
      ...{ provider: echo, logger },
      webhooks: [{ url: receiver.url, secret }],
    });
    await run(running);
    await running.gateway.close({ drainMs: 0 });
    expect(lines.find(({ message }) => /^webhooks lost/.test(message))).toMatchObject({
      level: 'error',
      undelivered: 1,
    });
  });

  test('within webhookDelivery.maxBytes: beyond it new ones are dropped and logged', async () => {
    const receiver = await startReceiver({ answer: 500 });
    const { lines, logger } = collector();
    const gateway = await start({
      ...{ provider: echo, logger },
      webhooks: [{ url: receiver.url, secret, text: false }],
      webhookDelivery: { maxBytes: 2 ** 20 },
    });
    const metadata = { note: 'x'.repeat(16_000) };
    for (let n = 0; n < 40; n += 1) await run(gateway, { prompt: 'a', metadata });
    const dropped = lines.filter(({ message }) => message === 'webhook dropped');
    const pending = await gateway.metric('sluice_webhooks_pending');
    // A caller has half of the room.
    expect(pending).toBe(Math.floor(2 ** 19 / 16_800));
    expect(pending + dropped.length).toBe(40);
    expect(dropped[0]).toMatchObject({
      reason: 'there is no room for it',
      subject: expect.stringMatching(/^job_/),
    });
    expect(dropped[0].level).toBe('error');
  });

  test('until the job or its caller is erased', async () => {
    const receiver = await startReceiver({ answer: 500 });
    const data = dataFile();
    const gateway = await start({
      ...{ provider: echo, data },
      webhooks: [{ url: receiver.url, secret }],
    });
    const pending = () => gateway.metric('sluice_webhooks_pending');
    const job = await run(gateway, { prompt: 'a', metadata: { who: 'secret owner' } });
    await run(gateway, { prompt: 'a', metadata: { who: 'another owner' } });
    await run(gateway);
    const onDisk = (text) =>
      readdirSync(dirname(data)).some((name) =>
        readFileSync(join(dirname(data), name)).includes(text),
      );
    expect(await pending()).toBe(3);
    expect(onDisk('secret owner')).toBe(true);
    expect((await gateway.call('DELETE', `/v1/jobs/${job.job_id}`)).status).toBe(204);
    expect(await pending()).toBe(2);
    expect(onDisk('secret owner')).toBe(false);
    expect(onDisk('another owner')).toBe(true);
    expect((await gateway.call('DELETE', '/v1/principals/anonymous')).status).toBe(204);
    expect(await pending()).toBe(0);
    expect(onDisk('another owner')).toBe(false);
    expect(await gateway.metric('sluice_memory_bytes{kind="webhooks"}')).toBe(0);
  });

  testWithDisk('webhooks go out while the disk is full', async () => {
    const data = dataFileOnSmallDisk();
    const receiver = await startReceiver();
    const { provider, call } = handProvider();
    const gateway = await start({ provider, data, webhooks: [{ url: receiver.url, secret }] });
    await gateway.submit({ prompt: 'a' });
    const feed = await call(0);
    const makeRoom = fillDiskOf(data);
    feed.push('x'.repeat(200_000));
    const isFull = async () => (await gateway.metric('sluice_store_state{state="full"}')) === 1;
    await until(isFull, 'the full disk');
    feed.end();
    expect((await receiver.request(0)).body.type).toBe('job.completed');
    makeRoom();
    await until(async () => (await gateway.metric('sluice_webhooks_pending')) === 0);
  });
});
