import native from '../../internal/native/addon.js';
import { rangeError, typeError } from '../../internal/util/errors.js';
import { maxKeysOf } from './keyed-limiter.js';
import { QuotaLease } from './quota-lease.js';
import { secondsAt, waitSeconds, writeTime } from './time.js';
import {
  checkClock,
  checkInteger,
  checkMs,
  checkOptions,
  checkString,
} from '../../internal/util/validate.js';

const NS_PER_MS = 1e6;
const YEAR_MS = 366 * 24 * 3600 * 1000;
const LEASES_MAX = 2 ** 31;
/** Entries of one reservation; the numbers shared with the native side have room for as many. */
const ENTRIES_MAX = 16;
/** Places in those numbers, as in native/addon/bindings/limits/quota_wrap.h. */
const ARGUMENTS = 2;
const HEAD = 5;
const PER_ENTRY = 5;

/** Stands among the failed dimensions when there are too many leases. */
const LEASES = 'leases';

const OPTIONS = Object.freeze(['limits', 'leaseMs', 'maxKeys', 'maxLeases', 'clock']);

/**
 * @typedef {object} WindowedLimit a token bucket for each key
 * @property {number} limit an integer from 0: so much at once, and again in every window,
 *   continuously; 0 grants nothing
 * @property {number} windowMs
 */
/**
 * @typedef {object} ConcurrentLimit
 * @property {number} concurrent an integer from 0: so much at a time for each key
 */
/**
 * @typedef {object} QuotaOptions
 * @property {Record<string, WindowedLimit | ConcurrentLimit>} limits the dimensions by name
 * @property {number} [leaseMs] time to live of a lease that is neither ended nor renewed; default
 *   600000
 * @property {number} [maxKeys] of each windowed dimension, as in TokenBucketLimiter; default
 *   1,000,000
 * @property {number} [maxLeases] leases open at a time; default 100,000. Further reservations are
 *   denied, with `leases` among the failed
 * @property {import('../../internal/time/clock.js').ManualClock} [clock] default: the monotonic clock
 */
/**
 * @typedef {object} QuotaAsk
 * @property {string} dimension
 * @property {string} [key] default: that of the options
 * @property {number} [cost] an integer from 0; default 1
 */
/** @typedef {import('./quota-lease.js').QuotaEntry} QuotaEntry */
/**
 * @typedef {object} Dimension
 * @property {string} name
 * @property {number} id the native one
 * @property {number | undefined} windowMs undefined: concurrent
 */

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
 * Several limits that a request takes all at once or not at all: requests and tokens per window, jobs
 * at a time; by key, organisation or model.
 *
 * Reserve, work, settle: a reservation is a lease, ended exactly once. `settle` charges actual use,
 * `release` gives everything back, and an abandoned lease expires at what it reserved. State is
 * native; ends with garbage collection.
 */
export class Quota {
  #native;
  #clock;
  #leaseMs;
  /** In and out of the native calls. */
  #numbers;
  /** @type {Map<string, Dimension>} */
  #dimensions = new Map();

  /** @param {QuotaOptions} options */
  constructor(options) {
    const given = checkOptions('options', options, OPTIONS);
    this.#clock = checkClock('clock', given.clock);
    this.#leaseMs = checkMs('leaseMs', given.leaseMs, { min: 1, max: YEAR_MS, fallback: 600_000 });
    const maxLeases = checkInteger('maxLeases', given.maxLeases, {
      max: LEASES_MAX,
      fallback: 100_000,
    });
    const bytes = (HEAD + PER_ENTRY * ENTRIES_MAX) * Float64Array.BYTES_PER_ELEMENT;
    this.#numbers = new Float64Array(new ArrayBuffer(bytes));
    this.#native = new native.Quota(this.#numbers, maxKeysOf(given), maxLeases);
    const limits = Object.entries(checkOptions('limits', given.limits));
    if (limits.length === 0) throw rangeError('limits takes at least one dimension');
    for (const [name, limit] of limits) this.#add(name, limit);
  }

  /**
   * Takes all costs or none.
   * @param {Record<string, number> | QuotaAsk[]} costs by dimension; or a list, for dimensions with
   *   different keys. At most 16, each dimension and key at most once. A cost of 0 takes nothing
   *   and never fails, and can be settled at more
   * @param {{key?: string, leaseMs?: number, now?: number | bigint}} [options] `key` default `''`;
   *   `now` as in the limiters
   * @returns {QuotaLease} a denied one holds nothing
   */
  reserve(costs, options) {
    const given = checkOptions('options', options, ['key', 'leaseMs', 'now']);
    const asks = this.#asksOf(costs, given.key === undefined ? '' : checkString('key', given.key));
    const leaseMs = checkMs('leaseMs', given.leaseMs, {
      min: 1,
      max: YEAR_MS,
      fallback: this.#leaseMs,
    });
    const numbers = this.#numbers;
    writeTime(numbers, given.now, this.#clock);
    asks.forEach(({ dimension, cost }, i) => {
      numbers[ARGUMENTS + 2 * i] = dimension.id;
      numbers[ARGUMENTS + 2 * i + 1] = cost;
    });
    const keys = asks.map(({ key }) => key);
    const allowed = this.#native.reserve(Math.round(leaseMs * NS_PER_MS), ...keys);
    const entries = asks.map((ask, i) => this.#entryOf(ask, i, given.now));
    const failed = entries.filter((entry) => !entry.allowed).map(({ dimension }) => dimension);
    if (numbers[4] === 1) failed.push(LEASES);
    return new QuotaLease(
      {
        allowed,
        retryAfter: waitSeconds(numbers[0], given.now),
        failed: [...new Set(failed)],
        entries,
        id: allowed ? numbers[1] : null,
        expiresAt: allowed ? secondsAt(numbers[2], numbers[3]) : null,
      },
      this.#enderOf(numbers[1]),
    );
  }

  /**
   * Changes a limit while it is in use. Usage is kept: 70 used requests count as 70 against a larger
   * limit; a smaller limit starts at nothing left where it would start in debt.
   * @param {string} name of a dimension
   * @param {Partial<WindowedLimit & ConcurrentLimit> | null} limit of the dimension's kind, whose
   *   `windowMs` may be left out; null, with a key, restores the common limit
   * @param {{key?: string, now?: number | bigint}} [options] `key`: sets a limit for this key alone,
   *   over the dimension's window, until it is restored
   */
  setLimit(name, limit, options) {
    const { key, now } = checkOptions('options', options, ['key', 'now']);
    const dimension = this.#dimensionOf('name', name);
    writeTime(this.#numbers, now, this.#clock);
    if (key !== undefined) checkString('key', key);
    if (limit === null) {
      if (key === undefined) throw typeError('limit takes null only with a key');
      this.#native.clearLimitOf(dimension.id, key);
      return;
    }
    const { amount, windowMs } = checkLimit('limit', {
      ...(dimension.windowMs === undefined ? {} : { windowMs: dimension.windowMs }),
      ...checkOptions('limit', limit),
    });
    if ((windowMs === undefined) !== (dimension.windowMs === undefined)) {
      throw rangeError(`limit takes what "${name}" is: concurrent, or limit and windowMs`);
    }
    if (key === undefined) {
      this.#native.setLimit(dimension.id, amount, Math.round((windowMs ?? 0) * NS_PER_MS));
      dimension.windowMs = windowMs;
    } else if (windowMs !== dimension.windowMs) {
      throw rangeError(`limit.windowMs takes the window of "${name}" where a key is given`);
    } else {
      this.#native.setLimitOf(dimension.id, key, amount);
    }
  }

  /**
   * Leases that have not ended.
   * @returns {number}
   */
  get openLeases() {
    writeTime(this.#numbers, undefined, this.#clock);
    return this.#native.leases();
  }

  /**
   * @param {string} name
   * @param {unknown} limit
   */
  #add(name, limit) {
    if (name === LEASES) throw rangeError(`limits takes any name but "${LEASES}"`);
    if (limit === undefined) throw typeError(`limits.${name} takes an object, not undefined`);
    const { amount, windowMs } = checkLimit(`limits.${name}`, limit);
    const id =
      windowMs === undefined
        ? this.#native.addHeld(amount)
        : this.#native.addWindowed(amount, Math.round(windowMs * NS_PER_MS));
    this.#dimensions.set(name, { name, id, windowMs });
  }

  /**
   * @param {string} what names it
   * @param {unknown} name
   * @returns {Dimension}
   */
  #dimensionOf(what, name) {
    const dimension = this.#dimensions.get(checkString(what, name));
    if (dimension === undefined) {
      const names = [...this.#dimensions.keys()].map((each) => `"${each}"`).join(', ');
      throw rangeError(`${what} takes one of ${names}, not ${JSON.stringify(name)}`);
    }
    return dimension;
  }

  /**
   * @param {Record<string, number> | QuotaAsk[]} costs
   * @param {string} key
   * @returns {{dimension: Dimension, key: string, cost: number}[]}
   */
  #asksOf(costs, key) {
    const asks = Array.isArray(costs)
      ? costs.map((ask, i) => this.#askOf(ask, `costs[${i}]`, key))
      : Object.entries(checkOptions('costs', costs)).map(([name, cost]) => ({
          dimension: this.#dimensionOf('costs', name),
          key,
          cost: checkInteger(`costs.${name}`, cost, { min: 0 }),
        }));
    if (asks.length === 0 || asks.length > ENTRIES_MAX) {
      throw rangeError(`costs takes 1 to ${ENTRIES_MAX} entries, not ${asks.length}`);
    }
    for (const [i, ask] of asks.entries()) {
      if (asks.findIndex((each) => each.dimension === ask.dimension && each.key === ask.key) < i) {
        throw rangeError(`costs takes a dimension and key once: costs[${i}] repeats one`);
      }
    }
    return asks;
  }

  /**
   * @param {unknown} ask
   * @param {string} name
   * @param {string} key
   */
  #askOf(ask, name, key) {
    const given = /** @type {Partial<QuotaAsk>} */ (
      checkOptions(name, /** @type {object | undefined} */ (ask), ['dimension', 'key', 'cost'])
    );
    return {
      dimension: this.#dimensionOf(`${name}.dimension`, given.dimension),
      key: given.key === undefined ? key : checkString(`${name}.key`, given.key),
      cost: checkInteger(`${name}.cost`, given.cost, { min: 0, fallback: 1 }),
    };
  }

  /**
   * @param {{dimension: Dimension, key: string, cost: number}} ask
   * @param {number} index
   * @param {number | bigint | undefined} now
   * @returns {QuotaEntry}
   */
  #entryOf({ dimension, key, cost }, index, now) {
    const at = HEAD + PER_ENTRY * index;
    const numbers = this.#numbers;
    return {
      dimension: dimension.name,
      key,
      cost,
      allowed: numbers[at] === 1,
      limit: numbers[at + 1],
      windowMs: dimension.windowMs,
      remaining: numbers[at + 2],
      retryAfter: waitSeconds(numbers[at + 3], now),
      resetAfter: waitSeconds(numbers[at + 4], now),
    };
  }

  /**
   * The calls by which a lease ends itself.
   * @param {number} id 0: none
   * @returns {import('./quota-lease.js').LeaseEnder}
   */
  #enderOf(id) {
    return {
      settle: (used, now) => {
        writeTime(this.#numbers, now, this.#clock);
        this.#numbers.set(used, ARGUMENTS);
        return this.#native.settle(id, used.length);
      },
      release: (now) => {
        writeTime(this.#numbers, now, this.#clock);
        return this.#native.release(id);
      },
      renew: (leaseMs = this.#leaseMs, now) => {
        checkMs('leaseMs', leaseMs, { min: 1, max: YEAR_MS });
        writeTime(this.#numbers, now, this.#clock);
        return this.#native.renew(id, Math.round(leaseMs * NS_PER_MS));
      },
    };
  }
}
