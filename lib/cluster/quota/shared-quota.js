import { QuotaLease } from '../../primitives/limiters/quota-lease.js';
import {
  Dimensions,
  LEASES,
  checkLeaseMs,
  checkQuotaOptions,
} from '../../primitives/limiters/quota-checks.js';
import { LimitSteps } from './limit-steps.js';
import { checkOptions } from '../../internal/util/validate.js';
import { secondsAt, waitSeconds, writeTime } from '../../primitives/limiters/time.js';

/** @typedef {import('../../primitives/limiters/quota.js').QuotaOptions} QuotaOptions */
/** @typedef {import('../../primitives/limiters/quota.js').QuotaAsk} QuotaAsk */
/** @typedef {import('../../primitives/limiters/quota.js').WindowedLimit} WindowedLimit */
/** @typedef {import('../../primitives/limiters/quota.js').ConcurrentLimit} ConcurrentLimit */
/** @typedef {import('../../jobs/rate-limits/shared-quota-port.js').SharedDecision} SharedDecision */
/** @typedef {import('../../primitives/limiters/quota-checks.js').Dimension & {steps: LimitSteps}} SharedDimension */
/** @typedef {import('../../primitives/limiters/quota-checks.js').CheckedAsk<SharedDimension>} SharedAsked */

/**
 * @typedef {Omit<QuotaOptions, 'clock'> & {name?: string}} SharedQuotaOptions `name` of the quota, 1 to 64 of
 *   A-Z, a-z, 0-9, _, . and -; default `default`. Limits are those of this handle: give all processes the same.
 *   `maxKeys` has no effect: Redis deletes a key once its whole limit is available again. The other options are
 *   those of `Quota`
 */

const US_PER_MS = 1000;
const US_PER_S = 1e6;
const NS_PER_US = 1000;
/** A wait that never ends, in the format of the scripts. */
const NEVER = '-1';

/** @param {string} us @returns {number} nanoseconds */
const nanosOf = (us) => (us === NEVER ? Infinity : Number(us) * NS_PER_US);

/**
 * @param {number | bigint | undefined} now as given by the caller
 * @returns {string} whole microseconds; empty: the clock's
 */
function microsecondsOf(now) {
  if (now === undefined) return '';
  const numbers = new Float64Array(2);
  writeTime(numbers, now, undefined);
  return String(numbers[0] * US_PER_S + Math.floor(numbers[1] / NS_PER_US));
}

/** The answer of a `SharedQuota` to a reservation, as `QuotaLease`; its calls return promises. */
export class SharedQuotaLease {
  #lease;

  /**
   * @param {QuotaLease} lease lease whose calls return promises
   */
  constructor(lease) {
    this.#lease = lease;
    /** See `QuotaLease`. */
    this.allowed = lease.allowed;
    /** See `QuotaLease`; in seconds. */
    this.retryAfter = lease.retryAfter;
    /** See `QuotaLease`. */
    this.failed = lease.failed;
    /** See `QuotaLease`. */
    this.entries = lease.entries;
    /** See `QuotaLease`. */
    this.id = lease.id;
    /** See `QuotaLease`; without a clock or `now`, in Unix seconds of Redis. */
    this.expiresAt = lease.expiresAt;
  }

  /** The entries by dimension, see `QuotaLease`. */
  get dimensions() {
    return this.#lease.dimensions;
  }

  /**
   * Ends the lease and charges actual use.
   * @param {Parameters<QuotaLease['settle']>} args see `QuotaLease.settle`
   * @returns {Promise<boolean>} false, without effect, when it has ended already or was denied
   */
  async settle(...args) {
    return this.#lease.settle(...args);
  }

  /**
   * Ends the lease and returns the whole reservation.
   * @param {Parameters<QuotaLease['release']>} args see `QuotaLease.release`
   * @returns {Promise<boolean>} see `settle`
   */
  async release(...args) {
    return this.#lease.release(...args);
  }

  /**
   * Moves the lease's expiry.
   * @param {Parameters<QuotaLease['renew']>} args see `QuotaLease.renew`
   * @returns {Promise<boolean>} see `settle`
   */
  async renew(...args) {
    return this.#lease.renew(...args);
  }
}

/**
 * A `Quota` whose state is in Redis, shared by all handles with the same server, prefix and name: the same
 * methods, errors and limits; each returns a promise. Made by `openRedis(...).quota(options)`.
 *
 * Times are whole microseconds. A call that rejects with `ERR_REDIS_...` and `uncertain` may have taken
 * effect; a lease that is lost in this way expires.
 */
export class SharedQuota {
  #calls;
  #nowUs;
  #leaseMs;
  #maxLeases;
  #key;
  /** @type {Dimensions<SharedDimension>} */
  #dimensions = new Dimensions();

  /**
   * @param {object} deps
   * @param {import('../client/script-calls.js').ScriptCalls} deps.calls
   * @param {() => number} deps.nowUs Redis's clock
   * @param {string} deps.key of the quota, without the prefix
   * @param {SharedQuotaOptions} options without `name`
   */
  constructor({ calls, nowUs, key }, options) {
    const known = ['limits', 'leaseMs', 'maxKeys', 'maxLeases'];
    const { leaseMs, maxLeases, limits } = checkQuotaOptions(
      checkOptions('options', options, known),
    );
    this.#calls = calls;
    this.#nowUs = nowUs;
    this.#key = key;
    this.#leaseMs = leaseMs;
    this.#maxLeases = maxLeases;
    for (const { name, ...limit } of limits) {
      this.#dimensions.add({ name, windowMs: limit.windowMs, steps: new LimitSteps(limit) });
    }
  }

  /**
   * Reserves all costs or none, like `Quota.reserve`.
   * @param {Record<string, number> | QuotaAsk[]} costs
   * @param {{key?: string, leaseMs?: number, now?: number | bigint}} [options]
   * @returns {Promise<SharedQuotaLease>} a denied lease holds nothing
   */
  async reserve(costs, options) {
    const given = checkOptions('options', options, ['key', 'leaseMs', 'now']);
    const asks = this.#dimensions.asksOf(costs, given.key);
    const leaseUs = Math.round(checkLeaseMs(given.leaseMs, this.#leaseMs) * US_PER_MS);
    const counts = asks.map(({ dimension }) => dimension.steps.count);
    const [answer, json, ...rest] = await this.#run(
      'reserve',
      ['leases', 'expiry', 'last'],
      [
        ...[microsecondsOf(given.now), String(leaseUs), String(this.#maxLeases)],
        JSON.stringify(asks.map((ask) => this.#sharedAsk(ask))),
      ],
    );
    /** @type {SharedDecision[]} */
    const decisions = JSON.parse(json);
    const allowed = answer === 'OK';
    if (allowed) {
      asks.forEach(({ dimension, key, cost }, i) => {
        if (cost > 0) dimension.steps.took(key, counts[i]);
      });
    }
    return this.#leaseOf(asks, decisions, {
      ...{ now: given.now, allowed },
      ...(allowed ? { id: rest[0], expiresUs: rest[1] } : { fullUs: rest[0] }),
    });
  }

  /**
   * Changes a limit in use, like `Quota.setLimit`; for this handle only.
   * @param {string} name of a dimension
   * @param {Partial<WindowedLimit & ConcurrentLimit> | null} limit
   * @param {{key?: string, now?: number | bigint}} [options]
   * @returns {Promise<void>}
   */
  async setLimit(name, limit, options) {
    const { key, now } = checkOptions('options', options, ['key', 'now']);
    const { dimension, limit: changed } = this.#dimensions.changeOf(name, limit, key);
    const sinceUs = microsecondsOf(now ?? this.#calls.clock?.nowNs()) || String(this.#nowUs());
    if (changed !== null && key === undefined) dimension.windowMs = changed.windowMs;
    const { windowMs } = dimension;
    dimension.steps.add({ key, amount: changed?.amount, windowMs, sinceUs });
  }

  /** Number of open leases of all handles. @returns {Promise<number>} */
  get openLeases() {
    return this.#run('open', ['leases', 'expiry'], []);
  }

  /**
   * @param {SharedAsked} ask
   * @returns {unknown[]} in the format of scripts/fragments/quota.lua
   */
  #sharedAsk({ dimension, key, cost }) {
    const steps = dimension.steps.of(key);
    const { amount, windowMs, sinceUs } = steps[steps.length - 1];
    const name = `${encodeURIComponent(dimension.name)}/${key}`;
    if (windowMs === undefined) return [`${this.#key}:p:${name}`, String(cost), String(amount)];
    const windowUs = String(Math.round(windowMs * US_PER_MS));
    const ask = [`${this.#key}:b:${name}`, String(cost), String(amount), windowUs, sinceUs];
    if (steps.length === 1) return ask;
    const earlier = steps
      .slice(0, -1)
      .map((step) => [
        ...[String(step.amount), String(Math.round((step.windowMs ?? 0) * US_PER_MS))],
        step.sinceUs,
      ]);
    return [...ask, earlier];
  }

  /**
   * @param {SharedAsked[]} asks
   * @param {SharedDecision[]} decisions
   * @param {{now?: number | bigint, allowed: boolean, id?: string, expiresUs?: string, fullUs?: string}} outcome
   */
  #leaseOf(asks, decisions, { now, allowed, id = '', expiresUs = '0', fullUs = '' }) {
    const entries = asks.map(({ dimension, key, cost }, i) => {
      const [isAllowed, remaining, retryUs, resetUs] = decisions[i];
      const steps = dimension.steps.of(key);
      return {
        ...{ dimension: dimension.name, key, cost, allowed: isAllowed === '1' },
        ...{ limit: steps[steps.length - 1].amount, windowMs: dimension.windowMs },
        remaining: Number(remaining),
        retryAfter: waitSeconds(nanosOf(retryUs), now),
        resetAfter: waitSeconds(nanosOf(resetUs), now),
      };
    });
    const refused = entries.filter((entry) => !entry.allowed);
    const failed = new Set(refused.map(({ dimension }) => dimension));
    if (fullUs !== '') failed.add(LEASES);
    const waits = refused.map(({ retryAfter }) => retryAfter);
    if (fullUs !== '') waits.push(waitSeconds(nanosOf(fullUs), now));
    const expires = Number(expiresUs);
    const whole = Math.floor(expires / US_PER_S);
    const lease = new QuotaLease(
      {
        ...{ allowed, retryAfter: Math.max(0, ...waits), failed: [...failed], entries },
        id: allowed ? Number(id) : null,
        expiresAt: allowed ? secondsAt(whole, (expires - whole * US_PER_S) * NS_PER_US) : null,
      },
      /** @type {any} */ (this.#enderOf(id)),
    );
    return new SharedQuotaLease(lease);
  }

  /**
   * The calls by which a lease ends itself, as of `LeaseEnder`, with promises.
   * @param {string} id in Redis
   */
  #enderOf(id) {
    const run = async (
      /** @type {string} */ name,
      /** @type {number | bigint | undefined} */ now,
      /** @type {string} */ argument,
    ) => (await this.#run(name, ['leases', 'expiry'], [microsecondsOf(now), id, argument])) === 1;
    return {
      settle: (
        /** @type {number} */ _id,
        /** @type {number[]} */ used,
        /** @type {number | bigint} */ now,
      ) => run('end', now, JSON.stringify(used.map((each) => (each < 0 ? '' : String(each))))),
      release: (/** @type {number} */ _id, /** @type {number | bigint} */ now) =>
        run('end', now, ''),
      renew: (
        /** @type {number} */ _id,
        leaseMs = this.#leaseMs,
        /** @type {number | bigint} */ now,
      ) => {
        checkLeaseMs(leaseMs);
        return run('renew', now, String(Math.round(leaseMs * US_PER_MS)));
      },
    };
  }

  /**
   * @param {string} name of a script of scripts/quota
   * @param {string[]} keys of this quota
   * @param {string[]} args
   */
  #run(name, keys, args) {
    const named = keys.map((key) => `${this.#key}:${key}`);
    return this.#calls.run(`quota/${name}`, named, args);
  }
}
