/** Signed addresses: what opens them, and what does not. */
import { createHmac } from 'node:crypto';
import { AccessControl } from '../../../../lib/jobs/policy/access-control.js';
import { StreamUrls } from '../../../../lib/jobs/policy/signed-urls.js';
import { compileAccess } from '../../../../lib/jobs/policy/config.js';
import { entry } from '../../../support/gateway/keys.js';

const secret = 'a secret of some length';

function signer(more, wall = { ms: 1_000_000 }) {
  const config = { keys: [entry('ann', 'a')], ...more };
  return new StreamUrls(new AccessControl(compileAccess('access', config)), () => wall.ms);
}

const tokenOf = ({ path }) => new URL(path, 'http://x').searchParams.get('token');

test('without keys an address is plain and does not expire', () => {
  const urls = signer({ keys: undefined });
  expect(urls.signed).toBe(false);
  expect(urls.make('ann', ['job_a'])).toEqual({ path: '/v1/stream?job_id=job_a', expiresAt: null });
});

test('the token is base64url of principal and expiry, and an HMAC-SHA256', () => {
  const urls = signer({ stream_url_secret: secret, stream_url_ttl_s: 60 });
  const url = urls.make('ann', ['job_b', 'job_a'], { fanIn: true });
  expect(url.expiresAt).toBe(1060);
  const payload = Buffer.from('["ann",1060,true]').toString('base64url');
  const mac = createHmac('sha256', secret)
    .update(`["sluice stream_url 1","${payload}",["job_a","job_b"]]`)
    .digest('base64url');
  expect(url.path).toBe(`/v1/events?job_id=job_b&job_id=job_a&token=${payload}.${mac}`);
});

test('it opens the jobs it was made for, in any order, and no others', () => {
  const urls = signer();
  const token = tokenOf(urls.make('ann', ['job_a', 'job_b']));
  const ann = { principal: 'ann', state: 'good' };
  expect(urls.open(token, ['job_b', 'job_a'])).toEqual(ann);
  expect(urls.open(token, ['job_a', 'job_b', 'job_a'])).toEqual(ann);
  for (const ids of [[], ['job_a'], ['job_b'], ['job_a', 'job_b', 'job_c'], ['job_a,job_b']]) {
    expect(urls.open(token, ids)).toBeUndefined();
  }
});

test('it lasts until its second is over, and not longer', () => {
  const wall = { ms: 1_000_000 };
  const urls = signer({}, wall);
  const url = urls.make('ann', ['job_a']);
  expect(url.expiresAt).toBe(1300);
  wall.ms = 1_299_999;
  expect(urls.open(tokenOf(url), ['job_a'])).toMatchObject({ state: 'good' });
  wall.ms = 1_300_000;
  expect(urls.open(tokenOf(url), ['job_a'])).toMatchObject({ state: 'expired' });
});

test('no other text is good: every character of it counts', () => {
  const urls = signer();
  const token = tokenOf(urls.make('ann', ['job_a']));
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=';
  for (let at = 0; at < token.length; at += 1) {
    for (const letter of alphabet) {
      if (letter === token[at]) continue;
      const forged = token.slice(0, at) + letter + token.slice(at + 1);
      expect(urls.open(forged, ['job_a'])).toBeUndefined();
    }
  }
  for (const forged of ['', '.', token.slice(1), `${token}=`, ` ${token}`, [token], undefined, 7]) {
    expect(urls.open(forged, ['job_a'])).toBeUndefined();
  }
});

test('nonsense with the form of a token is refused without an error', () => {
  const urls = signer();
  for (const payload of ['A', 'e30', 'bnVsbA', '_-_-', 'W10', 'x'.repeat(5000)]) {
    expect(urls.open(`${payload}.${'A'.repeat(43)}`, ['job_a'])).toBeUndefined();
  }
});

test('who signs with another secret signs nothing here', () => {
  const token = tokenOf(signer().make('ann', ['job_a']));
  expect(signer().open(token, ['job_a'])).toBeUndefined();
  const shared = { stream_url_secret: secret };
  const other = tokenOf(signer(shared).make('ann', ['job_a']));
  expect(signer(shared).open(other, ['job_a'])).toMatchObject({ principal: 'ann' });
  expect(signer({ stream_url_secret: `${secret}!` }).open(other, ['job_a'])).toBeUndefined();
});

test('a principal may have any name', () => {
  const urls = signer();
  const name = 'é "quoted", \n and 🌊';
  expect(urls.open(tokenOf(urls.make(name, ['job_a'])), ['job_a'])?.principal).toBe(name);
});
