/** `sluice crawl` as a user runs it. */
import { readFile } from 'node:fs/promises';
import { file, killAll, removeFiles, serve, sluice } from '../support/crash/cli.js';
import { linking, startSite } from '../support/upstream/site.js';
import { until } from '../support/until.js';

let site;
beforeAll(async () => {
  site = await startSite({
    '/': linking('/a', '/missing', '/paper.pdf'),
    '/a': '<title>A</title>text of a',
    '/paper.pdf': { headers: { 'content-type': 'application/pdf' } },
    '/good': linking('/a'),
    '/wide': linking(...Array.from({ length: 200 }, (_, i) => `/hanging/${i}`)),
    ...Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`/hanging/${i}`, () => {}])),
  });
});
afterAll(() => site.close());
afterEach(killAll);
afterAll(removeFiles);

const run = (path, ...args) =>
  sluice(
    'crawl',
    `${site.origin}${path}`,
    ...['--allow-private-addresses', '--per-host-per-second', '500', ...args],
  );
const parse = (text) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

test('a JSON line for each URL; the exit code reports a failure', async () => {
  const { code, stdout, stderr } = await run('/').exited;
  expect(stderr).toBe('');
  const [first, ...rest] = parse(stdout);
  expect(first).toMatchObject({ url: `${site.origin}/`, status: 200, depth: 0 });
  expect(rest.sort((a, b) => (a.url < b.url ? -1 : 1))).toEqual([
    { url: `${site.origin}/a`, status: 200, title: 'A', text: 'text of a', depth: 1 },
    {
      url: `${site.origin}/missing`,
      error: { code: 'http_status', message: 'The server answered 404', status: 404 },
      depth: 1,
    },
    {
      url: `${site.origin}/paper.pdf`,
      skipped: 'content_type',
      depth: 1,
      contentType: 'application/pdf',
    },
  ]);
  expect(code).toBe(1);
});

test('into a file, with the given limits', async () => {
  const out = await file('pages.jsonl', '');
  const { code, stdout } = await run('/good', '--output', out, '--limit', '1').exited;
  expect(code).toBe(0);
  expect(stdout).toBe('');
  expect(parse(await readFile(out, 'utf8'))).toHaveLength(1);
});

test('options may come from a file', async () => {
  const config = await file('crawl.json', '{"depth": 0, "perHostPerSecond": 99.5}');
  const { code, stdout } = await run('/good', '--config', config).exited;
  expect(code).toBe(0);
  expect(parse(stdout)).toHaveLength(1);
});

test('sitemaps, patterns and headers', async () => {
  const choose = ['--include', '/a', '--include', '/wide', '--exclude', '/w*e$'];
  const headers = ['--header', 'X-One: 1', '--header', 'x-two:two: 2'];
  const { code, stdout } = await run('/good', '--sitemaps', ...choose, ...headers).exited;
  expect(code).toBe(0);
  const paths = parse(stdout).map(({ url }) => url.slice(site.origin.length));
  expect(paths).toEqual(['/good', '/a']);
  const { path, headers: sent } = site.requests.at(-1);
  expect([path, sent['x-one'], sent['x-two']]).toEqual(['/a', '1', 'two: 2']);
  expect(site.paths()).toContain('/sitemap.xml');
  const config = await file('choice.json', '{"exclude": ["/a"]}');
  expect(parse((await run('/good', '--config', config).exited).stdout)).toHaveLength(1);
});

test('without leave, this machine is not crawled', async () => {
  const { code, stdout } = await sluice('crawl', `${site.origin}/`).exited;
  expect(parse(stdout)[0].error.code).toBe('address_not_allowed');
  expect(code).toBe(1);
});

test('sluice serve crawls this machine if a flag or its file allows it', async () => {
  const config = await file('serve.json', '{"allowPrivateAddresses": true}');
  const codes = [];
  for (const args of [[], ['--allow-private-addresses'], ['--config', config]]) {
    const { post, read } = await serve(...args);
    const { body } = await post('/v1/crawls', { start_url: `${site.origin}/good`, limit: 1 });
    const { events } = await read(body.stream_url);
    codes.push(events.map(({ type, data }) => data.error?.code ?? type));
  }
  expect(codes).toEqual([
    ['address_not_allowed', 'crawl_complete'],
    ['page', 'crawl_complete'],
    ['page', 'crawl_complete'],
  ]);
});

test.each(['SIGINT', 'SIGTERM'])('%s ends it, with its sockets', async (signal) => {
  const { child, output, exited } = run('/wide');
  await until(() => output.stdout.includes('\n'), 'the first page');
  child.kill(signal);
  expect((await exited).code).toBe(130);
  await site.allClosed();
});

test('a closed pipe ends it', async () => {
  const { child, exited } = run('/');
  child.stdout.destroy();
  const { code, stderr } = await exited;
  expect(code).toBe(1);
  expect(stderr).toMatch(/^sluice: .*EPIPE.*\n$/);
});

test.each([
  [[], /crawl takes one URL/],
  [['nowhere'], /URL takes an http or https URL/],
  [['ftp://site.test/'], /URL takes an http or https URL/],
  [['http://me:pw@site.test/'], /without a user name/],
  [['http://a.test/', 'http://b.test/'], /crawl takes one URL/],
  [['http://a.test/', '--include', 'a'], /--include takes a pattern/],
  [['http://a.test/', '--exclude', ''], /--exclude takes a non-empty string/],
  [['http://a.test/', '--header', 'none'], /--header takes "NAME: VALUE"/],
  [['http://a.test/', '--header', 'host: x'], /--header host cannot be set/],
  [['http://a.test/', '--header', 'a: 1', '--header', 'a: 2'], /--header a is given twice/],
  [['http://a.test/', '--limit', '0'], /--limit takes an integer from 1 to 10000/],
  [['http://a.test/', '--per-host-per-second', '0'], /--per-host-per-second takes a number from/],
  [['http://a.test/', '--per-host-per-second', '1e3'], /--per-host-per-second takes a number from/],
  [['http://a.test/', '--user-agent', 'ä'], /--user-agent takes/],
  [['http://a.test/', '--allow-private-addresses=yes'], /allow-private-addresses/],
])('the mistake of crawl %j is one line and exit code 2', async (args, message) => {
  const { code, stdout, stderr } = await sluice('crawl', ...args).exited;
  expect(stderr).toMatch(message);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(stdout).toBe('');
  expect(code).toBe(2);
});

test('help names every flag', async () => {
  const { code, stdout } = await sluice('crawl', '--help').exited;
  expect(code).toBe(0);
  const flags =
    'limit depth concurrency per-host-per-second timeout-ms allow-private-addresses output';
  for (const flag of flags.split(' ')) expect(stdout).toContain(`--${flag}`);
});
