/**
 * What a ledger's requests are made of, checked: names of accounts, keys, amounts, events. Pure.
 */
import { AMOUNT_MAX } from './events.js';
import { checkBigInt, checkId, checkInteger } from '../../internal/util/validate.js';
import { rangeError, typeError } from '../../internal/util/errors.js';

/** Of names and keys, in UTF-16. */
export const NAME_MAX = 256;

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {string}
 */
export function checkAccount(name, value) {
  const account = checkId(name, value, { max: NAME_MAX });
  if (account.startsWith('@')) {
    throw rangeError(`${name} takes a name without "@" in front: those are the ledger's own`);
  }
  return account;
}

/**
 * @param {unknown} value
 * @returns {string}
 */
export function checkKey(value) {
  return checkId('key', value, { max: NAME_MAX });
}

/**
 * @param {unknown} value
 * @param {bigint} [min]
 */
export function checkAmount(value, min = 1n) {
  return checkBigInt('amount', value, { min, max: AMOUNT_MAX });
}

/**
 * @param {string} name
 * @param {unknown} value an event, or its id
 * @returns {number}
 */
export function checkEventId(name, value) {
  const id = typeof value === 'object' && value !== null ? /** @type {any} */ (value).id : value;
  if (typeof id !== 'number') throw typeError(`${name} takes an event of the ledger, or its id`);
  return checkInteger(name, id, { min: 0 });
}
