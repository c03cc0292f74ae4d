/**
 * The events of a ledger in JavaScript and on the native side (an array of fields,
 * native/addon/bindings/ledger/ledger_wrap.h), and its refusals as errors.
 */
import { nativeNames } from '../../internal/native/numbers.js';
import { SluiceError, rangeError } from '../../internal/util/errors.js';
import { jsonOf } from '../kv/values.js';
import {
  checkBigInt,
  checkBoolean,
  checkChoice,
  checkInteger,
  checkMs,
  checkOptions,
  checkString,
} from '../../internal/util/validate.js';

export const AMOUNT_MAX = 2n ** 63n - 1n;

/** By the numbers of native/core/ledger/event.h. */
const TYPES = nativeNames('enums.LedgerEventType', [
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
  'close',
]);

/** The message of each refusal. */
const REFUSALS = {
  ERR_INSUFFICIENT_FUNDS: 'The paying account has not enough available',
  ERR_NO_SUCH_ACCOUNT: 'There is no such account',
  ERR_NO_SUCH_EVENT: 'There is no such event',
  ERR_NO_SUCH_HOLD: 'There is no such hold',
  ERR_NO_SUCH_SCHEDULED: 'There is no such scheduled transfer',
  ERR_ACCOUNT_EXISTS: 'There is an account of that name',
  ERR_SAME_ACCOUNT: 'Payer and payee are the same account',
  ERR_HOLD_EXPIRED: 'The hold has expired',
  ERR_HOLD_CLOSED: 'The hold was settled or voided before',
  ERR_EXCEEDS_HOLD: 'The amount exceeds the hold',
  ERR_ALREADY_REVERSED: 'The event was reversed before',
  ERR_NOT_REVERSIBLE: 'Only deposits, withdrawals, transfers and settlements can be reversed',
  ERR_ALREADY_EXECUTED: 'The scheduled transfer was executed, or has failed',
  ERR_ALREADY_CANCELLED: 'The scheduled transfer was cancelled before',
  ERR_AMOUNT_OVERFLOW: 'A balance would be beyond 2^63 micro-credits',
  ERR_IDEMPOTENCY_CONFLICT: 'The key was used for another request',
  ERR_ACCOUNT_CLOSED: 'The account is closed',
  ERR_ACCOUNT_NOT_EMPTY: 'The account has a balance or holds',
  ERR_LINKED_FAILED: 'Another one of the linked transfers was refused',
};
/** @typedef {keyof typeof REFUSALS} LedgerCode */

/** The codes by native number; number 0 means no code. */
const CODES = nativeNames(
  'enums.LedgerCode',
  /** @type {('' | LedgerCode)[]} */ (['', ...Object.keys(REFUSALS)]),
);

/**
 * @typedef {typeof TYPES[number]} LedgerEventType the method called; `hold_expired`; `schedule_failed`
 *   for a scheduled transfer that failed (an executed one is a `transfer`); or `refused`
 */
/**
 * An event, frozen. `open` has `account` and `overdraft`, `close` has `account`; all others have
 * `from`, `to` and `amount`. `hold`, `schedule` and the events that end them move nothing. A refusal
 * has the fields of the refused request.
 * @typedef {object} LedgerEvent
 * @property {number} id from 1, without gaps
 * @property {LedgerEventType} type
 * @property {number} atMs time of the event
 * @property {string} [key] idempotency key; absent for events without a request, and for linked
 *   transfers except the first
 * @property {LedgerMetadata} [metadata] as given in the request, frozen
 * @property {number} [linked] for linked transfers: the number that follow this one
 * @property {string} [account]
 * @property {bigint | number} [overdraft] Infinity: no limit
 * @property {string} [from] the paying account
 * @property {string} [to] the receiving account
 * @property {bigint} [amount]
 * @property {number} [timeoutMs] of a hold
 * @property {number} [expiresAtMs] of a hold
 * @property {number} [dueAtMs] of a scheduled transfer
 * @property {number} [hold] the hold that it ends
 * @property {number} [event] the event that it reverses
 * @property {boolean} [force] of a reversal
 * @property {number} [scheduled] the scheduled transfer that it executes or ends
 * @property {LedgerEventType} [operation] of a refusal: the method called
 * @property {string} [code] of a refusal or a failure: the error code
 */
/** @typedef {import('../kv/values.js').KvJson} KvJson */
/** @typedef {{readonly [member: string]: KvJson | undefined}} LedgerMetadata plain JSON, at most 4 KiB */

/** The property with the id of the referenced event, by type. */
const TARGETS = /** @type {Record<string, 'hold' | 'event' | 'scheduled' | undefined>} */ ({
  settle: 'hold',
  void: 'hold',
  hold_expired: 'hold',
  reverse: 'event',
  transfer: 'scheduled',
  cancel_scheduled: 'scheduled',
  schedule_failed: 'scheduled',
});
/** Operations without an amount; their refusals have none, too. */
const WITHOUT_AMOUNT = ['void', 'reverse', 'cancel_scheduled'];
/** The amount of a settlement that means the whole hold. */
export const IN_FULL = -1n;

/**
 * @param {LedgerEventType} type
 * @returns {number} in the format of the native side
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
  const [linked, metadata] = fields.slice(13);
  const type = TYPES[number];
  const kept = metadata !== '' && { metadata: frozen(JSON.parse(metadata)) };
  if (type === 'open') {
    const overdraft = amount === AMOUNT_MAX ? Infinity : amount;
    return Object.freeze({ id, type, atMs, account: from, overdraft, ...kept });
  }
  const isRefused = type === 'refused';
  const operation = isRefused ? TYPES[refused] : type;
  /** @type {LedgerEvent} */
  const event = { id, type, atMs };
  if (isRefused) event.operation = operation;
  if (code !== 0) event.code = CODES[code];
  if (key !== '') event.key = key;
  Object.assign(event, kept);
  if (linked > 0) event.linked = linked;
  if (operation === 'close') return Object.freeze({ ...event, account: from });
  if (from !== '') Object.assign(event, { from, to });
  const known = amount !== IN_FULL && !(isRefused && WITHOUT_AMOUNT.includes(operation));
  if (known) event.amount = amount;
  const about = TARGETS[operation];
  if (about !== undefined && (target !== 0 || operation !== 'transfer')) event[about] = target;
  if (operation === 'reverse') event.force = force;
  if (operation === 'hold') event.timeoutMs = timeMs;
  if (operation === 'hold' && !isRefused) event.expiresAtMs = dueMs;
  if (operation === 'schedule') event.dueAtMs = timeMs;
  return Object.freeze(event);
}

/**
 * @template T
 * @param {T} value JSON
 * @returns {T}
 */
function frozen(value) {
  if (typeof value !== 'object' || value === null) return value;
  Object.values(value).forEach(frozen);
  return Object.freeze(value);
}

/**
 * The fields of an event of a journal.
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
    text(type === 'open' || operation === 'close' ? 'account' : 'from'),
    text('to'),
    type === 'open'
      ? overdraftOf(`${name}.overdraft`, event.overdraft)
      : amountOf(`${name}.amount`, event.amount, isRefused && operation === 'settle'),
    about === undefined ? 0 : number(about),
    timeMs,
    checkBoolean(`${name}.force`, event.force, false),
    dueMs,
    event.code === undefined ? 0 : CODES.indexOf(checkChoice(`${name}.code`, event.code, CODES)),
    isRefused ? TYPES.indexOf(operation) : 0,
    number('linked'),
    metadataOf(`${name}.metadata`, event.metadata),
  ];
}

/** The largest time or duration in a ledger: about 270 years. */
export const TIME_MS_MAX = 8.5e12;

/**
 * @param {string} name
 * @param {unknown} amount
 * @param {boolean} mayBeFull whether an absent amount means the whole hold
 */
function amountOf(name, amount, mayBeFull) {
  if (amount === undefined) return mayBeFull ? IN_FULL : 0n;
  return checkBigInt(name, amount, { min: 0n, max: AMOUNT_MAX });
}

const METADATA_BYTES_MAX = 4096;

/**
 * Requests are equal if their metadata is, in any order of members.
 * @param {any} value JSON
 * @returns {any}
 */
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map((name) => [name, sorted(value[name])]));
}

/**
 * @param {string} name
 * @param {unknown} metadata
 * @returns {string} as JSON; '' for none
 */
export function metadataOf(name, metadata) {
  if (metadata === undefined) return '';
  const given = jsonOf(checkOptions(name, /** @type {object} */ (metadata)), name);
  const json = jsonOf(sorted(JSON.parse(given)));
  const bytes = Buffer.byteLength(json);
  if (bytes <= METADATA_BYTES_MAX) return json;
  throw rangeError(`${name} takes up to ${METADATA_BYTES_MAX} bytes of JSON, not ${bytes}`);
}

/**
 * Limit below zero of an account.
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
 * @param {string} about name of the method
 * @param {Record<string, unknown>} details
 */
export function ledgerError(code, about, details) {
  return new SluiceError(code, `${REFUSALS[code]} (${about})`, details);
}
