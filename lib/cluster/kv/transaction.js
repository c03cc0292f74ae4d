import { SluiceError } from '../../internal/util/errors.js';
import {
  ANY_VERSION,
  KEEP_TTL,
  checkDelete,
  checkIncrement,
  checkSet,
  checkTouch,
} from '../../primitives/kv/options.js';
import { conflictAt, conflictOfReads } from '../../primitives/kv/errors.js';
import { checkKey, nextNumber } from '../../primitives/kv/values.js';
import { checkScan, cursorBehind } from '../../primitives/kv/scan.js';
import {
  byteLengthOf,
  compareKeys,
  encodedNow,
  rangeOf,
  rangeUpTo,
  shownEntry,
  valueOf,
} from './wire.js';
import { noReads } from './space.js';
import { WriteSet } from './write-set.js';

/** @typedef {import('./wire.js').StoredEntry} StoredEntry */

/**
 * Access to a transaction for SharedKv, hidden from the user's function.
 * @typedef {object} TransactionControl
 * @property {(tx: SharedKvTransaction<any>, options?: {isReadLate?: boolean}) => Promise<void>} commit waits
 *   for calls that the function has not awaited; `isReadLate`: also validates reads if nothing was
 *   written. Throws ERR_CONFLICT, for which `isConflict` is true, and ERR_KV_FULL
 * @property {(tx: SharedKvTransaction<any>, key: string) => number} versionOf a written key, after the commit
 * @property {(tx: SharedKvTransaction<any>, error: unknown) => boolean} isConflict whether an error reports that
 *   a key read by this transaction has changed
 * @property {(tx: SharedKvTransaction<any>) => void} end makes every later call throw
 * @property {(tx: SharedKvTransaction<any>, keys: string[], options: {values: boolean}) => Promise<void>} preload
 *   reads keys in one call, with or without their values
 */
/** @type {TransactionControl} */
export let control;

const ignore = () => {};

/**
 * One optimistic transaction on a key-value store in Redis, passed to the function of `kv.transaction`. Its
 * methods are those of `KvTransaction`, and return promises; calls that are not awaited run in order.
 * Main thread; ends when `kv.transaction` settles, and rejects with ERR_TRANSACTION_ENDED from then on.
 *
 * It begins with the first read. All its reads show one state of the store: a key that has changed
 * since the first read throws ERR_CONFLICT, and so does any read after a change of a key read before.
 * @template [V=import('../../primitives/kv/values.js').KvValue]
 */
export class SharedKvTransaction {
  #scripts;
  #nowMs;
  #onCommitted;
  #reads = noReads();
  #hasRead = false;
  #writes;
  /** @type {Map<string, number>} */
  #versions = new Map();
  /** The previous call. @type {Promise<unknown>} */
  #last = Promise.resolve();
  /** Calls in progress. @type {Set<Promise<unknown>>} */
  #pending = new Set();
  #isEnded = false;
  /** @type {SluiceError | undefined} error of a read, after which every read fails */
  #conflict;

  static {
    control = {
      commit: (tx, options) => tx.#commit(options),
      versionOf: (tx, key) => tx.#versions.get(key) ?? 0,
      isConflict: (tx, error) => error !== undefined && error === tx.#conflict,
      end: (tx) => tx.#end(),
      preload: (tx, keys, { values }) => tx.#call(() => () => tx.#load(keys, values)),
    };
  }

  /**
   * @param {object} deps
   * @param {import('./space.js').KvSpaceScripts} deps.scripts
   * @param {import('../../primitives/kv/errors.js').KvLimits} deps.limits
   * @param {() => number} deps.nowMs of the store
   * @param {(ends: number[]) => void} deps.onCommitted called with the new ends of entries, in milliseconds
   */
  constructor({ scripts, limits, nowMs, onCommitted }) {
    this.#scripts = scripts;
    this.#writes = new WriteSet(limits);
    this.#nowMs = nowMs;
    this.#onCommitted = onCommitted;
  }

  /**
   * @template [T=V]
   * @param {string} key
   * @returns {Promise<import('../../primitives/kv/values.js').KvEntry<T> | undefined>} `version` is undefined
   *   for own writes
   * @throws {SluiceError} ERR_CONFLICT if the key, or a key read before, has changed since the
   *   first read
   */
  get(key) {
    return this.#call(() => {
      checkKey('key', key);
      return () => this.#get(key);
    });
  }

  /**
   * Like `get`, without the value.
   * @param {string} key
   * @returns {Promise<import('../../primitives/kv/values.js').KvHead | undefined>}
   */
  head(key) {
    return this.#call(() => {
      checkKey('key', key);
      return () => this.#head(key);
    });
  }

  /**
   * Like `kv.scan`, own writes included. A change anywhere in the range that was read is a conflict.
   * @template [T=V]
   * @param {import('../../primitives/kv/scan.js').KvScanOptions} [options]
   * @returns {Promise<import('../../primitives/kv/scan.js').KvPage<T>>}
   * @throws {SluiceError} ERR_CONFLICT, see `get`
   */
  scan(options) {
    return this.#call(() => {
      const scan = checkScan(options);
      return () => this.#scan(scan);
    });
  }

  /**
   * @param {string} key
   * @param {V} value copied at the call
   * @param {import('../../primitives/kv/options.js').KvSetOptions} [options]
   * @returns {Promise<void>}
   * @throws {SluiceError} ERR_CONFLICT if the condition fails; ERR_KV_FULL
   */
  set(key, value, options) {
    return this.#call(() => {
      checkKey('key', key);
      const { ttlMs, expected } = checkSet(options);
      const [data, kind] = encodedNow(value);
      return async () => {
        await this.#require(key, expected);
        if (ttlMs === KEEP_TTL) await this.#load([key], false);
        this.#writes.checkSize(key, data);
        this.#writes.put(key, { op: 'set', data, kind, ttlMs });
      };
    });
  }

  /**
   * @param {string} key
   * @param {number} [by] default 1
   * @param {import('../../primitives/kv/options.js').KvIncrementOptions} [options]
   * @returns {Promise<number>} the sum
   */
  increment(key, by = 1, options) {
    return this.#call(() => {
      checkKey('key', key);
      const step = checkIncrement(by, options);
      return async () => {
        const entry = await this.#get(key);
        const sum = nextNumber(key, entry, step.by);
        const [data, kind] = encodedNow(sum);
        this.#writes.checkSize(key, data);
        this.#writes.put(key, { op: 'set', data, kind, ttlMs: entry ? KEEP_TTL : step.ttlMs });
        return sum;
      };
    });
  }

  /**
   * @param {string} key
   * @param {import('../../primitives/kv/options.js').KvTouchOptions} [options]
   * @returns {Promise<boolean>} whether the key existed
   */
  touch(key, options) {
    return this.#call(() => {
      checkKey('key', key);
      const { ttlMs, expected } = checkTouch(options);
      return async () => {
        await this.#require(key, expected);
        if ((await this.#head(key)) === undefined) return false;
        const own = this.#writes.get(key);
        this.#writes.put(key, own?.op === 'set' ? { ...own, ttlMs } : { op: 'touch', ttlMs });
        return true;
      };
    });
  }

  /**
   * @param {string} key
   * @param {import('../../primitives/kv/options.js').KvDeleteOptions} [options]
   * @returns {Promise<void>}
   */
  delete(key, options) {
    return this.#call(() => {
      checkKey('key', key);
      const expected = checkDelete(options);
      return async () => {
        await this.#require(key, expected);
        this.#writes.put(key, { op: 'delete' });
      };
    });
  }

  /**
   * Runs the calls one after the other.
   * @template T
   * @param {() => () => T | Promise<T>} prepare checks the arguments, and returns the work to do
   * @returns {Promise<T>}
   */
  #call(prepare) {
    /** @type {() => T | Promise<T>} */
    let work;
    try {
      if (this.#isEnded) throw ended();
      work = prepare();
    } catch (error) {
      return Promise.reject(error);
    }
    const result = this.#last.then(() => {
      if (this.#isEnded) throw ended();
      return work();
    });
    this.#last = result.then(ignore, ignore);
    // A separate promise: an unhandled failure must be reported.
    const shown = result.then((value) => value);
    this.#pending.add(shown);
    const settled = () => void this.#pending.delete(shown);
    result.then(settled, settled);
    return shown;
  }

  /** @param {string} key */
  async #get(key) {
    const own = this.#writes.get(key);
    if (own?.op === 'delete') return undefined;
    if (own?.op === 'set') {
      return { value: valueOf(own.data, own.kind), ...this.#pendingHead(key, own.ttlMs) };
    }
    await this.#load([key], true);
    const entry = shownEntry(this.#reads.keys.get(key));
    if (own === undefined || entry === undefined) return entry;
    return { ...entry, ...this.#pendingHead(key, own.ttlMs) };
  }

  /** @param {string} key */
  async #head(key) {
    const own = this.#writes.get(key);
    if (own?.op === 'delete') return undefined;
    if (own?.op === 'set') {
      return { bytes: byteLengthOf(own.data), ...this.#pendingHead(key, own.ttlMs) };
    }
    await this.#load([key], false);
    const entry = this.#reads.keys.get(key);
    if (entry === undefined) return undefined;
    const { bytes, version, endMs } = entry;
    if (own !== undefined) return { bytes, ...this.#pendingHead(key, own.ttlMs) };
    return { bytes, version, expiresAt: endMs === Infinity ? undefined : endMs };
  }

  /**
   * @param {string} key that this transaction has written
   * @param {number} ttlMs
   */
  #pendingHead(key, ttlMs) {
    const keeps = ttlMs === KEEP_TTL;
    const endMs = keeps ? (this.#reads.keys.get(key)?.endMs ?? Infinity) : this.#nowMs() + ttlMs;
    const version = /** @type {number} */ (/** @type {unknown} */ (undefined));
    return { version, expiresAt: endMs === Infinity ? undefined : endMs };
  }

  /**
   * Reads those keys that have not been read yet.
   * @param {string[]} keys
   * @param {boolean} values whether to read the values
   */
  async #load(keys, values) {
    this.#checkConflict();
    const known = this.#reads.keys;
    const missing = keys.filter((key) => {
      const entry = known.get(key);
      return !known.has(key) || (values && entry !== undefined && entry.data === undefined);
    });
    if (missing.length === 0) return;
    const answer = await this.#scripts.read(missing, { values, reads: this.#readsSoFar() });
    if (answer === undefined) this.#fail();
    this.#remember(answer.version);
    for (const [i, key] of missing.entries()) this.#rememberEntry(key, answer.entries[i]);
  }

  /** @param {import('../../primitives/kv/scan.js').CheckedScan} scan */
  async #scan({ reverse, keysOnly, request }) {
    this.#checkConflict();
    const [limit] = /** @type {[number]} */ (/** @type {unknown} */ (request));
    const range = rangeOf(request);
    const direction = reverse ? -1 : 1;
    const own = this.#writes.keysIn(range, direction);
    const answer = await this.#scripts.scan(range, {
      ...{ reverse, values: !keysOnly, limit: limit + 1 + own.length, reads: this.#readsSoFar() },
    });
    if (answer === undefined) this.#fail();
    const { isMore, entries } = answer;
    this.#remember(answer.version);
    for (const { key, entry } of entries) {
      this.#rememberEntry(key, keysOnly ? { ...entry, data: undefined } : entry);
    }
    const last = entries.at(-1);
    const walked = isMore && last ? rangeUpTo(range, last.key, reverse) : range;
    this.#reads.ranges.push({ range: walked, count: entries.length });
    const items = [];
    for (const key of mergeKeys(entries, own, direction)) {
      // Keys beyond it have not been read.
      if (isMore && last && direction * compareKeys(key, last.key) > 0) break;
      const item = keysOnly ? await this.#head(key) : await this.#get(key);
      if (item === undefined) continue;
      const { version } = item;
      items.push({ key, version, ...(!keysOnly && { value: /** @type {any} */ (item).value }) });
      if (items.length > limit) break;
    }
    const page = items.slice(0, limit);
    const end = page.at(-1);
    const cursor = items.length > limit && end ? cursorBehind(end.key, reverse) : undefined;
    return /** @type {any} */ ({ items: page, cursor });
  }

  #readsSoFar() {
    return this.#hasRead ? this.#reads : undefined;
  }

  /** @param {number} version of the store at a read */
  #remember(version) {
    if (!this.#hasRead) this.#reads.start = version;
    this.#hasRead = true;
    this.#reads.checked = version;
  }

  /**
   * @param {string} key
   * @param {StoredEntry | undefined} entry
   */
  #rememberEntry(key, entry) {
    const { keys } = this.#reads;
    const known = keys.get(key);
    // The key has expired since, although the store was not changed.
    if (keys.has(key) && known?.version !== entry?.version) this.#fail();
    keys.set(key, known && entry && entry.data === undefined ? known : entry);
  }

  /** @returns {never} */
  #fail() {
    this.#conflict ??= conflictOfReads();
    throw this.#conflict;
  }

  #checkConflict() {
    if (this.#conflict !== undefined) throw this.#conflict;
  }

  /**
   * @param {string} key
   * @param {number} expected
   */
  async #require(key, expected) {
    if (expected === ANY_VERSION) return;
    const found = await this.#head(key);
    const version = found === undefined ? 0 : found.version;
    if (version !== expected) throw conflictAt(key, version);
  }

  /** @param {{isReadLate?: boolean}} [options] */
  async #commit({ isReadLate = true } = {}) {
    await Promise.all(this.#pending);
    this.#checkConflict();
    if (this.#writes.size === 0 && !(this.#hasRead && isReadLate)) return;
    const changes = this.#writes.changes();
    const answer = await this.#scripts.commit(this.#reads, changes);
    if (answer.status === 'CONFLICT') this.#fail();
    if (answer.status === 'FULL') throw this.#scripts.full(answer.limit);
    if (answer.status !== 'OK') return;
    for (const [i, { key }] of changes.entries()) {
      this.#versions.set(key, answer.changes[i].version);
    }
    this.#onCommitted(answer.changes.map(({ endMs }) => endMs));
  }

  #end() {
    this.#isEnded = true;
    // The calls reject, and their function has ended.
    for (const call of this.#pending) call.catch(ignore);
  }
}

function ended() {
  return new SluiceError('ERR_TRANSACTION_ENDED', 'the transaction has ended');
}

/**
 * Merges two ordered lists; a key in both appears once.
 * @param {{key: string}[]} entries
 * @param {string[]} own
 * @param {number} direction
 * @returns {Generator<string>}
 */
function* mergeKeys(entries, own, direction) {
  let next = 0;
  for (const { key } of entries) {
    while (next < own.length && direction * compareKeys(own[next], key) < 0) yield own[next++];
    if (own[next] === key) next += 1;
    yield key;
  }
  while (next < own.length) yield own[next++];
}
