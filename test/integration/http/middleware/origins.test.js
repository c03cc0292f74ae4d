/** Calls that pages of other origins make a browser send: by Fetch's `Origin` and `Sec-Fetch-Site`. */
import { ask } from '../../../support/gateway/ask.js';
import { bearer, entry } from '../../../support/gateway/keys.js';
import { echo } from '../../../support/providers/providers.js';
import { everyEgress, start, stopAll, testOwnServer } from '../../../support/gateway/gateway.js';

afterEach(stopAll);

const app = 'https://app.example';
const evil = 'https://evil.example';
const crossSite = { 'sec-fetch-site': 'cross-site' };
const codeOf = ({ status, text }) => [status, JSON.parse(text).error?.code];
const refused = [403, 'origin_not_allowed'];

describe('allowed origins', () => {
  const here = 'http://127.0.0.1:PORT';
  // [name, headers, whether it passes]; PORT is the server's.
  test.each([
    ['no header of a browser', {}, true],
    ['its own page', { origin: here }, true],
    ['its own page, as browsers say it', { origin: here, 'sec-fetch-site': 'same-origin' }, true],
    ['an address typed in', { 'sec-fetch-site': 'none' }, true],
    ['a page behind TLS of a proxy', { host: 'a.localhost', origin: 'https://a.localhost' }, true],
    ['the default port spelled', { host: 'a.localhost:443', origin: 'https://a.localhost' }, true],
    ['another case', { host: 'A.Localhost', origin: 'http://a.localhost' }, true],
    ['IPv6', { host: '[::1]:8080', origin: 'http://[::1]:8080' }, true],
    ['X-Forwarded-Host', { origin: evil, 'x-forwarded-host': 'evil.example' }, true],
    ['two proxies', { origin: evil, 'x-forwarded-host': 'evil.example, b.example:81' }, true],
    ['an allowed origin', { origin: app }, true],
    ['an allowed origin, cross-site', { origin: app, ...crossSite }, true],
    ['another origin', { origin: evil }, false],
    ['another origin, cross-site', { origin: evil, ...crossSite }, false],
    ['another origin of the same site', { origin: evil, 'sec-fetch-site': 'same-site' }, false],
    ['another port', { origin: 'http://127.0.0.1:1' }, false],
    [
      'another port of a forwarded host',
      { origin: evil, 'x-forwarded-host': 'evil.example:81' },
      false,
    ],
    ['another scheme and port', { host: 'a.localhost:80', origin: 'https://a.localhost' }, false],
    ['the name as a part', { host: 'localhost', origin: 'http://localhost.evil.example' }, false],
    ['an allowed origin with a port', { origin: `${app}:444` }, false],
    ['an allowed origin of another scheme', { origin: 'http://app.example' }, false],
    ['a page without an origin', { origin: 'null' }, false],
    ['an empty origin', { origin: '' }, false],
    ['nonsense', { origin: 'nonsense' }, false],
    ['another kind of page', { host: 'abc', origin: 'chrome-extension://abc' }, false],
    ['a link of another site', crossSite, false],
    ['another site with an origin of here', { origin: here, ...crossSite }, false],
  ])('%s', async (_name, given, passes) => {
    const { server } = await start({ provider: echo, access: { cors_origins: [app] } });
    const { port } = server;
    const { host = `127.0.0.1:${port}`, ...headers } = Object.fromEntries(
      Object.entries(given).map(([name, value]) => [name, value.replace('PORT', port)]),
    );
    const read = await ask(port, host, { headers });
    const made = await ask(port, host, { path: '/v1/conversations', method: 'POST', headers });
    expect(codeOf(read)).toEqual(passes ? [200, undefined] : refused);
    expect(codeOf(made)).toEqual(passes ? [201, undefined] : refused);
  });
});

test.each([
  ['GET', '/v1/jobs'],
  ['POST', '/v1/jobs'],
  ['GET', '/v1/jobs/job_x'],
  ['DELETE', '/v1/jobs/job_x'],
  ['POST', '/v1/jobs/job_x/cancel'],
  ['GET', '/v1/stream?job_id=job_x'],
  ['POST', '/v1/conversations'],
  ['POST', '/v1/workflows'],
  ['POST', '/v1/crawls'],
  ['PUT', '/v1/kv/a'],
  ['GET', '/v1/accounts/anonymous'],
  ['POST', '/v1/transfers'],
  ['POST', '/v1/logs'],
  ['DELETE', '/v1/principals/anonymous'],
  ['GET', '/metrics'],
])('%s %s is refused before keys are looked at', async (method, path) => {
  for (const access of [{}, { keys: [entry('ann', 'key-of-ann')] }]) {
    const { server } = await start({ provider: echo, access });
    for (const headers of [{ origin: evil }, crossSite]) {
      const answer = await ask(server.port, 'localhost', { path, method, headers });
      expect(codeOf(answer)).toEqual(refused);
    }
  }
});

test('a refusal names the origin and the remedy, and creates nothing', async () => {
  const { post, get } = await start({ provider: echo });
  const { body } = await post('/v1/conversations', undefined, { origin: evil });
  expect(body.error).toMatchObject({ code: 'origin_not_allowed', type: 'permission_error' });
  expect(body.error.message).toContain(evil);
  expect(body.error.message).toContain('cors_origins');
  expect((await get('/v1/conversations')).body.data).toEqual([]);
});

testOwnServer('health, the page and its files are public', async () => {
  const { server } = await start({ provider: echo });
  for (const path of ['/healthz', '/readyz', '/', '/client.js']) {
    const { status } = await ask(server.port, 'localhost', {
      path,
      headers: { origin: evil, ...crossSite },
    });
    expect([path, status]).toEqual([path, 200]);
  }
});

test('"*" allows all pages, also without an origin', async () => {
  const { server } = await start({ provider: echo, corsOrigins: ['*'] });
  for (const headers of [{ origin: evil }, { origin: 'null', ...crossSite }, crossSite]) {
    expect((await ask(server.port, 'localhost', { headers })).status).toBe(200);
  }
});

test('a reload changes the allowed origins', async () => {
  const { gateway, server } = await start({ provider: echo });
  const call = async () =>
    (await ask(server.port, 'localhost', { headers: { origin: app } })).status;
  expect(await call()).toBe(403);
  gateway.reload({ access: { cors_origins: [app] } });
  expect(await call()).toBe(200);
});

test.each(everyEgress)('EventSource: egress %s, %i reactors', async (egress, reactors) => {
  const access = { keys: [entry('ann', 'key-of-ann')], cors_origins: [app] };
  const server = await start({ provider: echo, access, egress, reactors });
  const { body } = await server.submit({ prompt: 'a b' }, bearer('key-of-ann'));
  const headers = { origin: app, ...crossSite };
  expect((await server.read(body.stream_url, { headers })).text).toBe('a b');
  const other = await server.get(body.stream_url, { headers: { origin: evil, ...crossSite } });
  expect([other.status, other.body.error.code]).toEqual(refused);
});
