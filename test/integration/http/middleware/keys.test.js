/** Keys over HTTP: authentication, rights, and the owners of jobs. */
import http from 'node:http';
import { createGateway, providers } from '../../../../lib/index.js';
import { cleanUp, start, stopAll } from '../../../support/gateway/gateway.js';
import { echo, handProvider } from '../../../support/providers/providers.js';
import { bearer, entry, sha256 } from '../../../support/gateway/keys.js';
import { until } from '../../../support/until.js';

afterEach(stopAll);

const ann = bearer('key-of-ann');
const bob = bearer('key-of-bob');
const root = bearer('key-of-root');
const keys = [
  entry('ann', 'key-of-ann'),
  entry('bob', 'key-of-bob'),
  entry('root', 'key-of-root', { admin: true }),
];

/** The same calls with a key. */
function as(server, headers) {
  return {
    get: (path) => server.get(path, { headers }),
    post: (path, body, more) => server.post(path, body, { ...headers, ...more }),
    submit: (body, more) => server.submit(body, { ...headers, ...more }),
  };
}

describe('authentication', () => {
  let server;
  beforeEach(async () => {
    server = await start({ provider: echo, access: { keys } });
  });

  test.each([
    ['GET', '/v1/jobs'],
    ['POST', '/v1/jobs'],
    ['GET', '/v1/jobs/job_x'],
    ['POST', '/v1/jobs/job_x/cancel'],
    ['GET', '/v1/stream?job_id=job_x'],
    ['GET', '/v1/events?job_id=job_x'],
    ['GET', '/v1/models'],
    ['GET', '/metrics'],
  ])('%s %s needs a key, and a valid one', async (method, path) => {
    const none = await server.call(method, path);
    expect(none.status).toBe(401);
    expect(none.headers.get('www-authenticate')).toBe('Bearer');
    expect(none.body.error).toMatchObject({
      type: 'authentication_error',
      code: 'missing_api_key',
    });
    for (const authorization of [
      'Bearer key-of-nobody',
      'Bearer',
      'Bearer key-of-ann key-of-ann',
      'Basic a2V5LW9mLWFubjo=',
      'key-of-ann',
      `Bearer ${sha256('key-of-ann')}`,
    ]) {
      const wrong = await server.call(method, path, { headers: { authorization } });
      expect(wrong.status).toBe(401);
      expect(wrong.headers.get('www-authenticate')).toBe('Bearer');
      expect(wrong.body.error.code).toBe('invalid_api_key');
    }
  });

  test.each(['/healthz', '/readyz'])('%s needs none', async (path) => {
    expect((await server.get(path)).status).toBe(200);
  });

  test('a key is the bytes that were sent, as sha256sum sees them', async () => {
    const key = 'clé-à-ß-漢';
    server.gateway.reload({ access: { keys: [entry('ann', key)] } });
    const sent = Buffer.from(key).toString('latin1');
    expect((await server.get('/v1/jobs', { headers: bearer(sent) })).status).toBe(200);
  });

  test('the scheme may be written in any case, and a key may be replaced by degrees', async () => {
    const old = sha256('old');
    server.gateway.reload({ access: { keys: [{ id: 'ann', sha256: [old, sha256('new')] }] } });
    for (const authorization of ['Bearer old', 'bearer new', 'BEARER  new']) {
      expect((await server.get('/v1/jobs', { headers: { authorization } })).status).toBe(200);
    }
  });

  test('/metrics is for administrators', async () => {
    const { status, body } = await as(server, ann).get('/metrics');
    expect(status).toBe(403);
    expect(body.error).toMatchObject({ type: 'permission_error', code: 'admin_key_required' });
    expect((await as(server, root).get('/metrics')).body).toContain('sluice_');
  });
});

test('without keys every caller is allowed, /metrics included', async () => {
  const { submit, get } = await start({ provider: echo, access: { limits: {} } });
  expect((await submit({ prompt: 'a' })).status).toBe(201);
  expect((await get('/metrics')).status).toBe(200);
});

test('an empty list of keys allows no caller', async () => {
  const { submit } = await start({ provider: echo, access: { keys: [] } });
  expect((await submit({ prompt: 'a' }, ann)).status).toBe(401);
});

test("another one's job does not exist, not even for an administrator", async () => {
  const server = await start({ provider: echo, access: { keys } });
  const { job_id: id } = (await as(server, ann).submit({ prompt: 'a' })).body;
  for (const other of [bob, root]) {
    const caller = as(server, other);
    for (const path of [`/v1/jobs/${id}`, `/v1/stream?job_id=${id}`, `/v1/events?job_id=${id}`]) {
      const { status, body } = await caller.get(path);
      expect([path, status, body.error.code]).toEqual([path, 404, 'job_not_found']);
    }
    expect((await caller.post(`/v1/jobs/${id}/cancel`)).status).toBe(404);
    expect((await caller.get('/v1/jobs')).body.data).toEqual([]);
  }
  const mine = await as(server, ann).get(`/v1/jobs/${id}`);
  expect(mine.body).toMatchObject({ job_id: id });
  const events = await server.read(`/v1/stream?job_id=${id}`, { headers: ann });
  expect(events.text).toBe('a');
});

test('an idempotency key is its principal’s own', async () => {
  const server = await start({ provider: echo, access: { keys } });
  const again = { 'idempotency-key': 'k' };
  const first = (await as(server, ann).submit({ prompt: 'a' }, again)).body.job_id;
  expect((await as(server, ann).submit({ prompt: 'a' }, again)).body.job_id).toBe(first);
  const other = await as(server, bob).submit({ prompt: 'b' }, again);
  expect(other.status).toBe(201);
  expect(other.body.job_id).not.toBe(first);
});

describe('models', () => {
  const provider = {
    ...providers.demo({ tokenIntervalMs: 0, text: 'x' }),
    models: [{ id: 'large' }, { id: 'small' }, { id: 'tiny' }],
  };
  const access = {
    keys: [
      ...keys,
      entry('few', 'key-of-few', { models: ['tiny', 'small', 'missing'] }),
      entry('staff', 'key-of-staff', { organisation: 'acme', models: ['large', 'tiny'] }),
      entry('none', 'key-of-none', { models: [] }),
    ],
    organisations: { acme: { models: ['tiny', 'small'] } },
  };
  const model = async (server, id, body) => {
    const answer = await as(server, bearer(`key-of-${id}`)).submit({ prompt: 'a', ...body });
    if (answer.status !== 201) return [answer.status, answer.body.error.code];
    return (await as(server, bearer(`key-of-${id}`)).get(`/v1/jobs/${answer.body.job_id}`)).body
      .model;
  };

  test('a key may use the models on both its list and its organisation’s', async () => {
    const server = await start({ provider, access });
    const listed = async (id) => {
      const { body } = await as(server, bearer(`key-of-${id}`)).get('/v1/models');
      return body.data.map((each) => each.id);
    };
    expect(await listed('ann')).toEqual(['large', 'small', 'tiny']);
    expect(await listed('few')).toEqual(['small', 'tiny']);
    expect(await listed('staff')).toEqual(['tiny']);
    expect(await listed('none')).toEqual([]);
    expect(await model(server, 'few', { model: 'tiny' })).toBe('tiny');
    expect(await model(server, 'few', { model: 'large' })).toEqual([403, 'model_not_allowed']);
    expect(await model(server, 'staff', { model: 'large' })).toEqual([403, 'model_not_allowed']);
    expect(await model(server, 'few', { model: 'missing' })).toEqual([404, 'model_not_found']);
    expect(await model(server, 'none', {})).toEqual([403, 'model_not_allowed']);
  });

  test('the default is the first that it may use', async () => {
    const server = await start({ provider, access });
    expect(await model(server, 'ann')).toBe('large');
    expect(await model(server, 'few')).toBe('small');
  });

  test('a provider of any model serves the models on the list of a key', async () => {
    const server = await start({ provider: echo, access });
    expect(await model(server, 'few', { model: 'small' })).toBe('small');
    expect(await model(server, 'few', { model: 'gpt' })).toEqual([403, 'model_not_allowed']);
    expect(await model(server, 'few')).toBe('tiny');
  });

  test('from JavaScript, the id of a key grants its rights', async () => {
    const { gateway } = await start({ provider, access });
    const request = { prompt: 'a', model: 'large' };
    await expect(gateway.submit(request, { principal: 'few' })).rejects.toMatchObject({
      code: 'ERR_MODEL_NOT_ALLOWED',
      status: 403,
    });
    const { id } = await gateway.submit({ prompt: 'a' }, { principal: 'few' });
    expect(await gateway.get(id, { principal: 'few' })).toMatchObject({ model: 'small' });
    expect(await gateway.get(id)).toBeUndefined();
  });
});

describe('authenticate', () => {
  test('replaces the check of keys; the name of a key grants its rights', async () => {
    const authenticate = (req) => req.get('x-user');
    const access = { keys: [entry('ann', 'key-of-ann', { models: ['m'], admin: true })] };
    const server = await start({ provider: echo, access, authenticate });
    const call = (user) => as(server, { 'x-user': user });
    expect((await call('ann').submit({ prompt: 'a', model: 'n' })).status).toBe(403);
    expect((await call('eve').submit({ prompt: 'a', model: 'n' })).status).toBe(201);
    expect((await call('ann').get('/metrics')).status).toBe(200);
    expect((await call('eve').get('/metrics')).status).toBe(403);
  });

  test('may return the rights of the caller', async () => {
    const authenticate = () => ({ principal: 'ann', models: ['m'] });
    const { submit, gateway } = await start({ provider: echo, authenticate });
    expect((await submit({ prompt: 'a', model: 'n' })).status).toBe(403);
    const { body } = await submit({ prompt: 'a', model: 'm' });
    expect(await gateway.get(body.job_id, { principal: 'ann' })).toBeDefined();
  });

  test.each([
    [undefined],
    [{}],
    [{ principal: 7 }],
    [{ principal: 'a', models: 'm' }],
    [{ principal: 'a', admin: 'yes' }],
    [{ principal: 'a', organisation: 7 }],
    [{ principal: 'a', limits: { requests_per_minute: 0 } }],
  ])('that gives %j is a fault of the server, and is logged', async (given) => {
    const lines = [];
    const logger = { info() {}, warn() {}, error: (fields) => lines.push(fields) };
    const { get } = await start({ provider: echo, authenticate: () => given, logger });
    expect((await get('/v1/jobs')).status).toBe(500);
    expect(lines).toHaveLength(1);
  });
});

describe('reload', () => {
  test('streams of a revoked key continue; new requests with it are refused', async () => {
    const { provider, call } = handProvider();
    const server = await start({ provider, access: { keys } });
    const { body } = await as(server, ann).submit({ prompt: 'a' });
    const open = await server.stream(`/v1/stream?job_id=${body.job_id}`, { headers: ann });
    const run = await call(0);
    run.push('before');
    await until(() => open.events.length === 1, 'the first token');
    server.gateway.reload({ access: { keys: [keys[1]] } });
    expect((await as(server, ann).get('/v1/jobs')).status).toBe(401);
    expect((await as(server, bob).get('/v1/jobs')).status).toBe(200);
    run.push(' after');
    run.end();
    expect((await open.done).map(({ type }) => type)).toEqual(['token', 'token', 'job_complete']);
    expect(open.text).toBe('before after');
  });

  test('each request on one connection is judged by its own key and the keys in force', async () => {
    const server = await start({ provider: echo, access: { keys } });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set();
    const statusWith = (headers) =>
      new Promise((resolve, reject) => {
        const request = http.get(`${server.url}/v1/jobs`, { agent, headers }, (answer) => {
          ports.add(request.socket.localPort);
          answer.resume().on('end', () => resolve(answer.statusCode));
        });
        request.on('error', reject);
      });
    const callers = [
      ann,
      ann,
      bearer('key-of-nobody'),
      {},
      { 'x-api-key': 'key-of-ann' },
      bob,
      ann,
    ];
    const statuses = [];
    for (const headers of callers) statuses.push(await statusWith(headers));
    expect(statuses).toEqual([200, 200, 401, 401, 200, 200, 200]);
    server.gateway.reload({ access: { keys: [keys[1]] } });
    expect([await statusWith(ann), await statusWith(bob)]).toEqual([401, 200]);
    expect(ports.size).toBe(1);
    agent.destroy();
  });

  test('an invalid configuration changes nothing', async () => {
    const server = await start({ provider: echo, access: { keys } });
    const reload = (options) => () => server.gateway.reload(options);
    expect(reload({ access: { keys: [{ id: 'ann' }] } })).toThrow(
      'access.keys[0].sha256 is required',
    );
    expect(reload({ access: {} })).toThrow(/^access\.keys may not be left out/);
    expect(reload({})).toThrow(/^access\.keys may not be left out/);
    expect(reload({ keys })).toThrow(/^reload has no option keys/);
    expect((await as(server, ann).get('/v1/jobs')).status).toBe(200);
  });

  test('keys may be added later', async () => {
    const server = await start({ provider: echo });
    expect((await server.get('/v1/jobs')).status).toBe(200);
    server.gateway.reload({ access: { keys } });
    expect((await server.get('/v1/jobs')).status).toBe(401);
    expect((await server.get('/metrics')).status).toBe(401);
    expect((await as(server, ann).get('/v1/jobs')).status).toBe(200);
  });
});

describe('listen', () => {
  const gatewayWith = (options) => {
    const gateway = createGateway({ provider: echo, logger: false, ...options });
    cleanUp(() => gateway.close({ drainMs: 0 }));
    return gateway;
  };

  test.each(['0.0.0.0', '::', '', '192.0.2.1', 'example.com', '127.1'])(
    'without keys refuses %j',
    async (host) => {
      await expect(gatewayWith().listen({ host })).rejects.toThrow(
        /^host takes a loopback address/,
      );
    },
  );

  test.each(['127.0.0.1', '127.1.2.3', 'localhost'])('without keys takes %s', async (host) => {
    const server = await gatewayWith().listen({ host });
    expect(server.listening).toBe(true);
  });

  test.each([
    ['keys', { access: { keys } }, {}],
    ['authenticate', { authenticate: () => 'ann' }, {}],
    ['open: true', {}, { open: true }],
  ])('allows any address with %s', async (_name, options, listening) => {
    const server = await gatewayWith(options).listen({ host: '0.0.0.0', ...listening });
    expect(server.listening).toBe(true);
  });

  test('open takes a boolean', async () => {
    await expect(gatewayWith().listen({ open: 'yes' })).rejects.toThrow(
      /^open takes true or false/,
    );
  });
});
