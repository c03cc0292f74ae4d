/** Pages and sitemaps, read on the main thread and in the worker; hostile ones do not block either. */
import { readPage, readSitemap } from '../../../../lib/primitives/crawler/page-reader.js';
import { cpuMsOf } from '../../../support/cpu-time.js';

const source = (text, more = {}) => ({
  bytes: Buffer.from(text),
  type: 'text/html',
  charset: 'utf-8',
  url: 'http://site.test/dir/page',
  origin: 'http://site.test',
  ...more,
});

/** Makes a page too long for the main thread. */
const LONG = `<!--${'x'.repeat(100_000)}-->`;

test.each([
  ['on the main thread', ''],
  ['in the worker', LONG],
])('a page %s', async (_where, padding) => {
  const html = `<title>T</title><p>a<p>\u00e9<a href=b>c</a><a href=b#x>d</a><a href=http://else.test>e</a>`;
  expect(await readPage(source(html + padding))).toEqual({
    title: 'T',
    text: 'a\n\u00e9cde',
    links: ['http://site.test/dir/b'],
  });
  expect(await readPage(source(`<base href=/x/>${html}${padding}`))).toMatchObject({
    links: ['http://site.test/x/b'],
  });
  expect(
    await readPage(source(`<meta name=robots content=nofollow>${html}${padding}`)),
  ).toMatchObject({ links: [] });
  expect(
    await readPage(source(`a\r\nb${' '.repeat(padding.length)}`, { type: 'text/plain' })),
  ).toEqual({ title: '', text: 'a\nb', links: [] });
  expect(await readPage(source(`\0${padding}`, { type: '' }))).toBeUndefined();
});

test.each([
  [
    'XML',
    '<urlset><url><loc> /a </loc></url><url><loc><![CDATA[/b?c&d]]></loc></url></urlset>',
    '/a /b?c&d',
  ],
  ['with a byte order mark', '\ufeff\n<?xml version="1.0"?><urlset><url><loc>/a</loc></url>', '/a'],
  ['each once', '<url><loc>/a</loc></url><url><loc>/a#x</loc></url>', '/a'],
  [
    'of pictures',
    '<url><loc>/a</loc><image:image><image:loc>/b</image:loc></image:image></url>',
    '/a',
  ],
  [
    'elsewhere',
    '<url><loc>https://site.test/a</loc></url><url><loc>//site.test/b</loc></url>',
    '/b',
  ],
  ['text', 'http://site.test/a\r\n\r\n  http://site.test/b\n# no\n/c', '/a /b'],
  ['no locations', '<html><body>Not found</body></html>', ''],
])('a sitemap: %s', async (_name, text, paths) => {
  for (const padding of ['', `\n${' '.repeat(100_000)}`]) {
    const { pages, sitemaps, cut } = await readSitemap(source(text + padding));
    expect(pages).toEqual(
      paths.split(' ').flatMap((path) => (path ? `http://site.test${path}` : [])),
    );
    expect(sitemaps).toEqual([]);
    expect(cut).toBe(false);
  }
});

test('a sitemap index, and 50,000 entries of a file', async () => {
  const index =
    '<sitemapindex><sitemap><loc>/a.xml</loc></sitemap><sitemap><loc>/b.xml</loc></sitemap>';
  expect(await readSitemap(source(index))).toEqual({
    pages: [],
    sitemaps: ['http://site.test/a.xml', 'http://site.test/b.xml'],
    cut: false,
  });
  const many = Array.from({ length: 50_001 }, (_, i) => `<url><loc>/${i}</loc></url>`).join('');
  const { pages, cut } = await readSitemap(source(many));
  expect(pages).toHaveLength(50_000);
  expect(cut).toBe(true);
});

test('pages are read one after another, and each gets its own answer', async () => {
  const read = Array.from({ length: 20 }, (_, i) => readPage(source(`<title>${i}</title>${LONG}`)));
  const titles = (await Promise.all(read)).map(({ title }) => title);
  expect(titles).toEqual(Array.from({ length: 20 }, (_, i) => String(i)));
});

test('a page that ends the worker costs no other one', async () => {
  // A view beyond the end of its buffer, which no response has.
  const bytes = { length: 1e6, buffer: new ArrayBuffer(8), byteOffset: 100, byteLength: 5 };
  const bad = readPage(source('', { bytes }));
  const good = readPage(source(`<title>good</title>${LONG}`));
  // One that cannot be sent to it at all.
  const unsent = readPage(source(LONG, { charset: Symbol('x') }));
  const last = readPage(source(`<title>last</title>${LONG}`));
  await expect(bad).rejects.toThrow(/offset/);
  expect((await good).title).toBe('good');
  await expect(unsent).rejects.toThrow();
  expect((await last).title).toBe('last');
});

const SIZE = 2 * 1024 * 1024;
test.each([
  ['base', `<base href="/${'x'.repeat(1_350_000)}/">${'<a href=1>'.repeat(5000)}`],
  [
    'links against a long base',
    `<base href="/${'x'.repeat(4000)}/">${Array.from({ length: 5000 }, (_, i) => `<a href=${i}>`).join('')}`,
  ],
  ['white space', ` ${' \n'.repeat(SIZE / 2)}x`],
  ['one word', 'x'.repeat(SIZE)],
])('a hostile page holds up other events for no longer than a moment: %s', async (_name, html) => {
  const cpuMs = await cpuMsOf(() => readPage(source(html)));
  expect(cpuMs).toBeLessThan(10_000);
});
