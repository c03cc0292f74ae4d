/**
 * Answers by idempotency key: the same key with the same body is the same job, for a day.
 *
 * The first request with a key runs; those that come while it runs share its outcome, those that
 * come later get its answer. A failure frees the key, so that a retry is a new try. Main thread
 * only, in memory; bounded: beyond `maxKeys` the oldest answer is forgotten. With a data file the
 * answers outlive the process: whoever makes one writes it down, and what is forgotten here leaves
 * the file, too.
 */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { HttpError, badRequest } from '../../internal/util/http-error.js';

const kKeyLengthMax = 255;

/**
 * @template T
 * @typedef {object} Entry
 * @property {string} fingerprint
 * @property {Promise<T>} outcome
 * @property {T} [answer] the outcome, once it is there
 * @property {number} expiresAtMs Infinity while the first request runs
 */

/**
 * @typedef {object} UsedKey
 * @property {string} name of key and principal
 * @property {string} fingerprint of the body
 */

/**
 * @template T
 * @typedef {object} KeyFile where answers of earlier are, and are to be forgotten
 * @property {() => (UsedKey & {answer: T, leftMs: number})[]} takeKeys oldest first
 * @property {(name: string) => void} dropKey
 */

/**
 * @param {unknown} key
 * @returns {string}
 */
export function checkIdempotencyKey(key) {
  if (
    typeof key !== 'string' ||
    key === '' ||
    key.length > kKeyLengthMax ||
    !/^[\x21-\x7e]+$/.test(key)
  ) {
    throw badRequest(
      'invalid_value',
      'Idempotency-Key',
      `Idempotency-Key takes 1 to ${kKeyLengthMax} visible ASCII characters.`,
    );
  }
  return key;
}

/**
 * See the head of this file.
 * @template T what is answered
 */
export class IdempotencyCache {
  /** @type {Map<string, Entry<T>>} in the order in which the keys were first used */
  #entries = new Map();
  #ttlMs;
  #maxKeys;
  #nowMs;
  /** @type {KeyFile<T> | undefined} */
  #file;

  /**
   * @param {object} options
   * @param {number} options.ttlMs how long an answer is kept, from the moment it was given
   * @param {number} options.maxKeys
   * @param {() => number} options.nowMs
   * @param {KeyFile<T>} [options.file]
   */
  constructor({ ttlMs, maxKeys, nowMs, file }) {
    this.#ttlMs = ttlMs;
    this.#maxKeys = maxKeys;
    this.#nowMs = nowMs;
    this.#file = file;
    for (const { name, fingerprint, answer, leftMs } of file?.takeKeys() ?? []) {
      const expiresAtMs = nowMs() + leftMs;
      const outcome = Promise.resolve(answer);
      this.#entries.set(name, { fingerprint, outcome, answer, expiresAtMs });
    }
  }

  /** Keys held, running ones included. */
  get size() {
    return this.#entries.size;
  }

  /**
   * @param {string} principal
   * @param {string} key
   * @param {unknown} body compared as canonical JSON (RFC 8785)
   * @param {(key: UsedKey) => Promise<T>} run makes the answer; called once per key
   * @returns {Promise<{answer: T, replayed: boolean}>}
   * @throws {HttpError} 422 when the key was used with another body; else what `run` throws
   */
  async answer(principal, key, body, run) {
    this.#purge();
    // Visible ASCII has no line feed: no two pairs make one name.
    const name = `${key}\n${principal}`;
    const fingerprint = createHash('sha256')
      .update(canonicalize(body) ?? '')
      .digest('base64');
    const known = this.#entries.get(name);
    if (known !== undefined && known.expiresAtMs > this.#nowMs()) {
      if (known.fingerprint !== fingerprint) {
        throw new HttpError(422, {
          code: 'idempotency_key_reused',
          param: 'Idempotency-Key',
          message: 'This Idempotency-Key was used with another body.',
        });
      }
      return { answer: await known.outcome, replayed: true };
    }
    /** @type {Entry<T>} */
    const entry = { fingerprint, outcome: run({ name, fingerprint }), expiresAtMs: Infinity };
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    try {
      const answer = await entry.outcome;
      entry.answer = answer;
      entry.expiresAtMs = this.#nowMs() + this.#ttlMs;
      return { answer, replayed: false };
    } catch (error) {
      this.#forget(name);
      throw error;
    }
  }

  /**
   * Forgets what has expired, and the oldest answers beyond the bound. Entries are in the order
   * of first use, which is that of expiry but for requests that waited for admission: the walk
   * may stop early at one of those, and goes on a moment later. Whether an entry is alive is
   * decided where it is looked up.
   */
  #purge() {
    const nowMs = this.#nowMs();
    for (const [name, entry] of this.#entries) {
      if (entry.expiresAtMs > nowMs && this.#entries.size < this.#maxKeys) return;
      if (entry.expiresAtMs === Infinity) return;
      this.#forget(name);
    }
  }

  /**
   * Erases answers, so that their keys are free.
   * @param {(entry: {principal: string, answer: T}) => boolean} matches
   * @returns {string[]} the names of the keys, in the data file too
   */
  erase(matches) {
    const names = [];
    for (const [name, { answer }] of this.#entries) {
      const principal = name.slice(name.indexOf('\n') + 1);
      if (answer === undefined || !matches({ principal, answer })) continue;
      this.#entries.delete(name);
      names.push(name);
    }
    return names;
  }

  /** @param {string} name */
  #forget(name) {
    this.#entries.delete(name);
    this.#file?.dropKey(name);
  }
}
