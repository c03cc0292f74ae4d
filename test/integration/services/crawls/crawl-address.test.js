/** Addresses that a crawl may connect to. The tests resolve the names; no packet leaves the machine. */
import { items, linking, outcomes, redirect, startSite } from '../../../support/upstream/site.js';
import { createServer } from 'node:https';
import { certificate, key } from '../../../support/upstream/localhost-certificate.js';
import { crawl } from '../../../../lib/index.js';

let site;
beforeAll(async () => {
  site = await startSite({
    '/': linking('/a', '/b'),
    '/a': { headers: { connection: 'close' }, body: 'a' },
    '/b': redirect('/c'),
    '/c': 'c',
  });
});
afterAll(() => site.close());
beforeEach(() => site.requests.splice(0));

/** Resolves every name to the next of these lists of addresses, and records the names. */
function resolver(...answers) {
  const hostnames = [];
  const lookup = (hostname, _options, callback) => {
    hostnames.push(hostname);
    const addresses = answers[Math.min(hostnames.length, answers.length) - 1];
    const list = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    setImmediate(callback, null, list);
  };
  return { asked: hostnames, lookup };
}

test.each([
  '127.0.0.1',
  '127.1',
  '0x7f000001',
  '2130706433',
  '0.0.0.0',
  '[::1]',
  '[::ffff:127.0.0.1]',
  '[::127.0.0.1]',
  '10.0.0.1',
  '169.254.169.254',
])('the address http://%s is refused', async (host) => {
  const startUrl = `http://${host}:${site.port}/`;
  const [item, ...more] = await items(crawl({ startUrl }));
  expect(item).toMatchObject({ url: '/', error: { code: 'address_not_allowed' }, depth: 0 });
  expect(more).toEqual([]);
  expect(site.requests).toEqual([]);
});

test.each([
  ['a private address', [['127.0.0.1']]],
  ['a public and a private one', [['93.184.216.34', '127.0.0.1']]],
  ['the private one first', [['::1', '93.184.216.34']]],
])('a name with %s is refused', async (_name, answers) => {
  const { asked: hostnames, lookup } = resolver(...answers);
  const startUrl = `http://site.test:${site.port}/`;
  const all = await items(crawl({ startUrl, lookup }));
  expect(outcomes(all)).toEqual({ '/': 'address_not_allowed' });
  expect(all[0].error.message).not.toMatch(/127|::1/);
  expect(hostnames).toEqual(['site.test']);
  expect(site.requests).toEqual([]);
});

test('allowed, a name is resolved for each connection, which goes where it resolved to', async () => {
  const { asked: hostnames, lookup } = resolver(['127.0.0.1']);
  const before = site.connections;
  const all = await items(
    crawl({
      startUrl: `http://site.test:${site.port}/`,
      lookup,
      allowPrivateAddresses: true,
      perHostPerSecond: 1000,
      concurrency: 1,
    }),
  );
  expect(outcomes(all)).toEqual({ '/': 200, '/a': 200, '/c': 200 });
  expect(new Set(hostnames)).toEqual(new Set(['site.test']));
  // The page in between closes its connection.
  expect(hostnames.length).toBeGreaterThan(1);
  expect(hostnames).toHaveLength(site.connections - before);
  expect(site.requests[0].headers.host).toBe(`site.test:${site.port}`);
});

test('a name that does not resolve has its own error', async () => {
  const lookup = (_hostname, _options, callback) =>
    callback(Object.assign(new Error('no'), { code: 'ENOTFOUND', syscall: 'getaddrinfo' }));
  const all = await items(crawl({ startUrl: 'http://nowhere.test/', lookup }));
  expect(outcomes(all)).toEqual({ '/': 'dns_failed' });
});

test('a port without a listener fails as well', async () => {
  const gone = await startSite({});
  await gone.close();
  const all = await items(gone.crawl());
  expect(outcomes(all)).toEqual({ '/': 'connect_failed' });
});

test('and so does a server with an untrusted certificate', async () => {
  const server = createServer({ cert: certificate, key }, (_req, res) => res.end('secret'));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const startUrl = `https://127.0.0.1:${server.address().port}/`;
  const all = await items(crawl({ startUrl, allowPrivateAddresses: true }));
  expect(outcomes(all)).toEqual({ '/': 'tls_failed' });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test('an IPv6 address is a host like any other', async () => {
  const { lookup, asked: hostnames } = resolver(['127.0.0.1']);
  const own = await startSite({ '/': linking('/a', 'http://127.0.0.1/'), '/a': 'a' }, '::1');
  const startUrl = `http://[0:0::1]:${own.port}/`;
  const all = await items(crawl({ startUrl, allowPrivateAddresses: true, lookup }));
  expect(outcomes(all)).toEqual({ '/': 200, '/a': 200 });
  expect(hostnames).toEqual([]);
  await own.close();
});
