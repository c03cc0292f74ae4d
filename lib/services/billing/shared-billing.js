import { Credits } from './service.js';
import { SharedAccounts, SharedUsage, usageFields } from './shared-accounts.js';
import { AMOUNT_MAX } from '../../primitives/ledger/events.js';
import { accountOf } from '../../jobs/policy/prices.js';
import { ERASED, erasedAccount } from './erased.js';
import { countsOf } from './usage.js';
import { payerClosed } from './errors.js';
import { redisUnavailable } from '../../jobs/errors.js';
import { isCached } from '../../jobs/job.js';
import {
  billedCost,
  boundedRequest,
  holdTimeoutMs,
  insufficientCredit,
  least,
  newBill,
  ratesOf,
  overdraftToBe,
  reportUncollected,
  usageOf,
} from './charges.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../jobs/shared-parts.js').SharedPart} SharedPart */
/** @typedef {import('../../jobs/shared-parts.js').AdmissionDetails} AdmissionDetails */
/** @typedef {import('../../streams/types.js').JobState} JobState */
/** @typedef {import('../../cluster/ledger/shared-credit.js').SharedCredit} SharedCredit */
/** @typedef {import('../../cluster/ledger/shared-credit.js').AskedHold} AskedHold */
/** @typedef {import('../../cluster/ledger/shared-credit.js').HoldRefusal} HoldRefusal */
/** @typedef {import('../../cluster/ledger/shared-credit.js').HoldSettlement} HoldSettlement */
/** @typedef {import('./charges.js').Bill} Bill */
/** @typedef {import('./charges.js').Settlement} Settlement */

/** Marks a settlement that another call will make, or the heirs of this process. */
const LATER = Object.freeze({ later: /** @type {const} */ ('1') });
const FREE = Object.freeze({ prompt: '0', completion: '0' });

/**
 * Billing of the jobs of a deployment: the script that admits a job holds its maximum cost in Redis, and the
 * one that ends it charges its actual use and counts it. The rules are those of JobBilling. Main thread.
 *
 * A job that began a shared answer and ends before it is settled when the answer ends. If its process dies
 * before that, it pays for its usage at its end.
 *
 * Lives as long as its gateway.
 */
class SharedJobBilling {
  #credit;
  #access;
  #options;
  #metrics;
  /** The jobs that began answers. @type {WeakMap<JobRecord, JobRecord>} */
  #began = new WeakMap();
  /** Jobs that are settled when their answer ends. @type {WeakSet<JobRecord>} */
  #later = new WeakSet();
  /** Settlements of ending jobs. @type {WeakMap<JobRecord, Settlement | undefined>} */
  #settlements = new WeakMap();
  /**
   * Costs of ending jobs; `isSure`: their holds cover them.
   * @type {WeakMap<JobRecord, {cost: bigint, isSure: boolean}>}
   */
  #costs = new WeakMap();
  /** Jobs withdrawn after their admission. @type {WeakSet<JobRecord>} */
  #undone = new WeakSet();
  /** Calls and answers that are being settled. */
  open = 0;

  /**
   * @param {object} deps
   * @param {SharedCredit} deps.credit
   * @param {import('../../jobs/policy/access-control.js').AccessControl} deps.access
   * @param {import('../../jobs/settings.js').Settings} deps.options
   * @param {import('./charges.js').BillingCounters} deps.metrics
   */
  constructor({ credit, access, options, metrics }) {
    this.#credit = credit;
    this.#access = access;
    this.#options = options;
    this.#metrics = metrics;
  }

  // --- for admission

  /**
   * @param {import('../../jobs/checked-request.js').CheckedRequest} request the original request
   * @param {string} model resolved
   */
  bounded(request, model) {
    return boundedRequest(this.#access, request, model);
  }

  hold() {}

  releaseHold() {}

  /** @param {JobRecord} record a withdrawn one: its end costs nothing */
  voidJob(record) {
    this.#undone.add(record);
  }

  // --- the parts of a job

  /** @returns {SharedPart} the part of a job that holds credit */
  holdPart() {
    return {
      name: 'hold',
      ask: (record, details) => this.#ask(record, details),
      taken: (record, hold) => this.#setHold(record, hold),
      refused: (record, refusal) => this.#refusalOf(billOf(record), refusal),
      begun: (record, answer) => void this.#began.set(answer, record),
      adopt: (record, hold) => this.#setHold(record, hold),
      settles: (record) => (isPriced(record) ? 'state' : undefined),
      settle: (record, state) => this.#settleHold(record, state),
    };
  }

  /**
   * The script that ends a job counts its usage, unless another call settles it.
   * @returns {SharedPart} its usage
   */
  usagePart() {
    return {
      name: 'usage',
      ask: ({ model }, { answer }) => ({ model, ...(answer === 'shares' && { shares: '1' }) }),
      settles: () => undefined,
      adopt: (record, { shares }) => {
        // A job that runs with its own call no longer shares an answer.
        if (shares === '1') record.cache ??= 'join';
      },
      settle: (record, state) => {
        const settlement = this.#settlementOf(record, state);
        if (settlement !== undefined) return usageFields(countsOf(settlement));
        const owed = this.#chargeOf(record, record, state);
        return { ...LATER, ...usageFields(countsOf(owed)) };
      },
    };
  }

  /**
   * @param {JobRecord} record
   * @param {AdmissionDetails} details
   * @returns {AskedHold | undefined}
   */
  #ask(record, { request, access, answer }) {
    const job = { model: record.model, request, access };
    const bill =
      answer === 'shares'
        ? this.#sharedBill(job)
        : newBill(this.#access, { ...job, cached: false });
    if (bill !== undefined || billOf(record) !== undefined) {
      // Redis stores it with the job.
      record.extra = { ...record.extra, credit: bill };
    }
    return bill === undefined || bill.held === '0' ? undefined : this.#asked(record, bill);
  }

  /**
   * @param {Omit<Parameters<typeof newBill>[1], 'cached'>} job a job that shares an answer
   * @returns {Bill | undefined} a bill with the rates of the job's own call, which its heir would make
   */
  #sharedBill(job) {
    const shared = newBill(this.#access, { ...job, cached: true });
    const own = newBill(this.#access, { ...job, cached: false });
    if (own === undefined) return shared;
    return { ...(shared ?? { account: own.account, held: '0', rates: FREE }), own: own.rates };
  }

  /**
   * @param {JobRecord} record
   * @param {Bill} bill
   * @returns {AskedHold}
   */
  #asked(record, { account, held }) {
    const overdraft = String(overdraftToBe(this.#access, account));
    const timeout = String(Math.ceil(holdTimeoutMs(record, this.#options) * 1000));
    return { account, overdraft, amount: held, timeout };
  }

  /**
   * @param {JobRecord} record
   * @param {string} hold id of its event
   */
  #setHold(record, hold) {
    const bill = billOf(record);
    if (bill !== undefined) bill.hold = Number(hold);
  }

  /**
   * @param {Bill | undefined} bill
   * @param {HoldRefusal} refusal
   * @returns {import('../../internal/util/http-error.js').HttpError}
   */
  #refusalOf(bill, { closed, more, ...balance }) {
    const { account, held } = /** @type {Bill} */ (bill);
    if (closed !== undefined) return payerClosed(account);
    if (more !== undefined) return redisUnavailable();
    const room = BigInt(balance.posted) - BigInt(balance.held) + BigInt(balance.overdraft);
    return insufficientCredit(account, BigInt(held), least(room, AMOUNT_MAX));
  }

  /**
   * @param {JobRecord} record that is ending
   * @param {JobState} state
   * @returns {Settlement | undefined} undefined: it is settled at the end of its answer, or needs no settlement
   */
  #settlementOf(record, state) {
    if (!this.#settlements.has(record)) this.#settlements.set(record, this.#settle(record, state));
    return this.#settlements.get(record);
  }

  /**
   * @param {JobRecord} record
   * @param {JobState} state
   * @returns {Settlement | undefined}
   */
  #settle(record, state) {
    if (this.#undone.has(record)) return undefined;
    const answer = record.cache === 'miss' ? record.answer : undefined;
    if (answer !== undefined && answer.final === undefined && hasOthers(answer, record)) {
      this.#later.add(record);
      return undefined;
    }
    if (answer?.final !== undefined) return this.#chargeOf(record, answer, answer.final);
    return this.#chargeOf(record, record, state);
  }

  /**
   * @param {JobRecord} record whose account pays
   * @param {JobRecord} used the record, or the answer that it began
   * @param {Pick<JobState, 'status' | 'usage'>} state of `used`
   * @returns {Settlement}
   */
  #chargeOf(record, used, state) {
    const cached = isCached(record);
    const usage = usageOf(used, state, cached);
    const bill = billOf(record);
    const cost = bill === undefined ? 0n : billedCost(bill, usage, cached);
    return { record, cached, usage, cost };
  }

  /**
   * @param {JobRecord} record
   * @param {JobState} state
   * @returns {HoldSettlement | undefined}
   */
  #settleHold(record, state) {
    const bill = billOf(record);
    if (bill === undefined || !isPriced(record)) return undefined;
    const settlement = this.#settlementOf(record, state);
    if (settlement === undefined && !this.#undone.has(record)) {
      const owed = this.#chargeOf(record, record, state);
      return { ...LATER, ...this.#holdSettlement(bill, owed.cost) };
    }
    const cost = settlement?.cost ?? 0n;
    const part = least(cost, BigInt(bill.held));
    const isSure = cost === part && !isExpired(record, this.#options);
    this.#costs.set(record, { cost, isSure });
    return this.#holdSettlement(bill, cost);
  }

  /**
   * @param {Bill} bill
   * @param {bigint} cost
   * @returns {HoldSettlement}
   */
  #holdSettlement({ account, held }, cost) {
    const part = least(cost, BigInt(held));
    return {
      account,
      overdraft: String(overdraftToBe(this.#access, account)),
      cost: String(cost),
      amount: String(part),
      rest: String(cost - part),
      ...(held === '0' && { nothing: /** @type {const} */ ('1') }),
    };
  }

  // --- endings

  /** @param {JobRecord} record a job that has ended, or a shared answer */
  settle(record) {
    const job = this.#began.get(record);
    if (record.part !== undefined) record.settling = this.#settlePart(record);
    else if (job !== undefined) void this.#settleAnswer(record, job);
    // Another process charges a job that it has ended.
    else if (this.#costs.has(record)) void this.#countBilled(record);
  }

  /**
   * @param {JobRecord} record of a child job that has ended
   * @returns {Promise<unknown>}
   */
  #settlePart(record) {
    const isUsed = record.final !== undefined && !record.refused;
    const billing = isUsed ? this.calls.settle(record) : this.calls.release(record);
    return Promise.all([record.settling, billing]);
  }

  /**
   * @param {JobRecord} answer that has ended
   * @param {JobRecord} job that began it
   */
  async #settleAnswer(answer, job) {
    this.#began.delete(answer);
    if (!this.#later.delete(job) || answer.final === undefined) return;
    const settlement = this.#chargeOf(job, answer, answer.final);
    const bill = billOf(job);
    await this.#settleNow(job, settlement, bill, bill?.hold);
  }

  /**
   * @param {JobRecord} record
   * @param {Settlement} settlement
   * @param {Bill | undefined} bill
   * @param {number} [hold]
   */
  async #settleNow({ id, principal, model }, settlement, bill, hold) {
    const { cost } = settlement;
    this.open += 1;
    const billed = await this.#credit.settle(id, {
      hold,
      settlement: bill && this.#holdSettlement(bill, cost),
      usage: { principal, model, counts: usageFields(countsOf(settlement)) },
    });
    this.open -= 1;
    if (bill !== undefined && billed !== undefined) this.#count(id, bill, cost, billed);
  }

  /** @param {JobRecord} record that has ended */
  async #countBilled(record) {
    const bill = /** @type {Bill} */ (billOf(record));
    const { cost = 0n, isSure = true } = this.#costs.get(record) ?? {};
    this.#costs.delete(record);
    const billed = isSure ? undefined : await this.#credit.billed(record.id);
    this.#count(record.id, bill, cost, billed ?? { paid: cost, beyond: 0n });
  }

  /**
   * @param {string} id
   * @param {Bill} bill
   * @param {bigint} cost
   * @param {import('../../cluster/ledger/shared-credit.js').Billed} billed
   */
  #count(id, { account }, cost, { paid, beyond }) {
    this.#metrics.creditsCharged.inc(Number(paid + beyond));
    const missing = cost - paid - beyond;
    if (missing <= 0n) return;
    const to = { metrics: this.#metrics, logger: this.#options.logger };
    reportUncollected(to, { id, account, missing });
  }

  // --- calls that are not jobs

  /** @type {import('./service.js').CallBilling} */
  calls = {
    hold: async (record, request, access) => {
      const { model } = record;
      const bill = newBill(this.#access, { model, request, access, cached: false });
      if (bill === undefined) return;
      record.extra = { ...record.extra, credit: bill };
      if (bill.held === '0') return;
      const refusal = await this.#credit.hold(record.id, this.#asked(record, bill));
      if (refusal !== undefined) {
        record.extra = { ...record.extra, credit: undefined };
        throw this.#refusalOf(bill, refusal);
      }
    },
    release: async (record) => {
      const bill = billOf(record);
      if (bill !== undefined && bill.held !== '0') await this.#credit.release(record.id);
    },
    settle: async (record) => {
      const settlement = this.#chargeOf(record, record, record.final);
      await this.#settleNow(record, settlement, billOf(record), undefined);
    },
  };
}

/** @param {JobRecord} record @returns {Bill | undefined} */
const billOf = ({ extra }) => /** @type {Bill | undefined} */ (extra?.credit);

/** @param {JobRecord} record @returns {boolean} whether it may have a cost */
function isPriced(record) {
  const bill = billOf(record);
  if (bill === undefined) return false;
  const { prompt, completion } = ratesOf(bill, isCached(record));
  return prompt !== '0' || completion !== '0';
}

/**
 * @param {JobRecord['answer']} answer
 * @param {JobRecord} record
 */
const hasOthers = (answer, record) =>
  [.../** @type {any} */ (answer).members].some((member) => member !== record);

/**
 * @param {JobRecord} record
 * @param {import('../../jobs/settings.js').Settings} options
 * @returns {boolean} whether its hold may have expired
 */
function isExpired(record, options) {
  return Date.now() > record.createdAtMs + holdTimeoutMs(record, options);
}

/**
 * Creates the billing services of a gateway that is one of several processes.
 * @param {object} deps
 * @param {SharedCredit} deps.credit
 * @param {import('../../cluster/ledger/shared-ledger.js').SharedLedger} deps.ledger
 * @param {import('../../jobs/policy/access-control.js').AccessControl} deps.access
 * @param {import('../../jobs/settings.js').Settings} deps.options
 * @param {import('./charges.js').BillingCounters} deps.metrics
 * @param {() => number} deps.nowMs Unix time
 * @param {import('../../streams/hub.js').JobHub} deps.hub
 * @param {import('../../jobs/shared-parts.js').SharedParts} deps.parts of jobs
 * @returns {import('./service.js').Billing}
 */
export function createSharedBilling({
  credit,
  ledger,
  access,
  options,
  metrics,
  nowMs,
  hub,
  parts,
}) {
  const accounts = new SharedAccounts({ ledger, access });
  const jobs = new SharedJobBilling({ credit, access, options, metrics });
  parts.add(jobs.holdPart());
  parts.add(jobs.usagePart());
  return {
    credits: new Credits({ accounts, usage: new SharedUsage(credit), nowMs, hub }),
    jobs,
    calls: jobs.calls,
    settle: (record) => jobs.settle(record),
    releaseOrphans() {},
    forgetAccount() {},
    renameUsage: () => [],
    async erasePrincipal(principal) {
      await ledger.rename(accountOf({ principal }), erasedAccount());
      await credit.renameUsage(principal, ERASED);
    },
  };
}
