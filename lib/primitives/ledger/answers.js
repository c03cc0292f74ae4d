/** Converts the raw answers of a ledger's implementation. Pure functions. */
import { codeOf, eventOf, ledgerError } from './events.js';

/** @typedef {import('./events.js').LedgerEvent} LedgerEvent */

/**
 * In micro-credits. `available` is `posted - held`, negative in an overdraft; the overdraft's limit
 * does not count as available. Only `balance()` returns `closed`.
 * @typedef {{available: bigint, held: bigint, posted: bigint, closed?: true}} LedgerBalance
 */
/**
 * `balance`: of the payer right after the event; of the payee if the payer is one of the ledger's
 * own accounts.
 * @typedef {{event: LedgerEvent, balance: LedgerBalance}} LedgerAnswer
 */

/**
 * The number of a code, 0 for none; posted and held amounts; the fields of the event, in the format of
 * `eventOf`, unless there is no event.
 * @typedef {[code: number, posted: bigint, held: bigint, fields?: any[]]} RawAnswer
 */

/**
 * @param {bigint} posted
 * @param {bigint} held
 * @returns {LedgerBalance}
 */
export function balanceOf(posted, held) {
  return { available: posted - held, held, posted };
}

/**
 * @param {string} operation
 * @param {RawAnswer} answer
 * @param {Record<string, unknown>} details of an error
 * @returns {LedgerAnswer}
 * @throws {import('../../internal/util/errors.js').SluiceError} the refusal
 */
export function answerOf(operation, [number, posted, held, fields], details) {
  const balance = balanceOf(posted, held);
  const code = codeOf(number);
  if (code === undefined) return { event: eventOf(/** @type {any[]} */ (fields)), balance };
  const known = code === 'ERR_INSUFFICIENT_FUNDS' ? { available: balance.available } : {};
  throw ledgerError(code, `${operation} ${JSON.stringify(details)}`, { ...details, ...known });
}

/**
 * @param {RawAnswer[]} answers one per transfer, or a single one for a key of other requests
 * @param {string} key
 * @returns {{events: LedgerEvent[], balances: LedgerBalance[]}}
 * @throws {import('../../internal/util/errors.js').SluiceError} the ledgerError, with the `index` of the transfer
 */
export function linkedAnswer(answers, key) {
  const refused = answers.findIndex(([code]) => code !== 0 && codeOf(code) !== 'ERR_LINKED_FAILED');
  if (refused !== -1) {
    const index =
      codeOf(answers[refused][0]) === 'ERR_IDEMPOTENCY_CONFLICT' ? {} : { index: refused };
    answerOf('linked', answers[refused], { key, ...index });
  }
  const all = answers.map((answer) => answerOf('linked', answer, { key }));
  return { events: all.map(({ event }) => event), balances: all.map(({ balance }) => balance) };
}
