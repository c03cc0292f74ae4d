/** `/v1/models`: the list, per key, and one model by its id. */
import { providers } from '../../../lib/index.js';
import { bearer, entry } from '../../support/gateway/keys.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { listing, streamTokens } from '../../support/upstream/mock-upstream.js';
import { mockUpstream } from '../../support/gateway/upstream.js';

afterEach(stopAll);

async function upstream(...models) {
  const mock = await mockUpstream(streamTokens({ tokens: ['x'] }));
  if (models.length > 0) mock.list = listing(...models);
  return mock;
}

const ids = ({ body }) => body.data.map(({ id }) => id);

test('the demo lists its model', async () => {
  const { get } = await start({ provider: providers.demo() });
  expect((await get('/v1/models')).body).toEqual({
    object: 'list',
    data: [{ id: 'demo', object: 'model', created: 0, owned_by: 'demo' }],
  });
  expect((await get('/v1/models/demo')).body.id).toBe('demo');
  expect((await get('/v1/models/')).body.object).toBe('list');
});

describe('an OpenAI-compatible server', () => {
  test('its list, requested at intervals', async () => {
    const mock = await upstream('m', { id: 'org/n', created: 9 });
    const provider = providers.openai({ baseUrl: mock.url, apiKey: 'k', query: { v: '1' } });
    const { get } = await start({ provider });
    for (let i = 0; i < 3; i += 1) {
      expect((await get('/v1/models')).body.data).toEqual([
        { id: 'm', object: 'model', created: 7, owned_by: 'openai' },
        { id: 'org/n', object: 'model', created: 9, owned_by: 'openai' },
      ]);
    }
    expect(mock.lists.map(({ url }) => url)).toEqual(['/v1/models?v=1']);
    expect(mock.lists[0].headers).toMatchObject({ authorization: 'Bearer k' });
  });

  test('with its own model only that', async () => {
    const mock = await upstream('m', 'n');
    const { get } = await start({ provider: providers.openai({ baseUrl: mock.url, model: 'n' }) });
    expect(ids(await get('/v1/models'))).toEqual(['n']);
    expect((await get('/v1/models/m')).status).toBe(404);
    expect(mock.lists).toHaveLength(0);
  });

  test.each([
    ['no list', (_req, res) => res.writeHead(404).end()],
    ['no JSON', (_req, res) => res.end('<html>')],
    ['refused credentials', (_req, res) => res.writeHead(401).end()],
    ['a cut', (req) => req.socket.destroy()],
    ['other JSON', (_req, res) => res.end('{"data":{"a":1}}')],
    ['entries without an id', (_req, res) => res.end('{"data":[null,5,{"id":""},{"id":7}]}')],
  ])('%s: an empty list', async (_name, list) => {
    const mock = await upstream();
    mock.list = list;
    const { get } = await start({ provider: providers.openai({ baseUrl: mock.url }) });
    expect((await get('/v1/models')).body).toEqual({ object: 'list', data: [] });
  });

  test('an array in place of an object', async () => {
    const mock = await upstream();
    mock.list = (_req, res) => res.end('[{"id":"m","created":"soon"}]');
    const { get } = await start({ provider: providers.openai({ baseUrl: mock.url }) });
    expect((await get('/v1/models/m')).body).toMatchObject({ id: 'm', created: 0 });
  });
});

describe('one model', () => {
  test.each(['org/n:free', 'a%b', 'a b', 'ünï', 'x/y/z', 'plain'])('%s', async (id) => {
    const mock = await upstream(id);
    const { get } = await start({ provider: providers.openai({ baseUrl: mock.url }) });
    const encoded = encodeURIComponent(id);
    const paths = new Set([
      encoded,
      encoded.replaceAll('%2F', '/'),
      encoded.replaceAll('%3A', ':'),
    ]);
    for (const path of paths) {
      const { status, body } = await get(`/v1/models/${path}`);
      expect([path, status, body]).toEqual([
        path,
        200,
        { id, object: 'model', created: 7, owned_by: 'openai' },
      ]);
    }
  });

  test('an unknown one is not found', async () => {
    const { get } = await start({ provider: providers.demo() });
    for (const path of ['x', 'demo/x', 'a%2Fb']) {
      const { status, body } = await get(`/v1/models/${path}`);
      expect([status, body.error]).toEqual([
        404,
        expect.objectContaining({ code: 'model_not_found', param: 'model' }),
      ]);
    }
  });
});

test('of several upstreams the union, by the name of each', async () => {
  const [a, b] = [await upstream('gpt-5', 'gpt-4', 'whisper'), await upstream('gpt-5', 'llama/3')];
  const upstreams = [
    { name: 'a', base_url: a.url, models: ['gpt-*', 'not-listed'] },
    { name: 'b', base_url: b.url, models: { 'gpt-5': 'gpt-5', fast: 'llama/3' } },
    { name: 'c', base_url: 'http://127.0.0.1:1' },
    { name: 'd', base_url: b.url },
  ];
  const { get } = await start({ provider: providers.route({ upstreams }) });
  const { body } = await get('/v1/models');
  expect(body.data.map(({ id, created, owned_by }) => [id, created, owned_by])).toEqual([
    ['not-listed', 0, 'a'],
    ['gpt-5', 7, 'b'],
    ['fast', 7, 'b'],
    ['gpt-4', 7, 'a'],
    ['llama/3', 7, 'd'],
  ]);
  expect((await get('/v1/models/llama/3')).body.owned_by).toBe('d');
  expect((await get('/v1/models/whisper')).status).toBe(404);
});

test('only the models that a key may use', async () => {
  const a = await upstream('m', 'n');
  const access = { keys: [entry('ann', 'key-of-ann', { models: ['n', 'o'] })] };
  const upstreams = [{ name: 'a', base_url: a.url, models: ['*', 'first'] }];
  const { get, submit } = await start({ provider: providers.route({ upstreams }), access });
  const headers = bearer('key-of-ann');
  expect(ids(await get('/v1/models', { headers }))).toEqual(['n']);
  expect((await get('/v1/models/m', { headers })).status).toBe(404);
  expect((await submit({ prompt: 'p', model: 'm' }, headers)).status).toBe(403);
  // Its first model is its default.
  const { body } = await submit({ prompt: 'p' }, headers);
  expect((await get(`/v1/jobs/${body.job_id}`, { headers })).body.model).toBe('n');
});
