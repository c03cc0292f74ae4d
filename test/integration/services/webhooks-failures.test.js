/** Webhooks to receivers that fail or are slow: attempts, replays, pages of failed deliveries. */
import { Webhook } from 'standardwebhooks';
import { ManualClock } from '../../../lib/index.js';
import { bearer, entry } from '../../support/gateway/keys.js';
import { echo } from '../../support/providers/providers.js';
import { startReceiver } from '../../support/upstream/webhook-receiver.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';
import { secret, HOUR_MS, collector, run } from '../../support/gateway/webhooks.js';

afterEach(stopAll);

describe('failing receivers', () => {
  const refusals = {
    'answers 500': [
      (_request, res) => res.writeHead(500).end(),
      { code: 'http_status', status: 500 },
    ],
    redirects: [
      (_request, res) => res.writeHead(307, { location: '/elsewhere' }).end(),
      { code: 'redirect', status: 307 },
    ],
    'breaks the connection': [(_request, res) => res.destroy(), { code: 'disconnected' }],
    'does not answer': [() => {}, { code: 'timeout' }],
  };

  test.each(Object.entries(refusals))('%s: it is sent again', async (_name, [answer, error]) => {
    const clock = new ManualClock();
    const receiver = await startReceiver({ answer });
    const { lines, logger } = collector();
    const gateway = await start({
      ...{ provider: echo, clock, logger },
      webhooks: [{ url: receiver.url, secret }],
      // A slow machine may take long to answer, too.
      ...(error.code === 'timeout' && { webhookDelivery: { timeoutMs: 200 } }),
    });
    await run(gateway);
    const retried = 'sluice_webhook_deliveries_total{result="retried"}';
    await until(async () => (await gateway.metric(retried)) === 1, 'the failure');
    expect(lines.find(({ message }) => /not delivered/.test(message))).toMatchObject({ error });
    receiver.answer = 200;
    clock.advanceMs(10_000);
    const [first, second] = [await receiver.request(0), await receiver.request(1)];
    expect(second.text).toBe(first.text);
    expect(second.headers['webhook-id']).toBe(first.headers['webhook-id']);
    expect(second.path).toBe('/hook');
    new Webhook(secret).verify(second.text, second.headers);
    await until(async () => (await gateway.metric('sluice_webhooks_pending')) === 0);
    clock.advanceMs(24 * HOUR_MS);
    expect(receiver.requests).toHaveLength(2);
  });

  test('for 24 hours: then it is stored as failed, and can be replayed', async () => {
    const clock = new ManualClock();
    const receiver = await startReceiver({ answer: 503 });
    const admin = bearer('admin');
    const access = { keys: [entry('a', 'admin', { admin: true }), entry('b', 'user')] };
    const gateway = await start({
      ...{ provider: echo, clock, access },
      webhooks: [{ url: receiver.url, secret }],
    });
    const { get, post } = gateway;
    const submitted = await gateway.submit({ prompt: 'hello' }, admin);
    const { job_id: id } = submitted.body;
    const failed = async () => (await get('/v1/webhooks/failed', { headers: admin })).body;
    const attempts = async (n) => {
      await receiver.request(n - 1);
      await until(async () => {
        const { body } = await get('/metrics', { headers: admin });
        const counts = body.match(/deliveries_total\{result="(?:retried|failed)"\} (\d+)/g);
        return counts.reduce((sum, line) => sum + Number(line.split(' ')[1]), 0) === n;
      }, `attempt ${n}`);
    };
    await attempts(1);
    // Each wait is an hour at most.
    let count = 1;
    for (let hour = 0; hour < 23; hour += 1) {
      const before = count;
      clock.advanceMs(HOUR_MS);
      count += 1;
      await attempts(count);
      expect(count).toBe(before + 1);
    }
    expect(await failed()).toEqual({ data: [], has_more: false });
    clock.advanceMs(HOUR_MS);
    await until(async () => (await failed()).data.length === 1, 'the end of the attempts');
    const [given] = (await failed()).data;
    expect(given).toEqual({
      id: receiver.requests[0].headers['webhook-id'],
      ...{ type: 'job.completed', url: receiver.url, subject: id },
      ...{ attempts: receiver.requests.length, created_at: expect.any(Number) },
      failed_at: expect.any(Number),
      error: { code: 'http_status', status: 503, message: 'The receiver answered 503' },
    });
    expect(given.failed_at - given.created_at).toBeGreaterThanOrEqual(24 * 3600);
    expect(given.failed_at - given.created_at).toBeLessThan(25 * 3600);
    const user = bearer('user');
    expect((await get('/v1/webhooks/failed', { headers: user })).status).toBe(403);
    expect((await post(`/v1/webhooks/failed/${given.id}/replay`, undefined, user)).status).toBe(
      403,
    );
    expect((await post('/v1/webhooks/failed/msg_x/replay', undefined, admin)).body.error.code).toBe(
      'webhook_not_found',
    );

    receiver.answer = 200;
    const n = receiver.requests.length;
    expect(await post(`/v1/webhooks/failed/${given.id}/replay`, undefined, admin)).toMatchObject({
      status: 202,
      body: { id: given.id, status: 'pending' },
    });
    expect((await receiver.request(n)).headers['webhook-id']).toBe(given.id);
    expect((await failed()).data).toEqual([]);
  });

  test('410 ends the attempts at once', async () => {
    const receiver = await startReceiver({ answer: 410 });
    const gateway = await start({ provider: echo, webhooks: [{ url: receiver.url, secret }] });
    await run(gateway);
    await until(async () => (await gateway.metric('sluice_webhooks_failed')) === 1);
    const { data } = (await gateway.get('/v1/webhooks/failed')).body;
    expect(data).toMatchObject([{ attempts: 1, error: { status: 410 } }]);
  });

  test('Retry-After is obeyed', async () => {
    const clock = new ManualClock();
    const answer = (_request, res) => res.writeHead(429, { 'retry-after': '7200' }).end();
    const receiver = await startReceiver({ answer });
    const gateway = await start({
      ...{ provider: echo, clock },
      webhooks: [{ url: receiver.url, secret }],
    });
    await run(gateway);
    const retried = 'sluice_webhook_deliveries_total{result="retried"}';
    await until(async () => (await gateway.metric(retried)) === 1);
    clock.advanceMs(7199_000);
    await new Promise(setImmediate);
    expect(receiver.requests).toHaveLength(1);
    clock.advanceMs(1000);
    await receiver.request(1);
  });

  test('a slow receiver does not hold up another one', async () => {
    const held = [];
    const slow = await startReceiver({ answer: (_request, res) => held.push(res) });
    const quick = await startReceiver();
    const gateway = await start({
      provider: echo,
      webhooks: [
        { url: slow.url, secret },
        { url: quick.url, secret },
      ],
      webhookDelivery: { timeoutMs: 600_000 },
    });
    for (let n = 0; n < 20; n += 1) await run(gateway);
    await quick.request(19);
    // At one receiver a few attempts run at once; the others wait.
    expect(slow.requests).toHaveLength(4);
    expect(await gateway.metric('sluice_webhooks_pending')).toBe(20);
    slow.answer = 204;
    for (const res of held) res.writeHead(204).end();
    await until(async () => (await gateway.metric('sluice_webhooks_pending')) === 0);
  });

  test('pages of failed webhooks, the latest first, the oldest dropped', async () => {
    const receiver = await startReceiver({ answer: 410 });
    const { lines, logger } = collector();
    const gateway = await start({
      ...{ provider: echo, logger },
      webhooks: [{ url: receiver.url, secret }],
      webhookDelivery: { maxFailed: 3 },
    });
    const ids = [];
    for (let n = 0; n < 4; n += 1) {
      ids.unshift((await run(gateway)).job_id);
      const failed = 'sluice_webhook_deliveries_total{result="failed"}';
      await until(async () => (await gateway.metric(failed)) === n + 1);
    }
    const page = async (query) => (await gateway.get(`/v1/webhooks/failed?${query}`)).body;
    const first = await page('limit=2');
    expect(first.has_more).toBe(true);
    const second = await page(`limit=2&after=${first.data[1].id}`);
    expect(second.has_more).toBe(false);
    expect([...first.data, ...second.data].map(({ subject }) => subject)).toEqual(ids.slice(0, 3));
    expect(await gateway.metric('sluice_webhook_deliveries_total{result="dropped"}')).toBe(1);
    expect(lines.find(({ message }) => message === 'webhook dropped').subject).toBe(ids[3]);
    expect((await page('after=msg_x')).error.param).toBe('after');
    expect((await page('limit=0')).error.param).toBe('limit');
    const { webhooks } = gateway.gateway;
    expect(webhooks.listFailed().data.map(({ subject }) => subject)).toEqual(ids.slice(0, 3));
    expect(webhooks.listFailed({ limit: 1 })).toMatchObject({ hasMore: true });
    expect(() => webhooks.listFailed({ first: 1 })).toThrow('first');
    expect(() => webhooks.replay(7)).toThrow('id takes a string');
  });
});
