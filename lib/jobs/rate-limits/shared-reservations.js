import { NOTHING, asksOf, costsOfJob, costsOfWork } from './asks.js';
import { keyOf } from './limit-table.js';
import { randomId } from '../../internal/util/random-id.js';
import { refusalOf } from './refusals.js';

/** @typedef {import('../job.js').JobRecord} JobRecord */
/** @typedef {import('../job.js').ReservationHold} ReservationHold */
/** @typedef {import('../shared-parts.js').SharedPart} SharedPart */
/** @typedef {import('../policy/access-control.js').Budget} Budget */
/** @typedef {import('../../primitives/limiters/quota.js').QuotaEntry} QuotaEntry */
/** @typedef {import('./asks.js').Ask} Ask */
/** @typedef {import('./shared-quota-port.js').SharedAsk} SharedAsk */
/** @typedef {import('./shared-quota-port.js').SharedDecision} SharedDecision */
/** @typedef {import('./shared-quota-port.js').SharedHold} SharedHold */

const WINDOW_MS = 60_000;
const US_PER_MS = 1000;
const US_PER_S = 1e6;
/** Suffix of the keys of token buckets. */
const TOKENS = '/tokens';
/** A wait that never ends, in the format of the scripts. */
const NEVER = '-1';

/** @param {string} us */
const secondsOf = (us) => (us === NEVER ? Infinity : Number(us) / US_PER_S);

/**
 * @param {Ask[]} asks
 * @param {SharedDecision[]} decisions of each
 */
const entriesOf = (asks, decisions) => asks.map((ask, i) => entryOf(ask, decisions[i]));

/**
 * @param {Ask[]} asks
 * @param {QuotaEntry[]} entries of each
 */
const refusalBy = (asks, entries) =>
  refusalOf(
    entries,
    asks.map(({ budget }) => budget),
  );

/**
 * @param {Ask} ask
 * @param {SharedDecision} decision
 * @returns {QuotaEntry}
 */
function entryOf({ dimension, budget, cost, limit }, [allowed, remaining, retryUs, resetUs]) {
  return {
    dimension,
    key: keyOf(budget),
    cost,
    allowed: allowed === '1',
    limit,
    windowMs: dimension === 'concurrent_jobs' ? undefined : WINDOW_MS,
    remaining: Number(remaining),
    retryAfter: secondsOf(retryUs),
    resetAfter: secondsOf(resetUs),
  };
}

/**
 * A job's reservation of limits in Redis. The script that ends the job settles it, the one
 * that retracts the job returns it.
 * @implements {ReservationHold}
 */
class SharedReservation {
  #held;
  #onLateTokens;
  /** State of the answer that the job begins. */
  #answer = { isBegun: false, isSettled: false, tokens: 0 };
  #isSettled = false;

  /**
   * @param {readonly SharedHold[]} held
   * @param {QuotaEntry[]} entries
   * @param {(charges: [hold: SharedHold, amount: string][]) => void} onLateTokens called if the answer ends after
   *   the job that began it
   */
  constructor(held, entries, onLateTokens) {
    this.#held = held;
    this.entries = entries;
    this.#onLateTokens = onLateTokens;
  }

  settle() {}

  release() {}

  /** Reservation of the tokens of an answer that the job begins. @returns {ReservationHold} */
  ofAnswer() {
    this.#answer.isBegun = true;
    return { entries: [], settle: (tokens) => this.#settleAnswer(tokens), release: () => {} };
  }

  /** @param {number} tokens used */
  #settleAnswer(tokens) {
    this.#answer.isSettled = true;
    this.#answer.tokens = tokens;
    if (!this.#isSettled) return;
    const buckets = this.#held.filter(([key]) => key.endsWith(TOKENS));
    this.#onLateTokens(buckets.map((hold) => [hold, String(tokens - Number(hold[1]))]));
  }

  /**
   * @param {number} tokens that the job has used; for an answer that it begins, the tokens of the answer
   * @returns {string[]} charges for each reservation; empty: as reserved
   */
  settlement(tokens) {
    this.#isSettled = true;
    const { isBegun, isSettled, tokens: ofAnswer } = this.#answer;
    const own = isBegun ? ofAnswer : tokens;
    // An answer that continues is charged at its end.
    const used = isBegun && !isSettled ? '' : String(own);
    return this.#held.map(([key]) => (key.endsWith(TOKENS) ? used : ''));
  }
}

/**
 * Reservations of the limits of a key, organisation, model and endpoint that the processes of a deployment
 * share, with the rules of Reservations. A job takes them in the script that admits it; other work takes a
 * lease. Main thread. Lives as long as its gateway.
 * @implements {SharedPart}
 */
export class SharedReservations {
  /** @type {'quota'} */
  name = 'quota';
  #access;
  #quota;
  /** Time at which the limits came into force, on Redis's clock; empty: at the start. */
  #since = '';
  /** Asks of jobs that are being admitted. @type {WeakMap<JobRecord, Ask[]>} */
  #asked = new WeakMap();
  /** Leases open in this process. */
  open = 0;

  /**
   * @param {object} deps
   * @param {import('../policy/access-control.js').AccessControl} deps.access
   * @param {import('./shared-quota-port.js').SharedQuotaPort} deps.quota
   */
  constructor({ access, quota }) {
    this.#access = access;
    this.#quota = quota;
  }

  /** Applies the current limits of `access`. Existing use still counts. */
  reload() {
    const nowUs = this.#quota.nowUs();
    this.#since = nowUs === 0 ? '' : String(Math.floor(nowUs));
  }

  // --- the part of a job

  /**
   * @param {JobRecord} record
   * @param {import('../shared-parts.js').AdmissionDetails} details
   * @returns {SharedAsk[] | undefined}
   */
  ask(record, { request, access, endpoint, answer }) {
    const costs = costsOfJob(request, {
      tokens: answer !== 'shares',
      defaultMaxTokens: this.#access.defaultMaxTokens,
    });
    const asks = asksOf(this.#access.budgets(access, record.model, endpoint), costs);
    if (asks.length === 0) return undefined;
    this.#asked.set(record, asks);
    return asks.map((ask) => this.#shared(ask));
  }

  /**
   * @param {JobRecord} record
   * @param {SharedDecision[]} decisions
   */
  taken(record, decisions) {
    const asks = this.#askedOf(record);
    record.reservation = this.#reservation(record, asks.map(holdOf), entriesOf(asks, decisions));
  }

  /**
   * @param {JobRecord} record
   * @param {SharedDecision[]} decisions
   */
  refused(record, decisions) {
    const asks = this.#askedOf(record);
    return refusalBy(asks, entriesOf(asks, decisions));
  }

  /**
   * @param {JobRecord} record
   * @param {JobRecord} answer
   */
  begun(record, answer) {
    const { reservation } = record;
    if (reservation instanceof SharedReservation) answer.reservation = reservation.ofAnswer();
  }

  /**
   * @param {JobRecord} record
   * @param {SharedHold[]} held
   */
  adopt(record, held) {
    record.reservation = this.#reservation(record, held, []);
    // Kept for a new reservation if Redis loses its data.
    const { asked = '{}' } = record;
    record.asked = JSON.stringify({ ...JSON.parse(asked), quota: held });
  }

  /**
   * @param {JobRecord} record
   * @returns {'state' | undefined}
   */
  settles({ reservation }) {
    return reservation instanceof SharedReservation ? 'state' : undefined;
  }

  /**
   * @param {JobRecord} record
   * @param {import('../../streams/types.js').JobState} state
   * @returns {string[] | undefined}
   */
  settle(record, { usage }) {
    const { reservation } = record;
    if (!(reservation instanceof SharedReservation)) return undefined;
    return reservation.settlement(record.tokensUsed(usage));
  }

  // --- work that is not a job

  /**
   * Reserves the limits of a call that is charged like a job.
   * @param {import('../checked-request.js').CheckedRequest} request
   * @param {import('./reservations.js').Subject} subject
   * @returns {Promise<ReservationHold | undefined>} undefined: no limit applies
   * @throws {import('../../internal/util/http-error.js').HttpError} 429; 503 and 507 from Redis
   */
  forCall(request, subject) {
    return this.forPart(request, subject);
  }

  /**
   * Reserves the limits of a child job.
   * @param {import('../checked-request.js').CheckedRequest} request
   * @param {import('./reservations.js').Subject} subject
   * @param {{request: boolean, place: boolean}} [covered] amounts reserved by its operation
   * @returns {Promise<ReservationHold | undefined>} undefined: no limit applies
   * @throws {import('../../internal/util/http-error.js').HttpError} see `forCall`
   */
  forPart(request, { access, model, endpoint }, covered) {
    const { defaultMaxTokens } = this.#access;
    const costs = costsOfJob(request, { tokens: true, defaultMaxTokens, covered });
    return this.#hold(asksOf(this.#access.budgets(access, model, endpoint), costs));
  }

  /**
   * Reserves the limits of a crawl within a workflow.
   * @param {Readonly<import('../policy/config.js').Access>} access
   * @param {string} endpoint
   * @param {{request: boolean, place: boolean}} [covered] amounts reserved by its operation
   * @returns {Promise<ReservationHold | undefined>} undefined: no limit applies
   * @throws {import('../../internal/util/http-error.js').HttpError} see `forCall`
   */
  forWork(access, endpoint, covered) {
    const budgets = this.#access.budgets(access, undefined, endpoint);
    return this.#hold(asksOf(budgets, costsOfWork(covered)));
  }

  /**
   * The request of an operation to the script that announces it, as for a job.
   * @param {Readonly<import('../policy/config.js').Access>} access
   * @param {string} endpoint
   * @returns {{asked: SharedAsk[], taken: (decisions: SharedDecision[]) => ReservationHold,
   *   refused: (decisions: SharedDecision[]) => Error} | undefined} undefined: no limit applies
   */
  ofWork(access, endpoint) {
    const asks = asksOf(this.#access.budgets(access, undefined, endpoint), costsOfWork());
    if (asks.length === 0) return undefined;
    return {
      asked: asks.map((ask) => this.#shared(ask)),
      taken: (decisions) =>
        new SharedReservation(asks.map(holdOf), entriesOf(asks, decisions), () => {}),
      refused: (decisions) => refusalBy(asks, entriesOf(asks, decisions)),
    };
  }

  /**
   * @param {Ask[]} asks
   * @returns {Promise<ReservationHold | undefined>} a lease; undefined: no limit applies
   */
  async #hold(asks) {
    if (asks.length === 0) return undefined;
    const { id, allowed, entries } = await this.#lease(asks);
    if (!allowed) throw refusalBy(asks, entries);
    this.open += 1;
    const end = (/** @type {string[] | undefined} */ used) => {
      this.open -= 1;
      return this.#quota.end(id, used);
    };
    return {
      entries,
      settle: (tokens) =>
        end(asks.map(({ dimension }) => (dimension === 'tokens' ? String(tokens) : ''))),
      release: () => end(undefined),
    };
  }

  /**
   * Remaining amounts of one budget; reserves nothing.
   * @param {Budget} budget
   * @returns {Promise<QuotaEntry[]>}
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 while Redis is away
   */
  async peekBudget(budget) {
    const asks = asksOf([budget], NOTHING);
    if (asks.length === 0) return [];
    return entriesOf(asks, await this.#quota.peek(asks.map((ask) => this.#shared(ask))));
  }

  /**
   * @param {Ask[]} asks
   * @returns {Promise<{id: string, allowed: boolean, entries: QuotaEntry[]}>} of a lease, if it is allowed
   */
  async #lease(asks) {
    const id = randomId('lease');
    const { allowed, decisions } = await this.#quota.reserve(
      id,
      asks.map((ask) => this.#shared(ask)),
    );
    return { id, allowed, entries: entriesOf(asks, decisions) };
  }

  /** @param {JobRecord} record */
  #askedOf(record) {
    return /** @type {Ask[]} */ (this.#asked.get(record));
  }

  /**
   * @param {JobRecord} record
   * @param {readonly SharedHold[]} held
   * @param {QuotaEntry[]} entries
   */
  #reservation({ id }, held, entries) {
    return new SharedReservation(held, entries, (charges) => this.#quota.charge(id, charges));
  }

  /**
   * @param {Ask} ask
   * @returns {SharedAsk}
   */
  #shared(ask) {
    const hold = holdOf(ask);
    return hold.length === 3 ? hold : [...hold, this.#since];
  }
}

/**
 * @param {Ask} ask
 * @returns {SharedHold}
 */
function holdOf({ dimension, cost, limit, budget: { scope, name } }) {
  if (dimension === 'concurrent_jobs') return [`c:${scope}/${name}`, String(cost), String(limit)];
  const key = `q:${scope}/${name}/${dimension}`;
  return [key, String(cost), String(limit), String(WINDOW_MS * US_PER_MS)];
}
