/** Keys made, rotated, disabled and deleted over HTTP, and the file that they are written to. */
import {
  chmodSync,
  lstatSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { bearer, entry } from '../../../support/gateway/keys.js';
import { dataFile } from '../../../support/files/data-file.js';
import { echo } from '../../../support/providers/providers.js';
import { start, stopAll } from '../../../support/gateway/gateway.js';

afterEach(stopAll);

const ops = bearer('ops');
const KEYS = [entry('ops', 'ops', { admin: true }), entry('ann', 'ann')];

/** A gateway with a configuration file, in a separate folder. */
async function startWith(config, options) {
  const file = join(dirname(dataFile()), 'sluice.json');
  writeFileSync(file, typeof config === 'string' ? config : JSON.stringify(config), {
    mode: 0o640,
  });
  const gateway = await start({ provider: echo, configFile: file, ...options });
  const change = (path, body, headers = ops) => gateway.post(`/v1/keys${path}`, body, headers);
  const statusFor = async (key) => (await gateway.get('/v1/jobs', { headers: bearer(key) })).status;
  const onDisk = () => JSON.parse(readFileSync(file, 'utf8'));
  return { ...gateway, file, change, statusFor, onDisk };
}

test('a key is shown once, works at once, and only its hash is written', async () => {
  const config = { tokenIntervalMs: 5, keys: KEYS, organisations: { acme: {} } };
  const { change, statusFor, onDisk, file, get } = await startWith(config);
  const wanted = { id: 'bob', organisation: 'acme', limits: { concurrent_jobs: 2 } };
  const { status, body, headers } = await change('', wanted);
  expect([status, headers.get('location')]).toEqual([201, '/v1/keys/bob']);
  const { key, ...info } = body;
  expect(key).toMatch(/^sluice_[\w-]{43}$/);
  const sha256 = createHash('sha256').update(key).digest('hex');
  const shown = { ...wanted, disabled: false, admin: false, fingerprints: [sha256.slice(0, 8)] };
  expect(info).toEqual(shown);
  expect(await statusFor(key)).toBe(200);
  expect(onDisk()).toEqual({ ...config, keys: [...KEYS, { ...wanted, sha256 }] });
  expect(readFileSync(file, 'utf8')).not.toContain(key);
  expect(statSync(file).mode & 0o777).toBe(0o640);
  expect(readdirSync(dirname(file))).toEqual(['sluice.json']);
  const list = (await get('/v1/keys?limit=2&after=ops', { headers: ops })).body;
  expect(list).toMatchObject({ has_more: false, writable: true, required: true });
  expect(list.data[1]).toEqual(shown);
  // By default an id is generated.
  expect((await change('')).body.id).toMatch(/^key_[0-9a-f]{8}$/);
});

test('a rotation accepts the old and the new key until the old one is retired', async () => {
  const { change, statusFor } = await startWith({ keys: KEYS });
  const second = (await change('/ann/rotate')).body.key;
  expect([await statusFor('ann'), await statusFor(second)]).toEqual([200, 200]);
  const third = (await change('/ann/rotate', {})).body;
  expect(third.fingerprints).toHaveLength(2);
  expect(await Promise.all(['ann', second, third.key].map(statusFor))).toEqual([401, 200, 200]);
  expect((await change('/ann/retire')).body.fingerprints).toEqual(third.fingerprints.slice(1));
  expect([await statusFor(second), await statusFor(third.key)]).toEqual([401, 200]);
  const fourth = (await change('/ann/rotate', { keep_old: false })).body.key;
  expect([await statusFor(third.key), await statusFor(fourth)]).toEqual([401, 200]);
});

test('a disabled key is refused, with its signed URLs, until it is enabled', async () => {
  const { change, statusFor, submit, get, onDisk } = await startWith({ keys: KEYS });
  const { stream_url: url } = (await submit({ prompt: 'x' }, bearer('ann'))).body;
  expect((await change('/ann/disable')).body).toMatchObject({ id: 'ann', disabled: true });
  expect(onDisk().keys[1].disabled).toBe(true);
  expect([await statusFor('ann'), (await get(url)).status]).toEqual([401, 401]);
  expect((await change('/ann/enable')).body.disabled).toBe(false);
  expect(onDisk().keys).toEqual(KEYS);
  expect([await statusFor('ann'), (await get(url)).status]).toEqual([200, 200]);
});

test('limits, models and rights change by member, in force at once; null removes', async () => {
  const limits = { requests_per_minute: 1, tokens_per_minute: 5000 };
  const keys = [KEYS[0], { ...KEYS[1], limits, models: ['small'] }];
  const config = { keys, organisations: { acme: {} } };
  const { call, submit, onDisk, get } = await startWith(config);
  const patch = (body, headers = ops) => call('PATCH', '/v1/keys/ann', { body, headers });
  const statusOf = async () =>
    (await submit({ prompt: 'x', model: 'small' }, bearer('ann'))).status;
  expect([await statusOf(), await statusOf()]).toEqual([201, 429]);
  const { status, body } = await patch({
    limits: { requests_per_minute: 100 },
    organisation: 'acme',
  });
  expect([status, body]).toEqual([
    200,
    {
      ...{ id: 'ann', disabled: false, admin: false, fingerprints: [KEYS[1].sha256.slice(0, 8)] },
      ...{ organisation: 'acme', models: ['small'] },
      limits: { requests_per_minute: 100, tokens_per_minute: 5000 },
    },
  ]);
  expect(await statusOf()).toBe(201);
  expect((await patch({ limits: { tokens_per_minute: null }, models: null })).body.limits).toEqual({
    requests_per_minute: 100,
  });
  expect((await patch({ limits: null, organisation: null })).body.limits).toBeUndefined();
  expect(onDisk()).toEqual({ ...config, keys: KEYS });
  expect((await patch({ admin: true }, bearer('ann'))).status).toBe(403);
  const { data } = (await get('/v1/audit?action=key.update', { headers: ops })).body;
  expect(data.map(({ actor, target, outcome }) => [actor, target, outcome])).toEqual([
    ['ann', 'ann', 'denied'],
    ...Array(3).fill(['ops', 'ann', 'success']),
  ]);
  expect(data.at(-1).details).toEqual({ members: 'limits, organisation' });
});

test.each([
  ['ann', { limits: { tokens_per_minute: 0 } }, 400, 'invalid_value', 'limits.tokens_per_minute'],
  ['ann', { limits: { per_day: 1 } }, 400, 'unknown_field', 'limits.per_day'],
  ['ann', { limits: [] }, 400, 'invalid_type', 'limits'],
  ['ann', { models: 'small' }, 400, 'invalid_value', 'models'],
  ['ann', { organisation: 'other' }, 400, 'invalid_value', 'organisation'],
  ['ann', { id: 'eve' }, 400, 'unknown_field', 'id'],
  ['ann', { sha256: 'a' }, 400, 'unknown_field', 'sha256'],
  ['ann', {}, 400, 'invalid_value', null],
  ['eve', { admin: true }, 404, 'key_not_found', 'id'],
  ['ops', { admin: false }, 409, 'last_admin_key', null],
  ['ops', { disabled: true }, 409, 'last_admin_key', null],
])('PATCH /v1/keys/%s %j is refused: %i %s', async (id, body, status, code, param) => {
  const config = { keys: KEYS, organisations: { acme: {} } };
  const { call, onDisk } = await startWith(config);
  const answer = await call('PATCH', `/v1/keys/${id}`, { body, headers: ops });
  expect([answer.status, answer.body.error]).toMatchObject([status, { code, param }]);
  expect(onDisk()).toEqual(config);
});

test('changes at the same time all count, and each is in the audit log', async () => {
  const { change, call, get, onDisk } = await startWith({ keys: KEYS });
  const ids = ['a', 'b', 'c', 'd'];
  const made = await Promise.all(ids.map((id) => change('', { id })));
  expect(made.map(({ status }) => status)).toEqual([201, 201, 201, 201]);
  expect((await call('DELETE', '/v1/keys/a', { headers: ops })).status).toBe(204);
  expect((await change('/b/disable', undefined, bearer('ann'))).status).toBe(403);
  expect(onDisk().keys.map(({ id }) => id)).toEqual(['ops', 'ann', 'b', 'c', 'd']);
  const { data } = (await get('/v1/audit', { headers: ops })).body;
  const brief = data.map(({ actor, action, target, outcome }) => [actor, action, target, outcome]);
  expect(brief.slice(0, 2)).toEqual([
    ['ann', 'key.disable', 'b', 'denied'],
    ['ops', 'key.delete', 'a', 'success'],
  ]);
  expect(brief.slice(2).sort()).toEqual(ids.map((id) => ['ops', 'key.create', id, 'success']));
});

test.each([
  ['', { id: 'ann' }, 409, 'key_exists', 'id'],
  ['', { id: 'a b' }, 400, 'invalid_value', 'id'],
  ['', { id: 'anonymous' }, 400, 'invalid_value', 'id'],
  ['', { id: 'bob', organisation: 'other' }, 400, 'invalid_value', 'organisation'],
  ['', { id: 'bob', sha256: 'a' }, 400, 'unknown_field', 'sha256'],
  ['', { limits: { tokens_per_minute: 0 } }, 400, 'invalid_value', 'limits.tokens_per_minute'],
  ['/eve/rotate', {}, 404, 'key_not_found', 'id'],
  ['/ann/rotate', { keep: true }, 400, 'unknown_field', 'keep'],
  ['/ops/disable', undefined, 409, 'last_admin_key', null],
])('POST /v1/keys%s %j is refused: %i %s', async (path, body, status, code, param) => {
  const config = { keys: KEYS, organisations: { acme: {} } };
  const gateway = await startWith(config);
  const before = readFileSync(gateway.file, 'utf8');
  const refused = await gateway.change(path, body);
  expect([refused.status, refused.body.error.code, refused.body.error.param]).toEqual([
    ...[status, code, param],
  ]);
  expect(readFileSync(gateway.file, 'utf8')).toBe(before);
});

test('the first key of a server without keys is an administrator', async () => {
  const { change, get, statusFor } = await startWith({});
  expect((await get('/v1/keys')).body).toMatchObject({ data: [], required: false });
  const refused = await change('', { id: 'ann' });
  expect([refused.status, refused.body.error.code]).toEqual([409, 'last_admin_key']);
  const { key } = (await change('', { id: 'ops', admin: true })).body;
  expect([await statusFor('none'), await statusFor(key)]).toEqual([401, 200]);
  expect((await change('', { id: 'ann' }, bearer(key))).status).toBe(201);
});

test('a file that is broken, or cannot be replaced, changes nothing', async () => {
  const { change, file, get } = await startWith({ keys: KEYS });
  const refusal = async () => {
    const { status, body } = await change('', { id: 'bob' });
    return [status, body.error.code, body.error.message];
  };
  writeFileSync(file, '{');
  expect(await refusal()).toEqual([409, 'config_invalid', expect.stringContaining('not JSON')]);
  writeFileSync(file, JSON.stringify({ keys: [{ id: 'x' }] }));
  expect(await refusal()).toEqual([
    ...[409, 'config_invalid', expect.stringContaining('/keys/0/sha256 is required')],
  ]);
  writeFileSync(file, JSON.stringify({ keys: KEYS }));
  // The superuser may write everywhere.
  if (process.getuid?.() !== 0) {
    chmodSync(dirname(file), 0o500);
    const refused = await refusal();
    chmodSync(dirname(file), 0o700);
    expect(refused).toEqual([409, 'config_not_writable', expect.stringContaining('EACCES')]);
  }
  const { data } = (await get('/v1/keys', { headers: ops })).body;
  expect(data.map(({ id }) => id)).toEqual(['ops', 'ann']);
});

test('a link stays a link', async () => {
  const { file, onDisk } = await startWith({ keys: KEYS });
  const link = join(dirname(file), 'link.json');
  symlinkSync('sluice.json', link);
  const other = await start({ provider: echo, configFile: link });
  expect((await other.post('/v1/keys', { id: 'bob' }, ops)).status).toBe(201);
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
  expect(onDisk().keys.map(({ id }) => id)).toEqual(['ops', 'ann', 'bob']);
});

test('without a file the routes report it', async () => {
  const gateway = await start({ provider: echo, access: { keys: KEYS } });
  const list = (await gateway.get('/v1/keys', { headers: ops })).body;
  expect([list.writable, list.data.map(({ id }) => id)]).toEqual([false, ['ops', 'ann']]);
  const refused = await gateway.post('/v1/keys', { id: 'bob' }, ops);
  expect([refused.status, refused.body.error.code]).toEqual([501, 'keys_read_only']);
  expect((await gateway.get('/v1/keys', { headers: bearer('ann') })).status).toBe(403);
});
