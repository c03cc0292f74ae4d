/** Crawls of real sites on loopback: requests, their order, and the items. */
import { ManualClock, crawl } from '../../../../lib/index.js';
import {
  closeSites,
  hurried,
  items,
  linking,
  outcomes,
  pathOf,
  redirect,
  site,
} from '../../../support/upstream/site.js';
import { cpuMsOf } from '../../../support/cpu-time.js';
import { until, untilStill } from '../../../support/until.js';

afterEach(closeSites);

describe('fetched pages', () => {
  test('each URL once, however it is written', async () => {
    const { crawl: start, counts } = await site({
      '/': linking('/a', '/a#x', './a', 'A/../a', '/a?', '/a?b', '/%c3%a9', '/é'),
      '/a': linking('/', '#top', '?b', ''),
      '/a?b': 'query',
      '/%C3%A9': 'accent',
    });
    const all = await items(start());
    expect(outcomes(all)).toEqual({ '/': 200, '/a': 200, '/a?b': 200, '/%C3%A9': 200 });
    expect(all).toHaveLength(4);
    expect(Object.values(counts())).toEqual([1, 1, 1, 1]);
  });

  test('a page comes with its status, title, text and depth', async () => {
    const { crawl: start, origin } = await site({
      '/': '<title> The\n home </title><h1>Hello</h1><p>big <b>wide</b> world<script>x()</script><a href=/b>next</a>',
      '/b': {
        status: 203,
        headers: { 'content-type': 'text/plain' },
        body: 'one\r\n  two <b>\r\n',
      },
    });
    const all = [];
    for await (const item of start()) all.push(item);
    expect(all).toEqual([
      {
        url: `${origin}/`,
        status: 200,
        title: 'The home',
        text: 'Hello\nbig wide worldnext',
        depth: 0,
      },
      { url: `${origin}/b`, status: 203, title: '', text: 'one\n  two <b>', depth: 1 },
    ]);
  });

  test('<base href> counts, nofollow is heeded, the depth and the limit hold', async () => {
    const { crawl: start, counts } = await site({
      '/': '<base href="/dir/"><a href="x">x</a><a rel="nofollow noopener" href="no">no</a><area href="/meta">',
      '/dir/x': linking('/deep'),
      '/meta': `<meta name="Robots" content="noindex, NOFOLLOW">${linking('/never')}`,
      '/deep': linking('/deeper'),
    });
    const all = await items(start({ depth: 2 }));
    expect(outcomes(all)).toEqual({ '/': 200, '/dir/x': 200, '/meta': 200, '/deep': 200 });
    expect(all.map(({ depth }) => depth)).toEqual([0, 1, 1, 2]);
    expect(Object.keys(counts())).toHaveLength(4);
    expect(await items(start({ limit: 2 }))).toHaveLength(2);
    expect(await items(start({ depth: 0 }))).toHaveLength(1);
  });

  test('only the site: no other host, port or scheme, no credentials', async () => {
    const other = await site(() => 'not this one');
    const hostnames = [];
    const started = await site((path) =>
      path === '/'
        ? linking(
            `http://127.0.0.1:${other.port}/`,
            `http://localhost:${started.port}/`,
            `https://127.0.0.1:${started.port}/`,
            `http://127.0.0.1:${started.port}@evil.test/`,
            `http://me:secret@127.0.0.1:${started.port}/mine`,
            `http://127.0.0.1.evil.test:${started.port}/`,
            '//evil.test/',
            '\\\\evil.test\\',
            'mailto:a@evil.test',
            'javascript:alert(1)',
            'data:text/html,x',
            'ftp://127.0.0.1/',
            'http://[',
            `/${'x'.repeat(2048)}`,
          )
        : 'unexpected',
    );
    const lookup = (hostname, options, callback) => {
      hostnames.push(hostname);
      callback(new Error('no such host'));
    };
    const all = await items(started.crawl({ lookup }));
    expect(outcomes(all)).toEqual({ '/': 200 });
    expect(started.paths()).toEqual(['/robots.txt', '/']);
    expect(other.requests).toEqual([]);
    expect(hostnames).toEqual([]);
  });

  test('an endless calendar ends at the limit', async () => {
    const { crawl: start, requests } = await site((path) => {
      const day = Number(/day=(\d+)/.exec(path)?.[1] ?? 0);
      return linking(`/?day=${day + 1}`, `/?day=${day + 2}`, `/?day=${day}&view=${day}`);
    });
    const crawling = start({ limit: 25, depth: 1000 });
    const all = await items(crawling);
    expect(all).toHaveLength(25);
    expect(requests).toHaveLength(26);
    expect(crawling.stats()).toMatchObject({ pages: 25, requests: 26, ended: 'limit' });
  });
});

test('the number of URLs that are looked at is bounded, too', async () => {
  const { crawl: start, counts } = await site({
    '/': linking(...Array.from({ length: 300 }, (_, i) => `/missing/${i}`)),
  });
  const crawling = start({ limit: 10 });
  await items(crawling);
  // Ten for each page of the limit, and a hundred; robots.txt is one of them.
  expect(Object.keys(counts())).toHaveLength(199);
  expect(crawling.stats()).toMatchObject({ pages: 1, errors: 198, ended: 'limit' });
});

describe('breadth first', () => {
  test.each([1, 2, 3])('whatever the latencies (%i)', async (seed) => {
    let state = seed * 7919;
    const random = (n) => (state = (state * 48271) % 2147483647) % n;
    const width = 5;
    // Five levels, each page linking to some of the next one and of the levels before.
    const pages = { '/': linking('/1-0', '/1-1', '/1-2') };
    for (let level = 1; level <= 4; level += 1) {
      for (let page = 0; page < width; page += 1) {
        const links = Array.from({ length: 4 }, () => `/${level + 1}-${random(width)}`);
        pages[`/${level}-${page}`] = (_req, res) =>
          setTimeout(() => res.end(linking(...links, '/', `/1-${random(3)}`)), random(25));
      }
    }
    const { crawl: start, requests, counts } = await site(pages);
    const all = await items(start({ concurrency: 4, depth: 4 }));
    const depthOf = Object.fromEntries(all.map(({ url, depth }) => [url, depth]));
    for (const [path, depth] of Object.entries(depthOf)) {
      if (path !== '/') expect(`${depth}`).toBe(path[1]);
    }
    expect(new Set(Object.values(counts()))).toEqual(new Set([1]));
    const fetched = requests.filter(({ path }) => path in depthOf);
    expect(fetched).toHaveLength(all.length);
    // No request of a level begins before the last one of the level before has ended.
    for (let level = 1; level <= 4; level += 1) {
      const begins = fetched.filter(({ path }) => depthOf[path] === level).map((r) => r.atMs);
      const ends = fetched.filter(({ path }) => depthOf[path] === level - 1).map((r) => r.endedMs);
      expect(Math.min(...begins)).toBeGreaterThanOrEqual(Math.max(...ends));
    }
  });

  test('a retry holds the next level back', async () => {
    let attempts = 0;
    const clock = new ManualClock();
    const { crawl: start, paths } = await site({
      '/': linking('/shaky', '/steady'),
      '/steady': linking('/deep'),
      '/shaky': (_req, res) => {
        attempts += 1;
        res.writeHead(attempts < 3 ? 500 : 200).end(attempts < 3 ? 'oops' : linking('/deep'));
      },
      '/deep': 'deep',
    });
    const all = await hurried(clock, items(start({ clock })));
    expect(outcomes(all)).toEqual({ '/': 200, '/steady': 200, '/shaky': 200, '/deep': 200 });
    expect(attempts).toBe(3);
    expect(all.at(-1).url).toBe('/deep');
    expect(paths().filter((path) => path === '/deep')).toHaveLength(1);
  });
});

describe('redirects', () => {
  test('the target is fetched once, by the first of the two links', async () => {
    const { crawl: start, counts } = await site({
      '/': linking('/old', '/new', '/other', '/older'),
      '/old': redirect('/new'),
      '/other': redirect('/there#part', 301),
      '/older': redirect('/there', 308),
      '/new': 'new',
      '/there': 'there',
    });
    const all = await items(start({ concurrency: 1 }));
    expect(outcomes(all)).toEqual({
      '/': 200,
      '/old': 'duplicate',
      '/new': 200,
      '/there': 200,
      '/older': 'duplicate',
    });
    expect(all.find(({ url }) => url === '/there')).toMatchObject({
      depth: 1,
      redirectedFrom: expect.stringMatching(/\/other$/),
    });
    expect(new Set(Object.values(counts()))).toEqual(new Set([1]));
  });

  test('loops, endless chains and nonsense end as errors', async () => {
    const { crawl: start, requests } = await site((path) => {
      if (path === '/') {
        return linking('/self', '/ping', '/chain-0', '/nonsense', '/mail', '/nowhere');
      }
      if (path === '/self') return redirect('/self');
      if (path === '/ping') return redirect('/pong', 307);
      if (path === '/pong') return redirect('ping', 303);
      if (path.startsWith('/chain-')) return redirect(`/chain-${+path.slice(7) + 1}`);
      if (path === '/nonsense') return redirect('http://[');
      if (path === '/mail') return redirect('mailto:a@b.test');
      return { status: 302 };
    });
    const all = await items(start());
    expect(outcomes(all)).toEqual({
      '/': 200,
      '/self': 'redirect_loop',
      '/ping': 'redirect_loop',
      '/chain-0': 'too_many_redirects',
      '/nonsense': 'bad_redirect',
      '/mail': 'bad_redirect',
      '/nowhere': 'http_status',
    });
    const chained = requests.filter(({ path }) => path.startsWith('/chain-'));
    expect(chained).toHaveLength(11);
  });

  test.each([
    ['raw UTF-8', Buffer.from('/caf\u00e9').toString('latin1'), '/caf%C3%A9'],
    ['raw latin1', '/caf\u00e9', '/caf%C3%A9'],
    ['escapes', '/caf%c3%a9', '/caf%C3%A9'],
  ])('a Location in %s leads to its page', async (_name, location, path) => {
    const { crawl: start } = await site({ '/': redirect(location), [path]: 'coffee' });
    expect(outcomes(await items(start()))).toEqual({ [path]: 200 });
  });

  test('one to another site is not followed, not even to its robots.txt', async () => {
    const other = await site(() => 'not this one');
    const { crawl: start } = await site({
      '/robots.txt': redirect(`${other.origin}/robots.txt`),
      '/': linking('/away', '/secure', '/login'),
      '/away': redirect(`${other.origin}/`),
      '/secure': redirect('https://127.0.0.1/'),
      '/login': redirect('//me:secret@127.0.0.1/'),
    });
    const all = await items(start());
    expect(outcomes(all)).toEqual({
      '/': 200,
      '/away': 'off_site',
      '/secure': 'off_site',
      '/login': 'off_site',
    });
    expect(all.find(({ url }) => url === '/away').location).toBe(`${other.origin}/`);
    expect(other.requests).toEqual([]);
  });
});

describe('limits against hostile pages', () => {
  test.each([
    ['absolute', (path) => path],
    ['relative', (path) => path.slice(1)],
  ])('make %s links costly by a base of megabytes', async (_name, spelled) => {
    const links = Array.from({ length: 5000 }, (_, i) => `<a href="${spelled(`/${i}`)}">x</a>`);
    const { crawl: start } = await site({
      '/': `<base href="/${'x'.repeat(1_350_000)}/">${links.join('')}`,
    });
    // 5,000 resolutions against the base would take half a minute.
    const cpuMs = await cpuMsOf(async () => {
      expect(outcomes(await items(start()))).toEqual({ '/': 200 });
    });
    expect(cpuMs).toBeLessThan(10_000);
  });

  test('make its links costly by their length', async () => {
    const { crawl: start } = await site({
      '/': ['/' + '../'.repeat(400_000), 'data:,'.padEnd(500_000, 'x'), '/./b']
        .map((href) => `<a href="${href}">x</a>`)
        .join(''),
      '/b': 'b',
    });
    expect(outcomes(await items(start()))).toEqual({ '/': 200, '/b': 200 });
  });
});

describe('the reader sets the pace', () => {
  const wide = (path) =>
    path === '/' ? linking(...Array.from({ length: 40 }, (_, i) => `/${i}`)) : 'page';

  test('nothing is fetched before the first read, and only as fast as the reader reads', async () => {
    const { crawl: start, requests } = await site(wide);
    const crawling = start({ concurrency: 3 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(requests).toHaveLength(0);
    expect(pathOf((await crawling.next()).value.url)).toBe('/');
    // robots.txt, the page, and one for each request in flight or unread item.
    expect(await untilStill(() => requests.length, 'the crawl to stand still')).toBe(5);
    await crawling.next();
    expect(await untilStill(() => requests.length, 'the crawl to stand still')).toBe(6);
    let rest = 0;
    for await (const _ of crawling) rest += 1;
    expect(rest).toBe(39);
  });
});

describe('the end', () => {
  const hanging = {
    '/': linking('/1', '/2', '/3', '/4'),
    '/1': 'one',
    '/2': () => {},
    '/3': (_req, res) => res.writeHead(200).write('<p>and then'),
    '/4': 'four',
  };

  test('of a whole crawl closes all sockets, and the iterator stays at its end', async () => {
    const started = await site({ '/': linking('/a'), '/a': 'a' });
    const crawling = started.crawl();
    await items(crawling);
    await started.allClosed();
    expect(await crawling.next()).toEqual({ done: true, value: undefined });
    expect(crawling.stats()).toEqual({
      pages: 2,
      skipped: 0,
      errors: 0,
      requests: 3,
      waiting: 0,
      ended: 'complete',
    });
  });

  test('an abort closes the sockets at once and throws its reason once', async () => {
    const started = await site(hanging);
    const abort = new AbortController();
    const crawling = started.crawl({ signal: abort.signal });
    const seen = [];
    const reading = (async () => {
      for await (const item of crawling) seen.push(pathOf(item.url));
    })();
    reading.catch(() => {});
    await until(() => started.requests.length === 6, 'all requests');
    await until(() => seen.length === 3, 'three pages');
    const reason = new Error('enough');
    abort.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await started.allClosed();
    expect(await crawling.next()).toEqual({ done: true, value: undefined });
    expect(crawling.stats().ended).toBe('cancelled');
    expect(started.requests).toHaveLength(6);
  });

  test('so does leaving the loop, and a return() while next() waits', async () => {
    const started = await site(hanging);
    for await (const _ of started.crawl()) break;
    await started.allClosed();
    const crawling = started.crawl();
    await crawling.next();
    await crawling.next();
    await crawling.next();
    const pending = crawling.next();
    await until(() => started.openSockets > 0, 'a socket');
    expect(await crawling.return()).toEqual({ done: true, value: undefined });
    expect(await pending).toEqual({ done: true, value: undefined });
    await started.allClosed();
  });

  test('a signal that is aborted already: no request at all', async () => {
    const started = await site({ '/': 'home' });
    const crawling = started.crawl({ signal: AbortSignal.abort() });
    await expect(crawling.next()).rejects.toMatchObject({ name: 'AbortError' });
    expect(await crawling.next()).toEqual({ done: true, value: undefined });
    expect(started.requests).toHaveLength(0);
  });

  test('while it waits for its turn: the timer goes, too', async () => {
    const started = await site({ '/': 'home' });
    const abort = new AbortController();
    const reading = items(started.crawl({ perHostPerSecond: 0.01, signal: abort.signal }));
    reading.catch(() => {});
    await until(() => started.requests.length === 1, 'robots.txt');
    abort.abort();
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
    await started.allClosed();
  });
});

test('options are checked, by name', () => {
  const startUrl = 'http://site.test/';
  const cases = [
    [{}, TypeError, /startUrl takes a string/],
    [{ startUrl: 'nowhere' }, RangeError, /startUrl takes an http or https URL/],
    [{ startUrl: 'ftp://site.test/' }, RangeError, /startUrl takes an http/],
    [{ startUrl: 'http://me@site.test/' }, RangeError, /without a user name/],
    [{ startUrl: `http://site.test/${'x'.repeat(3000)}` }, RangeError, /2048 characters/],
    [{ startUrl, limit: 0 }, RangeError, /limit takes an integer from 1 to 10000/],
    [{ startUrl, depth: -1 }, RangeError, /depth takes/],
    [{ startUrl, concurrency: 65 }, RangeError, /concurrency takes/],
    [{ startUrl, perHostPerSecond: 0 }, RangeError, /perHostPerSecond takes a number/],
    [{ startUrl, perHostPerSecond: '5' }, TypeError, /perHostPerSecond takes a number/],
    [{ startUrl, timeoutMs: 0 }, RangeError, /timeoutMs takes/],
    [
      { startUrl, allowPrivateAddresses: 'yes' },
      TypeError,
      /allowPrivateAddresses takes true or false/,
    ],
    [{ startUrl, userAgent: 'a\r\nb' }, RangeError, /userAgent takes/],
    [{ startUrl, lookup: 'dns' }, TypeError, /lookup takes a function/],
    [{ startUrl, signal: {} }, TypeError, /signal takes an AbortSignal/],
    [{ startUrl, clock: {} }, TypeError, /clock takes a ManualClock/],
    [{ startUrl, maxPages: 1 }, TypeError, /no option maxPages/],
  ];
  for (const [options, kind, message] of cases) {
    expect(() => crawl(options)).toThrow(kind);
    expect(() => crawl(options)).toThrow(message);
  }
});
