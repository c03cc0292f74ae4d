/**
 * What a job may take of the limits of its key, organisation, model and endpoint: reserved as a
 * whole before it is queued, settled once at its end. Main thread, over one Quota.
 *
 * A job takes a request, a place among the jobs at a time, and as many tokens as it may come to
 * use. Refused, it has taken nothing. A job that was admitted costs its request whatever becomes of
 * it, and the tokens that it really used.
 *
 * Everything is in memory: leases of a process that is gone are gone with it. A store that outlives
 * the process has to see to it that a lease expires (they carry a time) before it grants again.
 */
import { HttpError } from '../../internal/util/http-error.js';
import { LimitTable, dimensions, initialLimits, keyOf } from './limit-table.js';
import { Quota } from '../../primitives/limiters/quota.js';
import { estimatePromptTokens } from '../prompt-tokens.js';
import { overloaded } from '../errors.js';
import { rateLimitHeaders } from './headers.js';

/** @typedef {import('../policy/access-control.js').Budget} Budget */
/** @typedef {import('../policy/config.js').Access} Access */
/** @typedef {import('../../primitives/limiters/quota.js').QuotaEntry} QuotaEntry */
/** @typedef {import('./limit-table.js').DimensionName} DimensionName */
/** @typedef {import('../request.js').JobRequest} JobRequest */

/**
 * What a job counts against.
 * @typedef {object} Whose
 * @property {Readonly<Access>} access
 * @property {string | undefined} model resolved; undefined where no model is asked
 * @property {string} endpoint by which it came
 */

/** Beyond a job's own time: what its ending may take to be heard of. */
const LEASE_GRACE_MS = 60_000;

/** For work without a time of its own, whose ending is sure to be told: the most there is. */
const NO_TIME_MS = 366 * 24 * 3600 * 1000;

/** When one of several jobs at a time will end nobody knows: callers may ask again so soon. */
const PLACE_RETRY_S = 1;

/** How the limits of a scope's members are spoken of. */
const WHOSE = Object.freeze({
  principal: 'this key',
  organisation: 'this organisation',
  model: 'this model',
  endpoint: 'this endpoint',
});

/**
 * A refusal for want of quota.
 * @typedef {HttpError & {retryAfterMs: number, refusedBy: {scope: Budget['scope'],
 *   limit: string}[]}} RateLimitError `retryAfterMs` Infinity: it can never be granted
 */

/** What was reserved for one job, or for one answer that jobs share. */
export class Reservation {
  #lease;
  #countsTokens;

  /**
   * @param {import('../../primitives/limiters/quota-lease.js').QuotaLease} lease granted
   */
  constructor(lease) {
    this.#lease = lease;
    this.#countsTokens = lease.entries.some(({ dimension }) => dimension === 'tokens');
  }

  get entries() {
    return this.#lease.entries;
  }

  /**
   * The work has ended. Only the first ending counts.
   * @param {number} tokens that it used
   */
  settle(tokens) {
    this.#lease.settle(this.#countsTokens ? { tokens } : {});
  }

  /** It never began: everything is given back. */
  release() {
    this.#lease.release();
  }
}

/**
 * The request and the place that a work has reserved, for its parts to run on. Those of a model are the
 * parts' own: a work asks no model by itself.
 */
export class WorkReservation {
  #reservation;
  #requestUsed = false;
  #placeUsed = false;

  /** @param {Reservation | undefined} reservation undefined: nothing limits the work */
  constructor(reservation) {
    this.#reservation = reservation;
  }

  get entries() {
    return this.#reservation?.entries ?? [];
  }

  /**
   * Gives a part what it need not reserve by itself: the work's request to its first part, the work's
   * place to one part at a time.
   * @returns {Covered}
   */
  lend() {
    const [request, place] = [!this.#requestUsed, !this.#placeUsed];
    if (request) this.#requestUsed = true;
    if (place) this.#placeUsed = true;
    return {
      request,
      place,
      giveBack: (admitted) => {
        if (request && !admitted) this.#requestUsed = false;
        if (place) this.#placeUsed = false;
      },
    };
  }

  /** The work has ended. */
  settle() {
    this.#reservation?.settle(0);
  }

  /** It never began. */
  release() {
    this.#reservation?.release();
  }
}

/**
 * What a part of a work need not reserve.
 * @typedef {object} Covered
 * @property {boolean} request
 * @property {boolean} place
 * @property {(admitted: boolean) => void} giveBack once, when the part has ended or was refused
 */

/** What is reserved for an answer that may be of any length is at most this share of a limit. */
const UNSAID_SHARE = 1 / 4;

/**
 * What a request costs, of one budget. One that does not say how many tokens it wants should be neither
 * impossible nor alone for that, where the limit is small.
 * @param {JobRequest} request
 * @param {number} limit
 * @param {number} defaultMaxTokens
 */
function tokensOf(request, limit, defaultMaxTokens) {
  const prompt = estimatePromptTokens(request);
  if (request.max_tokens !== undefined) return prompt + request.max_tokens;
  const answer = Math.min(defaultMaxTokens, Math.ceil(limit * UNSAID_SHARE));
  return Math.min(prompt + answer, Math.max(limit, prompt));
}

/** See the head of this file. Lives as long as its gateway. */
export class Reservations {
  #access;
  #quota;
  #book;
  #waitMs;
  #maxWallMs;

  /**
   * @param {object} parts
   * @param {import('../policy/access-control.js').AccessControl} parts.access
   * @param {import('../settings.js').Settings} parts.options
   */
  constructor({ access, options: { clock, admissionWaitMs, maxWallMs } }) {
    this.#access = access;
    this.#waitMs = admissionWaitMs;
    this.#maxWallMs = maxWallMs;
    this.#quota = new Quota({ limits: initialLimits(), clock });
    this.#book = new LimitTable(this.#quota);
    this.reload();
  }

  /** Puts the limits in force that `access` has now. What was taken stays taken. */
  reload() {
    this.#book.configure(this.#access.defaults, this.#access.configuredBudgets());
  }

  /** Leases that have not ended. */
  get open() {
    return this.#quota.openLeases;
  }

  /**
   * Reserves what one job needs.
   * @param {JobRequest} request
   * @param {Whose} whose
   * @param {object} how
   * @param {boolean} how.shared its answer is: whoever begins that one reserves its tokens
   * @param {boolean} [how.patient] it may wait for room for as long as it likes
   * @param {Covered} [how.covered] what the work that it is part of has reserved
   * @returns {Reservation | undefined} undefined: nothing limits it
   * @throws {RateLimitError}
   */
  forJob(request, whose, { shared, patient = false, covered }) {
    const ms = this.#waitMs + (request.max_wall_ms ?? this.#maxWallMs) + LEASE_GRACE_MS;
    const answer = this.#reserve(
      whose,
      {
        requests: (_limit, { scope }) => (covered?.request && scope !== 'model' ? 0 : 1),
        tokens: (limit) => (shared ? 0 : tokensOf(request, limit, this.#access.defaultMaxTokens)),
        concurrent_jobs: (_limit, { scope }) => (covered?.place && scope !== 'model' ? 0 : 1),
      },
      patient ? NO_TIME_MS : Math.min(ms, NO_TIME_MS),
    );
    if (answer === undefined) return undefined;
    if (!answer.lease.allowed) throw refusal(answer, answer.lease.entries);
    return new Reservation(answer.lease);
  }

  /**
   * Reserves what a workflow, a crawl, or a crawl that is part of a workflow counts as: one request and
   * one place.
   * @param {Readonly<Access>} access
   * @param {string} endpoint
   * @param {Covered} [covered]
   * @returns {Reservation | undefined} undefined: nothing limits it
   * @throws {RateLimitError}
   */
  forWork(access, endpoint, covered) {
    const answer = this.#reserve(
      { access, endpoint, model: undefined },
      {
        requests: (_limit, { scope }) => (covered?.request && scope !== 'model' ? 0 : 1),
        concurrent_jobs: (_limit, { scope }) => (covered?.place && scope !== 'model' ? 0 : 1),
      },
      NO_TIME_MS,
    );
    if (answer === undefined) return undefined;
    if (!answer.lease.allowed) throw refusal(answer, answer.lease.entries);
    return new Reservation(answer.lease);
  }

  /**
   * Reserves the tokens of an answer that jobs share. It lasts as long as any of these.
   * @param {JobRequest} request
   * @param {Whose} whose
   * @param {import('../job.js').ReservationHold | undefined} job of the job that begins it: given back with a refusal
   * @returns {Reservation | undefined}
   * @throws {RateLimitError}
   */
  forAnswer(request, whose, job) {
    const answer = this.#reserve(
      whose,
      { tokens: (limit) => tokensOf(request, limit, this.#access.defaultMaxTokens) },
      NO_TIME_MS,
    );
    if (answer === undefined) return undefined;
    if (answer.lease.allowed) return new Reservation(answer.lease);
    job?.release();
    throw refusal(answer, this.peek(whose));
  }

  /**
   * What is left of everything that a job would count against; takes nothing.
   * @param {Whose} whose
   * @returns {QuotaEntry[]}
   */
  peek(whose) {
    const none = () => 0;
    const costs = { requests: none, tokens: none, concurrent_jobs: none };
    const lease = this.#reserve(whose, costs, 1)?.lease;
    lease?.release();
    return lease?.entries ?? [];
  }

  /**
   * @param {Whose} whose
   * @param {Partial<Record<DimensionName, (limit: number, budget: Budget) => number>>} costs by what
   *   the limit is; others are not asked for
   * @param {number} leaseMs
   * @returns {{lease: import('../../primitives/limiters/quota-lease.js').QuotaLease, budgets: Budget[]} | undefined} with
   *   the budget of each entry; undefined: nothing limits it
   */
  #reserve({ access, model, endpoint }, costs, leaseMs) {
    const budgets = this.#access.budgets(access, model, endpoint);
    if (budgets.length === 0) return undefined;
    if (budgets[0].scope === 'principal' && this.#access.isGiven(access)) {
      this.#book.give(budgets[0]);
    }
    /** @type {import('../../primitives/limiters/quota.js').QuotaAsk[]} */
    const asks = [];
    /** @type {Budget[]} of each ask */
    const asked = [];
    for (const budget of budgets) {
      const key = keyOf(budget);
      for (const [name, dimension] of dimensions) {
        const limit = budget.limits[name];
        const cost = costs[dimension];
        if (limit === undefined || cost === undefined) continue;
        asks.push({ dimension, key, cost: cost(limit, budget) });
        asked.push(budget);
      }
    }
    if (asks.length === 0) return undefined;
    return { lease: this.#quota.reserve(asks, { leaseMs }), budgets: asked };
  }
}

/** @param {QuotaEntry} entry */
const waitOf = ({ retryAfter, windowMs, cost, limit }) =>
  windowMs === undefined && cost <= limit ? PLACE_RETRY_S : retryAfter;

/**
 * @param {QuotaEntry} entry the one that takes longest
 * @param {Budget} budget
 * @returns {string}
 */
function reasonOf({ dimension, limit, cost, remaining, retryAfter }, { scope }) {
  const whose = WHOSE[scope];
  if (dimension === 'concurrent_jobs') {
    return `Rate limit reached: ${whose} may have ${limit} jobs at a time.`;
  }
  if (dimension === 'requests') {
    return `Rate limit reached: ${whose} may make ${limit} requests per minute.`;
  }
  const reserved = `this request reserves ${cost} (prompt and max_tokens)`;
  if (retryAfter === Infinity) {
    return `Request too large: ${whose} may use ${limit} tokens per minute, and ${reserved}; ask for fewer.`;
  }
  const left = Math.max(0, Math.floor(remaining));
  return `Rate limit reached: ${whose} may use ${limit} tokens per minute, ${reserved}, and ${left} are left.`;
}

/**
 * @param {{lease: import('../../primitives/limiters/quota-lease.js').QuotaLease, budgets: Budget[]}} answer denied, with the
 *   budget of each entry
 * @param {QuotaEntry[]} told what the caller is told to be left
 * @returns {HttpError}
 */
function refusal({ lease, budgets }, told) {
  const failed = lease.entries.map((entry, i) => ({ entry, budget: budgets[i] }));
  const refusing = failed.filter(({ entry }) => !entry.allowed);
  // Nothing is short but room for one more lease.
  if (refusing.length === 0) return overloaded();
  const longest = refusing.reduce((a, b) => (waitOf(b.entry) > waitOf(a.entry) ? b : a));
  const seconds = waitOf(longest.entry);
  const never = seconds === Infinity;
  const whole = Math.max(1, Math.ceil(seconds));
  const reason = reasonOf(longest.entry, longest.budget);
  const error = new HttpError(429, {
    code: never ? 'request_exceeds_limit' : 'rate_limit_exceeded',
    message: never ? reason : `${reason} Try again in ${whole} s.`,
    param: never ? 'max_tokens' : null,
    headers: {
      ...rateLimitHeaders(told),
      // No wait helps; without this OpenAI's clients would try again.
      ...(never ? { 'x-should-retry': 'false' } : { 'Retry-After': String(whole) }),
    },
  });
  return Object.assign(error, {
    retryAfterMs: never ? Infinity : seconds * 1000,
    refusedBy: refusing.map(({ entry, budget }) => ({
      scope: budget.scope,
      limit: entry.dimension,
    })),
  });
}
