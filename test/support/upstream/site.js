/** A web site on loopback for the crawler's tests, which records each request and its time. */
import { createServer } from 'node:http';
import { crawl } from '../../../lib/primitives/crawler/crawl.js';
import { until } from '../until.js';

/** A page with these links. */
export const linking = (...hrefs) =>
  `<title>page</title>${hrefs.map((href) => `<a href="${href}">${href}</a>`).join('\n')}`;

export const redirect = (location, status = 302) => ({ status, headers: { location } });

/**
 * @param {Record<string, any> | ((path: string) => any)} pages by path and query: HTML, or
 *   `{status, headers, body}`, or a function `(req, res)`; other paths are a 404
 * @param {string} [host] to listen on
 */
export async function startSite(pages, host = '127.0.0.1') {
  const requests = [];
  const sockets = new Set();
  let connections = 0;
  const server = createServer((req, res) => {
    const request = { path: req.url, headers: req.headers, atMs: performance.now() };
    requests.push(request);
    const end = res.end;
    res.end = (...args) => {
      request.endedMs = performance.now();
      return end.apply(res, args);
    };
    const page = typeof pages === 'function' ? pages(req.url) : pages[req.url];
    if (typeof page === 'function') {
      page(req, res);
    } else if (typeof page === 'string') {
      res.setHeader('content-type', 'text/html; charset=utf-8');
      res.end(page);
    } else {
      const { status = 200, headers = {}, body = '' } = page ?? { status: 404 };
      res.writeHead(status, headers);
      res.end(body);
    }
  });
  server.on('connection', (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise((resolve) => server.listen(0, host, resolve));
  const { port } = server.address();
  const origin = `http://127.0.0.1:${port}`;
  return {
    origin,
    port,
    requests,
    paths: () => requests.map(({ path }) => path),
    /** The number of requests per path, without robots.txt. */
    counts: () => {
      const counts = {};
      for (const { path } of requests) counts[path] = (counts[path] ?? 0) + 1;
      delete counts['/robots.txt'];
      return counts;
    },
    get connections() {
      return connections;
    },
    get openSockets() {
      return sockets.size;
    },
    allClosed: () => until(() => sockets.size === 0, 'every socket to be closed'),
    /** A crawl from the first page, without a pause between requests. */
    crawl: (options = {}) =>
      crawl({
        startUrl: `${origin}/`,
        perHostPerSecond: 1000,
        allowPrivateAddresses: true,
        ...options,
      }),
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

const open = [];

/** A site that `closeSites` will close. */
export async function site(pages) {
  const started = await startSite(pages);
  open.push(started);
  return started;
}

/** To be called in afterEach. */
export async function closeSites() {
  for (const started of open.splice(0)) await started.close();
}

/** All items of a crawl, with paths in place of URLs. */
export async function items(crawling) {
  const all = [];
  for await (const item of crawling) all.push({ ...item, url: pathOf(item.url) });
  return all;
}

export function pathOf(url) {
  const { pathname, search } = new URL(url);
  return pathname + search;
}

/** The outcome of each path: a status, a reason for skipping, or the code of an error. */
export function outcomes(all) {
  return Object.fromEntries(
    all.map(({ url, status, skipped, error }) => [url, status ?? skipped ?? error.code]),
  );
}

/** Waits for a crawl under a manual clock, which it advances quickly. */
export async function hurried(clock, promise) {
  let over = false;
  promise.finally(() => (over = true)).catch(() => {});
  while (!over) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    clock.advanceMs(100);
  }
  return promise;
}
