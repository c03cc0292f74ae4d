/**
 * The requests of a ledger, from the options of its methods, with all checks. Pure functions, which throw a
 * TypeError or RangeError that names the option.
 */
import { IN_FULL, TIME_MS_MAX, metadataOf, overdraftOf } from './events.js';
import {
  NAME_MAX,
  checkAccount,
  checkAmount,
  checkEventId,
  checkKey,
  checkTransfers,
} from './checks.js';
import {
  checkBoolean,
  checkId,
  checkInteger,
  checkMs,
  checkOptions,
} from '../../internal/util/validate.js';

/** @typedef {import('./events.js').LedgerEventType} LedgerEventType */

/**
 * @typedef {object} LedgerRequest
 * @property {LedgerEventType} operation
 * @property {string} key
 * @property {string} one the account or the payer; empty for a request that refers to an event
 * @property {string} other the payee of a transfer
 * @property {bigint} amount
 * @property {number} target the event that the request refers to; 0: none
 * @property {number} timeMs timeout of a hold (Infinity: none), or due time of a transfer
 * @property {boolean} force
 * @property {string} metadata JSON; empty for none
 */

/** @typedef {Omit<Partial<LedgerRequest>, 'metadata'> & {key: unknown, metadata?: unknown}} Given */

const EVENTS_MAX = 10_000;
const YEAR_MS = 366 * 24 * 3600 * 1000;
const HOLD_MS = 600_000;

/**
 * @param {LedgerEventType} operation
 * @param {Given} given
 * @returns {LedgerRequest}
 */
function requestOf(operation, { key, metadata, ...rest }) {
  return {
    ...{ operation, one: '', other: '', amount: 0n, target: 0, timeMs: 0, force: false },
    ...rest,
    key: checkKey(key),
    metadata: metadataOf('metadata', metadata),
  };
}

/**
 * @param {unknown} options
 * @param {string[]} names
 * @returns {any}
 */
const optionsOf = (options, names) =>
  checkOptions('options', /** @type {object} */ (options), names);

/**
 * @param {'deposit' | 'withdraw'} operation
 * @param {unknown} options
 */
function ofAccount(operation, options) {
  const given = optionsOf(options, ['key', 'account', 'amount', 'metadata']);
  const { key, account, amount, metadata } = given;
  const one = checkAccount('account', account);
  return requestOf(operation, { key, metadata, one, amount: checkAmount(amount) });
}

/** A function for each keyed method of a ledger, which converts its options. */
export const requests = Object.freeze({
  /** @param {unknown} options */
  deposit: (options) => ofAccount('deposit', options),

  /** @param {unknown} options */
  withdraw: (options) => ofAccount('withdraw', options),

  /** @param {unknown} options */
  transfer(options) {
    const given = optionsOf(options, ['key', 'from', 'to', 'amount', 'metadata']);
    const { key, from, to, amount, metadata } = given;
    return requestOf('transfer', {
      key,
      metadata,
      one: checkAccount('from', from),
      other: checkAccount('to', to),
      amount: checkAmount(amount),
    });
  },

  /** @param {unknown} options */
  close(options) {
    const { key, account, metadata } = optionsOf(options, ['key', 'account', 'metadata']);
    return requestOf('close', { key, metadata, one: checkAccount('account', account) });
  },

  /** @param {unknown} options */
  hold(options) {
    const given = optionsOf(options, ['key', 'account', 'amount', 'timeoutMs', 'metadata']);
    const { key, account, amount, timeoutMs, metadata } = given;
    const range = { min: 1, max: YEAR_MS, fallback: HOLD_MS, infinite: true };
    return requestOf('hold', {
      key,
      metadata,
      one: checkAccount('account', account),
      amount: checkAmount(amount, 0n),
      timeMs: checkMs('timeoutMs', timeoutMs, range),
    });
  },

  /** @param {unknown} options */
  settle(options) {
    const { key, hold, amount, metadata } = optionsOf(options, [
      'key',
      'hold',
      'amount',
      'metadata',
    ]);
    return requestOf('settle', {
      key,
      metadata,
      target: checkEventId('hold', hold),
      amount: amount === undefined ? IN_FULL : checkAmount(amount, 0n),
    });
  },

  /** @param {unknown} options */
  void(options) {
    const { key, hold, metadata } = optionsOf(options, ['key', 'hold', 'metadata']);
    return requestOf('void', { key, metadata, target: checkEventId('hold', hold) });
  },

  /** @param {unknown} options */
  reverse(options) {
    const { key, event, force, metadata } = optionsOf(options, [
      'key',
      'event',
      'force',
      'metadata',
    ]);
    return requestOf('reverse', {
      key,
      metadata,
      target: checkEventId('event', event),
      force: checkBoolean('force', force, false),
    });
  },

  /** @param {unknown} options */
  schedule(options) {
    const given = optionsOf(options, ['key', 'atMs', 'from', 'to', 'amount', 'metadata']);
    const { key, atMs, from, to, amount, metadata } = given;
    return requestOf('schedule', {
      key,
      metadata,
      timeMs: checkMs('atMs', atMs, { max: TIME_MS_MAX }),
      one: checkAccount('from', from),
      other: checkAccount('to', to),
      amount: checkAmount(amount),
    });
  },

  /** @param {unknown} options */
  cancelScheduled(options) {
    const { key, scheduled, metadata } = optionsOf(options, ['key', 'scheduled', 'metadata']);
    const target = checkEventId('scheduled', scheduled);
    return requestOf('cancel_scheduled', { key, metadata, target });
  },
});

/**
 * @param {unknown} options of `linked`
 * @returns {{key: string, transfers: {from: string, to: string, amount: bigint, metadata: string}[]}} an
 *   absent account is empty
 */
export function linkedRequest(options) {
  const { key, transfers } = optionsOf(options, ['key', 'transfers']);
  checkKey(key);
  const all = checkTransfers(transfers).map(({ from = '', to = '', ...rest }) => ({
    from,
    to,
    ...rest,
  }));
  return { key, transfers: all };
}

/**
 * @param {unknown} options of `open`
 * @returns {{account: string, overdraft: bigint, metadata: string}}
 */
export function openRequest(options) {
  const given = optionsOf(options, ['account', 'overdraft', 'metadata']);
  const account = checkAccount('account', given.account);
  const metadata = metadataOf('metadata', given.metadata);
  return { account, overdraft: overdraftOf('overdraft', given.overdraft), metadata };
}

/**
 * @param {unknown} options of `events`
 * @returns {{account: string | undefined, after: number, limit: number}}
 */
export function eventsRequest(options) {
  const given = optionsOf(options, ['account', 'after', 'limit']);
  const after = given.after === undefined ? 0 : checkEventId('after', given.after);
  const limit = checkInteger('limit', given.limit, { max: EVENTS_MAX, fallback: 100 });
  if (given.account === undefined) return { account: undefined, after, limit };
  return { account: checkId('account', given.account, { max: NAME_MAX }), after, limit };
}
