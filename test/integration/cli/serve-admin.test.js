/** `sluice serve` without keys: who may make admin calls. */
import { bearer, entry } from '../../support/gateway/keys.js';
import { file, killAll, removeFiles, serve } from '../../support/crash/cli.js';
import { until } from '../../support/until.js';

afterEach(killAll);
afterAll(removeFiles);

const calls = [
  ['POST', '/v1/transfers', { to: 'anonymous', amount: 5 }, 201],
  ['GET', '/v1/logs/top-errors', undefined, 200],
  ['GET', '/v1/accounts/@external', undefined, 200],
  ['DELETE', '/v1/principals/somebody', undefined, 204],
];

async function statuses({ call }, headers) {
  const answers = await Promise.all(
    calls.map(([method, path, body]) => call(method, path, { body, headers })),
  );
  return answers.map(({ status }) => status);
}
const granted = calls.map(([, , , status]) => status);
// An account that a caller may not see is not there.
const refused = [403, 403, 404, 403];

const tokenIn = (stderr) =>
  stderr
    .split('\n')
    .filter((line) => line.includes('admin_token'))
    .map((line) => JSON.parse(line).admin_token)[0];

test('only with the token on stderr, a new one at each start', async () => {
  const tokens = [];
  for (const server of [await serve(), await serve()]) {
    const token = await until(() => tokenIn(server.output.stderr), 'the token');
    tokens.push(token);
    expect(token).toMatch(/^[\w-]{32}$/);
    for (const headers of [{}, bearer('wrong'), bearer(`${token}x`), { authorization: token }]) {
      expect(await statuses(server, headers)).toEqual(refused);
    }
    expect(await statuses(server, bearer(token))).toEqual(granted);
    const proxied = { ...bearer(token), 'x-forwarded-for': '203.0.113.7' };
    expect(await statuses(server, proxied)).toEqual(granted);
    const { body } = await server.post('/v1/transfers', { to: 'a', amount: 1 });
    expect(body.error.code).toBe('admin_key_required');
    expect(body.error.message).toContain('--admin-open');
    for (const path of ['/metrics', '/v1/jobs', '/v1/accounts/anonymous']) {
      expect([path, (await server.get(path)).status]).toEqual([path, 200]);
    }
  }
  expect(tokens[0]).not.toBe(tokens[1]);
});

test('--admin-open: callers on this machine, except requests forwarded by a proxy', async () => {
  const server = await serve('--admin-open');
  expect(await statuses(server, {})).toEqual(granted);
  expect(await statuses(server, { 'x-forwarded-for': '203.0.113.7' })).toEqual(refused);
  expect(server.output.stderr).not.toContain('admin_token');
});

test('with keys there is no token', async () => {
  const keys = [entry('ops', 'key-of-ops', { admin: true })];
  const server = await serve('--config', await file('config.json', JSON.stringify({ keys })));
  expect(await statuses(server, bearer('key-of-ops'))).toEqual(granted);
  expect(server.output.stderr).not.toContain('admin_token');
});
