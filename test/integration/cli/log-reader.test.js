/** A stderr that is not read: the process continues, and later reports the dropped lines. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { killAll, serve } from '../../support/crash/cli.js';
import { until } from '../../support/until.js';

afterEach(killAll);

test('a server with an unread stderr continues its jobs', async () => {
  const { child, submit, metric, exited } = await serve(
    '--token-interval-ms',
    '0',
    '--incoming-capacity',
    '800',
  );
  child.stderr.pause();
  // Some 300 lines fill the buffer of a pipe.
  for (let i = 0; i < 40; i += 1) {
    const prompts = Array.from({ length: 20 }, (_, j) => submit({ prompt: `${i} ${j}` }));
    for (const { status } of await Promise.all(prompts)) expect(status).toBe(201);
  }
  const ended = () => metric('sluice_jobs_total{status="completed"}');
  await until(async () => (await ended()) === 800, 'the end of 800 jobs');
  child.stderr.resume();
  child.kill('SIGTERM');
  expect((await exited).code).toBe(0);
}, 120_000);

const log = fileURLToPath(new URL('../../../lib/internal/util/logger.js', import.meta.url));
const script = `
  import { createLogger, droppedLogLines } from ${JSON.stringify(log)};
  const logger = createLogger();
  for (let i = 0; i < 20_000; i += 1) logger.info({ i, text: 'x'.repeat(100) }, 'line');
  process.stdout.write(droppedLogLines() + '\\n');
  process.stdin.once('data', () => {
    logger.info({}, 'last');
    setImmediate(() => process.stdin.unref());
  });
`;

test('lines beyond 1 MiB that wait are dropped and counted', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script]);
  let stderr = '';
  child.stderr.setEncoding('utf8');
  const [dropped] = await once(child.stdout.setEncoding('utf8'), 'data');
  expect(+dropped).toBeGreaterThan(1000);
  child.stderr.on('data', (text) => (stderr += text));
  await until(() => stderr.length > 1_000_000, 'what had waited');
  child.stdin.end('go on');
  await once(child, 'close');
  const lines = stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const reports = lines.filter((line) => line.dropped !== undefined);
  expect(reports.map((line) => line.dropped)).toEqual([+dropped]);
  expect(lines.filter(({ msg }) => msg === 'line')).toHaveLength(20_000 - dropped);
  expect(lines.some(({ msg }) => msg === 'last')).toBe(true);
});
