import native from '../../internal/native/addon.js';
import {
  Dimensions,
  ENTRIES_MAX,
  LEASES,
  checkLeaseMs,
  checkQuotaOptions,
} from './quota-checks.js';
import { QuotaLease } from './quota-lease.js';
import { checkClock, checkOptions } from '../../internal/util/validate.js';
import { secondsAt, waitSeconds, writeTime } from './time.js';

const NS_PER_MS = 1e6;
/** @param {QuotaEntry[]} entries @returns {string[]} distinct dimensions of those that were not allowed */
function failedOf(entries) {
  const failed = entries.filter(({ allowed }) => !allowed);
  return [...new Set(failed.map(({ dimension }) => dimension))];
}

/** Positions in these numbers, see native/addon/bindings/limits/quota_wrap.h. */
const ARGUMENTS = 2;
const HEAD = 5;
const PER_ENTRY = 5;

const OPTIONS = Object.freeze(['limits', 'leaseMs', 'maxKeys', 'maxLeases', 'clock']);

/** @typedef {import('./quota-types.js').WindowedLimit} WindowedLimit */
/** @typedef {import('./quota-types.js').ConcurrentLimit} ConcurrentLimit */
/** @typedef {import('./quota-types.js').QuotaOptions} QuotaOptions */
/** @typedef {import('./quota-types.js').QuotaAsk} QuotaAsk */
/** @typedef {import('./quota-lease.js').QuotaEntry} QuotaEntry */
/** @typedef {import('./quota-checks.js').Dimension & {id: number}} NativeDimension `id`: the native one */

/**
 * Several limits that a request reserves all together or not at all: requests and tokens per window, jobs
 * at a time; by key, organisation or model.
 *
 * Reserve, work, settle: a reservation is a lease, ended exactly once. `settle` charges actual use,
 * `release` returns everything, and an abandoned lease expires and is charged as reserved. State is
 * native; ends with garbage collection.
 */
export class Quota {
  #native;
  #clock;
  #leaseMs;
  /** Arguments and results of the native calls. */
  #numbers;
  /** @type {Dimensions<NativeDimension>} */
  #dimensions = new Dimensions();

  /** @param {QuotaOptions} options */
  constructor(options) {
    const given = checkOptions('options', options, OPTIONS);
    this.#clock = checkClock('clock', given.clock);
    const { leaseMs, maxLeases, maxKeys, limits } = checkQuotaOptions(given);
    this.#leaseMs = leaseMs;
    const bytes = (HEAD + PER_ENTRY * ENTRIES_MAX) * Float64Array.BYTES_PER_ELEMENT;
    this.#numbers = new Float64Array(new ArrayBuffer(bytes));
    this.#native = new native.Quota(this.#numbers, maxKeys, maxLeases);
    for (const { name, amount, windowMs } of limits) {
      const id =
        windowMs === undefined
          ? this.#native.addHeld(amount)
          : this.#native.addWindowed(amount, Math.round(windowMs * NS_PER_MS));
      this.#dimensions.add({ name, id, windowMs });
    }
  }

  /**
   * Takes all costs or none.
   * @param {Record<string, number> | QuotaAsk[]} costs by dimension; or a list, for dimensions with
   *   different keys. At most 16, each dimension and key at most once. A cost of 0 takes nothing
   *   and never fails, but can be settled at more
   * @param {{key?: string, leaseMs?: number, now?: number | bigint}} [options] `key` default `''`;
   *   `now` see the limiters
   * @returns {QuotaLease} a denied lease holds nothing
   */
  reserve(costs, options) {
    const given = checkOptions('options', options, ['key', 'leaseMs', 'now']);
    const asks = this.#dimensions.asksOf(costs, given.key);
    const leaseMs = checkLeaseMs(given.leaseMs, this.#leaseMs);
    const numbers = this.#numbers;
    writeTime(numbers, given.now, this.#clock);
    const keys = [];
    for (let i = 0; i < asks.length; i += 1) {
      numbers[ARGUMENTS + 2 * i] = asks[i].dimension.id;
      numbers[ARGUMENTS + 2 * i + 1] = asks[i].cost;
      keys.push(asks[i].key);
    }
    const allowed = this.#native.reserve(Math.round(leaseMs * NS_PER_MS), ...keys);
    const entries = asks.map((ask, i) => this.#entryOf(ask, i, given.now));
    const failed = allowed ? [] : failedOf(entries);
    if (numbers[4] === 1) failed.push(LEASES);
    return new QuotaLease(
      {
        allowed,
        retryAfter: waitSeconds(numbers[0], given.now),
        failed,
        entries,
        id: allowed ? numbers[1] : null,
        expiresAt: allowed ? secondsAt(numbers[2], numbers[3]) : null,
      },
      this.#ender,
    );
  }

  /**
   * Changes a limit while it is in use. Usage is kept: 70 used requests count as 70 against a larger
   * limit; a smaller limit starts empty, never in debt.
   * @param {string} name of a dimension
   * @param {Partial<WindowedLimit & ConcurrentLimit> | null} limit of the dimension's kind, whose
   *   `windowMs` may be omitted; null, with a key, restores the common limit
   * @param {{key?: string, now?: number | bigint}} [options] `key`: sets a limit for this key only,
   *   over the dimension's window, until it is restored
   */
  setLimit(name, limit, options) {
    const { key, now } = checkOptions('options', options, ['key', 'now']);
    const { dimension, limit: changed } = this.#dimensions.changeOf(name, limit, key);
    writeTime(this.#numbers, now, this.#clock);
    if (changed === null) {
      this.#native.clearLimitOf(dimension.id, key);
    } else if (key === undefined) {
      const { amount, windowMs } = changed;
      this.#native.setLimit(dimension.id, amount, Math.round((windowMs ?? 0) * NS_PER_MS));
      dimension.windowMs = windowMs;
    } else {
      this.#native.setLimitOf(dimension.id, key, changed.amount);
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
   * @param {import('./quota-checks.js').CheckedAsk<NativeDimension>} ask
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

  /** The calls by which a lease ends itself. @type {import('./quota-lease.js').LeaseEnder} */
  #ender = {
    settle: (id, used, now) => {
      writeTime(this.#numbers, now, this.#clock);
      this.#numbers.set(used, ARGUMENTS);
      return this.#native.settle(id, used.length);
    },
    release: (id, now) => {
      writeTime(this.#numbers, now, this.#clock);
      return this.#native.release(id);
    },
    renew: (id, leaseMs = this.#leaseMs, now) => {
      checkLeaseMs(leaseMs);
      writeTime(this.#numbers, now, this.#clock);
      return this.#native.renew(id, Math.round(leaseMs * NS_PER_MS));
    },
  };
}
