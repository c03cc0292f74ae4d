/** `sluice conformance`: reports, exit codes, wrong options. */
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../support/free-port.js';
import { MiniServer } from '../../support/conformance/mini-server.js';
import { killAll, sluice } from '../../support/crash/cli.js';

let server;
afterEach(() => {
  killAll();
  server?.close();
  server = undefined;
});

/** Runs the suite against a small server whose model is that of the suite. */
async function conformance(faults, ...args) {
  const port = await freePort();
  server = new MiniServer({ upstream: `http://127.0.0.1:${port}/v1`, faults });
  await server.listen();
  const command = ['conformance', server.url, '--upstream-port', `${port}`, ...args];
  return sluice(...command).exited;
}

test('a server that keeps the rules: exit code 0, and a line for each rule', async () => {
  const { code, stdout, stderr } = await conformance(
    [],
    '--only',
    'ending',
    '--skip',
    'ending/race',
  );
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^ok {7}ending\/one .*\n(ok .*\n){3}/);
  expect(stdout).toMatch(/ as sluice: 4 passed, 0 failed, 0 skipped\n$/);
  expect(code).toBe(0);
});

test('a server that breaks one: exit code 1, and the reason with its source in JSON and JUnit', async () => {
  const json = await conformance(['two-endings'], '--only', 'ending/one', '--format', 'json');
  expect(json.code).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({
    ...{ adapter: 'sluice', passed: 0, failed: 1, skipped: 0 },
    results: [
      {
        ...{ id: 'ending/one', status: 'failed' },
        reason: expect.stringContaining('2 terminal events'),
        source: { title: expect.any(String), url: expect.any(String), text: expect.any(String) },
      },
    ],
  });
  server.close();
  const file = join(tmpdir(), `sluice-conformance-${process.pid}.xml`);
  const args = ['--only', 'ending/one', '--format', 'junit', '--output', file];
  const junit = await conformance(['two-endings'], ...args);
  expect(junit).toMatchObject({ code: 1, stdout: '', stderr: '' });
  expect(readFileSync(file, 'utf8')).toContain(
    '<failure message="the stream has 2 terminal events',
  );
});

test('wrong options and an unreachable server are one line', async () => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const cases = [
    [['conformance', url], 1, /cannot be reached \(ECONNREFUSED\)\n$/],
    [['conformance', url, '--only', 'x'], 2, /--only names a rule or a group, not "x"/],
    [['conformance'], 2, /conformance takes one URL/],
  ];
  await Promise.all(
    cases.map(async ([args, exitCode, message]) => {
      const { code, stdout, stderr } = await sluice(...args).exited;
      expect(stdout).toBe('');
      expect(stderr).toMatch(message);
      expect(stderr.trim().split('\n')).toHaveLength(1);
      expect(code).toBe(exitCode);
    }),
  );
});
