/** Every refusal of the HTTP contract: status, code, param, and no internals of the server. */
import { request as httpRequest } from 'node:http';
import { HttpError, createGateway, providers } from '../../../lib/index.js';
import express from 'express';
import { client, mountedBy, start, stopAll } from '../../support/gateway/gateway.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { until } from '../../support/until.js';

let server;
beforeAll(async () => {
  server = await start({ provider: echo });
});
afterAll(stopAll);

const deep = `{"prompt":"a","metadata":{"x":${'['.repeat(20_000)}${']'.repeat(20_000)}}}`;

describe('a body', () => {
  const refusals = [
    ['{"prompt":', 'invalid_json', null],
    ['', 'missing_field', 'prompt'],
    ['"prompt"', 'invalid_type', null],
    ['null', 'invalid_type', null],
    ['[]', 'invalid_type', null],
    ['{}', 'missing_field', 'prompt'],
    ['{"prompt":7}', 'invalid_type', 'prompt'],
    ['{"prompt":null}', 'invalid_type', 'prompt'],
    ['{"prompt":""}', 'invalid_value', 'prompt'],
    ['{"prompt":"\\ud800"}', 'invalid_value', 'prompt'],
    ['{"prompt":"a","prompts":["b"]}', 'unknown_field', 'prompts'],
    ['{"prompt":"a","__proto__":{}}', 'unknown_field', '__proto__'],
    ['{"prompt":"a","messages":[{"role":"user","content":"b"}]}', 'invalid_value', 'messages'],
    ['{"messages":[]}', 'invalid_value', 'messages'],
    ['{"messages":"hi"}', 'invalid_type', 'messages'],
    ['{"messages":["hi"]}', 'invalid_type', 'messages[0]'],
    ['{"messages":[{"role":"user"}]}', 'missing_field', 'messages[0].content'],
    ['{"messages":[{"role":"bot","content":"a"}]}', 'invalid_value', 'messages[0].role'],
    ['{"messages":[{"role":"user","content":[]}]}', 'invalid_type', 'messages[0].content'],
    ['{"messages":[{"role":"user","content":"","x":1}]}', 'unknown_field', 'messages[0].x'],
    ['{"prompt":"a","model":5}', 'invalid_type', 'model'],
    ['{"prompt":"a","max_tokens":0}', 'invalid_value', 'max_tokens'],
    ['{"prompt":"a","max_tokens":1.5}', 'invalid_type', 'max_tokens'],
    ['{"prompt":"a","max_tokens":"5"}', 'invalid_type', 'max_tokens'],
    ['{"prompt":"a","temperature":2.1}', 'invalid_value', 'temperature'],
    ['{"prompt":"a","temperature":-0.1}', 'invalid_value', 'temperature'],
    ['{"prompt":"a","temperature":"hot"}', 'invalid_type', 'temperature'],
    ['{"prompt":"a","stop":7}', 'invalid_type', 'stop'],
    ['{"prompt":"a","stop":""}', 'invalid_value', 'stop'],
    ['{"prompt":"a","stop":[]}', 'invalid_value', 'stop'],
    ['{"prompt":"a","stop":["1","2","3","4","5"]}', 'invalid_value', 'stop'],
    ['{"prompt":"a","stop":["1",2]}', 'invalid_type', 'stop[1]'],
    ['{"prompt":"a","metadata":"m"}', 'invalid_type', 'metadata'],
    ['{"prompt":"a","metadata":[]}', 'invalid_type', 'metadata'],
    [`{"prompt":"a","metadata":{"m":"${'x'.repeat(17_000)}"}}`, 'invalid_value', 'metadata'],
    [deep, 'invalid_value', 'metadata'],
    ['{"prompt":"a","on_disconnect":"wait"}', 'invalid_value', 'on_disconnect'],
    ['{"prompt":"a","on_disconnect":1}', 'invalid_type', 'on_disconnect'],
    ['{"prompt":"a","disconnect_grace_ms":-1}', 'invalid_value', 'disconnect_grace_ms'],
    ['{"prompt":"a","max_wall_ms":0}', 'invalid_value', 'max_wall_ms'],
    ['{"prompt":"a","max_wall_ms":null}', 'invalid_type', 'max_wall_ms'],
  ];
  test.each(refusals.map(([raw, ...rest]) => [raw.slice(0, 60), raw, ...rest]))(
    '%s is refused',
    async (_, raw, code, param) => {
      const { status, headers, body } = await server.call('POST', '/v1/jobs', {
        raw,
        headers: { 'content-type': 'application/json' },
      });
      expect({ status, code: body.error.code, param: body.error.param }).toEqual({
        status: 400,
        code,
        param,
      });
      expect(Object.keys(body.error).sort()).toEqual(['code', 'message', 'param', 'type']);
      expect(body.error.type).toBe('invalid_request_error');
      expect(body.error.message).not.toMatch(/\/lib\/|node_modules|at .*:\d+|SyntaxError/);
      expect(headers.get('x-request-id')).toBeTruthy();
    },
  );

  test.each([
    ['{"prompt":"a","stop":["1","2","3","4"],"temperature":2,"max_tokens":1}'],
    ['{"messages":[{"role":"assistant","content":""}],"temperature":0,"stop":"x"}'],
    ['{"prompt":"a","on_disconnect":"continue","disconnect_grace_ms":0,"max_wall_ms":1000}'],
    ['{"prompt":"a","metadata":{"deep":{"er":[1,"2",null,true]}},"model":"echo"}'],
  ])('%s is accepted', async (raw) => {
    const { status } = await server.call('POST', '/v1/jobs', {
      raw,
      headers: { 'content-type': 'application/json; charset=utf-8' },
    });
    expect(status).toBe(201);
  });

  test('bytes that are no UTF-8 are no JSON', async () => {
    const { status, body } = await server.call('POST', '/v1/jobs', {
      raw: Buffer.from('{"prompt":"\xff"}', 'latin1'),
      headers: { 'content-type': 'application/json' },
    });
    expect(status).toBe(400);
    expect(body.error.code).toBe('invalid_json');
  });

  test('over 32 MiB is 413, just below is accepted', async () => {
    const max = 32 * 1024 * 1024;
    const big = await server.submit({ prompt: 'x'.repeat(max) });
    expect(big.status).toBe(413);
    expect(big.body.error).toMatchObject({
      code: 'body_too_large',
      message: `The body is over ${max} bytes.`,
    });
    const envelope = JSON.stringify({ prompt: '' }).length;
    const fits = await server.submit({ prompt: 'x'.repeat(max - envelope) });
    expect(fits.status).toBe(201);
  });

  test('with too many values is 400', async () => {
    const { status, body } = await server.submit({
      prompt: 'a',
      metadata: { list: Array.from({ length: 500_000 }, () => 0) },
    });
    expect([status, body.error.code, body.error.param]).toEqual([400, 'invalid_value', 'metadata']);
  });

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data'])(
    'of %s is 415',
    async (type) => {
      const { status, body } = await server.call('POST', '/v1/jobs', {
        raw: '{"prompt":"a"}',
        headers: { 'content-type': type },
      });
      expect(status).toBe(415);
      expect(body.error.code).toBe('unsupported_media_type');
    },
  );

  test('without a type, or in an unknown encoding, is 415', async () => {
    const untyped = await server.call('POST', '/v1/jobs', { raw: Buffer.from('{"prompt":"a"}') });
    expect(untyped.status).toBe(415);
    const coded = await server.call('POST', '/v1/jobs', {
      raw: '{"prompt":"a"}',
      headers: { 'content-type': 'application/json', 'content-encoding': 'rot13' },
    });
    expect(coded.status).toBe(415);
  });
});

test('a model that is not listed is 404 model_not_found', async () => {
  const { submit } = await start({ provider: providers.demo() });
  const { status, body } = await submit({ prompt: 'a', model: 'nope' });
  expect(status).toBe(404);
  expect(body.error).toMatchObject({ code: 'model_not_found', param: 'model' });
});

test.each([
  ['limit=0', 'limit'],
  ['limit=101', 'limit'],
  ['limit=ten', 'limit'],
  ['limit=1&limit=2', 'limit'],
  ['after=', 'after'],
  ['after=job_unknown', 'after'],
  ['status=done', 'status'],
])('the list refuses ?%s', async (query, param) => {
  const { status, body } = await server.get(`/v1/jobs?${query}`);
  expect(status).toBe(400);
  expect(body.error).toMatchObject({ code: 'invalid_value', param });
});

const notFound = [
  ['GET', '/v1/jobs/job_unknown', 'job_not_found'],
  ['GET', '/v1/jobs/__proto__', 'job_not_found'],
  ['POST', '/v1/jobs/job_unknown/cancel', 'job_not_found'],
  ['GET', '/v1/stream?job_id=job_unknown', 'job_not_found'],
  ['GET', '/v1/nothing', 'not_found'],
  ['GET', '/V1/jobs', 'not_found'],
  ['GET', '/no/such/page', 'not_found'],
  ['POST', '/', 'not_found'],
  ['GET', '/../package.json', 'not_found'],
  ['GET', '/%2e%2e/package.json', 'not_found'],
];
// Express answers for all other paths.
const ours = notFound.filter(([, , code]) => code !== 'not_found' || mountedBy() !== 'express');
test.each(ours)('%s %s is 404 %s, as JSON', async (method, path, code) => {
  const { status, headers, body } = await server.call(method, path);
  expect(status).toBe(404);
  expect(headers.get('content-type')).toMatch(/^application\/json/);
  expect(body.error.code).toBe(code);
  expect(headers.get('x-request-id')).toBeTruthy();
});

test('a path that does not decode is 400', async () => {
  expect((await server.get('/v1/jobs/%E0%A4%A')).status).toBe(400);
  expect((await server.get('/%E0%A4%A')).status).toBeLessThan(500);
});

test.each([
  ['DELETE', '/v1/jobs', 'GET, HEAD, POST'],
  ['PUT', '/v1/jobs/job_a', 'GET, HEAD, DELETE'],
  ['GET', '/v1/jobs/job_a/cancel', 'POST'],
  ['POST', '/v1/stream', 'GET'],
  ['POST', '/v1/events', 'GET'],
  ['POST', '/v1/models', 'GET, HEAD'],
  ['POST', '/healthz', 'GET, HEAD'],
  ['POST', '/readyz', 'GET, HEAD'],
  ['POST', '/metrics', 'GET, HEAD'],
])('%s %s is 405', async (method, path, allow) => {
  const { status, headers, body } = await server.call(method, path);
  expect(status).toBe(405);
  expect(headers.get('allow')).toBe(allow);
  expect(body.error.code).toBe('method_not_allowed');
});

describe('x-request-id', () => {
  test('repeats a sane one', async () => {
    const { headers } = await server.get('/healthz', { headers: { 'x-request-id': 'trace-1/2' } });
    expect(headers.get('x-request-id')).toBe('trace-1/2');
  });

  test.each([['two words'], ['x'.repeat(300)], ['<b>']])('replaces %.20s', async (id) => {
    const { headers } = await server.get('/healthz', { headers: { 'x-request-id': id } });
    expect(headers.get('x-request-id')).toMatch(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/);
  });

  test('differs from answer to answer', async () => {
    const one = (await server.get('/healthz')).headers.get('x-request-id');
    const two = (await server.get('/healthz')).headers.get('x-request-id');
    expect(one).not.toBe(two);
  });
});

test('a fault of the server is a bare 500, and is logged under the request id', async () => {
  const lines = [];
  const logger = { info() {}, warn() {}, error: (fields) => lines.push(fields) };
  const failing = await start({
    provider: echo,
    logger,
    authenticate() {
      throw new Error('the password is swordfish');
    },
  });
  const { status, headers, body } = await failing.submit({ prompt: 'a' });
  expect(status).toBe(500);
  expect(body.error).toMatchObject({ code: 'internal_error', type: 'server_error', param: null });
  expect(JSON.stringify(body)).not.toMatch(/swordfish/);
  expect(lines).toEqual([expect.objectContaining({ request_id: headers.get('x-request-id') })]);
});

test('jobs belong to their principal: for others they do not exist', async () => {
  const authenticate = async (req) => {
    const user = req.get('x-user');
    if (!user) throw new HttpError(401, { code: 'unauthorized', message: 'Who are you?' });
    return user;
  };
  const { submit, call } = await start({ provider: echo, authenticate });
  const as = (user) => ({ headers: { 'x-user': user } });
  expect((await submit({ prompt: 'a' })).status).toBe(401);
  const { body } = await submit({ prompt: 'a' }, { 'x-user': 'ann' });
  const path = `/v1/jobs/${body.job_id}`;
  expect((await call('GET', path, as('ann'))).status).toBe(200);
  expect((await call('GET', path, as('bob'))).status).toBe(404);
  expect((await call('POST', `${path}/cancel`, as('bob'))).status).toBe(404);
  expect((await call('GET', `/v1/stream?job_id=${body.job_id}`, as('bob'))).status).toBe(404);
  expect((await call('GET', '/v1/jobs', as('ann'))).body.data).toHaveLength(1);
  expect((await call('GET', '/v1/jobs', as('bob'))).body.data).toEqual([]);
});

describe('a full queue', () => {
  const narrow = {
    maxConcurrency: 1,
    processingCapacity: 1,
    incomingCapacity: 1,
    // Until then requests with room proceed, on any machine.
    admissionWaitMs: 1000,
  };

  test('answers 503 overloaded with Retry-After, and creates no job', async () => {
    const { provider, calls, call } = handProvider();
    const { submit, get, ended } = await start({ provider, ...narrow });
    const submissions = Array.from({ length: 8 }, (_, i) => submit({ prompt: `p${i}` }));
    const answers = await Promise.all(submissions);
    const taken = answers.filter(({ status }) => status === 201);
    const refused = answers.filter(({ status }) => status === 503);
    expect(taken.length + refused.length).toBe(8);
    // One with the provider, one waiting for it, one in the queue; the batcher may hold another.
    expect(taken.length).toBeGreaterThanOrEqual(3);
    expect(taken.length).toBeLessThanOrEqual(4);
    for (const { headers, body } of refused) {
      expect(body.error).toMatchObject({ code: 'overloaded', type: 'overloaded_error' });
      expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    }
    expect((await get('/v1/jobs')).body.data).toHaveLength(taken.length);

    for (let i = 0; i < taken.length; i += 1) (await call(i)).end();
    for (const { body } of taken) await ended(body.job_id);
    expect(calls).toHaveLength(taken.length);
    expect((await submit({ prompt: 'room again' })).status).toBe(201);
    (await call(taken.length)).end();
    expect((await get('/metrics')).body).toContain(
      `sluice_jobs_rejected_total{code="overloaded"} ${refused.length}`,
    );
  });

  test('a client that disconnects while it waits is removed from the queue', async () => {
    const { provider, calls, call } = handProvider();
    const options = { provider, ...narrow, admissionWaitMs: 60_000 };
    const { server: own, submit, get, url } = await start(options);
    const held = [];
    for (let i = 0; i < 3; i += 1) held.push(await submit({ prompt: `p${i}` }));
    await call(0);
    // Whether the third or a fourth is the last with room, these two wait.
    let [came, left] = [0, 0];
    own.on('request', (_req, res) => {
      came += 1;
      res.once('close', () => (left += 1));
    });
    const leaving = [4, 5].map(
      (i) =>
        new Promise((resolve) => {
          const req = httpRequest(`${url}/v1/jobs`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
          });
          req.on('error', resolve).on('close', resolve);
          req.end(JSON.stringify({ prompt: `leaving ${i}` }));
          until(() => came === 2, 'both to be there')
            .then(() => setTimeout(() => req.destroy(), 100))
            .catch(resolve);
        }),
    );
    await Promise.all(leaving);
    await until(() => left === 2, 'both to have left');
    await new Promise(setImmediate);
    const { data } = (await get('/v1/jobs')).body;
    for (let i = 0; i < data.length; i += 1) (await call(i)).end();
    const again = await submit({ prompt: 'stays' });
    expect(again.status).toBe(201);
    const last = await call(data.length);
    expect(last.request.prompt).toBe('stays');
    last.end();
    expect(calls.length).toBe(data.length + 1);
    expect(data.length).toBeLessThan(5);
  });
});

test('a body already parsed by the app is used as it is', async () => {
  const gateway = createGateway({ provider: echo, logger: false });
  const app = express();
  app.use(express.json());
  app.use(gateway.router());
  const listening = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => listening.once('listening', resolve));
  try {
    const { submit } = client(`http://127.0.0.1:${listening.address().port}`);
    expect((await submit({ prompt: 'a' })).status).toBe(201);
    expect((await submit({ prompt: 7 })).body.error.param).toBe('prompt');
  } finally {
    await gateway.close({ drainMs: 0 });
    listening.close();
  }
});
