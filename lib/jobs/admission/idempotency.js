import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { HttpError, badRequest } from '../../internal/util/http-error.js';
import { idempotencyKeyReused } from '../errors.js';
import { comparing } from '../../internal/util/exact-json.js';
import { whenReady } from '../../internal/util/when-ready.js';

const KEY_LENGTH_MAX = 255;
/** Approximate bytes of key, principal, fingerprint and answer. */
const KEY_BYTES = 512;

/** A body that takes no more than its hash is compared itself, where it is in memory alone. */
const PLAIN_LENGTH_MAX = 64;

/** @param {string} name of an entry */
const principalOf = (name) => name.slice(name.indexOf('\n') + 1);

/**
 * @template T
 * @typedef {object} Entry
 * @property {string} fingerprint
 * @property {T | Promise<T>} outcome
 * @property {T} [answer] the outcome, once known
 * @property {number} expiresAtMs Infinity while the first request runs
 */

/**
 * @template T
 * @typedef {{answer: T, replayed: boolean}} Taken
 */

/**
 * @typedef {object} UsedKey
 * @property {string} name of key and principal
 * @property {string} fingerprint of the body
 */

/**
 * @template T
 * @typedef {object} KeyFile persistent store of answered idempotency keys
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
    key.length > KEY_LENGTH_MAX ||
    !/^[\x21-\x7e]+$/.test(key)
  ) {
    throw badRequest(
      'invalid_value',
      'Idempotency-Key',
      `Idempotency-Key takes 1 to ${KEY_LENGTH_MAX} visible ASCII characters.`,
    );
  }
  return key;
}

/**
 * Answers by idempotency key: the same key with the same body is the same job, for a day.
 *
 * The first request with a key runs. Requests during its run share its outcome; later requests get
 * its answer. A failure releases the key, so that a retry runs again. Main thread only, in memory.
 * The cache refuses new keys when full instead of evicting old ones, because a paid job would
 * otherwise run twice. If callers are distinguished, each may use up to half of `maxKeys`. With a
 * data file the answers survive a restart: `run` writes the answer, and keys removed here are
 * removed from the file.
 * @template T type of the answers
 */
export class IdempotencyCache {
  /** @type {Map<string, Entry<T>>} in the order in which the keys were first used */
  #entries = new Map();
  #ttlMs;
  #maxKeys;
  #hasPrincipals;
  #memory;
  #nowMs;
  #isKept;
  #isAlone;
  #find;
  /** @type {Map<string, number>} keys held, by principal */
  #counts = new Map();
  /** @type {KeyFile<T> | undefined} */
  #file;

  /**
   * @param {object} options
   * @param {number} options.ttlMs how long an answer is kept, from its creation
   * @param {number} options.maxKeys
   * @param {() => boolean} [options.hasPrincipals] whether callers are distinguished; default no
   * @param {import('../../internal/util/memory-budget.js').MemoryBudget} [options.memory]
   * @param {() => number} options.nowMs
   * @param {KeyFile<T>} [options.file]
   * @param {(key: UsedKey) => Promise<T | undefined>} [options.find] looks up the answer of an earlier request that
   *   is stored elsewhere; called before a refusal, because a known answer has precedence
   * @param {boolean} [options.kept] whether answers are stored here; false: `run` looks answers of earlier
   *   requests up elsewhere, and only concurrent requests share an outcome. Default true
   */
  constructor(options) {
    const { ttlMs, maxKeys, hasPrincipals = () => false, memory, nowMs, file } = options;
    this.#isKept = options.kept ?? true;
    this.#find = options.find;
    this.#ttlMs = ttlMs;
    this.#maxKeys = maxKeys;
    this.#hasPrincipals = hasPrincipals;
    this.#memory = memory;
    this.#nowMs = nowMs;
    this.#file = file;
    this.#isAlone = file === undefined && options.find === undefined;
    for (const { name, fingerprint, answer, leftMs } of file?.takeKeys() ?? []) {
      const expiresAtMs = nowMs() + leftMs;
      this.#entries.set(name, { fingerprint, outcome: answer, answer, expiresAtMs });
      this.#count(principalOf(name), 1);
    }
  }

  /** Number of keys, including running ones. */
  get size() {
    return this.#entries.size;
  }

  /** Approximate bytes of all keys. */
  get bytes() {
    return this.#entries.size * KEY_BYTES;
  }

  /**
   * @param {string} principal
   * @param {string} key
   * @param {unknown} body compared as canonical JSON (RFC 8785)
   * @param {(key: UsedKey) => T | Promise<T>} run makes the answer; called once per key
   * @returns {Promise<Taken<T>>}
   * @throws {HttpError} 422 when the key was used with another body, 507 when the cache is full;
   *   else the error of `run`
   */
  async answer(principal, key, body, run) {
    return this.take(principal, key, body, run);
  }

  /**
   * Like `answer`, which always returns a promise.
   * @param {string} principal
   * @param {string} key
   * @param {unknown} body
   * @param {(key: UsedKey) => T | Promise<T>} run
   * @returns {Taken<T> | Promise<Taken<T>>} a promise only if it must wait
   */
  take(principal, key, body, run) {
    this.#purge();
    // A key is visible ASCII without line feeds, so the name of each pair is unique.
    const name = `${key}\n${principal}`;
    const text = comparing(() => canonicalize(body)) ?? '';
    const isShort = text.length <= PLAIN_LENGTH_MAX && this.#isAlone;
    const fingerprint = isShort ? text : hash('sha256', text, 'base64');
    const known = this.#entries.get(name);
    if (known !== undefined && known.expiresAtMs > this.#nowMs()) {
      if (known.fingerprint !== fingerprint) throw idempotencyKeyReused();
      return whenReady(known.outcome, (answer) => ({ answer, replayed: true }));
    }
    if (known !== undefined) this.#forget(name);
    if (this.#find === undefined) this.#checkRoom(principal);
    const used = { name, fingerprint };
    let isFound = false;
    const outcome =
      this.#find === undefined
        ? run(used)
        : this.#runOrFind(principal, used, run, () => (isFound = true));
    /** @type {Entry<T>} */
    const entry = { fingerprint, outcome, answer: undefined, expiresAtMs: Infinity };
    this.#entries.set(name, entry);
    this.#count(principal, 1);
    if (!(outcome instanceof Promise)) return this.#keep(name, entry, outcome, false);
    return outcome.then(
      (answer) => this.#keep(name, entry, answer, isFound),
      (error) => {
        this.#forget(name);
        throw error;
      },
    );
  }

  /**
   * @param {string} name
   * @param {Entry<T>} entry
   * @param {T} answer its outcome
   * @param {boolean} replayed whether it repeats the answer of an earlier request
   * @returns {Taken<T>}
   */
  #keep(name, entry, answer, replayed) {
    if (!this.#isKept) this.#forget(name);
    entry.answer = answer;
    entry.expiresAtMs = this.#nowMs() + this.#ttlMs;
    return { answer, replayed };
  }

  /**
   * @param {string} principal
   * @param {UsedKey} used
   * @param {(key: UsedKey) => T | Promise<T>} run
   * @param {() => void} onFound
   * @returns {Promise<T>}
   */
  async #runOrFind(principal, used, run, onFound) {
    try {
      this.#checkRoom(principal);
      return await run(used);
    } catch (/** @type {any} */ error) {
      const found = await this.#find?.(used).catch((/** @type {any} */ unknown) => {
        // What is wrong with the request itself was wrong before. A refusal for another reason, as of a model that its
        // key may not use any more, may come after an answer that cannot be looked up now.
        throw unknown.status === 503 && error?.status === 400 ? error : unknown;
      });
      if (found === undefined) throw error;
      onFound();
      return found;
    }
  }

  /**
   * @param {string} principal
   * @throws {HttpError} 507
   */
  #checkRoom(principal) {
    const own = this.#counts.get(principal) ?? 0;
    const ownMax = this.#hasPrincipals() ? Math.ceil(this.#maxKeys / 2) : this.#maxKeys;
    if (this.#entries.size >= this.#maxKeys || own >= ownMax) {
      const [count, scope] = own >= ownMax ? [own, ' of this caller'] : [this.#entries.size, ''];
      throw new HttpError(507, {
        code: 'idempotency_keys_full',
        type: 'server_error',
        message: `${count} idempotency keys${scope} are stored, the maximum; each is kept for ${this.#ttlMs / 1000} s.`,
      });
    }
    this.#memory?.check('idempotency_keys', principal, KEY_BYTES);
  }

  /**
   * @param {string} principal
   * @param {number} change
   */
  #count(principal, change) {
    const count = (this.#counts.get(principal) ?? 0) + change;
    if (count > 0) this.#counts.set(principal, count);
    else this.#counts.delete(principal);
  }

  /**
   * Removes expired entries. Entries are in the order of first use, which is the order of expiry
   * except for requests that waited for admission. The loop may stop early at such a request; a
   * later call continues. Look-ups check expiry themselves.
   */
  #purge() {
    const nowMs = this.#nowMs();
    for (const [name, entry] of this.#entries) {
      if (entry.expiresAtMs > nowMs) return;
      this.#forget(name);
    }
  }

  /**
   * Erases answers and releases their keys.
   * @param {(entry: {principal: string, answer: T}) => boolean} matches
   * @returns {string[]} the names of the keys, in the data file too
   */
  erase(matches) {
    const names = [];
    for (const [name, { answer }] of this.#entries) {
      const principal = principalOf(name);
      if (answer === undefined || !matches({ principal, answer })) continue;
      this.#entries.delete(name);
      this.#count(principal, -1);
      names.push(name);
    }
    return names;
  }

  /**
   * Removes a key whose request was refused in the end.
   * @param {string} name of key and principal
   */
  release(name) {
    this.#forget(name);
  }

  /** @param {string} name */
  #forget(name) {
    if (!this.#entries.delete(name)) return;
    this.#count(principalOf(name), -1);
    this.#file?.dropKey(name);
  }
}
