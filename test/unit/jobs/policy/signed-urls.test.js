/** Signed addresses: their jobs, times and keys. */
import { createHmac } from 'node:crypto';
import { AccessControl } from '../../../../lib/jobs/policy/access-control.js';
import { StreamUrls } from '../../../../lib/jobs/policy/signed-urls.js';
import { compileAccess } from '../../../../lib/jobs/policy/config.js';
import { entry } from '../../../support/gateway/keys.js';

const secret = 'a secret of some length';

function signer(more, wall = { ms: 1_000_000 }) {
  const config = { keys: [entry('ann', 'a')], ...more };
  const clocks = { unixMs: () => wall.ms, nowMs: () => wall.ms - 900_000 };
  return new StreamUrls(new AccessControl(compileAccess('access', config)), clocks);
}

const tokenOf = (path) => new URL(path, 'http://x').searchParams.get('token');

/** Opens a stream: verifies the token, then uses it for the log. */
function use(urls, token, log, id = 'job_a') {
  const request = {};
  return urls.open(request, token, [id]) !== undefined && urls.use(request, log);
}

test('without keys a URL is plain and does not expire', () => {
  const urls = signer({ keys: undefined });
  expect(urls.signed).toBe(false);
  expect(urls.make('ann', ['job_a'])).toBe('/v1/stream?job_id=job_a');
  expect(urls.expiryOf([{ purgeDueMs: 5 }])).toBeNull();
});

test('the token is base64url of its fields, and an HMAC-SHA256', () => {
  const urls = signer({ stream_url_secret: secret, stream_url_ttl_s: 60 });
  const url = urls.make('ann', ['job_b', 'job_a'], { fanIn: true });
  const [payload] = tokenOf(url).split('.');
  const fields = JSON.parse(Buffer.from(payload, 'base64url').toString());
  expect(fields).toEqual(['ann', 1060, true, expect.stringMatching(/^[\w-]{8}$/)]);
  const mac = createHmac('sha256', secret)
    .update(`["sluice stream_url 2","${payload}",["job_a","job_b"]]`)
    .digest('base64url');
  expect(url).toBe(`/v1/events?job_id=job_b&job_id=job_a&token=${payload}.${mac}`);
});

test('it expires when the last of its jobs is purged at the latest', () => {
  // The monotonic clock stands at 100,000.
  expect(signer().expiryOf([{ purgeDueMs: 100_001 }, { purgeDueMs: 250_500 }])).toBe(1151);
  expect(signer().expiryOf([{ purgeDueMs: 5 }])).toBe(1000);
});

test('it opens exactly its jobs, in any order', () => {
  const urls = signer();
  const token = tokenOf(urls.make('ann', ['job_a', 'job_b']));
  const ann = { principal: 'ann', revoked: false };
  expect(urls.open({}, token, ['job_b', 'job_a'])).toEqual(ann);
  expect(urls.open({}, token, ['job_a', 'job_b', 'job_a'])).toEqual(ann);
  for (const ids of [[], ['job_a'], ['job_b'], ['job_a', 'job_b', 'job_c'], ['job_a,job_b']]) {
    expect(urls.open({}, token, ids)).toBeUndefined();
  }
});

test('only its first use has a time limit', () => {
  const wall = { ms: 1_000_000 };
  const urls = signer({ stream_url_ttl_s: 300 }, wall);
  const token = tokenOf(urls.make('ann', ['job_a']));
  const [used, unused] = [{}, {}];
  wall.ms = 1_299_999;
  expect(use(urls, token, used)).toBe(true);
  wall.ms = 1_300_000;
  expect(use(urls, token, used)).toBe(true);
  expect(use(urls, token, unused)).toBe(false);
  // Another token of the job has a separate first use.
  const later = tokenOf(urls.make('ann', ['job_a']));
  wall.ms = 1_600_000;
  expect(use(urls, later, used)).toBe(false);
  expect(use(urls, token, used)).toBe(true);
});

test('without a token there is no limit', () => {
  expect(signer().use({}, {})).toBe(true);
});

test('the token of another process with the secret is good at any time: its first use is unknown', () => {
  const wall = { ms: 1_000_000 };
  const more = { stream_url_secret: secret };
  const token = tokenOf(signer(more, wall).make('ann', ['job_a']));
  wall.ms += 10_000_000;
  expect(use(signer(more, wall), token, {})).toBe(true);
});

test('used tokens of one job are bounded: the oldest is forgotten', () => {
  const wall = { ms: 1_000_000 };
  const urls = signer({ stream_url_ttl_s: 1 }, wall);
  const log = {};
  const tokens = Array.from({ length: 1001 }, () => {
    wall.ms += 1000;
    const token = tokenOf(urls.make('ann', ['job_a']));
    expect(use(urls, token, log)).toBe(true);
    return token;
  });
  wall.ms += 5000;
  expect(use(urls, tokens[0], log)).toBe(false);
  expect(use(urls, tokens[1], log)).toBe(true);
  expect(use(urls, tokens.at(-1), log)).toBe(true);
});

test('it is revoked with the key of its principal', () => {
  const access = new AccessControl(compileAccess('access', { keys: [entry('ann', 'a')] }));
  const urls = new StreamUrls(access, { unixMs: () => 0, nowMs: () => 0 });
  const token = tokenOf(urls.make('ann', ['job_a']));
  access.reload({ keys: [entry('bob', 'b')] });
  expect(urls.open({}, token, ['job_a'])).toEqual({ principal: 'ann', revoked: true });
});

test('no other text is good: every character of it counts', () => {
  const urls = signer();
  const token = tokenOf(urls.make('ann', ['job_a']));
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=';
  for (let at = 0; at < token.length; at += 1) {
    for (const letter of alphabet) {
      if (letter === token[at]) continue;
      const forged = token.slice(0, at) + letter + token.slice(at + 1);
      expect(urls.open({}, forged, ['job_a'])).toBeUndefined();
    }
  }
  for (const forged of ['', '.', token.slice(1), `${token}=`, ` ${token}`, [token], undefined, 7]) {
    expect(urls.open({}, forged, ['job_a'])).toBeUndefined();
  }
});

test('nonsense with the form of a token is refused without an error', () => {
  const urls = signer();
  for (const payload of ['A', 'e30', 'bnVsbA', '_-_-', 'W10', 'x'.repeat(5000)]) {
    expect(urls.open({}, `${payload}.${'A'.repeat(43)}`, ['job_a'])).toBeUndefined();
  }
});

test('a signature by another secret is invalid', () => {
  const token = tokenOf(signer().make('ann', ['job_a']));
  expect(signer().open({}, token, ['job_a'])).toBeUndefined();
  const shared = { stream_url_secret: secret };
  const other = tokenOf(signer(shared).make('ann', ['job_a']));
  expect(signer(shared).open({}, other, ['job_a'])).toMatchObject({ principal: 'ann' });
  expect(signer({ stream_url_secret: `${secret}!` }).open({}, other, ['job_a'])).toBeUndefined();
});

test('a principal may have any name', () => {
  const urls = signer();
  const name = 'é "quoted", \n and 🌊';
  expect(urls.open({}, tokenOf(urls.make(name, ['job_a'])), ['job_a'])?.principal).toBe(name);
});
