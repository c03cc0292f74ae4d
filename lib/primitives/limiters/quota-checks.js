/** Checks of arguments, for quotas in memory and in Redis. */
import { rangeError, typeError } from '../../internal/util/errors.js';
import { checkInteger, checkMs, checkOptions, checkString } from '../../internal/util/validate.js';
import { maxKeysOf } from './keyed-limiter.js';

/** @typedef {import('./quota-types.js').WindowedLimit} WindowedLimit */
/** @typedef {import('./quota-types.js').ConcurrentLimit} ConcurrentLimit */
/** @typedef {import('./quota-types.js').QuotaAsk} QuotaAsk */

/**
 * @typedef {object} Dimension
 * @property {string} name
 * @property {number | undefined} windowMs undefined: concurrent
 */

/**
 * @template {Dimension} D
 * @typedef {{dimension: D, key: string, cost: number}} CheckedAsk
 */

export const YEAR_MS = 366 * 24 * 3600 * 1000;
const LEASES_MAX = 2 ** 31;
/** Members of an ask. */
const ASK = Object.freeze(['dimension', 'key', 'cost']);
/** Maximum entries of one reservation, and size of the numbers shared with the native side. */
export const ENTRIES_MAX = 16;
/** Name among the failed dimensions for too many open leases. */
export const LEASES = 'leases';

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {{amount: number, windowMs: number | undefined}}
 */
function checkLimit(name, value) {
  const given = /** @type {Partial<WindowedLimit & ConcurrentLimit>} */ (
    checkOptions(name, /** @type {object | undefined} */ (value), [
      'limit',
      'windowMs',
      'concurrent',
    ])
  );
  if (given.concurrent !== undefined) {
    if (given.limit !== undefined || given.windowMs !== undefined) {
      throw rangeError(`${name} takes either concurrent or limit and windowMs, not both`);
    }
    const amount = checkInteger(`${name}.concurrent`, given.concurrent, { min: 0 });
    return { amount, windowMs: undefined };
  }
  return {
    amount: checkInteger(`${name}.limit`, given.limit, { min: 0 }),
    windowMs: checkMs(`${name}.windowMs`, given.windowMs, { min: 1, max: YEAR_MS }),
  };
}

/**
 * @param {Omit<import('./quota-types.js').QuotaOptions, 'clock'>} given without unknown members
 */
export function checkQuotaOptions(given) {
  const leaseMs = checkLeaseMs(given.leaseMs, 600_000);
  const bounds = { max: LEASES_MAX, fallback: 100_000 };
  const maxLeases = checkInteger('maxLeases', given.maxLeases, bounds);
  const maxKeys = maxKeysOf(given);
  const limits = Object.entries(checkOptions('limits', given.limits)).map(([name, limit]) => {
    if (name === LEASES) throw rangeError(`limits takes any name but "${LEASES}"`);
    if (limit === undefined) throw typeError(`limits.${name} takes an object, not undefined`);
    return { name, ...checkLimit(`limits.${name}`, limit) };
  });
  if (limits.length === 0) throw rangeError('limits takes at least one dimension');
  return { leaseMs, maxLeases, maxKeys, limits };
}

/**
 * @param {number | undefined} leaseMs
 * @param {number} [fallback]
 */
export function checkLeaseMs(leaseMs, fallback) {
  return checkMs('leaseMs', leaseMs, { min: 1, max: YEAR_MS, fallback });
}

/**
 * The dimensions of a quota by name.
 * @template {Dimension} D
 */
export class Dimensions {
  /** @type {Map<string, D>} */
  #byName = new Map();

  /** @param {D} dimension */
  add(dimension) {
    this.#byName.set(dimension.name, dimension);
  }

  /**
   * @param {string} argument name of the argument
   * @param {unknown} name
   * @returns {D}
   */
  of(argument, name) {
    const dimension = this.#byName.get(checkString(argument, name));
    if (dimension === undefined) {
      const names = [...this.#byName.keys()].map((each) => `"${each}"`).join(', ');
      throw rangeError(`${argument} takes one of ${names}, not ${JSON.stringify(name)}`);
    }
    return dimension;
  }

  /**
   * @param {Record<string, number> | QuotaAsk[]} costs
   * @param {string} [given] key of the options
   * @returns {CheckedAsk<D>[]}
   */
  asksOf(costs, given) {
    const key = given === undefined ? '' : checkString('key', given);
    const asks = Array.isArray(costs)
      ? costs.map((ask, i) => this.#askOf(ask, i, key))
      : Object.entries(checkOptions('costs', costs)).map(([name, cost]) => ({
          dimension: this.of('costs', name),
          key,
          cost: checkInteger(`costs.${name}`, cost, { min: 0 }),
        }));
    if (asks.length === 0 || asks.length > ENTRIES_MAX) {
      throw rangeError(`costs takes 1 to ${ENTRIES_MAX} entries, not ${asks.length}`);
    }
    for (let i = 1; i < asks.length; i += 1) {
      const { dimension, key: own } = asks[i];
      for (let j = 0; j < i; j += 1) {
        if (asks[j].dimension !== dimension || asks[j].key !== own) continue;
        throw rangeError(`costs takes a dimension and key once: costs[${i}] repeats one`);
      }
    }
    return asks;
  }

  /**
   * @param {unknown} ask
   * @param {number} index
   * @param {string} key
   */
  #askOf(ask, index, key) {
    const name = `costs[${index}]`;
    const given = /** @type {Partial<QuotaAsk>} */ (
      checkOptions(name, /** @type {object | undefined} */ (ask), ASK)
    );
    const { dimension, key: own, cost } = given;
    const known = dimension === undefined ? undefined : this.#byName.get(dimension);
    const isPlain = typeof own === 'string' && Number.isSafeInteger(cost) && Number(cost) >= 0;
    // Build the names for errors only after a failed check: they cost more than the checks.
    if (known !== undefined && isPlain) return { dimension: known, key: own, cost: Number(cost) };
    return {
      dimension: this.of(`${name}.dimension`, given.dimension),
      key: given.key === undefined ? key : checkString(`${name}.key`, given.key),
      cost: checkInteger(`${name}.cost`, given.cost, { min: 0, fallback: 1 }),
    };
  }

  /**
   * @param {string} name
   * @param {Partial<WindowedLimit & ConcurrentLimit> | null} limit
   * @param {string} [key]
   * @returns {{dimension: D, limit: {amount: number, windowMs: number | undefined} | null}} null: the common
   *   limit is restored for the key
   */
  changeOf(name, limit, key) {
    const dimension = this.of('name', name);
    if (key !== undefined) checkString('key', key);
    if (limit === null) {
      if (key === undefined) throw typeError('limit takes null only with a key');
      return { dimension, limit };
    }
    const checked = checkLimit('limit', {
      ...(dimension.windowMs === undefined ? {} : { windowMs: dimension.windowMs }),
      ...checkOptions('limit', limit),
    });
    if ((checked.windowMs === undefined) !== (dimension.windowMs === undefined)) {
      throw rangeError(`limit must be of the kind of "${name}": concurrent, or limit and windowMs`);
    }
    if (key !== undefined && checked.windowMs !== dimension.windowMs) {
      throw rangeError(`limit.windowMs takes the window of "${name}" where a key is given`);
    }
    return { dimension, limit: checked };
  }
}
