/** Number of recent changes kept per dimension; older ones are merged into the initial limit. */
const CHANGES_MAX = 16;
/** Maximum keys whose last use is remembered. */
const KEYS_MAX = 100_000;

/** @typedef {{amount: number, windowMs: number | undefined, sinceUs: string}} LimitStep */
/** @typedef {{key: string | undefined, amount: number | undefined, windowMs: number | undefined,
 *   sinceUs: string}} Change */

/**
 * The limits of one dimension in this process: the present limit of each key, and its earlier ones, so that a
 * bucket that was last used under an earlier limit applies them in order.
 */
export class LimitSteps {
  #common;
  /** Amounts of keys with their own limit. @type {Map<string, number>} */
  #own = new Map();
  /** Changes after the two values above, oldest first. @type {Change[]} */
  #changes = [];
  #count = 0;
  /** Value of `count` at the last use of a key, since the first change. @type {Map<string, number>} */
  #taken = new Map();

  /** @param {{amount: number, windowMs: number | undefined}} limit */
  constructor({ amount, windowMs }) {
    this.#common = { amount, windowMs, sinceUs: '' };
  }

  /** Number of changes so far. */
  get count() {
    return this.#count;
  }

  /** @param {Change} change `amount` undefined: the key has the common limit again */
  add(change) {
    this.#count += 1;
    this.#changes.push(change);
    if (this.#changes.length > CHANGES_MAX) {
      this.#fold(/** @type {Change} */ (this.#changes.shift()));
    }
  }

  /** @param {Change} change */
  #fold({ key, amount, windowMs, sinceUs }) {
    if (key === undefined) {
      this.#common = { amount: /** @type {number} */ (amount), windowMs, sinceUs };
      return;
    }
    if (amount === undefined) this.#own.delete(key);
    else this.#own.set(key, amount);
  }

  /**
   * @param {string} key whose bucket got the limit then in force
   * @param {number} count value of `count` at that time
   */
  took(key, count) {
    if (count === 0) return;
    this.#taken.delete(key);
    this.#taken.set(key, count);
    if (this.#taken.size > KEYS_MAX) this.#taken.delete(this.#taken.keys().next().value ?? '');
  }

  /**
   * @param {string} key
   * @returns {LimitStep[]} the limits of the key since its last use, oldest first; the last one is
   *   in force
   */
  of(key) {
    let { amount: common, windowMs, sinceUs } = this.#common;
    let own = this.#own.get(key);
    let steps = [{ amount: own ?? common, windowMs, sinceUs }];
    let number = this.#count - this.#changes.length;
    const taken = this.#taken.get(key) ?? 0;
    for (const change of this.#changes) {
      number += 1;
      if (change.key === undefined) {
        common = /** @type {number} */ (change.amount);
        windowMs = change.windowMs;
      } else if (change.key === key) {
        own = change.amount;
      } else {
        continue;
      }
      ({ sinceUs } = change);
      const step = { amount: own ?? common, windowMs, sinceUs };
      if (number <= taken) steps = [step];
      else steps.push(step);
    }
    return steps;
  }
}
