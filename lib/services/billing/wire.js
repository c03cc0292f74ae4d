/**
 * Credits as JSON, both ways. Pure functions.
 *
 * An amount up to 2^53 - 1 is written as a number, a larger one as a string of digits. Requests may
 * use either form.
 */
import { badRequest } from '../../internal/util/http-error.js';

/** @typedef {import('../../primitives/ledger/events.js').LedgerEvent} LedgerEvent */

/**
 * @param {bigint | number} amount Infinity: no limit
 * @returns {number | string | null}
 */
export function amountToJson(amount) {
  if (typeof amount === 'number') return null;
  const number = Number(amount);
  return Number.isSafeInteger(number) ? number : String(amount);
}

/**
 * @param {unknown} value of a request, checked by its schema
 * @param {string} [field] its path in the request
 * @returns {bigint}
 */
export function amountFrom(value, field = 'amount') {
  const text = String(value);
  const amount = /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
  if (amount >= 1n && amount < 2n ** 63n) return amount;
  throw badRequest('invalid_value', field, `${field} must be from 1 to 2^63 - 1 micro-credits.`);
}

/** @param {import('../../primitives/ledger/ledger.js').LedgerBalance} balance */
export function balanceToJson({ available, held, posted }) {
  return {
    available: amountToJson(available),
    held: amountToJson(held),
    posted: amountToJson(posted),
  };
}

/** Keys made by the gateway itself: `@settle:job_...`. */
const OWN_KEY = /^@(?:hold|settle|void):(job_[^:]+)/;

/**
 * @param {LedgerEvent} event
 * @returns {object} snake_case; fields that the event lacks are absent
 */
export function eventToJson(event) {
  const { id, type, atMs, key, account, from, to, amount, overdraft, timeoutMs } = event;
  const { expiresAtMs, dueAtMs, hold, event: reversed, force, scheduled, operation, code } = event;
  const { linked, metadata } = event;
  const own = key?.startsWith('@') === true;
  const jobId = OWN_KEY.exec(key ?? '')?.[1];
  return {
    id,
    type,
    at_ms: Math.floor(atMs),
    ...(!own && key !== undefined && { key }),
    ...(jobId !== undefined && { job_id: jobId }),
    ...(account !== undefined && { account }),
    ...(overdraft !== undefined && { overdraft: amountToJson(overdraft) }),
    ...(from !== undefined && { from, to }),
    ...(amount !== undefined && { amount: amountToJson(amount) }),
    ...(timeoutMs !== undefined && { timeout_ms: finite(timeoutMs) }),
    ...(expiresAtMs !== undefined && { expires_at_ms: finite(Math.floor(expiresAtMs)) }),
    ...(dueAtMs !== undefined && { due_at_ms: Math.floor(dueAtMs) }),
    ...(hold !== undefined && { hold }),
    ...(reversed !== undefined && { event: reversed }),
    ...(force !== undefined && { force }),
    ...(scheduled !== undefined && { scheduled }),
    ...(operation !== undefined && { operation }),
    ...(code !== undefined && { code }),
    ...(linked !== undefined && { linked }),
    ...(metadata !== undefined && { metadata }),
  };
}

/** @param {number} ms Infinity: never, written as null */
function finite(ms) {
  return Number.isFinite(ms) ? ms : null;
}

/** @param {import('./usage.js').Counts} counts */
export function countsToJson(counts) {
  return { ...counts, cost: amountToJson(counts.cost) };
}
