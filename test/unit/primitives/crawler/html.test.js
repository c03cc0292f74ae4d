/** Title, text and links of pages, the odd and the hostile ones among them. */
import fc from 'fast-check';
import { extract } from '../../../../lib/primitives/crawler/html.js';
import { forbidsFollowing } from '../../../../lib/primitives/crawler/robots-rules.js';
import { cpuMsOf } from '../../../support/cpu-time.js';

const textOf = async (html, options) => (await extract(html, options)).text;

test.each([
  ['blocks are lines', '<h1>A</h1><p>b<div>c</div>d<ul><li>e<li>f</ul>g', 'A\nb\nc\nd\ne\nf\ng'],
  ['inline elements are none', 'a<b>b</b><i>c</i> <span>d</span>', 'abc d'],
  ['<br> ends a line', 'a<br>b<br/>c', 'a\nb\nc'],
  ['cells stand apart', '<table><tr><td>a<td>b<tr><th>c</table>', 'a b\nc'],
  ['white space is one space', ' a \n\t b\u00a0\u00a0c <b> d </b> e ', 'a b c d e'],
  ['lines have no empty ones between them', '<p> </p><p>a</p>\n<p>\n</p><p>b</p>', 'a\nb'],
  ['what is no text is left out', 'a<script>b</script><style>c</style><!--d-->e', 'ae'],
  ['nor what stands in for scripts', 'a<noscript>b<p>c</p></noscript>d', 'ad'],
  ['nor templates, nested ones too', 'a<template>b<template>c</template>d</template>e', 'ae'],
  ['nor what a frame or a picture holds', 'a<iframe>b</iframe><svg><text>c</text></svg>d', 'a d'],
  ['a script may hold tags', '<script>"</p>"; "<p>x"</script>y', 'y'],
  ['and comments', '<script><!-- <script> </script> --></script>y', 'y'],
  [
    'entities are characters',
    'a &amp; b &lt;c&gt; &eacute;&#x20ac;&nbsp;&notit;',
    'a & b <c> é€ ¬it;',
  ],
  ['a title is not text', '<title>t</title>x', 'x'],
  ['a textarea is', 'a<textarea><b>x</textarea>c', 'a <b>x c'],
  ['an open <noscript> ends with the head', '<head><noscript>a<body>b', 'b'],
  ['CDATA in HTML is a comment', 'a<![CDATA[b]]>c', 'ac'],
  ['a slash ends nothing in HTML', 'a<script/>b</script>c', 'ac'],
  ['a NUL is nothing', 'a\0b', 'ab'],
])('%s', async (_name, html, text) => {
  expect(await textOf(html)).toBe(text);
});

test('a slash ends an element in XHTML', async () => {
  expect(await textOf('a<script src="x"/>b<title/>c', { xml: true })).toBe('abc');
});

test.each([
  ['<title> a\n <b>b &amp; c</title>', 'a <b>b & c'],
  ['<svg><title>icon</title></svg><title>page</title>', 'page'],
  ['<title>one</title><title>two</title>', 'one'],
  ['<title></title><title>two</title>', ''],
  ['no title', ''],
])('the title of %j is %j', async (html, title) => {
  expect((await extract(html)).title).toBe(title);
});

test('links are those of <a> and <area>, each once, with the first base', async () => {
  const { links, base, follow } = await extract(
    '<base target=x><base href="/one/"><base href="/two/"><link href=style.css><a href=a>1</a>' +
      '<a href=a>2</a><area href=b><a name=c><a HREF="d&amp;e"><a href=f rel="external NoFollow">' +
      '<template><a href=g></a></template><svg><a href=h></a></svg><img src=i><form action=j>',
  );
  expect(links).toEqual(['a', 'b', 'd&e']);
  expect(base).toBe('/one/');
  expect(follow).toBe(true);
});

test('a page has five thousand links at most', async () => {
  const html = Array.from({ length: 6000 }, (_, i) => `<a href=${i}>x</a>`).join('');
  expect((await extract(html)).links).toHaveLength(5000);
});

test.each([
  ['nofollow', true],
  ['NOINDEX,NOFOLLOW', true],
  ['none', true],
  ['index, follow', false],
  ['noindex', false],
  ['', false],
])('robots %j forbids following: %j', async (content, asks) => {
  expect(forbidsFollowing(content)).toBe(asks);
  expect((await extract(`<meta name=ROBOTS content="${content}">`)).follow).toBe(!asks);
  expect((await extract(`<meta name=other content="${content}">`)).follow).toBe(true);
});

test.each([
  ['deeply nested', '<div>'.repeat(300_000), '</div>'.repeat(300_000)],
  ['full of formatting that is never closed', '<font size=1 a><b><i x>'.repeat(60_000), '<p>'],
  [
    'one tag of many attributes',
    `<a ${Array.from({ length: 150_000 }, (_, i) => `b${i}`).join(' ')}>`,
    '',
  ],
  ['an endless attribute', `<a href="${'x'.repeat(1_500_000)}`, ''],
  ['nothing but tag openings', '<'.repeat(1_500_000), ''],
  ['nested templates', '<template>'.repeat(150_000), '</template>'.repeat(150_000)],
  ['spaces in as many tokens', '<b> '.repeat(300_000), ''],
])('a hostile page takes no longer than a long one: %s', async (_name, before, after) => {
  const cpuMs = await cpuMsOf(async () => {
    const { text } = await extract(`start ${before} middle ${after} end`);
    expect(text).toMatch(/^start/);
  });
  // Quadratic work would take minutes.
  expect(cpuMs).toBeLessThan(20_000);
});

test('for any input: no failure, no tag in the text, and text that collapses to itself', async () => {
  const piece = fc.constantFrom(
    ...[
      '<p>',
      '</p>',
      '<b',
      '>',
      '<script>',
      '</script>',
      '<!--',
      '-->',
      '&amp',
      ';',
      '"',
      "'",
      '=',
    ],
    ...[
      '<a href=',
      '<template>',
      '</template>',
      '<svg>',
      '</svg>',
      '<title>',
      '</title>',
      ' ',
      '\n',
    ],
    ...['x', 'é', '\u{1f600}', '\0', '<![CDATA[', ']]>', '/', '<textarea>', '<plaintext>'],
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 40 }), async (pieces) => {
      const { text, title } = await extract(pieces.join(''));
      for (const line of text === '' ? [] : text.split('\n')) {
        expect(line).toBe(line.trim());
        expect(line).not.toBe('');
        expect(line).not.toMatch(/ {2}/);
      }
      expect(title).toBe(title.trim());
    }),
    { numRuns: 500 },
  );
});
