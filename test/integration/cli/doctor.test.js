/** `sluice doctor`: each problem is named, with advice, and decides on the exit code. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkFiles, checkNode } from '../../../lib/cli/checks/system.js';
import { killAll, serve, sluice, sluiceWith } from '../../support/crash/cli.js';
import { startRedis } from '../../support/cluster/redis.js';
import { cleanUp, stopAll } from '../../support/gateway/gateway.js';

const scaling = readFileSync(new URL('../../../docs/scaling.md', import.meta.url), 'utf8');

let folder;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-doctor-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(async () => {
  killAll();
  await stopAll();
});

/** @returns {Promise<{code: number, found: Record<string, {level, message, advice?}>}>} by check */
const doctor = (...args) => doctorWith({ OPENAI_API_KEY: '' }, ...args);

async function doctorWith(variables, ...args) {
  const command = ['doctor', '--port', '0', '--json', ...args];
  const { code, stdout, stderr } = await sluiceWith(variables, ...command).exited;
  expect(stderr).toBe('');
  const found = JSON.parse(stdout).map(({ check, ...finding }) => [check, finding]);
  return { code, found: Object.fromEntries(found) };
}

/** An upstream that answers `GET /v1/models` so, and keeps the requests. */
async function upstream(status, body) {
  const requests = [];
  const server = createServer((req, res) => {
    requests.push({ url: req.url, authorization: req.headers.authorization });
    res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, requests };
}

test('a suitable machine has no problems', async () => {
  const { code, found } = await doctor();
  expect(code).toBe(0);
  expect(Object.keys(found)).toEqual(['node', 'addon', 'files', 'port']);
  expect(found.addon).toEqual({
    level: 'ok',
    message: expect.stringMatching(/^the addon for \w+-\w+/),
  });
  const { stdout } = await sluice('doctor', '--port', '0').exited;
  expect(stdout).toMatch(/^ok +node +Node \d+\.\d+\.\d+$/m);
});

test('an addon that does not load is a problem, and the other checks continue', async () => {
  const variables = { SLUICE_ADDON_PATH: join(folder, 'none.node') };
  const { code, found } = await doctorWith(variables, '--upstream', 'http://127.0.0.1:1');
  expect(code).toBe(1);
  expect(found.addon).toMatchObject({
    level: 'problem',
    advice: expect.stringContaining('sluice build'),
  });
  expect(found.libcurl.level).toBe('warning');
  expect(found.port.level).toBe('ok');
});

test('a port in use is named, with its owner', async () => {
  const { url } = await serve();
  const port = new URL(url).port;
  const { code, stdout } = await sluice('doctor', '--port', port).exited;
  expect(code).toBe(1);
  expect(stdout).toContain(`port ${port} of 127.0.0.1 is in use by a Sluice server`);
  const other = await upstream(200, {});
  const { stdout: text } = await sluice('doctor', '--port', new URL(other.url).port).exited;
  expect(text).toContain('is in use by another program');
});

describe('an upstream', () => {
  const secret = { OPENAI_API_KEY: 'secret' };
  const models = { data: [{ id: 'small' }, { id: 'llama3.2:latest' }] };

  test('that has the model, with the key from the environment', async () => {
    const { url, requests } = await upstream(200, models);
    const { code, found } = await doctorWith(secret, '--upstream', url, '--model', 'llama3.2');
    expect(code).toBe(0);
    expect(found.upstream).toEqual({
      level: 'ok',
      message: `${url}/v1 answers and has the model llama3.2`,
    });
    expect(requests).toEqual([{ url: '/v1/models', authorization: 'Bearer secret' }]);
  });

  test.each([
    [
      'has another model',
      200,
      models,
      ['--model', 'large'],
      'problem',
      'no model large',
      'small, llama',
    ],
    [
      'waits for a choice',
      200,
      models,
      [],
      'warning',
      'no --model is given',
      'small, llama3.2:latest',
    ],
    ['has no list', 404, {}, ['--model', 'm'], 'ok', 'no list of models', undefined],
    [
      'has a strange list',
      200,
      { data: 7 },
      ['--model', 'm'],
      'ok',
      'no list of models',
      undefined,
    ],
    ['refuses the caller', 401, {}, [], 'problem', 'refuses the key (401)', 'Set OPENAI_API_KEY.'],
    ['fails', 500, {}, [], 'warning', 'answers with 500', "upstream's own log"],
  ])('that %s', async (_name, status, body, args, level, message, advice) => {
    const { url } = await upstream(status, body);
    const { code, found } = await doctor('--upstream', url, ...args);
    expect(found.upstream).toMatchObject({ level, message: expect.stringContaining(message) });
    if (advice === undefined) expect(found.upstream.advice).toBeUndefined();
    else expect(found.upstream.advice).toContain(advice);
    expect(code).toBe(level === 'problem' ? 1 : 0);
  });

  test('that refuses a key', async () => {
    const { url } = await upstream(403, {});
    const { found } = await doctorWith(secret, '--upstream', url);
    expect(found.upstream).toMatchObject({ level: 'problem', advice: 'Check OPENAI_API_KEY.' });
    expect(JSON.stringify(found)).not.toContain('secret');
  });

  test('that is not there', async () => {
    const { url } = await upstream(200, models);
    await stopAll();
    const { code, found } = await doctor('--upstream', url);
    expect(code).toBe(1);
    expect(found.upstream.message).toBe(`${url}/v1 cannot be reached (ECONNREFUSED)`);
  });
});

test('each upstream of the configuration file is checked, by its name', async () => {
  const good = await upstream(200, { data: [{ id: 'large-1' }] });
  const bad = await upstream(401, {});
  const config = join(folder, 'upstreams.json');
  writeFileSync(
    config,
    JSON.stringify({
      upstreams: [
        {
          name: 'good',
          base_url: good.url,
          api_key_env: 'GOOD_KEY',
          query: { 'api-version': '1' },
          models: { large: 'large-1', 'other-*': 'other-*' },
        },
        { name: 'bad', base_url: bad.url, api_key: 'wrong' },
      ],
    }),
  );
  const { code, found } = await doctorWith({ GOOD_KEY: 'secret' }, '--config', config);
  expect(code).toBe(1);
  expect(found.good).toEqual({
    level: 'ok',
    message: `${good.url}/v1 answers and has the model large-1`,
  });
  expect(good.requests).toEqual([
    { url: '/v1/models?api-version=1', authorization: 'Bearer secret' },
  ]);
  expect(found.bad).toMatchObject({ level: 'problem', advice: 'Check the api_key of bad.' });
});

describe('a data file', () => {
  test('that a server uses', async () => {
    const data = join(folder, 'used.db');
    await serve('--data', data);
    const { code, found } = await doctor('--data', data);
    expect([code, found.data.level]).toEqual([0, 'ok']);
    expect(found.data.message).toContain('is readable');
  });

  test('that does not exist yet, and one that cannot be created', async () => {
    const fresh = await doctor('--data', join(folder, 'fresh.db'));
    expect(fresh.found.data.message).toContain('will be created');
    const nowhere = await doctor('--data', join(folder, 'nowhere', 'x.db'));
    expect(nowhere.code).toBe(1);
    expect(nowhere.found.data.message).toContain('cannot be written (ENOENT)');
  });

  test('that is another file', async () => {
    const data = join(folder, 'text.db');
    writeFileSync(
      data,
      'not a database, but long enough to be taken for the head of one'.repeat(20),
    );
    const { code, found } = await doctor('--data', data);
    expect([code, found.data.level]).toEqual([1, 'problem']);
    expect(found.data.message).toContain(data);
  });
});

test('a model file must be one', async () => {
  const missing = await doctor('--provider', 'llama', '--model', join(folder, 'none.gguf'));
  expect(missing.found.model.message).toContain('cannot be read (ENOENT)');
  const path = join(folder, 'text.gguf');
  writeFileSync(path, 'text');
  chmodSync(path, 0o644);
  const other = await doctor('--provider', 'llama', '--model', path);
  expect([other.code, other.found.model.message]).toEqual([1, `${path} is no GGUF file`]);
});

test('it accepts the command line of serve, with the same refusals', async () => {
  const { code } = await doctor('--max-batch-size', '4', '--token-interval-ms', '5');
  expect(code).toBe(0);
  const refused = await sluice('doctor', '--host', '0.0.0.0').exited;
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('it needs keys')]);
  const unknown = await sluice('doctor', '--upstraem', 'x').exited;
  expect(unknown.stderr).toContain('did you mean --upstream?');
});

test.each([
  ['20.18.3', 'problem'],
  ['20.19.0', 'ok'],
  ['21.7.0', 'problem'],
  ['22.11.0', 'problem'],
  ['22.12.0', 'ok'],
  ['24.0.0', 'ok'],
  ['18.20.0', 'problem'],
])('Node %s is %s', (version, level) => {
  expect(checkNode(version).level).toBe(level);
});

test.each([
  [1024, 'warning'],
  [4096, 'ok'],
  [Infinity, 'ok'],
])('a limit of %d open files is %s', async (limit, level) => {
  expect((await checkFiles(limit)).level).toBe(level);
});

describe('Redis', () => {
  let redis;
  beforeAll(async () => {
    redis = await startRedis({ args: ['--appendonly', 'yes'] });
  });
  afterAll(() => redis.stop());

  const LEVELS = { redis: 'ok', latency: 'ok', clock: 'ok', memory: 'ok', disk: 'ok' };
  const levelsOf = (found) =>
    Object.fromEntries(
      Object.entries(found).flatMap(([check, { level }]) =>
        ['node', 'addon', 'files', 'port'].includes(check) ? [] : [[check, level]],
      ),
    );

  test('a server that is fit, by the rights that are documented', async () => {
    const [, rights] = /^ACL SETUSER gateway on >secret (.+)$/m.exec(scaling);
    await redis.call('ACL', 'SETUSER', 'gateway', 'on', '>secret', ...rights.split(' '));
    const variables = { SLUICE_REDIS_URL: `redis://gateway:secret@127.0.0.1:${redis.port}` };
    const { code, found } = await doctorWith(variables);
    expect(code).toBe(0);
    // A round trip may be slow while other tests run.
    expect({ ...levelsOf(found), latency: 'ok' }).toEqual({
      ...LEVELS,
      schema: 'ok',
      rights: 'ok',
    });
    expect(found.redis.message).toMatch(/^redis:\/\/gateway@127\.0\.0\.1:\d+ is Redis \d/);
    expect(found.schema.message).toBe('no data yet');
    expect(await redis.keys()).toEqual([]);
    expect(JSON.stringify(found)).not.toContain('secret');
  });

  test('an evicting policy, no file, few rights and data of a newer version are named', async () => {
    await redis.call('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    await redis.call('CONFIG', 'SET', 'appendonly', 'no');
    await redis.call('HSET', '{sluice}:meta', 'schema', '2');
    await redis.call('ACL', 'SETUSER', 'default', '-xadd', '-publish', '-subscribe');
    const { code, found } = await doctor('--redis', redis.url);
    expect(code).toBe(1);
    expect({ ...levelsOf(found), latency: 'ok' }).toEqual({
      ...{ ...LEVELS, memory: 'warning', disk: 'warning', schema: 'problem', rights: 'problem' },
    });
    expect(found.memory.advice).toBe('Set maxmemory-policy noeviction.');
    expect(found.rights.message).toContain('may not use XADD, PUBLISH, SUBSCRIBE with its keys');
  });

  test('a database that is not there, and a server of another kind, are named', async () => {
    const absent = await doctor('--redis', `${redis.url}/99`);
    expect(absent.found.redis).toMatchObject({
      level: 'problem',
      message: expect.stringContaining('/99 cannot be used: ERR DB index is out of range'),
      advice: expect.stringMatching(/^Name a database that the server has, \/0 to \/15/),
    });
    const web = createServer((_req, res) => res.end()).listen(0, '127.0.0.1');
    await once(web, 'listening');
    const other = await doctor('--redis', `redis://127.0.0.1:${web.address().port}`);
    web.close();
    expect(other.found.redis).toMatchObject({
      level: 'problem',
      message: expect.stringContaining('cannot be used: its answer begins with "H"'),
      advice: expect.stringMatching(/^Name the host and the port of a Redis server/),
    });
  });

  test('without an answer the rest is not checked', async () => {
    const { code, found } = await doctor('--redis', 'redis://:secret@127.0.0.1:1');
    expect(code).toBe(1);
    expect(found.redis).toMatchObject({
      level: 'problem',
      message: expect.stringContaining('redis://127.0.0.1:1 cannot be used'),
    });
    expect(found.rights.message).toContain('not checked');
  });
});
