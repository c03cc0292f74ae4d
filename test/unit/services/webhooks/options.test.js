import { Webhook } from 'standardwebhooks';
import {
  compileWebhooks,
  findWebhookProblem,
  isAllowedHost,
} from '../../../../lib/services/webhooks/options.js';
import { signedHeaders } from '../../../../lib/services/webhooks/signature.js';

const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
const url = 'https://app.example/hook';

describe('webhooks', () => {
  test('a complete one, and the defaults', () => {
    const settings = compileWebhooks([
      { url, secret, events: ['job.failed', 'crawl.*'], text: true },
      { url: 'http://10.0.0.1:9000', secret: [secret, secret.slice('whsec_'.length)] },
    ]);
    const [one, other] = settings.webhooks;
    expect([...one.types]).toEqual([
      'job.failed',
      'crawl.completed',
      'crawl.failed',
      'crawl.cancelled',
    ]);
    expect(one).toMatchObject({ url, text: true, keys: [Buffer.alloc(24, 7)] });
    expect(other.types.size).toBe(9);
    expect(other).toMatchObject({ url: 'http://10.0.0.1:9000/', text: false });
    expect(other.keys).toEqual([Buffer.alloc(24, 7), Buffer.alloc(24, 7)]);
    expect(settings.webhookUrls).toBe(undefined);
  });

  test.each([
    [{}, 'webhooks'],
    [[{ url }], 'webhooks[0].secret'],
    [[{ secret }], 'webhooks[0].url'],
    [[{ url: 'ftp://app.example', secret }], 'webhooks[0].url'],
    [[{ url: '/hook', secret }], 'webhooks[0].url'],
    [[{ url: 'https://u:p@app.example', secret }], 'webhooks[0].url'],
    [[{ url: 'https://app.example/#part', secret }], 'webhooks[0].url'],
    [[{ url: `https://app.example/${'x'.repeat(2048)}`, secret }], 'webhooks[0].url'],
    [
      [
        { url, secret },
        { url, secret },
      ],
      'webhooks[1].url',
    ],
    [[{ url, secret: 'whsec_not base64' }], 'webhooks[0].secret'],
    [[{ url, secret: 'whsec_c2hvcnQ=' }], 'webhooks[0].secret'],
    [[{ url, secret: [secret, ''] }], 'webhooks[0].secret[1]'],
    [[{ url, secret: [] }], 'webhooks[0].secret'],
    [[{ url, secret: 5 }], 'webhooks[0].secret'],
    [[{ url, secret, events: [] }], 'webhooks[0].events'],
    [[{ url, secret, events: ['job.done'] }], 'webhooks[0].events[0]'],
    [[{ url, secret, text: 1 }], 'webhooks[0].text'],
    [[{ url, secret, event: ['*'] }], 'webhooks[0].event'],
  ])('%j is refused by name', (webhooks, named) => {
    expect(() => compileWebhooks(webhooks)).toThrow(named);
    const { path } = findWebhookProblem({ webhooks });
    expect(path.join('.')).toBe(named.replace(/\[(\d)\]/g, '.$1'));
  });
});

describe('hosts of webhook_url', () => {
  const allow = (...allowedHosts) => compileWebhooks([], { allowedHosts, secret }).webhookUrls;
  const allows = (settings, given) => isAllowedHost(settings, new URL(given));

  test('names, names below a name, and ports', () => {
    const settings = allow('Hooks.example', '*.tenant.example', 'one.example:8443', '[::1]:80');
    expect(allows(settings, 'https://hooks.example/a')).toBe(true);
    expect(allows(settings, 'http://hooks.example:9999/a')).toBe(true);
    expect(allows(settings, 'https://x.hooks.example')).toBe(false);
    expect(allows(settings, 'https://a.tenant.example')).toBe(true);
    expect(allows(settings, 'https://a.b.tenant.example')).toBe(true);
    expect(allows(settings, 'https://tenant.example')).toBe(false);
    expect(allows(settings, 'https://eviltenant.example')).toBe(false);
    expect(allows(settings, 'https://one.example:8443')).toBe(true);
    expect(allows(settings, 'https://one.example')).toBe(false);
    expect(allows(settings, 'http://[::1]/')).toBe(true);
  });

  test.each([
    ['https://hooks.example', 'webhookUrls.allowedHosts[0]'],
    ['hooks.example/path', 'webhookUrls.allowedHosts[0]'],
    ['*', 'webhookUrls.allowedHosts[0]'],
    ['a.*.example', 'webhookUrls.allowedHosts[0]'],
  ])('%s is refused', (host, named) => {
    expect(() => allow(host)).toThrow(named);
    const members = { webhook_urls: { allowed_hosts: [host], secret } };
    expect(findWebhookProblem(members).path).toEqual(['webhook_urls', 'allowed_hosts', '0']);
  });

  test('need a secret', () => {
    const hosts = { allowedHosts: ['a.example'] };
    expect(() => compileWebhooks([], hosts)).toThrow('webhookUrls.secret is required');
    expect(() => compileWebhooks([], { ...hosts, secret: 'x' })).toThrow('webhookUrls.secret');
    expect(() => compileWebhooks([], { ...hosts, secret: 7 })).toThrow(TypeError);
  });
});

test('signatures equal those of the reference library, one for each key', () => {
  const other = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
  const body = '{"text":"für alle"}';
  const nowMs = 1_700_000_000_999;
  const keys = [secret, other].map((each) => Buffer.from(each.slice(6), 'base64'));
  const headers = signedHeaders('msg_1', body, keys, nowMs);
  const sign = (each) => new Webhook(each).sign('msg_1', new Date(1_700_000_000_000), body);
  expect(headers).toEqual({
    'webhook-id': 'msg_1',
    'webhook-timestamp': '1700000000',
    'webhook-signature': `${sign(secret)} ${sign(other)}`,
  });
});
