import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** Domain separation: these tokens are invalid elsewhere, even under the same secret. */
const PURPOSE = 'sluice stream_url 1';

const TOKEN = /^[\w-]+\.[\w-]{43}$/;

/**
 * @typedef {object} StreamUrl
 * @property {string} path relative to the mount point of the router
 * @property {number | null} expiresAt Unix seconds; null: unsigned, never expires
 */

/**
 * Signed URLs of streams. An EventSource sends no headers, so where callers must authenticate the
 * URL carries a signed token. It opens the streams of certain jobs for one principal, for a short
 * time. The token is checked when a stream opens; an open stream continues after expiry. Main
 * thread.
 *
 * The token is `<payload>.<mac>`: base64url of `[principal, expiry in Unix seconds, whether it has
 * a key]` as JSON, and of an HMAC-SHA256 over the payload and the set of job ids in the URL.
 *
 * Lives as long as its gateway.
 */
export class StreamUrls {
  /** Signs tokens when no secret is configured; no other process needs to verify them then. */
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

  /** Whether URLs carry tokens: if keys or a signing secret are configured. */
  get signed() {
    return this.#access.keyed || this.#access.streamUrls.secret !== undefined;
  }

  /**
   * @param {string} principal owner of the jobs
   * @param {string[]} jobIds
   * @param {{fanIn?: boolean, parameter?: string}} [options] `fanIn`: all on one connection;
   *   `parameter`: query parameter of the ids, default `job_id`
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
   * @returns {{principal: string, state: 'good' | 'expired' | 'revoked'} | undefined} undefined:
   *   not signed by this gateway, or not for these jobs; `revoked`: its principal's key was removed
   */
  open(token, jobIds) {
    if (typeof token !== 'string' || !TOKEN.test(token)) return undefined;
    const [payload, mac] = token.split('.');
    // Compare the encoded text, because base64url can encode the same bytes in several ways.
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
