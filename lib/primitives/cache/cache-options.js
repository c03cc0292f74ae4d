/**
 * The options of an LruTtlCache and of its methods, checked.
 */
import { types } from 'node:util';
import { typeError } from '../../internal/util/errors.js';
import { v8 } from '../../internal/util/packages.js';
import {
  checkClock,
  checkFunction,
  checkInteger,
  checkMs,
  checkOptions,
} from '../../internal/util/validate.js';

/** A Map holds at most 2^24 keys, including deleted ones that it has not yet removed. */
const ENTRIES_MAX = 2 ** 23;
/** A century. */
const SPAN_MS_MAX = 100 * 365 * 24 * 3600 * 1000;

const OPTIONS = Object.freeze([
  'maxEntries',
  'maxBytes',
  'ttlMs',
  'staleWhileRevalidateMs',
  'staleOnErrorMs',
  'loadTimeoutMs',
  'onEvict',
  'onRefreshError',
  'clock',
]);
export const ENTRY_OPTIONS = Object.freeze([
  'ttlMs',
  'staleWhileRevalidateMs',
  'staleOnErrorMs',
  'size',
]);
export const FETCH_OPTIONS = Object.freeze([...ENTRY_OPTIONS, 'timeoutMs', 'signal']);

/** @typedef {import('./lru-ttl-table.js').EvictReason} EvictReason */

/**
 * @template K, V
 * @typedef {object} LruTtlCacheOptions at least one of `maxEntries` and `maxBytes`
 * @property {number} [maxEntries] default and maximum 8388608
 * @property {number} [maxBytes] maximum sum of the sizes of all entries
 * @property {number} [ttlMs] time to live of an entry; default Infinity
 * @property {number} [staleWhileRevalidateMs] time after the time to live during which `fetch` still returns
 *   the old value at once, and loads a new one in the background; default 0
 * @property {number} [staleOnErrorMs] time after the time to live during which `fetch` returns the old value if
 *   the load fails; default 0
 * @property {number} [loadTimeoutMs] time limit of a load; default 60000
 * @property {(key: K, value: V, reason: EvictReason) => void} [onEvict] called once for every value
 *   that leaves the cache or is not stored. The cache is then already in its new state, and may
 *   be used; an error that it throws becomes an uncaught exception
 * @property {(key: K, error: unknown) => void} [onRefreshError] called with the error of a load that reaches no
 *   caller, because it ran in the background or a stale value was returned instead; an error that
 *   it throws becomes an uncaught exception
 * @property {import('../../internal/time/clock.js').ManualClock} [clock] default: the monotonic clock
 */

/**
 * @typedef {object} EntryOptions defaults: those of the cache
 * @property {number} [ttlMs] 0: expires as soon as the clock moves
 * @property {number} [staleWhileRevalidateMs]
 * @property {number} [staleOnErrorMs]
 * @property {number} [size] in bytes. Default with `maxBytes`: the length of a string as UTF-8, of a
 *   buffer or of a view, and of a structured clone of any other value; since this makes the clone, give
 *   large objects a size. A value that cannot be cloned needs a size. Default without `maxBytes`: 0
 */

/**
 * @template K, V
 * @typedef {object} FetchOptions a load uses those of the caller that starts it
 * @property {AbortSignal} [signal] of this caller only
 * @property {number} [ttlMs] of the entry
 * @property {number} [staleWhileRevalidateMs] of the entry, and for this call
 * @property {number} [staleOnErrorMs] of the entry, and for this call
 * @property {number | ((value: V, key: K) => number)} [size] of the entry
 * @property {number} [timeoutMs] default: the cache's `loadTimeoutMs`; Infinity for none
 */

/**
 * Lookups are the calls of `get` and `fetch`: hits + misses + joins. `has`, `peek`, `getRemainingTTL`
 * and iteration do not count.
 * @typedef {object} CacheMetrics
 * @property {number} hits lookups that found a value, stale ones of `staleWhileRevalidateMs` included
 * @property {number} misses lookups without a value or with an expired one; a `fetch` that started a load
 * @property {number} joins calls of `fetch` that joined a running load
 * @property {number} evictions entries dropped or not stored for lack of room
 * @property {number} expirations entries dropped because they had expired
 */

/**
 * A load, and how its value is stored.
 * @template K, V
 * @typedef {object} LoadOptions
 * @property {Loader<K, V>} loader
 * @property {Spans} spans
 * @property {number} timeoutMs
 * @property {FetchOptions<K, V>['size']} size
 */

/**
 * @template K, V
 * @typedef {(key: K, options: {signal: AbortSignal}) => V | PromiseLike<V>} Loader
 */

/**
 * The time for which a value is fresh, and the further times for which `fetch` may use it.
 * @typedef {{ttlMs: number, staleWhileRevalidateMs: number, staleOnErrorMs: number}} Spans
 */

/**
 * @template K, V
 * @param {LruTtlCacheOptions<K, V>} options
 */
export function checkCacheOptions(options) {
  const given = checkOptions('options', options, OPTIONS);
  if (given.maxEntries === undefined && given.maxBytes === undefined) {
    throw typeError('options takes maxEntries, maxBytes or both: a cache needs a bound');
  }
  const max = ENTRIES_MAX;
  /** @type {NonNullable<LruTtlCacheOptions<K, V>['onRefreshError']>} */
  const onRefreshError = checkFunction('onRefreshError', given.onRefreshError ?? (() => {}));
  /** @type {LruTtlCacheOptions<K, V>['onEvict']} */
  const onGone = given.onEvict === undefined ? undefined : checkFunction('onEvict', given.onEvict);
  return {
    maxEntries: checkInteger('maxEntries', given.maxEntries, { max, fallback: max }),
    maxBytes: checkInteger('maxBytes', given.maxBytes, { fallback: Number.MAX_SAFE_INTEGER }),
    sized: given.maxBytes !== undefined,
    spans: spansOf(given, { ttlMs: Infinity, staleWhileRevalidateMs: 0, staleOnErrorMs: 0 }),
    loadTimeoutMs: checkMs('loadTimeoutMs', given.loadTimeoutMs, {
      fallback: 60_000,
      infinite: true,
    }),
    onGone,
    onRefreshError,
    clock: checkClock('clock', given.clock),
  };
}

/**
 * @param {Partial<Spans>} given
 * @param {Spans} defaults
 * @returns {Spans}
 */
export function spansOf(given, defaults) {
  const names = /** @type {const} */ (['ttlMs', 'staleWhileRevalidateMs', 'staleOnErrorMs']);
  const spans = { ...defaults };
  for (const name of names) {
    if (given[name] === undefined) continue;
    spans[name] = checkMs(name, given[name], { max: SPAN_MS_MAX, infinite: true });
  }
  return spans;
}

/**
 * Time after the time to live for which an entry may be used.
 * @param {Spans} spans
 */
export function keepMsOf({ staleWhileRevalidateMs, staleOnErrorMs }) {
  return Math.max(staleWhileRevalidateMs, staleOnErrorMs);
}

/** @param {unknown} value */
export function checkSize(value) {
  return checkInteger('size', value, { min: 0 });
}

/**
 * @param {unknown} value
 * @param {number | undefined} given
 * @param {boolean} sized whether the cache has a bound in bytes
 * @returns {number}
 */
export function sizeOf(value, given, sized) {
  if (given !== undefined) return checkSize(given);
  if (!sized) return 0;
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) return value.byteLength;
  try {
    return v8().serialize(value).byteLength;
  } catch {
    throw typeError(
      'size takes an integer: with maxBytes, a value that cannot be cloned needs one',
    );
  }
}
