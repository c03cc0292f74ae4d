/**
 * A ledger in micro-credits: accounts, double entry, holds, reversals, scheduled transfers, and a
 * journal from which all of it comes about again. Over the native one, which holds all state.
 *
 * Every call is synchronous: it returns its answer or throws. Every request has a key, under which
 * its outcome is kept: the same request again gets the first answer, be it an error, and another one
 * with that key is an `ERR_IDEMPOTENCY_CONFLICT`. Keys, like the journal, are kept for as long as
 * the ledger. What is not a request at all (an argument of the wrong kind) uses no key up.
 *
 * Main thread only; what is due happens by itself, and keeps no process alive.
 */
import native from '../../internal/native/addon.js';
import { SluiceError, typeError } from '../../internal/util/errors.js';
import { deadlinesOf } from '../../internal/time/timers.js';
import { steadyUnixClock } from '../../internal/time/clock.js';
import { kKeep, kLoad } from '../../internal/util/symbols.js';
import { NAME_MAX, checkAccount, checkAmount, checkEventId, checkKey } from './checks.js';
import {
  TIME_MS_MAX,
  codeOf,
  eventOf,
  fieldsOf,
  numberOf,
  overdraftOf,
  refusal,
} from './events.js';
import {
  checkBoolean,
  checkClock,
  checkId,
  checkInteger,
  checkMs,
  checkOptions,
} from '../../internal/util/validate.js';

/** @typedef {import('./events.js').LedgerEvent} LedgerEvent */

/**
 * In micro-credits. `available` is what is posted less what is held; it is below zero in an
 * overdraft. A limit is not counted as available.
 * @typedef {{available: bigint, held: bigint, posted: bigint}} LedgerBalance
 */
/**
 * `balance`: right after the event, of who pays; of who is paid, where the payer is one of the
 * ledger's own accounts.
 * @typedef {{event: LedgerEvent, balance: LedgerBalance}} LedgerAnswer
 */

const EVENTS_MAX = 10_000;
const YEAR_MS = 366 * 24 * 3600 * 1000;
/** Times before (2001) are those of a ManualClock, which begins at 0. */
const UNIX_MS_MIN = 1e12;

/**
 * @param {bigint} posted
 * @param {bigint} held
 * @returns {LedgerBalance}
 */
function balanceOf(posted, held) {
  return { available: posted - held, held, posted };
}

export class Ledger {
  #native = new native.Ledger();
  #deadlines;
  #nowMs;
  /** When the timer fires. It may fire early, and then begins anew. */
  #armedMs = Infinity;
  #disarm = () => {};

  /**
   * @param {{clock?: import('../../internal/time/clock.js').ManualClock}} [options] `clock`: default: Unix time, taken
   *   when the process began and going on with the monotonic clock
   */
  constructor(options) {
    const clock = checkClock('clock', checkOptions('options', options).clock);
    this.#deadlines = deadlinesOf(clock);
    this.#nowMs = steadyUnixClock(clock);
  }

  /**
   * A ledger that comes about from a journal, and goes on from there: balances, keys, open holds and
   * scheduled transfers are as they were. What has fallen due meanwhile happens at once.
   * @param {Iterable<LedgerEvent>} events the whole journal of a ledger, from its first event on
   * @param {{clock?: import('../../internal/time/clock.js').ManualClock}} [options] `clock`: as for the constructor. A
   *   journal in the time of a ManualClock that is replayed without one goes on from the time of its
   *   last event
   * @throws {SluiceError} ERR_JOURNAL_INVALID, with the `event`: no ledger can have written it
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
        throw new SluiceError('ERR_JOURNAL_INVALID', `${name} cannot be: ${reason}`, { event });
      }
      lastMs = event.atMs;
      count += 1;
    }
    if (options?.clock === undefined && lastMs < UNIX_MS_MIN) ledger.#goOnFrom(lastMs);
    ledger.#arm();
    return ledger;
  }

  /**
   * The ledger of a data file. It is as it was left, and nothing happens to it before `kKeep`. Its
   * time goes on from that of its last event where the clock is behind that: a hold is not held for
   * longer because the clock of the machine was put back.
   * @param {import('../../jobs/storage/sqlite.js').SqliteStore} store not started yet
   * @param {{clock?: import('../../internal/time/clock.js').ManualClock}} options as for the constructor
   * @throws {SluiceError} ERR_DATA_CORRUPT
   */
  static [kLoad](store, options) {
    const ledger = new Ledger(options);
    store.load(ledger.#native);
    const lastMs = ledger.#native.lastAtMs();
    const anotherClocks = options.clock === undefined && lastMs > 0 && lastMs < UNIX_MS_MIN;
    if (lastMs > ledger.#nowMs() || anotherClocks) ledger.#goOnFrom(lastMs);
    return ledger;
  }

  /**
   * Writes every event to a data file from now on, and does what has fallen due.
   * @param {import('../../jobs/storage/sqlite.js').SqliteStore} store started
   */
  [kKeep](store) {
    this.#native.keep(store.native);
    this.#arm();
  }

  /** @param {number} lastMs what its time is now */
  #goOnFrom(lastMs) {
    const clockMs = this.#nowMs;
    const offsetMs = lastMs - clockMs();
    this.#nowMs = () => clockMs() + offsetMs;
  }

  /**
   * @param {object} options
   * @param {string} options.account a new name
   * @param {bigint | number | boolean} [options.overdraft] how far its available balance may go below
   *   zero; Infinity, or true: without limit; default 0n
   * @returns {LedgerAnswer}
   * @throws {SluiceError} ERR_ACCOUNT_EXISTS
   */
  open(options) {
    const given = checkOptions('options', options);
    const account = checkAccount('account', given.account);
    const overdraft = overdraftOf('overdraft', given.overdraft);
    return this.#answer('open', this.#native.open(this.#nowMs(), account, overdraft), { account });
  }

  /**
   * Money from outside: from the ledger's own account `@external`, whose balance mirrors what all
   * others have, so that the sum of all is always zero.
   * @param {{key: string, account: string, amount: bigint}} options
   * @returns {LedgerAnswer}
   * @throws {SluiceError} ERR_NO_SUCH_ACCOUNT, ERR_AMOUNT_OVERFLOW, ERR_IDEMPOTENCY_CONFLICT
   */
  deposit(options) {
    const { key, account, amount } = checkOptions('options', options);
    return this.#execute('deposit', {
      key,
      one: checkAccount('account', account),
      amount: checkAmount(amount),
    });
  }

  /**
   * Money that leaves, to `@external`.
   * @param {{key: string, account: string, amount: bigint}} options
   * @returns {LedgerAnswer}
   * @throws {SluiceError} ERR_INSUFFICIENT_FUNDS and as `deposit`
   */
  withdraw(options) {
    const { key, account, amount } = checkOptions('options', options);
    return this.#execute('withdraw', {
      key,
      one: checkAccount('account', account),
      amount: checkAmount(amount),
    });
  }

  /**
   * @param {{key: string, from: string, to: string, amount: bigint}} options
   * @returns {LedgerAnswer}
   * @throws {SluiceError} ERR_SAME_ACCOUNT and as `withdraw`
   */
  transfer(options) {
    const { key, from, to, amount } = checkOptions('options', options);
    return this.#execute('transfer', {
      key,
      one: checkAccount('from', from),
      other: checkAccount('to', to),
      amount: checkAmount(amount),
    });
  }

  /**
   * Sets an amount aside until it is settled or voided, or expires: it is alive for less than
   * `timeoutMs`.
   * @param {object} options
   * @param {string} options.key
   * @param {string} options.account
   * @param {bigint} options.amount may be 0n
   * @param {number} [options.timeoutMs] default 600000; Infinity: never
   * @returns {{hold: LedgerEvent, balance: LedgerBalance}}
   * @throws {SluiceError} as `withdraw`
   */
  hold(options) {
    const { key, account, amount, timeoutMs } = checkOptions('options', options);
    const { event, balance } = this.#execute('hold', {
      key,
      one: checkAccount('account', account),
      amount: checkAmount(amount, 0n),
      timeMs: checkMs('timeoutMs', timeoutMs, {
        min: 1,
        max: YEAR_MS,
        fallback: 600_000,
        infinite: true,
      }),
    });
    return { hold: event, balance };
  }

  /**
   * Ends a hold: `amount` of it goes to the ledger's own account `@usage`, the rest returns.
   * @param {object} options
   * @param {string} options.key
   * @param {LedgerEvent | number} options.hold the hold, or its id
   * @param {bigint} options.amount from 0n to what is held
   * @returns {LedgerAnswer}
   * @throws {SluiceError} ERR_NO_SUCH_HOLD, ERR_HOLD_EXPIRED, ERR_HOLD_CLOSED, ERR_EXCEEDS_HOLD,
   *   ERR_AMOUNT_OVERFLOW, ERR_IDEMPOTENCY_CONFLICT
   */
  settle(options) {
    const { key, hold, amount } = checkOptions('options', options);
    return this.#execute('settle', {
      key,
      target: checkEventId('hold', hold),
      amount: checkAmount(amount, 0n),
    });
  }

  /**
   * Ends a hold; all of it returns.
   * @param {{key: string, hold: LedgerEvent | number}} options
   * @returns {LedgerAnswer}
   * @throws {SluiceError} ERR_NO_SUCH_HOLD, ERR_HOLD_EXPIRED, ERR_HOLD_CLOSED,
   *   ERR_IDEMPOTENCY_CONFLICT
   */
  void(options) {
    const { key, hold } = checkOptions('options', options);
    return this.#execute('void', { key, target: checkEventId('hold', hold) });
  }

  /**
   * Moves back what a deposit, a withdrawal, a transfer or a settlement has moved, once.
   * @param {object} options
   * @param {string} options.key
   * @param {LedgerEvent | number} options.event the event, or its id
   * @param {boolean} [options.force] also if the funds are spent: the account then goes below its
   *   limit; default false
   * @returns {LedgerAnswer}
   * @throws {SluiceError} ERR_NO_SUCH_EVENT, ERR_NOT_REVERSIBLE, ERR_ALREADY_REVERSED,
   *   ERR_INSUFFICIENT_FUNDS, ERR_AMOUNT_OVERFLOW, ERR_IDEMPOTENCY_CONFLICT
   */
  reverse(options) {
    const { key, event, force } = checkOptions('options', options);
    return this.#execute('reverse', {
      key,
      target: checkEventId('event', event),
      force: checkBoolean('force', force, false),
    });
  }

  /**
   * A transfer at a later time. Those that are due together go by time, then by id. One that cannot
   * be made then has failed, which is an event, and is not tried again.
   * @param {object} options
   * @param {string} options.key
   * @param {number} options.atMs in the ledger's time, which is Unix time without a clock; what is
   *   past happens at once
   * @param {string} options.from
   * @param {string} options.to
   * @param {bigint} options.amount
   * @returns {{scheduled: LedgerEvent}}
   * @throws {SluiceError} ERR_NO_SUCH_ACCOUNT, ERR_SAME_ACCOUNT, ERR_IDEMPOTENCY_CONFLICT
   */
  schedule(options) {
    const { key, atMs, from, to, amount } = checkOptions('options', options);
    const { event } = this.#execute('schedule', {
      key,
      timeMs: checkMs('atMs', atMs, { max: TIME_MS_MAX }),
      one: checkAccount('from', from),
      other: checkAccount('to', to),
      amount: checkAmount(amount),
    });
    return { scheduled: event };
  }

  /**
   * @param {object} options
   * @param {string} options.key
   * @param {LedgerEvent | number} options.scheduled the scheduled transfer, or its id
   * @returns {LedgerAnswer}
   * @throws {SluiceError} ERR_NO_SUCH_SCHEDULED, ERR_ALREADY_EXECUTED (or failed),
   *   ERR_ALREADY_CANCELLED, ERR_IDEMPOTENCY_CONFLICT
   */
  cancelScheduled(options) {
    const { key, scheduled } = checkOptions('options', options);
    return this.#execute('cancel_scheduled', {
      key,
      target: checkEventId('scheduled', scheduled),
    });
  }

  /**
   * @param {string} account also one of the ledger's own
   * @returns {LedgerBalance}
   * @throws {SluiceError} ERR_NO_SUCH_ACCOUNT
   */
  balance(account) {
    checkId('account', account, { max: NAME_MAX });
    const found = this.#native.balance(this.#nowMs(), account);
    if (found === undefined) throw refusal('ERR_NO_SUCH_ACCOUNT', 'balance', { account });
    return balanceOf(found[0], found[1]);
  }

  /**
   * What has happened to an account: of holds to the holder, of all else to who pays and who is
   * paid. Refusals are in the journal alone.
   * @param {object} options
   * @param {string} [options.account] also one of the ledger's own; default: the whole journal
   * @param {LedgerEvent | number} [options.after] an event, or its id: from the next one on
   * @param {number} [options.limit] default 100, at most 10,000
   * @returns {LedgerEvent[]}
   * @throws {SluiceError} ERR_NO_SUCH_ACCOUNT
   */
  events(options) {
    const given = checkOptions('options', options);
    const after = given.after === undefined ? 0 : checkEventId('after', given.after);
    const limit = checkInteger('limit', given.limit, { max: EVENTS_MAX, fallback: 100 });
    if (given.account === undefined) return this.#journal(after, limit);
    const account = checkId('account', given.account, { max: NAME_MAX });
    const found = this.#native.events(this.#nowMs(), account, after, limit);
    if (found === undefined) throw refusal('ERR_NO_SUCH_ACCOUNT', 'events', { account });
    return found.map(eventOf);
  }

  /**
   * All events there are, refusals included: what `Ledger.replay` takes.
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
   * @param {import('./events.js').LedgerEventType} operation
   * @param {{key: unknown, one?: string, other?: string, amount?: bigint, target?: number,
   *   timeMs?: number, force?: boolean}} request
   * @returns {LedgerAnswer}
   */
  #execute(
    operation,
    { key, one = '', other = '', amount = 0n, target = 0, timeMs = 0, force = false },
  ) {
    const answer = this.#native.execute(
      this.#nowMs(),
      numberOf(operation),
      checkKey(key),
      one,
      other,
      amount,
      target,
      timeMs,
      force,
    );
    this.#arm();
    return this.#answer(operation, answer, { key });
  }

  /**
   * @param {string} operation
   * @param {[number, bigint, bigint, any[]?]} answer
   * @param {Record<string, unknown>} details of an error
   * @returns {LedgerAnswer}
   */
  #answer(operation, [number, posted, held, fields], details) {
    const balance = balanceOf(posted, held);
    const code = codeOf(number);
    if (code === undefined) return { event: eventOf(/** @type {any[]} */ (fields)), balance };
    const known = code === 'ERR_INSUFFICIENT_FUNDS' ? { available: balance.available } : {};
    throw refusal(code, `${operation} ${JSON.stringify(details)}`, { ...details, ...known });
  }

  /** Has a timer look after what is next due. */
  #arm() {
    const dueMs = this.#native.nextDeadlineMs();
    if (dueMs >= this.#armedMs) return;
    this.#disarm();
    this.#armedMs = dueMs;
    const waitMs = dueMs - this.#nowMs();
    // A ledger that nobody else holds on to is not held by its timer: nothing can be seen of it.
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
