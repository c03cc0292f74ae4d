/**
 * The events of a ledger, as JavaScript has them and as the native side does (an array of fields,
 * native/addon/bindings/ledger_wrap.h), and its refusals as errors.
 */
import { SluiceError } from '../../internal/util/errors.js';
import {
  checkBigInt,
  checkBoolean,
  checkChoice,
  checkInteger,
  checkMs,
  checkString,
} from '../../internal/util/validate.js';

export const AMOUNT_MAX = 2n ** 63n - 1n;

/** The numbers of native/core/ledger/event.h: LedgerEventType. */
const TYPES = /** @type {const} */ ([
  'open',
  'deposit',
  'withdraw',
  'transfer',
  'hold',
  'settle',
  'void',
  'reverse',
  'schedule',
  'cancel_scheduled',
  'hold_expired',
  'schedule_failed',
  'refused',
]);

/** What each refusal says, in the order of LedgerCode. */
const REFUSALS = {
  ERR_INSUFFICIENT_FUNDS: 'The account that would pay has not enough available',
  ERR_NO_SUCH_ACCOUNT: 'There is no such account',
  ERR_NO_SUCH_EVENT: 'There is no such event',
  ERR_NO_SUCH_HOLD: 'There is no such hold',
  ERR_NO_SUCH_SCHEDULED: 'There is no such scheduled transfer',
  ERR_ACCOUNT_EXISTS: 'There is an account of that name',
  ERR_SAME_ACCOUNT: 'Who pays and who is paid are the same account',
  ERR_HOLD_EXPIRED: 'The hold has expired',
  ERR_HOLD_CLOSED: 'The hold was settled or voided before',
  ERR_EXCEEDS_HOLD: 'The amount is more than is held',
  ERR_ALREADY_REVERSED: 'The event was reversed before',
  ERR_NOT_REVERSIBLE: 'Only deposits, withdrawals, transfers and settlements can be reversed',
  ERR_ALREADY_EXECUTED: 'The scheduled transfer was executed, or has failed',
  ERR_ALREADY_CANCELLED: 'The scheduled transfer was cancelled before',
  ERR_AMOUNT_OVERFLOW: 'A balance would be beyond 2^63 micro-credits',
  ERR_IDEMPOTENCY_CONFLICT: 'The key was used for something else',
};
/** @typedef {keyof typeof REFUSALS} LedgerCode */

/** By their native numbers, of which 0 is none. */
const CODES = /** @type {('' | LedgerCode)[]} */ (['', ...Object.keys(REFUSALS)]);

/**
 * @typedef {typeof TYPES[number]} LedgerEventType what was called; or what came about: a hold that
 *   expired, a scheduled transfer that failed (one that was executed is a `transfer`); or `refused`
 */
/**
 * An event, frozen. `open` has `account` and `overdraft`; every other `from`, `to` and `amount`,
 * which it moves (`hold` and `schedule`, and what undoes them: would move), except that a refusal
 * has what was asked for.
 * @typedef {object} LedgerEvent
 * @property {number} id from 1, without gaps
 * @property {LedgerEventType} type
 * @property {number} atMs when
 * @property {string} [key] absent when nobody asked for it
 * @property {string} [account]
 * @property {bigint | number} [overdraft] Infinity: no limit
 * @property {string} [from] who pays
 * @property {string} [to] who is paid
 * @property {bigint} [amount]
 * @property {number} [timeoutMs] of a hold
 * @property {number} [expiresAtMs] of a hold
 * @property {number} [dueAtMs] of a scheduled transfer
 * @property {number} [hold] the hold that it ends
 * @property {number} [event] the event that it reverses
 * @property {boolean} [force] of a reversal
 * @property {number} [scheduled] the scheduled transfer that it executes or ends
 * @property {LedgerEventType} [operation] of a refusal: what was called
 * @property {string} [code] of a refusal or a failure: why
 */

/** What an event is about has the name of its kind. */
const TARGETS = /** @type {Record<string, 'hold' | 'event' | 'scheduled' | undefined>} */ ({
  settle: 'hold',
  void: 'hold',
  hold_expired: 'hold',
  reverse: 'event',
  transfer: 'scheduled',
  cancel_scheduled: 'scheduled',
  schedule_failed: 'scheduled',
});
/** Of these a refusal says no amount: none was given. */
const WITHOUT_AMOUNT = ['void', 'reverse', 'cancel_scheduled'];

/**
 * @param {LedgerEventType} type
 * @returns {number} as the native side has it
 */
export function numberOf(type) {
  return TYPES.indexOf(type);
}

/**
 * @param {any[]} fields
 * @returns {LedgerEvent}
 */
export function eventOf(fields) {
  const [id, number, atMs, key, from, to, amount, target, timeMs, force, dueMs, code, refused] =
    fields;
  const type = TYPES[number];
  if (type === 'open') {
    const overdraft = amount === AMOUNT_MAX ? Infinity : amount;
    return Object.freeze({ id, type, atMs, account: from, overdraft });
  }
  const isRefused = type === 'refused';
  const operation = isRefused ? TYPES[refused] : type;
  /** @type {LedgerEvent} */
  const event = { id, type, atMs };
  if (isRefused) event.operation = operation;
  if (code !== 0) event.code = CODES[code];
  if (key !== '') event.key = key;
  if (from !== '') Object.assign(event, { from, to });
  if (!isRefused || !WITHOUT_AMOUNT.includes(operation)) event.amount = amount;
  const about = TARGETS[operation];
  if (about !== undefined && (target !== 0 || operation !== 'transfer')) event[about] = target;
  if (operation === 'reverse') event.force = force;
  if (operation === 'hold') event.timeoutMs = timeMs;
  if (operation === 'hold' && !isRefused) event.expiresAtMs = dueMs;
  if (operation === 'schedule') event.dueAtMs = timeMs;
  return Object.freeze(event);
}

/**
 * The fields of an event that somebody kept.
 * @param {string} name of the argument
 * @param {any} event
 * @returns {any[]}
 */
export function fieldsOf(name, event) {
  const text = (/** @type {string} */ field) =>
    event[field] === undefined ? '' : checkString(`${name}.${field}`, event[field]);
  const number = (/** @type {string} */ field) =>
    event[field] === undefined ? 0 : checkInteger(`${name}.${field}`, event[field], { min: 0 });
  const time = (/** @type {string} */ field, infinite = false) =>
    checkMs(`${name}.${field}`, event[field], { max: TIME_MS_MAX, infinite });
  const type = checkChoice(`${name}.type`, event.type, TYPES);
  const isRefused = type === 'refused';
  const operation = isRefused ? checkChoice(`${name}.operation`, event.operation, TYPES) : type;
  const about = TARGETS[operation];
  let timeMs = 0;
  let dueMs = Infinity;
  if (operation === 'hold') timeMs = time('timeoutMs', true);
  if (operation === 'schedule') timeMs = time('dueAtMs');
  if (operation === 'hold' && !isRefused) dueMs = time('expiresAtMs', true);
  if (operation === 'schedule' && !isRefused) dueMs = timeMs;
  return [
    number('id'),
    TYPES.indexOf(type),
    time('atMs'),
    text('key'),
    text(type === 'open' ? 'account' : 'from'),
    text('to'),
    type === 'open'
      ? overdraftOf(`${name}.overdraft`, event.overdraft)
      : amountOf(`${name}.amount`, event.amount),
    about === undefined ? 0 : number(about),
    timeMs,
    checkBoolean(`${name}.force`, event.force, false),
    dueMs,
    event.code === undefined ? 0 : CODES.indexOf(checkChoice(`${name}.code`, event.code, CODES)),
    isRefused ? TYPES.indexOf(operation) : 0,
  ];
}

/** The largest time, or span, of a ledger: some 270 years. */
export const TIME_MS_MAX = 8.5e12;

/**
 * @param {string} name
 * @param {unknown} amount
 */
function amountOf(name, amount) {
  return amount === undefined ? 0n : checkBigInt(name, amount, { min: 0n, max: AMOUNT_MAX });
}

/**
 * How far an account may go below zero.
 * @param {string} name
 * @param {unknown} overdraft a BigInt; Infinity or true: without limit; false: not at all
 * @returns {bigint}
 */
export function overdraftOf(name, overdraft) {
  if (overdraft === undefined || overdraft === false) return 0n;
  if (overdraft === true || overdraft === Infinity) return AMOUNT_MAX;
  return checkBigInt(name, overdraft, { min: 0n, max: AMOUNT_MAX });
}

/**
 * @param {number} number of its code
 * @returns {LedgerCode | undefined}
 */
export function codeOf(number) {
  return CODES[number] || undefined;
}

/**
 * @param {LedgerCode} code
 * @param {string} about what was called
 * @param {Record<string, unknown>} details
 */
export function refusal(code, about, details) {
  return new SluiceError(code, `${REFUSALS[code]} (${about})`, details);
}
