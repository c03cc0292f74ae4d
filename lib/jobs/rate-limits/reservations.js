import { LimitTable, initialLimits, keyOf } from './limit-table.js';
import { Quota } from '../../primitives/limiters/quota.js';
import { NOTHING, asksOf, costsOfJob, costsOfWork, tokensOf } from './asks.js';
import { refusalOf } from './refusals.js';

/** @typedef {import('../policy/access-control.js').Budget} Budget */
/** @typedef {import('../policy/config.js').Access} Access */
/** @typedef {import('../../primitives/limiters/quota.js').QuotaEntry} QuotaEntry */
/** @typedef {import('./refusals.js').RateLimitError} RateLimitError */
/** @typedef {import('../checked-request.js').CheckedRequest} CheckedRequest */

/**
 * Identifies the budgets that a job counts against.
 * @typedef {object} Subject
 * @property {Readonly<Access>} access
 * @property {string | undefined} model resolved; undefined if no model is used
 * @property {string} endpoint of the request
 */

/** A lease outlives its job's time limit by this, to allow for delivery of the terminal event. */
const LEASE_GRACE_MS = 60_000;

/** Longest lease; used for operations and answers, which have no time limit but always settle. */
const NO_TIME_MS = 366 * 24 * 3600 * 1000;

/** Reservation for one job, or for one shared answer. */
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
   * Settles the reservation at actual use. Only the first call has an effect.
   * @param {number} tokens used
   */
  settle(tokens) {
    this.#lease.settle(this.#countsTokens ? { tokens } : undefined);
  }

  /** Returns everything: the work never began. */
  release() {
    this.#lease.release();
  }
}

/**
 * The request and the concurrency slot that an operation has reserved for its child jobs. Child
 * jobs reserve the limits of a model themselves, because an operation uses no model.
 */
export class WorkReservation {
  #reservation;
  #requestUsed = false;
  #placeUsed = false;

  /** @param {import('../job.js').ReservationHold | undefined} reservation undefined: no limit applies */
  constructor(reservation) {
    this.#reservation = reservation;
  }

  get entries() {
    return this.#reservation?.entries ?? [];
  }

  /**
   * Lends the operation's reservation to a child job: the request to the first child, the slot to
   * one child at a time.
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

  /** Call it when the operation has ended. */
  settle() {
    this.#reservation?.settle(0);
  }

  /** Call it if the operation never began. */
  release() {
    this.#reservation?.release();
  }
}

/**
 * The part of a child job's reservation that its operation covers.
 * @typedef {object} Covered
 * @property {boolean} request
 * @property {boolean} place
 * @property {(admitted: boolean) => void} giveBack called once, when the child job has ended or was
 *   refused
 */

/**
 * Reservations of the limits of a key, organisation, model and endpoint. A job reserves all or
 * nothing before it is queued and settles once at its end. Main thread, over one Quota.
 *
 * A job reserves one request, one concurrency slot, and its maximum tokens. A refused job reserves
 * nothing. An admitted job is charged one request in any case, and the tokens that it used.
 *
 * State is in memory, so leases end with the process. A persistent store would have to expire
 * leases, which carry a time, before it grants again.
 *
 * Lives as long as its gateway.
 */
export class Reservations {
  #access;
  #quota;
  #table;
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
    this.#table = new LimitTable(this.#quota);
    this.reload();
  }

  /** Applies the current limits of `access`. Existing use still counts. */
  reload() {
    this.#table.configure(this.#access.defaults, this.#access.configuredBudgets());
  }

  /** Number of open leases. */
  get open() {
    return this.#quota.openLeases;
  }

  /**
   * Reserves the limits for one job.
   * @param {CheckedRequest} request
   * @param {Subject} subject
   * @param {object} options
   * @param {boolean} options.shared the answer is shared: the job that begins it reserves its tokens
   * @param {boolean} [options.patient] its wait for room is unlimited
   * @param {Covered} [options.covered] the part that its operation has reserved
   * @returns {Reservation | undefined} undefined: no limit applies
   * @throws {RateLimitError}
   */
  forJob(request, subject, { shared, patient = false, covered }) {
    const budgets = this.#budgetsOf(subject);
    if (budgets.length === 0) return undefined;
    const ms = this.#waitMs + (request.max_wall_ms ?? this.#maxWallMs) + LEASE_GRACE_MS;
    const { defaultMaxTokens } = this.#access;
    const answer = this.#lease(
      budgets,
      costsOfJob(request, { tokens: !shared, defaultMaxTokens, covered }),
      patient ? NO_TIME_MS : Math.min(ms, NO_TIME_MS),
    );
    if (answer === undefined) return undefined;
    if (!answer.lease.allowed) throw refusalOf(answer.lease.entries, answer.budgets);
    return new Reservation(answer.lease);
  }

  /**
   * Reserves the limits of a call that is charged like a job.
   * @param {CheckedRequest} request
   * @param {Subject} subject
   * @returns {Promise<import('../job.js').ReservationHold | undefined>} undefined: no limit applies
   * @throws {RateLimitError}
   */
  async forCall(request, subject) {
    return this.forJob(request, subject, { shared: false });
  }

  /**
   * Reserves one request and one concurrency slot for a workflow, a crawl, or a crawl within a
   * workflow.
   * @param {Readonly<Access>} access
   * @param {string} endpoint
   * @param {Covered} [covered]
   * @returns {Reservation | undefined} undefined: no limit applies
   * @throws {RateLimitError}
   */
  forWork(access, endpoint, covered) {
    const subject = { access, endpoint, model: undefined };
    const answer = this.#reserve(subject, costsOfWork(covered), NO_TIME_MS);
    if (answer === undefined) return undefined;
    if (!answer.lease.allowed) throw refusalOf(answer.lease.entries, answer.budgets);
    return new Reservation(answer.lease);
  }

  /**
   * Reserves the tokens of a shared answer, until the last of its jobs has ended.
   * @param {CheckedRequest} request
   * @param {Subject} subject
   * @param {import('../job.js').ReservationHold | undefined} job reservation of the job that begins
   *   it; released on a refusal
   * @returns {Reservation | undefined}
   * @throws {RateLimitError}
   */
  forAnswer(request, subject, job) {
    const answer = this.#reserve(
      subject,
      { tokens: (limit) => tokensOf(request, limit, this.#access.defaultMaxTokens) },
      NO_TIME_MS,
    );
    if (answer === undefined) return undefined;
    if (answer.lease.allowed) return new Reservation(answer.lease);
    job?.release();
    throw refusalOf(answer.lease.entries, answer.budgets, this.peek(subject));
  }

  /**
   * Remaining amounts of all budgets of a job; reserves nothing.
   * @param {Subject} subject
   * @returns {QuotaEntry[]}
   */
  peek(subject) {
    const lease = this.#reserve(subject, NOTHING, 1)?.lease;
    lease?.release();
    return lease?.entries ?? [];
  }

  /**
   * Remaining amounts of one budget; reserves nothing.
   * @param {Budget} budget
   * @returns {Promise<QuotaEntry[]>}
   */
  async peekBudget(budget) {
    const lease = this.#lease([budget], NOTHING, 1)?.lease;
    lease?.release();
    return lease?.entries ?? [];
  }

  /**
   * @param {Subject} subject
   * @param {import('./asks.js').Costs} costs
   * @param {number} leaseMs
   * @returns {{lease: import('../../primitives/limiters/quota-lease.js').QuotaLease, budgets:
   *   Budget[]} | undefined} with the budget of each entry; undefined: no limit applies
   */
  #reserve(subject, costs, leaseMs) {
    return this.#lease(this.#budgetsOf(subject), costs, leaseMs);
  }

  /** @param {Subject} subject @returns {Budget[]} budgets that have limits */
  #budgetsOf({ access, model, endpoint }) {
    const budgets = this.#access.budgets(access, model, endpoint);
    const isOwn = budgets.length > 0 && budgets[0].scope === 'principal';
    if (isOwn && this.#access.isGiven(access)) this.#table.give(budgets[0]);
    return budgets;
  }

  /**
   * @param {Budget[]} budgets
   * @param {import('./asks.js').Costs} costs
   * @param {number} leaseMs
   * @returns {{lease: import('../../primitives/limiters/quota-lease.js').QuotaLease, budgets:
   *   Budget[]} | undefined} see `#reserve`
   */
  #lease(budgets, costs, leaseMs) {
    const asked = asksOf(budgets, costs);
    if (asked.length === 0) return undefined;
    const asks = asked.map(({ dimension, cost, budget }) => {
      return { dimension, key: keyOf(budget), cost };
    });
    const lease = this.#quota.reserve(asks, { leaseMs });
    return { lease, budgets: asked.map(({ budget }) => budget) };
  }
}
