/** `sluice logs` as a user runs it: files, gzip, standard input, and files that other processes write. */
import { appendFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { file, killAll, removeFiles, sluice } from '../../support/crash/cli.js';
import { until } from '../../support/until.js';

afterEach(killAll);
afterAll(removeFiles);

function logs(args, input) {
  const process = sluice('logs', ...args);
  if (input !== undefined) process.child.stdin.end(input);
  return process;
}

const LOG =
  '2026-11-21T10:00:00Z ERROR connect to 10.0.0.1 failed\n' +
  '2026-11-21T10:00:01Z INFO fine\n' +
  '2026-11-21T10:09:00Z ERROR connect to 10.0.0.2 failed\n' +
  '2026-11-21T10:09:01Z FATAL bell \x07 rings\n    at x\n';

const TOP = [
  {
    template: 'connect to <*> failed',
    count: 2,
    first_at: Date.UTC(2026, 10, 21, 10) / 1000,
    last_at: Date.UTC(2026, 10, 21, 10, 9) / 1000,
    sample: 'connect to 10.0.0.1 failed',
  },
  expect.objectContaining({ count: 1, sample: 'bell \x07 rings' }),
];

test('prints a table, which the terminal need not obey', async () => {
  const { code, stdout, stderr } = await logs([await file('a.log', LOG)]).exited;
  expect([code, stderr]).toEqual([0, '']);
  const [head, columns, first, second, ...rest] = stdout.split('\n');
  expect(head.replace(/in [\d.]+ s/, '')).toBe(
    `${LOG.length} bytes : 5 lines, 4 events, 3 errors, 0 malformed lines, 0 events cut`,
  );
  expect(columns).toBe('COUNT  FIRST (UTC)          LAST (UTC)           ERROR');
  expect(first).toBe('    2  2026-11-21 10:00:00  2026-11-21 10:09:00  connect to <*> failed');
  expect(second).toBe('    1  2026-11-21 10:09:01  2026-11-21 10:09:01  bell   rings');
  expect(rest).toEqual(['']);
});

test('reads gzip, several members, and standard input; --json prints all fields', async () => {
  const cut = LOG.indexOf('INFO');
  const zipped = Buffer.concat([LOG.slice(0, cut), LOG.slice(cut)].map((part) => gzipSync(part)));
  const path = await file('b.log.gz', zipped);
  for (const [args, input] of [
    [[path, '--json']],
    [['-', '--json'], LOG],
    [['-', '--json'], zipped],
  ]) {
    const { code, stdout } = await logs(args, input).exited;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      files: [args[0]],
      bytes: LOG.length,
      lines: 5,
      events: 4,
      errors: 3,
      malformed: 0,
      truncated: 0,
      top: TOP,
    });
  }
});

test('--window ends at the newest line, --top limits the rows', async () => {
  const windowed = await logs(['-', '--json', '--window', '5m'], LOG).exited;
  expect(JSON.parse(windowed.stdout).top.map(({ count }) => count)).toEqual([1, 1]);
  const one = await logs(['-', '--json', '--top', '1'], LOG).exited;
  expect(JSON.parse(one.stdout).top).toEqual(TOP.slice(0, 1));
});

test('an unreadable file is named, and the rest is read', async () => {
  const cut = await file('cut.gz', gzipSync(LOG.repeat(100)).subarray(0, 60));
  const { code, stdout, stderr } = await logs(['none.log', cut, '-', '--json'], LOG).exited;
  expect(code).toBe(1);
  expect(stderr).toMatch(/none\.log cannot be read \(ENOENT\)/);
  expect(stderr).toMatch(/cut\.gz cannot be read \(broken gzip/);
  expect(JSON.parse(stdout).top[0].count).toBeGreaterThanOrEqual(2);
});

test.each([
  [[], 'logs takes one file or more'],
  [['a.log', '--window', '5x'], '--window takes a number with ms, s, m, h or d'],
  [['-', '--follow'], '--follow takes files'],
])('%p is a mistake', async (args, message) => {
  const { code, stderr } = await logs(args).exited;
  expect(code).toBe(2);
  expect(stderr).toContain(message);
});

test('--follow waits for a file, and survives rotation and truncation', async () => {
  const path = await file('live.log', '');
  await rm(path);
  const { child, output, exited } = logs([path, '--follow']);
  const seen = (text) => until(() => output.stdout.includes(text), text, 20_000);
  await writeFile(path, 'INFO a\nERROR first\n');
  await seen('live.log: first');
  await appendFile(path, 'ERROR half');
  await appendFile(path, ' second\n');
  await seen('live.log: half second');
  // The writer still has the renamed file open.
  await appendFile(path, 'ERROR third\n');
  await rename(path, `${path}.1`);
  await appendFile(`${path}.1`, 'ERROR fourth\n');
  await writeFile(path, 'ERROR fifth\n');
  await seen('live.log: third');
  await seen('live.log: fourth');
  await seen('live.log: fifth');
  await truncate(path);
  await appendFile(path, 'ERROR 6\n');
  await seen('live.log: 6');
  child.kill('SIGINT');
  const { code, stdout } = await exited;
  expect(code).toBe(0);
  expect(stdout).toMatch(/: 7 lines, 7 events, 6 errors/);
  for (const word of ['first', 'half second', 'third', 'fourth', 'fifth']) {
    expect(stdout.split(`live.log: ${word}\n`)).toHaveLength(2);
  }
});
