/**
 * Prices of tokens and the accounts that pay: the members `prices` and `accounts` of the access
 * configuration. Pure functions.
 *
 * A price is per token, in micro-credits, and may have a fraction; an amount is a whole number of
 * micro-credits, rounded up once per job.
 */
import { createHash } from 'node:crypto';

/**
 * In micro-credits per token: an integer, a number with a fraction, or either as a string.
 * @typedef {number | string} Rate
 */
/**
 * Prices of a model's tokens, under the names of the configuration file.
 * @typedef {object} PriceConfig
 * @property {Rate} prompt
 * @property {Rate} completion
 * @property {Rate} [cached_prompt] of a job that shares another job's answer; default 0
 * @property {Rate} [cached_completion] the same; default 0
 */
/**
 * @typedef {object} AccountConfig
 * @property {number | string | boolean} [overdraft] limit below zero, in micro-credits; true:
 *   unlimited; default 0. Applied when the account is opened
 */

/**
 * Prices of one job per token, in units of 1e-9 micro-credits.
 * @typedef {{prompt: bigint, completion: bigint}} Rates
 */
/** @typedef {{full: Rates, cached: Rates}} Price */
/** @typedef {{prompt_tokens: number, completion_tokens: number}} Usage */

/** Name of the default entry. */
export const ALL = '*';

const FRACTION_DIGITS = 9;
const SCALE = 10n ** BigInt(FRACTION_DIGITS);
/** A thousand credits per token. The cost of 2^31 tokens is still a valid amount. */
const RATE_MAX = 1e9;
/** Longest account name in the ledger. */
const ACCOUNT_LENGTH_MAX = 256;

const rate = {
  type: ['number', 'string'],
  minimum: 0,
  maximum: RATE_MAX,
  pattern: `^\\d{1,9}(\\.\\d{1,${FRACTION_DIGITS}})?$`,
  description: `micro-credits per token, below ${RATE_MAX}, with up to ${FRACTION_DIGITS} decimals`,
};

/** Schema of an account's name in a configuration. */
export const accountSchema = {
  type: 'string',
  pattern: '^[\\w.:/+-][\\w.:@/+-]{0,127}$',
  description: '1 to 128 letters, digits or any of _ . : @ / + -, without @ in front',
};

/** Schemas of the configuration members. */
export const creditMembers = {
  prices: {
    type: 'object',
    additionalProperties: {
      type: 'object',
      additionalProperties: false,
      required: ['prompt', 'completion'],
      properties: {
        prompt: rate,
        completion: rate,
        cached_prompt: rate,
        cached_completion: rate,
      },
    },
  },
  accounts: {
    type: 'object',
    additionalProperties: {
      type: 'object',
      additionalProperties: false,
      properties: {
        overdraft: {
          type: ['integer', 'string', 'boolean'],
          minimum: 0,
          maximum: Number.MAX_SAFE_INTEGER,
          pattern: '^\\d{1,18}$',
          description: 'micro-credits, up to 18 digits',
        },
      },
    },
  },
};

/**
 * @param {Rate} given a value that passed the schema
 * @returns {bigint | undefined} undefined: too many decimals
 */
function scaled(given) {
  const text = String(given);
  // A number in exponent notation is below the smallest unit.
  if (!/^\d+(\.\d{1,9})?$/.test(text)) return undefined;
  const [whole, fraction = ''] = text.split('.');
  return BigInt(whole) * SCALE + BigInt(fraction.padEnd(FRACTION_DIGITS, '0'));
}

/**
 * Checks of prices and accounts beyond the schema.
 * @param {object} config of access
 * @param {{id: string, organisation?: string, account?: string}[]} [config.keys]
 * @param {Record<string, PriceConfig>} [config.prices]
 * @param {Record<string, AccountConfig>} [config.accounts]
 * @returns {import('../../internal/util/request-schema.js').SchemaProblem | undefined}
 */
export function findCreditProblem({ keys = [], prices, accounts = {} }) {
  for (const [model, price] of Object.entries(prices ?? {})) {
    for (const [name, given] of Object.entries(price)) {
      if (scaled(given) !== undefined) continue;
      return { path: ['prices', model, name], kind: 'value', says: `must be ${rate.description}` };
    }
  }
  const pattern = new RegExp(accountSchema.pattern);
  for (const name of Object.keys(accounts)) {
    if (name === ALL || pattern.test(name)) continue;
    return { path: ['accounts', name], kind: 'value', says: 'must have the name of an account' };
  }
  if (prices === undefined) return undefined;
  // Otherwise both would pay from the same account by accident.
  const organisations = new Set(keys.map(({ organisation }) => organisation));
  const i = keys.findIndex(
    ({ id, organisation, account }) =>
      account === undefined && organisation === undefined && organisations.has(id),
  );
  if (i < 0) return undefined;
  const says = 'is required: an organisation has the same name';
  return { path: ['keys', String(i), 'account'], kind: 'missing', says };
}

/**
 * @param {Rate} [prompt]
 * @param {Rate} [completion]
 * @returns {Rates}
 */
function ratesOf(prompt = 0, completion = 0) {
  return Object.freeze({ prompt: scaled(prompt) ?? 0n, completion: scaled(completion) ?? 0n });
}

/**
 * @param {Record<string, PriceConfig>} [prices]
 * @returns {Map<string, Price>} by model
 */
export function compilePrices(prices = {}) {
  return new Map(
    Object.entries(prices).map(([model, price]) => [
      model,
      Object.freeze({
        full: ratesOf(price.prompt, price.completion),
        cached: ratesOf(price.cached_prompt, price.cached_completion),
      }),
    ]),
  );
}

/**
 * @param {Record<string, AccountConfig>} [accounts]
 * @returns {Map<string, bigint | boolean>} overdraft limit of each; true: unlimited
 */
export function compileOverdrafts(accounts = {}) {
  return new Map(
    Object.entries(accounts).map(([name, { overdraft = 0 }]) => [
      name,
      typeof overdraft === 'boolean' ? overdraft : BigInt(overdraft),
    ]),
  );
}

/**
 * The account that a caller pays from: its own, else its organisation's, else one named after the
 * principal. A name that is not a valid account name is replaced by its hash.
 * @param {{account?: string, organisation?: string, principal: string}} access
 * @returns {string}
 */
export function accountOf({ account, organisation, principal }) {
  const name = account ?? organisation ?? principal;
  const fits = name !== '' && name.length <= ACCOUNT_LENGTH_MAX && name.isWellFormed();
  if (fits && !name.startsWith('@')) return name;
  return `sha256:${createHash('sha256').update(name, 'utf16le').digest('hex')}`;
}

/** @param {Rates} rates */
export function isFree({ prompt, completion }) {
  return prompt === 0n && completion === 0n;
}

/**
 * @param {Rates} rates
 * @param {Usage} usage
 * @returns {bigint} in micro-credits, rounded up
 */
export function costOf({ prompt, completion }, { prompt_tokens, completion_tokens }) {
  const sum = prompt * BigInt(prompt_tokens) + completion * BigInt(completion_tokens);
  return (sum + SCALE - 1n) / SCALE;
}
