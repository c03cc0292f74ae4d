/** Webhooks over HTTP: the requests to a receiver, and the receivers that a job may name. */
import { Webhook } from 'standardwebhooks';
import { echo, handProvider } from '../../support/providers/providers.js';
import { newSecret, startReceiver } from '../../support/upstream/webhook-receiver.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';
import { secret, collector, run } from '../../support/gateway/webhooks.js';

afterEach(stopAll);

const withoutText = ({ text: _, ...job }) => job;

describe('the requests to a receiver', () => {
  test('the job as GET returns it, without the text, signed', async () => {
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
    await until(async () => (await gateway.metric('sluice_webhooks_pending')) === 0);
    expect(await gateway.metric('sluice_webhook_deliveries_total{result="delivered"}')).toBe(1);
  });

  test('the text on request', async () => {
    const receiver = await startReceiver();
    const webhooks = [{ url: receiver.url, secret, text: true }];
    const gateway = await start({ provider: echo, webhooks });
    const job = await run(gateway);
    expect(job.text).toBe('hello there');
    expect((await receiver.request(0)).body.data).toEqual(job);
  });

  test('its chosen events, those of workflows and crawls included, none of child jobs', async () => {
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

describe('webhook_url', () => {
  const webhookUrls = (more) => ({ webhookUrls: { secret, ...more } });

  test('is refused without allowed hosts, and for other hosts', async () => {
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

  test('receives only the end of its own job', async () => {
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
    await until(async () => (await gateway.metric('sluice_webhooks_pending')) === 0);
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
