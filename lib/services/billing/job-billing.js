import { ledgerControl } from '../../primitives/ledger/ledger.js';
import { payerClosed } from './errors.js';
import { isCached } from '../../jobs/job.js';
import {
  billedCost,
  boundedRequest,
  holdTimeoutMs,
  insufficientCredit,
  least,
  newBill,
  reportUncollected,
  usageOf,
} from './charges.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../jobs/checked-request.js').CheckedRequest} CheckedRequest */
/** @typedef {import('./charges.js').Bill} Bill */
/** @typedef {import('./charges.js').Settlement} Settlement */
/** @typedef {import('./charges.js').BillingCounters} BillingCounters */

/** Keys of holds begin with it; the id of the job follows. */
const HOLD_PREFIX = '@hold:';
/** Time-out of a hold that is settled at once. */
const AT_ONCE_MS = 60_000;

/**
 * Billing of jobs: places a hold at admission and charges the actual use at the end. Main thread.
 *
 * A hold covers the prompt's estimated tokens and `max_tokens` at current prices. Account, hold and
 * rates are stored with the job (`record.extra.credit`), also in the data file; the charge depends
 * only on these. Settling is idempotent by job id, so a job that a restart ends again is charged
 * once. It never throws, because a ledger failure must not affect an ended job.
 *
 * The job that began a shared answer pays for it in full when the answer ends, even if that job has
 * ended before. Jobs that join or replay it pay the cached price of the tokens they received.
 *
 * Lives as long as its gateway.
 */
export class JobBilling {
  #accounts;
  #access;
  #options;
  #metrics;
  /** Bills of jobs and answers that have not ended. @type {Map<JobRecord, Bill>} */
  #open = new Map();
  /** Number of holds tried for a job so far. @type {WeakMap<JobRecord, number>} */
  #tries = new WeakMap();
  /** Voided jobs: their clients never received an id. @type {WeakSet<JobRecord>} */
  #undone = new WeakSet();
  /** Ids of the holds of earlier processes that are still open. @type {Set<number>} */
  #inherited;

  /**
   * @param {object} deps
   * @param {import('./accounts.js').Accounts} deps.accounts
   * @param {import('../../jobs/policy/access-control.js').AccessControl} deps.access
   * @param {import('../../jobs/settings.js').Settings} deps.options
   * @param {BillingCounters} deps.metrics
   */
  constructor({ accounts, access, options, metrics }) {
    this.#accounts = accounts;
    this.#access = access;
    this.#options = options;
    this.#metrics = metrics;
    this.#inherited = new Set(this.#openHolds().map(({ id }) => id));
  }

  /** Open holds of jobs. */
  #openHolds() {
    const open = ledgerControl.openHolds(this.#accounts.ledger);
    return open.filter(({ key }) => key?.startsWith(HOLD_PREFIX));
  }

  /**
   * Releases the open holds of earlier processes. Called once, after the jobs of the data file are
   * settled: the rest belongs to jobs that are not in the file, because they were child jobs or the
   * process ended between the hold and the job.
   */
  releaseOrphans() {
    const orphans = this.#openHolds().filter(({ id }) => this.#inherited.has(id));
    this.#inherited.clear();
    for (const { id: hold, key = '' } of orphans) {
      const jobId = key.slice(HOLD_PREFIX.length);
      this.#safely(() => this.#accounts.ledger.void({ key: `@void:${jobId}:${hold}`, hold }));
    }
    if (orphans.length === 0) return;
    const fields = { holds: orphans.length };
    this.#options.logger.info(fields, 'released the holds of jobs that are not in the data file');
  }

  /** Number of jobs and answers that are not settled. */
  get open() {
    return this.#open.size;
  }

  /**
   * Sets the default `max_tokens` of a priced request, so that its answer ends where its hold does.
   * @param {CheckedRequest} request the original request
   * @param {string} model resolved
   * @returns {CheckedRequest}
   */
  bounded(request, model) {
    return boundedRequest(this.#access, request, model);
  }

  /**
   * Holds the maximum cost of a job, or of the answer that it begins.
   * @param {JobRecord} record
   * @param {CheckedRequest} request the original request
   * @param {Readonly<import('../../jobs/policy/config.js').Access>} access of the job's caller
   * @param {{answer?: JobRecord, cached?: boolean}} [how] `answer`: the answer that it begins and
   *   pays for; `cached`: it shares another job's answer
   * @throws {HttpError} 402
   */
  hold(record, request, access, { answer, cached = false } = {}) {
    this.releaseHold(record);
    const bill = newBill(this.#access, { model: record.model, request, access, cached });
    if (bill === undefined) return;
    if (bill.held !== '0') bill.hold = this.#take(record, bill.account, BigInt(bill.held));
    const owner = answer ?? record;
    this.#open.set(owner, bill);
    // The data file stores it with the job; its owner settles it.
    record.extra = { ...record.extra, credit: bill };
    if (answer !== undefined) answer.extra = { credit: bill };
  }

  /**
   * @param {JobRecord} record
   * @param {string} account
   * @param {bigint} amount
   * @returns {number} the hold's event
   */
  #take(record, account, amount) {
    const tries = (this.#tries.get(record) ?? 0) + 1;
    this.#tries.set(record, tries);
    const hold = this.#accounts.hold({
      key: `${HOLD_PREFIX}${record.id}${tries === 1 ? '' : `:${tries}`}`,
      account,
      amount,
      timeoutMs: holdTimeoutMs(record, this.#options),
    });
    if (hold !== undefined) return hold.id;
    if (this.#accounts.isClosed(account)) throw payerClosed(account);
    throw insufficientCredit(account, amount, this.#accounts.roomOf(account));
  }

  /**
   * Releases the hold of a job that was not placed; `hold` may be called again. The hold of an
   * answer is released separately.
   * @param {JobRecord} record
   */
  releaseHold(record) {
    const bill = this.#open.get(record);
    this.#open.delete(record);
    if (record.extra?.credit !== undefined) record.extra = { ...record.extra, credit: undefined };
    if (bill?.hold === undefined) return;
    const { hold } = bill;
    const key = `@void:${record.id}:${hold}`;
    this.#safely(() => this.#accounts.ledger.void({ key, hold }));
  }

  /**
   * Like `releaseHold`, for a job that is in the hub but whose client received no id: its end costs
   * nothing. An answer that other jobs have joined continues and is charged.
   * @param {JobRecord} record
   */
  voidJob(record) {
    this.#undone.add(record);
    this.releaseHold(record);
    const { answer, cache } = record;
    if (answer === undefined || cache !== 'miss') return;
    if ([...answer.members].every((member) => member === record)) this.voidJob(answer);
  }

  /**
   * Settles a job that has ended, now or before a restart, or an ended shared answer.
   * @param {JobRecord} record with its `final`; an answer without one was not admitted
   * @returns {Settlement | undefined} undefined: nothing to settle
   */
  settle(record) {
    if (record.final === undefined) this.voidJob(record);
    if (this.#undone.has(record)) return undefined;
    const shared = record.answer !== undefined;
    // Its answer is charged when the answer ends.
    if (shared && record.cache === 'miss') return undefined;
    const bill = /** @type {Bill | undefined} */ (record.extra?.credit);
    const cached = isCached(record);
    const usage = usageOf(record, record.final, cached);
    if (bill === undefined) return { record, cached, usage, cost: 0n };
    this.#open.delete(record);
    let cost = 0n;
    this.#safely(() => {
      cost = billedCost(bill, usage, cached);
      this.#charge(record.id, bill, cost);
    });
    return { record, cached, usage, cost };
  }

  /**
   * Takes the cost from the hold, and any excess from the account up to its limit.
   * @param {string} id of the job
   * @param {Bill} bill
   * @param {bigint} cost
   */
  #charge(id, bill, cost) {
    const settled = this.#fromHold(id, bill, cost);
    if (settled === undefined) return;
    const { paid, replayed } = settled;
    if (!replayed) this.#metrics.creditsCharged.inc(Number(paid));
    const rest = cost - paid;
    if (rest === 0n) return;
    const { account } = bill;
    const room = this.#accounts.roomOf(account);
    const amount = room > 0n ? least(rest, room) : 0n;
    const beyond = amount > 0n && this.#beyond(id, account, amount);
    if (beyond) this.#metrics.creditsCharged.inc(Number(amount));
    if (rest === amount || replayed) return;
    const to = { metrics: this.#metrics, logger: this.#options.logger };
    reportUncollected(to, { id, account, missing: rest - amount });
  }

  /**
   * @param {string} id
   * @param {Bill} bill
   * @param {bigint} cost
   * @returns {{paid: bigint, replayed: boolean} | undefined} `replayed`: the same settlement was
   *   made before; undefined: a different one was, so nothing more is charged
   */
  #fromHold(id, { hold, held }, cost) {
    if (hold === undefined) return { paid: 0n, replayed: false };
    const { ledger } = this.#accounts;
    // The hold belongs to another ledger: the data file was replaced.
    const [event] = ledger.events({ after: hold - 1, limit: 1 });
    if (!event?.key?.startsWith(`${HOLD_PREFIX}${id}`)) return undefined;
    const amount = least(cost, BigInt(held));
    try {
      const ask = () => ledger.settle({ key: `@settle:${id}`, hold, amount });
      return { paid: amount, replayed: this.#accounts.answer(ask).replayed };
    } catch (/** @type {any} */ error) {
      if (error.code === 'ERR_HOLD_EXPIRED') return { paid: 0n, replayed: false };
      if (error.code === 'ERR_IDEMPOTENCY_CONFLICT') return undefined;
      throw error;
    }
  }

  /**
   * @param {string} id
   * @param {string} account
   * @param {bigint} amount available in the account
   * @returns {boolean} whether it was taken now
   */
  #beyond(id, account, amount) {
    const { ledger } = this.#accounts;
    try {
      const key = `${HOLD_PREFIX}${id}:rest`;
      const hold = this.#accounts.hold({ key, account, amount, timeoutMs: AT_ONCE_MS });
      if (hold === undefined) return false;
      const ask = () => ledger.settle({ key: `@settle:${id}:rest`, hold, amount });
      return !this.#accounts.answer(ask).replayed;
    } catch (/** @type {any} */ error) {
      // It was charged before.
      if (error.code === 'ERR_IDEMPOTENCY_CONFLICT') return false;
      throw error;
    }
  }

  /** @param {() => void} act */
  #safely(act) {
    try {
      act();
    } catch (error) {
      this.#options.logger.error({ err: error }, 'the ledger refused');
    }
  }
}
