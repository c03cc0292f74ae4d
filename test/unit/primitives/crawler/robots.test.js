/**
 * Rules of robots.txt. The expected values are from RFC 9309 (its tables and examples) and from the
 * test table that Google published with its parser, without the rows marked as specific to Google.
 */
import fc from 'fast-check';
import { parseRobots } from '../../../../lib/primitives/crawler/robots-rules.js';
import { cpuMsOf } from '../../../support/cpu-time.js';

const SITE = 'http://foo.bar';

async function allowed(text, path, userAgent = 'FooBot/1.0') {
  return (await parseRobots(text, userAgent)).allows(SITE + path);
}

test.each([
  ['nothing said', '', '/a', true],
  ['an empty rule', 'User-agent: *\nDisallow:', '/a', true],
  ['all forbidden', 'User-agent: *\nDisallow: /', '/a', false],
  ['a longer rule wins', 'User-agent: *\nDisallow: /a\nAllow: /a/b', '/a/b/c', true],
  ['the order does not matter', 'User-agent: *\nAllow: /a/b\nDisallow: /a', '/a/b/c', true],
  ['of equals the allowing one', 'User-agent: *\nDisallow: /a\nAllow: /a', '/a', true],
  ['equals with wildcards', 'User-agent: *\nDisallow: /a*\nAllow: /a*', '/ab', true],
  ['equals, one with a wildcard', 'User-agent: *\nDisallow: /a*\nAllow: /ab', '/ab', true],
  ['equals, one with an end', 'User-agent: *\nDisallow: /a$\nAllow: /*a', '/a', true],
  ['an asterisk', 'User-agent: *\nDisallow: /*.gif$', '/x/y.gif', false],
  ['an asterisk that starts', 'User-agent: *\nDisallow: *.gif', '/x/y.gif', false],
  ['an end', 'User-agent: *\nDisallow: /*.gif$', '/x/y.gif?z', true],
  ['an end that overlaps', 'User-agent: *\nDisallow: /*aba*aba$', '/aba', true],
  ['an asterisk before the end', 'User-agent: *\nDisallow: /a*$', '/a/b', false],
  ['a dollar inside', 'User-agent: *\nDisallow: /a$b', '/a$b', false],
  ['the query counts', 'User-agent: *\nDisallow: /*?s=', '/a?s=1', false],
  ['names have no case', 'USER-AGENT: FOOBOT\nDISALLOW: /a', '/a', false],
  ['a rule without a slash', 'User-agent: *\nDisallow: a', '/a', true],
  ['another name', 'User-agent: foobots\nDisallow: /', '/a', true],
  ['a name with a version', 'User-agent: foobot/2.0\nDisallow: /', '/a', false],
  ['comments', '# no\nUser-agent: * # all\nDisallow: /a # not this', '/a', false],
  ['a byte order mark', '\ufeffUser-agent: *\nDisallow: /a', '/a', false],
  ['carriage returns', 'User-agent: *\rDisallow: /a\r\nDisallow: /b', '/b', false],
  ['blanks', '\t User-agent \t:\t*\n  Disallow\t: /a\t \n', '/a', false],
  [
    'a last octet that looks like a blank',
    'User-agent: *\nDisallow: /voil\u00e0',
    '/voil%C3',
    true,
  ],
  ['a page in its place', '<!doctype html><p>Not found</p>', '/a', true],
])('%s', async (_name, text, path, answer) => {
  expect(await allowed(text, path)).toBe(answer);
});

const GROUPS = [
  'allow: /foo/bar/',
  '',
  'user-agent: FooBot',
  'disallow: /',
  'allow: /x/',
  'user-agent: BarBot',
  'disallow: /',
  'allow: /y/',
  '',
  '',
  'allow: /w/',
  'user-agent: BazBot',
  '',
  'user-agent: FooBot',
  'allow: /z/',
  'disallow: /',
].join('\n');

test.each([
  ['FooBot', '/x/b', true],
  ['FooBot', '/z/d', true],
  ['FooBot', '/y/c', false],
  ['BarBot', '/y/c', true],
  ['BarBot', '/w/a', true],
  ['BarBot', '/z/d', false],
  ['BazBot', '/z/d', true],
  ['FooBot', '/foo/bar/', false],
  ['BarBot', '/foo/bar/', false],
  ['BazBot', '/foo/bar/', false],
  ['QuxBot', '/foo/bar/', true],
])('groups: %s may fetch %s: %j', async (userAgent, path, answer) => {
  expect(await allowed(GROUPS, path, userAgent)).toBe(answer);
});

test.each([
  'Sitemap: https://foo.bar/sitemap',
  'Crawl-delay: 5',
  'Host: foo.bar',
  'Invalid-Unknown-Line: unknown',
  'no colon at all',
  '# a comment',
])('%j between two user agents does not end the group', async (line) => {
  const text = `User-agent: BarBot\n${line}\nUser-agent: *\nDisallow: /\n`;
  expect(await allowed(text, '/', 'FooBot')).toBe(false);
  expect(await allowed(text, '/', 'BarBot')).toBe(false);
});

test.each([
  ['user-agent: *\nallow: /\nuser-agent: FooBot\ndisallow: /', 'FooBot', false],
  ['user-agent: *\nallow: /\nuser-agent: FooBot\ndisallow: /', 'BarBot', true],
  ['user-agent: *\ndisallow: /\nuser-agent: FooBot', 'FooBot', true],
  ['user-agent: FooBot\nallow: /\nuser-agent: BarBot\ndisallow: /', 'QuxBot', true],
  ['user-agent: *\ndisallow: /\nuser-agent: Foo Bar\nallow: /x/\ndisallow: /', 'Foo', true],
  ['user-agent: *\ndisallow: /', 'Mozilla/5.0 (FooBot)', false],
  ['user-agent: my-bot\ndisallow: /', 'My-Bot/2.0 (+http://me.test)', false],
  ['user-agent: my-bot\ndisallow: /', 'Mozilla/5.0 (My-Bot)', true],
  ['user-agent:\ndisallow: /', '2Bot', true],
  ['user-agent: *\ndisallow: /', '2Bot', false],
])('the group of %j for %s allows: %j', async (text, userAgent, answer) => {
  expect(await allowed(text, '/x/y', userAgent)).toBe(answer);
});

/** Paths that a rule allows where all else is forbidden, and paths that it does not. */
test.each([
  [
    '/fish',
    '/fish /fish.html /fish/salmon.html /fishheads /fishheads/yummy.html /fish.html?id=anything',
    '/bar /Fish.asp /catfish /?id=fish',
  ],
  [
    '/fish*',
    '/fish /fish.html /fish/salmon.html /fishheads /fishheads/yummy.html /fish.html?id=anything',
    '/bar /Fish.bar /catfish /?id=fish',
  ],
  [
    '/fish/',
    '/fish/ /fish/salmon /fish/?salmon /fish/salmon.html /fish/?id=anything',
    '/bar /fish /fish.html /Fish/Salmon.html',
  ],
  [
    '/*.php',
    '/filename.php /folder/filename.php /folder/filename.php?parameters ' +
      '//folder/any.php.file.html /filename.php/ /index?f=filename.php/',
    '/bar /php/ /index?php /windows.PHP',
  ],
  [
    '/*.php$',
    '/filename.php /folder/filename.php',
    '/filename.php?parameters /filename.php/ /filename.php5 /php/ /filename?php /aaaphpaaa ' +
      '//windows.PHP',
  ],
  ['/fish*.php', '/fish.php /fishheads/catfish.php?parameters', '/bar /Fish.PHP'],
  [
    '/foo/bar?qux=taz&baz=http://foo.bar?tar&par',
    '/foo/bar?qux=taz&baz=http://foo.bar?tar&par',
    '/foo/bar',
  ],
  ['/$', '/', '/page.html'],
  // RFC 9309, section 2.2.3.
  ['/path/file-with-a-%2A.html', '/path/file-with-a-*.html', '/path/file-with-a-x.html'],
  ['/path/foo-%24', '/path/foo-$', '/path/foo-'],
])('the rule %s allows %s, not %s', async (rule, allows, not) => {
  const robots = await parseRobots(`User-agent: FooBot\nDisallow: /\nAllow: ${rule}`, 'FooBot');
  for (const path of allows.split(' ')) {
    expect([path, robots.allows(SITE + path)]).toEqual([path, true]);
  }
  for (const path of not.split(' ')) {
    expect([path, robots.allows(SITE + path)]).toEqual([path, false]);
  }
});

/** The table of RFC 9309, section 2.2.2, and its like: rule, path, whether they are equal. */
test.each([
  ['/foo/bar?baz=quz', '/foo/bar?baz=quz', true],
  ['/foo/bar?baz=https://foo.bar', '/foo/bar?baz=https%3A%2F%2Ffoo.bar', true],
  ['/foo/bar?baz=https%3A%2F%2Ffoo.bar', '/foo/bar?baz=https://foo.bar', true],
  ['/foo/bar/\u30c4', '/foo/bar/%E3%83%84', true],
  ['/foo/bar/\u30c4', '/foo/bar/\u30c4', true],
  ['/foo/bar/%E3%83%84', '/foo/bar/%E3%83%84', true],
  ['/foo/bar/%e3%83%84', '/foo/bar/%E3%83%84', true],
  ['/foo/bar/%62%61%7A', '/foo/bar/baz', true],
  ['/foo/bar/baz', '/foo/bar/%62%61%7a', true],
  ['/a%2Fb', '/a/b', false],
  ['/a/b', '/a%2Fb', false],
  ['/a%2fb', '/a%2Fb', true],
  ['/a%3Fb', '/a?b', false],
  ['/a:b@c', '/a%3Ab%40c', true],
  ['/{x}', '/%7Bx%7D', true],
  ['/a b', '/a%20b', true],
  ['/100%', '/100%25', true],
  ['/%2541', '/A', false],
  ['/*/x', '/a?b=c/x', true],
  ['/*\u00e9/x', '/a%C3%A9/x', true],
])('the rule %s holds for the path %s: %j', async (rule, path, equal) => {
  expect(await allowed(`User-agent: *\nDisallow: ${rule}`, path)).toBe(!equal);
});

test('paths are compared octet by octet, for any encoding of the file', async () => {
  const latin1 = Buffer.from('User-agent: *\nDisallow: /caf\u00e9', 'latin1');
  const robots = await parseRobots(latin1, 'FooBot');
  expect(robots.allows(`${SITE}/caf%E9`)).toBe(false);
  expect(robots.allows(`${SITE}/caf%C3%A9`)).toBe(true);
});

test.each([
  ['Crawl-delay: 2', 2000],
  ['Crawl-delay: 0.5', 500],
  ['Crawl-delay: 86400', 30_000],
  ['Crawl-delay: -1', 0],
  ['Crawl-delay: soon', 0],
  ['Crawl-delay:', 0],
  ['Disallow: /x\nUser-agent: BarBot\nCrawl-delay: 2', 0],
  ['Crawl-delay: 2\nUser-agent: BarBot', 2000],
  ['', 0],
])('%j is a delay of %d ms', async (line, delayMs) => {
  expect((await parseRobots(`User-agent: *\n${line}`, 'FooBot')).delayMs).toBe(delayMs);
});

test('sitemaps are those of the whole file, a hundred at most', async () => {
  const text =
    'Sitemap: http://foo.bar/1.xml\nUser-agent: x\nSITEMAP : /\u00e9.xml # two\nDisallow: /\n';
  expect((await parseRobots(text, 'FooBot')).sitemaps).toEqual([
    'http://foo.bar/1.xml',
    '/\u00e9.xml',
  ]);
  const many = Array.from({ length: 200 }, (_, i) => `Sitemap: /${i}\n`).join('');
  expect((await parseRobots(many, 'FooBot')).sitemaps).toHaveLength(100);
});

/** The rules of RFC 9309, without regard to speed. */
function slowAllows(rules, path) {
  const expression = (pattern) =>
    new RegExp(
      `^${pattern
        .replace(/[.+?^{}()|[\]\\]/g, '\\$&')
        .replace(/\$(?!$)/g, '\\$')
        .replace(/\*/g, '.*')}`,
    );
  const matching = rules.filter(({ pattern }) => expression(pattern).test(path));
  const longest = Math.max(...matching.map(({ pattern }) => pattern.length));
  const decisive = matching.filter(({ pattern }) => pattern.length === longest);
  return decisive.length === 0 || decisive.some(({ allow }) => allow);
}

test('any rules: the longest match decides, and of equals the one that allows', async () => {
  const part = fc.constantFrom('a', 'b', 'ab', '/', '.');
  const path = fc.array(part, { maxLength: 8 }).map((parts) => `/${parts.join('')}`);
  const wild = fc.array(fc.oneof({ arbitrary: part, weight: 3 }, fc.constant('*')), {
    maxLength: 6,
  });
  const pattern = fc
    .tuple(fc.constantFrom('/', '*'), wild, fc.constantFrom('', '', '$'))
    .map(([first, parts, end]) => (first + parts.join('') + end).replace(/\*+/g, '*'));
  const rules = fc.array(fc.record({ pattern, allow: fc.boolean() }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(
      rules,
      fc.array(path, { minLength: 1, maxLength: 8 }),
      async (given, paths) => {
        const lines = given.map((rule) => `${rule.allow ? 'Allow' : 'Disallow'}: ${rule.pattern}`);
        const robots = await parseRobots(['User-agent: *', ...lines].join('\n'), 'FooBot');
        for (const one of paths) {
          // The URL standard resolves dot segments before any rule is looked at.
          const { pathname } = new URL(SITE + one);
          expect([one, robots.allows(SITE + one)]).toEqual([one, slowAllows(given, pathname)]);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('a URL whose check would take too long is refused, and no other', async () => {
  const line = `Disallow: /no${'*a'.repeat(100)}\n`;
  const robots = await parseRobots(
    `User-agent: *\n${`Disallow: /*${'a'.repeat(900)}b\n`.repeat(500)}${line.repeat(50)}`,
    'FooBot',
  );
  const cpuMs = await cpuMsOf(() => {
    expect(robots.allows(`${SITE}/short`)).toBe(true);
    expect(robots.allows(`${SITE}/${'a'.repeat(2000)}`)).toBe(false);
    expect(robots.allows(`${SITE}/no${'a'.repeat(150)}`)).toBe(false);
  });
  expect(cpuMs).toBeLessThan(5000);
});

const SIZE = 500 * 1024;
const numbered = (count, line) => Array.from({ length: count }, (_, i) => line(i)).join('\n');

test.each([
  [
    'user agents times rules',
    `${numbered(16_000, (i) => `User-agent: a${i}`)}\nUser-agent: *\nUser-agent: FooBot\n` +
      numbered(16_000, (i) => `Disallow: /${i}`),
  ],
  ['rules with wildcards', `User-agent: *\n${numbered(30_000, (i) => `Allow:/${i}*a*b`)}`],
  [
    'rules that begin with each other',
    `User-agent: *\n${numbered(1000, (i) => `Allow:/${'a'.repeat(i)}`)}`,
  ],
  ['one line of blanks', `${' '.repeat(SIZE / 2)}x:${' '.repeat(SIZE / 2)}y`],
  ['one line of asterisks', `User-agent: *\nDisallow: /${'*'.repeat(SIZE)}x`],
  ['one long path of escapes', `User-agent: *\nDisallow: /${'%61\u00e9'.repeat(SIZE / 5)}`],
  ['empty lines', '\r\n'.repeat(SIZE / 2)],
])('a hostile file of 500 KiB takes no longer than a long one: %s', async (_name, text) => {
  const cpuMs = await cpuMsOf(async () => {
    const robots = await parseRobots(Buffer.from(text).subarray(0, SIZE), 'FooBot');
    for (let i = 0; i < 20; i += 1) robots.allows(`${SITE}/${'a'.repeat(2000)}${i}`);
  });
  // User agents times rules are 256 million pairs: tens of seconds.
  expect(cpuMs).toBeLessThan(5000);
});
