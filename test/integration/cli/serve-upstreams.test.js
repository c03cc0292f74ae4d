/** `sluice serve` with upstreams: of the file, of flags, of the environment; the check at the start. */
import { environment, file, killAll, removeFiles, serve, sluice } from '../../support/crash/cli.js';
import { listing, startMockUpstream, streamTokens } from '../../support/upstream/mock-upstream.js';
import {
  start,
  startAnthropic,
  stop,
  streamEvents,
  text,
} from '../../support/upstream/anthropic-upstream.js';
import { until } from '../../support/until.js';

const cleanups = [];
afterEach(async () => {
  killAll();
  while (cleanups.length > 0) await cleanups.pop()();
});
afterAll(removeFiles);

async function upstream(name = 'x') {
  const mock = await startMockUpstream(streamTokens({ tokens: ['from ', name] }));
  cleanups.push(() => mock.close());
  mock.list = listing('m');
  return mock;
}

const configure = (config, name = 'config.json') => file(name, JSON.stringify(config));
const warnings = ({ output }) =>
  output.stderr
    .split('\n')
    .filter((line) => line.includes('"set"'))
    .map((line) => JSON.parse(line).msg);

async function answer({ submit, ended }, body = {}) {
  const { body: made } = await submit({ prompt: 'p', ...body });
  return ended(made.job_id);
}

test('of the file, and new ones after SIGHUP', async () => {
  const [a, b] = [await upstream('a'), await upstream('b')];
  const config = { upstreams: [{ name: 'a', base_url: a.url, models: { fast: 'm' } }] };
  const server = await serve('--config', await configure(config));
  expect(await answer(server, { model: 'fast' })).toMatchObject({ text: 'from a', upstream: 'a' });
  expect((await server.get('/v1/models')).body.data).toEqual([
    { id: 'fast', object: 'model', created: 7, owned_by: 'a' },
  ]);
  expect((await server.submit({ prompt: 'p', model: 'slow' })).status).toBe(404);

  await configure({
    upstreams: [
      { name: 'a', base_url: 'http://127.0.0.1:1', models: ['slow'] },
      { name: 'b', base_url: b.url, models: ['slow'] },
    ],
  });
  server.child.kill('SIGHUP');
  await until(() => server.output.stderr.includes('configuration reloaded'), 'the reload');
  expect(await answer(server, { model: 'slow' })).toMatchObject({ text: 'from b' });

  await configure({ upstreams: [{ name: 'b', base_url: 'nowhere' }] });
  server.child.kill('SIGHUP');
  await until(() => server.output.stderr.includes('not reloaded'), 'the refusal');
  expect(server.output.stderr).toContain('upstreams[0].base_url takes an http or https URL');
  await configure({});
  server.child.kill('SIGHUP');
  await until(() => server.output.stderr.includes('may not be left out'), 'the refusal');
  expect(await answer(server, { model: 'slow' })).toMatchObject({ text: 'from b' });
});

test.each([
  [{ upstreams: [{ name: 'a' }] }, 'config.json: upstreams[0].base_url is required'],
  [
    { upstreams: [{ name: 'a', base_url: 'x' }] },
    'config.json: upstreams[0].base_url takes an http',
  ],
  [{ fallbacks: {} }, 'config.json: fallbacks needs upstreams'],
  [{ upstream: 'http://x', upstreams: [{ name: 'a', base_url: 'http://x' }] }, 'not both'],
  [
    { model: 'm', upstreams: [{ name: 'a', base_url: 'http://x' }] },
    '--model goes with --upstream',
  ],
  [{ provider: 'demo', upstreams: [{ name: 'a', base_url: 'http://x' }] }, 'not demo'],
])('%j is one line, and exit code 2', async (config, message) => {
  for (const command of [
    ['serve', '--port', '0'],
    ['run', '-'],
  ]) {
    const { code, stderr } = await sluice(...command, '--config', await configure(config)).exited;
    expect([code, stderr.split('\n').length]).toEqual([2, 2]);
    expect(stderr).toContain(message);
  }
});

test('OPENAI_BASE_URL and OPENAI_API_KEY, where there is no flag', async () => {
  const [a, b] = [await upstream('a'), await upstream('b')];
  Object.assign(environment, {
    OPENAI_BASE_URL: `${a.url}/v1/chat/completions`,
    OPENAI_API_KEY: 'key-of-env',
  });
  const server = await serve();
  expect(await answer(server)).toMatchObject({ text: 'from a' });
  expect(a.exchanges[0]).toMatchObject({
    path: '/v1/chat/completions',
    headers: { authorization: 'Bearer key-of-env' },
  });
  expect((await server.get('/v1/models')).body.data.map(({ id }) => id)).toEqual(['m']);
  expect(warnings(server)).toEqual([]);
  expect(await answer(await serve('--upstream', b.url))).toMatchObject({ text: 'from b' });
  expect((await answer(await serve('--provider', 'demo', '--token-interval-ms', '0'))).model).toBe(
    'demo',
  );
  environment.OPENAI_BASE_URL = 'nowhere';
  const { code, stderr } = await sluice('serve', '--port', '0').exited;
  expect([code, stderr]).toEqual([2, expect.stringContaining('OPENAI_BASE_URL takes an http')]);
});

test('PORT, where there is no flag', async () => {
  environment.PORT = '70000';
  const refused = await sluice('serve').exited;
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('PORT takes an int')]);
  environment.PORT = '0';
  const { output, child, exited } = sluice('serve');
  await until(() => /listening on .*:[1-9]\d+\n/.test(output.stdout), 'the server to listen');
  child.kill('SIGTERM');
  expect((await exited).code).toBe(0);
});

test('the key of OpenAI is sent to OpenAI only', async () => {
  const a = await upstream('a');
  environment.OPENAI_API_KEY = 'key-of-env';
  const config = { upstreams: [{ name: 'a', base_url: a.url }] };
  await answer(await serve('--config', await configure(config)));
  expect(a.exchanges[0].headers.authorization).toBeUndefined();
});

test('ANTHROPIC_API_KEY, where an upstream of that dialect names no key', async () => {
  const a = await startAnthropic(streamEvents(start(), ...text(0, 'hi'), ...stop()));
  cleanups.push(() => a.close());
  a.list = (_req, res) => res.writeHead(401).end();
  const config = { upstreams: [{ name: 'claude', base_url: a.url, dialect: 'anthropic' }] };
  const path = await configure(config);
  environment.ANTHROPIC_API_KEY = 'key-of-env';
  const server = await serve('--config', path);
  expect(await answer(server, { model: 'claude-x' })).toMatchObject({ text: 'hi' });
  expect(a.exchanges[0].headers['x-api-key']).toBe('key-of-env');
  expect(warnings(server)).toEqual([expect.stringContaining('set ANTHROPIC_API_KEY')]);
});

describe('the check at the start', () => {
  const refuse = (_req, res) => res.writeHead(401).end('{"error":{"message":"sk-secret"}}');

  test('one warning for each upstream with a problem', async () => {
    const [a, b, c] = [await upstream(), await upstream(), await upstream()];
    a.list = refuse;
    b.list = refuse;
    const config = {
      upstreams: [
        { name: 'one', base_url: a.url, api_key_env: 'KEY_OF_ONE' },
        { name: 'two', base_url: b.url, api_key: 'wrong-key' },
        { name: 'three', base_url: 'http://127.0.0.1:1' },
        { name: 'four', base_url: c.url },
      ],
    };
    const server = await serve('--config', await configure(config));
    expect(warnings(server)).toEqual([
      `upstream one (${a.url}/v1) refuses the credentials (401): set KEY_OF_ONE`,
      `upstream two (${b.url}/v1) refuses the credentials (401): set upstreams[1].api_key`,
      'upstream three (http://127.0.0.1:1/v1) cannot be reached (ECONNREFUSED): ' +
        'set upstreams[2].base_url',
    ]);
    expect(server.output.stderr).not.toMatch(/wrong-key|secret/);
    expect([a, b, c].map(({ lists }) => lists.length)).toEqual([1, 1, 1]);
  });

  test('of --upstream', async () => {
    const a = await upstream();
    a.list = refuse;
    const refused = await serve('--upstream', a.url);
    expect(warnings(refused)).toEqual([expect.stringContaining('set OPENAI_API_KEY')]);
    const unreachable = await serve('--upstream', 'http://127.0.0.1:1');
    expect(warnings(unreachable)).toEqual([
      expect.stringContaining(
        'cannot be reached (ECONNREFUSED): set --upstream or OPENAI_BASE_URL',
      ),
    ]);
  });

  test('a server without a list is fine, a silent one does not hold the start', async () => {
    const [a, b] = [await upstream(), await upstream()];
    a.list = (_req, res) => res.writeHead(404).end();
    b.list = () => {};
    expect(warnings(await serve('--upstream', a.url))).toEqual([]);
    const server = await serve('--upstream', b.url);
    expect(await answer(server)).toMatchObject({ status: 'completed' });
    server.child.kill('SIGTERM');
    expect((await server.exited).code).toBe(0);
  });
});
