/** Pages of other origins: the headers of the Fetch standard's CORS check, on every kind of answer. */
import { everyEgress, start, stopAll, testOwnServer } from '../../../support/gateway/gateway.js';
import { bearer, entry } from '../../../support/gateway/keys.js';
import { echo } from '../../../support/providers/providers.js';

afterEach(stopAll);

const app = 'https://app.example';
const access = { keys: [entry('ann', 'key-of-ann')], cors_origins: [app, 'http://localhost:5173'] };
const from = (origin, more) => ({ headers: { origin, ...more } });

function corsOf(headers) {
  const names = [...headers.keys()].filter((name) => name.startsWith('access-control-'));
  return Object.fromEntries(names.map((name) => [name, headers.get(name)]));
}

const preflight = (origin) =>
  from(origin, {
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type',
  });

const list = (value) => value.split(',').map((each) => each.trim().toLowerCase());

test('without origins there are no CORS headers', async () => {
  const server = await start({ provider: echo });
  const answer = await server.get('/v1/jobs', from(app));
  expect(answer.status).toBe(403);
  expect(corsOf(answer.headers)).toEqual({});
  expect((await server.call('OPTIONS', '/v1/jobs', preflight(app))).status).toBe(405);
});

test('a preflight is answered without a key', async () => {
  const server = await start({ provider: echo, access });
  for (const path of ['/v1/jobs', '/v1/jobs/job_x', '/v1/jobs/job_x/cancel', '/v1/stream_url']) {
    const { status, headers, body } = await server.call('OPTIONS', path, preflight(app));
    expect([path, status, body]).toEqual([path, 204, '']);
    expect(headers.get('access-control-allow-origin')).toBe(app);
    expect(headers.get('vary')).toContain('Origin');
    expect(list(headers.get('access-control-allow-methods'))).toEqual([
      'get',
      'head',
      'post',
      'put',
      'patch',
      'delete',
    ]);
    // The requested names, and the names that the gateway reads.
    const allowed = 'access-control-allow-headers';
    expect(list(headers.get(allowed)).slice(0, 2)).toEqual(['authorization', 'content-type']);
    const unnamed = from(app, { 'access-control-request-method': 'POST' });
    const { headers: all } = await server.call('OPTIONS', path, unnamed);
    expect(list(all.get(allowed))).toEqual(
      expect.arrayContaining([
        'authorization',
        'content-type',
        'idempotency-key',
        'last-event-id',
        'cache-control',
      ]),
    );
    expect(Number(headers.get('access-control-max-age'))).toBeGreaterThan(0);
    expect(headers.has('access-control-allow-credentials')).toBe(false);
  }
});

test('a preflight is answered with its requested names, once each', async () => {
  const server = await start({ provider: echo, access });
  const names = 'Authorization, x-stainless-retry-count,x-own';
  const headers = { ...preflight(app).headers, 'access-control-request-headers': names };
  const answer = await server.call('OPTIONS', '/v1/chat/completions', { headers });
  const allowed = list(answer.headers.get('access-control-allow-headers'));
  expect(allowed).toEqual(expect.arrayContaining(list(names)));
  expect(new Set(allowed).size).toBe(allowed.length);
});

test.each(['https://app.example.evil', 'https://app.example:444', 'http://app.example', 'null'])(
  'the origin %s is not on the list',
  async (origin) => {
    const server = await start({ provider: echo, access });
    const answer = await server.call('OPTIONS', '/v1/jobs', preflight(origin));
    expect(answer.status).toBe(405);
    expect(corsOf(answer.headers)).toEqual({});
    const got = await server.get('/v1/jobs', from(origin, bearer('key-of-ann')));
    expect(got.status).toBe(403);
    expect(got.body.error.code).toBe('origin_not_allowed');
    expect(corsOf(got.headers)).toEqual({});
    expect(got.headers.get('vary')).toContain('Origin');
  },
);

test.each([
  ['GET', '/v1/jobs', 401, ''],
  ['GET', '/v1/stream?job_id=job_x&token=x', 401, ''],
  ['DELETE', '/v1/jobs', 405, ''],
  ['GET', '/v1/jobs/job_x', 404, 'key-of-ann'],
  ['POST', '/v1/jobs', 415, 'key-of-ann'],
  ['GET', '/v1/jobs', 200, 'key-of-ann'],
])('%s %s with status %i can be read', async (method, path, expected, key) => {
  const server = await start({ provider: echo, access });
  const options = from('http://localhost:5173', key === '' ? {} : bearer(key));
  const { status, headers } = await server.call(method, path, options);
  expect(status).toBe(expected);
  expect(headers.get('access-control-allow-origin')).toBe('http://localhost:5173');
  expect(list(headers.get('access-control-expose-headers'))).toEqual(
    expect.arrayContaining([
      'x-request-id',
      'retry-after',
      'ratelimit',
      'ratelimit-policy',
      'x-ratelimit-limit-requests',
      'x-ratelimit-remaining-requests',
      'x-ratelimit-reset-requests',
      'x-ratelimit-limit-tokens',
      'x-ratelimit-remaining-tokens',
      'x-ratelimit-reset-tokens',
      'idempotency-replayed',
      'x-cache',
      'location',
    ]),
  );
});

test.each(everyEgress)('a stream can be read: egress %s, %i reactors', async (egress, reactors) => {
  const server = await start({ provider: echo, access, egress, reactors });
  const { body } = await server.submit({ prompt: 'a b' }, bearer('key-of-ann'));
  const stream = await server.read(body.stream_url, from(app));
  expect(stream.text).toBe('a b');
  expect(stream.headers).toMatchObject({
    'access-control-allow-origin': app,
    'content-type': 'text/event-stream',
    vary: 'Origin',
  });
  const [last] = stream.ids.slice(-1);
  const seen = await server.get(`${body.stream_url}&last_event_id=${last}`, from(app));
  expect([seen.status, seen.headers.get('access-control-allow-origin')]).toEqual([204, app]);
});

test('"*" is any origin, without credentials', async () => {
  const server = await start({ provider: echo, corsOrigins: ['*'] });
  const { headers } = await server.get('/v1/jobs', from('https://anywhere.example'));
  expect(headers.get('access-control-allow-origin')).toBe('*');
  expect(headers.has('access-control-allow-credentials')).toBe(false);
});

testOwnServer('the client itself can be loaded from elsewhere', async () => {
  const server = await start({ provider: echo, access });
  const { status, headers } = await server.get('/client.js', from(app));
  expect([status, headers.get('access-control-allow-origin')]).toEqual([200, app]);
});

test('a reload may change the list; without one the option applies', async () => {
  const server = await start({ provider: echo, corsOrigins: [app] });
  const allowed = async (origin) =>
    (await server.get('/healthz', from(origin))).headers.get('access-control-allow-origin');
  expect(await allowed(app)).toBe(app);
  server.gateway.reload({ access: { cors_origins: ['https://other.example'] } });
  expect(await allowed(app)).toBe(null);
  expect(await allowed('https://other.example')).toBe('https://other.example');
  server.gateway.reload({ access: {} });
  expect(await allowed(app)).toBe(app);
});
