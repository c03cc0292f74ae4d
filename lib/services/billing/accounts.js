import { AMOUNT_MAX } from '../../primitives/ledger/events.js';
import { overdraftToBe } from './charges.js';

/** @typedef {import('../../primitives/ledger/ledger.js').Ledger} Ledger */
/** @typedef {import('../../primitives/ledger/events.js').LedgerEvent} LedgerEvent */
/** @typedef {import('../../primitives/ledger/ledger.js').LedgerBalance} LedgerBalance */

export const NOTHING = Object.freeze({ available: 0n, held: 0n, posted: 0n });

/**
 * Port of the ledger's accounts for `Credits`, in this process or in Redis.
 * @typedef {object} AccountsPort
 * @property {(account: string, options?: {unopened?: boolean}) => MaybePromise<OpenBalance | undefined>} balance
 * @property {(account: string, page: {after?: number, limit?: number}) => MaybePromise<LedgerEvent[]>} events
 * @property {(id: number) => MaybePromise<LedgerEvent | undefined>} event
 * @property {(move: Move) => MaybePromise<any>} move runs a method of the ledger, and reports as `replayed`
 *   whether its answer was a replay
 */
/**
 * @template T
 * @typedef {T | Promise<T>} MaybePromise
 */
/** @typedef {LedgerBalance & {overdraft: bigint}} OpenBalance `overdraft`: AMOUNT_MAX: no limit */
/**
 * A method of the ledger and its options. Before the call `payees` are opened, and those of `named` that the
 * configuration names.
 * @typedef {object} Move
 * @property {'deposit' | 'withdraw' | 'transfer' | 'linked' | 'close' | 'reverse'} method
 * @property {any} options
 * @property {(string | undefined)[]} [payees]
 * @property {(string | undefined)[]} [named]
 */

/**
 * The accounts of a gateway: its ledger, with accounts opened on first use. Main thread. Requests
 * refused here leave no event in the ledger, so a caller without credit cannot make it grow.
 * @implements {AccountsPort}
 */
export class Accounts {
  #ledger;
  #access;
  /** Overdraft limit of each open account. @type {Map<string, bigint>} */
  #overdrafts = new Map();
  /** Last event found by `#lastEvent`; there may be later ones. */
  #newest = 0;

  /**
   * @param {object} deps
   * @param {Ledger} deps.ledger
   * @param {import('../../jobs/policy/access-control.js').AccessControl} deps.access names the
   *   accounts that may be opened, and their overdraft limits
   */
  constructor({ ledger, access }) {
    this.#ledger = ledger;
    this.#access = access;
  }

  /** @param {string} account a renamed one */
  forget(account) {
    this.#overdrafts.delete(account);
  }

  get ledger() {
    return this.#ledger;
  }

  /**
   * @param {string} account
   * @returns {bigint | undefined} undefined: the account is not open
   */
  #overdraftOf(account) {
    const known = this.#overdrafts.get(account);
    if (known !== undefined) return known;
    let first;
    try {
      [first] = this.#ledger.events({ account, limit: 1 });
    } catch (/** @type {any} */ error) {
      if (error.code === 'ERR_NO_SUCH_ACCOUNT') return undefined;
      throw error;
    }
    // The ledger's internal accounts have no opening event and no limit.
    const overdraft = first?.overdraft ?? (account.startsWith('@') ? Infinity : 0n);
    const whole = overdraft === Infinity ? AMOUNT_MAX : BigInt(overdraft);
    this.#overdrafts.set(account, whole);
    return whole;
  }

  /** @param {string} account that is not open */
  #overdraftToBe(account) {
    return overdraftToBe(this.#access, account);
  }

  /**
   * @param {string} account
   * @param {{unopened?: boolean}} [options] `unopened`: also for an account without any use so far
   * @returns {(LedgerBalance & {overdraft: bigint}) | undefined} `overdraft`: limit below zero,
   *   AMOUNT_MAX: no limit; undefined: no such account
   */
  balance(account, { unopened = false } = {}) {
    const overdraft = this.#overdraftOf(account);
    if (overdraft !== undefined) return { ...this.#ledger.balance(account), overdraft };
    if (!unopened && !this.#access.namesAccount(account)) return undefined;
    return { ...NOTHING, overdraft: this.#overdraftToBe(account) };
  }

  /**
   * @param {string} account
   * @param {{after?: number, limit?: number}} page
   * @returns {LedgerEvent[]} empty for an account that is not open
   */
  events(account, { after, limit }) {
    if (this.#overdraftOf(account) === undefined) return [];
    return this.#ledger.events({ account, after, limit });
  }

  /**
   * @param {string} account possibly not open yet
   * @returns {bigint} available amount including the overdraft; negative beyond it, and 0 for a
   *   closed account
   */
  roomOf(account) {
    const overdraft = this.#overdraftOf(account);
    if (overdraft === undefined) return this.#overdraftToBe(account);
    const { available, closed } = this.#ledger.balance(account);
    if (closed) return 0n;
    const room = available + overdraft;
    return room > AMOUNT_MAX ? AMOUNT_MAX : room;
  }

  /** @param {string} account */
  isClosed(account) {
    return (
      this.#overdraftOf(account) !== undefined && this.#ledger.balance(account).closed === true
    );
  }

  /** @param {string} account to open if it is not open; a closed one stays closed */
  open(account) {
    if (this.#overdraftOf(account) !== undefined) return;
    this.#ledger.open({ account, overdraft: this.#overdraftToBe(account) });
  }

  /** @param {string} account opened if the configuration names it */
  openConfigured(account) {
    if (this.#access.namesAccount(account)) this.open(account);
  }

  /**
   * Places a hold on an amount.
   * @param {{key: string, account: string, amount: bigint, timeoutMs: number}} request
   * @returns {LedgerEvent | undefined} undefined: insufficient funds, nothing was held
   */
  hold(request) {
    const { account, amount } = request;
    if (amount > this.roomOf(account)) return undefined;
    this.open(account);
    return this.#ledger.hold(request).hold;
  }

  /**
   * @param {number} id
   * @returns {LedgerEvent | undefined}
   */
  event(id) {
    return this.#ledger.events({ after: id - 1, limit: 1 })[0];
  }

  /** @param {Move} move */
  move({ method, options, payees = [], named = [] }) {
    return this.answer(() => {
      for (const payee of payees) if (payee !== undefined) this.open(payee);
      for (const account of named) if (account !== undefined) this.openConfigured(account);
      return this.#ledger[method](options);
    });
  }

  /**
   * Runs a ledger operation and reports whether its answer was a replay.
   * @template {{event: LedgerEvent} | {events: LedgerEvent[]}} T
   * @param {() => T} ask
   * @returns {T & {replayed: boolean}}
   */
  answer(ask) {
    const before = this.#lastEvent();
    const given = ask();
    const [first] = 'events' in given ? given.events : [given.event];
    return { ...given, replayed: first.id <= before };
  }

  /**
   * @returns {number} of the journal's last event, found by binary search because ids have no gaps
   */
  #lastEvent() {
    const has = (/** @type {number} */ id) =>
      this.#ledger.events({ after: id - 1, limit: 1 }).length > 0;
    let low = this.#newest;
    let step = 1;
    while (has(low + step)) {
      low += step;
      step *= 2;
    }
    // Event low exists; event low + step does not.
    while (step > 1) {
      step /= 2;
      if (has(low + step)) low += step;
    }
    this.#newest = low;
    return low;
  }
}
