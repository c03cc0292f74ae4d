/** One spelling for each page, and which links belong to the site. */
import fc from 'fast-check';
import { canonical, resolveLink } from '../../../../lib/primitives/crawler/url.js';

const origin = 'http://site.test';

test.each([
  ['http://site.test', 'http://site.test/'],
  ['HTTP://SITE.test:80/a', 'http://site.test/a'],
  ['https://site.test:443/', 'https://site.test/'],
  ['http://site.test:8080/', 'http://site.test:8080/'],
  ['http://site.test/a#b', 'http://site.test/a'],
  ['http://site.test/a?', 'http://site.test/a'],
  ['http://site.test/a?#', 'http://site.test/a'],
  ['http://site.test/a?b=1&a=2', 'http://site.test/a?b=1&a=2'],
  ['http://site.test/x/.././a/', 'http://site.test/a/'],
  ['http://site.test/%c3%a9?q=%e2', 'http://site.test/%C3%A9?q=%E2'],
  ['http://site.test/é', 'http://site.test/%C3%A9'],
  ['http://2130706433/', 'http://127.0.0.1/'],
  ['http://bücher.test/', 'http://xn--bcher-kva.test/'],
])('%s is spelled %s', (url, spelled) => {
  expect(canonical(new URL(url))).toBe(spelled);
});

test.each([
  ['/a', 'http://site.test/a'],
  ['b?c', 'http://site.test/dir/b?c'],
  ['?q', 'http://site.test/dir/page?q'],
  ['#top', 'http://site.test/dir/page'],
  ['', 'http://site.test/dir/page'],
  ['//site.test/x', 'http://site.test/x'],
  ['\\x\\y', 'http://site.test/x/y'],
  [' \n/a\t ', 'http://site.test/a'],
  ['http://site.test:80/a', 'http://site.test/a'],
])('the link %j leads to %s', (href, url) => {
  expect(resolveLink(href, `${origin}/dir/page`, origin)).toEqual({ url });
});

test.each([
  ['https://site.test/', 'off_site'],
  ['http://site.test:81/', 'off_site'],
  ['http://site.test.evil/', 'off_site'],
  ['http://site.test./', 'off_site'],
  ['http://www.site.test/', 'off_site'],
  ['//evil.test/', 'off_site'],
  ['/\\evil.test/', 'off_site'],
  ['http://site.test@evil.test/', 'off_site'],
  ['http://me@site.test/', 'off_site'],
  ['http://:secret@site.test/', 'off_site'],
  ['mailto:me@site.test', 'other'],
  ['java\nscript:alert(1)', 'other'],
  ['blob:http://site.test/1', 'other'],
  ['http://', 'other'],
  [`/${'x'.repeat(2048)}`, 'too_long'],
])('the link %j is not followed: %s', (href, refused) => {
  expect(resolveLink(href, `${origin}/dir/page`, origin)).toEqual({ refused });
});

test('a normalized URL is its own normal form, and every followed URL is on the site', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.webUrl({ withQueryParameters: true, withFragments: true }), fc.string()),
      (href) => {
        const link = resolveLink(href, `${origin}/dir/page`, origin);
        if ('refused' in link) return;
        const url = new URL(link.url);
        expect(url.origin).toBe(origin);
        expect(url.username + url.password + url.hash).toBe('');
        expect(resolveLink(link.url, 'http://else.test/', origin)).toEqual(link);
        expect(resolveLink(`${link.url}#x`, 'http://else.test/', origin)).toEqual(link);
      },
    ),
    { numRuns: 500 },
  );
});
