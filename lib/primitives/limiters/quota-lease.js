import { rangeError, typeError } from '../../internal/util/errors.js';
import { checkInteger, checkOptions, checkString } from '../../internal/util/validate.js';

/**
 * The outcome for one dimension and key; times in seconds.
 * @typedef {object} QuotaEntry
 * @property {string} dimension
 * @property {string} key
 * @property {number} cost the requested amount
 * @property {boolean} allowed whether this entry alone would have been granted
 * @property {number} limit
 * @property {number | undefined} windowMs undefined for a concurrent one
 * @property {number} remaining amount available now, after this request
 * @property {number} retryAfter 0 if it did not fail; Infinity if it can never be granted; for a
 *   concurrent dimension, until enough leases have expired, or less if they end before
 * @property {number} resetAfter until all usage has expired
 */

/**
 * @typedef {object} Answer
 * @property {boolean} allowed
 * @property {number} retryAfter
 * @property {string[]} failed
 * @property {QuotaEntry[]} entries
 * @property {number | null} id
 * @property {number | null} expiresAt
 * @typedef {object} LeaseEnder
 * @property {(id: number, used: number[], now?: number | bigint) => boolean} settle negative: as reserved
 * @property {(id: number, now?: number | bigint) => boolean} release
 * @property {(id: number, leaseMs?: number, now?: number | bigint) => boolean} renew
 */

/**
 * A quota's answer to a reservation and, if it was allowed, the lease on the reserved amounts. The lease is
 * ended once: by `settle`, by `release`, or by expiry.
 */
export class QuotaLease {
  #end;

  /**
   * @param {Answer} answer
   * @param {LeaseEnder} end of all leases of the quota
   */
  constructor(answer, end) {
    /** Whether everything was reserved; if not, nothing was reserved. */
    this.allowed = answer.allowed;
    /** The longest `retryAfter` of the failed entries, in seconds; 0 when allowed. */
    this.retryAfter = answer.retryAfter;
    /**
     * Names of the dimensions that failed; `leases` when too many leases are open.
     * @type {string[]}
     */
    this.failed = answer.failed;
    /**
     * One entry per cost, in the given order.
     * @type {QuotaEntry[]}
     */
    this.entries = answer.entries;
    /**
     * Id of the lease; null if denied.
     * @type {number | null}
     */
    this.id = answer.id;
    /**
     * Expiry in seconds of the quota's clock, or of the given `now`; null if denied.
     * @type {number | null}
     */
    this.expiresAt = answer.expiresAt;
    this.#end = end;
  }

  /**
   * The entries by dimension. Of several entries of one dimension, the one closest to its limit.
   * @returns {Record<string, QuotaEntry>}
   */
  get dimensions() {
    /** @type {Map<string, QuotaEntry>} */
    const dimensions = new Map();
    for (const entry of this.entries) {
      const other = dimensions.get(entry.dimension);
      const closer =
        other === undefined ||
        entry.retryAfter > other.retryAfter ||
        (entry.retryAfter === other.retryAfter && entry.remaining < other.remaining);
      if (closer) dimensions.set(entry.dimension, entry);
    }
    return Object.fromEntries(dimensions);
  }

  /**
   * Ends the lease and charges actual use. The unused part of a cost is given back at once; use
   * beyond the cost is charged too, so that the balance may be negative until it refills. Concurrent
   * dimensions are always freed in full.
   * @param {number | Record<string, number> | {dimension: string, key?: string, cost: number}[]
   *   } [actual] by dimension, for all of its keys in this lease; or a list; or a number if one
   *   windowed dimension was reserved. An omitted dimension is charged as reserved
   * @param {{now?: number | bigint}} [options]
   * @returns {boolean} false, without effect, when the lease has ended already (settled, released or
   *   expired) or was denied
   */
  settle(actual, options) {
    const { now } = checkOptions('options', options, ['now']);
    const used = this.#usedOf(actual);
    return this.id !== null && this.#end.settle(this.id, used, now);
  }

  /**
   * Ends the lease and returns everything, requests included: for work that never began.
   * @param {{now?: number | bigint}} [options]
   * @returns {boolean} see `settle`
   */
  release(options) {
    const { now } = checkOptions('options', options, ['now']);
    return this.id !== null && this.#end.release(this.id, now);
  }

  /**
   * Moves the lease's expiry to `leaseMs` (default: the quota's) from now.
   * @param {{leaseMs?: number, now?: number | bigint}} [options]
   * @returns {boolean} see `settle`
   */
  renew(options) {
    const { leaseMs, now } = checkOptions('options', options, ['leaseMs', 'now']);
    return this.id !== null && this.#end.renew(this.id, leaseMs, now);
  }

  /**
   * @param {Parameters<QuotaLease['settle']>[0]} actual
   * @returns {number[]} amount for each entry; -1: as reserved
   */
  #usedOf(actual) {
    const used = this.entries.map(() => -1);
    if (actual === undefined) return used;
    if (typeof actual === 'number') return this.#usedOf({ [this.#onlyDimension()]: actual });
    const list = Array.isArray(actual)
      ? actual.map((each, i) => {
          const name = `actual[${i}]`;
          const given = checkOptions(name, each, ['dimension', 'key', 'cost']);
          checkString(`${name}.dimension`, given.dimension);
          return { ...given, name, amount: `${name}.cost` };
        })
      : Object.entries(checkOptions('actual', actual)).map(([dimension, cost]) => {
          const name = `actual.${dimension}`;
          return { dimension, key: undefined, cost, name, amount: name };
        });
    for (const { dimension, key, cost, name, amount } of list) {
      checkInteger(amount, cost, { min: 0 });
      let found = false;
      for (const [i, entry] of this.entries.entries()) {
        if (entry.dimension !== dimension) continue;
        if (key !== undefined && entry.key !== key) continue;
        if (entry.windowMs !== undefined) used[i] = cost;
        found = true;
      }
      if (!found) {
        throw rangeError(`${name} takes reserved dimensions; "${dimension}" was not reserved`);
      }
    }
    return used;
  }

  /** @returns {string} the only windowed dimension that was reserved, to which a plain number refers */
  #onlyDimension() {
    const windowed = this.entries.filter(({ windowMs }) => windowMs !== undefined);
    const [name, ...others] = new Set(windowed.map(({ dimension }) => dimension));
    if (name === undefined || others.length > 0) {
      throw typeError('actual takes an object with costs by dimension where there is not just one');
    }
    return name;
  }
}
