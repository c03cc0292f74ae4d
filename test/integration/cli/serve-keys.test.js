/** `sluice serve` with keys: the file, SIGHUP, who may listen where; and `sluice key`. */
import http from 'node:http';
import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { file, killAll, removeFiles, serve, sluice } from '../../support/crash/cli.js';
import { bearer, entry, sha256 } from '../../support/gateway/keys.js';
import { until } from '../../support/until.js';

afterEach(killAll);
afterAll(removeFiles);

const ann = bearer('key-of-ann');
const bob = bearer('key-of-bob');
const keyOfAnn = entry('ann', 'key-of-ann');
const keyOfBob = entry('bob', 'key-of-bob');

const configure = (config, name = 'config.json') => file(name, JSON.stringify(config));
const statusFor = async ({ get }, headers) => (await get('/v1/jobs', { headers })).status;

describe('the file', () => {
  test('adds keys to the flags', async () => {
    const config = { tokenIntervalMs: 0, keys: [keyOfAnn], cors_origins: ['https://a.example'] };
    const server = await serve('--config', await configure(config));
    expect(await statusFor(server, {})).toBe(401);
    expect(await statusFor(server, ann)).toBe(200);
    const { body } = await server.submit({ prompt: 'a', max_tokens: 2 }, ann);
    const stream = await server.read(body.stream_url, { headers: { origin: 'https://a.example' } });
    expect(stream.last()).toMatchObject({ type: 'job_complete' });
    expect(stream.headers['access-control-allow-origin']).toBe('https://a.example');
  });

  test.each([
    [{ keys: [{ id: 'ann', sha256: 'beef' }] }, '/keys/0/sha256 must be the SHA-256 of the key as'],
    [{ keys: [{ id: 'ann' }] }, '/keys/0/sha256 is required'],
    [{ keys: [{ ...keyOfAnn, rights: 'all' }] }, '/keys/0/rights is not known here'],
    [{ keys: [keyOfAnn, keyOfAnn] }, '/keys/1/id must not repeat /keys/0/id'],
    [{ limits: { requests_per_minute: '5' } }, '/limits/requests_per_minute must be an integer'],
    [{ models: { 'a/b': { limit: {} } } }, '/models/a~1b/limit is not known here'],
    [{ cors_origins: ['a.example'] }, '/cors_origins/0 must be "*" or an origin'],
    [{ open: 'yes' }, '/open takes true or false, not "yes"'],
  ])('%j is one line, and exit code 2', async (config, message) => {
    const path = await configure(config, 'bad.json');
    const { code, stdout, stderr } = await sluice('serve', '--config', path).exited;
    expect(stderr).toContain(`sluice: ${path}: ${message}`);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  test('receives the keys created over HTTP, and SIGHUP reads it again', async () => {
    const path = await configure({ tokenIntervalMs: 0, keys: [{ ...keyOfAnn, admin: true }] });
    const server = await serve('--config', path);
    const made = await server.post('/v1/keys', { id: 'bob' }, ann);
    expect(made.status).toBe(201);
    const { tokenIntervalMs, keys } = JSON.parse(readFileSync(path, 'utf8'));
    expect([tokenIntervalMs, keys[1]]).toEqual([0, entry('bob', made.body.key)]);
    server.child.kill('SIGHUP');
    await until(() => server.output.stderr.includes('configuration reloaded'), 'the reload');
    expect(await statusFor(server, bearer(made.body.key))).toBe(200);
  });

  test('applies to serve; run has no keys', async () => {
    const path = await configure({ keys: [keyOfAnn] });
    const { code, stderr } = await sluice('run', '-', '--config', path).exited;
    expect(stderr).toContain(`${path}: /keys is not an option`);
    expect(code).toBe(2);
  });
});

describe('addresses reachable from other machines', () => {
  test.each(['0.0.0.0', '::', '192.0.2.1', 'example.com'])(
    '--host %s without keys is refused in one line',
    async (host) => {
      const { code, stdout, stderr } = await sluice('serve', '--host', host, '--port', '0').exited;
      expect(stderr).toMatch(
        /^sluice: --host \S+ lets others in: it needs keys .* or --open .*\n$/,
      );
      expect(stdout).toBe('');
      expect(code).toBe(2);
    },
  );

  test('--open allows every caller', async () => {
    const server = await serve('--host', '0.0.0.0', '--open');
    expect(await statusFor(server, {})).toBe(200);
  });

  test('keys allow callers with a key', async () => {
    const server = await serve(
      '--host',
      '0.0.0.0',
      '--config',
      await configure({ keys: [keyOfAnn] }),
    );
    expect([await statusFor(server, {}), await statusFor(server, ann)]).toEqual([401, 200]);
  });

  test('--allowed-hosts lists the names of this machine', async () => {
    const server = await serve('--allowed-hosts', 'app.example, other.example');
    const statusAs = (host) =>
      new Promise((resolve, reject) => {
        http
          .get(`${server.url}/v1/jobs`, { headers: { host } }, (response) => {
            response.resume();
            resolve(response.statusCode);
          })
          .once('error', reject);
      });
    expect(await statusAs('app.example')).toBe(200);
    expect(await statusAs('other.example:80')).toBe(200);
    expect(await statusAs('evil.example')).toBe(403);
  });

  test.each(['http://app.example', 'app.example,', 'app.example:80'])(
    '--allowed-hosts %s is refused in one line',
    async (names) => {
      const { code, stderr } = await sluice('serve', '--allowed-hosts', names).exited;
      expect(stderr).toMatch(/^sluice: --allowed-hosts takes names .*\n$/);
      expect(code).toBe(2);
    },
  );

  test('127.0.0.0/8 is this machine alone', async () => {
    const server = await serve('--host', '127.0.0.2');
    expect(await statusFor(server, {})).toBe(200);
  });
});

describe('SIGHUP', () => {
  const logged = ({ output }, message) => {
    const lines = output.stderr.split('\n').filter((line) => line.includes(message));
    return lines.map((line) => JSON.parse(line));
  };
  const hangUp = async (server, message) => {
    const before = logged(server, message).length;
    server.child.kill('SIGHUP');
    await until(() => logged(server, message).length > before, message);
    return logged(server, message).at(-1);
  };

  test('changes keys while a stream runs, which continues', async () => {
    const config = { keys: [keyOfAnn], port: 0 };
    const path = await configure(config);
    const server = await serve('--config', path, '--token-interval-ms', '30');
    const { body } = await server.submit({ prompt: 'a', max_tokens: 40 }, ann);
    const open = await server.stream(body.stream_url);
    await until(() => open.events.length > 1, 'two tokens');

    await configure({ ...config, keys: [keyOfBob], tokenIntervalMs: 1, port: 1 });
    await hangUp(server, 'configuration reloaded');
    expect([await statusFor(server, ann), await statusFor(server, bob)]).toEqual([401, 200]);
    expect(open.ended).toBe(false);
    // The flag wins over the file, as at the start: nothing has changed there, nor in the port.
    expect(logged(server, 'take effect at a start')).toEqual([]);
    const events = await open.done;
    expect(events.map(({ id }) => id)).toEqual(Array.from({ length: 41 }, (_, i) => `1-${i + 1}`));
    expect(events.at(-1)).toMatchObject({ type: 'job_complete', data: { reason: 'length' } });
  });

  test('an invalid file is reported, and changes nothing', async () => {
    const path = await configure({ keys: [keyOfAnn] });
    const server = await serve('--config', path);
    for (const [content, reason] of [
      ['{"keys":', 'is not JSON'],
      ['{"keys":[{"id":"bob"}]}', '/keys/0/sha256 is required'],
      ['{"prot":1}', '/prot is not an option'],
      ['{}', 'access.keys may not be left out'],
    ]) {
      await file('config.json', content);
      const line = await hangUp(server, 'configuration not reloaded');
      expect(line).toMatchObject({ level: 50, reason: expect.stringContaining(reason) });
      expect([await statusFor(server, ann), await statusFor(server, bob)]).toEqual([200, 401]);
    }
    expect(server.child.exitCode).toBe(null);
    await configure({ keys: [] });
    await hangUp(server, 'configuration reloaded');
    expect(await statusFor(server, ann)).toBe(401);
  });

  test('options that only a restart changes are named', async () => {
    const path = await configure({ keys: [keyOfAnn], maxBatchSize: 4, 'drain-ms': 5 });
    const server = await serve('--config', path);
    await configure({ keys: [keyOfAnn], maxBatchSize: 5, 'drain-ms': 5, host: '127.0.0.2' });
    await hangUp(server, 'configuration reloaded');
    const [line] = logged(server, 'take effect at a start');
    expect(line.ignored.sort()).toEqual(['host', 'maxBatchSize']);
  });
});

describe('sluice key', () => {
  test('prints a key and its entry, which serve takes', async () => {
    const { code, stdout, stderr } = await sluice('key', '--id', 'ann').exited;
    expect([code, stderr]).toEqual([0, '']);
    const [key, json, end] = stdout.split('\n');
    expect(end).toBe('');
    expect(key).toMatch(/^sluice_[\w-]{43}$/);
    const made = JSON.parse(json);
    expect(made).toEqual({ id: 'ann', sha256: sha256(key) });
    const server = await serve('--config', await configure({ keys: [made] }));
    expect(await statusFor(server, bearer(key))).toBe(200);
  });

  test('no two are the same, names included', async () => {
    const [one, two] = await Promise.all([sluice('key').exited, sluice('key').exited]);
    const [a, b] = [one, two].map(({ stdout }) => stdout.split('\n'));
    expect(a[0]).not.toBe(b[0]);
    expect(JSON.parse(a[1]).id).not.toBe(JSON.parse(b[1]).id);
    expect(JSON.parse(a[1]).sha256).toBe(createHash('sha256').update(a[0]).digest('hex'));
  });

  test.each([['two words'], ['anonymous']])('--id %j is refused', async (id) => {
    const { code, stdout, stderr } = await sluice('key', '--id', id).exited;
    expect(stderr).toMatch(/^sluice: --id must .*\n$/);
    expect([code, stdout]).toEqual([2, '']);
  });
});
