/** How a crawl behaves towards its site: robots.txt, pace, overload, and hosts that are gone. */
import { ManualClock } from '../../../../lib/index.js';
import {
  closeSites,
  hurried,
  items,
  linking,
  outcomes,
  redirect,
  site,
} from '../../../support/upstream/site.js';
import { until } from '../../../support/until.js';

afterEach(closeSites);

describe('robots.txt', () => {
  const rules =
    'User-agent: *\nDisallow: /\n\nUser-agent: sluice\nDisallow: /private\nAllow: /private/ok\n';

  test('is fetched once, and first; forbidden URLs are skipped and reported', async () => {
    const {
      crawl: start,
      counts,
      requests,
    } = await site({
      '/robots.txt': { body: rules },
      '/': linking('/private', '/private/ok', '/moved', '/private'),
      '/private/ok': linking('/private/2', '/private'),
      '/moved': redirect('/private/3'),
    });
    const all = await items(start());
    expect(outcomes(all)).toEqual({
      '/': 200,
      '/private': 'robots',
      '/private/ok': 200,
      '/moved': 'robots',
      '/private/2': 'robots',
    });
    expect(requests[0].path).toBe('/robots.txt');
    expect(requests.filter(({ path }) => path === '/robots.txt')).toHaveLength(1);
    expect(requests[0].headers['user-agent']).toMatch(/^sluice\/\d/);
    expect(counts()).toEqual({ '/': 1, '/private/ok': 1, '/moved': 1 });
  });

  test('another name follows the rules of *', async () => {
    const { crawl: start, requests } = await site({ '/robots.txt': { body: rules }, '/': 'home' });
    expect(outcomes(await items(start({ userAgent: 'Other/1.0' })))).toEqual({ '/': 'robots' });
    expect(requests).toHaveLength(1);
    expect(requests[0].headers['user-agent']).toBe('Other/1.0');
  });

  test.each([
    ['none', { status: 404 }, 200, 1],
    ['forbidden', { status: 403 }, 200, 1],
    ['redirected to the page itself', redirect('/'), 200, 1],
    ['redirected for ever', redirect('/robots.txt'), 200, 6],
    ['failing', { status: 500 }, 'robots', 3],
    ['overloaded', { status: 503 }, 'robots', 3],
  ])('%s', async (_name, answer, outcome, requestCount) => {
    const clock = new ManualClock();
    const { crawl: start, requests } = await site({ '/robots.txt': answer, '/': 'home' });
    const all = await hurried(clock, items(start({ clock })));
    expect(outcomes(all)).toEqual({ '/': outcome });
    expect(requests.filter(({ path }) => path === '/robots.txt')).toHaveLength(requestCount);
  });

  test('only its first 500 KiB are read', async () => {
    const padding = `# ${'x'.repeat(98)}\n`.repeat(5 * 1024);
    const { crawl: start } = await site({
      '/robots.txt': {
        body: `User-agent: *\nDisallow: /early\n${padding}Disallow: /late\n`,
      },
      '/': linking('/early', '/late'),
      '/late': 'late',
    });
    expect(outcomes(await items(start()))).toEqual({ '/': 200, '/early': 'robots', '/late': 200 });
  });

  test('Crawl-delay is kept, up to thirty seconds', async () => {
    const clock = new ManualClock();
    let askedMs;
    const { crawl: start, requests } = await site({
      '/robots.txt': { body: 'User-agent: *\nCrawl-delay: 3600' },
      '/': (_req, res) => {
        askedMs = clock.nowMs();
        res.end('home');
      },
    });
    const crawling = items(start({ clock }));
    await until(() => requests.length === 1, 'robots.txt');
    await hurried(clock, crawling);
    expect(outcomes(await crawling)).toEqual({ '/': 200 });
    expect(askedMs).toBeGreaterThanOrEqual(30_000);
    // Each request and answer takes some time on its way.
    expect(askedMs).toBeLessThan(60_000);
  });
});

describe('politeness', () => {
  test('requests are spaced evenly for any number of concurrent ones', async () => {
    const { crawl: start, requests } = await site((path) =>
      path === '/' ? linking(...Array.from({ length: 9 }, (_, i) => `/${i}`)) : 'page',
    );
    const startMs = performance.now();
    await items(start({ perHostPerSecond: 25, concurrency: 8 }));
    expect(requests).toHaveLength(11);
    // Ten gaps of 40 ms; a timer may be early by a millisecond, never by more. From the start, for
    // the first request may have taken long to arrive.
    expect(requests.at(-1).atMs - startMs).toBeGreaterThanOrEqual(10 * 40 - 20);
  });

  const date = () => new Date(Math.ceil(Date.now() / 1000) * 1000 + 9000).toUTCString();
  test.each([
    ['seconds', 429, () => '9', 9000, 9000],
    ['a date', 503, date, 8000, 10_000],
  ])('Retry-After in %s stops the whole host', async (_name, status, header, leastMs, mostMs) => {
    const clock = new ManualClock();
    const times = [];
    let refusal;
    const { crawl: start } = await site((path) => {
      times.push(clock.nowMs());
      if (path === '/') return linking('/1', '/2', '/3', '/4');
      if (path !== '/1' || refusal !== undefined) return 'page';
      refusal = times.length - 1;
      return { status, headers: { 'retry-after': header() } };
    });
    const all = await hurried(clock, items(start({ clock, concurrency: 1 })));
    const pauseMs = times[refusal + 1] - times[refusal];
    expect(pauseMs).toBeGreaterThanOrEqual(leastMs);
    // Each request and answer takes some time on its way.
    expect(pauseMs).toBeLessThan(mostMs + 9000);
    expect(outcomes(all)).toEqual({
      '/': 200,
      '/1': 200,
      '/2': 200,
      '/3': 200,
      '/4': 200,
    });
  });

  test.each([
    ['hangs up', (req) => req.socket.destroy(), 'disconnected'],
    ['answers 503', (_req, res) => res.writeHead(503).end(), 'http_status'],
    ['answers 500', (_req, res) => res.writeHead(500).end(), 'http_status'],
    ['says nothing', () => {}, 'timeout'],
  ])('a host that %s is abandoned soon', async (_name, respond, code) => {
    const clock = new ManualClock();
    const started = await site((path) => {
      if (path === '/robots.txt') return undefined;
      if (path === '/') return linking(...Array.from({ length: 100 }, (_, i) => `/${i}`));
      return respond;
    });
    const crawling = started.crawl({ clock, limit: 200, concurrency: 8 });
    const all = await hurried(clock, items(crawling));
    expect(all).toHaveLength(101);
    const codes = all.slice(1).map(({ error }) => error.code);
    expect(new Set(codes)).toEqual(new Set([code, 'host_unavailable']));
    // Twenty in a row, and the requests then in flight.
    expect(started.requests.length - 2).toBeLessThanOrEqual(28);
    await started.allClosed();
  });

  test('a few dead pages among good ones cost three requests each, and nothing else', async () => {
    const clock = new ManualClock();
    const { crawl: start, requests } = await site((path) => {
      if (path === '/robots.txt') return undefined;
      if (path === '/') {
        return linking('/dead/1', '/dead/2', '/dead/3', '/dead/4', '/dead/5', '/ok');
      }
      if (path === '/ok') return linking('/deep');
      return path === '/deep' ? 'deep' : (req) => req.socket.destroy();
    });
    const all = await hurried(clock, items(start({ clock })));
    expect(outcomes(all)).toMatchObject({
      '/': 200,
      '/ok': 200,
      '/deep': 200,
      '/dead/5': 'disconnected',
    });
    expect(requests.filter(({ path }) => path.startsWith('/dead/'))).toHaveLength(15);
  });
});
