/**
 * What jobs pay: held when they are admitted, settled at what they used when they end. Main thread.
 *
 * A job holds its prompt's estimated tokens and its `max_tokens`, at the prices of that moment. What
 * it is charged is looked up nowhere else: account, hold and rates are kept with the job
 * (`record.extra.credit`), in the data file, too. Settling is idempotent by the job's id, so that a job
 * which a restart ends once more is not charged once more. It never throws: a job that has ended has
 * ended, whatever the ledger says.
 *
 * An answer that several jobs share is paid for in full by the job that began it, when the answer
 * ends, whoever it went on for. Those that join or repeat it pay the cached price of what they got.
 */
import { AMOUNT_MAX } from '../../primitives/ledger/events.js';
import { HttpError } from '../../internal/util/http-error.js';
import { accountOf, costOf, isFree } from '../../jobs/policy/prices.js';
import { estimatePromptTokens } from '../../jobs/prompt-tokens.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../jobs/request.js').JobRequest} JobRequest */
/** @typedef {import('../../jobs/policy/prices.js').Usage} Usage */

/**
 * What is kept with a job, as plain JSON.
 * @typedef {object} Bill
 * @property {string} account
 * @property {number} [hold] the event; absent when there was nothing to hold
 * @property {string} held
 * @property {{prompt: string, completion: string}} rates in 1e-9 micro-credits per token
 */

/**
 * What a job took and what that came to.
 * @typedef {object} Settlement
 * @property {JobRecord} record a job, or a shared answer in place of the job that began it
 * @property {boolean} cached it has had another job's answer
 * @property {Usage} usage that counts
 * @property {bigint} cost what that comes to
 */

/**
 * In micro-credits: amounts charged, and costs beyond what an account had.
 * @typedef {{creditsCharged: {inc: (amount: number) => void},
 *   creditsUncollected: {inc: (amount: number) => void}}} BillingCounters
 */

/** Beyond a job's own time: what its ending may take to be heard of. */
const HOLD_GRACE_MS = 60_000;
/** A part of a work waits for room for as long as it likes; beyond this it is charged without a hold. */
const PART_WAIT_MS = 3_600_000;
/** From a hold to its settlement in the same moment. */
const AT_ONCE_MS = 60_000;

/** @param {bigint} a @param {bigint} b */
const least = (a, b) => (a < b ? a : b);

/**
 * What counts of what a job used: nothing of one that never reached the model, or that failed before
 * its first token; nothing of one that shared an answer and got no token of it.
 * @param {JobRecord} record that has ended
 * @param {boolean} cached it has had another job's answer
 * @returns {Usage}
 */
function usageOf({ attempts, final }, cached) {
  const { status, usage } = final;
  const { prompt_tokens, completion_tokens } = usage;
  const came = completion_tokens > 0 || status === 'completed';
  const asked = came || (!cached && attempts > 0 && status !== 'failed');
  return asked ? { prompt_tokens, completion_tokens } : { prompt_tokens: 0, completion_tokens: 0 };
}

/**
 * @param {string} account
 * @param {bigint} needed
 * @param {bigint} available its overdraft included
 */
function insufficientCredit(account, needed, available) {
  const error = new HttpError(402, {
    code: 'insufficient_credit',
    type: 'billing_error',
    message:
      `The account ${account} has not enough credit: this request needs ${needed} micro-credits ` +
      `(prompt and max_tokens), and ${available} are available.`,
    // No wait helps.
    headers: { 'x-should-retry': 'false' },
  });
  return Object.assign(error, { account, needed, available });
}

/** See the head of this file. Lives as long as its gateway. */
export class JobBilling {
  #accounts;
  #access;
  #options;
  #metrics;
  /** Of jobs and answers that have not ended. @type {Map<JobRecord, Bill>} */
  #open = new Map();
  /** Holds that were taken for a job and given up again. @type {WeakMap<JobRecord, number>} */
  #tries = new WeakMap();
  /** Those that never were anybody's jobs. @type {WeakSet<JobRecord>} */
  #undone = new WeakSet();

  /**
   * @param {object} parts
   * @param {import('./accounts.js').Accounts} parts.accounts
   * @param {import('../../jobs/policy/access-control.js').AccessControl} parts.access
   * @param {import('../../jobs/settings.js').Settings} parts.options
   * @param {BillingCounters} parts.metrics
   */
  constructor({ accounts, access, options, metrics }) {
    this.#accounts = accounts;
    this.#access = access;
    this.#options = options;
    this.#metrics = metrics;
  }

  /** Jobs and answers that have not been settled. */
  get open() {
    return this.#open.size;
  }

  /**
   * A job that is paid for by the token ends where its hold does.
   * @param {JobRequest} request as it came
   * @param {string} model resolved
   * @returns {JobRequest}
   */
  bounded(request, model) {
    const price = this.#access.priceOf(model);
    if (price === undefined || price.full.completion === 0n) return request;
    return { ...request, max_tokens: request.max_tokens ?? this.#access.defaultMaxTokens };
  }

  /**
   * Holds what a job may come to cost, or the answer that it begins.
   * @param {JobRecord} record
   * @param {JobRequest} request as it came
   * @param {Readonly<import('../../jobs/policy/config.js').Access>} access whose job it is
   * @param {{answer?: JobRecord, cached?: boolean}} [how] `answer` that it begins and pays for;
   *   `cached`: it shares another one's
   * @throws {HttpError} 402
   */
  hold(record, request, access, { answer, cached = false } = {}) {
    this.releaseHold(record);
    const price = this.#access.priceOf(record.model);
    const rates = cached ? price?.cached : price?.full;
    if (rates === undefined || isFree(rates)) return;
    const account = accountOf(access);
    const amount = costOf(rates, {
      prompt_tokens: estimatePromptTokens(request),
      completion_tokens: request.max_tokens ?? this.#access.defaultMaxTokens,
    });
    const hold = amount === 0n ? undefined : this.#take(record, account, amount);
    /** @type {Bill} */
    const bill = {
      account,
      hold,
      held: String(amount),
      rates: { prompt: String(rates.prompt), completion: String(rates.completion) },
    };
    const owner = answer ?? record;
    this.#open.set(owner, bill);
    // With the job it goes into the data file; who settles it is the owner.
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
    const { admissionWaitMs, maxWallMs } = this.#options;
    const waitMs = record.part === undefined ? admissionWaitMs : PART_WAIT_MS;
    const hold = this.#accounts.hold({
      key: tries === 1 ? `@hold:${record.id}` : `@hold:${record.id}:${tries}`,
      account,
      amount,
      timeoutMs: waitMs + (record.request?.max_wall_ms ?? maxWallMs) + HOLD_GRACE_MS,
    });
    if (hold !== undefined) return hold.id;
    throw insufficientCredit(account, amount, this.#accounts.roomOf(account));
  }

  /**
   * Gives back what is held for a job that was not placed; it may be tried again. What is held for an
   * answer goes by that.
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
   * The same for a job that is in the hub already and of which nobody was told: its ending costs
   * nothing. An answer that others have joined goes on, and is paid for.
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
   * A job has ended, now or before a restart; or an answer that jobs shared.
   * @param {JobRecord} record with its `final`; an answer without one was not admitted
   * @returns {Settlement | undefined} undefined: there is nothing to be said of it
   */
  settle(record) {
    if (record.final === undefined) this.voidJob(record);
    if (this.#undone.has(record)) return undefined;
    const shared = record.answer !== undefined;
    // Its answer is paid for when that ends.
    if (shared && record.cache === 'miss') return undefined;
    const bill = /** @type {Bill | undefined} */ (record.extra?.credit);
    const cached = record.cache === 'hit' || record.cache === 'join';
    const usage = usageOf(record, cached);
    if (bill === undefined) return { record, cached, usage, cost: 0n };
    this.#open.delete(record);
    let cost = 0n;
    this.#safely(() => {
      const { prompt, completion } = bill.rates;
      const rates = { prompt: BigInt(prompt), completion: BigInt(completion) };
      cost = least(costOf(rates, usage), AMOUNT_MAX);
      this.#charge(record.id, bill, cost);
    });
    return { record, cached, usage, cost };
  }

  /**
   * Takes the cost from what is held, and what is beyond it as far as the account goes.
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
    this.#metrics.creditsUncollected.inc(Number(rest - amount));
    const fields = { job_id: id, account, micro_credits: String(rest - amount) };
    this.#options.logger.warn(fields, 'a job cost more than its account had');
  }

  /**
   * @param {string} id
   * @param {Bill} bill
   * @param {bigint} cost
   * @returns {{paid: bigint, replayed: boolean} | undefined} `replayed`: it was settled so before;
   *   undefined: otherwise, and nothing more is to be taken
   */
  #fromHold(id, { hold, held }, cost) {
    if (hold === undefined) return { paid: 0n, replayed: false };
    const { ledger } = this.#accounts;
    // Of another ledger than this one: its data file was replaced.
    const [event] = ledger.events({ after: hold - 1, limit: 1 });
    if (!event?.key?.startsWith(`@hold:${id}`)) return undefined;
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
   * @param {bigint} amount that it has
   * @returns {boolean} whether it was taken now
   */
  #beyond(id, account, amount) {
    const { ledger } = this.#accounts;
    try {
      const key = `@hold:${id}:rest`;
      const hold = this.#accounts.hold({ key, account, amount, timeoutMs: AT_ONCE_MS });
      if (hold === undefined) return false;
      const ask = () => ledger.settle({ key: `@settle:${id}:rest`, hold, amount });
      return !this.#accounts.answer(ask).replayed;
    } catch (/** @type {any} */ error) {
      // It was taken before.
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
