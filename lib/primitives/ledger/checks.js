/**
 * Checks of the parts of a ledger's requests: account names, keys, amounts, events. Pure functions.
 */
import { AMOUNT_MAX, metadataOf } from './events.js';
import { checkBigInt, checkId, checkInteger, checkOptions } from '../../internal/util/validate.js';
import { rangeError, typeError } from '../../internal/util/errors.js';

/** Maximum length of names and keys, in UTF-16 units. */
export const NAME_MAX = 256;

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {string}
 */
export function checkAccount(name, value) {
  const account = checkId(name, value, { max: NAME_MAX });
  if (account.startsWith('@')) {
    throw rangeError(
      `${name} takes a name without a leading "@", which marks the ledger's own accounts`,
    );
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

/** Maximum number of linked transfers. */
export const TRANSFERS_MAX = 1000;

/**
 * @param {unknown} value
 * @returns {{from?: string, to?: string, amount: bigint, metadata: string}[]}
 */
export function checkTransfers(value) {
  if (!Array.isArray(value)) throw typeError('transfers takes an array of transfers');
  if (value.length === 0 || value.length > TRANSFERS_MAX) {
    throw rangeError(`transfers takes 1 to ${TRANSFERS_MAX} transfers, not ${value.length}`);
  }
  return value.map((each, i) => {
    const name = `transfers[${i}]`;
    const given = checkOptions(name, each, ['from', 'to', 'amount', 'metadata']);
    const { from, to } = given;
    if (from === undefined && to === undefined) throw typeError(`${name} takes from, to, or both`);
    if (from !== undefined) checkAccount(`${name}.from`, from);
    if (to !== undefined) checkAccount(`${name}.to`, to);
    const amount = checkBigInt(`${name}.amount`, given.amount, { min: 1n, max: AMOUNT_MAX });
    return { from, to, amount, metadata: metadataOf(`${name}.metadata`, given.metadata) };
  });
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
