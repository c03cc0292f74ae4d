/**
 * The accounts of a gateway: its ledger, with accounts opened as they are needed. Main thread. What
 * is refused before the ledger is asked leaves no event in it, so that a caller without credit does not
 * make it grow.
 */
import { AMOUNT_MAX } from '../../primitives/ledger/events.js';

/** @typedef {import('../../primitives/ledger/ledger.js').Ledger} Ledger */
/** @typedef {import('../../primitives/ledger/events.js').LedgerEvent} LedgerEvent */
/** @typedef {import('../../primitives/ledger/ledger.js').LedgerBalance} LedgerBalance */

const NOTHING = Object.freeze({ available: 0n, held: 0n, posted: 0n });

/** See the head of this file. */
export class Accounts {
  #ledger;
  #access;
  /** How far each that is open may go below zero. @type {Map<string, bigint>} */
  #overdrafts = new Map();
  /** No event has a number above it, or there are some that were not looked at. */
  #newest = 0;

  /**
   * @param {object} parts
   * @param {Ledger} parts.ledger
   * @param {import('../../jobs/policy/access-control.js').AccessControl} parts.access which accounts there are, besides
   *   those that are open, and how far new ones may be overdrawn
   */
  constructor({ ledger, access }) {
    this.#ledger = ledger;
    this.#access = access;
  }

  /** @param {string} account that has another name now */
  forget(account) {
    this.#overdrafts.delete(account);
  }

  get ledger() {
    return this.#ledger;
  }

  /**
   * @param {string} account
   * @returns {bigint | undefined} undefined: it is not open
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
    // The ledger's own, which have no first event of that kind, have no limit.
    const overdraft = first?.overdraft ?? (account.startsWith('@') ? Infinity : 0n);
    const whole = overdraft === Infinity ? AMOUNT_MAX : BigInt(overdraft);
    this.#overdrafts.set(account, whole);
    return whole;
  }

  /** @param {string} account that is not open */
  #overdraftToBe(account) {
    const overdraft = this.#access.overdraftOf(account);
    return typeof overdraft === 'boolean' ? (overdraft ? AMOUNT_MAX : 0n) : overdraft;
  }

  /**
   * @param {string} account
   * @param {{unopened?: boolean}} [options] `unopened`: it is there though nobody has used it yet
   * @returns {(LedgerBalance & {overdraft: bigint}) | undefined} `overdraft`: how far it may go below
   *   zero, AMOUNT_MAX for no limit; undefined: there is no such account
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
   * @returns {LedgerEvent[]} none of an account that is not open
   */
  events(account, { after, limit }) {
    if (this.#overdraftOf(account) === undefined) return [];
    return this.#ledger.events({ account, after, limit });
  }

  /**
   * @param {string} account which may not be open yet
   * @returns {bigint} what may be taken from it, its overdraft included; below zero when it is beyond
   */
  roomOf(account) {
    const overdraft = this.#overdraftOf(account);
    if (overdraft === undefined) return this.#overdraftToBe(account);
    const { available } = this.#ledger.balance(account);
    const room = available + overdraft;
    return room > AMOUNT_MAX ? AMOUNT_MAX : room;
  }

  /** @param {string} account that something is about to happen to */
  open(account) {
    if (this.#overdraftOf(account) !== undefined) return;
    this.#ledger.open({ account, overdraft: this.#overdraftToBe(account) });
  }

  /** @param {string} account opened if the configuration has it */
  openConfigured(account) {
    if (this.#access.namesAccount(account)) this.open(account);
  }

  /**
   * Sets an amount aside.
   * @param {{key: string, account: string, amount: bigint, timeoutMs: number}} request
   * @returns {LedgerEvent | undefined} undefined: the account has not so much, and nothing was done
   */
  hold(request) {
    const { account, amount } = request;
    if (amount > this.roomOf(account)) return undefined;
    this.open(account);
    return this.#ledger.hold(request).hold;
  }

  /**
   * Has the ledger answer, and says whether it had done so before.
   * @param {() => import('../../primitives/ledger/ledger.js').LedgerAnswer} ask
   * @returns {import('../../primitives/ledger/ledger.js').LedgerAnswer & {replayed: boolean}}
   */
  answer(ask) {
    const before = this.#lastEvent();
    const given = ask();
    return { ...given, replayed: given.event.id <= before };
  }

  /** @returns {number} of the journal's last event, found in few looks: ids have no gaps */
  #lastEvent() {
    const has = (/** @type {number} */ id) =>
      this.#ledger.events({ after: id - 1, limit: 1 }).length > 0;
    let low = this.#newest;
    let step = 1;
    while (has(low + step)) {
      low += step;
      step *= 2;
    }
    // It has low, and has not low + step.
    while (step > 1) {
      step /= 2;
      if (has(low + step)) low += step;
    }
    this.#newest = low;
    return low;
  }
}
