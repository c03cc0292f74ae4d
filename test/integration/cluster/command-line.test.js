/** `sluice serve --redis`: mistakes are one line and exit code 2, without the password. */
import { killAll, removeFiles, sluiceWith } from '../../support/crash/cli.js';

afterEach(killAll);
afterAll(removeFiles);

const SERVE = ['serve', '--port', '0'];
const URL = 'redis://user:secret@127.0.0.1:1';

/** Runs a command whose only effect is one line and exit code 2. */
async function refused(args, variables = {}) {
  const { code, stdout, stderr } = await sluiceWith(variables, ...SERVE, ...args).exited;
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/^sluice: [^\n]+\n$/);
  expect(stderr).not.toContain('secret');
  return stderr;
}

test.each([
  [['--redis', 'http://user:secret@h'], '--redis takes redis://[user[:password]@]host[:port][/db]'],
  [['--redis', 'rediss://user:secret@h/db'], 'the db is a number'],
  [['--redis', 'redis-sentinel://user:secret@h'], 'redis-sentinel://[user:password@]host[:port]'],
  [['--redis', 'redis://user:secret@h/db'], 'the db is a number'],
  [['--redis', ''], '--redis takes a non-empty string'],
  [['--redis', URL, '--data', 'f.db'], 'give --redis or --data, not both'],
  [['--redis', URL, '--redis-prefix', 'a b'], '--redis-prefix takes 1 to 64 of'],
  [['--redis', URL, '--redis-prefix', 'a'.repeat(65)], '--redis-prefix takes 1 to 64 of'],
  [['--redis', URL, '--lease-ms', '500'], '--lease-ms takes an integer from 1000 to 600000'],
  [['--redis', URL, '--lease-ms', '600001'], '--lease-ms takes an integer from 1000 to 600000'],
  [['--redis', URL, '--on-producer-lost', 'retry'], '--on-producer-lost takes fail, rerun'],
  [['--redis-prefix', 'a'], '--redis-prefix goes with --redis'],
  [['--lease-ms', '5000'], '--lease-ms goes with --redis'],
  [['--on-producer-lost', 'rerun'], '--on-producer-lost goes with --redis'],
])('%j', async (args, message) => {
  expect(await refused(args)).toContain(message);
});

test('the URL comes from the environment too, which its error names', async () => {
  const variables = { SLUICE_REDIS_URL: 'http://user:secret@h' };
  expect(await refused([], variables)).toContain('SLUICE_REDIS_URL takes redis://');
  const both = { SLUICE_REDIS_URL: URL };
  expect(await refused(['--data', 'f.db'], both)).toContain('give --redis or --data, not both');
});
