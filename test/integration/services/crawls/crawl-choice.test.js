/** The choice of pages: sitemaps, patterns of URLs, and headers of requests. */
import { gzipSync } from 'node:zlib';
import { ManualClock, crawl } from '../../../../lib/index.js';
import {
  closeSites,
  hurried,
  items,
  linking,
  outcomes,
  redirect,
  site,
} from '../../../support/upstream/site.js';

afterEach(closeSites);

const xml = (body, headers = {}) => ({
  headers: { 'content-type': 'application/xml', ...headers },
  body,
});
const urlset = (...urls) =>
  `<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">${urls
    .map((url) => `<url><loc>${url}</loc><lastmod>2026-01-01</lastmod></url>`)
    .join('')}</urlset>`;
const index = (...urls) =>
  `<sitemapindex>${urls.map((url) => `<sitemap><loc>${url}</loc></sitemap>`).join('')}</sitemapindex>`;

/** A site whose pages may contain its origin, which is known once it listens. */
async function siteOf(pages) {
  let answers = {};
  const started = await site((path) => answers[path]);
  answers = pages(started.origin);
  return started;
}

const depths = (all) => Object.fromEntries(all.map(({ url, depth }) => [url, depth]));

describe('sitemaps', () => {
  test('their pages are fetched at depth 0, and their links at depth 1', async () => {
    const { crawl: start, requests } = await siteOf((origin) => ({
      '/robots.txt': { body: `Sitemap: ${origin}/a.xml\nSitemap: /b.txt` },
      '/a.xml': xml(urlset(`${origin}/one?x=1&amp;y=2`, '/two', 'https://else.test/')),
      '/b.txt': { body: `${origin}/three\nnot a url\n/four\n` },
      '/': 'home',
      '/one?x=1&y=2': linking('/deep'),
      '/two': 'two',
      '/three': 'three',
      '/deep': 'deep',
    }));
    const all = await items(start({ sitemaps: true }));
    expect(depths(all)).toEqual({
      '/': 0,
      '/one?x=1&y=2': 0,
      '/two': 0,
      '/three': 0,
      '/deep': 1,
    });
    expect(outcomes(all)['/deep']).toBe(200);
    expect(all.at(-1).url).toBe('/deep');
    expect(requests.map(({ path }) => path)).not.toContain('/sitemap.xml');
  });

  test('they are not read by default', async () => {
    const { crawl: start, paths } = await site({
      '/robots.txt': { body: 'Sitemap: /a.xml' },
      '/': 'home',
    });
    await items(start());
    expect(paths()).toEqual(['/robots.txt', '/']);
  });

  test('/sitemap.xml is tried if robots.txt names none, and need not exist', async () => {
    const found = await siteOf((origin) => ({
      '/sitemap.xml': xml(urlset(`${origin}/a`)),
      '/': 'home',
      '/a': 'a',
    }));
    expect(outcomes(await items(found.crawl({ sitemaps: true })))).toEqual({ '/': 200, '/a': 200 });
    const missing = await site({ '/': 'home' });
    const crawling = missing.crawl({ sitemaps: true });
    expect(outcomes(await items(crawling))).toEqual({ '/': 200 });
    expect(crawling.stats()).toMatchObject({ requests: 3, errors: 0, ended: 'complete' });
  });

  test('an index leads to further ones, compressed ones too, each once', async () => {
    const { crawl: start, counts } = await siteOf((origin) => ({
      '/robots.txt': { body: 'Sitemap: /index.xml' },
      '/index.xml': xml(index('/index.xml', '/1.xml.gz', '/2.xml', '/1.xml.gz')),
      '/1.xml.gz': {
        headers: { 'content-type': 'application/gzip' },
        body: gzipSync(urlset(`${origin}/a`)),
      },
      '/2.xml': xml(gzipSync(urlset(`${origin}/b`)), { 'content-encoding': 'gzip' }),
      '/': 'home',
      '/a': 'a',
      '/b': 'b',
    }));
    expect(outcomes(await items(start({ sitemaps: true })))).toEqual({
      '/': 200,
      '/a': 200,
      '/b': 200,
    });
    expect(counts()).toEqual({
      '/index.xml': 1,
      '/1.xml.gz': 1,
      '/2.xml': 1,
      '/': 1,
      '/a': 1,
      '/b': 1,
    });
  });

  test('an unreadable sitemap is reported', async () => {
    const clock = new ManualClock();
    const { crawl: start } = await site({
      '/robots.txt': {
        body: [
          'https://else.test/s.xml',
          '/gone.xml',
          '/broken.xml',
          '/bomb.gz',
          '/moved.xml',
          '/ok.xml',
        ]
          .map((url) => `Sitemap: ${url}\n`)
          .join(''),
      },
      '/': 'home',
      '/broken.xml': { status: 500 },
      '/bomb.gz': { body: gzipSync(Buffer.alloc(11 * 1024 * 1024, 'x')) },
      '/moved.xml': redirect('https://else.test/s.xml'),
      '/ok.xml': redirect('/good.xml'),
      '/good.xml': xml(urlset('/a')),
      '/a': 'a',
    });
    const all = await hurried(clock, items(start({ sitemaps: true, clock })));
    expect(outcomes(all)).toEqual({
      '/s.xml': 'off_site',
      '/gone.xml': 'http_status',
      '/broken.xml': 'http_status',
      '/bomb.gz': 'too_large',
      '/moved.xml': 'off_site',
      '/': 200,
      '/a': 200,
    });
  });

  test('a file that fails for a while is read with the further ones that it names', async () => {
    const clock = new ManualClock();
    let count = 0;
    const { crawl: start, counts } = await site({
      '/robots.txt': { body: 'Sitemap: /late.xml' },
      '/late.xml': (_req, res) => {
        count += 1;
        res.writeHead(count === 1 ? 500 : 200).end(index('/next.xml'));
      },
      '/next.xml': xml(urlset('/a')),
      '/': 'home',
      '/a': 'a',
    });
    const all = await hurried(clock, items(start({ sitemaps: true, clock })));
    expect(outcomes(all)).toEqual({ '/': 200, '/a': 200 });
    expect(counts()).toMatchObject({ '/late.xml': 2, '/next.xml': 1 });
  });

  test('their pages are under robots.txt, the limit and the patterns', async () => {
    const pages = Array.from({ length: 3000 }, (_, i) => `/page/${i}`);
    const { crawl: start } = await site((path) => {
      if (path === '/robots.txt') return { body: 'User-agent: *\nDisallow: /private\n' };
      if (path === '/sitemap.xml') return xml(urlset('/private', '/other', ...pages));
      return 'page';
    });
    const crawling = start({ sitemaps: true, limit: 5, exclude: ['/other'] });
    const all = await items(crawling);
    expect(all.filter(({ status }) => status === 200)).toHaveLength(5);
    expect(outcomes(all)['/private']).toBe('robots');
    expect(outcomes(all)['/other']).toBeUndefined();
    expect(crawling.stats().ended).toBe('limit');
  });

  test('a start page that robots.txt forbids does not keep them from being read', async () => {
    const { crawl: start } = await site({
      '/robots.txt': { body: 'User-agent: *\nDisallow: /$\nSitemap: /s.xml' },
      '/s.xml': xml(urlset('/a')),
      '/a': 'a',
    });
    expect(outcomes(await items(start({ sitemaps: true })))).toEqual({ '/': 'robots', '/a': 200 });
  });
});

describe('include and exclude', () => {
  const pages = {
    '/': linking('/blog/', '/blog/tag/x', '/shop/', '/moved', '/blog/old', '/caf\u00e9/1'),
    '/blog/': linking('/blog/1', '/blog/2.pdf', '/about'),
    '/blog/1': 'one',
    '/blog/tag/x': 'tag',
    '/shop/': 'shop',
    '/about': 'about',
    '/moved': 'moved',
    '/blog/old': redirect('/shop/'),
    '/caf%C3%A9/1': 'coffee',
  };

  test.each([
    [{ include: ['/blog/'], exclude: ['/blog/tag/', '*.pdf$'] }, '/ /blog/ /blog/1 /blog/old'],
    [{ include: ['/blog/*'], exclude: ['/blog'] }, '/'],
    [{ include: [] }, '/'],
    [{ exclude: ['/blog', '/caf%c3%a9'] }, '/ /shop/ /moved'],
    [{ include: ['/caf\u00e9/'] }, '/ /caf%C3%A9/1'],
    [{ include: ['*/1$'] }, '/ /caf%C3%A9/1'],
  ])('%j', async (options, fetched) => {
    const { crawl: start, counts } = await site(pages);
    const all = await items(start(options));
    expect(Object.keys(counts()).sort()).toEqual(fetched.split(' ').sort());
    // Excluded URLs are not reported, except for targets of redirects.
    expect(all.map(({ url }) => url).sort()).toEqual(fetched.split(' ').sort());
  });

  test('a redirect to an excluded page is reported, except for the start page', async () => {
    const { crawl: start } = await site(pages);
    const all = await items(start({ include: ['/blog/'] }));
    expect(all.find(({ url }) => url === '/blog/old')).toEqual({
      url: '/blog/old',
      skipped: 'excluded',
      location: '/shop/',
      depth: 1,
    });
    const moved = await site({
      '/': redirect('/en/'),
      '/en/': linking('/blog/1', '/x'),
      '/blog/1': 'one',
    });
    expect(outcomes(await items(moved.crawl({ include: ['/blog/'] })))).toEqual({
      '/en/': 200,
      '/blog/1': 200,
    });
  });
});

describe('headers', () => {
  test('are sent with every request, and replace the crawl’s own', async () => {
    const { crawl: start, requests } = await site({
      '/': linking('/old'),
      '/old': redirect('/new'),
      '/new': 'new',
      '/sitemap.xml': xml(urlset('/a')),
      '/a': 'a',
    });
    const headers = {
      Authorization: 'Bearer t',
      Cookie: 'a=b',
      'Accept-Language': 'de',
      accept: 'x/y',
    };
    await items(start({ headers, sitemaps: true }));
    expect(requests.map(({ path }) => path).sort()).toEqual([
      '/',
      '/a',
      '/new',
      '/old',
      '/robots.txt',
      '/sitemap.xml',
    ]);
    for (const request of requests) {
      expect(request.headers).toMatchObject({
        authorization: 'Bearer t',
        cookie: 'a=b',
        'accept-language': 'de',
        accept: 'x/y',
        'user-agent': expect.stringMatching(/^sluice\//),
      });
    }
  });
});

const many = (count, of) => Array.from({ length: count }, (_, i) => of(i));

test.each([
  [{ sitemaps: 1 }, TypeError, /sitemaps takes true or false/],
  [{ include: '/blog' }, TypeError, /include takes an array/],
  [{ include: [1] }, TypeError, /include\[0\] takes a string/],
  [{ include: ['/a', 'blog'] }, RangeError, /include\[1\] takes a pattern .* begins with/],
  [{ exclude: [`/${'x'.repeat(1024)}`] }, RangeError, /exclude\[0\] takes a pattern/],
  [{ exclude: many(101, String) }, RangeError, /exclude takes an array of at most 100/],
  [{ headers: ['a: b'] }, TypeError, /headers takes/],
  [{ headers: { a: 1 } }, TypeError, /headers\.a takes a string/],
  [{ headers: { 'a b': 'c' } }, RangeError, /headers takes names of HTTP headers/],
  [{ headers: { a: 'b\r\nc: d' } }, RangeError, /headers\.a takes a value/],
  [{ headers: { a: '\u20ac' } }, RangeError, /headers\.a takes a value/],
  [{ headers: { A: 'b', a: 'c' } }, RangeError, /headers\.a is given twice/],
  [{ headers: { Host: 'x' } }, RangeError, /headers\.Host cannot be set/],
  [{ headers: { 'accept-encoding': 'x' } }, RangeError, /headers\.accept-encoding cannot be set/],
  [{ headers: { 'User-Agent': 'x' } }, RangeError, /headers\.User-Agent cannot be set/],
  [{ headers: { a: 'x'.repeat(8192) } }, RangeError, /headers takes at most 8192 characters/],
  [{ headers: Object.fromEntries(many(65, (i) => [`h${i}`, ''])) }, RangeError, /at most 64/],
])('bad options are named: case %#', (options, kind, message) => {
  const start = () => crawl({ startUrl: 'http://site.test/', ...options });
  expect(start).toThrow(kind);
  expect(start).toThrow(message);
});
