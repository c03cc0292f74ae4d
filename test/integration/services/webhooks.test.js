/** Webhooks over HTTP: what a receiver gets, and what happens when it does not take it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Webhook } from 'standardwebhooks';
import { ManualClock } from '../../../lib/index.js';
import { bearer, entry } from '../../support/gateway/keys.js';
import { dataFile } from '../../support/files/data-file.js';
import { dataFileOnSmallDisk, fillDiskOf, testWithDisk } from '../../support/files/small-disk.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { newSecret, startReceiver } from '../../support/upstream/webhook-receiver.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';

afterEach(stopAll);

const secret = newSecret();
const HOUR_MS = 3_600_000;

/** A logger that collects what is logged at a level. */
function collector() {
  const lines = [];
  const logger = Object.fromEntries(
    ['debug', 'info', 'warn', 'error'].map((level) => [
      level,
      (fields, message) => lines.push({ level, message, ...fields }),
    ]),
  );
  return { lines, logger };
}

/** The value of a metric's line. */
async function metric({ get }, line) {
  const { body } = await get('/metrics');
  const found = body.split('\n').find((text) => text.startsWith(`${line} `));
  return Number(found?.split(' ').at(-1));
}

/** A job to its end. */
async function run({ submit, ended }, body = { prompt: 'hello there' }) {
  const answer = await submit(body);
  expect(answer.status).toBe(201);
  return ended(answer.body.job_id);
}

const withoutText = ({ text: _, ...job }) => job;

describe('the requests to a receiver', () => {
  test('the job as GET gives it, without the text, signed', async () => {
    const receiver = await startReceiver();
    const webhooks = [{ url: receiver.url, events: ['job.completed'], secret }];
    const gateway = await start({ provider: echo, webhooks });
    const job = await run(gateway, { prompt: 'hello there', metadata: { order: 7 } });
    const { headers, text, method } = await receiver.request(0);
    const event = new Webhook(secret).verify(text, headers);
    expect(event).toEqual({
      type: 'job.completed',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      data: withoutText(job),
    });
    expect(event.data).toMatchObject({ status: 'completed', metadata: { order: 7 } });
    expect(method).toBe('POST');
    expect(headers['content-type']).toBe('application/json; charset=utf-8');
    expect(headers['webhook-id']).toMatch(/^msg_[\w-]{32}$/);
    expect(() => new Webhook(newSecret()).verify(text, headers)).toThrow();
    await until(async () => (await metric(gateway, 'sluice_webhooks_pending')) === 0);
    expect(await metric(gateway, 'sluice_webhook_deliveries_total{result="delivered"}')).toBe(1);
  });

  test('the text where it asks for it', async () => {
    const receiver = await startReceiver();
    const webhooks = [{ url: receiver.url, secret, text: true }];
    const gateway = await start({ provider: echo, webhooks });
    const job = await run(gateway);
    expect(job.text).toBe('hello there');
    expect((await receiver.request(0)).body.data).toEqual(job);
  });

  test('the events that it chose, those of workflows and crawls too, none of child jobs', async () => {
    const [all, some] = [await startReceiver(), await startReceiver()];
    const webhooks = [
      { url: all.url, secret },
      { url: some.url, secret, events: ['job.cancelled', 'workflow.*'] },
    ];
    const { provider, call } = handProvider();
    const gateway = await start({ provider, webhooks, maxConcurrency: 1 });
    const first = (await gateway.submit({ prompt: 'a' })).body;
    const second = (await gateway.submit({ prompt: 'b' })).body;
    (await call(0)).fail(new Error('no'));
    await call(1);
    await gateway.cancel(second.job_id);
    await gateway.ended(second.job_id);
    const workflow = (await gateway.post('/v1/workflows', { nodes: [{ id: 'n', prompt: 'c' }] }))
      .body;
    const child = await call(2);
    child.push('text of the node');
    child.end();
    await until(() => some.requests.length === 2, 'the workflow');
    const crawl = (await gateway.post('/v1/crawls', { start_url: 'http://127.0.0.1:9/' })).body;
    await until(() => all.requests.length === 4, 'the crawl');
    const byType = Object.fromEntries(all.requests.map(({ body }) => [body.type, body.data]));
    expect(Object.keys(byType).sort()).toEqual([
      expect.stringMatching(/^crawl\.(completed|failed)$/),
      'job.cancelled',
      'job.failed',
      'workflow.completed',
    ]);
    expect(byType['job.failed']).toMatchObject({ job_id: first.job_id, status: 'failed' });
    expect(byType['job.cancelled']).toMatchObject({ reason: 'client_request' });
    expect(byType['workflow.completed'].workflow_id).toBe(workflow.workflow_id);
    expect(JSON.stringify(byType['workflow.completed'])).not.toContain('text of the node');
    const crawled = all.requests.find(({ body }) => body.type.startsWith('crawl.'));
    expect(crawled.body.data.crawl_id).toBe(crawl.crawl_id);
    expect(some.types().sort()).toEqual(['job.cancelled', 'workflow.completed']);
  });

  test('a signature for each secret while one is rotated', async () => {
    const receiver = await startReceiver();
    const secrets = [newSecret(), newSecret()];
    const gateway = await start({
      provider: echo,
      webhooks: [{ url: receiver.url, secret: secrets }],
    });
    await run(gateway);
    const { text, headers } = await receiver.request(0);
    for (const each of secrets) new Webhook(each).verify(text, headers);
  });
});

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
      webhookDelivery: { timeoutMs: 200 },
    });
    await run(gateway);
    const retried = 'sluice_webhook_deliveries_total{result="retried"}';
    await until(async () => (await metric(gateway, retried)) === 1, 'the failure');
    expect(lines.find(({ message }) => /not delivered/.test(message))).toMatchObject({ error });
    receiver.answer = 200;
    clock.advanceMs(10_000);
    const [first, second] = [await receiver.request(0), await receiver.request(1)];
    expect(second.text).toBe(first.text);
    expect(second.headers['webhook-id']).toBe(first.headers['webhook-id']);
    expect(second.path).toBe('/hook');
    new Webhook(secret).verify(second.text, second.headers);
    await until(async () => (await metric(gateway, 'sluice_webhooks_pending')) === 0);
    clock.advanceMs(24 * HOUR_MS);
    expect(receiver.requests).toHaveLength(2);
  });

  test('for 24 hours: then it is kept as failed, and can be replayed', async () => {
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
    await until(async () => (await metric(gateway, 'sluice_webhooks_failed')) === 1);
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
    await until(async () => (await metric(gateway, retried)) === 1);
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
    // At one receiver a few attempts run at once, and the rest waits.
    expect(slow.requests).toHaveLength(4);
    expect(await metric(gateway, 'sluice_webhooks_pending')).toBe(20);
    slow.answer = 204;
    for (const res of held) res.writeHead(204).end();
    await until(async () => (await metric(gateway, 'sluice_webhooks_pending')) === 0);
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
      await until(async () => (await metric(gateway, failed)) === n + 1);
    }
    const page = async (query) => (await gateway.get(`/v1/webhooks/failed?${query}`)).body;
    const first = await page('limit=2');
    expect(first.has_more).toBe(true);
    const second = await page(`limit=2&after=${first.data[1].id}`);
    expect(second.has_more).toBe(false);
    expect([...first.data, ...second.data].map(({ subject }) => subject)).toEqual(ids.slice(0, 3));
    expect(await metric(gateway, 'sluice_webhook_deliveries_total{result="dropped"}')).toBe(1);
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

describe('webhook_url', () => {
  const webhookUrls = (more) => ({ webhookUrls: { secret, ...more } });

  test('is refused where no hosts are allowed, and for other hosts', async () => {
    const none = await start({ provider: echo });
    const some = await start({
      provider: echo,
      ...webhookUrls({ allowedHosts: ['hooks.example', '127.0.0.1', '[::1]', '0x7f.1'] }),
    });
    const refusal = async ({ submit }, url) => {
      const { status, body } = await submit({ prompt: 'a', webhook_url: url });
      expect([status, body.error.param, body.error.code]).toEqual([
        400,
        'webhook_url',
        'invalid_value',
      ]);
      return body.error.message;
    };
    expect(await refusal(none, 'https://hooks.example/')).toContain('this server names no hosts');
    expect(await refusal(some, 'https://other.example/')).toContain('does not allow');
    expect(await refusal(some, 'ftp://hooks.example/')).toContain('http or https');
    expect(await refusal(some, 'https://me:pw@hooks.example/')).toContain('user name');
    expect(await refusal(some, 'http://127.0.0.1:1/')).toContain('public internet');
    expect(await refusal(some, 'http://[::1]/')).toContain('public internet');
    const { body } = await some.submit({ prompt: 'a', webhook_text: true });
    expect(body.error).toMatchObject({ param: 'webhook_text', code: 'invalid_value' });
    const chat = await some.post('/v1/chat/completions', {
      messages: [{ role: 'user', content: 'a' }],
      sluice: { webhook_url: 'https://other.example/' },
    });
    expect(chat).toMatchObject({ status: 400, body: { error: { param: 'sluice.webhook_url' } } });
    expect((await some.get('/v1/jobs')).body.data).toEqual([]);
  });

  test('gets the end of its job alone', async () => {
    const receiver = await startReceiver();
    const gateway = await start({
      provider: echo,
      ...webhookUrls({ allowedHosts: ['127.0.0.1'], allowPrivateAddresses: true }),
    });
    await run(gateway);
    const url = `${receiver.url}?order=7`;
    const job = await run(gateway, { prompt: 'mine', webhook_url: url, webhook_text: true });
    const { path, text, headers } = await receiver.request(0);
    expect(path).toBe('/hook?order=7');
    expect(new Webhook(secret).verify(text, headers).data).toEqual(job);
    expect(JSON.stringify(job)).not.toContain('webhook');
    await until(async () => (await metric(gateway, 'sluice_webhooks_pending')) === 0);
    expect(receiver.requests).toHaveLength(1);
  });

  test('a name that resolves to a private address is not connected to', async () => {
    const receiver = await startReceiver();
    const { lines, logger } = collector();
    const gateway = await start({
      ...{ provider: echo, logger, ...webhookUrls({ allowedHosts: ['localhost'] }) },
      webhookDelivery: { retryForMs: 0 },
    });
    await run(gateway, { prompt: 'a', webhook_url: `http://localhost:${receiver.port}/hook` });
    await until(() => lines.some(({ message }) => message === 'webhook given up'));
    const { data } = (await gateway.get('/v1/webhooks/failed')).body;
    expect(data).toMatchObject([{ error: { code: 'address_not_allowed' } }]);
    expect(receiver.requests).toEqual([]);
  });
});

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
    expect(await metric(second, 'sluice_webhooks_pending')).toBe(1);
    clock.advanceMs(HOUR_MS);
    const again = await receiver.request(1);
    expect(again.headers['webhook-id']).toBe(receiver.requests[0].headers['webhook-id']);
    expect(again.body.data).toEqual(job);
    await until(async () => (await metric(second, 'sluice_webhooks_pending')) === 0);
    await second.gateway.close({ drainMs: 0 });
    const third = await start({ provider: echo, data, webhooks });
    expect(await metric(third, 'sluice_webhooks_pending')).toBe(0);
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
    await until(async () => (await metric(next, 'sluice_webhooks_pending')) === 0);
    await next.gateway.close({ drainMs: 0 });
    await start({ provider: echo, data, webhooks });
    expect(receiver.requests).toHaveLength(1);
  });

  test('failed ones over a restart; one whose URL is not configured any more is kept', async () => {
    const data = dataFile();
    const receiver = await startReceiver({ answer: 410 });
    const webhooks = [{ url: receiver.url, secret }];
    const first = await start({ provider: echo, data, webhooks });
    await run(first);
    await until(async () => (await metric(first, 'sluice_webhooks_failed')) === 1);
    await first.gateway.close({ drainMs: 0 });
    const second = await start({ provider: echo, data });
    const [{ id }] = (await second.get('/v1/webhooks/failed')).body.data;
    await second.post(`/v1/webhooks/failed/${id}/replay`);
    const retried = 'sluice_webhook_deliveries_total{result="retried"}';
    await until(async () => (await metric(second, retried)) === 1, 'the attempt');
    expect(await metric(second, 'sluice_webhooks_pending')).toBe(1);
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
    const pending = await metric(gateway, 'sluice_webhooks_pending');
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
    const pending = () => metric(gateway, 'sluice_webhooks_pending');
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
    expect(await metric(gateway, 'sluice_memory_bytes{kind="webhooks"}')).toBe(0);
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
    const isFull = async () => (await metric(gateway, 'sluice_store_state{state="full"}')) === 1;
    await until(isFull, 'the full disk');
    feed.end();
    expect((await receiver.request(0)).body.type).toBe('job.completed');
    makeRoom();
    await until(async () => (await metric(gateway, 'sluice_webhooks_pending')) === 0);
  });
});
