/**
 * Logs that real programs write during the tests. The expected counts were made by hand: from the program's
 * actions, and from the lines that its documentation lists for them.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../support/free-port.js';
import { LogParser } from '../../../lib/index.js';
import { until } from '../../support/until.js';
import { which } from '../../../scripts/lib/run.mjs';

let folder;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-logs-'));
});
afterAll(() => rm(folder, { recursive: true }));

const testWith = (name) => (which(name) ? test : test.skip);

/** The output of a program that ends by itself, on stderr or stdout. */
function outputOf(program, args) {
  const { stdout, stderr } = spawnSync(program, args, { cwd: folder, encoding: 'utf8' });
  return stdout + stderr;
}

function parse(text) {
  const parser = new LogParser();
  const events = [...parser.push(text), ...parser.end()];
  return { parser, events };
}

test('a crash of Node is one event', async () => {
  await writeFile(
    join(folder, 'crash.cjs'),
    `console.log('ready');
     function f() {
       const cause = new TypeError('inner');
       throw Object.assign(new Error('boom', { cause }), { code: 'E_X', nested: { a: [1] } });
     }
     setTimeout(f, 1);`,
  );
  const text = outputOf(process.execPath, ['crash.cjs']);
  const { events, parser } = parse(text);
  expect(events.map(({ level }) => level)).toEqual([null, 'error']);
  expect(events[0].message).toBe('ready');
  const { lines } = events[1];
  expect(lines[0]).toMatch(/crash\.cjs:4$/);
  expect(lines.join('\n')).toContain('[cause]: TypeError: inner');
  expect(lines.at(-1)).toBe(`Node.js ${process.version}`);
  // All but the line of stdout is the crash; the blank line at its end belongs to no event.
  expect(lines.length).toBe(text.trimEnd().split('\n').length - 1);
  expect(parser.topErrors()).toMatchObject([{ template: 'Error: boom', count: 1 }]);
});

test('a module that is not there, twice, is one template', () => {
  const text = ['alpha', 'beta']
    .map((name) => outputOf(process.execPath, ['-e', `require('./${name}-missing')`]))
    .join('');
  const { events, parser } = parse(text);
  expect(events.map(({ level }) => level)).toEqual(['error', 'error']);
  expect(parser.topErrors()).toMatchObject([
    { template: 'Error: Cannot find module <*>', count: 2 },
  ]);
});

testWith('python3')('chained tracebacks of Python are one event, log records among them', () => {
  const program = `
import logging, sys
logging.basicConfig(format='%(asctime)s %(levelname)s %(name)s: %(message)s')
log = logging.getLogger('app')
log.warning('starting')
def f():
    try:
        {}['key']
    except KeyError:
        raise ValueError('bad value')
try:
    f()
except ValueError:
    log.exception('caught')
print('between', file=sys.stderr, flush=True)
f()
`;
  const { events, parser } = parse(outputOf('python3', ['-c', program]));
  expect(events.map(({ level }) => level)).toEqual(['warn', 'error', null, 'error']);
  const [warning, caught, between, uncaught] = events;
  expect(warning).toMatchObject({ message: 'app: starting', timestamp: expect.any(Number) });
  expect(caught.message).toMatch(/^app: caught\nTraceback/);
  expect(caught.lines.at(-1)).toBe('ValueError: bad value');
  expect(between.lines).toEqual(['between']);
  expect(uncaught.lines[0]).toBe('Traceback (most recent call last):');
  expect(uncaught.lines.filter((line) => line.startsWith('Traceback'))).toHaveLength(2);
  expect(uncaught.lines.at(-1)).toBe('ValueError: bad value');
  expect(parser.topErrors().map(({ template }) => template)).toEqual([
    'ValueError: bad value',
    'app: caught: ValueError: bad value',
  ]);
});

testWith('python3')('an exception group of Python is one event', () => {
  const program = `
import sys
if sys.version_info < (3, 11): sys.exit(3)
print('before', flush=True)
try:
    raise ExceptionGroup('eg', [ValueError(1), ExceptionGroup('inner', [TypeError('2')])])
except* ValueError as error:
    try:
        raise KeyError('k') from error
    except* KeyError as group:
        print('between', flush=True)
        raise RuntimeError('last') from group
`;
  const text = outputOf('python3', ['-c', program]);
  if (text === '') return;
  const { events } = parse(`${text}after\n`);
  expect(events.map(({ level }) => level)).toEqual([null, null, 'error', null]);
  expect(events[2].lines.length).toBe(text.trimEnd().split('\n').length - 2);
  expect(events[3].lines).toEqual(['after']);
});

testWith('nginx')(
  'nginx with an upstream that refuses: an error and an access line a request',
  async () => {
    const [port, refused] = [await freePort(), await freePort()];
    const at = join(folder, 'nginx');
    await mkdir(at);
    await writeFile(
      join(at, 'nginx.conf'),
      `daemon off; master_process off; pid ${at}/pid; error_log ${at}/error.log;
     events {}
     http {
       access_log ${at}/access.log;
       client_body_temp_path ${at}/a; proxy_temp_path ${at}/b; fastcgi_temp_path ${at}/c;
       uwsgi_temp_path ${at}/d; scgi_temp_path ${at}/e;
       server {
         listen 127.0.0.1:${port};
         location /up { proxy_pass http://127.0.0.1:${refused}; }
         location /ok { return 200; }
         location / { return 404; }
       }
     }`,
    );
    const nginx = spawn(which('nginx'), ['-p', at, '-c', join(at, 'nginx.conf')], {
      stdio: 'ignore',
    });
    const status = (path) =>
      new Promise((resolve) => {
        const request = http.get({ port, path, host: '127.0.0.1' }, (response) => {
          response.resume().once('end', () => resolve(response.statusCode));
        });
        request.once('error', () => resolve(0));
      });
    await until(async () => (await status('/ok')) === 200, 'nginx to serve');
    for (const path of ['/up/1', '/up/2', '/up/3']) expect(await status(path)).toBe(502);
    expect(await status('/none')).toBe(404);
    const ended = once(nginx, 'exit');
    nginx.kill('SIGQUIT');
    await ended;

    const parser = new LogParser();
    const errors = parser.push(await readFile(join(at, 'error.log')), { source: 'error.log' });
    expect(errors.filter(({ level }) => level === 'error')).toHaveLength(3);
    const access = parser.push(await readFile(join(at, 'access.log')), { source: 'access.log' });
    expect(access.map(({ level }) => level)).toEqual(['info', 'error', 'error', 'error', 'warn']);
    expect(access[1].message).toMatch(/^"GET \/up\/1 HTTP\/1\.1" 502 /);
    for (const { timestamp } of access) {
      expect(Math.abs(timestamp - Date.now())).toBeLessThan(60_000);
    }
    const top = parser.topErrors();
    expect(top.map(({ count }) => count)).toEqual([3, 3]);
    expect(top.map(({ template }) => template)).toContainEqual(
      expect.stringMatching(
        /^connect\(\) failed \(<\*>: Connection refused\) while connecting to upstream/,
      ),
    );
  },
);

testWith('redis-server')('redis: an event a line, and a bad configuration is one', async () => {
  const redis = spawn('redis-server', [
    ...['--port', '0', '--unixsocket', join(folder, 'redis.sock'), '--save', ''],
    ...['--dir', folder],
  ]);
  let text = '';
  redis.stdout.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  await until(() => /ready to accept|accept connections/i.test(text), 'redis to be ready');
  const closed = once(redis, 'close');
  redis.kill('SIGTERM');
  await closed;
  const { events, parser } = parse(text);
  // Its banner, if printed, has neither a date nor a role.
  const dated = text.split('\n').filter((line) => /^\d+:([A-Z]|signal-handler) /.test(line));
  const known = events.filter(({ timestamp }) => timestamp !== null);
  expect(known).toHaveLength(dated.length);
  expect(known.at(-1).message).toMatch(/^Redis is now ready to exit/);
  expect(known.some(({ message }) => /^Received SIGTERM/.test(message))).toBe(true);
  expect(parser.stats().errors).toBe(0);

  await writeFile(join(folder, 'bad.conf'), 'bogus 1\n');
  const bad = parse(outputOf('redis-server', ['bad.conf']));
  const fatal = bad.events.filter(({ level }) => level === 'fatal');
  expect(fatal).toHaveLength(1);
  expect(fatal[0].lines).toHaveLength(4);
  expect(fatal[0].lines.slice(1)).toEqual([
    'Reading the configuration file, at line 1',
    ">>> 'bogus 1'",
    'Bad directive or wrong number of arguments',
  ]);
});
