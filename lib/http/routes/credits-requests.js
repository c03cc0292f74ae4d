/** Checks of requests about credits. Pure functions; a bad request throws a 400 that names the field. */
import { amountFrom } from '../../services/billing/wire.js';
import { NAME_MAX, TRANSFERS_MAX } from '../../primitives/ledger/checks.js';
import { metadataOf } from '../../primitives/ledger/events.js';
import { badRequest } from '../../internal/util/http-error.js';
import { checkContents, schemaRefusal } from '../../jobs/request.js';
import { checkIdempotencyKey } from '../../jobs/admission/idempotency.js';
import { groupings } from '../../services/billing/usage.js';
import { schemaCheck } from '../../internal/util/request-schema.js';

/** @typedef {import('../../primitives/ledger/events.js').LedgerMetadata} LedgerMetadata */
/** @typedef {{from?: string, to?: string, amount: bigint, metadata?: LedgerMetadata}} TransferRequest */

const account = {
  type: 'string',
  minLength: 1,
  maxLength: NAME_MAX,
  pattern: '^[^@]',
  description: 'the name of an account, without @ in front',
};
const key = {
  type: 'string',
  pattern: '^[\\x21-\\x3f\\x41-\\x7e][\\x21-\\x7e]{0,254}$',
  description: '1 to 255 visible ASCII characters, without @ in front',
};
const amount = {
  type: ['integer', 'string'],
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  pattern: '^\\d{1,19}$',
  description: 'micro-credits, as an integer or a string of digits',
};

/** The ledger checks its size and contents. */
const metadata = { type: 'object' };
const transfer = {
  type: 'object',
  additionalProperties: false,
  required: ['amount'],
  properties: { from: account, to: account, amount, metadata },
};

const validateTransfer = schemaCheck({
  ...transfer,
  properties: { ...transfer.properties, key },
});
const validateLinked = schemaCheck({
  type: 'object',
  additionalProperties: false,
  required: ['transfers'],
  properties: {
    transfers: { type: 'array', minItems: 1, maxItems: TRANSFERS_MAX, items: transfer },
    key,
  },
});
const validateReversal = schemaCheck({
  type: 'object',
  additionalProperties: false,
  properties: { force: { type: 'boolean' }, key, metadata },
});
const validateClosing = schemaCheck({
  type: 'object',
  additionalProperties: false,
  properties: { key, metadata },
});
const validateKey = schemaCheck(key);

/**
 * @param {ReturnType<typeof schemaCheck>} validate
 * @param {unknown} body
 * @returns {any} the same body
 */
function checked(validate, body) {
  if (!validate(body)) throw schemaRefusal(/** @type {any} */ (validate.errors)[0]);
  checkContents(/** @type {object} */ (body));
  return body;
}

/**
 * @param {string | undefined} header the `Idempotency-Key`
 * @param {string | undefined} member of the body, checked
 * @returns {string | undefined}
 */
function keyOf(header, member) {
  if (header === undefined) return member;
  if (!validateKey(checkIdempotencyKey(header))) {
    throw badRequest(
      'invalid_value',
      'Idempotency-Key',
      `Idempotency-Key takes ${key.description}.`,
    );
  }
  if (member === undefined || member === header) return header;
  throw badRequest('invalid_value', 'key', 'key and Idempotency-Key must not differ.');
}

/**
 * The schema counts code points, and the ledger UTF-16 units.
 * @param {string} field
 * @param {string} [name] of an account
 */
function checkLength(field, name = '') {
  if (name.length <= NAME_MAX) return;
  const message = `${field} has at most ${NAME_MAX} UTF-16 units, not ${name.length}.`;
  throw badRequest('invalid_value', field, message);
}

/**
 * @param {string} field its path
 * @param {any} value an object, or undefined
 * @returns {LedgerMetadata | undefined} the same value
 */
function checkMetadata(field, value) {
  try {
    metadataOf(field, value);
  } catch (/** @type {any} */ error) {
    throw badRequest('invalid_value', field, `${error.message}.`);
  }
  return value;
}

/**
 * @param {any} given checked by its schema
 * @param {string} [path] prefix of its fields
 * @returns {TransferRequest}
 */
function transferFrom({ from, to, amount: value, metadata: about }, path = '') {
  checkLength(`${path}from`, from);
  checkLength(`${path}to`, to);
  if (from === undefined && to === undefined) {
    const message = `Either ${path}from or ${path}to is required, or both.`;
    throw badRequest('missing_field', `${path}to`, message);
  }
  const amountOf = amountFrom(value, `${path}amount`);
  return { from, to, amount: amountOf, metadata: checkMetadata(`${path}metadata`, about) };
}

/**
 * @param {unknown} body
 * @param {string} [header] the `Idempotency-Key`
 * @returns {TransferRequest & {key?: string}}
 */
export function checkTransfer(body, header) {
  const { key: member, ...given } = checked(validateTransfer, body);
  return { ...transferFrom(given), key: keyOf(header, member) };
}

/**
 * @param {unknown} body
 * @param {string} [header] the `Idempotency-Key`
 * @returns {{transfers: TransferRequest[], key?: string}}
 */
export function checkLinked(body, header) {
  const { transfers, key: member } = checked(validateLinked, body);
  return {
    transfers: transfers.map((/** @type {unknown} */ each, /** @type {number} */ i) =>
      transferFrom(each, `transfers[${i}].`),
    ),
    key: keyOf(header, member),
  };
}

/**
 * @param {unknown} body
 * @param {string} [header] the `Idempotency-Key`
 * @returns {{force?: boolean, key?: string, metadata?: LedgerMetadata}}
 */
export function checkReversal(body, header) {
  const { force, key: member, metadata: about } = checked(validateReversal, body);
  return { force, key: keyOf(header, member), metadata: checkMetadata('metadata', about) };
}

/**
 * @param {unknown} body
 * @param {string} [header] the `Idempotency-Key`
 * @returns {{key?: string, metadata?: LedgerMetadata}}
 */
export function checkClosing(body, header) {
  const { key: member, metadata: about } = checked(validateClosing, body);
  return { key: keyOf(header, member), metadata: checkMetadata('metadata', about) };
}

/**
 * @param {Record<string, unknown>} query
 * @returns {{after?: number, limit?: number}}
 */
export function checkEventsQuery({ after, limit }) {
  return {
    after: integerOf('after', after, { min: 0, max: Number.MAX_SAFE_INTEGER }),
    limit: integerOf('limit', limit, { min: 1, max: 1000 }),
  };
}

/**
 * @param {string} name
 * @param {unknown} text
 * @param {{min: number, max: number}} range
 */
function integerOf(name, text, { min, max }) {
  if (text === undefined) return undefined;
  const number = typeof text === 'string' && /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (number >= min && number <= max) return number;
  const range = max === Number.MAX_SAFE_INTEGER ? 'the id of an event' : `from ${min} to ${max}`;
  throw badRequest('invalid_value', name, `${name} must be an integer, ${range}.`);
}

const DAY = /^\d{4}-\d{2}-\d{2}$/;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/;
const DAY_MS = 24 * 3_600_000;

/**
 * @param {string} text
 * @returns {boolean} false also for February 30, which Date would accept as a day in March
 */
function isDay(text) {
  if (!DAY.test(text)) return false;
  const day = new Date(`${text}T00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}

/**
 * @param {string} name
 * @param {unknown} text Unix seconds, a time in ISO 8601 with its zone, or a day in UTC
 * @param {number} dayMs offset added to the start of a day
 * @returns {number | undefined} Unix milliseconds
 */
function timeOf(name, text, dayMs) {
  if (text === undefined) return undefined;
  let ms = NaN;
  if (typeof text === 'string') {
    if (/^\d{1,11}(\.\d{1,9})?$/.test(text)) ms = Math.floor(Number(text) * 1000);
    else if (isDay(text.slice(0, 10))) {
      if (text.length === 10) ms = Date.parse(text) + dayMs;
      else if (TIME.test(text)) ms = Date.parse(text);
    }
  }
  if (ms >= 0 && ms <= 253_402_300_800_000) return ms;
  throw badRequest(
    'invalid_value',
    name,
    `${name} must be Unix seconds, a day (2026-01-31), or a time with its zone (2026-01-31T12:00:00Z).`,
  );
}

/**
 * @param {Record<string, unknown>} query of `GET /v1/usage`
 * @returns {{fromMs?: number, toMs?: number, groupBy?: import('../../services/billing/usage.js').Grouping}}
 */
export function checkUsageQuery({ from, to, group_by: groupBy }) {
  if (groupBy !== undefined && !groupings.includes(/** @type {any} */ (groupBy))) {
    const message = `group_by must be one of ${groupings.join(', ')}.`;
    throw badRequest('invalid_value', 'group_by', message);
  }
  return { ...checkTimeRange({ from, to }), groupBy: /** @type {any} */ (groupBy) };
}

/**
 * @param {Record<string, unknown>} query
 * @returns {{fromMs?: number, toMs?: number}} Unix times; `to` as a day includes that day
 */
export function checkTimeRange({ from, to }) {
  const range = { fromMs: timeOf('from', from, 0), toMs: timeOf('to', to, DAY_MS) };
  if (range.fromMs !== undefined && range.toMs !== undefined && range.fromMs > range.toMs) {
    throw badRequest('invalid_value', 'to', 'to must not be before from.');
  }
  return range;
}
