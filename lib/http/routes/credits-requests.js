/** Checks of requests about credits. Pure functions; a bad request is a 400 that names the field. */
import { amountFrom } from '../../services/billing/wire.js';
import { badRequest } from '../../internal/util/http-error.js';
import { checkContents, schemaRefusal } from '../../jobs/request.js';
import { checkIdempotencyKey } from '../../jobs/admission/idempotency.js';
import { groupings } from '../../services/billing/usage.js';
import { schemaCheck } from '../../internal/util/request-schema.js';

const ACCOUNT_LENGTH_MAX = 256;

const account = {
  type: 'string',
  minLength: 1,
  maxLength: ACCOUNT_LENGTH_MAX,
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

const validateTransfer = schemaCheck({
  type: 'object',
  additionalProperties: false,
  required: ['amount'],
  properties: { from: account, to: account, amount, key },
});
const validateReversal = schemaCheck({
  type: 'object',
  additionalProperties: false,
  properties: { force: { type: 'boolean' }, key },
});
const validateKey = schemaCheck(key);

/**
 * @param {ReturnType<typeof schemaCheck>} validate
 * @param {unknown} body
 * @returns {any} the same
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
 * @param {'from' | 'to'} field
 * @param {string} [name] of an account
 */
function checkLength(field, name = '') {
  if (name.length <= ACCOUNT_LENGTH_MAX) return;
  const message = `${field} has at most ${ACCOUNT_LENGTH_MAX} UTF-16 units, not ${name.length}.`;
  throw badRequest('invalid_value', field, message);
}

/**
 * @param {unknown} body
 * @param {string} [header] the `Idempotency-Key`
 * @returns {{from?: string, to?: string, amount: bigint, key?: string}}
 */
export function checkTransfer(body, header) {
  const { from, to, amount: given, key: member } = checked(validateTransfer, body);
  checkLength('from', from);
  checkLength('to', to);
  if (from === undefined && to === undefined) {
    throw badRequest('missing_field', 'to', 'Either from or to is required, or both.');
  }
  return { from, to, amount: amountFrom(given), key: keyOf(header, member) };
}

/**
 * @param {unknown} body
 * @param {string} [header] the `Idempotency-Key`
 * @returns {{force?: boolean, key?: string}}
 */
export function checkReversal(body, header) {
  const { force, key: member } = checked(validateReversal, body);
  return { force, key: keyOf(header, member) };
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
 * @returns {boolean} false also for February 30th, which Date accepts as a day of March
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
  const range = { fromMs: timeOf('from', from, 0), toMs: timeOf('to', to, DAY_MS) };
  if (range.fromMs !== undefined && range.toMs !== undefined && range.fromMs > range.toMs) {
    throw badRequest('invalid_value', 'to', 'to must not be before from.');
  }
  return { ...range, groupBy: /** @type {any} */ (groupBy) };
}
