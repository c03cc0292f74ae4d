/** Webhooks of the configuration file of `sluice serve`. */
import { Webhook } from 'standardwebhooks';
import { file, killAll, serve, sluice } from '../../support/crash/cli.js';
import { newSecret, startReceiver } from '../../support/upstream/webhook-receiver.js';
import { stopAll } from '../../support/gateway/gateway.js';

afterEach(killAll);
afterEach(stopAll);

const secret = newSecret();

test('webhooks and webhook_urls of the file', async () => {
  const receiver = await startReceiver();
  const config = await file(
    'hooks.json',
    JSON.stringify({
      webhooks: [{ url: receiver.url, events: ['job.completed'], secret }],
      webhook_urls: { allowed_hosts: ['127.0.0.1'], secret, allow_private_addresses: true },
      webhookTimeoutMs: 5000,
    }),
  );
  const { submit } = await serve('--config', config, '--token-interval-ms', '0');
  const own = receiver.url.replace('/hook', '/own');
  const { body } = await submit({ prompt: 'a', webhook_url: own });
  await receiver.request(1);
  const paths = receiver.requests.map(({ path }) => path).sort();
  expect(paths).toEqual(['/hook', '/own']);
  for (const { text, headers } of receiver.requests) {
    expect(new Webhook(secret).verify(text, headers).data.job_id).toBe(body.job_id);
  }
});

test.each([
  [{ webhooks: [{ url: 'x', secret }] }, '/webhooks/0/url must be an http or https URL'],
  [{ webhook_urls: { allowed_hosts: ['a.example'] } }, '/webhook_urls/secret is required'],
  [{ webhook_urls: { hosts: [] } }, '/webhook_urls/hosts'],
])('%j is one clear line', async (config, message) => {
  const path = await file('bad.json', JSON.stringify(config));
  const { code, stderr } = await sluice('serve', '--config', path).exited;
  expect(code).toBe(2);
  expect(stderr).toContain(message);
  expect(stderr.trim().split('\n')).toHaveLength(1);
});
