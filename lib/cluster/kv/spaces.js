import {
  ANSWER_BYTES_MAX,
  WATCH_BYTES,
  changesOf,
  checkKeyBytes,
  jsonBytesOf,
  maxKeyBytesOf,
  spaceOf,
} from '../../primitives/kv/namespaces.js';
import { ANY_VERSION, checkSet } from '../../primitives/kv/options.js';
import { cursorBehind } from '../../primitives/kv/scan.js';
import { conflictAt } from '../../primitives/kv/errors.js';
import { finish } from '../../internal/util/steps.js';
import { encodeValue } from '../../primitives/kv/values.js';
import { waitAtMost } from '../../internal/time/wait-at-most.js';
import { redisUnavailable } from '../../jobs/errors.js';
import { KvStoreInRedis } from './store.js';
import { SharedKv, sharedKvControl } from './shared-kv.js';
import { control } from './transaction.js';
import { ttlToWire } from './wire.js';

/** @typedef {import('../../primitives/kv/port.js').KvPort} KvPort */
/** @typedef {import('../../primitives/kv/port.js').KvSpace} KvSpace */
/** @typedef {import('./transaction.js').SharedKvTransaction<any>} SharedKvTransaction */

/** Key of the gateway's store, without the prefix. */
const STORE = 'kv:gateway';
/** Number of retries of a change whose keys have changed meanwhile. */
const CONFLICTS_MAX = 100;
/** How long a watch waits for its subscription. */
const WATCH_MS = 2000;

/**
 * Keys and values of principals in Redis, shared by all processes of a deployment; the counterpart of `LocalKv` in
 * one process. Expiry follows Redis's clock. Main thread; `close()` ends it.
 * @implements {KvPort}
 */
export class SharedKvSpaces {
  #calls;
  #limits;
  #store;
  #closing = new AbortController();

  /**
   * @param {object} deps
   * @param {import('../client/script-calls.js').ScriptCalls} deps.calls
   * @param {string} deps.prefix of all keys
   * @param {import('./change-feed.js').Subscribe} deps.subscribe
   * @param {import('../../primitives/kv/options.js').KvPartitionLimits} deps.limits
   */
  constructor({ calls, prefix, subscribe, limits }) {
    this.#calls = calls;
    this.#limits = limits;
    this.#store = new KvStoreInRedis({ calls, subscribe, name: STORE, prefix });
  }

  get open() {
    return !this.#closing.signal.aborted;
  }

  get watchBytes() {
    return this.#store.watches.bytes;
  }

  /** @param {string} principal */
  of(principal) {
    return new SharedKvSpace(spaceOf(principal), {
      calls: this.#calls,
      store: this.#store,
      limits: this.#limits,
    });
  }

  /** @type {KvPort['watch']} */
  watch({ prefix: name }, { prefix, signal }) {
    const closing = this.#closing.signal;
    const changes = this.#store.watches.add(this.#store.feed, {
      prefix: name + prefix,
      capacityBytes: WATCH_BYTES,
      signal: AbortSignal.any([signal, closing]),
    });
    return changesOf(changes, { name, closing });
  }

  async watching() {
    // Rejects while Redis is away.
    await this.#store.figures({ ready: false });
    await waitAtMost(this.#store.feed.ready, WATCH_MS, redisUnavailable);
  }

  checkRoom() {}

  checkWritable() {}

  async synced() {}

  /** @type {KvPort['expiryOf']} */
  expiryOf({ expiresAt }) {
    return expiresAt === undefined ? null : Math.round(expiresAt) / 1000;
  }

  /** @param {string} principal */
  async erase(principal) {
    await this.of(principal).clear();
  }

  close() {
    this.#closing.abort();
    this.#store.close();
  }
}

/** @implements {KvSpace} The keys of one principal in Redis. */
class SharedKvSpace {
  #kv;
  #maxKeyBytes;
  #prefix;

  /**
   * @param {string} space
   * @param {object} deps
   * @param {import('../client/script-calls.js').ScriptCalls} deps.calls
   * @param {KvStoreInRedis} deps.store
   * @param {import('../../primitives/kv/options.js').KvPartitionLimits} deps.limits
   */
  constructor(space, { calls, store, limits }) {
    const { maxKeysPerPrincipal: maxKeys, maxBytesPerPrincipal: maxBytes } = limits;
    this.#prefix = `${space}/`;
    this.#maxKeyBytes = maxKeyBytesOf(limits);
    this.#kv = new SharedKv({ calls, store, limits, space, share: { maxKeys, maxBytes } });
  }

  /** Prefix of its keys in watches, unique to the principal. */
  get prefix() {
    return this.#prefix;
  }

  /** @type {KvSpace['get']} */
  async get(key) {
    return this.#kv.get(this.#checked(key));
  }

  /** @type {KvSpace['versionOf']} */
  async versionOf(key) {
    return sharedKvControl.versionOf(this.#kv, this.#checked(key));
  }

  /** @type {KvSpace['put']} */
  async put(key, value, { ttlMs, ifVersion }) {
    const options = checkSet({ ttlMs, ifVersion });
    return sharedKvControl.set(this.#kv, this.#checked(key), value, options);
  }

  /** @type {KvSpace['delete']} */
  async delete(key, options) {
    return this.#kv.delete(this.#checked(key), options);
  }

  /** @type {KvSpace['change']} */
  async change(key, { increment, ttlMs = Infinity, ifVersion }) {
    this.#checked(key);
    const ttl = ttlToWire(ttlMs);
    const expected = ifVersion ?? ANY_VERSION;
    if (increment === undefined) {
      const touched = await sharedKvControl.change(this.#kv, key, { op: 'touch', ttl }, expected);
      return changedOf(/** @type {NonNullable<typeof touched>} */ (touched));
    }
    if (Number.isSafeInteger(increment)) {
      const [text, kind] = encodeValue(increment);
      const add = { op: /** @type {const} */ ('add'), data: String(text), kind, ttl };
      const added = await sharedKvControl.change(this.#kv, key, add, expected);
      if (added !== undefined) return { ...changedOf(added), value: Number(added.sum) };
    }
    return this.#addSlowly(key, { increment, ttlMs, ifVersion });
  }

  /**
   * Reports an `add` whose value or sum is not an integer.
   * @param {string} key
   * @param {{increment: number, ttlMs: number, ifVersion: number | undefined}} change
   * @returns {Promise<import('../../primitives/kv/port.js').Changed>}
   */
  async #addSlowly(key, { increment, ttlMs, ifVersion }) {
    let version = 0;
    /** @param {SharedKvTransaction} tx */
    const work = async (tx) => {
      const before = await tx.head(key);
      const previous = before?.version ?? 0;
      if (ifVersion !== undefined && ifVersion !== previous) throw conflictAt(key, previous);
      const value = await tx.increment(key, increment, { ttlMs });
      const after = await tx.head(key);
      return { previous, value, expiresAt: after?.expiresAt };
    };
    const changed = await sharedKvControl.transact(this.#kv, work, {
      retries: CONFLICTS_MAX,
      done: (_result, tx) => (version = control.versionOf(tx, key)),
    });
    return { ...changed, version };
  }

  /** @type {KvSpace['scan']} */
  async scan({ prefix, limit, cursor, reverse, keysOnly = false }) {
    const options = { prefix, limit, cursor, reverse, keysOnly };
    // JSON is never shorter than the stored bytes.
    const page = await sharedKvControl.scan(
      this.#kv,
      options,
      keysOnly ? Infinity : ANSWER_BYTES_MAX,
    );
    const { items } = page;
    let bytes = 0;
    for (const [i, { value }] of keysOnly ? [] : items.entries()) {
      bytes += jsonBytesOf(value);
      if (bytes <= ANSWER_BYTES_MAX || i === 0) continue;
      return { items: items.slice(0, i), cursor: cursorBehind(items[i - 1].key, reverse) };
    }
    return page;
  }

  /**
   * See `KvSpace.transact`.
   * @template T
   * @param {(tx: import('../../primitives/kv/port.js').SpaceTransaction) => Generator<any, T, any>} work
   * @param {(result: T, versionOf: (key: string) => number) => void} done called after the commit
   * @returns {Promise<T>}
   */
  transact(work, done) {
    /** @param {SharedKvTransaction} tx */
    const run = (tx) => finish(work(this.#transaction(tx)));
    return sharedKvControl.transact(this.#kv, run, {
      ...{ retries: CONFLICTS_MAX, isReadLate: false },
      done: (result, tx) => done(result, (key) => control.versionOf(tx, key)),
    });
  }

  /** Deletes all keys. */
  clear() {
    return sharedKvControl.clear(this.#kv);
  }

  /**
   * @param {SharedKvTransaction} tx
   * @returns {import('../../primitives/kv/port.js').SpaceTransaction}
   */
  #transaction(tx) {
    return {
      get: (key) => tx.get(this.#checked(key)),
      head: (key) => tx.head(this.#checked(key)),
      set: (key, value, options) => tx.set(this.#checked(key), value, options),
      increment: (key, by, options) => tx.increment(this.#checked(key), by, options),
      touch: (key, options) => tx.touch(this.#checked(key), options),
      delete: (key) => tx.delete(this.#checked(key)),
      preload: (keys, options) =>
        control.preload(
          tx,
          keys.map((key) => this.#checked(key)),
          options,
        ),
    };
  }

  /** @param {string} key */
  #checked(key) {
    return checkKeyBytes(key, this.#maxKeyBytes);
  }
}

/** @param {import('./space.js').Committed} committed */
function changedOf({ version, previous, endMs }) {
  return { version, previous, expiresAt: endMs === Infinity ? undefined : endMs };
}
