/**
 * Addresses of streams. An EventSource sends no headers, so where callers have to say who they are,
 * the address itself does: it carries a token, signed here, that opens the streams of certain jobs
 * for one principal, for a short time. Looked at when a stream is opened; one that runs outlives it.
 * Main thread.
 *
 * The token is `<payload>.<mac>`: base64url of `[principal, expiry in Unix seconds, whether it has a
 * key]` as JSON, and of an HMAC-SHA256 over the payload and the set of job ids, which the address names
 * anyway.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** Keeps these tokens from meaning anything where the same secret signs something else. */
const PURPOSE = 'sluice stream_url 1';

const TOKEN = /^[\w-]+\.[\w-]{43}$/;

/**
 * @typedef {object} StreamUrl
 * @property {string} path relative to where the router is mounted
 * @property {number | null} expiresAt Unix seconds; null: never, nothing is signed
 */

/** See the head of this file. Lives as long as its gateway. */
export class StreamUrls {
  /** Signs where no secret is configured: then nobody else has to know the tokens. */
  #ownSecret = randomBytes(32);
  #access;
  #wallMs;

  /**
   * @param {import('./access-control.js').AccessControl} access
   * @param {() => number} wallMs Unix time
   */
  constructor(access, wallMs) {
    this.#access = access;
    this.#wallMs = wallMs;
  }

  /** Whether addresses carry tokens: with keys, or when there is a secret to sign them with. */
  get signed() {
    return this.#access.keyed || this.#access.streamUrls.secret !== undefined;
  }

  /**
   * @param {string} principal whose jobs they are
   * @param {string[]} jobIds
   * @param {{fanIn?: boolean, parameter?: string}} [options] `fanIn`: all on one connection;
   *   `parameter`: what the address calls the ids, default `job_id`
   * @returns {StreamUrl}
   */
  make(principal, jobIds, { fanIn = false, parameter = 'job_id' } = {}) {
    const query = new URLSearchParams(jobIds.map((id) => [parameter, id]));
    let expiresAt = null;
    if (this.signed) {
      expiresAt = Math.ceil(this.#wallMs() / 1000) + this.#access.streamUrls.ttlS;
      const hasKey = this.#access.configured(principal) !== undefined;
      const fields = JSON.stringify([principal, expiresAt, hasKey]);
      const payload = Buffer.from(fields).toString('base64url');
      query.append('token', `${payload}.${this.#mac(payload, jobIds)}`);
    }
    return { path: `/v1/${fanIn ? 'events' : 'stream'}?${query}`, expiresAt };
  }

  /**
   * @param {unknown} token as the caller sent it
   * @param {string[]} jobIds as the caller asks for
   * @returns {{principal: string, state: 'good' | 'expired' | 'revoked'} | undefined} undefined: it
   *   is not ours, or not for these jobs; `revoked`: its principal had a key, which is gone
   */
  open(token, jobIds) {
    if (typeof token !== 'string' || !TOKEN.test(token)) return undefined;
    const [payload, mac] = token.split('.');
    // The texts are compared, and not the bytes they stand for: those can be written in several ways.
    const expected = Buffer.from(this.#mac(payload, jobIds));
    if (!timingSafeEqual(Buffer.from(mac), expected)) return undefined;
    const [principal, expiresAt, hadKey] = JSON.parse(Buffer.from(payload, 'base64url').toString());
    if (this.#wallMs() >= expiresAt * 1000) return { principal, state: 'expired' };
    const revoked = hadKey && this.#access.configured(principal) === undefined;
    return { principal, state: revoked ? 'revoked' : 'good' };
  }

  /**
   * @param {string} payload
   * @param {string[]} jobIds in any order
   */
  #mac(payload, jobIds) {
    const ids = [...new Set(jobIds)].sort();
    return createHmac('sha256', this.#access.streamUrls.secret ?? this.#ownSecret)
      .update(JSON.stringify([PURPOSE, payload, ids]))
      .digest('base64url');
  }
}
