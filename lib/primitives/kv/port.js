/** The interface between the routes of `/v1/kv` and a store of keys and values. This file has types only. */

/** @typedef {import('./values.js').KvEntry<any>} KvEntry */

/**
 * The keys of one principal. Methods return their result or a promise, and throw the errors of a KvStore.
 * `ifVersion` is a condition: ERR_CONFLICT if the key has another version (0: the key is absent).
 * @typedef {object} KvSpace
 * @property {string} prefix unique; watches find their changes by it
 * @property {(key: string) => KvEntry | undefined | Promise<KvEntry | undefined>} get
 * @property {(key: string) => number | Promise<number>} versionOf 0: the key is absent
 * @property {(key: string, value: any, options: {ttlMs?: number, ifVersion?: number}) =>
 *   Written | Promise<Written>} put
 * @property {(key: string, options: {ifVersion?: number}) => boolean | Promise<boolean>} delete
 *   returns whether the key existed
 * @property {(key: string, change: {increment?: number, ttlMs?: number, ifVersion?: number}) =>
 *   Changed | Promise<Changed>} change adds to a number, changes the time to live of an existing key, or
 *   both; with `increment`, `ttlMs` applies only to a new key
 * @property {(options: {prefix: string, limit: number, cursor?: string, reverse?: boolean,
 *   keysOnly?: boolean}) => import('./scan.js').KvPage<any> | Promise<import('./scan.js').KvPage<any>>} scan
 *   returns a page of up to `limit` items and 4 MiB of JSON; a single item may be larger
 * @property {<T>(work: (tx: SpaceTransaction) => Generator<any, T, any>,
 *   done: (result: T, versionOf: (key: string) => number) => void) => T | Promise<T>} transact runs a
 *   transaction. `work` yields every call of `tx` and receives its result; it runs again after a conflict.
 *   `done` is called after the commit, with the versions of the written keys
 */

/** @typedef {{version: number, previous: number}} Written `previous` 0: the key was absent */
/**
 * `value`: the sum of an increment; `version` 0: the key is absent.
 * @typedef {Written & {value?: number, expiresAt: number | undefined}} Changed
 */

/**
 * Methods of a transaction; each returns a result or a promise.
 * @typedef {object} SpaceTransaction
 * @property {(key: string) => unknown} get
 * @property {(key: string) => unknown} head like `get`, without the value
 * @property {(key: string, value: any, options?: import('./options.js').KvSetOptions) => unknown} set
 * @property {(key: string, by: number, options?: import('./options.js').KvIncrementOptions) => unknown} increment
 * @property {(key: string, options?: import('./options.js').KvTouchOptions) => unknown} touch
 * @property {(key: string) => unknown} delete
 * @property {(keys: string[], options: {values: boolean}) => unknown} preload reads several keys, or their heads, in
 *   one call, for the reads that follow
 */

/**
 * The keys of all principals.
 * @typedef {object} KvPort
 * @property {boolean} open whether watches may begin
 * @property {number} watchBytes bytes of unread changes in all watches
 * @property {(principal: string) => KvSpace} of
 * @property {(space: KvSpace, options: {prefix: string, signal: AbortSignal}) =>
 *   AsyncIterable<import('./watch.js').KvChange<any>>} watch yields the later changes of the space's keys, each once
 *   it is as durable as an answer; ends with the signal, and when the gateway closes
 * @property {() => Promise<void>} watching resolves once the watches receive changes. Rejects with an HttpError 503
 * @property {(principal: string) => void} checkRoom must be called before a request adds data. Throws an HttpError:
 *   507, 503
 * @property {() => void} checkWritable must be called before a request removes data. For errors see `checkRoom`
 * @property {(version?: number) => Promise<void>} synced resolves when the changes up to a version, or all so far,
 *   are durable. Rejects with an HttpError 507 or 503
 * @property {(entry: {expiresAt: number | undefined}) => number | null} expiryOf Unix seconds; null: never
 * @property {(principal: string) => void | Promise<void>} erase deletes all keys of a principal
 * @property {() => void} close ends every watch
 */

export {};
