/** @typedef {import('../policy/config.js').Limits} Limits */
/** @typedef {import('../policy/access-control.js').Budget} Budget */
/** @typedef {'requests' | 'tokens' | 'concurrent_jobs'} DimensionName */

const MINUTE_MS = 60_000;

/**
 * Placeholder if there is no common limit; every key of the dimension has its own limit.
 */
const UNLIMITED = 2 ** 31 - 1;

/** Principals with limits from a hook; beyond this the least recently seen is dropped. */
const GIVEN_MAX = 100_000;

/**
 * A dimension's name by the limit that it has in a configuration.
 * @type {Readonly<Record<keyof Limits, DimensionName>>}
 */
const dimensionOf = Object.freeze({
  requests_per_minute: 'requests',
  tokens_per_minute: 'tokens',
  concurrent_jobs: 'concurrent_jobs',
});

/** The same as pairs, in the order of requests and headers. */
export const dimensions = Object.freeze(
  /** @type {[keyof Limits, DimensionName][]} */ (Object.entries(dimensionOf)),
);

/**
 * Key of a budget in the quota.
 * @param {Pick<Budget, 'scope' | 'name'>} budget
 * @returns {string}
 */
export function keyOf({ scope, name }) {
  return `${scope}:${name}`;
}

/**
 * @returns {import('../../primitives/limiters/quota.js').QuotaOptions['limits']} initial limits of
 *   a gateway's quota
 */
export function initialLimits() {
  return {
    requests: { limit: UNLIMITED, windowMs: MINUTE_MS },
    tokens: { limit: UNLIMITED, windowMs: MINUTE_MS },
    concurrent_jobs: { concurrent: UNLIMITED },
  };
}

/**
 * The dimensions of a gateway's quota, and the limit of each key in them: the common limit, a
 * configured one, or one from an `authenticate` hook. Main thread; lives with its quota.
 */
export class LimitTable {
  #quota;
  /** @type {Limits} */
  #common = {};
  /**
   * @type {Map<string, Readonly<Limits>>} limits in force, by key; other keys have the common
   *   limits
   */
  #own = new Map();
  /** @type {Map<string, Readonly<Limits>>} by key */
  #configured = new Map();
  /** @type {Set<string>} keys with limits from a hook, least recently seen first */
  #given = new Set();

  /** @param {import('../../primitives/limiters/quota.js').Quota} quota made with `initialLimits()` */
  constructor(quota) {
    this.#quota = quota;
  }

  /**
   * Replaces the configuration. Existing use still counts.
   * @param {Readonly<Limits>} common of principals without limits of their own
   * @param {Iterable<Budget>} budgets that have limits
   */
  configure(common, budgets) {
    for (const [limit, name] of dimensions) {
      if (this.#common[limit] === common[limit]) continue;
      this.#quota.setLimit(name, amountOf(name, common[limit] ?? UNLIMITED));
    }
    this.#common = { ...common };
    const before = this.#configured;
    this.#configured = new Map();
    for (const budget of budgets) this.#configured.set(keyOf(budget), budget.limits);
    for (const [key, limits] of this.#configured) {
      this.#given.delete(key);
      this.#change(key, limits);
    }
    for (const key of before.keys()) {
      if (!this.#configured.has(key) && !this.#given.has(key)) this.#change(key, undefined);
    }
  }

  /**
   * Sets the limits of a principal that a hook returned.
   * @param {Budget} budget
   */
  give(budget) {
    const key = keyOf(budget);
    this.#change(key, budget.limits);
    this.#given.delete(key);
    this.#given.add(key);
    if (this.#given.size <= GIVEN_MAX) return;
    const [oldest] = this.#given;
    this.#given.delete(oldest);
    this.#change(oldest, this.#configured.get(oldest));
  }

  /**
   * @param {string} key
   * @param {Readonly<Limits> | undefined} after undefined: the common limits
   */
  #change(key, after) {
    const before = this.#own.get(key);
    if (before === after) return;
    if (after === undefined) this.#own.delete(key);
    else this.#own.set(key, after);
    for (const [limit, name] of dimensions) {
      const [old, wanted] = [before?.[limit], after?.[limit]];
      if (old === wanted) continue;
      this.#quota.setLimit(name, wanted === undefined ? null : amountOf(name, wanted), { key });
    }
  }
}

/**
 * @param {DimensionName} name
 * @param {number} amount
 * @returns {{concurrent: number} | {limit: number}}
 */
function amountOf(name, amount) {
  return name === 'concurrent_jobs' ? { concurrent: amount } : { limit: amount };
}
