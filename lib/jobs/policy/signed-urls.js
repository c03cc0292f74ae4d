import { randomBytes, timingSafeEqual } from 'node:crypto';
import { HmacSha256 } from '../../internal/util/hmac.js';
import { redisUnavailable } from '../errors.js';

/** Domain separation: these tokens are invalid elsewhere, even under the same secret. */
const PURPOSE = 'sluice stream_url 2';

const TOKEN = /^[\w-]+\.[\w-]{43}$/;

/** Bytes of the id that distinguishes the tokens of gateways with the same secret. */
const ISSUER_BYTES = 6;
/** Maximum used tokens remembered per job. The oldest is forgotten first, and then counts as unused. */
const USED_MAX = 1000;

/** @typedef {{purgeDueMs: number}} Log a job or an operation, with the time of its purge, monotonic */

/**
 * @typedef {object} VerifiedToken
 * @property {string} payload
 * @property {number} firstUseUntil Unix seconds
 * @property {string} issuer
 */

/**
 * Signed URLs of streams. An EventSource sends no headers, so where callers must authenticate the
 * URL carries a signed token. It opens the streams of certain jobs for one principal, until the jobs
 * are purged: an EventSource resumes with the URL that it has. Only the first use has a time limit.
 * A URL becomes void when the key of its principal is removed; open streams continue. Main thread.
 *
 * The token is `<payload>.<mac>`: base64url of `[principal, end of the first use in Unix seconds,
 * whether the principal has a key, issuer]` as JSON, and of an HMAC-SHA256 over the payload and the set
 * of job ids in the URL. Only its issuer knows the first use of a token: tokens of other
 * processes with the same secret, and of an earlier run, are accepted at any time.
 * The processes of a deployment share a secret.
 *
 * Lives as long as its gateway.
 */
export class StreamUrls {
  /** Signs tokens when no secret is configured; no other process needs to verify them then. */
  #ownSecret = randomBytes(32);
  /** HMAC of the secret in force. @type {{secret: string | Buffer, hmac: HmacSha256}} */
  #signer = { secret: this.#ownSecret, hmac: new HmacSha256(this.#ownSecret) };
  #issuer = randomBytes(ISSUER_BYTES).toString('base64url');
  #lastPayload = { principal: '', until: 0, hasKey: false, payload: '' };
  #sharedSecret;
  #access;
  #clocks;
  /** Tokens of requests, once verified. @type {WeakMap<object, VerifiedToken>} */
  #verified = new WeakMap();
  /** Payloads of used tokens by log. @type {WeakMap<Log, Set<string>>} */
  #used = new WeakMap();

  /**
   * @param {import('./access-control.js').AccessControl} access
   * @param {{unixMs: () => number, nowMs: () => number}} clocks Unix time and a monotonic clock
   * @param {() => string} [sharedSecret] secret of a deployment of several processes, if none is
   *   configured; empty while it is unknown
   */
  constructor(access, clocks, sharedSecret) {
    this.#sharedSecret = sharedSecret;
    this.#access = access;
    this.#clocks = clocks;
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
   * @returns {string} relative to the mount point of the router
   */
  make(principal, jobIds, { fanIn = false, parameter = 'job_id' } = {}) {
    // Ids and tokens contain no characters that need escaping in a URL.
    let query = jobIds.map((id) => `${parameter}=${id}`).join('&');
    if (this.signed) {
      const payload = this.#payloadOf(principal);
      query += `&token=${payload}.${this.#mac(payload, jobIds)}`;
    }
    return `/v1/${fanIn ? 'events' : 'stream'}?${query}`;
  }

  /**
   * @param {string} principal
   * @returns {string} of its tokens that are made now
   */
  #payloadOf(principal) {
    const until = Math.ceil(this.#clocks.unixMs() / 1000) + this.#access.streamUrls.ttlS;
    const hasKey = this.#access.hasKey(principal);
    const last = this.#lastPayload;
    // The tokens of one second differ in their job ids, which the mac covers.
    if (last.principal === principal && last.until === until && last.hasKey === hasKey) {
      return last.payload;
    }
    const fields = JSON.stringify([principal, until, hasKey, this.#issuer]);
    const payload = Buffer.from(fields).toString('base64url');
    this.#lastPayload = { principal, until, hasKey, payload };
    return payload;
  }

  /**
   * @param {Log[]} logs that a URL is for
   * @returns {number | null} Unix seconds of the latest purge of these logs, at which the URL
   *   becomes invalid; null: unsigned
   */
  expiryOf(logs) {
    if (!this.signed) return null;
    const { unixMs, nowMs } = this.#clocks;
    const leftMs = Math.max(0, ...logs.map(({ purgeDueMs }) => purgeDueMs - nowMs()));
    return Math.ceil((unixMs() + leftMs) / 1000);
  }

  /**
   * Verifies the token of a request.
   * @param {object} request also passed to `use`
   * @param {unknown} token as sent by the caller
   * @param {string[]} jobIds requested ids
   * @returns {{principal: string, revoked: boolean} | undefined} undefined: not signed by this
   *   gateway, or not for these jobs; `revoked`: its principal's key was removed or
   *   disabled
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 before the first contact with Redis
   */
  open(request, token, jobIds) {
    if (typeof token !== 'string' || !TOKEN.test(token)) return undefined;
    const [payload, mac] = token.split('.');
    // Compare the encoded text, because base64url can encode the same bytes in several ways.
    const expected = Buffer.from(this.#mac(payload, jobIds));
    if (!timingSafeEqual(Buffer.from(mac), expected)) return undefined;
    const fields = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const [principal, firstUseUntil, hadKey, issuer] = fields;
    this.#verified.set(request, { payload, firstUseUntil, issuer });
    return { principal, revoked: hadKey && !this.#access.hasKey(principal) };
  }

  /**
   * Uses the token of a request for a log, once it is found.
   * @param {object} request
   * @param {Log} log
   * @returns {boolean} false: the time limit of its first use is over; true also without a token
   */
  use(request, log) {
    const token = this.#verified.get(request);
    if (token === undefined || token.issuer !== this.#issuer) return true;
    const used = this.#used.get(log) ?? new Set();
    if (used.has(token.payload)) return true;
    if (this.#clocks.unixMs() >= token.firstUseUntil * 1000) return false;
    const [oldest] = used.size < USED_MAX ? [] : used;
    if (oldest !== undefined) used.delete(oldest);
    this.#used.set(log, used.add(token.payload));
    return true;
  }

  #secret() {
    const { secret } = this.#access.streamUrls;
    if (secret !== undefined || this.#sharedSecret === undefined) return secret ?? this.#ownSecret;
    const shared = this.#sharedSecret();
    if (shared === '') throw redisUnavailable();
    return shared;
  }

  /**
   * @param {string} payload
   * @param {string[]} jobIds in any order
   */
  #mac(payload, jobIds) {
    const ids = jobIds.length === 1 ? jobIds : [...new Set(jobIds)].sort();
    const secret = this.#secret();
    if (secret !== this.#signer.secret) this.#signer = { secret, hmac: new HmacSha256(secret) };
    return this.#signer.hmac.of(JSON.stringify([PURPOSE, payload, ids]), 'base64url');
  }
}
