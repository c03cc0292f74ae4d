/**
 * What a quota answers to a reservation, and, if it was allowed, the lease on what was reserved.
 */
import { rangeError, typeError } from '../../internal/util/errors.js';
import { checkInteger, checkOptions, checkString } from '../../internal/util/validate.js';

/**
 * @typedef {import('./quota.js').QuotaEntry} QuotaEntry
 * @typedef {object} Answer
 * @property {boolean} allowed
 * @property {number} retryAfter
 * @property {string[]} failed
 * @property {QuotaEntry[]} entries
 * @property {number | null} id
 * @property {number | null} expiresAt
 * @typedef {object} LeaseEnder
 * @property {(used: number[], now?: number) => boolean} settle negative: as reserved
 * @property {(now?: number) => boolean} release
 * @property {(leaseMs?: number, now?: number) => boolean} renew
 */

export class QuotaLease {
  #end;

  /**
   * @param {Answer} answer
   * @param {LeaseEnder} end
   */
  constructor(answer, end) {
    /** Whether everything was reserved; if not, nothing was. */
    this.allowed = answer.allowed;
    /** The longest `retryAfter` of those that failed, in seconds; 0 when allowed. */
    this.retryAfter = answer.retryAfter;
    /**
     * Names of the dimensions that failed; `leases` when too many leases are open.
     * @type {string[]}
     */
    this.failed = answer.failed;
    /**
     * One for each cost, in the order given.
     * @type {QuotaEntry[]}
     */
    this.entries = answer.entries;
    /**
     * Of the lease; null when denied.
     * @type {number | null}
     */
    this.id = answer.id;
    /**
     * In seconds of the quota's clock, or of the `now` that was given; null when denied.
     * @type {number | null}
     */
    this.expiresAt = answer.expiresAt;
    this.#end = end;
  }

  /**
   * The entries by dimension. Of several of one dimension, the one that is closest to its limit.
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
   * Ends the lease at what was used. What is left of a cost is given back at once; what was used
   * beyond it is charged too, so that the balance may become negative until time has paid it off.
   * Concurrent dimensions are freed whole, whatever is said of them.
   * @param {number | Record<string, number> | {dimension: string, key?: string, cost: number}[]
   *   } [actual] by dimension, for every key of it in this lease; or a list; or a number, where one
   *   dimension per time was reserved. What is not named is settled at what was reserved
   * @param {{now?: number}} [options]
   * @returns {boolean} false, and nothing happens, when the lease has ended already (settled,
   *   released or expired) or was denied
   */
  settle(actual, options) {
    const { now } = checkOptions('options', options);
    const used = this.#usedOf(actual);
    return this.id !== null && this.#end.settle(used, now);
  }

  /**
   * Ends the lease and gives back everything, the requests too: for work that never began.
   * @param {{now?: number}} [options]
   * @returns {boolean} as `settle`
   */
  release(options) {
    const { now } = checkOptions('options', options);
    return this.id !== null && this.#end.release(now);
  }

  /**
   * Has the lease expire `leaseMs` (default: the quota's) from now.
   * @param {{leaseMs?: number, now?: number}} [options]
   * @returns {boolean} as `settle`
   */
  renew(options) {
    const { leaseMs, now } = checkOptions('options', options);
    return this.id !== null && this.#end.renew(leaseMs, now);
  }

  /**
   * @param {Parameters<QuotaLease['settle']>[0]} actual
   * @returns {number[]} for each entry, -1 for what was reserved
   */
  #usedOf(actual) {
    const used = this.entries.map(() => -1);
    if (typeof actual === 'number') return this.#usedOf({ [this.#onlyDimension()]: actual });
    const list = Array.isArray(actual)
      ? actual.map((each, i) => {
          const name = `actual[${i}]`;
          const given = checkOptions(name, each);
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
      if (!found) throw rangeError(`${name} takes what was reserved, and "${dimension}" was not`);
    }
    return used;
  }

  /** @returns {string} the one dimension per time that was reserved, for which a number will do */
  #onlyDimension() {
    const windowed = this.entries.filter(({ windowMs }) => windowMs !== undefined);
    const [name, ...others] = new Set(windowed.map(({ dimension }) => dimension));
    if (name === undefined || others.length > 0) {
      throw typeError('actual takes an object with costs by dimension where there is not just one');
    }
    return name;
  }
}
