import native from '../../internal/native/addon.js';
import { NAME_MAX } from './checks.js';
import { SluiceError, typeError } from '../../internal/util/errors.js';
import { answerOf, balanceOf, linkedAnswer } from './answers.js';
import { checkClock, checkId, checkOptions } from '../../internal/util/validate.js';
import { deadlinesOf } from '../../internal/time/timers.js';
import { eventOf, fieldsOf, numberOf, ledgerError } from './events.js';
import { eventsRequest, linkedRequest, openRequest, requests } from './requests.js';
import { steadyUnixClock } from '../../internal/time/clock.js';

/** @typedef {import('./events.js').LedgerEvent} LedgerEvent */
/** @typedef {import('./events.js').LedgerMetadata} LedgerMetadata */
/** @typedef {import('./answers.js').LedgerBalance} LedgerBalance */
/** @typedef {import('./answers.js').LedgerAnswer} LedgerAnswer */

/** Earlier times (before 2001) come from a ManualClock, which begins at 0. */
const UNIX_MS_MIN = 1e12;

/**
 * Access of the gateway to its ledger, beyond the public interface of Ledger.
 * @typedef {object} LedgerControl
 * @property {(file: any, options: {clock?: import('../../internal/time/clock.js').ManualClock}) =>
 *   Ledger} load restores the ledger of an open data file that is not started yet. It stays unchanged
 *   until `persist`. If the clock is behind the last event, time continues from that event, so that
 *   setting the machine's clock back does not extend holds. Throws ERR_DATA_CORRUPT
 * @property {(ledger: Ledger, file: any) => void} persist writes every later event to a started data
 *   file, and executes all due timers
 * @property {(ledger: Ledger, account: string, name: string) => void} rename renames an account, also
 *   in its events, and erases their keys and metadata; amounts stay. A name without an account is
 *   replaced in its refusals
 * @property {(ledger: Ledger) => LedgerEvent[]} openHolds returns the active holds that expire, by
 *   expiry
 */
/** @type {LedgerControl} */
export let ledgerControl;

/**
 * A ledger in micro-credits: accounts, double entry, holds, reversals, scheduled transfers, and a
 * journal that rebuilds its whole state. All state is native.
 *
 * Every call is synchronous: it returns its answer or throws. Every request has an idempotency key. A
 * repeated request gets the first answer, errors included; another request with the same key throws
 * `ERR_IDEMPOTENCY_CONFLICT`. Keys and journal live as long as the ledger. A call with an invalid
 * argument uses up no key. Every request may have `metadata`, a JSON object of up to 4 KiB, stored in
 * its event.
 *
 * Main thread only. Holds expire and scheduled transfers run on a timer, which does not keep the
 * process alive.
 */
export class Ledger {
  #native = new native.Ledger();
  #deadlines;
  #nowMs;
  /** Time at which the timer fires. It may fire early, and is then set again. */
  #armedMs = Infinity;
  #disarm = () => {};

  static {
    ledgerControl = {
      load: (file, options) => Ledger.#load(file, options),
      persist: (ledger, file) => {
        ledger.#native.keep(file.native);
        ledger.#arm();
      },
      rename: (ledger, account, name) => ledger.#native.rename(account, name),
      openHolds: (ledger) => ledger.#native.openHolds(ledger.#nowMs()).map(eventOf),
    };
  }

  /**
   * @param {{clock?: import('../../internal/time/clock.js').ManualClock}} [options] `clock`: default: Unix time,
   *   read at the start of the process and advanced by the monotonic clock
   */
  constructor(options) {
    const clock = checkClock('clock', checkOptions('options', options, ['clock']).clock);
    this.#deadlines = deadlinesOf(clock);
    this.#nowMs = steadyUnixClock(clock);
  }

  /**
   * Rebuilds a ledger from its journal: balances, keys, open holds and scheduled transfers. Holds and
   * transfers that fell due meanwhile are processed at once.
   * @param {Iterable<LedgerEvent>} events the whole journal of a ledger, from its first event
   * @param {{clock?: import('../../internal/time/clock.js').ManualClock}} [options] `clock`: as for the
   *   constructor. A journal in a ManualClock's time that is replayed without a clock continues from its last event
   * @throws {SluiceError} ERR_JOURNAL_INVALID, with the invalid `event`
   */
  static replay(events, options) {
    const ledger = new Ledger(options);
    if (typeof events?.[Symbol.iterator] !== 'function') {
      throw typeError('events takes an array of events');
    }
    let count = 0;
    let lastMs = UNIX_MS_MIN;
    for (const event of events) {
      const name = `events[${count}]`;
      const reason = ledger.#native.replay(fieldsOf(name, checkOptions(name, event)));
      if (reason !== '') {
        throw new SluiceError('ERR_JOURNAL_INVALID', `${name} is invalid: ${reason}`, { event });
      }
      lastMs = event.atMs;
      count += 1;
    }
    const end = ledger.#native.replayEnd();
    if (end !== '') throw new SluiceError('ERR_JOURNAL_INVALID', `events is incomplete: ${end}`);
    if (options?.clock === undefined && lastMs < UNIX_MS_MIN) ledger.#goOnFrom(lastMs);
    ledger.#arm();
    return ledger;
  }

  /** @type {LedgerControl['load']} */
  static #load(file, options) {
    const ledger = new Ledger(options);
    file.load(ledger.#native);
    const lastMs = ledger.#native.lastAtMs();
    const anotherClocks = options.clock === undefined && lastMs > 0 && lastMs < UNIX_MS_MIN;
    if (lastMs > ledger.#nowMs() || anotherClocks) ledger.#goOnFrom(lastMs);
    return ledger;
  }

  /** @param {number} lastMs new time of the ledger */
  #goOnFrom(lastMs) {
    const clockMs = this.#nowMs;
    const offsetMs = lastMs - clockMs();
    this.#nowMs = () => clockMs() + offsetMs;
  }

  /**
   * Opens an account.
   * @param {object} options
   * @param {string} options.account a name without an account
   * @param {bigint | number | boolean} [options.overdraft] the largest negative available balance, as a
   *   positive amount; Infinity, or true: without limit; default 0n
   * @param {LedgerMetadata} [options.metadata]
   * @returns {LedgerAnswer}
   * @throws {SluiceError} ERR_ACCOUNT_EXISTS
   */
  open(options) {
    const { account, overdraft, metadata } = openRequest(options);
    const answer = this.#native.open(this.#nowMs(), account, overdraft, metadata);
    return answerOf('open', answer, { account });
  }

  /**
   * Moves money into the ledger, from its own account `@external`. That account's balance offsets all
   * others, so that the sum of all balances is always zero.
   * @param {{key: string, account: string, amount: bigint, metadata?: LedgerMetadata}} options
   * @returns {LedgerAnswer}
   * @throws {SluiceError} ERR_NO_SUCH_ACCOUNT, ERR_AMOUNT_OVERFLOW, ERR_IDEMPOTENCY_CONFLICT
   */
  deposit(options) {
    return this.#execute(requests.deposit(options));
  }

  /**
   * Moves money out of the ledger, to `@external`.
   * @param {{key: string, account: string, amount: bigint, metadata?: LedgerMetadata}} options
   * @returns {LedgerAnswer}
   * @throws {SluiceError} ERR_INSUFFICIENT_FUNDS see also `deposit`
   */
  withdraw(options) {
    return this.#execute(requests.withdraw(options));
  }

  /**
   * @param {{key: string, from: string, to: string, amount: bigint, metadata?: LedgerMetadata}}
   *   options
   * @returns {LedgerAnswer}
   * @throws {SluiceError} ERR_SAME_ACCOUNT see also `withdraw`
   */
  transfer(options) {
    return this.#execute(requests.transfer(options));
  }

  /**
   * Makes transfers in order, all of them or none. Each sees the balances after the previous one.
   * @param {object} options
   * @param {string} options.key one key for all
   * @param {{from?: string, to?: string, amount: bigint, metadata?: LedgerMetadata}[]}
   *   options.transfers up to 1000; without `from` a deposit, without `to` a withdrawal
   * @returns {{events: LedgerEvent[], balances: LedgerBalance[]}} for each transfer the event and the
   *   balance see `transfer`. The first event has the key; `linked` is the number of events that
   *   follow
   * @throws {SluiceError} see `transfer`, with the `index` of the refused transfer; nothing has moved
   */
  linked(options) {
    const { key, transfers } = linkedRequest(options);
    const requested = transfers.map(({ from, to, amount, metadata }) => [
      from,
      to,
      amount,
      metadata,
    ]);
    return linkedAnswer(this.#native.executeLinked(this.#nowMs(), key, requested), key);
  }

  /**
   * Closes an account without a balance and without holds, permanently. Later transfers, including
   * scheduled ones and reversals, are refused with ERR_ACCOUNT_CLOSED. Its history stays.
   * @param {{key: string, account: string, metadata?: LedgerMetadata}} options
   * @returns {LedgerAnswer}
   * @throws {SluiceError} ERR_NO_SUCH_ACCOUNT, ERR_ACCOUNT_NOT_EMPTY, ERR_ACCOUNT_CLOSED,
   *   ERR_IDEMPOTENCY_CONFLICT
   */
  close(options) {
    return this.#execute(requests.close(options));
  }

  /**
   * Reserves an amount until the hold is settled or voided, or expires after `timeoutMs`.
   * @param {object} options
   * @param {string} options.key
   * @param {string} options.account
   * @param {bigint} options.amount may be 0n
   * @param {number} [options.timeoutMs] default 600000; Infinity: never
   * @param {LedgerMetadata} [options.metadata]
   * @returns {{hold: LedgerEvent, balance: LedgerBalance}}
   * @throws {SluiceError} see `withdraw`
   */
  hold(options) {
    const { event, balance } = this.#execute(requests.hold(options));
    return { hold: event, balance };
  }

  /**
   * Ends a hold: charges `amount` to the ledger's own account `@usage`, and returns the rest.
   * @param {object} options
   * @param {string} options.key
   * @param {LedgerEvent | number} options.hold the hold, or its id
   * @param {bigint} [options.amount] from 0n to the held amount; default: the held amount
   * @param {LedgerMetadata} [options.metadata]
   * @returns {LedgerAnswer}
   * @throws {SluiceError} ERR_NO_SUCH_HOLD, ERR_HOLD_EXPIRED, ERR_HOLD_CLOSED, ERR_EXCEEDS_HOLD,
   *   ERR_AMOUNT_OVERFLOW, ERR_IDEMPOTENCY_CONFLICT
   */
  settle(options) {
    return this.#execute(requests.settle(options));
  }

  /**
   * Ends a hold and returns the whole amount.
   * @param {{key: string, hold: LedgerEvent | number, metadata?: LedgerMetadata}} options
   * @returns {LedgerAnswer}
   * @throws {SluiceError} ERR_NO_SUCH_HOLD, ERR_HOLD_EXPIRED, ERR_HOLD_CLOSED,
   *   ERR_IDEMPOTENCY_CONFLICT
   */
  void(options) {
    return this.#execute(requests.void(options));
  }

  /**
   * Reverses a deposit, a withdrawal, a transfer or a settlement, once.
   * @param {object} options
   * @param {string} options.key
   * @param {LedgerEvent | number} options.event the event, or its id
   * @param {boolean} [options.force] reverse even if the funds are spent, which takes the account below
   *   its limit; default false
   * @param {LedgerMetadata} [options.metadata]
   * @returns {LedgerAnswer}
   * @throws {SluiceError} ERR_NO_SUCH_EVENT, ERR_NOT_REVERSIBLE, ERR_ALREADY_REVERSED,
   *   ERR_INSUFFICIENT_FUNDS, ERR_AMOUNT_OVERFLOW, ERR_IDEMPOTENCY_CONFLICT
   */
  reverse(options) {
    return this.#execute(requests.reverse(options));
  }

  /**
   * Schedules a transfer. Due transfers are executed by time, then by id. A transfer that is refused
   * when it is due fails with an event, and is not retried.
   * @param {object} options
   * @param {string} options.key
   * @param {number} options.atMs in the ledger's time, which is Unix time if there is no `clock` option; a past
   *   time is due at once
   * @param {string} options.from
   * @param {string} options.to
   * @param {bigint} options.amount
   * @param {LedgerMetadata} [options.metadata]
   * @returns {{scheduled: LedgerEvent}}
   * @throws {SluiceError} ERR_NO_SUCH_ACCOUNT, ERR_SAME_ACCOUNT, ERR_IDEMPOTENCY_CONFLICT
   */
  schedule(options) {
    const { event } = this.#execute(requests.schedule(options));
    return { scheduled: event };
  }

  /**
   * @param {object} options
   * @param {string} options.key
   * @param {LedgerEvent | number} options.scheduled the scheduled transfer, or its id
   * @param {LedgerMetadata} [options.metadata]
   * @returns {LedgerAnswer}
   * @throws {SluiceError} ERR_NO_SUCH_SCHEDULED, ERR_ALREADY_EXECUTED (or failed),
   *   ERR_ALREADY_CANCELLED, ERR_IDEMPOTENCY_CONFLICT
   */
  cancelScheduled(options) {
    return this.#execute(requests.cancelScheduled(options));
  }

  /**
   * @param {string} account also one of the ledger's own
   * @returns {LedgerBalance}
   * @throws {SluiceError} ERR_NO_SUCH_ACCOUNT
   */
  balance(account) {
    checkId('account', account, { max: NAME_MAX });
    const found = this.#native.balance(this.#nowMs(), account);
    if (found === undefined) throw ledgerError('ERR_NO_SUCH_ACCOUNT', 'balance', { account });
    const [posted, held, closed] = found;
    return { ...balanceOf(posted, held), ...(closed && { closed: true }) };
  }

  /**
   * The events of an account: its own holds, and other events of which it is payer or payee. Refusals
   * are only in the journal.
   * @param {object} options
   * @param {string} [options.account] also one of the ledger's own; default: the whole journal
   * @param {LedgerEvent | number} [options.after] an event, or its id: starts after it
   * @param {number} [options.limit] default 100, at most 10,000
   * @returns {LedgerEvent[]}
   * @throws {SluiceError} ERR_NO_SUCH_ACCOUNT
   */
  events(options) {
    const { account, after, limit } = eventsRequest(options);
    if (account === undefined) return this.#journal(after, limit);
    const found = this.#native.events(this.#nowMs(), account, after, limit);
    if (found === undefined) throw ledgerError('ERR_NO_SUCH_ACCOUNT', 'events', { account });
    return found.map(eventOf);
  }

  /**
   * All events, refusals included, in the format of `Ledger.replay`.
   * @returns {LedgerEvent[]}
   */
  journal() {
    return this.#journal(0, Number.MAX_SAFE_INTEGER);
  }

  /** @returns {string[]} the names of all accounts, in order, with `@external` and `@usage` */
  accounts() {
    return this.#native.accounts();
  }

  /**
   * @param {number} after
   * @param {number} limit
   * @returns {LedgerEvent[]}
   */
  #journal(after, limit) {
    return this.#native.journal(this.#nowMs(), after, limit).map(eventOf);
  }

  /**
   * @param {import('./requests.js').LedgerRequest} request
   * @returns {LedgerAnswer}
   */
  #execute({ operation, key, one, other, amount, target, timeMs, force, metadata }) {
    const answer = this.#native.execute(
      this.#nowMs(),
      numberOf(operation),
      key,
      one,
      other,
      amount,
      target,
      timeMs,
      force,
      metadata,
    );
    this.#arm();
    return answerOf(operation, answer, { key });
  }

  /** Starts the timer of the next due hold or scheduled transfer. */
  #arm() {
    const dueMs = this.#native.nextDeadlineMs();
    if (dueMs >= this.#armedMs) return;
    this.#disarm();
    this.#armedMs = dueMs;
    const waitMs = dueMs - this.#nowMs();
    // The timer must not keep an unreachable ledger in memory.
    const ledger = new WeakRef(this);
    const fire = () => {
      const alive = ledger.deref();
      if (alive !== undefined) alive.#fire();
    };
    this.#disarm = this.#deadlines.start(waitMs, fire, { background: true });
  }

  #fire() {
    this.#armedMs = Infinity;
    this.#native.advance(this.#nowMs());
    this.#arm();
  }
}
