/** What robots.txt allows: RFC 9309, by its own examples where it has some. */
import { parseRobots } from '../../../../lib/primitives/crawler/robots.js';
import { cpuMsOf } from '../../../support/cpu-time.js';

const url = 'http://site.test/robots.txt';
const allowed = (text, path, userAgent = 'sluice/1') =>
  parseRobots(url, text, userAgent).allows(`http://site.test${path}`);

test.each([
  ['nothing said', '', '/a', true],
  ['an empty rule', 'User-agent: *\nDisallow:', '/a', true],
  ['all forbidden', 'User-agent: *\nDisallow: /', '/a', false],
  ['a longer rule wins', 'User-agent: *\nDisallow: /a\nAllow: /a/b', '/a/b/c', true],
  ['the order does not matter', 'User-agent: *\nAllow: /a/b\nDisallow: /a', '/a/b/c', true],
  ['of equals the allowing one', 'User-agent: *\nDisallow: /a\nAllow: /a', '/a', true],
  ['an asterisk', 'User-agent: *\nDisallow: /*.gif$', '/x/y.gif', false],
  ['an end', 'User-agent: *\nDisallow: /*.gif$', '/x/y.gif?z', true],
  ['the query counts', 'User-agent: *\nDisallow: /*?s=', '/a?s=1', false],
  ['paths have cases', 'User-agent: *\nDisallow: /A', '/a', true],
  ['percent-encoding', 'User-agent: *\nDisallow: /%e3%83%84', '/%E3%83%84', false],
  ['names have none', 'USER-AGENT: SLUICE\nDISALLOW: /a', '/a', false],
  [
    'the group of the name',
    'User-agent: *\nDisallow: /\n\nUser-agent: sluice\nAllow: /',
    '/a',
    true,
  ],
  ['another name', 'User-agent: sluicebot\nDisallow: /', '/a', true],
  ['a group of two', 'User-agent: x\nUser-agent: sluice\nDisallow: /', '/a', false],
  ['comments', '# no\nUser-agent: * # all\nDisallow: /a # not this', '/a', false],
  ['a page in its place', '<!doctype html><p>Not found</p>', '/a', true],
])('%s', (_name, text, path, answer) => {
  expect(allowed(text, path)).toBe(answer);
});

test('the product is what stands before the slash', () => {
  const text = 'User-agent: my-bot\nDisallow: /';
  expect(allowed(text, '/', 'My-Bot/2.0 (+http://me.test)')).toBe(false);
  expect(allowed(text, '/', 'My-Bot')).toBe(false);
  expect(allowed(text, '/', 'Mozilla/5.0 (My-Bot)')).toBe(true);
});

test.each([
  ['Crawl-delay: 2', 2000],
  ['Crawl-delay: 0.5', 500],
  ['Crawl-delay: 86400', 30_000],
  ['Crawl-delay: -1', 0],
  ['Crawl-delay: soon', 0],
  ['', 0],
])('%j is a delay of %d ms', (line, delayMs) => {
  expect(parseRobots(url, `User-agent: *\n${line}`, 'sluice/1').delayMs).toBe(delayMs);
});

test('a URL whose check would take too long is refused, and no other', async () => {
  const line = `Disallow: /no${'*a'.repeat(100)}\n`;
  const text = `User-agent: *\n${line.repeat(100)}`;
  const cpuMs = await cpuMsOf(() => {
    expect(allowed(text, '/short')).toBe(true);
    expect(allowed(text, `/${'a'.repeat(2000)}`)).toBe(false);
    expect(allowed(text, `/no${'a'.repeat(150)}`)).toBe(false);
  });
  expect(cpuMs).toBeLessThan(20_000);
});
