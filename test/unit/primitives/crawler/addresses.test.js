/** Public addresses, by the IANA special-purpose registries, and the lookup that checks them. */
import { isPublicAddress, publicLookup } from '../../../../lib/primitives/crawler/addresses.js';

test.each([
  '93.184.216.34',
  '1.1.1.1',
  '9.255.255.255',
  '11.0.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '172.15.255.255',
  '172.32.0.0',
  '192.167.255.255',
  '223.255.255.255',
  '2606:2800:220:1:248:1893:25c8:1946',
  '2a00:1450:4001:81b::200e',
])('%s is public', (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

test.each([
  ['unspecified', ['0.0.0.0', '0.1.2.3', '::']],
  ['loopback', ['127.0.0.1', '127.255.255.254', '::1']],
  ['private', ['10.0.0.0', '10.255.255.255', '172.16.0.1', '172.31.255.255', '192.168.0.1']],
  ['shared', ['100.64.0.0', '100.127.255.255']],
  ['link-local', ['169.254.169.254', 'fe80::1', 'febf::1']],
  ['unique-local', ['fc00::1', 'fdff:ffff::1']],
  ['site-local, long gone', ['fec0::1']],
  ['multicast', ['224.0.0.1', '239.255.255.255', 'ff02::1']],
  ['broadcast and reserved', ['255.255.255.255', '240.0.0.1', '254.1.2.3']],
  ['of protocols, documentation, benchmarks', ['192.0.0.1', '192.0.2.1', '198.51.100.1']],
  ['likewise', ['203.0.113.1', '198.18.0.1', '198.19.255.255', '2001:db8::1', '3fff::1']],
  ['IPv4 in IPv6: mapped', ['::ffff:127.0.0.1', '::ffff:93.184.216.34', '::ffff:7f00:1']],
  ['compatible', ['::127.0.0.1', '::7f00:1', '::5db8:d822']],
  ['translated', ['::ffff:0:127.0.0.1', '64:ff9b::7f00:1', '64:ff9b:1::a00:1']],
  ['6to4 and Teredo', ['2002:7f00:1::', '2001:0:4136:e378:8000:63bf:3fff:fdd2']],
  ['of other uses', ['100::1', '5f00::1', '4000::1', '1::1']],
  [
    'no address',
    ['', 'localhost', '127.1', '0x7f000001', '999.1.1.1', 'fe80::1%eth0', '1.1.1.1%0'],
  ],
])('%s is not', (_kind, addresses) => {
  for (const address of addresses) {
    expect([address, isPublicAddress(address)]).toEqual([address, false]);
  }
});

/** The answers of a lookup over a resolver that returns these lists, one after the other. */
async function ask(options, ...lists) {
  const lookup = publicLookup((_hostname, given, callback) => {
    expect(given).toMatchObject({ all: true });
    callback(null, lists.shift());
  });
  const answers = [];
  while (lists.length > 0) {
    answers.push(
      await new Promise((resolve) =>
        lookup('site.test', options, (error, ...rest) => resolve(error ? error.code : rest)),
      ),
    );
  }
  return answers;
}

const good = { address: '93.184.216.34', family: 4 };
const bad = { address: '10.0.0.1', family: 4 };
const refused = 'ERR_CRAWL_ADDRESS_NOT_ALLOWED';

test('the lookup returns exactly the addresses that it has checked', async () => {
  expect(await ask({ all: true }, [good])).toEqual([[[good]]]);
  expect(await ask({ family: 4 }, [good])).toEqual([[good.address, 4]]);
});

test('a name that turns private after the first answer is refused the second time', async () => {
  expect(await ask({ all: true }, [good], [bad], [good, bad], [])).toEqual([
    [[good]],
    refused,
    refused,
    refused,
  ]);
});

test('a resolver that answers with one address is checked as well', async () => {
  const lookup = publicLookup((_hostname, _options, callback) => callback(null, '127.0.0.1', 4));
  const code = await new Promise((resolve) => lookup('a.test', {}, (error) => resolve(error.code)));
  expect(code).toBe(refused);
});

test("a resolver's error is passed on", async () => {
  const failure = new Error('no');
  const lookup = publicLookup((_hostname, _options, callback) => callback(failure));
  expect(await new Promise((resolve) => lookup('a.test', {}, resolve))).toBe(failure);
});
