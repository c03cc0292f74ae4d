/** Requests and events of a ledger in the format of the scripts in `scripts/ledger`. Pure functions. */
import { AMOUNT_MAX, numberOf } from '../../primitives/ledger/events.js';
import { fieldsOf } from '../client/scripts.js';

/** @typedef {import('../../primitives/ledger/requests.js').LedgerRequest} LedgerRequest */
/** @typedef {import('../../primitives/ledger/answers.js').RawAnswer} RawAnswer */

const EXTERNAL = '@external';
const USAGE = '@usage';

/** @param {number} ms @returns {string} whole microseconds; empty for Infinity */
const usOf = (ms) => (ms === Infinity ? '' : String(Math.round(ms * 1000)));

/** @param {string} us @returns {number} milliseconds; Infinity for an empty text */
const msOf = (us) => (us === '' ? Infinity : Number(us) / 1000);

/** @param {LedgerRequest} request @returns {[from: string, to: string]} payer and payee */
function partiesOf({ operation, one, other }) {
  if (operation === 'deposit') return [EXTERNAL, one];
  if (operation === 'withdraw') return [one, EXTERNAL];
  if (operation === 'hold') return [one, USAGE];
  return [one, other];
}

/** Operations whose requests name no amount. */
const WITHOUT_AMOUNT = ['void', 'reverse', 'cancel_scheduled', 'close'];
/** Operations that refer to an event. */
const ABOUT_EVENTS = ['settle', 'void', 'reverse', 'cancel_scheduled'];

/**
 * @param {LedgerRequest} request
 * @returns {string[]} name, value, name, value, ...
 */
export function requestFields(request) {
  const { operation, key, amount, target, timeMs, force, metadata } = request;
  const [from, to] = partiesOf(request);
  const fields = ['t', String(numberOf(operation)), 'k', key, 'f', from, 'o', to];
  if (!WITHOUT_AMOUNT.includes(operation)) fields.push('m', String(amount));
  if (ABOUT_EVENTS.includes(operation)) fields.push('r', String(target));
  if (operation === 'hold' || operation === 'schedule') fields.push('w', usOf(timeMs));
  if (force) fields.push('g', '1');
  if (metadata !== '') fields.push('j', metadata);
  return fields;
}

/**
 * @param {string} id
 * @param {Record<string, string>} fields of an entry of the journal
 * @returns {any[]} in the format of `eventOf`
 */
function rawEvent(id, fields) {
  const { t: type, w: time, x: rare } = fields;
  const {
    c: code,
    z: refused,
    l: linked,
    g: force,
    j: metadata,
  } = rare === '' ? {} : JSON.parse(rare);
  const operation = refused ?? type;
  return [
    Number(id),
    Number(type),
    Number(fields.a) / 1000,
    fields.k,
    fields.f,
    fields.o,
    BigInt(fields.m),
    Number(fields.r),
    Number(operation) === numberOf('hold') ? msOf(time) : Number(time) / 1000,
    force === '1',
    msOf(fields.u),
    Number(code ?? 0),
    Number(refused ?? 0),
    Number(linked ?? 0),
    metadata ?? '',
  ];
}

/**
 * @param {[id: string, fields: string[]]} entry of the journal
 * @returns {any[]} in the format of `eventOf`
 */
export function eventFields([id, flat]) {
  return rawEvent(id.split('-')[0], fieldsOf(flat));
}

/**
 * @param {string[]} flat an event: its id, and its fields with their values
 * @returns {RawAnswer}
 */
export function rawAnswer([id, ...flat]) {
  const fields = fieldsOf(flat);
  const event = rawEvent(id, fields);
  const code = event[1] === numberOf('refused') ? event[11] : 0;
  return [code, BigInt(fields.p), BigInt(fields.h), event];
}

/** @param {bigint} overdraft @returns {bigint | number} Infinity: no limit */
export const limitOf = (overdraft) => (overdraft === AMOUNT_MAX ? Infinity : overdraft);
